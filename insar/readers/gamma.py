"""GAMMA stacks: geocoded unwrapped interferograms with their parameter files, in one folder or in one for each pair.

Signs. GAMMA forms an interferogram as the first image times the conjugate of the second, with phases of
``-4 pi range / wavelength``, so that its unwrapped phase grows where the range grew from the first date of its name to
the second: the convention of this package. A pair whose first date is the later one is negated.

Place. ``corner_lat`` and ``corner_lon`` (or ``corner_north`` and ``corner_east``) of the parameters of the map are the
centre of the first pixel, not its corner.

Bytes. Rasters are big-endian. Other programs write folders that look the same with little-endian rasters (LiCSBAS):
a sample of each raster is looked at when the stack is opened, and such a stack is refused.

Angles. ``lv_theta`` is the elevation of the direction to the satellite, in radians as GAMMA writes it or in degrees as
others convert it; the incidence from the vertical is 90 degrees less that. A raster ``inc`` is not read: GAMMA's
``gc_map`` writes the angle against the slope under that name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from insar.errors import InputError, MissingInputError
from insar.grid import Grid
from insar.readers.attributes import merge_acquisitions
from insar.readers.base import Reader
from insar.readers.byte_order import require_byte_order
from insar.readers.files import OpenFiles
from insar.readers.flat import FlatBand
from insar.readers.gamma_parameters import (
    GammaParameters,
    height_band,
    perpendicular_baseline_m,
    read_acquisition,
    read_map_grid,
    read_parameters,
    wavelength_m,
)
from insar.readers.grids import require_same_grid
from insar.readers.named_pairs import (
    RECOGNITION_DEPTH,
    PairRasters,
    cube_of_rasters,
    dates_of_path,
    join_coherence,
    require_pairs,
    stored_pair,
    walk_files,
)
from insar.readers.pairs import StoredPair
from insar.readers.sources import (
    INCIDENCE_LIMITS_DEG,
    ZERO_IS_NO_DATA,
    Decoding,
    FlatPlane,
    Layer,
    plane_of,
    require_within,
)
from insar.stack import Acquisition, Geometry, Pair, Plane, Stack

_PIXEL = ">f4"
_MAP_PARAMETERS = re.compile(r"dem(_seg)?[._]par$", re.IGNORECASE)
_IMAGE_PARAMETERS = re.compile(r"(slc|mli)[._]par$", re.IGNORECASE)
_MULTILOOKED_PARAMETERS = re.compile(r"mli[._]par$", re.IGNORECASE)
_BASELINE = re.compile(r"[._]base([._]par)?$|\.baseline$", re.IGNORECASE)
_PHASE = re.compile(r"\.unw(\.geo)?$", re.IGNORECASE)
_COHERENCE = re.compile(r"\.(cc|coh|cor)(\.geo)?$", re.IGNORECASE)
_ELEVATION_ANGLE = re.compile(r"lv_theta(\.geo)?$", re.IGNORECASE)
_ORIENTATION_ANGLE = re.compile(r"lv_phi(\.geo)?$", re.IGNORECASE)
_SLOPE_INCIDENCE = re.compile(r"[._]inc(\.geo)?$", re.IGNORECASE)

_ORIENTATION_LIMITS_DEG = (-450.0, 270.0)
"""What an orientation of -2 pi to 2 pi becomes; degrees where radians are due lie outside."""

_HALF_TURN_RAD = math.pi / 2
_LICSBAS_FOLDER = "GEOCml"
_SWAPPED = "If LiCSBAS wrote this folder, give the one of LiCSAR's GeoTIFFs; else swap the bytes"


class GammaReader:
    """Opens folders of geocoded GAMMA products."""

    expects = "*.unw named after two dates, *dem_par or *dem.par, and *slc.par, in the folder or in folders below it"

    def recognises(self, path: Path) -> bool:
        """Whether there are the parameters of a map and a phase or a coherence, at most two folders below.

        Not in the folders of LiCSBAS, which lie beside those of LiCSAR.
        """
        if not path.is_dir():
            return False
        has_map = has_raster = False
        for file in walk_files(path, RECOGNITION_DEPTH):
            if any(part.startswith(_LICSBAS_FOLDER) for part in file.relative_to(path).parts):
                continue
            has_map = has_map or _MAP_PARAMETERS.search(file.name) is not None
            has_raster = has_raster or any(kind.search(file.name) for kind in (_PHASE, _COHERENCE))
            if has_map and has_raster:
                return True
        return False

    def open(self, path: Path) -> Stack:
        """Open a stack, see `insar.readers.base.Reader.open`."""
        if not path.is_dir():
            raise InputError(
                path,
                required="a folder with GAMMA products",
                found="a file",
                remedy="Give the folder that holds the .unw files",
            )
        return _open(path, _Folder(path, tuple(walk_files(path))))


READER: Reader = GammaReader()


@dataclass(frozen=True, slots=True)
class _Folder:
    path: Path
    files: tuple[Path, ...]

    def matching(self, pattern: re.Pattern[str]) -> list[Path]:
        return [file for file in self.files if pattern.search(file.name)]

    def dated(self, pattern: re.Pattern[str]) -> list[StoredPair[Path]]:
        """Rasters of two dates, by pair and name."""
        dates = {file: dates_of_path(self.path, file) for file in self.matching(pattern)}
        found = [stored_pair(self.path, file, pair) for file, pair in dates.items() if pair is not None]
        return sorted(found, key=lambda each: (each.pair, each.name))

    def undated(self, pattern: re.Pattern[str]) -> list[str]:
        """Names of the rasters that are of no two dates."""
        found = [file for file in self.matching(pattern) if dates_of_path(self.path, file) is None]
        return [str(file.relative_to(self.path)) for file in found]


def _open(path: Path, folder: _Folder) -> Stack:
    notes: list[str] = []
    phases, coherences = folder.dated(_PHASE), folder.dated(_COHERENCE)
    require_pairs(
        path,
        phases or coherences,
        "geocoded interferograms named after two dates, such as 20060619-20061002_eqa.unw",
        "Name them YYYYMMDD_YYYYMMDD.unw, or put each into a folder of that name",
    )
    undated = folder.undated(_PHASE)
    notes += [f"{name} is left out: neither its name nor that of its folder states two dates" for name in undated]
    map_parameters, grid = _choose_grid(folder, phases or coherences)
    if phases:
        phases = _fitting(phases, grid, map_parameters.path, notes)
        if coherences and not any(_fits(each, grid) for each in coherences):
            notes.append(
                f"no coherence: {coherences[0].name} and the like are not on the grid of {map_parameters.path.name}"
            )
            coherences = []
    coherences = _fitting(coherences, grid, map_parameters.path, notes)
    stored, left_out = join_coherence(phases, coherences)
    notes += left_out
    for raster in (file for each in stored for file in (each.content.phase, each.content.coherence) if file):
        require_byte_order(raster, big=True, remedy=_SWAPPED)

    images = [read_parameters(file) for file in folder.matching(_IMAGE_PARAMETERS)]
    # coherence alone needs no wavelength
    wavelength = _wavelength(path, images) if phases or images else math.nan
    files = OpenFiles()
    return Stack(
        path,
        "gamma",
        tuple(each.pair for each in stored),
        wavelength,
        _baselines(folder, stored, images, notes),
        grid,
        cube_of_rasters(stored, lambda each: each.phase, _band, grid, files, signed=True),
        cube_of_rasters(stored, lambda each: each.coherence, _band, grid, files),
        geometry=_geometry(folder, map_parameters, grid, files, notes),
        acquisition=_acquisition(images),
        notes=tuple(notes),
    )


def _choose_grid(folder: _Folder, rasters: Sequence[StoredPair[Path]]) -> tuple[GammaParameters, Grid]:
    """The map that the interferograms are on, told by their size: beside it often lies that of the whole DEM."""
    candidates = [read_parameters(file) for file in folder.matching(_MAP_PARAMETERS)]
    if not candidates:
        raise MissingInputError(
            folder.path,
            required="the parameters of the map that the interferograms are geocoded onto, *dem_par or *dem.par",
            found="no such file in it or below it",
            remedy="Copy the file that geocode_back was run with beside the interferograms",
        )
    maps = [(parameters, read_map_grid(parameters)) for parameters in candidates]
    fitting = [(parameters, grid) for parameters, grid in maps if any(_fits(each, grid) for each in rasters)]
    if not fitting:
        parameters, grid = maps[0]
        raise _wrong_size(rasters[0].content, grid, parameters.path)
    for parameters, grid in fitting[1:]:
        require_same_grid(fitting[0][0].path, fitting[0][1], parameters.path, grid)
    return fitting[0]


def _band(raster: Path, grid: Grid) -> FlatBand:
    return FlatBand(raster, _PIXEL, grid.rows, grid.cols)


def _fits(stored: StoredPair[Path], grid: Grid) -> bool:
    return _size(stored.content) == _band(stored.content, grid).file_bytes


def _size(raster: Path) -> int:
    try:
        return raster.stat().st_size
    except FileNotFoundError as error:
        raise MissingInputError(
            raster, required="a raster", found="a link to a file that is not there", remedy="Copy or remove it"
        ) from error


def _wrong_size(raster: Path, grid: Grid, map_path: Path) -> InputError:
    return InputError(
        raster,
        required=f"{_band(raster, grid).file_bytes} bytes (float32, {grid.rows} rows x {grid.cols} columns, the map of "
        f"{map_path.name})",
        found=f"{_size(raster)} bytes",
        remedy="It is cut short, or in radar coordinates: copy it again, or geocode it onto that map with geocode_back",
    )


def _fitting(rasters: list[StoredPair[Path]], grid: Grid, map_path: Path, notes: list[str]) -> list[StoredPair[Path]]:
    """Those that have the size of the map; others only where their pair has one that has."""
    kept = [each for each in rasters if _fits(each, grid)]
    mapped = {each.pair for each in kept}
    for each in rasters:
        if each.pair not in mapped:
            raise _wrong_size(each.content, grid, map_path)
        if not _fits(each, grid):
            notes.append(f"{each.name} is left out: it is not on the map of {map_path.name}")
    return kept


def _wavelength(path: Path, images: Sequence[GammaParameters]) -> float:
    if not images:
        raise MissingInputError(
            path,
            required="the parameters of an image, *slc.par or *mli.par, which state the radar_frequency",
            found="no such file in it or below it",
            remedy="Copy that of the reference date beside the interferograms",
        )
    first = wavelength_m(images[0])
    for image in images[1:]:
        found = wavelength_m(image)
        if abs(found / first - 1.0) > 1e-3:
            raise InputError(
                image.path,
                required=f"the wavelength of {images[0].path}: {first:.6f} m",
                found=f"{found:.6f} m",
                remedy="Put the interferograms of each sensor in a folder of their own",
            )
    return first


def _acquisition(images: Sequence[GammaParameters]) -> Acquisition:
    # those of a multilooked image first: their looks are those of the interferograms
    ranked = sorted(images, key=lambda image: (not _MULTILOOKED_PARAMETERS.search(image.path.name), image.path.name))
    return merge_acquisitions([read_acquisition(image) for image in ranked])


def _baselines(
    folder: _Folder, stored: Sequence[StoredPair[PairRasters]], images: Sequence[GammaParameters], notes: list[str]
) -> NDArray[np.float64]:
    known: dict[Pair, float] = {}
    for each in folder.dated(_BASELINE):
        value = perpendicular_baseline_m(read_parameters(each.content), images[0])
        known.setdefault(each.pair, -value if each.is_reversed else value)
    baselines = np.array([known.get(each.pair, math.nan) for each in stored], dtype=np.float64)
    if len(baselines) > 2 and (baselines == baselines[0]).all():
        notes.append(f"perpendicular baselines are not used: the files state {baselines[0]:.3g} m for every pair")
        return np.full(len(stored), math.nan)
    if np.isnan(baselines).any():
        notes.append(f"perpendicular baseline unknown for {np.isnan(baselines).sum()} of {len(baselines)} pairs")
    return baselines


@dataclass(frozen=True, slots=True)
class _IncidencePlane:
    """Incidence (degrees from the vertical) from the elevation of the direction to the satellite.

    No radar looks from an elevation below 1.6 degrees, so that what is at most pi/2 is in radians.
    """

    elevation: FlatPlane

    def read_window(self, rows: slice, cols: slice) -> NDArray[np.float32] | NDArray[np.float64]:
        """One window, (row, col)."""
        stored = self.elevation.read_window(rows, cols).astype(np.float64)
        degrees = np.where(np.abs(stored) <= _HALF_TURN_RAD, np.degrees(stored), stored)
        incidence = (90.0 - degrees).astype(np.float32)
        require_within(self.elevation.layer.band.path, incidence, INCIDENCE_LIMITS_DEG)
        return incidence


def _geometry(
    folder: _Folder, map_parameters: GammaParameters, grid: Grid, files: OpenFiles, notes: list[str]
) -> Geometry:
    def layer(pattern: re.Pattern[str], decoding: Decoding) -> Layer | None:
        bands = [_band(file, grid) for file in folder.matching(pattern)]
        fitting = [band for band in bands if _size(band.path) == band.file_bytes]
        notes.extend(f"{band.path.name} is left out: not of the map's size" for band in bands if band not in fitting)
        notes.extend(f"{band.path.name} is left out: {fitting[0].path.name} is used" for band in fitting[1:])
        return Layer(fitting[0], decoding) if fitting else None

    elevation = layer(_ELEVATION_ANGLE, ZERO_IS_NO_DATA)
    # anticlockwise from east, made anticlockwise from north
    orientation = layer(_ORIENTATION_ANGLE, Decoding(factor=math.degrees(1.0), offset=-90.0))
    if elevation is None:
        slopes = folder.matching(_SLOPE_INCIDENCE)
        unused = f" ({slopes[0].name} is not used: gc_map writes the angle against the slope there)" if slopes else ""
        notes.append(f"no incidence angle: there is no *lv_theta, which look_vector writes{unused}")
    return Geometry(
        height=_height(map_parameters, grid, files, notes),
        incidence_angle=None if elevation is None else plane_of(_IncidencePlane(FlatPlane(elevation, files)), grid),
        azimuth_angle=None
        if orientation is None
        else plane_of(FlatPlane(orientation, files, _ORIENTATION_LIMITS_DEG), grid),
    )


def _height(parameters: GammaParameters, grid: Grid, files: OpenFiles, notes: list[str]) -> Plane | None:
    path = parameters.path
    stem = re.sub(r"[._]par$", "", path.name, flags=re.IGNORECASE)
    names = (stem, re.sub(r"_(dem(?:_seg)?)$", r".\1", stem), re.sub(r"\.(dem(?:_seg)?)$", r"_\1", stem))
    image = next((path.with_name(name) for name in names if path.with_name(name).is_file()), None)
    if image is None:
        notes.append(f"no height: there is no {' or '.join(dict.fromkeys(names))} beside {path.name}")
        return None
    band = height_band(parameters, image, grid)
    band.check_file()
    scale, offset = parameters.number("DEM_scale"), parameters.number("DEM_hgt_offset")
    # GAMMA has no other mark for no data than 0
    decoding = Decoding((0.0, -32768.0), 1.0 if scale is None else scale, offset or 0.0)
    return plane_of(FlatPlane(Layer(band, decoding), files), grid)
