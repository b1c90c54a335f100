"""Values of a map between its pixels, and the subtraction of an apparent displacement from a series."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from insar.kernels.jit import kernel


@kernel
def interpolate_bilinear(
    window: NDArray[np.floating],
    first_row: int,
    first_col: int,
    map_rows: int,
    map_cols: int,
    rows: NDArray[np.float64],
    cols: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Bilinear values of a map at places between its pixels.

    Parameters
    ----------
    window
        (row, col) part of the map, NaN where unknown, that holds the neighbours of all places inside the map.
    first_row, first_col
        Pixel of the map that is the window's first.
    map_rows, map_cols
        Size of the map.
    rows, cols
        (point,) places in pixels of the map, 0 at the centre of its first one; NaN where unknown.
    out
        Out: (point,). Within half a pixel outside the outermost centres their values hold; NaN beyond that, and where
        a neighbour that counts is unknown.
    """
    for point in range(rows.shape[0]):
        row, col = rows[point], cols[point]
        out[point] = np.nan
        if not (-0.5 <= row <= map_rows - 0.5 and -0.5 <= col <= map_cols - 0.5):
            continue
        row = min(max(row, 0.0), map_rows - 1.0)
        col = min(max(col, 0.0), map_cols - 1.0)
        top, left = int(np.floor(row)), int(np.floor(col))
        down, right = row - top, col - left
        value = 0.0
        # A neighbour without weight is left out: it may be unknown, or outside the map.
        for i in range(2):
            row_weight = down if i == 1 else 1.0 - down
            if row_weight == 0.0:
                continue
            for j in range(2):
                weight = row_weight * (right if j == 1 else 1.0 - right)
                if weight != 0.0:
                    value += weight * window[top + i - first_row, left + j - first_col]
        out[point] = value


@kernel
def subtract_relative(
    series: NDArray[np.floating], apparent: NDArray[np.float64], reference: NDArray[np.float64]
) -> None:
    """Subtract an apparent displacement from a series, relative to the first date and to the reference.

    Parameters
    ----------
    series
        (date, point) m, changed in place; a point whose apparent displacement is unknown at any date becomes NaN.
    apparent
        (date, point) m, NaN where unknown.
    reference
        (date,) m, that of the reference.
    """
    dates, points = series.shape
    for point in range(points):
        known = True
        for day in range(dates):
            if not np.isfinite(apparent[day, point]):
                known = False
        for day in range(dates):
            if known:
                change = (apparent[day, point] - apparent[0, point]) - (reference[day] - reference[0])
                series[day, point] = series[day, point] - change
            else:
                series[day, point] = np.nan
