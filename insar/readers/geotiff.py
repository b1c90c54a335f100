"""GeoTIFFs: what their headers say, and lazy cubes and planes of their pixels.

A GDAL dataset must not be used by two threads at once, and opening one takes as long as reading a block of rows from
it. Datasets are therefore lent to one thread at a time and kept open in between, see `OpenRasters`.
"""

from __future__ import annotations

import os
import resource
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from insar.errors import InputError, MissingInputError
from insar.grid import Grid
from insar.layers import bounded_gdal_cache
from insar.readers.crs import name_crs
from insar.readers.sources import Decoding, require_within

if TYPE_CHECKING:
    import rasterio

TALLEST_CHUNK_ROWS = 256
"""Blocks of more rows than this would take more memory than decompressing tiles twice costs time."""


@dataclass(frozen=True, slots=True)
class GeoTiff:
    """What the header of a single-band GeoTIFF says.

    Attributes
    ----------
    path
        The file.
    grid
        Where its pixels lie: north up, with a CRS.
    dtype
        Type of the pixels, as in NumPy.
    no_data
        Value declared as no data, None where none is.
    block_rows
        Rows that are compressed together.
    """

    path: Path
    grid: Grid
    dtype: str
    no_data: float | None
    block_rows: int

    @property
    def is_floating(self) -> bool:
        """Whether pixels are real numbers, not integers or complex."""
        return np.dtype(self.dtype).kind == "f"

    @property
    def is_integer(self) -> bool:
        """Whether pixels are integers, signed or not."""
        return np.dtype(self.dtype).kind in "iu"

    def decoding(self, *no_data: float, factor: float = 1.0, offset: float = 0.0) -> Decoding:
        """Decoding with the given values as no data and the one that the header declares."""
        declared = () if self.no_data is None or not np.isfinite(self.no_data) else (self.no_data,)
        return Decoding(tuple(dict.fromkeys((*no_data, *declared))), factor, offset)


@dataclass(frozen=True, slots=True)
class GeoTiffBands:
    """What the header of a GeoTIFF of one or more bands says.

    Attributes
    ----------
    header
        What holds for each of the bands.
    descriptions
        Name of each band, None where it has none.
    tags
        Texts of the file by upper-case name, without those of single bands.
    """

    header: GeoTiff
    descriptions: tuple[str | None, ...]
    tags: dict[str, str]


def read_geotiff(path: Path, *, may_be_radar: bool = False) -> GeoTiff:
    """Read the header of a GeoTIFF of one band, and check that the file reaches as far as its header says.

    With `may_be_radar`, one without a coordinate reference system is taken to be in radar coordinates.

    Raises
    ------
    MissingInputError
        There is no such file.
    InputError
        It is no GeoTIFF, it is cut short, has several bands, is not north up or has no coordinate reference system.
    """
    with _opened_quietly(path) as dataset:
        if dataset.count != 1:
            raise InputError(
                path, required="one band", found=f"{dataset.count} bands", remedy="Save each band in its own file"
            )
        if may_be_radar and dataset.crs is None:
            require_whole(path, dataset)
            return _described(path, dataset, Grid.radar(dataset.height, dataset.width))
        return _described_map(path, dataset)


def read_geotiff_bands(path: Path) -> GeoTiffBands:
    """Read the header of a GeoTIFF of any number of bands, as `read_geotiff` does.

    Raises
    ------
    MissingInputError, InputError
        As of `read_geotiff`, several bands apart.
    """
    with _opened_quietly(path) as dataset:
        tags = {name.upper(): text for name, text in dataset.tags().items()}
        return GeoTiffBands(_described_map(path, dataset), tuple(dataset.descriptions), tags)


@contextmanager
def _opened_quietly(path: Path) -> Iterator[rasterio.DatasetReader]:
    with gdal_settings(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of no georeference: refused elsewhere in words of our own
        with _open(path) as dataset:
            yield dataset


def _described_map(path: Path, dataset: rasterio.DatasetReader) -> GeoTiff:
    transform = dataset.transform
    if transform.b or transform.d or transform.a <= 0 or transform.e >= 0:
        raise InputError(
            path,
            required="a map with north up and east to the right",
            found=f"the transform {tuple(transform)[:6]}",
            remedy="Warp it to a map projection without rotation (gdalwarp)",
        )
    if dataset.crs is None:
        raise InputError(
            path,
            required="a coordinate reference system",
            found="none in its header",
            remedy="Assign the one of the product (gdal_edit.py -a_srs), or download the file again",
        )
    require_whole(path, dataset)
    crs = name_crs(path, dataset.crs.to_wkt())
    return _described(path, dataset, Grid(dataset.height, dataset.width, transform, crs))


def _described(path: Path, dataset: rasterio.DatasetReader, grid: Grid) -> GeoTiff:
    return GeoTiff(path, grid, dataset.dtypes[0], dataset.nodata, dataset.block_shapes[0][0])


def require_whole(path: Path, dataset: rasterio.DatasetReader) -> None:
    """Compare the place of the last block with the size of the file: what was cut off would fail hours later."""
    tall, wide = dataset.block_shapes[0]
    last = f"{(dataset.width - 1) // wide}_{(dataset.height - 1) // tall}"
    end = 0
    for block in ("0_0", last):
        offset, size = (
            dataset.get_tag_item(f"BLOCK_{each}_{block}", "TIFF", bidx=dataset.count) for each in ("OFFSET", "SIZE")
        )
        if offset is not None and size is not None:  # blocks without data may be left out of the file
            end = max(end, int(offset) + int(size))
    found = path.stat().st_size
    if found < end:
        raise InputError(
            path, required=f"at least {end} bytes", found=f"{found} bytes", remedy="It is cut short: copy it again"
        )


def _open(path: Path) -> rasterio.DatasetReader:
    import rasterio

    try:
        return rasterio.open(path, driver="GTiff", sharing=False)
    except rasterio.errors.RasterioIOError as error:
        if not path.exists():
            raise MissingInputError(
                path, required="a GeoTIFF", found="no such file", remedy="Do not move a stack while it is in use"
            ) from error
        size = path.stat().st_size
        raise InputError(
            path,
            required="a whole GeoTIFF",
            found=f"a file of {size} bytes that cannot be opened as one",
            remedy="Download or copy it again, or remove it",
        ) from error


@contextmanager
def gdal_settings(*, sidecars: bool = False) -> Iterator[None]:
    """How GDAL reads inside a ``with`` block; with `sidecars` it looks for the headers that lie beside flat rasters."""
    # Folders hold hundreds of products: listing each for every file opened takes longer than reading headers.
    with bounded_gdal_cache(GDAL_DISABLE_READDIR_ON_OPEN="TRUE" if sidecars else "EMPTY_DIR"):
        yield


class OpenRasters:
    """GeoTIFFs of one stack, opened when first read and kept open, at most `limit` while idle.

    Parameters
    ----------
    limit
        Datasets kept open; by default half of the files that the operating system allows, at most 512. Those beyond
        it are opened anew each time: every block goes through all of them in turn, so that closing the one used
        longest ago would reopen every single one.
    """

    def __init__(self, limit: int | None = None) -> None:
        if limit is None:
            soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            limit = max(8, min(512, soft // 2)) if soft != resource.RLIM_INFINITY else 512
        self._limit = limit
        self._lock = threading.Lock()
        self._idle: dict[Path, list[rasterio.DatasetReader]] = {}
        self._count = 0
        self._process = os.getpid()

    def __reduce__(self) -> tuple[Any, ...]:  # datasets mean nothing in another process
        return type(self), (self._limit,)

    def __len__(self) -> int:
        return self._count

    def open(self, path: Path) -> rasterio.DatasetReader:
        """A new dataset, which the caller closes."""
        return _open(path)

    @contextmanager
    def borrow(self, path: Path) -> Iterator[rasterio.DatasetReader]:
        """A dataset for the calling thread alone, for the length of a ``with`` block."""
        dataset = self._take(path) or self.open(path)
        try:
            yield dataset
        except BaseException:
            dataset.close()
            raise
        self._give_back(path, dataset)

    def _take(self, path: Path) -> rasterio.DatasetReader | None:
        with self._lock:
            if self._process != os.getpid():
                # A forked process shares the place in the file with its parent: each would move the other's.
                self._idle, self._count, self._process = {}, 0, os.getpid()
            idle = self._idle.get(path)
            if not idle:
                return None
            self._count -= 1
            return idle.pop()

    def _give_back(self, path: Path, dataset: rasterio.DatasetReader) -> None:
        with self._lock:
            if self._count < self._limit:
                self._idle.setdefault(path, []).append(dataset)
                self._count += 1
                return
        dataset.close()


@dataclass(frozen=True, slots=True)
class RasterLayer:
    """A GeoTIFF on the grid of a stack, and how to decode it.

    Attributes
    ----------
    path
        The file.
    decoding
        How stored numbers become values.
    first_row, first_col
        Pixel of the file that is the first of the stack.
    limits
        Decoded values outside raise an `InputError`, see `insar.readers.sources.require_within`.
    band
        Which band of the file, counted from 1.
    """

    path: Path
    decoding: Decoding
    first_row: int = 0
    first_col: int = 0
    limits: tuple[float, float] | None = None
    band: int = 1

    @classmethod
    def on_grid(
        cls, raster: GeoTiff, grid: Grid, decoding: Decoding, limits: tuple[float, float] | None = None
    ) -> RasterLayer:
        """Layer of a raster that covers a grid, pixel on pixel."""
        row, col = raster.grid.pixel_coordinates(*grid.map_coordinates(0.0, 0.0))
        return cls(raster.path, decoding, round(row), round(col), limits)

    def read(self, rasters: OpenRasters, rows: slice, cols: slice, out: NDArray[Any]) -> None:
        """Read and decode a window into `out` (row, col); inside `gdal_settings`.

        Raises
        ------
        InputError
            Pixels cannot be decompressed, or are outside the limits.
        """
        if out.size == 0:
            return
        import rasterio

        # ((first row, end), (first column, end)) of the file
        window = (
            (self.first_row + rows.start, self.first_row + rows.stop),
            (self.first_col + cols.start, self.first_col + cols.stop),
        )
        with rasters.borrow(self.path) as dataset:
            try:
                dataset.read(self.band, window=window, out=out)
            except rasterio.errors.RasterioIOError as error:
                raise InputError(
                    self.path,
                    required=f"pixels of rows {window[0][0]} to {window[0][1]} that can be decompressed",
                    found=str(error.__cause__ or error).splitlines()[0],
                    remedy="The file is damaged: download or copy it again, or remove it",
                ) from error
        self.decoding.apply(out)
        require_within(self.path, out, self.limits)


@dataclass(frozen=True, slots=True)
class RasterCube:
    """A `insar.stack.CubeSource` of one GeoTIFF for each pair; None for a pair that has none."""

    layers: tuple[RasterLayer | None, ...] = field(repr=False)
    rasters: OpenRasters = field(repr=False)
    rows_per_chunk: int = 1
    """Rows that are decompressed together."""

    def read_block(self, pairs: NDArray[np.intp], rows: slice, cols: slice) -> NDArray[np.float32]:
        """One window of the named pairs, (pair, row, col)."""
        block = np.empty((len(pairs), rows.stop - rows.start, cols.stop - cols.start), np.float32)
        with gdal_settings():
            for plane, pair in zip(block, pairs, strict=True):
                layer = self.layers[pair]
                if layer is None:
                    plane.fill(np.nan)
                else:
                    layer.read(self.rasters, rows, cols, plane)
        return block


@dataclass(frozen=True, slots=True)
class RasterPlane:
    """A `insar.stack.PlaneSource` of one GeoTIFF, always float32."""

    layer: RasterLayer
    rasters: OpenRasters = field(repr=False)

    def read_window(self, rows: slice, cols: slice) -> NDArray[np.float32]:
        """One window, (row, col)."""
        window = np.empty((rows.stop - rows.start, cols.stop - cols.start), np.float32)
        with gdal_settings():
            self.layer.read(self.rasters, rows, cols, window)
        return window


def chunk_rows(rasters: list[GeoTiff]) -> int:
    """Rows of a chunk that suits all rasters: those of the tallest block, within reason."""
    tallest = max(raster.block_rows for raster in rasters)
    return min(tallest, TALLEST_CHUNK_ROWS)
