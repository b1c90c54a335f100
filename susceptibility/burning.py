"""Which cells of a grid shapes mark: those that points lie in, those whose centres polygons contain."""

from __future__ import annotations

from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.grid import Grid

_CELLS_TRIED = 400  # in the bounding box of a polygon that may contain no centre


def point_cells(points: NDArray[np.object_], grid: Grid) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Flat cell index of each point, and whether it lies on the grid (where it does not the index means nothing)."""
    import shapely

    inverse = ~Affine(*grid.transform[:6])
    x, y = shapely.get_x(points), shapely.get_y(points)
    cols = np.floor(inverse.a * x + inverse.b * y + inverse.c)
    rows = np.floor(inverse.d * x + inverse.e * y + inverse.f)
    inside = (rows >= 0) & (rows < grid.rows) & (cols >= 0) & (cols < grid.cols)  # False for NaN and infinity
    flat = np.where(inside, rows, 0).astype(np.intp) * grid.cols + np.where(inside, cols, 0).astype(np.intp)
    return flat, inside


def burn_points(points: NDArray[np.object_], grid: Grid) -> tuple[NDArray[np.bool_], int]:
    """Cells (row, col) that points lie in, and the number of points on the grid beyond the first of each cell."""
    marked = np.zeros(grid.shape, np.bool_)
    cells, inside = point_cells(points, grid)
    marked.flat[cells[inside]] = True
    return marked, int(inside.sum()) - int(marked.sum())


def burn_polygons(polygons: NDArray[np.object_], grid: Grid) -> tuple[NDArray[np.bool_], int, int]:
    """Cells (row, col) whose centres polygons contain, and of small polygons that contain none the cell inside.

    Also the number of cells that several polygons cover, and of polygons that contain no centre.
    """
    import shapely
    from rasterio import features as rasterio_features

    marked = np.zeros(grid.shape, np.bool_)
    if not len(polygons):
        return marked, 0, 0
    times = rasterio_features.rasterize(
        ((shape, 1) for shape in polygons),
        out_shape=grid.shape,
        transform=grid.transform,
        merge_alg=rasterio_features.MergeAlg.add,
        dtype="int32",
    )
    marked[:] = times > 0
    shared = int((times > 1).sum())
    # Only a polygon smaller than a few cells can lie between centres; the others need no second look.
    width, height = grid.resolution
    left, bottom, right, top = shapely.bounds(polygons).T
    suspects = polygons[
        (right - left < width) | (top - bottom < height) | (shapely.area(polygons) < 4.0 * width * height)
    ]
    holds, unclear = _hold_a_centre(suspects, grid)
    unclear[unclear] = [not _holds_no_centre(shape, grid) for shape in suspects[unclear]]
    small = suspects[~(holds | unclear)]
    cells, inside = point_cells(shapely.point_on_surface(small), grid)
    marked.flat[cells[inside]] = True
    return marked, shared, int(inside.sum())


def _hold_a_centre(polygons: NDArray[np.object_], grid: Grid) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which polygons contain the centre of a cell, and which may: two (polygon,) masks.

    Those may that have a centre on their border, which rasterization decides, or that reach over too many cells to try.
    """
    import shapely

    rows, cols = grid.shape
    left, bottom, right, top = shapely.bounds(polygons).T
    first_row, first_col = grid.pixel_coordinates(left, top)
    last_row, last_col = grid.pixel_coordinates(right, bottom)
    low_row, high_row = (np.clip(np.floor(place), 0, rows - 1).astype(np.int64) for place in (first_row, last_row))
    low_col, high_col = (np.clip(np.floor(place), 0, cols - 1).astype(np.int64) for place in (first_col, last_col))
    width = high_col - low_col + 1
    cells = (high_row - low_row + 1) * width
    unclear = cells > _CELLS_TRIED
    cells[unclear] = 0
    polygon = np.repeat(np.arange(polygons.size), cells)
    cell = np.arange(polygon.size) - np.repeat(np.cumsum(cells) - cells, cells)
    row = low_row[polygon] + cell // width[polygon]
    col = low_col[polygon] + cell % width[polygon]
    x, y = grid.map_coordinates(row + 0.5, col + 0.5)
    holds = np.zeros(polygons.size, np.bool_)
    holds[polygon[shapely.contains_xy(polygons[polygon], x, y)]] = True
    unclear[polygon[shapely.intersects_xy(polygons[polygon], x, y)]] = True
    return holds, unclear & ~holds


def _holds_no_centre(shape: Any, grid: Grid) -> bool:
    import shapely
    from rasterio import features as rasterio_features

    left, bottom, right, top = shape.bounds
    width, height = grid.resolution
    west, _, _, north = grid.bounds
    first_col, last_col = int((left - west) // width), int((right - west) // width)
    first_row, last_row = int((north - top) // height), int((north - bottom) // height)
    window = Affine(width, 0.0, west + first_col * width, 0.0, -height, north - first_row * height)
    burnt = rasterio_features.rasterize(
        [(shape, 1)], out_shape=(last_row - first_row + 1, last_col - first_col + 1), transform=window, dtype="uint8"
    )
    return not burnt.any() or shapely.is_empty(shape)
