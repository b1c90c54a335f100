"""Delay of the signal on its way through the atmosphere at each date, and ramps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from insar.simulate.fields import correlated_field
from insar.simulate.parameters import SimulationParameters
from insar.simulate.streams import Effect, random_stream


def simulate_turbulence(parameters: SimulationParameters) -> NDArray[np.float32]:
    """Turbulent delay along the line of sight in metres, (date, row, col); positive where the path is longer."""
    shape = (parameters.rows, parameters.cols)
    delay = np.zeros((parameters.acquisitions, *shape), np.float32)
    if parameters.turbulence_rms_m == 0.0:
        return delay
    length = parameters.turbulence_length_m / parameters.pixel_size_m
    for index in range(parameters.acquisitions):
        rng = random_stream(parameters.seed, Effect.TURBULENCE, index)
        delay[index] = parameters.turbulence_rms_m * correlated_field(
            rng, shape, length, parameters.turbulence_exponent
        )
    return delay


def simulate_stratification(parameters: SimulationParameters) -> NDArray[np.float64]:
    """Delay in metres per kilometre of height above the scene's mean, (date,); positive where longer when higher."""
    rng = random_stream(parameters.seed, Effect.STRATIFICATION)
    return parameters.stratified_rms_m_per_km * rng.standard_normal(parameters.acquisitions)


def simulate_ramps(parameters: SimulationParameters) -> NDArray[np.float64]:
    """Planes in metres, (date, 2): down and across the map, at its last row and column as seen from its centre.

    Positive where the path is longer. The mean square of a plane over the map is a third of the sum of both squares.
    """
    rng = random_stream(parameters.seed, Effect.RAMPS)
    return parameters.ramp_rms_m * float(np.sqrt(1.5)) * rng.standard_normal((parameters.acquisitions, 2))
