"""Values between the nodes of coarse grids, at many pixels and for all dates at once."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from insar.kernels.jit import kernel

TILE = 256
"""Pixels for which the weights are kept while the dates go by: output is written in order."""

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
    pixels = row.shape[0]
    inside = np.empty(TILE, np.bool_)
    top = np.empty(TILE, np.int64)
    left = np.empty(TILE, np.int64)
    for start in range(0, pixels, TILE):
        length = min(TILE, pixels - start)
        for here in range(length):
            r = row[start + here]
            c = col[start + here]
            inside[here] = -_BEYOND <= r <= rows - 1 + _BEYOND and -_BEYOND <= c <= cols - 1 + _BEYOND
            top[here] = min(int(r), rows - 2) if inside[here] else 0
            left[here] = min(int(c), cols - 2) if inside[here] else 0
        for day in range(dates):
            for here in range(length):
                pixel = start + here
                if not inside[here]:
                    projected[day, pixel] = np.nan
                    continue
                t = top[here]
                s = left[here]
                down = row[pixel] - t
                right = col[pixel] - s
                total = 0.0
                for part in range(components):
                    upper = (1.0 - right) * nodes[day, part, t, s] + right * nodes[day, part, t, s + 1]
                    lower = (1.0 - right) * nodes[day, part, t + 1, s] + right * nodes[day, part, t + 1, s + 1]
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
    pixels = row.shape[0]
    inside = np.empty(TILE, np.bool_)
    first = np.empty((3, TILE), np.int64)
    weight = np.empty((8, TILE), np.float64)
    for start in range(0, pixels, TILE):
        length = min(TILE, pixels - start)
        for here in range(length):
            r = row[start + here]
            c = col[start + here]
            h = level[start + here]
            known = -_BEYOND <= r <= rows - 1 + _BEYOND and -_BEYOND <= c <= cols - 1 + _BEYOND
            known = known and -_BEYOND <= h <= levels - 1 + _BEYOND and not math.isnan(factor[start + here])
            inside[here] = known
            if not known:
                continue
            first[0, here] = min(int(r), rows - 2)
            first[1, here] = min(int(c), cols - 2)
            first[2, here] = min(int(h), levels - 2)
            down = r - first[0, here]
            right = c - first[1, here]
            above = h - first[2, here]
            for corner in range(8):
                share = down if corner & 4 else 1.0 - down
                share *= right if corner & 2 else 1.0 - right
                weight[corner, here] = share * (above if corner & 1 else 1.0 - above)
        for day in range(dates):
            for here in range(length):
                if not inside[here]:
                    values[day, start + here] = np.nan
                    continue
                total = 0.0
                for corner in range(8):
                    # A node of no weight may be unknown.
                    if weight[corner, here] != 0.0:
                        r_node = first[0, here] + (corner >> 2)
                        c_node = first[1, here] + ((corner >> 1) & 1)
                        total += weight[corner, here] * table[day, r_node, c_node, first[2, here] + (corner & 1)]
                values[day, start + here] = factor[start + here] * total
