"""The answers to a simulated event, written beside its images."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.layers import LayerDefinition, write_layer
from insar.simulate.event_parameters import Cover, Polarisation
from insar.simulate.event_scene import LANDSLIDE, NO_LANDSLIDE, EventScene
from insar.simulate.truth import plain

COHERENCES = ("coherence_pre", "coherence_co", "coherence_post")

_LAYERS = (
    LayerDefinition("landslides", "class", "1 no landslide; 2 landslide", dtype="uint8", nodata=0),
    LayerDefinition("land_cover", "class", "1 bare; 2 grass; 3 forest; 4 water", dtype="uint8", nodata=0),
    LayerDefinition("dem", "m", "True height of the terrain"),
    LayerDefinition("coherence_pre", "1", "True coherence of the last pair before the event"),
    LayerDefinition("coherence_co", "1", "True coherence of the pair across the event"),
    LayerDefinition("coherence_post", "1", "True coherence of the first pair after the event"),
    LayerDefinition("vv_difference", "dB", "True change of VV backscatter at the event"),
    LayerDefinition("vh_difference", "dB", "True change of VH backscatter at the event"),
)


def write_event_truth(scene: EventScene, folder: Path) -> None:
    """Write what is true of an event.

    Parameters
    ----------
    scene
        On the pixels of its images.
    folder
        Made if absent. One Cloud-Optimized GeoTIFF per quantity on a map of the ground, the images' own map if they
        have one; for images in radar coordinates, ``<quantity>.npy`` besides, (row, col) on the images' own pixels;
        ``truth.json`` with the parameters, dates, pairs, outlines and baselines.
    """
    folder.mkdir(parents=True, exist_ok=True)
    on_map = scene.on_map() if scene.in_radar_coordinates else scene
    for definition in _LAYERS:
        quantity = _quantity(on_map, definition.name)
        if quantity is not None:
            write_layer(folder / f"{definition.name}.tif", quantity, on_map.frame.grid, definition)
    if scene.in_radar_coordinates:
        for definition in _LAYERS:
            quantity = _quantity(scene, definition.name)
            if quantity is not None:
                _write_array(folder / f"{definition.name}.npy", scene, quantity, definition.dtype)
    description = _description(scene, on_map)
    (folder / "truth.json").write_text(json.dumps(description, indent=2, allow_nan=False) + "\n", "utf-8")


def _write_array(path: Path, scene: EventScene, quantity: Callable[[slice], NDArray[Any]], dtype: str) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": scene.shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for rows in scene.strips:
            file.write(np.ascontiguousarray(quantity(rows), dtype).data)


def _quantity(scene: EventScene, name: str) -> Callable[[slice], NDArray[Any]] | None:
    """Values of a quantity for rows; None where there are too few dates for it."""
    before = scene.parameters.acquisitions_before
    if name in COHERENCES:
        first = before - 2 + COHERENCES.index(name)
        if first < 0 or first + 1 >= scene.parameters.acquisitions:
            return None
        return lambda rows: scene.coherence(rows, first, first + 1)
    quantities: dict[str, Callable[[slice], NDArray[Any]]] = {
        "landslides": lambda rows: np.where(scene.fields(rows).is_landslide, LANDSLIDE, NO_LANDSLIDE),
        "land_cover": lambda rows: scene.fields(rows).cover,
        "dem": lambda rows: scene.fields(rows).height_m,
        "vv_difference": lambda rows: _change_db(scene, rows, "VV"),
        "vh_difference": lambda rows: _change_db(scene, rows, "VH"),
    }
    return quantities[name]


def _change_db(scene: EventScene, rows: slice, polarisation: Polarisation) -> NDArray[np.float32]:
    """Change of the expected power, thermal noise included."""
    fields, first_after = scene.fields(rows), scene.parameters.acquisitions_before
    noise = np.float32(10.0 ** (scene.parameters.noise_floor_db / 10.0))
    before, after = (scene.backscatter(fields, index, polarisation) + noise for index in (0, first_after))
    return np.float32(10.0) * np.log10(after / before)


def _description(scene: EventScene, on_map: EventScene) -> dict[str, Any]:
    parameters, grid = scene.parameters, on_map.frame.grid
    pairs = parameters.event_pairs
    model = scene.model.pixels.grid
    return {
        "parameters": plain(asdict(parameters)),
        "conventions": {
            "event": "between the last image before it and the first one after it",
            "coherence": "of two single pixels; what estimates scatter about",
            "outlines": "row and col are pixels of the model grid, counted from the centre of the first one",
            "tif": "on the map grid",
            "npy": "on the images' own pixels",
        },
        "dates": [f"{day:%Y%m%d}" for day in parameters.dates],
        "event_date": parameters.event_date.isoformat(),
        "pairs": {name: pair.name if pair is not None else None for name, pair in pairs._asdict().items()},
        "perpendicular_baselines_m": scene.baselines_m.tolist(),
        "image_shape": list(scene.shape),
        "covers": {kind.name.lower(): int(kind) for kind in Cover},
        "map_grid": {"crs": grid.crs, "rows": grid.rows, "cols": grid.cols, "transform": list(grid.transform)[:6]},
        "model_grid": {
            "crs": model.crs,
            "rows": model.rows,
            "cols": model.cols,
            "transform": list(model.transform)[:6],
        },
        "landslides": [plain(asdict(outline)) for outline in scene.ground.landslides],
    }
