"""Selection of pairs, and what is said of the network."""

from __future__ import annotations

import csv
import json
from datetime import date, timedelta
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.image import imread
from plain import sequential_network

from insar.config import Settings
from insar.errors import OptionError
from insar.network import SEASONAL_TOLERANCE_DAYS, NetworkKind, NetworkSelection, connected_subsets, select_network
from insar.network_report import write_network
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


FIRST = date(2020, 1, 1)


def _complete(days, baselines):
    """Every pair of some days (counted from 2020), with the perpendicular baselines that those of the dates give."""
    pairs = [Pair(FIRST + timedelta(days=int(one)), FIRST + timedelta(days=int(two))) for one, two in _ordered(days)]
    height = {FIRST + timedelta(days=int(day)): float(b) for day, b in zip(days, baselines, strict=True)}
    return tuple(pairs), np.array([height[pair.secondary] - height[pair.reference] for pair in pairs])


def _ordered(days):
    return combinations(sorted(days), 2)


def _delaunay_by_circles(days, baselines):
    """Edges of all triangles whose circumscribed circle holds no other point, in exact enough arithmetic."""
    points = [
        ((day - min(days)) / (max(days) - min(days)), (b - min(baselines)) / (max(baselines) - min(baselines)))
        for day, b in zip(days, baselines, strict=True)
    ]
    edges = set()
    for corners in combinations(range(len(points)), 3):
        (ax, ay), (bx, by), (cx, cy) = (points[corner] for corner in corners)
        twice_area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if abs(twice_area) < 1e-12:
            continue
        squares = [x * x + y * y for x, y in ((ax, ay), (bx, by), (cx, cy))]
        centre_x = (squares[0] * (by - cy) + squares[1] * (cy - ay) + squares[2] * (ay - by)) / (2 * twice_area)
        centre_y = (squares[0] * (cx - bx) + squares[1] * (ax - cx) + squares[2] * (bx - ax)) / (2 * twice_area)
        radius = np.hypot(ax - centre_x, ay - centre_y)
        others = [index for index in range(len(points)) if index not in corners]
        if all(np.hypot(points[i][0] - centre_x, points[i][1] - centre_y) > radius * (1 - 1e-9) for i in others):
            edges |= {tuple(sorted(side)) for side in combinations(corners, 2)}
    order = np.argsort(days)
    rank = {int(index): place for place, index in enumerate(order)}
    return {tuple(sorted((rank[one], rank[two]))) for one, two in edges}


def _kept_edges(network, days):
    place = {FIRST + timedelta(days=int(day)): index for index, day in enumerate(sorted(days))}
    return {(place[pair.reference], place[pair.secondary]) for pair in network.pairs}


@pytest.mark.parametrize("seed", range(6))
def test_delaunay_equals_the_edges_of_empty_circles(seed):
    random = np.random.default_rng(seed)
    count = int(random.integers(4, 16))
    days = random.choice(np.arange(1, 900), count, replace=False)
    baselines = random.normal(0, 80, count)
    network = _select(*_complete(days, baselines), kind=NetworkKind.DELAUNAY)
    assert _kept_edges(network, days) == _delaunay_by_circles(days.tolist(), baselines.tolist())
    assert {decision.reason for decision in network.decisions if not decision.kept} <= {
        "not in the Delaunay triangulation"
    }
    assert network.notes == ()


def test_delaunay_does_not_depend_on_units_or_the_zero_of_baselines():
    days, baselines = [0, 13, 30, 47, 60, 85], np.array([10.0, -40.0, 80.0, 5.0, -90.0, 33.0])
    once = _select(*_complete(days, baselines), kind=NetworkKind.DELAUNAY).pairs
    assert _select(*_complete(days, 0.01 * baselines + 300), kind=NetworkKind.DELAUNAY).pairs == once


@pytest.mark.parametrize("baselines", [[0, 0, 0, 0, 0], [0, 12, 24, 36, 48], [7, 7, 7, 7, 7]])
def test_delaunay_of_dates_on_a_line_joins_neighbours(baselines):
    days = [0, 12, 24, 36, 48]
    network = _select(*_complete(days, baselines), kind=NetworkKind.DELAUNAY)
    assert _kept_edges(network, days) == {(0, 1), (1, 2), (2, 3), (3, 4)}


def test_delaunay_of_two_and_three_dates():
    assert len(_select(*_complete([0, 12], [5, -5]), kind=NetworkKind.DELAUNAY).pairs) == 1
    assert len(_select(*_complete([0, 12, 24], [0, 50, 0]), kind=NetworkKind.DELAUNAY).pairs) == 3
    assert len(_select(*_complete([0, 12, 24], [0, 0, 0]), kind=NetworkKind.DELAUNAY).pairs) == 2


def test_delaunay_says_what_the_stack_does_not_hold_and_stays_connected():
    days, baselines = [0, 12, 24, 36], [0.0, 60.0, -20.0, 30.0]
    pairs, perp = _complete(days, baselines)
    wanted = _select(pairs, perp, kind=NetworkKind.DELAUNAY).pairs
    # Without the pairs of the third date in the triangulation but one that is not in it, if there is any.
    stored = [index for index, pair in enumerate(pairs) if pair not in wanted[1:3]]
    network = _select([pairs[index] for index in stored], perp[stored], kind=NetworkKind.DELAUNAY)
    assert len(network.subsets) == 1
    assert network.notes == (f"2 of the {len(wanted)} pairs of the Delaunay triangulation are not in the stack.",)


def test_a_pair_beside_the_triangulation_connects_where_it_must():
    # The last date is joined by one pair alone, which is no edge of the triangulation.
    days, baselines = [0, 10, 20, 30, 40], [0.0, 50.0, -50.0, 20.0, 0.0]
    pairs, perp = _complete(days, baselines)
    edges = set(_select(pairs, perp, kind=NetworkKind.DELAUNAY).pairs)
    last = FIRST + timedelta(days=40)
    beside = next(pair for pair in pairs if pair.secondary == last and pair not in edges)
    stored = [index for index, pair in enumerate(pairs) if pair.secondary != last or pair == beside]
    network = _select([pairs[index] for index in stored], perp[stored], kind=NetworkKind.DELAUNAY)
    assert len(network.subsets) == 1
    (decision,) = [decision for decision in network.decisions if decision.pair == beside]
    assert decision.kept
    assert decision.reason == "kept to connect the network, although not in the Delaunay triangulation"


def test_delaunay_needs_baselines():
    pairs, perp = _complete([0, 12, 24, 36], [0.0, 60.0, -20.0, 30.0])
    perp[[pair.secondary == FIRST + timedelta(days=36) for pair in pairs]] = np.nan
    with pytest.raises(OptionError, match="unknown ones in 3 of 6"):
        _select(pairs, perp, kind=NetworkKind.DELAUNAY)
    # The date that nothing is known of may be left out.
    network = _select(pairs, perp, kind=NetworkKind.DELAUNAY, exclude_dates=(FIRST + timedelta(days=36),))
    assert len(network.pairs) == 3


def test_delaunay_of_a_split_stack_triangulates_each_part():
    one, perp_one = _complete([0, 12, 24], [0.0, 60.0, -20.0])
    two, perp_two = _complete([100, 112], [0.0, 10.0])
    network = _select((*one, *two), np.concatenate([perp_one, perp_two]), kind=NetworkKind.DELAUNAY)
    assert len(network.subsets) == 2
    assert len(network.pairs) == 4


def test_seasonal_keeps_neighbours_and_pairs_of_whole_years():
    days = list(range(0, 1000, 24))
    pairs, perp = _complete(days, np.zeros(len(days)))
    network = _select(pairs, perp, kind=NetworkKind.SEASONAL, connections=2)
    for decision in network.decisions:
        span = decision.pair.temporal_baseline_days
        expected = span <= 48 or any(abs(span - years * 365.25) <= SEASONAL_TOLERANCE_DAYS for years in (1, 2, 3))
        assert decision.kept == expected
        assert bool(decision.reason) != expected
    spans = {pair.temporal_baseline_days for pair in network.pairs}
    assert {24, 48, 360, 384, 720, 744} <= spans
    assert not spans & {72, 312, 408, 480, 672}
    # Thresholds come on top.
    short = _select(pairs, perp, kind=NetworkKind.SEASONAL, max_temporal_days=400)
    assert max(pair.temporal_baseline_days for pair in short.pairs) == 384


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_is_asked_the_network_holds_together_and_explains_itself(data):
    count = data.draw(st.integers(2, 9))
    days = data.draw(st.lists(st.integers(0, 1500), min_size=count, max_size=count, unique=True))
    baselines = data.draw(st.lists(st.integers(-200, 200), min_size=count, max_size=count))
    pairs, perp = _complete(days, baselines)
    chosen = data.draw(st.lists(st.sampled_from(range(len(pairs))), min_size=1, unique=True).map(sorted))
    pairs, perp = [pairs[index] for index in chosen], perp[chosen]
    numbers = st.one_of(st.just(float("nan")), st.floats(0, 1))
    coherence = np.array(data.draw(st.lists(numbers, min_size=len(pairs), max_size=len(pairs))))
    network = _select(
        pairs,
        perp,
        coherence,
        kind=data.draw(st.sampled_from(NetworkKind)),
        min_coherence=data.draw(st.none() | st.floats(0, 1)),
        max_temporal_days=data.draw(st.none() | st.integers(1, 1500)),
        max_perp_m=data.draw(st.none() | st.integers(1, 400)),
        connections=data.draw(st.none() | st.integers(1, 5)),
    )
    assert network.subsets == connected_subsets(pairs)
    for decision in network.decisions:
        if not decision.kept:
            assert decision.reason
            assert not decision.reason.startswith("kept")
        elif decision.reason:
            assert decision.reason.startswith("kept to connect the network, although ")


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_coherence_pruning_keeps_the_most_coherent_tree(data):
    count = data.draw(st.integers(3, 6))
    pairs, perp = _complete(range(0, 12 * count, 12), np.zeros(count))
    values = st.integers(0, 1000).map(lambda value: value / 1000)
    coherence = np.array(data.draw(st.lists(values, min_size=len(pairs), max_size=len(pairs), unique=True)))
    threshold = data.draw(st.floats(0, 1))
    network = _select(pairs, perp, coherence, min_coherence=threshold)
    trees = [
        chosen
        for chosen in combinations(range(len(pairs)), count - 1)
        if len(connected_subsets([pairs[index] for index in chosen])) == 1
        and len({day for index in chosen for day in (pairs[index].reference, pairs[index].secondary)}) == count
    ]
    best = max(trees, key=lambda chosen: coherence[list(chosen)].sum())
    assert set(network.kept) == set(best) | set(np.flatnonzero(coherence >= threshold).tolist())


def test_the_table_says_why_and_the_plot_is_drawn(shared_data, tmp_path):
    stack = shared_data / "mexico_sentinel1" / "isce_tops"
    table = write_network(Settings(stack=stack, min_coherence=0.75, network=NetworkKind.SEQUENTIAL), tmp_path)
    with table.open(newline="") as source:
        rows = list(csv.DictReader(source))
    assert len(rows) == 30
    dropped = [row for row in rows if row["kept"] == "False"]
    assert dropped
    assert all("below 0.75" in row["reason"] or "dates apart" in row["reason"] for row in dropped)
    summary = json.loads((tmp_path / "network.json").read_text())
    assert summary["subsets"] == 1
    assert len(summary["dates"]) == 13
    assert imread(tmp_path / "network.png").std() > 0.05


def test_coherence_threshold_needs_coherence():
    with pytest.raises(OptionError, match="coherence"):
        _select(_pairs(4, 1), min_coherence=0.3)


@pytest.mark.parametrize("selection", [{"connections": 0}, {"max_perp_m": -1}, {"min_coherence": 1.5}])
def test_impossible_options(selection):
    with pytest.raises(OptionError):
        NetworkSelection(**selection)
