"""Geometries of an inventory from its file: any vector file, a table with coordinates, or a raster of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid, same_crs
from insar.layers import grid_of, row_slices
from susceptibility.errors import InputError, MissingInputError, OptionError
from susceptibility.projection import no_crs_error
from susceptibility.storage import open_raster, read_window

if TYPE_CHECKING:
    import pyproj

RASTER_SUFFIXES = {".tif", ".tiff", ".vrt", ".img", ".asc", ".bil", ".sdat"}
"""Files that are read as rasters unless something else is asked for."""

TRUE_WORDS = {"true", "t", "yes", "y", "1", "1.0"}
FALSE_WORDS = {"false", "f", "no", "n", "0", "0.0"}

_LONGEST_EDGE_PIXELS = 16.0  # of a raster's patches, so that their edges stay straight in another projection
_ROWS_AT_ONCE = 512
_TILE_CELLS = 256  # side of the squares in which a mask becomes polygons, so that none has many corners
_NEITHER, _LANDSLIDE, _ABSENCE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """What a file holds.

    Attributes
    ----------
    geometries
        (feature,) shapely geometries in two dimensions; None or empty where a feature has none.
    crs
        As the file says, or as was stated for it.
    fields
        (feature,) values of each field asked for.
    """

    geometries: NDArray[np.object_]
    crs: str
    fields: dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class ClassPatches:
    """What a raster of classes holds.

    Attributes
    ----------
    geometries
        (patch,) polygons along the edges of connected pixels; pixels that meet at a corner only are not connected.
    is_landslide
        (patch,) False for patches of the classes that are known to be free of landslides.
    mapped
        (polygon,) where the raster has data, not overlapping each other; None where it has data everywhere, which
        says nothing of the ground beyond it.
    crs
        Of the raster.
    """

    geometries: NDArray[np.object_]
    is_landslide: NDArray[np.bool_]
    mapped: NDArray[np.object_] | None
    crs: str


def read_features(path: Path, layer: str | None, stated_crs: str | None, fields: Sequence[str]) -> FeatureTable:
    """Read a vector file; parameters and errors as `susceptibility.inventory.read_inventory`."""
    import shapely

    meta, geometries, values = _read_vector(path, layer, fields)
    return FeatureTable(shapely.force_2d(shapely.from_wkb(geometries)), _crs_of(path, meta["crs"], stated_crs), values)


def read_patches(
    path: Path,
    stated_crs: str | None = None,
    landslide_classes: Sequence[int] | None = None,
    absence_classes: Sequence[int] = (),
) -> ClassPatches:
    """Read a raster of classes as polygons along the edges of its pixels.

    Parameters
    ----------
    path
        One band of whole numbers.
    stated_crs
        Of a raster that does not say.
    landslide_classes
        None for every class but 0 and `absence_classes`.
    absence_classes
        Known to be free of landslides.

    Raises
    ------
    MissingInputError, InputError
        There is no such raster, it holds other numbers than whole ones, or none of the classes.
    OptionError
        A class is given both ways, or `stated_crs` contradicts the file.
    """
    import shapely
    from rasterio import features

    both = sorted(set(landslide_classes or ()) & set(absence_classes))
    if both:
        raise OptionError(
            "inventory classes",
            required="classes either with landslides or free of them",
            found=f"{both[0]} given as both",
            remedy="Name it once",
        )
    with open_raster(path) as source:
        own = grid_of(source)
        if own.crs is None and stated_crs is None:
            raise no_crs_error(path)
        crs = _crs_of(path, own.crs, stated_crs)
        meaning = np.zeros(own.shape, np.uint8)
        known = np.zeros(own.shape, np.bool_)
        for rows in row_slices(own.rows, _ROWS_AT_ONCE):
            values = read_window(source, path, rows=rows)
            known[rows] = np.isfinite(values)
            _check_whole(path, values[known[rows]])
            meaning[rows] = _meanings(values, landslide_classes, absence_classes)
    found = [
        (shapely.from_geojson(_geojson(shape)), value == _LANDSLIDE)
        for shape, value in features.shapes(meaning, mask=meaning != _NEITHER, connectivity=4, transform=own.transform)
    ]
    mapped = None if known.all() else mask_polygons(known, own)
    geometries = np.empty(len(found), object)
    geometries[:] = [shape for shape, _ in found]
    return ClassPatches(geometries, np.array([landslide for _, landslide in found], np.bool_), mapped, crs)


def mask_polygons(mask: NDArray[np.bool_], grid: Grid) -> NDArray[np.object_]:
    """Ground under the cells of a mask, in many small polygons that do not overlap each other.

    Parameters
    ----------
    mask
        (row, col).
    grid
        Of the mask.

    Returns
    -------
    (polygon,)
        Shapely polygons in the grid's coordinate reference system, none larger than 256 cells across.
    """
    import shapely
    from affine import Affine
    from rasterio import features

    transform = grid.transform
    found: list[Any] = []
    for rows in row_slices(grid.rows, _TILE_CELLS):
        for cols in row_slices(grid.cols, _TILE_CELLS):
            tile = np.ascontiguousarray(mask[rows, cols])
            if not tile.any():
                continue
            x, y = grid.map_coordinates(float(rows.start), float(cols.start))
            placed = Affine(transform.a, transform.b, x, transform.d, transform.e, y)
            shapes = features.shapes(tile.astype(np.uint8), mask=tile, connectivity=4, transform=placed)
            found.extend(shapely.from_geojson(_geojson(shape)) for shape, _ in shapes)
    polygons = np.empty(len(found), object)
    polygons[:] = found
    return polygons


def truth_values(path: Path, table: FeatureTable, presence_field: str | None) -> NDArray[np.bool_]:
    """Whether each feature is a landslide: (feature,); all are where no field says so."""
    if presence_field is None:
        return np.ones(len(table.geometries), np.bool_)
    values = field_values(path, table, presence_field, "presence_field")
    words = np.array([str(value).strip().lower() for value in values])
    is_true, is_false = np.isin(words, list(TRUE_WORDS)), np.isin(words, list(FALSE_WORDS))
    if not (is_true | is_false).all():
        strange = str(words[~(is_true | is_false)][0])
        raise InputError(
            f"{path}, field {presence_field!r}",
            required="true or false (also 1/0, yes/no) for every feature",
            found=repr(strange),
            remedy="Correct the field",
        )
    return np.asarray(is_true, np.bool_)


def field_values(path: Path, table: FeatureTable, name: str, key: str) -> NDArray[Any]:
    """Values (feature,) of the field that a key of ``[inventory]`` names."""
    if name not in table.fields:
        import pyogrio

        known = ", ".join(str(name) for name in pyogrio.read_info(path)["fields"])
        raise OptionError(
            f"{key.replace('_', ' ')} {name!r}",
            required=f"a field of {path}: {known}",
            found="no such field",
            remedy=f"Correct [inventory] {key}",
        )
    return table.fields[name]


def repair_shapes(
    shapes: NDArray[np.object_], invalid: NDArray[np.bool_]
) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """Valid geometries, and which of them are not empty.

    What a repair leaves of lines and points, the seams of self-intersections, is dropped.
    """
    import shapely

    valid = shapes.copy()
    for index in np.flatnonzero(invalid):
        parts = shapely.get_parts(shapely.get_parts(shapely.make_valid(shapes[index])))
        areas = parts[shapely.area(parts) > 0.0]
        # A polygon without any area is a place nonetheless.
        valid[index] = shapely.multipolygons(areas) if len(areas) else shapely.centroid(shapes[index])
    return valid, ~shapely.is_empty(valid)


def project_shapes(shapes: NDArray[np.object_], source: str, target: str) -> NDArray[np.object_]:
    """Shapes with their corners brought from one coordinate reference system to another."""
    import pyproj
    import shapely

    transformer = pyproj.Transformer.from_crs(source, target, always_xy=True)
    return np.asarray(
        shapely.transform(shapes, lambda xy: np.column_stack(transformer.transform(xy[:, 0], xy[:, 1]))), object
    )


def with_short_edges(shapes: NDArray[np.object_]) -> NDArray[np.object_]:
    """Patches with corners along their edges, at most some pixels apart, however long the edge is."""
    import shapely

    if not shapes.size:
        return shapes
    vertices = shapely.get_coordinates(shapes[0])
    steps = np.abs(np.diff(vertices, axis=0)).max(axis=1)
    pixel = steps[steps > 0.0].min()
    return np.asarray(shapely.segmentize(shapes, _LONGEST_EDGE_PIXELS * pixel))


def _geojson(shape: dict[str, Any]) -> str:
    import json

    return json.dumps(shape)


def _meanings(
    values: NDArray[np.float32], landslide_classes: Sequence[int] | None, absence_classes: Sequence[int]
) -> NDArray[np.uint8]:
    is_absence = np.isin(values, np.asarray(absence_classes, np.float32))
    if landslide_classes is None:
        is_landslide = np.isfinite(values) & (values != 0.0) & ~is_absence
    else:
        is_landslide = np.isin(values, np.asarray(landslide_classes, np.float32))
    return np.where(is_landslide, _LANDSLIDE, np.where(is_absence, _ABSENCE, _NEITHER)).astype(np.uint8)


def _check_whole(path: Path, values: NDArray[np.float32]) -> None:
    broken = values[values != np.round(values)]
    if broken.size:
        raise InputError(
            path,
            required="an inventory raster of classes, whole numbers",
            found=f"{broken[0]:g}",
            remedy="Threshold a probability or a density first",
        )


def _read_vector(
    path: Path, layer: str | None, fields: Sequence[str]
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
        meta, _, geometries, values = pyogrio.raw.read(path, layer=layer or layers[0], columns=list(fields), **options)
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
