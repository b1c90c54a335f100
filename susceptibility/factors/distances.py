"""Distances to lines as rasters beside the factors of the terrain."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from insar.layers import LayerDefinition, write_layer
from susceptibility.distances import distance_to
from susceptibility.projection import AUTO_CRS
from susceptibility.storage import metric_grid_of


def write_distances(
    dem: Path,
    folder: Path,
    lines: Mapping[str, Path],
    *,
    crs: str | None = None,
    resolution_m: float | None = None,
) -> dict[str, Path]:
    """Write ``distance_to_NAME.tif`` for each named vector file, on the grid of the factors of a terrain model.

    Parameters
    ----------
    dem
        Raster of elevations.
    folder
        Where they are written.
    lines
        Vector files by name: ``river``, ``road``, ``fault``.
    crs, resolution_m
        As of `susceptibility.factors.rasters.write_factors`.

    Returns
    -------
    dict
        Path of each raster by its name.
    """
    paths = {}
    for name, source in lines.items():
        grid = metric_grid_of(dem, AUTO_CRS if crs is None else crs, resolution_m)
        definition = LayerDefinition(f"distance_to_{name}", "m", f"Distance to the nearest feature of {source.name}")
        paths[definition.name] = folder / f"{definition.name}.tif"
        write_layer(paths[definition.name], distance_to(source, grid), grid, definition)
    return paths
