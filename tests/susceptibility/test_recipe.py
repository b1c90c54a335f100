"""Recipes: what they resolve to, and messages that name the key and what is known."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from susceptibility.dataset import Dataset, Targets, row_values
from susceptibility.errors import InputError, MissingInputError, OptionError
from susceptibility.recipe import dump_recipe, parse_recipe, read_recipe
from susceptibility.schema import FeatureSchema

WriteRecipe = Callable[[dict[str, Any]], Path]
SHIPPED = [file for file in (resources.files("susceptibility") / "recipes").iterdir() if file.name.endswith(".toml")]


def least() -> dict[str, Any]:
    return {"factors": {"dem": "dem.tif"}, "inventory": {"path": "slides.gpkg"}}


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_shipped_recipes_are_valid_and_survive_resolution(file: Any) -> None:
    recipe = parse_recipe(tomllib.loads(file.read_text(encoding="utf-8")))
    assert parse_recipe(tomllib.loads(dump_recipe(recipe))) == recipe
    assert {"random", "spatial-blocks"} <= set(recipe.validation.schemes)


def data_of(**groups: tuple[str, ...]) -> Dataset:
    """A dataset of no rows with features of some groups; a factor of classes has become two columns."""
    schema = [FeatureSchema(name, group=group) for group, names in groups.items() for name in names]
    return Dataset(
        kind="cells",
        crs="EPSG:32633",
        count=0,
        schema=tuple(schema),
        columns={},
        sigma={},
        members={feature.name: (feature.name,) for feature in schema} | {"rock": ("rock_a", "rock_b")},
        targets=Targets(np.empty(0, np.uint8)),
        area_m2=row_values(np.empty(0)),
        number=row_values(np.empty(0)),
        places=np.empty((0, 2)).__getitem__,
    )


def test_static_is_compared_with_insar_where_there_is_insar() -> None:
    recipe = parse_recipe(least())
    assert recipe.resolved_sets(data_of(terrain=("slope",))) == {"static": ("slope",)}
    both = data_of(terrain=("slope",), rasters=("ndvi",), insar=("velocity", "velocity_absolute"))
    assert recipe.resolved_sets(both) == {
        "static": ("slope", "ndvi"),
        "static_insar": ("slope", "ndvi", "velocity", "velocity_absolute"),
    }
    assert recipe.resolved_sets(data_of(insar=("velocity",))) == {"insar": ("velocity",)}


def test_feature_sets_name_groups_factors_and_columns() -> None:
    content = least() | {"feature_sets": {"a": ["slope"], "b": ["terrain", "slope"]}}
    content["factors"]["terrain"] = ["elevation", "slope"]
    recipe = parse_recipe(content)
    assert recipe.resolved_sets(data_of(terrain=("elevation", "slope"))) == {
        "a": ("slope",),
        "b": ("elevation", "slope"),
    }
    content["factors"]["categories"] = {"rock": "rock.tif"}
    content["units"] = {"kind": "aggregate"}
    content["feature_sets"] = {"rocks": ["rock"], "steep": ["slope_mean"]}
    data = data_of(terrain=("slope_mean", "slope_sd"), categories=("rock_a", "rock_b"))
    assert parse_recipe(content).resolved_sets(data) == {"rocks": ("rock_a", "rock_b"), "steep": ("slope_mean",)}
    content["feature_sets"] = {"steep": ["slope_median"]}
    with pytest.raises(OptionError, match=r"slope_mean, slope_sd.*found 'slope_median'"):
        parse_recipe(content).resolved_sets(data)


def test_a_timeline_grows_step_by_step() -> None:
    content = least() | {
        "feature_sets": {"static": ["terrain"]},
        "timeline": [
            {"name": "2015-05-01", "features": ["terrain", "velocity"]},
            {"name": "2015-05-13", "features": ["damage"]},
        ],
    }
    content["factors"] |= {"terrain": ["slope"], "insar": {"path": "o", "layers": ["velocity", "damage"]}}
    sets = parse_recipe(content).resolved_sets(data_of(terrain=("slope",), insar=("velocity", "damage")))
    assert sets == {
        "static": ("slope",),
        "2015-05-01": ("slope", "velocity"),
        "2015-05-13": ("slope", "velocity", "damage"),
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stdy": {}}, r"'stdy': required one of the known keys: study, table, factors, .*feature_sets"),
        ({"sampling": {"ration": 2}}, r"'sampling\.ration'.*negatives, ratio, strata, .*seed, repeats"),
        ({"sampling": {"ratio": -1}}, r"'sampling\.ratio': required greater than 0; found -1"),
        ({"models": {"random_forest": {"tree": 5}}}, r"'models\.random_forest\.tree'.*trees, depth"),
        ({"models": {"names": ["svm"]}}, r"models among logistic_regression, linear_svm, .*xgboost.*; found 'svm'"),
        ({"models": {"names": ["xgboost", "xgboost"]}}, "each once"),
        ({"validation": {"schemes": ["random"]}}, "'random' and a spatial scheme"),
        ({"validation": {"schemes": ["spatial-blocks"]}}, "'random' and a spatial scheme"),
        ({"validation": {"schemes": ["random", "blocks"]}}, r"'spatial-blocks'.*found 'blocks'"),
        ({"validation": {"folds": 1}}, "greater than or equal to 2; found 1"),
        ({"feature_sets": {"a": ["slpe"]}}, r"elevation, slope.*found 'slpe'"),
        ({"feature_sets": {"a": []}}, "at least one feature"),
        ({"feature_sets": {"../up": ["slope"]}}, "feature_sets"),
        ({"factors": {"dem": "d", "terrain": ["sloop"]}}, r"elevation, slope, aspect,.*found 'sloop'"),
        ({"factors": {"dem": "d", "terrain": ["slope", "slope"]}}, "'slope' twice"),
        ({"factors": {"dem": "d", "rasters": {"slope": "x.tif"}}}, "'slope' twice"),
        ({"factors": {"dem": "d", "rasters": {"insar": "x.tif"}}}, "other than those of the groups"),
        (
            {"factors": {"dem": "d", "rasters": {"a": {"path": "x", "resmpling": "mode"}}}},
            "path, band, resampling, unit",
        ),
        ({"factors": {"dem": "d", "insar": {"path": "o"}}}, "at least one layer"),
        ({"factors": {"dem": "d", "terrain": []}}, "at least one factor"),
        ({"factors": {}}, r"\[factors\] dem, or a \[table\]; found neither"),
        ({"table": {"path": "t.csv", "crs": "EPSG:32633"}}, r"\[table\] alone"),
        ({"models": {"search": {"xgboost": {"tree": [1]}}}}, r"options of xgboost in .*trees, depth.*found 'tree'"),
        ({"models": {"calibration": {"xgb": "isotonic"}}}, "found 'xgb'"),
        ({"validation": {"schemes": ["random", "areas"]}}, "'areas' with the path of polygons"),
        ({"validation": {"block_size_m": -5.0}}, "positive 'block_size_m'"),
        ({"map": {"perturbations": 1}}, "at least 2 'perturbations'"),
        ({"inventory": {"path": "x", "kind": "lines"}}, "'points', 'polygons' or 'raster'; found 'lines'"),
        ({"map": {"classes": 1}}, "greater than or equal to 2"),
    ],
)
def test_what_cannot_be_used_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        parse_recipe(least() | change, "recipe.toml")


def test_paths_are_relative_to_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "study").mkdir()
    for name in ("dem.tif", "slides.gpkg", "ndvi.tif"):
        (tmp_path / name).touch()
    path = tmp_path / "study" / "recipe.toml"
    path.write_text(
        '[factors]\ndem = "../dem.tif"\nrasters = { ndvi = "../ndvi.tif" }\n[inventory]\npath = "../slides.gpkg"\n'
    )
    monkeypatch.chdir(tmp_path)
    recipe = read_recipe(Path("study/recipe.toml"))
    assert recipe.factors.dem == tmp_path / "dem.tif"
    assert recipe.factors.rasters["ndvi"].path == tmp_path / "ndvi.tif"
    assert recipe.inventory.path == tmp_path / "slides.gpkg"


def test_a_file_that_is_not_there_is_named_with_its_key(write_recipe: WriteRecipe, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"dem\.tif: required .*'factors\.dem'"):
        read_recipe(write_recipe(least()))
    with pytest.raises(MissingInputError, match=r"a recipe \(TOML file\)"):
        read_recipe(tmp_path / "none.toml")


def test_broken_toml_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text("[study\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 1"):
        read_recipe(path)


def test_the_insar_folder_is_overridden(
    write_recipe: WriteRecipe, quick_recipe: dict[str, Any], simulated: Path, tmp_path: Path
) -> None:
    quick_recipe["factors"]["insar"]["path"] = "nowhere"
    path = write_recipe(quick_recipe)
    with pytest.raises(MissingInputError, match=r"factors\.insar\.path"):
        read_recipe(path)
    recipe = read_recipe(path, insar=simulated / "insar")
    assert recipe.factors.insar is not None
    assert recipe.factors.insar.path == simulated / "insar"
    del quick_recipe["factors"]["insar"]
    with pytest.raises(OptionError, match="--insar"):
        read_recipe(write_recipe(quick_recipe), insar=simulated / "insar")
