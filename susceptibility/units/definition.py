"""Mapping units: the pieces of ground that become rows of the table."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from susceptibility.errors import InputError
from susceptibility.projection import require_metric

OUTSIDE = 0
"""Label of cells that belong to no unit."""


class UnitKind(StrEnum):
    """What the units are."""

    CELLS = "cells"
    AGGREGATE = "aggregate"
    SLOPE = "slope"
    POLYGONS = "polygons"


@dataclass(frozen=True)
class Units:
    """A division of a grid, or of part of it.

    Attributes
    ----------
    kind
        What the units are.
    grid
        Projected, in metres.
    labels : (row, col) int32
        Number of the unit of each cell, from 1; `OUTSIDE` where there is none. May lie in a file. Of polygons that
        overlap a cell has the first; see `shapes`.
    count
        Number of units; they are numbered 1 to `count`.
    shapes : (unit,) or None
        Shapely polygons in the grid's system where units are polygons with edges of their own; None where they are
        made of whole cells.
    attributes : dict of (unit,)
        What else is known of each unit, by name, the unit of measure in the name.
    """

    kind: UnitKind
    grid: Grid
    labels: NDArray[np.int32]
    count: int
    shapes: NDArray[np.object_] | None = None
    attributes: dict[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_north_up(self.grid, "grid of the mapping units")

    @cached_property
    def cells(self) -> NDArray[np.int64]:
        """(unit,) number of cells labelled with each unit."""
        return np.bincount(self.labels.ravel(), minlength=self.count + 1)[1:].astype(np.int64)

    @cached_property
    def area_m2(self) -> NDArray[np.float64]:
        """(unit,) area on the map, m2: of the shapes where there are any, else of the cells."""
        if self.shapes is not None:
            import shapely

            return np.asarray(shapely.area(self.shapes), np.float64)
        width, height = self.grid.resolution
        return self.cells.astype(np.float64) * (width * height)

    @cached_property
    def centroids_m(self) -> NDArray[np.float64]:
        """(unit, 2) easting and northing of the centre of mass, m; it may lie outside of a unit that is bent."""
        if self.shapes is not None:
            import shapely

            centres = shapely.centroid(self.shapes)
            return np.stack([shapely.get_x(centres), shapely.get_y(centres)], axis=1)
        flat = self.labels.ravel()
        row, col = (np.arange(size) + 0.5 for size in self.grid.shape)
        rows = np.bincount(flat, np.repeat(row, self.grid.cols), self.count + 1)[1:] / self.cells
        cols = np.bincount(flat, np.tile(col, self.grid.rows), self.count + 1)[1:] / self.cells
        places = self.grid.map_coordinates(rows.astype(np.float64), cols.astype(np.float64))
        return np.asarray(np.stack(places, axis=1), np.float64)

    @cached_property
    def polygons(self) -> NDArray[np.object_]:
        """(unit,) outline of each unit in the grid's system; of several parts where a unit is not in one piece."""
        return _outlines(self.labels, self.count, self.grid) if self.shapes is None else self.shapes


def require_north_up(grid: Grid, subject: str) -> None:
    """Refuse a grid that is not in metres, or whose first row is not the northernmost or first column the westernmost.

    Raises
    ------
    InputError
        As `require_metric`, and where the grid is turned round.
    """
    require_metric(grid, subject)
    if grid.transform.a < 0.0 or grid.transform.e > 0.0:
        raise InputError(
            subject,
            required="a grid with north up",
            found="one that runs from south to north, or from east to west",
            remedy="Warp the raster to a north-up grid with gdalwarp",
        )


def cell_units(known: NDArray[np.bool_], grid: Grid) -> Units:
    """Make each cell a unit.

    Parameters
    ----------
    known : (row, col)
        True where there is data; other cells belong to no unit.
    grid
        Projected, in metres.
    """
    labels = np.zeros(grid.shape, np.int32)
    count = int(known.sum())
    labels[known] = np.arange(1, count + 1, dtype=np.int32)
    return Units(UnitKind.CELLS, grid, labels, count)


def _outlines(labels: NDArray[np.int32], count: int, grid: Grid) -> NDArray[np.object_]:
    import shapely
    from rasterio.features import shapes

    parts: list[Any] = []
    owners: list[int] = []
    for outline, label in shapes(labels, mask=labels != OUTSIDE, connectivity=4, transform=grid.transform):
        shell, *holes = outline["coordinates"]
        parts.append(shapely.Polygon(shell, holes))
        owners.append(int(label) - 1)
    owner = np.array(owners, np.int64)
    order = np.argsort(owner, kind="stable")
    pieces = np.array(parts, object)[order]
    whole = np.empty(count, object)
    whole[:] = shapely.Polygon()
    of_unit = np.searchsorted(owner[order], np.arange(count + 1))
    sizes = np.diff(of_unit)
    whole[sizes == 1] = pieces[of_unit[:-1][sizes == 1]]
    for unit in np.flatnonzero(sizes > 1):
        whole[unit] = shapely.MultiPolygon(list(pieces[of_unit[unit] : of_unit[unit + 1]]))
    return whole
