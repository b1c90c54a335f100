"""Profiles on planes whose values are known everywhere, and against plain geometry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from insar.grid import Grid
from susceptibility import profiles
from susceptibility.errors import InputError, OptionError
from susceptibility.profiles import crossings_m, profile_across, profile_along, read_lines

GRID = Grid(60, 80, Affine(10.0, 0.0, 500_000.0, 0.0, -10.0, 4_000_000.0), "EPSG:32633")
WEST, NORTH = 500_000.0, 4_000_000.0


def centres() -> tuple[np.ndarray, np.ndarray]:
    """Metres east of the west edge and south of the north edge, of each cell."""
    row, col = np.indices(GRID.shape)
    return (col + 0.5) * 10.0, (row + 0.5) * 10.0


def line(*places: tuple[float, float]) -> shapely.LineString:
    """By metres east and south of the upper left corner."""
    return shapely.LineString([(WEST + east, NORTH - south) for east, south in places])


EAST, SOUTH = centres()
PLANE = (0.001 * EAST + 0.0004 * SOUTH).astype(np.float32)


def test_along_a_straight_line_the_plane_comes_back() -> None:
    found = profile_along(line((100.0, 300.0), (700.0, 300.0)), PLANE, GRID, half_width_m=100.0, step_m=50.0)
    np.testing.assert_allclose(found.distance_m, np.arange(25.0, 600.0, 50.0))
    expected = 0.001 * (100.0 + found.distance_m) + 0.0004 * 300.0
    np.testing.assert_allclose(found.mean, expected, rtol=1e-6)
    np.testing.assert_allclose(found.median, expected, rtol=1e-6)
    assert (found.count == 5 * 20).all()
    assert found.unknown.sum() == 0
    inside = PLANE[20:40, 10:15]
    np.testing.assert_allclose([found.q05[0], found.q95[0]], np.quantile(inside.astype(float), [0.05, 0.95]))


def test_the_way_begins_at_the_first_point() -> None:
    there = profile_along(line((100.0, 300.0), (700.0, 300.0)), PLANE, GRID, half_width_m=40.0, step_m=100.0)
    back = profile_along(line((700.0, 300.0), (100.0, 300.0)), PLANE, GRID, half_width_m=40.0, step_m=100.0)
    np.testing.assert_allclose(there.mean, back.mean[::-1], rtol=1e-6)


@settings(max_examples=25)
@given(
    st.tuples(*[st.floats(-100, 900)] * 4),
    st.floats(11, 150),
    st.floats(23, 400),
)
def test_any_straight_line_agrees_with_dot_products(
    ends: tuple[float, float, float, float], half_width: float, step: float
) -> None:
    first, last = np.array(ends[:2]), np.array(ends[2:])
    length = float(np.hypot(*(last - first)))
    if length < 1.0:
        return
    found = profile_along(line(tuple(first), tuple(last)), PLANE, GRID, half_width_m=half_width, step_m=step)
    toward = (last - first) / length
    offset = np.stack([EAST, SOUTH], axis=-1) - first
    way, aside = offset @ toward, offset @ np.array([-toward[1], toward[0]])
    near_a_border = np.abs(np.abs(aside) - half_width).min() < 1e-6 or np.abs(way).min() < 1e-6
    in_it = (np.abs(aside) <= half_width) & (way >= 0.0) & (way <= length)
    if near_a_border or np.abs(way % step).min() < 1e-6 or np.abs(way - length).min() < 1e-6:
        return
    number = np.minimum(way[in_it] // step, len(found.count) - 1).astype(int)
    np.testing.assert_array_equal(found.count, np.bincount(number, minlength=len(found.count)))
    total = np.bincount(number, PLANE[in_it].astype(float), minlength=len(found.count))
    known = found.count > 0
    np.testing.assert_allclose(found.mean[known], total[known] / found.count[known], rtol=1e-9)
    assert np.isnan(found.mean[~known]).all()
    assert found.end_m[-1] == pytest.approx(length)


def test_a_bent_line_counts_each_cell_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bent = line((100.0, 100.0), (100.0, 100.0), (400.0, 350.0), (700.0, 130.0))
    whole = profile_along(bent, PLANE, GRID, half_width_m=80.0, step_m=60.0)
    area = shapely.buffer(bent, 80.0, cap_style="flat", quad_segs=200)
    inside = shapely.contains(area, shapely.points(WEST + EAST.ravel(), NORTH - SOUTH.ravel()))
    assert whole.count.sum() == inside.sum()
    monkeypatch.setattr(profiles, "_CELLS_AT_ONCE", 500)
    strips = profile_along(bent, PLANE, GRID, half_width_m=80.0, step_m=60.0)
    np.testing.assert_array_equal(whole.mean, strips.mean)
    np.testing.assert_array_equal(whole.count, strips.count)


def test_unknown_cells_are_counted_and_left_out() -> None:
    gap = PLANE.copy()
    gap[:, 20:30] = np.nan
    gap[25, 35] = np.nan
    found = profile_along(line((100.0, 300.0), (700.0, 300.0)), gap, GRID, half_width_m=100.0, step_m=50.0)
    assert found.unknown[:6].tolist() == [0, 0, 100, 100, 0, 1]
    assert found.count[2:6].tolist() == [0, 0, 100, 99]
    assert np.isnan([found.mean[2], found.median[2], found.q05[3], found.q95[3]]).all()


def test_a_line_beside_the_map_has_no_cells() -> None:
    found = profile_along(line((5000.0, 0.0), (5000.0, 600.0)), PLANE, GRID, half_width_m=50.0, step_m=100.0)
    assert found.count.tolist() == [0] * 6
    assert np.isnan(found.mean).all()


def test_landslides_are_counted_as_cells_are() -> None:
    places = [(100.0, 300.0), (149.0, 399.0), (150.0, 300.0), (149.0, 401.0), (99.0, 300.0), (700.0, 300.0)]
    points = np.array([shapely.Point(WEST + east, NORTH - south) for east, south in places], object)
    way = line((100.0, 300.0), (700.0, 300.0))
    found = profile_along(way, PLANE, GRID, half_width_m=100.0, step_m=50.0, landslides=points)
    assert found.landslides is not None
    assert found.landslides.tolist() == [2, 1, *[0] * 9, 1]
    none = profile_along(way, PLANE, GRID, half_width_m=100.0, step_m=50.0, landslides=np.empty(0, object))
    assert none.landslides is not None
    assert none.landslides.sum() == 0
    first = next(iter(found.rows()))
    assert list(first) == [
        "distance_m", "start_m", "end_m", "mean", "median", "q05", "q95", "count", "unknown", "landslides"
    ]  # fmt: skip
    assert first["count"] == 100


def test_by_distance_to_a_line_the_plane_comes_back() -> None:
    fault = np.array([line((400.0, 700.0), (400.0, -100.0))], object)  # northward: the west is left, and negative
    plane = (0.001 * EAST).astype(np.float32)
    found = profile_across(fault, plane, GRID, reach_m=200.0, step_m=50.0, signed=True)
    np.testing.assert_allclose(found.start_m, np.arange(-200.0, 200.0, 50.0))
    np.testing.assert_allclose(found.mean, 0.001 * (400.0 + found.distance_m), rtol=1e-6)
    assert (found.count == 5 * 60).all()
    unsigned = profile_across(fault, plane, GRID, reach_m=200.0, step_m=50.0)
    np.testing.assert_allclose(unsigned.distance_m, [25.0, 75.0, 125.0, 175.0])
    np.testing.assert_allclose(unsigned.mean, 0.4, rtol=1e-6)
    assert (unsigned.count == 10 * 60).all()


def test_steps_that_do_not_fit_keep_a_border_at_the_line() -> None:
    fault = np.array([line((400.0, 700.0), (400.0, -100.0))], object)
    found = profile_across(fault, PLANE, GRID, reach_m=130.0, step_m=50.0, signed=True)
    assert found.start_m.tolist() == [-130.0, -100.0, -50.0, 0.0, 50.0, 100.0]
    assert found.end_m.tolist() == [-100.0, -50.0, 0.0, 50.0, 100.0, 130.0]


def test_distances_are_those_of_shapely_and_sides_those_of_a_corner() -> None:
    corner = line((100.0, 500.0), (400.0, 100.0), (700.0, 500.0))
    sides = np.zeros(GRID.shape, np.float32)
    below = shapely.Polygon([*corner.coords, (WEST + 700.0, NORTH - 5000.0), (WEST + 100.0, NORTH - 5000.0)])
    points = shapely.points(WEST + EAST, NORTH - SOUTH)
    sides[shapely.contains(below, points)] = 1.0
    found = profile_across(np.array([corner], object), sides, GRID, reach_m=90.0, step_m=30.0, signed=True)
    # South of a line that runs to the east is right of it. Around the ends, the polygon does not know the sides.
    within = shapely.distance(corner, points) <= 90.0
    assert found.count.sum() == within.sum()
    inner = sides.copy()
    inner[SOUTH > 380.0] = np.nan
    found = profile_across(np.array([corner], object), inner, GRID, reach_m=90.0, step_m=30.0, signed=True)
    assert found.mean.tolist() == [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]
    unsigned = profile_across(np.array([corner], object), sides, GRID, reach_m=90.0, step_m=30.0)
    distance = shapely.distance(corner, points)[within]
    np.testing.assert_array_equal(unsigned.count, np.histogram(distance, [0.0, 30.0, 60.0, 90.0])[0])


def test_crossings() -> None:
    way = line((0.0, 300.0), (800.0, 300.0))
    faults = np.array([line((200.0, 0.0), (200.0, 600.0)), line((0.0, 100.0), (800.0, 500.0)), line((0, 1), (9, 1))])
    np.testing.assert_allclose(crossings_m(way, faults), [200.0, 400.0])
    assert crossings_m(way, faults[2:]).size == 0


def test_lines_are_read_and_joined(write_shapes: Callable[..., Path]) -> None:
    path = write_shapes([line((0.0, 0.0), (10.0, 0.0)), line((10.0, 0.0), (10.0, 5.0)), line((50.0, 0.0), (60.0, 0.0))])
    lines = read_lines(path, "EPSG:32633")
    assert sorted(shapely.length(lines).tolist()) == [10.0, 15.0]
    wrong = write_shapes([shapely.Point(WEST, NORTH)], name="points.gpkg")
    with pytest.raises(InputError, match="lines alone"):
        read_lines(wrong, "EPSG:32633")


def test_what_makes_no_profile_is_refused() -> None:
    way = line((100.0, 300.0), (700.0, 300.0))
    for width, step, message in ((0.0, 50.0, "width"), (50.0, float("nan"), "step"), (50.0, 1e-3, "at most")):
        with pytest.raises(OptionError, match=message):
            profile_along(way, PLANE, GRID, half_width_m=width, step_m=step)
    with pytest.raises(InputError, match="60 rows x 80 columns"):
        profile_along(way, PLANE[1:], GRID, half_width_m=50.0, step_m=50.0)
    with pytest.raises(InputError, match="with a length"):
        profile_along(line((1.0, 1.0), (1.0, 1.0)), PLANE, GRID, half_width_m=50.0, step_m=50.0)
    with pytest.raises(InputError, match="lines alone"):
        profile_across(np.array([shapely.Point(0, 0)], object), PLANE, GRID, reach_m=50.0, step_m=50.0)
    degrees = Grid(60, 80, Affine(0.1, 0.0, 10.0, 0.0, -0.1, 50.0), "EPSG:4326")
    with pytest.raises(InputError, match="metres"):
        profile_along(way, PLANE, degrees, half_width_m=50.0, step_m=50.0)
