"""The chain: sequential fits, one subtraction, unknown pixels, and what it reports."""

import json
import pickle
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from insar.corrections.chain import apparent_at, fit_corrections
from insar.corrections.height import HeightCorrection
from insar.corrections.ramp import RampCorrection
from insar.errors import InputError
from insar.kernels.corrections import subtract_relative

from .scenes import DATES, geographic, hills, make_stack, sample_of

SHAPE = (60, 50)
REFERENCE = ([30, 30, 31], [20, 21, 20])


@dataclass(frozen=True)
class Known:
    """A correction that is known from outside: both the correction and its fit."""

    field_m: NDArray
    name: str = "known"
    facts: dict[str, Any] = field(default_factory=dict)

    def fit(self, sample):
        return self

    def apparent_displacement(self, rows, cols):
        return self.field_m[:, rows, cols]


def _fields(seed=0):
    """Known field, delay by height and ramp, (date, row, col) m each, and the heights."""
    random = np.random.default_rng(seed)
    height = hills(*SHAPE)
    delay = random.normal(0, 3e-5, len(DATES))[:, None, None] * (height - 500.0)
    row, col = np.mgrid[: SHAPE[0], : SHAPE[1]] / 60.0
    ramp = random.normal(0, 0.02, len(DATES))[:, None, None] * row + 0.01 * col
    known = random.normal(0, 0.01, (len(DATES), *SHAPE))
    return known, delay, ramp, height


def _relative(series):
    reference = series[:, *REFERENCE].mean(axis=1)
    relative = series - reference[:, None, None]
    return relative - relative[0]


def _chain(noise_m=0.001):
    known, delay, ramp, height = _fields()
    noise = np.random.default_rng(9).normal(0, noise_m, known.shape)
    series = _relative(known + delay + ramp + noise)
    stack = make_stack(geographic(*SHAPE), height=height)
    steps = [Known(known), HeightCorrection(stack), RampCorrection(SHAPE)]
    chain = fit_corrections(stack, steps, sample_of(series, step=2), *REFERENCE)
    return chain, series.astype(np.float32), _relative(noise)


def test_all_is_subtracted_but_the_noise():
    chain, series, noise = _chain()
    chain.apply(series, slice(0, 60))
    assert np.abs(series - noise).max() < 0.0007  # m, of coefficients fitted to noise of 1 mm (1.4 mm relative)
    assert np.sqrt(np.mean((series - noise) ** 2)) < 0.00015
    assert np.array_equal(series[0], np.zeros(SHAPE))
    np.testing.assert_allclose(series[:, *REFERENCE].mean(axis=1), 0.0, atol=1e-7)


def test_exact_without_noise():
    chain, series, _ = _chain(noise_m=0.0)
    chain.apply(series, slice(0, 60))
    assert np.abs(series).max() < 3e-8


def test_blocks_do_not_matter(monkeypatch):
    chain, series, _ = _chain()
    whole = series.copy()
    chain.apply(whole, slice(0, 60))
    monkeypatch.setattr("insar.corrections.chain.SAMPLES_AT_ONCE", 7 * 50 * len(DATES))
    again = pickle.loads(pickle.dumps(chain))
    for start, stop in ((0, 23), (23, 24), (24, 60)):
        block = series[:, start:stop].copy()
        again.apply(block, slice(start, stop))
        assert block.tobytes() == whole[:, start:stop].tobytes()


def test_each_step_reports_what_it_does():
    chain, series, _noise = _chain()
    facts = chain.facts
    assert [step["name"] for step in facts] == ["known", "height", "ramp"]
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    spreads = [facts[0]["rms_before_m"]] + [step["rms_after_m"] for step in facts]
    assert spreads == sorted(spreads, reverse=True)
    assert [step["rms_before_m"] for step in facts[1:]] == [step["rms_after_m"] for step in facts[:-1]]
    sampled = series[:, ::2, ::2].reshape(len(DATES), -1)
    np.testing.assert_allclose(facts[0]["rms_before_per_date_m"], sampled.std(axis=1), rtol=0.02, atol=1e-9)
    # At the end the noise is left, that of a date and of the first.
    assert spreads[-1] == pytest.approx(0.001 * np.sqrt(2), rel=0.03)
    assert facts[-1]["rms_after_m"] == pytest.approx(np.sqrt(np.mean(np.square(facts[-1]["rms_after_per_date_m"][1:]))))
    assert facts[0]["unknown_share"] == 0.0


def test_moving_and_incoherent_pixels_do_not_count_in_the_report():
    years = np.array([(day - DATES[0]).days for day in DATES]) / 365.25
    noise = np.random.default_rng(9).normal(0, 0.001, (len(DATES), *SHAPE))
    moving = np.zeros(SHAPE)
    moving[:15] = 0.2
    coherence = np.ones(SHAPE)
    coherence[50:] = 0.3
    noise[:, 50:] *= 50
    series = noise + years[:, None, None] * moving
    chain = fit_corrections(
        make_stack(geographic(*SHAPE)),
        [Known(np.zeros(noise.shape))],
        sample_of(series, coherence=coherence),
        [30],
        [20],
    )
    assert chain.facts[0]["rms_before_m"] == pytest.approx(0.001 * np.sqrt(2), rel=0.02)


def test_unknown_anywhere_is_unknown_everywhere_and_counted():
    known, *_ = _fields()
    known[4, :6] = np.nan  # one date does not reach the first rows
    stack = make_stack(geographic(*SHAPE))
    series = np.ones((len(DATES), *SHAPE), np.float32)
    chain = fit_corrections(stack, [Known(known)], sample_of(np.zeros(series.shape)), *REFERENCE)
    chain.apply(series, slice(0, 60))
    assert np.isnan(series[:, :6]).all()
    assert np.isfinite(series[:, 6:]).all()
    assert chain.facts[0]["unknown_share"] == pytest.approx(0.1)


def test_series_without_data_stay_unknown():
    known, *_ = _fields()
    series = np.zeros((len(DATES), *SHAPE), np.float32)
    series[:, 3, 4] = np.nan
    chain = fit_corrections(make_stack(geographic(*SHAPE)), [Known(known)], sample_of(series), *REFERENCE)
    assert chain.facts[0]["unknown_share"] == 0.0
    chain.apply(series, slice(0, 60))
    assert np.isnan(series[:, 3, 4]).all()
    assert np.isnan(series).sum() == len(DATES)


def test_a_correction_unknown_at_the_reference_is_refused():
    known, *_ = _fields()
    known[:, 30:32] = np.nan
    with pytest.raises(InputError, match=r"correction known: required a value at the reference.*row 30, column 20"):
        fit_corrections(make_stack(geographic(*SHAPE)), [Known(known)], sample_of(known), *REFERENCE)


def test_a_correction_known_at_the_reference_alone_is_refused():
    known = np.full((len(DATES), *SHAPE), np.nan)
    known[:, 31, 21] = 0.0
    with pytest.raises(InputError, match="none at any of the"):
        fit_corrections(
            make_stack(geographic(*SHAPE)), [Known(known)], sample_of(np.zeros(known.shape), step=2), [31], [21]
        )


def test_no_corrections_change_nothing():
    series = np.random.default_rng(0).normal(size=(len(DATES), *SHAPE)).astype(np.float32)
    chain = fit_corrections(make_stack(geographic(*SHAPE)), [], sample_of(series), *REFERENCE)
    before = series.copy()
    chain.apply(series, slice(0, 60))
    assert np.array_equal(series, before)
    assert chain.facts == []


def test_points_in_any_order():
    known, *_ = _fields()
    rows, cols = np.array([5, 2, 5, 59]), np.array([40, 0, 3, 49])
    assert np.array_equal(apparent_at(Known(known), rows, cols), known[:, rows, cols])


def test_subtraction_kernel_agrees_with_plain_numpy():
    random = np.random.default_rng(2)
    series, apparent, reference = random.normal(size=(5, 40)), random.normal(size=(5, 40)), random.normal(size=5)
    apparent[3, 7] = np.nan
    expected = series - ((apparent - apparent[0]) - (reference - reference[0])[:, None])
    expected[:, 7] = np.nan
    for function in (subtract_relative, subtract_relative.py_func):
        result = series.copy()
        function(result, apparent, reference)
        np.testing.assert_array_equal(result, expected)
