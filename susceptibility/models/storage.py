"""Fitted estimators as bytes, in their libraries' own formats and never as a pickle."""

from __future__ import annotations

import json
from typing import Any

from susceptibility.models.archive import pack, unpack
from susceptibility.models.definition import ModelDefinition, Storage
from susceptibility.models.tree_files import require_whole_lightgbm, require_whole_xgboost
from susceptibility.schema import FeatureSchema, Task

SUFFIXES = {Storage.XGBOOST: ".json", Storage.LIGHTGBM: ".txt", Storage.SKOPS: ".skops", Storage.JSON: ".json"}
"""Of files."""

_SKOPS_CLASSES = {
    ("logistic_regression", Task.CLASSIFICATION): "LogisticRegression",
    ("linear_svm", Task.CLASSIFICATION): "LinearSVC",
    ("rbf_svm", Task.CLASSIFICATION): "SVC",
    ("random_forest", Task.CLASSIFICATION): "RandomForestClassifier",
    ("random_forest", Task.REGRESSION): "RandomForestRegressor",
}
"""Class of the estimator, by the model's name and task."""

_XGBOOST_OBJECTIVES = {Task.CLASSIFICATION: "binary:logistic", Task.REGRESSION: "reg:squarederror"}


def dump_estimator(definition: ModelDefinition, estimator: Any) -> bytes:
    """Content of the file of a fitted estimator; the same bytes each time."""
    if definition.storage is Storage.XGBOOST:
        return bytes(estimator.get_booster().save_raw("json"))
    if definition.storage is Storage.LIGHTGBM:
        return str(estimator.model_to_string()).encode()
    if definition.storage is Storage.SKOPS:
        return pack(estimator)
    return json.dumps(estimator.state(), indent=1, allow_nan=False).encode()


def load_estimator(definition: ModelDefinition, content: bytes, columns: tuple[FeatureSchema, ...], task: Task) -> Any:
    """Estimator of what `dump_estimator` gave.

    Parameters
    ----------
    definition
        Of the model.
    content
        Of its file.
    columns
        What the estimator was fitted on.
    task
        What it predicts.

    Raises
    ------
    ValueError
        The content is something else, or of other columns or another task.
    """
    try:
        if definition.storage is Storage.XGBOOST:
            return _xgboost(content, len(columns), task)
        if definition.storage is Storage.LIGHTGBM:
            return _lightgbm(content, len(columns), task)
        if definition.storage is Storage.SKOPS:
            return unpack(content, _SKOPS_CLASSES[definition.name, task], len(columns))
        if definition.restore is None:
            raise ValueError("a model that cannot be read")
        return definition.restore(columns, json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise ValueError(f"no {definition.title} ({_first_line(error)})") from error


def _xgboost(content: bytes, columns: int, task: Task) -> Any:
    from xgboost import XGBClassifier, XGBRegressor

    parsed = json.loads(content)
    objective = parsed["learner"]["objective"]["name"]
    if objective != _XGBOOST_OBJECTIVES[task]:
        raise ValueError(f"objective {objective} for {task}")
    require_whole_xgboost(parsed, columns)
    estimator = (XGBClassifier if task is Task.CLASSIFICATION else XGBRegressor)(n_jobs=1)
    estimator.load_model(bytearray(content))
    if estimator.get_booster().num_features() != columns:
        raise ValueError(f"{estimator.get_booster().num_features()} columns where the schema has {columns}")
    return estimator


def _lightgbm(content: bytes, columns: int, task: Task) -> Any:
    from lightgbm import Booster
    from lightgbm.basic import LightGBMError

    text = content.decode("utf-8")
    objective = next((line for line in text.splitlines()[:20] if line.startswith("objective=")), "")
    expected = "objective=binary " if task is Task.CLASSIFICATION else "objective=regression"
    if not text.startswith("tree\n") or not f"{objective} ".startswith(expected):
        raise ValueError(f"{objective or 'no objective'} for {task}")
    require_whole_lightgbm(text, columns)
    try:
        booster = Booster(model_str=text)
    except LightGBMError as error:
        raise ValueError(str(error)) from error
    if booster.num_feature() != columns:
        raise ValueError(f"{booster.num_feature()} columns where the schema has {columns}")
    return booster


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
