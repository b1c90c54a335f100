"""Small stacks and samples of series whose disturbances are known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.corrections.base import SeriesSample
from insar.grid import Grid
from insar.stack import Acquisition, Geometry, Pair, Plane, Stack

DATES = tuple(date(2022, 1, 3) + timedelta(days=12 * index) for index in range(12))


@dataclass(frozen=True)
class ArrayPlane:
    """A plane in memory."""

    values: NDArray

    def read_window(self, rows: slice, cols: slice) -> NDArray:
        return self.values[rows, cols].copy()


def plane(values: NDArray) -> Plane:
    return Plane(ArrayPlane(values), *values.shape)


def make_stack(grid: Grid, *, acquisition: Acquisition | None = None, **geometry: NDArray) -> Stack:
    """A stack without interferograms: corrections see its grid and geometry alone."""
    return Stack(
        Path("stack"),
        "mintpy",
        (Pair(DATES[0], DATES[1]),),
        0.0555,
        np.zeros(1),
        grid,
        geometry=Geometry(**{name: plane(values) for name, values in geometry.items()}),
        acquisition=acquisition or Acquisition(),
    )


def geographic(rows: int, cols: int, *, west: float = 86.28, north: float = 23.82, step: float = 0.0008) -> Grid:
    return Grid(rows, cols, Affine(step, 0, west, 0, -step, north), "EPSG:4326")


def hills(rows: int, cols: int) -> NDArray[np.float64]:
    """Terrain that rises across the scene, with valleys."""
    y, x = np.mgrid[:rows, :cols]
    return 500.0 + 4.0 * x + 2.0 * y + 150.0 * np.sin(x / 5.0) * np.cos(y / 7.0)


def sample_of(series: NDArray, *, step: int = 1, coherence: NDArray | None = None) -> SeriesSample:
    """Sample of a series (date, row, col), every `step` pixels, relative to the first date."""
    rows, cols = (
        np.ravel(axis) for axis in np.meshgrid(*(np.arange(0, size, step) for size in series.shape[1:]), indexing="ij")
    )
    quality = np.ones(series.shape[1:]) if coherence is None else coherence
    values = np.asarray(series, np.float64)[:, rows, cols]
    return SeriesSample(DATES, rows, cols, values - values[0], quality[rows, cols])
