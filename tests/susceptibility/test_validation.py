"""Folds: disjoint, of both classes, the same again; nothing of the tested rows reaches a model."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_rows import builder_of
from numpy.typing import NDArray

from susceptibility.curves import SHARES, rate_curve
from susceptibility.errors import InputError, OptionError
from susceptibility.metrics import DENSITY_METRICS, METRICS, score
from susceptibility.models import MODELS
from susceptibility.models.learner import SusceptibilityModel
from susceptibility.partitions import LEFT_OUT, NEVER_TESTED
from susceptibility.schema import FeatureSchema, Task
from susceptibility.thresholds import choose_threshold, confusion
from susceptibility.validation import (
    SCHEMES,
    Partition,
    Places,
    ThresholdRows,
    assign_blocks,
    cross_validate,
    default_block_size,
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


DRAWN = [name for name, scheme in SCHEMES.items() if scheme.is_drawn]


@pytest.mark.parametrize("scheme", DRAWN)
@settings(max_examples=15, deadline=None)
@given(folds=st.integers(2, 6), seed=st.integers(0, 1000))
def test_every_fold_tests_both_classes_and_every_cell_once(scheme: str, folds: int, seed: int) -> None:
    coordinates_m, target = scattered(seed=seed)
    partition = partition_cells(scheme, coordinates_m, target, folds=folds, block_size_m=1000.0, seed=seed)
    assert partition.fold.shape == target.shape
    assert set(partition.fold) == set(range(folds)) == set(range(partition.folds))
    for fold in range(folds):
        assert set(target[partition.test_rows(fold)]) == {0, 1}
        assert set(target[partition.train_rows(fold)]) == {0, 1}
        assert not set(partition.test_rows(fold)) & set(partition.train_rows(fold))


@pytest.mark.parametrize("scheme", DRAWN)
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


def test_no_training_row_is_within_the_buffer_of_a_tested_one() -> None:
    coordinates_m, target = scattered(800)
    partition = partition_cells("buffered", coordinates_m, target, folds=4, block_size_m=2500.0, buffer_m=600.0)
    left_out = 0
    for fold in range(4):
        train, test = partition.train_rows(fold), partition.test_rows(fold)
        distance = np.linalg.norm(coordinates_m[train][:, None] - coordinates_m[test][None], axis=2).min(axis=1)
        assert distance.min() >= 600.0
        # Rows farther away than the buffer are all trained on.
        others = np.setdiff1d(np.arange(800), test)
        away = np.linalg.norm(coordinates_m[others][:, None] - coordinates_m[test][None], axis=2).min(axis=1)
        np.testing.assert_array_equal(train, others[away >= 600.0])
        left_out += others.size - train.size
    assert left_out > 0
    share = np.mean([1.0 - partition.train_rows(fold).size / (partition.fold != fold).sum() for fold in range(4)])
    assert partition.notes == (
        f"a dead zone of 600 m leaves out {100.0 * share:.0f} % of the training rows on average",
    )
    with pytest.raises(InputError, match=r"\(\d+, 0\) among the training rows|\(0, \d+\) among the training rows"):
        partition_cells("buffered", coordinates_m, target, folds=4, block_size_m=2500.0, buffer_m=50_000.0)


def test_each_event_is_left_out_in_turn() -> None:
    coordinates_m, target = scattered(400)
    event = np.array(["gorkha", "lombok", "palu", None] * 100, object)
    partition = partition_cells("events", coordinates_m, target, event=event)
    assert partition.names == ("event gorkha", "event lombok", "event palu")
    for fold, name in enumerate(["gorkha", "lombok", "palu"]):
        assert set(event[partition.test_rows(fold)]) == {name}
        assert set(event[partition.train_rows(fold)]) == {"gorkha", "lombok", "palu"} - {name}
    assert partition.notes == ("100 of 400 rows belong to no known event and take no part",)
    target[event == "palu"] = 0
    with pytest.raises(InputError, match=r"\(0, 100\) among the tested rows of event palu.*Leave the event out"):
        partition_cells("events", coordinates_m, target, event=event)
    with pytest.raises(OptionError, match="the event that each row belongs to"):
        partition_cells("events", coordinates_m, target)
    with pytest.raises(InputError, match="at least two events"):
        partition_cells("events", coordinates_m, target, event=np.full(400, 7))


def test_each_area_is_left_out_in_turn_and_what_lies_outside_is_trained_on() -> None:
    coordinates_m, target = scattered(400)
    area = np.tile([0, 4, 9, 9], 100)
    partition = partition_cells("areas", coordinates_m, target, area=area)
    assert partition.names == ("area 4", "area 9")
    assert set(area[partition.test_rows(0)]) == {4}
    assert set(area[partition.train_rows(0)]) == {0, 9}
    assert set(area[partition.train_rows(1)]) == {0, 4}
    assert partition.notes == ("100 of 400 rows lie outside all areas: they are trained on and never tested",)
    with pytest.raises(InputError, match="at least two areas"):
        partition_cells("areas", coordinates_m, target, area=np.ones(400))
    single = partition_cells("areas", coordinates_m, target, area=np.tile([0, 1], 200))  # one against the rest
    assert single.folds == 1


@pytest.mark.parametrize(
    ("direction", "axis", "sign"), [("south", 1, -1), ("north", 1, 1), ("east", 0, 1), ("west", 0, -1)]
)
def test_one_side_is_held_out(direction: str, axis: int, sign: int) -> None:
    coordinates_m, target = scattered(500)
    partition = partition_cells("north-south", coordinates_m, target, direction=direction, share=0.2)
    assert partition.folds == 1
    train, test = partition.train_rows(0), partition.test_rows(0)
    assert (test.size, train.size) == (100, 400)
    toward = sign * coordinates_m[:, axis]
    assert toward[test].min() > toward[train].max()


def test_sides_that_cannot_be() -> None:
    coordinates_m, target = scattered(300)
    target[coordinates_m[:, 1] < np.quantile(coordinates_m[:, 1], 0.3)] = 0
    with pytest.raises(InputError, match=r"\(0, 60\) among the tested rows of the south.*another direction"):
        partition_cells("north-south", coordinates_m, target)
    with pytest.raises(OptionError, match="north or south or east or west"):
        partition_cells("north-south", coordinates_m, target, direction="up")
    with pytest.raises(OptionError, match="share"):
        partition_cells("north-south", coordinates_m, target, share=1.0)


def test_folds_of_a_density_are_balanced_in_rows_above_the_bound() -> None:
    coordinates_m, target = scattered(500)
    density = np.where(target, 0.02 + 0.3 * np.random.default_rng(0).uniform(size=500), 0.005)
    make = partial(partition_cells, task=Task.REGRESSION, positive_above=0.01)
    fold = make("random", coordinates_m, density).fold
    assert np.ptp(np.bincount(fold, density > 0.01)) <= 1
    # Folds without any row above the bound are told of; folds of one density cannot be scored at all.
    density[density > 0.01] = 0.009
    partition = make("random", coordinates_m, density)
    assert "scores of landslide or none are unknown" in partition.notes[0]
    with pytest.raises(InputError, match=r"rows of different density.*all of one density|of one density"):
        make("random", coordinates_m, np.zeros(500))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_places_are_the_same_squares_in_every_draw(seed: int) -> None:
    rng = np.random.default_rng(seed)
    landslides = rng.uniform(0.0, 10_000.0, (60, 2))
    seen: dict[bytes, int] = {}
    sizes = set()
    for draw in range(3):
        others = rng.uniform(-2000.0, 12_000.0, (60, 2))
        coordinates_m = np.concatenate([landslides, others])
        target = np.repeat([1, 0], 60)
        partition = partition_cells("random", coordinates_m, target, block_size_m=400.0, draw=draw)
        assert partition.place is not None
        sizes.add(partition.place_size_m)
        for row, place in zip(landslides, partition.place[:60], strict=True):
            assert seen.setdefault(row.tobytes(), int(place)) == place
        for place in np.unique(partition.place):
            assert np.ptp(coordinates_m[partition.place == place], axis=0).max() <= partition.place_size_m
    assert len(sizes) == 1
    assert len(set(seen.values())) <= 40


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
    with pytest.raises(OptionError, match="random or spatial-blocks or kmeans or buffered"):
        partition_cells("spatial", *scattered())


def test_the_default_block_is_a_fifth_of_the_extent() -> None:
    assert default_block_size(np.array([[0.0, 0.0], [5000.0, 800.0]])) == 1000.0


class Recorder:
    """A classifier that keeps what it was given."""

    fitted: Array
    asked: list[Array]

    def __init__(self, seed: int, log: list[Recorder]) -> None:
        self.seed = seed
        self.asked = []
        log.append(self)

    def fit(self, X: Array, y: Array, /) -> Recorder:
        self.fitted = X.copy()
        return self

    def predict_proba(self, X: Array, /) -> Array:
        self.asked.append(X.copy())
        return np.column_stack([np.full(len(X), 0.4), np.linspace(0.0, 1.0, len(X))])


def test_an_estimator_is_fitted_on_training_cells_alone() -> None:
    coordinates_m, target = scattered(120)
    features = np.arange(120, dtype=np.float32)[:, None]  # each cell tells which it is
    partition = partition_cells("spatial-blocks", coordinates_m, target, folds=4, block_size_m=1500.0)
    log: list[Recorder] = []
    for fold in range(4):
        result = validate_fold(lambda seed: Recorder(seed, log), features, target, partition, fold)
        trained, tested = set(log[-1].fitted.ravel()), set(log[-1].asked[0].ravel())
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
        made.append(builder_of("logistic_regression", 2)(seed))
        return made[-1]

    validate_fold(build, features, target, partition, 0)
    mean = made[0].preprocessor_.centre_
    np.testing.assert_allclose(mean, features[partition.fold != 0].mean(axis=0), atol=1e-5)
    assert (np.abs(mean) < 1.0).all()


@pytest.mark.parametrize("model", ["logistic_regression", "random_forest", "xgboost"])
def test_what_lies_in_the_tested_fold_does_not_change_predictions_elsewhere(model: str) -> None:
    coordinates_m, target = scattered(150)
    rng = np.random.default_rng(2)
    features = rng.normal(size=(150, 3)).astype(np.float32)
    partition = partition_cells("random", coordinates_m, target, folds=3)
    build = builder_of(model, 3, **({} if model == "logistic_regression" else {"trees": 10}))
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
    build = builder_of("xgboost", 3, trees=20)
    one, two = (
        cross_validate(build, features, target, partitions, permutations=2, workers=workers) for workers in (1, 2)
    )
    assert len(one) == len(two) == 6
    for first, second in zip(one, two, strict=True):
        assert first.probability.tobytes() == second.probability.tobytes()
        assert first.importance.tobytes() == second.importance.tobytes()
        assert first.metrics == second.metrics


def test_a_model_that_knows_the_coordinates_shines_at_random_and_fails_in_space() -> None:
    # Landslides lie in patches; the coordinates tell of the patch but of nothing beyond it.
    rng = np.random.default_rng(5)
    coordinates_m = rng.uniform(0.0, 10_000.0, (2500, 2))
    patch = (coordinates_m // 625.0).astype(int)
    patches = rng.uniform(size=(16, 16)) < 0.5
    target = patches[patch[:, 0], patch[:, 1]].astype(np.uint8)
    build = builder_of("random_forest", 2, trees=40)

    def mean_auc(scheme: str) -> float:
        partitions = [partition_cells(scheme, coordinates_m, target, folds=4, block_size_m=3000.0)]
        results = cross_validate(build, coordinates_m.astype(np.float32), target, partitions, workers=1)
        return float(np.mean([result.metrics["auc_roc"] for result in results]))

    assert mean_auc("random") > 0.9
    assert mean_auc("spatial-blocks") < 0.62  # patches cut by the edge of a block are known in part


def test_partition_counts_its_folds() -> None:
    partition = Partition("random", 0, 0, np.array([0, 2, 1, 2, NEVER_TESTED, LEFT_OUT]))
    assert partition.folds == 3
    assert partition.test_rows(2).tolist() == [1, 3]
    assert partition.train_rows(2).tolist() == [0, 2, 4]
    assert partition.name_of(2) == "fold 3"


class Linear:
    """A learner whose prediction is the mean of the features, and that keeps what it was given."""

    def __init__(self, seed: int, log: list[Linear] | None = None) -> None:
        self.seed = seed
        if log is not None:
            log.append(self)

    def fit(self, X: Array, y: Array, *, sample_weight: Array | None = None, groups: Array | None = None) -> Linear:
        self.rows, self.weight, self.groups = X[:, 0].copy(), sample_weight, groups
        return self

    def predict(self, X: Array) -> Array:
        return np.asarray(X, np.float64).mean(axis=1)


def learned_rows(rows: int = 300, seed: int = 0) -> tuple[Array, Array, Array]:
    """Places, one feature from 0 to 1, and targets that it tells something of."""
    coordinates_m, _ = scattered(rows, seed)
    rng = np.random.default_rng(seed)
    feature = rng.uniform(size=(rows, 1)).astype(np.float32)
    return coordinates_m, feature, (rng.uniform(size=rows) < feature[:, 0]).astype(np.uint8)


def test_a_learner_is_given_weights_and_blocks_of_its_training_rows() -> None:
    coordinates_m, features, target = learned_rows()
    partition = partition_cells("spatial-blocks", coordinates_m, target, block_size_m=1500.0)
    weight = np.random.default_rng(1).uniform(1.0, 2.0, 300)
    log: list[Linear] = []
    validate_fold(partial(Linear, log=log), features, target, partition, 2, sample_weight=weight)
    train = partition.train_rows(2)
    np.testing.assert_array_equal(log[0].rows, features[train, 0])
    np.testing.assert_array_equal(log[0].weight, weight[train])
    assert partition.groups is not None
    np.testing.assert_array_equal(log[0].groups, partition.groups[train])
    random = partition_cells("random", coordinates_m, target)
    validate_fold(partial(Linear, log=log), features, target, random, 0)
    assert log[-1].groups is None
    assert log[-1].weight is None


def test_a_registered_model_is_validated() -> None:
    coordinates_m, features, target = learned_rows()
    definition = MODELS["logistic_regression"]
    schema = (FeatureSchema("slope"),)

    def build(seed: int) -> SusceptibilityModel:
        return SusceptibilityModel(definition, definition.options(), schema, seed=seed)

    partition = partition_cells("spatial-blocks", coordinates_m, target, block_size_m=1500.0)
    result = validate_fold(build, features, target, partition, 1, permutations=2, groups={"terrain": (0,)})
    by_hand = build(0).fit(features[partition.train_rows(1)], target[partition.train_rows(1)])
    np.testing.assert_allclose(result.probability, by_hand.predict(features[partition.test_rows(1)]), atol=1e-9)
    assert result.importance.shape == result.group_importance.shape == (2, 1)
    assert result.importance.mean() > 0.1
    assert list(result.metrics) == list(METRICS)


@pytest.mark.parametrize("rows", ThresholdRows)
def test_the_threshold_is_chosen_without_the_tested_rows(rows: ThresholdRows) -> None:
    coordinates_m, features, target = learned_rows()
    partition = partition_cells("random", coordinates_m, target)
    result = validate_fold(Linear, features, target, partition, 0, threshold_rows=rows)
    train, test = partition.train_rows(0), partition.test_rows(0)
    expected = choose_threshold(target[train], features[train, 0].astype(np.float64))
    assert result.metrics["threshold"] == expected
    fixed, chosen = result.confusions
    assert fixed == confusion(target[test], features[test, 0], 0.5)
    assert chosen == confusion(target[test], features[test, 0], expected)
    assert result.metrics["csi"] == fixed.csi
    assert result.metrics["csi_chosen"] == chosen.csi
    changed = target.copy()
    changed[test] = 1 - changed[test]
    other = validate_fold(Linear, features, changed, partition, 0, threshold_rows=rows)
    assert other.metrics["threshold"] == expected


def test_thresholds_of_a_model_that_remembers_its_rows_need_inner_folds() -> None:
    # Neighbours alone: each training row knows its own label, and any threshold between 0 and 1 parts them.
    coordinates_m, features, target = learned_rows(600)
    target = (np.random.default_rng(5).uniform(size=600) < 0.3 * features[:, 0]).astype(np.uint8)
    partition = partition_cells("random", coordinates_m, target)
    build = builder_of("random_forest", features.shape[1], trees=40)
    values = {
        rows: np.mean([
            validate_fold(build, features, target, partition, fold, threshold_rows=rows).metrics["sensitivity_chosen"]
            for fold in range(3)
        ])
        for rows in ThresholdRows
    }  # fmt: skip
    assert values[ThresholdRows.INNER] > values[ThresholdRows.TRAINING] + 0.1


def test_a_density_is_validated_with_its_own_metrics() -> None:
    coordinates_m, features, _ = learned_rows()
    density = np.clip(features[:, 0] + np.random.default_rng(3).normal(0.0, 0.1, 300), 0.0, 1.0).astype(np.float64)
    partition = partition_cells("random", coordinates_m, density, task=Task.REGRESSION, positive_above=0.1)
    result = validate_fold(Linear, features, density, partition, 0, permutations=1, positive_above=0.1)
    assert list(result.metrics) == list(DENSITY_METRICS)
    assert result.metrics["r2"] > 0.8
    assert result.importance[0, 0] > 0.5  # of r2
    of_auc = validate_fold(
        Linear, features, density, partition, 0, permutations=40, positive_above=0.1, scorer="auc_roc"
    )
    assert of_auc.importance.shape == (40, 1)
    assert of_auc.importance.mean() == pytest.approx(of_auc.metrics["auc_roc"] - 0.5, abs=0.1)
    nowhere = validate_fold(
        Linear, features, density, partition, 0, permutations=3, positive_above=2.0, scorer="auc_roc"
    )
    assert nowhere.importance.shape == (0, 1)
    assert math.isnan(nowhere.metrics["auc_roc"])
    assert math.isnan(nowhere.confusions[1].threshold)


def test_rate_curves_of_training_and_tested_rows() -> None:
    coordinates_m, features, target = learned_rows()
    partition = partition_cells("random", coordinates_m, target)
    area = np.random.default_rng(7).uniform(1.0, 5.0, 300)
    result = validate_fold(Linear, features, target, partition, 3, area=area)
    for curve, rows in (
        (result.success_rate, partition.train_rows(3)),
        (result.prediction_rate, partition.test_rows(3)),
    ):
        whole = rate_curve(target[rows], features[rows, 0], area[rows])
        np.testing.assert_allclose(curve, whole.captured(SHARES))
    assert result.metrics["rate_area"] == pytest.approx(whole.area_under)
    density = target * np.random.default_rng(8).uniform(size=300)
    result = validate_fold(Linear, features, density, partition, 3, area=area, task=Task.REGRESSION)
    whole = rate_curve(density[rows] * area[rows], features[rows, 0], area[rows])
    assert result.metrics["rate_area"] == pytest.approx(whole.area_under)


def test_scores_without_each_place() -> None:
    coordinates_m, features, target = learned_rows()
    partition = partition_cells("spatial-blocks", coordinates_m, target, block_size_m=2500.0)
    result = validate_fold(Linear, features, target, partition, 0)
    assert partition.place is not None
    places = partition.place[result.test]
    assert result.places.tolist() == sorted(set(places.tolist()))
    for place, values in zip(result.places, result.without, strict=True):
        kept = result.test[places != place]
        expected = score(target[kept], features[kept, 0], threshold=result.metrics["threshold"])
        np.testing.assert_allclose(values, list(expected.values()))


def test_rows_that_a_model_has_no_value_for_are_refused() -> None:
    coordinates_m, features, target = learned_rows()
    partition = partition_cells("random", coordinates_m, target)
    features[partition.test_rows(1)[:3]] = np.nan
    with pytest.raises(InputError, match=r"validation by random, fold 2: .*none for 3 of 60"):
        validate_fold(Linear, features, target, partition, 1)


def test_weights_reach_a_classifier_of_scikit_learn() -> None:
    coordinates_m, features, target = learned_rows()
    partition = partition_cells("random", coordinates_m, target)
    weight = np.where(target == 1, 1.0, 9.0)

    def build(seed: int) -> Any:
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(random_state=seed)

    plain, weighted = (
        validate_fold(build, features, target, partition, 0, sample_weight=each) for each in (None, weight)
    )
    assert weighted.probability.mean() < plain.probability.mean() - 0.2
    scored = validate_fold(build, features, target, partition, 0, score_weight=weight)
    assert scored.metrics["prevalence"] == pytest.approx(target[scored.test].sum() / weight[scored.test].sum())
