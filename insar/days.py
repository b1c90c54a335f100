"""Days as users write them."""

from __future__ import annotations

from datetime import date, datetime


def parse_day(text: str) -> date:
    """Day of a text such as ``20180106`` or ``2018-01-06``; raises `ValueError` otherwise."""
    for form in ("%Y%m%d", "%Y-%m-%d"):
        try:
            return datetime.strptime(text, form).date()  # noqa: DTZ007  (a day has no time zone)
        except ValueError:
            continue
    raise ValueError(f"{text!r} is no date of the form YYYYMMDD")
