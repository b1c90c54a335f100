"""The join: everything lands on one metric grid, in its unit, with unknown staying unknown."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from insar.grid import Grid
from insar.layers import LAYERS, LayerDefinition, grid_of, write_layer
from susceptibility.errors import InputError, MissingInputError, OptionError
from susceptibility.features import FeatureStore, join_features, study_grid
from susceptibility.recipe import Recipe, parse_recipe

UTM = "EPSG:32633"
EAST, NORTH = 500_000.0, 4_000_000.0


def metric(rows: int, cols: int, step_m: float, *, east: float = EAST, north: float = NORTH) -> Grid:
    return Grid(rows, cols, Affine(step_m, 0.0, east, 0.0, -step_m, north), UTM)


def places(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Easting and northing relative to the corner of the study, (row, col) in metres."""
    rows, cols = np.mgrid[0 : grid.rows, 0 : grid.cols]
    return (
        grid.transform.c + grid.transform.a * (cols + 0.5) - EAST,
        grid.transform.f + grid.transform.e * (rows + 0.5) - NORTH,
    )


def plane(grid: Grid) -> np.ndarray:
    x, y = places(grid)
    return (100.0 + 0.02 * x + 0.05 * y).astype(np.float32)


@pytest.fixture
def content(tmp_path: Path) -> dict[str, Any]:
    """A recipe for a tilted plane of 40 x 50 cells of 30 m."""
    grid = metric(40, 50, 30.0)
    x, y = places(grid)
    elevation = (1000.0 + 0.3 * x + 0.4 * y).astype(np.float32)
    write_layer(tmp_path / "dem.tif", elevation, grid, LayerDefinition("elevation", "m", "Height"))
    return {
        "factors": {"dem": str(tmp_path / "dem.tif"), "terrain": ["slope"]},
        "inventory": {"path": str(tmp_path / "dem.tif")},
    }


def join(content: dict[str, Any], folder: Path) -> FeatureStore:
    recipe: Recipe = parse_recipe(content)
    return join_features(recipe, study_grid(recipe), folder / "work")


def write_insar(folder: Path, grid: Grid, values: np.ndarray, **entry: Any) -> None:
    (folder / "layers").mkdir(parents=True)
    write_layer(folder / "layers" / "velocity.tif", values, grid, LAYERS["velocity"])
    layer = {"name": "velocity", "unit": "m/yr", "sign": "positive toward the satellite"} | entry
    (folder / "manifest.json").write_text(json.dumps({"layers": [layer]}), encoding="utf-8")


def test_slope_of_a_plane(content: dict[str, Any], tmp_path: Path) -> None:
    store = join(content, tmp_path)
    assert store.grid.shape == (40, 50)
    slope = store.planes["slope"]
    np.testing.assert_allclose(slope[1:-1, 1:-1], np.degrees(np.arctan(0.5)), atol=1e-3)
    assert np.isnan(slope[0]).all()
    assert store.features[0].unit == "deg"


@pytest.mark.parametrize(
    ("source", "cells"),
    [
        (metric(40, 50, 30.0, east=EAST + 10.0, north=NORTH - 7.0), slice(2, -2)),  # shifted by a third of a cell
        (metric(30, 40, 45.0, east=EAST - 50.0, north=NORTH + 40.0), slice(2, -6)),  # other cells
        (metric(200, 220, 7.0, east=EAST - 5.0, north=NORTH + 5.0), slice(2, -3)),  # finer: averaged
    ],
)
def test_misaligned_rasters_come_out_where_they_belong(
    source: Grid, cells: slice, content: dict[str, Any], tmp_path: Path
) -> None:
    write_layer(tmp_path / "ramp.tif", plane(source), source, LayerDefinition("ramp", "mm", "A ramp"))
    content["factors"]["rasters"] = {"ramp": str(tmp_path / "ramp.tif")}
    store = join(content, tmp_path)
    # Half a metre of the ramp; a raster taken as it lies would be off by five metres and more.
    np.testing.assert_allclose(store.planes["ramp"][cells, cells], plane(store.grid)[cells, cells], atol=0.025)
    assert (store.features[1].unit, store.features[1].group) == ("mm", "rasters")


def test_a_geographic_raster_is_projected(content: dict[str, Any], tmp_path: Path) -> None:
    import pyproj

    to_lonlat = pyproj.Transformer.from_crs(UTM, "EPSG:4326", always_xy=True)
    west, north = to_lonlat.transform(EAST - 100.0, NORTH + 100.0)
    source = Grid(80, 80, Affine(0.0003, 0.0, west, 0.0, -0.0003, north), "EPSG:4326")
    rows, cols = np.mgrid[0:80, 0:80]
    lon, lat = west + 0.0003 * (cols + 0.5), north - 0.0003 * (rows + 0.5)
    x, y = pyproj.Transformer.from_crs("EPSG:4326", UTM, always_xy=True).transform(lon, lat)
    values = (100.0 + 0.02 * (x - EAST) + 0.05 * (y - NORTH)).astype(np.float32)
    write_layer(tmp_path / "ramp.tif", values, source, LayerDefinition("ramp", "mm", "A ramp"))
    content["factors"]["rasters"] = {"ramp": str(tmp_path / "ramp.tif")}
    store = join(content, tmp_path)
    np.testing.assert_allclose(store.planes["ramp"][2:-2, 2:-2], plane(store.grid)[2:-2, 2:-2], atol=5e-3)


def test_a_raster_without_crs_needs_one_stated(content: dict[str, Any], tmp_path: Path) -> None:
    with rasterio.open(content["factors"]["dem"]) as dem:
        grid = grid_of(dem)
    values = np.random.default_rng(0).normal(size=grid.shape).astype(np.float32)
    bare = tmp_path / "bare.tif"
    with rasterio.open(
        bare, "w", driver="GTiff", height=grid.rows, width=grid.cols, count=1, dtype="float32", transform=grid.transform
    ) as sink:
        sink.write(values, 1)
    content["factors"]["rasters"] = {"bare": {"path": str(bare)}}
    with pytest.raises(InputError, match="coordinate reference system"):
        join(content, tmp_path)
    content["factors"]["rasters"]["bare"]["crs"] = str(grid.crs)
    np.testing.assert_array_equal(join(content, tmp_path).planes["bare"], values)
    content["factors"]["rasters"]["bare"]["path"] = content["factors"]["dem"]
    content["factors"]["rasters"]["bare"]["crs"] = "EPSG:32601"
    with pytest.raises(OptionError, match="EPSG:32601"):
        join(content, tmp_path)


def test_a_geographic_or_web_mercator_dem_is_never_used_for_metres(content: dict[str, Any], tmp_path: Path) -> None:
    rows, cols = np.mgrid[0:60, 0:60]
    for number, (crs, step, west, north) in enumerate(
        [("EPSG:4326", 0.0003, 15.0, 36.0), ("EPSG:3857", 37.0, 1_670_000.0, 4_300_000.0)]
    ):
        grid = Grid(60, 60, Affine(step, 0.0, west, 0.0, -step, north), crs)
        height = (500.0 + 5.0 * rows + 3.0 * cols).astype(np.float32)
        write_layer(tmp_path / f"dem{number}.tif", height, grid, LayerDefinition("elevation", "m", "Height"))
        content["factors"]["dem"] = str(tmp_path / f"dem{number}.tif")
        store = join_features(parse_recipe(content), study_grid(parse_recipe(content)), tmp_path / f"work{number}")
        assert store.grid.is_metric
        assert store.grid.crs == "EPSG:32633"
        # 5 m a row of 33.3 m northward, 3 m a column of 27.0 m eastward at 36 N (Mercator: 37 m are 30.2 m at 35.7 N).
        by_hand = np.hypot(5.0 / 33.29, 3.0 / 27.06) if number == 0 else np.hypot(5.0, 3.0) / (37.0 * 0.8126)
        assert np.nanmedian(store.planes["slope"]) == pytest.approx(np.degrees(np.arctan(by_hand)), abs=0.1)


def test_insar_layers_signed_and_absolute(content: dict[str, Any], tmp_path: Path) -> None:
    grid = metric(40, 50, 30.0)
    rate = np.random.default_rng(0).normal(0.0, 0.02, grid.shape).astype(np.float32)
    rate[5:9, 5:9] = np.nan
    write_insar(tmp_path / "insar", grid, rate)
    content["factors"]["insar"] = {
        "path": str(tmp_path / "insar"),
        "layers": ["velocity"],
        "absolute": ["velocity"],
    }
    store = join(content, tmp_path)
    np.testing.assert_array_equal(store.planes["velocity"], rate)
    np.testing.assert_array_equal(store.planes["velocity_absolute"], np.abs(rate))
    assert not store.known(["velocity"])[5:9, 5:9].any()
    signed, absolute = store.features[1:]
    assert (signed.unit, signed.sign) == ("m/yr", "positive toward the satellite")
    assert (absolute.unit, absolute.sign, absolute.group) == ("m/yr", None, "insar")


def test_the_absolute_value_is_taken_after_alignment(content: dict[str, Any], tmp_path: Path) -> None:
    fine = metric(400, 500, 3.0)
    rows, cols = np.mgrid[0:400, 0:500]
    board = np.where((rows + cols) % 2 == 0, 0.01, -0.01).astype(np.float32)  # noise that averages out
    write_insar(tmp_path / "insar", fine, board)
    content["factors"]["insar"] = {"path": str(tmp_path / "insar"), "absolute": ["velocity"]}
    store = join(content, tmp_path)
    np.testing.assert_allclose(store.planes["velocity_absolute"], 0.0, atol=1e-6)


def test_units_that_disagree_are_refused(content: dict[str, Any], tmp_path: Path) -> None:
    grid = metric(40, 50, 30.0)
    write_insar(tmp_path / "insar", grid, np.zeros(grid.shape, np.float32), unit="mm/yr")
    content["factors"]["insar"] = {"path": str(tmp_path / "insar"), "layers": ["velocity"]}
    with pytest.raises(InputError, match=r"velocity\.tif.*'m/yr'.*'mm/yr'.*units that differ"):
        join(content, tmp_path)
    write_layer(tmp_path / "r.tif", plane(grid), grid, LayerDefinition("rain", "mm", "Rain"))
    del content["factors"]["insar"]
    content["factors"]["rasters"] = {"rain": {"path": str(tmp_path / "r.tif"), "unit": "m"}}
    with pytest.raises(OptionError, match=r"'mm'.*found 'm'"):
        join(content, tmp_path)


def test_a_layer_changed_since_is_told(
    content: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    grid = metric(40, 50, 30.0)
    write_insar(tmp_path / "insar", grid, np.ones(grid.shape, np.float32), sha256="0" * 64)
    content["factors"]["insar"] = {"path": str(tmp_path / "insar"), "layers": ["velocity"]}
    with caplog.at_level(logging.WARNING):
        join(content, tmp_path)
    assert "changed since insar wrote it" in caplog.text


def test_what_is_no_quantity_is_refused(content: dict[str, Any], tmp_path: Path) -> None:
    grid = metric(40, 50, 30.0)
    write_insar(tmp_path / "insar", grid, np.ones(grid.shape, np.float32))
    write_layer(tmp_path / "insar" / "layers" / "quality.tif", np.ones(grid.shape, np.uint8), grid, LAYERS["quality"])
    content["factors"]["insar"] = {"path": str(tmp_path / "insar"), "layers": ["quality"]}
    with pytest.raises(OptionError, match=r"'quality': required a layer that is a quantity; found bit flags"):
        join(content, tmp_path)


def test_missing_layers_and_folders_are_named(content: dict[str, Any], tmp_path: Path) -> None:
    grid = metric(40, 50, 30.0)
    write_insar(tmp_path / "insar", grid, np.ones(grid.shape, np.float32))
    content["factors"]["insar"] = {"path": str(tmp_path / "insar"), "layers": ["acceleration"]}
    with pytest.raises(MissingInputError, match="'acceleration' of an insar result; found only velocity"):
        join(content, tmp_path)
    content["factors"]["insar"]["path"] = str(tmp_path)
    with pytest.raises(MissingInputError, match="no folder 'layers' there"):
        join(content, tmp_path)


def test_rasters_without_data_or_elsewhere_are_refused(content: dict[str, Any], tmp_path: Path) -> None:
    grid = metric(40, 50, 30.0)
    write_layer(tmp_path / "r.tif", np.full(grid.shape, np.nan, np.float32), grid, LayerDefinition("r", "1", "r"))
    content["factors"]["rasters"] = {"empty": str(tmp_path / "r.tif")}
    with pytest.raises(InputError, match="values of 'empty' on the study grid; found no data in every cell"):
        join(content, tmp_path)
    far = metric(40, 50, 30.0, east=EAST + 1e5)
    write_layer(tmp_path / "far.tif", plane(far), far, LayerDefinition("far", "1", "far"))
    content["factors"]["rasters"] = {"far": str(tmp_path / "far.tif")}
    with pytest.raises(InputError, match=r"far\.tif: required a raster that reaches the grid"):
        join(content, tmp_path)


def test_rows_cells_and_places_agree(content: dict[str, Any], tmp_path: Path) -> None:
    content["factors"]["terrain"] = ["elevation", "slope"]
    store = join(content, tmp_path)
    block = store.read_rows(slice(3, 7), ["slope", "elevation"])
    assert block.shape == (4, 50, 2)
    cells = np.array([3 * 50 + 4, 6 * 50 + 49])
    np.testing.assert_array_equal(store.read_cells(cells, ["slope", "elevation"]), block[[0, 3], [4, 49]])
    np.testing.assert_allclose(store.coordinates_m(cells), [[EAST + 135, NORTH - 105], [EAST + 1485, NORTH - 195]])
    with pytest.raises(ValueError, match="read-only"):
        store.planes["slope"][0, 0] = 1.0
