"""Ground that the radar does not see, taken out of an inventory: what lies there was mapped from something else.

A model that learns from radar cannot learn a landslide in layover or shadow ("inventory cleaning" of the paper on
SAR-LRA). The classes are those of the layer ``visibility`` that `insar slope` and `insar backscatter` write, one per
geometry: of several geometries each has its own inventory.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid, same_crs
from insar.layers import row_slices
from susceptibility.burning import point_cells
from susceptibility.coverage import mapped_cells, subtract_polygons
from susceptibility.errors import InputError
from susceptibility.inventory import Inventory, InventoryKind
from susceptibility.inventory_files import mask_polygons
from susceptibility.storage import open_aligned

logger = logging.getLogger(__name__)

LAYOVER, SHADOW = 3, 4
HIDDEN = (LAYOVER, SHADOW)
"""Classes of the layer ``visibility`` in which landslides cannot be seen."""

_ROWS_AT_ONCE = 512
_LEAST_PART = 1e-9  # of a polygon; what rounding leaves of a polygon that is hidden altogether


def hidden_cells(path: Path, grid: Grid, classes: Sequence[int] = HIDDEN) -> NDArray[np.bool_]:
    """Cells that a class raster gives as hidden.

    Parameters
    ----------
    path
        Raster of classes, on any grid.
    grid
        Of the study.
    classes
        Those that hide.

    Returns
    -------
    (row, col)
        True where the class at the cell's centre (the most frequent class of a finer raster) is one of them. Where it
        is unknown nothing says that the cell is hidden: False.

    Raises
    ------
    MissingInputError, InputError
        As `susceptibility.storage.align_raster`.
    """
    hidden = np.zeros(grid.shape, np.bool_)
    wanted = np.asarray(classes, np.float32)
    unknown = 0
    with open_aligned(path, grid, resampling="nearest") as nearest:
        finer = nearest.places.finer_by > 1.0 and not nearest.places.coincide
    with open_aligned(path, grid, resampling="mode" if finer else "nearest") as aligned:
        for rows in row_slices(grid.rows, _ROWS_AT_ONCE):
            values = aligned.read(rows)
            hidden[rows] = np.isin(values, wanted)
            unknown += int(np.isnan(values).sum())
    logger.info(
        "%s: %.1f %% of cells hidden, %.1f %% unknown", path, 100.0 * hidden.mean(), 100.0 * unknown / hidden.size
    )
    return hidden


def subtract_hidden(inventory: Inventory, hidden: NDArray[np.bool_], grid: Grid) -> Inventory:
    """Take hidden cells out of an inventory.

    Parameters
    ----------
    inventory
        In the grid's coordinate reference system.
    hidden
        (row, col) from `hidden_cells`.
    grid
        Of `hidden`. Landslides beyond it stay as they are.

    Returns
    -------
    Inventory
        Without the points in hidden cells and the polygons that are hidden altogether, its other polygons cut along
        the cells; `hidden` and `partly_hidden` count them. Its mapped ground is what can be seen of it on the grid, so
        that hidden ground belongs to no density.

    Raises
    ------
    InputError
        The coordinate reference systems or the shapes differ, or no landslide is left.
    """
    import shapely

    if not same_crs(inventory.crs, grid.crs) or hidden.shape != grid.shape:
        raise InputError(
            "hidden cells",
            required=f"cells on a grid in {inventory.crs}",
            found=f"{' x '.join(map(str, hidden.shape))} cells for {grid.rows} x {grid.cols} in {grid.crs}",
            remedy="Read the inventory in the system of the grid",
        )
    if inventory.kind is InventoryKind.POINTS:
        cells, inside = point_cells(inventory.geometries, grid)
        gone = inside & hidden.ravel()[cells]
        cut = np.zeros(gone.size, np.bool_)
        shapes = inventory.geometries
    else:
        whole = shapely.area(inventory.geometries)
        shapes = subtract_polygons(inventory.geometries, mask_polygons(hidden, grid))
        left = shapely.area(shapes)
        gone = shapely.is_empty(shapes) | ((left <= _LEAST_PART * whole) & (left < whole))
        cut = ~gone & (left < whole * (1.0 - _LEAST_PART))
    seen = ~hidden if inventory.mapped is None else ~hidden & mapped_cells(inventory.mapped, grid)
    cleaned = replace(
        replace(inventory, geometries=shapes).select(~gone),
        hidden=int(gone.sum()),
        partly_hidden=int(cut.sum()),
        mapped=mask_polygons(seen, grid),
    )
    if not cleaned.is_landslide.any():
        raise InputError(
            inventory.path,
            required="landslides that the radar can see",
            found=f"all {int(inventory.is_landslide.sum())} in hidden cells",
            remedy="Use another geometry, or leave the visibility out",
        )
    return cleaned
