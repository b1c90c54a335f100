"""How uncertain a rate is: what noise of interferograms becomes in a series and in what is fitted to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class Uncertainty(StrEnum):
    """What the standard deviation of a rate is made of."""

    RESIDUAL = "residual"
    """Residuals of the fit, as if errors of dates were independent."""
    COVARIANCE = "covariance"
    """The same, and the noise of interferograms as the network adds it up."""


@dataclass(frozen=True, slots=True)
class NetworkNoise:
    """Noise of interferograms and how the inversion spreads it over the dates.

    Attributes
    ----------
    variance
        (...) m^2, of the noise of one interferogram; NaN where the network leaves nothing to estimate it from.
    covariance
        (date, date) of the inverted series for interferograms of variance 1, the complete network unweighted.
    """

    variance: NDArray[np.floating]
    covariance: NDArray[np.float64]


def network_covariance(pairs: Sequence[tuple[date, date]]) -> NDArray[np.float64]:
    """(date, date) covariance of the series that independent interferograms of variance 1 are inverted to."""
    days = sorted({day for pair in pairs for day in pair})
    place = {day: index for index, day in enumerate(days)}
    incidence = np.zeros((len(pairs), len(days)))
    for row, (first, second) in enumerate(pairs):
        incidence[row, [place[first], place[second]]] = -1.0, 1.0
    covariance = np.zeros((len(days), len(days)))
    # Dates of another subset than the first have offsets that no interferogram knows: the pseudo-inverse leaves them 0.
    covariance[1:, 1:] = np.linalg.pinv(incidence[:, 1:].T @ incidence[:, 1:])
    return covariance


def network_noise(
    residual_rms: NDArray[np.floating],
    pairs_used: NDArray[np.integer],
    subsets: NDArray[np.integer],
    covariance: NDArray[np.float64],
) -> NetworkNoise:
    """Noise of interferograms from what the inversion left unexplained.

    The variance is the sum of squared residuals over the redundancy: interferograms minus dates plus subsets.
    """
    used = pairs_used.astype(np.float64)
    redundancy = used - (len(covariance) - subsets.astype(np.float64))
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.where(redundancy > 0, residual_rms.astype(np.float64) ** 2 * used / redundancy, np.nan)
    return NetworkNoise(variance, covariance)
