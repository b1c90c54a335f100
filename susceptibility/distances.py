"""Distance to the nearest river, road, fault or any other feature, on a grid in metres.

Notes
-----
Distances are Euclidean, in the plane of the grid's projection, from the centre of each cell: to the geometry itself
(lines, points, the inside of polygons, where it is 0), not to the cells that it passes through, which would be off by
up to a cell. They are exact up to the rounding of float64 and that of the float32 they are stored in.

Features outside of the grid count as those inside do. What lies beyond the layer's own extent is not known: near the
edge of a grid that the layer just covers, a nearer feature may be missing, so that a layer should reach farther than
the grid.
"""

from __future__ import annotations

import logging
import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from insar.layers import row_slices
from susceptibility.errors import InputError
from susceptibility.projection import require_metric
from susceptibility.vectors import VectorLayer, read_vectors
from susceptibility.workers import run_in_threads

logger = logging.getLogger(__name__)

_ROWS_AT_ONCE = 256


def distance_to(
    source: Path | NDArray[np.bool_], grid: Grid, *, layer: str | None = None, own_crs: str | None = None
) -> NDArray[np.float32]:
    """Return the distance from every cell centre to the nearest feature.

    Parameters
    ----------
    source
        A vector file of lines, polygons or points; or a mask (row, col), to whose marked cells' centres it is measured.
    grid
        Projected, in metres.
    layer, own_crs
        Of a vector file: see `susceptibility.vectors.read_vectors`.

    Returns
    -------
    (row, col) float32
        Metres; 0 inside polygons and on marked cells.

    Raises
    ------
    MissingInputError
        There is no such file.
    InputError
        The grid is not in metres; the file cannot be read, is empty, has no coordinate reference system, or lies
        farther from the grid than the grid is large; or the mask has another shape or no marked cell.
    OptionError
        `layer` or `own_crs` does not fit the file.
    """
    require_metric(grid, "grid of the distances")
    if not isinstance(source, Path):
        return distance_to_cells(source, grid)
    return distance_to_shapes(read_vectors(source, str(grid.crs), layer=layer, own_crs=own_crs), grid)


def distance_to_shapes(vectors: VectorLayer, grid: Grid) -> NDArray[np.float32]:
    """Return the distance (row, col) in metres to the nearest of the geometries; errors as `distance_to`."""
    from susceptibility.kernels import distances as kernels

    require_metric(grid, "grid of the distances")
    _require_near(vectors, grid)
    segments = _segments(vectors.geometries)
    distance = np.empty(grid.shape, np.float32)
    left, top = grid.map_coordinates(0.5, 0.5)
    step_x, step_y = grid.transform.a, grid.transform.e
    run_in_threads(
        [
            partial(
                kernels.distance_to_segments,
                segments,
                left,
                top,
                step_x,
                step_y,
                rows.start,
                distance[rows],
            )
            for rows in row_slices(grid.rows, _ROWS_AT_ONCE)
        ]
    )
    distance[_inside(vectors.geometries, grid)] = 0.0
    return distance


def distance_to_cells(marked: NDArray[np.bool_], grid: Grid) -> NDArray[np.float32]:
    """Return the distance (row, col) in metres between cell centres to the nearest marked cell; errors as above."""
    from susceptibility.kernels import distances as kernels

    require_metric(grid, "grid of the distances")
    if marked.shape != grid.shape or not marked.any():
        raise InputError(
            "mask of features",
            required=f"{grid.rows} rows x {grid.cols} columns, as the grid, with at least one marked cell",
            found=" x ".join(map(str, marked.shape)) + f", {int(np.count_nonzero(marked))} marked",
            remedy="Check the threshold or the layer that the mask was made with",
        )
    width, height = grid.resolution
    distance = np.empty(grid.shape, np.float32)
    kernels.column_distances(np.asarray(marked, np.bool_), distance)
    run_in_threads(
        [partial(kernels.widen_across, distance[rows], width, height) for rows in row_slices(grid.rows, _ROWS_AT_ONCE)]
    )
    return distance


def _segments(shapes: NDArray[np.object_]) -> NDArray[np.float64]:
    """Return the straight pieces of lines and rings (segment, 4) as x0, y0, x1, y1; a point is one of no length."""
    import shapely

    parts = shapely.get_parts(shapely.get_parts(shapes))  # a repaired polygon may be a collection of multi-parts
    types = shapely.get_type_id(parts)
    rings = shapely.get_rings(parts[types == shapely.GeometryType.POLYGON])
    lines = np.concatenate([rings, parts[types == shapely.GeometryType.LINESTRING]])
    points = shapely.get_coordinates(parts[types == shapely.GeometryType.POINT])
    corners, owners = shapely.get_coordinates(lines, return_index=True)
    same = owners[1:] == owners[:-1]
    return np.concatenate([np.hstack([corners[:-1][same], corners[1:][same]]), np.hstack([points, points])])


def _inside(shapes: NDArray[np.object_], grid: Grid) -> NDArray[np.bool_]:
    """Return which cells have their centre inside a polygon (row, col)."""
    import shapely
    from rasterio import features

    parts = shapely.get_parts(shapely.get_parts(shapes))
    polygons = parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON]
    if not len(polygons):
        return np.zeros(grid.shape, np.bool_)
    burnt = features.rasterize(polygons, out_shape=grid.shape, transform=grid.transform, dtype="uint8")
    return np.asarray(burnt, np.bool_)


def _require_near(vectors: VectorLayer, grid: Grid) -> None:
    """Refuse a layer of another place; say where it only lies beside the grid."""
    import shapely

    extent = shapely.box(*grid.bounds)
    bounds = shapely.total_bounds(vectors.geometries)
    away = float(shapely.distance(extent, shapely.box(*bounds)))
    west, south, east, north = grid.bounds
    if away > math.hypot(east - west, north - south):
        raise InputError(
            vectors.path,
            required=f"features on or near the grid (west, south, east, north = {_spaced(grid.bounds)}, {grid.crs})",
            found=f"features in {_spaced(bounds)}, {away / 1000.0:.0f} km away",
            remedy="Check that both are of the same area, and the coordinate reference system of both",
        )
    if away > 0.0:
        logger.warning("%s: no feature on the grid; the nearest are %.1f km beside it", vectors.path, away / 1000.0)


def _spaced(values: Any) -> str:
    return " ".join(f"{value:.6g}" for value in values)
