"""Exact areas that polygons cover of cells, and polygons without the ground that others cover."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid

_NEGLIGIBLE = 1e-8
"""Part of a cell that rounding may leave where a polygon ends: coordinates of 10**7 m are good to 10**-9 m."""

_LISTED_CELLS = 4_000_000  # of the bounding boxes of polygons that are listed at once


@dataclass(frozen=True, slots=True)
class CoveredCells:
    """Cells that polygons cover, one entry for each pair of polygon and cell; 1-d arrays of the same length.

    Attributes
    ----------
    polygons
        Index of the polygon; all entries of one polygon follow each other, though not always in one piece of the list.
    cells
        Flat index of the cell.
    parts
        Part of the cell that the polygon covers, above 0, to 1.
    """

    polygons: NDArray[np.int64]
    cells: NDArray[np.int64]
    parts: NDArray[np.float64]


def dissolve(polygons: NDArray[np.object_]) -> NDArray[np.object_]:
    """Polygons that cover the same ground as others but do not overlap.

    Parameters
    ----------
    polygons
        (polygon,) valid shapely polygons or multipolygons.

    Returns
    -------
    (polygon,)
        Those that share no ground with another as they are, taken apart; of the others the union of each group.
    """
    import shapely
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    parts = shapely.get_parts(polygons)
    parts = parts[_have_area(parts)]
    first, second = shapely.STRtree(parts).query(parts, predicate="intersects")
    first, second = first[first < second], second[first < second]
    # Patches of a raster meet in corners by the thousand; only shared ground needs a union.
    share = ~shapely.touches(parts[first], parts[second])
    first, second = first[share], second[share]
    links = coo_array((np.ones(first.size, np.int8), (first, second)), shape=(parts.size, parts.size))
    groups, group = connected_components(links, directed=False)
    sizes = np.bincount(group, minlength=groups)
    alone = sizes[group] == 1
    order = np.flatnonzero(~alone)[np.argsort(group[~alone], kind="stable")]
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    united = [shapely.union_all(parts[members]) for members in np.split(order, starts[1:])] if order.size else []
    dissolved = np.empty(int(alone.sum()) + len(united), object)
    dissolved[: int(alone.sum())] = parts[alone]
    dissolved[int(alone.sum()) :] = united
    return dissolved


def cell_coverage(polygons: NDArray[np.object_], grid: Grid) -> NDArray[np.float64]:
    """Part of each cell that polygons cover, exactly.

    Parameters
    ----------
    polygons
        (polygon,) valid shapely polygons in the grid's coordinate reference system. Where they overlap the ground
        counts once.
    grid
        North up or rotated.

    Returns
    -------
    (row, col) float64
        0 to 1; the areal density of a cell.
    """
    import shapely

    from susceptibility.kernels.coverage import add_coverage

    coverage = np.zeros(grid.shape, np.float64)
    parts = shapely.get_parts(dissolve(polygons))
    parts = parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON]
    if not parts.size:
        return coverage
    add_coverage(*_rings(parts, grid), _NEGLIGIBLE, coverage)
    return np.minimum(coverage, 1.0, out=coverage)


def covered_cells(polygons: NDArray[np.object_], grid: Grid) -> Iterator[CoveredCells]:
    """Cells that each polygon covers and how much of each, in pieces of bounded size.

    Parameters
    ----------
    polygons
        (polygon,) valid shapely polygons or multipolygons in the grid's coordinate reference system. Each is taken for
        itself: where two overlap both cover the ground.
    grid
        North up or rotated.
    """
    import shapely

    from susceptibility.kernels.coverage import list_coverage

    parts, owners = shapely.get_parts(polygons, return_index=True)
    areal = _have_area(parts)
    parts, owners = parts[areal], owners[areal]
    boxes = np.cumsum(_box_cells(parts, grid))
    start = 0
    while start < parts.size:
        before = 0 if start == 0 else boxes[start - 1]
        stop = max(start + 1, int(np.searchsorted(boxes, before + _LISTED_CELLS, side="right")))
        room = int(boxes[stop - 1] - before)
        polygon, cell, part = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.float64)
        found = list_coverage(*_rings(parts[start:stop], grid), _NEGLIGIBLE, *grid.shape, polygon, cell, part)
        yield CoveredCells(owners[start:stop][polygon[:found]], cell[:found], part[:found])
        start = stop


def mapped_cells(mapped: NDArray[np.object_], grid: Grid) -> NDArray[np.bool_]:
    """Cells whose centre lies on ground that an inventory speaks of (`Inventory.mapped`): (row, col)."""
    from rasterio import features

    burnt = features.rasterize(
        ((shape, 1) for shape in mapped), out_shape=grid.shape, transform=grid.transform, dtype="uint8"
    )
    return np.asarray(burnt, np.bool_)


def subtract_polygons(polygons: NDArray[np.object_], taken: NDArray[np.object_]) -> NDArray[np.object_]:
    """What is left of each polygon without the ground that others take: (polygon,), empty where nothing is."""
    import shapely

    left = polygons.copy()
    index, taker = shapely.STRtree(taken).query(polygons, predicate="intersects")
    order = np.argsort(index, kind="stable")
    index, taker = index[order], taker[order]
    starts = np.flatnonzero(np.diff(index, prepend=-1))
    for place, takers in zip(index[starts], np.split(taker, starts[1:]), strict=False):
        left[place] = _polygonal(shapely.difference(polygons[place], shapely.union_all(taken[takers])))
    return left


def _polygonal(shape: object) -> object:
    """The polygons of a geometry, without the lines and points at which a difference may leave it."""
    import shapely

    if shapely.get_type_id(shape) in {shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON}:
        return shape
    parts = shapely.get_parts(shape)
    return shapely.multipolygons(parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON])


def _have_area(parts: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Which polygons cover any ground: (polygon,); corners at infinity are where a projection ends."""
    import shapely

    finite = np.isfinite(shapely.bounds(parts)).all(axis=1)
    finite[finite] = shapely.area(parts[finite]) > 0.0
    return np.asarray(finite, np.bool_)


def _rings(
    parts: NDArray[np.object_], grid: Grid
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Vertices of simple polygons in cells (x, y), where each ring starts and which ring is each polygon's first."""
    import shapely

    rings, polygon_of_ring = shapely.get_rings(parts, return_index=True)
    vertices, ring_of_vertex = shapely.get_coordinates(rings, return_index=True)
    row, col = grid.pixel_coordinates(vertices[:, 0], vertices[:, 1])
    return (
        np.ascontiguousarray(col),
        np.ascontiguousarray(row),
        np.searchsorted(ring_of_vertex, np.arange(rings.size + 1)).astype(np.int64),
        np.searchsorted(polygon_of_ring, np.arange(parts.size + 1)).astype(np.int64),
    )


def _box_cells(parts: NDArray[np.object_], grid: Grid) -> NDArray[np.int64]:
    """Number of cells of the grid that the bounding box of each simple polygon touches, or somewhat more."""
    import shapely

    vertices, owner = shapely.get_coordinates(shapely.get_exterior_ring(parts), return_index=True)
    row, col = grid.pixel_coordinates(vertices[:, 0], vertices[:, 1])
    starts = np.searchsorted(owner, np.arange(parts.size))
    sides = []
    for place, size in ((row, grid.rows), (col, grid.cols)):
        first = np.clip(np.floor(np.minimum.reduceat(place, starts)), 0, size)
        last = np.clip(np.ceil(np.maximum.reduceat(place, starts)), 0, size)
        sides.append(np.maximum(last - first, 0.0))
    return np.asarray(sides[0] * sides[1], np.int64)
