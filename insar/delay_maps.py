"""Maps of the delay in the troposphere at the dates of a series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from insar.errors import MissingInputError
from insar.grid import Grid
from insar.stack import Plane


@dataclass(frozen=True, slots=True)
class ZenithDelay:
    """Delay of a signal from the zenith at one date.

    Attributes
    ----------
    day
        Date.
    grid
        Geographic, north up.
    delay_m
        (row, col) of `grid`, m, NaN where unknown.
    utc_s
        Time of day it is of, seconds since midnight UTC; None where unknown.
    """

    day: date
    grid: Grid
    delay_m: Plane
    utc_s: float | None = None


def require_dates(subject: str, dates: Sequence[date], known: Mapping[date, Any]) -> None:
    """Raise one `MissingInputError` that lists all dates without a map."""
    missing = [f"{day:%Y%m%d}" for day in dates if day not in known]
    if missing:
        raise MissingInputError(
            subject,
            required=f"<date>.ztd with <date>.ztd.rsc, or <date>.ztd.tif, for each of the {len(dates)} dates",
            found=f"none for {len(missing)}: {', '.join(missing)}",
            remedy="Request these dates from gacos.net for the area and the time of the stack, or leave them out with "
            "--exclude-dates",
        )
