"""Least squares of displacement series up to a date."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from susceptibility.kernels.jit import kernel


@kernel
def fit_until(
    series: NDArray[np.float32],
    design: NDArray[np.float64],
    weights: NDArray[np.float64],
    values: NDArray[np.float64],
    squares: NDArray[np.float64],
) -> None:
    """Functionals of the first dates of every series, and the sum of squares of the residuals.

    Parameters
    ----------
    series
        (date, pixel); those beyond the design are not looked at. A pixel with NaN in the others gets NaN.
    design
        (date, term).
    weights
        (functional, date), the first ones the pseudo-inverse of the design.
    values
        (functional, pixel) out.
    squares
        (pixel,) out.

    Notes
    -----
    Sums run over the dates in their order, for every pixel alike: the result does not depend on the pixels beside it.
    """
    dates, terms = design.shape
    values[:] = 0.0
    squares[:] = 0.0
    for date in range(dates):
        for functional in range(weights.shape[0]):
            weight = weights[functional, date]
            if weight != 0.0:
                for pixel in range(series.shape[1]):
                    values[functional, pixel] += weight * series[date, pixel]
    # Residuals are formed one by one: the difference of two sums of squares would cancel.
    for date in range(dates):
        for pixel in range(series.shape[1]):
            left = np.float64(series[date, pixel])
            for term in range(terms):
                left -= design[date, term] * values[term, pixel]
            squares[pixel] += left * left
