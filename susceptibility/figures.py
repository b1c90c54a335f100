"""Pictures of how good a study's models are: curves, comparisons, importance, reliability."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from susceptibility.curves import SHARES, Curve, precision_recall_curve, roc_curve
from susceptibility.design import Candidate
from susceptibility.evaluation import ComparisonRow, Evaluation, MetricRow
from susceptibility.explanations import ImportanceRow
from susceptibility.figure_parts import panels, save_figure
from susceptibility.metrics import DENSITY_METRICS, METRICS
from susceptibility.models import MODELS
from susceptibility.partitions import SCHEMES
from susceptibility.validation import FoldResult

_SET_COLORS = ("#6b7785", "#c1440e", "#1f6f8b", "#5d8a3a", "#7b5ea7", "#b08900")
_GROUP_COLORS = {
    "terrain": "#8a7f6a", "distances": "#b08900", "rasters": "#5d8a3a", "shaking": "#2b3a42", "categories": "#7b5ea7",
    "ground_failure": "#1f6f8b", "insar": "#c1440e",
}  # fmt: skip
_OTHER_COLOR = "#6b7785"
_MODEL_STYLES = ("-", "--", ":", "-.")
_BINS = 10
_MOST_DOTS = 4000
_RATES: NDArray[np.float64] = np.linspace(0.0, 1.0, 201)


def title_of(feature_set: str) -> str:
    """How a feature set is called in pictures and pages."""
    if feature_set.startswith("without_"):
        return feature_set.replace("_", " ").replace("insar", "InSAR")
    return feature_set.replace("_insar", " + InSAR").replace("_", " ")


def title_of_metric(name: str) -> str:
    """How a metric is called."""
    known = {**DENSITY_METRICS, **METRICS}
    return known[name].title if name in known else name


def title_of_group(name: str) -> str:
    """How a source of features is called."""
    return name.replace("insar", "InSAR").replace("_", " ")


def color_of_group(name: str) -> str:
    """Colour of the features that come from a source."""
    return _GROUP_COLORS.get(name, _OTHER_COLOR)


def draw_curves(path: Path, evaluation: Evaluation, metrics: Sequence[MetricRow]) -> None:
    """Draw ROC and precision-recall curves, one column for each scheme, each the mean over all folds."""
    schemes = evaluation.schemes
    figure, grid = panels(2, len(schemes), 4.6, 4.2)
    mean = {(row.feature_set, row.model, row.scheme, row.metric): row.mean for row in metrics}
    sets = list(evaluation.design.feature_sets)
    models = list(evaluation.design.plans)
    kinds: list[tuple[str, Curve, str, str]] = [
        ("auc_roc", roc_curve, "false positive rate", "true positive rate"),
        ("auc_pr", precision_recall_curve, "recall", "precision"),
    ]
    for row, (metric, curve, x_label, y_label) in enumerate(kinds):
        for column, scheme in enumerate(schemes):
            axes = grid[row][column]
            for candidate in evaluation.design.candidates:
                results = evaluation.folds[candidate, scheme]
                axes.plot(
                    _RATES,
                    mean_curve(results, curve, evaluation.design.positive_above),
                    color=_SET_COLORS[sets.index(candidate.feature_set) % len(_SET_COLORS)],
                    linestyle=_MODEL_STYLES[models.index(candidate.model) % len(_MODEL_STYLES)],
                    linewidth=1.5,
                    label=f"{MODELS[candidate.model].title}, {title_of(candidate.feature_set)}: "
                    f"{mean[*candidate, scheme, metric]:.3f}",
                )
            prevalence = mean[*evaluation.design.candidates[0], scheme, "prevalence"]
            chance = _RATES if metric == "auc_roc" else np.full_like(_RATES, prevalence)
            axes.plot(_RATES, chance, color="#b9b9b9", linewidth=0.8)
            axes.set(xlim=(0.0, 1.0), ylim=(0.0, 1.02), xlabel=x_label, ylabel=y_label)
            axes.set_title(f"{'ROC' if row == 0 else 'precision-recall'}, {SCHEMES[scheme].title} folds", fontsize=10)
            axes.legend(fontsize=7, loc="lower right" if row == 0 else "best", frameon=False)
    save_figure(figure, path)


def mean_curve(results: Sequence[FoldResult], curve: Curve, positive_above: float = 0.0) -> NDArray[np.float64]:
    """Average of the curves of all folds at the rates 0, 0.005, ..., 1; folds of one class have none."""
    each = []
    for result in results:
        positive = result.target > positive_above
        if positive.any() and not positive.all():
            each.append(np.interp(_RATES, *_without_steps(*curve(positive, result.probability))))
    return np.asarray(np.mean(each, axis=0)) if each else np.full(_RATES.size, np.nan)


def draw_comparison(path: Path, rows: Sequence[ComparisonRow]) -> None:
    """Draw the paired differences of the metric that decides, with their 95 % intervals."""
    metric = rows[0].difference.metric
    shown = [row for row in rows if row.difference.metric == metric]
    figure, grid = panels(1, 1, 7.2, 0.9 + 0.38 * len(shown))
    axes = grid[0][0]
    axes.axvline(0.0, color="#555555", linewidth=0.9)
    for place, row in enumerate(reversed(shown)):
        difference = row.difference
        color = {"gain": "#2e7d4f", "loss": "#b3261e", "no gain": "#6b7785"}[row.verdict]
        if math.isfinite(difference.lower):
            axes.plot([difference.lower, difference.upper], [place, place], color=color, linewidth=2.0)
        axes.plot(difference.mean, place, "o", color=color, markersize=5)
    axes.set_yticks(
        range(len(shown)),
        [
            f"{MODELS[row.model].title}, {SCHEMES[row.scheme].title}: {title_of(row.candidate)} ({row.verdict})"
            for row in reversed(shown)
        ],
        fontsize=8,
    )
    axes.set_ylim(-0.6, len(shown) - 0.4)
    axes.set_xlabel(
        f"{title_of_metric(metric)} minus that of {title_of(shown[0].baseline)}, with 95 % interval", fontsize=8
    )
    axes.tick_params(axis="x", labelsize=8)
    save_figure(figure, path)


def draw_importance(path: Path, rows: Sequence[ImportanceRow]) -> None:
    """Draw permutation importance of the last feature set, the fullest, one panel for each model; groups below."""
    from matplotlib.patches import Patch

    last = rows[-1].feature_set
    shown = [row for row in rows if row.feature_set == last]
    models = list(dict.fromkeys(row.model for row in shown))
    kinds = [kind for kind in ("feature", "group") if any(row.kind == kind for row in shown)]
    most = [len({row.name for row in shown if row.kind == kind}) for kind in kinds]
    figure, grid = panels(len(kinds), len(models), 3.9, [1.3 + 0.27 * each for each in most])
    for column, model in enumerate(models):
        for place, kind in enumerate(kinds):
            axes = grid[place][column]
            own = sorted(
                (row for row in shown if row.model == model and row.kind == kind), key=lambda row: row.permutation_mean
            )
            means = np.array([row.permutation_mean for row in own])
            ends = np.array([[row.permutation_q05, row.permutation_q95] for row in own]).T
            axes.barh(
                [title_of_group(row.name) if kind == "group" else row.name for row in own],
                means,
                xerr=np.nan_to_num(np.maximum([means - ends[0], ends[1] - means], 0.0)),
                color=[color_of_group(row.group) for row in own],
                error_kw={"elinewidth": 0.8, "ecolor": "#333333"},
            )
            axes.axvline(0.0, color="#555555", linewidth=0.8)
            axes.locator_params(axis="x", nbins=5)
            axes.set_title(f"{MODELS[model].title}, {title_of(last)}", fontsize=9)
            axes.set_xlabel(f"drop of {title_of_metric(shown[0].score)}" + (", together" if place else ""), fontsize=8)
            axes.tick_params(labelsize=7.5)
    groups = dict.fromkeys(row.group for row in shown)
    handles = [Patch(color=color_of_group(name), label=title_of_group(name)) for name in groups]
    grid[0][-1].legend(handles=handles, fontsize=7, loc="lower right", frameon=False)
    save_figure(figure, path)


def draw_reliability(path: Path, evaluation: Evaluation, scheme: str) -> None:
    """Draw the observed share of landslides against the predicted probability, on held-out folds."""
    sets = list(evaluation.design.feature_sets)
    figure, grid = panels(1, len(sets), 4.2, 4.0)
    for axes, feature_set in zip(grid[0], sets, strict=True):
        axes.plot([0.0, 1.0], [0.0, 1.0], color="#b9b9b9", linewidth=0.8)
        for number, model in enumerate(evaluation.design.plans):
            results = evaluation.folds.get((Candidate(feature_set, model), scheme))
            if results is None:
                continue
            predicted, observed = reliability(
                np.concatenate([result.target for result in results]),
                np.concatenate([result.probability for result in results]),
            )
            style = _MODEL_STYLES[number % len(_MODEL_STYLES)]
            color = _SET_COLORS[sets.index(feature_set) % len(_SET_COLORS)]
            axes.plot(predicted, observed, style, color=color, marker="o", markersize=3.5, label=MODELS[model].title)
        axes.set(xlim=(0.0, 1.0), ylim=(0.0, 1.0), xlabel="predicted probability", ylabel="share of landslides")
        axes.set_title(f"{title_of(feature_set)}, {SCHEMES[scheme].title} folds", fontsize=10)
        axes.legend(fontsize=7, loc="upper left", frameon=False)
    save_figure(figure, path)


def draw_densities(path: Path, evaluation: Evaluation, scheme: str) -> None:
    """Draw predicted against observed density of held-out units, one panel for each candidate."""
    design = evaluation.design
    sets, models = list(design.feature_sets), list(design.plans)
    figure, grid = panels(len(models), len(sets), 3.4, 3.4)
    for row, model in enumerate(models):
        for column, feature_set in enumerate(sets):
            axes = grid[row][column]
            results = evaluation.folds.get((Candidate(feature_set, model), scheme))
            axes.set_title(f"{MODELS[model].title}, {title_of(feature_set)}", fontsize=9)
            if results is None:
                continue
            observed = np.concatenate([result.target for result in results])
            predicted = np.concatenate([result.probability for result in results])
            top = float(max(observed.max(), predicted.max())) or 1.0
            axes.plot([0.0, top], [0.0, top], color="#b9b9b9", linewidth=0.8)
            step = max(1, len(observed) // _MOST_DOTS)
            axes.plot(observed[::step], predicted[::step], ".", color="#c1440e", markersize=2, alpha=0.5)
            axes.set_xlabel("observed density", fontsize=8)
            axes.set_ylabel("predicted, held out", fontsize=8)
            axes.tick_params(labelsize=7)
    save_figure(figure, path)


def reliability(target: NDArray[Any], probability: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean predicted probability and share of landslides in tenths of probability that hold at least 5 cells."""
    tenth = np.minimum((np.asarray(probability) * _BINS).astype(np.intp), _BINS - 1)
    count = np.bincount(tenth, minlength=_BINS)
    enough = count >= 5
    predicted = np.bincount(tenth, probability, minlength=_BINS)[enough] / count[enough]
    observed = np.bincount(tenth, target, minlength=_BINS)[enough] / count[enough]
    return predicted, observed


def _without_steps(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Highest value at each place, so that the curve can be interpolated."""
    places, start = np.unique(x, return_index=True)
    return places, np.maximum.reduceat(y, start)


def draw_rates(path: Path, evaluation: Evaluation, scheme: str, of_what: str = "area") -> None:
    """Draw success-rate and prediction-rate curves of the area or the sample, one panel for each feature set."""
    design = evaluation.design
    sets, models = list(design.feature_sets), list(design.plans)
    figure, grid = panels(1, len(sets), 4.2, 4.0)
    for axes, feature_set in zip(grid[0], sets, strict=True):
        axes.plot([0.0, 100.0], [0.0, 100.0], color="#b9b9b9", linewidth=0.8)
        for number, model in enumerate(models):
            results = evaluation.folds.get((Candidate(feature_set, model), scheme), [])
            color = _SET_COLORS[(number + 1) % len(_SET_COLORS)]
            for style, which in (("--", "success_rate"), ("-", "prediction_rate")):
                curves = np.array([getattr(result, which) for result in results])
                if not np.isfinite(curves).any():
                    continue
                share = np.nanmean(curves, axis=0)
                area = float(np.nanmean([result.metrics["rate_area"] for result in results]))
                label = f"{MODELS[model].title}: {area:.3f}" if style == "-" else None
                axes.plot(100.0 * SHARES, 100.0 * share, style, color=color, linewidth=1.4, label=label)
        axes.set(xlim=(0.0, 100.0), ylim=(0.0, 101.0))
        axes.set(xlabel=f"share of the {of_what}, %", ylabel="share of landslides, %")
        axes.set_title(f"{title_of(feature_set)}, {SCHEMES[scheme].title} folds", fontsize=10)
        axes.legend(fontsize=7, loc="lower right", frameon=False, title="area under, held out", title_fontsize=7)
    save_figure(figure, path)
