"""``insar coherence``: from coregistered images, or a stack that has coherence, to a folder of coherence layers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from insar.blocks import Progress, no_progress
from insar.coherence import CoherenceEstimator
from insar.coherence_bias import coherence_floor
from insar.coherence_chain import CoherenceChain, MeanAmplitude
from insar.coherence_stack import SiblingSource, coherence_stack, history_before, sequential_pairs
from insar.errors import InputError, OptionError
from insar.event_report import write_event_report
from insar.grid import Grid
from insar.layer_run import FilledLayers, Machine, fill_layers
from insar.layers import read_layer_grid
from insar.lookup import Bounds
from insar.multilook import multilook_grid
from insar.new_result import new_result
from insar.placement import Placement, place_stack, place_stack_on
from insar.readers import open_stack
from insar.readers.slc import empty_images, looks_like_slcs, open_slcs
from insar.result import ResultFolder
from insar.siblings import SiblingEstimator
from insar.slc import SlcStack
from insar.stack import Pair, Stack
from insar.stopwatch import Stopwatch
from insar.windows import DEFAULT_REJECTION_RATE, DEFAULT_WINDOW, ONE_LOOK, SIBLING_WINDOW, Looks, Window
from insar.writers.manifest import write_derived_manifest

logger = logging.getLogger(__name__)

PRODUCT = "coherence"


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """How images are opened, and coherence is estimated from them.

    Attributes
    ----------
    processor, polarisation, subswath
        Which images, see `insar.readers.slc.open_slcs`; `processor` also says how a stack is opened.
    window, looks, remove_fringe
        Of the boxcar coherence, see `insar.coherence.CoherenceEstimator`.
    sibling
        Estimate sibling coherence, too, where there are enough images.
    sibling_window, false_rejection_rate
        See `insar.siblings.SiblingEstimator`.
    """

    processor: str = "auto"
    polarisation: str | None = None
    subswath: str | None = None
    window: Window = DEFAULT_WINDOW
    looks: Looks = ONE_LOOK
    remove_fringe: bool = False
    sibling: bool = True
    sibling_window: Window = SIBLING_WINDOW
    false_rejection_rate: float = DEFAULT_REJECTION_RATE

    @property
    def estimator(self) -> CoherenceEstimator:
        """Of the boxcar coherence; raises `OptionError` where a size cannot be."""
        return CoherenceEstimator(
            self.window.check("--window"), self.looks.check("--looks"), remove_fringe=self.remove_fringe
        )

    @property
    def sibling_estimator(self) -> SiblingEstimator:
        """Of the sibling coherence; raises `OptionError` where an option cannot be."""
        return SiblingEstimator(
            window=self.sibling_window.check("--sibling-window"),
            looks=self.looks,
            false_rejection_rate=self.false_rejection_rate,
        )


@dataclass(frozen=True, slots=True)
class MapOptions:
    """Where the result lies: the stack's own grid, or geocoded, see `insar.placement.place_stack`; or as another.

    Attributes
    ----------
    crs, resolution, bbox
        Of the map.
    like
        Result folder or raster whose grid the layers get.
    """

    crs: str | None = None
    resolution: float | None = None
    bbox: Bounds | None = None
    like: Path | None = None

    def __post_init__(self) -> None:
        if self.like is not None and (self.crs, self.resolution, self.bbox) != (None, None, None):
            raise OptionError(
                "--like",
                required="either a grid to take, or --crs, --resolution and --bbox",
                found="both",
                remedy="Leave out --like or the others",
            )

    def place(self, stack: Stack, scratch: Path) -> Placement:
        """The way from the pixels of a stack to the map."""
        if self.like is not None:
            return place_stack_on(stack, _grid_like(self.like), scratch)
        return place_stack(stack, crs=self.crs, resolution=self.resolution, bounds=self.bbox, scratch=scratch)


def _grid_like(path: Path) -> Grid:
    if path.is_dir():
        return ResultFolder(path).grid
    return read_layer_grid(path)


@dataclass(frozen=True, slots=True)
class CoherenceOptions:
    """What `map_coherence` does.

    Attributes
    ----------
    connections, max_temporal_days
        Each date is paired with the next `connections` ones within so many days.
    pairs
        Pairs to take instead, by name.
    event
        Siblings are chosen by the images before this date; by all where None.
    season
        First and last day of the season of `seasonal_coherence` and `amplitude_mean`.
    """

    connections: int = 1
    max_temporal_days: float | None = None
    pairs: tuple[Pair, ...] = ()
    event: date | None = None
    season: tuple[date, date] | None = None

    def __post_init__(self) -> None:
        if self.connections < 1:
            raise OptionError(
                "--connections", required="1 or more", found=str(self.connections), remedy="Take at least 1"
            )
        if self.season is not None and self.season[0] >= self.season[1]:
            raise OptionError(
                "--season",
                required="the first day of the season, then a later one",
                found=f"{self.season[0]} {self.season[1]}",
                remedy="Give for instance 20191201 20200228",
            )


def map_coherence(
    sources: Sequence[Path],
    output: Path,
    options: CoherenceOptions | None = None,
    *,
    images: ImageOptions | None = None,
    place: MapOptions | None = None,
    machine: Machine | None = None,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> Path:
    """Write a result folder with the coherence of pairs, its mean, and that of a season.

    Parameters
    ----------
    sources
        Coregistered images, see `insar.readers.slc.open_slcs`; or one stack that has coherence already, of which the
        mean and the season are made.
    output
        Folder to make.
    options, images, place, machine
        What is made, of which images, where it lies, and who computes.
    overwrite
        Replace an earlier coherence result in the folder.
    progress
        Called as the work goes on.

    Returns
    -------
    Path
        The folder; with the coherence of each pair in ``coherence/PAIR.tif`` it is a stack that other commands open.

    Raises
    ------
    InsarError
        The input or the options are wrong; nothing is left behind.
    """
    options, images = options or CoherenceOptions(), images or ImageOptions()
    place, machine = place or MapOptions(), machine or Machine()
    started = datetime.now(UTC)
    watch = Stopwatch(logger.info)
    with watch.step("open"):
        chain, slc, left_out = _plan(sources, options, images)
    stack = chain.stack
    for note in stack.notes:
        logger.warning("%s", note)
    with new_result(output, PRODUCT, overwrite=overwrite) as products:
        with watch.step("prepare the map"):
            placement = place.place(stack, products.parent)
        with watch.step("estimate coherence"):
            filled = fill_layers(
                chain,
                stack.shape,
                placement,
                products,
                machine=machine,
                files=list(sources),
                tags=lambda _: _tags(stack),
                step="estimate coherence",
                progress=progress,
            )
        write_derived_manifest(
            products,
            layers=filled.written,
            grid=placement.grid,
            inputs=describe_inputs(stack, slc),
            configuration={"product": PRODUCT, **asdict(options), **asdict(images), **asdict(place), **asdict(machine)},
            summary={
                "product": PRODUCT,
                **_summary(chain, filled, None if slc is None else images),
                "timing_seconds": watch.rounded,
            },
            left_out=left_out,
            started=started,
            finished=datetime.now(UTC),
        )
        write_event_report(products)
    return output


def open_images(sources: Sequence[Path], images: ImageOptions) -> SlcStack:
    """Coregistered images, none of them without data.

    Raises
    ------
    InsarError
        They cannot be opened, do not fit together, or one has no data at all.
    """
    slc = open_slcs(sources, processor=images.processor, polarisation=images.polarisation, subswath=images.subswath)
    empty = empty_images(slc)
    if empty:
        raise InputError(
            slc.path,
            required="data in every image",
            found=f"only zeros in the image of {', '.join(f'{day:%Y%m%d}' for day in empty)}",
            remedy="Coregister that image again, or leave it out",
        )
    return slc


def open_coherence(sources: Sequence[Path], processor: str) -> Stack:
    """The one stack that was given, which must have coherence."""
    if len(sources) != 1:
        raise OptionError(
            " ".join(str(path) for path in sources[:3]),
            required="one stack, or complex images",
            found=f"{len(sources)} paths that are no complex images",
            remedy="Give one stack, or images with a date in their names",
        )
    stack = open_stack(sources[0], processor)
    stack.require_coherence()
    return stack


def describe_inputs(stack: Stack, slc: SlcStack | None) -> dict[str, Any]:
    """For the manifest."""
    known = {name: value for name, value in asdict(stack.acquisition).items() if value is not None}
    told = {
        "path": stack.path.resolve(),
        "processor": stack.processor,
        "dates": stack.dates if slc is None else slc.dates,
        "pairs": [pair.name for pair in stack.pairs],
        "wavelength_m": stack.wavelength_m,
        "rows": stack.grid.rows,
        "cols": stack.grid.cols,
        "in_radar_coordinates": stack.in_radar_coordinates,
        "acquisition": known,
        "notes": stack.notes,
    }
    if slc is not None:
        told |= {"polarisation": slc.polarisation, "image_rows": slc.grid.rows, "image_cols": slc.grid.cols}
    return told


def _plan(
    sources: Sequence[Path], options: CoherenceOptions, images: ImageOptions
) -> tuple[CoherenceChain, SlcStack | None, dict[str, str]]:
    if looks_like_slcs(sources):
        return _plan_images(open_images(sources, images), options, images)
    stack = open_coherence(sources, images.processor)
    left_out = {"sibling": "sibling coherence needs the complex images; the stack has coherence alone"}
    season = None
    if options.season is not None:
        season = _season_pairs(stack.pairs, options.season)
        left_out["amplitude_mean"] = "amplitude needs the complex images; the stack has coherence alone"
    return CoherenceChain(stack, write_pairs=False, season=season), None, left_out


def _plan_images(
    slc: SlcStack, options: CoherenceOptions, images: ImageOptions
) -> tuple[CoherenceChain, SlcStack, dict[str, str]]:
    pairs = list(options.pairs) or sequential_pairs(slc.dates, options.connections, options.max_temporal_days)
    _require_dates(slc, pairs, options)
    stack = coherence_stack(slc, pairs, images.estimator)
    sibling, why_not = plan_siblings(slc, stack.pairs, options.event, images)
    season, amplitude = None, None
    if options.season is not None:
        season = _season_pairs(stack.pairs, options.season)
        amplitude = MeanAmplitude(slc, slc.index(_season_days(slc.dates, options.season)), images.looks)
    chain = CoherenceChain(stack, True, sibling, season, amplitude)
    return chain, slc, {} if why_not is None else {"sibling": why_not}


def plan_siblings(
    slc: SlcStack, pairs: Sequence[Pair], event: date | None, images: ImageOptions
) -> tuple[SiblingSource | None, str | None]:
    """Sibling coherence of pairs where there are enough images before the event; or why not."""
    if not images.sibling:
        return None, "switched off (--no-sibling)"
    estimator = images.sibling_estimator
    history = history_before(slc, event)
    if len(history) < estimator.least_images:
        where = "" if event is None else f" before {event}"
        return None, f"siblings are chosen by at least {estimator.least_images} images{where}; there are {len(history)}"
    return SiblingSource(slc, tuple(pairs), history, estimator, multilook_grid(slc.grid, images.looks)), None


def _require_dates(slc: SlcStack, pairs: Sequence[Pair], options: CoherenceOptions) -> None:
    dates = ", ".join(f"{day:%Y%m%d}" for day in slc.dates)
    absent = sorted({day for pair in pairs for day in (pair.reference, pair.secondary)} - set(slc.dates))
    if absent:
        raise OptionError(
            "--pairs",
            required=f"pairs of the images' dates, {dates}",
            found=f"no image of {', '.join(f'{day:%Y%m%d}' for day in absent)}",
            remedy="Correct the pairs, or add these images",
        )
    if not pairs:
        raise OptionError(
            "--max-temporal-days",
            required=f"a time that some two of these dates are within: {dates}",
            found=f"{options.max_temporal_days:g}",
            remedy="Give more days",
        )


def _season_pairs(pairs: Sequence[Pair], season: tuple[date, date]) -> tuple[int, ...]:
    first, last = season
    within = tuple(number for number, pair in enumerate(pairs) if first <= pair.reference and pair.secondary <= last)
    if not within:
        raise OptionError(
            "--season",
            required=f"a season that holds a pair; pairs go from {pairs[0].reference} to {pairs[-1].secondary}",
            found=f"no pair from {first} to {last}",
            remedy="Correct the season; both dates of a pair must lie in it",
        )
    return within


def _season_days(days: Sequence[date], season: tuple[date, date]) -> list[date]:
    return [day for day in days if season[0] <= day <= season[1]]


def _tags(stack: Stack) -> dict[str, str]:
    return {"FIRST_DATE": stack.dates[0].isoformat(), "LAST_DATE": stack.dates[-1].isoformat()}


def _summary(chain: CoherenceChain, filled: FilledLayers, images: ImageOptions | None) -> dict[str, Any]:
    sums = filled.sums
    counts = sums["coherence_count"]
    means = np.where(counts > 0, sums["coherence_sum"] / np.maximum(counts, 1), np.nan)
    told: dict[str, Any] = {
        "pairs": [
            {
                "name": pair.name,
                "temporal_baseline_days": pair.temporal_baseline_days,
                "mean_coherence": float(mean),
                "pixels": int(count),
            }
            for pair, mean, count in zip(chain.stack.pairs, means, counts, strict=True)
        ],
        "layers": filled.statistics,
    }
    if images is not None:
        samples = images.window.rows * images.window.cols * images.looks.rows * images.looks.cols
        told["estimate"] = {"samples": samples, "coherence_of_noise": coherence_floor(samples)}
    if chain.season is not None:
        told["season_pairs"] = [chain.stack.pairs[index].name for index in chain.season]
    if chain.sibling is not None:
        pixels = int(sums["siblings_pixels"])
        told["siblings"] = {
            "history": chain.sibling.history,
            "mean_count": float(sums["siblings_sum"]) / pixels if pixels else None,
            "pixels": pixels,
        }
    return told
