"""Coregistered images of SNAP: bands ``i_*`` and ``q_*`` of BEAM-DIMAP products.

Either a product for each date, or one product of all (``i_IW1_VV_mst_06Jan2018``, ``i_IW1_VV_slv1_18Jan2018``, newer
``ref`` and ``sec``), in radar geometry or terrain corrected. In radar geometry the place of the pixels comes from the
bands ``orthorectifiedLat`` and ``orthorectifiedLon`` where SNAP was asked for them, else from the tie points, which
know a smooth Earth only: on slopes they are off by up to some hundred metres in range, and a note says so.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from insar.constants import SENTINEL1_WAVELENGTH_M, SPEED_OF_LIGHT_M_PER_S
from insar.errors import InputError, MissingInputError
from insar.grid import Grid
from insar.readers.dimap import DimapProduct, read_dimap
from insar.readers.files import OpenFiles
from insar.readers.pairs import parse_date
from insar.readers.slc_images import (
    DatedImage,
    ImageSource,
    choose_images,
    find_day,
    polarisation_of,
    read_in_pieces,
)
from insar.readers.snap import find_headers, read_acquisition
from insar.readers.sources import (
    INCIDENCE_LIMITS_DEG,
    LATITUDE_LIMITS_DEG,
    LONGITUDE_LIMITS_DEG,
    ZERO_IS_NO_DATA,
    FlatPlane,
    Layer,
    plane_of,
)
from insar.readers.tie_points import read_tie_points
from insar.slc import SlcStack
from insar.stack import Geometry, Plane

_HEADER, _DATA = ".dim", ".data"
_DEPTH = 2
_REAL = re.compile(r"^i_(?!ifg)(.*)$", re.IGNORECASE)
_PAIR_BAND = re.compile(r"^(i_ifg|unw|coh|phase)", re.IGNORECASE)
_DATE = re.compile(r"(?<![0-9A-Za-z])(\d{2}[A-Za-z]{3}\d{4})(?![0-9A-Za-z])")
_SUBSWATH = re.compile(r"(?<![A-Za-z0-9])((?:IW|EW|S)\d)(?![A-Za-z0-9])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PartsImage:
    """An image whose real and imaginary parts are bands of their own."""

    real: Layer
    imaginary: Layer
    files: OpenFiles = field(repr=False)

    @property
    def rows_per_chunk(self) -> int:
        """Any row can be read alone."""
        return 1

    def read(self, rows: slice, cols: slice, out: NDArray[np.complex64]) -> None:
        """Read a window into `out` (row, col).

        A part of 0 is data where the other part is not: no data is what both parts say it is.
        """
        parts = ((self.real, out.real), (self.imaginary, out.imag))
        for layer, part in parts:
            read_in_pieces(layer.band, self.files, rows, cols, part)
        empty = None
        if all(_declares_no_data(layer) for layer, _ in parts):
            empty = np.logical_and(
                *(np.isin(part, np.array(layer.decoding.no_data, np.float32)) for layer, part in parts)
            )
        for layer, part in parts:
            if layer.decoding.factor != 1.0:
                np.multiply(part, np.float32(layer.decoding.factor), out=part)
            if layer.decoding.offset != 0.0:
                np.add(part, np.float32(layer.decoding.offset), out=part)
        if empty is not None:
            out[empty] = 0.0


def _declares_no_data(layer: Layer) -> bool:
    """Whether what marks no data is not 0 already, as stored and as read."""
    declared = layer.decoding.no_data
    return bool(declared) and (declared != (0.0,) or layer.decoding.offset != 0.0)


def holds_images(paths: Sequence[Path]) -> bool:
    """Whether there are complex bands of single dates and none of pairs, judged by the names of the rasters."""
    found = False
    for header in _headers(paths, _DEPTH):
        data = header.with_suffix(_DATA)
        names = [entry.name for entry in os.scandir(data)] if data.is_dir() else []
        if any(_PAIR_BAND.match(name) for name in names):
            return False
        found = found or any(_REAL.match(name) for name in names)
    return found


def open_images(paths: Sequence[Path], polarisation: str | None, subswath: str | None) -> SlcStack:
    """Open the products in folders, or those that are named.

    Raises
    ------
    MissingInputError
        There is no product.
    InputError
        The products hold no images, or these do not make a stack.
    OptionError
        As `insar.readers.slc_images.choose_images`.
    """
    notes: list[str] = []
    products = [read_dimap(header) for header in _headers(paths)]
    if not products:
        raise MissingInputError(
            paths[0],
            required="SNAP products (*.dim) with bands i_* and q_*",
            found="no .dim file",
            remedy="Save the products in BEAM-DIMAP format",
        )
    files = OpenFiles()
    found = [each for product in products for each in _images(product, files)]
    if not found:
        raise InputError(
            products[0].path,
            required="complex bands such as i_IW1_VV_06Jan2018 and q_IW1_VV_06Jan2018",
            found=", ".join(products[0].bands) or "no band",
            remedy="Keep the complex bands when coregistering (not intensities or interferograms)",
        )
    chosen = choose_images(paths[0], found, polarisation, subswath, notes)
    grid = chosen[0].grid
    of_images = [product for product in products if any(each.path == product.path for each in chosen)]
    return SlcStack(
        paths[0],
        "snap",
        tuple(each.day for each in chosen),
        grid,
        ImageSource.of(chosen),
        polarisation=chosen[0].polarisation,
        wavelength_m=_wavelength_m(of_images[0], notes),
        geometry=_geometry(of_images, products, grid, files, notes),
        acquisition=replace(read_acquisition(of_images[0]), baseline_sense=None),
        notes=tuple(notes),
    )


def _headers(paths: Sequence[Path], depth: int | None = None) -> Iterator[Path]:
    """Headers of products, each once: named ones, those beside ``.data`` folders that are named, those in folders."""
    found: list[Path] = []
    for path in paths:
        if path.name.lower().endswith(_HEADER):
            found.append(path)
        elif path.name.lower().endswith(_DATA) and path.with_suffix(_HEADER).is_file():
            found.append(path.with_suffix(_HEADER))
        elif path.is_dir():
            found += sorted(find_headers(path, depth))
    yield from {header.absolute(): header for header in found}.values()


def _images(product: DimapProduct, files: OpenFiles) -> Iterator[DatedImage]:
    grid = Grid.radar(product.rows, product.cols) if product.transform is None else product.grid()
    for name, band in product.bands.items():
        match = _REAL.match(name)
        if match is None or band.image is None or len(_DATE.findall(name)) > 1:
            continue
        partner = f"{'q' if name[0] == 'i' else 'Q'}_{match[1]}"
        if partner not in product.bands:
            raise InputError(
                product.path,
                required=f"the imaginary part {partner} of band {name}",
                found=", ".join(product.bands),
                remedy="Write both bands of the product",
            )
        subswath = _SUBSWATH.search(name.replace("_", " "))
        yield DatedImage(
            product.path,
            _day(product, name),
            grid,
            PartsImage(product.layer(name), product.layer(partner), files),
            polarisation_of(name) or _stated_polarisation(product),
            subswath[1].upper() if subswath else None,
        )


def _day(product: DimapProduct, name: str) -> date:
    """Date of a band: in its name, else in that of its product, else the one of the product's first line."""
    in_name = _DATE.search(name.replace("_", " "))
    try:
        stated = parse_date(in_name[1]) if in_name else find_day(product.path.stem)
    except ValueError:
        stated = None
    start = product.moment("first_line_time")
    if stated is None and start is not None:
        stated = start.date()
    if stated is None:
        raise InputError(
            f"band {name} of {product.path}",
            required="a date in its name (i_IW1_VV_06Jan2018) or in that of its product, or first_line_time",
            found="none",
            remedy="Rename the product after its date, with its .data folder",
        )
    return stated


def _stated_polarisation(product: DimapProduct) -> str | None:
    text = (product.text("mds1_tx_rx_polar") or "").upper()
    return text if text in ("VV", "VH", "HH", "HV") else None


def _wavelength_m(product: DimapProduct, notes: list[str]) -> float:
    frequency = product.number("radar_frequency")
    if frequency:
        return SPEED_OF_LIGHT_M_PER_S / (frequency * 1e6)
    if (product.text("mission") or "").upper().startswith("SENTINEL-1"):
        notes.append("wavelength of Sentinel-1 assumed: the product does not state its radar_frequency")
        return SENTINEL1_WAVELENGTH_M
    notes.append("wavelength unknown: coherence does not need it")
    return float("nan")


def _geometry(
    of_images: Sequence[DimapProduct],
    products: Sequence[DimapProduct],
    grid: Grid,
    files: OpenFiles,
    notes: list[str],
) -> Geometry:
    """Planes on the grid of the images, from their own products first, and tie points in radar geometry."""
    candidates = [*of_images, *(product for product in products if product not in of_images)]

    def plane(prefix: str, limits: tuple[float, float] | None = None, *, zero_is_data: bool = False) -> Plane | None:
        for product in candidates:
            for name, band in product.bands.items():
                if name.lower().startswith(prefix) and band.image is not None and _is_on(product, grid):
                    layer = product.layer(name)
                    decoding = layer.decoding if zero_is_data else ZERO_IS_NO_DATA
                    return plane_of(FlatPlane(replace(layer, decoding=decoding), files, limits), grid)
        return None

    geometry = Geometry(
        height=plane("elevation", zero_is_data=True),
        incidence_angle=plane("incidenceanglefromellipsoid", INCIDENCE_LIMITS_DEG),
    )
    if grid.crs is None:
        geometry = replace(
            geometry,
            latitude=plane("orthorectifiedlat", LATITUDE_LIMITS_DEG),
            longitude=plane("orthorectifiedlon", LONGITUDE_LIMITS_DEG),
        )
        geometry = _with_tie_points(of_images[0], geometry, grid, notes)
    if geometry.height is None:
        notes.append("no height: no product has a band elevation")
    if geometry.incidence_angle is None:
        notes.append("no incidence angle: no product has a band incidenceAngleFromEllipsoid or tie points of it")
    return geometry


def _is_on(product: DimapProduct, grid: Grid) -> bool:
    if (product.transform is None) != (grid.crs is None):
        return False
    return (product.rows, product.cols) == grid.shape and (product.transform is None or product.grid().same_as(grid))


def _with_tie_points(product: DimapProduct, geometry: Geometry, grid: Grid, notes: list[str]) -> Geometry:
    points = read_tie_points(product.path, "latitude", "longitude", "incident_angle")
    if geometry.incidence_angle is None and "incident_angle" in points:
        geometry = replace(geometry, incidence_angle=plane_of(points["incident_angle"], grid))
    if geometry.latitude is not None and geometry.longitude is not None:
        return geometry
    if not {"latitude", "longitude"} <= points.keys():
        notes.append(f"no place: {product.path.name} has no tie points of latitude and longitude")
        return replace(geometry, latitude=None, longitude=None)
    notes.append(
        "the place of pixels is interpolated between tie points, which know no terrain: on slopes it is off by up to "
        "some hundred metres. Terrain-corrected images, or bands orthorectifiedLat and orthorectifiedLon, are better"
    )
    return replace(geometry, latitude=plane_of(points["latitude"], grid), longitude=plane_of(points["longitude"], grid))
