"""Selection of pairs, and what is said of the network."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain import sequential_network

from insar.errors import OptionError
from insar.network import NetworkKind, NetworkSelection, connected_subsets, select_network
from insar.stack import Pair


def _pairs(dates, connections):
    return tuple(sorted(Pair(one, two) for one, two in sequential_network(dates, connections)))


def _select(pairs, baselines=None, coherence=None, **selection):
    baselines = np.zeros(len(pairs)) if baselines is None else np.asarray(baselines, dtype=float)
    return select_network(pairs, baselines, NetworkSelection(**selection), mean_coherence=coherence)


def test_everything_is_kept_by_default():
    pairs = _pairs(8, 3)
    network = _select(pairs)
    assert network.pairs == pairs
    assert len(network.subsets) == 1
    assert not any(decision.reason for decision in network.decisions)


def test_temporal_baseline_and_its_reason():
    network = _select(_pairs(8, 3), max_temporal_days=30)
    assert max(pair.temporal_baseline_days for pair in network.pairs) <= 30
    dropped = [decision for decision in network.decisions if not decision.kept]
    assert dropped
    assert all("temporal baseline" in decision.reason for decision in dropped)


def test_perpendicular_baseline_counts_by_magnitude_and_unknown_passes():
    pairs = _pairs(4, 3)
    network = _select(pairs, [10, -500, 10, 10, np.nan, 10], max_perp_m=100)
    assert [decision.kept for decision in network.decisions] == [True, False, True, True, True, True]


def test_connections():
    network = _select(_pairs(8, 4), connections=2)
    assert network.pairs == _pairs(8, 2)
    assert _select(_pairs(8, 4), kind=NetworkKind.SEQUENTIAL).pairs == _pairs(8, 3)


def test_excluded_dates():
    pairs = _pairs(6, 2)
    day = pairs[0].secondary
    network = _select(pairs, exclude_dates=(day,))
    assert all(day not in (pair.reference, pair.secondary) for pair in network.pairs)
    with pytest.raises(OptionError, match="19990101"):
        _select(pairs, exclude_dates=(date(1999, 1, 1),))


def test_thresholds_never_split_the_network():
    # One bridge of low coherence: it stays, and says why.
    pairs = _pairs(6, 1)
    coherence = np.array([0.9, 0.9, 0.1, 0.9, 0.9])
    network = _select(pairs, coherence=coherence, min_coherence=0.5)
    assert network.pairs == pairs
    assert "although mean coherence 0.10" in network.decisions[2].reason


def test_the_tree_prefers_coherent_pairs():
    pairs = _pairs(4, 3)
    coherence = np.array([0.2, 0.9, 0.8, 0.3, 0.7, 0.1])
    network = _select(pairs, coherence=coherence, kind=NetworkKind.MST)
    kept = [float(decision.mean_coherence) for decision in network.decisions if decision.kept]
    assert len(kept) == 3
    # Best total of all spanning trees.
    best = max(
        sum(coherence[list(chosen)])
        for chosen in combinations(range(6), 3)
        if len(connected_subsets([pairs[index] for index in chosen])) == 1
        and len({day for index in chosen for day in (pairs[index].reference, pairs[index].secondary)}) == 4
    )
    assert sum(kept) == pytest.approx(best)


def test_subsets_and_weakest_links():
    first = date(2020, 1, 1)
    dates = [first + timedelta(days=12 * index) for index in range(7)]
    loop = [(0, 1), (1, 2), (0, 2)]
    pairs = tuple(sorted(Pair(dates[one], dates[two]) for one, two in [*loop, (2, 3), (4, 5), (5, 6), (4, 6)]))
    network = _select(pairs)
    assert [len(subset) for subset in network.subsets] == [4, 3]
    assert network.weakest_links == (Pair(dates[2], dates[3]),)


@settings(max_examples=60, deadline=None)
@given(st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=25))
def test_weakest_links_are_the_pairs_whose_removal_splits(edges):
    first = date(2020, 1, 1)
    pairs = tuple(
        sorted(
            {
                Pair(first + timedelta(days=min(edge)), first + timedelta(days=max(edge)))
                for edge in edges
                if edge[0] != edge[1]
            }
        )
    )
    if not pairs:
        return

    def groups(chosen):
        dates = {day for pair in pairs for day in (pair.reference, pair.secondary)}
        seen = {day for pair in chosen for day in (pair.reference, pair.secondary)}
        return len(connected_subsets(chosen)) + len(dates - seen)

    expected = {pair for pair in pairs if groups([other for other in pairs if other != pair]) > groups(pairs)}
    assert set(_select(pairs).weakest_links) == expected


def test_coherence_threshold_needs_coherence():
    with pytest.raises(OptionError, match="coherence"):
        _select(_pairs(4, 1), min_coherence=0.3)


@pytest.mark.parametrize("selection", [{"connections": 0}, {"max_perp_m": -1}, {"min_coherence": 1.5}])
def test_impossible_options(selection):
    with pytest.raises(OptionError):
        NetworkSelection(**selection)
