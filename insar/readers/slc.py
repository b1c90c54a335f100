"""Readers of coregistered complex images: those of ISCE2 and SNAP, and any complex raster, as one `SlcStack`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np

from insar.errors import InputError, MissingInputError, OptionError
from insar.readers import isce, slc_isce, slc_raster, slc_snap
from insar.slc import SlcStack

PROCESSORS = ("isce", "snap", "gdal")
"""Whose images can be opened; ``gdal`` for any complex raster of a date."""

_EXPECTS = (
    "isce (merged/SLC with folders YYYYMMDD that hold *.slc.full or *.slc with .xml, or their .vrt); snap (*.dim with "
    "bands i_* and q_*); gdal (complex rasters with a date in their names)"
)
_LATTICE_ROWS = 64


def open_slcs(
    paths: Sequence[str | os.PathLike[str]],
    *,
    processor: str = "auto",
    polarisation: str | None = None,
    subswath: str | None = None,
) -> SlcStack:
    """Open coregistered complex images without reading their pixels.

    Parameters
    ----------
    paths
        Folders or files: for ISCE2 the stack, ``merged``, ``merged/SLC``, folders of dates or images; for SNAP folders
        or ``.dim`` files; else rasters, folders of them, or variables such as ``HDF5:"file.h5"://data/VV``.
    processor
        One of `PROCESSORS`, or ``auto`` to recognise it from names.
    polarisation
        ``VV``, ``VH``, ``HH`` or ``HV``; by default the only one there is, or the co-polarised one of two.
    subswath
        Such as ``IW1``, where the images are of several.

    Raises
    ------
    OptionError
        `processor` is not known, or a polarisation or subswath has to be chosen or is not there.
    MissingInputError
        A path, or a file that an image refers to, is absent.
    InputError
        Nothing is recognised, or the images do not make a stack: of different sizes or places, not complex, without a
        date, two of one date, only one, or cut short.
    """
    if processor != "auto" and processor not in PROCESSORS:
        raise OptionError(
            "--processor",
            required="auto, " + ", ".join(PROCESSORS),
            found=processor,
            remedy="Choose one of these, or leave it out to have it recognised",
        )
    places = _existing(paths)
    chosen = _recognise(places) if processor == "auto" else processor
    if chosen == "isce":
        images = list(dict.fromkeys(image for place in places for image in slc_isce.find_images(place)))
        if images:
            return slc_isce.open_images(places[0], images, polarisation, subswath)
    elif chosen == "snap":
        return slc_snap.open_images(places, polarisation, subswath)
    elif chosen == "gdal":
        return slc_raster.open_images(places, polarisation, subswath)
    raise InputError(
        places[0],
        required=f"coregistered complex images: {_EXPECTS}",
        found="none of these",
        remedy="Give the folder of the images, or the images themselves",
    )


def looks_like_slcs(paths: Sequence[str | os.PathLike[str]]) -> bool:
    """Whether paths are of complex images and not of interferograms, judged by names and a few headers.

    A folder that holds both, such as ``merged`` of ISCE2, is a stack of interferograms; its ``SLC`` folder is not.
    """
    places = [_or_virtual(Path(path)) for path in paths]
    present = [place for place in places if place.exists() or slc_raster.is_variable(place)]
    if not present or any(isce.READER.recognises(place) for place in present):
        return False
    return _recognise(present) is not None


def empty_images(slc: SlcStack) -> tuple[date, ...]:
    """Dates whose images hold no data on a lattice of rows, which are read whole: at most 64 of each image."""
    rows = np.unique(np.linspace(0, slc.shape[0] - 1, min(_LATTICE_ROWS, slc.shape[0])).round().astype(np.intp))
    # from the middle outwards: edges are often empty, and the first row with data ends the search
    ordered = sorted(rows.tolist(), key=lambda row: abs(row - slc.shape[0] // 2))
    return tuple(day for index, day in enumerate(slc.dates) if not any(_has_data(slc, index, row) for row in ordered))


def _has_data(slc: SlcStack, index: int, row: int) -> bool:
    line = slc.read(np.array([index], dtype=np.intp), slice(row, row + 1), slice(0, slc.shape[1]))
    return bool(np.any((line != 0) & np.isfinite(line)))


def _existing(paths: Sequence[str | os.PathLike[str]]) -> list[Path]:
    places = [_or_virtual(Path(path)) for path in dict.fromkeys(paths)]
    if not places:
        raise OptionError(
            "SLC", required="coregistered complex images", found="no path", remedy="Give a folder or several files"
        )
    for place in places:
        if not place.exists() and not slc_raster.is_variable(place):
            raise MissingInputError(
                place,
                required="a coregistered complex image or a folder of them",
                found="no such file or folder",
                remedy="Check the path",
            )
    return places


def _or_virtual(path: Path) -> Path:
    """The ``.vrt`` of an image that is virtual: ISCE2's user knows it under the name of the raster."""
    if path.exists() or slc_raster.is_variable(path):
        return path
    virtual = path.with_name(f"{path.name}.vrt")
    return virtual if virtual.is_file() else path


def _recognise(places: Sequence[Path]) -> str | None:
    if any(slc_isce.find_images(place) for place in places if not slc_raster.is_variable(place)):
        return "isce"
    if slc_snap.holds_images(places):
        return "snap"
    return "gdal" if slc_raster.holds_images(places) else None
