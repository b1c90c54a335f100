"""Landslides of an earthquake on a simulated landscape: of many sizes, longer than wide, down the slope.

Where they begin is a Poisson process whose intensity is known, how large they are follows the distribution of real
inventories, and the ground that one of a given size takes is fixed by the terrain. So the share of every cell's chance
to be covered is known exactly, before any slide is drawn.

Notes
-----
Sources in cell s are Poisson distributed with the mean ``m(s)``, independent of each other. A slide of n cells takes
the first n of an order of cells that the terrain gives to its source: down the steepest of four neighbours, and to both
sides, about three times as long as wide. If cell c comes at place ``r(s, c)`` of the order of s, slides from s cover it
with the mean ``m(s) P(N >= r(s, c))``, and c is covered by none with the probability

    exp(-sum over s of m(s) P(N >= r(s, c)))

Areas follow the inverse gamma distribution of Malamud et al. (2004), ``a = 1.28e-3 km2, s = -1.32e-4 km2, rho = 1.40``,
of those of one cell and more; N is the area in whole cells, rounded down, up to a largest number.

References
----------
Malamud, B. D., Turcotte, D. L., Guzzetti, F., Reichenbach, P. (2004). Landslide inventories and their statistical
properties. Earth Surface Processes and Landforms 29, 687-711.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_CELLS = 48
"""Of a slide."""

LENGTH_TO_WIDTH = 3.0

_SCALE_M2, _SHIFT_M2, _SHAPE = 1280.0, -132.0, 1.40
_SLIDES_CHILD = 5
_SOURCES_AT_ONCE = 50_000


@dataclass(frozen=True, slots=True)
class Slides:
    """Landslides that were drawn.

    Attributes
    ----------
    source : (slide,)
        Flat index of the cell that each begins in.
    cells : (slide,) object
        Flat indices of the cells of each.
    covered : (row, col) bool
        Where at least one is.
    """

    source: NDArray[np.intp]
    cells: tuple[NDArray[np.intp], ...]
    covered: NDArray[np.bool_]


def size_survival(cell_area_m2: float) -> NDArray[np.float64]:
    """P(N >= n) of a slide's number of cells N, for n = 1 to `MOST_CELLS`: (n,)."""
    from scipy.special import gammainc

    area = cell_area_m2 * np.arange(1, MOST_CELLS + 1)
    # The area A minus the shift is inverse gamma distributed: P(A >= x) = P(gamma variate <= scale / (x - shift)).
    survival = gammainc(_SHAPE, _SCALE_M2 / (area - _SHIFT_M2))
    return np.asarray(survival / survival[0], np.float64)


def footprint_order() -> NDArray[np.int64]:
    """Places (n, 2) that a slide takes one after the other: steps from its source, cells to the left or right."""
    length = math.ceil(math.sqrt(LENGTH_TO_WIDTH * MOST_CELLS)) + 1
    places = [(step, aside) for step in range(length) for aside in range(-length, length + 1)]

    def cells_when_taken(place: tuple[int, int]) -> tuple[float, int, int, bool]:
        step, aside = place
        # A slide of n cells is sqrt(3 n) long and sqrt(n / 3) wide.
        by_length = step**2 / LENGTH_TO_WIDTH
        by_width = (2 * abs(aside)) ** 2 * LENGTH_TO_WIDTH
        return max(by_length, by_width), step, abs(aside), aside < 0

    return np.array(sorted(places, key=cells_when_taken)[:MOST_CELLS], np.int64)


def footprints(elevation: NDArray[np.float32], sources: NDArray[np.intp]) -> NDArray[np.int64]:
    """Cells that slides from some sources take, in their order.

    Parameters
    ----------
    elevation
        (row, col), known everywhere.
    sources
        (source,) flat indices.

    Returns
    -------
    (source, n) int64
        Flat index of the n-th cell; -1 where it is beyond the landscape or was taken before, as where a slide has come
        to the foot of its slope.
    """
    rows, cols = elevation.shape
    below, down, right = _steepest_of_four(elevation)
    order = footprint_order()
    steps = int(order[:, 0].max()) + 1
    path = np.empty((sources.size, steps), np.int64)
    path[:, 0] = sources
    for step in range(1, steps):
        path[:, step] = below[path[:, step - 1]]
    cell = path[:, order[:, 0]]
    # To the right of the way down: a quarter turn.
    row = cell // cols + right[cell] * order[:, 1]
    col = cell % cols - down[cell] * order[:, 1]
    inside = (row >= 0) & (row < rows) & (col >= 0) & (col < cols)
    taken = np.where(inside, row * cols + col, -1)
    for place in range(1, MOST_CELLS):
        again = (taken[:, :place] == taken[:, place : place + 1]).any(axis=1)
        taken[again, place] = -1
    return taken


def coverage_probability(
    elevation: NDArray[np.float32], sources_mean: NDArray[np.float64], cell_area_m2: float
) -> NDArray[np.float64]:
    """Probability that a cell is covered by at least one slide, (row, col), by the equation of this module.

    Parameters
    ----------
    elevation
        (row, col), known everywhere.
    sources_mean
        (row, col) mean number of slides that begin in each cell.
    cell_area_m2
        Of a cell.
    """
    survival = size_survival(cell_area_m2)
    covered_mean = np.zeros(elevation.size)
    mean = sources_mean.ravel()
    for start in range(0, elevation.size, _SOURCES_AT_ONCE):
        sources = np.arange(start, min(start + _SOURCES_AT_ONCE, elevation.size))
        taken = footprints(elevation, sources)
        weight = mean[sources, None] * survival
        known = taken >= 0
        covered_mean += np.bincount(taken[known], weight[known], minlength=elevation.size)
    return np.asarray(-np.expm1(-covered_mean).reshape(elevation.shape))


def draw_slides(
    elevation: NDArray[np.float32], sources_mean: NDArray[np.float64], cell_area_m2: float, seed: int
) -> Slides:
    """Draw the slides of one earthquake; parameters as of `coverage_probability`, the same seed gives the same ones."""
    rng = np.random.default_rng([seed, _SLIDES_CHILD])
    number = rng.poisson(sources_mean.ravel())
    source = np.repeat(np.arange(elevation.size), number)
    survival = size_survival(cell_area_m2)
    chance = rng.uniform(size=source.size)
    # P(N >= n) falls with n: as many sizes are reached as are still likelier than the chance drawn.
    size = np.maximum((survival[None, :] > chance[:, None]).sum(axis=1), 1)
    covered = np.zeros(elevation.size, np.bool_)
    cells = []
    for start in range(0, source.size, _SOURCES_AT_ONCE):
        part = slice(start, start + _SOURCES_AT_ONCE)
        for taken, count in zip(footprints(elevation, source[part]), size[part], strict=True):
            reached = taken[:count]
            cells.append(reached[reached >= 0].astype(np.intp))
            covered[cells[-1]] = True
    return Slides(source.astype(np.intp), tuple(cells), covered.reshape(elevation.shape))


def slide_outlines(slides: Slides, corners: NDArray[np.float64], cols: int) -> NDArray[np.object_]:
    """Outline of each slide, (slide,) shapely polygons along the edges of its cells.

    Parameters
    ----------
    slides
        From `draw_slides`.
    corners
        Map coordinates (row, col, 2) of the corners of cells, one more than cells each way.
    cols
        Of the landscape.
    """
    import shapely

    outlines = []
    for cells in slides.cells:
        row, col = np.divmod(cells, cols)
        upper_left, lower_right = corners[row, col], corners[row + 1, col + 1]
        boxes = shapely.box(upper_left[:, 0], lower_right[:, 1], lower_right[:, 0], upper_left[:, 1])
        outlines.append(shapely.normalize(shapely.union_all(boxes)))
    found = np.empty(len(outlines), object)
    found[:] = outlines
    return found


def _steepest_of_four(
    elevation: NDArray[np.float32],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Flat index of the lowest of the four neighbours of each cell (cell,), itself where none is lower, and the step.

    The step of a cell without a lower neighbour is that to the lowest one all the same.
    """
    rows, cols = elevation.shape
    padded = np.pad(elevation.astype(np.float64), 1, constant_values=np.inf)
    ways = np.array([(1, 0), (0, 1), (-1, 0), (0, -1)])
    around = np.stack([padded[1 + down : 1 + down + rows, 1 + right : 1 + right + cols] for down, right in ways])
    best = around.argmin(axis=0)
    down, right = ways[best, 0].ravel(), ways[best, 1].ravel()
    cell = np.arange(rows * cols)
    is_lower = (np.take_along_axis(around, best[None], axis=0)[0] < elevation).ravel()
    below = np.where(is_lower, cell + down * cols + right, cell)
    return below.astype(np.int64), down.astype(np.int64), right.astype(np.int64)
