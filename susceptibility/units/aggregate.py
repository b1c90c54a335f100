"""Aggregate cells: rectangles of whole cells, such as 200 m x 200 m."""

from __future__ import annotations

import logging
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from susceptibility.errors import InputError, OptionError
from susceptibility.units.definition import OUTSIDE, UnitKind, Units

logger = logging.getLogger(__name__)


class BlockSize(NamedTuple):
    """Cells down and across of an aggregate cell."""

    rows: int
    cols: int


def block_size(size_m: float, grid: Grid) -> BlockSize:
    """Return the whole number of cells, at least one, that comes nearest to a length down and across.

    Raises
    ------
    OptionError
        The length is not positive, or larger than the grid.
    """
    width, height = grid.resolution
    extent = min(grid.rows * height, grid.cols * width)
    if not (math.isfinite(size_m) and 0.0 < size_m <= extent):
        raise OptionError(
            "size of aggregate cells",
            required=f"metres, above 0 and not above the smaller side of the grid, {extent:g} m",
            found=f"{size_m:g}",
            remedy="Correct the size",
        )
    size = BlockSize(max(1, round(size_m / height)), max(1, round(size_m / width)))
    if not (math.isclose(size.rows * height, size_m) and math.isclose(size.cols * width, size_m)):
        logger.info("Aggregate cells of %g x %g m, of whole cells", size.cols * width, size.rows * height)
    return size


def aggregate_units(known: NDArray[np.bool_], grid: Grid, size: BlockSize | int, *, least_known: float = 0.5) -> Units:
    """Divide a grid into rectangles of n x n cells, counted from its upper left corner.

    Parameters
    ----------
    known : (row, col)
        True where there is data; other cells belong to no unit.
    grid
        Projected, in metres.
    size
        Cells down and across, see `block_size`.
    least_known
        Part of a whole rectangle, 0 to 1, that must be known for it to be a unit. Those that the grid's right or lower
        edge cuts count as if what is beyond were unknown.

    Returns
    -------
    Units
        Numbered row by row, with the attribute ``known_share``: the part of a whole rectangle that is known.

    Raises
    ------
    OptionError
        The size or the share cannot be used.
    InputError
        `known` is of another shape than the grid.
    """
    size = BlockSize(size, size) if isinstance(size, int) else size
    if min(size) < 1:
        raise OptionError(
            "size of aggregate cells",
            required="at least one cell down and across",
            found=f"{size.rows} x {size.cols}",
            remedy="Correct the size",
        )
    if not 0.0 <= least_known <= 1.0:
        raise OptionError(
            "known part of aggregate cells", required="0 to 1", found=f"{least_known:g}", remedy="Correct the share"
        )
    if known.shape != grid.shape:
        raise InputError(
            "known cells",
            required=f"{grid.rows} rows x {grid.cols} columns, as the grid",
            found=" x ".join(str(length) for length in known.shape),
            remedy="Take both from the same raster",
        )
    across = -(-grid.cols // size.cols)
    down = -(-grid.rows // size.rows)
    block_row = (np.arange(grid.rows, dtype=np.int32) // size.rows) * np.int32(across)
    block_col = np.arange(grid.cols, dtype=np.int32) // np.int32(size.cols)
    blocks = block_row[:, np.newaxis] + block_col
    share = np.bincount(blocks[known], minlength=down * across) / (size.rows * size.cols)
    kept = (share > 0.0) & (share >= least_known)
    numbers = np.where(kept, np.cumsum(kept, dtype=np.int32), np.int32(OUTSIDE))
    labels = np.where(known, numbers[blocks], np.int32(OUTSIDE))
    return Units(UnitKind.AGGREGATE, grid, labels, int(kept.sum()), attributes={"known_share": share[kept]})
