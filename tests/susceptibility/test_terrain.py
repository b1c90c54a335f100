"""Slope, aspect and curvature of surfaces whose shape is known in closed form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from insar.errors import InsarError
from insar.grid import Grid
from insar.layers import read_layer
from susceptibility.errors import InputError, MissingInputError, OptionError
from susceptibility.factors.definitions import TERRAIN_FACTORS
from susceptibility.factors.rasters import compute_factors, write_factors
from susceptibility.factors.terrain import factor_of_rows, terrain_factors
from susceptibility.kernels import terrain as kernels

UTM = "EPSG:32717"
CURVATURES = ("profile_curvature", "plan_curvature")
Array = NDArray[Any]


def metric_grid(rows: int, cols: int, step_m: float = 10.0, height_m: float | None = None) -> Grid:
    height_m = step_m if height_m is None else height_m
    return Grid(rows, cols, Affine(step_m, 0.0, 712_000.0, 0.0, -height_m, 9_560_000.0), UTM)


def coordinates(grid: Grid) -> tuple[Array, Array]:
    """Metres east and north of the middle pixel's centre, float64."""
    cols, rows = np.meshgrid(np.arange(grid.cols) - grid.cols // 2, np.arange(grid.rows) - grid.rows // 2)
    return cols * grid.transform.a, rows * grid.transform.e


def inner(values: Array) -> Array:
    return values[1:-1, 1:-1]


def numpy_factors(z: Array, width: float, height: float) -> dict[str, Array]:
    """Whole-array float64 version of the equations, written independently of the kernels, without the outer ring."""
    z = z.astype(np.float64)
    west, east, north, south = z[1:-1, :-2], z[1:-1, 2:], z[:-2, 1:-1], z[2:, 1:-1]
    p, q = (east - west) / (2 * width), (north - south) / (2 * height)
    r, t = (east - 2 * inner(z) + west) / width**2, (north - 2 * inner(z) + south) / height**2
    s = (z[:-2, 2:] - z[:-2, :-2] - z[2:, 2:] + z[2:, :-2]) / (4 * width * height)
    g = p**2 + q**2
    return {
        "slope": np.degrees(np.arctan(np.hypot(p, q))),
        "aspect": np.degrees(np.arctan2(-p, -q)) % 360,
        "aspect_sin": -p / np.sqrt(g),
        "aspect_cos": -q / np.sqrt(g),
        "profile_curvature": -(r * p**2 + 2 * s * p * q + t * q**2) / (g * (1 + g) ** 1.5),
        "plan_curvature": -(r * q**2 - 2 * s * p * q + t * p**2) / g**1.5,
    }


@given(
    slope_deg=st.floats(0.5, 80.0),
    azimuth_deg=st.floats(0.0, 359.99),
    width_m=st.floats(0.5, 90.0),
    height_m=st.floats(0.5, 90.0),
)
@settings(max_examples=60, deadline=None)
def test_plane_has_its_slope_and_faces_downhill(
    slope_deg: float, azimuth_deg: float, width_m: float, height_m: float
) -> None:
    grid = metric_grid(5, 6, width_m, height_m)
    x, y = coordinates(grid)
    azimuth = np.radians(azimuth_deg)
    elevation = -np.tan(np.radians(slope_deg)) * (x * np.sin(azimuth) + y * np.cos(azimuth))
    factors = terrain_factors(elevation, grid)
    np.testing.assert_allclose(inner(factors["slope"]), slope_deg, rtol=1e-6)
    turn = (inner(factors["aspect"]) - azimuth_deg + 180.0) % 360.0 - 180.0
    np.testing.assert_allclose(turn, 0.0, atol=5e-5)
    assert np.all((inner(factors["aspect"]) >= 0.0) & (inner(factors["aspect"]) < 360.0))
    np.testing.assert_allclose(inner(factors["aspect_sin"]), np.sin(azimuth), atol=1e-6)
    np.testing.assert_allclose(inner(factors["aspect_cos"]), np.cos(azimuth), atol=1e-6)
    for name in CURVATURES:
        np.testing.assert_allclose(inner(factors[name]), 0.0, atol=1e-9)


@pytest.mark.parametrize(
    ("east", "north", "aspect"), [(0, -1, 0.0), (-1, 0, 90.0), (0, 1, 180.0), (1, 0, 270.0), (-1, -1, 45.0)]
)
def test_aspect_is_the_compass_direction_the_slope_faces(east: float, north: float, aspect: float) -> None:
    """Ground that rises to the west faces east, and so on round the compass."""
    grid = metric_grid(3, 3)
    x, y = coordinates(grid)
    assert terrain_factors(east * x + north * y, grid)["aspect"][1, 1] == pytest.approx(aspect, abs=1e-5)


def test_aspect_stays_below_360() -> None:
    grid = metric_grid(3, 3)
    x, y = coordinates(grid)
    assert terrain_factors(-y + 1e-12 * x, grid)["aspect"][1, 1] == 0.0


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["dome", "bowl"])
def test_paraboloid_of_revolution(sign: float) -> None:
    """z = -a rho2 / 2: the contour is a circle, the section a parabola; convex (dome) is positive.

    A quadratic surface is met exactly by the nine elevations.
    """
    grid, a = metric_grid(41, 41, 5.0, 4.0), sign * 0.004
    x, y = coordinates(grid)
    rho = np.hypot(x, y)
    factors = terrain_factors(-a * rho**2 / 2, grid)
    off_top = inner(rho) > 0
    np.testing.assert_allclose(
        inner(factors["profile_curvature"])[off_top], (a / (1 + (a * rho) ** 2) ** 1.5)[1:-1, 1:-1][off_top], rtol=1e-5
    )
    np.testing.assert_allclose(inner(factors["plan_curvature"])[off_top], sign / inner(rho)[off_top], rtol=1e-5)
    np.testing.assert_allclose(inner(factors["slope"]), np.degrees(np.arctan(abs(a) * inner(rho))), atol=1e-5)


def test_sphere_is_curved_alike_along_and_is_a_circle_across() -> None:
    radius = 2000.0
    grid = metric_grid(101, 101)
    x, y = coordinates(grid)
    rho = np.hypot(x, y)
    factors = terrain_factors(np.sqrt(radius**2 - rho**2), grid)
    away = inner(rho) > 200.0  # of the top, where a contour is as small as a pixel
    np.testing.assert_allclose(inner(factors["profile_curvature"])[away], 1 / radius, rtol=2e-3)
    np.testing.assert_allclose(inner(factors["plan_curvature"])[away] * inner(rho)[away], 1.0, rtol=2e-3)


def test_cone_is_straight_along_and_a_circle_across() -> None:
    grid = metric_grid(121, 121)
    x, y = coordinates(grid)
    rho = np.hypot(x, y)
    factors = terrain_factors(-0.7 * rho, grid)
    away = inner(rho) > 200.0
    np.testing.assert_allclose(inner(factors["slope"])[away], np.degrees(np.arctan(0.7)), atol=0.05)
    np.testing.assert_allclose(inner(factors["profile_curvature"])[away], 0.0, atol=1e-5)
    np.testing.assert_allclose(inner(factors["plan_curvature"])[away] * inner(rho)[away], 1.0, rtol=5e-3)


def test_saddle_and_tilted_quadratic_have_their_derivatives() -> None:
    """z = a x2/2 + b x y + c y2/2 + d x + e y with distinct coefficients, so that no two of them can be swapped."""
    grid, (a, b, c, d, e) = metric_grid(9, 11, 8.0, 12.0), (0.003, -0.002, -0.005, 0.4, -0.3)
    x, y = coordinates(grid)
    factors = terrain_factors(a * x**2 / 2 + b * x * y + c * y**2 / 2 + d * x + e * y, grid)
    p, q = a * x + b * y + d, b * x + c * y + e
    g = p**2 + q**2
    profile = -(a * p**2 + 2 * b * p * q + c * q**2) / (g * (1 + g) ** 1.5)
    plan = -(a * q**2 - 2 * b * p * q + c * p**2) / g**1.5
    np.testing.assert_allclose(inner(factors["profile_curvature"]), inner(profile), rtol=1e-5)
    np.testing.assert_allclose(inner(factors["plan_curvature"]), inner(plan), rtol=1e-5)


def test_valleys_are_negative_and_spurs_positive() -> None:
    grid = metric_grid(5, 5)
    x, y = coordinates(grid)
    valley = terrain_factors(0.01 * x**2 - 0.5 * y, grid)["plan_curvature"]
    spur = terrain_factors(-0.01 * x**2 - 0.5 * y, grid)["plan_curvature"]
    foot = terrain_factors(-0.5 * y + 0.01 * y**2, grid)["profile_curvature"]
    brow = terrain_factors(-0.5 * y - 0.01 * y**2, grid)["profile_curvature"]
    assert valley[2, 2] < 0 < spur[2, 2]
    assert foot[2, 2] < 0 < brow[2, 2]


def test_halving_the_pixels_quarters_the_error() -> None:
    """Second order of accuracy on a smooth hill, against its analytic derivatives."""
    errors = []
    for step_m in (20.0, 10.0, 5.0):
        grid = metric_grid(int(1200 / step_m) + 1, int(1200 / step_m) + 1, step_m)
        x, y = coordinates(grid)
        width = 250.0
        z = 300.0 * np.exp(-(x**2 + 1.5 * y**2) / (2 * width**2)) + 0.2 * x
        factors = terrain_factors(z, grid)
        hill = z - 0.2 * x
        p, q = -x / width**2 * hill + 0.2, -1.5 * y / width**2 * hill
        r = (x**2 / width**4 - 1 / width**2) * hill
        s, t = 1.5 * x * y / width**4 * hill, (2.25 * y**2 / width**4 - 1.5 / width**2) * hill
        g = p**2 + q**2
        truth = -(r * p**2 + 2 * s * p * q + t * q**2) / (g * (1 + g) ** 1.5)
        steep = inner(g) > 0.01
        errors.append(
            (
                np.abs(inner(factors["slope"]) - inner(np.degrees(np.arctan(np.sqrt(g))))).max(),
                np.abs(inner(factors["profile_curvature"]) - inner(truth))[steep].max(),
            )
        )
    for quantity in range(2):
        coarse, middle, fine = (error[quantity] for error in errors)
        assert 3.0 < coarse / middle < 5.0
        assert 3.0 < middle / fine < 5.0


@pytest.fixture(scope="module")
def rough() -> Array:
    generator = np.random.default_rng(7)
    x, y = np.meshgrid(np.arange(37), np.arange(29))
    return 800 + 40 * np.sin(x / 5) * np.cos(y / 7) + generator.normal(0, 2, x.shape)


def test_kernels_equal_plain_numpy(rough: Array) -> None:
    elevation = rough.astype(np.float32)
    factors = terrain_factors(elevation, metric_grid(*rough.shape, 12.0, 9.0))
    for name, expected in numpy_factors(elevation, 12.0, 9.0).items():
        np.testing.assert_allclose(inner(factors[name]), expected, rtol=2e-6, atol=1e-7, err_msg=name)
    np.testing.assert_array_equal(factors["elevation"], elevation)


def test_kernels_do_the_same_uncompiled(rough: Array) -> None:
    """Python indexing raises where compiled code would read beyond the array."""
    elevation = rough.astype(np.float32)
    for kernel, extra in (
        (kernels.slope_deg, ()),
        (kernels.aspect_deg, ()),
        (kernels.aspect_vector, (True,)),
        (kernels.profile_curvature_per_m, ()),
        (kernels.plan_curvature_per_m, ()),
    ):
        compiled = np.empty((rough.shape[0] - 2, rough.shape[1]), np.float32)
        plain = np.empty_like(compiled)
        kernel(elevation, 10.0, -10.0, *extra, compiled)
        kernel.py_func(elevation, 10.0, -10.0, *extra, plain)  # type: ignore[attr-defined]
        np.testing.assert_allclose(plain, compiled, rtol=1e-6)


def test_turning_the_terrain_turns_the_aspect_and_nothing_else(rough: Array) -> None:
    grid = metric_grid(*rough.shape)
    turned_grid = metric_grid(*rough.shape[::-1])
    factors = terrain_factors(rough, grid)
    turned = terrain_factors(np.rot90(rough, -1), turned_grid)  # a quarter turn clockwise
    for name in ("slope", *CURVATURES):
        np.testing.assert_allclose(turned[name], np.rot90(factors[name], -1), rtol=1e-5, atol=1e-7)
    difference = (turned["aspect"] - np.rot90(factors["aspect"], -1)) % 360.0
    np.testing.assert_allclose(inner(difference), 90.0, atol=1e-4)


def test_turning_the_terrain_upside_down_flips_curvature(rough: Array) -> None:
    grid = metric_grid(*rough.shape)
    factors, flipped = terrain_factors(rough, grid, CURVATURES), terrain_factors(-rough, grid, CURVATURES)
    for name in CURVATURES:
        np.testing.assert_array_equal(flipped[name], -factors[name])


def test_rows_from_south_to_north_give_the_same_terrain(rough: Array) -> None:
    grid = metric_grid(*rough.shape)
    transform = grid.transform
    south_up = Grid(grid.rows, grid.cols, Affine(transform.a, 0, transform.c, 0, -transform.e, grid.bounds[1]), UTM)
    factors, mirrored = terrain_factors(rough, grid), terrain_factors(rough[::-1], south_up)
    for name in TERRAIN_FACTORS:
        np.testing.assert_array_equal(mirrored[name], factors[name][::-1], err_msg=name)


def test_elevations_of_4000_m_in_float32_lose_nothing_in_the_arithmetic() -> None:
    """Differences are taken in float64: only the elevations' own rounding is left, which is far below the tolerance."""
    grid = metric_grid(30, 30)
    x, y = coordinates(grid)
    plane = 4000.0 + 0.05 * x + 0.02 * y
    stored = plane.astype(np.float32)
    low = terrain_factors(stored.astype(np.float64) - 4000.0, grid)
    high = terrain_factors(stored, grid)
    for name in ("slope", "aspect", *CURVATURES):
        np.testing.assert_array_equal(high[name], low[name], err_msg=name)
    assert np.abs(inner(high["slope"]) - np.degrees(np.arctan(np.hypot(0.05, 0.02)))).max() < 2e-3


def test_unknown_elevations_make_their_window_unknown(rough: Array) -> None:
    elevation = rough.copy()
    elevation[10, 20] = np.nan
    elevation[20, 5] = np.nan
    expected = np.zeros(rough.shape, bool)
    expected[9:12, 19:22] = expected[19:22, 4:7] = True
    expected[[0, -1]] = expected[:, [0, -1]] = True
    factors = terrain_factors(elevation, metric_grid(*rough.shape))
    for name in TERRAIN_FACTORS:
        if name != "elevation":
            np.testing.assert_array_equal(np.isnan(factors[name]), expected, err_msg=name)


def test_level_ground_is_flat_and_a_peak_has_no_curvature() -> None:
    grid = metric_grid(3, 3)
    level = terrain_factors(np.full((3, 3), 12.3), grid)
    expected = {"slope": 0.0, "aspect": np.nan, "aspect_sin": 0.0, "aspect_cos": 0.0} | dict.fromkeys(CURVATURES, 0.0)
    for name, value in expected.items():
        np.testing.assert_equal(float(level[name][1, 1]), value)
    x, y = coordinates(grid)
    for surface in (-(x**2) - y**2, x**2 + y**2, x * y, x**2 - y**2):
        peak = terrain_factors(surface, grid)
        assert peak["slope"][1, 1] == 0.0
        assert np.isnan([peak[name][1, 1] for name in CURVATURES]).all()


@given(cut=st.integers(1, 28), name=st.sampled_from(sorted(TERRAIN_FACTORS)))
@settings(max_examples=40, deadline=None)
def test_rows_computed_apart_are_the_same_bits(cut: int, name: str) -> None:
    generator = np.random.default_rng(3)
    elevation = generator.normal(2000, 30, (29, 17)).astype(np.float32)
    elevation[13, 4] = np.nan
    grid = metric_grid(*elevation.shape)
    whole = terrain_factors(elevation, grid, [name])[name]
    padded = np.pad(elevation, ((1, 1), (0, 0)), constant_values=np.nan)
    upper, lower = factor_of_rows(name, padded[: cut + 2], grid), factor_of_rows(name, padded[cut:], grid)
    np.testing.assert_array_equal(np.vstack([upper, lower]).view(np.uint32), whole.view(np.uint32))


def save(path: Path, values: Array, grid: Grid, *, nodata: float | None = None, unit: str = "") -> Path:
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=grid.rows,
        width=grid.cols,
        count=1,
        dtype=values.dtype,
        crs=grid.crs,
        transform=grid.transform,
        nodata=nodata,
    ) as sink:
        sink.write(values, 1)
        if unit:
            sink.units = (unit,)
    return path


def test_rasters_hold_what_the_arrays_hold_across_block_seams(tmp_path: Path) -> None:
    """More rows than one block of a raster; NaN and a declared value mean no data."""
    generator = np.random.default_rng(11)
    elevation = generator.normal(1500, 20, (1040, 9)).astype(np.float32)
    elevation[511, 4] = np.nan
    grid = metric_grid(*elevation.shape)
    stored = np.where(np.arange(9)[None] + np.arange(1040)[:, None] == 700, -9999, elevation).astype(np.float32)
    elevation[stored == -9999] = np.nan
    seen: list[tuple[int, int]] = []
    paths = write_factors(
        save(tmp_path / "dem.tif", stored, grid, nodata=-9999.0),
        tmp_path / "factors",
        list(TERRAIN_FACTORS),
        progress=lambda done, total: seen.append((done, total)),
    )
    expected = terrain_factors(elevation, grid)
    assert list(paths) == list(TERRAIN_FACTORS)
    assert seen == [(done, len(TERRAIN_FACTORS)) for done in range(1, len(TERRAIN_FACTORS) + 1)]
    for name, path in paths.items():
        values, written_grid, definition = read_layer(path)
        np.testing.assert_array_equal(values.view(np.uint32), expected[name].view(np.uint32), err_msg=name)
        assert written_grid == grid
        assert (definition.unit, definition.description) == (
            TERRAIN_FACTORS[name].unit,
            TERRAIN_FACTORS[name].description,
        )
        assert definition.sign == ("convex positive" if name in CURVATURES else None)
        with rasterio.open(path) as source:
            assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert np.isnan(source.nodata)


def lonlat_dem(path: Path, step_deg: float = 1 / 3600, rows: int = 60, cols: int = 70) -> tuple[Path, Grid]:
    """A hill in degrees at 40 N, its elevation a function of metres in UTM zone 32."""
    grid = Grid(rows, cols, Affine(step_deg, 0.0, 9.3, 0.0, -step_deg, 40.0), "EPSG:4326")
    lon, lat = np.meshgrid(9.3 + (np.arange(cols) + 0.5) * step_deg, 40.0 - (np.arange(rows) + 0.5) * step_deg)
    east, north = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:32632", always_xy=True).transform(lon, lat)
    return save(path, hill(east, north).astype(np.float32), grid), grid


def hill(east: Array, north: Array) -> Array:
    return 500.0 + 0.3 * (east - 526_000) + 80.0 * np.sin((east - 526_000) / 250) * np.cos((north - 4_427_000) / 300)


def hill_slope_deg(east: Array, north: Array) -> Array:
    x, y = (east - 526_000) / 250, (north - 4_427_000) / 300
    return np.degrees(np.arctan(np.hypot(0.3 + 80 / 250 * np.cos(x) * np.cos(y), -80 / 300 * np.sin(x) * np.sin(y))))


def test_a_model_in_degrees_is_projected_when_asked_and_its_slope_is_right(tmp_path: Path) -> None:
    dem, _ = lonlat_dem(tmp_path / "dem.tif")
    paths = write_factors(dem, tmp_path / "out", ["slope", "elevation"], crs="auto")
    slope, grid, _ = read_layer(paths["slope"])
    elevation, _, _ = read_layer(paths["elevation"])
    assert grid.crs == "EPSG:32632"
    assert grid.resolution == (27.0, 27.0)  # root of 23.7 m x 30.8 m
    east = grid.transform.c + (np.arange(grid.cols) + 0.5) * grid.transform.a
    north = grid.transform.f + (np.arange(grid.rows) + 0.5) * grid.transform.e
    truth = hill_slope_deg(*np.meshgrid(east, north))
    known = np.isfinite(slope)
    assert known.mean() > 0.8
    assert np.percentile(np.abs(slope - truth)[known], 99) < 0.3
    interior = np.abs(elevation - hill(*np.meshgrid(east, north)))[4:-4, 4:-4]
    assert interior.max() < 0.05
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["elevation.tif", "slope.tif"]


def test_a_model_is_resampled_to_another_resolution_when_asked(tmp_path: Path) -> None:
    grid = metric_grid(40, 40)
    x, y = coordinates(grid)
    dem = save(tmp_path / "dem.tif", (0.4 * x + 0.1 * y + 900).astype(np.float32), grid)
    slope, coarse, _ = read_layer(
        write_factors(dem, tmp_path / "out", ["slope"], crs="auto", resolution_m=25.0)["slope"]
    )
    assert coarse.shape == (16, 16)
    np.testing.assert_allclose(inner(slope), np.degrees(np.arctan(np.hypot(0.4, 0.1))), atol=1e-3)


@pytest.mark.parametrize(
    ("crs", "transform", "said"),
    [
        ("EPSG:4326", Affine(1 / 3600, 0, -79.2, 0, -1 / 3600, -4.0), "degrees.*EPSG:32717"),
        ("EPSG:3857", Affine(10, 0, -8_800_000, 0, -10, 4_000_000), "Web Mercator"),
        ("EPSG:2263", Affine(30, 0, 980_000, 0, -30, 200_000), "not in metres"),
        ("EPSG:3395", Affine(30, 0, 1_000_000, 0, -30, 8_000_000), "off by"),
        ("EPSG:32717", Affine(10, 1, 712_000, 1, -10, 9_560_000), "rotated"),
        (None, Affine(10, 0, 712_000, 0, -10, 9_560_000), "coordinate reference system"),
    ],
)
def test_grids_that_are_not_metres_on_the_ground_are_refused(
    tmp_path: Path, rough: Array, crs: str | None, transform: Affine, said: str
) -> None:
    grid = Grid(*rough.shape, transform, crs)
    with pytest.raises(InputError, match=said):
        terrain_factors(rough, grid)
    dem = save(tmp_path / "dem.tif", rough.astype(np.float32), grid)
    with pytest.raises(InputError, match=f"dem.tif.*{said}"):
        write_factors(dem, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("stray", [-9999.0, -32768.0, 32767.0, 3.4e38])
def test_no_data_that_is_not_declared_is_not_terrain(tmp_path: Path, rough: Array, stray: float) -> None:
    elevation = rough.astype(np.float32)
    elevation[3, 4] = stray
    grid = metric_grid(*rough.shape)
    with pytest.raises(InputError, match="Declare the value that means no data"):
        terrain_factors(elevation, grid)
    dem = save(tmp_path / "dem.tif", elevation, grid)
    with pytest.raises(InputError, match=r"dem\.tif"):
        write_factors(dem, tmp_path / "out")
    write_factors(save(dem, elevation, grid, nodata=stray), tmp_path / "out", ["slope"])


def test_heights_in_feet_are_refused(tmp_path: Path, rough: Array) -> None:
    grid = metric_grid(*rough.shape)
    dem = save(tmp_path / "dem.tif", rough.astype(np.float32), grid, unit="US survey foot")
    with pytest.raises(InputError, match="heights in us survey foot"):
        write_factors(dem, tmp_path / "out")
    feet = Grid(*grid.shape, grid.transform, "EPSG:32717+8228")  # NAVD88 height (ft)
    with pytest.raises(InputError, match="heights in foot"):
        write_factors(save(tmp_path / "compound.tif", rough.astype(np.float32), feet), tmp_path / "out")
    write_factors(save(dem, rough.astype(np.float32), grid, unit="metre"), tmp_path / "out", ["slope"])


def test_options_that_cannot_be_used_are_named(tmp_path: Path, rough: Array) -> None:
    grid = metric_grid(*rough.shape)
    dem = save(tmp_path / "slope.tif", rough.astype(np.float32), grid)
    with pytest.raises(OptionError, match="Did you mean plan_curvature"):
        compute_factors(dem, tmp_path / "out", ["plan_curvatur"])
    with pytest.raises(OptionError, match="EPSG:n"):
        write_factors(dem, tmp_path / "out", crs="EPSG:nonsense")
    with pytest.raises(OptionError, match=r"metres, not Web Mercator.*EPSG:3857"):
        write_factors(dem, tmp_path / "out", crs="EPSG:3857")
    with pytest.raises(OptionError, match="resolution"):
        write_factors(dem, tmp_path / "out", crs="auto", resolution_m=-1.0)
    with pytest.raises(OptionError, match="overwritten"):
        write_factors(dem, tmp_path, ["slope"])
    with pytest.raises(MissingInputError, match=r"absent\.tif"):
        write_factors(tmp_path / "absent.tif", tmp_path / "out")
    with pytest.raises(InputError, match="29 rows x 37 columns"):
        terrain_factors(rough[1:], grid)
    assert issubclass(OptionError, InsarError)
    assert [path.name for path in tmp_path.iterdir()] == ["slope.tif"]
