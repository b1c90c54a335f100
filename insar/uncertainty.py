"""How uncertain a rate is: what noise of interferograms becomes in a series and in what is fitted to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from insar.errors import OptionError


class Uncertainty(StrEnum):
    """What the standard deviation of a rate is made of."""

    RESIDUAL = "residual"
    """Residuals of the fit, as if errors of dates were independent."""
    COVARIANCE = "covariance"
    """The same, and the noise of interferograms as the network adds it up."""
    BOOTSTRAP = "bootstrap"
    """Spread of the fits to dates drawn at random, with replacement."""


BOOTSTRAP_DRAWS = 400
_TRIES_PER_DRAW = 20


@dataclass(frozen=True, slots=True)
class NetworkNoise:
    """Noise of interferograms and how the inversion spreads it over the dates.

    Attributes
    ----------
    variance
        (...) m^2, of the noise of one interferogram; NaN where the network leaves nothing to estimate it from.
    covariance
        (date, date) of the inverted series for interferograms of variance 1, the complete network unweighted.
    thinning
        (...) factor by which the covariance is larger at a pixel that misses interferograms.
    """

    variance: NDArray[np.floating]
    covariance: NDArray[np.float64]
    thinning: NDArray[np.floating] | float = 1.0


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
    pair_count: int | None = None,
) -> NetworkNoise:
    """Noise of interferograms from what the inversion left unexplained.

    The variance is the sum of squared residuals over the redundancy: interferograms minus dates plus subsets. With
    `pair_count`, the number of interferograms of the network, pixels that miss some have a larger covariance: by the
    redundancy of the network over theirs.

    Notes
    -----
    The factor is that of effective-medium theory for a network of resistors, which this is: with a share `q` of its
    conductors cut at random, its conductance falls by ``1 - q / (1 - r)``, where `r` is the resistance that a conductor
    meets between its ends, in units of its own. On average over the network `r` is dates minus 1 over interferograms
    (Foster's theorem), which makes it the ratio of the redundancies.

    References
    ----------
    Kirkpatrick, S. (1973), Percolation and conduction, Reviews of Modern Physics 45(4).
    """
    used = pairs_used.astype(np.float64)
    redundancy = used - (len(covariance) - subsets.astype(np.float64))
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.where(redundancy > 0, residual_rms.astype(np.float64) ** 2 * used / redundancy, np.nan)
        thinning: NDArray[np.float64] | float = 1.0
        if pair_count is not None:
            thinning = np.where(redundancy > 0, (pair_count - len(covariance) + 1) / redundancy, np.nan)
    return NetworkNoise(variance, covariance, thinning)


def bootstrap_forms(
    design: NDArray[np.float64],
    entries: Sequence[tuple[int, int]],
    *,
    draws: int = BOOTSTRAP_DRAWS,
    seed: int = 0,
) -> NDArray[np.float64]:
    r"""Quadratic forms of the residuals that are the bootstrap's covariances of the terms of a fit.

    Parameters
    ----------
    design
        (date, term).
    entries
        Pairs of terms whose covariance is wanted.
    draws
        Number of samples of dates, the same for all pixels.
    seed
        Of the generator.

    Returns
    -------
    (entry, date, date) symmetric matrices.

    Notes
    -----
    A sample draws as many dates as there are, with replacement; its estimates are a matrix :math:`S_k` (term, date)
    times the series. The covariance of terms i and j over the samples is then the quadratic form
    :math:`d^T V_{ij} d` of the series with :math:`V_{ij} = \sum_k (s_{ki} - \bar s_i)(s_{kj} - \bar s_j)^T / (B - 1)`,
    one matrix for all pixels. As every :math:`S_k` reproduces the model exactly, the residuals may take the place of
    the series, and do, for precision. Samples that do not tell the terms apart are drawn again.

    Raises
    ------
    OptionError
        If hardly any sample tells the terms apart.

    References
    ----------
    Efron, B., Tibshirani, R. (1986), Bootstrap methods for standard errors, confidence intervals, and other measures of
    statistical accuracy, Statistical Science 1(1).
    """
    dates, terms = design.shape
    length = np.linalg.norm(design, axis=0)
    scaled = design / np.where(length > 0, length, 1.0)
    generator = np.random.default_rng(seed)
    solutions = np.empty((draws, terms, dates))
    done = 0
    for _ in range(_TRIES_PER_DRAW * draws):
        counts = np.bincount(generator.integers(dates, size=dates), minlength=dates).astype(np.float64)
        normal = scaled.T @ (counts[:, None] * scaled)
        if np.linalg.matrix_rank(normal, tol=1e-9, hermitian=True) == terms:
            solutions[done] = np.linalg.solve(normal, scaled.T * counts) / length[:, None]
            done += 1
            if done == draws:
                break
    else:
        raise OptionError(
            "--uncertainty bootstrap",
            required=f"dates enough that samples of them tell the {terms} terms of the fit apart",
            found=f"{dates} dates, {done} such samples of {_TRIES_PER_DRAW * draws}",
            remedy="Use fewer terms in the model of time, or --uncertainty residual",
        )
    solutions -= solutions.mean(axis=0)
    forms = np.empty((len(entries), dates, dates))
    for place, (one, other) in enumerate(entries):
        product = solutions[:, one].T @ solutions[:, other] / (draws - 1)
        forms[place] = 0.5 * (product + product.T)
    return forms
