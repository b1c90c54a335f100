"""What is learned of the features before a model is: unknown values, classes as columns, a common scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from susceptibility.errors import InputError, OptionError
from susceptibility.models.definition import ModelOptions
from susceptibility.models.parameters import Parameters
from susceptibility.schema import FeatureSchema

Impute = Literal["none", "median"]
Scale = Literal["none", "standard", "minmax"]
Unseen = Literal["zeros", "other"]

OTHER = "other"
"""Label of the column of merged classes."""


class PreprocessingOptions(ModelOptions):
    """What is done to features before a model sees them.

    Attributes
    ----------
    impute
        ``none``: a row with an unknown value has no prediction. ``median``: the median of the training rows, and the
        most frequent class.
    scale
        ``auto``: ``standard`` (mean 0, standard deviation 1) for models that need it and ``none`` for others;
        ``minmax`` is 0 to 1 over the training rows.
    min_share
        Classes with a smaller share of the training rows share one column.
    unseen
        A class that is not among the training rows: 0 in all columns (``zeros``), or among the merged (``other``).
    """

    impute: Impute = "none"
    scale: Literal["auto", "none", "standard", "minmax"] = "auto"
    min_share: float = Field(default=0.01, ge=0.0, lt=1.0)
    unseen: Unseen = "zeros"


class Preprocessor(Parameters):
    """Turns features into the columns that a model is fitted on, in the manner of scikit-learn.

    Everything is learned from the rows given to `fit` and from nothing else. Quantities are scaled; one that is the
    same in all of them cannot be, and has no column. A class becomes one column per class, 1 where a row belongs to it
    and else 0, which is not scaled. Where there is nothing to do, the features come back as they are, not copied.

    Parameters
    ----------
    schema
        What each feature is.
    impute, scale, min_share, unseen
        See `PreprocessingOptions`; `scale` is not ``auto`` here.
    encode
        Whether classes become columns; else their numbers are passed on.

    Attributes
    ----------
    columns_ : tuple of FeatureSchema
        What each column is.
    source_ : (column,) intp
        The feature that each column is made of.
    column_sd_ : (column,) float64
        Standard deviation of each column over the training rows.
    centre_, width_, fill_ : (feature,) float64
        Subtracted, divided by, and put for what is unknown.
    class_counts_ : dict
        Training rows of each class, (class,), by the position of the feature.
    """

    def __init__(
        self,
        schema: tuple[FeatureSchema, ...],
        impute: Impute = "none",
        scale: Scale = "none",
        min_share: float = 0.01,
        unseen: Unseen = "zeros",
        encode: bool = True,
    ) -> None:
        self.schema = schema
        self.impute = impute
        self.scale = scale
        self.min_share = min_share
        self.unseen = unseen
        self.encode = encode

    def fit(self, X: NDArray[np.float32], y: object = None) -> Self:  # noqa: ARG002  (scikit-learn's name)
        """Learn from features (row, feature), NaN where unknown; `y` is not looked at.

        Raises
        ------
        InputError
            A value is infinite, a class number is none, a feature is unknown everywhere; or unknown somewhere, and
            nothing is to be put in its place; or no feature varies.
        OptionError
            Every class of a feature is rare.
        """
        X = checked_features(X, self.schema)
        features = len(self.schema)
        centre, width, fill = np.zeros(features), np.ones(features), np.full(features, np.nan)
        counts: dict[int, NDArray[np.int64]] = {}
        varies = np.ones(features, bool)
        for number, feature in enumerate(self.schema):
            values = X[:, number].astype(np.float64)
            known = values[~np.isnan(values)]
            self._require_known(feature, known.size, values.size)
            if not np.isfinite(known).all():
                raise InputError(
                    f"feature {feature.name!r}",
                    required="finite numbers",
                    found="infinity",
                    remedy="Mark it as unknown",
                )
            if feature.is_class:
                counts[number] = np.bincount(class_codes(known, feature), minlength=len(feature.classes) + 1)[1:]
                fill[number] = float(counts[number].argmax() + 1)
                continue
            fill[number] = float(np.median(known))
            if self.scale != "none":
                varies[number] = known.min() < known.max()
                filled = np.where(np.isnan(values), fill[number], values)
                if self.scale == "standard":
                    centre[number], width[number] = filled.mean(), filled.std() if varies[number] else 1.0
                else:
                    centre[number], width[number] = known.min(), np.ptp(known) if varies[number] else 1.0
        self._learned(centre, width, fill, counts, varies)
        columns = self.transform(X)
        self.column_sd_ = np.array([columns[:, number].std(dtype=np.float64) for number in range(columns.shape[1])])
        return self

    def transform(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the columns (row, column) of features (row, feature); NaN where the feature is, unless imputed.

        Raises
        ------
        InputError
            There are more or fewer features than at fitting, or a class number is none.
        """
        X = checked_features(X, self.schema)
        if self.is_identity_:
            return X
        columns = np.empty((len(X), len(self.columns_)), np.float32)
        columns[:, self._targets] = self._quantities(X)
        for number, (first, table) in self._tables.items():
            feature = self.schema[number]
            codes = X[:, number]
            unknown = np.isnan(codes)
            if unknown.any():
                codes = np.where(unknown, np.float32(1.0), codes)
            # Numbers past the last class are classes that the schema does not know.
            rows = np.minimum(class_codes(codes, feature), len(table) - 1)
            if unknown.any():
                rows[unknown] = int(self.fill_[number]) if self.impute == "median" else 0
            columns[:, first : first + table.shape[1]] = table[rows]
        return columns

    def fit_transform(self, X: NDArray[np.float32], y: object = None) -> NDArray[np.float32]:
        """Return the columns of the rows that are learned from."""
        return self.fit(X, y).transform(X)

    def count_unseen(self, X: NDArray[np.float32]) -> dict[str, dict[str, int]]:
        """Return how many rows belong to each class that no training row had, by feature and class.

        Classes that the schema does not know are counted as ``number <n>``.
        """
        unseen: dict[str, dict[str, int]] = {}
        for number, counts in self.class_counts_.items():
            feature = self.schema[number]
            values = X[:, number]
            codes, here = np.unique(class_codes(values[~np.isnan(values)], feature), return_counts=True)
            for code, count in zip(codes.tolist(), here.tolist(), strict=True):
                is_known = code <= len(feature.classes)
                if not is_known or counts[code - 1] == 0:
                    label = feature.classes[code - 1] if is_known else f"number {code}"
                    unseen.setdefault(feature.name, {})[label] = count
        return unseen

    def sum_by_feature(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the columns (column,) amount to for each feature, (feature,); 0 for one without a column.

        The columns of a class are summed without their signs, which differ from class to class.
        """
        is_encoded = np.array([number in self._tables for number in range(len(self.schema))], bool)[self.source_]
        weights = np.where(is_encoded, np.abs(values), values)
        return np.bincount(self.source_, weights, minlength=len(self.schema)).astype(np.float64)

    def state(self) -> dict[str, Any]:
        """Return everything that was learned, as JSON can hold it."""
        varies = np.ones(len(self.schema), bool)
        varies[list(self._dropped)] = False
        return {
            "impute": self.impute,
            "scale": self.scale,
            "min_share": self.min_share,
            "unseen": self.unseen,
            "encode": self.encode,
            "centre": self.centre_.tolist(),
            "width": self.width_.tolist(),
            "fill": self.fill_.tolist(),
            "varies": varies.tolist(),
            "class_counts": {str(number): counts.tolist() for number, counts in self.class_counts_.items()},
            "column_sd": self.column_sd_.tolist(),
        }

    @classmethod
    def from_state(cls, schema: tuple[FeatureSchema, ...], state: Mapping[str, Any]) -> Preprocessor:
        """Return the preprocessor that `state` told of; raises `ValueError`, `KeyError` or `TypeError` for none."""
        own = cls(schema, state["impute"], state["scale"], state["min_share"], state["unseen"], state["encode"])
        centre, width, fill = (np.array(state[name], np.float64) for name in ("centre", "width", "fill"))
        varies = np.array(state["varies"], bool)
        counts = {int(number): np.array(each, np.int64) for number, each in state["class_counts"].items()}
        if {len(centre), len(width), len(fill), len(varies)} != {len(schema)}:
            raise ValueError("as many features as the schema has")
        if {number: len(each) for number, each in counts.items()} != {
            number: len(feature.classes) for number, feature in enumerate(schema) if feature.is_class
        }:
            raise ValueError("the classes of the schema")
        own._learned(centre, width, fill, counts, varies)
        own.column_sd_ = np.array(state["column_sd"], np.float64)
        if own.column_sd_.shape != (len(own.columns_),):
            raise ValueError("a standard deviation for each column")
        return own

    def _require_known(self, feature: FeatureSchema, known: int, rows: int) -> None:
        if known == 0 or (known < rows and self.impute == "none"):
            raise InputError(
                f"feature {feature.name!r} of the training rows",
                required="known values in all rows" if self.impute == "none" else "a known value in one row at least",
                found=f"{rows - known} of {rows} rows without",
                remedy="Leave out such rows, or the feature"
                + (", or impute values" if self.impute == "none" and known else ""),
            )

    def _learned(
        self,
        centre: NDArray[np.float64],
        width: NDArray[np.float64],
        fill: NDArray[np.float64],
        counts: dict[int, NDArray[np.int64]],
        varies: NDArray[np.bool_],
    ) -> None:
        """Keep what was learned, and lay out the columns."""
        self.centre_, self.width_, self.fill_, self.class_counts_ = centre, width, fill, counts
        columns: list[FeatureSchema] = []
        source: list[int] = []
        self._tables: dict[int, tuple[int, NDArray[np.float32]]] = {}
        self._dropped = tuple(int(number) for number in np.flatnonzero(~varies))
        for number, feature in enumerate(self.schema):
            if feature.is_class and self.encode:
                labels, table = self._class_table(feature, counts[number])
                self._tables[number] = (len(columns), table)
                columns += [
                    replace(feature, name=f"{feature.name} = {label}", unit="", classes=(), sign=None)
                    for label in labels
                ]
                source += [number] * len(labels)
            elif varies[number]:
                columns.append(feature)
                source.append(number)
        if not columns:
            raise InputError(
                "features of the training rows",
                required="one at least that is not the same in all rows",
                found=", ".join(feature.name for feature in self.schema) + ", each of one value",
                remedy="Choose other features or rows",
            )
        self.columns_, self.source_ = tuple(columns), np.array(source, np.intp)
        self._targets = np.array(
            [column for column, number in enumerate(source) if number not in self._tables], np.intp
        )
        self._sources = self.source_[self._targets]
        self.is_identity_ = self.impute == "none" and self.scale == "none" and not self._tables

    def _class_table(
        self, feature: FeatureSchema, counts: NDArray[np.int64]
    ) -> tuple[tuple[str, ...], NDArray[np.float32]]:
        """Return labels of columns, and the columns of each class number: 0 unknown, 1..n, n + 1 past the schema."""
        total = int(counts.sum())
        is_own = (counts > 0) & (counts >= self.min_share * total)
        is_merged = (counts > 0) & ~is_own
        if not is_own.any():
            raise OptionError(
                "min_share",
                required=f"at most {counts.max() / total:.4f}, the share of the most frequent {feature.name!r}",
                found=str(self.min_share),
                remedy="Lower it, or leave the feature out",
            )
        own = np.flatnonzero(is_own)
        has_other = bool(is_merged.any()) or self.unseen == "other"
        table = np.zeros((len(counts) + 2, own.size + has_other), np.float32)
        table[0] = np.nan
        table[own + 1, np.arange(own.size)] = 1.0
        if has_other:
            table[np.flatnonzero(is_merged) + 1, -1] = 1.0
        if self.unseen == "other":
            table[np.flatnonzero(counts == 0) + 1, -1] = 1.0
            table[-1, -1] = 1.0
        labels = tuple(feature.classes[code] for code in own.tolist())
        return (*labels, OTHER) if has_other else labels, table

    def _quantities(self, X: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        """Return the columns that are not made of classes, filled and scaled."""
        values = X[:, self._sources]
        if self.impute == "median":
            values = np.where(np.isnan(values), self.fill_[self._sources].astype(np.float32), values)
        if self.scale == "none":
            return values
        scaled: NDArray[np.float64] = np.subtract(values, self.centre_[self._sources], dtype=np.float64)
        scaled /= self.width_[self._sources]
        return scaled


def checked_features(X: NDArray[Any], schema: tuple[FeatureSchema, ...]) -> NDArray[np.float32]:
    """Features (row, feature) as float32, not copied if they are; raises `InputError` for another number of them."""
    values = np.asarray(X)
    if values.ndim != 2 or values.shape[1] != len(schema):
        raise InputError(
            "features",
            required=f"rows of {len(schema)} features: " + ", ".join(feature.name for feature in schema),
            found=" x ".join(map(str, values.shape)) + " values",
            remedy="Give the features that the model was made for, in that order",
        )
    return np.asarray(values, np.float32)


def class_codes(values: NDArray[np.floating[Any]], feature: FeatureSchema) -> NDArray[np.intp]:
    """Class numbers as whole numbers; raises `InputError` for one that is not whole, or below 1."""
    # Far numbers would overflow; they are past the schema all the same.
    bounded = np.clip(values, -1.0, 1e9)
    codes: NDArray[np.intp] = bounded.astype(np.intp)
    if codes.size and (codes.min() < 1 or not np.array_equal(codes, bounded)):
        wrong = float(values[(codes < 1) | (codes != bounded)][0])
        raise InputError(
            f"feature {feature.name!r}",
            required=f"class numbers: whole, from 1 to {len(feature.classes)}",
            found=f"{wrong:g}",
            remedy="Number the classes as the schema does",
        )
    return codes
