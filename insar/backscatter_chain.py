"""Which images make which layer of backscatter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray

from insar.backscatter import (
    DEFAULT_MIN_IMAGES,
    EventWindows,
    Scale,
    Span,
    common_scale,
    to_decibels,
)
from insar.backscatter_stack import BackscatterImage, BackscatterStack, Orbit
from insar.errors import InputError, OptionError

_REPEAT_DAYS = 6
"""Sentinel-1 repeats a track after 12 days, a second satellite of the pair between."""

_PARTNERS = {"VV": "VH", "VH": "VV", "HH": "HV", "HV": "HH"}


@dataclass(frozen=True, slots=True)
class BackscatterOptions:
    """What is made of the images.

    Attributes
    ----------
    windows
        The event, and the days before and after it.
    min_images
        Fewest valid images of a median or mean.
    season
        Days over which amplitudes are averaged; None for no such layer.
    """

    windows: EventWindows
    min_images: int = DEFAULT_MIN_IMAGES
    season: Span | None = None

    def __post_init__(self) -> None:
        if self.min_images < 1:
            raise OptionError(
                "--min-images", required="at least 1", found=str(self.min_images), remedy="Give for instance 3"
            )
        if self.season is not None and self.season.first > self.season.last:
            raise OptionError(
                "--season", required="two days, the earlier first", found=str(self.season), remedy="Exchange them"
            )


@dataclass(frozen=True, slots=True)
class ImageSeries:
    """Images of one polarisation and pass within a span of days, by date; those of one date are parts of one."""

    scale: Scale
    days: tuple[date, ...]
    images: tuple[tuple[BackscatterImage, ...], ...] = field(repr=False)

    @classmethod
    def within(cls, images: Iterable[BackscatterImage], span: Span) -> ImageSeries | None:
        """Those of some images that are of a span's days; None where there are none."""
        by_day: dict[date, list[BackscatterImage]] = {}
        for image in images:
            if image.day in span:
                by_day.setdefault(image.day, []).append(image)
        if not by_day:
            return None
        days = tuple(sorted(by_day))
        parts = tuple(tuple(by_day[day]) for day in days)
        return cls(common_scale([image.scale for part in parts for image in part]), days, parts)

    def read(self, rows: slice, cols: slice) -> NDArray[np.float32]:
        """One window: (date, row, col) in the unit of `scale`, NaN is no data; of one date the first that has data."""
        block = np.empty((len(self.days), rows.stop - rows.start, cols.stop - cols.start), np.float32)
        for plane, parts in zip(block, self.images, strict=True):
            plane.fill(np.nan)
            for image in parts:
                empty = ~np.isfinite(plane)
                if not empty.any():
                    break
                window = np.asarray(image.source.read_window(rows, cols), np.float32)
                if self.scale is not image.scale:
                    window = to_decibels(window, image.scale)
                np.copyto(plane, window, where=empty)
        return block


@dataclass(frozen=True, slots=True)
class EventChange:
    """Medians of one polarisation and pass before and after the event."""

    polarisation: str
    suffix: str
    pre: ImageSeries
    post: ImageSeries

    def name(self, what: str) -> str:
        """Name of one of its layers."""
        return f"{self.polarisation.lower()}_{what}{self.suffix}"

    def belongs_to(self, polarisation: str, suffix: str) -> bool:
        """Whether it is of this polarisation and pass."""
        return (self.polarisation, self.suffix) == (polarisation, suffix)


@dataclass(frozen=True, slots=True)
class SeasonMean:
    """Mean amplitude of one polarisation and pass over a season."""

    polarisation: str
    suffix: str
    series: ImageSeries

    @property
    def name(self) -> str:
        """Name of its layer."""
        return f"{self.polarisation.lower()}_amplitude_mean{self.suffix}"

    def belongs_to(self, polarisation: str, suffix: str) -> bool:
        """Whether it is of this polarisation and pass."""
        return (self.polarisation, self.suffix) == (polarisation, suffix)


@dataclass(frozen=True, slots=True)
class BackscatterPlan:
    """What is made of which images, and what is not.

    Attributes
    ----------
    changes, seasons
        What is made.
    left_out
        Layers that are not, and why.
    notes
        What a user should know of the choice.
    available
        For each layer the day on which the last image it needs was acquired.
    """

    changes: tuple[EventChange, ...]
    seasons: tuple[SeasonMean, ...]
    left_out: dict[str, str]
    notes: tuple[str, ...]
    available: dict[str, date]


def suffix_of(stack: BackscatterStack, orbit: Orbit | None) -> str:
    """What is appended to the names of the layers of a pass: nothing where all images are of one."""
    return f"_{orbit}" if orbit is not None and len(stack.orbits) > 1 else ""


def plan_backscatter(stack: BackscatterStack, options: BackscatterOptions) -> BackscatterPlan:
    """Decide which images make which layer.

    Parameters
    ----------
    stack
        Images of one or both directions, never mixed.
    options
        The event and its windows.

    Raises
    ------
    InputError
        No polarisation of any pass has images both before and after the event.
    OptionError
        No image is of the season.
    """
    changes: list[EventChange] = []
    seasons: list[SeasonMean] = []
    left_out: dict[str, str] = {}
    notes: list[str] = []
    for orbit in stack.orbits:
        images = stack.of_orbit(orbit)
        suffix = suffix_of(stack, orbit)
        present = sorted({image.polarisation for image in images.images})
        for polarisation in sorted({*present, *(_PARTNERS[each] for each in present)}, reverse=True):
            chosen = [image for image in images.images if image.polarisation == polarisation]
            _plan_change(polarisation, suffix, chosen, options, changes, left_out)
            if options.season is not None:
                _plan_season(polarisation, suffix, chosen, options.season, seasons, left_out)
        notes += _notes_on(images, suffix, present, options)
    if not changes:
        raise _no_change(stack, options.windows)
    if options.season is not None and not seasons:
        raise OptionError(
            f"--season {options.season}",
            required="images of these days",
            found=f"images of {_listed(stack.dates())}",
            remedy="Correct the season",
        )
    for suffix in {suffix_of(stack, orbit) for orbit in stack.orbits} - {change.suffix for change in changes}:
        reason = "no polarisation has images both before and after the event"
        left_out |= {f"{name}{suffix}": reason for name in ("images_pre", "images_post")}
    return BackscatterPlan(tuple(changes), tuple(seasons), left_out, tuple(notes), _available(changes, seasons))


def _plan_change(
    polarisation: str,
    suffix: str,
    images: Sequence[BackscatterImage],
    options: BackscatterOptions,
    changes: list[EventChange],
    left_out: dict[str, str],
) -> None:
    windows = options.windows
    names = [f"{polarisation.lower()}_{what}{suffix}" for what in ("post", "difference")]
    if not images:
        left_out |= dict.fromkeys(names, f"no image of {polarisation}")
        return
    pre, post = ImageSeries.within(images, windows.pre), ImageSeries.within(images, windows.post)
    for series, span, word in ((pre, windows.pre, "before"), (post, windows.post, "after")):
        if series is None or len(series.days) < options.min_images:
            found = "none" if series is None else f"only {len(series.days)}"
            reason = f"{found} of the images of {polarisation} in the window {word} the event, {span}"
            left_out |= dict.fromkeys(names, reason)
            return
    if pre is not None and post is not None:
        changes.append(EventChange(polarisation, suffix, pre, post))


def _plan_season(
    polarisation: str,
    suffix: str,
    images: Sequence[BackscatterImage],
    season: Span,
    seasons: list[SeasonMean],
    left_out: dict[str, str],
) -> None:
    series = ImageSeries.within(images, season)
    if series is None:
        reason = f"no image of {polarisation} from {season}"
        left_out[f"{polarisation.lower()}_amplitude_mean{suffix}"] = reason
    else:
        seasons.append(SeasonMean(polarisation, suffix, series))


def _notes_on(
    images: BackscatterStack, suffix: str, polarisations: Sequence[str], options: BackscatterOptions
) -> list[str]:
    notes = []
    label = suffix.removeprefix("_") or "the images"
    windows = options.windows
    if windows.event in images.dates():
        notes.append(f"{label}: an image of the event's own day is not used: it may be from before or after the event")
    tracks = _tracks_of_sentinel1(images)
    if tracks > 1:
        notes.append(
            f"{label}: dates that are no multiple of {_REPEAT_DAYS} days apart, so of {tracks} tracks of Sentinel-1 or "
            "more, which see slopes at different angles: a difference may show that, and no change"
        )
    for span, word in ((windows.pre, "before"), (windows.post, "after")):
        days = {
            polarisation: {day for day in images.dates(polarisation) if day in span} for polarisation in polarisations
        }
        every = set().union(*days.values())
        for polarisation, own in days.items():
            if own and own != every:
                missing = _listed(sorted(every - own))
                notes.append(f"{label}: {polarisation} has fewer images {word} the event, none of {missing}")
    return notes


def _tracks_of_sentinel1(images: BackscatterStack) -> int:
    """Least number of tracks that the dates of Sentinel-1 can be of; 0 for other sensors."""
    return len({image.day.toordinal() % _REPEAT_DAYS for image in images.images if image.view.is_sentinel1})


def _available(changes: Sequence[EventChange], seasons: Sequence[SeasonMean]) -> dict[str, date]:
    days: dict[str, date] = {}

    def needs(name: str, day: date) -> None:
        days[name] = max(day, days.get(name, day))

    for change in changes:
        needs(change.name("post"), change.post.days[-1])
        needs(change.name("difference"), change.post.days[-1])
        needs(f"images_pre{change.suffix}", change.pre.days[-1])
        needs(f"images_post{change.suffix}", change.post.days[-1])
    for season in seasons:
        needs(season.name, season.series.days[-1])
    return days


def _no_change(stack: BackscatterStack, windows: EventWindows) -> InputError:
    found = "; ".join(
        f"{orbit or 'images'} {polarisation} of {_listed(images.dates(polarisation))}"
        for orbit in stack.orbits
        for images in [stack.of_orbit(orbit)]
        for polarisation in sorted({image.polarisation for image in images.images}, reverse=True)
    )
    return InputError(
        f"--event {windows.event.isoformat()}",
        required=f"images of one polarisation and pass from {windows.pre} and from {windows.post}",
        found=found,
        remedy="Correct the date of the event, widen --pre-days or --post-days, or give more images",
    )


def _listed(days: Sequence[date]) -> str:
    if len(days) > 12:
        return f"{len(days)} dates from {days[0].isoformat()} to {days[-1].isoformat()}"
    return ", ".join(day.isoformat() for day in days)
