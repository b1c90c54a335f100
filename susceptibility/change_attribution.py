"""Which features made a prediction change: Shapley values of the change between two dates."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from susceptibility.errors import OptionError

MOST_SOURCES = 10
"""Sources of change: their values need a prediction for each subset, 1024 of them."""

_ROWS_AT_ONCE = 65_536


def attribute_change(
    predict: Callable[[NDArray[np.float32]], NDArray[np.float64]],
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    sources: Sequence[Sequence[int]],
) -> NDArray[np.float64]:
    """Divide the change of a prediction among what has changed.

    Parameters
    ----------
    predict
        From rows (row, feature) to (row,).
    before, after
        (row, feature) at both dates, which differ in the features of the sources alone.
    sources
        Features, by column, of each source of change: those that follow from one measurement, such as a rate and its
        absolute value, change together.

    Returns
    -------
    (row, source) float64
        In the unit of the prediction; the values of a row add up to its change. NaN where either prediction is unknown.

    Raises
    ------
    OptionError
        There are more sources than `MOST_SOURCES`, none, or a feature changes that is in none, or is in two.

    Notes
    -----
    The value of a source is its mean effect over all orders in which the sources can take their later values
    (Shapley, 1953), from the predictions for every subset of them: exact, whatever the model, and without a sample of
    other rows that it would depend on.

    References
    ----------
    Shapley, L. S. (1953). A value for n-person games. Contributions to the Theory of Games II, 307-317.
    """
    _check(before, after, sources)
    values = np.empty((len(before), len(sources)))
    for start in range(0, len(before), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        values[rows] = _shapley(predict, before[rows], after[rows], sources)
    return values


def _shapley(
    predict: Callable[[NDArray[np.float32]], NDArray[np.float64]],
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    sources: Sequence[Sequence[int]],
) -> NDArray[np.float64]:
    count = len(sources)
    predictions = []
    for subset in range(2**count):
        mixed = before.copy()
        for source in range(count):
            if subset >> source & 1:
                columns = list(sources[source])
                mixed[:, columns] = after[:, columns]
        predictions.append(np.asarray(predict(mixed), np.float64))
    values = np.zeros((len(before), count))
    for subset in range(2**count):
        size = subset.bit_count()
        for source in range(count):
            if not subset >> source & 1:
                weight = math.factorial(size) * math.factorial(count - size - 1) / math.factorial(count)
                values[:, source] += weight * (predictions[subset | 1 << source] - predictions[subset])
    return values


def largest_source(values: NDArray[np.float64], change: NDArray[np.float64]) -> NDArray[np.intp]:
    """Source (row,) that did most to move each row the way it moved, the first of equals; -1 where that is unknown.

    Parameters
    ----------
    values
        (row, source) from `attribute_change`.
    change
        (row,) of the prediction.
    """
    along = values * np.sign(change)[:, None]
    known = np.isfinite(along).all(axis=1) & (change != 0.0)
    return np.where(known, np.where(np.isfinite(along), along, -np.inf).argmax(axis=1), -1)


def _check(before: NDArray[np.float32], after: NDArray[np.float32], sources: Sequence[Sequence[int]]) -> None:
    columns = [column for source in sources for column in source]
    others = np.setdiff1d(np.arange(before.shape[1]), columns)
    found = ""
    if not 1 <= len(sources) <= MOST_SOURCES:
        found = f"{len(sources)} of them"
    elif len(set(columns)) < len(columns):
        found = "a feature in two of them"
    elif before.shape != after.shape or not np.array_equal(before[:, others], after[:, others], equal_nan=True):
        found = "a feature that changes and is in none of them"
    if found:
        raise OptionError(
            "sources of change",
            required=f"1 to {MOST_SOURCES}, in which every feature that changes is once",
            found=found,
            remedy="Group the features by the measurement that they come from",
        )
