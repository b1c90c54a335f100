"""GAMMA's parameter files: of the map grid (``*dem_par``), of an image (``*slc.par``), of a baseline (``*base.par``).

Each is text with lines ``key: value [value ...] [units]`` after a title.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from affine import Affine

from insar.constants import SPEED_OF_LIGHT_M_PER_S
from insar.errors import InputError
from insar.grid import Grid
from insar.readers.crs import WGS84, utm_crs
from insar.readers.flat import FlatBand
from insar.readers.orbit import wrapped_heading
from insar.stack import Acquisition

_DEM_TYPES = {"REAL*4": ">f4", "INTEGER*2": ">i2"}
_WGS84_RADIUS_M, _WGS84_FLATTENING = 6_378_137.0, 298.257_223_563


@dataclass(frozen=True, slots=True)
class GammaParameters:
    """Entries of one parameter file."""

    path: Path
    entries: Mapping[str, str]

    def text(self, name: str) -> str | None:
        """Value of an entry with its units, None where it is absent or empty."""
        return self.entries.get(name) or None

    def number(self, name: str, position: int = 0) -> float | None:
        """One number of an entry, None where the entry is absent.

        Raises
        ------
        InputError
            There is something else in its place.
        """
        text = self.text(name)
        if text is None:
            return None
        try:
            value = float(text.split()[position])
        except (IndexError, ValueError) as error:
            raise self._no_number(name, text) from error
        if not math.isfinite(value):
            raise self._no_number(name, text)
        return value

    def required(self, name: str) -> float:
        """The first number of an entry; raises `InputError` where there is none."""
        value = self.number(name)
        if value is None:
            raise self._no_number(name, "no such entry")
        return value

    def _no_number(self, name: str, found: str) -> InputError:
        return InputError(
            self.path, required=f"a number as {name}", found=found, remedy="Copy this file again from the processing"
        )


def read_parameters(path: Path) -> GammaParameters:
    """Read a parameter file; of an entry that is there twice the first is taken."""
    entries: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        name, colon, value = line.partition(":")
        if colon and name.strip():
            entries.setdefault(name.strip(), value.strip())
    return GammaParameters(path, entries)


def read_map_grid(parameters: GammaParameters) -> Grid:
    """Grid of the geocoded rasters, whose corner GAMMA states as the centre of the first pixel.

    Raises
    ------
    InputError
        An entry is missing, the projection is neither geographic (EQA) nor UTM, or the datum is not WGS 84.
    """
    rows, cols = parameters.required("nlines"), parameters.required("width")
    projection = parameters.text("DEM_projection") or "nothing"
    _require_wgs84(parameters)
    if projection == "EQA":
        crs, x_name, y_name = WGS84, "lon", "lat"
    elif projection == "UTM":
        crs, x_name, y_name = _utm(parameters), "east", "north"
    else:
        raise InputError(
            parameters.path,
            required="DEM_projection EQA (longitude and latitude) or UTM",
            found=projection,
            remedy="Geocode the interferograms onto one of these",
        )
    x_step, y_step = parameters.required(f"post_{x_name}"), parameters.required(f"post_{y_name}")
    if x_step <= 0 or y_step >= 0:
        raise InputError(
            parameters.path,
            required=f"a positive post_{x_name} and a negative post_{y_name}",
            found=f"{x_step} and {y_step}",
            remedy="Geocode the interferograms north up",
        )
    west = parameters.required(f"corner_{x_name}") - x_step / 2
    north = parameters.required(f"corner_{y_name}") - y_step / 2
    return Grid(round(rows), round(cols), Affine(x_step, 0.0, west, 0.0, y_step, north), crs)


def _require_wgs84(parameters: GammaParameters) -> None:
    radius, flattening = parameters.number("ellipsoid_ra"), parameters.number("ellipsoid_reciprocal_flattening")
    shifts = [parameters.number(f"datum_shift_d{axis}") or 0.0 for axis in "xyz"]
    is_other = (
        (radius is not None and abs(radius - _WGS84_RADIUS_M) > 0.5)
        or (flattening is not None and abs(flattening - _WGS84_FLATTENING) > 1e-4)
        or any(abs(shift) > 1e-3 for shift in shifts)
    )
    if is_other:
        raise InputError(
            parameters.path,
            required="the datum WGS 84",
            found=parameters.text("datum_name") or parameters.text("ellipsoid_name") or "another ellipsoid or a shift",
            remedy="Import the DEM on WGS 84 and geocode onto it",
        )


def _utm(parameters: GammaParameters) -> str:
    zone = parameters.required("projection_zone")
    northing = parameters.required("false_northing")
    if zone not in range(1, 61) or northing not in (0.0, 10_000_000.0):
        raise InputError(
            parameters.path,
            required="a projection_zone from 1 to 60 and a false_northing of 0 or 10000000",
            found=f"zone {zone:g} and {northing:g}",
            remedy="Correct these entries",
        )
    return utm_crs(int(zone), north=northing == 0.0)


def height_band(parameters: GammaParameters, image: Path, grid: Grid) -> FlatBand:
    """Raster of the heights on the grid of `read_map_grid`; raises `InputError` where its type is not known."""
    kind = (parameters.text("data_format") or "REAL*4").upper()
    if kind not in _DEM_TYPES:
        raise InputError(
            parameters.path,
            required="a data_format of " + " or ".join(_DEM_TYPES),
            found=kind,
            remedy="Write the DEM as one of these",
        )
    return FlatBand(image, _DEM_TYPES[kind], grid.rows, grid.cols)


def wavelength_m(parameters: GammaParameters) -> float:
    """Radar wavelength from ``radar_frequency`` (Hz); raises `InputError` where it is none."""
    frequency = parameters.required("radar_frequency")
    if frequency <= 0:
        raise InputError(
            parameters.path, required="a positive radar_frequency", found=f"{frequency} Hz", remedy="Correct it"
        )
    return SPEED_OF_LIGHT_M_PER_S / frequency


def read_acquisition(parameters: GammaParameters) -> Acquisition:
    """Sensor and pass from the parameters of an image.

    The looks of an image in single look are not those of the interferograms made of it, and are left unknown.
    """
    heading, side = parameters.number("heading"), parameters.number("azimuth_angle")
    orbit_radius_m = parameters.number("sar_to_earth_center")
    earth_radius_m = parameters.number("earth_radius_below_sensor")
    looks = [round(parameters.number(f"{axis}_looks") or 1) for axis in ("range", "azimuth")]
    is_multilooked = looks[0] * looks[1] > 1
    height_m = None if orbit_radius_m is None or earth_radius_m is None else orbit_radius_m - earth_radius_m
    return Acquisition(
        platform=(parameters.text("sensor") or "").partition(" ")[0] or None,
        orbit_direction=None if heading is None else _orbit_direction(heading),
        heading_deg=None if heading is None else wrapped_heading(heading),
        antenna_side=None if side is None else "right" if side > 0 else "left",
        center_line_utc_s=parameters.number("center_time"),
        starting_range_m=parameters.number("near_range_slc"),
        range_pixel_size_m=parameters.number("range_pixel_spacing"),
        azimuth_pixel_size_m=parameters.number("azimuth_pixel_spacing"),
        earth_radius_m=earth_radius_m,
        platform_height_m=height_m,
        range_looks=looks[0] if is_multilooked else None,
        azimuth_looks=looks[1] if is_multilooked else None,
        incidence_angle_deg=parameters.number("incidence_angle"),
        baseline_sense=1,
    )


def _orbit_direction(heading_deg: float) -> str:
    return "ascending" if math.cos(math.radians(heading_deg)) > 0 else "descending"


def perpendicular_baseline_m(baseline: GammaParameters, image: GammaParameters) -> float:
    """Perpendicular baseline at the centre of the scene, as a radar that looks to the right sees it; NaN where unknown.

    GAMMA states the baseline along the track, across it to the right (C) and towards the Earth (N). At the look angle
    ``l`` of the scene's centre, with ``sin(l) = sin(incidence) * Earth radius / orbit radius``, the perpendicular
    component is ``C cos(l) - N sin(l)`` (Baehr 2012, eq. 3.5): positive where the secondary sees the target under the
    smaller look angle.
    """
    parts = _baseline_parts(baseline, "precision_baseline(TCN)") or _baseline_parts(baseline, "initial_baseline(TCN)")
    incidence, side = image.number("incidence_angle"), image.number("azimuth_angle")
    orbit_radius_m, earth_radius_m = (
        image.number("sar_to_earth_center"),
        image.number("earth_radius_below_sensor"),
    )
    if parts is None or incidence is None or not orbit_radius_m or earth_radius_m is None or (side or 90.0) < 0:
        return math.nan
    across, down = parts
    look = math.asin(math.sin(math.radians(incidence)) * earth_radius_m / orbit_radius_m)
    return across * math.cos(look) - down * math.sin(look)


def _baseline_parts(baseline: GammaParameters, name: str) -> tuple[float, float] | None:
    """Across the track and down; None where the entry is absent, or zero as GAMMA leaves what it has not refined."""
    across, down = baseline.number(name, 1), baseline.number(name, 2)
    if across is None or down is None or across == down == 0.0:
        return None
    return across, down
