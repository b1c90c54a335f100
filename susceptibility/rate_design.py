"""Least squares of a displacement series up to a date, with the model of time that `insar` fitted to all of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from susceptibility.errors import InputError

DAYS_PER_YEAR = 365.25
"""Length of the year in every rate of `insar`."""

LEAST_RECENT_DATES = 3
"""Dates that a rate over a trailing window needs, as in `insar`."""

_LARGEST_DEGREE = 5
_RANK_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class TimeTerms:
    """A sum of time functions, of which a constant and a linear term are always two.

    Attributes
    ----------
    text
        As the manifest of the result says, such as ``linear+annual``.
    degree
        Of the polynomial in time, at least 1.
    periods_per_year
        Of the sine and cosine pairs.
    steps
        Dates of steps; a date itself is after its step.
    decays
        Kind (``exp`` or ``log``), onset and time constant in days of decaying terms.
    """

    text: str = "linear"
    degree: int = 1
    periods_per_year: tuple[int, ...] = ()
    steps: tuple[date, ...] = ()
    decays: tuple[tuple[str, date, float], ...] = ()

    def until(self, dates: tuple[date, ...]) -> TimeTerms:
        """Return the terms that the dates can tell of: what begins after the last of them was not known then."""
        return TimeTerms(
            self.text,
            self.degree,
            self.periods_per_year,
            tuple(day for day in self.steps if day <= dates[-1]),
            tuple(decay for decay in self.decays if decay[1] < dates[-1]),
        )

    @property
    def longest_period_days(self) -> float:
        """Of the seasonal terms; 0 without them."""
        return DAYS_PER_YEAR / min(self.periods_per_year) if self.periods_per_year else 0.0

    def design(self, dates: tuple[date, ...]) -> NDArray[np.float64]:
        """(date, term) values of the functions: constant, then linear, in years since the middle of the dates."""
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
        return np.stack(columns, axis=1)


def parse_terms(text: str, subject: str | Path) -> TimeTerms:
    """Parse the model of time of a result of `insar`, ``linear[+poly:N][+annual][+semiannual][+step:DATE]...``.

    Raises
    ------
    InputError
        A term is none of those; `subject` is the file that names it.
    """
    degree = 1
    periods: set[int] = set()
    steps: set[date] = set()
    decays: list[tuple[str, date, float]] = []
    for term in text.lower().replace(" ", "").split("+"):
        name, *arguments = term.split(":")
        try:
            match name, arguments:
                case "linear", []:
                    pass
                case "poly", [number] if 1 <= int(number) <= _LARGEST_DEGREE:
                    degree = max(degree, int(number))
                case "annual", []:
                    periods.add(1)
                case "semiannual", []:
                    periods.add(2)
                case "step", [day]:
                    steps.add(_parsed(day))
                case (("exp" | "log"), [day, constant]) if float(constant) > 0:
                    decays.append((name, _parsed(day), float(constant)))
                case _:
                    raise ValueError(term)
        except ValueError:
            raise InputError(
                subject,
                required="a model of time of insar: terms joined by +, such as linear+annual",
                found=f"{term!r} in {text!r}",
                remedy="Run insar again with this version, whose models of time are known here",
            ) from None
    return TimeTerms(text, degree, tuple(sorted(periods)), tuple(sorted(steps)), tuple(decays))


@dataclass(frozen=True, slots=True)
class SeriesFit:
    """What is read from a series up to a date, as weights of its values.

    Attributes
    ----------
    dates
        Number of dates from the first that take part.
    design
        (date, term) of the model of time.
    weights
        (functional, date): the terms of the model, then the rate over the trailing window where there are dates enough.
    spread
        (term, term) inverse of the normal matrix.
    has_recent
        Whether the last functional is the rate over the trailing window.
    """

    dates: int
    design: NDArray[np.float64]
    weights: NDArray[np.float64]
    spread: NDArray[np.float64]
    has_recent: bool


def plan_fit(terms: TimeTerms, dates: tuple[date, ...], recent_days: float, least_dates: int) -> SeriesFit | str:
    """Plan the fit of a series up to the last of some dates, or say why it cannot be made.

    Parameters
    ----------
    terms
        Of the model of time of the whole series.
    dates
        Those up to the epoch.
    recent_days
        Length of the trailing window.
    least_dates
        Fewer dates than that tell too little of a rate.

    Returns
    -------
    SeriesFit or str
        At the last date it is the fit that `insar` makes of the whole series by ordinary least squares.
    """
    known = terms.until(dates)
    span_days = (dates[-1] - dates[0]).days
    if len(dates) < least_dates:
        return f"{len(dates)} dates, {least_dates} are needed"
    if span_days < known.longest_period_days:
        return f"{span_days} days, in which a rate and the season ({terms.text}) cannot be told apart"
    design = known.design(dates)
    if len(dates) <= design.shape[1]:
        return f"{len(dates)} dates for the {design.shape[1]} terms of {terms.text}"
    length = np.linalg.norm(design, axis=0)
    if np.linalg.matrix_rank(design / np.where(length > 0.0, length, 1.0), tol=_RANK_TOLERANCE) < design.shape[1]:
        return f"{len(dates)} dates that do not tell the terms of {terms.text} apart"
    weights = np.linalg.pinv(design)
    recent = sum((dates[-1] - day).days <= recent_days for day in dates)
    if recent >= LEAST_RECENT_DATES:
        window = np.zeros(len(dates))
        window[-recent:] = np.linalg.pinv(TimeTerms().design(dates[-recent:]))[1]
        weights = np.vstack([weights, window])
    return SeriesFit(
        len(dates),
        np.ascontiguousarray(design),
        np.ascontiguousarray(weights),
        np.asarray(np.linalg.inv(design.T @ design), np.float64),
        recent >= LEAST_RECENT_DATES,
    )


def _parsed(text: str) -> date:
    for form in ("%Y%m%d", "%Y-%m-%d"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC).date()
        except ValueError:
            continue
    raise ValueError(text)
