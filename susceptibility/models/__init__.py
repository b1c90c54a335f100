"""Models that a recipe can name.

Each is one `ModelDefinition`: its options, and what fits it. `SusceptibilityModel` fits one together with whatever must
be learned from data before it (scaling, for one) and after it (calibration), from the training rows alone.
"""

from __future__ import annotations

from susceptibility.models.boosting import LIGHTGBM, XGBOOST, LightGBMOptions, XGBoostOptions
from susceptibility.models.calibration import CalibrationOptions
from susceptibility.models.definition import Classifier, ModelDefinition, ModelOptions
from susceptibility.models.forest import RANDOM_FOREST, RandomForestOptions
from susceptibility.models.frequency import FREQUENCY_RATIO, FrequencyRatioOptions
from susceptibility.models.learner import SusceptibilityModel, check_setting
from susceptibility.models.logistic import LOGISTIC_REGRESSION, LogisticRegressionOptions
from susceptibility.models.preprocessing import PreprocessingOptions, Preprocessor
from susceptibility.models.published import USGS_2018, Usgs2018Options
from susceptibility.models.search import SearchOptions, SearchResult
from susceptibility.models.vectors import LINEAR_SVM, RBF_SVM, LinearSvmOptions, RbfSvmOptions

__all__ = [
    "DEFAULT_MODELS",
    "MODELS",
    "CalibrationOptions",
    "Classifier",
    "FrequencyRatioOptions",
    "LightGBMOptions",
    "LinearSvmOptions",
    "LogisticRegressionOptions",
    "ModelDefinition",
    "ModelOptions",
    "PreprocessingOptions",
    "Preprocessor",
    "RandomForestOptions",
    "RbfSvmOptions",
    "SearchOptions",
    "SearchResult",
    "SusceptibilityModel",
    "Usgs2018Options",
    "XGBoostOptions",
    "check_setting",
]

MODELS: dict[str, ModelDefinition] = {
    model.name: model
    for model in (
        LOGISTIC_REGRESSION,
        LINEAR_SVM,
        RBF_SVM,
        RANDOM_FOREST,
        XGBOOST,
        LIGHTGBM,
        FREQUENCY_RATIO,
        USGS_2018,
    )
}
"""Registered models, by the name that recipes use."""

DEFAULT_MODELS = (LOGISTIC_REGRESSION.name, RANDOM_FOREST.name, XGBOOST.name)
"""Those that are fitted where a recipe names none."""
