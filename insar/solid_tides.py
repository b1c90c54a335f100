"""Displacement of the ground by the solid earth tides of the Sun and the Moon.

After the IERS Conventions (2010), chapter 7.1.1, written from its equations and tables. Everything is in the frame of
a spherical Earth: latitudes here are geocentric, and the displacement comes out in Earth-fixed coordinates, so that
the difference between geocentric and geodetic up does not matter to whoever uses it.

References
----------
Petit, G. and Luzum, B. (eds.), 2010, IERS Conventions (2010), IERS Technical Note 36, chapter 7.
Mathews, P. M., Dehant, V. and Gipson, J. M., 1997, Tidal station displacements, J. Geophys. Res. 102, 20469-20477.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.polynomial import polynomial
from numpy.typing import NDArray

from insar.ephemeris import TT_MINUS_UTC_S, days_since_2000, sun_and_moon

Vectors = NDArray[np.float64]
"""(..., 3) Earth-fixed coordinates, metres."""

MASS_OF_SUN = 332_946.0482
MASS_OF_MOON = 0.0123000371
"""Relative to the Earth's."""

_EARTH_RADIUS_M = 6_378_136.6
_CENTURY_DAYS = 36_525.0

_H2, _L2, _H3, _L3 = 0.6078, 0.0847, 0.292, 0.015
_H2_LATITUDE, _L2_LATITUDE = -0.0006, 0.0002
_H_OUT_DIURNAL, _H_OUT_SEMIDIURNAL, _L_OUT = -0.0025, -0.0022, -0.0007
_L1_DIURNAL, _L1_SEMIDIURNAL = 0.0012, 0.0024

# Table 7.3a: multiples of s, h, p, N', ps beside one tau; radial in and out of phase, transverse in and out, mm.
_DIURNAL = np.array(
    [
        (-3, 0, 2, 0, 0, -0.01, 0.0, 0.0, 0.0),
        (-3, 2, 0, 0, 0, -0.01, 0.0, 0.0, 0.0),
        (-2, 0, 1, -1, 0, -0.02, 0.0, 0.0, 0.0),
        (-2, 0, 1, 0, 0, -0.08, 0.0, -0.01, 0.01),
        (-2, 2, -1, 0, 0, -0.02, 0.0, 0.0, 0.0),
        (-1, 0, 0, -1, 0, -0.10, 0.0, 0.0, 0.0),
        (-1, 0, 0, 0, 0, -0.51, 0.0, -0.02, 0.03),
        (-1, 2, 0, 0, 0, 0.01, 0.0, 0.0, 0.0),
        (0, -2, 1, 0, 0, 0.01, 0.0, 0.0, 0.0),
        (0, 0, -1, 0, 0, 0.02, 0.0, 0.0, 0.0),
        (0, 0, 1, 0, 0, 0.06, 0.0, 0.0, 0.0),
        (0, 0, 1, 1, 0, 0.01, 0.0, 0.0, 0.0),
        (0, 2, -1, 0, 0, 0.01, 0.0, 0.0, 0.0),
        (1, -3, 0, 0, 1, -0.06, 0.0, 0.0, 0.0),
        (1, -2, 0, -1, 0, 0.01, 0.0, 0.0, 0.0),
        (1, -2, 0, 0, 0, -1.23, -0.07, 0.06, 0.01),
        (1, -1, 0, 0, -1, 0.02, 0.0, 0.0, 0.0),
        (1, -1, 0, 0, 1, 0.04, 0.0, 0.0, 0.0),
        (1, 0, 0, -1, 0, -0.22, 0.01, 0.01, 0.0),
        (1, 0, 0, 0, 0, 12.00, -0.80, -0.67, -0.03),
        (1, 0, 0, 1, 0, 1.73, -0.12, -0.10, 0.0),
        (1, 0, 0, 2, 0, -0.04, 0.0, 0.0, 0.0),
        (1, 1, 0, 0, -1, -0.50, -0.01, 0.03, 0.0),
        (1, 1, 0, 0, 1, 0.01, 0.0, 0.0, 0.0),
        (0, 1, 0, 1, -1, -0.01, 0.0, 0.0, 0.0),
        (1, 2, -2, 0, 0, -0.01, 0.0, 0.0, 0.0),
        (1, 2, 0, 0, 0, -0.11, 0.01, 0.01, 0.0),
        (2, -2, 1, 0, 0, -0.01, 0.0, 0.0, 0.0),
        (2, 0, -1, 0, 0, -0.02, 0.0, 0.0, 0.0),
    ]
)

# Table 7.3b, without tau: radial in phase, transverse in phase, radial out of phase, transverse out of phase, mm.
_LONG_PERIOD = np.array(
    [
        (0, 0, 0, 1, 0, 0.47, 0.23, 0.16, 0.07),
        (0, 2, 0, 0, 0, -0.20, -0.12, -0.11, -0.05),
        (1, 0, -1, 0, 0, -0.11, -0.08, -0.09, -0.04),
        (2, 0, 0, 0, 0, -0.13, -0.11, -0.15, -0.07),
        (2, 0, 0, 1, 0, -0.05, -0.05, -0.06, -0.03),
    ]
)

# Degrees, by powers of Julian centuries of terrestrial time since 2000; the last of s is the general precession.
_MOON_LONGITUDE = (218.31664563, 481267.88194, -0.0014663889, 0.00000185139)
_PRECESSION = (0.0, 1.396971278, 0.000308889, 0.000000021, 0.000000007)
_SUN_LONGITUDE = (280.46645, 36000.7697489, 0.00030322222, 0.000000020, -0.00000000654)
_MOON_PERIGEE = (83.35324312, 4069.01363525, -0.01032172222, -0.0000124991, 0.00000005263)
_MOON_NODE = (234.95544499, 1934.13626197, -0.00207561111, -0.00000213944, 0.00000001650)
_SUN_PERIGEE = (282.93734098, 1.71945766667, 0.00045688889, -0.00000001778, -0.00000000334)
_SIDEREAL_TIME = (280.4606184, 36000.7700536, 0.00038793, -0.0000000258)


class _Axes(NamedTuple):
    """Geocentric place of each station and its local directions, (..., 3)."""

    sin_lat: NDArray[np.float64]
    cos_lat: NDArray[np.float64]
    sin_lon: NDArray[np.float64]
    cos_lon: NDArray[np.float64]
    east: Vectors
    north: Vectors
    up: Vectors

    def vector(
        self, east: NDArray[np.float64], north: NDArray[np.float64], up: NDArray[np.float64] | float = 0.0
    ) -> Vectors:
        """Components along the local directions as Earth-fixed coordinates."""
        return east[..., None] * self.east + north[..., None] * self.north + np.asarray(up)[..., None] * self.up


def tide_displacement(stations: Vectors, moments: Sequence[datetime]) -> Vectors:
    """Displacement of stations by the solid earth tides, (moment, station, 3) metres in Earth-fixed coordinates.

    The permanent part is included; it is the same at all moments.

    Parameters
    ----------
    stations
        (station, 3) Earth-fixed coordinates, metres.
    moments
        UTC, without a time zone.

    Raises
    ------
    OptionError
        If ERFA is not installed.
    """
    sun, moon = sun_and_moon(moments)
    tide = body_tide(stations, sun[:, None, :], MASS_OF_SUN) + body_tide(stations, moon[:, None, :], MASS_OF_MOON)
    days = days_since_2000(moments)
    centuries = (days + TT_MINUS_UTC_S / 86_400.0) / _CENTURY_DAYS
    hours = (days + 0.5) % 1.0 * 24.0
    return (
        tide
        + diurnal_correction(stations, centuries[:, None], hours[:, None])
        + long_period_correction(stations, centuries[:, None])
    )


def body_tide(stations: Vectors, body: Vectors, mass: float) -> Vectors:
    """Step 1: the tide that one body raises, with Love numbers that do not depend on frequency, (..., 3) metres.

    Parameters
    ----------
    stations, body
        (..., 3) positions, metres, of shapes that broadcast.
    mass
        Of the body, relative to the Earth's.

    Notes
    -----
    Equations 7.5 and 7.6, the out-of-phase parts 7.10 and 7.11, and the latitude dependence 7.8 and 7.9. With `p` and
    `q` the components of the body's direction along and across the station's meridian, on the equatorial plane, and
    `z` along the axis of rotation, ``cos(d) cos(L) = p``, ``cos(d) sin(L) = q`` and ``sin(d) = z`` of the body's
    declination `d` and hour angle `L`.
    """
    axes = _axes_of(stations)
    distance = np.linalg.norm(body, axis=-1, keepdims=True)
    toward = body / distance
    ratio = _EARTH_RADIUS_M / distance
    degree2 = mass * _EARTH_RADIUS_M * ratio**3
    degree3 = degree2 * ratio
    cosine = np.sum(axes.up * toward, axis=-1, keepdims=True)

    polar = (1.0 - 1.5 * axes.cos_lat**2)[..., None]
    h2, l2 = _H2 + _H2_LATITUDE * polar, _L2 + _L2_LATITUDE * polar
    in_phase = degree2 * (3.0 * l2 * cosine * toward + (3.0 * (h2 / 2.0 - l2) * cosine**2 - h2 / 2.0) * axes.up)
    in_phase = in_phase + degree3 * (
        1.5 * _L3 * (5.0 * cosine**2 - 1.0) * toward
        + (2.5 * (_H3 - 3.0 * _L3) * cosine**3 + 1.5 * (_L3 - _H3) * cosine) * axes.up
    )

    p = toward[..., 0] * axes.cos_lon + toward[..., 1] * axes.sin_lon
    q = toward[..., 0] * axes.sin_lon - toward[..., 1] * axes.cos_lon
    z = toward[..., 2]
    sin_lat, cos_lat = axes.sin_lat, axes.cos_lat
    cos_twice = cos_lat**2 - sin_lat**2
    across, along = 2.0 * p * q, p**2 - q**2
    up = -3.0 * _H_OUT_DIURNAL * sin_lat * cos_lat * z * q - 0.75 * _H_OUT_SEMIDIURNAL * cos_lat**2 * across
    north = (
        -3.0 * _L_OUT * cos_twice * z * q
        + 1.5 * _L_OUT * sin_lat * cos_lat * across
        - 3.0 * _L1_DIURNAL * sin_lat**2 * z * p
        - 1.5 * _L1_SEMIDIURNAL * sin_lat * cos_lat * along
    )
    east = (
        -3.0 * _L_OUT * sin_lat * z * p
        - 1.5 * _L_OUT * cos_lat * along
        + 3.0 * _L1_DIURNAL * sin_lat * cos_twice * z * q
        - 1.5 * _L1_SEMIDIURNAL * sin_lat**2 * cos_lat * across
    )
    displacement: Vectors = in_phase + degree2 * axes.vector(east, north, up)
    return displacement


def diurnal_correction(
    stations: Vectors, centuries: NDArray[np.float64] | float, hours: NDArray[np.float64] | float
) -> Vectors:
    """Step 2, diurnal band: what the frequency dependence of the Love numbers adds, (..., 3) metres; 16 mm at most.

    Parameters
    ----------
    stations
        (..., 3) Earth-fixed coordinates, metres.
    centuries
        Julian centuries of terrestrial time since 2000-01-01 12:00, of a shape that broadcasts with the stations'.
    hours
        Universal time of day.

    Notes
    -----
    Equation 7.12 with table 7.3a.
    """
    axes = _axes_of(stations)
    slow, tau = _arguments(np.asarray(centuries), np.asarray(hours))
    phase = np.radians(tau[..., None] + slow @ _DIURNAL[:, :5].T) + np.arctan2(axes.sin_lon, axes.cos_lon)[..., None]
    sine, cosine = np.sin(phase), np.cos(phase)
    radial_in, radial_out, transverse_in, transverse_out = _DIURNAL[:, 5:].T / 1000.0
    up = 2.0 * axes.sin_lat * axes.cos_lat * (sine @ radial_in + cosine @ radial_out)
    north = (axes.cos_lat**2 - axes.sin_lat**2) * (sine @ transverse_in + cosine @ transverse_out)
    east = axes.sin_lat * (cosine @ transverse_in - sine @ transverse_out)
    return axes.vector(east, north, up)


def long_period_correction(stations: Vectors, centuries: NDArray[np.float64] | float) -> Vectors:
    """Step 2, long-period band, (..., 3) metres; see `diurnal_correction`. Equation 7.13 with table 7.3b."""
    axes = _axes_of(stations)
    slow, _ = _arguments(np.asarray(centuries), np.asarray(0.0))
    phase = np.radians(slow @ _LONG_PERIOD[:, :5].T)
    sine, cosine = np.sin(phase), np.cos(phase)
    radial_in, transverse_in, radial_out, transverse_out = _LONG_PERIOD[:, 5:].T / 1000.0
    up = (1.5 * axes.sin_lat**2 - 0.5) * (cosine @ radial_in + sine @ radial_out)
    north = 2.0 * axes.sin_lat * axes.cos_lat * (cosine @ transverse_in + sine @ transverse_out)
    return axes.vector(np.zeros_like(north), north, up)


def _arguments(
    centuries: NDArray[np.float64], hours: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Doodson's s, h, p, N', ps, (..., 5), and tau, (...), degrees."""
    mean_longitude = _polynomial(centuries, _MOON_LONGITUDE)
    tau = hours * 15.0 + _polynomial(centuries, _SIDEREAL_TIME) - mean_longitude
    slow = [mean_longitude + _polynomial(centuries, _PRECESSION)]
    slow += [_polynomial(centuries, terms) for terms in (_SUN_LONGITUDE, _MOON_PERIGEE, _MOON_NODE, _SUN_PERIGEE)]
    return np.stack(slow, axis=-1) % 360.0, np.asarray(tau % 360.0)


def _polynomial(at: NDArray[np.float64], coefficients: Sequence[float]) -> NDArray[np.float64]:
    return np.asarray(polynomial.polyval(at, coefficients), np.float64)


def _axes_of(stations: Vectors) -> _Axes:
    up = stations / np.linalg.norm(stations, axis=-1, keepdims=True)
    sin_lat = up[..., 2]
    cos_lat = np.hypot(up[..., 0], up[..., 1])
    lon = np.arctan2(up[..., 1], up[..., 0])
    sin_lon, cos_lon = np.sin(lon), np.cos(lon)
    east = np.stack([-sin_lon, cos_lon, np.zeros_like(lon)], axis=-1)
    north = np.stack([-sin_lat * cos_lon, -sin_lat * sin_lon, cos_lat], axis=-1)
    return _Axes(sin_lat, cos_lat, sin_lon, cos_lon, east, north, up)
