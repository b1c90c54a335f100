"""Medians and mean amplitudes against plain NumPy in float64; windows around an event."""

from __future__ import annotations

import warnings
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insar.backscatter import (
    EventWindows,
    Scale,
    Span,
    common_scale,
    mean_amplitude,
    median_backscatter,
    to_decibels,
)
from insar.errors import OptionError

FACTORS = {Scale.POWER: 10.0, Scale.AMPLITUDE: 20.0}
EVENT = date(2023, 5, 16)


def plain_decibels(images, scale):
    values = images.astype(np.float64)
    if scale is Scale.DECIBEL:
        return np.where(np.isfinite(values), values, np.nan)
    values[~(np.isfinite(values) & (values > 0))] = np.nan
    return FACTORS[scale] * np.log10(values)


def plain_median(images, scale, min_images=1):
    decibels = plain_decibels(images, scale)
    counts = np.isfinite(decibels).sum(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pixels without data
        median = np.nanmedian(decibels, axis=0)
    return np.where(counts >= min_images, median, np.nan), counts


def images_of(count, scale, seed=0, shape=(23, 31)):
    """Speckled images with gaps, zeros, and where they are linear a few negative values."""
    random = np.random.default_rng(seed)
    power = random.gamma(4.0, 0.02, (count, *shape))
    values = {Scale.POWER: power, Scale.AMPLITUDE: np.sqrt(power), Scale.DECIBEL: 10 * np.log10(power)}[scale]
    values = values.astype(np.float32)
    values[random.random(values.shape) < 0.3] = np.nan
    if scale is not Scale.DECIBEL:
        values[random.random(values.shape) < 0.05] = 0.0
        values[random.random(values.shape) < 0.02] *= -1.0
    values[:, 0, 0] = np.nan
    values[random.random(values.shape) < 0.02] = np.inf
    return values


@pytest.mark.parametrize("scale", list(Scale))
@pytest.mark.parametrize("count", [1, 2, 3, 8, 11, 12, 13, 30, 31, 97, 100])
def test_median_is_that_of_numpy(scale, count):
    images = images_of(count, scale, seed=count)
    found = median_backscatter(images, scale, min_images=min(3, count))
    expected, counts = plain_median(images, scale, min(3, count))
    np.testing.assert_allclose(found.decibels, expected, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(found.images, counts)
    assert np.isnan(found.decibels[0, 0])


@given(
    values=st.lists(st.sampled_from([-30.0, -12.5, -12.25, -7.0, 0.0, float("nan")]), min_size=1, max_size=60),
)
def test_median_of_repeated_values(values):
    images = np.array(values, np.float32)[:, None, None]
    expected, _ = plain_median(images, Scale.DECIBEL)
    np.testing.assert_array_equal(median_backscatter(images, Scale.DECIBEL).decibels, expected)


@pytest.mark.parametrize("order", ["rising", "falling", "organ pipe"])
def test_median_of_ordered_images(order):
    ramp = np.linspace(-25.0, -3.0, 101)
    pipe = np.concatenate([ramp[::2], ramp[1::2][::-1]])
    images = {"rising": ramp, "falling": ramp[::-1], "organ pipe": pipe}[order].astype(np.float32)[:, None, None]
    assert median_backscatter(images, Scale.DECIBEL).decibels[0, 0] == np.float32(ramp[50])


def test_median_of_two_is_taken_in_decibels():
    images = np.array([0.01, 0.1], np.float32)[:, None, None]
    assert median_backscatter(images, Scale.POWER).decibels[0, 0] == pytest.approx(-15.0, abs=1e-6)


def test_units_agree():
    power = images_of(9, Scale.POWER)
    power[~(power > 0)] = np.nan
    by_power = median_backscatter(power, Scale.POWER).decibels
    by_amplitude = median_backscatter(np.sqrt(power), Scale.AMPLITUDE).decibels
    by_decibel = median_backscatter(to_decibels(power, Scale.POWER), Scale.DECIBEL).decibels
    np.testing.assert_allclose(by_amplitude, by_power, atol=2e-6)
    np.testing.assert_allclose(by_decibel, by_power, atol=2e-6)


@pytest.mark.parametrize("scale", list(Scale))
def test_blocks_make_no_difference(scale):
    images = images_of(14, scale)
    whole = median_backscatter(images, scale)
    mean = mean_amplitude(images, scale)
    for rows in (slice(0, 1), slice(1, 8), slice(8, 23)):
        np.testing.assert_array_equal(median_backscatter(images[:, rows], scale).decibels, whole.decibels[rows])
        np.testing.assert_array_equal(mean_amplitude(images[:, rows], scale), mean[rows])


@pytest.mark.parametrize("scale", list(Scale))
def test_mean_amplitude_is_that_of_numpy(scale):
    images = images_of(12, scale)
    amplitude = 10.0 ** (plain_decibels(images, scale) / 20.0)
    counts = np.isfinite(amplitude).sum(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = np.where(counts >= 4, 20.0 * np.log10(np.nanmean(amplitude, axis=0)), np.nan)
    np.testing.assert_allclose(mean_amplitude(images, scale, min_images=4), expected, rtol=0, atol=1e-11)


def test_mean_amplitude_of_speckle_is_below_that_of_the_power():
    # Amplitude of one-look speckle is Rayleigh: its mean is sqrt(pi)/2 of the root of the mean power, -1.05 dB.
    # The tolerance is four times the deviation of the mean.
    power = np.random.default_rng(3).exponential(0.05, (400, 40, 40)).astype(np.float32)
    found = mean_amplitude(power, Scale.POWER).mean()
    assert found - 10 * np.log10(0.05) == pytest.approx(20 * np.log10(np.sqrt(np.pi) / 2), abs=0.025)


def test_kernels_uncompiled_are_the_same(monkeypatch):
    import insar.kernels.backscatter as kernels

    images = images_of(17, Scale.POWER, shape=(4, 5))
    expected = median_backscatter(images, Scale.POWER)
    for name in ("_order_up_to", "_decibels"):
        monkeypatch.setattr(kernels, name, getattr(kernels, name).py_func)
    median, counts = np.empty((4, 5)), np.empty((4, 5), np.int64)
    with np.errstate(over="ignore"):
        kernels.median_decibels.py_func(images, 10.0, 1, median, counts)
    np.testing.assert_allclose(median, expected.decibels, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(counts, expected.images)


def test_images_of_different_units_are_read_as_decibels():
    assert common_scale([Scale.POWER, Scale.POWER]) is Scale.POWER
    assert common_scale([Scale.POWER, Scale.AMPLITUDE]) is Scale.DECIBEL


def test_windows_hold_both_ends():
    windows = EventWindows(EVENT)
    days = {offset: EVENT + timedelta(offset) for offset in (-366, -365, -12, -11, 0, 11, 12, 60, 61)}
    assert [offset for offset, day in days.items() if day in windows.pre] == [-365, -12]
    assert [offset for offset, day in days.items() if day in windows.post] == [12, 60]


def test_shortest_windows_leave_out_the_day_of_the_event():
    windows = EventWindows(EVENT, pre_days=(1, 1), post_days=(1, 1))
    assert EVENT not in windows.pre
    assert EVENT not in windows.post
    assert windows.pre == Span(date(2023, 5, 15), date(2023, 5, 15))


@pytest.mark.parametrize(
    ("options", "subject"),
    [
        ({"pre_days": (12, 365)}, "--pre-days"),
        ({"pre_days": (30, 0)}, "--pre-days"),
        ({"post_days": (60, 12)}, "--post-days"),
        ({"post_days": (0, 12)}, "--post-days"),
    ],
)
def test_windows_that_mean_nothing_are_refused(options, subject):
    with pytest.raises(OptionError) as caught:
        EventWindows(EVENT, **options)
    assert caught.value.subject == subject
