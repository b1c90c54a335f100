"""Take the solid earth tides out of a series: the ground that the Sun and the Moon lift by decimetres."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.corrections.base import SeriesSample
from insar.corrections.places import pixel_places, turned_toward
from insar.corrections.scene import SceneBox, acquisition_moments, require_view, scene_box, unit_vectors, view_of
from insar.ephemeris import require_ephemeris
from insar.kernels.interpolation import project_nodes
from insar.solid_tides import tide_displacement
from insar.stack import Stack

NODE_STEP_DEG = 0.25
"""Between the places that the tide is computed at; what lies between is wrong by less than 0.02 mm."""

_logger = logging.getLogger(__name__)
_NAME = "solid_earth_tides"
_SEMI_MAJOR_M, _ECCENTRICITY_SQUARED = 6_378_137.0, 0.0066943799901413165  # WGS 84


@dataclass(frozen=True, slots=True)
class TideCorrection:
    """Solid earth tides of the Sun and the Moon, IERS Conventions (2010).

    Parameters
    ----------
    stack
        With incidence angles, and azimuth angles or a heading.
    time_of_day_s
        Of the acquisitions, seconds since midnight UTC; by default the stack's own.
    incidence_deg
        Of all pixels, for a stack that does not know that of each.
    """

    stack: Stack
    time_of_day_s: float | None = None
    incidence_deg: float | None = None

    @property
    def name(self) -> str:
        """Name of the step."""
        return _NAME

    def check(self, dates: Sequence[date]) -> None:
        """Raise what `fit` would raise for want of geometry, time of day or ERFA."""
        require_view(self.stack, self.incidence_deg)
        acquisition_moments(self.stack, dates, self.time_of_day_s)
        pixel_places(self.stack, slice(0, 1), slice(0, 1))
        require_ephemeris()

    def fit(self, sample: SeriesSample) -> TideField:
        """The tide of all dates, on nodes around the scene.

        Raises
        ------
        InputError
            The stack does not tell where its pixels are, from where or at what time of day they were seen.
        OptionError
            ERFA is not installed.
        """
        self.check(sample.dates)
        moments = acquisition_moments(self.stack, sample.dates, self.time_of_day_s)
        box = scene_box(self.stack)
        lon, lat = _nodes(box.west, box.east), _nodes(box.south, box.north)
        stations = _positions(*np.meshgrid(lon, lat))
        tide = tide_displacement(stations.reshape(-1, 3), moments)
        change = (tide - tide[0]).reshape(len(moments), len(lat), len(lon), 3)
        nodes = np.ascontiguousarray(np.moveaxis(change, 3, 1))
        facts = _facts(change, f"{moments[0]:%H:%M:%S}", box)
        _logger.info(
            "solid earth tides: up to %.0f mm, %.1f mm across the scene",
            1e3 * facts["largest_change_m"],
            1e3 * facts["largest_difference_across_scene_m"],
        )
        return TideField(self.stack, nodes, float(lon[0]), float(lat[0]), facts, self.incidence_deg)


@dataclass(frozen=True, slots=True)
class TideField:
    """The tide at every pixel and date, relative to the first date.

    Attributes
    ----------
    stack
        Where the pixels lie and what they are seen from.
    nodes_m
        (date, 3, latitude, longitude) Earth-fixed displacement, metres.
    first_lon, first_lat
        Of the nodes, degrees; `NODE_STEP_DEG` apart, northward and eastward.
    facts
        For the manifest.
    incidence_deg
        Of all pixels, for a stack that does not know that of each.
    """

    stack: Stack
    nodes_m: NDArray[np.float64]
    first_lon: float
    first_lat: float
    facts: Mapping[str, Any]
    incidence_deg: float | None = None

    @property
    def name(self) -> str:
        """Name of the step."""
        return _NAME

    def apparent_displacement(self, rows: slice, cols: slice) -> NDArray[np.float32]:
        """(date, row, col) m toward the satellite; NaN where place or view is unknown."""
        lon, lat = pixel_places(self.stack, rows, cols)
        direction = unit_vectors(view_of(self.stack, rows, cols, self.incidence_deg), lon, lat)
        middle = self.first_lon + NODE_STEP_DEG * (self.nodes_m.shape[3] - 1) / 2.0
        col = (turned_toward(lon, middle) - self.first_lon) / NODE_STEP_DEG
        row = (lat - self.first_lat) / NODE_STEP_DEG
        projected = np.empty((self.nodes_m.shape[0], lon.size), np.float32)
        project_nodes(self.nodes_m, row.ravel(), col.ravel(), direction.reshape(3, -1), projected)
        return projected.reshape(-1, *lon.shape)


def _nodes(lowest: float, highest: float) -> NDArray[np.float64]:
    """Multiples of the step around a range, two at least."""
    first, last = math.floor(lowest / NODE_STEP_DEG), math.floor(highest / NODE_STEP_DEG) + 1
    return NODE_STEP_DEG * np.arange(first, last + 1, dtype=np.float64)


def _positions(lon_deg: NDArray[np.float64], lat_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """Earth-fixed coordinates on the ellipsoid, (..., 3) metres; 4 km of height would change the tide by 0.1 %."""
    lon, lat = np.radians(lon_deg), np.radians(lat_deg)
    normal = _SEMI_MAJOR_M / np.sqrt(1.0 - _ECCENTRICITY_SQUARED * np.sin(lat) ** 2)
    across = normal * np.cos(lat)
    axial = normal * (1.0 - _ECCENTRICITY_SQUARED) * np.sin(lat)
    return np.stack([across * np.cos(lon), across * np.sin(lon), axial], axis=-1)


def _facts(change: NDArray[np.float64], time_of_day: str, box: SceneBox) -> dict[str, Any]:
    """Change (date, lat, lon, 3): how large the tide is, and how much of it differs within the scene."""
    spread = change.max(axis=(1, 2)) - change.min(axis=(1, 2))
    return {
        "model": "IERS Conventions (2010), chapter 7.1.1, steps 1 and 2; ephemerides of ERFA",
        "acquisition_time_utc": time_of_day,
        "dates": int(change.shape[0]),
        "scene": box.words,
        "largest_change_m": round(float(np.linalg.norm(change, axis=3).max()), 6),
        "largest_difference_across_scene_m": round(float(np.linalg.norm(spread, axis=1).max()), 6),
    }
