"""Logistic regression on standardised features."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from susceptibility.models.definition import Classifier, ModelDefinition, ModelOptions


class LogisticRegressionOptions(ModelOptions):
    """Options of `LOGISTIC_REGRESSION`.

    `inverse_regularisation` is scikit-learn's ``C``, on features of unit variance; ``inf`` fits without a penalty.
    """

    inverse_regularisation: float = Field(default=1.0, gt=0.0)
    iterations: int = Field(default=1000, ge=1)


def _build(options: LogisticRegressionOptions, seed: int) -> Classifier:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipeline: Classifier = make_pipeline(
        StandardScaler(),
        LogisticRegression(C=options.inverse_regularisation, max_iter=options.iterations, random_state=seed),
    )
    return pipeline


def _standardised_coefficients(fitted: Any) -> NDArray[np.float64]:
    return np.asarray(fitted[-1].coef_[0], np.float64)


LOGISTIC_REGRESSION = ModelDefinition(
    "logistic_regression",
    "logistic regression",
    LogisticRegressionOptions,
    _build,
    _standardised_coefficients,
    "standardised coefficient",
)
