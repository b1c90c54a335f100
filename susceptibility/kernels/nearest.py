"""Distances between points of many dimensions."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from susceptibility.kernels.jit import kernel


@kernel
def sum_distances(points: NDArray[np.float64]) -> float:
    """Sum of the Euclidean distances of all pairs of ``points (point, axis)``, each pair once."""
    total = 0.0
    for first in range(points.shape[0]):
        own = 0.0
        for second in range(first):
            square = 0.0
            for axis in range(points.shape[1]):
                difference = points[first, axis] - points[second, axis]
                square += difference * difference
            own += math.sqrt(square)
        total += own
    return total
