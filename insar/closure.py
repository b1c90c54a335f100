"""Loops of the interferogram network, along which unwrapped phases must add up to nothing.

Around a loop of interferograms the phases of the dates cancel. What remains of the sum is noise, well below a cycle,
and the whole cycles that unwrapping got wrong.
"""

from __future__ import annotations

import itertools
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LONGEST_LOOP = 12
"""Interferograms in a loop at most: the noise of a longer one comes near to half a cycle by itself."""

MOST_SHORTEST_LOOPS = 6
"""Loops that are taken through an interferogram on no triangle."""


class LoopPlan(NamedTuple):
    """Loops and the network they run through, in the form that kernels take.

    Attributes
    ----------
    loop_start
        (loop + 1,) first member of each loop.
    loop_pair, loop_sign
        (member,) interferogram, and 1 where it is passed from its first to its second date, else -1.
    pair_start, pair_loop, pair_sign
        (pair + 1,) and (member,) the same sorted by interferogram: loops through it, and its sign there.
    pair_first, pair_second
        (pair,) indices of the dates; the phase is that of the second minus that of the first.
    date_start, date_pair
        (date + 1,) and (2 pair,) interferograms at each date.
    """

    loop_start: NDArray[np.int64]
    loop_pair: NDArray[np.int64]
    loop_sign: NDArray[np.int64]
    pair_start: NDArray[np.int64]
    pair_loop: NDArray[np.int64]
    pair_sign: NDArray[np.int64]
    pair_first: NDArray[np.int64]
    pair_second: NDArray[np.int64]
    date_start: NDArray[np.int64]
    date_pair: NDArray[np.int64]

    @property
    def loop_count(self) -> int:
        """Number of loops."""
        return len(self.loop_start) - 1

    @property
    def loops_of_pairs(self) -> NDArray[np.int64]:
        """(pair,) number of loops through each interferogram."""
        return np.diff(self.pair_start)

    def matrix(self) -> NDArray[np.int64]:
        """(loop, pair) signs; 0 where a loop does not pass."""
        signs = np.zeros((self.loop_count, len(self.pair_first)), dtype=np.int64)
        signs[np.repeat(np.arange(self.loop_count), np.diff(self.loop_start)), self.loop_pair] = self.loop_sign
        return signs


def find_loops(pairs: Sequence[tuple[date, date]]) -> LoopPlan:
    """Loops that together see every error a loop can see.

    All triangles; through an interferogram on no triangle its shortest loops; and the shortest further ones until
    every loop of the network is a sum of those that are there. Loops of more than `LONGEST_LOOP` interferograms are
    left out.

    Parameters
    ----------
    pairs
        The two dates of each interferogram, in either order; an interferogram may be there twice.
    """
    place = {day: index for index, day in enumerate(sorted({day for pair in pairs for day in pair}))}
    ends = [(place[first], place[second]) for first, second in pairs]
    around: list[list[tuple[int, int]]] = [[] for _ in place]
    for pair, (first, second) in enumerate(ends):
        around[first].append((second, pair))
        around[second].append((first, pair))

    found = {frozenset(loop): loop for loop in _short_loops(ends)}
    seen = {pair for loop in found.values() for pair in loop}
    for pair, (first, second) in enumerate(ends):
        if pair not in seen:
            paths = itertools.islice(_shortest_paths(around, first, second, pair), MOST_SHORTEST_LOOPS)
            found.update((frozenset((*path, pair)), (*path, pair)) for path in paths)
    _complete(found, ends, around)

    loops = sorted(found.values(), key=lambda loop: (len(loop), sorted(loop)))
    members = [_oriented(loop, ends) for loop in loops]
    loop_pair = np.array([pair for loop in members for pair, _ in loop], dtype=np.int64)
    loop_sign = np.array([sign for loop in members for _, sign in loop], dtype=np.int64)
    owner = np.repeat(np.arange(len(members)), [len(loop) for loop in members]).astype(np.int64)
    by_pair = np.argsort(loop_pair, kind="stable")
    dates = np.array(ends, dtype=np.int64).reshape(-1, 2)
    return LoopPlan(
        loop_start=_starts([len(loop) for loop in members]),
        loop_pair=loop_pair,
        loop_sign=loop_sign,
        pair_start=_starts(np.bincount(loop_pair, minlength=len(pairs)).tolist()),
        pair_loop=owner[by_pair],
        pair_sign=loop_sign[by_pair],
        pair_first=np.ascontiguousarray(dates[:, 0]),
        pair_second=np.ascontiguousarray(dates[:, 1]),
        date_start=_starts([len(neighbours) for neighbours in around]),
        date_pair=np.array([pair for neighbours in around for _, pair in neighbours], dtype=np.int64),
    )


def _starts(lengths: Sequence[int]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)


def _short_loops(ends: Sequence[tuple[int, int]]) -> Iterator[tuple[int, ...]]:
    """Interferograms of the same two dates, and all triangles."""
    between: dict[tuple[int, int], list[int]] = defaultdict(list)
    later: dict[int, set[int]] = defaultdict(set)
    for pair, (first, second) in enumerate(ends):
        between[min(first, second), max(first, second)].append(pair)
        later[min(first, second)].add(max(first, second))
    for same in between.values():
        yield from itertools.pairwise(same)
    for one in sorted(later):
        for two, three in itertools.combinations(sorted(later[one]), 2):
            yield from itertools.product(between[one, two], between.get((two, three), ()), between[one, three])


def _shortest_paths(
    around: Sequence[Sequence[tuple[int, int]]], start: int, goal: int, without: int
) -> Iterator[tuple[int, ...]]:
    """Interferograms along each of the shortest ways between two dates that do not use one interferogram."""
    distance = {goal: 0}
    queue = deque([goal])
    while queue and start not in distance:
        day = queue.popleft()
        if distance[day] >= LONGEST_LOOP - 1:
            return
        for other, pair in around[day]:
            if pair != without and other not in distance:
                distance[other] = distance[day] + 1
                queue.append(other)
    if start not in distance:
        return

    stack: list[tuple[int, tuple[int, ...]]] = [(start, ())]
    while stack:
        day, path = stack.pop()
        if day == goal:
            yield path
            continue
        stack.extend(
            (other, (*path, pair))
            for other, pair in reversed(around[day])
            if pair != without and distance.get(other, -1) == distance[day] - 1
        )


def _complete(
    found: dict[frozenset[int], tuple[int, ...]],
    ends: Sequence[tuple[int, int]],
    around: Sequence[Sequence[tuple[int, int]]],
) -> None:
    """Add shortest loops until all are sums of those found: the candidates of Horton (1987), by elimination mod 2."""
    reached: set[int] = set()
    subsets = 0
    for day in range(len(around)):
        if day not in reached:
            subsets += 1
            reached |= _paths_from(around, day, len(around)).keys()
    rank = len(ends) - len(around) + subsets
    basis: dict[int, int] = {}
    for loop in found:
        _is_independent(basis, loop)
        if len(basis) == rank:
            return
    candidates = set()
    for root in range(len(around)):
        paths = _paths_from(around, root, LONGEST_LOOP // 2)
        for pair, (first, second) in enumerate(ends):
            if first in paths and second in paths:
                loop = paths[first] ^ paths[second] ^ {pair}
                if len(paths[first]) + len(paths[second]) + 1 == len(loop) <= LONGEST_LOOP:
                    candidates.add(loop)
    for loop in sorted(candidates, key=lambda loop: (len(loop), sorted(loop))):
        if len(basis) == rank:
            return
        if _is_independent(basis, loop):
            found[loop] = tuple(sorted(loop))


def _paths_from(around: Sequence[Sequence[tuple[int, int]]], root: int, farthest: int) -> dict[int, frozenset[int]]:
    """Interferograms on a shortest way from a date to every other."""
    paths: dict[int, frozenset[int]] = {root: frozenset()}
    queue = deque([root])
    while queue:
        day = queue.popleft()
        if len(paths[day]) == farthest:
            continue
        for other, pair in around[day]:
            if other not in paths:
                paths[other] = paths[day] | {pair}
                queue.append(other)
    return paths


def _is_independent(basis: dict[int, int], loop: frozenset[int]) -> bool:
    """Whether a loop is no sum of those in the basis, to which it is then added."""
    vector = sum(1 << pair for pair in loop)
    while vector:
        lead = vector.bit_length()
        if lead not in basis:
            basis[lead] = vector
            return True
        vector ^= basis[lead]
    return False


def _oriented(loop: tuple[int, ...], ends: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Interferograms in the order in which the loop passes them, each with its sign."""
    rest = sorted(loop)
    here = ends[rest[0]][0]
    members = []
    while rest:
        pair = next(pair for pair in rest if here in ends[pair])
        first, second = ends[pair]
        members.append((pair, 1 if here == first else -1))
        here = second if here == first else first
        rest.remove(pair)
    return members
