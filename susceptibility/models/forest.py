"""Random forest (Breiman, 2001)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from susceptibility.errors import OptionError
from susceptibility.models.definition import BOTH_TASKS, ModelDefinition, ModelOptions, Storage, Training
from susceptibility.schema import Task

Criterion = Literal["gini", "entropy", "squared_error", "absolute_error"]

_CRITERIA: dict[Task, tuple[Criterion, ...]] = {
    Task.CLASSIFICATION: ("gini", "entropy"),
    Task.REGRESSION: ("squared_error", "absolute_error"),
}
"""Measures of a split's worth; the first is used where none is named."""


class RandomForestOptions(ModelOptions):
    """Options of `RANDOM_FOREST`.

    `depth` None grows trees until their leaves hold `leaf_cells`; nodes of fewer than `split_cells` are not split.
    `criterion` None is ``gini`` for classification and ``squared_error`` for regression. `balanced` is for
    classification alone.
    """

    trees: int = Field(default=200, ge=1)
    depth: int | None = Field(default=None, ge=1)
    leaf_cells: int = Field(default=3, ge=1)
    split_cells: int = Field(default=2, ge=2)
    features_per_split: Literal["sqrt", "log2"] | Annotated[float, Field(gt=0.0, le=1.0)] = "sqrt"
    criterion: Criterion | None = None
    bootstrap: bool = True
    balanced: bool = False


def _arguments(options: RandomForestOptions, task: Task, seed: int) -> dict[str, Any]:
    allowed = _CRITERIA[task]
    criterion = options.criterion or allowed[0]
    if criterion not in allowed:
        raise OptionError(
            "criterion of random_forest",
            required=f"{' or '.join(allowed)} for {task}",
            found=repr(criterion),
            remedy="Choose one of them, or leave it out",
        )
    return {
        "n_estimators": options.trees,
        "criterion": criterion,
        "max_depth": options.depth,
        "min_samples_leaf": options.leaf_cells,
        "min_samples_split": options.split_cells,
        "max_features": options.features_per_split,
        "bootstrap": options.bootstrap,
        "n_jobs": 1,
        "random_state": seed,
    }


def _fit(options: RandomForestOptions, training: Training) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    is_classification = training.task is Task.CLASSIFICATION
    rows = training.balanced() if options.balanced and is_classification else training
    kind = RandomForestClassifier if is_classification else RandomForestRegressor
    return kind(**_arguments(options, rows.task, rows.seed)).fit(rows.X, rows.y, sample_weight=rows.weight)


def _score(fitted: Any, X: NDArray[np.float32]) -> NDArray[np.float64]:
    # The sum of scikit-learn's predict_proba or predict to the bit, without the other class and without its threads.
    total = np.zeros(len(X), np.float64)
    rows = np.ascontiguousarray(X, np.float32)
    for tree in fitted.estimators_:
        values = np.ascontiguousarray(tree.tree_.value[:, 0, -1])
        total += values[tree.tree_.apply(rows)]
    return total / len(fitted.estimators_)


def _impurity_importance(fitted: Any) -> NDArray[np.float64]:
    return np.asarray(fitted.feature_importances_, np.float64)


RANDOM_FOREST = ModelDefinition(
    "random_forest",
    "random forest",
    RandomForestOptions,
    _fit,
    _score,
    _impurity_importance,
    "mean decrease in impurity",
    Storage.SKOPS,
    tasks=BOTH_TASKS,
)
