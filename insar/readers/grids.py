"""That all rasters of one stack share one grid."""

from __future__ import annotations

from pathlib import Path

from insar.errors import InputError
from insar.grid import Grid

_ONE_GRID = "Process all pairs onto one grid (same looks, same extent, same pixel size), or remove this file"


def require_same_grid(first: Path, grid: Grid, other: Path, other_grid: Grid, *, remedy: str = _ONE_GRID) -> None:
    """Compare the grids of two rasters of one stack; `remedy` is what the user can do where they differ.

    Raises
    ------
    InputError
        They differ in size, place or projection; names both files and what each has.
    """
    if grid.shape == other_grid.shape and grid.same_as(other_grid):
        return
    sizes_differ = grid.shape != other_grid.shape
    raise InputError(
        other,
        required=f"the grid of {first}: {_described(grid, with_place=not sizes_differ)}",
        found=_described(other_grid, with_place=not sizes_differ),
        remedy=remedy,
    )


def _described(grid: Grid, *, with_place: bool) -> str:
    size = f"{grid.rows} rows x {grid.cols} columns"
    if not with_place:
        return size
    if grid.crs is None:
        return f"{size} in radar coordinates"
    west, south, east, north = grid.bounds
    name = grid.crs if len(grid.crs) < 40 else f"{grid.crs[:40]}..."
    return f"{size}, west {west:.9g}, south {south:.9g}, east {east:.9g}, north {north:.9g} in {name}"
