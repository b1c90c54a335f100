"""The XML sidecar of an ISCE2 raster: size, type, order of the bands, and place if geocoded.

Only the sidecar is believed. The ``.vrt`` beside it may be stale or broken, and ``file_name`` inside it is the path on
the machine that made it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from affine import Affine

from insar.errors import InputError
from insar.grid import Grid
from insar.readers.flat import FlatBand, Interleave
from insar.readers.xml_files import parse_xml

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

REAL_TYPES: Mapping[str, str] = {"BYTE": "u1", "SHORT": "i2", "INT": "i4", "FLOAT": "f4", "DOUBLE": "f8"}
COMPLEX_TYPES: Mapping[str, str] = {"CFLOAT": "c8", "CDOUBLE": "c16"}
"""Types of pixels by ISCE2's names, as in NumPy."""


@dataclass(frozen=True, slots=True)
class IsceImage:
    """An ISCE2 raster as its sidecar describes it."""

    path: Path
    dtype: str
    rows: int
    cols: int
    bands: int
    interleave: Interleave
    grid: Grid
    looks: tuple[int, int] | None
    """Looks in range and in azimuth, where the sidecar counts pixels of full resolution."""

    def band(self, index: int) -> FlatBand:
        """One band, counted from 0; negative from the end."""
        return FlatBand(
            self.path, self.dtype, self.rows, self.cols, self.bands, range(self.bands)[index], self.interleave
        )


def read_isce_image(path: Path, *, bands: tuple[int, ...], types: Mapping[str, str] = REAL_TYPES) -> IsceImage:
    """Describe a raster from its sidecar, and check its size.

    Parameters
    ----------
    path
        The raster; its sidecar is the same name with ``.xml`` appended.
    bands
        Numbers of bands that such a raster may have.
    types
        Types that its pixels may have, by ISCE2's names.

    Raises
    ------
    InputError
        The sidecar is absent or cannot be used, or the raster has another size or number of bands.
    """
    image = read_isce_header(path, bands=bands, types=types)
    image.band(0).check_file()
    return image


def read_isce_header(path: Path, *, bands: tuple[int, ...], types: Mapping[str, str] = REAL_TYPES) -> IsceImage:
    """As `read_isce_image`, of a raster that need not be there: its pixels may be in others that a ``.vrt`` joins."""
    sidecar = sidecar_of(path)
    root = parse_xml(sidecar)
    texts = properties(root)
    dtype_name = _text(texts, "data_type", sidecar).upper()
    scheme = texts.get("scheme", "BIL").upper()
    image_bands = _count(texts, "number_bands", sidecar)
    if dtype_name not in types or scheme not in tuple(Interleave) or image_bands not in bands:
        raise InputError(
            sidecar,
            required=f"data_type {', '.join(types)}; scheme BIL, BIP or BSQ; number_bands {_either(bands)}",
            found=f"data_type {dtype_name}, scheme {scheme}, number_bands {image_bands}",
            remedy="Check that this is the raster it is named after",
        )
    order = ">" if texts.get("byte_order", "l").lower().startswith("b") else "<"
    rows, cols = _count(texts, "length", sidecar), _count(texts, "width", sidecar)
    lon, lat = _coordinate(root, "coordinate1", sidecar), _coordinate(root, "coordinate2", sidecar)
    return IsceImage(
        path,
        order + types[dtype_name],
        rows,
        cols,
        image_bands,
        Interleave(scheme),
        _grid(rows, cols, lon, lat, sidecar),
        _looks(lon, lat),
    )


def sidecar_of(path: Path) -> Path:
    """Where the sidecar of a raster is."""
    return path.with_name(path.name + ".xml")


def properties(element: Element) -> dict[str, str]:
    """Texts of the properties directly below an element of ISCE2's XML, by lower-case name."""
    return {
        str(item.get("name", "")).lower(): (item.findtext("value") or "").strip()
        for item in element
        if item.tag == "property"
    }


def component(element: Element, name: str) -> Element | None:
    """Component of that name directly below an element, in any letter case."""
    return next(
        (item for item in element if item.tag == "component" and str(item.get("name", "")).lower() == name), None
    )


@dataclass(frozen=True, slots=True)
class _Coordinate:
    start: float
    delta: float


def _coordinate(root: Element, name: str, sidecar: Path) -> _Coordinate | None:
    element = component(root, name)
    if element is None:
        return None
    texts = properties(element)
    try:
        return _Coordinate(float(texts["startingvalue"]), float(texts["delta"]))
    except KeyError:
        return None
    except ValueError as error:
        raise InputError(
            sidecar,
            required=f"numbers in startingvalue and delta of {name}",
            found=f"{texts.get('startingvalue')} and {texts.get('delta')}",
            remedy="Process this raster again",
        ) from error


def _is_geocoded(lon: _Coordinate | None, lat: _Coordinate | None) -> bool:
    # In radar coordinates the step counts pixels: 1, or the number of looks (seen: 40 and 100), never a fraction.
    return lon is not None and lat is not None and 0 < abs(lon.delta) < 1 and 0 < abs(lat.delta) < 1


def _grid(rows: int, cols: int, lon: _Coordinate | None, lat: _Coordinate | None, sidecar: Path) -> Grid:
    if lon is None or lat is None or not _is_geocoded(lon, lat):
        return Grid.radar(rows, cols)
    if lon.delta < 0 or lat.delta > 0:
        raise InputError(
            sidecar,
            required="a geocoded raster with west at the left and north at the top",
            found=f"steps of {lon.delta} degrees in longitude and {lat.delta} in latitude",
            remedy="Geocode it again",
        )
    # The starting value is the centre of the pixel, the transform wants its corner.
    transform = Affine(lon.delta, 0.0, lon.start - lon.delta / 2, 0.0, lat.delta, lat.start - lat.delta / 2)
    return Grid(rows, cols, transform, "EPSG:4326")


def _looks(across: _Coordinate | None, along: _Coordinate | None) -> tuple[int, int] | None:
    if across is None or along is None or _is_geocoded(across, along):
        return None
    steps = (across.delta, along.delta)
    if steps == (1.0, 1.0) or any(step < 1 or step != int(step) for step in steps):
        return None  # ones say nothing: most rasters carry them whatever their looks
    return int(across.delta), int(along.delta)


def _text(texts: dict[str, str], name: str, sidecar: Path) -> str:
    if not texts.get(name):
        raise InputError(
            sidecar, required=f"the property {name}", found="none", remedy="Copy it again from where it was processed"
        )
    return texts[name]


def _count(texts: dict[str, str], name: str, sidecar: Path) -> int:
    text = _text(texts, name, sidecar)
    try:
        count = int(text)
    except ValueError:
        count = 0
    if count < 1:
        raise InputError(
            sidecar,
            required=f"a positive integer as {name}",
            found=text,
            remedy="Copy it again from where it was processed",
        )
    return count


def _either(counts: tuple[int, ...]) -> str:
    return " or ".join(str(count) for count in counts)
