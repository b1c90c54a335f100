"""Where water goes on a terrain model: depressions filled, one receiver for each cell, and how much ground lies above.

Rasters are ``(row, col)``, NaN is no data. Directions are numbers of neighbours: 0 to 3 east, south, west and north
(increasing column, increasing row and back), 4 to 7 the diagonals between them, `OUTLET` where water leaves the
terrain, `NO_DATA` where there is none. Water leaves at cells of the rim: those on the raster's edge or beside a cell
without data.
"""

from __future__ import annotations

import heapq
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from susceptibility.kernels.jit import kernel

OUTLET = 8
NO_DATA = 255
_FLAT = 9  # not yet resolved; none is left in a result
_DONE = 255

ROW_STEPS = np.array([0, 1, 0, -1, 1, 1, -1, -1])
"""Rows down to each neighbour."""
COL_STEPS = np.array([1, 0, -1, 0, 1, -1, -1, 1])
"""Columns right to each neighbour."""
_BACK = np.array([2, 3, 0, 1, 6, 7, 4, 5])  # the way back from each neighbour

_Elevation = NDArray[np.floating[Any]]
_Directions = NDArray[np.uint8]
_Flags = NDArray[np.bool_]


@kernel
def mark_rim(elevation: _Elevation, rim: _Flags) -> None:
    """Mark the cells with data that lie on the edge of the raster or beside a cell without data."""
    rows, cols = elevation.shape
    for row in range(rows):
        for col in range(cols):
            rim[row, col] = False
            if math.isnan(elevation[row, col]):
                continue
            if row == 0 or col == 0 or row == rows - 1 or col == cols - 1:
                rim[row, col] = True
                continue
            for way in range(8):
                if math.isnan(elevation[row + ROW_STEPS[way], col + COL_STEPS[way]]):
                    rim[row, col] = True
                    break


@kernel
def _grown(queue: NDArray[np.int64]) -> NDArray[np.int64]:
    larger = np.empty(2 * queue.size, np.int64)
    larger[: queue.size] = queue
    return larger


@kernel
def _is_reached_from_below(filled: _Elevation, reached: _Flags, row: int, col: int, level: float) -> bool:
    """Whether a cell has a neighbour that is reached and lower, from which it will be reached in its turn."""
    rows, cols = filled.shape
    for way in range(8):
        other_row, other_col = row + ROW_STEPS[way], col + COL_STEPS[way]
        if other_row < 0 or other_col < 0 or other_row >= rows or other_col >= cols:
            continue
        if reached[other_row, other_col] and filled[other_row, other_col] < level:
            return True
    return False


@kernel
def fill_depressions(filled: _Elevation, rim: _Flags) -> None:
    """Raise each cell, in place, to the lowest level at which its water reaches the rim.

    Priority flood (Barnes et al. 2014) from the rim inward, lowest first. Slopes that rise from a cell already reached
    are climbed without the heap (Zhou et al. 2016): only a cell with a lower neighbour that nothing else reaches has to
    wait for its turn. The result does not depend on the order among equals.
    """
    rows, cols = filled.shape
    reached = np.isnan(filled)
    heap = [(np.float64(0.0), np.int64(0)) for _ in range(0)]
    for row in range(rows):
        for col in range(cols):
            if rim[row, col]:
                reached[row, col] = True
                heap.append((np.float64(filled[row, col]), np.int64(row * cols + col)))
    heapq.heapify(heap)
    level_queue = np.empty(1024, np.int64)
    slope_queue = np.empty(1024, np.int64)
    while len(heap) > 0:
        _, first = heapq.heappop(heap)
        level = filled[first // cols, first % cols]
        level_queue[0] = first
        head, tail = 0, 1
        slope_tail = 0
        while head < tail:  # everything that drowns at this level
            row, col = level_queue[head] // cols, level_queue[head] % cols
            head += 1
            for way in range(8):
                other_row, other_col = row + ROW_STEPS[way], col + COL_STEPS[way]
                if other_row < 0 or other_col < 0 or other_row >= rows or other_col >= cols:
                    continue
                if reached[other_row, other_col]:
                    continue
                reached[other_row, other_col] = True
                if filled[other_row, other_col] <= level:
                    filled[other_row, other_col] = level
                    if tail == level_queue.size:
                        level_queue = _grown(level_queue)
                    level_queue[tail] = other_row * cols + other_col
                    tail += 1
                else:
                    if slope_tail == slope_queue.size:
                        slope_queue = _grown(slope_queue)
                    slope_queue[slope_tail] = other_row * cols + other_col
                    slope_tail += 1
        slope_head = 0
        while slope_head < slope_tail:  # everything that rises from there
            cell = slope_queue[slope_head]
            row, col = cell // cols, cell % cols
            slope_head += 1
            own = filled[row, col]
            waits = False
            for way in range(8):
                other_row, other_col = row + ROW_STEPS[way], col + COL_STEPS[way]
                if other_row < 0 or other_col < 0 or other_row >= rows or other_col >= cols:
                    continue
                if reached[other_row, other_col]:
                    continue
                other = filled[other_row, other_col]
                if other > own:
                    reached[other_row, other_col] = True
                    if slope_tail == slope_queue.size:
                        slope_queue = _grown(slope_queue)
                    slope_queue[slope_tail] = other_row * cols + other_col
                    slope_tail += 1
                elif not waits:
                    waits = not _is_reached_from_below(filled, reached, other_row, other_col, other)
            if waits:
                heapq.heappush(heap, (np.float64(own), np.int64(cell)))


@kernel
def steepest_descent(
    elevation: _Elevation, filled: _Elevation, rim: _Flags, step_x_m: float, step_y_m: float, direction: _Directions
) -> None:
    """Direction of the largest drop over distance of the filled terrain.

    Of equally steep ways, as they lead to the level of a filled depression, that to the neighbour which was lowest
    before the filling; of these the first in the order of the directions.

    Cells without a lower neighbour are outlets on the rim, and elsewhere stay to be resolved by `resolve_flats`.
    """
    rows, cols = filled.shape
    diagonal_m = math.sqrt(step_x_m * step_x_m + step_y_m * step_y_m)
    for row in range(rows):
        for col in range(cols):
            own = np.float64(filled[row, col])
            if math.isnan(own):
                direction[row, col] = NO_DATA
                continue
            steepest = 0.0
            best = OUTLET if rim[row, col] else _FLAT
            lowest = np.inf
            for way in range(8):
                other_row, other_col = row + ROW_STEPS[way], col + COL_STEPS[way]
                if other_row < 0 or other_col < 0 or other_row >= rows or other_col >= cols:
                    continue
                distance_m = diagonal_m if way >= 4 else (step_x_m if way % 2 == 0 else step_y_m)
                descent = (own - np.float64(filled[other_row, other_col])) / distance_m
                before = np.float64(elevation[other_row, other_col])
                if descent > steepest or (descent == steepest and descent > 0.0 and before < lowest):
                    steepest = descent
                    lowest = before
                    best = way
            direction[row, col] = best


@kernel
def resolve_flats(elevation: _Elevation, filled: _Elevation, direction: _Directions) -> None:
    """Lead the water of level cells to where their level runs off, through what was lowest before it was filled.

    Each level is flooded backwards from the cells it runs off by, the lowest ground first as it was before the filling,
    so that in a filled valley water follows the valley, and on ground that was level already the way of fewest cells.
    """
    rows, cols = filled.shape
    heap = [(np.float64(0.0), np.int64(0), np.int64(0)) for _ in range(0)]
    order = 0
    for row in range(rows):
        for col in range(cols):
            if direction[row, col] == NO_DATA or direction[row, col] == _FLAT:
                continue
            for way in range(8):
                other_row, other_col = row + ROW_STEPS[way], col + COL_STEPS[way]
                if other_row < 0 or other_col < 0 or other_row >= rows or other_col >= cols:
                    continue
                if direction[other_row, other_col] == _FLAT and filled[other_row, other_col] == filled[row, col]:
                    heap.append((np.float64(elevation[row, col]), np.int64(order), np.int64(row * cols + col)))
                    order += 1
                    break
    heapq.heapify(heap)
    while len(heap) > 0:
        _, _, cell = heapq.heappop(heap)
        row, col = cell // cols, cell % cols
        for way in range(8):
            other_row, other_col = row + ROW_STEPS[way], col + COL_STEPS[way]
            if other_row < 0 or other_col < 0 or other_row >= rows or other_col >= cols:
                continue
            if direction[other_row, other_col] == _FLAT and filled[other_row, other_col] == filled[row, col]:
                direction[other_row, other_col] = _BACK[way]
                other = np.int64(other_row * cols + other_col)
                heapq.heappush(heap, (np.float64(elevation[other_row, other_col]), np.int64(order), other))
                order += 1


@kernel
def count_cells(direction: _Directions, count: NDArray[np.int32], is_cut: _Flags) -> None:
    """Number of cells that drain through each, itself included, and which of them lie below a marked one.

    Cells without data have 0. ``is_cut`` comes with marks and returns with these carried downstream. Each source is
    followed down as far as all that flows in is known, so that every cell is passed once and no order has to be kept.
    """
    rows, cols = direction.shape
    inflows = np.zeros((rows, cols), np.uint8)
    for row in range(rows):
        for col in range(cols):
            way = direction[row, col]
            count[row, col] = 0 if way == NO_DATA else 1
            if way < OUTLET:
                inflows[row + ROW_STEPS[way], col + COL_STEPS[way]] += 1
    for source_row in range(rows):
        for source_col in range(cols):
            if inflows[source_row, source_col] != 0:
                continue
            row, col = source_row, source_col
            way = direction[row, col]
            while way < OUTLET:
                below_row, below_col = row + ROW_STEPS[way], col + COL_STEPS[way]
                count[below_row, below_col] += count[row, col]
                is_cut[below_row, below_col] |= is_cut[row, col]
                inflows[below_row, below_col] -= 1
                if inflows[below_row, below_col] != 0:
                    break
                inflows[below_row, below_col] = _DONE  # or the scan would take it for a source
                row, col = below_row, below_col
                way = direction[row, col]


@kernel
def spread_cells(
    filled: _Elevation,
    direction: _Directions,
    step_x_m: float,
    step_y_m: float,
    exponent: float,
    cells: NDArray[np.float64],
) -> None:
    """Number of cells that drain through each where water divides among all lower neighbours; NaN without data.

    Shares go as the descent to the power of ``exponent`` (Freeman 1991). Level cells hand on to their one receiver.
    """
    rows, cols = filled.shape
    diagonal_m = math.sqrt(step_x_m * step_x_m + step_y_m * step_y_m)
    inflows = np.zeros((rows, cols), np.uint8)
    for row in range(rows):
        for col in range(cols):
            cells[row, col] = math.nan if direction[row, col] == NO_DATA else 1.0
            for way in range(8):
                other_row, other_col = row + ROW_STEPS[way], col + COL_STEPS[way]
                if other_row < 0 or other_col < 0 or other_row >= rows or other_col >= cols:
                    continue
                level = filled[other_row, other_col]
                if level > filled[row, col] or (
                    level == filled[row, col] and direction[other_row, other_col] == _BACK[way]
                ):
                    inflows[row, col] += 1
    waiting = np.empty(1024, np.int64)
    shares = np.empty(8)
    for source_row in range(rows):
        for source_col in range(cols):
            if inflows[source_row, source_col] != 0 or direction[source_row, source_col] == NO_DATA:
                continue
            waiting[0] = source_row * cols + source_col
            found = 1
            while found > 0:
                found -= 1
                row, col = waiting[found] // cols, waiting[found] % cols
                inflows[row, col] = _DONE
                steepest = 0.0
                for way in range(8):
                    shares[way] = -1.0  # not below; a share may be as small as nothing, and its neighbour waits for it
                    other_row, other_col = row + ROW_STEPS[way], col + COL_STEPS[way]
                    if other_row < 0 or other_col < 0 or other_row >= rows or other_col >= cols:
                        continue
                    drop_m = np.float64(filled[row, col]) - np.float64(filled[other_row, other_col])
                    if drop_m > 0.0:
                        distance_m = diagonal_m if way >= 4 else (step_x_m if way % 2 == 0 else step_y_m)
                        shares[way] = drop_m / distance_m
                        steepest = max(steepest, shares[way])
                if steepest == 0.0 and direction[row, col] < OUTLET:
                    shares[direction[row, col]] = 1.0
                    steepest = 1.0
                total = 0.0
                for way in range(8):
                    if shares[way] >= 0.0:
                        # Relative to the steepest: a power of a small descent itself may come to nothing.
                        shares[way] = (shares[way] / steepest) ** exponent
                        total += shares[way]
                for way in range(8):
                    if shares[way] < 0.0:
                        continue
                    other_row, other_col = row + ROW_STEPS[way], col + COL_STEPS[way]
                    cells[other_row, other_col] += cells[row, col] * (shares[way] / total)
                    inflows[other_row, other_col] -= 1
                    if inflows[other_row, other_col] == 0:
                        if found == waiting.size:
                            waiting = _grown(waiting)
                        waiting[found] = other_row * cols + other_col
                        found += 1


@kernel
def log_of_flow(
    cells: NDArray[np.generic],
    slope_deg: NDArray[np.float32],
    length_m: float,
    exponent: float,
    least_tangent: float,
    out: NDArray[np.float32],
) -> None:
    """Logarithm of the catchment per width times the tangent of the slope to a power; NaN where either is unknown.

    ``length_m`` is the area of a cell over the width of the contour that its water crosses.
    """
    for row in range(out.shape[0]):
        for col in range(out.shape[1]):
            out[row, col] = math.nan
            slope = np.float64(slope_deg[row, col])
            drained = np.float64(cells[row, col])
            if slope >= 0.0 and drained > 0.0:
                tangent = max(math.tan(math.radians(slope)), least_tangent)
                out[row, col] = math.log(drained * length_m) + exponent * math.log(tangent)
