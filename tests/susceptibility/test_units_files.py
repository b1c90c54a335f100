"""Aggregate cells, the value type of units, and units in a GeoPackage."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pyogrio
import pyogrio.raw
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from insar.grid import Grid
from susceptibility.errors import InputError, MissingInputError, OptionError
from susceptibility.units import (
    BlockSize,
    UnitKind,
    Units,
    aggregate_units,
    block_size,
    cell_units,
    read_units,
    write_units,
)


@settings(max_examples=40)
@given(st.integers(1, 13), st.integers(1, 13), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.5, 1.0]))
def test_aggregates_are_whole_rectangles_of_known_cells(down: int, across: int, seed: int, least: float) -> None:
    grid = Grid(11, 12, Affine(20.0, 0.0, 500_000.0, 0.0, -22.0, 4_000_000.0), "EPSG:32633")
    known = np.random.default_rng(seed).random(grid.shape) < 0.7
    units = aggregate_units(known, grid, BlockSize(down, across), least_known=least)
    number = 0
    for row in range(0, grid.rows, down):
        for col in range(0, grid.cols, across):
            block = (slice(row, row + down), slice(col, col + across))
            share = known[block].sum() / (down * across)
            if share >= least and share > 0.0:
                number += 1
                assert (units.labels[block] == np.where(known[block], number, 0)).all()
                assert units.attributes["known_share"][number - 1] == share
            else:
                assert (units.labels[block] == 0).all()
    assert units.count == number
    np.testing.assert_allclose(units.area_m2, units.attributes["known_share"] * down * across * 440.0)


def test_size_in_metres_becomes_whole_cells(grid: Grid) -> None:
    assert block_size(200.0, grid) == (2, 2)
    assert block_size(260.0, grid) == (3, 3)
    assert block_size(20.0, grid) == (1, 1)
    for size in (0.0, -5.0, float("nan"), 1001.0):
        with pytest.raises(OptionError, match="size of aggregate cells"):
            block_size(size, grid)


def test_bad_aggregates_are_refused(grid: Grid) -> None:
    known = np.ones(grid.shape, np.bool_)
    with pytest.raises(OptionError, match="at least one cell"):
        aggregate_units(known, grid, 0)
    with pytest.raises(OptionError, match="0 to 1"):
        aggregate_units(known, grid, 2, least_known=1.5)
    with pytest.raises(InputError, match="10 rows x 12 columns"):
        aggregate_units(known[:3], grid, 2)


def test_units_on_degrees_are_refused() -> None:
    degrees = Grid(2, 2, Affine(0.1, 0.0, 10.0, 0.0, -0.1, 50.0), "EPSG:4326")
    with pytest.raises(InputError, match="degrees"):
        cell_units(np.ones((2, 2), np.bool_), degrees)


def test_area_centroid_and_outline(grid: Grid) -> None:
    labels = np.zeros(grid.shape, np.int32)
    labels[0:2, 0:4] = 1
    labels[5, 5] = labels[6, 6] = 2
    units = Units(UnitKind.SLOPE, grid, labels, 2)
    np.testing.assert_array_equal(units.area_m2, [80_000.0, 20_000.0])
    np.testing.assert_allclose(units.centroids_m, [[500_200.0, 3_999_900.0], [500_600.0, 3_999_400.0]])
    assert units.polygons[0].equals(shapely.box(500_000.0, 3_999_800.0, 500_400.0, 4_000_000.0))
    assert units.polygons[1].geom_type == "MultiPolygon"  # the two cells meet at a corner
    np.testing.assert_array_equal(shapely.area(units.polygons), units.area_m2)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_units_come_back_from_their_file(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    grid = Grid(9, 7, Affine(29.7, 0.0, 500_000.3, 0.0, -31.1, 4_000_000.7), "EPSG:32633")
    random = np.random.default_rng(seed)
    count = int(random.integers(1, 12))
    labels = random.integers(0, count + 1, grid.shape).astype(np.int32)
    labels.flat[:count] = np.arange(1, count + 1)
    units = Units(UnitKind.SLOPE, grid, labels, count, attributes={"slope_deg": random.normal(size=count)})
    path = tmp_path_factory.mktemp("units") / "units.gpkg"
    write_units(path, units)
    again = read_units(path)
    assert again.kind is UnitKind.SLOPE
    assert again.grid == grid
    assert again.count == count
    assert again.shapes is None
    np.testing.assert_array_equal(again.labels, labels)
    np.testing.assert_array_equal(again.attributes["slope_deg"], units.attributes["slope_deg"])
    assert not list(path.parent.glob(".*"))


def test_file_has_the_fields_it_promises(grid: Grid, tmp_path: Path) -> None:
    path = tmp_path / "units.gpkg"
    write_units(path, aggregate_units(np.ones(grid.shape, np.bool_), grid, 5))
    info = pyogrio.read_info(path, layer="units")
    assert list(info["fields"]) == ["unit", "area_m2", "cells", "x_m", "y_m", "known_share"]
    assert info["features"] == 4  # two rectangles are known by 40 % only, being cut by the grid's edge


def test_same_units_are_the_same_bytes(grid: Grid, tmp_path: Path) -> None:
    units = aggregate_units(np.ones(grid.shape, np.bool_), grid, 5)
    write_units(tmp_path / "first.gpkg", units)
    time.sleep(0.002)  # the file would hold the time to a thousandth of a second
    write_units(tmp_path / "second.gpkg", units)
    assert (tmp_path / "first.gpkg").read_bytes() == (tmp_path / "second.gpkg").read_bytes()


def test_files_that_are_no_units_are_refused(grid: Grid, tmp_path: Path) -> None:
    units = aggregate_units(np.ones(grid.shape, np.bool_), grid, 5)
    with pytest.raises(OptionError, match=r"\.gpkg"):
        write_units(tmp_path / "units.shp", units)
    with pytest.raises(MissingInputError):
        read_units(tmp_path / "units.gpkg")
    (tmp_path / "text.gpkg").write_text("nothing")
    with pytest.raises(InputError, match="layer 'units'"):
        read_units(tmp_path / "text.gpkg")
    plain = tmp_path / "plain.gpkg"
    pyogrio.raw.write(
        plain,
        shapely.to_wkb(units.polygons),
        [],
        [],
        layer="units",
        geometry_type="Polygon",
        crs=grid.crs,
        driver="GPKG",
    )
    with pytest.raises(InputError, match="names its grid"):
        read_units(plain)


def test_file_with_a_unit_removed_is_refused(grid: Grid, tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "units.gpkg"
    write_units(path, aggregate_units(np.ones(grid.shape, np.bool_), grid, 5))
    with sqlite3.connect(path) as base:
        base.execute("DROP TRIGGER IF EXISTS rtree_units_geom_delete")
        for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            base.execute(f'DROP TRIGGER "{name}"')
        base.execute("DELETE FROM units WHERE unit = 2")
    base.close()
    with pytest.raises(InputError, match="numbers of units"):
        read_units(path)
