"""Geometries of a vector file, brought to the coordinate reference system that a study works in."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import same_crs
from susceptibility.errors import InputError, MissingInputError, OptionError
from susceptibility.projection import known_crs

if TYPE_CHECKING:
    import pyproj

logger = logging.getLogger(__name__)

_LONGEST_SEGMENT_DEG, _LONGEST_SEGMENT_M = 0.01, 1000.0
"""Longer straight lines get more corners before they are projected: over 1 km they bend by centimetres."""


@dataclass(frozen=True, slots=True)
class VectorLayer:
    """Geometries of one layer.

    Attributes
    ----------
    path
        The file.
    geometries
        (feature,) valid shapely geometries in two dimensions, none of them empty.
    values
        (feature,) of the field that was asked for; None where none was.
    crs
        Of the geometries.
    left_out
        Features without a geometry.
    repaired
        Features whose geometry crossed itself.
    """

    path: Path
    geometries: NDArray[np.object_]
    values: NDArray[Any] | None
    crs: str
    left_out: int
    repaired: int


def read_vectors(
    path: Path, crs: str, *, layer: str | None = None, field: str | None = None, own_crs: str | None = None
) -> VectorLayer:
    """Read a layer of any vector file.

    Parameters
    ----------
    path
        Any vector file GDAL reads.
    crs
        Coordinate reference system wanted.
    layer
        Of a file that has several.
    field
        Whose values are read as well.
    own_crs
        Coordinate reference system of a file that names none; never overrides one that does.

    Raises
    ------
    MissingInputError
        There is no such file.
    InputError
        It cannot be read, has no coordinate reference system or no geometry, or lies where `crs` has no coordinates.
    OptionError
        `layer`, `field` or `own_crs` does not fit the file.
    """
    import shapely

    meta, wkb, values = _read(path, layer, field)
    shapes = shapely.force_2d(shapely.from_wkb(wkb))
    has_shape = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    if not has_shape.any():
        raise InputError(
            path,
            required="at least one feature with a geometry",
            found=f"{len(shapes)} features, none with a geometry",
            remedy="Check the file and the layer",
        )
    shapes = shapes[has_shape]
    if not np.isfinite(shapely.bounds(shapes)).all():
        raise InputError(
            path,
            required="finite coordinates",
            found="NaN or infinity among them",
            remedy="Mend or remove these features",
        )
    invalid = ~shapely.is_valid(shapes)
    if invalid.any():
        shapes[invalid] = shapely.make_valid(shapes[invalid])
        logger.warning("%s: %d invalid geometries were repaired", path, int(invalid.sum()))
    shapes = _projected(path, shapes, _crs_of(path, meta["crs"], own_crs), crs)
    kept = None if values is None else values[has_shape]
    return VectorLayer(path, shapes, kept, crs, int((~has_shape).sum()), int(invalid.sum()))


def _read(path: Path, layer: str | None, field: str | None) -> tuple[dict[str, Any], Any, NDArray[Any] | None]:
    import pyogrio
    import pyogrio.errors
    import pyogrio.raw

    if not path.exists():
        raise MissingInputError(path, required="a vector file", found="no such file", remedy="Check the path")
    try:
        layers = [str(name) for name in pyogrio.list_layers(path)[:, 0]]
        if layer not in layers and (layer is not None or len(layers) > 1):
            raise OptionError(
                f"layer of {path}",
                required=f"one of {', '.join(layers)}",
                found="none named, of several" if layer is None else f"{layer!r}",
                remedy="Name one of them",
            )
        known = [str(name) for name in pyogrio.read_info(path, layer=layer or layers[0])["fields"]]
        if field is not None and field not in known:
            raise OptionError(
                f"field of {path}",
                required=f"one of {', '.join(known)}" if known else "no field, since the file has none",
                found=repr(field),
                remedy="Correct the name",
            )
        columns = [] if field is None else [field]
        meta, _, geometries, values = pyogrio.raw.read(path, layer=layer or layers[0], columns=columns)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, IndexError) as error:
        raise InputError(
            path,
            required="a vector file GDAL can read",
            found=str(error),
            remedy="Give a GeoPackage, Shapefile or GeoJSON, whole and not empty",
        ) from error
    if geometries is None:
        raise InputError(path, required="geometries", found="a table without any", remedy="Give a layer of a map")
    return meta, geometries, None if field is None else values[0]


def _crs_of(path: Path, found: str | None, stated: str | None) -> str:
    import pyproj

    if found is not None and _is_undefined(pyproj.CRS.from_user_input(found)):
        found = None
    if stated is None:
        if found is None:
            raise InputError(
                path,
                required="a coordinate reference system",
                found="none in the file",
                remedy="Find out which system it is in and assign it in a GIS, or with ogr2ogr -a_srs EPSG:n",
            )
        return found
    if found is not None and not same_crs(found, known_crs(stated)):
        raise OptionError(
            f"crs of {path}",
            required="the coordinate reference system that the file names, or none",
            found=f"{stated} where the file says {found}",
            remedy="Leave it out: the file's own is used",
        )
    return found or known_crs(stated)


def _is_undefined(crs: pyproj.CRS) -> bool:
    """Whether a CRS is one of the placeholders that a GeoPackage holds for want of any."""
    return crs.type_name == "Engineering CRS" or crs.name.lower().startswith("undefined")


def _projected(path: Path, shapes: NDArray[np.object_], own_crs: str, crs: str) -> NDArray[np.object_]:
    import pyproj
    import shapely

    if same_crs(own_crs, crs):
        return shapes
    own = pyproj.CRS.from_user_input(own_crs)
    longest = (
        _LONGEST_SEGMENT_DEG if own.is_geographic else _LONGEST_SEGMENT_M / own.axis_info[0].unit_conversion_factor
    )
    to_wanted = pyproj.Transformer.from_crs(own, crs, always_xy=True)
    projected: NDArray[np.object_] = shapely.transform(
        shapely.segmentize(shapes, longest), lambda xy: np.column_stack(to_wanted.transform(xy[:, 0], xy[:, 1]))
    )
    if not np.isfinite(shapely.bounds(projected)).all():
        raise InputError(
            path,
            required="features where the coordinate reference system of the study has coordinates",
            found=f"features from {_spaced(shapely.total_bounds(shapes))} in {own.name}",
            remedy="Cut the layer to the surroundings of the study area",
        )
    return projected


def _spaced(values: Any) -> str:
    return " ".join(f"{value:.6g}" for value in values)
