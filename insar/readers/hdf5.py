"""Datasets of HDF5 files, read beside the HDF5 library where that is possible.

The library lets one thread read at a time, and copies every chunk through its cache. Where nothing has to be
decompressed, the places of the pixels in the file are asked for once, and the bytes are then read like those of any
other flat raster, by as many threads as want to.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.errors import InputError
from insar.readers.files import OpenFile, OpenFiles
from insar.readers.flat import FlatBand
from insar.readers.sources import Decoding, FlatCube, FlatPlane, Layer, require_within
from insar.stack import CubeSource, PlaneSource

WORTH_SKIPPING_BYTES = 16 << 10  # a further system call costs as much as copying about this much from memory


@contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """An HDF5 file for reading.

    Raises
    ------
    InputError
        It is not one, it is cut short, or another program is writing it.
    """
    import h5py

    try:
        file = h5py.File(path, "r", locking="best-effort")
    except OSError as error:
        raise InputError(
            path,
            required="an HDF5 file that is whole and not being written",
            found=str(error).splitlines()[0],
            remedy="Close the program that writes it, or copy it again",
        ) from error
    with file:
        yield file


def open_cube(path: Path, dataset: Any, decodings: Sequence[Decoding], files: OpenFiles) -> CubeSource:
    """Source of a (pair, row, col) dataset of an open file, with how to decode each pair."""
    layers, rows, cols = dataset.shape
    offset = _contiguous_offset(dataset)
    if offset is not None:
        dtype = dataset.dtype.str
        return FlatCube(
            tuple(
                Layer(FlatBand(path, dtype, rows, cols, layers, index, header_bytes=offset), decoding)
                for index, decoding in enumerate(decodings)
            ),
            files,
        )
    # libraries before HDF5 1.14 do not list the places of chunks in one go
    can_locate = dataset.chunks is not None and hasattr(dataset.id, "chunk_iter")
    if can_locate and _is_raw(dataset) and _is_simple(decodings):
        return ChunkedCube(
            path, dataset.name, dataset.dtype.str, dataset.shape, dataset.chunks, tuple(decodings), files
        )
    return LibraryCube(path, dataset.name, tuple(decodings), rows_per_chunk=dataset.chunks[1] if dataset.chunks else 1)


def open_plane(
    path: Path, dataset: Any, decoding: Decoding, files: OpenFiles, limits: tuple[float, float] | None = None
) -> PlaneSource:
    """Source of a (row, col) dataset of an open file, whose values must lie within `limits`."""
    rows, cols = dataset.shape
    offset = _contiguous_offset(dataset)
    if offset is not None:
        band = FlatBand(path, dataset.dtype.str, rows, cols, header_bytes=offset)
        return FlatPlane(Layer(band, decoding), files, limits)
    return LibraryPlane(path, dataset.name, decoding, limits)


def _is_raw(dataset: Any) -> bool:
    """Whether the bytes in the file are those of the array: nothing compressed, converted, linked or shifted."""
    plist = dataset.id.get_create_plist()
    return bool(
        plist.get_nfilters() == 0
        and not dataset.external
        and not dataset.is_virtual
        and dataset.file.userblock_size == 0
        and dataset.file.driver == "sec2"
        and dataset.dtype.kind in "fiu"
        and dataset.dtype.itemsize in (1, 2, 4, 8)
    )


def _contiguous_offset(dataset: Any) -> int | None:
    if dataset.chunks is not None or not _is_raw(dataset):
        return None
    offset: int | None = dataset.id.get_offset()  # None for data inside the object's header, or never written
    return offset


@dataclass(frozen=True, slots=True)
class _Chunks:
    """Where chunks start in the file, (chunk, chunk, chunk) bytes, -1 where one was never written."""

    offsets: NDArray[np.int64]
    fill: float


@dataclass(slots=True)
class ChunkedCube:
    """A `insar.stack.CubeSource` of a chunked dataset without filters."""

    path: Path
    name: str
    dtype: str
    shape: tuple[int, int, int]
    chunk_shape: tuple[int, int, int]
    decodings: tuple[Decoding, ...] = field(repr=False)
    files: OpenFiles = field(repr=False)
    _chunks: _Chunks | None = field(default=None, init=False, repr=False, compare=False)

    def __reduce__(self) -> tuple[Any, ...]:  # the places of chunks, up to millions, are asked for again
        return ChunkedCube, (self.path, self.name, self.dtype, self.shape, self.chunk_shape, self.decodings, self.files)

    @property
    def rows_per_chunk(self) -> int:
        """Rows that lie together in the file: blocks of a multiple of it, starting at one, read nothing twice."""
        return self.chunk_shape[1]

    def read_block(self, pairs: NDArray[np.intp], rows: slice, cols: slice) -> NDArray[np.float32]:
        """One window of the named pairs, (pair, row, col)."""
        from insar.kernels.decoding import copy_decoded

        chunks = self._located()
        block = np.empty((len(pairs), rows.stop - rows.start, cols.stop - cols.start), np.float32)
        deep, tall, wide = self.chunk_shape
        chunk = np.zeros(deep * tall * wide, self.dtype)
        rules = _decoding_arrays(self.decodings)
        across = [(col, *_overlap(cols, col * wide, wide)) for col in _covered(cols, wide)]
        down = [(row, *_overlap(rows, row * tall, tall)) for row in _covered(rows, tall)]
        layers = pairs // deep
        with self.files.borrow(self.path) as file:
            for layer, (row, in_chunk_rows, in_block_rows) in product(np.unique(layers), down):
                targets = np.flatnonzero(layers == layer)
                wanted = pairs[targets]
                planes = wanted - layer * deep
                runs = list(_runs(planes, (tall - in_chunk_rows.stop + in_chunk_rows.start) * wide * 4))
                for (col, in_chunk_cols, in_block_cols), (start, stop) in product(across, runs):
                    offset = int(chunks.offsets[layer, row, col])
                    if offset < 0:
                        chunk[:] = chunks.fill
                    else:
                        self._read_planes(file, offset, planes[start:stop], in_chunk_rows, chunk)
                    copy_decoded(
                        chunk.reshape(self.chunk_shape).astype(np.float32, copy=False),
                        in_chunk_cols.start,
                        *rules,
                        wanted[start:stop],
                        targets[start:stop],
                        in_block_rows.start,
                        in_block_rows.stop,
                        in_block_cols.start,
                        in_block_cols.stop,
                        block,
                    )
        return block

    def _read_planes(
        self, file: OpenFile, offset: int, planes: NDArray[np.intp], rows: slice, chunk: NDArray[Any]
    ) -> None:
        """Fill `chunk` from its start with consecutive planes of the chunk at `offset`, from the first of `rows` on."""
        _, tall, wide = self.chunk_shape
        first, count = int(planes[0]), len(planes)
        height = rows.stop - rows.start
        size = ((count - 1) * tall + height) * wide  # what follows the rows of the last plane stays unread
        file.read_into(offset + (first * tall + rows.start) * wide * chunk.itemsize, chunk[:size].view(np.uint8))

    def _located(self) -> _Chunks:
        # two threads may both ask at first; both get the same answer
        if self._chunks is None:
            with open_hdf5(self.path) as file:
                self._chunks = _locate(file[self.name], self.chunk_shape)
        return self._chunks


def _locate(dataset: Any, chunk_shape: tuple[int, int, int]) -> _Chunks:
    counts = tuple(-(-size // step) for size, step in zip(dataset.shape, chunk_shape, strict=True))
    offsets = np.full(counts, -1, np.int64)

    def note(info: Any) -> None:
        offsets[tuple(at // step for at, step in zip(info.chunk_offset, chunk_shape, strict=True))] = info.byte_offset

    dataset.id.chunk_iter(note)
    return _Chunks(offsets, float(dataset.fillvalue))


def _covered(window: slice, step: int) -> range:
    return range(window.start // step, -(-window.stop // step)) if window.stop > window.start else range(0)


def _overlap(window: slice, start: int, size: int) -> tuple[slice, slice]:
    """The part of a window that lies in a chunk, counted in the chunk and in the window."""
    first, last = max(window.start, start), min(window.stop, start + size)
    return slice(first - start, last - start), slice(first - window.start, last - window.start)


def _decoding_arrays(
    decodings: Sequence[Decoding],
) -> tuple[np.float32, NDArray[np.float32], NDArray[np.float32]]:
    """What `copy_decoded` takes: the value that is no data, and the factor and offset of each pair."""
    no_data = decodings[0].no_data
    return (
        np.float32(no_data[0] if no_data else np.nan),
        np.array([decoding.factor for decoding in decodings], np.float32),
        np.array([decoding.offset for decoding in decodings], np.float32),
    )


def _is_simple(decodings: Sequence[Decoding]) -> bool:
    """Whether the same value, at most one, means no data in all pairs."""
    return len({decoding.no_data for decoding in decodings}) == 1 and len(decodings[0].no_data) <= 1


def _runs(planes: NDArray[np.intp], gap_bytes: int) -> Iterator[tuple[int, int]]:
    """Ranges of planes to read at once: consecutive ones, unless more than a little would be read in vain."""
    start = 0
    for index in range(1, len(planes) + 1):
        together = index < len(planes) and planes[index] == planes[index - 1] + 1 and gap_bytes <= WORTH_SKIPPING_BYTES
        if not together:
            yield start, index
            start = index


_library_lock = threading.Lock()  # one for all: the HDF5 library has one of its own for all files


@dataclass(frozen=True, slots=True)
class LibraryCube:
    """A `insar.stack.CubeSource` of any dataset, read by the HDF5 library: one thread at a time."""

    path: Path
    name: str
    decodings: tuple[Decoding, ...] = field(repr=False)
    rows_per_chunk: int = 1
    """Rows that are decompressed together."""

    def read_block(self, pairs: NDArray[np.intp], rows: slice, cols: slice) -> NDArray[np.float32]:
        """One window of the named pairs, (pair, row, col)."""
        block = np.empty((len(pairs), rows.stop - rows.start, cols.stop - cols.start), np.float32)
        with _library_lock, open_hdf5(self.path) as file:
            dataset = file[self.name]
            for start, stop in _runs(pairs, 0):
                block[start:stop] = dataset[int(pairs[start]) : int(pairs[stop - 1]) + 1, rows, cols]
        for plane, pair in zip(block, pairs, strict=True):
            self.decodings[pair].apply(plane)
        return block


@dataclass(frozen=True, slots=True)
class LibraryPlane:
    """A `insar.stack.PlaneSource` of any dataset, read by the HDF5 library."""

    path: Path
    name: str
    decoding: Decoding
    limits: tuple[float, float] | None = None

    def read_window(self, rows: slice, cols: slice) -> NDArray[np.float32] | NDArray[np.float64]:
        """One window, (row, col)."""
        with _library_lock, open_hdf5(self.path) as file:
            stored = file[self.name][rows, cols]
        window: NDArray[Any] = stored.astype(np.float64 if stored.dtype.itemsize == 8 else np.float32)
        self.decoding.apply(window)
        require_within(self.path, window, self.limits)
        return window
