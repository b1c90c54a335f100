"""Validation on cells that a model was not trained on, chosen at random and apart in space.

Cells close together are alike, so that a random split tests a model on near copies of what it has learned. Both views
stand side by side. Every model and every feature set sees the same folds.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from susceptibility.errors import InputError, OptionError
from susceptibility.metrics import score
from susceptibility.models import Classifier
from susceptibility.workers import run_in_processes, single_threads

logger = logging.getLogger(__name__)

RANDOM = "random"
_TRIES = 10  # partitions drawn until one has both classes in every fold

Assign = Callable[["Places", int, np.random.Generator], NDArray[np.intp]]
Verdict = Literal["gain", "no gain", "loss"]


@dataclass(frozen=True, slots=True)
class Places:
    """What folds may depend on: (cell, easting and northing) in metres, the (cell,) target, the side of blocks."""

    coordinates_m: NDArray[np.float64]
    target: NDArray[Any]
    block_size_m: float


@dataclass(frozen=True, slots=True)
class Scheme:
    """A way to split cells into folds; `assign` gives the (cell,) number of the fold of each."""

    name: str
    title: str
    is_spatial: bool
    assign: Assign


def assign_blocks(places: Places, rng: np.random.Generator) -> NDArray[np.intp]:
    """Number of the square block that holds each cell, (cell,); the origin of the blocks is drawn."""
    origin = places.coordinates_m.min(axis=0) - rng.uniform(0.0, places.block_size_m, 2)
    steps = np.floor((places.coordinates_m - origin) / places.block_size_m).astype(np.intp)
    _, block = np.unique(steps, axis=0, return_inverse=True)
    return np.asarray(block.ravel(), np.intp)


def _random_folds(places: Places, folds: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Each class dealt out evenly."""
    fold = np.empty(len(places.target), np.intp)
    dealt = 0
    for value in (0, 1):
        members = rng.permutation(np.flatnonzero(places.target == value))
        fold[members] = (np.arange(members.size) + dealt) % folds  # goes on where the other class ended
        dealt += members.size
    return fold


def _block_folds(places: Places, folds: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Whole blocks, the largest first, each to the fold that has least of what the block holds most of."""
    block = assign_blocks(places, rng)
    counts = np.stack([np.bincount(block, places.target == value) for value in (0, 1)], axis=1)
    if len(counts) < folds:
        raise OptionError(
            "[validation] block_size_m",
            required=f"at least {folds} blocks with cells of the sample, one for each fold",
            found=f"{len(counts)} blocks of {places.block_size_m:g} m",
            remedy="Choose smaller blocks or fewer folds",
        )
    shares = counts / np.maximum(counts.sum(axis=0), 1.0)
    order = rng.permutation(len(shares))
    order = order[np.argsort(-shares[order].max(axis=1), kind="stable")]
    filled = np.zeros((folds, 2))
    fold_of_block = np.empty(len(shares), np.intp)
    for number in order:
        fold_of_block[number] = np.argmin(filled @ shares[number])
        filled[fold_of_block[number]] += shares[number]
    return fold_of_block[block]


def _kmeans_folds(places: Places, folds: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Clusters of the coordinates by k-means from random cells (Ruß and Brenning, 2010).

    Each partition is one local optimum, so that repeats differ.
    """
    from sklearn.cluster import KMeans

    clusters = KMeans(folds, n_init=1, init="random", random_state=int(rng.integers(2**31)))
    with single_threads():  # else the sums behind the centres, and with them the clusters, depend on the machine
        return np.asarray(clusters.fit_predict(places.coordinates_m), np.intp)


SCHEMES: dict[str, Scheme] = {
    scheme.name: scheme
    for scheme in (
        Scheme(RANDOM, "random", False, _random_folds),
        Scheme("spatial-blocks", "spatial block", True, _block_folds),
        Scheme("kmeans", "k-means", True, _kmeans_folds),
    )
}
"""Ways to split, by name."""


@dataclass(frozen=True, slots=True)
class Partition:
    """One split of a sample.

    Attributes
    ----------
    scheme
        Name in `SCHEMES`.
    draw, repeat
        Of which sample, and which split of it.
    fold
        (cell,) fold in which each cell is tested, from 0.
    """

    scheme: str
    draw: int
    repeat: int
    fold: NDArray[np.intp]

    @property
    def folds(self) -> int:
        """Number of folds."""
        return int(self.fold.max()) + 1


def partition_cells(
    scheme: str,
    coordinates_m: NDArray[np.float64],
    target: NDArray[Any],
    *,
    folds: int = 5,
    block_size_m: float | None = None,
    seed: int = 0,
    draw: int = 0,
    repeat: int = 0,
) -> Partition:
    """Split cells into folds that each hold both classes.

    Parameters
    ----------
    scheme
        ``random`` (stratified by class), ``spatial-blocks`` or ``kmeans``.
    coordinates_m
        (cell, 2) easting and northing on a metric grid.
    target
        (cell,) 1 where there is a landslide, else 0.
    folds
        Their number.
    block_size_m
        Side of the blocks; None for `default_block_size`.
    seed, draw, repeat
        The same three numbers give the same partition.

    Raises
    ------
    OptionError
        There is no such scheme, or there are fewer blocks than folds.
    InputError
        Ten partitions in a row have a fold without landslides, or with nothing else.
    """
    if scheme not in SCHEMES:
        raise OptionError(
            "validation scheme", required=" or ".join(SCHEMES), found=repr(scheme), remedy="Choose one of them"
        )
    places = Places(
        np.asarray(coordinates_m, np.float64),
        np.asarray(target),
        default_block_size(coordinates_m) if block_size_m is None else block_size_m,
    )
    counts: list[tuple[int, int]] = []
    for attempt in range(_TRIES):
        rng = np.random.default_rng([seed, draw, repeat, attempt, list(SCHEMES).index(scheme)])
        fold = SCHEMES[scheme].assign(places, folds, rng)
        landslides = np.bincount(fold, places.target != 0, minlength=folds).astype(int)
        others = np.bincount(fold, places.target == 0, minlength=folds).astype(int)
        if landslides.min() > 0 and others.min() > 0:
            if attempt:
                logger.info("%s, draw %d, repeat %d: split %d times", scheme, draw, repeat, attempt + 1)
            return Partition(scheme, draw, repeat, fold)
        counts = list(zip(landslides.tolist(), others.tolist(), strict=True))
    raise InputError(
        f"validation by {SCHEMES[scheme].title}",
        required=f"landslides and other cells in each of {folds} folds",
        found="folds of (landslides, others) = " + ", ".join(f"({yes}, {no})" for yes, no in counts),
        remedy="Choose fewer folds, smaller blocks or another spatial scheme",
    )


def default_block_size(coordinates_m: NDArray[np.float64]) -> float:
    """Side of spatial blocks where none is given: a fifth of the longer side of the sample's extent, in metres."""
    extent = np.ptp(np.asarray(coordinates_m), axis=0).max()
    return float(extent / 5.0) or 1.0


@dataclass(frozen=True, slots=True)
class FoldResult:
    """A model fitted without one fold and tried on it.

    Attributes
    ----------
    scheme, draw, repeat, fold
        Which split, and which fold of it.
    test
        (tested cell,) position in the sample.
    target, probability
        (tested cell,) what is there, and what is predicted for them.
    metrics
        Value by name, see `susceptibility.metrics`.
    train_cells
        Number of cells it was fitted on.
    importance
        (permutation, feature) drop of AUC-ROC when the feature's values are shuffled among the tested cells; empty
        where not asked for.
    """

    scheme: str
    draw: int
    repeat: int
    fold: int
    test: NDArray[np.intp]
    target: NDArray[np.uint8]
    probability: NDArray[np.float64]
    metrics: dict[str, float]
    train_cells: int
    importance: NDArray[np.float64]


def validate_fold(
    build: Callable[[int], Classifier],
    features: NDArray[np.float32],
    target: NDArray[np.uint8],
    partition: Partition,
    fold: int,
    *,
    seed: int = 0,
    permutations: int = 0,
) -> FoldResult:
    """Fit a new estimator on all folds but one, and score it on that one.

    Parameters
    ----------
    build
        Makes an unfitted estimator from a seed. It is given the training cells and nothing else.
    features, target
        (cell, feature) and (cell,) of the whole sample.
    partition, fold
        What to leave out.
    seed
        Of the estimator and of the permutations, together with the numbers of draw, repeat and fold.
    permutations
        How often to shuffle each feature for its importance.
    """
    from susceptibility.explain import permutation_importance

    train, test = np.flatnonzero(partition.fold != fold), np.flatnonzero(partition.fold == fold)
    own_seed = [seed, partition.draw, partition.repeat, fold]
    estimator = build(int(np.random.default_rng(own_seed).integers(2**31)))
    estimator.fit(features[train], target[train])
    probability = landslide_probability(estimator, features[test])
    importance = permutation_importance(estimator, features[test], target[test], permutations, seed=own_seed)
    return FoldResult(
        scheme=partition.scheme,
        draw=partition.draw,
        repeat=partition.repeat,
        fold=fold,
        test=test,
        target=target[test],
        probability=probability,
        metrics=score(target[test], probability),
        train_cells=len(train),
        importance=importance,
    )


def landslide_probability(estimator: Classifier, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probability of a landslide in each cell, (cell,), from its (cell, feature) features."""
    return np.asarray(estimator.predict_proba(features)[:, 1], np.float64)


def cross_validate(
    build: Callable[[int], Classifier],
    features: NDArray[np.float32],
    target: NDArray[np.uint8],
    partitions: Sequence[Partition],
    *,
    seed: int = 0,
    permutations: int = 0,
    workers: int | None = None,
) -> list[FoldResult]:
    """Every fold of every partition of one sample; see `validate_fold` for the parameters."""
    return run_in_processes(
        [
            partial(validate_fold, build, features, target, partition, fold, seed=seed, permutations=permutations)
            for partition in partitions
            for fold in range(partition.folds)
        ],
        workers=workers,
    )


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean of a metric's paired differences between two feature sets, candidate minus baseline.

    `lower` and `upper` bound it with 95 % confidence; NaN where there are too few folds to tell.
    """

    metric: str
    mean: float
    lower: float
    upper: float
    folds: int

    def verdict(self, *, higher_is_better: bool = True) -> Verdict:
        """Whether the candidate is better: only when the interval excludes zero."""
        low, high = (self.lower, self.upper) if higher_is_better else (-self.upper, -self.lower)
        if low > 0.0:
            return "gain"
        return "loss" if high < 0.0 else "no gain"


def paired_difference(
    baseline: Sequence[FoldResult], candidate: Sequence[FoldResult], metric: str = "auc_roc"
) -> Difference:
    """Compare two feature sets on the same folds.

    Parameters
    ----------
    baseline, candidate
        Results of the same folds in the same order.
    metric
        Name of a metric.

    Raises
    ------
    ValueError
        The folds are not the same.

    Notes
    -----
    Folds share their training cells, so that their differences are not independent: the variance is enlarged as
    Nadeau and Bengio (2003) propose, ``s^2 (1/n + n_test/n_train)`` over `n` folds, with Student's t of n - 1 degrees
    of freedom.

    References
    ----------
    Nadeau, C., Bengio, Y. (2003). Inference for the generalization error. Machine Learning 52, 239-281.
    """
    from scipy.special import stdtrit

    for ours, theirs in zip(baseline, candidate, strict=True):
        same_split = (ours.scheme, ours.draw, ours.repeat) == (theirs.scheme, theirs.draw, theirs.repeat)
        if not same_split or not np.array_equal(ours.test, theirs.test):
            raise ValueError("paired differences need the same folds in the same order")
    changes = np.array(
        [theirs.metrics[metric] - ours.metrics[metric] for ours, theirs in zip(baseline, candidate, strict=True)]
    )
    mean = float(changes.mean())
    if changes.size < 2:
        return Difference(metric, mean, math.nan, math.nan, changes.size)
    test_to_train = float(np.mean([len(result.test) / result.train_cells for result in baseline]))
    spread = math.sqrt(float(changes.var(ddof=1)) * (1.0 / changes.size + test_to_train))
    half = float(stdtrit(changes.size - 1, 0.975)) * spread
    return Difference(metric, mean, mean - half, mean + half, changes.size)
