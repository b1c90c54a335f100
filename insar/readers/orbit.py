"""What one state vector of the orbit says of the pass: heading, height of the platform, radius of the Earth below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

MEAN_EARTH_RADIUS_M = 6_371_008.8
_SEMI_MAJOR_M = 6_378_137.0
_ECCENTRICITY_SQUARED = 6.694_379_990_14e-3


@dataclass(frozen=True, slots=True)
class PlatformState:
    """Place and motion of the platform above the WGS 84 ellipsoid."""

    heading_deg: float
    """Clockwise from north, -180 to 180."""
    height_m: float
    earth_radius_m: float
    """Distance of the ellipsoid's surface below from the Earth's centre."""
    ground_speed_m_per_s: float
    """Speed of the platform's shadow on the surface below."""


def platform_state(position_m: Sequence[float], velocity_m_per_s: Sequence[float]) -> PlatformState:
    """State of a platform from its Earth-fixed position and velocity (x, y, z)."""
    x, y, z = position_m
    lon = math.atan2(y, x)
    axis = math.hypot(x, y)
    lat = math.atan2(z, axis * (1.0 - _ECCENTRICITY_SQUARED))
    for _ in range(6):  # fixed-point iteration, converged to below a millimetre at orbit heights after four
        normal = _SEMI_MAJOR_M / math.sqrt(1.0 - _ECCENTRICITY_SQUARED * math.sin(lat) ** 2)
        height = axis / math.cos(lat) - normal
        lat = math.atan2(z, axis * (1.0 - _ECCENTRICITY_SQUARED * normal / (normal + height)))
    surface = (
        (normal * math.cos(lat)),
        (normal * (1.0 - _ECCENTRICITY_SQUARED) * math.sin(lat)),
    )
    radius = math.hypot(*surface)
    vx, vy, vz = velocity_m_per_s
    east = -math.sin(lon) * vx + math.cos(lon) * vy
    north = -math.sin(lat) * (math.cos(lon) * vx + math.sin(lon) * vy) + math.cos(lat) * vz
    return PlatformState(
        heading_deg=math.degrees(math.atan2(east, north)),
        height_m=height,
        earth_radius_m=radius,
        ground_speed_m_per_s=math.hypot(east, north) * radius / (radius + height),
    )


def platform_height_m(slant_range_m: float, incidence_deg: float) -> float:
    """Height of a platform above a sphere of `MEAN_EARTH_RADIUS_M`, whose target is seen at a range and incidence."""
    above = slant_range_m**2 + 2.0 * MEAN_EARTH_RADIUS_M * slant_range_m * math.cos(math.radians(incidence_deg))
    return math.sqrt(MEAN_EARTH_RADIUS_M**2 + above) - MEAN_EARTH_RADIUS_M


def incidence_deg(slant_range_m: float, earth_radius_m: float, height_m: float) -> float:
    """Incidence angle at which a platform sees a target on a sphere, from the range between them."""
    orbit_m = earth_radius_m + height_m
    cosine = (orbit_m**2 - earth_radius_m**2 - slant_range_m**2) / (2.0 * earth_radius_m * slant_range_m)
    return math.degrees(math.acos(max(-1.0, min(1.0, cosine))))


def wrapped_heading(heading_deg: float) -> float:
    """The same heading between -180 and 180 degrees."""
    return (heading_deg + 180.0) % 360.0 - 180.0
