"""From where backscatter images were seen, and what layover and shadow their terrain mask shows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from insar.backscatter_stack import BackscatterStack, MaskCoding, Orbit, TerrainMask
from insar.blocks import map_blocks
from insar.errors import MissingInputError, OptionError
from insar.grid import Grid, RowCol
from insar.ground import ground_steps
from insar.layers import row_slices
from insar.line_of_sight import LineOfSight, azimuth_of_heading, line_of_sight
from insar.slope import Visibility, classify_visibility
from insar.stack import PlaneSource
from insar.terrain_mask import Terrain

SENTINEL1_INCLINATION_DEG = 98.18
SENTINEL1_ORBITS_PER_DAY = 175.0 / 12.0
_SIDEREAL_DAYS_PER_DAY = 1.0027379
_EARTH_RADIUS_KM, _ORBIT_RADIUS_KM = 6371.0, 7070.0
_HIGHEST_RAD = math.radians(81.5)
_ROWS_PER_BLOCK = 256
"""Fixed: samples along the line of sight are spaced by the smallest pixel of a block."""


@dataclass(frozen=True, slots=True)
class BackscatterView:
    """Line of sight over a grid.

    Attributes
    ----------
    incidence
        Degrees from the vertical: one number, or planes of which the first that is known counts.
    azimuth_deg
        Direction to the satellite, from north, anticlockwise.
    notes
        What was taken for want of something better.
    """

    incidence: float | tuple[PlaneSource, ...]
    azimuth_deg: float
    notes: tuple[str, ...]

    @property
    def incidence_name(self) -> str:
        """Where the incidence angle is from."""
        return f"{self.incidence:g} degrees" if isinstance(self.incidence, float) else "incidence angle of the images"

    def read_incidence(self, rows: slice, cols: slice) -> NDArray[np.float64]:
        """(row, col) degrees from the vertical; NaN is unknown."""
        shape = rows.stop - rows.start, cols.stop - cols.start
        if isinstance(self.incidence, float):
            return np.full(shape, self.incidence)
        angles = np.full(shape, np.nan)
        for plane in self.incidence:
            unknown = np.isnan(angles)
            if not unknown.any():
                break
            angles = np.where(unknown, plane.read_window(rows, cols), angles)
        return angles

    def read_sight(self, rows: slice, cols: slice) -> LineOfSight:
        """(row, col) unit vectors to the satellite; NaN is unknown."""
        return line_of_sight(self.read_incidence(rows, cols), self.azimuth_deg)


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """What the user says of the line of sight; None for what the images say.

    Attributes
    ----------
    incidence_deg
        One incidence angle, from the vertical.
    incidence_source
        Incidence angle of each pixel, on the grid of the images, degrees from the vertical of the ellipsoid.
    heading_deg
        Of the platform, clockwise from north.
    """

    incidence_deg: float | None = None
    incidence_source: PlaneSource | None = None
    heading_deg: float | None = None

    def __post_init__(self) -> None:
        if self.incidence_deg is not None and not 5.0 <= self.incidence_deg <= 85.0:
            raise OptionError(
                "--incidence",
                required="an angle from the vertical between 5 and 85 degrees",
                found=f"{self.incidence_deg:g}",
                remedy="Correct the angle",
            )
        if self.heading_deg is not None and not -180.0 <= self.heading_deg <= 360.0:
            raise OptionError(
                "--heading",
                required="degrees clockwise from north, -180 to 360",
                found=f"{self.heading_deg:g}",
                remedy="Correct the heading: -13 is that of an ascending Sentinel-1 at 45 degrees north",
            )


def view_of_images(stack: BackscatterStack, orbit: Orbit | None, options: ViewOptions) -> BackscatterView:
    """Line of sight of the images of one pass.

    Parameters
    ----------
    stack
        Images of one direction.
    orbit
        That direction, None where it is unknown.
    options
        What comes before what the images say.

    Raises
    ------
    MissingInputError
        Neither the images nor the options tell the incidence angle, or the direction of the pass.
    """
    notes: list[str] = []
    incidence = _incidence(stack, options, notes)
    heading, is_left = _heading(stack, orbit, options, notes)
    return BackscatterView(incidence, azimuth_of_heading(heading, looks_left=is_left), tuple(notes))


def _incidence(stack: BackscatterStack, options: ViewOptions, notes: list[str]) -> float | tuple[PlaneSource, ...]:
    if options.incidence_source is not None:
        return (options.incidence_source,)
    if options.incidence_deg is not None:
        notes.append(f"The incidence angle is {options.incidence_deg:g} degrees everywhere, as --incidence says.")
        return float(options.incidence_deg)
    if stack.incidences:
        return tuple(plane.source for plane in stack.incidences)
    stated = [image.view.incidence_deg for image in stack.images if image.view.incidence_deg is not None]
    if stated:
        middle = float(np.median(stated))
        notes.append(
            f"The incidence angle is {middle:.1f} degrees everywhere, the mean of those that the images state for "
            "near and far range: good to the half of their difference."
        )
        return middle
    raise MissingInputError(
        "--dem",
        required="the incidence angle of the images, to tell layover and shadow",
        found="none in their metadata",
        remedy="Give --incidence DEG, the angle from the vertical at the middle of the scene (about 39 for Sentinel-1 "
        "IW), or --incidence-file",
    )


def _heading(
    stack: BackscatterStack, orbit: Orbit | None, options: ViewOptions, notes: list[str]
) -> tuple[float, bool]:
    views = [image.view for image in stack.images]
    is_left = any(view.looks_left for view in views)
    if options.heading_deg is not None:
        return options.heading_deg, is_left
    stated = [view.heading_deg for view in views if view.heading_deg is not None]
    if stated:
        return _mean_direction(stated), is_left
    if orbit is None:
        raise MissingInputError(
            "--dem",
            required="the direction of the pass, to tell layover and shadow",
            found="none in metadata or names of the images",
            remedy="Give --orbit ascending or --orbit descending, or --heading DEG",
        )
    grid = stack.grid
    latitude = grid.lonlat(RowCol(grid.rows // 2, grid.cols // 2)).lat
    heading = sentinel1_heading_deg(latitude, orbit)
    notes.append(
        f"The heading is {heading:.1f} degrees, that of Sentinel-1, {orbit} and looking to the right, as seen from "
        f"latitude {latitude:.1f}: good to a few degrees (--heading)."
    )
    return heading, False


def _mean_direction(headings: Sequence[float]) -> float:
    angles = np.radians(headings)
    return float(np.degrees(np.arctan2(np.sin(angles).mean(), np.cos(angles).mean())))


def sentinel1_heading_deg(latitude_deg: float, orbit: Orbit, incidence_deg: float = 39.0) -> float:
    """Direction of flight of Sentinel-1 as it is at the target, degrees clockwise from north.

    The satellite lies at a right angle to it, to the left. Under the platform the heading is another: some 400 km to
    the side the meridians are turned by up to 5 degrees at middle latitudes.

    Parameters
    ----------
    latitude_deg
        Of the target.
    orbit
        Direction of the pass.
    incidence_deg
        At the target, from the vertical.

    Notes
    -----
    On a circular orbit of inclination `i` the motion has the azimuth ``sin a = cos i / cos lat`` in space; the Earth
    below turns east by its rate over that of the platform, times the cosine of the latitude. The target lies on the
    great circle to the right of the track; the latitude of the track beside it is found by iteration.
    """
    incidence = math.radians(incidence_deg)
    away = incidence - math.asin(_EARTH_RADIUS_KM / _ORBIT_RADIUS_KM * math.sin(incidence))
    target = math.radians(latitude_deg)
    below = target
    for _ in range(20):  # each step leaves less than a tenth of the error
        below += target - _seen_from(below, away, orbit)[0]
        below = max(-_HIGHEST_RAD, min(_HIGHEST_RAD, below))
    to_satellite = _seen_from(below, away, orbit)[1]
    return (math.degrees(to_satellite) + 90.0 + 180.0) % 360.0 - 180.0


def _seen_from(latitude: float, away: float, orbit: Orbit) -> tuple[float, float]:
    """Latitude of the target abeam to the right of the track, and from there the azimuth of the satellite; radians."""
    across = math.cos(latitude)
    east = max(-1.0, min(1.0, math.cos(math.radians(SENTINEL1_INCLINATION_DEG)) / across))
    turn = _SIDEREAL_DAYS_PER_DAY / SENTINEL1_ORBITS_PER_DAY * across
    heading = math.atan2(east - turn, math.sqrt(1.0 - east * east))
    if orbit is Orbit.DESCENDING:
        heading = math.pi - heading
    right = heading + math.pi / 2.0
    sine = math.sin(latitude) * math.cos(away) + across * math.sin(away) * math.cos(right)
    target = math.asin(sine)
    # clockwise from north, by the law of sines and that of cosines in the triangle with the pole
    eastward = -math.sin(right) * across
    northward = (math.sin(latitude) - sine * math.cos(away)) / math.sin(away)
    return target, math.atan2(eastward, northward)


def fill_visibility(
    terrain: Terrain, grid: Grid, view: BackscatterView, keep: Callable[[slice, NDArray[np.uint8]], None], workers: int
) -> None:
    """Classify every pixel of a grid by layover and shadow.

    Parameters
    ----------
    terrain
        Heights on the grid and around it.
    grid
        On a map.
    view
        Line of sight.
    keep
        Called in order with some rows and their (row, col) uint8 classes of `insar.slope.Visibility`.
    workers
        Threads.
    """
    cols = slice(0, grid.cols)

    def classify(rows: slice) -> NDArray[np.uint8]:
        return classify_visibility(
            terrain.window(rows),
            terrain.margin,
            ground_steps(grid, rows),
            view.read_incidence(rows, cols),
            view.read_sight(rows, cols),
            reach_m=terrain.reach_m,
        )

    map_blocks(row_slices(grid.rows, _ROWS_PER_BLOCK), classify, keep, workers=workers)


@dataclass(frozen=True, slots=True)
class FlatClasses:
    """(row, col) uint8 classes in a flat file."""

    path: Path
    cols: int

    def read_rows(self, rows: slice) -> NDArray[np.uint8]:
        """Some full rows."""
        count = (rows.stop - rows.start) * self.cols
        return np.fromfile(self.path, np.uint8, count, offset=rows.start * self.cols).reshape(-1, self.cols)


def classes_of_masks(masks: Sequence[TerrainMask], rows: slice, cols: slice) -> NDArray[np.uint8]:
    """Classes of `insar.slope.Visibility` by the masks that products bring; the first that knows a pixel counts.

    HyP3 adds 1 for tested, 2 and 4 for layover, 8 and 16 for shadow, each the slope itself and what it throws on
    others; SNAP writes 0 for neither, 1 for layover, 2 for shadow and 3 for both.
    """
    classes = np.full((rows.stop - rows.start, cols.stop - cols.start), Visibility.UNKNOWN, np.uint8)
    for mask in masks:
        unknown = classes == Visibility.UNKNOWN
        if not unknown.any():
            break
        window = mask.source.read_window(rows, cols)
        known = np.isfinite(window)
        codes = np.where(known, window, 0).astype(np.uint8)
        if mask.coding is MaskCoding.HYP3:
            known &= codes > 0
            layover, shadow = (codes & 6) > 0, (codes & 24) > 0
        else:
            layover, shadow = (codes & 1) > 0, (codes & 2) > 0
        told = np.full(classes.shape, Visibility.GOOD, np.uint8)
        told[layover] = Visibility.LAYOVER
        told[shadow] = Visibility.SHADOW  # what is hidden sends nothing back
        classes = np.where(unknown & known, told, classes)
    return classes
