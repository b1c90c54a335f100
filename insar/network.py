"""Which interferograms form the network, why the others do not, and how well it holds together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from insar.candidates import days_from_whole_years, delaunay_pairs
from insar.errors import OptionError
from insar.graph import connected_subsets, dates_of, find_bridges, spanning_tree
from insar.stack import Pair

__all__ = ["Network", "NetworkKind", "NetworkSelection", "PairDecision", "connected_subsets", "select_network"]

DEFAULT_CONNECTIONS = 3
"""Later dates that each date is paired with in sequential and seasonal networks, where nothing else is asked."""

SEASONAL_TOLERANCE_DAYS = 30.0
"""How far from whole years a pair of a seasonal network may be: the same vegetation, snow and moisture, roughly."""


class NetworkKind(StrEnum):
    """Which pairs of the stack are candidates before the thresholds."""

    ALL = "all"
    SEQUENTIAL = "sequential"
    """Each date with its next few."""
    DELAUNAY = "delaunay"
    """Neighbours in the plane of time and perpendicular baseline."""
    MST = "mst"
    """The minimum spanning tree alone."""
    SEASONAL = "seasonal"
    """Each date with its next few, and with those of the same season of other years."""


@dataclass(frozen=True, slots=True)
class NetworkSelection:
    """What a user asks of the network.

    Attributes
    ----------
    kind
        Candidate pairs.
    max_temporal_days, max_perp_m
        Largest temporal and (absolute) perpendicular baseline; None for no limit.
    connections
        Each date is paired with at most so many later dates, the next ones, beside those a year apart of a seasonal
        network; None for no limit, or `DEFAULT_CONNECTIONS` of sequential and seasonal networks.
    min_coherence
        Least coherence of an interferogram, averaged over the scene; None for no limit.
    exclude_dates
        Dates whose pairs are all dropped.
    seasonal_tolerance_days
        How far the temporal baseline of a pair of a seasonal network may be from a multiple of 365.25 days.
    """

    kind: NetworkKind = NetworkKind.ALL
    max_temporal_days: float | None = None
    max_perp_m: float | None = None
    connections: int | None = None
    min_coherence: float | None = None
    exclude_dates: tuple[date, ...] = ()
    seasonal_tolerance_days: float = SEASONAL_TOLERANCE_DAYS

    def __post_init__(self) -> None:
        for name, value in (
            ("--max-temporal-days", self.max_temporal_days),
            ("--max-perp-m", self.max_perp_m),
            ("--connections", self.connections),
            ("seasonal_tolerance_days", self.seasonal_tolerance_days),
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
    """The decision on every interferogram of a stack.

    Attributes
    ----------
    decisions
        One for each interferogram.
    notes
        What a user should know of the network asked for, such as pairs of it that the stack does not hold.
    """

    decisions: tuple[PairDecision, ...]
    notes: tuple[str, ...] = ()

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
        return tuple(sorted(find_bridges(self.pairs), key=lambda pair: (_or_last(coherence[pair]), pair)))

    def without(self, indices: Iterable[int], reason: str) -> Network:
        """The network with some more pairs dropped."""
        dropped = set(indices)
        decisions = tuple(
            replace(decision, kept=False, reason=reason) if index in dropped else decision
            for index, decision in enumerate(self.decisions)
        )
        return replace(self, decisions=decisions)


def select_network(
    pairs: Sequence[Pair],
    perpendicular_baselines_m: NDArray[np.float64],
    selection: NetworkSelection,
    *,
    mean_coherence: NDArray[np.float64] | None = None,
) -> Network:
    """Choose the interferograms to invert.

    The minimum spanning tree is always kept, whatever the kind and the thresholds, so that neither splits the network:
    its pairs are, of those that connect the dates, the ones that pass, then the most coherent, then the shortest. One
    that is kept for that alone says so. Excluded dates are gone before the tree is grown.

    Parameters
    ----------
    pairs
        Interferograms of the stack.
    perpendicular_baselines_m
        (pair,) NaN where unknown; an unknown baseline passes `max_perp_m`, and a Delaunay network needs them.
    selection
        What the user asks.
    mean_coherence
        (pair,) average over the scene, NaN where unknown; needed by `min_coherence`.

    Raises
    ------
    OptionError
        If a date to exclude is not in the stack, coherence or baselines are needed and not there, or no pair is left.
    """
    dates = dates_of(pairs)
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
    triangulated: set[Pair] | None = None
    notes: tuple[str, ...] = ()
    if selection.kind is NetworkKind.DELAUNAY:
        triangulated = delaunay_pairs(pairs, perpendicular_baselines_m, remaining)
        notes = _note_absent(triangulated, pairs)
    reasons = [
        _reason_no_candidate(pair, selection, place, triangulated)
        or _reason_beyond(pair, float(perp), float(coh), selection)
        for pair, perp, coh in zip(pairs, perpendicular_baselines_m, coherence, strict=True)
    ]
    eligible = [index for index, pair in enumerate(pairs) if pair.reference in place and pair.secondary in place]
    tree = spanning_tree(
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
    network = Network(tuple(decisions), notes)
    if not network.pairs:
        raise OptionError(
            "network options",
            required="at least one interferogram left",
            found=f"none of {len(pairs)}",
            remedy="Loosen the limits or exclude fewer dates",
        )
    return network


def _note_absent(wanted: set[Pair], pairs: Sequence[Pair]) -> tuple[str, ...]:
    absent = len(wanted - set(pairs))
    if not absent:
        return ()
    return (f"{absent} of the {len(wanted)} pairs of the Delaunay triangulation are not in the stack.",)


def _reason_no_candidate(
    pair: Pair, selection: NetworkSelection, place: dict[date, int], triangulated: set[Pair] | None
) -> str | None:
    if pair.reference not in place or pair.secondary not in place:
        return "date excluded"
    if triangulated is not None and pair not in triangulated:
        return "not in the Delaunay triangulation"
    connections = selection.connections
    if selection.kind in (NetworkKind.SEQUENTIAL, NetworkKind.SEASONAL) and connections is None:
        connections = DEFAULT_CONNECTIONS
    apart = place[pair.secondary] - place[pair.reference]
    if connections is None or apart <= connections:
        return None
    reason = f"{apart} dates apart, more than {connections} connections"
    if selection.kind is not NetworkKind.SEASONAL:
        return reason
    beside = days_from_whole_years(pair)
    if beside <= selection.seasonal_tolerance_days:
        return None
    return f"{reason}, and {beside:.0f} d from whole years, more than {selection.seasonal_tolerance_days:g} d"


def _reason_beyond(pair: Pair, perpendicular_m: float, coherence: float, selection: NetworkSelection) -> str | None:
    days = pair.temporal_baseline_days
    if selection.max_temporal_days is not None and days > selection.max_temporal_days:
        return f"temporal baseline {days} d above {selection.max_temporal_days:g} d"
    if selection.max_perp_m is not None and abs(perpendicular_m) > selection.max_perp_m:
        return f"perpendicular baseline {perpendicular_m:.0f} m above {selection.max_perp_m:g} m"
    if selection.min_coherence is not None and not coherence >= selection.min_coherence:
        return f"mean coherence {coherence:.2f} below {selection.min_coherence:g}"
    return None


def _or_last(value: float) -> float:
    return math.inf if math.isnan(value) else value
