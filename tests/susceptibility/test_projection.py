"""Which grids serve for measuring, and how one lies on another."""

from __future__ import annotations

import logging

import numpy as np
import pyproj
import pytest
from affine import Affine

from insar.grid import Grid
from susceptibility.errors import InputError
from susceptibility.projection import PixelPlaces, metric_grid, require_metric, utm_crs


def grid_at(lon: float, lat: float, crs: str, step: float = 30.0, size: int = 100) -> Grid:
    """Square grid with its upper left corner at a place."""
    x, y = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    return Grid(size, size, Affine(step, 0, x, 0, -step, y), crs)


@pytest.mark.parametrize(
    ("lon", "lat", "crs"),
    [
        (-79.1, -4.0, "EPSG:32717"),
        (9.3, 40.0, "EPSG:3035"),  # Europe, equal area
        (-19.0, 64.5, "EPSG:3035"),
        (-122.0, 38.0, "EPSG:5070"),  # United States, Albers
        (10.0, 47.0, "EPSG:3034"),  # Europe, conformal
        (172.0, -41.5, "EPSG:2193"),  # New Zealand
        (-79.1, -4.0, "EPSG:32717+5773"),  # with heights of EGM96
        (0.0, 1.0, "EPSG:3395"),  # world Mercator where it is true, at the equator
    ],
)
def test_projections_made_for_their_area_serve(lon: float, lat: float, crs: str) -> None:
    grid = grid_at(lon, lat, crs)
    require_metric(grid, "dem.tif")
    assert metric_grid(grid, "dem.tif") == grid


@pytest.mark.parametrize(
    ("lon", "lat", "crs"),
    [
        (9.0, 45.0, "EPSG:3395"),  # world Mercator, metres stretched by 1.41
        (9.0, 45.0, "ESRI:54001"),  # plate carree
        (60.0, 45.0, "ESRI:54008"),  # sinusoidal, sheared away from its meridian
        (40.0, 45.0, "EPSG:32631"),  # a UTM zone far from home
    ],
)
def test_projections_in_metres_that_stretch_the_area_are_refused(lon: float, lat: float, crs: str) -> None:
    grid = grid_at(lon, lat, crs)
    with pytest.raises(InputError, match=r"dem\.tif: required a projection that keeps lengths within 5%"):
        require_metric(grid, "dem.tif")
    projected = metric_grid(grid, "dem.tif")
    assert projected.crs == utm_crs(grid)
    assert projected.crs != crs


def test_the_message_names_the_zone_to_project_to() -> None:
    with pytest.raises(InputError, match=r"degrees.*EPSG:32632"):
        require_metric(grid_at(9.3, 40.0, "EPSG:4326", 1 / 3600), "dem.tif")


@pytest.mark.parametrize(
    ("lon", "lat", "epsg"),
    [(-180.0, 10.0, 32601), (-179.99, -10.0, 32701), (179.5, 10.0, 32660), (0.5, 50.0, 32631), (-0.5, 50.0, 32630)],
)
def test_utm_zone_of_a_place(lon: float, lat: float, epsg: int) -> None:
    assert utm_crs(grid_at(lon, lat, "EPSG:4326", 1e-5, 10)) == f"EPSG:{epsg}"


def test_places_are_those_of_the_projection() -> None:
    target, source = grid_at(9.3, 40.0, "EPSG:32632"), grid_at(9.29, 40.01, "EPSG:4326", 1 / 3600, 300)
    rows, cols = PixelPlaces.between(target, source).centres(slice(10, 20), slice(30, 45))
    to_lonlat = pyproj.Transformer.from_crs("EPSG:32632", "EPSG:4326", always_xy=True)
    east = target.transform.c + (30 + np.arange(15) + 0.5) * 30.0
    north = target.transform.f - (10 + np.arange(10) + 0.5) * 30.0
    lon, lat = to_lonlat.transform(*np.meshgrid(east, north))
    np.testing.assert_allclose(cols, (lon - source.transform.c) * 3600, atol=2e-6)
    np.testing.assert_allclose(rows, (source.transform.f - lat) * 3600, atol=2e-6)


def test_datums_are_shifted_and_heights_are_not() -> None:
    """South American datum of 1956 lies some 400 m off WGS 84 in Ecuador; a geoid in the name moves nothing."""
    source = grid_at(-79.1, -4.0, "EPSG:4326", 1 / 3600)
    row, col = np.array([50.0]), np.array([50.0])
    plain = grid_at(-79.1, -4.0, "EPSG:32717")
    with_heights = Grid(*plain.shape, plain.transform, "EPSG:32717+5773")
    old = Grid(*plain.shape, plain.transform, "EPSG:24877")
    here, same, off = (PixelPlaces.between(grid, source).at(row, col) for grid in (plain, with_heights, old))
    np.testing.assert_array_equal(here, same)
    assert 100.0 < 30.9 * np.hypot(off[0] - here[0], off[1] - here[1])[0] < 800.0


def test_two_systems_of_heights_are_no_unknown_shift(caplog: pytest.LogCaptureFixture) -> None:
    source, target = grid_at(-79.1, -4.0, "EPSG:4326+3855", 1 / 3600), grid_at(-79.1, -4.0, "EPSG:32717+5773")
    with caplog.at_level(logging.WARNING):
        PixelPlaces.between(target, source)
    assert caplog.text == ""


def test_an_unknown_datum_shift_is_told(caplog: pytest.LogCaptureFixture) -> None:
    unknown = "+proj=utm +zone=32 +ellps=bessel +units=m +no_defs"
    target = Grid(10, 10, Affine(30, 0, 526_000, 0, -30, 4_427_000), pyproj.CRS.from_user_input(unknown).to_wkt())
    with caplog.at_level(logging.WARNING):
        PixelPlaces.between(target, grid_at(9.3, 40.0, "EPSG:4326", 1 / 3600))
    assert "No known shift between the datums" in caplog.text


def test_places_beyond_a_projection_are_not_finite() -> None:
    source = grid_at(9.3, 40.0, "EPSG:32632")
    opposite = grid_at(-170.0, -80.0, "EPSG:4326", 0.1)
    places = PixelPlaces.between(opposite, source)
    rows, cols = places.centres(slice(0, 5), slice(0, 5))
    inside = (rows > 0) & (rows < source.rows) & (cols > 0) & (cols < source.cols)
    assert not inside.any()
    assert not places.overlap
