"""The recipes that ship: each is read, names files of the simulated study, and prepares what its paper compares."""

from __future__ import annotations

import csv
import itertools
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from susceptibility.pipeline import run_study
from susceptibility.recipe import Recipe, parse_recipe, read_recipe
from susceptibility.schema import Task
from susceptibility.simulate import PAPER_RECIPES, SimulationOptions, simulate_study
from susceptibility.study import Study, prepare_study

SHIPPED = {
    file.name.removesuffix(".toml"): file.read_text(encoding="utf-8")
    for file in (resources.files("susceptibility") / "recipes").iterdir()
    if file.name.endswith(".toml")
}


@pytest.fixture(scope="module")
def study_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipes") / "study"
    simulate_study(folder, SimulationOptions(size=96, landslides=150, seed=2, slides_per_km2=18.0))
    return folder


def prepared(folder: Path, name: str, work: Path, **changes: Any) -> Study:
    recipe = read_recipe(folder / f"{name}.toml")
    return prepare_study(recipe.model_copy(update=changes), work)


def smaller_sample(recipe: Recipe, **changes: Any) -> Any:
    return recipe.sampling.model_copy(update=changes)


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_every_recipe_is_read_and_says_what_it_is_for(name: str) -> None:
    text = SHIPPED[name]
    first = text.splitlines()[0]
    assert first.startswith("# ")
    assert 20 < len(first) < 125
    assert max(map(len, text.splitlines())) <= 120
    parse_recipe(tomllib.loads(text), name)


def test_the_papers_are_among_them() -> None:
    assert set(PAPER_RECIPES) < set(SHIPPED)


@pytest.mark.parametrize("name", PAPER_RECIPES)
def test_the_simulated_study_has_the_files_that_recipes_name(study_folder: Path, name: str) -> None:
    assert (study_folder / f"{name}.toml").read_text(encoding="utf-8") == SHIPPED[name]
    recipe = read_recipe(study_folder / f"{name}.toml")
    files = recipe.files()
    assert all(path.is_relative_to(study_folder) for path in files.values())
    if recipe.map.profile is not None:
        assert (study_folder / recipe.map.profile).is_file()


def test_a_has_ten_static_factors_and_two_dynamic_ones(study_folder: Path, tmp_path: Path) -> None:
    study = prepared(study_folder, "paper_a", tmp_path)
    assert study.data.kind == "slope"
    assert study.data.count > 100
    sets = study.feature_sets
    assert len(sets["static"]) == 10
    added = set(sets["static_dynamic"]) - set(sets["static"])
    assert {name.partition("_absolute")[0] for name in added} == {"cumulative_displacement", "velocity"}
    assert study.recipe.model_names == ("random_forest", "lightgbm", "xgboost")
    assert len(study.samples) == 3
    assert {partition.scheme for partition in study.partitions} == {"random", "spatial-blocks"}
    assert study.samples[0].prevalence == pytest.approx(0.5)


def test_b_predicts_areal_density_from_more_and_more(study_folder: Path, tmp_path: Path) -> None:
    study = prepared(study_folder, "paper_b", tmp_path)
    assert study.design.task is Task.REGRESSION
    assert study.data.kind == "aggregate"
    steps = list(study.feature_sets.values())
    assert [len(step) for step in steps] == sorted({len(step) for step in steps})
    assert all(set(first) < set(second) for first, second in itertools.pairwise(steps))
    assert len(steps[0]) == 11
    assert len(steps[2]) == 18
    target = study.target[np.isfinite(study.target)]
    assert 0.0 <= target.min() < target.max() <= 1.0
    assert target.max() > 0.2
    sample = study.samples[0]
    assert np.count_nonzero(sample.target > 0.01) == np.count_nonzero(sample.target <= 0.01)


def test_c_draws_from_every_land_cover_and_has_five_sets(study_folder: Path, tmp_path: Path) -> None:
    study = prepared(study_folder, "paper_c", tmp_path)
    sets = study.feature_sets
    assert list(sets) == ["neither", "precipitation", "soil_moisture", "coherence", "amplitude"]
    base = set(sets["neither"])
    assert [sorted(set(names) - base) for names in list(sets.values())[1:]] == [
        ["precipitation"], ["soil_moisture"], ["seasonal_coherence"], ["amplitude_mean"],
    ]  # fmt: skip
    assert "land_cover" in base  # else the equal draw itself would make the coherence, which knows it, gain
    sample = study.samples[0]
    free = sample.cells[sample.target == 0]
    cover = study.data.matrix(free, ["land_cover"])[:, 0].astype(int)
    counts = np.bincount(cover)[1:]
    # Equal shares, but for classes that have no more cells.
    assert counts.max() - np.sort(counts)[-2] <= 1


def test_d_has_fourteen_factors_and_twenty_to_one(study_folder: Path, tmp_path: Path) -> None:
    recipe = read_recipe(study_folder / "paper_d.toml")
    study = prepared(study_folder, "paper_d", tmp_path, sampling=smaller_sample(recipe, ratio=8.0))
    assert recipe.sampling.ratio == 20.0
    assert len(study.feature_sets["with_insar"]) == 14
    added = set(study.feature_sets["with_insar"]) - set(study.feature_sets["without_insar"])
    assert added == {"damage_proxy", "step_20220115_absolute"}
    assert {partition.scheme for partition in study.partitions} == {"random", "spatial-blocks", "north-south"}
    assert study.samples[0].prevalence == pytest.approx(1.0 / 9.0, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", PAPER_RECIPES)
def test_the_whole_recipe_runs_on_the_simulated_study(tmp_path: Path, name: str) -> None:
    simulate_study(tmp_path / "study", SimulationOptions())
    report = run_study(read_recipe(tmp_path / "study" / f"{name}.toml"), tmp_path / "result")
    assert report.is_file()
    with (tmp_path / "result" / "comparisons.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    # What InSAR was made to tell is found where the model is tested apart from where it was trained.
    told = {"paper_a": "static_dynamic", "paper_b": "day_10_co_event", "paper_c": "coherence", "paper_d": "with_insar"}
    metric = "r2" if name == "paper_b" else "auc_roc"
    gains = [
        float(row["mean"])
        for row in rows
        if row["candidate"] == told[name] and row["scheme"] == "spatial-blocks" and row["metric"] == metric
    ]
    assert gains
    assert min(gains) > 0.0


@pytest.mark.slow
def test_coherence_that_knows_nothing_of_water_gains_nothing(tmp_path: Path) -> None:
    simulate_study(tmp_path / "study", SimulationOptions().without_insar())
    run_study(read_recipe(tmp_path / "study" / "paper_c.toml"), tmp_path / "result")
    with (tmp_path / "result" / "comparisons.csv").open(encoding="utf-8") as file:
        gains = [
            float(row["mean"])
            for row in csv.DictReader(file)
            if row["candidate"] in {"coherence", "amplitude"} and row["metric"] == "auc_roc"
        ]
    assert len(gains) == 12
    assert max(gains) < 0.015
