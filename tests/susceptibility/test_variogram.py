"""Variograms of simulated fields whose range is known, and the blocks that follow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from susceptibility.errors import InputError
from susceptibility.schema import FeatureSchema, Task
from susceptibility.variogram import (
    Estimator,
    Shape,
    Variogram,
    block_size_from_residuals,
    fit_variogram,
    quick_residuals,
)
from susceptibility.workers import single_threads

Array = NDArray[Any]

EXTENT_M = 20_000.0


def places_of(rows: int, seed: int) -> Array:
    return np.random.default_rng([seed, 1]).uniform(0.0, EXTENT_M, (rows, 2))


def correlated(places: Array, range_m: float, shape: Shape, seed: int, nugget: float = 0.0) -> Array:
    """A Gaussian field of variance 1, and of the nugget besides."""
    apart = np.linalg.norm(places[:, None] - places[None], axis=2) / range_m
    if shape is Shape.EXPONENTIAL:
        covariance = np.exp(-3.0 * apart)
    else:
        covariance = np.where(apart < 1.0, 1.0 - 1.5 * apart + 0.5 * apart**3, 0.0)
    rng = np.random.default_rng([seed, 2])
    with single_threads():  # threads that wait for each other take far longer on a busy machine
        root = np.linalg.cholesky(covariance + 1e-9 * np.eye(len(places)))
    return np.asarray(root @ rng.normal(size=len(places)) + np.sqrt(nugget) * rng.normal(size=len(places)))


@pytest.mark.parametrize(
    ("estimator", "shape", "range_m", "nugget"),
    [
        (Estimator.MATHERON, Shape.EXPONENTIAL, 2000.0, 0.0),
        (Estimator.CRESSIE_HAWKINS, Shape.EXPONENTIAL, 2500.0, 0.2),
        (Estimator.CRESSIE_HAWKINS, Shape.SPHERICAL, 3000.0, 0.5),
    ],
)
def test_the_range_of_a_field_is_recovered(estimator: Estimator, shape: Shape, range_m: float, nugget: float) -> None:
    found = []
    for seed in range(7):
        places = places_of(600, seed)
        found.append(
            fit_variogram(
                correlated(places, range_m, shape, seed, nugget), places, estimator=estimator, shapes=[shape], seed=seed
            )
        )
    assert np.median([each.range_m for each in found]) == pytest.approx(range_m, rel=0.25)
    assert np.median([each.nugget + each.partial_sill for each in found]) == pytest.approx(1.0 + nugget, rel=0.2)
    assert all(each.p_value <= 0.02 for each in found)


def test_semivariances_are_half_the_mean_squared_differences() -> None:
    places, rng = places_of(120, 0), np.random.default_rng(3)
    values = rng.normal(size=120)
    found = fit_variogram(values, places)
    first, second = np.triu_indices(120, 1)
    distance = np.linalg.norm(places[first] - places[second], axis=1)
    within = distance <= 0.5 * np.hypot(*np.ptp(places, axis=0))
    assert found.pairs.sum() == within.sum()
    squares = 0.5 * (values[first] - values[second])[within] ** 2
    assert np.sum(found.pairs * found.semivariance) == pytest.approx(squares.sum())
    assert np.sum(found.pairs * found.lag_m) == pytest.approx(distance[within].sum())
    order = np.argsort(distance[within])
    nearest = order[: found.pairs[0]]  # lags are of ascending distance
    assert found.semivariance[0] == pytest.approx(squares[nearest].mean())


def test_the_robust_estimator_forgives_outliers() -> None:
    places = places_of(600, 1)
    values = np.random.default_rng(0).normal(size=600)
    clean = fit_variogram(values, places, estimator=Estimator.CRESSIE_HAWKINS).semivariance
    assert np.average(clean) == pytest.approx(1.0, rel=0.1)
    values[:6] += 40.0
    robust = fit_variogram(values, places, estimator=Estimator.CRESSIE_HAWKINS).semivariance
    plain = fit_variogram(values, places).semivariance
    assert np.average(robust) < 1.6
    assert np.average(plain) > 5.0


def test_white_noise_has_no_range() -> None:
    found = [fit_variogram(np.random.default_rng(seed).normal(size=400), places_of(400, seed)) for seed in range(10)]
    assert sum(np.isnan(each.range_m) for each in found) >= 9
    unlike = next(each for each in found if np.isnan(each.range_m))
    np.testing.assert_allclose(unlike.model(np.array([10.0, 5000.0])), unlike.nugget)


def test_the_model_rises_from_the_nugget_to_the_sill() -> None:
    nothing = np.empty(0)
    for shape, at_range in ((Shape.SPHERICAL, 1.0), (Shape.EXPONENTIAL, 1.0 - np.exp(-3.0))):
        model = Variogram(nothing, nothing, nothing.astype(int), shape, 0.3, 2.0, 500.0, 0.01, reaches_end=False)
        np.testing.assert_allclose(model.model(np.array([0.0, 500.0, 1e9])), [0.3, 0.3 + 2.0 * at_range, 2.3])


def test_the_same_seed_gives_the_same_bytes() -> None:
    places = places_of(3000, 2)
    values = np.sin(places[:, 0] / 700.0) + np.random.default_rng(0).normal(size=3000)
    one, two = (fit_variogram(values, places, seed=5) for _ in range(2))
    assert one.semivariance.tobytes() == two.semivariance.tobytes()
    assert one.range_m == two.range_m
    assert one.pairs.sum() <= 200_000


def landslides_of(range_m: float, seed: int) -> tuple[Array, Array, Array]:
    """A feature, landslides of it and of a field that no feature tells of, and where they are."""
    places = places_of(800, seed)
    rng = np.random.default_rng([seed, 3])
    feature = rng.normal(size=800)
    hidden = correlated(places, range_m, Shape.EXPONENTIAL, seed)
    target = rng.uniform(size=800) < 1.0 / (1.0 + np.exp(-feature - 2.0 * hidden))
    return feature[:, None].astype(np.float32), target.astype(np.uint8), places


def test_blocks_are_of_the_range_of_what_features_do_not_tell() -> None:
    sizes = [block_size_from_residuals(*landslides_of(2500.0, seed), seed=seed) for seed in range(5)]
    assert np.median([each.variogram.range_m for each in sizes]) == pytest.approx(2500.0, rel=0.4)
    for each in sizes:
        if each.block_size_m == each.variogram.range_m:
            assert f"alike up to {each.block_size_m:,.0f} m" in each.note


def test_blocks_are_bounded_and_the_note_says_so() -> None:
    features, target, places = landslides_of(15_000.0, 0)
    found = block_size_from_residuals(features, target, places)
    assert found.block_size_m == pytest.approx(np.sqrt(np.prod(np.ptp(places, axis=0)) / 20.0))
    assert "spatial scores somewhat too good" in found.note


def test_residuals_that_are_not_alike_give_blocks_by_the_extent() -> None:
    places = places_of(500, 3)
    rng = np.random.default_rng(4)
    feature = rng.normal(size=(500, 1)).astype(np.float32)
    target = (rng.uniform(size=500) < 1.0 / (1.0 + np.exp(-feature[:, 0]))).astype(np.uint8)
    found = block_size_from_residuals(feature, target, places)
    assert found.block_size_m == pytest.approx(EXTENT_M / 5.0, rel=0.02)
    assert "not alike in space" in found.note


def test_residuals_of_a_probability_are_those_of_logistic_regression() -> None:
    features, target, _ = landslides_of(2500.0, 1)
    residuals = quick_residuals(features, target)
    assert abs(residuals.sum()) < 0.5
    assert abs(residuals @ features[:, 0]) < 1.5  # the penalty holds it back a little
    assert np.abs(residuals).max() < 1.0


def test_residuals_of_a_density_by_class_are_distances_to_the_class_means() -> None:
    rng = np.random.default_rng(5)
    rock = rng.integers(1, 4, 600)
    density = np.array([0.5, 0.1, 0.9])[rock - 1] + rng.normal(0.0, 0.01, 600)
    schema = [FeatureSchema("rock", classes=("granite", "shale", "marl"))]
    codes = rock[:, None].astype(np.float32)
    residuals = quick_residuals(codes, density, task=Task.REGRESSION, schema=schema)
    assert residuals.std() == pytest.approx(0.01, rel=0.2)
    assert quick_residuals(codes, density, task=Task.REGRESSION).std() > 0.1  # codes taken for quantities
    codes[:5] = np.nan
    assert np.isfinite(quick_residuals(codes, density, task=Task.REGRESSION, schema=schema)).all()


def test_what_has_no_variogram_is_refused() -> None:
    places = places_of(50, 0)
    with pytest.raises(InputError, match="at least 30 rows in different places"):
        fit_variogram(np.arange(10.0), places[:10])
    with pytest.raises(InputError, match="values that differ"):
        fit_variogram(np.ones(50), places)
    with pytest.raises(InputError, match="some unknown"):
        fit_variogram(np.full(50, np.nan), places)
    with pytest.raises(InputError, match="different places"):
        fit_variogram(np.arange(50.0), np.zeros((50, 2)))
