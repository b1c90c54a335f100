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

from insar.layers import LayerDefinition, read_layer, write_layer
from susceptibility import pipeline
from susceptibility.class_bounds import classify, equal_bounds
from susceptibility.metrics import METRICS
from susceptibility.pipeline import run_study
from susceptibility.publishing import checksum
from susceptibility.recipe import parse_recipe, read_recipe
from susceptibility.simulate import SimulationOptions, simulate_study, write_inventory
from susceptibility.table_files import read_table

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
        "explain": {"permutations": 2, "ablation": True},
        "map": {"perturbations": 3},
    }
    run_study(parse_recipe(content), folder / "out", workers=1)
    return folder / "out"


def test_the_folder_holds_what_is_promised_and_no_more(finished: Path) -> None:
    files = {path.relative_to(finished).as_posix() for path in finished.rglob("*") if path.is_file()}
    candidates = [
        f"{model}_{features}" for model in ("logistic_regression", "xgboost") for features in ("static", "static_insar")
    ]
    maps = {
        f"maps/{candidate}/{layer}.tif"
        for candidate in candidates
        for layer in ("probability", "probability_std", "probability_lower", "probability_upper", "class", "applicable")
    }
    maps |= {f"maps/{candidate}/probability_insar_std.tif" for candidate in candidates if "insar" in candidate}
    endings = {"logistic_regression": "skops", "xgboost": "json"}
    models = {
        f"model/{candidate}/model_00{draw}.{endings[candidate.split('_static')[0]]}"
        for candidate in candidates
        for draw in range(2)
    }
    pictures = {path for path in files if path.startswith("figures/")}
    names = (
        "maps", "class_map", "classes", "applicability", "curves", "rates", "comparison", "reliability", "importance",
        "dependence", "ablation", "inventory", "folds", "shap_xgboost", "shap_logistic_regression",
    )  # fmt: skip
    assert pictures == {f"figures/{name}.png" for name in names}
    tables = {"metrics", "comparisons", "classes", "importance", "confusion", "ablation"}
    rest = {"folds.gpkg", "recipe.toml", "report.html", "manifest.json", "metrics.json", "table.parquet"}
    bundles = {path for path in files if path.startswith("model/")}
    assert models <= bundles
    assert all(f"model/{candidate}/bundle.json" in bundles for candidate in candidates)
    assert files - pictures - bundles == maps | {f"{name}.csv" for name in tables} | rest
    assert [path.name for path in finished.parent.iterdir()] == ["out"]


def test_the_manifest_is_true(finished: Path, simulated: Path) -> None:
    manifest = json.loads((finished / "manifest.json").read_text())
    for name, entry in manifest["files"].items():
        assert checksum(finished / name) == entry["sha256"], name
    assert manifest["inputs"]["factors.dem"]["sha256"] == checksum(simulated / "dem.tif")
    assert manifest["features"]["velocity_absolute"]["unit"] == "m/yr"
    assert manifest["inputs"]["factors.insar.velocity"]["path"].endswith("layers/velocity.tif")
    assert manifest["versions"]["scarp"]


def test_every_model_set_and_scheme_has_every_metric(finished: Path) -> None:
    content = json.loads((finished / "metrics.json").read_text())
    rows = content["metrics"]
    keys = {(row["model"], row["feature_set"], row["scheme"]) for row in rows}
    assert len(keys) == 2 * 2 * 4
    assert {scheme for *_, scheme in keys} == {"random", "spatial-blocks", "kmeans", "training"}
    assert len(rows) == len(keys) * len(METRICS)
    validated = [row for row in rows if row["scheme"] != "training"]
    assert all(row["values"] == 6 for row in validated)
    assert content["sample"]["prevalence"] == pytest.approx(0.5)
    assert len(rows_of(finished / "metrics.csv")) == len(rows)
    assert len(rows_of(finished / "comparisons.csv")) == 2 * 3 * 4


def test_rate_curves_are_of_the_area_not_of_the_sample(finished: Path) -> None:
    """Of one row for each cell the area under the curve is (1 - p) AUC + p / 2, and p is small on the map."""
    metrics = json.loads((finished / "metrics.json").read_text())
    rows = {(row["feature_set"], row["model"], row["scheme"], row["metric"]): row for row in metrics["metrics"]}
    assert rows["static", "xgboost", "random", "prevalence"]["mean"] == pytest.approx(0.5, abs=0.01)
    share = metrics["inventory"]["landslide_cells"] / metrics["usable_units"]
    assert share < 0.1
    for (features, model, scheme, metric), row in rows.items():
        if metric == "rate_area" and scheme in {"random", "training"}:
            auc = rows[features, model, scheme, "auc_roc"]["mean"]
            assert row["mean"] == pytest.approx((1.0 - share) * auc + share / 2.0, abs=0.01)


def test_insar_that_drives_the_inventory_is_found_important(finished: Path) -> None:
    rows = [row for row in rows_of(finished / "comparisons.csv") if row["metric"] == "auc_roc"]
    logistic = {row["scheme"]: row for row in rows if row["model"] == "logistic_regression"}
    assert all(float(row["mean"]) > 0.01 for row in logistic.values())
    importance = [
        row
        for row in rows_of(finished / "importance.csv")
        if (row["model"], row["feature_set"]) == ("logistic_regression", "static_insar")
    ]
    features = [row for row in importance if row["kind"] == "feature"]
    for measure in ("permutation_mean", "shap_median"):
        ranked = sorted(features, key=lambda row: -float(row[measure]))
        assert {row["name"] for row in ranked[:2]} == {"slope", "velocity_absolute"}
    groups = {row["name"]: float(row["permutation_mean"]) for row in importance if row["kind"] == "group"}
    assert set(groups) == {"terrain", "insar"}
    assert min(groups.values()) > 0.05
    ablation = {row["group"]: float(row["loss"]) for row in rows_of(finished / "ablation.csv")}
    assert ablation["insar"] > 0.0


def test_maps_lie_on_the_dem_and_classes_follow_the_probability(finished: Path, simulated: Path) -> None:
    _, grid, _ = read_layer(simulated / "dem.tif")
    truth, _, _ = read_layer(simulated / "truth" / "probability.tif")
    for folder in (finished / "maps").iterdir():
        probability, own, _ = read_layer(folder / "probability.tif")
        classes, _, _ = read_layer(folder / "class.tif")
        std, _, _ = read_layer(folder / "probability_std.tif")
        assert own.same_as(grid)
        np.testing.assert_array_equal(np.nan_to_num(classes), classify(probability, equal_bounds(5)))
        np.testing.assert_array_equal(np.isfinite(probability), np.isfinite(truth))
        np.testing.assert_array_equal(np.isfinite(std), np.isfinite(truth))
        assert np.nanmin(std) >= 0.0
    known = np.isfinite(truth)
    mapped, _, _ = read_layer(finished / "maps" / "logistic_regression_static_insar" / "probability.tif")
    rank = [np.argsort(np.argsort(values[known])) for values in (mapped, truth)]
    assert np.corrcoef(rank)[0, 1] > 0.95


def test_errors_of_insar_are_told_of_the_whole_map(finished: Path) -> None:
    """Errors that cells do not share nearly cancel in the mean of 4900."""
    told = json.loads((finished / "metrics.json").read_text())["insar_errors"]
    assert {(row["feature_set"], row["model"]) for row in told} == {
        ("static_insar", "logistic_regression"),
        ("static_insar", "xgboost"),
    }
    for row in told:
        each, _, _ = read_layer(finished / "maps" / f"{row['model']}_static_insar" / "probability_insar_std.tif")
        assert 0.0 < row["std_of_map_mean"] < 0.1 * np.nanmean(each)


def test_the_table_holds_the_sampled_units(finished: Path, simulated: Path) -> None:
    table = read_table(finished / "table.parquet")
    rate, grid, _ = read_layer(simulated / "insar" / "layers" / "velocity.tif")
    cells = table.read("unit")
    np.testing.assert_array_equal(table.read("velocity_absolute"), np.abs(rate.ravel()[cells]))
    np.testing.assert_array_equal(table.read("x"), grid.transform.c + 30.0 * (cells % grid.cols + 0.5))
    assert set(table.read("draws")[table.read("target") == 1.0]) == {2}
    assert table.column("velocity_absolute").unit == "m/yr"


def test_folds_are_written_with_their_places(finished: Path) -> None:
    meta, _, geometry, values = pyogrio.raw.read(finished / "folds.gpkg")
    assert meta["crs"] == "EPSG:32645"
    fields = dict(zip(meta["fields"], values, strict=True))
    assert list(fields) == ["draw", "unit", "target", "random_1", "spatial_blocks_1", "kmeans_1"]
    assert set(fields["spatial_blocks_1"]) == {1, 2, 3}
    assert set(fields["draw"]) == {0, 1}
    table = read_table(finished / "table.parquet")
    place = {unit: (x, y) for unit, x, y in zip(*(table.read(name) for name in ("unit", "x", "y")), strict=True)}
    target = dict(zip(table.read("unit"), table.read("target"), strict=True))
    points = shapely.from_wkb(geometry)
    for index in range(0, len(points), 50):
        unit = fields["unit"][index]
        assert (points[index].x, points[index].y) == place[unit]
        assert target[unit] == fields["target"][index]


def test_the_report_tells_and_opens_offline(finished: Path) -> None:
    page = (finished / "report.html").read_text(encoding="utf-8")
    assert "Quick &amp; &lt;dirty&gt;" in page
    assert "<dirty>" not in page
    assert page.count("data:image/png;base64,") == len(list((finished / "figures").iterdir()))
    for outside in ("http://", "https://", "<script"):
        assert outside not in page
    for wanted in ("Probabilities are relative", "no rates of occurrence", "AUC-PR", "Brier", "nothing is imputed"):
        assert wanted in page
    assert "against static under spatial block validation" in page
    assert "Can the maps be right?" in page


def test_the_resolved_recipe_gives_the_same_bytes(finished: Path, tmp_path: Path) -> None:
    run_study(read_recipe(finished / "recipe.toml"), tmp_path / "again", workers=2)
    for path in sorted(finished.rglob("*")):
        name = path.relative_to(finished)
        if path.is_file() and name.name != "manifest.json":
            assert (tmp_path / "again" / name).read_bytes() == path.read_bytes(), name


def test_no_pickle_is_written(finished: Path) -> None:
    known = {".tif", ".csv", ".json", ".gpkg", ".toml", ".html", ".png", ".parquet", ".npy", ".skops"}
    for path in finished.rglob("*"):
        if path.is_file():
            assert path.suffix in known, path
            if path.suffix == ".npy":
                np.load(path, allow_pickle=False)


def test_a_run_that_was_stopped_goes_on(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = read_recipe(finished / "recipe.toml")

    def stop(*_arguments: Any, **_options: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "fit_models", stop)
        with pytest.raises(KeyboardInterrupt):
            run_study(recipe, tmp_path / "again", workers=1)
    assert not (tmp_path / "again").exists()
    folds = sorted((tmp_path / ".again.work" / "folds").iterdir())
    times = [path.stat().st_mtime_ns for path in folds]
    assert len(folds) == 4 * 2 * 3 * 3
    seen: list[tuple[str, int, int]] = []

    def watch(what: str, done: int, total: int) -> None:
        if what == "validating":
            seen.append((what, done, total))
            assert [path.stat().st_mtime_ns for path in folds] == times

    run_study(recipe, tmp_path / "again", workers=1, progress=watch)
    assert seen == [("validating", len(folds), len(folds))]
    assert [path.name for path in tmp_path.iterdir()] == ["again"]
    for name in ("metrics.json", "importance.csv", "maps/xgboost_static_insar/probability.tif"):
        assert (tmp_path / "again" / name).read_bytes() == (finished / name).read_bytes()


def test_places_instead_of_causes_are_told_of(simulated: Path, quick_recipe: dict[str, Any], tmp_path: Path) -> None:
    """A model that is given coordinates, of landslides that lie in clusters: high beside them, chance elsewhere."""
    _, grid, _ = read_layer(simulated / "dem.tif")
    rng = np.random.default_rng(1)
    centres = rng.uniform(5.0, 67.0, (30, 2))
    near = np.array([centre + rng.normal(0.0, 0.8, (8, 2)) for centre in centres]).reshape(-1, 2)
    rows, cols = np.clip(near.astype(int), 1, 70).T
    write_inventory(tmp_path / "clusters.gpkg", np.unique(rows * grid.cols + cols), grid)
    x = np.tile(np.arange(grid.cols, dtype=np.float32), (grid.rows, 1))
    for name, plane in (("easting", x), ("northing", x.T.copy())):
        write_layer(tmp_path / f"{name}.tif", plane, grid, LayerDefinition(name, "1", name))
    quick_recipe["factors"] |= {
        "terrain": [],
        "rasters": {name: str(tmp_path / f"{name}.tif") for name in ("easting", "northing")},
    }
    del quick_recipe["factors"]["insar"]
    quick_recipe["inventory"]["path"] = str(tmp_path / "clusters.gpkg")
    quick_recipe["models"] = {"names": ["random_forest"], "random_forest": {"trees": 30}}
    quick_recipe["validation"] = {"folds": 5, "repeats": 2, "block_size_m": 540.0}
    quick_recipe["explain"] = {"permutations": 0, "shap": False, "dependence": False}
    quick_recipe["map"] = {"applicability": False}
    run_study(parse_recipe(quick_recipe), tmp_path / "out", workers=1)
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())["metrics"]
    auc = {row["scheme"]: row["mean"] for row in metrics if row["metric"] == "auc_roc"}
    assert auc["random"] > 0.85
    assert auc["spatial-blocks"] < 0.65
    assert "The model knows places, not causes" in (tmp_path / "out" / "report.html").read_text()


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


def test_the_best_reachable_auc_is_reached_without_insar_where_it_tells_nothing(tmp_path: Path) -> None:
    found = comparison(tmp_path, velocity_effect=0.0, seed=1)
    assert found["verdicts"]["spatial-blocks"] == "no gain"
    # An AUC of 300 landslides scatters by 0.015, even that of the true probability.
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
    assert metrics["usable_units"] == 70 * 70 - 600
    truth, _, _ = read_layer(simulated / "truth" / "probability.tif")
    page = (tmp_path / "out" / "report.html").read_text()
    assert f"leaves out {100 * 600 / np.isfinite(truth).sum():.1f} %" in page
    cells = read_table(tmp_path / "out" / "table.parquet").read("unit")
    rows, cols = np.divmod(cells, grid.cols)
    assert not ((rows >= 10) & (rows < 30) & (cols >= 10) & (cols < 40)).any()
    assert metrics["inventory"]["on_missing_data"] > 0
