"""Medians and means over the images of a window in time, pixel by pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from insar.kernels.jit import kernel


@kernel
def _order_up_to(values: NDArray[np.float32], count: int, rank: int) -> None:
    """Rearrange the first `count` values so that the one at `rank` is in its place, none before it greater."""
    low, high = 0, count - 1
    while high - low > 11:
        pivot = values[(low + high) // 2]
        left, right = low, high
        while left <= right:
            while values[left] < pivot:
                left += 1
            while values[right] > pivot:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left += 1
                right -= 1
        if rank <= right:
            high = right
        elif rank >= left:
            low = left
        else:
            return
    for place in range(low + 1, high + 1):
        value = values[place]
        before = place - 1
        while before >= low and values[before] > value:
            values[before + 1] = values[before]
            before -= 1
        values[before + 1] = value


@kernel
def _decibels(value: float, factor: float) -> float:
    return factor * np.log10(value) if factor > 0.0 else value


@kernel
def median_decibels(
    images: NDArray[np.float32],
    factor: float,
    minimum: int,
    median: NDArray[np.float64],
    counts: NDArray[np.int64],
) -> None:
    """Median over images in dB, and how many images it is of.

    Parameters
    ----------
    images
        (image, row, col) backscatter in one unit; NaN is no data, as is what is not positive where it is linear.
    factor
        10 for power, 20 for amplitude, 0 for values that are dB already.
    minimum
        Fewest valid images for a median.
    median
        (row, col) out: dB; NaN where there are too few.
    counts
        (row, col) out: valid images.

    Notes
    -----
    The logarithm keeps the order: the values are ordered as they are, and only those in the middle become dB. With an
    even count the median is the mean of two values in dB, not the dB of their mean.
    """
    number, rows, cols = images.shape
    valid = np.empty(number, np.float32)
    for row in range(rows):
        for col in range(cols):
            count = 0
            for image in range(number):
                value = images[image, row, col]
                if np.isfinite(value) and (factor == 0.0 or value > 0.0):
                    valid[count] = value
                    count += 1
            counts[row, col] = count
            if count < max(minimum, 1):
                median[row, col] = np.nan
                continue
            middle = count // 2
            _order_up_to(valid, count, middle)
            upper = _decibels(np.float64(valid[middle]), factor)
            if count % 2 == 1:
                median[row, col] = upper
                continue
            below = valid[0]
            for place in range(1, middle):
                below = max(below, valid[place])
            median[row, col] = 0.5 * (_decibels(np.float64(below), factor) + upper)


@kernel
def mean_amplitude_decibels(
    images: NDArray[np.float32], factor: float, minimum: int, mean: NDArray[np.float64]
) -> None:
    """Mean over images of the linear amplitude, as dB: ``20 log10`` of it.

    Parameters
    ----------
    images, factor, minimum
        As of `median_decibels`.
    mean
        (row, col) out: dB; NaN where there are too few valid images.
    """
    number, rows, cols = images.shape
    for row in range(rows):
        for col in range(cols):
            count = 0
            total = 0.0
            for image in range(number):
                value = np.float64(images[image, row, col])
                if not (np.isfinite(value) and (factor == 0.0 or value > 0.0)):
                    continue
                if factor == 0.0:
                    total += 10.0 ** (value / 20.0)
                elif factor == 10.0:
                    total += np.sqrt(value)
                else:
                    total += value
                count += 1
            mean[row, col] = 20.0 * np.log10(total / count) if count >= max(minimum, 1) else np.nan
