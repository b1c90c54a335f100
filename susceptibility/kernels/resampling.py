"""Values of a raster at places that are not its pixel centres.

Places are given in the raster's own pixel coordinates, (0, 0) the upper left *corner* of its first pixel. ``source`` is
the part of the raster that is in memory, whose first pixel is ``first_row``, ``first_col`` of the whole raster: indices
are worked out on the whole raster, so that the result does not depend on how it is cut into windows. NaN is no data:
a place inside a pixel without data gets none.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from susceptibility.kernels.jit import kernel

_Source = NDArray[np.float32]
_Places = NDArray[np.float64]


@kernel
def _value(source: _Source, row: int, col: int) -> float:
    """Return the pixel, NaN outside of what is in memory."""
    if row < 0 or col < 0 or row >= source.shape[0] or col >= source.shape[1]:
        return math.nan
    return np.float64(source[row, col])


@kernel
def _nearest(source: _Source, first_row: int, first_col: int, y: float, x: float) -> float:
    if not (math.isfinite(y) and math.isfinite(x)):
        return math.nan
    return _value(source, math.floor(y) - first_row, math.floor(x) - first_col)


@kernel
def _bilinear(source: _Source, first_row: int, first_col: int, y: float, x: float) -> float:
    """Weighted mean of those of the four nearest pixels that have data."""
    row = math.floor(y - 0.5)
    col = math.floor(x - 0.5)
    down = y - 0.5 - row
    across = x - 0.5 - col
    weights = 0.0
    total = 0.0
    for row_step in range(2):
        for col_step in range(2):
            weight = (down if row_step else 1.0 - down) * (across if col_step else 1.0 - across)
            value = _value(source, row + row_step - first_row, col + col_step - first_col)
            if weight > 0.0 and not math.isnan(value):
                weights += weight
                total += weight * value
    return total / weights


@kernel
def _keys_weight(distance: float) -> float:
    """Cubic convolution of Keys (1981) with a = -1/2, exact for quadratic surfaces."""
    distance = abs(distance)
    if distance < 1.0:
        return (1.5 * distance - 2.5) * distance * distance + 1.0
    if distance < 2.0:
        return ((-0.5 * distance + 2.5) * distance - 4.0) * distance + 2.0
    return 0.0


@kernel
def _cubic(source: _Source, first_row: int, first_col: int, y: float, x: float) -> float:
    """Cubic convolution of 4 x 4 pixels; NaN where one of them has no data."""
    row = math.floor(y - 0.5)
    col = math.floor(x - 0.5)
    total = 0.0
    for row_step in range(-1, 3):
        row_weight = _keys_weight(y - 0.5 - (row + row_step))
        for col_step in range(-1, 3):
            weight = row_weight * _keys_weight(x - 0.5 - (col + col_step))
            if weight != 0.0:
                total += weight * _value(source, row + row_step - first_row, col + col_step - first_col)
    return total


@kernel
def sample_nearest(source: _Source, first_row: int, first_col: int, y: _Places, x: _Places, out: _Source) -> None:
    """Value of the pixel that contains each place."""
    for row in range(out.shape[0]):
        for col in range(out.shape[1]):
            out[row, col] = _nearest(source, first_row, first_col, y[row, col], x[row, col])


@kernel
def sample_bilinear(source: _Source, first_row: int, first_col: int, y: _Places, x: _Places, out: _Source) -> None:
    """Bilinear interpolation between pixel centres, of the neighbours that have data."""
    for row in range(out.shape[0]):
        for col in range(out.shape[1]):
            if math.isnan(_nearest(source, first_row, first_col, y[row, col], x[row, col])):
                out[row, col] = np.nan
            else:
                out[row, col] = _bilinear(source, first_row, first_col, y[row, col], x[row, col])


@kernel
def sample_cubic(source: _Source, first_row: int, first_col: int, y: _Places, x: _Places, out: _Source) -> None:
    """Cubic convolution; NaN where one of the pixels it needs has no data, within two pixels of the data's edge."""
    for row in range(out.shape[0]):
        for col in range(out.shape[1]):
            out[row, col] = np.nan
            if math.isfinite(y[row, col]) and math.isfinite(x[row, col]):
                value = _cubic(source, first_row, first_col, y[row, col], x[row, col])
                if not math.isnan(value):
                    out[row, col] = value


@kernel
def _overlap(first: float, last: float, pixel: int) -> float:
    """Length of [first, last] inside [pixel, pixel + 1]."""
    return max(0.0, min(last, pixel + 1.0) - max(first, np.float64(pixel)))


@kernel
def _footprint(corners: _Places, row: int, col: int) -> tuple[float, float]:
    """Smallest and largest coordinate of a target pixel from the coordinates of its four corners."""
    first = corners[row, col]
    second = corners[row, col + 1]
    third = corners[row + 1, col]
    fourth = corners[row + 1, col + 1]
    return min(first, second, third, fourth), max(first, second, third, fourth)


@kernel
def average_footprint(
    source: _Source, first_row: int, first_col: int, y: _Places, x: _Places, least_coverage: float, out: _Source
) -> None:
    """Mean of the data under each target pixel, weighted by area; NaN where they cover less than a part of the pixel.

    ``y`` and ``x`` (row + 1, col + 1) are the target pixels' corners; their bounding box stands for the pixel.
    """
    for row in range(out.shape[0]):
        for col in range(out.shape[1]):
            out[row, col] = np.nan
            top, bottom = _footprint(y, row, col)
            left, right = _footprint(x, row, col)
            if not math.isfinite(top + bottom + left + right):
                continue
            weights = 0.0
            total = 0.0
            for below in range(max(math.floor(top), first_row), min(math.ceil(bottom), first_row + source.shape[0])):
                height = _overlap(top, bottom, below)
                for beside in range(
                    max(math.floor(left), first_col), min(math.ceil(right), first_col + source.shape[1])
                ):
                    value = np.float64(source[below - first_row, beside - first_col])
                    weight = height * _overlap(left, right, beside)
                    if weight > 0.0 and not math.isnan(value):
                        weights += weight
                        total += weight * value
            if weights > 0.0 and weights >= least_coverage * (bottom - top) * (right - left):
                out[row, col] = total / weights


@kernel
def dominant_in_footprint(
    source: _Source, first_row: int, first_col: int, y: _Places, x: _Places, out: _Source
) -> None:
    """Value with the largest area under each target pixel, the smallest such value where areas are equal.

    ``y`` and ``x`` (row + 1, col + 1) are the target pixels' corners; their bounding box stands for the pixel.
    """
    for row in range(out.shape[0]):
        for col in range(out.shape[1]):
            out[row, col] = np.nan
            top, bottom = _footprint(y, row, col)
            left, right = _footprint(x, row, col)
            if not math.isfinite(top + bottom + left + right):
                continue
            rows = range(max(math.floor(top), first_row), min(math.ceil(bottom), first_row + source.shape[0]))
            cols = range(max(math.floor(left), first_col), min(math.ceil(right), first_col + source.shape[1]))
            classes = np.empty(max(len(rows), 0) * max(len(cols), 0), np.float32)
            areas = np.empty(classes.size, np.float64)
            found = 0
            for below in rows:
                height = _overlap(top, bottom, below)
                for beside in cols:
                    value = source[below - first_row, beside - first_col]
                    area = height * _overlap(left, right, beside)
                    if area <= 0.0 or math.isnan(value):
                        continue
                    place = 0
                    while place < found and classes[place] != value:
                        place += 1
                    if place == found:
                        classes[place] = value
                        areas[place] = 0.0
                        found += 1
                    areas[place] += area
            largest = 0.0
            for place in range(found):
                # Equal areas differ by rounding in the sum; a hair's breadth must not decide between classes.
                level = areas[place] - largest
                if level > 1e-9 or (abs(level) <= 1e-9 and classes[place] < out[row, col]):
                    out[row, col] = classes[place]
                    largest = max(largest, areas[place])
