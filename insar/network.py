"""Which interferograms form the network, why the others do not, and how well it holds together."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from insar.errors import OptionError
from insar.stack import Pair


class NetworkKind(StrEnum):
    """Which pairs are candidates before the thresholds."""

    ALL = "all"
    SEQUENTIAL = "sequential"
    MST = "mst"


@dataclass(frozen=True, slots=True)
class NetworkSelection:
    """What a user asks of the network.

    Attributes
    ----------
    kind
        All pairs; each date with its next `connections` dates; or the minimum spanning tree alone.
    max_temporal_days, max_perp_m
        Largest temporal and (absolute) perpendicular baseline; None for no limit.
    connections
        Each date is paired with at most so many later dates, the next ones; None for no limit.
    min_coherence
        Least coherence of an interferogram, averaged over the scene; None for no limit.
    exclude_dates
        Dates whose pairs are all dropped.
    """

    kind: NetworkKind = NetworkKind.ALL
    max_temporal_days: float | None = None
    max_perp_m: float | None = None
    connections: int | None = None
    min_coherence: float | None = None
    exclude_dates: tuple[date, ...] = ()

    def __post_init__(self) -> None:
        for name, value in (
            ("--max-temporal-days", self.max_temporal_days),
            ("--max-perp-m", self.max_perp_m),
            ("--connections", self.connections),
        ):
            if value is not None and not value > 0:
                raise OptionError(name, required="a positive number", found=str(value), remedy="Leave it out for none")
        if self.min_coherence is not None and not 0 <= self.min_coherence <= 1:
            raise OptionError(
                "--min-coherence", required="a number from 0 to 1", found=str(self.min_coherence), remedy="Correct it"
            )


@dataclass(frozen=True, slots=True)
class PairDecision:
    """Whether one interferogram is used, and why not (or why in spite of a threshold)."""

    pair: Pair
    perpendicular_baseline_m: float
    mean_coherence: float
    kept: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Network:
    """The decision on every interferogram of a stack."""

    decisions: tuple[PairDecision, ...]

    @property
    def kept(self) -> tuple[int, ...]:
        """Indices of the interferograms used."""
        return tuple(index for index, decision in enumerate(self.decisions) if decision.kept)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Interferograms used."""
        return tuple(decision.pair for decision in self.decisions if decision.kept)

    @property
    def subsets(self) -> tuple[tuple[date, ...], ...]:
        """Dates of each connected subset of the network, earliest first; one where all are connected."""
        return connected_subsets(self.pairs)

    @property
    def weakest_links(self) -> tuple[Pair, ...]:
        """Interferograms without which the network would fall apart, least coherent first."""
        coherence = {decision.pair: decision.mean_coherence for decision in self.decisions}
        return tuple(sorted(_bridges(self.pairs), key=lambda pair: (_or_last(coherence[pair]), pair)))

    def without(self, indices: Iterable[int], reason: str) -> Network:
        """The network with some more pairs dropped."""
        dropped = set(indices)
        return Network(
            tuple(
                PairDecision(
                    decision.pair, decision.perpendicular_baseline_m, decision.mean_coherence, kept=False, reason=reason
                )
                if index in dropped
                else decision
                for index, decision in enumerate(self.decisions)
            )
        )


def select_network(
    pairs: Sequence[Pair],
    perpendicular_baselines_m: NDArray[np.float64],
    selection: NetworkSelection,
    *,
    mean_coherence: NDArray[np.float64] | None = None,
) -> Network:
    """Choose the interferograms to invert.

    The minimum spanning tree is always kept, whatever the thresholds, so that no threshold splits the network: its
    pairs are, of those that connect the dates, the ones that pass the thresholds, then the most coherent, then the
    shortest. Excluded dates are gone before the tree is grown.

    Parameters
    ----------
    pairs
        Interferograms of the stack.
    perpendicular_baselines_m
        (pair,) NaN where unknown; an unknown baseline passes `max_perp_m`.
    selection
        What the user asks.
    mean_coherence
        (pair,) average over the scene, NaN where unknown; needed by `min_coherence`.

    Raises
    ------
    OptionError
        If a date to exclude is not in the stack, coherence is needed and not there, or no pair is left.
    """
    dates = sorted({day for pair in pairs for day in (pair.reference, pair.secondary)})
    unknown = [day for day in selection.exclude_dates if day not in dates]
    if unknown:
        raise OptionError(
            "--exclude-dates",
            required=f"dates of the stack ({dates[0]:%Y%m%d} to {dates[-1]:%Y%m%d})",
            found=", ".join(f"{day:%Y%m%d}" for day in unknown),
            remedy="`insar info` lists the dates",
        )
    if selection.min_coherence is not None and mean_coherence is None:
        raise OptionError(
            "--min-coherence",
            required="a stack with coherence",
            found="a stack without",
            remedy="Leave the option out, or add the coherence files",
        )
    coherence = np.full(len(pairs), np.nan) if mean_coherence is None else mean_coherence
    remaining = [day for day in dates if day not in selection.exclude_dates]
    place = {day: index for index, day in enumerate(remaining)}
    reasons = [
        _reason_to_drop(pair, float(perp), float(coh), selection, place)
        for pair, perp, coh in zip(pairs, perpendicular_baselines_m, coherence, strict=True)
    ]
    eligible = [index for index, pair in enumerate(pairs) if pair.reference in place and pair.secondary in place]
    tree = _spanning_tree(
        pairs,
        sorted(
            eligible,
            key=lambda index: (
                reasons[index] is not None,
                _or_last(-float(coherence[index])),
                pairs[index].temporal_baseline_days,
                index,
            ),
        ),
    )
    decisions = []
    for index, pair in enumerate(pairs):
        reason = reasons[index]
        if reason is None and selection.kind is NetworkKind.MST and index not in tree:
            reason = "not in the minimum spanning tree"
        kept = reason is None or index in tree
        note = "" if reason is None else f"kept to connect the network, although {reason}" if kept else reason
        decisions.append(
            PairDecision(pair, float(perpendicular_baselines_m[index]), float(coherence[index]), kept, note)
        )
    network = Network(tuple(decisions))
    if not network.pairs:
        raise OptionError(
            "network options",
            required="at least one interferogram left",
            found=f"none of {len(pairs)}",
            remedy="Loosen the limits or exclude fewer dates",
        )
    return network


def connected_subsets(pairs: Sequence[Pair]) -> tuple[tuple[date, ...], ...]:
    """Dates of each connected subset, sorted, the subset with the earliest date first."""
    forest = _Forest()
    for pair in pairs:
        forest.join(pair.reference, pair.secondary)
    groups: dict[date, list[date]] = defaultdict(list)
    for day in sorted({day for pair in pairs for day in (pair.reference, pair.secondary)}):
        groups[forest.root(day)].append(day)
    return tuple(sorted(tuple(group) for group in groups.values()))


def _reason_to_drop(
    pair: Pair, perpendicular_m: float, coherence: float, selection: NetworkSelection, place: dict[date, int]
) -> str | None:
    if pair.reference not in place or pair.secondary not in place:
        return "date excluded"
    days = pair.temporal_baseline_days
    if selection.max_temporal_days is not None and days > selection.max_temporal_days:
        return f"temporal baseline {days} d above {selection.max_temporal_days:g} d"
    if selection.max_perp_m is not None and abs(perpendicular_m) > selection.max_perp_m:
        return f"perpendicular baseline {perpendicular_m:.0f} m above {selection.max_perp_m:g} m"
    apart = place[pair.secondary] - place[pair.reference]
    connections = selection.connections
    if selection.kind is NetworkKind.SEQUENTIAL and connections is None:
        connections = 3
    if connections is not None and apart > connections:
        return f"{apart} dates apart, more than {connections} connections"
    if selection.min_coherence is not None and not coherence >= selection.min_coherence:
        return f"mean coherence {coherence:.2f} below {selection.min_coherence:g}"
    return None


def _or_last(value: float) -> float:
    return math.inf if math.isnan(value) else value


class _Forest:
    """Union-find over dates."""

    def __init__(self) -> None:
        self._parent: dict[date, date] = {}

    def root(self, day: date) -> date:
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


def _spanning_tree(pairs: Sequence[Pair], best_first: Sequence[int]) -> set[int]:
    """Kruskal's algorithm: indices of the pairs of the tree."""
    forest = _Forest()
    return {index for index in best_first if forest.join(pairs[index].reference, pairs[index].secondary)}


def _bridges(pairs: Sequence[Pair]) -> list[Pair]:
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
