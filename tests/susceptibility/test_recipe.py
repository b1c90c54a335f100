"""Recipes: what they resolve to, and messages that name the key and what is known."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from susceptibility.errors import InputError, MissingInputError, OptionError
from susceptibility.recipe import dump_recipe, parse_recipe, read_recipe

WriteRecipe = Callable[[dict[str, Any]], Path]
SHIPPED = [file for file in (resources.files("susceptibility") / "recipes").iterdir() if file.name.endswith(".toml")]


def least() -> dict[str, Any]:
    return {"factors": {"dem": "dem.tif"}, "inventory": {"path": "slides.gpkg"}}


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_shipped_recipes_are_valid_and_survive_resolution(file: Any) -> None:
    recipe = parse_recipe(tomllib.loads(file.read_text(encoding="utf-8")))
    assert parse_recipe(tomllib.loads(dump_recipe(recipe))) == recipe
    assert {"random", "spatial-blocks"} <= set(recipe.validation.schemes)


def test_static_is_compared_with_insar_where_there_is_insar() -> None:
    content = least()
    assert list(parse_recipe(content).resolved_sets({})) == ["static"]
    content["factors"] |= {
        "terrain": ["slope"],
        "rasters": {"ndvi": "ndvi.tif"},
        "insar": {"path": "out", "layers": ["velocity"], "absolute": ["velocity"]},
    }
    assert parse_recipe(content).resolved_sets({}) == {
        "static": ("slope", "ndvi"),
        "static_insar": ("slope", "ndvi", "velocity", "velocity_absolute"),
    }


def test_feature_sets_name_groups_and_features() -> None:
    content = least() | {"feature_sets": {"a": ["slope"], "b": ["terrain", "slope"]}}
    content["factors"]["terrain"] = ["elevation", "slope"]
    assert parse_recipe(content).resolved_sets({}) == {"a": ("slope",), "b": ("elevation", "slope")}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stdy": {}}, r"'stdy': required one of the known keys: study, factors, .*feature_sets"),
        ({"sampling": {"ration": 2}}, r"'sampling\.ration'.*negatives, ratio, seed, repeats"),
        ({"sampling": {"ratio": -1}}, r"'sampling\.ratio': required greater than 0; found -1"),
        ({"models": {"random_forest": {"tree": 5}}}, r"'models\.random_forest\.tree'.*trees, depth"),
        ({"models": {"names": ["svm"]}}, r"models among logistic_regression, random_forest, xgboost; found 'svm'"),
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
        ({"factors": {}}, r"'factors\.dem': required this key"),
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
