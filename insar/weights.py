"""How much an interferogram's coherence says of its phase: the weights of the network inversion."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from insar.errors import OptionError

MAX_COHERENCE = 0.999
"""Coherence above which weights no longer grow: the variance of a perfectly coherent sample would be 0."""

MAX_LOOKS = 8000
"""Looks above which the density of the phase is too narrow for double precision."""

TABLE_INTERVALS = 8192
POLYNOMIAL_DEGREE = 96


class Weighting(StrEnum):
    """What weighs the interferograms at a pixel."""

    NONE = "none"
    COHERENCE = "coherence"
    VARIANCE = "variance"
    FISHER = "fisher"

    @property
    def needs_coherence(self) -> bool:
        """Whether the stack must have coherence."""
        return self is not Weighting.NONE

    @property
    def needs_looks(self) -> bool:
        """Whether the number of looks must be known."""
        return self in (Weighting.VARIANCE, Weighting.FISHER)


def phase_variance(coherence: ArrayLike, looks: float) -> NDArray[np.float64]:
    """Variance of the interferometric phase of a distributed scatterer.

    Parameters
    ----------
    coherence
        Magnitude of the coherence, 0 to 1, any shape.
    looks
        Number of independent looks, at least 1.

    Returns
    -------
    Variance in rad^2, of the shape of `coherence`: pi^2 / 3 at coherence 0, 0 at 1.

    Notes
    -----
    The second moment of the phase density of Barber (1993) and Lee et al. (1994),

    ``p(phi) = (1-c^2)^L / (2 pi) 2F1(L, 1; 1/2; b^2)``
    ``+ Gamma(L+1/2) (1-c^2)^L b / (2 sqrt(pi) Gamma(L) (1-b^2)^(L+1/2))``

    with ``b = c cos(phi)``, by Gauss-Legendre quadrature. Euler's transformation of 2F1 turns the powers into
    ``((1-c^2) / (1-b^2))^L``, which never exceeds 1, so that any number of looks can be computed.
    """
    from scipy.special import gammaln, hyp2f1

    if not 1 <= looks <= MAX_LOOKS:
        raise OptionError(
            "looks",
            required=f"a number of looks from 1 to {MAX_LOOKS}",
            found=str(looks),
            remedy="Give it with --looks; more than that weigh alike",
        )
    given = np.asarray(coherence, dtype=np.float64)
    c = np.clip(given, 0.0, 1.0)[..., None]
    nodes, gauss = np.polynomial.legendre.leggauss(96)
    # phi = pi u^4 crowds the nodes where the density of a coherent pixel is concentrated.
    u = 0.5 * (nodes + 1.0)
    phi = np.pi * u**4
    step = 0.5 * gauss * 4.0 * np.pi * u**3
    b = c * np.cos(phi)
    rest = 1.0 - b * b
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.exp(looks * (np.log1p(-c * c) - np.log(rest)))
        even = ratio / (2.0 * np.pi) / np.sqrt(rest) * hyp2f1(0.5 - looks, -0.5, 0.5, b * b)
        odd = np.exp(gammaln(looks + 0.5) - gammaln(looks)) * ratio * b / (2.0 * np.sqrt(np.pi) * np.sqrt(rest))
        variance = 2.0 * np.sum(step * phi**2 * (even + odd), axis=-1)
    variance = np.where(c[..., 0] >= 1.0, 0.0, variance)
    return np.where(np.isnan(given), np.nan, variance)


def sample_weights(coherence: ArrayLike, weighting: Weighting, looks: float | None = None) -> NDArray[np.float64]:
    """Weight of samples of some coherence, any shape; NaN where that is NaN.

    Coherence weighs by itself; variance by the inverse of `phase_variance`; Fisher by the Fisher information
    ``2 L c^2 / (1 - c^2)`` of the phase (Seymour & Cumming 1994). Above `MAX_COHERENCE` weights do not grow.

    Raises
    ------
    OptionError
        If the number of looks is needed and not known.
    """
    given = np.asarray(coherence, dtype=np.float64)
    if weighting is Weighting.NONE:
        return np.ones_like(given)
    if weighting is Weighting.COHERENCE:
        return given
    limited = np.minimum(given, MAX_COHERENCE)
    if looks is None:
        raise OptionError(
            f"--weights {weighting.value}",
            required="the number of looks of the interferograms",
            found="none in the stack's metadata",
            remedy="Give it with --looks, the product of the looks in range and azimuth",
        )
    if weighting is Weighting.FISHER:
        return 2.0 * looks * limited**2 / (1.0 - limited**2)
    return 1.0 / phase_variance(limited, looks)


def weight_table(weighting: Weighting, looks: float | None) -> NDArray[np.float64]:
    """(cell, 2) `sample_weights` times ``1 - c^2``, and the step to the next, for the kernel to interpolate.

    A first cell of weight 0 is followed by coherences evenly spread over 0..1. The factor takes out the pole at
    coherence 1, so that what is left is smooth; it is computed at some hundred coherences, crowded where it bends (near
    0 with many looks, near 1 with few), and a polynomial through them fills the table. Interpolated weights are good to
    5e-5 of themselves, and with a single look to 5e-4. Empty where weights need no table.
    """
    if not weighting.needs_looks:
        return np.zeros((2, 2))

    def without_pole(place: NDArray[np.float64]) -> NDArray[np.float64]:
        rest = np.exp(-(place**4))
        return sample_weights(np.sqrt(1.0 - rest), weighting, looks) * rest

    last = -np.log1p(-(MAX_COHERENCE**2))
    smooth = np.polynomial.Chebyshev.interpolate(without_pole, POLYNOMIAL_DEGREE, domain=[0.0, last**0.25])
    even = np.linspace(0.0, 1.0, TABLE_INTERVALS + 1)[:-1]
    table = np.zeros((TABLE_INTERVALS + 2, 2))
    table[1:-1, 0] = smooth((-np.log1p(-(even**2))) ** 0.25)
    # Beyond the greatest coherence that weighs; its cell is the last that is looked up.
    table[-1, 0] = table[-2, 0]
    table[1:-1, 1] = np.diff(table[1:, 0])
    return table
