"""Rates and models of time against SciPy's regression, closed forms and plain least squares."""

from __future__ import annotations

import json
from datetime import date, timedelta

import numpy as np
import pytest
from plain import sequential_network
from scipy import stats

import insar
from insar.errors import OptionError
from insar.kernels import velocity as kernels
from insar.rates import RateFitter
from insar.solver import NetworkSolver
from insar.timefunctions import parse_model
from insar.uncertainty import Uncertainty, network_covariance, network_noise
from insar.velocity import fit_rate, fit_recent_rate

DATES = tuple(date(2019, 3, 1) + timedelta(days=days) for days in (0, 12, 24, 60, 61, 300, 365, 731))
LONG = tuple(date(2019, 1, 5) + timedelta(days=12 * index) for index in range(90))


def _years(dates):
    return np.array([(day - dates[0]).days for day in dates]) / 365.25


YEARS = _years(DATES)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equals_scipy(dtype):
    series = np.random.default_rng(0).normal(0, 0.01, (len(DATES), 13, 41)).astype(dtype)
    rate = fit_rate(series, DATES)
    for row, col in [(0, 0), (5, 7), (12, 40)]:
        expected = stats.linregress(YEARS, series[:, row, col].astype(np.float64))
        assert rate.velocity[row, col] == pytest.approx(expected.slope, rel=1e-6)
        assert rate.velocity_std[row, col] == pytest.approx(expected.stderr, rel=1e-6)


def test_a_line_has_its_rate_and_no_deviation():
    # A large offset and a small rate: the deviation must not be drowned in cancellation.
    series = (1e3 + 0.02 * YEARS)[:, None]
    rate = fit_rate(series, DATES)
    assert rate.velocity[0] == pytest.approx(0.02, abs=1e-9)
    assert rate.velocity_std[0] < 1e-10
    assert rate.acceleration is None
    assert rate.seasonal_amplitude is None


def test_nan_spreads_and_two_dates_have_no_deviation():
    series = np.zeros((8, 2))
    series[3, 0] = np.nan
    rate = fit_rate(series, DATES)
    assert np.isnan(rate.velocity[0])
    assert np.isnan(rate.velocity_std[0])
    assert rate.velocity[1] == 0.0
    two = fit_rate(np.array([[0.0], [1.0]]), (date(2020, 1, 1), date(2021, 1, 1)))
    assert two.velocity[0] == pytest.approx(365.25 / 366)
    assert np.isnan(two.velocity_std[0])


def test_every_term_is_recovered():
    years = _years(LONG)
    centred = years - years.mean()
    days = years * 365.25
    onset = (date(2020, 6, 1) - LONG[0]).days
    series = (
        0.3
        + 0.02 * centred
        + 0.5 * 0.008 * centred**2
        + 0.004 * np.cos(2 * np.pi * years)
        - 0.003 * np.sin(2 * np.pi * years)
        + 0.05 * (days >= onset)
        + 0.01 * np.log1p(np.maximum(days - onset, 0) / 40.0)
    )
    model = parse_model("linear+poly:2+annual+semiannual+step:20200601+log:2020-06-01:40")
    rate = fit_rate(series[:, None], LONG, model)
    assert rate.velocity[0] == pytest.approx(0.02, abs=1e-7)
    assert rate.acceleration[0] == pytest.approx(0.008, abs=1e-7)
    assert rate.seasonal_amplitude[0] == pytest.approx(0.005, abs=1e-7)
    assert rate.velocity_std[0] < 1e-7


def test_deviation_with_more_terms_equals_plain_least_squares():
    series = np.random.default_rng(1).normal(0, 0.01, (len(LONG), 5))
    model = parse_model("linear+annual+exp:20200101:30")
    design = model.design(LONG)
    solution, squares, *_ = np.linalg.lstsq(design, series, rcond=None)
    covariance = np.linalg.inv(design.T @ design)[1, 1] * squares / (len(LONG) - design.shape[1])
    rate = fit_rate(series, LONG, model)
    np.testing.assert_allclose(rate.velocity, solution[1], rtol=1e-5)
    np.testing.assert_allclose(rate.velocity_std, np.sqrt(covariance), rtol=1e-5)


def test_deviation_is_that_of_the_estimates():
    # The spread of many estimates, whatever the model.
    series = np.random.default_rng(2).normal(0, 0.01, (len(LONG), 20_000))
    rate = fit_rate(series, LONG, parse_model("linear+annual+step:20200601"))
    assert np.std(rate.velocity) == pytest.approx(np.sqrt(np.mean(rate.velocity_std.astype(float) ** 2)), rel=0.02)


def test_recent_rate_is_that_of_the_last_dates():
    days = np.array([(day - LONG[-1]).days for day in LONG])
    series = np.where(days < -60, 0.0, 0.2 * (days + 60) / 365.25)[:, None]
    assert fit_recent_rate(series, LONG, 60)[0] == pytest.approx(0.2, abs=1e-6)
    assert fit_recent_rate(series, LONG, 20) is None


def test_noise_of_interferograms_is_propagated_through_network_and_fit():
    """Many inversions of pure interferogram noise, with and without errors of dates: the spread is the stated one."""
    pairs = sequential_network(30, 3)
    dates = tuple(sorted({day for pair in pairs for day in pair}))
    random = np.random.default_rng(3)
    covariance = network_covariance(pairs)
    for date_noise_m in (0.0, 0.004):
        errors = random.normal(0, date_noise_m, (30, 20_000))
        phase = np.array([errors[dates.index(two)] - errors[dates.index(one)] for one, two in pairs])
        phase += random.normal(0, 0.002, phase.shape)
        inverted = NetworkSolver(pairs).solve(phase, dtype=np.float64)
        noise = network_noise(inverted.residual_rms, inverted.pairs_used, inverted.subsets, covariance)
        assert np.mean(noise.variance) == pytest.approx(0.002**2, rel=0.01)
        rate = fit_rate(inverted.series, dates, noise=noise)
        within = np.abs(rate.velocity) <= 2 * rate.velocity_std
        assert np.mean(within) == pytest.approx(0.95, abs=0.015)
        plain = fit_rate(inverted.series, dates)
        if date_noise_m == 0.0:
            assert np.mean(np.abs(plain.velocity) <= 2 * plain.velocity_std) < 0.6


def test_noise_is_unknown_without_redundancy():
    pairs = sequential_network(6, 1)
    noise = network_noise(np.zeros(2), np.array([5, 0]), np.array([1, 0]), network_covariance(pairs))
    assert np.isnan(noise.variance).all()


def test_layers_and_facts_of_a_fit(known_stack):
    series = insar.invert(insar.open_stack(known_stack.path), reference=(3, 4))
    for uncertainty in ("residual", "covariance", "bootstrap"):
        layers = insar.fit_velocity(series, "linear+step:20180301", uncertainty=uncertainty).layers
        expected = {"velocity", "velocity_std", "step_20180301", "step_20180301_std"}
        assert expected <= set(layers)
        assert not {"steps", "steps_std", "acceleration", "dem_error"} & set(layers)
        assert all(values.shape == series.stack.shape for values in layers.values())
    fitter = RateFitter(LONG, model=parse_model("linear+annual"), recent_days=50)
    assert fitter.facts["terms"] == ["constant", "linear", "cosine 1/yr", "sine 1/yr"]
    assert fitter.facts["acceleration_test"] == {
        "recent_days": 50,
        "dates_in_window": 5,
        "false_alarm_rate": 0.01,
        "degrees_of_freedom": len(LONG) - 5,
    }
    json.dumps(fitter.facts)


def test_compiled_and_interpreted_agree(monkeypatch):
    series = np.random.default_rng(5).normal(0, 0.01, (len(DATES), 300)).astype(np.float32)
    series[2, 7] = np.nan
    baselines = np.array([0.0, 40.0, -20.0, 90.0, 5.0, -60.0, 30.0, 10.0])
    fitter = RateFitter(DATES, baselines_m=baselines, recent_days=500, uncertainty=Uncertainty.BOOTSTRAP)
    compiled, interpreted = series.copy(), series.copy()
    expected = fitter.fit(compiled, range_times_sine_m=5e5).layers
    monkeypatch.setattr(kernels, "fit_series", kernels.fit_series.py_func)
    found = fitter.fit(interpreted, range_times_sine_m=5e5).layers
    np.testing.assert_allclose(interpreted, compiled, rtol=1e-5, atol=1e-9)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-9, err_msg=name)


@pytest.mark.parametrize(
    "text", ["cubic", "poly:0", "poly:x", "step", "step:2020", "exp:20200101", "exp:20200101:-3", "linear+", ""]
)
def test_models_that_are_none(text):
    with pytest.raises(OptionError, match="--model"):
        parse_model(text)


@pytest.mark.parametrize("text", ["linear+step:20100101", "linear+step:20300101", "linear+exp:20300101:5"])
def test_terms_the_dates_do_not_tell_apart(text):
    with pytest.raises(OptionError, match="apart"):
        fit_rate(np.zeros((len(LONG), 1)), LONG, parse_model(text))
