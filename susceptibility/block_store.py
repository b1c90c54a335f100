"""Arrays in files that are filled block by block, and go on where an earlier call was stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from susceptibility.publishing import write_text

_STATE = "blocks.json"
_DONE = "done"


@dataclass(frozen=True, slots=True)
class BlockStore:
    """Arrays in files, and which blocks of them are whole.

    Attributes
    ----------
    arrays
        By name: (row,) float32, or (block, value) float64.
    done
        (block,) 1 where the block is on disk, else 0.
    """

    arrays: dict[str, NDArray[Any]]
    done: NDArray[np.uint8]

    def put(self, number: int, rows: slice, found: Mapping[str, NDArray[Any]]) -> None:
        """Keep a block: values (row,) of these rows, or (value,) of the block; it counts only when it is on disk."""
        for name, values in found.items():
            array = self.arrays[name]
            if array.ndim == 1:
                array[rows] = values
            else:
                array[number] = values
        for array in self.arrays.values():
            _flush(array)
        self.done[number] = 1
        _flush(self.done)


def open_block_store(
    folder: Path,
    names: Mapping[str, int],
    rows: int,
    blocks: int,
    settings: Mapping[str, Any],
    key: str | None,
) -> BlockStore:
    """Open the arrays of an earlier call with the same settings and key, or make new ones.

    Parameters
    ----------
    folder
        Where the files are; made if it is not there.
    names
        Of the arrays; 0 for one with a value for each row, else the number of values for each block.
    rows, blocks
        How many there are.
    settings
        What else must be the same for blocks of an earlier call to be used, as JSON can hold it.
    key
        What tells the input from others; None to start over in any case.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / _STATE
    described = json.dumps({"key": key, **settings}, indent=2) + "\n"
    goes_on = key is not None and state.is_file() and state.read_text(encoding="utf-8") == described
    if not goes_on:
        state.unlink(missing_ok=True)  # first, so that no state stands beside arrays that are not its own

    def opened(name: str, dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:
        path = folder / f"{name}.npy"
        if goes_on:
            return np.lib.format.open_memmap(path, mode="r+")
        path.unlink(missing_ok=True)  # the file of an earlier call may still be in use
        return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)

    arrays = {
        name: opened(name, np.float64 if size else np.float32, (blocks, size) if size else (rows,))
        for name, size in names.items()
    }
    done = opened(_DONE, np.uint8, (blocks,))
    if not goes_on:
        write_text(state, described)
    return BlockStore(arrays, done)


def _flush(array: NDArray[Any]) -> None:
    if isinstance(array, np.memmap):
        array.flush()
