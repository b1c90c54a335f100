"""The graph of dates joined by interferograms: its subsets, a spanning tree, the pairs on no loop, heights of dates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from insar.stack import Pair


class Forest:
    """Union-find over dates."""

    def __init__(self) -> None:
        self._parent: dict[date, date] = {}

    def root(self, day: date) -> date:
        """The date that stands for all dates connected with `day`."""
        parent = self._parent.setdefault(day, day)
        while parent != self._parent[parent]:
            self._parent[parent] = parent = self._parent[self._parent[parent]]
        return parent

    def join(self, one: date, two: date) -> bool:
        """Connect two dates; False where they already were."""
        first, second = self.root(one), self.root(two)
        if first == second:
            return False
        self._parent[max(first, second)] = min(first, second)
        return True


def dates_of(pairs: Sequence[Pair]) -> list[date]:
    """Dates of the pairs, sorted."""
    return sorted({day for pair in pairs for day in (pair.reference, pair.secondary)})


def connected_subsets(pairs: Sequence[Pair]) -> tuple[tuple[date, ...], ...]:
    """Dates of each connected subset, sorted, the subset with the earliest date first."""
    forest = Forest()
    for pair in pairs:
        forest.join(pair.reference, pair.secondary)
    groups: dict[date, list[date]] = defaultdict(list)
    for day in dates_of(pairs):
        groups[forest.root(day)].append(day)
    return tuple(sorted(tuple(group) for group in groups.values()))


def spanning_tree(pairs: Sequence[Pair], best_first: Sequence[int]) -> set[int]:
    """Indices of the pairs of a minimum spanning tree (Kruskal 1956), or of one for each subset.

    Parameters
    ----------
    pairs
        Interferograms.
    best_first
        Indices of those that the tree may use, the ones it should prefer first.
    """
    forest = Forest()
    return {index for index in best_first if forest.join(pairs[index].reference, pairs[index].secondary)}


def find_bridges(pairs: Sequence[Pair]) -> list[Pair]:
    """Pairs on no loop (Tarjan 1974), without recursion."""
    around: dict[date, list[tuple[date, int]]] = defaultdict(list)
    for index, pair in enumerate(pairs):
        around[pair.reference].append((pair.secondary, index))
        around[pair.secondary].append((pair.reference, index))
    entered: dict[date, int] = {}
    lowest: dict[date, int] = {}
    bridges = []
    for start in sorted(around):
        if start in entered:
            continue
        entered[start] = lowest[start] = len(entered)
        stack = [(start, -1, iter(around[start]))]
        while stack:
            day, arrived_by, neighbours = stack[-1]
            for other, index in neighbours:
                if index == arrived_by:
                    continue
                if other in entered:
                    lowest[day] = min(lowest[day], entered[other])
                else:
                    entered[other] = lowest[other] = len(entered)
                    stack.append((other, index, iter(around[other])))
                    break
            else:
                stack.pop()
                if stack:
                    above = stack[-1][0]
                    lowest[above] = min(lowest[above], lowest[day])
                    if lowest[day] > entered[above]:
                        bridges.append(pairs[arrived_by])
    return bridges


def date_baselines(pairs: Sequence[Pair], perpendicular_baselines_m: NDArray[np.float64]) -> dict[date, float]:
    """Perpendicular baseline of each date in metres, by least squares from those of the pairs.

    Only differences within a connected subset of the pairs with a known baseline mean something. Dates without such a
    pair are left out.
    """
    known = np.flatnonzero(np.isfinite(perpendicular_baselines_m)).tolist()
    days = dates_of([pairs[index] for index in known])
    place = {day: index for index, day in enumerate(days)}
    incidence = np.zeros((len(known), len(days)))
    for row, index in enumerate(known):
        incidence[row, [place[pairs[index].reference], place[pairs[index].secondary]]] = -1.0, 1.0
    if not known:
        return {}
    solved = np.linalg.lstsq(incidence, perpendicular_baselines_m[known], rcond=None)[0]
    return dict(zip(days, solved.tolist(), strict=True))
