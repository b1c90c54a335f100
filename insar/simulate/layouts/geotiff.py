"""Rasters of products that are delivered as GeoTIFFs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.constants import SENTINEL1_WAVELENGTH_M
from insar.errors import OptionError
from insar.grid import Grid
from insar.simulate.scene import SimulatedScene

WAVELENGTH_TOLERANCE = 1e-6


def write_geotiff(
    path: Path, values: NDArray[Any], grid: Grid, *, no_data: float | None = None, **options: object
) -> None:
    """Write one band, compressed by deflate.

    Parameters
    ----------
    path
        File to write.
    values
        (row, col) pixels.
    grid
        Where they lie.
    no_data
        Value to declare as no data; None declares none.
    options
        Further creation options of GDAL, such as the size of blocks.
    """
    import rasterio

    profile: dict[str, object] = {
        "driver": "GTiff",
        "width": grid.cols,
        "height": grid.rows,
        "count": 1,
        "dtype": values.dtype.name,
        "crs": grid.crs,
        "transform": grid.transform,
        "nodata": no_data,
        "compress": "deflate",
        "interleave": "band",
    }
    with rasterio.open(path, "w", **profile | options) as sink:
        sink.write(values, 1)


def unit_vector(scene: SimulatedScene) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """East, north and up parts of the unit vector from the ground to the satellite, (row, col) each."""
    incidence = np.radians(scene.fields.incidence_deg.astype(np.float64))
    azimuth = np.radians(scene.azimuth_angle_deg)
    parts = (np.sin(incidence) * np.sin(azimuth), np.sin(incidence) * np.cos(azimuth), np.cos(incidence))
    east, north, up = (part.astype(np.float32) for part in parts)
    return east, north, up


def require_sentinel1(scene: SimulatedScene, layout: str) -> None:
    """Refuse scenes of other wavelengths in formats that state none because they are of Sentinel-1 alone.

    Raises
    ------
    OptionError
        The scene's wavelength is another.
    """
    wavelength = scene.parameters.wavelength_m
    if abs(wavelength / SENTINEL1_WAVELENGTH_M - 1.0) > WAVELENGTH_TOLERANCE:
        raise OptionError(
            "wavelength_m",
            required=f"{SENTINEL1_WAVELENGTH_M} with the layout {layout}, whose files state no wavelength",
            found=f"{wavelength}",
            remedy="Leave it out, or choose another layout",
        )
