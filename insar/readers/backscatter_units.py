"""In which unit the pixels of an image are: a wrong guess would be wrong by a factor of two in dB."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from insar.backscatter import Scale
from insar.errors import InputError, OptionError
from insar.grid import Grid
from insar.stack import PlaneSource

_SAMPLE_SIDE = 256
_PLACES = (0.5, 0.2, 0.8)


def sample_values(source: PlaneSource, grid: Grid) -> NDArray[np.float32]:
    """Some of the pixels of an image that have data, flat: of its middle, or of another part where that is empty."""
    sample: NDArray[np.float32] = np.empty(0, np.float32)
    for down in _PLACES:
        for right in _PLACES:
            rows, cols = _around(grid.rows, down), _around(grid.cols, right)
            window = np.asarray(source.read_window(rows, cols), np.float32)
            found = window[np.isfinite(window)]
            if found.size > sample.size:
                sample = found
            if sample.size > window.size // 4:
                return sample
    return sample


def _around(size: int, share: float) -> slice:
    start = max(0, min(int(size * share) - _SAMPLE_SIDE // 2, size - _SAMPLE_SIDE))
    return slice(start, min(size, start + _SAMPLE_SIDE))


def decide_scale(
    name: str, stated: Scale | None, given: Scale | None, sample: NDArray[np.float32]
) -> tuple[Scale, str | None]:
    """Unit of an image, and a note where it was taken from the numbers.

    Parameters
    ----------
    name
        Of the image, for messages.
    stated
        What its name, its unit or its metadata say.
    given
        What the user says, which comes first.
    sample
        Some of its values, without those of no data.

    Raises
    ------
    InputError
        Nothing says it, or the numbers contradict what does.
    OptionError
        The numbers contradict what the user says.
    """
    looks_decibel = sample.size > 0 and float(np.median(sample)) < 0.0
    never_negative = sample.size > 0 and float(sample.min()) >= 0.0
    if given is not None:
        if (given is Scale.DECIBEL and never_negative) or (given is not Scale.DECIBEL and looks_decibel):
            raise OptionError(
                f"--scale {given}",
                required=f"the unit of {name}",
                found=_described(sample),
                remedy="Give the unit that the images have: power, amplitude or db",
            )
        return given, None
    if looks_decibel:
        note = None if stated is Scale.DECIBEL else "taken as dB, because most of its values are negative"
        return Scale.DECIBEL, note
    if stated is None:
        raise InputError(
            name,
            required="a unit, in its name or metadata: power, amplitude or dB",
            found=f"none, and {_described(sample)}, which may be power or amplitude",
            remedy="Give --scale power or --scale amplitude: a wrong guess would make every difference wrong twofold",
        )
    if stated is Scale.DECIBEL and never_negative:
        raise InputError(
            name,
            required="backscatter in dB, as its name or metadata say",
            found=_described(sample),
            remedy="Give --scale power or --scale amplitude",
        )
    return stated, None


def _described(sample: NDArray[np.float32]) -> str:
    if not sample.size:
        return "no valid values where it was looked at"
    return f"values from {sample.min():.3g} to {sample.max():.3g} with the median {np.median(sample):.3g}"
