"""The whole chain with every correction on a simulated stack: what it undoes, what it says, and that it is the same."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio

from insar.config import Settings
from insar.pipeline import run_chain
from insar.quality import Quality
from insar.simulate import SimulationParameters, simulate_stack

EVERYTHING = {
    "unwrap_correction": "bridging+closure",
    "troposphere": "height",
    "deramp": "linear",
    "dem_error": True,
    "weights": "variance",
    "reference_size": 9,
}
STEP = "20230615"


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    parameters = SimulationParameters(
        seed=3,
        rows=90,
        cols=90,
        acquisitions=24,
        creeping_slopes=1,
        accelerating_slopes=0,
        turbulence_rms_m=0.002,
        stratified_rms_m_per_km=0.02,
        ramp_rms_m=0.01,
        baseline_rms_m=150.0,
        dem_error_rms_m=10.0,
        unwrapping_error_fraction=0.1,
    )
    return simulate_stack(parameters, tmp_path_factory.mktemp("chain") / "stack", "hyp3")


@pytest.fixture(scope="module")
def result(stack, tmp_path_factory):
    settings = Settings(stack=stack, model=f"linear+step:{STEP}", **EVERYTHING)
    return run_chain(settings, tmp_path_factory.mktemp("chain") / "out")


def _layer(folder, name):
    with rasterio.open(folder / "layers" / f"{name}.tif") as source:
        return source.read(1)


def _manifest(folder):
    return json.loads((folder / "manifest.json").read_text())


def _checksums(folder):
    return {entry["name"]: entry["sha256"] for entry in _manifest(folder)["layers"]}


def test_every_step_says_what_it_changed(result):
    summary = _manifest(result)["summary"]
    unwrapping = summary["unwrapping"]
    assert unwrapping["correction"] == "bridging+closure"
    assert unwrapping["pixels_open_before"] > 100
    assert unwrapping["pixels_open_after"] < 0.05 * unwrapping["pixels_open_before"]
    assert {pair["pair"] for pair in unwrapping["pairs"]}
    height, ramp = summary["corrections"]
    assert (height["name"], ramp["name"]) == ("height", "ramp")
    assert ramp["rms_after_m"] < 0.5 * height["rms_before_m"]
    assert summary["dem_error"]["rms_after_m"] < summary["dem_error"]["rms_before_m"]
    assert summary["slowest_step"] in summary["timing_seconds"]
    assert {"read", "close loops", "invert", "fit the model of time"} <= summary["block_seconds"].keys()
    page = (result / "report.html").read_text()
    for title in ("Unwrapping", "Corrections", "Height errors of the DEM", "Changes of rate", "The slowest step"):
        assert title in page
    for figure in ("open_loops", "open_pairs", "corrections", "dem_error", "rate_change"):
        assert (result / "figures" / f"{figure}.png").stat().st_size > 5000


def test_corrected_pixels_are_flagged_and_loops_counted(result):
    quality = _layer(result, "quality")
    loops = _layer(result, "open_loops")
    corrected = (quality & Quality.UNWRAPPING_CORRECTED) != 0
    assert 0.05 < corrected.mean() < 0.9
    known = loops != 65535
    np.testing.assert_array_equal((quality & Quality.OPEN_LOOPS) != 0, known & (loops > 0))


def test_truth_is_within_two_deviations(stack, result):
    """Rate and height error on the pixels of the stack, but for a constant of the reference that is in all of them."""
    with np.load(stack / "truth" / "stack.npz") as truth:
        still = truth["class"] == 1
        for layer in ("dem_error", "velocity"):
            found, deviation = _layer(result, layer), _layer(result, f"{layer}_std")
            inside = np.isfinite(found) & still
            error = found - truth[layer]
            error -= np.median(error[inside])
            assert inside.sum() > 1000
            assert np.mean(np.abs(error[inside]) < 2 * deviation[inside]) > 0.93, layer


def test_steps_have_layers_of_their_own(result):
    described = {entry["name"]: entry for entry in _manifest(result)["layers"]}
    assert described[f"step_{STEP}"]["unit"] == described[f"step_{STEP}_std"]["unit"] == "m"
    assert described[f"step_{STEP}"]["sign"] == "positive toward the satellite"
    assert np.isfinite(_layer(result, f"step_{STEP}")).any()


def test_same_bytes_whatever_the_blocks(stack, result, tmp_path):
    settings = Settings(stack=stack, model=f"linear+step:{STEP}", workers=3, memory_limit="8MB", **EVERYTHING)
    assert _checksums(run_chain(settings, tmp_path / "out")) == _checksums(result)
