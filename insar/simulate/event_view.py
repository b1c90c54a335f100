"""How the sensor of a simulated event sees the ground: incidence and slant range by the distance across the pass."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from insar.simulate.event_parameters import EventParameters
from insar.simulate.view import EARTH_RADIUS_M, PLATFORM_HEIGHT_M, slant_range_m

STEEPEST_INCIDENCE_DEG, FLATTEST_INCIDENCE_DEG = 5.0, 85.0
TABLE_SIZE = 20_001
LEAST_LOCAL_INCIDENCE_DEG = 10.0  # to which slopes that face the sensor are taken when their brightness is computed
BRIGHTNESS_RANGE_DB = (-6.0, 6.0)


class Direction(NamedTuple):
    """Of unit length on a north-up map, in rows down and columns right."""

    down: float
    right: float


@dataclass(frozen=True, slots=True)
class EventView:
    """A right-looking pass over a spherical Earth.

    Attributes
    ----------
    heading_deg
        Of the platform, clockwise from north.
    near_incidence_deg
        Where the distance across the pass is 0.
    """

    heading_deg: float
    near_incidence_deg: float

    @classmethod
    def of(cls, parameters: EventParameters) -> EventView:
        """View that the parameters of an event ask for."""
        return cls(parameters.heading_deg % 360.0, parameters.incidence_near_deg)

    @property
    def along(self) -> Direction:
        """In which lines follow each other."""
        heading = math.radians(self.heading_deg)
        return Direction(-math.cos(heading), math.sin(heading))

    @property
    def across(self) -> Direction:
        """In which range grows."""
        heading = math.radians(self.heading_deg)
        return Direction(math.sin(heading), math.cos(heading))

    @property
    def azimuth_deg(self) -> float:
        """Horizontal direction from the ground to the satellite, clockwise from north, 0 to 360."""
        return (self.heading_deg - 90.0) % 360.0

    @property
    def near_range_m(self) -> float:
        """Slant range where the distance across the pass is 0."""
        return float(slant_range_m(self.near_incidence_deg))

    def incidence_deg(self, distance_m: NDArray[np.float64]) -> NDArray[np.float64]:
        """Incidence from the vertical at distances across the pass on flat ground, of their shape."""
        incidence, distance = _distance_table(self.near_incidence_deg)
        return np.interp(distance_m, distance, incidence)

    def distance_m(self, slant_range: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distance across the pass on flat ground at slant ranges in metres, of their shape."""
        incidence, distance = _distance_table(self.near_incidence_deg)
        return np.interp(slant_range, slant_range_m(incidence), distance)

    def brightness_db(
        self, incidence_deg: NDArray[np.float64], east: NDArray[np.float64], north: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        r"""Brightening of slopes that face the sensor, (row, col): :math:`\sin\theta / \sin(\theta - \alpha)`.

        Parameters
        ----------
        incidence_deg
            (row, col) incidence on flat ground.
        east, north
            (row, col) rise per metre toward the east and the north.

        Notes
        -----
        The illuminated area of a pixel of a slope that rises by :math:`\alpha` toward the sensor.
        """
        local = np.maximum(incidence_deg - self.facing_deg(east, north), LEAST_LOCAL_INCIDENCE_DEG)
        ratio = np.sin(np.radians(incidence_deg)) / np.sin(np.radians(local))
        brightness: NDArray[np.float64] = np.clip(10.0 * np.log10(ratio), *BRIGHTNESS_RANGE_DB)
        return brightness

    def facing_deg(self, east: NDArray[np.float64], north: NDArray[np.float64]) -> NDArray[np.float64]:
        """Slope toward the sensor, (row, col): positive where the ground rises with range."""
        azimuth = math.radians(self.azimuth_deg)
        slope: NDArray[np.float64] = -np.degrees(np.arctan(east * math.sin(azimuth) + north * math.cos(azimuth)))
        return slope

    def local_incidence_deg(
        self, incidence_deg: NDArray[np.float64], east: NDArray[np.float64], north: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Angle between the line of sight and the normal of the ground, (row, col), 0 to 180; see `brightness_db`."""
        incidence, azimuth = np.radians(incidence_deg), math.radians(self.azimuth_deg)
        toward = east * math.sin(azimuth) + north * math.cos(azimuth)
        cosine = (np.cos(incidence) - np.sin(incidence) * toward) / np.sqrt(1.0 + east * east + north * north)
        angle: NDArray[np.float64] = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
        return angle


def _distance_table(near_incidence_deg: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Incidences in degrees, and the distances in metres along the Earth's surface at which they are met."""
    incidence = np.linspace(STEEPEST_INCIDENCE_DEG, FLATTEST_INCIDENCE_DEG, TABLE_SIZE)
    return incidence, EARTH_RADIUS_M * (_center_angle(incidence) - _center_angle(np.array(near_incidence_deg)))


def _center_angle(incidence_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angle at the Earth's centre between the platform and the ground, in radians."""
    incidence = np.radians(incidence_deg)
    angle: NDArray[np.float64] = np.arcsin(
        slant_range_m(incidence_deg) * np.sin(incidence) / (EARTH_RADIUS_M + PLATFORM_HEIGHT_M)
    )
    return angle
