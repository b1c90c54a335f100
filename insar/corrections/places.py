"""Where on the earth the pixels of a stack lie."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from insar.errors import InputError
from insar.grid import same_crs
from insar.stack import Stack

WGS84 = "EPSG:4326"


def pixel_places(stack: Stack, rows: slice, cols: slice) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitude and latitude (row, col), degrees on WGS 84, of the centres of a window's pixels; NaN where unknown.

    Raises
    ------
    InputError
        The stack is in radar coordinates and has no look-up table.
    """
    if stack.in_radar_coordinates:
        latitude, longitude = stack.geometry.latitude, stack.geometry.longitude
        if latitude is None or longitude is None:
            raise InputError(
                stack.path,
                required="latitude and longitude of each pixel, to take values from maps",
                found="a stack in radar coordinates without a look-up table",
                remedy="Add the geometry files of the processor, or geocode the interferograms",
            )
        lon = np.asarray(longitude.read(rows, cols), np.float64)
        lat = np.asarray(latitude.read(rows, cols), np.float64)
        unknown = ~(np.abs(lat) <= 90.0) | ~np.isfinite(lon) | ((lat == 0.0) & (lon == 0.0))
        return np.where(unknown, np.nan, lon), np.where(unknown, np.nan, lat)
    first_row, end_row, _ = rows.indices(stack.grid.rows)
    first_col, end_col, _ = cols.indices(stack.grid.cols)
    col, row = np.meshgrid(np.arange(first_col, end_col) + 0.5, np.arange(first_row, end_row) + 0.5)
    x, y = stack.grid.map_coordinates(row, col)
    if same_crs(stack.grid.crs, WGS84):
        return x, y
    import pyproj

    lon, lat = pyproj.Transformer.from_crs(str(stack.grid.crs), WGS84, always_xy=True).transform(x, y)
    return np.asarray(lon, np.float64), np.asarray(lat, np.float64)


def turned_toward(lon: NDArray[np.float64], central_lon: float) -> NDArray[np.float64]:
    """Longitudes by whole turns to within 180 degrees of another one."""
    turned: NDArray[np.float64] = lon - 360.0 * np.round((lon - central_lon) / 360.0)
    return turned
