"""East and vertical motion from two lines of sight, against motions that are known."""

from __future__ import annotations

import json
import math
from datetime import date, timedelta
from pathlib import Path

import h5py
import numpy as np
import pyproj
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from results import write_result

import insar.decompose_results
from insar.alignment import common_part, sample_between
from insar.cli.app import app, run_app
from insar.config import Settings
from insar.decompose_results import DecomposeOptions, decompose_results
from insar.decomposition import (
    TimeWeights,
    common_dates,
    decompose,
    north_leakage,
    propagate_std,
    solve_geometry,
)
from insar.errors import InputError, MissingInputError, OptionError
from insar.grid import Grid
from insar.line_of_sight import azimuth_of_heading, line_of_sight
from insar.pipeline import run_chain
from insar.writers.timeseries import read_timeseries

ASCENDING, DESCENDING = azimuth_of_heading(-12.0), azimuth_of_heading(192.0)
GRID = Grid(30, 40, Affine(100, 0, 4e5, 0, -100, 3.4e6), "EPSG:32648")
WAVELENGTH_M = 0.0554657646


@settings(max_examples=100, deadline=None)
@given(
    st.floats(20.0, 50.0),
    st.floats(20.0, 50.0),
    st.floats(-30.0, 30.0),
    st.floats(-30.0, 30.0),
    st.floats(-1.0, 1.0),
    st.floats(-1.0, 1.0),
)
def test_any_east_and_vertical_motion_comes_back(inc_first, inc_second, turn_first, turn_second, east, vertical):
    first, second = line_of_sight(inc_first, 90.0 + turn_first), line_of_sight(inc_second, -90.0 + turn_second)
    geometry = solve_geometry(first, second, max_condition=20.0)
    seen = [sight.east * east + sight.up * vertical for sight in (first, second)]
    found = decompose(geometry, *seen)
    assert float(found.east) == pytest.approx(east, abs=1e-12)
    assert float(found.vertical) == pytest.approx(vertical, abs=1e-12)
    matrix = np.array([[first.east, first.up], [second.east, second.up]], float)
    assert float(geometry.condition) == pytest.approx(np.linalg.cond(matrix), rel=1e-9)


def test_westward_motion_is_toward_an_ascending_and_away_from_a_descending_pass():
    first, second = line_of_sight(39.0, ASCENDING), line_of_sight(39.0, DESCENDING)
    geometry = solve_geometry(first, second)
    assert float(decompose(geometry, 0.01, -0.01).east) < 0
    assert float(decompose(geometry, -0.01, -0.01).vertical) < 0
    # By hand: both see sin(39) cos(12) of the motion to the east and cos(39) of the vertical.
    sensitive = math.sin(math.radians(39.0)) * math.cos(math.radians(12.0))
    assert float(decompose(geometry, 0.01, -0.01).east) == pytest.approx(-0.01 / sensitive)
    assert float(decompose(geometry, 0.01, 0.01).vertical) == pytest.approx(0.01 / math.cos(math.radians(39.0)))


def test_sigma_is_that_of_the_covariance_and_covers():
    first, second = line_of_sight(36.0, ASCENDING), line_of_sight(43.0, DESCENDING)
    geometry = solve_geometry(first, second)
    matrix = np.array([[first.east, first.up], [second.east, second.up]], float)
    inverse = np.linalg.inv(matrix)
    covariance = inverse @ np.diag([0.002**2, 0.003**2]) @ inverse.T
    found = propagate_std(geometry, 0.002, 0.003)
    assert float(found.east) == pytest.approx(math.sqrt(covariance[0, 0]))
    assert float(found.vertical) == pytest.approx(math.sqrt(covariance[1, 1]))
    random = np.random.default_rng(5)
    sigmas = random.uniform(0.001, 0.004, (2, 40_000))
    truth = np.array([0.03, -0.02])
    seen = (matrix @ truth)[:, None] + random.normal(0, sigmas)
    rates, deviations = decompose(geometry, *seen), propagate_std(geometry, *sigmas)
    for rate, deviation, true in zip(rates, deviations, truth, strict=True):
        assert abs(np.mean(np.abs(rate - true) <= 1.96 * deviation) - 0.95) < 0.005
        assert abs(np.mean(np.abs(rate - true) <= deviation) - 0.6827) < 0.01


def test_motion_to_the_north_leaks_as_told():
    first, second = line_of_sight(36.0, ASCENDING), line_of_sight(43.0, DESCENDING)
    geometry = solve_geometry(first, second)
    seen = first.north * 0.05, second.north * 0.05
    leaked = north_leakage(geometry, first, second)
    assert float(decompose(geometry, *seen).east) == pytest.approx(0.05 * float(leaked.east))
    assert float(decompose(geometry, *seen).vertical) == pytest.approx(0.05 * float(leaked.vertical))
    even = north_leakage(
        solve_geometry(line_of_sight(39.0, ASCENDING), line_of_sight(39.0, DESCENDING)),
        line_of_sight(39.0, ASCENDING),
        line_of_sight(39.0, DESCENDING),
    )
    # Mirrored passes: nothing of it reaches east, and tan(39) sin(12) of it the vertical, downward.
    assert float(even.east) == pytest.approx(0.0, abs=1e-12)
    assert float(even.vertical) == pytest.approx(-math.tan(math.radians(39.0)) * math.sin(math.radians(12.0)))


def test_two_views_from_one_side_have_no_answer():
    geometry = solve_geometry(line_of_sight(33.0, ASCENDING), line_of_sight(43.0, ASCENDING))
    assert float(geometry.condition) > 5
    assert np.isnan(decompose(geometry, 0.01, 0.01).east)
    same = solve_geometry(line_of_sight(39.0, ASCENDING), line_of_sight(39.0, ASCENDING))
    assert np.isinf(same.condition)
    assert np.isnan(same.east_first)


def days(first, step, count):
    return tuple(first + timedelta(days=step * index) for index in range(count))


def test_common_time_axis():
    first, second = days(date(2023, 1, 1), 12, 10), days(date(2023, 1, 20), 6, 30)
    dates = common_dates(first, second)
    assert dates[0] == date(2023, 1, 20)
    assert dates[-1] == first[-1]
    assert set(dates) == {day for day in (*first, *second) if date(2023, 1, 20) <= day <= first[-1]}
    values = np.random.default_rng(0).normal(size=len(first))
    weights = TimeWeights.between(first, dates)
    found = [float(weights.apply(values, target)) for target in range(len(dates))]
    expected = np.interp([day.toordinal() for day in dates], [day.toordinal() for day in first], values)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert common_dates(first, days(date(2024, 1, 1), 12, 3)) == ()


def test_a_missing_acquisition_does_not_spoil_the_date_beside_it():
    weights = TimeWeights.between(days(date(2023, 1, 1), 12, 3), (date(2023, 1, 1), date(2023, 1, 7)))
    series = np.array([1.0, np.nan, 3.0])
    assert float(weights.apply(series, 0)) == 1.0
    assert np.isnan(weights.apply(series, 1))


@pytest.mark.parametrize(
    "other",
    [
        Grid(50, 60, Affine(80, 0, 4e5 - 333, 0, -80, 3.4e6 + 222), "EPSG:32648"),
        Grid(50, 70, Affine(0.001, 0, 103.94, 0, -0.001, 30.74), "EPSG:4326"),
    ],
    ids=["shifted", "degrees"],
)
def test_a_plane_is_interpolated_exactly(other):
    col, row = np.meshgrid(np.arange(other.cols) + 0.5, np.arange(other.rows) + 0.5)
    x, y = other.map_coordinates(row, col)
    there = pyproj.Transformer.from_crs(GRID.crs, other.crs, always_xy=True)
    for rows in (slice(0, 30), slice(7, 12)):
        samples = sample_between(GRID, other, rows)
        own_col, own_row = np.meshgrid(np.arange(GRID.cols) + 0.5, np.arange(rows.start, rows.stop) + 0.5)
        own_x, own_y = there.transform(*GRID.map_coordinates(own_row, own_col))
        scale = other.resolution[0]
        values = (3 * (x - x[0, 0]) - 2 * (y - y[0, 0])) / scale
        expected = (3 * (own_x - x[0, 0]) - 2 * (own_y - y[0, 0])) / scale
        found = samples.gather(values[samples.rows])
        known = np.isfinite(found)
        assert known.any()
        # Places within a thousandth of a pixel of a centre are taken as there: at most 3e-3 + 2e-3 here.
        np.testing.assert_allclose(found[known], expected[known], atol=5e-3)
        assert np.median(np.abs(found[known] - expected[known])) < 1e-9
        inside = (own_x >= x.min()) & (own_x <= x.max()) & (own_y >= y.min()) & (own_y <= y.max())
        np.testing.assert_array_equal(known, inside)
        both = samples.gather(np.stack([values, 2 * values])[:, samples.rows])
        np.testing.assert_array_equal(both[1], 2 * found)


def test_no_data_spreads_to_what_it_is_part_of_and_no_further():
    values = np.arange(30.0 * 40.0).reshape(30, 40)
    values[10, 10] = np.nan
    same = sample_between(GRID, GRID, slice(0, 30)).gather(values)
    np.testing.assert_array_equal(same, values)
    shifted = Grid(30, 40, Affine(100, 0, 4e5 + 50, 0, -100, 3.4e6), "EPSG:32648")  # half a pixel to the east
    found = sample_between(shifted, GRID, slice(0, 30)).gather(values)
    assert np.isnan(found[10, [9, 10]]).all()
    assert np.isnan(found[:, -1]).all()
    assert np.isfinite(found).sum() == 30 * 39 - 2


def test_common_part_is_cut_out():
    other = Grid(30, 40, Affine(100, 0, 4e5 + 1000, 0, -100, 3.4e6 - 500), "EPSG:32648")
    assert common_part(GRID, other) == (slice(5, 30), slice(10, 40))
    assert common_part(GRID, Grid(5, 5, Affine(100, 0, 6e5, 0, -100, 3.4e6), "EPSG:32648")) is None


# ---------------------------------------------------------------- result folders

FIRST_DATES, SECOND_DATES = days(date(2023, 1, 4), 12, 12), days(date(2023, 1, 15), 12, 12)
DESCENDING_GRID = Grid(36, 44, Affine(100, 0, 4e5 - 230, 0, -100, 3.4e6 + 170), "EPSG:32648")
REFERENCE = {"lon": 103.9, "lat": 30.7, "row": 3, "col": 4}


def motion_at(grid):
    """East and vertical rate at the pixels of a grid: planes, which bilinear interpolation keeps."""
    col, row = np.meshgrid(np.arange(grid.cols) + 0.5, np.arange(grid.rows) + 0.5)
    x, y = grid.map_coordinates(row, col)
    return 0.02 + (x - 4e5) * 5e-6, -0.03 + (y - 3.4e6) * 4e-6


def one_pass(folder, grid, azimuth, dates, **changes):
    east, vertical = motion_at(grid)
    sight = line_of_sight(np.full(grid.shape, 39.0), azimuth)
    rate = sight.east * east + sight.up * vertical
    years = np.array([(day - dates[0]).days for day in dates]) / 365.25
    layers = {
        "velocity": rate.astype(np.float32),
        "velocity_std": np.full(grid.shape, 0.002, np.float32),
        "incidence_angle": np.full(grid.shape, 39.0, np.float32),
        "azimuth_angle": np.full(grid.shape, azimuth, np.float32),
    }
    layers.update(changes.pop("layers", {}))
    for name in changes.pop("without", ()):
        del layers[name]
    options = {
        "reference": REFERENCE,
        "dates": dates,
        "displacement": (years[:, None, None] * rate).astype(np.float32),
        **changes,
    }
    return write_result(folder, grid, layers, **options)


@pytest.fixture
def passes(tmp_path):
    return (
        one_pass(tmp_path / "asc", GRID, ASCENDING, FIRST_DATES),
        one_pass(tmp_path / "desc", DESCENDING_GRID, DESCENDING, SECOND_DATES),
    )


def read(folder, name):
    with rasterio.open(folder / "layers" / f"{name}.tif") as source:
        return source.read(1)


def test_rates_and_time_series_of_two_passes(passes, tmp_path):
    output = decompose_results(*passes, tmp_path / "out")
    east, vertical = motion_at(GRID)
    np.testing.assert_allclose(read(output, "east_velocity"), east, atol=1e-7)
    np.testing.assert_allclose(read(output, "vertical_velocity"), vertical, atol=1e-7)
    sensitive = math.sin(math.radians(39.0)) * math.cos(math.radians(12.0))
    expected_std = 0.002 / math.sqrt(2) / np.array([sensitive, math.cos(math.radians(39.0))])
    np.testing.assert_allclose(read(output, "east_velocity_std"), expected_std[0], rtol=1e-5)
    np.testing.assert_allclose(read(output, "vertical_velocity_std"), expected_std[1], rtol=1e-5)
    for component, rate in (("east", east), ("vertical", vertical)):
        series = read_timeseries(output / f"timeseries_{component}.h5")
        assert series.dates == common_dates(FIRST_DATES, SECOND_DATES)
        assert series.grid.same_as(GRID)
        years = np.array([(day - series.dates[0]).days for day in series.dates]) / 365.25
        np.testing.assert_allclose(series.displacement_m, years[:, None, None] * rate, atol=2e-7)
        assert series.attributes["COMPONENT"] == component
    manifest = json.loads((output / "manifest.json").read_text())
    assert {layer["name"]: layer["sign"] for layer in manifest["layers"]} == {
        "east_velocity": "positive to the east",
        "east_velocity_std": None,
        "vertical_velocity": "positive up",
        "vertical_velocity_std": None,
    }
    assert [Path(entry["path"]).name for entry in (manifest["inputs"]["first"], manifest["inputs"]["second"])] == [
        "asc",
        "desc",
    ]
    assert manifest["inputs"]["notes"] == []
    assert manifest["summary"]["pixels_with_both"] == GRID.rows * GRID.cols
    assert manifest["summary"]["condition_number"] == pytest.approx(math.cos(math.radians(39.0)) / sensitive, abs=1e-3)
    assert {entry["file"] for entry in manifest["files"]} == {"timeseries_east.h5", "timeseries_vertical.h5"}
    assert sorted(path.name for path in output.iterdir()) == [
        "layers",
        "manifest.json",
        "timeseries_east.h5",
        "timeseries_vertical.h5",
    ]


def test_order_of_the_passes_does_not_matter(passes, tmp_path):
    one = decompose_results(*passes, tmp_path / "one")
    two = decompose_results(*reversed(passes), tmp_path / "two")
    found, grid = read(two, "east_velocity"), read_timeseries(two / "timeseries_east.h5").grid
    east, _ = motion_at(grid)
    np.testing.assert_allclose(found, east, atol=1e-7)
    assert found.shape != read(one, "east_velocity").shape


def test_blocks_do_not_change_a_bit(passes, tmp_path, monkeypatch):
    one = decompose_results(*passes, tmp_path / "one")
    monkeypatch.setattr(insar.decompose_results, "_ROWS_PER_BLOCK", 7)
    monkeypatch.setattr(insar.decompose_results, "_BYTES_PER_BLOCK", 40_000)
    two = decompose_results(*passes, tmp_path / "two")
    for path in [*(one / "layers").iterdir(), *one.glob("*.h5")]:
        assert path.read_bytes() == (two / path.relative_to(one)).read_bytes()


def test_a_pixel_of_one_pass_alone_is_no_data(tmp_path):
    holed = {name: np.full(GRID.shape, value, np.float32) for name, value in (("velocity", 0.01), ("velocity_std", 1))}
    holed["velocity"][5, 6] = np.nan
    displacement = np.zeros((12, *GRID.shape), np.float32)
    displacement[:, 5, 6] = np.nan
    displacement[3, 8, 9] = np.nan
    first = one_pass(tmp_path / "asc", GRID, ASCENDING, FIRST_DATES, layers=holed, displacement=displacement)
    half = Grid(30, 20, GRID.transform, GRID.crs)
    second = one_pass(tmp_path / "desc", half, DESCENDING, SECOND_DATES)
    output = decompose_results(first, second, tmp_path / "out")
    for name in ("east_velocity", "east_velocity_std", "vertical_velocity", "vertical_velocity_std"):
        values = read(output, name)
        assert values.shape == (30, 20)
        assert np.isnan(values[5, 6])
        assert np.isnan(values).sum() == 1
    series = read_timeseries(output / "timeseries_vertical.h5").displacement_m
    assert np.isnan(series[:, 5, 6]).all()
    lost = np.isnan(series[:, 8, 9])
    assert 0 < lost.sum() <= 4
    assert not np.isnan(np.delete(series.reshape(len(series), -1), [5 * 20 + 6, 8 * 20 + 9], axis=1)).any()


def test_notes_say_what_a_reader_must_know(tmp_path):
    first = one_pass(tmp_path / "asc", GRID, ASCENDING, FIRST_DATES)
    coarse = Grid(10, 12, Affine(300, 0, 4e5, 0, -300, 3.4e6), "EPSG:32648")
    second = one_pass(
        tmp_path / "desc",
        coarse,
        DESCENDING,
        days(date(2023, 4, 20), 12, 12),
        reference={"lon": 103.95, "lat": 30.7},
        without=("azimuth_angle",),
        acquisition={"heading_deg": 192.0, "antenna_side": "right"},
    )
    output = decompose_results(first, second, tmp_path / "out")
    notes = " ".join(json.loads((output / "manifest.json").read_text())["inputs"]["notes"])
    for words in ("heading of 192.0", "4.79 km apart", "share 26 of 132 days", "100 m and 300 m"):
        assert words in notes
    # One pixel of 300 m reaches to within half of itself: the outermost of 100 m are cut.
    np.testing.assert_allclose(read(output, "east_velocity"), motion_at(GRID)[0][1:29, 1:35], atol=1e-6)


def test_series_that_do_not_meet_are_left_out(tmp_path, passes):
    later = one_pass(tmp_path / "later", GRID, DESCENDING, days(date(2025, 1, 1), 12, 12))
    output = decompose_results(passes[0], later, tmp_path / "out")
    left_out = json.loads((output / "manifest.json").read_text())["left_out"]
    assert {entry["reason"] for entry in left_out} == {"the two time series do not overlap in time"}
    assert not list(output.glob("*.h5"))
    unseried = one_pass(tmp_path / "unseried", GRID, DESCENDING, SECOND_DATES, displacement=None)
    output = decompose_results(passes[0], unseried, tmp_path / "out2")
    assert "has no timeseries.h5" in (output / "manifest.json").read_text()
    np.testing.assert_allclose(read(output, "east_velocity"), motion_at(GRID)[0], atol=1e-7)


def test_what_cannot_be_decomposed_is_refused_and_nothing_left(tmp_path, passes):
    first, second = passes
    same_side = one_pass(tmp_path / "same", GRID, ASCENDING, SECOND_DATES)
    far = one_pass(
        tmp_path / "far", Grid(5, 5, Affine(100, 0, 7e5, 0, -100, 3e6), "EPSG:32648"), DESCENDING, SECOND_DATES
    )
    unsure = one_pass(tmp_path / "unsure", GRID, DESCENDING, SECOND_DATES, without=("velocity_std",))
    empty = one_pass(
        tmp_path / "empty", GRID, DESCENDING, SECOND_DATES, layers={"velocity": np.full(GRID.shape, np.nan, np.float32)}
    )
    radar = one_pass(tmp_path / "radar", Grid.radar(5, 5), DESCENDING, SECOND_DATES, displacement=None)
    blind = one_pass(tmp_path / "blind", GRID, DESCENDING, SECOND_DATES, without=("incidence_angle",))
    (tmp_path / "bare").mkdir()
    for other, error, words in (
        (same_side, InputError, "nearly the same side"),
        (far, InputError, "overlaps"),
        (unsure, MissingInputError, "the layer velocity_std"),
        (empty, InputError, "pixels with a rate"),
        (radar, InputError, "radar coordinates"),
        (blind, MissingInputError, "--incidence-second"),
        (tmp_path / "bare", MissingInputError, "manifest"),
    ):
        with pytest.raises(error, match=words):
            decompose_results(first, other, tmp_path / "out")
        assert not (tmp_path / "out").exists()
    decompose_results(first, blind, tmp_path / "out", DecomposeOptions(incidence_second_deg=39.0))
    with pytest.raises(OptionError, match="add --overwrite"):
        decompose_results(first, second, tmp_path / "out")
    with pytest.raises(OptionError, match="another result of insar"):
        decompose_results(first, second, first, overwrite=True)
    decompose_results(first, second, tmp_path / "out", overwrite=True)
    with pytest.raises(OptionError, match="--max-condition"):
        DecomposeOptions(max_condition=0.5)


def test_command(tmp_path, passes, capsys, monkeypatch):
    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["insar", "decompose", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            run_app(app)
        printed = capsys.readouterr()
        return stop.value.code or 0, printed.out, printed.err

    code, out, _ = call(*passes, "-o", tmp_path / "out")
    assert (code, out.strip()) == (0, str(tmp_path / "out"))
    code, _, err = call(passes[0], passes[0], "-o", tmp_path / "twice")
    assert code == 2
    assert "required lines of sight with a condition number of at most 5; found inf" in err
    assert "Give one ascending and one descending result." in err


# ---------------------------------------------------------------- through the whole chain


def write_pass(folder, *, heading, first_day, seed):
    """A stack of one pass over ground that rises and moves east, each date with noise of its own."""
    random = np.random.default_rng(seed)
    folder.mkdir()
    rows, cols = 30, 40
    dates = days(first_day, 12, 20)
    pairs = [(one, two) for at, one in enumerate(dates) for two in dates[at + 1 : at + 4]]
    # The reference is stable: what it did itself would be missing along two lines of sight that vary over the scene.
    east, vertical = (rate - rate[3, 4] for rate in motion_at(Grid(rows, cols, GRID.transform, GRID.crs)))
    incidence = np.broadcast_to(np.linspace(36.0, 42.0, cols), (rows, cols)).astype(np.float32)
    azimuth = azimuth_of_heading(heading)
    sight = line_of_sight(incidence, azimuth)
    rate = sight.east * east + sight.up * vertical
    years = np.array([(day - dates[0]).days for day in dates]) / 365.25
    noise = random.normal(0, 0.003, (20, rows, cols))
    noise[:, 3, 4] = 0.0
    displacement = years[:, None, None] * rate + noise
    position = {day: at for at, day in enumerate(dates)}
    phase = np.array([displacement[position[two]] - displacement[position[one]] for one, two in pairs])
    phase *= -4 * np.pi / WAVELENGTH_M
    with h5py.File(folder / "ifgramStack.h5", "w") as sink:
        facts = {
            "FILE_TYPE": "ifgramStack",
            "LENGTH": rows,
            "WIDTH": cols,
            "WAVELENGTH": WAVELENGTH_M,
            "X_FIRST": 400000,
            "Y_FIRST": 3400000,
            "X_STEP": 100,
            "Y_STEP": -100,
            "X_UNIT": "meters",
            "Y_UNIT": "meters",
            "EPSG": 32648,
            "HEADING": heading,
            "ORBIT_DIRECTION": "ASCENDING" if abs(heading) < 90 else "DESCENDING",
        }
        sink.attrs.update({name: str(value) for name, value in facts.items()})
        sink["date"] = np.array([[f"{day:%Y%m%d}".encode() for day in pair] for pair in pairs], dtype="S8")
        sink["bperp"] = np.zeros(len(pairs), np.float32)
        sink["dropIfgram"] = np.ones(len(pairs), bool)
        phase[:, 3, 4] = 1e-6  # exactly 0 would read as no data
        sink["unwrapPhase"] = phase.astype(np.float32)
        sink["coherence"] = np.full(phase.shape, 0.8, np.float32)
    with h5py.File(folder / "geometryGeo.h5", "w") as sink:
        sink["incidenceAngle"] = incidence
        sink["azimuthAngle"] = np.full((rows, cols), azimuth, np.float32)
        sink["height"] = np.full((rows, cols), 100.0, np.float32)
    return folder / "ifgramStack.h5", (east, vertical)


def test_from_two_stacks_to_east_and_vertical_within_the_stated_sigma(tmp_path):
    results = []
    for name, heading, first_day in (("asc", -12.0, date(2023, 1, 4)), ("desc", -168.0, date(2023, 1, 9))):
        stack, truth = write_pass(tmp_path / f"{name}_stack", heading=heading, first_day=first_day, seed=len(name))
        results.append(run_chain(Settings(stack=stack, reference_rowcol=(3, 4)), tmp_path / name))
    assert (results[0] / "layers" / "azimuth_angle.tif").exists()
    output = decompose_results(*results, tmp_path / "out")
    for component, true in zip(("east", "vertical"), truth, strict=True):
        rate, deviation = read(output, f"{component}_velocity"), read(output, f"{component}_velocity_std")
        away = np.abs(rate - true) / np.where(deviation > 0, deviation, np.nan)
        known = np.isfinite(away)
        assert known.sum() == 1199  # all but the reference point
        assert abs(np.mean(away[known] <= 2.0) - 0.945) < 0.03
        assert abs(np.mean((rate - true)[known])) < 3 * np.mean(deviation[known]) / math.sqrt(known.sum())
