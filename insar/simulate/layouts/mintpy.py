"""MintPy: one HDF5 file with all interferograms, and one with the geometry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import RowCol
from insar.simulate.layouts.base import Progress, no_data_as_zero
from insar.simulate.orbit import ScenePass
from insar.simulate.scene import SimulatedScene
from insar.simulate.view import EARTH_RADIUS_M, PLATFORM_HEIGHT_M, slant_range_m

DEEPEST_BATCH = 32  # interferograms that are held in memory to fill whole chunks at a time


@dataclass(frozen=True, slots=True)
class Mintpy:
    """``inputs/ifgramStack.h5`` and ``inputs/geometryGeo.h5`` on a map grid, as MintPy's load_data leaves them."""

    name: str = "mintpy"

    def place(self, scene: SimulatedScene) -> SimulatedScene:
        """A scene on the map grid that its parameters ask for."""
        return scene.on_geographic_grid() if scene.parameters.map_projection == "geographic" else scene

    def write(self, stack: SimulatedScene, folder: Path, progress: Progress) -> None:
        """Write both files."""
        (folder / "inputs").mkdir()
        write_mintpy_stack(stack, folder / "inputs" / "ifgramStack.h5", progress=progress)
        _write_geometry(stack, folder / "inputs" / "geometryGeo.h5")


def write_mintpy_stack(
    stack: SimulatedScene,
    path: Path,
    *,
    chunks: bool | tuple[int, int, int] = True,
    reference: RowCol | None = None,
    progress: Progress | None = None,
) -> None:
    """Write the interferograms of a scene as MintPy's ``ifgramStack.h5``.

    Parameters
    ----------
    stack
        On a map grid.
    path
        File to write.
    chunks
        Shape of the chunks (pair, row, col) of the cubes; True leaves it to HDF5, as MintPy does, and False stores
        them in one piece.
    reference
        Reference pixel to name in the attributes, which MintPy's inversion needs.
    progress
        Called after each interferogram.
    """
    import h5py

    pairs = stack.pairs
    shape = (len(pairs), *stack.shape)
    with h5py.File(path, "w") as file:
        for key, value in _attributes(stack, "ifgramStack", "radian", reference).items():
            file.attrs[key] = value
        names = [[f"{day:%Y%m%d}".encode() for day in (pair.reference, pair.secondary)] for pair in pairs]
        file["date"] = np.array(names, dtype="S8")
        # topsStack's sign: positive where the secondary has the larger look angle.
        file["bperp"] = np.array([-stack.pair_baseline_m(index) for index in range(len(pairs))], np.float32)
        file["dropIfgram"] = np.ones(len(pairs), bool)  # True is MintPy's word for keeping it
        cubes = {
            name: file.create_dataset(name, shape, dtype, chunks=None if chunks is False else chunks)
            for name, dtype in (("unwrapPhase", "f4"), ("coherence", "f4"), ("connectComponent", "i2"))
        }
        depth = 1 if chunks is False else min(cubes["unwrapPhase"].chunks[0], DEEPEST_BATCH)
        for start in range(0, len(pairs), depth):
            batch = range(start, min(start + depth, len(pairs)))
            phase, coherence, components = _batch(stack, batch, progress)
            window = slice(batch.start, batch.stop)
            cubes["unwrapPhase"][window] = phase
            cubes["coherence"][window] = coherence
            cubes["connectComponent"][window] = components


def _batch(
    stack: SimulatedScene, indices: range, progress: Progress | None
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int16]]:
    shape = (len(indices), *stack.shape)
    phase, coherence = np.empty(shape, np.float32), np.empty(shape, np.float32)
    components = np.empty(shape, np.int16)
    for place, index in enumerate(indices):
        interferogram = stack.interferogram(index)
        phase[place] = no_data_as_zero(interferogram.phase_rad)
        coherence[place] = no_data_as_zero(interferogram.coherence)
        components[place] = interferogram.components
        if progress is not None:
            progress(index + 1, len(stack.pairs))
    return phase, coherence, components


def _write_geometry(stack: SimulatedScene, path: Path) -> None:
    import h5py

    incidence = stack.fields.incidence_deg
    with h5py.File(path, "w") as file:
        for key, value in _attributes(stack, "geometry", "1", None).items():
            file.attrs[key] = value
        file["height"] = stack.stack_height_m
        file["incidenceAngle"] = incidence
        file["azimuthAngle"] = np.full(stack.shape, -stack.azimuth_angle_deg, np.float32)
        file["slantRangeDistance"] = slant_range_m(incidence).astype(np.float32)
        file["shadowMask"] = stack.fields.visibility


def _attributes(stack: SimulatedScene, file_type: str, unit: str, reference: RowCol | None) -> dict[str, str]:
    parameters, grid, over = stack.parameters, stack.pixels.grid, ScenePass.over(stack)
    transform = grid.transform
    values: dict[str, Any] = {
        "FILE_TYPE": file_type,
        "LENGTH": grid.rows,
        "WIDTH": grid.cols,
        "UNIT": unit,
        "X_FIRST": transform.c,
        "Y_FIRST": transform.f,
        "X_STEP": transform.a,
        "Y_STEP": transform.e,
        "X_UNIT": "degrees" if grid.is_geographic else "meters",
        "Y_UNIT": "degrees" if grid.is_geographic else "meters",
        "EPSG": str(grid.crs).removeprefix("EPSG:"),
        "WAVELENGTH": parameters.wavelength_m,
        "ORBIT_DIRECTION": parameters.orbit_direction.upper(),
        "HEADING": stack.heading_deg,
        "ANTENNA_SIDE": -1,
        "PLATFORM": "Sen",
        "PROCESSOR": "isce",
        "beam_mode": "IW",
        "START_DATE": f"{stack.dates[0]:%Y%m%d}",
        "END_DATE": f"{stack.dates[-1]:%Y%m%d}",
        "CENTER_LINE_UTC": over.center_line_utc_s,
        "STARTING_RANGE": over.starting_range_m,
        "RANGE_PIXEL_SIZE": over.range_pixel_size_m * parameters.range_looks,
        "AZIMUTH_PIXEL_SIZE": over.azimuth_pixel_size_m * parameters.azimuth_looks,
        "EARTH_RADIUS": EARTH_RADIUS_M,
        "HEIGHT": PLATFORM_HEIGHT_M,
        "ALOOKS": parameters.azimuth_looks,
        "RLOOKS": parameters.range_looks,
    }
    if not grid.is_geographic:
        zone = int(values["EPSG"]) % 100
        values["UTM_ZONE"] = f"{zone}{'N' if parameters.center_lat_deg >= 0 else 'S'}"
    corners = (
        ((-1, 0), (-1, -1), (0, 0), (0, -1))
        if parameters.orbit_direction == "descending"
        else ((0, 0), (0, -1), (-1, 0), (-1, -1))
    )
    lon, lat = stack.pixels.lonlat()
    for number, (row, col) in enumerate(corners, start=1):
        values[f"LAT_REF{number}"] = lat[row, col]
        values[f"LON_REF{number}"] = lon[row, col]
    if reference is not None:
        values["REF_Y"], values["REF_X"] = reference
        values["REF_LAT"] = transform.f + (reference.row + 0.5) * transform.e
        values["REF_LON"] = transform.c + (reference.col + 0.5) * transform.a
    return {key: str(value) for key, value in values.items()}
