"""Registered models: each learns, repeats to the byte, and brings its preprocessing along."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydantic import ValidationError

from susceptibility.explain import permutation_importance
from susceptibility.metrics import score
from susceptibility.models import MODELS

QUICK = {"random_forest": {"trees": 40}, "xgboost": {"trees": 40}}


def easy_sample(cells: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The first feature decides, the second is noise; scales differ by a million."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(cells, 2)).astype(np.float32)
    target = (features[:, 0] + 0.5 * rng.normal(size=cells) > 0).astype(np.uint8)
    features[:, 1] *= 1e6
    return features, target


@pytest.mark.parametrize("name", MODELS)
def test_a_model_learns_and_repeats(name: str) -> None:
    definition = MODELS[name]
    options = definition.options(**QUICK.get(name, {}))
    features, target = easy_sample()
    unseen, truth = easy_sample(seed=1)
    first, second = (definition.build(options, 7) for _ in range(2))
    first.fit(features, target)
    second.fit(features, target)
    probability = first.predict_proba(unseen)[:, 1]
    assert score(truth, probability)["auc_roc"] > 0.88  # 0.92 for the true probability
    assert probability.tobytes() == second.predict_proba(unseen)[:, 1].tobytes()
    native = definition.native_importance(first)
    assert native.shape == (2,)
    assert abs(native[0]) > 2 * abs(native[1])


@pytest.mark.parametrize("name", MODELS)
def test_permutation_importance_finds_what_decides_and_noise_is_noise(name: str) -> None:
    definition = MODELS[name]
    estimator = definition.build(definition.options(**QUICK.get(name, {})), 7)
    estimator.fit(*easy_sample())
    unseen, truth = easy_sample(seed=1)
    drops = permutation_importance(estimator, unseen, truth, 8, seed=3)
    assert drops.shape == (8, 2)
    assert drops[:, 0].min() > 0.3
    assert abs(drops[:, 1].mean()) < 0.02
    np.testing.assert_array_equal(drops, permutation_importance(estimator, unseen, truth, 8, seed=3))
    assert permutation_importance(estimator, unseen, truth, 0).shape == (0, 2)


def test_permutation_importance_equals_one_feature_at_a_time() -> None:
    from sklearn.metrics import roc_auc_score

    definition = MODELS["logistic_regression"]
    estimator = definition.build(definition.options(), 0)
    features, target = easy_sample(80)
    estimator.fit(features, target)
    rng = np.random.default_rng(5)
    reference = roc_auc_score(target, estimator.predict_proba(features)[:, 1])
    expected = []
    for column in range(2):
        shuffled = features.copy()
        shuffled[:, column] = rng.permutation(features[:, column])
        expected.append(reference - roc_auc_score(target, estimator.predict_proba(shuffled)[:, 1]))
    np.testing.assert_allclose(permutation_importance(estimator, features, target, 1, seed=5)[0], expected, atol=1e-12)


def test_logistic_regression_without_penalty_is_maximum_likelihood() -> None:
    features, target = easy_sample(300)
    definition = MODELS["logistic_regression"]
    estimator = definition.build(definition.options(inverse_regularisation=math.inf), 0)
    estimator.fit(features, target)
    fitted = estimator.predict_proba(features)[:, 1]
    # The score equations: residuals are orthogonal to the intercept and to each standardised feature.
    standard = (features - features.mean(axis=0)) / features.std(axis=0)
    assert abs((target - fitted).mean()) < 1e-4
    np.testing.assert_allclose((target - fitted) @ standard / 300, 0.0, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("logistic_regression", {"inverse_regularisation": 0.0}),
        ("random_forest", {"trees": 0}),
        ("random_forest", {"features_per_split": 1.5}),
        ("xgboost", {"learning_rate": 2.0}),
        ("xgboost", {"eta": 0.1}),
    ],
)
def test_options_out_of_range_or_unknown_are_refused(name: str, options: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        MODELS[name].options(**options)
