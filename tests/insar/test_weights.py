"""Phase variance of a distributed scatterer against its limits and against simulated speckle."""

from __future__ import annotations

import numpy as np
import pytest

from insar.errors import OptionError
from insar.weights import Weighting, phase_variance, sample_weights, weight_table


@pytest.mark.parametrize("looks", [1, 4.5, 20, 300])
def test_limits(looks):
    assert phase_variance(0.0, looks) == pytest.approx(np.pi**2 / 3, rel=1e-6)
    assert phase_variance(1.0, looks) == 0.0
    assert np.isnan(phase_variance(np.nan, looks))


def test_many_looks_approach_the_cramer_rao_bound():
    coherence = np.array([0.4, 0.6, 0.8, 0.95])
    bound = (1 - coherence**2) / (2 * 2000 * coherence**2)
    np.testing.assert_allclose(phase_variance(coherence, 2000), bound, rtol=5e-3)


@pytest.mark.parametrize("looks", [1, 5, 25])
@pytest.mark.parametrize("coherence", [0.2, 0.6, 0.9])
def test_simulated_speckle(looks, coherence):
    random = np.random.default_rng(11)
    first, other = (
        random.standard_normal((looks, 150_000)) + 1j * random.standard_normal((looks, 150_000)) for _ in range(2)
    )
    second = coherence * first + np.sqrt(1 - coherence**2) * other
    phase = np.angle(np.sum(first * second.conj(), axis=0))
    # The sample variance of heavy-tailed phases scatters by a per cent.
    assert phase_variance(coherence, looks) == pytest.approx(np.mean(phase**2), rel=0.03)


def test_single_look_closed_form():
    # pi^2/3 - pi asin(c) + asin(c)^2 - Li2(c^2)/2 for one look (Bamler & Hartl 1998).
    from scipy.special import spence

    coherence = np.array([0.1, 0.5, 0.9, 0.99, 0.999])
    dilogarithm = spence(1 - coherence**2)
    expected = np.pi**2 / 3 - np.pi * np.arcsin(coherence) + np.arcsin(coherence) ** 2 - dilogarithm / 2
    np.testing.assert_allclose(phase_variance(coherence, 1), expected, rtol=1e-4)


def test_weights_by_their_formulas():
    coherence = np.array([0.1, 0.5, 0.9, 0.999, 1.0, np.nan])
    limited = np.minimum(coherence, 0.999)
    np.testing.assert_array_equal(sample_weights(coherence, Weighting.NONE), np.ones(6))
    np.testing.assert_array_equal(sample_weights(coherence, Weighting.COHERENCE), coherence)
    np.testing.assert_allclose(sample_weights(coherence, Weighting.VARIANCE, 10), 1 / phase_variance(limited, 10))
    np.testing.assert_allclose(
        sample_weights(coherence, Weighting.FISHER, 10), 20 * limited**2 / (1 - limited**2), rtol=1e-12
    )


@pytest.mark.parametrize("looks", [1, 9, 80, 2000])
@pytest.mark.parametrize("weighting", [Weighting.VARIANCE, Weighting.FISHER])
def test_the_table_is_interpolated_to_the_formula(weighting, looks):
    table = weight_table(weighting, looks)
    np.testing.assert_array_equal(table[0], 0.0)
    coherence = np.random.default_rng(5).uniform(0.02, 0.9989, 4000)
    at = coherence * (len(table) - 2) + 1
    cell = at.astype(int)
    found = (table[cell, 0] + (at - cell) * table[cell, 1]) / (1 - coherence**2)
    np.testing.assert_allclose(found, sample_weights(coherence, weighting, looks), rtol=5e-4 if looks == 1 else 5e-5)


def test_no_table_is_needed_for_coherence_itself():
    assert not weight_table(Weighting.COHERENCE, None).any()


def test_looks_are_required():
    with pytest.raises(OptionError, match="--looks"):
        weight_table(Weighting.VARIANCE, None)
    with pytest.raises(OptionError, match="looks"):
        phase_variance(0.5, 0.5)
