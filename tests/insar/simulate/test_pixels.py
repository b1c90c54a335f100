from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyproj
import pytest
import scipy.ndimage

from insar.errors import InputError, OptionError
from insar.simulate import SimulatedScene, SimulationParameters, simulate_scene
from insar.simulate.pixels import radar_pixels, scene_pixels


def map_values_at(scene: SimulatedScene, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Heights of the map grid at places, by an interpolation of its own."""
    grid = scene.pixels.grid
    easting, northing = pyproj.Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True).transform(lon, lat)
    col = (easting - grid.transform.c) / grid.transform.a - 0.5
    row = (northing - grid.transform.f) / grid.transform.e - 0.5
    return scipy.ndimage.map_coordinates(scene.fields.height_m.astype(np.float64), [row, col], order=1, mode="nearest")


@pytest.mark.parametrize("heading", [348.0, 192.0, 100.0])
def test_radar_grid_is_placed_by_its_look_up_table(small: SimulationParameters, heading: float) -> None:
    parameters = replace(small, heading_deg=heading, creeping_slopes=0, accelerating_slopes=0)
    scene = simulate_scene(parameters)
    radar = scene.on_radar_grid()
    assert radar.pixels.grid.crs is None
    lon, lat = radar.pixels.lonlat()
    np.testing.assert_allclose(radar.fields.height_m, map_values_at(scene, lon, lat), atol=0.01)
    # All of it lies in the scene, and not just a corner of it.
    assert radar.pixels.map_rows.min() >= -1e-6
    assert radar.pixels.map_rows.max() <= scene.shape[0] - 1 + 1e-6
    assert radar.pixels.map_cols.min() >= -1e-6
    assert radar.pixels.map_cols.max() <= scene.shape[1] - 1 + 1e-6
    assert radar.shape[0] * radar.shape[1] > 0.5 * scene.shape[0] * scene.shape[1]


def test_ascending_rows_run_north_and_columns_away_from_the_sensor(small: SimulationParameters) -> None:
    lon, lat = simulate_scene(small).on_radar_grid().pixels.lonlat()
    assert (np.diff(lat, axis=0) > 0).all()
    assert (np.diff(lon, axis=1) > 0).all()
    # The heading turns the grid: along a row, that is to the east, latitude grows too.
    metres_north = (lat[:, -1] - lat[:, 0]) * 110_900
    metres_east = (lon[:, -1] - lon[:, 0]) * 111_320 * np.cos(np.radians(lat.mean()))
    convergence_deg = (small.center_lon_deg - 105.0) * np.sin(np.radians(small.center_lat_deg))
    turned = np.degrees(np.arctan2(metres_north, metres_east)).mean()
    assert turned == pytest.approx(12.0 - convergence_deg, abs=0.3)
    # Along a column, that is along the pass, it goes to the west by the same angle.
    along_north = (lat[-1] - lat[0]) * 110_900
    along_east = (lon[-1] - lon[0]) * 111_320 * np.cos(np.radians(lat.mean()))
    flat = simulate_scene(replace(small, foreshortening=0.0)).on_radar_grid()
    assert np.degrees(np.arctan2(-along_east, along_north)).mean() == pytest.approx(12.0 - convergence_deg, abs=3.0)
    steps = [np.diff(places, axis=0) for places in (flat.pixels.map_rows, flat.pixels.map_cols)]
    across = [np.diff(places, axis=1) for places in (flat.pixels.map_rows, flat.pixels.map_cols)]
    product = steps[0][:, 1:] * across[0][1:] + steps[1][:, 1:] * across[1][1:]
    np.testing.assert_allclose(product, 0.0, atol=1e-9)


def test_descending_rows_run_south(small: SimulationParameters) -> None:
    scene = simulate_scene(replace(small, heading_deg=192.0))
    lon, lat = scene.on_radar_grid().pixels.lonlat()
    assert (np.diff(lat, axis=0) < 0).all()
    assert (np.diff(lon, axis=1) < 0).all()


def test_foreshortening_compresses_slopes_that_face_the_sensor(small: SimulationParameters) -> None:
    radar = simulate_scene(small).on_radar_grid()
    step = np.hypot(np.diff(radar.pixels.map_rows, axis=1), np.diff(radar.pixels.map_cols, axis=1))
    rise = np.diff(scipy.ndimage.gaussian_filter(radar.fields.height_m.astype(np.float64), 2.0), axis=1)
    assert np.corrcoef(step.ravel(), rise.ravel())[0, 1] > 0.7  # rising with range: more ground in a pixel of range
    assert step.min() > 0.3
    flat = simulate_scene(replace(small, foreshortening=0.0)).on_radar_grid()
    even = np.hypot(np.diff(flat.pixels.map_rows, axis=1), np.diff(flat.pixels.map_cols, axis=1))
    np.testing.assert_allclose(even, 1.0, atol=1e-9)


@pytest.mark.parametrize("heading", [348.0, 192.0])
def test_regular_look_up_table(small: SimulationParameters, heading: float) -> None:
    scene = simulate_scene(replace(small, regular_lookup=True, heading_deg=heading))
    radar, on_map = scene.on_radar_grid(), scene.on_geographic_grid()
    lon, lat = radar.pixels.lonlat()
    assert abs(lon - lon[:1]).max() < 1e-9
    assert abs(lat - lat[:, :1]).max() < 1e-9
    steps = np.diff(lon[0]), np.diff(lat[:, 0])
    for step in steps:
        np.testing.assert_allclose(step, step[0], rtol=1e-6)
    turn = np.s_[::-1, :] if heading == 348.0 else np.s_[:, ::-1]
    np.testing.assert_array_equal(radar.fields.height_m, on_map.fields.height_m[turn])


def test_geographic_grid_is_north_up_with_square_degrees(small: SimulationParameters) -> None:
    scene = simulate_scene(small)
    stack = scene.on_geographic_grid()
    grid = stack.pixels.grid
    assert grid.crs == "EPSG:4326"
    assert grid.transform.a == -grid.transform.e
    assert grid.transform.a == pytest.approx(small.pixel_size_m / 111_319.49, rel=1e-6)
    lon, lat = stack.pixels.lonlat()
    expected_lon = grid.transform.c + grid.transform.a * (np.arange(grid.cols) + 0.5)
    expected_lat = grid.transform.f + grid.transform.e * (np.arange(grid.rows) + 0.5)
    np.testing.assert_allclose(lon, np.broadcast_to(expected_lon, grid.shape), atol=1e-9)
    np.testing.assert_allclose(lat, np.broadcast_to(expected_lat[:, None], grid.shape), atol=1e-9)
    np.testing.assert_allclose(stack.fields.height_m, map_values_at(scene, lon, lat), atol=0.01)


@pytest.mark.parametrize(("lon", "lat", "crs"), [(103.6, 31.2, 32648), (-70.2, -33.4, 32719), (179.9, 5.0, 32660)])
def test_map_grid_is_utm_around_the_centre(lon: float, lat: float, crs: int) -> None:
    parameters = SimulationParameters(rows=20, cols=30, center_lon_deg=lon, center_lat_deg=lat, creeping_slopes=0)
    pixels = scene_pixels(parameters)
    assert pixels.grid.crs == f"EPSG:{crs}"
    assert pixels.grid.shape == (20, 30)
    longitudes, latitudes = pixels.lonlat()
    assert longitudes.mean() == pytest.approx(lon, abs=0.002)
    assert latitudes.mean() == pytest.approx(lat, abs=0.002)


def test_stable_ground_does_not_move_on_any_grid(small: SimulationParameters) -> None:
    scene = simulate_scene(replace(small, seasonal_amplitude_m=0.0))
    for stack in (scene, scene.on_radar_grid(), scene.on_geographic_grid()):
        stable = stack.fields.kind == 1
        assert (stack.displacements_m()[:, stable] == 0.0).all()
        assert {2, 3} & set(np.unique(stack.fields.kind))


def test_unwrapping_errors_lie_at_the_same_place_on_all_grids(small: SimulationParameters) -> None:
    scene = simulate_scene(small.without_disturbances(unwrapping_jumps=1))
    index = scene.jumps[0].pair_index
    places = []
    for stack in (scene, scene.on_geographic_grid(), scene.on_radar_grid()):
        jumped = abs(stack.interferogram(index).phase_rad) > np.pi
        lon, lat = stack.pixels.lonlat()
        places.append((lon[jumped].mean(), lat[jumped].mean()))
    for lon, lat in places[1:]:
        assert lon == pytest.approx(places[0][0], abs=5e-4)
        assert lat == pytest.approx(places[0][1], abs=5e-4)


def test_placed_scene_is_not_placed_again(small: SimulationParameters) -> None:
    radar = simulate_scene(small).on_radar_grid()
    for place in (radar.on_radar_grid, radar.on_geographic_grid):
        with pytest.raises(InputError, match="the scene on its map grid"):
            place()


def test_relief_that_leaves_no_common_range_is_refused() -> None:
    parameters = SimulationParameters(rows=20, cols=20, heading_deg=0.0, foreshortening=1.0)
    heights = np.zeros((20, 20))
    heights[:10] = 5_000.0  # the far range of these lines comes before the near range of the others
    with pytest.raises(OptionError, match="rows, cols"):
        radar_pixels(scene_pixels(parameters), parameters, heights)


def test_scene_across_the_180th_meridian_is_refused() -> None:
    with pytest.raises(OptionError, match="180th meridian"):
        scene_pixels(SimulationParameters(rows=20, cols=30, center_lon_deg=179.999))
