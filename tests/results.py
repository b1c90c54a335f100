"""Small result folders made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from insar.grid import Grid
from insar.layers import LAYERS, write_layer
from insar.writers.manifest import write_derived_manifest
from insar.writers.timeseries import create_component_file, timeseries_memmap


def write_result(
    folder: Path,
    grid: Grid,
    layers: Mapping[str, NDArray[Any]],
    *,
    acquisition: Mapping[str, Any] | None = None,
    reference: Mapping[str, Any] | None = None,
    dates: Sequence[date] = (),
    displacement: NDArray[Any] | None = None,
) -> Path:
    """A result with some layers, and a time series where `displacement` (date, row, col) is given."""
    (folder / "layers").mkdir(parents=True)
    written = []
    for name, values in layers.items():
        path = folder / "layers" / f"{name}.tif"
        write_layer(path, np.broadcast_to(values, grid.shape), grid, LAYERS[name], tags={"FIRST_DATE": "2023-01-04"})
        written.append((LAYERS[name], path))
    files = []
    if displacement is not None:
        path = folder / "timeseries.h5"
        create_component_file(path, grid=grid, dates=dates, component="line of sight")
        mapped = timeseries_memmap(path)
        mapped[:] = displacement
        mapped.flush()
        files.append(path)
    write_derived_manifest(
        folder,
        layers=written,
        grid=grid,
        inputs={"path": "stack", "dates": list(dates), "acquisition": dict(acquisition or {})},
        configuration={},
        summary={"reference": dict(reference or {})},
        left_out={},
        files=files,
    )
    return folder


def write_dem(path: Path, height: NDArray[Any], grid: Grid, *, nodata: float | None = None) -> Path:
    """A DEM as a GeoTIFF."""
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=grid.rows,
        width=grid.cols,
        count=1,
        dtype=height.dtype,
        crs=grid.crs,
        transform=grid.transform,
        nodata=nodata,
    ) as sink:
        sink.write(height, 1)
    return path
