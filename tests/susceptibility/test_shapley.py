"""Shapley values: the definition by brute force, another implementation, and what they must sum to."""

from __future__ import annotations

import itertools
import math
import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression

from susceptibility.explain import NotExplained, Scale, ShapValues, shap_values
from susceptibility.explain.shapley import explain_estimator
from susceptibility.explain.trees import TreeEnsemble, origin_of_booster, tree_shap, trees_of_booster, trees_of_forest
from susceptibility.models import MODELS, CalibrationOptions, SusceptibilityModel
from susceptibility.schema import FeatureSchema, Task


def sample(rows: int = 400, columns: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """An interaction and a main effect; the last column is noise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, columns)).astype(np.float32)
    X[:, 1] = np.round(X[:, 1], 1)  # ties
    y = (X[:, 0] + 2.0 * X[:, 1] * X[:, 2] + rng.normal(size=rows) > 0).astype(np.uint8)
    return X, y


def expectation(trees: TreeEnsemble, row: np.ndarray, known: frozenset[int], tree: int, node: int = 0) -> float:
    """What a tree says of a row of which only some columns are known, as Lundberg et al. define it."""
    at = trees.roots[tree] + node
    if trees.left[at] < 0:
        return float(trees.value[at])
    left, right = int(trees.left[at]), int(trees.right[at])
    if int(trees.column[at]) in known:
        child = left if row[trees.column[at]] <= trees.threshold[at] else right
        return expectation(trees, row, known, tree, child)
    cover = [trees.cover[trees.roots[tree] + child] for child in (left, right)]
    both = [expectation(trees, row, known, tree, child) for child in (left, right)]
    return float(np.dot(cover, both) / trees.cover[at])


def brute_force(trees: TreeEnsemble, row: np.ndarray) -> tuple[np.ndarray, float]:
    """Shapley values by their definition, over all sets of columns."""
    count = len(row)
    columns = frozenset(range(count))

    def game(known: frozenset[int]) -> float:
        return sum(expectation(trees, row, known, tree) for tree in range(len(trees.roots) - 1))

    values = np.zeros(count)
    for column in columns:
        for size in range(count):
            weight = math.factorial(size) * math.factorial(count - size - 1) / math.factorial(count)
            for chosen in itertools.combinations(sorted(columns - {column}), size):
                values[column] += weight * (game(frozenset(chosen) | {column}) - game(frozenset(chosen)))
    return values, game(frozenset())


@pytest.mark.parametrize("depth", [1, 3, 7])
@pytest.mark.parametrize("kind", [RandomForestClassifier, RandomForestRegressor])
def test_values_of_a_forest_are_those_of_the_definition(kind: Any, depth: int) -> None:
    X, y = sample(120, 4)
    weight = np.random.default_rng(1).uniform(0.2, 3.0, len(y))
    forest = kind(3, max_depth=depth, min_samples_leaf=2, random_state=0).fit(X, y, sample_weight=weight)
    trees = trees_of_forest(forest)
    values, base = tree_shap(trees, X[:6])
    for row, own in zip(X[:6], values, strict=True):
        expected, nothing_known = brute_force(trees, row)
        np.testing.assert_allclose(own, expected, atol=1e-14)
        assert base == pytest.approx(nothing_known, abs=1e-14)


@st.composite
def random_trees(draw: st.DrawFn) -> tuple[TreeEnsemble, np.ndarray]:
    """A tree of any shape, whose paths ask for the same columns again and again."""
    columns = draw(st.integers(1, 4))
    left, right, column, threshold, cover = [-1], [-1], [0], [0.0], [draw(st.integers(2, 50)) / 1.0]
    for _ in range(draw(st.integers(0, 7))):
        leaves = [node for node, child in enumerate(left) if child < 0]
        node = draw(st.sampled_from(leaves))
        share = draw(st.floats(0.01, 0.99))
        left[node], right[node] = len(left), len(left) + 1
        column[node] = draw(st.integers(0, columns - 1))
        threshold[node] = draw(st.integers(-2, 2)) / 2.0
        for part in (share, 1.0 - share):
            left.append(-1)
            right.append(-1)
            column.append(0)
            threshold.append(0.0)
            cover.append(cover[node] * part)
    value = [draw(st.floats(-5.0, 5.0)) for _ in left]
    trees = TreeEnsemble(
        np.array([0, len(left)]), np.array(left, np.int32), np.array(right, np.int32), np.array(column, np.int32),
        np.array(threshold), np.array(cover), np.array(value),
    )  # fmt: skip
    row = np.array([draw(st.integers(-3, 3)) / 2.0 for _ in range(columns)], np.float32)
    return trees, row


@settings(max_examples=60, deadline=None)
@given(random_trees())
def test_values_of_any_tree_are_those_of_the_definition(case: tuple[TreeEnsemble, np.ndarray]) -> None:
    trees, row = case
    values, base = tree_shap(trees, row[None, :], workers=1)
    expected, nothing_known = brute_force(trees, row)
    np.testing.assert_allclose(values[0], expected, atol=1e-12)
    assert base == pytest.approx(nothing_known, abs=1e-12)


def test_values_of_a_forest_equal_those_of_the_shap_package() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shap = pytest.importorskip("shap")
        X, y = sample(300, 8)
        forest = RandomForestClassifier(8, min_samples_leaf=2, class_weight="balanced", random_state=0).fit(X, y)
        explainer = shap.TreeExplainer(forest)
        expected = explainer.shap_values(X[:40])[:, :, 1]
    values, base = tree_shap(trees_of_forest(forest), X[:40])
    np.testing.assert_allclose(values, expected, atol=1e-12)
    assert base == pytest.approx(explainer.expected_value[1], abs=1e-12)


def test_values_of_a_deep_forest_of_many_columns_still_sum() -> None:
    X, y = sample(1500, 40, seed=2)
    forest = RandomForestClassifier(4, min_samples_leaf=1, max_features=0.2, random_state=0).fit(X, y)
    values, base = tree_shap(trees_of_forest(forest), X[:50])
    np.testing.assert_allclose(values.sum(axis=1) + base, forest.predict_proba(X[:50])[:, 1], atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"gamma": 2.0}, {"objective": "reg:squarederror"}, {"base_score": 0.1}])
def test_values_of_a_booster_are_those_of_the_definition_and_of_xgboost(options: dict[str, Any]) -> None:
    from xgboost import DMatrix, train

    X, y = sample(300, 4)
    X = np.round(X, 1)  # so that rows lie on thresholds
    booster = train(
        {"objective": "binary:logistic", "max_depth": 4, "nthread": 1, **options}, DMatrix(X, y), num_boost_round=5
    )
    trees = trees_of_booster(booster)
    values, base = tree_shap(trees, X[:50])
    for row, own in zip(X[:6], values, strict=False):
        expected, nothing_known = brute_force(trees, row)
        np.testing.assert_allclose(own, expected, atol=1e-12)
        assert base == pytest.approx(nothing_known, abs=1e-12)
    theirs = booster.predict(DMatrix(X[:50]), pred_contribs=True)
    np.testing.assert_allclose(values, theirs[:, :-1], atol=1e-6)
    origin = origin_of_booster(booster, trees)
    assert base + origin == pytest.approx(theirs[0, -1], abs=1e-6)
    margin = booster.predict(DMatrix(X[:50]), output_margin=True)
    np.testing.assert_allclose(values.sum(axis=1) + base + origin, margin, atol=1e-6)


def test_values_of_a_large_booster_sum_to_its_leaves() -> None:
    """XGBoost adds in single precision: its own values, of as many trees as deep, are off by more than 1e-5."""
    from xgboost import DMatrix, train

    X, y = sample(2000, 6, seed=4)
    rows = DMatrix(X, y)
    booster = train({"objective": "binary:logistic", "max_depth": 8, "eta": 0.05, "nthread": 1}, rows, 500)
    trees = trees_of_booster(booster)
    values, base = tree_shap(trees, X[:200])
    leaves = booster.predict(rows, pred_leaf=True)[:200].astype(int)
    exact = trees.value[trees.roots[:-1] + leaves].sum(axis=1)
    np.testing.assert_allclose(values.sum(axis=1) + base, exact, atol=1e-10)
    margin = booster.predict(rows, output_margin=True)[:200]
    np.testing.assert_allclose(exact + origin_of_booster(booster, trees), margin, atol=1e-5)


@pytest.mark.parametrize("options", [{"booster": "dart"}, {"booster": "gblinear"}])
def test_boosters_that_are_not_of_plain_trees_are_refused(options: dict[str, Any]) -> None:
    from xgboost import DMatrix, train

    X, y = sample(100, 3)
    booster = train({"objective": "binary:logistic", "nthread": 1, **options}, DMatrix(X, y), num_boost_round=2)
    with pytest.raises(ValueError, match="plain trees"):
        trees_of_booster(booster)


def test_a_row_is_explained_the_same_whatever_comes_with_it_and_by_any_number_of_workers() -> None:
    X, y = sample(300)
    trees = trees_of_forest(RandomForestClassifier(5, random_state=0).fit(X, y))
    all_rows, _ = tree_shap(trees, X, workers=1)
    assert all_rows.tobytes() == tree_shap(trees, X, workers=3)[0].tobytes()
    assert all_rows[7:100].tobytes() == tree_shap(trees, X[7:100])[0].tobytes()


def test_nodes_in_the_wrong_order_are_refused() -> None:
    one = np.ones(3)
    trees = TreeEnsemble(
        np.array([0, 3]), np.array([-1, 0, -1], np.int32), np.array([-1, 2, -1], np.int32),
        np.zeros(3, np.int32), one, one, one,
    )  # fmt: skip
    with pytest.raises(ValueError, match="after their parents"):
        tree_shap(trees, np.zeros((1, 1), np.float32))


SCHEMA = (
    FeatureSchema("slope", "deg", "topography"),
    FeatureSchema("rate", "m/yr", "insar"),
    FeatureSchema("rock", "", "lithology", classes=("granite", "schist", "clay")),
    FeatureSchema("elevation", "m", "topography"),
)
QUICK: dict[str, dict[str, Any]] = {
    "random_forest": {"trees": 20},
    "xgboost": {"trees": 60},
    "lightgbm": {"trees": 60},
    "logistic_regression": {},
    "frequency_ratio": {},
}


def study(rows: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 4)).astype(np.float32)
    X[:, 2] = rng.integers(1, 4, rows)
    X[:, 3] = 1000.0 + 200.0 * X[:, 3]
    score = 1.5 * X[:, 0] - X[:, 1] + (X[:, 2] == 3) + 0.7 * rng.normal(size=rows)
    return X, (score > 0.3).astype(np.uint8)


def fitted(name: str, task: Task = Task.CLASSIFICATION, **arguments: Any) -> SusceptibilityModel:
    X, y = study()
    target = y if task is Task.CLASSIFICATION else 0.2 * y + 0.01 * np.abs(X[:, 1].astype(np.float64))
    definition = MODELS[name]
    return SusceptibilityModel(definition, definition.options(**QUICK[name]), SCHEMA, task, 3, **arguments).fit(
        X, target
    )


@pytest.mark.parametrize("name", QUICK)
def test_values_sum_to_the_margin_less_the_base(name: str) -> None:
    model = fitted(name)
    X, _ = study(60, seed=1)
    found = shap_values(model, X)
    assert isinstance(found, ShapValues)
    assert found.names == ("slope", "rate", "rock", "elevation")
    assert found.values.shape == (60, 4)
    np.testing.assert_allclose(found.values.sum(axis=1), found.margin - found.base, atol=1e-5)
    probability = model.predict(X)
    if name == "random_forest":
        assert found.scale is Scale.PROBABILITY
        np.testing.assert_allclose(found.margin, probability, atol=1e-12)
    else:
        assert found.scale is Scale.LOG_ODDS
        np.testing.assert_allclose(1.0 / (1.0 + np.exp(-found.margin)), probability, atol=1e-6)
    assert found.magnitudes()[:2].min() > 1.5 * found.magnitudes()[3]  # elevation tells nothing
    assert not found.calibrated


@pytest.mark.parametrize("name", [name for name in QUICK if Task.REGRESSION in MODELS[name].tasks])
def test_values_of_a_regression_sum_to_the_density(name: str) -> None:
    model = fitted(name, Task.REGRESSION)
    X, _ = study(60, seed=1)
    found = shap_values(model, X)
    assert isinstance(found, ShapValues)
    assert found.scale is Scale.DENSITY
    np.testing.assert_allclose(found.values.sum(axis=1) + found.base, found.margin, atol=1e-5)
    np.testing.assert_allclose(np.maximum(found.margin, 0.0), model.predict(X), atol=1e-6)


def test_a_calibrated_model_is_explained_before_its_calibration() -> None:
    plain, calibrated = fitted("xgboost"), fitted("xgboost", calibration=CalibrationOptions(method="sigmoid", folds=3))
    X, _ = study(60, seed=1)
    first, second = shap_values(plain, X), shap_values(calibrated, X)
    assert isinstance(first, ShapValues)
    assert isinstance(second, ShapValues)
    assert second.calibrated
    np.testing.assert_array_equal(first.values, second.values)
    assert not np.allclose(plain.predict(X), calibrated.predict(X), atol=1e-4)


def test_a_row_with_an_unknown_feature_has_no_values() -> None:
    X, _ = study(10, seed=1)
    whole = shap_values(fitted("random_forest"), X)
    X[4, 1] = np.nan
    found = shap_values(fitted("random_forest"), X)
    assert isinstance(whole, ShapValues)
    assert isinstance(found, ShapValues)
    assert np.isnan(found.values[4]).all()
    assert np.isnan(found.margin[4])
    others = np.arange(10) != 4
    np.testing.assert_array_equal(found.values[others], whole.values[others])
    np.testing.assert_allclose(found.magnitudes(), np.abs(found.values[others]).mean(axis=0))


def test_values_of_logistic_regression_are_slope_times_distance_from_the_mean() -> None:
    model = fitted("logistic_regression")
    train, _ = study()
    X, _ = study(30, seed=1)
    found = shap_values(model, X, background=train)
    assert isinstance(found, ShapValues)
    # By hand, for slope: log-odds per degree are the standardised coefficient over the standard deviation.
    slope = model.estimator_.coef_[0][0] / train[:, 0].std(dtype=np.float64)
    np.testing.assert_allclose(found.values[:, 0], slope * (X[:, 0] - train[:, 0].mean(dtype=np.float64)), atol=1e-5)
    # Classes: the values of a row differ from those of another by the difference of both classes' coefficients.
    rows = [int(np.flatnonzero(X[:, 2] == code)[0]) for code in (1, 3)]
    of_class = {schema.name: value for schema, value in zip(
        model.preprocessor_.columns_, model.estimator_.coef_[0], strict=True)}  # fmt: skip
    granite, clay = (next(v for n, v in of_class.items() if n.endswith(label)) for label in ("granite", "clay"))
    assert found.values[rows[1], 2] - found.values[rows[0], 2] == pytest.approx(clay - granite, abs=1e-6)


@pytest.mark.parametrize("combine", ["sum", "log"])
def test_values_of_frequency_ratios_are_those_of_their_table(combine: str) -> None:
    """By hand from the readable table: slope of the curve times the ratio of the row's class less the mean ratio."""
    train, y = study()
    definition = MODELS["frequency_ratio"]
    model = SusceptibilityModel(definition, definition.options(combine=combine), SCHEMA).fit(train, y)
    X, _ = study(30, seed=1)
    found = shap_values(model, X, background=train)
    assert isinstance(found, ShapValues)
    np.testing.assert_allclose(found.values.sum(axis=1) + found.base, found.margin, atol=1e-10)
    np.testing.assert_allclose(1.0 / (1.0 + np.exp(-found.margin)), model.predict(X), atol=1e-12)
    if combine == "sum":
        ratio = model.estimator_.ratios(2)
        of_row = ratio[X[:, 2].astype(int) - 1] - ratio[train[:, 2].astype(int) - 1].mean()
        np.testing.assert_allclose(found.values[:, 2], model.estimator_.curve.slope_ * of_row, atol=1e-10)


def test_groups_are_summed_in_each_row_before_their_magnitude() -> None:
    values = np.array([[1.0, -1.0, 2.0], [-3.0, 1.0, 0.0], [np.nan, 1.0, 1.0]])
    found = ShapValues(values, 0.0, values.sum(axis=1), ("a", "b", "c"), Scale.PROBABILITY)
    np.testing.assert_allclose(found.magnitudes(), [2.0, 1.0, 1.0])
    np.testing.assert_allclose(found.group_magnitudes({"first": (0, 1), "second": (2,)}), [1.0, 1.0])


def test_a_model_without_closed_form_says_so() -> None:
    model = SimpleNamespace(
        preprocessor_=SimpleNamespace(transform=lambda X: X, source_=np.arange(4)),
        estimator_=SimpleNamespace(),
        schema=SCHEMA,
        task=Task.CLASSIFICATION,
    )
    found = shap_values(model, study(5)[0])
    assert isinstance(found, NotExplained)
    assert "SimpleNamespace" in found.reason


def test_a_booster_that_was_read_from_a_file_is_explained_the_same(tmp_path: Any) -> None:
    from xgboost import Booster, XGBClassifier

    X, y = sample(200)
    model = XGBClassifier(n_estimators=10, n_jobs=1).fit(X, y)
    model.save_model(tmp_path / "model.json")
    first = explain_estimator(model, X, lambda: X)
    second = explain_estimator(Booster(model_file=tmp_path / "model.json"), X, lambda: X)
    assert not isinstance(first, NotExplained)
    assert not isinstance(second, NotExplained)
    np.testing.assert_array_equal(first.values, second.values)


def test_a_regression_on_another_scale_is_not_explained() -> None:
    from xgboost import XGBRegressor

    X, y = sample(200)
    model = XGBRegressor(n_estimators=5, objective="count:poisson", n_jobs=1).fit(X, y)
    assert isinstance(explain_estimator(model, X, lambda: X, task=Task.REGRESSION), NotExplained)


def test_lightgbm_by_itself_sums_to_its_score() -> None:
    from lightgbm import LGBMClassifier

    X, y = sample(300)
    model = LGBMClassifier(n_estimators=30, n_jobs=1, verbose=-1).fit(X, y)
    found = explain_estimator(model, X[:50], lambda: X)
    assert not isinstance(found, NotExplained)
    np.testing.assert_allclose(found.values.sum(axis=1) + found.base, found.margin, atol=1e-10)
    np.testing.assert_allclose(found.margin, model.booster_.predict(X[:50], raw_score=True), atol=1e-12)


def test_logistic_regression_without_interactions_has_the_values_of_the_definition() -> None:
    """With independent features the value is E[f | x_j] - E[f], here over the very background."""
    X, y = sample(200, 3)
    model = LogisticRegression().fit(X, y)
    found = explain_estimator(model, X[:5], lambda: X)
    assert not isinstance(found, NotExplained)
    score = model.decision_function(X)
    for row in range(5):
        for column in range(3):
            changed = X.copy()
            changed[:, column] = X[row, column]
            expected = model.decision_function(changed).mean() - score.mean()
            assert found.values[row, column] == pytest.approx(expected, abs=1e-5)
