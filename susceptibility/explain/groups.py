"""Features by where they come from, and ranges over models that were fitted on different draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from susceptibility.errors import OptionError
from susceptibility.schema import FeatureSchema

UNGROUPED = "other"
"""Group of the features that name none."""


def feature_groups(schema: Sequence[FeatureSchema]) -> dict[str, tuple[int, ...]]:
    """Columns of the features of each group, groups in the order in which they first appear."""
    groups: dict[str, list[int]] = {}
    for column, feature in enumerate(schema):
        groups.setdefault(feature.group or UNGROUPED, []).append(column)
    return {name: tuple(columns) for name, columns in groups.items()}


@dataclass(frozen=True, slots=True)
class Range:
    """A number over repeats: its median, and its 5 and 95 % quantiles, which are the same for one repeat."""

    median: float
    q05: float
    q95: float
    repeats: int


def summarize_repeats(values: NDArray[np.floating]) -> list[Range]:
    """Median and range of each column of (repeat, column) values; NaN where a repeat has no value.

    Raises
    ------
    OptionError
        There is no repeat.
    """
    table = np.asarray(values, np.float64)
    if table.ndim != 2 or len(table) == 0:
        raise OptionError(
            "repeats to summarize",
            required="(repeat, column) with at least one repeat",
            found=f"shape {table.shape}",
            remedy="Ask for at least one repeat",
        )
    low, middle, high = np.quantile(table, [0.05, 0.5, 0.95], axis=0)
    return [
        Range(float(middle[column]), float(low[column]), float(high[column]), len(table))
        for column in range(table.shape[1])
    ]
