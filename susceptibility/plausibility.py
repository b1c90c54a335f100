"""Whether a susceptibility map can be right: what any sound one must show, whatever its scores.

Notes
-----
The criteria are common in the field, after Ado et al. (2022): (1) the density of landslides rises with the class, and
most landslides lie in the highest; (2) the highest class takes a small part of the area, and the map is continuous.
What counts as small or as continuous is not said there; the limits here are stated in each sentence. A map that fails
is to be doubted. One that passes is not proven: landslides that trained the model are in high classes even
where the model has learned them by heart, so that the same is asked of landslides it had not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from insar.layers import row_slices
from susceptibility.classes import ClassRow, ClassTable, LandslideMeasure
from susceptibility.errors import InputError

_ROWS_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    name
        What.
    passed
        None where it cannot be told.
    sentence
        What was found, with its numbers.
    """

    name: str
    passed: bool | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Smoothness:
    """How often neighbouring cells lie two classes or more apart.

    Attributes
    ----------
    jumps
        Part of the pairs of known cells that share a side, 0 to 1; NaN where there is no pair.
    at_random
        The same if the classes of the map were scattered at random.
    """

    jumps: float
    at_random: float


def check_plausibility(
    table: ClassTable, *, held_out: ClassTable | None = None, smoothness: Smoothness | None = None
) -> list[Finding]:
    """Look at a table of classes as the notes above say.

    Parameters
    ----------
    table
        Of the map, with all landslides.
    held_out
        The same with landslides that the model had not seen, see `tabulate_held_out`.
    smoothness
        From `measure_smoothness`.
    """
    findings = [_rises(table, "all landslides"), _concentrated(table, "all landslides")]
    if held_out is not None:
        findings += [_rises(held_out, "held-out landslides"), _concentrated(held_out, "held-out landslides")]
    findings.append(_top_is_small(table))
    if smoothness is not None:
        findings.append(_smooth(smoothness))
    return findings


def measure_smoothness(classes: NDArray[np.uint8]) -> Smoothness:
    """Compare neighbours of a map of classes (row, col), 0 where unknown.

    Raises
    ------
    InputError
        It is no map in two dimensions.
    """
    if classes.ndim != 2:
        raise InputError(
            "map of classes", required="rows and columns", found=f"shape {classes.shape}", remedy="Give the map itself"
        )
    pairs = jumps = 0
    counts = np.zeros(256, np.int64)
    for rows in row_slices(classes.shape[0], _ROWS_AT_ONCE):
        block = classes[rows.start : rows.stop + 1].astype(np.int16)
        own = block[: rows.stop - rows.start]
        counts += np.bincount(own.ravel(), minlength=256)
        for first, second in ((own[:, :-1], own[:, 1:]), (block[:-1], block[1:])):
            both = (first > 0) & (second > 0)
            pairs += int(both.sum())
            jumps += int((both & (np.abs(first - second) >= 2)).sum())
    share = counts[1:] / max(int(counts[1:].sum()), 1)
    close = float((share**2).sum() + 2.0 * (share[:-1] * share[1:]).sum())
    return Smoothness(jumps / pairs if pairs else float("nan"), 1.0 - close)


def _rises(table: ClassTable, which: str) -> Finding:
    name = f"density rises with the class ({which})"
    rows = [row for row in table.rows if np.isfinite(row.density)]
    if len(rows) < 2 or not any(row.landslides for row in rows):
        return Finding(name, None, f"With {which}: too few classes or no landslides, so that this cannot be told.")
    falls = [(lower, upper) for lower, upper in pairwise(rows) if upper.density < lower.density]
    if not falls:
        said = f"from {_density(rows[0], table.measure)} in the lowest class to {_density(rows[-1], table.measure)}"
        return Finding(name, True, f"With {which}, landslide density does not fall from any class to the next: {said}.")
    where = "; ".join(
        f"from {_density(lower, table.measure)} ({lower.label}, {_amount(lower.landslides, table.measure)}) "
        f"to {_density(upper, table.measure)} ({upper.label}, {_amount(upper.landslides, table.measure)})"
        for lower, upper in falls
    )
    chance = " Where a class has few landslides this may be chance." if table.measure is LandslideMeasure.COUNT else ""
    return Finding(name, False, f"With {which}, landslide density falls {where}.{chance}")


def _concentrated(table: ClassTable, which: str) -> Finding:
    name = f"most landslides lie in the highest class ({which})"
    top = table.rows[-1]
    if not np.isfinite(top.landslide_share):
        return Finding(name, None, f"With {which}: no landslides on the map, so that this cannot be told.")
    beyond = table.unknown_landslides
    unknown = f" Where the map says nothing there are {_amount(beyond, table.measure)}." if beyond else ""
    area = f"{100.0 * top.area_share:.1f} % of the area"
    sentence = f"The highest class holds {100.0 * top.landslide_share:.1f} % of {which} on {area}.{unknown}"
    return Finding(name, top.landslide_share > 0.5, sentence)


def _top_is_small(table: ClassTable) -> Finding:
    name = "the highest class is small"
    top, even = table.rows[-1], 1.0 / len(table.rows)
    if not np.isfinite(top.area_share):
        return Finding(name, None, "The map is unknown everywhere, so that this cannot be told.")
    sentence = (
        f"The highest class takes {100.0 * top.area_share:.1f} % of the area; "
        f"an even share of {len(table.rows)} classes would be {100.0 * even:.1f} %."
    )
    return Finding(name, 0.0 < top.area_share < even, sentence)


def _smooth(smoothness: Smoothness) -> Finding:
    name = "the map is continuous"
    if not np.isfinite(smoothness.jumps) or smoothness.at_random <= 0.0:
        return Finding(name, None, "There are too few classes or cells to tell whether the map is continuous.")
    sentence = (
        f"{100.0 * smoothness.jumps:.1f} % of neighbouring cells lie two classes or more apart; if the same classes "
        f"were scattered at random it would be {100.0 * smoothness.at_random:.1f} %, and half of that is the limit."
    )
    return Finding(name, smoothness.jumps < 0.5 * smoothness.at_random, sentence)


def summarise(findings: Sequence[Finding]) -> str:
    """Say in one sentence how many of the findings speak against the map."""
    failed = [finding for finding in findings if finding.passed is False]
    untold = sum(finding.passed is None for finding in findings)
    told = f"{len(failed)} of {len(findings)} checks speak against the map"
    return f"{told}{f', {untold} could not be made' if untold else ''}. Passing them does not prove a map right."


def _density(row: ClassRow, measure: LandslideMeasure) -> str:
    return f"{row.density:.3g} per km2" if measure is LandslideMeasure.COUNT else f"{100.0 * row.density:.3g} %"


def _amount(landslides: float, measure: LandslideMeasure) -> str:
    if measure is LandslideMeasure.AREA_M2:
        return f"{landslides:.3g} m2 of landslides"
    count = f"{round(landslides, 1):g}"
    return f"{count} landslide{'' if count == '1' else 's'}"
