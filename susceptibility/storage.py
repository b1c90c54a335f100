"""Rasters from files, each on the grid that the study works on.

Everything that reaches a model lies on one projected grid in metres: `metric_grid_of` names that grid, `align_raster`
brings any raster onto it.

Resampling is done here rather than by GDAL's warper for three reasons. Its bilinear and cubic kernels are off by up to
a tenth of a pixel on a plain ramp wherever pixels change their width-to-height ratio, as from degrees to metres, which
becomes stripes in slopes. Its NaN pixels spread where another value is declared as no data. Its approximate coordinates
depend on how the raster is cut into blocks.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid, same_crs
from insar.layers import grid_of, row_slices
from susceptibility.errors import InputError, MissingInputError, OptionError
from susceptibility.projection import AUTO_CRS, PixelPlaces, known_crs, lonlat_extent, metric_grid, no_crs_error

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

Resampling = Literal["nearest", "bilinear", "cubic", "average", "mode"]
"""How values are taken from pixels of another grid; `nearest` and `mode` keep class numbers whole."""

AVERAGED_WHEN_FINER_BY = 1.5
"""A continuous source is averaged, not interpolated, where its pixels are so many times finer than the target's."""

_TILE_PIXELS = 512  # largest side of a target tile
_SOURCE_TILE_PIXELS = 4096  # largest side, roughly, of what a tile needs of the source: 64 MiB
_INTERPOLATION_MARGIN = 3  # source pixels beside a place that interpolation may need
_EXACT_INTEGERS = 2**24  # beyond this float32 skips whole numbers


def read_raster(path: Path, band: int = 1) -> tuple[NDArray[np.float32], Grid]:
    """Read one band of a raster as it is.

    Parameters
    ----------
    path
        Any raster GDAL reads.
    band
        Counted from 1.

    Returns
    -------
    values : (row, col) float32
        In the raster's unit, its scale and offset applied; NaN where it declares or masks no data.
    grid
        Its grid; ``grid.crs`` is None where the file names no coordinate reference system.

    Raises
    ------
    MissingInputError
        There is no such file.
    InputError
        It is no raster, is damaged, has no such band, or holds numbers that float32 cannot.
    """
    with open_raster(path, band) as source:
        return read_window(source, path, band), grid_of(source)


def align_raster(
    path: Path,
    grid: Grid,
    *,
    resampling: Resampling | None = None,
    band: int = 1,
    least_coverage: float = 0.0,
    own_crs: str | None = None,
) -> NDArray[np.float32]:
    """Read one band of a raster onto another grid.

    Pixels that coincide are copied bit by bit. Otherwise each pixel's centre (`average` and `mode`: its footprint) is
    projected and resampled from the source pixels that have data.

    Parameters
    ----------
    path
        Any raster GDAL reads that names its coordinate reference system.
    grid
        The target, with a coordinate reference system.
    resampling
        None for a continuous quantity: `average` where the target's pixels are larger than the source's by more than
        1.5, else `bilinear`. Class numbers need `nearest` or `mode`.
    band
        Counted from 1.
    least_coverage
        Part of a pixel, 0 to 1, that must have data for `average` to tell of it. With 0, for scattered data, a pixel
        gets the mean of whatever data it has; terrain needs nearly 1, since half a pixel's mean is not its height.
    own_crs
        Coordinate reference system of a file that names none; never overrides one that does.

    Returns
    -------
    (row, col) float32
        In the raster's unit; NaN where it has no data. With `nearest` and `bilinear` a pixel has data where its centre
        lies in a source pixel with data; `cubic` has none within two source pixels of the data's edge; `average` and
        `mode` tell of that part of the pixel that has data.

    Raises
    ------
    MissingInputError, InputError
        As `read_raster`; and where the file names no coordinate reference system or does not reach the grid.
    OptionError
        The resampling is unknown, or would mix the classes of a raster with a colour table; or `own_crs` is none, or
        not the one that the file names.
    """
    with open_aligned(
        path, grid, resampling=resampling, band=band, least_coverage=least_coverage, own_crs=own_crs
    ) as aligned:
        return aligned.read(slice(0, grid.rows))


@contextmanager
def open_aligned(
    path: Path,
    grid: Grid,
    *,
    resampling: Resampling | None = None,
    band: int = 1,
    least_coverage: float = 0.0,
    own_crs: str | None = None,
) -> Iterator[AlignedRaster]:
    """Open a raster to be read on another grid a slice of rows at a time; parameters and errors as `align_raster`."""
    if grid.crs is None:
        raise no_crs_error("target grid")
    with open_raster(path, band) as source:
        own = grid_in(grid_of(source), path, own_crs)
        places = PixelPlaces.between(grid, own)
        if not places.overlap:
            raise InputError(
                path,
                required=f"a raster that reaches the grid (west, south, east, north = {lonlat_extent(grid)} degrees)",
                found=f"one of west, south, east, north = {lonlat_extent(own)} degrees",
                remedy="Check the area and the coordinate reference system of both",
            )
        chosen = _chosen_resampling(source, path, band, resampling, places)
        yield AlignedRaster(source, path, band, places, chosen, least_coverage)


def grid_in(grid: Grid, path: Path, own_crs: str | None) -> Grid:
    """Return the grid of a file with a coordinate reference system: its own, or where it names none the one given.

    Raises
    ------
    InputError
        It names none, and none is given.
    OptionError
        `own_crs` is no coordinate reference system, or another than the file's.
    """
    if own_crs is None:
        if grid.crs is None:
            raise no_crs_error(path)
        return grid
    stated = known_crs(own_crs)
    if grid.crs is not None and not same_crs(grid.crs, stated):
        raise OptionError(
            f"crs of {path}",
            required="the coordinate reference system that the file names, or none",
            found=f"{own_crs} where the file says {grid.crs}",
            remedy="Leave it out: the file's own is used",
        )
    return replace(grid, crs=grid.crs or stated)


@dataclass(frozen=True, slots=True)
class AlignedRaster:
    """An open raster as it looks on another grid; made by `open_aligned`.

    Rows may be read in any order and number: each pixel comes out the same, bit by bit.
    """

    source: DatasetReader
    path: Path
    band: int
    places: PixelPlaces
    resampling: Resampling
    least_coverage: float

    def read(self, rows: slice) -> NDArray[np.float32]:
        """Values (row, col) of full rows ``rows.start`` to ``rows.stop``, NaN where the raster has no data."""
        cols = self.places.target.cols
        values = np.full((rows.stop - rows.start, cols), np.nan, np.float32)
        side = self._tile_side()
        for tile_rows in row_slices(values.shape[0], side):
            for tile_cols in row_slices(cols, side):
                self._fill(values[tile_rows, tile_cols], rows.start + tile_rows.start, tile_cols.start)
        return values

    def _tile_side(self) -> int:
        needed = self.places.finer_by
        side = _TILE_PIXELS
        while side > 1 and side * needed > _SOURCE_TILE_PIXELS:
            side //= 2
        return side

    def _fill(self, values: NDArray[np.float32], row_start: int, col_start: int) -> None:
        """Resample one tile, whose first pixel is given, in place."""
        from susceptibility.kernels import resampling as kernels

        rows = slice(row_start, row_start + values.shape[0])
        cols = slice(col_start, col_start + values.shape[1])
        if self.resampling in {"average", "mode"}:
            row, col = self.places.corners(rows, cols)
            margin = 0
        else:
            row, col = self.places.centres(rows, cols)
            margin = _INTERPOLATION_MARGIN
        needed_rows = _span(row, self.places.source.rows, margin)
        needed_cols = _span(col, self.places.source.cols, margin)
        if needed_rows.start >= needed_rows.stop or needed_cols.start >= needed_cols.stop:
            return
        part = read_window(self.source, self.path, self.band, needed_rows, needed_cols)
        first_row, first_col = needed_rows.start, needed_cols.start
        resampled = np.empty(values.shape, np.float32)
        match self.resampling:
            case "nearest":
                kernels.sample_nearest(part, first_row, first_col, row, col, resampled)
            case "bilinear":
                kernels.sample_bilinear(part, first_row, first_col, row, col, resampled)
            case "cubic":
                kernels.sample_cubic(part, first_row, first_col, row, col, resampled)
            case "average":
                kernels.average_footprint(part, first_row, first_col, row, col, self.least_coverage, resampled)
            case "mode":
                kernels.dominant_in_footprint(part, first_row, first_col, row, col, resampled)
        values[...] = resampled


def metric_grid_of(path: Path, crs: str = AUTO_CRS, resolution_m: float | None = None) -> Grid:
    """Return the grid in metres that a study on this raster works on.

    Parameters
    ----------
    path
        A terrain model or any other raster that covers the area.
    crs
        ``auto``: the raster's own system where it is in metres, else the UTM zone of its centre. Or one in metres.
    resolution_m
        Pixel size; None for that of the raster.

    Returns
    -------
    Grid
        North up; see `susceptibility.projection.metric_grid`.

    Raises
    ------
    MissingInputError, InputError
        As `read_raster`; and where the file names no coordinate reference system.
    OptionError
        The coordinate reference system is unknown or not in metres, or the resolution is not positive.
    """
    with open_raster(path) as source:
        own = grid_of(source)
    return metric_grid(own, path, crs, resolution_m)


@contextmanager
def open_raster(path: Path, band: int = 1) -> Iterator[DatasetReader]:
    """Open a raster that has a given band; errors as `read_raster`."""
    import rasterio

    if not path.exists():
        raise MissingInputError(path, required="a raster", found="no such file", remedy="Check the path")
    try:
        with warnings.catch_warnings():
            # A raster that does not say where it lies is refused with our own words where it matters.
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            source = rasterio.open(path)
    except rasterio.errors.RasterioIOError as error:
        raise InputError(
            path, required="a raster GDAL can read", found=str(error), remedy="Check that the file is whole"
        ) from error
    with source:
        if not 1 <= band <= source.count:
            raise InputError(
                path,
                required=f"a band {band}",
                found=f"{source.count} band(s)",
                remedy="Bands are counted from 1",
            )
        if np.dtype(source.dtypes[band - 1]).kind not in "iuf":
            raise InputError(
                path,
                required="real numbers",
                found=f"{source.dtypes[band - 1]} in band {band}",
                remedy="Write its amplitude or its phase as a raster of its own",
            )
        yield source


def read_window(
    source: DatasetReader, path: Path, band: int = 1, rows: slice | None = None, cols: slice | None = None
) -> NDArray[np.float32]:
    """Read part of an open raster as `read_raster` does; all rows, all columns where no slice is given."""
    import rasterio

    window = (
        ((0, source.height) if rows is None else (rows.start, rows.stop)),
        ((0, source.width) if cols is None else (cols.start, cols.stop)),
    )
    try:
        stored = source.read(band, window=window, masked=True)
    except rasterio.errors.RasterioIOError as error:
        raise InputError(
            path, required="a raster that is whole", found=str(error), remedy="Copy or download it again"
        ) from error
    return _as_float32(stored, path, source.scales[band - 1], source.offsets[band - 1])


def _as_float32(stored: Any, path: Path, scale: float, offset: float) -> NDArray[np.float32]:
    numbers = stored.data
    absent = np.ma.getmaskarray(stored)
    if (scale, offset) != (1.0, 0.0):
        numbers = numbers * np.float64(scale) + np.float64(offset)
    elif numbers.dtype.kind in "iu" and numbers.dtype.itemsize > 2:
        present = numbers[~absent]
        if present.size and max(abs(int(present.min())), abs(int(present.max()))) > _EXACT_INTEGERS:
            raise InputError(
                path,
                required=f"whole numbers up to {_EXACT_INTEGERS}, which float32 holds exactly",
                found=f"{int(present.min())} to {int(present.max())}",
                remedy="Renumber the classes, or declare the value that means no data",
            )
    with np.errstate(over="ignore", invalid="ignore"):
        values: NDArray[np.float32] = numbers.astype(np.float32)
    values[absent | ~np.isfinite(values)] = np.nan
    return values


def _chosen_resampling(
    source: DatasetReader, path: Path, band: int, asked: Resampling | None, places: PixelPlaces
) -> Resampling:
    import rasterio

    if asked is not None and asked not in get_args(Resampling):
        raise OptionError(
            "resampling",
            required=" or ".join(get_args(Resampling)),
            found=repr(asked),
            remedy="Use nearest or mode for classes, and leave it out for a continuous quantity",
        )
    if source.colorinterp[band - 1] == rasterio.enums.ColorInterp.palette and asked not in {"nearest", "mode"}:
        raise OptionError(
            f"resampling of {path}",
            required="nearest or mode, since its colour table says that it holds classes",
            found=asked or "none, which is for continuous quantities",
            remedy="Name the resampling, or remove the colour table if the raster is continuous",
        )
    if places.coincide:
        return "nearest"
    if asked is not None:
        return asked
    return "average" if places.finer_by > AVERAGED_WHEN_FINER_BY else "bilinear"


def _span(places: NDArray[np.float64], size: int, margin: int) -> slice:
    """Pixels 0 to `size` that places reach, with a margin; empty where none is finite."""
    finite = places[np.isfinite(places)]
    if not finite.size:
        return slice(0, 0)
    first = int(np.clip(np.floor(finite.min()) - margin, 0, size))
    last = int(np.clip(np.ceil(finite.max()) + margin, 0, size))
    return slice(first, last)
