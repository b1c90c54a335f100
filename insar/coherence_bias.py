"""What the coherence of few looks is on average, and the coherence behind an average."""

from __future__ import annotations

from functools import lru_cache
from math import gamma as gamma_function
from math import lgamma

import numpy as np
from numpy.typing import ArrayLike, NDArray

from insar.errors import OptionError

_NEARLY_ONE = 0.9999
"""Coherence above which the series has too many terms; the first term of the bias is then right to 1e-4 or better."""

_INVERSE_KNOTS = 513


def _check_looks(looks: float) -> None:
    if not looks >= 1.0:
        raise OptionError(
            "looks",
            required="at least one independent sample",
            found=f"{looks:g}",
            remedy="Give the samples of a window over the pixels that the resolution spans",
        )


def coherence_floor(looks: float) -> float:
    """Mean coherence that is estimated from independent images: what a value must exceed to mean anything.

    Parameters
    ----------
    looks
        Independent samples of each estimate; neighbours within the resolution count as one.

    Returns
    -------
    float
        ``Gamma(L) Gamma(3/2) / Gamma(L + 1/2)``, about ``0.89 / sqrt(L)``.

    Raises
    ------
    OptionError
        For less than one look.
    """
    _check_looks(looks)
    return gamma_function(1.5) * float(np.exp(lgamma(looks) - lgamma(looks + 0.5)))


def _expectation(true: float, looks: float) -> float:
    """Sum of the series around its largest term, in logarithms."""
    from scipy.special import gammaln

    if true == 0.0:
        return coherence_floor(looks)
    if true > _NEARLY_ONE:
        return true + (1.0 - true**2) ** 2 / (4.0 * looks * true)
    # Nearly a negative binomial distribution in k.
    rest = 1.0 - true**2
    largest = looks * true**2 / rest
    spread = (10.0 * true * np.sqrt(looks) + 40.0) / rest
    k = np.arange(np.floor(max(largest - spread, 0.0)), np.ceil(largest + spread) + 1.0)
    terms = (
        2.0 * (gammaln(looks + k) - gammaln(k + 1.0))
        + gammaln(1.5 + k)
        - gammaln(looks + 0.5 + k)
        - gammaln(looks)
        + 2.0 * k * np.log(true)
        + looks * np.log1p(-(true**2))
    )
    return float(min(np.sum(np.exp(terms)), 1.0))


def expected_coherence(true: ArrayLike, looks: float) -> NDArray[np.float64]:
    """Mean of the coherence that is estimated where the coherence is `true`.

    Parameters
    ----------
    true
        Any shape, 0 to 1; NaN stays NaN.
    looks
        Independent samples of each estimate.

    Returns
    -------
    NDArray
        Of the same shape: from `coherence_floor` to 1.

    Raises
    ------
    OptionError
        For less than one look.

    Notes
    -----
    ``Gamma(L) Gamma(3/2) / Gamma(L + 1/2) 3F2(3/2, L, L; L + 1/2, 1; g^2) (1 - g^2)^L``, for circular Gaussian speckle.

    References
    ----------
    Touzi, R., Lopes, A., Bruniquel, J. and Vachon, P. W. (1999), IEEE Transactions on Geoscience and Remote Sensing
    37, 135-149.
    """
    _check_looks(looks)
    values = np.asarray(true, np.float64)
    each = [np.nan if np.isnan(value) else _expectation(float(value), looks) for value in values.ravel()]
    return np.array(each, np.float64).reshape(values.shape)


@lru_cache(maxsize=16)
def _inverse_table(looks: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    # Dense near 0, where the expectation is flat in the coherence and its inverse steep.
    true = np.linspace(0.0, 1.0, _INVERSE_KNOTS) ** 2
    return expected_coherence(true, looks), true


def unbias_coherence(coherence: NDArray[np.floating], looks: float) -> NDArray[np.float32]:
    """Coherence whose mean estimate is the given one.

    Parameters
    ----------
    coherence
        Any shape, 0 to 1, best an average over pixels or pairs; NaN where unknown.
    looks
        Independent samples of each estimate.

    Returns
    -------
    NDArray
        Of the same shape: 0 at the `coherence_floor` and below it; NaN stays NaN.

    Raises
    ------
    OptionError
        For fewer than two looks, whose estimates say nothing.

    Notes
    -----
    Of single estimates it takes the bias only on average above the floor: those that scatter below it become 0.
    """
    if not looks >= 2.0:
        raise OptionError(
            "looks",
            required="at least two independent samples, since one alone has the coherence 1",
            found=f"{looks:g}",
            remedy="Estimate coherence over a larger window",
        )
    expected, true = _inverse_table(looks)
    unbiased: NDArray[np.float32] = np.interp(coherence, expected, true).astype(np.float32)
    return unbiased
