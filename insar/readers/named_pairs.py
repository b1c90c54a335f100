"""Stacks whose files say by their own names, or by their folder's, which two dates they are of: GAMMA and ROI_PAC."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from insar.errors import InputError
from insar.grid import Grid
from insar.readers.files import OpenFiles
from insar.readers.flat import FlatBand
from insar.readers.pairs import StoredPair, keep_first, order_dates
from insar.readers.sources import ZERO_IS_NO_DATA, FlatCube, Layer, cube_of
from insar.stack import Cube, Pair

RECOGNITION_DEPTH = 2
"""Folders below the one given in which a processor's files are looked for to recognise it."""

_DATES = re.compile(r"(?<!\d)(?:(\d{8})[_-](\d{8})|(\d{6})[_-](\d{6}))(?!\d)")
_FIRST_YEAR_OF_CENTURY = 70  # the first civil radar satellite flew in 1978


@dataclass(frozen=True, slots=True)
class PairRasters:
    """Rasters of one interferogram; None where there is none."""

    phase: Path | None
    coherence: Path | None


def walk_files(folder: Path, depth: int | None = None) -> Iterator[Path]:
    """Files in a folder and in those below it, at most `depth` deep, following links but no circle of them."""
    visited = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        here = Path(place)
        status = here.stat()
        if (status.st_dev, status.st_ino) in visited:
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        yield from (here / name for name in sorted(names))
        level = len(here.relative_to(folder).parts)
        folders[:] = [] if depth is not None and level >= depth else sorted(folders)


def find_two_dates(text: str) -> tuple[str, str] | None:
    """The last two dates of a text, joined by ``-`` or ``_``, as YYYYMMDD; None where there are none.

    Years of two digits are of this century up to 69 and of the last one from 70 on.
    """
    found = _DATES.findall(text)
    if not found:
        return None
    first, second, short_first, short_second = found[-1]
    return (first, second) if first else (with_century(short_first), with_century(short_second))


def with_century(short: str) -> str:
    """YYYYMMDD of a date written YYMMDD."""
    return ("19" if int(short[:2]) >= _FIRST_YEAR_OF_CENTURY else "20") + short


def dates_of_path(top: Path, path: Path) -> tuple[str, str] | None:
    """Two dates in a file's name, else in that of the nearest folder up to `top`; None where none has them."""
    names = [path.name, *reversed(path.relative_to(top).parent.parts)]
    return next((dates for name in names if (dates := find_two_dates(name)) is not None), None)


def stored_pair(top: Path, path: Path, dates: tuple[str, str]) -> StoredPair[Path]:
    """The raster at `path` as an interferogram of two dates written YYYYMMDD; raises `InputError` as `order_dates`."""
    pair, is_reversed = order_dates(path, *dates)
    return StoredPair(str(path.relative_to(top)), pair, is_reversed, path)


def join_coherence(
    phases: Sequence[StoredPair[Path]], coherences: Sequence[StoredPair[Path]]
) -> tuple[list[StoredPair[PairRasters]], list[str]]:
    """Interferograms sorted by pair, each with the coherence of the same dates, and notes of what is left out.

    Of several coherences the one in the phase's own folder is taken, then the one whose name is most like the phase's.
    Without any phase the coherences make the stack.
    """
    chosen, notes = keep_first(phases or coherences)
    if not phases:
        return [_with(each, PairRasters(None, each.content)) for each in chosen], notes
    by_pair: dict[Pair, list[StoredPair[Path]]] = {}
    for each in coherences:
        by_pair.setdefault(each.pair, []).append(each)
    joined, without = [], []
    for phase in chosen:
        ranked = sorted(by_pair.pop(phase.pair, []), key=lambda each: _unlikeness(phase.content, each.content))
        notes += [f"{each.name} is left out: {ranked[0].name} is of the same dates" for each in ranked[1:]]
        without += [] if ranked else [phase.name]
        joined.append(_with(phase, PairRasters(phase.content, ranked[0].content if ranked else None)))
    notes += [f"{by_pair[pair][0].name} is left out: no unwrapped phase of the same dates" for pair in sorted(by_pair)]
    if without and len(without) < len(joined):
        notes.append(f"no coherence for {', '.join(without)}: unknown (NaN) there")
    return joined, notes


def require_pairs(top: Path, found: Sequence[object], expects: str, remedy: str) -> None:
    """Refuse a folder in which no interferogram was found.

    Raises
    ------
    InputError
        `found` is empty; names `top`.
    """
    if not found:
        raise InputError(top, required=expects, found="no such file in it or below it", remedy=remedy)


def _with(stored: StoredPair[Path], rasters: PairRasters) -> StoredPair[PairRasters]:
    return StoredPair(stored.name, stored.pair, stored.is_reversed, rasters)


def _unlikeness(phase: Path, coherence: Path) -> tuple[bool, int, str]:
    pairs_of_letters = zip(phase.name, coherence.name, strict=False)
    shared = sum(1 for _ in itertools.takewhile(lambda letters: letters[0] == letters[1], pairs_of_letters))
    return phase.parent != coherence.parent, -shared, coherence.name


def cube_of_rasters(
    stored: Sequence[StoredPair[PairRasters]],
    file_of: Callable[[PairRasters], Path | None],
    band_of: Callable[[Path, Grid], FlatBand],
    grid: Grid,
    files: OpenFiles,
    *,
    signed: bool = False,
) -> Cube | None:
    """One quantity of all pairs, NaN for a pair without its file; None where no pair has one.

    A `signed` quantity is turned for pairs stored later-earlier.
    """
    rasters = [file_of(each.content) for each in stored]
    if not any(rasters):
        return None
    layers = tuple(
        None
        if raster is None
        else Layer(band_of(raster, grid), ZERO_IS_NO_DATA.negated() if signed and each.is_reversed else ZERO_IS_NO_DATA)
        for each, raster in zip(stored, rasters, strict=True)
    )
    return cube_of(FlatCube(layers, files), len(stored), grid)
