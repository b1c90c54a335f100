"""Statistics of the cells of each unit.

The cells of unit ``u`` are ``cells[starts[u]:starts[u + 1]]``, flat indices of ``values``, and the part of each that
lies in the unit is in ``parts``; an empty ``parts`` means whole cells. NaN is no data and weighs nothing. Each unit is
worked out by itself, so that results do not depend on how units fall to threads.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from susceptibility.kernels.jit import kernel

_Values = NDArray[np.float32]
_Starts = NDArray[np.int64]
_Cells = NDArray[np.int32]
_Parts = NDArray[np.float64]
_PerUnit = NDArray[np.float64]


@kernel
def group_cells(labels: NDArray[np.int32], starts: _Starts, cells: _Cells) -> None:
    """Sort the cells of ``labels (cell,)`` by unit, 1 and up, in their order; `starts` comes as zeros and is filled."""
    for label in labels:
        if label > 0:
            starts[label] += 1
    for unit in range(1, starts.size):
        starts[unit] += starts[unit - 1]
    filled = starts.copy()
    for cell in range(labels.size):
        if labels[cell] > 0:
            cells[filled[labels[cell] - 1]] = cell
            filled[labels[cell] - 1] += 1


@kernel
def moments(values: _Values, starts: _Starts, cells: _Cells, parts: _Parts, result: NDArray[np.float64]) -> None:
    """Fill ``result (unit, 7)``: weight, cells, mean, sd, min, max and sum, of the values that are known.

    The weight is in cells. Mean and sd are NaN where nothing is known, as are min, max and sum.
    """
    for unit in range(starts.size - 1):
        weight, count, mean, total = 0.0, 0, 0.0, 0.0
        low, high = math.inf, -math.inf
        for position in range(starts[unit], starts[unit + 1]):
            value = np.float64(values[cells[position]])
            if not math.isnan(value):
                part = parts[position] if parts.size else 1.0
                weight += part
                total += part * value
                count += 1
                low, high = min(low, value), max(high, value)
        result[unit, 0], result[unit, 1] = weight, count
        result[unit, 2:] = math.nan
        if weight <= 0.0:
            continue
        mean = total / weight
        squares = 0.0
        for position in range(starts[unit], starts[unit + 1]):
            value = np.float64(values[cells[position]])
            if not math.isnan(value):
                squares += (parts[position] if parts.size else 1.0) * (value - mean) ** 2
        result[unit, 2], result[unit, 3] = mean, math.sqrt(squares / weight)
        result[unit, 4], result[unit, 5], result[unit, 6] = low, high, total


@kernel
def directions(values: _Values, starts: _Starts, cells: _Cells, parts: _Parts, result: NDArray[np.float64]) -> None:
    """Fill ``result (unit, 2)``: circular mean in degrees, 0 to 360, and circular variance, 0 to 1."""
    for unit in range(starts.size - 1):
        east, north, weight = 0.0, 0.0, 0.0
        for position in range(starts[unit], starts[unit + 1]):
            value = np.float64(values[cells[position]])
            if not math.isnan(value):
                part = parts[position] if parts.size else 1.0
                weight += part
                east += part * math.sin(math.radians(value))
                north += part * math.cos(math.radians(value))
        result[unit, :] = math.nan
        if weight <= 0.0:
            continue
        length = math.hypot(east, north) / weight
        result[unit, 1] = max(0.0, 1.0 - length)
        # Directions that cancel have no mean; rounding leaves some 1e-16 of them.
        if length > 1e-9:
            result[unit, 0] = math.degrees(math.atan2(east, north)) % 360.0


@kernel
def share_above(
    values: _Values, starts: _Starts, cells: _Cells, parts: _Parts, threshold: float, result: _PerUnit
) -> None:
    """Part of each unit's known area whose value is above a threshold; NaN where nothing is known."""
    for unit in range(starts.size - 1):
        weight, above = 0.0, 0.0
        for position in range(starts[unit], starts[unit + 1]):
            value = np.float64(values[cells[position]])
            if not math.isnan(value):
                part = parts[position] if parts.size else 1.0
                weight += part
                above += part if value > threshold else 0.0
        result[unit] = above / weight if weight > 0.0 else math.nan


@kernel
def _known_sorted(
    values: _Values, starts: _Starts, cells: _Cells, parts: _Parts, unit: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the known values of a unit in ascending order and their weights."""
    first, last = starts[unit], starts[unit + 1]
    known = np.empty(last - first)
    weights = np.ones(last - first)
    count = 0
    for position in range(first, last):
        value = np.float64(values[cells[position]])
        weight = parts[position] if parts.size else 1.0
        if not math.isnan(value) and weight > 0.0:
            known[count] = value
            weights[count] = weight
            count += 1
    order = np.argsort(known[:count], kind="mergesort")
    return known[:count][order], weights[:count][order]


@kernel
def dominant_class(values: _Values, starts: _Starts, cells: _Cells, parts: _Parts, result: NDArray[np.float64]) -> None:
    """Fill ``result (unit, 2)``: the class with the largest area, the lowest in a tie, and its part of the known."""
    for unit in range(starts.size - 1):
        known, weights = _known_sorted(values, starts, cells, parts, unit)
        result[unit, :] = math.nan
        total, best, run = 0.0, 0.0, 0.0
        for index in range(known.size):
            run = run + weights[index] if index > 0 and known[index] == known[index - 1] else weights[index]
            total += weights[index]
            if run > best * (1.0 + 1e-12):
                best = run
                result[unit, 0] = known[index]
        if total > 0.0:
            result[unit, 1] = best / total


@kernel
def quantile(values: _Values, starts: _Starts, cells: _Cells, parts: _Parts, level: float, result: _PerUnit) -> None:
    """Quantile of each unit's known values, 0 to 1; NaN where nothing is known.

    Of whole cells as NumPy's "linear". Of parts of cells likewise between the values in order, the step from one to the
    next being as long as half the parts of both, which is 1 where all are whole.
    """
    for unit in range(starts.size - 1):
        known, weights = _known_sorted(values, starts, cells, parts, unit)
        result[unit] = math.nan
        if known.size == 0:
            continue
        span = 0.0
        for index in range(1, known.size):
            span += 0.5 * (weights[index - 1] + weights[index])
        target = level * span
        place = 0.0
        result[unit] = known[known.size - 1]
        for index in range(1, known.size):
            step = 0.5 * (weights[index - 1] + weights[index])
            if target <= place + step:
                result[unit] = known[index - 1] + (known[index] - known[index - 1]) * ((target - place) / step)
                break
            place += step
