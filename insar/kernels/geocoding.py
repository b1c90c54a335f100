"""Draw the cells of a radar look-up table into a map grid.

Positions are in map pixels: `u` counts columns and `v` rows from the centre of the first pixel, so that a map pixel's
centre has integer coordinates.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from insar.kernels.jit import kernel

_ON_EDGE = 1e-9
"""How far outside a triangle (map pixels) still counts as inside: a centre on an edge must not fall between two."""


@kernel
def _known(u: NDArray[np.float64], row: int, col: int) -> bool:
    return bool(u[row, col] == u[row, col])


@kernel
def _mean_step(
    u: NDArray[np.float64], v: NDArray[np.float64], row: int, col: int, down: int, across: int
) -> tuple[float, float, bool]:
    """Mean step (u, v) to the next row (down = 1) or to the next column (across = 1) around the cell (row, col).

    The cell's own two edges count first; where both are unknown, the edges that continue them; then their neighbours.
    """
    for ring in range(3):
        step_u = 0.0
        step_v = 0.0
        count = 0
        for side in range(-1, 3):
            for ahead in range(-1, 2):
                beside_cell = side in (-1, 2)
                if ring == 0:
                    wanted = ahead == 0 and not beside_cell
                elif ring == 1:
                    wanted = ahead != 0 and not beside_cell
                else:
                    wanted = ahead == 0 and beside_cell
                if not wanted:
                    continue
                first_row = row + ahead * down + side * across
                first_col = col + ahead * across + side * down
                if _known(u, first_row, first_col) and _known(u, first_row + down, first_col + across):
                    step_u += u[first_row + down, first_col + across] - u[first_row, first_col]
                    step_v += v[first_row + down, first_col + across] - v[first_row, first_col]
                    count += 1
        if count > 0:
            return step_u / count, step_v / count, True
    return 0.0, 0.0, False


@kernel
def _complete_cell(
    u: NDArray[np.float64],
    v: NDArray[np.float64],
    row: int,
    col: int,
    corner_u: NDArray[np.float64],
    corner_v: NDArray[np.float64],
) -> bool:
    """Fill the 2 x 2 corners of a cell, extrapolating the unknown ones; False where nothing tells how."""
    down_u, down_v, has_down = _mean_step(u, v, row, col, 1, 0)
    across_u, across_v, has_across = _mean_step(u, v, row, col, 0, 1)
    if not (has_down and has_across):
        return False
    for p in range(2):
        for q in range(2):
            if _known(u, row + p, col + q):
                corner_u[p, q] = u[row + p, col + q]
                corner_v[p, q] = v[row + p, col + q]
                continue
            sum_u = 0.0
            sum_v = 0.0
            count = 0
            for r in range(2):
                for s in range(2):
                    if _known(u, row + r, col + s):
                        sum_u += u[row + r, col + s] + (p - r) * down_u + (q - s) * across_u
                        sum_v += v[row + r, col + s] + (p - r) * down_v + (q - s) * across_v
                        count += 1
            corner_u[p, q] = sum_u / count
            corner_v[p, q] = sum_v / count
    return True


@kernel
def _in_triangle(u: float, v: float, a_u: float, a_v: float, b_u: float, b_v: float, c_u: float, c_v: float) -> bool:
    area = (b_u - a_u) * (c_v - a_v) - (b_v - a_v) * (c_u - a_u)
    if area == 0.0:
        return False
    turn = 1.0 if area > 0.0 else -1.0
    ab = turn * ((b_u - a_u) * (v - a_v) - (b_v - a_v) * (u - a_u))
    bc = turn * ((c_u - b_u) * (v - b_v) - (c_v - b_v) * (u - b_u))
    ca = turn * ((a_u - c_u) * (v - c_v) - (a_v - c_v) * (u - c_u))
    return (
        ab >= -_ON_EDGE * (abs(b_u - a_u) + abs(b_v - a_v))
        and bc >= -_ON_EDGE * (abs(c_u - b_u) + abs(c_v - b_v))
        and ca >= -_ON_EDGE * (abs(a_u - c_u) + abs(a_v - c_v))
    )


@kernel
def draw_cells(
    u: NDArray[np.float64],
    v: NDArray[np.float64],
    first_row: int,
    cols: int,
    u_scale: NDArray[np.float64],
    longest_down: float,
    longest_across: float,
    index: NDArray[np.signedinteger],
    distance: NDArray[np.float32],
) -> None:
    """Give each map pixel whose centre lies in a cell of the block the radar pixel closest to it.

    A cell is the quadrilateral between the centres of 2 x 2 radar pixels. Corners that are unknown or beyond the table
    are extrapolated, and what is closest to such a corner stays unclaimed: a radar pixel at a border reaches half a
    pixel outward. A map pixel claimed by several cells takes the closest radar pixel, of equally close ones the first
    in the table; so neither the order of cells nor the size of blocks matters.

    Parameters
    ----------
    u, v
        (row, col) positions of radar pixels, padded by two rows and columns on each side; NaN where unknown.
    first_row
        Row in the table of the padded row 0; negative in the first block.
    cols
        Columns of the table without padding.
    u_scale
        (map row,) ground distance of one map pixel across, relative to one map pixel down.
    longest_down, longest_across
        Longest step between neighbouring rows and columns, in map pixels down, that is not a tear in the table.
    index
        (map row, map col) radar row * cols + radar col, -1 where unclaimed; updated.
    distance
        (map row, map col) squared distance to that radar pixel, in squared map pixels down; updated.
    """
    map_rows, map_cols = index.shape
    corner_u = np.empty((2, 2))
    corner_v = np.empty((2, 2))
    for row in range(1, u.shape[0] - 2):
        for col in range(1, u.shape[1] - 2):
            known = 0
            for p in range(2):
                for q in range(2):
                    if _known(u, row + p, col + q):
                        known += 1
            if known == 0:
                continue
            if known == 4:
                for p in range(2):
                    for q in range(2):
                        corner_u[p, q] = u[row + p, col + q]
                        corner_v[p, q] = v[row + p, col + q]
            elif not _complete_cell(u, v, row, col, corner_u, corner_v):
                continue
            top = math.ceil(corner_v.min() - _ON_EDGE)
            bottom = math.floor(corner_v.max() + _ON_EDGE)
            left = math.ceil(corner_u.min() - _ON_EDGE)
            right = math.floor(corner_u.max() + _ON_EDGE)
            if top > bottom or left > right or bottom < 0 or top >= map_rows or right < 0 or left >= map_cols:
                continue
            scale = u_scale[min(max(top, 0), map_rows - 1)]
            torn = False
            for side in range(2):
                down = math.hypot(
                    (corner_u[1, side] - corner_u[0, side]) * scale, corner_v[1, side] - corner_v[0, side]
                )
                across = math.hypot(
                    (corner_u[side, 1] - corner_u[side, 0]) * scale, corner_v[side, 1] - corner_v[side, 0]
                )
                torn = torn or down > longest_down or across > longest_across
            if torn:
                continue
            for map_row in range(max(top, 0), min(bottom, map_rows - 1) + 1):
                scale = u_scale[map_row]
                for map_col in range(max(left, 0), min(right, map_cols - 1) + 1):
                    if not (
                        _in_triangle(
                            map_col,
                            map_row,
                            corner_u[0, 0],
                            corner_v[0, 0],
                            corner_u[0, 1],
                            corner_v[0, 1],
                            corner_u[1, 1],
                            corner_v[1, 1],
                        )
                        or _in_triangle(
                            map_col,
                            map_row,
                            corner_u[0, 0],
                            corner_v[0, 0],
                            corner_u[1, 0],
                            corner_v[1, 0],
                            corner_u[1, 1],
                            corner_v[1, 1],
                        )
                    ):
                        continue
                    closest = np.inf
                    pixel = -1
                    # Terrain shears neighbouring rows against each other by more than a pixel, so the closest radar
                    # pixel may be one ring beyond the corners of the cell.
                    for r in range(row - 1, row + 3):
                        for s in range(col - 1, col + 3):
                            if _known(u, r, s):
                                to_pixel = ((u[r, s] - map_col) * scale) ** 2 + (v[r, s] - map_row) ** 2
                                if to_pixel < closest:
                                    closest = to_pixel
                                    pixel = (first_row + r) * cols + s - 2
                    beyond = False
                    if known < 4:
                        for p in range(2):
                            for q in range(2):
                                if not _known(u, row + p, col + q):
                                    to_corner = ((corner_u[p, q] - map_col) * scale) ** 2 + (
                                        corner_v[p, q] - map_row
                                    ) ** 2
                                    beyond = beyond or to_corner < closest
                    if beyond:
                        continue
                    rounded = np.float32(closest)
                    held = index[map_row, map_col]
                    if (
                        held < 0
                        or rounded < distance[map_row, map_col]
                        or (rounded == distance[map_row, map_col] and pixel < held)
                    ):
                        index[map_row, map_col] = pixel
                        distance[map_row, map_col] = rounded
