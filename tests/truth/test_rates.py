"""Simulated truth through files: rate, step, seasonal amplitude and height error lie within their stated deviations.

All of it is relative to an area without motion, whose own error is small; two deviations must hold 93 % or more. The
interferograms have turbulence, delay by height, decorrelation and gaps.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

import insar
from insar.simulate import SimulationParameters, simulate_scene, write_layout

STEP = date(2023, 9, 10)
MODEL = "linear+annual+step:20230910"
SIZE = 21
SEEDS = (3, 4, 6)


def _still_area(truth, stack):
    """Middle, with data in every interferogram, of the first window in which nothing moves."""
    moving = (truth["class"] != 1) | (truth["seasonal_amplitude"] > 0)
    half = SIZE // 2
    still = ~np.lib.stride_tricks.sliding_window_view(moving, (SIZE, SIZE)).any(axis=(2, 3))
    complete = np.isfinite(np.asarray(stack.unwrapped_phase)).all(axis=0)
    row, col = np.argwhere(still & complete[half:-half, half:-half])[0]
    return int(row) + half, int(col) + half


@pytest.fixture(scope="module", params=["residual", "covariance", "bootstrap"])
def recovered(request, fitted):
    """(error, deviation) of every quantity in all scenes, and the truth."""
    return {
        name: tuple(np.concatenate([each[name][part] for each in fitted(request.param)]) for part in range(3))
        for name in ("velocity", "step", "seasonal_amplitude", "dem_error")
    }


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    opened = []
    for seed, layout in zip(SEEDS, ("isce-tops", "snap", "licsar"), strict=True):
        parameters = SimulationParameters(
            seed=seed,
            rows=80,
            cols=80,
            acquisitions=44,
            creeping_slopes=4,
            accelerating_slopes=0,
            seasonal_amplitude_m=0.012,
            seasonal_area_fraction=0.2,
            step_m=0.02,
            step_date=STEP,
            unwrapping_jumps=0,
            dem_error_rms_m=6.0,
            stratified_rms_m_per_km=0.0005,
        )
        folder = write_layout(simulate_scene(parameters), tmp_path_factory.mktemp("rates") / "stack", layout)
        truth = np.load(folder / "truth" / "stack.npz")
        stack = insar.open_stack(folder)
        reference = _still_area(truth, stack)
        series = insar.invert(stack, reference=reference, reference_size=SIZE, looks=100, weights="variance")
        opened.append((series, truth))

    def fit(uncertainty):
        found = []
        for series, truth in opened:
            rate = insar.fit_velocity(series, MODEL, uncertainty=uncertainty, dem_error=True)
            row, col = series.reference
            area = np.s_[row - SIZE // 2 : row + SIZE // 2 + 1, col - SIZE // 2 : col + SIZE // 2 + 1]
            layers = rate.layers | {"step": rate.steps[STEP], "step_std": rate.steps_std[STEP]}
            scene = {}
            for name in ("velocity", "step", "seasonal_amplitude", "dem_error"):
                expected = truth[name].astype(np.float64)
                if name == "dem_error":
                    expected = expected - expected[area].mean()
                known = np.isfinite(layers[f"{name}_std"])
                scene[name] = (layers[name] - expected)[known], layers[f"{name}_std"][known], expected[known]
            found.append(scene)
        return found

    return fit


@pytest.mark.parametrize("name", ["velocity", "step", "dem_error"])
def test_two_deviations_hold(recovered, name):
    error, deviation, truth = recovered[name]
    assert np.mean(np.abs(error) <= 2 * deviation) >= 0.93
    # Deviations that are just large would hold as well.
    assert np.mean(np.abs(error) <= deviation) < 0.8
    assert np.std(truth) > 0.2 * np.median(deviation)


def test_two_deviations_hold_where_the_seasonal_term_is_seen(recovered):
    error, deviation, truth = recovered["seasonal_amplitude"]
    seen = truth > 3 * deviation
    assert seen.sum() > 300
    assert np.mean(np.abs(error[seen]) <= 2 * deviation[seen]) >= 0.93
    # Without a seasonal term the amplitude is that of noise: 86.5 % are below two deviations (Rayleigh).
    none = truth == 0
    assert np.mean(np.abs(error[none]) <= 2 * deviation[none]) == pytest.approx(0.865, abs=0.06)
