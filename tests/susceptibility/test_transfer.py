"""Prediction elsewhere: the models' own answers, in place; what differs from training is refused, counted or said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from insar.grid import Grid
from insar.layers import LayerDefinition, layer_definition, write_layer
from susceptibility.applicability import ApplicabilityModel
from susceptibility.bundle import Bundle, read_bundle, write_bundle
from susceptibility.errors import InputError, MissingInputError, OptionError
from susceptibility.factor_rasters import align_factors, find_factors, map_grid
from susceptibility.feature_matching import match_dataset
from susceptibility.models import MODELS
from susceptibility.models.learner import SusceptibilityModel
from susceptibility.schema import FeatureSchema, Task
from susceptibility.trained import Trained, find_bundle, trained_from
from susceptibility.training_range import TrainingRange
from susceptibility.transfer import map_definitions, predict_from_factors

GRID = Grid(14, 17, Affine(30.0, 0.0, 500_000.0, 0.0, -30.0, 4_000_000.0), "EPSG:32633")
SCHEMA = (
    FeatureSchema("slope", "deg", "terrain", "Slope"),
    FeatureSchema("velocity", "m/yr", "insar", "Rate", "positive toward the satellite"),
    FeatureSchema("velocity_absolute", "m/yr", "insar", "Absolute rate"),
    FeatureSchema("rock", "class", "categories", "Rock", classes=("granite", "marl", "slate")),
)
ROCKS = LayerDefinition("rock", "class", "Rock", dtype="uint8", nodata=0)


def draw_rows(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    velocity = rng.normal(0.0, 0.02, count)
    rows = np.stack([rng.uniform(0.0, 50.0, count), velocity, np.abs(velocity), rng.integers(1, 4, count)], axis=1)
    return rows.astype(np.float32)


def train(seed: int, model: str = "xgboost") -> SusceptibilityModel:
    X = draw_rows(300, seed)
    risk = X[:, 0] / 25.0 + 60.0 * X[:, 2] + (X[:, 3] == 2) - 3.0
    y = (np.random.default_rng(seed + 100).random(len(X)) < 1.0 / (1.0 + np.exp(-risk))).astype(np.uint8)
    definition = MODELS[model]
    options = definition.options(trees=12, depth=3) if model == "xgboost" else definition.options()
    return SusceptibilityModel(definition, options, SCHEMA, seed=seed).fit(X, y)


@pytest.fixture(scope="module")
def trained() -> Trained:
    X = draw_rows(300, 0)
    quantity = np.array([True, True, True, False])
    lowest, low, high, highest = np.where(quantity, np.quantile(X, [0.0, 0.01, 0.99, 1.0], axis=0), np.nan)
    training = TrainingRange(SCHEMA, lowest, low, high, highest, {3: np.ones(3, np.bool_)})
    return Trained(
        "xgboost_static_insar",
        [train(seed) for seed in range(3)],
        SCHEMA,
        Task.CLASSIFICATION,
        training,
        resolution_m=30.0,
        unit_kind="cells",
    )


@pytest.fixture(scope="module")
def cells() -> np.ndarray:
    """(row, col, feature) of the other area, some of it unknown."""
    block = draw_rows(GRID.rows * GRID.cols, 9).reshape(*GRID.shape, 4)
    block[2, 3, 0] = np.nan
    block[5, 5, 3] = np.nan
    block[7, 7, 1:3] = np.nan
    return block


def write_factors(
    folder: Path, cells: np.ndarray, grid: Grid = GRID, numbers: tuple[int, ...] = (0, 7, 3, 9), unit: str = "m/yr"
) -> Path:
    """Rasters of another area, whose file numbers the rocks in its own way."""
    folder.mkdir(parents=True, exist_ok=True)
    slope = LayerDefinition("slope", "deg", "Slope")
    write_layer(folder / "slope.tif", cells[..., 0], grid, slope)
    write_layer(folder / "velocity.tif", cells[..., 1], grid, replace(layer_definition("velocity"), unit=unit))
    codes = np.nan_to_num(cells[..., 3]).astype(np.uint8)
    write_layer(folder / "rock.tif", np.array(numbers, np.uint8)[codes], grid, ROCKS)
    legend = "".join(f"{number},{label}\n" for number, label in zip(numbers[1:], SCHEMA[3].classes, strict=False))
    (folder / "rock_legend.csv").write_text(f"number,label\n{legend}")
    return folder


def expected(trained: Trained, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    each = np.stack([model.predict(cells.reshape(-1, 4)) for model in trained.models])
    shape = cells.shape[:2]
    return np.median(each, axis=0).reshape(shape), each.std(axis=0, ddof=1).reshape(shape)


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as source:
        return source.read(1)


def test_map_is_what_the_models_say_of_each_cell(trained: Trained, cells: np.ndarray, tmp_path: Path) -> None:
    summary = predict_from_factors(trained, write_factors(tmp_path / "factors", cells), tmp_path / "map.tif")
    median, std = expected(trained, cells)
    assert np.isnan(median).sum() == 3
    np.testing.assert_array_equal(read(tmp_path / "map.tif"), median.astype(np.float32))
    np.testing.assert_array_equal(read(tmp_path / "map_std.tif"), std.astype(np.float32))
    assert summary.predicted == GRID.rows * GRID.cols - 3
    assert [path.name for path in summary.files] == ["map.tif", "map_std.tif", "map_applicable.tif", "map.json"]
    with rasterio.open(tmp_path / "map.tif") as source:
        assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert source.crs.to_epsg() == 32633
        assert source.tags()["UNITS"] == "1"
        assert np.isnan(source.nodata)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "factors", "map.json", "map.tif", "map_applicable.tif", "map_std.tif",
    ]  # fmt: skip


def test_a_cell_has_the_same_answer_whatever_else_is_there(trained: Trained, cells: np.ndarray, tmp_path: Path) -> None:
    """Nothing is fitted to the area: neither a scale nor classes."""
    part = Grid(5, 6, Affine(30.0, 0.0, 500_120.0, 0.0, -30.0, 3_999_910.0), GRID.crs)
    logistic = replace(trained, models=[train(seed, "logistic_regression") for seed in range(2)])
    for name, bundle in (("trees", trained), ("scaled", logistic)):
        predict_from_factors(bundle, write_factors(tmp_path / "factors", cells), tmp_path / f"{name}.tif", workers=1)
        other = cells[3:8, 4:10].copy()
        other[0, 0] = (80.0, 0.3, 0.3, 1.0)
        small = write_factors(tmp_path / "part", other, part)
        predict_from_factors(bundle, small, tmp_path / f"{name}_part.tif", workers=2)
        whole, alone = read(tmp_path / f"{name}.tif")[3:8, 4:10], read(tmp_path / f"{name}_part.tif")
        np.testing.assert_array_equal(alone.ravel()[1:], whole.ravel()[1:])


def test_same_bytes_whatever_the_number_of_workers(
    trained: Trained, cells: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    factors = write_factors(tmp_path / "factors", cells)
    predict_from_factors(trained, factors, tmp_path / "one" / "map.tif", workers=1)
    monkeypatch.setattr("susceptibility.ensemble._ROWS_AT_ONCE", 20)
    predict_from_factors(trained, factors, tmp_path / "two" / "map.tif", workers=3)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_classes_are_known_by_label_and_unseen_ones_counted(
    trained: Trained, cells: np.ndarray, tmp_path: Path
) -> None:
    predict_from_factors(trained, write_factors(tmp_path / "a", cells), tmp_path / "a.tif")
    predict_from_factors(trained, write_factors(tmp_path / "b", cells, numbers=(0, 1, 4, 2)), tmp_path / "b.tif")
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), read(tmp_path / "b.tif"))
    strange = write_factors(tmp_path / "c", cells)
    (strange / "rock_legend.csv").write_text("number,label\n7,granite\n3,marl\n9,chalk\n")
    summary = predict_from_factors(trained, strange, tmp_path / "c.tif")
    count = int(np.count_nonzero(cells[..., 3] == 3))
    content = json.loads((tmp_path / "c.json").read_text())
    assert content["unseen_classes"] == {"rock": {"chalk": count}}
    assert any(f"chalk ({count})" in warning for warning in summary.warnings)
    unseen = cells.copy()
    unseen[..., 3] = np.where(cells[..., 3] == 3, 4, cells[..., 3])
    np.testing.assert_array_equal(read(tmp_path / "c.tif"), expected(trained, unseen)[0].astype(np.float32))
    applicable = read(tmp_path / "c_applicable.tif")
    assert (applicable[(cells[..., 3] == 3) & (applicable > 0)] == 3).all()


def test_out_of_range_is_counted_and_mapped(trained: Trained, cells: np.ndarray, tmp_path: Path) -> None:
    steep = cells.copy()
    steep[:4, :, 0] += 60.0
    summary = predict_from_factors(trained, write_factors(tmp_path / "factors", steep), tmp_path / "map.tif")
    rows = {entry["feature"]: entry for entry in json.loads((tmp_path / "map.json").read_text())["factors"]}
    known = np.isfinite(steep[..., 0])
    above = steep[..., 0] > trained.training.highest[0]
    beyond = (steep[..., 0] > trained.training.high[0]) | (steep[..., 0] < trained.training.low[0])
    assert rows["slope"]["above_training"] == above.sum()
    assert rows["slope"]["below_training"] == (steep[..., 0] < trained.training.lowest[0]).sum()
    assert rows["slope"]["unknown"] == 1
    assert rows["slope"]["share_beyond_1_99_percent"] == pytest.approx(beyond.sum() / known.sum())
    assert rows["rock"]["unseen_class"] == 0
    lowest, highest = trained.training.lowest[:3], trained.training.highest[:3]
    outside = ((steep[..., :3] < lowest) | (steep[..., :3] > highest)).any(axis=-1)
    unknown = np.isnan(steep).any(axis=-1)
    np.testing.assert_array_equal(read(tmp_path / "map_applicable.tif"), np.where(unknown, 0, np.where(outside, 3, 2)))
    assert summary.out_of_range == (outside & ~unknown).sum()
    assert any(warning.startswith("slope: ") and "beyond" in warning for warning in summary.warnings)
    assert any("above" in line for line in summary.lines())


def test_outside_the_area_of_applicability(trained: Trained, cells: np.ndarray, tmp_path: Path) -> None:
    first = trained.models[0]
    assert isinstance(first, SusceptibilityModel)
    columns = first.preprocessor_.transform(draw_rows(300, 0))
    area = ApplicabilityModel().fit(columns, np.ones(columns.shape[1]))
    bundle = replace(trained, applicability=area, transform=first.preprocessor_.transform)
    steep = cells.copy()
    steep[:4, :, 0] += 200.0
    summary = predict_from_factors(bundle, write_factors(tmp_path / "factors", steep), tmp_path / "map.tif")
    found = read(tmp_path / "map_applicable.tif")
    unlike = area.dissimilarity(first.preprocessor_.transform(steep.reshape(-1, 4))) > area.threshold_  # not NaN
    np.testing.assert_array_equal(found == 1, unlike.reshape(GRID.shape))
    assert (found[:4][found[:4] > 0] == 1).all()
    assert summary.unlike == unlike.sum()
    # Rows may be both unlike and out of range; the map shows the former.
    outside = ((steep[..., :3] < bundle.training.lowest[:3]) | (steep[..., :3] > bundle.training.highest[:3])).any(-1)
    assert summary.out_of_range == (outside & (found > 0)).sum() > (found == 3).sum()


def test_an_absolute_value_is_made_after_alignment(trained: Trained, cells: np.ndarray, tmp_path: Path) -> None:
    """As in training: cells coarser than the raster average what rises and what sinks before."""
    factors = write_factors(tmp_path / "factors", cells)
    coarse = Grid(7, 8, Affine(60.0, 0.0, 500_000.0, 0.0, -60.0, 4_000_000.0), GRID.crs)
    write_layer(tmp_path / "like.tif", np.zeros(coarse.shape), coarse, LayerDefinition("like", "1", "Grid"))
    found, _ = find_factors(SCHEMA, factors)
    grid = map_grid(found, tmp_path / "like.tif")
    assert grid.same_as(coarse)
    data, _ = align_factors(found, grid, tmp_path / "work")
    signed, absolute = data.matrix(slice(0, data.count), ["velocity", "velocity_absolute"]).T
    np.testing.assert_array_equal(absolute, np.abs(signed))
    mean = np.nanmean(cells[:14, :16, 1].astype(np.float64).reshape(7, 2, 8, 2), axis=(1, 3))
    np.testing.assert_allclose(signed.reshape(coarse.shape), mean, rtol=1e-5, atol=1e-9)
    summary = predict_from_factors(trained, factors, tmp_path / "map.tif", like=tmp_path / "like.tif")
    assert any("cells of 60 m where the model was trained on 30 m" in warning for warning in summary.warnings)


def test_layers_of_an_insar_result(trained: Trained, cells: np.ndarray, tmp_path: Path) -> None:
    factors = write_factors(tmp_path / "factors", cells)
    predict_from_factors(trained, factors, tmp_path / "a.tif")
    (tmp_path / "insar" / "layers").mkdir(parents=True)
    (factors / "velocity.tif").rename(tmp_path / "insar" / "layers" / "velocity.tif")
    with pytest.raises(MissingInputError, match=r"none for velocity, velocity_absolute.*--insar"):
        predict_from_factors(trained, factors, tmp_path / "b.tif")
    predict_from_factors(trained, factors, tmp_path / "b.tif", insar=tmp_path / "insar")
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), read(tmp_path / "b.tif"))


def test_another_unit_or_sign_is_refused(trained: Trained, cells: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'m/yr'.*'mm/yr'"):
        predict_from_factors(trained, write_factors(tmp_path / "a", cells, unit="mm/yr"), tmp_path / "map.tif")
    away = write_factors(tmp_path / "b", cells)
    with rasterio.open(away / "velocity.tif", "r+", IGNORE_COG_LAYOUT_BREAK="YES") as source:
        source.update_tags(SIGN="positive away from the satellite")
    with pytest.raises(InputError, match="positive away from the satellite"):
        predict_from_factors(trained, away, tmp_path / "map.tif")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_what_a_raster_does_not_tell_is_said(trained: Trained, cells: np.ndarray, tmp_path: Path) -> None:
    factors = write_factors(tmp_path / "factors", cells)
    profile = {"driver": "GTiff", "height": 14, "width": 17, "count": 1, "dtype": "float32", "crs": GRID.crs}
    with rasterio.open(factors / "velocity.tif", "w", transform=GRID.transform, nodata=np.nan, **profile) as sink:
        sink.write(cells[..., 1], 1)
    summary = predict_from_factors(
        replace(trained, resolution_m=None, unit_kind="slope"), factors, tmp_path / "map.tif"
    )
    for words in ("no tag UNITS", "no tag SIGN", "at what resolution", "units of kind slope"):
        assert any(words in warning for warning in summary.warnings), words


def test_a_raster_of_classes_needs_its_legend(trained: Trained, cells: np.ndarray, tmp_path: Path) -> None:
    factors = write_factors(tmp_path / "factors", cells)
    (factors / "rock_legend.csv").write_text("7,granite\n7,marl\n")
    with pytest.raises(InputError, match="each number once"):
        find_factors(SCHEMA, factors)
    (factors / "rock_legend.csv").unlink()
    with pytest.raises(MissingInputError, match="legend"):
        find_factors(SCHEMA, factors)
    numbered = (*SCHEMA[:3], replace(SCHEMA[3], classes=("3", "7", "9")))
    found, _ = find_factors(numbered, factors)
    data, unseen = align_factors(found, GRID, tmp_path / "work")
    codes = data.matrix(slice(0, data.count), ["rock"])[:, 0].reshape(GRID.shape)
    np.testing.assert_array_equal(codes, np.array([np.nan, 2, 1, 3])[np.nan_to_num(cells[..., 3]).astype(int)])
    assert unseen == {}


class Failing:
    """Ends before it is done."""

    def predict(self, X: np.ndarray) -> np.ndarray:
        raise RuntimeError("stopped")


def test_nothing_half_written_and_nothing_replaced_unasked(trained: Trained, cells: np.ndarray, tmp_path: Path) -> None:
    factors = write_factors(tmp_path / "factors", cells)
    with pytest.raises(RuntimeError, match="stopped"):
        predict_from_factors(replace(trained, models=[Failing()]), factors, tmp_path / "map.tif")
    assert [path.name for path in tmp_path.iterdir()] == ["factors"]
    predict_from_factors(trained, factors, tmp_path / "map.tif")
    before = {path: path.read_bytes() for path in tmp_path.glob("map*")}
    with pytest.raises(OptionError, match="--overwrite"):
        predict_from_factors(trained, factors, tmp_path / "map.tif")
    with pytest.raises(RuntimeError, match="stopped"):
        predict_from_factors(replace(trained, models=[Failing()]), factors, tmp_path / "map.tif", overwrite=True)
    assert {path: path.read_bytes() for path in tmp_path.glob("map*")} == before
    single = replace(trained, models=trained.models[:1])
    predict_from_factors(single, factors, tmp_path / "map.tif", overwrite=True)
    assert not (tmp_path / "map_std.tif").exists(), "the spread of an earlier map"
    with pytest.raises(OptionError, match=r"\.tif"):
        predict_from_factors(trained, factors, tmp_path / "map.png")


def test_no_row_that_can_be_predicted(trained: Trained, cells: np.ndarray, tmp_path: Path) -> None:
    apart = cells.copy()
    apart[:7, :, 0] = np.nan
    apart[7:, :, 1] = np.nan
    with pytest.raises(InputError, match="is known in 1"):
        predict_from_factors(trained, write_factors(tmp_path / "factors", apart), tmp_path / "map.tif")
    apart[:, :, 0] = np.nan
    with pytest.raises(InputError, match="no data in every cell"):
        predict_from_factors(trained, write_factors(tmp_path / "factors", apart), tmp_path / "map.tif")


def test_a_grid_in_degrees_is_refused(trained: Trained, cells: np.ndarray, tmp_path: Path) -> None:
    degrees = Grid(14, 17, Affine(0.001, 0.0, 15.0, 0.0, -0.001, 46.0), "EPSG:4326")
    with pytest.raises(InputError, match="degrees"):
        predict_from_factors(trained, write_factors(tmp_path / "factors", cells, degrees), tmp_path / "map.tif")


def test_dataset_of_a_recipe_has_its_classes_renumbered(cells: np.ndarray, tmp_path: Path) -> None:
    factors = write_factors(tmp_path / "factors", cells)
    own = (*SCHEMA[:3], replace(SCHEMA[3], classes=("slate", "chalk", "granite")))
    (factors / "rock_legend.csv").write_text("7,granite\n3,chalk\n9,slate\n")
    data, _ = align_factors(find_factors(own, factors)[0], GRID, tmp_path / "work")
    matched, unseen, warnings = match_dataset(data, SCHEMA[::-1])
    assert matched.names == tuple(feature.name for feature in SCHEMA[::-1])
    everything = slice(0, data.count)
    codes = matched.columns["rock"](everything).reshape(GRID.shape)
    in_training = np.array([np.nan, 1, 4, 3])  # granite; chalk, which is not known; slate
    np.testing.assert_array_equal(codes, in_training[np.nan_to_num(cells[..., 3]).astype(int)])
    assert unseen == {"rock": {"chalk": int(np.count_nonzero(cells[..., 3] == 2))}}
    assert warnings == ()
    with pytest.raises(MissingInputError, match="no relief"):
        match_dataset(data, [FeatureSchema("relief", "m")])
    with pytest.raises(InputError, match="a quantity, as in training"):
        match_dataset(data, [FeatureSchema("rock", "class")])
    with pytest.raises(InputError, match="'mm/yr'"):
        match_dataset(data, [replace(SCHEMA[1], unit="mm/yr")])


def test_which_bundle(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="bundles"):
        find_bundle(tmp_path)
    for name in ("xgboost_static", "random_forest_static"):
        (tmp_path / "model" / name).mkdir(parents=True)
        (tmp_path / "model" / name / "bundle.json").write_text("{}")
        if name == "xgboost_static":
            assert find_bundle(tmp_path) == (tmp_path / "model" / name, "")
    with pytest.raises(OptionError, match="random_forest_static, xgboost_static"):
        find_bundle(tmp_path)
    with pytest.raises(OptionError, match="'xgboost'"):
        find_bundle(tmp_path, "xgboost")
    folder, reason = find_bundle(tmp_path, "random_forest_static")
    assert (folder, reason) == (tmp_path / "model" / "random_forest_static", "")
    assert find_bundle(folder).folder == folder
    with pytest.raises(OptionError, match="none"):
        find_bundle(folder, "another")


def test_the_best_bundle_under_spatial_validation(tmp_path: Path) -> None:
    scores = {
        ("xgboost", "static"): (0.95, 0.7),
        ("random_forest", "static"): (0.9, 0.8),
        ("xgboost", "static_insar"): (0.99, 0.75),
        ("random_forest", "static_insar"): (0.99, None),
    }
    rows = []
    for (model, features), (random, blocks) in scores.items():
        folder = tmp_path / "model" / f"{model}_{features}"
        folder.mkdir(parents=True)
        groups = ["terrain", *(["insar"] if features == "static_insar" else [])]
        (folder / "bundle.json").write_text(json.dumps({"schema": [{"group": group} for group in groups]}))
        for scheme, mean in (("training", 1.0), ("random", random), ("kmeans", blocks), ("north-south", 0.99)):
            row = {"feature_set": features, "model": model, "scheme": scheme}
            rows += [{**row, "metric": "brier", "mean": 0.5}, {**row, "metric": "auc_roc", "mean": mean}]
    (tmp_path / "metrics.json").write_text(json.dumps({"target": "presence", "metrics": rows}))
    folder, reason = find_bundle(tmp_path)
    assert folder.name == "random_forest_static"
    assert reason == "random_forest_static: the best of 4 under k-means validation, AUC-ROC 0.800"
    assert find_bundle(tmp_path, group="insar").folder.name == "xgboost_static_insar"
    assert find_bundle(tmp_path, group="shaking").folder.name == "random_forest_static", "no such group in any"
    assert find_bundle(tmp_path, "xgboost_static") == (tmp_path / "model" / "xgboost_static", "")


@pytest.mark.parametrize("with_area", [True, False])
def test_a_bundle_read_back_predicts_the_same_and_knows_its_rows(
    trained: Trained, cells: np.ndarray, tmp_path: Path, *, with_area: bool
) -> None:
    X = draw_rows(300, 0)
    models = tuple(model for model in trained.models if isinstance(model, SusceptibilityModel))
    columns = models[0].preprocessor_.transform(X)
    area = ApplicabilityModel().fit(columns, np.arange(columns.shape[1], dtype=np.float64)) if with_area else None
    context = {"grid": {"resolution_m": [20.0, 45.0]}, "units": {"kind": "cells"}, "target": "presence"}
    bundle = Bundle.of(
        models, title="XGBoost", feature_set="all", training=X, applicability=area, context=context
    )  # fmt: skip
    write_bundle(tmp_path / "model" / "xgboost_all", bundle)
    folder = find_bundle(tmp_path).folder
    read_back = trained_from(read_bundle(folder), folder.name)
    assert read_back.resolution_m == pytest.approx(30.0)
    for name in ("lowest", "low", "high", "highest"):
        np.testing.assert_array_equal(getattr(read_back.training, name), getattr(trained.training, name), err_msg=name)
    factors = write_factors(tmp_path / "factors", cells)
    predict_from_factors(trained, factors, tmp_path / "a.tif")
    summary = predict_from_factors(read_back, factors, tmp_path / "b.tif")
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), read(tmp_path / "b.tif"))
    assert not any("resolution" in warning for warning in summary.warnings)
    assert (summary.unlike is not None) == with_area


def test_a_density_says_which_one_it_is(tmp_path: Path) -> None:
    X = draw_rows(120, 4)
    definition = MODELS["xgboost"]
    model = SusceptibilityModel(definition, definition.options(trees=5, depth=2), SCHEMA, Task.REGRESSION)
    model.fit(X, X[:, 0].astype(np.float64) / 100.0)
    bundle = Bundle.of((model,), title="XGBoost", feature_set="all", training=X, context={"target": "number_density"})
    found = trained_from(bundle, "xgboost_all")
    middle, _ = map_definitions(found)
    assert (middle.name, middle.unit) == ("number_density", "1/km2")
    with pytest.raises(InputError, match="areal_density or number_density"):
        trained_from(replace(bundle, context={}), "xgboost_all")
