"""Support vector machines (Cortes and Vapnik, 1995): a linear one for many rows, one of Gaussian kernels for few."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from susceptibility.models.definition import ModelDefinition, ModelOptions, Storage, Training
from susceptibility.models.linear import linear_score


class LinearSvmOptions(ModelOptions):
    """Options of `LINEAR_SVM`.

    `inverse_regularisation` is scikit-learn's ``C``, on scaled features. With `most_rows` it is fitted on a random part
    of the training rows.
    """

    inverse_regularisation: float = Field(default=1.0, gt=0.0)
    iterations: int = Field(default=1000, ge=1)
    balanced: bool = False
    most_rows: int | None = Field(default=None, ge=20)


class RbfSvmOptions(ModelOptions):
    """Options of `RBF_SVM`.

    `inverse_regularisation` and `gamma` are scikit-learn's ``C`` and ``gamma``. The time of a fit grows with the square
    of the rows and that of a prediction with their number, so that it is fitted on a random `most_rows` of them.
    """

    inverse_regularisation: float = Field(default=1.0, gt=0.0)
    gamma: Literal["scale", "auto"] | Annotated[float, Field(gt=0.0)] = "scale"
    balanced: bool = False
    most_rows: int | None = Field(default=10_000, ge=20)


def _fit_linear(options: LinearSvmOptions, training: Training) -> Any:
    from sklearn.svm import LinearSVC

    rows = training.balanced() if options.balanced else training
    # The primal problem: its size is that of the columns, and no random order of rows is involved.
    machine = LinearSVC(
        C=options.inverse_regularisation, dual=False, max_iter=options.iterations, random_state=rows.seed
    )
    return machine.fit(rows.X.astype(np.float64), rows.y, sample_weight=rows.weight)


def _fit_rbf(options: RbfSvmOptions, training: Training) -> Any:
    from sklearn.svm import SVC

    rows = training.balanced() if options.balanced else training
    machine = SVC(C=options.inverse_regularisation, gamma=options.gamma, random_state=rows.seed)
    return machine.fit(rows.X.astype(np.float64), rows.y, sample_weight=rows.weight)


def _score_rbf(fitted: Any, X: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(fitted.decision_function(X.astype(np.float64)), np.float64)


def _coefficients(fitted: Any) -> NDArray[np.float64]:
    return np.asarray(fitted.coef_[0], np.float64)


def _no_importance(fitted: Any) -> NDArray[np.float64]:
    return np.full(fitted.n_features_in_, np.nan)


LINEAR_SVM = ModelDefinition(
    "linear_svm",
    "linear support vector machine",
    LinearSvmOptions,
    _fit_linear,
    linear_score,
    _coefficients,
    "standardised coefficient",
    Storage.SKOPS,
    needs_scaling=True,
    gives_probability=False,
    importance_is_slope=True,
)

RBF_SVM = ModelDefinition(
    "rbf_svm",
    "support vector machine with Gaussian kernels",
    RbfSvmOptions,
    _fit_rbf,
    _score_rbf,
    _no_importance,
    "none",
    Storage.SKOPS,
    needs_scaling=True,
    gives_probability=False,
)
