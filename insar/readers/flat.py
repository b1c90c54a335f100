"""Rasters without a header of their own: pixels at fixed places in a file.

GDAL is not used for them: it follows a stale ``.vrt``, and takes a raster for ENVI where an ``.hdr`` lies beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.errors import InputError, MissingInputError
from insar.readers.files import OpenFile

SKIPPED_BYTES = 16 << 10
"""Bytes between the rows of a window above which they are read one by one: a call costs less than these do."""

PIECE_BYTES = 4 << 20  # read, converted and masked piece by piece, while a piece is in the processor's cache


class Interleave(StrEnum):
    """Order of the bands of one file: by line, by pixel, or one after the other."""

    BIL = "BIL"
    BIP = "BIP"
    BSQ = "BSQ"


@dataclass(frozen=True, slots=True)
class FlatBand:
    """One band of a flat raster.

    Attributes
    ----------
    path
        File that holds the pixels.
    dtype
        Type and byte order of a pixel, as in NumPy: ``<f4``, ``>f4``, ``u1``.
    rows, cols
        Size of the raster.
    bands, band
        Number of bands in the file, and which one this is, counted from 0.
    interleave
        Order of the bands.
    header_bytes
        Bytes before the first pixel.
    """

    path: Path
    dtype: str
    rows: int
    cols: int
    bands: int = 1
    band: int = 0
    interleave: Interleave = Interleave.BSQ
    header_bytes: int = 0

    @property
    def item_bytes(self) -> int:
        """Bytes of one pixel of one band."""
        return np.dtype(self.dtype).itemsize

    @property
    def file_bytes(self) -> int:
        """Bytes of a whole file: header and all bands."""
        return self.header_bytes + self.rows * self.cols * self.bands * self.item_bytes

    @property
    def strides(self) -> tuple[int, int]:
        """Bytes from one row to the next and from one column to the next."""
        item = self.item_bytes
        if self.interleave is Interleave.BIL:
            return self.bands * self.cols * item, item
        if self.interleave is Interleave.BIP:
            return self.bands * self.cols * item, self.bands * item
        return self.cols * item, item

    def check_file(self) -> None:
        """Compare the size of the file with the one that its header demands, without opening it.

        A file that is too long is as wrong as one that is too short: with another width every row would be sheared.
        """
        try:
            found = self.path.stat().st_size
        except FileNotFoundError as error:
            raise MissingInputError(
                self.path, required="the raster that its header describes", found="no such file", remedy="Copy it again"
            ) from error
        if found != self.file_bytes:
            raise InputError(
                self.path,
                required=f"{self.file_bytes} bytes ({self.rows} rows x {self.cols} columns x {self.bands} bands "
                f"of {np.dtype(self.dtype).name})",
                found=f"{found} bytes",
                remedy="The file is cut short or belongs to another header: copy or process it again",
            )

    def read_window(self, file: OpenFile, rows: slice, cols: slice, out: NDArray[Any]) -> None:
        """Copy a window into `out` (row, col), converted to its type; at most the bytes between its ends are read.

        `rows` and `cols` lie inside the raster.
        """
        count = (rows.stop - rows.start, cols.stop - cols.start)
        if 0 in count:
            return
        row_stride, col_stride = self.strides
        first = self._offset(rows.start, cols.start)
        dtype = np.dtype(self.dtype)
        span = (count[0] - 1) * row_stride + (count[1] - 1) * col_stride + self.item_bytes
        if out.dtype == dtype and out.flags.c_contiguous and span == out.nbytes:
            file.read_into(first, out.reshape(-1).view(np.uint8))
            return
        width = (count[1] - 1) * col_stride + self.item_bytes
        if row_stride - width > SKIPPED_BYTES:
            for number, row in enumerate(out):
                part = np.empty(width, np.uint8)
                file.read_into(first + number * row_stride, part)
                row[...] = np.ndarray(count[1:], dtype, buffer=part.data, strides=(col_stride,))
            return
        buffer = np.empty(span, np.uint8)
        file.read_into(first, buffer)
        out[...] = np.ndarray(count, dtype, buffer=buffer.data, strides=(row_stride, col_stride))

    @property
    def rows_per_piece(self) -> int:
        """Rows whose bytes make one piece."""
        return max(1, PIECE_BYTES // self.strides[0])

    def _offset(self, row: int, col: int) -> int:
        band_stride = {
            Interleave.BIL: self.cols * self.item_bytes,
            Interleave.BIP: self.item_bytes,
            Interleave.BSQ: self.rows * self.cols * self.item_bytes,
        }[self.interleave]
        row_stride, col_stride = self.strides
        return self.header_bytes + self.band * band_stride + row * row_stride + col * col_stride
