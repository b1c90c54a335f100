"""Labels of the events that rows belong to, and how many of them a message names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def event_labels(events: ArrayLike) -> NDArray[np.str_]:
    """Labels as text.

    Parameters
    ----------
    events
        (row,) text, numbers or dates; None, NaN, NaT or an empty text where unknown.

    Returns
    -------
    (row,) str
        Empty where unknown; whole numbers without a decimal point.
    """
    given = np.asarray(events).ravel()
    values, place = (given, slice(None)) if given.dtype.kind == "O" else np.unique(given, return_inverse=True)
    return np.array([label_of(value) for value in values.tolist()], np.str_)[place]


def listed(names: Sequence[str], most: int = 8) -> str:
    """Join names for a message, and say how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def label_of(value: Any) -> str:
    """Text of a label that a table holds as text, number or day; empty where it is unknown."""
    is_nan = isinstance(value, float | np.floating) and np.isnan(value)
    if value is None or is_nan or str(value) == "NaT":
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
