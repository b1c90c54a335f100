"""Least squares of the time series of every pixel of a block."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from insar.kernels.jit import kernel

TILE = 256


@kernel
def fit_terms(
    series: NDArray[np.floating],
    design: NDArray[np.float64],
    solution: NDArray[np.float64],
    coefficients: NDArray[np.float64],
    residual_variance: NDArray[np.float64],
) -> None:
    """Ordinary least squares with one design for all pixels.

    Parameters
    ----------
    series
        (date, pixel); a pixel with any NaN gets NaN.
    design, solution
        (date, term) and its pseudo-inverse (term, date).
    coefficients
        (term, pixel) out.
    residual_variance
        (pixel,) out: sum of squared residuals over the degrees of freedom, NaN where there are none.
    """
    dates, pixels = series.shape
    terms = design.shape[1]
    total = np.empty((terms, TILE), np.float64)
    squares = np.empty(TILE, np.float64)
    residual = np.empty(TILE, np.float64)
    for start in range(0, pixels, TILE):
        stop = min(start + TILE, pixels)
        count = stop - start
        total[:] = 0.0
        squares[:] = 0.0
        for date in range(dates):
            values = series[date, start:stop]
            for term in range(terms):
                weight = solution[term, date]
                sums = total[term]
                for pixel in range(count):
                    sums[pixel] += weight * values[pixel]
        # Residuals are formed one by one: the difference of two sums of squares would cancel.
        for date in range(dates):
            values = series[date, start:stop]
            for pixel in range(count):
                residual[pixel] = values[pixel]
            for term in range(terms):
                value = design[date, term]
                sums = total[term]
                for pixel in range(count):
                    residual[pixel] -= value * sums[pixel]
            for pixel in range(count):
                squares[pixel] += residual[pixel] * residual[pixel]
        for term in range(terms):
            coefficients[term, start:stop] = total[term, :count]
        for pixel in range(count):
            residual_variance[start + pixel] = squares[pixel] / (dates - terms) if dates > terms else np.nan
