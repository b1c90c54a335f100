"""Small GeoTIFFs and products made of them, for the tests to spoil."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine

UTM = "EPSG:32648"
PIXEL_M = 80.0
WEST, NORTH = 400_000.0, 3_400_000.0


def write_tif(
    path: Path,
    values: np.ndarray,
    *,
    row: int = 0,
    col: int = 0,
    crs: str | None = UTM,
    pixel: float = PIXEL_M,
    origin: tuple[float, float] = (WEST, NORTH),
    **options: Any,
) -> Path:
    """Write one band whose first pixel is pixel (`row`, `col`) of the lattice that starts at `origin`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    transform = Affine(pixel, 0.0, origin[0] + col * pixel, 0.0, -pixel, origin[1] - row * pixel)
    profile = {
        "driver": "GTiff",
        "height": values.shape[0],
        "width": values.shape[1],
        "count": 1,
        "dtype": values.dtype.name,
        "crs": crs,
        "transform": transform,
        "compress": "deflate",
    }
    with rasterio.open(path, "w", **{**profile, **options}) as sink:
        sink.write(values, 1)
    return path


def phases(seed: int, rows: int = 6, cols: int = 5) -> np.ndarray:
    """Phases (rad) with a pixel of no data."""
    values = np.random.default_rng(seed).normal(size=(rows, cols)).astype(np.float32)
    values[1, 2] = 0.0
    return values


def as_read(values: np.ndarray) -> np.ndarray:
    """Zero becomes NaN."""
    return np.where(values == 0, np.float32(np.nan), values.astype(np.float32))
