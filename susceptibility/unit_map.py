"""Predictions of mapping units on disk: rasters on the grid of the study, and a GeoPackage of the units.

In the rasters each cell has the value of the unit it is labelled with; of polygons that overlap that is the first. The
GeoPackage has every unit with its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from insar.layers import LayerDefinition, row_slices, write_layer
from susceptibility.class_bounds import ClassBounds, classify
from susceptibility.ensemble import RowPredictions
from susceptibility.errors import InputError, OptionError
from susceptibility.geopackage import check_suffix, new_geopackage

LAYER = "susceptibility"
"""Of the GeoPackage."""

_UNITS_AT_ONCE = 200_000

PREDICTED: dict[str, LayerDefinition] = {
    "landslide": LayerDefinition(
        "probability",
        "1",
        "Landslide susceptibility: probability relative to the share of landslides in the training sample, 0 to 1",
    ),
    "lad": LayerDefinition("areal_density", "1", "Predicted area that landslides cover over area, 0 to 1"),
    "number_density": LayerDefinition("number_density", "1/km2", "Predicted landslides over area"),
}
"""What a map shows, by the target that was predicted."""


@dataclass(frozen=True, slots=True)
class UnitMap:
    """What is written of each mapping unit.

    Attributes
    ----------
    predictions
        (row,) each.
    bounds
        Of the classes of `predictions.probability`.
    target
        What was predicted, one of `PREDICTED`.
    applicable
        (row,) True where the unit is like those that the model was trained on; None where that was not asked.
    """

    predictions: RowPredictions
    bounds: ClassBounds
    target: str = "landslide"
    applicable: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if self.target not in PREDICTED:
            raise OptionError(
                "target of the map",
                required=f"one of {', '.join(PREDICTED)}",
                found=repr(self.target),
                remedy="Name one",
            )
        count = len(self.predictions.probability)
        if self.applicable is not None and self.applicable.shape != (count,):
            raise InputError(
                "area of applicability",
                required=f"one value for each of {count} units",
                found=f"values of shape {self.applicable.shape}",
                remedy="Work it out for the table of the map",
            )

    @property
    def count(self) -> int:
        """Number of units."""
        return len(self.predictions.probability)

    def quantities(self) -> list[tuple[LayerDefinition, NDArray[np.float32]]]:
        """Each quantity (row,) that is known, with what it is."""
        main = PREDICTED[self.target]
        found = self.predictions
        said = f"of: {main.description}"
        low, high = (f"{100.0 * quantile:g} %" for quantile in found.quantiles)
        several = "over models trained on different draws"
        named = [
            ("", main.description, found.probability),
            ("_std", f"Standard deviation {several}, {said}", found.std),
            ("_lower", f"Quantile {low} {several}, {said}", found.lower),
            ("_upper", f"Quantile {high} {several}, {said}", found.upper),
            ("_insar_std", f"Standard deviation that errors of the InSAR features give, {said}", found.insar_std),
        ]
        if found.std is not None:
            named[0] = ("", f"Median {several}, {said}", found.probability)
        return [
            (replace(main, name=main.name + ending, description=description), values)
            for ending, description, values in named
            if values is not None
        ]


def painted(values: NDArray[Any], labels: NDArray[np.integer], unknown: float) -> Callable[[slice], NDArray[Any]]:
    """Give values of units by rows of a grid.

    Parameters
    ----------
    values
        (unit,).
    labels
        (row, col) number of the unit of each cell, from 1; 0 where there is none.
    unknown
        Value of cells without a unit.

    Returns
    -------
    Callable
        From a slice of rows, the (row, col) values.
    """

    def rows_of(rows: slice) -> NDArray[Any]:
        number = np.asarray(labels[rows])
        block = values[np.maximum(number, 1) - 1]
        block[number == 0] = unknown
        return np.asarray(block)

    return rows_of


def write_rasters(
    unit_map: UnitMap, labels: NDArray[np.integer], grid: Grid, folder: Path, *, tags: dict[str, str] | None = None
) -> list[Path]:
    """Write a Cloud-Optimized GeoTIFF for each quantity, ``class.tif``, and ``applicable.tif`` if that is known.

    Parameters
    ----------
    unit_map
        What to write.
    labels
        (row, col) number of the unit of each cell, from 1; 0 where there is none. Of cells as units too.
    grid
        Of the labels.
    folder
        Made if it is not there.
    tags
        Further tags of each file.

    Returns
    -------
    list of Path
        ``probability.tif``, ``probability_std.tif`` and so on, as far as they are known.

    Raises
    ------
    InputError
        Labels and units do not belong together.
    """
    _check_labels(labels, grid, unit_map.count)
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []

    def write(definition: LayerDefinition, values: Callable[[slice], NDArray[Any]]) -> None:
        written.append(folder / f"{definition.name}.tif")
        write_layer(written[-1], values, grid, definition, tags=tags)

    for definition, values in unit_map.quantities():
        write(definition, painted(values, labels, math.nan))
    main = painted(unit_map.predictions.probability, labels, math.nan)
    write(_class_layer(unit_map.bounds), lambda rows: classify(main(rows), unit_map.bounds))
    if unit_map.applicable is not None:
        said = "1 unlike what the model was trained on; 2 like it; 0 unknown"
        applicable = unit_map.applicable.astype(np.uint8) + np.uint8(1)
        applicable[~np.isfinite(unit_map.predictions.probability)] = 0
        layer = LayerDefinition("applicable", "class", said, dtype="uint8", nodata=0)
        write(layer, painted(applicable, labels, 0))
    return written


def write_units_file(
    unit_map: UnitMap,
    path: Path,
    crs: str,
    *,
    number: Callable[[slice], NDArray[Any]],
    geometry: Callable[[slice], NDArray[np.object_]],
) -> None:
    """Write a GeoPackage of the units: ``unit``, each quantity, ``class``, and ``applicable`` if that is known.

    A class is null where there is no prediction. The same map gives the same bytes.

    Parameters
    ----------
    unit_map
        What to write.
    path
        ``.gpkg``; takes its place when whole.
    crs
        Of the geometries.
    number
        From a slice of rows, by what the units are called.
    geometry
        From a slice of rows, their shapely geometries: all of them polygons, or all points.

    Raises
    ------
    OptionError
        The name does not end in ``.gpkg``.
    InputError
        The geometries are of several kinds.
    """
    check_suffix(path)
    kind = _kind(geometry(slice(0, 1)), path, None)
    with new_geopackage(path, LAYER, kind=kind, crs=crs) as append:
        for rows in row_slices(unit_map.count, _UNITS_AT_ONCE):
            shapes = geometry(rows)
            _kind(shapes, path, kind)
            fields, unknown = _fields(unit_map, rows, number(rows))
            append(shapes, fields, {"class": unknown, "applicable": unknown})


def points_at(
    x: Callable[[slice], NDArray[np.floating]], y: Callable[[slice], NDArray[np.floating]]
) -> Callable[[slice], NDArray[np.object_]]:
    """Geometries of a table that has places alone."""

    def points(rows: slice) -> NDArray[np.object_]:
        import shapely

        return np.asarray(shapely.points(x(rows), y(rows)), object)

    return points


def _fields(unit_map: UnitMap, rows: slice, number: NDArray[Any]) -> tuple[dict[str, NDArray[Any]], NDArray[np.bool_]]:
    """Fields of the GeoPackage, and where the class is unknown."""
    probability = np.asarray(unit_map.predictions.probability[rows])
    unknown = ~np.isfinite(probability)
    fields: dict[str, NDArray[Any]] = {"unit": np.asarray(number, np.int64)}
    fields |= {definition.name: np.asarray(values[rows]) for definition, values in unit_map.quantities()}
    fields["class"] = classify(probability, unit_map.bounds).astype(np.int16)
    if unit_map.applicable is not None:
        fields["applicable"] = np.asarray(unit_map.applicable[rows], np.bool_)
    return fields, unknown


def _class_layer(bounds: ClassBounds) -> LayerDefinition:
    steps = ", ".join(
        f"{number} {label} from {lower:.6g}"
        for number, (label, (lower, _)) in enumerate(zip(bounds.labels, bounds.intervals, strict=True), start=1)
    )
    said = f"Classes by {bounds.method.value.replace('_', ' ')}: {steps}; 0 unknown"
    return LayerDefinition("class", "class", said, dtype="uint8", nodata=0)


def _kind(shapes: NDArray[np.object_], path: Path, former: str | None) -> str:
    found = {"MultiPolygon" if shape.geom_type == "Polygon" else str(shape.geom_type) for shape in shapes}
    wanted = {former} if former is not None else {next(iter(found & {"MultiPolygon", "Point"}), None)}
    if found != wanted:
        raise InputError(
            path,
            required="units that are all polygons, or all points",
            found=", ".join(sorted(found)),
            remedy="Write their centres instead",
        )
    return found.pop()


def _check_labels(labels: NDArray[np.integer], grid: Grid, count: int) -> None:
    smallest = largest = 0
    for rows in row_slices(labels.shape[0], 1024):
        smallest, largest = min(smallest, int(labels[rows].min())), max(largest, int(labels[rows].max()))
    if labels.shape != grid.shape or smallest < 0 or largest > count:
        raise InputError(
            "labels of the mapping units",
            required=f"{grid.rows} rows x {grid.cols} columns of numbers from 0 to {count}",
            found=f"shape {labels.shape} with numbers from {smallest} to {largest}",
            remedy="Take the units that the predictions were made for",
        )
