"""Where a model may be believed: the area of applicability of Meyer and Pebesma (2021).

A row whose features are unlike those of every training row is one that the model never had to predict, and its
validation says nothing about it. How unlike is the dissimilarity index: the distance to the nearest training row, in
features that are standardised and weighted by their importance, over the mean distance between training rows. What is
still like the training rows is learned from the validation: rows of one fold were predicted by models that had not seen
it, at the distances that they have to the rows of the other folds.

References
----------
Meyer, H., Pebesma, E. (2021). Predicting into unknown space? Estimating the area of applicability of spatial prediction
models. Methods in Ecology and Evolution 12, 1620-1633.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from susceptibility.errors import InputError, OptionError

MOST_ROWS = 4000
"""Training rows, at most, that distances are taken to."""

_FORMAT = "susceptibility applicability 1"
_ROWS_AT_ONCE = 65_536
_ARRAYS = ("source", "code", "mean", "factor", "rows")


class ApplicabilityModel:
    """Tells how unlike the training rows a row is, in the manner of scikit-learn.

    Parameters
    ----------
    most_rows
        Training rows to keep; of more, so many are drawn at random.
    seed
        Of the draw.

    Attributes
    ----------
    columns_ : int
        How many there are.
    source_, code_ : (axis,) intp and float64
        The column that each axis of the distance is made of: the column itself where the code is NaN, else 1 where the
        column has that code and 0 elsewhere.
    mean_, factor_ : (axis,) float64
        Of the training rows; an axis is brought to ``(x - mean) factor``, which is its weight over its standard
        deviation. Axes that do not matter or do not vary are left out.
    rows_ : (kept row, axis) float64
        Training rows in these units.
    mean_distance_ : float
        Mean distance between two of them.
    threshold_ : float
        Largest dissimilarity that still belongs to the area of applicability.
    training_rows_ : int
        How many there were to draw from.

    Notes
    -----
    A training row that was not drawn has a dissimilarity above 0, and with fewer rows all dissimilarities grow; so does
    the threshold, which comes of the same draw. Rows at the rim of the training rows may thereby fall outside: the draw
    errs on the side of caution. A column that is the same in all training rows is not looked at, whatever it is
    elsewhere: see `count_out_of_range`.
    """

    def __init__(self, most_rows: int = MOST_ROWS, seed: int = 0) -> None:
        self.most_rows = most_rows
        self.seed = seed

    def fit(
        self,
        X: NDArray[np.floating[Any]],
        weights: NDArray[np.float64],
        fold: NDArray[np.intp] | None = None,
        *,
        is_class: Sequence[bool] | NDArray[np.bool_] = (),
    ) -> Self:
        """Learn from the training rows.

        Parameters
        ----------
        X
            (row, column) that the model was fitted on, after its preprocessing; rows with NaN are left out.
        weights
            (column,) importance; negative ones count as 0. The columns of a class each take that of their feature.
        fold
            (row,) in which a row was tested; negative for a row that never was, which is not taken for the threshold.
            None where nothing was validated: distances are then to any other row.
        is_class
            (column,) which columns hold numbers of classes as they are, for models that read those; empty for none.
            Each class is an axis of its own then.

        Raises
        ------
        OptionError
            There are fewer than two rows to keep, or the weights do not suit.
        InputError
            Fewer than two rows are known, all are the same, or all are in one fold.

        Notes
        -----
        The threshold is the upper whisker of a box plot, with Tukey's hinges, of the dissimilarity of each training row
        to those of the other folds: the largest that is at most the upper hinge and 1.5 times the distance between both
        hinges above it.
        """
        weights = _checked_weights(weights, X.shape[1])
        if self.most_rows < 2:
            raise OptionError(
                "area of applicability",
                required="at least 2 training rows",
                found=str(self.most_rows),
                remedy=f"Keep {MOST_ROWS}",
            )
        known = np.flatnonzero(np.isfinite(X).all(axis=1))
        self.columns_ = X.shape[1]
        self.training_rows_ = int(known.size)
        self.source_, self.code_ = _axes(X[known], is_class)
        values = self._axis_values(X[known])
        spread = values.std(axis=0) if known.size else np.zeros(len(self.source_))
        self.mean_ = values.mean(axis=0) if known.size else np.zeros(len(self.source_))
        # Equal float32 values have a standard deviation of some rounding errors of their mean.
        varies = spread > 1e-12 * np.abs(self.mean_)
        self.factor_ = np.where(varies, weights[self.source_] / np.where(varies, spread, 1.0), 0.0)
        used = self.factor_ > 0.0
        self.source_, self.code_ = self.source_[used], self.code_[used]
        self.mean_, self.factor_ = self.mean_[used], self.factor_[used]
        if known.size > self.most_rows:
            kept = np.sort(np.random.default_rng(self.seed).permutation(known.size)[: self.most_rows])
            known = known[kept]
        self.rows_ = self._scaled(X[known])
        self.mean_distance_ = _mean_distance(self.rows_) if len(known) > 1 else 0.0
        if self.mean_distance_ == 0.0:
            raise InputError(
                "area of applicability",
                required="at least two training rows that differ in a feature that matters",
                found=f"{len(known)} of them known" if len(known) < 2 else "rows that are all the same",
                remedy="Check the sample, or leave the area of applicability out",
            )
        self._index()
        folds = np.arange(len(known)) if fold is None else np.asarray(fold)[known]
        self.threshold_ = _upper_whisker(self._between_folds(folds) / self.mean_distance_)
        return self

    def dissimilarity(self, X: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Return the dissimilarity index of each row of (row, column) features.

        Returns
        -------
        (row,) float64
            0 for a training row that was kept; NaN where a column that matters is unknown or infinite. The same row has
            the same answer whatever rows come with it.
        """
        if X.ndim != 2 or X.shape[1] != self.columns_:
            raise InputError(
                "area of applicability",
                required=f"rows of {self.columns_} columns",
                found=" x ".join(map(str, X.shape)) + " values",
                remedy="Give the columns that it was made for, in that order",
            )
        result = np.full(len(X), np.nan)
        for start in range(0, len(X), _ROWS_AT_ONCE):
            scaled = self._scaled(X[start : start + _ROWS_AT_ONCE])
            known = np.isfinite(scaled).all(axis=1)
            distance, _ = self._tree.query(scaled[known])
            result[start : start + _ROWS_AT_ONCE][known] = distance / self.mean_distance_
        return result

    def is_applicable(self, dissimilarity: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
        """Return which rows are in the area of applicability; one of unknown dissimilarity (NaN) is not."""
        # Compared as float32, as maps store it: the same row has the same answer before and after.
        return np.asarray(np.asarray(dissimilarity, np.float32) <= np.float32(self.threshold_))

    def as_state(self) -> tuple[dict[str, Any], dict[str, NDArray[np.float64]]]:
        """Return what was learned: numbers as JSON can hold them, and arrays by name."""
        numbers = {
            "format": _FORMAT,
            "most_rows": self.most_rows,
            "seed": self.seed,
            "columns": self.columns_,
            "training_rows": self.training_rows_,
            "mean_distance": self.mean_distance_,
            "threshold": self.threshold_,
        }
        return numbers, {name: np.asarray(getattr(self, f"{name}_"), np.float64) for name in _ARRAYS}

    @classmethod
    def from_state(cls, numbers: Mapping[str, Any], arrays: Mapping[str, NDArray[np.float64]]) -> Self:
        """Read what `as_state` gave.

        Raises
        ------
        InputError
            It is not that.
        """
        try:
            if numbers["format"] != _FORMAT:
                raise ValueError(f"format {numbers['format']!r}")
            model = cls(int(numbers["most_rows"]), int(numbers["seed"]))
            model.training_rows_ = int(numbers["training_rows"])
            model.mean_distance_ = float(numbers["mean_distance"])
            model.threshold_ = float(numbers["threshold"])
            model.columns_ = int(numbers["columns"])
            for name in _ARRAYS:
                dtype = np.intp if name == "source" else np.float64
                setattr(model, f"{name}_", np.ascontiguousarray(arrays[name], dtype))
            _check_state(model)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                "area of applicability",
                required=f"a state of {_FORMAT!r}",
                found=str(error),
                remedy="Make it anew with the version that reads it",
            ) from error
        model._index()
        return model

    def _axis_values(self, X: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        values = np.asarray(X[:, self.source_], np.float64)
        for axis in np.flatnonzero(~np.isnan(self.code_)):
            own = values[:, axis]
            values[:, axis] = np.where(np.isfinite(own), own == self.code_[axis], np.nan)
        return values

    def _scaled(self, X: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        scaled = self._axis_values(X)
        scaled -= self.mean_
        scaled *= self.factor_
        return scaled

    def _index(self) -> None:
        from scipy.spatial import cKDTree

        # Measured beside compiled searches of our own with partial distances and the last row's neighbour as the first
        # bound, in features and in principal components: this is 1.1 to 1.5 times faster than the best of them.
        self._tree = cKDTree(self.rows_)

    def _between_folds(self, folds: NDArray[np.intp]) -> NDArray[np.float64]:
        """Distance of each row that was tested to the nearest row of another fold."""
        from scipy.spatial import cKDTree

        tested = np.unique(folds[folds >= 0])
        if not tested.size or np.all(folds == folds[0]):
            raise InputError(
                "area of applicability",
                required="training rows in at least two folds",
                found="one" if tested.size else "none that was tested",
                remedy="Validate with more folds, or keep more training rows",
            )
        if tested.size == len(folds):
            return np.asarray(self._tree.query(self.rows_, k=2)[0], np.float64)[:, 1]
        result = np.full(len(folds), np.nan)
        for number in tested:
            inside = folds == number
            result[inside], _ = cKDTree(self.rows_[~inside]).query(self.rows_[inside])
        return np.asarray(result[folds >= 0])


@dataclass(frozen=True, slots=True)
class OutOfRange:
    """How many rows lie outside the range of each feature; those of blocks of rows are added.

    `below`, `above` and `known` are (feature,) counts; a row whose feature is unknown counts in none of them.
    """

    below: NDArray[np.int64]
    above: NDArray[np.int64]
    known: NDArray[np.int64]

    def __add__(self, other: OutOfRange) -> OutOfRange:
        return OutOfRange(self.below + other.below, self.above + other.above, self.known + other.known)

    @property
    def share(self) -> NDArray[np.float64]:
        """Share of the known rows that is outside, (feature,); NaN where none is known."""
        shares = np.full(len(self.known), np.nan)
        np.divide(self.below + self.above, self.known, out=shares, where=self.known > 0)
        return shares


def count_out_of_range(X: NDArray[np.floating[Any]], ranges: NDArray[np.floating[Any]]) -> OutOfRange:
    """Count the rows outside the range of each feature.

    Parameters
    ----------
    X
        (row, feature), NaN where unknown.
    ranges
        (feature, 2) lowest and highest value; a value that equals one of them is inside. NaN is no bound.
    """
    bounds = np.asarray(ranges)
    if bounds.shape != (X.shape[1], 2):
        raise InputError(
            "ranges of features",
            required=f"a lowest and a highest value for each of {X.shape[1]} features",
            found=" x ".join(map(str, bounds.shape)) + " values",
            remedy="Give those of the features that the model was trained on",
        )
    return OutOfRange(
        below=np.count_nonzero(bounds[:, 0] > X, axis=0).astype(np.int64),
        above=np.count_nonzero(bounds[:, 1] < X, axis=0).astype(np.int64),
        known=np.count_nonzero(~np.isnan(X), axis=0).astype(np.int64),
    )


def _checked_weights(weights: NDArray[np.float64], columns: int) -> NDArray[np.float64]:
    values = np.asarray(weights, np.float64)
    if values.shape != (columns,) or not np.isfinite(values).all() or not (values > 0.0).any():
        raise OptionError(
            "weights of the area of applicability",
            required=f"the importance of each of {columns} columns, at least one of them above 0",
            found=f"{values.tolist()}",
            remedy="Use the model's own importance where permutation importance shows no skill, or ones",
        )
    return np.maximum(values, 0.0)


def _axes(
    X: NDArray[np.floating[Any]], is_class: Sequence[bool] | NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Column and code of each axis; the code is NaN for a quantity."""
    flags = np.asarray(is_class, np.bool_) if len(is_class) else np.zeros(X.shape[1], np.bool_)
    if flags.shape != (X.shape[1],):
        raise OptionError(
            "classes among the columns of the area of applicability",
            required=f"yes or no for each of {X.shape[1]} columns",
            found=f"{flags.size}",
            remedy="Give those of the preprocessing's columns",
        )
    source: list[int] = []
    code: list[float] = []
    for column, holds_classes in enumerate(flags):
        codes = np.unique(X[:, column]).tolist() if holds_classes else [np.nan]
        source.extend([column] * len(codes))
        code.extend(codes)
    return np.array(source, np.intp), np.array(code, np.float64)


def _mean_distance(rows: NDArray[np.float64]) -> float:
    """Mean distance of all pairs of rows, exactly."""
    from susceptibility.kernels.nearest import sum_distances

    count = len(rows)
    return float(sum_distances(rows) / (count * (count - 1) / 2))


def _upper_whisker(values: NDArray[np.float64]) -> float:
    ordered = np.sort(values)
    count = len(ordered)
    # Tukey's hinges: the medians of both halves, which share the middle value of an odd number.
    depth = ((count + 3) // 2) / 2.0
    lower, upper = (
        0.5 * (ordered[int(np.floor(place)) - 1] + ordered[int(np.ceil(place)) - 1])
        for place in (depth, count + 1 - depth)
    )
    return float(ordered[ordered <= upper + 1.5 * (upper - lower)][-1])


def _check_state(model: ApplicabilityModel) -> None:
    axes = len(model.factor_)
    shapes = {getattr(model, f"{name}_").shape for name in _ARRAYS if name != "rows"}
    if shapes != {(axes,)} or not axes or model.rows_.ndim != 2 or model.rows_.shape[1] != axes or not len(model.rows_):
        raise ValueError("arrays that do not belong together")
    if model.source_.min() < 0 or model.source_.max() >= model.columns_:
        raise ValueError("axes of columns that are not there")
    if not all(np.isfinite(array).all() for array in (model.mean_, model.factor_, model.rows_)):
        raise ValueError("unknown numbers")
    if not (0.0 < model.mean_distance_ < np.inf and 0.0 <= model.threshold_ < np.inf):
        raise ValueError(f"a mean distance of {model.mean_distance_} and a threshold of {model.threshold_}")
