"""Coherence layers of a scene, block by block: of each pair, over all pairs, over a season."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.coherence_stack import SiblingSource, image_bytes_per_row
from insar.grid import Grid
from insar.kernels.average import average_samples
from insar.layer_run import LayerBlock
from insar.multilook import multilook_grid
from insar.slc import SlcStack
from insar.stack import Cube, Plane, Stack
from insar.windows import Looks


@dataclass(frozen=True, slots=True)
class MeanAmplitude:
    """Mean amplitude of some images, in dB of their own unit.

    The amplitude of a cell in one image is the root of its mean intensity; the mean is over the images that have the
    cell.
    """

    slc: SlcStack
    images: NDArray[np.intp]
    looks: Looks

    @property
    def grid(self) -> Grid:
        """Grid of the cells."""
        return multilook_grid(self.slc.grid, self.looks)

    def read(self, rows: slice) -> NDArray[np.float32]:
        """(row, col) dB, NaN where no image has data."""
        cols = self.grid.cols
        down, across = self.looks
        total = np.zeros((rows.stop - rows.start, cols))
        count = np.zeros(total.shape, np.intp)
        for image in self.images:
            pixels = self.slc.read(
                np.array([image]), slice(rows.start * down, rows.stop * down), slice(0, cols * across)
            )[0]
            intensity = pixels.real.astype(np.float64) ** 2 + pixels.imag.astype(np.float64) ** 2
            known = np.isfinite(intensity) & (intensity > 0)
            cells = (len(total), down, cols, across)
            samples = known.reshape(cells).sum(axis=(1, 3))
            summed = np.where(known, intensity, 0.0).reshape(cells).sum(axis=(1, 3))
            total += np.sqrt(summed / np.maximum(samples, 1))
            count += samples > 0
        with np.errstate(divide="ignore"):
            decibel = 20.0 * np.log10(total / np.maximum(count, 1))
        return np.where(count > 0, decibel, np.nan).astype(np.float32)

    @property
    def bytes_per_row(self) -> int:
        """Bytes of one row of cells: an image, its intensities and sums."""
        return 4 * image_bytes_per_row(self.slc, self.looks, 1)


@dataclass(frozen=True, slots=True)
class CoherenceChain:
    """A `insar.layer_run.LayerWork` that makes coherence layers.

    Attributes
    ----------
    stack
        Pairs with coherence.
    write_pairs
        Write the coherence of each pair, too.
    sibling
        Sibling coherence of the same pairs, or None.
    season
        Pairs within the season, by their index; None where no season was asked for.
    amplitude
        Mean amplitude within the season, or None.
    """

    stack: Stack
    write_pairs: bool
    sibling: SiblingSource | None = None
    season: tuple[int, ...] | None = None
    amplitude: MeanAmplitude | None = None

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers."""
        names = ["mean_coherence", *self._planes]
        if self.season is not None:
            names.append("seasonal_coherence")
        if self.amplitude is not None:
            names.append("amplitude_mean")
        if self.write_pairs:
            names += [f"coherence/{pair.name}" for pair in self.stack.pairs]
        if self.sibling is not None:
            names += ["siblings", *(f"sibling/{pair.name}" for pair in self.stack.pairs)]
        return tuple(names)

    @property
    def bytes_per_row(self) -> int:
        """Bytes of one row: images or coherence, siblings, results."""
        size = 2 * self._coherence.bytes_per_row
        size += self.sibling.cube.bytes_per_row if self.sibling is not None else 0
        return size + (self.amplitude.bytes_per_row if self.amplitude is not None else 0)

    @property
    def rows_per_chunk(self) -> int:
        """Rows that the storage keeps together."""
        return self._coherence.rows_per_chunk

    def __call__(self, rows: slice) -> LayerBlock:
        """The layers of some rows; sums of the coherence of each pair."""
        coherence = self._coherence.read(rows, slice(0, self.stack.grid.cols))
        pairs, height, width = coherence.shape
        mean = np.empty(height * width, np.float32)
        pair_sum, pair_count = np.empty(pairs), np.empty(pairs, np.int64)
        average_samples(coherence.reshape(pairs, -1), mean, pair_sum, pair_count)
        layers: dict[str, NDArray[Any]] = {"mean_coherence": mean.reshape(height, width)}
        for name, plane in self._planes.items():
            layers[name] = plane.read(rows, slice(0, width)).astype(np.float32)
        if self.season is not None:
            layers["seasonal_coherence"] = median_of_known(coherence[list(self.season)])
        if self.amplitude is not None:
            layers["amplitude_mean"] = self.amplitude.read(rows)
        if self.write_pairs:
            layers |= {f"coherence/{pair.name}": plane for pair, plane in zip(self.stack.pairs, coherence, strict=True)}
        sums: dict[str, NDArray[Any]] = {"coherence_sum": pair_sum, "coherence_count": pair_count}
        if self.sibling is not None:
            every = np.arange(pairs, dtype=np.intp)
            block = self.sibling.read_with_counts(every, rows, slice(0, width))
            layers["siblings"] = block.siblings
            layers |= {
                f"sibling/{pair.name}": plane for pair, plane in zip(self.stack.pairs, block.coherence, strict=True)
            }
            sums["siblings_sum"] = np.array(block.siblings.sum(dtype=np.int64))
            sums["siblings_pixels"] = np.array(np.count_nonzero(block.siblings))
        return LayerBlock(layers, sums)

    @property
    def _coherence(self) -> Cube:
        return self.stack.require_coherence()

    @property
    def _planes(self) -> dict[str, Plane]:
        geometry = self.stack.geometry
        known = {"height": geometry.height, "incidence_angle": geometry.incidence_angle}
        return {name: plane for name, plane in known.items() if plane is not None and self.write_pairs}


def median_of_known(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Median along the first axis of the values that are known; NaN where none is."""
    ordered = np.sort(values, axis=0)  # NaN last
    count = np.isfinite(values).sum(axis=0)
    low = np.take_along_axis(ordered, np.maximum(count - 1, 0)[None] // 2, axis=0)[0]
    high = np.take_along_axis(ordered, np.minimum(count[None] // 2, len(values) - 1), axis=0)[0]
    return np.where(count > 0, 0.5 * (low + np.where(count % 2 == 0, high, low)), np.nan).astype(np.float32)
