from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import scipy.integrate
import scipy.special
from numpy.typing import NDArray

from insar.simulate import SimulationParameters
from insar.simulate.decorrelation import draw_speckle, expected_coherence


def phase_density(phase: float, coherence: float, looks: int) -> float:
    """Interferometric phase of a distributed scatterer (Lee et al., 1994, eq. 13)."""
    beta = coherence * np.cos(phase)
    first = (
        scipy.special.gamma(looks + 0.5)
        * (1 - coherence**2) ** looks
        * beta
        / (2 * np.sqrt(np.pi) * scipy.special.gamma(looks) * (1 - beta**2) ** (looks + 0.5))
    )
    second = (1 - coherence**2) ** looks / (2 * np.pi) * scipy.special.hyp2f1(looks, 1, 0.5, beta**2)
    return float(first + second)


def phase_variance(coherence: float, looks: int) -> float:
    return float(
        scipy.integrate.quad(lambda phase: phase**2 * phase_density(phase, coherence, looks), -np.pi, np.pi)[0]
    )


@pytest.mark.parametrize("looks", [1, 4, 20, 100])
@pytest.mark.parametrize("coherence", [0.2, 0.5, 0.85])
def test_phase_variance_is_that_of_the_distributed_scatterer(looks: int, coherence: float) -> None:
    truth = np.full((400, 500), coherence, np.float32)
    noise = draw_speckle(np.random.default_rng(1), truth, looks).phase_noise_rad
    assert noise.dtype == np.float32
    assert noise.mean() == pytest.approx(0.0, abs=0.01)
    assert noise.var(dtype=np.float64) == pytest.approx(phase_variance(coherence, looks), rel=0.02)


def test_phase_density_is_that_of_the_distributed_scatterer() -> None:
    noise = draw_speckle(np.random.default_rng(2), np.full((500, 500), 0.6, np.float32), 3).phase_noise_rad
    edges = np.linspace(-np.pi, np.pi, 25)
    counts, _ = np.histogram(noise, edges)
    expected = [
        noise.size * scipy.integrate.quad(phase_density, low, high, args=(0.6, 3))[0]
        for low, high in itertools.pairwise(edges)
    ]
    chi_square = float(((counts - expected) ** 2 / np.array(expected)).sum())
    assert chi_square < 49.7  # 0.1 % of chi-square with 23 degrees of freedom


def speckle_by_looks(rng: np.random.Generator, coherence: float, looks: int, size: int) -> NDArray[np.complex128]:
    """Complex coherence of `looks` pairs of speckle, drawn one by one."""

    def circular() -> NDArray[np.complex128]:
        return (rng.standard_normal((looks, size)) + 1j * rng.standard_normal((looks, size))) / np.sqrt(2)

    first, other = circular(), circular()
    second = coherence * first + np.sqrt(1 - coherence**2) * other
    cross = (second * first.conj()).sum(axis=0)
    return cross / np.sqrt((abs(first) ** 2).sum(axis=0) * (abs(second) ** 2).sum(axis=0))


@pytest.mark.parametrize(("looks", "coherence"), [(2, 0.3), (5, 0.7), (12, 0.1)])
def test_agrees_with_speckle_drawn_look_by_look(looks: int, coherence: float) -> None:
    size = 200_000
    direct = speckle_by_looks(np.random.default_rng(7), coherence, looks, size)
    drawn = draw_speckle(np.random.default_rng(8), np.full((1, size), coherence, np.float32), looks)
    for moment in (1, 2, 4):
        assert (drawn.coherence**moment).mean() == pytest.approx((abs(direct) ** moment).mean(), rel=0.01)
    assert abs(drawn.phase_noise_rad).mean() == pytest.approx(abs(np.angle(direct)).mean(), rel=0.01)
    # Phase and estimated coherence are drawn together: a high estimate goes with little noise.
    together = np.corrcoef(abs(np.angle(direct)), abs(direct))[0, 1]
    assert np.corrcoef(abs(drawn.phase_noise_rad[0]), drawn.coherence[0])[0, 1] == pytest.approx(together, abs=0.02)


def test_limits_of_coherence_and_looks() -> None:
    rng = np.random.default_rng(0)
    perfect = draw_speckle(rng, np.ones((50, 50), np.float32), 10)
    assert not perfect.phase_noise_rad.any()
    np.testing.assert_allclose(perfect.coherence, 1.0)
    none = draw_speckle(rng, np.zeros((300, 300), np.float32), 50)
    assert none.phase_noise_rad.var() == pytest.approx(np.pi**2 / 3, rel=0.02)  # uniform
    assert none.coherence.mean() == pytest.approx(np.sqrt(np.pi / 200), rel=0.03)  # biased, as estimates are
    single = draw_speckle(rng, np.full((50, 50), 0.4, np.float32), 1)
    np.testing.assert_allclose(single.coherence, 1.0, rtol=1e-6)  # one look has no spread to estimate from


def test_coherence_decays_with_time_constant_and_floor() -> None:
    parameters = SimulationParameters()
    bare, dense = np.zeros((1, 1), np.float32), np.ones((1, 1), np.float32)
    for days in (0.0, 12.0, 100.0, 1e5):
        for vegetation, kind in ((bare, "bare"), (dense, "vegetated")):
            initial = getattr(parameters, f"coherence_initial_{kind}")
            final = getattr(parameters, f"coherence_final_{kind}")
            decay = getattr(parameters, f"coherence_decay_{kind}_days")
            found = expected_coherence(parameters, vegetation, days, 0.0)[0, 0]
            assert found == pytest.approx(final + (initial - final) * np.exp(-days / decay), rel=1e-5)
    assert expected_coherence(parameters, dense, 12.0, 0.0) < expected_coherence(parameters, bare, 12.0, 0.0)


def test_coherence_falls_linearly_with_the_baseline() -> None:
    parameters = SimulationParameters(critical_baseline_m=1_000.0)
    vegetation = np.full((2, 2), 0.3, np.float32)
    none = expected_coherence(parameters, vegetation, 12.0, 0.0)
    np.testing.assert_allclose(expected_coherence(parameters, vegetation, 12.0, -250.0), 0.75 * none, rtol=1e-6)
    assert not expected_coherence(parameters, vegetation, 12.0, 2_000.0).any()
    endless = replace(parameters, critical_baseline_m=float("inf"))
    np.testing.assert_array_equal(expected_coherence(endless, vegetation, 12.0, 2_000.0), none)
