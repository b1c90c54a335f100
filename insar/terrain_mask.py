"""Terrain around a scene, laid on its grid: what is needed to tell layover and shadow."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.errors import InputError, MissingInputError
from insar.grid import Grid
from insar.ground import ground_steps, shortest_side_m
from insar.layers import grid_of, row_slices

logger = logging.getLogger(__name__)

_ROWS_PER_BLOCK = 512
_LONGEST_REACH_M = 20_000.0
_PLAUSIBLE_HEIGHTS_M = -1_000.0, 9_000.0
"""Land lies between them; beyond are no data values that the file does not declare."""


class IncidenceSource(Protocol):
    """Knows the incidence angle of every pixel of a grid."""

    @property
    def incidence_name(self) -> str:
        """What the angles are from, for messages."""
        ...

    def read_incidence(self, rows: slice, cols: slice) -> NDArray[np.float64]:
        """(row, col) degrees from the vertical; NaN is unknown."""
        ...


@dataclass(frozen=True, slots=True)
class Terrain:
    """Heights on a grid and a margin around it, in a file.

    Attributes
    ----------
    path
        Flat float32 file of (row + 2 margin, col + 2 margin) metres; NaN is unknown.
    shape
        Of the file.
    margin
        Pixels beyond the grid on every side.
    reach_m
        How far terrain can cast layover or shadow.
    notes
        What a user should know of the DEM.
    """

    path: Path
    shape: tuple[int, int]
    margin: int
    reach_m: float
    notes: tuple[str, ...]

    @classmethod
    def prepare(cls, dem: Path, grid: Grid, view: IncidenceSource, scratch: Path) -> Terrain:
        """Bring a DEM onto a grid, with as much terrain around it as can cast layover or shadow into it.

        Parameters
        ----------
        dem
            Raster of heights in metres, in any CRS.
        grid
            On a map.
        view
            Incidence angles on the grid.
        scratch
            Folder for the heights, which must last as long as the terrain.

        Raises
        ------
        MissingInputError
            There is no such file.
        InputError
            It is no DEM, lies elsewhere, or no incidence angle is known.
        """
        name = "close.dat"
        close = _warp(dem, grid, 1, scratch / name)
        lowest, highest = _extremes(close)
        if not np.isfinite(highest):
            raise InputError(
                dem,
                required="heights where the result is",
                found=f"none within west, south, east, north = {' '.join(f'{edge:.6g}' for edge in grid.bounds)} of "
                f"{grid.crs}",
                remedy="Give a DEM of the same area, and check its CRS and its no data value",
            )
        if lowest < _PLAUSIBLE_HEIGHTS_M[0] or highest > _PLAUSIBLE_HEIGHTS_M[1]:
            raise InputError(
                dem,
                required="heights in metres, and its no data value declared",
                found=f"heights from {lowest:.6g} to {highest:.6g}",
                remedy="Declare the no data value (gdal_edit.py -a_nodata VALUE), or convert the heights to metres",
            )
        steepest, flattest = _incidence_range(view, grid)
        farthest = max(math.tan(flattest), 1.0 / math.tan(steepest))
        shortest = shortest_side_m(grid)
        reach_m = min((highest - lowest) * farthest, _LONGEST_REACH_M)
        margin = max(1, math.ceil(reach_m / shortest) + 1)
        height = close
        if margin > 1:
            name = "height.dat"
            height = _warp(dem, grid, margin, scratch / name)
        notes = _notes_on(dem, shortest, reach_m, close, height)
        height.flush()
        return cls(scratch / name, (height.shape[0], height.shape[1]), margin, reach_m, notes)

    def window(self, rows: slice) -> NDArray[np.float32]:
        """Heights of some rows of the grid, with the margin on every side."""
        mapped = np.memmap(self.path, np.float32, "r", shape=self.shape)
        return np.array(mapped[rows.start : rows.stop + 2 * self.margin])


def _warp(dem: Path, grid: Grid, margin: int, path: Path) -> np.memmap[Any, np.dtype[np.float32]]:
    """A DEM on a grid that is wider by `margin` pixels on every side: (row, col) metres in a file, NaN is no data."""
    import rasterio
    import rasterio.warp

    wide = np.memmap(path, np.float32, "w+", shape=(grid.rows + 2 * margin, grid.cols + 2 * margin))
    with _opened(dem) as source:
        nodata = source.nodata if source.nodata is not None or np.dtype(source.dtypes[0]).kind != "f" else math.nan
        for rows in row_slices(wide.shape[0], _ROWS_PER_BLOCK):
            x, y = grid.map_coordinates(float(rows.start - margin), float(-margin))
            steps = grid.transform
            block = np.full((rows.stop - rows.start, wide.shape[1]), np.nan, np.float32)
            try:
                rasterio.warp.reproject(
                    rasterio.band(source, 1),
                    block,
                    src_nodata=nodata,
                    dst_transform=Affine(steps.a, steps.b, x, steps.d, steps.e, y),
                    dst_crs=grid.crs,
                    dst_nodata=math.nan,
                    # Bilinear heights have derivatives that jump at every pixel of a coarse DEM.
                    resampling=rasterio.enums.Resampling.cubic,
                )
            except rasterio.errors.RasterioError as error:
                raise InputError(
                    dem,
                    required=f"a DEM that GDAL can bring onto {grid.crs}",
                    found=str(error),
                    remedy="Check the DEM's CRS and that the file is whole",
                ) from error
            wide[rows] = block
    return wide


@contextmanager
def _opened(dem: Path) -> Iterator[Any]:
    import rasterio

    if not dem.is_file():
        raise MissingInputError(
            f"--dem {dem}", required="a raster of heights in metres", found="no such file", remedy="Check the path"
        )
    try:
        source = rasterio.open(dem)
    except rasterio.errors.RasterioError as error:
        raise InputError(
            f"--dem {dem}",
            required="a raster GDAL can read",
            found=str(error),
            remedy="Give a DEM, for instance a GeoTIFF",
        ) from error
    with source:
        if source.crs is None or source.count != 1:
            raise InputError(
                f"--dem {dem}",
                required="one band of heights, with a CRS",
                found=f"{source.count} bands" if source.count != 1 else "no CRS",
                remedy="Give a DEM that says where it lies, with a single band",
            )
        yield source


def _extremes(height: NDArray[np.float32]) -> tuple[float, float]:
    lowest, highest = math.inf, -math.inf
    for rows in row_slices(len(height), _ROWS_PER_BLOCK):
        known = height[rows][np.isfinite(height[rows])]
        if known.size:
            lowest, highest = min(lowest, float(known.min())), max(highest, float(known.max()))
    return lowest, highest


def _incidence_range(view: IncidenceSource, grid: Grid) -> tuple[float, float]:
    """Least and greatest incidence angle in radians."""
    lowest, highest = math.inf, -math.inf
    for rows in row_slices(grid.rows, _ROWS_PER_BLOCK):
        angles = view.read_incidence(rows, slice(0, grid.cols))
        known = angles[(angles > 0.0) & (angles < 90.0)]
        if known.size:
            lowest, highest = min(lowest, float(known.min())), max(highest, float(known.max()))
    if not np.isfinite(lowest):
        raise InputError(
            view.incidence_name,
            required="incidence angles between 0 and 90 degrees",
            found="not one",
            remedy="Check the geometry files of the stack",
        )
    return math.radians(lowest), math.radians(highest)


def _notes_on(
    dem: Path, shortest_m: float, reach_m: float, close: NDArray[np.float32], height: NDArray[np.float32]
) -> tuple[str, ...]:
    notes = []
    with _opened(dem) as source:
        dem_grid = grid_of(source)
    coarsest = max(
        float(np.hypot(steps.east_per_col, steps.north_per_col).max())
        for steps in (ground_steps(dem_grid, slice(row, row + 1)) for row in (0, dem_grid.rows - 1))
    )
    if coarsest > 2.0 * shortest_m:
        notes.append(
            f"The DEM has pixels of {coarsest:.0f} m, the result of {shortest_m:.0f} m: slopes are those of the DEM."
        )
    known, known_with_margin = _known_count(close), _known_count(height)
    missing = 1.0 - known / close.size
    if missing > 0.01:
        notes.append(f"The DEM has no heights on {100 * missing:.0f} % of the result: nothing is told of it there.")
    around = height.size - close.size
    if around and (known_with_margin - known) / around < 0.99:
        notes.append(
            f"The DEM does not reach {reach_m / 1000:.1f} km beyond the result on all sides: layover and shadow that "
            "terrain beyond it casts are not seen."
        )
    for note in notes:
        logger.warning("%s", note)
    return tuple(notes)


def _known_count(height: NDArray[np.float32]) -> int:
    return sum(int(np.isfinite(height[rows]).sum()) for rows in row_slices(len(height), _ROWS_PER_BLOCK))
