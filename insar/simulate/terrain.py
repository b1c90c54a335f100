"""Terrain with a drainage network, its slopes, and what grows on it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from insar.simulate.fields import correlated_field, smooth, smoothstep
from insar.simulate.parameters import SimulationParameters
from insar.simulate.streams import Effect, random_stream

MOST_NODES = 40_000  # of the drainage network; a finer grid gets its detail from a random field
VALLEY_WINDOW = 9  # nodes across, in which a valley and its slopes lie
VALLEY_FILL = 0.3  # of the relief in the window
MARGIN = 0.2  # of the scene on each side, where rivers leave the modelled area
STEEPEST = math.tan(math.radians(38.0))
STEADY_ROUNDS = 20  # rivers move by less than 3 % of the nodes per round by then

_NEIGHBOURS = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)]


def simulate_heights(parameters: SimulationParameters) -> NDArray[np.float64]:
    """Terrain height in metres, (row, col): valleys and ridges of a landscape in balance with its rivers.

    Notes
    -----
    Every point drains along a tree of flow paths. Its slope follows from the area that drains through it,
    ``S = k A^-0.5`` (steady-state stream power), and is bounded by the slope that hillsides can hold. Heights are the
    sum of these slopes along the path to the edge; flow paths are then found anew on those heights, until both agree.
    """
    rng = random_stream(parameters.seed, Effect.TERRAIN)
    shape = (parameters.rows, parameters.cols)
    margin = math.ceil(MARGIN * max(shape))
    whole = (shape[0] + 2 * margin, shape[1] + 2 * margin)
    step = max(1, math.ceil(math.sqrt(whole[0] * whole[1] / MOST_NODES)))
    coarse = (math.ceil(whole[0] / step) + 1, math.ceil(whole[1] / step) + 1)
    heights = _eroded(rng, coarse, step * parameters.pixel_size_m)
    heights = _filled_valleys(smooth(heights, 0.8))
    if step > 1:
        heights = _refined(rng, heights, whole, step)
    heights = heights[margin : margin + shape[0], margin : margin + shape[1]]
    gradient = np.hypot(*np.gradient(heights, parameters.pixel_size_m))
    heights = heights * (math.tan(math.radians(parameters.median_slope_deg)) / np.median(gradient))
    lifted: NDArray[np.float64] = heights - heights.min() + parameters.lowest_height_m
    return lifted


def _eroded(rng: np.random.Generator, shape: tuple[int, int], spacing_m: float) -> NDArray[np.float64]:
    count = shape[0] * shape[1]
    nodes = np.arange(count).reshape(shape)
    resistance = np.exp(0.9 * correlated_field(rng, shape, 5.0, 3.0)).ravel()
    steepness = np.exp(0.4 * correlated_field(rng, shape, max(shape) / 8.0, 4.0)).ravel()
    steepness *= np.exp(0.2 * correlated_field(rng, shape, 3.0, 3.0)).ravel()
    is_outlet = np.zeros(shape, bool)
    is_outlet[[0, -1], :] = True
    is_outlet[:, [0, -1]] = True
    heights, receivers = _first_paths(resistance, nodes, np.flatnonzero(is_outlet))
    rows, cols = np.divmod(np.arange(count), shape[1])
    for _ in range(STEADY_ROUNDS):
        order = np.argsort(heights, kind="stable")
        area = _drained_area(order, receivers, spacing_m**2)
        length = spacing_m * np.hypot(rows - rows[receivers], cols - cols[receivers])
        slope = 1.0 / (1.0 / (steepness * 0.15 * (area / 1e6) ** -0.5) + 1.0 / STEEPEST)
        heights = _summed_along_paths(order, receivers, slope * length)
        receivers = _steepest_descent(heights.reshape(shape), nodes, is_outlet)
    return heights.reshape(shape)


def _first_paths(
    resistance: NDArray[np.float64], nodes: NDArray[np.intp], outlets: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Cheapest paths to the outlets over random ground: a tree without pits, and the cost as a first height."""
    import scipy.sparse
    import scipy.sparse.csgraph

    rows, cols = nodes.shape
    starts, ends, costs = [], [], []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        start = nodes[: rows - down, max(0, -right) : cols - max(0, right)].ravel()
        end = nodes[down:, max(0, right) : cols + min(0, right)].ravel()
        starts.append(start)
        ends.append(end)
        costs.append(0.5 * math.hypot(down, right) * (resistance[start] + resistance[end]))
    graph = scipy.sparse.csr_matrix(
        (np.concatenate(costs), (np.concatenate(starts), np.concatenate(ends))), shape=(nodes.size, nodes.size)
    )
    cost, predecessors, _ = scipy.sparse.csgraph.dijkstra(
        graph, directed=False, indices=outlets, return_predecessors=True, min_only=True
    )
    receivers = np.where(predecessors < 0, np.arange(nodes.size), predecessors).astype(np.intp)
    return cost, receivers


def _drained_area(order: NDArray[np.intp], receivers: NDArray[np.intp], cell_m2: float) -> NDArray[np.float64]:
    area = [cell_m2] * order.size
    downstream = receivers.tolist()
    for node in reversed(order.tolist()):
        if downstream[node] != node:
            area[downstream[node]] += area[node]
    return np.array(area)


def _summed_along_paths(
    order: NDArray[np.intp], receivers: NDArray[np.intp], rise: NDArray[np.float64]
) -> NDArray[np.float64]:
    height = [0.0] * order.size
    downstream, steps = receivers.tolist(), rise.tolist()
    for node in order.tolist():
        if downstream[node] != node:
            height[node] = height[downstream[node]] + steps[node]
    return np.array(height)


def _steepest_descent(
    heights: NDArray[np.float64], nodes: NDArray[np.intp], is_outlet: NDArray[np.bool_]
) -> NDArray[np.intp]:
    rows, cols = heights.shape
    walled = np.pad(heights, 1, constant_values=np.inf)
    steepest = np.zeros((rows, cols))
    receivers = nodes.copy()
    for down, right in _NEIGHBOURS:
        neighbour = walled[1 + down : 1 + down + rows, 1 + right : 1 + right + cols]
        descent = (heights - neighbour) / math.hypot(down, right)
        is_better = (descent > steepest) & ~is_outlet
        steepest[is_better] = descent[is_better]
        receivers[is_better] = nodes[is_better] + down * cols + right
    return receivers.ravel()


def _filled_valleys(heights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Heights with sediment in the valleys, up to a share of the relief around them."""
    import scipy.ndimage

    lowest = smooth(scipy.ndimage.minimum_filter(heights, VALLEY_WINDOW), VALLEY_WINDOW / 3)
    relief = np.maximum(smooth(heights, VALLEY_WINDOW / 2) - lowest, 1e-9)
    floor, transition = lowest + VALLEY_FILL * relief, 0.12 * relief
    filled: NDArray[np.float64] = floor + transition * np.logaddexp(0.0, (heights - floor) / transition)
    return filled


def _refined(
    rng: np.random.Generator, heights: NDArray[np.float64], shape: tuple[int, int], step: int
) -> NDArray[np.float64]:
    """Heights on a grid `step` times finer; roughness grows with slope, so that valley floors stay smooth."""
    import scipy.ndimage

    places = np.meshgrid(*(np.arange(size) / step for size in shape), indexing="ij")
    fine: NDArray[np.float64] = scipy.ndimage.map_coordinates(heights, places, order=3, mode="nearest")
    steepness = smooth(np.hypot(*np.gradient(fine)), step)
    return fine + 0.25 * step * steepness * correlated_field(rng, shape, step / 2.0, 4.0)


def slope_components(
    heights: NDArray[np.float64], pixel_size_m: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rise per metre toward the east and toward the north, (row, col) each, of a north-up grid."""
    south, east = np.gradient(heights, pixel_size_m)
    return np.asarray(east), -np.asarray(south)


def simulate_vegetation(
    parameters: SimulationParameters, heights: NDArray[np.float64], slope_deg: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Density of the vegetation, (row, col): 0 is bare ground, rock or buildings, 1 is forest.

    Patches have sharp borders, as land cover does, and some variation inside. The highest ground is mostly bare,
    hillsides are mostly wooded, valley floors are mixed.
    """
    rng = random_stream(parameters.seed, Effect.LAND_COVER)
    length = parameters.land_cover_patch_m / parameters.pixel_size_m / 3.0
    relative_height = (heights - heights.min()) / max(float(np.ptp(heights)), 1e-9)
    inclination = 0.7 * correlated_field(rng, heights.shape, length, 3.5)
    inclination += 0.9 * smoothstep(slope_deg / 25.0) - 1.6 * smoothstep((relative_height - 0.55) / 0.35)
    ranks = np.argsort(np.argsort(inclination, axis=None, kind="stable"), kind="stable").reshape(heights.shape)
    share = ranks / max(heights.size - 1, 1)
    patches = np.where(share < 0.35, 0.08, np.where(share < 0.70, 0.45, 0.90))
    return np.clip(patches + 0.06 * correlated_field(rng, heights.shape, length / 4.0, 3.0), 0.0, 1.0)
