"""Folds: disjoint, of both classes, the same again; nothing of the tested cells reaches a model; honest differences."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from susceptibility.errors import InputError, OptionError
from susceptibility.models import MODELS
from susceptibility.validation import (
    SCHEMES,
    FoldResult,
    Partition,
    Places,
    assign_blocks,
    cross_validate,
    default_block_size,
    paired_difference,
    partition_cells,
    validate_fold,
)

Array = NDArray[Any]


def scattered(cells: int = 400, seed: int = 0, extent_m: float = 10_000.0) -> tuple[Array, Array]:
    """Coordinates and targets; landslides are more frequent in the east."""
    rng = np.random.default_rng(seed)
    coordinates_m = rng.uniform(0.0, extent_m, (cells, 2)) + np.array([300_000.0, 4_000_000.0])
    chance = 0.2 + 0.5 * (coordinates_m[:, 0] - 300_000.0) / extent_m
    return coordinates_m, (rng.uniform(size=cells) < chance).astype(np.uint8)


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(max_examples=15, deadline=None)
@given(folds=st.integers(2, 6), seed=st.integers(0, 1000))
def test_every_fold_tests_both_classes_and_every_cell_once(scheme: str, folds: int, seed: int) -> None:
    coordinates_m, target = scattered(seed=seed)
    partition = partition_cells(scheme, coordinates_m, target, folds=folds, block_size_m=1000.0, seed=seed)
    assert partition.fold.shape == target.shape
    assert set(partition.fold) == set(range(folds)) == set(range(partition.folds))
    for fold in range(folds):
        assert set(target[partition.fold == fold]) == {0, 1}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_partitions_repeat_and_repeats_differ(scheme: str) -> None:
    coordinates_m, target = scattered()
    make = partial(partition_cells, scheme, coordinates_m, target, block_size_m=1000.0, seed=4)
    np.testing.assert_array_equal(make(repeat=1).fold, make(repeat=1).fold)
    assert (make(repeat=0).fold != make(repeat=1).fold).any()
    assert (make(draw=0).fold != make(draw=1).fold).any()


def test_random_folds_hold_each_class_evenly() -> None:
    coordinates_m, target = scattered(403)
    fold = partition_cells("random", coordinates_m, target, folds=5).fold
    assert np.ptp(np.bincount(fold)) <= 1
    assert np.ptp(np.bincount(fold, target)) <= 1


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), size_m=st.floats(300.0, 3000.0))
def test_blocks_are_squares_of_their_size(seed: int, size_m: float) -> None:
    coordinates_m, target = scattered(200, seed)
    block = assign_blocks(Places(coordinates_m, target, size_m), np.random.default_rng(seed))
    for number in np.unique(block):
        assert np.ptp(coordinates_m[block == number], axis=0).max() <= size_m + 1e-6
    # Not more blocks than squares that touch the area: no square is cut in two.
    assert len(np.unique(block)) <= (math.ceil(10_000 / size_m) + 1) ** 2


def test_spatial_block_folds_share_no_block() -> None:
    # On a lattice with blocks of whole cells, folds of neighbours can only differ across a block's edge.
    rows, cols = np.mgrid[0:40, 0:40]
    coordinates_m = np.stack([cols.ravel() * 100.0, rows.ravel() * 100.0], axis=1)
    target = (np.random.default_rng(0).uniform(size=1600) < 0.5).astype(np.uint8)
    fold = partition_cells("spatial-blocks", coordinates_m, target, folds=4, block_size_m=1000.0).fold.reshape(40, 40)
    edges = np.flatnonzero((fold[:, 1:] != fold[:, :-1]).any(axis=0))
    assert len(edges) <= 5
    assert (np.diff(edges) == 10).all()
    nearest_other = 1.0 - (fold[:, 1:] == fold[:, :-1]).mean()
    assert nearest_other < 0.12  # a random split has 0.75


def test_kmeans_folds_are_compact() -> None:
    coordinates_m, target = scattered(600)
    fold = partition_cells("kmeans", coordinates_m, target, folds=5).fold
    centres = np.stack([coordinates_m[fold == number].mean(axis=0) for number in range(5)])
    distance = np.linalg.norm(coordinates_m[:, None] - centres[None], axis=2)
    assert (distance.argmin(axis=1) == fold).mean() > 0.97


def test_folds_of_one_class_are_refused_with_their_counts() -> None:
    coordinates_m, _ = scattered(300)
    target = (coordinates_m[:, 0] > coordinates_m[:, 0].max() - 600.0).astype(np.uint8)  # a strip in the far east
    with pytest.raises(InputError, match=r"\(landslides, others\) = .*\(0, .*Choose fewer folds"):
        partition_cells("kmeans", coordinates_m, target, folds=5)
    few = np.zeros(300, np.uint8)
    few[:3] = 1
    with pytest.raises(InputError, match=r"in each of 5 folds"):
        partition_cells("random", coordinates_m, few, folds=5)


def test_fewer_blocks_than_folds_are_refused() -> None:
    coordinates_m, target = scattered()
    with pytest.raises(OptionError, match=r"block_size_m: required at least 5 blocks"):
        partition_cells("spatial-blocks", coordinates_m, target, folds=5, block_size_m=100_000.0)


def test_an_unknown_scheme_names_those_there_are() -> None:
    with pytest.raises(OptionError, match="random or spatial-blocks or kmeans"):
        partition_cells("spatial", *scattered())


def test_the_default_block_is_a_fifth_of_the_extent() -> None:
    assert default_block_size(np.array([[0.0, 0.0], [5000.0, 800.0]])) == 1000.0


class Recorder:
    """A classifier that keeps what it was given."""

    fitted: Array
    asked: Array

    def __init__(self, seed: int, log: list[Recorder]) -> None:
        self.seed = seed
        log.append(self)

    def fit(self, X: Array, y: Array, /) -> Recorder:
        self.fitted = X.copy()
        return self

    def predict_proba(self, X: Array, /) -> Array:
        self.asked = X.copy()
        return np.column_stack([np.full(len(X), 0.4), np.linspace(0.0, 1.0, len(X))])


def test_an_estimator_is_fitted_on_training_cells_alone() -> None:
    coordinates_m, target = scattered(120)
    features = np.arange(120, dtype=np.float32)[:, None]  # each cell tells which it is
    partition = partition_cells("spatial-blocks", coordinates_m, target, folds=4, block_size_m=1500.0)
    log: list[Recorder] = []
    for fold in range(4):
        result = validate_fold(lambda seed: Recorder(seed, log), features, target, partition, fold)
        trained, tested = set(log[-1].fitted.ravel()), set(log[-1].asked.ravel())
        assert trained.isdisjoint(tested)
        assert trained | tested == set(range(120))
        assert tested == set(np.flatnonzero(partition.fold == fold))
        assert result.train_cells == len(trained)
    assert len(log) == 4  # a new one for each fold


def test_the_scaler_is_fitted_within_the_fold() -> None:
    coordinates_m, target = scattered(200)
    features = np.random.default_rng(1).normal(size=(200, 2)).astype(np.float32)
    partition = partition_cells("random", coordinates_m, target, folds=5)
    features[partition.fold == 0] += 1e6  # a scaler that has seen fold 0 would have this in its mean
    made: list[Any] = []

    def build(seed: int) -> Any:
        definition = MODELS["logistic_regression"]
        made.append(definition.build(definition.options(), seed))
        return made[-1]

    validate_fold(build, features, target, partition, 0)
    scaler = made[0][0]
    np.testing.assert_allclose(scaler.mean_, features[partition.fold != 0].mean(axis=0), atol=1e-5)
    assert (np.abs(scaler.mean_) < 1.0).all()


@pytest.mark.parametrize("model", MODELS)
def test_what_lies_in_the_tested_fold_does_not_change_predictions_elsewhere(model: str) -> None:
    coordinates_m, target = scattered(150)
    rng = np.random.default_rng(2)
    features = rng.normal(size=(150, 3)).astype(np.float32)
    partition = partition_cells("random", coordinates_m, target, folds=3)
    definition = MODELS[model]
    options = definition.options() if model == "logistic_regression" else definition.options(trees=10)
    build = partial(definition.build, options)
    tested = partition.fold == 1
    shuffled_target = target.copy()
    shuffled_target[tested] = rng.permutation(target[tested])
    first = validate_fold(build, features, target, partition, 1)
    second = validate_fold(build, features, shuffled_target, partition, 1)
    np.testing.assert_array_equal(first.probability, second.probability)


def test_cross_validation_does_not_depend_on_the_number_of_workers() -> None:
    coordinates_m, target = scattered(150)
    features = np.random.default_rng(3).normal(size=(150, 3)).astype(np.float32)
    partitions = [partition_cells("random", coordinates_m, target, folds=3, repeat=repeat) for repeat in range(2)]
    definition = MODELS["xgboost"]
    build = partial(definition.build, definition.options(trees=20))
    one, two = (
        cross_validate(build, features, target, partitions, permutations=2, workers=workers) for workers in (1, 2)
    )
    assert len(one) == len(two) == 6
    for first, second in zip(one, two, strict=True):
        assert first.probability.tobytes() == second.probability.tobytes()
        assert first.importance.tobytes() == second.importance.tobytes()
        assert first.metrics == second.metrics


def result_with(value: float, fold: int, repeat: int = 0) -> FoldResult:
    return FoldResult(
        scheme="random",
        draw=0,
        repeat=repeat,
        fold=fold,
        test=np.arange(20) + 20 * fold,
        target=np.zeros(20, np.uint8),
        probability=np.zeros(20),
        metrics={"auc_roc": value, "brier": value},
        train_cells=80,
        importance=np.empty((0, 1)),
    )


def test_the_interval_is_that_of_nadeau_and_bengio() -> None:
    changes = np.array([0.02, 0.05, 0.01, 0.04, 0.03])
    baseline = [result_with(0.7, fold) for fold in range(5)]
    candidate = [result_with(0.7 + change, fold) for fold, change in enumerate(changes)]
    difference = paired_difference(baseline, candidate)
    # By hand: s^2 = 0.00025, 1/5 + 20/80 = 0.45, t(0.975, 4) = 2.776445.
    half = 2.776445105 * math.sqrt(0.00025 * 0.45)
    assert difference.mean == pytest.approx(0.03)
    assert difference.lower == pytest.approx(0.03 - half, abs=1e-9)
    assert difference.upper == pytest.approx(0.03 + half, abs=1e-9)
    assert difference.verdict() == "gain"


def test_verdicts() -> None:
    def verdict(changes: list[float], *, higher_is_better: bool = True) -> str:
        baseline = [result_with(0.5, fold) for fold in range(len(changes))]
        candidate = [result_with(0.5 + change, fold) for fold, change in enumerate(changes)]
        return paired_difference(baseline, candidate).verdict(higher_is_better=higher_is_better)

    assert verdict([0.1, 0.11, 0.1]) == "gain"
    assert verdict([-0.1, -0.11, -0.1]) == "loss"
    assert verdict([-0.1, -0.11, -0.1], higher_is_better=False) == "gain"
    assert verdict([0.1, -0.1, 0.05]) == "no gain"
    assert verdict([0.0, 0.0, 0.0]) == "no gain"
    assert verdict([0.3]) == "no gain"  # one fold tells nothing


def test_differences_of_other_folds_are_refused() -> None:
    with pytest.raises(ValueError, match="same folds"):
        paired_difference([result_with(0.5, 0), result_with(0.5, 1)], [result_with(0.5, 1), result_with(0.5, 0)])
    with pytest.raises(ValueError, match="same folds"):
        paired_difference([result_with(0.5, 0)], [result_with(0.5, 0, repeat=1)])


def test_a_model_that_knows_the_coordinates_shines_at_random_and_fails_in_space() -> None:
    # Landslides lie in patches; the coordinates tell of the patch but of nothing beyond it.
    rng = np.random.default_rng(5)
    coordinates_m = rng.uniform(0.0, 10_000.0, (2500, 2))
    patch = (coordinates_m // 625.0).astype(int)
    patches = rng.uniform(size=(16, 16)) < 0.5
    target = patches[patch[:, 0], patch[:, 1]].astype(np.uint8)
    definition = MODELS["random_forest"]
    build = partial(definition.build, definition.options(trees=40))

    def mean_auc(scheme: str) -> float:
        partitions = [partition_cells(scheme, coordinates_m, target, folds=4, block_size_m=3000.0)]
        results = cross_validate(build, coordinates_m.astype(np.float32), target, partitions, workers=1)
        return float(np.mean([result.metrics["auc_roc"] for result in results]))

    assert mean_auc("random") > 0.9
    assert mean_auc("spatial-blocks") < 0.62  # patches cut by the edge of a block are known in part


def test_partition_counts_its_folds() -> None:
    assert Partition("random", 0, 0, np.array([0, 2, 1, 2])).folds == 3
