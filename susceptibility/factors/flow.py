"""Routes of water over a terrain model: depressions filled, the steepest way down from each cell, area drained by each.

Notes
-----
Depressions are filled to the level at which they spill (priority flood). Water takes the way of the largest drop over
distance among eight neighbours, a diagonal one being as far as it is. Levels, filled ones above all, are resolved from
where they spill, along what was lowest before the filling. Of equally steep ways that to the lowest neighbour before
the filling is taken, of equally low ones the first of east, south, west, north, south-east, south-west, north-west,
north-east: a terrain turned by 90 degrees gives turned results except for such ties between equal elevations.

Water leaves at the rim: the edge of the raster and cells beside one without data. Whatever lies below a cell of the
rim may have a larger catchment than the raster shows: `Flow.is_cut` marks it.

References
----------
Barnes, R., Lehman, C., Mulla, D. (2014). Priority-flood: An optimal depression-filling and watershed-labeling
algorithm for digital elevation models. Computers & Geosciences 62, 117-127.

Zhou, G., Sun, Z., Fu, S. (2016). An efficient variant of the Priority-Flood algorithm for filling depressions in raster
digital elevation models. Computers & Geosciences 90, 87-96.

Freeman, T. G. (1991). Calculating catchment area with divergent flow based on a regular grid. Computers & Geosciences
17, 413-422.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from susceptibility.errors import InputError
from susceptibility.factors.terrain import check_elevation
from susceptibility.kernels import flow as kernels
from susceptibility.projection import require_metric

FREEMAN_EXPONENT = 1.1
"""Power of the descent by which water divides among lower neighbours (Freeman 1991)."""

_MOST_CELLS = 2**31 - 1  # counted in 32 bits


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """Where water goes on a terrain model.

    Attributes
    ----------
    grid
        Where the cells lie; projected, in metres.
    filled : (row, col)
        Elevation with its depressions filled, m; NaN where unknown.
    direction : (row, col) uint8
        Neighbour that a cell drains to: 0 to 7 as `susceptibility.kernels.flow` numbers them, `OUTLET` where water
        leaves the raster, `NO_DATA` where the elevation is unknown.
    cells : (row, col) int32
        Number of cells that drain through each, itself included; 0 where the elevation is unknown.
    is_cut : (row, col) bool
        The catchment touches the rim of what is known, so that it may go on beyond.
    """

    grid: Grid
    filled: NDArray[np.floating[Any]]
    direction: NDArray[np.uint8]
    cells: NDArray[np.int32]
    is_cut: NDArray[np.bool_]

    @property
    def cell_area_m2(self) -> float:
        """Area of one cell."""
        width_m, height_m = self.grid.resolution
        return width_m * height_m

    def area_m2(self) -> NDArray[np.float32]:
        """Area that drains through each cell, (row, col), itself included; NaN where the elevation is unknown."""
        area = self.cells.astype(np.float32)
        area *= np.float32(self.cell_area_m2)
        area[self.cells == 0] = np.nan
        return area


def route_flow(elevation: NDArray[np.floating[Any]], grid: Grid) -> Flow:
    """Fill the depressions of a terrain model and find the way of its water.

    Parameters
    ----------
    elevation : (row, col)
        Metres, NaN where unknown.
    grid
        Where the cells lie: projected, in metres. Cells need not be square.

    Raises
    ------
    InputError
        The grid is not in metres or has another shape than the elevations, or these cannot be elevations in metres.
    """
    _check(elevation, grid)
    width_m, height_m = grid.resolution
    rim = np.empty(grid.shape, np.bool_)
    kernels.mark_rim(elevation, rim)
    filled = np.array(elevation)
    kernels.fill_depressions(filled, rim)
    direction = np.empty(grid.shape, np.uint8)
    kernels.steepest_descent(elevation, filled, rim, width_m, height_m, direction)
    kernels.resolve_flats(elevation, filled, direction)
    cells = np.empty(grid.shape, np.int32)
    kernels.count_cells(direction, cells, rim)
    return Flow(grid, filled, direction, cells, is_cut=rim)


def divide_flow(flow: Flow, exponent: float = FREEMAN_EXPONENT) -> NDArray[np.float64]:
    """Number of cells that drain through each where water divides among all lower neighbours (Freeman 1991).

    Parameters
    ----------
    flow
        Of `route_flow`.
    exponent
        Shares go as the descent, drop over distance, to this power: 1 spreads most, a large one comes to the steepest
        way alone. Level cells have one receiver in any case.

    Returns
    -------
    (row, col) float64
        Not whole numbers; each cell counts as 1 in itself. NaN where the elevation is unknown.
    """
    cells = np.empty(flow.grid.shape, np.float64)
    kernels.spread_cells(flow.filled, flow.direction, *flow.grid.resolution, exponent, cells)
    return cells


def _check(elevation: NDArray[np.floating[Any]], grid: Grid) -> None:
    require_metric(grid, "grid of the elevations")
    if elevation.shape != grid.shape:
        raise InputError(
            "elevation",
            required=f"{grid.rows} rows x {grid.cols} columns, as its grid",
            found=" x ".join(str(size) for size in elevation.shape),
            remedy="Read the elevations and their grid from the same file",
        )
    if elevation.dtype not in (np.float32, np.float64):
        raise InputError(
            "elevation",
            required="float32 or float64, with NaN where unknown",
            found=str(elevation.dtype),
            remedy="Convert them, and replace the value that means no data by NaN",
        )
    if elevation.size > _MOST_CELLS:
        raise InputError(
            "elevation",
            required=f"at most {_MOST_CELLS} cells",
            found=str(elevation.size),
            remedy="Cut the terrain model to the catchments of the study area, or resample it",
        )
    check_elevation(elevation, "elevation")
