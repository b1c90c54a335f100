"""Exact area that polygons cover of each cell of a grid.

Places are given in cells, (0, 0) the upper left *corner* of the first cell, x along columns, y along rows.

Notes
-----
Green's theorem: the area of a polygon right of a place is the sum, over its directed edges, of the edge's rise times
the width to its right. Each edge is cut where it crosses cell borders; a piece that rises by dy inside cell c of a row
adds dy times the part of c on its right to c, and dy to each cell beyond c. The second is left to one running sum along
the row. Nothing is sampled: the areas are those of the polygons up to rounding.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from susceptibility.kernels.jit import kernel

_Places = NDArray[np.float64]
_Starts = NDArray[np.int64]


@kernel
def _add_piece(rises: NDArray[np.float64], row: int, x_start: float, x_end: float, rise: float) -> None:
    """Add a straight piece of an edge, inside one row, to its cells; columns left of the first count as the first."""
    cols = rises.shape[1] - 1
    low, high = min(x_start, x_end), max(x_start, x_end)
    if high <= 0.0:
        rises[row, 0] += rise
        return
    if low >= cols:
        return
    width = high - low
    first = max(0, math.floor(low))
    if width == 0.0 or high <= first + 1.0:
        # Within one column, or partly left of the first one, where all of the rise is to the left of every cell.
        left = 0.0 if low >= 0.0 else rise * (-low / width)
        inside = rise - left
        middle = 0.5 * (max(low, 0.0) + high) - first
        rises[row, 0] += left
        rises[row, first] += inside * (1.0 - middle)
        rises[row, first + 1] += inside * middle
        return
    if low < 0.0:
        rises[row, 0] += rise * (-low / width)
        low_inside = 0.0
    else:
        low_inside = low
    for col in range(first, min(cols, math.ceil(high))):
        start = max(low_inside, np.float64(col))
        stop = min(high, col + 1.0)
        part = rise * ((stop - start) / width)
        middle = 0.5 * (start + stop) - col
        rises[row, col] += part * (1.0 - middle)
        rises[row, col + 1] += part * middle


@kernel
def _add_ring(rises: NDArray[np.float64], x: _Places, y: _Places, left: int, top: int, sign: float) -> None:
    """Add the edges of a closed ring to a window of cells that starts at column `left`, row `top`."""
    rows = rises.shape[0]
    for vertex in range(x.size - 1):
        x0, y0 = x[vertex] - left, y[vertex] - top
        x1, y1 = x[vertex + 1] - left, y[vertex + 1] - top
        if y0 == y1:
            continue
        direction = sign
        if y0 > y1:
            x0, x1 = x1, x0
            y0, y1 = y1, y0
            direction = -sign
        slope = (x1 - x0) / (y1 - y0)
        for row in range(max(0, math.floor(y0)), min(rows, math.ceil(y1))):
            upper, lower = max(y0, np.float64(row)), min(y1, row + 1.0)
            if lower <= upper:
                continue
            # From the nearer end, so that a vertex is met exactly.
            x_upper = x0 if upper == y0 else x0 + (upper - y0) * slope
            x_lower = x1 if lower == y1 else x0 + (lower - y0) * slope
            _add_piece(rises, row, x_upper, x_lower, direction * (lower - upper))


@kernel
def _twice_signed_area(x: _Places, y: _Places) -> float:
    """Twice the area of a closed ring, positive one way around; relative to its first vertex, to keep the digits."""
    total = 0.0
    for vertex in range(1, x.size - 1):
        total += (x[vertex] - x[0]) * (y[vertex + 1] - y[0]) - (x[vertex + 1] - x[0]) * (y[vertex] - y[0])
    return total


@kernel
def _window(
    x: _Places, y: _Places, ring_starts: _Starts, first_ring: int, last_ring: int, rows: int, cols: int
) -> tuple[int, int, NDArray[np.float64]]:
    """First row and column, and part that is covered, of the cells around one polygon; no cells beside the grid."""
    outline = slice(ring_starts[first_ring], ring_starts[first_ring + 1])
    left = max(0, math.floor(x[outline].min()))
    right = min(cols, math.ceil(x[outline].max()))
    top = max(0, math.floor(y[outline].min()))
    bottom = min(rows, math.ceil(y[outline].max()))
    if left >= right or top >= bottom:
        return 0, 0, np.zeros((0, 0), np.float64)
    rises = np.zeros((bottom - top, right - left + 1), np.float64)
    for ring in range(first_ring, last_ring):
        ring_x = x[ring_starts[ring] : ring_starts[ring + 1]]
        ring_y = y[ring_starts[ring] : ring_starts[ring + 1]]
        area = _twice_signed_area(ring_x, ring_y)
        if area == 0.0:
            continue
        # With y down, the inside lies right of an edge that runs down where the ring's area is negative.
        sign = -1.0 if (area > 0.0) == (ring == first_ring) else 1.0
        _add_ring(rises, ring_x, ring_y, left, top, sign)
    for row in range(bottom - top):
        for col in range(1, right - left):
            rises[row, col] += rises[row, col - 1]
    return top, left, rises[:, :-1]


@kernel
def add_coverage(
    x: _Places,
    y: _Places,
    ring_starts: _Starts,
    polygon_starts: _Starts,
    negligible: float,
    coverage: NDArray[np.float64],
) -> None:
    """Add the part of each cell (row, col) that each polygon covers, 0 to 1, to `coverage`.

    Vertices of ring r are ``ring_starts[r]`` to ``ring_starts[r + 1]``, the last equal to the first; rings of polygon p
    are ``polygon_starts[p]`` to ``polygon_starts[p + 1]``, the first its outline and the others holes, in either
    direction. Parts up to `negligible` are taken as rounding and left out.
    """
    rows, cols = coverage.shape
    for polygon in range(polygon_starts.size - 1):
        top, left, covered = _window(
            x, y, ring_starts, polygon_starts[polygon], polygon_starts[polygon + 1], rows, cols
        )
        for row in range(covered.shape[0]):
            for col in range(covered.shape[1]):
                if covered[row, col] > negligible:
                    coverage[top + row, left + col] += min(covered[row, col], 1.0)


@kernel
def list_coverage(
    x: _Places,
    y: _Places,
    ring_starts: _Starts,
    polygon_starts: _Starts,
    negligible: float,
    rows: int,
    cols: int,
    polygons: NDArray[np.int64],
    cells: NDArray[np.int64],
    parts: NDArray[np.float64],
) -> int:
    """List the cells that each polygon covers, of a grid of `rows` x `cols`; parameters as `add_coverage`.

    Entry e says that polygon ``polygons[e]`` covers ``parts[e]`` of the cell with the flat index ``cells[e]``. Returns
    the number of entries; the arrays must be as long as the polygons' bounding boxes have cells.
    """
    found = 0
    for polygon in range(polygon_starts.size - 1):
        top, left, covered = _window(
            x, y, ring_starts, polygon_starts[polygon], polygon_starts[polygon + 1], rows, cols
        )
        for row in range(covered.shape[0]):
            for col in range(covered.shape[1]):
                if covered[row, col] > negligible:
                    polygons[found] = polygon
                    cells[found] = np.int64(top + row) * cols + left + col
                    parts[found] = min(covered[row, col], 1.0)
                    found += 1
    return found
