"""Backscatter of a simulated event, from products to layers, against the truth."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import pytest
import rasterio
from sklearn.metrics import roc_auc_score

from insar.backscatter import EventWindows
from insar.backscatter_chain import BackscatterOptions
from insar.backscatter_results import MaskOptions, map_backscatter
from insar.layer_run import Machine
from insar.simulate.event_folder import simulate_event
from insar.simulate.event_parameters import EventParameters

LAYOUTS = ("hyp3-rtc", "snap-backscatter")
ORBITS = ("ascending", "descending")
LANDSLIDE = 2


def read(path):
    with rasterio.open(path) as source:
        return source.read(1)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """For each layout the folders of the truth and of the result."""
    parameters = EventParameters(rows=240, cols=500, landslides=25, acquisitions_after=5, seed=3)
    made = {}
    for layout in LAYOUTS:
        folder = simulate_event(parameters, tmp_path_factory.mktemp(layout) / "event", layout)
        truth = folder / "truth"
        event = date.fromisoformat(json.loads((truth / "truth.json").read_text())["event_date"])
        made[layout] = (
            truth,
            map_backscatter(
                [folder / "backscatter"],
                folder / "out",
                BackscatterOptions(EventWindows(event, (365, 1), (1, 60))),
                mask=MaskOptions(truth / "dem.tif") if layout == "snap-backscatter" else None,
                machine=Machine(workers=1),
            ),
        )
    return made


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("orbit", ORBITS)
@pytest.mark.parametrize("polarisation", ["vv", "vh"])
def test_difference_is_the_change_at_the_event(results, layout, orbit, polarisation):
    truth, folder = results[layout]
    change = read(truth / f"{polarisation}_difference.tif")
    found = read(folder / "layers" / f"{polarisation}_difference_{orbit}.tif")
    seen = np.isfinite(found) & np.isin(read(folder / "layers" / f"visibility_{orbit}.tif"), (1, 2))
    slid = read(truth / "landslides.tif") == LANDSLIDE
    # The median of speckle in dB has a bias that depends on the number of images: a few hundredths of a dB.
    assert np.mean((found - change)[seen & slid]) == pytest.approx(0.0, abs=0.2)
    assert np.mean((found - change)[seen & ~slid]) == pytest.approx(0.0, abs=0.08)


@pytest.mark.parametrize("orbit", ORBITS)
def test_cross_polarisation_tells_the_landslides(results, orbit):
    truth, folder = results["hyp3-rtc"]
    slid = read(truth / "landslides.tif") == LANDSLIDE
    found = read(folder / "layers" / f"vh_difference_{orbit}.tif")
    known = np.isfinite(found)
    assert roc_auc_score(slid[known], -found[known]) > 0.75


@pytest.mark.parametrize("orbit", ORBITS)
def test_products_of_both_processors_give_the_same_layers(results, orbit):
    one, other = (read(results[layout][1] / "layers" / f"vv_difference_{orbit}.tif") for layout in LAYOUTS)
    np.testing.assert_array_equal(np.isfinite(one), np.isfinite(other))
    np.testing.assert_allclose(one, other, atol=1e-3)


@pytest.mark.parametrize("orbit", ORBITS)
def test_slopes_that_lie_over_by_themselves_are_in_the_mask_of_the_terrain(results, orbit):
    # The simulated product masks slopes steeper than the incidence angle; the terrain's mask has those, and what they
    # throw layover on.
    stated, cast = (read(results[layout][1] / "layers" / f"visibility_{orbit}.tif") for layout in LAYOUTS)
    inside = cast > 0
    assert np.mean(cast[(stated == 3) & inside] >= 2) > 0.95
    assert np.mean(cast[(stated == 3) & inside] >= 3) > 0.6
