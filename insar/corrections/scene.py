"""When and from where the pixels of a stack were seen, and the box of the world they fill."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import numpy as np
from numpy.typing import NDArray

from insar.corrections.places import pixel_places, turned_toward
from insar.errors import InputError, OptionError
from insar.layers import row_slices
from insar.line_of_sight import LineOfSight, azimuth_of_heading, line_of_sight
from insar.stack import Plane, Stack

_PIXELS_AT_ONCE = 1_000_000
_SAMPLED_ROWS = 129


@dataclass(frozen=True, slots=True)
class SceneBox:
    """Smallest and largest longitude and latitude (degrees) and height (m, NaN where unknown) of a scene's pixels.

    Longitudes are in one piece: `east` may be beyond 180.
    """

    west: float
    south: float
    east: float
    north: float
    lowest_m: float = math.nan
    highest_m: float = math.nan

    @property
    def central_lon(self) -> float:
        """Longitude of its middle."""
        return (self.west + self.east) / 2.0

    @property
    def words(self) -> str:
        """``west south east north = ...``."""
        return f"west south east north = {self.west:.3f} {self.south:.3f} {self.east:.3f} {self.north:.3f}"


def scene_box(stack: Stack, *, heights: bool = False) -> SceneBox:
    """The box that holds all pixels whose place is known, and their heights where asked; reads block by block.

    Raises
    ------
    InputError
        The stack has no look-up table, or none of it (or of the heights) has a value.
    """
    every_col = slice(0, stack.shape[1])
    west = south = math.inf
    east = north = -math.inf
    central = None
    for rows in _blocks(stack) if stack.in_radar_coordinates else _sampled_rows(stack.shape[0]):
        lon, lat = pixel_places(stack, rows, every_col)
        known = np.isfinite(lon) & np.isfinite(lat)
        if not known.any():
            continue
        central = float(lon[known][0]) if central is None else central
        lon = turned_toward(lon[known], central)
        west, east = min(west, float(lon.min())), max(east, float(lon.max()))
        south, north = min(south, float(lat[known].min())), max(north, float(lat[known].max()))
    if central is None:
        raise _nothing_known(stack, "longitude and latitude")
    lowest, highest = _height_range(stack) if heights else (math.nan, math.nan)
    return SceneBox(west, south, east, north, lowest, highest)


def _height_range(stack: Stack) -> tuple[float, float]:
    plane = require_plane(stack, stack.geometry.height, "height")
    lowest, highest = math.inf, -math.inf
    for rows in _blocks(stack):
        height = plane.read(rows, slice(0, stack.shape[1]))
        height = height[np.isfinite(height)]
        lowest = min(lowest, float(height.min(initial=np.inf)))
        highest = max(highest, float(height.max(initial=-np.inf)))
    if lowest > highest:
        raise _nothing_known(stack, "height")
    return lowest, highest


def _blocks(stack: Stack) -> Iterable[slice]:
    return row_slices(stack.shape[0], max(1, _PIXELS_AT_ONCE // stack.shape[1]))


def _sampled_rows(rows: int) -> Iterable[slice]:
    """Rows of a map grid: between them its edges are straight to metres."""
    chosen = np.unique(np.linspace(0, rows - 1, min(rows, _SAMPLED_ROWS)).round().astype(np.intp))
    return [slice(int(row), int(row) + 1) for row in chosen]


def _nothing_known(stack: Stack, what: str) -> InputError:
    return InputError(
        stack.path,
        required=f"pixels whose {what} is known",
        found="none",
        remedy="Check the geometry files of the stack",
    )


def require_plane(stack: Stack, plane: Plane | None, quantity: str) -> Plane:
    """A plane of the geometry; raises `InputError` that names the quantity where the stack has none."""
    if plane is None:
        raise InputError(
            stack.path,
            required=f"the {quantity} of each pixel",
            found="a stack without it",
            remedy="Add the geometry files of the processor, or leave this correction out",
        )
    return plane


def require_incidence(stack: Stack, incidence_deg: float | None) -> None:
    """Raise `InputError` where the incidence angle is known neither for each pixel nor, in degrees, for all."""
    if stack.geometry.incidence_angle is None and incidence_deg is None:
        raise InputError(
            stack.path,
            required="the incidence angle, which the line of sight follows from",
            found="none in the stack",
            remedy="Give that of the scene's centre with --incidence, or add the processor's file of it",
        )


def incidence_of(stack: Stack, rows: slice, cols: slice, incidence_deg: float | None) -> NDArray[np.float64]:
    """Incidence angle of a window's pixels, (row, col) degrees, or a single one where the stack has no plane of it."""
    require_incidence(stack, incidence_deg)
    plane = stack.geometry.incidence_angle
    if plane is None:
        return np.full((1, 1), incidence_deg, np.float64)
    return np.asarray(plane.read(rows, cols), np.float64)


def require_view(stack: Stack, incidence_deg: float | None) -> None:
    """Raise `InputError` where the direction to the satellite is not known."""
    require_incidence(stack, incidence_deg)
    if stack.geometry.azimuth_angle is None and stack.acquisition.heading_deg is None:
        raise InputError(
            stack.path,
            required="the azimuth angle of each pixel, or the heading of the platform",
            found="neither",
            remedy="Add the geometry files of the processor, or leave this correction out",
        )


def view_of(stack: Stack, rows: slice, cols: slice, incidence_deg: float | None) -> LineOfSight:
    """Direction to the satellite at a window's pixels, (row, col) each; the heading's where no azimuth is known."""
    require_view(stack, incidence_deg)
    incidence = incidence_of(stack, rows, cols, incidence_deg)
    if stack.geometry.azimuth_angle is not None:
        return line_of_sight(incidence, stack.geometry.azimuth_angle.read(rows, cols))
    heading = float(stack.acquisition.heading_deg or 0.0)
    return line_of_sight(incidence, azimuth_of_heading(heading, looks_left=stack.acquisition.antenna_side == "left"))


def acquisition_moments(stack: Stack, dates: Sequence[date], time_of_day_s: float | None) -> list[datetime]:
    """UTC of the acquisitions, one for each date.

    Parameters
    ----------
    stack
        Its own time of day is used where none is given.
    dates
        Acquisition dates.
    time_of_day_s
        Seconds since midnight UTC, for a stack that does not say, or to overrule it.

    Raises
    ------
    InputError
        If neither is known.
    """
    seconds = stack.acquisition.center_line_utc_s if time_of_day_s is None else time_of_day_s
    if seconds is None:
        raise InputError(
            stack.path,
            required="the time of day of the acquisitions",
            found="a stack that does not say",
            remedy="Give it with --acquisition-time HH:MM (UTC); Sentinel-1 names its products by it",
        )
    return [datetime.combine(day, time()) + timedelta(seconds=seconds) for day in dates]


def parse_time_of_day(text: str) -> float:
    """Seconds since midnight of a text such as ``06:32`` or ``06:32:54``; raises `OptionError` otherwise."""
    match = re.fullmatch(r"\s*(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?\s*", text)
    if match is not None:
        hours, minutes, seconds = int(match[1]), int(match[2]), float(match[3] or 0.0)
        if hours < 24 and minutes < 60 and seconds < 60.0:
            return hours * 3600.0 + minutes * 60.0 + seconds
    raise OptionError(
        "--acquisition-time",
        required="a time of day in UTC such as 06:32 or 06:32:54",
        found=repr(text),
        remedy="Correct it",
    )


def unit_vectors(view: LineOfSight, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Directions to the satellite in Earth-fixed coordinates, (3, row, col)."""
    longitude, latitude = np.radians(lon), np.radians(lat)
    sin_lon, cos_lon, sin_lat, cos_lat = np.sin(longitude), np.cos(longitude), np.sin(latitude), np.cos(latitude)
    outward = view.up * cos_lat - view.north * sin_lat
    return np.stack(
        [
            outward * cos_lon - view.east * sin_lon,
            outward * sin_lon + view.east * cos_lon,
            view.up * sin_lat + view.north * cos_lat,
        ]
    )
