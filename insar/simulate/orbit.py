"""The platform above a scene, as orbit state vectors in the headers of products."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from insar.simulate.scene import SimulatedScene
from insar.simulate.view import EARTH_RADIUS_M, PLATFORM_HEIGHT_M, slant_range_m

EARTH_GM_M3_PER_S2 = 3.986_004_418e14
WGS84_RADIUS_M = 6_378_137.0
WGS84_ECCENTRICITY_2 = 6.694_379_990_14e-3
PASS_TIME = timedelta(hours=10, minutes=32, seconds=54.792479)
ORBIT_RADIUS_M = EARTH_RADIUS_M + PLATFORM_HEIGHT_M
GROUND_SPEED_M_PER_S = math.sqrt(EARTH_GM_M3_PER_S2 / ORBIT_RADIUS_M) * EARTH_RADIUS_M / ORBIT_RADIUS_M


class StateVector(NamedTuple):
    """Platform at a moment, in the Earth-fixed frame: metres and metres per second."""

    time: datetime
    position_m: tuple[float, float, float]
    velocity_m_per_s: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class ScenePass:
    """Timing and ranges of the passes over a scene, from the pixels of one stack.

    Attributes
    ----------
    starting_range_m
        Slant range of the first column.
    range_pixel_size_m, azimuth_pixel_size_m
        Of single-look pixels: in slant range, and on the ground along the pass.
    line_interval_s
        Between single-look lines.
    duration_s
        Of the pass over the scene.
    center_lon_deg, center_lat_deg, heading_deg, azimuth_deg, incidence_deg, height_m
        Of the scene's middle.
    """

    starting_range_m: float
    range_pixel_size_m: float
    azimuth_pixel_size_m: float
    line_interval_s: float
    duration_s: float
    center_lon_deg: float
    center_lat_deg: float
    heading_deg: float
    azimuth_deg: float
    incidence_deg: float
    height_m: float

    @classmethod
    def over(cls, scene: SimulatedScene) -> ScenePass:
        """Passes over a scene on the pixels of a stack."""
        parameters = scene.parameters
        incidence = scene.fields.incidence_deg.astype(np.float64)
        middle = math.radians(float(incidence.mean()))
        azimuth_pixel = parameters.pixel_size_m / parameters.azimuth_looks
        interval = azimuth_pixel / GROUND_SPEED_M_PER_S
        return cls(
            starting_range_m=float(slant_range_m(float(incidence.min()))),
            range_pixel_size_m=parameters.pixel_size_m * math.sin(middle) / parameters.range_looks,
            azimuth_pixel_size_m=azimuth_pixel,
            line_interval_s=interval,
            duration_s=interval * scene.shape[0] * parameters.azimuth_looks,
            center_lon_deg=parameters.center_lon_deg,
            center_lat_deg=parameters.center_lat_deg,
            heading_deg=scene.heading_deg,
            azimuth_deg=scene.azimuth_angle_deg,
            incidence_deg=float(incidence.mean()),
            height_m=scene.mean_height_m,
        )

    def start(self, day: date) -> datetime:
        """First line of the pass of a day, UTC without a zone as headers have it."""
        return datetime(day.year, day.month, day.day) + PASS_TIME  # noqa: DTZ001  headers carry no zone

    def stop(self, day: date) -> datetime:
        """Last line of the pass of a day."""
        return self.start(day) + timedelta(seconds=self.duration_s)

    @property
    def center_line_utc_s(self) -> float:
        """Time of day of the middle line, in seconds."""
        return PASS_TIME.total_seconds() + 0.5 * self.duration_s

    def state_vectors(self, day: date, count: int, spacing_s: float) -> list[StateVector]:
        """Circular orbit through the point that sees the scene's middle at its incidence angle.

        The heading is that of the platform where it is, some degrees off the one that the scene's line of sight would
        give at the scene itself, because meridians converge between them.

        Parameters
        ----------
        day
            Of the pass.
        count
            Number of vectors, centred on the middle of the pass.
        spacing_s
            Time between them, whole seconds.
        """
        platform = self._platform()
        radius = float(np.linalg.norm(platform))
        outward = platform / radius
        east, north, _ = _local_axes(math.atan2(platform[1], platform[0]), math.asin(outward[2]))
        heading = math.radians(self.heading_deg)
        ahead = math.sin(heading) * east + math.cos(heading) * north
        speed = math.sqrt(EARTH_GM_M3_PER_S2 / radius)
        middle = (self.start(day) + timedelta(seconds=0.5 * self.duration_s)).replace(microsecond=0)
        vectors = []
        for index in range(count):
            seconds = (index - count // 2) * spacing_s
            angle = speed * seconds / radius
            position = radius * (math.cos(angle) * outward + math.sin(angle) * ahead)
            velocity = speed * (math.cos(angle) * ahead - math.sin(angle) * outward)
            vectors.append(StateVector(middle + timedelta(seconds=seconds), _triple(position), _triple(velocity)))
        return vectors

    def _platform(self) -> NDArray[np.float64]:
        lon, lat = math.radians(self.center_lon_deg), math.radians(self.center_lat_deg)
        east, north, up = _local_axes(lon, lat)
        normal = WGS84_RADIUS_M / math.sqrt(1.0 - WGS84_ECCENTRICITY_2 * math.sin(lat) ** 2)
        target = (normal + self.height_m) * up
        target[2] -= WGS84_ECCENTRICITY_2 * normal * math.sin(lat)
        incidence, azimuth = math.radians(self.incidence_deg), math.radians(self.azimuth_deg)
        toward = math.sin(incidence) * (math.sin(azimuth) * east + math.cos(azimuth) * north)
        toward = toward + math.cos(incidence) * up
        platform: NDArray[np.float64] = target + float(slant_range_m(self.incidence_deg)) * toward
        return platform


def _local_axes(lon_rad: float, lat_rad: float) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """East, north and up at a place, in the Earth-fixed frame."""
    sin_lon, cos_lon, sin_lat, cos_lat = math.sin(lon_rad), math.cos(lon_rad), math.sin(lat_rad), math.cos(lat_rad)
    east = np.array([-sin_lon, cos_lon, 0.0])
    north = np.array([-sin_lat * cos_lon, -sin_lat * sin_lon, cos_lat])
    return east, north, np.array([cos_lat * cos_lon, cos_lat * sin_lon, sin_lat])


def _triple(vector: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = (round(float(value), 6) for value in vector)
    return x, y, z
