"""The order in which dates are eliminated from the normal equations of a network, planned once for all pixels.

For one pixel the normal matrix ``B' W B`` in the unknown phases is the Laplacian of the interferogram graph, its nodes
the dates and its edge conductances the weights, grounded at the first date. Eliminating a date is the star-mesh
transformation of that graph: the date's neighbours become connected with one another. Which dates become neighbours
depends on the pairs alone; a missing sample only removes an edge, so one plan serves every pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

GROUND = -1
"""Position of the first date, whose phase is 0."""


class EliminationPlan(NamedTuple):
    """Static structure of the elimination, in the form that kernels take.

    A *position* is a date's place in the order of elimination, or `GROUND`. A *link* joins a position to one that is
    eliminated later; links are numbered consecutively, those of one position together.

    Attributes
    ----------
    order
        (date - 1,) date index at each position.
    link_start
        (date,) first link of each position; the last element is the number of links.
    link_to
        (link,) later position that the link leads to.
    mesh_start
        (date,) first mesh update of each position.
    mesh_first, mesh_second, mesh_into
        (update,) the star-mesh transformation adds conductance first x second / sum to the link `mesh_into`.
    pair_first, pair_second
        (pair,) positions of the pair's two dates.
    pair_link
        (pair,) link that carries the pair, or `GROUND` where one of its dates is the first.
    days
        (date,) days since the first date.
    """

    order: NDArray[np.int64]
    link_start: NDArray[np.int64]
    link_to: NDArray[np.int64]
    mesh_start: NDArray[np.int64]
    mesh_first: NDArray[np.int64]
    mesh_second: NDArray[np.int64]
    mesh_into: NDArray[np.int64]
    pair_first: NDArray[np.int64]
    pair_second: NDArray[np.int64]
    pair_link: NDArray[np.int64]
    days: NDArray[np.float64]

    @property
    def date_count(self) -> int:
        """Number of dates, the first included."""
        return len(self.days)

    @property
    def link_count(self) -> int:
        """Number of links, fill included."""
        return len(self.link_to)


def plan_elimination(
    pairs: Sequence[tuple[int, int]] | NDArray[np.int64], days: NDArray[np.float64]
) -> EliminationPlan:
    """Plan the elimination that creates the fewest links.

    Natural order is best for sequential networks, minimum degree for those with annual pairs; both are tried.

    Parameters
    ----------
    pairs
        (pair, 2) indices of each pair's two dates.
    days
        (date,) days since the first date, strictly increasing.
    """
    date_count = len(days)
    neighbours: list[set[int]] = [set() for _ in range(date_count)]
    for first, second in pairs:
        neighbours[first].add(int(second))
        neighbours[second].add(int(first))
    # The first date is the ground: it takes current and never becomes a link.
    for other in neighbours[0]:
        neighbours[other].discard(0)
    candidates = [
        _fill(neighbours, list(range(1, date_count))),
        _fill(neighbours, _minimum_degree_order(neighbours)),
    ]
    order, later = min(candidates, key=lambda candidate: sum(map(len, candidate[1])))
    position = {date: place for place, date in enumerate(order)}
    position[0] = GROUND

    link_start = np.zeros(date_count, dtype=np.int64)
    link_start[1:] = np.cumsum([len(row) for row in later])
    link_to = np.array([target for row in later for target in row], dtype=np.int64)
    number = {
        (place, target): int(link_start[place]) + index
        for place, row in enumerate(later)
        for index, target in enumerate(row)
    }
    mesh_start = np.zeros(date_count, dtype=np.int64)
    mesh: list[tuple[int, int, int]] = []
    for place, row in enumerate(later):
        for index, near in enumerate(row):
            mesh.extend((number[place, near], number[place, far], number[near, far]) for far in row[index + 1 :])
        mesh_start[place + 1] = len(mesh)
    updates = np.array(mesh, dtype=np.int64).reshape(-1, 3)

    places = np.array([[position[int(first)], position[int(second)]] for first, second in pairs], dtype=np.int64)
    pair_link = np.array(
        [GROUND if GROUND in ends else number[min(ends), max(ends)] for ends in map(tuple, places.tolist())],
        dtype=np.int64,
    )
    return EliminationPlan(
        order=np.array(order, dtype=np.int64),
        link_start=link_start,
        link_to=link_to,
        mesh_start=mesh_start,
        mesh_first=np.ascontiguousarray(updates[:, 0]),
        mesh_second=np.ascontiguousarray(updates[:, 1]),
        mesh_into=np.ascontiguousarray(updates[:, 2]),
        pair_first=np.ascontiguousarray(places[:, 0]),
        pair_second=np.ascontiguousarray(places[:, 1]),
        pair_link=pair_link,
        days=np.asarray(days, dtype=np.float64),
    )


def _fill(neighbours: list[set[int]], order: list[int]) -> tuple[list[int], list[list[int]]]:
    """Later neighbours of each position, as sorted positions, once fill is counted in."""
    position = {date: place for place, date in enumerate(order)}
    links: list[set[int]] = [set() for _ in order]
    for date in order:
        for other in neighbours[date]:
            if position[other] > position[date]:
                links[position[date]].add(position[other])
    for row in links:
        later = sorted(row)
        for index, near in enumerate(later):
            links[near].update(later[index + 1 :])
    return order, [sorted(row) for row in links]


def _minimum_degree_order(neighbours: list[set[int]]) -> list[int]:
    graph = {date: set(others) for date, others in enumerate(neighbours) if date != 0}
    order = []
    while graph:
        date = min(graph, key=lambda candidate: (len(graph[candidate]), candidate))
        around = graph.pop(date)
        for other in around:
            graph[other] |= around
            graph[other] -= {date, other}
        order.append(date)
    return order
