"""Robust linear regression: M-estimates of many rows of values on one design, and least trimmed squares of one.

Sums run in the order of the points: no library whose result depends on its threads.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from insar.kernels.jit import kernel


@kernel
def _solve(
    design: NDArray[np.float64],
    values: NDArray[np.float64],
    weight: NDArray[np.float64],
    solution: NDArray[np.float64],
    residual: NDArray[np.float64],
) -> None:
    """Weighted least squares by Cholesky's factorisation of the normal matrix; NaN where that is singular."""
    points, terms = design.shape
    normal = np.zeros((terms, terms))
    solution[:] = 0.0
    for point in range(points):
        if weight[point] == 0.0:
            continue
        for i in range(terms):
            weighted = weight[point] * design[point, i]
            solution[i] += weighted * values[point]
            for j in range(i + 1):
                normal[i, j] += weighted * design[point, j]
    for i in range(terms):
        for j in range(i + 1):
            total = normal[i, j]
            for k in range(j):
                total -= normal[i, k] * normal[j, k]
            if i != j:
                normal[i, j] = total / normal[j, j]
            else:
                normal[i, i] = np.sqrt(total) if total > 0.0 else np.nan
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
        residual[point] = values[point] - fitted


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
    at Huber's. Many outliers on one side of the scene move both: see `fit_trimmed`.

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
        Out: (row, term); NaN where the points do not tell the terms apart.
    scale
        Out: (row,) 1.4826 times the median absolute residual of Huber's fit (of least squares with no rounds).

    Notes
    -----
    Iteratively re-weighted least squares (Holland & Welsch 1977).
    """
    points, terms = design.shape
    residual = np.empty(points)
    weight = np.empty(points)
    previous = np.empty(terms)
    for row in range(values.shape[0]):
        weight[:] = 1.0
        previous[:] = np.inf
        solution = coefficients[row]
        is_tukey = False
        iteration = 0
        while True:
            _solve(design, values[row], weight, solution, residual)
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


@kernel
def fit_trimmed(
    design: NDArray[np.float64],
    values: NDArray[np.float64],
    starts: NDArray[np.intp],
    kept: int,
    coefficients: NDArray[np.float64],
) -> None:
    """Fit by least trimmed squares: the least sum of the smallest squared residuals.

    Outliers do not matter as long as the points that are kept can do without them, wherever in the scene they lie.

    Parameters
    ----------
    design
        (point, term), columns of similar size.
    values
        (point,), finite.
    starts
        (start, term) points whose exact fits the search starts from.
    kept
        How many residuals count.
    coefficients
        Out: (term,); NaN where no start determines the terms.

    Notes
    -----
    Concentration steps (Rousseeuw & Van Driessen 2006): fit the points that fitted best, until they stay the same; two
    from each start, all from the best of those.
    """
    points, terms = design.shape
    residual = np.empty(points)
    weight = np.empty(points)
    solution = np.empty(terms)
    least = np.inf
    coefficients[:] = np.nan
    for start in range(starts.shape[0] + 1):
        is_last = start == starts.shape[0]
        if is_last:
            if not np.isfinite(least):
                return
            for point in range(points):
                residual[point] = values[point]
                for i in range(terms):
                    residual[point] -= design[point, i] * coefficients[i]
        else:
            weight[:] = 0.0
            for i in range(terms):
                weight[starts[start, i]] = 1.0
            _solve(design, values, weight, solution, residual)
        for _ in range(100 if is_last else 2):
            if np.isnan(residual[0]):
                break
            size = np.abs(residual)
            limit = np.partition(size, kept - 1)[kept - 1]
            for point in range(points):
                weight[point] = 1.0 if size[point] <= limit else 0.0
            _solve(design, values, weight, solution, residual)
            total = 0.0
            ordered = np.partition(np.abs(residual), kept - 1)
            for point in range(kept):
                total += ordered[point] ** 2
            if not total < least:
                if is_last:
                    break
                continue
            least = total
            coefficients[:] = solution
