"""Correction by loop closure: exact against an integer programme, honest where it cannot tell."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import h5py
import numpy as np
import pytest
from plain import sequential_network
from scipy.optimize import Bounds, LinearConstraint, milp

from insar.bridging import REGIONS
from insar.closure import find_loops
from insar.readers import open_stack
from insar.reference import find_reference, reference_phase
from insar.solver import NetworkSolver
from insar.unwrapping import (
    LOOPS_UNKNOWN,
    MOST_CYCLES,
    ClosureCorrector,
    UnwrapCorrection,
    summarise_unwrapping,
    vote_on_regions,
)

TWO_PI = 2 * np.pi


def simulated(pairs, pixels, *, share=0.0, noise=0.2, missing=0.0, seed=0, largest=2):
    """Phase (pair, pixel) of random series, and the cycles that are wrong in it."""
    random = np.random.default_rng(seed)
    dates = sorted({day for pair in pairs for day in pair})
    series = np.cumsum(random.normal(0, 2, (len(dates), pixels)), axis=0)
    phase = np.array([series[dates.index(second)] - series[dates.index(first)] for first, second in pairs])
    phase += random.normal(0, noise, phase.shape)
    wrong = np.where(random.random(phase.shape) < share, random.integers(1, largest + 1, phase.shape), 0)
    wrong *= random.choice([-1, 1], phase.shape)
    phase += TWO_PI * wrong
    phase[random.random(phase.shape) < missing] = np.nan
    return phase.astype(np.float32), wrong


def corrected(pairs, phase, **options):
    """Result, and the cycles (pair, pixel) that were taken off."""
    options.setdefault("reference_phase", np.zeros(len(pairs)))
    result = ClosureCorrector(pairs).correct(phase.copy()[:, None, :], **options)
    taken = np.rint((phase - result.phase[:, 0]) / TWO_PI)
    return result, np.where(np.isfinite(phase), taken, 0).astype(int)


def integer_programme(signs, closure, cost):
    """Cycles up and down with ``signs (up - down) = closure`` that minimise the cost."""
    count = signs.shape[1]
    constraints = [LinearConstraint(np.hstack([signs, -signs]), closure, closure)]
    constraints += cost[1:]
    return milp(
        cost[0],
        constraints=constraints,
        integrality=np.ones(2 * count),
        bounds=Bounds(0, 5),
        options={"mip_rel_gap": 0},
    )


def agreed_cycles(signs, closure):
    """Fewest cycles that close all loops: their number, and per pair the cycles that all such solutions share."""
    count = signs.shape[1]
    total = np.ones(2 * count)
    fewest = round(integer_programme(signs, closure, [total]).fun)
    shared = np.zeros(count, int)
    if fewest == 0:
        return 0, shared
    is_fewest = LinearConstraint(total, fewest, fewest)
    for pair in range(count):
        step = np.zeros(2 * count)
        step[pair], step[count + pair] = 1.0, -1.0
        least = round(integer_programme(signs, closure, [step, is_fewest]).fun)
        most = -round(integer_programme(signs, closure, [-step, is_fewest]).fun)
        shared[pair] = least if least == most else 0
    return fewest, shared


@pytest.mark.parametrize(("share", "pixels"), [(0.04, 30), (0.12, 20)])
def test_cycles_are_those_that_all_least_solutions_share(share, pixels):
    """Exact: an integer programme per pixel for the least sum, and two per sample for whether it is agreed on."""
    pairs = sequential_network(7, 3)
    phase, _ = simulated(pairs, pixels, share=share, noise=0.0, seed=5)
    signs = find_loops(pairs).matrix()
    closure = np.rint(signs @ (phase.astype(float) / TWO_PI))
    _, taken = corrected(pairs, phase)
    solved = [agreed_cycles(signs, closure[:, pixel]) for pixel in range(pixels)]
    shared = np.array([cycles for _, cycles in solved]).T
    # A correction must also close more loops than it opens, and is left out where not.
    before, after = (closure != 0).sum(axis=0), ((closure - signs @ shared) != 0).sum(axis=0)
    shared[:, after >= before] = 0
    wrong = (taken != shared).any(axis=0)
    # What is agreed on may be a part of a correction, which then leaves its loops far from closed and is put back.
    assert wrong.mean() < 0.1 * (share > 0.1) + 1e-9
    assert not taken[:, wrong][shared[:, wrong] != taken[:, wrong]].any()
    assert (shared != 0).any(axis=0).sum() > pixels / 3


def test_least_sum_against_the_integer_programme_in_a_long_network():
    pairs = sequential_network(25, 4)
    phase, wrong = simulated(pairs, 150, share=0.03, seed=6)
    signs = find_loops(pairs).matrix()
    closure = np.rint(signs @ (phase.astype(float) / TWO_PI))
    result, taken = corrected(pairs, phase)
    closed = result.open_loops_after[0] == 0
    assert closed.mean() > 0.97
    for pixel in np.flatnonzero(closed):
        least = integer_programme(signs, closure[:, pixel], [np.ones(2 * len(pairs))]).fun
        assert np.abs(taken[:, pixel]).sum() == round(least)
    assert (taken == wrong)[:, closed].mean() > 0.9999


def test_gaps_against_the_integer_programme_of_what_is_left():
    pairs = sequential_network(14, 4)
    phase, _ = simulated(pairs, 150, share=0.03, missing=0.1, seed=7)
    _, taken = corrected(pairs, phase)
    solved = 0
    for pixel in range(150):
        there = np.flatnonzero(np.isfinite(phase[:, pixel]))
        signs = find_loops([pairs[index] for index in there]).matrix()
        closure = np.rint(signs @ (phase[there, pixel].astype(float) / TWO_PI))
        rest = closure - signs @ taken[there, pixel]
        if not rest.any():
            least = integer_programme(signs, closure, [np.ones(2 * len(there))]).fun
            assert np.abs(taken[:, pixel]).sum() == round(least)
            solved += 1
    assert solved > 135


@pytest.mark.parametrize("cycles", [-3, -1, 1, 2])
def test_a_single_error_is_repaired_in_any_interferogram(cycles):
    pairs = sequential_network(12, 3)
    phase, _ = simulated(pairs, len(pairs), seed=8)
    wrong = cycles * np.eye(len(pairs), dtype=int)
    result, taken = corrected(pairs, (phase + TWO_PI * wrong).astype(np.float32))
    np.testing.assert_array_equal(taken, wrong)
    assert (result.open_loops_before > 0).all()
    assert not result.open_loops_after.any()
    assert (result.corrected == 1).all()
    np.testing.assert_allclose(result.phase[:, 0], phase, atol=1e-5)


def test_pairs_stored_later_earlier():
    """Turning an interferogram over turns its cycles over, and nothing else."""
    pairs = sequential_network(12, 3)
    phase, wrong = simulated(pairs, 400, share=0.02, seed=9)
    _, taken = corrected(pairs, phase)
    signs = np.where(np.arange(len(pairs)) % 3, -1, 1)
    turned = [pair[::sign] for pair, sign in zip(pairs, signs.tolist(), strict=True)]
    _, taken_turned = corrected(turned, (signs[:, None] * phase).astype(np.float32))
    np.testing.assert_array_equal(taken_turned, signs[:, None] * taken)
    assert (taken == wrong)[wrong != 0].mean() > 0.95


def test_what_cannot_be_told_is_left_and_stays_open():
    """One triangle: any of its three interferograms may be wrong. A fourth one is on no loop."""
    days = [date(2020, 1, day) for day in (1, 2, 3, 4)]
    pairs = [(days[0], days[1]), (days[1], days[2]), (days[0], days[2]), (days[2], days[3])]
    phase = np.zeros((4, 3), dtype=np.float32)
    phase[0, 0] = phase[3, 1] = TWO_PI
    phase[1, 2] = np.nan
    result, taken = corrected(pairs, phase)
    assert not taken.any()
    assert result.open_loops_before.tolist() == [[1, 0, LOOPS_UNKNOWN]]
    assert result.open_loops_after.tolist() == [[1, 0, LOOPS_UNKNOWN]]


def test_three_errors_in_84_interferograms_that_temporal_coherence_passes():
    """Temporal coherence stays above the usual 0.7 with an error of radians; the loops see and repair it."""
    pairs = sequential_network(24, 4)[:84]
    assert len(pairs) == 84
    random = np.random.default_rng(10)
    clean, _ = simulated(pairs, 200, noise=0.1, seed=10)
    wrong = np.zeros(clean.shape, int)
    for pixel in range(200):
        # At one date, so that they pull it with them.
        around = [index for index, pair in enumerate(pairs) if pairs[40][0] in pair]
        wrong[random.choice(around, 3, replace=False), pixel] = 1
    broken = (clean + TWO_PI * wrong).astype(np.float32)
    solver = NetworkSolver(pairs)
    truth, before = solver.solve(clean), solver.solve(broken)
    assert before.temporal_coherence.min() > 0.7
    assert np.abs(before.series - truth.series).max(axis=0).min() > 0.7
    result, taken = corrected(pairs, broken)
    assert (result.open_loops_before > 5).all()
    np.testing.assert_array_equal(taken, wrong)
    np.testing.assert_allclose(solver.solve(result.phase[:, 0]).series, truth.series, atol=1e-4)


def test_noise_is_not_taken_for_cycles():
    pairs = sequential_network(30, 4)
    for noise, damaged in ((0.5, 0.0), (0.8, 1e-4)):
        phase, _ = simulated(pairs, 2000, noise=noise, seed=11)
        result, taken = corrected(pairs, phase)
        assert (result.open_loops_before > 0).mean() > 0.01
        assert (taken != 0).mean() <= damaged


def test_cycles_of_a_whole_interferogram_are_no_errors():
    pairs = sequential_network(12, 3)
    phase, _ = simulated(pairs, 100, seed=12)
    offset = TWO_PI * np.arange(len(pairs))
    result, taken = corrected(pairs, (phase + offset[:, None]).astype(np.float32), reference_phase=offset)
    assert not taken.any()
    assert not result.open_loops_before.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_same_bytes_whatever_the_blocks_and_threads(dtype):
    pairs = sequential_network(20, 3)
    phase, _ = simulated(pairs, 3000, share=0.05, noise=0.5, missing=0.1, seed=13)
    phase = phase.astype(dtype).reshape(len(pairs), 60, 50)
    reference = np.linspace(-1, 1, len(pairs))
    corrector = pickle.loads(pickle.dumps(ClosureCorrector(pairs)))
    whole = corrector.correct(phase.copy(), reference_phase=reference)
    blocks = [slice(start, start + 7) for start in range(0, 60, 7)]
    with ThreadPoolExecutor(3) as pool:
        parts = list(pool.map(lambda rows: corrector.correct(phase[:, rows], reference_phase=reference), blocks))
    for name in ("phase", "corrected", "open_loops_before", "open_loops_after"):
        joined = np.concatenate([getattr(part, name) for part in parts], axis=-2)
        assert joined.tobytes() == getattr(whole, name).tobytes()
    for name, total in whole.sums.items():
        np.testing.assert_array_equal(sum(part.sums[name] for part in parts), total)


def test_counting_alone_changes_nothing():
    pairs = sequential_network(12, 3)
    phase, _ = simulated(pairs, 100, share=0.05, seed=14)
    result, taken = corrected(pairs, phase, is_correcting=False)
    assert not taken.any()
    np.testing.assert_array_equal(result.open_loops_before, result.open_loops_after)
    assert result.sums["open_before"].any()


def test_counts_per_pair_and_region():
    pairs = sequential_network(12, 3)
    phase, _ = simulated(pairs, 100, seed=15)
    components = np.ones((len(pairs), 1, 100), dtype=np.float32)
    components[:, :, 60:] = 2
    components[:, :, 90:] = np.nan
    phase[4, 60:90] += TWO_PI
    phase[4, 70] = np.nan
    phase[7, 3] -= TWO_PI
    sums = corrected(pairs, phase, components=components)[0].sums
    assert sums["corrected"].tolist() == [{4: 29, 7: 1}.get(pair, 0) for pair in range(len(pairs))]
    assert sums["open_before"][4] == 29
    assert not sums["open_after"].any()
    assert sums["region_samples"][4, :3].tolist() == [10, 60, 29]
    assert sums["region_cycles"][4, 2].tolist() == [0, 0, 0, 0, 29, 0, 0]
    assert sums["region_cycles"][7, 1, MOST_CYCLES - 1] == 1

    summary = summarise_unwrapping(pairs, sums)
    assert summary["pixels"] == 100
    assert summary["pixels_open_before"] == summary["pixels_corrected"] == 30
    assert summary["pixels_open_after"] == 0
    assert summary["samples_corrected"] == 30
    name = f"{pairs[4][0]:%Y%m%d}_{pairs[4][1]:%Y%m%d}"
    (entry,) = (entry for entry in summary["pairs"] if entry["pair"] == name)
    assert (entry["samples"], entry["open_before"], entry["open_after"], entry["corrected"]) == (99, 29, 0, 29)
    (region,) = (entry for entry in summary["regions"] if entry["pair"] == name and entry["region"] == 2)
    assert region["cycles"] == {"1": 29}

    votes = vote_on_regions(sums)
    assert np.argwhere(votes.cycles).tolist() == [[4, 2]]
    assert votes.cycles[4, 2] == 1
    unmoved = np.full(len(pairs), 2)
    assert not vote_on_regions(sums, unmoved).cycles.any()
    assert votes.cycles.shape == (len(pairs), REGIONS)


def test_which_corrections_do_what():
    assert [(kind.bridges, kind.closes) for kind in UnwrapCorrection] == [
        (False, False),
        (False, True),
        (True, False),
        (True, True),
    ]
    assert UnwrapCorrection("bridging+closure") is UnwrapCorrection.BRIDGING_CLOSURE


def test_etna_closes_more_loops_and_fits_better(shared_data):
    """Real, noisy and stored later-earlier; whole cycles are few in it, so that most of what is open stays."""
    with h5py.File(shared_data / "etna_envisat" / "Etna_sample.h5") as source:
        phase = source["igram"][()].reshape(214, -1)
        dates = [date.fromordinal(int(day)) for day in source["dates"][()]]
        pairs = [
            (dates[int(np.flatnonzero(row == 1)[0])], dates[int(np.flatnonzero(row == -1)[0])])
            for row in source["Jmat"][()]
        ]
    result, taken = corrected(pairs, phase)
    known = result.open_loops_before != LOOPS_UNKNOWN
    before, after = (loops[known].astype(int) for loops in (result.open_loops_before, result.open_loops_after))
    assert (after <= before).all()
    assert after.sum() < 0.75 * before.sum()
    assert 0.005 < (taken != 0).sum() / np.isfinite(phase).sum() < 0.04
    solver = NetworkSolver(pairs)
    was, now = solver.solve(phase), solver.solve(result.phase[:, 0])
    assert now.residual_rms.mean() < 0.87 * was.residual_rms.mean()
    assert now.temporal_coherence.mean() > was.temporal_coherence.mean() + 0.04


def test_mexico_is_left_alone_and_errors_put_into_it_are_found(shared_data):
    stack = open_stack(shared_data / "mexico_sentinel1" / "snap")
    pairs = [(pair.reference, pair.secondary) for pair in stack.pairs]
    reference = reference_phase(stack, find_reference(stack).pixel)
    phase = np.asarray(stack.unwrapped_phase).reshape(len(pairs), -1)
    result, taken = corrected(pairs, phase, reference_phase=reference)
    assert not taken.any()
    known = result.open_loops_before != LOOPS_UNKNOWN
    assert (result.open_loops_before[known] > 0).mean() < 0.003

    plan = find_loops(pairs)
    richest = int(np.argmax(plan.loops_of_pairs))
    broken = phase.copy()
    broken[richest, ::3] += np.float32(TWO_PI)
    _, taken = corrected(pairs, broken, reference_phase=reference)
    hit = np.zeros(phase.shape, bool)
    hit[richest, ::3] = np.isfinite(phase[richest, ::3])
    assert (taken[hit] == 1).mean() > 0.95
    assert not taken[~hit].any()


@pytest.mark.parametrize("share", [0.0, 0.02])
def test_figures_show_what_the_summary_says(share, tmp_path):
    from insar.figures import save_figure
    from insar.figures_unwrapping import draw_open_loops, draw_open_pairs

    pairs = sequential_network(15, 3)
    phase, _ = simulated(pairs, 300, share=share, seed=16)
    summary = summarise_unwrapping(pairs, corrected(pairs, phase)[0].sums)
    loops, shares = draw_open_loops(summary), draw_open_pairs(summary)
    heights = [bar.get_height() for bar in loops.axes[0].patches]
    assert sum(heights) == 300 * (2 if share else 1)
    widths = [bar.get_width() for bar in shares.axes[0].patches]
    drawn = sorted(summary["pairs"], key=lambda pair: (-max(pair["open_after"], pair["corrected"]), pair["pair"]))[:25]
    shown = [100 * pair["open_before"] / pair["samples"] for pair in drawn]
    np.testing.assert_allclose(widths[: len(drawn)], shown)
    assert bool(drawn) == bool(share)
    for name, figure in (("loops.png", loops), ("pairs.png", shares)):
        assert save_figure(figure, tmp_path / name).stat().st_size > 5000
