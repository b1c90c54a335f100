"""Validation: nothing of the tested rows reaches a model, and every score is told."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
from model_rows import builder_of, scattered
from numpy.typing import NDArray

from susceptibility.curves import SHARES, rate_curve
from susceptibility.errors import InputError
from susceptibility.metrics import DENSITY_METRICS, METRICS, score
from susceptibility.models import MODELS
from susceptibility.models.learner import SusceptibilityModel
from susceptibility.partitions import LEFT_OUT, NEVER_TESTED
from susceptibility.schema import FeatureSchema, Task
from susceptibility.thresholds import choose_threshold, confusion
from susceptibility.validation import (
    Partition,
    ThresholdRows,
    cross_validate,
    partition_cells,
    validate_fold,
)

Array = NDArray[Any]


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
