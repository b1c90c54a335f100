"""Whether a model scores by knowing places: well beside what it learned, and not where nothing near was mapped."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from susceptibility.comparison import ScoredFold, spread_over_folds
from susceptibility.metrics import DENSITY_METRICS, METRICS
from susceptibility.schemes import RANDOM, SCHEMES

MARGIN = 0.15
"""Fall of AUC-ROC from random to spatial folds that is taken for a sign of leakage.

Honest models lose some too, as they predict for ground unlike what they learned from.
"""


@dataclass(frozen=True, slots=True)
class Leakage:
    """Fall of a score from random folds to spatial ones.

    Attributes
    ----------
    scheme
        The spatial one.
    metric
        Name of the score.
    random, spatial
        Its means.
    fall
        Random minus spatial.
    lower, upper
        Bounds of the fall with 95 % confidence; NaN where there are too few folds to tell.
    margin
        Smaller falls are no sign of leakage.
    """

    scheme: str
    metric: str
    random: float
    spatial: float
    fall: float
    lower: float
    upper: float
    margin: float

    @property
    def is_suspected(self) -> bool:
        """Whether the fall is larger than the margin, and more than chance."""
        return self.fall > self.margin and self.lower > 0.0

    @property
    def sentence(self) -> str:
        """What a report says of a suspected leakage."""
        title = {**METRICS, **DENSITY_METRICS}[self.metric].title
        return (
            f"The model knows places, not causes: {title} is {self.random:.2f} on random folds and {self.spatial:.2f} "
            f"on {SCHEMES[self.scheme].title} folds, {self.fall:.2f} less (95 % {self.lower:.2f} to {self.upper:.2f}). "
            "Its score on random folds comes from rows near those it learned, and does not hold where no landslide was "
            "mapped nearby. Leave out features that tell of the place, such as coordinates or coarse layers."
        )


def find_leakage(
    folds: Mapping[str, Sequence[ScoredFold]], *, metric: str = "auc_roc", margin: float = MARGIN
) -> list[Leakage]:
    """Compare the random scheme with each spatial one.

    Parameters
    ----------
    folds
        Results of one model on one feature set, by scheme.
    metric
        Name of a metric of which more is better.
    margin
        Falls up to this are put down to honest extrapolation.

    Returns
    -------
    list
        One for each spatial scheme; empty where there is no random one. `Leakage.is_suspected` tells which are signs
        of leakage.

    Notes
    -----
    The interval is Welch's, from the errors of both means, each enlarged as in `spread_over_folds`.
    """
    from scipy.special import stdtrit

    if RANDOM not in folds:
        return []
    beside = spread_over_folds(folds[RANDOM], [result.metrics[metric] for result in folds[RANDOM]])
    found = []
    for scheme, results in folds.items():
        if scheme not in SCHEMES or not SCHEMES[scheme].is_spatial:
            continue
        apart = spread_over_folds(results, [result.metrics[metric] for result in results])
        fall = beside.mean - apart.mean
        variances = [(spread.error**2, spread.degrees) for spread in (beside, apart)]
        total = sum(variance for variance, _ in variances)
        if total > 0.0:  # not for NaN either
            parts = sum(variance**2 / degrees for variance, degrees in variances)
            half = float(stdtrit(total**2 / parts, 0.975)) * math.sqrt(total)
        else:
            half = total
        found.append(Leakage(scheme, metric, beside.mean, apart.mean, fall, fall - half, fall + half, margin))
    return found
