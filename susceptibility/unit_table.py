"""From a recipe to the joined table: every factor and target of every mapping unit."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from susceptibility.density import TARGETS, density_of_units
from susceptibility.errors import InputError, OptionError
from susceptibility.features import Feature, FeatureStore, elevation_of, inventory_of, join_features, study_grid
from susceptibility.publishing import checksum
from susceptibility.recipe import dump_recipe
from susceptibility.storage import read_raster
from susceptibility.table import (
    Column,
    Table,
    UnitRows,
    build_table,
    cell_columns,
    cell_rows,
    feature_column,
)
from susceptibility.units import (
    SlopeUnitOptions,
    UnitKind,
    Units,
    Zones,
    aggregate_units,
    block_size,
    cell_units,
    read_polygons,
    read_units,
    slope_units,
    zonal_statistics,
)
from susceptibility.workers import Progress

if TYPE_CHECKING:
    from susceptibility.recipe import Recipe

logger = logging.getLogger(__name__)

_DIRECTIONS = {"aspect"}
_CLASSES = {"aspect_class", "catchment_cut"}


@dataclass(frozen=True, slots=True)
class JoinedUnits:
    """Mapping units with the table of all that is known of them."""

    units: Units
    table: Table


def write_unit_table(
    recipe: Recipe, output: Path, *, with_report: bool = True, progress: Progress | None = None
) -> list[Path]:
    """Write the joined table of a recipe, and beside it a folder with a report, ``NAME_report``.

    Parameters
    ----------
    recipe
        Read and checked.
    output
        File to write, ``.parquet`` or ``.csv``; an earlier one is replaced when the new one is whole.
    with_report
        Write the report, too.
    progress
        Told of each feature.

    Returns
    -------
    list of Path
        The table, and the page of the report.
    """
    from susceptibility.table_files import known_suffix, write_table
    from susceptibility.table_report import write_table_report

    known_suffix(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.stem}-", dir=output.parent) as work:
        joined = join_units(recipe, Path(work), progress)
        missing = write_table(joined.table, output)
        if not with_report:
            return [output]
        folder = output.with_name(f"{output.stem}_report")
        return [output, write_table_report(joined.table, missing, folder)]


def join_units(recipe: Recipe, work: Path, progress: Progress | None = None) -> JoinedUnits:
    """Join all that a recipe names, on its mapping units.

    Parameters
    ----------
    recipe
        Read and checked.
    work
        Working folder for aligned features, needed as long as the table is.
    progress
        Told of each feature.

    Returns
    -------
    JoinedUnits
        Columns: the unit, its place and area; targets ``landslide``, ``number_density`` and of polygons ``lad``;
        features. A feature of cells has its own name, one of larger units that of its statistic: ``slope_mean``.

    Raises
    ------
    SusceptibilityError
        The input or the options are wrong.
    """
    grid = study_grid(recipe)
    store = join_features(recipe, grid, work / "features", progress)
    elevation, _ = read_raster(elevation_of(work / "features"))
    units = make_units(recipe, elevation, grid)
    logger.info("%d units of kind %s", units.count, units.kind)
    targets = _target_columns(recipe, units)
    if units.kind is UnitKind.CELLS:
        cells = np.flatnonzero(units.labels.ravel())
        rows, columns = cell_rows(grid, cells), list(cell_columns(store, cells))
    else:
        rows, columns = _rows_of(units), [column for _, column in unit_columns(recipe, store, units)]
    return JoinedUnits(units, build_table(rows, [*targets, *columns], _provenance(recipe)))


def make_units(recipe: Recipe, elevation: NDArray[np.float32], grid: Grid) -> Units:
    """Mapping units that a recipe asks for.

    Parameters
    ----------
    recipe
        Read and checked.
    elevation
        (row, col) metres on the study grid.
    grid
        The study grid.
    """
    asked = recipe.units
    known = np.isfinite(elevation)
    if asked.kind == "cells":
        return cell_units(known, grid)
    if asked.kind == "aggregate":
        return aggregate_units(known, grid, block_size(asked.size_m, grid))
    if asked.path is None:
        options = SlopeUnitOptions(
            channel_area_m2=asked.channel_area_m2,
            least_area_m2=asked.least_area_m2,
            largest_variance=asked.largest_variance,
        )
        return slope_units(elevation, grid, options)
    if asked.kind == "polygons":
        units, census = read_polygons(asked.path, grid, layer=asked.layer, own_crs=asked.crs)
        logger.info("units: %s", ", ".join(f"{name} {count:g}" for name, count in census.as_dict().items()))
        return units
    units = read_units(asked.path)
    if not units.grid.same_as(grid):
        raise InputError(
            asked.path,
            required=f"units on the study grid, {grid.rows} rows x {grid.cols} columns in {grid.crs}",
            found=f"units on {units.grid.rows} rows x {units.grid.cols} columns in {units.grid.crs}",
            remedy="Make them of the recipe's terrain model, or take them as kind = 'polygons'",
        )
    return units


def _rows_of(units: Units) -> UnitRows:
    centroids = units.centroids_m
    shapes = units.polygons
    return UnitRows(
        units.kind.value,
        str(units.grid.crs),
        units.count,
        np.arange(1, units.count + 1, dtype=np.int64),
        centroids[:, 0],
        centroids[:, 1],
        units.area_m2,
        lambda rows: shapes[rows],
    )


def unit_columns(recipe: Recipe, store: FeatureStore, units: Units) -> Iterator[tuple[Feature, Column]]:
    """Give each feature with its statistics over the cells of each unit; one feature is in memory at a time."""
    zones = Zones.of_units(units)
    for feature in store.features:
        plane = store.planes[feature.name]
        statistics = _statistics_of(feature, recipe.units.statistics)
        if feature.group == "insar":
            for column in _motion_columns(recipe, feature, store, units):
                yield feature, column
            continue
        found = zonal_statistics(zones, plane, store.grid, statistics)
        for statistic in statistics:
            is_share = feature.group == "categories" and not feature.classes
            named = "share" if is_share else statistic
            yield feature, feature_column(feature, found[statistic].astype(np.float32), named)


def _statistics_of(feature: Feature, asked: Sequence[str]) -> tuple[str, ...]:
    if feature.name in _DIRECTIONS:
        return ("circular_mean",)
    if feature.name in _CLASSES or feature.classes:
        return ("dominant",)
    if feature.group == "categories":
        return ("mean",)  # of 0 and 1: the share of the known area
    return tuple(asked)


def _motion_columns(recipe: Recipe, feature: Feature, store: FeatureStore, units: Units) -> Iterator[Column]:
    from susceptibility.insar_layers import open_result, values_on_grid
    from susceptibility.motion import MotionOptions, motion_of_units

    source = recipe.factors.insar
    if source is None:
        raise OptionError("[factors.insar]", required="a result of insar", found="none", remedy="Add it")
    layer = open_result(source.path).layer(feature.path.stem)
    found = values_on_grid(layer, store.grid, absolute=feature.absolute)
    asked = MotionOptions(**recipe.units.motion.model_dump())
    motion = motion_of_units(found.values, units, sigma=found.sigma, options=asked)
    for statistic, column in motion.by_statistic().items():
        if np.isfinite(column).any():
            yield feature_column(feature, column.astype(np.float32), statistic)


def _target_columns(recipe: Recipe, units: Units) -> list[Column]:
    inventory = inventory_of(recipe, units.grid)
    density = density_of_units(inventory, units)
    return [
        Column(name, TARGETS[name].unit, TARGETS[name].description, values, "target", "float64")
        for name, values in density.targets().items()
    ]


def _provenance(recipe: Recipe) -> dict[str, Any]:
    files = {key: path for key, path in recipe.files().items() if path.is_file()}
    return {
        "recipe": dump_recipe(recipe),
        "inputs": {key: {"name": path.name, "sha256": checksum(path)} for key, path in files.items()},
    }
