"""An InSAR layer on mapping units: mean, extreme, the mean's uncertainty, how much of a unit moves, how much is known.

Unknown pixels take no part: a unit's values are those of its known pixels, whose number and share stand beside them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from insar.layers import row_slices
from susceptibility.coverage import covered_cells
from susceptibility.errors import InputError, OptionError
from susceptibility.units import Units

_ROWS_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class MotionOptions:
    """What counts as motion, and how the errors of a unit's pixels hang together.

    Attributes
    ----------
    sigmas
        A pixel moves where its absolute value exceeds so many of its standard deviations,
    threshold
        and this, in the layer's unit.
    error_correlation
        Correlation of the errors of any two pixels of one unit, 0 to 1. With 1, the largest uncertainty there can be,
        the mean is no better than its pixels, as where the atmosphere, correlated over kilometres, rules; with 0, where
        only the noise of each pixel counts, it gets better with the root of their number.
    """

    sigmas: float = 2.0
    threshold: float = 0.0
    error_correlation: float = 1.0

    def __post_init__(self) -> None:
        for name, value, most in (
            ("sigmas", self.sigmas, math.inf),
            ("threshold", self.threshold, math.inf),
            ("error_correlation", self.error_correlation, 1.0),
        ):
            if not 0.0 <= value <= most:
                raise OptionError(
                    f"motion: {name}",
                    required="0 or more" if most == math.inf else "0 to 1",
                    found=str(value),
                    remedy="Correct it",
                )


@dataclass(frozen=True, slots=True)
class UnitMotion:
    """One layer on each unit, in the layer's unit.

    Attributes
    ----------
    cells
        (unit,) number of pixels; of a polygon the area it covers of the grid in pixels.
    valid_cells
        (unit,) of them those with a value.
    mean
        (unit,) of the known pixels, weighted by the area of theirs in the unit; NaN where none is known.
    extreme
        (unit,) the value farthest from 0, with its sign, of all pixels that the unit touches; NaN where none is known.
    mean_std
        (unit,) standard deviation of the mean, from those of the pixels that have one; NaN where none has.
    moving_share
        (unit,) share of the known pixels that move, 0 to 1. Where the layer has standard deviations, of the pixels that
        have one; where it has none and there is no threshold either, nothing tells motion from noise: NaN.
    """

    cells: NDArray[np.float64]
    valid_cells: NDArray[np.float64]
    mean: NDArray[np.float64]
    extreme: NDArray[np.float64]
    mean_std: NDArray[np.float64]
    moving_share: NDArray[np.float64]

    @property
    def valid_share(self) -> NDArray[np.float64]:
        """(unit,) pixels with a value over all pixels, 0 to 1; NaN for a unit without pixels."""
        return _ratio(self.valid_cells, self.cells)

    def by_statistic(self) -> dict[str, NDArray[np.float64]]:
        """(unit,) values by the ending of their column's name in the joined table."""
        return {
            "mean": self.mean,
            "sigma": self.mean_std,
            "extreme": self.extreme,
            "moving_share": self.moving_share,
            "count": self.valid_cells,
            "valid_share": self.valid_share,
        }


def motion_of_units(
    values: NDArray[np.float32],
    units: Units,
    *,
    sigma: NDArray[np.float32] | None = None,
    options: MotionOptions | None = None,
) -> UnitMotion:
    """One layer on mapping units: on their polygons where they have edges of their own, else on their cells.

    Parameters
    ----------
    values, sigma, options
        As `motion_of_labels`, on the grid of the units.
    units
        From `susceptibility.units`.
    """
    if units.shapes is None:
        return motion_of_labels(values, units.labels, sigma=sigma, units=units.count, options=options)
    return motion_of_polygons(values, units.grid, units.shapes, sigma=sigma, options=options)


def motion_of_labels(
    values: NDArray[np.float32],
    labels: NDArray[np.integer],
    *,
    sigma: NDArray[np.float32] | None = None,
    units: int | None = None,
    options: MotionOptions | None = None,
) -> UnitMotion:
    """One layer on units that are sets of cells.

    Parameters
    ----------
    values
        (row, col) on the grid of the labels, NaN where unknown; see `susceptibility.insar_layers.values_on_grid`.
    labels
        (row, col) number of the unit of each cell, from 1; 0 outside of every unit.
    sigma
        (row, col) standard deviation of each value, NaN where unknown; None where there is none.
    units
        Number of units; None for the largest label.
    options
        None for what they are by default.

    Returns
    -------
    UnitMotion
        Unit u is element u - 1.

    Raises
    ------
    InputError
        The shapes differ, or a label is negative or above `units`.

    Notes
    -----
    With n pixels of standard deviations s_i and the correlation r of their errors, the mean has the variance
    ((1 - r) sum(s_i^2) + r sum(s_i)^2) / n^2.
    """
    from susceptibility.kernels.motion import add_labelled

    chosen = options or MotionOptions()
    for subject, plane in (("values", values), ("standard deviations", sigma)):
        if plane is not None and plane.shape != labels.shape:
            raise InputError(
                subject,
                required=" x ".join(map(str, labels.shape)) + " cells, as the labels",
                found=" x ".join(map(str, plane.shape)),
                remedy="Align the layer with the grid of the units",
            )
    smallest, largest = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    count = largest if units is None else units
    if smallest < 0 or largest > count:
        raise InputError(
            "labels",
            required=f"unit numbers 1 to {count}, 0 outside",
            found=f"{smallest} to {largest}",
            remedy="Number the units anew",
        )
    sums = _empty_sums(count)
    for rows in row_slices(labels.shape[0], _ROWS_AT_ONCE):
        block = np.asarray(values[rows])
        errors = np.zeros_like(block) if sigma is None else np.asarray(sigma[rows])
        add_labelled(sums, np.asarray(labels[rows]), block, errors, chosen.sigmas, chosen.threshold)
    return _motion(sums, chosen, has_sigma=sigma is not None)


def motion_of_polygons(
    values: NDArray[np.float32],
    grid: Grid,
    polygons: NDArray[np.object_],
    *,
    sigma: NDArray[np.float32] | None = None,
    options: MotionOptions | None = None,
) -> UnitMotion:
    """One layer on units that are polygons, each pixel weighted by the exact part of it that the polygon covers.

    Parameters
    ----------
    values, sigma, options
        As `motion_of_labels`.
    grid
        Of the values.
    polygons
        (unit,) valid shapely polygons in the grid's coordinate reference system; they may overlap.
    """
    from susceptibility.kernels.motion import add_listed

    chosen = options or MotionOptions()
    for subject, plane in (("values", values), ("standard deviations", sigma)):
        if plane is not None and plane.shape != grid.shape:
            raise InputError(
                subject,
                required=f"{grid.rows} x {grid.cols} cells, as the grid",
                found=" x ".join(map(str, plane.shape)),
                remedy="Align the layer with the grid",
            )
    sums = _empty_sums(polygons.size)
    for piece in covered_cells(polygons, grid):
        of_cells = values.ravel()[piece.cells]
        errors = np.zeros_like(of_cells) if sigma is None else sigma.ravel()[piece.cells]
        add_listed(sums, piece.polygons, piece.parts, of_cells, errors, chosen.sigmas, chosen.threshold)
    return _motion(sums, chosen, has_sigma=sigma is not None)


def _empty_sums(units: int) -> NDArray[np.float64]:
    from susceptibility.kernels.motion import EXTREME, MOVING

    sums = np.zeros((units, MOVING + 1), np.float64)
    sums[:, EXTREME] = np.nan
    return sums


def _motion(sums: NDArray[np.float64], options: MotionOptions, *, has_sigma: bool) -> UnitMotion:
    from susceptibility.kernels import motion as columns

    known, with_sigma = sums[:, columns.KNOWN], sums[:, columns.SIGMA_KNOWN]
    correlation = options.error_correlation
    variance = (1.0 - correlation) * sums[:, columns.SIGMA_SQUARED] + correlation * sums[:, columns.SIGMA] ** 2
    unknown = np.full(known.shape, np.nan)
    tells_motion = has_sigma or options.threshold > 0.0
    return UnitMotion(
        cells=sums[:, columns.CELLS],
        valid_cells=known,
        mean=_ratio(sums[:, columns.TOTAL], known),
        extreme=sums[:, columns.EXTREME],
        mean_std=_ratio(np.sqrt(variance), with_sigma) if has_sigma else unknown,
        moving_share=_ratio(sums[:, columns.MOVING], with_sigma) if tells_motion else unknown,
    )


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0.0), np.float64)
