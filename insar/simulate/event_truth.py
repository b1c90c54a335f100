"""The answers to a simulated event, written beside its images."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from insar.layers import LayerDefinition, write_layer
from insar.simulate.event_parameters import Cover, Polarisation
from insar.simulate.event_scene import LANDSLIDE, NO_LANDSLIDE, EventScene, GroundFields
from insar.simulate.truth import plain

COHERENCES = ("coherence_pre", "coherence_co", "coherence_post")

_DEFINITIONS = (
    LayerDefinition("landslides", "class", "1 no landslide; 2 landslide", dtype="uint8", nodata=0),
    LayerDefinition("land_cover", "class", "1 bare; 2 grass; 3 forest; 4 water", dtype="uint8", nodata=0),
    LayerDefinition("dem", "m", "True height of the terrain"),
    LayerDefinition("coherence_pre", "1", "True coherence of the last pair before the event"),
    LayerDefinition("coherence_co", "1", "True coherence of the pair across the event"),
    LayerDefinition("coherence_post", "1", "True coherence of the first pair after the event"),
    LayerDefinition("vv_difference", "dB", "True change of VV backscatter at the event"),
    LayerDefinition("vh_difference", "dB", "True change of VH backscatter at the event"),
)
_LAYERS = {definition.name: definition for definition in _DEFINITIONS}


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
    with TemporaryDirectory(dir=folder, prefix=".map-") as scratch:
        for name, path in _write_arrays(on_map, Path(scratch)).items():
            values = np.load(path, mmap_mode="r")
            write_layer(folder / f"{name}.tif", values, on_map.frame.grid, _LAYERS[name])
    if scene.in_radar_coordinates:
        _write_arrays(scene, folder)
    description = _description(scene, on_map)
    (folder / "truth.json").write_text(json.dumps(description, indent=2, allow_nan=False) + "\n", "utf-8")


def _write_arrays(scene: EventScene, folder: Path) -> dict[str, Path]:
    """File of each quantity that there are dates enough for, all grown strip by strip in one pass."""
    files: dict[str, IO[bytes]] = {}
    with ExitStack() as opened:
        for rows in scene.strips:
            for name, values in _quantities(scene, rows).items():
                dtype = np.dtype(_LAYERS[name].dtype)
                if name not in files:
                    files[name] = opened.enter_context((folder / f"{name}.npy").open("wb"))
                    _write_header(files[name], dtype, scene.shape)
                files[name].write(np.ascontiguousarray(values, dtype).data)
    return {name: folder / f"{name}.npy" for name in files}


def _write_header(file: IO[bytes], dtype: np.dtype[Any], shape: tuple[int, int]) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _quantities(scene: EventScene, rows: slice) -> dict[str, NDArray[Any]]:
    fields, before = scene.fields(rows), scene.parameters.acquisitions_before
    quantities: dict[str, NDArray[Any]] = {
        "landslides": np.where(fields.is_landslide, LANDSLIDE, NO_LANDSLIDE),
        "land_cover": fields.cover,
        "dem": fields.height_m,
        "vv_difference": _change_db(scene, fields, "VV"),
        "vh_difference": _change_db(scene, fields, "VH"),
    }
    for name, first in zip(COHERENCES, (before - 2, before - 1, before), strict=True):
        if first >= 0 and first + 1 < scene.parameters.acquisitions:
            quantities[name] = scene.coherence(fields, first, first + 1)
    return quantities


def _change_db(scene: EventScene, fields: GroundFields, polarisation: Polarisation) -> NDArray[np.float32]:
    """Change of the expected power, thermal noise included."""
    noise = np.float32(10.0 ** (scene.parameters.noise_floor_db / 10.0))
    first_after = scene.parameters.acquisitions_before
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
