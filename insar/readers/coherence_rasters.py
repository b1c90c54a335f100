"""GeoTIFFs of coherence, one for each pair: what the readers of such folders share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from insar.errors import InputError
from insar.grid import Grid
from insar.readers.geotiff import GeoTiff, OpenRasters, RasterCube, RasterLayer, chunk_rows, read_geotiff
from insar.readers.grids import require_same_grid
from insar.readers.pairs import StoredPair, keep_first, order_dates
from insar.readers.sources import Decoding, cube_of
from insar.stack import Cube, Pair

SUFFIXES = (".tif", ".tiff")
_DATES = re.compile(r"(?<!\d)(\d{8})(?:T\d{6})?[_-](\d{8})(?:T\d{6})?(?!\d)")
_STEPS_OF_BYTES = 255.0
_LIMITS = (0.0, 1.001)


@dataclass(frozen=True, slots=True)
class CoherenceRasters:
    """Coherence of some pairs on one grid."""

    pairs: tuple[Pair, ...]
    grid: Grid
    cube: Cube
    rasters: OpenRasters
    first: Path
    """File that the others were compared with."""
    notes: tuple[str, ...]


def find_rasters(folder: Path) -> list[Path]:
    """GeoTIFFs of a folder whose names state two dates, sorted."""
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() in SUFFIXES and _DATES.search(file.name) and file.is_file()
    )


def open_rasters(files: Sequence[Path], *, zero_is_data: bool = False, may_be_radar: bool = False) -> CoherenceRasters:
    """Open GeoTIFFs of coherence: floats from 0 to 1, or bytes, in steps of 1/255 or of the scale they declare.

    Parameters
    ----------
    files
        Each named after its two dates, in any order; at least one.
    zero_is_data
        Whether a coherence of exactly 0 counts; else it is no data, as most processors have it.
    may_be_radar
        Whether files without coordinate reference system are taken to be in radar coordinates.

    Raises
    ------
    InputError
        Files differ in their grids, or one cannot be a coherence.
    """
    stored, notes = keep_first(_stored(file) for file in files)
    headers = [read_geotiff(each.content, may_be_radar=may_be_radar) for each in stored]
    first = headers[0]
    for other in headers[1:]:
        require_same_grid(first.path, first.grid, other.path, other.grid)
    no_data = () if zero_is_data else (0.0,)
    rasters = OpenRasters()
    layers = tuple(RasterLayer.on_grid(header, first.grid, _decoding(header, no_data), _LIMITS) for header in headers)
    cube = cube_of(RasterCube(layers, rasters, chunk_rows(headers)), len(layers), first.grid)
    return CoherenceRasters(tuple(each.pair for each in stored), first.grid, cube, rasters, first.path, tuple(notes))


def _stored(file: Path) -> StoredPair[Path]:
    match = _DATES.search(file.name)
    if match is None:
        raise InputError(
            file,
            required="two dates in its name, such as 20240106_20240118",
            found=file.name,
            remedy="Rename it after its two dates",
        )
    pair, is_reversed = order_dates(file, match[1], match[2])
    return StoredPair(file.name, pair, is_reversed, file)


def _decoding(header: GeoTiff, no_data: tuple[float, ...]) -> Decoding:
    if header.is_floating:
        return header.decoding(*no_data)
    if header.dtype == "uint8":
        return header.decoding(*no_data, factor=_declared_scale(header.path) or 1.0 / _STEPS_OF_BYTES)
    raise InputError(
        header.path,
        required="coherence as float32 from 0 to 1, or as bytes from 0 to 255",
        found=f"{header.dtype} pixels",
        remedy="Convert it to float32",
    )


def _declared_scale(path: Path) -> float | None:
    import rasterio

    with rasterio.open(path) as dataset:
        scale, offset = dataset.scales[0], dataset.offsets[0]
    if offset != 0.0:
        raise InputError(
            path,
            required="coherence without an offset",
            found=f"an offset of {offset:g}",
            remedy="Convert it to float32 from 0 to 1",
        )
    return None if scale == 1.0 else float(scale)
