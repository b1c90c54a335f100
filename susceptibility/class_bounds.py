"""Bounds between the classes of a susceptibility map, and the class of each value.

A bound belongs to the class above it. Values are compared as float32, as maps are stored: 0.6 from a map then equals
the bound 0.6.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from insar.layers import row_slices
from susceptibility.errors import InputError, OptionError

_SAMPLE = 4000
"""Values that natural breaks are found from; the time grows with the square."""

_ROWS_AT_ONCE = 1_000_000
_FIVE = ("very low", "low", "moderate", "high", "very high")


class BoundsMethod(StrEnum):
    """How the bounds of classes are found."""

    EQUAL = "equal"
    NATURAL_BREAKS = "natural_breaks"
    QUANTILES = "quantiles"
    GIVEN = "given"


@dataclass(frozen=True, slots=True)
class ClassBounds:
    """Bounds between classes.

    Attributes
    ----------
    method
        How they were found.
    inner
        (class - 1,) where each class but the first begins, rising.
    lowest, highest
        Ends of the scale: 0 and 1 of a probability, or the smallest and largest value.
    """

    method: BoundsMethod
    inner: tuple[float, ...]
    lowest: float = 0.0
    highest: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= len(self.inner) <= 254:
            raise _bounds_error("one to 254 bounds between classes", f"{len(self.inner)}")
        everything = np.array([self.lowest, *self.inner, self.highest], np.float32)
        if not (np.isfinite(everything).all() and (np.diff(everything) > 0.0).all()):
            found = " ".join(f"{value:g}" for value in (self.lowest, *self.inner, self.highest))
            raise _bounds_error("rising bounds between the ends of the scale", found)

    @property
    def count(self) -> int:
        """Number of classes."""
        return len(self.inner) + 1

    @property
    def intervals(self) -> list[tuple[float, float]]:
        """Lower and upper end of each class."""
        ends = (self.lowest, *self.inner, self.highest)
        return list(pairwise(ends))

    @property
    def labels(self) -> tuple[str, ...]:
        """What each class is called: very low to very high where they are five, else its number."""
        return _FIVE if self.count == len(_FIVE) else tuple(f"class {number}" for number in range(1, self.count + 1))


def equal_bounds(classes: int, lowest: float = 0.0, highest: float = 1.0) -> ClassBounds:
    """Bounds at equal steps of a scale."""
    _check_count(classes)
    inner = np.linspace(lowest, highest, classes + 1)[1:-1]
    return ClassBounds(BoundsMethod.EQUAL, tuple(inner.tolist()), lowest, highest)


def given_bounds(inner: Sequence[float], lowest: float = 0.0, highest: float = 1.0) -> ClassBounds:
    """Bounds as they are given."""
    return ClassBounds(BoundsMethod.GIVEN, tuple(float(value) for value in inner), lowest, highest)


def quantile_bounds(
    values: NDArray[np.floating], classes: int, lowest: float | None = None, highest: float | None = None
) -> ClassBounds:
    """Bounds between classes of the same number of units; ends of the scale as `natural_breaks`.

    Raises
    ------
    InputError
        Too many values are equal for that.
    """
    _check_count(classes)
    known = _sorted_known(values)
    inner = np.quantile(known, np.arange(1, classes) / classes)
    return _bounds_of(BoundsMethod.QUANTILES, known, inner, lowest, highest)


def natural_breaks(
    values: NDArray[np.floating], classes: int, lowest: float | None = None, highest: float | None = None
) -> ClassBounds:
    """Bounds that make values within classes as alike as can be (Fisher, 1958; Jenks, 1967).

    Parameters
    ----------
    values
        Of the map, any shape; NaN where unknown.
    classes
        Number of classes.
    lowest, highest
        Ends of the scale; None for the smallest and the largest value.

    Raises
    ------
    InputError
        There are fewer different values than classes.

    Notes
    -----
    The sum of squared deviations from the mean of each class is the smallest possible; a bound is put halfway between
    the largest value of one class and the smallest of the next. Of more than 4000 values, 4000 at even ranks stand for
    all. A random sample of as many is off by ten times more: of two million probabilities its bounds scatter by 0.002
    to 0.006, while those from 4000 and 8000 even ranks differ by 0.0004 at most.
    """
    import jenkspy

    _check_count(classes)
    known = _sorted_known(values)
    sample = known
    if known.size > _SAMPLE:
        sample = known[((np.arange(_SAMPLE) + 0.5) * known.size / _SAMPLE).astype(np.intp)]
    different = np.unique(sample)
    if different.size < classes:
        raise _values_error(f"at least {classes} different values", f"{different.size}")
    # `jenks_breaks` ends each class at its largest value.
    ends = np.array(jenkspy.jenks_breaks(sample.astype(np.float64), n_classes=classes))[1:-1]
    place = np.searchsorted(different, ends.astype(different.dtype))
    inner = (different[place].astype(np.float64) + different[place + 1]) / 2.0
    return _bounds_of(BoundsMethod.NATURAL_BREAKS, known, inner, lowest, highest)


def find_bounds(
    method: BoundsMethod,
    classes: int,
    values: NDArray[np.floating],
    *,
    given: Sequence[float] = (),
    lowest: float | None = None,
    highest: float | None = None,
) -> ClassBounds:
    """Bounds by any method; `values` and the ends of the scale as in `natural_breaks`."""
    if method is BoundsMethod.NATURAL_BREAKS:
        return natural_breaks(values, classes, lowest, highest)
    if method is BoundsMethod.QUANTILES:
        return quantile_bounds(values, classes, lowest, highest)
    if lowest is None or highest is None:
        smallest, largest = _ends(values)
        lowest = smallest if lowest is None else lowest
        highest = largest if highest is None else highest
    return (
        given_bounds(given, lowest, highest) if method is BoundsMethod.GIVEN else equal_bounds(classes, lowest, highest)
    )


def classify(values: NDArray[np.floating], bounds: ClassBounds) -> NDArray[np.uint8]:
    """Class of each value, 1 for the lowest; 0 where the value is unknown."""
    compared = np.asarray(values, np.float32)
    number = np.digitize(compared, np.array(bounds.inner, np.float32)).astype(np.uint8) + np.uint8(1)
    number[~np.isfinite(compared)] = 0
    return number


def _bounds_of(
    method: BoundsMethod,
    known: NDArray[np.floating],
    inner: NDArray[np.floating],
    lowest: float | None,
    highest: float | None,
) -> ClassBounds:
    ends = np.array(
        [known[0] if lowest is None else lowest, *inner, known[-1] if highest is None else highest], np.float32
    )
    if (np.diff(ends) <= 0.0).any():
        found = " ".join(f"{value:g}" for value in ends)
        raise _values_error("values different enough for rising bounds within the scale", f"bounds {found}")
    return ClassBounds(method, tuple(float(value) for value in inner), float(ends[0]), float(ends[-1]))


def _sorted_known(values: NDArray[np.floating]) -> NDArray[np.floating]:
    known = np.concatenate([block[np.isfinite(block)] for block in _blocks(values)])
    if not known.size:
        raise _values_error("a map with known values", "none")
    known.sort()
    return known


def _ends(values: NDArray[np.floating]) -> tuple[float, float]:
    extremes = [(block.min(), block.max()) for each in _blocks(values) if (block := each[np.isfinite(each)]).size]
    if not extremes:
        raise _values_error("a map with known values", "none")
    return float(min(low for low, _ in extremes)), float(max(high for _, high in extremes))


def _blocks(values: NDArray[np.floating]) -> Iterator[NDArray[np.floating]]:
    flat = values.reshape(-1)
    for rows in row_slices(flat.size, _ROWS_AT_ONCE):
        yield np.asarray(flat[rows])


def _check_count(classes: int) -> None:
    if not 2 <= classes <= 255:
        raise OptionError(
            "number of classes", required="2 to 255", found=str(classes), remedy="Correct the number, for example 5"
        )


def _bounds_error(required: str, found: str) -> OptionError:
    return OptionError("bounds of the classes", required=required, found=found, remedy="Correct them")


def _values_error(required: str, found: str) -> InputError:
    return InputError(
        "values of the classes", required=required, found=found, remedy="Ask for fewer classes, or for equal steps"
    )
