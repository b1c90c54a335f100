"""Flow over surfaces whose catchments are known, and kernels against slow and plain versions of themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes
from hypothesis.extra.numpy import arrays as hypothesis_arrays
from numpy.typing import NDArray

from insar.grid import Grid
from susceptibility.errors import InputError
from susceptibility.factors.flow import Flow, divide_flow, route_flow
from susceptibility.kernels import flow as kernels

Array = NDArray[Any]


def metric_grid(rows: int, cols: int, width_m: float = 10.0, height_m: float = 10.0) -> Grid:
    return Grid(rows, cols, Affine(width_m, 0.0, 400_000.0, 0.0, -height_m, 3_800_000.0), "EPSG:32611")


def rough_terrain(rows: int, cols: int, seed: int, holes: int = 0) -> Array:
    """Ground that slopes gently under noise, so that it has depressions; no two elevations are equal."""
    random = np.random.default_rng(seed)
    row, col = np.mgrid[:rows, :cols]
    elevation = 500.0 + 0.6 * row + 0.3 * col + random.normal(0.0, 1.5, (rows, cols))
    elevation.ravel()[random.choice(elevation.size, holes, replace=False)] = np.nan
    return elevation


def neighbours(shape: tuple[int, int], row: int, col: int) -> list[tuple[int, int, int]]:
    return [
        (way, row + int(kernels.ROW_STEPS[way]), col + int(kernels.COL_STEPS[way]))
        for way in range(8)
        if 0 <= row + kernels.ROW_STEPS[way] < shape[0] and 0 <= col + kernels.COL_STEPS[way] < shape[1]
    ]


def neighbour(row: int, col: int, way: int) -> tuple[int, int]:
    return row + int(kernels.ROW_STEPS[way]), col + int(kernels.COL_STEPS[way])


def plain_rim(elevation: Array) -> Array:
    around = np.pad(elevation, 1, constant_values=np.nan)
    rows, cols = elevation.shape
    windows = [around[i : i + rows, j : j + cols] for i in range(3) for j in range(3)]
    return np.isfinite(elevation) & np.isnan(np.sum(windows, axis=0))


def plain_fill(elevation: Array) -> Array:
    """Relaxation: the level of a cell is its own elevation or that of its lowest neighbour, whichever is higher."""
    rim = plain_rim(elevation)
    filled = np.where(rim | np.isnan(elevation), elevation, np.inf)
    rows, cols = elevation.shape
    while True:
        around = np.pad(np.where(np.isnan(filled), np.inf, filled), 1, constant_values=np.inf)
        lowest = np.min([around[i : i + rows, j : j + cols] for i in range(3) for j in range(3)], axis=0)
        lowered = np.where(rim, elevation, np.minimum(filled, np.maximum(elevation, lowest)))
        if np.array_equal(lowered, filled, equal_nan=True):
            return filled
        filled = lowered


def plain_descents(filled: Array, row: int, col: int, width_m: float, height_m: float) -> dict[int, float]:
    """Drop over distance to each lower neighbour."""
    descents = {}
    for way, other_row, other_col in neighbours(filled.shape, row, col):
        distance_m = np.hypot((other_row - row) * height_m, (other_col - col) * width_m)
        descent = (filled[row, col] - filled[other_row, other_col]) / distance_m
        if descent > 0.0:
            descents[way] = float(descent)
    return descents


def receiver_of(flow: Flow, row: int, col: int) -> tuple[int, int] | None:
    way = flow.direction[row, col]
    return None if way >= kernels.OUTLET else neighbour(row, col, int(way))


def way_down(flow: Flow, row: int, col: int) -> list[tuple[int, int]]:
    cells = [(row, col)]
    while (below := receiver_of(flow, *cells[-1])) is not None:
        assert below not in cells, "water runs in a circle"
        cells.append(below)
    return cells


@pytest.mark.parametrize(("seed", "holes", "width_m", "height_m"), [(1, 0, 10, 10), (2, 12, 10, 10), (3, 5, 12, 31)])
def test_fill_descent_and_counts_equal_those_of_a_plain_search(
    seed: int, holes: int, width_m: float, height_m: float
) -> None:
    elevation = rough_terrain(17, 23, seed, holes)
    flow = route_flow(elevation, metric_grid(17, 23, width_m, height_m))
    np.testing.assert_array_equal(flow.filled, plain_fill(elevation))
    assert (flow.filled > elevation).sum() > 20  # there was something to fill
    rim = plain_rim(elevation)
    cells, cut = np.zeros_like(flow.cells), np.zeros(elevation.shape, bool)
    for row, col in np.ndindex(elevation.shape):
        if np.isnan(elevation[row, col]):
            assert flow.direction[row, col] == kernels.NO_DATA
            continue
        descents = plain_descents(flow.filled, row, col, width_m, height_m)
        if descents:
            assert flow.direction[row, col] == max(
                descents, key=lambda way: (descents[way], -elevation[neighbour(row, col, way)])
            )
        else:
            assert (flow.direction[row, col] == kernels.OUTLET) == rim[row, col]
        path = way_down(flow, row, col)
        assert rim[path[-1]]
        assert np.all(np.diff([flow.filled[cell] for cell in path]) <= 0.0)
        for cell in path:
            cells[cell] += 1
            cut[cell] |= rim[row, col]
    np.testing.assert_array_equal(flow.cells, cells)
    np.testing.assert_array_equal(flow.is_cut, cut)
    np.testing.assert_allclose(flow.area_m2()[cells > 0], cells[cells > 0] * width_m * height_m, rtol=1e-6)
    assert np.isnan(flow.area_m2()[cells == 0]).all()


@pytest.mark.parametrize(("east", "south", "drained"), [(1, 0, "col"), (0, 1, "row"), (1, 1, "both"), (10, 1, "col")])
def test_a_plane_drains_in_straight_lines(east: float, south: float, drained: str) -> None:
    row, col = np.mgrid[:9, :14]
    flow = route_flow(2000.0 - east * col - south * row, metric_grid(9, 14))
    expected = {"col": col, "row": row, "both": np.minimum(row, col)}[drained] + 1
    inner = slice(0, -1), slice(0, -1)  # in the last row and column one way down is missing
    np.testing.assert_array_equal(flow.cells[inner], expected[inner])
    np.testing.assert_array_equal(flow.area_m2()[inner], expected[inner] * 100.0)


def test_diagonals_are_as_far_as_they_are() -> None:
    """A drop of 1.3 to the south-east is less steep than one of 1 to the south."""
    elevation = np.array([[2.3, 9.0, 9.0], [9.0, 2.3, 9.0], [9.0, 1.3, 1.0]])
    assert route_flow(elevation, metric_grid(3, 3)).direction[1, 1] == 1  # south
    assert route_flow(elevation, metric_grid(3, 3, height_m=20.0)).direction[1, 1] == 4  # south-east


def test_a_cone_sheds_evenly_to_all_sides_and_a_funnel_gathers_everything() -> None:
    size, step_m = 121, 10.0
    row, col = np.mgrid[:size, :size] - size // 2
    radius_m = np.hypot(row, col) * step_m
    cone = route_flow(3000.0 - radius_m, metric_grid(size, size))
    # In closed form the area drained per width is half the radius: shares by descent keep to it.
    ring = (radius_m > 150.0) & (radius_m < 550.0)
    specific = divide_flow(cone)[ring] * step_m
    assert np.median(specific / (radius_m[ring] / 2.0)) == pytest.approx(1.0, abs=0.15)
    funnel = 1000.0 + radius_m
    funnel[size // 2, size // 2] = np.nan  # a hole through which it drains
    down = route_flow(funnel, metric_grid(size, size))
    assert np.array_equal(down.filled, funnel, equal_nan=True)
    assert down.cells[down.direction == kernels.OUTLET].sum() == size**2 - 1
    assert (down.direction == kernels.OUTLET).sum() == 4  # nearer to the middle than the cells at its corners


def test_a_saddle_has_its_catchment_per_width() -> None:
    """On z = x2 - y2 water runs along x y = constant: a = sqrt(x2 + y2) ln(X / x) with X where the terrain begins."""
    size, step_m = 201, 10.0
    row, col = np.mgrid[:size, :size] - size // 2
    x, y = col * step_m, row * step_m
    flow = route_flow(2000.0 + (x**2 - y**2) / 1000.0, metric_grid(size, size))
    inside = (x > 200.0) & (x < 700.0) & (y > 200.0) & (y < 700.0)
    expected = np.hypot(x, y)[inside] * np.log((size // 2 + 0.5) * step_m / x[inside])
    ratio = divide_flow(flow)[inside] * step_m / expected
    assert np.median(ratio) == pytest.approx(1.0, abs=0.2)
    np.testing.assert_array_equal(flow.filled, 2000.0 + (x**2 - y**2) / 1000.0)


def test_water_crosses_a_filled_valley_along_its_bottom() -> None:
    """A dam across a valley: the filled level runs off over the dam, and to there along the drowned thalweg."""
    row, col = np.mgrid[:21, :40]
    elevation = 1000.0 - 2.0 * col + 5.0 * np.abs(row - 10)
    elevation[:, 38] += 25.0
    elevation[10, 38] -= 5.0  # the spillway
    flow = route_flow(elevation, metric_grid(21, 40))
    assert (flow.filled - elevation)[10, 37] > 10.0
    path = way_down(flow, 10, 5)
    assert {cell[0] for cell in path} == {10}
    assert path[-1] == (10, 39)


def test_level_ground_drains_by_the_shortest_way() -> None:
    elevation = np.full((11, 15), 100.0)
    flow = route_flow(elevation, metric_grid(11, 15))
    for row, col in np.ndindex(elevation.shape):
        assert len(way_down(flow, row, col)) - 1 == min(row, col, 10 - row, 14 - col)
    assert flow.cells[flow.direction == kernels.OUTLET].sum() == elevation.size


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_turning_the_terrain_turns_the_flow(quarter_turns: int) -> None:
    """Where no two ways are equally steep: those go by the order of the directions."""
    elevation = rough_terrain(31, 24, 4, holes=6)
    flow = route_flow(elevation, metric_grid(31, 24))
    turned = np.ascontiguousarray(np.rot90(elevation, quarter_turns))
    other = route_flow(turned, metric_grid(*turned.shape))
    np.testing.assert_array_equal(other.filled, np.rot90(flow.filled, quarter_turns))
    np.testing.assert_array_equal(other.cells, np.rot90(flow.cells, quarter_turns))
    np.testing.assert_array_equal(other.is_cut, np.rot90(flow.is_cut, quarter_turns))
    np.testing.assert_allclose(divide_flow(other), np.rot90(divide_flow(flow), quarter_turns), rtol=1e-12)


def test_divided_flow_equals_a_plain_sum_from_the_highest_cell_down() -> None:
    elevation = rough_terrain(19, 26, 5, holes=8)
    flow = route_flow(elevation, metric_grid(19, 26, 12.0, 31.0))
    expected = np.where(np.isnan(elevation), np.nan, 1.0)
    known = np.argwhere(np.isfinite(elevation))
    # Level cells come in the order in which they lie above each other.
    order = sorted(map(tuple, known), key=lambda cell: (-flow.filled[cell], -len(way_down(flow, *cell))))
    for row, col in order:
        descents = plain_descents(flow.filled, row, col, 12.0, 31.0)
        if not descents and (below := receiver_of(flow, row, col)) is not None:
            expected[below] += expected[row, col]
        total = sum(descent**1.1 for descent in descents.values())
        for way, descent in descents.items():
            below = row + kernels.ROW_STEPS[way], col + kernels.COL_STEPS[way]
            expected[below] += expected[row, col] * descent**1.1 / total
    divided = divide_flow(flow)
    np.testing.assert_allclose(divided, expected, rtol=1e-12)
    outlets = flow.direction == kernels.OUTLET
    assert divided[outlets].sum() == pytest.approx(np.isfinite(elevation).sum())


def test_divided_flow_with_a_large_exponent_goes_one_way() -> None:
    row, col = np.mgrid[:25, :20]
    elevation = 500.0 + 0.6 * row + 0.3 * col + np.random.default_rng(6).normal(0.0, 0.05, row.shape)
    flow = route_flow(elevation, metric_grid(25, 20))
    assert np.array_equal(flow.filled, elevation)  # a filled level is equally far below from both sides
    np.testing.assert_allclose(divide_flow(flow, 1e6), flow.cells, rtol=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kernels_do_the_same_uncompiled(dtype: type) -> None:
    """Python indexing raises where compiled code would read beyond the array."""
    elevation = np.round(rough_terrain(9, 11, 7, holes=4)).astype(dtype)
    flow = route_flow(elevation, metric_grid(9, 11))
    rim = np.empty(elevation.shape, bool)
    kernels.mark_rim.py_func(elevation, rim)  # type: ignore[attr-defined]
    filled = elevation.copy()
    kernels.fill_depressions.py_func(filled, rim)  # type: ignore[attr-defined]
    direction = np.empty(elevation.shape, np.uint8)
    kernels.steepest_descent.py_func(elevation, filled, rim, 10.0, 10.0, direction)  # type: ignore[attr-defined]
    kernels.resolve_flats.py_func(elevation, filled, direction)  # type: ignore[attr-defined]
    cells = np.empty(elevation.shape, np.int32)
    kernels.count_cells.py_func(direction, cells, rim)  # type: ignore[attr-defined]
    divided = np.empty(elevation.shape)
    kernels.spread_cells.py_func(filled, direction, 10.0, 10.0, 1.1, divided)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(filled, flow.filled)
    np.testing.assert_array_equal(direction, flow.direction)
    np.testing.assert_array_equal(cells, flow.cells)
    np.testing.assert_array_equal(rim, flow.is_cut)
    np.testing.assert_allclose(divided, divide_flow(flow), rtol=1e-12)
    assert flow.filled.dtype == dtype


@given(
    elevation=hypothesis_arrays(
        np.float32,
        array_shapes(min_dims=2, max_dims=2, max_side=9),
        elements=st.sampled_from([*map(float, range(8)), np.nan]),
    )
)
def test_all_water_leaves_at_the_rim_however_level_the_ground(elevation: Array) -> None:
    flow = route_flow(elevation, metric_grid(*elevation.shape))
    np.testing.assert_array_equal(flow.filled, plain_fill(elevation))
    rim = plain_rim(elevation)
    for cell in np.ndindex(elevation.shape):
        if np.isfinite(elevation[cell]):
            assert rim[way_down(flow, *cell)[-1]]
    leaving = flow.direction == kernels.OUTLET
    assert flow.cells[leaving].sum() == np.isfinite(elevation).sum()
    assert divide_flow(flow)[leaving].sum() == pytest.approx(np.isfinite(elevation).sum())


def test_a_single_cell_and_a_terrain_without_any() -> None:
    assert route_flow(np.array([[5.0]]), metric_grid(1, 1)).cells == 1
    empty = route_flow(np.full((3, 4), np.nan), metric_grid(3, 4))
    assert not empty.cells.any()
    assert np.isnan(divide_flow(empty)).all()


def test_the_terrain_does_not_change() -> None:
    elevation = rough_terrain(12, 12, 8)
    before = elevation.copy()
    route_flow(elevation, metric_grid(12, 12))
    np.testing.assert_array_equal(elevation, before)


def test_what_is_refused() -> None:
    elevation = rough_terrain(5, 6, 9)
    with pytest.raises(InputError, match="5 rows x 7 columns"):
        route_flow(elevation, metric_grid(5, 7))
    with pytest.raises(InputError, match="degrees"):
        route_flow(elevation, Grid(5, 6, Affine(0.001, 0, 10, 0, -0.001, 45), "EPSG:4326"))
    with pytest.raises(InputError, match="int16"):
        route_flow(elevation.astype(np.int16), metric_grid(5, 6))
    elevation[2, 2] = -9999.0
    with pytest.raises(InputError, match="-9999"):
        route_flow(elevation, metric_grid(5, 6))
