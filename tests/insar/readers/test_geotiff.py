from __future__ import annotations

import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import rasterio

from insar.errors import InputError, MissingInputError
from insar.readers.geotiff import (
    TALLEST_CHUNK_ROWS,
    OpenRasters,
    RasterCube,
    RasterLayer,
    RasterPlane,
    chunk_rows,
    read_geotiff,
)
from insar.readers.lattice import common_grid, describe_crop
from insar.readers.sources import ALL_IS_DATA, ZERO_IS_NO_DATA

from .geotiffs import NORTH, PIXEL_M, WEST, as_read, phases, write_tif


def cube_of_one(path: Path) -> RasterCube:
    return RasterCube((RasterLayer(path, ZERO_IS_NO_DATA),), OpenRasters())


def read_all(cube: RasterCube, rows: int, cols: int) -> np.ndarray:
    return cube.read_block(np.arange(len(cube.layers)), slice(0, rows), slice(0, cols))


def test_header(tmp_path: Path) -> None:
    raster = read_geotiff(
        write_tif(tmp_path / "a.tif", phases(0, 64, 48), nodata=-9.0, tiled=True, blockxsize=16, blockysize=32)
    )
    assert raster.grid.shape == (64, 48)
    assert raster.grid.crs == "EPSG:32648"
    assert raster.grid.bounds == (WEST, NORTH - 64 * PIXEL_M, WEST + 48 * PIXEL_M, NORTH)
    assert (raster.dtype, raster.no_data, raster.block_rows) == ("float32", -9.0, 32)
    assert raster.decoding(0.0).no_data == (0.0, -9.0)
    assert read_geotiff(write_tif(tmp_path / "b.tif", phases(0), nodata=0.0)).decoding(0.0).no_data == (0.0,)
    assert read_geotiff(write_tif(tmp_path / "c.tif", phases(0), nodata=np.nan)).decoding().no_data == ()


def test_pixel_is_point_means_the_same_corner(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", phases(0))
    with rasterio.open(path, "r+") as sink:
        sink.update_tags(AREA_OR_POINT="Point")
    grid = read_geotiff(path).grid
    with rasterio.open(path) as source:
        assert source.tags()["AREA_OR_POINT"] == "Point"
    assert grid.bounds[0] == WEST
    assert grid.bounds[3] == NORTH


@pytest.mark.parametrize(
    "options",
    [
        {"compress": None},
        {"compress": "deflate", "predictor": 3},
        {"compress": "lzw", "predictor": 2},
        {"compress": "zstd"},
        {"tiled": True, "blockxsize": 16, "blockysize": 16},
        {"BIGTIFF": "YES"},
        {"ENDIANNESS": "BIG"},
    ],
)
def test_pixels_of_every_storage(tmp_path: Path, options: dict) -> None:
    values = phases(3, 40, 37)
    cube = cube_of_one(write_tif(tmp_path / "a.tif", values, **options))
    for rows, cols in ((slice(0, 40), slice(0, 37)), (slice(13, 20), slice(5, 6)), (slice(39, 40), slice(0, 37))):
        block = cube.read_block(np.array([0, 0]), rows, cols)
        assert block.dtype == np.float32
        np.testing.assert_array_equal(block, np.stack([as_read(values)[rows, cols]] * 2))
    assert cube.read_block(np.array([0]), slice(4, 4), slice(0, 37)).shape == (1, 0, 37)


def test_declared_no_data_and_what_is_not_finite(tmp_path: Path) -> None:
    values = np.array([[1.0, -9999.0, np.inf], [np.nan, 0.0, 2.0]], np.float32)
    raster = read_geotiff(write_tif(tmp_path / "a.tif", values, nodata=-9999.0))
    plane = RasterPlane(RasterLayer(raster.path, raster.decoding()), OpenRasters())
    nan = np.nan
    np.testing.assert_array_equal(plane.read_window(slice(0, 2), slice(0, 3)), [[1.0, nan, nan], [nan, 0.0, 2.0]])


def test_values_that_cannot_be_are_refused(tmp_path: Path) -> None:
    layer = RasterLayer(write_tif(tmp_path / "a.tif", phases(0) * 100), ALL_IS_DATA, limits=(0.0, 1.0))
    with pytest.raises(InputError, match=r"a\.tif: required values from 0 to 1; found"):
        RasterPlane(layer, OpenRasters()).read_window(slice(0, 6), slice(0, 5))


def test_many_threads_get_what_one_gets(tmp_path: Path) -> None:
    """More files than may stay open, each read by all threads at once."""
    values = [phases(seed, 96, 50) for seed in range(12)]
    layers = tuple(
        RasterLayer(write_tif(tmp_path / f"{index}.tif", each, blockysize=8), ZERO_IS_NO_DATA)
        for index, each in enumerate(values)
    )
    rasters = OpenRasters(limit=5)
    cube = RasterCube(layers, rasters)
    pairs = np.arange(len(layers))
    expected = np.stack([as_read(each) for each in values])

    def read(start: int) -> np.ndarray:
        return cube.read_block(pairs, slice(start, start + 8), slice(0, 50))

    starts = list(range(0, 96, 8)) * 6
    with ThreadPoolExecutor(8) as pool:
        for start, block in zip(starts, pool.map(read, starts), strict=True):
            np.testing.assert_array_equal(block, expected[:, start : start + 8])
    assert 0 < len(rasters) <= 5


def test_files_stay_open_between_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_tif(tmp_path / "a.tif", phases(0, 30, 5))
    opened = []
    real = rasterio.open
    monkeypatch.setattr(rasterio, "open", lambda *args, **options: opened.append(args) or real(*args, **options))
    cube = RasterCube((RasterLayer(path, ZERO_IS_NO_DATA),), OpenRasters())
    for start in range(0, 30, 3):
        cube.read_block(np.array([0]), slice(start, start + 3), slice(0, 5))
    assert len(opened) == 1


def test_another_process_opens_its_own(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", phases(0))
    rasters = OpenRasters(limit=7)
    cube = RasterCube((RasterLayer(path, ZERO_IS_NO_DATA),), rasters)
    expected = read_all(cube, 6, 5)
    assert len(rasters) == 1
    copied = pickle.loads(pickle.dumps(cube))
    assert len(copied.rasters) == 0
    np.testing.assert_array_equal(read_all(copied, 6, 5), expected)


def test_a_forked_process_does_not_share_the_place_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_tif(tmp_path / "a.tif", phases(0))
    rasters = OpenRasters()
    with rasters.borrow(path) as parents:
        pass
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with rasters.borrow(path) as childs:
        assert childs is not parents


def test_spoilt_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with pytest.raises(MissingInputError, match=r"a\.tif: required a GeoTIFF; found no such file"):
        read_geotiff(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r"a\.tif: required a whole GeoTIFF; found a file of 0 bytes"):
        read_geotiff(path)
    path.write_bytes(b"<html>please log in</html>")
    with pytest.raises(InputError, match="cannot be opened as one"):
        read_geotiff(path)
    write_tif(path, phases(0, 200, 100))
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    with pytest.raises(InputError, match=rf"required at least {len(content)} bytes; found {len(content) - 100} bytes"):
        read_geotiff(path)


def test_pixels_that_do_not_decompress_are_named(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", phases(0, 200, 100), blockysize=10)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4000] = b"\xff" * 4000
    path.write_bytes(content)
    read_geotiff(path)  # its header is whole
    with pytest.raises(InputError, match=r"a\.tif: required pixels of rows 0 to 200 that can be decompressed"):
        read_all(cube_of_one(path), 200, 100)


def test_a_file_that_vanishes_is_named(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", phases(0))
    cube = cube_of_one(path)
    path.unlink()
    with pytest.raises(MissingInputError, match=r"a\.tif"):
        read_all(cube, 6, 5)


def test_maps_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="required a coordinate reference system"):
        read_geotiff(write_tif(tmp_path / "radar.tif", phases(0), crs=None))
    with pytest.raises(InputError, match="required a map with north up"):
        read_geotiff(write_tif(tmp_path / "south.tif", phases(0), transform=rasterio.Affine(80.0, 0, 0, 0, 80.0, 0)))
    both = tmp_path / "two.tif"
    profile = {"driver": "GTiff", "height": 2, "width": 2, "count": 2, "dtype": "float32", "crs": "EPSG:4326"}
    with rasterio.open(both, "w", transform=rasterio.Affine(0.5, 0, 0, 0, -0.5, 0), **profile) as sink:
        sink.write(np.ones((2, 2, 2), np.float32))
    with pytest.raises(InputError, match="required one band; found 2 bands"):
        read_geotiff(both)


def test_chunks_follow_the_blocks(tmp_path: Path) -> None:
    strips = read_geotiff(write_tif(tmp_path / "a.tif", phases(0, 64, 48), blockysize=4))
    tiles = read_geotiff(write_tif(tmp_path / "b.tif", phases(0, 64, 48), tiled=True, blockxsize=32, blockysize=32))
    tall = read_geotiff(write_tif(tmp_path / "c.tif", phases(0, 600, 4), blockysize=600))
    assert chunk_rows([strips]) == 4
    assert chunk_rows([strips, tiles]) == 32
    assert tall.block_rows == 600
    assert chunk_rows([strips, tall]) == TALLEST_CHUNK_ROWS == 256


def test_common_area(tmp_path: Path) -> None:
    """Three extents that none contains the others; what all cover is known pixel by pixel."""
    field = np.arange(1.0, 401.0, dtype=np.float32).reshape(20, 20)
    windows = ((0, 3, 14, 17), (2, 0, 18, 15), (1, 4, 20, 20))  # first row, first column, end row, end column
    rasters = [
        read_geotiff(write_tif(tmp_path / f"{index}.tif", field[top:bottom, left:right], row=top, col=left))
        for index, (top, left, bottom, right) in enumerate(windows)
    ]
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        shuffled = [rasters[index] for index in order]
        grid = common_grid(shuffled)
        assert grid.shape == (12, 11)
        assert grid.bounds == (WEST + 4 * PIXEL_M, NORTH - 14 * PIXEL_M, WEST + 15 * PIXEL_M, NORTH - 2 * PIXEL_M)
        layers = tuple(RasterLayer.on_grid(raster, grid, ALL_IS_DATA) for raster in shuffled)
        block = read_all(RasterCube(layers, OpenRasters()), *grid.shape)
        np.testing.assert_array_equal(block, np.stack([field[2:14, 4:15]] * 3))
    note = describe_crop(rasters, common_grid(rasters))
    assert note is not None
    assert note.startswith(
        "extents differ: cropped to the 12 rows x 11 columns that all pairs cover, 43% of the largest"
    )
    assert describe_crop(rasters[:1], common_grid(rasters[:1])) is None


@pytest.mark.parametrize(
    ("options", "required", "found"),
    [
        ({"pixel": 40.0}, "pixel size of", "40 x 40"),
        ({"crs": "EPSG:32647"}, "projection of", "EPSG:32647"),
        ({"origin": (WEST + 20.0, NORTH)}, "lattice of", "moved by 0 rows and 0.25 columns"),
        ({"row": 50}, "an area in common", "none"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, options: dict, required: str, found: str) -> None:
    first = read_geotiff(write_tif(tmp_path / "first.tif", phases(0)))
    other = read_geotiff(write_tif(tmp_path / "other.tif", phases(1), **options))
    with pytest.raises(InputError) as error:
        common_grid([first, other])
    assert error.value.subject.endswith("other.tif")
    assert required in error.value.required
    assert found in error.value.found


def test_a_hair_off_the_lattice_is_on_it(tmp_path: Path) -> None:
    first = read_geotiff(write_tif(tmp_path / "first.tif", phases(0)))
    other = read_geotiff(write_tif(tmp_path / "other.tif", phases(1), origin=(WEST + 80.0 * 3.0001, NORTH)))
    assert common_grid([first, other]).shape == (6, 2)


def _read_in_child(cube: RasterCube, queue) -> None:
    queue.put(read_all(cube, 6, 5))


def test_spawned_process_reads_the_same(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", phases(0))
    cube = cube_of_one(path)
    context = get_context("spawn")
    queue = context.Queue()
    child = context.Process(target=_read_in_child, args=(cube, queue))
    child.start()
    block = queue.get(timeout=60)
    child.join()
    np.testing.assert_array_equal(block, as_read(phases(0))[None])
