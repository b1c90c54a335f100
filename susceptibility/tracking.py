"""Susceptibility through time: one model, what InSAR knew at each epoch, and what made the map change."""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from susceptibility.change_attribution import attribute_change, largest_source
from susceptibility.class_bounds import ClassBounds, classify
from susceptibility.dataset import Dataset
from susceptibility.displacement_series import RATE, DisplacementSeries, open_series
from susceptibility.ensemble import Predictor, predict_rows
from susceptibility.epoch_columns import EpochColumns, followed_columns, make_epoch_columns
from susceptibility.epochs import LEAST_DATES, plan_epochs
from susceptibility.errors import OptionError
from susceptibility.inventory import LANDSLIDE
from susceptibility.motion import MotionOptions
from susceptibility.rising import Rising, find_rising
from susceptibility.workers import Progress, run_in_threads

logger = logging.getLogger(__name__)

_AGREES = 1e-3  # of the spread of a feature: float32 after another resampling is far below


@dataclass(frozen=True, slots=True)
class TrackOptions:
    """What is tracked.

    Attributes
    ----------
    least_dates
        A rate is not fitted to fewer.
    every
        Take every so many dates, counted back from the last.
    threshold
        Change of the prediction that counts, in its unit.
    most_places
        Places that rose to list.
    """

    least_dates: int = LEAST_DATES
    every: int = 1
    threshold: float = 0.1
    most_places: int = 200

    def __post_init__(self) -> None:
        if not (math.isfinite(self.threshold) and self.threshold > 0.0) or self.most_places < 1:
            raise OptionError(
                "change that counts",
                required="a number above 0, and one place or more to list",
                found=f"{self.threshold:g}, {self.most_places} places",
                remedy="Correct it, for example to 0.1",
            )


@dataclass(frozen=True, slots=True)
class EpochRow:
    """One line of ``track.csv``.

    Shares and counts of change are against the first epoch, those with ``since_previous`` against the one before.
    """

    date: date
    dates_used: int
    predicted: int
    area_km2: float
    mean: float
    class_km2: tuple[float, ...]
    landslides: int
    landslide_mean: float
    landslides_in_highest: float
    rose: int
    rose_km2: float
    fell: int
    fell_km2: float
    rose_since_previous: int
    fell_since_previous: int
    drivers: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Track:
    """Predictions at every epoch, in files, and what changed.

    Attributes
    ----------
    epochs
        Dates, in time.
    skipped
        Why a date of the series is none, by the date.
    columns
        Features at every epoch.
    constant
        Features of `insar` that stay as they are in the result.
    probability
        (epoch, row) float32, NaN where unknown.
    std
        (epoch, row) standard deviation over the models; None for one.
    change
        (row,) last minus first.
    contributions
        (layer, row) float32 part of the change that each layer made, of rows that changed by the threshold or more;
        NaN for others.
    driver
        (row,) number of the layer that moved each of these most, -1 for others.
    table
        One line for each epoch.
    rising
        Places that rose.
    differences
        Of each followed feature at the last epoch against the result's own layer: the largest, and rows known in one
        alone.
    warnings
        What a reader must know.
    """

    epochs: tuple[date, ...]
    skipped: dict[date, str]
    columns: EpochColumns
    constant: tuple[str, ...]
    probability: NDArray[np.float32]
    std: NDArray[np.float32] | None
    change: NDArray[np.float32]
    contributions: NDArray[np.float32]
    driver: NDArray[np.int8]
    table: tuple[EpochRow, ...]
    rising: Rising
    differences: dict[str, tuple[float, int]]
    warnings: tuple[str, ...]

    @property
    def layers(self) -> tuple[str, ...]:
        """Layers that change."""
        return self.columns.layers


def track_susceptibility(
    models: Sequence[Predictor],
    data: Dataset,
    names: Sequence[str],
    result: Path,
    work: Path,
    bounds: ClassBounds,
    *,
    options: TrackOptions | None = None,
    motion: MotionOptions | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Track:
    """Predict every epoch with the same models, and say what changed.

    Parameters
    ----------
    models
        Fitted on the features `names`; the map is the median of what they say.
    data
        Of the recipe, joined from `result`.
    names
        Features that the models see, in order.
    result
        Folder of `insar` with a time series.
    work
        Working folder, needed as long as the track is.
    bounds
        Of the classes.
    options
        None for what they are by default.
    motion
        When a pixel moves, as in the recipe; of units larger than cells.
    workers, progress
        As in `predict_rows`; the result does not depend on `workers`.

    Raises
    ------
    SusceptibilityError
        The result has no usable series, none of the features follows from it, or too few dates are left.
    """
    chosen = options or TrackOptions()
    series = open_series(result)
    columns, constant = followed_columns(data, names, series)
    layers = tuple(dict.fromkeys(column.layer for column in columns))
    epochs, skipped = plan_epochs(series, layers, least_dates=chosen.least_dates, every=chosen.every)
    told = make_epoch_columns(
        series, epochs, columns, data, names, work / "epochs", motion=motion, progress=progress
    )  # fmt: skip
    differences = told.differences()
    probability, std = _predict_epochs(models, told, work, workers, progress)
    contributions, drivers = _attribute(models, told, probability, chosen.threshold, work, workers, progress)
    driver = drivers[-1]
    table = tuple(
        _epoch_row(told, probability, drivers, number, bounds, chosen.threshold) for number in range(len(epochs))
    )
    change = np.lib.format.open_memmap(work / "change.npy", mode="w+", dtype=np.float32, shape=(data.count,))
    for rows in data.blocks():
        change[rows] = probability[-1, rows].astype(np.float64) - probability[0, rows]
    rising = find_rising(
        data, probability[0], probability[-1], driver, layers, threshold=chosen.threshold, most=chosen.most_places
    )
    warnings = _warnings(series, told, constant, differences)
    for warning in warnings:
        logger.warning("%s", warning)
    return Track(
        tuple(epoch.date for epoch in epochs),
        skipped,
        told,
        constant,
        probability,
        std,
        change,
        contributions,
        driver,
        table,
        rising,
        differences,
        tuple(warnings),
    )


def median_prediction(models: Sequence[Predictor], X: NDArray[np.float32]) -> NDArray[np.float64]:
    """Prediction (row,) of several models as `predict_rows` maps it: the median."""
    if len(models) == 1:
        return np.asarray(models[0].predict(X), np.float64)
    each = np.stack([np.asarray(model.predict(X), np.float64) for model in models])
    return np.asarray(np.quantile(each, 0.5, axis=0))


def _predict_epochs(
    models: Sequence[Predictor], told: EpochColumns, work: Path, workers: int | None, progress: Progress | None
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    count, shape = told.data.count, (len(told.epochs), told.data.count)

    def opened(name: str) -> NDArray[np.float32]:
        return np.lib.format.open_memmap(work / f"{name}.npy", mode="w+", dtype=np.float32, shape=shape)

    probability = opened("probability")
    std = opened("std") if len(models) > 1 else None
    for number, epoch in enumerate(told.epochs):
        if progress is not None:
            progress("predicting epochs", number, len(told.epochs))
        folder = work / f"rows_{epoch.date:%Y%m%d}"
        found = predict_rows(models, partial(told.matrix, number), count, folder, workers=workers)
        probability[number] = found.probability
        if std is not None:
            std[number] = found.std
        shutil.rmtree(folder)
    return probability, std


def _attribute(
    models: Sequence[Predictor],
    told: EpochColumns,
    probability: NDArray[np.float32],
    threshold: float,
    work: Path,
    workers: int | None,
    progress: Progress | None,
) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Contributions (layer, row) of the last epoch, and drivers (epoch, row) of all, both against the first epoch."""
    count, last = told.data.count, len(told.epochs) - 1
    contributions = np.lib.format.open_memmap(
        work / "contributions.npy", mode="w+", dtype=np.float32, shape=(len(told.layers), count)
    )
    drivers = np.lib.format.open_memmap(work / "drivers.npy", mode="w+", dtype=np.int8, shape=(len(told.epochs), count))
    predict = partial(median_prediction, models)

    def attribute(rows: slice) -> None:
        contributions[:, rows], drivers[:, rows] = np.nan, -1
        before = told.matrix(0, rows)
        for epoch in range(1, last + 1):
            change = probability[epoch, rows].astype(np.float64) - probability[0, rows]
            moved = np.flatnonzero(np.abs(change) >= threshold)
            if not moved.size:
                continue
            after = told.matrix(epoch, rows)[moved]
            values = attribute_change(predict, before[moved], after, told.sources)
            drivers[epoch, rows.start + moved] = largest_source(values, change[moved])
            if epoch == last:
                contributions[:, rows.start + moved] = values.T

    blocks = list(told.data.blocks())
    run_in_threads(
        [partial(attribute, rows) for rows in blocks],
        workers=workers,
        progress=None if progress is None else lambda done: progress("what changed", done, len(blocks)),
    )
    return contributions, drivers


def _epoch_row(
    told: EpochColumns,
    probability: NDArray[np.float32],
    drivers: NDArray[np.int8],
    number: int,
    bounds: ClassBounds,
    threshold: float,
) -> EpochRow:
    data, epoch = told.data, told.epochs[number]
    class_m2 = np.zeros(bounds.count + 1)
    sums: list[float] = []
    predicted = landslides = in_highest = rose = fell = rose_before = fell_before = 0
    landslide_sums: list[float] = []
    rose_m2 = fell_m2 = 0.0
    for rows in data.blocks():
        values = probability[number, rows].astype(np.float64)
        known = np.isfinite(values)
        area = np.asarray(data.area_m2(rows), np.float64)
        area = np.where(np.isfinite(area), area, 0.0)
        classes = classify(values, bounds)
        class_m2 += np.bincount(classes, area, minlength=bounds.count + 1)
        is_landslide = known & (data.targets.labels[rows] == LANDSLIDE)
        predicted += int(known.sum())
        sums.append(math.fsum(values[known] * area[known]))
        landslides += int(is_landslide.sum())
        landslide_sums.append(math.fsum(values[is_landslide]))
        in_highest += int(np.count_nonzero(classes[is_landslide] == bounds.count))
        change = values - probability[0, rows]
        rose, fell = rose + int((change >= threshold).sum()), fell + int((change <= -threshold).sum())
        rose_m2 += float(area[change >= threshold].sum())
        fell_m2 += float(area[change <= -threshold].sum())
        step = values - probability[max(number - 1, 0), rows]
        rose_before += int((step >= threshold).sum())
        fell_before += int((step <= -threshold).sum())
    known_m2 = float(class_m2[1:].sum())
    return EpochRow(
        date=epoch.date,
        dates_used=epoch.fit.dates,
        predicted=predicted,
        area_km2=known_m2 / 1e6,
        mean=math.fsum(sums) / known_m2 if known_m2 else math.nan,
        class_km2=tuple(float(value) / 1e6 for value in class_m2[1:]),
        landslides=landslides,
        landslide_mean=math.fsum(landslide_sums) / landslides if landslides else math.nan,
        landslides_in_highest=in_highest / landslides if landslides else math.nan,
        rose=rose,
        rose_km2=rose_m2 / 1e6,
        fell=fell,
        fell_km2=fell_m2 / 1e6,
        rose_since_previous=rose_before,
        fell_since_previous=fell_before,
        drivers={layer: int(np.count_nonzero(drivers[number] == index)) for index, layer in enumerate(told.layers)},
    )


def _warnings(
    series: DisplacementSeries,
    told: EpochColumns,
    constant: Sequence[str],
    differences: Mapping[str, tuple[float, int]],
) -> list[str]:
    data = told.data
    warnings = [
        "The displacements are those of the finished time series: its inversion, reference and corrections rest on all "
        "interferograms, so that a map made at the time could have differed"
    ]
    if RATE in told.layers:
        first, last = (math.sqrt(epoch.fit.spread[1, 1]) for epoch in (told.epochs[0], told.epochs[-1]))
        warnings.append(
            f"With the same errors at each date, the rate of the first epoch is {first / last:.1f} times as uncertain "
            "as that of the last: where errors look like motion, early maps are too high, and a fall from them is none"
        )
    if constant:
        warnings.append(f"{', '.join(constant)}: kept as in the result at every epoch, since the series cannot tell it")
    if series.terms.text != "linear":
        warnings.append(
            f"Rates are those of the result's model of time, {series.terms.text}, fitted to the dates up to each epoch"
        )
    for name, (largest, alone) in differences.items():
        spread = _spread(data, name)
        if largest > _AGREES * spread or alone:
            warnings.append(
                f"{name}: at the last epoch it differs from the layer of the result by up to {largest:.3g} "
                f"{data.feature(name).unit}, and is known in one of them alone in {alone} rows; was a layer changed "
                "after insar ran?"
            )
    return warnings


def _spread(data: Dataset, name: str) -> float:
    """Standard deviation of a feature over all rows; 0 where none is known."""
    count, sums, squares = 0, [], []
    for rows in data.blocks():
        values = np.asarray(data.columns[name](rows), np.float64)
        known = values[np.isfinite(values)]
        count += known.size
        sums.append(math.fsum(known))
    mean = math.fsum(sums) / count if count else 0.0
    for rows in data.blocks():
        values = np.asarray(data.columns[name](rows), np.float64)
        squares.append(math.fsum((values[np.isfinite(values)] - mean) ** 2))
    return math.sqrt(math.fsum(squares) / count) if count else 0.0
