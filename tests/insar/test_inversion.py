"""The network inversion against plain pseudo-inverses, exact answers and itself."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import combinations

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain import minimum_norm_series, sequential_network, temporal_coherence
from scipy import optimize

from insar.errors import OptionError
from insar.inversion import invert_network
from insar.kernels.inversion import TILE
from insar.quality import Quality, quality_flags
from insar.solver import NetworkSolver, Norm
from insar.weights import Weighting, sample_weights


def _noise(seed, pairs, pixels, *, gaps):
    random = np.random.default_rng(seed)
    phase = random.normal(0.0, 2.0, (len(pairs), pixels))
    phase[random.random(phase.shape) < gaps] = np.nan
    return phase


@pytest.mark.parametrize("gaps", [0.0, 0.1, 0.5, 0.8])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("dates", "connections"), [(4, 1), (12, 2), (25, 4)])
def test_equals_the_pseudo_inverse(dates, connections, weighted, gaps):
    pairs = sequential_network(dates, connections)
    phase = _noise(1, pairs, 200, gaps=gaps)
    weights = np.random.default_rng(2).uniform(0.01, 50.0, phase.shape) if weighted else None
    series = invert_network(phase, pairs, weights)
    np.testing.assert_allclose(series, minimum_norm_series(phase, pairs, weights), atol=1e-9)


def test_annual_pairs_and_pairs_in_either_order():
    pairs = sequential_network(40, 3)
    dates = sorted({day for pair in pairs for day in pair})
    pairs += [(dates[index + 30], dates[index]) for index in range(0, 10, 3)]
    phase = _noise(3, pairs, 100, gaps=0.2)
    np.testing.assert_allclose(invert_network(phase, pairs), minimum_norm_series(phase, pairs), atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_network_of_any_rank(data):
    days = sorted(data.draw(st.sets(st.integers(0, 2000), min_size=2, max_size=9)))
    dates = [date(2015, 1, 1) + timedelta(days=day) for day in days]
    every = list(combinations(dates, 2))
    pairs = data.draw(st.lists(st.sampled_from(every), min_size=1, max_size=20, unique=True))
    phase = _noise(data.draw(st.integers(0, 99)), pairs, 7, gaps=data.draw(st.sampled_from([0.0, 0.3, 0.7])))
    series = invert_network(phase, pairs)
    expected = minimum_norm_series(phase, pairs)
    scale = np.nanmax(np.abs(expected), initial=1.0)
    np.testing.assert_allclose(series, expected, atol=1e-8 * scale)


def test_weights_that_differ_by_eight_orders_of_magnitude():
    # A chain is solved exactly whatever its weights, and no pivot is taken for zero.
    pairs = sequential_network(8, 1)
    phase = np.arange(1.0, 8.0)[:, None]
    weights = 10.0 ** np.linspace(-4, 4, 7)[:, None]
    series = invert_network(phase, pairs, weights)
    np.testing.assert_allclose(series[:, 0], np.concatenate([[0.0], np.cumsum(phase[:, 0])]), rtol=1e-7)


def test_a_consistent_network_is_recovered_exactly_and_says_so():
    pairs = sequential_network(30, 3)
    dates = sorted({day for pair in pairs for day in pair})
    truth = np.random.default_rng(4).normal(0.0, 5.0, (30, 50))
    truth -= truth[0]
    phase = np.array([truth[dates.index(two)] - truth[dates.index(one)] for one, two in pairs])
    result = NetworkSolver(pairs).solve(phase, dtype=np.float64)
    np.testing.assert_allclose(result.series, truth, atol=1e-12)
    np.testing.assert_allclose(result.temporal_coherence, 1.0, atol=1e-6)
    np.testing.assert_allclose(result.residual_rms, 0.0, atol=1e-12)
    assert (result.subsets == 1).all()
    assert (result.pairs_used == len(pairs)).all()


def test_two_subsets_are_joined_at_equal_velocities():
    # Dates 0-1 and 2-3 on a line of slope 1: the gap is bridged with the velocity that costs least, which is 0.
    first = date(2020, 1, 1)
    dates = [first + timedelta(days=days) for days in (0, 10, 20, 30)]
    result = NetworkSolver([(dates[0], dates[1]), (dates[2], dates[3])]).solve(
        np.array([[10.0], [10.0]]), dtype=np.float64
    )
    np.testing.assert_allclose(result.series[:, 0], [0.0, 10.0, 10.0, 20.0])
    assert result.subsets[0] == 2
    assert result.temporal_coherence[0] == pytest.approx(1.0)


def test_quality_against_plain_numpy():
    pairs = sequential_network(20, 3)
    phase = _noise(5, pairs, 3 * TILE + 5, gaps=0.15).astype(np.float32)
    result = NetworkSolver(pairs).solve(phase, scale=-0.0044, dtype=np.float64)
    series = minimum_norm_series(phase, pairs)
    np.testing.assert_allclose(result.temporal_coherence, temporal_coherence(phase, pairs, series), atol=2e-6)
    dates = sorted({day for pair in pairs for day in pair})
    modelled = np.array([series[dates.index(two)] - series[dates.index(one)] for one, two in pairs])
    np.testing.assert_allclose(
        result.residual_rms, 0.0044 * np.sqrt(np.nanmean((phase - modelled) ** 2, axis=0)), rtol=1e-5
    )
    np.testing.assert_allclose(result.series, -0.0044 * series, atol=1e-9)
    np.testing.assert_array_equal(result.pairs_used, np.isfinite(phase).sum(axis=0))


def test_pixels_do_not_influence_one_another():
    # The same bits whether a pixel shares its tile with gaps or with complete pixels, and wherever it lies.
    pairs = sequential_network(15, 3)
    complete = _noise(6, pairs, 400, gaps=0.0).astype(np.float32)
    mixed = complete.copy()
    mixed[3, ::2] = np.nan
    solver = NetworkSolver(pairs)
    whole, beside = solver.solve(complete), solver.solve(mixed)
    np.testing.assert_array_equal(whole.series[:, 1::2], beside.series[:, 1::2])
    np.testing.assert_array_equal(whole.temporal_coherence[1::2], beside.temporal_coherence[1::2])
    moved = solver.solve(np.ascontiguousarray(complete[:, 37:]))
    np.testing.assert_array_equal(whole.series[:, 37:], moved.series)


def test_the_reference_phase_is_subtracted():
    pairs = sequential_network(10, 2)
    phase = _noise(7, pairs, 20, gaps=0.0)
    series = NetworkSolver(pairs).solve(phase, reference_phase=phase[:, 4], dtype=np.float64).series
    np.testing.assert_allclose(series, minimum_norm_series(phase - phase[:, 4:5], pairs), atol=1e-9)
    np.testing.assert_array_equal(series[:, 4], 0.0)


@pytest.mark.parametrize("weighting", [Weighting.COHERENCE, Weighting.VARIANCE, Weighting.FISHER])
def test_coherence_becomes_the_weight_it_should(weighting):
    pairs = sequential_network(15, 3)
    phase = _noise(8, pairs, 150, gaps=0.1).astype(np.float32)
    coherence = np.random.default_rng(9).uniform(0.05, 0.98, phase.shape).astype(np.float32)
    coherence[2, :5] = np.nan
    weights = np.nan_to_num(sample_weights(coherence, weighting, 20))
    series = NetworkSolver(pairs, weighting=weighting, looks=20).solve(phase, coherence=coherence, dtype=np.float64)
    np.testing.assert_allclose(series.series, minimum_norm_series(phase, pairs, weights), atol=1e-5)
    assert series.pairs_used[0] == np.isfinite(phase[:, 0]).sum() - int(np.isfinite(phase[2, 0]))


@pytest.mark.parametrize("subsets", [0, 1, 2, 3])
@pytest.mark.parametrize("gaps", [0.0, 0.15])
@pytest.mark.parametrize("weighting", list(Weighting))
def test_every_weighting_with_gaps_and_subsets_equals_the_pseudo_inverse(weighting, gaps, subsets):
    """As `insar run` solves: float32 samples, coherences and series; weights by their formulas, not by the table."""
    whole = sequential_network(24, 3)
    dates = sorted({day for pair in whole for day in pair})
    part = {day: index * max(subsets, 1) // len(dates) for index, day in enumerate(dates)}
    pairs = [pair for pair in whole if part[pair[0]] == part[pair[1]]]
    phase = _noise(21, pairs, 60, gaps=gaps).astype(np.float32)
    if subsets == 0:
        phase[:, ::7] = np.nan
    coherence = np.random.default_rng(22).uniform(0.05, 0.98, phase.shape).astype(np.float32)
    weights = sample_weights(coherence, weighting, 40)
    solver = NetworkSolver(pairs, weighting=weighting, looks=40)
    solved = solver.solve(phase, coherence=coherence if weighting.needs_coherence else None)
    expected = minimum_norm_series(phase, pairs, weights)
    assert np.nanmax(np.abs(solved.series - expected)) < 1e-5
    np.testing.assert_array_equal(np.isnan(solved.series), np.isnan(expected))
    empty = ~np.isfinite(phase).any(axis=0)
    assert empty.any() == (subsets == 0)
    assert (solved.subsets[empty] == 0).all()
    assert (solved.subsets[~empty] >= max(subsets, 1)).all()
    if gaps == 0.0:
        assert (solved.subsets[~empty] == max(subsets, 1)).all()


def _least_absolute(phase, pairs, weights):
    """Exact solution of the weighted L1 problem of one pixel as a linear programme: its value and the series."""
    dates = sorted({day for pair in pairs for day in pair})
    usable = np.flatnonzero(np.isfinite(phase))
    design = np.zeros((len(usable), len(dates)))
    for row, pair in enumerate(usable):
        design[row, dates.index(pairs[pair][0])] = -1.0
        design[row, dates.index(pairs[pair][1])] = 1.0
    design = design[:, 1:]
    count, unknowns = design.shape
    cost = np.concatenate([np.zeros(unknowns), np.tile(weights[usable], 2)])
    equations = np.hstack([design, np.eye(count), -np.eye(count)])
    bounds = [(None, None)] * unknowns + [(0, None)] * (2 * count)
    solved = optimize.linprog(cost, A_eq=equations, b_eq=phase[usable], bounds=bounds)
    return solved.fun, np.concatenate([[0.0], solved.x[:unknowns]])


def test_l1_recovers_the_truth_under_outliers_as_a_linear_programme_does():
    pairs = sequential_network(16, 4)
    dates = sorted({day for pair in pairs for day in pair})
    random = np.random.default_rng(13)
    pixels = 200
    truth = np.cumsum(random.normal(0, 1.0, (16, pixels)), axis=0)
    truth -= truth[0]
    phase = np.array([truth[dates.index(two)] - truth[dates.index(one)] for one, two in pairs])
    phase += random.normal(0, 0.1, phase.shape)
    phase += 2 * np.pi * random.choice([-1, 1], phase.shape) * (random.random(phase.shape) < 0.1)
    phase[random.random(phase.shape) < 0.05] = np.nan
    weights = random.uniform(0.5, 2.0, phase.shape)
    series = invert_network(phase, pairs, weights, norm="l1")
    exact = [_least_absolute(phase[:, pixel], pairs, weights[:, pixel]) for pixel in range(pixels)]
    rms = np.sqrt(np.mean((series - truth) ** 2))
    exact_rms = np.sqrt(np.mean((np.array([solution for _, solution in exact]).T - truth) ** 2))
    assert rms <= 1.02 * exact_rms
    assert rms < 0.5 * np.sqrt(np.mean((invert_network(phase, pairs, weights) - truth) ** 2))
    modelled = np.array([series[dates.index(two)] - series[dates.index(one)] for one, two in pairs])
    value = np.nansum(weights * np.abs(phase - modelled), axis=0)
    np.testing.assert_allclose(value, [least for least, _ in exact], rtol=3e-3)


def test_l1_with_gaps_and_subsets_ignores_outliers():
    pairs = sequential_network(12, 3)
    dates = sorted({day for pair in pairs for day in pair})
    truth = 0.01 * np.array([(day - dates[0]).days for day in dates])
    phase = np.array([truth[dates.index(two)] - truth[dates.index(one)] for one, two in pairs])[:, None]
    # All pairs across the sixth date are missing: two subsets, the second with an outlier.
    phase[[one < dates[6] <= two for one, two in pairs]] = np.nan
    phase[-2] += 2 * np.pi
    result = NetworkSolver(pairs, norm=Norm.L1).solve(phase, dtype=np.float64)
    assert result.subsets[0] == 2
    np.testing.assert_allclose(np.diff(result.series[:6, 0]), np.diff(truth[:6]), atol=1e-4)
    np.testing.assert_allclose(np.diff(result.series[6:, 0]), np.diff(truth[6:]), atol=1e-4)


def test_a_pixel_without_samples_is_nan():
    pairs = sequential_network(5, 2)
    phase = np.full((len(pairs), 2), np.nan)
    phase[:, 1] = 1.0
    result = NetworkSolver(pairs).solve(phase)
    assert np.isnan(result.series[:, 0]).all()
    assert np.isnan(result.temporal_coherence[0])
    assert (result.pairs_used[0], result.subsets[0]) == (0, 0)
    assert np.isfinite(result.series[:, 1]).all()


def test_a_pixel_with_one_sample_is_solved_and_flagged():
    pairs = sequential_network(5, 2)
    phase = np.full((len(pairs), 1), np.nan)
    phase[0] = 2.0
    result = NetworkSolver(pairs).solve(phase)
    assert np.isfinite(result.series).all()
    assert result.subsets[0] == 4


def test_shapes_and_weights_per_pair():
    pairs = sequential_network(6, 2)
    phase = _noise(10, pairs, 12, gaps=0.0)
    weights = np.linspace(1, 3, len(pairs))
    series = invert_network(phase.reshape(len(pairs), 3, 4), pairs, weights)
    assert series.shape == (6, 3, 4)
    expected = minimum_norm_series(phase, pairs, np.broadcast_to(weights[:, None], phase.shape))
    np.testing.assert_allclose(series.reshape(6, 12), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("phase", "pairs", "word"),
    [
        (np.zeros((2, 3)), [(date(2020, 1, 1), date(2020, 1, 13))], "phase"),
        (np.zeros((1, 3)), [(date(2020, 1, 1), date(2020, 1, 1))], "two dates"),
    ],
)
def test_wrong_arguments(phase, pairs, word):
    with pytest.raises(OptionError, match=word):
        invert_network(phase, pairs)


def test_wrong_weights_shape():
    pairs = sequential_network(4, 1)
    with pytest.raises(OptionError, match="weights"):
        invert_network(np.zeros((3, 5)), pairs, np.ones((3, 4)))


def _incidence(pairs):
    dates = sorted({day for pair in pairs for day in pair})
    incidence = np.zeros((len(pairs), len(dates)))
    for row, (first, second) in enumerate(pairs):
        incidence[row, [dates.index(first), dates.index(second)]] = -1.0, 1.0
    return incidence


def test_etna_gaps_and_rank_deficiency(shared_data):
    with h5py.File(shared_data / "etna_envisat" / "Etna_sample.h5") as source:
        phase = source["igram"][()].reshape(214, -1)
        dates = [date.fromordinal(int(day)) for day in source["dates"][()]]
        pairs = [
            (dates[int(np.flatnonzero(row == 1)[0])], dates[int(np.flatnonzero(row == -1)[0])])
            for row in source["Jmat"][()]
        ]
    result = NetworkSolver(pairs).solve(phase, dtype=np.float64)
    split = result.subsets > 1
    assert np.count_nonzero(split) == 137
    flags = quality_flags(result.subsets, result.temporal_coherence)
    np.testing.assert_array_equal((flags & Quality.GAP_FILLED) != 0, split)
    assert not (flags & Quality.NO_DATA).any()
    rank = [np.linalg.matrix_rank(_incidence(pairs)[np.isfinite(phase[:, pixel])]) for pixel in range(400)]
    np.testing.assert_array_equal(np.array(rank) < len(result.series) - 1, split)
    np.testing.assert_allclose(result.series, minimum_norm_series(phase, pairs), atol=1e-9)
