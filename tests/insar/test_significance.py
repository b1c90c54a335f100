"""Significance of a loss of coherence: its parts against plain NumPy, and its promise on noise."""

from __future__ import annotations

import json

import numpy as np
import pytest

from insar.errors import OptionError
from insar.kernels.damage import standardise_drops
from insar.loss_scale import LossScale, class_edges, fit_scale, group_quantiles, neutral_scale
from insar.significance import (
    Loss,
    PairSample,
    check_rate,
    fit_loss_test,
)


def noise(pairs: int, shape: tuple[int, int], seed: int) -> np.ndarray:
    """Pairs of one field, each with a change of its own, and noise that grows where coherence is low."""
    random = np.random.default_rng(seed)
    field = random.uniform(0.2, 0.95, shape)
    changes = random.uniform(0.75, 1.0, (pairs, 1, 1))
    values = field * changes + random.standard_t(5, (pairs, *shape)) * 0.1 * (1.05 - field)
    return np.clip(values, 0, 1).astype(np.float32)


def sample_of(values: np.ndarray) -> PairSample:
    _, rows, cols = values.shape
    names = [f"pair {number}" for number in range(len(values) - 1)]
    return PairSample(np.arange(rows), np.arange(cols), values[:-1], values[-1], names)


def testgroup_quantiles_are_those_of_numpy():
    random = np.random.default_rng(1)
    values, groups = random.normal(size=3000), random.integers(0, 6, 3000)
    groups[groups == 4] = 3
    found = group_quantiles(values, groups, 7, (0.1, 0.5, 0.99), 10)
    assert np.isnan(found[:, [4, 6]]).all()
    for group in (0, 1, 2, 3, 5):
        np.testing.assert_allclose(found[:, group], np.quantile(values[groups == group], (0.1, 0.5, 0.99)))


def test_middle_of_a_tile_stays_with_its_undamaged_part():
    random = np.random.default_rng(7)
    shape = 128, 128
    before = np.full(shape, 0.7)
    across = random.normal(0.5, 0.05, shape).astype(np.float32)
    across[:64, :64] -= np.float32(0.05)  # a change of the region
    across[:64, 64:] -= np.where(random.random((64, 64)) < 0.4, 0.4, 0.0).astype(np.float32)
    across[64:, :64] = np.nan
    lattice = np.arange(128)
    scale = fit_scale(before, across, lattice, lattice, neutral_scale(before.ravel(), shape, 64, 2000))
    middle = scale.classes[0][-1] + scale.classes[1][-1] * scale.tiles[0]
    np.testing.assert_allclose(middle[[0, 0, 1], [0, 1, 1]], [0.25, 0.2, 0.2], atol=0.02)
    assert middle[1, 0] in (middle[0, 0], middle[1, 1])
    assert scale.tiles[1].max() == 1.1


def test_classes_hold_enough_pixels_each():
    random = np.random.default_rng(4)
    before = random.beta(8, 2, 40_000)
    edges = class_edges(before, 2000)
    assert edges.size > 5
    assert np.bincount(np.searchsorted(edges, before, side="right")).min() >= 2000
    assert class_edges(before[:100], 2000).size == 0


def test_scores_are_those_of_plain_numpy():
    random = np.random.default_rng(6)
    shape, tile = (50, 70), 16
    before, across = random.uniform(0, 1, shape), random.uniform(0, 1, shape).astype(np.float32)
    before[3, 4] = across[5, 6] = np.nan
    edges = np.array([0.3, 0.6])
    classes, last = (np.array([random.normal(size=3), random.uniform(0.5, 2, 3)]) for _ in range(2))
    tiles = np.stack([random.normal(size=(4, 5)), random.uniform(0.5, 2, (4, 5))])
    rows, cols = np.arange(7, 57), np.arange(70)

    def local(part: np.ndarray) -> np.ndarray:
        place = [np.clip((at + 0.5) / tile - 0.5, 0, size - 1) for at, size in ((rows, 4), (cols, 5))]
        down = np.array([np.interp(place[0], np.arange(4), column) for column in part.T]).T
        return np.array([np.interp(place[1], np.arange(5), line) for line in down])

    number = np.searchsorted(edges, before, side="right")
    expected = (before - across - classes[0][number]) / classes[1][number]
    expected = (expected - local(tiles[0])) / local(tiles[1])
    expected = (expected - last[0][number]) / last[1][number]
    score, found = LossScale(edges, classes, tile, tiles, last).score(before, across, rows, cols)
    np.testing.assert_allclose(score, expected, rtol=1e-12)
    known = np.isfinite(expected)
    np.testing.assert_array_equal(found[known], number[known])
    assert (found[~known] == -1).all()
    uncompiled, number16 = np.empty(shape), np.empty(shape, np.int16)
    standardise_drops.py_func(before, across, rows, cols, edges, classes, tile, tiles, last, uncompiled, number16)
    np.testing.assert_allclose(uncompiled, score, rtol=1e-14)


def test_one_tile_is_no_neighbourhood():
    before, across = np.full((3, 4), 0.5), np.full((3, 4), 0.25, np.float32)
    scale = LossScale(
        np.empty(0), np.array([[0.0], [1.0]]), 64, np.array([[[0.25]], [[2.0]]]), np.array([[0.0], [1.0]])
    )
    score, _ = scale.score(before, across, np.arange(3), np.arange(4))
    assert (score == 0.0).all()


@pytest.mark.parametrize(("rate", "tolerance"), [(0.001, 0.55), (0.01, 0.15), (0.05, 0.1)])
@pytest.mark.parametrize("history", [3, 5])
def test_rate_of_exchangeable_pairs_is_that_promised(rate, tolerance, history):
    shares = []
    for seed in range(6):
        values = noise(history + 1, (200, 200), seed)
        _, record = fit_loss_test(sample_of(values), (200, 200), rate)
        assert [pair.name for pair in record.pairs] == [f"pair {number}" for number in range(history)]
        shares.append((record.event_share, record.achieved))
    assert np.mean(shares, axis=0) == pytest.approx([rate, rate], rel=tolerance)


def test_two_pairs_before_the_event_keep_the_promise_on_the_safe_side():
    shares = [
        fit_loss_test(sample_of(noise(3, (200, 200), seed)), (200, 200), 0.01)[1].event_share for seed in range(6)
    ]
    assert 0.006 < np.mean(shares) < 0.012


def test_layer_flags_what_the_record_says():
    values = noise(5, (150, 150), 24)
    test, record = fit_loss_test(sample_of(values), (150, 150), 0.01)
    classes = test.classify(values[:-1], values[-1], np.arange(150), np.arange(150))
    assert np.mean(classes == Loss.SIGNIFICANT) == record.event_share


def test_record_goes_into_json_and_its_histograms_add_up():
    _, record = fit_loss_test(sample_of(noise(4, (100, 100), 3)), (100, 100), 0.01)
    facts = json.loads(json.dumps(record.facts()))
    assert len(facts["score_edges"]) == len(facts["null_shares"]) + 1 == len(facts["event_shares"]) + 1
    assert sum(facts["null_shares"]) == pytest.approx(1.0, abs=1e-4)
    assert len(facts["drop_thresholds"]) == len(facts["coherence_edges"]) + 1


def test_many_pairs_before_the_event_give_a_bounded_number_of_nulls():
    _, record = fit_loss_test(sample_of(noise(31, (60, 60), 3)), (60, 60), 0.02)
    assert len(record.pairs) == 12
    assert {"pair 0", "pair 29"} <= {pair.name for pair in record.pairs}


@pytest.mark.parametrize(
    ("pairs", "size", "reason"), [(1, 100, "there are 0"), (2, 100, "there is 1"), (4, 20, "2000")]
)
def test_too_little_to_tell_is_a_reason(pairs, size, reason):
    assert reason in fit_loss_test(sample_of(noise(pairs, (size, size), 3)), (size, size), 0.01)


def test_pixels_without_data_are_unknown():
    values = noise(4, (120, 120), 9)
    values[-1, :10] = np.nan
    values[:2, 20:30] = np.nan
    test, _ = fit_loss_test(sample_of(values), (120, 120), 0.01)
    classes = test.classify(values[:-1], values[-1], np.arange(120), np.arange(120))
    assert (classes[:10] == Loss.UNKNOWN).all()
    assert (classes[20:30] == Loss.UNKNOWN).all()
    assert (classes[30:] != Loss.UNKNOWN).all()


@pytest.mark.parametrize("rate", [0.0, 0.5, -1.0, float("nan")])
def test_rates_that_no_test_has_are_refused(rate):
    with pytest.raises(OptionError, match="false-alarm-rate"):
        check_rate(rate)
