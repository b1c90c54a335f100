"""Statistics of layers over mapping units, cell by cell or by the exact part of each cell that lies in a unit.

`Zones` lists the cells of each unit once; any number of layers is then summarised one at a time, so that memory holds
one layer and the list, however many layers there are.

Notes
-----
NaN cells are unknown and weigh nothing: the mean of a unit is that of its known part, whose share of the unit
``known_share`` tells. A unit without any known cell has NaN in everything but ``count`` and ``known_share``, 0.

``sd`` is that of the unit's ground, not an estimate from a sample: ``sqrt(sum w (x - mean)^2 / sum w)``. ``count``
counts the cells that a unit touches and that are known, ``min`` and ``max`` are over these, however small the part.
Circular statistics take degrees clockwise from north (aspect); the variance is ``1 - |mean unit vector|``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid, same_crs
from insar.layers import row_slices
from susceptibility.errors import InputError, OptionError
from susceptibility.kernels import zonal as kernels
from susceptibility.projection import no_crs_error
from susceptibility.units.definition import Units, require_north_up

STATISTICS: dict[str, str] = {
    "mean": "mean",
    "sd": "standard deviation",
    "min": "lowest value",
    "max": "highest value",
    "range": "highest minus lowest value",
    "sum": "sum over cells, parts of cells counting as such",
    "count": "known cells that the unit touches",
    "known_share": "part of the unit where the layer is known",
    "median": "median",
    "circular_mean": "mean direction, degrees, of directions in degrees",
    "circular_variance": "circular variance of directions in degrees, 0 to 1",
    "dominant": "class with the largest area, the lowest in a tie",
    "dominant_share": "part of the known area that the dominant class has",
}
"""What each statistic is; further ``share_above:LIMIT`` and ``quantile:LEVEL`` with a number."""

Rows = Callable[[slice], NDArray[np.floating[Any]]]
"""Values of full rows of a layer: from a slice of rows to (row, col)."""

_MOMENTS = {"mean": 2, "sd": 3, "min": 4, "max": 5, "sum": 6}
_ROWS_AT_ONCE = 512


@dataclass(frozen=True, slots=True, eq=False)
class Zones:
    """Cells of each unit.

    Attributes
    ----------
    grid
        That the cells are of.
    starts : (unit + 1,) int64
        Where the cells of each unit begin in `cells`.
    cells : (entry,) int32
        Flat indices, in order within a unit.
    parts : (entry,) float64
        Part of each cell that lies in the unit, 0 to 1; empty where all cells are whole.
    areas : (unit,) float64
        Area of each unit in cells, also of what lies beyond the grid.
    """

    grid: Grid
    starts: NDArray[np.int64]
    cells: NDArray[np.int32]
    parts: NDArray[np.float64]
    areas: NDArray[np.float64]

    @classmethod
    def of_labels(cls, labels: NDArray[np.int32], count: int, grid: Grid) -> Zones:
        """Units by the number of each cell, 1 to `count`, 0 outside."""
        if labels.shape != grid.shape:
            raise _shape_error("labels", labels, grid)
        starts = np.zeros(count + 1, np.int64)
        cells = np.empty(int(np.count_nonzero(labels)), np.int32)
        kernels.group_cells(np.ascontiguousarray(labels).reshape(-1), starts, cells)
        return cls(grid, starts, cells, np.empty(0), np.diff(starts).astype(np.float64))

    @classmethod
    def of_polygons(cls, polygons: NDArray[np.object_], grid: Grid, crs: str | None = None) -> Zones:
        """Units by the exact part of each cell that a polygon covers.

        Parameters
        ----------
        polygons : (unit,)
            Valid shapely polygons; they may overlap, each is a unit of its own.
        grid
            Projected, in metres.
        crs
            Of the polygons; None where they are in the grid's.

        Raises
        ------
        InputError
            The grid is not in metres, or the polygons are in another system.
        """
        require_north_up(grid, "grid of the zonal statistics")
        if crs is not None and not same_crs(crs, grid.crs):
            raise InputError(
                "polygons",
                required=f"the coordinate reference system of the grid, {grid.crs}",
                found=crs,
                remedy="Project them to it",
            )
        starts, cells, parts = _coverage(polygons, grid)
        import shapely

        width, height = grid.resolution
        return cls(grid, starts, cells, parts, np.asarray(shapely.area(polygons) / (width * height), np.float64))

    @classmethod
    def of_units(cls, units: Units) -> Zones:
        """Units by their shapes where they have any, else by their cells."""
        if units.shapes is None:
            return cls.of_labels(units.labels, units.count, units.grid)
        return cls.of_polygons(units.shapes, units.grid)

    @property
    def count(self) -> int:
        """Number of units."""
        return self.starts.size - 1


def zonal_statistics(
    zones: Zones, layer: NDArray[np.floating[Any]] | Rows, grid: Grid, statistics: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """Summarise one layer over every unit.

    Parameters
    ----------
    zones
        Cells of the units.
    layer : (row, col)
        Values, NaN where unknown, in memory or in a file that is mapped; or a function that reads rows. Taken as
        float32, which holds whole class numbers up to 2^24.
    grid
        Of the layer: the same as that of the zones.
    statistics
        Of `STATISTICS`; ``share_above:0.5`` and ``quantile:0.9`` with a number of their own.

    Returns
    -------
    dict of (unit,) float64
        By statistic, in the layer's unit where `STATISTICS` says no other; NaN where nothing is known.

    Raises
    ------
    InputError
        The layer lies on another grid or has another shape.
    OptionError
        A statistic is unknown.
    """
    if grid.crs is None:
        raise no_crs_error("layer")
    if not grid.same_as(zones.grid):
        raise InputError(
            "layer",
            required="the grid of the mapping units",
            found="another grid",
            remedy="Align it first, see susceptibility.storage",
        )
    wanted = [_parsed(name) for name in statistics]
    values = _flat(layer, grid)
    where = (zones.starts, zones.cells, zones.parts)
    moments = np.empty((zones.count, 7))
    kernels.moments(values, *where, moments)
    kinds = {kind for kind, _ in wanted}
    circular, classes = np.empty((zones.count, 2)), np.empty((zones.count, 2))
    if kinds & {"circular_mean", "circular_variance"}:
        kernels.directions(values, *where, circular)
    if kinds & {"dominant", "dominant_share"}:
        kernels.dominant_class(values, *where, classes)
    result: dict[str, NDArray[np.float64]] = {}
    for name, (kind, number) in zip(statistics, wanted, strict=True):
        match kind:
            case "count":
                column = moments[:, 1]
            case "known_share":
                column = _known_share(moments[:, 0], zones.areas)
            case "range":
                column = moments[:, 5] - moments[:, 4]
            case "circular_mean" | "circular_variance":
                column = circular[:, int(kind == "circular_variance")]
            case "dominant" | "dominant_share":
                column = classes[:, int(kind == "dominant_share")]
            case "share_above":
                column = np.empty(zones.count)
                kernels.share_above(values, *where, number, column)
            case "quantile":
                column = np.empty(zones.count)
                kernels.quantile(values, *where, number, column)
            case _:
                column = moments[:, _MOMENTS[kind]]
        result[name] = column.copy()
    return result


def _known_share(weight: NDArray[np.float64], areas: NDArray[np.float64]) -> NDArray[np.float64]:
    # Parts of cells add up to a unit's area but for rounding.
    with np.errstate(invalid="ignore", divide="ignore"):
        share: NDArray[np.float64] = np.minimum(weight / areas, 1.0)
    return np.where(areas > 0.0, share, 0.0)


def _parsed(name: str) -> tuple[str, float]:
    """Return a statistic and its number, NaN for those that have none."""
    kind, colon, text = name.partition(":")
    if not colon and kind == "median":
        return "quantile", 0.5
    if not colon and kind in STATISTICS:
        return kind, math.nan
    try:
        number = float(text) if kind in {"share_above", "quantile"} and colon else math.nan
    except ValueError:
        number = math.nan
    if math.isnan(number) or (kind == "quantile" and not 0.0 <= number <= 1.0):
        raise OptionError(
            "statistic",
            required=f"one of {', '.join(STATISTICS)}, share_above:LIMIT, quantile:LEVEL with a level from 0 to 1",
            found=repr(name),
            remedy="Correct the name",
        )
    return kind, number


def _flat(layer: NDArray[np.floating[Any]] | Rows, grid: Grid) -> NDArray[np.float32]:
    """(cell,) values of a layer."""
    if not callable(layer):
        if layer.shape != grid.shape:
            raise _shape_error("layer", layer, grid)
        return np.ascontiguousarray(layer, np.float32).reshape(-1)
    values = np.empty(grid.shape, np.float32)
    for rows in row_slices(grid.rows, _ROWS_AT_ONCE):
        values[rows] = layer(rows)
    return values.reshape(-1)


def _shape_error(subject: str, values: NDArray[Any], grid: Grid) -> InputError:
    return InputError(
        subject,
        required=f"{grid.rows} rows x {grid.cols} columns, as the grid",
        found=" x ".join(str(length) for length in values.shape),
        remedy="Take both from the same raster",
    )


def _coverage(
    polygons: NDArray[np.object_], grid: Grid
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
    """Starts, cells and parts of `Zones` by exactextract."""
    import shapely
    from exactextract import exact_extract
    from exactextract.feature import JSONFeatureSource
    from exactextract.raster import NumPyRasterSource

    west, south, east, north = grid.bounds
    # Only the lattice of the raster counts: a broadcast array holds one byte, however many cells it has.
    lattice = NumPyRasterSource(np.broadcast_to(np.uint8(1), grid.shape), xmin=west, ymin=south, xmax=east, ymax=north)
    touches = np.flatnonzero(shapely.intersects(polygons, shapely.box(west, south, east, north)))
    features = [
        {"type": "Feature", "id": str(unit), "properties": {}, "geometry": shapely.geometry.mapping(polygons[unit])}
        for unit in touches
    ]
    sizes = np.zeros(len(polygons), np.int64)
    cells: list[NDArray[np.int32]] = []
    parts: list[NDArray[np.float64]] = []
    covered = exact_extract(lattice, JSONFeatureSource(features), ["cell_id", "coverage"]) if features else []
    for unit, feature in zip(touches, covered, strict=True):
        cell = np.asarray(feature["properties"]["cell_id"], np.int32)
        part = np.asarray(feature["properties"]["coverage"], np.float64)
        order = np.argsort(cell[part > 0.0], kind="stable")
        cells.append(cell[part > 0.0][order])
        parts.append(part[part > 0.0][order])
        sizes[unit] = order.size
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    return starts, np.concatenate([np.empty(0, np.int32), *cells]), np.concatenate([np.empty(0), *parts])
