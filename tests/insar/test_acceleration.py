"""The test for a change of rate: against plain least squares, and its false alarms against the rate it states."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from plain import sequential_network
from scipy import stats

from insar.acceleration import plan_acceleration_test
from insar.errors import OptionError
from insar.rates import RateFitter
from insar.solver import NetworkSolver
from insar.timefunctions import parse_model
from insar.uncertainty import network_covariance, network_noise

DATES = tuple(date(2021, 2, 1) + timedelta(days=12 * index) for index in range(30))
DAYS = np.array([(day - DATES[0]).days for day in DATES])
YEARS = DAYS / 365.25
AT_YEARS = (DAYS[-1] - 60) / 365.25


@pytest.mark.parametrize("text", ["linear", "linear+annual", "linear+poly:2"])
def test_equals_plain_least_squares(text):
    model = parse_model(text)
    series = np.random.default_rng(0).normal(0, 0.004, (len(DATES), 7))
    rate = RateFitter(DATES, model=model).fit(series)
    design = np.column_stack([model.design(DATES), np.maximum(YEARS - AT_YEARS, 0.0)])
    solution, squares, *_ = np.linalg.lstsq(design, series, rcond=None)
    freedom = len(DATES) - design.shape[1]
    deviation = np.sqrt(np.linalg.inv(design.T @ design)[-1, -1] * squares / freedom)
    np.testing.assert_allclose(rate.rate_change, solution[-1], rtol=1e-5)
    np.testing.assert_allclose(rate.rate_change_std, deviation, rtol=1e-5)
    p = 2 * stats.t.sf(np.abs(solution[-1] / deviation), freedom)
    np.testing.assert_allclose(rate.acceleration_p, p, rtol=1e-4)


def test_height_errors_are_fitted_beside_the_change():
    random = np.random.default_rng(2)
    baselines = np.concatenate([[0.0], random.normal(0, 80, len(DATES) - 1)])
    series = random.normal(0, 0.004, (len(DATES), 4)) - np.outer(baselines, np.full(4, 10 / 5e5))
    design = np.column_stack([np.ones(len(DATES)), YEARS, baselines, np.maximum(YEARS - AT_YEARS, 0.0)])
    expected = np.linalg.lstsq(design, series, rcond=None)[0][-1]
    rate = RateFitter(DATES, baselines_m=baselines).fit(series)
    np.testing.assert_allclose(rate.rate_change, expected, rtol=1e-5)


@pytest.mark.parametrize("dates", [DATES, DATES[:9]])
@pytest.mark.parametrize("asked", [0.01, 0.05])
def test_false_alarms_on_white_noise_are_as_stated(dates, asked):
    """However few dates there are, since Student's distribution is the exact one."""
    series = np.random.default_rng(1).normal(0, 0.004, (len(dates), 100_000)) + 0.03 * YEARS[: len(dates), None]
    rate = RateFitter(dates, false_alarm_rate=asked).fit(series)
    assert np.mean(rate.acceleration_p < asked) == pytest.approx(asked, rel=0.1)
    # An alarm is a change for the faster alone.
    assert 0 < np.mean(rate.accelerating == 2) <= 1.1 * asked


def test_false_alarms_where_noise_of_interferograms_prevails():
    pairs = sequential_network(30, 3)
    dates = tuple(sorted({day for pair in pairs for day in pair}))
    phase = np.random.default_rng(4).normal(0, 0.002, (len(pairs), 40_000))
    inverted = NetworkSolver(pairs).solve(phase, dtype=np.float64)
    covariance = network_covariance(pairs)
    noise = network_noise(inverted.residual_rms, inverted.pairs_used, inverted.subsets, covariance, len(pairs))
    fitter = RateFitter(dates)
    alarms = [np.mean(fitter.fit(inverted.series, noise=each).acceleration_p < 0.01) for each in (None, noise)]
    assert alarms[0] > 0.03
    assert alarms[1] == pytest.approx(0.01, abs=0.006)


@pytest.mark.parametrize(("change", "expected"), [(-0.06, 2), (0.06, 1), (0.0, 1)])
def test_slopes_that_quicken_and_slopes_that_slow_down(change, expected):
    series = -0.08 * YEARS[:, None] + change * np.maximum(YEARS - AT_YEARS, 0.0)[:, None]
    series = series + np.random.default_rng(6).normal(0, 0.0005, (len(DATES), 200))
    rate = RateFitter(DATES).fit(series)
    assert np.mean(rate.accelerating == expected) > 0.95
    assert np.mean(rate.rate_change) == pytest.approx(change, abs=0.001)
    assert rate.accelerating.dtype == np.uint8


def test_power_against_the_precursor_of_the_methods():
    """From -5 to -15 mm/yr over the last 60 days is 0.8 mm: seen where noise is far below that, and not above."""
    gained = -0.010 * np.maximum(YEARS - AT_YEARS, 0.0)[:, None]
    found = {}
    for noise_m in (0.0001, 0.004):
        series = -0.005 * YEARS[:, None] + gained + np.random.default_rng(7).normal(0, noise_m, (len(DATES), 5000))
        found[noise_m] = np.mean(RateFitter(DATES).fit(series).accelerating == 2)
    assert found[0.0001] > 0.99
    assert found[0.004] < 0.05


def test_unknown_pixels():
    series = np.zeros((len(DATES), 2))
    series[3, 0] = np.nan
    rate = RateFitter(DATES).fit(series)
    assert rate.accelerating[0] == 0
    assert np.isnan(rate.acceleration_p[0])


def test_why_there_is_none():
    design = parse_model("linear").design(DATES)
    assert "2 dates in the last 20 days" in plan_acceleration_test(DATES, design, 1, 20.0)
    assert "6 are needed" in plan_acceleration_test(DATES[:5], design[:5], 1)
    assert "do not tell" in plan_acceleration_test(DATES, design, 1, 2000.0)
    left_out = RateFitter(DATES, recent_days=20).left_out
    assert left_out["accelerating"] == left_out["velocity_recent"]
    with pytest.raises(OptionError, match="false_alarm_rate"):
        RateFitter(DATES, false_alarm_rate=0.0)
