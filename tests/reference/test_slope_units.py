"""Slope units of the Big Tujunga catchment: whole, homogeneous, and better than squares of their mean size."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from insar.grid import Grid
from susceptibility.factors.terrain import terrain_factors
from susceptibility.storage import read_raster
from susceptibility.units import SlopeUnitOptions, Units, Zones, aggregate_units, slope_units, zonal_statistics


class Terrain(NamedTuple):
    elevation: NDArray[np.float32]
    grid: Grid
    units: Units


class Spread(NamedTuple):
    """Variance of unit vectors of aspect: inside of units, between their means; the sum is that of all cells."""

    within: float
    between: float


@pytest.fixture(scope="module")
def terrain(shared_data: Path) -> Terrain:
    elevation, grid = read_raster(shared_data / "bigtujunga" / "bigtujunga.tif")
    return Terrain(elevation, grid, slope_units(elevation, grid))


def aspect_spread(units: Units, elevation: NDArray[np.float32]) -> Spread:
    zones = Zones.of_units(units)
    factors = terrain_factors(elevation, units.grid, ["aspect_sin", "aspect_cos"])
    level = factors["aspect_sin"] ** 2 + factors["aspect_cos"] ** 2 < 0.5
    columns = []
    for vectors in factors.values():
        vectors[level] = np.nan
        columns.append(zonal_statistics(zones, vectors, units.grid, ["mean", "sd", "count"]))
    weight = columns[0]["count"] / columns[0]["count"].sum()
    within = sum(float(np.nansum(weight * column["sd"] ** 2)) for column in columns)
    between = 0.0
    for column in columns:
        mean = float(np.nansum(weight * column["mean"]))
        between += float(np.nansum(weight * (column["mean"] - mean) ** 2))
    return Spread(within, between)


def squares_like(units: Units) -> Units:
    """Squares of the same mean size, to the nearest cell."""
    side = round(float(np.sqrt(units.cells.mean())))
    return aggregate_units(np.ones(units.grid.shape, np.bool_), units.grid, side, least_known=0.0)


def test_every_cell_is_in_one_unit_in_one_piece(terrain: Terrain) -> None:
    labels = terrain.units.labels
    assert labels.min() == 1
    assert labels.max() == terrain.units.count
    pieces = 0
    # Boxes keep this from being one search of the whole grid per unit.
    for unit, box in enumerate(ndimage.find_objects(labels), start=1):
        pieces += ndimage.label(labels[box] == unit)[1]
    assert pieces == terrain.units.count


def test_units_are_large_and_face_one_way(terrain: Terrain) -> None:
    options = SlopeUnitOptions()
    variance = terrain.units.attributes["circular_variance"]
    assert terrain.units.area_m2.min() >= options.least_area_m2
    assert float(np.nanmedian(variance)) < 0.75 * options.largest_variance
    assert float((variance > options.largest_variance).mean()) < 0.25
    assert 1500 < terrain.units.count < 2500


def test_units_face_one_way_more_than_squares_of_their_size(terrain: Terrain) -> None:
    squares = squares_like(terrain.units)
    assert squares.count == pytest.approx(terrain.units.count, rel=0.05)
    slopes, boxes = (aspect_spread(units, terrain.elevation) for units in (terrain.units, squares))
    assert sum(slopes) == pytest.approx(sum(boxes), rel=1e-6)
    assert slopes.within < 0.5 * boxes.within
    assert slopes.between > 1.9 * boxes.between


def test_units_of_turned_terrain_are_turned(terrain: Terrain) -> None:
    """All but those where descents, sizes or likenesses are equal and an order has to decide."""
    from sklearn.metrics import adjusted_rand_score

    turned = np.ascontiguousarray(np.rot90(terrain.elevation))
    grid = Grid(*turned.shape, terrain.grid.transform, terrain.grid.crs)
    back = np.rot90(slope_units(turned, grid).labels, -1)
    assert adjusted_rand_score(terrain.units.labels.ravel(), back.ravel()) > 0.9


def test_plains_are_level(terrain: Terrain) -> None:
    plain = terrain.units.attributes["plain"] == 1
    assert 5 < plain.sum() < 40
    assert terrain.units.attributes["slope_deg"][plain].max() < 8.0
    assert terrain.units.attributes["slope_deg"][~plain].min() > 3.0


def test_attributes_are_those_of_zonal_statistics(terrain: Terrain) -> None:
    grid = terrain.grid
    factors = terrain_factors(terrain.elevation, grid, ["aspect", "slope"])
    zones = Zones.of_units(terrain.units)
    aspect = zonal_statistics(zones, factors["aspect"], grid, ["circular_mean", "circular_variance"])
    np.testing.assert_allclose(aspect["circular_variance"], terrain.units.attributes["circular_variance"], atol=1e-6)
    turned = np.radians(aspect["circular_mean"] - terrain.units.attributes["aspect_deg"])
    assert float(np.cos(turned).min()) > 1.0 - 1e-6
    slope = zonal_statistics(zones, factors["slope"], grid, ["mean"])["mean"]
    np.testing.assert_allclose(slope, terrain.units.attributes["slope_deg"], rtol=1e-6)
