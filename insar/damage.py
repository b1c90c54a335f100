"""What a loss of coherence at an event says of the ground: the features of the field, on arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from insar.errors import InputError

Coherence: TypeAlias = NDArray[np.float32]

ROUNDING = 1e-5
"""What an estimator in single precision may exceed 1 by."""

LEAST_HISTORY = 3
"""Pairs before the event that a standard deviation needs at least."""


def damage_proxy(coherence_pre: ArrayLike, coherence_co: ArrayLike) -> Coherence:
    """Coherence before an event minus coherence across it.

    Parameters
    ----------
    coherence_pre, coherence_co
        Coherence of a pair before the event and of one that spans it, 0 to 1, NaN where there is none; one shape, or
        shapes that broadcast.

    Returns
    -------
    NDArray
        float32, -1 to 1, positive where coherence was lost; NaN where either is unknown.

    Raises
    ------
    InputError
        A coherence is outside 0 to 1, or the shapes do not agree.

    References
    ----------
    Yun, S.-H. et al. (2015), Seismological Research Letters 86, 1549-1557.
    """
    return _difference(checked(coherence_pre, "coherence_pre"), checked(coherence_co, "coherence_co"))


def coherence_loss(coherence_pre: ArrayLike, coherence_co: ArrayLike) -> Coherence:
    """Co-event coherence loss (CECL): coherence before an event minus coherence across it; see `damage_proxy`.

    It is made of the coherence as it is, never of one whose histogram was matched.

    References
    ----------
    Burrows, K. et al. (2020), Natural Hazards and Earth System Sciences 20, 3197-3214.
    """
    return damage_proxy(coherence_pre, coherence_co)


def coherence_recovery(coherence_post: ArrayLike, coherence_co: ArrayLike) -> Coherence:
    """Post-event coherence increase (PECI): coherence after an event minus coherence across it.

    Parameters
    ----------
    coherence_post, coherence_co
        0 to 1, NaN where there is none.

    Returns
    -------
    NDArray
        float32, -1 to 1, positive where coherence came back; NaN where either is unknown.
    """
    return _difference(checked(coherence_post, "coherence_post"), checked(coherence_co, "coherence_co"))


def coherence_change_sum(loss: ArrayLike, recovery: ArrayLike) -> Coherence:
    """Sum of coherence loss and recovery, -2 to 2; NaN where either is unknown."""
    return np.asarray(np.asarray(loss, np.float32) + np.asarray(recovery, np.float32), np.float32)


def coherence_change_max(loss: ArrayLike, recovery: ArrayLike) -> Coherence:
    """The larger of coherence loss and recovery, -1 to 1; NaN where either is unknown."""
    return np.maximum(np.asarray(loss, np.float32), np.asarray(recovery, np.float32))


def boxcar_sibling(boxcar_co: ArrayLike, sibling_co: ArrayLike) -> Coherence:
    """Boxcar minus sibling coherence of a pair across an event (Bx-S).

    Parameters
    ----------
    boxcar_co, sibling_co
        0 to 1, NaN where there is none: of all pixels around, and of those around that were alike before the event.

    Returns
    -------
    NDArray
        float32, -1 to 1: strongly negative where a pixel lost coherence and those like it in the wider neighbourhood
        did not, so that changes of a large extent drop out.

    References
    ----------
    Burrows, K. et al. (2019), Remote Sensing 11, 261.
    """
    return _difference(checked(boxcar_co, "boxcar coherence"), checked(sibling_co, "sibling coherence"))


def damage_zscore(
    coherence_co: ArrayLike, mean: NDArray[np.floating], standard_deviation: NDArray[np.floating]
) -> Coherence:
    """Coherence lost at an event in standard deviations of the pairs before it.

    Parameters
    ----------
    coherence_co
        0 to 1, NaN where there is none.
    mean, standard_deviation
        Of the pairs before the event, see `history_moments`.

    Returns
    -------
    NDArray
        float32, positive where coherence was lost; NaN where any is unknown, and where the pairs before the event do
        not differ at all, which values of few bits do: a drop has no measure there.
    """
    spread = np.where(standard_deviation > 0, standard_deviation, np.nan)
    return np.asarray((mean - checked(coherence_co, "coherence_co")) / spread, np.float32)


def mean_of_pairs(coherence: NDArray[np.float32]) -> Coherence:
    """Mean over the first axis of those pairs that have a value; NaN where none has.

    Parameters
    ----------
    coherence
        (pair, ...) 0 to 1, NaN where there is none.
    """
    if len(coherence) == 1:
        return np.asarray(coherence[0], np.float32)
    return history_moments(coherence, 1).mean.astype(np.float32)


class Moments(NamedTuple):
    """Mean and sample standard deviation of each pixel over pairs; float64, NaN where too few pairs have a value."""

    mean: NDArray[np.float64]
    standard_deviation: NDArray[np.float64]


def history_moments(coherence: NDArray[np.float32], least: int = LEAST_HISTORY) -> Moments:
    """Mean and sample standard deviation (divisor n - 1) of every pixel over the pairs before an event.

    Parameters
    ----------
    coherence
        (pair, ...) 0 to 1, NaN where there is none; such values are skipped.
    least
        Pairs that must have a value at a pixel.
    """
    from insar.kernels.damage import pixel_moments

    shape = coherence.shape[1:]
    mean, deviation = np.empty(shape), np.empty(shape)
    flat = np.ascontiguousarray(coherence, np.float32).reshape(len(coherence), -1)
    pixel_moments(flat, max(least, 1), mean.reshape(-1), deviation.reshape(-1))
    return Moments(mean, deviation)


def checked(coherence: ArrayLike, name: str) -> Coherence:
    """Coherence as float32; raises `InputError` with its name where a value is outside 0 to 1."""
    values = np.asarray(coherence, np.float32)
    if values.size:
        with np.errstate(invalid="ignore"):
            low, high = np.fmin.reduce(values, axis=None), np.fmax.reduce(values, axis=None)
        if low < 0.0 or high > 1.0 + ROUNDING:
            raise InputError(
                name,
                required="coherence from 0 to 1, NaN where there is none",
                found=f"values from {low:g} to {high:g}",
                remedy="Divide by 255 what is stored in 8 bits, and set no data to NaN",
            )
    return values


def _difference(first: Coherence, second: Coherence) -> Coherence:
    try:
        return np.asarray(first - second, np.float32)
    except ValueError as error:
        raise InputError(
            "coherence",
            required="two arrays of one shape",
            found=f"{first.shape} and {second.shape}",
            remedy="Give coherence of one grid",
        ) from error


def checked_pairs(coherence: NDArray[np.float32], names: Sequence[str]) -> NDArray[np.float32]:
    """(pair, row, col) coherence itself; raises `InputError` with the name of the first pair outside 0 to 1."""
    for values, name in zip(coherence, names, strict=True):
        checked(values, f"coherence of {name}")
    return coherence
