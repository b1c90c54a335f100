"""Loops of a network, and the count of those that do not close, against plain NumPy."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain import sequential_network

from insar.closure import LONGEST_LOOP, find_loops
from insar.kernels.closure import FILLING_ROUNDS, count_open_loops

FIRST = date(2020, 1, 1)


def pairs_of(*ends: tuple[int, int]) -> list[tuple[date, date]]:
    return [(FIRST + timedelta(days=12 * one), FIRST + timedelta(days=12 * two)) for one, two in ends]


def lengths(plan) -> list[int]:
    return np.diff(plan.loop_start).tolist()


def cycle_rank(pairs: list[tuple[date, date]]) -> int:
    dates = sorted({day for pair in pairs for day in pair})
    incidence = np.zeros((len(pairs), len(dates)))
    for row, (first, second) in enumerate(pairs):
        incidence[row, dates.index(first)] -= 1
        incidence[row, dates.index(second)] += 1
    return len(pairs) - np.linalg.matrix_rank(incidence)


@st.composite
def networks(draw) -> list[tuple[date, date]]:
    count = draw(st.integers(2, 9))
    ends = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(lambda pair: pair[0] != pair[1])
    return pairs_of(*draw(st.lists(ends, min_size=1, max_size=30)))


@given(networks())
def test_loops_cancel_the_phases_of_dates_and_span_all_loops(pairs):
    """In either order of dates, with interferograms that are there twice."""
    plan = find_loops(pairs)
    signs = plan.matrix()
    dates = sorted({day for pair in pairs for day in pair})
    phase = np.random.default_rng(1).normal(size=len(dates))
    difference = [phase[dates.index(second)] - phase[dates.index(first)] for first, second in pairs]
    np.testing.assert_allclose(signs @ difference, 0.0, atol=1e-12)
    assert (np.linalg.matrix_rank(signs) if plan.loop_count else 0) == cycle_rank(pairs)
    np.testing.assert_array_equal(np.abs(signs).sum(axis=0), plan.loops_of_pairs)
    for pair in range(len(pairs)):
        through = slice(plan.pair_start[pair], plan.pair_start[pair + 1])
        np.testing.assert_array_equal(signs[plan.pair_loop[through], pair], plan.pair_sign[through])


def test_sequential_network_has_its_triangles_alone():
    plan = find_loops(sequential_network(60, 3))
    # Of each date with the next three: (1, 2), (1, 3) and (2, 3) later.
    assert plan.loop_count == 58 + 57 + 57
    assert set(lengths(plan)) == {3}


def test_annual_pairs_lie_on_loops_of_four():
    ends = [(day, day + step) for day in range(40) for step in (1, 2) if day + step < 40]
    annual = [(day, day + 30) for day in range(10)]
    plan = find_loops(pairs_of(*ends, *annual))
    assert set(lengths(plan)) == {3, 4}
    # A neighbour on either side, at the distance of one and of two dates.
    assert plan.loops_of_pairs[len(ends) :].tolist() == [2, 3, 4, 4, 4, 4, 4, 4, 3, 2]


def test_the_hole_in_a_ring_of_triangles_is_a_loop():
    count = 9
    around = [(day, (day + step) % count) for day in range(count) for step in (1, 2)]
    plan = find_loops(pairs_of(*around))
    assert set(lengths(plan)) == {3, 5}
    assert np.linalg.matrix_rank(plan.matrix()) == 2 * count - count + 1


def test_pairs_on_no_loop_and_on_too_long_ones():
    assert find_loops(pairs_of((0, 1), (1, 2), (2, 3))).loop_count == 0
    for length, loops in ((LONGEST_LOOP, 1), (LONGEST_LOOP + 1, 0)):
        ring = pairs_of(*((day, (day + 1) % length) for day in range(length)))
        assert find_loops(ring).loop_count == loops


def plain_count(phase, reference, plan):
    """Open loops, whether there is any loop, with gaps filled one after the other."""
    turns = ((phase - reference[:, None]) / (2 * np.pi)).astype(np.float32)
    turns[~np.isfinite(turns)] = np.nan
    signs = plan.matrix()

    def total(loop, pixel, without=-1):
        members = range(plan.loop_start[loop], plan.loop_start[loop + 1])
        return sum(
            plan.loop_sign[member] * turns[plan.loop_pair[member], pixel]
            for member in members
            if plan.loop_pair[member] != without
        )

    count, checked = np.zeros(phase.shape[1], int), np.zeros(phase.shape[1], bool)
    for pixel in range(phase.shape[1]):
        checked[pixel] = any(np.isfinite(total(loop, pixel)) for loop in range(plan.loop_count))
        for _ in range(FILLING_ROUNDS):
            for pair in range(len(phase)):
                for loop in np.flatnonzero(signs[:, pair]):
                    if np.isnan(turns[pair, pixel]):
                        turns[pair, pixel] = -signs[loop, pair] * total(loop, pixel, without=pair)
        count[pixel] = sum(abs(total(loop, pixel)) > 0.5 for loop in range(plan.loop_count))
    return count, checked | (count > 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("missing", [0.0, 0.1, 0.5, 0.9])
def test_open_loops_against_plain_numpy(missing, dtype):
    random = np.random.default_rng(3)
    pairs = sequential_network(9, 3)
    plan = find_loops(pairs)
    phase = random.normal(0, 2.5, (len(pairs), 300)).astype(dtype)
    phase[random.random(phase.shape) < missing] = np.nan
    phase[:, 5] = np.nan
    phase[0, 6] = np.inf
    reference = random.normal(0, 1, len(pairs))
    count, checked, samples = np.empty(300, np.uint16), np.empty(300, bool), np.empty(len(pairs), np.int64)
    count_open_loops(phase, reference, plan, count, checked, samples)
    expected, expected_checked = plain_count(phase, reference, plan)
    np.testing.assert_array_equal(count, expected)
    np.testing.assert_array_equal(checked, expected_checked)
    assert not checked[5]
    np.testing.assert_array_equal(samples, np.isfinite(phase).sum(axis=1))


def test_an_error_beside_a_gap_opens_the_way_around_it():
    """Two triangles share the missing pair: four interferograms remain, on no triangle, and one of them is wrong."""
    pairs = pairs_of((0, 1), (1, 2), (0, 2), (1, 3), (2, 3))
    plan = find_loops(pairs)
    phase = np.zeros((5, 2))
    phase[0] = 2 * np.pi
    phase[1, 1] = np.nan
    count, checked = np.empty(2, np.uint16), np.empty(2, bool)
    count_open_loops(phase, np.zeros(5), plan, count, checked, np.empty(5, np.int64))
    assert count.tolist() == [1, 1]
    assert checked.all()
