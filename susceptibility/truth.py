"""The logistic model that a simulated inventory is drawn from, and how well it can be found again at best."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from susceptibility.errors import OptionError


@dataclass(frozen=True, slots=True)
class LogisticTruth:
    """The model an inventory was drawn from.

    The log-odds of a landslide in a cell are ``intercept + sum(coefficient * (feature - mean) / std)``, and cells are
    independent of each other.

    Attributes
    ----------
    intercept, coefficients
        Log-odds, and log-odds per standard deviation, by feature.
    means, stds
        By which features are standardised, in their units; 0 and 1 for classes.
    probability
        (row, col) of each cell; NaN where a feature is unknown.
    best_auc
        See `best_reachable_auc`.
    """

    intercept: float
    coefficients: dict[str, float]
    means: dict[str, float]
    stds: dict[str, float]
    probability: NDArray[np.float64]
    best_auc: float

    def as_dict(self) -> dict[str, object]:
        """All but the probabilities."""
        return {name: value for name, value in asdict(self).items() if name != "probability"}


def logistic_truth(
    features: Mapping[str, NDArray[np.float32]],
    effects: Mapping[str, float],
    expected_landslides: float,
    *,
    classes: Collection[str] = (),
) -> LogisticTruth:
    """Set up a logistic model whose probabilities add up to a number of landslides.

    Parameters
    ----------
    features
        (row, col) by name; NaN where unknown.
    effects
        Log-odds for each standard deviation, by name.
    expected_landslides
        Sum of the probabilities.
    classes
        Of the features, those that say whether a cell is of a class, 0 or 1: their effect is the log-odds of the class.

    Raises
    ------
    OptionError
        More landslides are asked for than there are cells where all features are known.
    """
    from scipy.optimize import brentq
    from scipy.special import expit

    known = np.logical_and.reduce([np.isfinite(features[name]) for name in effects])
    cells = int(known.sum())
    if not 0.0 < expected_landslides < cells:
        raise OptionError(
            "landslides",
            required=f"fewer than the {cells} cells where all factors are known, and at least one",
            found=f"{expected_landslides:g}",
            remedy="Choose another number, or a larger area",
        )
    means = {name: float(np.mean(features[name][known], dtype=np.float64)) for name in effects}
    stds = {name: float(np.std(features[name][known], dtype=np.float64)) or 1.0 for name in effects}
    means |= dict.fromkeys(classes, 0.0)
    stds |= dict.fromkeys(classes, 1.0)
    score = np.zeros(cells)
    for name, effect in effects.items():
        score += effect * (features[name][known].astype(np.float64) - means[name]) / stds[name]
    intercept = float(brentq(lambda shift: float(expit(shift + score).sum()) - expected_landslides, -80.0, 80.0))
    probability = np.full(known.shape, np.nan)
    probability[known] = expit(intercept + score)
    return LogisticTruth(intercept, dict(effects), means, stds, probability, best_reachable_auc(probability))


def best_reachable_auc(probability: NDArray[np.floating]) -> float:
    """Expected AUC-ROC of the true probabilities themselves, which no model can be expected to exceed.

    Parameters
    ----------
    probability
        Of a landslide in each cell, any shape, cells independent; NaN where unknown.

    Notes
    -----
    Over all pairs of cells, ``sum p_i (1 - p_j) [p_i > p_j] / sum p_i (1 - p_j)``, ties counted half: the chance that a
    landslide cell has a higher probability than another.
    """
    p = np.sort(np.asarray(probability, np.float64)[np.isfinite(probability)])
    values, start = np.unique(p, return_index=True)
    count = np.diff(np.append(start, p.size))
    negatives = count * (1.0 - values)
    below = np.cumsum(negatives) - negatives
    # A cell is not compared with itself.
    won = np.sum(count * values * (below + 0.5 * (count - 1) * (1.0 - values)))
    pairs = p.sum() * (1.0 - p).sum() - np.sum(p * (1.0 - p))
    return float(won / pairs)


def draw_inventory(probability: NDArray[np.floating], seed: int, *, stream: int = 1) -> NDArray[np.intp]:
    """Flat indices of landslide cells, each drawn with its own probability; none where that is NaN.

    Inventories of one seed and different streams are independent of each other.
    """
    drawn = np.random.default_rng([seed, stream]).uniform(size=probability.shape) < probability
    return np.flatnonzero(drawn)


def drawn_auc(probability: NDArray[np.floating], cells: NDArray[np.intp]) -> float:
    """AUC-ROC of the true probabilities against the landslides that were drawn, by flat index; NaN where there is none.

    It differs from `best_reachable_auc` by the chance of the draw.
    """
    from scipy.stats import rankdata

    is_landslide = np.zeros(probability.size, np.bool_)
    is_landslide[cells] = True
    known = np.isfinite(probability).ravel()
    ranks, is_landslide = rankdata(probability.ravel()[known]), is_landslide[known]
    count, others = int(is_landslide.sum()), int((~is_landslide).sum())
    if count == 0 or others == 0:
        return float("nan")
    return float((ranks[is_landslide].sum() - count * (count + 1) / 2.0) / (count * others))
