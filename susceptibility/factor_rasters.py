"""Rasters of another area or date, as the features that a trained model asks for.

A model is told numbers without names. That each comes from the right raster, in the unit of measure and with the sense
of sign that the model was trained on, is made sure of here; a class is known by its label, not by its number.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from insar.layers import grid_of, row_slices
from susceptibility.categories import CategoryMap, read_categories
from susceptibility.dataset import Dataset, Rows, Targets, row_values
from susceptibility.errors import InputError, MissingInputError
from susceptibility.insar_layers import InsarResult, open_result
from susceptibility.inventory import UNLABELLED
from susceptibility.schema import FeatureSchema
from susceptibility.storage import open_aligned, open_raster
from susceptibility.units import cell_units
from susceptibility.units.definition import require_north_up
from susceptibility.workers import Progress

logger = logging.getLogger(__name__)

ABSOLUTE = "_absolute"
"""Ending of a feature that is the absolute value of a raster."""

LEGEND = "_legend.csv"
"""Ending, after the name of a feature, of the file that says which number of its raster is which class."""

_ROWS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class FactorRaster:
    """Where one feature comes from.

    Attributes
    ----------
    feature
        As the model knows it.
    path
        The raster.
    absolute
        Whether its absolute value is taken, after alignment.
    unit, sign
        As the raster says; None where it does not.
    legend
        Label of each number of a raster of classes.
    """

    feature: FeatureSchema
    path: Path
    absolute: bool = False
    unit: str | None = None
    sign: str | None = None
    legend: Mapping[int, str] = field(default_factory=dict)


def find_factors(
    schema: Sequence[FeatureSchema], folder: Path, *, insar: Path | None = None
) -> tuple[tuple[FactorRaster, ...], tuple[str, ...]]:
    """Find the raster of each feature.

    Parameters
    ----------
    schema
        Of the model.
    folder
        Has ``<feature>.tif``; for ``<name>_absolute`` also ``<name>.tif`` serves. Beside a raster of classes lies
        ``<feature>_legend.csv`` (``number,label``), unless the classes are numbers themselves.
    insar
        Result folder of `insar`, whose layers serve for features that come from one.

    Returns
    -------
    factors
        In the order of the schema.
    warnings
        What could not be made sure of.

    Raises
    ------
    MissingInputError
        A raster is not there; all that are missing are named.
    InputError
        A raster is in another unit, or has another sense of sign, than the model was trained on; or a raster of
        classes has no legend.
    """
    if not folder.is_dir():
        raise MissingInputError(
            folder, required="a folder with a raster for each feature", found="no such folder", remedy="Check the path"
        )
    result = None if insar is None else open_result(insar)
    found = {feature.name: _raster_of(feature, folder, result) for feature in schema}
    missing = [name for name, raster in found.items() if raster is None]
    if missing:
        raise MissingInputError(
            folder,
            required="a raster for each feature of the model: " + ", ".join(f"{name}.tif" for name in found),
            found="none for " + ", ".join(missing),
            remedy="Make them with `susceptibility factors`, copy them there under these names"
            + ("" if insar is not None else ", or give a result of insar by --insar")
            + "; or name a model without them by --model",
        )
    factors = tuple(raster for raster in found.values() if raster is not None)
    return factors, tuple(warning for raster in factors for warning in check_meaning(raster))


def check_meaning(raster: FactorRaster) -> list[str]:
    """Compare unit and sign of a raster with those that the model was trained on.

    Returns
    -------
    list of str
        What neither the model nor the raster says.

    Raises
    ------
    InputError
        They differ.
    """
    feature, warnings = raster.feature, []
    if raster.unit is None and feature.unit:
        warnings.append(
            f"{feature.name}: {raster.path.name} has no tag UNITS; taken to be in {feature.unit!r}, as in training"
        )
    if raster.unit is not None and feature.unit and raster.unit != feature.unit:
        raise InputError(
            raster.path,
            required=f"'{feature.name}' in {feature.unit!r}, the unit that the model was trained on",
            found=f"{raster.unit!r} in its tag UNITS",
            remedy="Convert the values, and write the unit into the tag",
        )
    if feature.sign is None or raster.absolute:
        return warnings
    if raster.sign is None:
        warnings.append(
            f"{feature.name}: {raster.path.name} has no tag SIGN; taken to be {feature.sign}, as in training"
        )
    elif raster.sign != feature.sign:
        raise InputError(
            raster.path,
            required=f"'{feature.name}' {feature.sign}, as the model was trained",
            found=f"one that is {raster.sign}",
            remedy="Turn the sign of the values, and write its sense into the tag SIGN",
        )
    return warnings


def map_grid(factors: Sequence[FactorRaster], like: Path | None = None) -> Grid:
    """Grid that the map is made on: that of a given raster, else of the slope, else of the first feature.

    Raises
    ------
    InputError
        It is not in metres, or not north up.
    """
    by_name = {raster.feature.name: raster.path for raster in factors}
    path = like or by_name.get("slope") or factors[0].path
    with open_raster(path) as source:
        grid = grid_of(source)
    require_north_up(grid, str(path))
    return grid


def align_factors(
    factors: Sequence[FactorRaster], grid: Grid, folder: Path, progress: Progress | None = None
) -> tuple[Dataset, dict[str, dict[str, int]]]:
    """Bring rasters onto one grid, each into a file, as `susceptibility.features` aligns those of a recipe.

    Parameters
    ----------
    factors
        From `find_factors`.
    grid
        From `map_grid`.
    folder
        Working folder, needed as long as the dataset is.
    progress
        Told of each feature.

    Returns
    -------
    data
        Each cell is a row. A class that the model does not know has the number after the last that it knows.
    unseen
        Cells of each of those, by feature and label.

    Raises
    ------
    InputError
        A raster does not reach the grid, has no data on it, or holds no classes where the model has classes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    unseen: dict[str, dict[str, int]] = {}
    planes: dict[str, NDArray[np.float32]] = {}
    for done, raster in enumerate(factors):
        name = raster.feature.name
        if progress is not None:
            progress("aligning factors", done, len(factors))
        plane = np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=np.float32, shape=grid.shape)
        known = _fill_classes(raster, grid, plane, unseen) if raster.feature.is_class else _fill(raster, grid, plane)
        if known == 0:
            raise InputError(
                raster.path,
                required=f"values of '{name}' on the grid of the map",
                found="no data in every cell",
                remedy="Check the area that the raster covers and its no-data value",
            )
        plane.flush()
        plane.flags.writeable = False
        planes[name] = plane.reshape(-1)
    return _dataset(tuple(raster.feature for raster in factors), planes, grid), unseen


def _fill(raster: FactorRaster, grid: Grid, plane: NDArray[np.float32]) -> int:
    known = 0
    with open_aligned(raster.path, grid) as aligned:
        for rows in row_slices(grid.rows, _ROWS_AT_ONCE):
            block = aligned.read(rows)
            block[~np.isfinite(block)] = np.nan
            plane[rows] = np.abs(block) if raster.absolute else block
            known += int(np.isfinite(block).sum())
    return known


def _fill_classes(
    raster: FactorRaster, grid: Grid, plane: NDArray[np.float32], unseen: dict[str, dict[str, int]]
) -> int:
    codes, strange = training_codes(read_categories(raster.path, grid, legend=raster.legend), raster.feature)
    if strange:
        unseen[raster.feature.name] = strange
    for rows in row_slices(grid.rows, _ROWS_AT_ONCE):
        plane[rows] = np.where(codes[rows] > 0, codes[rows], np.float32(np.nan))
    return int(np.count_nonzero(codes))


def _dataset(schema: tuple[FeatureSchema, ...], planes: Mapping[str, NDArray[np.float32]], grid: Grid) -> Dataset:
    units = cell_units(np.ones(grid.shape, np.bool_), grid)
    width, height = grid.resolution

    def numbers(rows: Rows) -> NDArray[np.int64]:
        if isinstance(rows, slice):
            return np.arange(*rows.indices(units.count), dtype=np.int64)
        return np.asarray(rows, np.int64)

    def places(rows: Rows) -> NDArray[np.float64]:
        row, col = np.divmod(numbers(rows), grid.cols)
        x, y = grid.map_coordinates(row + 0.5, col + 0.5)
        return np.stack([x, y], axis=1)

    def squares(rows: Rows) -> NDArray[np.object_]:
        import shapely

        x, y = places(rows).T
        found = shapely.box(x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0)
        return np.asarray(found, object)

    return Dataset(
        kind=units.kind.value,
        crs=str(grid.crs),
        count=units.count,
        schema=schema,
        columns={name: row_values(plane) for name, plane in planes.items()},
        sigma={},
        members={feature.name: (feature.name,) for feature in schema},
        targets=Targets(np.full(units.count, UNLABELLED, np.uint8)),
        area_m2=lambda rows: np.full(numbers(rows).size, width * height),
        number=numbers,
        places=places,
        units=units,
        geometry=squares,
        is_absolute=frozenset(feature.name for feature in schema if feature.name.endswith(ABSOLUTE)),
    )


def training_codes(categories: CategoryMap, feature: FeatureSchema) -> tuple[NDArray[np.uint16], dict[str, int]]:
    """Numbers that a model knows the classes of a map by.

    Parameters
    ----------
    categories
        With the labels of the map.
    feature
        With the labels of the model.

    Returns
    -------
    codes : (row, col)
        1 for the first label of the model, and so on; one more than there are for a class that it does not know; 0
        unknown.
    unseen
        Cells of each class that it does not know.
    """
    strange = len(feature.classes) + 1
    number = {label: position for position, label in enumerate(feature.classes, start=1)}
    of_code = np.array([0, *(number.get(label, strange) for label in categories.labels)], np.uint16)
    counts = np.bincount(categories.codes.ravel(), minlength=len(categories.labels) + 1)[1:]
    unseen = {
        label: int(count)
        for label, count in zip(categories.labels, counts, strict=True)
        if count and label not in number
    }
    return of_code[categories.codes], unseen


def _raster_of(feature: FeatureSchema, folder: Path, result: InsarResult | None) -> FactorRaster | None:
    base = feature.name.removesuffix(ABSOLUTE)
    if result is not None and feature.group == "insar":
        for name in dict.fromkeys((feature.name, base)):
            if name in result.names:
                layer = result.quantity(name)
                return FactorRaster(feature, layer.path, name != feature.name, layer.unit or None, layer.sign)
    for name in dict.fromkeys((feature.name, base)):
        path = folder / f"{name}.tif"
        if not path.is_file():
            continue
        with open_raster(path) as source:
            tags = source.tags()
        legend = _legend_of(feature, path) if feature.is_class else {}
        return FactorRaster(feature, path, name != feature.name, tags.get("UNITS"), tags.get("SIGN"), legend)
    return None


def _legend_of(feature: FeatureSchema, raster: Path) -> dict[int, str]:
    path = raster.with_name(f"{feature.name}{LEGEND}")
    if path.is_file():
        return _read_legend(path)
    if all(label.lstrip("-").isdigit() for label in feature.classes):
        return {}
    raise MissingInputError(
        path,
        required=f"a legend of {raster.name}, lines of 'number,label' with labels such as "
        + ", ".join(feature.classes[:4]),
        found="no such file",
        remedy="Write it: numbers that one raster gives to its classes are not those of another",
    )


def _read_legend(path: Path) -> dict[int, str]:
    try:
        with path.open(encoding="utf-8", newline="") as source:
            rows = [row for row in csv.reader(source) if row]
        body = rows[1:] if rows and not rows[0][0].strip().lstrip("-").isdigit() else rows
        legend = {int(number): label.strip() for number, label in body}
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(
            path, required="lines of 'number,label'", found=str(error), remedy="Correct the file"
        ) from error
    if not legend or len(legend) < len(body) or not all(legend.values()):
        raise InputError(
            path,
            required="one label for each number, each number once",
            found=f"{len(body)} lines, {len(legend)} numbers",
            remedy="Correct the file",
        )
    return legend
