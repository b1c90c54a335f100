"""Differences between feature sets: intervals by hand, what chance and what an effect gives, leakage."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from model_rows import builder_of
from numpy.typing import NDArray

from susceptibility.comparison import decisive_metric, paired_difference, spread_over_folds
from susceptibility.leakage import find_leakage
from susceptibility.metrics import METRICS
from susceptibility.schema import Task
from susceptibility.validation import FoldResult, cross_validate, partition_rows

Array = NDArray[Any]


def result_with(
    value: float, fold: int, repeat: int = 0, *, scheme: str = "random", draw: int = 0, **more: Any
) -> FoldResult:
    return FoldResult(
        scheme=scheme,
        draw=draw,
        repeat=repeat,
        fold=fold,
        test=np.arange(20) + 20 * fold,
        target=np.zeros(20, np.uint8),
        probability=np.zeros(20),
        metrics={"auc_roc": value, "brier": value},
        train_cells=80,
        importance=np.empty((0, 1)),
        **more,
    )


def test_without_places_the_interval_is_that_of_nadeau_and_bengio() -> None:
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


def test_repeats_and_draws_are_counted() -> None:
    baseline = [
        result_with(0.5, fold, repeat, draw=draw) for draw in range(3) for repeat in range(2) for fold in range(4)
    ]
    difference = paired_difference(baseline, baseline)
    assert (difference.folds, difference.repeats, difference.draws) == (24, 6, 3)


def test_many_draws_do_not_shrink_the_interval_to_nothing() -> None:
    changes = [0.02, 0.05, 0.01, 0.04, 0.03]
    results = [result_with(change, fold, draw=draw) for draw in range(200) for fold, change in enumerate(changes)]
    spread = spread_over_folds(results, [result.metrics["auc_roc"] for result in results])
    assert spread.half > 1.9 * math.sqrt(np.var(changes) * 20 / 80)


def test_draws_of_the_same_folds_are_one_piece_of_evidence() -> None:
    # Two events: however many draws there are, n is 2.
    values = {0: 0.1, 1: 0.2}
    results = [result_with(values[fold], fold, scheme="events", draw=draw) for draw in range(50) for fold in range(2)]
    spread = spread_over_folds(results, [result.metrics["auc_roc"] for result in results])
    assert spread.degrees == 1
    assert spread.half == pytest.approx(12.7062047 * math.sqrt(0.005 * (0.5 + 0.25)))
    side = [result_with(0.1, 0, scheme="north-south", draw=draw) for draw in range(50)]
    assert math.isnan(spread_over_folds(side, [0.1] * 50).half)


def test_folds_where_the_metric_is_unknown_do_not_count() -> None:
    baseline = [result_with(0.5, fold) for fold in range(3)]
    candidate = [result_with(value, fold) for fold, value in enumerate([0.6, math.nan, 0.7])]
    difference = paired_difference(baseline, candidate)
    assert difference.mean == pytest.approx(0.15)
    assert difference.folds == 2
    nothing = paired_difference(baseline, [result_with(math.nan, fold) for fold in range(3)])
    assert math.isnan(nothing.mean)
    assert nothing.verdict() == "no gain"


def test_the_interval_over_places_is_the_jackknife_of_a_mean() -> None:
    # The metric is the mean over rows, five rows in each place: its jackknife is known in closed form.
    rng = np.random.default_rng(0)
    change = rng.normal(0.3, 1.0, (4, 6, 5))  # fold, place, row

    def results(values: Array) -> list[FoldResult]:
        found = []
        for fold, rows in enumerate(values):
            mean = rows.mean()
            without = [[np.delete(rows, place, axis=0).mean()] * 2 for place in range(6)]
            places = np.arange(6) + 6 * fold
            found.append(result_with(mean, fold, places=places, without=np.array(without)))
        return found

    difference = paired_difference(results(np.zeros_like(change)), results(change))
    sums = (change.mean(axis=2) - change.mean(axis=(1, 2))[:, None]) / (5 * 4)  # influence of a place on the mean
    half = 2.06865761 * math.sqrt(23 / 24 * np.sum(sums**2))  # t(0.975, 23)
    assert difference.mean - difference.lower == pytest.approx(half, rel=1e-6)
    folds = spread_over_folds(results(change), list(change.mean(axis=(1, 2)))).half
    assert difference.upper - difference.mean == pytest.approx(max(half, folds))
    worse = paired_difference(results(np.zeros_like(change)), results(change), "brier")
    assert worse.upper - worse.mean == pytest.approx(half)  # less is better: the other side


def test_places_of_other_sizes_are_not_compared() -> None:
    def results(size_m: list[float], value: float) -> list[FoldResult]:
        places = {"places": np.arange(2), "without": np.full((2, 2), value)}
        return [result_with(value, fold, place_size_m=size, **places) for fold, size in enumerate(size_m)]

    same, mixed = [500.0, 500.0, 500.0], [500.0, 1000.0, 500.0]
    assert paired_difference(results(same, 0.5), results(same, 0.6)).verdict() == "gain"
    difference = paired_difference(results(mixed, 0.5), results(mixed, 0.6))
    assert difference.lower == pytest.approx(0.1)  # of folds that all tell the same


def test_what_decides() -> None:
    assert decisive_metric(Task.CLASSIFICATION) == "auc_roc"
    assert decisive_metric(Task.REGRESSION) == "r2"


def smooth(rng: np.random.Generator, side: int = 60) -> Array:
    from scipy.ndimage import gaussian_filter

    plane = gaussian_filter(rng.normal(size=(side, side)), 4.0, mode="wrap")
    return np.asarray((plane - plane.mean()) / plane.std())


class Slope:
    """Logistic regression without its machinery: a few Newton steps from zero."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fit(self, X: Array, y: Array, *, sample_weight: Array | None = None, groups: Array | None = None) -> Slope:
        columns = np.column_stack([np.ones(len(X)), X])
        self.effects = np.zeros(columns.shape[1])
        for _ in range(8):
            p = 1.0 / (1.0 + np.exp(-columns @ self.effects))
            curvature = columns.T @ (columns * (p * (1.0 - p))[:, None]) + 0.1 * np.eye(columns.shape[1])
            self.effects += np.linalg.solve(curvature, columns.T @ (y - p) - 0.1 * self.effects)
        return self

    def predict(self, X: Array) -> Array:
        return np.asarray(1.0 / (1.0 + np.exp(-np.column_stack([np.ones(len(X)), X]) @ self.effects)))


def verdicts(effect: float, seeds: range) -> dict[str, list[str]]:
    """Verdict on a smooth second feature, by scheme, in landscapes of their own; two draws of the other rows."""
    found: dict[str, list[str]] = {"random": [], "spatial-blocks": []}
    rows, cols = np.mgrid[0:60, 0:60]
    places = np.stack([cols.ravel() * 50.0, rows.ravel() * 50.0], axis=1)
    for seed in seeds:
        rng = np.random.default_rng(seed)
        features = np.stack([smooth(rng).ravel(), smooth(rng).ravel()], axis=1)
        logit = -3.0 + 1.2 * features[:, 0] + effect * features[:, 1] + 0.5 * smooth(rng).ravel()
        landslide = rng.uniform(size=3600) < 1.0 / (1.0 + np.exp(-logit))
        for scheme, values in found.items():
            results: list[list[FoldResult]] = [[], []]
            for draw in range(2):
                free = rng.choice(np.flatnonzero(~landslide), landslide.sum(), replace=False)
                sample = np.sort(np.concatenate([np.flatnonzero(landslide), free]))
                target = landslide[sample].astype(np.uint8)
                partition = partition_rows(scheme, places[sample], target, folds=4, block_size_m=500.0, draw=draw)
                for number in range(2):
                    table = features[sample][:, : number + 1].astype(np.float32)
                    results[number] += cross_validate(Slope, table, target, [partition], workers=1)
            values.append(paired_difference(results[0], results[1]).verdict())
    return found


def test_a_feature_that_tells_nothing_is_no_gain_and_no_loss() -> None:
    for found in verdicts(0.0, range(10)).values():
        assert found.count("no gain") >= 9


def test_a_feature_that_tells_something_is_a_gain() -> None:
    for found in verdicts(1.0, range(5)).values():
        assert found.count("gain") >= 4


def clustered() -> tuple[Array, Array]:
    """Coordinates, and landslides in patches that nothing but the place tells of."""
    rng = np.random.default_rng(5)
    coordinates_m = rng.uniform(0.0, 10_000.0, (2500, 2))
    patch = (coordinates_m // 625.0).astype(int)
    patches = rng.uniform(size=(16, 16)) < 0.5
    return coordinates_m, patches[patch[:, 0], patch[:, 1]].astype(np.uint8)


def scored(features: Array, coordinates_m: Array, target: Array, model: str) -> dict[str, list[FoldResult]]:
    build = builder_of(model, features.shape[1], **({} if model == "logistic_regression" else {"trees": 40}))
    return {
        scheme: cross_validate(
            build,
            features.astype(np.float32),
            target,
            [partition_rows(scheme, coordinates_m, target, folds=4, block_size_m=3000.0)],
            workers=1,
        )
        for scheme in ("random", "spatial-blocks")
    }


def test_a_model_of_coordinates_is_told_to_know_places() -> None:
    coordinates_m, target = clustered()
    (found,) = find_leakage(scored(coordinates_m, coordinates_m, target, "random_forest"))
    assert found.random > 0.9
    assert found.spatial < 0.62
    assert found.is_suspected
    assert found.sentence.startswith("The model knows places, not causes: AUC-ROC is 0.9")
    assert f"{found.spatial:.2f} on spatial block folds" in found.sentence


def test_honest_features_raise_no_warning() -> None:
    coordinates_m, _ = clustered()
    rng = np.random.default_rng(1)
    feature = np.sin(coordinates_m[:, :1] / 900.0) + np.cos(coordinates_m[:, 1:] / 700.0)
    target = (rng.uniform(size=2500) < 1.0 / (1.0 + np.exp(-1.5 * feature[:, 0]))).astype(np.uint8)
    (found,) = find_leakage(scored(feature, coordinates_m, target, "logistic_regression"))
    assert found.spatial > 0.75
    assert abs(found.fall) < 0.05
    assert not found.is_suspected


def test_a_fall_within_the_margin_or_within_chance_is_no_leakage() -> None:
    def folds(random: list[float], spatial: list[float]) -> dict[str, list[FoldResult]]:
        return {
            scheme: [result_with(value, fold, scheme=scheme) for fold, value in enumerate(values)]
            for scheme, values in (("random", random), ("kmeans", spatial))
        }

    assert find_leakage(folds([0.95, 0.94, 0.96], [0.5, 0.52, 0.48]))[0].is_suspected
    assert not find_leakage(folds([0.95, 0.94, 0.96], [0.85, 0.86, 0.84]))[0].is_suspected  # 0.1: within the margin
    assert find_leakage(folds([0.95, 0.94, 0.96], [0.85, 0.86, 0.84]), margin=0.05)[0].is_suspected
    assert not find_leakage(folds([0.95, 0.94, 0.96], [0.2, 0.9, 0.95]))[0].is_suspected  # folds differ too much
    assert not find_leakage(folds([0.95], [0.5]))[0].is_suspected  # one fold tells nothing
    assert find_leakage({"kmeans": []}) == []


def test_the_fall_has_the_interval_of_welch() -> None:
    random, spatial = [0.9, 0.92, 0.94], [0.5, 0.6, 0.7]
    found = find_leakage(
        {
            scheme: [result_with(value, fold, scheme=scheme) for fold, value in enumerate(values)]
            for scheme, values in (("random", random), ("spatial-blocks", spatial))
        }
    )[0]
    errors = [np.var(values, ddof=1) * (1 / 3 + 20 / 80) for values in (random, spatial)]
    degrees = sum(errors) ** 2 / sum(error**2 / 2 for error in errors)
    from scipy.stats import t

    assert found.fall == pytest.approx(0.32)
    assert found.fall - found.lower == pytest.approx(t.ppf(0.975, degrees) * math.sqrt(sum(errors)))
    assert METRICS[found.metric].title in found.sentence
