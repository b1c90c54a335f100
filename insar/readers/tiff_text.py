"""The XML header that SNAP writes into TIFF tag 65000, which GDAL does not show."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from insar.errors import InputError

SNAP_TAG = 65000
_MOST_ENTRIES = 4096
_MOST_BYTES = 256 * 2**20


class SnapBand(NamedTuple):
    """Name and unit of a band."""

    name: str
    unit: str


@dataclass(frozen=True, slots=True)
class SnapHeader:
    """What SNAP wrote of a product it exported: its bands in the order of the file, and the abstracted metadata."""

    bands: tuple[SnapBand, ...]
    metadata: Mapping[str, str]


def read_snap_header(path: Path) -> SnapHeader | None:
    """Header of a GeoTIFF that SNAP exported; None where there is none.

    Raises
    ------
    InputError
        There is one, but it is not XML.
    """
    text = read_tiff_text(path, SNAP_TAG)
    if text is None:
        return None
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException, ElementTree

    try:
        root = ElementTree.fromstring(text)
    except (ParseError, DefusedXmlException) as error:
        raise InputError(
            path,
            required=f"XML of SNAP in its TIFF tag {SNAP_TAG}",
            found=str(error),
            remedy="Export the product again",
        ) from error
    bands = tuple(
        SnapBand(
            (item.findtext("BAND_NAME") or "").strip(),
            (item.findtext("PHYSICAL_UNIT") or "").strip().lower(),
        )
        for item in root.iter("Spectral_Band_Info")
        # virtual bands are listed, but not in the file
        if (item.findtext("VIRTUAL_BAND") or "").strip().lower() != "true"
    )
    metadata: dict[str, str] = {}
    for element in root.iter("MDElem"):
        if element.get("name", "").replace(" ", "_") == "Abstracted_Metadata":
            metadata = {str(item.get("name", "")).lower(): (item.text or "") for item in element.findall("MDATTR")}
            break
    return SnapHeader(bands, metadata)


def read_tiff_text(path: Path, tag: int) -> bytes | None:
    """Bytes of an ASCII tag of the first image of a TIFF or BigTIFF; None where it has no such tag."""
    with path.open("rb") as stream:
        start = stream.read(16)
        order = {b"II": "<", b"MM": ">"}.get(start[:2])
        if order is None or len(start) < 16:
            return None
        (version,) = struct.unpack_from(f"{order}H", start, 2)
        is_big = version == 43
        if version not in (42, 43):
            return None
        (first,) = struct.unpack_from(f"{order}Q", start, 8) if is_big else struct.unpack_from(f"{order}I", start, 4)
        try:
            return _find_text(stream, order, is_big, first, tag)
        except struct.error:  # cut short: the reader of its pixels says so
            return None


def _find_text(stream: BinaryIO, order: str, is_big: bool, directory: int, tag: int) -> bytes | None:
    stream.seek(directory)
    (entries,) = struct.unpack(f"{order}{'Q' if is_big else 'H'}", stream.read(8 if is_big else 2))
    size = 20 if is_big else 12
    block = stream.read(size * min(entries, _MOST_ENTRIES))
    for place in range(0, len(block) - size + 1, size):
        number, kind = struct.unpack_from(f"{order}HH", block, place)
        if number != tag or kind != 2:
            continue
        count, offset = struct.unpack_from(f"{order}{'QQ' if is_big else 'II'}", block, place + 4)
        if count > _MOST_BYTES or count <= (8 if is_big else 4):
            return None
        stream.seek(offset)
        return stream.read(count).rstrip(b"\x00").strip()
    return None
