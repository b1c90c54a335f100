"""Delay of radar signals in the neutral atmosphere, from columns of pressure, temperature and humidity.

References
----------
Bevis, M. et al., 1994, GPS meteorology: mapping zenith wet delays onto precipitable water, J. Appl. Meteorol. 33,
379-386: the constants of refractivity after Smith & Weintraub (1953) and Thayer (1974).
Davis, J. L. et al., 1985, Geodesy by radio interferometry, Radio Sci. 20, 1593-1607: hydrostatic and wet part.
Moritz, H., 2000, Geodetic Reference System 1980, J. Geod. 74, 128-133: gravity.
ECMWF, 2016, IFS documentation CY41R2, part IV, chapter 7: saturation over water and ice; part III: gas constants.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float64]
"""(level, column) values of one quantity, or of a shape that broadcasts to it."""

K1_K_PER_PA = 77.60e-2
K2_K_PER_PA = 70.4e-2
K3_K2_PER_PA = 3.739e3
"""Refractivity is ``N = k1 pd / T + k2 e / T + k3 e / T^2``, pressures in Pa, in parts per million."""

DRY_GAS_CONSTANT = 287.0597
VAPOUR_GAS_CONSTANT = 461.5250
"""J / kg / K."""

LAPSE_RATE_K_PER_M = 0.0065
"""How temperature goes on below the lowest level."""

_RATIO = DRY_GAS_CONSTANT / VAPOUR_GAS_CONSTANT
_K2_WET = K2_K_PER_PA - K1_K_PER_PA * _RATIO
_BELOW_M = 100.0


def gravity(latitude_deg: NDArray[np.float64], height_m: NDArray[np.float64] | float = 0.0) -> NDArray[np.float64]:
    """Normal gravity of GRS 80, m/s2: Somigliana's formula, falling with the square of the distance."""
    sine2 = np.sin(np.radians(latitude_deg)) ** 2
    surface = 9.7803267715 * (1.0 + 0.001931851353 * sine2) / np.sqrt(1.0 - 0.0066943800229 * sine2)
    radius = _gravity_radius(latitude_deg)
    falling: NDArray[np.float64] = surface * (radius / (radius + height_m)) ** 2
    return falling


def height_of_geopotential(geopotential: Column, latitude_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """Height above sea level, m, from a geopotential in m2/s2, with the gravity of `gravity`."""
    radius = _gravity_radius(latitude_deg)
    height: NDArray[np.float64] = radius * geopotential / (gravity(latitude_deg) * radius - geopotential)
    return height


def saturation_pressure(temperature_k: NDArray[np.float64]) -> NDArray[np.float64]:
    """Saturation pressure of water vapour, Pa: over water above 0 degrees, over ice below -23, mixed between."""

    def teten(a3: float, a4: float) -> NDArray[np.float64]:
        over: NDArray[np.float64] = 611.21 * np.exp(a3 * (temperature_k - 273.16) / (temperature_k - a4))
        return over

    liquid = np.clip((temperature_k - 250.16) / (273.16 - 250.16), 0.0, 1.0) ** 2
    return liquid * teten(17.502, 32.19) + (1.0 - liquid) * teten(22.587, -0.7)


def specific_humidity(
    relative_percent: NDArray[np.float64], temperature_k: NDArray[np.float64], pressure_pa: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Specific humidity, kg/kg, of a relative humidity in percent."""
    vapour = relative_percent / 100.0 * saturation_pressure(temperature_k)
    humidity: NDArray[np.float64] = _RATIO * vapour / (pressure_pa - (1.0 - _RATIO) * vapour)
    return humidity


def zenith_delay(
    pressure_pa: NDArray[np.float64],
    geopotential: Column,
    temperature_k: Column,
    humidity: Column,
    latitude_deg: NDArray[np.float64],
    heights_m: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Zenith delay from the top of the atmosphere down to some heights: (height, column) m.

    Parameters
    ----------
    pressure_pa
        (level,) in any order.
    geopotential, temperature_k, humidity
        (level, column) m2/s2, K and kg/kg (specific); a column that holds a NaN has no delay.
    latitude_deg
        (column,).
    heights_m
        (height,) above sea level, below the uppermost level.

    Notes
    -----
    With ``N = k1 Rd rho + k2' e / T + k3 e / T^2``, ``k2' = k2 - k1 Rd / Rv``, the hydrostatic part of a layer is
    ``1e-6 k1 Rd (p_lower - p_upper) / g`` whatever is in it, and that of all above the uppermost level
    ``1e-6 k1 Rd p / g``. The wet part of a layer is integrated by Simpson's rule with temperature and humidity linear
    in height. Between levels the delay is a cubic that has its values and its slopes ``-1e-6 N`` at both.
    """
    order = np.argsort(pressure_pa)
    pressure = np.broadcast_to(pressure_pa[order, None], geopotential.shape)
    columns = (pressure, height_of_geopotential(geopotential, latitude_deg)[order], temperature_k[order])
    pressure, height, temperature, moisture = _extended_down(*columns, humidity[order], latitude_deg, heights_m)

    hydrostatic, wet = _refractivity(pressure, temperature, moisture)
    thickness = height[:-1] - height[1:]
    middle = (height[:-1] + height[1:]) / 2.0
    weight = np.diff(pressure, axis=0) / gravity(latitude_deg, middle)
    scale_m = DRY_GAS_CONSTANT * temperature[0] / gravity(latitude_deg, height[0])
    above = pressure[0] / gravity(latitude_deg, height[0] + scale_m)
    _, wet_middle = _refractivity(
        np.sqrt(pressure[:-1] * pressure[1:]),
        (temperature[:-1] + temperature[1:]) / 2.0,
        (moisture[:-1] + moisture[1:]) / 2.0,
    )
    layers = K1_K_PER_PA * DRY_GAS_CONSTANT * weight + thickness * (wet[:-1] + 4.0 * wet_middle + wet[1:]) / 6.0
    delay = 1e-6 * np.cumsum(np.concatenate([(K1_K_PER_PA * DRY_GAS_CONSTANT * above)[None], layers]), axis=0)
    return _between_levels(height, delay, -1e-6 * (hydrostatic + wet), heights_m)


def _gravity_radius(latitude_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """Radius that makes the inverse square law fall as normal gravity does at the ellipsoid."""
    sine2 = np.sin(np.radians(latitude_deg)) ** 2
    radius: NDArray[np.float64] = 6_378_137.0 / (1.0 + 0.00335281068118 + 0.00344978600308 - 0.00670562136236 * sine2)
    return radius


def _vapour_pressure(pressure: Column, humidity: Column) -> NDArray[np.float64]:
    vapour: NDArray[np.float64] = pressure * humidity / (_RATIO + (1.0 - _RATIO) * humidity)
    return vapour


def _virtual(humidity: Column) -> NDArray[np.float64]:
    """Virtual temperature over temperature."""
    ratio: NDArray[np.float64] = 1.0 + (1.0 / _RATIO - 1.0) * humidity
    return ratio


def _refractivity(
    pressure: Column, temperature: Column, humidity: Column
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Hydrostatic and wet refractivity, parts per million."""
    vapour = _vapour_pressure(pressure, humidity)
    hydrostatic = K1_K_PER_PA * pressure / (temperature * _virtual(humidity))
    wet = _K2_WET * vapour / temperature + K3_K2_PER_PA * vapour / temperature**2
    return hydrostatic, wet


def _extended_down(
    pressure: Column,
    height: Column,
    temperature: Column,
    humidity: Column,
    latitude_deg: NDArray[np.float64],
    heights_m: NDArray[np.float64],
) -> tuple[Column, Column, Column, Column]:
    """The columns with one more level below: in hydrostatic balance, of the same humidity, warmer by the lapse rate.

    The lowest level, 1000 hPa, is above the sea at high pressure, and the shore of the Dead Sea is always below it.
    """
    lowest = np.minimum(height[-1], heights_m.min()) - _BELOW_M
    virtual = temperature[-1] * _virtual(humidity[-1])
    virtual_below = virtual + LAPSE_RATE_K_PER_M * (height[-1] - lowest)
    pull = gravity(latitude_deg, (height[-1] + lowest) / 2.0)
    pressure_below = pressure[-1] * (virtual_below / virtual) ** (pull / (DRY_GAS_CONSTANT * LAPSE_RATE_K_PER_M))
    below = (pressure_below, lowest, virtual_below / _virtual(humidity[-1]), humidity[-1])
    upper = (pressure, height, temperature, humidity)
    first, second, third, fourth = (np.vstack([a, b]) for a, b in zip(upper, below, strict=True))
    return first, second, third, fourth


def _between_levels(height: Column, value: Column, slope: Column, wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cubic Hermite interpolation of each column, (wanted, column); NaN above the uppermost level."""
    lower = np.sum(height[None, :, :] > wanted[:, None, None], axis=1)
    known = np.isfinite(height).all(axis=0) & (lower > 0)
    lower = np.clip(lower, 1, len(height) - 1)

    def at(array: Column, index: NDArray[np.intp]) -> NDArray[np.float64]:
        return np.take_along_axis(array, index, axis=0)

    span = at(height, lower - 1) - at(height, lower)
    t = (wanted[:, None] - at(height, lower)) / span
    rest = 1.0 - t
    interpolated = (
        (1.0 + 2.0 * t) * rest**2 * at(value, lower)
        + t**2 * (3.0 - 2.0 * t) * at(value, lower - 1)
        + span * t * rest * (rest * at(slope, lower) - t * at(slope, lower - 1))
    )
    return np.where(known, interpolated, np.nan)
