"""Registered models: each learns, repeats to the byte, and agrees with its library or with figures by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from model_rows import QUICK, SCHEMA, draw_rows, true_probability
from pydantic import ValidationError

from susceptibility.errors import OptionError
from susceptibility.models import MODELS, CalibrationOptions, PreprocessingOptions, SusceptibilityModel
from susceptibility.models.linear import logistic
from susceptibility.schema import FeatureSchema, Task
from susceptibility.usgs import usgs_areal_coverage, usgs_probability

LEARNING = [name for name in MODELS if name != "usgs_2018"]
REGRESSION = [name for name, definition in MODELS.items() if Task.REGRESSION in definition.tasks]
AB = (FeatureSchema("a"), FeatureSchema("b"))


def model_of(name: str, schema=SCHEMA, *, task: Task = Task.CLASSIFICATION, seed: int = 7, options=None, **kwargs):
    definition = MODELS[name]
    chosen = definition.options(**{**QUICK.get(name, {}), **(options or {})})
    return SusceptibilityModel(definition, chosen, schema, task, seed, **kwargs)


def two_columns(rows: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The first feature decides, the second is noise; scales differ by a million."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 2)).astype(np.float32)
    y = (X[:, 0] + 0.5 * rng.normal(size=rows) > 0).astype(np.uint8)
    X[:, 1] *= 1e6
    return X, y


@pytest.mark.parametrize("name", LEARNING)
def test_a_model_learns_what_decides_and_repeats(name: str) -> None:
    from sklearn.metrics import roc_auc_score

    X, y = draw_rows(800)
    unseen, truth = draw_rows(800, seed=1)
    first, second = (model_of(name).fit(X, y) for _ in range(2))
    probability = first.predict(unseen)
    assert probability.dtype == np.float64
    assert ((probability >= 0.0) & (probability <= 1.0)).all()
    best = roc_auc_score(truth, true_probability(unseen))
    assert roc_auc_score(truth, probability) > best - 0.06
    assert probability.tobytes() == second.predict(unseen).tobytes()
    importance = np.abs(first.native_importance())
    assert importance.shape == (6,)
    if name == "rbf_svm":
        assert np.isnan(importance).all()
    else:
        assert {int(index) for index in np.argsort(importance)[-2:]} == {1, 5} or importance.argmax() == 1


@pytest.mark.parametrize("name", REGRESSION)
def test_a_density_is_learned_and_stays_in_its_bounds(name: str) -> None:
    X, _ = draw_rows(600)
    y = true_probability(X)
    model = model_of(name, task=Task.REGRESSION, upper=0.5).fit(X, y)
    unseen, _ = draw_rows(300, seed=1)
    predicted = model.predict(unseen)
    assert predicted.min() >= 0.0
    assert predicted.max() <= 0.5
    if name != "usgs_2018":
        truth = np.minimum(true_probability(unseen), 0.5)
        assert 1.0 - ((predicted - truth) ** 2).sum() / ((truth - truth.mean()) ** 2).sum() > 0.8


@pytest.mark.parametrize("name", MODELS)
def test_a_row_has_the_same_answer_whatever_rows_come_with_it(name: str) -> None:
    X, y = draw_rows(200)
    model = model_of(name).fit(X, y)
    whole = model.predict(X)
    assert model.predict(X[13:14]).tobytes() == whole[13:14].tobytes()
    assert model.predict(np.asfortranarray(X[57:111])).tobytes() == whole[57:111].tobytes()


def test_logistic_regression_equals_newtons_method() -> None:
    X, y = draw_rows(300)
    model = model_of("logistic_regression", options={"inverse_regularisation": math.inf}).fit(X, y)
    columns = X[:, :5].astype(np.float64)
    columns = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    classes = (X[:, 5:] == np.array([1.0, 2.0, 3.0])).astype(np.float64)
    # Without a penalty the three classes and the intercept say the same twice: two classes are enough.
    design = np.column_stack([np.ones(300), columns, classes[:, 1:]])
    beta = np.zeros(design.shape[1])
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(-design @ beta))
        beta += np.linalg.solve(design.T @ (design * (p * (1.0 - p))[:, None]), design.T @ (y - p))
    np.testing.assert_allclose(model.predict(X), 1.0 / (1.0 + np.exp(-design @ beta)), atol=2e-4)
    np.testing.assert_allclose(model.native_importance()[:5], beta[1:6], atol=2e-3)


@pytest.mark.parametrize("balanced", [False, True])
def test_logistic_regression_equals_a_pipeline_of_scikit_learn(balanced: bool) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, y = two_columns()
    y[:60] = 0
    expected = make_pipeline(
        StandardScaler(), LogisticRegression(tol=1e-8, class_weight="balanced" if balanced else None)
    ).fit(X.astype(np.float64), y)
    model = model_of("logistic_regression", AB, options={"balanced": balanced}).fit(X, y)
    np.testing.assert_allclose(model.predict(X), expected.predict_proba(X.astype(np.float64))[:, 1], atol=1e-5)


def test_support_vector_machines_equal_scikit_learn_and_rank_by_their_margin() -> None:
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC, LinearSVC

    X, y = two_columns(200)
    columns = StandardScaler().fit_transform(X.astype(np.float64)).astype(np.float32).astype(np.float64)
    for name, machine in (("linear_svm", LinearSVC(dual=False)), ("rbf_svm", SVC())):
        model = model_of(name, AB).fit(X, y)
        margin = machine.fit(columns, y).decision_function(columns)
        assert model.calibrator_ is not None
        np.testing.assert_allclose(model.predict(X), model.calibrator_.predict(margin), atol=1e-5)
        assert (np.diff(model.predict(X)[np.argsort(margin)]) >= -1e-6).all()


@pytest.mark.parametrize("task", list(Task))
def test_a_forest_predicts_as_scikit_learn_to_the_bit(task: Task) -> None:
    X, y = draw_rows(300)
    target = y if task is Task.CLASSIFICATION else y * 0.3 + X[:, 1] / 100.0
    model = model_of("random_forest", task=task).fit(X, target)
    columns = model.preprocessor_.transform(X)
    forest = model.estimator_
    expected = forest.predict_proba(columns)[:, 1] if task is Task.CLASSIFICATION else forest.predict(columns)
    assert model.predict(X).tobytes() == np.clip(expected, 0.0, None).tobytes()


def test_a_balanced_forest_has_the_class_weights_of_scikit_learn() -> None:
    from sklearn.ensemble import RandomForestClassifier

    X, y = two_columns()
    y[:100] = 0
    forest = RandomForestClassifier(12, min_samples_leaf=3, class_weight="balanced", random_state=7, n_jobs=1).fit(X, y)
    model = model_of("random_forest", AB, options={"balanced": True}).fit(X, y)
    np.testing.assert_allclose(model.predict(X), forest.predict_proba(X)[:, 1], atol=1e-12)


@pytest.mark.parametrize("criterion", ["squared_error", "absolute_error"])
def test_a_forest_of_densities_equals_scikit_learn(criterion: str) -> None:
    from sklearn.ensemble import RandomForestRegressor

    X, _ = two_columns(120)
    y = np.abs(X[:, 0].astype(np.float64))
    forest = RandomForestRegressor(
        12, criterion=criterion, min_samples_leaf=3, max_features="sqrt", random_state=7, bootstrap=False
    ).fit(X, y)
    model = model_of("random_forest", AB, task=Task.REGRESSION, options={"criterion": criterion, "bootstrap": False})
    np.testing.assert_array_equal(model.fit(X, y).predict(X), forest.predict(X))


@pytest.mark.parametrize("weighting", [{}, {"balanced": True}, {"scale_pos_weight": 3.0}])
def test_xgboost_predicts_as_its_own_class_to_the_bit(weighting: dict) -> None:
    from xgboost import XGBClassifier

    X, y = two_columns()
    y[:100] = 0
    weight = {"balanced": float((y == 0).sum() / y.sum()), "scale_pos_weight": 3.0}.get(next(iter(weighting), ""), 1.0)
    expected = XGBClassifier(
        n_estimators=25,
        learning_rate=0.2,
        max_depth=4,
        subsample=0.8,
        colsample_bytree=0.8,
        scale_pos_weight=weight,
        tree_method="hist",
        n_jobs=1,
        random_state=7,
    ).fit(X, y)
    predicted = model_of("xgboost", AB, options=weighting).fit(X, y).predict(X)
    assert predicted.astype(np.float32).tobytes() == expected.predict_proba(X)[:, 1].tobytes()


def test_weights_of_rows_count_as_repeated_rows() -> None:
    X, y = two_columns(150)
    times = np.where(np.arange(150) % 3 == 0, 3, 1)
    for name in ("frequency_ratio", "logistic_regression"):
        scale = PreprocessingOptions(scale="none")  # which is learned from the rows, not from their weights
        X[:, 1] = np.clip(X[:, 1], -2.0, 2.0)
        options = {"binning": "equal"} if name == "frequency_ratio" else {}
        weighted = model_of(name, AB, options=options, preprocessing=scale).fit(X, y, sample_weight=times.astype(float))
        repeated = model_of(name, AB, options=options, preprocessing=scale).fit(
            np.repeat(X, times, 0), np.repeat(y, times)
        )
        np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), atol=1e-4)


def test_frequency_ratios_by_hand() -> None:
    """Eight rows: half of the slope's are steep, where three of four landslides are."""
    schema = (FeatureSchema("slope"), FeatureSchema("rock", classes=("granite", "marl", "slate")))
    X = np.array([[5, 1], [6, 1], [7, 1], [8, 2], [30, 1], [31, 2], [32, 2], [33, 2]], np.float32)
    y = np.array([0, 0, 0, 1, 0, 1, 1, 1], np.uint8)
    model = model_of("frequency_ratio", schema, options={"bins": 2}).fit(X, y)
    table = model.estimator_.rows()
    assert [(row.feature, row.label) for row in table] == [
        ("slope", ""),
        ("slope", ""),
        ("rock", "granite"),
        ("rock", "marl"),
        ("rock", "slate"),
    ]
    assert (table[0].lower, table[0].upper, table[1].lower) == (-math.inf, 8.0, 8.0)  # the median that occurs
    # Below 8: three rows, no landslide. From 8: five rows, all four landslides.
    np.testing.assert_allclose([row.ratio for row in table[:4]], [0.0, (4 / 4) / (5 / 8), 0.0, (4 / 4) / (4 / 8)])
    assert math.isnan(table[4].ratio)
    total = model.estimator_.total(X)
    np.testing.assert_allclose(total, [0, 0, 0, 1.6 + 2.0, 1.6, 3.6, 3.6, 3.6])
    np.testing.assert_allclose(
        model.predict(X), logistic(model.estimator_.curve.slope_ * total + model.estimator_.curve.intercept_)
    )
    # Slate, of which nothing is known, and a class past the schema count as average.
    beyond = np.array([[30, 3], [30, 9]], np.float32)
    np.testing.assert_allclose(model.estimator_.total(beyond), [2.6, 2.6])
    logs = model_of("frequency_ratio", schema, options={"bins": 2, "combine": "log", "smoothing": 1.0}).fit(X, y)
    # (0 + 1) / (4 + 2) of the landslides on 3/8 of the rows, and (0 + 1) / (4 + 2) on half of them.
    np.testing.assert_allclose(
        logs.estimator_.total(X[:1]), [math.log((1 / 6) / (3 / 8)) + math.log((1 / 6) / (4 / 8))]
    )


def test_the_published_model_is_the_published_equation() -> None:
    X, y = draw_rows(50)
    inputs = X[:, :5].astype(np.float64).T
    model = model_of("usgs_2018").fit(X, y)
    np.testing.assert_array_equal(model.predict(X), usgs_probability(*inputs))
    same = model_of("usgs_2018", preprocessing=PreprocessingOptions(scale="standard")).fit(X, y)
    np.testing.assert_array_equal(same.predict(X), model.predict(X))  # a scale for others leaves units alone
    density = model_of("usgs_2018", task=Task.REGRESSION).fit(X, y.astype(float))
    np.testing.assert_array_equal(density.predict(X), usgs_areal_coverage(usgs_probability(*inputs), inputs[1]))


def test_the_published_model_needs_its_features() -> None:
    definition = MODELS["usgs_2018"]
    assert definition.required_features(definition.options(cti="wetness")) == (
        "pgv",
        "slope",
        "wetness",
        "lithology_coefficient",
        "landcover_coefficient",
    )
    X, y = draw_rows(50)
    with pytest.raises(OptionError, match=r"features of usgs_2018: .*none called wetness among pgv"):
        model_of("usgs_2018", options={"cti": "wetness"}).fit(X, y)
    classes = tuple(replace(each, classes=("x", "y")) if each.name == "pgv" else each for each in SCHEMA)
    with pytest.raises(OptionError, match="none called pgv"):
        model_of("usgs_2018", classes).fit(X, y)


@pytest.mark.parametrize("name", ["rbf_svm", "linear_svm"])
def test_the_part_of_the_rows_that_was_used_is_told(name: str) -> None:
    X, y = two_columns(300)
    model = model_of(name, AB, options={"most_rows": 40}).fit(X, y)
    assert (model.rows_given_, model.rows_used_) == (300, 40)
    assert model.predict(X).tobytes() == model_of(name, AB, options={"most_rows": 40}).fit(X, y).predict(X).tobytes()
    assert model_of(name, AB).fit(X, y).rows_used_ == 300


@pytest.mark.parametrize("name", [name for name in MODELS if Task.REGRESSION not in MODELS[name].tasks])
def test_what_only_classifies_says_so(name: str) -> None:
    X, y = draw_rows(50)
    with pytest.raises(OptionError, match=f"model {name}: required classification; found regression"):
        model_of(name, task=Task.REGRESSION).fit(X, y.astype(float))


def test_a_criterion_of_the_other_task_and_probabilities_without_calibration_are_refused() -> None:
    X, y = draw_rows(50)
    with pytest.raises(OptionError, match=r"criterion of random_forest: required gini or entropy for classification"):
        model_of("random_forest", options={"criterion": "absolute_error"}).fit(X, y)
    with pytest.raises(OptionError, match=r"calibration: required sigmoid or isotonic for rbf_svm"):
        model_of("rbf_svm", calibration=CalibrationOptions(method="none")).fit(X, y)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("logistic_regression", {"inverse_regularisation": 0.0}),
        ("random_forest", {"trees": 0}),
        ("random_forest", {"features_per_split": 1.5}),
        ("xgboost", {"learning_rate": 2.0}),
        ("xgboost", {"eta": 0.1}),
        ("lightgbm", {"balanced": True, "scale_pos_weight": 2.0}),
        ("usgs_2018", {"cti": "slope"}),
        ("frequency_ratio", {"bins": 1}),
    ],
)
def test_options_out_of_range_or_unknown_are_refused(name: str, options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MODELS[name].options(**options)
