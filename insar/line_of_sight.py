"""The direction from the ground to the satellite."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class LineOfSight(NamedTuple):
    """Unit vector from the target to the satellite, in arrays of one shape; NaN where unknown.

    The product of it with a motion is the displacement toward the satellite.
    """

    east: NDArray[np.float64]
    north: NDArray[np.float64]
    up: NDArray[np.float64]


def line_of_sight(
    incidence_deg: NDArray[np.floating] | float, azimuth_deg: NDArray[np.floating] | float
) -> LineOfSight:
    """Unit vector from the target to the satellite.

    Parameters
    ----------
    incidence_deg
        Incidence angle from the vertical, degrees, any shape.
    azimuth_deg
        Direction from the target to the satellite, degrees from north, anticlockwise; of a shape that broadcasts.

    Notes
    -----
    ``LOS = -vE sin(inc) sin(az) + vN sin(inc) cos(az) + vU cos(inc)``, as ISCE2 and MintPy define both angles.
    """
    incidence, azimuth = np.broadcast_arrays(
        np.radians(np.asarray(incidence_deg, np.float64)), np.radians(np.asarray(azimuth_deg, np.float64))
    )
    horizontal = np.sin(incidence)
    return LineOfSight(-horizontal * np.sin(azimuth), horizontal * np.cos(azimuth), np.cos(incidence))


def azimuth_of_heading(heading_deg: float, *, looks_left: bool = False) -> float:
    """Direction from the target to the satellite, degrees from north, anticlockwise, -180 to 180.

    A sensor that looks to the right of its track lies to the left of what it sees, as seen along the track.

    Parameters
    ----------
    heading_deg
        Of the platform, degrees clockwise from north.
    looks_left
        Whether the antenna looks to the left of the track.
    """
    clockwise = heading_deg + (90.0 if looks_left else -90.0)
    return (-clockwise + 180.0) % 360.0 - 180.0
