"""East and vertical motion from two lines of sight.

One pass measures one component of the motion. Two passes from opposite sides give two, and motion to the north, to
which both are nearly blind, is taken as none.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from insar.line_of_sight import LineOfSight

DEFAULT_MAX_CONDITION = 5.0
"""Passes from opposite sides have 1.1 to 2; two beams of one track, 10 degrees apart, more than 10."""


class Decomposition(NamedTuple):
    """What east and vertical motion are, as weighted sums of the displacements along both lines of sight.

    ``east = east_first * first + east_second * second``, and so for the vertical; arrays of one shape, NaN where the
    lines of sight are unknown or too close to each other.
    """

    east_first: NDArray[np.float64]
    east_second: NDArray[np.float64]
    up_first: NDArray[np.float64]
    up_second: NDArray[np.float64]
    condition: NDArray[np.float64]
    """Condition number of the two equations, NaN only where a line of sight is unknown."""


class EastVertical(NamedTuple):
    """Two components of the motion, and their standard deviations where known; NaN where there is but one pass."""

    east: NDArray[np.float64]
    vertical: NDArray[np.float64]


def solve_geometry(
    first: LineOfSight, second: LineOfSight, *, max_condition: float = DEFAULT_MAX_CONDITION
) -> Decomposition:
    """Invert both lines of sight.

    Parameters
    ----------
    first, second
        Unit vectors to the satellite, of one shape.
    max_condition
        Where the condition number is larger, the weights are NaN.

    Notes
    -----
    The inverse of ``[[e1, u1], [e2, u2]]``; its condition number is the ratio of the singular values.
    """
    determinant = first.east * second.up - second.east * first.up
    squares = first.east**2 + first.up**2 + second.east**2 + second.up**2
    # Singular values s >= t have s^2 + t^2 = squares and s t = |determinant|.
    size = np.abs(determinant)
    with np.errstate(divide="ignore", invalid="ignore"):
        largest = (np.sqrt(squares + 2 * size) + np.sqrt(np.maximum(squares - 2 * size, 0.0))) / 2
        condition = largest**2 / size
        usable = np.where(condition <= max_condition, determinant, np.nan)
        return Decomposition(
            second.up / usable, -first.up / usable, -second.east / usable, first.east / usable, condition
        )


def decompose(geometry: Decomposition, first: NDArray[np.floating], second: NDArray[np.floating]) -> EastVertical:
    """East and vertical displacements or rates.

    Parameters
    ----------
    geometry
        (row, col) of `solve_geometry`.
    first, second
        (..., row, col) along the lines of sight, positive toward the satellite; m or m/yr.

    Returns
    -------
    EastVertical
        Same unit, positive to the east and up; NaN where either is.
    """
    one, two = np.asarray(first, np.float64), np.asarray(second, np.float64)
    return EastVertical(
        geometry.east_first * one + geometry.east_second * two, geometry.up_first * one + geometry.up_second * two
    )


def propagate_std(
    geometry: Decomposition, first_std: NDArray[np.floating], second_std: NDArray[np.floating]
) -> EastVertical:
    """Standard deviations of east and vertical from those of both lines of sight, which are independent.

    Parameters
    ----------
    geometry
        (row, col) of `solve_geometry`.
    first_std, second_std
        (..., row, col) standard deviations.
    """
    one, two = np.asarray(first_std, np.float64), np.asarray(second_std, np.float64)
    return EastVertical(
        np.hypot(geometry.east_first * one, geometry.east_second * two),
        np.hypot(geometry.up_first * one, geometry.up_second * two),
    )


def north_leakage(geometry: Decomposition, first: LineOfSight, second: LineOfSight) -> EastVertical:
    """What one metre of motion to the north adds to east and to vertical, since it is taken as none."""
    return decompose(geometry, first.north, second.north)


def common_dates(first: Sequence[date], second: Sequence[date]) -> tuple[date, ...]:
    """Dates of either series within the time that both span, sorted; the first is where both have begun.

    Empty where they do not overlap.
    """
    begin, end = max(first[0], second[0]), min(first[-1], second[-1])
    return tuple(sorted({day for day in (*first, *second) if begin <= day <= end}))


class TimeWeights(NamedTuple):
    """Linear interpolation in time: ``series[before] * (1 - share) + series[after] * share``, (target,) arrays."""

    before: NDArray[np.intp]
    after: NDArray[np.intp]
    share: NDArray[np.float64]

    @classmethod
    def between(cls, dates: Sequence[date], targets: Sequence[date]) -> TimeWeights:
        """Weights from sorted dates to targets that lie within them."""
        known = np.array([day.toordinal() for day in dates])
        wanted = np.array([day.toordinal() for day in targets])
        after = np.searchsorted(known, wanted)
        before = np.where(known[after] == wanted, after, after - 1)
        gap = np.maximum(known[after] - known[before], 1)
        return cls(before, after, (wanted - known[before]) / gap)

    def apply(self, series: NDArray[np.floating], target: int) -> NDArray[np.float64]:
        """One target of a series (date, ...); NaN where an acquisition that it needs is."""
        before = np.asarray(series[self.before[target]], np.float64)
        if self.before[target] == self.after[target]:
            return before
        share = self.share[target]
        between: NDArray[np.float64] = before * (1.0 - share)
        between += np.asarray(series[self.after[target]], np.float64) * share
        return between
