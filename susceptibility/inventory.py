"""Mapped landslides: from a vector file to cells of the study grid, with everything counted that was left out.

A point marks the cell it lies in. A polygon marks every cell whose centre it contains; a polygon too small to contain
any marks the cell at its representative point, so that no landslide vanishes.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.grid import Grid, same_crs
from susceptibility.errors import InputError, MissingInputError, OptionError

if TYPE_CHECKING:
    import pyproj

logger = logging.getLogger(__name__)

UNLABELLED, LANDSLIDE, ABSENCE = 0, 1, 2

_TRUE = {"true", "t", "yes", "y", "1", "1.0"}
_FALSE = {"false", "f", "no", "n", "0", "0.0"}


class InventoryKind(StrEnum):
    """What the geometries are."""

    POINTS = "points"
    POLYGONS = "polygons"


@dataclass(frozen=True, slots=True)
class Inventory:
    """Geometries of an inventory, in the CRS they were asked for in.

    Attributes
    ----------
    path
        The file.
    kind
        Points or polygons.
    geometries
        (feature,) shapely geometries, valid and not empty.
    is_landslide
        (feature,) False for a place that the inventory gives as free of landslides.
    crs
        Of `geometries`.
    features, empty, repaired
        Number of features in the file; of these left out for want of a geometry; and given a valid geometry in place
        of an invalid one.
    """

    path: Path
    kind: InventoryKind
    geometries: NDArray[np.object_]
    is_landslide: NDArray[np.bool_]
    crs: str
    features: int
    empty: int
    repaired: int


@dataclass(frozen=True, slots=True)
class InventoryCensus:
    """What became of each feature of an inventory.

    `features` in the file = `empty` + `outside` + those on the grid; `partly_outside` polygons keep their part on the
    grid; `shared_cells` counts points beyond the first in a cell, or cells that several polygons cover; `below_cell`
    polygons contain no cell centre and mark one cell; `on_missing_data` counts labelled cells where a factor is
    unknown, set once the factors are joined; `contradictory_cells` are given as landslide and as free of it, and
    count as landslide.
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

    def as_dict(self) -> dict[str, int]:
        """Counts by name."""
        return asdict(self)


def read_inventory(
    path: Path,
    crs: str,
    *,
    layer: str | None = None,
    kind: InventoryKind | None = None,
    own_crs: str | None = None,
    presence_field: str | None = None,
) -> Inventory:
    """Read landslides from any vector file, or a CSV table with coordinates, and bring them to a CRS.

    Parameters
    ----------
    path
        Points or polygons. Columns ``x``/``y``, ``lon``/``lat``, ``longitude``/``latitude`` or ``easting``/``northing``
        serve in a CSV table.
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

    Raises
    ------
    MissingInputError
        There is no such file.
    InputError
        It cannot be read, has no CRS, no landslides, or geometries of other or of mixed kinds.
    OptionError
        `layer`, `own_crs` or `presence_field` does not fit the file.
    """
    import pyproj
    import shapely

    meta, geometries, fields = _read_vector(path, layer, presence_field)
    file_crs = _crs_of(path, meta["crs"], own_crs)
    features = len(geometries)
    is_landslide = _presence(path, fields, presence_field, features)

    shapes = shapely.force_2d(shapely.from_wkb(geometries))
    has_shape = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    shapes, is_landslide = shapes[has_shape], is_landslide[has_shape]
    found_kind, shapes, is_landslide = _one_kind(path, shapes, is_landslide, kind)
    invalid = ~shapely.is_valid(shapes)
    if invalid.any():
        shapes, is_landslide = _repaired(shapes, is_landslide, invalid)
        logger.warning("%s: %d invalid geometries were repaired", path, int(invalid.sum()))
    if not same_crs(file_crs, crs):
        to_grid = pyproj.Transformer.from_crs(file_crs, crs, always_xy=True)
        shapes = shapely.transform(shapes, lambda xy: np.column_stack(to_grid.transform(xy[:, 0], xy[:, 1])))
    if not is_landslide.any():
        raise InputError(
            path,
            required="at least one landslide",
            found=f"{features} features, none of them a landslide with a geometry",
            remedy="Check the file, the layer and the presence field",
        )
    return Inventory(path, found_kind, shapes, is_landslide, crs, features, int((~has_shape).sum()), int(invalid.sum()))


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
        touches = _point_cells(inventory.geometries, grid)[1]
    if not (touches & inventory.is_landslide).any():
        raise InputError(
            inventory.path,
            required=f"landslides inside the grid (west, south, east, north = {_spaced(grid.bounds)}, {grid.crs})",
            found=f"landslides in {_spaced(shapely.total_bounds(inventory.geometries[inventory.is_landslide]))}",
            remedy="Check that inventory and DEM are of the same area, and the CRS of both",
        )
    shapes = inventory.geometries[touches]
    is_landslide = inventory.is_landslide[touches]
    partly = int((~shapely.covers(extent, shapes)).sum()) if inventory.kind is InventoryKind.POLYGONS else 0
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
    )
    return labels, census


def _read_vector(
    path: Path, layer: str | None, presence_field: str | None
) -> tuple[dict[str, Any], NDArray[np.object_], dict[str, NDArray[Any]]]:
    import pyogrio
    import pyogrio.errors
    import pyogrio.raw

    if not path.exists():
        raise MissingInputError(path, required="a landslide inventory", found="no such file", remedy="Check the path")
    options: dict[str, Any] = {}
    if path.suffix.lower() == ".csv":
        options = {
            "X_POSSIBLE_NAMES": "x,lon,longitude,easting",
            "Y_POSSIBLE_NAMES": "y,lat,latitude,northing",
            "KEEP_GEOM_COLUMNS": "YES",
        }
    try:
        layers = [str(name) for name in pyogrio.list_layers(path)[:, 0]]
        if layer is not None and layer not in layers:
            raise OptionError(
                f"inventory layer {layer!r}",
                required=f"a layer of {path}: {', '.join(layers)}",
                found="no such layer",
                remedy="Correct [inventory] layer, or leave it out",
            )
        if layer is None and len(layers) > 1:
            raise OptionError(
                path,
                required=f"[inventory] layer, one of {', '.join(layers)}",
                found="a file with several layers",
                remedy="Name the layer with the landslides",
            )
        columns = [] if presence_field is None else [presence_field]
        meta, _, geometries, values = pyogrio.raw.read(path, layer=layer or layers[0], columns=columns, **options)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, IndexError) as error:
        raise InputError(
            path,
            required="a vector file GDAL can read",
            found=str(error),
            remedy="Give a GeoPackage, Shapefile, GeoJSON or CSV with coordinates, whole and not empty",
        ) from error
    if geometries is None:
        raise InputError(
            path,
            required="geometries, or in a CSV table columns x and y, or lon and lat",
            found="a table without coordinates",
            remedy="Name the coordinate columns so",
        )
    return meta, geometries, dict(zip(meta["fields"], values, strict=True))


def _crs_of(path: Path, found: str | None, stated: str | None) -> str:
    import pyproj
    from pyproj.exceptions import CRSError

    if found is not None and _is_undefined(pyproj.CRS.from_user_input(found)):
        found = None
    if found is None and stated is None:
        raise InputError(
            path,
            required="a coordinate reference system",
            found="none in the file",
            remedy="Assign it in a GIS, or state it as [inventory] crs, such as 'EPSG:32617'",
        )
    if stated is not None:
        try:
            pyproj.CRS.from_user_input(stated)
        except CRSError as error:
            raise OptionError(
                "[inventory] crs", required="a CRS such as 'EPSG:32617'", found=repr(stated), remedy="Correct it"
            ) from error
        if found is not None and not same_crs(found, stated):
            raise OptionError(
                "[inventory] crs",
                required=f"the CRS of {path}, or nothing",
                found=f"{stated} where the file says {found}",
                remedy="Remove the key: the file's own CRS is used",
            )
    return found or str(stated)


def _is_undefined(crs: pyproj.CRS) -> bool:
    """Whether a CRS is one of the placeholders that a GeoPackage holds for want of any."""
    return crs.type_name == "Engineering CRS" or crs.name.lower().startswith("undefined")


def _presence(
    path: Path, fields: dict[str, NDArray[Any]], presence_field: str | None, features: int
) -> NDArray[np.bool_]:
    if presence_field is None:
        return np.ones(features, np.bool_)
    if presence_field not in fields:
        import pyogrio

        known = ", ".join(str(name) for name in pyogrio.read_info(path)["fields"])
        raise OptionError(
            f"presence field {presence_field!r}",
            required=f"a field of {path}: {known}",
            found="no such field",
            remedy="Correct [inventory] presence_field",
        )
    words = np.array([str(value).strip().lower() for value in fields[presence_field]])
    is_true, is_false = np.isin(words, list(_TRUE)), np.isin(words, list(_FALSE))
    if not (is_true | is_false).all():
        strange = str(words[~(is_true | is_false)][0])
        raise InputError(
            f"{path}, field {presence_field!r}",
            required="true or false (also 1/0, yes/no) for every feature",
            found=repr(strange),
            remedy="Correct the field",
        )
    return np.asarray(is_true, np.bool_)


def _one_kind(
    path: Path, shapes: NDArray[np.object_], is_landslide: NDArray[np.bool_], wanted: InventoryKind | None
) -> tuple[InventoryKind, NDArray[np.object_], NDArray[np.bool_]]:
    import shapely

    types = {shapely.GeometryType(code).name.removeprefix("MULTI") for code in shapely.get_type_id(shapes)}
    if types == {"POINT"}:
        kind = InventoryKind.POINTS
        shapes, owners = shapely.get_parts(shapes, return_index=True)
        is_landslide = is_landslide[owners]
    elif types == {"POLYGON"}:
        kind = InventoryKind.POLYGONS
    else:
        raise InputError(
            path,
            required="points or polygons, of one kind",
            found=" and ".join(sorted(name.lower() for name in types)) or "no geometry at all",
            remedy="Export one layer of one kind",
        )
    if wanted is not None and wanted is not kind:
        raise InputError(path, required=f"{wanted}, as [inventory] kind says", found=kind, remedy="Correct the key")
    return kind, shapes, is_landslide


def _repaired(
    shapes: NDArray[np.object_], is_landslide: NDArray[np.bool_], invalid: NDArray[np.bool_]
) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """Valid geometries; what a repair leaves of lines and points, the seams of self-intersections, is dropped."""
    import shapely

    valid = shapes.copy()
    for index in np.flatnonzero(invalid):
        parts = shapely.get_parts(shapely.get_parts(shapely.make_valid(shapes[index])))
        areas = parts[shapely.area(parts) > 0.0]
        # A polygon without any area is a place nonetheless.
        valid[index] = shapely.multipolygons(areas) if len(areas) else shapely.centroid(shapes[index])
    usable = ~shapely.is_empty(valid)
    return valid[usable], is_landslide[usable]


def _point_cells(points: NDArray[np.object_], grid: Grid) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Flat cell index of each point, and whether it lies on the grid (where it does not the index means nothing)."""
    import shapely

    inverse = ~Affine(*grid.transform[:6])
    x, y = shapely.get_x(points), shapely.get_y(points)
    cols = np.floor(inverse.a * x + inverse.b * y + inverse.c)
    rows = np.floor(inverse.d * x + inverse.e * y + inverse.f)
    inside = (rows >= 0) & (rows < grid.rows) & (cols >= 0) & (cols < grid.cols)  # False for NaN and infinity
    flat = np.where(inside, rows, 0).astype(np.intp) * grid.cols + np.where(inside, cols, 0).astype(np.intp)
    return flat, inside


def _burn(shapes: NDArray[np.object_], kind: InventoryKind, grid: Grid) -> tuple[NDArray[np.bool_], int, int]:
    """Cells marked by shapes, how many are shared (see `InventoryCensus`), how many polygons lie between centres."""
    import shapely

    marked = np.zeros(grid.shape, np.bool_)
    if not len(shapes):
        return marked, 0, 0
    if kind is InventoryKind.POINTS:
        cells, inside = _point_cells(shapes, grid)
        marked.flat[cells[inside]] = True
        return marked, int(inside.sum()) - int(marked.sum()), 0

    from rasterio import features as rasterio_features

    times = rasterio_features.rasterize(
        ((shape, 1) for shape in shapes),
        out_shape=grid.shape,
        transform=grid.transform,
        merge_alg=rasterio_features.MergeAlg.add,
        dtype="int32",
    )
    marked[:] = times > 0
    shared = int((times > 1).sum())
    # Only a polygon smaller than a few cells can lie between centres; the others need no second look.
    width, height = grid.resolution
    left, bottom, right, top = shapely.bounds(shapes).T
    suspects = shapes[(right - left < width) | (top - bottom < height) | (shapely.area(shapes) < 4.0 * width * height)]
    below = 0
    for shape in suspects:
        if _holds_no_centre(shape, grid):
            cell, inside = _point_cells(np.array([shapely.point_on_surface(shape)], object), grid)
            marked.flat[cell[inside]] = True
            below += int(inside.sum())
    return marked, shared, below


def _holds_no_centre(shape: Any, grid: Grid) -> bool:
    import shapely
    from rasterio import features as rasterio_features

    left, bottom, right, top = shape.bounds
    width, height = grid.resolution
    west, _, _, north = grid.bounds
    first_col, last_col = int((left - west) // width), int((right - west) // width)
    first_row, last_row = int((north - top) // height), int((north - bottom) // height)
    window = Affine(width, 0.0, west + first_col * width, 0.0, -height, north - first_row * height)
    burnt = rasterio_features.rasterize(
        [(shape, 1)], out_shape=(last_row - first_row + 1, last_col - first_col + 1), transform=window, dtype="uint8"
    )
    return not burnt.any() or shapely.is_empty(shape)


def _spaced(values: Any) -> str:
    return " ".join(f"{value:.6g}" for value in values)
