"""From the scores of a classifier to probabilities, learned from rows that the classifier has not seen.

References
----------
Platt, J. (1999). Probabilistic outputs for support vector machines. Advances in Large Margin Classifiers, 61-74.
Zadrozny, B., Elkan, C. (2002). Transforming classifier scores into accurate multiclass probability estimates. KDD.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from susceptibility.errors import InputError
from susceptibility.models.definition import ModelOptions
from susceptibility.models.linear import logistic

_ITERATIONS = 200


class CalibrationOptions(ModelOptions):
    """How scores become probabilities.

    Attributes
    ----------
    method
        ``none``; ``sigmoid`` (two numbers, enough for few landslides); ``isotonic`` (any rising steps, for many); or
        ``auto``: ``sigmoid`` for models whose scores are no probabilities, ``none`` for others.
    folds
        Of the training rows: each is scored by a model fitted on the others.
    """

    method: Literal["auto", "none", "sigmoid", "isotonic"] = "auto"
    folds: int = Field(default=5, ge=2)


class Calibrator(Protocol):
    """A rising function of scores."""

    def predict(self, score: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probability of each score, (row,)."""
        ...

    def state(self) -> dict[str, Any]:
        """What was learned, as JSON can hold it."""
        ...


class SigmoidCalibrator:
    """``1 / (1 + exp(-(slope * x + intercept)))`` of a score, fitted by maximum likelihood (Platt, 1999).

    Targets are drawn in from 0 and 1 as Platt proposes, so that there is a finite answer even where the scores separate
    the classes.

    Parameters
    ----------
    of_probability
        Whether scores are probabilities, in which case x is their log odds, and a calibrated classifier stays as it
        is. They are drawn in by half a row in `rows_` (Smithson and Verkuilen, 2006), since those of a forest can be 0.

    Attributes
    ----------
    slope_, intercept_ : float
        The two numbers.
    rows_ : int
        Rows they were fitted on.
    """

    def __init__(self, of_probability: bool = False) -> None:
        self.of_probability = of_probability

    def fit(self, score: NDArray[np.float64], y: NDArray[Any], weight: NDArray[np.float64] | None = None) -> Self:
        """Learn from scores, targets (0 or 1) and weights of rows, each (row,).

        Raises
        ------
        InputError
            The scores are all the same.
        """
        self.rows_ = len(score)
        x = self._argument(np.asarray(score, np.float64))
        of_row = np.ones(len(x)) if weight is None else np.asarray(weight, np.float64)
        positive = np.asarray(y) == 1
        landslides, others = float(of_row[positive].sum()), float(of_row[~positive].sum())
        target = np.where(positive, (landslides + 1.0) / (landslides + 2.0), 1.0 / (others + 2.0))
        centre, width = float(x.mean()), float(x.std())
        if not width > 0.0:
            raise InputError(
                "scores to be calibrated",
                required="different ones",
                found="one and the same",
                remedy="Check the features",
            )
        standard = (x - centre) / width
        intercept = math.log((landslides + 1.0) / (others + 1.0))
        numbers = _maximise_likelihood(standard, target, of_row, np.array([0.0, intercept]))
        self.slope_ = float(numbers[0] / width)
        self.intercept_ = float(numbers[1] - self.slope_ * centre)
        return self

    def predict(self, score: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probability of each score, (row,)."""
        return logistic(self.slope_ * self._argument(np.asarray(score, np.float64)) + self.intercept_)

    def state(self) -> dict[str, Any]:
        """Return what was learned, as JSON can hold it."""
        return {
            "method": "sigmoid",
            "of_probability": self.of_probability,
            "slope": self.slope_,
            "intercept": self.intercept_,
            "rows": self.rows_,
        }

    def _argument(self, score: NDArray[np.float64]) -> NDArray[np.float64]:
        if not self.of_probability:
            return score
        inner = (score * self.rows_ + 0.5) / (self.rows_ + 1.0)
        return np.asarray(np.log(inner) - np.log1p(-inner), np.float64)


class IsotonicCalibrator:
    """The rising steps that fit best, straight lines between them (Zadrozny and Elkan, 2002).

    Attributes
    ----------
    score_, probability_ : (knot,) float64
        Scores and their probabilities; below the first and above the last the probability stays.
    """

    def fit(self, score: NDArray[np.float64], y: NDArray[Any], weight: NDArray[np.float64] | None = None) -> Self:
        """Learn from scores, targets (0 or 1) and weights of rows, each (row,)."""
        from sklearn.isotonic import IsotonicRegression

        steps = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
        steps.fit(np.asarray(score, np.float64), np.asarray(y, np.float64), sample_weight=weight)
        self.score_ = np.asarray(steps.X_thresholds_, np.float64)
        self.probability_ = np.asarray(steps.y_thresholds_, np.float64)
        return self

    def predict(self, score: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probability of each score, (row,)."""
        return np.asarray(np.interp(score, self.score_, self.probability_), np.float64)

    def state(self) -> dict[str, Any]:
        """Return what was learned, as JSON can hold it."""
        return {"method": "isotonic", "score": self.score_.tolist(), "probability": self.probability_.tolist()}


def fit_calibrator(
    method: Literal["sigmoid", "isotonic"],
    score: NDArray[np.float64],
    y: NDArray[Any],
    weight: NDArray[np.float64] | None,
    *,
    of_probability: bool,
) -> Calibrator:
    """Calibrator of a method, fitted on scores of rows that the classifier has not seen."""
    if method == "sigmoid":
        return SigmoidCalibrator(of_probability).fit(score, y, weight)
    return IsotonicCalibrator().fit(score, y, weight)


def calibrator_from_state(state: Mapping[str, Any]) -> Calibrator:
    """Return the calibrator that `state` described; raises `ValueError`, `KeyError` or `TypeError` if it is none."""
    if state["method"] == "sigmoid":
        sigmoid = SigmoidCalibrator(bool(state["of_probability"]))
        sigmoid.slope_, sigmoid.intercept_ = float(state["slope"]), float(state["intercept"])
        sigmoid.rows_ = int(state["rows"])
        return sigmoid
    if state["method"] == "isotonic":
        isotonic = IsotonicCalibrator()
        isotonic.score_ = np.array(state["score"], np.float64)
        isotonic.probability_ = np.array(state["probability"], np.float64)
        is_function = isotonic.score_.ndim == 1 and isotonic.score_.shape == isotonic.probability_.shape
        if not is_function or isotonic.score_.size == 0 or (np.diff(isotonic.score_) <= 0.0).any():
            raise ValueError("isotonic knots")
        return isotonic
    raise ValueError(f"calibration {state['method']!r}")


def _maximise_likelihood(
    x: NDArray[np.float64], target: NDArray[np.float64], weight: NDArray[np.float64], start: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Newton's method for slope and intercept; a step that makes it worse is halved."""

    def loss_of(numbers: NDArray[np.float64]) -> float:
        linear = numbers[0] * x + numbers[1]
        return float((weight * (np.logaddexp(0.0, linear) - target * linear)).sum())

    numbers, loss = start, loss_of(start)
    for _ in range(_ITERATIONS):
        predicted = logistic(numbers[0] * x + numbers[1])
        error, curvature = weight * (predicted - target), weight * predicted * (1.0 - predicted)
        gradient = np.array([(error * x).sum(), error.sum()])
        if np.abs(gradient).max() <= 1e-10 * weight.sum():
            break
        mixed = float((curvature * x).sum())
        hessian = np.array([[(curvature * x * x).sum() + 1e-12, mixed], [mixed, curvature.sum() + 1e-12]])
        step = np.linalg.solve(hessian, gradient)
        for _ in range(60):
            candidate = numbers - step
            new_loss = loss_of(candidate)
            if new_loss <= loss:
                break
            step = step / 2.0
        else:
            break  # no step makes it better: the rounding of the loss is reached
        numbers, loss = candidate, new_loss
    return numbers
