"""Coregistered images of ISCE2: ``merged/SLC`` of topsStack and of stripmapStack, with their geometry.

The images of topsStack are often virtual: ``20180106.slc.full.vrt`` joins the bursts, and there is no raster of that
name. GDAL then reads it. Where the raster is there, its sidecar is believed and the ``.vrt`` is not.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from insar.errors import InputError, MissingInputError
from insar.grid import Grid
from insar.readers.files import OpenFiles
from insar.readers.isce_image import COMPLEX_TYPES, read_isce_header, read_isce_image, sidecar_of
from insar.readers.isce_metadata import read_polarisation, read_sensor
from insar.readers.slc_images import ComplexImage, DatedImage, FlatImage, ImageSource, choose_images, day_of_path
from insar.readers.slc_raster import OpenImages, gdal_image, gdal_plane
from insar.readers.sources import (
    ALL_IS_DATA,
    INCIDENCE_LIMITS_DEG,
    LATITUDE_LIMITS_DEG,
    LONGITUDE_LIMITS_DEG,
    ZERO_IS_NO_DATA,
    Decoding,
    FlatPlane,
    Layer,
)
from insar.readers.xml_files import parse_xml
from insar.slc import SlcStack
from insar.stack import Acquisition, Geometry, Plane
from insar.windows import ONE_LOOK, Looks

_VIRTUAL = ".vrt"
_ENDINGS = (".slc.full", ".slc", ".slc.full.vrt", ".slc.vrt")
"""Of images, those before others that are preferred."""

_IMAGE_FOLDERS = ("merged/SLC", "coregSLC/Fine", "coregSLC/Coarse", "coregSLC", "SLC")
_FOLDERS_INSIDE_A_STACK = ("SLC", "Fine", "Coarse", "coregSLC", "merged")
_GEOMETRY_FOLDERS = ("geom_reference", "geom_master")
_FULL = ".full"
_INSIDE_ARCHIVE = "/vsi"  # GDAL's own file systems: bursts may be read out of the zipped products
_NESTED_DEPTH = 3  # merged image, burst, and what a burst may be cut out of
_DAY_FOLDER = re.compile(r"\d{8}(?!\d)")


def find_images(path: Path) -> list[Path]:
    """Images in a file, a folder of a date, the folder of the images, or a stack, judged by names alone."""
    if not path.is_dir():
        return [path.absolute()] if _rank(path) is not None else []
    top = path.absolute()
    for place in (top, *(top / name for name in _IMAGE_FOLDERS)):
        found = _images_in(place)
        if found:
            return found
    return []


def open_images(path: Path, images: Sequence[Path], polarisation: str | None, subswath: str | None) -> SlcStack:
    """Open images that `find_images` found.

    Raises
    ------
    MissingInputError
        What a virtual image joins is not there.
    InputError
        The images do not make a stack, or the geometry does not fit them.
    """
    notes: list[str] = []
    files, rasters = OpenFiles(), OpenImages()
    homes = _homes(images[0])
    stated = read_polarisation(homes)
    found = [_open_image(image, stated, files, rasters) for image in images]
    chosen = choose_images(path, found, polarisation, subswath, notes)
    grid = chosen[0].grid
    geometry, looks = _Geometry(homes, grid, files, rasters).read(notes)
    wavelength_m, acquisition = _sensor(homes, notes)
    return SlcStack(
        path,
        "isce",
        tuple(each.day for each in chosen),
        grid,
        ImageSource.of(chosen),
        polarisation=stated or (polarisation.upper() if polarisation else None),
        wavelength_m=wavelength_m,
        geometry=geometry,
        geometry_looks=looks,
        acquisition=acquisition,
        notes=tuple(notes),
    )


def _images_in(folder: Path) -> list[Path]:
    """The best file of each image in a folder and in the folders of dates in it."""
    if not folder.is_dir():
        return []
    entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    folders = [folder, *(Path(entry) for entry in entries if entry.is_dir() and _DAY_FOLDER.match(entry.name))]
    return [image for each in folders for image in _best_of(each)]


def _best_of(folder: Path) -> Iterator[Path]:
    best: dict[str, tuple[int, Path]] = {}
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        file = Path(entry)
        rank = _rank(file) if entry.is_file() else None
        if rank is None:
            continue
        stem = file.name.removesuffix(_ENDINGS[rank])
        if stem not in best or rank < best[stem][0]:
            best[stem] = (rank, file)
    yield from (file for _, file in best.values())


def _rank(file: Path) -> int | None:
    """Place of a file's ending in the order of preference; None for other files and for a raster without sidecar."""
    name = next((ending for ending in _ENDINGS if file.name.endswith(ending)), None)
    # both .slc.full.vrt and .slc.vrt end with what no other ending ends with
    if name is None or (not name.endswith(_VIRTUAL) and not sidecar_of(file).is_file()):
        return None
    return _ENDINGS.index(name)


def _open_image(path: Path, polarisation: str | None, files: OpenFiles, rasters: OpenImages) -> DatedImage:
    day = day_of_path(path)
    if day is None:
        raise InputError(
            path,
            required="one date in its name or in that of its folder, such as 20180106/20180106.slc.full",
            found="none, or several",
            remedy="Rename it or its folder after the date of its acquisition",
        )
    image: ComplexImage
    if path.suffix == _VIRTUAL:
        _require_sources(path)
        grid, image = gdal_image(path, rasters)
        header = path.with_suffix("")
        if sidecar_of(header).is_file():
            stated = read_isce_header(header, bands=(1,), types=COMPLEX_TYPES)
            if stated.grid.shape != grid.shape:
                raise InputError(
                    path,
                    required=f"the size that {sidecar_of(header)} states: {stated.rows} rows x {stated.cols} columns",
                    found=f"{grid.rows} rows x {grid.cols} columns",
                    remedy="Merge the bursts of this date again",
                )
    else:
        flat = read_isce_image(path, bands=(1,), types=COMPLEX_TYPES)
        grid, image = flat.grid, FlatImage(flat.band(0), files)
    return DatedImage(path, day, grid, image, polarisation)


def _require_sources(path: Path, depth: int = 0) -> None:
    """Refuse a ``.vrt`` that joins files which are not there: reading it would fail hours later."""
    sources = list(parse_xml(path).iter("SourceFilename"))
    for element in sources:
        text = (element.text or "").strip()
        if text.startswith(_INSIDE_ARCHIVE):
            continue
        place = path.parent / text if element.get("relativeToVRT") == "1" else Path(text)
        if not place.exists():
            raise MissingInputError(
                place,
                required=f"what {path} joins ({len(sources)} files), as there is no raster {path.stem}",
                found="no such file",
                remedy="Copy the bursts to where the .vrt looks for them, or write the image out where they are: "
                f"gdal_translate -of ISCE {path.name} {path.stem}",
            )
        if place.suffix == _VIRTUAL and depth < _NESTED_DEPTH:
            _require_sources(place, depth + 1)


def _homes(image: Path) -> list[Path]:
    """Folders that may hold the geometry and what is known of the sensor, the nearest first."""
    folder = image.absolute().parent
    homes = [folder.parent if _DAY_FOLDER.match(folder.name) else folder]
    while homes[-1].name in _FOLDERS_INSIDE_A_STACK:
        homes.append(homes[-1].parent)
    return homes


def _sensor(homes: Sequence[Path], notes: list[str]) -> tuple[float, Acquisition]:
    """Wavelength, NaN where no file states it, and acquisition of images of one look."""
    try:
        wavelength_m, stated = read_sensor(homes, None)
    except MissingInputError:
        notes.append("wavelength unknown: coherence does not need it")
        return float("nan"), Acquisition(range_looks=1, azimuth_looks=1)
    return wavelength_m, replace(
        stated,
        range_looks=1,
        azimuth_looks=1,
        range_pixel_size_m=_per_look(stated.range_pixel_size_m, stated.range_looks),
        azimuth_pixel_size_m=_per_look(stated.azimuth_pixel_size_m, stated.azimuth_looks),
    )


def _per_look(size_m: float | None, looks: int | None) -> float | None:
    return size_m / looks if size_m is not None and looks else size_m


@dataclass(frozen=True, slots=True)
class _Geometry:
    """Rasters of the place and view of each pixel, of full resolution or multilooked."""

    homes: Sequence[Path]
    grid: Grid
    files: OpenFiles
    rasters: OpenImages

    def read(self, notes: list[str]) -> tuple[Geometry, Looks]:
        """The geometry and the looks that its pixels hold; at full resolution where latitude and longitude are."""
        places = [home / name for home in self.homes for name in _GEOMETRY_FOLDERS]
        place = next((each for each in places if each.is_dir()), None)
        if place is None:
            notes.append("no place: there is no folder geom_reference")
            return Geometry(), ONE_LOOK
        for suffix in (_FULL, ""):
            if all(_find_raster(place / f"{name}.rdr{suffix}", notes) for name in ("lat", "lon")):
                return self._read(place, suffix, notes)
        notes.append(f"no place: {place} has no lat.rdr and lon.rdr")
        return Geometry(), ONE_LOOK

    def _read(self, place: Path, suffix: str, notes: list[str]) -> tuple[Geometry, Looks]:
        found: list[tuple[Path, Plane]] = []
        absent: list[str] = []

        def plane(
            name: str,
            *,
            band: int = 0,
            decoding: Decoding = ALL_IS_DATA,
            limits: tuple[float, float] | None = None,
        ) -> Plane | None:
            path = _find_raster(place / f"{name}.rdr{suffix}", notes)
            if path is None:
                absent.append(f"{name}.rdr{suffix}")
                return None
            found.append((path, self._plane(path, band, decoding, limits)))
            return found[-1][1]

        geometry = Geometry(
            # exactly 0 marks pixels that the merged bursts do not cover
            latitude=plane("lat", decoding=ZERO_IS_NO_DATA, limits=LATITUDE_LIMITS_DEG),
            longitude=plane("lon", decoding=ZERO_IS_NO_DATA, limits=LONGITUDE_LIMITS_DEG),
            height=plane("hgt"),
            incidence_angle=plane("los", decoding=ZERO_IS_NO_DATA, limits=INCIDENCE_LIMITS_DEG),
            azimuth_angle=plane("los", band=1, decoding=ZERO_IS_NO_DATA),
            shadow_mask=plane("shadowMask"),
        )
        first, size = found[0][0], found[0][1].shape
        for path, other in found[1:]:
            if other.shape != size:
                raise InputError(
                    path,
                    required=f"the size of {first}: {size[0]} rows x {size[1]} columns",
                    found=f"{other.rows} rows x {other.cols} columns",
                    remedy="Make the geometry again",
                )
        if absent:
            notes.append(f"{place.name} has no {', '.join(sorted(set(absent)))}")
        return geometry, self._looks(first, size)

    def _plane(self, path: Path, band: int, decoding: Decoding, limits: tuple[float, float] | None) -> Plane:
        if path.suffix == _VIRTUAL:
            return gdal_plane(path, self.rasters, band=band + 1, decoding=decoding, limits=limits)
        image = read_isce_image(path, bands=(1, 2))
        source = FlatPlane(Layer(image.band(band), decoding), self.files, limits)
        return Plane(source, image.rows, image.cols)

    def _looks(self, path: Path, size: tuple[int, int]) -> Looks:
        """Looks of the geometry, from the sizes: multilooking drops the rows and columns that are left over."""
        stated = None if path.suffix == _VIRTUAL else read_isce_image(path, bands=(1,)).looks
        likely = [Looks(*(full // part for full, part in zip(self.grid.shape, size, strict=True)))]
        if stated is not None:  # in range and azimuth
            likely.insert(0, Looks(stated[1], stated[0]))
        for looks in likely:
            if min(looks) >= 1 and (self.grid.rows // looks.rows, self.grid.cols // looks.cols) == size:
                return looks
        raise InputError(
            path,
            required=f"the size of the images ({self.grid.rows} rows x {self.grid.cols} columns), or that of whole "
            "numbers of their pixels taken together",
            found=f"{size[0]} rows x {size[1]} columns",
            remedy="It belongs to other images: make the geometry again, or remove it",
        )


def _find_raster(path: Path, notes: list[str]) -> Path | None:
    """A raster with its sidecar, else the ``.vrt`` of one that is virtual; a note where what it joins is not there."""
    if path.is_file() and sidecar_of(path).is_file():
        return path
    virtual = path.with_name(path.name + _VIRTUAL)
    if not virtual.is_file():
        return None
    try:
        _require_sources(virtual)
    except MissingInputError as error:
        note = f"{virtual.name} is not used: {error.subject}, which it joins, is not there"
        notes += [] if note in notes else [note]
        return None
    return virtual
