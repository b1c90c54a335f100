"""Random forest (Breiman, 2001)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from susceptibility.models.definition import Classifier, ModelDefinition, ModelOptions


class RandomForestOptions(ModelOptions):
    """Options of `RANDOM_FOREST`; `depth` None grows trees until their leaves hold `leaf_cells`."""

    trees: int = Field(default=200, ge=1)
    depth: int | None = Field(default=None, ge=1)
    leaf_cells: int = Field(default=3, ge=1)
    features_per_split: Literal["sqrt", "log2"] | Annotated[float, Field(gt=0.0, le=1.0)] = "sqrt"
    balanced: bool = False


def _build(options: RandomForestOptions, seed: int) -> Classifier:
    from sklearn.ensemble import RandomForestClassifier

    forest: Classifier = RandomForestClassifier(
        n_estimators=options.trees,
        max_depth=options.depth,
        min_samples_leaf=options.leaf_cells,
        max_features=options.features_per_split,
        class_weight="balanced" if options.balanced else None,
        n_jobs=1,
        random_state=seed,
    )
    return forest


def _impurity_importance(fitted: Any) -> NDArray[np.float64]:
    return np.asarray(fitted.feature_importances_, np.float64)


RANDOM_FOREST = ModelDefinition(
    "random_forest", "random forest", RandomForestOptions, _build, _impurity_importance, "mean decrease in impurity"
)
