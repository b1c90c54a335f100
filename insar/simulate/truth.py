"""The answers to a simulated stack, written beside it."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.layers import TOWARD_SATELLITE, LayerDefinition, write_layer
from insar.simulate.scene import SimulatedScene

_STEP = LayerDefinition("step", "m", "True sudden displacement along the line of sight", TOWARD_SATELLITE)
_LAYERS = (
    LayerDefinition(
        "velocity", "m/yr", "True line-of-sight rate at the first date, without the seasonal term", TOWARD_SATELLITE
    ),
    LayerDefinition(
        "linear_rate", "m/yr", "Least-squares straight line through the true displacement", TOWARD_SATELLITE
    ),
    LayerDefinition(
        "last_rate", "m/yr", "True line-of-sight rate at the last date, without the seasonal term", TOWARD_SATELLITE
    ),
    LayerDefinition(
        "cumulative_displacement", "m", "True line-of-sight displacement of the last date", TOWARD_SATELLITE
    ),
    LayerDefinition("seasonal_amplitude", "m", "Amplitude of the true annual term"),
    LayerDefinition("dem", "m", "True height of the terrain"),
    LayerDefinition("dem_error", "m", "Height in the stack minus true height"),
    LayerDefinition("vegetation", "1", "Density of the vegetation, 0 bare to 1 dense"),
    LayerDefinition("incidence_angle", "deg", "Incidence angle from the vertical"),
    LayerDefinition("class", "class", "1 stable; 2 creeping; 3 accelerating", dtype="uint8", nodata=0),
)


def write_truth(scene: SimulatedScene, stack: SimulatedScene, folder: Path) -> None:
    """Write what is true of a scene.

    Parameters
    ----------
    scene
        On its map grid: one Cloud-Optimized GeoTIFF per quantity.
    stack
        The same scene on the pixels of the stack: ``stack.npz`` with the same quantities by the same names, (row,
        col), and ``displacement`` in metres relative to the first date, (date, row, col). Both in the stack's own
        order of rows and columns.
    folder
        Made if absent. ``truth.json`` in it holds the parameters, dates, baselines, moving slopes and unwrapping
        errors.
    """
    folder.mkdir(parents=True, exist_ok=True)
    on_map = _quantities(scene)
    for definition in (*_LAYERS, _STEP) if scene.parameters.step_date is not None else _LAYERS:
        write_layer(folder / f"{definition.name}.tif", on_map[definition.name], scene.pixels.grid, definition)
    on_stack: dict[str, Any] = {"displacement": stack.displacements_m(), **_quantities(stack)}
    np.savez_compressed(folder / "stack.npz", **on_stack)
    (folder / "truth.json").write_text(json.dumps(_description(stack), indent=2, allow_nan=False) + "\n", "utf-8")


def _quantities(scene: SimulatedScene) -> dict[str, Any]:
    fields = scene.fields
    quantities: dict[str, NDArray[Any]] = {
        "velocity": fields.velocity_m_per_year,
        "linear_rate": scene.linear_rate_m_per_year(),
        "last_rate": scene.last_rate_m_per_year(),
        "cumulative_displacement": scene.displacement_m(len(scene.dates) - 1),
        "seasonal_amplitude": fields.seasonal_amplitude_m,
        "dem": fields.height_m,
        "dem_error": fields.dem_error_m,
        "vegetation": fields.vegetation,
        "incidence_angle": fields.incidence_deg,
        "class": fields.kind,
    }
    if scene.parameters.step_date is not None:
        quantities["step"] = fields.step_m
    return quantities


def _description(stack: SimulatedScene) -> dict[str, Any]:
    map_grid = stack.pixels.map_grid
    return {
        "parameters": plain(asdict(stack.parameters)),
        "conventions": {
            "phase": "radians, positive where the range grew from the earlier to the later date",
            "displacement": "metres, positive toward the satellite: -wavelength / (4 pi) * phase",
            "dem_error": "height in the stack minus true height, metres; its phase is 4 pi / wavelength * "
            "perpendicular baseline / (slant range * sin(incidence)) * dem_error",
            "perpendicular_baselines_m": "positive where the look angle is smaller than at the first date, whatever "
            "sign the layout's processor has",
            "outlines": "row and col are pixels of the map grid, counted from the centre of the first one",
            "tif": "on the map grid",
            "npz": "on the stack's own pixels",
        },
        "map_grid": {
            "crs": map_grid.crs,
            "rows": map_grid.rows,
            "cols": map_grid.cols,
            "transform": list(map_grid.transform)[:6],
        },
        "stack_shape": list(stack.shape),
        "dates": [f"{day:%Y%m%d}" for day in stack.dates],
        "perpendicular_baselines_m": stack.perpendicular_baselines_m.tolist(),
        "pairs": [pair.name for pair in stack.pairs],
        "offset_cycles": stack.offset_cycles.tolist(),
        "stratification_m_per_km": stack.stratification_m_per_km.tolist(),
        "ramps_m": stack.ramps_m.tolist(),
        "slopes": [plain(asdict(slope)) for slope in stack.slopes],
        "jumps": [plain(asdict(jump)) | {"pair": stack.pairs[jump.pair_index].name} for jump in stack.jumps],
    }


def plain(value: Any) -> Any:
    """What JSON can hold: dates as text, infinity as a word."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and math.isinf(value):
        return "infinity"
    return value
