"""Grids, layers on disk, and errors."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from insar.errors import InputError, InsarError, MissingInputError, OptionError
from insar.grid import Grid, LonLat, RowCol, same_crs
from insar.layers import LAYERS, BadLayerError, LayerDefinition, read_layer, write_layer

UTM = Grid(40, 60, Affine(30, 0, 500_000, 0, -30, 4_000_000), "EPSG:32611")


def test_flipped_grids_are_not_the_same():
    flipped = Grid(40, 60, Affine(30, 0, 500_000, 0, 30, 4_000_000 - 40 * 30), "EPSG:32611")
    assert flipped.bounds == UTM.bounds
    assert not UTM.same_as(flipped)
    assert UTM.same_as(Grid(40, 60, Affine(30, 0, 500_000.01, 0, -30, 4_000_000), "EPSG:32611"))
    assert not UTM.same_as(Grid(40, 60, Affine(30, 0, 500_015, 0, -30, 4_000_000), "EPSG:32611"))
    assert not UTM.same_as(Grid(40, 60, UTM.transform, "EPSG:32612"))


@pytest.mark.parametrize(
    ("crs", "geographic", "metric"),
    [
        ("EPSG:4326", True, False),
        ("EPSG:32611", False, True),
        ("EPSG:3857", False, False),
        ("EPSG:2225", False, False),  # US survey feet
        (None, False, False),
    ],
)
def test_what_a_crs_measures(crs, geographic, metric):
    grid = Grid(2, 2, UTM.transform, crs)
    assert (grid.is_geographic, grid.is_metric) == (geographic, metric)


@given(st.integers(0, 39), st.integers(0, 59))
def test_pixels_and_places(row, col):
    assert UTM.rowcol(UTM.lonlat(RowCol(row, col))) == (row, col)


def test_places_outside_and_grids_without_a_map():
    with pytest.raises(InputError, match="longitude first"):
        UTM.rowcol(LonLat(0.0, 0.0))
    with pytest.raises(InputError, match="row and column"):
        Grid.radar(3, 3).rowcol(LonLat(0.0, 0.0))
    with pytest.raises(InputError):
        Grid(0, 3, UTM.transform, None)


def test_crs_by_any_name():
    assert same_crs("EPSG:32611", rasterio.crs.CRS.from_epsg(32611).to_wkt())
    assert not same_crs("EPSG:32611", None)


@pytest.mark.parametrize("by_rows", [False, True])
def test_a_layer_comes_back_as_it_was(tmp_path, by_rows):
    grid = Grid(1300, 700, UTM.transform, UTM.crs)
    values = np.random.default_rng(0).normal(size=grid.shape).astype(np.float32)
    values[5, 6] = np.nan
    path = tmp_path / "velocity.tif"
    write_layer(path, (lambda rows: values[rows]) if by_rows else values, grid, LAYERS["velocity"], tags={"MORE": "1"})
    read, read_grid, definition = read_layer(path)
    np.testing.assert_array_equal(read, values)
    assert read_grid.same_as(grid, tolerance_pixels=0)
    assert (definition.unit, definition.sign) == ("m/yr", "positive toward the satellite")
    with rasterio.open(path) as source:
        assert source.tags()["MORE"] == "1"
        assert source.overviews(1)
        assert np.isnan(source.nodata)
    assert [entry.name for entry in tmp_path.iterdir()] == ["velocity.tif"]


def test_class_layers_keep_their_type_and_no_data(tmp_path):
    write_layer(tmp_path / "a.tif", np.array([[0, 3]]), Grid.radar(1, 2), LAYERS["pairs_used"])
    with rasterio.open(tmp_path / "a.tif") as source:
        assert source.dtypes == ("uint16",)
        assert source.nodata == 0
        assert source.crs is None
    values, _, _ = read_layer(tmp_path / "a.tif")
    np.testing.assert_array_equal(values, [[np.nan, 3]])


def test_directions_are_not_averaged_in_overviews(tmp_path):
    grid = Grid(1024, 1024, UTM.transform, UTM.crs)
    aspect = np.where(np.arange(1024) % 2, 359.0, 1.0) * np.ones((1024, 1))
    write_layer(tmp_path / "aspect.tif", aspect, grid, LayerDefinition("aspect", "deg", "Aspect", is_angle=True))
    with rasterio.open(tmp_path / "aspect.tif") as source:
        assert set(np.unique(source.read(1, out_shape=(512, 512)))) <= {1.0, 359.0}


def test_a_failed_write_leaves_nothing(tmp_path):
    def fail(rows):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_layer(tmp_path / "velocity.tif", fail, UTM, LAYERS["velocity"])
    assert not list(tmp_path.iterdir())


def test_no_layers(tmp_path):
    with pytest.raises(MissingInputError, match=r"nothing\.tif"):
        read_layer(tmp_path / "nothing.tif")
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(BadLayerError, match=r"text\.tif"):
        read_layer(tmp_path / "text.tif")


@pytest.mark.parametrize("kind", [InsarError, InputError, MissingInputError, OptionError])
def test_errors_say_four_things_and_survive_pickling(kind):
    error = kind("file.tif", required="a raster", found="a poem", remedy="Give the raster")
    assert str(error) == "file.tif: required a raster; found a poem. Give the raster."
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == str(error)
    assert copy.found == "a poem"
