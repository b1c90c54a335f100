"""Several simulated earthquakes in one table: each row says what its own area's files say."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from insar.layers import read_layer
from susceptibility.errors import OptionError
from susceptibility.inventory import rasterize_inventory, read_inventory
from susceptibility.recipe import read_recipe
from susceptibility.simulate_events import COHERENCE, simulate_events
from susceptibility.simulation_options import SimulationOptions
from susceptibility.study import prepare_study

OPTIONS = SimulationOptions(size=42, landslides=60, seed=4, slides_per_km2=25.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("events") / "out"
    assert simulate_events(output, OPTIONS, 2) == output / "paper_b_global.toml"
    return output


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "events.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_rows_are_means_over_the_files_of_each_event(folder: Path) -> None:
    rows = rows_of(folder)
    assert [row["event"] for row in rows] == ["event_1"] * 36 + ["event_2"] * 36
    for event in ("event_1", "event_2"):
        own = [row for row in rows if row["event"] == event]
        for name in COHERENCE:
            layer, grid, _ = read_layer(folder / event / "insar" / "layers" / f"{name}.tif")
            expected = layer.astype(float).reshape(6, 7, 6, 7).mean(axis=(1, 3)).ravel()
            np.testing.assert_allclose([float(row[name]) for row in own], expected, atol=1e-6)
        inventory = read_inventory(folder / event / "earthquake_landslides.gpkg", str(grid.crs))
        covered = rasterize_inventory(inventory, grid)[0] > 0
        share = covered.reshape(6, 7, 6, 7).mean(axis=(1, 3)).ravel()
        np.testing.assert_allclose([float(row["areal_density"]) for row in own], share, atol=1e-6)
        assert {float(row["area_m2"]) for row in own} == {44_100.0}
        assert all(0.0 < float(row["usgs_probability"]) < 1.0 for row in own)
    assert rows[0]["areal_density"] != rows[36]["areal_density"] or rows[0]["coherence_co"] != rows[36]["coherence_co"]


def test_areas_do_not_overlap(folder: Path) -> None:
    rows = rows_of(folder)
    x = np.array([float(row["x"]) for row in rows])
    assert x[36:].min() - x[:36].max() == pytest.approx(4000.0 + 210.0)
    assert len({(row["x"], row["y"]) for row in rows}) == 72


def test_the_recipe_tests_each_event_after_the_other(folder: Path, tmp_path: Path) -> None:
    recipe = read_recipe(folder / "paper_b_global.toml")
    few = recipe.validation.model_copy(update={"folds": 2, "block_size_m": 400.0})
    sampling = recipe.sampling.model_copy(update={"repeats": 1, "ratio": 0.5})
    study = prepare_study(recipe.model_copy(update={"validation": few, "sampling": sampling}), tmp_path)
    by_event = next(partition for partition in study.partitions if partition.scheme == "events")
    assert by_event.names == ("event event_1", "event event_2")
    events = np.array([row["event"] for row in rows_of(folder)])[study.samples[0].cells]
    assert all(
        set(events[by_event.fold == fold]) == {name.removeprefix("event ")} for fold, name in enumerate(by_event.names)
    )
    assert [len(names) for names in study.feature_sets.values()] == [1, 4, 8]


def test_one_event_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="2 or more"):
        simulate_events(tmp_path / "out", OPTIONS, 1)
    assert not (tmp_path / "out").exists()
