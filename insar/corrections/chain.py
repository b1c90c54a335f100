"""The chain of corrections of a series: fitted one after the other on a sample, subtracted block by block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.corrections.base import Correction, FittedCorrection, SeriesSample
from insar.corrections.stable import known_throughout, outlying_rates
from insar.errors import InputError
from insar.layers import row_slices
from insar.quality import LOW_TEMPORAL_COHERENCE
from insar.stack import Stack

SAMPLES_AT_ONCE = 2**20
"""Values (date, pixel) of the corrections that are in memory at a time, besides the block itself."""


@dataclass(frozen=True, slots=True)
class CorrectionStep:
    """One fitted correction and what it does to the series on the sample.

    Attributes
    ----------
    fitted
        The correction.
    reference_m
        (date,) m, apparent displacement of the reference: the mean over its pixels.
    rms_before_m, rms_after_m
        (date,) standard deviation of the series over the stable pixels of the sample, before and after the step. A
        value that all of them share, such as the noise of the reference, does not count. NaN without stable pixels.
    unknown_share
        Share of the sample's pixels with a series that lose it because the correction is unknown there.
    """

    fitted: FittedCorrection
    reference_m: NDArray[np.float64]
    rms_before_m: NDArray[np.float64]
    rms_after_m: NDArray[np.float64]
    unknown_share: float

    @property
    def name(self) -> str:
        """Name of the step."""
        return self.fitted.name

    @property
    def facts(self) -> dict[str, Any]:
        """Plain values for the manifest; None where a value is unknown. The totals leave the first date out."""
        return {
            "name": self.name,
            "facts": dict(self.fitted.facts),
            "rms_before_m": _total(self.rms_before_m),
            "rms_after_m": _total(self.rms_after_m),
            "rms_before_per_date_m": [_plain(value) for value in self.rms_before_m],
            "rms_after_per_date_m": [_plain(value) for value in self.rms_after_m],
            "unknown_share": self.unknown_share,
        }


@dataclass(frozen=True, slots=True)
class CorrectionChain:
    """Fitted corrections; can be pickled, and used from several threads at once.

    Attributes
    ----------
    steps
        In the order they were fitted.
    cols
        Columns of the scene.
    """

    steps: tuple[CorrectionStep, ...]
    cols: int

    def apply(self, series: NDArray[np.float32], rows: slice) -> None:
        """Subtract all corrections from full rows of a series, in place.

        Parameters
        ----------
        series
            (date, row, col) m, relative to the first date and to the reference, and so afterwards. A pixel where any
            correction is unknown becomes NaN at all dates. A pixel has the same bits whatever rows come along.
        rows
            Which rows of the scene they are.
        """
        if not self.steps:
            return
        dates, _, cols = series.shape
        reference = np.sum([step.reference_m for step in self.steps], axis=0)
        for part in row_slices(series.shape[1], max(1, SAMPLES_AT_ONCE // (dates * cols))):
            place = slice(rows.start + part.start, rows.start + part.stop)
            apparent = np.zeros((dates, part.stop - part.start, cols))
            for step in self.steps:
                apparent += step.fitted.apparent_displacement(place, slice(0, self.cols))
            series[:, part] = _subtracted(series[:, part], apparent, reference)

    @property
    def facts(self) -> list[dict[str, Any]]:
        """Plain values for the manifest, one mapping for each step."""
        return [step.facts for step in self.steps]


def fit_corrections(
    stack: Stack,
    corrections: Sequence[Correction],
    sample: SeriesSample,
    reference_rows: NDArray[np.intp] | Sequence[int],
    reference_cols: NDArray[np.intp] | Sequence[int],
) -> CorrectionChain:
    """Fit corrections, each to what the earlier ones leave of the series.

    Parameters
    ----------
    stack
        Whose pixels they are for.
    corrections
        In the order in which they are fitted: what is known from outside first, then what is estimated.
    sample
        The series on some pixels of the stack.
    reference_rows, reference_cols
        Pixels whose mean is the reference of the series.

    Raises
    ------
    InputError
        A correction cannot be known, or is unknown at the reference or everywhere.
    """
    rows, cols = np.asarray(reference_rows, np.intp), np.asarray(reference_cols, np.intp)
    current = sample
    stages = [sample.displacement_m]
    fits: list[tuple[FittedCorrection, NDArray[np.float64]]] = []
    for correction in corrections:
        fitted = correction.fit(current)
        reference = _reference(fitted, rows, cols)
        apparent = apparent_at(fitted, sample.rows, sample.cols)
        left = _subtracted(current.displacement_m, apparent, reference)
        if not np.isfinite(left).any():
            raise InputError(
                f"correction {fitted.name}",
                required="values at the pixels of the scene",
                found=f"none at any of the {len(sample.rows)} looked at",
                remedy="Check that its files cover the scene, and that the stack knows where its pixels lie",
            )
        current = replace(current, displacement_m=left)
        stages.append(left)
        fits.append((fitted, reference))
    stable = _stable(current)
    spreads = [_spread(stage, stable) for stage in stages]
    known = [int(known_throughout(stage).sum()) for stage in stages]
    steps = tuple(
        CorrectionStep(
            fitted,
            reference,
            spreads[index],
            spreads[index + 1],
            1.0 - known[index + 1] / max(known[index], 1),
        )
        for index, (fitted, reference) in enumerate(fits)
    )
    return CorrectionChain(steps, stack.shape[1])


def apparent_at(fitted: FittedCorrection, rows: NDArray[np.intp], cols: NDArray[np.intp]) -> NDArray[np.float64]:
    """(date, point) m, apparent displacement at some pixels, evaluated by windows of one row."""
    parts: list[tuple[NDArray[np.intp], NDArray[np.float64]]] = []
    for row in np.unique(rows):
        at = np.flatnonzero(rows == row)
        first = int(cols[at].min())
        window = fitted.apparent_displacement(slice(int(row), int(row) + 1), slice(first, int(cols[at].max()) + 1))
        parts.append((at, np.asarray(window[:, 0, cols[at] - first], np.float64)))
    values = np.full((len(parts[0][1]) if parts else 0, len(rows)), np.nan)
    for at, of_row in parts:
        values[:, at] = of_row
    return values


def _reference(fitted: FittedCorrection, rows: NDArray[np.intp], cols: NDArray[np.intp]) -> NDArray[np.float64]:
    apparent = apparent_at(fitted, rows, cols)
    known = known_throughout(apparent)
    if not known.any():
        raise InputError(
            f"correction {fitted.name}",
            required="a value at the reference, that all others are relative to",
            found=f"none at row {int(rows[0])}, column {int(cols[0])}",
            remedy="Choose a reference that its files cover and whose height, place and incidence the stack knows",
        )
    mean: NDArray[np.float64] = apparent[:, known].mean(axis=1)
    return mean


def _subtracted(series: NDArray[Any], apparent: NDArray[np.float64], reference: NDArray[np.float64]) -> NDArray[Any]:
    from insar.kernels.corrections import subtract_relative

    result = np.array(series, order="C")
    subtract_relative(result.reshape(len(result), -1), apparent.reshape(len(apparent), -1), reference)
    return result


def _stable(sample: SeriesSample) -> NDArray[np.bool_]:
    """Pixels with a series at the end, without low coherence and with no outlying rate."""
    usable = known_throughout(sample.displacement_m) & ~(sample.temporal_coherence < LOW_TEMPORAL_COHERENCE)
    if usable.any():
        usable &= ~outlying_rates(sample.displacement_m, sample.dates, usable)
    return usable


def _spread(series: NDArray[np.float64], stable: NDArray[np.bool_]) -> NDArray[np.float64]:
    if not stable.any():
        return np.full(len(series), np.nan)
    spread: NDArray[np.float64] = series[:, stable].std(axis=1)
    return spread


def _total(per_date: NDArray[np.float64]) -> float | None:
    return _plain(np.sqrt((per_date[1:] ** 2).mean())) if len(per_date) > 1 else None


def _plain(value: float | np.floating) -> float | None:
    return float(value) if np.isfinite(value) else None
