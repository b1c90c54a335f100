"""Coherence over ensembles of similar pixels ("siblings"), which follow the edges of fields instead of a rectangle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from insar.coherence import CoherenceEstimator, check_images
from insar.errors import InputError, OptionError
from insar.intensity_ratio import critical_log_ratios
from insar.kernels.coherence import PRODUCTS, multiply_cells
from insar.kernels.siblings import describe_history, sum_siblings
from insar.windows import ONE_LOOK, Looks, Window

DEFAULT_WINDOW = Window(15, 15)
DEFAULT_REJECTION_RATE = 0.05
DEFAULT_LEAST_IMAGES = 6
DEFAULT_LEAST_SIBLINGS = 10

HISTORY_WINDOW = Window(7, 7)
"""Of the temporal coherence: enough samples to take its bias out, and narrow enough for a fringe."""

MOST_HISTORY_PAIRS = 15
"""All pairs of six images; of more images as many, of all intervals alike."""


class SiblingCoherence(NamedTuple):
    """What `SiblingEstimator` finds."""

    coherence: NDArray[np.float32]
    """(pair, row, col) 0 to 1; NaN where the cell has no data in a pair or in the history, or too few siblings."""

    siblings: NDArray[np.uint16]
    """(row, col) how many, the cell itself among them; 0 where the history does not tell."""


@dataclass(frozen=True, slots=True)
class SiblingEstimator:
    """Coherence over those pixels of a window whose mean intensity, before the event, was that of the pixel itself.

    Parameters
    ----------
    window
        Cells among which siblings are looked for.
    false_rejection_rate
        Share of the pixels of a uniform field that the test takes for different.
    least_images
        Images of the history that must have data at a cell.
    least_siblings
        With fewer siblings, the cell itself among them, there is no estimate.
    looks
        Pixels of a cell.

    Raises
    ------
    OptionError
        For a window that is not odd, looks that are not positive, a rate that is not between 0 and 1, or too few
        images or siblings.

    Notes
    -----
    The two-sample test is that of the ratio of mean intensities, which for speckle is the likelihood ratio test, at
    the exact critical value for the number of images and their temporal coherence (`insar.intensity_ratio`). A
    Kolmogorov-Smirnov or Anderson-Darling test of amplitudes has next to no power at six images, and since its levels
    are discrete it keeps no rate that is asked for; images that are coherent with each other it takes for independent.

    Temporal coherence is estimated around each cell from pairs of the history, without its bias. A fringe steeper
    than a quarter of a cycle in seven cells hides part of it, and then more siblings are rejected than is stated.

    Pixels of equal mean intensity and different statistics, a point target in a field of equal brightness for
    instance, are not told apart. Neighbours in images that are sampled more finely than they resolve differ less
    than independent pixels do, so that fewer of them are rejected; with several looks such cells hold fewer
    independent samples than pixels, and more are rejected.

    References
    ----------
    Spaans, K. and Hooper, A. (2016), Journal of Geophysical Research: Solid Earth 121, 6258-6269: coherence over
    ensembles chosen from amplitudes.
    """

    window: Window = DEFAULT_WINDOW
    false_rejection_rate: float = DEFAULT_REJECTION_RATE
    least_images: int = DEFAULT_LEAST_IMAGES
    least_siblings: int = DEFAULT_LEAST_SIBLINGS
    looks: Looks = ONE_LOOK

    def __post_init__(self) -> None:
        self.window.check()
        self.looks.check()
        if not 0.0 < self.false_rejection_rate < 1.0:
            raise OptionError(
                "false_rejection_rate",
                required="a share of pixels between 0 and 1",
                found=f"{self.false_rejection_rate:g}",
                remedy=f"Give for instance {DEFAULT_REJECTION_RATE:g}",
            )
        if self.least_images < 2 or not 1 <= self.least_siblings <= self.window.rows * self.window.cols:
            raise OptionError(
                "least_images, least_siblings",
                required="at least 2 images, and from 1 sibling to as many as the window has cells",
                found=f"{self.least_images} images, {self.least_siblings} siblings in {self.window.rows} by "
                f"{self.window.cols} cells",
                remedy=f"Give for instance {DEFAULT_LEAST_IMAGES} images and {DEFAULT_LEAST_SIBLINGS} siblings",
            )

    @property
    def reach(self) -> tuple[int, int]:
        """Cells above and below, and to the left and right, that the estimate at one cell depends on."""
        rows, cols = self.window.reach
        return rows + HISTORY_WINDOW.reach[0], cols + HISTORY_WINDOW.reach[1]

    def scratch_bytes_per_cell(self, pairs: int) -> int:
        """Memory for each cell of a part, beside the images and the result."""
        return 8 * (PRODUCTS * pairs + 10)

    def estimate(
        self,
        history: NDArray[np.complexfloating],
        first: Sequence[NDArray[np.complexfloating]],
        second: Sequence[NDArray[np.complexfloating]],
        rows: slice,
        cols: slice,
    ) -> SiblingCoherence:
        """Sibling coherence of some cells of a part of the images; the same bits as from any other part.

        Parameters
        ----------
        history
            (image, row, col) images before the event at full resolution, none of them after it; from a corner of a
            cell on, with the `reach` around the cells that are wanted wherever the image goes on; 0 or not finite is
            no data.
        first, second
            Both images of each pair, (row, col) of the same part.
        rows, cols
            Cells of this part that are wanted.

        Returns
        -------
        SiblingCoherence
            Coherence of each pair and the number of siblings.

        Raises
        ------
        InputError
            If the history has fewer than `least_images` images, or images are not complex or of different size.
        """
        self._check_history(history)
        for one, other in zip(first, second, strict=True):
            check_images(history[0], one)
            check_images(history[0], other)
        history = np.ascontiguousarray(history)
        shape = history.shape[1] // self.looks.rows, history.shape[2] // self.looks.cols
        log_intensity = np.empty(shape, np.float64)
        images = np.empty(shape, np.int32)
        describe_history(history, *self.looks, log_intensity, images)
        critical = critical_log_ratios(
            np.where(images >= self.least_images, images, 0),
            self.looks.rows * self.looks.cols,
            self.squared_temporal_coherence(history),
            self.false_rejection_rate,
        )
        products = np.empty((len(first), PRODUCTS, *shape), np.float64)
        for pair, (one, other) in enumerate(zip(first, second, strict=True)):
            multiply_cells(np.ascontiguousarray(one), np.ascontiguousarray(other), *self.looks, products[pair])
        wanted = rows.stop - rows.start, cols.stop - cols.start
        result = SiblingCoherence(np.empty((len(first), *wanted), np.float32), np.empty(wanted, np.uint16))
        sum_siblings(
            log_intensity,
            0.5 * critical**2,  # of two pixels of the same kind the sum is the square of the critical value
            products,
            rows.start,
            cols.start,
            *self.window.reach,
            self.least_siblings,
            result.coherence,
            result.siblings,
        )
        return result

    def squared_temporal_coherence(self, history: NDArray[np.complexfloating]) -> NDArray[np.float64]:
        """Mean square coherence of the images of a history with each other, without the bias of its estimate.

        Parameters
        ----------
        history
            (image, row, col) at full resolution; 0 or not finite is no data.

        Returns
        -------
        NDArray
            (row, col) of cells, up to 1, about 0 and also below for none; NaN where no pair has samples enough.
        """
        estimator = CoherenceEstimator(HISTORY_WINDOW, self.looks)
        shape = estimator.cells(history.shape[1:])
        whole = slice(0, shape[0]), slice(0, shape[1])
        squared, inverse_samples, pairs = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        for first, second in _history_pairs(len(history)):
            coherence, samples = estimator.estimate_with_samples(history[first], history[second], *whole)
            known = np.isfinite(coherence)
            squared[known] += np.square(coherence[known], dtype=np.float64)
            inverse_samples[known] += 1.0 / samples[known]
            pairs += known
        with np.errstate(invalid="ignore"):
            return _unbiased_square(squared / pairs, inverse_samples / pairs)

    def _check_history(self, history: NDArray[np.complexfloating]) -> None:
        if history.ndim != 3 or not np.iscomplexobj(history) or len(history) < self.least_images:
            raise InputError(
                "history of the sibling coherence",
                required=f"a complex array (image, row, col) of at least {self.least_images} images before the event",
                found=f"{history.dtype} {history.shape}",
                remedy="Give more images from before the event, or estimate boxcar coherence alone",
            )


def _history_pairs(images: int) -> list[tuple[int, int]]:
    """Pairs of images, evenly from all pairs in the order of their interval."""
    pairs = sorted(combinations(range(images), 2), key=lambda pair: (pair[1] - pair[0], pair[0]))
    chosen = np.linspace(0, len(pairs) - 1, min(len(pairs), MOST_HISTORY_PAIRS)).round().astype(int)
    return [pairs[index] for index in chosen]


def _unbiased_square(squared: NDArray[np.float64], inverse_samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Square of the coherence from the mean square of its estimates, whose expectation is ``s + (1 - s)^2 / M``."""
    half = 0.5 - inverse_samples
    root = np.sqrt(np.maximum(half**2 + inverse_samples * (squared - inverse_samples), 0.0))
    return np.minimum((squared - inverse_samples) / (half + root), 1.0)
