"""Dates of pairs as processors write them."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insar.errors import InputError
from insar.readers.pairs import MONTHS, StoredPair, keep_first, order_dates, parse_date, split_pair_name
from insar.stack import Pair


@given(st.dates(date(1000, 1, 1)))
def test_both_forms_of_a_date_are_understood(day: date) -> None:
    numbers = f"{day.year:04}{day.month:02}{day.day:02}"
    words = f"{day.day:02}{MONTHS[day.month - 1].title()}{day.year:04}"
    assert parse_date(numbers) == parse_date(words) == parse_date(words.upper()) == day


@pytest.mark.parametrize("text", ["20181345", "2018106", "20180230", "31Feb2024", "07Mai2024", "7Apr2024", ""])
def test_other_texts_are_no_dates(text: str) -> None:
    with pytest.raises(ValueError, match=f"{text!r} is no date"):
        parse_date(text)


def test_later_date_first_is_told() -> None:
    pair = Pair(date(2018, 1, 6), date(2018, 1, 30))
    assert order_dates("x", "20180106", "20180130") == (pair, False)
    assert order_dates("x", "30Jan2018", "06Jan2018") == (pair, True)


@pytest.mark.parametrize("dates", [("20181345", "20180130"), ("20180130", "20180130")])
def test_impossible_pair_is_named(dates: tuple[str, str]) -> None:
    with pytest.raises(InputError, match="the folder: required two"):
        order_dates("the folder", *dates)


def test_names_of_two_dates() -> None:
    assert split_pair_name("20180106_20180130") == ("20180106", "20180130")
    assert split_pair_name("20180106-20180130") == ("20180106", "20180130")
    assert split_pair_name("20180106_20180130_old") is None


def test_first_of_a_pair_is_kept_and_pairs_are_sorted() -> None:
    days = [date(2018, 1, day) for day in (1, 2, 3)]
    early, late = Pair(days[0], days[1]), Pair(days[1], days[2])
    found = [StoredPair("b", late, False, 1), StoredPair("a", early, True, 2), StoredPair("c", late, True, 3)]
    kept, notes = keep_first(found)
    assert [each.name for each in kept] == ["a", "b"]
    assert notes == ["c is left out: b is of the same dates"]
