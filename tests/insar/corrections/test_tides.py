"""Solid earth tides: the published test cases of the IERS, another program's numbers, and the field over a scene."""

import pickle
from datetime import date, datetime, timedelta

import numpy as np
import pytest
from affine import Affine

import insar
from insar.corrections.base import SeriesSample
from insar.corrections.scene import acquisition_moments, parse_time_of_day, scene_box
from insar.corrections.tides import TideCorrection
from insar.errors import InputError, OptionError
from insar.grid import Grid
from insar.line_of_sight import azimuth_of_heading
from insar.simulate import SimulationParameters, simulate_scene, write_layout
from insar.solid_tides import (
    MASS_OF_MOON,
    MASS_OF_SUN,
    body_tide,
    diurnal_correction,
    long_period_correction,
    tide_displacement,
)
from insar.stack import Acquisition

from .scenes import make_stack

erfa = pytest.importorskip("erfa", reason="the extra 'weather' is not installed")

DATES = tuple(date(2019, 12, 20) + timedelta(days=12 * index) for index in range(8))
SENTINEL = Acquisition(heading_deg=-12.5, antenna_side="right", center_line_utc_s=45_000.0)

# Published with the IERS routine DEHANTTIDEINEL: station, Sun, Moon, UTC, TAI - UTC and displacement, metres.
IERS_CASES = [
    (
        (4075578.385, 931852.890, 4801570.154),
        (137859926952.015, 54228127881.4350, 23509422341.6960),
        (-179996231.920342, -312468450.131567, -169288918.592160),
        ("2009-04-13", 34),
        (0.07700420357108125891, 0.06304056321824967613, 0.05516568152597246810),
    ),
    (
        (1112189.660, -4842955.026, 3985352.284),
        (-54537460436.2357, 130244288385.279, 56463429031.5996),
        (300396716.912, 243238281.451, 120548075.939),
        ("2012-07-13", 35),
        (-0.02036831479592075833, 0.05658254776225972449, -0.07597679676871742227),
    ),
    (
        (1112200.5696, -4842957.8511, 3985345.9122),
        (100210282451.6279, 103055630398.3160, 56855096480.4475),
        (369817604.4348, 1897917.5258, 120804980.8284),
        ("2015-07-15", 36),
        (0.00509570869172363845, 0.0828663025983528700, -0.0636634925404189617),
    ),
]

# PySolid 0.3.4 (solid.for of D. Milbert), run beside us: latitude, longitude, UTC; east, north, up in metres. Its
# ephemerides are shorter series, good to about a minute of arc.
PYSOLID_CASES = [
    (-41.925660, 15.922521, "2011-02-20T18:35:00", 0.001872, 0.001623, -0.169934),
    (16.627206, 45.259309, "2004-06-10T13:22:00", 0.024730, -0.006504, 0.076147),
    (-77.893121, 121.488870, "2008-09-15T00:56:00", 0.011193, 0.011725, -0.150967),
    (-42.507046, 178.432141, "2013-05-06T19:15:00", 0.026790, 0.028245, -0.073488),
    (53.833832, -8.512845, "2017-01-22T05:34:00", -0.006272, -0.014091, -0.098368),
    (-55.901372, 48.549837, "2022-02-05T04:16:00", -0.005679, 0.012056, -0.118658),
    (3.708994, 86.850668, "2017-10-09T03:02:00", 0.019445, -0.003840, -0.101802),
    (-69.754970, 92.962889, "2016-01-02T18:44:00", 0.011128, -0.002211, -0.134422),
    (-31.797174, -168.835769, "2022-01-15T22:39:00", -0.006721, 0.014597, 0.254768),
    (-4.360146, 78.776613, "2022-05-02T16:48:00", 0.051663, -0.023266, 0.078952),
    (34.260717, 151.595520, "2011-09-09T17:28:00", -0.011778, -0.005420, -0.128225),
    (48.145403, -19.936420, "2023-08-01T21:46:00", 0.008334, -0.004727, -0.166003),
    (60.618666, -144.916448, "2005-12-28T13:51:00", -0.046072, 0.006235, -0.095191),
    (-45.282089, 167.572850, "2012-08-05T18:41:00", -0.037855, 0.019096, -0.072183),
    (20.263727, -71.630569, "2014-02-27T22:49:00", 0.035084, 0.003532, -0.142907),
    (-18.261399, -53.672224, "2015-11-15T08:42:00", -0.033005, 0.030785, -0.025933),
    (13.480287, 145.512638, "2018-01-02T01:37:00", 0.022397, -0.072413, 0.188794),
    (68.631296, 128.304204, "2024-10-20T02:20:00", -0.011616, 0.006718, -0.157864),
    (27.403767, -121.284136, "2021-12-07T15:40:00", -0.040387, 0.007054, -0.063059),
    (74.341272, 145.690554, "2015-07-10T01:31:00", -0.020637, -0.029869, -0.090768),
    (34.210723, -103.995006, "2021-04-18T09:15:00", 0.002578, -0.036464, -0.051852),
    (11.765176, -77.415314, "2004-05-24T22:29:00", -0.023050, 0.019604, 0.124865),
    (56.630798, 176.330165, "2004-12-12T06:53:00", 0.062352, 0.010491, -0.075473),
    (48.095251, -32.233742, "2006-04-26T11:24:00", 0.048479, -0.056334, 0.085922),
]


@pytest.mark.parametrize(("station", "sun", "moon", "when", "expected"), IERS_CASES)
def test_the_published_cases_of_the_iers_come_out_to_rounding(station, sun, moon, when, expected):
    day, leap_seconds = when
    station = np.array(station)
    days = (date.fromisoformat(day) - date(2000, 1, 1)).days - 0.5
    centuries = (days + (leap_seconds + 32.184) / 86_400) / 36_525
    tide = body_tide(station, np.array(sun), MASS_OF_SUN) + body_tide(station, np.array(moon), MASS_OF_MOON)
    tide = tide + diurnal_correction(station, centuries, 0.0) + long_period_correction(station, centuries)
    np.testing.assert_allclose(tide, expected, rtol=0, atol=1e-14)


def test_step_two_equals_the_published_values_of_its_routines():
    station, centuries = np.array(IERS_CASES[0][0]), 0.1059411362080767
    np.testing.assert_allclose(
        diurnal_correction(station, centuries, 0.0),
        (0.4193085327321284701e-2, 0.1456681241014607395e-2, 0.5123366597450316508e-2),
        atol=1e-16,
    )
    np.testing.assert_allclose(
        long_period_correction(station, centuries),
        (-0.9780962849562107762e-04, -0.2236349699932734273e-04, 0.3561945821351565926e-03),
        atol=1e-17,
    )


def test_displacement_at_any_time_agrees_with_another_program():
    differences = []
    for lat, lon, moment, *expected in PYSOLID_CASES:
        local = _local(lat, lon)
        tide = tide_displacement(_station(lat, lon)[None], [datetime.fromisoformat(moment)])[0, 0]
        differences.append(local @ tide - expected)
    differences = np.abs(differences)
    assert differences.max() < 0.0005
    assert np.sqrt(np.mean(np.square(differences))) < 0.00015


def test_the_frame_turns_with_the_earth():
    # New moon of 2021-03-13, 10:21 UTC: both bulges point the same way, and follow days of 24.0 and 24.8 hours.
    start = datetime(2021, 3, 12, 22, 21)  # noqa: DTZ001
    stations = np.stack([_station(0.0, lon) for lon in range(0, 360, 10)])
    tides = tide_displacement(stations, [start + timedelta(hours=hours) for hours in range(25)])
    radial = np.einsum("tsi,si->ts", tides, stations / np.linalg.norm(stations, axis=1, keepdims=True))
    semidiurnal = np.fft.rfft(radial, axis=1)[:, 2]
    turned = np.unwrap(np.angle(semidiurnal))
    hours_for_a_turn = 24 * 2 * np.pi / abs(turned[-1] - turned[0]) * 2
    assert 24.4 < hours_for_a_turn < 24.8
    assert turned[-1] > turned[0]  # the bulges go west
    # At the moment itself the ground is highest below both, to the lag of a degree that friction makes.
    highest = -turned[12] / 2.0
    assert np.degrees(highest) % 180.0 == pytest.approx(15.0 * (12.0 - 10.35), abs=4.0)


def test_out_of_phase_and_step_two_matter():
    """Measured: 16 mm of step two at worst, of which a scene of 250 km sees a millimetre."""
    centuries = np.linspace(0.15, 0.25, 4001)[:, None]
    lat = np.arange(-85.0, 86.0, 10.0)
    stations = np.stack([_station(value, 0.0) for value in lat])
    size = np.linalg.norm(diurnal_correction(stations, centuries, 0.0), axis=-1)
    assert 0.014 < size.max() < 0.016
    near = np.stack([_station(5.0, 0.0), _station(7.25, 0.0)])
    apart = np.diff(diurnal_correction(near, centuries, 0.0), axis=1)
    assert 0.0005 < np.linalg.norm(apart, axis=-1).max() < 0.0015


@pytest.mark.parametrize(
    "grid",
    [
        Grid(40, 50, Affine(0.05, 0, 11.0, 0, -0.05, 47.0), "EPSG:4326"),
        Grid(40, 50, Affine(0.05, 0, 179.0, 0, -0.05, 1.0), "EPSG:4326"),
        Grid(40, 50, Affine(5000.0, 0, 400_000.0, 0, -5000.0, 8_900_000.0), "EPSG:32633"),
    ],
    ids=["alps", "antimeridian", "arctic"],
)
def test_interpolated_field_equals_the_tide_at_every_pixel(grid):
    incidence = np.linspace(30.0, 45.0, grid.cols)[None, :] + np.zeros(grid.shape)
    azimuth = np.linspace(95.0, 105.0, grid.rows)[:, None] + np.zeros(grid.shape)
    stack = make_stack(grid, acquisition=SENTINEL, incidence_angle=incidence, azimuth_angle=azimuth)
    field = TideCorrection(stack).fit(_sample())
    apparent = field.apparent_displacement(slice(0, grid.rows), slice(0, grid.cols))
    lon, lat = _pixel_places(grid)
    moments = acquisition_moments(stack, DATES, None)
    tide = tide_displacement(np.stack([_station(*at) for at in zip(lat.ravel(), lon.ravel(), strict=True)], 0), moments)
    expected = np.empty(apparent.shape)
    for pixel, (row, col) in enumerate(np.ndindex(grid.shape)):
        inc, az = np.radians(incidence[row, col]), np.radians(azimuth[row, col])
        toward = (-np.sin(inc) * np.sin(az), np.sin(inc) * np.cos(az), np.cos(inc))
        expected[:, row, col] = (tide[:, pixel] - tide[0, pixel]) @ (
            np.array(toward) @ _local(lat[row, col], lon[row, col])
        )
    assert np.abs(apparent).max() > 0.02
    np.testing.assert_allclose(apparent, expected, atol=2e-5)  # 0.02 mm
    window = field.apparent_displacement(slice(7, 9), slice(30, 50))
    np.testing.assert_array_equal(window, apparent[:, 7:9, 30:50])
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(field)).apparent_displacement(slice(0, 1), slice(0, 3)), apparent[:, :1, :3]
    )


def test_azimuth_comes_from_the_heading_where_the_stack_has_none():
    grid = Grid(6, 5, Affine(0.02, 0, 100.0, 0, -0.02, 30.0), "EPSG:4326")
    incidence = np.full(grid.shape, 38.0)
    azimuth = np.full(grid.shape, azimuth_of_heading(-12.5))
    with_plane = make_stack(grid, acquisition=SENTINEL, incidence_angle=incidence, azimuth_angle=azimuth)
    fields = [
        TideCorrection(stack, incidence_deg=single).fit(_sample()).apparent_displacement(slice(0, 6), slice(0, 5))
        for stack, single in (
            (with_plane, None),
            (make_stack(grid, acquisition=SENTINEL, incidence_angle=incidence), None),
            (make_stack(grid, acquisition=SENTINEL), 38.0),
        )
    ]
    np.testing.assert_allclose(fields[0], fields[1], atol=1e-9)
    np.testing.assert_allclose(fields[0], fields[2], atol=1e-9)
    left = Acquisition(heading_deg=-12.5, antenna_side="left", center_line_utc_s=45_000.0)
    other = TideCorrection(make_stack(grid, acquisition=left, incidence_angle=incidence)).fit(_sample())
    assert np.abs(other.apparent_displacement(slice(0, 6), slice(0, 5)) - fields[0]).max() > 0.01


def test_radar_coordinates_and_unknown_pixels():
    grid = Grid.radar(5, 4)
    lat = np.linspace(10.0, 10.4, 20).reshape(5, 4)
    lon = np.linspace(-70.0, -69.5, 20).reshape(5, 4)
    lat[2, 1] = lon[2, 1] = 0.0
    incidence = np.full((5, 4), 40.0)
    incidence[3, 3] = np.nan
    stack = make_stack(grid, acquisition=SENTINEL, latitude=lat, longitude=lon, incidence_angle=incidence)
    box = scene_box(stack)
    assert (box.south, box.north) == (10.0, 10.4)
    apparent = TideCorrection(stack).fit(_sample()).apparent_displacement(slice(0, 5), slice(0, 4))
    unknown = np.isnan(apparent).all(axis=0)
    assert unknown[2, 1]
    assert unknown[3, 3]
    assert np.isfinite(apparent[:, ~unknown]).all()
    assert unknown.sum() == 2
    assert (apparent[0][~unknown] == 0.0).all()


def test_stacks_of_all_processors_see_the_same_tide(tmp_path):
    """Angles, headings and times of day of five formats, on maps and in radar coordinates: within 0.1 mm."""
    parameters = SimulationParameters(rows=32, cols=32, acquisitions=4, connections=1, creeping_slopes=0)
    scene = simulate_scene(parameters.without_disturbances(accelerating_slopes=0))
    medians = []
    for layout in ("isce-tops", "snap", "hyp3", "licsar", "mintpy"):
        write_layout(scene, tmp_path / layout, layout)
        stack = insar.open_stack(tmp_path / layout)
        apparent = TideCorrection(stack).fit(_sample(stack.dates)).apparent_displacement(slice(0, 99), slice(0, 99))
        assert np.isfinite(apparent).all()
        medians.append(np.median(apparent, axis=(1, 2)))
    assert np.abs(medians).max() > 0.05
    np.testing.assert_allclose(medians, np.broadcast_to(medians[-1], (5, 4)), atol=1e-4)


def test_facts_say_how_large_the_tide_is():
    grid = Grid(10, 10, Affine(0.2, 0, 11.0, 0, -0.2, 47.0), "EPSG:4326")
    stack = make_stack(grid, acquisition=SENTINEL, incidence_angle=np.full(grid.shape, 40.0))
    facts = TideCorrection(stack).fit(_sample()).facts
    assert facts["acquisition_time_utc"] == "12:30:00"
    assert 0.02 < facts["largest_change_m"] < 0.6
    assert 0.001 < facts["largest_difference_across_scene_m"] < 0.1


def test_what_is_not_known_is_said():
    grid = Grid(4, 4, Affine(0.02, 0, 100.0, 0, -0.02, 30.0), "EPSG:4326")
    incidence = np.full(grid.shape, 38.0)
    timeless = make_stack(grid, acquisition=Acquisition(heading_deg=10.0), incidence_angle=incidence)
    with pytest.raises(InputError, match=r"time of day.*--acquisition-time"):
        TideCorrection(timeless).fit(_sample())
    given = TideCorrection(timeless, time_of_day_s=45_000.0)
    given.check(DATES)
    assert given.fit(_sample()).facts["acquisition_time_utc"] == "12:30:00"
    with pytest.raises(InputError, match="azimuth angle of each pixel, or the heading"):
        TideCorrection(make_stack(grid, incidence_angle=incidence), 0.0).check(DATES)
    with pytest.raises(InputError, match=r"incidence angle.*--incidence"):
        TideCorrection(make_stack(grid, acquisition=SENTINEL)).check(DATES)
    lost = make_stack(Grid.radar(4, 4), acquisition=SENTINEL, incidence_angle=incidence)
    with pytest.raises(InputError, match="look-up table"):
        TideCorrection(lost).check(DATES)


def test_without_the_extra_the_message_says_how_to_install_it(monkeypatch):
    import importlib

    def absent(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr("insar.extras.import_module", absent)
    assert importlib.import_module is not absent
    grid = Grid(4, 4, Affine(0.02, 0, 100.0, 0, -0.02, 30.0), "EPSG:4326")
    stack = make_stack(grid, acquisition=SENTINEL, incidence_angle=np.full(grid.shape, 38.0))
    with pytest.raises(OptionError, match=r"erfa.*pip install 'scarp\[weather\]'"):
        TideCorrection(stack).check(DATES)


@pytest.mark.parametrize(("text", "seconds"), [("06:32", 23_520.0), ("6:32:54.5", 23_574.5), ("00:00", 0.0)])
def test_times_of_day(text, seconds):
    assert parse_time_of_day(text) == seconds


@pytest.mark.parametrize("text", ["24:00", "12:60", "noon", "", "0632", "12:00:60"])
def test_what_is_no_time_of_day_is_refused(text):
    with pytest.raises(OptionError, match="--acquisition-time"):
        parse_time_of_day(text)


def _sample(dates=DATES):
    nothing = np.zeros(0, np.intp)
    return SeriesSample(dates, nothing, nothing, np.zeros((len(dates), 0)), np.zeros(0))


def _station(lat, lon):
    """On the WGS 84 ellipsoid, by pyproj."""
    import pyproj

    to_geocentric = pyproj.Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
    return np.array(to_geocentric.transform(lon, lat, 0.0))


def _local(lat, lon):
    """Rows east, north, up."""
    lat, lon = np.radians([lat, lon])
    return np.array(
        [
            [-np.sin(lon), np.cos(lon), 0.0],
            [-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)],
            [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)],
        ]
    )


def _pixel_places(grid):
    import pyproj

    col, row = np.meshgrid(np.arange(grid.cols) + 0.5, np.arange(grid.rows) + 0.5)
    x, y = grid.map_coordinates(row, col)
    return pyproj.Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True).transform(x, y)
