"""Values between the nodes of coarse grids, at many pixels and for all dates at once."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from insar.kernels.jit import kernel

_BEYOND = 1e-3
"""How far beyond the outermost nodes (steps) still counts as within: rounding must not lose a pixel."""


@kernel
def project_nodes(
    nodes: NDArray[np.float64],
    row: NDArray[np.float64],
    col: NDArray[np.float64],
    direction: NDArray[np.float64],
    projected: NDArray[np.float32],
) -> None:
    """Component along a direction of vectors that are interpolated bilinearly.

    Parameters
    ----------
    nodes
        (date, component, node row, node col) vectors; at least 2 x 2 nodes.
    row, col
        (pixel,) fractional node rows and columns; NaN where unknown.
    direction
        (component, pixel) unit vectors.
    projected
        (date, pixel) out; NaN beyond the nodes and where anything is unknown.
    """
    dates, components, rows, cols = nodes.shape
    for pixel in range(row.shape[0]):
        inside = -_BEYOND <= row[pixel] <= rows - 1 + _BEYOND and -_BEYOND <= col[pixel] <= cols - 1 + _BEYOND
        if not inside:
            projected[:, pixel] = np.nan
            continue
        top = min(int(row[pixel]), rows - 2)
        left = min(int(col[pixel]), cols - 2)
        down = row[pixel] - top
        right = col[pixel] - left
        for day in range(dates):
            total = 0.0
            for part in range(components):
                values = nodes[day, part]
                upper = (1.0 - right) * values[top, left] + right * values[top, left + 1]
                lower = (1.0 - right) * values[top + 1, left] + right * values[top + 1, left + 1]
                total += direction[part, pixel] * ((1.0 - down) * upper + down * lower)
            projected[day, pixel] = total


@kernel
def interpolate_columns(
    table: NDArray[np.float32],
    row: NDArray[np.float64],
    col: NDArray[np.float64],
    level: NDArray[np.float64],
    factor: NDArray[np.float64],
    values: NDArray[np.float32],
) -> None:
    """Trilinear interpolation in columns over a grid of nodes, times a factor for each pixel.

    Parameters
    ----------
    table
        (date, node row, node col, level); at least two of each but dates; NaN where unknown.
    row, col, level
        (pixel,) fractional indices; NaN where unknown.
    factor
        (pixel,).
    values
        (date, pixel) out; NaN beyond the table and where a node that counts is unknown.
    """
    dates, rows, cols, levels = table.shape
    weight = np.empty(8, np.float64)
    for pixel in range(row.shape[0]):
        inside = 0.0 <= row[pixel] <= rows - 1 and 0.0 <= col[pixel] <= cols - 1 and 0.0 <= level[pixel] <= levels - 1
        if not inside or math.isnan(factor[pixel]):
            values[:, pixel] = np.nan
            continue
        top = min(int(row[pixel]), rows - 2)
        left = min(int(col[pixel]), cols - 2)
        base = min(int(level[pixel]), levels - 2)
        down = row[pixel] - top
        right = col[pixel] - left
        above = level[pixel] - base
        for corner in range(8):
            share = down if corner & 4 else 1.0 - down
            share *= right if corner & 2 else 1.0 - right
            weight[corner] = share * (above if corner & 1 else 1.0 - above)
        for day in range(dates):
            total = 0.0
            for corner in range(8):
                # A node of no weight may be unknown.
                if weight[corner] != 0.0:
                    total += (
                        weight[corner] * table[day, top + (corner >> 2), left + (corner >> 1 & 1), base + (corner & 1)]
                    )
            values[day, pixel] = factor[pixel] * total
