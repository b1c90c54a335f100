"""Sums over windows of two complex images, and the coherence that follows from them.

Every sum is made anew for every pixel, in an order that the window alone fixes. Running sums would be fewer additions,
but their rounding depends on where a block starts, and beside a bright target they lose the digits of what is dark.
Rows are handled in strips of columns, whose rows within the window stay in the caches.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from insar.kernels.jit import kernel

STRIP = 1024
"""Columns of a strip: long enough to stream from memory; the ring of a 21 by 21 window stays in the second cache."""

PRODUCTS = 5
"""Quantities that are summed: real and imaginary part of `a conj(b)`, `|a|^2`, `|b|^2`, and the valid samples."""


@kernel
def _multiply_pixels(
    first: NDArray[np.complexfloating],
    second: NDArray[np.complexfloating],
    real: NDArray[np.float64],
    imaginary: NDArray[np.float64],
    first_power: NDArray[np.float64],
    second_power: NDArray[np.float64],
    valid: NDArray[np.float64],
) -> None:
    """Products of the pixels of one row; all 0 where one image has no data.

    Outputs are arguments of their own, because the compiler then knows how few they are and fills the vector units.
    """
    for pixel in range(len(first)):
        one, other = first[pixel], second[pixel]
        one_real, one_imaginary = np.float64(one.real), np.float64(one.imag)
        other_real, other_imaginary = np.float64(other.real), np.float64(other.imag)
        one_power = one_real * one_real + one_imaginary * one_imaginary
        other_power = other_real * other_real + other_imaginary * other_imaginary
        there = (one_power > 0.0) & (one_power < np.inf) & (other_power > 0.0) & (other_power < np.inf)
        real[pixel] = one_real * other_real + one_imaginary * other_imaginary if there else 0.0
        imaginary[pixel] = one_imaginary * other_real - one_real * other_imaginary if there else 0.0
        first_power[pixel] = one_power if there else 0.0
        second_power[pixel] = other_power if there else 0.0
        valid[pixel] = 1.0 if there else 0.0


@kernel
def _add(total: NDArray[np.float64], values: NDArray[np.float64]) -> None:
    for pixel in range(len(total)):
        total[pixel] += values[pixel]


@kernel
def _add_groups(values: NDArray[np.float64], size: int, sums: NDArray[np.float64]) -> None:
    """Sums of `size` neighbours each, without overlap."""
    for group in range(len(sums)):
        total = values[group * size]
        for place in range(1, size):
            total += values[group * size + place]
        sums[group] = total


@kernel
def _multiply_cells(
    first: NDArray[np.complexfloating],
    second: NDArray[np.complexfloating],
    row: int,
    col: int,
    look_rows: int,
    look_cols: int,
    pixels: NDArray[np.float64],
    summed: NDArray[np.float64],
    cells: NDArray[np.float64],
) -> None:
    """Products of one row of cells, from column `col` on: 0 beyond the image.

    `pixels` and `summed` (product, pixel) are scratch for as many pixels as the cells have across.
    """
    cells[:] = 0.0
    rows_there = first.shape[0] // look_rows
    begin = max(col, 0)
    end = min(col + cells.shape[1], first.shape[1] // look_cols)
    if row < 0 or row >= rows_there or begin >= end:
        return
    left, right = begin - col, end - col
    count = (right - left) * look_cols
    across = slice(begin * look_cols, end * look_cols)
    if look_rows * look_cols == 1:
        _multiply_pixels(
            first[row, across],
            second[row, across],
            cells[0, left:right],
            cells[1, left:right],
            cells[2, left:right],
            cells[3, left:right],
            cells[4, left:right],
        )
        return
    summed[:, :count] = 0.0
    for line in range(row * look_rows, (row + 1) * look_rows):
        _multiply_pixels(
            first[line, across],
            second[line, across],
            pixels[0, :count],
            pixels[1, :count],
            pixels[2, :count],
            pixels[3, :count],
            pixels[4, :count],
        )
        for product in range(PRODUCTS):
            _add(summed[product, :count], pixels[product, :count])
    for product in range(PRODUCTS):
        _add_groups(summed[product, :count], look_cols, cells[product, left:right])


@kernel
def _sum_five(
    one: NDArray[np.float64],
    two: NDArray[np.float64],
    three: NDArray[np.float64],
    four: NDArray[np.float64],
    five: NDArray[np.float64],
    total: NDArray[np.float64],
) -> None:
    for pixel in range(len(total)):
        total[pixel] = one[pixel] + two[pixel] + three[pixel] + four[pixel] + five[pixel]


@kernel
def _add_two(one: NDArray[np.float64], two: NDArray[np.float64], total: NDArray[np.float64]) -> None:
    for pixel in range(len(total)):
        total[pixel] += one[pixel] + two[pixel]


@kernel
def _add_four(
    one: NDArray[np.float64],
    two: NDArray[np.float64],
    three: NDArray[np.float64],
    four: NDArray[np.float64],
    total: NDArray[np.float64],
) -> None:
    for pixel in range(len(total)):
        total[pixel] += (one[pixel] + two[pixel]) + (three[pixel] + four[pixel])


@kernel
def _sum_across(values: NDArray[np.float64], size: int, sums: NDArray[np.float64]) -> None:
    """Sums of `size` neighbours, an odd number, from each place on; several at a time, which spares the memory.

    Neighbours are views that start one further on: an index that is a sum would be tested for its sign at every pixel.
    """
    count = len(sums)
    if size < 5:
        sums[:] = values[:count]
        if size == 3:
            _add_two(values[1 : count + 1], values[2 : count + 2], sums)
        return
    _sum_five(
        values[:count],
        values[1 : count + 1],
        values[2 : count + 2],
        values[3 : count + 3],
        values[4 : count + 4],
        sums,
    )
    step = 5
    while step + 4 <= size:
        _add_four(
            values[step : step + count],
            values[step + 1 : step + 1 + count],
            values[step + 2 : step + 2 + count],
            values[step + 3 : step + 3 + count],
            sums,
        )
        step += 4
    if step < size:
        _add_two(values[step : step + count], values[step + 1 : step + 1 + count], sums)


@kernel
def _sum_down(ring: NDArray[np.float64], first: int, product: int, sums: NDArray[np.float64]) -> None:
    """Sums over the rows of the ring from row `first` of the image on, an odd number: in the image's order."""
    size = ring.shape[0]
    if size < 5:
        sums[:] = ring[first % size, product]
        if size == 3:
            _add_two(ring[(first + 1) % size, product], ring[(first + 2) % size, product], sums)
        return
    _sum_five(
        ring[first % size, product],
        ring[(first + 1) % size, product],
        ring[(first + 2) % size, product],
        ring[(first + 3) % size, product],
        ring[(first + 4) % size, product],
        sums,
    )
    step = 5
    while step + 4 <= size:
        _add_four(
            ring[(first + step) % size, product],
            ring[(first + step + 1) % size, product],
            ring[(first + step + 2) % size, product],
            ring[(first + step + 3) % size, product],
            sums,
        )
        step += 4
    if step < size:
        _add_two(ring[(first + step) % size, product], ring[(first + step + 1) % size, product], sums)


@kernel
def _divide(
    real: NDArray[np.float64],
    imaginary: NDArray[np.float64],
    first_power: NDArray[np.float64],
    second_power: NDArray[np.float64],
    valid: NDArray[np.float64],
    own: NDArray[np.float64],
    least_own: float,
    least: NDArray[np.float64],
    coherence: NDArray[np.float32],
    samples: NDArray[np.float32],
) -> None:
    """Coherence of one row from its sums; NaN where too many of the cell's own or of the window's are missing."""
    for pixel in range(len(coherence)):
        # Powers of single precision are below 1e78: neither product leaves the range of double precision.
        squared = real[pixel] * real[pixel] + imaginary[pixel] * imaginary[pixel]
        value = np.sqrt(squared / (first_power[pixel] * second_power[pixel]))
        value = value if value < 1.0 else 1.0
        known = (own[pixel] >= least_own) & (valid[pixel] >= least[pixel])
        coherence[pixel] = np.float32(value) if known else np.float32(np.nan)
        samples[pixel] = np.float32(valid[pixel])


@kernel
def _least_samples(
    row: int, col: int, half_rows: int, half_cols: int, rows: int, cols: int, share: float, least: NDArray[np.float64]
) -> None:
    """Samples that the window of each pixel of a row must have: a share of those that lie inside the image."""
    down = min(row + half_rows, rows - 1) - max(row - half_rows, 0) + 1
    for pixel in range(len(least)):
        middle = col + pixel
        across = min(middle + half_cols, cols - 1) - max(middle - half_cols, 0) + 1
        least[pixel] = share * down * across


@kernel
def estimate_boxcar(
    first: NDArray[np.complexfloating],
    second: NDArray[np.complexfloating],
    row: int,
    col: int,
    window_rows: int,
    window_cols: int,
    look_rows: int,
    look_cols: int,
    least_share: float,
    least_own: int,
    coherence: NDArray[np.float32],
    samples: NDArray[np.float32],
) -> None:
    """Coherence of two images over a window of cells, and how many pixels it is of.

    Parameters
    ----------
    first, second
        (row, col) one part of each image at full resolution, from a corner of a cell on; 0 or not finite is no data.
    row, col
        Cell of that part that the first result is for.
    window_rows, window_cols
        Odd numbers of cells.
    look_rows, look_cols
        Pixels of a cell.
    least_share
        Of the pixels of the window inside the image that must be valid.
    least_own
        Pixels of the middle cell itself that must be valid.
    coherence
        (row, col) out: NaN where unknown.
    samples
        (row, col) out: valid pixels within the window; of no rows where they are not asked for.
    """
    half_rows, half_cols = window_rows // 2, window_cols // 2
    rows, cols = first.shape[0] // look_rows, first.shape[1] // look_cols
    height, width = coherence.shape
    share = least_share * look_rows * look_cols
    for start in range(0, width, STRIP):
        count = min(STRIP, width - start)
        wide = count + 2 * half_cols
        pixels = np.empty((PRODUCTS, wide * look_cols), np.float64)
        summed = np.empty((PRODUCTS, wide * look_cols), np.float64)
        cells = np.empty((PRODUCTS, wide), np.float64)
        ring = np.empty((window_rows, PRODUCTS, count), np.float64)
        own = np.empty((window_rows, count), np.float64)
        sums = np.empty((PRODUCTS, count), np.float64)
        least = np.empty(count, np.float64)
        counted = np.empty(count, np.float32)
        left = col + start
        for line in range(row - half_rows, row + height + half_rows):
            _multiply_cells(first, second, line, left - half_cols, look_rows, look_cols, pixels, summed, cells)
            slot = line % window_rows
            own[slot] = cells[4, half_cols : half_cols + count]
            for product in range(PRODUCTS):
                _sum_across(cells[product], window_cols, ring[slot, product])
            middle = line - half_rows
            if middle < row:
                continue
            for product in range(PRODUCTS):
                _sum_down(ring, middle - half_rows, product, sums[product])
            _least_samples(middle, left, half_rows, half_cols, rows, cols, share, least)
            out = middle - row
            _divide(
                sums[0],
                sums[1],
                sums[2],
                sums[3],
                sums[4],
                own[middle % window_rows],
                least_own,
                least,
                coherence[out, start : start + count],
                counted,
            )
            if len(samples) > 0:
                samples[out, start : start + count] = counted


@kernel
def multiply_cells(
    first: NDArray[np.complexfloating],
    second: NDArray[np.complexfloating],
    look_rows: int,
    look_cols: int,
    products: NDArray[np.float64],
) -> None:
    """Products of whole images, for estimates that need them more than once.

    Parameters
    ----------
    first, second
        (row, col) at full resolution; 0 or not finite is no data.
    look_rows, look_cols
        Pixels of a cell.
    products
        (product, row, col) out, by cells: the five of `PRODUCTS`.
    """
    count = products.shape[2]
    pixels = np.empty((PRODUCTS, count * look_cols), np.float64)
    summed = np.empty((PRODUCTS, count * look_cols), np.float64)
    cells = np.empty((PRODUCTS, count), np.float64)
    for row in range(products.shape[1]):
        _multiply_cells(first, second, row, 0, look_rows, look_cols, pixels, summed, cells)
        products[:, row] = cells
