"""Mean intensity of a history of images, and sums over the pixels around that are like a pixel by it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from insar.kernels.jit import kernel

STRIP = 512
"""Columns handled side by side: their sums stay in the first cache."""


@kernel
def _add_cell_powers(
    image: NDArray[np.complexfloating],
    look_rows: int,
    look_cols: int,
    mean: NDArray[np.float64],
    count: NDArray[np.int32],
) -> None:
    """Add the intensity of each cell of one image; cells with a pixel that has no data are left out."""
    for row in range(mean.shape[0]):
        for col in range(mean.shape[1]):
            total = 0.0
            complete = True
            for down in range(look_rows):
                for right in range(look_cols):
                    value = image[row * look_rows + down, col * look_cols + right]
                    real, imaginary = np.float64(value.real), np.float64(value.imag)
                    power = real * real + imaginary * imaginary
                    complete &= (power > 0.0) & (power < np.inf)
                    total += power
            if complete:
                mean[row, col] += total
                count[row, col] += 1


@kernel
def describe_history(
    history: NDArray[np.complexfloating],
    look_rows: int,
    look_cols: int,
    log_intensity: NDArray[np.float64],
    count: NDArray[np.int32],
) -> None:
    """Mean intensity over the images that have data.

    Parameters
    ----------
    history
        (image, row, col) complex, at full resolution; 0 or not finite is no data.
    look_rows, look_cols
        Pixels of a cell.
    log_intensity
        (row, col) out: natural logarithm of the mean over the images; NaN where none has data.
    count
        (row, col) out: images that have data in every pixel of the cell.
    """
    log_intensity[:] = 0.0
    count[:] = 0
    for image in range(len(history)):
        _add_cell_powers(history[image], look_rows, look_cols, log_intensity, count)
    for row in range(count.shape[0]):
        for col in range(count.shape[1]):
            images = count[row, col]
            log_intensity[row, col] = np.log(log_intensity[row, col] / images) if images > 0 else np.nan


@kernel
def _compare(
    own: NDArray[np.float64],
    own_tolerance: NDArray[np.float64],
    other: NDArray[np.float64],
    other_tolerance: NDArray[np.float64],
    alike: NDArray[np.float64],
    count: NDArray[np.float64],
) -> None:
    """1 where the other pixel is like the own one, else 0; NaN, which is unknown, is like nothing."""
    for pixel in range(len(own)):
        difference = own[pixel] - other[pixel]
        same = 1.0 if difference * difference <= own_tolerance[pixel] + other_tolerance[pixel] else 0.0
        alike[pixel] = same
        count[pixel] += same


@kernel
def _add_alike(alike: NDArray[np.float64], values: NDArray[np.float64], total: NDArray[np.float64]) -> None:
    for pixel in range(len(alike)):
        total[pixel] += alike[pixel] * values[pixel]


@kernel
def _count_alike(alike: NDArray[np.float64], samples: NDArray[np.float64], total: NDArray[np.float64]) -> None:
    for pixel in range(len(alike)):
        total[pixel] += alike[pixel] if samples[pixel] > 0.0 else 0.0


@kernel
def sum_siblings(
    log_intensity: NDArray[np.float64],
    tolerance: NDArray[np.float64],
    products: NDArray[np.float64],
    row: int,
    col: int,
    half_rows: int,
    half_cols: int,
    least_siblings: int,
    coherence: NDArray[np.float32],
    count: NDArray[np.uint16],
) -> None:
    """Coherence of each pair over those cells of a window that are like the one in its middle.

    Parameters
    ----------
    log_intensity
        (row, col) of cells, NaN unknown.
    tolerance
        (row, col) two cells are alike where the square of their difference is at most the sum of both tolerances.
    products
        (pair, product, row, col): real and imaginary part of ``a conj(b)``, ``|a|^2``, ``|b|^2``, valid pixels.
    row, col
        Cell that the first result is for.
    half_rows, half_cols
        Cells that the window reaches beyond its middle.
    least_siblings
        Cells, the middle one among them, with data in both images of a pair.
    coherence
        (pair, row, col) out: NaN where the cell has no data in a pair, or too few siblings.
    count
        (row, col) out: siblings by the history, the cell itself among them; 0 where the history is unknown.
    """
    pairs, height, width = coherence.shape
    for start in range(0, width, STRIP):
        length = min(STRIP, width - start)
        alike = np.empty(length, np.float64)
        found = np.empty(length, np.float64)
        sums = np.empty((pairs, 5, length), np.float64)
        left = col + start
        for line in range(height):
            middle = row + line
            found[:] = 0.0
            sums[:] = 0.0
            for other in range(max(middle - half_rows, 0), min(middle + half_rows + 1, log_intensity.shape[0])):
                for step in range(-half_cols, half_cols + 1):
                    begin = max(0, -(left + step))
                    end = min(length, log_intensity.shape[1] - left - step)
                    if begin >= end:
                        continue
                    _compare(
                        log_intensity[middle, left + begin : left + end],
                        tolerance[middle, left + begin : left + end],
                        log_intensity[other, left + step + begin : left + step + end],
                        tolerance[other, left + step + begin : left + step + end],
                        alike[begin:end],
                        found[begin:end],
                    )
                    for pair in range(pairs):
                        for product in range(4):
                            _add_alike(
                                alike[begin:end],
                                products[pair, product, other, left + step + begin : left + step + end],
                                sums[pair, product, begin:end],
                            )
                        _count_alike(
                            alike[begin:end],
                            products[pair, 4, other, left + step + begin : left + step + end],
                            sums[pair, 4, begin:end],
                        )
            for cell in range(length):
                count[line, start + cell] = np.uint16(found[cell])
                for pair in range(pairs):
                    total = sums[pair, :, cell]
                    value = np.sqrt((total[0] * total[0] + total[1] * total[1]) / (total[2] * total[3]))
                    known = products[pair, 4, middle, left + cell] > 0.0 and total[4] >= least_siblings
                    coherence[pair, line, start + cell] = min(value, 1.0) if known else np.nan
