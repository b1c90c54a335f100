"""Layover and shadow that terrain casts on other terrain, along the direction to the sensor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from insar.kernels.jit import kernel


@kernel
def _height_at(height: NDArray[np.floating], row: float, col: float) -> float:
    """Height between four pixels; NaN where one of them is unknown, infinite beyond the array."""
    top, left = int(np.floor(row)), int(np.floor(col))
    if top < 0 or left < 0 or top + 1 >= height.shape[0] or left + 1 >= height.shape[1]:
        return np.inf
    down, right = row - top, col - left
    upper = height[top, left] * (1.0 - right) + height[top, left + 1] * right
    lower = height[top + 1, left] * (1.0 - right) + height[top + 1, left + 1] * right
    return float(upper * (1.0 - down) + lower * down)


@kernel
def cast_layover_and_shadow(
    height: NDArray[np.float32],
    first_row: int,
    first_col: int,
    rows_per_m: NDArray[np.float64],
    cols_per_m: NDArray[np.float64],
    tangent: NDArray[np.float64],
    interval_m: float,
    reach_m: float,
    layover: NDArray[np.uint8],
    shadow: NDArray[np.uint8],
) -> None:
    """Find the pixels whose slant range other terrain shares, and those that other terrain hides.

    Parameters
    ----------
    height
        (row, col) metres, with a margin around the pixels that are looked at; NaN is unknown.
    first_row, first_col
        Where the first of them is in `height`.
    rows_per_m, cols_per_m
        (row, col) pixels that one metre on the ground toward the sensor is.
    tangent
        (row, col) tangent of the incidence angle; NaN where unknown.
    interval_m, reach_m
        Spacing of the samples along the line, and its greatest length.
    layover, shadow
        (row, col) out: 1 where found.

    Notes
    -----
    Wave fronts are taken as plane, with the incidence angle of the pixel itself. A point at height `k` and distance
    `d` toward the sensor hides a pixel at height `h` where ``k - h > d / tan(inc)`` and has its slant range or more
    where ``h - k >= d tan(inc)``; one that is `d` farther away has its slant range or less where
    ``k - h >= d tan(inc)``.
    """
    rows, cols = tangent.shape
    lowest, highest = np.inf, -np.inf
    for row in range(height.shape[0]):
        for col in range(height.shape[1]):
            value = height[row, col]
            lowest = min(lowest, value)
            highest = max(highest, value)
    for row in range(rows):
        for col in range(cols):
            own = height[first_row + row, first_col + col]
            slant = tangent[row, col]
            down, right = rows_per_m[row, col], cols_per_m[row, col]
            if not (np.isfinite(own) and np.isfinite(slant)):
                continue
            until = min(reach_m, max((highest - own) * slant, (own - lowest) / slant))
            distance = interval_m
            while distance <= until:
                other = _height_at(height, first_row + row + down * distance, first_col + col + right * distance)
                if other == np.inf:
                    break
                if other - own > distance / slant:
                    shadow[row, col] = 1
                    break  # what is hidden is not in the image at all
                if own - other >= distance * slant:
                    layover[row, col] = 1
                distance += interval_m
            until = min(reach_m, (highest - own) / slant)
            distance = interval_m
            while distance <= until and layover[row, col] == 0:
                other = _height_at(height, first_row + row - down * distance, first_col + col - right * distance)
                if other == np.inf:
                    break
                if other - own >= distance * slant:
                    layover[row, col] = 1
                distance += interval_m
