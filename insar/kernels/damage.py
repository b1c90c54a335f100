"""Coherence before and across an event, pixel by pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from insar.kernels.jit import kernel


@kernel
def pixel_moments(
    coherence: NDArray[np.float32],
    least: int,
    mean: NDArray[np.float64],
    deviation: NDArray[np.float64],
) -> None:
    """Mean and sample standard deviation of every pixel over the pairs that have a value.

    Parameters
    ----------
    coherence
        (pair, pixel), NaN where there is none.
    least
        Pairs that must have a value, at least 1.
    mean
        (pixel,) out: NaN where fewer have one.
    deviation
        (pixel,) out: divisor n - 1; NaN where the mean is, and where just one pair has a value.
    """
    pairs, pixels = coherence.shape
    for pixel in range(pixels):
        total, count = 0.0, 0
        low, high = np.inf, -np.inf
        for pair in range(pairs):
            value = np.float64(coherence[pair, pixel])
            if np.isfinite(value):
                total += value
                count += 1
                low, high = min(low, value), max(high, value)
        mean[pixel] = np.nan
        deviation[pixel] = np.nan
        if count < least:
            continue
        middle = total / count
        mean[pixel] = middle
        if count < 2:
            continue
        squares = 0.0
        if high > low:  # else the mean may differ from equal values by its rounding
            for pair in range(pairs):
                value = np.float64(coherence[pair, pixel])
                if np.isfinite(value):
                    squares += (value - middle) ** 2
        deviation[pixel] = np.sqrt(squares / (count - 1))


@kernel
def standardise_drops(
    before: NDArray[np.float64],
    across: NDArray[np.float32],
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    edges: NDArray[np.float64],
    class_scales: NDArray[np.float64],
    tile: int,
    tile_scales: NDArray[np.float64],
    last_scales: NDArray[np.float64],
    score: NDArray[np.float64],
    classes: NDArray[np.int16],
) -> None:
    """Drop of coherence of every pixel, in spreads about the middle of pixels like it and of its neighbourhood.

    Parameters
    ----------
    before
        (row, col) coherence before, NaN where there is none; it decides the class of a pixel.
    across
        (row, col) coherence that may have dropped.
    rows, cols
        (row,), (col,) where the pixels lie in the scene.
    edges
        (class - 1,) ascending values of coherence between the classes.
    class_scales
        (2, class) middle and spread of the drops of a class.
    tile
        Side of the tiles in pixels of the scene.
    tile_scales
        (2, tile row, tile col) middle and spread of what that leaves; between the middles of tiles they are linear.
    last_scales
        (2, class) middle and spread of what that leaves.
    score
        (row, col) out; NaN where either coherence is.
    classes
        (row, col) out; -1 where either coherence is NaN.
    """
    height, width = before.shape
    last_row, last_col = tile_scales.shape[1] - 1, tile_scales.shape[2] - 1
    local = np.empty(2, np.float64)
    for i in range(height):
        down = min(max((rows[i] + 0.5) / tile - 0.5, 0.0), np.float64(last_row))
        top = min(int(down), max(last_row - 1, 0))
        bottom = min(top + 1, last_row)
        down -= top
        for j in range(width):
            drop = before[i, j] - np.float64(across[i, j])
            if not np.isfinite(drop):
                score[i, j] = np.nan
                classes[i, j] = -1
                continue
            number = 0
            while number < edges.size and before[i, j] >= edges[number]:
                number += 1
            right = min(max((cols[j] + 0.5) / tile - 0.5, 0.0), np.float64(last_col))
            left = min(int(right), max(last_col - 1, 0))
            beyond = min(left + 1, last_col)
            right -= left
            for part in range(2):
                upper = tile_scales[part, top, left] * (1.0 - right) + tile_scales[part, top, beyond] * right
                lower = tile_scales[part, bottom, left] * (1.0 - right) + tile_scales[part, bottom, beyond] * right
                local[part] = upper * (1.0 - down) + lower * down
            value = (drop - class_scales[0, number]) / class_scales[1, number]
            value = (value - local[0]) / local[1]
            score[i, j] = (value - last_scales[0, number]) / last_scales[1, number]
            classes[i, j] = number
