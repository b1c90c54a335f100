"""The displacement time series of an `insar` result: its dates, its place, and how the rate was fitted to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from affine import Affine

from insar.grid import Grid
from insar.layers import grid_of
from insar.timefunctions import TimeModel
from susceptibility.errors import InputError, MissingInputError
from susceptibility.projection import no_crs_error
from susceptibility.rate_design import model_of_time
from susceptibility.storage import open_raster

CUMULATIVE, RATE, RATE_STD, RECENT_RATE, ACCELERATION = (
    "cumulative_displacement",
    "velocity",
    "velocity_std",
    "velocity_recent",
    "acceleration",
)
FOLLOWED = (CUMULATIVE, RATE, RATE_STD, RECENT_RATE, ACCELERATION)
"""Layers that can be told at every date."""

_SERIES = "timeseries.h5"
_RECENT_DAYS = 60.0  # of `insar run` by default


@dataclass(frozen=True, slots=True)
class DisplacementSeries:
    """The time series of a result of `insar`, and how its rates were fitted.

    Attributes
    ----------
    path
        The file.
    dates
        Acquisition dates, in order.
    grid
        Of its pixels, which is that of the layers.
    terms
        Of the model of time.
    recent_days
        Length of the trailing window of the recent rate.
    uncertainty
        What the standard deviation of the rate was made of: only ``residual`` can be made of the series alone.
    """

    path: Path
    dates: tuple[date, ...]
    grid: Grid
    terms: TimeModel
    recent_days: float
    uncertainty: str

    def followed(self, layers: Sequence[str]) -> tuple[str, ...]:
        """Return those of some layers that can be told at every date, in the order of `FOLLOWED`."""
        possible = {CUMULATIVE, RATE, RECENT_RATE}
        if self.uncertainty == "residual":
            possible.add(RATE_STD)
        if self.terms.degree >= 2:
            possible.add(ACCELERATION)
        return tuple(name for name in FOLLOWED if name in possible and name in layers)


def open_series(result: Path) -> DisplacementSeries:
    """Open the time series of a result folder of `insar`.

    Raises
    ------
    MissingInputError
        The folder has no time series, or no manifest, which says how the rate was fitted.
    InputError
        It is damaged, has no place on the map, or is not in metres, or not on the grid of the result's layers.
    """
    path = result / _SERIES
    if not path.is_file():
        raise MissingInputError(
            path,
            required="the displacement time series of an insar result",
            found="no such file",
            remedy="Give the folder of `insar run`; results of `insar damage` or `insar coherence` have no series",
        )
    settings = _settings(result / "manifest.json")
    with opened_series(path) as source:
        attributes = {name: _text(value) for name, value in source.attrs.items()}
        dates = tuple(_parsed(_text(day), path) for day in source["date"][()])
        shape = source["timeseries"].shape
    if len(shape) != 3 or shape[0] != len(dates) or list(dates) != sorted(set(dates)):
        raise InputError(
            path,
            required="displacements (date, row, col) with as many dates, each later than the one before",
            found=f"shape {shape} and {len(dates)} dates",
            remedy="Run insar again",
        )
    if attributes.get("UNIT", "m") != "m":
        raise InputError(path, required="metres", found=f"unit {attributes['UNIT']!r}", remedy="Run insar again")
    grid = _grid(attributes, (int(shape[1]), int(shape[2])), path)
    _check_grid(result, grid)
    return DisplacementSeries(
        path,
        dates,
        grid,
        model_of_time(str(settings.get("model") or "linear"), result / "manifest.json"),
        float(settings.get("recent_days") or _RECENT_DAYS),
        str(settings.get("uncertainty") or "residual"),
    )


@contextmanager
def opened_series(path: Path) -> Iterator[Any]:
    """Open the file of a series; raises `InputError` where it is none."""
    import h5py

    try:
        source = h5py.File(path, "r")
    except OSError as error:
        raise InputError(
            path, required="an HDF5 file", found=str(error), remedy="Check that the file is whole"
        ) from error
    with source:
        absent = [name for name in ("timeseries", "date") if name not in source]
        if absent:
            raise InputError(
                path,
                required="the datasets `timeseries` and `date`",
                found=f"datasets: {', '.join(sorted(source)) or 'none'}",
                remedy="Give a result of insar",
            )
        yield source


def _settings(path: Path) -> dict[str, Any]:
    """Return what a manifest says of how a result was made."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        settings = content["configuration"]
    except FileNotFoundError:
        settings = None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            path, required="the manifest of an insar result", found=str(error), remedy="Run insar again"
        ) from error
    if not isinstance(settings, dict):
        raise MissingInputError(
            path,
            required="the manifest of the result, which says how its rate was fitted",
            found="none",
            remedy="Give a folder that `insar run` has finished",
        )
    return settings


def _check_grid(result: Path, grid: Grid) -> None:
    for name in (RATE, CUMULATIVE):
        path = result / "layers" / f"{name}.tif"
        if not path.is_file():
            continue
        with open_raster(path) as source:
            of_layer = grid_of(source)
        if not of_layer.same_as(grid):
            raise InputError(
                result / _SERIES,
                required=f"the grid of {path.name}: {of_layer.rows} x {of_layer.cols} pixels in {of_layer.crs}",
                found=f"{grid.rows} x {grid.cols} pixels in {grid.crs}",
                remedy="Series and layers are not of one run; run insar again",
            )


def _grid(attributes: dict[str, str], shape: tuple[int, int], path: Path) -> Grid:
    if "X_FIRST" not in attributes:
        raise no_crs_error(path)
    try:
        x, y, width, height = (float(attributes[name]) for name in ("X_FIRST", "Y_FIRST", "X_STEP", "Y_STEP"))
    except (KeyError, ValueError) as error:
        raise InputError(
            path,
            required="the attributes X_FIRST, Y_FIRST, X_STEP and Y_STEP as numbers",
            found=str(error),
            remedy="Run insar again",
        ) from error
    crs = attributes.get("CRS") or (f"EPSG:{attributes['EPSG']}" if attributes.get("EPSG", "").isdigit() else None)
    if crs is None:
        raise no_crs_error(path)
    return Grid(*shape, Affine(width, 0.0, x, 0.0, height, y), crs)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _parsed(text: str, path: Path) -> date:
    try:
        return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise InputError(path, required="dates as YYYYMMDD", found=f"{text!r}", remedy="Run insar again") from error
