"""Where pixels lie on the map: the value type that every layer of both packages carries.

Part of the published seam: `susceptibility` may import this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.errors import InputError

if TYPE_CHECKING:
    import pyproj


Numbers = TypeVar("Numbers", float, NDArray[np.float64])


class RowCol(NamedTuple):
    """A pixel: row counted from the top, column from the left, both from 0."""

    row: int
    col: int


class LonLat(NamedTuple):
    """A place on WGS 84, in degrees."""

    lon: float
    lat: float


@lru_cache(maxsize=32)
def _parsed_crs(text: str) -> pyproj.CRS:
    import pyproj

    return pyproj.CRS.from_user_input(text)


@dataclass(frozen=True, slots=True)
class Grid:
    """A regular raster grid.

    Attributes
    ----------
    rows, cols
        Number of pixels down and across.
    transform
        Affine transform from (col, row) of pixel *corners* to map coordinates, as in rasterio.
    crs
        Coordinate reference system as ``EPSG:n`` or WKT; None for radar geometry, see `Grid.radar`.
    """

    rows: int
    cols: int
    transform: Affine
    crs: str | None

    def __post_init__(self) -> None:
        if self.rows < 1 or self.cols < 1:
            raise InputError(
                "grid",
                required="at least one row and one column",
                found=f"{self.rows} rows x {self.cols} columns",
                remedy="Check the raster's size or the bounding box",
            )

    @classmethod
    def radar(cls, rows: int, cols: int) -> Grid:
        """Grid of a stack in radar coordinates: no CRS, unit pixels, the origin at the lower left corner."""
        # The origin keeps it from being the identity, which GDAL reads as "not georeferenced" and drops.
        return cls(rows, cols, Affine(1.0, 0.0, 0.0, 0.0, -1.0, float(rows)), None)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols)."""
        return self.rows, self.cols

    @property
    def resolution(self) -> tuple[float, float]:
        """Pixel width and height in units of the CRS, both positive."""
        return abs(self.transform.a), abs(self.transform.e)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north edges in units of the CRS."""
        left, top = self.map_coordinates(0.0, 0.0)
        right, bottom = self.map_coordinates(float(self.rows), float(self.cols))
        return min(left, right), min(top, bottom), max(left, right), max(top, bottom)

    @property
    def is_geographic(self) -> bool:
        """Coordinates are degrees of longitude and latitude."""
        return self.crs is not None and _parsed_crs(self.crs).is_geographic

    @property
    def is_web_mercator(self) -> bool:
        """Coordinates look like metres but are stretched by 1/cos(latitude)."""
        if self.crs is None:
            return False
        crs = _parsed_crs(self.crs)
        operation = crs.coordinate_operation
        return operation is not None and "Pseudo Mercator" in operation.method_name

    @property
    def is_metric(self) -> bool:
        """Distances on the grid are metres on the ground: projected, in metres, and not Web Mercator."""
        if self.crs is None or self.is_web_mercator:
            return False
        crs = _parsed_crs(self.crs)
        return crs.is_projected and all(abs(axis.unit_conversion_factor - 1.0) < 1e-9 for axis in crs.axis_info[:2])

    def same_as(self, other: Grid, *, tolerance_pixels: float = 1e-3) -> bool:
        """Whether both grids have the same pixels, their corners within `tolerance_pixels`."""
        if self.shape != other.shape or not same_crs(self.crs, other.crs):
            return False
        # Corner by corner: the same bounds could be those of a grid that is flipped.
        for corner in ((0.0, 0.0), (float(self.rows), 0.0), (0.0, float(self.cols)), tuple(map(float, self.shape))):
            row, col = self.pixel_coordinates(*other.map_coordinates(*corner))
            if max(abs(row - corner[0]), abs(col - corner[1])) > tolerance_pixels:
                return False
        return True

    def map_coordinates(self, row: Numbers, col: Numbers) -> tuple[Numbers, Numbers]:
        """Coordinates x and y in the CRS of fractional rows and columns, counted from the corner of the first pixel."""
        return _apply(self.transform, col, row)

    def pixel_coordinates(self, x: Numbers, y: Numbers) -> tuple[Numbers, Numbers]:
        """Fractional row and column of places in the CRS, counted from the corner of the first pixel."""
        col, row = _apply(~self.transform, x, y)
        return row, col

    def rowcol(self, place: LonLat) -> RowCol:
        """Pixel that contains a place; raises `InputError` where the grid does not reach it."""
        x, y = self._from_lonlat(place)
        row, col = self.pixel_coordinates(x, y)
        if not (0 <= row < self.rows and 0 <= col < self.cols):
            raise InputError(
                f"longitude {place.lon}, latitude {place.lat}",
                required=f"a place inside the grid (west, south, east, north = {_spaced(self.bounds)})",
                found=f"row {row:.1f}, column {col:.1f} of {self.rows} x {self.cols}",
                remedy="Give longitude first, then latitude, in degrees",
            )
        return RowCol(int(row), int(col))

    def lonlat(self, pixel: RowCol) -> LonLat:
        """Longitude and latitude of a pixel's centre; NaN where the grid has no CRS."""
        if self.crs is None:
            return LonLat(float("nan"), float("nan"))
        x, y = self.map_coordinates(pixel.row + 0.5, pixel.col + 0.5)
        import pyproj

        to_lonlat = pyproj.Transformer.from_crs(_parsed_crs(self.crs), "EPSG:4326", always_xy=True)
        lon, lat = to_lonlat.transform(x, y)
        return LonLat(float(lon), float(lat))

    def _from_lonlat(self, place: LonLat) -> tuple[float, float]:
        if self.crs is None:
            raise InputError(
                "reference or point by longitude and latitude",
                required="a stack with map coordinates",
                found="radar geometry without a look-up table",
                remedy="Give the row and column instead",
            )
        import pyproj

        from_lonlat = pyproj.Transformer.from_crs("EPSG:4326", _parsed_crs(self.crs), always_xy=True)
        x, y = from_lonlat.transform(place.lon, place.lat)
        return float(x), float(y)


def same_crs(first: str | None, second: str | None) -> bool:
    """Whether two CRS are the same system, however each is written."""
    if first is None or second is None:
        return first is second
    return first == second or bool(_parsed_crs(first).equals(_parsed_crs(second), ignore_axis_order=True))


def _apply(transform: Affine, x: Numbers, y: Numbers) -> tuple[Numbers, Numbers]:
    # Spelled out because the operator for it changed between major versions of affine.
    return transform.a * x + transform.b * y + transform.c, transform.d * x + transform.e * y + transform.f


def _spaced(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.6g}" for value in values)
