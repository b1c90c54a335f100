"""Features of mapping units at every epoch: those that follow the time series of `insar`, the others as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.layers import row_slices
from susceptibility.dataset import Dataset, Rows
from susceptibility.displacement_series import RATE, RATE_STD, DisplacementSeries
from susceptibility.epochs import Epoch, EpochLayers, open_epochs
from susceptibility.errors import OptionError
from susceptibility.insar_layers import open_result, values_on_grid
from susceptibility.motion import MotionOptions, motion_of_units
from susceptibility.workers import Progress

_ABSOLUTE = "_absolute"
_ROWS_AT_ONCE = 128


@dataclass(frozen=True, slots=True)
class FollowedColumn:
    """A feature that is told anew at every epoch.

    Attributes
    ----------
    name
        Of the feature.
    position
        Column of the features that the models see.
    layer
        Of `susceptibility.displacement_series.FOLLOWED`.
    is_absolute
        Whether it is of the absolute value.
    statistic
        Of the cells of a unit, see `susceptibility.motion.UnitMotion`; None where a unit is a cell.
    """

    name: str
    position: int
    layer: str
    is_absolute: bool
    statistic: str | None


def followed_columns(
    data: Dataset, names: Sequence[str], series: DisplacementSeries
) -> tuple[tuple[FollowedColumn, ...], tuple[str, ...]]:
    """Find the features that can be told at every epoch.

    Parameters
    ----------
    data
        Joined from the result that the series is of.
    names
        Features that the models see, in order.
    series
        From `open_series`.

    Returns
    -------
    followed
        In the order of `names`.
    constant
        Features of `insar` that stay as they are in the result.

    Raises
    ------
    OptionError
        None can be followed.
    """
    factor_of = {column: factor for factor, columns in data.members.items() for column in columns}
    followed, constant = [], []
    for position, name in enumerate(names):
        if data.feature(name).group != "insar":
            continue
        factor = factor_of.get(name, name)
        layer = factor.removesuffix(_ABSOLUTE)
        if not series.followed([layer]):
            constant.append(name)
            continue
        statistic = name.removeprefix(factor).removeprefix("_") or None
        followed.append(FollowedColumn(name, position, layer, factor != layer, statistic))
    if not followed:
        raise OptionError(
            "features that change with time",
            required="velocity, cumulative_displacement or velocity_recent in the feature set",
            found="none among " + ", ".join(names),
            remedy="Choose a feature set with InSAR, or add these layers to [factors.insar]",
        )
    return tuple(followed), tuple(constant)


@dataclass(frozen=True, slots=True)
class EpochColumns:
    """Values of the followed features at every epoch, in a file; made by `make_epoch_columns`.

    Attributes
    ----------
    epochs
        In time.
    columns
        The features.
    data
        Of which the other features are.
    names
        Features that the models see, in order.
    values
        (epoch, layer, cell) for cells, read through `index`; (epoch, column, unit) for larger units.
    index
        Layer of each column; empty for larger units.
    """

    epochs: tuple[Epoch, ...]
    columns: tuple[FollowedColumn, ...]
    data: Dataset
    names: tuple[str, ...]
    values: NDArray[np.float32]
    index: tuple[int, ...]

    @property
    def layers(self) -> tuple[str, ...]:
        """Layers that the columns come from, each once."""
        return tuple(dict.fromkeys(column.layer for column in self.columns))

    @property
    def sources(self) -> list[list[int]]:
        """Columns that the models see, of each of `layers`."""
        return [[column.position for column in self.columns if column.layer == layer] for layer in self.layers]

    def column(self, epoch: int, number: int, rows: Rows) -> NDArray[np.float32]:
        """Values (row,) of one followed column at one epoch."""
        if not self.index:
            return np.asarray(self.values[epoch, number, rows])
        values = np.asarray(self.values[epoch, self.index[number]][self.data.number(rows)])
        return np.abs(values) if self.columns[number].is_absolute else values

    def matrix(self, epoch: int, rows: Rows) -> NDArray[np.float32]:
        """Values (row, feature) that the models see at one epoch."""
        block = self.data.matrix(rows, self.names)
        for number, column in enumerate(self.columns):
            block[:, column.position] = self.column(epoch, number, rows)
        return block

    def differences(self) -> dict[str, tuple[float, int]]:
        """Largest difference of each feature at the last epoch from that of the result, and rows known in one alone."""
        found = {}
        for number, column in enumerate(self.columns):
            largest, alone = 0.0, 0
            for rows in self.data.blocks():
                own = np.asarray(self.data.columns[column.name](rows), np.float64)
                last = self.column(len(self.epochs) - 1, number, rows).astype(np.float64)
                both = np.isfinite(own) & np.isfinite(last)
                alone += int(np.count_nonzero(np.isfinite(own) != np.isfinite(last)))
                if both.any():
                    largest = max(largest, float(np.abs(own[both] - last[both]).max()))
            found[column.name] = largest, alone
        return found


def make_epoch_columns(
    series: DisplacementSeries,
    epochs: Sequence[Epoch],
    columns: Sequence[FollowedColumn],
    data: Dataset,
    names: Sequence[str],
    folder: Path,
    *,
    motion: MotionOptions | None = None,
    progress: Progress | None = None,
) -> EpochColumns:
    """Bring the followed features of all epochs onto the units of a study, into a file.

    Parameters
    ----------
    series, epochs
        From `open_series` and `plan_epochs`.
    columns
        From `followed_columns`.
    data, names
        Features that the models see.
    folder
        Working folder, needed as long as the columns are.
    motion
        When a pixel moves, as in the recipe; of larger units.
    progress
        Told of rows and epochs.
    """
    grid = data.grid
    if data.units is None or grid is None:
        raise OptionError(
            "map at every epoch", required="units on a grid", found="a table that was given", remedy="Give rasters"
        )
    is_cells = data.kind == "cells"
    wanted = [column.layer for column in columns]
    if not is_cells and RATE in wanted:
        wanted.append(RATE_STD)  # tells which pixels of a unit move
    layers = series.followed(wanted)
    folder.mkdir(parents=True, exist_ok=True)
    shape = (len(epochs), len(layers), *grid.shape)
    planes = np.lib.format.open_memmap(folder / "planes.npy", mode="w+", dtype=np.float32, shape=shape)
    with open_epochs(series, epochs, layers, grid) as opened:
        _read_planes(opened, planes, progress)
    if is_cells:
        index = tuple(layers.index(column.layer) for column in columns)
        flat = planes.reshape(len(epochs), len(layers), -1)
        return EpochColumns(tuple(epochs), tuple(columns), data, tuple(names), flat, index)
    values = np.lib.format.open_memmap(
        folder / "units.npy", mode="w+", dtype=np.float32, shape=(len(epochs), len(columns), data.count)
    )
    constant_sigma = _constant_sigma(series, columns, layers, data)
    for epoch in range(len(epochs)):
        if progress is not None:
            progress("motion of units", epoch, len(epochs))
        _tell_units(planes[epoch], layers, columns, data, values[epoch], constant_sigma, motion)
    return EpochColumns(tuple(epochs), tuple(columns), data, tuple(names), values, ())


def _read_planes(opened: EpochLayers, planes: NDArray[np.float32], progress: Progress | None) -> None:
    rows_all = opened.grid.rows
    for rows in row_slices(rows_all, _ROWS_AT_ONCE):
        planes[:, :, rows] = opened.read(rows)
        if progress is not None:
            progress("reading the time series", rows.stop, rows_all)


def _constant_sigma(
    series: DisplacementSeries, columns: Sequence[FollowedColumn], layers: Sequence[str], data: Dataset
) -> dict[str, NDArray[np.float32]]:
    """Standard deviations of the result, of layers whose own cannot be told at every epoch."""
    result = open_result(series.path.parent)
    found = {}
    for layer in dict.fromkeys(column.layer for column in columns):
        if (layer == RATE and RATE_STD in layers) or data.grid is None:
            continue
        sigma = values_on_grid(result.layer(layer), data.grid).sigma
        if sigma is not None:
            found[layer] = sigma
    return found


def _tell_units(
    planes: NDArray[np.float32],
    layers: Sequence[str],
    columns: Sequence[FollowedColumn],
    data: Dataset,
    values: NDArray[np.float32],
    constant_sigma: dict[str, NDArray[np.float32]],
    motion: MotionOptions | None,
) -> None:
    """Statistics of each unit at one epoch, (column, unit), in place."""
    units: Any = data.units
    told: dict[tuple[str, bool], dict[str, NDArray[np.float64]]] = {}
    for number, column in enumerate(columns):
        key = (column.layer, column.is_absolute)
        if key not in told:
            plane = np.asarray(planes[layers.index(column.layer)])
            sigma = constant_sigma.get(column.layer)
            if column.layer == RATE and RATE_STD in layers:
                sigma = np.asarray(planes[layers.index(RATE_STD)])
            signed = np.abs(plane) if column.is_absolute else plane
            told[key] = motion_of_units(signed, units, sigma=sigma, options=motion).by_statistic()
        values[number] = told[key][str(column.statistic)].astype(np.float32)
