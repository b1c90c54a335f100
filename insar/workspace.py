"""What a run has done so far, on disk: a run that was killed goes on where it stopped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_ROWS_DONE = "rows_done"


class FlatArray:
    """An array in a plain region of a file, written and read by rows without mapping it into memory.

    Parameters
    ----------
    path, offset
        Where the region lies; the file is made, or made large enough, if need be.
    shape
        (..., row, col).
    dtype
        Type of the values.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: DTypeLike, offset: int = 0) -> None:
        self.path = path
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._offset = offset
        self._file = os.open(path, os.O_RDWR | os.O_CREAT)
        needed = offset + int(np.prod(shape)) * self.dtype.itemsize
        if os.fstat(self._file).st_size < needed:
            os.ftruncate(self._file, needed)

    def write_rows(self, rows: slice, values: NDArray[Any]) -> None:
        """Write (..., row, col) values of some rows."""
        block = np.ascontiguousarray(values, dtype=self.dtype).reshape(-1, rows.stop - rows.start, self.shape[-1])
        for index, plane in enumerate(block):
            _write_all(self._file, plane, self._position(index, rows.start))

    def map(self) -> NDArray[Any]:
        """The whole array, mapped read-only."""
        return np.memmap(self.path, dtype=self.dtype, mode="r", offset=self._offset, shape=self.shape)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _position(self, plane: int, row: int) -> int:
        return self._offset + ((plane * self.shape[-2]) + row) * self.shape[-1] * self.dtype.itemsize


def _write_all(file: int, values: NDArray[Any], position: int) -> None:
    view = memoryview(values.tobytes())
    while view:
        written = os.pwrite(file, view, position)
        view = view[written:]
        position += written


class Workspace:
    """Folder of a run's intermediate arrays and of the mark how far it got.

    Parameters
    ----------
    folder
        Made if it is not there. What another run left there is removed.
    fingerprint
        What identifies the run: its inputs and the settings its numbers depend on.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder = folder
        self._mark_file = folder / "mark.npz"
        named = folder / "fingerprint"
        if not named.is_file() or named.read_text(encoding="ascii") != fingerprint:
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir(parents=True)
            named.write_text(fingerprint, encoding="ascii")
        self._sums = self._read_mark()
        self._rows_done = int(self._sums.pop(_ROWS_DONE, 0))
        self._arrays: list[FlatArray] = []

    @property
    def rows_done(self) -> int:
        """Rows of the stack that are inverted and written."""
        return self._rows_done

    @property
    def sums(self) -> dict[str, NDArray[Any]]:
        """Sums over the rows done."""
        return dict(self._sums)

    def mark(self, rows_done: int, sums: Mapping[str, NDArray[Any]]) -> None:
        """Record that all rows before `rows_done` are written."""
        self._rows_done, self._sums = rows_done, dict(sums)
        partial = self._mark_file.with_name("partial.npz")
        content: dict[str, Any] = {_ROWS_DONE: np.array(rows_done), **self._sums}
        np.savez(partial, **content)
        partial.replace(self._mark_file)

    def array(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> FlatArray:
        """An array of the workspace, with what an earlier try wrote in it."""
        return self.adopt(FlatArray(self.folder / f"{name}.raw", shape, dtype))

    def adopt(self, array: FlatArray) -> FlatArray:
        """Close an array with the workspace."""
        self._arrays.append(array)
        return array

    def close(self) -> None:
        """Close all files; what is written stays."""
        for array in self._arrays:
            array.close()
        self._arrays.clear()

    def remove(self) -> None:
        """Close and delete."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _read_mark(self) -> dict[str, NDArray[Any]]:
        if not self._mark_file.is_file():
            return {}
        with np.load(self._mark_file, allow_pickle=False) as content:
            return {name: content[name] for name in content.files}
