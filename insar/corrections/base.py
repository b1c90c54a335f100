"""What every correction of a displacement series is made of.

A disturbance (delay in the troposphere, a ramp, tides of the solid earth) adds an apparent displacement to the series.
A correction that is *fitted* knows it at every pixel and date; one that has to be estimated first is given a sample of
the series. Constants per date and per pixel do not matter: a series is relative to a reference point and to its first
date, and whoever subtracts an apparent displacement makes it relative to the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class SeriesSample:
    """A series on some pixels of the stack, that corrections are estimated from.

    Attributes
    ----------
    dates
        Acquisition dates.
    rows, cols
        (point,) pixels of the stack.
    displacement_m
        (date, point) m, positive toward the satellite, relative to the first date and the reference; NaN where unknown.
    temporal_coherence
        (point,) 0..1, NaN where unknown.
    """

    dates: tuple[date, ...]
    rows: NDArray[np.intp]
    cols: NDArray[np.intp]
    displacement_m: NDArray[np.float64]
    temporal_coherence: NDArray[np.floating]


class FittedCorrection(Protocol):
    """A disturbance that is known everywhere; can be pickled, and used from several threads at once."""

    @property
    def name(self) -> str:
        """Name of the step in manifests and reports."""
        ...

    def apparent_displacement(self, rows: slice, cols: slice) -> NDArray[np.floating]:
        """(date, row, col) m, positive toward the satellite: what the disturbance adds; NaN where it is unknown."""
        ...

    @property
    def facts(self) -> Mapping[str, Any]:
        """Plain values for the manifest: what was fitted, from what, how well."""
        ...


class Correction(Protocol):
    """A step that is estimated from the series, or read from files that cover its dates."""

    @property
    def name(self) -> str:
        """Name of the step in manifests and reports."""
        ...

    def fit(self, sample: SeriesSample) -> FittedCorrection:
        """The disturbance, known everywhere.

        Raises
        ------
        InsarError
            If it cannot be known: files that are absent, a stack without heights.
        """
        ...
