"""Delays of known atmospheres, written as ERA5 files: every pixel, every naming, and a whole inversion."""

import logging
import pickle
from datetime import timedelta
from functools import cache

import h5py
import numpy as np
import pytest
from affine import Affine
from weather_files import LEVELS_HPA, Atmosphere, utc, write_era5

import insar
from insar.corrections.base import SeriesSample
from insar.corrections.chain import fit_corrections
from insar.corrections.weather import Era5Correction, hours_around
from insar.errors import InputError, MissingInputError
from insar.grid import Grid
from insar.simulate import SimulationParameters, simulate_scene, write_layout
from insar.stack import Acquisition
from insar.zenith_delay import saturation_pressure

from .scenes import DATES, make_stack

pytest.importorskip("netCDF4", reason="the extra 'weather' is not installed")

TIME_S = 5 * 3600.0 + 1200.0  # 05:20 UTC
SOME = DATES[:3]
GRID = Grid(40, 50, Affine(0.01, 0, 7.06, 0, -0.01, 45.93), "EPSG:4326")
LAT, LON = np.arange(46.25, 45.24, -0.25), np.arange(6.75, 8.01, 0.25)


def weather(hour, lat, lon):
    """Another pressure, temperature and humidity every day and hour, and from place to place."""
    days, turned = (hour - utc("2022-01-01")).total_seconds() / 86_400.0, (lon + 180.0) % 360.0 - 180.0
    return Atmosphere(
        pressure_pa=101_300.0 + 300.0 * np.sin(days) + 200.0 * (lat - 46.0),
        temperature_k=284.0 + 5.0 * np.cos(days / 3.0) + 0.5 * (turned - 7.0),
        humidity=0.006 + 0.003 * np.sin(days / 2.0) + 0.001 * (turned - 7.0),
        lat=lat,
    )


def _hours(dates=SOME, *, around=(5, 6)):
    return [utc(f"{day}T{hour:02d}:00") for day in dates for hour in around]


def _sample(dates=SOME):
    nothing = np.zeros(0, np.intp)
    return SeriesSample(dates, nothing, nothing, np.zeros((len(dates), 0)), np.zeros(0))


def _scene(grid=GRID, **changes):
    row, col = np.mgrid[: grid.rows, : grid.cols]
    geometry = {
        "height": 80.0 + 60.0 * col + 300.0 * (1.0 + np.sin(row / 6.0)),
        "incidence_angle": np.linspace(32.0, 44.0, grid.cols)[None, :] + 0.0 * row,
    }
    return make_stack(grid, acquisition=Acquisition(center_line_utc_s=TIME_S), **(geometry | changes))


def _apparent(stack, folder, dates=SOME, **options):
    field = Era5Correction(stack, folder, **options).fit(_sample(dates))
    return field.apparent_displacement(slice(0, stack.shape[0]), slice(0, stack.shape[1]))


def _expected(stack, pixels, *, time_s=TIME_S):
    """At some pixels, straight from the atmospheres: (date, pixel) metres toward the satellite."""
    height, incidence = np.asarray(stack.geometry.height), np.asarray(stack.geometry.incidence_angle)
    values = []
    for row, col in pixels:
        lat, lon = 45.93 - 0.01 * (row + 0.5), 7.06 + 0.01 * (col + 0.5)
        share = time_s / 3600.0 - 5.0
        slant = []
        for day in SOME:
            early, late = (weather(hour, lat, lon).delay(height[row, col]) for hour in _hours([day]))
            slant.append(((1 - share) * early + share * late) / np.cos(np.radians(incidence[row, col])))
        values.append([-(delay - slant[0]) for delay in slant])
    return np.array(values).T


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("era5")
    write_era5(path / "era5.nc", weather, _hours(), LAT, LON)
    return path


def test_every_pixel_has_the_slant_delay_of_its_place_height_and_time(folder):
    stack = _scene()
    apparent = _apparent(stack, folder)
    assert apparent.dtype == np.float32
    assert apparent.shape == (3, 40, 50)
    assert (apparent[0] == 0.0).all()
    pixels = [(0, 0), (39, 49), (20, 25), (7, 33), (31, 2), (11, 48)]
    expected = _expected(stack, pixels)
    found = np.array([apparent[:, row, col] for row, col in pixels]).T
    assert np.abs(expected).max() > 0.02
    np.testing.assert_allclose(found, expected, atol=3e-4)
    # More delay is a longer path: away from the satellite.
    middle = [weather(hour, 45.7, 7.3).delay(1000.0) for hour in _hours()]
    assert np.sign(middle[2] - middle[0]) == -np.sign(apparent[1, 20, 25])


def test_old_names_packing_relative_humidity_and_a_file_for_each_date_change_nothing(folder, tmp_path):
    stack = _scene()
    expected = _apparent(stack, folder)

    def percent(humidity, temperature, pressure):
        ratio = 287.0597 / 461.5250
        vapour = pressure * humidity / (ratio + (1 - ratio) * humidity)
        return 100.0 * vapour / saturation_pressure(temperature)

    for name, options, rounding in (
        ("old", {"new_names": False}, 1e-6),
        ("packed", {"new_names": False, "packed": True}, 2e-4),
        ("relative", {"relative": percent}, 1e-5),
        ("turned", {"levels_hpa": LEVELS_HPA[::-1]}, 1e-6),
    ):
        (tmp_path / name).mkdir()
        for day in SOME:
            write_era5(tmp_path / name / f"{day}.nc", weather, _hours([day]), LAT[::-1], LON, **options)
        np.testing.assert_allclose(_apparent(stack, tmp_path / name), expected, atol=rounding, err_msg=name)


@pytest.mark.parametrize("stored", ["0 to 360", "-180 to 180", "whole circle"])
def test_a_scene_across_the_meridian_of_greenwich(tmp_path, stored):
    grid = Grid(12, 60, Affine(0.01, 0, -0.3, 0, -0.01, 45.9), "EPSG:4326")
    nodes = np.arange(-0.5, 0.6, 0.25)
    lon = {"0 to 360": nodes % 360.0, "-180 to 180": nodes, "whole circle": np.arange(0.0, 360.0, 0.25)}[stored]

    @cache
    def known(hour, lat, turned):
        return weather(hour, lat, turned)

    def far_away_the_same(hour, lat, lon):
        turned = (float(lon) + 180.0) % 360.0 - 180.0
        return known(hour, float(lat), turned if abs(turned) < 1.0 else 90.0)

    write_era5(tmp_path / "era5.nc", far_away_the_same, _hours(SOME[:2]), np.array([46.0, 45.75]), lon)
    stack = _scene(grid)
    apparent = _apparent(stack, tmp_path, SOME[:2])
    assert np.isfinite(apparent).all()
    height, incidence = np.asarray(stack.geometry.height), np.asarray(stack.geometry.incidence_angle)
    for col in (2, 29, 30, 57):
        lon_deg, share = -0.3 + 0.01 * (col + 0.5), TIME_S / 3600.0 - 5.0
        delays = [weather(hour, 45.9 - 0.105, lon_deg).delay(height[10, col]) for hour in _hours(SOME[:2])]
        zenith = [(1 - share) * early + share * late for early, late in zip(delays[::2], delays[1::2], strict=True)]
        slant = np.array(zenith) / np.cos(np.radians(incidence[10, col]))
        np.testing.assert_allclose(apparent[:, 10, col], -(slant - slant[0]), atol=3e-4)


def test_windows_threads_and_pickles_have_the_same_bits(folder):
    field = Era5Correction(_scene(), folder).fit(_sample())
    whole = field.apparent_displacement(slice(0, 40), slice(0, 50))
    parts = [field.apparent_displacement(rows, slice(0, 50)) for rows in (slice(0, 1), slice(1, 17), slice(17, 40))]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)
    copy = pickle.loads(pickle.dumps(field))
    np.testing.assert_array_equal(copy.apparent_displacement(slice(3, 5), slice(4, 9)), whole[:, 3:5, 4:9])


def test_radar_coordinates_take_the_look_up_table(folder):
    stack = _scene()
    col, row = np.meshgrid(np.arange(50) + 0.5, np.arange(40) + 0.5)
    table = {"longitude": 7.06 + 0.01 * col, "latitude": 45.93 - 0.01 * row}
    table["longitude"][4, 5] = np.nan
    radar = _scene(Grid.radar(40, 50), **table)
    apparent, expected = _apparent(radar, folder), _apparent(stack, folder)
    assert np.isnan(apparent[:, 4, 5]).all()
    apparent[:, 4, 5] = expected[:, 4, 5]
    np.testing.assert_allclose(apparent, expected, atol=1e-7)


def test_one_incidence_angle_for_all_and_unknown_heights(folder):
    height = np.full(GRID.shape, 500.0)
    height[0, 0] = np.nan
    angles = np.full(GRID.shape, 38.0)
    with_plane = _apparent(_scene(height=height, incidence_angle=angles), folder)
    bare = make_stack(GRID, height=height)
    single = _apparent(bare, folder, incidence_deg=38.0, time_of_day_s=TIME_S)
    np.testing.assert_array_equal(single, with_plane)
    assert np.isnan(single[:, 0, 0]).all()
    assert np.isfinite(single[:, 0, 1:]).all()


def test_what_the_files_do_not_cover_is_unknown_and_said(tmp_path, caplog):
    write_era5(tmp_path / "small.nc", weather, _hours(), LAT, LON[:3])  # east to 7.25
    with caplog.at_level(logging.WARNING):
        field = Era5Correction(_scene(), tmp_path).fit(_sample())
    apparent = field.apparent_displacement(slice(0, 40), slice(0, 50))
    known = np.isfinite(apparent).all(axis=0)
    np.testing.assert_array_equal(known.all(axis=0), 7.06 + 0.01 * (np.arange(50) + 0.5) <= 7.25)
    assert (
        "1 of 1 files do not cover the whole scene (west south east north = 7.065 45.535 7.555 45.925)" in caplog.text
    )
    assert "small.nc has west south east north = 6.75 45.25 7.25 46.25" in caplog.text
    assert field.facts["not_covering_the_scene"] == ["small.nc"]


def test_of_two_files_with_an_hour_the_one_that_covers_more_counts(folder, tmp_path):
    write_era5(tmp_path / "a.nc", weather, _hours(), LAT, LON[:3])
    write_era5(tmp_path / "b.nc", weather, _hours(), LAT, LON)
    field = Era5Correction(_scene(), tmp_path).fit(_sample())
    assert field.facts["files"] == ["b.nc"]
    assert "not_covering_the_scene" not in field.facts
    np.testing.assert_array_equal(field.apparent_displacement(slice(0, 40), slice(0, 50)), _apparent(_scene(), folder))


def test_facts_say_what_was_read_and_how_much_delays_differ(folder):
    facts = Era5Correction(_scene(), folder).fit(_sample()).facts
    assert facts["files"] == ["era5.nc"]
    assert facts["hours"][:2] == ["2022-01-03T05:00", "2022-01-03T06:00"]
    assert facts["dates_interpolated_in_time"] == 3
    middle = np.array([[weather(hour, 45.75, 7.25).delay(at) for at in (0.0, 1850.0)] for hour in _hours()])
    steep = np.diff(middle, axis=1)[::2, 0] / 1.85
    assert facts["stratification_std_m_per_km"] == pytest.approx((steep - steep[0]).std(), rel=0.25)
    assert 0.005 < facts["zenith_delay_std_m"] < 0.05


def test_what_is_missing_is_said_in_one_message(folder, tmp_path):
    with pytest.raises(
        MissingInputError, match=r"none for 9 of 12 dates: 2022-02-08 2022-02-20 .* 2022-05-15"
    ) as caught:
        Era5Correction(_scene(), folder).check(DATES)
    assert "at 05:20 UTC" in str(caught.value)
    timeless = make_stack(GRID, height=np.ones(GRID.shape), incidence_angle=np.full(GRID.shape, 38.0))
    with pytest.raises(InputError, match=r"time of day.*--acquisition-time"):
        Era5Correction(timeless, folder).check(SOME)
    with pytest.raises(InputError, match="height of each pixel"):
        Era5Correction(make_stack(GRID, incidence_angle=np.ones(GRID.shape)), folder).check(SOME)
    with pytest.raises(InputError, match=r"incidence angle.*--incidence"):
        Era5Correction(make_stack(GRID, height=np.ones(GRID.shape)), folder).check(SOME)
    write_era5(tmp_path / "elsewhere.nc", weather, _hours(), LAT - 20.0, LON)
    with pytest.raises(InputError, match=r"files beside it; elsewhere.nc has west south east north = 6.75 25.25"):
        Era5Correction(_scene(), tmp_path).check(SOME)


@pytest.mark.parametrize("levels", [LEVELS_HPA[LEVELS_HPA >= 500.0], LEVELS_HPA[LEVELS_HPA <= 700.0]])
def test_too_few_levels_are_refused(tmp_path, levels):
    write_era5(tmp_path / "era5.nc", weather, _hours(), LAT, LON, levels_hpa=levels)
    with pytest.raises(InputError, match="pressure levels from below the ground to 300 hPa"):
        Era5Correction(_scene(), tmp_path).fit(_sample())


def test_hours_around_a_moment():
    hours = [utc(f"2020-01-01T{hour:02d}:00") for hour in (0, 1, 6, 18)]

    def at(text):
        return hours_around(utc(f"2020-01-01T{text}"), hours)

    assert at("00:15") == {hours[0]: 0.75, hours[1]: 0.25}
    assert at("01:00") == {hours[1]: 1.0}
    assert at("03:30") == {hours[1]: 0.5, hours[2]: 0.5}
    assert at("06:40") == {hours[2]: 1.0}  # the next one is twelve hours later
    assert at("12:00") == {}
    assert at("18:59") == {hours[3]: 1.0}
    assert at("19:01") == {}
    assert hours_around(hours[0] - timedelta(minutes=30), hours) == {hours[0]: 1.0}
    assert hours_around(hours[0], []) == {}


def test_an_inverted_stack_loses_the_delay_and_keeps_the_motion(tmp_path):
    """Simulated interferograms with the delay of known atmospheres: less than a two-hundredth of it is left."""
    parameters = SimulationParameters(
        rows=40, cols=40, acquisitions=8, connections=2, creeping_slopes=2, accelerating_slopes=0
    )
    scene = simulate_scene(parameters.without_disturbances(slope_length_max_m=600.0))
    write_layout(scene, tmp_path / "stack", "mintpy")
    truth = scene.on_geographic_grid()
    height = truth.stack_height_m.astype(np.float64)
    hours = _hours(truth.dates)
    lat, lon = np.array([31.5, 31.25, 31.0]), np.array([103.25, 103.5, 103.75])
    stack = insar.open_stack(tmp_path / "stack")
    slant = np.array(
        [
            (2 / 3 * weather(early, 46.0, 7.0).delay(height) + 1 / 3 * weather(late, 46.0, 7.0).delay(height))
            / np.cos(np.radians(truth.fields.incidence_deg))
            for early, late in zip(hours[::2], hours[1::2], strict=True)
        ]
    )

    def same_everywhere(hour, *_):
        return weather(hour, 46.0, 7.0)

    (tmp_path / "era5").mkdir()
    write_era5(tmp_path / "era5" / "all.nc", same_everywhere, hours, lat, lon)
    with h5py.File(tmp_path / "stack" / "inputs" / "ifgramStack.h5", "a") as file:
        phase = file["unwrapPhase"][...]
        for index, pair in enumerate(stack.pairs):
            first, second = (truth.dates.index(day) for day in (pair.reference, pair.secondary))
            phase[index] += 4 * np.pi / stack.wavelength_m * (slant[second] - slant[first])
        file["unwrapPhase"][...] = phase

    stack = insar.open_stack(tmp_path / "stack")
    series = insar.invert(stack, reference=(20, 20))
    moved = truth.displacements_m()
    moved = moved - moved[:, 20, 20][:, None, None]
    row, col = np.mgrid[0 : stack.shape[0] : 3, 0 : stack.shape[1] : 3]
    rows, cols = row.ravel(), col.ravel()
    displacement = series.displacement_m[:, rows, cols].astype(np.float64)
    sample = SeriesSample(series.dates, rows, cols, displacement, np.ones(len(rows)))
    correction = Era5Correction(stack, tmp_path / "era5", time_of_day_s=TIME_S)
    chain = fit_corrections(stack, [correction], sample, [20], [20])
    corrected = np.array(series.displacement_m, np.float32)
    chain.apply(corrected, slice(0, stack.shape[0]))
    before, after = (np.sqrt(np.nanmean((values - moved)[1:] ** 2)) for values in (series.displacement_m, corrected))
    assert before > 0.001  # over 370 m of relief
    assert after < before / 200.0
    assert chain.steps[0].facts["rms_after_m"] < chain.steps[0].facts["rms_before_m"]
