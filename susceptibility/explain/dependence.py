"""How a model's prediction goes with one feature: partial dependence and accumulated local effects.

Partial dependence sets the feature of every row to one value after the other and averages the predictions. It asks the
model about rows that do not exist where features go together, such as steep slopes on a flood plain. Accumulated local
effects take only the change of the prediction across the narrow range of values around each row, and add these changes
up: they say what the feature does where it occurs.

References
----------
Friedman, J. H. (2001). Greedy function approximation: a gradient boosting machine. Annals of Statistics 29, 1189-1232.

Apley, D. W., Zhu, J. (2020). Visualizing the effects of predictor variables in black box supervised learning models.
Journal of the Royal Statistical Society B 82, 1059-1086.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from susceptibility.errors import InputError, OptionError
from susceptibility.explain.permutation import Predict, predictor_of
from susceptibility.schema import FeatureSchema

Kind = Literal["partial dependence", "accumulated local effects"]

_ROWS_AT_ONCE = 65_536


@dataclass(frozen=True, slots=True)
class Curve:
    """How the prediction of one model goes with one feature.

    Attributes
    ----------
    feature
        Which; of a class, the points are its classes, 1 and up.
    kind
        Partial dependence is a mean prediction; accumulated local effects are its differences from their mean.
    points : (point,) float64
        Values of the feature, ascending.
    effect : (point,) float64
        Mean prediction or its difference; NaN for a class that no row has.
    rows
        Rows that were averaged over.
    """

    feature: FeatureSchema
    kind: Kind
    points: NDArray[np.float64]
    effect: NDArray[np.float64]
    rows: int


@dataclass(frozen=True, slots=True)
class CurveSummary:
    """Curves of one feature over repeats: (point,) median, and 5 and 95 % quantiles."""

    feature: FeatureSchema
    kind: Kind
    points: NDArray[np.float64]
    median: NDArray[np.float64]
    q05: NDArray[np.float64]
    q95: NDArray[np.float64]
    repeats: int


def choose_points(
    features: NDArray[np.float32], schema: Sequence[FeatureSchema], column: int, points: int = 20
) -> NDArray[np.float64]:
    """Values of a feature at which to look: evenly spaced quantiles from 1 to 99 %, or all classes.

    Models that are to be compared need the same points: choose them once, from all rows.

    Raises
    ------
    OptionError
        Fewer than two points are asked for.
    InputError
        No row has a value.
    """
    if points < 2:
        raise OptionError("points of a dependence curve", required="at least 2", found=str(points), remedy="Use 20")
    if schema[column].is_class:
        return np.arange(1.0, len(schema[column].classes) + 1.0)
    known = features[np.isfinite(features[:, column]), column].astype(np.float64)
    if known.size == 0:
        raise InputError(
            f"feature {schema[column].name!r}",
            required="rows where it is known",
            found="none",
            remedy="Leave it out, or check its layer",
        )
    return np.unique(np.quantile(known, np.linspace(0.01, 0.99, points)))


def partial_dependence(
    model: Any,
    features: NDArray[np.float32],
    schema: Sequence[FeatureSchema],
    column: int,
    points: NDArray[np.float64],
    *,
    most_rows: int = 500,
    seed: int = 0,
) -> Curve:
    """Mean prediction when a feature has one value in all rows (Friedman, 2001).

    Parameters
    ----------
    model
        Fitted, or a function from (row, feature) to (row,).
    features
        (row, feature) over which to average; those without a prediction are left out.
    schema, column
        Of the features, and which of them.
    points
        (point,) from `choose_points`.
    most_rows
        More rows than these are drawn from.
    seed
        Of the draw.

    Raises
    ------
    InputError
        No row has a prediction.
    """
    predict = predictor_of(model)
    rows = _draw_known(predict, features, most_rows, seed)
    effect = np.full(len(points), np.nan)
    occurs = np.ones(len(points), np.bool_)
    if schema[column].is_class:
        occurs = np.isin(points, features[:, column])
    wanted = np.flatnonzero(occurs)
    together = max(1, _ROWS_AT_ONCE // len(rows))
    for first in range(0, len(wanted), together):
        chosen = wanted[first : first + together]
        changed = np.tile(rows, (len(chosen), 1, 1))
        changed[:, :, column] = points[chosen, None]
        effect[chosen] = predict(changed.reshape(-1, rows.shape[1])).reshape(len(chosen), -1).mean(axis=1)
    return Curve(schema[column], "partial dependence", points, effect, len(rows))


def accumulated_effects(
    model: Any,
    features: NDArray[np.float32],
    schema: Sequence[FeatureSchema],
    column: int,
    points: NDArray[np.float64],
    *,
    most_rows: int = 5000,
    seed: int = 0,
) -> Curve:
    """First-order accumulated local effects of a quantity (Apley and Zhu, 2020); parameters as `partial_dependence`.

    Raises
    ------
    OptionError
        The feature is a class: its classes have no order in which to accumulate.
    InputError
        No row has a prediction and a value within the points.

    Notes
    -----
    With the points ``z_0 < ... < z_K`` and the rows ``N_k`` whose value lies in ``(z_k-1, z_k]``::

        g(z_k) = sum over j <= k of mean over N_j of [f(z_j, others) - f(z_j-1, others)]

    less the mean of ``g`` over all rows, each of which counts with the mean of ``g`` at both ends of its interval. Rows
    beyond the first and the last point are left out. The prediction is taken not to change across an interval without
    rows.
    """
    feature = schema[column]
    if feature.is_class:
        raise OptionError(
            f"accumulated local effects of {feature.name!r}",
            required="a quantity",
            found="a class",
            remedy="Use partial dependence for classes",
        )
    predict = predictor_of(model)
    edges = np.asarray(points, np.float64)
    rows = _draw_known(predict, features, most_rows, seed)
    value = rows[:, column].astype(np.float64)
    rows = rows[(value >= edges[0]) & (value <= edges[-1])]
    if len(rows) == 0 or len(edges) < 2:
        raise InputError(
            f"accumulated local effects of {feature.name!r}",
            required="rows with different values of it",
            found=f"{len(rows)} rows between {edges[0]:g} and {edges[-1]:g}",
            remedy="Leave out a feature that does not vary",
        )
    # float32, as the model sees them: a row at an edge must fall on the same side of it.
    interval = np.clip(np.searchsorted(edges.astype(np.float32), rows[:, column], side="left"), 1, len(edges) - 1)
    change = np.empty(len(rows))
    for start in range(0, len(rows), _ROWS_AT_ONCE // 2):
        part = slice(start, start + _ROWS_AT_ONCE // 2)
        both = np.tile(rows[part], (2, 1, 1))
        both[0, :, column], both[1, :, column] = edges[interval[part] - 1], edges[interval[part]]
        below, above = predict(both.reshape(-1, rows.shape[1])).reshape(2, -1)
        change[part] = above - below
    count = np.bincount(interval, minlength=len(edges))[1:]
    steps = np.bincount(interval, change, minlength=len(edges))[1:] / np.maximum(count, 1)
    effect = np.concatenate([[0.0], np.cumsum(steps)])
    middle = 0.5 * (effect[1:] + effect[:-1])
    return Curve(feature, "accumulated local effects", edges, effect - middle @ count / count.sum(), len(rows))


def summarize_curves(curves: Sequence[Curve]) -> CurveSummary:
    """Median and range of curves of the same feature at the same points, one of each model.

    Raises
    ------
    ValueError
        There are none, or they are of other features, kinds or points.
    """
    if not curves:
        raise ValueError("no curves to summarize")
    first = curves[0]
    for curve in curves[1:]:
        if (curve.feature.name, curve.kind) != (first.feature.name, first.kind):
            raise ValueError("curves to summarize are of one feature and one kind")
        if not np.array_equal(curve.points, first.points):
            raise ValueError("curves to summarize have the same points")
    effects = np.stack([curve.effect for curve in curves])
    low, middle, high = np.quantile(effects, [0.05, 0.5, 0.95], axis=0)
    return CurveSummary(first.feature, first.kind, first.points, middle, low, high, len(curves))


def _draw_known(predict: Predict, features: NDArray[np.float32], most_rows: int, seed: int) -> NDArray[np.float32]:
    """At most so many rows (row, feature) that have a prediction, in their order."""
    if most_rows < 1:
        raise OptionError("rows to average over", required="at least 1", found=str(most_rows), remedy="Use 500")
    order = np.random.default_rng(seed).permutation(len(features))
    chosen: list[NDArray[np.int64]] = []
    found = start = 0
    # In turn until there are enough, since many rows of a table may be unknown.
    while found < most_rows and start < len(order):
        stop = start + min(_ROWS_AT_ONCE, max(256, 2 * (most_rows - found)))
        candidates = order[start:stop]
        known = candidates[np.isfinite(predict(features[candidates]))][: most_rows - found]
        chosen.append(known)
        found += len(known)
        start = stop
    rows = np.sort(np.concatenate(chosen)) if chosen else np.empty(0, np.int64)
    if rows.size == 0:
        raise InputError(
            "dependence of the prediction on a feature",
            required="rows for which the model has a prediction",
            found=f"none of {len(features)}",
            remedy="Choose rows whose features are known",
        )
    return features[rows]
