"""Layers of an `insar` result as they were at earlier dates, from its displacement time series.

What was known at a date is taken from the dates up to it: the displacement then, and the rate by the same least squares
that `insar` fits to the whole series. The series itself is the finished one. Its inversion, its reference and its
corrections rest on all interferograms, those after the date too.

Layers are brought onto the study grid in the way of `susceptibility.storage`, a tile at a time and all dates of it at
once, so that the file is read once and memory grows neither with the scene nor with the number of epochs kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from insar.layers import row_slices
from susceptibility.displacement_series import (
    ACCELERATION,
    CUMULATIVE,
    RATE,
    RATE_STD,
    RECENT_RATE,
    DisplacementSeries,
    opened_series,
)
from susceptibility.errors import InputError, OptionError
from susceptibility.projection import PixelPlaces
from susceptibility.rate_design import LEAST_RECENT_DATES, SeriesFit, plan_fit
from susceptibility.storage import AVERAGED_WHEN_FINER_BY, Resampling

LEAST_DATES = 5
"""Dates that a rate is fitted to at least, unless another number is asked for."""

_BYTES_AT_ONCE = 192 * 2**20
_LARGEST_TILE = 512
_MARGIN = 3  # source pixels beside a place that interpolation may need, as in `storage`


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
    with opened_series(series.path) as source:
        yield EpochLayers(source, series, epochs, layers, grid)


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
