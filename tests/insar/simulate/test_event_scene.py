from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyproj
import pytest

from insar.errors import OptionError
from insar.simulate.event_frame import MODEL_NODES, model_grid, radar_extent
from insar.simulate.event_parameters import Cover, EventParameters
from insar.simulate.event_scene import EventScene, simulate_map_event, simulate_radar_event
from insar.simulate.event_view import EventView
from insar.simulate.fields import Outline
from insar.simulate.terrain import slope_components
from insar.simulate.view import EARTH_RADIUS_M, PLATFORM_HEIGHT_M

ALL = slice(0, 192)


@pytest.fixture(scope="module")
def parameters() -> EventParameters:
    return EventParameters(seed=3, rows=192, cols=240, range_pixel_m=8.0, landslides=12, landslide_length_max_m=400.0)


@pytest.fixture(scope="module")
def radar(parameters: EventParameters) -> EventScene:
    return simulate_radar_event(parameters)


@pytest.fixture(scope="module")
def on_map(parameters: EventParameters) -> EventScene:
    return simulate_map_event(parameters)


def test_slant_range_and_incidence_of_a_sphere() -> None:
    view = EventView(348.0, 36.0)
    slant = view.near_range_m + np.array([0.0, 1_000.0, 60_000.0])
    distance = view.distance_m(slant)
    incidence = np.radians(view.incidence_deg(distance))
    assert distance[0] == pytest.approx(0.0, abs=1e-3)
    # The triangle of the Earth's centre, the platform and the ground, side by side and angle by angle.
    orbit = EARTH_RADIUS_M + PLATFORM_HEIGHT_M
    by_sides = (orbit**2 - EARTH_RADIUS_M**2 - slant**2) / (2.0 * EARTH_RADIUS_M * slant)
    np.testing.assert_allclose(np.cos(incidence), by_sides, atol=1e-6)
    center = np.arccos((EARTH_RADIUS_M**2 + orbit**2 - slant**2) / (2.0 * EARTH_RADIUS_M * orbit))
    np.testing.assert_allclose(distance, EARTH_RADIUS_M * (center - center[0]), atol=0.1)


def test_local_incidence_of_slopes() -> None:
    view = EventView(0.0, 40.0)  # looks east from the west
    flat, rising = np.array([0.0]), np.array([np.tan(np.radians(15.0))])
    incidence = np.array([40.0])
    assert view.local_incidence_deg(incidence, flat, flat)[0] == pytest.approx(40.0)
    assert view.local_incidence_deg(incidence, rising, flat)[0] == pytest.approx(25.0)
    assert view.facing_deg(rising, flat)[0] == pytest.approx(15.0)
    assert view.local_incidence_deg(incidence, -rising, flat)[0] == pytest.approx(55.0)
    bright = 10.0 * np.log10(np.sin(np.radians(40.0)) / np.sin(np.radians(25.0)))
    assert view.brightness_db(incidence, rising, flat)[0] == pytest.approx(bright)


def test_places_are_the_same_in_any_window(radar: EventScene) -> None:
    whole = radar.frame.places(ALL, slice(0, 240))
    part = radar.frame.places(slice(31, 77), slice(100, 203))
    for all_places, some in zip(whole, part, strict=True):
        np.testing.assert_array_equal(all_places[31:77, 100:203], some)


def test_lonlat_is_that_of_the_places(radar: EventScene) -> None:
    lon, lat = radar.frame.lonlat(ALL, slice(0, 240))
    places = radar.frame.places(ALL, slice(0, 240))
    grid = radar.model.pixels.grid
    easting, northing = grid.map_coordinates(places.rows + 0.5, places.cols + 0.5)
    exact = pyproj.Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True).transform(easting, northing)
    np.testing.assert_allclose(lon, exact[0], atol=1e-8)
    np.testing.assert_allclose(lat, exact[1], atol=1e-8)


def test_flat_radar_grid_has_its_pixels_on_the_ground(parameters: EventParameters) -> None:
    scene = simulate_radar_event(replace(parameters, foreshortening=0.0, landslides=0))
    places = scene.frame.places(ALL, slice(0, 240))
    meters = [scene.model.pixel_m * place for place in places]
    down = np.hypot(*(np.diff(part, axis=0) for part in meters))
    np.testing.assert_allclose(down, parameters.azimuth_pixel_m, rtol=1e-9)
    fields = scene.fields(ALL)
    ground_pixel = parameters.range_pixel_m / np.sin(np.radians(fields.incidence_deg[:, 1:]))
    right = np.hypot(*(np.diff(part, axis=1) for part in meters))
    np.testing.assert_allclose(right, ground_pixel, rtol=2e-3)
    assert fields.incidence_deg[0, 0] == pytest.approx(parameters.incidence_near_deg, abs=1e-3)
    # Ascending: lines go north, samples go east.
    assert (np.diff(places.rows, axis=0) < 0.0).all()
    assert (np.diff(places.cols, axis=1) > 0.0).all()


def test_heights_displace_pixels_toward_the_sensor(radar: EventScene, parameters: EventParameters) -> None:
    flat = simulate_radar_event(replace(parameters, foreshortening=0.0, landslides=0))
    step = np.diff(radar.frame.places(ALL, slice(0, 240)).cols, axis=1)
    flat_step = np.diff(flat.frame.places(ALL, slice(0, 240)).cols, axis=1)
    fields = radar.fields(ALL)
    facing = radar.facing_slope_deg(fields)[:, 1:]
    stretch = step / flat_step
    # Slopes that face the sensor crowd into fewer pixels, each of which holds more ground.
    assert stretch[facing > 15.0].mean() > 1.15
    assert stretch[facing < -15.0].mean() < 0.95


def test_fields_are_the_same_for_any_rows(radar: EventScene) -> None:
    whole, part = radar.fields(ALL), radar.fields(slice(50, 121))
    for name in ("height_m", "incidence_deg", "cover", "is_landslide", "brightness_db", "survival"):
        np.testing.assert_array_equal(getattr(whole, name)[50:121], getattr(part, name), err_msg=name)
    np.testing.assert_array_equal(radar.coherence(whole, 6, 8)[50:121], radar.coherence(part, 6, 8))


@pytest.mark.parametrize("kind", ["radar", "map", "truth map"])
def test_landslides_are_their_outlines(radar: EventScene, on_map: EventScene, kind: str) -> None:
    scene = {"radar": radar, "map": on_map, "truth map": radar.on_map()}[kind]
    rows, cols = scene.shape
    places = scene.frame.places(slice(0, rows), slice(0, cols))
    expected = np.zeros(scene.shape, bool)
    for outline in scene.ground.landslides:
        expected |= outline.radius(places.rows, places.cols) < 1.0
    np.testing.assert_array_equal(scene.fields(slice(0, rows)).is_landslide, expected)
    assert 0.005 < expected.mean() < 0.15


def test_landslides_run_down_slopes_and_lie_apart(radar: EventScene) -> None:
    slides, model = radar.ground.landslides, radar.model
    assert len(slides) == 12
    east, north = slope_components(radar.ground.height_m.astype(np.float64), model.pixel_m)
    slope = np.hypot(east, north)
    at = [slope[round(slide.row), round(slide.col)] for slide in slides]
    assert np.mean(at) > np.median(slope)
    lengths = np.array([2.0 * slide.half_length * model.pixel_m for slide in slides])
    assert lengths.min() >= 150.0
    assert lengths.max() <= 400.0
    assert all(slide.half_width <= 0.5 * slide.half_length for slide in slides)
    falls = [_fall(radar, slide) for slide in slides]
    assert np.mean(np.array(falls) > 0.0) > 0.8
    gaps = [
        np.hypot(one.row - other.row, one.col - other.col) - one.half_length - other.half_length
        for number, one in enumerate(slides)
        for other in slides[:number]
    ]
    assert min(gaps) > 0.0


def _fall(scene: EventScene, slide: Outline) -> float:
    """Height of the upper end of a landslide above its lower one, in metres."""
    azimuth = np.radians(slide.azimuth_deg)
    ends = [
        scene.ground.height_m[
            round(slide.row - way * slide.half_length * np.cos(azimuth)),
            round(slide.col + way * slide.half_length * np.sin(azimuth)),
        ]
        for way in (-1.0, 1.0)
    ]
    return float(ends[0] - ends[1])


def test_too_many_landslides_are_refused(parameters: EventParameters) -> None:
    with pytest.raises(OptionError, match="simulation parameter landslides: required as many as have room"):
        simulate_map_event(replace(parameters, landslides=5_000))


def test_covers_have_their_shares(on_map: EventScene, parameters: EventParameters) -> None:
    cover = on_map.fields(ALL).cover
    shares = {kind: float((cover == kind).mean()) for kind in Cover}
    assert shares[Cover.WATER] == pytest.approx(parameters.water_share, abs=0.01)
    dry = 1.0 - parameters.water_share
    assert shares[Cover.BARE] == pytest.approx(dry * parameters.bare_share, abs=0.03)
    assert shares[Cover.GRASS] == pytest.approx(dry * parameters.grass_share, abs=0.03)


def test_map_shows_the_same_ground_from_any_heading(on_map: EventScene, parameters: EventParameters) -> None:
    descending = simulate_map_event(replace(parameters, heading_deg=192.0))
    one, other = on_map.fields(ALL), descending.fields(ALL)
    np.testing.assert_array_equal(one.is_landslide, other.is_landslide)
    np.testing.assert_array_equal(one.cover, other.cover)
    assert (np.diff(one.incidence_deg, axis=1) > 0.0).all()
    assert (np.diff(other.incidence_deg, axis=1) < 0.0).all()


def test_large_scenes_have_a_coarser_model() -> None:
    parameters = EventParameters(rows=30_000, cols=30_000)
    model = model_grid(parameters, radar_extent(parameters, EventView.of(parameters)))
    assert 0.7 * MODEL_NODES < model.terrain.rows * model.terrain.cols < 1.3 * MODEL_NODES
    assert model.pixel_m > 200.0
