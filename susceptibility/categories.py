"""Land cover, lithology and other classes, from rasters or polygons, on a grid or as shares of mapping units.

Classes are known by their labels, such as ``granite`` or, where a raster has numbers alone, ``11``: numbers that one
file gives to its classes are not those of another. Within a `CategoryMap` they have codes, from 1; 0 is unknown.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from insar.layers import row_slices
from susceptibility.coverage import cell_coverage
from susceptibility.errors import InputError, OptionError
from susceptibility.storage import open_aligned
from susceptibility.units.zonal import Zones
from susceptibility.vectors import VectorLayer, read_vectors

logger = logging.getLogger(__name__)

UNKNOWN = 0
"""Code of cells whose class is not known."""

MOST_CLASSES = 1000
"""A raster with more different numbers than that holds no classes."""

_ROWS_AT_ONCE = 256
_SAME_SHARE = 1e-9  # shares that differ by less are equal but for rounding, which must not decide between classes


@dataclass(frozen=True, slots=True)
class CategoryMap:
    """The class of each cell of a grid.

    Attributes
    ----------
    grid
        Projected, in metres.
    codes : (row, col) uint16
        1 for the first of `labels`, and so on; `UNKNOWN` where there is none.
    labels
        Of the classes, sorted.
    """

    grid: Grid
    codes: NDArray[np.uint16]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClassShares:
    """How much of each mapping unit each class covers.

    Attributes
    ----------
    labels
        Of the classes, sorted.
    shares : (unit, class) float64
        Of the unit's whole area, 0 to 1. What is missing to 1 in a unit is unknown.
    """

    labels: tuple[str, ...]
    shares: NDArray[np.float64]

    @property
    def known(self) -> NDArray[np.float64]:
        """(unit,) Share of the area whose class is known; above 1 only where polygons of several classes overlap."""
        return np.asarray(self.shares.sum(axis=1), np.float64)

    def dominant(self, least_known: float = 0.0) -> NDArray[np.object_]:
        """(unit,) Label of the class that covers most of each unit, the first one of equals.

        None where nothing is known, or less of the area than `least_known`.
        """
        largest = self.shares.max(axis=1, initial=0.0)
        first = (self.shares >= largest[:, None] - _SAME_SHARE).argmax(axis=1) if self.labels else largest.astype(int)
        labels = np.array([*self.labels, None], object)[first]
        labels[(largest <= 0.0) | (self.known < least_known - _SAME_SHARE)] = None
        return np.asarray(labels, np.object_)


def read_categories(
    path: Path,
    grid: Grid,
    *,
    field: str | None = None,
    layer: str | None = None,
    band: int = 1,
    legend: Mapping[int, str] | None = None,
    own_crs: str | None = None,
) -> CategoryMap:
    """Read the class that covers most of each cell.

    Parameters
    ----------
    path
        A raster of whole numbers, or a file of polygons.
    grid
        Projected, in metres.
    field
        Of polygons: whose values are the classes. None for a raster.
    layer
        Of a file of polygons that has several.
    band
        Of a raster, counted from 1.
    legend
        Label of each number of a raster; numbers that it lacks are labelled with themselves. Numbers with one label
        are one class, but which of them covers a cell is decided before.
    own_crs
        Coordinate reference system of a file that names none; never overrides one that does.

    Returns
    -------
    CategoryMap
        A cell's class is known where part of it is; equal parts count for the first label. Polygons are measured
        exactly; where those of one class overlap, the ground counts once.

    Raises
    ------
    MissingInputError
        There is no such file.
    InputError
        It cannot be read, has no coordinate reference system, does not reach the grid, or holds no classes.
    OptionError
        An option does not fit the file.
    """
    if field is not None:
        vectors = read_vectors(path, str(grid.crs), layer=layer, field=field, own_crs=own_crs)
        return category_map_of(vectors, grid)
    return _read_raster(path, grid, band, legend or {}, own_crs)


def category_map_of(vectors: VectorLayer, grid: Grid) -> CategoryMap:
    """Return the class of the polygons that cover most of each cell; errors as `read_categories`."""
    polygons = _polygons_by_label(vectors)
    largest = np.zeros(grid.shape, np.float64)
    codes = np.full(grid.shape, UNKNOWN, np.uint16)
    for code, shapes in enumerate(polygons.values(), start=1):
        share = cell_coverage(shapes, grid)
        more = share > largest + _SAME_SHARE
        codes[more] = code
        largest[more] = share[more]
    if not codes.any():
        raise InputError(
            vectors.path,
            required=f"polygons on the grid (west, south, east, north = {_spaced(grid.bounds)}, {grid.crs})",
            found="none there",
            remedy="Check that both are of the same area, and the coordinate reference system of both",
        )
    return CategoryMap(grid, codes, tuple(polygons))


def class_shares(categories: CategoryMap, zones: Zones) -> ClassShares:
    """Return how much of each unit each class of a map covers.

    Parameters
    ----------
    categories
        On the grid of the units.
    zones
        The units, as labels or as polygons that may cover cells in part.

    Raises
    ------
    InputError
        The map lies on another grid.
    """
    if not categories.grid.same_as(zones.grid):
        raise InputError(
            "map of classes",
            required="the grid of the mapping units",
            found=f"{categories.grid.rows} x {categories.grid.cols} pixels elsewhere",
            remedy="Read the classes on that grid",
        )
    classes = len(categories.labels)
    shares = np.zeros((zones.count, classes))
    codes = categories.codes.reshape(-1)
    for units in row_slices(zones.count, max(1, 2**20 // (classes + 1))):
        entries = slice(int(zones.starts[units.start]), int(zones.starts[units.stop]))
        unit = np.repeat(np.arange(units.stop - units.start), np.diff(zones.starts[units.start : units.stop + 1]))
        weights = zones.parts[entries] if zones.parts.size else None
        place = unit * (classes + 1) + codes[zones.cells[entries]]
        sums = np.bincount(place, weights, (units.stop - units.start) * (classes + 1))
        shares[units] = sums.reshape(-1, classes + 1)[:, 1:]
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.where(zones.areas[:, None] > 0.0, shares / zones.areas[:, None], 0.0)
    return ClassShares(categories.labels, shares)


def polygon_class_shares(vectors: VectorLayer, units: NDArray[np.object_]) -> ClassShares:
    """Return how much of each unit polygons of each class cover, by the exact area of what they share.

    Parameters
    ----------
    vectors
        Polygons with the classes as their values.
    units : (unit,)
        Valid shapely polygons in the same coordinate reference system.

    Raises
    ------
    InputError
        The layer has no polygons, or none with a class.
    """
    import shapely

    polygons = _polygons_by_label(vectors)
    tree = shapely.STRtree(units)
    shares = np.zeros((len(units), len(polygons)))
    areas = shapely.area(units)
    for column, shapes in enumerate(polygons.values()):
        # What overlaps within a class counts once.
        parts = shapely.get_parts(shapely.union_all(shapes))
        part, unit = tree.query(parts, predicate="intersects")
        common = shapely.area(shapely.intersection(parts[part], units[unit]))
        shares[:, column] = np.bincount(unit, common, len(units))
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.where(areas[:, None] > 0.0, np.minimum(shares / areas[:, None], 1.0), 0.0)
    return ClassShares(tuple(polygons), shares)


def label_of(value: Any) -> str | None:
    """Return the label of a class: text as it is, a whole number without decimals; None for NaN, None and no text.

    Raises
    ------
    InputError
        The value is a number with decimals, or something else that is no class.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return value.strip() or None
    number = float(value) if isinstance(value, SupportsFloat) else math.inf
    if math.isnan(number):
        return None
    if not number.is_integer():
        raise InputError(
            "class",
            required="text or a whole number",
            found=str(value),
            remedy="Use a continuous quantity as such, or divide it into classes first",
        )
    return str(int(number))


def sorted_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """Return different labels in order: whole numbers by their size, then words."""
    return tuple(sorted(set(labels), key=lambda label: (0, int(label), "") if is_number(label) else (1, 0, label)))


def is_number(label: str) -> bool:
    """Whether a label is a whole number."""
    return re.fullmatch(r"-?[0-9]+", label) is not None


def _read_raster(path: Path, grid: Grid, band: int, legend: Mapping[int, str], own_crs: str | None) -> CategoryMap:
    values = np.empty(grid.shape, np.float32)
    found: set[float] = set()
    with open_aligned(path, grid, resampling="mode", band=band, own_crs=own_crs) as aligned:
        for rows in row_slices(grid.rows, _ROWS_AT_ONCE):
            values[rows] = aligned.read(rows)
            known = values[rows][np.isfinite(values[rows])]
            found.update(np.unique(known).tolist())
            if len(found) > MOST_CLASSES or (known != np.round(known)).any():
                raise InputError(
                    path,
                    required=f"classes: whole numbers, at most {MOST_CLASSES} different ones",
                    found="numbers with decimals" if len(found) <= MOST_CLASSES else f"{len(found)} different numbers",
                    remedy="Use the raster as a continuous quantity, or divide it into classes first",
                )
    if not found:
        raise InputError(
            path,
            required="classes on the grid",
            found="no data in every cell",
            remedy="Check the area that the raster covers and its no-data value",
        )
    numbers = sorted(int(number) for number in found)
    of_number = {number: str(legend.get(number, number)) for number in numbers}
    labels = sorted_labels(of_number.values())
    codes = np.full(grid.shape, UNKNOWN, np.uint16)
    code_of = np.array([labels.index(of_number[number]) + 1 for number in numbers], np.uint16)
    for rows in row_slices(grid.rows, _ROWS_AT_ONCE):
        known = np.isfinite(values[rows])
        codes[rows][known] = code_of[np.searchsorted(numbers, values[rows][known])]
    return CategoryMap(grid, codes, labels)


def _polygons_by_label(vectors: VectorLayer) -> dict[str, NDArray[np.object_]]:
    """Return the polygons of each class, sorted by its label; those without a class are left out, and counted."""
    import shapely

    if vectors.values is None:
        raise OptionError(
            f"field of {vectors.path}",
            required="the field whose values are the classes",
            found="none",
            remedy="Name it",
        )
    labels = [label_of(value) for value in vectors.values]
    has_area = shapely.area(vectors.geometries) > 0.0
    lacking = sum(label is None for label in labels)
    if lacking:
        logger.warning("%s: %d of %d polygons have no class", vectors.path, lacking, len(labels))
    named = sorted_labels(label for label, area in zip(labels, has_area, strict=True) if label and area)
    if not named:
        raise InputError(
            vectors.path,
            required="polygons with a class",
            found=f"{int(has_area.sum())} polygons, {lacking} features without a class",
            remedy="Check the layer and the field",
        )
    of_feature = np.array(labels, object)
    return {label: vectors.geometries[(of_feature == label) & has_area] for label in named}


def _spaced(values: Any) -> str:
    return " ".join(f"{value:.6g}" for value in values)
