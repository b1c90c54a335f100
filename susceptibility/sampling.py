"""Which cells without landslides are set against those with."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from susceptibility.errors import InputError
from susceptibility.inventory import ABSENCE, LANDSLIDE, UNLABELLED


class NegativeSource(StrEnum):
    """Where the cells without landslides come from."""

    DRAWN = "drawn"
    INVENTORY = "inventory"


@dataclass(frozen=True, slots=True)
class Sample:
    """Cells that models are trained and tested on.

    Attributes
    ----------
    draw
        Number of the draw, from 0.
    cells
        (cell,) flat index into the (row, col) grid, ascending.
    target
        (cell,) uint8, 1 where there is a landslide.
    """

    draw: int
    cells: NDArray[np.intp]
    target: NDArray[np.uint8]

    @property
    def prevalence(self) -> float:
        """Share of landslide cells."""
        return float(self.target.mean())


def draw_sample(
    labels: NDArray[np.uint8],
    usable: NDArray[np.bool_],
    *,
    negatives: NegativeSource,
    ratio: float,
    seed: int,
    draw: int,
) -> Sample:
    """Every usable landslide cell, and cells without landslide: drawn at random, or those the inventory names.

    Parameters
    ----------
    labels
        (row, col) from `rasterize_inventory`.
    usable
        (row, col) True where every factor is known.
    negatives
        `DRAWN` draws without replacement from usable cells that the inventory says nothing of or calls free;
        `INVENTORY` takes all those that it calls free.
    ratio
        Cells without landslide for each with, where they are drawn.
    seed, draw
        The same two numbers give the same sample.

    Raises
    ------
    InputError
        There are too few cells of either class.
    """
    positive = np.flatnonzero((labels == LANDSLIDE) & usable)
    if positive.size == 0:
        raise InputError(
            "inventory",
            required="landslides on cells where every factor is known",
            found=f"{int((labels == LANDSLIDE).sum())} landslide cells, all where some factor has no data",
            remedy="Check the coverage of the factors, in the log, and leave out one that misses the landslides",
        )
    if negatives is NegativeSource.INVENTORY:
        chosen = np.flatnonzero((labels == ABSENCE) & usable)
        if chosen.size == 0:
            raise InputError(
                "inventory",
                required="places known to be free of landslides, on cells where every factor is known",
                found=f"{int((labels == ABSENCE).sum())} cells called free, none of them usable",
                remedy="Set [sampling] negatives = 'drawn', or check [inventory] presence_field",
            )
    else:
        pool = np.flatnonzero(((labels == UNLABELLED) | (labels == ABSENCE)) & usable)
        wanted = round(ratio * positive.size)
        if not 1 <= wanted <= pool.size:
            raise InputError(
                "sampling",
                required=f"{wanted} cells without landslide (ratio {ratio:g} for {positive.size} landslide cells)",
                found=f"{pool.size} such cells where every factor is known",
                remedy="Choose another [sampling] ratio",
            )
        chosen = np.random.default_rng([seed, draw]).choice(pool, wanted, replace=False)
    cells = np.concatenate([positive, chosen])
    target = np.concatenate([np.ones(positive.size, np.uint8), np.zeros(chosen.size, np.uint8)])
    order = np.argsort(cells)
    return Sample(draw, cells[order], target[order])
