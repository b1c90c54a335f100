"""What lies in each class of a susceptibility map: area, landslides, their density and frequency ratio."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from insar.layers import row_slices
from susceptibility.class_bounds import ClassBounds, classify
from susceptibility.errors import InputError

_ROWS_AT_ONCE = 1_000_000
_M2_PER_KM2 = 1e6


class LandslideMeasure(StrEnum):
    """What landslides are counted by."""

    COUNT = "count"
    AREA_M2 = "area_m2"


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One class of a map.

    Attributes
    ----------
    number, label, lower, upper
        From 1; what it is called; which values it has.
    units, area_km2, area_share
        Mapping units in it, their area, and its part of the area of all classes.
    observed_km2
        The part of the area where landslides are known, or known to be absent.
    landslides
        In the units of the table's measure.
    landslide_share
        Its part of the landslides in all classes.
    density
        Landslides over observed area: per km2, or m2 per m2. NaN for a class without observed area.
    frequency_ratio
        Share of the landslides over share of the observed area: 1 where there are as many as anywhere.
    """

    number: int
    label: str
    lower: float
    upper: float
    units: int
    area_km2: float
    area_share: float
    observed_km2: float
    landslides: float
    landslide_share: float
    density: float
    frequency_ratio: float


@dataclass(frozen=True, slots=True)
class ClassTable:
    """Classes of a map, and what lies where the map says nothing.

    Attributes
    ----------
    measure
        What landslides are counted by.
    rows
        By class, the lowest first.
    unknown_area_km2, unknown_landslides
        Of units without a prediction.
    """

    measure: LandslideMeasure
    rows: tuple[ClassRow, ...]
    unknown_area_km2: float
    unknown_landslides: float


def tabulate_classes(
    values: NDArray[np.floating],
    area_m2: NDArray[np.floating] | float,
    landslides: NDArray[np.number] | NDArray[np.bool_],
    bounds: ClassBounds,
    measure: LandslideMeasure = LandslideMeasure.COUNT,
) -> ClassTable:
    """Area and landslides of each class of a map.

    Parameters
    ----------
    values
        (row,) predictions, NaN where unknown.
    area_m2
        (row,) of each mapping unit, or one for all, m2.
    landslides
        (row,) number of landslides in each unit, or the area they cover, m2; NaN where it is not known.
    bounds
        Of the classes.
    measure
        What `landslides` are.

    Raises
    ------
    InputError
        Numbers of rows differ, or an area or a number of landslides is negative.
    """
    rows = len(values)
    if len(landslides) != rows or (isinstance(area_m2, np.ndarray) and area_m2.shape != (rows,)):
        raise InputError(
            "landslides and areas of the classes",
            required=f"one for each of {rows} units",
            found=f"{len(landslides)} and {np.shape(area_m2)}",
            remedy="Take all from the same table",
        )
    sums = np.zeros((4, bounds.count + 1))
    for block in row_slices(rows, _ROWS_AT_ONCE):
        number = classify(values[block], bounds)
        area = np.broadcast_to(
            np.asarray(area_m2 if isinstance(area_m2, float | int) else area_m2[block]), number.shape
        )
        slides = np.asarray(landslides[block], np.float64)
        if (area < 0.0).any() or (slides < 0.0).any():
            raise InputError(
                "landslides and areas of the classes", required="none below 0", found="some", remedy="Check the table"
            )
        is_known = np.isfinite(slides)
        weights = (np.ones(number.shape), area, np.where(is_known, area, 0.0), np.where(is_known, slides, 0.0))
        for index, weight in enumerate(weights):
            sums[index] += np.bincount(number, weight, minlength=bounds.count + 1)
    return _table(sums, bounds, measure)


def tabulate_held_out(
    table: ClassTable,
    values: NDArray[np.floating],
    is_landslide: NDArray[np.bool_],
    bounds: ClassBounds,
    *,
    times: float = 1.0,
) -> ClassTable:
    """The same classes with landslides that the model had not seen.

    Parameters
    ----------
    table
        Of the whole map: its areas stay.
    values
        (sample,) predictions by models that were fitted without the sample, such as those of folds.
    is_landslide
        (sample,) which of them are landslides; only they count, because the others are no fair sample of the area.
    bounds
        Of the classes.
    times
        How often each landslide was predicted, so that its predictions count as one.
    """
    number = classify(values[is_landslide], bounds)
    sums = np.zeros((4, bounds.count + 1))
    sums[:, 1:] = np.array([[row.units, row.area_km2, row.observed_km2, 0.0] for row in table.rows]).T
    sums[:, 0] = (0.0, table.unknown_area_km2, 0.0, 0.0)
    sums[1:3] *= _M2_PER_KM2
    sums[3] = np.bincount(number, minlength=bounds.count + 1) / times
    return _table(sums, bounds, LandslideMeasure.COUNT)


def _table(sums: NDArray[np.float64], bounds: ClassBounds, measure: LandslideMeasure) -> ClassTable:
    """From units, area, observed area in m2 and landslides of each class, the unknown first."""
    units, area, observed, slides = sums[:, 1:]
    density = _ratio(slides, observed) * (_M2_PER_KM2 if measure is LandslideMeasure.COUNT else 1.0)
    area_share, slide_share = _ratio(area, area.sum()), _ratio(slides, slides.sum())
    ratio = _ratio(slide_share, _ratio(observed, observed.sum()))
    rows = tuple(
        ClassRow(
            number=index + 1,
            label=bounds.labels[index],
            lower=lower,
            upper=upper,
            units=int(units[index]),
            area_km2=float(area[index] / _M2_PER_KM2),
            area_share=float(area_share[index]),
            observed_km2=float(observed[index] / _M2_PER_KM2),
            landslides=float(slides[index]),
            landslide_share=float(slide_share[index]),
            density=float(density[index]),
            frequency_ratio=float(ratio[index]),
        )
        for index, (lower, upper) in enumerate(bounds.intervals)
    )
    return ClassTable(measure, rows, float(sums[1, 0] / _M2_PER_KM2), float(sums[3, 0]))


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    divisor = np.broadcast_to(whole, part.shape)
    return np.asarray(np.divide(part, divisor, out=np.full(part.shape, np.nan), where=divisor > 0.0))
