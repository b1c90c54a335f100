"""The table of a real area: every cell with its terrain, and the correlations that SAGA's factors have among them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from susceptibility.collinearity import assess_collinearity
from susceptibility.factors import FACTORS
from susceptibility.factors.terrain import terrain_factors
from susceptibility.features import Feature, FeatureStore
from susceptibility.storage import read_raster
from susceptibility.table import Table, build_table, cell_columns, cell_rows
from susceptibility.table_files import read_table, write_table

NAMES = ["elevation", "slope", "aspect", "aspect_sin", "aspect_cos", "profile_curvature", "plan_curvature"]
THEIRS = {"slope": "slope", "plan_curvature": "cplan", "profile_curvature": "cprof", "elevation": "elev"}


@pytest.fixture(scope="module")
def store(shared_data: Path) -> FeatureStore:
    elevation, grid = read_raster(shared_data / "ecuador" / "rsaga_dem.tif")
    planes = terrain_factors(elevation, grid, NAMES)
    features = tuple(
        Feature(name, FACTORS[name].unit, FACTORS[name].description, "terrain", Path(), sign=FACTORS[name].sign)
        for name in NAMES
    )
    return FeatureStore(grid, features, planes)


@pytest.fixture(scope="module")
def points(shared_data: Path) -> dict[str, NDArray[np.float64]]:
    with (shared_data / "ecuador" / "lsl.csv").open(encoding="utf-8") as source:
        rows = list(csv.DictReader(source))
    return {name: np.array([float(row[name]) for row in rows]) for name in ("x", "y", *THEIRS.values())}


def table_at(store: FeatureStore, cells: NDArray[np.intp]) -> Table:
    return build_table(cell_rows(store.grid, cells), cell_columns(store, cells))


def test_every_cell_comes_back_bit_by_bit(store: FeatureStore, tmp_path: Path) -> None:
    cells = np.flatnonzero(np.isfinite(store.planes["elevation"]))
    missing = write_table(table_at(store, cells), tmp_path / "t.parquet")
    read = read_table(tmp_path / "t.parquet")
    assert read.rows == cells.size == 158_326
    for name in NAMES:
        values = store.planes[name].ravel()[cells]
        assert missing[name] == np.isnan(values).sum()
        np.testing.assert_array_equal(read.read(name), values)
    found = assess_collinearity(read)
    assert "aspect" not in found.names
    complete = np.stack([read.read(name).astype(np.float64) for name in found.names], axis=1)
    complete = complete[np.isfinite(complete).all(axis=1)]
    assert found.rows == len(complete)
    expected = np.corrcoef(complete, rowvar=False)
    np.testing.assert_allclose(found.pearson, expected, atol=1e-10)
    np.testing.assert_allclose(found.vif, np.diag(np.linalg.inv(expected)), rtol=1e-9)


def test_correlations_at_the_landslide_points_are_those_of_saga(
    store: FeatureStore, points: dict[str, NDArray[np.float64]]
) -> None:
    row, col = store.grid.pixel_coordinates(points["x"], points["y"])
    cells = np.floor(row).astype(np.intp) * store.grid.cols + np.floor(col).astype(np.intp)
    found = assess_collinearity(table_at(store, cells), list(THEIRS))
    assert (found.rows, found.dropped) == (350, 0)
    theirs = np.corrcoef([points[name] for name in THEIRS.values()])
    np.testing.assert_allclose(found.pearson, theirs, atol=0.01)
