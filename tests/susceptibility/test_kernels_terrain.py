"""The arc tangent of the terrain kernels, and what follows from it at the edges of its ranges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from susceptibility.kernels import terrain as kernels


@given(st.floats(0.0, 1e300))
def test_arc_tangent(tangent: float) -> None:
    assert kernels._arc_tangent(tangent) == pytest.approx(float(np.arctan(tangent)), rel=1e-13, abs=1e-300)


@pytest.mark.parametrize("degrees", [0.0, 22.5, 45.0, 67.5, 89.999999])
def test_arc_tangent_where_its_ranges_meet(degrees: float) -> None:
    tangent = float(np.tan(np.radians(degrees)))
    for beside in (np.nextafter(tangent, -1.0), tangent, np.nextafter(tangent, np.inf)):
        if beside >= 0.0:
            assert kernels._arc_tangent(beside) == pytest.approx(float(np.arctan(beside)), rel=1e-13)


def test_arc_tangent_of_no_number() -> None:
    assert kernels._arc_tangent(np.inf) == np.pi / 2
    assert np.isnan(kernels._arc_tangent(np.nan))


@given(east=st.floats(-1e3, 1e3), north=st.floats(-1e3, 1e3))
def test_aspect_is_that_of_the_arc_tangent_of_two_numbers(east: float, north: float) -> None:
    """A plane that rises by `east` and `north` metres over two pixels of 1 m faces the other way."""
    x, y = np.array([-0.5, 0.0, 0.5]), np.array([[0.5], [0.0], [-0.5]])
    aspect = np.empty((1, 3), np.float32)
    elevation = east * x + north * y
    kernels.aspect_deg(elevation, 1.0, -1.0, aspect)
    p, q = (elevation[1, 2] - elevation[1, 0]) / 2.0, (elevation[0, 1] - elevation[2, 1]) / 2.0
    if p == 0.0 and q == 0.0:
        assert np.isnan(aspect[0, 1])
        return
    turn = (float(aspect[0, 1]) - np.degrees(np.arctan2(-p, -q)) + 180.0) % 360.0 - 180.0
    assert abs(turn) < 2e-5
    assert 0.0 <= aspect[0, 1] < 360.0


def test_infinite_elevations_are_unknown() -> None:
    elevation = np.arange(15.0).reshape(3, 5)
    elevation[0, 0] = np.inf
    for kernel in (
        kernels.slope_deg,
        kernels.aspect_deg,
        kernels.profile_curvature_per_m,
        kernels.plan_curvature_per_m,
    ):
        factor = np.zeros((1, 5), np.float32)
        kernel(elevation, 1.0, -1.0, factor)
        np.testing.assert_array_equal(np.isnan(factor[0]), [True, True, False, False, True])
