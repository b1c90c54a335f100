"""Sums over the pixels of mapping units, in the order given, so that the blocks they come in do not matter."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from susceptibility.kernels.jit import kernel

CELLS, KNOWN, TOTAL, EXTREME, SIGMA_KNOWN, SIGMA, SIGMA_SQUARED, MOVING = range(8)
"""Columns of the sums of a unit."""


@kernel
def add_pixel(
    sums: NDArray[np.float64], unit: int, weight: float, value: float, sigma: float, sigmas: float, threshold: float
) -> None:
    """Add one pixel, which has the part `weight` of its area in the unit, to the unit's sums (unit, column)."""
    sums[unit, CELLS] += weight
    if math.isnan(value):
        return
    sums[unit, KNOWN] += weight
    sums[unit, TOTAL] += weight * value
    extreme = sums[unit, EXTREME]
    # Of a rise and a fall of the same size the rise counts, whichever comes first.
    if math.isnan(extreme) or abs(value) > abs(extreme) or (abs(value) == abs(extreme) and value > extreme):
        sums[unit, EXTREME] = value
    if math.isnan(sigma):
        return
    sums[unit, SIGMA_KNOWN] += weight
    sums[unit, SIGMA] += weight * sigma
    sums[unit, SIGMA_SQUARED] += weight * weight * sigma * sigma
    if abs(value) > sigmas * sigma and abs(value) > threshold:
        sums[unit, MOVING] += weight


@kernel
def add_labelled(
    sums: NDArray[np.float64],
    labels: NDArray[np.integer],
    values: NDArray[np.float32],
    sigma: NDArray[np.float32],
    sigmas: float,
    threshold: float,
) -> None:
    """Add pixels (row, col) to the sums of the unit that each is labelled with, from 1; 0 belongs to none.

    `sigma` is 0 where the values are taken as exact.
    """
    for row in range(labels.shape[0]):
        for col in range(labels.shape[1]):
            if labels[row, col] > 0:
                add_pixel(
                    sums,
                    labels[row, col] - 1,
                    1.0,
                    np.float64(values[row, col]),
                    np.float64(sigma[row, col]),
                    sigmas,
                    threshold,
                )


@kernel
def add_listed(
    sums: NDArray[np.float64],
    units: NDArray[np.int64],
    weights: NDArray[np.float64],
    values: NDArray[np.float32],
    sigma: NDArray[np.float32],
    sigmas: float,
    threshold: float,
) -> None:
    """Add listed pixels (entry,) to the sums of the unit that each entry names, from 0."""
    for entry in range(units.size):
        add_pixel(
            sums,
            units[entry],
            weights[entry],
            np.float64(values[entry]),
            np.float64(sigma[entry]),
            sigmas,
            threshold,
        )
