"""Weather on pressure levels, as the Copernicus Climate Data Store delivers ERA5 in NetCDF.

A folder holds one file for each date, or files of many hours. Both generations of names are read: ``level`` and
``time`` of the old store, ``pressure_level`` and ``valid_time`` of the new one. Files without geopotential,
temperature and humidity on levels are passed over. Where two files hold an hour, that which covers more of the scene
counts. GRIB is not read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from insar.errors import InputError, MissingInputError
from insar.extras import import_extra

Result = TypeVar("Result")

_TIMES = ("valid_time", "time")
_LEVELS = ("pressure_level", "level", "isobaricInhPa", "plev")
_LATITUDES, _LONGITUDES = ("latitude", "lat"), ("longitude", "lon")
_GEOPOTENTIAL, _TEMPERATURE = ("z", "geopotential"), ("t", "temperature")
_SPECIFIC, _RELATIVE = ("q", "specific_humidity"), ("r", "relative_humidity")
_GRIB = (".grib", ".grb", ".grib2", ".grb2")
_PASCALS = {"pa": 1.0, "hpa": 100.0, "millibars": 100.0, "millibar": 100.0, "mbar": 100.0, "mb": 100.0}
_SAME_PLACE = 0.01  # of a step
_OPEN_ERRORS = (OSError, RuntimeError)


@dataclass(frozen=True, slots=True)
class WeatherHour:
    """The atmosphere at one hour on a lattice of places.

    Attributes
    ----------
    pressure_pa
        (level,).
    geopotential, temperature_k, humidity
        (level, lat, lon) m2/s2, K, and kg/kg or percent; NaN at places that the file does not have.
    humidity_is_relative
        Humidity is in percent of saturation, not kg/kg.
    """

    pressure_pa: NDArray[np.float64]
    geopotential: NDArray[np.float64]
    temperature_k: NDArray[np.float64]
    humidity: NDArray[np.float64]
    humidity_is_relative: bool


@dataclass(frozen=True, slots=True, eq=False)
class WeatherFile:
    """What one file holds: hours, levels and places, each in the file's own order."""

    path: Path
    hours: tuple[datetime, ...]
    pressure_pa: NDArray[np.float64]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]

    @property
    def step_deg(self) -> tuple[float, float]:
        """Of latitude and longitude."""
        return _step(self.latitude), _step(self.longitude)

    @property
    def words(self) -> str:
        """Its bounds, for messages."""
        return (
            f"west south east north = {self.longitude.min():g} {self.latitude.min():g} "
            f"{self.longitude.max():g} {self.latitude.max():g}"
        )

    def places(self, latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(lat, lon) which nodes of a lattice the file has."""
        rows, cols = self._indices(latitude, longitude)
        known: NDArray[np.bool_] = (rows[:, None] >= 0) & (cols[None, :] >= 0)
        return known

    def read(self, hour: datetime, latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> WeatherHour:
        """One of its hours at the nodes of a lattice; longitudes count by whole turns.

        Raises
        ------
        InputError
            The file cannot be read.
        """
        rows, cols = self._indices(latitude, longitude)
        at = self.hours.index(hour)

        def load(source: Any) -> WeatherHour:
            specific = _variable(source, _SPECIFIC)
            humidity = specific if specific is not None else _variable(source, _RELATIVE)
            geopotential, temperature, moisture = (
                _on_nodes(variable, at, rows, cols)
                for variable in (_variable(source, _GEOPOTENTIAL), _variable(source, _TEMPERATURE), humidity)
            )
            return WeatherHour(self.pressure_pa, geopotential, temperature, moisture, specific is None)

        return _with_open(self.path, load)

    def _indices(
        self, latitude: NDArray[np.float64], longitude: NDArray[np.float64]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Row and column of each node in the file, -1 where it has none."""
        lat_step, lon_step = self.step_deg
        rows = np.abs(self.latitude[None, :] - latitude[:, None])
        apart = self.longitude[None, :] - longitude[:, None]
        cols = np.abs(apart - 360.0 * np.round(apart / 360.0))
        return _nearest(rows, _SAME_PLACE * lat_step), _nearest(cols, _SAME_PLACE * lon_step)


def find_weather(folder: Path) -> tuple[WeatherFile, ...]:
    """Files with the atmosphere on pressure levels, sorted by name, in a folder and those below; or one file.

    Raises
    ------
    MissingInputError
        There is no such folder, or no file in it can be used.
    InputError
        A file cannot be read, or its coordinates make no sense.
    OptionError
        netCDF4 is not installed.
    """
    if not folder.exists():
        raise MissingInputError(
            folder, required="a folder of ERA5 files", found="no such folder", remedy="Check the path"
        )
    paths = [folder] if folder.is_file() else sorted(path for path in folder.rglob("*.nc") if path.is_file())
    files = tuple(file for path in paths if (file := _describe(path)) is not None)
    if files:
        return files
    if paths:
        found = f"{len(paths)} NetCDF files, none of which has all of these ({paths[0].name}, ...)"
        remedy = "Download 'ERA5 hourly data on pressure levels' with these variables"
    elif any(path.suffix.lower() in _GRIB for path in folder.rglob("*")):
        found, remedy = "GRIB files", "Download NetCDF instead, or convert with grib_to_netcdf"
    else:
        found, remedy = "no file named *.nc", "Download 'ERA5 hourly data on pressure levels' as NetCDF"
    raise MissingInputError(
        folder,
        required="NetCDF files with geopotential, temperature and specific or relative humidity on pressure levels",
        found=found,
        remedy=remedy,
    )


def _describe(path: Path) -> WeatherFile | None:
    """What a file holds; None where it is something else, such as weather at the surface."""

    def load(source: Any) -> WeatherFile | None:
        wanted = (_TIMES, _LEVELS, _LATITUDES, _LONGITUDES, _GEOPOTENTIAL, _TEMPERATURE, _SPECIFIC + _RELATIVE)
        variables = [_variable(source, names) for names in wanted]
        if any(variable is None for variable in variables) or not _has_levels(variables[4:]):
            return None
        times, levels, latitude, longitude = variables[:4]
        return WeatherFile(
            path,
            _hours(path, times),
            _pressures(path, levels),
            np.atleast_1d(_filled(latitude[...])),
            np.atleast_1d(_filled(longitude[...])),
        )

    file = _with_open(path, load)
    if file is not None and min(file.latitude.size, file.longitude.size) < 2:
        raise InputError(
            path,
            required="at least two latitudes and two longitudes around the scene",
            found=f"{file.latitude.size} and {file.longitude.size}",
            remedy="Download a larger area",
        )
    return file


def _with_open(path: Path, load: Callable[[Any], Result]) -> Result:
    library = import_extra("netCDF4", "weather", "ERA5 files")
    try:
        with library.Dataset(path) as source:
            return load(source)
    except _OPEN_ERRORS as error:
        raise InputError(
            path,
            required="a NetCDF file that can be read",
            found=str(error) or type(error).__name__,
            remedy="Download it again; the Climate Data Store may deliver a ZIP archive that has to be unpacked",
        ) from error


def _variable(source: Any, names: Sequence[str]) -> Any:
    return next((source.variables[name] for name in names if name in source.variables), None)


def _has_levels(variables: Sequence[Any]) -> bool:
    return all(
        any(name in group for name in variable.dimensions)
        for variable in variables
        for group in (_LEVELS, _LATITUDES, _LONGITUDES)
    )


def _hours(path: Path, times: Any) -> tuple[datetime, ...]:
    library = import_extra("netCDF4", "weather", "ERA5 files")
    stored = np.atleast_1d(np.ma.getdata(times[...]))
    unit, calendar = getattr(times, "units", ""), getattr(times, "calendar", "standard")
    try:
        moments = library.num2date(
            stored, unit, calendar, only_use_cftime_datetimes=False, only_use_python_datetimes=True
        )
    except ValueError as error:
        raise InputError(
            path,
            required="times such as 'hours since 1900-01-01'",
            found=f"the unit {unit!r}",
            remedy="Download it again",
        ) from error
    # Hours stored as fractions of days come out a few microseconds off.
    return tuple((moment + timedelta(milliseconds=500)).replace(microsecond=0) for moment in np.atleast_1d(moments))


def _pressures(path: Path, levels: Any) -> NDArray[np.float64]:
    unit = str(getattr(levels, "units", "hPa")).strip().lower()
    if unit not in _PASCALS:
        raise InputError(
            path,
            required="pressure levels in hPa or Pa",
            found=f"levels in {unit}",
            remedy="Download 'ERA5 hourly data on pressure levels'",
        )
    return np.atleast_1d(_filled(levels[...])) * _PASCALS[unit]


def _on_nodes(variable: Any, at: int, rows: NDArray[np.intp], cols: NDArray[np.intp]) -> NDArray[np.float64]:
    """(level, lat, lon) of one hour on some rows and columns of the file, NaN where they are -1.

    Dimensions beside these are those of versions and ensembles: ERA5 and its preliminary release stand side by side
    in ``expver``, each NaN where the other has values.
    """
    row_window, col_window = _window(rows), _window(cols)
    chosen = {
        **dict.fromkeys(_TIMES, at),
        **dict.fromkeys(_LATITUDES, row_window),
        **dict.fromkeys(_LONGITUDES, col_window),
    }
    names = variable.dimensions
    values = _filled(variable[tuple(chosen.get(name, slice(None)) for name in names)])
    left = [name for name in names if name not in _TIMES]
    kept = [
        next(axis for axis, name in enumerate(left) if name in group) for group in (_LEVELS, _LATITUDES, _LONGITUDES)
    ]
    extra = [axis for axis in range(len(left)) if axis not in kept]
    values = np.transpose(values, (*extra, *kept)).reshape(-1, *(values.shape[axis] for axis in kept))
    merged = values[0]
    for other in values[1:]:
        merged = np.where(np.isnan(merged), other, merged)
    on_nodes = merged[:, np.maximum(rows - row_window.start, 0)][:, :, np.maximum(cols - col_window.start, 0)]
    return np.where((rows[:, None] >= 0) & (cols[None, :] >= 0), on_nodes, np.nan)


def _window(indices: NDArray[np.intp]) -> slice:
    """What has to be read of an axis."""
    known = indices[indices >= 0]
    return slice(int(known.min()), int(known.max()) + 1) if known.size else slice(0, 1)


def _filled(values: Any) -> NDArray[np.float64]:
    filled: NDArray[np.float64] = np.ma.filled(np.ma.asarray(values, np.float64), np.nan)
    return filled


def _step(values: NDArray[np.float64]) -> float:
    # The least, not the usual one: longitudes may begin anew on the way.
    return float(np.diff(np.unique(values)).min())


def _nearest(distance: NDArray[np.float64], allowed: float) -> NDArray[np.intp]:
    best = np.argmin(distance, axis=1)
    return np.where(np.take_along_axis(distance, best[:, None], 1)[:, 0] <= allowed, best, -1)
