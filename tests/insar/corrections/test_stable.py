"""Robust fits against plain NumPy, and what they leave out."""

import numpy as np
import pytest

from insar.corrections.base import SeriesSample
from insar.corrections.stable import HUBER, TUKEY, fit_stable, outlying_rates, predicted
from insar.errors import InputError
from insar.kernels.robust import fit_robust, fit_trimmed

from .scenes import DATES


def _plain_robust(design, values, rounds):
    """Huber's fit, then Tukey's at its scale, by `numpy.linalg.lstsq`; many more iterations than needed."""
    weight = np.ones(len(values))

    def solve():
        root = np.sqrt(weight)
        return np.linalg.lstsq(design * root[:, None], values * root, rcond=None)[0]

    for _ in range(rounds):
        residual = np.abs(values - design @ solve())
        scale = 1.4826 * np.median(residual)
        weight = np.minimum(1.0, HUBER * scale / np.maximum(residual, 1e-300))
    for _ in range(rounds):
        u = np.abs(values - design @ solve()) / (TUKEY * scale)
        weight = np.where(u < 1, (1 - u**2) ** 2, 0.0)
    return solve(), scale


def _problem(seed, points=300):
    random = np.random.default_rng(seed)
    design = np.column_stack([np.ones(points), random.uniform(-1, 1, (points, 2))])
    values = design @ random.normal(0, 1, (3, 4)) + random.normal(0, 0.1, (points, 4))
    values[:60] += 3.0
    return design, np.ascontiguousarray(values.T)


@pytest.mark.parametrize("seed", range(3))
def test_kernel_agrees_with_plain_numpy(seed):
    design, values = _problem(seed)
    coefficients, scale = np.empty((4, 3)), np.empty(4)
    fit_robust(design, values, HUBER, TUKEY, 1e-9, 200, coefficients, scale)
    for row in range(4):
        expected, expected_scale = _plain_robust(design, values[row], 300)
        np.testing.assert_allclose(coefficients[row], expected, atol=2e-5)
        assert scale[row] == pytest.approx(expected_scale, rel=1e-3)


def test_no_rounds_are_least_squares():
    design, values = _problem(7)
    coefficients = np.empty((4, 3))
    fit_robust(design, values, HUBER, TUKEY, 1e-9, 0, coefficients, np.empty(4))
    np.testing.assert_allclose(coefficients, np.linalg.lstsq(design, values.T, rcond=None)[0].T, rtol=1e-10)


def test_compiled_as_interpreted():
    design, values = _problem(3, points=60)
    compiled, interpreted = np.empty((4, 3)), np.empty((4, 3))
    fit_robust(design, values, HUBER, TUKEY, 1e-9, 100, compiled, np.empty(4))
    fit_robust.py_func(design, values, HUBER, TUKEY, 1e-9, 100, interpreted, np.empty(4))
    np.testing.assert_allclose(compiled, interpreted, rtol=1e-12)


def _one_sided(points=400, share=0.35):
    """A plane whose outliers all lie on one side, where they have leverage."""
    random = np.random.default_rng(6)
    x = np.sort(random.uniform(-1, 1, points))
    design = np.column_stack([np.ones(points), x, random.uniform(-1, 1, points)])
    known = np.array([0.3, -0.5, 0.2])
    values = design @ known + random.normal(0, 0.01, points)
    values[: int(share * points)] += 0.5
    return design, values, known, random.integers(points, size=(200, 3), dtype=np.intp)


def test_trimmed_squares_are_not_pulled_from_one_side():
    design, values, known, starts = _one_sided()
    coefficients, scale = np.empty(3), np.empty(1)
    fit_trimmed(design, values, starts, 240, coefficients)
    np.testing.assert_allclose(coefficients, known, atol=0.005)
    # An M-estimate is: that is what the trimmed fit is for.
    pulled = np.empty((1, 3))
    fit_robust(design, values[None], HUBER, TUKEY, 1e-9, 100, pulled, scale)
    assert np.abs(pulled[0] - known).max() > 0.1


def test_trimmed_squares_are_a_fit_to_the_points_that_fit_best():
    design, values, _, starts = _one_sided()
    coefficients = np.empty(3)
    fit_trimmed(design, values, starts, 240, coefficients)
    best = np.argsort(np.abs(values - design @ coefficients))[:240]
    np.testing.assert_allclose(coefficients, np.linalg.lstsq(design[best], values[best], rcond=None)[0], rtol=1e-9)
    interpreted = np.empty(3)
    fit_trimmed.py_func(design, values, starts[:20], 240, interpreted)
    compiled = np.empty(3)
    fit_trimmed(design, values, starts[:20], 240, compiled)
    np.testing.assert_allclose(compiled, interpreted, rtol=1e-10)


def test_trimmed_squares_without_a_start_are_unknown():
    coefficients = np.empty(3)
    fit_trimmed(np.ones((10, 3)), np.ones(10), np.zeros((5, 3), np.intp), 6, coefficients)
    assert np.isnan(coefficients).all()


def _sample(values, coherence=None):
    points = values.shape[1]
    zeros = np.zeros(points, np.intp)
    return SeriesSample(DATES, zeros, zeros, values, np.ones(points) if coherence is None else coherence)


def test_standard_errors_are_the_scatter_of_the_coefficients():
    # 400 dates' worth of independent normal errors: the errors stated against the scatter found.
    random = np.random.default_rng(5)
    design = np.column_stack([np.ones(200), random.uniform(-1, 1, (200, 2))])
    deviations, stated = [], []
    for _ in range(40):
        fitted = fit_stable(design, ("a", "b", "c"), _sample(random.normal(0, 2.0, (12, 200))), step="test")
        deviations.append(fitted.coefficients)
        stated.append(fitted.standard_errors)
    ratio = np.sqrt((np.concatenate(deviations) ** 2).mean(axis=0)) / np.concatenate(stated).mean(axis=0)
    np.testing.assert_allclose(ratio, 1.0, atol=0.1)


def test_incoherent_pixels_are_left_out():
    random = np.random.default_rng(1)
    design = np.ones((200, 1))
    values = random.normal(0, 0.001, (12, 200))
    coherence = np.ones(200)
    coherence[:90] = 0.4
    values[:, :90] += 0.05
    fitted = fit_stable(design, ("constant",), _sample(values, coherence), step="test", robust=False)
    np.testing.assert_allclose(fitted.coefficients[:, 0], values[:, 90:].mean(axis=1), atol=1e-12)
    assert fitted.coherent_count == 110
    assert fitted.least_coherence == 0.7


def test_better_half_where_hardly_any_is_coherent():
    coherence = np.linspace(0.1, 0.6, 200)
    fitted = fit_stable(np.ones((200, 1)), ("constant",), _sample(np.zeros((12, 200)), coherence), step="test")
    assert fitted.coherent_count == 100
    assert fitted.least_coherence == pytest.approx(0.35)
    assert fitted.facts["least_temporal_coherence"] == pytest.approx(0.35)


def test_unknown_coherence_leaves_nothing_out():
    fitted = fit_stable(
        np.ones((200, 1)), ("constant",), _sample(np.zeros((12, 200)), np.full(200, np.nan)), step="test"
    )
    assert fitted.coherent_count == 200
    assert fitted.facts["least_temporal_coherence"] is None


def test_too_few_pixels_are_refused():
    values = np.full((12, 200), np.nan)
    values[:, :9] = 0.0
    with pytest.raises(InputError, match=r"correction test: required at least 10 pixels.*found 9"):
        fit_stable(np.ones((200, 1)), ("constant",), _sample(values), step="test")


def test_terms_that_cannot_be_told_apart_are_refused():
    line = np.linspace(-1, 1, 200)
    design = np.column_stack([np.ones(200), line, 2.0 * line])
    with pytest.raises(InputError, match="tell constant, row, col apart"):
        fit_stable(design, ("constant", "row", "col"), _sample(np.zeros((12, 200))), step="test")


def test_outlying_rates_are_those_that_move():
    random = np.random.default_rng(2)
    years = np.array([(day - DATES[0]).days for day in DATES]) / 365.25
    series = random.normal(0, 0.001, (12, 500))
    series[:, :100] += 0.05 * years[:, None]
    outlying = outlying_rates(series, DATES, np.ones(500, bool))
    assert outlying[:100].all()
    assert outlying[100:].mean() < 0.03


def test_predicted_is_the_product():
    random = np.random.default_rng(4)
    design, coefficients = random.normal(size=(50, 3)), random.normal(size=(7, 3))
    np.testing.assert_allclose(predicted(design, coefficients), coefficients @ design.T, rtol=1e-12)
