"""From a recipe to a `Dataset`: factors, InSAR layers and landslides on the mapping units that it asks for."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from susceptibility.burning import point_cells
from susceptibility.coverage import mapped_cells
from susceptibility.dataset import OBSERVATION_STATISTICS, Dataset, RowValues, Targets, row_values
from susceptibility.density import density_of_units
from susceptibility.features import Feature, FeatureStore, elevation_of, inventory_of, join_features, study_grid
from susceptibility.inventory import ABSENCE, LANDSLIDE, UNLABELLED, Inventory, InventoryCensus, rasterize_inventory
from susceptibility.schema import FeatureSchema
from susceptibility.storage import read_raster
from susceptibility.table import Column
from susceptibility.unit_table import make_units, unit_columns
from susceptibility.units import UnitKind, Units
from susceptibility.workers import Progress

if TYPE_CHECKING:
    from susceptibility.recipe import Recipe

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Joined:
    """A dataset with what became of the inventory.

    Attributes
    ----------
    data
        Features and targets.
    census
        Of the inventory; None for a table that was given.
    observed : (row,) bool
        Whether the inventory speaks of the unit at all.
    elevation
        Raster of elevations on the study grid, for pictures; None for a table that was given.
    """

    data: Dataset
    census: InventoryCensus | None
    observed: NDArray[np.bool_]
    elevation: Path | None


def join_dataset(
    recipe: Recipe, work: Path, progress: Progress | None = None, *, with_inventory: bool = True
) -> Joined:
    """Join all that a recipe names on its mapping units.

    Parameters
    ----------
    recipe
        Read and checked.
    work
        Working folder for aligned features, needed as long as the dataset is.
    progress
        Told of each feature.
    with_inventory
        Whether landslides are needed: an area that nobody has mapped has none.

    Raises
    ------
    SusceptibilityError
        The input or the options are wrong.
    """
    if recipe.table is not None:
        from susceptibility.given_table import read_given_table

        data = read_given_table(recipe.table)
        observed = np.ones(data.count, np.bool_)
        if recipe.study.target == "presence":
            # A row that says neither that there is a landslide nor that there is none is no row without.
            observed = data.targets.labels != UNLABELLED
        return Joined(data, None, observed, None)
    grid = study_grid(recipe)
    logger.info("study grid: %d x %d cells of %g x %g m, %s", *grid.shape, *grid.resolution, grid.crs)
    inventory = inventory_of(recipe, grid) if with_inventory else None
    cell_labels, census = np.full(grid.shape, UNLABELLED, np.uint8), None
    if inventory is not None:
        cell_labels, census = rasterize_inventory(inventory, grid)
    store = join_features(recipe, grid, work / "features", progress, one_hot=False)
    elevation = elevation_of(work / "features")
    heights, _ = read_raster(elevation)
    units = make_units(recipe, heights, grid)
    logger.info("%d units of kind %s", units.count, units.kind)
    if units.kind is UnitKind.CELLS:
        data, observed = _cells(recipe, store, units, inventory, cell_labels, work)
    else:
        data, observed = _larger_units(recipe, store, units, inventory)
    return Joined(data, census, observed, elevation)


def _cells(
    recipe: Recipe,
    store: FeatureStore,
    units: Units,
    inventory: Inventory | None,
    cell_labels: NDArray[np.uint8],
    work: Path,
) -> tuple[Dataset, NDArray[np.bool_]]:
    grid = store.grid
    cells = np.flatnonzero(units.labels.ravel())
    width, height = grid.resolution

    def reader(plane: NDArray[np.float32]) -> RowValues:
        flat = plane.reshape(-1)
        return lambda rows: flat[cells[rows]]

    observed = np.ones(units.count, np.bool_)
    if inventory is not None and inventory.mapped is not None:
        # Beyond it nobody looked: a cell there is not one without landslides.
        observed = mapped_cells(inventory.mapped, grid).ravel()[cells]
    density = None
    if inventory is not None and recipe.study.target != "presence":
        found = density_of_units(inventory, units)
        density = (found.areal_density, found.number_density_per_km2)
    data = Dataset(
        kind=units.kind.value,
        crs=str(grid.crs),
        count=units.count,
        schema=tuple(feature.schema for feature in store.features),
        columns={name: reader(store.planes[name]) for name in store.names},
        sigma={name: reader(plane) for name, plane in _sigma_planes(recipe, store, work / "features").items()},
        members={name: store.columns.get(name, (name,)) for group in recipe.factors.names.values() for name in group},
        targets=Targets(cell_labels.ravel()[cells], *(density or ())),
        area_m2=lambda rows: np.full(cells[rows].size, width * height),
        number=lambda rows: cells[rows],
        places=lambda rows: store.coordinates_m(cells[rows]),
        units=units,
        geometry=lambda rows: _squares(store, cells[rows]),
        is_absolute=frozenset(feature.name for feature in store.features if feature.absolute),
    )
    return data, observed


def _squares(store: FeatureStore, cells: NDArray[np.intp]) -> NDArray[np.object_]:
    import shapely

    width, height = store.grid.resolution
    x, y = store.coordinates_m(cells).T
    found = shapely.box(x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0)
    return np.asarray(found, object)


def _sigma_planes(recipe: Recipe, store: FeatureStore, folder: Path) -> dict[str, NDArray[np.float32]]:
    """Standard deviations (row, col) of the features of InSAR layers that have one."""
    from susceptibility.insar_layers import open_result, values_on_grid

    source = recipe.factors.insar
    if source is None:
        return {}
    result = open_result(source.path)
    planes = {}
    for feature in store.features:
        if feature.group != "insar":
            continue
        found = values_on_grid(result.layer(feature.path.stem), store.grid, absolute=feature.absolute)
        if found.sigma is not None:
            np.save(folder / f"{feature.name}_sigma.npy", found.sigma)
            planes[feature.name] = np.load(folder / f"{feature.name}_sigma.npy", mmap_mode="r")
    return planes


def _larger_units(
    recipe: Recipe, store: FeatureStore, units: Units, inventory: Inventory | None
) -> tuple[Dataset, NDArray[np.bool_]]:
    columns: dict[str, NDArray[np.float32]] = {}
    sigma: dict[str, NDArray[np.float32]] = {}
    schema: list[FeatureSchema] = []
    members: dict[str, list[str]] = {}
    absolute = set()
    for feature, column in unit_columns(recipe, store, units):
        values = np.asarray(column.read(slice(0, units.count)), np.float32)
        if column.statistic == "sigma":
            sigma[f"{feature.name}_mean"] = values
        if column.statistic in OBSERVATION_STATISTICS:
            continue
        columns[column.name] = values
        schema.append(_schema_of(feature, column))
        members.setdefault(_factor_of(feature, store), []).append(column.name)
        if feature.absolute:
            absolute.add(column.name)
    if inventory is None:
        observed = np.ones(units.count, np.bool_)
        targets = Targets(np.full(units.count, UNLABELLED, np.uint8))
    else:
        density = density_of_units(inventory, units)
        observed = np.isfinite(density.number_density_per_km2)
        targets = Targets(
            _labels(density.is_touched, inventory, units),
            None if np.isnan(density.landslide_area_m2).all() else density.areal_density,
            density.number_density_per_km2,
        )
    centroids, area = units.centroids_m, units.area_m2
    shapes = units.polygons
    data = Dataset(
        kind=units.kind.value,
        crs=str(units.grid.crs),
        count=units.count,
        schema=tuple(schema),
        columns={name: row_values(values) for name, values in columns.items()},
        sigma={name: row_values(values) for name, values in sigma.items() if np.isfinite(values).any()},
        members={factor: tuple(names) for factor, names in members.items()},
        targets=targets,
        area_m2=row_values(area),
        number=row_values(np.arange(1, units.count + 1, dtype=np.int64)),
        places=centroids.__getitem__,
        units=units,
        geometry=shapes.__getitem__,
        is_absolute=frozenset(absolute),
    )
    return data, observed


def _schema_of(feature: Feature, column: Column) -> FeatureSchema:
    classes = feature.classes if column.statistic == "dominant" else ()
    return FeatureSchema(column.name, column.unit, feature.group, column.description, column.sign, classes)


def _factor_of(feature: Feature, store: FeatureStore) -> str:
    for factor, names in store.columns.items():
        if feature.name in names:
            return factor
    return feature.name


def _labels(is_touched: NDArray[np.bool_], inventory: Inventory, units: Units) -> NDArray[np.uint8]:
    """Whether each unit has landslides, is known to have none, or nothing is said of it."""
    labels = np.full(units.count, UNLABELLED, np.uint8)
    free = inventory.geometries[~inventory.is_landslide]
    if free.size:
        import shapely

        cells, inside = point_cells(shapely.point_on_surface(free), units.grid)
        numbers = units.labels.ravel()[cells[inside]]
        labels[numbers[numbers > 0] - 1] = ABSENCE
    labels[is_touched] = LANDSLIDE
    return labels
