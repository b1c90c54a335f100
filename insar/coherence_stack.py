"""Coherence of coregistered images as a stack: estimated block by block when it is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from insar.coherence import CoherenceEstimator
from insar.grid import Grid
from insar.multilook import multilook_geometry, multilook_grid
from insar.siblings import SiblingCoherence, SiblingEstimator
from insar.slc import SlcStack
from insar.stack import Cube, Pair, Stack
from insar.windows import Looks

_COMPLEX_BYTES = np.dtype(np.complex64).itemsize


TILE_BYTES = 48 << 20
"""Images of a tile, with what lies around it: blocks are as wide as a scene, and would hold as much of all images."""

_LEAST_TILE = 32
"""Cells on a side of a tile, whatever it takes."""


@dataclass(frozen=True, slots=True)
class _Tile:
    """Some cells of a block, the pixels of the images that they need, and where they lie among these."""

    place: tuple[slice, slice]
    pixels: tuple[slice, slice]
    cells: tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class _Tiling:
    """How a block of cells is cut into tiles, each with all cells within `reach` of it, as far as the grid goes."""

    grid: Grid
    looks: Looks
    reach: tuple[int, int]
    images: int

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of a tile, about as high as wide with what lies around it."""
        bytes_per_cell = self.images * self.looks.rows * self.looks.cols * _COMPLEX_BYTES
        side = int(np.sqrt(TILE_BYTES / bytes_per_cell))
        down, across = (max(_LEAST_TILE, side - 2 * reach) for reach in self.reach)
        return down, across

    def tiles(self, rows: slice, cols: slice) -> Iterator[_Tile]:
        """Tiles that cover some cells of the grid."""
        down, across = self.size
        for row in range(rows.start, rows.stop, down):
            for col in range(cols.start, cols.stop, across):
                yield self._tile(
                    rows, cols, slice(row, min(row + down, rows.stop)), slice(col, min(col + across, cols.stop))
                )

    def _tile(self, block_rows: slice, block_cols: slice, rows: slice, cols: slice) -> _Tile:
        top, bottom = max(0, rows.start - self.reach[0]), min(self.grid.rows, rows.stop + self.reach[0])
        left, right = max(0, cols.start - self.reach[1]), min(self.grid.cols, cols.stop + self.reach[1])
        down, across = self.looks
        return _Tile(
            (
                slice(rows.start - block_rows.start, rows.stop - block_rows.start),
                slice(cols.start - block_cols.start, cols.stop - block_cols.start),
            ),
            (slice(top * down, bottom * down), slice(left * across, right * across)),
            (slice(rows.start - top, rows.stop - top), slice(cols.start - left, cols.stop - left)),
        )


@dataclass(frozen=True, slots=True)
class EstimatedCoherence:
    """A `insar.stack.CubeSource` of the boxcar coherence of pairs of images.

    Each block is read in tiles with as much around them as the window reaches, so that it has the values of the whole
    scene.
    """

    slc: SlcStack
    pairs: tuple[Pair, ...]
    estimator: CoherenceEstimator
    grid: Grid

    def read_block(self, pairs: NDArray[np.intp], rows: slice, cols: slice) -> NDArray[np.float32]:
        """Coherence of the named pairs: (pair, row, col), NaN where there is no data."""
        chosen = [self.pairs[index] for index in pairs]
        days = _days_of(chosen)
        place = {day: number for number, day in enumerate(days)}
        block = np.empty((len(chosen), rows.stop - rows.start, cols.stop - cols.start), np.float32)
        tiling = _Tiling(self.grid, self.estimator.looks, self.estimator.reach, len(days))
        for tile in tiling.tiles(rows, cols):
            images = self.slc.read(self.slc.index(days), *tile.pixels)
            for plane, pair in zip(block, chosen, strict=True):
                plane[tile.place] = self.estimator.estimate(
                    images[place[pair.reference]], images[place[pair.secondary]], *tile.cells
                )
        return block

    def bytes_per_row(self, pairs: int) -> int:
        """Bytes that one row of cells of so many pairs takes, beside the images of one tile."""
        return 4 * pairs * self.grid.cols


@dataclass(frozen=True, slots=True)
class SiblingSource:
    """A `insar.stack.CubeSource` of the coherence of pairs over the pixels that were alike before the event."""

    slc: SlcStack
    pairs: tuple[Pair, ...]
    history: tuple[date, ...]
    estimator: SiblingEstimator
    grid: Grid

    def read_block(self, pairs: NDArray[np.intp], rows: slice, cols: slice) -> NDArray[np.float32]:
        """Coherence of the named pairs: (pair, row, col), NaN where there is no data or too few siblings."""
        return self.read_with_counts(pairs, rows, cols).coherence

    def read_with_counts(self, pairs: NDArray[np.intp], rows: slice, cols: slice) -> SiblingCoherence:
        """The same with the number of siblings: they are selected once for all pairs."""
        chosen = [self.pairs[index] for index in pairs]
        days = _days_of(chosen)
        place = {day: number for number, day in enumerate(days)}
        shape = rows.stop - rows.start, cols.stop - cols.start
        found = SiblingCoherence(np.empty((len(chosen), *shape), np.float32), np.empty(shape, np.uint16))
        tiling = _Tiling(self.grid, self.estimator.looks, self.estimator.reach, len(self.history) + len(days))
        for tile in tiling.tiles(rows, cols):
            images = self.slc.read(self.slc.index(days), *tile.pixels)
            coherence, siblings = self.estimator.estimate(
                self.slc.read(self.slc.index(self.history), *tile.pixels),
                [images[place[pair.reference]] for pair in chosen],
                [images[place[pair.secondary]] for pair in chosen],
                *tile.cells,
            )
            found.coherence[(slice(None), *tile.place)] = coherence
            found.siblings[tile.place] = siblings
        return found

    @property
    def cube(self) -> Cube:
        """The coherence of all its pairs."""
        return Cube(self, np.arange(len(self.pairs), dtype=np.intp), self.grid.rows, self.grid.cols)

    def bytes_per_row(self, pairs: int) -> int:
        """Bytes that one row of cells of so many pairs takes, beside the images of one tile."""
        return (4 * pairs + 2) * self.grid.cols


def _days_of(pairs: Sequence[Pair]) -> list[date]:
    return sorted({day for pair in pairs for day in (pair.reference, pair.secondary)})


def coherence_stack(slc: SlcStack, pairs: Sequence[Pair], estimator: CoherenceEstimator) -> Stack:
    """Pairs of images as a stack of coherence alone, on cells of the estimator's looks.

    Raises
    ------
    OptionError
        There are more looks than pixels, or the geometry does not fit into cells of them.
    """
    grid = multilook_grid(slc.grid, estimator.looks)
    ordered = tuple(sorted(set(pairs)))
    source = EstimatedCoherence(slc, ordered, estimator, grid)
    return Stack(
        slc.path,
        slc.processor,
        ordered,
        slc.wavelength_m,
        np.full(len(ordered), np.nan),
        grid,
        coherence=Cube(source, np.arange(len(ordered), dtype=np.intp), grid.rows, grid.cols),
        geometry=multilook_geometry(slc, estimator.looks),
        acquisition=replace(
            slc.acquisition,
            range_looks=estimator.looks.cols * (slc.acquisition.range_looks or 1),
            azimuth_looks=estimator.looks.rows * (slc.acquisition.azimuth_looks or 1),
        ),
        notes=slc.notes,
    )


def image_bytes_per_row(slc: SlcStack, looks: Looks, images: int) -> int:
    """Bytes of the pixels of so many images behind one row of cells."""
    return images * looks.rows * slc.grid.cols * _COMPLEX_BYTES


def every_pair(days: Sequence[date]) -> list[Pair]:
    """Each date with each later one."""
    ordered = sorted(days)
    return [Pair(first, second) for place, first in enumerate(ordered) for second in ordered[place + 1 :]]


def sequential_pairs(days: Sequence[date], connections: int, max_temporal_days: float | None = None) -> list[Pair]:
    """Each date with the next `connections` ones, as far as `max_temporal_days` goes."""
    ordered = sorted(days)
    near = [
        Pair(first, second)
        for place, first in enumerate(ordered)
        for second in ordered[place + 1 : place + 1 + connections]
    ]
    return [pair for pair in near if max_temporal_days is None or pair.temporal_baseline_days <= max_temporal_days]


def history_before(slc: SlcStack, event: date | None) -> tuple[date, ...]:
    """Dates whose amplitudes choose siblings: those before the event; all where there is none."""
    return tuple(day for day in slc.dates if event is None or day < event)
