"""Elevations compared with those of a window around each pixel, and what follows from a 3 x 3 window alone.

Windows are squares of an odd number of rows and columns. Running extremes and sums are built by doubling: the extreme
of ``2 n`` neighbours is that of two halves of ``n``, so that a window of w x w cells costs about 2 log2(w) operations
per pixel. Each value depends on the cells of its own window in an order that is always the same, unlike that of a
running sum that adds a cell and drops another: results do not depend on how a raster is cut into blocks, bit by bit.

Arithmetic is float64, except that the extremes of float32 elevations are found among these.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from susceptibility.kernels.jit import kernel

_Elevation = NDArray[np.floating]
_Factor = NDArray[np.float32]


@kernel
def _raise_to_largest(values: _Elevation, rows: int, cols: int) -> None:
    """Replace each value by the largest of the `rows` x `cols` values from it downward and to the right, in place.

    What is within `rows` or `cols` of the lower or right edge is of no use afterwards.
    """
    # Going upward in the index, a value is read before it is replaced; so one array serves all of the steps.
    for row in range(values.shape[0]):
        span = 1
        while span < cols:
            step = min(span, cols - span)
            for col in range(values.shape[1] - step):
                values[row, col] = max(values[row, col], values[row, col + step])
            span += step
    span = 1
    while span < rows:
        step = min(span, rows - span)
        for row in range(values.shape[0] - step):
            for col in range(values.shape[1]):
                values[row, col] = max(values[row, col], values[row + step, col])
        span += step


@kernel
def _add_up(values: NDArray[Any], rows: int, cols: int) -> NDArray[Any]:
    """Return the sum of the `rows` x `cols` values from each value downward and to the right; `values` are lost."""
    sums = np.zeros_like(values)
    last_col = values.shape[1] - cols + 1
    for row in range(values.shape[0]):
        span, done = 1, 0
        while True:
            if cols & span:
                for col in range(last_col):
                    sums[row, col] += values[row, col + done]
                done += span
            if done == cols:
                break
            for col in range(values.shape[1] - span):
                values[row, col] += values[row, col + span]
            span *= 2
    values[:, :] = sums
    sums[:, :] = 0
    last_row = values.shape[0] - rows + 1
    span, done = 1, 0
    while True:
        if rows & span:
            for row in range(last_row):
                for col in range(last_col):
                    sums[row, col] += values[row + done, col]
            done += span
        if done == rows:
            break
        for row in range(values.shape[0] - span):
            for col in range(values.shape[1]):
                values[row, col] += values[row + span, col]
        span *= 2
    return sums


@kernel
def _known(values: _Elevation) -> NDArray[np.int32]:
    known = np.empty(values.shape, np.int32)
    for row in range(values.shape[0]):
        for col in range(values.shape[1]):
            known[row, col] = 1 if math.isfinite(values[row, col]) else 0
    return known


@kernel
def _beside(values: _Elevation, half_cols: int, otherwise: float) -> _Elevation:
    """Return the values with columns of no data on both sides, and `otherwise` for no data."""
    rows, cols = values.shape
    widened = np.full((rows, cols + 2 * half_cols), otherwise, values.dtype)
    for row in range(rows):
        for col in range(cols):
            if math.isfinite(values[row, col]):
                widened[row, col + half_cols] = values[row, col]
    return widened


@kernel
def _counts(values: _Elevation, half_rows: int, half_cols: int) -> NDArray[np.int32]:
    """Return how many cells of each full window have data (row - 2 half_rows, col)."""
    rows, cols = values.shape
    widened = np.zeros((rows, cols + 2 * half_cols), np.int32)
    widened[:, half_cols : half_cols + cols] = _known(values)
    sums = _add_up(widened, 2 * half_rows + 1, 2 * half_cols + 1)
    return sums[: rows - 2 * half_rows, :cols]


@kernel
def _means(values: _Elevation, half_rows: int, half_cols: int, least_cells: int) -> NDArray[np.float64]:
    """Return the mean of each window (row - 2 half_rows, col); NaN where fewer than `least_cells` have data."""
    rows, cols = values.shape
    counts = _counts(values, half_rows, half_cols)
    widened = np.zeros((rows, cols + 2 * half_cols), np.float64)
    for row in range(rows):
        for col in range(cols):
            if math.isfinite(values[row, col]):
                widened[row, col + half_cols] = values[row, col]
    sums = _add_up(widened, 2 * half_rows + 1, 2 * half_cols + 1)
    means = np.full(counts.shape, np.nan, np.float64)
    for row in range(counts.shape[0]):
        for col in range(cols):
            if counts[row, col] >= least_cells:
                means[row, col] = sums[row, col] / counts[row, col]
    return means


@kernel
def relief_m(elevation: _Elevation, half_rows: int, half_cols: int, least_cells: int, relief: _Factor) -> None:
    """Highest minus lowest elevation of the window, m; ``elevation`` is (row + 2 half_rows, col)."""
    rows, cols = relief.shape
    counts = _counts(elevation, half_rows, half_cols)
    highest = _beside(elevation, half_cols, -np.inf)
    _raise_to_largest(highest, 2 * half_rows + 1, 2 * half_cols + 1)
    lowest = _beside(-elevation, half_cols, -np.inf)
    _raise_to_largest(lowest, 2 * half_rows + 1, 2 * half_cols + 1)
    relief[:, :] = np.nan
    for row in range(rows):
        for col in range(cols):
            known = math.isfinite(elevation[row + half_rows, col])
            if known and counts[row, col] >= least_cells:
                relief[row, col] = np.float64(highest[row, col]) + np.float64(lowest[row, col])


@kernel
def position_m(elevation: _Elevation, half_rows: int, half_cols: int, least_cells: int, position: _Factor) -> None:
    """Elevation minus the mean of the window, m; ``elevation`` is (row + 2 half_rows, col)."""
    rows, cols = position.shape
    means = _means(elevation, half_rows, half_cols, least_cells)
    position[:, :] = np.nan
    for row in range(rows):
        for col in range(cols):
            difference = elevation[row + half_rows, col] - means[row, col]
            if math.isfinite(difference):
                position[row, col] = difference


@kernel
def roughness_m(elevation: _Elevation, half_rows: int, half_cols: int, least_cells: int, roughness: _Factor) -> None:
    """Standard deviation in the window of what `position_m` is, m; ``elevation`` is (row + 4 half_rows, col)."""
    rows, cols = roughness.shape
    residual = elevation[half_rows : elevation.shape[0] - half_rows] - _means(
        elevation, half_rows, half_cols, least_cells
    )
    means = _means(residual, half_rows, half_cols, least_cells)
    squares = _means(residual * residual, half_rows, half_cols, least_cells)
    roughness[:, :] = np.nan
    for row in range(rows):
        for col in range(cols):
            variance = squares[row, col] - means[row, col] * means[row, col]
            if math.isfinite(variance) and math.isfinite(residual[row + half_rows, col]):
                roughness[row, col] = math.sqrt(max(variance, 0.0))


@kernel
def _derivatives(
    above: _Elevation, here: _Elevation, below: _Elevation, col: int, step_x_m: float, step_y_m: float
) -> tuple[bool, float, float, float, float]:
    """Return whether nine elevations are finite, and p, q, r, t of `susceptibility.kernels.terrain`."""
    west, centre, east = np.float64(here[col]), np.float64(here[col + 1]), np.float64(here[col + 2])
    north, south = np.float64(above[col + 1]), np.float64(below[col + 1])
    corners = np.float64(above[col]) + np.float64(above[col + 2]) + np.float64(below[col]) + np.float64(below[col + 2])
    total = west + centre + east + north + south + corners
    p = (east - west) / (2.0 * step_x_m)
    q = (south - north) / (2.0 * step_y_m)
    r = ((east - centre) - (centre - west)) / (step_x_m * step_x_m)
    t = ((south - centre) - (centre - north)) / (step_y_m * step_y_m)
    return total - total == 0.0, p, q, r, t


@kernel
def curvature_per_m(elevation: _Elevation, step_x_m: float, step_y_m: float, curvature: _Factor) -> None:
    """Minus the Laplacian of the surface, 1/m, convex positive; ``elevation`` is (row + 2, col)."""
    rows, cols = curvature.shape
    curvature[:, :] = np.nan
    for row in range(rows):
        above, here, below, of_row = elevation[row], elevation[row + 1], elevation[row + 2], curvature[row]
        for col in range(cols - 2):
            known, _, _, r, t = _derivatives(above, here, below, col, step_x_m, step_y_m)
            bent = 0.0 - (r + t)  # so that level ground is 0, not -0
            of_row[col + 1] = bent if known else np.nan


@kernel
def aspect_class(elevation: _Elevation, step_x_m: float, step_y_m: float, classes: NDArray[np.uint8]) -> None:
    """Number the direction of steepest descent: 0 unknown, 1 flat, 2 to 9 north, north-east, ... north-west.

    A direction half-way between two belongs to the one of the four main ones.
    """
    rows, cols = classes.shape
    tangent = math.sqrt(2.0) - 1.0  # of 22.5 degrees
    classes[:, :] = 0
    for row in range(rows):
        above, here, below, of_row = elevation[row], elevation[row + 1], elevation[row + 2], classes[row]
        for col in range(cols - 2):
            known, p, q, _, _ = _derivatives(above, here, below, col, step_x_m, step_y_m)
            east, north = abs(p), abs(q)
            northward = 2 if q < 0.0 else 6
            eastward = 4 if p < 0.0 else 8
            between = (3 if p < 0.0 else 9) if q < 0.0 else (5 if p < 0.0 else 7)
            sector = northward if east <= tangent * north else (eastward if north <= tangent * east else between)
            sector = 1 if p == 0.0 and q == 0.0 else sector
            of_row[col + 1] = sector if known else 0
