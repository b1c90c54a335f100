"""What is done with each block of rows, from interferograms to layers: the part of a run that blocks share out."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.corrections.base import SeriesSample
from insar.corrections.chain import CorrectionChain
from insar.dem_error import ViewGeometry
from insar.inversion import BlockInverter
from insar.layers import row_slices
from insar.quality import quality_flags
from insar.rates import RateFitter
from insar.stack import Geometry, Plane
from insar.stopwatch import Stopwatch
from insar.survey import lattice_of
from insar.uncertainty import network_covariance, network_noise

GEOMETRY_LAYERS = ("height", "incidence_angle", "azimuth_angle")


@dataclass(frozen=True, slots=True)
class Block:
    """Results of one block of rows.

    Attributes
    ----------
    displacement_m
        (date, row, col) m, corrected.
    layers
        (row, col) by name.
    sums
        Sums over the block's pixels by name; they add up over blocks.
    seconds
        Time of each part of the work by name.
    """

    displacement_m: NDArray[np.float32]
    layers: dict[str, NDArray[Any]]
    sums: dict[str, NDArray[Any]]
    seconds: dict[str, float]


@dataclass(frozen=True)
class BlockChain:
    """Everything that is done with a block of rows; safe to call from several threads; can be pickled.

    Attributes
    ----------
    inverter
        Reads the block, corrects its unwrapping and inverts it.
    corrections
        Taken out of the series; None for none.
    rates
        Fits the model of time, and takes height errors of the DEM out of the series where asked; None for a series
        alone.
    view
        Of the pixels, where height errors are fitted.
    with_rate
        Whether the layers of the fit are kept; otherwise those of the height errors alone.
    """

    inverter: BlockInverter
    corrections: CorrectionChain | None = None
    rates: RateFitter | None = None
    view: ViewGeometry | None = None
    with_rate: bool = True

    @property
    def dates(self) -> tuple[date, ...]:
        """Dates of the series."""
        return self.inverter.dates

    @property
    def geometry(self) -> Geometry:
        """Planes of the stack."""
        return self.inverter.stack.geometry

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that blocks have."""
        names = list(self._fitted_layers)
        if self.with_rate:
            names.append("cumulative_displacement")
        names += [*self.inverter.layers, "quality"]
        if self.with_rate:
            names += [name for name in GEOMETRY_LAYERS if getattr(self.geometry, name) is not None]
        return tuple(names)

    @property
    def _fitted_layers(self) -> tuple[str, ...]:
        if self.rates is None:
            return ()
        return self.rates.layers if self.with_rate else ("dem_error", "dem_error_std")

    @property
    def left_out(self) -> dict[str, str]:
        """Layers that blocks do not have, and why."""
        if self.rates is None or not self.with_rate:
            return {}
        reasons = dict(self.rates.left_out)
        if self.inverter.stack.coherence is None:
            reasons["mean_coherence"] = "the stack has no coherence"
        reasons |= {
            name: "the stack does not hold it" for name in GEOMETRY_LAYERS if getattr(self.geometry, name) is None
        }
        return reasons

    @property
    def bytes_per_row(self) -> int:
        """Bytes of what one row is computed from and of its results."""
        return self.inverter.bytes_per_row + 4 * self.inverter.stack.shape[1] * len(self.layers)

    @property
    def rows_per_chunk(self) -> int:
        """Rows the storage keeps together."""
        return self.inverter.rows_per_chunk

    def __call__(self, rows: slice) -> Block:
        """Work on some rows."""
        inverted = self.inverter(rows)
        series, layers = inverted.displacement_m, dict(inverted.layers)
        sums = dict(inverted.sums)
        watch = Stopwatch()
        watch.add(inverted.seconds)
        if self.corrections is not None:
            with watch.step("correct the series"):
                self.corrections.apply(series, rows)
        if self.rates is not None:
            with watch.step("fit the model of time"):
                fitted = self._fit(self.rates, series, layers, rows, sums)
                layers |= {name: fitted[name] for name in self._fitted_layers}
        if self.with_rate:
            layers["cumulative_displacement"] = series[-1]
            for name in GEOMETRY_LAYERS:
                plane: Plane | None = getattr(self.geometry, name)
                if plane is not None:
                    layers[name] = np.asarray(plane.read(rows, slice(None)))
        shadow = self.geometry.shadow_mask
        layers["quality"] = quality_flags(
            layers["subsets"],
            layers["temporal_coherence"],
            None if shadow is None else shadow.read(rows, slice(None)),
            inverted.corrected,
            layers.get("open_loops"),
        )
        return Block(series, layers, sums, watch.seconds)

    def _fit(
        self,
        rates: RateFitter,
        series: NDArray[np.float32],
        layers: Mapping[str, NDArray[Any]],
        rows: slice,
        sums: dict[str, NDArray[Any]],
    ) -> dict[str, NDArray[Any]]:
        stack = self.inverter.stack
        noise = network_noise(
            layers["residual_rms"],
            layers["pairs_used"],
            layers["subsets"],
            self._network_covariance,
            len(stack.pairs),
        )
        across = None if self.view is None else self.view.range_times_sine_m(rows, slice(None), stack.shape)
        if not rates.corrects_dem:
            return rates.fit(series, noise=noise).layers
        sums["series_count"], sums["squares_with_dem_error"] = _power(series)
        fitted = rates.fit(series, noise=noise, range_times_sine_m=across).layers
        _, sums["squares_without_dem_error"] = _power(series)
        return fitted

    @cached_property
    def _network_covariance(self) -> NDArray[np.float64]:
        return network_covariance(self.inverter.stack.pair_dates)


def _power(series: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Number and sum of squares of the values of a series after its first date, NaN left out."""
    known = series[1:, np.isfinite(series[-1])]
    return np.array(known.size), np.array(np.einsum("dp,dp->", known, known, dtype=np.float64))


ROWS_PER_BAND = 4
"""Neighbouring rows of the sample: reading four in one go costs hardly more than one."""


def _bands(lattice: NDArray[np.intp], rows: int) -> list[slice]:
    """As many rows as the lattice has, in bands of neighbours around every fourth of its rows."""
    if len(lattice) == rows:
        return list(row_slices(rows, ROWS_PER_BAND))
    centres = lattice[ROWS_PER_BAND // 2 :: ROWS_PER_BAND].tolist()
    starts = [min(centre, rows - ROWS_PER_BAND) for centre in centres]
    return [slice(start, start + ROWS_PER_BAND) for start in starts]


def sample_series(inverter: BlockInverter, workers: int) -> SeriesSample:
    """The uncorrected series on the lattice of a survey, that scene-wide corrections are estimated from."""
    lattice, cols = lattice_of(inverter.stack.shape)
    bands = _bands(lattice, inverter.stack.shape[0])

    def invert_band(band: slice) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        block = inverter(band)
        count = len(inverter.dates)
        return block.displacement_m[:, :, cols].reshape(count, -1), block.layers["temporal_coherence"][:, cols].ravel()

    with ThreadPoolExecutor(workers) as pool:
        series, coherence = zip(*pool.map(invert_band, bands), strict=True)
    rows = np.concatenate([np.arange(band.start, band.stop) for band in bands])
    points = np.meshgrid(rows, cols, indexing="ij")
    return SeriesSample(
        inverter.dates,
        points[0].ravel(),
        points[1].ravel(),
        np.concatenate(series, axis=1).astype(np.float64),
        np.concatenate(coherence),
    )
