"""What a registered classifier consists of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict


class ModelOptions(BaseModel):
    """Hyperparameters of a classifier, as keys of its table in a recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Classifier(Protocol):
    """The part of scikit-learn's protocol that this package relies on."""

    def fit(self, X: NDArray[np.float32], y: NDArray[np.uint8], /) -> Any:
        """Learn from features (cell, feature) and targets (cell,), 1 where there is a landslide."""
        ...

    def predict_proba(self, X: NDArray[np.float32], /) -> NDArray[np.floating[Any]]:
        """Probability of each class: (cell, class), the landslide class last."""
        ...


@dataclass(frozen=True, slots=True)
class ModelDefinition:
    """One classifier of the registry.

    Attributes
    ----------
    name, title
        As recipes and as people write it.
    options
        Class of its hyperparameters.
    build
        Makes an unfitted estimator from an instance of `options` and a seed. It works on one thread: fits run side by
        side, and the result must not depend on how many do.
    native_importance
        From a fitted estimator, the importance of each feature by the estimator's own measure, (feature,), and what
        that measure is called.
    """

    name: str
    title: str
    options: type[ModelOptions]
    build: Callable[[Any, int], Classifier]
    native_importance: Callable[[Any], NDArray[np.float64]]
    native_importance_name: str
