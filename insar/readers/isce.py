"""ISCE2 stacks: topsStack (``merged/interferograms``) and stripmapStack (``Igrams``)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from insar.errors import InputError, MissingInputError
from insar.grid import Grid
from insar.readers.base import Reader
from insar.readers.files import OpenFiles
from insar.readers.grids import require_same_grid
from insar.readers.isce_image import IsceImage, properties, read_isce_image, sidecar_of
from insar.readers.isce_metadata import baseline_sense, read_baselines, read_sensor
from insar.readers.pairs import StoredPair, keep_first, order_dates, split_pair_name
from insar.readers.sources import (
    ALL_IS_DATA,
    INCIDENCE_LIMITS_DEG,
    LATITUDE_LIMITS_DEG,
    LONGITUDE_LIMITS_DEG,
    ZERO_IS_NO_DATA,
    Decoding,
    FlatCube,
    FlatPlane,
    Layer,
    cube_of,
    plane_of,
)
from insar.readers.xml_files import parse_xml
from insar.stack import Acquisition, Cube, Geometry, Plane, Stack

_PAIR_FOLDERS = ("merged/interferograms", "interferograms", "merged/Igrams", "Igrams")
_GEOMETRY_FOLDERS = ("geom_reference", "geom_master")
_GEOCODED = ".geo"
_INTERFEROGRAM_BANDS = (1, 2)


class IsceReader:
    """Opens ISCE2 topsStack and stripmapStack folders, in radar coordinates or geocoded."""

    expects = "merged/interferograms or Igrams with folders YYYYMMDD_YYYYMMDD that hold *.unw and *.unw.xml"

    def recognises(self, path: Path) -> bool:
        """Whether there is an unwrapped interferogram or a coherence in a place where ISCE2 puts it."""
        return _find_pairs_folder(path) is not None

    def open(self, path: Path) -> Stack:
        """Open a stack, see `insar.readers.base.Reader.open`."""
        folder = _find_pairs_folder(path)
        if folder is None:
            raise InputError(
                path,
                required=f"an ISCE2 stack: {self.expects}",
                found="no such file below it",
                remedy="Give the folder that holds merged or Igrams",
            )
        homes = [folder.parent, folder.parent.parent] if folder.parent.name == "merged" else [folder.parent]
        return _open(path, folder, homes)


READER: Reader = IsceReader()


@dataclass(frozen=True, slots=True)
class _PairFiles:
    phase: Path | None
    coherence: Path | None
    components: Path | None


def _open(path: Path, folder: Path, homes: Sequence[Path]) -> Stack:
    stored, notes = _find_pairs(folder)
    files = OpenFiles()
    first = stored[0].content
    images = _Images(first.phase or first.coherence or path)
    phase = _cube(stored, "unwrapped phase", lambda each: each.phase, images, files, notes, signed=True)
    coherence = _cube(stored, "coherence", lambda each: each.coherence, images, files, notes)
    components = _cube(stored, "connected components", lambda each: each.components, images, files, notes)
    grid = images.grid
    geometry, geometry_looks = _open_geometry(homes, images, files, notes)
    wavelength_m, acquisition = _sensor(homes, geometry_looks, notes, is_needed=phase is not None)
    baselines = read_baselines(homes)
    pairs = tuple(each.pair for each in stored)
    unknown = float("nan")
    perpendicular = np.array(
        [baselines.get(pair.secondary, unknown) - baselines.get(pair.reference, unknown) for pair in pairs]
    )
    if np.isnan(perpendicular).any():
        notes.append(f"perpendicular baseline unknown for {np.isnan(perpendicular).sum()} of {len(pairs)} pairs")
    return Stack(
        path,
        "isce",
        pairs,
        wavelength_m,
        perpendicular,
        grid,
        phase,
        coherence,
        components,
        geometry,
        replace(acquisition, baseline_sense=baseline_sense(homes)),
        tuple(notes),
    )


def _sensor(
    homes: Sequence[Path], looks: tuple[int, int] | None, notes: list[str], *, is_needed: bool
) -> tuple[float, Acquisition]:
    """Wavelength and acquisition; where no file states the wavelength and it is not needed, NaN and the looks."""
    try:
        return read_sensor(homes, looks)
    except MissingInputError:
        if is_needed:
            raise
        notes.append("wavelength unknown: coherence does not need it")
        range_looks, azimuth_looks = looks or (None, None)
        return float("nan"), Acquisition(range_looks=range_looks, azimuth_looks=azimuth_looks)


class _Images:
    """Rasters of the stack, all on the grid of the first."""

    def __init__(self, first: Path) -> None:
        self._first = first
        self.grid: Grid = read_isce_image(first, bands=_INTERFEROGRAM_BANDS).grid

    def open(self, path: Path, *, bands: tuple[int, ...]) -> IsceImage:
        image = read_isce_image(path, bands=bands)
        require_same_grid(self._first, self.grid, path, image.grid)
        return image


def _find_pairs_folder(path: Path) -> Path | None:
    top = path.absolute()
    places = [top / name for name in _PAIR_FOLDERS]
    if top.name in ("interferograms", "Igrams"):
        places.append(top)
    return next((place for place in places if _holds_rasters(place)), None)


def _holds_rasters(folder: Path) -> bool:
    return folder.is_dir() and any(
        _choose_files(entry.name, _names(entry)) is not None for entry in sorted(folder.iterdir()) if entry.is_dir()
    )


def _find_pairs(folder: Path) -> tuple[list[StoredPair[_PairFiles]], list[str]]:
    found, empty, crowded = [], [], []
    for entry in sorted(folder.iterdir()):
        if not entry.is_dir():
            continue
        chosen = _choose_files(entry.name, _names(entry))
        names = split_pair_name(entry.name)
        if chosen is None:
            empty += [entry] if names else []
            continue
        if names is None:
            raise InputError(
                entry,
                required="a folder of an interferogram named YYYYMMDD_YYYYMMDD",
                found=entry.name,
                remedy="Rename it after its two dates, or move it elsewhere",
            )
        pair, is_reversed = order_dates(entry, *names)
        located = _PairFiles(*(None if name is None else entry / name for name in chosen))
        found.append(StoredPair(f"{folder.name}/{entry.name}", pair, is_reversed, located))
        if located.phase is not None and sum(name.endswith(located.phase.suffix) for name in _names(entry)) > 1:
            crowded.append(located.phase)
    if any(each.content.phase for each in found):
        empty += [folder / Path(each.name).name for each in found if each.content.phase is None]
        found = [each for each in found if each.content.phase is not None]
    stored, notes = keep_first(found)
    if crowded:
        taken = crowded[0].relative_to(folder.parent)
        notes.append(
            f"{len(crowded)} folders have more than one unwrapped interferogram; taken is {taken} and the like"
        )
    notes += [f"{folder.name}/{entry.name} is left out: it has no unwrapped interferogram" for entry in sorted(empty)]
    return stored, notes


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_file())


def _choose_files(pair: str, names: Sequence[str]) -> tuple[str | None, str | None, str | None] | None:
    """Names of the unwrapped phase, coherence and components in a pair's folder; None where it has neither of two.

    Rasters in radar coordinates go before geocoded ones, filtered before unfiltered.
    """
    for suffix in ("", _GEOCODED):
        phase = _first_match(names, ("filt_fine", f"filt_{pair}_snaphu", f"filt_{pair}"), ".unw" + suffix)
        stem = (phase or "").removesuffix(".unw" + suffix)
        coherence = _first_match(names, (stem, stem.removesuffix("_snaphu"), "filt_fine"), ".cor" + suffix)
        if phase is not None or coherence is not None:
            components = f"{stem}.unw.conncomp{suffix}"
            return phase, coherence, components if components in names else None
    return None


def _first_match(names: Sequence[str], stems: Sequence[str], ending: str) -> str | None:
    # phsig.cor is the coherence inferred from the phase gradient, another quantity
    others = [name for name in names if name.endswith(ending) and not name.startswith("phsig")]
    preferred = [stem + ending for stem in stems] + sorted(others, key=lambda name: not name.startswith("filt"))
    return next((name for name in preferred if name in names), None)


def _cube(
    stored: Sequence[StoredPair[_PairFiles]],
    quantity: str,
    file_of: Callable[[_PairFiles], Path | None],
    images: _Images,
    files: OpenFiles,
    notes: list[str],
    *,
    signed: bool = False,
) -> Cube | None:
    layers: list[Layer | None] = []
    for each in stored:
        file = file_of(each.content)
        if file is None:
            layers.append(None)
            continue
        image = images.open(file, bands=_INTERFEROGRAM_BANDS)
        # the last band: the first of two is the amplitude, in .unw as in old .cor
        decoding = ZERO_IS_NO_DATA.negated() if signed and each.is_reversed else ZERO_IS_NO_DATA
        layers.append(Layer(image.band(-1), decoding))
    absent = [each.name for each, layer in zip(stored, layers, strict=True) if layer is None]
    if len(absent) == len(stored):
        return None
    if absent:
        notes.append(f"no {quantity} for {', '.join(absent)}: unknown (NaN) there")
    return cube_of(FlatCube(tuple(layers), files), len(stored), images.grid)


def _open_geometry(
    homes: Sequence[Path], images: _Images, files: OpenFiles, notes: list[str]
) -> tuple[Geometry, tuple[int, int] | None]:
    places = [home / name for home in homes for name in _GEOMETRY_FOLDERS]
    place = next((each for each in places if each.is_dir()), places[0])
    in_radar = images.grid.crs is None
    looks: list[tuple[int, int]] = []
    absent: list[str] = []

    def plane(
        name: str,
        *,
        bands: int = 1,
        band: int = 0,
        decoding: Decoding = ALL_IS_DATA,
        limits: tuple[float, float] | None = None,
    ) -> Plane | None:
        path = place / name if in_radar else _find_geocoded(place / name)
        if path is None or not path.exists():
            absent.append(name)
            return None
        image = images.open(path, bands=(bands,))
        looks.extend(filter(None, [_looks(image)]))
        return plane_of(FlatPlane(Layer(image.band(band), decoding), files, limits), images.grid)

    geometry = Geometry(
        # in radar coordinates exactly 0 marks pixels that the merged bursts do not cover
        latitude=plane("lat.rdr", decoding=ZERO_IS_NO_DATA, limits=LATITUDE_LIMITS_DEG) if in_radar else None,
        longitude=plane("lon.rdr", decoding=ZERO_IS_NO_DATA, limits=LONGITUDE_LIMITS_DEG) if in_radar else None,
        height=plane("hgt.rdr"),
        incidence_angle=plane("los.rdr", bands=2, decoding=ZERO_IS_NO_DATA, limits=INCIDENCE_LIMITS_DEG),
        azimuth_angle=plane("los.rdr", bands=2, band=1, decoding=ZERO_IS_NO_DATA),
        shadow_mask=plane("shadowMask.rdr"),
    )
    for name, found in (("lat.rdr", geometry.latitude), ("lon.rdr", geometry.longitude)):
        if in_radar and found is None:
            raise MissingInputError(
                place / name,
                required="the latitude and longitude of each pixel, without which radar coordinates have no place",
                found="no such file",
                remedy=f"Copy geom_reference of the ISCE2 stack to {place}",
            )
    if absent:
        notes.append(f"{place.name} has no {', '.join(sorted(set(absent)))}")
    return geometry, looks[0] if looks else None


def _find_geocoded(path: Path) -> Path | None:
    """A geometry raster that is geocoded: with ``.geo`` appended, or under its plain name."""
    renamed = path.with_name(path.name + _GEOCODED)
    if renamed.exists():
        return renamed
    if path.exists() and read_isce_image(path, bands=_INTERFEROGRAM_BANDS).grid.crs is not None:
        return path
    return None


def _looks(image: IsceImage) -> tuple[int, int] | None:
    """Looks in range and azimuth, from the size at full resolution beside the raster or from its own sidecar."""
    full = sidecar_of(image.path.with_name(image.path.name + ".full"))
    if full.is_file():
        texts = properties(parse_xml(full))
        try:
            ratios = int(texts["width"]) // image.cols, int(texts["length"]) // image.rows
        except (KeyError, ValueError):
            return image.looks
        if min(ratios) >= 1:
            return ratios
    return image.looks
