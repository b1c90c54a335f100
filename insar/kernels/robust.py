"""Robust linear regression of many columns of values on one design."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from insar.kernels.jit import kernel


@kernel
def fit_robust(
    design: NDArray[np.float64],
    values: NDArray[np.float64],
    huber: float,
    tukey: float,
    least_scale: float,
    rounds: int,
    coefficients: NDArray[np.float64],
    scale: NDArray[np.float64],
) -> None:
    """Fit each row of `values` by Huber's and then, at its scale, by Tukey's M-estimator.

    Huber's has one minimum, so that the start does not matter; Tukey's gives far outliers no weight at all, and starts
    at Huber's. Sums run in the order of the points: no library whose result depends on its threads.

    Parameters
    ----------
    design
        (point, term), columns of similar size.
    values
        (row, point), finite.
    huber, tukey
        Tuning constants of both, in units of the scale.
    least_scale
        Scale taken where more than half of the points fit better than that.
    rounds
        Most iterations of either; 0 for ordinary least squares.
    coefficients
        Out: (row, term).
    scale
        Out: (row,) 1.4826 times the median absolute residual of Huber's fit (of least squares with no rounds).

    Notes
    -----
    Iteratively re-weighted least squares (Holland & Welsch 1977) with Cholesky's factorisation of the normal matrix.
    """
    points, terms = design.shape
    residual = np.empty(points)
    weight = np.empty(points)
    normal = np.empty((terms, terms))
    solution = np.empty(terms)
    previous = np.empty(terms)
    for row in range(values.shape[0]):
        weight[:] = 1.0
        previous[:] = np.inf
        is_tukey = False
        iteration = 0
        while True:
            normal[:] = 0.0
            solution[:] = 0.0
            for point in range(points):
                w = weight[point]
                if w == 0.0:
                    continue
                value = values[row, point]
                for i in range(terms):
                    weighted = w * design[point, i]
                    solution[i] += weighted * value
                    for j in range(i + 1):
                        normal[i, j] += weighted * design[point, j]
            for i in range(terms):
                for j in range(i + 1):
                    total = normal[i, j]
                    for k in range(j):
                        total -= normal[i, k] * normal[j, k]
                    normal[i, j] = np.sqrt(total) if i == j else total / normal[j, j]
            for i in range(terms):
                for k in range(i):
                    solution[i] -= normal[i, k] * solution[k]
                solution[i] /= normal[i, i]
            for i in range(terms - 1, -1, -1):
                for k in range(i + 1, terms):
                    solution[i] -= normal[k, i] * solution[k]
                solution[i] /= normal[i, i]
            for point in range(points):
                fitted = 0.0
                for i in range(terms):
                    fitted += design[point, i] * solution[i]
                residual[point] = values[row, point] - fitted
            if not is_tukey:
                scale[row] = max(least_scale, 1.4826 * np.median(np.abs(residual)))
            change = 0.0
            for i in range(terms):
                change = max(change, abs(solution[i] - previous[i]))
                previous[i] = solution[i]
            iteration += 1
            if iteration > rounds or change <= 1e-6 * scale[row]:
                if is_tukey or rounds == 0:
                    break
                is_tukey = True
                iteration = 0
            for point in range(points):
                size = abs(residual[point]) / scale[row]
                if not is_tukey:
                    weight[point] = 1.0 if size <= huber else huber / size
                elif size < tukey:
                    weight[point] = (1.0 - (size / tukey) ** 2) ** 2
                else:
                    weight[point] = 0.0
        coefficients[row] = solution
