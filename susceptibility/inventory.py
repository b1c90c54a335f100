"""Mapped landslides: from a file to cells of the study grid, with everything counted that was left out.

A point marks the cell it lies in. A polygon marks every cell whose centre it contains; a polygon too small to contain
any marks the cell at its representative point, so that no landslide vanishes. A raster of classes is read as polygons
along the edges of its pixels.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid, same_crs
from susceptibility.burning import burn_points, burn_polygons, point_cells
from susceptibility.coverage import dissolve
from susceptibility.errors import InputError, OptionError
from susceptibility.inventory_dates import day_spans, lie_within
from susceptibility.inventory_files import (
    RASTER_SUFFIXES,
    field_values,
    project_shapes,
    read_features,
    read_patches,
    repair_shapes,
    truth_values,
    with_short_edges,
)
from susceptibility.repeats import are_repeated, count_overlapping

logger = logging.getLogger(__name__)

UNLABELLED, LANDSLIDE, ABSENCE = 0, 1, 2

CENSUS_MEANINGS = {
    "features": "features in the file",
    "empty": "without a geometry, left out",
    "repaired": "with an invalid geometry, repaired",
    "outside": "outside the grid, left out",
    "partly_outside": "polygons reaching beyond the grid, cut",
    "shared_cells": "points beyond the first in a cell, or cells in several polygons",
    "below_cell": "polygons that contain no cell centre, one cell each",
    "contradictory_cells": "cells given as landslide and as free of it, taken as landslide",
    "landslide_cells": "landslide cells",
    "absence_cells": "cells known to be free of landslides",
    "on_missing_data": "labelled cells where some feature is unknown, left out",
    "out_of_period": "not of the period asked for, left out",
    "undated": "undated, or of a date too vague for the period asked for; left out where one was",
    "duplicates": "given more than once, counted once",
    "overlapping": "polygons that overlap another; ground counts once",
    "hidden": "where the radar does not see, left out",
    "partly_hidden": "polygons that the radar sees in part, cut",
}
"""What each count of an `InventoryCensus` means, for reports."""

_ALWAYS_TOLD = 11  # of these counts; the others only where they are not 0


class InventoryKind(StrEnum):
    """What the geometries are."""

    POINTS = "points"
    POLYGONS = "polygons"
    RASTER = "raster"
    """Polygons made of a raster of classes."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """Geometries of an inventory, in the CRS they were asked for in.

    Attributes
    ----------
    path
        The file.
    kind
        Points, polygons, or polygons along the pixels of a raster.
    geometries
        (feature,) shapely geometries, valid and not empty.
    is_landslide
        (feature,) False for a place that the inventory gives as free of landslides.
    crs
        Of `geometries`.
    features, empty, repaired
        Number of features in the file; of these left out for want of a geometry; and given a valid geometry in place
        of an invalid one.
    dates
        (feature, 2) datetime64[D] first and last day that the date of each may mean, NaT where it is unknown; None
        where the inventory was read without dates.
    mapped
        (polygon,) ground that the inventory speaks of, not overlapping each other; None where it does not say.
    out_of_period, undated
        Features left out because they are not, or perhaps not, of the period asked for; `undated` also counts those
        kept without a date where no period was asked for.
    hidden, partly_hidden
        Features left out, and cut, by `susceptibility.visibility.subtract_hidden`.
    """

    path: Path
    kind: InventoryKind
    geometries: NDArray[np.object_]
    is_landslide: NDArray[np.bool_]
    crs: str
    features: int
    empty: int
    repaired: int
    dates: NDArray[np.datetime64] | None = None
    mapped: NDArray[np.object_] | None = None
    out_of_period: int = 0
    undated: int = 0
    hidden: int = 0
    partly_hidden: int = 0

    @property
    def is_duplicate(self) -> NDArray[np.bool_]:
        """(feature,) True where the same geometry, to the millimetre, came before with the same meaning."""
        return are_repeated(self.geometries, self.is_landslide, self.crs)

    def select(self, chosen: NDArray[np.bool_]) -> Inventory:
        """Some of the features, by a (feature,) mask; the counts stay."""
        return replace(
            self,
            geometries=self.geometries[chosen],
            is_landslide=self.is_landslide[chosen],
            dates=None if self.dates is None else self.dates[chosen],
        )


@dataclass(frozen=True, slots=True)
class InventoryCensus:
    """What became of each feature of an inventory.

    `features` in the file = `empty` + `out_of_period` + `undated` (where a period was asked for) + `hidden` + `outside`
    + those on the grid; `partly_outside` polygons keep their part on the grid; `shared_cells` counts points beyond the
    first in a cell, or cells that several polygons cover; `below_cell` polygons contain no cell centre and mark one
    cell; `on_missing_data` counts labelled cells where a factor is unknown, set once the factors are joined;
    `contradictory_cells` are given as landslide and as free of it, and count as landslide. `CENSUS_MEANINGS` has the
    others.
    """

    features: int
    empty: int
    repaired: int
    outside: int
    partly_outside: int
    shared_cells: int
    below_cell: int
    contradictory_cells: int
    landslide_cells: int
    absence_cells: int
    on_missing_data: int = 0
    out_of_period: int = 0
    undated: int = 0
    duplicates: int = 0
    overlapping: int = 0
    hidden: int = 0
    partly_hidden: int = 0

    def as_dict(self) -> dict[str, int]:
        """Counts by name; those after `on_missing_data` only where they are not 0."""
        always = list(CENSUS_MEANINGS)[:_ALWAYS_TOLD]
        return {name: count for name, count in asdict(self).items() if count or name in always}


def read_inventory(
    path: Path,
    crs: str,
    *,
    layer: str | None = None,
    kind: InventoryKind | None = None,
    own_crs: str | None = None,
    presence_field: str | None = None,
    date_field: str | None = None,
    period: tuple[date | None, date | None] | None = None,
    landslide_classes: tuple[int, ...] | None = None,
    absence_classes: tuple[int, ...] = (),
    mapped_area: Path | None = None,
) -> Inventory:
    """Read landslides from any vector file, a CSV table with coordinates or a raster, and bring them to a CRS.

    Parameters
    ----------
    path
        Points or polygons. Columns ``x``/``y``, ``lon``/``lat``, ``longitude``/``latitude`` or ``easting``/``northing``
        serve in a CSV table. Or a raster of classes.
    crs
        CRS wanted.
    layer
        Of a file that has several.
    kind
        What the file must hold; None takes whichever it does.
    own_crs
        CRS of a file that does not say; never overrides one that does.
    presence_field
        Field that is true for landslides and false for places known to be free of them; None where all are landslides.
    date_field
        Field with the day, month or year of each landslide.
    period
        First and last day, None for no limit: landslides that are not of it, or of which that cannot be said, are left
        out. Places without landslides stay. Needs `date_field`.
    landslide_classes, absence_classes
        Of a raster; None for every class but 0 and `absence_classes`.
    mapped_area
        Polygons of the ground that was searched for landslides, with a CRS of their own: beyond them nothing is known.
        None where the inventory is complete wherever it is used. A raster says so itself, by where it has no data.

    Raises
    ------
    MissingInputError
        There is no such file.
    InputError
        It cannot be read, has no CRS, no landslides, or geometries of other or of mixed kinds.
    OptionError
        An option does not fit the file.
    """
    _check_options(path, kind, date_field, period, presence_field, layer, landslide_classes, absence_classes)
    if _is_raster(path, kind):
        inventory = _inventory_of_raster(path, crs, own_crs, landslide_classes, absence_classes)
    else:
        inventory = _inventory_of_vector(path, crs, layer, kind, own_crs, presence_field, date_field)
    if period is not None and inventory.dates is not None:
        inside, unclear = lie_within(inventory.dates, *period)
        unclear &= inventory.is_landslide
        outside = ~inside & ~unclear & inventory.is_landslide
        inventory = replace(
            inventory.select(~unclear & ~outside), undated=int(unclear.sum()), out_of_period=int(outside.sum())
        )
    elif inventory.dates is not None:
        inventory = replace(inventory, undated=int(np.isnat(inventory.dates[:, 0]).sum()))
    if not inventory.is_landslide.any():
        raise InputError(
            path,
            required="at least one landslide" + ("" if period is None else " of the period asked for"),
            found=f"{inventory.features} features, none of them a landslide with a geometry"
            + ("" if period is None else f"; {inventory.out_of_period} of other times, {inventory.undated} undated"),
            remedy="Check the file, the layer and the presence field" + ("" if period is None else ", and the period"),
        )
    return inventory if mapped_area is None else replace(inventory, mapped=_mapped_area(mapped_area, crs))


def _mapped_area(path: Path, crs: str) -> NDArray[np.object_]:
    import shapely

    table = read_features(path, None, None, ())
    shapes = table.geometries[~(shapely.is_missing(table.geometries) | shapely.is_empty(table.geometries))]
    _, shapes, _ = _one_kind(path, shapes, InventoryKind.POLYGONS)
    invalid = ~shapely.is_valid(shapes)
    if invalid.any():
        shapes, usable = repair_shapes(shapes, invalid)
        shapes = shapes[usable]
    return dissolve(shapes if same_crs(table.crs, crs) else project_shapes(shapes, table.crs, crs))


def _check_options(
    path: Path,
    kind: InventoryKind | None,
    date_field: str | None,
    period: tuple[date | None, date | None] | None,
    presence_field: str | None,
    layer: str | None,
    landslide_classes: tuple[int, ...] | None,
    absence_classes: tuple[int, ...],
) -> None:
    if period is not None and date_field is None:
        raise OptionError(
            "period of the inventory",
            required="[inventory] date_field, the field with the dates",
            found="none",
            remedy="Name the field, or leave the period out",
        )
    is_raster = _is_raster(path, kind)
    of_vectors = {"layer": layer, "presence_field": presence_field, "date_field": date_field}
    of_rasters = {"landslide_classes": landslide_classes, "absence_classes": absence_classes or None}
    for name, value in (of_vectors if is_raster else of_rasters).items():
        if value is not None:
            raise OptionError(
                f"[inventory] {name}",
                required="a raster inventory" if not is_raster else "a vector inventory",
                found=str(path),
                remedy="Leave the key out, or set kind",
            )


def _is_raster(path: Path, kind: InventoryKind | None) -> bool:
    return kind is InventoryKind.RASTER or (kind is None and path.suffix.lower() in RASTER_SUFFIXES)


def _inventory_of_raster(
    path: Path,
    crs: str,
    own_crs: str | None,
    landslide_classes: tuple[int, ...] | None,
    absence_classes: tuple[int, ...],
) -> Inventory:
    import shapely

    patches = read_patches(path, own_crs, landslide_classes, absence_classes)
    shapes, mapped = patches.geometries, patches.mapped
    if not same_crs(patches.crs, crs):
        shapes = project_shapes(with_short_edges(shapes), patches.crs, crs)
        mapped = None if mapped is None else project_shapes(with_short_edges(mapped), patches.crs, crs)
    # Corners at which two pixels of a patch meet are valid; rounding in a projection may make edges cross there.
    shapes, usable = repair_shapes(shapes, ~shapely.is_valid(shapes))
    return Inventory(
        path,
        InventoryKind.RASTER,
        shapes[usable],
        patches.is_landslide[usable],
        crs,
        len(shapes),
        empty=0,
        repaired=0,
        mapped=mapped,
    )


def _inventory_of_vector(
    path: Path,
    crs: str,
    layer: str | None,
    kind: InventoryKind | None,
    own_crs: str | None,
    presence_field: str | None,
    date_field: str | None,
) -> Inventory:
    import shapely

    wanted = [name for name in dict.fromkeys((presence_field, date_field)) if name is not None]
    table = read_features(path, layer, own_crs, wanted)
    features = len(table.geometries)
    is_landslide = truth_values(path, table, presence_field)
    dates = (
        None if date_field is None else day_spans(path, date_field, field_values(path, table, date_field, "date_field"))
    )

    has_shape = ~(shapely.is_missing(table.geometries) | shapely.is_empty(table.geometries))
    found_kind, shapes, owners = _one_kind(path, table.geometries[has_shape], kind)
    owners = np.flatnonzero(has_shape)[owners]
    invalid = ~shapely.is_valid(shapes)
    if invalid.any():
        shapes, usable = repair_shapes(shapes, invalid)
        shapes, owners = shapes[usable], owners[usable]
        logger.warning("%s: %d invalid geometries were repaired", path, int(invalid.sum()))
    if not same_crs(table.crs, crs):
        shapes = project_shapes(shapes, table.crs, crs)
    return Inventory(
        path,
        found_kind,
        shapes,
        is_landslide[owners],
        crs,
        features,
        int((~has_shape).sum()),
        int(invalid.sum()),
        dates=None if dates is None else dates[owners],
    )


def rasterize_inventory(inventory: Inventory, grid: Grid) -> tuple[NDArray[np.uint8], InventoryCensus]:
    """Mark the cells of a grid that an inventory speaks of.

    Returns
    -------
    labels : (row, col) uint8
        `LANDSLIDE` or `ABSENCE` where the inventory says so, else `UNLABELLED`; a landslide prevails.
    census
        What became of each feature.

    Raises
    ------
    InputError
        No landslide lies on the grid; the message has both extents.
    """
    import shapely

    extent = shapely.box(*grid.bounds)
    touches = shapely.intersects(inventory.geometries, extent)
    if inventory.kind is InventoryKind.POINTS:
        touches = point_cells(inventory.geometries, grid)[1]
    if not (touches & inventory.is_landslide).any():
        raise InputError(
            inventory.path,
            required=f"landslides inside the grid (west, south, east, north = {_spaced(grid.bounds)}, {grid.crs})",
            found=f"landslides in {_spaced(shapely.total_bounds(inventory.geometries[inventory.is_landslide]))}",
            remedy="Check that inventory and DEM are of the same area, and the CRS of both",
        )
    shapes = inventory.geometries[touches]
    is_landslide = inventory.is_landslide[touches]
    partly = int((~shapely.covers(extent, shapes)).sum()) if inventory.kind is not InventoryKind.POINTS else 0
    landslides, shared, below = _burn(shapes[is_landslide], inventory.kind, grid)
    absences, shared_absences, _ = _burn(shapes[~is_landslide], inventory.kind, grid)
    labels = np.full(grid.shape, UNLABELLED, np.uint8)
    labels[absences] = ABSENCE
    labels[landslides] = LANDSLIDE
    census = InventoryCensus(
        features=inventory.features,
        empty=inventory.empty,
        repaired=inventory.repaired,
        outside=int((~touches).sum()),
        partly_outside=partly,
        shared_cells=shared + shared_absences,
        below_cell=below,
        contradictory_cells=int((landslides & absences).sum()),
        landslide_cells=int(landslides.sum()),
        absence_cells=int((absences & ~landslides).sum()),
        out_of_period=inventory.out_of_period,
        undated=inventory.undated,
        duplicates=int(inventory.is_duplicate.sum()),
        overlapping=count_overlapping(shapes) if inventory.kind is InventoryKind.POLYGONS else 0,
        hidden=inventory.hidden,
        partly_hidden=inventory.partly_hidden,
    )
    return labels, census


def _burn(shapes: NDArray[np.object_], kind: InventoryKind, grid: Grid) -> tuple[NDArray[np.bool_], int, int]:
    """Cells marked by shapes, how many are shared (see `InventoryCensus`), how many polygons lie between centres."""
    if kind is InventoryKind.POINTS:
        return *burn_points(shapes, grid), 0
    return burn_polygons(shapes, grid)


def _one_kind(
    path: Path, shapes: NDArray[np.object_], wanted: InventoryKind | None
) -> tuple[InventoryKind, NDArray[np.object_], NDArray[np.intp]]:
    """Kind of the shapes, the shapes with multipoints taken apart, and the index of the shape that each was."""
    import shapely

    types = {shapely.GeometryType(code).name.removeprefix("MULTI") for code in shapely.get_type_id(shapes)}
    if types == {"POINT"}:
        kind = InventoryKind.POINTS
        shapes, owners = shapely.get_parts(shapes, return_index=True)
    elif types == {"POLYGON"}:
        kind = InventoryKind.POLYGONS
        owners = np.arange(len(shapes))
    else:
        raise InputError(
            path,
            required="points or polygons, of one kind",
            found=" and ".join(sorted(name.lower() for name in types)) or "no geometry at all",
            remedy="Export one layer of one kind",
        )
    if wanted is not None and wanted is not kind:
        raise InputError(path, required=f"{wanted}, as [inventory] kind says", found=kind, remedy="Correct the key")
    return kind, shapes, owners


def _spaced(values: Any) -> str:
    return " ".join(f"{value:.6g}" for value in values)
