"""A model with its preprocessing, calibration and search: all of it learned from the training rows alone."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_rows import QUICK, SCHEMA, draw_rows, true_probability

from susceptibility.errors import InputError, OptionError
from susceptibility.models import (
    MODELS,
    CalibrationOptions,
    PreprocessingOptions,
    SearchOptions,
    SusceptibilityModel,
)
from susceptibility.models.calibration import IsotonicCalibrator, SigmoidCalibrator, calibrator_from_state
from susceptibility.models.folds import inner_folds, random_share
from susceptibility.models.linear import logistic
from susceptibility.models.search import measure
from susceptibility.schema import FeatureSchema, Task

A = (FeatureSchema("a"),)


def model_of(name: str, schema=SCHEMA, *, task: Task = Task.CLASSIFICATION, seed: int = 3, options=None, **kwargs):
    definition = MODELS[name]
    chosen = definition.options(**{**QUICK.get(name, {}), **(options or {})})
    return SusceptibilityModel(definition, chosen, schema, task, seed, **kwargs)


def expected_calibration_error(p: np.ndarray, y: np.ndarray) -> float:
    place = np.minimum((p * 10).astype(int), 9)
    return sum(abs(p[place == b].mean() - y[place == b].mean()) * (place == b).mean() for b in np.unique(place))


def test_unknown_rows_are_not_predicted_unless_imputed() -> None:
    X, y = draw_rows(200)
    X[:20, 0] = np.nan
    with pytest.raises(InputError, match=r"feature 'pgv' of the training rows: .*found 20 of 200 rows without"):
        model_of("xgboost").fit(X, y)
    model = model_of("xgboost").fit(X[20:], y[20:])
    X[30, 2] = np.inf
    np.testing.assert_array_equal(np.isnan(model.predict(X)), [*[True] * 20, *[False] * 10, True, *[False] * 169])
    assert np.isnan(model.predict(X[:20])).all()
    X[30, 2] = 5.0
    filled = model_of("xgboost", preprocessing=PreprocessingOptions(impute="median")).fit(X, y)
    assert np.isfinite(filled.predict(X)).all()
    X[31, 0] = np.inf
    assert np.isnan(filled.predict(X)[31])
    assert model.predict(np.empty((0, 6), np.float32)).shape == (0,)


def test_the_scale_is_that_of_the_training_rows() -> None:
    X, y = draw_rows(200)
    model = model_of("logistic_regression").fit(X[:100], y[:100])
    np.testing.assert_allclose(model.preprocessor_.centre_[:5], X[:100, :5].mean(axis=0, dtype=float), rtol=1e-6)
    shifted = X[100:].copy()
    shifted[:, 0] += 1e3
    assert (model.predict(shifted)[:5] != model.predict(X[100:])[:5]).all()


def test_scores_for_calibration_are_of_rows_the_estimator_has_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that learns its rows by heart is perfect on them; out of fold it knows nothing."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 1)).astype(np.float32)
    y = rng.integers(0, 2, 300).astype(np.uint8)
    options = {"trees": 1, "leaf_cells": 1, "bootstrap": False, "features_per_split": 1.0}
    bare = model_of("random_forest", A, options=options).fit(X, y)
    assert set(np.unique(bare.predict(X))) == {0.0, 1.0}
    model = model_of("random_forest", A, options=options, calibration=CalibrationOptions(method="sigmoid")).fit(X, y)
    assert model.calibrator_ is not None
    assert abs(model.predict(X) - y.mean()).max() < 0.1
    # Each inner fit sees four fifths of the rows, and their own scale.
    seen: list[int] = []
    real = SusceptibilityModel._fit_once

    def spy(self: Any, options: Any, X: np.ndarray, *rest: Any) -> Any:
        fitted = real(self, options, X, *rest)
        np.testing.assert_allclose(fitted[0].centre_, X.mean(axis=0, dtype=float))
        seen.append(len(X))
        return fitted

    monkeypatch.setattr(SusceptibilityModel, "_fit_once", spy)
    model_of("linear_svm", A).fit(X, y)
    assert seen == [240] * 5 + [300]


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration_mends_overconfident_probabilities(method: str) -> None:
    """A boosted model that has learned too much: its probabilities are too close to 0 and 1."""
    X, y = draw_rows(1500)
    unseen, _ = draw_rows(4000, seed=1)
    truth = true_probability(unseen)
    options = {"trees": 150, "depth": 6, "learning_rate": 0.3}
    bare = model_of("xgboost", options=options).fit(X, y).predict(unseen)
    model = model_of("xgboost", options=options, calibration=CalibrationOptions(method=method)).fit(X, y)
    mended = model.predict(unseen)
    landslide = np.random.default_rng(5).uniform(size=4000) < truth
    assert expected_calibration_error(bare, landslide) > 0.08
    assert expected_calibration_error(mended, landslide) < 0.4 * expected_calibration_error(bare, landslide)
    assert ((mended - landslide) ** 2).mean() < ((bare - landslide) ** 2).mean() - 0.01


def test_the_sigmoid_finds_the_slope_and_leaves_what_is_right() -> None:
    rng = np.random.default_rng(0)
    log_odds = rng.normal(size=40_000)
    y = rng.uniform(size=40_000) < logistic(log_odds)
    right = SigmoidCalibrator(of_probability=True).fit(logistic(log_odds), y)
    assert (right.slope_, right.intercept_) == pytest.approx((1.0, 0.0), abs=0.03)
    wrong = SigmoidCalibrator(of_probability=True).fit(logistic(2.0 * log_odds + 1.0), y)
    assert (wrong.slope_, wrong.intercept_) == pytest.approx((0.5, -0.5), abs=0.03)
    np.testing.assert_allclose(wrong.predict(logistic(2.0 * log_odds + 1.0)), logistic(log_odds), atol=0.02)


def test_calibrators_equal_scikit_learn() -> None:
    from sklearn.isotonic import IsotonicRegression
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(1)
    score = rng.normal(size=300)
    y = (rng.uniform(size=300) < logistic(2.0 * score - 1.0)).astype(np.uint8)
    weight = rng.uniform(0.5, 2.0, 300)
    steps = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(score, y, sample_weight=weight)
    new = rng.normal(size=100) * 2.0
    np.testing.assert_allclose(IsotonicCalibrator().fit(score, y, weight).predict(new), steps.predict(new), atol=1e-12)
    # Platt's targets as two rows of each, weighted by the target and by what is left of it.
    yes, no = weight[y == 1].sum(), weight[y == 0].sum()
    target = np.where(y == 1, (yes + 1) / (yes + 2), 1 / (no + 2))
    doubled = np.tile(score, 2)[:, None]
    curve = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(
        doubled, np.repeat([1, 0], 300), sample_weight=np.concatenate([target * weight, (1 - target) * weight])
    )
    own = SigmoidCalibrator().fit(score, y, weight)
    assert (own.slope_, own.intercept_) == pytest.approx((curve.coef_[0, 0], curve.intercept_[0]), abs=1e-5)


def test_the_sigmoid_is_finite_where_scores_separate_and_refuses_one_score() -> None:
    y = np.repeat([0, 1], 20)
    own = SigmoidCalibrator().fit(np.where(y == 1, 1.0, -1.0), y)
    # Platt's targets are reached exactly: 21/22 and 1/22.
    np.testing.assert_allclose(own.predict(np.array([1.0, -1.0])), [21 / 22, 1 / 22], atol=1e-8)
    with pytest.raises(InputError, match="scores to be calibrated: required different ones"):
        SigmoidCalibrator().fit(np.ones(40), y)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), rows=st.integers(10, 80), of_probability=st.booleans(), isotonic=st.booleans())
def test_calibrated_probabilities_are_in_their_bounds_and_come_back_from_json(
    seed: int, rows: int, of_probability: bool, isotonic: bool
) -> None:
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(rows) % 2)
    score = np.round(rng.uniform(size=rows), 2) if of_probability else rng.normal(size=rows) * 100
    own = IsotonicCalibrator().fit(score, y) if isotonic else SigmoidCalibrator(of_probability).fit(score, y)
    predicted = own.predict(score)
    assert ((predicted >= 0.0) & (predicted <= 1.0)).all()
    read = calibrator_from_state(json.loads(json.dumps(own.state(), allow_nan=False)))
    assert read.predict(score).tobytes() == predicted.tobytes()


def test_inner_folds_keep_groups_together_and_classes_apart() -> None:
    rng = np.random.default_rng(2)
    y = (rng.uniform(size=300) < 0.2).astype(np.uint8)
    groups = rng.integers(0, 30, 300)
    for fold in (
        inner_folds(y, 4, task=Task.CLASSIFICATION, seed=1, groups=groups),
        inner_folds(y.astype(float), 4, task=Task.REGRESSION, seed=1, groups=groups),
    ):
        assert all(np.unique(fold[groups == group]).size == 1 for group in np.unique(groups))
        assert np.bincount(fold).min() > 40
    plain = inner_folds(y, 4, task=Task.CLASSIFICATION, seed=1)
    assert np.ptp(np.bincount(plain)) <= 1
    assert np.ptp(np.bincount(plain, y)) <= 1
    with pytest.raises(InputError, match="folds within the training rows: required 5 folds"):
        inner_folds(y, 5, task=Task.CLASSIFICATION, seed=1, groups=groups % 3)
    with pytest.raises(InputError, match="rows of every class"):
        inner_folds(np.array([1, 0, 0, 0]), 2, task=Task.CLASSIFICATION, seed=1)


def test_a_random_share_keeps_the_classes_and_grows() -> None:
    y = np.repeat([0, 1], [900, 100])
    few, more = (random_share(y, rows, task=Task.CLASSIFICATION, seed=4) for rows in (100, 400))
    assert (len(few), int(y[few].sum())) == (100, 10)
    assert set(few) <= set(more)
    np.testing.assert_array_equal(random_share(y, 2000, task=Task.CLASSIFICATION, seed=4), np.arange(1000))


def test_groups_reach_the_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    from susceptibility.models import learner

    X, y = draw_rows(200)
    given_groups: list[Any] = []
    real = learner.inner_folds

    def spy(*arguments: Any, **named: Any) -> Any:
        given_groups.append(named["groups"])
        return real(*arguments, **named)

    monkeypatch.setattr(learner, "inner_folds", spy)
    groups = np.arange(200) // 10
    model_of("linear_svm").fit(X, y, groups=groups)
    assert given_groups[0] is groups


@pytest.mark.parametrize("method", ["grid", "halving"])
def test_a_search_finds_the_depth_that_the_truth_needs(method: str) -> None:
    """The sign of a product of two numbers: one split after the other finds it, one split alone never."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1.0, 1.0, (1800, 2)).astype(np.float32)
    y = (X[:, 0] * X[:, 1] > 0).astype(np.uint8)
    search = SearchOptions(method=method, parameters={"depth": (1, 4), "learning_rate": (0.02, 0.3)}, folds=3)
    schema = (FeatureSchema("a"), FeatureSchema("b"))
    first, second = (model_of("xgboost", schema, search=search).fit(X, y) for _ in range(2))
    assert (first.options_.depth, first.options_.learning_rate) == (4, 0.3)
    assert first.options_.trees == 25
    assert first.options.depth == 4  # what it was given stays
    assert first.search_results_ == second.search_results_
    chosen = [result for result in first.search_results_ if result.is_chosen]
    assert [result.values for result in chosen] == [{"depth": 4, "learning_rate": 0.3}]
    last = [result for result in first.search_results_ if result.round == first.search_results_[-1].round]
    assert chosen[0].mean == max(result.mean for result in last)
    assert chosen[0].rows == 1800
    if method == "halving":
        assert [(result.round, result.rows) for result in first.search_results_] == [
            *[(1, 200)] * 4,
            *[(2, 600)] * 2,
            (3, 1800),
        ]
    else:
        assert len(first.search_results_) == 4
    plain = model_of("xgboost", schema, options={"depth": 4, "learning_rate": 0.3}).fit(X, y)
    np.testing.assert_array_equal(plain.predict(X), first.predict(X))


def test_a_search_equals_cross_validation_by_hand() -> None:
    from sklearn.metrics import roc_auc_score

    X, y = draw_rows(200)
    search = SearchOptions(parameters={"inverse_regularisation": (0.01, 1.0)}, folds=3)
    model = model_of("logistic_regression", search=search).fit(X, y)
    fold = inner_folds(y, 3, task=Task.CLASSIFICATION, seed=3)
    for result in model.search_results_:
        by_hand = []
        for number in range(3):
            own = model_of("logistic_regression", options=result.values).fit(X[fold != number], y[fold != number])
            by_hand.append(roc_auc_score(y[fold == number], own.predict(X[fold == number])))
        assert (result.mean, result.std) == pytest.approx((np.mean(by_hand), np.std(by_hand, ddof=1)))


def test_metrics_of_a_search_by_hand() -> None:
    y, p = np.array([0.0, 1.0, 1.0]), np.array([0.5, 0.5, 1.0])
    assert measure("brier", y, p) == pytest.approx(0.5 / 3)
    assert measure("mae", y, p) == pytest.approx(1 / 3)
    assert measure("r2", y, p) == pytest.approx(1 - 0.5 / (2 / 3))
    assert measure("auc_roc", y, p) == 0.75
    assert measure("auc_pr", y, p) == pytest.approx(0.5 * 1.0 + 0.5 * 2 / 3)


@pytest.mark.parametrize("metric", ["r2", "mae"])
def test_a_search_for_densities(metric: str) -> None:
    X, _ = draw_rows(200)
    search = SearchOptions(parameters={"trees": (1, 60)}, metric=metric, folds=2)
    model = model_of("lightgbm", task=Task.REGRESSION, search=search).fit(X, true_probability(X))
    assert model.options_.trees == 60


@pytest.mark.parametrize(
    ("name", "search", "message"),
    [
        ("xgboost", {"parameters": {"eta": (1,)}}, r"search of xgboost: required values of .*found 'eta'"),
        ("xgboost", {"parameters": {"depth": (0, 3)}}, r"search of xgboost: required .*found depth = 0"),
        ("xgboost", {"parameters": {"depth": ()}}, r"none for 'depth'"),
        ("xgboost", {"parameters": {"depth": (2, 3)}, "metric": "r2"}, r"metric of the search: required auc_roc or"),
        ("rbf_svm", {"parameters": {"gamma": (1.0, 2.0)}, "metric": "brier"}, r"whose scores are no probabilities"),
    ],
)
def test_a_search_for_what_is_not_there_is_refused(name: str, search: dict, message: str) -> None:
    X, y = draw_rows(60)
    with pytest.raises(OptionError, match=message):
        model_of(name, search=SearchOptions(**search)).fit(X, y)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.ones(50)}, "rows of both; found 50 of 1, 0 of 0"),
        ({"y": np.arange(50) % 3}, "16 of something else"),
        ({"y": np.zeros(49)}, "one value for each of 50 rows; found 49 values"),
        ({"X": np.zeros((50, 2), np.float32)}, "rows of 6 features"),
        ({"sample_weight": np.zeros(50)}, "a positive number for each of 50 rows"),
    ],
)
def test_rows_that_cannot_be_learned_from_are_refused(change: dict[str, Any], message: str) -> None:
    X, y = draw_rows(50)
    given = {"X": X, "y": y, **change}
    with pytest.raises(InputError, match=message):
        model_of("xgboost").fit(given["X"], given["y"], sample_weight=given.get("sample_weight"))


def test_negative_and_unknown_densities_and_their_calibration_are_refused() -> None:
    X, _ = draw_rows(50)
    for wrong in (-0.1, np.nan):
        with pytest.raises(InputError, match="densities, known and at least 0"):
            model_of("lightgbm", task=Task.REGRESSION).fit(X, np.full(50, wrong))
    model = model_of("lightgbm", task=Task.REGRESSION, calibration=CalibrationOptions(method="isotonic"))
    with pytest.raises(OptionError, match="calibration: required none for a regression"):
        model.fit(X, np.ones(50))


def test_options_of_another_model_are_refused() -> None:
    X, y = draw_rows(50)
    model = SusceptibilityModel(MODELS["xgboost"], MODELS["lightgbm"].options(), SCHEMA)
    with pytest.raises(OptionError, match="options of xgboost: required XGBoostOptions; found LightGBMOptions"):
        model.fit(X, y)


def test_it_is_an_estimator_of_scikit_learn() -> None:
    from sklearn.base import clone

    X, y = draw_rows(80)
    model = model_of("xgboost")
    copy = clone(model.fit(X, y))
    assert not hasattr(copy, "estimator_")
    assert copy.set_params(seed=3).fit(X, y).predict(X).tobytes() == model.predict(X).tobytes()
    with pytest.raises(OptionError, match=r"parameter of SusceptibilityModel: .*found 'sede'"):
        copy.set_params(sede=1)
