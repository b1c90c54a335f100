"""A landscape in balance of uplift and erosion: where water goes, how much ground it drains, how high each cell is.

Cells are flat indices of a raster of square cells; the `receiver` of an outlet is the cell itself.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from susceptibility.kernels.jit import kernel

_Cells = NDArray[np.int64]
_Values = NDArray[np.float64]


@kernel
def find_receivers(elevation: NDArray[np.floating[Any]], receiver: _Cells) -> int:
    """Find the neighbour of steepest descent of each cell (row, col), in place; return how many changed.

    Outlets stay so, and a cell without a lower neighbour keeps the receiver it has.
    """
    rows, cols = elevation.shape
    changed = 0
    for row in range(rows):
        for col in range(cols):
            cell = row * cols + col
            if receiver[cell] == cell:
                continue
            steepest, best = 0.0, receiver[cell]
            for row_step in range(-1, 2):
                for col_step in range(-1, 2):
                    other_row, other_col = row + row_step, col + col_step
                    is_beyond = other_row < 0 or other_col < 0 or other_row == rows or other_col == cols
                    if is_beyond or (row_step == 0 and col_step == 0):
                        continue
                    drop = elevation[row, col] - elevation[other_row, other_col]
                    if row_step != 0 and col_step != 0:
                        drop /= math.sqrt(2.0)
                    if drop > steepest:
                        steepest, best = drop, other_row * cols + other_col
            changed += receiver[cell] != best
            receiver[cell] = best
    return changed


@kernel
def order_downstream(receiver: _Cells, order: _Cells) -> int:
    """Order cells so that each comes before its receiver, in place; return how many there are, all without a cycle."""
    donors = np.zeros(receiver.size, np.int64)
    for cell in range(receiver.size):
        if receiver[cell] != cell:
            donors[receiver[cell]] += 1
    count = 0
    for cell in range(receiver.size):
        if donors[cell] == 0:
            order[count] = cell
            count += 1
    done = 0
    while done < count:
        cell = order[done]
        below = receiver[cell]
        done += 1
        if below != cell:
            donors[below] -= 1
            if donors[below] == 0:
                order[count] = below
                count += 1
    return count


@kernel
def drained_area(receiver: _Cells, order: _Cells, cell_area_m2: float, area_m2: _Values) -> None:
    """Area that drains through each cell, with its own, in place."""
    area_m2[:] = cell_area_m2
    for cell in order:
        if receiver[cell] != cell:
            area_m2[receiver[cell]] += area_m2[cell]


@kernel
def raise_upstream(
    receiver: _Cells,
    order: _Cells,
    area_m2: _Values,
    steepness: _Values,
    steepest: _Values,
    concavity: float,
    cell_m: float,
    cols: int,
    elevation: _Values,
) -> None:
    """Elevations of the balance, in place, upstream from those of the outlets.

    The gradient of a cell is ``steepness * area^-concavity``, at most `steepest`.
    """
    for index in range(order.size - 1, -1, -1):
        cell = order[index]
        below = receiver[cell]
        if below == cell:
            continue
        step_m = cell_m
        if cell // cols != below // cols and cell % cols != below % cols:
            step_m *= math.sqrt(2.0)
        gradient = min(steepness[cell] * area_m2[cell] ** -concavity, steepest[cell])
        elevation[cell] = elevation[below] + gradient * step_m


@kernel
def creep(elevation: NDArray[np.float64], is_fixed: NDArray[np.bool_], share: float, passes: int) -> None:
    """Smooth the cells (row, col) that are not fixed, in place: each goes a share of the way to the mean around it."""
    rows, cols = elevation.shape
    former = np.empty_like(elevation)
    for _ in range(passes):
        former[:, :] = elevation
        for row in range(rows):
            for col in range(cols):
                if is_fixed[row, col]:
                    continue
                above, below = max(row - 1, 0), min(row + 1, rows - 1)
                left, right = max(col - 1, 0), min(col + 1, cols - 1)
                mean = 0.25 * (former[above, col] + former[below, col] + former[row, left] + former[row, right])
                elevation[row, col] = former[row, col] + share * (mean - former[row, col])
