"""Boxcar coherence against plain NumPy in float64, closed forms and simulated speckle; its bias."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from speckle import plain_coherence, speckle_pair, with_gaps

from insar.coherence import CoherenceEstimator, estimate_coherence
from insar.coherence_bias import coherence_floor, expected_coherence, unbias_coherence
from insar.errors import InputError, OptionError
from insar.kernels import coherence as kernels
from insar.kernels.coherence import estimate_boxcar
from insar.windows import Looks, Window


@pytest.mark.parametrize("looks", [(1, 1), (2, 5)])
@pytest.mark.parametrize("window", [(1, 1), (3, 3), (5, 5), (3, 15), (21, 21), (7, 1), (9, 11)])
def test_coherence_is_that_of_plain_numpy(window, looks):
    random = np.random.default_rng(1)
    shape = 31 * looks[0] + 1, 43 * looks[1] + 2
    first, second = speckle_pair(random, shape, 0.6)
    brightness = 10.0 ** random.uniform(-3, 4, shape)  # intensities from 1e-6 to 1e8
    first = with_gaps(random, (first * brightness).astype(np.complex64))
    second = (second * brightness[::-1]).astype(np.complex64)
    expected = plain_coherence(first, second, window, looks)
    estimated = estimate_coherence(first, second, window, looks=looks)
    assert estimated.dtype == np.float32
    assert estimated.shape == expected.shape
    np.testing.assert_allclose(estimated, expected, rtol=0, atol=1e-6)
    assert np.isnan(estimated).any()


def test_a_dark_field_beside_a_bright_target_keeps_its_digits():
    random = np.random.default_rng(2)
    first, second = speckle_pair(random, (24, 40), 0.5)
    first[:, :10] *= np.float32(1e9)
    second[:, :10] *= np.float32(1e9)
    np.testing.assert_allclose(
        estimate_coherence(first, second, (5, 5)), plain_coherence(first, second, (5, 5)), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("scale", [1e-18, 1e18])
def test_extreme_scales_of_single_precision_change_nothing(scale):
    first, second = speckle_pair(np.random.default_rng(3), (12, 14), 0.5)
    scaled = estimate_coherence(first * np.float32(scale), second * np.float32(scale))
    np.testing.assert_allclose(scaled, estimate_coherence(first, second), rtol=0, atol=1e-6)


def test_uncompiled_kernel_gives_the_same(monkeypatch):
    random = np.random.default_rng(4)
    first, second = speckle_pair(random, (22, 33), 0.5)
    first = with_gaps(random, first)
    compiled, plain = (np.empty((9, 5), np.float32) for _ in range(2))
    samples, plain_samples = np.empty_like(compiled), np.empty_like(compiled)
    estimate_boxcar(first, second, 1, 0, 7, 9, 2, 6, 0.5, 1, compiled, samples)
    for name in [name for name in vars(kernels) if hasattr(getattr(kernels, name), "py_func")]:
        monkeypatch.setattr(kernels, name, getattr(kernels, name).py_func)
    with np.errstate(all="ignore"):
        kernels.estimate_boxcar(first, second, 1, 0, 7, 9, 2, 6, 0.5, 1, plain, plain_samples)
    np.testing.assert_array_equal(compiled, plain)
    np.testing.assert_array_equal(samples, plain_samples)


@pytest.mark.parametrize("remove_fringe", [False, True])
@settings(max_examples=30)
@given(data=st.data())
def test_blocks_with_their_halo_give_the_bits_of_the_whole(remove_fringe, data):
    odd = st.sampled_from([1, 3, 5, 9])
    looks = Looks(data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3)))
    estimator = CoherenceEstimator(Window(data.draw(odd), data.draw(odd)), looks, remove_fringe)
    random = np.random.default_rng(5)
    first, second = speckle_pair(random, (61, 77), 0.5)
    first = with_gaps(random, first)
    rows, cols = estimator.cells(first.shape)
    whole = estimator.estimate(first, second, slice(0, rows), slice(0, cols))
    start_row, start_col = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, cols - 1))
    stop_row, stop_col = data.draw(st.integers(start_row + 1, rows)), data.draw(st.integers(start_col + 1, cols))
    down, right = estimator.reach
    top, left = max(start_row - down, 0), max(start_col - right, 0)
    # A halo ends with a whole cell, or with the image.
    bottom, far = min(stop_row + down, rows), min(stop_col + right, cols)
    part = slice(top * looks.rows, bottom * looks.rows), slice(left * looks.cols, far * looks.cols)
    block = estimator.estimate(
        first[part], second[part], slice(start_row - top, stop_row - top), slice(start_col - left, stop_col - left)
    )
    np.testing.assert_array_equal(block, whole[start_row:stop_row, start_col:stop_col])


def test_wide_images_are_joined_at_the_strips():
    random = np.random.default_rng(6)
    first, second = speckle_pair(random, (5, kernels.STRIP + 40), 0.5)
    np.testing.assert_allclose(
        estimate_coherence(first, second, (3, 7)), plain_coherence(first, second, (3, 7)), rtol=0, atol=1e-6
    )


def test_missing_samples_and_edges():
    first, second = speckle_pair(np.random.default_rng(7), (9, 9), 0.9)
    first[4, 4] = 0
    estimated = estimate_coherence(first, second, (3, 3))
    assert np.isnan(estimated[4, 4])
    assert np.isfinite(np.delete(estimated.ravel(), 4 * 9 + 4)).all()  # eight of nine samples, four at the corners
    second[:, :5] = np.nan
    estimated = estimate_coherence(first, second, (3, 3))
    assert np.isnan(estimated[:, :5]).all()
    assert np.isfinite(estimated[:, 5:]).all()  # six of nine
    first[:] = 0
    assert np.isnan(estimate_coherence(first, second)).all()


def test_double_precision_and_views_are_accepted():
    first, second = speckle_pair(np.random.default_rng(8), (20, 24), 0.5)
    expected = plain_coherence(first[::2], second[::2], (5, 5))
    estimated = estimate_coherence(first.astype(np.complex128)[::2], second.astype(np.complex128)[::2])
    np.testing.assert_allclose(estimated, expected, rtol=0, atol=1e-6)
    assert estimate_coherence(first, first).min() > 1.0 - 1e-6


def dirichlet(step, size):
    return abs(np.sin(size * step / 2) / (size * np.sin(step / 2)))


@pytest.mark.parametrize("window", [(3, 3), (5, 5), (5, 9)])
def test_a_fringe_lowers_coherence_by_the_closed_form_and_its_removal_restores_it(window):
    row, col = np.mgrid[:30, :40]
    across, down = 0.55, -0.35
    first = np.exp(1j * (across * col + down * row)).astype(np.complex64)
    second = np.ones_like(first)
    lowered = estimate_coherence(first, second, window)[8:-8, 8:-8]
    np.testing.assert_allclose(lowered, dirichlet(down, window[0]) * dirichlet(across, window[1]), atol=1e-6)
    np.testing.assert_allclose(estimate_coherence(first, second, window, remove_fringe=True), 1.0, atol=1e-6)


def test_removal_of_a_fringe_in_speckle_and_what_it_costs():
    random = np.random.default_rng(9)
    row, col = np.mgrid[:200, :300]
    fringe = np.exp(1j * (1.1 * col - 0.6 * row)).astype(np.complex64)
    first, second = speckle_pair(random, row.shape, 0.8)
    assert estimate_coherence(first, second * fringe).mean() < 0.25
    assert estimate_coherence(first, second * fringe, remove_fringe=True).mean() == pytest.approx(0.8, abs=0.03)
    first, second = speckle_pair(random, row.shape, 0.5)
    assert estimate_coherence(first, second * fringe, remove_fringe=True).mean() == pytest.approx(0.47, abs=0.02)
    first, second = speckle_pair(random, row.shape, 0.0)
    assert estimate_coherence(first, second).mean() == pytest.approx(0.18, abs=0.005)
    assert estimate_coherence(first, second, remove_fringe=True).mean() == pytest.approx(0.20, abs=0.01)


@pytest.mark.parametrize("truth", [0.0, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("window", [(3, 3), (5, 5)])
def test_simulated_speckle_has_the_expected_coherence(window, truth):
    first, second = speckle_pair(np.random.default_rng(10), (600, 600), truth)
    mean = estimate_coherence(first, second, window).mean(dtype=np.float64)
    assert mean == pytest.approx(float(expected_coherence(truth, window[0] * window[1])), abs=0.003)


def test_expected_coherence_is_the_mean_of_its_distribution():
    from scipy.integrate import quad
    from scipy.special import hyp2f1

    looks, truth = 9, 0.6

    def density(value):
        shape = 2 * (looks - 1) * (1 - truth**2) ** looks * value * (1 - value**2) ** (looks - 2)
        return shape * hyp2f1(looks, looks, 1, (value * truth) ** 2)

    assert expected_coherence(truth, looks) == pytest.approx(quad(lambda x: x * density(x), 0, 1)[0], abs=1e-8)
    assert float(expected_coherence(0.0, looks)) == coherence_floor(looks)
    assert coherence_floor(1.0) == pytest.approx(1.0)
    np.testing.assert_allclose(expected_coherence([0.3, 0.99, 1.0], 1.0), 1.0)


@pytest.mark.parametrize("looks", [2.0, 9.0, 25.0, 441.0])
def test_bias_is_taken_out_again(looks):
    truth = np.linspace(0.0, 1.0, 41)
    expected = expected_coherence(truth, looks)
    assert (np.diff(expected) > 0).all()
    np.testing.assert_allclose(unbias_coherence(expected, looks), truth, atol=2e-4)
    below = unbias_coherence(np.array([[0.0, coherence_floor(looks) / 2, np.nan]]), looks)
    np.testing.assert_array_equal(below, [[0.0, 0.0, np.nan]])


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (OptionError, lambda image: estimate_coherence(image, image, (4, 5))),
        (OptionError, lambda image: estimate_coherence(image, image, looks=(0, 1))),
        (OptionError, lambda image: CoherenceEstimator(least_share=0.0)),
        (InputError, lambda image: estimate_coherence(image, image[:-1])),
        (InputError, lambda image: estimate_coherence(image, image.real)),
        (OptionError, lambda image: coherence_floor(0.5)),
        (OptionError, lambda image: unbias_coherence(image.real, 1.0)),
    ],
)
def test_bad_input_is_named(error, call):
    with pytest.raises(error):
        call(np.ones((8, 9), np.complex64))


def test_estimators_are_sent_to_workers():
    estimator = CoherenceEstimator(Window(3, 5), Looks(2, 1), remove_fringe=True)
    assert pickle.loads(pickle.dumps(estimator)) == estimator
    assert estimator.reach == (3, 6)
