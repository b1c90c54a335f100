"""Permutation importance, dependence curves and ablation against closed forms and scikit-learn."""

from __future__ import annotations

import math
import tracemalloc
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, mean_absolute_error, r2_score, roc_auc_score

from susceptibility.errors import InputError, OptionError
from susceptibility.explain import (
    SCORERS,
    Curve,
    ablation_sets,
    accumulated_effects,
    choose_points,
    feature_groups,
    partial_dependence,
    permutation_importance,
    predictor_of,
    summarize_ablation,
    summarize_curves,
    summarize_repeats,
)
from susceptibility.schema import FeatureSchema

SCHEMA = (
    FeatureSchema("slope", "deg", "topography"),
    FeatureSchema("rate", "m/yr", "insar"),
    FeatureSchema("relief", "m", "topography"),
)


def normal(rows: int = 2000, columns: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)


# Permutation importance


def test_drop_of_r2_of_a_linear_model_is_the_closed_form() -> None:
    """Shuffling x_j in y = sum b_j x_j adds 2 b_j^2 var(x_j) to the squared error: the drop of r2 is that / var(y)."""
    X = normal(40_000)
    slopes = np.array([2.0, 1.0, 0.0])
    y = X @ slopes
    drops = permutation_importance(lambda rows: rows @ slopes, X, y, 4, scorer="r2", seed=1)
    np.testing.assert_allclose(drops.mean(axis=0), 2.0 * slopes**2 / 5.0, atol=0.02)
    np.testing.assert_array_equal(drops[:, 2], 0.0)  # what the model does not use loses nothing at all


def test_a_feature_of_pure_noise_has_an_importance_within_noise_of_zero() -> None:
    """The model uses the noise, as fitted models do; over repeats its drop scatters about nought."""
    from sklearn.ensemble import RandomForestClassifier

    rng = np.random.default_rng(0)
    train, unseen = normal(500), normal(1500, seed=1)
    outcome = [(X[:, 0] + 0.5 * rng.normal(size=len(X)) > 0).astype(np.uint8) for X in (train, unseen)]
    forest = RandomForestClassifier(40, min_samples_leaf=3, random_state=0).fit(train, outcome[0])
    drops = permutation_importance(forest, unseen, outcome[1], 20, seed=2)
    assert drops[:, 0].min() > 0.3
    for noise in (1, 2):
        spread = drops[:, noise].std(ddof=1)
        assert 0.0 < spread < 0.01
        assert abs(drops[:, noise].mean()) < 3.0 * spread


def test_features_that_tell_the_same_matter_little_alone_and_much_together() -> None:
    X = normal(3000, 1)
    twins = np.column_stack([X[:, 0], X[:, 0], normal(3000, 1, seed=5)[:, 0]])
    y = (twins[:, 0] > 0).astype(np.uint8)

    def average(rows: np.ndarray) -> np.ndarray:
        return np.asarray(rows[:, 0] + rows[:, 1], np.float64)

    alone = permutation_importance(average, twins, y, 3, seed=0)
    together = permutation_importance(average, twins, y, 3, seed=0, groups=[(0, 1), (2,)])
    assert together.shape == (3, 2)
    np.testing.assert_allclose(together[:, 0], 0.5, atol=0.04)  # from certainty to chance
    assert alone[:, :2].max() < 0.3
    np.testing.assert_array_equal(together[:, 1], 0.0)


def test_a_group_keeps_its_values_side_by_side() -> None:
    """A model of the difference of two equal columns always says 0, however they are shuffled together."""
    X = np.repeat(normal(100, 1), 2, axis=1)
    y = np.arange(100) % 2
    predictions = permutation_importance(lambda rows: rows[:, 0] - rows[:, 1], X, y, 3, scorer="brier", groups=[(0, 1)])
    np.testing.assert_array_equal(predictions, 0.0)


@pytest.mark.parametrize("rows", [50, 300])
def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    X = normal(rows)
    y = (X[:, 0] > 0).astype(np.uint8)
    groups = [(0,), (1,), (2,), (0, 2)]

    def model(rows: np.ndarray) -> np.ndarray:
        return rows[:, 0] + 0.3 * rows[:, 2].astype(np.float64)

    whole = permutation_importance(model, X, y, 3, groups=groups)
    for size in (7, 101, 256):
        monkeypatch.setattr("susceptibility.explain.permutation._ROWS_AT_ONCE", size)
        np.testing.assert_array_equal(whole, permutation_importance(model, X, y, 3, groups=groups))


def test_memory_does_not_grow_with_the_number_of_features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("susceptibility.explain.permutation._ROWS_AT_ONCE", 2000)
    X = normal(20_000, 60)
    y = (X[:, 0] > 0).astype(np.uint8)
    tracemalloc.start()
    permutation_importance(lambda rows: rows[:, 0], X, y, 1, scorer="brier")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < X.nbytes  # all 60 copies would be 60 times that


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("auc_roc", roc_auc_score),
        ("auc_pr", average_precision_score),
        ("brier", lambda y, p: -brier_score_loss(y, p)),
        ("r2", r2_score),
        ("mse", lambda y, p: -np.mean((y - p) ** 2)),
        ("mae", lambda y, p: -mean_absolute_error(y, p)),
    ],
)
def test_scores_are_those_of_scikit_learn_and_higher_is_better(name: str, reference: Any) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200).astype(np.uint8)
    p = np.clip(0.5 * y + 0.5 * rng.uniform(size=200), 0.0, 1.0)
    assert SCORERS[name](y, p) == pytest.approx(reference(y.astype(float), p), abs=1e-12)
    assert SCORERS[name](y, p) > SCORERS[name](y, rng.permutation(p))


def test_rows_without_a_prediction_are_left_out() -> None:
    X = normal(200)
    y = (X[:, 0] > 0).astype(np.uint8)

    def model(rows: np.ndarray) -> np.ndarray:
        return rows.sum(axis=1, dtype=np.float64)  # NaN where one is unknown

    expected = permutation_importance(model, X[20:], y[20:], 2, seed=4)
    X[:20, 1] = np.nan
    np.testing.assert_array_equal(expected, permutation_importance(model, X, y, 2, seed=4))
    with pytest.raises(InputError, match="none of 20"):
        permutation_importance(model, X[:20], y[:20], 1)


def test_what_cannot_be_shuffled_is_refused() -> None:
    X = normal(20)
    y = np.arange(20) % 2
    with pytest.raises(OptionError, match="columns from 0 to 2"):
        permutation_importance(lambda rows: rows[:, 0], X, y, 1, groups=[(0, 3)])
    with pytest.raises(OptionError, match="columns from 0 to 2"):
        permutation_importance(lambda rows: rows[:, 0], X, y, 1, groups=[()])
    with pytest.raises(OptionError, match="auc_roc or auc_pr"):
        permutation_importance(lambda rows: rows[:, 0], X, y, 1, scorer="kappa")
    with pytest.raises(TypeError, match="predicts nothing"):
        predictor_of(3)


def test_a_classifier_is_asked_for_probabilities_and_a_model_for_predictions() -> None:
    X = normal(4)
    classifier = SimpleNamespace(predict=lambda X: X[:, 0] > 0, predict_proba=lambda X: np.column_stack([1 - X, X]))
    np.testing.assert_array_equal(predictor_of(classifier)(X[:, :1]), X[:, 0])
    model = SimpleNamespace(schema=SCHEMA, predict=lambda X: X[:, 1])
    np.testing.assert_array_equal(predictor_of(model)(X), X[:, 1])


# Groups and repeats


def test_groups_come_in_the_order_of_the_features() -> None:
    assert feature_groups(SCHEMA) == {"topography": (0, 2), "insar": (1,)}
    assert feature_groups([FeatureSchema("rain")]) == {"other": (0,)}


def test_repeats_are_summed_up_by_quantiles() -> None:
    values = np.column_stack([np.arange(101.0), np.full(101, 3.0)])
    first, second = summarize_repeats(values)
    assert (first.median, first.q05, first.q95, first.repeats) == (50.0, 5.0, 95.0, 101)
    assert (second.median, second.q05, second.q95) == (3.0, 3.0, 3.0)
    with pytest.raises(OptionError, match="at least one repeat"):
        summarize_repeats(np.empty((0, 2)))


# Dependence


def test_curves_of_an_additive_model_are_its_terms() -> None:
    X = normal(4000)
    X[:, 1] = X[:, 0] + 0.5 * X[:, 1]  # correlated: an additive model's terms are found all the same
    points = choose_points(X, SCHEMA, 0, 30)

    def model(rows: np.ndarray) -> np.ndarray:
        return rows[:, 0].astype(np.float64) ** 2 + 3.0 * rows[:, 1]

    partial = partial_dependence(model, X, SCHEMA, 0, points, most_rows=300)
    assert partial.rows == 300
    np.testing.assert_allclose(np.diff(partial.effect), np.diff(points**2), atol=1e-5)
    local = accumulated_effects(model, X, SCHEMA, 0, points)
    np.testing.assert_allclose(np.diff(local.effect), np.diff(points**2), atol=1e-5)
    assert partial.kind != local.kind


def test_partial_dependence_is_the_mean_prediction_over_the_rows() -> None:
    X = normal(200)
    points = np.array([-1.0, 0.5])
    found = partial_dependence(lambda rows: rows[:, 0] * rows[:, 2].astype(float), X, SCHEMA, 0, points, most_rows=200)
    np.testing.assert_allclose(found.effect, points * X[:, 2].mean(dtype=float), atol=1e-6)


def test_where_features_go_together_accumulated_effects_are_right_and_partial_dependence_is_not() -> None:
    """With x2 = x1 and f = x1 x2 the effect of x1 alone is the integral of x2 over x1: x1^2 / 2; the mean of f is 0."""
    X = normal(20_000)
    X[:, 1] = X[:, 0]
    points = choose_points(X, SCHEMA, 0, 60)

    def model(rows: np.ndarray) -> np.ndarray:
        return rows[:, 0].astype(np.float64) * rows[:, 1]

    local = accumulated_effects(model, X, SCHEMA, 0, points, most_rows=20_000)
    expected = points**2 / 2.0
    np.testing.assert_allclose(local.effect - local.effect.min(), expected - expected.min(), atol=0.02)
    partial = partial_dependence(model, X, SCHEMA, 0, points, most_rows=5000)
    assert np.abs(partial.effect).max() < 0.1


def test_accumulated_effects_average_to_nought_over_the_rows() -> None:
    X = normal(3000)
    points = choose_points(X, SCHEMA, 0, 200)
    found = accumulated_effects(lambda rows: np.exp(rows[:, 0].astype(float)), X, SCHEMA, 0, points)
    inside = X[(X[:, 0] > points[0]) & (X[:, 0] < points[-1]), 0]
    assert abs(np.interp(inside, points, found.effect).mean()) < 0.01


def test_classes_are_looked_at_one_by_one_and_one_that_is_not_there_has_no_effect() -> None:
    schema = (FeatureSchema("rock", classes=("granite", "schist", "clay")), FeatureSchema("slope"))
    X = np.column_stack([np.tile([1.0, 3.0], 50), np.linspace(0.0, 1.0, 100)]).astype(np.float32)
    points = choose_points(X, schema, 0)
    np.testing.assert_array_equal(points, [1.0, 2.0, 3.0])
    found = partial_dependence(lambda rows: 2.0 * (rows[:, 0] == 3) + rows[:, 1], X, schema, 0, points)
    np.testing.assert_allclose(found.effect, [0.5, np.nan, 2.5], atol=1e-6)
    with pytest.raises(OptionError, match="Use partial dependence for classes"):
        accumulated_effects(lambda rows: rows[:, 1], X, schema, 0, points)


def test_points_are_quantiles_without_repetition() -> None:
    X = normal(1000)
    np.testing.assert_allclose(
        choose_points(X, SCHEMA, 1, 3), np.quantile(X[:, 1].astype(float), [0.01, 0.5, 0.99]), rtol=1e-6
    )
    X[:, 1] = np.where(X[:, 1] > 0, 1.0, 0.0)
    np.testing.assert_array_equal(choose_points(X, SCHEMA, 1, 30), [0.0, 1.0])
    X[:, 1] = np.nan
    with pytest.raises(InputError, match="'rate'"):
        choose_points(X, SCHEMA, 1)
    with pytest.raises(OptionError, match="at least 2"):
        choose_points(X, SCHEMA, 0, 1)


def test_a_feature_that_does_not_vary_has_no_accumulated_effects() -> None:
    X = normal(50)
    X[:, 0] = 4.0
    points = choose_points(X, SCHEMA, 0)
    with pytest.raises(InputError, match="does not vary"):
        accumulated_effects(lambda rows: rows[:, 0], X, SCHEMA, 0, points)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**20), st.integers(2, 25))
def test_effects_of_a_monotonic_model_are_monotonic(seed: int, count: int) -> None:
    X = normal(60, seed=seed)
    points = choose_points(X, SCHEMA, 0, count)

    def model(rows: np.ndarray) -> np.ndarray:
        return 1.0 / (1.0 + np.exp(-rows[:, 0].astype(np.float64) - rows[:, 1]))

    for curve in (partial_dependence, accumulated_effects):
        assert (np.diff(curve(model, X, SCHEMA, 0, points).effect) >= -1e-12).all()


def test_rows_without_a_prediction_are_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    X = normal(2000)
    X[:1900, 2] = np.nan

    def model(rows: np.ndarray) -> np.ndarray:
        return rows.sum(axis=1, dtype=np.float64)

    points = np.array([0.0, 1.0])
    found = partial_dependence(model, X, SCHEMA, 0, points, most_rows=500)
    assert found.rows == 100
    np.testing.assert_allclose(found.effect, X[1900:, 1:].sum(axis=1).mean() + points, atol=1e-5)
    whole = [curve(model, X, SCHEMA, 0, points).effect for curve in (partial_dependence, accumulated_effects)]
    monkeypatch.setattr("susceptibility.explain.dependence._ROWS_AT_ONCE", 64)
    for curve, expected in zip((partial_dependence, accumulated_effects), whole, strict=True):
        np.testing.assert_allclose(curve(model, X, SCHEMA, 0, points).effect, expected, atol=1e-12)
    with pytest.raises(InputError, match="none of 1900"):
        partial_dependence(model, X[:1900], SCHEMA, 0, points)


def test_curves_of_repeats_have_a_median_and_a_range() -> None:
    points = np.array([0.0, 1.0])
    curves = [Curve(SCHEMA[0], "partial dependence", points, np.array([k, 2.0 * k]), 10) for k in range(21)]
    found = summarize_curves(curves)
    np.testing.assert_allclose([found.median, found.q05, found.q95], [[10.0, 20.0], [1.0, 2.0], [19.0, 38.0]])
    assert found.repeats == 21
    with pytest.raises(ValueError, match="same points"):
        summarize_curves([curves[0], Curve(SCHEMA[0], "partial dependence", points + 1.0, points, 10)])
    with pytest.raises(ValueError, match="one feature"):
        summarize_curves([curves[0], Curve(SCHEMA[1], "partial dependence", points, points, 10)])
    with pytest.raises(ValueError, match="no curves"):
        summarize_curves([])


# Ablation


def paired(metric: str, mean: float, lower: float, upper: float, folds: int) -> SimpleNamespace:
    return SimpleNamespace(metric=metric, mean=mean, lower=lower, upper=upper, folds=folds)


def test_each_group_is_left_out_in_turn() -> None:
    assert ablation_sets(SCHEMA) == {"without_topography": ("rate",), "without_insar": ("slope", "relief")}
    with pytest.raises(OptionError, match="one, 'topography'"):
        ablation_sets([SCHEMA[0], SCHEMA[2]])


def test_what_a_group_is_worth_is_the_loss_without_it() -> None:
    differences = {
        "without_topography": paired("auc_roc", -0.10, -0.15, -0.05, 25),
        "without_insar": paired("auc_roc", 0.01, -0.01, 0.03, 25),
    }
    first, second = summarize_ablation(SCHEMA, differences)
    assert (first.group, first.features, first.need) == ("topography", ("slope", "relief"), "needed")
    assert (first.loss, first.lower, first.upper, first.folds) == (0.10, 0.05, 0.15, 25)
    assert (second.group, second.loss, second.lower, second.upper) == ("insar", -0.01, -0.03, 0.01)
    assert second.need == "not shown"
    errors = {name: paired("brier", 0.1, 0.05, 0.15, 25) for name in differences}
    assert {row.need for row in summarize_ablation(SCHEMA, errors, higher_is_better=False)} == {"needed"}
    assert {row.need for row in summarize_ablation(SCHEMA, errors)} == {"better without"}
    unknown = {name: paired("auc_roc", -0.1, math.nan, math.nan, 1) for name in differences}
    assert {row.need for row in summarize_ablation(SCHEMA, unknown)} == {"not shown"}
