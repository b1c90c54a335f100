"""A displacement time series, what the inversion says of its quality, and the rate fitted to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import RowCol
from insar.stack import Stack


@dataclass(frozen=True, slots=True)
class TimeSeries:
    """Displacement along the line of sight of every pixel and date, on the pixels of the stack.

    Attributes
    ----------
    stack
        The stack that was inverted, reduced to the interferograms used.
    dates
        (date,) acquisition dates.
    displacement_m
        (date, row, col) m, positive toward the satellite, relative to the first date and to the reference point; NaN
        where a pixel has no valid interferogram.
    reference
        Pixel of the stack that all displacements are relative to.
    layers
        (row, col) by name: `temporal_coherence`, `residual_rms` (m), `pairs_used`, `subsets`, and `mean_coherence`
        where the stack has coherence.
    """

    stack: Stack
    dates: tuple[date, ...]
    displacement_m: NDArray[Any]
    reference: RowCol
    layers: dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Rate:
    """Rate of displacement.

    Attributes
    ----------
    velocity
        (row, col) m/yr, positive toward the satellite.
    velocity_std
        (row, col) m/yr, its standard deviation; NaN with no more dates than the model has terms.
    acceleration
        (row, col) m/yr2, twice the quadratic coefficient; None where the model has none.
    seasonal_amplitude
        (row, col) m, amplitude of the annual term; None where the model has none.
    """

    velocity: NDArray[np.float32]
    velocity_std: NDArray[np.float32]
    acceleration: NDArray[np.float32] | None = None
    seasonal_amplitude: NDArray[np.float32] | None = None
