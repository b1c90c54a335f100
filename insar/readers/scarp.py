"""Results of this package that hold the coherence of pairs, as a stack of coherence alone.

``insar coherence`` leaves ``coherence/<YYYYMMDD_YYYYMMDD>.tif``, and ``sibling/`` likewise where it was made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from insar.errors import InputError, MissingInputError
from insar.readers.base import Reader
from insar.readers.coherence_rasters import CoherenceRasters, find_rasters, open_rasters
from insar.readers.geotiff import RasterLayer, RasterPlane, read_geotiff
from insar.readers.grids import require_same_grid
from insar.readers.sources import ALL_IS_DATA, INCIDENCE_LIMITS_DEG, plane_of
from insar.stack import Acquisition, Cube, Geometry, Pair, Plane, Stack

_MANIFEST = "manifest.json"
_COHERENCE, _SIBLING = "coherence", "sibling"


class ScarpReader:
    """Opens result folders of ``insar coherence``."""

    expects = "manifest.json and coherence/YYYYMMDD_YYYYMMDD.tif, as insar coherence leaves them"

    def recognises(self, path: Path) -> bool:
        """Whether there are a manifest and a coherence of a pair."""
        return (path / _MANIFEST).is_file() and (path / _COHERENCE).is_dir() and bool(find_rasters(path / _COHERENCE))

    def open(self, path: Path) -> Stack:
        """Open a result, see `insar.readers.base.Reader.open`."""
        if not self.recognises(path):
            raise MissingInputError(
                path,
                required=f"a result of insar coherence: {self.expects}",
                found="no such files",
                remedy="Give the folder that insar coherence wrote",
            )
        return _open(path)


READER: Reader = ScarpReader()


def sibling_cube(path: Path) -> tuple[tuple[Pair, ...], Cube] | None:
    """Sibling coherence of a result, and the pairs that it is of; None where it was not made.

    Raises
    ------
    InputError
        It is not on the grid of the coherence.
    """
    folder = path / _SIBLING
    if not READER.recognises(path) or not folder.is_dir() or not find_rasters(folder):
        return None
    boxcar, sibling = _read(path / _COHERENCE), _read(folder)
    require_same_grid(boxcar.first, boxcar.grid, sibling.first, sibling.grid)
    return sibling.pairs, sibling.cube


def _open(path: Path) -> Stack:
    inputs = _inputs(path / _MANIFEST)
    found = _read(path / _COHERENCE)
    notes = list(found.notes)
    names = {pair.name for pair in found.pairs}
    absent = [name for name in inputs.get("pairs") or [] if name not in names]
    if absent:
        notes.append(f"no coherence for {', '.join(absent)}, which {_MANIFEST} lists")
    return Stack(
        path,
        "scarp",
        found.pairs,
        _number(inputs.get("wavelength_m")),
        np.full(len(found.pairs), np.nan),
        found.grid,
        coherence=found.cube,
        geometry=_geometry(path / "layers", found, notes),
        acquisition=_acquisition(inputs.get("acquisition")),
        notes=tuple(notes),
    )


def _read(folder: Path) -> CoherenceRasters:
    # what this package writes marks no data by NaN: a coherence of 0 is one
    return open_rasters(find_rasters(folder), zero_is_data=True, may_be_radar=True)


def _inputs(manifest: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            manifest, required="JSON", found=str(error), remedy="The file is damaged: run insar coherence again"
        ) from error
    inputs = content.get("inputs") if isinstance(content, Mapping) else None
    return inputs if isinstance(inputs, Mapping) else {}


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else float("nan")


def _acquisition(told: object) -> Acquisition:
    known = {entry.name for entry in fields(Acquisition)}
    return (
        Acquisition(**{name: value for name, value in told.items() if name in known})
        if isinstance(told, Mapping)
        else Acquisition()
    )


def _geometry(folder: Path, found: CoherenceRasters, notes: list[str]) -> Geometry:
    def plane(name: str, limits: tuple[float, float] | None = None) -> Plane | None:
        file = folder / f"{name}.tif"
        if not file.is_file():
            notes.append(f"no {name.replace('_', ' ')}: the result has no layers/{file.name}")
            return None
        header = read_geotiff(file, may_be_radar=True)
        require_same_grid(found.first, found.grid, file, header.grid)
        layer = RasterLayer.on_grid(header, found.grid, ALL_IS_DATA, limits)
        return plane_of(RasterPlane(layer, found.rasters), found.grid)

    return Geometry(height=plane("height"), incidence_angle=plane("incidence_angle", INCIDENCE_LIMITS_DEG))
