"""Several stacks of one scene as one: interferograms that lie in different folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from insar.errors import InputError
from insar.stack import Cube, Pair, Stack


@dataclass(frozen=True, slots=True)
class JoinedCube:
    """A `insar.stack.CubeSource` whose pairs lie in several cubes.

    Attributes
    ----------
    cubes
        One of each stack; None where a stack has no such quantity.
    which, where
        (pair,) cube of each pair, and its place there.
    """

    cubes: tuple[Cube | None, ...]
    which: NDArray[np.intp]
    where: NDArray[np.intp]

    @property
    def rows_per_chunk(self) -> int:
        """Rows that the storage keeps together, at most."""
        return max(cube.rows_per_chunk for cube in self.cubes if cube is not None)

    def read_block(self, pairs: NDArray[np.intp], rows: slice, cols: slice) -> NDArray[np.float32]:
        """One window of the named pairs, (pair, row, col); NaN for pairs of a stack without the quantity."""
        block = np.full((len(pairs), rows.stop - rows.start, cols.stop - cols.start), np.nan, np.float32)
        for number, cube in enumerate(self.cubes):
            chosen = np.flatnonzero(self.which[pairs] == number)
            if cube is not None and len(chosen):
                block[chosen] = cube.select(self.where[pairs[chosen]]).read(rows, cols)
        return block


def join_stacks(stacks: Sequence[Stack]) -> Stack:
    """One stack of the interferograms of all; of a pair that several have, the first stack's is taken.

    Geometry, acquisition and path are the first stack's.

    Raises
    ------
    InputError
        If grids or wavelengths differ, or the perpendicular baselines are counted in opposite senses.
    """
    first = stacks[0]
    if len(stacks) == 1:
        return first
    for other in stacks[1:]:
        _require_same_scene(first, other)
    homes: dict[Pair, tuple[int, int]] = {}
    for number, stack in enumerate(stacks):
        for place, pair in enumerate(stack.pairs):
            homes.setdefault(pair, (number, place))
    pairs = tuple(sorted(homes))
    which, where = (np.array([homes[pair][axis] for pair in pairs], dtype=np.intp) for axis in (0, 1))
    rows, cols = first.shape

    def joined(cubes: tuple[Cube | None, ...]) -> Cube | None:
        if all(cube is None for cube in cubes):
            return None
        return Cube(JoinedCube(cubes, which, where), np.arange(len(pairs), dtype=np.intp), rows, cols)

    twice = sum(len(stack.pairs) for stack in stacks) - len(pairs)
    notes = [note for stack in stacks for note in stack.notes]
    if twice:
        notes.append(f"{twice} interferograms are in more than one stack; the first stack's are used")
    return replace(
        first,
        pairs=pairs,
        perpendicular_baselines_m=np.array(
            [stacks[number].perpendicular_baselines_m[place] for number, place in zip(which, where, strict=True)]
        ),
        unwrapped_phase=joined(tuple(stack.unwrapped_phase for stack in stacks)),
        coherence=joined(tuple(stack.coherence for stack in stacks)),
        connected_components=joined(tuple(stack.connected_components for stack in stacks)),
        notes=tuple(dict.fromkeys(notes)),
    )


def _require_same_scene(first: Stack, other: Stack) -> None:
    if not first.grid.same_as(other.grid):
        raise _differs(other, f"the grid of {first.path}: {_described(first)}", f"another: {_described(other)}")
    if abs(first.wavelength_m - other.wavelength_m) > 1e-4 * first.wavelength_m:
        raise _differs(other, f"the wavelength of {first.path}, {first.wavelength_m} m", f"{other.wavelength_m} m")


def _described(stack: Stack) -> str:
    grid = stack.grid
    where = "radar coordinates" if grid.crs is None else f"{grid.crs}, from {grid.bounds[0]:.8g} {grid.bounds[3]:.8g}"
    return f"{grid.rows} x {grid.cols} pixels, {where}"


def _differs(stack: Stack, required: str, found: str) -> InputError:
    return InputError(
        stack.path, required=required, found=found, remedy="Stacks of one scene, processed alike, can be joined"
    )
