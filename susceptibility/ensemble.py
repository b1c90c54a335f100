"""Prediction of many models over any number of rows: the median map, its spread, and what errors of features add."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from insar.layers import row_slices
from susceptibility.block_store import BlockStore, open_block_store
from susceptibility.errors import InputError, OptionError
from susceptibility.perturbation import FeatureErrors
from susceptibility.workers import run_in_threads

_ROWS_AT_ONCE = 65_536
_PREDICTIONS_AT_ONCE = 4_000_000
"""Of a block, models times rows: bounds the memory of an ensemble of hundreds."""


class Predictor(Protocol):
    """The part of a fitted model that a map needs."""

    def predict(self, X: NDArray[np.float32], /) -> NDArray[np.floating[Any]]:
        """Probability or density (row,) from features (row, feature); NaN where it is unknown."""
        ...


@dataclass(frozen=True, slots=True)
class RowPredictions:
    """Predictions for each mapping unit, in files.

    Attributes
    ----------
    probability
        (row,) float32 median over the models, a probability or a density; NaN where it is unknown.
    mean
        (row,) average over the models.
    std, lower, upper
        (row,) standard deviation over the models and the two quantiles asked for; None for a single model.
    insar_std
        (row,) standard deviation that errors of the features alone give to the prediction of one model, as the root
        mean square over the models; NaN where a standard deviation of a feature is unknown. None where no errors were
        given.
    insar_means
        (perturbation,) average prediction over all rows whose `insar_std` is known: their scatter is that of the whole
        map. None where no errors were given, or where they are not known to be right together, see `FeatureErrors`.
    quantiles
        Of `lower` and `upper`.
    """

    probability: NDArray[np.float32]
    mean: NDArray[np.float32]
    std: NDArray[np.float32] | None
    lower: NDArray[np.float32] | None
    upper: NDArray[np.float32] | None
    insar_std: NDArray[np.float32] | None
    insar_means: NDArray[np.float64] | None
    quantiles: tuple[float, float]


def predict_rows(
    models: Sequence[Predictor],
    read: Callable[[slice], NDArray[np.float32]],
    rows: int,
    folder: Path,
    *,
    errors: FeatureErrors | None = None,
    quantiles: tuple[float, float] = (0.05, 0.95),
    key: str | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    seed: int = 0,
) -> RowPredictions:
    """Predict every row with every model, a block of rows at a time.

    Parameters
    ----------
    models
        Fitted on the features that `read` gives, in that order.
    read
        From a slice of rows, their features (row, feature), NaN where unknown. Called from several threads.
    rows
        How many there are.
    folder
        Where the arrays are kept, as long as the predictions are used.
    errors
        Of the features; None to leave them out.
    quantiles
        Lower and upper, over the models.
    key
        What tells these models and features from others, such as a checksum of both. A call with the key of an earlier
        one that was stopped goes on where that one ended; None to start over in any case.
    workers
        Blocks predicted at the same time; the result does not depend on it.
    progress
        Told how many rows are done, of how many.
    seed
        Of the errors.

    Returns
    -------
    RowPredictions
        A row of which no feature is known is unknown, even to a model that fills gaps.

    Raises
    ------
    OptionError
        No model, no row, or quantiles that are no interval.
    InputError
        A model or `read` gives another number of rows than it should.

    Notes
    -----
    Models are drawn differently, so that `std` says how far the sample matters; it does not say how wrong all of them
    are together. `insar_std` is a part of its own: the square root of the mean over models of the variance over
    perturbations.
    """
    _check(models, rows, quantiles)
    step = max(1, min(_ROWS_AT_ONCE, _PREDICTIONS_AT_ONCE // len(models)))
    blocks = list(row_slices(rows, step))
    work = _Work(models, read, errors, quantiles, seed)
    store = open_block_store(folder, work.names(), rows, len(blocks), work.settings(rows, step), key)
    waiting = [number for number in range(len(blocks)) if not store.done[number]]

    def predict(number: int) -> None:
        store.put(number, blocks[number], work.predict_block(blocks[number]))

    def tell(_: int) -> None:
        if progress is not None:
            done = np.flatnonzero(store.done)
            progress(sum(blocks[number].stop - blocks[number].start for number in done), rows)

    if len(waiting) < len(blocks):
        tell(0)
    run_in_threads([partial(predict, number) for number in waiting], workers=workers, progress=tell)
    return _together(store, quantiles)


@dataclass(frozen=True, slots=True)
class _Work:
    """What is done with a block of rows."""

    models: Sequence[Predictor]
    read: Callable[[slice], NDArray[np.float32]]
    errors: FeatureErrors | None
    quantiles: tuple[float, float]
    seed: int

    def names(self) -> dict[str, int]:
        """Arrays that are kept, with the number of values of a block in those that are not by row, else 0."""
        names = {"probability": 0}
        if len(self.models) > 1:
            names |= {"mean": 0, "std": 0, "lower": 0, "upper": 0}
        if self.errors is not None:
            names["insar_std"] = 0
            if self.errors.knows_scene:
                names["insar_sums"] = self.errors.perturbations + 1  # and the number of rows in them
        return names

    def settings(self, rows: int, step: int) -> dict[str, Any]:
        """What an earlier call must have had for its blocks to be used."""
        errors = None
        if self.errors is not None:
            names = ("columns", "perturbations", "correlation", "is_absolute", "sources", "models")
            errors = {name: getattr(self.errors, name) for name in names}
            errors["signed"] = self.errors.signed is not None
        return {
            "rows": rows,
            "rows_at_once": step,
            "models": len(self.models),
            "quantiles": self.quantiles,
            "errors": errors,
            "seed": self.seed if errors is not None else None,
        }

    def predict_block(self, rows: slice) -> dict[str, NDArray[Any]]:
        """Arrays of `names` for a block of rows."""
        block = self.read(rows)
        count = rows.stop - rows.start
        if block.ndim != 2 or len(block) != count:
            raise InputError(
                "features of a map",
                required=f"{count} rows of features for rows {rows.start} to {rows.stop}",
                found=f"values of shape {block.shape}",
                remedy="Read them from the table that the model is for",
            )
        asked = np.flatnonzero(np.isfinite(block).any(axis=1))
        if asked.size < count:
            block = block[asked]
        each = np.empty((len(self.models), asked.size))
        for index, model in enumerate(self.models):
            each[index] = _predictions(model, block)
        found = {name: np.full(count, np.nan, np.float32) for name, size in self.names().items() if size == 0}
        known = np.isfinite(each).all(axis=0)
        if known.any():
            for name, values in self._statistics(each[:, known]).items():
                found[name][asked[known]] = values
        if self.errors is None:
            return found
        whole = np.full((count, block.shape[1]), np.nan, np.float32)
        whole[asked] = block
        centre = np.full((len(self.models), count), np.nan)
        centre[:, asked] = each
        spread, sums = self._spread(whole, rows, centre)
        found["insar_std"] = spread.astype(np.float32)
        return found | ({"insar_sums": sums} if self.errors.knows_scene else {})

    def _statistics(self, each: NDArray[np.float64]) -> dict[str, NDArray[np.floating[Any]]]:
        """Of finite predictions (model, row)."""
        if len(each) == 1:
            return {"probability": each[0]}
        lower, median, upper = np.quantile(each, [self.quantiles[0], 0.5, self.quantiles[1]], axis=0)
        return {
            "probability": median,
            "mean": each.mean(axis=0),
            "std": each.std(axis=0, ddof=1),
            "lower": lower,
            "upper": upper,
        }

    def _spread(
        self, block: NDArray[np.float32], rows: slice, each: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Standard deviation (row,) due to errors of the features, and sums (perturbation + 1,) over the block."""
        errors = self.errors
        if errors is None:
            raise ValueError("no errors of features")
        chosen = _spread_evenly(len(self.models), errors.models)
        measured, sigma = errors.read(block, rows)
        places = np.flatnonzero(np.isfinite(each).all(axis=0) & np.isfinite(sigma).all(axis=1))
        sums = np.zeros(errors.perturbations + 1)
        sums[-1] = places.size
        spread = np.full(len(block), np.nan)
        if not places.size:
            return spread, sums
        # Deviations from the prediction without errors, because squares of small differences would cancel.
        centre = each[np.ix_(chosen, places)]
        first, second = np.zeros_like(centre), np.zeros_like(centre)
        block, measured, sigma = block[places], measured[places], sigma[places]
        for perturbation in range(errors.perturbations):
            z = errors.draw(rows, self.seed, perturbation)[places]
            with_errors = errors.add(block, measured, sigma * z)
            for index, model in enumerate(chosen):
                deviation = _predictions(self.models[model], with_errors) - centre[index]
                first[index] += deviation
                second[index] += deviation**2
                sums[perturbation] += (deviation + centre[index]).sum() / len(chosen)
        count = errors.perturbations
        variance = np.maximum(second - first**2 / count, 0.0) / (count - 1)
        spread[places] = np.sqrt(variance.mean(axis=0))
        return spread, sums


def _together(store: BlockStore, quantiles: tuple[float, float]) -> RowPredictions:
    sums = store.arrays.get("insar_sums")
    means = None
    if sums is not None:
        totals = [math.fsum(column) for column in sums.T]
        means = np.array(totals[:-1]) / totals[-1] if totals[-1] else np.full(len(totals) - 1, np.nan)
    probability = store.arrays["probability"]
    return RowPredictions(
        probability=probability,
        mean=store.arrays.get("mean", probability),
        std=store.arrays.get("std"),
        lower=store.arrays.get("lower"),
        upper=store.arrays.get("upper"),
        insar_std=store.arrays.get("insar_std"),
        insar_means=means,
        quantiles=quantiles,
    )


def _predictions(model: Predictor, block: NDArray[np.float32]) -> NDArray[np.float64]:
    if not len(block):
        return np.empty(0)
    values = np.asarray(model.predict(block), np.float64)
    if values.shape != (len(block),):
        raise InputError(
            "prediction of a model",
            required=f"one value for each of {len(block)} rows",
            found=f"values of shape {values.shape}",
            remedy="Give models whose predict returns the probability or the density",
        )
    return values


def _spread_evenly(models: int, wanted: int | None) -> NDArray[np.intp]:
    count = min(wanted or models, models)
    return np.arange(count) * models // count


def _check(models: Sequence[Predictor], rows: int, quantiles: tuple[float, float]) -> None:
    if not models or rows < 1:
        raise OptionError(
            "prediction",
            required="at least one model and one row",
            found=f"{len(models)} models, {rows} rows",
            remedy="Train first, and check the table",
        )
    lower, upper = quantiles
    if not 0.0 <= lower < 0.5 < upper <= 1.0:
        raise OptionError(
            "quantiles of the prediction",
            required="one from 0 to below 0.5 and one above 0.5 to 1",
            found=f"{lower:g} and {upper:g}",
            remedy="Correct them, for example 0.05 and 0.95",
        )
