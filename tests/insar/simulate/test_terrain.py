from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.ndimage

from insar.simulate import SimulationParameters
from insar.simulate.terrain import simulate_heights, simulate_vegetation, slope_components
from insar.simulate.view import LAYOVER, SHADOW, VISIBLE, EastNorthUp, simulate_view, slant_range_m


@pytest.mark.parametrize("size", [60, 240])  # with and without refinement of a coarser network
def test_slopes_are_those_of_mountains(size: int) -> None:
    parameters = SimulationParameters(seed=1, rows=size, cols=size, median_slope_deg=20.0)
    heights = simulate_heights(parameters)
    slope = np.degrees(np.arctan(np.hypot(*slope_components(heights, parameters.pixel_size_m))))
    assert np.median(slope) == pytest.approx(20.0, abs=0.01)
    assert np.quantile(slope, 0.99) < 47.0
    assert np.quantile(slope, 0.05) < 10.0  # valley floors
    assert heights.min() == pytest.approx(parameters.lowest_height_m)


def test_water_leaves_the_landscape() -> None:
    """Almost every pixel has a lower neighbour: valleys are connected, there are hardly any pits."""
    heights = simulate_heights(SimulationParameters(seed=2, rows=100, cols=100))
    lowest_around = scipy.ndimage.minimum_filter(heights, size=3, mode="constant", cval=-np.inf)
    assert (heights[1:-1, 1:-1] <= lowest_around[1:-1, 1:-1]).mean() < 0.005


def test_slope_components_of_a_plane() -> None:
    rows, cols = np.mgrid[0:20, 0:30]
    east, north = slope_components(0.3 * cols * 10.0 - 0.2 * -rows * 10.0, 10.0)
    np.testing.assert_allclose(east, 0.3)
    np.testing.assert_allclose(north, -0.2)


def test_vegetation_has_patches_of_all_kinds() -> None:
    parameters = SimulationParameters(seed=3, rows=100, cols=100)
    heights = simulate_heights(parameters)
    slope = np.degrees(np.arctan(np.hypot(*slope_components(heights, parameters.pixel_size_m))))
    vegetation = simulate_vegetation(parameters, heights, slope)
    assert vegetation.min() >= 0.0
    assert vegetation.max() <= 1.0
    assert (vegetation < 0.25).mean() == pytest.approx(0.35, abs=0.03)
    assert (vegetation > 0.7).mean() == pytest.approx(0.30, abs=0.03)
    neighbours = np.corrcoef(vegetation[:, 1:].ravel(), vegetation[:, :-1].ravel())[0, 1]
    assert neighbours > 0.7  # patches, not salt and pepper


def test_incidence_grows_from_near_to_far_edge() -> None:
    parameters = SimulationParameters(rows=40, cols=50, heading_deg=348.0)
    view = simulate_view(parameters, np.zeros((40, 50)))
    assert view.incidence_deg.min() == pytest.approx(parameters.incidence_near_deg)
    assert view.incidence_deg.max() == pytest.approx(parameters.incidence_far_deg)
    assert view.incidence_deg[20, 0] < view.incidence_deg[20, -1]  # ascending, looking east
    descending = simulate_view(SimulationParameters(rows=40, cols=50, heading_deg=192.0), np.zeros((40, 50)))
    assert descending.incidence_deg[20, 0] > descending.incidence_deg[20, -1]


def test_line_of_sight_of_known_motions() -> None:
    view = simulate_view(SimulationParameters(rows=20, cols=20, heading_deg=0.0), np.zeros((20, 20)))
    assert view.azimuth_deg == 270.0  # flying north and looking right, the satellite is in the west
    incidence = np.array([[40.0]])
    sine, cosine = math.sin(math.radians(40.0)), math.cos(math.radians(40.0))
    for motion, expected in (((0, 0, 1), cosine), ((1, 0, 0), -sine), ((-1, 0, 0), sine), ((0, 1, 0), 0.0)):
        found = view.sensitivity(EastNorthUp(*map(float, motion)), incidence)
        assert found[0, 0] == pytest.approx(expected, abs=1e-12)
    assert view.toward_satellite(40.0) == pytest.approx((-sine, 0.0, cosine), abs=1e-12)


@pytest.mark.parametrize(
    ("rise_east", "expected"),
    [
        (math.tan(math.radians(45.0)), LAYOVER),  # rises away from a satellite in the west
        (math.tan(math.radians(30.0)), VISIBLE),
        (-math.tan(math.radians(45.0)), VISIBLE),
        (-math.tan(math.radians(60.0)), SHADOW),
    ],
)
def test_layover_and_shadow_by_slope(rise_east: float, expected: int) -> None:
    parameters = SimulationParameters(
        rows=20, cols=20, heading_deg=0.0, incidence_near_deg=39.0, incidence_far_deg=39.0
    )
    heights = rise_east * parameters.pixel_size_m * np.mgrid[0:20, 0:20][1]
    assert (simulate_view(parameters, heights).visibility == expected).all()


def test_slant_range_closes_the_triangle() -> None:
    """Earth's centre, target and satellite: law of cosines."""
    from insar.simulate.view import EARTH_RADIUS_M, PLATFORM_HEIGHT_M

    for incidence in (20.0, 39.0, 55.0):
        distance = float(slant_range_m(incidence))
        radius = math.sqrt(
            EARTH_RADIUS_M**2 + distance**2 + 2 * EARTH_RADIUS_M * distance * math.cos(math.radians(incidence))
        )
        assert radius == pytest.approx(EARTH_RADIUS_M + PLATFORM_HEIGHT_M)
