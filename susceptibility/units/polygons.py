"""Mapping units from the user's polygons: catchments, parcels, slope units of another tool.

What becomes of each feature:

- Without a geometry, or with one that has no area (points, lines): left out and counted.
- Invalid (crossing itself): repaired, counted; the repair keeps the area that an even-odd fill shows.
- In another coordinate reference system: carried to the grid's, corner by corner.
- Beside the grid: left out, counted. Partly beside it: kept whole; statistics tell what part is known.
- Overlapping others: kept, counted. Exact statistics count the shared ground in each. A label can be only one: a cell
  has the first unit, in the order of the file, that contains its centre.
- Too small to contain a cell's centre: has statistics, but no cell of its own in the labels; counted.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.grid import Grid, same_crs
from susceptibility.errors import InputError, MissingInputError, OptionError
from susceptibility.projection import no_crs_error
from susceptibility.units.definition import OUTSIDE, UnitKind, Units, require_north_up

logger = logging.getLogger(__name__)

_TOUCHING = 1e-6  # of the smaller polygon; neighbours whose digitised borders differ by less do not overlap


@dataclass(frozen=True, slots=True)
class PolygonCensus:
    """What became of each feature of a file of polygons.

    `features` in the file = `empty` + `without_area` + `outside` + units. `repaired` were invalid; `partly_outside`
    reach beyond the grid; `overlapping` share `overlap_m2` with a unit before them, counted once for each such pair;
    `below_cell` contain no cell's centre.
    """

    features: int
    empty: int
    without_area: int
    repaired: int
    outside: int
    partly_outside: int
    overlapping: int
    overlap_m2: float
    below_cell: int

    def as_dict(self) -> dict[str, float]:
        """Counts by name."""
        return asdict(self)


def read_polygons(
    path: Path, grid: Grid, *, layer: str | None = None, own_crs: str | None = None, name_field: str | None = None
) -> tuple[Units, PolygonCensus]:
    """Read mapping units from any vector file.

    Parameters
    ----------
    path
        Any vector file GDAL reads.
    grid
        Grid of the study: projected, in metres.
    layer
        Of a file that has several.
    own_crs
        Coordinate reference system of a file that names none; never overrides one that does.
    name_field
        Field whose values are kept as the attribute ``name``.

    Returns
    -------
    units
        In the order of the file, with the attribute ``feature``: the place in the file, counted from 0.
    census
        What became of each feature; see above.

    Raises
    ------
    MissingInputError
        There is no such file.
    InputError
        It cannot be read, names no coordinate reference system, or has no polygon on the grid.
    OptionError
        `layer`, `own_crs` or `name_field` does not fit the file.
    """
    import shapely

    require_north_up(grid, "grid of the mapping units")
    shapes, crs, names = _read(path, layer, own_crs, name_field)
    features = len(shapes)
    present = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    feature = np.flatnonzero(present)
    shapes, repaired = _valid_areas(shapes[present])
    has_area = shapely.area(shapes) > 0.0
    shapes, repaired, feature = shapes[has_area], repaired[has_area], feature[has_area]
    if not same_crs(crs, grid.crs):
        shapes = _projected(shapes, crs, str(grid.crs))
    extent = shapely.box(*grid.bounds)
    # Polygons that only touch the grid have no ground on it.
    on_grid = shapely.intersects(shapes, extent) & ~shapely.touches(shapes, extent)
    if not on_grid.any():
        raise InputError(
            path,
            required=f"polygons on the grid (west, south, east, north = {_spaced(grid.bounds)}, {grid.crs})",
            found=f"{features} features, {int(has_area.sum())} of them polygons, "
            + (f"in {_spaced(shapely.total_bounds(shapes))}" if len(shapes) else "none with an area"),
            remedy="Check the area and the coordinate reference system of both",
        )
    outside = int((~on_grid).sum())
    shapes, repaired, feature = shapes[on_grid], repaired[on_grid], feature[on_grid]
    labels = _labels(shapes, grid)
    pairs, overlap_m2 = _overlaps(shapes)
    units = Units(UnitKind.POLYGONS, grid, labels, len(shapes), shapes, {"feature": feature.astype(np.int64)})
    if name_field is not None:
        units.attributes["name"] = names[feature]
    census = PolygonCensus(
        features=features,
        empty=int((~present).sum()),
        without_area=int((~has_area).sum()),
        repaired=int(repaired.sum()),
        outside=outside,
        partly_outside=int((~shapely.covers(extent, shapes)).sum()),
        overlapping=pairs,
        overlap_m2=overlap_m2,
        below_cell=int((_centres(shapes, grid) == 0).sum()),
    )
    for count, what in ((census.repaired, "invalid, repaired"), (pairs, "pairs that overlap")):
        if count:
            logger.warning("%s: %d polygons %s", path, count, what)
    return units, census


def _read(
    path: Path, layer: str | None, own_crs: str | None, name_field: str | None
) -> tuple[NDArray[np.object_], str, NDArray[Any]]:
    """Geometries in two dimensions, their coordinate reference system, and the names if asked for."""
    import pyogrio
    import pyogrio.errors
    import pyogrio.raw
    import shapely

    if not path.exists():
        raise MissingInputError(path, required="a vector file of polygons", found="no such file", remedy="Check it")
    try:
        layers = [str(name) for name in pyogrio.list_layers(path)[:, 0]]
        if (layer is None and len(layers) != 1) or (layer is not None and layer not in layers):
            raise OptionError(
                "layer of the mapping units",
                required=f"one of the layers of {path}: {', '.join(layers)}",
                found="none named" if layer is None else repr(layer),
                remedy="Name the layer with the polygons",
            )
        fields = [str(name) for name in pyogrio.read_info(path, layer=layer or layers[0])["fields"]]
        if name_field is not None and name_field not in fields:
            raise OptionError(
                "field of the units' names",
                required=f"a field of {path}: {', '.join(fields)}",
                found=repr(name_field),
                remedy="Correct it, or leave it out",
            )
        columns = [] if name_field is None else [name_field]
        meta, _, geometries, values = pyogrio.raw.read(path, layer=layer or layers[0], columns=columns)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise InputError(
            path, required="a vector file GDAL can read", found=str(error), remedy="Check that the file is whole"
        ) from error
    if geometries is None:
        raise InputError(path, required="polygons", found="a table without geometries", remedy="Name another file")
    shapes = shapely.force_2d(shapely.from_wkb(geometries))
    return shapes, _crs_of(path, meta["crs"], own_crs), values[0] if columns else np.empty(0)


def _crs_of(path: Path, found: str | None, stated: str | None) -> str:
    import pyproj

    if found is not None:
        parsed = pyproj.CRS.from_user_input(found)
        # A GeoPackage without a system says so with a placeholder.
        if parsed.type_name == "Engineering CRS" or parsed.name.lower().startswith("undefined"):
            found = None
    if stated is None:
        if found is None:
            raise no_crs_error(path)
        return found
    try:
        pyproj.CRS.from_user_input(stated)
    except pyproj.exceptions.CRSError as error:
        raise _stated_crs_error("a coordinate reference system such as EPSG:32617", stated) from error
    if found is not None and not same_crs(found, stated):
        raise _stated_crs_error(f"that of {path}, {found}, or none", stated)
    return stated if found is None else found


def _stated_crs_error(required: str, found: str) -> OptionError:
    return OptionError("CRS of the mapping units", required=required, found=found, remedy="Correct it, or leave it out")


def _valid_areas(shapes: NDArray[np.object_]) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """Valid geometries of polygons alone, and which of them were repaired; what has no area becomes empty."""
    import shapely

    invalid = ~shapely.is_valid(shapes)
    areal = np.isin(shapely.get_type_id(shapes), [shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON])
    valid = shapes.copy()
    for index in np.flatnonzero(invalid | ~areal):
        parts = shapely.get_parts(shapely.get_parts(shapely.make_valid(shapes[index])))
        polygons = parts[shapely.area(parts) > 0.0]
        valid[index] = shapely.multipolygons(polygons) if len(polygons) else shapely.Polygon()
    return valid, invalid


def _projected(shapes: NDArray[np.object_], crs: str, target: str) -> NDArray[np.object_]:
    import pyproj
    import shapely

    to_grid = pyproj.Transformer.from_crs(crs, target, always_xy=True)

    def moved(corners: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(to_grid.transform(corners[:, 0], corners[:, 1]))

    projected: NDArray[np.object_] = shapely.transform(shapes, moved)
    # Places that the target cannot show come out infinite, and no geometry has them.
    lost = ~np.isfinite(shapely.bounds(projected)).all(axis=1)
    projected[lost] = shapely.Polygon()
    bent = ~shapely.is_valid(projected)
    projected[bent] = _valid_areas(projected[bent])[0]
    return projected


def _labels(shapes: NDArray[np.object_], grid: Grid) -> NDArray[np.int32]:
    """(row, col) number of the first polygon that contains each cell's centre."""
    from rasterio.features import rasterize

    # What is burnt last stays: the first polygon is burnt last.
    burnt: NDArray[np.int32] = rasterize(
        ((shape, number) for number, shape in reversed(list(enumerate(shapes, start=1)))),
        out_shape=grid.shape,
        transform=grid.transform,
        fill=OUTSIDE,
        dtype="int32",
    )
    return burnt


def _centres(shapes: NDArray[np.object_], grid: Grid) -> NDArray[np.int64]:
    """(unit,) how many cells' centres each polygon contains, counted as far as one where it is large."""
    import shapely
    from rasterio.features import rasterize

    width, height = grid.resolution
    west, south, east, north = grid.bounds
    counts = np.ones(len(shapes), np.int64)
    small = np.flatnonzero(shapely.area(shapes) < 4.0 * width * height)
    narrow = np.flatnonzero(
        (shapely.bounds(shapes)[:, 2:] - shapely.bounds(shapes)[:, :2] < [width, height]).any(axis=1)
    )
    reaching = np.flatnonzero(~shapely.covers(shapely.box(west, south, east, north), shapes))
    for unit in np.unique(np.concatenate([small, narrow, reaching])):
        left, bottom, right, top = shapes[unit].bounds
        cols = np.clip([np.floor((left - west) / width), np.ceil((right - west) / width)], 0, grid.cols).astype(int)
        rows = np.clip([np.floor((north - top) / height), np.ceil((north - bottom) / height)], 0, grid.rows).astype(int)
        counts[unit] = 0
        if cols[1] > cols[0] and rows[1] > rows[0]:
            shape = (rows[1] - rows[0], cols[1] - cols[0])
            moved = Affine(width, 0.0, west + cols[0] * width, 0.0, -height, north - rows[0] * height)
            counts[unit] = rasterize([(shapes[unit], 1)], out_shape=shape, transform=moved, dtype="uint8").sum()
    return counts


def _overlaps(shapes: NDArray[np.object_]) -> tuple[int, float]:
    """Pairs of polygons that share ground, and how much, m2."""
    import shapely

    first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    once = first < second
    first, second = first[once], second[once]
    shared = shapely.area(shapely.intersection(shapes[first], shapes[second]))
    smaller = np.minimum(shapely.area(shapes[first]), shapely.area(shapes[second]))
    real = shared > _TOUCHING * smaller
    return int(real.sum()), float(shared[real].sum())


def _spaced(values: Any) -> str:
    return " ".join(f"{value:.6g}" for value in values)
