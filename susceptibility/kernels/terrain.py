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
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from susceptibility.kernels.jit import kernel

_Elevation = NDArray[np.floating]
_Factor = NDArray[np.float32]


@kernel
def _derivatives(
    elevation: _Elevation, row: int, col: int, step_x_m: float, step_y_m: float
) -> tuple[float, float, float, float, float]:
    """Return p, q, r, s, t around ``elevation[row, col]``; all NaN where one of the nine elevations is not finite."""
    west = np.float64(elevation[row, col - 1])
    centre = np.float64(elevation[row, col])
    east = np.float64(elevation[row, col + 1])
    above_west = np.float64(elevation[row - 1, col - 1])
    above = np.float64(elevation[row - 1, col])
    above_east = np.float64(elevation[row - 1, col + 1])
    below_west = np.float64(elevation[row + 1, col - 1])
    below = np.float64(elevation[row + 1, col])
    below_east = np.float64(elevation[row + 1, col + 1])
    total = west + centre + east + above_west + above + above_east + below_west + below + below_east
    if not math.isfinite(total):
        return math.nan, math.nan, math.nan, math.nan, math.nan
    p = (east - west) / (2.0 * step_x_m)
    q = (below - above) / (2.0 * step_y_m)
    r = ((east - centre) - (centre - west)) / (step_x_m * step_x_m)
    s = ((below_east - below_west) - (above_east - above_west)) / (4.0 * step_x_m * step_y_m)
    t = ((below - centre) - (centre - above)) / (step_y_m * step_y_m)
    return p, q, r, s, t


@kernel
def slope_deg(elevation: _Elevation, step_x_m: float, step_y_m: float, slope: _Factor) -> None:
    """Angle of the surface from the horizontal, degrees."""
    rows, cols = slope.shape
    slope[:, :] = np.nan
    for row in range(rows):
        for col in range(1, cols - 1):
            p, q, _, _, _ = _derivatives(elevation, row + 1, col, step_x_m, step_y_m)
            if math.isnan(p):
                continue  # the NaN that is there already: one from arithmetic may differ in its sign bit
            slope[row, col] = math.degrees(math.atan(math.sqrt(p * p + q * q)))


@kernel
def aspect_deg(elevation: _Elevation, step_x_m: float, step_y_m: float, aspect: _Factor) -> None:
    """Direction of the steepest descent, degrees clockwise from north in [0, 360); NaN where there is none."""
    rows, cols = aspect.shape
    aspect[:, :] = np.nan
    for row in range(rows):
        for col in range(1, cols - 1):
            p, q, _, _, _ = _derivatives(elevation, row + 1, col, step_x_m, step_y_m)
            if math.isnan(p) or (p == 0.0 and q == 0.0):
                continue
            azimuth = np.float32(math.degrees(math.atan2(-p, -q)) % 360.0)
            # A direction a hair west of north rounds up to the 360 that is to be written 0.
            aspect[row, col] = np.float32(0.0) if azimuth >= np.float32(360.0) else azimuth


@kernel
def aspect_vector(elevation: _Elevation, step_x_m: float, step_y_m: float, northward: bool, component: _Factor) -> None:
    """North (cosine) or east (sine) component of the unit vector of steepest descent; 0 on flat ground."""
    rows, cols = component.shape
    component[:, :] = np.nan
    for row in range(rows):
        for col in range(1, cols - 1):
            p, q, _, _, _ = _derivatives(elevation, row + 1, col, step_x_m, step_y_m)
            if math.isnan(p):
                continue
            steepness = math.sqrt(p * p + q * q)
            if steepness == 0.0:
                component[row, col] = 0.0
            elif northward:
                component[row, col] = -q / steepness
            else:
                component[row, col] = -p / steepness


@kernel
def profile_curvature_per_m(elevation: _Elevation, step_x_m: float, step_y_m: float, curvature: _Factor) -> None:
    """Curvature of the vertical section along the steepest descent, 1/m, convex positive.

    0 where the window is level, NaN on the top of a peak, in a pit or a pass, where every section is another.
    """
    rows, cols = curvature.shape
    curvature[:, :] = np.nan
    for row in range(rows):
        for col in range(1, cols - 1):
            p, q, r, s, t = _derivatives(elevation, row + 1, col, step_x_m, step_y_m)
            if math.isnan(p):
                continue
            g = p * p + q * q
            if g == 0.0:
                if r == 0.0 and s == 0.0 and t == 0.0:
                    curvature[row, col] = 0.0
                continue
            along = r * p * p + 2.0 * s * p * q + t * q * q
            curvature[row, col] = -along / (g * (1.0 + g) * math.sqrt(1.0 + g))


@kernel
def plan_curvature_per_m(elevation: _Elevation, step_x_m: float, step_y_m: float, curvature: _Factor) -> None:
    """Curvature of the contour line, 1/m, convex (spurs) positive.

    0 where the window is level, NaN on the top of a peak, in a pit or a pass, where the contour is a point or crosses.
    """
    rows, cols = curvature.shape
    curvature[:, :] = np.nan
    for row in range(rows):
        for col in range(1, cols - 1):
            p, q, r, s, t = _derivatives(elevation, row + 1, col, step_x_m, step_y_m)
            if math.isnan(p):
                continue
            g = p * p + q * q
            if g == 0.0:
                if r == 0.0 and s == 0.0 and t == 0.0:
                    curvature[row, col] = 0.0
                continue
            across = r * q * q - 2.0 * s * p * q + t * p * p
            curvature[row, col] = -across / (g * math.sqrt(g))
