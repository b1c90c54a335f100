"""How far the rows that a model is asked about are those that it was trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from susceptibility.schema import FeatureSchema

UNLIKE, APPLICABLE, OUT_OF_RANGE = 1, 2, 3
"""Classes of a map of applicability; the first two are those of `susceptibility.unit_map`, 0 is unknown."""

APPLICABLE_MEANING = (
    "1 unlike what the model was trained on: outside the area of applicability; 2 like it, and every factor within the "
    "range of the training rows; 3 a factor beyond that range, or a class that no training row had; 0 unknown"
)


@dataclass(frozen=True, slots=True)
class TrainingRange:
    """Values that the training rows have of each feature.

    Attributes
    ----------
    schema
        Of the features.
    lowest, low, high, highest
        (feature,) smallest value, 1 and 99 % quantiles, largest value; NaN of a class.
    classes
        (class,) of each feature of classes, by its position: whether training rows had it.
    """

    schema: tuple[FeatureSchema, ...]
    lowest: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    highest: NDArray[np.float64]
    classes: Mapping[int, NDArray[np.bool_]] = field(default_factory=dict)

    def count(self, X: NDArray[np.float32]) -> RangeCounts:
        """Count rows (row, feature), NaN where unknown, inside and outside of the range of each feature."""
        quantity = np.array([not feature.is_class for feature in self.schema])
        below, above = quantity & (self.lowest > X), quantity & (self.highest < X)
        beyond = quantity & ((self.low > X) | (self.high < X))
        known = np.isfinite(X)
        unseen = np.zeros_like(known)
        for number, seen in self.classes.items():
            unseen[:, number] = known[:, number] & ~np.append(seen, False)[_place(X[:, number], len(seen))]
        return RangeCounts(
            known=_counted(known),
            below=_counted(below),
            above=_counted(above),
            beyond=_counted(beyond),
            unseen=_counted(unseen),
            rows=len(X),
            outside=np.asarray((below | above | unseen).any(axis=1)),
        )


@dataclass(frozen=True, slots=True)
class RangeCounts:
    """Of some rows, by feature.

    Attributes
    ----------
    known, below, above
        (feature,) rows whose value is known, is smaller than any in training, is larger.
    beyond
        (feature,) rows beyond the 1 and 99 % quantiles of the training rows, the ones out of range included.
    unseen
        (feature,) rows of a class that no training row had.
    rows
        How many there are.
    outside
        (row,) whether any feature is out of its range or of an unseen class.
    """

    known: NDArray[np.int64]
    below: NDArray[np.int64]
    above: NDArray[np.int64]
    beyond: NDArray[np.int64]
    unseen: NDArray[np.int64]
    rows: int
    outside: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class RangeSummary:
    """Of all rows: counts by feature, as in `RangeCounts`, and in how many rows any feature is `outside`."""

    schema: tuple[FeatureSchema, ...]
    known: NDArray[np.int64]
    below: NDArray[np.int64]
    above: NDArray[np.int64]
    beyond: NDArray[np.int64]
    unseen: NDArray[np.int64]
    rows: int
    outside: int

    def as_rows(self) -> list[dict[str, Any]]:
        """One entry for each feature, as JSON can hold it; shares are of the rows whose value is known."""
        return [
            {
                "feature": feature.name,
                "unit": feature.unit,
                "known": int(self.known[number]),
                "unknown": int(self.rows - self.known[number]),
                "below_training": int(self.below[number]),
                "above_training": int(self.above[number]),
                "share_out_of_range": self.share(number, self.below + self.above + self.unseen),
                "share_beyond_1_99_percent": None if feature.is_class else self.share(number, self.beyond),
                "unseen_class": int(self.unseen[number]) if feature.is_class else None,
            }
            for number, feature in enumerate(self.schema)
        ]

    def share(self, number: int, counts: NDArray[np.int64]) -> float | None:
        """Share of the known rows of one feature; None where none is known."""
        return float(counts[number] / self.known[number]) if self.known[number] else None


def add_counts(schema: tuple[FeatureSchema, ...], counts: Iterable[RangeCounts]) -> RangeSummary:
    """Add the counts of blocks of rows."""
    blocks = list(counts)

    def total(name: str) -> NDArray[np.int64]:
        return np.asarray(np.sum([getattr(block, name) for block in blocks], axis=0), np.int64)

    return RangeSummary(
        schema,
        known=total("known"),
        below=total("below"),
        above=total("above"),
        beyond=total("beyond"),
        unseen=total("unseen"),
        rows=sum(block.rows for block in blocks),
        outside=sum(int(np.count_nonzero(block.outside)) for block in blocks),
    )


def _counted(each: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.asarray(np.count_nonzero(each, axis=0), np.int64)


def _place(codes: NDArray[np.float32], classes: int) -> NDArray[np.intp]:
    """Position of each class; one more than there are for a number past them, or unknown."""
    place = np.where(np.isfinite(codes), codes, classes + 1.0).astype(np.intp) - 1
    return np.where((place < 0) | (place > classes), classes, place)
