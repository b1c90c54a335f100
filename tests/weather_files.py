"""Atmospheres whose delay is known, and ERA5-like files of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LEVELS_HPA = np.concatenate(
    [
        [1, 2, 3, 5, 7, 10, 20, 30, 50, 70, 100],
        np.arange(125, 250, 25),
        np.arange(250, 750, 50),
        np.arange(750, 1001, 25),
    ]
).astype(np.float64)
"""The 37 pressure levels of ERA5."""

STANDARD_GRAVITY, DRY, VAPOUR = 9.80665, 287.0597, 461.5250
_STEP_M = 5.0


class Atmosphere:
    """A column like that of a radiosonde, finely sampled, in hydrostatic balance.

    Temperature falls by the lapse rate up to a tropopause; humidity falls exponentially, with a moist layer in it.
    """

    def __init__(
        self,
        *,
        pressure_pa: float = 101_325.0,
        temperature_k: float = 290.0,
        humidity: float = 0.009,
        humidity_scale_m: float = 2200.0,
        lapse: float = 0.0065,
        lat: float = 45.0,
    ) -> None:
        self.gp_height = np.arange(-500.0, 60_000.0, _STEP_M)  # geopotential metres
        self.temperature = np.maximum(temperature_k - lapse * self.gp_height, temperature_k - lapse * 11_000.0)
        wave = 1.0 + 0.3 * np.exp(-(((self.gp_height - 2500.0) / 700.0) ** 2))
        self.humidity = humidity * np.exp(-self.gp_height / humidity_scale_m) * wave
        virtual = self.temperature * (1.0 + (VAPOUR / DRY - 1.0) * self.humidity)
        fall = -STANDARD_GRAVITY / (DRY * virtual)
        log_pressure = _cumulative(fall, self.gp_height)
        at_sea = np.interp(0.0, self.gp_height, log_pressure)
        self.pressure = pressure_pa * np.exp(log_pressure - at_sea)
        # Geometric height by the normal gravity of WGS 84 and the radius of the International Meteorological Tables.
        sine2 = np.sin(np.radians(lat)) ** 2
        surface = 9.7803253359 * (1 + 0.00193185265241 * sine2) / np.sqrt(1 - 0.00669437999013 * sine2)
        radius = 6_378_137.0 / (1.006803 - 0.006706 * sine2)
        self.height = self.gp_height * radius / (surface / STANDARD_GRAVITY * radius - self.gp_height)

    def delay(self, height_m: float | NDArray) -> NDArray:
        """Zenith delay, metres, by the trapezoidal rule on the three terms of refractivity."""
        vapour = self.pressure * self.humidity / (DRY / VAPOUR + (1 - DRY / VAPOUR) * self.humidity)
        refractivity = (
            77.6e-2 * (self.pressure - vapour) / self.temperature
            + 70.4e-2 * vapour / self.temperature
            + 3.739e3 * vapour / self.temperature**2
        )
        above = 77.6e-2 * DRY * self.pressure[-1] / 9.62  # beyond 60 km
        from_top = 1e-6 * (above - _cumulative(refractivity[::-1], self.height[::-1])[::-1])
        return np.interp(height_m, self.height, from_top)

    def on_levels(self, levels_hpa: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """Geopotential (m2/s2), temperature and specific humidity at pressure levels."""
        gp_height = np.interp(-np.log(levels_hpa * 100.0), -np.log(self.pressure), self.gp_height)
        return (
            STANDARD_GRAVITY * gp_height,
            np.interp(gp_height, self.gp_height, self.temperature),
            np.interp(gp_height, self.gp_height, self.humidity),
        )


Weather = Callable[[datetime, float, float], Atmosphere]
"""The column at a moment, a latitude and a longitude."""


def write_era5(
    path: Path,
    weather: Weather,
    hours: list[datetime],
    lat: NDArray,
    lon: NDArray,
    *,
    new_names: bool = True,
    levels_hpa: NDArray = LEVELS_HPA,
    packed: bool = False,
    relative: Callable[[NDArray, NDArray, NDArray], NDArray] | None = None,
    versions: bool = False,
) -> Path:
    """Write a file as the old or the new Climate Data Store would.

    Parameters
    ----------
    relative
        From specific humidity, temperature and pressure in Pa to relative humidity in percent, to be written instead.
    packed
        As 16-bit integers with a scale, as the old store did.
    versions
        With ERA5 and its preliminary release side by side in ``expver``.
    """
    import netCDF4

    fields = np.array([[[weather(hour, y, x).on_levels(levels_hpa) for x in lon] for y in lat] for hour in hours])
    geopotential, temperature, humidity = np.moveaxis(fields, (3, 4), (0, 2))
    values = {"z": geopotential, "t": temperature, "q": humidity}
    if relative is not None:
        values["r"] = relative(values.pop("q"), temperature, levels_hpa[None, :, None, None] * 100.0)
    time_name, level_name = ("valid_time", "pressure_level") if new_names else ("time", "level")
    with netCDF4.Dataset(path, "w", format="NETCDF4" if new_names else "NETCDF3_64BIT_OFFSET") as sink:
        axes = {time_name: len(hours), level_name: len(levels_hpa), "latitude": len(lat), "longitude": len(lon)}
        for name, size in axes.items():
            sink.createDimension(name, size)
        times = sink.createVariable(time_name, "i8" if new_names else "i4", (time_name,))
        times.units = "seconds since 1970-01-01" if new_names else "hours since 1900-01-01 00:00:00.0"
        times.calendar = "proleptic_gregorian" if new_names else "gregorian"
        epoch, unit_s = (datetime(1970, 1, 1), 1) if new_names else (datetime(1900, 1, 1), 3600)  # noqa: DTZ001
        times[:] = [round((hour - epoch).total_seconds() / unit_s) for hour in hours]
        levels = sink.createVariable(level_name, "f8" if new_names else "i4", (level_name,))
        levels.units = "hPa" if new_names else "millibars"
        levels[:] = levels_hpa
        sink.createVariable("latitude", "f4", ("latitude",))[:] = lat
        sink.createVariable("longitude", "f4", ("longitude",))[:] = lon
        if new_names:  # what else the new store puts beside
            sink.createVariable("number", "i8", ())[...] = 0
            sink.createVariable("expver", str, (time_name,))[:] = np.array(["0001"] * len(hours), dtype=object)
        dimensions = tuple(axes)
        if versions:
            sink.createDimension("expver", 2)
            sink.createVariable("expver", "i4", ("expver",))[:] = [1, 5]
            dimensions = (time_name, "expver", level_name, "latitude", "longitude")
        for name, content in values.items():
            stored = content
            if versions:
                stored = np.stack([content, np.full_like(content, np.nan)], axis=1)
                stored[-1] = stored[-1, ::-1]
            kind = "i2" if packed else "f4"
            variable = sink.createVariable(name, kind, dimensions, fill_value=-32767 if packed else np.float32(np.nan))
            if packed:
                variable.scale_factor = np.ptp(content) / 65_000.0
                variable.add_offset = (content.max() + content.min()) / 2.0
            variable[:] = stored
    return path


def utc(text: str) -> datetime:
    """A moment of a text such as ``2020-01-01T06:00``, without a time zone."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).replace(tzinfo=None)


def _cumulative(values: NDArray, at: NDArray) -> NDArray:
    return np.concatenate([[0.0], np.cumsum((values[1:] + values[:-1]) / 2.0 * np.diff(at))])
