"""Random fields and random outlines: the shapes that nature draws, for the other modules to give a meaning."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PADDING_LENGTHS = 8.0  # the Fourier transform wraps around; beyond this many lengths correlation is below 0.1 %


def correlated_field(
    rng: np.random.Generator, shape: tuple[int, int], length_pixels: float, exponent: float
) -> NDArray[np.float64]:
    r"""Stationary Gaussian field with a power-law spectrum: mean 0 and variance 1, expected over realisations.

    Parameters
    ----------
    rng
        Source of randomness.
    shape
        (rows, cols) of the field.
    length_pixels
        Scale `l`, beyond which correlation is lost.
    exponent
        Fall-off `b` of the two-dimensional power spectrum at short wavelengths, more than 2.

    Returns
    -------
    ndarray
        (row, col).

    Notes
    -----
    The power spectrum is the von Karman one, :math:`(1 + (2 \pi k l)^2)^{-b/2}`. Its correlation is Matern's,
    :math:`2^{1-n} / \Gamma(n) \, (r/l)^n K_n(r/l)` with :math:`n = b/2 - 1`. For turbulence, `b` = 11/3 below the
    thickness of the turbulent layer and 8/3 above it (Hanssen, 2001, Radar Interferometry, section 4.7).
    Power at wavelengths below two pixels is left out, and the rest raised to a variance of 1; that matters for small
    exponents only.
    """
    import scipy.fft

    padding = math.ceil(min(PADDING_LENGTHS * length_pixels, max(shape)))
    rows, cols = (scipy.fft.next_fast_len(size + padding, real=True) for size in shape)
    frequency = np.hypot(scipy.fft.fftfreq(rows)[:, None], scipy.fft.rfftfreq(cols)[None, :])
    power = (1.0 + (2.0 * np.pi * length_pixels * frequency) ** 2) ** (-exponent / 2.0)
    twice = np.full(power.shape[1], 2.0)  # columns that stand for a negative frequency as well
    twice[0] = 1.0
    if cols % 2 == 0:
        twice[-1] = 1.0
    power /= (power * twice).sum() / (rows * cols)
    spectrum = scipy.fft.rfft2(rng.standard_normal((rows, cols))) * np.sqrt(power)
    field: NDArray[np.float64] = scipy.fft.irfft2(spectrum, s=(rows, cols))[: shape[0], : shape[1]]
    return np.ascontiguousarray(field)


def smooth(field: NDArray[np.floating], pixels: float) -> NDArray[np.float64]:
    """Average with a Gaussian window of that standard deviation; the edge is continued outward."""
    import scipy.ndimage

    smoothed: NDArray[np.float64] = scipy.ndimage.gaussian_filter(np.asarray(field, np.float64), pixels, mode="nearest")
    return smoothed


def smoothstep(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 below 0, 1 above 1, and a curve without a kink between."""
    inside = np.clip(values, 0.0, 1.0)
    result: NDArray[np.float64] = inside * inside * (3.0 - 2.0 * inside)
    return result


@dataclass(frozen=True, slots=True)
class Outline:
    """A closed, irregular outline on the map: an ellipse whose radius varies with direction.

    Being a formula, it can be drawn on any grid.

    Attributes
    ----------
    row, col
        Centre in pixels of the scene's map grid, counted from the centre of the first pixel.
    half_length, half_width
        Of the ellipse, in pixels of the map grid.
    azimuth_deg
        Of the length, clockwise from up.
    lobes, lobe_phases_rad
        Relative amplitude and phase of the undulations with 2, 3, ... lobes.
    """

    row: float
    col: float
    half_length: float
    half_width: float
    azimuth_deg: float
    lobes: tuple[float, ...]
    lobe_phases_rad: tuple[float, ...]

    @classmethod
    def draw(
        cls, rng: np.random.Generator, row: float, col: float, half_length: float, half_width: float, azimuth_deg: float
    ) -> Outline:
        """Outline of that place and size with random undulations."""
        count = 4
        lobes = rng.normal(0.0, 0.10, count) / np.sqrt(np.arange(1, count + 1))
        phases = rng.uniform(0.0, 2.0 * np.pi, count)
        # Together below 1, or the outline would run through its own centre.
        lobes *= min(1.0, 0.6 / max(np.abs(lobes).sum(), 1e-9))
        return cls(row, col, half_length, half_width, azimuth_deg, tuple(lobes.tolist()), tuple(phases.tolist()))

    def radius(self, rows: NDArray[np.float64], cols: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distance from the centre relative to the outline: 0 at the centre, 1 on the outline.

        Infinite far outside. `rows` and `cols` are places in pixels of the map grid, broadcast together.
        """
        down, right = rows - self.row, cols - self.col
        reach = 1.7 * max(self.half_length, self.half_width)
        distances = np.full(np.broadcast_shapes(np.shape(rows), np.shape(cols)), np.inf)
        near = np.broadcast_to((np.abs(down) <= reach) & (np.abs(right) <= reach), distances.shape)
        if not near.any():
            return distances
        near_down = np.broadcast_to(down, distances.shape)[near]
        near_right = np.broadcast_to(right, distances.shape)[near]
        azimuth = math.radians(self.azimuth_deg)
        along = (near_right * math.sin(azimuth) - near_down * math.cos(azimuth)) / self.half_length
        across = (near_right * math.cos(azimuth) + near_down * math.sin(azimuth)) / self.half_width
        direction = np.arctan2(across, along)
        edge = np.ones_like(direction)
        for count, (lobe, phase) in enumerate(zip(self.lobes, self.lobe_phases_rad, strict=True), start=2):
            edge += lobe * np.cos(count * direction + phase)
        distances[near] = np.hypot(along, across) / edge
        return distances
