"""Files of backscatter as they are: GeoTIFFs and BEAM-DIMAP products, their bands, and what they say of the pass."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from insar.backscatter_stack import Orbit, ViewFacts
from insar.grid import Grid
from insar.readers.attributes import orbit_direction
from insar.readers.backscatter_names import date_in
from insar.readers.dimap import MISSING_NUMBER, DimapProduct, read_dimap
from insar.readers.files import OpenFiles
from insar.readers.geotiff import (
    TALLEST_CHUNK_ROWS,
    GeoTiff,
    OpenRasters,
    RasterLayer,
    RasterPlane,
    read_geotiff_bands,
)
from insar.readers.orbit import wrapped_heading
from insar.readers.sources import Decoding, FlatPlane
from insar.readers.tiff_text import read_snap_header
from insar.stack import PlaneSource

_ORBIT_TAGS = ("ORBIT_DIRECTION", "ORBIT_PASS", "PASS", "PASSDIRECTION", "ORBIT", "FLIGHT_DIRECTION")
_DATE_TAGS = ("ACQUISITION_DATE", "DATE")
_UNIT_TAGS = ("UNITS", "UNIT", "SCALE")


@dataclass(frozen=True, slots=True)
class StoredBand:
    """A band of a product.

    Attributes
    ----------
    name
        Empty where the file does not name it.
    unit
        In lower case, empty where it is not stated.
    no_data
        Values declared as no data, empty for NaN alone; None where nothing is declared.
    is_floating
        Whether its pixels are real numbers.
    open
        Makes what reads the product's own pixels, decoded.
    """

    name: str
    unit: str
    no_data: tuple[float, ...] | None
    is_floating: bool
    open: Callable[[tuple[float, ...]], PlaneSource]


@dataclass(frozen=True, slots=True)
class Product:
    """A file or product on the map."""

    path: Path
    grid: Grid
    bands: tuple[StoredBand, ...]
    day: date | None
    orbit: Orbit | None
    view: ViewFacts
    rows_per_chunk: int = 1


def read_product(path: Path, rasters: OpenRasters, files: OpenFiles) -> Product:
    """Read the header of a GeoTIFF or of a ``.dim``.

    Raises
    ------
    InputError
        It is not whole, or lies on no map.
    """
    if path.suffix.lower() == ".dim":
        return _of_dimap(read_dimap(path), files)
    return _of_geotiff(path, rasters)


def _of_dimap(product: DimapProduct, files: OpenFiles) -> Product:
    def opener(name: str) -> Callable[[tuple[float, ...]], PlaneSource]:
        def make(no_data: tuple[float, ...]) -> PlaneSource:
            layer = product.layer(name)
            return FlatPlane(replace(layer, decoding=replace(layer.decoding, no_data=no_data)), files)

        return make

    bands = tuple(
        StoredBand(name, band.unit, band.decoding.no_data or None, True, opener(name))
        for name, band in product.bands.items()
        if band.image is not None
    )
    day, orbit, view = _facts_of_metadata(product.metadata)
    return Product(product.path, product.grid(), bands, day, orbit, view)


def _of_geotiff(path: Path, rasters: OpenRasters) -> Product:
    raster = read_geotiff_bands(path)
    header = raster.header
    snap = read_snap_header(path)
    names = [text or "" for text in raster.descriptions]
    units = [next((raster.tags[tag].lower() for tag in _UNIT_TAGS if tag in raster.tags), "")] * len(names)
    if snap is not None and len(snap.bands) == len(names):
        names, units = [band.name for band in snap.bands], [band.unit for band in snap.bands]
    bands = tuple(
        StoredBand(name, unit, _declared(header), header.is_floating, _opener(header, number, rasters))
        for number, (name, unit) in enumerate(zip(names, units, strict=True), start=1)
    )
    day, orbit, view = _facts_of_metadata({} if snap is None else snap.metadata)
    if orbit is None:
        told = next((raster.tags[tag] for tag in _ORBIT_TAGS if orbit_direction(raster.tags.get(tag))), None)
        orbit = _orbit(told)
    if day is None:
        day = next((found for tag in _DATE_TAGS if (found := date_in(raster.tags.get(tag, "")))), None)
    return Product(path, header.grid, bands, day, orbit, view, min(header.block_rows, TALLEST_CHUNK_ROWS))


def _declared(header: GeoTiff) -> tuple[float, ...] | None:
    return None if header.no_data is None else header.decoding().no_data


def _opener(header: GeoTiff, number: int, rasters: OpenRasters) -> Callable[[tuple[float, ...]], PlaneSource]:
    def make(no_data: tuple[float, ...]) -> PlaneSource:
        return RasterPlane(RasterLayer(header.path, Decoding(no_data), band=number), rasters)

    return make


def _facts_of_metadata(metadata: Mapping[str, str]) -> tuple[date | None, Orbit | None, ViewFacts]:
    """Day, pass and view of SNAP's abstracted metadata."""
    heading = _number(metadata, "centre_heading")
    near, far = _number(metadata, "incidence_near"), _number(metadata, "incidence_far")
    side = metadata.get("antenna_pointing", "").strip().lower()
    # 11-MAY-2023 17:14:20.421
    moment = re.match(r"\s*(\d{2})-([A-Za-z]{3})-(\d{4})", metadata.get("first_line_time", ""))
    view = ViewFacts(
        heading_deg=None if heading is None else wrapped_heading(heading),
        looks_left={"left": True, "right": False}.get(side),
        incidence_deg=None if near is None or far is None else 0.5 * (near + far),
        is_sentinel1=metadata.get("mission", "").upper().startswith("SENTINEL-1"),
    )
    day = None if moment is None else date_in("".join(moment.groups()))
    return day, _orbit(metadata.get("pass")), view


def _orbit(text: str | None) -> Orbit | None:
    word = orbit_direction(text)
    return None if word is None else Orbit(word)


def _number(metadata: Mapping[str, str], name: str) -> float | None:
    try:
        value = float(metadata.get(name, ""))
    except ValueError:
        return None
    return None if value in (MISSING_NUMBER, 0.0) else value
