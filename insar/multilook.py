"""Pixels of full resolution taken together: the grid and the geometry that multilooked results have."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.errors import OptionError
from insar.grid import Grid
from insar.layers import row_slices
from insar.slc import SlcStack
from insar.stack import Geometry, Plane
from insar.windows import Looks

_FULL_CIRCLE_DEG = 360.0

_PIXELS_AT_ONCE = 500_000
"""Pixels of full resolution in memory, whatever the number of cells that is asked for."""


def multilook_grid(grid: Grid, looks: Looks) -> Grid:
    """Grid of cells of `looks` pixels; pixels beyond the last whole cell are left out.

    Raises
    ------
    OptionError
        The image has fewer pixels than one cell.
    """
    looks.check()
    rows, cols = grid.rows // looks.rows, grid.cols // looks.cols
    if min(rows, cols) < 1:
        raise OptionError(
            "--looks",
            required=f"at most as many looks as the image has pixels, {grid.rows} rows x {grid.cols} columns",
            found=f"{looks.rows} {looks.cols}",
            remedy="Take fewer looks",
        )
    if grid.crs is None:
        return Grid.radar(rows, cols)
    steps = grid.transform
    transform = Affine(
        steps.a * looks.cols, steps.b * looks.rows, steps.c, steps.d * looks.cols, steps.e * looks.rows, steps.f
    )
    return Grid(rows, cols, transform, grid.crs)


def multilook_geometry(slc: SlcStack, looks: Looks) -> Geometry:
    """Geometry of the cells of `looks` pixels, averaged over each.

    Raises
    ------
    OptionError
        The geometry that the stack has is of cells that do not fit into these.
    """
    known = slc.geometry_looks
    if not any((slc.geometry.latitude, slc.geometry.height, slc.geometry.incidence_angle)):
        return slc.geometry
    if looks.rows % known.rows or looks.cols % known.cols:
        raise OptionError(
            "--looks",
            required=f"multiples of the looks that the geometry of {slc.path} has, {known.rows} {known.cols} (rows, "
            "columns)",
            found=f"{looks.rows} {looks.cols}",
            remedy="Take these looks, or make the geometry files at full resolution",
        )
    factor = Looks(looks.rows // known.rows, looks.cols // known.cols)
    rows, cols = multilook_grid(slc.grid, looks).shape
    geometry = slc.geometry
    return replace(
        geometry,
        latitude=_averaged(geometry.latitude, factor, rows, cols),
        longitude=_averaged(geometry.longitude, factor, rows, cols, is_angle=True),
        height=_averaged(geometry.height, factor, rows, cols),
        incidence_angle=_averaged(geometry.incidence_angle, factor, rows, cols),
        azimuth_angle=_averaged(geometry.azimuth_angle, factor, rows, cols, is_angle=True),
        shadow_mask=_averaged(geometry.shadow_mask, factor, rows, cols),
    )


def _averaged(plane: Plane | None, factor: Looks, rows: int, cols: int, *, is_angle: bool = False) -> Plane | None:
    if plane is None:
        return None
    if factor == (1, 1):
        return replace(plane, rows=rows, cols=cols)
    return Plane(CellMeans(plane, factor, is_angle), rows, cols)


@dataclass(frozen=True, slots=True)
class CellMeans:
    """A `insar.stack.PlaneSource` of means over cells of another plane; NaN where a cell has no data at all."""

    plane: Plane
    factor: Looks
    is_angle: bool = False

    def read_window(self, rows: slice, cols: slice) -> NDArray[np.float32] | NDArray[np.float64]:
        """Means of some cells: (row, col)."""
        down, across = self.factor
        height, width = rows.stop - rows.start, cols.stop - cols.start
        means = np.empty((height, width))
        for part in row_slices(height, max(1, _PIXELS_AT_ONCE // (down * across * max(1, width)))):
            means[part] = self._means(slice(rows.start + part.start, rows.start + part.stop), cols)
        # In the type of the plane: it tells how exact the values are.
        return means if self.plane.read(slice(0, 1), slice(0, 1)).dtype == np.float64 else means.astype(np.float32)

    def _means(self, rows: slice, cols: slice) -> NDArray[np.float64]:
        down, across = self.factor
        fine = self.plane.read(
            slice(rows.start * down, rows.stop * down), slice(cols.start * across, cols.stop * across)
        )
        cells = fine.reshape(rows.stop - rows.start, down, cols.stop - cols.start, across).swapaxes(1, 2)
        values = cells.reshape(*cells.shape[:2], down * across)
        known = np.isfinite(values)
        count = known.sum(axis=2)
        # Around a value of the cell: directions on both sides of a full circle have their mean there, not opposite.
        around = np.take_along_axis(values, np.argmax(known, axis=2)[..., None], axis=2).astype(np.float64)
        apart: NDArray[Any] = np.where(known, values - around, 0.0)
        if self.is_angle:
            apart -= _FULL_CIRCLE_DEG * np.round(apart / _FULL_CIRCLE_DEG)
        means = around[..., 0] + apart.sum(axis=2) / np.maximum(count, 1)
        return np.where(count > 0, means, np.nan)
