"""How far the mean intensities of equal pixels are apart, of a few images whose speckle is partly the same."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from insar.temporal_coherence import NEAR_PAIRS, TemporalCoherence, history_pairs

LEVEL_MEMBERS = 16
"""Pixels of the mean that single ones are compared with, about as many as are found."""

_LARGEST_LOG_RATIO = 14.0

_LARGEST_NODE = 10.0
"""Logarithm of the argument where every characteristic function has faded, of intensities of mean 1."""

_COHERENCES = np.linspace(0.0, 0.985, 25)
"""Above the last, all images together say what one of them does."""

_SQUARES = np.linspace(-0.04, 0.96, 51)
"""Mean square coherences of the tables; estimates without bias are also below 0."""


def constant_covariance(images: int, coherence: float) -> NDArray[np.float64]:
    """(image, image) of unit intensity, each as coherent with each other one."""
    return np.full((images, images), coherence) + (1.0 - coherence) * np.eye(images)


def decaying_covariance(images: int, coherence: float) -> NDArray[np.float64]:
    """(image, image) of unit intensity, whose coherence is lost at the same rate from each image to the next."""
    order = np.arange(images)
    covariance: NDArray[np.float64] = np.power(coherence, np.abs(order[:, None] - order).astype(np.float64))
    return covariance


def _excess(
    log_ratio: float,
    eigenvalues: NDArray[np.float64],
    shapes: NDArray[np.float64],
    members: int,
    probability: float,
) -> float:
    """Probability that the mean of one pixel exceeds that of several by a factor, less a probability.

    A pixel is a sum of Gamma variates of the given shapes, times the eigenvalues.
    """
    # In the logarithm of its argument the integrand is analytic, so that the trapezoid rule is exact to rounding with
    # steps that follow its width: the narrower the distribution is, the faster its characteristic function turns.
    step = 1.0 / np.sqrt(max(2.0 * shapes.sum(), 40.0))
    nodes = np.exp(np.arange(-20.0 - max(log_ratio, 0.0), _LARGEST_NODE, step))
    # The one, less the other times the factor.
    one = eigenvalues[:, None] * nodes
    other = (np.exp(log_ratio) / members) * one
    damping = 0.5 * shapes @ (np.log1p(one**2) + members * np.log1p(other**2))
    angle = shapes @ (np.arctan(one) - members * np.arctan(other))
    return float(0.5 + np.sum(np.exp(-damping) * np.sin(angle)) * step / np.pi - probability)


def log_ratio_quantile(covariance: NDArray[np.floating], looks: float, exceeded: float, members: int = 1) -> float:
    """Logarithm of the ratio of the mean intensity of a pixel to that of several of its kind, by how rare it is.

    Parameters
    ----------
    covariance
        (image, image) of the complex images that the means are of.
    looks
        Independent looks of each image.
    exceeded
        Share of pixels of the same kind, 0 to 1, whose ratio is greater.
    members
        How many pixels the second mean is of.

    Returns
    -------
    float
        Natural logarithm.

    Notes
    -----
    For circular Gaussian speckle the sum of the intensities of the images is a sum of independent Gamma variates of
    shape `looks`, times the eigenvalues of the covariance. For independent images the ratio of two such sums has the F
    distribution with twice as many degrees of freedom as there are images times looks, and the test is that of the
    likelihood ratio. In general its distribution follows from the characteristic function of the one sum less the other
    times the ratio (Gil-Pelaez 1951, Biometrika 38, 481-482). An F distribution of as many degrees of freedom as the
    variance says would have wrong tails: at six images of coherence 0.8 with each other it rejects far too few.
    """
    from scipy.optimize import brentq

    eigenvalues = np.maximum(np.linalg.eigvalsh(covariance), 0.0) / len(covariance)
    eigenvalues, counts = np.unique(eigenvalues.round(12), return_counts=True)
    shapes = np.asarray(looks * counts, np.float64)

    def excess(log_ratio: float) -> float:
        return _excess(log_ratio, eigenvalues, shapes, members, exceeded)

    # Of about the normal distribution with the variance of the logarithm, or further out.
    width = np.sqrt(np.sum(counts * eigenvalues**2) * (1.0 + 1.0 / members) / looks)
    near = -width * np.sign(exceeded - 0.5)
    low, high = sorted((0.3 * near, 6.0 * near))
    if excess(low) < 0.0 or excess(high) > 0.0:
        low, high = -_LARGEST_LOG_RATIO, _LARGEST_LOG_RATIO
    return float(brentq(excess, low, high, xtol=1e-6))


class RatioBounds(NamedTuple):
    """What the logarithms of ratios of mean intensities of one kind of pixel do not exceed; (row, col).

    NaN where the temporal coherence is unknown or there is no image.
    """

    pair: NDArray[np.float64]
    """Of two pixels, either way; positive."""

    below: NDArray[np.float64]
    """Of a pixel to the mean of `LEVEL_MEMBERS`; negative."""

    above: NDArray[np.float64]
    """The same, positive."""


def _by_square(squares: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values at `_SQUARES`, below 0 in line with those above."""
    table: NDArray[np.float64] = np.interp(_SQUARES, squares, values)
    slope = (values[1] - values[0]) / (squares[1] - squares[0])
    below = _SQUARES < 0.0
    table[below] = values[0] + slope * _SQUARES[below]
    return table


class _Tables(NamedTuple):
    """By mean square coherence, at `_SQUARES`."""

    constant: RatioBounds
    """Where coherence does not depend on the interval."""

    decaying: RatioBounds
    """Where it is lost from image to image."""

    near_square: NDArray[np.float64]
    """In that case, mean square coherence of pairs of short intervals."""


@lru_cache(maxsize=256)
def _tables(images: int, looks: float, pair_rate: float, level_rate: float) -> _Tables:
    def bounds(covariance: NDArray[np.float64]) -> tuple[float, float, float]:
        return (
            log_ratio_quantile(covariance, looks, pair_rate / 2.0),
            log_ratio_quantile(covariance, looks, 1.0 - level_rate / 2.0, LEVEL_MEMBERS),
            log_ratio_quantile(covariance, looks, level_rate / 2.0, LEVEL_MEMBERS),
        )

    constant, decaying = [], []
    squares = []
    for coherence in _COHERENCES:
        constant.append(bounds(constant_covariance(images, float(coherence))))
        decayed = decaying_covariance(images, float(coherence))
        decaying.append(bounds(decayed))
        of_pairs = np.array([decayed[pair] ** 2 for pair in history_pairs(images)])
        squares.append((of_pairs.mean(), of_pairs[:NEAR_PAIRS].mean()))
    square, near_square = np.array(squares).T
    return _Tables(
        RatioBounds(*(_by_square(_COHERENCES**2, np.array(column)) for column in zip(*constant, strict=True))),
        RatioBounds(*(_by_square(square, np.array(column)) for column in zip(*decaying, strict=True))),
        _by_square(square, near_square),
    )


def ratio_bounds(
    images: NDArray[np.integer], looks: float, temporal: TemporalCoherence, pair_rate: float, level_rate: float
) -> RatioBounds:
    """Bounds of the ratios of mean intensities around every pixel.

    Parameters
    ----------
    images
        (row, col) how many images the mean of a pixel is of.
    looks
        Independent looks of each image.
    temporal
        (row, col) coherence of these images with each other.
    pair_rate, level_rate
        Shares of pixels of one kind, 0 to 1, that are beyond the bounds: compared by two, and each with the mean of
        several.

    Notes
    -----
    The mean square coherence says how much the mean of the images varies; its tails also depend on how coherence is
    spread over the pairs. Between coherence that is the same for all pairs and coherence that is lost from image to
    image, bounds are interpolated by how much higher the coherence of short intervals is.
    """
    result = RatioBounds(*np.full((3, *images.shape), np.nan))
    for count in np.unique(images[images > 0]):
        here = images == count
        tables = _tables(int(count), looks, pair_rate, level_rate)
        square = np.maximum(temporal.square[here], _SQUARES[0])
        decay = np.interp(square, _SQUARES, tables.near_square) - square
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(decay > 0.0, (temporal.near_square[here] - square) / decay, 0.0)
        # Its noise may go beyond both cases: cut off there, it would move the mean of the bounds.
        share = np.clip(share, -0.5, 1.5)
        for bound, constant, decaying in zip(result, tables.constant, tables.decaying, strict=True):
            least = np.interp(square, _SQUARES, constant)
            bound[here] = least + share * (np.interp(square, _SQUARES, decaying) - least)
    return result
