"""LiCSAR stacks: the geocoded Sentinel-1 interferograms of COMET, as downloaded or below LiCSBAS's ``GEOC``.

Signs. A positive unwrapped phase is motion away from the satellite between the first and the second date of a folder's
name, the convention of this package. A folder whose first date is the later one is negated. ``baselines`` lists each
date against one prime date: that of a pair is the difference of two.

Values. Phase and coherence are 0 where there is no data, whether the header says so or not. Coherence is stored in
steps of 1/255 in bytes, or as it is in floats. ``landmask`` (1 land, 0 water) is not applied; a note says that one was
found.

Extents. Frames that were processed again may have gained or lost a row or a column. The stack is the area that all
rasters cover; nothing is resampled, and a note says what was cut off.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from insar.constants import SENTINEL1_WAVELENGTH_M
from insar.errors import InputError
from insar.grid import Grid
from insar.readers.attributes import number_of, seconds_of_day
from insar.readers.base import Reader
from insar.readers.geotiff import GeoTiff, OpenRasters, RasterCube, RasterLayer, RasterPlane, chunk_rows, read_geotiff
from insar.readers.lattice import common_grid, describe_crop
from insar.readers.look_vectors import DerivedPlane, azimuth_from_east_north, incidence_from_up
from insar.readers.orbit import MEAN_EARTH_RADIUS_M, platform_height_m, wrapped_heading
from insar.readers.pairs import StoredPair, keep_first, order_dates, parse_date, split_pair_name
from insar.readers.sources import Decoding, cube_of, plane_of
from insar.stack import Acquisition, Cube, Geometry, Pair, Plane, Stack

_PAIR_FOLDERS = ("interferograms", "GEOC")
_PHASE, _COHERENCE = ".geo.unw.tif", ".geo.cc.tif"
_COHERENCE_STEPS = 255.0
_COHERENCE_INTEGERS: tuple[str, ...] = ("uint8",)
_GEOMETRY_INTEGERS: dict[str, tuple[str, ...]] = {"hgt": ("int16", "int32"), "E": (), "N": (), "U": ()}
_COHERENCE_LIMITS = (0.0, 1.001)
_UNIT_LIMITS = (-1.001, 1.001)
_UP_LIMITS = (0.0, 1.0)


class LicsarReader:
    """Opens LiCSAR frames, complete or of coherence alone."""

    expects = "interferograms or GEOC with folders YYYYMMDD_YYYYMMDD that hold *.geo.unw.tif and *.geo.cc.tif"

    def recognises(self, path: Path) -> bool:
        """Whether there is a geocoded phase or coherence in a place where LiCSAR puts it."""
        return _find_pairs_folder(path) is not None

    def open(self, path: Path) -> Stack:
        """Open a stack, see `insar.readers.base.Reader.open`."""
        folder = _find_pairs_folder(path)
        if folder is None:
            raise InputError(
                path,
                required=f"a LiCSAR frame: {self.expects}",
                found="no such file below it",
                remedy="Give the folder that holds interferograms or GEOC",
            )
        return _open(path, folder)


READER: Reader = LicsarReader()


@dataclass(frozen=True, slots=True)
class _PairFiles:
    phase: Path | None
    coherence: Path | None


def _open(path: Path, folder: Path) -> Stack:
    stored, notes = _find_pairs(folder)
    metadata = _Metadata(folder)
    rasters = _Rasters(stored, metadata)
    notes += [rasters.cropped] if rasters.cropped else []
    phase = _cube(stored, "unwrapped phase", lambda each: each.phase, rasters, notes, signed=True)
    coherence = _cube(stored, "coherence", lambda each: each.coherence, rasters, notes)
    pairs = tuple(each.pair for each in stored)
    perpendicular = _baselines(pairs, metadata.find("baselines"), notes)
    geometry = _geometry(metadata, rasters, notes)
    if metadata.find_layer("landmask"):
        notes.append("the landmask is not applied: phase and coherence over water are kept")
    notes.append("wavelength of Sentinel-1 assumed: the products do not state it")
    return Stack(
        path,
        "licsar",
        pairs,
        SENTINEL1_WAVELENGTH_M,
        perpendicular,
        rasters.grid,
        unwrapped_phase=phase,
        coherence=coherence,
        geometry=geometry,
        acquisition=_acquisition(metadata.find("metadata.txt")),
        notes=tuple(notes),
    )


class _Metadata:
    """Files beside the pairs: in ``metadata``, or where LiCSBAS leaves them, among the pairs."""

    def __init__(self, pairs_folder: Path) -> None:
        home = pairs_folder.parent
        self.places = [home / "metadata", pairs_folder, pairs_folder / "metadata", home]

    def find(self, pattern: str) -> Path | None:
        """First file of a name or pattern."""
        for place in self.places:
            found = sorted(file for file in place.glob(pattern) if file.is_file())
            if found:
                return found[0]
        return None

    def find_layer(self, name: str) -> Path | None:
        """GeoTIFF of the geometry, whatever the frame is called."""
        return self.find(f"*.geo.{name}.tif")


class _Rasters:
    """GeoTIFFs of the stack, and the area that all of them cover."""

    def __init__(self, stored: Sequence[StoredPair[_PairFiles]], metadata: _Metadata) -> None:
        of_pairs = [
            (file, integers)
            for each in stored
            for file, integers in ((each.content.phase, ()), (each.content.coherence, _COHERENCE_INTEGERS))
        ]
        of_geometry = [(metadata.find_layer(name), integers) for name, integers in _GEOMETRY_INTEGERS.items()]
        self._headers = {
            file: _read_header(file, integers) for file, integers in (*of_pairs, *of_geometry) if file is not None
        }
        headers = list(self._headers.values())
        self.grid: Grid = common_grid(headers)
        self.cropped = describe_crop(headers, self.grid)
        self.opened = OpenRasters()

    def header(self, path: Path) -> GeoTiff:
        return self._headers[path]

    def layer(self, path: Path, decoding: Decoding, limits: tuple[float, float] | None = None) -> RasterLayer:
        return RasterLayer.on_grid(self.header(path), self.grid, decoding, limits)


def _read_header(path: Path, integers: tuple[str, ...]) -> GeoTiff:
    """Header of a raster whose pixels are floats, or of one of the named types of integers."""
    raster = read_geotiff(path)
    if not raster.is_floating and raster.dtype not in integers:
        raise InputError(
            path,
            required=" or ".join(("float32", *integers)) + " pixels",
            found=raster.dtype,
            remedy="Download it again: this is not what LiCSAR delivers",
        )
    return raster


def _find_pairs_folder(path: Path) -> Path | None:
    top = path.absolute()
    places = [top / name for name in _PAIR_FOLDERS]
    if top.name in _PAIR_FOLDERS:
        places.append(top)
    return next((place for place in places if _holds_rasters(place)), None)


def _holds_rasters(folder: Path) -> bool:
    return folder.is_dir() and any(
        _files_of(entry) != _PairFiles(None, None) for entry in sorted(folder.iterdir()) if entry.is_dir()
    )


def _files_of(folder: Path) -> _PairFiles:
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file())

    def first(ending: str) -> Path | None:
        preferred = [f"{folder.name}{ending}", *(name for name in names if name.endswith(ending))]
        return next((folder / name for name in preferred if name in names), None)

    return _PairFiles(first(_PHASE), first(_COHERENCE))


def _find_pairs(folder: Path) -> tuple[list[StoredPair[_PairFiles]], list[str]]:
    found, empty = [], []
    for entry in sorted(folder.iterdir()):
        if not entry.is_dir():
            continue
        files, names = _files_of(entry), split_pair_name(entry.name)
        if files == _PairFiles(None, None):
            empty += [entry.name] if names else []
            continue
        if names is None:
            raise InputError(
                entry,
                required="a folder of an interferogram named YYYYMMDD_YYYYMMDD",
                found=entry.name,
                remedy="Rename it after its two dates, or move it elsewhere",
            )
        pair, is_reversed = order_dates(entry, *names)
        found.append(StoredPair(f"{folder.name}/{entry.name}", pair, is_reversed, files))
    if any(each.content.phase for each in found):
        empty += [Path(each.name).name for each in found if each.content.phase is None]
        found = [each for each in found if each.content.phase is not None]
    stored, notes = keep_first(found)
    notes += [f"{folder.name}/{name} is left out: it has no unwrapped interferogram" for name in sorted(empty)]
    return stored, notes


def _cube(
    stored: Sequence[StoredPair[_PairFiles]],
    quantity: str,
    file_of: Callable[[_PairFiles], Path | None],
    rasters: _Rasters,
    notes: list[str],
    *,
    signed: bool = False,
) -> Cube | None:
    layers: list[RasterLayer | None] = []
    headers = []
    for each in stored:
        file = file_of(each.content)
        if file is None:
            layers.append(None)
            continue
        raster = rasters.header(file)
        headers.append(raster)
        if signed:
            decoding = raster.decoding(0.0)
            layer = rasters.layer(file, decoding.negated() if each.is_reversed else decoding)
        else:
            factor = 1.0 if raster.is_floating else 1.0 / _COHERENCE_STEPS
            layer = rasters.layer(file, raster.decoding(0.0, factor=factor), _COHERENCE_LIMITS)
        layers.append(layer)
    if not headers:
        return None
    absent = [each.name for each, layer in zip(stored, layers, strict=True) if layer is None]
    if absent:
        notes.append(f"no {quantity} for {', '.join(absent)}: unknown (NaN) there")
    return cube_of(RasterCube(tuple(layers), rasters.opened, chunk_rows(headers)), len(stored), rasters.grid)


def _baselines(pairs: Sequence[Pair], path: Path | None, notes: list[str]) -> NDArray[np.float64]:
    by_prime: dict[str, dict[date, float]] = {}
    unreadable = 0
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path else ():
        words = line.split()
        try:
            prime, day, baseline = words[0], parse_date(words[1]), float(words[2])
        except (IndexError, ValueError):
            unreadable += bool(words)
            continue
        by_prime.setdefault(prime, {})[day] = baseline
    if unreadable:
        notes.append(f"{unreadable} lines of baselines are not understood and left out")
    values = np.full(len(pairs), np.nan)
    for index, pair in enumerate(pairs):
        # dates against different primes cannot be subtracted from each other
        known = (each for each in by_prime.values() if pair.reference in each and pair.secondary in each)
        stated = next(known, None)
        if stated is not None:
            values[index] = stated[pair.secondary] - stated[pair.reference]
    if np.isnan(values).any():
        notes.append(f"perpendicular baseline unknown for {np.isnan(values).sum()} of {len(pairs)} pairs")
    return values


def _geometry(metadata: _Metadata, rasters: _Rasters, notes: list[str]) -> Geometry:
    absent: list[str] = []

    def source(name: str, limits: tuple[float, float] | None, *no_data: float) -> RasterPlane | None:
        file = metadata.find_layer(name)
        if file is None:
            absent.append(f"*.geo.{name}.tif")
            return None
        decoding = rasters.header(file).decoding(*no_data)
        return RasterPlane(rasters.layer(file, decoding, limits), rasters.opened)

    def plane(found: RasterPlane | DerivedPlane | None) -> Plane | None:
        return None if found is None else plane_of(found, rasters.grid)

    # heights of 0, and vectors with no part to the north, are real: only what is declared is no data
    height = source("hgt", None)
    up = source("U", _UP_LIMITS, 0.0)
    east, north = source("E", _UNIT_LIMITS), source("N", _UNIT_LIMITS)
    geometry = Geometry(
        height=plane(height),
        incidence_angle=plane(None if up is None else DerivedPlane((up,), incidence_from_up)),
        azimuth_angle=plane(
            None if east is None or north is None else DerivedPlane((east, north), azimuth_from_east_north)
        ),
    )
    if absent:
        notes.append(f"no {', '.join(sorted(absent))}: height or angles of view are unknown")
    return geometry


def _acquisition(path: Path | None) -> Acquisition:
    if path is None:
        return Acquisition(platform="Sentinel-1", antenna_side="right", baseline_sense=1)
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    entries = {key.strip(): text.strip() for key, equals, text in (line.partition("=") for line in lines) if equals}
    heading = number_of(path, entries, "heading")
    northward = None if heading is None else math.cos(math.radians(heading))
    slant_range_m, incidence = (number_of(path, entries, key) for key in ("centre_range_m", "avg_incidence_angle"))
    height_m = None if not slant_range_m or incidence is None else platform_height_m(slant_range_m, incidence)
    return Acquisition(
        platform="Sentinel-1",
        orbit_direction=None if northward is None else "ascending" if northward > 0.0 else "descending",
        heading_deg=None if heading is None else wrapped_heading(heading),
        antenna_side="right",
        center_line_utc_s=_center_time(path, entries.get("center_time")),
        range_pixel_size_m=number_of(path, entries, "range_resolution"),
        azimuth_pixel_size_m=number_of(path, entries, "azimuth_resolution"),
        earth_radius_m=None if height_m is None else MEAN_EARTH_RADIUS_M,
        platform_height_m=height_m,
        incidence_angle_deg=incidence,
        baseline_sense=1,
    )


def _center_time(path: Path, text: str | None) -> float | None:
    if text is None:
        return None
    for form in ("%H:%M:%S.%f", "%H:%M:%S"):
        try:
            return seconds_of_day(datetime.strptime(text, form))  # noqa: DTZ007  a time of the day without a date
        except ValueError:
            continue
    raise InputError(
        path, required="a time of the day such as 0:26:14.884940 as center_time", found=text, remedy="Correct this line"
    )
