"""Which pairs of a stack show the ground before an event, across it and after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from insar.errors import InputError, OptionError
from insar.stack import Pair

LIKE_SHARE = 0.25
LIKE_DAYS = 3
"""Temporal baselines are alike that differ by no more than the larger of this share of the co pair's and these days.

It keeps 6, 12 and 24 days apart, which differ in coherence by themselves, and lets a late acquisition pass.
"""


@dataclass(frozen=True, slots=True)
class EventPairs:
    """Pairs around an event.

    Attributes
    ----------
    event
        Day of the event.
    pre, co, post
        Pairs before, across and after it, in order of time; `post` may be empty.
    history
        All pairs before the event whose temporal baseline is like that of the co pair, in order of time.
    notes
        What a user should know of the choice.
    post_missing
        Why there is no post pair; None where there is one.
    """

    event: date
    pre: tuple[Pair, ...]
    co: tuple[Pair, ...]
    post: tuple[Pair, ...]
    history: tuple[Pair, ...]
    notes: tuple[str, ...] = ()
    post_missing: str | None = None


def choose_event_pairs(
    pairs: Sequence[Pair],
    event: date,
    *,
    pre: Sequence[Pair] | None = None,
    co: Sequence[Pair] | None = None,
    post: Sequence[Pair] | None = None,
    until: date | None = None,
) -> EventPairs:
    """Choose the pairs that tell the coherence before, across and after an event, or check those that are given.

    The co pair is the one with the shortest temporal baseline that spans the event; of several the one that begins
    latest. The pre pair is the last one that ends before the event, the post pair the first to be complete that begins
    after it, each of a temporal baseline like the co pair's where there is one: coherence falls with time whatever
    happens.

    An acquisition on the day of the event may have been made before it or after it. Such acquisitions are used only
    in pairs that are given.

    Parameters
    ----------
    pairs
        Pairs that there are.
    event
        Day of the event.
    pre, co, post
        Pairs to use in place of the choice. An empty `post` is no choice of one.
    until
        Only acquisitions up to this day are used.

    Raises
    ------
    OptionError
        No pair spans the event, or `until` lies before it, or a pair that is given is not there or not where it should
        be.
    InputError
        There is no pair before the event.
    """
    if until is not None and until < event:
        raise OptionError(
            "--until",
            required=f"a day not before the event, {event}",
            found=str(until),
            remedy="Correct one of the two dates",
        )
    known = sorted(pair for pair in pairs if until is None or pair.secondary <= until)
    notes = _ambiguity(known, event)
    chosen_co = (_shortest_across(known, event, until),) if not co else _given(co, known, event, "co")
    pattern = min(chosen_co, key=lambda pair: pair.temporal_baseline_days)
    before = [pair for pair in known if pair.secondary < event]
    history = tuple(sorted((pair for pair in before if is_like(pair, pattern)), key=_end))
    chosen_pre = (_last_before(before, pattern, event),) if not pre else _given(pre, known, event, "pre")
    after = [pair for pair in known if pair.reference > event]
    chosen_post = _first_after(after, pattern) if not post else _given(post, known, event, "post")
    for name, chosen in (("before", chosen_pre), ("after", chosen_post)):
        notes += [
            f"the pair {name} the event, {pair.name}, spans {pair.temporal_baseline_days} days, the one across it "
            f"{pattern.temporal_baseline_days}: their coherence differs for that alone"
            for pair in chosen
            if not is_like(pair, pattern)
        ]
    missing = None if chosen_post else f"no pair begins after the event on {event}" + _limited(until)
    return EventPairs(event, chosen_pre, chosen_co, chosen_post, history, tuple(notes), missing)


def is_like(pair: Pair, pattern: Pair) -> bool:
    """Whether two pairs have temporal baselines that let their coherence be compared."""
    days = pattern.temporal_baseline_days
    return abs(pair.temporal_baseline_days - days) <= max(LIKE_SHARE * days, LIKE_DAYS)


def _end(pair: Pair) -> tuple[date, date]:
    return pair.secondary, pair.reference


def _ambiguity(pairs: Sequence[Pair], event: date) -> list[str]:
    touching = [pair for pair in pairs if event in (pair.reference, pair.secondary)]
    if not touching:
        return []
    return [
        f"the acquisition on the day of the event, {event}, may be from before or after it: {len(touching)} pairs with "
        "it are left out unless they are given"
    ]


def _shortest_across(pairs: Sequence[Pair], event: date, until: date | None) -> Pair:
    across = [pair for pair in pairs if pair.reference < event < pair.secondary]
    if not across:
        days = sorted({day for pair in pairs for day in (pair.reference, pair.secondary)})
        found = f"{len(days)} acquisitions from {days[0]} to {days[-1]}" if days else "no acquisition"
        if days and days[0] < event < days[-1]:
            found += ", but no pair from before the event to after it"
        if event in days:
            found += ", one of them on the day itself"
        raise OptionError(
            f"--event {event}",
            required="a day that a pair of the stack spans",
            found=found + _limited(until),
            remedy="Correct the day, add a pair across it, or give one",
        )
    return min(across, key=lambda pair: (pair.temporal_baseline_days, -pair.reference.toordinal()))


def _last_before(before: Sequence[Pair], pattern: Pair, event: date) -> Pair:
    if not before:
        raise InputError(
            f"--event {event}",
            required="a pair of two acquisitions before the event",
            found="none",
            remedy="Add earlier acquisitions to the stack: a loss of coherence needs the coherence before it",
        )
    days = pattern.temporal_baseline_days
    return max(
        before,
        key=lambda pair: (is_like(pair, pattern), pair.secondary, -abs(pair.temporal_baseline_days - days)),
    )


def _first_after(after: Sequence[Pair], pattern: Pair) -> tuple[Pair, ...]:
    days = pattern.temporal_baseline_days
    best = min(
        after,
        key=lambda pair: (not is_like(pair, pattern), pair.secondary, abs(pair.temporal_baseline_days - days)),
        default=None,
    )
    return () if best is None else (best,)


_SIDES: dict[str, tuple[str, Callable[[Pair, date], bool]]] = {
    "pre": ("end before the event", lambda pair, event: pair.secondary <= event),
    "co": ("begin before the event and end after it", lambda pair, event: pair.reference <= event <= pair.secondary),
    "post": ("begin after the event", lambda pair, event: pair.reference >= event),
}


def _given(chosen: Sequence[Pair], known: Sequence[Pair], event: date, kind: str) -> tuple[Pair, ...]:
    where, is_there = _SIDES[kind]
    for pair in chosen:
        if pair not in known:
            raise OptionError(
                f"--{kind}-pairs {pair.name}",
                required="a pair of the stack" + " up to the day of --until",
                found="no such pair among " + ", ".join(other.name for other in known[:20]),
                remedy="Give one of them",
            )
        if not is_there(pair, event):
            raise OptionError(
                f"--{kind}-pairs {pair.name}",
                required=f"pairs that {where}, {event}",
                found=f"{pair.reference} to {pair.secondary}",
                remedy="Give another pair, or correct the day of the event",
            )
    return tuple(sorted(set(chosen), key=_end))


def _limited(until: date | None) -> str:
    return "" if until is None else f" among the acquisitions up to {until}"
