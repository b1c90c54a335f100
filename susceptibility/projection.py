"""Grids in metres: which serve, which are refused, and where the pixels of one lie on another.

Slopes, areas and distances in degrees or in stretched metres come out wrong without any sign of it, so that a grid
passes through `require_metric` before anything is measured on it.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.grid import Grid, same_crs
from susceptibility.errors import InputError, OptionError

if TYPE_CHECKING:
    import pyproj

logger = logging.getLogger(__name__)

AUTO_CRS = "auto"
"""As a CRS: the raster's own where `require_metric` accepts it, else the UTM zone of its centre."""

LARGEST_DISTORTION = 0.05
"""Scale of a projection may differ from 1 by so much; continental maps in use stay within 0.04."""

_BOUNDARY_POINTS = 65  # along each edge of a grid when it is carried to another projection
_COORDINATE_DIGITS = 6  # of a pixel; what is closer than that to a pixel's edge lies on it
_WHOLE_PIXEL = 1e-3  # of a pixel, as in `Grid.same_as`


def require_metric(grid: Grid, subject: str | Path) -> None:
    """Refuse a grid on which distances are not metres on the ground.

    Parameters
    ----------
    grid
        The grid to be measured on.
    subject
        File or option it comes from, for the message.

    Raises
    ------
    InputError
        The grid has no coordinate reference system, is geographic or Web Mercator, has another unit than the metre, is
        rotated, or its projection stretches the area by more than `LARGEST_DISTORTION`.
    """
    required = "a projected grid in metres"
    if grid.crs is None:
        raise no_crs_error(subject)
    remedy = (
        f"Have it projected on reading (crs: {AUTO_CRS}, which is {utm_crs(grid)} here), or project it beforehand"
        if _has_utm_zone(grid)
        else "Project it to a system in metres that is made for the area"
    )
    if grid.is_geographic:
        raise InputError(subject, required=required, found="longitude and latitude in degrees", remedy=remedy)
    if grid.is_web_mercator:
        raise InputError(
            subject,
            required=required,
            found="Web Mercator, whose metres are stretched by 1/cos(latitude)",
            remedy=remedy,
        )
    if not grid.is_metric:
        raise InputError(subject, required=required, found=f"{_name(grid.crs)}, not in metres", remedy=remedy)
    if grid.transform.b != 0.0 or grid.transform.d != 0.0:
        raise InputError(
            subject,
            required="a grid whose rows run west to east",
            found="a rotated grid",
            remedy="Resample it to a north-up grid with gdalwarp",
        )
    distortion = _largest_distortion(grid)
    if not distortion <= LARGEST_DISTORTION:
        raise InputError(
            subject,
            required=f"a projection that keeps lengths within {LARGEST_DISTORTION:.0%} over the area",
            found=f"{_name(grid.crs)}, off by {distortion:.0%}",
            remedy=remedy,
        )


def utm_crs(grid: Grid) -> str:
    """Return the UTM zone of a grid's centre, as ``EPSG:n``.

    Raises
    ------
    InputError
        The centre lies nearer to a pole than UTM reaches (84 N, 80 S), or the grid has no coordinate reference system.
    """
    if grid.crs is None:
        raise no_crs_error("grid")
    lon, lat = _centre_lonlat(grid)
    if not -80.0 <= lat <= 84.0:
        raise InputError(
            "grid",
            required="a centre between 80 S and 84 N, where UTM is defined",
            found=f"latitude {lat:.2f}",
            remedy="Name a coordinate reference system in metres that is made for the area",
        )
    zone = int((lon + 180.0) // 6.0) % 60 + 1
    return f"EPSG:{(32600 if lat >= 0 else 32700) + zone}"


def metric_grid(grid: Grid, subject: str | Path, crs: str = AUTO_CRS, resolution_m: float | None = None) -> Grid:
    """Return the north-up grid in metres that covers another grid.

    Parameters
    ----------
    grid
        The grid to cover.
    subject
        File it comes from, for messages.
    crs
        `AUTO_CRS`, or a coordinate reference system in metres.
    resolution_m
        Pixel size; None keeps the pixels where the system stays the same, and else takes the side of a square as large
        as the pixel in the centre, to three digits.

    Returns
    -------
    Grid
        In the same system the upper left corner stays where it is; in another the pixels lie on whole multiples of
        their size, so that grids made from several rasters fit each other.

    Raises
    ------
    OptionError
        The coordinate reference system is unknown or not in metres, or the resolution is not positive.
    InputError
        The grid has no coordinate reference system, or is too large for one in metres.
    """
    if grid.crs is None:
        raise no_crs_error(subject)
    if resolution_m is not None and not (math.isfinite(resolution_m) and resolution_m > 0.0):
        raise OptionError(
            "resolution",
            required="a pixel size in metres, above 0",
            found=str(resolution_m),
            remedy="Leave it out to keep the size of the pixels",
        )
    target_crs = _target_crs(grid, crs)
    rotated = grid.transform.b != 0.0 or grid.transform.d != 0.0
    if same_crs(grid.crs, target_crs) and not rotated:
        covering = _recut(grid, resolution_m)
    else:
        covering = _projected(grid, subject, target_crs, resolution_m)
    require_metric(covering, subject)
    return covering


def known_crs(crs: str) -> str:
    """Return a coordinate reference system as ``EPSG:n`` where it has a number, else as WKT.

    Raises
    ------
    OptionError
        It is none.
    """
    import pyproj

    try:
        parsed = pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError as error:
        raise OptionError(
            "crs", required="a coordinate reference system", found=f"{crs!r}", remedy="Write it as EPSG:n"
        ) from error
    epsg = parsed.to_epsg()
    return f"EPSG:{epsg}" if epsg is not None else str(parsed.to_wkt())


def no_crs_error(subject: str | Path) -> InputError:
    """Return the error for a raster that does not say where it lies."""
    return InputError(
        subject,
        required="a coordinate reference system",
        found="none",
        remedy="Find out which system it is in and write that into the file: gdal_edit.py -a_srs EPSG:n FILE",
    )


def lonlat_extent(grid: Grid) -> str:
    """Return west, south, east and north of a grid in degrees, for messages."""
    import pyproj

    if grid.crs is None:
        return "unknown"
    to_lonlat = pyproj.Transformer.from_crs(_horizontal(grid.crs), "EPSG:4326", always_xy=True)
    corners = to_lonlat.transform_bounds(*_bounds(grid, *_boundary(grid)), densify_pts=21)
    return " ".join(f"{value:.4f}" for value in corners)


@dataclass(frozen=True, slots=True)
class PixelPlaces:
    """Where the pixels of a target grid lie on a source grid.

    Attributes
    ----------
    target, source
        The grids, both with a coordinate reference system.
    """

    target: Grid
    source: Grid
    _transformer: Any  # pyproj.Transformer; None where both have the same system

    @classmethod
    def between(cls, target: Grid, source: Grid) -> PixelPlaces:
        """Places of `target`'s pixels on `source`."""
        if target.crs is None or source.crs is None:
            raise no_crs_error("grid")
        same = same_crs(target.crs, source.crs)
        return cls(target, source, None if same else _transformer(target.crs, source.crs))

    def centres(self, rows: slice, cols: slice) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Row and column on the source of pixel centres; see `at`."""
        return self._lattice(np.arange(rows.start, rows.stop) + 0.5, np.arange(cols.start, cols.stop) + 0.5)

    def corners(self, rows: slice, cols: slice) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Row and column on the source of pixel corners (row + 1, col + 1); see `at`."""
        return self._lattice(np.arange(rows.start, rows.stop + 1.0), np.arange(cols.start, cols.stop + 1.0))

    def at(
        self, rows: NDArray[np.float64], cols: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Row and column on the source, 0 its upper left corner, of any places on the target; inf or NaN outside.

        Rounded to a millionth of a pixel, so that the last bits of a projection do not decide to which of two pixels
        a shared edge belongs.
        """
        x, y = _map_coordinates(self.target.transform, rows, cols)
        if self._transformer is not None:
            x, y = self._transformer.transform(x, y)
            if self.source.is_geographic:
                # Longitude 359 is -1: the turn that brings it nearest to the source is meant.
                centre, _ = _map_coordinates(
                    self.source.transform, np.float64(self.source.rows / 2), np.float64(self.source.cols / 2)
                )
                with np.errstate(invalid="ignore"):
                    x = x - 360.0 * np.round((x - centre) / 360.0)
        with np.errstate(invalid="ignore"):
            col, row = _map_coordinates(~self.source.transform, y, x)
            return np.round(row, _COORDINATE_DIGITS), np.round(col, _COORDINATE_DIGITS)

    @property
    def finer_by(self) -> float:
        """Side of a target pixel in source pixels, in the middle of the target."""
        row, col = self.target.rows / 2.0, self.target.cols / 2.0
        y, x = self.at(np.array([row, row, row + 1.0]), np.array([col, col + 1.0, col]))
        area = abs((y[1] - y[0]) * (x[2] - x[0]) - (x[1] - x[0]) * (y[2] - y[0]))
        return math.sqrt(float(area)) if math.isfinite(area) else math.nan

    @property
    def coincide(self) -> bool:
        """Whether each target pixel is a source pixel, or would be if the source went on."""
        if self._transformer is not None:
            return False
        last_row, last_col = self.target.rows - 0.5, self.target.cols - 0.5
        y, x = self.at(np.array([0.5, 0.5, last_row]), np.array([0.5, last_col, 0.5]))
        off_centre = np.concatenate([y - 0.5, x - 0.5])
        steps = [abs(y[2] - y[0]) - (last_row - 0.5), abs(x[1] - x[0]) - (last_col - 0.5), y[1] - y[0], x[2] - x[0]]
        return bool(
            np.all(np.abs(off_centre - np.round(off_centre)) <= _WHOLE_PIXEL) and np.all(np.abs(steps) <= _WHOLE_PIXEL)
        )

    @property
    def overlap(self) -> bool:
        """Whether the target's outline, boxed on the source, reaches the source."""
        y, x = self.at(*_boundary(self.target))
        inside = np.isfinite(y) & np.isfinite(x)
        if not inside.any():
            return False
        return bool(
            y[inside].min() < self.source.rows
            and y[inside].max() > 0.0
            and x[inside].min() < self.source.cols
            and x[inside].max() > 0.0
        )

    def _lattice(
        self, rows: NDArray[np.float64], cols: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        every_row, every_col = np.meshgrid(rows, cols, indexing="ij")
        return self.at(every_row, every_col)


def _target_crs(grid: Grid, crs: str) -> str:
    if crs == AUTO_CRS:
        serves = grid.is_metric and _largest_distortion(grid) <= LARGEST_DISTORTION
        return grid.crs if serves and grid.crs is not None else utm_crs(grid)
    text = known_crs(crs)
    if not Grid(1, 1, Affine.identity(), text).is_metric:
        raise OptionError(
            "crs",
            required="a projected coordinate reference system in metres, not Web Mercator",
            found=f"{crs} ({_name(text)})",
            remedy=f"Use for example {utm_crs(grid)}, or {AUTO_CRS}" if _has_utm_zone(grid) else f"Use {AUTO_CRS}",
        )
    return text


def _recut(grid: Grid, resolution_m: float | None) -> Grid:
    """Return the grid north up, with pixels of another size where one is given."""
    west, south, east, north = grid.bounds
    if resolution_m is None:
        width, height = grid.resolution
        return Grid(grid.rows, grid.cols, Affine(width, 0.0, west, 0.0, -height, north), grid.crs)
    rows = math.ceil(round((north - south) / resolution_m, _COORDINATE_DIGITS))
    cols = math.ceil(round((east - west) / resolution_m, _COORDINATE_DIGITS))
    return Grid(rows, cols, Affine(resolution_m, 0.0, west, 0.0, -resolution_m, north), grid.crs)


def _projected(grid: Grid, subject: str | Path, crs: str, resolution_m: float | None) -> Grid:
    """Return the grid in another system that covers the grid."""
    transformer = _transformer(str(grid.crs), crs)
    rows, cols = _boundary(grid)
    x, y = transformer.transform(*_map_coordinates(grid.transform, rows, cols))
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError(
            subject,
            required=f"an area that {_name(crs)} can show",
            found=f"west, south, east, north = {lonlat_extent(grid)}",
            remedy="Cut the raster to the study area, or name a coordinate reference system that is made for it",
        )
    if resolution_m is None:
        row, col = grid.rows / 2.0, grid.cols / 2.0
        corner_x, corner_y = transformer.transform(
            *_map_coordinates(grid.transform, np.array([row, row, row + 1.0]), np.array([col, col + 1.0, col]))
        )
        area = (corner_x[1] - corner_x[0]) * (corner_y[2] - corner_y[0]) - (corner_y[1] - corner_y[0]) * (
            corner_x[2] - corner_x[0]
        )
        resolution_m = float(f"{math.sqrt(abs(float(area))):.3g}")
    west, north = math.floor(x.min() / resolution_m) * resolution_m, math.ceil(y.max() / resolution_m) * resolution_m
    shape = (math.ceil((north - y.min()) / resolution_m), math.ceil((x.max() - west) / resolution_m))
    return Grid(*shape, Affine(resolution_m, 0.0, west, 0.0, -resolution_m, north), crs)


def _boundary(grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows and columns of places along the outline of a grid."""
    along_rows = np.linspace(0.0, grid.rows, _BOUNDARY_POINTS)
    along_cols = np.linspace(0.0, grid.cols, _BOUNDARY_POINTS)
    rows = np.concatenate([along_rows, along_rows, np.zeros(_BOUNDARY_POINTS), np.full(_BOUNDARY_POINTS, grid.rows)])
    cols = np.concatenate([np.zeros(_BOUNDARY_POINTS), np.full(_BOUNDARY_POINTS, grid.cols), along_cols, along_cols])
    return rows, cols


def _bounds(grid: Grid, rows: NDArray[np.float64], cols: NDArray[np.float64]) -> tuple[float, float, float, float]:
    x, y = _map_coordinates(grid.transform, rows, cols)
    return float(x.min()), float(y.min()), float(x.max()), float(y.max())


def _map_coordinates(transform: Affine, rows: Any, cols: Any) -> tuple[Any, Any]:
    """Map x, y of rows and columns counted from the upper left corner of the first pixel."""
    return (
        transform.a * cols + transform.b * rows + transform.c,
        transform.d * cols + transform.e * rows + transform.f,
    )


def _transformer(source_crs: str, target_crs: str) -> pyproj.Transformer:
    import pyproj

    source, target = _horizontal(source_crs), _horizontal(target_crs)
    try:
        return pyproj.Transformer.from_crs(source, target, always_xy=True, allow_ballpark=False)
    except pyproj.exceptions.ProjError:
        logger.warning(
            "No known shift between the datums of %s and %s; rasters may lie up to some 100 m off each other",
            source.name,
            target.name,
        )
        return pyproj.Transformer.from_crs(source, target, always_xy=True)


def _horizontal(crs: str) -> pyproj.CRS:
    """Return the system without its heights, which must not turn into a vertical shift that is not there."""
    import pyproj

    parsed = pyproj.CRS.from_user_input(crs)
    return parsed.sub_crs_list[0] if parsed.is_compound else parsed


def _centre_lonlat(grid: Grid) -> tuple[float, float]:
    x, y = _map_coordinates(grid.transform, grid.rows / 2.0, grid.cols / 2.0)
    lon, lat = _transformer(str(grid.crs), "EPSG:4326").transform(x, y)
    return float(lon), float(lat)


def _has_utm_zone(grid: Grid) -> bool:
    lon, lat = _centre_lonlat(grid)
    return math.isfinite(lon) and -80.0 <= lat <= 84.0


def _largest_distortion(grid: Grid) -> float:
    """Largest deviation of the projection's scale from 1, in any direction, at the grid's corners and centre."""
    import pyproj

    horizontal = _horizontal(str(grid.crs))
    rows = np.array([0.0, 0.0, grid.rows, grid.rows, grid.rows / 2.0])
    cols = np.array([0.0, grid.cols, 0.0, grid.cols, grid.cols / 2.0])
    x, y = _map_coordinates(grid.transform, rows, cols)
    projection = pyproj.Proj(horizontal)
    lon, lat = projection(x, y, inverse=True)
    factors = projection.get_factors(lon, lat)
    scales = np.concatenate([np.atleast_1d(factors.tissot_semimajor), np.atleast_1d(factors.tissot_semiminor)])
    return float(np.max(np.abs(scales - 1.0)))


def _name(crs: str) -> str:
    import pyproj

    return str(pyproj.CRS.from_user_input(crs).name)
