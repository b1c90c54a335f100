"""Simulated truth: ramps and delay by height through files, inversion, sample and chain."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import insar
from insar.corrections.base import SeriesSample
from insar.corrections.build import Troposphere, plan_corrections
from insar.corrections.chain import fit_corrections
from insar.corrections.ramp import Deramp
from insar.simulate import SimulationParameters, simulate_stack

PARAMETERS = SimulationParameters(rows=70, cols=60, acquisitions=12, creeping_slopes=4, unwrapping_jumps=0)


def _run(parameters, folder, layout):
    """Errors (m) of a simulated series before and after height and ramp, and the facts of the chain."""
    stack = insar.open_stack(simulate_stack(parameters, folder, layout))
    series = insar.invert(stack)
    rows, cols = (np.ravel(axis) for axis in np.indices(stack.shape))
    sample = SeriesSample(
        series.dates,
        rows,
        cols,
        series.displacement_m[:, rows, cols].astype(np.float64),
        series.layers["temporal_coherence"].ravel(),
    )
    planned = plan_corrections(stack, series.dates, deramp=Deramp.LINEAR, troposphere=Troposphere.HEIGHT)
    chain = fit_corrections(stack, planned, sample, [series.reference.row], [series.reference.col])
    corrected = series.displacement_m.copy()
    chain.apply(corrected, slice(0, stack.shape[0]))
    truth = np.load(folder / "truth" / "stack.npz")["displacement"]
    truth = truth - truth[:, *series.reference][:, None, None]
    return series.displacement_m - truth, corrected - truth, chain.facts


def _spread(errors):
    return float(np.sqrt(np.nanmean(np.nanstd(errors[1:], axis=(1, 2)) ** 2)))


@pytest.mark.parametrize("layout", ["hyp3", "isce-tops"])
def test_ramps_and_layers_are_taken_out(tmp_path, layout):
    disturbed = replace(PARAMETERS, ramp_rms_m=0.015, stratified_rms_m_per_km=0.02)
    before, after, facts = _run(disturbed, tmp_path / "disturbed", layout)
    _, quiet, _ = _run(replace(PARAMETERS, stratified_rms_m_per_km=0.0), tmp_path / "quiet", layout)
    assert [step["name"] for step in facts] == ["height", "ramp"]
    # Turbulence (5 mm at each date) and noise remain, as where nothing but they was.
    assert _spread(before) > 0.016
    assert _spread(after) == pytest.approx(_spread(quiet), rel=0.02)
    assert facts[-1]["rms_after_m"] < 0.5 * facts[0]["rms_before_m"]
    assert all(step["unknown_share"] < 0.01 for step in facts)


def test_delay_by_height_is_that_of_the_air(tmp_path):
    parameters = PARAMETERS.without_disturbances(stratified_rms_m_per_km=0.02, ramp_rms_m=0.015)
    _, after, facts = _run(parameters, tmp_path / "stack", "hyp3")
    truth = json.loads((tmp_path / "stack" / "truth" / "truth.json").read_text())
    air = np.array(truth["stratification_m_per_km"])
    # A longer path looks like motion away from the satellite.
    np.testing.assert_allclose(facts[0]["facts"]["coefficients_m_per_km"], air[0] - air, atol=2e-6)
    assert _spread(after) < 2e-6
