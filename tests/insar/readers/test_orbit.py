"""State vectors against closed forms and against PROJ."""

from __future__ import annotations

import math

import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insar.readers.orbit import platform_state, wrapped_heading

SEMI_MAJOR_M, SEMI_MINOR_M = 6_378_137.0, 6_356_752.314_245


def test_above_the_equator_flying_north() -> None:
    state = platform_state((SEMI_MAJOR_M + 7e5, 0.0, 0.0), (0.0, 0.0, 7500.0))
    assert state.heading_deg == pytest.approx(0.0, abs=1e-12)
    assert state.height_m == pytest.approx(7e5, abs=1e-6)
    assert state.earth_radius_m == pytest.approx(SEMI_MAJOR_M, abs=1e-6)
    assert state.ground_speed_m_per_s == pytest.approx(7500.0 * SEMI_MAJOR_M / (SEMI_MAJOR_M + 7e5))


@given(lon=st.floats(-180, 180), lat=st.floats(-85, 85), height=st.floats(4e5, 1e6), heading=st.floats(-179, 179))
def test_place_and_heading_are_recovered(lon: float, lat: float, height: float, heading: float) -> None:
    to_fixed = pyproj.Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
    position = to_fixed.transform(lon, lat, height)
    east, north = math.sin(math.radians(heading)), math.cos(math.radians(heading))
    lam, phi = math.radians(lon), math.radians(lat)
    velocity = (
        -math.sin(lam) * east - math.sin(phi) * math.cos(lam) * north,
        math.cos(lam) * east - math.sin(phi) * math.sin(lam) * north,
        math.cos(phi) * north,
    )
    state = platform_state(position, velocity)
    assert state.height_m == pytest.approx(height, abs=1e-3)
    assert state.heading_deg == pytest.approx(heading, abs=1e-6)
    surface = math.dist(to_fixed.transform(lon, lat, 0.0), (0.0, 0.0, 0.0))
    assert state.earth_radius_m == pytest.approx(surface, abs=1e-3)


@pytest.mark.parametrize(("heading", "wrapped"), [(347.726, -12.274), (-167.0, -167.0), (192.0, -168.0), (0.0, 0.0)])
def test_heading_is_wrapped(heading: float, wrapped: float) -> None:
    assert wrapped_heading(heading) == pytest.approx(wrapped)
