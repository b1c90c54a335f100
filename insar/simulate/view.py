"""How a right-looking sensor sees the scene: incidence, line of sight, slant range, layover and shadow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from insar.simulate.parameters import SimulationParameters
from insar.simulate.terrain import slope_components

EARTH_RADIUS_M = 6_371_000.0
PLATFORM_HEIGHT_M = 693_000.0

VISIBLE, SHADOW, LAYOVER = 0, 1, 2


class EastNorthUp(NamedTuple):
    """A direction on the ground; of unit length."""

    east: float
    north: float
    up: float


@dataclass(frozen=True, slots=True)
class View:
    """Line of sight over the map grid of a scene.

    Attributes
    ----------
    heading_deg
        Of the platform, clockwise from north, 0 to 360.
    incidence_deg
        (row, col), from the vertical; grows with range.
    visibility
        (row, col) `VISIBLE`, `SHADOW` or `LAYOVER`, from the slope of the pixel itself.
    """

    heading_deg: float
    incidence_deg: NDArray[np.float64]
    visibility: NDArray[np.uint8]

    @property
    def azimuth_deg(self) -> float:
        """Horizontal direction from the target to the satellite, clockwise from north, 0 to 360."""
        return (self.heading_deg - 90.0) % 360.0

    def toward_satellite(self, incidence_deg: float) -> EastNorthUp:
        """Unit vector from a target to the satellite."""
        incidence, azimuth = math.radians(incidence_deg), math.radians(self.azimuth_deg)
        return EastNorthUp(
            math.sin(incidence) * math.sin(azimuth), math.sin(incidence) * math.cos(azimuth), math.cos(incidence)
        )

    def sensitivity(self, motion: EastNorthUp, incidence_deg: NDArray[np.float64]) -> NDArray[np.float64]:
        """Displacement toward the satellite per metre of a motion, (row, col)."""
        incidence, azimuth = np.radians(incidence_deg), math.radians(self.azimuth_deg)
        horizontal = motion.east * math.sin(azimuth) + motion.north * math.cos(azimuth)
        projected: NDArray[np.float64] = np.sin(incidence) * horizontal + np.cos(incidence) * motion.up
        return projected


def simulate_view(parameters: SimulationParameters, heights: NDArray[np.float64]) -> View:
    """View over a scene whose near and far edges have the incidence angles asked for."""
    heading = parameters.heading_deg % 360.0
    look = math.radians(heading + 90.0)  # horizontal direction in which range grows
    rows = np.arange(parameters.rows, dtype=np.float64)[:, None]
    cols = np.arange(parameters.cols, dtype=np.float64)[None, :]
    ground_range = cols * math.sin(look) - rows * math.cos(look)
    ground_range = (ground_range - ground_range.min()) / np.ptp(ground_range)
    incidence = parameters.incidence_near_deg + ground_range * (
        parameters.incidence_far_deg - parameters.incidence_near_deg
    )
    east, north = slope_components(heights, parameters.pixel_size_m)
    rise_away = np.degrees(np.arctan(-(east * math.sin(look) + north * math.cos(look))))
    visibility = np.full(heights.shape, VISIBLE, np.uint8)
    # A slope that faces the sensor rises with range: steeper than the incidence angle, its top comes before its foot.
    visibility[-rise_away > incidence] = LAYOVER
    visibility[rise_away > 90.0 - incidence] = SHADOW
    return View(heading, incidence, visibility)


def slant_range_m(incidence_deg: NDArray[np.floating] | float) -> NDArray[np.float64]:
    """Distance to the satellite over a spherical Earth."""
    incidence = np.radians(np.asarray(incidence_deg, np.float64))
    look = np.arcsin(EARTH_RADIUS_M / (EARTH_RADIUS_M + PLATFORM_HEIGHT_M) * np.sin(incidence))
    distance: NDArray[np.float64] = EARTH_RADIUS_M * np.sin(incidence - look) / np.sin(look)
    return distance
