"""ROI_PAC stacks: geocoded ``.unw`` and ``.cor`` with a ``.rsc`` beside each, in one folder or in one for each pair.

Signs. ROI_PAC forms an interferogram as the first image times the conjugate of the second, so that its unwrapped phase
grows where the range grew from the first date of ``DATE12`` to the second: the convention of this package. A pair whose
first date is the later one, which is common in ROI_PAC, is negated.

Place. ``X_FIRST`` and ``Y_FIRST`` are the outer corner of the first pixel.

Rasters are little-endian, of two bands by line: amplitude, then phase or coherence. No data is a phase of 0; the
amplitude says nothing, being 0 throughout in files that other programs wrote.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from insar.errors import InputError
from insar.grid import Grid
from insar.readers import gamma
from insar.readers.attributes import merge_acquisitions, sensor_of
from insar.readers.base import Reader
from insar.readers.byte_order import require_byte_order
from insar.readers.files import OpenFiles
from insar.readers.flat import FlatBand, Interleave
from insar.readers.grids import require_same_grid
from insar.readers.named_pairs import (
    RECOGNITION_DEPTH,
    PairRasters,
    cube_of_rasters,
    find_two_dates,
    join_coherence,
    require_pairs,
    stored_pair,
    walk_files,
)
from insar.readers.pairs import StoredPair
from insar.readers.roipac_header import RoipacHeader, read_header
from insar.readers.sources import Decoding, FlatPlane, Layer, plane_of
from insar.stack import Geometry, Pair, Plane, Stack

_PHASE, _COHERENCE, _HEIGHT, _BASELINE = ".unw.rsc", ".cor.rsc", ".dem.rsc", "baseline.rsc"
_GRADIENT_COHERENCE = "phsig"  # inferred from the phase gradient, another quantity
_VOID_HEIGHT = -32768.0
_SWAPPED = "It was written on another kind of machine: swap the bytes of every raster of the stack"


class RoipacReader:
    """Opens folders of geocoded ROI_PAC interferograms."""

    expects = "*.unw with *.unw.rsc, in the folder or in folders below it"

    def recognises(self, path: Path) -> bool:
        """Whether there is a ``.unw.rsc`` or a ``.cor.rsc`` at most two folders below.

        MintPy puts such files beside the interferograms of ISCE2, known by their ``.xml``, and of GAMMA.
        """
        if not path.is_dir():
            return False
        found = walk_files(path, RECOGNITION_DEPTH)
        headers = (file for file in found if _ends(file, _PHASE) or _ends(file, _COHERENCE))
        is_roipac = any(not file.with_suffix(".xml").exists() for file in headers)
        return is_roipac and not gamma.READER.recognises(path)

    def open(self, path: Path) -> Stack:
        """Open a stack, see `insar.readers.base.Reader.open`."""
        if not path.is_dir():
            raise InputError(
                path,
                required="a folder with ROI_PAC interferograms",
                found="a file",
                remedy="Give the folder that holds the .unw and .unw.rsc files",
            )
        return _open(path, tuple(walk_files(path)))


READER: Reader = RoipacReader()


def _open(path: Path, found: Sequence[Path]) -> Stack:
    notes: list[str] = []
    headers = {
        header.raster: header
        for file in found
        if _ends(file, _PHASE) or _ends(file, _COHERENCE)
        for header in [read_header(file)]
    }
    phases, coherences = _dated(path, headers, _PHASE, notes), _dated(path, headers, _COHERENCE, notes)
    require_pairs(
        path,
        phases or coherences,
        "interferograms *.unw with headers *.unw.rsc that state their DATE12",
        "Copy the .rsc files beside the interferograms",
    )
    alone = [str(file.relative_to(path)) for file in found if _ends(file, ".unw") and file not in headers]
    notes += [f"{name} is left out: it has no .rsc" for name in alone]
    phases, coherences = _on_map(phases, headers, notes), _on_map(coherences, headers, notes)
    if not phases and not coherences:
        raise InputError(
            path,
            required="geocoded interferograms, with X_FIRST and Y_FIRST in their .rsc",
            found="interferograms in radar coordinates alone",
            remedy="Geocode them (geo_*.unw)",
        )
    stored, left_out = join_coherence(phases, coherences)
    notes += left_out

    used = [headers[raster] for each in stored for raster in _rasters(each.content)]
    grid = used[0].map_grid()
    for header in used:
        require_same_grid(used[0].path, grid, header.path, header.map_grid())
        _band(header.raster, grid).check_file()
        require_byte_order(header.raster, big=False, remedy=_SWAPPED)
    firsts = [headers[_rasters(each.content)[0]] for each in stored]
    baselines = _baselines(path, stored, firsts, found)
    if np.isnan(baselines).any():
        notes.append(f"perpendicular baseline unknown for {np.isnan(baselines).sum()} of {len(baselines)} pairs")
    files = OpenFiles()
    height = _height(found, used[0].path, grid, files, notes)
    notes.append("no incidence angle: ROI_PAC writes none beside its interferograms")
    return Stack(
        path,
        "roipac",
        tuple(each.pair for each in stored),
        _wavelength(firsts) if phases or _state_wavelength(firsts) else math.nan,
        baselines,
        grid,
        cube_of_rasters(stored, lambda each: each.phase, _band, grid, files, signed=True),
        cube_of_rasters(stored, lambda each: each.coherence, _band, grid, files),
        geometry=Geometry(height=height),
        acquisition=replace(
            merge_acquisitions([sensor_of(each.path, each.entries).acquisition for each in firsts]), baseline_sense=1
        ),
        notes=tuple(notes),
    )


def _ends(file: Path, ending: str) -> bool:
    return file.name.lower().endswith(ending)


def _rasters(content: PairRasters) -> list[Path]:
    return [raster for raster in (content.phase, content.coherence) if raster is not None]


def _dated(path: Path, headers: Mapping[Path, RoipacHeader], ending: str, notes: list[str]) -> list[StoredPair[Path]]:
    found = []
    for raster, header in headers.items():
        if not _ends(header.path, ending) or _GRADIENT_COHERENCE in raster.name.lower():
            continue
        dates = header.dates()
        if dates is None:
            notes.append(f"{raster.relative_to(path)} is left out: neither its name nor DATE12 states two dates")
        else:
            found.append(stored_pair(path, raster, dates))
    return sorted(found, key=lambda each: (each.pair, each.name))


def _on_map(
    rasters: Sequence[StoredPair[Path]], headers: Mapping[Path, RoipacHeader], notes: list[str]
) -> list[StoredPair[Path]]:
    kept = [each for each in rasters if headers[each.content].is_on_map]
    in_radar = [each.name for each in rasters if not headers[each.content].is_on_map]
    if in_radar:
        notes.append(f"left out, not geocoded: {', '.join(in_radar)}")
    return kept


def _band(raster: Path, grid: Grid) -> FlatBand:
    return FlatBand(raster, "<f4", grid.rows, grid.cols, bands=2, band=1, interleave=Interleave.BIL)


def _state_wavelength(headers: Sequence[RoipacHeader]) -> bool:
    return any(header.number("WAVELENGTH") is not None for header in headers)


def _wavelength(headers: Sequence[RoipacHeader]) -> float:
    first: float | None = None
    for header in headers:
        found = header.number("WAVELENGTH")
        if found is None or found <= 0:
            raise InputError(
                header.path,
                required="the radar wavelength in metres as WAVELENGTH",
                found=header.entries.get("WAVELENGTH", "no such entry"),
                remedy="Copy it from the .rsc of the interferogram in radar coordinates",
            )
        first = found if first is None else first
        if abs(found / first - 1.0) > 1e-3:
            raise InputError(
                header.path,
                required=f"the wavelength of {headers[0].path}: {first} m",
                found=f"{found} m",
                remedy="Put the interferograms of each sensor in a folder of their own",
            )
    return headers[0].number("WAVELENGTH") or math.nan


def _baselines(
    path: Path, stored: Sequence[StoredPair[PairRasters]], headers: Sequence[RoipacHeader], found: Sequence[Path]
) -> NDArray[np.float64]:
    """Perpendicular baselines, from the header of the interferogram or from ``<date>-<date>_baseline.rsc``."""
    stated: dict[Pair, float] = {}
    for file in found:
        dates = find_two_dates(file.name) if _ends(file, _BASELINE) else None
        if dates is not None:
            each = stored_pair(path, file, dates)
            value = read_header(file).baseline_m()
            stated.setdefault(each.pair, -value if each.is_reversed else value)
    baselines = []
    for each_stored, header in zip(stored, headers, strict=True):
        own = header.baseline_m()
        if math.isnan(own):
            baselines.append(stated.get(each_stored.pair, math.nan))
        else:
            baselines.append(-own if each_stored.is_reversed else own)
    return np.array(baselines, dtype=np.float64)


def _height(found: Sequence[Path], first: Path, grid: Grid, files: OpenFiles, notes: list[str]) -> Plane | None:
    """Heights of the ``.dem`` that is on the grid of the interferograms; the one they were made with may be larger."""
    others = []
    for file in found:
        if not _ends(file, _HEIGHT):
            continue
        header = read_header(file)
        if not header.map_grid().same_as(grid):
            others.append(file.name)
            continue
        band = FlatBand(header.raster, "<i2", grid.rows, grid.cols)
        band.check_file()
        scale, offset = header.number("Z_SCALE"), header.number("Z_OFFSET")
        decoding = Decoding((_VOID_HEIGHT,), 1.0 if scale is None else scale, offset or 0.0)
        return plane_of(FlatPlane(Layer(band, decoding), files), grid)
    unused = f" ({', '.join(others)}: on another grid)" if others else ""
    notes.append(f"no height: no .dem with .dem.rsc on the grid of {first.name}{unused}")
    return None
