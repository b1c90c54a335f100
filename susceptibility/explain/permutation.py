"""What a model's predictions lose when the values of a feature, or of a group of features, are shuffled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from susceptibility.errors import InputError, OptionError

Predict = Callable[[NDArray[np.float32]], NDArray[np.float64]]
Scorer = Callable[[NDArray[Any], NDArray[np.float64]], float]

_ROWS_AT_ONCE = 65_536  # rows of the copy in which features are shuffled


def _auc_roc(target: NDArray[Any], prediction: NDArray[np.float64]) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(target, prediction))


def _auc_pr(target: NDArray[Any], prediction: NDArray[np.float64]) -> float:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(target, prediction))


def _negative_mean_square(target: NDArray[Any], prediction: NDArray[np.float64]) -> float:
    return -float(np.mean((prediction - np.asarray(target, np.float64)) ** 2))


def _negative_mean_magnitude(target: NDArray[Any], prediction: NDArray[np.float64]) -> float:
    return -float(np.mean(np.abs(prediction - np.asarray(target, np.float64))))


def _r2(target: NDArray[Any], prediction: NDArray[np.float64]) -> float:
    truth = np.asarray(target, np.float64)
    return 1.0 - float(np.sum((prediction - truth) ** 2) / np.sum((truth - truth.mean()) ** 2))


SCORERS: dict[str, Scorer] = {
    "auc_roc": _auc_roc,
    "auc_pr": _auc_pr,
    "brier": _negative_mean_square,
    "r2": _r2,
    "mse": _negative_mean_square,
    "mae": _negative_mean_magnitude,
}
"""How well (row,) predictions fit a (row,) target, by the name of the metric; higher is better, so errors are negative.

The first two and the Brier score take a target of 0 and 1, the others any number.
"""


def predictor_of(model: Any) -> Predict:
    """Return the function that predicts (row,) from (row, feature) of a model, a classifier or such a function."""
    if hasattr(model, "schema") and hasattr(model, "predict"):
        return lambda X: np.asarray(model.predict(X), np.float64)
    if hasattr(model, "predict_proba"):
        return lambda X: np.asarray(model.predict_proba(X)[:, 1], np.float64)
    if hasattr(model, "predict"):
        return lambda X: np.asarray(model.predict(X), np.float64)
    if callable(model):
        return lambda X: np.asarray(model(X), np.float64)
    raise TypeError(f"{type(model).__name__} predicts nothing")


def permutation_importance(
    model: Any,
    features: NDArray[np.float32],
    target: NDArray[Any],
    permutations: int,
    *,
    seed: int | Sequence[int] = 0,
    scorer: Scorer | str = "auc_roc",
    groups: Sequence[Sequence[int]] | None = None,
) -> NDArray[np.float64]:
    """Drop of a score when features are shuffled among rows that the model has not seen (Breiman, 2001).

    Parameters
    ----------
    model
        Fitted, with ``predict`` or ``predict_proba``; or a function from (row, feature) to (row,).
    features, target
        (row, feature) and (row,) that it was not fitted on. Rows without a prediction are left out.
    permutations
        How often to shuffle.
    seed
        Of the shuffling.
    scorer
        Name in `SCORERS`, or a function of target and prediction; higher is better.
    groups
        Columns that are shuffled together, each set keeping its values of a row side by side; None for each feature by
        itself.

    Returns
    -------
    (permutation, group) float64
        Positive where the model does worse without. Features that tell the same share their importance, and each seems
        to matter less: shuffled together they show what they tell. The numbers of a model without skill mean nothing.

    Raises
    ------
    OptionError
        There is no such scorer, or a group has no feature or one that is not there.
    InputError
        No row has a prediction.

    References
    ----------
    Breiman, L. (2001). Random forests. Machine Learning 45, 5-32.
    """
    columns = features.shape[1]
    sets = [[column] for column in range(columns)] if groups is None else [list(group) for group in groups]
    _check_groups(sets, columns)
    score = _scorer(scorer)
    drops = np.empty((permutations, len(sets)))
    if permutations == 0:
        return drops
    predict = predictor_of(model)
    before = _predict_in_blocks(predict, features)
    known = np.isfinite(before)
    if not known.any():
        raise InputError(
            "permutation importance",
            required="rows for which the model has a prediction",
            found=f"none of {len(features)}",
            remedy="Choose rows whose features are known",
        )
    if not known.all():
        features, target, before = features[known], np.asarray(target)[known], before[known]
    reference = score(target, before)
    rng = np.random.default_rng(seed)
    for repeat in range(permutations):
        for place, prediction in enumerate(_predict_shuffled(predict, features, sets, rng)):
            drops[repeat, place] = reference - score(target, prediction)
    return drops


def _predict_in_blocks(predict: Predict, features: NDArray[np.float32]) -> NDArray[np.float64]:
    starts = range(0, len(features), _ROWS_AT_ONCE)
    parts = [predict(features[start : start + _ROWS_AT_ONCE]) for start in starts]
    return np.concatenate(parts) if parts else np.empty(0)


def _predict_shuffled(
    predict: Predict,
    features: NDArray[np.float32],
    sets: Sequence[Sequence[int]],
    rng: np.random.Generator,
) -> Iterator[NDArray[np.float64]]:
    """Give, for each set of columns, the predictions (row,) with that set in another order of rows."""
    rows = len(features)
    # Many sets in one call where there are few rows: a forest spends most of a small call on getting started.
    together = max(1, _ROWS_AT_ONCE // rows)
    for first in range(0, len(sets), together):
        chosen = range(first, min(first + together, len(sets)))
        orders = [rng.permutation(rows) for _ in chosen]
        parts = []
        for start in range(0, rows, _ROWS_AT_ONCE):
            stop = min(start + _ROWS_AT_ONCE, rows)
            shuffled = np.tile(features[start:stop], (len(chosen), 1, 1))
            for place, number in enumerate(chosen):
                columns = np.asarray(sets[number])
                shuffled[place][:, columns] = features[np.ix_(orders[place][start:stop], columns)]
            predicted = predict(shuffled.reshape(-1, features.shape[1]))
            parts.append(predicted.reshape(len(chosen), stop - start))
        yield from np.concatenate(parts, axis=1)


def _scorer(scorer: Scorer | str) -> Scorer:
    if not isinstance(scorer, str):
        return scorer
    if scorer not in SCORERS:
        raise OptionError(
            "metric of permutation importance",
            required=" or ".join(SCORERS),
            found=repr(scorer),
            remedy="Choose one of them",
        )
    return SCORERS[scorer]


def _check_groups(sets: Sequence[Sequence[int]], columns: int) -> None:
    for group in sets:
        if not group or not all(0 <= column < columns for column in group):
            raise OptionError(
                "group of features to shuffle",
                required=f"columns from 0 to {columns - 1}",
                found=f"{list(group)}",
                remedy="Name features that the model is fitted on",
            )
