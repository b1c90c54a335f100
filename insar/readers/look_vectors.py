"""Incidence and azimuth angles from the ways in which products state the direction to the satellite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.stack import PlaneSource

Window = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class DerivedPlane:
    """A `insar.stack.PlaneSource` computed from the same window of others, by a function of their arrays."""

    inputs: tuple[PlaneSource, ...]
    derive: Callable[..., NDArray[np.float32]]

    def read_window(self, rows: slice, cols: slice) -> NDArray[np.float32]:
        """One window, (row, col)."""
        return self.derive(*(each.read_window(rows, cols) for each in self.inputs))


def azimuth_from_east(phi_rad: Window) -> Window:
    """Azimuth angle of `insar.stack.Geometry` from the angle anticlockwise from east.

    Parameters
    ----------
    phi_rad
        (row, col) angle of the horizontal part of the vector from the ground to the satellite, rad; NaN is no data.

    Returns
    -------
    ndarray
        (row, col) degrees anticlockwise from north, -180 to 180.
    """
    return _wrapped(np.degrees(phi_rad) - 90.0)


def incidence_from_up(up: Window) -> Window:
    """Incidence angle in degrees, the angle whose cosine is the upward part of the unit vector to the satellite."""
    return np.degrees(np.arccos(up)).astype(np.float32)


def azimuth_from_east_north(east: Window, north: Window) -> Window:
    """Azimuth angle of `insar.stack.Geometry` from the horizontal parts of the vector to the satellite.

    One that stands ``a`` anticlockwise from north has the parts ``-sin(a)`` to the east and ``cos(a)`` to the north.

    Parameters
    ----------
    east, north
        (row, col) parts of the vector from the ground to the satellite; NaN is no data.

    Returns
    -------
    ndarray
        (row, col) degrees anticlockwise from north, -180 to 180.
    """
    angle = np.degrees(np.arctan2(-east, north)).astype(np.float32)
    # straight up has no azimuth; arctan2 would call it 0
    return np.where((east == 0.0) & (north == 0.0), np.float32(np.nan), angle)


def _wrapped(angle_deg: NDArray[Any]) -> Window:
    return ((angle_deg + 180.0) % 360.0 - 180.0).astype(np.float32)
