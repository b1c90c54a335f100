"""When landslides happened, as exactly as an inventory says: a day, a month or a year is a span of days."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from susceptibility.errors import InputError, OptionError

_WRITTEN = re.compile(r"(\d{4})(?:[-/.]?(\d{2}))?(?:[-/.]?(\d{2}))?(?:[T ].*)?")
_UNKNOWN = {"", "none", "nan", "nat", "null", "na", "n/a", "unknown"}


def day_spans(path: Path, field: str, values: NDArray[Any]) -> NDArray[np.datetime64]:
    """Read the values of a date field.

    Parameters
    ----------
    path, field
        Where they come from, for messages.
    values
        (feature,) dates, times, years, or text such as 2024-05-17, 2024/05/17, 20240517, 2024-05 or 2024.

    Returns
    -------
    (feature, 2) datetime64[D]
        First and last day that the value may mean, the same where it is a day; NaT where it is unknown.

    Raises
    ------
    InputError
        A value is none of these.
    """
    if np.issubdtype(values.dtype, np.datetime64):
        days = values.astype("datetime64[D]")
        return np.stack([days, days], axis=1)
    spans = np.full((len(values), 2), "NaT", "datetime64[D]")
    for index, value in enumerate(values):
        if isinstance(value, float | np.floating):
            text = "" if np.isnan(value) else f"{value:.15g}"
        else:
            text = str(value).strip()
        if text.lower() in _UNKNOWN:
            continue
        span = _span(text)
        if span is None:
            raise InputError(
                f"{path}, field {field!r}",
                required="dates as year-month-day, or years",
                found=repr(text),
                remedy="Correct the field, or leave it empty where the date is unknown",
            )
        spans[index] = span
    return spans


def lie_within(
    spans: NDArray[np.datetime64], first: date | None, last: date | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which spans lie within a period as a whole, and of which that cannot be said: two (feature,) masks.

    A landslide of a year that the period covers only in part may or may not belong to it; so may one without a date.

    Raises
    ------
    OptionError
        The period ends before it begins.
    """
    if first is not None and last is not None and last < first:
        raise OptionError(
            "period of the inventory",
            required="a last day that is not before the first",
            found=f"{first} to {last}",
            remedy="Exchange them",
        )
    start = np.datetime64("0001-01-01" if first is None else first, "D")
    end = np.datetime64("9999-12-31" if last is None else last, "D")
    undated = np.isnat(spans[:, 0])
    inside = (spans[:, 0] >= start) & (spans[:, 1] <= end)  # False for NaT
    touching = (spans[:, 1] >= start) & (spans[:, 0] <= end)
    return inside, undated | (touching & ~inside)


def _span(text: str) -> tuple[date, date] | None:
    written = _WRITTEN.fullmatch(text)
    if written is None:
        return None
    year, month, day = (None if part is None else int(part) for part in written.groups())
    try:
        first = date(year or 0, month or 1, day or 1) if month != 0 and day != 0 else None
    except ValueError:
        return None
    if first is None or day is not None:
        return None if first is None else (first, first)
    last_month = first.month if month is not None else 12
    return first, date(first.year, last_month, monthrange(first.year, last_month)[1])
