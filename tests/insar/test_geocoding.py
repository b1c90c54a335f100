"""Geocoding against the generating numbers of regular tables and against a brute-force nearest-neighbour search."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyproj
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from insar.errors import InputError, OptionError
from insar.geocoding import build_geocoder, regular_lookup_grid, target_grid
from insar.grid import Grid, LonLat, RowCol
from insar.stack import Plane


class ArraySource:
    def __init__(self, values: NDArray) -> None:
        self.values = values

    def read_window(self, rows: slice, cols: slice) -> NDArray:
        return self.values[rows, cols]


def plane(values: NDArray) -> Plane:
    return Plane(ArraySource(values), *values.shape)


def regular_table(
    rows: int = 30, cols: int = 20, *, south_up: bool = False, east_left: bool = False, dtype: type = np.float64
) -> tuple[Grid, NDArray, NDArray]:
    """A grid and the look-up table of its pixel centres, flipped as asked."""
    step = 0.0013888889
    grid = Grid(rows, cols, Affine(step, 0, -99.19106978163674, 0, -step, 19.451292623451756), "EPSG:4326")
    lat = grid.transform.f - step * (np.arange(rows) + 0.5)
    lon = grid.transform.c + step * (np.arange(cols) + 0.5)
    if south_up:
        lat = lat[::-1]
    if east_left:
        lon = lon[::-1]
    lats, lons = np.meshgrid(lat, lon, indexing="ij")
    return grid, lats.astype(dtype), lons.astype(dtype)


def skewed_table(rows: int = 70, cols: int = 60) -> tuple[NDArray, NDArray]:
    """Latitudes and longitudes of a table turned by 12 degrees, sheared and bent; rows run south to north."""
    row, col = np.meshgrid(np.arange(rows, dtype=float), np.arange(cols, dtype=float), indexing="ij")
    turn = math.radians(12.0)
    east = 30.0 * (col * math.cos(turn) - row * math.sin(turn) + 0.25 * row) + 0.02 * col**2
    north = 42.0 * (col * math.sin(turn) + row * math.cos(turn)) + 0.015 * row * col
    lat = 45.0 + north / 111_200.0
    return lat, 7.0 + east / (111_200.0 * math.cos(math.radians(45.0)))


def everywhere(geocoder, source: NDArray, fill: float = math.nan) -> NDArray:
    return geocoder.gather(source, slice(0, geocoder.grid.rows), fill)


def indices(geocoder) -> NDArray:
    return geocoder.radar_index(slice(0, geocoder.grid.rows))


def centres(grid: Grid) -> tuple[NDArray, NDArray]:
    col, row = np.meshgrid(np.arange(grid.cols) + 0.5, np.arange(grid.rows) + 0.5)
    return grid.transform.c + grid.transform.a * col, grid.transform.f + grid.transform.e * row


def compare_with_search(
    geocoder,
    x: NDArray,
    y: NDArray,
    *,
    x_weight: float,
    margin: int = 1,
    wrong_at_most: float = 1e-3,
    reach: float = 0.0,
) -> None:
    """Interior map pixels must show the closest radar pixel of all, up to ties; some others only within `reach`.

    `x_weight`: ground length of a unit in x relative to y; it varies by less than 1e-4 over these small scenes.
    """
    rows, cols = x.shape
    tree = cKDTree(np.column_stack([(x * x_weight).ravel(), y.ravel()]))
    map_x, map_y = centres(geocoder.grid)
    points = np.column_stack([(map_x * x_weight).ravel(), map_y.ravel()])
    distance, closest = tree.query(points)
    index = indices(geocoder).ravel()
    row, col = np.divmod(closest, cols)
    interior = (row >= margin) & (row < rows - margin) & (col >= margin) & (col < cols - margin)
    assert interior.sum() > 500
    assert (index[interior] >= 0).all(), "holes inside the scene"
    wrong = interior & (index != closest)
    assert wrong[interior].mean() < wrong_at_most
    own_distance = np.hypot(*(points[wrong] - tree.data[index[wrong]]).T)
    assert (own_distance <= np.maximum(distance[wrong] * 1.001, reach)).all()


@pytest.mark.parametrize("south_up", [False, True])
@pytest.mark.parametrize("east_left", [False, True])
def test_a_regular_table_gives_back_the_grid_it_was_made_of(south_up, east_left):
    grid, lat, lon = regular_table(south_up=south_up, east_left=east_left)
    found, flip_rows, flip_cols = regular_lookup_grid(plane(lat), plane(lon))
    assert (flip_rows, flip_cols) == (south_up, east_left)
    assert found.same_as(grid, tolerance_pixels=1e-9)
    assert target_grid(plane(lat), plane(lon)).same_as(grid, tolerance_pixels=1e-9)


@pytest.mark.parametrize("south_up", [False, True])
@pytest.mark.parametrize("east_left", [False, True])
def test_a_regular_table_is_copied_exactly_and_north_comes_up(south_up, east_left):
    _, lat, lon = regular_table(south_up=south_up, east_left=east_left)
    geocoder = build_geocoder(plane(lat), plane(lon), target_grid(plane(lat), plane(lon)))
    assert geocoder.is_exact
    np.testing.assert_array_equal(everywhere(geocoder, lat)[:, 0], np.sort(lat[:, 0])[::-1])
    np.testing.assert_array_equal(everywhere(geocoder, lon)[0], np.sort(lon[0]))
    source = np.random.default_rng(1).integers(0, 255, lat.shape).astype(np.uint8)
    rows_step, cols_step = (-1 if south_up else 1), (-1 if east_left else 1)
    copied = everywhere(geocoder, source, fill=0)
    assert copied.dtype == np.uint8
    np.testing.assert_array_equal(copied, source[::rows_step, ::cols_step])
    assert geocoder.radar_pixel(geocoder.map_pixel(RowCol(3, 5))) == RowCol(3, 5)


def test_float32_tables_and_unknown_rows_are_still_regular():
    grid, lat, lon = regular_table(south_up=True, dtype=np.float32)
    lat[:4], lon[:4] = np.nan, np.nan
    lat[20, :8], lon[20, :8] = 0.0, 0.0
    found, flip_rows, _ = regular_lookup_grid(plane(lat), plane(lon))
    assert flip_rows
    assert found.same_as(grid, tolerance_pixels=2e-3)


@pytest.mark.parametrize("disturbed", [(7, 3, 0.05), (29, 19, -0.03)])
def test_a_table_off_by_more_than_a_fiftieth_of_a_pixel_is_not_regular(disturbed):
    grid, lat, lon = regular_table()
    row, col, pixels = disturbed
    lat[row, col] += pixels * grid.resolution[1]
    assert regular_lookup_grid(plane(lat), plane(lon)) is None
    lat[row, col] -= pixels * grid.resolution[1]
    lon[row, col] += pixels * grid.resolution[0]
    assert regular_lookup_grid(plane(lat), plane(lon)) is None


def test_a_turned_table_is_not_regular():
    lat, lon = skewed_table()
    assert regular_lookup_grid(plane(lat), plane(lon)) is None


def test_a_window_of_a_regular_grid_and_one_beyond_it_stay_exact():
    grid, lat, lon = regular_table(south_up=True)
    step = grid.resolution[0]
    moved = Affine(step, 0, grid.transform.c + 3 * step, 0, -step, grid.transform.f + 2 * step)
    geocoder = build_geocoder(plane(lat), plane(lon), Grid(10, 40, moved, "EPSG:4326"))
    assert geocoder.is_exact
    expected = np.full((10, 40), np.nan)
    expected[2:, :17] = lat[::-1][:8, 3:]
    np.testing.assert_array_equal(everywhere(geocoder, lat), expected)


def test_bounds_crop_a_regular_grid_to_its_own_pixels():
    grid, lat, lon = regular_table()
    step = grid.resolution[0]
    west, south, east, north = grid.bounds
    inner = (west + 2.5 * step, south + 4.0 * step, east - 1.0 * step, north - 3.2 * step)
    cropped = target_grid(plane(lat), plane(lon), bounds=inner)
    assert cropped.shape == (30 - 4 - 3, 20 - 2 - 1)
    assert build_geocoder(plane(lat), plane(lon), cropped).is_exact


def test_drawing_a_regular_table_agrees_with_copying_it(monkeypatch):
    grid, lat, lon = regular_table(south_up=True, east_left=True)
    exact = indices(build_geocoder(plane(lat), plane(lon), grid))
    monkeypatch.setattr("insar.geocoding.regular_lookup_grid", lambda *_: None)
    drawn = build_geocoder(plane(lat), plane(lon), grid)
    assert not drawn.is_exact
    np.testing.assert_array_equal(indices(drawn), exact)


@pytest.mark.parametrize("resolution", [None, 1.1e-4, 9e-4])
def test_map_pixels_show_the_closest_radar_pixel(resolution):
    lat, lon = skewed_table()
    grid = target_grid(plane(lat), plane(lon), resolution=resolution)
    geocoder = build_geocoder(plane(lat), plane(lon), grid)
    weight = math.cos(math.radians(float(np.mean([grid.bounds[1], grid.bounds[3]]))))
    compare_with_search(geocoder, lon, lat, x_weight=weight)


def test_terrain_that_shears_rows_by_more_than_a_pixel_still_shows_the_closest():
    lat, lon = skewed_table()
    row = np.arange(lat.shape[0])[:, None]
    lon = lon + 40.0 * np.sin(row / 3.0) / 78_000.0  # up to half a pixel from row to row, on top of the skew
    lat = lat + 12.0 * np.sin(np.arange(lat.shape[1])[None, :] / 2.0) / 111_200.0
    geocoder = build_geocoder(plane(lat), plane(lon), target_grid(plane(lat), plane(lon)))
    weight = math.cos(math.radians(float(np.mean([geocoder.grid.bounds[1], geocoder.grid.bounds[3]]))))
    compare_with_search(geocoder, lon, lat, x_weight=weight)


def test_utm_target():
    lat, lon = skewed_table()
    grid = target_grid(plane(lat), plane(lon), crs="epsg:32632")
    assert grid.crs == "EPSG:32632"
    assert grid.is_metric
    shear = math.sin(math.radians(12.0)) * 0.25  # determinant of the map from (col, row) to metres
    assert grid.resolution[0] == pytest.approx(math.sqrt(30.0 * 42.0 * (1 - shear)), abs=0.5 + 0.3)
    assert grid.resolution[0] == round(grid.resolution[0])
    assert all(edge % grid.resolution[0] == 0 for edge in grid.bounds)
    geocoder = build_geocoder(plane(lat), plane(lon), grid)
    x, y = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:32632", always_xy=True).transform(lon, lat)
    compare_with_search(geocoder, np.asarray(x), np.asarray(y), x_weight=1.0)


def test_the_grid_covers_all_radar_pixels_and_little_more():
    lat, lon = skewed_table()
    grid = target_grid(plane(lat), plane(lon))
    west, south, east, north = grid.bounds
    size = grid.resolution[0]
    for edge, outermost, inward in (
        (west, lon.min(), 1),
        (south, lat.min(), 1),
        (east, lon.max(), -1),
        (north, lat.max(), -1),
    ):
        assert 0 < inward * (outermost - edge) < 2.5 * size
    shown = np.unique(
        indices(build_geocoder(plane(lat), plane(lon), target_grid(plane(lat), plane(lon), resolution=2e-4)))
    )
    assert set(range(lat.size)) <= set(shown.tolist())


def test_border_pixels_reach_half_a_pixel_outward():
    lat, lon = skewed_table()
    grid = target_grid(plane(lat), plane(lon), crs="EPSG:32632", resolution=4.0)
    drawn = (indices(build_geocoder(plane(lat), plane(lon), grid)) >= 0).sum() * 16.0
    x, y = map(np.asarray, pyproj.Transformer.from_crs("EPSG:4326", "EPSG:32632", always_xy=True).transform(lon, lat))
    down, across = (x[1:] - x[:-1], y[1:] - y[:-1]), (x[:, 1:] - x[:, :-1], y[:, 1:] - y[:, :-1])
    area = np.abs(down[0][:, :-1] * across[1][:-1] - down[1][:, :-1] * across[0][:-1])
    whole = area.mean() * x.size  # each radar pixel covers one cell: half a pixel more on each side than the centres
    assert drawn == pytest.approx(whole, rel=0.003)


def test_unknown_places_leave_a_gap_of_their_own_size():
    lat, lon = skewed_table()
    grid = target_grid(plane(lat), plane(lon), resolution=1e-4)
    full = indices(build_geocoder(plane(lat), plane(lon), grid))
    unknown = np.zeros(lat.shape, bool)
    unknown[20:26, 30:34] = True
    unknown[50, 10] = True
    unknown[:3] = True
    holed_lat, holed_lon = lat.copy(), lon.copy()
    holed_lat[unknown], holed_lon[unknown] = np.nan, np.nan
    holed_lat[20:23, 30:34], holed_lon[20:23, 30:34] = 0.0, 0.0
    holed = indices(build_geocoder(plane(holed_lat), plane(holed_lon), grid))
    lost = (full >= 0) & unknown.ravel()[full]
    assert not unknown.ravel()[holed[holed >= 0]].any()
    kept = (full >= 0) & ~lost
    # Beside a gap the reach of its neighbours is extrapolated, so single map pixels on that line may differ.
    assert (holed[kept] == full[kept]).mean() > 0.998
    assert (holed[lost] < 0).mean() > 0.97


def test_a_jump_in_the_table_is_not_drawn_across():
    lat, lon = skewed_table(40, 40)
    lat[:, 20:] += 0.5  # two swaths 55 km apart
    grid = target_grid(plane(lat), plane(lon))
    shown = indices(build_geocoder(plane(lat), plane(lon), grid))
    map_lat = centres(grid)[1]
    between = (map_lat > lat[:, :20].max() + 0.01) & (map_lat < lat[:, 20:].min() - 0.01)
    assert between.any()
    assert (shown[between] < 0).all()
    assert (shown >= 0).sum() > 0.9 * lat.size * 38 / 40


def test_folded_terrain_takes_the_closest_radar_pixel():
    lat, lon = skewed_table()
    col = np.arange(lat.shape[1])[None, :]
    fold = 10.0 * np.exp(-(((col - 30) / 4.0) ** 2))  # columns 26 to 34 run backwards on the ground
    lon = lon - fold * 30.0 / 78_600.0
    assert (np.diff(lon, axis=1) < 0).any()
    grid = target_grid(plane(lat), plane(lon))
    geocoder = build_geocoder(plane(lat), plane(lon), grid)
    weight = math.cos(math.radians(float(np.mean([grid.bounds[1], grid.bounds[3]]))))
    # On the line where the ground turns back, a map pixel just outside the folded cells is shown by the unfolded ones.
    compare_with_search(geocoder, lon, lat, x_weight=weight, margin=3, wrong_at_most=0.02, reach=42.0 / 111_200)


def test_the_result_does_not_depend_on_blocks_or_scratch_files(tmp_path: Path):
    lat, lon = skewed_table()
    lat[10:14, 5:9] = np.nan
    lon += 8.0 * np.exp(-(((np.arange(lat.shape[1]) - 30) / 4.0) ** 2)) * 30 / 78_600
    grid = target_grid(plane(lat), plane(lon))
    whole = indices(build_geocoder(plane(lat), plane(lon), grid))
    for pixels in (1, 150, 1000):
        blocks = build_geocoder(plane(lat), plane(lon), grid, tmp_path, pixels_per_block=pixels)
        np.testing.assert_array_equal(indices(blocks), whole)
    assert [file.name for file in tmp_path.iterdir()] == ["geocoding_index.bin"]
    assert whole.dtype == np.int32


def test_gather_keeps_leading_axes_and_fills_outside():
    lat, lon = skewed_table()
    geocoder = build_geocoder(plane(lat), plane(lon), target_grid(plane(lat), plane(lon)))
    cube = np.random.default_rng(0).normal(size=(3, *lat.shape)).astype(np.float32)
    block = geocoder.gather(cube, slice(10, 14))
    assert block.shape == (3, 4, geocoder.grid.cols)
    assert block.dtype == np.float32
    for date in range(3):
        np.testing.assert_array_equal(block[date], geocoder.gather(cube[date], slice(10, 14)))
    outside = indices(geocoder)[10:14] < 0
    assert outside.any()
    assert np.isnan(block[:, outside]).all()
    counts = geocoder.gather(np.full(lat.shape, 7, np.uint16), slice(10, 14), fill=0)
    np.testing.assert_array_equal(counts, np.where(outside, 0, 7))


def test_pixels_are_found_both_ways():
    lat, lon = skewed_table()
    geocoder = build_geocoder(plane(lat), plane(lon), target_grid(plane(lat), plane(lon), resolution=2e-4))
    radar = RowCol(33, 21)
    shown = geocoder.map_pixel(radar)
    assert geocoder.radar_pixel(shown) == radar
    place = geocoder.grid.lonlat(shown)
    assert abs(place.lat - lat[radar]) < 4e-4
    assert abs(place.lon - lon[radar]) < 4e-4
    assert geocoder.radar_pixel(RowCol(0, geocoder.grid.cols - 1)) is None
    coarse = build_geocoder(plane(lat), plane(lon), target_grid(plane(lat), plane(lon), resolution=2e-3))
    assert coarse.map_pixel(radar) is None or coarse.radar_pixel(coarse.map_pixel(radar)) == radar


def test_a_scene_across_the_antimeridian_stays_in_one_piece():
    lat, lon = skewed_table()
    shifted = lon + (180.0 - lon.mean())
    wrapped = np.where(shifted > 180.0, shifted - 360.0, shifted)
    grid = target_grid(plane(lat), plane(wrapped))
    assert grid.bounds[2] - grid.bounds[0] < 0.1
    geocoder = build_geocoder(plane(lat), plane(wrapped), grid)
    # The drawn shape must be that of the same scene elsewhere.
    elsewhere = Grid(
        grid.rows,
        grid.cols,
        Affine(grid.transform.a, 0, grid.transform.c - 180.0 + lon.mean(), 0, grid.transform.e, grid.transform.f),
        grid.crs,
    )
    reference = indices(build_geocoder(plane(lat), plane(lon), elsewhere))
    assert (indices(geocoder) == reference).mean() > 0.999
    limited = target_grid(plane(lat), plane(wrapped), bounds=(179.99, 44.9, -179.99, 45.1))
    assert 0.01 < limited.bounds[2] - limited.bounds[0] < 0.03


@given(
    latitude=st.floats(-70, 70),
    longitude=st.floats(0.5, 179),  # a centre at exactly 0, 0 is no data
    heading=st.floats(-180, 180),
    mirrored=st.booleans(),
    resolution_factor=st.floats(0.4, 2.0),
)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_no_holes_anywhere_in_any_direction(latitude, longitude, heading, mirrored, resolution_factor):
    row, col = np.meshgrid(np.arange(25.0), np.arange(25.0), indexing="ij")
    col = -col if mirrored else col
    turn = math.radians(heading)
    east = 60.0 * (col * math.cos(turn) - row * math.sin(turn))
    north = 60.0 * (col * math.sin(turn) + row * math.cos(turn))
    lat = latitude + north / 111_200.0
    lon = longitude + east / (111_200.0 * np.cos(np.deg2rad(latitude)))
    grid = target_grid(plane(lat), plane(lon), resolution=5.4e-4 * resolution_factor)
    geocoder = build_geocoder(plane(lat), plane(lon), grid)
    map_lon, map_lat = centres(grid)
    up = (map_lat - latitude) * 111_200.0
    right = (map_lon - longitude) * 111_200.0 * np.cos(np.deg2rad(latitude))
    map_col = (right * math.cos(turn) + up * math.sin(turn)) / 60.0
    map_row = (-right * math.sin(turn) + up * math.cos(turn)) / 60.0
    map_col = -map_col if mirrored else map_col
    inside = (np.abs(map_row - 12) < 12.45) & (np.abs(map_col - 12) < 12.45)
    outside = (np.abs(map_row - 12) > 12.55) | (np.abs(map_col - 12) > 12.55)
    index = indices(geocoder)
    assert (index[inside] >= 0).all()
    assert (index[outside] < 0).all()
    clear = inside & (np.abs(map_row % 1 - 0.5) > 0.02) & (np.abs(map_col % 1 - 0.5) > 0.02)
    expected = np.rint(map_row) * 25 + np.rint(map_col)
    np.testing.assert_array_equal(index[clear], expected[clear])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"resolution": 0.0}, "--resolution"),
        ({"resolution": -30.0}, "--resolution"),
        ({"resolution": math.nan}, "--resolution"),
        ({"resolution": 30.0}, "degree"),  # metres given, degrees wanted
        ({"resolution": 3e-4, "crs": "EPSG:32632"}, "metre"),
        ({"crs": "EPSG:999999"}, "--crs"),
        ({"crs": "nonsense"}, "--crs"),
        ({"crs": "EPSG:4978"}, "--crs"),
        ({"bounds": (20.0, 44.0, 21.0, 46.0)}, "--bbox"),
        ({"bounds": (7.1, 44.0, 7.0, 46.0)}, "--bbox"),
        ({"bounds": (7.0, 46.0, 7.1, 44.0)}, "--bbox"),
        ({"bounds": (45.0, 7.0, 45.1, 7.1), "crs": "EPSG:32632"}, "--bbox"),
    ],
)
def test_options_that_cannot_be_used_are_named(options, named):
    lat, lon = skewed_table()
    with pytest.raises(OptionError, match=named):
        target_grid(plane(lat), plane(lon), **options)


def test_bounds_limit_a_drawn_grid():
    lat, lon = skewed_table()
    bounds = (7.005, 45.005, 7.015, 45.015)
    grid = target_grid(plane(lat), plane(lon), bounds=bounds)
    np.testing.assert_allclose(grid.bounds, bounds, atol=grid.resolution[0])
    whole = target_grid(plane(lat), plane(lon))
    row = round((whole.bounds[3] - grid.bounds[3]) / grid.resolution[1])
    col = round((grid.bounds[0] - whole.bounds[0]) / grid.resolution[0])
    part = indices(build_geocoder(plane(lat), plane(lon), grid))
    np.testing.assert_array_equal(
        part, indices(build_geocoder(plane(lat), plane(lon), whole))[row : row + grid.rows, col : col + grid.cols]
    )
    metric = target_grid(plane(lat), plane(lon), crs="EPSG:32632", bounds=bounds)
    assert metric.shape[0] * metric.resolution[0] == pytest.approx(0.01 * 111_200, rel=0.1)


def test_unusable_tables_are_named():
    nothing = plane(np.full((5, 5), np.nan))
    with pytest.raises(InputError, match="no valid value"):
        target_grid(nothing, nothing)
    zero = plane(np.zeros((5, 5)))
    with pytest.raises(InputError, match="no valid value"):
        target_grid(zero, zero)
    with pytest.raises(InputError, match="one size"):
        target_grid(plane(np.ones((5, 5))), plane(np.ones((5, 6))))
    with pytest.raises(InputError, match="same place"):
        target_grid(plane(np.full((5, 5), 45.0)), plane(np.full((5, 5), 7.0)))
    lat, lon = skewed_table()
    with pytest.raises(InputError, match="two rows"):
        target_grid(plane(lat[:1]), plane(lon[:1]))
    with pytest.raises(InputError, match="north-up"):
        build_geocoder(plane(lat), plane(lon), Grid.radar(5, 5))
    geocoder = build_geocoder(plane(lat), plane(lon), target_grid(plane(lat), plane(lon)))
    with pytest.raises(InputError, match="70 x 60"):
        geocoder.gather(lat[1:], slice(0, 1))


def test_a_single_row_or_column_of_valid_pixels_is_placed_only_with_a_neighbour():
    lat, lon = skewed_table(12, 12)
    alone = np.full(lat.shape, np.nan)
    alone_lon = alone.copy()
    alone[:6], alone_lon[:6] = lat[:6], lon[:6]
    alone[9, 9], alone_lon[9, 9] = lat[9, 9], lon[9, 9]
    grid = target_grid(plane(lat), plane(lon), resolution=1e-4)
    geocoder = build_geocoder(plane(alone), plane(alone_lon), grid)
    assert set(np.unique(indices(geocoder))) == {-1, *range(72)}


def test_real_isce_table_lands_on_the_grid_of_the_snap_products(shared_data: Path):
    folder = shared_data / "mexico_sentinel1" / "isce_tops" / "merged" / "geom_reference"
    lat = np.fromfile(folder / "lat.rdr", "<f8").reshape(60, 50)
    lon = np.fromfile(folder / "lon.rdr", "<f8").reshape(60, 50)
    step = 0.0013888889  # IMAGE_TO_MODEL_TRANSFORM of snap/dem_tc.dim
    snap = Grid(60, 50, Affine(step, 0, -99.19106978163674, 0, -step, 19.451292623451756), "EPSG:4326")
    grid, flip_rows, flip_cols = regular_lookup_grid(plane(lat), plane(lon))
    assert (flip_rows, flip_cols) == (True, False)
    assert grid.same_as(snap, tolerance_pixels=1e-9)
    height_isce = np.fromfile(folder / "hgt.rdr", "<f8").reshape(60, 50)
    height_snap = np.fromfile(shared_data / "mexico_sentinel1/snap/dem_tc.data/elevation.img", ">f4").reshape(60, 50)
    mapped = everywhere(build_geocoder(plane(lat), plane(lon), grid), height_isce)
    np.testing.assert_allclose(mapped, height_snap, atol=1e-3)
    assert grid.rowcol(LonLat(float(lon[0, 0]), float(lat[0, 0]))) == RowCol(59, 0)
