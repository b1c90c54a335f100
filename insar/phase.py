"""From interferometric phase to displacement along the line of sight."""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from insar.errors import OptionError

Value = TypeVar("Value", float, NDArray[np.floating])


def los_per_radian(wavelength_m: float) -> float:
    """Displacement toward the satellite in metres for one radian of phase: ``-wavelength / (4 pi)``."""
    if not wavelength_m > 0:
        raise OptionError(
            "wavelength",
            required="a positive wavelength in metres",
            found=str(wavelength_m),
            remedy="Sentinel-1 has 0.0554657646",
        )
    return -wavelength_m / (4.0 * math.pi)


def phase_to_los(phase: Value, wavelength_m: float) -> Value:
    """Displacement along the line of sight.

    Parameters
    ----------
    phase
        Unwrapped phase in radians, positive where the range to the satellite has grown; any shape. NaN stays NaN.
    wavelength_m
        Radar wavelength in metres.

    Returns
    -------
    Displacement in metres, positive toward the satellite: ``d = -wavelength / (4 pi) * phase``.
    """
    return phase * los_per_radian(wavelength_m)
