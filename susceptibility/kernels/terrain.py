"""First and second derivatives of a surface from a 3 x 3 window, and what follows from them.

Every kernel takes ``elevation (row + 2, col)``: the rows to work on with one row of neighbours above and below. The
first and last column have no neighbours beside them, so that they come out as NaN, and so does every pixel with a NaN
in its window. Arithmetic is float64 throughout: at 4000 m a float32 elevation is only good to 0.2 mm, and differences
of neighbours must not lose more.

Notes
-----
The partial quartic of Zevenbergen & Thorne (1987) passes through the nine elevations; its derivatives at the centre are
the central differences below, with x to the east and y to the north:

    p = dz/dx, q = dz/dy, r = d2z/dx2, s = d2z/dxdy, t = d2z/dy2

The loops are written so that the compiler works on several pixels at once, which makes them 5 to 15 times faster: each
row is an array of its own, whose indices cannot turn negative; a choice is between two numbers that are there already,
instead of a jump; and the arc tangent is a polynomial, since the library's takes one number at a time.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from susceptibility.kernels.jit import kernel

_Elevation = NDArray[np.floating]
_Factor = NDArray[np.float32]


# Of atan(x) / x in powers of x2 from the highest, fitted to Chebyshev nodes of x2 up to tan2(pi / 8): good to 1e-13.
_ARC_TANGENT = (
    0.03066244106071819,
    -0.05874505671084411,
    0.07563703566499125,
    -0.09078392075170133,
    0.11110385046336717,
    -0.14285690423848002,
    0.19999999604892177,
    -0.3333333333080345,
    0.9999999999999732,
)
_TANGENT_22_5, _TANGENT_67_5 = math.sqrt(2.0) - 1.0, math.sqrt(2.0) + 1.0


@kernel
def _arc_tangent(tangent: float) -> float:
    """Angle whose tangent is 0 or more, radians."""
    # Turned by 45 or 90 degrees where that brings the tangent between -tan(22.5 deg) and tan(22.5 deg).
    steep = tangent > _TANGENT_67_5
    middling = tangent > _TANGENT_22_5
    turned = 0.5 * math.pi if steep else (0.25 * math.pi if middling else 0.0)
    over = -1.0 if steep else (tangent - 1.0 if middling else tangent)
    under = tangent if steep else (tangent + 1.0 if middling else 1.0)
    x = over / under
    x2 = x * x
    series = 0.0
    for coefficient in _ARC_TANGENT:
        series = series * x2 + coefficient
    return turned + x * series


@kernel
def _derivatives(
    above: _Elevation, here: _Elevation, below: _Elevation, col: int, step_x_m: float, step_y_m: float
) -> tuple[bool, float, float, float, float, float]:
    """Return whether nine elevations are finite, and p, q, r, s, t in their middle, ``here[col + 1]``."""
    above_west, above_centre, above_east = (
        np.float64(above[col]),
        np.float64(above[col + 1]),
        np.float64(above[col + 2]),
    )
    west, centre, east = np.float64(here[col]), np.float64(here[col + 1]), np.float64(here[col + 2])
    below_west, below_centre, below_east = (
        np.float64(below[col]),
        np.float64(below[col + 1]),
        np.float64(below[col + 2]),
    )
    total = west + centre + east + above_west + above_centre + above_east + below_west + below_centre + below_east
    p = (east - west) / (2.0 * step_x_m)
    q = (below_centre - above_centre) / (2.0 * step_y_m)
    r = ((east - centre) - (centre - west)) / (step_x_m * step_x_m)
    s = ((below_east - below_west) - (above_east - above_west)) / (4.0 * step_x_m * step_y_m)
    t = ((below_centre - centre) - (centre - above_centre)) / (step_y_m * step_y_m)
    # Infinity minus itself is NaN, as NaN minus anything is.
    return total - total == 0.0, p, q, r, s, t


@kernel
def slope_deg(elevation: _Elevation, step_x_m: float, step_y_m: float, slope: _Factor) -> None:
    """Angle of the surface from the horizontal, degrees."""
    rows, cols = slope.shape
    slope[:, :] = np.nan
    for row in range(rows):
        above, here, below, of_row = elevation[row], elevation[row + 1], elevation[row + 2], slope[row]
        for col in range(cols - 2):
            known, p, q, _, _, _ = _derivatives(above, here, below, col, step_x_m, step_y_m)
            angle = math.degrees(_arc_tangent(math.sqrt(p * p + q * q)))
            # The constant NaN, since one from arithmetic may differ in its sign bit.
            of_row[col + 1] = angle if known else np.nan


@kernel
def aspect_deg(elevation: _Elevation, step_x_m: float, step_y_m: float, aspect: _Factor) -> None:
    """Direction of the steepest descent, degrees clockwise from north in [0, 360); NaN where there is none."""
    rows, cols = aspect.shape
    aspect[:, :] = np.nan
    for row in range(rows):
        above, here, below, of_row = elevation[row], elevation[row + 1], elevation[row + 2], aspect[row]
        for col in range(cols - 2):
            known, p, q, _, _, _ = _derivatives(above, here, below, col, step_x_m, step_y_m)
            east, north = abs(p), abs(q)
            # From the nearer of the two axes, so that along them it is exact.
            near_north = east <= north
            ratio = east / north if near_north else north / east
            angle = math.degrees(_arc_tangent(ratio))
            from_north = angle if near_north else 90.0 - angle
            northward = from_north if q <= 0.0 else 180.0 - from_north
            azimuth = northward if p <= 0.0 else 360.0 - northward
            rounded = np.float32(azimuth)
            # A direction a hair west of north rounds up to the 360 that is to be written 0.
            rounded = np.float32(0.0) if rounded >= np.float32(360.0) else rounded
            of_row[col + 1] = rounded if known and (p != 0.0 or q != 0.0) else np.float32(np.nan)


@kernel
def aspect_vector(elevation: _Elevation, step_x_m: float, step_y_m: float, northward: bool, component: _Factor) -> None:
    """North (cosine) or east (sine) component of the unit vector of steepest descent; 0 on flat ground."""
    rows, cols = component.shape
    component[:, :] = np.nan
    for row in range(rows):
        above, here, below, of_row = elevation[row], elevation[row + 1], elevation[row + 2], component[row]
        for col in range(cols - 2):
            known, p, q, _, _, _ = _derivatives(above, here, below, col, step_x_m, step_y_m)
            steepness = math.sqrt(p * p + q * q)
            along = -q if northward else -p
            unit = along / steepness if steepness > 0.0 else 0.0
            of_row[col + 1] = unit if known else np.nan


@kernel
def profile_curvature_per_m(elevation: _Elevation, step_x_m: float, step_y_m: float, curvature: _Factor) -> None:
    """Curvature of the vertical section along the steepest descent, 1/m, convex positive.

    0 where the window is level, NaN on the top of a peak, in a pit or a pass, where every section is another.
    """
    rows, cols = curvature.shape
    curvature[:, :] = np.nan
    for row in range(rows):
        above, here, below, of_row = elevation[row], elevation[row + 1], elevation[row + 2], curvature[row]
        for col in range(cols - 2):
            known, p, q, r, s, t = _derivatives(above, here, below, col, step_x_m, step_y_m)
            g = p * p + q * q
            along = r * p * p + 2.0 * s * p * q + t * q * q
            bent = -along / (g * (1.0 + g) * math.sqrt(1.0 + g))
            on_top = 0.0 if r == 0.0 and s == 0.0 and t == 0.0 else np.nan
            of_slope = bent if g > 0.0 else on_top
            of_row[col + 1] = of_slope if known else np.nan


@kernel
def plan_curvature_per_m(elevation: _Elevation, step_x_m: float, step_y_m: float, curvature: _Factor) -> None:
    """Curvature of the contour line, 1/m, convex (spurs) positive.

    0 where the window is level, NaN on the top of a peak, in a pit or a pass, where the contour is a point or crosses.
    """
    rows, cols = curvature.shape
    curvature[:, :] = np.nan
    for row in range(rows):
        above, here, below, of_row = elevation[row], elevation[row + 1], elevation[row + 2], curvature[row]
        for col in range(cols - 2):
            known, p, q, r, s, t = _derivatives(above, here, below, col, step_x_m, step_y_m)
            g = p * p + q * q
            across = r * q * q - 2.0 * s * p * q + t * p * p
            bent = -across / (g * math.sqrt(g))
            on_top = 0.0 if r == 0.0 and s == 0.0 and t == 0.0 else np.nan
            of_slope = bent if g > 0.0 else on_top
            of_row[col + 1] = of_slope if known else np.nan
