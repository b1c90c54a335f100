"""Sibling coherence: the rate of its test, edges of fields, gaps, and independence of blocks."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from speckle import speckle_history, speckle_pair, with_gaps

from insar.coherence import estimate_coherence
from insar.errors import InputError, OptionError
from insar.intensity_ratio import (
    LEVEL_MEMBERS,
    constant_covariance,
    decaying_covariance,
    log_ratio_quantile,
    ratio_bounds,
)
from insar.kernels import siblings as kernels
from insar.siblings import SiblingEstimator
from insar.temporal_coherence import estimate_temporal_coherence
from insar.windows import ONE_LOOK, SIBLING_WINDOW, Looks, Window


def floored_covariance(images, coherence):
    """Coherence that is lost from image to image, to 0.3: between both that the critical values are made for."""
    decaying = 0.3 + 0.6 * decaying_covariance(images, coherence)
    return decaying + 0.1 * np.eye(images)


def inner(estimator, image):
    """Cells whose window does not meet the edge."""
    rows, cols = image.shape[0] // estimator.looks.rows, image.shape[1] // estimator.looks.cols
    down, right = estimator.reach
    return slice(down, rows - down), slice(right, cols - right)


def rejected_share(estimator, history):
    """Share of the pixels of a uniform field that are taken for different."""
    siblings = estimator.estimate(history, [], [], *inner(estimator, history[0])).siblings
    others = estimator.window.rows * estimator.window.cols - 1
    return 1.0 - (float(siblings.mean(dtype=np.float64)) - 1.0) / others


@pytest.mark.parametrize("coherence", [0.0, 0.5, 0.8])
@pytest.mark.parametrize("images", [6, 10, 20])
def test_the_stated_rate_is_kept_whatever_the_temporal_coherence(images, coherence):
    history = speckle_history(np.random.default_rng(11), (220, 220), constant_covariance(images, coherence))
    estimator = SiblingEstimator()
    assert rejected_share(estimator, history) == pytest.approx(estimator.false_rejection_rate, rel=0.1)


@pytest.mark.parametrize(
    ("covariance", "rate", "looks"),
    [
        (decaying_covariance(6, 0.8), 0.05, ONE_LOOK),
        (decaying_covariance(20, 0.9), 0.05, ONE_LOOK),
        (floored_covariance(10, 0.7), 0.05, ONE_LOOK),
        (constant_covariance(6, 0.5), 0.2, ONE_LOOK),
        (constant_covariance(8, 0.5), 0.01, ONE_LOOK),
        (decaying_covariance(8, 0.6), 0.05, Looks(1, 3)),
    ],
)
def test_the_rate_is_kept_where_coherence_decays_and_at_other_rates_and_looks(covariance, rate, looks):
    shape = 220 * looks.rows, 220 * looks.cols
    history = speckle_history(np.random.default_rng(12), shape, covariance)
    estimator = SiblingEstimator(false_rejection_rate=rate, looks=looks)
    assert rejected_share(estimator, history) == pytest.approx(rate, rel=0.1)


@pytest.mark.parametrize(("images", "gaps"), [(12, 0.2), (24, 0.35)])
def test_the_rate_is_kept_where_pixels_lack_different_images(images, gaps):
    random = np.random.default_rng(13)
    history = speckle_history(random, (220, 220), constant_covariance(images, 0.4))
    history[random.uniform(size=history.shape) < gaps] = np.nan
    estimator = SiblingEstimator(least_images=2)
    assert rejected_share(estimator, history) == pytest.approx(0.05, rel=0.1)


@pytest.mark.parametrize("images", [6, 15])
def test_ratios_of_independent_images_have_the_f_distribution(images):
    from scipy.stats import f as f_distribution

    for looks, exceeded, members in ((1.0, 0.025, 1), (2.5, 0.0005, 1), (1.0, 0.975, 16), (10.0, 0.1, 16)):
        freedom = 2 * images * looks
        expected = np.log(f_distribution.isf(exceeded, freedom, freedom * members))
        assert log_ratio_quantile(np.eye(images), looks, exceeded, members) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("members", [1, 16])
@pytest.mark.parametrize("covariance", [constant_covariance(6, 0.8), decaying_covariance(10, 0.9)])
def test_ratios_of_coherent_images_exceed_their_quantile_at_its_rate(covariance, members):
    random = np.random.default_rng(14)
    intensity = np.mean(np.abs(speckle_history(random, (40_000, members + 1), covariance)) ** 2, axis=0)
    ratio = np.log(intensity[:, 0] / intensity[:, 1:].mean(axis=1))
    for exceeded in (0.05, 0.95):
        share = np.mean(ratio > log_ratio_quantile(covariance, 1.0, exceeded, members))
        assert share == pytest.approx(exceeded, abs=0.004)


@pytest.mark.parametrize("coherence", [0.0, 0.4, 0.9])
def test_temporal_coherence_is_found_without_bias(coherence):
    history = speckle_history(np.random.default_rng(15), (150, 150), decaying_covariance(6, coherence))
    temporal = estimate_temporal_coherence(history, ONE_LOOK)
    near = coherence**2
    every = sum((6 - step) * coherence ** (2 * step) for step in range(1, 6)) / 15
    assert temporal.near_square.mean() == pytest.approx(near, abs=0.012)
    assert temporal.square.mean() == pytest.approx(every, abs=0.012)


def test_a_gentle_fringe_hides_little_of_the_temporal_coherence():
    random = np.random.default_rng(21)
    history = speckle_history(random, (120, 120), constant_covariance(6, 0.7))
    cycles = 0.02 * random.normal(size=(6, 1, 1)) * np.arange(120)
    fringes = np.exp(2j * np.pi * cycles).astype(np.complex64)
    square = estimate_temporal_coherence(history * fringes, ONE_LOOK).square.mean()
    assert 0.8 * 0.49 < square < 0.49


def plain_siblings(estimator, history, first, second):
    """Every pixel by itself, in float64; the critical values alone are those of the package."""
    looks = estimator.looks
    rows, cols = history.shape[1] // looks.rows, history.shape[2] // looks.cols

    def blocks(image):
        cut = image[: rows * looks.rows, : cols * looks.cols]
        return cut.reshape(rows, looks.rows, cols, looks.cols).transpose(0, 2, 1, 3).reshape(rows, cols, -1)

    power = np.array([np.mean(np.abs(blocks(image).astype(np.complex128)) ** 2, axis=-1) for image in history])
    there = np.array([np.all(np.isfinite(blocks(image)) & (blocks(image) != 0), axis=-1) for image in history])
    images = there.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        level = np.log(np.where(there, power, 0).sum(axis=0) / images)
    level[images < estimator.least_images] = np.nan
    temporal = estimate_temporal_coherence(history, looks)
    rates = estimator.false_rejection_rate / 2, estimator.false_rejection_rate
    bounds = ratio_bounds(
        np.where(images >= estimator.least_images, images, 0), looks.rows * looks.cols, temporal, *rates
    )
    common = np.clip(temporal.square, 0, 1)
    down, right = estimator.window.reach
    coherence, siblings = np.full((rows, cols), np.nan), np.zeros((rows, cols), int)
    one, other = blocks(first).astype(np.complex128), blocks(second).astype(np.complex128)
    valid = np.isfinite(one) & np.isfinite(other) & (one != 0) & (other != 0)
    one, other = np.where(valid, one, 0), np.where(valid, other, 0)
    for row in range(rows):
        for col in range(cols):
            near = np.zeros((rows, cols), bool)
            near[max(row - down, 0) : row + down + 1, max(col - right, 0) : col + right + 1] = True
            close = np.zeros((rows, cols), bool)
            close[max(row - 2, 0) : row + 3, max(col - 2, 0) : col + 3] = True
            close &= (level[row, col] - level) ** 2 <= (bounds.pair[row, col] ** 2 + bounds.pair**2) / 2
            if not close.any():
                continue
            field = np.log(np.mean(np.exp(level[close])))
            spread = (1 + 1 / close.sum()) / (1 + 1 / LEVEL_MEMBERS)
            own = common[row, col]
            with np.errstate(divide="ignore"):
                spread = np.sqrt(spread * (own + (1 - own) / images) / (own + (1 - own) / images[row, col]))
                low, high = bounds.below[row, col] * spread, bounds.above[row, col] * spread
            alike = near & (level - field >= low) & (level - field <= high)
            alike[row, col] = True
            siblings[row, col] = alike.sum()
            if valid[row, col].any() and (alike & valid.any(axis=-1)).sum() >= estimator.least_siblings:
                a, b = one[alike], other[alike]
                total = np.sqrt(np.sum(np.abs(a) ** 2) * np.sum(np.abs(b) ** 2))
                coherence[row, col] = abs(np.sum(a * np.conj(b))) / total
    return coherence, siblings


@pytest.mark.parametrize("looks", [ONE_LOOK, Looks(2, 3)])
def test_coherence_is_that_of_plain_numpy(looks):
    random = np.random.default_rng(16)
    shape = 24 * looks.rows + looks.rows - 1, 30 * looks.cols
    brightness = np.where(random.uniform(size=shape) < 0.5, 1.0, 3.0).astype(np.float32)
    history = speckle_history(random, shape, constant_covariance(8, 0.3)) * brightness
    history = np.array([with_gaps(random, image, 0.05 / looks.rows / looks.cols) for image in history])
    pairs = [speckle_pair(random, shape, coherence) for coherence in (0.3, 0.7)]
    firsts = [with_gaps(random, pair[0]) for pair in pairs]
    seconds = [pair[1] * brightness for pair in pairs]
    estimator = SiblingEstimator(Window(7, 9), looks=looks)
    whole = slice(0, 24), slice(0, 30)
    found = estimator.estimate(history, firsts, seconds, *whole)
    assert 0 < np.isnan(found.coherence).sum() < found.coherence.size / 2
    for number, (first, second) in enumerate(zip(firsts, seconds, strict=True)):
        coherence, siblings = plain_siblings(estimator, history, first, second)
        np.testing.assert_array_equal(found.siblings, siblings)
        np.testing.assert_allclose(found.coherence[number], coherence, rtol=0, atol=1e-6)


def test_uncompiled_kernels_give_the_same(monkeypatch):
    random = np.random.default_rng(17)
    history = speckle_history(random, (14, 16), constant_covariance(6, 0.3))
    history[2] = with_gaps(random, history[2])
    first, second = speckle_pair(random, (14, 16), 0.6)
    estimator = SiblingEstimator(Window(5, 7))
    block = slice(0, 14), slice(2, 16)
    compiled = estimator.estimate(history, [first], [second], *block)
    for name in [name for name in vars(kernels) if hasattr(getattr(kernels, name), "py_func")]:
        plain = getattr(kernels, name).py_func
        monkeypatch.setattr(kernels, name, plain)
        monkeypatch.setattr("insar.siblings." + name, plain, raising=False)
    with np.errstate(all="ignore"):
        plain = estimator.estimate(history, [first], [second], *block)
    np.testing.assert_array_equal(plain.siblings, compiled.siblings)
    np.testing.assert_allclose(plain.coherence, compiled.coherence, rtol=2e-7)


@settings(max_examples=20)
@given(data=st.data())
def test_blocks_with_their_halo_give_the_bits_of_the_whole(data):
    looks = Looks(data.draw(st.integers(1, 2)), data.draw(st.integers(1, 2)))
    estimator = SiblingEstimator(Window(5, 7), looks=looks)
    random = np.random.default_rng(18)
    history = speckle_history(random, (50, 60), constant_covariance(7, 0.5))
    history = np.array([with_gaps(random, image, 0.05) for image in history])
    first, second = speckle_pair(random, (50, 60), 0.5)
    rows, cols = 50 // looks.rows, 60 // looks.cols
    whole = estimator.estimate(history, [first], [second], slice(0, rows), slice(0, cols))
    start_row, start_col = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, cols - 1))
    stop_row, stop_col = data.draw(st.integers(start_row + 1, rows)), data.draw(st.integers(start_col + 1, cols))
    down, right = estimator.reach
    top, left = max(start_row - down, 0), max(start_col - right, 0)
    bottom, far = min(stop_row + down, rows), min(stop_col + right, cols)
    part = slice(top * looks.rows, bottom * looks.rows), slice(left * looks.cols, far * looks.cols)
    block = estimator.estimate(
        history[:, part[0], part[1]],
        [first[part]],
        [second[part]],
        slice(start_row - top, stop_row - top),
        slice(start_col - left, stop_col - left),
    )
    np.testing.assert_array_equal(block.coherence, whole.coherence[:, start_row:stop_row, start_col:stop_col])
    np.testing.assert_array_equal(block.siblings, whole.siblings[start_row:stop_row, start_col:stop_col])


def two_fields(random, images, covariance):
    """Left of column 60 dark and coherent 0.2, right of it four times as bright and coherent 0.8."""
    shape = 160, 120
    right = np.arange(shape[1]) >= 60
    truth = np.broadcast_to(np.where(right, 0.8, 0.2), shape)
    amplitude = np.where(right, 2.0, 1.0).astype(np.float32)
    fields = [speckle_history(random, shape, covariance(images, coherence)) for coherence in (0.2, 0.8)]
    history = np.where(right, fields[1], fields[0]) * amplitude
    pairs = [speckle_pair(random, shape, coherence) for coherence in (0.2, 0.8)]
    first, second = (np.where(right, pairs[1][side], pairs[0][side]) * amplitude for side in range(2))
    return truth, history, first, second


def independent(images, _):
    return np.eye(images)


@pytest.mark.parametrize(
    ("covariance", "images", "sought", "window", "share"),
    [
        (independent, 6, Window(15, 15), (5, 5), 0.8),
        (independent, 6, Window(15, 15), (15, 15), 0.6),
        (independent, 20, Window(15, 15), (5, 5), 0.3),
        (decaying_covariance, 6, Window(15, 15), (15, 15), 0.8),
        (decaying_covariance, 10, Window(15, 15), (5, 5), 1.0),
        (decaying_covariance, 20, Window(15, 15), (5, 5), 0.7),
        (decaying_covariance, 20, Window(15, 15), (15, 15), 0.5),
        (constant_covariance, 6, Window(15, 15), (15, 15), 0.9),
        (independent, 6, SIBLING_WINDOW, (5, 5), 1.0),
        (independent, 20, SIBLING_WINDOW, (5, 5), 0.4),
        (decaying_covariance, 6, SIBLING_WINDOW, (15, 15), 0.9),
        (decaying_covariance, 20, SIBLING_WINDOW, (5, 5), 0.9),
    ],
)
def test_siblings_beat_the_boxcar_at_the_edge_of_a_field(covariance, images, sought, window, share):
    truth, history, first, second = two_fields(np.random.default_rng(19), images, covariance)
    whole = slice(0, truth.shape[0]), slice(0, truth.shape[1])
    siblings = SiblingEstimator(sought).estimate(history, [first], [second], *whole).coherence[0]
    boxcar = estimate_coherence(first, second, window)
    edge = slice(60 - window[1] // 2, 60 + window[1] // 2)

    def error(estimated):
        return np.sqrt(np.nanmean((estimated - truth)[10:-10, edge] ** 2, dtype=np.float64))

    assert np.isfinite(siblings).mean() > 0.99
    assert error(siblings) < share * error(boxcar)


def test_gaps():
    random = np.random.default_rng(20)
    history = speckle_history(random, (60, 60), constant_covariance(7, 0.0))
    first, second = speckle_pair(random, (60, 60), 0.5)
    history[:2, 10, 10] = 0  # five images left
    history[3, 20, 20] = np.nan  # six left
    first[30, 30] = 0
    second[:, 45:] = 0
    found = SiblingEstimator(Window(15, 15)).estimate(history, [first], [second], slice(0, 60), slice(0, 60))
    assert found.siblings[10, 10] == 0
    assert np.isnan(found.coherence[0, 10, 10])
    assert np.isfinite(found.coherence[0, 20, 20])
    assert np.isnan(found.coherence[0, 30, 30])
    assert found.siblings[30, 30] > 150
    assert np.isnan(found.coherence[0, :, 45:]).all()
    assert np.isfinite(found.coherence[0, :, 43:45]).all()
    strict = SiblingEstimator(Window(15, 15), least_siblings=120)
    at_corner = strict.estimate(history, [first], [second], slice(0, 60), slice(0, 60)).coherence[0]
    assert np.isnan(at_corner[0, 0])
    assert np.isfinite(at_corner[25, 25])


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (OptionError, lambda images: SiblingEstimator(Window(4, 5))),
        (OptionError, lambda images: SiblingEstimator(false_rejection_rate=1.0)),
        (OptionError, lambda images: SiblingEstimator(least_siblings=1000)),
        (OptionError, lambda images: SiblingEstimator(least_images=1)),
        (InputError, lambda images: SiblingEstimator().estimate(images[:5], [], [], slice(0, 8), slice(0, 9))),
        (InputError, lambda images: SiblingEstimator().estimate(images.real, [], [], slice(0, 8), slice(0, 9))),
        (
            InputError,
            lambda images: SiblingEstimator().estimate(images, [images[0]], [images[1, :-1]], slice(0, 8), slice(0, 9)),
        ),
    ],
)
def test_bad_input_is_named(error, call):
    with pytest.raises(error):
        call(np.ones((6, 8, 9), np.complex64))


def test_estimators_are_sent_to_workers():
    estimator = SiblingEstimator(Window(9, 11), 0.1, looks=Looks(1, 4))
    assert pickle.loads(pickle.dumps(estimator)) == estimator
    assert estimator.reach == (7, 7)  # that of the level and of the temporal coherence around it
