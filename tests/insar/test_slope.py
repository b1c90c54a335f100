"""Downslope motion and visibility against planes, profiles and motions that are known."""

from __future__ import annotations

import json
import math
import shutil

import numpy as np
import pyproj
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from results import write_dem, write_result
from scipy.ndimage import gaussian_filter, gaussian_filter1d

import insar.slope_results
from insar.cli.app import app, run_app
from insar.errors import InputError, MissingInputError, OptionError
from insar.grid import Grid
from insar.ground import GroundSteps, ground_steps
from insar.line_of_sight import azimuth_of_heading, line_of_sight
from insar.simulate import SimulationParameters
from insar.simulate.view import LAYOVER, SHADOW, simulate_view
from insar.slope import (
    Gradient,
    Visibility,
    classify_slopes,
    classify_visibility,
    height_gradient,
    project_on_slope,
    slope_sensitivity,
)
from insar.slope_results import SlopeOptions, add_slope_layers

METRIC = Grid(40, 50, Affine(30, 0, 4e5, 0, -30, 3.4e6), "EPSG:32648")
FROM_WEST, FROM_EAST = 90.0, -90.0
"""Azimuths anticlockwise from north of a satellite due west and due east."""


def test_line_of_sight_is_that_of_isce_and_mintpy():
    incidence, azimuth = 39.0, 102.0
    motion = np.array([0.3, -0.2, 0.1])
    inc, az = math.radians(incidence), math.radians(azimuth)
    expected = (
        -motion[0] * math.sin(inc) * math.sin(az) + motion[1] * math.sin(inc) * math.cos(az) + motion[2] * math.cos(inc)
    )
    assert float(np.dot(motion, line_of_sight(incidence, azimuth))) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(
    ("heading", "looks_left", "side"),
    [(-12.0, False, "west"), (348.0, False, "west"), (192.0, False, "east"), (-12.0, True, "east")],
)
def test_satellite_is_opposite_to_where_it_looks(heading, looks_left, side):
    sight = line_of_sight(39.0, azimuth_of_heading(heading, looks_left=looks_left))
    assert (sight.east < 0) == (side == "west")
    along_track = math.sin(math.radians(heading)) * sight.east + math.cos(math.radians(heading)) * sight.north
    assert along_track == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    "grid",
    [
        Grid(4, 5, Affine(0.001, 0, 20.0, 0, -0.001, 65.0), "EPSG:4326"),
        Grid(4, 5, Affine(0.001, 0, 179.998, 0, -0.001, -17.0), "EPSG:4326"),
        Grid(4, 5, Affine(50, 0, 3.0e5, 0, -50, 7.2e6), "EPSG:32633"),
        Grid(4, 5, Affine(50, 0, 2.2e6, 0, -50, 9.0e6), "EPSG:3857"),
        Grid(4, 5, Affine(50, 20, 1.0e6, 20, -50, -1.2e6), "EPSG:3995"),
    ],
    ids=["degrees", "date line", "utm", "web mercator", "polar, turned"],
)
def test_columns_and_rows_on_the_ground_are_geodesics(grid):
    steps = ground_steps(grid, slice(0, grid.rows))
    to_lonlat = pyproj.Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    for name, ends in (("col", ((1.5, 2.0), (1.5, 3.0))), ("row", ((1.0, 2.5), (2.0, 2.5)))):
        (lon1, lat1), (lon2, lat2) = (to_lonlat.transform(*grid.map_coordinates(*end)) for end in ends)
        azimuth, _, length = pyproj.Geod(ellps="WGS84").inv(lon1, lat1, lon2, lat2)
        east, north = (getattr(steps, f"{axis}_per_{name}")[1, 2] for axis in ("east", "north"))
        assert math.hypot(east, north) == pytest.approx(length, rel=1e-6)
        # The azimuth of a geodesic turns on its way by less than this.
        assert east == pytest.approx(length * math.sin(math.radians(azimuth)), abs=2e-4 * length)
        assert north == pytest.approx(length * math.cos(math.radians(azimuth)), abs=2e-4 * length)


@settings(max_examples=60, deadline=None)
@given(st.floats(0.0, 359.9), st.floats(1.0, 70.0), st.floats(0.0, 360.0))
def test_plane_facing_any_direction(aspect, slope, turned):
    rise = math.tan(math.radians(slope))
    east, north = -rise * math.sin(math.radians(aspect)), -rise * math.cos(math.radians(aspect))
    col, row = np.meshgrid(np.arange(7.0), np.arange(6.0))
    cosine, sine = math.cos(math.radians(turned)), math.sin(math.radians(turned))
    across, down = (20 * cosine, 20 * sine), (30 * sine, -30 * cosine)  # east and north of a column and of a row
    x, y = (across[axis] * col + down[axis] * row for axis in (0, 1))
    inner = np.ones((4, 5))
    steps = GroundSteps(*(inner * value for value in (*across, *down)))
    gradient = height_gradient(1000.0 + east * x + north * y, steps)
    np.testing.assert_allclose(gradient.east, east, atol=1e-9)
    np.testing.assert_allclose(gradient.north, north, atol=1e-9)
    np.testing.assert_allclose(gradient.slope_deg, slope, atol=1e-7)
    np.testing.assert_allclose(np.cos(np.radians(gradient.aspect_deg - aspect)), 1.0, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.floats(0.0, 359.9), st.floats(1.0, 80.0), st.floats(20.0, 50.0), st.floats(-180.0, 180.0))
def test_sensitivity_is_the_cosine_in_space(aspect, slope, incidence, azimuth):
    rise, facing = math.tan(math.radians(slope)), math.radians(aspect)
    gradient = Gradient(np.array([[-rise * math.sin(facing)]]), np.array([[-rise * math.cos(facing)]]))
    downslope = np.array(
        [
            math.cos(math.radians(slope)) * math.sin(facing),
            math.cos(math.radians(slope)) * math.cos(facing),
            -math.sin(math.radians(slope)),
        ]
    )
    sight = line_of_sight(np.array([[incidence]]), azimuth)
    expected = float(downslope @ np.array([component[0, 0] for component in sight]))
    assert slope_sensitivity(gradient, sight)[0, 0] == pytest.approx(expected, abs=1e-12)


def test_slope_facing_west_comes_nearer_to_an_ascending_pass_and_goes_from_a_descending_one():
    incidence, slope = 39.0, 25.0
    gradient = Gradient(np.array([[math.tan(math.radians(slope))]]), np.array([[0.0]]))  # rises to the east
    ascending = slope_sensitivity(gradient, line_of_sight(np.array([[incidence]]), FROM_WEST))[0, 0]
    descending = slope_sensitivity(gradient, line_of_sight(np.array([[incidence]]), FROM_EAST))[0, 0]
    assert ascending == pytest.approx(math.sin(math.radians(incidence - slope)))
    assert descending == pytest.approx(-math.sin(math.radians(incidence + slope)))


def test_flat_ground_has_no_steepest_descent():
    gradient = Gradient(np.zeros((1, 1)), np.zeros((1, 1)))
    assert np.isnan(slope_sensitivity(gradient, line_of_sight(np.array([[39.0]]), FROM_WEST))).all()
    assert np.isnan(gradient.aspect_deg).all()


def test_projection_masks_and_sigma_covers():
    sensitivity = np.array([0.5, -0.5, 0.19, -0.19, 0.8, 0.8, 0.8, np.nan, 0.5])
    slope = np.array([20.0, 20.0, 20.0, 20.0, 4.9, 20.0, 20.0, 20.0, 20.0])
    seen = np.array([1, 2, 1, 1, 1, 3, 4, 1, 0], np.uint8)
    motion = project_on_slope(np.full(9, 0.01), np.full(9, 0.002), sensitivity, slope, seen)
    np.testing.assert_allclose(motion.velocity, [0.02, -0.02, *[np.nan] * 7])
    np.testing.assert_allclose(motion.velocity_std, [0.004, 0.004, *[np.nan] * 7])
    random = np.random.default_rng(3)
    cosine = random.uniform(0.2, 1.0, 20_000) * random.choice([-1, 1], 20_000)
    sigma = random.uniform(0.001, 0.005, 20_000)
    observed = 0.04 * cosine + random.normal(0, sigma)
    motion = project_on_slope(observed, sigma, cosine, np.full(20_000, 20.0), np.ones(20_000, np.uint8))
    inside = np.abs(motion.velocity - 0.04) <= 1.96 * motion.velocity_std
    assert abs(inside.mean() - 0.95) < 0.006


@pytest.mark.parametrize(
    ("facing_sensor_deg", "expected"),
    [
        (0.0, Visibility.GOOD),
        (21.0, Visibility.GOOD),
        (23.0, Visibility.FORESHORTENING),  # tan 22.04 = tan 39 / 2
        (38.9, Visibility.FORESHORTENING),
        (39.1, Visibility.LAYOVER),
        (-50.9, Visibility.GOOD),
        (-51.1, Visibility.SHADOW),
    ],
)
@pytest.mark.parametrize("azimuth", [FROM_WEST, FROM_EAST, 102.0, -102.0])
def test_inclination_decides_what_the_radar_sees(facing_sensor_deg, expected, azimuth):
    sight = line_of_sight(np.array([[39.0]]), azimuth)
    rise = -math.tan(math.radians(facing_sensor_deg)) / math.sin(math.radians(39.0))
    gradient = Gradient(rise * sight.east, rise * sight.north)
    assert classify_slopes(gradient, np.array([[39.0]]), sight)[0, 0] == expected


@pytest.mark.parametrize("heading", [348.0, 192.0])
def test_inclination_agrees_with_the_simulator(heading):
    parameters = SimulationParameters(seed=2, rows=80, cols=90, heading_deg=heading)
    rough = gaussian_filter(np.random.default_rng(2).normal(size=(80, 90)), 3)
    height = 900 * rough / rough.std()
    seen = simulate_view(parameters, height)
    inner = slice(1, -1), slice(1, -1)
    ones = np.ones((78, 88))
    steps = GroundSteps(80 * ones, 0 * ones, 0 * ones, -80 * ones)
    incidence = seen.incidence_deg[inner]
    classes = classify_slopes(
        height_gradient(height, steps), incidence, line_of_sight(incidence, azimuth_of_heading(heading))
    )
    for kind, code in ((Visibility.LAYOVER, LAYOVER), (Visibility.SHADOW, SHADOW)):
        expected = seen.visibility[inner] == code
        assert expected.sum() > 100
        np.testing.assert_array_equal(classes == kind, expected)


def profile_classes(height, spacing_m, incidence_deg):
    """Layover and shadow of a profile seen from the low end, from sorted ranges: an independent way."""
    inc = math.radians(incidence_deg)
    fine = 10
    along = np.arange((len(height) - 1) * fine + 1) * spacing_m / fine
    filled = np.interp(along, np.arange(len(height)) * spacing_m, height)
    slant = along * math.sin(inc) - filled * math.cos(inc)
    across = filled + along / math.tan(inc)
    nearest_so_far = np.maximum.accumulate(np.concatenate([[-np.inf], slant[:-1]]))
    farthest_to_come = np.minimum.accumulate(np.concatenate([slant[1:], [np.inf]])[::-1])[::-1]
    layover = (nearest_so_far >= slant) | (farthest_to_come <= slant)
    shadow = np.maximum.accumulate(np.concatenate([[-np.inf], across[:-1]])) > across
    return layover[::fine], shadow[::fine]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("azimuth", [FROM_WEST, FROM_EAST])
def test_cast_layover_and_shadow_are_those_of_the_profile(seed, azimuth):
    random = np.random.default_rng(seed)
    margin, cols = 90, 200
    profile = gaussian_filter1d(random.normal(size=cols + 2 * margin), 6, mode="wrap")
    profile = 1000 + 250 * profile / profile.std()
    height = np.repeat(profile[None].astype(np.float32), 3 + 2 * margin, axis=0)
    grid = Grid(3, cols, Affine(30, 0, 0, 0, -30, 0), "EPSG:32648")
    ones = np.ones(grid.shape)
    steps = GroundSteps(30 * ones, 0 * ones, 0 * ones, -30 * ones)
    sight = line_of_sight(np.full(grid.shape, 39.0), azimuth)
    classes = classify_visibility(height, margin, steps, np.full(grid.shape, 39.0), sight, reach_m=30.0 * margin)
    seen = profile.astype(np.float32) if azimuth == FROM_WEST else profile[::-1].astype(np.float32)
    layover, shadow = profile_classes(seen.astype(np.float64), 30.0, 39.0)
    if azimuth == FROM_EAST:
        layover, shadow = layover[::-1], shadow[::-1]
    inner = slice(margin, margin + cols)
    expected_shadow, expected_layover = shadow[inner], layover[inner] & ~shadow[inner]
    assert expected_shadow.sum() > 5
    assert expected_layover.sum() > 20
    # Edges lie between samples: at most a pixel at each end of a stretch may differ.
    for kind, expected in ((Visibility.SHADOW, expected_shadow), (Visibility.LAYOVER, expected_layover)):
        differs = (classes[1] == kind) != expected
        ends = np.count_nonzero(np.diff(expected_shadow.astype(int))) + np.count_nonzero(
            np.diff(expected_layover.astype(int))
        )
        assert differs.sum() <= max(3, 0.25 * ends)
        assert np.array_equal(classes[0], classes[2])


def test_a_step_casts_its_closed_form_shadow_and_layover():
    margin, top = 40, 300.0
    height = np.zeros((3 + 2 * margin, 60 + 2 * margin), np.float32)
    height[:, margin + 25 : margin + 45] = top  # a block of 20 pixels on a plain
    shape = (3, 60)
    ones = np.ones(shape)
    steps = GroundSteps(30 * ones, 0 * ones, 0 * ones, -30 * ones)
    sight = line_of_sight(np.full(shape, 39.0), FROM_WEST)
    classes = classify_visibility(height, margin, steps, np.full(shape, 39.0), sight, reach_m=30.0 * margin)[1]
    # Seen from the west: 300 m tan 39 = 243 m of shadow east of the last column on top, which is 44.
    hidden = np.flatnonzero(classes == Visibility.SHADOW)
    assert hidden.min() in (44, 45)
    assert hidden.max() == 44 + math.floor(top * math.tan(math.radians(39.0)) / 30.0)
    # 300 m / tan 39 = 370 m of the plain before the wall, and as much of the top, share their ranges.
    covered = np.flatnonzero(classes == Visibility.LAYOVER)
    reach = top / math.tan(math.radians(39.0)) / 30.0
    assert covered.min() == 25 - math.floor(reach)
    assert covered.max() == 24 + math.floor(reach)


def test_compiled_and_interpreted_kernels_agree(monkeypatch):
    from insar.kernels import visibility

    height = (200 * np.random.default_rng(4).normal(size=(22, 24))).astype(np.float32)
    height[9, 9] = np.nan
    margin, shape = 6, (10, 12)
    incidence = np.full(shape, 39.0)
    incidence[0, 0] = np.nan

    def run(kernel):
        found = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
        toward = np.full(shape, -0.006), np.full(shape, -0.03)
        kernel(height, margin, margin, *toward, np.tan(np.radians(incidence)), 15.0, 300.0, *found)
        return found

    compiled = run(visibility.cast_layover_and_shadow)
    monkeypatch.setattr(visibility, "_height_at", visibility._height_at.py_func)
    interpreted = run(visibility.cast_layover_and_shadow.py_func)
    for one, two in zip(compiled, interpreted, strict=True):
        assert one.any()
        assert not one[0, 0]
        assert not one[3, 3]
        np.testing.assert_array_equal(one, two)


def test_slope_of_a_published_terrain(shared_data):
    with rasterio.open(shared_data / "ecuador" / "ta.tif") as source:
        bands = dict(zip(source.descriptions, source.read(masked=True).astype(float).filled(np.nan), strict=True))
        grid = Grid(source.height - 2, source.width - 2, source.transform, source.crs.to_string())
    found = height_gradient(bands["elev"], ground_steps(grid, slice(0, grid.rows))).slope_deg
    away = np.abs(found - bands["slope"][1:-1, 1:-1])
    assert np.isfinite(away).sum() > 150_000
    # The published slope takes a pixel as 10 m, which the projection makes 9.998 m of ground.
    assert np.nanmax(away) < 0.006


# ---------------------------------------------------------------- result folders


def known_terrain(grid):
    """Height, and its gradient per metre of true ground, of a wavy surface at the pixels of a grid."""
    col, row = np.meshgrid(np.arange(grid.cols) + 0.5, np.arange(grid.rows) + 0.5)
    x, y = grid.map_coordinates(row, col)
    lon, lat = pyproj.Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True).transform(x, y)
    east = np.radians(lon - 20.0) * 6_388_000.0 * math.cos(math.radians(60.0))
    north = np.radians(lat - 60.0) * 6_378_000.0
    length = 2500.0
    height = 800 + 250 * np.sin(east / length * 2) * np.cos(north / length * 2) + 0.15 * east
    return height.astype(np.float32)


GEOGRAPHIC = Grid(60, 70, Affine(0.0008, 0, 19.97, 0, -0.0004, 60.012), "EPSG:4326")
UTM = Grid(60, 70, Affine(40, 0, 442_500, 0, -40, 6_653_000), "EPSG:32634")


def dem_grid(crs):
    if crs == "EPSG:4326":
        return Grid(400, 500, Affine(0.0003, 0, 19.92, 0, -0.0003, 60.06), crs)
    return Grid(500, 500, Affine(20, 0, 439_000, 0, -20, 6_657_000), crs)


@pytest.mark.parametrize("grid", [GEOGRAPHIC, UTM], ids=["result in degrees", "result in metres"])
@pytest.mark.parametrize("dem_crs", ["EPSG:4326", "EPSG:32634"])
def test_downslope_motion_is_recovered_on_any_grid(grid, dem_crs, tmp_path):
    dem = write_dem(tmp_path / "dem.tif", known_terrain(dem_grid(dem_crs)), dem_grid(dem_crs))
    # The truth comes from heights on a fine grid in metres around each pixel, by geodesics.
    geod = pyproj.Geod(ellps="WGS84")
    col, row = np.meshgrid(np.arange(grid.cols) + 0.5, np.arange(grid.rows) + 0.5)
    lon, lat = pyproj.Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True).transform(
        *grid.map_coordinates(row, col)
    )

    def height_beside(azimuth):
        away = geod.fwd(lon, lat, np.full(lon.shape, azimuth), np.full(lon.shape, 30.0))
        east = np.radians(away[0] - 20.0) * 6_388_000.0 * math.cos(math.radians(60.0))
        north = np.radians(away[1] - 60.0) * 6_378_000.0
        return 800 + 250 * np.sin(east / 2500.0 * 2) * np.cos(north / 2500.0 * 2) + 0.15 * east

    gradient = Gradient(
        (height_beside(90.0) - height_beside(270.0)) / 60.0, (height_beside(0.0) - height_beside(180.0)) / 60.0
    )
    sight = line_of_sight(np.full(grid.shape, 39.0), 102.0)
    cosine = slope_sensitivity(gradient, sight)
    rate = 0.03
    result = write_result(
        tmp_path / "out",
        grid,
        {
            "velocity": (rate * cosine).astype(np.float32),
            "velocity_std": np.float32(0.001),
            "incidence_angle": np.float32(39.0),
            "azimuth_angle": np.float32(102.0),
        },
    )
    add_slope_layers(result, dem)
    found = {name: read(result, name) for name in ("slope_velocity", "slope_velocity_std", "slope_sensitivity")}
    np.testing.assert_allclose(found["slope_sensitivity"], cosine, atol=0.02)
    known = np.isfinite(found["slope_velocity"])
    assert known.mean() > 0.3
    np.testing.assert_allclose(found["slope_velocity"][known], rate, rtol=0.08)
    assert np.median(np.abs(found["slope_velocity"][known] - rate)) < 2e-4
    np.testing.assert_allclose(
        found["slope_velocity_std"][known], 0.001 / np.abs(found["slope_sensitivity"][known]), rtol=1e-5
    )
    assert (np.abs(cosine[known]) > 0.18).all()


def read(result, name):
    with rasterio.open(result / "layers" / f"{name}.tif") as source:
        return source.read(1)


@pytest.fixture
def plain_result(tmp_path):
    """A result over a plane that rises to the east by 20 degrees, and the DEM."""
    wide = Grid(140, 150, Affine(30, 0, 4e5 - 1500, 0, -30, 3.4e6 + 1500), "EPSG:32648")
    x = 30.0 * np.arange(wide.cols)[None] * math.tan(math.radians(20.0))
    dem = write_dem(tmp_path / "dem.tif", np.repeat(x, wide.rows, axis=0).astype(np.float32), wide, nodata=-9999.0)
    velocity = np.full(METRIC.shape, 0.01, np.float32)
    velocity[3, 4] = np.nan
    layers = {"velocity": velocity, "velocity_std": 0.001, "incidence_angle": 39.0, "azimuth_angle": 90.0}
    return write_result(tmp_path / "out", METRIC, layers), dem


def test_layers_are_listed_replaced_and_say_how_they_were_made(plain_result):
    result, dem = plain_result
    add_slope_layers(result, dem)
    once = read(result, "slope_velocity")
    # UTM is 0.4 per mille short here, and north of the map is not north: a plane of 20 degrees all the same.
    np.testing.assert_allclose(once[5:], 0.01 / math.sin(math.radians(19.0)), rtol=2e-3)
    assert np.isnan(once[3, 4])
    assert np.isnan(read(result, "slope_velocity_std")[3, 4])
    add_slope_layers(result, dem, SlopeOptions(min_slope_deg=25.0))
    assert np.isnan(read(result, "slope_velocity")).all()
    manifest = json.loads((result / "manifest.json").read_text())
    names = [layer["name"] for layer in manifest["layers"]]
    assert sorted(names) == sorted(set(names))
    assert {"slope_velocity", "slope_velocity_std", "slope_sensitivity", "visibility", "velocity"} <= set(names)
    facts = manifest["products"]["slope"]
    assert facts["min_slope_deg"] == 25.0
    velocity = next(layer for layer in manifest["layers"] if layer["name"] == "velocity")
    assert facts["velocity_sha256"] == velocity["sha256"]
    assert facts["pixels"]["good"] == METRIC.rows * METRIC.cols
    assert facts["pixels"]["with_velocity"] == METRIC.rows * METRIC.cols - 1
    assert facts["notes"] == []
    with rasterio.open(result / "layers" / "slope_velocity.tif") as source:
        tags = source.tags()
    assert tags["UNITS"] == "m/yr"
    assert tags["SIGN"] == "positive down the slope"
    assert tags["FIRST_DATE"] == "2023-01-04"
    assert not (result / ".slope").exists()


def test_blocks_do_not_change_a_bit(plain_result, monkeypatch, tmp_path):
    result, _ = plain_result
    random = np.random.default_rng(1)
    wide = Grid(140, 150, Affine(30, 0, 4e5 - 1500, 0, -30, 3.4e6 + 1500), "EPSG:32648")
    rough = gaussian_filter(random.normal(size=wide.shape), 4)
    dem = write_dem(tmp_path / "rough.tif", (300 * rough / rough.std()).astype(np.float32), wide)
    whole = {name: read(result, name) for name in (path.stem for path in add_slope_layers(result, dem))}
    assert len(np.unique(whole["visibility"])) == 4
    monkeypatch.setattr(insar.slope_results, "_ROWS_PER_BLOCK", 7)
    add_slope_layers(result, dem)
    for name, values in whole.items():
        np.testing.assert_array_equal(read(result, name), values)


def test_heading_stands_in_for_the_azimuth_with_a_note(plain_result, tmp_path):
    _, dem = plain_result
    bare = {"velocity": 0.01, "velocity_std": 0.001}
    result = write_result(tmp_path / "snap", METRIC, bare, acquisition={"heading_deg": 0.0})
    add_slope_layers(result, dem, SlopeOptions(incidence_deg=39.0))
    np.testing.assert_allclose(read(result, "slope_velocity"), 0.01 / math.sin(math.radians(19.0)), rtol=2e-3)
    notes = json.loads((result / "manifest.json").read_text())["products"]["slope"]["notes"]
    assert any("--incidence" in note for note in notes)
    assert any("heading" in note and "taken to look to the right" in note for note in notes)
    left = write_result(tmp_path / "left", METRIC, bare, acquisition={"heading_deg": 180.0, "antenna_side": "left"})
    add_slope_layers(left, dem, SlopeOptions(incidence_deg=39.0))
    np.testing.assert_array_equal(read(left, "slope_velocity"), read(result, "slope_velocity"))


def test_where_the_dem_knows_nothing_nothing_is_told(plain_result, tmp_path):
    result, dem = plain_result
    with rasterio.open(dem) as source:
        height, grid = source.read(1), Grid(source.height, source.width, source.transform, "EPSG:32648")
    height[:, :75] = -9999.0
    holed = write_dem(tmp_path / "holed.tif", height, grid, nodata=-9999.0)
    add_slope_layers(result, holed)
    unknown = read(result, "visibility") == 0
    assert unknown[:, :24].all()
    assert not unknown[:, 28:].any()
    for name in ("slope_velocity", "slope_velocity_std", "slope_sensitivity"):
        assert np.isnan(read(result, name)[unknown]).all()
    notes = json.loads((result / "manifest.json").read_text())["products"]["slope"]["notes"]
    assert any("no heights on 5" in note for note in notes)


def test_a_dem_that_ends_with_the_map_is_noted(plain_result):
    result, dem = plain_result
    with rasterio.open(dem) as source:
        window = rasterio.windows.Window(50, 50, METRIC.cols, METRIC.rows)
        cut = write_dem(dem.with_name("cut.tif"), source.read(1, window=window), METRIC)
    add_slope_layers(result, cut)
    notes = json.loads((result / "manifest.json").read_text())["products"]["slope"]["notes"]
    assert any("terrain beyond it casts" in note for note in notes)
    assert (read(result, "visibility")[1:-1, 1:-1] == Visibility.GOOD).all()


def test_a_result_without_sigma_has_none_down_the_slope(plain_result, tmp_path):
    _, dem = plain_result
    result = write_result(tmp_path / "plain", METRIC, {"velocity": 0.01, "incidence_angle": 39.0, "azimuth_angle": 90})
    (result / "layers" / "slope_velocity_std.tif").write_text("of an earlier result")
    assert [path.stem for path in add_slope_layers(result, dem)] == [
        "slope_velocity",
        "slope_sensitivity",
        "visibility",
    ]
    assert not (result / "layers" / "slope_velocity_std.tif").exists()


def test_bad_input_is_refused_and_the_result_left_as_it_was(plain_result, tmp_path):
    result, dem = plain_result
    before = (result / "manifest.json").read_bytes()
    with rasterio.open(dem) as source:
        height, dem_transform = source.read(1), source.transform
    far = write_dem(tmp_path / "far.tif", height, Grid(*height.shape, Affine(30, 0, 6e5, 0, -30, 1e6), "EPSG:32648"))
    nowhere = write_dem(tmp_path / "nowhere.tif", height, Grid(*height.shape, Affine(30, 0, 6e5, 0, -30, 1e6), None))
    undeclared = height.copy()
    undeclared[50:60, 60:70] = -32768
    undeclared = write_dem(tmp_path / "undeclared.tif", undeclared, Grid(*height.shape, dem_transform, "EPSG:32648"))
    (tmp_path / "text.tif").write_text("no raster")
    for path, error, words in (
        (tmp_path / "absent.tif", MissingInputError, "no such file"),
        (far, InputError, "none within"),
        (nowhere, InputError, "no CRS"),
        (undeclared, InputError, "no data value declared; found heights from -3"),
        (tmp_path / "text.tif", InputError, "not recognized"),
    ):
        with pytest.raises(error, match=words):
            add_slope_layers(result, path)
    with pytest.raises(OptionError, match="knows the angle of every pixel"):
        add_slope_layers(result, dem, SlopeOptions(incidence_deg=39.0))
    assert (result / "manifest.json").read_bytes() == before
    assert sorted(path.name for path in result.iterdir()) == ["layers", "manifest.json"]
    bare = write_result(tmp_path / "bare", METRIC, {"velocity": 0.01})
    with pytest.raises(MissingInputError, match="Give --incidence DEG"):
        add_slope_layers(bare, dem)
    with pytest.raises(MissingInputError, match="heading of the platform"):
        add_slope_layers(bare, dem, SlopeOptions(incidence_deg=39.0))
    radar = write_result(tmp_path / "radar", Grid.radar(5, 5), {"velocity": 0.01})
    with pytest.raises(InputError, match="radar coordinates"):
        add_slope_layers(radar, dem)
    unrated = write_result(tmp_path / "unrated", METRIC, {"incidence_angle": 39.0})
    with pytest.raises(MissingInputError, match="insar run"):
        add_slope_layers(unrated, dem)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--min-sensitivity", "0"), "--min-sensitivity: required a cosine above 0"),
        (("--min-slope", "95"), "--min-slope: required a slope from 0"),
    ],
)
def test_command_refuses_thresholds_with_exit_code_2(plain_result, arguments, words, capsys, monkeypatch):
    result, dem = plain_result
    assert words in command(monkeypatch, capsys, 2, "slope", result, "--dem", dem, *arguments)


def test_command_adds_the_layers(plain_result, capsys, monkeypatch, tmp_path):
    result, dem = plain_result
    assert "slope_velocity.tif" in command(monkeypatch, capsys, 0, "slope", result, "--dem", dem)
    shutil.copytree(result / "layers", tmp_path / "unfinished" / "layers")
    assert "manifest of a finished result" in command(
        monkeypatch, capsys, 2, "slope", tmp_path / "unfinished", "--dem", dem
    )


def command(monkeypatch, capsys, code, *arguments):
    monkeypatch.setattr("sys.argv", ["insar", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        run_app(app)
    printed = capsys.readouterr()
    assert (stop.value.code or 0) == code, printed.err
    return printed.err if code else printed.out
