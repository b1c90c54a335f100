"""Delay in the troposphere from GACOS: maps of the zenith delay at every date, from outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.corrections.base import FittedCorrection, SeriesSample
from insar.corrections.places import pixel_places, turned_toward
from insar.delay_maps import ZenithDelay, require_dates
from insar.errors import InputError, OptionError
from insar.grid import Grid
from insar.stack import Plane, Stack

SECONDS_PER_DAY = 86_400.0
LARGEST_TIME_DIFFERENCE_S = 1_800.0
"""Difference from the time of acquisition beyond which a map is mentioned as one of another time."""


@dataclass(frozen=True, slots=True)
class SlantDelay:
    """Delays toward the satellite, as displacements; a `FittedCorrection`.

    Attributes
    ----------
    stack
        Whose pixels they are for.
    delays
        One for each date of the series, in its order.
    incidence_deg
        Of all pixels; None where the stack knows that of each.
    """

    stack: Stack
    delays: tuple[ZenithDelay, ...]
    incidence_deg: float | None
    name: str = "gacos"

    def apparent_displacement(self, rows: slice, cols: slice) -> NDArray[np.float64]:
        """(date, row, col) m, positive toward the satellite: ``-zenith delay / cos(incidence)``.

        NaN outside the maps, and where place or incidence of a pixel is unknown.
        """
        lon, lat = pixel_places(self.stack, rows, cols)
        slant = -1.0 / np.cos(np.radians(self._incidence(rows, cols)))
        apparent = np.empty((len(self.delays), *lon.shape))
        index = 0
        # Maps of one grid, as those of one request are, share the places of the pixels in it.
        for grid, delays in groupby(self.delays, key=lambda delay: delay.grid):
            places = _Places.on(grid, lon, lat)
            for delay in delays:
                places.interpolate(delay.delay_m, apparent[index])
                index += 1
        apparent *= slant
        return apparent

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the delays are from."""
        other_time = [f"{delay.day:%Y%m%d}" for delay in self.delays if self._is_of_another_time(delay)]
        return {
            "dates": len(self.delays),
            "grids": len({delay.grid for delay in self.delays}),
            "incidence": "of each pixel" if self.incidence_deg is None else self.incidence_deg,
            "dates_of_another_time": other_time,
        }

    def _incidence(self, rows: slice, cols: slice) -> NDArray[np.float64] | float:
        plane = self.stack.geometry.incidence_angle
        if self.incidence_deg is not None or plane is None:
            return float("nan") if self.incidence_deg is None else self.incidence_deg
        return np.asarray(plane.read(rows, cols), np.float64)

    def _is_of_another_time(self, delay: ZenithDelay) -> bool:
        acquired = self.stack.acquisition.center_line_utc_s
        if acquired is None or delay.utc_s is None:
            return False
        half = SECONDS_PER_DAY / 2
        return abs((delay.utc_s - acquired + half) % SECONDS_PER_DAY - half) > LARGEST_TIME_DIFFERENCE_S


@dataclass(frozen=True, slots=True)
class GacosCorrection:
    """The delays of GACOS (Yu et al. 2018), projected to the line of sight; a `Correction`.

    Attributes
    ----------
    stack
        Whose pixels they are for; it must know where these lie.
    delays
        Maps of all dates of the series, others allowed.
    incidence_deg
        Of all pixels, where the stack does not know that of each.
    """

    stack: Stack
    delays: tuple[ZenithDelay, ...]
    incidence_deg: float | None = None
    name: str = "gacos"

    def __post_init__(self) -> None:
        if self.stack.geometry.incidence_angle is None and self.incidence_deg is None:
            raise InputError(
                self.stack.path,
                required="the incidence angle, to project zenith delays to the line of sight",
                found="none in the stack",
                remedy="Give that of the scene's centre with --incidence, or add the processor's file of it",
            )
        if self.incidence_deg is not None and not 0.0 <= self.incidence_deg < 80.0:
            raise OptionError(
                "--incidence",
                required="an angle from the vertical, from 0 to 80 degrees",
                found=f"{self.incidence_deg:g}",
                remedy="Correct it",
            )

    def fit(self, sample: SeriesSample) -> FittedCorrection:
        """The delays of the sample's dates; raises `MissingInputError` that lists those without a map."""
        by_day = {delay.day: delay for delay in self.delays}
        require_dates("GACOS", sample.dates, by_day)
        incidence = None if self.stack.geometry.incidence_angle is not None else self.incidence_deg
        return SlantDelay(self.stack, tuple(by_day[day] for day in sample.dates), incidence)


@dataclass(frozen=True, slots=True)
class _Places:
    """Pixels of a window in rows and columns of a map, and the part of the map around them."""

    grid: Grid
    rows: NDArray[np.float64]
    cols: NDArray[np.float64]
    window: tuple[slice, slice]

    @classmethod
    def on(cls, grid: Grid, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> _Places:
        west, _, east, _ = grid.bounds
        row, col = grid.pixel_coordinates(turned_toward(lon, (west + east) / 2.0), lat)
        row, col = row - 0.5, col - 0.5
        return cls(grid, row, col, (_around(row, grid.rows), _around(col, grid.cols)))

    def interpolate(self, delay_m: Plane, out: NDArray[np.float64]) -> None:
        from insar.kernels.corrections import interpolate_bilinear

        rows, cols = self.window
        interpolate_bilinear(
            delay_m.read(rows, cols),
            rows.start,
            cols.start,
            *self.grid.shape,
            np.ravel(self.rows),
            np.ravel(self.cols),
            out.reshape(-1),
        )


def _around(places: NDArray[np.float64], size: int) -> slice:
    """Pixels of an axis that surround places on it; at least one."""
    known = places[np.isfinite(places)]
    if not known.size:
        return slice(0, 1)
    first = min(max(int(np.floor(known.min())), 0), size - 1)
    last = min(max(int(np.floor(known.max())) + 1, first), size - 1)
    return slice(first, last + 1)
