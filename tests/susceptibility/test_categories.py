"""Classes on a grid and on units: dominant by area, shares, against Shapely and brute force."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from insar.grid import Grid
from insar.layers import LayerDefinition, write_layer
from susceptibility.categories import (
    CategoryMap,
    ClassShares,
    category_map_of,
    class_shares,
    label_of,
    polygon_class_shares,
    read_categories,
    sorted_labels,
)
from susceptibility.errors import InputError, OptionError
from susceptibility.units.zonal import Zones
from susceptibility.vectors import VectorLayer

UTM = "EPSG:32633"
Writer = Callable[..., Path]


def metric_grid(rows: int, cols: int, step_m: float = 100.0) -> Grid:
    return Grid(rows, cols, Affine(step_m, 0.0, 500_000.0, 0.0, -step_m, 4_000_000.0), UTM)


def cell_boxes(grid: Grid) -> list[shapely.Polygon]:
    step = grid.transform.a
    return [
        shapely.box(
            500_000 + col * step, 4_000_000 - (row + 1) * step, 500_000 + (col + 1) * step, 4_000_000 - row * step
        )
        for row in range(grid.rows)
        for col in range(grid.cols)
    ]


def random_layer(rng: np.random.Generator, grid: Grid, count: int) -> VectorLayer:
    west, south, east, north = grid.bounds
    shapes = [
        shapely.Point(rng.uniform([west, south], [east, north])).buffer(rng.uniform(50, 400), quad_segs=3)
        for _ in range(count)
    ]
    values = rng.choice(np.array(["marl", "granite", "peat"], object), count)
    return VectorLayer(Path("geology"), np.array(shapes, object), values, UTM, 0, 0)


def shares_by_shapely(layer: VectorLayer, units: list[shapely.Polygon], label: str) -> np.ndarray:
    assert layer.values is not None
    united = shapely.union_all(layer.geometries[layer.values == label])
    return np.array([shapely.area(shapely.intersection(unit, united)) / shapely.area(unit) for unit in units])


@given(seed=st.integers(0, 2**31), count=st.integers(1, 12))
@settings(max_examples=30)
def test_the_class_of_a_cell_covers_most_of_it(seed: int, count: int) -> None:
    grid = metric_grid(6, 8)
    layer = random_layer(np.random.default_rng(seed), grid, count)
    categories = category_map_of(layer, grid)
    shares = np.array([shares_by_shapely(layer, cell_boxes(grid), label) for label in categories.labels])
    codes = categories.codes.reshape(-1)
    assert categories.labels == sorted_labels(layer.values)  # type: ignore[arg-type]
    assert ((codes == 0) == (shares.max(axis=0) < 1e-9)).all()
    chosen = shares[np.maximum(codes.astype(int) - 1, 0), np.arange(codes.size)]
    np.testing.assert_allclose(chosen[codes > 0], shares.max(axis=0)[codes > 0], atol=1e-8)


@given(seed=st.integers(0, 2**31), count=st.integers(1, 10))
@settings(max_examples=20)
def test_shares_of_polygons_in_units_are_exact(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    grid = metric_grid(6, 8)
    layer = random_layer(rng, grid, count)
    units = random_layer(rng, grid, 4).geometries
    shares = polygon_class_shares(layer, units)
    for column, label in enumerate(shares.labels):
        np.testing.assert_allclose(
            shares.shares[:, column], shares_by_shapely(layer, list(units), label), rtol=1e-9, atol=1e-9
        )


def test_shares_of_a_map_in_units_of_cells() -> None:
    """Two columns of units over columns of classes; a cell without a class is missing from the sum."""
    grid = metric_grid(2, 4)
    categories = CategoryMap(grid, np.array([[1, 1, 2, 2], [1, 2, 2, 0]], np.uint16), ("forest", "rock"))
    labels = np.array([[1, 1, 2, 2], [1, 1, 2, 2]], np.int32)
    shares = class_shares(categories, Zones.of_labels(labels, 2, grid))
    np.testing.assert_array_equal(shares.shares, [[0.75, 0.25], [0.0, 0.75]])
    np.testing.assert_array_equal(shares.known, [1.0, 0.75])
    assert shares.dominant().tolist() == ["forest", "rock"]
    assert shares.dominant(least_known=0.8).tolist() == ["forest", None]


def test_shares_of_a_map_in_polygons() -> None:
    """A square half over one cell, half over the next, and a quarter of it beyond the grid."""
    grid = metric_grid(1, 3)
    categories = CategoryMap(grid, np.array([[1, 2, 2]], np.uint16), ("a", "b"))
    square = shapely.box(500_050, 3_999_875, 500_150, 3_999_975)
    shares = class_shares(categories, Zones.of_polygons(np.array([square], object), grid))
    np.testing.assert_allclose(shares.shares, [[0.375, 0.375]], atol=1e-7)
    assert shares.dominant().tolist() == ["a"]
    other = CategoryMap(metric_grid(1, 3, 50.0), categories.codes, categories.labels)
    with pytest.raises(InputError, match="grid of the mapping units"):
        class_shares(other, Zones.of_polygons(np.array([square], object), grid))


def test_a_unit_without_a_class() -> None:
    shares = ClassShares(("a", "b"), np.array([[0.0, 0.0], [0.2, 0.2]]))
    assert shares.dominant().tolist() == [None, "a"]


@pytest.fixture
def landcover(tmp_path: Path) -> Path:
    """Cells of 50 m: 3 x 3 numbered blocks of 100 m, of which the middle one is not known."""
    codes = np.repeat(np.repeat(np.array([[11, 11, 20], [11, 0, 20], [130, 130, 20]], np.uint8), 2, 0), 2, 1)
    path = tmp_path / "landcover.tif"
    write_layer(
        path, codes, metric_grid(6, 6, 50.0), LayerDefinition("landcover", "class", "x", dtype="uint8", nodata=0)
    )
    return path


def test_a_raster_of_classes(landcover: Path) -> None:
    categories = read_categories(landcover, metric_grid(3, 3))
    assert categories.labels == ("11", "20", "130")
    np.testing.assert_array_equal(categories.codes, [[1, 1, 2], [1, 0, 2], [3, 3, 2]])


def test_a_legend_names_and_joins_classes(landcover: Path) -> None:
    categories = read_categories(landcover, metric_grid(3, 3), legend={11: "forest", 130: "forest"})
    assert categories.labels == ("20", "forest")
    np.testing.assert_array_equal(categories.codes, [[2, 2, 1], [2, 0, 1], [2, 2, 1]])


def test_the_dominant_class_of_larger_cells(landcover: Path) -> None:
    """One cell of 300 m: 3 blocks of 11 and of 20, 2 of 130."""
    categories = read_categories(landcover, metric_grid(1, 1, 300.0))
    assert categories.labels == ("11",)


def test_a_continuous_raster_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ndvi.tif"
    values = np.linspace(0.0, 1.0, 36, dtype=np.float32).reshape(6, 6)
    write_layer(path, values, metric_grid(6, 6), LayerDefinition("ndvi", "1", "x"))
    with pytest.raises(InputError, match="numbers with decimals"):
        read_categories(path, metric_grid(6, 6))
    write_layer(path, np.full((6, 6), np.nan, np.float32), metric_grid(6, 6), LayerDefinition("ndvi", "1", "x"))
    with pytest.raises(InputError, match="no data in every cell"):
        read_categories(path, metric_grid(6, 6))


def test_polygons_of_a_file(write_shapes: Writer, caplog: pytest.LogCaptureFixture) -> None:
    boxes = cell_boxes(metric_grid(1, 3))
    path = write_shapes(boxes, name="geology.gpkg", rock=np.array(["marl", "granite", None], object))
    with caplog.at_level(logging.WARNING):
        categories = read_categories(path, metric_grid(1, 3), field="rock")
    assert "1 of 3 polygons have no class" in caplog.text
    assert categories.labels == ("granite", "marl")
    np.testing.assert_array_equal(categories.codes, [[2, 1, 0]])
    with pytest.raises(OptionError, match="one of rock"):
        read_categories(path, metric_grid(1, 3), field="age")
    beside = Grid(3, 3, Affine(100.0, 0.0, 600_000.0, 0.0, -100.0, 4_000_000.0), UTM)
    with pytest.raises(InputError, match="none there"):
        read_categories(path, beside, field="rock")


def test_lines_are_no_classes(write_shapes: Writer) -> None:
    path = write_shapes(
        [shapely.LineString([(500_000, 3_999_950), (500_300, 3_999_950)])], name="x.gpkg", rock=["marl"]
    )
    with pytest.raises(InputError, match="polygons with a class"):
        read_categories(path, metric_grid(1, 3), field="rock")


def test_labels() -> None:
    assert [label_of(value) for value in (3, 3.0, np.float32(3), "3", " marl ", "", None, np.nan)] == [
        *["3"] * 4,
        "marl",
        *[None] * 3,
    ]
    assert sorted_labels(["peat", "10", "-1", "9", "inf"]) == ("-1", "9", "10", "inf", "peat")
    with pytest.raises(InputError, match="text or a whole number"):
        label_of(2.5)
    with pytest.raises(InputError, match="text or a whole number"):
        label_of([1])
