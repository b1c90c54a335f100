"""Layers at the size of a figure, and the pixels worth showing in one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from insar.errors import MissingInputError
from insar.grid import Grid, RowCol
from insar.layers import BadLayerError, grid_of

LONGEST_SIDE = 1000
"""Pixels of the longer side of a preview: more than a figure can show."""

UNRELIABLE_FLAGS = 1 | 2 | 4 | 16 | 32 | 64
"""Bits of the layer `quality` that make a pixel unfit as an example: all but a corrected unwrapping."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A layer, decimated.

    Attributes
    ----------
    values
        (row, col) float32, in the unit of the layer; NaN is no data.
    grid
        Grid of the layer itself, at full resolution.
    """

    values: NDArray[np.float32]
    grid: Grid

    def window(self, row: int, col: int) -> tuple[slice, ...]:
        """Rows and columns of the layer that one pixel of the preview stands for."""
        return tuple(
            slice(at * full // size, max((at + 1) * full // size, at * full // size + 1))
            for at, size, full in zip((row, col), self.values.shape, self.grid.shape, strict=True)
        )


@dataclass(frozen=True, slots=True)
class ExamplePoint:
    """A pixel of the layers whose time series is shown, and why."""

    pixel: RowCol
    reason: str


def read_preview(path: Path, *, is_class_layer: bool = False, longest: int = LONGEST_SIDE) -> Preview:
    """Read a layer with at most `longest` rows and columns, from its overviews where it has them.

    Parameters
    ----------
    path
        Single-band raster.
    is_class_layer
        Values are classes or bit flags: pixels are picked. Otherwise they are averaged, no data left out.
    longest
        Pixels of the longer side.
    """
    import rasterio

    if not path.is_file():
        raise MissingInputError(
            path, required="a raster layer", found="no such file", remedy="Run the processing again"
        )
    try:
        with rasterio.open(path) as source:
            factor = max(1.0, max(source.shape) / longest)
            shape = tuple(max(1, round(size / factor)) for size in source.shape)
            method = rasterio.enums.Resampling.nearest if is_class_layer else rasterio.enums.Resampling.average
            values = source.read(1, out_shape=shape, resampling=method, masked=True)
            return Preview(values.astype(np.float32).filled(np.nan), grid_of(source))
    except rasterio.errors.RasterioError as error:
        raise BadLayerError(
            path, required="a raster GDAL can read", found=str(error), remedy="Check that the file is whole"
        ) from error


def read_values(path: Path, rows: slice, cols: slice) -> NDArray[np.float32]:
    """Read a window of a layer at full resolution: (row, col), NaN is no data."""
    import rasterio

    with rasterio.open(path) as source:
        window = rasterio.windows.Window.from_slices(rows, cols)
        values: NDArray[np.float32] = source.read(1, window=window, masked=True).astype(np.float32).filled(np.nan)
    return values


def choose_points(
    ranking: Preview,
    read: Callable[[slice, slice], NDArray[np.floating]],
    *,
    quality: Preview | None = None,
    reference: RowCol | None = None,
) -> list[ExamplePoint]:
    """Pixels that show what the result is like: the strongest of either sign, the median and the reference.

    Values count by the median of their 3 x 3 neighbourhood and only where `quality` flags nothing, so that a single
    noisy pixel is not shown as the strongest. Deterministic; empty where no pixel has a value.

    Parameters
    ----------
    ranking
        Velocity or displacement that pixels are chosen by.
    read
        Gives a window of it at full resolution from slices of rows and columns.
    quality
        Bit flags of the same size.
    reference
        Reference pixel, always shown.
    """
    usable = np.isfinite(ranking.values)
    if not usable.any():
        return []
    if quality is not None and quality.values.shape == ranking.values.shape:
        flags = np.nan_to_num(quality.values, nan=1.0).astype(np.int64)
        unflagged = usable & ((flags & UNRELIABLE_FLAGS) == 0)
        usable = unflagged if unflagged.any() else usable
    values = np.where(usable, ranking.values, np.nan)
    smooth = np.where(usable, _neighbourhood_median(values), np.nan)
    ranked = smooth if np.isfinite(smooth).any() else values
    middle = float(np.nanmedian(ranked))
    chosen = (
        ("strongest away from the satellite", np.nanargmin(ranked)),
        ("strongest toward the satellite", np.nanargmax(ranked)),
        ("closest to the median", np.nanargmin(np.abs(ranked - middle) + np.abs(values - middle))),
    )
    points: dict[RowCol, str] = {}
    for reason, at in chosen:
        row, col = np.unravel_index(at, ranked.shape)
        points.setdefault(_representative(ranking, read, int(row), int(col)), reason)
    if reference is not None:
        points.pop(reference, None)
        points[reference] = "reference point"
    return [ExamplePoint(pixel, reason) for pixel, reason in points.items()]


def _representative(
    ranking: Preview, read: Callable[[slice, slice], NDArray[np.floating]], row: int, col: int
) -> RowCol:
    """Pixel of the layer closest in value to the preview's pixel that covers it."""
    rows, cols = ranking.window(row, col)
    values = read(rows, cols)
    if not np.isfinite(values).any():
        return RowCol(rows.start, cols.start)
    nearest = int(np.nanargmin(np.abs(values - ranking.values[row, col])))
    inside_row, inside_col = np.unravel_index(nearest, values.shape)
    return RowCol(rows.start + int(inside_row), cols.start + int(inside_col))


def _neighbourhood_median(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Median of the valid values in 3 x 3 pixels; NaN with fewer than five of them."""
    padded = np.pad(values, 1, constant_values=np.nan)
    rows, cols = values.shape
    around = np.stack([padded[row : row + rows, col : col + cols] for row in range(3) for col in range(3)])
    ordered = np.sort(around, axis=0)  # NaN last
    count = np.isfinite(around).sum(axis=0)
    last = np.clip(count - 1, 0, 8)
    low = np.take_along_axis(ordered, (last // 2)[None], axis=0)[0]
    high = np.take_along_axis(ordered, np.clip((last + 1) // 2, 0, 8)[None], axis=0)[0]
    return np.where(count >= 5, (low + high) / 2, math.nan).astype(np.float32)
