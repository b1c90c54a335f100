"""The rate of displacement and its uncertainty."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.errors import OptionError
from insar.series import Rate, TimeSeries, years_since_first


def fit_velocity(series: TimeSeries, model: str = "linear") -> Rate:
    """Rate of a time series by ordinary least squares with an intercept.

    Parameters
    ----------
    series
        What `insar.invert` returns.
    model
        Time function; ``linear`` is the one there is.

    Returns
    -------
    Rate in m/yr and its standard deviation from the residuals, ``sqrt(sum(r^2) / (n - 2) / sum((t - mean(t))^2))``,
    which holds for errors that are independent from date to date, as the troposphere's are.

    Raises
    ------
    OptionError
        If the model is not known.
    """
    if model != "linear":
        raise OptionError("model", required="'linear'", found=repr(model), remedy="Fit a linear rate")
    return fit_rate(series.displacement_m, series.dates)


def fit_rate(displacement: NDArray[Any], dates: tuple[date, ...]) -> Rate:
    """`fit_velocity` on an array (date, ...) in m; the results have its other axes."""
    from insar.kernels.velocity import fit_lines

    years = years_since_first(dates)
    shape = displacement.shape[1:]
    values = np.ascontiguousarray(displacement).reshape(len(dates), -1)
    velocity = np.empty(values.shape[1], dtype=np.float32)
    deviation = np.empty(values.shape[1], dtype=np.float32)
    fit_lines(values, years - years.mean(), velocity, deviation)
    return Rate(velocity.reshape(shape), deviation.reshape(shape))
