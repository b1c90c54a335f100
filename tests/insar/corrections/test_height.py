"""Delay by height of known size: recovered within its errors, told from a ramp, not pulled by what moves."""

import pickle

import numpy as np
import pytest

from insar.corrections.height import HeightCorrection, read_points
from insar.corrections.ramp import Deramp
from insar.errors import InputError

from .scenes import DATES, geographic, hills, make_stack, plane, sample_of

SHAPE = (60, 50)
NOISE_M = 0.002


def _delays(height, seed=3):
    """(date,) m per m, and (date, row, col) m: up to some cm per km, none at the first date."""
    per_m = np.random.default_rng(seed).normal(0, 3e-5, len(DATES))
    per_m[0] = 0.0
    return per_m, per_m[:, None, None] * (height - height.mean())


def _noise():
    noise = np.random.default_rng(1).normal(0, NOISE_M, (len(DATES), *SHAPE))
    noise[0] = 0.0
    return noise


def _stack(height):
    return make_stack(geographic(*SHAPE), height=height.astype(np.float32))


@pytest.mark.parametrize("robust", [True, False])
def test_coefficients_within_their_errors(robust):
    height = hills(*SHAPE)
    per_m, delays = _delays(height)
    fitted = HeightCorrection(_stack(height), robust=robust).fit(sample_of(delays + _noise()))
    errors = 1e-3 * np.array(fitted.facts["standard_errors_m_per_km"])[1:]
    away = (fitted.coefficients - per_m)[1:] / errors
    assert np.abs(away).max() < 4.0
    assert 0.5 < np.sqrt((away**2).mean()) < 1.5
    np.testing.assert_allclose(fitted.facts["coefficients_m_per_km"], 1e3 * fitted.coefficients)


def test_a_ramp_is_not_taken_for_height():
    # Heights rise with the columns, and so does the ramp: without a plane in the fit it would be taken for delay.
    height = hills(*SHAPE)
    ramp = np.linspace(-0.03, 0.03, SHAPE[1])[None, None, :] * np.r_[0, np.ones(len(DATES) - 1)][:, None, None]
    fitted = HeightCorrection(_stack(height)).fit(sample_of(ramp + np.zeros((len(DATES), *SHAPE))))
    assert np.abs(fitted.coefficients).max() * np.ptp(height) < 1e-9
    slope_alone = np.polyfit(height.ravel(), np.broadcast_to(ramp[1], SHAPE).ravel(), 1)[0]
    assert slope_alone * np.ptp(height) > 0.02


def test_the_surface_beside_it_may_be_quadratic():
    height = hills(*SHAPE)
    per_m, delays = _delays(height)
    bowl = 0.02 * np.linspace(-1, 1, SHAPE[1]) ** 2 * np.arange(len(DATES))[:, None, None]
    errors = {
        surface: np.abs(HeightCorrection(_stack(height), surface).fit(sample_of(delays + bowl)).coefficients - per_m)
        for surface in (Deramp.LINEAR, Deramp.QUADRATIC)
    }
    assert errors[Deramp.QUADRATIC].max() < 1e-12
    assert errors[Deramp.LINEAR].max() > 1e-6


def test_a_fifth_of_the_scene_that_moves_hardly_pulls():
    height = hills(*SHAPE)
    per_m, delays = _delays(height)
    years = np.array([(day - DATES[0]).days for day in DATES]) / 365.25
    moving = np.where(height > np.quantile(height, 0.8), 0.1, 0.0)  # the summits slide
    sample = sample_of(delays + _noise() + years[:, None, None] * moving)
    robust, pulled = (
        np.abs(HeightCorrection(_stack(height), robust=robust).fit(sample).coefficients - per_m).max() * np.ptp(height)
        for robust in (True, False)
    )
    assert robust < 0.001  # m across the relief, of 36 mm of motion
    assert pulled > 0.02


def test_apparent_displacement_is_proportional_and_unknown_where_height_is():
    height = hills(*SHAPE)
    height[4, 5] = np.nan
    _, delays = _delays(np.nan_to_num(height, nan=700.0))
    fitted = HeightCorrection(_stack(height)).fit(sample_of(delays))
    window = fitted.apparent_displacement(slice(2, 8), slice(0, 50))
    expected = fitted.coefficients[:, None, None] * height.astype(np.float32)[2:8].astype(np.float64)
    np.testing.assert_array_equal(window, expected)
    assert np.isnan(window[:, 2, 5]).all()
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.apparent_displacement(slice(2, 8), slice(0, 50)), window, equal_nan=True)


def test_flat_scenes_are_refused():
    tilted = 100.0 + 4.0 * np.mgrid[: SHAPE[0], : SHAPE[1]][1]  # 200 m from side to side, all of it a plane
    with pytest.raises(InputError, match=r"relief to tell delay by height.*--troposphere none, gacos or era5"):
        HeightCorrection(_stack(tilted)).fit(sample_of(np.zeros((len(DATES), *SHAPE))))


def test_a_stack_without_heights_is_refused():
    with pytest.raises(InputError, match="the height of each pixel, for --troposphere height"):
        HeightCorrection(make_stack(geographic(*SHAPE)))


def test_points_are_read_in_their_order():
    values = np.arange(30.0).reshape(5, 6)
    rows, cols = np.array([3, 0, 3, 4]), np.array([5, 2, 1, 0])
    assert read_points(plane(values), rows, cols).tolist() == [23.0, 2.0, 19.0, 24.0]
