"""Frequency ratio (Lee and Talib, 2005): where landslides are more frequent than the area alone would make them.

Each quantity is cut into bins, and each bin, like each class, has the ratio of its share of the landslides to its share
of all rows. A row's ratios are added up, and one logistic curve makes a probability of the sum. Everything that it
knows is one readable table.

References
----------
Lee, S., Talib, J. A. (2005). Probabilistic landslide susceptibility and factor effect analysis. Environmental Geology
47, 982-990.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from susceptibility.models.calibration import SigmoidCalibrator
from susceptibility.models.definition import ModelDefinition, ModelOptions, Storage, Training
from susceptibility.models.preprocessing import class_codes
from susceptibility.schema import FeatureSchema


class FrequencyRatioOptions(ModelOptions):
    """Options of `FREQUENCY_RATIO`.

    Attributes
    ----------
    bins, binning
        Of each quantity: ``quantiles`` of the training rows, or steps of ``equal`` width between their extremes.
    combine
        Whether the ratios are added (``sum``) or their logarithms (``log``, the weight of a naive Bayes classifier).
    smoothing
        Landslides added to each bin where logarithms are taken, since a bin may have none.
    """

    bins: int = Field(default=10, ge=2)
    binning: Literal["quantiles", "equal"] = "quantiles"
    combine: Literal["sum", "log"] = "sum"
    smoothing: float = Field(default=0.5, gt=0.0)


@dataclass(frozen=True, slots=True)
class RatioRow:
    """One bin or class of a feature.

    Attributes
    ----------
    feature, label
        Of which feature; the class, or empty for a bin.
    lower, upper
        Of a bin, which holds its lower bound and not the upper; infinite at the ends; NaN for a class.
    area_share, landslide_share
        Share of the training rows, and of those with landslides.
    ratio
        The latter over the former; NaN where there are no rows.
    """

    feature: str
    label: str
    lower: float
    upper: float
    area_share: float
    landslide_share: float
    ratio: float


class FrequencyRatioTable:
    """A fitted table of ratios.

    Parameters
    ----------
    columns
        What each column is.
    combine, smoothing
        As in `FrequencyRatioOptions`.
    edges
        Bounds between the bins of each quantity; empty for classes.
    area, landslides
        For each column the weight of the rows in each bin or class, and of those with a landslide among them.
    curve
        From sums to probabilities.
    """

    def __init__(
        self,
        columns: tuple[FeatureSchema, ...],
        combine: str,
        smoothing: float,
        edges: tuple[NDArray[np.float64], ...],
        area: tuple[NDArray[np.float64], ...],
        landslides: tuple[NDArray[np.float64], ...],
        curve: SigmoidCalibrator,
    ) -> None:
        self.columns = columns
        self.combine = combine
        self.smoothing = smoothing
        self.edges = edges
        self.area = area
        self.landslides = landslides
        self.curve = curve
        self._terms = tuple(self._term(column) for column in range(len(columns)))

    def ratios(self, column: int) -> NDArray[np.float64]:
        """Ratio of each bin or class of a column, (bin,); NaN where there are no rows."""
        area, landslides = self.area[column], self.landslides[column]
        shares = np.where(area > 0.0, area, np.nan) / area.sum()
        return np.asarray(landslides / landslides.sum() / shares, np.float64)

    def rows(self) -> tuple[RatioRow, ...]:
        """Return the whole table."""
        table = []
        for number, feature in enumerate(self.columns):
            bounds = [-np.inf, *self.edges[number].tolist(), np.inf]
            area = self.area[number] / self.area[number].sum()
            landslides = self.landslides[number] / self.landslides[number].sum()
            for place, ratio in enumerate(self.ratios(number).tolist()):
                lower, upper = (np.nan, np.nan) if feature.is_class else (bounds[place], bounds[place + 1])
                label = feature.classes[place] if feature.is_class else ""
                table.append(
                    RatioRow(
                        feature.name, label, lower, upper, float(area[place]), float(landslides[place]), float(ratio)
                    )
                )
        return tuple(table)

    def total(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Sum of the ratios, or of their logarithms, of each row of columns, (row,)."""
        total = np.zeros(len(X), np.float64)
        for column, term in enumerate(self._terms):
            total += term[self._places(X[:, column], column)]
        return total

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probability of each row of columns, (row,)."""
        return self.curve.predict(self.total(X))

    def spread(self) -> NDArray[np.float64]:
        """Standard deviation over the training rows of what each column adds to the sum, (column,)."""
        found = np.empty(len(self.columns))
        for column, term in enumerate(self._terms):
            share = self.area[column] / self.area[column].sum()
            of_bin = term[: len(share)]
            mean = float((share * of_bin).sum())
            found[column] = np.sqrt((share * (of_bin - mean) ** 2).sum())
        return found

    def state(self) -> dict[str, Any]:
        """Return everything that was learned, as JSON can hold it."""
        return {
            "combine": self.combine,
            "smoothing": self.smoothing,
            "edges": [each.tolist() for each in self.edges],
            "area": [each.tolist() for each in self.area],
            "landslides": [each.tolist() for each in self.landslides],
            "curve": self.curve.state(),
        }

    @classmethod
    def from_state(cls, columns: tuple[FeatureSchema, ...], state: Mapping[str, Any]) -> FrequencyRatioTable:
        """Return the table that `state` told of; raises `ValueError`, `KeyError` or `TypeError` for none."""
        curve = SigmoidCalibrator()
        curve.slope_, curve.intercept_ = float(state["curve"]["slope"]), float(state["curve"]["intercept"])
        curve.rows_ = int(state["curve"]["rows"])
        edges, area, landslides = (
            tuple(np.array(each, np.float64) for each in state[name]) for name in ("edges", "area", "landslides")
        )
        sizes = [len(feature.classes) or len(own) + 1 for feature, own in zip(columns, edges, strict=True)]
        if [len(each) for each in area] != sizes or [len(each) for each in landslides] != sizes:
            raise ValueError("a ratio for each bin and class")
        if state["combine"] not in {"sum", "log"} or any((np.diff(own) <= 0.0).any() for own in edges):
            raise ValueError("rising edges, and sums or logarithms")
        return cls(columns, state["combine"], float(state["smoothing"]), edges, area, landslides, curve)

    def _places(self, values: NDArray[np.float32], column: int) -> NDArray[np.intp]:
        feature = self.columns[column]
        if feature.is_class:
            return np.minimum(class_codes(values, feature), len(feature.classes) + 1) - 1
        return np.searchsorted(self.edges[column], values, side="right")

    def _term(self, column: int) -> NDArray[np.float64]:
        """Return what each bin or class adds, and last what one past the schema does.

        A bin without rows says nothing: it adds what an average one would.
        """
        area, landslides = self.area[column], self.landslides[column]
        if self.combine == "sum":
            return np.append(np.nan_to_num(self.ratios(column), nan=1.0), 1.0)
        share = (landslides + self.smoothing) / (landslides.sum() + self.smoothing * np.count_nonzero(area))
        known = area > 0.0
        term = np.zeros(len(area) + 1)
        term[:-1][known] = np.log(share[known] / (area[known] / area.sum()))
        return term


def bin_edges(values: NDArray[np.float32], options: FrequencyRatioOptions) -> NDArray[np.float64]:
    """Bounds between the bins of a quantity, rising; fewer than asked for where many values are the same."""
    steps = np.linspace(0.0, 1.0, options.bins + 1)[1:-1]
    lowest, highest = float(values.min()), float(values.max())
    if options.binning == "quantiles":
        # Of values that occur, so that no bin is empty.
        edges = np.unique(np.quantile(values, steps, method="inverted_cdf")).astype(np.float64)
    else:
        edges = np.unique(lowest + steps * (highest - lowest))
    return np.asarray(edges[(edges > lowest) & (edges <= highest)], np.float64)


def _fit(options: FrequencyRatioOptions, training: Training) -> FrequencyRatioTable:
    weight = np.ones(len(training.y)) if training.weight is None else training.weight
    landslide = weight * (training.y == 1)
    edges, area, landslides = [], [], []
    for number, feature in enumerate(training.columns):
        values = training.X[:, number]
        if feature.is_class:
            own, size = np.empty(0), len(feature.classes)
            places = np.minimum(class_codes(values, feature) - 1, size)
        else:
            own = bin_edges(values, options)
            places, size = np.searchsorted(own, values, side="right"), len(own) + 1
        edges.append(own)
        area.append(np.bincount(places, weight, minlength=size)[:size].astype(np.float64))
        landslides.append(np.bincount(places, landslide, minlength=size)[:size].astype(np.float64))
    curve = SigmoidCalibrator()
    parts = tuple(edges), tuple(area), tuple(landslides)
    table = FrequencyRatioTable(training.columns, options.combine, options.smoothing, *parts, curve)
    curve.fit(table.total(training.X), training.y, training.weight)
    return table


def _score(fitted: FrequencyRatioTable, X: NDArray[np.float32]) -> NDArray[np.float64]:
    return fitted.predict(X)


def _spread(fitted: FrequencyRatioTable) -> NDArray[np.float64]:
    return fitted.spread()


FREQUENCY_RATIO = ModelDefinition(
    "frequency_ratio",
    "frequency ratio",
    FrequencyRatioOptions,
    _fit,
    _score,
    _spread,
    "spread of its ratios",
    Storage.JSON,
    reads_raw=True,
    restore=FrequencyRatioTable.from_state,
)
