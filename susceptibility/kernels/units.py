"""Loops behind slope units: half-basins, connected parts, shared borders and the merging of neighbours.

Cells are named by their flat index, row by row. ``downstream`` holds for each cell the cell that its water runs to,
`OUTLET` where it leaves the grid, `NO_DATA` where nothing is known.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from susceptibility.kernels.jit import kernel

OUTLET, NO_DATA = -1, -2

_Cells = NDArray[np.int32]
_Labels = NDArray[np.int32]
_PerUnit = NDArray[np.float64]


@kernel
def downstream_cells(
    directions: NDArray[np.uint8], row_steps: NDArray[np.int64], col_steps: NDArray[np.int64], no_data: int
) -> _Cells:
    """Return the downstream cell of each from the number of the neighbour that it drains to.

    A direction that is no neighbour's is an outlet, unless it is `no_data`.
    """
    rows, cols = directions.shape
    downstream = np.full(rows * cols, NO_DATA, np.int32)
    for row in range(rows):
        for col in range(cols):
            direction = directions[row, col]
            if direction < row_steps.size:
                downstream[row * cols + col] = (row + row_steps[direction]) * cols + col + col_steps[direction]
            elif direction != no_data:
                downstream[row * cols + col] = OUTLET
    return downstream


@kernel
def upstream_first(downstream: _Cells) -> _Cells:
    """Return cells with data in an order in which each comes after all that drain to it."""
    donors = np.zeros(downstream.size, np.int8)
    known = 0
    for cell in range(downstream.size):
        if downstream[cell] != NO_DATA:
            known += 1
            if downstream[cell] >= 0:
                donors[downstream[cell]] += 1
    order = np.empty(known, np.int32)
    filled = 0
    for cell in range(downstream.size):
        if downstream[cell] != NO_DATA and donors[cell] == 0:
            order[filled] = cell
            filled += 1
    done = 0
    while done < filled:
        receiver = downstream[order[done]]
        done += 1
        if receiver >= 0:
            donors[receiver] -= 1
            if donors[receiver] == 0:
                order[filled] = receiver
                filled += 1
    return order[:filled]


@kernel
def accumulate(downstream: _Cells, order: _Cells) -> tuple[_Cells, _Cells]:
    """Return the number of cells that drain through each, itself included, and its main donor: that with the most.

    The main donor is -1 where there is none; of donors as large as each other it is the first.
    """
    cells = np.zeros(downstream.size, np.int32)
    main = np.full(downstream.size, -1, np.int32)
    for cell in order:
        cells[cell] += 1
        receiver = downstream[cell]
        if receiver >= 0:
            cells[receiver] += cells[cell]
            best = main[receiver]
            # Every donor of the receiver is complete before the receiver is, so that these numbers are final.
            if best < 0 or cells[cell] > cells[best] or (cells[cell] == cells[best] and cell < best):
                main[receiver] = cell
    return cells, main


@kernel
def _clockwise(from_cell: int, to_cell: int, cols: int) -> int:
    """Return the direction to a neighbour: 0 east, 1 south-east ... 7 north-east."""
    down = to_cell // cols - from_cell // cols
    across = to_cell % cols - from_cell % cols
    if down == 0:
        return 0 if across > 0 else 4
    if down > 0:
        return 2 - across
    return 6 + across


@kernel
def half_basins(
    downstream: _Cells,
    order: _Cells,
    upstream_cells: _Cells,
    main: _Cells,
    threshold: int,
    together: bool,
    cols: int,
    basins: _Labels,
) -> None:
    """Number the two banks of each reach of the channels that drain at least `threshold` cells.

    A reach runs from one confluence to the next; that of a source goes on along the main donors up to the divide. What
    drains to it from the right, seen downstream, is ``2 reach + 1``; what drains to it from the left is ``2 reach``,
    with the reach itself. The number of a reach is its lowest cell. Where water leaves the grid without a channel its
    catchment has two banks likewise, or all these catchments are taken `together` as ``2 downstream.size``. Cells
    without data get -1.
    """
    on_reach = np.zeros(downstream.size, np.bool_)
    branches = np.zeros(downstream.size, np.int8)
    for cell in order:
        if upstream_cells[cell] >= threshold and downstream[cell] >= 0:
            branches[downstream[cell]] += 1
    basins[:] = -1
    for position in range(order.size - 1, -1, -1):
        cell = order[position]
        receiver = downstream[cell]
        if receiver < 0:
            on_reach[cell] = upstream_cells[cell] >= threshold or not together
            basins[cell] = 2 * cell if on_reach[cell] else 2 * downstream.size
        elif on_reach[receiver] and main[receiver] == cell:
            on_reach[cell] = True
            basins[cell] = 2 * cell if branches[receiver] > 1 else basins[receiver]
        elif upstream_cells[cell] >= threshold:
            on_reach[cell] = True
            basins[cell] = 2 * cell
        elif on_reach[receiver]:
            upward = _clockwise(receiver, main[receiver], cols)
            below = downstream[receiver]
            downward = _clockwise(receiver, below, cols) if below >= 0 else (upward + 4) % 8
            beside = _clockwise(receiver, cell, cols)
            is_right = (beside - downward) % 8 < (upward - downward) % 8
            basins[cell] = (basins[receiver] & ~1) + is_right
        else:
            basins[cell] = basins[receiver]


@kernel
def _root(parents: _Labels, unit: int) -> int:
    while parents[unit] != unit:
        parents[unit] = parents[parents[unit]]
        unit = parents[unit]
    return unit


@kernel
def connected_parts(labels: _Labels, parts: _Labels, divided: NDArray[np.bool_], numbers: _Labels) -> int:
    """Number what hangs together by cell edges within one label, and within one part where its label is `divided`.

    ``labels (row, col)`` counts from 0, -1 for none; ``numbers (row, col)`` takes the result, from 0 row by row.
    Returns how many there are.
    """
    rows, cols = labels.shape
    parents = np.empty(rows * cols, np.int32)
    for row in range(rows):
        for col in range(cols):
            cell = row * cols + col
            label = labels[row, col]
            parents[cell] = cell
            if label < 0:
                continue
            whole = not divided[label]
            if row > 0 and labels[row - 1, col] == label and (whole or parts[row - 1, col] == parts[row, col]):
                parents[cell] = _root(parents, cell - cols)
            if col > 0 and labels[row, col - 1] == label and (whole or parts[row, col - 1] == parts[row, col]):
                above, beside = _root(parents, cell), _root(parents, cell - 1)
                parents[max(above, beside)] = min(above, beside)
    count = 0
    for row in range(rows):
        for col in range(cols):
            numbers[row, col] = -1
            if labels[row, col] >= 0:
                cell = row * cols + col
                root = _root(parents, cell)
                if root == cell:
                    numbers[row, col] = count
                    count += 1
                else:
                    numbers[row, col] = numbers[root // cols, root % cols]
    return count


@kernel
def border_keys(labels: _Labels, downward: bool) -> NDArray[np.int64]:
    """Return ``smaller * 2^32 + larger`` for each cell edge between two labels, edges between rows where `downward`."""
    rows, cols = labels.shape
    down, across = (1, 0) if downward else (0, 1)
    count = 0
    keys = np.empty(0, np.int64)
    for fills in range(2):
        if fills:
            keys = np.empty(count, np.int64)
            count = 0
        for row in range(rows - down):
            for col in range(cols - across):
                first, second = np.int64(labels[row, col]), np.int64(labels[row + down, col + across])
                if first != second and first >= 0 and second >= 0:
                    if fills:
                        keys[count] = (min(first, second) << 32) + max(first, second)
                    count += 1
    return keys


@kernel
def sum_directions(
    labels: _Labels, east: NDArray[np.float32], north: NDArray[np.float32], cells: _PerUnit, sums: NDArray[np.float64]
) -> None:
    """Add up per label: cells, and in ``sums (label, 3)`` the unit vectors of aspect and how many of them there are.

    A cell counts as one vector where it has an aspect; where it is level or unknown it is a cell and no more.
    """
    for row in range(labels.shape[0]):
        for col in range(labels.shape[1]):
            label = labels[row, col]
            if label < 0:
                continue
            cells[label] += 1.0
            x, y = np.float64(east[row, col]), np.float64(north[row, col])
            if x * x + y * y > 0.5:
                sums[label, 0] += x
                sums[label, 1] += y
                sums[label, 2] += 1.0


@kernel
def _likeness(sums: NDArray[np.float64], first: int, second: int) -> float:
    """Return the cosine between the mean aspects of two units, 0 where one has none."""
    lengths = math.hypot(sums[first, 0], sums[first, 1]) * math.hypot(sums[second, 0], sums[second, 1])
    if lengths == 0.0:
        return 0.0
    return float(sums[first, 0] * sums[second, 0] + sums[first, 1] * sums[second, 1]) / lengths


@kernel
def absorb_small(
    borders: NDArray[np.int64],
    lengths: _PerUnit,
    groups: _Labels,
    cells: _PerUnit,
    sums: NDArray[np.float64],
    least_cells: float,
    smallest_first: NDArray[np.int64],
    parents: _Labels,
) -> int:
    """Join each unit of fewer than `least_cells` to the neighbour of its group that it is most like; one round.

    ``borders (border, 2)`` names the neighbours, ``lengths`` in metres. Likeness is the cosine between mean aspects
    plus the part of the unit's border that both share. ``parents (unit,)`` takes the unit that each became part of;
    `cells` and `sums` of that are kept up to date. Returns how many were joined.
    """
    outline = np.zeros(groups.size)
    for border in range(lengths.size):
        outline[borders[border, 0]] += lengths[border]
        outline[borders[border, 1]] += lengths[border]
    best = np.full(groups.size, -1, np.int32)
    score = np.full(groups.size, -np.inf)
    for border in range(lengths.size):
        first, second = borders[border, 0], borders[border, 1]
        if groups[first] != groups[second]:
            continue
        likeness = _likeness(sums, first, second)
        for own, other in ((first, second), (second, first)):
            if cells[own] < least_cells:
                value = likeness + lengths[border] / outline[own]
                if value > score[own]:
                    score[own] = value
                    best[own] = other
    for unit in range(groups.size):
        parents[unit] = unit
    joined = 0
    for unit in smallest_first:
        if best[unit] < 0:
            continue
        own, other = _root(parents, unit), _root(parents, best[unit])
        if own == other or cells[own] >= least_cells:
            continue
        if cells[own] > cells[other]:
            own, other = other, own
        parents[own] = other
        cells[other] += cells[own]
        sums[other, :] += sums[own, :]
        joined += 1
    for unit in range(groups.size):
        parents[unit] = _root(parents, unit)
    return joined


@kernel
def smooth_edges(
    labels: _Labels,
    groups: _Labels,
    sums: NDArray[np.float64],
    east: NDArray[np.float32],
    north: NDArray[np.float32],
    weight: float,
    smoothed: _Labels,
) -> None:
    """Give each cell to the unit of its group that it fits best of those within the 3 x 3 cells around it.

    What counts is how many of these cells a unit has, its own one included, and `weight` times the cosine between the
    cell's aspect ``(east, north)`` and the unit's mean; in a tie a cell stays where it is.
    """
    rows, cols = labels.shape
    for row in range(rows):
        for col in range(cols):
            own = labels[row, col]
            smoothed[row, col] = own
            if own < 0:
                continue
            inside = True
            for other_row in range(max(row - 1, 0), min(row + 2, rows)):
                for other_col in range(max(col - 1, 0), min(col + 2, cols)):
                    inside &= labels[other_row, other_col] == own
            if inside:
                continue
            most = -np.inf
            for first_row in range(max(row - 1, 0), min(row + 2, rows)):
                for first_col in range(max(col - 1, 0), min(col + 2, cols)):
                    # Its own label comes first, so that others have to be better.
                    at_start = first_row == max(row - 1, 0) and first_col == max(col - 1, 0)
                    for label in (own, labels[first_row, first_col]):
                        if (label == own and not at_start) or label < 0 or groups[label] != groups[own]:
                            continue
                        fit = 0.0
                        for other_row in range(max(row - 1, 0), min(row + 2, rows)):
                            for other_col in range(max(col - 1, 0), min(col + 2, cols)):
                                fit += labels[other_row, other_col] == label
                        length = math.hypot(sums[label, 0], sums[label, 1])
                        x, y = np.float64(east[row, col]), np.float64(north[row, col])
                        if length > 0.0 and x * x + y * y > 0.5:
                            fit += weight * (x * sums[label, 0] + y * sums[label, 1]) / length
                        if fit > most:
                            most = fit
                            smoothed[row, col] = label


@kernel
def relabel(labels: _Labels, numbers: _Labels) -> None:
    """Replace each label by its number, in place; -1 stays."""
    for row in range(labels.shape[0]):
        for col in range(labels.shape[1]):
            if labels[row, col] >= 0:
                labels[row, col] = numbers[labels[row, col]]


@kernel
def _joint_variance(sums: NDArray[np.float64], first: int, second: int) -> float:
    """Return the circular variance of aspect of two units together, 0 where neither has any."""
    count = float(sums[first, 2] + sums[second, 2])
    if count == 0.0:
        return 0.0
    return 1.0 - math.hypot(sums[first, 0] + sums[second, 0], sums[first, 1] + sums[second, 1]) / count


@kernel
def join_alike(
    borders: NDArray[np.int64],
    lengths: _PerUnit,
    groups: _Labels,
    cells: _PerUnit,
    sums: NDArray[np.float64],
    largest_variance: float,
    least_share: float,
    parents: _Labels,
) -> int:
    """Join pairs of a group that face one way together and are each the other's most alike; one round.

    Arguments as of `absorb_small`; a pair counts where its circular variance together is not above `largest_variance`
    and where both share at least `least_share` of the shorter of their borders.
    """
    outline = np.zeros(groups.size)
    for border in range(lengths.size):
        outline[borders[border, 0]] += lengths[border]
        outline[borders[border, 1]] += lengths[border]
    best = np.full(groups.size, -1, np.int32)
    score = np.full(groups.size, -np.inf)
    for border in range(lengths.size):
        first, second = borders[border, 0], borders[border, 1]
        share = lengths[border] / min(outline[first], outline[second])
        if groups[first] != groups[second] or share < least_share:
            continue
        if _joint_variance(sums, first, second) > largest_variance:
            continue
        value = _likeness(sums, first, second) + share
        for own, other in ((first, second), (second, first)):
            if value > score[own]:
                score[own] = value
                best[own] = other
    joined = 0
    for unit in range(groups.size):
        parents[unit] = unit
        other = best[unit]
        if other >= 0 and other < unit and best[other] == unit:
            parents[unit] = other
            cells[other] += cells[unit]
            sums[other, :] += sums[unit, :]
            joined += 1
    return joined
