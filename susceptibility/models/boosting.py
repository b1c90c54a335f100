"""Gradient-boosted trees by XGBoost (Chen and Guestrin, 2016)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from susceptibility.models.definition import Classifier, ModelDefinition, ModelOptions


class XGBoostOptions(ModelOptions):
    """Options of `XGBOOST`."""

    trees: int = Field(default=200, ge=1)
    depth: int = Field(default=4, ge=1)
    learning_rate: float = Field(default=0.05, gt=0.0, le=1.0)
    cell_share: float = Field(default=0.8, gt=0.0, le=1.0)
    feature_share: float = Field(default=0.8, gt=0.0, le=1.0)
    smallest_child_weight: float = Field(default=1.0, ge=0.0)
    l2_penalty: float = Field(default=1.0, ge=0.0)


def _build(options: XGBoostOptions, seed: int) -> Classifier:
    from xgboost import XGBClassifier

    booster: Classifier = XGBClassifier(
        n_estimators=options.trees,
        max_depth=options.depth,
        learning_rate=options.learning_rate,
        subsample=options.cell_share,
        colsample_bytree=options.feature_share,
        min_child_weight=options.smallest_child_weight,
        reg_lambda=options.l2_penalty,
        tree_method="hist",
        objective="binary:logistic",
        n_jobs=1,  # sums of gradients, and with them the trees, depend on the number of threads
        random_state=seed,
    )
    return booster


def _gain_importance(fitted: Any) -> NDArray[np.float64]:
    return np.asarray(fitted.feature_importances_, np.float64)


XGBOOST = ModelDefinition("xgboost", "XGBoost", XGBoostOptions, _build, _gain_importance, "mean gain, normalised")
