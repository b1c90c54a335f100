"""Simulated truth: the stated standard deviation of the rate is the true one.

Every pixel's error holds the error of the reference point, which is one draw for a whole scene: the share of pixels
within two standard deviations scatters from reference to reference around the value that holds on average. Hence many
scenes and many references, or one scene relative to an area.
"""

from __future__ import annotations

import numpy as np
import pytest

import insar
from insar.phase import los_per_radian
from insar.simulate import SimulationParameters, simulate_scene, simulate_stack
from insar.solver import NetworkSolver
from insar.velocity import fit_rate

SCENES = 8
REFERENCES = 25


def _shares(seed):
    """Share of pixels within two sigma, for several references of one scene."""
    # Unwrapping errors are mistakes, not noise, and slopes that accelerate have no single rate.
    parameters = SimulationParameters(seed=seed, rows=72, cols=72, creeping_slopes=2, unwrapping_jumps=0)
    scene = simulate_scene(parameters)
    pairs = [(pair.reference, pair.secondary) for pair in scene.pairs]
    made = [scene.interferogram(index) for index in range(len(pairs))]
    phase = np.array([interferogram.phase_rad for interferogram in made])
    coherence = np.array([interferogram.coherence for interferogram in made])
    truth = scene.linear_rate_m_per_year()
    steady = (scene.fields.kind != 3) & (scene.fields.seasonal_amplitude_m == 0)
    complete = np.isfinite(phase).all(axis=0)
    mean = np.where(complete, coherence.mean(axis=0), 0.0)
    candidates = np.argwhere(complete & steady & (mean > np.median(mean)))
    solver = NetworkSolver(pairs)
    for row, col in candidates[np.random.default_rng(seed).integers(len(candidates), size=REFERENCES)]:
        series = solver.solve(
            phase, reference_phase=phase[:, row, col], scale=los_per_radian(parameters.wavelength_m)
        ).series
        rate = fit_rate(series, scene.dates)
        known = steady & (rate.velocity_std > 0)
        error = rate.velocity - (truth - truth[row, col])
        yield np.mean(np.abs(error[known]) <= 2 * rate.velocity_std[known])


def test_one_scene_through_files_relative_to_an_area(tmp_path):
    folder = simulate_stack(SimulationParameters(), tmp_path / "stack", "isce-tops")
    stack = insar.open_stack(folder)
    series = insar.invert(stack, reference_size=31)
    rate = insar.fit_velocity(series)
    stored = np.load(folder / "truth" / "stack.npz")
    row, col = series.reference
    area = np.s_[max(0, row - 15) : row + 16, max(0, col - 15) : col + 16]
    complete = np.isfinite(np.asarray(stack.unwrapped_phase)[:, *area]).all(axis=0)
    truth = stored["linear_rate"] - stored["linear_rate"][area][complete].mean()
    known = rate.velocity_std > 0
    within = np.abs(rate.velocity - truth)[known] <= 2 * rate.velocity_std[known]
    assert np.mean(within) == pytest.approx(0.95, abs=0.02)


def test_two_sigma_hold_93_to_97_percent():
    shares = [share for seed in range(SCENES) for share in _shares(seed)]
    assert np.mean(shares) == pytest.approx(0.95, abs=0.02)
