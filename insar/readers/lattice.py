"""Rasters of different extents on one lattice of pixels: the area that all of them, or any of them, cover."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from affine import Affine

from insar.errors import InputError
from insar.grid import Grid, same_crs

_TOLERANCE_PIXELS = 0.01


class PlacedRaster(Protocol):
    """A file and where its pixels lie."""

    @property
    def path(self) -> Path:
        """The file."""
        ...

    @property
    def grid(self) -> Grid:
        """Its pixels on the map, north up."""
        ...


def common_grid(rasters: Sequence[PlacedRaster]) -> Grid:
    """Largest grid that all rasters cover. No pixel is moved: it is cut out of the lattice that they share.

    Raises
    ------
    InputError
        Pixels of a raster are of another size, projection or place than those of the first, or nothing is common.
    """
    first = rasters[0]
    row, col, end_row, end_col = _extent_on(first, first)
    for raster in rasters[1:]:
        top, left, bottom, right = _extent_on(first, raster)
        nothing_left = min(end_row, bottom) <= max(row, top) or min(end_col, right) <= max(col, left)
        if nothing_left:
            raise InputError(
                raster.path,
                required=f"an area in common with {first.path.name} and the rasters between",
                found="none",
                remedy="Put the products of each area in a folder of their own",
            )
        row, col, end_row, end_col = max(row, top), max(col, left), min(end_row, bottom), min(end_col, right)
    return _part_of_lattice(first.grid, (row, col, end_row, end_col))


def covering_grid(rasters: Sequence[PlacedRaster]) -> Grid:
    """Smallest grid that holds all rasters, on the lattice that they share.

    Raises
    ------
    InputError
        Pixels of a raster are of another size, projection or place than those of the first.
    """
    extents = [_extent_on(rasters[0], raster) for raster in rasters]
    tops, lefts, bottoms, rights = zip(*extents, strict=True)
    return _part_of_lattice(rasters[0].grid, (min(tops), min(lefts), max(bottoms), max(rights)))


def _part_of_lattice(grid: Grid, extent: tuple[int, int, int, int]) -> Grid:
    row, col, end_row, end_col = extent
    x, y = grid.map_coordinates(float(row), float(col))
    placed = Affine(grid.transform.a, 0.0, float(x), 0.0, grid.transform.e, float(y))
    return Grid(end_row - row, end_col - col, placed, grid.crs)


def describe_crop(rasters: Sequence[PlacedRaster], grid: Grid) -> str | None:
    """What was cut off to reach the common area, for the notes of a stack; None where nothing was."""
    cut = [raster for raster in rasters if raster.grid.shape != grid.shape]
    if not cut:
        return None
    largest = max(cut, key=lambda raster: raster.grid.rows * raster.grid.cols)
    tightest = min(rasters, key=lambda raster: raster.grid.rows * raster.grid.cols)
    share = grid.rows * grid.cols / (largest.grid.rows * largest.grid.cols)
    return (
        f"extents differ: cropped to the {grid.rows} rows x {grid.cols} columns that all pairs cover, {share:.0%} of "
        f"the largest ({largest.grid.rows} x {largest.grid.cols}); the smallest is {tightest.path.name} "
        f"({tightest.grid.rows} x {tightest.grid.cols})"
    )


def _extent_on(first: PlacedRaster, raster: PlacedRaster) -> tuple[int, int, int, int]:
    """First row and column, and one past the last, of a raster, counted in pixels of another."""
    if not same_crs(first.grid.crs, raster.grid.crs):
        raise _differs(first, raster, "projection", str(first.grid.crs), str(raster.grid.crs))
    start = first.grid.pixel_coordinates(*raster.grid.map_coordinates(0.0, 0.0))
    end = first.grid.pixel_coordinates(*raster.grid.map_coordinates(float(raster.grid.rows), float(raster.grid.cols)))
    sizes = (end[0] - start[0], end[1] - start[1])
    if max(abs(sizes[0] - raster.grid.rows), abs(sizes[1] - raster.grid.cols)) > _TOLERANCE_PIXELS:
        raise _differs(first, raster, "pixel size", _size(first), _size(raster))
    if max(abs(place - round(place)) for place in start) > _TOLERANCE_PIXELS:
        raise _differs(
            first,
            raster,
            "lattice",
            "pixels that fall on its pixels",
            f"pixels moved by {start[0] - round(start[0]):.3g} rows and {start[1] - round(start[1]):.3g} columns",
        )
    return round(start[0]), round(start[1]), round(end[0]), round(end[1])


def _differs(first: PlacedRaster, raster: PlacedRaster, what: str, required: str, found: str) -> InputError:
    return InputError(
        raster.path,
        required=f"the {what} of {first.path}: {required}",
        found=found,
        remedy="Bring all rasters onto the same pixels (spacing, projection) or remove this one: nothing is resampled",
    )


def _size(raster: PlacedRaster) -> str:
    width, height = raster.grid.resolution
    return f"{width:.9g} x {height:.9g}"
