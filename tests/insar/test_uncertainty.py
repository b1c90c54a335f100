"""Deviations of what is fitted: the bootstrap against one written out, and all of them against the spread of fits."""

from __future__ import annotations

import itertools
from datetime import date, timedelta

import numpy as np
import pytest
from plain import sequential_network

from insar.errors import OptionError
from insar.rates import RateFitter
from insar.solver import NetworkSolver
from insar.timefunctions import parse_model
from insar.uncertainty import Uncertainty, bootstrap_forms, network_covariance, network_noise

DATES = tuple(date(2019, 1, 5) + timedelta(days=12 * index) for index in range(40))
STEP = date(2019, 9, 1)
MODEL = parse_model("linear+poly:2+annual+step:20190901")
EVERYTHING = ("velocity", "acceleration", "seasonal_amplitude", "dem_error", "step_20190901")
BASELINES = np.concatenate([[0.0], np.random.default_rng(8).normal(0, 60, len(DATES) - 1)])


def fitter(uncertainty, **options):
    return RateFitter(DATES, model=MODEL, uncertainty=uncertainty, baselines_m=BASELINES, **options)


def series_with_motion(pixels, noise_m=0.004, seed=0):
    """Known motion under white noise."""
    years = np.array([(day - DATES[0]).days for day in DATES]) / 365.25
    centred = years - years.mean()
    truth = (
        0.02 * centred + 0.5 * 0.01 * centred**2 + 0.02 * np.cos(2 * np.pi * years) - 0.01 * np.sin(2 * np.pi * years)
    )
    truth += 0.03 * np.array([day >= STEP for day in DATES]) - BASELINES * 5.0 / 5e5
    return truth[:, None] + np.random.default_rng(seed).normal(0, noise_m, (len(DATES), pixels))


TRUTH = {
    "velocity": 0.02,
    "acceleration": 0.01,
    "seasonal_amplitude": np.hypot(0.02, 0.01),
    "dem_error": 5.0,
    "step_20190901": 0.03,
}


@pytest.mark.parametrize("uncertainty", list(Uncertainty))
def test_everything_fitted_has_its_deviation(uncertainty):
    series = series_with_motion(4000)
    noise = None
    if uncertainty is Uncertainty.COVARIANCE:
        # No noise of interferograms: what is left is the noise of dates.
        covariance = network_covariance(list(itertools.pairwise(DATES)))
        noise = network_noise(np.zeros(4000), np.full(4000, 50), np.ones(4000, int), covariance)
    layers = fitter(uncertainty).fit(series, noise=noise, range_times_sine_m=5e5).layers
    for name in EVERYTHING:
        error = layers[name] - TRUTH[name]
        deviation = layers[f"{name}_std"].astype(np.float64)
        assert abs(np.mean(error)) < 0.1 * np.std(error)
        # The bootstrap counts each fit's extremes: a little large with this many terms.
        wide = 1.25 if uncertainty is Uncertainty.BOOTSTRAP else 1.03
        assert 0.97 < np.sqrt(np.mean(deviation**2)) / np.std(error) < wide
        assert 0.93 <= np.mean(np.abs(error) <= 2 * deviation) <= 0.98


def test_bootstrap_equals_one_written_out():
    design = MODEL.design(DATES)
    series = series_with_motion(3)
    generator = np.random.default_rng(7)
    estimates = []
    while len(estimates) < 60:
        drawn = generator.integers(len(DATES), size=len(DATES))
        if np.linalg.matrix_rank(design[drawn]) == design.shape[1]:
            estimates.append(np.linalg.lstsq(design[drawn], series[drawn], rcond=None)[0])
    expected = np.std(estimates, axis=0, ddof=1)
    rate = RateFitter(DATES, model=MODEL, uncertainty=Uncertainty.BOOTSTRAP, bootstrap_draws=60, seed=7).fit(series)
    np.testing.assert_allclose(rate.velocity_std, expected[1], rtol=1e-5)
    np.testing.assert_allclose(rate.acceleration_std, 2 * expected[2], rtol=1e-5)
    np.testing.assert_allclose(rate.steps_std[STEP], expected[5], rtol=1e-5)
    cosine, sine = np.mean([np.linalg.lstsq(design, series, rcond=None)[0][3:5]], axis=0)
    along = (cosine * np.array(estimates)[:, 3] + sine * np.array(estimates)[:, 4]) / np.hypot(cosine, sine)
    np.testing.assert_allclose(rate.seasonal_amplitude_std, np.std(along, axis=0, ddof=1), rtol=1e-5)


def test_bootstrap_of_a_line_agrees_with_residuals_on_white_noise():
    series = np.random.default_rng(3).normal(0, 0.005, (len(DATES), 3000))
    drawn = RateFitter(DATES, uncertainty=Uncertainty.BOOTSTRAP).fit(series).velocity_std.astype(np.float64)
    plain = RateFitter(DATES).fit(series).velocity_std.astype(np.float64)
    assert np.sqrt(np.mean(drawn**2) / np.mean(plain**2)) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("uncertainty", [Uncertainty.RESIDUAL, Uncertainty.BOOTSTRAP])
def test_same_bytes_whatever_the_blocks(uncertainty):
    series = series_with_motion(1000).astype(np.float32).reshape(len(DATES), 20, 50)
    one = fitter(uncertainty)
    whole = one.fit(series.copy(), range_times_sine_m=5e5).layers
    for rows in (slice(0, 3), slice(3, 4), slice(4, 20)):
        block = fitter(uncertainty).fit(np.ascontiguousarray(series[:, rows]), range_times_sine_m=5e5).layers
        for name, values in block.items():
            assert values.tobytes() == whole[name][rows].tobytes(), name


def test_samples_that_cannot_tell_the_terms_apart():
    few = DATES[:5]
    design = parse_model("linear+poly:3").design(few)
    # Five dates drawn five times hold four different ones in about a third of all draws.
    assert np.isfinite(bootstrap_forms(design, [(1, 1)], draws=50)).all()
    with pytest.raises(OptionError, match="bootstrap"):
        bootstrap_forms(parse_model("linear+poly:5").design(DATES[:6]), [(1, 1)], draws=400)


@pytest.mark.parametrize("missing", [0.0, 0.1, 0.3])
def test_noise_of_interferograms_with_gaps(missing):
    """Noise of interferograms and of dates, samples missing at random: two deviations hold 95 %."""
    pairs = sequential_network(30, 3)
    dates = tuple(sorted({day for pair in pairs for day in pair}))
    random = np.random.default_rng(5)
    errors = random.normal(0, 0.002, (30, 20_000))
    phase = np.array([errors[dates.index(two)] - errors[dates.index(one)] for one, two in pairs])
    phase += random.normal(0, 0.003, phase.shape)
    phase[random.random(phase.shape) < missing] = np.nan
    inverted = NetworkSolver(pairs).solve(phase, dtype=np.float64)
    covariance = network_covariance(pairs)
    found = inverted.residual_rms, inverted.pairs_used, inverted.subsets
    noise = network_noise(*found, covariance, len(pairs))
    rate = RateFitter(dates, uncertainty=Uncertainty.COVARIANCE).fit(inverted.series, noise=noise)
    whole = inverted.subsets == 1
    within = np.abs(rate.velocity) <= 2 * rate.velocity_std
    assert np.mean(within[whole]) == pytest.approx(0.95, abs=0.02)
    plain = RateFitter(dates).fit(inverted.series)
    assert np.mean((np.abs(plain.velocity) <= 2 * plain.velocity_std)[whole]) < 0.85


def test_covariance_needs_the_noise():
    with pytest.raises(ValueError, match="noise"):
        RateFitter(DATES, uncertainty=Uncertainty.COVARIANCE).fit(np.zeros((len(DATES), 1)))
