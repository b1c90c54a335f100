"""Least squares of a displacement series up to a date, with the model of time that `insar` fitted to all of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from insar.constants import DAYS_PER_YEAR
from insar.errors import OptionError
from insar.timefunctions import DEFAULT_MODEL, TimeModel, parse_model
from susceptibility.errors import InputError

LEAST_RECENT_DATES = 3
"""Dates that a rate over a trailing window needs, as in `insar`."""


def model_of_time(text: str, subject: str | Path) -> TimeModel:
    """Parse the model of time of a result of `insar`; `subject` is the file that names it.

    Raises
    ------
    InputError
        A term is not known.
    """
    try:
        return parse_model(text)
    except OptionError as error:
        raise InputError(
            subject,
            required="a model of time of insar: terms joined by +, such as linear+annual",
            found=f"{error.found} in {text!r}",
            remedy="Run insar again with this version, whose models of time are known here",
        ) from error


def known_until(model: TimeModel, day: date) -> TimeModel:
    """Take the terms that a series up to a day can tell of: what begins later was not known then."""
    return replace(
        model,
        steps=tuple(step for step in model.steps if step <= day),
        decays=tuple(decay for decay in model.decays if decay[1] < day),
    )


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


def plan_fit(model: TimeModel, dates: tuple[date, ...], recent_days: float, least_dates: int) -> SeriesFit | str:
    """Plan the fit of a series up to the last of some dates, or say why it cannot be made.

    Parameters
    ----------
    model
        Of time, for the whole series.
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
    known = known_until(model, dates[-1])
    terms = len(known.names())
    span_days = (dates[-1] - dates[0]).days
    longest_days = DAYS_PER_YEAR / min(known.periods_per_year, default=np.inf)
    if len(dates) < least_dates:
        return f"{len(dates)} dates, {least_dates} are needed"
    if span_days < longest_days:
        return f"{span_days} days, in which a rate and the season ({model.text}) cannot be told apart"
    if len(dates) <= terms:
        return f"{len(dates)} dates for the {terms} terms of {model.text}"
    try:
        design = known.design(dates)
    except OptionError:
        return f"{len(dates)} dates that do not tell the terms of {model.text} apart"
    weights = np.linalg.pinv(design)
    recent = sum((dates[-1] - day).days <= recent_days for day in dates)
    if recent >= LEAST_RECENT_DATES:
        window = np.zeros(len(dates))
        window[-recent:] = np.linalg.pinv(parse_model(DEFAULT_MODEL).design(dates[-recent:]))[1]
        weights = np.vstack([weights, window])
    return SeriesFit(
        len(dates),
        np.ascontiguousarray(design),
        np.ascontiguousarray(weights),
        np.asarray(np.linalg.inv(design.T @ design), np.float64),
        recent >= LEAST_RECENT_DATES,
    )
