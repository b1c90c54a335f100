"""A displacement time series, what the inversion says of its quality, and the rate fitted to it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
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
    """Rate of displacement and what else a model of time says of a series; None where the model does not say it.

    Every value is (row, col) and has a standard deviation, which is NaN with no more dates than the fit has terms.

    Attributes
    ----------
    velocity, velocity_std
        m/yr, positive toward the satellite.
    acceleration, acceleration_std
        m/yr2, twice the quadratic coefficient.
    seasonal_amplitude, seasonal_amplitude_std
        m, amplitude of the annual term. An amplitude cannot be negative: below about twice its deviation it is noise.
    steps, steps_std
        m, by the date of the step, positive toward the satellite.
    dem_error, dem_error_std
        m, height in the stack's DEM minus true height.
    velocity_recent
        m/yr, of a straight line through the dates of the trailing window alone.
    rate_change, rate_change_std
        m/yr, rate in the trailing window minus rate before, positive toward the satellite.
    acceleration_p
        Probability of at least such a change of rate at a steady rate, two-sided.
    accelerating
        uint8: 0 unknown, 1 no, 2 the rate has grown in magnitude, at the false-alarm rate asked for.
    """

    velocity: NDArray[np.float32]
    velocity_std: NDArray[np.float32]
    acceleration: NDArray[np.float32] | None = None
    acceleration_std: NDArray[np.float32] | None = None
    seasonal_amplitude: NDArray[np.float32] | None = None
    seasonal_amplitude_std: NDArray[np.float32] | None = None
    steps: dict[date, NDArray[np.float32]] = field(default_factory=dict)
    steps_std: dict[date, NDArray[np.float32]] = field(default_factory=dict)
    dem_error: NDArray[np.float32] | None = None
    dem_error_std: NDArray[np.float32] | None = None
    velocity_recent: NDArray[np.float32] | None = None
    rate_change: NDArray[np.float32] | None = None
    rate_change_std: NDArray[np.float32] | None = None
    acceleration_p: NDArray[np.float32] | None = None
    accelerating: NDArray[np.uint8] | None = None

    @property
    def layers(self) -> dict[str, NDArray[Any]]:
        """What there is by name; steps are ``step_YYYYMMDD`` and ``step_YYYYMMDD_std``."""
        found = {
            item.name: value
            for item in fields(self)
            if (value := getattr(self, item.name)) is not None and not isinstance(value, dict)
        }
        for suffix, steps in (("", self.steps), ("_std", self.steps_std)):
            found |= {f"step_{day:%Y%m%d}{suffix}": value for day, value in steps.items()}
        return found
