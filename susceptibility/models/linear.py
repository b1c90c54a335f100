"""Scores of linear models, and the logistic function."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def linear_score(fitted: Any, X: NDArray[np.float32]) -> NDArray[np.float64]:
    """Signed distance from the boundary of a fitted linear classifier of scikit-learn, (row,), in double precision.

    Summed column by column: a product of matrices rounds differently from one block of rows to another, and a row would
    not have the same score everywhere.
    """
    score = np.full(len(X), float(fitted.intercept_[0]), np.float64)
    for column, slope in enumerate(fitted.coef_[0]):
        score += X[:, column] * np.float64(slope)
    return score


def logistic(score: NDArray[np.float64]) -> NDArray[np.float64]:
    """``1 / (1 + exp(-score))``, without overflow."""
    small = np.exp(-np.abs(score))
    return np.where(score >= 0.0, 1.0, small) / (1.0 + small)
