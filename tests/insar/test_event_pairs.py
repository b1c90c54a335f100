"""Pairs before, across and after an event."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insar.errors import InputError, OptionError
from insar.event_pairs import choose_event_pairs, is_like
from insar.stack import Pair

START = date(2024, 1, 6)


def day(number: int) -> date:
    return START + timedelta(days=number)


def pair(first: int, last: int) -> Pair:
    return Pair(day(first), day(last))


def network(days: list[int], reach: int = 2) -> list[Pair]:
    return [pair(one, two) for at, one in enumerate(days) for two in days[at + 1 : at + 1 + reach]]


TWELVE = network(list(range(0, 121, 12)))


def test_defaults_are_the_closest_pairs_of_like_temporal_baseline():
    chosen = choose_event_pairs(TWELVE, day(55))
    assert chosen.pre == (pair(36, 48),)
    assert chosen.co == (pair(48, 60),)
    assert chosen.post == (pair(60, 72),)
    assert chosen.history == (pair(0, 12), pair(12, 24), pair(24, 36), pair(36, 48))
    assert chosen.notes == ()
    assert chosen.post_missing is None


def test_of_several_co_pairs_the_latest_reference_is_taken():
    pairs = [pair(0, 12), pair(12, 36), pair(20, 44), pair(44, 68)]
    assert choose_event_pairs(pairs, day(30)).co == (pair(20, 44),)


def test_acquisition_on_the_day_is_left_out_unless_given():
    chosen = choose_event_pairs(TWELVE, day(48))
    assert chosen.co == (pair(36, 60),)
    assert chosen.pre == (pair(12, 36),)
    assert chosen.post == (pair(60, 84),)
    assert "before or after" in chosen.notes[0]
    given_pairs = choose_event_pairs(TWELVE, day(48), co=[pair(36, 48)], pre=[pair(24, 36)], post=[pair(48, 60)])
    assert given_pairs.co == (pair(36, 48),)
    assert given_pairs.post == (pair(48, 60),)
    with pytest.raises(OptionError, match="on the day itself"):
        choose_event_pairs(network([0, 12, 24], 1), day(12))


def test_unlike_pairs_are_used_with_a_note():
    chosen = choose_event_pairs([pair(0, 36), pair(36, 48), pair(48, 96)], day(40))
    assert chosen.pre == (pair(0, 36),)
    assert chosen.post == (pair(48, 96),)
    assert chosen.history == ()
    assert len(chosen.notes) == 2
    assert "36 days" in chosen.notes[0]


@pytest.mark.parametrize(
    ("days", "other", "alike"), [(12, 15, True), (12, 18, False), (6, 12, False), (42, 52, True), (42, 56, False)]
)
def test_likeness_of_temporal_baselines(days, other, alike):
    assert is_like(pair(0, other), pair(0, days)) is alike


def test_no_post_pair_is_told_not_refused():
    chosen = choose_event_pairs(TWELVE, day(115))
    assert chosen.post == ()
    assert "no pair begins after" in str(chosen.post_missing)
    early = choose_event_pairs(TWELVE, day(55), until=day(60))
    assert early.co == (pair(48, 60),)
    assert early.post == ()
    assert str(day(60)) in str(early.post_missing)


@pytest.mark.parametrize("number", [-5, 0, 120, 300])
def test_event_outside_the_dates_is_refused_with_the_dates(number):
    with pytest.raises(OptionError, match=f"from {day(0)} to {day(120)}"):
        choose_event_pairs(TWELVE, day(number))


def test_event_without_a_pair_across_or_before_it_is_refused():
    with pytest.raises(OptionError, match="no pair from before"):
        choose_event_pairs([pair(0, 12), pair(24, 36)], day(18))
    with pytest.raises(InputError, match="two acquisitions before"):
        choose_event_pairs([pair(0, 12), pair(12, 24)], day(6))
    with pytest.raises(OptionError, match="not before the event"):
        choose_event_pairs(TWELVE, day(50), until=day(40))
    with pytest.raises(OptionError, match="up to"):
        choose_event_pairs(TWELVE, day(50), until=day(50))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"co": [pair(0, 13)]}, "no such pair"),
        ({"co": [pair(0, 12)]}, "end after it"),
        ({"pre": [pair(48, 60)]}, "end before"),
        ({"post": [pair(48, 60)]}, "begin after"),
    ],
)
def test_given_pairs_are_checked(options, message):
    with pytest.raises(OptionError, match=message):
        choose_event_pairs(TWELVE, day(55), **options)


@given(
    st.lists(st.integers(0, 200), min_size=4, max_size=12, unique=True).map(sorted),
    st.integers(1, 199),
    st.integers(1, 3),
)
def test_choice_lies_on_the_right_side(days, event, reach):
    pairs = network(days, reach)
    try:
        chosen = choose_event_pairs(pairs, day(event))
    except (InputError, OptionError):
        across = [one for one in pairs if one.reference < day(event) < one.secondary]
        before = [one for one in pairs if one.secondary < day(event)]
        assert not across or not before
        return
    assert all(one.secondary < day(event) for one in (*chosen.pre, *chosen.history))
    assert all(one.reference < day(event) < one.secondary for one in chosen.co)
    assert all(one.reference > day(event) for one in chosen.post)
    shortest = min(one.temporal_baseline_days for one in pairs if one.reference < day(event) < one.secondary)
    assert chosen.co[0].temporal_baseline_days == shortest
    assert set(chosen.history) == {one for one in pairs if one.secondary < day(event) and is_like(one, chosen.co[0])}
