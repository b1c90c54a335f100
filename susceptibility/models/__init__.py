"""Models that a recipe can name.

Each is one `ModelDefinition`: its options, and what fits it. `SusceptibilityModel` fits one together with whatever must
be learned from data before it (scaling, for one) and after it (calibration), from the training rows alone.
"""

from __future__ import annotations

from susceptibility.models.boosting import XGBOOST, XGBoostOptions
from susceptibility.models.calibration import CalibrationOptions
from susceptibility.models.definition import Classifier, ModelDefinition, ModelOptions
from susceptibility.models.forest import RANDOM_FOREST, RandomForestOptions
from susceptibility.models.learner import SusceptibilityModel, check_setting
from susceptibility.models.logistic import LOGISTIC_REGRESSION, LogisticRegressionOptions
from susceptibility.models.preprocessing import PreprocessingOptions, Preprocessor
from susceptibility.models.search import SearchOptions, SearchResult

__all__ = [
    "DEFAULT_MODELS",
    "MODELS",
    "CalibrationOptions",
    "Classifier",
    "LogisticRegressionOptions",
    "ModelDefinition",
    "ModelOptions",
    "PreprocessingOptions",
    "Preprocessor",
    "RandomForestOptions",
    "SearchOptions",
    "SearchResult",
    "SusceptibilityModel",
    "XGBoostOptions",
    "check_setting",
]

MODELS: dict[str, ModelDefinition] = {model.name: model for model in (LOGISTIC_REGRESSION, RANDOM_FOREST, XGBOOST)}
"""Registered models, by the name that recipes use."""

DEFAULT_MODELS = (LOGISTIC_REGRESSION.name, RANDOM_FOREST.name, XGBOOST.name)
"""Those that are fitted where a recipe names none."""
