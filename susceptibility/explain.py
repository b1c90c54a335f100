"""Which features a fitted model relies on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from susceptibility.models import Classifier


def permutation_importance(
    estimator: Classifier,
    features: NDArray[np.float32],
    target: NDArray[Any],
    permutations: int,
    *,
    seed: int | Sequence[int] = 0,
) -> NDArray[np.float64]:
    """Drop of AUC-ROC when one feature's values are shuffled among cells the model has not seen (Breiman, 2001).

    Parameters
    ----------
    estimator
        Fitted.
    features, target
        (cell, feature) and (cell,) that it was not fitted on.
    permutations
        How often each feature is shuffled.
    seed
        Of the shuffling.

    Returns
    -------
    (permutation, feature) float64
        Positive where the model does worse without the feature. Features that tell the same share their importance,
        and each seems to matter less.
    """
    from sklearn.metrics import roc_auc_score

    cells, columns = features.shape
    drops = np.empty((permutations, columns))
    if permutations == 0:
        return drops
    rng = np.random.default_rng(seed)
    reference = roc_auc_score(target, estimator.predict_proba(features)[:, 1])
    for repeat in range(permutations):
        shuffled = np.tile(features, (columns, 1, 1))
        for column in range(columns):
            shuffled[column, :, column] = rng.permutation(features[:, column])
        # One call for all features: a forest spends most of a small call on getting started.
        predicted = estimator.predict_proba(shuffled.reshape(-1, columns))[:, 1].reshape(columns, cells)
        drops[repeat] = [reference - roc_auc_score(target, probability) for probability in predicted]
    return drops
