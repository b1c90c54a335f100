"""From a terrain model on disk to one raster per factor, a band of rows at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from insar.layers import grid_of, row_slices, write_layer
from susceptibility.errors import InputError, OptionError
from susceptibility.factors.definitions import DRAINAGE_FACTORS, FACTORS, TERRAIN_FACTORS
from susceptibility.factors.drainage import DrainageOptions, drainage_factors, segment_steepness
from susceptibility.factors.relief import Windows, relief_of_rows, rows_needed
from susceptibility.factors.streams import write_streams
from susceptibility.factors.terrain import NEIGHBOURS, check_elevation, check_names, factor_of_rows
from susceptibility.projection import AUTO_CRS, PixelPlaces, metric_grid, require_metric
from susceptibility.storage import (
    AVERAGED_WHEN_FINER_BY,
    Resampling,
    open_aligned,
    open_raster,
    read_raster,
    read_window,
)

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

Progress = Callable[[int, int], None]
"""Told how many factors are done, of how many."""

_CHECKED_ROWS = 512
_LEAST_COVERAGE = 0.95  # of a pixel, for the mean elevation of its known part to be that of the whole
_METRE_NAMES = {"", "m", "metre", "metres", "meter", "meters"}


def write_factors(
    dem: Path,
    folder: Path,
    names: Sequence[str] | None = None,
    *,
    crs: str | None = None,
    resolution_m: float | None = None,
    windows: Windows | None = None,
    drainage: DrainageOptions | None = None,
    progress: Progress | None = None,
) -> dict[str, Path]:
    """Write factors of a terrain model as Cloud-Optimized GeoTIFFs, projecting the model first where asked.

    Factors of drainage need the whole model in memory and are made together, with the streams as ``streams.gpkg``
    beside them; the others are made a band of rows at a time.

    Parameters
    ----------
    dem
        Raster of elevations in metres.
    folder
        Where ``<name>.tif`` are written; made if it is not there.
    names
        Of `FACTORS`; None for all of them.
    crs
        None to take the model on its own grid, which must then be in metres. ``auto`` to project it to the UTM zone of
        its centre if it is not. Or a coordinate reference system in metres.
    resolution_m
        Pixel size to resample the model to; None for its own.
    windows
        Sizes of the windows of relief, roughness and position.
    drainage
        What streams are, and how what follows from them is measured.
    progress
        Called after each factor.

    Returns
    -------
    dict
        Path of each factor by its name.

    Raises
    ------
    MissingInputError, InputError
        The model is not there, damaged, not in metres across or in height, or without a coordinate reference system.
    OptionError
        A name, the coordinate reference system or the resolution cannot be used.
    """
    names = check_names(names)
    _check_terrain_model(dem, folder, names)
    own = _grid_of(dem)
    if crs is None:
        require_metric(own, dem)
    grid = metric_grid(own, dem, AUTO_CRS if crs is None else crs, resolution_m)
    folder.mkdir(parents=True, exist_ok=True)
    work = _Work(folder, names, windows or Windows(), drainage or DrainageOptions(), progress)
    if grid == own:
        return work.write(dem)
    # Interpolating linearly between elevations would leave the terrain flat inside the old pixels and kinked between
    # them, which shows as stripes of curvature.
    coarser = PixelPlaces.between(grid, own).finer_by > AVERAGED_WHEN_FINER_BY
    resampling: Resampling = "average" if coarser else "cubic"
    with tempfile.TemporaryDirectory(prefix=".projected-", dir=folder) as temporary:
        projected = Path(temporary) / "elevation.tif"
        with open_aligned(dem, grid, resampling=resampling, least_coverage=_LEAST_COVERAGE) as aligned:
            write_layer(projected, aligned.read, grid, FACTORS["elevation"])
        return work.write(projected)


def compute_factors(
    dem: Path, folder: Path, names: Sequence[str] | None = None, *, progress: Progress | None = None
) -> dict[str, Path]:
    """Write factors of a terrain model on its own grid; as `write_factors` without projection."""
    return write_factors(dem, folder, names, progress=progress)


@dataclass(frozen=True, slots=True)
class _Work:
    """Factors to be written of a model on its own grid."""

    folder: Path
    names: tuple[str, ...]
    windows: Windows
    drainage: DrainageOptions
    progress: Progress | None

    def write(self, dem: Path) -> dict[str, Path]:
        """Write one factor after the other; each reads the model anew, so that only a band of rows is in memory."""
        paths = {name: self.folder / f"{name}.tif" for name in self.names}
        of_rows = [name for name in self.names if name not in DRAINAGE_FACTORS]
        with open_raster(dem) as source:
            grid = grid_of(source)
            for done, name in enumerate(of_rows, start=1):
                write_layer(paths[name], partial(self._rows_of, source, dem, name, grid), grid, FACTORS[name])
                self._tell(done)
        if len(of_rows) < len(self.names):
            self._write_drainage(dem, grid, paths)
        return paths

    def _write_drainage(self, dem: Path, grid: Grid, paths: dict[str, Path]) -> None:
        names = [name for name in self.names if name in DRAINAGE_FACTORS]
        elevation, _ = read_raster(dem)
        factors, streams = drainage_factors(elevation, grid, self.drainage, names)
        for name in names:
            values = factors.pop(name)
            write_layer(paths[name], values, grid, FACTORS[name])
        write_streams(self.folder / "streams.gpkg", streams, segment_steepness(streams, self.drainage))
        self._tell(len(self.names))

    def _rows_of(self, source: DatasetReader, dem: Path, name: str, grid: Grid, rows: slice) -> NDArray[Any]:
        """Compute one factor of a slice of rows, with the neighbours above and below that it needs."""
        reach = NEIGHBOURS if name in TERRAIN_FACTORS else rows_needed(name, grid, self.windows)
        first, last = max(rows.start - reach, 0), min(rows.stop + reach, grid.rows)
        elevation = read_window(source, dem, 1, slice(first, last))
        beyond = (first - (rows.start - reach), rows.stop + reach - last)
        surrounded = np.pad(elevation, (beyond, (0, 0)), constant_values=np.nan)
        if name in TERRAIN_FACTORS:
            return factor_of_rows(name, surrounded, grid)
        return relief_of_rows(name, surrounded, grid, self.windows)

    def _tell(self, done: int) -> None:
        if self.progress is not None:
            self.progress(done, len(self.names))


def _grid_of(dem: Path) -> Grid:
    with open_raster(dem) as source:
        return grid_of(source)


def _check_terrain_model(dem: Path, folder: Path, names: tuple[str, ...]) -> None:
    """Refuse a raster that does not hold heights in metres, or that would be overwritten by its own factors."""
    with open_raster(dem) as source:
        unit = _height_unit(source)
        if unit not in _METRE_NAMES:
            raise InputError(
                dem,
                required="heights in metres",
                found=f"heights in {unit}",
                remedy="Convert them, for example: gdal_calc.py --calc='A*0.3048'",
            )
        for rows in row_slices(source.height, _CHECKED_ROWS):
            check_elevation(read_window(source, dem, 1, rows), str(dem))
    for name in names:
        if (folder / f"{name}.tif").resolve() == dem.resolve():
            raise OptionError(
                "output folder",
                required="a folder in which no factor takes the place of the terrain model",
                found=f"{dem}, which would be overwritten",
                remedy="Name another folder",
            )


def _height_unit(source: DatasetReader) -> str:
    """Return the unit of heights as far as the raster states one: in its band, or in a vertical reference system."""
    import pyproj

    stated = str(source.units[0] or "").strip()
    if stated or source.crs is None:
        return stated.lower()
    vertical = [axis for axis in pyproj.CRS.from_wkt(source.crs.to_wkt()).axis_info if axis.direction == "up"]
    return str(vertical[0].unit_name).lower() if vertical else ""
