"""Lines of a simulated landscape: rivers where water gathers, roads where walking is easy, faults anywhere."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid

_LinesAndFields = tuple[NDArray[np.object_], dict[str, NDArray[Any]]]

_ROADS, _FAULTS = 3, 2
_EASY_GRADIENT = 0.15  # rise over run that makes a way about twice as long
_BRIDGE = 20.0  # times as long as on level ground


def trace_rivers(
    receiver: NDArray[np.int64],
    area_m2: NDArray[np.float64],
    steepness: NDArray[np.float64],
    grid: Grid,
    least_area_m2: float,
) -> _LinesAndFields:
    """Draw rivers from source or confluence to the next confluence or the outlet, through the centres of cells.

    Parameters
    ----------
    receiver : (cell,)
        Flat index of the cell below, of an outlet its own.
    area_m2, steepness : (row, col)
        Drained area, and normalised channel steepness.
    grid
        Of the cells.
    least_area_m2
        From which a channel is a river.
    """
    import shapely

    area, steep = area_m2.ravel(), steepness.ravel()
    is_river = area >= least_area_m2
    cells = np.flatnonzero(is_river)
    above = np.zeros(receiver.size, np.int64)
    flowing = cells[receiver[cells] != cells]
    np.add.at(above, receiver[flowing], 1)
    starts = cells[(above[cells] != 1) & (receiver[cells] != cells)]
    paths = []
    for start in starts:
        path = [int(start)]
        while receiver[path[-1]] != path[-1] and (len(path) == 1 or above[path[-1]] == 1):
            path.append(int(receiver[path[-1]]))
        paths.append(np.array(path))
    lines = [shapely.linestrings(_centres(path, grid)) for path in paths]
    fields: dict[str, NDArray[Any]] = {
        "river": np.arange(1, len(paths) + 1, dtype=np.int32),
        "area_m2": np.array([area[path[-2]] for path in paths]),
        "ksn": np.array([steep[path[:-1]].mean() for path in paths]),
        "length_m": np.array([line.length for line in lines]),
    }
    return np.array(lines, object), fields


def lay_roads(
    rng: np.random.Generator,
    elevation: NDArray[np.float64],
    gradient: NDArray[np.float64],
    is_river: NDArray[np.bool_],
    grid: Grid,
) -> _LinesAndFields:
    """Lay roads between low places on the edges, the easiest way over the slopes, beside rivers rather than in them."""
    import shapely
    from scipy.sparse.csgraph import dijkstra

    size = len(elevation)
    graph = grid_graph(1.0 + (gradient / _EASY_GRADIENT) ** 2 + _BRIDGE * is_river)
    edges = [np.arange(size) * size, np.arange(size) * size + size - 1, np.arange(size)]
    edges.append(size * (size - 1) + np.arange(size))
    ends = [_low_place(rng, elevation.ravel(), edge) for edge in edges]
    lines: list[Any] = []
    for first, last in [(0, 1), (2, 3), (0, 3)][:_ROADS]:
        _, before = dijkstra(graph, directed=False, indices=[ends[first]], return_predecessors=True)
        path = [ends[last]]
        while path[-1] != ends[first]:
            path.append(int(before[0, path[-1]]))
        lines.append(shapely.simplify(shapely.linestrings(_centres(np.array(path), grid)), 10.0))
    return np.array(lines, object), {"road": np.arange(1, len(lines) + 1, dtype=np.int32)}


def lay_faults(rng: np.random.Generator, grid: Grid) -> _LinesAndFields:
    """Lay faults of about one strike across the area, each a little crooked."""
    import shapely

    west, south, east, north = grid.bounds
    reach = math.hypot(east - west, north - south)
    strike = rng.uniform(0.0, math.pi)
    lines: list[Any] = []
    while len(lines) < _FAULTS:
        own = strike + rng.normal(0.0, 0.15)
        along = np.linspace(-reach, reach, 61)
        aside = np.cumsum(rng.normal(0.0, 0.008 * reach, along.size))
        aside -= aside[along.size // 2]
        x = west + (east - west) * rng.uniform(0.2, 0.8) + along * math.sin(own) + aside * math.cos(own)
        y = south + (north - south) * rng.uniform(0.2, 0.8) + along * math.cos(own) - aside * math.sin(own)
        inside = shapely.intersection(shapely.linestrings(x, y), shapely.box(west, south, east, north))
        parts = shapely.get_parts(inside)
        if parts.size:
            lines.append(parts[int(np.argmax(shapely.length(parts)))])
    return np.array(lines, object), {"fault": np.arange(1, len(lines) + 1, dtype=np.int32)}


def grid_graph(cost: NDArray[np.float64]) -> Any:
    """Sparse graph of the 8 neighbours of each cell (row, col); an edge weighs its length times the mean cost."""
    from scipy.sparse import coo_array

    rows, cols = cost.shape
    cells = np.arange(rows * cols).reshape(rows, cols)
    flat = cost.ravel()
    first, second, weight = [], [], []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        one = cells[: rows - down, max(0, -right) : cols - max(0, right)].ravel()
        other = cells[down:, max(0, right) : cols - max(0, -right)].ravel()
        first.append(one)
        second.append(other)
        weight.append(math.hypot(down, right) * 0.5 * (flat[one] + flat[other]))
    return coo_array(
        (np.concatenate(weight), (np.concatenate(first), np.concatenate(second))), shape=(flat.size, flat.size)
    ).tocsr()


def _low_place(rng: np.random.Generator, elevation: NDArray[np.float64], cells: NDArray[np.int64]) -> int:
    """One of the lower half of some cells."""
    order = cells[np.argsort(elevation[cells], kind="stable")]
    return int(order[rng.integers(0, max(1, order.size // 2))])


def _centres(cells: NDArray[Any], grid: Grid) -> NDArray[np.float64]:
    """Map coordinates (cell, 2) of the centres of cells, by flat index."""
    rows, cols = np.divmod(cells, grid.cols)
    x, y = grid.map_coordinates(rows + 0.5, cols + 0.5)
    return np.stack([x, y], axis=1)
