"""Whole runs on larger units and on a given table: what is written, and that its parts say the same."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import shapely

from insar.layers import read_layer
from susceptibility.bundle import read_bundle
from susceptibility.class_bounds import BoundsMethod
from susceptibility.join import join_dataset
from susceptibility.map_work import usable_bounds
from susceptibility.metrics import DENSITY_METRICS
from susceptibility.pipeline import run_study
from susceptibility.recipe import parse_recipe, read_recipe
from susceptibility.study import prepare_study
from susceptibility.table_files import read_table

SIDE = 18
SIZE_M = 120.0
CANDIDATES = ("random_forest_static", "random_forest_static_insar", "lightgbm_static", "lightgbm_static_insar")
INSAR = ("velocity_absolute_mean", "velocity_absolute_extreme", "velocity_absolute_moving_share")


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as source:
        return list(csv.DictReader(source))


def units_of(path: Path) -> tuple[dict[str, np.ndarray], np.ndarray, dict[str, Any]]:
    meta, _, geometry, values = pyogrio.raw.read(path)
    return dict(zip(meta["fields"], values, strict=True)), shapely.from_wkb(geometry), meta


def areal_recipe(simulated: Path) -> dict[str, Any]:
    return {
        "study": {"name": "Areal density of units", "target": "areal_density"},
        "units": {"kind": "aggregate", "size_m": SIZE_M, "statistics": ["mean"]},
        "factors": {
            "dem": str(simulated / "dem.tif"),
            "terrain": ["slope", "profile_curvature"],
            "categories": {"lithology": {"path": str(simulated / "lithology.gpkg"), "field": "name"}},
            "insar": {"path": str(simulated / "insar"), "absolute": ["velocity"]},
        },
        "inventory": {"path": str(simulated / "inventory_polygons.gpkg")},
        "models": {
            "names": ["random_forest", "lightgbm"],
            "random_forest": {"trees": 6, "criterion": "absolute_error", "leaf_cells": 5},
            "lightgbm": {"trees": 15, "leaves": 5},
        },
        "validation": {"folds": 3, "positive_above": 0.05},
        "explain": {"permutations": 2, "ablation": True},
        "map": {"perturbations": 2},
    }


@pytest.fixture(scope="module")
def areal(tmp_path_factory: pytest.TempPathFactory, simulated: Path) -> Path:
    """Result of a study of areal density on squares of 120 m."""
    folder = tmp_path_factory.mktemp("areal") / "out"
    run_study(parse_recipe(areal_recipe(simulated)), folder, workers=1)
    return folder


def test_maps_of_units_are_rasters_and_polygons_of_the_same_values(areal: Path, simulated: Path) -> None:
    _, grid, _ = read_layer(simulated / "dem.tif")
    for name in CANDIDATES:
        folder = areal / "maps" / name
        layers = {"areal_density", "class", "applicable"} | ({"areal_density_insar_std"} if "insar" in name else set())
        assert {path.name for path in folder.iterdir()} == {f"{layer}.tif" for layer in layers} | {"units.gpkg"}
        fields, squares, meta = units_of(folder / "units.gpkg")
        assert set(fields) == {"unit"} | layers
        assert meta["crs"] == str(grid.crs)
        assert len(squares) == SIDE * SIDE
        np.testing.assert_allclose(shapely.area(squares), SIZE_M**2)
        for layer in layers:
            raster, own, _ = read_layer(folder / f"{layer}.tif")
            assert own.same_as(grid)
            # Every cell has the value of the unit that holds it.
            blocks = np.asarray(raster).reshape(SIDE, 4, SIDE, 4)
            assert (np.ptp(blocks, axis=(1, 3)) == 0.0).all()
            middle = shapely.get_coordinates(shapely.centroid(squares))
            cols = ((middle[:, 0] - grid.transform.c) // SIZE_M).astype(int)
            rows = ((grid.transform.f - middle[:, 1]) // SIZE_M).astype(int)
            # In the raster 0 is unknown, 1 unlike the training rows and 2 like them.
            values = fields[layer] + 1.0 if layer == "applicable" else fields[layer]
            np.testing.assert_allclose(blocks[rows, 0, cols, 0], values, rtol=1e-6)
        density = fields["areal_density"]
        assert density.min() >= 0.0
        assert 0.0 < density.max() <= 1.0


def test_classes_of_a_density_span_what_is_predicted(areal: Path) -> None:
    """Densities are far below 1: equal parts of 0 to 1 would put the whole area into one class."""
    for name in CANDIDATES:
        fields, _, _ = units_of(areal / "maps" / name / "units.gpkg")
        density, classes = fields["areal_density"], fields["class"]
        assert classes.max() == 5
        expected = np.minimum(np.floor(5.0 * density / density.max()), 4.0) + 1.0
        edge = np.abs(5.0 * density / density.max() - np.round(5.0 * density / density.max())) < 1e-5
        np.testing.assert_array_equal(classes[~edge], expected[~edge])
        model, features = name.split("_static")
        rows = [
            row for row in rows_of(areal / "classes.csv")
            if (row["model"], row["feature_set"]) == (model, f"static{features}")
        ]  # fmt: skip
        for row in rows:
            inside = classes == int(row["number"])
            assert float(row["area_km2"]) == pytest.approx(inside.sum() * SIZE_M**2 / 1e6)
        assert sum(float(row["landslide_share"]) for row in rows) == pytest.approx(1.0)


@pytest.mark.parametrize("method", [BoundsMethod.QUANTILES, BoundsMethod.NATURAL_BREAKS])
def test_predictions_that_are_too_alike_for_classes_lose_no_work(method: BoundsMethod) -> None:
    alike = np.repeat(np.array([0.0, 0.02, 0.1], np.float32), [30, 2, 1])
    bounds, (told,) = usable_bounds(method, 5, alike, 0.1)
    np.testing.assert_allclose(bounds.inner, [0.02, 0.04, 0.06, 0.08])
    assert told.passed is False
    assert "classes are of equal width instead" in told.sentence
    different = np.linspace(0.0, 0.1, 40, dtype=np.float32)
    bounds, told_nothing = usable_bounds(method, 5, different, 0.1)
    assert (bounds.method, told_nothing) == (method, ())


def test_the_models_in_the_folder_make_the_map(areal: Path, simulated: Path, tmp_path: Path) -> None:
    data = join_dataset(parse_recipe(areal_recipe(simulated)), tmp_path / "work").data
    for name in CANDIDATES:
        bundle = read_bundle(areal / "model" / name)
        schema = bundle.models[0].schema
        features = data.matrix(slice(0, data.count), [feature.name for feature in schema])
        fields, _, _ = units_of(areal / "maps" / name / "units.gpkg")
        np.testing.assert_array_equal(fields["unit"], data.number(slice(0, data.count)))
        np.testing.assert_allclose(fields["areal_density"], bundle.models[0].predict(features), rtol=1e-6)
        assert [feature.name for feature in schema if feature.is_class] == ["lithology_dominant"]
        assert len(schema[2].classes) > 2
        assert ("insar" in name) == (set(INSAR) <= {feature.name for feature in schema})


def test_metrics_are_of_densities(areal: Path) -> None:
    content = json.loads((areal / "metrics.json").read_text())
    rows = content["metrics"]
    assert (content["target"], content["units"]["kind"], content["units"]["count"]) == (
        "areal_density",
        "aggregate",
        324,
    )
    assert {row["metric"] for row in rows} == set(DENSITY_METRICS)
    assert {row["scheme"] for row in rows} == {"random", "spatial-blocks", "training"}
    assert len(rows) == 4 * 3 * len(DENSITY_METRICS) == len(rows_of(areal / "metrics.csv"))
    # All units are taken, so that there is one draw.
    assert content["sample"] == content["sample"] | {"draws": 1, "units": 324}
    values = {(row["model"], row["feature_set"], row["scheme"], row["metric"]): row for row in rows}
    spatial = values["lightgbm", "static_insar", "spatial-blocks", "spearman"]
    assert spatial["values"] == 3
    assert 0.2 < spatial["mean"] < 0.9
    for row in rows:
        if row["metric"] == "rmse":
            assert 0.0 < row["mean"] < 0.2
    assert {row["metric"] for row in content["comparisons"]} == {"r2", "spearman", "rmse", "auc_roc"}
    shares = {row["model"]: row["share"] for row in content["outside_area_of_applicability"]}
    assert set(shares) == {"random_forest", "lightgbm"}
    assert {row["feature_set"] for row in content["insar_errors"]} == {"static_insar"}


def test_training_scores_are_those_of_the_map(areal: Path, simulated: Path, tmp_path: Path) -> None:
    """All units were trained on, so that the map and the target give the scores again."""
    study = prepare_study(parse_recipe(areal_recipe(simulated)), tmp_path / "work")
    rows = json.loads((areal / "metrics.json").read_text())["metrics"]
    target = study.target
    for name in CANDIDATES:
        model, features = name.split("_static")
        own = {
            row["metric"]: row["mean"] for row in rows
            if (row["model"], row["feature_set"], row["scheme"]) == (model, f"static{features}", "training")
        }  # fmt: skip
        fields, _, _ = units_of(areal / "maps" / name / "units.gpkg")
        error = fields["areal_density"] - target
        assert own["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-4)
        assert own["mae"] == pytest.approx(np.abs(error).mean(), rel=1e-4)
        assert own["r2"] == pytest.approx(1.0 - (error**2).sum() / ((target - target.mean()) ** 2).sum(), rel=1e-3)
        assert own["prevalence"] == pytest.approx((target > 0.05).mean())


def test_the_table_and_the_folds_are_of_the_units(areal: Path) -> None:
    table = read_table(areal / "table.parquet")
    fields, _, _ = units_of(areal / "folds.gpkg")
    assert (table.kind, table.rows) == ("aggregate", 324)
    np.testing.assert_array_equal(fields["target"], table.read("target"))
    np.testing.assert_array_equal(fields["unit"], table.read("unit"))
    assert set(fields["spatial_blocks_1"]) == {1, 2, 3}
    assert table.column("lithology_dominant").unit == "class"
    assert set(np.unique(table.read("draws"))) == {1}


def test_importance_and_ablation_name_every_feature_and_source(areal: Path) -> None:
    importance = [row for row in rows_of(areal / "importance.csv") if row["feature_set"] == "static_insar"]
    features = {row["name"] for row in importance if row["kind"] == "feature"}
    assert features == {"slope_mean", "profile_curvature_mean", "lithology_dominant", *INSAR}
    assert {row["name"] for row in importance if row["kind"] == "group"} == {"terrain", "categories", "insar"}
    assert {row["score"] for row in importance} == {"r2"}
    assert {row["shap_scale"] for row in importance} == {"density"}
    best = max(importance, key=lambda row: float(row["permutation_mean"]) if row["model"] == "lightgbm" else -1.0)
    assert best["name"] in {"slope_mean", "terrain"}
    ablation = rows_of(areal / "ablation.csv")
    assert {(row["model"], row["group"]) for row in ablation} == {
        (model, group) for model in ("random_forest", "lightgbm") for group in ("terrain", "categories", "insar")
    }
    assert {row["metric"] for row in ablation} == {"r2"}


def test_the_report_speaks_of_densities(areal: Path) -> None:
    page = (areal / "report.html").read_text(encoding="utf-8")
    for wanted in (
        "A density is predicted: the share of each unit&#x27;s area that landslides cover.",
        "density is above 0.05", "324 of kind aggregate", "all there are", "landslides, m²", "lithology_dominant",
        "r2 of the line of best fit", "72 x 72 cells",
    ):  # fmt: skip
        assert wanted in page, wanted
    for wrong in ("Probabilities are relative", "no rates of occurrence", "Brier</th>", "probability 0.5"):
        assert wrong not in page, wrong
    pictures = {path.stem for path in (areal / "figures").iterdir()}
    assert {"densities", "class_map", "ablation", "shap_lightgbm", "shap_random_forest"} <= pictures
    assert "reliability" not in pictures
    assert page.count("data:image/png;base64,") == len(pictures)
    # The map of classes stands where classes are spoken of.
    assert page.index("<h2>Classes") < page.index("Classes of the map that does best") < page.index("Can the maps be")


def test_the_resolved_recipe_of_a_density_gives_the_same_bytes(areal: Path, tmp_path: Path) -> None:
    run_study(read_recipe(areal / "recipe.toml"), tmp_path / "again", workers=2)
    for path in sorted(areal.rglob("*")):
        name = path.relative_to(areal)
        if path.is_file() and name.name != "manifest.json":
            assert (tmp_path / "again" / name).read_bytes() == path.read_bytes(), name


EVENTS = {"Alor": (500e3, 4000e3, 150), "Bura": (512e3, 4008e3, 100), "Cem": (506e3, 4020e3, 70)}


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Result of a study of a table of three events, of which slope, rate and schist tell."""
    folder = tmp_path_factory.mktemp("given")
    rng = np.random.default_rng(5)
    lines = ["x,y,landslide,event,slope,rock,rate"]
    for name, (east, north, count) in EVENTS.items():
        for _ in range(count):
            x, y = np.array([east, north]) + rng.uniform(-3000.0, 3000.0, 2)
            slope, rate, rock = rng.uniform(2.0, 45.0), abs(rng.normal(0.0, 12.0)), rng.choice(["marl", "schist"])
            chance = 1.0 / (1.0 + np.exp(4.8 - 0.11 * slope - 0.16 * rate - 0.8 * (rock == "schist")))
            lines.append(f"{x:.1f},{y:.1f},{int(rng.random() < chance)},{name},{slope:.2f},{rock},{rate:.2f}")
    lines.append("500000,4000000,,Alor,10.0,marl,3.0")  # a row that nobody looked at
    (folder / "t.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    content = {
        "study": {"name": "Three events"},
        "table": {
            "path": str(folder / "t.csv"), "crs": "EPSG:32633", "landslide": "landslide", "event": "event",
            "classes": ["rock"], "groups": {"terrain": ["slope"], "insar": ["rate"]},
            "units": {"slope": "deg", "rate": "mm/yr"},
        },
        "models": {"names": ["logistic_regression", "frequency_ratio"]},
        "validation": {"schemes": ["random", "events"], "folds": 3},
        "explain": {"permutations": 2},
    }  # fmt: skip
    run_study(parse_recipe(content), folder / "out", workers=1)
    return folder / "out"


def test_maps_of_a_table_are_points(given: Path) -> None:
    for name in ("logistic_regression_static", "frequency_ratio_static_insar"):
        assert [path.name for path in (given / "maps" / name).iterdir()] == ["units.gpkg"]
        fields, points, meta = units_of(given / "maps" / name / "units.gpkg")
        assert (meta["geometry_type"], meta["crs"]) == ("Point", "EPSG:32633")
        assert set(fields) == {"unit", "probability", "class", "applicable"}
        assert len(points) == 321
        assert ((fields["probability"] > 0.0) & (fields["probability"] < 1.0)).all()
        # The row of unknown presence is mapped, too.
        assert (points[-1].x, points[-1].y) == (500_000.0, 4_000_000.0)
    assert not list(given.rglob("*.tif"))


def test_events_are_tested_in_turn(given: Path) -> None:
    fields, points, _ = units_of(given / "folds.gpkg")
    assert len(points) == 320
    assert 321 not in fields["unit"]
    for fold, (east, north, count) in enumerate(EVENTS.values(), start=1):
        inside = fields["events_1"] == fold
        assert inside.sum() == count
        assert (np.abs(shapely.get_x(points[inside]) - east) <= 3000.0).all()
        assert (np.abs(shapely.get_y(points[inside]) - north) <= 3000.0).all()
    rows = json.loads((given / "metrics.json").read_text())["metrics"]
    auc = {(row["model"], row["feature_set"], row["scheme"]): row for row in rows if row["metric"] == "auc_roc"}
    assert {scheme for *_, scheme in auc} == {"random", "events", "training"}
    for model in ("logistic_regression", "frequency_ratio"):
        assert auc[model, "static_insar", "events"]["values"] == 3
        assert auc[model, "static_insar", "events"]["mean"] > auc[model, "static", "events"]["mean"] > 0.6


def test_the_report_of_a_table_says_what_it_rests_on(given: Path) -> None:
    page = (given / "report.html").read_text(encoding="utf-8")
    for wanted in (
        "Under leave-one-event-out validation the best is", "Models learned from all usable units",
        "The table names no areas", "321 of kind table", "t.csv", "leave-one-event-out folds",
    ):  # fmt: skip
        assert wanted in page, wanted
    for wrong in ("terrain model", "Probabilities are relative", "cells of"):
        assert wrong not in page, wrong
    pictures = {path.stem for path in (given / "figures").iterdir()}
    assert {"maps", "folds", "inventory", "reliability", "applicability"} <= pictures
    assert not {"class_map", "densities"} & pictures
    manifest = json.loads((given / "manifest.json").read_text())
    assert manifest["inputs"]["table.path"]["path"].endswith("t.csv")
    assert manifest["inventory"] is None


def test_a_bundle_of_a_table_predicts_its_rows(given: Path) -> None:
    bundle = read_bundle(given / "model" / "logistic_regression_static_insar")
    table = read_table(given / "table.parquet")
    fields, _, _ = units_of(given / "maps" / "logistic_regression_static_insar" / "units.gpkg")
    names = [feature.name for feature in bundle.models[0].schema]
    features = np.stack([table.read(name) for name in names], axis=1).astype(np.float32)
    of_map = dict(zip(fields["unit"], fields["probability"], strict=True))
    expected = [of_map[unit] for unit in table.read("unit")]
    np.testing.assert_allclose(bundle.models[0].predict(features), expected, rtol=1e-5)
