"""What a registered model consists of, and the rows that it is fitted on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from susceptibility.schema import FeatureSchema, Task

BOTH_TASKS = frozenset(Task)


class ModelOptions(BaseModel):
    """Hyperparameters of a model, as keys of its table in a recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Storage(StrEnum):
    """How a fitted estimator is kept in a file, always without pickle."""

    XGBOOST = "xgboost-json"
    LIGHTGBM = "lightgbm-text"
    SKOPS = "skops"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Training:
    """Rows that an estimator is fitted on, as preprocessing has left them.

    Attributes
    ----------
    X
        (row, column) float32, all known.
    y
        (row,) uint8 0 or 1 for classification, float64 for regression.
    weight
        (row,) float64 of positive numbers; None where all rows count the same.
    columns
        What each column is.
    task, seed
        What is learned, and the seed of whatever is random.
    """

    X: NDArray[np.float32]
    y: NDArray[Any]
    weight: NDArray[np.float64] | None
    columns: tuple[FeatureSchema, ...]
    task: Task
    seed: int

    def class_weights(self) -> tuple[float, float]:
        """Return the total weight of the rows without and with a landslide."""
        positive = self.y == 1
        if self.weight is None:
            return float(np.count_nonzero(~positive)), float(np.count_nonzero(positive))
        return float(self.weight[~positive].sum()), float(self.weight[positive].sum())

    def balanced(self) -> Training:
        """Return the same rows, weighted so that both classes count the same and the total weight stays."""
        negative, positive = self.class_weights()
        half = (negative + positive) / 2.0
        weight = np.where(self.y == 1, half / positive, half / negative)
        return replace(self, weight=weight if self.weight is None else weight * self.weight)


def _no_features(_options: Any) -> tuple[str, ...]:
    return ()


def _no_units(_options: Any) -> dict[str, frozenset[str]]:
    return {}


@dataclass(frozen=True, slots=True)
class ModelDefinition:
    """One model of the registry.

    Attributes
    ----------
    name, title
        As recipes and as people write it.
    options
        Class of its hyperparameters.
    fit
        Makes a fitted estimator of an instance of `options` and the training rows. It works on one thread: fits run
        side by side, and the result must not depend on how many do.
    score
        From a fitted estimator and (row, column) float32 the (row,) float64 probability of a landslide or density; for
        a model without `gives_probability` a number that only orders the rows. The score of a row does not depend on
        the rows beside it.
    importance
        From a fitted estimator, the importance of each column by the estimator's own measure, (column,); NaN where it
        has none.
    native_importance_name
        What that measure is called.
    storage
        How the fitted estimator is saved.
    tasks
        What it can learn.
    needs_scaling
        Whether quantities are to be brought to a common scale first.
    reads_raw
        Whether it reads quantities in their units and classes by their numbers, whatever scale is asked for.
    gives_probability
        Whether a score of a classification is a probability without calibration.
    importance_is_slope
        Whether the importance is per unit of a column, to be multiplied by the column's standard deviation.
    required_features
        Names of the features that it cannot do without, from an instance of `options`.
    required_units
        Of those of them that must be in a certain unit, the ways to write it, from an instance of `options`. A feature
        that states no unit is believed.
    note
        What a reader of its scores must know besides; empty for nothing.
    restore
        For `Storage.JSON`: makes the fitted estimator again of its columns and of what its ``state`` returned.
    """

    name: str
    title: str
    options: type[ModelOptions]
    fit: Callable[[Any, Training], Any]
    score: Callable[[Any, NDArray[np.float32]], NDArray[np.float64]]
    importance: Callable[[Any], NDArray[np.float64]]
    native_importance_name: str
    storage: Storage
    tasks: frozenset[Task] = frozenset({Task.CLASSIFICATION})
    needs_scaling: bool = False
    reads_raw: bool = False
    gives_probability: bool = True
    importance_is_slope: bool = False
    required_features: Callable[[Any], tuple[str, ...]] = _no_features
    required_units: Callable[[Any], Mapping[str, frozenset[str]]] = _no_units
    note: str = ""
    restore: Callable[[tuple[FeatureSchema, ...], Any], Any] | None = None
