"""Areal and number density: exact areas of overlap on cells, on labelled cells and on polygons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from insar.grid import Grid
from susceptibility.coverage import cell_coverage, covered_cells, dissolve, subtract_polygons
from susceptibility.density import density_of_labels, density_of_polygons, density_of_units
from susceptibility.errors import InputError
from susceptibility.inventory import Inventory, InventoryKind
from susceptibility.inventory_files import mask_polygons
from susceptibility.units import UnitKind, Units

UTM = "EPSG:32633"
GRID = Grid(10, 12, Affine(100.0, 0.0, 500_000.0, 0.0, -100.0, 4_000_000.0), UTM)
ROTATED = Grid(10, 12, Affine(80.0, 30.0, 500_000.0, 30.0, -90.0, 4_000_000.0), UTM)


def inventory_of(shapes: list[Any], kind: InventoryKind = InventoryKind.POLYGONS, **changes: Any) -> Inventory:
    array = np.empty(len(shapes), object)
    array[:] = shapes
    is_landslide = np.ones(len(shapes), bool)
    return Inventory(Path("slides.gpkg"), kind, array, is_landslide, UTM, len(shapes), empty=0, repaired=0, **changes)


def array_of(shapes: list[Any]) -> np.ndarray:
    array = np.empty(len(shapes), object)
    array[:] = shapes
    return array


def place(grid: Grid, row: float, col: float) -> tuple[float, float]:
    return grid.map_coordinates(row, col)


def cells_of(grid: Grid) -> np.ndarray:
    """Each cell as a polygon: (row, col)."""
    cells = np.empty(grid.shape, object)
    for row in range(grid.rows):
        for col in range(grid.cols):
            corners = [(row, col), (row, col + 1), (row + 1, col + 1), (row + 1, col)]
            cells[row, col] = shapely.Polygon([place(grid, *corner) for corner in corners])
    return cells


def brute_coverage(shapes: list[Any], grid: Grid) -> np.ndarray:
    cells = cells_of(grid)
    return shapely.area(shapely.intersection(cells, shapely.union_all(shapes))) / shapely.area(cells)


@st.composite
def polygons(draw: st.DrawFn, grid: Grid = GRID) -> Any:
    """A star-shaped polygon, perhaps with a hole, on, over or beside the grid; on cell borders at times."""
    row = draw(st.floats(-2.0, grid.rows + 2.0))
    col = draw(st.floats(-2.0, grid.cols + 2.0))
    corners = draw(st.integers(3, 12))
    radii = [draw(st.floats(0.05, 6.0)) for _ in range(corners)]
    whole = draw(st.booleans())
    outline = []
    for corner, radius in enumerate(radii):
        angle = 2.0 * np.pi * corner / corners
        at = (row + radius * np.sin(angle), col + radius * np.cos(angle))
        outline.append(tuple(round(value) for value in at) if whole else at)
    # Rounded corners may cross themselves.
    shape = shapely.make_valid(shapely.Polygon([place(grid, *at) for at in outline]))
    if draw(st.booleans()):
        shape = shape.difference(shapely.affinity.scale(shape, 0.4, 0.4, origin=shapely.Point(*place(grid, row, col))))
    shape = shapely.make_valid(shape)
    parts = [part for part in shapely.get_parts(shapely.get_parts(shape)) if part.area > 0.0]
    return shapely.MultiPolygon([part for part in parts if part.geom_type == "Polygon"])


@pytest.mark.parametrize("grid", [GRID, ROTATED])
@settings(max_examples=60)
@given(data=st.data())
def test_coverage_equals_exact_intersections(grid: Grid, data: st.DataObject) -> None:
    shapes = [shape for shape in data.draw(st.lists(polygons(grid), min_size=1, max_size=4)) if not shape.is_empty]
    coverage = cell_coverage(array_of(shapes), grid)
    np.testing.assert_allclose(coverage, brute_coverage(shapes, grid), rtol=0.0, atol=2e-8)


@settings(max_examples=60)
@given(shapes=st.lists(polygons(), min_size=1, max_size=5), seed=st.integers(0, 1000))
def test_density_of_labels_and_polygons_equals_exact_coverage(shapes: list[Any], seed: int) -> None:
    shapes = [shape for shape in shapes if not shape.is_empty] or [shapely.box(500_010, 3_999_900, 500_050, 3_999_950)]
    labels = np.random.default_rng(seed).integers(0, 4, GRID.shape).astype(np.int32)
    hidden = np.random.default_rng(seed + 1).random(GRID.shape) < 0.3
    cells = cells_of(GRID)
    inventory = inventory_of(shapes)
    found = density_of_labels(inventory, labels, GRID, units=3, observed=~hidden)
    units = [shapely.union_all(cells[labels == unit]) for unit in (1, 2, 3)]
    union = shapely.union_all(shapes).difference(shapely.union_all(cells[hidden]))
    for index, unit in enumerate(units):
        seen = unit.difference(shapely.union_all(cells[hidden])).area
        assert found.observed_area_m2[index] == pytest.approx(seen)
        assert found.areal_density[index] == pytest.approx(unit.intersection(union).area / seen, abs=1e-6)
    by_polygons = density_of_polygons(inventory, array_of(units), UTM, unobserved=mask_polygons(hidden, GRID))
    np.testing.assert_allclose(by_polygons.areal_density, found.areal_density, atol=1e-6)
    np.testing.assert_allclose(by_polygons.observed_share, found.observed_share, atol=1e-9)


def test_a_square_over_four_cells() -> None:
    square = shapely.box(500_250.0, 3_999_650.0, 500_350.0, 3_999_750.0)  # rows 2.5 to 3.5, columns 2.5 to 3.5
    coverage = cell_coverage(array_of([square, square]), GRID)
    expected = np.zeros(GRID.shape)
    expected[2:4, 2:4] = 0.25
    np.testing.assert_allclose(coverage, expected, atol=1e-12)
    assert coverage[0, 0] == 0.0


def test_overlapping_landslides_count_their_ground_once_and_their_number_twice() -> None:
    left, right = (shapely.box(500_000.0 + east, 3_999_800.0, 500_100.0 + east, 3_999_900.0) for east in (0.0, 50.0))
    labels = np.ones(GRID.shape, np.int32)
    found = density_of_labels(inventory_of([left, right, left]), labels, GRID)
    assert found.landslide_area_m2[0] == pytest.approx(15_000.0)
    assert found.area_m2[0] == pytest.approx(1_200_000.0)
    assert found.landslides[0] == 2  # the third is the first again
    assert found.number_density_per_km2[0] == pytest.approx(2 / 1.2)


def test_points_have_a_number_but_no_area() -> None:
    places = [shapely.Point(*place(GRID, row, col)) for row, col in [(0.5, 0.5), (0.6, 0.6), (0.6, 0.6), (8.5, 8.5)]]
    labels = np.zeros(GRID.shape, np.int32)
    labels[:2, :2] = 1
    labels[5:, 5:8] = 2
    found = density_of_labels(inventory_of(places, InventoryKind.POINTS), labels, GRID)
    assert found.landslides.tolist() == [2, 0]
    assert found.is_touched.tolist() == [True, False]
    assert np.isnan(found.areal_density).all()
    np.testing.assert_allclose(found.number_density_per_km2, [2 / 0.04, 0.0])
    units = array_of([shapely.union_all(cells_of(GRID)[labels == unit]) for unit in (1, 2)])
    by_polygons = density_of_polygons(inventory_of(places, InventoryKind.POINTS), units, UTM)
    assert by_polygons.landslides.tolist() == [2, 0]


def test_a_unit_that_nothing_is_seen_of_has_no_density() -> None:
    slide = shapely.box(500_000.0, 3_999_900.0, 500_050.0, 4_000_000.0)
    labels = np.zeros(GRID.shape, np.int32)
    labels[0, 0], labels[0, 1] = 1, 2
    hidden = np.zeros(GRID.shape, bool)
    hidden[0, 0] = True
    found = density_of_labels(inventory_of([slide]), labels, GRID, observed=~hidden)
    assert np.isnan(found.areal_density[0])
    assert found.areal_density[1] == 0.0
    units = array_of([cells_of(GRID)[0, 0], cells_of(GRID)[0, 1]])
    by_polygons = density_of_polygons(inventory_of([slide]), units, UTM, unobserved=mask_polygons(hidden, GRID))
    assert np.isnan(by_polygons.areal_density[0])
    assert by_polygons.areal_density[1] == 0.0


def test_unmapped_ground_belongs_to_no_density() -> None:
    slide = shapely.box(500_000.0, 3_999_900.0, 500_050.0, 4_000_000.0)
    mapped = array_of([shapely.box(500_000.0, 3_999_900.0, 500_200.0, 4_000_000.0)])  # two cells
    labels = np.ones(GRID.shape, np.int32)
    labels[5:] = 2
    inventory = inventory_of([slide], mapped=mapped)
    units = array_of([shapely.union_all(cells_of(GRID)[labels == unit]) for unit in (1, 2)])
    for found in (density_of_labels(inventory, labels, GRID), density_of_polygons(inventory, units, UTM)):
        assert found.areal_density[0] == pytest.approx(0.25)
        assert np.isnan(found.areal_density[1])


def test_the_order_of_polygons_does_not_matter() -> None:
    rng = np.random.default_rng(5)
    centres = np.column_stack([500_000 + 1200 * rng.random(60), 3_999_000 + 1000 * rng.random(60)])
    shapes = shapely.buffer(shapely.points(centres), 20.0 + 60.0 * rng.random(60))
    coverage = cell_coverage(shapes, GRID)
    np.testing.assert_allclose(cell_coverage(shapes[::-1], GRID), coverage, atol=1e-12)
    assert shapely.area(dissolve(shapes)).sum() == pytest.approx(shapely.union_all(shapes).area)
    inside = shapely.intersection(shapely.union_all(shapes), shapely.box(*GRID.bounds)).area
    assert coverage.sum() * 1e4 == pytest.approx(inside)


def test_what_is_subtracted_leaves_polygons() -> None:
    slide = shapely.box(0, 0, 10, 10)
    left = subtract_polygons(array_of([slide, slide]), array_of([shapely.box(0, 0, 10, 5), shapely.box(0, 5, 4, 10)]))
    assert [shape.area for shape in left] == [30.0, 30.0]


def test_what_does_not_fit_is_refused() -> None:
    slide = inventory_of([shapely.box(500_000.0, 3_999_900.0, 500_050.0, 4_000_000.0)])
    labels = np.ones(GRID.shape, np.int32)
    with pytest.raises(InputError, match="labels: required 10 rows x 12 columns"):
        density_of_labels(slide, labels[:5], GRID)
    with pytest.raises(InputError, match="unit numbers 1 to 1, 0 outside; found 1 to 3"):
        density_of_labels(slide, 3 * labels - 2 * (labels * np.arange(12) % 2), GRID, units=1)
    with pytest.raises(InputError, match=r"slides\.gpkg: required an inventory in the coordinate reference system"):
        density_of_polygons(slide, array_of([shapely.box(15, 36, 15.1, 36.1)]), "EPSG:4326")
    bow_tie = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    with pytest.raises(InputError, match="valid polygons with an area; found 1 others"):
        density_of_polygons(slide, array_of([bow_tie]), UTM)


@settings(max_examples=40)
@given(shapes=st.lists(polygons(), min_size=1, max_size=4))
def test_listed_cells_are_those_of_each_polygon(shapes: list[Any]) -> None:
    listed = np.zeros((len(shapes), GRID.rows * GRID.cols))
    for piece in covered_cells(array_of(shapes), GRID):
        np.add.at(listed, (piece.polygons, piece.cells), piece.parts)
    for index, shape in enumerate(shapes):
        np.testing.assert_allclose(listed[index].reshape(GRID.shape), brute_coverage([shape], GRID), atol=2e-8)


def test_pieces_of_the_list_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = array_of(
        [shapely.box(500_000, 3_999_000 + 90 * step, 501_150, 3_999_050 + 90 * step) for step in range(9)]
    )
    (whole,) = covered_cells(shapes, GRID)
    monkeypatch.setattr("susceptibility.coverage._LISTED_CELLS", 30)
    pieces = list(covered_cells(shapes, GRID))
    assert len(pieces) > 3
    for name in ("polygons", "cells", "parts"):
        np.testing.assert_array_equal(np.concatenate([getattr(piece, name) for piece in pieces]), getattr(whole, name))


@settings(max_examples=40)
@given(
    west=st.floats(1e5, 9e5), north=st.floats(1e6, 9.9e6), step=st.floats(0.5, 100.0), row=st.integers(1, 6),
    col=st.integers(1, 8),
)  # fmt: skip
def test_a_landslide_along_cell_borders_touches_no_other_cell(
    west: float, north: float, step: float, row: int, col: int
) -> None:
    grid = Grid(10, 12, Affine(step, 0.0, west, 0.0, -step, north), UTM)
    slide = shapely.box(
        west + col * step, north - (row + 3) * step, west + (col + 2) * step, north - row * step
    )  # 3 rows, 2 columns
    expected = np.zeros(grid.shape)
    expected[row : row + 3, col : col + 2] = 1.0
    coverage = cell_coverage(array_of([slide]), grid)
    np.testing.assert_array_equal(coverage > 0.0, expected > 0.0)
    np.testing.assert_allclose(coverage, expected, atol=1e-8)
    cells = cells_of(grid)
    unit = density_of_polygons(inventory_of([slide]), cells.ravel(), UTM)
    np.testing.assert_array_equal(unit.is_touched.reshape(grid.shape), expected > 0.0)


def test_what_lies_beyond_a_projection_covers_nothing() -> None:
    far = shapely.Polygon([(np.inf, np.inf), (np.inf, 0.0), (0.0, np.inf)])
    slide = shapely.box(500_000.0, 3_999_900.0, 500_050.0, 4_000_000.0)
    assert cell_coverage(array_of([far, slide]), GRID).sum() == pytest.approx(0.5)


def test_units_are_taken_by_their_cells_or_by_their_shapes() -> None:
    slide = inventory_of([shapely.box(500_050.0, 3_999_850.0, 500_250.0, 3_999_950.0)])
    labels = np.repeat([[1, 2]], 10, axis=0).repeat(6, axis=1).astype(np.int32)
    observed = np.ones(GRID.shape, bool)
    observed[0, 1] = False
    of_cells = density_of_units(slide, Units(UnitKind.SLOPE, GRID, labels, 3), observed=observed)
    np.testing.assert_allclose(of_cells.landslide_area_m2, [15_000.0, 0.0, 0.0])
    assert np.isnan(of_cells.areal_density[2])
    shapes = array_of([shapely.box(500_000.0, 3_999_900.0, 500_150.0, 4_000_000.0)])
    of_shapes = density_of_units(slide, Units(UnitKind.POLYGONS, GRID, labels, 1, shapes), observed=observed)
    np.testing.assert_allclose(of_shapes.observed_area_m2, [10_000.0])
    np.testing.assert_allclose(of_shapes.landslide_area_m2, [2_500.0])
    np.testing.assert_allclose(of_shapes.targets()["lad"], [0.25])


def test_a_point_on_the_border_of_units_counts_once() -> None:
    cells = cells_of(GRID)
    places = [(2.0, 3.5), (2.0, 3.0), (4.5, 4.5), (0.0, 0.0)]  # an edge, a corner of four, inside, the corner of one
    points = [shapely.Point(*place(GRID, *at)) for at in places]
    inventory = inventory_of(points, InventoryKind.POINTS)
    found = density_of_polygons(inventory, cells.ravel(), UTM).landslides.reshape(GRID.shape)
    assert [tuple(at) for at in np.argwhere(found)] == [(0, 0), (1, 2), (1, 3), (4, 4)]
    assert found.sum() == 4
    twice = density_of_polygons(inventory, array_of([cells[4, 4], cells[4, 4]]), UTM)
    assert twice.landslides.tolist() == [1, 1]


@settings(max_examples=30)
@given(shapes=st.lists(polygons(), min_size=1, max_size=4), seed=st.integers(0, 1000))
def test_landslides_beyond_the_mapped_ground_do_not_count(shapes: list[Any], seed: int) -> None:
    shapes = [shape for shape in shapes if not shape.is_empty] or [shapely.box(500_010, 3_999_900, 500_050, 3_999_950)]
    mapped = np.random.default_rng(seed).random(GRID.shape) < 0.6
    hidden = np.random.default_rng(seed + 1).random(GRID.shape) < 0.2
    labels = np.ones(GRID.shape, np.int32)
    labels[:, 5:] = 2
    inventory = inventory_of(shapes, mapped=mask_polygons(mapped, GRID))
    by_labels = density_of_labels(inventory, labels, GRID, observed=~hidden)
    cells = cells_of(GRID)
    units = array_of([shapely.union_all(cells[labels == unit]) for unit in (1, 2)])
    by_polygons = density_of_polygons(inventory, units, UTM, unobserved=mask_polygons(hidden, GRID))
    seen = shapely.union_all(cells[mapped & ~hidden])
    slides = shapely.union_all(shapes).intersection(seen)
    for index, unit in enumerate(units):
        expected = unit.intersection(slides).area / unit.intersection(seen).area
        assert by_labels.areal_density[index] == pytest.approx(expected, abs=1e-6)
        assert by_polygons.areal_density[index] == pytest.approx(expected, abs=1e-6)
    np.testing.assert_allclose(by_polygons.observed_area_m2, by_labels.observed_area_m2)
