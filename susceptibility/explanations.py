"""What every candidate of a study relies on: importance of features and of their groups, Shapley values, dependence."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from susceptibility.design import Candidate, Design
from susceptibility.evaluation import Evaluation, SampledRows
from susceptibility.explain import (
    CurveSummary,
    NotExplained,
    ShapValues,
    choose_points,
    feature_groups,
    partial_dependence,
    shap_values,
    summarize_curves,
)
from susceptibility.models import MODELS
from susceptibility.models.learner import SusceptibilityModel
from susceptibility.schema import FeatureSchema
from susceptibility.workers import run_in_threads

FEATURE, GROUP = "feature", "group"

_DEPENDENCE_MODELS = 10  # curves of so many draws show their spread


@dataclass(frozen=True, slots=True)
class ImportanceRow:
    """What a feature, or a group of them, is to a model, by three measures.

    Attributes
    ----------
    feature_set, model
        The candidate.
    kind, name, group, unit
        ``feature`` or ``group``; and where the feature comes from.
    permutation_mean, permutation_std, permutation_q05, permutation_q95
        Drop of `score` on held-out spatial folds when its values are shuffled, over folds, draws and shuffles; NaN
        where none were made.
    score
        Name of the metric.
    shap_median, shap_q05, shap_q95
        Mean magnitude of the Shapley values over rows, over draws; NaN where the model has none.
    shap_scale
        What they are of: log-odds, probability or density.
    native, native_name
        Mean over draws of the model's own measure, and what that is called; of a group the sum of what adds up.
    """

    feature_set: str
    model: str
    kind: str
    name: str
    group: str
    unit: str
    permutation_mean: float
    permutation_std: float
    permutation_q05: float
    permutation_q95: float
    score: str
    shap_median: float
    shap_q05: float
    shap_q95: float
    shap_scale: str
    native: float
    native_name: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Of one candidate.

    Attributes
    ----------
    shap
        Of the first draw's model, for some rows of its sample; or why there is none.
    features
        (row, feature) of these rows.
    schema
        Of the features.
    magnitudes, group_magnitudes
        (draw, feature) and (draw, group) mean magnitudes of Shapley values; empty where there are none.
    curves
        Partial dependence on each feature.
    """

    shap: ShapValues | NotExplained | None
    features: NDArray[np.float32]
    schema: tuple[FeatureSchema, ...]
    magnitudes: NDArray[np.float64]
    group_magnitudes: NDArray[np.float64]
    curves: tuple[CurveSummary, ...]


def explain_candidates(
    design: Design,
    rows: SampledRows,
    fitted: Mapping[Candidate, Sequence[SusceptibilityModel]],
    *,
    most_rows: int,
    with_shap: bool = True,
    with_dependence: bool = True,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[Candidate, Explanation]:
    """Shapley values and partial dependence of every candidate.

    Parameters
    ----------
    design, rows
        As of `evaluate`.
    fitted
        From `fit_models`.
    most_rows
        Rows of each sample that are explained, drawn at random.
    with_shap, with_dependence
        Which of the two.
    workers, progress
        As of `evaluate`.
    """
    candidates = list(fitted)
    found = {}
    for number, candidate in enumerate(candidates):
        if progress is not None:
            progress(number, len(candidates))
        found[candidate] = _explain(
            design, rows, candidate, fitted[candidate], most_rows, with_shap, with_dependence, workers
        )
    if progress is not None:
        progress(len(candidates), len(candidates))
    return found


def _explain(
    design: Design,
    rows: SampledRows,
    candidate: Candidate,
    models: Sequence[SusceptibilityModel],
    most_rows: int,
    with_shap: bool,
    with_dependence: bool,
    workers: int | None,
) -> Explanation:
    schema = design.feature_sets[candidate.feature_set]
    names = design.names(candidate.feature_set)
    groups = feature_groups(schema)
    shap: ShapValues | NotExplained | None = None
    magnitudes, of_groups = [], []
    shown = _some(rows.features(0, names), most_rows, design.seed)
    for draw, model in enumerate(models) if with_shap else ():
        features = rows.features(draw, names)
        values = shap_values(model, _some(features, most_rows, design.seed), background=features, workers=workers)
        shap = values if shap is None else shap
        if isinstance(values, NotExplained):
            break
        magnitudes.append(values.magnitudes())
        of_groups.append(values.group_magnitudes(groups))
    curves: tuple[CurveSummary, ...] = ()
    if with_dependence:
        tasks = [partial(_curve, rows, names, schema, models, column, design.seed) for column in range(len(schema))]
        curves = tuple(run_in_threads(tasks, workers=workers))
    return Explanation(
        shap,
        shown,
        schema,
        np.array(magnitudes).reshape(len(magnitudes), len(schema)),
        np.array(of_groups).reshape(len(of_groups), len(groups)),
        curves,
    )


def _curve(
    rows: SampledRows,
    names: Sequence[str],
    schema: tuple[FeatureSchema, ...],
    models: Sequence[SusceptibilityModel],
    column: int,
    seed: int,
) -> CurveSummary:
    first = rows.features(0, names)
    points = choose_points(first, schema, column)
    curves = []
    for draw, model in enumerate(models[:_DEPENDENCE_MODELS]):
        features = first if draw == 0 else rows.features(draw, names)
        curves.append(partial_dependence(model, features, schema, column, points, most_rows=200, seed=seed))
    return summarize_curves(curves)


def _some(features: NDArray[np.float32], most: int, seed: int) -> NDArray[np.float32]:
    if len(features) <= most:
        return features
    chosen = np.random.default_rng(seed).choice(len(features), most, replace=False)
    return features[np.sort(chosen)]


def importance_rows(
    evaluation: Evaluation,
    fitted: Mapping[Candidate, Sequence[SusceptibilityModel]],
    explanations: Mapping[Candidate, Explanation],
) -> list[ImportanceRow]:
    """Importance of every feature and group to every candidate.

    Permutation importance is of the first spatial scheme.
    """
    found: list[ImportanceRow] = []
    design = evaluation.design
    for candidate in design.candidates:
        schema = design.feature_sets[candidate.feature_set]
        groups = feature_groups(schema)
        folds = evaluation.folds[candidate, evaluation.spatial_schemes[0]]
        native = np.mean([model.native_importance() for model in fitted[candidate]], axis=0)
        native_name = MODELS[candidate.model].native_importance_name
        explanation = explanations.get(candidate)
        scale = "" if explanation is None or not isinstance(explanation.shap, ShapValues) else explanation.shap.scale
        drops = np.concatenate([result.importance for result in folds])
        of_groups = np.concatenate([result.group_importance for result in folds])
        for column, feature in enumerate(schema):
            magnitudes = None if explanation is None else explanation.magnitudes[:, column]
            found.append(
                ImportanceRow(
                    *candidate,
                    FEATURE,
                    feature.name,
                    feature.group,
                    feature.unit,
                    *_drop(drops, column),
                    design.score,
                    *_range(magnitudes),
                    str(scale),
                    float(native[column]),
                    native_name,
                )
            )
        adds_up = not MODELS[candidate.model].importance_is_slope
        for number, (name, columns) in enumerate(groups.items() if len(groups) > 1 else ()):
            magnitudes = None if explanation is None else explanation.group_magnitudes[:, number]
            found.append(
                ImportanceRow(
                    *candidate,
                    GROUP,
                    name,
                    name,
                    "",
                    *_drop(of_groups, number),
                    design.score,
                    *_range(magnitudes),
                    str(scale),
                    float(native[list(columns)].sum()) if adds_up else math.nan,
                    native_name,
                )
            )
    return found


def _drop(drops: NDArray[np.float64], column: int) -> tuple[float, float, float, float]:
    """Mean, standard deviation, 5 and 95 % quantile of a column."""
    if drops.shape[0] == 0 or column >= drops.shape[1]:
        return math.nan, math.nan, math.nan, math.nan
    values = drops[:, column]
    low, high = np.quantile(values, [0.05, 0.95])
    return float(values.mean()), float(values.std(ddof=1)) if values.size > 1 else math.nan, float(low), float(high)


def _range(magnitudes: NDArray[np.float64] | None) -> tuple[float, float, float]:
    if magnitudes is None or magnitudes.size == 0:
        return math.nan, math.nan, math.nan
    low, middle, high = np.quantile(magnitudes, [0.05, 0.5, 0.95])
    return float(middle), float(low), float(high)
