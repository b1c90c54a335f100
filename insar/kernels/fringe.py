"""Coherence of cells after the local ramp of phase was taken out of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from insar.kernels.jit import kernel

RAMP_REACH = 3
"""Reach of the window that the ramp is found in, over that of the coherence: a ramp of few samples is noise."""


@kernel
def _multiply_neighbours(
    one_real: NDArray[np.float64],
    one_imaginary: NDArray[np.float64],
    next_real: NDArray[np.float64],
    next_imaginary: NDArray[np.float64],
    real: NDArray[np.float64],
    imaginary: NDArray[np.float64],
) -> None:
    """Step of phase from each cell to the next: ``next conj(one)``."""
    for cell in range(len(real)):
        real[cell] = next_real[cell] * one_real[cell] + next_imaginary[cell] * one_imaginary[cell]
        imaginary[cell] = next_imaginary[cell] * one_real[cell] - next_real[cell] * one_imaginary[cell]


@kernel
def _add(total: NDArray[np.float64], values: NDArray[np.float64]) -> None:
    for cell in range(len(total)):
        total[cell] += values[cell]


@kernel
def _normalise(real: NDArray[np.float64], imaginary: NDArray[np.float64]) -> None:
    """Keep the phase alone; none where there is no sum."""
    for cell in range(len(real)):
        size = np.sqrt(real[cell] * real[cell] + imaginary[cell] * imaginary[cell])
        known = size > 0.0
        real[cell] = real[cell] / size if known else 1.0
        imaginary[cell] = imaginary[cell] / size if known else 0.0


@kernel
def _turn_back(
    real: NDArray[np.float64],
    imaginary: NDArray[np.float64],
    by_real: NDArray[np.float64],
    by_imaginary: NDArray[np.float64],
) -> None:
    """Subtract a phase: ``value conj(by)``."""
    for cell in range(len(real)):
        turned = real[cell] * by_real[cell] + imaginary[cell] * by_imaginary[cell]
        imaginary[cell] = imaginary[cell] * by_real[cell] - real[cell] * by_imaginary[cell]
        real[cell] = turned


@kernel
def _add_turned(
    real: NDArray[np.float64],
    imaginary: NDArray[np.float64],
    by_real: NDArray[np.float64],
    by_imaginary: NDArray[np.float64],
    total_real: NDArray[np.float64],
    total_imaginary: NDArray[np.float64],
) -> None:
    for cell in range(len(total_real)):
        total_real[cell] += real[cell] * by_real[cell] - imaginary[cell] * by_imaginary[cell]
        total_imaginary[cell] += imaginary[cell] * by_real[cell] + real[cell] * by_imaginary[cell]


@kernel
def _sum_across(values: NDArray[np.float64], col: int, first: int, last: int, sums: NDArray[np.float64]) -> None:
    """In every row, sums over offsets from `first` to `last` around each cell from `col` on, within the array."""
    sums[:] = 0.0
    width = sums.shape[1]
    for row in range(len(values)):
        for step in range(first, last + 1):
            begin = max(0, -(col + step))
            end = min(width, values.shape[1] - col - step)
            if begin < end:
                _add(sums[row, begin:end], values[row, col + step + begin : col + step + end])


@kernel
def _sum_down(values: NDArray[np.float64], row: int, first: int, last: int, total: NDArray[np.float64]) -> None:
    """Sum of the rows from `first` to `last` around one, within the array."""
    total[:] = 0.0
    for line in range(max(row + first, 0), min(row + last + 1, values.shape[0])):
        _add(total, values[line])


@kernel
def _phase_steps(products: NDArray[np.float64], across: NDArray[np.float64], down: NDArray[np.float64]) -> None:
    """Steps of phase to the next column and to the next row, each (real or imaginary, row, col).

    Cells are divided by the root of their brightness, so that a step counts as a sample of the coherence does: fourth
    powers of the amplitude would leave the ramp to the brightest target, and phase alone is noisier.
    """
    rows, cols = products.shape[1], products.shape[2]
    scaled = np.zeros((2, rows, cols), np.float64)
    for row in range(rows):
        for col in range(cols):
            power = products[2, row, col] * products[3, row, col]
            if power > 0.0:
                root = np.sqrt(np.sqrt(power))
                scaled[0, row, col] = products[0, row, col] / root
                scaled[1, row, col] = products[1, row, col] / root
    across[:] = 0.0
    down[:] = 0.0
    for row in range(rows):
        _multiply_neighbours(
            scaled[0, row, : cols - 1],
            scaled[1, row, : cols - 1],
            scaled[0, row, 1:],
            scaled[1, row, 1:],
            across[0, row, : cols - 1],
            across[1, row, : cols - 1],
        )
        if row + 1 < rows:
            _multiply_neighbours(
                scaled[0, row], scaled[1, row], scaled[0, row + 1], scaled[1, row + 1], down[0, row], down[1, row]
            )


@kernel
def estimate_flattened(
    products: NDArray[np.float64],
    row: int,
    col: int,
    half_rows: int,
    half_cols: int,
    known: NDArray[np.bool_],
    coherence: NDArray[np.float32],
) -> None:
    """Coherence over a window of cells, without the ramp of phase that is found in a window thrice as wide.

    Parameters
    ----------
    products
        (product, row, col) of cells: real and imaginary part of ``a conj(b)``, ``|a|^2``, ``|b|^2``, valid pixels.
    row, col
        Cell that the first result is for.
    half_rows, half_cols
        Cells that the window reaches beyond its middle.
    known
        (row, col) where there are samples enough.
    coherence
        (row, col) out: NaN where unknown.
    """
    height, width = coherence.shape
    across = np.empty((2, products.shape[1], products.shape[2]), np.float64)
    down = np.empty((2, products.shape[1], products.shape[2]), np.float64)
    _phase_steps(products, across, down)
    rows = products.shape[1]
    powers = np.empty((2, rows, width), np.float64)
    across_sums = np.empty((2, rows, width), np.float64)
    down_sums = np.empty((2, rows, width), np.float64)
    wide_rows, wide_cols = RAMP_REACH * half_rows, RAMP_REACH * half_cols
    for part in range(2):
        _sum_across(products[2 + part], col, -half_cols, half_cols, powers[part])
        _sum_across(across[part], col, -wide_cols, wide_cols - 1, across_sums[part])
        _sum_across(down[part], col, -wide_cols, wide_cols, down_sums[part])
    step = np.empty((2, 2, width), np.float64)
    start = np.empty((2, width), np.float64)
    turn = np.empty((2, width), np.float64)
    sums = np.empty((4, width), np.float64)
    for line in range(height):
        middle = row + line
        for part in range(2):
            _sum_down(powers[part], middle, -half_rows, half_rows, sums[2 + part])
            _sum_down(across_sums[part], middle, -wide_rows, wide_rows, step[0, part])
            _sum_down(down_sums[part], middle, -wide_rows, wide_rows - 1, step[1, part])
        _normalise(step[0, 0], step[0, 1])
        _normalise(step[1, 0], step[1, 1])
        sums[:2] = 0.0
        start[0], start[1] = 1.0, 0.0
        for _ in range(half_rows):  # the phase at the first corner of the window, whose negative undoes the ramp
            _turn_back(start[0], start[1], step[1, 0], -step[1, 1])
        for _ in range(half_cols):
            _turn_back(start[0], start[1], step[0, 0], -step[0, 1])
        for down_by in range(-half_rows, half_rows + 1):
            turn[:] = start
            at = middle + down_by
            for right_by in range(-half_cols, half_cols + 1):
                begin = max(0, -(col + right_by))
                end = min(width, products.shape[2] - col - right_by)
                if 0 <= at < products.shape[1] and begin < end:
                    _add_turned(
                        products[0, at, col + right_by + begin : col + right_by + end],
                        products[1, at, col + right_by + begin : col + right_by + end],
                        turn[0, begin:end],
                        turn[1, begin:end],
                        sums[0, begin:end],
                        sums[1, begin:end],
                    )
                _turn_back(turn[0], turn[1], step[0, 0], step[0, 1])
            _turn_back(start[0], start[1], step[1, 0], step[1, 1])
        for cell in range(width):
            squared = sums[0, cell] * sums[0, cell] + sums[1, cell] * sums[1, cell]
            value = min(np.sqrt(squared / (sums[2, cell] * sums[3, cell])), 1.0)
            coherence[line, cell] = value if known[line, cell] else np.nan
