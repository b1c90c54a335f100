"""Take the delay in the troposphere out of a series, as a weather model has it."""

from __future__ import annotations

import logging
import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.corrections.base import SeriesSample
from insar.corrections.places import pixel_places, turned_toward
from insar.corrections.scene import (
    SceneBox,
    acquisition_moments,
    incidence_of,
    require_incidence,
    require_plane,
    scene_box,
)
from insar.errors import InputError, MissingInputError
from insar.kernels.interpolation import interpolate_columns
from insar.readers.era5 import WeatherFile, WeatherHour, find_weather
from insar.stack import Stack
from insar.zenith_delay import height_of_geopotential, specific_humidity, zenith_delay

HEIGHT_STEP_M = 50.0
"""Of the table of delays; what lies between is wrong by less than 0.02 mm."""

LONGEST_GAP_S = 6 * 3600.0
"""Between two hours that a moment is interpolated between."""

NEAREST_WITHIN_S = 3600.0
"""How far from a moment a single hour may be."""

LONGEST_EXTENSION_M = 1000.0
"""How far below the lowest level the ground may be."""

NARROWEST_TOP_PA = 30_000.0
"""Pressure that the uppermost level must reach: a few millimetres of the wet delay are above 500 hPa, none here."""

_logger = logging.getLogger(__name__)
_NAME = "era5"


@dataclass(frozen=True, slots=True)
class Era5Correction:
    """Slant delay from ERA5 on pressure levels, from files on disk.

    Parameters
    ----------
    stack
        With heights and incidence angles.
    folder
        Of NetCDF files, or one of them.
    time_of_day_s
        Of the acquisitions, seconds since midnight UTC; by default the stack's own.
    incidence_deg
        Of all pixels, for a stack that does not know that of each.
    """

    stack: Stack
    folder: Path
    time_of_day_s: float | None = None
    incidence_deg: float | None = None

    @property
    def name(self) -> str:
        """Name of the step."""
        return _NAME

    def check(self, dates: Sequence[date]) -> None:
        """Raise what `fit` would raise for want of files, geometry or time of day, without reading any weather."""
        self._chosen(dates, scene_box(self.stack))

    def fit(self, sample: SeriesSample) -> WeatherField:
        """The delay of all dates in columns over the nodes of the model around the scene.

        Raises
        ------
        MissingInputError
            The folder holds nothing usable, or no weather for some of the dates: all of them in one message.
        InputError
            The stack has no heights, incidence angles or time of day, or the model's area lies beside the scene.
        OptionError
            netCDF4 is not installed.
        """
        box = scene_box(self.stack, heights=True)
        chosen = self._chosen(sample.dates, box)
        latitude, longitude = _lattice(next(iter(chosen[0].values()))[0], box)
        heights = _heights(box)
        table = np.empty((len(chosen), len(latitude), len(longitude), len(heights)), np.float32)
        first = np.empty(0)
        kept: dict[datetime, NDArray[np.float64]] = {}
        for index, hours in enumerate(chosen):
            for hour, (file, _) in hours.items():
                if hour not in kept:
                    kept[hour] = _columns(file.read(hour, latitude, longitude), file, latitude, heights)
            delay = sum((weight * kept[hour] for hour, (_, weight) in hours.items()), np.zeros(table.shape[1:]))
            # Dates are sorted: an hour that this one does not need is not needed again.
            kept = {hour: columns for hour, columns in kept.items() if hour in hours}
            first = delay if index == 0 else first
            table[index] = delay - first
        facts = _facts(self.folder, chosen, table, box, heights) | self._uncovered(chosen, latitude, longitude, box)
        return WeatherField(
            self.stack,
            table,
            (float(latitude[0]), float(longitude[0])),
            _steps(latitude, longitude),
            float(heights[0]),
            facts,
            self.incidence_deg,
        )

    def _chosen(self, dates: Sequence[date], box: SceneBox) -> list[dict[datetime, tuple[WeatherFile, float]]]:
        """Hours of each date with the file to read and the weight of each."""
        require_plane(self.stack, self.stack.geometry.height, "height")
        require_incidence(self.stack, self.incidence_deg)
        moments = acquisition_moments(self.stack, dates, self.time_of_day_s)
        files = find_weather(self.folder)
        covers = {file: _coverage(file, box) for file in files}
        if not any(covers.values()):
            raise InputError(
                self.folder,
                required=f"weather around the scene ({box.words})",
                found=f"files beside it; {files[0].path.name} has {files[0].words}",
                remedy="Download the area of the scene and half a degree around it",
            )
        best: dict[datetime, WeatherFile] = {}
        for file in sorted(files, key=lambda file: -covers[file]):
            for hour in file.hours if covers[file] else ():
                best.setdefault(hour, file)
        known = sorted(best)
        weights = [hours_around(moment, known) for moment in moments]
        missing = [moment for moment, found in zip(moments, weights, strict=True) if not found]
        if missing:
            raise MissingInputError(
                self.folder,
                required=f"weather within an hour of each acquisition, at {moments[0]:%H:%M} UTC",
                found=f"none for {len(missing)} of {len(moments)} dates: "
                + " ".join(f"{moment:%Y-%m-%d}" for moment in missing),
                remedy="Download them, or leave these dates out with --exclude-dates",
            )
        return [{hour: (best[hour], weight) for hour, weight in found.items()} for found in weights]

    def _uncovered(
        self,
        chosen: Sequence[Mapping[datetime, tuple[WeatherFile, float]]],
        latitude: NDArray[np.float64],
        longitude: NDArray[np.float64],
        box: SceneBox,
    ) -> dict[str, Any]:
        """Say which files leave a part of the scene without a delay."""
        used = {file for hours in chosen for file, _ in hours.values()}
        short = [
            file for file in sorted(used, key=lambda file: file.path) if not file.places(latitude, longitude).all()
        ]
        if not short:
            return {}
        _logger.warning(
            "%s: %d of %d files do not cover the whole scene (%s), where the series becomes unknown; %s has %s",
            self.folder,
            len(short),
            len(used),
            box.words,
            short[0].path.name,
            short[0].words,
        )
        return {"not_covering_the_scene": [file.path.name for file in short]}


@dataclass(frozen=True, slots=True)
class WeatherField:
    """The delay at every pixel and date, relative to the first date.

    Attributes
    ----------
    stack
        Where the pixels lie, how high and how steeply they are seen.
    table_m
        (date, lat, lon, height) zenith delay relative to the first date, metres.
    first_place, place_step
        Latitude and longitude of the first node, and steps of both, degrees.
    lowest_m
        Height of the table's first level; `HEIGHT_STEP_M` upward.
    facts
        For the manifest.
    incidence_deg
        Of all pixels, for a stack that does not know that of each.
    """

    stack: Stack
    table_m: NDArray[np.float32]
    first_place: tuple[float, float]
    place_step: tuple[float, float]
    lowest_m: float
    facts: Mapping[str, Any]
    incidence_deg: float | None = None

    @property
    def name(self) -> str:
        """Name of the step."""
        return _NAME

    def apparent_displacement(self, rows: slice, cols: slice) -> NDArray[np.float32]:
        """(date, row, col) m toward the satellite: minus the zenith delay over the cosine of the incidence angle.

        NaN where a pixel's place, height or view is unknown, and where the weather does not reach.
        """
        lon, lat = pixel_places(self.stack, rows, cols)
        height = require_plane(self.stack, self.stack.geometry.height, "height").read(rows, cols)
        incidence = incidence_of(self.stack, rows, cols, self.incidence_deg)
        (first_lat, first_lon), (lat_step, lon_step) = self.first_place, self.place_step
        middle = first_lon + lon_step * (self.table_m.shape[2] - 1) / 2.0
        row = (lat - first_lat) / lat_step
        col = (turned_toward(lon, middle) - first_lon) / lon_step
        level = (np.asarray(height, np.float64) - self.lowest_m) / HEIGHT_STEP_M
        factor = np.broadcast_to(-1.0 / np.cos(np.radians(incidence)), lon.shape)
        apparent = np.empty((self.table_m.shape[0], lon.size), np.float32)
        interpolate_columns(self.table_m, row.ravel(), col.ravel(), level.ravel(), factor.ravel(), apparent)
        return apparent.reshape(-1, *lon.shape)


def hours_around(moment: datetime, hours: Sequence[datetime]) -> dict[datetime, float]:
    """Hours that tell the weather of a moment, with weights of a sum of 1; none where all are too far.

    Linear between the hours before and after, where they are not more than `LONGEST_GAP_S` apart; the nearest hour
    within `NEAREST_WITHIN_S` otherwise.

    Parameters
    ----------
    moment
        UTC.
    hours
        Sorted.
    """
    place = bisect_left(hours, moment)
    after = hours[place] if place < len(hours) else None
    before = after if after == moment else hours[place - 1] if place > 0 else None
    if before is not None and after is not None and (gap := (after - before).total_seconds()) <= LONGEST_GAP_S:
        share = (moment - before).total_seconds() / gap if gap else 0.0
        return {hour: weight for hour, weight in ((before, 1.0 - share), (after, share)) if weight > 0.0}
    near = min((hour for hour in (before, after) if hour is not None), key=lambda h: abs(h - moment), default=None)
    if near is None or abs(near - moment) > timedelta(seconds=NEAREST_WITHIN_S):
        return {}
    return {near: 1.0}


def _coverage(file: WeatherFile, box: SceneBox) -> float:
    """Share of the nodes around the scene that a file has."""
    share: float = file.places(*_lattice(file, box)).mean()
    return float(share)


def _lattice(file: WeatherFile, box: SceneBox) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Latitudes and longitudes, rising, of the model's nodes around the scene, whether the file has them or not."""
    lat_step, lon_step = file.step_deg

    def nodes(origin: float, step: float, lowest: float, highest: float) -> NDArray[np.float64]:
        first = math.floor((lowest - origin) / step + 1e-6)
        last = math.ceil((highest - origin) / step - 1e-6)
        return origin + step * np.arange(first, max(last, first + 1) + 1, dtype=np.float64)

    origin_lon = float(turned_toward(file.longitude[:1], box.central_lon)[0])
    return (
        nodes(float(file.latitude[0]), lat_step, box.south, box.north),
        nodes(origin_lon, lon_step, box.west, box.east),
    )


def _steps(latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> tuple[float, float]:
    return float(latitude[1] - latitude[0]), float(longitude[1] - longitude[0])


def _heights(box: SceneBox) -> NDArray[np.float64]:
    first = math.floor(box.lowest_m / HEIGHT_STEP_M)
    last = max(math.ceil(box.highest_m / HEIGHT_STEP_M), first + 1)
    return HEIGHT_STEP_M * np.arange(first, last + 1, dtype=np.float64)


def _columns(
    hour: WeatherHour, file: WeatherFile, latitude: NDArray[np.float64], heights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Zenith delay of one hour: (lat, lon, height) m."""
    levels, shape = len(hour.pressure_pa), hour.geopotential.shape[1:]
    lat = np.repeat(latitude, shape[1])
    geopotential, temperature, humidity = (
        values.reshape(levels, -1) for values in (hour.geopotential, hour.temperature_k, hour.humidity)
    )
    _require_levels(hour.pressure_pa, height_of_geopotential(geopotential, lat), file, heights)
    if hour.humidity_is_relative:
        humidity = specific_humidity(humidity, temperature, hour.pressure_pa[:, None])
    # Packed humidities may be slightly negative where there is none.
    humidity = np.maximum(humidity, 0.0)
    delay = zenith_delay(hour.pressure_pa, geopotential, temperature, humidity, lat, heights)
    return np.moveaxis(delay.reshape(-1, *shape), 0, 2)


def _require_levels(
    pressure_pa: NDArray[np.float64],
    level_heights: NDArray[np.float64],
    file: WeatherFile,
    heights: NDArray[np.float64],
) -> None:
    lowest = level_heights[np.argmax(pressure_pa)]
    lowest = lowest[np.isfinite(lowest)]
    too_high = lowest.size > 0 and float(lowest.max()) > heights[0] + LONGEST_EXTENSION_M
    if pressure_pa.min() > NARROWEST_TOP_PA or too_high:
        raise InputError(
            file.path,
            required="pressure levels from below the ground to 300 hPa or higher",
            found=f"levels from {pressure_pa.max() / 100:g} to {pressure_pa.min() / 100:g} hPa",
            remedy="Download all pressure levels",
        )


def _facts(
    folder: Path,
    chosen: Sequence[Mapping[datetime, tuple[WeatherFile, float]]],
    table: NDArray[np.float32],
    box: SceneBox,
    heights: NDArray[np.float64],
) -> dict[str, Any]:
    """What was read, and how much the delay changes between dates and with height, in the middle of the scene."""
    used = sorted({file.path.name for hours in chosen for file, _ in hours.values()})
    middle = table[:, table.shape[1] // 2, table.shape[2] // 2, :].astype(np.float64)
    span_km = (heights[-1] - heights[0]) / 1000.0
    with_height = (middle[:, -1] - middle[:, 0]) / span_km
    between = middle[:, middle.shape[1] // 2]
    return {
        "model": "ERA5 on pressure levels; constants of refractivity of Bevis et al. (1994)",
        "folder": str(folder),
        "files": used,
        "hours": sorted({f"{hour:%Y-%m-%dT%H:%M}" for hours in chosen for hour in hours}),
        "dates": len(chosen),
        "dates_interpolated_in_time": sum(len(hours) > 1 for hours in chosen),
        "scene": box.words,
        "heights_m": [round(box.lowest_m, 1), round(box.highest_m, 1)],
        "zenith_delay_std_m": _finite(between.std()),
        "stratification_std_m_per_km": _finite(with_height.std()),
    }


def _finite(value: float) -> float | None:
    return round(float(value), 6) if math.isfinite(value) else None
