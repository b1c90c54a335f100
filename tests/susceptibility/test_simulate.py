"""The simulator: its model, its inventory, and what it says can be reached."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insar.layers import read_layer
from susceptibility.errors import InputError, MissingInputError, OptionError
from susceptibility.inventory import rasterize_inventory, read_inventory
from susceptibility.metrics import score
from susceptibility.simulate import (
    SimulationOptions,
    best_reachable_auc,
    correlated_noise,
    draw_inventory,
    logistic_truth,
    simulate_study,
)


@given(st.lists(st.floats(0.01, 0.99), min_size=2, max_size=25))
def test_best_auc_is_the_sum_over_all_pairs(probabilities: list[float]) -> None:
    p = np.array(probabilities)
    weight = p[:, None] * (1.0 - p[None, :])
    np.fill_diagonal(weight, 0.0)
    wins = (p[:, None] > p[None, :]) + 0.5 * (p[:, None] == p[None, :])
    assert best_reachable_auc(p) == pytest.approx((weight * wins).sum() / weight.sum())


def test_best_auc_is_what_the_true_probability_scores() -> None:
    rng = np.random.default_rng(0)
    p = 1.0 / (1.0 + np.exp(-rng.normal(-1.0, 1.5, 4000)))
    scores = [score(rng.uniform(size=p.size) < p, p)["auc_roc"] for _ in range(100)]
    assert best_reachable_auc(p) == pytest.approx(np.mean(scores), abs=4 * np.std(scores) / 10)


@settings(max_examples=20)
@given(expected=st.floats(1.0, 300.0), effect=st.floats(-2.0, 2.0))
def test_probabilities_add_up_and_log_odds_are_linear(expected: float, effect: float) -> None:
    rng = np.random.default_rng(1)
    features = {name: rng.normal(5.0, 3.0, (20, 25)).astype(np.float32) for name in ("slope", "rate")}
    features["rate"][0, :5] = np.nan
    truth = logistic_truth(features, {"slope": 1.0, "rate": effect}, expected)
    assert np.nansum(truth.probability) == pytest.approx(expected, rel=1e-6)
    assert np.isnan(truth.probability[0, :5]).all()
    log_odds = np.log(truth.probability / (1.0 - truth.probability))
    by_hand = truth.intercept + sum(
        coefficient * (features[name] - truth.means[name]) / truth.stds[name]
        for name, coefficient in truth.coefficients.items()
    )
    np.testing.assert_allclose(log_odds[1:], by_hand[1:], atol=1e-6)


def test_more_landslides_than_cells_are_refused() -> None:
    with pytest.raises(OptionError, match="fewer than the 16 cells"):
        logistic_truth({"slope": np.arange(16, dtype=np.float32).reshape(4, 4)}, {"slope": 1.0}, 20)


def test_an_inventory_follows_its_probabilities() -> None:
    p = np.tile(np.array([np.nan, 0.1, 0.5, 0.9]), (500, 1))
    counts = np.bincount(draw_inventory(p, 3) % 4, minlength=4)
    assert counts[0] == 0
    np.testing.assert_allclose(counts[1:] / 500, [0.1, 0.5, 0.9], atol=0.06)


def test_noise_is_standard_and_rougher_as_asked() -> None:
    smooth, rough = (correlated_noise(np.random.default_rng(2), 128, roughness) for roughness in (5.0, 2.5))
    for field in (smooth, rough):
        assert field.mean() == pytest.approx(0.0, abs=1e-9)
        assert field.std() == pytest.approx(1.0)
    assert np.abs(np.diff(rough)).mean() > 5 * np.abs(np.diff(smooth)).mean()


def test_a_study_is_whole_and_its_truth_fits(simulated: Path) -> None:
    probability, grid, _ = read_layer(simulated / "truth" / "probability.tif")
    truth = json.loads((simulated / "truth" / "model.json").read_text())
    labels, census = rasterize_inventory(read_inventory(simulated / "inventory.gpkg", str(grid.crs)), grid)
    assert census.landslide_cells == census.features
    assert abs(census.features - 160) < 5 * np.sqrt(160)
    assert np.isfinite(probability[labels > 0]).all()
    assert np.nansum(probability) == pytest.approx(160, rel=1e-3)
    known = np.isfinite(probability)
    assert score(labels[known], probability[known])["auc_roc"] == pytest.approx(truth["best_auc"], abs=0.05)
    rate, _, layer = read_layer(simulated / "insar" / "layers" / "velocity.tif")
    assert layer.unit == "m/yr"
    assert 0.001 < np.abs(rate).mean() < 0.05


def test_the_same_seed_gives_the_same_bytes(simulated: Path, tmp_path: Path) -> None:
    options = SimulationOptions(size=72, landslides=160, seed=3, river_effect=0.0, fault_effect=0.0, rock_effect=0.0)
    simulate_study(tmp_path / "again", options)
    files = sorted(path.relative_to(simulated) for path in simulated.rglob("*") if path.is_file())
    assert len(files) == 58
    for name in files:
        assert (tmp_path / "again" / name).read_bytes() == (simulated / name).read_bytes(), name


def test_given_terrain_and_rate_take_the_place_of_simulated_ones(simulated: Path, tmp_path: Path) -> None:
    recipe = simulate_study(
        tmp_path / "given",
        SimulationOptions(landslides=100, velocity_effect=2.0),
        dem=simulated / "dem.tif",
        velocity=simulated / "insar" / "layers" / "velocity.tif",
    )
    assert recipe == tmp_path / "given" / "recipe.toml"
    elevation, grid, _ = read_layer(tmp_path / "given" / "dem.tif")
    expected, expected_grid, _ = read_layer(simulated / "dem.tif")
    np.testing.assert_array_equal(elevation, expected)
    assert grid == expected_grid
    truth = json.loads((tmp_path / "given" / "truth" / "model.json").read_text())
    assert truth["coefficients"]["velocity_absolute"] == 2.0


def test_one_of_terrain_and_rate_alone_is_refused(simulated: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="both or neither"):
        simulate_study(tmp_path / "out", SimulationOptions(), dem=simulated / "dem.tif")
    with pytest.raises(MissingInputError):
        simulate_study(tmp_path / "out", SimulationOptions(), dem=simulated / "dem.tif", velocity=tmp_path / "none.tif")
    assert not (tmp_path / "out").exists()


def test_an_empty_draw_is_refused(tmp_path: Path) -> None:
    # Seed 2 expects one landslide and draws none.
    with pytest.raises(InputError, match="none drawn"):
        simulate_study(tmp_path / "out", SimulationOptions(size=16, landslides=1, seed=2))
    assert not (tmp_path / "out").exists()
