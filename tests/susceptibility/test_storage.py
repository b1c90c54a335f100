"""Reading rasters and bringing them onto one grid, against surfaces whose value is known everywhere."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.warp import Resampling, reproject

from insar.grid import Grid
from susceptibility import storage
from susceptibility.errors import InputError, MissingInputError, OptionError
from susceptibility.kernels import resampling as kernels
from susceptibility.storage import align_raster, metric_grid_of, open_aligned, read_raster

Array = NDArray[Any]
UTM = "EPSG:32632"
EAST, NORTH = 526_000.0, 4_427_000.0  # near 9.3 E, 40 N
FIVE = ("nearest", "bilinear", "cubic", "average", "mode")


def utm_grid(rows: int, cols: int, step_m: float = 30.0, *, east: float = EAST, north: float = NORTH) -> Grid:
    return Grid(rows, cols, Affine(step_m, 0.0, east, 0.0, -step_m, north), UTM)


def lonlat_grid(rows: int, cols: int, step: float = 1 / 3600, *, west: float = 9.29, north: float = 40.0) -> Grid:
    return Grid(rows, cols, Affine(step, 0.0, west, 0.0, -step, north), "EPSG:4326")


def centres(grid: Grid) -> tuple[Array, Array]:
    t = grid.transform
    cols, rows = np.meshgrid(np.arange(grid.cols) + 0.5, np.arange(grid.rows) + 0.5)
    return t.a * cols + t.b * rows + t.c, t.d * cols + t.e * rows + t.f


def to_lonlat(east: Array, north: Array) -> tuple[Array, Array]:
    lon, lat = pyproj.Transformer.from_crs(UTM, "EPSG:4326", always_xy=True).transform(east, north)
    return lon, lat


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    def write(values: Array, grid: Grid, name: str = "layer.tif", *, mask: Array | None = None, **profile: Any) -> Path:
        path = tmp_path / name
        scale, offset = profile.pop("scale", 1.0), profile.pop("offset", 0.0)
        bands = values if values.ndim == 3 else values[None]
        settings = {
            "driver": "GTiff",
            "height": grid.rows,
            "width": grid.cols,
            "count": len(bands),
            "dtype": values.dtype,
            "transform": grid.transform,
            "crs": grid.crs,
        }
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(path, "w", **(settings | profile)) as sink,
        ):
            sink.write(bands)
            if (scale, offset) != (1.0, 0.0):
                sink.scales, sink.offsets = (scale,) * len(bands), (offset,) * len(bands)
            if mask is not None:
                sink.write_mask(mask)
        return path

    return write


# Reading ------------------------------------------------------------------------------------------------------------


def test_values_and_grid_are_read_as_they_are(save: Callable[..., Path]) -> None:
    values = np.random.default_rng(0).normal(0, 1e3, (7, 5)).astype(np.float32)
    read, grid = read_raster(save(values, utm_grid(7, 5)))
    np.testing.assert_array_equal(read, values)
    assert grid == utm_grid(7, 5)
    assert read.dtype == np.float32


def test_no_data_is_nan_however_it_is_told(save: Callable[..., Path]) -> None:
    values = np.array([[1.0, -9999.0], [np.nan, np.inf]], np.float32)
    read, _ = read_raster(save(values, utm_grid(2, 2), nodata=-9999.0))
    np.testing.assert_array_equal(read, [[1.0, np.nan], [np.nan, np.nan]])
    masked = np.array([[255, 0], [255, 255]], np.uint8)
    read, _ = read_raster(save(np.array([[3, 4], [0, 6]], np.int16), utm_grid(2, 2), mask=masked))
    np.testing.assert_array_equal(read, [[3, np.nan], [0, 6]])
    read, _ = read_raster(save(np.array([[3.0, 1e300], [0, 6]]), utm_grid(2, 2)))
    np.testing.assert_array_equal(read, [[3, np.nan], [0, 6]])


def test_packed_values_come_in_their_unit(save: Callable[..., Path]) -> None:
    packed = np.array([[100, 32767], [-5, 0]], np.int16)
    path = save(packed, utm_grid(2, 2), nodata=32767, scale=0.01, offset=273.15)
    expected = np.array([[274.15, np.nan], [273.10, 273.15]], np.float32)
    np.testing.assert_allclose(read_raster(path)[0], expected, rtol=1e-7)
    np.testing.assert_allclose(align_raster(path, utm_grid(2, 2)), expected, rtol=1e-7)


def test_bands_are_counted_from_1(save: Callable[..., Path]) -> None:
    path = save(np.stack([np.full((2, 2), 7.0), np.full((2, 2), 8.0)]), utm_grid(2, 2))
    assert read_raster(path, 2)[0][0, 0] == 8.0
    assert align_raster(path, utm_grid(2, 2), band=2)[1, 1] == 8.0
    for band in (0, 3):
        with pytest.raises(InputError, match=rf"layer\.tif: required a band {band}; found 2 band"):
            read_raster(path, band)


def test_files_that_are_no_rasters_are_named(save: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"absent\.tif.*no such file"):
        read_raster(tmp_path / "absent.tif")
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(InputError, match=r"text\.tif: required a raster GDAL can read"):
        read_raster(tmp_path / "text.tif")
    whole = save(np.zeros((200, 200)), utm_grid(200, 200))
    (tmp_path / "short.tif").write_bytes(whole.read_bytes()[:50_000])
    with pytest.raises(InputError, match=r"short\.tif"):
        read_raster(tmp_path / "short.tif")
    with pytest.raises(InputError, match="required real numbers; found complex64"):
        read_raster(save(np.zeros((2, 2), np.complex64), utm_grid(2, 2)))


def test_class_numbers_that_float32_would_change_are_refused(save: Callable[..., Path]) -> None:
    exact = save(np.array([[2**24, 0]], np.int32), utm_grid(1, 2))
    assert read_raster(exact)[0][0, 0] == 2**24
    with pytest.raises(InputError, match="16777217"):
        read_raster(save(np.array([[2**24 + 1, 0]], np.int32), utm_grid(1, 2)))
    declared = save(np.array([[2**31 - 1, 5]], np.int32), utm_grid(1, 2), nodata=2**31 - 1)
    np.testing.assert_array_equal(read_raster(declared)[0], [[np.nan, 5]])


def test_a_raster_without_a_place_is_read_but_not_aligned(save: Callable[..., Path]) -> None:
    path = save(np.zeros((3, 3), np.float32), Grid(3, 3, Affine(1, 0, 5, 0, -1, 5), None))
    assert read_raster(path)[1].crs is None
    with pytest.raises(InputError, match=r"layer\.tif: required a coordinate reference system; found none"):
        align_raster(path, utm_grid(3, 3))
    with pytest.raises(InputError, match="target grid"):
        align_raster(save(np.zeros((3, 3)), utm_grid(3, 3)), Grid.radar(3, 3))


# Pixels that coincide -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resampling", [None, *FIVE])
def test_the_same_grid_is_copied_bit_by_bit(save: Callable[..., Path], resampling: storage.Resampling | None) -> None:
    bits = np.random.default_rng(1).integers(0, 2**32, (40, 30), np.uint32).view(np.float32)
    expected = np.where(np.isfinite(bits), bits, np.float32("nan"))
    aligned = align_raster(save(bits, utm_grid(40, 30)), utm_grid(40, 30), resampling=resampling)
    np.testing.assert_array_equal(aligned.view(np.uint32), expected.view(np.uint32))


def test_a_part_and_a_margin_are_copied(save: Callable[..., Path]) -> None:
    values = np.arange(48, dtype=np.float32).reshape(6, 8) / 7
    path = save(values, utm_grid(6, 8))
    part = align_raster(path, utm_grid(3, 4, east=EAST + 60.0, north=NORTH - 30.0))
    np.testing.assert_array_equal(part, values[1:4, 2:6])
    wider = align_raster(path, utm_grid(8, 11, east=EAST - 30.0, north=NORTH + 60.0))
    expected = np.full((8, 11), np.nan, np.float32)
    expected[2:8, 1:9] = values
    np.testing.assert_array_equal(wider, expected)


def test_rows_from_south_to_north_are_turned_round(save: Callable[..., Path]) -> None:
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    south_up = Grid(4, 3, Affine(30.0, 0.0, EAST, 0.0, 30.0, NORTH - 120.0), UTM)
    np.testing.assert_array_equal(align_raster(save(values, south_up), utm_grid(4, 3)), values[::-1])
    np.testing.assert_array_equal(align_raster(save(values, utm_grid(4, 3)), south_up), values[::-1])


# Values between pixels ----------------------------------------------------------------------------------------------


def test_half_a_pixel_off_takes_half_of_each(save: Callable[..., Path]) -> None:
    values = np.random.default_rng(2).normal(size=(20, 20)).astype(np.float32)
    shifted = utm_grid(19, 19, east=EAST + 15.0, north=NORTH - 15.0)
    four = (values[1:, 1:] + values[:-1, 1:] + values[1:, :-1] + values[:-1, :-1]) / 4
    path = save(values, utm_grid(20, 20))
    np.testing.assert_allclose(align_raster(path, shifted), four, atol=3e-7)
    np.testing.assert_allclose(align_raster(path, shifted, resampling="average"), four, atol=3e-7)
    nearest = align_raster(path, shifted, resampling="nearest")
    np.testing.assert_array_equal(nearest, values[1:, 1:])  # a shared edge belongs to the pixel after it


@pytest.mark.parametrize("resampling", ["bilinear", "cubic"])
def test_a_ramp_in_degrees_is_the_same_ramp_in_metres(
    save: Callable[..., Path], resampling: storage.Resampling
) -> None:
    """Interpolation is exact on planes: what is left is float32, not the projection (a tenth of a pixel is 5 units)."""
    source, target = lonlat_grid(90, 110), utm_grid(60, 50, 25.0)
    lon, lat = centres(source)
    path = save((50 * 3600 * (lon - 9.3) - 30 * 3600 * (lat - 39.98)).astype(np.float64), source)
    lon, lat = to_lonlat(*centres(target))
    truth = 50 * 3600 * (lon - 9.3) - 30 * 3600 * (lat - 39.98)
    np.testing.assert_allclose(align_raster(path, target, resampling=resampling), truth, atol=1e-3)


def test_errors_on_a_curved_surface_stay_within_their_bounds(save: Callable[..., Path]) -> None:
    """Bilinear: at most h2/8 of the second derivatives; cubic: an order better. Pixel 23.7 m x 30.9 m."""
    source, target = lonlat_grid(90, 110), utm_grid(60, 50, 25.0)

    def surface(lon: Array, lat: Array) -> Array:
        return 100.0 * np.sin((lon - 9.3) * 3600 / 12) * np.cos((lat - 39.98) * 3600 / 15)

    path = save(surface(*centres(source)), source)
    truth = surface(*to_lonlat(*centres(target)))
    bound = 100.0 / 8 * (1 / 12**2 + 1 / 15**2)
    bilinear = np.abs(align_raster(path, target, resampling="bilinear") - truth).max()
    cubic = np.abs(align_raster(path, target, resampling="cubic") - truth).max()
    assert 0.5 * bound < bilinear <= bound
    assert cubic < 0.15 * bound


def test_nearest_takes_the_pixel_that_contains_the_centre(save: Callable[..., Path]) -> None:
    source, target = lonlat_grid(90, 110), utm_grid(60, 50, 25.0)
    classes = np.random.default_rng(3).integers(1, 200, source.shape).astype(np.uint8)
    lon, lat = to_lonlat(*centres(target))
    rows, cols = np.floor((40.0 - lat) * 3600).astype(int), np.floor((lon - 9.29) * 3600).astype(int)
    aligned = align_raster(save(classes, source), target, resampling="nearest")
    np.testing.assert_array_equal(aligned, classes[rows, cols])


@pytest.mark.parametrize(("step_m", "cells"), [(90.0, 10), (75.0, 12), (100.0, 9)])
def test_average_is_the_mean_by_area(save: Callable[..., Path], step_m: float, cells: int) -> None:
    values = np.random.default_rng(4).normal(size=(30, 30)).astype(np.float32)
    known = np.random.default_rng(5).random((30, 30)) > 0.3
    edges = np.arange(cells + 1)[:, None] * step_m / 30.0
    pixels = np.arange(30.0)
    part = np.clip(np.minimum(edges[1:], pixels + 1) - np.maximum(edges[:-1], pixels), 0, None)
    area = part @ known @ part.T
    expected = part @ np.where(known, values, 0.0) @ part.T / area
    path = save(np.where(known, values, np.float32("nan")), utm_grid(30, 30))
    target = utm_grid(cells, cells, step_m)
    np.testing.assert_allclose(align_raster(path, target, resampling="average"), expected, atol=3e-7)
    strict = align_raster(path, target, resampling="average", least_coverage=0.678)
    np.testing.assert_array_equal(np.isnan(strict), area < 0.678 * (step_m / 30.0) ** 2)


def test_mode_is_the_class_with_the_largest_area(save: Callable[..., Path]) -> None:
    classes = np.zeros((4, 12), np.uint8)
    classes[:, :4] = [[1, 1, 2, 2], [1, 3, 2, 3], [1, 1, 4, 4], [2, 2, 4, 4]]  # 2: 5 pixels, 1: 5, 4: 4, 3: 2
    classes[:, 4:8] = [[9, 9, 9, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]  # 3 of 16 known
    path = save(classes, utm_grid(4, 12), nodata=0)
    aligned = align_raster(path, utm_grid(1, 3, 120.0), resampling="mode")
    np.testing.assert_array_equal(aligned, [[1, 9, np.nan]])
    classes[3, 0] = 2
    classes[0, 3] = 2
    classes[1, 1] = 2
    aligned = align_raster(save(classes, utm_grid(4, 12), nodata=0), utm_grid(1, 3, 120.0), resampling="mode")
    assert aligned[0, 0] == 2


def test_a_continuous_raster_is_averaged_where_it_is_finer_and_interpolated_where_it_is_not(
    save: Callable[..., Path],
) -> None:
    path = save(np.random.default_rng(6).normal(size=(60, 60)).astype(np.float32), utm_grid(60, 60, 10.0))
    for step_m, chosen in ((30.0, "average"), (16.0, "average"), (14.0, "bilinear"), (7.0, "bilinear")):
        target = utm_grid(12, 12, step_m, east=EAST + 3.0, north=NORTH - 3.0)
        np.testing.assert_array_equal(align_raster(path, target), align_raster(path, target, resampling=chosen))


def test_averages_and_nearest_agree_with_gdal(save: Callable[..., Path]) -> None:
    """Its interpolating kernels are another thing; these two have one definition."""
    source, target = lonlat_grid(160, 200), utm_grid(20, 20, 150.0)
    values = np.random.default_rng(7).normal(size=source.shape).astype(np.float32)
    path = save(values, source)
    for name, tolerance in (("average", 2e-2), ("nearest", 0.0)):
        theirs = np.full(target.shape, np.nan, np.float32)
        reproject(
            values,
            theirs,
            src_transform=source.transform,
            src_crs=source.crs,
            dst_transform=target.transform,
            dst_crs=target.crs,
            resampling=Resampling[name],
            dst_nodata=np.nan,
        )
        ours = align_raster(path, target, resampling=name)
        assert np.mean(np.abs(ours - theirs) > tolerance) < 0.01  # its coordinates are good to 1/8 pixel


# No data ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resampling", FIVE)
@pytest.mark.parametrize("told", ["declared", "nan", "both"])
def test_no_data_is_not_smeared(save: Callable[..., Path], resampling: storage.Resampling, told: str) -> None:
    """A constant field with holes comes out constant, whatever stands in the holes, and its holes stay holes."""
    source, target = lonlat_grid(90, 110), utm_grid(40, 40, 25.0)
    values = np.full(source.shape, 12.5, np.float32)
    hole = np.zeros(source.shape, bool)
    hole[35:45, 60:80] = hole[50, 55:65] = True
    filler = {"declared": -9999.0, "nan": np.nan, "both": np.where(np.arange(110) % 2, np.nan, -9999.0)}[told]
    values[hole] = np.broadcast_to(filler, source.shape)[hole]
    path = save(values, source, nodata=None if told == "nan" else -9999.0)
    aligned = align_raster(path, target, resampling=resampling)
    np.testing.assert_allclose(aligned[np.isfinite(aligned)], 12.5, atol=1e-5)
    lon, lat = to_lonlat(*centres(target))
    rows, cols = (40.0 - lat) * 3600, (lon - 9.29) * 3600
    if resampling in {"nearest", "bilinear"}:
        np.testing.assert_array_equal(np.isnan(aligned), hole[np.floor(rows).astype(int), np.floor(cols).astype(int)])
    deep = (rows > 36.5) & (rows < 43.5) & (cols > 61.5) & (cols < 78.5)
    far = (cols > 83) | (rows < 32)
    assert deep.sum() > 20
    assert np.isnan(aligned[deep]).all()
    assert np.isfinite(aligned[far]).all()


def test_a_place_beside_a_hole_takes_what_is_known(save: Callable[..., Path]) -> None:
    values = np.array([[1.0, 2.0], [3.0, np.nan]], np.float32)
    target = utm_grid(2, 2, 30.0, east=EAST + 6.0, north=NORTH - 6.0)  # 0.2 pixel to the south-east
    expected = [[(0.64 * 1 + 0.16 * 2 + 0.16 * 3) / 0.96, 2.0], [3.0, np.nan]]
    np.testing.assert_allclose(align_raster(save(values, utm_grid(2, 2)), target), expected, rtol=1e-6)


@pytest.mark.parametrize("resampling", ["average", "mode"])
def test_the_last_bits_of_coordinates_carry_nothing_across_an_edge(
    save: Callable[..., Path], resampling: storage.Resampling
) -> None:
    """Pixels that nest exactly, with coordinates that do not (off by 2e-9 pixel): no sliver of a neighbour counts."""
    east, north, step_m = 711_962.726935, 9_561_011.759956, 0.7
    known = np.random.default_rng(11).random((40, 40)) > 0.5
    values = np.where(np.kron(known, np.ones((3, 3))) > 0, 7.0, np.nan).astype(np.float32)
    path = save(values, utm_grid(120, 120, step_m, east=east, north=north))
    part = utm_grid(30, 30, 3 * step_m, east=east + 6 * step_m, north=north - 9 * step_m)
    aligned = align_raster(path, part, resampling=resampling)
    np.testing.assert_array_equal(aligned, np.where(known[3:33, 2:32], np.float32(7.0), np.float32("nan")))


def test_a_raster_that_misses_the_grid_is_refused_with_both_extents(save: Callable[..., Path]) -> None:
    path = save(np.zeros((20, 20), np.float32), lonlat_grid(20, 20, west=-79.0, north=-4.0))
    with pytest.raises(InputError) as caught:
        align_raster(path, utm_grid(30, 30))
    assert "layer.tif" in str(caught.value)
    assert "9.304" in caught.value.required
    assert "-79.0000 -4.0056 -78.9944 -4.0000" in caught.value.found


def test_a_raster_inside_or_across_the_edge_of_the_grid_reaches_it(save: Callable[..., Path]) -> None:
    target = utm_grid(30, 30)
    inside = align_raster(save(np.ones((3, 3)), utm_grid(3, 3, 10.0, east=EAST + 300, north=NORTH - 300)), target)
    assert np.isfinite(inside).sum() == 1
    across = align_raster(save(np.ones((9, 9)), utm_grid(9, 9, east=EAST - 100, north=NORTH + 100)), target)
    assert 20 < np.isfinite(across).sum() < 49


@pytest.mark.parametrize("west", [189.29, 9.29 - 360])
def test_longitudes_a_turn_away_are_the_same_place(save: Callable[..., Path], west: float) -> None:
    east_of_180 = 189.29 if west > 180 else 9.29
    source = lonlat_grid(60, 80, west=west)
    zone = "EPSG:32602" if west > 180 else UTM
    t = pyproj.Transformer.from_crs("EPSG:4326", zone, always_xy=True)
    east, north = t.transform(east_of_180 + 0.004, 39.998)
    target = Grid(20, 20, Affine(30.0, 0, east, 0, -30.0, north), zone)
    aligned = align_raster(save(np.full((60, 80), 4.0), source), target)
    assert (aligned == 4.0).all()


def test_a_raster_across_the_date_line_is_whole(save: Callable[..., Path]) -> None:
    source = lonlat_grid(100, 100, 0.001, west=179.95, north=52.0)
    lon, _ = centres(source)
    target = Grid(40, 40, Affine(100.0, 0, 703_000.0, 0, -100.0, 5_762_000.0), "EPSG:32660")
    aligned = align_raster(save(lon, source), target, resampling="bilinear")
    to_degrees = pyproj.Transformer.from_crs("EPSG:32660", "EPSG:4326", always_xy=True)
    true_lon, _ = to_degrees.transform(*centres(target))
    assert true_lon.min() < -179.9
    assert true_lon.max() > 179.9
    np.testing.assert_allclose(aligned, true_lon % 360.0, atol=2e-5)


def test_a_rotated_raster_lands_where_its_pixels_are(save: Callable[..., Path]) -> None:
    turn = Affine(20 * np.cos(np.pi / 6), 20 * 0.5, EAST, 20 * 0.5, -20 * np.cos(np.pi / 6), NORTH)
    source = Grid(60, 60, turn, UTM)
    east, north = centres(source)
    target = utm_grid(15, 15, 20.0, east=EAST + 500, north=NORTH - 200)
    aligned = align_raster(save(0.1 * (east - EAST) + 0.2 * (north - NORTH), source), target)
    x, y = centres(target)
    np.testing.assert_allclose(aligned, 0.1 * (x - EAST) + 0.2 * (y - NORTH), atol=1e-4)


# Classes and options ------------------------------------------------------------------------------------------------


def test_classes_are_not_averaged(save: Callable[..., Path], tmp_path: Path) -> None:
    path = tmp_path / "landcover.tif"
    grid = utm_grid(6, 6, 10.0)
    with rasterio.open(
        path, "w", driver="GTiff", height=6, width=6, count=1, dtype="uint8", crs=UTM, transform=grid.transform
    ) as sink:
        sink.write(np.full((6, 6), 3, np.uint8), 1)
        sink.write_colormap(1, {3: (0, 255, 0, 255)})
        sink.colorinterp = [ColorInterp.palette]
    for asked in (None, "average", "bilinear", "cubic"):
        with pytest.raises(OptionError, match=r"landcover\.tif.*nearest or mode"):
            align_raster(path, utm_grid(2, 2), resampling=asked)  # type: ignore[arg-type]
    assert (align_raster(path, utm_grid(2, 2), resampling="mode") == 3).all()
    with pytest.raises(OptionError, match="lanczos"):
        align_raster(path, utm_grid(2, 2), resampling="lanczos")  # type: ignore[arg-type]


# Blocks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resampling", FIVE)
@given(cuts=st.sets(st.integers(1, 44), max_size=4), tile=st.sampled_from([1, 7, 16, 512]))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_blocks_do_not_change_a_bit(
    save: Callable[..., Path], resampling: storage.Resampling, cuts: set[int], tile: int
) -> None:
    source, target = lonlat_grid(60, 80), utm_grid(45, 37, 31.7)
    values = np.random.default_rng(8).normal(size=source.shape).astype(np.float32).round(1)
    values[10:14, 20:60] = np.nan
    path = save(values, source)
    whole = align_raster(path, target, resampling=resampling)
    bounds = [0, *sorted(cuts), 45]
    with pytest.MonkeyPatch.context() as patch, open_aligned(path, target, resampling=resampling) as aligned:
        patch.setattr(storage, "_TILE_PIXELS", tile)
        parts = [aligned.read(slice(first, last)) for first, last in pairwise(bounds)]
    np.testing.assert_array_equal(np.vstack(parts).view(np.uint32), whole.view(np.uint32))


def test_a_much_finer_source_is_read_in_small_tiles(save: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """What a tile needs of the source stays bounded, and the result is the same."""
    source, target = utm_grid(400, 400, 3.0), utm_grid(13, 13, 90.0)
    path = save(np.random.default_rng(9).normal(size=(400, 400)).astype(np.float32), source)
    whole = align_raster(path, target)
    largest = []
    read = storage.read_window

    def watch(*arguments: Any) -> Array:
        part = read(*arguments)
        largest.append(max(part.shape))
        return part

    monkeypatch.setattr(storage, "_SOURCE_TILE_PIXELS", 64)
    monkeypatch.setattr(storage, "read_window", watch)
    np.testing.assert_array_equal(align_raster(path, target).view(np.uint32), whole.view(np.uint32))
    assert len(largest) > 40
    assert max(largest) <= 64


def test_kernels_do_the_same_uncompiled() -> None:
    """Python indexing raises where compiled code would read beyond the array; places reach out on all sides."""
    generator = np.random.default_rng(10)
    source = generator.normal(size=(9, 11)).astype(np.float32).round(0)
    source[4, 5] = np.nan
    y, x = np.meshgrid(np.linspace(-3.3, 12.7, 14), np.linspace(-4.1, 14.9, 12), indexing="ij")
    y[0, 0] = np.inf
    x[3, 3] = np.nan
    sharing = [kernels.sample_nearest, kernels.sample_bilinear, kernels.sample_cubic, kernels.dominant_in_footprint]
    for kernel, extra in [(kernel, ()) for kernel in sharing] + [(kernels.average_footprint, (0.5,))]:
        shape = (13, 11) if "footprint" in kernel.__name__ else (14, 12)
        compiled, plain = np.empty(shape, np.float32), np.empty(shape, np.float32)
        kernel(source, 0, 0, y, x, *extra, compiled)
        kernel.py_func(source, 0, 0, y, x, *extra, plain)  # type: ignore[attr-defined]
        np.testing.assert_array_equal(plain, compiled, err_msg=kernel.__name__)
        assert np.isfinite(compiled).any()


# The grid of a study ------------------------------------------------------------------------------------------------


def test_the_grid_of_a_raster_in_metres_is_its_own(save: Callable[..., Path]) -> None:
    path = save(np.zeros((6, 8), np.float32), utm_grid(6, 8))
    assert metric_grid_of(path) == utm_grid(6, 8)
    assert metric_grid_of(path, UTM) == utm_grid(6, 8)
    coarser = metric_grid_of(path, resolution_m=70.0)
    assert (coarser.shape, coarser.bounds[0], coarser.bounds[3]) == ((3, 4), EAST, NORTH)
    assert metric_grid_of(path, resolution_m=60.0).shape == (3, 4)


@pytest.mark.parametrize(("lon", "lat", "epsg"), [(9.3, 40.0, 32632), (-79.1, -4.0, 32717), (179.9, -18.0, 32760)])
def test_the_grid_of_a_raster_in_degrees_is_in_its_utm_zone(
    save: Callable[..., Path], lon: float, lat: float, epsg: int
) -> None:
    source = lonlat_grid(50, 60, west=lon - 30 / 3600, north=lat + 25 / 3600)
    grid = metric_grid_of(save(np.ones(source.shape, np.float32), source))
    assert grid.crs == f"EPSG:{epsg}"
    size = grid.resolution[0]
    ground = 30.87 * 30.92 * np.cos(np.radians(lat))
    assert size == pytest.approx(np.sqrt(ground), rel=0.01)
    assert grid.bounds[0] / size == pytest.approx(round(grid.bounds[0] / size), abs=1e-6)
    aligned = align_raster(save(np.ones(source.shape, np.float32), source), grid, resampling="nearest")
    assert np.isfinite(aligned).mean() > 0.9
    area = grid.rows * grid.cols * size**2
    assert area / (50 * 60 * ground) == pytest.approx(1.0, abs=0.15)


def test_web_mercator_is_brought_to_its_size_on_the_ground(save: Callable[..., Path]) -> None:
    x, y = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True).transform(9.3, 60.0)
    path = save(np.zeros((50, 50), np.float32), Grid(50, 50, Affine(20, 0, x, 0, -20, y), "EPSG:3857"))
    assert metric_grid_of(path).resolution[0] == pytest.approx(10.0, rel=0.01)  # cos 60 deg = 1/2


def test_grids_that_cannot_be_in_metres_are_refused(save: Callable[..., Path]) -> None:
    pole = save(np.zeros((9, 9), np.float32), lonlat_grid(9, 9, 0.1, north=89.0))
    with pytest.raises(InputError, match="UTM is defined"):
        metric_grid_of(pole)
    assert metric_grid_of(pole, "EPSG:32661").crs == "EPSG:32661"
    continent = save(np.zeros((40, 90), np.float32), lonlat_grid(40, 90, 1.0, west=-40.0, north=60.0))
    with pytest.raises(InputError, match=r"layer\.tif"):
        metric_grid_of(continent)
    nowhere = save(np.zeros((3, 3), np.float32), Grid(3, 3, Affine(1, 0, 5, 0, -1, 5), None))
    with pytest.raises(InputError, match="coordinate reference system"):
        metric_grid_of(nowhere)
    with pytest.raises(OptionError, match="resolution"):
        metric_grid_of(save(np.zeros((3, 3)), utm_grid(3, 3)), resolution_m=0.0)
    with pytest.raises(OptionError, match="EPSG:4326"):
        metric_grid_of(save(np.zeros((3, 3)), utm_grid(3, 3)), "EPSG:4326")
