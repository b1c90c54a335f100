"""Validation on rows that a model was not trained on, chosen at random and apart in space.

How rows are split is told in `susceptibility.schemes` and `susceptibility.partitions`, how feature sets are compared on
the same folds in `susceptibility.comparison`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from susceptibility.comparison import Difference, Verdict, paired_difference
from susceptibility.curves import SHARES
from susceptibility.errors import InputError
from susceptibility.metrics import fixed_threshold, rate_of, score
from susceptibility.models.folds import inner_folds
from susceptibility.partitions import Partition, default_block_size, partition_cells, partition_rows
from susceptibility.schema import Task
from susceptibility.schemes import RANDOM, SCHEMES, Places, assign_blocks
from susceptibility.thresholds import Confusion, ThresholdRule, choose_threshold, confusion
from susceptibility.workers import run_in_processes

__all__ = [
    "RANDOM",
    "SCHEMES",
    "Difference",
    "FoldResult",
    "Learner",
    "Partition",
    "Places",
    "ThresholdRows",
    "Verdict",
    "assign_blocks",
    "cross_validate",
    "default_block_size",
    "fit_rows",
    "paired_difference",
    "partition_cells",
    "partition_rows",
    "predicted_values",
    "task_of",
    "validate_fold",
]

_INNER_FOLDS = 3
_OF_CLASSES = ("auc_roc", "auc_pr")  # scores that take landslide or none, of a density that above the bound
_FEWEST_GROUPS = 10  # two for each of five folds


class Learner(Protocol):
    """A model that learns from rows and gives one value for each."""

    def fit(
        self,
        X: NDArray[np.float32],
        y: NDArray[Any],
        *,
        sample_weight: NDArray[np.float64] | None = None,
        groups: NDArray[Any] | None = None,
    ) -> Any:
        """Learn from (row, feature) and (row,); rows of one group stay together in any split within."""
        ...

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        """Probability of a landslide, or density, (row,)."""
        ...


class ThresholdRows(StrEnum):
    """On which rows the threshold of a fold is chosen; never on those that are tested.

    `TRAINING` takes the model's predictions of its own training rows, which cost nothing; a model that fits them
    closely is too sure of them. `INNER` takes predictions by models fitted without the row, of folds within the
    training rows, for three further fits.
    """

    TRAINING = "training"
    INNER = "inner"


@dataclass(frozen=True, slots=True)
class FoldResult:
    """A model fitted without one fold and tried on it; arrays and plain values alone, so that it can be kept.

    Attributes
    ----------
    scheme, draw, repeat, fold
        Which split, and which fold of it.
    test
        (tested row,) position in the sample.
    target, probability
        (tested row,) what is there, and what is predicted for them: a probability, or a density.
    metrics
        Value by name, see `susceptibility.metrics`.
    train_cells
        Number of rows it was fitted on.
    importance
        (permutation, feature) drop of a score when the feature's values are shuffled among the tested rows; empty
        where not asked for.
    group_importance
        (permutation, group) the same of groups of features shuffled together.
    confusion
        (2, 5) threshold, true and false positives, false and true negatives: at the fixed threshold, and at the one
        chosen without the tested rows, NaN where the training rows cannot tell; see `confusions`.
    success_rate, prediction_rate
        (101,) share of the landslides captured in the most susceptible 0, 1, ..., 100 % of the area, of the training
        rows and of the tested ones.
    places, without
        (place,) number of each place with tested rows, as in `Partition.place`; (place, metric) the metrics without it.
    place_size_m
        Side of the places.
    name
        Of the fold, for tables.
    """

    scheme: str
    draw: int
    repeat: int
    fold: int
    test: NDArray[np.intp]
    target: NDArray[Any]
    probability: NDArray[np.float64]
    metrics: dict[str, float]
    train_cells: int
    importance: NDArray[np.float64]
    group_importance: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)))
    confusion: NDArray[np.float64] = field(default_factory=lambda: np.full((2, 5), np.nan))
    success_rate: NDArray[np.float64] = field(default_factory=lambda: np.full(SHARES.size, np.nan), repr=False)
    prediction_rate: NDArray[np.float64] = field(default_factory=lambda: np.full(SHARES.size, np.nan), repr=False)
    places: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64), repr=False)
    without: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)), repr=False)
    place_size_m: float = 0.0
    name: str = ""

    @property
    def confusions(self) -> tuple[Confusion, Confusion]:
        """Calls at the fixed threshold and at the chosen one."""
        fixed, chosen = self.confusion.tolist()
        return Confusion(*fixed), Confusion(*chosen)


def validate_fold(
    build: Callable[[int], object],
    features: NDArray[np.float32],
    target: NDArray[Any],
    partition: Partition,
    fold: int,
    *,
    seed: int = 0,
    permutations: int = 0,
    scorer: str | None = None,
    groups: Mapping[str, Sequence[int]] | None = None,
    task: Task | None = None,
    positive_above: float = 0.0,
    rule: ThresholdRule = ThresholdRule.YOUDEN,
    threshold_rows: ThresholdRows = ThresholdRows.TRAINING,
    sample_weight: NDArray[np.float64] | None = None,
    score_weight: NDArray[np.float64] | None = None,
    area: NDArray[np.floating] | None = None,
) -> FoldResult:
    """Fit a new model without one fold, and score it on that one.

    Parameters
    ----------
    build
        Makes an unfitted `Learner` or scikit-learn classifier from a seed. It is given the training rows and nothing
        else.
    features, target
        (row, feature) and (row,) of the whole sample.
    partition, fold
        What to leave out.
    seed
        Of the model and of the permutations, together with the numbers of draw, repeat and fold.
    permutations
        How often to shuffle each feature for its importance.
    scorer
        Score whose drop is the importance; None for AUC-ROC, of a density r2. Scores of classes are of density above
        the bound, and there is no importance from a fold that has one class alone.
    groups
        Columns of features that are shuffled together, by name.
    task
        Of what the target is; None for a density where it holds floating-point numbers.
    positive_above
        There is a landslide where the target is larger.
    rule, threshold_rows
        What the chosen threshold makes largest, and on which rows.
    sample_weight, score_weight
        (row,) how much each row counts in fitting, and in scores; None if all count the same.
    area
        (row,) ground that each stands for, for rate curves; None if all are alike.

    Raises
    ------
    InputError
        The model gives no value for a tested row.
    """
    from susceptibility.explain import permutation_importance

    kind = task_of(target) if task is None else task
    train, test = partition.train_rows(fold), partition.test_rows(fold)
    own_seed = [seed, partition.draw, partition.repeat, fold]
    model_seed = int(np.random.default_rng(own_seed).integers(2**31))
    model = build(model_seed)
    fit_rows(model, features, target, train, partition, sample_weight)
    predicted = predicted_values(model, features[test])
    _require_known(predicted, partition, fold)
    of_training = predicted_values(model, features[train])
    is_landslide = np.asarray(target) > positive_above
    judged = of_training
    if threshold_rows is ThresholdRows.INNER:
        judged = _predict_within(build, features, target, is_landslide, partition, train, model_seed, sample_weight)
    threshold = _chosen_threshold(is_landslide[train], judged, rule, _of(score_weight, train))
    weight, size = _of(score_weight, test), _of(area, test)
    grade = partial(score, task=kind, positive_above=positive_above, threshold=threshold)
    metrics = grade(target[test], predicted, weight=weight, area=size)
    places, without = _without_places(partition, test, list(metrics), target, predicted, grade, weight, size)
    measure = scorer or ("auc_roc" if kind is Task.CLASSIFICATION else "r2")
    of_classes = kind is Task.REGRESSION and measure in _OF_CLASSES
    # Without both classes there is no score that could drop.
    is_defined = not of_classes or 0 < int(is_landslide[test].sum()) < test.size
    shuffled = partial(
        permutation_importance,
        cast(Any, model),
        features[test],
        is_landslide[test] if of_classes else target[test],
        permutations if is_defined else 0,
        seed=own_seed,
        scorer=measure,
    )
    calls = [
        confusion(is_landslide[test], predicted, value, weight).as_tuple()
        for value in (fixed_threshold(kind, positive_above), threshold)
        if value is not None
    ]
    return FoldResult(
        scheme=partition.scheme,
        draw=partition.draw,
        repeat=partition.repeat,
        fold=fold,
        test=test,
        target=target[test],
        probability=predicted,
        metrics=metrics,
        train_cells=len(train),
        importance=shuffled(),
        group_importance=shuffled(groups=list(groups.values())) if groups else np.empty((0, 0)),
        confusion=np.array([*calls, *[(np.nan,) * 5] * (2 - len(calls))]),
        success_rate=_captured(target, of_training, train, kind, positive_above, score_weight, area),
        prediction_rate=_captured(target, predicted, test, kind, positive_above, score_weight, area),
        places=places,
        without=without,
        place_size_m=partition.place_size_m,
        name=partition.name_of(fold),
    )


def task_of(target: NDArray[Any]) -> Task:
    """What a target is of: whole numbers of classes, floating-point numbers of a density."""
    return Task.REGRESSION if np.asarray(target).dtype.kind == "f" else Task.CLASSIFICATION


def fit_rows(
    model: object,
    features: NDArray[np.float32],
    target: NDArray[Any],
    rows: NDArray[np.intp],
    partition: Partition | None = None,
    sample_weight: NDArray[np.float64] | None = None,
) -> None:
    """Fit a `Learner` or a scikit-learn classifier on some rows; a partition tells which of them belong together."""
    if hasattr(model, "predict_proba"):
        weight = _of(sample_weight, rows)
        options = {} if weight is None else {_weight_name(model): weight}
        cast(Any, model).fit(features[rows], target[rows], **options)
        return
    groups = None if partition is None else _groups(partition, rows)
    cast(Learner, model).fit(features[rows], target[rows], sample_weight=_of(sample_weight, rows), groups=groups)


def predicted_values(model: object, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probability of a landslide, or density, in each row, (row,), from its (row, feature) features.

    A scikit-learn classifier, whose `predict` gives classes, is asked for its probabilities.
    """
    if hasattr(model, "predict_proba"):
        return np.asarray(cast(Any, model).predict_proba(features)[:, 1], np.float64)
    return np.asarray(cast(Learner, model).predict(features), np.float64)


def cross_validate(
    build: Callable[[int], object],
    features: NDArray[np.float32],
    target: NDArray[Any],
    partitions: Sequence[Partition],
    *,
    workers: int | None = None,
    **options: Any,
) -> list[FoldResult]:
    """Every fold of every partition of one sample; see `validate_fold` for the parameters."""
    return run_in_processes(
        [
            partial(validate_fold, build, features, target, partition, fold, **options)
            for partition in partitions
            for fold in range(partition.folds)
        ],
        workers=workers,
    )


def _predict_within(
    build: Callable[[int], object],
    features: NDArray[np.float32],
    target: NDArray[Any],
    is_landslide: NDArray[np.bool_],
    partition: Partition,
    train: NDArray[np.intp],
    seed: int,
    sample_weight: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    """Predictions of the training rows by models fitted without them, on folds that keep groups together."""
    labels = is_landslide[train].astype(np.uint8)
    groups = _groups(partition, train)
    inner = inner_folds(labels, _INNER_FOLDS, task=Task.CLASSIFICATION, seed=seed, groups=groups)
    judged = np.empty(train.size)
    for number in range(_INNER_FOLDS):
        model = build(int(np.random.default_rng([seed, number]).integers(2**31)))
        fit_rows(model, features, target, train[inner != number], partition, sample_weight)
        judged[inner == number] = predicted_values(model, features[train[inner == number]])
    return judged


def _chosen_threshold(
    is_landslide: NDArray[np.bool_],
    judged: NDArray[np.float64],
    rule: ThresholdRule,
    weight: NDArray[np.float64] | None,
) -> float | None:
    """Threshold chosen on training rows; None where they are of one class."""
    known = np.isfinite(judged)
    if not 0 < int(is_landslide[known].sum()) < int(known.sum()):
        return None
    return choose_threshold(is_landslide[known], judged[known], rule, _of(weight, known))


def _without_places(
    partition: Partition,
    test: NDArray[np.intp],
    names: list[str],
    target: NDArray[Any],
    predicted: NDArray[np.float64],
    grade: Callable[..., dict[str, float]],
    weight: NDArray[np.float64] | None,
    area: NDArray[np.floating] | None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Places with tested rows, and all metrics without each of them; NaN where nothing is left to score."""
    if partition.place is None:
        return np.empty(0, np.int64), np.empty((0, len(names)))
    places, place = np.unique(partition.place[test], return_inverse=True)
    without = np.full((places.size, len(names)), np.nan)
    for number in range(places.size):
        kept = place != number
        if kept.any():
            values = grade(target[test][kept], predicted[kept], weight=_of(weight, kept), area=_of(area, kept))
            without[number] = [values[name] for name in names]
    return places, without


def _captured(
    target: NDArray[Any],
    predicted: NDArray[np.float64],
    rows: NDArray[np.intp],
    task: Task,
    positive_above: float,
    weight: NDArray[np.float64] | None,
    area: NDArray[np.floating] | None,
) -> NDArray[np.float64]:
    """Share of landslides captured in each of `SHARES` of the area of some rows."""
    own = np.ones(rows.size) if weight is None else weight[rows]
    return rate_of(target[rows], predicted, task, positive_above, own, _of(area, rows)).captured(SHARES)


def _require_known(predicted: NDArray[np.float64], partition: Partition, fold: int) -> None:
    unknown = int(np.count_nonzero(~np.isfinite(predicted)))
    if unknown:
        raise InputError(
            f"validation by {SCHEMES[partition.scheme].title}, {partition.name_of(fold)}",
            required="a prediction for every tested row",
            found=f"none for {unknown} of {predicted.size}, where some feature is unknown",
            remedy="Leave such rows out of the sample, or impute",
        )


def _groups(partition: Partition, rows: NDArray[np.intp]) -> NDArray[np.intp] | None:
    """Groups that a split within some rows keeps together; None where they are too few to split."""
    groups = _of(partition.groups, rows)
    return None if groups is None or np.unique(groups).size < _FEWEST_GROUPS else groups


def _weight_name(model: object) -> str:
    """How a scikit-learn classifier, or the last step of a pipeline, is given weights."""
    steps = getattr(model, "steps", None)
    return f"{steps[-1][0]}__sample_weight" if steps else "sample_weight"


def _of(values: NDArray[Any] | None, rows: NDArray[np.intp]) -> NDArray[Any] | None:
    return None if values is None else values[rows]
