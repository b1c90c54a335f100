"""What flat rasters become in a stack: lazy cubes and planes with NaN for no data."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.errors import InputError
from insar.grid import Grid
from insar.readers.files import OpenFiles
from insar.readers.flat import FlatBand
from insar.stack import Cube, CubeSource, Plane, PlaneSource


@dataclass(frozen=True, slots=True)
class Decoding:
    """How stored numbers become values: no data to NaN, then ``stored * factor + offset``."""

    no_data: tuple[float, ...] = (0.0,)
    factor: float = 1.0
    offset: float = 0.0

    def apply(self, block: NDArray[Any]) -> None:
        """Decode a floating-point block in place; what is not finite becomes NaN as well."""
        if block.dtype == np.float32 and block.ndim == 2 and len(self.no_data) <= 1:
            from insar.kernels.decoding import decode_in_place

            # One pass over the memory instead of one for each step below.
            nothing = self.no_data[0] if self.no_data else np.nan
            decode_in_place(block, np.float32(nothing), np.float32(self.factor), np.float32(self.offset))
            return
        valid = np.isfinite(block)
        for value in self.no_data:
            valid &= block != block.dtype.type(value)
        np.copyto(block, np.nan, where=~valid)
        if self.factor == -1.0:
            np.negative(block, out=block)
        elif self.factor != 1.0:
            np.multiply(block, self.factor, out=block)
        if self.offset != 0.0:
            np.add(block, self.offset, out=block)

    def negated(self) -> Decoding:
        """The same with the opposite sign, for a pair stored with the later date first."""
        return Decoding(self.no_data, -self.factor, -self.offset)


ZERO_IS_NO_DATA = Decoding()
ALL_IS_DATA = Decoding(no_data=())

INCIDENCE_LIMITS_DEG = (0.0, 90.0)
LATITUDE_LIMITS_DEG = (-90.0, 90.0)
LONGITUDE_LIMITS_DEG = (-360.0, 360.0)


@dataclass(frozen=True, slots=True)
class Layer:
    """One band and how to decode it."""

    band: FlatBand
    decoding: Decoding = ZERO_IS_NO_DATA

    def read(self, files: OpenFiles, rows: slice, cols: slice, out: NDArray[Any]) -> None:
        """Read and decode a window into `out` (row, col)."""
        step = self.band.rows_per_piece
        with files.borrow(self.band.path) as file:
            for start in range(rows.start, rows.stop, step):
                piece = slice(start, min(start + step, rows.stop))
                target = out[piece.start - rows.start : piece.stop - rows.start]
                self.band.read_window(file, piece, cols, target)
                self.decoding.apply(target)


@dataclass(frozen=True, slots=True)
class FlatCube:
    """A `insar.stack.CubeSource` of one flat band for each pair; None for a pair that has none."""

    layers: tuple[Layer | None, ...] = field(repr=False)
    files: OpenFiles = field(repr=False)

    def read_block(self, pairs: NDArray[np.intp], rows: slice, cols: slice) -> NDArray[np.float32]:
        """One window of the named pairs, (pair, row, col)."""
        block = np.empty((len(pairs), rows.stop - rows.start, cols.stop - cols.start), np.float32)
        for plane, pair in zip(block, pairs, strict=True):
            layer = self.layers[pair]
            if layer is None:
                plane.fill(np.nan)
            else:
                layer.read(self.files, rows, cols, plane)
        return block


@dataclass(frozen=True, slots=True)
class FlatPlane:
    """A `insar.stack.PlaneSource` of one flat band; float64 where the file is float64, else float32.

    Values outside `limits` raise an `InputError` when they are read, see `require_within`.
    """

    layer: Layer
    files: OpenFiles = field(repr=False)
    limits: tuple[float, float] | None = None

    def read_window(self, rows: slice, cols: slice) -> NDArray[np.float32] | NDArray[np.float64]:
        """One window, (row, col)."""
        double = np.dtype(self.layer.band.dtype).itemsize == 8
        window: NDArray[Any] = np.empty(
            (rows.stop - rows.start, cols.stop - cols.start), np.float64 if double else np.float32
        )
        self.layer.read(self.files, rows, cols, window)
        require_within(self.layer.band.path, window, self.limits)
        return window


def require_within(path: Path, window: NDArray[Any], limits: tuple[float, float] | None) -> None:
    """Refuse values that the quantity cannot have: the file is not in the order or type that its header states.

    Such files exist: an ISCE2 ``los.rdr`` whose sidecar says BIP while all incidences come before all azimuths.

    Raises
    ------
    InputError
        A finite value is outside `limits`; names `path`.
    """
    if limits is None:
        return
    outside = window[(window < limits[0]) | (window > limits[1])]
    if outside.size:
        raise InputError(
            path,
            required=f"values from {limits[0]:g} to {limits[1]:g}",
            found=f"{float(outside[0]):g}",
            remedy="The order of bands (scheme), the type or the byte order in its header is wrong: correct it",
        )


def cube_of(source: CubeSource, pairs: int, grid: Grid) -> Cube:
    """The cube of all pairs of a source."""
    return Cube(source, np.arange(pairs, dtype=np.intp), grid.rows, grid.cols)


def plane_of(source: PlaneSource, grid: Grid) -> Plane:
    """The plane of a source."""
    return Plane(source, grid.rows, grid.cols)
