"""Complex images of one date each: what all readers of them share."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from insar.errors import InputError, OptionError
from insar.grid import Grid
from insar.readers.files import OpenFiles
from insar.readers.flat import FlatBand
from insar.readers.grids import require_same_grid
from insar.readers.named_pairs import with_century
from insar.readers.pairs import parse_date

CO_POLARISED = ("VV", "HH")
_POLARISATION = re.compile(r"(?<![A-Za-z0-9])(VV|VH|HH|HV)(?![A-Za-z0-9])", re.IGNORECASE)
_DAYS = re.compile(r"(?<!\d)(\d{8})(?=T\d{6}|(?!\d))|(?<![0-9A-Za-z])(\d{2}[A-Za-z]{3}\d{4})(?![0-9A-Za-z])")
_SHORT_DAY = re.compile(r"(?<![0-9A-Za-z])(\d{6})(?![0-9A-Za-z])")


class ComplexImage(Protocol):
    """Pixels of one image: safe to read from several threads at once, and picklable."""

    @property
    def rows_per_chunk(self) -> int:
        """Rows that the storage keeps together."""
        ...

    def read(self, rows: slice, cols: slice, out: NDArray[np.complex64]) -> None:
        """Read a window into `out` (row, col); 0 or not finite where there is no data."""
        ...


@dataclass(frozen=True, slots=True)
class DatedImage:
    """An image as found.

    Attributes
    ----------
    path
        File it is in.
    day
        When it was taken.
    grid
        Where its pixels lie.
    image
        Reads them.
    polarisation, subswath
        None where it is not stated, and for a subswath where they are merged.
    """

    path: Path
    day: date
    grid: Grid
    image: ComplexImage
    polarisation: str | None = None
    subswath: str | None = None


@dataclass(frozen=True, slots=True)
class FlatImage:
    """A flat raster of complex numbers."""

    band: FlatBand
    files: OpenFiles = field(repr=False)

    @property
    def rows_per_chunk(self) -> int:
        """Any row can be read alone."""
        return 1

    def read(self, rows: slice, cols: slice, out: NDArray[np.complex64]) -> None:
        """Read a window into `out` (row, col)."""
        read_in_pieces(self.band, self.files, rows, cols, out)


def read_in_pieces(band: FlatBand, files: OpenFiles, rows: slice, cols: slice, out: NDArray[np.generic]) -> None:
    """Read a window of a flat band into `out` (row, col), converted to its type, with a bounded buffer."""
    step = band.rows_per_piece
    with files.borrow(band.path) as file:
        for start in range(rows.start, rows.stop, step):
            piece = slice(start, min(start + step, rows.stop))
            band.read_window(file, piece, cols, out[piece.start - rows.start : piece.stop - rows.start])


@dataclass(frozen=True, slots=True)
class ImageSource:
    """A `insar.slc.SlcSource` of one image for each date."""

    images: tuple[ComplexImage, ...] = field(repr=False)
    rows_per_chunk: int = 1
    """Rows that are decompressed together."""

    @classmethod
    def of(cls, found: Sequence[DatedImage]) -> ImageSource:
        """Source of images in their order."""
        return cls(tuple(each.image for each in found), max(each.image.rows_per_chunk for each in found))

    def read_block(self, images: NDArray[np.intp], rows: slice, cols: slice) -> NDArray[np.complex64]:
        """One window of the named images, (image, row, col)."""
        block = np.empty((len(images), rows.stop - rows.start, cols.stop - cols.start), np.complex64)
        if block.size:
            for plane, image in zip(block, images, strict=True):
                self.images[image].read(rows, cols, plane)
        return block


def find_day(name: str) -> date | None:
    """The date in a name, as YYYYMMDD, 06Jan2018 or, alone, YYMMDD; None for none, or for several different ones.

    The start and the end of an acquisition across midnight count as one.
    """
    days = set()
    for match in _DAYS.finditer(name):
        try:
            days.add(parse_date(match[1] or match[2]))
        except ValueError:
            continue
    if not days:
        short = _SHORT_DAY.search(name)
        try:
            return parse_date(with_century(short[1])) if short else None
        except ValueError:
            return None
    first = min(days)
    over_midnight = days == {first, first + timedelta(days=1)} and f"{first:%Y%m%d}T23" in name
    return first if len(days) == 1 or over_midnight else None


def day_of_path(path: Path) -> date | None:
    """The date in a file's name, else the one in that of its folder."""
    return find_day(path.name) or find_day(path.parent.name)


def polarisation_of(text: str) -> str | None:
    """The polarisation that a name states, None where it states none or several."""
    found = {match.upper() for match in _POLARISATION.findall(text.replace("_", " "))}
    return found.pop() if len(found) == 1 else None


def choose_images(
    subject: Path, found: Sequence[DatedImage], polarisation: str | None, subswath: str | None, notes: list[str]
) -> list[DatedImage]:
    """One image for each date, all of one subswath and one polarisation, sorted by date.

    Where a product has several polarisations and none is asked for, the co-polarised one is taken and a note says so:
    its coherence is the higher. Where both VV and HH are there, and of several subswaths, one has to be named.

    Raises
    ------
    OptionError
        The polarisation or the subswath has to be named, or is not there.
    InputError
        There are two images of one date, or the grids differ.
    """
    chosen = _of_polarisation(_of_subswath(found, subswath), polarisation, notes)
    chosen.sort(key=lambda each: (each.day, str(each.path)))
    for first, second in itertools.pairwise(chosen):
        if first.day == second.day:
            raise InputError(
                second.path,
                required="one image for each date",
                found=f"one of {first.day:%Y%m%d}, as is {first.path}",
                remedy="Remove one of the two, or give the files to be used by name",
            )
    for each in chosen[1:]:
        require_same_grid(
            chosen[0].path,
            chosen[0].grid,
            each.path,
            each.grid,
            remedy="Coregister all images to one reference (same size, same place), or leave this one out",
        )
    if len(chosen) < 2:
        raise InputError(
            subject,
            required="coregistered images of at least two dates",
            found=", ".join(f"{each.path}, of {each.day:%Y%m%d}" for each in chosen) or "none",
            remedy="Give the folder of the coregistered images, or several files of different dates",
        )
    return chosen


def _of_subswath(found: Sequence[DatedImage], wanted: str | None) -> list[DatedImage]:
    present = sorted({each.subswath for each in found if each.subswath is not None})
    if wanted is None:
        if len(present) > 1:
            raise OptionError(
                "--subswath",
                required=f"one of {', '.join(present)}, which the images are of",
                found="none",
                remedy="Choose one, or merge the subswaths (TOPSAR Merge)",
            )
        return list(found)
    chosen = [each for each in found if each.subswath == wanted.upper()]
    if not chosen:
        raise OptionError(
            "--subswath",
            required=f"one of {', '.join(present)}" if present else "none: the images do not state theirs",
            found=wanted,
            remedy="Choose one of them" if present else "Leave it out",
        )
    return chosen


def _of_polarisation(found: Sequence[DatedImage], wanted: str | None, notes: list[str]) -> list[DatedImage]:
    present = sorted({each.polarisation for each in found if each.polarisation is not None})
    if not present:
        if wanted is not None:
            notes.append(f"polarisation {wanted.upper()} taken for granted: the images do not state theirs")
        return list(found)
    name = wanted.upper() if wanted else _co_polarised(present, notes)
    if name not in present:
        raise OptionError(
            "--polarisation", required=f"one of {', '.join(present)}", found=name, remedy="Choose one of them"
        )
    chosen = [each for each in found if each.polarisation == name]
    absent = sorted({each.day for each in found} - {each.day for each in chosen})
    if absent:
        notes.append(f"left out, without {name}: {', '.join(f'{day:%Y%m%d}' for day in absent)}")
    return chosen


def _co_polarised(present: Sequence[str], notes: list[str]) -> str:
    if len(present) == 1:
        return present[0]
    likely = [name for name in CO_POLARISED if name in present]
    if len(likely) != 1:
        raise OptionError(
            "--polarisation",
            required=f"one of {', '.join(present)}, which the images are of",
            found="none",
            remedy="Choose one",
        )
    others = ", ".join(name for name in present if name != likely[0])
    notes.append(f"polarisation {likely[0]} is taken, and {others} left out: --polarisation chooses another")
    return likely[0]
