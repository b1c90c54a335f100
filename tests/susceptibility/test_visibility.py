"""Inventory cleaning: what the radar does not see is taken out, and counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import shapely
from affine import Affine

from insar.grid import Grid
from insar.layers import LAYERS, write_layer
from susceptibility.density import density_of_labels, density_of_polygons
from susceptibility.errors import InputError
from susceptibility.inventory import LANDSLIDE, Inventory, rasterize_inventory, read_inventory
from susceptibility.visibility import hidden_cells, subtract_hidden

UTM = "EPSG:32633"
WriteShapes = Callable[..., Path]


def box(top: float, left: float, bottom: float, right: float) -> shapely.Polygon:
    return shapely.box(
        500_000.0 + 100.0 * left, 4_000_000.0 - 100.0 * bottom, 500_000.0 + 100.0 * right, 4_000_000.0 - 100.0 * top
    )


def point(row: float, col: float) -> shapely.Point:
    return shapely.Point(500_000.0 + 100.0 * (col + 0.5), 4_000_000.0 - 100.0 * (row + 0.5))


@pytest.fixture
def hidden(grid: Grid) -> np.ndarray:
    """Layover or shadow in the columns from 6."""
    cells = np.zeros(grid.shape, bool)
    cells[:, 6:] = True
    return cells


def test_classes_three_and_four_hide(tmp_path: Path, grid: Grid) -> None:
    classes = np.random.default_rng(2).integers(0, 5, grid.shape).astype(np.uint8)
    write_layer(tmp_path / "visibility.tif", classes, grid, LAYERS["visibility"])
    np.testing.assert_array_equal(hidden_cells(tmp_path / "visibility.tif", grid), classes >= 3)
    np.testing.assert_array_equal(hidden_cells(tmp_path / "visibility.tif", grid, classes=(2,)), classes == 2)


def test_a_finer_or_coarser_visibility_is_brought_to_the_grid(tmp_path: Path, grid: Grid) -> None:
    fine = Grid(50, 60, Affine(20.0, 0.0, 500_000.0, 0.0, -20.0, 4_000_000.0), UTM)
    classes = np.ones(fine.shape, np.uint8)
    classes[:, 33:] = 4  # from the middle of column 6: 2 of its 5 pixels are hidden
    write_layer(tmp_path / "fine.tif", classes, fine, LAYERS["visibility"])
    assert hidden_cells(tmp_path / "fine.tif", grid).any(axis=0).tolist() == [False] * 7 + [True] * 5
    coarse = Grid(5, 3, Affine(400.0, 0.0, 500_000.0, 0.0, -400.0, 4_000_000.0), UTM)
    write_layer(tmp_path / "coarse.tif", np.full(coarse.shape, 3, np.uint8), coarse, LAYERS["visibility"])
    assert hidden_cells(tmp_path / "coarse.tif", grid).all()


def test_polygons_are_cut_or_left_out(write_shapes: WriteShapes, grid: Grid, hidden: np.ndarray) -> None:
    path = write_shapes([box(0, 0, 2, 2), box(3, 4.5, 5, 8), box(6, 7, 8, 9), box(8, 4, 9, 6)])
    cleaned = subtract_hidden(read_inventory(path, UTM), hidden, grid)
    assert (cleaned.hidden, cleaned.partly_hidden, cleaned.features) == (1, 1, 4)
    np.testing.assert_allclose(shapely.area(cleaned.geometries), [40_000.0, 30_000.0, 20_000.0])
    labels, census = rasterize_inventory(cleaned, grid)
    assert not (labels[hidden] == LANDSLIDE).any()
    assert (census.hidden, census.partly_hidden) == (1, 1)


def test_points_are_left_out(write_shapes: WriteShapes, grid: Grid, hidden: np.ndarray) -> None:
    path = write_shapes([point(1, 1), point(2, 8), point(3, 5), point(3, 20)], seen=["yes", "yes", "no", "no"])
    cleaned = subtract_hidden(read_inventory(path, UTM, presence_field="seen"), hidden, grid)
    assert (cleaned.hidden, cleaned.partly_hidden) == (1, 0)
    assert cleaned.is_landslide.tolist() == [True, False, False]  # what lies beyond the grid is not hidden


def test_a_polygon_without_area_is_a_place_that_may_be_hidden(
    write_shapes: WriteShapes, grid: Grid, hidden: np.ndarray
) -> None:
    flat = [
        shapely.Polygon([(x, y), (x + 50.0, y), (x, y)])
        for x, y in [(500_120.0, 3_999_550.0), (500_920.0, 3_999_550.0)]
    ]
    inventory = read_inventory(write_shapes([*flat, box(0, 0, 1, 1)]), UTM)
    cleaned = subtract_hidden(inventory, hidden, grid)
    assert (inventory.repaired, cleaned.hidden, len(cleaned.geometries)) == (2, 1, 2)
    labels, _ = rasterize_inventory(cleaned, grid)
    assert np.argwhere(labels == LANDSLIDE).tolist() == [[0, 0], [4, 1]]


def test_nothing_hidden_changes_nothing(write_shapes: WriteShapes, grid: Grid) -> None:
    inventory = read_inventory(write_shapes([box(0.3, 0.2, 2, 2), box(3, 4.5, 5, 8)]), UTM)
    cleaned: Inventory = subtract_hidden(inventory, np.zeros(grid.shape, bool), grid)
    assert (cleaned.hidden, cleaned.partly_hidden) == (0, 0)
    assert shapely.equals_exact(cleaned.geometries, inventory.geometries).all()


def test_an_inventory_all_in_shadow_is_refused(write_shapes: WriteShapes, grid: Grid, hidden: np.ndarray) -> None:
    inventory = read_inventory(write_shapes([box(6, 7, 8, 9)]), UTM)
    with pytest.raises(InputError, match="landslides that the radar can see; found all 1 in hidden cells"):
        subtract_hidden(inventory, hidden, grid)
    with pytest.raises(InputError, match="hidden cells: required cells on a grid in EPSG:32633"):
        subtract_hidden(inventory, hidden[:4], grid)


def test_hidden_ground_belongs_to_no_density(write_shapes: WriteShapes, grid: Grid, hidden: np.ndarray) -> None:
    cleaned = subtract_hidden(read_inventory(write_shapes([box(3, 4.5, 5, 8)]), UTM), hidden, grid)
    labels = np.repeat(np.arange(1, 6, dtype=np.int32), 2)[:, None] * np.ones((1, grid.cols), np.int32)
    labels[:, 8:] += 5
    found = density_of_labels(cleaned, labels, grid)
    np.testing.assert_allclose(found.landslide_area_m2[[1, 2]], [15_000.0, 15_000.0])
    np.testing.assert_allclose(found.areal_density[[1, 2]], [0.125, 0.125])  # of the 12 cells that are seen
    np.testing.assert_allclose(found.observed_share[:5], 0.75)
    assert np.isnan(found.targets()["landslide"][5:]).all()
    units = np.array([box(2, 0, 4, 8), box(0, 8, 10, 12)], object)
    by_polygons = density_of_polygons(cleaned, units, UTM)
    np.testing.assert_allclose(by_polygons.areal_density, [0.125, np.nan])
