"""How much an interferogram's coherence says of its phase: the weights of the network inversion."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from insar.errors import OptionError

MAX_COHERENCE = 0.999
"""Coherence above which weights no longer grow: the variance of a perfectly coherent sample would be 0."""

TABLE_INTERVALS = 1024


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

    if not looks >= 1:
        raise OptionError(
            "looks", required="a number of looks of at least 1", found=str(looks), remedy="Give it with --looks"
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


def interpolation_table(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Table for the kernel: (cell, 2) weight and step to the next weight, after a first cell of weight 0."""
    table = np.zeros((len(weights) + 1, 2))
    table[1:, 0] = weights
    table[1:-1, 1] = np.diff(weights)
    return table


def weight_table(weighting: Weighting, looks: float | None) -> NDArray[np.float64]:
    """Weights at `TABLE_INTERVALS` + 1 coherences evenly spread over 0..1; between them weights are interpolated.

    Coherence weights by itself; variance by the inverse of `phase_variance`; Fisher by the Fisher information
    ``2 L c^2 / (1 - c^2)`` of the phase (Seymour & Cumming 1994).
    """
    coherence = np.linspace(0.0, 1.0, TABLE_INTERVALS + 1)
    limited = np.minimum(coherence, MAX_COHERENCE)
    if weighting is Weighting.NONE:
        return np.ones_like(coherence)
    if weighting is Weighting.COHERENCE:
        return coherence
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
