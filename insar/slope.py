"""Motion along the steepest descent of the terrain, and what a side-looking radar sees of a slope.

Gradients are per metre of true ground to the east and to the north, whatever the grid: `insar.ground` says what
a column and a row are on the ground, so that degrees, stretched and turned projections all give the same slope.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from insar.ground import GroundSteps
from insar.line_of_sight import LineOfSight

DEFAULT_MIN_SENSITIVITY = 0.2
"""Below it sigma and every error of the line-of-sight rate grow more than fivefold."""

DEFAULT_MIN_SLOPE_DEG = 5.0
"""Below it the direction of steepest descent is that of the DEM's errors."""

FORESHORTENED = 0.5
"""Extent in slant range of a slope over that of flat ground, below which the slope is called foreshortened."""


class Visibility(IntEnum):
    """Classes of the layer `visibility`."""

    UNKNOWN = 0
    GOOD = 1
    FORESHORTENING = 2
    LAYOVER = 3
    SHADOW = 4


class Gradient(NamedTuple):
    """Rise of the terrain per metre to the east and to the north, (row, col); NaN where unknown."""

    east: NDArray[np.float64]
    north: NDArray[np.float64]

    @property
    def slope_deg(self) -> NDArray[np.float64]:
        """(row, col) steepest slope, degrees."""
        steepest: NDArray[np.float64] = np.degrees(np.arctan(np.hypot(self.east, self.north)))
        return steepest

    @property
    def aspect_deg(self) -> NDArray[np.float64]:
        """(row, col) direction that the slope faces, degrees clockwise from north, 0 to 360; NaN where flat."""
        facing = np.degrees(np.arctan2(-self.east, -self.north)) % 360.0
        return np.where((self.east == 0) & (self.north == 0), np.nan, facing)


class SlopeMotion(NamedTuple):
    """Motion along the steepest descent, (row, col); NaN where it cannot be told."""

    velocity: NDArray[np.float64]
    velocity_std: NDArray[np.float64]


def height_gradient(height_m: NDArray[np.floating], steps: GroundSteps) -> Gradient:
    """First derivatives of the terrain by central differences.

    Parameters
    ----------
    height_m
        (row + 2, col + 2) heights in metres with one pixel more on every side; NaN is unknown.
    steps
        Of the inner pixels.

    Returns
    -------
    Gradient
        (row, col); NaN where one of the four neighbours is unknown.

    References
    ----------
    Zevenbergen, L. W. and Thorne, C. R. (1987), Earth Surface Processes and Landforms 12, 47-56: the derivatives of
    their surface at the central pixel are these differences.
    """
    height = np.asarray(height_m, np.float64)
    per_col = (height[1:-1, 2:] - height[1:-1, :-2]) / 2.0
    per_row = (height[2:, 1:-1] - height[:-2, 1:-1]) / 2.0
    east = (per_col * steps.north_per_row - per_row * steps.north_per_col) / steps.area
    north = (per_row * steps.east_per_col - per_col * steps.east_per_row) / steps.area
    unknown = np.isnan(height[1:-1, 1:-1])
    return Gradient(np.where(unknown, np.nan, east), np.where(unknown, np.nan, north))


def slope_sensitivity(gradient: Gradient, sight: LineOfSight) -> NDArray[np.float64]:
    """Displacement toward the satellite per metre of motion down the slope: the cosine between both directions.

    Returns
    -------
    NDArray
        (row, col) -1 to 1; NaN where the terrain is flat, which has no steepest descent, or unknown.

    Notes
    -----
    The unit vector of steepest descent is ``(-p, -q, -(p^2 + q^2)) / sqrt((p^2 + q^2) (1 + p^2 + q^2))`` with the
    gradient ``(p, q)`` to the east and to the north.
    """
    squared = gradient.east**2 + gradient.north**2
    with np.errstate(invalid="ignore", divide="ignore"):
        length = np.sqrt(squared * (1.0 + squared))
        along = -(gradient.east * sight.east + gradient.north * sight.north + squared * sight.up) / length
    return np.where(squared > 0, along, np.nan)


def project_on_slope(
    velocity: NDArray[np.floating],
    velocity_std: NDArray[np.floating],
    sensitivity: NDArray[np.float64],
    slope_deg: NDArray[np.float64],
    visibility: NDArray[np.uint8],
    *,
    min_sensitivity: float = DEFAULT_MIN_SENSITIVITY,
    min_slope_deg: float = DEFAULT_MIN_SLOPE_DEG,
) -> SlopeMotion:
    """Rate along the steepest descent, if all motion is along it.

    Parameters
    ----------
    velocity, velocity_std
        (row, col) m/yr along the line of sight, positive toward the satellite, and its standard deviation.
    sensitivity
        (row, col) of `slope_sensitivity`.
    slope_deg
        (row, col) degrees.
    visibility
        (row, col) classes of `Visibility`; where the radar saw layover or shadow there is no motion of this slope.
    min_sensitivity, min_slope_deg
        Pixels whose absolute sensitivity or whose slope is less are NaN.

    Returns
    -------
    SlopeMotion
        m/yr, positive down the slope; the standard deviation is that of the rate alone, the DEM taken as exact.
    """
    seen = (visibility == Visibility.GOOD) | (visibility == Visibility.FORESHORTENING)
    usable = seen & (np.abs(sensitivity) >= min_sensitivity) & (slope_deg >= min_slope_deg)
    cosine = np.where(usable, sensitivity, np.nan)
    rate = np.asarray(velocity, np.float64) / cosine
    # A deviation without a rate would suggest that there is one.
    deviation = np.where(np.isnan(rate), np.nan, np.asarray(velocity_std, np.float64) / np.abs(cosine))
    return SlopeMotion(rate, deviation)


def classify_slopes(gradient: Gradient, incidence_deg: NDArray[np.floating], sight: LineOfSight) -> NDArray[np.uint8]:
    """What the inclination of each pixel does to its image, other terrain left out of account.

    With `a` the slope in the plane of incidence, positive where the terrain faces the sensor: layover where
    ``a >= inc``, shadow where ``-a >= 90 - inc``, foreshortening where the slope's extent in slant range,
    ``1 - tan(a) / tan(inc)`` of that of flat ground, is less than `FORESHORTENED`.

    Parameters
    ----------
    gradient
        Of the terrain.
    incidence_deg
        (row, col) incidence angle from the vertical, degrees.
    sight
        Direction to the satellite.

    Returns
    -------
    NDArray
        (row, col) uint8 classes of `Visibility`, unknown where the gradient or the view is.
    """
    horizontal = np.hypot(sight.east, sight.north)
    rise_away = -(gradient.east * sight.east + gradient.north * sight.north) / horizontal
    tangent = np.tan(np.radians(np.asarray(incidence_deg, np.float64)))
    extent = 1.0 - rise_away / tangent
    classes = np.full(extent.shape, Visibility.GOOD, np.uint8)
    classes[extent < FORESHORTENED] = Visibility.FORESHORTENING
    classes[extent <= 0] = Visibility.LAYOVER
    classes[-rise_away * tangent >= 1.0] = Visibility.SHADOW
    classes[np.isnan(extent)] = Visibility.UNKNOWN
    return classes


def classify_visibility(
    height_m: NDArray[np.float32],
    margin: int,
    steps: GroundSteps,
    incidence_deg: NDArray[np.floating],
    sight: LineOfSight,
    *,
    reach_m: float,
) -> NDArray[np.uint8]:
    """How the radar sees each pixel: by its own inclination and by the terrain before and behind it.

    Parameters
    ----------
    height_m
        (row + 2 margin, col + 2 margin) metres; NaN is unknown.
    margin
        Pixels, at least 1, by which the heights reach beyond the others on every side.
    steps
        Ground size of the pixels.
    incidence_deg
        (row, col) from the vertical, degrees.
    sight
        Direction to the satellite.
    reach_m
        Distance on the ground within which other terrain counts.

    Returns
    -------
    NDArray
        (row, col) uint8 classes of `Visibility`. Shadow comes before layover: what is hidden sends nothing back.

    Notes
    -----
    Along the plane of incidence, sampled at half a pixel; wave fronts are plane and the Earth is flat within
    `reach_m`.
    """
    from insar.kernels.visibility import cast_layover_and_shadow

    inner = slice(margin - 1, height_m.shape[0] - margin + 1), slice(margin - 1, height_m.shape[1] - margin + 1)
    classes = classify_slopes(height_gradient(height_m[inner], steps), incidence_deg, sight)
    horizontal = np.hypot(sight.east, sight.north)
    east, north = sight.east / horizontal, sight.north / horizontal
    layover, shadow = np.zeros(classes.shape, np.uint8), np.zeros(classes.shape, np.uint8)
    cast_layover_and_shadow(
        np.ascontiguousarray(height_m, np.float32),
        margin,
        margin,
        (north * steps.east_per_col - east * steps.north_per_col) / steps.area,
        (east * steps.north_per_row - north * steps.east_per_row) / steps.area,
        np.tan(np.radians(np.asarray(incidence_deg, np.float64))),
        steps.shortest_m / 2.0,
        reach_m,
        layover,
        shadow,
    )
    known = classes != Visibility.UNKNOWN
    classes[known & (layover == 1) & (classes != Visibility.SHADOW)] = Visibility.LAYOVER
    classes[known & (shadow == 1)] = Visibility.SHADOW
    return classes
