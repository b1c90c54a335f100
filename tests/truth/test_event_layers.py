"""How well each layer tells landslides from the rest of a simulated event, as areas under ROC curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from insar.backscatter import EventWindows
from insar.backscatter_chain import BackscatterOptions, plan_backscatter
from insar.backscatter_work import BackscatterWork
from insar.coherence import CoherenceEstimator
from insar.coherence_stack import SiblingSource, coherence_stack, history_before, sequential_pairs
from insar.damage_chain import prepare_damage
from insar.event_pairs import choose_event_pairs
from insar.layers import read_layer
from insar.readers.backscatter import open_backscatter
from insar.readers.slc import open_slcs
from insar.siblings import SiblingEstimator
from insar.simulate.event_folder import simulate_event
from insar.simulate.event_parameters import EventParameters
from insar.simulate.event_scene import LANDSLIDE
from insar.windows import Looks, Window

LOOKS = Looks(1, 5)  # cells of 14 by 20 m, as Burrows et al. have them
WINDOW = Window(3, 3)

SIGNS = {"coherence_co": -1, "boxcar_sibling": -1, "vv_difference": -1, "vh_difference": -1}
"""Of layers that are low in landslides; others are high there."""

PARAMETERS = EventParameters(
    seed=1, rows=480, cols=2_000, landslides=60, landslide_length_min_m=100.0, landslide_length_max_m=300.0
)
RAIN = replace(PARAMETERS, event_coherence_loss=0.6)
"""Up to six tenths of the coherence across the event are lost everywhere, in patches of 3 km."""

BACKSCATTER = replace(PARAMETERS, rows=300, cols=300, acquisitions_before=12, acquisitions_after=5)


def coherence_layers(folder: Path, parameters: EventParameters) -> dict[str, float]:
    """AUC of the layers of `insar damage` from simulated images of topsStack."""
    simulate_event(parameters, folder, "isce-slc")
    slc = open_slcs([folder / "merged" / "SLC"])
    stack = coherence_stack(slc, sequential_pairs(slc.dates, 1), CoherenceEstimator(WINDOW, LOOKS))
    pairs = choose_event_pairs(stack.pairs, parameters.event_date)
    history = history_before(slc, parameters.event_date)
    siblings = SiblingSource(slc, pairs.co, history, SiblingEstimator(looks=LOOKS), stack.grid)
    chain = prepare_damage(stack, pairs, sibling=siblings.cube, workers=1)
    rows, cols = stack.grid.shape
    mask = np.load(folder / "truth" / "landslides.npy") == LANDSLIDE
    cells = mask[: rows * LOOKS.rows, : cols * LOOKS.cols].reshape(rows, LOOKS.rows, cols, LOOKS.cols)
    return areas_under_curve(chain(slice(0, rows)).layers, cells.mean((1, 3)) > 0.5)


def backscatter_layers(folder: Path, parameters: EventParameters) -> dict[str, float]:
    """AUC of the layers of `insar backscatter` from simulated HyP3 products of the ascending pass."""
    simulate_event(parameters, folder, "hyp3-rtc")
    stack = open_backscatter([folder / "backscatter" / "ascending"])
    plan = plan_backscatter(stack, BackscatterOptions(EventWindows(parameters.event_date)))
    rows, cols = stack.grid.shape
    layers = BackscatterWork(plan, (), None, cols, 1, 1)(slice(0, rows)).layers
    truth = read_layer(folder / "truth" / "landslides.tif")[0] == LANDSLIDE
    return areas_under_curve({name: layers[name] for name in ("vv_difference", "vh_difference")}, truth)


def areas_under_curve(layers: Mapping[str, NDArray[np.generic]], truth: NDArray[np.bool_]) -> dict[str, float]:
    """Chance that a pixel of a landslide has a higher value than another one, by layer."""
    areas = {}
    for name, layer in layers.items():
        values = SIGNS.get(name, 1) * layer.astype(np.float64)
        known = np.isfinite(values)
        assert known.mean() > 0.95, name
        areas[name] = float(roc_auc_score(truth[known], values[known]))
    return areas


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    return coherence_layers(tmp_path_factory.mktemp("calm") / "event", PARAMETERS)


@pytest.fixture(scope="module")
def rainy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    return coherence_layers(tmp_path_factory.mktemp("rainy") / "event", RAIN)


def test_layers_tell_landslides_where_nothing_else_happens(calm: dict[str, float]) -> None:
    assert calm["coherence_loss"] > 0.78
    assert calm["coherence_co"] > 0.82
    assert calm["coherence_recovery"] > 0.93  # bare ground afterwards is more coherent than the forest was
    assert calm["coherence_change_sum"] > 0.90
    assert calm["coherence_change_max"] > 0.90
    assert calm["coherence_post"] > 0.70
    assert calm["boxcar_sibling"] > 0.80
    assert calm["damage_zscore"] > 0.78
    assert calm["damage_proxy"] == calm["coherence_loss"]  # without histogram matching they are the same
    # Nothing is known beforehand: landslides lie on wooded slopes, which is all that this layer may tell.
    assert 0.35 < calm["coherence_pre"] < 0.65


def test_sibling_coherence_withstands_a_large_scale_change(calm: dict[str, float], rainy: dict[str, float]) -> None:
    """Burrows et al. (2019): coherence loss is taken for damage, boxcar minus sibling coherence is not."""
    assert rainy["boxcar_sibling"] > rainy["coherence_loss"] + 0.05
    assert rainy["boxcar_sibling"] > rainy["damage_zscore"] + 0.05
    assert calm["coherence_loss"] - rainy["coherence_loss"] > 0.1
    assert calm["boxcar_sibling"] - rainy["boxcar_sibling"] < calm["coherence_loss"] - rainy["coherence_loss"]
    # What is seen after the event alone knows nothing of it.
    assert rainy["coherence_post"] == pytest.approx(calm["coherence_post"], abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3, 4, 5])
def test_sibling_coherence_withstands_it_in_other_scenes(tmp_path: Path, seed: int) -> None:
    rainy = coherence_layers(tmp_path / "event", replace(RAIN, seed=seed))
    assert rainy["boxcar_sibling"] > rainy["coherence_loss"] + 0.02


def test_backscatter_tells_landslides(tmp_path: Path) -> None:
    areas = backscatter_layers(tmp_path / "event", BACKSCATTER)
    # 3.5 dB less in VH, 1.5 dB less in VV, from medians of images of 4.4 looks.
    assert areas["vh_difference"] > 0.85
    assert 0.68 < areas["vv_difference"] < areas["vh_difference"] - 0.05
