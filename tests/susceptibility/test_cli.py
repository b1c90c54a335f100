"""The command: what each subcommand does, and that bad input ends with code 2, one message and nothing written."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from insar.layers import LAYERS, read_layer, write_layer
from susceptibility import cli

Command = Callable[..., Any]
WriteRecipe = Callable[[dict[str, Any]], Path]


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-m", "susceptibility", "--help"], check=True, capture_output=True)
    assert time.perf_counter() - begun < 3.0  # 0.2 s on an idle machine; one that tests in parallel is slower
    heavy = "numpy, sklearn, xgboost, matplotlib, rasterio, pyogrio, shapely, pyproj, numba, scipy, pydantic, rich"
    code = (
        f"import sys, susceptibility.cli; loaded = set('{heavy}'.split(', ')) & set(sys.modules); "
        "sys.exit(', '.join(loaded) if loaded else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_version_and_help(susceptibility: Command) -> None:
    assert susceptibility("--version").out.startswith("scarp ")
    helped = susceptibility("--help")
    assert helped.code == 0
    for command in ("run", "factors", "simulate", "recipes"):
        assert command in helped.out


def test_simulate_then_run_prints_the_report(susceptibility: Command, tmp_path: Path) -> None:
    made = susceptibility("simulate", "-o", tmp_path / "study", "--size", "64", "--landslides", "150", "--seed", "2")
    assert (made.code, made.out.strip()) == (0, str(tmp_path / "study" / "recipe.toml"))
    recipe = tmp_path / "study" / "recipe.toml"
    text = recipe.read_text().replace(
        "[sampling]", '[models]\nnames = ["logistic_regression"]\n\n[sampling]\nrepeats = 1'
    )
    text += "folds = 2\n[explain]\npermutations = 0\nshap = false\ndependence = false\n[map]\napplicability = false\n"
    recipe.write_text(text, encoding="utf-8")
    ended = susceptibility("run", recipe, "-o", tmp_path / "out", "--workers", "1")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.strip() == str(tmp_path / "out" / "report.html")
    assert (tmp_path / "out" / "report.html").is_file()
    again = susceptibility("run", recipe, "-o", tmp_path / "out", "--workers", "1")
    assert again.code == 2
    assert "--overwrite" in again.err
    over = susceptibility("run", recipe, "-o", tmp_path / "out", "--workers", "1", "--overwrite", "--quiet")
    assert (over.code, over.out, over.err) == (0, "", "")


def test_factors_are_written(susceptibility: Command, simulated: Path, tmp_path: Path) -> None:
    ended = susceptibility("factors", simulated / "dem.tif", "-o", tmp_path / "f", "--names", "slope, plan_curvature")
    assert ended.code == 0
    assert sorted(path.name for path in (tmp_path / "f").iterdir()) == ["plan_curvature.tif", "slope.tif"]
    assert read_layer(tmp_path / "f" / "slope.tif")[2].unit == "deg"
    wrong = susceptibility("factors", simulated / "dem.tif", "-o", tmp_path / "g", "--names", "sloop")
    assert wrong.code == 2
    assert "sloop" in wrong.err
    assert not (tmp_path / "g").exists()


def test_recipes_are_listed_shown_and_copied(susceptibility: Command, tmp_path: Path) -> None:
    listed = susceptibility("recipes", "list").out
    names = [line.split()[0] for line in listed.splitlines()]
    assert {"static", "static_insar", "paper_a", "paper_b", "paper_c", "paper_d"} <= set(names)
    shown = susceptibility("recipes", "show", "static_insar").out
    copied = susceptibility("recipes", "copy", "static_insar", "-o", tmp_path / "mine.toml")
    assert copied.out.strip() == str(tmp_path / "mine.toml")
    assert (tmp_path / "mine.toml").read_text() == shown
    assert susceptibility("recipes", "copy", "static", "-o", tmp_path).code == 0
    assert (tmp_path / "static.toml").is_file()
    twice = susceptibility("recipes", "copy", "static_insar", "-o", tmp_path / "mine.toml")
    assert (twice.code, "--overwrite" in twice.err) == (2, True)
    unknown = susceptibility("recipes", "show", "statc")
    assert (unknown.code, "static, static_insar" in unknown.err) == (2, True)


def test_usage_errors_end_with_2(susceptibility: Command, tmp_path: Path) -> None:
    for arguments in (
        ["run"],
        ["rnu"],
        ["run", "r.toml", "-o", "x", "--wrkers", "2"],
        ["run", "r", "-o", "x", "--workers", "0"],
    ):
        ended = susceptibility(*arguments)
        assert ended.code == 2, arguments
        assert "Traceback" not in ended.err


def refused(ended: Any, folder: Path, *wanted: str) -> None:
    """Code 2, one message with the wanted words, no traceback, no result and no leftovers."""
    assert ended.code == 2, ended.err
    assert ended.out == ""
    assert ended.err.startswith("Error: ")
    assert ended.err.count("\n") == 1
    for word in wanted:
        assert word in ended.err
    assert not (folder / "out").exists()
    assert not (folder / ".out.partial").exists()


def test_an_inventory_without_a_crs(
    susceptibility: Command, quick_recipe: dict[str, Any], write_recipe: WriteRecipe, write_shapes: Any, tmp_path: Path
) -> None:
    with pytest.warns(UserWarning, match="crs"):
        quick_recipe["inventory"]["path"] = str(write_shapes([shapely.Point(400_500, 3_099_000)], None))
    ended = susceptibility("run", write_recipe(quick_recipe), "-o", tmp_path / "out")
    refused(ended, tmp_path, "inventory.gpkg", "coordinate reference system", "found none", "[inventory] crs")


def test_an_inventory_that_misses_the_grid(
    susceptibility: Command, quick_recipe: dict[str, Any], write_recipe: WriteRecipe, write_shapes: Any, tmp_path: Path
) -> None:
    quick_recipe["inventory"]["path"] = str(write_shapes([shapely.Point(10.0, 45.0)], "EPSG:4326"))
    ended = susceptibility("run", write_recipe(quick_recipe), "-o", tmp_path / "out")
    refused(ended, tmp_path, "inventory.gpkg", "inside the grid", "400000", "found landslides in")


def test_an_unknown_key(
    susceptibility: Command, quick_recipe: dict[str, Any], write_recipe: WriteRecipe, tmp_path: Path
) -> None:
    quick_recipe["validation"]["block_size"] = 100.0
    ended = susceptibility("run", write_recipe(quick_recipe), "-o", tmp_path / "out")
    refused(ended, tmp_path, "validation.block_size", "schemes, folds, repeats, block_size_m")


def test_a_raster_that_is_not_there(
    susceptibility: Command, quick_recipe: dict[str, Any], write_recipe: WriteRecipe, tmp_path: Path
) -> None:
    quick_recipe["factors"]["rasters"] = {"ndvi": "ndvi.tif"}
    ended = susceptibility("run", write_recipe(quick_recipe), "-o", tmp_path / "out")
    refused(ended, tmp_path, "ndvi.tif", "factors.rasters.ndvi", "relative to the recipe")


def test_a_damaged_raster(
    susceptibility: Command, quick_recipe: dict[str, Any], write_recipe: WriteRecipe, tmp_path: Path
) -> None:
    (tmp_path / "ndvi.tif").write_bytes(b"II*\x00" + b"\x00" * 20)
    quick_recipe["factors"]["rasters"] = {"ndvi": "ndvi.tif"}
    ended = susceptibility("run", write_recipe(quick_recipe), "-o", tmp_path / "out")
    refused(ended, tmp_path, "ndvi.tif")


def test_folds_of_one_class(
    susceptibility: Command, quick_recipe: dict[str, Any], write_recipe: WriteRecipe, write_shapes: Any, tmp_path: Path
) -> None:
    corner = [shapely.Point(400_100.0 + 30.0 * step, 3_099_900.0) for step in range(6)]
    quick_recipe["inventory"]["path"] = str(write_shapes(corner, "EPSG:32645"))
    quick_recipe["validation"] = {"schemes": ["random", "kmeans"], "folds": 4}
    quick_recipe["sampling"] = {"ratio": 20.0}
    ended = susceptibility("run", write_recipe(quick_recipe), "-o", tmp_path / "out")
    refused(ended, tmp_path, "validation by k-means", "(landslides, others)", "fewer folds")


def test_a_radar_result_that_is_not_geocoded(
    susceptibility: Command, quick_recipe: dict[str, Any], write_recipe: WriteRecipe, tmp_path: Path
) -> None:
    from insar.grid import Grid

    (tmp_path / "radar" / "layers").mkdir(parents=True)
    write_layer(
        tmp_path / "radar" / "layers" / "velocity.tif",
        np.zeros((20, 20), np.float32),
        Grid.radar(20, 20),
        LAYERS["velocity"],
    )
    recipe = write_recipe(quick_recipe)
    ended = susceptibility("run", recipe, "-o", tmp_path / "out", "--insar", tmp_path / "radar", "--quiet")
    refused(ended, tmp_path, "velocity.tif", "coordinate reference system")


def test_an_output_folder_of_something_else(
    susceptibility: Command, quick_recipe: dict[str, Any], write_recipe: WriteRecipe, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    ended = susceptibility("run", write_recipe(quick_recipe), "-o", tmp_path / "mine", "--overwrite")
    refused(ended, tmp_path, "mine", "Name another folder")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def test_the_unexpected_ends_with_1_and_a_log(
    susceptibility: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken() -> dict[str, str]:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(cli, "_shipped_recipes", broken)
    monkeypatch.chdir(tmp_path)
    ended = susceptibility("recipes", "list")
    assert ended.code == 1
    assert ended.err.startswith("Unexpected error: ZeroDivisionError: a defect\n")
    (log,) = tmp_path.glob("susceptibility-error-*.log")
    assert "Traceback" in log.read_text()
    assert str(log) in ended.err
