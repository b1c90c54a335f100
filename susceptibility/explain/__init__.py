"""Why a model says what it says, and which features it relies on.

`permutation` and `ablation` ask what a model loses without a feature or a group of them, `shapley` splits each single
prediction among the features, and `dependence` shows how the prediction goes with one of them. None of them says that a
feature causes landslides: features that tell the same share what is due to either.
"""

from __future__ import annotations

from susceptibility.explain.ablation import AblationRow, ablation_sets, summarize_ablation
from susceptibility.explain.dependence import (
    Curve,
    CurveSummary,
    accumulated_effects,
    choose_points,
    partial_dependence,
    summarize_curves,
)
from susceptibility.explain.groups import feature_groups, summarize_repeats
from susceptibility.explain.permutation import SCORERS, permutation_importance, predictor_of
from susceptibility.explain.shapley import NotExplained, Scale, ShapValues, shap_values

__all__ = [
    "SCORERS",
    "AblationRow",
    "Curve",
    "CurveSummary",
    "NotExplained",
    "Scale",
    "ShapValues",
    "ablation_sets",
    "accumulated_effects",
    "choose_points",
    "feature_groups",
    "partial_dependence",
    "permutation_importance",
    "predictor_of",
    "shap_values",
    "summarize_ablation",
    "summarize_curves",
    "summarize_repeats",
]
