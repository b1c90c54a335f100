"""Stored samples to values: copied to their place and freed of no data in one pass over the memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from insar.kernels.jit import kernel


@kernel
def copy_decoded(
    stored: NDArray[np.float32],
    first_col: int,
    no_data: np.float32,
    factors: NDArray[np.float32],
    offsets: NDArray[np.float32],
    pairs: NDArray[np.intp],
    targets: NDArray[np.intp],
    row: int,
    row_stop: int,
    col: int,
    col_stop: int,
    block: NDArray[np.float32],
) -> None:
    """Decode planes of a chunk into a block: ``stored * factor + offset``, NaN where it is no data or not finite.

    Parameters
    ----------
    stored
        (plane, row, col) as in the file; planes and rows are taken from the first on.
    first_col
        Column of `stored` from which they are taken.
    no_data
        Value that means no data; NaN for none.
    factors, offsets
        (pair,) of all pairs of the file.
    pairs, targets
        (plane,) which pair each plane is, and its place in the block.
    row, row_stop, col, col_stop
        Window of the block to fill.
    block
        (pair, row, col) out.
    """
    width = col_stop - col
    nothing = np.float32(np.nan)
    for plane in range(len(pairs)):
        factor, offset = factors[pairs[plane]], offsets[pairs[plane]]
        is_plain = factor == np.float32(1.0) and offset == np.float32(0.0)
        for line in range(row_stop - row):
            source = stored[plane, line, first_col : first_col + width]
            target = block[targets[plane], row + line, col:col_stop]
            if is_plain:  # the sum with 0 would turn -0 into 0
                for pixel in range(width):
                    value = source[pixel]
                    target[pixel] = value if np.isfinite(value) and value != no_data else nothing
            else:
                for pixel in range(width):
                    value = source[pixel]
                    usable = np.isfinite(value) and value != no_data
                    target[pixel] = value * factor + offset if usable else nothing


@kernel
def decode_in_place(values: NDArray[np.float32], no_data: np.float32, factor: np.float32, offset: np.float32) -> None:
    """Decode (row, col) values: ``stored * factor + offset``, NaN where it is `no_data` (NaN: none) or not finite."""
    rows, cols = values.shape
    nothing = np.float32(np.nan)
    is_plain = factor == np.float32(1.0) and offset == np.float32(0.0)
    for row in range(rows):
        line = values[row]
        if is_plain:  # the sum with 0 would turn -0 into 0
            for col in range(cols):
                value = line[col]
                line[col] = value if np.isfinite(value) and value != no_data else nothing
        else:
            for col in range(cols):
                value = line[col]
                line[col] = value * factor + offset if np.isfinite(value) and value != no_data else nothing
