"""Distances to lines, polygons, points and marked cells against Shapely and brute force."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from insar.grid import Grid
from susceptibility.distances import distance_to, distance_to_cells, distance_to_shapes
from susceptibility.errors import InputError, MissingInputError, OptionError
from susceptibility.kernels import distances as kernels
from susceptibility.vectors import VectorLayer, read_vectors

UTM = "EPSG:32633"
Writer = Callable[..., Path]


def metric_grid(rows: int, cols: int, width_m: float = 30.0, height_m: float = 30.0) -> Grid:
    return Grid(rows, cols, Affine(width_m, 0.0, 500_000.0, 0.0, -height_m, 4_000_000.0), UTM)


def centres(grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rows, cols = np.mgrid[0 : grid.rows, 0 : grid.cols] + 0.5
    return grid.map_coordinates(rows, cols)


def as_layer(shapes: list[Any]) -> VectorLayer:
    return VectorLayer(Path("shapes"), np.array(shapes, object), None, UTM, 0, 0)


def by_shapely(shapes: list[Any], grid: Grid) -> NDArray[np.float64]:
    """Distance from every centre to every geometry, the least of them."""
    points = shapely.points(*centres(grid))
    return np.min([shapely.distance(points, shape) for shape in shapes], axis=0)


def random_shapes(rng: np.random.Generator, grid: Grid, count: int) -> list[Any]:
    west, south, east, north = grid.bounds
    shapes: list[Any] = []
    for _ in range(count):
        # Also beyond the grid, by half of its width.
        middle = rng.uniform([1.5 * west - 0.5 * east, south], [1.5 * east - 0.5 * west, north])
        match rng.integers(4):
            case 0:
                shapes.append(shapely.Point(middle))
            case 1:
                shapes.append(shapely.MultiPoint(middle + rng.uniform(-300, 300, (3, 2))))
            case 2:
                shapes.append(shapely.LineString(middle + rng.normal(0, 60, (20, 2)).cumsum(axis=0)))
            case 3:
                outline = shapely.Point(middle).buffer(rng.uniform(20, 400), quad_segs=4)
                shapes.append(outline.difference(shapely.Point(middle).buffer(rng.uniform(5, 100), quad_segs=3)))
    return [shape for shape in shapes if not shape.is_empty]


@given(
    seed=st.integers(0, 2**31),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    count=st.integers(1, 8),
    height_m=st.sampled_from([30.0, 11.0, 95.0]),
)
@settings(max_examples=40)
def test_distances_equal_those_of_shapely(seed: int, shape: tuple[int, int], count: int, height_m: float) -> None:
    grid = metric_grid(*shape, height_m=height_m)
    shapes = random_shapes(np.random.default_rng(seed), grid, count) or [shapely.Point(500_000.0, 4_000_000.0)]
    distance = np.empty(grid.shape, np.float32)
    distance[:] = distance_to_shapes(as_layer([shapely.MultiPoint([[500_010.0, 3_999_000.0]]), *shapes]), grid)
    expected = by_shapely([shapely.Point(500_010.0, 3_999_000.0), *shapes], grid)
    np.testing.assert_allclose(distance, expected, rtol=1e-6, atol=1e-6)


def test_a_straight_river_is_at_its_perpendicular_distance() -> None:
    """y = x / 2 through the grid: |x - 2 y| / sqrt(5), and not the distance to the cells that it crosses."""
    grid = metric_grid(300, 520)
    x, y = (values - origin for values, origin in zip(centres(grid), (500_000.0, 3_995_000.0), strict=True))
    line = shapely.LineString([(400_000.0, 3_945_000.0), (600_000.0, 4_045_000.0)])
    np.testing.assert_allclose(
        distance_to_shapes(as_layer([line]), grid), np.abs(x - 2.0 * y) / np.sqrt(5.0), rtol=1e-6, atol=1e-6
    )


def test_zero_inside_a_lake_but_not_on_its_island() -> None:
    grid = metric_grid(40, 40)
    lake = shapely.box(500_300, 3_999_000, 500_900, 3_999_700).difference(
        shapely.box(500_500, 3_999_200, 500_700, 3_999_500)
    )
    x, y = centres(grid)
    distance = distance_to_shapes(as_layer([lake]), grid)
    np.testing.assert_array_equal(distance == 0.0, shapely.contains_xy(lake, x, y))
    island = distance[(np.abs(x - 500_585.0) < 1) & (np.abs(y - 3_999_355.0) < 1)]
    assert island == pytest.approx(85.0)


def test_pieces_of_the_grid_have_the_same_bits() -> None:
    grid = metric_grid(60, 50)
    shapes = random_shapes(np.random.default_rng(3), grid, 12)
    from susceptibility.distances import _segments

    segments = _segments(np.array(shapes, object))
    left, top = grid.map_coordinates(0.5, 0.5)
    whole, part = np.empty((60, 50), np.float32), np.empty((7, 50), np.float32)
    kernels.distance_to_segments(segments, left, top, 30.0, -30.0, 0, whole)
    kernels.distance_to_segments(segments, left, top, 30.0, -30.0, 22, part)
    assert part.tobytes() == whole[22:29].tobytes()
    plain = np.empty((7, 50), np.float32)
    kernels.distance_to_segments.py_func(segments, left, top, 30.0, -30.0, 22, plain)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(plain, part)


@given(
    seed=st.integers(0, 2**31),
    shape=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    share=st.sampled_from([0.002, 0.05, 0.9]),
    height_m=st.sampled_from([30.0, 7.0, 200.0]),
)
@settings(max_examples=40)
def test_distance_to_marked_cells(seed: int, shape: tuple[int, int], share: float, height_m: float) -> None:
    rng = np.random.default_rng(seed)
    grid = metric_grid(*shape, height_m=height_m)
    marked = rng.random(shape) < share
    marked[rng.integers(shape[0]), rng.integers(shape[1])] = True
    x, y = centres(grid)
    expected = np.min([np.hypot(x - east, y - north) for east, north in zip(x[marked], y[marked], strict=True)], axis=0)
    np.testing.assert_allclose(distance_to(marked, grid), expected, rtol=1e-6)


def test_a_layer_in_degrees_is_projected(write_shapes: Writer) -> None:
    """A parallel of latitude is drawn with corners enough to follow its bend."""
    grid = metric_grid(20, 40, 500.0, 500.0)
    path = write_shapes([shapely.LineString([(14.8, 36.1), (15.4, 36.1)])], crs="EPSG:4326")
    x, y = centres(grid)
    to_lonlat = pyproj.Transformer.from_crs(UTM, "EPSG:4326", always_xy=True)
    lon, lat = to_lonlat.transform(x, y)
    geod = pyproj.Geod(ellps="WGS84")
    _, _, metres = geod.inv(lon, lat, lon, np.full_like(lat, 36.1))
    # Along the meridian the distance is a little longer than the shortest one, and the scale of UTM is 0.9996.
    np.testing.assert_allclose(distance_to(path, grid), metres * 0.9996, rtol=1e-4, atol=0.3)


@pytest.mark.filterwarnings("ignore:'crs' was not provided")
def test_a_layer_without_a_crs(write_shapes: Writer) -> None:
    grid = metric_grid(10, 10)
    path = write_shapes([shapely.LineString([(500_000, 3_999_900), (500_300, 3_999_900)])], crs=None)
    with pytest.raises(InputError, match="coordinate reference system"):
        distance_to(path, grid)
    assert distance_to(path, grid, own_crs=UTM)[0, 0] == pytest.approx(85.0)
    with pytest.raises(OptionError, match="Write it as EPSG"):
        distance_to(path, grid, own_crs="nonsense")


def test_a_stated_crs_never_overrides_the_file(write_shapes: Writer) -> None:
    path = write_shapes([shapely.Point(500_100, 3_999_900)])
    with pytest.raises(OptionError, match="EPSG:32634 where the file says EPSG:32633"):
        read_vectors(path, UTM, own_crs="EPSG:32634")


def test_a_layer_beside_the_grid(write_shapes: Writer, caplog: pytest.LogCaptureFixture) -> None:
    """Near it, features count; another place is refused."""
    grid = metric_grid(10, 10)
    beside = write_shapes([shapely.Point(500_500, 3_999_900)], name="beside.gpkg")
    with caplog.at_level(logging.WARNING):
        distance = distance_to(beside, grid)
    assert "no feature on the grid" in caplog.text
    assert distance[3, 9] == pytest.approx(np.hypot(500_500 - 500_285, 3_999_900 - 3_999_895))
    with pytest.raises(InputError, match="100 km away"):
        distance_to(write_shapes([shapely.Point(600_000, 3_999_900)], name="away.gpkg"), grid)


def test_a_layer_that_cannot_be_projected(write_shapes: Writer) -> None:
    path = write_shapes([shapely.Point(1e9, 36.0)], crs="EPSG:3035")
    with pytest.raises(InputError, match="surroundings of the study area"):
        distance_to(path, metric_grid(10, 10))


def test_coordinates_must_be_numbers(write_shapes: Writer) -> None:
    path = write_shapes([shapely.Point(math.inf, 36.0), shapely.Point(500_000.0, 36.0)])
    with pytest.raises(InputError, match="finite coordinates"):
        distance_to(path, metric_grid(10, 10))


def test_bad_input_is_refused(write_shapes: Writer, tmp_path: Path) -> None:
    grid = metric_grid(10, 10)
    with pytest.raises(MissingInputError, match="no such file"):
        distance_to(tmp_path / "absent.gpkg", grid)
    (tmp_path / "notes.gpkg").write_text("no map", encoding="utf-8")
    with pytest.raises(InputError, match="vector file GDAL can read"):
        distance_to(tmp_path / "notes.gpkg", grid)
    path = write_shapes([shapely.Point(500_100, 3_999_900)])
    with pytest.raises(OptionError, match="one of slides"):
        distance_to(path, grid, layer="roads")
    with pytest.raises(OptionError, match="no field"):
        read_vectors(path, UTM, field="kind")
    with pytest.raises(InputError, match="none with a geometry"):
        distance_to(write_shapes([None, shapely.Point()], name="empty.gpkg"), grid)
    with pytest.raises(InputError, match="0 marked"):
        distance_to_cells(np.zeros((10, 10), np.bool_), grid)
    with pytest.raises(InputError, match="10 rows x 10 columns"):
        distance_to(np.ones((9, 10), np.bool_), grid)
    with pytest.raises(InputError, match="projected grid in metres"):
        distance_to(path, Grid(6, 8, Affine(0.1, 0.0, 7.0, 0.0, -0.1, 46.0), "EPSG:4326"))


def test_crossing_polygons_are_repaired(write_shapes: Writer, caplog: pytest.LogCaptureFixture) -> None:
    """A bow tie is two triangles."""
    x, y = 500_000, 3_999_700
    bow = shapely.Polygon([(x, y), (x + 300, y + 300), (x + 300, y), (x, y + 300)])
    vectors = read_vectors(write_shapes([bow, None], name="bow.gpkg"), UTM)
    assert (vectors.repaired, vectors.left_out) == (1, 1)
    grid = metric_grid(10, 10)
    expected = by_shapely([shapely.make_valid(bow)], grid)
    np.testing.assert_allclose(distance_to_shapes(vectors, grid), expected, rtol=1e-6, atol=1e-6)
