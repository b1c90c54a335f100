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
                    if not 0.0 < power < np.inf:
                        complete = False
                    total += power
            if complete:
                mean[row, col] += total
                count[row, col] += 1


@kernel
def describe_history(
    history: NDArray[np.complexfloating],
    look_rows: int,
    look_cols: int,
    intensity: NDArray[np.float64],
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
    intensity, log_intensity
        (row, col) out: mean over the images, and its natural logarithm; NaN where none has data.
    count
        (row, col) out: images that have data in every pixel of the cell.
    """
    intensity[:] = 0.0
    count[:] = 0
    for image in range(len(history)):
        _add_cell_powers(history[image], look_rows, look_cols, intensity, count)
    for row in range(count.shape[0]):
        for col in range(count.shape[1]):
            images = count[row, col]
            intensity[row, col] = intensity[row, col] / images if images > 0 else np.nan
            log_intensity[row, col] = np.log(intensity[row, col])


@kernel
def _add_near(
    own: NDArray[np.float64],
    own_tolerance: NDArray[np.float64],
    other: NDArray[np.float64],
    other_tolerance: NDArray[np.float64],
    intensity: NDArray[np.float64],
    total: NDArray[np.float64],
    members: NDArray[np.float64],
) -> None:
    """Add the intensity of pixels that are like the own one; NaN, which is unknown, is like nothing."""
    for pixel in range(len(own)):
        difference = own[pixel] - other[pixel]
        same = difference * difference <= own_tolerance[pixel] + other_tolerance[pixel]
        total[pixel] += intensity[pixel] if same else 0.0
        members[pixel] += 1.0 if same else 0.0


@kernel
def average_alike(
    intensity: NDArray[np.float64],
    log_intensity: NDArray[np.float64],
    tolerance: NDArray[np.float64],
    row: int,
    col: int,
    half_rows: int,
    half_cols: int,
    level: NDArray[np.float64],
    members: NDArray[np.float64],
) -> None:
    """Mean intensity of those cells close by that are like a cell.

    Parameters
    ----------
    intensity, log_intensity
        (row, col) of cells, NaN unknown.
    tolerance
        (row, col) two cells are alike where the square of the difference of their logarithms is at most the sum of
        both tolerances.
    row, col
        Cell that the first result is for.
    half_rows, half_cols
        How far away cells are looked for.
    level
        (row, col) out: natural logarithm of the mean intensity, that of the cell itself included; NaN unknown.
    members
        (row, col) out: how many cells it is of.
    """
    height, width = level.shape
    total = np.empty(width, np.float64)
    for line in range(height):
        middle = row + line
        total[:] = 0.0
        members[line] = 0.0
        for other in range(max(middle - half_rows, 0), min(middle + half_rows + 1, log_intensity.shape[0])):
            for step in range(-half_cols, half_cols + 1):
                begin = max(0, -(col + step))
                end = min(width, log_intensity.shape[1] - col - step)
                if begin < end:
                    _add_near(
                        log_intensity[middle, col + begin : col + end],
                        tolerance[middle, col + begin : col + end],
                        log_intensity[other, col + step + begin : col + step + end],
                        tolerance[other, col + step + begin : col + step + end],
                        intensity[other, col + step + begin : col + step + end],
                        total[begin:end],
                        members[line, begin:end],
                    )
        for cell in range(width):
            level[line, cell] = np.log(total[cell] / members[line, cell]) if members[line, cell] > 0.0 else np.nan


@kernel
def _compare(
    level: NDArray[np.float64],
    below: NDArray[np.float64],
    above: NDArray[np.float64],
    common: NDArray[np.float64],
    other: NDArray[np.float64],
    inverse_images: NDArray[np.float64],
    alike: NDArray[np.float64],
) -> None:
    """1 where the other cell may be of this level, else 0; NaN, which is unknown, is like nothing."""
    for pixel in range(len(level)):
        difference = other[pixel] - level[pixel]
        square = difference * abs(difference)  # with its sign: one comparison for either side, without a branch
        variance = inverse_images[pixel] + common[pixel] * (1.0 - inverse_images[pixel])
        same = (square <= above[pixel] * variance) & (square >= -below[pixel] * variance)
        alike[pixel] = 1.0 if same else 0.0


@kernel
def _mark_own(level: NDArray[np.float64], alike: NDArray[np.float64]) -> None:
    """A cell is its own sibling, wherever the history is known."""
    for pixel in range(len(level)):
        alike[pixel] = 1.0 if np.isfinite(level[pixel]) else 0.0


@kernel
def _add(total: NDArray[np.float64], values: NDArray[np.float64]) -> None:
    for pixel in range(len(total)):
        total[pixel] += values[pixel]


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
    inverse_images: NDArray[np.float64],
    level: NDArray[np.float64],
    below: NDArray[np.float64],
    above: NDArray[np.float64],
    common: NDArray[np.float64],
    products: NDArray[np.float64],
    row: int,
    col: int,
    half_rows: int,
    half_cols: int,
    least_siblings: int,
    coherence: NDArray[np.float32],
    count: NDArray[np.uint16],
) -> None:
    """Coherence of each pair over those cells of a window that may be of the level of the one in its middle.

    Parameters
    ----------
    log_intensity
        (row, col) of all cells, NaN unknown.
    inverse_images
        (row, col) of all cells: one over the number of images of the history.
    level
        (row, col) of the cells that are wanted, as the rest: natural logarithm of the intensity that a cell is
        compared with; NaN unknown.
    below, above
        Squares of the bounds of the difference from the level, of cells whose mean had the variance of one image.
    common
        Part of the variance of one image that the others share, 0 to 1.
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
                    wanted = slice(start + begin, start + end)
                    _compare(
                        level[line, wanted],
                        below[line, wanted],
                        above[line, wanted],
                        common[line, wanted],
                        log_intensity[other, left + step + begin : left + step + end],
                        inverse_images[other, left + step + begin : left + step + end],
                        alike[begin:end],
                    )
                    if other == middle and step == 0:
                        _mark_own(level[line, wanted], alike[begin:end])
                    _add(found[begin:end], alike[begin:end])
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
