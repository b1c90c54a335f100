"""BEAM-DIMAP products of SNAP: the header ``X.dim`` and the rasters of its bands in ``X.data``.

Bands are known by name: their order is arbitrary, and virtual bands have no file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from affine import Affine

from insar.errors import InputError
from insar.grid import Grid
from insar.readers.crs import WGS84, name_crs
from insar.readers.envi import read_envi_header
from insar.readers.pairs import parse_date
from insar.readers.sources import Decoding, Layer
from insar.readers.xml_files import iterate_xml

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MISSING_NUMBER = 99999.0
"""What SNAP writes for a number it does not know."""

_SECTIONS = (
    "Coordinate_Reference_System",
    "Geoposition",
    "Raster_Dimensions",
    "Data_Access",
    "Image_Interpretation",
)
_DATE_AT_END = re.compile(r"(\d{2}[A-Za-z]{3}\d{4})\s*$")


@dataclass(frozen=True, slots=True)
class DimapBand:
    """A band as the header declares it; `image` is None for a virtual band."""

    name: str
    unit: str
    image: Path | None
    decoding: Decoding
    is_logarithmic: bool


@dataclass(frozen=True, slots=True)
class DimapProduct:
    """A product as its header describes it.

    Attributes
    ----------
    path
        The ``.dim`` file.
    rows, cols
        Size of its rasters.
    transform
        From corners of pixels to map coordinates; None for a product in radar geometry.
    bands
        Its bands by name.
    metadata
        Texts of the abstracted metadata by lower-case name.
    baselines_m
        Perpendicular baseline of (master, slave) for each two dates stated.
    state_vector
        Position and velocity (x, y, z) in the middle of those stated, or None.
    """

    path: Path
    rows: int
    cols: int
    transform: Affine | None
    crs_wkt: str | None
    is_geographic_wgs84: bool
    bands: Mapping[str, DimapBand]
    metadata: Mapping[str, str]
    baselines_m: Mapping[tuple[date, date], float]
    state_vector: tuple[tuple[float, float, float], tuple[float, float, float]] | None

    def number(self, name: str) -> float | None:
        """A number of the abstracted metadata; None where it is absent or stands for unknown.

        Raises
        ------
        InputError
            It is something else than a number.
        """
        text = self.text(name)
        if text is None:
            return None
        value = _float(self.path, name, text)
        return None if value == MISSING_NUMBER else value

    def text(self, name: str) -> str | None:
        """A text of the abstracted metadata; None where it is absent, empty or a dash."""
        text = self.metadata.get(name, "").strip()
        return text if text not in ("", "-") else None

    def moment(self, name: str) -> datetime | None:
        """A time of the abstracted metadata, UTC; None where it is absent or is no time."""
        match = re.fullmatch(r"(\d{2})-([A-Za-z]{3})-(\d{4}) (\d{2}):(\d{2}):(\d{2}(?:\.\d+)?)", self.text(name) or "")
        if match is None:
            return None
        try:
            day = parse_date(match[1] + match[2] + match[3])
        except ValueError:
            return None
        since_midnight = timedelta(hours=int(match[4]), minutes=int(match[5]), seconds=float(match[6]))
        return datetime.combine(day, time(), UTC) + since_midnight

    def grid(self) -> Grid:
        """Map grid of a terrain-corrected product.

        Raises
        ------
        InputError
            The product is in radar geometry, rotated, or its projection is not stated.
        """
        if self.transform is None:
            raise InputError(
                self.path,
                required="a terrain-corrected product (Geoposition/IMAGE_TO_MODEL_TRANSFORM)",
                found="a product in radar geometry, which has only tie points",
                remedy="Run Range-Doppler Terrain Correction in SNAP on all products of the stack",
            )
        if self.transform.b or self.transform.d or self.transform.a <= 0 or self.transform.e >= 0:
            raise InputError(
                self.path,
                required="a map grid with north at the top",
                found=f"IMAGE_TO_MODEL_TRANSFORM {self.transform[:6]}",
                remedy="Run Terrain Correction again, without rotation",
            )
        return Grid(self.rows, self.cols, self.transform, self._crs())

    def layer(self, name: str) -> Layer:
        """One band, its header read and the size of its file checked.

        Raises
        ------
        InputError
            The band cannot be read as its headers describe it.
        """
        band = self.bands[name]
        if band.image is None or band.is_logarithmic:
            raise InputError(
                self.path,
                required=f"band {name} as a raster of plain values",
                found="a virtual band, which has no file" if band.image is None else "a logarithmic band",
                remedy="Write the band to disk in SNAP (Convert Band)",
            )
        header = read_envi_header(band.image)
        if (header.rows, header.cols) != (self.rows, self.cols):
            raise InputError(
                header.path,
                required=f"the size that {self.path} states: {self.rows} rows x {self.cols} columns",
                found=f"{header.rows} rows x {header.cols} columns",
                remedy="Write the product again",
            )
        flat = header.band(band.image)
        flat.check_file()
        return Layer(flat, band.decoding)

    def _crs(self) -> str:
        if self.crs_wkt is not None:
            return name_crs(self.path, self.crs_wkt)
        if self.is_geographic_wgs84:
            return WGS84
        for band in self.bands.values():
            if band.image is not None:
                wkt = read_envi_header(band.image).crs_wkt
                if wkt is not None:
                    return name_crs(self.path, wkt)
        raise InputError(
            self.path,
            required="a coordinate reference system",
            found="none in the .dim file or in the .hdr of a band",
            remedy="Run Terrain Correction again with a standard map projection",
        )


def read_dimap(path: Path) -> DimapProduct:
    """Read the header of a product.

    Raises
    ------
    InputError
        The header does not parse, is cut short, or lacks what every product has.
    """
    sections, metadata = _read_sections(path)
    dimensions = sections.get("Raster_Dimensions")
    if dimensions is None or "Image_Interpretation" not in sections:
        raise InputError(
            path,
            required="the elements Raster_Dimensions and Image_Interpretation of a BEAM-DIMAP product",
            found="none",
            remedy="Write the product again in the BEAM-DIMAP format",
        )
    position = sections.get("Geoposition")
    transform = None if position is None else position.findtext("IMAGE_TO_MODEL_TRANSFORM")
    system = sections.get("Coordinate_Reference_System")
    horizontal = None if system is None else system.find("Horizontal_CS")
    return DimapProduct(
        path,
        rows=_count(path, dimensions, "NROWS"),
        cols=_count(path, dimensions, "NCOLS"),
        transform=None if transform is None else _transform(path, transform),
        crs_wkt=None if system is None else (system.findtext(".//WKT") or "").strip() or None,
        is_geographic_wgs84=horizontal is not None and _is_wgs84(horizontal),
        bands=_bands(path, sections),
        metadata={}
        if metadata is None
        else {str(item.get("name", "")).lower(): item.text or "" for item in metadata.findall("MDATTR")},
        baselines_m={} if metadata is None else _baselines(path, metadata),
        state_vector=None if metadata is None else _state_vector(path, metadata),
    )


def _read_sections(path: Path) -> tuple[dict[str, Element], Element | None]:
    # What follows the abstracted metadata are megabytes of the original products' own: not parsed.
    sections: dict[str, Element] = {}
    metadata = None
    for element in iterate_xml(path):
        if element.tag in _SECTIONS:
            sections[element.tag] = element
        elif element.tag == "MDElem" and element.get("name", "").replace(" ", "_") == "Abstracted_Metadata":
            metadata = metadata if metadata is not None else element
        if metadata is not None and len(sections) == len(_SECTIONS):
            _require_end(path)
            break
    return sections, metadata


def _require_end(path: Path) -> None:
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - 200))
        end = stream.read()
    if not end.rstrip().endswith(b"</Dimap_Document>"):
        raise InputError(
            path,
            required="a header that ends with </Dimap_Document>",
            found="a file that is cut short",
            remedy="Copy it again from where it was processed",
        )


def _is_wgs84(horizontal: Element) -> bool:
    kind = (horizontal.findtext("HORIZONTAL_CS_TYPE") or "").strip().upper()
    datum = (horizontal.findtext(".//HORIZONTAL_DATUM_NAME") or "").upper().replace(" ", "").replace("-", "")
    return kind == "GEOGRAPHIC" and datum.startswith("WGS84")


def _bands(path: Path, sections: Mapping[str, Element]) -> dict[str, DimapBand]:
    folder = path.with_suffix(".data")
    files = {}
    access = sections.get("Data_Access")
    for item in [] if access is None else access.findall("Data_File"):
        place, index = item.find("DATA_FILE_PATH"), item.findtext("BAND_INDEX")
        if place is not None and index is not None:
            # only the file's name counts: the folder is stale where the product was renamed
            files[index.strip()] = re.split(r"[/\\]", str(place.get("href", "")))[-1]
    bands = {}
    for item in sections["Image_Interpretation"].findall("Spectral_Band_Info"):
        name = (item.findtext("BAND_NAME") or "").strip()
        header = files.get((item.findtext("BAND_INDEX") or "").strip(), name + ".hdr")
        is_virtual = (item.findtext("VIRTUAL_BAND") or "").strip().lower() == "true"
        no_data_used = (item.findtext("NO_DATA_VALUE_USED") or "").strip().lower() == "true"
        no_data = _float(path, "NO_DATA_VALUE", item.findtext("NO_DATA_VALUE") or "0")
        bands[name] = DimapBand(
            name,
            (item.findtext("PHYSICAL_UNIT") or "").strip().lower(),
            None if is_virtual else (folder / header).with_suffix(".img"),
            Decoding(
                no_data=(no_data,) if no_data_used else (),
                factor=_float(path, "SCALING_FACTOR", item.findtext("SCALING_FACTOR") or "1"),
                offset=_float(path, "SCALING_OFFSET", item.findtext("SCALING_OFFSET") or "0"),
            ),
            is_logarithmic=(item.findtext("LOG10_SCALED") or "").strip().lower() == "true",
        )
    return bands


def _baselines(path: Path, metadata: Element) -> dict[tuple[date, date], float]:
    baselines = {}
    for master in metadata.findall("MDElem[@name='Baselines']/MDElem"):
        for slave in master.findall("MDElem"):
            text = slave.findtext("MDATTR[@name='Perp Baseline']")
            dates = _DATE_AT_END.search(master.get("name", "")), _DATE_AT_END.search(slave.get("name", ""))
            if text is not None and dates[0] is not None and dates[1] is not None:
                try:
                    key = parse_date(dates[0][1]), parse_date(dates[1][1])
                except ValueError as error:
                    raise InputError(
                        path,
                        required="dates such as 07Apr2024 in Baselines",
                        found=str(error),
                        remedy="Write the product again",
                    ) from error
                value = _float(path, "Perp Baseline", text)
                if value != MISSING_NUMBER:
                    baselines[key] = value
    return baselines


def _state_vector(
    path: Path, metadata: Element
) -> tuple[tuple[float, float, float], tuple[float, float, float]] | None:
    vectors = metadata.findall("MDElem[@name='Orbit_State_Vectors']/MDElem")
    if not vectors:
        return None
    texts = {item.get("name"): item.text or "" for item in vectors[len(vectors) // 2].findall("MDATTR")}
    names = ("x_pos", "y_pos", "z_pos", "x_vel", "y_vel", "z_vel")
    if not set(names) <= texts.keys():
        return None
    x, y, z, vx, vy, vz = (_float(path, name, texts[name]) for name in names)
    return (x, y, z), (vx, vy, vz)


def _transform(path: Path, text: str) -> Affine:
    try:
        a, d, b, e, c, f = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(
            path,
            required="six numbers in IMAGE_TO_MODEL_TRANSFORM",
            found=text.strip(),
            remedy="Run Terrain Correction again",
        ) from error
    return Affine(a, b, c, d, e, f)


def _count(path: Path, element: Element, name: str) -> int:
    text = (element.findtext(name) or "").strip()
    if not text.isdigit() or int(text) < 1:
        raise InputError(
            path, required=f"a positive integer as {name}", found=text or "none", remedy="Write the product again"
        )
    return int(text)


def _float(path: Path, name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise InputError(path, required=f"a number as {name}", found=text, remedy="Write the product again") from error
