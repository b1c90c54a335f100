"""Models that a recipe can name.

Each is one `ModelDefinition`: its options, and what fits it. `SusceptibilityModel` fits one together with whatever must
be learned from data before it (scaling, for one) and after it (calibration), from the training rows alone.
"""

from __future__ import annotations

from susceptibility.models.boosting import LightGBMOptions, XGBoostOptions
from susceptibility.models.calibration import CalibrationOptions
from susceptibility.models.definition import ModelDefinition, ModelOptions
from susceptibility.models.forest import RandomForestOptions
from susceptibility.models.frequency import FrequencyRatioOptions
from susceptibility.models.learner import SusceptibilityModel, check_setting
from susceptibility.models.logistic import LogisticRegressionOptions
from susceptibility.models.preprocessing import PreprocessingOptions, Preprocessor
from susceptibility.models.published import Usgs2018Options
from susceptibility.models.registry import DEFAULT_MODELS, MODELS
from susceptibility.models.search import SearchOptions, SearchResult
from susceptibility.models.vectors import LinearSvmOptions, RbfSvmOptions

__all__ = [
    "DEFAULT_MODELS",
    "MODELS",
    "CalibrationOptions",
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
