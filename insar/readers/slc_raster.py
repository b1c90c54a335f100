"""Complex images that GDAL reads, in GeoTIFF, ENVI, ROI_PAC, VRT, HDF5 or NetCDF, and planes of geometry."""

from __future__ import annotations

import itertools
import os
import re
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from insar.errors import InputError, MissingInputError
from insar.grid import Grid
from insar.readers.crs import name_crs
from insar.readers.geotiff import TALLEST_CHUNK_ROWS, OpenRasters, gdal_settings, require_whole
from insar.readers.slc_images import (
    DatedImage,
    ImageSource,
    choose_images,
    day_of_path,
    polarisation_of,
)
from insar.readers.sources import Decoding, require_within
from insar.slc import SlcStack
from insar.stack import Plane

if TYPE_CHECKING:
    import rasterio

SUFFIXES = (".tif", ".tiff", ".slc", ".img", ".vrt", ".bin", ".dat")
"""Endings of files that are looked at in a folder; a file that is named may have any."""

_PIXEL_BYTES = {"complex_int16": 4, "complex64": 8, "complex128": 16}
_FLAT_DRIVERS = ("ENVI", "ROI_PAC", "ISCE", "EHdr")
_VARIABLE_PREFIXES = ("NETCDF:", "HDF5:")
_PROBES = 8
_OPENING = threading.Lock()
_FILE_OF_VARIABLE = re.compile(r'^(?:NETCDF|HDF5):"?([^":]+)"?:', re.IGNORECASE)


class OpenImages(OpenRasters):
    """Rasters in any format of GDAL, see `insar.readers.geotiff.OpenRasters`."""

    def open(self, path: Path) -> rasterio.DatasetReader:
        """A new dataset, which the caller closes."""
        return _open(path)


@dataclass(frozen=True, slots=True)
class GdalImage:
    """A complex band of a raster."""

    path: Path
    band: int
    no_data: float | None
    rows_per_chunk: int
    rasters: OpenImages = field(repr=False)

    def read(self, rows: slice, cols: slice, out: NDArray[np.complex64]) -> None:
        """Read a window into `out` (row, col)."""
        _read(self.path, self.band, self.rasters, rows, cols, out)
        if self.no_data is not None and self.no_data != 0.0:
            out[out == self.no_data] = 0.0


@dataclass(frozen=True, slots=True)
class GdalPlane:
    """A `insar.stack.PlaneSource` of a real band; float64 where the file is float64, else float32."""

    path: Path
    band: int
    is_double: bool
    decoding: Decoding
    rasters: OpenImages = field(repr=False)
    limits: tuple[float, float] | None = None

    def read_window(self, rows: slice, cols: slice) -> NDArray[np.float32] | NDArray[np.float64]:
        """One window, (row, col)."""
        shape = (rows.stop - rows.start, cols.stop - cols.start)
        window: NDArray[np.float32] | NDArray[np.float64]
        window = np.empty(shape, np.float64) if self.is_double else np.empty(shape, np.float32)
        if window.size:
            _read(self.path, self.band, self.rasters, rows, cols, window)
        self.decoding.apply(window)
        require_within(self.path, window, self.limits)
        return window


def holds_images(paths: Sequence[Path]) -> bool:
    """Whether files of one date, named or in a folder that is, hold complex pixels; a few headers are read."""
    if any(is_variable(path) for path in paths):
        return True
    dated = (file for path in paths for file in _find_files(path) if _day(file) is not None)
    return any(_is_complex(file) for file in itertools.islice(dated, _PROBES))


def open_images(paths: Sequence[Path], polarisation: str | None, subswath: str | None) -> SlcStack:
    """Open complex rasters whose names, or those of their folders, state their dates.

    Raises
    ------
    InputError
        A raster that was named is not complex or has no date, or the rasters do not make a stack.
    OptionError
        As `insar.readers.slc_images.choose_images`.
    """
    notes: list[str] = []
    rasters = OpenImages()
    found = list(
        {
            (each.path.absolute(), each.polarisation): each for path in paths for each in _images(path, rasters, notes)
        }.values()
    )
    chosen = choose_images(paths[0], found, polarisation, subswath, notes)
    if chosen[0].grid.crs is None:
        notes.append("no place: the images have no coordinate reference system, and nothing beside them states one")
    return SlcStack(
        paths[0],
        "gdal",
        tuple(each.day for each in chosen),
        chosen[0].grid,
        ImageSource.of(chosen),
        polarisation=chosen[0].polarisation,
        notes=tuple(notes),
    )


def is_variable(path: Path) -> bool:
    """Whether a path names a variable in an HDF5 or NetCDF file, such as ``HDF5:"file.h5"://data/VV``."""
    return str(path).upper().startswith(_VARIABLE_PREFIXES)


def gdal_image(path: Path, rasters: OpenImages, band: int = 1) -> tuple[Grid, GdalImage]:
    """Where the pixels of one complex band lie, and what reads them.

    Raises
    ------
    MissingInputError
        There is no such file.
    InputError
        It cannot be opened, is cut short, or its pixels are not complex.
    """
    with _header(path) as dataset:
        if dataset.dtypes[band - 1] not in _PIXEL_BYTES:
            raise InputError(
                path,
                required="complex pixels (CFloat32, CFloat64 or CInt16)",
                found=f"{dataset.dtypes[band - 1]} pixels",
                remedy="Give single-look complex images, not intensities or interferograms' layers",
            )
        no_data = dataset.nodata if dataset.nodata is not None and np.isfinite(dataset.nodata) else None
        chunk = min(dataset.block_shapes[band - 1][0], TALLEST_CHUNK_ROWS)
        return _grid(path, dataset), GdalImage(path, band, no_data, chunk, rasters)


def gdal_plane(
    path: Path, rasters: OpenImages, *, band: int, decoding: Decoding, limits: tuple[float, float] | None
) -> Plane:
    """A real band, counted from 1, as a lazy plane; raises as `gdal_image`."""
    with _header(path) as dataset:
        is_double = dataset.dtypes[band - 1] == "float64"
        return Plane(GdalPlane(path, band, is_double, decoding, rasters, limits), dataset.height, dataset.width)


def _find_files(path: Path) -> list[Path]:
    """Files of a folder and of the folders of dates in it; a file by itself."""
    if not path.is_dir():
        return [path]
    folders = [path, *(Path(entry) for entry in sorted(os.scandir(path), key=lambda each: each.name) if entry.is_dir())]
    found = [
        Path(entry)
        for folder in folders
        for entry in sorted(os.scandir(folder), key=lambda each: each.name)
        if entry.is_file() and entry.name.lower().endswith(SUFFIXES)
    ]
    # a flat raster whose .vrt says the same is listed once
    return [file for file in found if file.suffix != ".vrt" or file.with_suffix("") not in found]


def _images(path: Path, rasters: OpenImages, notes: list[str]) -> Iterator[DatedImage]:
    is_named = not path.is_dir()
    others = []
    for file in _find_files(path):
        if not is_named and (_day(file) is None or not _is_complex(file)):
            others.append(file.name)
            continue
        yield from _bands(file, rasters)
    if others:
        notes.append(f"left out of {path.name}, not complex images of one date: {_listed(others)}")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"


def _bands(path: Path, rasters: OpenImages) -> Iterator[DatedImage]:
    """Each band of a file: of one band the polarisation may be in its name, of several it has to be in each."""
    day = _day(path)
    if day is None:
        raise InputError(
            path,
            required="one date in its name or in that of its folder, such as 20180106",
            found="none, or several",
            remedy="Rename it after the date of its acquisition",
        )
    with _header(path) as dataset:
        descriptions = tuple(text or "" for text in dataset.descriptions)
    stated = [polarisation_of(text) for text in descriptions]
    if len(stated) > 1 and (None in stated or len(set(stated)) < len(stated)):
        raise InputError(
            path,
            required="one complex band, or bands whose descriptions state each a polarisation of its own",
            found=f"{len(stated)} bands described as {', '.join(map(repr, descriptions))}",
            remedy="Save the band of each polarisation in its own file",
        )
    for band, polarisation in enumerate(stated, start=1):
        grid, image = gdal_image(path, rasters, band)
        yield DatedImage(path, day, grid, image, polarisation or polarisation_of(path.name))


def _day(path: Path) -> date | None:
    quoted = _FILE_OF_VARIABLE.match(str(path))
    return day_of_path(Path(quoted[1]) if quoted else path)


def _is_complex(path: Path) -> bool:
    try:
        with gdal_settings(sidecars=True), _open(path) as dataset:
            return dataset.dtypes[0] in _PIXEL_BYTES
    except InputError:
        if path.suffix.lower() in (".tif", ".tiff"):
            raise  # a GeoTIFF that cannot be opened is damaged, other endings may mean anything
        return False


@contextmanager
def _header(path: Path) -> Iterator[rasterio.DatasetReader]:
    """A dataset for the length of a ``with`` block, checked to be whole."""
    with gdal_settings(sidecars=True), _open(path) as dataset:
        _require_whole(path, dataset)
        yield dataset


def _open(path: Path) -> rasterio.DatasetReader:
    import rasterio

    try:
        # filters of warnings are those of all threads: two that change them at once would leave them changed
        with _OPENING, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of no georeference: radar coordinates have none
            return rasterio.open(_gdal_name(path), sharing=False)
    except rasterio.errors.RasterioIOError as error:
        if not is_variable(path) and not path.exists():
            raise MissingInputError(
                path, required="a complex image", found="no such file", remedy="Check the path"
            ) from error
        raise InputError(
            path,
            required="a raster that GDAL can read",
            found=str(error).splitlines()[0],
            remedy="Check that its header lies beside it (.hdr, .xml, .rsc), or convert it to GeoTIFF",
        ) from error


def _gdal_name(path: Path) -> str:
    # `Path` makes one slash of two, which HDF5 needs after the name of the file
    text = str(path)
    return text.replace('":/', '"://') if text.upper().startswith("HDF5:") and '"://' not in text else text


def _grid(path: Path, dataset: rasterio.DatasetReader) -> Grid:
    transform = dataset.transform
    if dataset.crs is None or transform.is_identity:
        return Grid.radar(dataset.height, dataset.width)
    if transform.b or transform.d or transform.a <= 0 or transform.e >= 0:
        raise InputError(
            path,
            required="a map with north up and east to the right, or radar coordinates without a projection",
            found=f"the transform {tuple(transform)[:6]}",
            remedy="Remove its georeference, or geocode it again",
        )
    return Grid(dataset.height, dataset.width, transform, name_crs(path, dataset.crs.to_wkt()))


def _require_whole(path: Path, dataset: rasterio.DatasetReader) -> None:
    if dataset.driver == "GTiff":
        require_whole(path, dataset)
    elif dataset.driver in _FLAT_DRIVERS:
        pixel = sum(_PIXEL_BYTES.get(name) or np.dtype(name).itemsize for name in dataset.dtypes)
        required, found = dataset.height * dataset.width * pixel, path.stat().st_size
        if found < required:  # GDAL would fill the end with zeros
            raise InputError(
                path,
                required=f"at least {required} bytes ({dataset.height} rows x {dataset.width} columns)",
                found=f"{found} bytes",
                remedy="It is cut short or belongs to another header: copy it again",
            )


def _read(
    path: Path,
    band: int,
    rasters: OpenImages,
    rows: slice,
    cols: slice,
    out: NDArray[np.complex64] | NDArray[np.float32] | NDArray[np.float64],
) -> None:
    import rasterio

    window = ((rows.start, rows.stop), (cols.start, cols.stop))
    with gdal_settings(sidecars=True), rasters.borrow(path) as dataset:
        try:
            dataset.read(band, window=window, out=out)
        except rasterio.errors.RasterioIOError as error:
            raise InputError(
                path,
                required=f"pixels of rows {rows.start} to {rows.stop} that can be read",
                found=str(error.__cause__ or error).splitlines()[0],
                remedy="The file is damaged, or one that it refers to has moved: copy it again",
            ) from error
