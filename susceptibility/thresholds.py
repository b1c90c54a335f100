"""From a probability to a call: landslide or none, where to draw the line, and what is called right and wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from susceptibility.curves import ranked_weights
from susceptibility.errors import InputError


class ThresholdRule(StrEnum):
    """What the chosen threshold makes largest.

    `YOUDEN` is sensitivity plus specificity less one; `CSI` the critical success index. The threshold of the largest
    CSI is also that of the largest F1, which is ``2 CSI / (1 + CSI)``.
    """

    YOUDEN = "youden"
    CSI = "csi"


@dataclass(frozen=True, slots=True)
class Confusion:
    """What is called a landslide, and what is one, by count or by weight of rows.

    Ratios are NaN where their denominator is zero.
    """

    threshold: float
    true_positives: float
    false_positives: float
    false_negatives: float
    true_negatives: float

    @property
    def csi(self) -> float:
        """Critical success index: hits over hits, false alarms and misses."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and sensitivity."""
        twice = 2.0 * self.true_positives
        return _ratio(twice, twice + self.false_positives + self.false_negatives)

    @property
    def sensitivity(self) -> float:
        """Share of landslides that are called."""
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def specificity(self) -> float:
        """Share of other rows that are not called."""
        return _ratio(self.true_negatives, self.true_negatives + self.false_positives)

    @property
    def precision(self) -> float:
        """Share of calls that are landslides."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def accuracy(self) -> float:
        """Share of rows that are called right."""
        right = self.true_positives + self.true_negatives
        return _ratio(right, right + self.false_positives + self.false_negatives)

    def as_tuple(self) -> tuple[float, float, float, float, float]:
        """In the order of the attributes."""
        return (
            self.threshold,
            self.true_positives,
            self.false_positives,
            self.false_negatives,
            self.true_negatives,
        )


def confusion(
    landslide: NDArray[Any],
    prediction: NDArray[Any],
    threshold: float,
    weight: NDArray[np.floating] | None = None,
) -> Confusion:
    """Count calls at a threshold.

    Parameters
    ----------
    landslide
        (row,) whether there is one.
    prediction
        (row,) a row is called from the threshold on.
    threshold
        Of the prediction.
    weight
        (row,) how much each counts; None to count rows.
    """
    truth = np.asarray(landslide).astype(bool)
    called = np.asarray(prediction, np.float64) >= threshold
    w = np.ones(truth.size) if weight is None else np.asarray(weight, np.float64)
    return Confusion(
        float(threshold),
        float(w[called & truth].sum()),
        float(w[called & ~truth].sum()),
        float(w[~called & truth].sum()),
        float(w[~called & ~truth].sum()),
    )


def choose_threshold(
    landslide: NDArray[Any],
    prediction: NDArray[Any],
    rule: ThresholdRule = ThresholdRule.YOUDEN,
    weight: NDArray[np.floating] | None = None,
) -> float:
    """Threshold of the prediction that serves a rule best on the given rows, which must not be those it is tested on.

    Parameters
    ----------
    landslide, prediction, weight
        As for `confusion`.
    rule
        What to make largest.

    Returns
    -------
    float
        Half way between the lowest prediction that is called and the next lower one, so that it does not hang on one
        row; of several best ones the highest.

    Raises
    ------
    InputError
        The rows are all landslides, or none is.
    """
    truth = np.asarray(landslide).astype(bool)
    if truth.all() or not truth.any():
        raise InputError(
            "chosen threshold",
            required="landslides and other rows to choose it on",
            found=f"{int(truth.sum())} landslides and {int((~truth).sum())} others",
            remedy="Use the fixed threshold, or other folds",
        )
    p = np.asarray(prediction, np.float64)
    w = np.ones(p.size) if weight is None else np.asarray(weight, np.float64)
    values, hits, false_alarms = ranked_weights(truth, p, w)
    if rule is ThresholdRule.YOUDEN:
        gain = hits / hits[-1] - false_alarms / false_alarms[-1]
    else:
        gain = hits / (hits[-1] + false_alarms)
    # Sums of weights differ in their last digits where they are equal in truth.
    best = int(np.argmax(gain >= gain.max() - 1e-12))
    lowest_called = values[best]
    if best + 1 == values.size:
        return float(lowest_called)
    next_lower = values[best + 1]
    middle = 0.5 * (lowest_called + next_lower)
    return float(middle if middle > next_lower else lowest_called)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0.0 else math.nan
