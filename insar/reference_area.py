"""The pixels of a finished result that its reference is to be taken from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from insar.errors import InputError
from insar.grid import RowCol
from insar.preview import read_values
from insar.result import ResultFolder
from insar.writers.timeseries import TimeSeriesFile


@dataclass(frozen=True, slots=True)
class ReferenceArea:
    """The pixels whose average becomes the reference.

    Attributes
    ----------
    pixel
        The point in the middle.
    size
        Pixels on a side that were asked for.
    rows, cols
        Window of the map around the point, cut at its edges.
    used
        (row, col) of the window: pixels that are averaged.
    series_m
        (date,) m, their average.
    gaps
        Interferograms that the point itself lacks.
    """

    pixel: RowCol
    size: int
    rows: slice
    cols: slice
    used: NDArray[np.bool_]
    series_m: NDArray[np.float64]
    gaps: int

    @property
    def count(self) -> int:
        """Number of pixels that are averaged."""
        return int(self.used.sum())

    @classmethod
    def around(cls, result: ResultFolder, series: TimeSeriesFile, pixel: RowCol, size: int) -> ReferenceArea:
        """The area around a pixel of the map.

        As a run does, it averages the pixels with data in every interferogram, or where there is none all with data.

        Raises
        ------
        InputError
            The pixel has no data, or its interferograms fall into more subsets than the network.
        """
        reach = size // 2
        rows = slice(max(0, pixel.row - reach), min(result.grid.rows, pixel.row + reach + 1))
        cols = slice(max(0, pixel.col - reach), min(result.grid.cols, pixel.col + reach + 1))
        window = np.asarray(series.displacement_m[:, rows, cols], dtype=np.float64)
        known: NDArray[np.bool_] = np.asarray(np.isfinite(window).all(axis=0))
        centre = pixel.row - rows.start, pixel.col - cols.start
        where = f"reference row {pixel.row}, column {pixel.col} of the map"
        if not known[centre]:
            raise InputError(
                where,
                required="a displacement at every date",
                found="no data",
                remedy="Choose a pixel with data: see the layer quality",
            )
        subsets = _window(result, "subsets", rows, cols, fill=1.0)
        told = result.summary.get("network") or {}
        usual = max(1, int(told.get("subsets") or 1))
        if subsets[centre] > usual:
            raise InputError(
                where,
                required="interferograms that connect all dates",
                found=f"{subsets[centre]:.0f} subsets that none joins: its jumps would pass into every pixel",
                remedy="Choose another pixel: see the layer subsets",
            )
        known &= ~(subsets > usual)
        used: NDArray[np.bool_] = np.zeros_like(known)
        used[centre] = True
        pairs = len(result.inputs.get("pairs") or [])
        counts = _window(result, "pairs_used", rows, cols, fill=float(pairs))
        if size > 1:
            complete = known & (counts >= pairs)
            used = complete if complete.any() else known
        return cls(pixel, size, rows, cols, used, window[:, used].mean(axis=1), int(max(0, pairs - counts[centre])))


def _window(result: ResultFolder, name: str, rows: slice, cols: slice, *, fill: float) -> NDArray[np.floating]:
    path = result.layer_path(name)
    if path is None:
        return np.full((rows.stop - rows.start, cols.stop - cols.start), fill)
    return read_values(path, rows, cols)
