"""Histogram of one coherence given to another: what the whole scene lost is not damage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

QUANTILES = 513
"""Of either histogram; between them the match is linear."""


@dataclass(frozen=True, slots=True)
class HistogramMatch:
    """Monotone table from one coherence to another of the same histogram.

    It assumes that only a small part of the scene is damaged: what is taken out is whatever the scene lost as a whole,
    by weather, by vegetation or by a longer perpendicular baseline, and damage that is widespread goes with it.

    Attributes
    ----------
    values
        (quantile,) coherence to be matched, ascending, each once.
    matched
        (quantile,) what it becomes, ascending.

    References
    ----------
    Yun, S.-H. et al. (2015), Seismological Research Letters 86, 1549-1557.
    """

    values: NDArray[np.float64]
    matched: NDArray[np.float64]

    def apply(self, coherence: NDArray[np.float32]) -> NDArray[np.float32]:
        """Matched coherence; NaN stays NaN, values beyond the table become its ends."""
        matched = np.interp(coherence, self.values, self.matched)
        return np.where(np.isnan(coherence), np.float32(np.nan), matched.astype(np.float32))

    @property
    def shift(self) -> float:
        """Mean of what is added to the quantiles."""
        return float(np.mean(self.matched - self.values))


def match_histogram(coherence: NDArray[np.float32], target: NDArray[np.float32]) -> HistogramMatch | None:
    """Table that gives a sample of coherence the histogram of another, from the pixels that both have.

    Parameters
    ----------
    coherence, target
        Samples of the same pixels, NaN where there is no data.

    Returns
    -------
    HistogramMatch or None
        None where no pixel has both.
    """
    both = np.isfinite(coherence) & np.isfinite(target)
    if not both.any():
        return None
    shares = np.linspace(0.0, 1.0, QUANTILES)
    values, matched = (np.quantile(part[both].astype(np.float64), shares) for part in (coherence, target))
    # Values of few bits repeat: one of them stands for all the quantiles it covers.
    unique, place = np.unique(values, return_inverse=True)
    return HistogramMatch(unique, np.bincount(place, weights=matched) / np.bincount(place))
