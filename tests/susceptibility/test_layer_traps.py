"""Layers that do not lie as the study does, through the command: each behaves as the documentation says."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.warp import Resampling, reproject, transform_bounds

from insar.grid import Grid
from susceptibility.cli import main
from susceptibility.simulate import SimulationOptions, simulate_study
from susceptibility.storage import read_raster
from susceptibility.table_files import read_table

RECIPE = """
[factors]
dem = "dem.tif"
terrain = ["elevation"]
[factors.rasters]
layer = "layer.tif"
[inventory]
path = "inventory.gpkg"
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """A simulated study."""
    folder = tmp_path_factory.mktemp("study") / "study"
    simulate_study(folder, SimulationOptions(size=64, landslides=40))
    return folder


@pytest.fixture
def table(study, monkeypatch, capsys, tmp_path):
    """Join a layer with the study; the column of the layer, or the message where it is refused."""

    def join(values, grid):
        write_raster(study / "layer.tif", values, grid)
        (study / "layer.toml").write_text(RECIPE)
        output = tmp_path / "t.parquet"
        arguments = ["table", str(study / "layer.toml"), "-o", str(output), "--no-report"]
        monkeypatch.setattr(sys, "argv", ["susceptibility", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        if stop.value.code:
            assert stop.value.code == 2
            assert not output.exists()
            return capsys.readouterr().err
        return read_table(output).read("layer").reshape(64, 64)

    return join


def write_raster(path, values, grid):
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=values.shape[0],
        width=values.shape[1],
        count=1,
        dtype="float32",
        crs=grid.crs,
        transform=grid.transform,
        nodata=float("nan"),
    ) as sink:
        sink.write(values.astype(np.float32), 1)


def ramp(grid):
    """A plane that rises to the east and to the north of the study, in metres of its own grid."""
    rows, cols = np.mgrid[: grid.rows, : grid.cols] + 0.5
    x, y = grid.map_coordinates(rows, cols)
    return 0.01 * (x - 500_000.0) + 0.02 * (y - 3_000_000.0)


@pytest.fixture(scope="module")
def grid(study) -> Grid:
    return read_raster(study / "dem.tif")[1]


@pytest.fixture
def expected(grid):
    return ramp(grid)


def around(grid, step, turn=0.0, margin=12):
    """Another grid that covers the study, of other pixels, moved, and turned by some degrees."""
    west, south, east, north = grid.bounds
    middle = (west + east) / 2.0, (south + north) / 2.0
    side = int(np.ceil(1.5 * (east - west) / step)) + 2 * margin
    transform = (
        Affine.translation(*middle)
        @ Affine.rotation(turn)
        @ Affine.scale(step, -step)
        @ Affine.translation(-side / 2.0 + 0.3, -side / 2.0 - 0.2)
    )
    return Grid(side, side, Affine(*transform[:6]), grid.crs)


def test_misaligned_pixels_are_interpolated_between_their_centres(table, grid, expected):
    other = around(grid, 0.8 * grid.resolution[0])
    np.testing.assert_allclose(table(ramp(other), other), expected, atol=0.01)


def test_a_rotated_raster_lands_where_its_pixels_are(table, grid, expected):
    other = around(grid, 0.9 * grid.resolution[0], turn=23.0)
    np.testing.assert_allclose(table(ramp(other), other), expected, atol=0.01)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857"])
def test_degrees_and_web_mercator_are_projected(table, grid, expected, crs):
    source = around(grid, grid.resolution[0])
    west, south, east, north = transform_bounds(source.crs, crs, *grid.bounds)
    size = 160
    margin_x, margin_y = 0.2 * (east - west), 0.2 * (north - south)
    step_x, step_y = (east - west + 2 * margin_x) / size, (north - south + 2 * margin_y) / size
    other = Grid(size, size, Affine(step_x, 0.0, west - margin_x, 0.0, -step_y, north + margin_y), crs)
    values = np.full(other.shape, np.nan, np.float32)
    reproject(
        ramp(source).astype(np.float32),
        values,
        src_transform=source.transform,
        src_crs=source.crs,
        dst_transform=other.transform,
        dst_crs=crs,
        dst_nodata=np.nan,
        resampling=Resampling.bilinear,
        tolerance=0.0,
    )
    np.testing.assert_allclose(table(values, other), expected, atol=0.15)  # what GDAL's own resampling is good for


def test_a_layer_with_the_wrong_crs_lies_elsewhere_and_is_refused(table, grid):
    wrong = Grid(grid.rows, grid.cols, grid.transform, "EPSG:32701")
    message = table(ramp(grid), wrong)
    assert "layer.tif" in message
    assert "reaches the grid" in message


def test_a_layer_without_a_crs_is_refused(table, grid):
    message = table(ramp(grid), Grid(grid.rows, grid.cols, grid.transform, None))
    assert "layer.tif" in message
    assert "coordinate reference system" in message


def test_a_layer_beside_the_study_is_refused(table, grid):
    steps = grid.transform
    beside = Affine(steps.a, 0.0, steps.c + 10.0 * grid.cols * steps.a, 0.0, steps.e, steps.f)
    message = table(ramp(grid), Grid(grid.rows, grid.cols, beside, grid.crs))
    assert "layer.tif" in message
    assert "reaches the grid" in message


def test_a_layer_that_covers_half_of_the_study_is_unknown_beyond(table, grid, expected):
    half = Grid(grid.rows, grid.cols // 2, grid.transform, grid.crs)
    found = table(ramp(half), half)
    np.testing.assert_allclose(found[:, : grid.cols // 2], expected[:, : grid.cols // 2], atol=0.01)
    assert np.isnan(found[:, grid.cols // 2 + 1 :]).all()
