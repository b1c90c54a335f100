"""Mapping units in a GeoPackage, and back.

Layer ``units``: one polygon for each, with the fields ``unit`` (its number, from 1), ``area_m2``, ``cells`` (labelled
with it), ``x_m`` and ``y_m`` (centroid) and the units' attributes. The layer's metadata holds the kind and the grid, so
that reading gives back the same labels, cell by cell.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.grid import Grid
from susceptibility.errors import InputError, MissingInputError
from susceptibility.geopackage import write_geopackage
from susceptibility.units.definition import OUTSIDE, UnitKind, Units

LAYER = "units"

_METADATA = "SCARP_UNITS"
_OWN_FIELDS = ("unit", "area_m2", "cells", "x_m", "y_m")


def write_units(path: Path, units: Units) -> None:
    """Write units as a GeoPackage, under a temporary name until it is whole.

    Raises
    ------
    OptionError
        The name does not end in ``.gpkg``.
    """
    centroids = units.centroids_m
    fields: dict[str, NDArray[Any]] = {
        "unit": np.arange(1, units.count + 1, dtype=np.int32),
        "area_m2": units.area_m2,
        "cells": units.cells,
        "x_m": centroids[:, 0],
        "y_m": centroids[:, 1],
        **units.attributes,
    }
    grid = units.grid
    described = {
        "kind": units.kind.value,
        "exact_shapes": units.shapes is not None,
        "rows": grid.rows,
        "cols": grid.cols,
        "transform": list(grid.transform[:6]),
        "crs": grid.crs,
    }
    write_geopackage(
        path,
        LAYER,
        units.polygons,
        fields,
        kind="MultiPolygon",
        crs=grid.crs,
        metadata={_METADATA: json.dumps(described)},
    )


def read_units(path: Path) -> Units:
    """Read units that `write_units` wrote.

    Raises
    ------
    MissingInputError
        There is no such file.
    InputError
        It is no GeoPackage of units, or was changed so that units and cells no longer belong together.
    """
    import pyogrio
    import pyogrio.errors
    import pyogrio.raw
    import shapely

    if not path.exists():
        raise MissingInputError(path, required="a GeoPackage of mapping units", found="no such file", remedy="Check it")
    try:
        info = pyogrio.read_info(path, layer=LAYER)
        meta, _, geometries, values = pyogrio.raw.read(path, layer=LAYER)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise InputError(
            path, required=f"a layer '{LAYER}'", found=str(error), remedy="Give the file of `susceptibility units`"
        ) from error
    described = (info.get("layer_metadata") or {}).get(_METADATA)
    if described is None:
        raise InputError(
            path,
            required="a file of `susceptibility units`, which names its grid",
            found="other polygons",
            remedy="Take them as polygons: kind 'polygons' in [units]",
        )
    content = json.loads(described)
    grid = Grid(content["rows"], content["cols"], Affine(*content["transform"]), content["crs"])
    fields = dict(zip((str(name) for name in meta["fields"]), values, strict=True))
    shapes = shapely.from_wkb(geometries)
    order = np.argsort(fields["unit"], kind="stable")
    if not np.array_equal(fields["unit"][order], np.arange(1, len(shapes) + 1)):
        raise _changed(path, "numbers of units that are not 1, 2, 3, ...")
    shapes = shapes[order]
    fields = {name: column[order] for name, column in fields.items()}
    labels = _labels(shapes, grid)
    attributes = {name: column for name, column in fields.items() if name not in _OWN_FIELDS}
    exact = bool(content["exact_shapes"])
    units = Units(UnitKind(content["kind"]), grid, labels, len(shapes), shapes if exact else None, attributes)
    if not np.array_equal(units.cells, fields["cells"]):
        raise _changed(path, "units that do not cover the cells they say")
    return units


def _labels(shapes: NDArray[np.object_], grid: Grid) -> NDArray[np.int32]:
    from rasterio.features import rasterize

    # As they were made: of polygons that overlap the first prevails.
    labels: NDArray[np.int32] = rasterize(
        ((shape, number) for number, shape in reversed(list(enumerate(shapes, start=1))) if not shape.is_empty),
        out_shape=grid.shape,
        transform=grid.transform,
        fill=OUTSIDE,
        dtype="int32",
    )
    return labels


def _changed(path: Path, found: str) -> InputError:
    return InputError(
        path,
        required="units as `susceptibility units` wrote them",
        found=found,
        remedy="Make them anew, or take them as polygons: kind 'polygons' in [units]",
    )
