"""Straight line through the time series of every pixel of a block."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from insar.kernels.jit import kernel

TILE = 256


@kernel
def fit_lines(
    series: NDArray[np.floating],
    years: NDArray[np.float64],
    slope: NDArray[np.float32],
    slope_std: NDArray[np.float32],
) -> None:
    """Ordinary least squares with intercept.

    Parameters
    ----------
    series
        (date, pixel); a pixel with any NaN gets NaN.
    years
        (date,) time minus its mean.
    slope, slope_std
        (pixel,) out: unit of `series` per year.
    """
    dates, pixels = series.shape
    spread = 0.0
    for date in range(dates):
        spread += years[date] * years[date]
    mean = np.empty(TILE, np.float64)
    rate = np.empty(TILE, np.float64)
    squares = np.empty(TILE, np.float64)
    for start in range(0, pixels, TILE):
        count = min(TILE, pixels - start)
        mean[:] = 0.0
        rate[:] = 0.0
        squares[:] = 0.0
        for date in range(dates):
            values = series[date, start : start + count]
            time = years[date]
            for pixel in range(count):
                mean[pixel] += values[pixel]
                rate[pixel] += time * values[pixel]
        for pixel in range(count):
            mean[pixel] /= dates
            rate[pixel] /= spread
        # Residuals are formed one by one: the difference of two sums of squares would cancel.
        for date in range(dates):
            values = series[date, start : start + count]
            time = years[date]
            for pixel in range(count):
                residual = values[pixel] - mean[pixel] - rate[pixel] * time
                squares[pixel] += residual * residual
        for pixel in range(count):
            slope[start + pixel] = rate[pixel]
            slope_std[start + pixel] = np.sqrt(squares[pixel] / ((dates - 2) * spread)) if dates > 2 else np.nan
