"""MintPy's stack of interferograms, ``ifgramStack.h5``, with its geometry file beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.errors import InputError
from insar.grid import Grid
from insar.readers.attributes import number_of, sensor_of
from insar.readers.base import Reader
from insar.readers.crs import WGS84, utm_crs
from insar.readers.files import OpenFiles
from insar.readers.hdf5 import open_cube, open_hdf5, open_plane
from insar.readers.pairs import StoredPair, keep_first, order_dates
from insar.readers.sources import (
    ALL_IS_DATA,
    INCIDENCE_LIMITS_DEG,
    LATITUDE_LIMITS_DEG,
    LONGITUDE_LIMITS_DEG,
    ZERO_IS_NO_DATA,
    Decoding,
)
from insar.stack import Cube, Geometry, Plane, Stack

_STACK_NAME = "ifgramStack.h5"
_PLACES = (f"inputs/{_STACK_NAME}", _STACK_NAME)
_SUFFIXES = (".h5", ".he5", ".hdf5")


class MintpyReader:
    """Opens ``ifgramStack.h5``, on a map grid or in radar coordinates."""

    expects = f"{_STACK_NAME} or inputs/{_STACK_NAME}"

    def recognises(self, path: Path) -> bool:
        """Whether it is an HDF5 file by name, or a folder with one where MintPy puts it."""
        return _find_file(path) is not None

    def open(self, path: Path) -> Stack:
        """Open a stack, see `insar.readers.base.Reader.open`."""
        file = _find_file(path)
        if file is None:
            raise InputError(
                path,
                required=f"MintPy's stack: {self.expects}",
                found="no such file",
                remedy="Give the .h5 file itself",
            )
        return _open(path, file)


READER: Reader = MintpyReader()


def _find_file(path: Path) -> Path | None:
    if path.is_file():
        return path if path.suffix.lower() in _SUFFIXES else None
    return next((path / name for name in _PLACES if (path / name).is_file()), None)


@dataclass(frozen=True, slots=True)
class _Table:
    """Interferograms of the file: which of its layers each is, sorted by pair."""

    stored: Sequence[StoredPair[int]]
    layers: int

    @property
    def indices(self) -> NDArray[np.intp]:
        return np.array([each.content for each in self.stored], dtype=np.intp)

    @property
    def signs(self) -> NDArray[np.float64]:
        return np.array([-1.0 if each.is_reversed else 1.0 for each in self.stored])


def _open(path: Path, file: Path) -> Stack:
    files = OpenFiles()
    with open_hdf5(file) as source:
        attributes = _attributes(source)
        table, notes = _read_table(file, source)
        grid = _grid(file, attributes, source)
        phase = _cube(file, source, "unwrapPhase", table, grid, files, signed=True)
        coherence = _cube(file, source, "coherence", table, grid, files)
        components = _cube(file, source, "connectComponent", table, grid, files)
        baselines = _baselines(file, source, table)
    if phase is None and coherence is None:
        raise InputError(
            file, required="a dataset unwrapPhase or coherence", found="neither", remedy="Load the stack again"
        )
    sensor = sensor_of(file, attributes)
    if sensor.wavelength_m is None and phase is not None:
        raise InputError(
            file, required="the attribute WAVELENGTH (metres)", found="none", remedy="Load the stack again"
        )
    if np.isnan(baselines).any():
        notes.append(f"perpendicular baseline unknown for {np.isnan(baselines).sum()} of {len(baselines)} pairs")
    return Stack(
        path,
        "mintpy",
        tuple(each.pair for each in table.stored),
        math.nan if sensor.wavelength_m is None else sensor.wavelength_m,
        baselines,
        grid,
        phase,
        coherence,
        components,
        _geometry(file, grid, files, notes),
        replace(sensor.acquisition, baseline_sense=_baseline_sense(attributes)),
        tuple(notes),
    )


def _attributes(source: Any) -> dict[str, str]:
    return {
        str(name).upper(): value.decode() if isinstance(value, bytes) else str(value)
        for name, value in source.attrs.items()
    }


def _read_table(file: Path, source: Any) -> tuple[_Table, list[str]]:
    dates = source.get("date")
    if dates is None or dates.ndim != 2 or dates.shape[1] != 2:
        raise InputError(
            file,
            required="a stack of interferograms with a dataset date of (pair, 2)",
            found="no dataset date" if dates is None else f"a dataset date of shape {dates.shape}",
            remedy=f"Give {_STACK_NAME}, not a time series or a velocity",
        )
    names = [[_text(value) for value in row] for row in dates[()]]
    kept = np.ones(len(names), dtype=bool)
    if "dropIfgram" in source:  # despite its name True means: keep
        kept = np.asarray(source["dropIfgram"][()], dtype=bool)
    if len(kept) != len(names) or not kept.any():
        raise InputError(
            file,
            required="interferograms that are not dropped, and one value of dropIfgram for each",
            found=f"{np.count_nonzero(kept)} kept of {len(kept)} values for {len(names)} interferograms",
            remedy="Reset dropIfgram (MintPy: modify_network.py --reset)",
        )
    stored = []
    for index, (first, second) in enumerate(names):
        if kept[index]:
            name = f"{first}_{second}"
            pair, is_reversed = order_dates(f"interferogram {index + 1} ({name}) of {file}", first, second)
            stored.append(StoredPair(f"{name} (interferogram {index + 1})", pair, is_reversed, index))
    chosen, notes = keep_first(stored)
    if not kept.all():
        notes.append(f"{np.count_nonzero(~kept)} of {len(kept)} interferograms are left out: marked by dropIfgram")
    return _Table(chosen, len(names)), notes


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _baselines(file: Path, source: Any, table: _Table) -> NDArray[np.float64]:
    if "bperp" not in source:
        return np.full(len(table.stored), np.nan)
    values = np.asarray(source["bperp"][()], dtype=np.float64)
    if values.shape != (table.layers,):
        raise InputError(
            file,
            required=f"a dataset bperp of {table.layers} values",
            found=f"shape {values.shape}",
            remedy="Load the stack again",
        )
    baselines: NDArray[np.float64] = values[table.indices] * table.signs
    return baselines


def _baseline_sense(attributes: Mapping[str, str]) -> int | None:
    """`Acquisition.baseline_sense` of the processor whose products MintPy loaded; None of others."""
    match attributes.get("PROCESSOR", "").lower():
        case "aria":
            return -1
        case "isce":  # stripmapStack's sign is the opposite of topsStack's
            return 1 if attributes.get("BEAM_MODE", "").upper() == "SM" else -1
        case "snap" | "gamma" | "hyp3" | "roipac":
            return 1
    return None


def _grid(file: Path, attributes: Mapping[str, str], source: Any) -> Grid:
    cubes = [source[name] for name in ("unwrapPhase", "coherence") if name in source]
    if not cubes or cubes[0].ndim != 3:
        raise InputError(
            file,
            required="a dataset unwrapPhase or coherence of (pair, row, col)",
            found=f"datasets {', '.join(sorted(source))}",
            remedy=f"Give {_STACK_NAME} as MintPy wrote it",
        )
    rows, cols = (int(size) for size in cubes[0].shape[1:])
    return grid_of_attributes(file, attributes, rows, cols)


def grid_of_attributes(path: Path, attributes: Mapping[str, str], rows: int, cols: int) -> Grid:
    """Grid of a MintPy file: a map grid where it has ``X_FIRST``, else radar coordinates.

    Raises
    ------
    InputError
        The map grid is not stated in full.
    """
    if "X_FIRST" not in attributes:
        return Grid.radar(rows, cols)
    x_first, y_first, x_step, y_step = (
        number_of(path, attributes, name) for name in ("X_FIRST", "Y_FIRST", "X_STEP", "Y_STEP")
    )
    if x_first is None or y_first is None or x_step is None or y_step is None or x_step <= 0 or y_step >= 0:
        raise InputError(
            path,
            required="numbers as X_FIRST, Y_FIRST, X_STEP (positive) and Y_STEP (negative)",
            found=", ".join(str(value) for value in (x_first, y_first, x_step, y_step)),
            remedy="Load the stack again",
        )
    return Grid(rows, cols, Affine(x_step, 0.0, x_first, 0.0, y_step, y_first), _crs(path, attributes))


def _crs(path: Path, attributes: Mapping[str, str]) -> str:
    epsg = number_of(path, attributes, "EPSG")
    if epsg is not None:
        return f"EPSG:{epsg:.0f}"
    if attributes.get("X_UNIT", "degrees").lower().startswith("deg"):
        return WGS84
    zone = attributes.get("UTM_ZONE", "").strip().upper()
    if zone[:-1].isdigit() and 1 <= int(zone[:-1]) <= 60 and zone[-1] in "NS":
        return utm_crs(int(zone[:-1]), north=zone[-1] == "N")
    raise InputError(
        path,
        required="the attribute EPSG, or UTM_ZONE such as 14N, of a grid in metres",
        found=f"UTM_ZONE {zone}" if zone else "neither",
        remedy="Add the attribute EPSG to the file",
    )


def _cube(
    file: Path, source: Any, name: str, table: _Table, grid: Grid, files: OpenFiles, *, signed: bool = False
) -> Cube | None:
    dataset = source.get(name)
    if dataset is None:
        return None
    if dataset.shape != (table.layers, grid.rows, grid.cols):
        raise InputError(
            file,
            required=f"a dataset {name} of {table.layers} interferograms, {grid.rows} rows x {grid.cols} columns",
            found=f"shape {dataset.shape}",
            remedy="Load the stack again",
        )
    decodings = [ZERO_IS_NO_DATA] * table.layers
    if signed:
        for each in table.stored:
            decodings[each.content] = ZERO_IS_NO_DATA.negated() if each.is_reversed else ZERO_IS_NO_DATA
    return Cube(open_cube(file, dataset, decodings, files), table.indices, grid.rows, grid.cols)


def _geometry(file: Path, grid: Grid, files: OpenFiles, notes: list[str]) -> Geometry:
    path = file.with_name("geometryRadar.h5" if grid.crs is None else "geometryGeo.h5")
    if not path.is_file():
        notes.append(f"no {path.name} beside {file.name}: no height and no angles")
        return Geometry()
    with open_hdf5(path) as source:

        def plane(
            name: str, decoding: Decoding = ZERO_IS_NO_DATA, limits: tuple[float, float] | None = None
        ) -> Plane | None:
            dataset = source.get(name)
            if dataset is None:
                return None
            if dataset.shape != grid.shape:
                raise InputError(
                    path,
                    required=f"the size of {file}: {grid.rows} rows x {grid.cols} columns",
                    found=f"a dataset {name} of shape {dataset.shape}",
                    remedy="Take both files from the same run of MintPy",
                )
            return Plane(open_plane(path, dataset, decoding, files, limits), grid.rows, grid.cols)

        in_radar = grid.crs is None
        return Geometry(
            latitude=plane("latitude", limits=LATITUDE_LIMITS_DEG) if in_radar else None,
            longitude=plane("longitude", limits=LONGITUDE_LIMITS_DEG) if in_radar else None,
            height=plane("height", ALL_IS_DATA),
            incidence_angle=plane("incidenceAngle", limits=INCIDENCE_LIMITS_DEG),
            azimuth_angle=plane("azimuthAngle"),
            shadow_mask=plane("shadowMask", ALL_IS_DATA),
        )
