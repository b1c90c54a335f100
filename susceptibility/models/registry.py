"""Every registered model by its name."""

from __future__ import annotations

from susceptibility.models.boosting import LIGHTGBM, XGBOOST
from susceptibility.models.definition import ModelDefinition
from susceptibility.models.forest import RANDOM_FOREST
from susceptibility.models.frequency import FREQUENCY_RATIO
from susceptibility.models.logistic import LOGISTIC_REGRESSION
from susceptibility.models.published import USGS_2018
from susceptibility.models.vectors import LINEAR_SVM, RBF_SVM

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
