"""Simulated truth: unwrapping errors are found and taken off, and little else is touched."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from insar.readers import open_stack
from insar.reference import find_reference, reference_phase
from insar.simulate import SimulationParameters, simulate_scene
from insar.solver import NetworkSolver
from insar.unwrapping import LOOPS_UNKNOWN, ClosureCorrector, UnwrapCorrection
from insar.unwrapping_plan import plan_unwrapping

SAMPLES = Path(__file__).resolve().parents[2] / "data_samples"

CONNECTIONS_AND_GAPS = ((3, 0.01), (4, 0.01), (3, 0.1), (4, 0.1))


@pytest.fixture(
    scope="module", params=CONNECTIONS_AND_GAPS, ids=lambda case: f"{case[0]} connections, {case[1]} missing"
)
def observed(request):
    """Pairs, phase (pair, pixel), wrong cycles and reference phase: 60 dates, errors in 5 % of the pairs."""
    connections, missing = request.param
    scene = simulate_scene(
        SimulationParameters(
            seed=21,
            rows=72,
            cols=72,
            acquisitions=60,
            connections=connections,
            creeping_slopes=3,
            missing_fraction=missing,
            unwrapping_jumps=0,
            unwrapping_error_fraction=0.05,
            unwrapping_error_patches=4,
            offset_cycles=2,
        )
    )
    count = len(scene.pairs)
    phase = np.stack([scene.interferogram(index).phase_rad for index in range(count)]).reshape(count, -1)
    wrong = np.stack([scene.wrong_cycles(index) for index in range(count)]).reshape(count, -1)
    there = np.isfinite(phase)
    # The pixel with most data and no error; where it lacks a sample, that of its neighbourhood stands for it.
    best = int(np.argmax(there.sum(axis=0) - 1000 * (wrong != 0).any(axis=0)))
    reference = np.where(there[:, best], phase[:, best], np.nan)
    for index in np.flatnonzero(np.isnan(reference)):
        known = np.flatnonzero(there[index] & (wrong[index] == 0))
        reference[index] = phase[index, known[np.argmin(abs(known - best))]]
    pairs = [(pair.reference, pair.secondary) for pair in scene.pairs]
    return pairs, phase, np.where(there, wrong, 0), reference


def test_errors_are_repaired_and_the_rest_is_left(observed):
    pairs, phase, wrong, reference = observed
    there = np.isfinite(phase)
    affected = wrong != 0
    assert 0.001 < affected.sum() / there.sum() < 0.05
    result = ClosureCorrector(pairs).correct(phase.copy()[:, None], reference_phase=reference)
    taken = np.where(there, np.rint((phase - result.phase[:, 0]) / (2 * np.pi)), 0)
    assert (taken == wrong)[affected].mean() >= 0.95
    assert (taken != wrong)[affected & (taken != 0)].mean() < 0.001
    assert (taken != 0)[there & ~affected].mean() < 0.0001
    np.testing.assert_array_equal(result.corrected[0], (taken != 0).sum(axis=0))

    # The series is as good as without errors where all of them were found.
    clean = phase - (2 * np.pi * wrong).astype(np.float32)
    solver = NetworkSolver(pairs)
    truth, before, after = (
        solver.solve(samples, reference_phase=reference).series for samples in (clean, phase, result.phase[:, 0])
    )
    hit = affected.any(axis=0)
    repaired = hit & (taken == wrong).all(axis=0)
    assert np.abs(before - truth)[:, hit].max(axis=0).mean() > 1.0
    np.testing.assert_allclose(after[:, repaired], truth[:, repaired], atol=1e-3)


@pytest.mark.parametrize("layout", ["isce_tops", "isce_stripmap"])
@pytest.mark.parametrize("correction", [UnwrapCorrection.CLOSURE, UnwrapCorrection.BRIDGING])
def test_regions_of_a_stack_on_disk_are_turned_by_what_was_put_in(layout, correction):
    folder = SAMPLES / layout
    truth = json.loads((folder / "truth" / "truth.json").read_text())
    stack = open_stack(folder)
    pixel = find_reference(stack).pixel
    reference = reference_phase(stack, pixel)
    plan = plan_unwrapping(stack, correction, pixel, reference, workers=1)
    turned = {
        (stack.pairs[pair].name, int(plan.regions.cycles[pair, label]))
        for pair, label in np.argwhere(plan.regions.cycles)
    }
    assert turned == {(jump["pair"], jump["cycles"]) for jump in truth["jumps"]}
    result = plan.correct(
        np.asarray(stack.unwrapped_phase), reference_phase=reference, components=np.asarray(stack.connected_components)
    )
    assert (result.open_loops_before[result.open_loops_before != LOOPS_UNKNOWN] > 0).sum() > 200
    assert not result.open_loops_after[result.open_loops_after != LOOPS_UNKNOWN].any()
