"""Gradient-boosted trees by XGBoost (Chen and Guestrin, 2016) and by LightGBM (Ke et al., 2017)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from susceptibility.models.definition import BOTH_TASKS, ModelDefinition, ModelOptions, Storage, Training
from susceptibility.schema import Task


class _BoostingOptions(ModelOptions):
    balanced: bool = False
    scale_pos_weight: float | None = Field(default=None, gt=0.0)

    @model_validator(mode="after")
    def _has_one_weight(self) -> _BoostingOptions:
        if self.balanced and self.scale_pos_weight is not None:
            raise ValueError("balanced sets scale_pos_weight: give one of them")
        return self

    def positive_weight(self, training: Training) -> float:
        """Weight of a landslide against that of another row."""
        if self.balanced:
            negative, positive = training.class_weights()
            return negative / positive
        return 1.0 if self.scale_pos_weight is None else self.scale_pos_weight


class XGBoostOptions(_BoostingOptions):
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


class LightGBMOptions(_BoostingOptions):
    """Options of `LIGHTGBM`.

    Trees grow leaf by leaf up to `leaves`; `depth` None sets no bound to their depth. `balanced` and `scale_pos_weight`
    are as in `XGBoostOptions`.
    """

    trees: int = Field(default=200, ge=1)
    leaves: int = Field(default=31, ge=2)
    depth: int | None = Field(default=None, ge=1)
    learning_rate: float = Field(default=0.05, gt=0.0, le=1.0)
    cell_share: float = Field(default=0.8, gt=0.0, le=1.0)
    feature_share: float = Field(default=0.8, gt=0.0, le=1.0)
    leaf_cells: int = Field(default=20, ge=1)
    l2_penalty: float = Field(default=0.0, ge=0.0)


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


def _make(options: XGBoostOptions, seed: int) -> Any:
    from xgboost import XGBClassifier

    return XGBClassifier(
        objective="binary:logistic", scale_pos_weight=options.scale_pos_weight, **_arguments(options, seed)
    )


def _fit(options: XGBoostOptions, training: Training) -> Any:
    from xgboost import XGBRegressor

    if training.task is Task.REGRESSION:
        booster: Any = XGBRegressor(objective="reg:squarederror", **_arguments(options, training.seed))
    else:
        weight = options.positive_weight(training)
        booster = _make(options.model_copy(update={"balanced": False, "scale_pos_weight": weight}), training.seed)
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
)


def _fit_lightgbm(options: LightGBMOptions, training: Training) -> Any:
    from lightgbm import Dataset, train

    parameters: dict[str, Any] = {
        "objective": "regression" if training.task is Task.REGRESSION else "binary",
        "num_leaves": options.leaves,
        "max_depth": options.depth or -1,
        "learning_rate": options.learning_rate,
        "bagging_fraction": options.cell_share,
        "bagging_freq": 1 if options.cell_share < 1.0 else 0,
        "feature_fraction": options.feature_share,
        "min_data_in_leaf": options.leaf_cells,
        "lambda_l2": options.l2_penalty,
        "seed": training.seed,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,  # else it times both ways, and takes the faster one of the day
        "verbosity": -1,
    }
    if training.task is Task.CLASSIFICATION:
        parameters["scale_pos_weight"] = options.positive_weight(training)
    rows = Dataset(training.X, training.y, weight=training.weight, params=parameters)
    return train(parameters, rows, num_boost_round=options.trees)


def _score_lightgbm(fitted: Any, X: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(fitted.predict(X, num_threads=1), np.float64)


def _gain_lightgbm(fitted: Any) -> NDArray[np.float64]:
    gain = np.asarray(fitted.feature_importance("gain"), np.float64)
    return gain / gain.sum() if gain.sum() > 0.0 else gain


LIGHTGBM = ModelDefinition(
    "lightgbm",
    "LightGBM",
    LightGBMOptions,
    _fit_lightgbm,
    _score_lightgbm,
    _gain_lightgbm,
    "total gain, normalised",
    Storage.LIGHTGBM,
    tasks=BOTH_TASKS,
)
