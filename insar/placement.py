"""Where the pixels of a stack go on the map: the same pixels for a map stack, geocoded ones for radar coordinates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.errors import InputError, MissingInputError
from insar.geocoding import build_geocoder, target_grid
from insar.grid import Grid, RowCol, same_crs
from insar.layers import row_slices
from insar.lookup import Bounds, Projection, bounds_beside
from insar.stack import Plane, Stack

_FIRST = RowCol(0, 0)
_ROWS_AT_ONCE = 256


class Placement(Protocol):
    """The way from results on the pixels of a stack to the map."""

    @property
    def grid(self) -> Grid:
        """Grid of the map."""
        ...

    def gather(self, source: NDArray[Any], rows: slice, fill: float = math.nan) -> NDArray[Any]:
        """Some rows of the map, (..., row, col), of a result (..., row, col) on the pixels of the stack."""
        ...

    def map_pixel(self, pixel: RowCol) -> RowCol | None:
        """Where on the map a pixel of the stack is shown; None where it is not."""
        ...


@dataclass(frozen=True, slots=True)
class SamePixels:
    """The stack lies on the map already; `grid` may be a part of it, whose first pixel is `corner` of the stack."""

    grid: Grid
    corner: RowCol

    def gather(self, source: NDArray[Any], rows: slice, fill: float = math.nan) -> NDArray[Any]:  # noqa: ARG002
        """The rows themselves."""
        first, left = self.corner
        return source[..., rows.start + first : rows.stop + first, left : left + self.grid.cols]

    def map_pixel(self, pixel: RowCol) -> RowCol | None:
        """The pixel itself, where the part holds it."""
        row, col = pixel.row - self.corner.row, pixel.col - self.corner.col
        return RowCol(row, col) if 0 <= row < self.grid.rows and 0 <= col < self.grid.cols else None


def place_stack_on(stack: Stack, grid: Grid, scratch: Path) -> Placement:
    """Bring the results of a stack onto a grid that is given, such as that of another result.

    A stack that has these very pixels stays on them; any other is placed by its nearest pixels.

    Raises
    ------
    MissingInputError
        The stack is in radar coordinates and has no look-up table.
    InputError
        The grid is not north up, has no CRS, or lies elsewhere.
    """
    if stack.in_radar_coordinates:
        table = _look_up_table(stack, "Add the geometry files")
    elif stack.grid.same_as(grid):
        return SamePixels(grid, _FIRST)
    else:
        table = _table_of(stack.grid)
    geocoder = build_geocoder(*table, grid, scratch)
    if not any((geocoder.radar_index(rows) >= 0).any() for rows in row_slices(grid.rows, _ROWS_AT_ONCE)):
        raise InputError(
            stack.path,
            required=f"pixels within west, south, east, north = {' '.join(f'{edge:.6g}' for edge in grid.bounds)} of "
            f"{grid.crs}, the grid to be taken",
            found="none",
            remedy="Give the grid of a result of the same area",
        )
    return geocoder


def _look_up_table(stack: Stack, remedy: str) -> tuple[Plane, Plane]:
    latitude, longitude = stack.geometry.latitude, stack.geometry.longitude
    if latitude is None or longitude is None:
        raise MissingInputError(
            stack.path,
            required="latitude and longitude of every radar pixel, to bring the result onto a map",
            found="a stack in radar coordinates without a look-up table",
            remedy=remedy,
        )
    return latitude, longitude


def place_stack(
    stack: Stack, *, crs: str | None, resolution: float | None, bounds: Bounds | None, scratch: Path
) -> Placement:
    """Decide where the results of a stack go.

    A stack on a map stays on its pixels unless another CRS, resolution or part is asked for; one in radar coordinates
    is geocoded with its look-up table. A radar stack without a look-up table stays in radar coordinates when nothing
    is asked for.

    Raises
    ------
    MissingInputError
        If a map is asked for and the stack has no look-up table.
    """
    if crs is not None:
        crs = Projection(crs).name
    asked = crs is not None or resolution is not None or bounds is not None
    if not stack.in_radar_coordinates:
        if resolution is None and (crs is None or same_crs(crs, stack.grid.crs)):
            return SamePixels(stack.grid, _FIRST) if bounds is None else _part(stack.grid, bounds)
        latitude, longitude = _table_of(stack.grid)
        crs = crs or stack.grid.crs
    elif not asked and (stack.geometry.latitude is None or stack.geometry.longitude is None):
        return SamePixels(stack.grid, _FIRST)
    else:
        remedy = "Add the geometry files, or leave out --crs, --resolution and --bbox"
        latitude, longitude = _look_up_table(stack, remedy)
    grid = target_grid(latitude, longitude, crs=crs, resolution=resolution, bounds=bounds)
    return build_geocoder(latitude, longitude, grid, scratch)


def _part(grid: Grid, bounds: Bounds) -> SamePixels:
    """The pixels of a map grid that a box in degrees touches."""
    projection = Projection(str(grid.crs))
    west, south, east, north = projection.bounds(bounds, grid.lonlat(RowCol(grid.rows // 2, grid.cols // 2)).lon)
    corners = [grid.pixel_coordinates(x, y) for x in (west, east) for y in (south, north)]
    rows, cols = zip(*corners, strict=True)
    first_row, last_row = max(0, math.floor(min(rows) + 1e-6)), min(grid.rows, math.ceil(max(rows) - 1e-6))
    first_col, last_col = max(0, math.floor(min(cols) + 1e-6)), min(grid.cols, math.ceil(max(cols) - 1e-6))
    if first_row >= last_row or first_col >= last_col:
        raise bounds_beside(bounds)
    x, y = grid.map_coordinates(first_row, first_col)
    steps = grid.transform
    transform = Affine(steps.a, steps.b, x, steps.d, steps.e, y)
    return SamePixels(
        Grid(last_row - first_row, last_col - first_col, transform, grid.crs), RowCol(first_row, first_col)
    )


@dataclass(frozen=True, slots=True)
class _PixelCentres:
    """Longitude or latitude of the pixel centres of a map grid."""

    grid: Grid
    axis: int

    def read_window(self, rows: slice, cols: slice) -> NDArray[np.float64]:
        import pyproj

        col, row = np.meshgrid(np.arange(cols.start, cols.stop) + 0.5, np.arange(rows.start, rows.stop) + 0.5)
        x, y = self.grid.map_coordinates(row, col)
        to_lonlat = pyproj.Transformer.from_crs(str(self.grid.crs), "EPSG:4326", always_xy=True)
        place: NDArray[np.float64] = np.asarray(to_lonlat.transform(x, y)[self.axis])
        return place


def _table_of(grid: Grid) -> tuple[Plane, Plane]:
    """Look-up table of a map grid: latitude and longitude."""
    return Plane(_PixelCentres(grid, 1), *grid.shape), Plane(_PixelCentres(grid, 0), *grid.shape)
