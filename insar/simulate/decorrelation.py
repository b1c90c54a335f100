"""Coherence that decays with time under vegetation, and the phase noise that follows from it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from insar.simulate.parameters import SimulationParameters


class Speckle(NamedTuple):
    """What speckle makes of one interferogram, (row, col) each."""

    phase_noise_rad: NDArray[np.float32]
    coherence: NDArray[np.float32]


def expected_coherence(
    parameters: SimulationParameters,
    vegetation: NDArray[np.float32],
    temporal_baseline_days: float,
    perpendicular_baseline_m: float,
) -> NDArray[np.float32]:
    r"""Coherence of an interferogram without estimation error, (row, col).

    Parameters
    ----------
    parameters
        Coherence at both ends of the scale of vegetation.
    vegetation
        (row, col) density from 0 to 1.
    temporal_baseline_days, perpendicular_baseline_m
        Of the interferogram.

    Notes
    -----
    :math:`(c_\infty + (c_0 - c_\infty) e^{-t/\tau}) (1 - |B| / B_c)`, with :math:`c_0` and :math:`c_\infty`
    interpolated linearly and :math:`\tau` geometrically between bare and densely vegetated ground.
    """
    initial = _between(parameters.coherence_initial_bare, parameters.coherence_initial_vegetated, vegetation)
    final = _between(parameters.coherence_final_bare, parameters.coherence_final_vegetated, vegetation)
    decay_days = np.exp(
        _between(
            float(np.log(parameters.coherence_decay_bare_days)),
            float(np.log(parameters.coherence_decay_vegetated_days)),
            vegetation,
        )
    )
    temporal = final + (initial - final) * np.exp(-np.float32(temporal_baseline_days) / decay_days)
    geometric = max(0.0, 1.0 - abs(perpendicular_baseline_m) / parameters.critical_baseline_m)
    return temporal * np.float32(geometric)


def draw_speckle(rng: np.random.Generator, coherence: NDArray[np.float32], looks: float) -> Speckle:
    r"""Phase noise and estimated coherence of multilooked interferograms of distributed scatterers.

    Exact for any number of looks, one included; nothing is taken to be Gaussian.

    Parameters
    ----------
    rng
        Source of randomness; pixels are independent.
    coherence
        (row, col) expected coherence `c`.
    looks
        Number of independent looks `L`, at least 1.

    Notes
    -----
    The covariance matrix that `L` looks of two images give follows the complex Wishart distribution. Its Bartlett
    decomposition needs three random numbers instead of `L` pairs of speckle: with :math:`g_1 \sim \Gamma(L)`,
    :math:`g_2 \sim \Gamma(L - 1)` and a complex standard normal `z`, and :math:`s = \sqrt{1 - c^2}`, the
    interferogram is :math:`\sqrt{g_1}\,u` with :math:`u = c \sqrt{g_1} + s z`, so its phase is that of `u`, and the
    estimate of the coherence is :math:`|u| / \sqrt{|u|^2 + s^2 g_2}`.

    References
    ----------
    Goodman (1963), Annals of Mathematical Statistics 34; Tough, Blacknell and Quegan (1995), Proc. R. Soc. A 449.
    """
    shape = coherence.shape
    half = np.float32(np.sqrt(0.5))
    spread = np.sqrt(np.maximum(1.0 - coherence * coherence, 0.0))
    in_phase = coherence * np.sqrt(rng.standard_gamma(looks, shape, np.float32))
    in_phase += half * spread * rng.standard_normal(shape, np.float32)
    quadrature = half * spread * rng.standard_normal(shape, np.float32)
    power = in_phase * in_phase + quadrature * quadrature
    rest = spread * spread * rng.standard_gamma(looks - 1.0, shape, np.float32)
    # A power of zero, from coherence 0 or 1 in float32, must not turn into 0/0.
    estimate = np.sqrt(power / np.maximum(power + rest, np.float32(1e-30)))
    return Speckle(np.arctan2(quadrature, in_phase), estimate)


def _between(bare: float, vegetated: float, vegetation: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.float32(bare) + np.float32(vegetated - bare) * vegetation
