"""How coherent the images of a history are with each other: how much of their speckle is the same."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from insar.coherence import CoherenceEstimator
from insar.windows import Looks, Window

_WINDOW = Window(5, 5)
"""Of each estimate: narrow, since images still have the fringes of terrain and orbits, and wide enough for the bias of
samples that are not independent, which is that of fewer samples, to stay small."""

_AROUND = 3
"""Rows and columns around a cell whose estimates are averaged."""

REACH = tuple(reach + _AROUND for reach in _WINDOW.reach)
"""Cells above and below, and to the left and right, that the temporal coherence of a cell depends on."""

MOST_PAIRS = 15
"""All pairs of six images; of more images as many, of all intervals alike."""

NEAR_PAIRS = 5
"""Of the shortest intervals, as many as there are pairs of neighbours in six images."""


_LEAST_SHARE = 0.2
"""Of the samples of a window: a single one would always be coherent with itself."""


class TemporalCoherence(NamedTuple):
    """Mean squares of the coherence of pairs, without the bias of its estimate; (row, col), NaN where unknown.

    Up to 1; about 0 for none, and then below it for half of the pixels: cut off at 0, the mean would be too high.
    """

    square: NDArray[np.float64]
    """Of pairs of all intervals."""

    near_square: NDArray[np.float64]
    """Of pairs of short intervals."""


def history_pairs(images: int) -> list[tuple[int, int]]:
    """Pairs of images, evenly from all pairs in the order of their interval, the shortest ones first."""
    pairs = sorted(combinations(range(images), 2), key=lambda pair: (pair[1] - pair[0], pair[0]))
    chosen = np.linspace(0, len(pairs) - 1, min(len(pairs), MOST_PAIRS)).round().astype(int)
    return [pairs[index] for index in chosen]


def estimate_temporal_coherence(history: NDArray[np.complexfloating], looks: Looks) -> TemporalCoherence:
    """Temporal coherence around each cell.

    Parameters
    ----------
    history
        (image, row, col) in the order of their dates, at full resolution; 0 or not finite is no data.
    looks
        Pixels of a cell.

    Returns
    -------
    TemporalCoherence
        Of cells; NaN where no pair has samples enough.
    """
    estimator = CoherenceEstimator(_WINDOW, looks, least_share=_LEAST_SHARE)
    rows, cols = estimator.cells((history.shape[1], history.shape[2]))
    near, far = np.zeros((3, rows, cols)), np.zeros((3, rows, cols))
    for number, (first, second) in enumerate(history_pairs(len(history))):
        coherence, samples = estimator.estimate_with_samples(
            history[first], history[second], slice(0, rows), slice(0, cols), least_own=0
        )
        known = np.isfinite(coherence)
        squared, inverse_samples, pairs = near if number < NEAR_PAIRS else far
        squared[known] += np.square(coherence[known], dtype=np.float64)
        inverse_samples[known] += 1.0 / samples[known]
        pairs += known
    return TemporalCoherence(_unbiased_square(_sum_around(near + far)), _unbiased_square(_sum_around(near)))


def _sum_around(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums (quantity, row, col) over the cells around each, in an order that does not depend on where arrays begin."""
    down = sums.copy()
    for step in range(1, _AROUND + 1):
        down[:, step:] += sums[:, :-step]
        down[:, :-step] += sums[:, step:]
    around = down.copy()
    for step in range(1, _AROUND + 1):
        around[:, :, step:] += down[:, :, :-step]
        around[:, :, :-step] += down[:, :, step:]
    return around


def _unbiased_square(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean square coherence `s` from sums over pairs of ``s + (1 - s)^2 / M``, which estimates are, and ``1 / M``."""
    with np.errstate(invalid="ignore"):
        squared, inverse_samples = sums[0] / sums[2], sums[1] / sums[2]
    half = 0.5 - inverse_samples
    root = np.sqrt(np.maximum(half**2 + inverse_samples * (squared - inverse_samples), 0.0))
    square: NDArray[np.float64] = np.minimum((squared - inverse_samples) / (half + root), 1.0)
    return square
