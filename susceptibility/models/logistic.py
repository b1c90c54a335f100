"""Logistic regression."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from susceptibility.models.definition import ModelDefinition, ModelOptions, Storage, Training
from susceptibility.models.linear import linear_score, logistic


class LogisticRegressionOptions(ModelOptions):
    """Options of `LOGISTIC_REGRESSION`.

    `inverse_regularisation` is scikit-learn's ``C``, on scaled features; ``inf`` fits without a penalty.
    """

    inverse_regularisation: float = Field(default=1.0, gt=0.0)
    iterations: int = Field(default=1000, ge=1)
    balanced: bool = False


def _make(options: LogisticRegressionOptions, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(
        C=options.inverse_regularisation,
        max_iter=options.iterations,
        tol=1e-6,  # of the gradient; scikit-learn's default leaves errors in the third digit of coefficients
        random_state=seed,
    )


def _fit(options: LogisticRegressionOptions, training: Training) -> Any:
    rows = training.balanced() if options.balanced else training
    # In single precision the solver stops before its tolerance is met.
    return _make(options, rows.seed).fit(rows.X.astype(np.float64), rows.y, sample_weight=rows.weight)


def _score(fitted: Any, X: NDArray[np.float32]) -> NDArray[np.float64]:
    return logistic(linear_score(fitted, X))


def _coefficients(fitted: Any) -> NDArray[np.float64]:
    return np.asarray(fitted.coef_[0], np.float64)


LOGISTIC_REGRESSION = ModelDefinition(
    "logistic_regression",
    "logistic regression",
    LogisticRegressionOptions,
    _fit,
    _score,
    _coefficients,
    "standardised coefficient",
    Storage.SKOPS,
    needs_scaling=True,
    importance_is_slope=True,
)
