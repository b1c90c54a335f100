"""The linear rate against SciPy's regression."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from scipy import stats

from insar.velocity import fit_rate

DATES = tuple(date(2019, 3, 1) + timedelta(days=days) for days in (0, 12, 24, 60, 61, 300, 365, 731))
YEARS = np.array([(day - DATES[0]).days for day in DATES]) / 365.25


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
    assert rate.velocity_std[0] < 1e-12


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
