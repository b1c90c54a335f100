"""GACOS: maps of the zenith total delay, ``<date>.ztd`` with ``<date>.ztd.rsc``, or ``<date>.ztd.tif``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
from affine import Affine

from insar.days import parse_day
from insar.delay_maps import ZenithDelay, require_dates
from insar.errors import InputError, MissingInputError
from insar.grid import Grid
from insar.readers.attributes import number_of, read_rsc
from insar.readers.crs import WGS84
from insar.readers.files import OpenFiles
from insar.readers.flat import FlatBand
from insar.readers.geotiff import OpenRasters, RasterLayer, RasterPlane, read_geotiff
from insar.readers.sources import FlatPlane, Layer, plane_of
from insar.stack import Plane

_NAME = re.compile(r"(\d{8})\.ztd(\.tif)?$", re.IGNORECASE)

DELAY_LIMITS_M = (0.3, 5.0)
"""From above the highest summit to hot and humid air at the sea: anything else is no zenith total delay in metres."""


def read_gacos(folder: Path, dates: Sequence[date]) -> tuple[ZenithDelay, ...]:
    """Open the maps of some dates without reading them but for a row, to see that they hold delays.

    Parameters
    ----------
    folder
        With the files of all dates; they may cover different areas.
    dates
        Dates that are needed.

    Returns
    -------
    One map for each date, in their order. ``X_FIRST`` and ``Y_FIRST`` of a header are the centre of the first pixel.
    0 is no data.

    Raises
    ------
    MissingInputError
        The folder or files are absent; lists all dates without.
    InputError
        A file is not what its header says, or holds no delays in metres.
    """
    if not folder.is_dir():
        raise MissingInputError(
            folder,
            required="a folder of GACOS files, for --gacos",
            found="no such folder",
            remedy="Correct the path, or choose another --troposphere",
        )
    found: dict[date, Path] = {}
    for path in sorted(folder.iterdir()):
        match = _NAME.match(path.name)
        day = None if match is None else _day(match[1])
        if day is not None:
            found.setdefault(day, path)  # the flat file of a date sorts before its GeoTIFF
    require_dates(str(folder), dates, found)
    files, rasters = OpenFiles(), OpenRasters()
    delays = tuple(
        _open_geotiff(found[day], day, rasters)
        if found[day].suffix.lower() == ".tif"
        else _open_flat(found[day], day, files)
        for day in dates
    )
    for delay in delays:
        _require_delays(found[delay.day], delay)
    return delays


def _open_flat(path: Path, day: date, files: OpenFiles) -> ZenithDelay:
    header = path.with_name(path.name + ".rsc")
    if not header.is_file():
        raise MissingInputError(
            header, required=f"the header of {path.name}", found="no such file", remedy="Copy it from the download"
        )
    entries = read_rsc(header)
    names = ("FILE_LENGTH", "WIDTH", "X_FIRST", "Y_FIRST", "X_STEP", "Y_STEP")
    values = [number_of(header, entries, name) for name in names]
    if None in values:
        raise InputError(
            header,
            required="numbers as " + ", ".join(names),
            found="no " + ", ".join(name for name, value in zip(names, values, strict=True) if value is None),
            remedy="Copy the header again from the download",
        )
    rows, cols, x_first, y_first, x_step, y_step = (float(value) for value in values if value is not None)
    if x_step <= 0 or y_step >= 0 or abs(x_first) > 360 or abs(y_first) > 90 or min(rows, cols) < 1:
        raise InputError(
            header,
            required="a map in degrees with north up: WIDTH, FILE_LENGTH and X_STEP positive, Y_STEP negative",
            found=f"{rows:g} rows x {cols:g} columns from {x_first:g}, {y_first:g} in steps of {x_step:g}, {y_step:g}",
            remedy="Copy the header again from the download",
        )
    # Delays are computed at the posts of a height model: the first one lies at X_FIRST, Y_FIRST.
    transform = Affine(x_step, 0.0, x_first - x_step / 2.0, 0.0, y_step, y_first - y_step / 2.0)
    grid = Grid(round(rows), round(cols), transform, WGS84)
    band = FlatBand(path, "<f4", *grid.shape)
    band.check_file()
    return ZenithDelay(day, grid, plane_of(FlatPlane(Layer(band), files), grid), _utc_s(entries.get("TIME_OF_DAY")))


def _open_geotiff(path: Path, day: date, rasters: OpenRasters) -> ZenithDelay:
    raster = read_geotiff(path)
    if not raster.grid.is_geographic:
        raise InputError(
            path,
            required="a map in degrees of longitude and latitude, as GACOS delivers it",
            found=f"{raster.grid.crs}",
            remedy="Use the file as it was downloaded",
        )
    layer = RasterLayer.on_grid(raster, raster.grid, raster.decoding(0.0))
    return ZenithDelay(day, raster.grid, Plane(RasterPlane(layer, rasters), *raster.grid.shape))


def _require_delays(path: Path, delay: ZenithDelay) -> None:
    """Refuse other quantities, units and byte orders, from the middle row."""
    row = delay.grid.rows // 2
    values = np.asarray(delay.delay_m.read(slice(row, row + 1), slice(None)), np.float64)
    known = values[np.isfinite(values)]
    if known.size and not DELAY_LIMITS_M[0] <= float(np.median(known)) <= DELAY_LIMITS_M[1]:
        raise InputError(
            path,
            required=f"zenith total delays in metres, from {DELAY_LIMITS_M[0]:g} to {DELAY_LIMITS_M[1]:g}",
            found=f"{float(np.median(known)):.4g} in the middle row",
            remedy="Give the .ztd files as GACOS delivers them (little-endian float32), not differences of them",
        )


def _day(text: str) -> date | None:
    try:
        return parse_day(text)
    except ValueError:
        return None


def _utc_s(text: str | None) -> float | None:
    """Seconds of the day of a time such as ``12.350000UTC`` (hours); None where it is no such time."""
    match = re.match(r"\s*(\d+(?:\.\d*)?)", text or "")
    hours = None if match is None else float(match[1])
    return None if hours is None or hours > 24.0 else 3600.0 * hours
