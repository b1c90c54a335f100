"""Change of backscatter at an event: medians of the images before and after it, in decibels.

All results are dB, ``10 log10`` of power. A median does not care which monotone unit the images are in as long as
their number is odd; of an even number it is the mean of the two in the middle, taken in dB here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from insar.errors import OptionError

DEFAULT_PRE_DAYS = (365, 12)
DEFAULT_POST_DAYS = (12, 60)
DEFAULT_MIN_IMAGES = 1


class Scale(StrEnum):
    """What the numbers of a calibrated image are."""

    POWER = "power"
    AMPLITUDE = "amplitude"
    DECIBEL = "db"

    @property
    def factor(self) -> float:
        """What multiplies the decimal logarithm to give dB; 0 for values that are dB already."""
        return {Scale.POWER: 10.0, Scale.AMPLITUDE: 20.0, Scale.DECIBEL: 0.0}[self]


class Span(NamedTuple):
    """Days from the first to the last, both included."""

    first: date
    last: date

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.first <= day <= self.last

    def __str__(self) -> str:
        return f"{self.first.isoformat()} to {self.last.isoformat()}"


@dataclass(frozen=True, slots=True)
class EventWindows:
    """Which images are from before and which from after an event.

    Attributes
    ----------
    event
        Its day. An image of this day is in neither window: its date does not say which it is.
    pre_days
        Farthest and nearest distance before the event, days; both are in the window.
    post_days
        Nearest and farthest distance after the event, days; both are in the window.

    Raises
    ------
    OptionError
        A window is empty or reaches the event's day.
    """

    event: date
    pre_days: tuple[int, int] = DEFAULT_PRE_DAYS
    post_days: tuple[int, int] = DEFAULT_POST_DAYS

    def __post_init__(self) -> None:
        far, near = self.pre_days
        _check_days("--pre-days", near, far, f"{far} {near}", "the farther first, as 365 12")
        near, far = self.post_days
        _check_days("--post-days", near, far, f"{near} {far}", "the nearer first, as 12 60")

    @property
    def pre(self) -> Span:
        """The days of the window before the event."""
        far, near = self.pre_days
        return Span(self.event - timedelta(far), self.event - timedelta(near))

    @property
    def post(self) -> Span:
        """The days of the window after the event."""
        near, far = self.post_days
        return Span(self.event + timedelta(near), self.event + timedelta(far))


def _check_days(option: str, near: int, far: int, found: str, order: str) -> None:
    if not 1 <= near <= far:
        raise OptionError(
            option,
            required=f"two distances from the event of at least 1 day, {order}",
            found=found,
            remedy="Correct them: an image of the event's own day may be from before or after it",
        )


class Median(NamedTuple):
    """Median of a window in time.

    Attributes
    ----------
    decibels
        (row, col) dB; NaN where there are too few images.
    images
        (row, col) valid images.
    """

    decibels: NDArray[np.float64]
    images: NDArray[np.int64]


def median_backscatter(images: NDArray[np.float32], scale: Scale, *, min_images: int = DEFAULT_MIN_IMAGES) -> Median:
    """Median of images, pixel by pixel.

    Parameters
    ----------
    images
        (image, row, col) in the unit of `scale`; NaN is no data, and so is a power or amplitude of 0 or less.
    scale
        Unit of all of them.
    min_images
        Fewest valid images at a pixel.
    """
    from insar.kernels.backscatter import median_decibels

    shape = images.shape[1:]
    median = Median(np.empty(shape, np.float64), np.empty(shape, np.int64))
    median_decibels(np.ascontiguousarray(images, np.float32), scale.factor, min_images, *median)
    return median


def mean_amplitude(
    images: NDArray[np.float32], scale: Scale, *, min_images: int = DEFAULT_MIN_IMAGES
) -> NDArray[np.float64]:
    """Mean amplitude of images, pixel by pixel, as dB.

    Parameters
    ----------
    images, scale, min_images
        As of `median_backscatter`.

    Returns
    -------
    NDArray
        (row, col) ``20 log10`` of the mean of the linear amplitudes; NaN where there are too few images. By as much
        as images vary it is below the dB of their mean power.
    """
    from insar.kernels.backscatter import mean_amplitude_decibels

    mean = np.empty(images.shape[1:], np.float64)
    mean_amplitude_decibels(np.ascontiguousarray(images, np.float32), scale.factor, min_images, mean)
    return mean


def to_decibels(values: NDArray[np.float32], scale: Scale) -> NDArray[np.float32]:
    """Backscatter in dB, of any shape; NaN where there is no data or a linear value is not positive."""
    if scale is Scale.DECIBEL:
        return values
    with np.errstate(divide="ignore", invalid="ignore"):
        decibels = scale.factor * np.log10(values.astype(np.float64))
    decibels[~np.isfinite(decibels)] = np.nan
    return decibels.astype(np.float32)


def common_scale(scales: Sequence[Scale]) -> Scale:
    """The unit to read images in: their own where all have the same, else dB."""
    return scales[0] if len(set(scales)) == 1 else Scale.DECIBEL
