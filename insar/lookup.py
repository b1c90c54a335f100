"""The look-up table of a stack in radar coordinates: where on the map every radar pixel lies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.errors import InputError, OptionError
from insar.grid import Grid, same_crs
from insar.layers import row_slices
from insar.stack import Plane

if TYPE_CHECKING:
    import pyproj

Bounds = tuple[float, float, float, float]
"""West, south, east, north."""

WGS84 = "EPSG:4326"
PIXELS_PER_BLOCK = 1_000_000
"""Radar pixels whose positions are in memory at once."""

REGULAR_WITHIN = 0.02
"""How far (pixels) a table may be from a regular grid and still be one."""

_SAMPLED_ROWS, _SAMPLED_COLS = 256, 4096
"""Rows and columns of the table, about, from which the usual size of a radar pixel is taken."""


class LookUpTable:
    """The look-up table in float64, NaN where it has no value, longitudes on one side of the antimeridian.

    Parameters
    ----------
    latitude, longitude
        (row, col) degrees of pixel centres; NaN, or 0 in both, where the table has no value.
    central_lon
        Longitude that all are brought within 180 degrees of; by default the table's first.
    """

    def __init__(self, latitude: Plane, longitude: Plane, central_lon: float | None = None) -> None:
        if latitude.shape != longitude.shape:
            raise InputError(
                "look-up table",
                required="latitude and longitude of one size",
                found=f"{latitude.shape} and {longitude.shape}",
                remedy="Check the geometry files of the stack",
            )
        self._latitude, self._longitude = latitude, longitude
        self.shape = self.rows, self.cols = latitude.shape
        self._given_central_lon = central_lon

    def blocks(self) -> list[slice]:
        """Slices of rows that cover the table."""
        return list(row_slices(self.rows, max(1, PIXELS_PER_BLOCK // self.cols)))

    def read(self, rows: slice) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Longitude and latitude of some rows: (row, col) degrees, NaN where unknown."""
        lon, lat = self._read(rows)
        # Longitudes are unwrapped so that a scene across the antimeridian stays in one piece; exact elsewhere.
        turns = np.round((lon - self.central_lon) / 360.0)
        return np.where(turns == 0, lon, lon - 360.0 * turns), lat

    def rounding(self, plane: Plane) -> float:
        """Largest rounding error of a table of angles, degrees: 0 in float64."""
        if plane.read(slice(0, 1), slice(0, 1)).dtype != np.float32:
            return 0.0
        return float(np.spacing(np.float32(180.0))) / 2

    @cached_property
    def central_lon(self) -> float:
        """A longitude that the scene is near to."""
        if self._given_central_lon is not None:
            return self._given_central_lon
        for rows in self.blocks():
            lon, _ = self._read(rows)
            valid = lon[np.isfinite(lon)]
            if valid.size:
                return float(valid[0])
        raise InputError(
            "look-up table",
            required="latitudes and longitudes in degrees",
            found="no valid value (NaN and 0, 0 are no data)",
            remedy="Check lat.rdr and lon.rdr, or give a stack on a map grid",
        )

    def _read(self, rows: slice) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        every_col = slice(0, self.cols)
        lat = np.asarray(self._latitude.read(rows, every_col), dtype=np.float64)
        lon = np.asarray(self._longitude.read(rows, every_col), dtype=np.float64)
        with np.errstate(invalid="ignore"):
            valid = (np.abs(lat) <= 90.0) & (np.abs(lon) <= 540.0) & ~((lat == 0.0) & (lon == 0.0))
        return np.where(valid, lon, np.nan), np.where(valid, lat, np.nan)


def regular_lookup_grid(latitude: Plane, longitude: Plane) -> tuple[Grid, bool, bool] | None:
    """Map grid of a look-up table that is itself a regular grid in latitude and longitude.

    Parameters
    ----------
    latitude, longitude
        (row, col) degrees of pixel centres; NaN, or 0 in both, where the table has no value. At least half of the rows
        and of the columns must hold a value.

    Returns
    -------
    grid, flip_rows, flip_cols
        North-up grid in EPSG:4326, and whether the table's rows run south to north and its columns east to west. None
        where the table is not regular within 2 % of a pixel (float32 tables: plus their rounding).
    """
    table = LookUpTable(latitude, longitude)
    if min(table.shape) < 2:
        return None
    row_range, col_range = _Range(table.rows), _Range(table.cols)
    for rows in table.blocks():
        lon, lat = table.read(rows)
        row_range.widen(rows, lat, axis=1)
        col_range.widen(slice(0, table.cols), lon, axis=0)
    lat_line = row_range.line(table.rounding(latitude))
    lon_line = col_range.line(table.rounding(longitude))
    if lat_line is None or lon_line is None:
        return None
    (first_lat, lat_step), (first_lon, lon_step) = lat_line, lon_line
    flip_rows, flip_cols = lat_step > 0, lon_step < 0
    north = first_lat + (table.rows - 1) * lat_step if flip_rows else first_lat
    west = first_lon + (table.cols - 1) * lon_step if flip_cols else first_lon
    height, width = abs(lat_step), abs(lon_step)
    transform = Affine(width, 0.0, west - width / 2, 0.0, -height, north + height / 2)
    return Grid(table.rows, table.cols, transform, WGS84), flip_rows, flip_cols


class _Range:
    """Smallest and largest value seen at each row or column, to find out whether they lie on a line."""

    def __init__(self, size: int) -> None:
        self._low = np.full(size, np.inf)
        self._high = np.full(size, -np.inf)

    def widen(self, where: slice, values: NDArray[np.float64], axis: int) -> None:
        known = ~np.isnan(values)
        low = np.min(values, axis=axis, initial=np.inf, where=known)
        high = np.max(values, axis=axis, initial=-np.inf, where=known)
        self._low[where] = np.minimum(self._low[where], low)
        self._high[where] = np.maximum(self._high[where], high)

    def line(self, rounding: float) -> tuple[float, float] | None:
        """First value and step of the line through all values; None where they are not on one."""
        seen = np.flatnonzero(self._low <= self._high)
        if len(seen) < max(2, math.ceil(len(self._low) / 2)):
            return None
        middle = (self._low[seen] + self._high[seen]) / 2
        # Sums of deviations keep the full precision of float64: the grid must agree to 1e-9 pixels.
        centre, offset = float(seen.mean()), float(middle[0])
        step = float(np.sum((seen - centre) * (middle - offset)) / np.sum((seen - centre) ** 2))
        first = float(np.mean(middle - offset)) + offset - step * centre
        allowed = REGULAR_WITHIN * abs(step) + rounding
        if step == 0.0 or rounding > abs(step) / 4:
            return None
        fitted = first + step * seen
        if np.any(self._low[seen] < fitted - allowed) or np.any(self._high[seen] > fitted + allowed):
            return None
        return first, step


class Projection:
    """From WGS 84 to the CRS of the map."""

    def __init__(self, crs: str) -> None:
        import pyproj

        try:
            parsed = pyproj.CRS.from_user_input(crs)
        except pyproj.exceptions.CRSError as error:
            raise OptionError(
                "--crs",
                required="a coordinate reference system such as EPSG:4326 or EPSG:32614",
                found=f"{crs!r}",
                remedy="Give EPSG:<number> of a geographic or projected system",
            ) from error
        if not (parsed.is_geographic or parsed.is_projected) or parsed.is_geocentric:
            raise OptionError(
                "--crs",
                required="a geographic or projected coordinate reference system",
                found=f"{parsed.name} ({parsed.type_name})",
                remedy="Give EPSG:4326 or the UTM zone of the area, for instance",
            )
        epsg = parsed.to_epsg()
        self.name = f"EPSG:{epsg}" if epsg is not None else parsed.to_wkt()
        self.is_geographic = bool(parsed.is_geographic)
        self.unit = str(parsed.axis_info[0].unit_name)
        self._transformer: pyproj.Transformer | None = None
        if not same_crs(self.name, WGS84):
            self._transformer = pyproj.Transformer.from_crs(WGS84, parsed, always_xy=True)

    def place(
        self, lon: NDArray[np.float64], lat: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Map coordinates x, y; NaN where there are none."""
        if self._transformer is None:
            return lon, lat
        x, y = self._transformer.transform(lon, lat)
        placed = np.isfinite(x) & np.isfinite(y)
        x, y = np.where(placed, x, np.nan), np.where(placed, y, np.nan)
        return (x + 360.0 * np.round((lon - x) / 360.0), y) if self.is_geographic else (x, y)

    def bounds(self, bounds: Bounds, central_lon: float) -> Bounds:
        """Bounds in degrees as bounds in the CRS that contain them."""
        west, south, east, north = bounds
        east = east + 360.0 if east < west else east
        turns = 360.0 * round((central_lon - (west + east) / 2) / 360.0)
        edge = np.linspace(0.0, 1.0, 21)
        lon = np.concatenate([west + (east - west) * edge] * 2 + [np.full(21, west), np.full(21, east)]) + turns
        side = south + (north - south) * edge
        lat = np.concatenate([np.full(21, south), np.full(21, north), side, side])
        x, y = self.place(lon, lat)
        if np.isnan(x).all():
            raise bounds_beside(bounds)
        return float(np.nanmin(x)), float(np.nanmin(y)), float(np.nanmax(x)), float(np.nanmax(y))

    def ground_ratio(self, y: NDArray[np.floating]) -> NDArray[np.float64]:
        """Ground length of a unit in x relative to a unit in y."""
        if not self.is_geographic:
            return np.ones(y.shape)
        ratio: NDArray[np.float64] = np.cos(np.deg2rad(np.clip(y, -89.9, 89.9)))
        return ratio


@dataclass(frozen=True, slots=True)
class PixelSize:
    """Median radar pixel: area in squared CRS units, steps as ground length in units of y, reach in x and y."""

    area: float
    down: float
    across: float
    reach_x: float
    reach_y: float


def median_pixel(table: LookUpTable, projection: Projection) -> PixelSize:
    """Median size of radar pixels, from rows spread evenly over the table."""
    if min(table.shape) < 2:
        raise InputError(
            "look-up table",
            required="at least two rows and two columns",
            found=f"{table.rows} x {table.cols}",
            remedy="Give a larger subset of the stack",
        )
    starts = np.unique(np.linspace(0, table.rows - 2, min(_SAMPLED_ROWS, table.rows - 1)).astype(np.intp))
    some = slice(None, None, max(1, table.cols // _SAMPLED_COLS))
    sampled = []
    for start in starts:
        x, y = projection.place(*table.read(slice(int(start), int(start) + 2)))
        ratio = projection.ground_ratio(y[0, :-1][some])
        down_x, down_y = (x[1] - x[0])[:-1][some], (y[1] - y[0])[:-1][some]
        across_x, across_y = (x[0, 1:] - x[0, :-1])[some], (y[0, 1:] - y[0, :-1])[some]
        sampled.append(
            np.stack(
                [
                    np.abs(down_x * across_y - down_y * across_x),
                    np.hypot(down_x * ratio, down_y),
                    np.hypot(across_x * ratio, across_y),
                    (np.abs(down_x) + np.abs(across_x)) / 2,
                    (np.abs(down_y) + np.abs(across_y)) / 2,
                ]
            )
        )
    cells = np.concatenate(sampled, axis=1)
    cells = cells[:, np.isfinite(cells).all(axis=0)]
    medians = np.median(cells, axis=1) if cells.size else np.zeros(5)
    if not (medians > 0).all():
        raise InputError(
            "look-up table",
            required="neighbouring radar pixels at different places",
            found="no valid values side by side" if not cells.size else "most pixels at the same place",
            remedy="Check lat.rdr and lon.rdr, or give a stack on a map grid",
        )
    return PixelSize(*(float(median) for median in medians))


def table_extent(table: LookUpTable, projection: Projection, pixel: PixelSize) -> Bounds:
    """Bounds in the CRS of all radar pixels: half a pixel beyond their centres."""
    west = south = math.inf
    east = north = -math.inf
    for rows in table.blocks():
        x, y = projection.place(*table.read(rows))
        known = np.isfinite(x)
        west = min(west, float(np.min(x, initial=math.inf, where=known)))
        south = min(south, float(np.min(y, initial=math.inf, where=known)))
        east = max(east, float(np.max(x, initial=-math.inf, where=known)))
        north = max(north, float(np.max(y, initial=-math.inf, where=known)))
    return west - pixel.reach_x, south - pixel.reach_y, east + pixel.reach_x, north + pixel.reach_y


def bounds_beside(bounds: Bounds) -> OptionError:
    """Say that the bounds miss the scene."""
    return OptionError(
        "--bbox",
        required="an area that overlaps the scene",
        found=f"west south east north = {' '.join(f'{edge:g}' for edge in bounds)}, which is beside it",
        remedy="`insar info` shows where the scene lies",
    )
