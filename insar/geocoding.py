"""Bring results in radar coordinates onto a north-up map grid through their look-up table.

The look-up table gives the latitude and longitude of every radar pixel's centre. Results are sampled by nearest
neighbour: a map pixel holds the value of the radar pixel closest to it on the ground. Interpolating would invent values
across unwrapping jumps and the edges of masks, mix flags and counts, and make the uncertainty layers lie.

A map pixel covers radar pixels of different ground positions where the terrain folds (layover); it takes the closest.
On a grid coarser than the radar pixels some of those are not shown at all; the map is a sample of the result, not an
average.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.errors import InputError, OptionError
from insar.grid import Grid, RowCol, same_crs
from insar.layers import row_slices
from insar.lookup import (
    PIXELS_PER_BLOCK,
    REGULAR_WITHIN,
    WGS84,
    Bounds,
    LookUpTable,
    PixelSize,
    Projection,
    bounds_beside,
    median_pixel,
    regular_lookup_grid,
    table_extent,
)
from insar.mapped import release_pages
from insar.stack import Plane

__all__ = ["Geocoder", "build_geocoder", "regular_lookup_grid", "target_grid"]

_TEAR_FACTOR = 20.0
"""Steps between neighbouring radar pixels longer than this many median steps are a jump in the table, not terrain."""

_MOST_PIXELS_PER_RADAR_PIXEL = 400
"""Map pixels per radar pixel above which a resolution is taken for a mistake of units."""


def target_grid(
    latitude: Plane,
    longitude: Plane,
    *,
    crs: str | None = None,
    resolution: float | None = None,
    bounds: Bounds | None = None,
) -> Grid:
    """Map grid for the results of a stack in radar coordinates.

    A regular look-up table keeps its own pixels, cropped to `bounds`, unless another CRS or a resolution is asked for.
    Otherwise the grid has square pixels, its edges are multiples of the resolution, and it covers the table.

    Parameters
    ----------
    latitude, longitude
        (row, col) degrees of pixel centres; NaN, or 0 in both, where the table has no value.
    crs
        Any name of a geographic or projected CRS that PROJ knows; EPSG:4326 by default.
    resolution
        Pixel size in units of the CRS; by default the square root of the median area of a radar pixel, to two
        significant digits.
    bounds
        West, south, east, north in degrees that limit the grid; west above east where it spans the antimeridian.

    Raises
    ------
    OptionError
        Unknown CRS, a resolution that is not positive or is far from the size of a radar pixel (usually metres
        given for degrees or the reverse), bounds out of order or beside the table.
    InputError
        The table has no valid value, or fewer than two rows or columns.
    """
    _check_bounds(bounds)
    if resolution is not None and not (math.isfinite(resolution) and resolution > 0):
        raise OptionError(
            "--resolution",
            required="a positive pixel size in units of the CRS",
            found=f"{resolution}",
            remedy="Leave it out for the size of the radar pixels",
        )
    projection = Projection(crs if crs is not None else WGS84)
    if resolution is None and same_crs(projection.name, WGS84):
        regular = regular_lookup_grid(latitude, longitude)
        if regular is not None:
            return _crop(regular[0], bounds)
    table = LookUpTable(latitude, longitude)
    pixel = median_pixel(table, projection)
    size = resolution if resolution is not None else _two_digits(math.sqrt(pixel.area))
    west, south, east, north = table_extent(table, projection, pixel)
    if bounds is not None:
        limit = projection.bounds(bounds, table.central_lon)
        west, south = max(west, limit[0]), max(south, limit[1])
        east, north = min(east, limit[2]), min(north, limit[3])
        if not (west < east and south < north):
            raise bounds_beside(bounds)
    _check_size(size, (east - west, north - south), pixel, projection)
    first_col, last_col = math.floor(west / size + 1e-9), math.ceil(east / size - 1e-9)
    first_row, last_row = math.ceil(north / size - 1e-9), math.floor(south / size + 1e-9)
    transform = Affine(size, 0.0, first_col * size, 0.0, -size, first_row * size)
    return Grid(max(1, first_row - last_row), max(1, last_col - first_col), transform, projection.name)


class Geocoder(ABC):
    """The way from map pixels back to radar pixels.

    Attributes
    ----------
    grid
        Map grid that results are brought to.
    radar_shape
        (rows, cols) of the look-up table.
    """

    def __init__(self, grid: Grid, radar_shape: tuple[int, int]) -> None:
        self.grid = grid
        self.radar_shape = radar_shape

    @property
    @abstractmethod
    def is_exact(self) -> bool:
        """Whether map pixels and radar pixels are the same pixels, at most flipped or cropped."""

    @abstractmethod
    def radar_index(self, rows: slice) -> NDArray[np.signedinteger]:
        """Radar pixel of each pixel of some map rows: (row, col) of radar row * radar cols + radar col, -1 for none."""

    def gather(self, source: NDArray[Any], rows: slice, fill: float = math.nan) -> NDArray[Any]:
        """Values of a radar result on some map rows.

        Parameters
        ----------
        source
            (..., row, col) in radar coordinates, in memory or memory-mapped; axes before the last two are kept.
        rows
            Map rows wanted.
        fill
            Value where no radar pixel is; must fit the type of `source`.

        Returns
        -------
        NDArray
            (..., row, col) of the map rows, in the type of `source`. Values are copied, never interpolated.
        """
        self._check_shape(source)
        index = self.radar_index(rows)
        missing = index < 0
        flat = source.reshape(*source.shape[:-2], -1)
        gathered: NDArray[Any] = np.asarray(np.take(flat, np.where(missing, 0, index), axis=-1))
        if missing.any():
            gathered[..., missing] = fill
        release_pages(source)
        return gathered

    def radar_pixel(self, pixel: RowCol) -> RowCol | None:
        """Radar pixel that a map pixel shows; None where it shows none."""
        index = int(self.radar_index(slice(pixel.row, pixel.row + 1))[0, pixel.col])
        return None if index < 0 else RowCol(*divmod(index, self.radar_shape[1]))

    def map_pixel(self, pixel: RowCol) -> RowCol | None:
        """Map pixel that shows a radar pixel, the middle one in row order of several; None where none shows it."""
        wanted = pixel.row * self.radar_shape[1] + pixel.col
        showing = [
            (rows.start + int(row), int(col))
            for rows in row_slices(self.grid.rows, max(1, PIXELS_PER_BLOCK // self.grid.cols))
            for row, col in np.argwhere(self.radar_index(rows) == wanted)
        ]
        return RowCol(*showing[len(showing) // 2]) if showing else None

    def _check_shape(self, source: NDArray[Any]) -> None:
        if source.shape[-2:] != self.radar_shape:
            raise InputError(
                "geocoding",
                required=f"a result on the grid of the look-up table, {self.radar_shape[0]} x {self.radar_shape[1]}",
                found=f"{source.shape[-2]} x {source.shape[-1]}",
                remedy="Check that the geometry files belong to the interferograms",
            )


def build_geocoder(
    latitude: Plane,
    longitude: Plane,
    grid: Grid,
    scratch: Path | None = None,
    *,
    pixels_per_block: int = PIXELS_PER_BLOCK,
) -> Geocoder:
    """Find the radar pixel of every pixel of a map grid.

    Where the look-up table is a regular grid whose pixels are those of `grid`, the way back is exact. Otherwise the
    table is walked in blocks of rows and its cells (quadrilaterals of four neighbouring pixel centres) are drawn into
    the grid, see `insar.kernels.geocoding.draw_cells`. Nothing is drawn where the table has no value, or across a jump
    longer than 20 median radar pixels. The result does not depend on the size of blocks.

    Parameters
    ----------
    latitude, longitude
        (row, col) degrees of pixel centres; NaN, or 0 in both, where the table has no value.
    grid
        North-up map grid with a CRS.
    scratch
        Folder for the index, 4 bytes per map pixel (8 while it is built); None keeps it in memory.
    pixels_per_block
        Radar pixels in memory at once.
    """
    _check_target(grid)
    if same_crs(grid.crs, WGS84):
        exact = _regular_geocoder(latitude, longitude, grid)
        if exact is not None:
            return exact
    central_lon = _central_lon(grid)
    table = LookUpTable(latitude, longitude, central_lon)
    projection = Projection(str(grid.crs))
    pixel = median_pixel(table, projection)
    index_type = np.int32 if table.rows * table.cols < 2**31 else np.int64
    index = _scratch_array(scratch, "geocoding_index", grid.shape, np.dtype(index_type), -1)
    distance = _scratch_array(scratch, "geocoding_distance", grid.shape, np.dtype(np.float32), 0)
    _draw(table, projection, grid, pixel, index, distance, max(1, pixels_per_block // table.cols))
    if scratch is not None:
        (scratch / "geocoding_distance.bin").unlink()
    return _DrawnGeocoder(grid, table.shape, index)


class _RegularGeocoder(Geocoder):
    """The table is itself a regular grid: map rows and columns are radar rows and columns, shifted and maybe flipped.

    `offsets` are the table's row and column, counted from its north-west corner, at the map's first pixel.
    """

    def __init__(
        self, grid: Grid, radar_shape: tuple[int, int], offsets: tuple[int, int], flips: tuple[bool, bool]
    ) -> None:
        super().__init__(grid, radar_shape)
        self._row_offset, self._col_offset = offsets
        self._flip_rows, self._flip_cols = flips

    @property
    def is_exact(self) -> bool:
        return True

    def radar_index(self, rows: slice) -> NDArray[np.signedinteger]:
        start, stop, _ = rows.indices(self.grid.rows)
        radar_rows, radar_cols = self.radar_shape
        row = np.arange(start, stop) + self._row_offset
        col = np.arange(self.grid.cols) + self._col_offset
        inside = ((row >= 0) & (row < radar_rows))[:, None] & ((col >= 0) & (col < radar_cols))[None, :]
        row = radar_rows - 1 - row if self._flip_rows else row
        col = radar_cols - 1 - col if self._flip_cols else col
        return np.where(inside, row[:, None] * radar_cols + col[None, :], -1)


class _DrawnGeocoder(Geocoder):
    """The table is not regular: an index of radar pixels, drawn cell by cell."""

    def __init__(self, grid: Grid, radar_shape: tuple[int, int], index: NDArray[np.signedinteger]) -> None:
        super().__init__(grid, radar_shape)
        self._index = index

    @property
    def is_exact(self) -> bool:
        return False

    def radar_index(self, rows: slice) -> NDArray[np.signedinteger]:
        index = np.array(self._index[rows])
        release_pages(self._index)
        return index


def _regular_geocoder(latitude: Plane, longitude: Plane, grid: Grid) -> Geocoder | None:
    regular = regular_lookup_grid(latitude, longitude)
    if regular is None:
        return None
    own, flip_rows, flip_cols = regular
    width, height = own.resolution
    rows = (own.bounds[3] - grid.bounds[3]) / height
    cols = (grid.bounds[0] - own.bounds[0]) / width
    offsets = round(rows), round(cols)
    shifted = Affine(width, 0.0, own.bounds[0] + offsets[1] * width, 0.0, -height, own.bounds[3] - offsets[0] * height)
    # Steps must agree well enough that the last pixel is still the same one.
    if not Grid(grid.rows, grid.cols, shifted, WGS84).same_as(grid, tolerance_pixels=REGULAR_WITHIN):
        return None
    return _RegularGeocoder(grid, own.shape, offsets, (flip_rows, flip_cols))


def _draw(
    table: LookUpTable,
    projection: Projection,
    grid: Grid,
    pixel: PixelSize,
    index: NDArray[np.signedinteger],
    distance: NDArray[np.float32],
    rows_per_block: int,
) -> None:
    from insar.kernels.geocoding import draw_cells

    width, height = grid.resolution
    west, _, _, north = grid.bounds
    u_scale = projection.ground_ratio(north - height * (np.arange(grid.rows) + 0.5)) * width / height
    for start in range(-1, table.rows, rows_per_block):
        stop = min(start + rows_per_block, table.rows)
        first, last = start - 1, stop + 2
        u = np.full((last - first, table.cols + 4), np.nan)
        v = u.copy()
        present = slice(max(first, 0), min(last, table.rows))
        x, y = projection.place(*table.read(present))
        held = slice(present.start - first, present.stop - first)
        u[held, 2:-2] = (x - west) / width - 0.5
        v[held, 2:-2] = (north - y) / height - 0.5
        draw_cells(
            u,
            v,
            first,
            table.cols,
            u_scale,
            _TEAR_FACTOR * pixel.down / height,
            _TEAR_FACTOR * pixel.across / height,
            index,
            distance,
        )
        for array in (index, distance):
            release_pages(array)


def _crop(grid: Grid, bounds: Bounds | None) -> Grid:
    """Reduce a grid in degrees to the pixels that `bounds` touch."""
    if bounds is None:
        return grid
    west, _, _, north = grid.bounds
    width, height = grid.resolution
    limit = Projection(WGS84).bounds(bounds, west)
    first_col = max(0, math.floor((limit[0] - west) / width + 1e-6))
    last_col = min(grid.cols, math.ceil((limit[2] - west) / width - 1e-6))
    first_row = max(0, math.floor((north - limit[3]) / height + 1e-6))
    last_row = min(grid.rows, math.ceil((north - limit[1]) / height - 1e-6))
    if first_col >= last_col or first_row >= last_row:
        raise bounds_beside(bounds)
    corner = Affine(width, 0.0, west + first_col * width, 0.0, -height, north - first_row * height)
    return Grid(last_row - first_row, last_col - first_col, corner, grid.crs)


def _check_bounds(bounds: Bounds | None) -> None:
    if bounds is None:
        return
    west, south, east, north = bounds
    in_range = all(map(math.isfinite, bounds)) and max(abs(west), abs(east)) <= 360 and -90 <= south < north <= 90
    # West above east means the antimeridian only where that is the short way round; otherwise the order is wrong.
    if not (in_range and (west < east or west - east > 180)):
        raise OptionError(
            "--bbox",
            required="west south east north in degrees, west < east and south < north",
            found=" ".join(f"{edge:g}" for edge in bounds),
            remedy="Give longitudes and latitudes in this order",
        )


def _check_size(size: float, extent: tuple[float, float], pixel: PixelSize, projection: Projection) -> None:
    unit = projection.unit
    usual = _two_digits(math.sqrt(pixel.area))
    if size > max(extent):
        found = f"{size:g} {unit}, larger than the whole area ({extent[0]:.4g} x {extent[1]:.4g} {unit})"
    elif size * size * _MOST_PIXELS_PER_RADAR_PIXEL < pixel.area:
        found = f"{size:g} {unit}, {pixel.area / size**2:.3g} map pixels to each radar pixel"
    else:
        return
    raise OptionError(
        "--resolution",
        required=f"a pixel size in the units of the CRS ({unit}), comparable to that of the radar pixels",
        found=found,
        remedy=f"A radar pixel is about {usual:g} {unit}; leave the option out to use that",
    )


def _check_target(grid: Grid) -> None:
    transform = grid.transform
    if grid.crs is None or transform.b or transform.d or transform.a <= 0 or transform.e >= 0:
        raise InputError(
            "target grid of geocoding",
            required="a north-up map grid with a CRS",
            found="no CRS" if grid.crs is None else f"transform {tuple(transform)[:6]}",
            remedy="Use `target_grid`",
        )


def _central_lon(grid: Grid) -> float | None:
    """Longitude the table's are brought close to: that of a geographic grid, which may count beyond 180 degrees."""
    return (grid.bounds[0] + grid.bounds[2]) / 2 if grid.is_geographic else None


def _scratch_array(
    scratch: Path | None, name: str, shape: tuple[int, int], dtype: np.dtype[Any], value: int
) -> NDArray[Any]:
    if scratch is None:
        return np.full(shape, value, dtype=dtype)
    array = np.memmap(scratch / f"{name}.bin", dtype=dtype, mode="w+", shape=shape)
    if value:
        array[:] = value
    return np.asarray(array)


def _two_digits(value: float) -> float:
    return float(f"{value:.1e}")
