"""Speckle of the images of a simulated event, with exactly the coherence that its scene states."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from insar.simulate.event_parameters import Polarisation
from insar.simulate.event_scene import EventScene, ScattererTable
from insar.simulate.streams import Effect, random_stream

DIGITAL_NUMBER = 500.0
"""Amplitude of a backscatter coefficient of 1 in the complex images."""

POLARISATIONS: tuple[Polarisation, ...] = ("VV", "VH")


class Scatterers:
    r"""Signal of power 1 and less of some pixels, through time: circular Gaussian, independent from pixel to pixel.

    The lasting part is one random number; the decaying one is a Markov chain,
    :math:`m_k = \rho m_{k-1} + \sqrt{1 - \rho^2}\, w_k` with :math:`\rho = e^{-t/\tau}`, so that the covariance of any
    two dates is known, and only one date is in memory.

    Parameters
    ----------
    table
        Of the classes.
    kinds
        Class of each pixel, of any shape.
    lasting, decaying
        Streams of random numbers for the two parts at the first date.
    """

    def __init__(
        self,
        table: ScattererTable,
        kinds: NDArray[np.uint8],
        lasting: np.random.Generator,
        decaying: np.random.Generator,
    ) -> None:
        self._table = table
        self._kinds = kinds
        self._lasting: NDArray[np.complex64] = np.sqrt(table.lasting)[kinds] * complex_normal(lasting, kinds.shape)
        self._decaying = complex_normal(decaying, kinds.shape)

    def advance(self, days: float, rng: np.random.Generator) -> None:
        """Let time pass."""
        kept = np.exp(np.float32(-days) / self._table.decay_days)
        self._decaying *= kept[self._kinds]
        self._decaying += np.sqrt(1.0 - kept * kept)[self._kinds] * complex_normal(rng, self._kinds.shape)

    def signal(self) -> NDArray[np.complex64]:
        """Of the moment, complex64 of the shape of the classes; its mean power is `power`."""
        decaying: NDArray[np.complex64] = np.sqrt(self._table.decaying)[self._kinds] * self._decaying
        return self._lasting + decaying

    @property
    def power(self) -> NDArray[np.float32]:
        """Mean power of the signal, of the shape of the classes."""
        return (self._table.lasting + self._table.decaying)[self._kinds]


def draw_images(scene: EventScene, strip: int) -> Iterator[NDArray[np.complex64]]:
    """Complex images of all dates, one after the other, for one of the scene's strips.

    Parameters
    ----------
    scene
        On any pixels.
    strip
        Index in its `strips`. The same pixels come out in whatever order strips are asked for.

    Yields
    ------
    ndarray
        complex64 (row, col) of a date; 0 where there is no data.
    """
    parameters, rows = scene.parameters, scene.strips[strip]
    before, seed = parameters.acquisitions_before, parameters.seed
    fields = scene.fields(rows)
    table = ScattererTable.of(parameters)
    changed = np.flatnonzero(fields.survival < 1.0)
    survival = fields.survival.ravel()[changed]
    arrived = np.sqrt(1.0 - survival * survival)
    noise_power = np.float32(10.0 ** (parameters.noise_floor_db / 10.0))
    old = Scatterers(
        table,
        fields.cover,
        random_stream(seed, Effect.EVENT_LASTING_SPECKLE, strip),
        random_stream(seed, Effect.EVENT_DECAYING_SPECKLE, strip, 0),
    )
    new = Scatterers(
        table,
        fields.new_kind.ravel()[changed],
        random_stream(seed, Effect.EVENT_NEW_LASTING_SPECKLE, strip),
        random_stream(seed, Effect.EVENT_NEW_DECAYING_SPECKLE, strip, 0),
    )
    for index in range(parameters.acquisitions):
        if index > 0:
            old.advance(parameters.interval_days, random_stream(seed, Effect.EVENT_DECAYING_SPECKLE, strip, index))
        if index > before:
            new.advance(parameters.interval_days, random_stream(seed, Effect.EVENT_NEW_DECAYING_SPECKLE, strip, index))
        signal, power = old.signal(), old.power
        if index >= before:
            signal.reshape(-1)[changed] = survival * signal.reshape(-1)[changed] + arrived * new.signal()
            power.reshape(-1)[changed] = survival**2 * power.reshape(-1)[changed] + arrived**2 * new.power
        factor = scene.weather_factor(fields, index)
        if factor is not None:
            signal *= factor
            power *= factor * factor
        brightness = scene.backscatter(fields, index, parameters.polarisation)
        image = np.sqrt(brightness) * signal
        rest = np.sqrt(np.maximum(brightness * (1.0 - power), 0.0) + noise_power)
        image += rest * complex_normal(random_stream(seed, Effect.EVENT_NOISE, strip, index), image.shape)
        phase = scene.phase_rad(fields, index)
        if phase is not None:
            image *= np.exp(1j * phase).astype(np.complex64)
        image *= np.float32(DIGITAL_NUMBER)
        image[~scene.has_data(rows, index)] = 0.0
        yield image


def draw_backscatter(scene: EventScene, strip: int, date_index: int, polarisation: Polarisation) -> NDArray[np.float32]:
    """Terrain-corrected backscatter coefficient of a date for one of the scene's strips, as a power ratio.

    Parameters
    ----------
    scene
        On a map.
    strip
        Index in its `strips`.
    date_index, polarisation
        Of the image.

    Returns
    -------
    ndarray
        (row, col) positive; NaN where there is no data. Noise included, not subtracted.
    """
    parameters, rows = scene.parameters, scene.strips[strip]
    fields = scene.fields(rows)
    is_ascending = parameters.orbit_direction == "ascending"
    key = (strip, date_index, POLARISATIONS.index(polarisation), int(is_ascending))
    rng = random_stream(parameters.seed, Effect.EVENT_BACKSCATTER, *key)
    looks = parameters.backscatter_looks
    speckle = rng.standard_gamma(looks, fields.cover.shape, np.float32) / np.float32(looks)
    mean = scene.backscatter(fields, date_index, polarisation) + np.float32(10.0 ** (parameters.noise_floor_db / 10.0))
    return np.where(scene.has_data(rows, date_index), mean * speckle, np.float32(np.nan))


def complex_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.complex64]:
    """Circular Gaussian numbers of mean power 1, complex64."""
    parts = rng.standard_normal((*shape, 2), np.float32)
    parts *= np.float32(np.sqrt(0.5))
    return parts.view(np.complex64)[..., 0]
