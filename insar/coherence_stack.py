"""Coherence of coregistered images as a stack: estimated block by block when it is read."""

from __future__ import annotations

from collections.abc import Sequence
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


@dataclass(frozen=True, slots=True)
class _Part:
    """The pixels of the images that some cells need, and where these cells lie in them."""

    pixel_rows: slice
    pixel_cols: slice
    rows: slice
    cols: slice

    @classmethod
    def around(cls, grid: Grid, looks: Looks, reach: tuple[int, int], rows: slice, cols: slice) -> _Part:
        """Cells `rows`, `cols` of a grid with all cells within `reach` of them, as far as the grid goes."""
        top, bottom = max(0, rows.start - reach[0]), min(grid.rows, rows.stop + reach[0])
        left, right = max(0, cols.start - reach[1]), min(grid.cols, cols.stop + reach[1])
        return cls(
            slice(top * looks.rows, bottom * looks.rows),
            slice(left * looks.cols, right * looks.cols),
            slice(rows.start - top, rows.stop - top),
            slice(cols.start - left, cols.stop - left),
        )


@dataclass(frozen=True, slots=True)
class EstimatedCoherence:
    """A `insar.stack.CubeSource` of the boxcar coherence of pairs of images.

    Each block is read with as much around it as the window reaches, so that it has the values of the whole scene.
    """

    slc: SlcStack
    pairs: tuple[Pair, ...]
    estimator: CoherenceEstimator
    grid: Grid

    def read_block(self, pairs: NDArray[np.intp], rows: slice, cols: slice) -> NDArray[np.float32]:
        """Coherence of the named pairs: (pair, row, col), NaN where there is no data."""
        part = _Part.around(self.grid, self.estimator.looks, self.estimator.reach, rows, cols)
        chosen = [self.pairs[index] for index in pairs]
        days = sorted({day for pair in chosen for day in (pair.reference, pair.secondary)})
        images = self.slc.read(self.slc.index(days), part.pixel_rows, part.pixel_cols)
        place = {day: number for number, day in enumerate(days)}
        block = np.empty((len(chosen), rows.stop - rows.start, cols.stop - cols.start), np.float32)
        for plane, pair in zip(block, chosen, strict=True):
            plane[...] = self.estimator.estimate(
                images[place[pair.reference]], images[place[pair.secondary]], part.rows, part.cols
            )
        return block

    def bytes_per_row(self, pairs: int) -> int:
        """Bytes that one row of cells of so many pairs takes: the images of their dates, and the result."""
        images = min(len(self.slc.dates), 2 * pairs)
        cells = self.estimator.scratch_bytes_per_cell + 4 * pairs
        return image_bytes_per_row(self.slc, self.estimator.looks, images) + cells * self.grid.cols


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
        part = _Part.around(self.grid, self.estimator.looks, self.estimator.reach, rows, cols)
        chosen = [self.pairs[index] for index in pairs]
        days = sorted({*self.history, *(day for pair in chosen for day in (pair.reference, pair.secondary))})
        images = self.slc.read(self.slc.index(days), part.pixel_rows, part.pixel_cols)
        place = {day: number for number, day in enumerate(days)}
        return self.estimator.estimate(
            images[[place[day] for day in self.history]],
            [images[place[pair.reference]] for pair in chosen],
            [images[place[pair.secondary]] for pair in chosen],
            part.rows,
            part.cols,
        )

    @property
    def cube(self) -> Cube:
        """The coherence of all its pairs."""
        return Cube(self, np.arange(len(self.pairs), dtype=np.intp), self.grid.rows, self.grid.cols)

    def bytes_per_row(self, pairs: int) -> int:
        """Bytes that one row of cells of so many pairs takes: the images, each copied once, sums and the result."""
        images = 2 * len(self.history) + 4 * pairs
        cells = self.estimator.scratch_bytes_per_cell(pairs) + 4 * pairs
        return image_bytes_per_row(self.slc, self.estimator.looks, images) + cells * self.grid.cols


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
