"""One map grid seen from the pixels of another."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid, same_crs
from insar.layers import row_slices

_SAME_PIXEL = 1e-3
"""Pixels within which two centres are the same place: nothing is interpolated there."""

_ROWS_PER_PASS = 512


class BilinearSamples(NamedTuple):
    """Where the pixels of some rows of a grid lie between the pixels of another.

    Attributes
    ----------
    rows
        Rows of the other grid that are needed; its first where none is.
    top, left
        (row, col) the pixel above and to the left of each, the row counted from the first one needed.
    down, right
        (row, col) how far it is from there to the next pixel, 0 to 1.
    inside
        (row, col) whether the other grid reaches it.
    """

    rows: slice
    top: NDArray[np.intp]
    left: NDArray[np.intp]
    down: NDArray[np.float64]
    right: NDArray[np.float64]
    inside: NDArray[np.bool_]

    def gather(self, source: NDArray[np.floating]) -> NDArray[np.float64]:
        """Interpolate.

        Parameters
        ----------
        source
            (..., row, col) the rows needed and all columns of the other grid; NaN is no data.

        Returns
        -------
        NDArray
            (..., row, col); NaN outside and where one of the pixels that count is no data.
        """
        sampled = np.zeros((*source.shape[:-2], *self.top.shape), np.float64)
        bottom, far = np.minimum(self.top + 1, source.shape[-2] - 1), np.minimum(self.left + 1, source.shape[-1] - 1)
        for row, col, weight in (
            (self.top, self.left, (1.0 - self.down) * (1.0 - self.right)),
            (self.top, far, (1.0 - self.down) * self.right),
            (bottom, self.left, self.down * (1.0 - self.right)),
            (bottom, far, self.down * self.right),
        ):
            # No data beside a pixel that is hit exactly does not count: 0 times NaN would.
            sampled += np.where(weight > 0, source[..., row, col] * weight, 0.0)
        return np.where(self.inside, sampled, np.nan)


def sample_between(grid: Grid, other: Grid, rows: slice) -> BilinearSamples:
    """Find where pixels of some rows of `grid` lie on `other`; both on a map."""
    row, col = _positions(grid, other, rows)
    inside = (row >= 0) & (row <= other.rows - 1) & (col >= 0) & (col <= other.cols - 1)
    if not inside.any():
        nowhere = np.zeros(row.shape, np.intp)
        return BilinearSamples(slice(0, 1), nowhere, nowhere, np.zeros(row.shape), np.zeros(row.shape), inside)
    top, left = np.floor(np.where(inside, row, 0.0)), np.floor(np.where(inside, col, 0.0))
    down, right = np.where(inside, row - top, 0.0), np.where(inside, col - left, 0.0)
    first, last = int(top[inside].min()), int((top + (down > 0))[inside].max())
    indices: tuple[NDArray[Any], NDArray[Any]] = (np.where(inside, top - first, 0), left)
    return BilinearSamples(
        slice(first, last + 1), indices[0].astype(np.intp), indices[1].astype(np.intp), down, right, inside
    )


def common_part(grid: Grid, other: Grid) -> tuple[slice, slice] | None:
    """Rows and columns of `grid` that `other` reaches; None where it reaches none."""
    any_row = np.zeros(grid.rows, bool)
    any_col = np.zeros(grid.cols, bool)
    for rows in row_slices(grid.rows, _ROWS_PER_PASS):
        row, col = _positions(grid, other, rows)
        inside = (row >= 0) & (row <= other.rows - 1) & (col >= 0) & (col <= other.cols - 1)
        any_row[rows] = inside.any(axis=1)
        any_col |= inside.any(axis=0)
    if not any_row.any():
        return None
    found_rows, found_cols = np.flatnonzero(any_row), np.flatnonzero(any_col)
    return slice(int(found_rows[0]), int(found_rows[-1]) + 1), slice(int(found_cols[0]), int(found_cols[-1]) + 1)


def _positions(grid: Grid, other: Grid, rows: slice) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows and columns of `other`, counted from the centre of its first pixel, of pixel centres of `grid`."""
    col, row = np.meshgrid(np.arange(grid.cols) + 0.5, np.arange(rows.start, rows.stop) + 0.5)
    x, y = grid.map_coordinates(row, col)
    if not same_crs(grid.crs, other.crs):
        import pyproj

        x, y = pyproj.Transformer.from_crs(str(grid.crs), str(other.crs), always_xy=True).transform(x, y)
    there = other.pixel_coordinates(np.asarray(x), np.asarray(y))
    return _snapped(there[0] - 0.5), _snapped(there[1] - 0.5)


def _snapped(position: NDArray[np.float64]) -> NDArray[np.float64]:
    nearest = np.round(position)
    return np.where(np.abs(position - nearest) < _SAME_PIXEL, nearest, position)
