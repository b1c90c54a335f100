"""The join: terrain factors, other rasters and layers of an `insar` result as features on one metric grid.

Each feature is aligned on the grid once, into a file of the working folder, and read from there by rows or by cells, so
that memory does not grow with the number of features. Unknown is NaN, from the source to the map.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from insar.layers import LayerDefinition, row_slices, write_layer
from susceptibility.categories import UNKNOWN, CategoryMap, ClassShares, read_categories
from susceptibility.errors import InputError, OptionError
from susceptibility.factors import FACTORS
from susceptibility.factors.relief import ASPECT_CLASSES
from susceptibility.insar_layers import open_result
from susceptibility.inventory import Inventory, read_inventory
from susceptibility.schema import FeatureSchema
from susceptibility.storage import Resampling, metric_grid_of, open_aligned
from susceptibility.visibility import hidden_cells, subtract_hidden
from susceptibility.workers import Progress

if TYPE_CHECKING:
    from susceptibility.recipe import CategorySource, Recipe

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of the table.

    Attributes
    ----------
    name, unit, description, sign
        As written into reports; `sign` says what positive means where it matters.
    group
        Where it comes from, one of `susceptibility.recipe.GROUPS`.
    path, band
        Raster it is read from.
    resampling
        How; None as suits a continuous quantity.
    absolute
        Whether its absolute value is taken, after alignment.
    classes
        Labels of a categorical feature, see `susceptibility.schema.FeatureSchema`; empty for a quantity.
    crs
        Of a raster that names none.
    """

    name: str
    unit: str
    description: str
    group: str
    path: Path
    band: int = 1
    resampling: Resampling | None = None
    absolute: bool = False
    sign: str | None = None
    classes: tuple[str, ...] = ()
    crs: str | None = None

    @property
    def schema(self) -> FeatureSchema:
        """What it is to a model."""
        return FeatureSchema(self.name, self.unit, self.group, self.description, self.sign, self.classes)


@dataclass(frozen=True, slots=True)
class FeatureStore:
    """Features aligned on one grid.

    Attributes
    ----------
    grid
        Projected, in metres.
    features
        In the order of columns.
    planes
        (row, col) float32 of each feature by its name, in a file; NaN where it is unknown.
    columns
        Names of the features that each factor of classes has become.
    """

    grid: Grid
    features: tuple[Feature, ...]
    planes: dict[str, NDArray[np.float32]]
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features."""
        return tuple(feature.name for feature in self.features)

    def read_rows(self, rows: slice, names: Sequence[str]) -> NDArray[np.float32]:
        """Values of full rows: (row, col, feature)."""
        block = np.empty((rows.stop - rows.start, self.grid.cols, len(names)), np.float32)
        for column, name in enumerate(names):
            block[:, :, column] = self.planes[name][rows]
        return block

    def read_cells(self, cells: NDArray[np.intp], names: Sequence[str]) -> NDArray[np.float32]:
        """Values of some cells, by flat index: (cell, feature)."""
        rows, cols = np.divmod(cells, self.grid.cols)
        return np.stack([self.planes[name][rows, cols] for name in names], axis=1)

    def known(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """(row, col) True where every one of the features is known."""
        complete = np.ones(self.grid.shape, np.bool_)
        for rows in row_slices(self.grid.rows, ROWS_AT_ONCE):
            for name in names:
                complete[rows] &= np.isfinite(self.planes[name][rows])
        return complete

    def coordinates_m(self, cells: NDArray[np.intp]) -> NDArray[np.float64]:
        """Easting and northing of the centres of cells, by flat index: (cell, 2) metres."""
        rows, cols = np.divmod(cells, self.grid.cols)
        transform = self.grid.transform
        x = transform.c + transform.a * (cols + 0.5) + transform.b * (rows + 0.5)
        y = transform.f + transform.d * (cols + 0.5) + transform.e * (rows + 0.5)
        return np.stack([x, y], axis=1)


def study_grid(recipe: Recipe) -> Grid:
    """Grid a study works on: the DEM's where that is in metres, else the DEM's area in the UTM zone of its centre.

    ``[study] crs`` and ``resolution`` prevail.
    """
    return metric_grid_of(recipe.factors.terrain_model, recipe.study.crs or "auto", recipe.study.resolution)


def inventory_of(recipe: Recipe, grid: Grid) -> Inventory:
    """The inventory of a recipe, in the coordinate reference system of the study grid, without what is hidden."""
    source = recipe.inventory
    inventory = read_inventory(
        source.file,
        str(grid.crs),
        layer=source.layer,
        kind=source.kind,
        own_crs=source.crs,
        presence_field=source.presence_field,
        date_field=source.date_field,
        period=source.period,
        landslide_classes=source.landslide_classes,
        absence_classes=source.absence_classes,
        mapped_area=source.mapped_area,
    )
    if source.hidden is None:
        return inventory
    return subtract_hidden(inventory, hidden_cells(source.hidden, grid), grid)


def join_features(
    recipe: Recipe, grid: Grid, folder: Path, progress: Progress | None = None, *, one_hot: bool = True
) -> FeatureStore:
    """Align everything a recipe names on one grid.

    Parameters
    ----------
    recipe
        Read and checked.
    grid
        From `study_grid`.
    folder
        Working folder for aligned features; made if it is not there, and needed as long as the store is.
    progress
        Told of each feature.
    one_hot
        Whether a factor of classes becomes one feature for each of its classes, or a single one of class numbers that
        a model encodes for itself.

    Raises
    ------
    MissingInputError
        A raster, a layer or the whole InSAR result is not there.
    InputError
        A raster cannot be aligned, or a feature has no data on the grid.
    OptionError
        A layer is no quantity.
    """
    folder.mkdir(parents=True, exist_ok=True)
    categories = _category_features(recipe, grid, folder) if one_hot else _class_features(recipe, grid, folder)
    features = (
        *_terrain_features(recipe, folder),
        *_distance_features(recipe, grid, folder),
        *_raster_features(recipe),
        *_shaking_features(recipe, folder),
        *(feature for members in categories.values() for feature in members),
        *_ground_failure_features(recipe, folder),
        *_insar_features(recipe),
    )
    planes: dict[str, NDArray[np.float32]] = {}
    for number, feature in enumerate(features):
        if progress is not None:
            progress("aligning features", number, len(features))
        planes[feature.name] = _align(feature, grid, folder / f"{feature.name}.npy")
    if progress is not None:
        progress("aligning features", len(features), len(features))
    columns = {factor: tuple(member.name for member in members) for factor, members in categories.items()}
    return FeatureStore(grid, features, planes, columns)


def elevation_of(folder: Path) -> Path:
    """Elevations on the study grid, which `join_features` leaves in its folder."""
    return folder / "terrain" / "elevation.tif"


def _terrain_features(recipe: Recipe, folder: Path) -> list[Feature]:
    from susceptibility.factors.drainage import DrainageOptions
    from susceptibility.factors.rasters import write_factors
    from susceptibility.factors.relief import Windows

    source = recipe.factors
    names = source.terrain
    paths = write_factors(
        source.terrain_model,
        elevation_of(folder).parent,
        sorted({*names, "elevation"}),
        crs=recipe.study.crs or "auto",
        resolution_m=recipe.study.resolution,
        windows=Windows(**source.windows.model_dump()),
        drainage=DrainageOptions(**source.drainage.model_dump()),
    )
    return [
        Feature(
            name,
            FACTORS[name].unit,
            FACTORS[name].description,
            "terrain",
            paths[name],
            sign=FACTORS[name].sign,
            classes=tuple(ASPECT_CLASSES.values()) if name == "aspect_class" else (),
        )
        for name in names
    ]


def _distance_features(recipe: Recipe, grid: Grid, folder: Path) -> list[Feature]:
    from susceptibility.distances import distance_to
    from susceptibility.recipe import distance_name

    features = []
    for source, vectors in recipe.factors.distances.items():
        name = distance_name(source)
        path = folder / "distances" / f"{name}.tif"
        path.parent.mkdir(exist_ok=True)
        definition = LayerDefinition(name, "m", f"Distance to the nearest feature of {vectors.path.name}")
        distance = distance_to(vectors.path, grid, layer=vectors.layer, own_crs=vectors.crs)
        write_layer(path, distance, grid, definition)
        features.append(Feature(name, definition.unit, definition.description, "distances", path))
    return features


def _shaking_features(recipe: Recipe, folder: Path) -> list[Feature]:
    source = recipe.factors.shaking
    if source is None:
        return []
    from susceptibility.shakemap import write_shakemap

    paths = write_shakemap(source.path, folder / "shaking", source.fields)
    features = []
    for name, path in paths.items():
        tags = _tags(path)
        features.append(Feature(name, tags["UNITS"], tags["DESCRIPTION"], "shaking", path))
    return features


def _ground_failure_features(recipe: Recipe, folder: Path) -> list[Feature]:
    source = recipe.factors.ground_failure
    if source is None:
        return []
    from susceptibility.usgs import DEFINITIONS, usgs_landslide_map, write_usgs_map

    path = write_usgs_map(usgs_landslide_map(source.path, crs=source.crs), folder / "ground_failure")
    definition = DEFINITIONS["usgs_probability"]
    name = definition.name
    return [Feature(name, definition.unit, definition.description, "ground_failure", path[name])]


def _class_features(recipe: Recipe, grid: Grid, folder: Path) -> dict[str, list[Feature]]:
    """One feature for each factor of classes, of their numbers from 1; NaN where the class is unknown."""
    features: dict[str, list[Feature]] = {}
    for name, source in recipe.factors.categories.items():
        categories = _categories_of(source, grid)
        (folder / "categories").mkdir(exist_ok=True)
        path = folder / "categories" / f"{name}.tif"
        definition = LayerDefinition(name, "class", f"Class of {name} ({source.path.name})")

        def codes(rows: slice, codes: NDArray[np.uint16] = categories.codes) -> NDArray[np.float32]:
            return np.where(codes[rows] == UNKNOWN, np.nan, codes[rows]).astype(np.float32)

        write_layer(path, codes, grid, definition)
        features[name] = [
            Feature(
                name, "class", definition.description, "categories", path,
                resampling="nearest", classes=categories.labels,
            )
        ]  # fmt: skip
    return features


def _categories_of(source: CategorySource, grid: Grid) -> CategoryMap:
    return read_categories(
        source.path,
        grid,
        field=source.field,
        layer=source.layer,
        band=source.band,
        legend=source.labels,
        own_crs=source.crs,
    )


def _category_features(recipe: Recipe, grid: Grid, folder: Path) -> dict[str, list[Feature]]:
    """One feature for each class of each factor: 1 where a cell is of it, else 0, NaN where its class is unknown."""
    from susceptibility.encoding import CategoryEncoder

    features: dict[str, list[Feature]] = {}
    for name, source in recipe.factors.categories.items():
        categories = _categories_of(source, grid)
        encoder = CategoryEncoder(name, source.min_share, source.unseen)
        cells = np.bincount(categories.codes.ravel(), minlength=len(categories.labels) + 1)[1:]
        encoder.fit_shares(ClassShares(categories.labels, cells[None, :] / max(int(cells.sum()), 1)))
        (folder / "categories").mkdir(exist_ok=True)
        features[name] = []
        for column, plane in encoder.planes(categories):
            path = folder / "categories" / f"{column}.tif"
            description = f"1 where {name} is {column.removeprefix(f'{name}_')}, else 0 ({source.path.name})"
            write_layer(path, plane, grid, LayerDefinition(column, "1", description))
            features[name].append(Feature(column, "1", description, "categories", path, resampling="nearest"))
    return features


def _raster_features(recipe: Recipe) -> list[Feature]:
    features = []
    for name, raster in recipe.factors.rasters.items():
        tags = _tags(raster.path)
        unit = tags.get("UNITS", "")
        if raster.unit is not None and unit and unit != raster.unit:
            raise OptionError(
                f"[factors.rasters] {name}",
                required=f"the unit that {raster.path} is tagged with, {unit!r}, or none",
                found=repr(raster.unit),
                remedy="Correct or remove the key 'unit'",
            )
        description = tags.get("DESCRIPTION", raster.path.name)
        features.append(
            Feature(
                name, raster.unit or unit, description, "rasters", raster.path, raster.band, raster.resampling,
                sign=tags.get("SIGN"), crs=raster.crs,
            )
        )  # fmt: skip
    return features


def _insar_features(recipe: Recipe) -> list[Feature]:
    source = recipe.factors.insar
    if source is None:
        return []
    from susceptibility.recipe import absolute_name

    result = open_result(source.path)
    features = []
    for name, absolute in [(name, False) for name in source.layers] + [(name, True) for name in source.absolute]:
        layer = result.quantity(name)
        features.append(
            Feature(
                absolute_name(name) if absolute else name,
                layer.unit,
                f"Absolute value of: {layer.description}" if absolute else layer.description,
                "insar",
                layer.path,
                absolute=absolute,
                sign=None if absolute else layer.sign,
            )
        )
    return features


def _tags(path: Path) -> dict[str, str]:
    from susceptibility.storage import open_raster

    with open_raster(path) as source:
        return dict(source.tags())


def _align(feature: Feature, grid: Grid, path: Path) -> NDArray[np.float32]:
    plane = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=grid.shape)
    known = 0
    with open_aligned(
        feature.path, grid, resampling=feature.resampling, band=feature.band, own_crs=feature.crs
    ) as aligned:
        for rows in row_slices(grid.rows, ROWS_AT_ONCE):
            block = aligned.read(rows)
            block[~np.isfinite(block)] = np.nan
            plane[rows] = np.abs(block) if feature.absolute else block
            known += int(np.isfinite(block).sum())
    plane.flush()
    if known == 0:
        raise InputError(
            feature.path,
            required=f"values of '{feature.name}' on the study grid",
            found="no data in every cell",
            remedy="Check the area that the raster covers and its no-data value",
        )
    logger.info("%s: known in %.1f %% of cells", feature.name, 100.0 * known / (grid.rows * grid.cols))
    plane.flags.writeable = False
    return plane
