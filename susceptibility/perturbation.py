"""Errors of measured features, drawn so that every row has its own, whatever block it is read in.

Notes
-----
An error is ``sigma (sqrt(c) z_scene + sqrt(1 - c) z_row)``: `c` is the part of its variance that a whole scene shares,
as of orbits, of the reference and of the largest patterns of the troposphere, and both z are standard normal. What a
row's own prediction scatters by does not depend on `c`: its error has the variance sigma squared in either case. What
the average of a whole map scatters by depends on almost nothing else.

A draw is a function of seed, perturbation, row and source of the error alone: the counter of a Philox generator is the
row (Salmon et al., 2011, Parallel random numbers: as easy as 1, 2, 3).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from susceptibility.errors import InputError, OptionError

_WORDS = 4  # 64-bit words that Philox gives for one value of its counter
_SCENE = 1  # in the highest word of the counter, which no row reaches


@dataclass(frozen=True, slots=True)
class FeatureErrors:
    """Standard deviations of some features, and how their errors hang together.

    Attributes
    ----------
    columns
        Of the features that have errors.
    sigma
        From a slice of rows, (row, column) standard deviations in the units of the features; 0 for a value that is
        exact, NaN where it is unknown.
    perturbations
        How many times errors are drawn; at least 2.
    correlation
        Part of the variance of an error that all rows share, 0 to 1.
    is_absolute
        (column,) whether the feature is the absolute value of what was measured; empty for none.
    sources
        (column,) numbers: columns with the same number come from the same measurement and have the same z, such as the
        velocity and its absolute value. Empty where each is of its own.
    signed
        From a slice of rows, (row, column) values before the absolute value was taken. Needed where an absolute value
        shares its errors: with other rows (for the scatter of the average of the map) or with other columns.
    models
        Number of models that errors are carried through, spread evenly over all; None for every one.
    """

    columns: tuple[int, ...]
    sigma: Callable[[slice], NDArray[np.float32]] = field(repr=False, compare=False)
    perturbations: int = 20
    correlation: float = 0.0
    is_absolute: tuple[bool, ...] = ()
    sources: tuple[int, ...] = ()
    signed: Callable[[slice], NDArray[np.float32]] | None = field(default=None, repr=False, compare=False)
    models: int | None = None

    def __post_init__(self) -> None:
        count = len(self.columns)
        if not count or len(set(self.columns)) < count or min(self.columns) < 0:
            raise _option_error("columns", "different columns of the features, at least one", str(self.columns))
        if self.perturbations < 2:
            raise _option_error("perturbations", "at least 2, to have a scatter", str(self.perturbations))
        if not 0.0 <= self.correlation <= 1.0:
            raise _option_error("correlation", "0 to 1", f"{self.correlation:g}")
        if self.models is not None and self.models < 1:
            raise _option_error("models", "at least one, or none named for all", str(self.models))
        for name, given in (("is_absolute", self.is_absolute), ("sources", self.sources)):
            if given and len(given) != count:
                raise _option_error(name, f"one entry for each of {count} columns", f"{len(given)} entries")
        if self.signed is None and self._shares_with_columns():
            raise _option_error("signed", "values with their sign, of absolute values that share a source", "none")

    def _shares_with_columns(self) -> bool:
        absolute = self.is_absolute or (False,) * len(self.columns)
        return any(
            is_absolute and self.sources.count(source) > 1
            for is_absolute, source in zip(absolute, self.sources, strict=False)
        )

    @property
    def knows_scene(self) -> bool:
        """Whether the errors of different rows are right together, and not only each by itself."""
        return self.signed is not None or self.correlation == 0.0 or not any(self.is_absolute)

    def read(self, block: NDArray[np.float32], rows: slice) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return what was measured and its standard deviation, both (row, column), for a block (row, feature)."""
        # Without signs: the error is symmetric, so that abs(|v| + e) has the distribution of |v + e|, row by row.
        measured = block[:, list(self.columns)] if self.signed is None else np.asarray(self.signed(rows))
        sigma = np.asarray(self.sigma(rows))
        for name, values in (("sigma", sigma), ("signed", measured)):
            if values.shape != (len(block), len(self.columns)):
                raise InputError(
                    f"{name} of the feature errors",
                    required=f"{len(block)} rows x {len(self.columns)} columns for rows {rows.start} to {rows.stop}",
                    found=f"values of shape {values.shape}",
                    remedy="Give one column for each feature that has errors",
                )
        if (sigma < 0.0).any():
            raise InputError(
                "sigma of the feature errors",
                required="standard deviations, at least 0",
                found=f"{float(np.nanmin(sigma)):g}",
                remedy="Check the layers of standard deviations",
            )
        return measured, sigma

    def draw(self, rows: slice, seed: int, perturbation: int) -> NDArray[np.float64]:
        """Return the z (row, column) of one perturbation: errors in standard deviations."""
        _, source = np.unique(self.sources or np.arange(len(self.columns)), return_inverse=True)
        draws = int(source.max()) + 1
        own = standard_normals(seed, perturbation, rows, draws)
        scene = scene_normals(seed, perturbation, draws)
        z = math.sqrt(self.correlation) * scene + math.sqrt(1.0 - self.correlation) * own
        return np.asarray(z[:, source])

    def add(
        self,
        block: NDArray[np.float32],
        measured: NDArray[np.float32],
        error: NDArray[np.float64],
    ) -> NDArray[np.float32]:
        """Return features (row, feature) with an error (row, column) added to what was measured."""
        with_errors = measured + error
        if self.is_absolute:
            absolute = np.array(self.is_absolute)
            with_errors[:, absolute] = np.abs(with_errors[:, absolute])
        result = block.copy()
        result[:, list(self.columns)] = with_errors
        return result


def standard_normals(seed: int, perturbation: int, rows: slice, draws: int) -> NDArray[np.float64]:
    """Return (row, draw) independent standard normal numbers that depend on nothing but the arguments and the row."""
    from scipy.special import ndtri

    counters = -(-draws // _WORDS)  # of a row
    generator = _philox(seed, perturbation, [rows.start * counters, 0, 0, 0])
    count = rows.stop - rows.start
    words = generator.random_raw(count * counters * _WORDS).reshape(count, counters * _WORDS)[:, :draws]
    # The ziggurat would take a number of words that depends on their values; the inverse takes one.
    return np.asarray(ndtri(((words >> np.uint64(11)) + 0.5) * 2.0**-53), np.float64)


def scene_normals(seed: int, perturbation: int, draws: int) -> NDArray[np.float64]:
    """Return (draw,) standard normal numbers that all rows of a perturbation share."""
    from scipy.special import ndtri

    words = _philox(seed, perturbation, [0, 0, 0, _SCENE]).random_raw(draws)
    return np.asarray(ndtri(((words >> np.uint64(11)) + 0.5) * 2.0**-53), np.float64)


def _philox(seed: int, perturbation: int, counter: list[int]) -> np.random.Philox:
    if not 0 <= seed < 2**64:
        raise _option_error("seed", "a whole number from 0 to 2^64 - 1", str(seed))
    return np.random.Philox(key=np.array([seed, perturbation], np.uint64), counter=np.array(counter, np.uint64))


def _option_error(name: str, required: str, found: str) -> OptionError:
    return OptionError(f"{name} of the feature errors", required=required, found=found, remedy="Correct it")
