"""Curves of a prediction: ROC, precision-recall, and landslides captured against area."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from susceptibility.errors import InputError

SHARES: NDArray[np.float64] = np.linspace(0.0, 1.0, 101)
"""Shares of the area at which rate curves are kept."""

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


def ranked_weights(
    landslide: NDArray[np.bool_], prediction: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Weight of landslides and of other rows that are called, from the highest prediction down.

    Returns
    -------
    prediction
        (value,) distinct predictions, descending.
    hits, false_alarms
        (value,) weight of the rows predicted at least so, with landslide and without.
    """
    values, place = np.unique(-prediction, return_inverse=True)
    hits = np.bincount(place, weight * landslide, minlength=values.size)
    alarms = np.bincount(place, weight, minlength=values.size)
    return -values, np.cumsum(hits), np.cumsum(alarms - hits)


@dataclass(frozen=True, slots=True)
class RateCurve:
    """Share of landslides captured by the most susceptible part of the area.

    Of the landslides that a model learned from it is the success-rate curve, of others the prediction-rate curve.

    Attributes
    ----------
    area_share
        (point,) share of the area, ascending from 0 to 1.
    landslide_share
        (point,) share of the landslides there; NaN where there are none at all.
    area_under
        Area under the curve: 0.5 by chance, NaN without landslides.
    unknown_share
        Share of the area whose susceptibility is unknown, and which is left out.
    missed_share
        Share of the landslides there.
    """

    area_share: NDArray[np.float64]
    landslide_share: NDArray[np.float64]
    area_under: float
    unknown_share: float
    missed_share: float

    def captured(self, area_share: float | NDArray[np.float64]) -> NDArray[np.float64]:
        """Share of landslides in the most susceptible part of that share of the area."""
        return np.asarray(np.interp(area_share, self.area_share, self.landslide_share))

    def thinned(self) -> RateCurve:
        """The same curve at `SHARES` of the area, with the area under the whole one."""
        return RateCurve(SHARES, self.captured(SHARES), self.area_under, self.unknown_share, self.missed_share)


def rate_curve(
    landslides: NDArray[Any], susceptibility: NDArray[Any], area: NDArray[np.floating] | None = None
) -> RateCurve:
    """Share of landslides against share of area, rows ordered by susceptibility, the most susceptible first.

    Parameters
    ----------
    landslides
        (row,) how much landslide a row holds, at least 0: 1 or 0, their number, or their area.
    susceptibility
        (row,) probability, density or any score; NaN where unknown.
    area
        (row,) area of each row in any one unit, times the rows it stands for in a sample; None if all are alike.

    Raises
    ------
    InputError
        A row has less than no landslide or no area, or these are unknown.

    Notes
    -----
    Rows of one susceptibility enter together, so that the curve does not depend on their order. For labels 1 and 0 and
    rows of one area, the area under the curve is ``(1 - p) AUC + p / 2`` with the prevalence `p` and the area under
    the ROC curve.

    References
    ----------
    Chung, C.-J. F., Fabbri, A. G. (2003). Validation of spatial prediction models for landslide hazard mapping.
    Natural Hazards 30, 451-472.
    """
    amount = np.asarray(landslides, np.float64).ravel()
    score = np.asarray(susceptibility, np.float64).ravel()
    size = np.ones(amount.size) if area is None else np.asarray(area, np.float64).ravel()
    if not (np.isfinite(amount) & (amount >= 0.0)).all() or not (np.isfinite(size) & (size > 0.0)).all():
        raise InputError(
            "rate curve",
            required="known landslides, at least 0, and a known area above 0 in every row",
            found="others",
            remedy="Leave out the rows where either is unknown",
        )
    known = np.isfinite(score)
    unknown_share = float(size[~known].sum() / size.sum()) if size.size else 0.0
    missed_share = float(amount[~known].sum() / amount.sum()) if amount.sum() > 0.0 else float("nan")
    _, place = np.unique(-score[known], return_inverse=True)
    covered = np.concatenate([[0.0], np.cumsum(np.bincount(place, size[known]))])
    captured = np.concatenate([[0.0], np.cumsum(np.bincount(place, amount[known]))])
    if captured[-1] == 0.0:
        shares = np.array([0.0, 1.0])
        return RateCurve(shares, np.full(2, np.nan), float("nan"), unknown_share, missed_share)
    covered /= covered[-1]
    captured /= captured[-1]
    area_under = float(np.sum(np.diff(covered) * (captured[1:] + captured[:-1]) / 2.0))
    return RateCurve(covered, captured, area_under, unknown_share, missed_share)
