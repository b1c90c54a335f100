"""Headers in ISCE2's XML: properties and components, nested."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

STALE_FOLDER = "/scratch/processing/run_42"
"""Headers carry the paths of the machine that made them, which are of no use elsewhere."""

VERSION = "Release: 2.6.3, svn-2497, 20230501. Current: svn-exported."


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a raster as its header states it."""

    size: int
    delta: float = 1.0
    start: float = 0.0


def property_xml(name: str, value: object) -> str:
    """Element of one property."""
    return f'<property name="{escape(name)}"><value>{escape(str(value))}</value></property>'


def component_xml(name: str, children: Iterable[str]) -> str:
    """Element of a component that holds properties and components."""
    return f'<component name="{escape(name)}">\n{_indented(children)}\n</component>'


def document_xml(root: str, children: Iterable[str]) -> str:
    """Whole document."""
    return f"<{root}>\n{_indented(children)}\n</{root}>\n"


def write_image_header(
    raster: Path, data_type: str, bands: int, lines: Axis, samples: Axis, *, path: Path | None = None
) -> None:
    """Write the header of a raster.

    Parameters
    ----------
    raster
        File that it describes.
    data_type
        As ISCE writes it: ``FLOAT``, ``DOUBLE``, ``BYTE``.
    bands
        Interleaved by line.
    lines, samples
        Azimuth and range axis.
    path
        Where to write it, beside the raster by default.
    """
    axes = [
        component_xml(
            f"coordinate{number}",
            [
                property_xml("delta", axis.delta),
                property_xml("endingvalue", axis.start + axis.delta * axis.size),
                property_xml("family", "imagecoordinate"),
                property_xml("name", "imagecoordinate_name"),
                property_xml("size", axis.size),
                property_xml("startingvalue", axis.start),
            ],
        )
        for number, axis in ((1, samples), (2, lines))
    ]
    stale = f"{STALE_FOLDER}/{raster.name}"
    document = document_xml(
        "imageFile",
        [
            property_xml("ISCE_VERSION", VERSION),
            property_xml("access_mode", "READ"),
            property_xml("byte_order", "l"),
            *axes,
            property_xml("data_type", data_type),
            property_xml("extra_file_name", f"{stale}.vrt"),
            property_xml("family", "image"),
            property_xml("file_name", stale),
            property_xml("length", lines.size),
            property_xml("name", "image_name"),
            property_xml("number_bands", bands),
            property_xml("scheme", "BIL"),
            property_xml("width", samples.size),
            property_xml("xmax", samples.size),
            property_xml("xmin", 0),
        ],
    )
    (path or raster.with_name(f"{raster.name}.xml")).write_text(document, "utf-8")


def _indented(children: Iterable[str]) -> str:
    return "\n".join(f"    {line}" for child in children for line in child.splitlines())
