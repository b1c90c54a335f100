"""Gradient-boosted trees by XGBoost (Chen and Guestrin, 2016)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from susceptibility.models.definition import BOTH_TASKS, Classifier, ModelDefinition, ModelOptions, Storage, Training
from susceptibility.schema import Task


class XGBoostOptions(ModelOptions):
    """Options of `XGBOOST`.

    `scale_pos_weight` is the weight of a landslide against that of another row; `balanced` makes it the ratio of their
    numbers. Both are for classification alone.
    """

    trees: int = Field(default=200, ge=1)
    depth: int = Field(default=4, ge=1)
    learning_rate: float = Field(default=0.05, gt=0.0, le=1.0)
    cell_share: float = Field(default=0.8, gt=0.0, le=1.0)
    feature_share: float = Field(default=0.8, gt=0.0, le=1.0)
    smallest_child_weight: float = Field(default=1.0, ge=0.0)
    l2_penalty: float = Field(default=1.0, ge=0.0)
    balanced: bool = False
    scale_pos_weight: float | None = Field(default=None, gt=0.0)

    @model_validator(mode="after")
    def _has_one_weight(self) -> XGBoostOptions:
        if self.balanced and self.scale_pos_weight is not None:
            raise ValueError("balanced sets scale_pos_weight: give one of them")
        return self


def _arguments(options: XGBoostOptions, seed: int) -> dict[str, Any]:
    return {
        "n_estimators": options.trees,
        "max_depth": options.depth,
        "learning_rate": options.learning_rate,
        "subsample": options.cell_share,
        "colsample_bytree": options.feature_share,
        "min_child_weight": options.smallest_child_weight,
        "reg_lambda": options.l2_penalty,
        "tree_method": "hist",
        "n_jobs": 1,  # sums of gradients, and with them the trees, depend on the number of threads
        "random_state": seed,
    }


def _make(options: XGBoostOptions, seed: int) -> Classifier:
    from xgboost import XGBClassifier

    booster: Classifier = XGBClassifier(
        objective="binary:logistic", scale_pos_weight=options.scale_pos_weight, **_arguments(options, seed)
    )
    return booster


def _fit(options: XGBoostOptions, training: Training) -> Any:
    from xgboost import XGBRegressor

    if training.task is Task.REGRESSION:
        booster: Any = XGBRegressor(objective="reg:squarederror", **_arguments(options, training.seed))
    else:
        if options.balanced:
            negative, positive = training.class_weights()
            options = options.model_copy(update={"scale_pos_weight": negative / positive})
        booster = _make(options, training.seed)
    return booster.fit(training.X, training.y, sample_weight=training.weight)


def _score(fitted: Any, X: NDArray[np.float32]) -> NDArray[np.float64]:
    # What predict_proba calls in the end; it checks and copies first.
    predicted = fitted.get_booster().inplace_predict(X, validate_features=False)
    return np.asarray(predicted, np.float64)


def _gain_importance(fitted: Any) -> NDArray[np.float64]:
    return np.asarray(fitted.feature_importances_, np.float64)


XGBOOST = ModelDefinition(
    "xgboost",
    "XGBoost",
    XGBoostOptions,
    _fit,
    _score,
    _gain_importance,
    "mean gain, normalised",
    Storage.XGBOOST,
    tasks=BOTH_TASKS,
    make=_make,
)
