"""How well predictions tell landslide rows from others, and how near they come to a density."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from susceptibility.curves import Curve, RateCurve, precision_recall_curve, ranked_weights, rate_curve, roc_curve
from susceptibility.errors import InputError
from susceptibility.schema import Task
from susceptibility.thresholds import Confusion, confusion

__all__ = [
    "DENSITY_METRICS",
    "METRICS",
    "THRESHOLD",
    "Curve",
    "Metric",
    "calibration_error",
    "fixed_threshold",
    "metrics_of",
    "precision_recall_curve",
    "roc_curve",
    "score",
    "summarize",
    "unknown_scores",
]

THRESHOLD = 0.5
_BINS = 10

Kind = Literal["sample", "ranking", "probability", "density", "fixed", "chosen"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that tells how good a prediction is.

    Attributes
    ----------
    name, title
        As tables and as people write it.
    higher_is_better
        None for a description of the sample or of the classes.
    kind
        What it is of: the sample, the order of rows, probabilities, densities, or the classes at the fixed threshold or
        at the one chosen on the training rows.
    """

    name: str
    title: str
    higher_is_better: bool | None
    kind: Kind


_RANKING = (
    Metric("prevalence", "prevalence", None, "sample"),
    Metric("auc_roc", "AUC-ROC", True, "ranking"),
    Metric("auc_pr", "AUC-PR", True, "ranking"),
)
_RATE = Metric("rate_area", "area under rate curve", True, "ranking")
_CHOSEN = (
    Metric("threshold", "chosen threshold", None, "chosen"),
    Metric("csi_chosen", "CSI at chosen threshold", True, "chosen"),
    Metric("f1_chosen", "F1 at chosen threshold", True, "chosen"),
    Metric("sensitivity_chosen", "sensitivity at chosen threshold", True, "chosen"),
    Metric("specificity_chosen", "specificity at chosen threshold", True, "chosen"),
    Metric("accuracy_chosen", "accuracy at chosen threshold", True, "chosen"),
)
_CSI = Metric("csi", "CSI", True, "fixed")
_FIXED = (
    Metric("f1", "F1", True, "fixed"),
    Metric("sensitivity", "sensitivity", True, "fixed"),
    Metric("specificity", "specificity", True, "fixed"),
    Metric("accuracy", "accuracy", True, "fixed"),
)

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        *_RANKING,
        _CSI,
        Metric("brier", "Brier", False, "probability"),
        Metric("log_loss", "log loss", False, "probability"),
        *_FIXED,
        Metric("calibration_error", "calibration error", False, "probability"),
        _RATE,
        *_CHOSEN,
    )
}
"""Every metric of a probability, by name, in the order of tables."""

DENSITY_METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        *_RANKING,
        Metric("r2", "r2", True, "density"),
        Metric("r2_line", "r2 of the line of best fit", True, "density"),
        Metric("spearman", "Spearman", True, "density"),
        Metric("rmse", "RMSE", False, "density"),
        Metric("mae", "MAE", False, "density"),
        _CSI,
        *_FIXED,
        _RATE,
        *_CHOSEN,
    )
}
"""Every metric of a predicted density; those of classes are of density above a bound."""


def metrics_of(task: Task) -> dict[str, Metric]:
    """Metrics of a task, by name, in the order of tables."""
    return METRICS if task is Task.CLASSIFICATION else DENSITY_METRICS


def fixed_threshold(task: Task, positive_above: float = 0.0) -> float:
    """Value from which on a prediction is called a landslide: probability 0.5, or a density above the bound."""
    return THRESHOLD if task is Task.CLASSIFICATION else float(np.nextafter(positive_above, np.inf))


def score(
    target: NDArray[Any],
    prediction: NDArray[Any],
    *,
    task: Task = Task.CLASSIFICATION,
    positive_above: float = 0.0,
    weight: NDArray[np.floating] | None = None,
    area: NDArray[np.floating] | None = None,
    threshold: float | None = None,
) -> dict[str, float]:
    """All metrics of one prediction.

    Parameters
    ----------
    target
        (row,) 1 where there is a landslide, else 0; or the density.
    prediction
        (row,) probability, 0 to 1; or the predicted density.
    task
        Which of the two.
    positive_above
        There is a landslide where the target is larger.
    weight
        (row,) how much each counts, such as the rows it stands for; None if all count the same.
    area
        (row,) ground that each stands for, for the rate curve; None if all are alike.
    threshold
        Chosen without these rows, see `susceptibility.thresholds.choose_threshold`; without it the metrics at the
        chosen threshold are unknown.

    Returns
    -------
    dict
        Value by name, of `METRICS` or `DENSITY_METRICS`; NaN where the rows do not define it, see `unknown_scores`.
        CSI, F1, sensitivity, specificity and accuracy are of the classes at 0.5, of a density those above
        `positive_above`.

    Raises
    ------
    InputError
        A prediction or target is unknown, or there are none.

    Notes
    -----
    AUC-PR is the average precision, the sum of precision times the step in recall, without interpolation. CSI, the
    critical success index, is TP / (TP + FP + FN). The calibration error is the expected one over ten equal bins.
    `r2` is ``1 - sum (y - p)^2 / sum (y - mean y)^2``, which is negative where the mean would be the better prediction;
    `r2_line` is the squared correlation, which forgives a wrong scale and offset.
    """
    truth_value = np.asarray(target, np.float64)
    p = np.asarray(prediction, np.float64)
    w = np.ones(p.size) if weight is None else np.asarray(weight, np.float64)
    unknown = int(np.count_nonzero(~np.isfinite(p) | ~np.isfinite(truth_value)))
    if unknown or not p.size:
        raise InputError(
            "scores",
            required="a known prediction and a known target of at least one row, and of all of them",
            found=f"{unknown} unknown of {p.size}",
            remedy="Leave out rows with unknown features, or impute them",
        )
    truth = truth_value > positive_above
    values = {
        "prevalence": float(w[truth].sum() / w.sum()),
        **_ranking(truth, p, w),
        "rate_area": rate_of(truth_value, p, task, positive_above, w, area).area_under,
        **(_of_probability(truth, p, w) if task is Task.CLASSIFICATION else _of_density(truth_value, p, w)),
        **_classes(confusion(truth, p, fixed_threshold(task, positive_above), w), ""),
    }
    if threshold is None:
        values |= dict.fromkeys((metric.name for metric in _CHOSEN), math.nan)
    else:
        values |= {"threshold": threshold, **_classes(confusion(truth, p, threshold, w), "_chosen")}
    return {name: values[name] for name in metrics_of(task)}


def rate_of(
    target: NDArray[Any],
    prediction: NDArray[np.float64],
    task: Task,
    positive_above: float,
    weight: NDArray[np.float64],
    area: NDArray[np.floating] | None,
) -> RateCurve:
    """Rate curve of a prediction; parameters as of `score`.

    With presence each landslide row counts as its weight says, however large it is; with a density it counts as much
    as it holds.
    """
    size = weight if area is None else np.asarray(area, np.float64)
    held = (target > positive_above) * weight if task is Task.CLASSIFICATION else target * size
    return rate_curve(held, prediction, size)


def unknown_scores(
    target: NDArray[Any], prediction: NDArray[Any], *, task: Task = Task.CLASSIFICATION, positive_above: float = 0.0
) -> dict[str, str]:
    """Say why metrics of a prediction are NaN: reason by name, empty where all are known."""
    truth = np.asarray(target, np.float64) > positive_above
    landslides, others = int(truth.sum()), int((~truth).sum())
    reasons: dict[str, str] = {}
    if not landslides or not others:
        only = f"{landslides} landslide rows and {others} others: it takes both"
        reasons |= dict.fromkeys(("auc_roc", "sensitivity" if not landslides else "specificity"), only)
        if not landslides:
            reasons |= dict.fromkeys(("auc_pr", "rate_area"), only)
            if not (np.asarray(prediction) >= fixed_threshold(task, positive_above)).any():
                reasons |= dict.fromkeys(("csi", "f1"), "no landslide, and none predicted")
    if task is Task.REGRESSION:
        if np.asarray(target, np.float64).any():
            reasons.pop("rate_area", None)
        if np.ptp(np.asarray(target, np.float64)) == 0.0:
            reasons |= dict.fromkeys(("r2", "r2_line", "spearman"), "all rows have one density")
        elif np.ptp(np.asarray(prediction, np.float64)) == 0.0:
            reasons |= dict.fromkeys(("r2_line", "spearman"), "all predictions are the same")
    return {name: reasons[name] for name in metrics_of(task) if name in reasons}


def _ranking(truth: NDArray[np.bool_], p: NDArray[np.float64], w: NDArray[np.float64]) -> dict[str, float]:
    _, hits, false_alarms = ranked_weights(truth, p, w)
    values = {"auc_roc": math.nan, "auc_pr": math.nan}
    if truth.any():
        found = np.diff(hits, prepend=0.0)
        called = hits + false_alarms
        precision = np.divide(hits, called, out=np.zeros(called.size), where=called > 0.0)
        values["auc_pr"] = float(np.sum(found * precision) / hits[-1])
        if not truth.all():
            passed = np.diff(false_alarms, prepend=0.0)
            values["auc_roc"] = float(np.sum(passed * (hits - 0.5 * found)) / (hits[-1] * false_alarms[-1]))
    return values


def _of_probability(truth: NDArray[np.bool_], p: NDArray[np.float64], w: NDArray[np.float64]) -> dict[str, float]:
    sure = np.clip(p, 1e-15, 1.0 - 1e-15)
    return {
        "brier": float(np.average((p - truth) ** 2, weights=w)),
        "log_loss": float(-np.average(np.where(truth, np.log(sure), np.log1p(-sure)), weights=w)),
        "calibration_error": calibration_error(truth, p, w),
    }


def calibration_error(
    target: NDArray[Any], probability: NDArray[Any], weight: NDArray[np.floating] | None = None, bins: int = _BINS
) -> float:
    """Expected calibration error: mean distance of the mean probability to the share of landslides, over equal bins.

    Parameters
    ----------
    target, probability
        (row,) 1 or 0, and 0 to 1.
    weight
        (row,) how much each counts.
    bins
        Their number between 0 and 1; each counts by the weight of its rows.

    References
    ----------
    Naeini, M. P., Cooper, G. F., Hauskrecht, M. (2015). Obtaining well calibrated probabilities using Bayesian binning.
    AAAI, 2901-2907.
    """
    p = np.asarray(probability, np.float64)
    w = np.ones(p.size) if weight is None else np.asarray(weight, np.float64)
    place = np.minimum((p * bins).astype(np.intp), bins - 1)
    excess = np.bincount(place, w * (p - np.asarray(target, np.float64)), minlength=bins)
    return float(np.abs(excess).sum() / w.sum())


def _of_density(y: NDArray[np.float64], p: NDArray[np.float64], w: NDArray[np.float64]) -> dict[str, float]:
    from scipy.stats import rankdata

    error = np.average((y - p) ** 2, weights=w)
    spread = np.average((y - np.average(y, weights=w)) ** 2, weights=w)
    return {
        "r2": float(1.0 - error / spread) if spread > 0.0 else math.nan,
        "r2_line": _correlation(y, p, w) ** 2,
        "spearman": _correlation(rankdata(y), rankdata(p), w),
        "rmse": math.sqrt(error),
        "mae": float(np.average(np.abs(y - p), weights=w)),
    }


def _correlation(x: NDArray[np.float64], y: NDArray[np.float64], w: NDArray[np.float64]) -> float:
    """Weighted Pearson correlation; NaN where either does not vary."""
    if np.ptp(x) == 0.0 or np.ptp(y) == 0.0:
        return math.nan
    dx, dy = x - np.average(x, weights=w), y - np.average(y, weights=w)
    return float(np.sum(w * dx * dy) / math.sqrt(np.sum(w * dx * dx) * np.sum(w * dy * dy)))


def _classes(table: Confusion, suffix: str) -> dict[str, float]:
    return {
        f"csi{suffix}": table.csi,
        f"f1{suffix}": table.f1,
        f"sensitivity{suffix}": table.sensitivity,
        f"specificity{suffix}": table.specificity,
        f"accuracy{suffix}": table.accuracy,
    }


def summarize(values: NDArray[np.float64]) -> dict[str, float]:
    """Mean, standard deviation (NaN for one value), 5 and 95 % quantiles of a metric over folds and repeats.

    Folds where the metric is unknown do not count; NaN where it is known nowhere.
    """
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    if not known.size:
        return dict.fromkeys(("mean", "std", "q05", "q95"), math.nan)
    low, high = np.quantile(known, [0.05, 0.95])
    return {
        "mean": float(np.mean(known)),
        "std": float(np.std(known, ddof=1)) if known.size > 1 else math.nan,
        "q05": float(low),
        "q95": float(high),
    }
