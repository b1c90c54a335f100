"""Least squares of the time series of every pixel of a block."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from insar.kernels.jit import kernel

TILE = 256


@kernel
def fit_series(
    series: NDArray[np.floating],
    design: NDArray[np.float64],
    rows: NDArray[np.float64],
    extra: NDArray[np.float64],
    forms: NDArray[np.float64],
    disturbance: NDArray[np.float64],
    values: NDArray[np.float64],
    sum_squares: NDArray[np.float64],
    extra_values: NDArray[np.float64],
    form_values: NDArray[np.float64],
) -> None:
    """Ordinary least squares with one design for all pixels, and what is linear or quadratic in series and residuals.

    Parameters
    ----------
    series
        (date, pixel); a pixel with any NaN gets NaN. Changed where there is a disturbance.
    design
        (date, term).
    rows
        (row, date) linear functionals of the series, the first ones the pseudo-inverse of the design.
    extra
        (extra, date) linear functionals of the residuals.
    forms
        (form, date, date) symmetric quadratic forms of the residuals.
    disturbance
        (date,) what is subtracted from the series, times the last term; without dates nothing is.
    values
        (row, pixel) out.
    sum_squares
        (pixel,) out: of the residuals.
    extra_values, form_values
        (extra, pixel) and (form, pixel) out.
    """
    dates, pixels = series.shape
    terms = design.shape[1]
    count_rows = rows.shape[0]
    total = np.empty((count_rows, TILE), np.float64)
    residual = np.empty((dates, TILE), np.float64)
    squares = np.empty(TILE, np.float64)
    sums = np.empty(TILE, np.float64)
    product = np.empty(TILE, np.float64)
    for start in range(0, pixels, TILE):
        stop = min(start + TILE, pixels)
        count = stop - start
        total[:] = 0.0
        squares[:] = 0.0
        for date in range(dates):
            line = residual[date]
            for pixel in range(count):
                line[pixel] = series[date, start + pixel]
            for row in range(count_rows):
                weight = rows[row, date]
                if weight != 0.0:
                    into = total[row]
                    for pixel in range(count):
                        into[pixel] += weight * line[pixel]
        # Residuals are formed one by one: the difference of two sums of squares would cancel.
        for date in range(dates):
            line = residual[date]
            for term in range(terms - 1):
                value = design[date, term]
                fitted = total[term]
                for pixel in range(count):
                    line[pixel] -= value * fitted[pixel]
            value = design[date, terms - 1]
            fitted = total[terms - 1]
            for pixel in range(count):
                left = line[pixel] - value * fitted[pixel]
                line[pixel] = left
                squares[pixel] += left * left
        for row in range(count_rows):
            for pixel in range(count):
                values[row, start + pixel] = total[row, pixel]
        for pixel in range(count):
            sum_squares[start + pixel] = squares[pixel]
        for row in range(extra.shape[0]):
            sums[:] = 0.0
            for date in range(dates):
                weight = extra[row, date]
                line = residual[date]
                for pixel in range(count):
                    sums[pixel] += weight * line[pixel]
            for pixel in range(count):
                extra_values[row, start + pixel] = sums[pixel]
        for form in range(forms.shape[0]):
            sums[:] = 0.0
            for date in range(dates):
                line = residual[date]
                weight = 0.5 * forms[form, date, date]
                for pixel in range(count):
                    product[pixel] = weight * line[pixel]
                for other in range(date):
                    weight = forms[form, date, other]
                    before = residual[other]
                    for pixel in range(count):
                        product[pixel] += weight * before[pixel]
                for pixel in range(count):
                    sums[pixel] += 2.0 * product[pixel] * line[pixel]
            for pixel in range(count):
                form_values[form, start + pixel] = sums[pixel]
        if disturbance.shape[0] > 0:
            fitted = total[terms - 1]
            for date in range(dates):
                value = disturbance[date]
                for pixel in range(count):
                    series[date, start + pixel] -= value * fitted[pixel]
