"""A division of ground into units while it is being made: cut, mended, smoothed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from susceptibility.factors.terrain import terrain_factors
from susceptibility.kernels import units as kernels
from susceptibility.units.definition import UnitKind, Units

_LEAST_HALF_WIDTH = 0.1  # of a unit, everywhere, by the side of a square of the least area
_SWEEPS = 3  # of smoothing; in each an edge may move by one cell
_ASPECT_WEIGHT = 3.0  # of a cell's likeness in aspect to a unit, where each of the 3 x 3 cells around it weighs 1
_LEAST_SHARED_BORDER = 0.2  # of neighbours that are joined for facing one way

_Round = Callable[[NDArray[np.int64], NDArray[np.float64], NDArray[np.int32], NDArray[np.int32]], int]


class Division:
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
