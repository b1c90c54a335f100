"""How much of each mapping unit landslides cover, and how many of them lie in it.

Areal density (LAD) is the area that landslides cover over the area of the unit. It is worked out from exact areas of
overlap, whether the unit is a set of cells or a polygon; where landslides overlap each other the ground is counted
once. Ground that was not observed, such as layover and shadow of the radar, belongs neither to the landslides nor to
the unit: a unit without any observed ground has no density (NaN).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.grid import Grid, same_crs
from insar.layers import LayerDefinition, row_slices
from susceptibility.burning import point_cells
from susceptibility.coverage import cell_coverage, dissolve, mapped_cells, subtract_polygons
from susceptibility.errors import InputError
from susceptibility.inventory import Inventory, InventoryKind
from susceptibility.inventory_files import mask_polygons
from susceptibility.units import Units

SQUARE_METRES_PER_KM2 = 1e6

_LEAST_SEEN = 1e-9
"""Part of a polygon that rounding of coordinates, some 1e-9 m, may leave where another ends at its border."""

_ROWS_AT_ONCE = 512


TARGETS: dict[str, LayerDefinition] = {
    target.name: target
    for target in (
        LayerDefinition("landslide", "1", "1 where a landslide lies in the unit or covers some of it, else 0"),
        LayerDefinition("lad", "1", "Areal density: area that landslides cover over observed area, 0 to 1"),
        LayerDefinition("number_density", "1/km2", "Landslides over observed area"),
    )
}
"""What a model may predict of a unit."""


@dataclass(frozen=True, slots=True)
class UnitDensity:
    """Landslides of each unit.

    Attributes
    ----------
    area_m2
        (unit,) float64, of the whole unit.
    observed_area_m2
        (unit,) of the part of it that was observed; equal to `area_m2` where nothing is said of that.
    landslide_area_m2
        (unit,) of the observed part that landslides cover, each place counted once; NaN for an inventory of points.
    landslides
        (unit,) int64 landslides that lie in the unit: points, or polygons by a place inside of them, so that each
        landslide counts in one unit of those that do not overlap. A landslide that is given twice counts once.
    is_touched
        (unit,) True where a landslide lies in the unit or covers some of it.
    """

    area_m2: NDArray[np.float64]
    observed_area_m2: NDArray[np.float64]
    landslide_area_m2: NDArray[np.float64]
    landslides: NDArray[np.int64]
    is_touched: NDArray[np.bool_]

    @property
    def areal_density(self) -> NDArray[np.float64]:
        """(unit,) landslide area over observed area, 0 to 1; NaN where nothing was observed, or for points."""
        return np.minimum(_ratio(self.landslide_area_m2, self.observed_area_m2), 1.0)

    @property
    def number_density_per_km2(self) -> NDArray[np.float64]:
        """(unit,) landslides per square kilometre of observed ground; NaN where nothing was observed."""
        return _ratio(self.landslides * SQUARE_METRES_PER_KM2, self.observed_area_m2)

    def targets(self) -> dict[str, NDArray[np.float64]]:
        """(unit,) each of `TARGETS`; NaN where nothing was observed, and no areal density for an inventory of points.

        A unit of which a part was observed, without a landslide in it, is one without: weigh it by `observed_share`.
        """
        presence = np.where(self.observed_area_m2 > 0.0, self.is_touched.astype(np.float64), np.nan)
        targets = {"landslide": presence, "number_density": self.number_density_per_km2}
        return targets if np.isnan(self.landslide_area_m2).all() else targets | {"lad": self.areal_density}

    @property
    def observed_share(self) -> NDArray[np.float64]:
        """(unit,) observed area over area, 0 to 1; NaN for a unit without area."""
        return _ratio(self.observed_area_m2, self.area_m2)


def density_of_units(inventory: Inventory, units: Units, *, observed: NDArray[np.bool_] | None = None) -> UnitDensity:
    """Landslide density of mapping units: of their polygons where they have edges of their own, else of their cells.

    Parameters
    ----------
    inventory
        In the coordinate reference system of the units.
    units
        From `susceptibility.units`.
    observed
        (row, col) False where landslides could not have been seen; None where they could everywhere.

    Raises
    ------
    InputError
        Coordinate reference systems or shapes differ.
    """
    if units.shapes is None:
        return density_of_labels(inventory, units.labels, units.grid, units=units.count, observed=observed)
    unobserved = None
    if observed is not None:
        _check_shape("observed cells", observed, units.grid)
        unobserved = mask_polygons(~observed, units.grid)
    return density_of_polygons(inventory, units.shapes, str(units.grid.crs), unobserved=unobserved)


def density_of_labels(
    inventory: Inventory,
    labels: NDArray[np.integer],
    grid: Grid,
    *,
    units: int | None = None,
    observed: NDArray[np.bool_] | None = None,
) -> UnitDensity:
    """Landslide density of units that are sets of cells.

    Parameters
    ----------
    inventory
        In the grid's coordinate reference system.
    labels
        (row, col) number of the unit that each cell belongs to, from 1; 0 outside of every unit.
    grid
        Of `labels`, in metres.
    units
        Number of units; None for the largest label.
    observed
        (row, col) False where landslides could not have been seen; None where they could everywhere.

    Returns
    -------
    UnitDensity
        Unit u is element u - 1.

    Raises
    ------
    InputError
        Shapes or coordinate reference systems differ, or a label is negative or above `units`.
    """
    _check_crs(inventory, grid.crs)
    _check_shape("labels", labels, grid)
    if observed is not None:
        _check_shape("observed cells", observed, grid)
    count = _unit_count(labels, units)
    if inventory.mapped is not None:
        mapped = mapped_cells(inventory.mapped, grid)
        observed = mapped if observed is None else observed & mapped
    slides = inventory.geometries[inventory.is_landslide]
    are_points = inventory.kind is InventoryKind.POINTS
    coverage = None if are_points else cell_coverage(slides, grid)
    cells, seen, covered = (np.zeros(count + 1) for _ in range(3))
    for rows in row_slices(grid.rows, _ROWS_AT_ONCE):
        unit = labels[rows].ravel()
        visible = None if observed is None else observed[rows].ravel().astype(np.float64)
        cells += np.bincount(unit, minlength=count + 1)
        if visible is not None:
            seen += np.bincount(unit, visible, minlength=count + 1)
        if coverage is not None:
            part = coverage[rows].ravel() if visible is None else coverage[rows].ravel() * visible
            covered += np.bincount(unit, part, minlength=count + 1)
    if observed is None:
        seen = cells
    landslides = _landslides_of_labels(inventory, labels, grid, count, observed)
    width, height = _cell_sides_m(grid)
    area = width * height
    return UnitDensity(
        cells[1:] * area,
        seen[1:] * area,
        np.full(count, np.nan) if are_points else covered[1:] * area,
        landslides,
        (landslides > 0) | (covered[1:] > 0.0),
    )


def density_of_polygons(
    inventory: Inventory,
    units: NDArray[np.object_],
    crs: str,
    *,
    unobserved: NDArray[np.object_] | None = None,
) -> UnitDensity:
    """Landslide density of units that are polygons, by exact areas of intersection.

    Parameters
    ----------
    inventory
        In the units' coordinate reference system.
    units
        (unit,) valid shapely polygons; they may overlap each other.
    crs
        Of the units, in metres.
    unobserved
        (polygon,) where landslides could not have been seen, not overlapping each other, as `mask_polygons` gives them;
        None where they could everywhere.

    Raises
    ------
    InputError
        Coordinate reference systems differ or are not in metres, or a unit is invalid or has no area.
    """
    import shapely

    _check_crs(inventory, crs)
    _check_units(units)
    area = shapely.area(units)
    slides = inventory.geometries[inventory.is_landslide & ~inventory.is_duplicate]
    ground = _Ground(inventory.mapped, unobserved)
    observed = ground.areas(units)
    # What rounding leaves of a unit that is hidden altogether is no ground that was seen.
    observed[observed <= _LEAST_SEEN * area] = 0.0
    are_points = inventory.kind is InventoryKind.POINTS
    landslides = _points_of_units(ground.places(slides if are_points else shapely.point_on_surface(slides)), units)
    if are_points:
        covered = np.full(units.size, np.nan)
        return UnitDensity(area, observed, covered, landslides, landslides > 0)
    covered = _shared_areas(units, ground.parts(dissolve(slides)))
    covered[covered <= _LEAST_SEEN * area] = 0.0  # of landslides that share no more than a border
    return UnitDensity(area, observed, covered, landslides, (landslides > 0) | (covered > 0.0))


@dataclass(frozen=True, slots=True)
class _Ground:
    """Ground on which landslides could be found: mapped (None: all of it), less unobserved (None: nothing)."""

    mapped: NDArray[np.object_] | None
    unobserved: NDArray[np.object_] | None

    def areas(self, units: NDArray[np.object_]) -> NDArray[np.float64]:
        """Area of each unit's part on this ground: (unit,)."""
        import shapely

        if self.mapped is not None:
            seen = self.mapped if self.unobserved is None else subtract_polygons(self.mapped, self.unobserved)
            return _shared_areas(units, seen)
        area = np.asarray(shapely.area(units), np.float64)
        return area if self.unobserved is None else area - _shared_areas(units, self.unobserved)

    def places(self, points: NDArray[np.object_]) -> NDArray[np.object_]:
        """Those points that lie on this ground."""
        seen = np.ones(points.size, np.bool_)
        if self.mapped is not None:
            seen = _meet(points, self.mapped)
        if self.unobserved is not None:
            seen &= ~_meet(points, self.unobserved)
        return points[seen]

    def parts(self, polygons: NDArray[np.object_]) -> NDArray[np.object_]:
        """Parts on this ground of polygons that do not overlap each other, in any number of pieces."""
        import shapely

        parts = polygons
        if self.mapped is not None:
            polygon, piece = shapely.STRtree(self.mapped).query(parts, predicate="intersects")
            parts = shapely.intersection(parts[polygon], self.mapped[piece])
        return parts if self.unobserved is None else subtract_polygons(parts, self.unobserved)


def _meet(points: NDArray[np.object_], polygons: NDArray[np.object_]) -> NDArray[np.bool_]:
    import shapely

    met = np.zeros(points.size, np.bool_)
    met[shapely.STRtree(polygons).query(points, predicate="intersects")[0]] = True
    return met


def _points_of_units(points: NDArray[np.object_], units: NDArray[np.object_]) -> NDArray[np.int64]:
    """Points in each unit: (unit,). One on a border that units share belongs to the first of them alone."""
    import shapely

    point, unit = shapely.STRtree(units).query(points, predicate="intersects")
    on_border = shapely.touches(units[unit], points[point])
    is_inside = np.zeros(points.size, np.bool_)
    is_inside[point[~on_border]] = True
    first = np.full(points.size, units.size)
    np.minimum.at(first, point, unit)
    counts = ~on_border | (~is_inside[point] & (unit == first[point]))
    return np.bincount(unit[counts], minlength=units.size).astype(np.int64)


def _shared_areas(units: NDArray[np.object_], polygons: NDArray[np.object_]) -> NDArray[np.float64]:
    """Area of each unit that polygons cover which do not overlap each other: (unit,)."""
    import shapely

    unit, polygon = shapely.STRtree(polygons).query(units, predicate="intersects")
    areas = shapely.area(shapely.intersection(units[unit], polygons[polygon]))
    return np.bincount(unit, areas, minlength=units.size).astype(np.float64)


def _landslides_of_labels(
    inventory: Inventory,
    labels: NDArray[np.integer],
    grid: Grid,
    count: int,
    observed: NDArray[np.bool_] | None,
) -> NDArray[np.int64]:
    import shapely

    slides = inventory.geometries[inventory.is_landslide & ~inventory.is_duplicate]
    places = slides if inventory.kind is InventoryKind.POINTS else shapely.point_on_surface(slides)
    cells, inside = point_cells(places, grid)
    cells = cells[inside]
    if observed is not None:
        cells = cells[observed.ravel()[cells]]
    return np.bincount(labels.ravel()[cells], minlength=count + 1)[1:].astype(np.int64)


def _ratio(part: NDArray[np.floating], whole: NDArray[np.floating]) -> NDArray[np.float64]:
    known = whole > 0.0
    return np.asarray(np.divide(part, whole, out=np.full(whole.shape, np.nan), where=known), np.float64)


def _cell_sides_m(grid: Grid) -> tuple[float, float]:
    transform = grid.transform
    area = abs(transform.a * transform.e - transform.b * transform.d)
    width = float(np.hypot(transform.a, transform.d))
    return width, area / width


def _unit_count(labels: NDArray[np.integer], units: int | None) -> int:
    smallest, largest = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    if smallest < 0 or (units is not None and largest > units):
        raise InputError(
            "labels",
            required="unit numbers from 1, 0 outside" if units is None else f"unit numbers 1 to {units}, 0 outside",
            found=f"{smallest} to {largest}",
            remedy="Number the units anew",
        )
    return largest if units is None else units


def _check_crs(inventory: Inventory, crs: str | None) -> None:
    if not same_crs(inventory.crs, crs):
        raise InputError(
            inventory.path,
            required=f"an inventory in the coordinate reference system of the units, {crs}",
            found=inventory.crs,
            remedy="Read it in that system",
        )
    if not Grid(1, 1, Affine.identity(), crs).is_metric:
        raise InputError(
            "units",
            required="a projected coordinate reference system in metres, not Web Mercator",
            found=str(crs),
            remedy="Project the units, for example to the UTM zone of their centre",
        )


def _check_units(units: NDArray[np.object_]) -> None:
    import shapely

    broken = np.flatnonzero(~(shapely.is_valid(units) & (shapely.area(units) > 0.0)))
    if broken.size:
        raise InputError(
            "units",
            required="valid polygons with an area",
            found=f"{broken.size} others, the first at index {broken[0]}: {shapely.is_valid_reason(units[broken[0]])}",
            remedy="Repair them in a GIS",
        )


def _check_shape(subject: str, plane: NDArray[np.generic], grid: Grid) -> None:
    if plane.shape != grid.shape:
        raise InputError(
            subject,
            required=f"{grid.rows} rows x {grid.cols} columns, as the grid",
            found=" x ".join(map(str, plane.shape)),
            remedy="Make them on the grid of the study",
        )
