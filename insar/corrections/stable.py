"""Fits to a series outside of what moves: a linear model at every date, and the pixels that it may be fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.corrections.base import SeriesSample
from insar.errors import InputError
from insar.quality import LOW_TEMPORAL_COHERENCE

HUBER, TUKEY = 1.345, 4.685
"""Tuning constants of 95 % efficiency with normal errors."""

MOST_ROUNDS = 100
LEAST_SCALE_M = 1e-6
"""Residuals below this are taken for exact."""

OUTLYING_RATE = 3.0
"""Robust standard deviations of the rates beyond which a pixel counts as moving."""

KEPT_SHARE, TRIMMED_STARTS = 0.6, 500
"""Of least trimmed squares: share of the pixels that the rates of the others do not pull, and trial fits."""

LEAST_RATE_SCALE_M_PER_YEAR = 1e-5
POINTS_PER_TERM = 10
MOST_EXCLUSIONS = 10
LARGEST_CONDITION = 1e8
"""Of the normal matrix with columns of unit length."""


@dataclass(frozen=True, slots=True)
class StableFit:
    """A linear model of every date.

    Attributes
    ----------
    coefficients, standard_errors
        (date, term) m; the errors are those of residuals that are independent from pixel to pixel, and too small where
        turbulence makes neighbours alike.
    used
        (point,) which pixels it was fitted to.
    least_coherence
        Temporal coherence that they have at least; NaN where none is known.
    coherent_count
        Pixels with it and with values, moving or not.
    """

    coefficients: NDArray[np.float64]
    standard_errors: NDArray[np.float64]
    used: NDArray[np.bool_]
    least_coherence: float
    coherent_count: int

    @property
    def facts(self) -> dict[str, Any]:
        """What the fit rests on, for a manifest."""
        count = int(self.used.sum())
        return {
            "pixels": count,
            "moving_share": 1.0 - count / self.coherent_count,
            "least_temporal_coherence": None if np.isnan(self.least_coherence) else self.least_coherence,
        }


def fit_stable(
    design: NDArray[np.float64], terms: Sequence[str], sample: SeriesSample, *, step: str, robust: bool = True
) -> StableFit:
    """Fit a linear model to every date of a series, outside of what moves.

    Pixels whose temporal coherence is known to be low are left out. So are those whose linear rate is an outlier: from
    the model itself fitted to the rates by least trimmed squares, which two fifths of the scene may move without
    pulling, and then from what the fit leaves, until they stay the same.

    Parameters
    ----------
    design
        (point, term), columns of similar size; NaN where a point cannot be used.
    terms
        Names of the columns, for messages.
    sample
        The series.
    step
        Name of the step, for messages.
    robust
        Huber's and then Tukey's estimator; else ordinary least squares on all coherent pixels, moving or not.

    Raises
    ------
    InputError
        There are too few usable pixels, or they do not tell the terms apart.
    """
    values = sample.displacement_m
    usable = known_throughout(values) & known_throughout(design.T)
    needed = POINTS_PER_TERM * len(terms)
    coherent, least_coherence = _coherent(sample.temporal_coherence, usable, needed)
    if int(coherent.sum()) < needed:
        raise InputError(
            f"correction {step}",
            required=f"at least {needed} pixels of the lattice with a series, to fit {', '.join(terms)}",
            found=f"{int(coherent.sum())}",
            remedy="Switch it off, or keep more interferograms so that more pixels have data",
        )
    used = coherent & ~_moving(design, values, sample.dates, coherent) if robust else coherent
    if int(used.sum()) < needed:
        used = coherent
    seen: list[NDArray[np.bool_]] = []
    while True:
        fitted = _fit(design, terms, values, used, step=step, robust=robust)
        seen.append(used)
        if not robust or len(seen) > MOST_EXCLUSIONS:
            break
        residual = values - predicted(design, fitted[0])
        used = coherent & ~outlying_rates(residual, sample.dates, coherent)
        if any(np.array_equal(used, earlier) for earlier in seen) or int(used.sum()) < needed:
            used = seen[-1]
            break
    return StableFit(fitted[0], fitted[1], used, least_coherence, int(coherent.sum()))


def known_throughout(values: NDArray[np.floating]) -> NDArray[np.bool_]:
    """(point,) where an array (date, point) is known at every date."""
    return np.asarray(np.isfinite(values).all(axis=0))


def predicted(design: NDArray[np.float64], coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of a model: (date, point) of a design (point, term) and coefficients (date, term).

    Terms are added one by one: a product of matrices may round differently with the number of threads.
    """
    total = np.zeros((len(coefficients), len(design)))
    for term in range(design.shape[1]):
        total += coefficients[:, term, None] * design[None, :, term]
    return total


def outlying_rates(series: NDArray[np.float64], dates: Sequence[date], among: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(point,) whose least-squares rate is far from the median of some points, in their robust standard deviations.

    Parameters
    ----------
    series
        (date, point) m.
    dates
        Its dates.
    among
        (point,) which points median and deviation are taken from.
    """
    return _outlying(linear_rates(series, dates), among)


def linear_rates(series: NDArray[np.float64], dates: Sequence[date]) -> NDArray[np.float64]:
    """(point,) m/yr, least-squares slopes."""
    years = np.array([(day - dates[0]).days for day in dates]) / 365.25
    years -= years.mean()
    slopes: NDArray[np.float64] = (years[:, None] * series).sum(axis=0) / max(float((years**2).sum()), 1e-12)
    return slopes


def _outlying(rates: NDArray[np.float64], among: NDArray[np.bool_]) -> NDArray[np.bool_]:
    middle = np.median(rates[among])
    spread = max(1.4826 * float(np.median(np.abs(rates[among] - middle))), LEAST_RATE_SCALE_M_PER_YEAR)
    outlying: NDArray[np.bool_] = np.abs(rates - middle) > OUTLYING_RATE * spread
    return outlying


def _moving(
    design: NDArray[np.float64], series: NDArray[np.float64], dates: Sequence[date], among: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """(point,) whose rate does not follow the model that most of the rates follow."""
    from insar.kernels.robust import fit_trimmed

    chosen, rates = np.ascontiguousarray(design[among]), linear_rates(series, dates)
    points, terms = chosen.shape
    starts = np.random.default_rng(0).integers(points, size=(TRIMMED_STARTS, terms), dtype=np.intp)
    coefficients = np.empty(terms)
    fit_trimmed(chosen, rates[among], starts, int(np.ceil(KEPT_SHARE * points)), coefficients)
    if not np.isfinite(coefficients).all():  # said by the fit itself
        return np.zeros(len(rates), bool)
    return _outlying(rates - predicted(design, coefficients[None])[0], among)


def _coherent(
    coherence: NDArray[np.floating], usable: NDArray[np.bool_], needed: int
) -> tuple[NDArray[np.bool_], float]:
    """Usable pixels without low coherence, and the least they have; the better half where those are too few."""
    known = usable & np.isfinite(coherence)
    if not known.any():
        return usable, float("nan")
    least = LOW_TEMPORAL_COHERENCE
    chosen = usable & ~(coherence < least)
    if int(chosen.sum()) < needed:
        least = min(least, float(np.median(coherence[known])))
        chosen = usable & ~(coherence < least)
    return chosen, least


def _fit(
    design: NDArray[np.float64],
    terms: Sequence[str],
    values: NDArray[np.float64],
    used: NDArray[np.bool_],
    *,
    step: str,
    robust: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from insar.kernels.robust import fit_robust

    chosen = np.ascontiguousarray(design[used])
    normal = (chosen[:, :, None] * chosen[:, None, :]).sum(axis=0)
    diagonal = np.sqrt(np.diag(normal))
    target = np.ascontiguousarray(values[:, used])
    coefficients = np.full((len(values), len(terms)), np.nan)
    scale = np.empty(len(values))
    if (diagonal > 0).all() and np.linalg.cond(normal / np.outer(diagonal, diagonal)) < LARGEST_CONDITION:
        rounds = MOST_ROUNDS if robust else 0
        fit_robust(chosen, target, HUBER, TUKEY, LEAST_SCALE_M, rounds, coefficients, scale)
    if not np.isfinite(coefficients).all():
        raise InputError(
            f"correction {step}",
            required=f"pixels that tell {', '.join(terms)} apart",
            found=f"{int(used.sum())} pixels that do not, such as some on one line",
            remedy="Switch it off for this scene",
        )
    residual = target - predicted(chosen, coefficients)
    freedom = residual.shape[1] - len(terms)
    if robust:
        # Huber (1981), section 7.6: the covariance of an M-estimate of regression.
        size = (residual / (TUKEY * scale[:, None])) ** 2
        inside = size < 1.0
        influence = np.where(inside, residual * (1.0 - size) ** 2, 0.0)
        slope = np.where(inside, (1.0 - size) * (1.0 - 5.0 * size), 0.0).mean(axis=1)
        variance = (influence**2).sum(axis=1) / freedom / slope**2
    else:
        variance = (residual**2).sum(axis=1) / freedom
    errors = np.sqrt(variance[:, None] * np.diag(np.linalg.inv(normal)))
    return coefficients, errors
