"""A sparse look at a stack before the work: enough to rate pairs and to find a reference point."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from insar.blocks import available_workers
from insar.stack import Cube, Stack

LATTICE = 100
"""Rows and columns looked at, at most; a smaller scene is read whole."""


@dataclass(frozen=True, slots=True)
class Survey:
    """Samples of all pairs on a lattice of pixels.

    Attributes
    ----------
    rows, cols
        (lattice row,), (lattice col,) pixels looked at.
    phase, coherence
        (pair, lattice row, lattice col) rad and 0..1, NaN where there is no data; None where the stack has none.
    """

    rows: NDArray[np.intp]
    cols: NDArray[np.intp]
    phase: NDArray[np.float32] | None
    coherence: NDArray[np.float32] | None

    def required_phase(self, stack: Stack) -> NDArray[np.float32]:
        """The phase of the lattice of `stack`; raises `InputError` for a stack of coherence alone."""
        if self.phase is None:
            stack.require_phase()
            raise ValueError(f"the survey was not made of {stack.path}")
        return self.phase

    @property
    def mean_coherence(self) -> NDArray[np.float64] | None:
        """(pair,) average coherence, NaN for a pair without any; None for a stack without coherence."""
        if self.coherence is None:
            return None
        valid = np.isfinite(self.coherence)
        count = valid.sum(axis=(1, 2))
        total = np.where(valid, self.coherence, 0.0).sum(axis=(1, 2), dtype=np.float64)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    @property
    def valid_fraction(self) -> NDArray[np.float64] | None:
        """(pair,) share of the lattice with phase."""
        if self.phase is None:
            return None
        share: NDArray[np.float64] = np.isfinite(self.phase).mean(axis=(1, 2))
        return share


def survey_stack(stack: Stack, workers: int | None = None) -> Survey:
    """Read the lattice of a stack, row by row, on several threads (all processors where None)."""
    rows, cols = lattice_of(stack.shape)
    with ThreadPoolExecutor(workers or available_workers()) as pool:
        phase, coherence = (
            None if cube is None else np.concatenate(list(pool.map(_row_reader(cube, cols), rows.tolist())), axis=1)
            for cube in (stack.unwrapped_phase, stack.coherence)
        )
    return Survey(rows, cols, phase, coherence)


def lattice_of(shape: tuple[int, int]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(lattice row,) and (lattice col,) pixels of a scene that are looked at."""
    return _spread(shape[0]), _spread(shape[1])


def _row_reader(cube: Cube, cols: NDArray[np.intp]) -> Callable[[int], NDArray[np.float32]]:
    def read(row: int) -> NDArray[np.float32]:
        return cube.read(slice(row, row + 1), slice(None))[:, :, cols]

    return read


def _spread(size: int) -> NDArray[np.intp]:
    if size <= LATTICE:
        return np.arange(size)
    return np.linspace(0, size - 1, LATTICE).round().astype(np.intp)
