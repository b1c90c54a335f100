"""Slope units: ground between channels and divides that faces one way.

Terrain is cut into half-basins, the two banks of each reach of its channels. A half-basin that does not face one way
is cut again along smaller channels, and again, until it does or has become too small. See `docs/units.md`.

Notes
-----
1. Depressions are filled and each cell drains down its steepest of eight descents. The cells that a reach drains,
   from one confluence to the next, are its left and its right bank; the reach of a source goes on up to the divide.
   Ground that drains to the edge of the data without a channel is one to begin with.
2. The first channels drain `SlopeUnitOptions.channel_area_m2`, the next half of it, and so on to a quarter of
   `least_area_m2`. At each step only units are cut whose circular variance of aspect ``1 - |mean unit vector|`` is
   above `largest_variance` and that are large enough for two. Pieces that come out too small join the neighbour within
   the unit that they are most like: the cosine between mean aspects plus the part of the border that both share.
3. Valley floors and other level ground: where most of the ground around a cell is less steep than `plain_slope_deg`,
   over at least `least_area_m2`, it is a plain. Plains are cut by the catchments of the first channels' reaches, never
   along a channel and never by aspect, which there is noise.
4. Parts of units that no disc of a tenth of the side of the smallest unit fits into go to the nearest unit. Then each
   cell of an edge goes to the unit that it fits best: by how many of the 3 x 3 cells around it belong to it, and by
   aspect. What that splits off and what is still too small joins a neighbour.
5. Neighbours that come from the same first half-basin and face one way together, to three quarters of
   `largest_variance`, are joined again. What a single other unit surrounds joins it.

The result is the same whatever the number of threads: nothing depends on an order that is not that of the cells.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from susceptibility.errors import InputError, OptionError
from susceptibility.factors.flow import route_flow
from susceptibility.factors.terrain import check_elevation, terrain_factors
from susceptibility.kernels import flow
from susceptibility.kernels import units as kernels
from susceptibility.units.definition import Units, require_north_up
from susceptibility.units.division import Division

logger = logging.getLogger(__name__)

_LEAST_CELLS = 4  # of a unit: an aspect needs a few
_MOST_CELLS = 2**29  # half-basins are counted in 32 bits
_JOINED_VARIANCE = 0.75  # of the largest variance, for neighbours together: what was cut needs a reason to be joined


@dataclass(frozen=True, slots=True)
class SlopeUnitOptions:
    """How terrain is cut into slope units.

    Attributes
    ----------
    channel_area_m2
        Area that the channels of the first cut drain; a unit lies in one of their half-basins,
        smoothed edges and leftovers apart.
    least_area_m2
        Area that no unit is smaller than, apart from islands of data that are.
    largest_variance
        Circular variance of aspect, 0 to 1, above which a unit is cut further.
    plain_slope_deg
        Slope below which ground is level; 0 for no plains.
    smoothings
        How often edges are smoothed.
    """

    channel_area_m2: float = 1_000_000.0
    least_area_m2: float = 100_000.0
    largest_variance: float = 0.2
    plain_slope_deg: float = 5.0
    smoothings: int = 1

    def __post_init__(self) -> None:
        _require(0.0 < self.least_area_m2 < np.inf, "least area", "an area in m2, above 0", self.least_area_m2)
        _require(
            self.least_area_m2 <= self.channel_area_m2 < np.inf,
            "channel area",
            f"an area in m2, not below the least area of a unit, {self.least_area_m2:g}",
            self.channel_area_m2,
        )
        _require(0.0 < self.largest_variance < 1.0, "largest variance", "between 0 and 1", self.largest_variance)
        _require(0.0 <= self.plain_slope_deg < 90.0, "plain slope", "from 0 to 90 degrees", self.plain_slope_deg)
        _require(0 <= self.smoothings <= 20, "smoothings", "a whole number from 0 to 20", self.smoothings)


def slope_units(elevation: NDArray[np.floating[Any]], grid: Grid, options: SlopeUnitOptions | None = None) -> Units:
    """Cut terrain into slope units.

    Parameters
    ----------
    elevation : (row, col)
        Metres, NaN where unknown.
    grid
        Projected, in metres.
    options
        Sizes and limits.

    Returns
    -------
    Units
        Every cell with an elevation in exactly one unit, each unit in one piece by cell edges. Attributes by unit:
        ``aspect_deg`` (circular mean, NaN where nothing has an aspect), ``circular_variance`` (of aspect over its
        cells, level ones left out; NaN likewise), ``slope_deg`` (mean) and ``plain`` (1 or 0).

    Raises
    ------
    InputError
        The grid is not in metres or has another shape than the elevations, or these are none.
    OptionError
        The cells are too large for units of the least area.
    """
    options = options or SlopeUnitOptions()
    require_north_up(grid, "grid of the elevations")
    _check(elevation, grid)
    cell_m2 = grid.resolution[0] * grid.resolution[1]
    least_cells = options.least_area_m2 / cell_m2
    if least_cells < _LEAST_CELLS:
        raise OptionError(
            "least area of a slope unit",
            required=f"at least {_LEAST_CELLS} cells, {_LEAST_CELLS * cell_m2:g} m2",
            found=f"{options.least_area_m2:g} m2",
            remedy="Ask for larger units, or take a finer terrain model",
        )
    aspect = _aspect(elevation, grid)
    basins = _Basins.of(elevation, grid)
    labels = np.where(np.isnan(elevation), np.int32(-1), np.int32(0))
    division = Division(labels, grid, aspect, least_cells)
    plain = _plain(elevation, grid, options, least_cells)
    division.cut(plain.astype(np.int32), np.ones(1, np.bool_), merge=False)

    threshold = options.channel_area_m2 / cell_m2
    banks = basins.banks(threshold, together=True)
    # Both banks of a plain are one: `banks` numbers them 2 n and 2 n + 1.
    division.cut(np.where(plain, banks & ~1, banks), np.ones(division.count, np.bool_), merge=True)
    first = division.labels.copy()
    while threshold > least_cells / 4.0:
        threshold /= 2.0
        is_plain = division.share_of(plain) > 0.5
        coarse = (division.variance > options.largest_variance) & (division.cells >= 2.0 * least_cells) & ~is_plain
        if not coarse.any():
            break
        division.cut(basins.banks(threshold), coarse, merge=True)
    division.smooth(plain, options.smoothings)
    division.join_alike(division.largest_part(first), _JOINED_VARIANCE * options.largest_variance)
    division.fill_holes(plain)
    units = division.units(elevation, plain)
    _report(units, options)
    return units


def _report(units: Units, options: SlopeUnitOptions) -> None:
    variance = units.attributes["circular_variance"][units.attributes["plain"] == 0]
    variance = variance[np.isfinite(variance)]
    if not variance.size:
        return
    median, above = float(np.median(variance)), int((variance > options.largest_variance).sum())
    logger.info(
        "%d slope units, median circular variance %.3f, %d of them above %g for want of area",
        units.count,
        median,
        above,
        options.largest_variance,
    )
    if median > options.largest_variance:
        logger.warning(
            "Most slope units do not face one way: median circular variance %.3f, asked for %g. Units of %g m2 cannot "
            "be so uniform on this terrain; take smaller ones, or a smoother terrain model",
            median,
            options.largest_variance,
            options.least_area_m2,
        )


def _check(elevation: NDArray[np.floating[Any]], grid: Grid) -> None:
    if elevation.shape != grid.shape:
        raise InputError(
            "elevation",
            required=f"{grid.rows} rows x {grid.cols} columns, as its grid",
            found=" x ".join(str(size) for size in elevation.shape),
            remedy="Read the elevations and their grid from the same file",
        )
    if elevation.size > _MOST_CELLS:
        raise InputError(
            "elevation",
            required=f"at most {_MOST_CELLS} cells",
            found=str(elevation.size),
            remedy="Resample it, or cut it to the catchments of the study area",
        )
    check_elevation(elevation, "elevation")
    if not np.isfinite(elevation).any():
        raise InputError("elevation", required="elevations", found="no data in every cell", remedy="Check the raster")


def _require(holds: bool, option: str, required: str, found: float) -> None:
    if not holds:
        raise OptionError(f"{option} of slope units", required=required, found=f"{found:g}", remedy="Correct it")


def _aspect(elevation: NDArray[np.floating[Any]], grid: Grid) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    factors = terrain_factors(elevation, grid, ["aspect_sin", "aspect_cos"])
    return factors["aspect_sin"], factors["aspect_cos"]


def _plain(
    elevation: NDArray[np.floating[Any]], grid: Grid, options: SlopeUnitOptions, least_cells: float
) -> NDArray[np.bool_]:
    """(row, col) True on level ground that is large enough for a unit."""
    from scipy.ndimage import uniform_filter

    slope = terrain_factors(elevation, grid, ["slope"])["slope"]
    # The outermost ring has no slope: taken as the limit itself, it goes with the ground beside it.
    level = np.where(np.isnan(slope), 0.5, slope < options.plain_slope_deg).astype(np.float32)
    reach = max(3, 2 * round(np.sqrt(least_cells) / 6.0) + 1)
    mostly = uniform_filter(level, reach, mode="nearest") > 0.5
    mostly = uniform_filter(mostly.astype(np.float32), 2 * reach + 1, mode="nearest") > 0.5
    mostly &= ~np.isnan(elevation)
    numbers = np.empty(grid.shape, np.int32)
    count = kernels.connected_parts(mostly.astype(np.int32) - 1, numbers, np.zeros(1, np.bool_), numbers)
    sizes = np.bincount(numbers[numbers >= 0], minlength=max(count, 1))
    plain: NDArray[np.bool_] = mostly & (sizes >= least_cells)[numbers]
    return plain


@dataclass(frozen=True, slots=True)
class _Basins:
    """Where water runs on a grid."""

    grid: Grid
    downstream: NDArray[np.int32]
    order: NDArray[np.int32]
    upstream_cells: NDArray[np.int32]
    main: NDArray[np.int32]

    @classmethod
    def of(cls, elevation: NDArray[np.floating[Any]], grid: Grid) -> _Basins:
        direction = route_flow(elevation.astype(np.float32, copy=False), grid).direction
        downstream = kernels.downstream_cells(direction, flow.ROW_STEPS, flow.COL_STEPS, flow.NO_DATA)
        order = kernels.upstream_first(downstream)
        return cls(grid, downstream, order, *kernels.accumulate(downstream, order))

    def banks(self, threshold_cells: float, *, together: bool = False) -> NDArray[np.int32]:
        """(row, col) number of the half-basin, -1 without data; banks of a reach are an even number and the next."""
        basins = np.empty(self.downstream.size, np.int32)
        threshold = max(1, round(threshold_cells))
        kernels.half_basins(
            self.downstream,
            self.order,
            self.upstream_cells,
            self.main,
            threshold,
            together,
            self.grid.cols,
            basins,
        )
        return basins.reshape(self.grid.shape)
