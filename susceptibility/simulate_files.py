"""Files of a simulated study: lines and polygons, inventories, a result folder as `insar` writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from insar.layers import LayerDefinition, layer_definition, write_layer
from susceptibility.geopackage import write_geopackage
from susceptibility.landscape import Lines
from susceptibility.landscape_insar import RECENT_DAYS, SeriesPlan
from susceptibility.publishing import write_text

SERIES_FILE = "timeseries.h5"


def write_inventory(
    path: Path, cells: NDArray[np.intp], grid: Grid, dates: NDArray[np.datetime64] | None = None
) -> None:
    """Write landslide cells as points at their centres, in a GeoPackage, with the date of each where there are any."""
    import shapely

    rows, cols = np.divmod(cells, grid.cols)
    x, y = grid.map_coordinates(rows + 0.5, cols + 0.5)
    fields: dict[str, NDArray[Any]] = {"landslide": np.arange(cells.size, dtype=np.int32) + 1}
    if dates is not None:
        fields["date"] = dates
    write_geopackage(path, "landslides", shapely.points(x, y), fields, kind="Point", crs=grid.crs)


def outlines(classes: NDArray[Any], grid: Grid, field: str, names: Mapping[int, str] | None = None) -> Lines:
    """Polygons of cells of one class other than 0 that share edges, along the edges of cells."""
    import rasterio.features
    import shapely

    classes = classes.astype(np.int32)
    found = list(rasterio.features.shapes(classes, mask=classes > 0, transform=grid.transform))
    found.sort(key=lambda item: (item[1], item[0]["coordinates"][0][0]))
    number = np.array([value for _, value in found], np.int32)
    fields: dict[str, NDArray[Any]] = {field: number}
    if names is not None:
        fields["name"] = np.array([names[value] for value in number.tolist()], object)
    shapes = np.array([shapely.geometry.shape(outline) for outline, _ in found], object)
    return Lines(shapes, fields | {"area_m2": shapely.area(shapes)})


def write_shapes(path: Path, layer: str, shapes: Lines, kind: str, grid: Grid) -> None:
    """Write shapes in the CRS of `grid` and their attributes as a GeoPackage; see `write_geopackage`."""
    write_geopackage(path, layer, shapes.geometries, shapes.fields, kind=kind, crs=grid.crs)


def write_classes(path: Path, classes: NDArray[np.uint8], grid: Grid, known: Mapping[int, str]) -> None:
    """Write numbers of classes (row, col) as a raster whose tags say what each means."""
    meaning = "; ".join(f"{number} {title}" for number, title in known.items())
    definition = LayerDefinition(path.stem, "class", f"{meaning}; 0 unknown", dtype="uint8", nodata=0)
    write_layer(path, classes, grid, definition)


def write_insar(
    folder: Path, layers: Mapping[str, NDArray[np.float32]], grid: Grid, series: SeriesPlan | None = None
) -> None:
    """Write layers, and a time series where there is one, as a result of `insar` has them.

    Parameters
    ----------
    folder
        New folder of the result.
    layers
        (row, col) by name of the layer.
    grid
        Of the layers and the series.
    series
        Made block by block.
    """
    (folder / "layers").mkdir(parents=True)
    listed = []
    for name, values in layers.items():
        definition = layer_definition(name)
        write_layer(folder / "layers" / f"{name}.tif", values, grid, definition)
        layer = {
            "name": name,
            "unit": definition.unit,
            "sign": definition.sign,
            "description": definition.description,
            "file": f"layers/{name}.tif",
        }
        listed.append(layer)
    content: dict[str, Any] = {"format": 1, "layers": listed}
    if series is not None:
        _write_series(folder / SERIES_FILE, series, grid)
        content["inputs"] = {"processor": "simulated", "dates": [f"{day:%Y-%m-%d}" for day in series.dates]}
        # What a reader must know to fit the series as its layers were fitted.
        content["configuration"] = {"model": "linear", "uncertainty": "residual", "recent_days": RECENT_DAYS}
    write_text(folder / "manifest.json", json.dumps(content, indent=2) + "\n")


def _write_series(path: Path, series: SeriesPlan, grid: Grid) -> None:
    """Write a displacement series in the form of `insar`: one contiguous dataset, MintPy's attributes as strings."""
    import h5py

    partial = path.with_name(f".{path.name}.partial")
    try:
        with h5py.File(partial, "w", alignment_threshold=4096, alignment_interval=4096) as sink:
            sink.attrs.update(_series_attributes(grid, series.dates))
            sink["date"] = np.array([f"{day:%Y%m%d}" for day in series.dates], dtype="S8")
            sink["bperp"] = np.zeros(len(series.dates), dtype="<f4")
            creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            creation.set_layout(h5py.h5d.CONTIGUOUS)
            creation.set_obj_track_times(False)  # the same series has the same bytes whenever it is made
            space = h5py.h5s.create_simple((len(series.dates), *grid.shape))
            h5py.h5d.create(sink.id, b"timeseries", h5py.h5t.IEEE_F32LE, space, creation)
            for rows, values in series.blocks():
                sink["timeseries"][:, rows, :] = values
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _series_attributes(grid: Grid, dates: tuple[date, ...]) -> dict[str, str]:
    import pyproj

    crs = pyproj.CRS.from_user_input(str(grid.crs))
    known = {
        "FILE_TYPE": "timeseries",
        "DATA_TYPE": "float32",
        "UNIT": "m",
        "LENGTH": grid.rows,
        "WIDTH": grid.cols,
        "START_DATE": f"{dates[0]:%Y%m%d}",
        "END_DATE": f"{dates[-1]:%Y%m%d}",
        "REF_DATE": f"{dates[0]:%Y%m%d}",
        "PROCESSOR": "simulated",
        "X_FIRST": grid.transform.c,
        "Y_FIRST": grid.transform.f,
        "X_STEP": grid.transform.a,
        "Y_STEP": grid.transform.e,
        "X_UNIT": "meters",
        "Y_UNIT": "meters",
        "EPSG": crs.to_epsg(),
        "UTM_ZONE": crs.utm_zone,
        "CRS": grid.crs,
    }
    return {name: str(value) for name, value in known.items()}
