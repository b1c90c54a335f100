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

from collections.abc import Callable
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
from susceptibility.units.definition import UnitKind, Units, require_north_up

_LEAST_CELLS = 4  # of a unit: an aspect needs a few
_MOST_CELLS = 2**29  # half-basins are counted in 32 bits
_LEAST_HALF_WIDTH = 0.1  # of a unit, everywhere, by the side of a square of the least area
_SWEEPS = 3  # of smoothing; in each an edge may move by one cell
_ASPECT_WEIGHT = 3.0  # of a cell's likeness in aspect to a unit, where each of the 3 x 3 cells around it weighs 1
_LEAST_SHARED_BORDER = 0.2  # of neighbours that are joined for facing one way
_JOINED_VARIANCE = 0.75  # of the largest variance, for neighbours together: what was cut needs a reason to be joined

_Round = Callable[[NDArray[np.int64], NDArray[np.float64], NDArray[np.int32], NDArray[np.int32]], int]


@dataclass(frozen=True, slots=True)
class SlopeUnitOptions:
    """How terrain is cut into slope units.

    Attributes
    ----------
    channel_area_m2
        Area that the channels of the first cut drain; units are not larger than the half-basins of these.
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
    division = _Division(labels, grid, aspect, least_cells)
    plain = _plain(elevation, grid, options, least_cells)
    division.cut(plain.astype(np.int32), np.ones(1, np.bool_), merge=False)
    is_plain = division.share_of(plain) > 0.5

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
    return division.units(elevation, plain)


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


class _Division:
    """A division of the ground that is cut and mended; its units are numbered from 0, -1 is outside."""

    def __init__(
        self,
        labels: NDArray[np.int32],
        grid: Grid,
        aspect: tuple[NDArray[np.float32], NDArray[np.float32]],
        least_cells: float,
    ) -> None:
        self.labels = labels
        self.grid = grid
        self.aspect = aspect
        self.least_cells = least_cells
        self.count = 1
        self._measure()

    @property
    def variance(self) -> NDArray[np.float64]:
        """(unit,) circular variance of aspect, 0 where nothing has an aspect."""
        length = np.hypot(self.sums[:, 0], self.sums[:, 1])
        return np.where(self.sums[:, 2] > 0.0, 1.0 - length / np.maximum(self.sums[:, 2], 1.0), 0.0)

    def share_of(self, marked: NDArray[np.bool_]) -> NDArray[np.float64]:
        """(unit,) part of each unit that is marked."""
        return np.bincount(self.labels[marked], minlength=self.count) / self.cells

    def cut(self, parts: NDArray[np.int32], divided: NDArray[np.bool_], *, merge: bool) -> None:
        """Cut units that are `divided` along parts; pieces too small join others of the same unit where `merge`."""
        former = self.labels
        self._number(former, parts, divided)
        if merge:
            # A piece lies in one unit: whichever of its cells is asked.
            groups = np.zeros(self.count, np.int32)
            inside = self.labels >= 0
            groups[self.labels[inside]] = former[inside]
            self._absorb(groups)

    def smooth(self, plain: NDArray[np.bool_], smoothings: int) -> None:
        """Widen what is narrow and smooth edges, and join what is too small to a neighbour."""
        for _ in range(smoothings):
            widened = _widened(self.labels, max(1.0, _LEAST_HALF_WIDTH * np.sqrt(self.least_cells)))
            smoothed = np.empty_like(self.labels)
            groups = (self.share_of(plain) > 0.5).astype(np.int32)
            for _ in range(_SWEEPS):
                kernels.smooth_edges(widened, groups, self.sums, *self.aspect, _ASPECT_WEIGHT, smoothed)
                widened, smoothed = smoothed, widened
            self._number(widened, widened, np.zeros(self.count, np.bool_))
            self._absorb((self.share_of(plain) > 0.5).astype(np.int32))
        self._absorb(np.zeros(self.count, np.int32))

    def units(self, elevation: NDArray[np.floating[Any]], plain: NDArray[np.bool_]) -> Units:
        """Return the division as units, numbered by their first cell."""
        self._number(self.labels, self.labels, np.zeros(self.count, np.bool_))
        has_aspect = self.sums[:, 2] > 0.0
        direction = np.degrees(np.arctan2(self.sums[:, 0], self.sums[:, 1])) % 360.0
        slope = terrain_factors(elevation, self.grid, ["slope"])["slope"]
        known = np.isfinite(slope) & (self.labels >= 0)
        steepness = np.bincount(self.labels[known], slope[known], self.count)
        with np.errstate(invalid="ignore"):
            mean_slope = steepness / np.bincount(self.labels[known], minlength=self.count)
        attributes = {
            "aspect_deg": np.where(has_aspect, direction, np.nan),
            "circular_variance": np.where(has_aspect, self.variance, np.nan),
            "slope_deg": mean_slope,
            "plain": (self.share_of(plain) > 0.5).astype(np.int32),
        }
        return Units(UnitKind.SLOPE, self.grid, self.labels + np.int32(1), self.count, attributes=attributes)

    def _number(self, labels: NDArray[np.int32], parts: NDArray[np.int32], divided: NDArray[np.bool_]) -> None:
        numbers = np.empty_like(labels)
        self.count = kernels.connected_parts(labels, parts, divided, numbers)
        self.labels = numbers
        self._measure()

    def _measure(self) -> None:
        self.cells = np.zeros(self.count)
        self.sums = np.zeros((self.count, 3))
        kernels.sum_directions(self.labels, *self.aspect, self.cells, self.sums)

    def largest_part(self, former: NDArray[np.int32]) -> NDArray[np.int32]:
        """(unit,) the label of another division that most of each unit has; the lowest in a tie."""
        inside = self.labels >= 0
        pairs, sizes = np.unique((self.labels[inside].astype(np.int64) << 32) + former[inside], return_counts=True)
        order = np.lexsort((-pairs, sizes))
        largest = np.zeros(self.count, np.int32)
        largest[pairs[order] >> 32] = pairs[order] & 0xFFFFFFFF  # of several the last assignment counts
        return largest

    def _borders(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """(border, 2) neighbours by cell edges, the lower first, and (border,) the length that they share, m."""
        width, height = self.grid.resolution
        across, down = kernels.border_keys(self.labels, False), kernels.border_keys(self.labels, True)
        keys = np.concatenate([across, down])
        lengths = np.concatenate([np.full(across.size, height), np.full(down.size, width)])
        return _summed(keys, lengths)

    def join_alike(self, groups: NDArray[np.int32], largest_variance: float) -> None:
        """Join neighbours of a group that together still face one way."""
        self._join(
            groups,
            lambda borders, lengths, groups, parents: kernels.join_alike(
                borders, lengths, groups, self.cells, self.sums, largest_variance, _LEAST_SHARED_BORDER, parents
            ),
        )

    def _absorb(self, groups: NDArray[np.int32]) -> None:
        """Join what is too small to a neighbour of its group, until nothing is or has one."""

        def absorb(
            borders: NDArray[np.int64],
            lengths: NDArray[np.float64],
            groups: NDArray[np.int32],
            parents: NDArray[np.int32],
        ) -> int:
            small = np.flatnonzero(self.cells < self.least_cells)
            order = small[np.argsort(self.cells[small], kind="stable")]
            return kernels.absorb_small(
                borders, lengths, groups, self.cells, self.sums, self.least_cells, order, parents
            )

        self._join(groups, absorb)

    def _join(self, groups: NDArray[np.int32], round_of: _Round) -> None:
        """Join units by rounds of a rule until it finds none; `groups` (unit,) is what those joined have in common."""
        borders, lengths = self._borders()
        numbers = np.arange(self.count, dtype=np.int32)
        parents = np.empty(self.count, np.int32)
        while round_of(borders, lengths, groups, parents):
            remaining, numbering = np.unique(parents, return_inverse=True)
            numbering = numbering.astype(np.int32)
            numbers = numbering[numbers].astype(np.int32)
            self.cells, self.sums, groups = self.cells[remaining], self.sums[remaining], groups[remaining]
            self.count = remaining.size
            parents = np.empty(self.count, np.int32)
            first, second = numbering[borders[:, 0]].astype(np.int64), numbering[borders[:, 1]].astype(np.int64)
            apart = first != second
            keys = (np.minimum(first, second) << 32) + np.maximum(first, second)
            borders, lengths = _summed(keys[apart], lengths[apart])
        kernels.relabel(self.labels, numbers)

    def fill_holes(self, plain: NDArray[np.bool_]) -> None:
        """Join units that a single other surrounds to it, plains apart."""
        borders, _ = self._borders()
        neighbours = np.bincount(borders.ravel(), minlength=self.count)
        at_edge = np.zeros(self.count, np.bool_)
        at_edge[_beside_nothing(self.labels)] = True
        is_plain = self.share_of(plain) > 0.5
        numbers = np.arange(self.count, dtype=np.int32)
        for inner, outer in (borders.T, borders.T[::-1]):
            enclosed = (neighbours[inner] == 1) & ~at_edge[inner] & ~is_plain[inner] & ~is_plain[outer]
            numbers[inner[enclosed]] = outer[enclosed]
        kernels.relabel(self.labels, numbers)


def _widened(labels: NDArray[np.int32], half_width: float) -> NDArray[np.int32]:
    """Give the parts of units that no disc of a radius in cells fits into to the unit that is nearest there."""
    from scipy.ndimage import distance_transform_edt

    inside = labels >= 0
    at_border = np.zeros(labels.shape, np.bool_)
    for axis in (0, 1):
        first, second = (slice(None, -1), slice(1, None))
        lower, upper = ((first, slice(None)), (second, slice(None))) if axis == 0 else (
            (slice(None), first), (slice(None), second))  # fmt: skip
        differ = labels[lower] != labels[upper]
        # The edge of the data is no border: a unit may be narrow where the data end.
        differ &= inside[lower] & inside[upper]
        at_border[lower] |= differ
        at_border[upper] |= differ
    if not at_border.any():
        return labels
    centre = inside & (distance_transform_edt(~at_border) >= half_width)
    if not centre.any():
        return labels
    distance, (row, col) = distance_transform_edt(~centre, return_indices=True)
    wide = inside & (distance <= half_width + 0.5) & (labels[row, col] == labels)
    row, col = distance_transform_edt(~wide, return_distances=False, return_indices=True)
    widened: NDArray[np.int32] = np.where(inside, labels[row, col], np.int32(-1))
    return widened


def _beside_nothing(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Labels of cells at the grid's edge or beside a cell outside."""
    padded = np.pad(labels, 1, constant_values=-1)
    open_side = np.zeros(labels.shape, np.bool_)
    for rows, cols in ((slice(0, -2), slice(1, -1)), (slice(2, None), slice(1, -1)),
                       (slice(1, -1), slice(0, -2)), (slice(1, -1), slice(2, None))):  # fmt: skip
        open_side |= padded[rows, cols] < 0
    return np.unique(labels[open_side & (labels >= 0)])


def _summed(keys: NDArray[np.int64], lengths: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Borders of equal key as one."""
    unique, which = np.unique(keys, return_inverse=True)
    total = np.bincount(which, lengths, unique.size).astype(np.float64)
    return np.stack([unique >> 32, unique & 0xFFFFFFFF], axis=1), total
