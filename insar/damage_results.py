"""``insar damage``: from a stack with coherence, or coregistered images, to the layers of what an event changed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from insar.blocks import Progress, no_progress
from insar.coherence_bias import coherence_floor
from insar.coherence_results import (
    ImageOptions,
    MapOptions,
    describe_inputs,
    open_coherence,
    open_images,
    plan_siblings,
)
from insar.coherence_stack import coherence_stack, every_pair
from insar.damage_chain import DamageOptions, prepare_damage
from insar.event_pairs import EventPairs, choose_event_pairs
from insar.event_report import write_event_report
from insar.layer_run import Machine, fill_layers
from insar.new_result import new_result
from insar.readers.scarp import sibling_cube
from insar.readers.slc import looks_like_slcs
from insar.slc import SlcStack
from insar.stack import Cube, Pair, Stack
from insar.stopwatch import Stopwatch
from insar.timeline import available_dates
from insar.writers.manifest import write_derived_manifest

logger = logging.getLogger(__name__)

PRODUCT = "damage"


@dataclass(frozen=True, slots=True)
class EventOptions:
    """The event, and the pairs that tell of it; chosen by `insar.event_pairs.choose_event_pairs` where None.

    Attributes
    ----------
    event
        Day of the event.
    pre, co, post
        Pairs before, across and after it.
    until
        Take no acquisition after this day: what was known then.
    """

    event: date
    pre: tuple[Pair, ...] | None = None
    co: tuple[Pair, ...] | None = None
    post: tuple[Pair, ...] | None = None
    until: date | None = None

    def choose(self, pairs: Sequence[Pair]) -> EventPairs:
        """Choose among the pairs of a stack."""
        return choose_event_pairs(pairs, self.event, pre=self.pre, co=self.co, post=self.post, until=self.until)


@dataclass(frozen=True, slots=True)
class _Input:
    """The pairs around an event, with sibling coherence of the co pairs where it can be had."""

    stack: Stack
    chosen: EventPairs
    slc: SlcStack | None
    sibling: Cube | None
    left_out: dict[str, str] = field(default_factory=dict)


def map_damage(
    sources: Sequence[Path],
    output: Path,
    event: EventOptions,
    options: DamageOptions | None = None,
    *,
    images: ImageOptions | None = None,
    place: MapOptions | None = None,
    machine: Machine | None = None,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> Path:
    """Write a result folder with damage proxy, changes of coherence and the mask of significant loss.

    Parameters
    ----------
    sources
        One stack that has coherence, of any reader; or coregistered images, see `insar.readers.slc.open_slcs`.
    output
        Folder to make.
    event, options, images, place, machine
        The event and its pairs, what is made, of which images, where it lies, and who computes.
    overwrite
        Replace an earlier damage result in the folder.
    progress
        Called as the work goes on.

    Returns
    -------
    Path
        The folder. Layers that could not be made are listed in its manifest with the reason.

    Raises
    ------
    InsarError
        The input or the options are wrong; nothing is left behind.
    """
    options, images = options or DamageOptions(), images or ImageOptions()
    place, machine = place or MapOptions(), machine or Machine()
    started = datetime.now(UTC)
    watch = Stopwatch(logger.info)
    with watch.step("open"):
        given = _open(sources, event, images)
    for note in (*given.stack.notes, *given.chosen.notes):
        logger.warning("%s", note)
    with new_result(output, PRODUCT, overwrite=overwrite) as products:
        with watch.step("estimate what is usual"):
            chain = prepare_damage(
                given.stack,
                given.chosen,
                options,
                sibling=given.sibling,
                workers=machine.threads,
                memory_limit=machine.memory_bytes,
                progress=progress,
            )
        with watch.step("prepare the map"):
            placement = place.place(given.stack, products.parent)
        available = available_dates(given.chosen, chain.layers)
        with watch.step("compute the layers"):
            filled = fill_layers(
                chain,
                given.stack.shape,
                placement,
                products,
                machine=machine,
                files=list(sources),
                tags=lambda name: _tags(event.event, available.get(name)),
                step="compute the layers",
                progress=progress,
            )
        write_derived_manifest(
            products,
            layers=filled.written,
            grid=placement.grid,
            inputs=describe_inputs(given.stack, given.slc),
            configuration={
                "product": PRODUCT,
                **asdict(event),
                **asdict(options),
                **asdict(images),
                **asdict(place),
                **asdict(machine),
            },
            summary={
                "product": PRODUCT,
                "event": event.event,
                "chosen": _described(given.chosen),
                "available": available,
                **_estimate(given, images),
                **chain.facts,
                "layers": filled.statistics,
                "significant": {name: int(total) for name, total in filled.sums.items()},
                "timing_seconds": watch.rounded,
            },
            left_out={**chain.left_out, **given.left_out},
            started=started,
            finished=datetime.now(UTC),
        )
        write_event_report(products)
    return output


def _open(sources: Sequence[Path], event: EventOptions, images: ImageOptions) -> _Input:
    if looks_like_slcs(sources):
        slc = open_images(sources, images)
        chosen = event.choose(every_pair(slc.dates))
        used = sorted({*chosen.pre, *chosen.co, *chosen.post, *chosen.history})
        stack = coherence_stack(slc, used, images.estimator)
        source, why_not = plan_siblings(slc, chosen.co, event.event, images)
        left_out = {} if why_not is None else {"boxcar_sibling": why_not}
        return _Input(stack, chosen, slc, None if source is None else source.cube, left_out)
    stack = open_coherence(sources, images.processor)
    chosen = event.choose(stack.pairs)
    found = sibling_cube(sources[0])
    if found is None:
        return _Input(stack, chosen, None, None, {"boxcar_sibling": "the stack has no sibling coherence"})
    pairs, cube = found
    absent = [pair.name for pair in chosen.co if pair not in pairs]
    if absent:
        reason = f"no sibling coherence of {', '.join(absent)}"
        return _Input(stack, chosen, None, None, {"boxcar_sibling": reason})
    return _Input(stack, chosen, None, cube.select([pairs.index(pair) for pair in chosen.co]))


def _described(chosen: EventPairs) -> dict[str, Any]:
    groups = {"pre": chosen.pre, "co": chosen.co, "post": chosen.post, "history": chosen.history}
    return {
        **{name: [pair.name for pair in pairs] for name, pairs in groups.items()},
        "notes": chosen.notes,
    }


def _estimate(given: _Input, images: ImageOptions) -> dict[str, Any]:
    if given.slc is None:
        return {}
    samples = images.window.rows * images.window.cols * images.looks.rows * images.looks.cols
    return {"estimate": {"samples": samples, "coherence_of_noise": coherence_floor(samples)}}


def _tags(event: date, available: date | None) -> dict[str, str]:
    told = {"EVENT_DATE": event.isoformat()}
    return told if available is None else {**told, "AVAILABLE_DATE": available.isoformat()}
