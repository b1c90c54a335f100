"""When each layer of an event became available, so that a model can be updated image by image."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from insar.errors import InputError
from insar.event_pairs import EventPairs
from insar.writers.manifest import NAME, read_manifest

_PRE, _CO, _POST, _HISTORY = "pre", "co", "post", "history"

_NEEDS: dict[str, tuple[str, ...]] = {
    "coherence_pre": (_PRE,),
    "coherence_co": (_CO,),
    "coherence_post": (_POST,),
    "damage_proxy": (_PRE, _CO),
    "coherence_loss": (_PRE, _CO),
    "coherence_recovery": (_CO, _POST),
    "coherence_change_sum": (_PRE, _CO, _POST),
    "coherence_change_max": (_PRE, _CO, _POST),
    "boxcar_sibling": (_CO,),
    "damage_zscore": (_HISTORY, _CO),
    "damage_significant": (_HISTORY, _CO),
}
"""Pairs that a layer is made of."""


@dataclass(frozen=True, slots=True)
class TimelineStep:
    """Layers that one result gained on one day.

    Attributes
    ----------
    number
        0 for what there was before the event, then counted from 1.
    day
        Of the last acquisition that the layers need.
    days_after_event
        Not positive before it.
    result
        Folder of the result.
    layers
        Those that are new, in the order of the result.
    """

    number: int
    day: date
    days_after_event: int
    result: Path
    layers: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The step as JSON takes it."""
        return {
            "step": self.number,
            "date": self.day.isoformat(),
            "days_after_event": self.days_after_event,
            "result": str(self.result),
            "layers": list(self.layers),
        }


def available_dates(event_pairs: EventPairs, layers: Iterable[str]) -> dict[str, date]:
    """Day of the last acquisition that each layer of an event's coherence needs.

    Layers that are not made of coherence around an event are left out.
    """
    found = {}
    for layer in layers:
        pairs = [pair for kind in _NEEDS.get(layer, ()) for pair in getattr(event_pairs, kind)]
        if pairs:
            found[layer] = max(pair.secondary for pair in pairs)
    return found


def feature_timeline(results: Sequence[Path], event: date) -> list[TimelineStep]:
    """Steps in which the layers of several results, of different tracks and sensors, became available.

    Layers of one result and one day are one step: they come from one acquisition. All that was there before the event
    has step 0. Results of one day are in the order they are given.

    Parameters
    ----------
    results
        Finished result folders whose manifest has ``event`` and ``available``, a day for each layer, in its summary.
    event
        Day of the event.

    Raises
    ------
    MissingInputError
        A folder has no manifest.
    InputError
        A result is not of an event, or of another one.
    """
    gained: dict[tuple[date, int], list[str]] = {}
    for order, folder in enumerate(results):
        for layer, day in _available(folder, event).items():
            gained.setdefault((day, order), []).append(layer)
    steps: list[TimelineStep] = []
    for day, order in sorted(gained):
        number = 0 if day < event else (steps[-1].number if steps else 0) + 1
        steps.append(TimelineStep(number, day, (day - event).days, results[order], tuple(gained[day, order])))
    return steps


def timeline_json(steps: Iterable[TimelineStep]) -> str:
    """The steps as a JSON list of objects."""
    return json.dumps([step.to_json() for step in steps], indent=2) + "\n"


def timeline_csv(steps: Iterable[TimelineStep]) -> str:
    """The steps as a table with a row for each layer: step, date, days_after_event, result, layer."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("step", "date", "days_after_event", "result", "layer"))
    for step in steps:
        for layer in step.layers:
            table.writerow((step.number, step.day.isoformat(), step.days_after_event, step.result, layer))
    return text.getvalue()


def _available(folder: Path, event: date) -> dict[str, date]:
    summary = read_manifest(folder).get("summary")
    summary = summary if isinstance(summary, Mapping) else {}
    if not isinstance(summary.get("available"), Mapping) or "event" not in summary:
        raise InputError(
            folder / NAME,
            required="a result of an event, with `event` and `available` in the summary",
            found="neither" if "event" not in summary else "no `available`",
            remedy="Give folders that `insar damage` or `insar backscatter` have made",
        )
    try:
        its_event = date.fromisoformat(str(summary["event"]))
        available = {str(layer): date.fromisoformat(str(day)) for layer, day in summary["available"].items()}
    except ValueError as error:
        raise InputError(
            folder / NAME, required="dates as YYYY-MM-DD", found=str(error), remedy="Run the processing again"
        ) from error
    if its_event != event:
        raise InputError(
            folder / NAME,
            required=f"a result of the event on {event}",
            found=f"one of {its_event}",
            remedy="Give results of one event",
        )
    return available
