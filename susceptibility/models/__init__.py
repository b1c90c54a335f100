"""Classifiers that a recipe can name.

Each is one `ModelDefinition`: its options, and a function that builds an unfitted scikit-learn estimator from them.
Whatever a classifier must learn from data before it (scaling, for one) is a step of that estimator, so that it is
learned from the training cells alone, wherever the estimator is fitted.
"""

from __future__ import annotations

from susceptibility.models.boosting import XGBOOST, XGBoostOptions
from susceptibility.models.definition import Classifier, ModelDefinition, ModelOptions
from susceptibility.models.forest import RANDOM_FOREST, RandomForestOptions
from susceptibility.models.logistic import LOGISTIC_REGRESSION, LogisticRegressionOptions

__all__ = [
    "MODELS",
    "Classifier",
    "LogisticRegressionOptions",
    "ModelDefinition",
    "ModelOptions",
    "RandomForestOptions",
    "XGBoostOptions",
]

MODELS: dict[str, ModelDefinition] = {model.name: model for model in (LOGISTIC_REGRESSION, RANDOM_FOREST, XGBOOST)}
"""Registered classifiers, by the name that recipes use."""
