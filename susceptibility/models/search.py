"""Choice of hyperparameters by folds within the training rows.

References
----------
Jamieson, K., Talwalkar, A. (2016). Non-stochastic best arm identification and hyperparameter optimization. AISTATS.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from susceptibility.errors import InputError, OptionError
from susceptibility.models.definition import ModelDefinition, ModelOptions
from susceptibility.models.folds import inner_folds, random_share
from susceptibility.schema import Task

Metric = Literal["auto", "auc_roc", "auc_pr", "brier", "r2", "mae"]

_METRICS: dict[Task, tuple[Metric, ...]] = {
    Task.CLASSIFICATION: ("auc_roc", "auc_pr", "brier"),
    Task.REGRESSION: ("r2", "mae"),
}
"""The first is used where none is named."""

_LOWER_IS_BETTER = ("brier", "mae")
_FEWEST_ROWS = 10  # of each class, in the first round


class SearchOptions(ModelOptions):
    """How hyperparameters are chosen.

    Attributes
    ----------
    method
        ``grid``: every combination on all training rows. ``halving``: first on few rows; the best share goes on to
        `factor` times as many, until all rows are used.
    parameters
        Values to try, by the name of the hyperparameter.
    folds
        Of the training rows.
    metric
        ``auto``: `auc_roc` for classification, `r2` for regression.
    factor
        Of ``halving``: one combination in so many goes on.
    """

    method: Literal["grid", "halving"] = "grid"
    parameters: dict[str, tuple[Any, ...]] = Field(min_length=1)
    folds: int = Field(default=4, ge=2)
    metric: Metric = "auto"
    factor: int = Field(default=3, ge=2)


@dataclass(frozen=True, slots=True)
class SearchResult:
    """How one combination did in one round.

    Attributes
    ----------
    round, rows
        Number of the round from 1, and how many training rows it used.
    values
        Value of each hyperparameter that was searched.
    mean, std
        Of the metric over the folds; `std` has n - 1 in its denominator.
    metric
        Name of the metric.
    is_chosen
        Whether the model was then fitted with these.
    """

    round: int
    rows: int
    values: dict[str, Any]
    mean: float
    std: float
    metric: str
    is_chosen: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return it as a row of a table."""
        return {
            "round": self.round,
            "rows": self.rows,
            **self.values,
            "metric": self.metric,
            "mean": self.mean,
            "std": self.std,
            "is_chosen": self.is_chosen,
        }


Score = Callable[[ModelOptions, NDArray[np.intp], NDArray[np.intp]], NDArray[np.float64]]
"""Predictions for the second rows by a model of some options that was fitted on the first."""


def candidate_options(
    definition: ModelDefinition, options: ModelOptions, search: SearchOptions
) -> list[tuple[dict[str, Any], ModelOptions]]:
    """Every combination of the values to try, and the options that it makes.

    Raises
    ------
    OptionError
        The model has no such hyperparameter, or it cannot have such a value.
    """
    known = definition.options.model_fields
    for name, values in search.parameters.items():
        if name not in known or not values:
            raise OptionError(
                f"search of {definition.name}",
                required=f"values of {', '.join(known)}" if known else "nothing: it has no hyperparameters",
                found=repr(name) if name not in known else f"none for {name!r}",
                remedy="Correct the name, or give values to try",
            )
    found = []
    for combination in itertools.product(*search.parameters.values()):
        chosen = dict(zip(search.parameters, combination, strict=True))
        try:
            made = definition.options(**{**options.model_dump(), **chosen})
        except ValidationError as error:
            first = error.errors()[0]
            raise OptionError(
                f"search of {definition.name}",
                required=first["msg"],
                found=", ".join(f"{name} = {value!r}" for name, value in chosen.items()),
                remedy="Correct the values to try",
            ) from error
        found.append((chosen, made))
    return found


def search_options(
    definition: ModelDefinition,
    options: ModelOptions,
    search: SearchOptions,
    score: Score,
    y: NDArray[Any],
    *,
    task: Task,
    seed: int,
    groups: NDArray[Any] | None = None,
) -> tuple[ModelOptions, tuple[SearchResult, ...]]:
    """Choose hyperparameters.

    Parameters
    ----------
    definition, options
        Of the model; hyperparameters that are not searched keep the values of `options`.
    search
        What is tried, and how.
    score
        Fits and predicts, see `Score`.
    y, groups
        (row,) targets, and what has to stay together in folds.
    task, seed
        What is predicted; of folds and of the rows of early rounds.

    Returns
    -------
    options
        With the chosen values: the best mean of the last round, the first tried of equals.
    results
        Of all rounds, in the order they were tried.
    """
    metric = metric_for(search.metric, task)
    if metric == "brier" and not definition.gives_probability:
        raise OptionError(
            "metric of the search",
            required=f"auc_roc or auc_pr for {definition.name}, whose scores are no probabilities",
            found=repr(metric),
            remedy="Choose one of them",
        )
    sign = -1.0 if metric in _LOWER_IS_BETTER else 1.0
    remaining = candidate_options(definition, options, search)
    rounds = 1
    if search.method == "halving":
        rounds += math.ceil(math.log(len(remaining)) / math.log(search.factor) - 1e-9)
    results: list[SearchResult] = []
    first = 0
    for number in range(1, rounds + 1):
        if number > 1:
            ranking = sorted(range(len(remaining)), key=lambda index: -sign * results[first + index].mean)
            kept = sorted(ranking[: math.ceil(len(remaining) / search.factor)])
            remaining = [remaining[index] for index in kept]
        first = len(results)
        wanted = len(y) // search.factor ** (rounds - number)
        rows = random_share(y, wanted, task=task, seed=seed, fewest=_FEWEST_ROWS)
        own_groups = None if groups is None else np.asarray(groups)[rows]
        fold = inner_folds(y[rows], search.folds, task=task, seed=seed, groups=own_groups)
        for values, candidate in remaining:
            measured = _measure(candidate, score, y, rows, fold, metric)
            spread = float(measured.std(ddof=1))
            results.append(SearchResult(number, len(rows), values, float(measured.mean()), spread, metric))
    best = max(range(len(remaining)), key=lambda index: sign * results[first + index].mean)
    results[first + best] = replace(results[first + best], is_chosen=True)
    return remaining[best][1], tuple(results)


def metric_for(metric: Metric, task: Task) -> str:
    """Metric to search by; raises `OptionError` for one of the other task."""
    allowed = _METRICS[task]
    if metric == "auto":
        return allowed[0]
    if metric not in allowed:
        raise OptionError(
            "metric of the search",
            required=f"{' or '.join(allowed)} for {task}",
            found=repr(metric),
            remedy="Choose one of them",
        )
    return metric


def _measure(
    options: ModelOptions,
    score: Score,
    y: NDArray[Any],
    rows: NDArray[np.intp],
    fold: NDArray[np.intp],
    metric: str,
) -> NDArray[np.float64]:
    """Metric of each fold, (fold,)."""
    values = np.empty(int(fold.max()) + 1)
    for number in range(len(values)):
        train, test = rows[fold != number], rows[fold == number]
        values[number] = measure(metric, y[test], score(options, train, test))
    if not np.isfinite(values).all():
        raise InputError(
            "search of hyperparameters",
            required=f"folds that {metric} can be computed for",
            found="a fold with one class, or one value of the target, alone",
            remedy="Use fewer folds, smaller groups or more training rows",
        )
    return values


def measure(metric: str, y: NDArray[Any], predicted: NDArray[np.float64]) -> float:
    """One metric of a search; NaN where it is not defined."""
    if metric in {"auc_roc", "auc_pr"} and np.unique(y).size < 2:
        return math.nan
    if metric == "auc_roc":
        from sklearn.metrics import roc_auc_score

        return float(roc_auc_score(y, predicted))
    if metric == "auc_pr":
        from sklearn.metrics import average_precision_score

        return float(average_precision_score(y, predicted))
    if metric == "brier":
        return float(np.mean((predicted - y) ** 2))
    if metric == "mae":
        return float(np.mean(np.abs(predicted - y)))
    total = float(((y - y.mean()) ** 2).sum())
    return 1.0 - float(((y - predicted) ** 2).sum()) / total if total > 0.0 else math.nan


def results_from(rows: Sequence[Mapping[str, Any]]) -> tuple[SearchResult, ...]:
    """Results from rows of their fields, as a file holds them; raises `TypeError` for others."""
    return tuple(SearchResult(**row) for row in rows)
