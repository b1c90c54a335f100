"""Channels as nodes in a list, each with the one below it: segments, orders, steepness, and what hangs on them.

A node is a cell of the stream network. Arrays are ``(node,)``; ``receiver`` is the number of the node below, -1 at an
outlet, ``order`` the numbers of all nodes such that none comes before one that flows into it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from susceptibility.kernels.flow import COL_STEPS, OUTLET, ROW_STEPS
from susceptibility.kernels.jit import kernel

_Numbers = NDArray[np.int64]
_Values = NDArray[np.float64]


@kernel
def split_segments(receiver: _Numbers, order: _Numbers, segment: _Numbers, strahler: NDArray[np.int32]) -> int:
    """Number the segments between confluences and give each node its segment and Strahler order; how many there are.

    A node where two or more meet begins the segment below.
    """
    inflows = np.zeros(receiver.size, np.int32)
    alike = np.zeros(receiver.size, np.int32)  # inflows of the highest order met so far
    segment[:] = -1
    strahler[:] = 0
    for node in order:
        if receiver[node] >= 0:
            inflows[receiver[node]] += 1
    segments = 0
    for node in order:
        if inflows[node] != 1:
            segment[node] = segments
            segments += 1
        if inflows[node] == 0:
            strahler[node] = 1
        elif alike[node] > 1:
            strahler[node] += 1
        below = receiver[node]
        if below < 0:
            continue
        if inflows[below] == 1:
            segment[below] = segment[node]
        if strahler[node] > strahler[below]:
            strahler[below] = strahler[node]
            alike[below] = 1
        elif strahler[node] == strahler[below]:
            alike[below] += 1
    return segments


@kernel
def integrate_upstream(receiver: _Numbers, order: _Numbers, step: _Values, total: _Values) -> None:
    """Sum of the steps from each node down to its outlet, where it is 0."""
    for place in range(order.size - 1, -1, -1):
        node = order[place]
        below = receiver[node]
        total[node] = 0.0 if below < 0 else total[below] + step[node]


@kernel
def _fitted_slope(points: int, x: float, y: float, xx: float, xy: float) -> float:
    """Slope of the regression line from sums over points; NaN where they do not spread along x."""
    spread = xx - x * x / points
    return (xy - x * y / points) / spread if spread > 0.0 else math.nan


@kernel
def slopes_of_segments(
    segment: _Numbers, receiver: _Numbers, x: _Values, y: _Values, least_nodes: int, slope: _Values
) -> None:
    """Slope of y against x along each segment down to the node below its last; NaN with fewer than ``least_nodes``."""
    sums = np.zeros((slope.size, 4))
    points = np.zeros(slope.size, np.int64)
    start = np.full(slope.size, -1, np.int64)
    for node in range(segment.size):
        own = segment[node]
        below = receiver[node]
        ends = below >= 0 and segment[below] != own
        for point in (node, below):
            if point == below and not ends:
                continue
            if start[own] < 0:
                start[own] = point
            # Relative to one node: sums of squares of numbers that hardly differ would lose their digits.
            from_x, from_y = x[point] - x[start[own]], y[point] - y[start[own]]
            points[own] += 1
            sums[own, 0] += from_x
            sums[own, 1] += from_y
            sums[own, 2] += from_x * from_x
            sums[own, 3] += from_x * from_y
    for own in range(slope.size):
        slope[own] = math.nan
        if points[own] >= least_nodes:
            slope[own] = _fitted_slope(points[own], sums[own, 0], sums[own, 1], sums[own, 2], sums[own, 3])


@kernel
def slopes_along_streams(
    receiver: _Numbers,
    order: _Numbers,
    area: _Values,
    distance_m: _Values,
    x: _Values,
    y: _Values,
    reach_m: float,
    least_nodes: int,
    slope: _Values,
) -> None:
    """Slope of y against x within ``reach_m`` up and down the channel of each node; NaN with too few nodes.

    Upward it follows the larger catchment at each confluence, of equal ones that with the lower ``y``. ``distance_m``
    is that from the outlet.
    """
    main = np.full(receiver.size, -1, np.int64)
    for node in order:
        below = receiver[node]
        if below < 0:
            continue
        other = main[below]
        if other < 0 or area[node] > area[other] or (area[node] == area[other] and y[node] < y[other]):
            main[below] = node
    for node in range(receiver.size):
        points, sum_x, sum_y, sum_xx, sum_xy = 0, 0.0, 0.0, 0.0, 0.0
        for upward in (False, True):
            point = main[node] if upward else node
            while point >= 0 and abs(distance_m[point] - distance_m[node]) <= reach_m:
                from_x, from_y = x[point] - x[node], y[point] - y[node]
                points += 1
                sum_x += from_x
                sum_y += from_y
                sum_xx += from_x * from_x
                sum_xy += from_x * from_y
                point = main[point] if upward else receiver[point]
        slope[node] = math.nan
        if points >= least_nodes:
            slope[node] = _fitted_slope(points, sum_x, sum_y, sum_xx, sum_xy)


@kernel
def first_channel(direction: NDArray[np.uint8], channel: NDArray[np.int32]) -> None:
    """Number of the node that the water of each cell reaches first, in place; -1 where it leaves before it reaches one.

    ``channel`` comes with the numbers of the nodes in their cells and -1 elsewhere.
    """
    rows, cols = direction.shape
    unknown, none = -1, -2
    for first_row in range(rows):
        for first_col in range(cols):
            row, col = first_row, first_col
            while channel[row, col] == unknown:
                way = direction[row, col]
                if way >= OUTLET:
                    channel[row, col] = none
                    break
                row, col = row + ROW_STEPS[way], col + COL_STEPS[way]
            found = channel[row, col]
            row, col = first_row, first_col
            while channel[row, col] == unknown:
                channel[row, col] = found
                way = direction[row, col]
                row, col = row + ROW_STEPS[way], col + COL_STEPS[way]
    for row in range(rows):
        for col in range(cols):
            if channel[row, col] == none:
                channel[row, col] = unknown


@kernel
def value_of_channel(channel: NDArray[np.int32], value: _Values, out: NDArray[np.float32]) -> None:
    """Value of the node that each cell drains to; NaN where there is none."""
    for row in range(out.shape[0]):
        for col in range(out.shape[1]):
            node = channel[row, col]
            out[row, col] = math.nan if node < 0 else value[node]


@kernel
def sum_in_circles(
    rows: _Numbers, cols: _Numbers, amount: _Numbers, half_widths: _Numbers, out: NDArray[np.int64]
) -> None:
    """Sum of the amounts at some cells within a circle around every cell of a raster.

    ``half_widths`` are columns to either side of the circle's middle, row by row from its uppermost. Integers: the sum
    is exact, and 0 where nothing lies inside. Each amount enters where a row of its circle begins and leaves where it
    ends; a running sum along the rows does the rest, at a cost that depends on the circle's height, not on its area.
    """
    height, width = out.shape
    reach = half_widths.size // 2
    out[:, :] = 0
    for place in range(rows.size):
        for part in range(half_widths.size):
            row = rows[place] + part - reach
            if row < 0 or row >= height:
                continue
            out[row, max(cols[place] - half_widths[part], 0)] += amount[place]
            end = cols[place] + half_widths[part] + 1
            if end < width:
                out[row, end] -= amount[place]
    for row in range(height):
        running = np.int64(0)
        for col in range(width):
            running += out[row, col]
            out[row, col] = running


@kernel
def _ends_of_runs(known: NDArray[np.bool_]) -> tuple[_Numbers, _Numbers]:
    """Columns at which runs of known cells begin and end in turn, and where those of each row start in that list."""
    height, width = known.shape
    starts = np.zeros(height + 1, np.int64)
    for row in range(height):
        before = False
        ends = 0
        for col in range(width):
            ends += known[row, col] != before
            before = known[row, col]
        starts[row + 1] = starts[row] + ends + before
    cols = np.empty(starts[height], np.int64)
    place = 0
    for row in range(height):
        before = False
        for col in range(width):
            if known[row, col] != before:
                cols[place] = col
                place += 1
            before = known[row, col]
        if before:
            cols[place] = width
            place += 1
    return cols, starts


@kernel
def count_in_circles(known: NDArray[np.bool_], half_widths: _Numbers, out: NDArray[np.int64]) -> None:
    """Number of known cells within a circle around every cell; see `sum_in_circles`.

    Known cells come in runs along a row, and the number of a run's cells within so many columns is a trapezium: two
    running sums of its four corners. The cost goes with the circle's height and the number of runs.
    """
    height, width = out.shape
    reach = half_widths.size // 2
    widest = np.max(half_widths)
    run_ends, starts = _ends_of_runs(known)
    corners = np.zeros(width + 2 * widest + 2, np.int64)
    for row in range(height):
        corners[:] = 0
        for source in range(max(row - reach, 0), min(row + reach + 1, height)):
            half = half_widths[source - row + reach]
            for place in range(starts[source], starts[source + 1]):
                sign = 1 if (place - starts[source]) % 2 == 0 else -1
                corners[widest + run_ends[place] - half] += sign
                corners[widest + run_ends[place] + half + 1] -= sign
        slope = np.int64(0)
        running = np.int64(0)
        for place in range(width + widest):
            slope += corners[place]
            running += slope
            if place >= widest:
                out[row, place - widest] = running
