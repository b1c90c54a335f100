"""How well probabilities tell landslide cells from others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that tells how good a prediction is; `higher_is_better` is None for a description of the sample."""

    name: str
    title: str
    higher_is_better: bool | None


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("prevalence", "prevalence", None),
        Metric("auc_roc", "AUC-ROC", True),
        Metric("auc_pr", "AUC-PR", True),
        Metric("csi", "CSI", True),
        Metric("brier", "Brier", False),
        Metric("log_loss", "log loss", False),
        Metric("f1", "F1", True),
        Metric("sensitivity", "sensitivity", True),
        Metric("specificity", "specificity", True),
        Metric("accuracy", "accuracy", True),
    )
}
"""Every metric, by name, in the order of tables."""


def score(target: NDArray[Any], probability: NDArray[Any]) -> dict[str, float]:
    """All `METRICS` of one prediction.

    Parameters
    ----------
    target
        (cell,) 1 where there is a landslide, else 0; both occur.
    probability
        (cell,) predicted, 0 to 1.

    Returns
    -------
    dict
        Value by metric name. CSI, F1, sensitivity, specificity and accuracy are of the classes at 0.5.

    Notes
    -----
    AUC-PR is the average precision, the sum of precision times the step in recall, without interpolation. CSI, the
    critical success index, is TP / (TP + FP + FN).
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    truth = np.asarray(target).astype(bool)
    p = np.asarray(probability, np.float64)
    called = p >= THRESHOLD
    hits = float(np.count_nonzero(called & truth))
    false_alarms = float(np.count_nonzero(called & ~truth))
    misses = float(np.count_nonzero(~called & truth))
    rejections = float(np.count_nonzero(~called & ~truth))
    sure = np.clip(p, 1e-15, 1.0 - 1e-15)
    return {
        "prevalence": float(truth.mean()),
        "auc_roc": float(roc_auc_score(truth, p)),
        "auc_pr": float(average_precision_score(truth, p)),
        "csi": hits / (hits + false_alarms + misses),
        "brier": float(np.mean((p - truth) ** 2)),
        "log_loss": float(-np.mean(np.where(truth, np.log(sure), np.log1p(-sure)))),
        "f1": 2.0 * hits / (2.0 * hits + false_alarms + misses),
        "sensitivity": hits / (hits + misses),
        "specificity": rejections / (rejections + false_alarms),
        "accuracy": (hits + rejections) / truth.size,
    }


def summarize(values: NDArray[np.float64]) -> dict[str, float]:
    """Mean, standard deviation (NaN for one value), 5 and 95 % quantiles of a metric over folds and repeats."""
    low, high = np.quantile(values, [0.05, 0.95])
    return {
        "mean": float(np.mean(values)),
        "std": float(np.std(values, ddof=1)) if values.size > 1 else float("nan"),
        "q05": float(low),
        "q95": float(high),
    }


Curve = Callable[[NDArray[Any], NDArray[Any]], tuple[NDArray[np.float64], NDArray[np.float64]]]


def roc_curve(target: NDArray[Any], probability: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """False positive rate, ascending, and the true positive rate there."""
    from sklearn.metrics import roc_curve as rates

    false_positive, true_positive, _ = rates(target, probability)
    return np.asarray(false_positive), np.asarray(true_positive)


def precision_recall_curve(
    target: NDArray[Any], probability: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Recall, ascending, and the precision there."""
    from sklearn.metrics import precision_recall_curve as curve

    precision, recall, _ = curve(target, probability)
    return np.asarray(recall)[::-1], np.asarray(precision)[::-1]
