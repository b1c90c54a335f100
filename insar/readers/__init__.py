"""Readers: the products of each processor as one `insar.stack.Stack`.

A processor is one module of this package with a ``READER`` (see `insar.readers.base.Reader`) and one entry in
`PROCESSORS`.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from insar.errors import InputError, MissingInputError, OptionError

if TYPE_CHECKING:
    from insar.readers.base import Reader
    from insar.stack import Stack

PROCESSORS = ("isce", "snap", "hyp3", "licsar", "mintpy", "gamma", "roipac", "scarp", "rasters")
"""Processors whose products can be opened; each names the module that reads them."""

_LAST_RESORT = "rasters"
"""Would recognise the GeoTIFFs of others, too: asked only where nobody else recognises anything."""

__all__ = ["PROCESSORS", "open_stack"]


def open_stack(path: str | os.PathLike[str], processor: str = "auto") -> Stack:
    """Open a stack of interferograms without reading its pixels.

    Parameters
    ----------
    path
        Folder of the stack; for ISCE2 also its ``merged`` folder; for MintPy ``ifgramStack.h5`` or a folder with it.
    processor
        One of `PROCESSORS`, or ``auto`` to recognise it from the names of the files.

    Returns
    -------
    Stack
        Pairs sorted by date, phase in radians positive away from the satellite, NaN where there is no data.

    Raises
    ------
    OptionError
        `processor` is not known.
    MissingInputError
        `path`, or a file that the stack cannot do without, is absent.
    InputError
        Nothing is recognised in `path`, or what is there cannot be used.
    """
    if processor != "auto" and processor not in PROCESSORS:
        raise OptionError(
            "--processor",
            required="auto, " + ", ".join(PROCESSORS),
            found=processor,
            remedy="Choose one of these, or leave it out to have it recognised",
        )
    place = Path(path)
    if not place.exists():
        raise MissingInputError(
            place,
            required="a folder of interferograms or a stack file",
            found="no such file or folder",
            remedy="Check the path",
        )
    chosen = _recognise(place) if processor == "auto" else processor
    return _reader(chosen).open(place)


def _reader(processor: str) -> Reader:
    reader: Reader = import_module(f"insar.readers.{processor}").READER
    return reader


def _recognise(path: Path) -> str:
    # Importing a reader takes time, and MintPy alone keeps a stack in one file.
    likely = ("mintpy",) if path.is_file() else tuple(name for name in PROCESSORS if name != _LAST_RESORT)
    matches = [name for name in likely if _reader(name).recognises(path)]
    if not matches and _reader(_LAST_RESORT).recognises(path):
        return _LAST_RESORT
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise InputError(
            path,
            required="the products of one processor",
            found="those of " + " and ".join(matches),
            remedy="Say which with --processor",
        )
    raise InputError(
        path,
        required="a stack of interferograms: " + "; ".join(f"{name} ({_reader(name).expects})" for name in PROCESSORS),
        found=_described(path),
        remedy=_remedy(path),
    )


def _remedy(path: Path) -> str:
    from insar.readers.slc import looks_like_slcs

    if looks_like_slcs([path]):
        return "These are complex images: insar coherence makes a stack of coherence of them"
    return "Give the top folder of the stack"


def _described(path: Path) -> str:
    if path.is_file():
        return f"the file {path.name}"
    names = sorted(entry.name for entry in path.iterdir())
    if not names:
        return "an empty folder"
    shown = ", ".join(names[:5])
    return f"none of these in a folder with {shown}" + (f" and {len(names) - 5} more" if len(names) > 5 else "")
