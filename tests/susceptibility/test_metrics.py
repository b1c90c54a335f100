"""Metrics, thresholds and curves against counts made by hand, closed forms and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from susceptibility.curves import rate_curve
from susceptibility.errors import InputError
from susceptibility.metrics import (
    DENSITY_METRICS,
    METRICS,
    calibration_error,
    metrics_of,
    precision_recall_curve,
    roc_curve,
    score,
    summarize,
    unknown_scores,
)
from susceptibility.schema import Task
from susceptibility.thresholds import Confusion, ThresholdRule, choose_threshold, confusion

TARGET = np.array([1, 1, 1, 0, 0, 0, 0, 0])
PROBABILITY = np.array([0.9, 0.6, 0.3, 0.8, 0.5, 0.2, 0.1, 0.1])


def test_metrics_of_a_small_table() -> None:
    # At 0.5: hits 2 (0.9, 0.6), misses 1 (0.3), false alarms 2 (0.8, 0.5), rejections 3.
    scores = score(TARGET, PROBABILITY)
    assert scores["prevalence"] == 3 / 8
    assert scores["csi"] == pytest.approx(2 / 5)
    assert scores["f1"] == pytest.approx(4 / 7)
    assert scores["sensitivity"] == pytest.approx(2 / 3)
    assert scores["specificity"] == pytest.approx(3 / 5)
    assert scores["accuracy"] == pytest.approx(5 / 8)
    # Of 15 pairs: 0.9 beats 5, 0.6 beats 4, 0.3 beats 3.
    assert scores["auc_roc"] == pytest.approx(12 / 15)
    # Precision at each landslide found: 1/1, 2/3, 3/5.
    assert scores["auc_pr"] == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    assert scores["brier"] == pytest.approx((0.01 + 0.16 + 0.49 + 0.64 + 0.25 + 0.04 + 0.01 + 0.01) / 8)
    expected = -sum(math.log(p if t else 1 - p) for t, p in zip(TARGET, PROBABILITY, strict=True)) / 8
    assert scores["log_loss"] == pytest.approx(expected)
    assert list(scores) == list(METRICS)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0])), min_size=2, max_size=60))
def test_auc_is_the_share_of_pairs_in_order(cells: list[tuple[bool, float]]) -> None:
    target = np.array([landslide for landslide, _ in cells])
    p = np.array([probability for _, probability in cells])
    if target.all() or not target.any():
        return
    pairs = p[target][:, None] - p[~target][None, :]
    assert score(target, p)["auc_roc"] == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())


def test_certain_and_wrong_has_a_finite_log_loss() -> None:
    assert math.isfinite(score(np.array([1, 0]), np.array([0.0, 1.0]))["log_loss"])


def test_summaries() -> None:
    summary = summarize(np.arange(1.0, 102.0))
    assert summary["mean"] == 51.0
    assert summary["q05"] == pytest.approx(6.0)
    assert summary["q95"] == pytest.approx(96.0)
    assert summary["std"] == pytest.approx(np.arange(101.0).std(ddof=1))
    assert math.isnan(summarize(np.array([0.7]))["std"])


def test_areas_under_the_curves_are_the_metrics() -> None:
    rng = np.random.default_rng(0)
    target = rng.uniform(size=500) < 0.3
    p = np.clip(rng.normal(0.4, 0.2, 500) + 0.2 * target, 0, 1)
    x, y = roc_curve(target, p)
    assert np.trapezoid(y, x) == pytest.approx(score(target, p)["auc_roc"])
    recall, precision = precision_recall_curve(target, p)
    assert (np.diff(recall) >= 0).all()
    assert np.sum(np.diff(recall) * precision[1:]) == pytest.approx(score(target, p)["auc_pr"])


def weighted_rows(seed: int = 0, rows: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Target, probability with ties, weight."""
    rng = np.random.default_rng(seed)
    target = (rng.uniform(size=rows) < 0.3).astype(np.uint8)
    p = np.round(np.clip(rng.normal(0.4, 0.2, rows) + 0.2 * target, 0.0, 1.0), 2)
    return target, p, rng.uniform(0.5, 20.0, rows)


@pytest.mark.parametrize("weighted", [False, True])
def test_scores_are_those_of_scikit_learn(weighted: bool) -> None:
    target, p, weight = weighted_rows()
    w = weight if weighted else None
    scores = score(target, p, weight=w, threshold=0.33)
    assert scores["auc_roc"] == pytest.approx(sklearn.metrics.roc_auc_score(target, p, sample_weight=w))
    assert scores["auc_pr"] == pytest.approx(sklearn.metrics.average_precision_score(target, p, sample_weight=w))
    assert scores["brier"] == pytest.approx(sklearn.metrics.brier_score_loss(target, p, sample_weight=w))
    assert scores["log_loss"] == pytest.approx(sklearn.metrics.log_loss(target, p, sample_weight=w))
    for suffix, threshold in (("", 0.5), ("_chosen", 0.33)):
        called = p >= threshold
        options = {"sample_weight": w}
        assert scores[f"f1{suffix}"] == pytest.approx(sklearn.metrics.f1_score(target, called, **options))
        assert scores[f"csi{suffix}"] == pytest.approx(sklearn.metrics.jaccard_score(target, called, **options))
        assert scores[f"accuracy{suffix}"] == pytest.approx(sklearn.metrics.accuracy_score(target, called, **options))
        recall = [sklearn.metrics.recall_score(target, called, pos_label=label, **options) for label in (1, 0)]
        assert scores[f"sensitivity{suffix}"] == pytest.approx(recall[0])
        assert scores[f"specificity{suffix}"] == pytest.approx(recall[1])
        (tn, fp), (fn, tp) = sklearn.metrics.confusion_matrix(target, called, **options)
        assert confusion(target, p, threshold, w).as_tuple() == pytest.approx((threshold, tp, fp, fn, tn))
    assert scores["prevalence"] == pytest.approx(np.average(target, weights=w))


def test_a_weight_is_as_many_rows() -> None:
    target, p, _ = weighted_rows(rows=60)
    times = np.random.default_rng(1).integers(1, 5, 60)
    weighted = score(target, p, weight=times, threshold=0.4)
    repeated = score(np.repeat(target, times), np.repeat(p, times), threshold=0.4)
    np.testing.assert_allclose(list(weighted.values()), list(repeated.values()))


@pytest.mark.parametrize("weighted", [False, True])
def test_scores_of_a_density(weighted: bool) -> None:
    rng = np.random.default_rng(2)
    density = np.where(rng.uniform(size=300) < 0.4, 0.0, rng.beta(1.0, 6.0, 300))
    predicted = np.clip(0.5 * density + rng.normal(0.05, 0.05, 300), 0.0, None)
    w = rng.uniform(1.0, 5.0, 300) if weighted else None
    scores = score(density, predicted, task=Task.REGRESSION, positive_above=0.1, weight=w)
    assert list(scores) == list(DENSITY_METRICS) == list(metrics_of(Task.REGRESSION))
    above = density > 0.1
    assert scores["auc_roc"] == pytest.approx(sklearn.metrics.roc_auc_score(above, predicted, sample_weight=w))
    assert scores["r2"] == pytest.approx(sklearn.metrics.r2_score(density, predicted, sample_weight=w))
    mse = sklearn.metrics.mean_squared_error(density, predicted, sample_weight=w)
    assert scores["rmse"] == pytest.approx(math.sqrt(mse))
    assert scores["mae"] == pytest.approx(sklearn.metrics.mean_absolute_error(density, predicted, sample_weight=w))
    assert scores["csi"] == pytest.approx(sklearn.metrics.jaccard_score(above, predicted > 0.1, sample_weight=w))
    if not weighted:
        from scipy.stats import pearsonr, spearmanr

        assert scores["spearman"] == pytest.approx(spearmanr(density, predicted).statistic)
        assert scores["r2_line"] == pytest.approx(pearsonr(density, predicted).statistic ** 2)


def test_a_density_of_wrong_scale_keeps_its_line_of_best_fit() -> None:
    density = np.linspace(0.0, 1.0, 50)
    scores = score(density, 3.0 + 0.1 * density, task=Task.REGRESSION, positive_above=0.1)
    assert scores["r2_line"] == pytest.approx(1.0)
    assert scores["spearman"] == pytest.approx(1.0)
    assert scores["r2"] < -10.0


def test_the_calibration_error_of_known_chances() -> None:
    # Two bins: 4 rows at 0.15 of which 2 are landslides, 6 at 0.85 of which 3 are.
    target = np.array([1, 1, 0, 0, 1, 1, 1, 0, 0, 0])
    p = np.repeat([0.15, 0.85], [4, 6])
    assert calibration_error(target, p) == pytest.approx(0.4 * 0.35 + 0.6 * 0.35)
    # Rows of weight: the first bin counts double.
    weight = np.repeat([3.0, 1.0], [4, 6])
    assert calibration_error(target, p, weight) == pytest.approx((12 * 0.35 + 6 * 0.35) / 18)
    rng = np.random.default_rng(0)
    honest = rng.uniform(size=200_000)
    assert calibration_error(rng.uniform(size=200_000) < honest, honest) < 0.006
    # Twice too sure: |p - p/2| averages to 1/4.
    assert calibration_error(rng.uniform(size=200_000) < honest / 2.0, honest) == pytest.approx(0.25, abs=0.005)


@pytest.mark.parametrize("target", [np.zeros(5), np.ones(5)])
def test_one_class_alone_is_unknown_and_told(target: np.ndarray) -> None:
    p = np.array([0.1, 0.2, 0.3, 0.4, 0.45])
    scores = score(target.astype(np.uint8), p)
    reasons = unknown_scores(target, p)
    chosen = {"threshold", *(name for name in METRICS if name.endswith("_chosen"))}
    assert {name for name, value in scores.items() if math.isnan(value)} == set(reasons) | chosen
    assert "auc_roc" in reasons
    count = int(target.sum())
    assert reasons["auc_roc"] == f"{count} landslide rows and {5 - count} others: it takes both"
    assert unknown_scores(np.array([1, 0]), np.array([0.2, 0.1])) == {}


def test_what_is_unknown_of_a_density_is_told() -> None:
    for density, predicted in (
        (np.full(4, 0.2), np.arange(4.0)),
        (np.arange(4.0), np.full(4, 0.2)),
        (np.zeros(4), np.zeros(4)),
    ):
        scores = score(density, predicted, task=Task.REGRESSION, positive_above=0.1, threshold=0.5)
        reasons = unknown_scores(density, predicted, task=Task.REGRESSION, positive_above=0.1)
        unknown = {name for name, value in scores.items() if math.isnan(value)}
        assert {name for name in unknown if not name.endswith("_chosen")} == set(reasons)


def test_unknown_predictions_are_refused() -> None:
    with pytest.raises(InputError, match="1 unknown of 3"):
        score(np.array([1, 0, 1]), np.array([0.2, np.nan, 0.3]))
    with pytest.raises(InputError, match="0 unknown of 0"):
        score(np.empty(0), np.empty(0))


def test_unknown_folds_do_not_count_in_summaries() -> None:
    assert summarize(np.array([0.4, np.nan, 0.6]))["mean"] == pytest.approx(0.5)
    assert all(math.isnan(value) for value in summarize(np.array([np.nan])).values())


@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 1.0])), min_size=2, max_size=40),
    st.sampled_from(ThresholdRule),
)
def test_no_threshold_serves_the_rule_better(rows: list[tuple[bool, float]], rule: ThresholdRule) -> None:
    target = np.array([landslide for landslide, _ in rows])
    p = np.array([probability for _, probability in rows])
    if target.all() or not target.any():
        with pytest.raises(InputError, match="landslides and other rows"):
            choose_threshold(target, p, rule)
        return

    def gain(threshold: float) -> float:
        table = confusion(target, p, threshold)
        return table.csi if rule is ThresholdRule.CSI else table.sensitivity + table.specificity - 1.0

    chosen = choose_threshold(target, p, rule)
    assert gain(chosen) == pytest.approx(max(gain(value) for value in p))
    if rule is ThresholdRule.CSI:
        assert confusion(target, p, chosen).f1 == pytest.approx(max(confusion(target, p, value).f1 for value in p))


def test_a_threshold_lies_half_way() -> None:
    target, p = np.array([1, 1, 0, 0]), np.array([0.9, 0.6, 0.2, 0.1])
    assert choose_threshold(target, p) == pytest.approx(0.4)
    # Landslides of little weight are not worth a false alarm of much.
    mixed = np.array([0.9, 0.3, 0.6, 0.1])
    assert choose_threshold(target, mixed, weight=np.array([5.0, 1.0, 5.0, 5.0])) == pytest.approx(0.75)
    lowest = choose_threshold(np.array([0, 1]), np.array([0.9, 0.2]), ThresholdRule.CSI)
    assert lowest == 0.2  # all are called
    # Neighbours in floating point have nothing between them.
    beside = np.nextafter(0.5, 1.0)
    assert choose_threshold(np.array([1, 0]), np.array([beside, 0.5])) == beside


def test_ratios_of_nothing_are_unknown() -> None:
    empty = Confusion(0.5, 0.0, 0.0, 0.0, 3.0)
    assert empty.accuracy == empty.specificity == 1.0
    assert all(math.isnan(value) for value in (empty.csi, empty.f1, empty.sensitivity, empty.precision))


@given(st.integers(0, 10_000))
def test_the_rate_curve_follows_from_auc_and_prevalence(seed: int) -> None:
    target, p, _ = weighted_rows(seed, 80)
    if not 0 < target.sum() < 80:
        return
    prevalence = target.mean()
    curve = rate_curve(target, p)
    expected = (1.0 - prevalence) * sklearn.metrics.roc_auc_score(target, p) + prevalence / 2.0
    assert curve.area_under == pytest.approx(expected)
    shuffled = np.random.default_rng(seed).permutation(80)
    assert rate_curve(target[shuffled], p[shuffled]).area_under == pytest.approx(curve.area_under)


def test_a_rate_curve_by_hand() -> None:
    # Units of 10, 30, 40 and 20 of area with 5, 3, 2 and 0 landslides, most susceptible first.
    order = np.array([2, 0, 3, 1])
    area = np.array([10.0, 30.0, 40.0, 20.0])
    landslides = np.array([5, 3, 2, 0])
    susceptibility = np.array([0.9, 0.7, 0.4, 0.1])
    curve = rate_curve(landslides[order], susceptibility[order], area[order])
    np.testing.assert_allclose(curve.area_share, [0.0, 0.1, 0.4, 0.8, 1.0])
    np.testing.assert_allclose(curve.landslide_share, [0.0, 0.5, 0.8, 1.0, 1.0])
    assert curve.area_under == pytest.approx(0.1 * 0.25 + 0.3 * 0.65 + 0.4 * 0.9 + 0.2)
    assert curve.captured(0.25) == pytest.approx(0.65)
    assert curve.thinned().captured(0.4) == pytest.approx(0.8)
    assert score(landslides.clip(0, 1), susceptibility, area=area)["rate_area"] == pytest.approx(
        rate_curve(landslides.clip(0, 1), susceptibility, area).area_under
    )


def test_chance_has_half_the_area_and_unknown_ground_is_told() -> None:
    assert rate_curve(np.array([1, 0, 2, 5]), np.full(4, 0.3)).area_under == pytest.approx(0.5)
    susceptibility = np.array([0.9, np.nan, 0.1, np.nan])
    curve = rate_curve(np.array([1.0, 3.0, 0.0, 0.0]), susceptibility, np.array([1.0, 2.0, 3.0, 4.0]))
    assert curve.unknown_share == pytest.approx(0.6)
    assert curve.missed_share == pytest.approx(0.75)
    assert math.isnan(rate_curve(np.zeros(3), np.arange(3.0)).area_under)
    with pytest.raises(InputError, match="known area above 0"):
        rate_curve(np.ones(2), np.ones(2), np.array([1.0, 0.0]))
