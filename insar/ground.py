"""What the columns and rows of a map grid are on the ground, in metres to the east and to the north."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid


class GroundSteps(NamedTuple):
    """What one column and one row of a grid are on the ground: (row, col) metres to the east and to the north."""

    east_per_col: NDArray[np.float64]
    north_per_col: NDArray[np.float64]
    east_per_row: NDArray[np.float64]
    north_per_row: NDArray[np.float64]

    @property
    def area(self) -> NDArray[np.float64]:
        """(row, col) determinant, m2; negative on north-up grids, whose rows go south."""
        return self.east_per_col * self.north_per_row - self.east_per_row * self.north_per_col

    @property
    def shortest_m(self) -> float:
        """The least length of a column or a row."""
        return float(
            min(
                np.hypot(self.east_per_col, self.north_per_col).min(),
                np.hypot(self.east_per_row, self.north_per_row).min(),
            )
        )


def ground_steps(grid: Grid, rows: slice) -> GroundSteps:
    """Metres on the ground that a column and a row of a map grid span, at the pixels of some rows.

    Parameters
    ----------
    grid
        A grid with a CRS, in degrees or projected; rows and columns need not run along the compass.
    rows
        Its rows, which may lie beyond it.

    Notes
    -----
    From differences of the geographic coordinates of the pixels' edges and the radii of curvature of the WGS 84
    ellipsoid in the meridian and the prime vertical.
    """
    import pyproj

    ellipsoid = pyproj.Geod(ellps="WGS84")
    to_lonlat = pyproj.Transformer.from_crs(str(grid.crs), "EPSG:4326", always_xy=True)
    col, row = np.meshgrid(np.arange(grid.cols) + 0.5, np.arange(rows.start, rows.stop) + 0.5)

    def place(row_offset: float, col_offset: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        lon, lat = to_lonlat.transform(*grid.map_coordinates(row + row_offset, col + col_offset))
        return np.asarray(lon), np.asarray(lat)

    latitude = np.radians(place(0.0, 0.0)[1])
    bulge = 1.0 - ellipsoid.es * np.sin(latitude) ** 2
    east_per_degree = np.radians(ellipsoid.a / np.sqrt(bulge) * np.cos(latitude))
    north_per_degree = np.radians(ellipsoid.a * (1.0 - ellipsoid.es) / bulge**1.5)

    def step(row_offset: float, col_offset: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        (lon_before, lat_before), (lon_after, lat_after) = (
            place(-row_offset, -col_offset),
            place(row_offset, col_offset),
        )
        across = (lon_after - lon_before + 180.0) % 360.0 - 180.0  # over the date line
        return across * east_per_degree, (lat_after - lat_before) * north_per_degree

    return GroundSteps(*step(0.0, 0.5), *step(0.5, 0.0))


def shortest_side_m(grid: Grid) -> float:
    """The least length of a pixel's side on the ground, metres, from the rows at both ends and in the middle."""
    return min(ground_steps(grid, slice(row, row + 1)).shortest_m for row in {0, grid.rows // 2, grid.rows - 1})
