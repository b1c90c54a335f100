"""GeoPackages that appear when they are whole, and are the same to the byte each time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from susceptibility.errors import OptionError

SUFFIX = ".gpkg"

Append = Callable[[NDArray[np.object_], Mapping[str, NDArray[Any]], Mapping[str, NDArray[np.bool_]]], None]
"""Takes (feature,) geometries, their fields, and where a field is unknown, by its name."""


def check_suffix(path: Path) -> None:
    """Refuse a name that GDAL would not take for a GeoPackage.

    Raises
    ------
    OptionError
        It does not end in ``.gpkg``.
    """
    if path.suffix.lower() != SUFFIX:
        raise OptionError(
            path, required=f"a name that ends in {SUFFIX}", found=path.suffix or "none", remedy="Rename it"
        )


def write_geopackage(
    path: Path,
    layer: str,
    geometries: NDArray[np.object_],
    fields: Mapping[str, NDArray[Any]],
    *,
    kind: str,
    crs: str | None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a layer at once; see `new_geopackage`."""
    with new_geopackage(path, layer, kind=kind, crs=crs, metadata=metadata) as append:
        append(geometries, fields, {})


@contextmanager
def new_geopackage(
    path: Path, layer: str, *, kind: str, crs: str | None, metadata: Mapping[str, str] | None = None
) -> Iterator[Append]:
    """Write a layer part by part, under a temporary name until it is whole.

    Parameters
    ----------
    path
        Final name, ``.gpkg``; replaced.
    layer
        Name of the layer.
    kind
        ``Point``, ``LineString``, ``Polygon`` or ``MultiPolygon``, to which polygons are made then: a layer has one
        type.
    crs
        Of the geometries.
    metadata
        Of the layer.

    Raises
    ------
    OptionError
        The name does not end in ``.gpkg``.
    """
    import pyogrio
    import pyogrio.raw
    import shapely

    check_suffix(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.partial{SUFFIX}")  # GDAL tells the format by the suffix
    partial.unlink(missing_ok=True)

    def append(
        geometries: NDArray[np.object_], fields: Mapping[str, NDArray[Any]], unknown: Mapping[str, NDArray[np.bool_]]
    ) -> None:
        is_first = not partial.exists()
        pyogrio.raw.write(
            partial,
            shapely.to_wkb(_as_multi(geometries) if kind == "MultiPolygon" else geometries),
            list(fields.values()),
            list(fields),
            field_mask=[unknown.get(name) for name in fields],
            layer=layer,
            driver="GPKG",
            geometry_type=kind,
            crs=crs,
            append=not is_first,
            layer_metadata=dict(metadata) if metadata and is_first else None,
        )

    # Without it the file holds the time of its making, and is another one each time.
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "1970-01-01T00:00:00.000Z"})
    try:
        yield append
        partial.replace(path)
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
        partial.unlink(missing_ok=True)


def _as_multi(shapes: NDArray[np.object_]) -> NDArray[np.object_]:
    """Polygons as multipolygons, without the lines and points that a union may leave between them."""
    import shapely

    result = np.array(shapes, object)
    for index in np.flatnonzero(shapely.get_type_id(result) != shapely.GeometryType.MULTIPOLYGON):
        parts = shapely.get_parts(result[index])
        result[index] = shapely.MultiPolygon(
            [part for part in parts if part.geom_type == "Polygon" and not part.is_empty]
        )
    return result
