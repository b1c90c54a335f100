"""Features of a loss of coherence: numerics, histogram matching and the work on blocks."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from insar.damage import (
    boxcar_sibling,
    coherence_change_max,
    coherence_change_sum,
    coherence_loss,
    coherence_recovery,
    damage_proxy,
    damage_zscore,
    history_moments,
    mean_of_pairs,
)
from insar.damage_chain import DAMAGE_LAYERS, POST_LAYERS, DamageChain, DamageOptions, prepare_damage
from insar.errors import InputError, OptionError
from insar.event_pairs import choose_event_pairs
from insar.grid import Grid
from insar.histogram_matching import match_histogram
from insar.kernels.damage import pixel_moments
from insar.stack import Cube, Pair, Stack

EVENT = date(2024, 3, 1)
SHAPE = 70, 60
NAN = np.float32(np.nan)


@dataclass(frozen=True)
class ArrayCube:
    """Coherence in memory."""

    values: NDArray[np.float32]

    def read_block(self, pairs: NDArray[np.intp], rows: slice, cols: slice) -> NDArray[np.float32]:
        return self.values[pairs, rows, cols]


def make_stack(values: NDArray[np.float32], first: date = date(2024, 1, 2)) -> Stack:
    """Twelve-day pairs one after the other."""
    days = [first + timedelta(days=12 * number) for number in range(len(values) + 1)]
    pairs = tuple(Pair(one, two) for one, two in pairwise(days))
    count, rows, cols = values.shape
    return Stack(
        Path("memory"),
        "licsar",
        pairs,
        0.0555,
        np.zeros(count),
        Grid(rows, cols, Affine(0.001, 0, -91, 0, -0.001, 0), "EPSG:4326"),
        coherence=Cube(ArrayCube(values), np.arange(count), rows, cols),
    )


def random_coherence(pairs: int, seed: int = 3) -> NDArray[np.float32]:
    """Noise about a field, with gaps, and pixel 0, 0 never known."""
    random = np.random.default_rng(seed)
    field = np.linspace(0.2, 0.9, SHAPE[1])
    values = np.clip(field + random.normal(0, 0.05, (pairs, *SHAPE)), 0, 1).astype(np.float32)
    values[random.random(values.shape) < 0.03] = np.nan
    values[:, 0, 0] = np.nan
    return values


@pytest.fixture
def stack() -> Stack:
    return make_stack(random_coherence(7))


def chain_of(stack: Stack, options: DamageOptions | None = None, sibling: Cube | None = None) -> DamageChain:
    return prepare_damage(stack, choose_event_pairs(stack.pairs, EVENT), options, sibling=sibling, workers=1)


def test_features_are_the_differences_of_the_field():
    pre, co, post = np.float32([0.8, 0.5, NAN, 0.6]), np.float32([0.3, 0.6, 0.1, NAN]), np.float32([0.7, 0.9, 0.5, 0.5])
    loss, recovery = coherence_loss(pre, co), coherence_recovery(post, co)
    np.testing.assert_allclose(damage_proxy(pre, co), [0.5, -0.1, np.nan, np.nan], atol=1e-7)
    np.testing.assert_array_equal(loss, damage_proxy(pre, co))
    np.testing.assert_allclose(recovery, [0.4, 0.3, 0.4, np.nan], atol=1e-7)
    np.testing.assert_allclose(coherence_change_sum(loss, recovery), [0.9, 0.2, np.nan, np.nan], atol=1e-7)
    np.testing.assert_allclose(coherence_change_max(loss, recovery), [0.5, 0.3, np.nan, np.nan], atol=1e-7)
    np.testing.assert_allclose(boxcar_sibling(co, post), [-0.4, -0.3, -0.4, np.nan], atol=1e-7)
    assert all(layer.dtype == np.float32 for layer in (loss, recovery, coherence_change_max(loss, recovery)))


@pytest.mark.parametrize(("value", "found"), [(1.5, "1.5"), (-0.1, "-0.1"), (np.inf, "inf"), (255, "255")])
def test_coherence_outside_0_to_1_is_refused_by_name(value, found):
    with pytest.raises(InputError, match=rf"coherence_co.*{found}"):
        damage_proxy([0.5, 0.5], [0.5, value])
    with pytest.raises(InputError, match=r"coherence_pre"):
        damage_proxy([value], [0.5])


def test_rounding_above_1_is_accepted_and_shapes_must_agree():
    assert np.isfinite(damage_proxy([np.float32(1.0000002)], [0.5])).all()
    assert damage_proxy([], []).shape == (0,)
    with pytest.raises(InputError, match="one shape"):
        damage_proxy(np.zeros(3), np.zeros(4))


def plain_moments(values: NDArray[np.float32], least: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    mean, deviation = np.full(values.shape[1], np.nan), np.full(values.shape[1], np.nan)
    for pixel, column in enumerate(values.T.astype(np.float64)):
        known = column[np.isfinite(column)]
        if known.size >= max(least, 1):
            mean[pixel] = np.mean(known)
            if known.size > 1:
                deviation[pixel] = np.std(known, ddof=1)
    return mean, deviation


@given(
    arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 20)), elements=st.floats(0, 1, width=16)),
    st.integers(1, 4),
    st.integers(0, 2**30),
)
def test_moments_are_those_of_numpy(values, least, seed):
    values[np.random.default_rng(seed).random(values.shape) < 0.3] = np.nan
    expected = plain_moments(values, least)
    found = history_moments(values, least)
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-12, atol=1e-12)
    mean, deviation = np.empty(values.shape[1]), np.empty(values.shape[1])
    pixel_moments.py_func(values, least, mean, deviation)
    np.testing.assert_array_equal(mean, found.mean)
    np.testing.assert_array_equal(deviation, found.standard_deviation)


def test_mean_skips_pairs_without_data():
    values = np.float32([[0.2, NAN, NAN], [0.4, 0.6, NAN]])
    np.testing.assert_allclose(mean_of_pairs(values), [0.3, 0.6, np.nan], atol=1e-7)
    np.testing.assert_array_equal(mean_of_pairs(values[:1]), values[0])


def test_zscore_is_the_drop_in_deviations():
    history = np.float32([[0.6, 0.5, 0.7, 0.1], [0.7, 0.5, NAN, 0.2], [0.8, 0.5, 0.8, 0.3]])
    moments = history_moments(history, 3)
    found = damage_zscore(np.float32([0.4, 0.1, 0.2, NAN]), *moments)
    np.testing.assert_allclose(found, [3.0, np.nan, np.nan, np.nan], rtol=1e-5)


def test_zscore_has_the_moments_of_student_where_nothing_happened():
    # (mean - x) / s of n normal values has the distribution of sqrt(1 + 1 / n) t with n - 1 degrees of freedom.
    random = np.random.default_rng(8)
    values = random.normal(0.5, 0.02, (9, 200_000)).astype(np.float32)
    found = damage_zscore(values[8], *history_moments(values[:8]))
    assert np.std(found) == pytest.approx(np.sqrt((1 + 1 / 8) * 7 / 5), rel=0.01)
    assert np.mean(found) == pytest.approx(0.0, abs=0.01)


def test_histogram_matching_takes_out_a_monotone_change():
    random = np.random.default_rng(2)
    before = random.beta(3, 2, (200, 200)).astype(np.float32)
    across = (before**2 * 0.8).astype(np.float32)
    across[0, :5] = np.nan
    match = match_histogram(across, before)
    assert match is not None
    matched = match.apply(across)
    assert np.isnan(matched[0, :5]).all()
    np.testing.assert_allclose(matched[1:], before[1:], atol=0.015)
    assert (np.diff(match.matched) >= 0).all()
    assert match.shift > 0.1


def test_histogram_matching_of_values_of_few_bits():
    random = np.random.default_rng(2)
    before = (random.integers(0, 20, 5000) / 20).astype(np.float32)
    match = match_histogram(before, before)
    assert match is not None
    np.testing.assert_allclose(match.apply(before), before, atol=0.03)
    assert match_histogram(np.full(3, NAN), np.ones(3, np.float32)) is None


def test_blocks_hold_the_layers_of_plain_numpy(stack):
    values = np.asarray(stack.coherence).astype(np.float64)
    chain = chain_of(stack, sibling=stack.coherence.select([6]))
    block = chain(slice(0, SHAPE[0]))
    assert set(block.layers) == set(chain.layers)
    assert set(chain.layers) | set(chain.left_out) == set(DAMAGE_LAYERS)
    pre, co, post = values[3], values[4], values[5]
    expected = {
        "coherence_pre": pre,
        "coherence_co": co,
        "coherence_post": post,
        "damage_proxy": pre - co,
        "coherence_loss": pre - co,
        "coherence_recovery": post - co,
        "coherence_change_sum": pre + post - 2 * co,
        "coherence_change_max": np.maximum(pre, post) - co,
        "boxcar_sibling": co - values[6],
    }
    for name, layer in expected.items():
        np.testing.assert_allclose(block.layers[name], layer, atol=3e-7, err_msg=name)
    count = np.isfinite(values[:4]).sum(axis=0)
    history = np.where(count >= 3, values[:4], np.nan)
    known = count >= 3
    score = (np.nanmean(history[:, known], 0) - co[known]) / np.nanstd(history[:, known], 0, ddof=1)
    np.testing.assert_allclose(block.layers["damage_zscore"][known], score, rtol=1e-4, atol=1e-5)
    assert np.isnan(block.layers["damage_zscore"][~known]).all()
    unknown = np.isnan(co) | (count < 2)
    np.testing.assert_array_equal(block.layers["damage_significant"] == 0, unknown)
    assert block.sums["tested_pixels"] == (~unknown).sum()


@pytest.mark.parametrize("height", [1, 7, 33])
def test_layers_do_not_depend_on_the_blocks(stack, height):
    chain = chain_of(stack, DamageOptions(histogram_matching=True))
    chain = pickle.loads(pickle.dumps(chain))
    whole = chain(slice(0, SHAPE[0]))
    parts = [chain(slice(top, min(top + height, SHAPE[0]))) for top in range(0, SHAPE[0], height)]
    for name, layer in whole.layers.items():
        assert np.concatenate([part.layers[name] for part in parts]).tobytes() == layer.tobytes(), name
    assert sum(part.sums["significant_pixels"] for part in parts) == whole.sums["significant_pixels"]


def test_scene_is_learnt_the_same_by_any_number_of_threads(stack):
    pairs = choose_event_pairs(stack.pairs, EVENT)
    chains = [prepare_damage(stack, pairs, workers=workers) for workers in (1, 3)]
    assert chains[0].facts == chains[1].facts
    assert chains[0].test.thresholds.tobytes() == chains[1].test.thresholds.tobytes()


def test_sample_of_a_large_scene_is_a_lattice(stack, monkeypatch):
    monkeypatch.setattr("insar.damage_chain.SAMPLE_PIXELS", 500)
    chain = chain_of(stack, DamageOptions(false_alarm_rate=0.1))
    assert chain.facts["false_alarms"]["null_pairs"][0]["pixels"] < 500
    assert chain(slice(0, 5)).layers["damage_significant"].shape == (5, SHAPE[1])


def test_histogram_matching_is_of_the_proxy_alone(stack):
    values = np.asarray(stack.coherence).copy()
    values[4] *= 0.7
    plain, matched = (
        chain_of(make_stack(values), DamageOptions(histogram_matching=on))(slice(0, SHAPE[0])).layers
        for on in (False, True)
    )
    np.testing.assert_array_equal(plain["coherence_loss"], matched["coherence_loss"])
    np.testing.assert_array_equal(plain["damage_proxy"], plain["coherence_loss"])
    assert np.nanmedian(plain["damage_proxy"]) > 0.1
    assert abs(np.nanmedian(matched["damage_proxy"])) < 0.02


def test_layers_that_cannot_be_made_are_left_out_with_the_reason():
    chain = chain_of(make_stack(random_coherence(2), date(2024, 2, 7)))
    assert set(chain.left_out) == {*POST_LAYERS, "boxcar_sibling", "damage_zscore", "damage_significant"}
    assert "found 1" in chain.left_out["damage_zscore"]
    assert "there is 1" in chain.left_out["damage_significant"]
    assert "no pair begins after" in chain.left_out["coherence_post"]
    assert set(chain(slice(0, 4)).layers) == {"coherence_pre", "coherence_co", "damage_proxy", "coherence_loss"}


def test_bad_stacks_and_options_are_refused(stack):
    values = np.asarray(stack.coherence).copy()
    values[4] = np.nan
    with pytest.raises(InputError, match="both before and across"):
        chain_of(make_stack(values))
    values[4] = 3.0
    with pytest.raises(InputError, match=r"coherence of 20240219_20240302"):
        chain_of(make_stack(values))
    with pytest.raises(OptionError, match="false-alarm-rate"):
        DamageOptions(false_alarm_rate=0.0)
    with pytest.raises(OptionError, match="least-history"):
        DamageOptions(least_history=1)
