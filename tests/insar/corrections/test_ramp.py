"""Ramps of known size: recovered within their errors, not pulled by what moves."""

import pickle

import numpy as np
import pytest

from insar.corrections.ramp import TERMS, Deramp, FittedRamp, RampCorrection, surface_design
from insar.errors import InputError

from .scenes import DATES, sample_of

SHAPE = (60, 50)
NOISE_M = 0.002


def _surfaces(surface, seed=0):
    """Known surfaces, (date, term) and (date, row, col) m; none at the first date."""
    random = np.random.default_rng(seed)
    coefficients = random.normal(0, 0.02, (len(DATES), len(TERMS[surface])))
    coefficients[0] = 0.0
    row, col = np.mgrid[: SHAPE[0], : SHAPE[1]]
    y, x = 2 * row / (SHAPE[0] - 1) - 1, 2 * col / (SHAPE[1] - 1) - 1
    values = {"constant": 1 + 0 * x, "row": y, "col": x, "row^2": y**2, "row*col": y * x, "col^2": x**2}
    shapes = np.stack([values[term] for term in TERMS[surface]])
    return coefficients, np.einsum("dt,tij->dij", coefficients, shapes)


def _noise(seed=1):
    noise = np.random.default_rng(seed).normal(0, NOISE_M, (len(DATES), *SHAPE))
    noise[0] = 0.0
    return noise


def _moving():
    """(date, row, col) m: a fifth of the scene, in one corner, moves at up to 10 cm/yr."""
    years = np.array([(day - DATES[0]).days for day in DATES]) / 365.25
    rate = np.zeros(SHAPE)
    rate[:24, :25] = 0.10
    assert np.mean(rate != 0) == 0.2
    return years[:, None, None] * rate


@pytest.mark.parametrize("surface", [Deramp.LINEAR, Deramp.QUADRATIC])
@pytest.mark.parametrize("robust", [True, False])
def test_coefficients_within_their_errors(surface, robust):
    known, ramps = _surfaces(surface)
    fitted = RampCorrection(SHAPE, surface, robust=robust).fit(sample_of(ramps + _noise()))
    errors = np.array(fitted.facts["standard_errors_m"])[1:]
    away = (fitted.coefficients - known)[1:] / errors
    assert np.abs(away).max() < 4.5
    assert np.sqrt((away**2).mean()) == pytest.approx(1.0, abs=0.25)
    # and those errors are what noise of that size gives: sigma / sqrt(n) for the mean of the plane
    if surface is Deramp.LINEAR:
        np.testing.assert_allclose(errors[:, 0], NOISE_M / np.sqrt(np.prod(SHAPE)), rtol=0.1)


@pytest.mark.parametrize("surface", [Deramp.LINEAR, Deramp.QUADRATIC])
def test_surfaces_without_noise_are_exact(surface):
    _, ramps = _surfaces(surface)
    fitted = RampCorrection(SHAPE, surface).fit(sample_of(ramps, step=3))
    everywhere = fitted.apparent_displacement(slice(0, SHAPE[0]), slice(0, SHAPE[1]))
    np.testing.assert_allclose(everywhere, ramps, atol=1e-12)
    window = fitted.apparent_displacement(slice(7, 9), slice(3, 40))
    assert np.array_equal(window, everywhere[:, 7:9, 3:40])


@pytest.mark.parametrize(("surface", "limit_m"), [(Deramp.LINEAR, 0.0003), (Deramp.QUADRATIC, 0.001)])
def test_a_fifth_of_the_scene_that_moves_hardly_pulls(surface, limit_m):
    _known, ramps = _surfaces(surface)
    sample = sample_of(ramps + _noise() + _moving())

    def error(robust):
        fitted = RampCorrection(SHAPE, surface, robust=robust).fit(sample)
        return np.abs(fitted.apparent_displacement(slice(0, 60), slice(0, 50)) - ramps).max(), fitted.facts

    pulled, _ = error(robust=False)
    robust, facts = error(robust=True)
    assert robust < limit_m  # of 36 mm of motion at the last date
    assert pulled > 0.015
    assert facts["moving_share"] == pytest.approx(0.2, abs=0.02)


def test_dates_are_independent():
    _, ramps = _surfaces(Deramp.LINEAR)
    noisy = ramps + _noise()
    changed = noisy.copy()
    changed[5] += 0.3 * np.random.default_rng(8).normal(size=SHAPE)
    fits = [RampCorrection(SHAPE, robust=False).fit(sample_of(series)) for series in (noisy, changed)]
    others = np.arange(len(DATES)) != 5
    assert np.array_equal(fits[0].coefficients[others], fits[1].coefficients[others])
    assert not np.array_equal(fits[0].coefficients[5], fits[1].coefficients[5])


def test_design_is_scaled_to_the_scene():
    design = surface_design(Deramp.QUADRATIC, (11, 21), np.array([0, 5, 10]), np.array([0, 10, 20]))
    assert design.tolist() == [[1, -1, -1, 1, 1, 1], [1, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]]


def test_a_scene_of_one_row_has_no_plane():
    with pytest.raises(InputError, match="tell constant, row, col apart"):
        RampCorrection((1, 400)).fit(sample_of(np.zeros((len(DATES), 1, 400))))


def test_a_tilt_that_goes_on_is_told_from_ramps_of_chance():
    years = np.array([(day - DATES[0]).days for day in DATES]) / 365.25
    across = np.linspace(-0.1, 0.1, SHAPE[1])
    tilting = years[:, None, None] * np.broadcast_to(across, SHAPE)
    facts = RampCorrection(SHAPE).fit(sample_of(tilting + _noise())).facts
    assert facts["trend_share"] > 0.99
    assert facts["trend_rms_m_per_year"] == pytest.approx(across.std(), rel=0.01)
    shares = [
        RampCorrection(SHAPE).fit(sample_of(_surfaces(Deramp.LINEAR, seed)[1])).facts["trend_share"]
        for seed in range(9)
    ]
    assert max(shares) < 0.4


def test_facts_and_pickle():
    _, ramps = _surfaces(Deramp.LINEAR)
    fitted = RampCorrection(SHAPE).fit(sample_of(ramps + _noise()))
    assert isinstance(fitted, FittedRamp)
    assert fitted.facts["surface"] == "linear"
    assert fitted.facts["rms_m"][0] == 0.0
    np.testing.assert_allclose(fitted.facts["rms_m"][1:], ramps.std(axis=(1, 2))[1:], rtol=0.02)
    again = pickle.loads(pickle.dumps(fitted))
    window = slice(3, 9), slice(0, 50)
    assert np.array_equal(again.apparent_displacement(*window), fitted.apparent_displacement(*window))
