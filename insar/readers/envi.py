"""ENVI headers (``.hdr``) beside flat rasters: type, byte order and size.

Their ``map info`` is not used: SNAP anchors it at the centre of the scene, and the product's own header says it better.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from insar.errors import InputError
from insar.readers.flat import FlatBand, Interleave

_TYPES = {"1": "u1", "2": "i2", "3": "i4", "4": "f4", "5": "f8", "12": "u2", "13": "u4"}
_ENTRY = re.compile(r"^\s*([A-Za-z][\w ]*?)\s*=\s*(\{[^}]*\}|[^\n]*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class EnviHeader:
    """What an ENVI header says of its raster."""

    path: Path
    rows: int
    cols: int
    bands: int
    dtype: str
    interleave: Interleave
    header_bytes: int
    crs_wkt: str | None

    def band(self, image: Path, index: int = 0) -> FlatBand:
        """One band of the raster, counted from 0."""
        return FlatBand(image, self.dtype, self.rows, self.cols, self.bands, index, self.interleave, self.header_bytes)


def read_envi_header(image: Path) -> EnviHeader:
    """Read the header of a raster, which has the same name with ``.hdr``.

    Raises
    ------
    InputError
        The header is absent or lacks what is needed.
    """
    path = image.with_suffix(".hdr")
    try:
        text = path.read_text(encoding="latin-1")
    except FileNotFoundError as error:
        raise InputError(
            path, required="the ENVI header of a raster", found="no such file", remedy="Copy it beside its .img"
        ) from error
    entries = {match[1].lower(): match[2].strip().strip("{}").strip() for match in _ENTRY.finditer(text)}
    try:
        return EnviHeader(
            path,
            rows=int(entries["lines"]),
            cols=int(entries["samples"]),
            bands=int(entries.get("bands", "1")),
            dtype=(">" if int(entries["byte order"]) == 1 else "<") + _TYPES[entries["data type"]],
            interleave=Interleave(entries.get("interleave", "bsq").upper()),
            header_bytes=int(entries.get("header offset", "0")),
            crs_wkt=entries.get("coordinate system string") or None,
        )
    except (KeyError, ValueError) as error:
        raise InputError(
            path,
            required="lines, samples, byte order, a data type of real numbers and an interleave",
            found=f"{type(error).__name__} {error}",
            remedy="Write the product again",
        ) from error
