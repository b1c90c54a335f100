"""Ramps: what is left of orbits, and anything else that changes evenly across the scene."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.corrections.base import FittedCorrection, SeriesSample
from insar.corrections.stable import fit_stable, linear_rates, predicted


class Deramp(StrEnum):
    """Surface that is fitted to every date and subtracted from it."""

    NONE = "none"
    LINEAR = "linear"
    QUADRATIC = "quadratic"


TERMS = {
    Deramp.LINEAR: ("constant", "row", "col"),
    Deramp.QUADRATIC: ("constant", "row", "col", "row^2", "row*col", "col^2"),
}
"""Terms of a surface, in rows and columns from -1 to 1 across the scene."""


def surface_design(
    surface: Deramp, shape: tuple[int, int], rows: NDArray[np.intp], cols: NDArray[np.intp]
) -> NDArray[np.float64]:
    """(point, term) values of the terms of a surface at pixels of a scene of that shape."""
    y, x = scaled(rows, shape[0]), scaled(cols, shape[1])
    columns = {"constant": np.ones(len(y)), "row": y, "col": x, "row^2": y * y, "row*col": y * x, "col^2": x * x}
    return np.stack([columns[term] for term in TERMS[surface]], axis=1)


def scaled(pixels: NDArray[np.integer], size: int) -> NDArray[np.float64]:
    """Rows or columns from -1 at the centre of the first to 1 at that of the last; 0 where there is only one."""
    half = (size - 1) / 2.0
    return (np.asarray(pixels, np.float64) - half) / max(half, 0.5)


@dataclass(frozen=True, slots=True)
class FittedRamp:
    """A surface for every date; a `FittedCorrection`.

    Attributes
    ----------
    shape
        (rows, cols) of the scene.
    coefficients
        (date, term) m, of `TERMS`.
    facts
        For the manifest.
    """

    shape: tuple[int, int]
    coefficients: NDArray[np.float64]
    facts: Mapping[str, Any] = field(default_factory=dict)
    name: str = "ramp"

    def apparent_displacement(self, rows: slice, cols: slice) -> NDArray[np.float64]:
        """(date, row, col) m, positive toward the satellite."""
        y = scaled(np.arange(*rows.indices(self.shape[0])), self.shape[0])
        x = scaled(np.arange(*cols.indices(self.shape[1])), self.shape[1])
        of_term: dict[str, NDArray[np.float64]] = dict(
            zip(TERMS[self._surface], self.coefficients.T[:, :, None], strict=True)
        )
        down = of_term["constant"] + of_term["row"] * y
        across = of_term["col"] * x
        if self._surface is Deramp.QUADRATIC:
            down = down + of_term["row^2"] * y * y
            across = across + of_term["col^2"] * x * x
        surface = down[:, :, None] + across[:, None, :]
        if self._surface is Deramp.QUADRATIC:
            surface += (of_term["row*col"] * y)[:, :, None] * x
        return surface

    @property
    def _surface(self) -> Deramp:
        count = self.coefficients.shape[1]
        return next(surface for surface, terms in TERMS.items() if len(terms) == count)


@dataclass(frozen=True, slots=True)
class RampCorrection:
    """A plane or a quadratic surface at every date, estimated outside of what moves; a `Correction`.

    The facts of the fit hold `trend_share`, the part of the ramps' variance in time that is a steady trend. Errors of
    orbits have none; where it is large, what was subtracted may well be motion of the ground.

    Attributes
    ----------
    shape
        (rows, cols) of the scene.
    surface
        ``linear`` or ``quadratic``.
    robust
        Whether outliers and moving pixels are kept from pulling it; else ordinary least squares on all pixels that are
        not incoherent.
    """

    shape: tuple[int, int]
    surface: Deramp = Deramp.LINEAR
    robust: bool = True
    name: str = "ramp"

    def fit(self, sample: SeriesSample) -> FittedCorrection:
        """The surfaces of all dates; raises `InputError` where the sample is too small to tell."""
        design = surface_design(self.surface, self.shape, sample.rows, sample.cols)
        terms = TERMS[self.surface]
        fitted = fit_stable(design, terms, sample, step=self.name, robust=self.robust)
        ramps = predicted(design, fitted.coefficients)
        ramps -= ramps.mean(axis=1, keepdims=True)
        trend = linear_rates(ramps, sample.dates)
        years = np.array([(day - sample.dates[0]).days for day in sample.dates]) / 365.25
        steady = (trend**2).mean() * years.var()
        varying = ramps.var(axis=0).mean()
        facts = {
            "surface": str(self.surface),
            "robust": self.robust,
            "terms": list(terms),
            "coefficients_m": fitted.coefficients.tolist(),
            "standard_errors_m": fitted.standard_errors.tolist(),
            "rms_m": np.sqrt((ramps**2).mean(axis=1)).tolist(),
            "trend_rms_m_per_year": float(np.sqrt((trend**2).mean())),
            "trend_share": float(steady / varying) if varying > 0 else 0.0,
            **fitted.facts,
        }
        return FittedRamp(self.shape, fitted.coefficients, facts)
