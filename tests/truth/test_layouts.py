"""Simulated truth through files: every layout gives back the motion it was made of."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import rasterio.vrt

import insar
from insar.config import Settings
from insar.pipeline import run_chain
from insar.simulate import SimulationParameters, simulate_scene, write_layout

LAYOUTS = ("isce-tops", "isce-stripmap", "snap", "hyp3", "licsar", "mintpy")


@pytest.fixture(scope="module")
def scene():
    parameters = SimulationParameters(seed=5, rows=64, cols=72, acquisitions=12, creeping_slopes=2)
    return simulate_scene(parameters.without_disturbances())


@pytest.fixture(scope="module", params=LAYOUTS)
def folder(request, scene, tmp_path_factory):
    return write_layout(scene, tmp_path_factory.mktemp("truth") / "stack", request.param)


def test_displacement_on_the_pixels_of_the_stack(folder):
    truth = np.load(folder / "truth" / "stack.npz")
    series = insar.invert(insar.open_stack(folder))
    expected = truth["displacement"] - truth["displacement"][:, *series.reference][:, None, None]
    known = np.isfinite(series.displacement_m)
    assert known.all(axis=0).mean() > 0.9
    # Phases are float32; a sample that is exactly 0 reads as no data and is bridged.
    np.testing.assert_allclose(series.displacement_m[known], expected[known], atol=2e-6)


def test_rate_on_the_map(folder, tmp_path):
    result = run_chain(Settings(stack=folder), tmp_path / "out")
    with rasterio.open(result / "layers" / "velocity.tif") as source:
        mapped = source.read(1)
        target = {"crs": source.crs, "transform": source.transform, "height": source.height, "width": source.width}
    with (
        rasterio.open(folder / "truth" / "linear_rate.tif") as unaligned,
        rasterio.vrt.WarpedVRT(unaligned, **target) as aligned,
    ):
        truth = aligned.read(1, masked=True).filled(np.nan)
    known = np.isfinite(mapped) & np.isfinite(truth)
    assert known.sum() > 1000

    def agreement(rows, cols):
        turned = np.where(known, mapped, np.nan)[rows, cols]
        both = np.isfinite(turned) & known
        return np.corrcoef(turned[both], truth[both])[0, 1]

    # North is up and east is right, on whatever map; turned over it no longer fits.
    straight = agreement(slice(None), slice(None))
    assert straight > 0.95
    assert max(agreement(slice(None, None, -1), slice(None)), agreement(slice(None), slice(None, None, -1))) < 0.7
