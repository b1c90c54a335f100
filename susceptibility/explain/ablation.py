"""What models lose when they are fitted anew without one group of features, on the same folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from susceptibility.errors import OptionError
from susceptibility.explain.groups import feature_groups
from susceptibility.schema import FeatureSchema

PREFIX = "without_"
"""Of the names of feature sets that leave a group out."""

Need = Literal["needed", "not shown", "better without"]


class PairedDifference(Protocol):
    """Mean and bounds of a metric's paired differences, candidate minus baseline, as `validation.Difference`."""

    @property
    def metric(self) -> str:
        """Its name."""
        ...

    @property
    def mean(self) -> float:
        """Over the folds."""
        ...

    @property
    def lower(self) -> float:
        """Lower bound of the interval; NaN where there are too few folds."""
        ...

    @property
    def upper(self) -> float:
        """Upper bound of the interval; NaN where there are too few folds."""
        ...

    @property
    def folds(self) -> int:
        """How many were compared."""
        ...


@dataclass(frozen=True, slots=True)
class AblationRow:
    """What leaving a group out costs.

    `loss` is how much worse the metric is without the group, positive for worse whatever the metric, and `lower` and
    `upper` bound it. `need` is "needed" where they are both positive, "better without" where both are negative.
    """

    group: str
    features: tuple[str, ...]
    metric: str
    loss: float
    lower: float
    upper: float
    folds: int
    need: Need


def ablation_sets(schema: Sequence[FeatureSchema]) -> dict[str, tuple[str, ...]]:
    """Names of the features that are left without each group, by ``without_<group>``; the whole set is not among them.

    Raises
    ------
    OptionError
        All features are of one group: nothing is left without it.
    """
    groups = feature_groups(schema)
    if len(groups) < 2:
        raise OptionError(
            "ablation by groups of features",
            required="at least two groups",
            found=f"one, {next(iter(groups))!r}" if groups else "none",
            remedy="Give the factors groups, or add factors of another source",
        )
    return {
        f"{PREFIX}{name}": tuple(
            feature.name for column, feature in enumerate(schema) if column not in columns
        )
        for name, columns in groups.items()
    }  # fmt: skip


def summarize_ablation(
    schema: Sequence[FeatureSchema],
    differences: Mapping[str, PairedDifference],
    *,
    higher_is_better: bool = True,
) -> list[AblationRow]:
    """What each group is worth, the most needed first.

    Parameters
    ----------
    schema
        Of the whole feature set, as given to `ablation_sets`.
    differences
        By the names of `ablation_sets`: the paired difference of that set (candidate) minus the whole set (baseline).
    higher_is_better
        Of the metric.
    """
    rows = []
    for name, columns in feature_groups(schema).items():
        difference = differences[f"{PREFIX}{name}"]
        sign = -1.0 if higher_is_better else 1.0
        lower, upper = sorted((sign * difference.lower, sign * difference.upper))
        need: Need = "not shown"
        if lower > 0.0:
            need = "needed"
        elif upper < 0.0:
            need = "better without"
        rows.append(
            AblationRow(
                group=name,
                features=tuple(schema[column].name for column in columns),
                metric=difference.metric,
                loss=sign * difference.mean + 0.0,
                lower=lower,
                upper=upper,
                folds=difference.folds,
                need=need,
            )
        )
    return sorted(rows, key=lambda row: -row.loss)
