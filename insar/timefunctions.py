"""Functions of time that a displacement series is fitted with: ``linear+annual+step:20200101``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from insar.constants import DAYS_PER_YEAR
from insar.days import parse_day
from insar.errors import OptionError

DEFAULT_MODEL = "linear"
MAX_DEGREE = 5

_FORMS = "linear, poly:N, annual, semiannual, step:DATE, exp:DATE:DAYS, log:DATE:DAYS"


@dataclass(frozen=True, slots=True)
class TimeModel:
    """A sum of time functions, of which a constant and a linear term are always two.

    Attributes
    ----------
    text
        As it was written.
    degree
        Of the polynomial in time, at least 1.
    periods_per_year
        Of the sine and cosine pairs.
    steps
        Dates of steps; a date itself is after its step.
    decays
        Kind (``exp`` or ``log``), onset and time constant in days of decaying terms.
    """

    text: str
    degree: int
    periods_per_year: tuple[int, ...]
    steps: tuple[date, ...]
    decays: tuple[tuple[str, date, float], ...]

    def names(self) -> list[str]:
        """Name of each column of the design."""
        powers = ["constant", "linear", *(f"power {power}" for power in range(2, self.degree + 1))]
        waves = [f"{wave} {count}/yr" for count in self.periods_per_year for wave in ("cosine", "sine")]
        return (
            powers
            + waves
            + [f"step {day:%Y%m%d}" for day in self.steps]
            + [f"{kind} {day:%Y%m%d} {days:g} d" for kind, day, days in self.decays]
        )

    def design(self, dates: tuple[date, ...]) -> NDArray[np.float64]:
        """(date, term) values of the functions; the polynomial is in years since the middle of the series.

        Raises
        ------
        OptionError
            If the dates do not tell the terms apart.
        """
        days = np.array([(day - dates[0]).days for day in dates], dtype=np.float64)
        years = days / DAYS_PER_YEAR
        centred = years - years.mean()
        columns = [centred**power for power in range(self.degree + 1)]
        for count in self.periods_per_year:
            columns += [np.cos(2 * np.pi * count * years), np.sin(2 * np.pi * count * years)]
        columns += [(days >= (day - dates[0]).days).astype(np.float64) for day in self.steps]
        for kind, onset, constant in self.decays:
            since = np.maximum(days - (onset - dates[0]).days, 0.0) / constant
            columns.append(1.0 - np.exp(-since) if kind == "exp" else np.log1p(since))
        design = np.stack(columns, axis=1)
        # Columns scaled to one length: the rank must not depend on units.
        length = np.linalg.norm(design, axis=0)
        rank = np.linalg.matrix_rank(design / np.where(length > 0, length, 1.0), tol=1e-6)
        if rank < design.shape[1]:
            raise OptionError(
                f"--model {self.text}",
                required=f"dates that tell its {design.shape[1]} terms apart ({', '.join(self.names())})",
                found=f"{len(dates)} dates from {dates[0]:%Y%m%d} to {dates[-1]:%Y%m%d}, enough for {rank}",
                remedy="Use fewer terms, or steps and decays between the first and the last date",
            )
        return design


def parse_model(text: str) -> TimeModel:
    """Parse ``linear[+annual][+semiannual][+step:DATE][+exp:DATE:DAYS][+log:DATE:DAYS][+poly:N]``.

    Raises
    ------
    OptionError
        If a term is not one of these.
    """
    degree = 1
    periods: list[int] = []
    steps: list[date] = []
    decays: list[tuple[str, date, float]] = []
    for term in text.lower().replace(" ", "").split("+"):
        name, *arguments = term.split(":")
        try:
            match name, arguments:
                case "linear", []:
                    pass
                case "poly", [number] if 1 <= int(number) <= MAX_DEGREE:
                    degree = max(degree, int(number))
                case "annual", []:
                    periods.append(1)
                case "semiannual", []:
                    periods.append(2)
                case "step", [day]:
                    steps.append(parse_day(day))
                case (("exp" | "log"), [day, constant]) if float(constant) > 0:
                    decays.append((name, parse_day(day), float(constant)))
                case _:
                    raise ValueError(term)
        except ValueError:
            raise OptionError(
                f"--model {text}",
                required=f"terms of {_FORMS} joined by +, dates as YYYYMMDD, N up to {MAX_DEGREE}",
                found=repr(term),
                remedy="Correct that term",
            ) from None
    return TimeModel(text, degree, tuple(sorted(set(periods))), tuple(sorted(set(steps))), tuple(decays))
