"""Delay that grows or falls with height: the layers of the troposphere, estimated from the series itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.corrections.base import FittedCorrection, SeriesSample
from insar.corrections.ramp import TERMS, Deramp, surface_design
from insar.corrections.stable import HUBER, LEAST_SCALE_M, TUKEY, fit_stable, known_throughout, predicted
from insar.errors import InputError
from insar.stack import Plane, Stack

LEAST_RELIEF_M = 10.0
"""Standard deviation of the heights about a surface below which they tell nothing of the troposphere."""


@dataclass(frozen=True, slots=True)
class FittedHeightDelay:
    """Apparent displacement in proportion to height; a `FittedCorrection`.

    Attributes
    ----------
    height
        (row, col) m, NaN where unknown.
    coefficients
        (date,) m per m.
    facts
        For the manifest.
    """

    height: Plane
    coefficients: NDArray[np.float64]
    facts: Mapping[str, Any] = field(default_factory=dict)
    name: str = "height"

    def apparent_displacement(self, rows: slice, cols: slice) -> NDArray[np.float64]:
        """(date, row, col) m, positive toward the satellite; NaN where the height is unknown."""
        height = np.asarray(self.height.read(rows, cols), np.float64)
        return self.coefficients[:, None, None] * height


@dataclass(frozen=True, slots=True)
class HeightCorrection:
    """At every date the displacement in proportion to height, estimated outside of what moves; a `Correction`.

    Attributes
    ----------
    stack
        With a height of each pixel.
    surface
        What is fitted along with it, so that a ramp over ground that rises across the scene is not taken for it; the
        surface itself is not subtracted.
    robust
        Whether outliers and moving pixels are kept from pulling it.

    Raises
    ------
    InputError
        The stack has no heights.
    """

    stack: Stack
    surface: Deramp = Deramp.LINEAR
    robust: bool = True
    name: str = "height"

    def __post_init__(self) -> None:
        self._plane()

    def fit(self, sample: SeriesSample) -> FittedCorrection:
        """The coefficients of all dates; raises `InputError` for hardly any relief or too few pixels with data."""
        plane = self._plane()
        height = read_points(plane, sample.rows, sample.cols)
        surface = surface_design(self.surface, self.stack.shape, sample.rows, sample.cols)
        middle, relief = _relief(height, surface, known_throughout(sample.displacement_m))
        if not relief >= LEAST_RELIEF_M:
            raise InputError(
                self.stack.path,
                required=f"relief to tell delay by height from noise: heights that spread by {LEAST_RELIEF_M:g} m or "
                "more about a plane",
                found=f"{relief:.2g} m",
                remedy="Choose --troposphere none, gacos or era5 for a scene as flat as this",
            )
        terms = (*TERMS[self.surface], "height")
        design = np.column_stack([surface, (height - middle) / relief])
        fitted = fit_stable(design, terms, sample, step=self.name, robust=self.robust)
        per_m = fitted.coefficients[:, -1] / relief
        facts = {
            "with_surface": str(self.surface),
            "robust": self.robust,
            "relief_m": relief,
            "coefficients_m_per_km": (1e3 * per_m).tolist(),
            "standard_errors_m_per_km": (1e3 * fitted.standard_errors[:, -1] / relief).tolist(),
            **fitted.facts,
        }
        return FittedHeightDelay(plane, per_m, facts)

    def _plane(self) -> Plane:
        plane = self.stack.geometry.height
        if plane is None:
            raise InputError(
                self.stack.path,
                required="the height of each pixel, for --troposphere height",
                found="none",
                remedy="Add the processor's height file (hgt.rdr, dem.tif, geometry*.h5, ...) or choose another "
                "--troposphere",
            )
        return plane


def read_points(plane: Plane, rows: NDArray[np.intp], cols: NDArray[np.intp]) -> NDArray[np.float64]:
    """(point,) values of a plane at some pixels, read row by row."""
    values = np.full(len(rows), np.nan)
    for row in np.unique(rows):
        at = np.flatnonzero(rows == row)
        first = int(cols[at].min())
        line = plane.read(slice(int(row), int(row) + 1), slice(first, int(cols[at].max()) + 1))[0]
        values[at] = line[cols[at] - first]
    return values


def _relief(
    height: NDArray[np.float64], surface: NDArray[np.float64], usable: NDArray[np.bool_]
) -> tuple[float, float]:
    """Mean height, and the standard deviation of the heights about a surface."""
    from insar.kernels.robust import fit_robust

    known = usable & np.isfinite(height)
    if int(known.sum()) <= surface.shape[1]:
        return 0.0, 0.0
    middle = float(height[known].mean())
    design, target = surface[known], (height[known] - middle)[None]
    coefficients = np.empty((1, design.shape[1]))
    fit_robust(design, target, HUBER, TUKEY, LEAST_SCALE_M, 0, coefficients, np.empty(1))
    return middle, float(np.std(target - predicted(design, coefficients)))
