"""A fitted model, but for its estimator, as JSON can hold it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic import BaseModel

from susceptibility.models.calibration import CalibrationOptions, calibrator_from_state
from susceptibility.models.definition import Storage
from susceptibility.models.learner import SusceptibilityModel, check_setting
from susceptibility.models.preprocessing import PreprocessingOptions, Preprocessor
from susceptibility.models.registry import MODELS
from susceptibility.models.search import SearchOptions, results_from
from susceptibility.schema import FeatureSchema, Task

_LIBRARIES = {
    Storage.SKOPS: ("scikit-learn", "skops"),
    Storage.XGBOOST: ("xgboost",),
    Storage.LIGHTGBM: ("lightgbm",),
    Storage.JSON: (),
}


def model_state(model: SusceptibilityModel) -> dict[str, Any]:
    """Return everything of a fitted model but schema, task and estimator, as JSON can hold it."""
    return {
        "name": model.definition.name,
        "seed": model.seed,
        "upper": model.upper,
        "options": _plain(model.options),
        "fitted_options": _plain(model.options_),
        "preprocessing": None if model.preprocessing is None else _plain(model.preprocessing),
        "calibration": None if model.calibration is None else _plain(model.calibration),
        "search": None if model.search is None else _plain(model.search),
        "search_results": [
            {name: _finite(getattr(result, name)) for name in type(result).__slots__}
            for result in model.search_results_
        ],
        "rows_given": model.rows_given_,
        "rows_used": model.rows_used_,
        "preprocessor": model.preprocessor_.state(),
        "calibrator": None if model.calibrator_ is None else model.calibrator_.state(),
    }


def model_from_state(state: Mapping[str, Any], schema: tuple[FeatureSchema, ...], task: Task) -> SusceptibilityModel:
    """Return the model that `model_state` told of, without its estimator.

    Raises
    ------
    ValueError, KeyError, TypeError
        It is none, or not of this schema and task.
    """
    definition = MODELS[state["name"]]
    model = SusceptibilityModel(
        definition,
        definition.options(**state["options"]),
        schema,
        task,
        int(state["seed"]),
        None if state["preprocessing"] is None else PreprocessingOptions(**state["preprocessing"]),
        None if state["calibration"] is None else CalibrationOptions(**state["calibration"]),
        None if state["search"] is None else SearchOptions(**state["search"]),
        None if state["upper"] is None else float(state["upper"]),
    )
    check_setting(definition, model.options, schema, task)
    model.options_ = definition.options(**state["fitted_options"])
    model.search_results_ = results_from(state["search_results"])
    model.rows_given_, model.rows_used_ = int(state["rows_given"]), int(state["rows_used"])
    model.preprocessor_ = Preprocessor.from_state(schema, state["preprocessor"])
    model.calibrator_ = None if state["calibrator"] is None else calibrator_from_state(state["calibrator"])
    return model


def versions(models: Sequence[SusceptibilityModel]) -> dict[str, str]:
    """Versions of the libraries that hold the estimators of some models; of all libraries for none."""
    storages = {model.definition.storage for model in models} or set(Storage)
    names = sorted({name for storage in storages for name in _LIBRARIES[storage]})
    return {name: found for name in names if (found := _version(name))}


def _version(library: str) -> str:
    # XGBoost has two distributions of the same module.
    for name in (library, f"{library}-cpu"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return ""


def _plain(options: BaseModel) -> dict[str, Any]:
    return {name: _finite(value) for name, value in options.model_dump().items()}


def _finite(value: Any) -> Any:
    """Return infinity as text, which numbers are read from as well; JSON has none."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_finite(each) for each in value]
    return value
