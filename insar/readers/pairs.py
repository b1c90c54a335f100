"""Which two dates an interferogram is of, which way round it is stored, and which one to keep of two of the same."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Generic, TypeVar

from insar.errors import InputError
from insar.stack import Pair

Content = TypeVar("Content")

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
"""English months as processors write them; `strptime` would follow the user's language instead."""

_TWO_DATES = re.compile(r"^([0-9]{8})[_-]([0-9]{8})$")


@dataclass(frozen=True, slots=True)
class StoredPair(Generic[Content]):
    """An interferogram as found: what it is called, its dates, and whether the later date comes first in storage."""

    name: str
    pair: Pair
    is_reversed: bool
    content: Content


def parse_date(text: str) -> date:
    """Date of ``YYYYMMDD`` or of ``07Apr2024`` in any letter case; raises ValueError for anything else."""
    try:
        if re.fullmatch(r"[0-9]{8}", text):
            return date(int(text[:4]), int(text[4:6]), int(text[6:]))
        if re.fullmatch(r"[0-9]{2}[A-Za-z]{3}[0-9]{4}", text):
            return date(int(text[5:]), MONTHS.index(text[2:5].lower()) + 1, int(text[:2]))
    except ValueError as error:
        raise ValueError(f"{text!r} is no date") from error
    raise ValueError(f"{text!r} is no date")


def order_dates(subject: str | Path, first: str, second: str) -> tuple[Pair, bool]:
    """Pair of two dates written as in `parse_date`, and whether the later came first.

    Raises
    ------
    InputError
        A date does not exist, or both are the same; names `subject`.
    """
    try:
        stored = (parse_date(first), parse_date(second))
    except ValueError as error:
        raise InputError(
            subject,
            required="two dates that exist, as YYYYMMDD_YYYYMMDD",
            found=f"{first} and {second}",
            remedy="Rename or remove it",
        ) from error
    if stored[0] == stored[1]:
        raise InputError(
            subject, required="two different dates", found=f"{first} twice", remedy="Remove this interferogram"
        )
    return Pair(min(stored), max(stored)), stored[0] > stored[1]


def split_pair_name(name: str) -> tuple[str, str] | None:
    """The two dates of ``YYYYMMDD_YYYYMMDD``, or None for a name of another form."""
    match = _TWO_DATES.match(name)
    return (match[1], match[2]) if match else None


def keep_first(found: Iterable[StoredPair[Content]]) -> tuple[list[StoredPair[Content]], list[str]]:
    """Interferograms sorted by pair, the first of each kept, and a note for each one left out."""
    kept: dict[Pair, StoredPair[Content]] = {}
    notes = []
    for stored in found:
        first = kept.setdefault(stored.pair, stored)
        if first is not stored:
            notes.append(f"{stored.name} is left out: {first.name} is of the same dates")
    return [kept[pair] for pair in sorted(kept)], notes
