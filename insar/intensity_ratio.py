"""Test whether two pixels have the same mean intensity, from a few images whose speckle is partly the same."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

MOST_COHERENCE = 0.98
"""Temporal coherence above which it is taken as this: there, all images together say what one of them does."""

_NODES = np.exp(np.arange(-50.0, 12.0, 0.2))
"""Of the integral over the characteristic function: in logarithms the trapezoid rule is exact to rounding."""

_COHERENCES = np.linspace(0.0, MOST_COHERENCE, 50)

_KNOTS = np.concatenate([[-0.04], _COHERENCES**2])

_LARGEST_LOG_RATIO = 20.0


def _exceedance(log_ratio: float, images: int, looks: float, coherence: float) -> float:
    """Probability that one mean intensity exceeds another of the same expectation by a factor."""
    ratio = np.exp(log_ratio)
    common, single = 1.0 - coherence + images * coherence, 1.0 - coherence
    damping = np.zeros_like(_NODES)
    angle = np.zeros_like(_NODES)
    # Difference of the one and the other times the ratio, each a sum of two Gamma variates.
    for scale, shape in (
        (common, looks),
        (single, looks * (images - 1)),
        (-ratio * common, looks),
        (-ratio * single, looks * (images - 1)),
    ):
        damping += 0.5 * shape * np.log1p((scale * _NODES) ** 2)
        angle += shape * np.arctan(scale * _NODES)
    return float(0.5 + np.sum(np.exp(-damping) * np.sin(angle)) * 0.2 / np.pi)


def critical_log_ratio(images: int, looks: float, coherence: float, rejection_rate: float) -> float:
    """Logarithm of the ratio of two mean intensities that equal pixels exceed, either way, at a given rate.

    Parameters
    ----------
    images
        How many images each mean is of.
    looks
        Independent looks of each image.
    coherence
        Temporal coherence of the images with each other, 0 to 1.
    rejection_rate
        Share of equal pixels, 0 to 1, whose ratio is further from 1 than this.

    Returns
    -------
    float
        Natural logarithm, positive.

    Notes
    -----
    For circular Gaussian speckle whose `N` images all have the coherence `g` with each other, the sum of intensities is
    ``(1 - g + N g) G(L) + (1 - g) G(L (N - 1))``, with `G` independent Gamma variates: the covariance has the one
    eigenvalue ``1 - g + N g`` and ``N - 1`` times ``1 - g``. For ``g = 0`` the ratio of two such sums has the F
    distribution of ``2 N L`` and ``2 N L`` degrees of freedom, and the test is that of the likelihood ratio. In
    general the distribution follows from the characteristic function of the difference (Gil-Pelaez 1951, Biometrika
    38, 481-482). One Gamma variate of matching variance instead would have the tails wrong: at ``g = 0.8`` and six
    images it rejects less than half of what is asked for.
    """
    coherence = min(coherence, MOST_COHERENCE)
    low, high = 0.0, _LARGEST_LOG_RATIO
    while high - low > 1e-9:
        middle = 0.5 * (low + high)
        if _exceedance(middle, images, looks, coherence) > 0.5 * rejection_rate:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@lru_cache(maxsize=256)
def _critical_table(images: int, looks: float, rejection_rate: float) -> NDArray[np.float64]:
    """At the squares of `_KNOTS`: the first lies below 0, in line with the next two."""
    known = [critical_log_ratio(images, looks, float(each), rejection_rate) for each in _COHERENCES]
    slope = (known[1] - known[0]) / (_KNOTS[2] - _KNOTS[1])
    return np.array([known[0] + slope * (_KNOTS[0] - _KNOTS[1]), *known])


def critical_log_ratios(
    images: NDArray[np.integer], looks: float, squared_coherence: NDArray[np.floating], rejection_rate: float
) -> NDArray[np.float64]:
    """`critical_log_ratio` of every pixel, interpolated between 50 coherences.

    Parameters
    ----------
    images
        (row, col) how many images the mean of a pixel is of.
    squared_coherence
        (row, col) mean square of the temporal coherence, up to 1; NaN where unknown. Estimates without bias are below
        0 for half of the pixels that have none: cut off there, they would widen the critical value on average.

    Returns
    -------
    NDArray
        (row, col) NaN where the coherence is unknown or there is no image.
    """
    critical = np.full(images.shape, np.nan)
    for count in np.unique(images[images > 0]):
        here = images == count
        table = _critical_table(int(count), looks, rejection_rate)
        critical[here] = np.interp(squared_coherence[here], _KNOTS, table)
    return critical
