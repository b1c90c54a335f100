"""Simulated truth: the test for a change of rate holds its false-alarm rate, and finds slopes that accelerate."""

from __future__ import annotations

import numpy as np
import pytest

from insar.phase import los_per_radian
from insar.rates import RateFitter
from insar.simulate import SimulationParameters, simulate_scene
from insar.solver import NetworkSolver
from insar.uncertainty import network_covariance, network_noise

SCENES = 6
HALF = 10


def _tested(seed, *, with_noise=True, references=3, **parameters):
    """`accelerating` of one scene relative to several areas without motion, with the scene."""
    parameters = SimulationParameters(
        seed=seed, rows=64, cols=64, creeping_slopes=2, unwrapping_jumps=0, seasonal_amplitude_m=0.0, **parameters
    )
    scene = simulate_scene(parameters)
    pairs = [(pair.reference, pair.secondary) for pair in scene.pairs]
    phase = np.array([scene.interferogram(index).phase_rad for index in range(len(pairs))])
    usable = np.isfinite(phase).all(axis=0) & (scene.fields.kind == 1)
    solver, covariance = NetworkSolver(pairs), network_covariance(pairs)
    fitter = RateFitter(scene.dates)
    candidates = np.argwhere(usable[HALF:-HALF, HALF:-HALF]) + HALF
    for row, col in candidates[np.random.default_rng(seed).integers(len(candidates), size=references)]:
        area = np.s_[row - HALF : row + HALF + 1, col - HALF : col + HALF + 1]
        reference = phase[:, *area][:, usable[area]].mean(axis=1, dtype=np.float64)
        inverted = solver.solve(phase, reference_phase=reference, scale=los_per_radian(parameters.wavelength_m))
        found = inverted.residual_rms, inverted.pairs_used, inverted.subsets
        noise = network_noise(*found, covariance, len(pairs)) if with_noise else None
        yield fitter.fit(inverted.series, noise=noise).accelerating, scene


def _alarms(**options):
    shares = []
    for seed in range(SCENES):
        for classes, scene in _tested(seed, **options):
            known = (scene.fields.kind != 3) & (classes > 0)
            shares.append(np.mean(classes[known] == 2))
    return np.mean(shares)


@pytest.mark.parametrize(
    "effects",
    [
        {},
        {"turbulence_rms_m": 0.0015, "stratified_rms_m_per_km": 0.005},
        {"turbulence_rms_m": 0.0, "stratified_rms_m_per_km": 0.0},
        {"acquisitions": 21, "connections": 2},
    ],
    ids=["defaults", "delay by height", "no troposphere", "few dates"],
)
def test_false_alarms_are_as_stated(effects):
    assert 0.003 < _alarms(**effects) < 0.015


def test_noise_of_interferograms_would_raise_them():
    assert _alarms(with_noise=False, turbulence_rms_m=0.0, stratified_rms_m_per_km=0.0) > 0.04


def test_slopes_that_accelerate_are_found():
    """From 5 to 500 mm/yr within 60 days under 1 mm of turbulence."""
    effects = {"turbulence_rms_m": 0.001, "stratified_rms_m_per_km": 0.0002}
    found = []
    for seed in range(SCENES):
        for classes, scene in _tested(seed, references=1, acceleration_end_rate_m_per_year=-0.5, **effects):
            found.append(np.mean(classes[scene.fields.acceleration_share > 0.8] == 2))
    assert np.mean(found) > 0.9
