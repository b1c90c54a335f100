"""Height errors of the DEM: recovered from simulated stacks of every layout, with the sign each processor has."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

import insar
from insar.dem_error import date_baselines, dem_error_design, view_geometry
from insar.errors import InputError, OptionError
from insar.rates import RateFitter
from insar.simulate import SimulationParameters, simulate_scene, write_layout
from insar.simulate.view import slant_range_m
from insar.stack import Geometry
from insar.timefunctions import parse_model

LAYOUTS = {"isce-tops": -1, "isce-stripmap": 1, "snap": 1, "hyp3": 1, "licsar": 1, "mintpy": -1}
DATES = tuple(date(2020, 1, 3) + timedelta(days=12 * index) for index in range(25))
EVERYTHING = slice(None), slice(None)


@pytest.fixture(scope="module")
def scene():
    parameters = SimulationParameters(
        seed=11, rows=48, cols=56, acquisitions=14, creeping_slopes=2, accelerating_slopes=0, seasonal_amplitude_m=0.0
    )
    return simulate_scene(parameters.without_disturbances(dem_error_rms_m=8.0))


@pytest.fixture(scope="module", params=LAYOUTS)
def opened(request, scene, tmp_path_factory):
    folder = write_layout(scene, tmp_path_factory.mktemp("dem_error") / "stack", request.param)
    return request.param, insar.open_stack(folder), np.load(folder / "truth" / "stack.npz")


@pytest.fixture
def stack(scene, tmp_path):
    return insar.open_stack(write_layout(scene, tmp_path / "stack", "mintpy"))


def test_every_layout_gives_the_same_height_errors(opened, scene):
    layout, stack, truth = opened
    assert stack.acquisition.baseline_sense == LAYOUTS[layout]
    np.testing.assert_allclose(date_baselines(stack), scene.perpendicular_baselines_m, atol=0.01)
    if not layout.startswith("isce") and layout != "mintpy":
        assert stack.acquisition.incidence_angle_deg == pytest.approx(39.0, abs=0.1)
    series = insar.invert(stack)
    before = series.displacement_m.copy()
    rate = insar.fit_velocity(series, dem_error=True)
    np.testing.assert_array_equal(series.displacement_m, before)
    expected = truth["dem_error"] - truth["dem_error"][series.reference]
    known = np.isfinite(rate.dem_error)
    assert known.mean() > 0.9
    # The reference's own view differs from a pixel's: its height error is subtracted as seen there. 0.5 % of 8 m.
    np.testing.assert_allclose(rate.dem_error[known], expected[known], atol=0.15)
    assert np.corrcoef(rate.dem_error[known], expected[known])[0, 1] > 0.9999
    expected_rate = truth["linear_rate"] - truth["linear_rate"][series.reference]
    np.testing.assert_allclose(rate.velocity[known], expected_rate[known], atol=1e-5)


def test_the_series_is_corrected_in_place(scene):
    baselines = scene.perpendicular_baselines_m
    truth = scene.displacements_m().astype(np.float64)
    metres = slant_range_m(scene.fields.incidence_deg) * np.sin(np.radians(scene.fields.incidence_deg))
    series = truth - baselines[:, None, None] * scene.fields.dem_error_m / metres
    fitter = pickle.loads(pickle.dumps(RateFitter(scene.dates, baselines_m=baselines, recent_days=100)))
    rate = fitter.fit(series, range_times_sine_m=metres)
    np.testing.assert_allclose(series, truth, atol=1e-9)
    np.testing.assert_allclose(rate.dem_error, scene.fields.dem_error_m, atol=1e-4)
    assert "dem_error" not in fitter.left_out
    # What is said of the last dates is said of the corrected series.
    plain = RateFitter(scene.dates, recent_days=100).fit(truth)
    np.testing.assert_allclose(rate.velocity_recent, plain.velocity_recent, atol=1e-7)
    assert "dem_error" in RateFitter(scene.dates).left_out


def test_deviations_are_those_of_the_joint_fit():
    random = np.random.default_rng(1)
    baselines = np.concatenate([[0.0], random.normal(0, 60, len(DATES) - 1)])
    noise = random.normal(0, 0.004, (len(DATES), 20_000))
    rate = RateFitter(DATES, baselines_m=baselines).fit(noise, range_times_sine_m=5e5)
    for value, deviation in ((rate.velocity, rate.velocity_std), (rate.dem_error, rate.dem_error_std)):
        assert np.std(value) == pytest.approx(np.sqrt(np.mean(deviation.astype(float) ** 2)), rel=0.02)
        # Student's distribution with 22 degrees of freedom holds 94.2 % within two deviations.
        assert np.mean(np.abs(value) <= 2 * deviation) == pytest.approx(0.942, abs=0.005)


def test_unknown_views_leave_the_correction_alone():
    baselines = np.linspace(0, 1, len(DATES)) ** 2 * 100
    series = np.outer(-baselines, np.full(2, 4.0) / 5e5)
    rate = RateFitter(DATES, baselines_m=baselines).fit(series, range_times_sine_m=np.array([5e5, np.nan]))
    assert rate.dem_error[0] == pytest.approx(4.0, abs=1e-6)
    assert np.isnan(rate.dem_error[1])
    np.testing.assert_allclose(series, 0.0, atol=1e-12)


def test_range_from_incidence_and_incidence_from_range(stack):
    view = view_geometry(stack)
    incidence = np.asarray(stack.geometry.incidence_angle).astype(np.float64)
    expected = slant_range_m(incidence) * np.sin(np.radians(incidence))
    np.testing.assert_allclose(view.range_times_sine_m(*EVERYTHING, stack.shape), expected, rtol=1e-6)
    window = slice(3, 9), slice(4, 30)
    np.testing.assert_allclose(view.range_times_sine_m(*window, stack.shape), expected[window], rtol=1e-6)
    assert view.facts["slant_range"].startswith("from the incidence angle")
    bare = view_geometry(replace(stack, geometry=Geometry()))
    angle = math.degrees(math.asin(bare.range_times_sine_m(*window, stack.shape)[0, 0] / bare.starting_range_m))
    assert slant_range_m(angle) == pytest.approx(stack.acquisition.starting_range_m, rel=1e-9)
    middle = view_geometry(
        replace(stack, geometry=Geometry(), acquisition=replace(stack.acquisition, incidence_angle_deg=39.0))
    )
    assert middle.facts["incidence_angle"] == "of the middle of the scene"
    assert middle.range_times_sine_m(*window, stack.shape).shape == (6, 26)
    assert middle.range_times_sine_m(*window, stack.shape)[2, 3] == pytest.approx(
        slant_range_m(39.0) * math.sin(math.radians(39.0)), rel=1e-9
    )
    radar = replace(view, platform_height_m=None, range_step_m=20.0)
    np.testing.assert_allclose(
        radar.range_times_sine_m(*window, stack.shape),
        (stack.acquisition.starting_range_m + 20.0 * np.arange(4, 30)) * np.sin(np.radians(incidence[window])),
    )


@pytest.mark.parametrize(
    ("keep_geometry", "unknown", "word"),
    [
        (False, ("platform_height_m",), "incidence angle"),
        (True, ("earth_radius_m", "starting_range_m"), "slant range"),
        (False, ("starting_range_m",), "slant range"),
    ],
)
def test_a_view_that_is_not_known(stack, keep_geometry, unknown, word):
    geometry = stack.geometry if keep_geometry else Geometry()
    acquisition = replace(stack.acquisition, **dict.fromkeys(unknown))
    with pytest.raises(InputError, match=word):
        view_geometry(replace(stack, geometry=geometry, acquisition=acquisition))


def test_an_incidence_that_is_given_stands_in_for_one_that_is_absent(stack):
    bare = replace(
        stack,
        geometry=Geometry(),
        acquisition=replace(stack.acquisition, earth_radius_m=None, platform_height_m=None, incidence_angle_deg=None),
    )
    with pytest.raises(InputError, match="--incidence"):
        view_geometry(bare)
    given = view_geometry(bare, 40.0).range_times_sine_m(*EVERYTHING, stack.shape)
    first = stack.acquisition.starting_range_m * math.sin(math.radians(40.0))
    assert given.shape == stack.shape
    assert given[0, 0] == pytest.approx(first, rel=1e-9)
    held = view_geometry(stack).range_times_sine_m(*EVERYTHING, stack.shape)
    np.testing.assert_array_equal(view_geometry(stack, 40.0).range_times_sine_m(*EVERYTHING, stack.shape), held)


def test_baselines_that_say_nothing(stack):
    with pytest.raises(InputError, match="zero for all"):
        date_baselines(replace(stack, perpendicular_baselines_m=np.zeros(len(stack.pairs))))
    unknown = stack.perpendicular_baselines_m.copy()
    unknown[[stack.dates[-1] in (pair.reference, pair.secondary) for pair in stack.pairs]] = np.nan
    with pytest.raises(InputError, match="connect all dates"):
        date_baselines(replace(stack, perpendicular_baselines_m=unknown))
    some = stack.perpendicular_baselines_m.copy()
    some[0] = np.nan
    np.testing.assert_allclose(
        date_baselines(replace(stack, perpendicular_baselines_m=some)), date_baselines(stack), atol=0.01
    )


def test_baselines_that_drift_like_motion():
    model = parse_model("linear")
    with pytest.raises(OptionError, match="scatter"):
        dem_error_design(model.design(DATES), model, np.linspace(0, 200, len(DATES)))
    with pytest.raises(OptionError, match="4 dates"):
        dem_error_design(model.design(DATES[:3]), model, np.array([0.0, 50.0, -20.0]))


def _smaller_look_m(reference, velocity, secondary, incidence_deg):
    """Perpendicular baseline from positions, positive at the smaller look angle of a sensor that looks to the right."""
    reference, velocity, secondary = (np.array(vector) for vector in (reference, velocity, secondary))
    ahead = velocity / np.linalg.norm(velocity)
    apart = secondary - reference
    apart -= (apart @ ahead) * ahead
    right = np.cross(ahead, reference / np.linalg.norm(reference))
    right /= np.linalg.norm(right)
    up = np.cross(right, ahead)
    look = math.asin(math.sin(math.radians(incidence_deg)) * 6_371_000 / np.linalg.norm(reference))
    return apart @ right * math.cos(look) + apart @ up * math.sin(look)


def test_signs_of_real_products():
    """State vectors of real acquisitions against the baselines that processors state of them."""
    # HyP3's burst product of 2022-08-14 and 2022-09-07, made with ISCE2, states 158.574 m.
    tops = _smaller_look_m(
        (1974504.865323, 5317622.220644, 4221551.248036),
        (97.427396, -4751.549009, 5922.715232),
        (1974689.739726, 5317559.796222, 4221541.450928),
        39.0,
    )
    assert LAYOUTS["isce-tops"] * tops == pytest.approx(158.574, abs=2.0)
    # GAMMA's base_perp of 2018-01-06 and 2018-04-12 (test data of PyRate) states -74.5 m at a look angle of 34 degrees.
    gamma = _smaller_look_m(
        (-1474876.1671, -6526740.0329, 2294644.1512),
        (-1044.13208, 2714.79840, 7018.73075),
        (-1474938.2474, -6526679.4498, 2294659.7003),
        38.3,
    )
    assert gamma == pytest.approx(-74.5, abs=2.0)
