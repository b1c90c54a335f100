"""Exact distance from the centres of cells to the nearest of many straight segments.

Branch and bound: where R is half the diagonal of a rectangle of cell centres and d the distance from its middle to the
nearest segment, no centre in it is farther than d + R from that one, so that a segment farther than d + 2 R from the
middle is the nearest of none. The rectangle is halved, and each half looks only at the segments that are left, until
few cells remain; these are measured against each. What is dropped can never be nearest: the result is that of measuring
every cell against every segment, and does not depend on how the grid is cut.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from susceptibility.kernels.jit import kernel

_Segments = NDArray[np.float64]

_LEAF_CELLS = 16
_SLACK = 1e-9  # relative; distances carry rounding, and what is as near must not be dropped


@kernel
def _squared_distance(x: float, y: float, segments: _Segments, index: int) -> float:
    """Squared distance from a place to a segment (x0, y0, x1, y1), which may be a point."""
    x0, y0 = segments[index, 0], segments[index, 1]
    along_x, along_y = segments[index, 2] - x0, segments[index, 3] - y0
    from_x, from_y = x - x0, y - y0
    length2 = along_x * along_x + along_y * along_y
    if length2 > 0.0:
        part = (from_x * along_x + from_y * along_y) / length2
        part = min(max(part, 0.0), 1.0)
        from_x -= part * along_x
        from_y -= part * along_y
    square: float = from_x * from_x + from_y * from_y
    return square


@kernel
def distance_to_segments(
    segments: _Segments,
    left: float,
    top: float,
    step_x: float,
    step_y: float,
    before: int,
    distance: NDArray[np.float32],
) -> None:
    """Distance from the centres of cells to the nearest segment, in the unit of the coordinates.

    ``left`` and ``top`` are the coordinates of the grid's upper left centre; ``step_x`` and ``step_y`` lead to the next
    column and row, and may be negative. ``distance`` has some rows of the grid, with `before` rows before them.
    ``segments`` (segment, 4), at least one.
    """
    # Rectangles still to do, the last first; each with its part of `kept`, whose later parts are done with by then.
    rectangles = [(0, distance.shape[0], 0, distance.shape[1], 0, segments.shape[0])]
    kept = np.arange(segments.shape[0])
    squares = np.empty(segments.shape[0], np.float64)
    while len(rectangles) > 0:
        first_row, last_row, first_col, last_col, start, stop = rectangles.pop()
        rows, cols = last_row - first_row, last_col - first_col
        if rows * cols <= _LEAF_CELLS:
            for row in range(first_row, last_row):
                for col in range(first_col, last_col):
                    nearest = math.inf
                    for place in range(start, stop):
                        square = _squared_distance(
                            left + col * step_x, top + (before + row) * step_y, segments, kept[place]
                        )
                        nearest = min(nearest, square)
                    distance[row, col] = math.sqrt(nearest)
            continue
        middle_x = left + 0.5 * (first_col + last_col - 1) * step_x
        middle_y = top + (before + 0.5 * (first_row + last_row - 1)) * step_y
        nearest = math.inf
        for place in range(start, stop):
            squares[place - start] = _squared_distance(middle_x, middle_y, segments, kept[place])
            nearest = min(nearest, squares[place - start])
        half_diagonal = 0.5 * math.hypot((rows - 1) * step_y, (cols - 1) * step_x)
        reach = (math.sqrt(nearest) + 2.0 * half_diagonal) * (1.0 + _SLACK)
        if kept.size < stop + stop - start:
            longer = np.empty(2 * (stop + stop - start), kept.dtype)
            longer[: kept.size] = kept
            kept = longer
        found = stop
        for place in range(start, stop):
            if squares[place - start] <= reach * reach:
                kept[found] = kept[place]
                found += 1
        if rows > 1 and (cols == 1 or rows * abs(step_y) > cols * abs(step_x)):
            half = first_row + rows // 2
            rectangles.append((first_row, half, first_col, last_col, stop, found))
            rectangles.append((half, last_row, first_col, last_col, stop, found))
        else:
            half = first_col + cols // 2
            rectangles.append((first_row, last_row, first_col, half, stop, found))
            rectangles.append((first_row, last_row, half, last_col, stop, found))


@kernel
def column_distances(marked: NDArray[np.bool_], distance: NDArray[np.float32]) -> None:
    """Number of rows from each cell to the nearest marked one of its column; infinite in a column without any."""
    rows, cols = marked.shape
    for col in range(cols):
        distance[0, col] = 0.0 if marked[0, col] else np.inf
    for row in range(1, rows):
        for col in range(cols):
            distance[row, col] = 0.0 if marked[row, col] else distance[row - 1, col] + 1.0
    for row in range(rows - 2, -1, -1):
        for col in range(cols):
            distance[row, col] = min(distance[row, col], distance[row + 1, col] + 1.0)


@kernel
def widen_across(distance: NDArray[np.float32], width: float, height: float) -> None:
    """Turn `column_distances` into the distance to the nearest marked cell of any column, in place.

    The lower envelope of the parabolas ``(width (col - k))2 + (height distance[k])2`` over the columns k of a row
    (Felzenszwalb & Huttenlocher 2012, Distance transforms of sampled functions, Theory of Computing 8, 415-428).
    """
    rows, cols = distance.shape
    heights = np.empty(cols, np.float64)
    apex = np.empty(cols, np.int64)
    begin = np.empty(cols + 1, np.float64)
    for row in range(rows):
        count = 0
        for col in range(cols):
            heights[col] = (height * np.float64(distance[row, col])) ** 2
            if heights[col] == np.inf:
                continue
            crossing = -np.inf
            while count > 0:
                other = apex[count - 1]
                rise = (heights[col] - heights[other]) / (width * width)
                crossing = 0.5 * (rise / (col - other) + (col + other))
                if crossing > begin[count - 1]:
                    break
                count -= 1
                crossing = -np.inf
            apex[count] = col
            begin[count] = crossing
            count += 1
        if count == 0:
            continue
        begin[count] = np.inf
        piece = 0
        for col in range(cols):
            while begin[piece + 1] < col:
                piece += 1
            across = width * (col - apex[piece])
            distance[row, col] = math.sqrt(across * across + heights[apex[piece]])
