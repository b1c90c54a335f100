"""The rate of displacement of a time series."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.acceleration import FALSE_ALARM_RATE, LEAST_RECENT_DATES, RECENT_DAYS, recent_dates
from insar.dem_error import date_baselines, view_geometry
from insar.errors import parse_choice
from insar.rates import RateFitter
from insar.series import Rate, TimeSeries
from insar.timefunctions import DEFAULT_MODEL, TimeModel, parse_model
from insar.uncertainty import NetworkNoise, Uncertainty, network_covariance, network_noise

__all__ = ["LEAST_RECENT_DATES", "RECENT_DAYS", "fit_rate", "fit_recent_rate", "fit_velocity", "recent_dates"]


def fit_velocity(
    series: TimeSeries,
    model: str = DEFAULT_MODEL,
    *,
    uncertainty: Uncertainty | str = Uncertainty.RESIDUAL,
    dem_error: bool = False,
    recent_days: float = RECENT_DAYS,
    false_alarm_rate: float = FALSE_ALARM_RATE,
) -> Rate:
    """Rate of a time series by ordinary least squares with a model of time.

    Parameters
    ----------
    series
        What `insar.invert` returns; not changed.
    model
        ``linear``, and after a ``+`` each: ``poly:N``, ``annual``, ``semiannual``, ``step:YYYYMMDD``,
        ``exp:YYYYMMDD:DAYS`` (``1 - exp(-t / DAYS)`` from that day) or ``log:YYYYMMDD:DAYS`` (``log(1 + t / DAYS)``).
        A constant is always fitted.
    uncertainty
        ``residual``; ``covariance``, which also propagates the noise of interferograms through the network; or
        ``bootstrap``, the spread of fits to dates drawn at random.
    dem_error
        Whether to fit height errors of the DEM with the model. The rate is then that of the series without them.
    recent_days
        Length of the trailing window of the recent rate and of the test for a change of rate.
    false_alarm_rate
        Of that test: the share of pixels in steady motion that it calls accelerating.

    Returns
    -------
    Rate in m/yr (with ``poly:2`` or above that in the middle of the series) and its standard deviation; acceleration,
    seasonal amplitude, steps and height errors where they are fitted. From the residuals a standard deviation is
    ``sqrt(sum(r^2) / (n - p) * ((G' G)^-1)_kk)``, which holds for errors that are independent from date to date, as the
    troposphere's are.

    Raises
    ------
    OptionError
        If the model cannot be understood, or the dates do not tell its terms apart.
    InputError
        If the stack does not say what height errors need: baselines, ranges, incidence angles.
    """
    chosen = parse_choice(Uncertainty, uncertainty, "uncertainty")
    stack, found = series.stack, series.layers
    everything = slice(None)
    fitter = RateFitter(
        series.dates,
        model=parse_model(model),
        uncertainty=chosen,
        baselines_m=date_baselines(stack) if dem_error else None,
        recent_days=recent_days,
        false_alarm_rate=false_alarm_rate,
    )
    covariance = network_covariance([(pair.reference, pair.secondary) for pair in stack.pairs])
    noise = network_noise(found["residual_rms"], found["pairs_used"], found["subsets"], covariance, len(stack.pairs))
    return fitter.fit(
        np.array(series.displacement_m) if dem_error else series.displacement_m,
        noise=noise,
        range_times_sine_m=view_geometry(stack).range_times_sine_m(everything, everything, stack.shape)
        if dem_error
        else None,
    )


def fit_rate(
    displacement: NDArray[Any],
    dates: tuple[date, ...],
    model: TimeModel | None = None,
    noise: NetworkNoise | None = None,
) -> Rate:
    """`fit_velocity` on an array (date, ...) in m, without the trailing window; the results have its other axes.

    With `noise` the standard deviation is that of `Uncertainty.COVARIANCE`: the noise of interferograms is propagated
    through the inversion and the fit, and what it puts into the residuals is taken out of them before they are read as
    errors that are independent from date to date. NaN where the noise is unknown.
    """
    uncertainty = Uncertainty.RESIDUAL if noise is None else Uncertainty.COVARIANCE
    return RateFitter(dates, model=model, uncertainty=uncertainty, recent_days=None).fit(displacement, noise=noise)


def fit_recent_rate(
    displacement: NDArray[Any], dates: tuple[date, ...], days: float = RECENT_DAYS
) -> NDArray[np.float32] | None:
    """Linear rate (m/yr) over the last `days` of a series (date, ...); None with fewer than three dates in them."""
    count = recent_dates(dates, days)
    if count < LEAST_RECENT_DATES:
        return None
    return fit_rate(displacement[-count:], dates[-count:]).velocity
