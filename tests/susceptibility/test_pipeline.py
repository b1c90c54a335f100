"""The whole chain on simulated studies: what is found, what is written, and that it repeats to the byte."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import shapely

from insar.layers import read_layer
from susceptibility.mapping import classify
from susceptibility.pipeline import run_study
from susceptibility.publishing import checksum
from susceptibility.recipe import parse_recipe, read_recipe
from susceptibility.simulate import SimulationOptions, simulate_study

WriteRecipe = Callable[[dict[str, Any]], Path]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as source:
        return list(csv.DictReader(source))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, simulated: Path) -> Path:
    """Result of a quick recipe on the simulated study."""
    folder = tmp_path_factory.mktemp("finished")
    content = {
        "study": {"name": "Quick & <dirty>"},
        "factors": {
            "dem": str(simulated / "dem.tif"),
            "terrain": ["slope", "profile_curvature"],
            "insar": {"path": str(simulated / "insar"), "absolute": ["velocity"]},
        },
        "inventory": {"path": str(simulated / "inventory.gpkg")},
        "sampling": {"repeats": 2},
        "models": {"names": ["logistic_regression", "xgboost"], "xgboost": {"trees": 15, "depth": 2}},
        "validation": {"folds": 3, "schemes": ["random", "spatial-blocks", "kmeans"]},
        "explain": {"permutations": 2},
    }
    run_study(parse_recipe(content), folder / "out", workers=1)
    return folder / "out"


def test_the_folder_holds_what_is_promised_and_no_more(finished: Path) -> None:
    files = {path.relative_to(finished).as_posix() for path in finished.rglob("*") if path.is_file()}
    maps = {
        f"maps/{model}_{features}/{layer}.tif"
        for model in ("logistic_regression", "xgboost")
        for features in ("static", "static_insar")
        for layer in ("probability", "probability_std", "class")
    }
    figures = {
        f"figures/{name}.png"
        for name in ("maps", "curves", "comparison", "importance", "reliability", "classes", "inventory", "folds")
    }
    tables = {"metrics.json", "metrics.csv", "comparisons.csv", "classes.csv", "importance.csv", "table.csv"}
    assert files == maps | figures | tables | {"folds.gpkg", "recipe.toml", "report.html", "manifest.json"}
    assert [path.name for path in finished.parent.iterdir()] == ["out"]


def test_the_manifest_is_true(finished: Path, simulated: Path) -> None:
    manifest = json.loads((finished / "manifest.json").read_text())
    for name, entry in manifest["files"].items():
        assert checksum(finished / name) == entry["sha256"], name
    assert manifest["inputs"]["dem"]["sha256"] == checksum(simulated / "dem.tif")
    assert manifest["features"]["velocity_absolute"]["unit"] == "m/yr"
    assert manifest["inputs"]["feature velocity_absolute"]["path"].endswith("layers/velocity.tif")
    assert manifest["versions"]["scarp"]


def test_every_model_set_and_scheme_has_every_metric(finished: Path) -> None:
    content = json.loads((finished / "metrics.json").read_text())
    rows = content["metrics"]
    keys = {(row["model"], row["feature_set"], row["scheme"]) for row in rows}
    assert len(keys) == 2 * 2 * 4
    assert {scheme for *_, scheme in keys} == {"random", "spatial-blocks", "kmeans", "training"}
    assert len(rows) == len(keys) * 10
    assert all(row["values"] == (2 if row["scheme"] == "training" else 6) for row in rows)
    assert content["sample"]["prevalence"] == pytest.approx(0.5)
    assert len(rows_of(finished / "metrics.csv")) == len(rows)
    assert len(rows_of(finished / "comparisons.csv")) == 2 * 3 * 4


def test_insar_that_drives_the_inventory_is_found_important(finished: Path) -> None:
    rows = [row for row in rows_of(finished / "comparisons.csv") if row["metric"] == "auc_roc"]
    logistic = {row["scheme"]: row for row in rows if row["model"] == "logistic_regression"}
    assert all(float(row["mean"]) > 0.01 for row in logistic.values())
    importance = [
        row
        for row in rows_of(finished / "importance.csv")
        if (row["model"], row["feature_set"]) == ("logistic_regression", "static_insar")
    ]
    ranked = sorted(importance, key=lambda row: -float(row["permutation_mean"]))
    assert {row["feature"] for row in ranked[:2]} == {"slope", "velocity_absolute"}
    assert {row["group"] for row in importance} == {"terrain", "insar"}


def test_maps_lie_on_the_dem_and_classes_follow_the_probability(finished: Path, simulated: Path) -> None:
    _, grid, _ = read_layer(simulated / "dem.tif")
    truth, _, _ = read_layer(simulated / "truth" / "probability.tif")
    for folder in (finished / "maps").iterdir():
        probability, own, _ = read_layer(folder / "probability.tif")
        classes, _, _ = read_layer(folder / "class.tif")
        std, _, _ = read_layer(folder / "probability_std.tif")
        assert own.same_as(grid)
        np.testing.assert_array_equal(np.nan_to_num(classes), classify(probability, 5))
        np.testing.assert_array_equal(np.isfinite(probability), np.isfinite(truth))
        np.testing.assert_array_equal(np.isfinite(std), np.isfinite(truth))
        assert np.nanmin(std) >= 0.0
    known = np.isfinite(truth)
    mapped, _, _ = read_layer(finished / "maps" / "logistic_regression_static_insar" / "probability.tif")
    rank = [np.argsort(np.argsort(values[known])) for values in (mapped, truth)]
    assert np.corrcoef(rank)[0, 1] > 0.95


def test_the_table_holds_the_sampled_cells(finished: Path, simulated: Path) -> None:
    rows = rows_of(finished / "table.csv")
    rate, grid, _ = read_layer(simulated / "insar" / "layers" / "velocity.tif")
    assert {row["draws"] for row in rows if row["landslide"] == "1"} == {"0 1"}
    for row in rows[:: max(1, len(rows) // 20)]:
        assert int(row["cell"]) == int(row["row"]) * grid.cols + int(row["col"])
        assert float(row["x"]) == grid.transform.c + 30.0 * (int(row["col"]) + 0.5)
        assert np.float32(row["velocity_absolute"]) == abs(rate[int(row["row"]), int(row["col"])])


def test_folds_are_written_with_their_places(finished: Path) -> None:
    meta, _, geometry, values = pyogrio.raw.read(finished / "folds.gpkg")
    assert meta["crs"] == "EPSG:32645"
    fields = dict(zip(meta["fields"], values, strict=True))
    assert list(fields) == ["draw", "cell", "landslide", "random_1", "spatial_blocks_1", "kmeans_1"]
    assert set(fields["spatial_blocks_1"]) == {1, 2, 3}
    assert set(fields["draw"]) == {0, 1}
    rows = {int(row["cell"]): row for row in rows_of(finished / "table.csv")}
    points = shapely.from_wkb(geometry)
    for index in range(0, len(points), 50):
        row = rows[int(fields["cell"][index])]
        assert (points[index].x, points[index].y) == (float(row["x"]), float(row["y"]))
        assert int(row["landslide"]) == fields["landslide"][index]


def test_the_report_tells_and_opens_offline(finished: Path) -> None:
    page = (finished / "report.html").read_text(encoding="utf-8")
    assert "Quick &amp; &lt;dirty&gt;" in page
    assert "<dirty>" not in page
    assert page.count("data:image/png;base64,") == 8
    for outside in ("http://", "https://", "<script"):
        assert outside not in page
    for wanted in ("Probabilities are relative", "no rates of occurrence", "AUC-PR", "Brier", "nothing is imputed"):
        assert wanted in page
    assert "against static under spatial block validation" in page


def test_the_resolved_recipe_gives_the_same_bytes(finished: Path, tmp_path: Path) -> None:
    run_study(read_recipe(finished / "recipe.toml"), tmp_path / "again", workers=2)
    for path in sorted(finished.rglob("*")):
        name = path.relative_to(finished)
        if path.is_file() and name.name != "manifest.json":
            assert (tmp_path / "again" / name).read_bytes() == path.read_bytes(), name


def test_no_pickle_is_written(finished: Path) -> None:
    for path in finished.rglob("*"):
        if path.is_file():
            assert path.suffix in {".tif", ".csv", ".json", ".gpkg", ".toml", ".html", ".png"}


def comparison(tmp_path: Path, velocity_effect: float, seed: int) -> dict[str, Any]:
    """Metrics of logistic regression on a simulated study of 100 x 100 cells, under spatial blocks."""
    # No distances and rocks: a block holds few of their values, so that its own AUC is lower than that of the area.
    options = SimulationOptions(
        size=100,
        landslides=300,
        seed=seed,
        velocity_effect=velocity_effect,
        river_effect=0.0,
        fault_effect=0.0,
        rock_effect=0.0,
    )
    simulate_study(tmp_path / "study", options)
    recipe = read_recipe(tmp_path / "study" / "recipe.toml")
    content = recipe.model_dump(mode="json", exclude_none=True)
    content["models"] = {"names": ["logistic_regression"]}
    content["factors"]["terrain"] = ["slope", "profile_curvature"]
    content["explain"] = {"permutations": 0}
    run_study(parse_recipe(content), tmp_path / "out", workers=1)
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    truth = json.loads((tmp_path / "study" / "truth" / "model.json").read_text())
    auc = {(row["feature_set"], row["scheme"]): row["mean"] for row in metrics["metrics"] if row["metric"] == "auc_roc"}
    verdicts = {row["scheme"]: row["verdict"] for row in metrics["comparisons"] if row["metric"] == "auc_roc"}
    return {"auc": auc, "best": truth["best_auc"], "verdicts": verdicts}


def test_the_best_reachable_auc_is_reached_and_the_gain_found(tmp_path: Path) -> None:
    found = comparison(tmp_path, velocity_effect=1.2, seed=11)
    for scheme in ("random", "spatial-blocks"):
        assert found["auc"]["static_insar", scheme] == pytest.approx(found["best"], abs=0.02)
        assert found["auc"]["static", scheme] < found["best"] - 0.04
        assert found["verdicts"][scheme] == "gain"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_gain_is_said_when_there_is_none(tmp_path: Path, seed: int) -> None:
    found = comparison(tmp_path, velocity_effect=0.0, seed=seed)
    assert found["verdicts"]["spatial-blocks"] != "gain"
    assert found["auc"]["static", "spatial-blocks"] == pytest.approx(found["best"], abs=0.03)


def test_gaps_in_insar_are_counted_and_leave_the_static_map_whole(
    simulated: Path, quick_recipe: dict[str, Any], tmp_path: Path
) -> None:
    from insar.layers import LAYERS, write_layer

    rate, grid, _ = read_layer(simulated / "insar" / "layers" / "velocity.tif")
    rate[10:30, 10:40] = np.nan
    (tmp_path / "insar" / "layers").mkdir(parents=True)
    write_layer(tmp_path / "insar" / "layers" / "velocity.tif", rate, grid, LAYERS["velocity"])
    quick_recipe["factors"]["insar"]["path"] = str(tmp_path / "insar")
    quick_recipe["models"] = {"names": ["logistic_regression"]}
    run_study(parse_recipe(quick_recipe), tmp_path / "out", workers=1)
    static, _, _ = read_layer(tmp_path / "out" / "maps" / "logistic_regression_static" / "probability.tif")
    both, _, _ = read_layer(tmp_path / "out" / "maps" / "logistic_regression_static_insar" / "probability.tif")
    assert np.isfinite(static[10:30, 10:40]).all()
    assert np.isnan(both[10:30, 10:40]).all()
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["usable_cells"] == 70 * 70 - 600
    truth, _, _ = read_layer(simulated / "truth" / "probability.tif")
    page = (tmp_path / "out" / "report.html").read_text()
    assert f"leaves out {100 * 600 / np.isfinite(truth).sum():.1f} %" in page
    for row in rows_of(tmp_path / "out" / "table.csv"):
        assert not (10 <= int(row["row"]) < 30 and 10 <= int(row["col"]) < 40)
    assert metrics["inventory"]["on_missing_data"] > 0
