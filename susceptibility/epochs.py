"""Layers of an `insar` result as they were at earlier dates, from its displacement time series.

What was known at a date is taken from the dates up to it: the displacement then, and the rate by the same least squares
that `insar` fits to the whole series. The series itself is the finished one. Its inversion, its reference and its
corrections rest on all interferograms, those after the date too.

Layers are brought onto the study grid in the way of `susceptibility.storage`, a tile at a time and all dates of it at
once, so that the file is read once and memory grows neither with the scene nor with the number of epochs kept.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.grid import Grid
from insar.layers import grid_of, row_slices
from susceptibility.errors import InputError, MissingInputError, OptionError
from susceptibility.projection import PixelPlaces, no_crs_error
from susceptibility.rate_design import LEAST_RECENT_DATES, SeriesFit, TimeTerms, parse_terms, plan_fit
from susceptibility.storage import AVERAGED_WHEN_FINER_BY, Resampling, open_raster

logger = logging.getLogger(__name__)

LEAST_DATES = 5
"""Dates that a rate is fitted to at least, unless another number is asked for."""

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
_RECENT_DAYS = 60.0
_BYTES_AT_ONCE = 192 * 2**20
_LARGEST_TILE = 512
_MARGIN = 3  # source pixels beside a place that interpolation may need, as in `storage`


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
    terms: TimeTerms
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


@dataclass(frozen=True, slots=True)
class Epoch:
    """One date that layers are told at.

    Attributes
    ----------
    date
        The last date that is looked at.
    fit
        What is read from the series.
    """

    date: date
    fit: SeriesFit


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
            remedy="Give the folder of `insar run` or `insar invert`; results of `insar damage` or `coherence` have none",
        )
    settings = _settings(result / "manifest.json")
    with _opened(path) as source:
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
        parse_terms(str(settings.get("model") or "linear"), result / "manifest.json"),
        float(settings.get("recent_days") or _RECENT_DAYS),
        str(settings.get("uncertainty") or "residual"),
    )


def plan_epochs(
    series: DisplacementSeries, layers: Sequence[str], *, least_dates: int = LEAST_DATES, every: int = 1
) -> tuple[tuple[Epoch, ...], dict[date, str]]:
    """Choose the dates at which layers can be told.

    Parameters
    ----------
    series
        From `open_series`.
    layers
        Which of `FOLLOWED`.
    least_dates
        A rate is not fitted to fewer.
    every
        Take every so many dates, counted back from the last, which is always one of them.

    Returns
    -------
    epochs
        In time.
    skipped
        Why a date among those is none, by the date.

    Raises
    ------
    OptionError
        `every` or `least_dates` is too small, or fewer than two epochs are left.
    """
    if least_dates < 3 or every < 1:
        raise OptionError(
            "epochs",
            required="3 dates or more for a rate, and every 1st epoch or more",
            found=f"{least_dates} dates, every {every}",
            remedy="Correct it",
        )
    epochs, skipped = [], {}
    for last in sorted(range(len(series.dates) - 1, -1, -every)):
        until = series.dates[: last + 1]
        fit = plan_fit(series.terms, until, series.recent_days, least_dates)
        if isinstance(fit, str):
            skipped[until[-1]] = fit
        elif RECENT_RATE in layers and not fit.has_recent:
            skipped[until[-1]] = f"fewer than {LEAST_RECENT_DATES} dates in the last {series.recent_days:g} days"
        else:
            epochs.append(Epoch(until[-1], fit))
    if len(epochs) < 2:
        raise OptionError(
            f"epochs of {series.path}",
            required="at least two dates at which the rate is known",
            found=f"{len(epochs)} of {len(series.dates)} dates; " + _first_reason(skipped),
            remedy="Use a longer series, a model of time with fewer terms, or a smaller number of dates for a rate",
        )
    return tuple(epochs), skipped


class EpochLayers:
    """Layers at some epochs on the study grid, read by rows; made by `open_epochs`.

    Rows may be read in any order and number: each pixel comes out the same, bit by bit.

    Parameters
    ----------
    source
        The open file.
    series, epochs, layers
        What is read.
    grid
        Of the study.
    """

    def __init__(
        self, source: Any, series: DisplacementSeries, epochs: Sequence[Epoch], layers: Sequence[str], grid: Grid
    ) -> None:
        self.epochs = tuple(epochs)
        self.layers = tuple(layers)
        self.grid = grid
        self._dataset = source["timeseries"]
        self._path = series.path
        self._places = PixelPlaces.between(grid, series.grid)
        if not self._places.overlap:
            raise InputError(
                series.path,
                required="a time series that reaches the study grid",
                found="one of another area",
                remedy="Check the area of both",
            )
        self._resampling = _chosen_resampling(self._places)
        self._dates_needed = self.epochs[-1].fit.dates
        planes = self._dates_needed + len(self.epochs) * len(self.layers) + 8
        pixels = max(1, _BYTES_AT_ONCE // (4 * planes))
        finer_by = max(self._places.finer_by, 1e-3)
        self._side = max(1, min(_LARGEST_TILE, int((pixels**0.5 - 2 * _MARGIN) / max(finer_by, 1.0))))

    def read(self, rows: slice) -> NDArray[np.float32]:
        """Values (epoch, layer, row, col) of full rows of the study grid, in the layers' units, NaN where unknown."""
        shape = (len(self.epochs), len(self.layers), rows.stop - rows.start, self.grid.cols)
        values = np.full(shape, np.nan, np.float32)
        for tile_rows in row_slices(shape[2], self._side):
            for tile_cols in row_slices(shape[3], self._side):
                self._fill(values[:, :, tile_rows, tile_cols], rows.start + tile_rows.start, tile_cols.start)
        return values

    def _fill(self, values: NDArray[np.float32], row_start: int, col_start: int) -> None:
        """Tell one tile, whose first pixel is given, in place."""
        from susceptibility.kernels import resampling as kernels

        rows = slice(row_start, row_start + values.shape[2])
        cols = slice(col_start, col_start + values.shape[3])
        averages = self._resampling == "average"
        row, col = self._places.corners(rows, cols) if averages else self._places.centres(rows, cols)
        margin = 0 if averages else _MARGIN
        needed_rows = _span(row, self._places.source.rows, margin)
        needed_cols = _span(col, self._places.source.cols, margin)
        if needed_rows.start >= needed_rows.stop or needed_cols.start >= needed_cols.stop:
            return
        part = self._tell(needed_rows, needed_cols)
        first = needed_rows.start, needed_cols.start
        for epoch in range(part.shape[0]):
            for layer in range(part.shape[1]):
                resampled = np.empty(row.shape if not averages else values.shape[2:], np.float32)
                match self._resampling:
                    case "nearest":
                        kernels.sample_nearest(part[epoch, layer], *first, row, col, resampled)
                    case "bilinear":
                        kernels.sample_bilinear(part[epoch, layer], *first, row, col, resampled)
                    case _:
                        kernels.average_footprint(part[epoch, layer], *first, row, col, 0.0, resampled)
                values[epoch, layer] = resampled

    def _tell(self, rows: slice, cols: slice) -> NDArray[np.float32]:
        """Layers (epoch, layer, row, col) of some pixels of the series."""
        try:
            read = self._dataset[: self._dates_needed, rows, cols]
        except OSError as error:
            raise InputError(
                self._path, required="a file that is whole", found=str(error), remedy="Run insar again"
            ) from error
        series = np.ascontiguousarray(read, np.float32).reshape(self._dates_needed, -1)
        told = np.stack([layers_until(series, epoch.fit, self.layers) for epoch in self.epochs])
        return told.reshape(len(self.epochs), len(self.layers), rows.stop - rows.start, cols.stop - cols.start)


def layers_until(series: NDArray[np.float32], fit: SeriesFit, layers: Sequence[str]) -> NDArray[np.float32]:
    """Layers at the last date of a fit.

    Parameters
    ----------
    series
        (date, pixel) displacement in metres; dates after those of the fit are not looked at.
    fit
        From `susceptibility.rate_design.plan_fit`.
    layers
        Which of `FOLLOWED`.

    Returns
    -------
    (layer, pixel) float32
        In the layers' units; NaN where the series has a gap.
    """
    from susceptibility.kernels.epochs import fit_until

    count, pixels = len(fit.weights), series.shape[1]
    values, squares = np.empty((count, pixels)), np.empty(pixels)
    fit_until(series, fit.design, fit.weights, values, squares)
    dates, terms = fit.design.shape
    known = np.isfinite(values[0])  # the mean: a weight of 0 would let a gap pass
    found: dict[str, NDArray[Any]] = {CUMULATIVE: series[dates - 1] - series[0], RATE: values[1]}
    if RATE_STD in layers:
        found[RATE_STD] = np.sqrt(squares / (dates - terms) * fit.spread[1, 1])
    if ACCELERATION in layers:
        found[ACCELERATION] = 2.0 * values[2]
    if fit.has_recent:
        found[RECENT_RATE] = values[-1]
    for name in (RATE, RATE_STD, ACCELERATION):
        if name in found:
            found[name] = np.where(known, found[name], np.nan)
    return np.stack([found[name].astype(np.float32) for name in layers])


@contextmanager
def open_epochs(
    series: DisplacementSeries, epochs: Sequence[Epoch], layers: Sequence[str], grid: Grid
) -> Iterator[EpochLayers]:
    """Open layers at some epochs, to be read on the study grid a slice of rows at a time.

    Parameters
    ----------
    series
        From `open_series`.
    epochs
        From `plan_epochs`, for the same layers.
    layers
        From `DisplacementSeries.followed`.
    grid
        Of the study, projected.

    Raises
    ------
    InputError
        The series does not reach the grid, or the file is damaged.
    """
    with _opened(series.path) as source:
        yield EpochLayers(source, series, epochs, layers, grid)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
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


def _chosen_resampling(places: PixelPlaces) -> Resampling:
    """Return what `storage.open_aligned` takes for a continuous quantity."""
    if places.coincide:
        return "nearest"
    return "average" if places.finer_by > AVERAGED_WHEN_FINER_BY else "bilinear"


def _span(places: NDArray[np.float64], size: int, margin: int) -> slice:
    """Pixels 0 to `size` that places reach, with a margin; empty where none is finite."""
    finite = places[np.isfinite(places)]
    if not finite.size:
        return slice(0, 0)
    first = int(np.clip(np.floor(finite.min()) - margin, 0, size))
    last = int(np.clip(np.ceil(finite.max()) + margin, 0, size))
    return slice(first, last)


def _first_reason(skipped: dict[date, str]) -> str:
    return f"at {max(skipped):%Y-%m-%d}: {skipped[max(skipped)]}" if skipped else "there are no more"


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _parsed(text: str, path: Path) -> date:
    try:
        return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise InputError(path, required="dates as YYYYMMDD", found=f"{text!r}", remedy="Run insar again") from error
