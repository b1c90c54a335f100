"""The rate of displacement, its uncertainty, and what else a model of time says of a series."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.errors import parse_choice
from insar.series import Rate, TimeSeries
from insar.timefunctions import DEFAULT_MODEL, TimeModel, parse_model
from insar.uncertainty import NetworkNoise, Uncertainty, network_covariance, network_noise

RECENT_DAYS = 60.0
"""Length of the trailing window of `fit_recent_rate`."""

LEAST_RECENT_DATES = 3


def fit_velocity(
    series: TimeSeries, model: str = DEFAULT_MODEL, *, uncertainty: Uncertainty | str = Uncertainty.RESIDUAL
) -> Rate:
    """Rate of a time series by ordinary least squares with a model of time.

    Parameters
    ----------
    series
        What `insar.invert` returns.
    model
        ``linear``, and after a ``+`` each: ``poly:N``, ``annual``, ``semiannual``, ``step:YYYYMMDD``,
        ``exp:YYYYMMDD:DAYS`` (``1 - exp(-t / DAYS)`` from that day) or ``log:YYYYMMDD:DAYS`` (``log(1 + t / DAYS)``).
        A constant is always fitted.
    uncertainty
        ``residual``, or ``covariance``, which also propagates the noise of interferograms through the network.

    Returns
    -------
    Rate in m/yr (with ``poly:2`` or above that in the middle of the series) and its standard deviation; acceleration
    and seasonal amplitude where the model has them. From the residuals the standard deviation is
    ``sqrt(sum(r^2) / (n - p) * ((G' G)^-1)_kk)``, which holds for errors that are independent from date to date, as the
    troposphere's are.

    Raises
    ------
    OptionError
        If the model cannot be understood, or the dates do not tell its terms apart.
    """
    noise = None
    if parse_choice(Uncertainty, uncertainty, "uncertainty") is Uncertainty.COVARIANCE:
        layers = series.layers
        covariance = network_covariance([(pair.reference, pair.secondary) for pair in series.stack.pairs])
        noise = network_noise(layers["residual_rms"], layers["pairs_used"], layers["subsets"], covariance)
    return fit_rate(series.displacement_m, series.dates, parse_model(model), noise)


def fit_rate(
    displacement: NDArray[Any],
    dates: tuple[date, ...],
    model: TimeModel | None = None,
    noise: NetworkNoise | None = None,
) -> Rate:
    """`fit_velocity` on an array (date, ...) in m; the results have its other axes.

    With `noise` the standard deviation is that of `Uncertainty.COVARIANCE`: the noise of interferograms is propagated
    through the inversion and the fit, and what it puts into the residuals is taken out of them before they are read as
    errors that are independent from date to date. NaN where the noise is unknown.
    """
    from insar.kernels.velocity import fit_terms

    chosen = model or parse_model(DEFAULT_MODEL)
    design = chosen.design(dates)
    shape = displacement.shape[1:]
    values = np.ascontiguousarray(displacement).reshape(len(dates), -1)
    coefficients = np.empty((design.shape[1], values.shape[1]))
    variance = np.empty(values.shape[1])
    solution = np.linalg.pinv(design)
    fit_terms(values, design, np.ascontiguousarray(solution), coefficients, variance)
    spread = np.linalg.inv(design.T @ design)[1, 1]
    rate_variance = variance * spread
    if noise is not None:
        freedom = len(dates) - design.shape[1]
        annihilator = np.eye(len(dates)) - design @ solution
        in_residuals = float(np.trace(annihilator @ noise.covariance)) / max(freedom, 1)
        in_rate = float(solution[1] @ noise.covariance @ solution[1])
        of_pair = noise.variance.reshape(-1)
        rate_variance = np.maximum(variance - of_pair * in_residuals, 0.0) * spread + of_pair * in_rate
    acceleration = seasonal = None
    if chosen.degree >= 2:
        acceleration = _layer(2.0 * coefficients[2], shape)
    if 1 in chosen.periods_per_year:
        first = chosen.degree + 1 + 2 * chosen.periods_per_year.index(1)
        seasonal = _layer(np.hypot(coefficients[first], coefficients[first + 1]), shape)
    return Rate(_layer(coefficients[1], shape), _layer(np.sqrt(rate_variance), shape), acceleration, seasonal)


def recent_dates(dates: tuple[date, ...], days: float = RECENT_DAYS) -> int:
    """How many of the last dates lie within the trailing window."""
    return sum((dates[-1] - day).days <= days for day in dates)


def fit_recent_rate(
    displacement: NDArray[Any], dates: tuple[date, ...], days: float = RECENT_DAYS
) -> NDArray[np.float32] | None:
    """Linear rate (m/yr) over the last `days` of a series (date, ...); None with fewer than three dates in them."""
    count = recent_dates(dates, days)
    if count < LEAST_RECENT_DATES:
        return None
    return fit_rate(displacement[-count:], dates[-count:]).velocity


def _layer(values: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float32]:
    return values.astype(np.float32).reshape(shape)
