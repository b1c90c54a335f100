"""Metrics against counts made by hand and against plain NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from susceptibility.metrics import METRICS, precision_recall_curve, roc_curve, score, summarize

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
