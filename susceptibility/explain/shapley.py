"""Each prediction split among the features: Shapley values that sum to it.

What is explained is the margin of a model, on the scale on which it adds up: the log-odds of boosted trees and of
logistic regression, the probability of a random forest, the density of a regression. The mapping from the margin to a
calibrated probability comes after, is monotonic and is not part of what is explained.

References
----------
Lundberg, S. M., Lee, S.-I. (2017). A unified approach to interpreting model predictions. Advances in Neural
Information Processing Systems 30.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from susceptibility.explain.trees import origin_of_booster, tree_shap, trees_of_booster, trees_of_forest
from susceptibility.schema import Task

_ROWS_AT_ONCE = 16_384


class Scale(StrEnum):
    """What Shapley values add up to."""

    LOG_ODDS = "log-odds"
    PROBABILITY = "probability"
    DENSITY = "density"


@dataclass(frozen=True, slots=True)
class ShapValues:
    """What each feature adds to each prediction.

    Attributes
    ----------
    values : (row, feature) float64
        On `scale`; they sum to ``margin - base``. NaN in rows where a feature that the model needs is unknown.
    base
        Margin when nothing is known of a row: the mean over the training rows for trees, over the background for other
        models.
    margin : (row,) float64
        What the estimator says of each row, before any calibration.
    names
        Of the features.
    scale
        Of all three.
    calibrated
        Whether the model's probability is a calibrated one, which then is not what the values sum to.
    """

    values: NDArray[np.float64]
    base: float
    margin: NDArray[np.float64]
    names: tuple[str, ...]
    scale: Scale
    calibrated: bool = False

    def magnitudes(self) -> NDArray[np.float64]:
        """Mean magnitude of the values of each feature over the rows that have them, (feature,)."""
        return _mean_magnitudes(self.values)

    def group_magnitudes(self, groups: Mapping[str, Sequence[int]]) -> NDArray[np.float64]:
        """Mean magnitude of the sum of each group's values, (group,); opposite values in a row cancel."""
        return _mean_magnitudes(
            np.stack([self.values[:, list(columns)].sum(axis=1) for columns in groups.values()], axis=1)
        )


@dataclass(frozen=True, slots=True)
class NotExplained:
    """Why there are no Shapley values of a model."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Split:
    """Values by the columns of an estimator rather than by feature."""

    values: NDArray[np.float64]
    base: float
    margin: NDArray[np.float64]
    scale: Scale


def shap_values(
    model: Any,
    features: NDArray[np.float32],
    *,
    background: NDArray[np.float32] | None = None,
    workers: int | None = None,
) -> ShapValues | NotExplained:
    """Exact Shapley values of a fitted `SusceptibilityModel`.

    Parameters
    ----------
    model
        Fitted.
    features
        (row, feature) to explain. A thousand rows take about two seconds of one core for a forest of 200 trees that
        was grown to 800 nodes each, and less for boosted trees.
    background
        (row, feature) that the values of logistic regression and of frequency ratios are relative to, such as the
        training rows; None for `features` themselves. Trees are relative to what they were trained on.
    workers
        Blocks of rows at the same time; the result does not depend on it.

    Returns
    -------
    ShapValues or NotExplained
        The latter for a kind of model that has no such values in closed form.

    Notes
    -----
    Columns that stand for one class each are summed to their feature. Trees: "path-dependent" values, see
    `susceptibility.explain.trees`; those of LightGBM as it gives them itself. Logistic regression: ``w_j (x_j -
    mean_j)`` on the transformed columns; frequency ratios likewise, with the ratio of the row's bin in place of x.
    """
    transform = model.preprocessor_.transform
    columns = np.asarray(transform(features), np.float32)
    known = np.isfinite(columns).all(axis=1)

    def behind() -> NDArray[np.float32]:
        rows = columns if background is None else np.asarray(transform(background), np.float32)
        return rows[np.isfinite(rows).all(axis=1)]

    split = explain_estimator(model.estimator_, columns[known], behind, task=model.task, workers=workers)
    if isinstance(split, NotExplained):
        return split
    names = tuple(feature.name for feature in model.schema)
    by_feature = np.zeros((len(split.values), len(names)))
    for column, feature in enumerate(model.preprocessor_.source_):
        by_feature[:, feature] += split.values[:, column]
    values = np.full((len(columns), len(names)), np.nan)
    margin = np.full(len(columns), np.nan)
    values[known], margin[known] = by_feature, split.margin
    calibrated = getattr(model, "calibrator_", None) is not None
    return ShapValues(values, split.base, margin, names, split.scale, calibrated)


def explain_estimator(
    estimator: Any,
    columns: NDArray[np.float32],
    background: Callable[[], NDArray[np.float32]],
    *,
    task: Task = Task.CLASSIFICATION,
    workers: int | None = None,
) -> _Split | NotExplained:
    """Shapley values of an estimator by its own (row, column), without NaN; see `shap_values`.

    `background` is called for the rows that the values are relative to, where they are needed.
    """
    kind = type(estimator).__name__
    library = type(estimator).__module__.partition(".")[0]
    if kind in ("RandomForestClassifier", "RandomForestRegressor"):
        return _explain_forest(estimator, columns, workers)
    if library == "xgboost":
        return _explain_xgboost(estimator, columns, task, workers)
    if library == "lightgbm":
        return _explain_lightgbm(estimator, columns, task)
    if kind == "LogisticRegression":
        return _explain_logistic(estimator, columns, background())
    if kind == "FrequencyRatioTable":
        return _explain_ratios(estimator, columns, background())
    return NotExplained(f"Shapley values of {kind} have no closed form: see permutation importance instead")


def _explain_forest(forest: Any, columns: NDArray[np.float32], workers: int | None) -> _Split:
    values, base = tree_shap(trees_of_forest(forest), columns, workers=workers)
    if hasattr(forest, "classes_"):
        return _Split(values, base, _in_blocks(lambda X: forest.predict_proba(X)[:, -1], columns), Scale.PROBABILITY)
    return _Split(values, base, _in_blocks(forest.predict, columns), Scale.DENSITY)


def _explain_xgboost(
    estimator: Any, columns: NDArray[np.float32], task: Task, workers: int | None
) -> _Split | NotExplained:
    """By our own kernel: XGBoost's own values are sums in single precision, which are off by more than 1e-5."""
    from xgboost import DMatrix

    booster = estimator.get_booster() if hasattr(estimator, "get_booster") else estimator

    def predict(X: NDArray[np.float32]) -> NDArray[np.float64]:
        matrix = DMatrix(X, nthread=1)
        margin = booster.predict(matrix, output_margin=True, validate_features=False)
        return np.column_stack([margin, booster.predict(matrix, validate_features=False)]).astype(np.float64)

    trees = trees_of_booster(booster)
    values, mean = tree_shap(trees, columns, workers=workers)
    base = np.full(len(columns), mean + origin_of_booster(booster, trees))
    return _split(np.column_stack([values, base, _in_blocks(predict, columns, 2)]), task)


def _explain_lightgbm(estimator: Any, columns: NDArray[np.float32], task: Task) -> _Split | NotExplained:
    booster = estimator.booster_ if hasattr(estimator, "booster_") else estimator

    def explain(X: NDArray[np.float32]) -> NDArray[np.float64]:
        parts = booster.predict(X, pred_contrib=True, num_threads=1)
        margin = booster.predict(X, raw_score=True, num_threads=1)
        return np.column_stack([parts, margin, booster.predict(X, num_threads=1)])

    return _split(_in_blocks(explain, columns, columns.shape[1] + 3), task)


def _explain_logistic(estimator: Any, columns: NDArray[np.float32], background: NDArray[np.float32]) -> _Split:
    weight = np.asarray(estimator.coef_[-1], np.float64)
    mean = background.mean(axis=0, dtype=np.float64)
    values = weight * (columns - mean)
    base = float(np.sum(weight * mean)) + float(estimator.intercept_[-1])
    margin = np.full(len(columns), float(estimator.intercept_[-1]))
    for column, slope in enumerate(weight):
        margin += slope * columns[:, column]
    return _Split(values, base, margin, Scale.LOG_ODDS)


def _explain_ratios(table: Any, columns: NDArray[np.float32], background: NDArray[np.float32]) -> _Split:
    """Of a sum of one term for each column: slope of its logistic curve, times the term less its mean."""
    slope, origin = float(table.curve.slope_), background[:1]
    values, base = np.empty(columns.shape), float(table.curve.intercept_) + slope * float(table.total(origin)[0])
    for column in range(columns.shape[1]):
        # All else as in the first row: what changes the sum is the column's own term.
        term, behind = (_total_with(table, origin, column, X) - table.total(origin) for X in (columns, background))
        shift = float(behind.mean())
        values[:, column] = slope * (term - shift)
        base += slope * shift
    return _Split(values, base, slope * table.total(columns) + float(table.curve.intercept_), Scale.LOG_ODDS)


def _total_with(
    table: Any, origin: NDArray[np.float32], column: int, X: NDArray[np.float32]
) -> NDArray[np.float64]:  # fmt: skip
    changed = np.repeat(origin, len(X), axis=0)
    changed[:, column] = X[:, column]
    return np.asarray(table.total(changed), np.float64)


def _split(table: NDArray[np.float64], task: Task) -> _Split | NotExplained:
    """From (row, columns, base, margin, prediction); the base is the same in all rows."""
    margin = table[:, -2]
    if task is Task.REGRESSION and not np.array_equal(margin, table[:, -1]):
        return NotExplained("the model adds up on a scale that is neither a density nor log-odds")
    base = float(table[0, -3]) if len(table) else float("nan")
    return _Split(table[:, :-3], base, margin, Scale.DENSITY if task is Task.REGRESSION else Scale.LOG_ODDS)


def _in_blocks(function: Any, columns: NDArray[np.float32], width: int | None = None) -> NDArray[np.float64]:
    shape = (len(columns),) if width is None else (len(columns), width)
    result = np.empty(shape)
    for start in range(0, len(columns), _ROWS_AT_ONCE):
        block = slice(start, start + _ROWS_AT_ONCE)
        result[block] = function(columns[block])
    return result


def _mean_magnitudes(values: NDArray[np.float64]) -> NDArray[np.float64]:
    known = np.isfinite(values).all(axis=1)
    if not known.any():
        return np.full(values.shape[1], np.nan)
    return np.asarray(np.abs(values[known]).mean(axis=0))
