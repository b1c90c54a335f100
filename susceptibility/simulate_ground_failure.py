"""Inputs of the USGS landslide model for a simulated earthquake, under the names that the USGS gives its files.

The coefficients of rock and land cover are the simulation's own, in the range of those of the paper: the classes are
not those of its tables.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.grid import Grid
from insar.layers import LayerDefinition, write_layer
from susceptibility.landscape import CELL_M, Landscape
from susceptibility.landscape_shaking import Earthquake, reprojected, shakemap_xml
from susceptibility.publishing import write_text

PIXEL_DEG = 0.001
"""Side of a pixel, about 100 m."""

ROCK_COEFFICIENTS = {1: -2.6, 2: -2.1, 3: -1.5, 4: -0.9}
COVER_COEFFICIENTS = {10: -1.9, 20: -1.2, 30: -1.0, 40: -1.4, 60: -0.5}

_SMOOTHED_CELLS = 3
_MARGIN_PIXELS = 3


def write_ground_failure(folder: Path, landscape: Landscape, earthquake: Earthquake) -> None:
    """Write ShakeMap, gradient, compound topographic index and coefficients, in longitude and latitude.

    Parameters
    ----------
    folder
        New folder.
    landscape, earthquake
        Values beyond the landscape's rim are those of the rim.
    """
    from scipy.ndimage import uniform_filter

    folder.mkdir(parents=True)
    write_text(folder / "grid.xml", shakemap_xml(earthquake, landscape.grid))
    gradient = np.hypot(*np.gradient(landscape.elevation.astype(np.float64), CELL_M))
    gradient = uniform_filter(gradient, _SMOOTHED_CELLS, mode="nearest")
    wetness = np.log(landscape.area_m2 / CELL_M / np.maximum(gradient, 0.01))
    rock = np.vectorize(ROCK_COEFFICIENTS.__getitem__, otypes=[np.float64])(landscape.lithology)
    cover = np.vectorize(COVER_COEFFICIENTS.__getitem__, otypes=[np.float64])(landscape.land_cover)
    grid = _degrees_over(landscape.grid)
    row, col = _cells_at(grid, landscape.grid)
    for name, values, unit, meaning in (
        ("global_grad.tif", gradient, "1", "Gradient of the terrain, rise over run"),
        ("global_cti_fil.grd", wetness, "1", "Compound topographic index"),
        ("GLIM_replace.tif", rock, "1", "Coefficient of the lithology"),
        ("globcover_replace.tif", cover, "1", "Coefficient of the land cover"),
    ):
        definition = LayerDefinition(name.partition(".")[0], unit, meaning)
        write_layer(folder / name, values[row, col].astype(np.float32), grid, definition)


def _degrees_over(grid: Grid) -> Grid:
    """Pixels of `PIXEL_DEG` that cover a grid and a little more."""
    west, south, east, north = grid.bounds
    x, y = np.array([west, east, west, east]), np.array([south, south, north, north])
    lon, lat = reprojected(x, y, str(grid.crs), "EPSG:4326")
    first_col, last_col = np.floor(lon.min() / PIXEL_DEG), np.ceil(lon.max() / PIXEL_DEG)
    first_row, last_row = np.floor(lat.min() / PIXEL_DEG), np.ceil(lat.max() / PIXEL_DEG)
    left = (first_col - _MARGIN_PIXELS) * PIXEL_DEG
    top = (last_row + _MARGIN_PIXELS) * PIXEL_DEG
    rows, cols = (
        int(last - first) + 2 * _MARGIN_PIXELS for first, last in ((first_row, last_row), (first_col, last_col))
    )
    return Grid(rows, cols, Affine(PIXEL_DEG, 0.0, left, 0.0, -PIXEL_DEG, top), "EPSG:4326")


def _cells_at(grid: Grid, landscape: Grid) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Row and column of the landscape's cell at the centre of each pixel of a grid, or the nearest at the rim."""
    row, col = np.mgrid[: grid.rows, : grid.cols]
    lon, lat = grid.map_coordinates(row + 0.5, col + 0.5)
    x, y = reprojected(lon, lat, "EPSG:4326", str(landscape.crs))
    down, right = landscape.pixel_coordinates(x, y)
    return (
        np.clip(np.floor(down), 0, landscape.rows - 1).astype(np.intp),
        np.clip(np.floor(right), 0, landscape.cols - 1).astype(np.intp),
    )
