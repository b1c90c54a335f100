"""Where the pixels of a stack lie in a scene: its map grid, a grid of degrees, or a radar grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.errors import OptionError
from insar.grid import Grid
from insar.simulate.fields import smooth
from insar.simulate.parameters import SimulationParameters

EQUATOR_M_PER_DEGREE = math.radians(6_378_137.0)
FEWEST_ROWS_COLS = 8
LEAST_STRETCH = 0.25  # of the spacing on flat ground, to which foreshortening may compress pixels


@dataclass(frozen=True, slots=True)
class Pixels:
    """Pixels of a stack, and where each lies in the map grid of the scene.

    Attributes
    ----------
    grid
        Of the stack; without CRS in radar coordinates.
    map_grid
        Of the scene, in UTM.
    map_rows, map_cols
        Fractional pixel of the map grid under each pixel's centre, counted from the centre of the first; (row, col)
        each, or (row, 1) and (1, col) where the grids are the same.
    """

    grid: Grid
    map_grid: Grid
    map_rows: NDArray[np.float64]
    map_cols: NDArray[np.float64]

    @property
    def is_map_grid(self) -> bool:
        """Whether the stack's pixels are the scene's own."""
        return self.grid == self.map_grid

    def lonlat(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Longitude and latitude of pixel centres in degrees, (row, col) each."""
        rows, cols = np.broadcast_arrays(self.map_rows, self.map_cols)
        transform = self.map_grid.transform
        easting = transform.c + transform.a * (cols + 0.5)
        northing = transform.f + transform.e * (rows + 0.5)
        lon, lat = _transformer(self.map_grid.crs, "EPSG:4326").transform(easting, northing)
        return np.asarray(lon), np.asarray(lat)


class RadarAxes(NamedTuple):
    """Unit vectors on the map grid, (down, right): along the pass, and away from the sensor."""

    along: tuple[float, float]
    across: tuple[float, float]


def scene_pixels(parameters: SimulationParameters) -> Pixels:
    """The map grid of a scene: north-up, in the UTM zone of its centre."""
    zone = min(int((parameters.center_lon_deg + 180.0) // 6.0) + 1, 60)
    crs = f"EPSG:{(32600 if parameters.center_lat_deg >= 0 else 32700) + zone}"
    easting, northing = _transformer("EPSG:4326", crs).transform(parameters.center_lon_deg, parameters.center_lat_deg)
    size = parameters.pixel_size_m
    left = round((easting - 0.5 * parameters.cols * size) / size) * size
    top = round((northing + 0.5 * parameters.rows * size) / size) * size
    grid = Grid(parameters.rows, parameters.cols, Affine(size, 0.0, left, 0.0, -size, top), crs)
    rows = np.arange(parameters.rows, dtype=np.float64)[:, None]
    pixels = Pixels(grid, grid, rows, np.arange(parameters.cols, dtype=np.float64)[None, :])
    if np.ptp(pixels.lonlat()[0]) > 180.0:
        raise OptionError(
            "simulation parameter center_lon_deg",
            required="a scene on one side of the 180th meridian",
            found=f"{parameters.center_lon_deg:g}, around which it lies on both",
            remedy="Move the scene away from it",
        )
    return pixels


def geographic_pixels(map_pixels: Pixels) -> Pixels:
    """North-up grid of longitude and latitude, the largest inside a scene; pixels are as many degrees wide as high."""
    map_grid = map_pixels.grid
    step = abs(map_grid.transform.a) / EQUATOR_M_PER_DEGREE
    lon, lat = map_pixels.lonlat()
    west, east = float(lon[:, 0].max()), float(lon[:, -1].min())
    south, north = float(lat[-1, :].max()), float(lat[0, :].min())
    cols = math.floor((east - west) / step) + 1 if east > west else 0
    rows = math.floor((north - south) / step) + 1 if north > south else 0
    _require_size(rows, cols, map_grid)
    centers_lon = west + step * np.arange(cols)
    centers_lat = north - step * np.arange(rows)
    grid = Grid(rows, cols, Affine(step, 0.0, west - step / 2, 0.0, -step, north + step / 2), "EPSG:4326")
    easting, northing = _transformer("EPSG:4326", map_grid.crs).transform(*np.meshgrid(centers_lon, centers_lat))
    transform = map_grid.transform
    map_rows = (np.asarray(northing) - transform.f) / transform.e - 0.5
    map_cols = (np.asarray(easting) - transform.c) / transform.a - 0.5
    return Pixels(grid, map_grid, map_rows, map_cols)


def radar_pixels(map_pixels: Pixels, parameters: SimulationParameters, heights: NDArray[np.float64]) -> Pixels:
    """Radar grid inside a scene: rows in the order of time along the pass, columns from near to far range.

    Parameters
    ----------
    map_pixels
        The scene's own.
    parameters
        Heading, incidence, foreshortening, and whether the look-up table is to be regular.
    heights
        (row, col) in metres on the map grid, which displace pixels toward the sensor.
    """
    if parameters.regular_lookup:
        return _flipped_geographic_pixels(map_pixels, parameters)
    import scipy.ndimage

    axes = _radar_axes(parameters)
    center = (0.5 * (parameters.rows - 1), 0.5 * (parameters.cols - 1))
    half_along, half_across = _largest_inside(axes, center)
    along = np.arange(-math.floor(half_along), math.floor(half_along) + 1, dtype=np.float64)[:, None]
    across = np.linspace(-half_across, half_across, 4 * math.ceil(half_across) + 1)[None, :]
    fine_rows = center[0] + along * axes.along[0] + across * axes.across[0]
    fine_cols = center[1] + along * axes.along[1] + across * axes.across[1]
    landform = smooth(heights, 2.0)
    height: NDArray[np.float64] = scipy.ndimage.map_coordinates(landform, [fine_rows, fine_cols], order=1)
    slant = _slant_range_order(parameters, across[0], (height - height.mean()) / parameters.pixel_size_m)
    first, last = float(slant[:, 0].max()), float(slant[:, -1].min())
    cols = math.floor(last - first) + 1
    _require_size(len(along), cols, map_pixels.grid)
    samples = first + np.arange(cols)
    ground = np.stack([np.interp(samples, line, across[0]) for line in slant])
    map_rows = center[0] + along * axes.along[0] + ground * axes.across[0]
    map_cols = center[1] + along * axes.along[1] + ground * axes.across[1]
    return Pixels(Grid.radar(len(along), cols), map_pixels.grid, map_rows, map_cols)


def _slant_range_order(
    parameters: SimulationParameters, ground_range: NDArray[np.float64], height: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Slant range as distance on flat ground, (row, ground range) in pixels, growing along each row."""
    incidence = math.radians(0.5 * (parameters.incidence_near_deg + parameters.incidence_far_deg))
    displacement = height / math.tan(incidence)
    steepest = float((np.diff(displacement, axis=1) / np.diff(ground_range)).max())
    share = min(parameters.foreshortening, (1.0 - LEAST_STRETCH) / max(steepest, 1e-9))
    return ground_range[None, :] - share * displacement


def _flipped_geographic_pixels(map_pixels: Pixels, parameters: SimulationParameters) -> Pixels:
    north_up = geographic_pixels(map_pixels)
    # An ascending pass scans from south to north with west at near range, a descending one the other way round.
    turned = np.s_[::-1, :] if parameters.orbit_direction == "ascending" else np.s_[:, ::-1]
    grid = Grid.radar(north_up.grid.rows, north_up.grid.cols)
    return Pixels(
        grid,
        map_pixels.grid,
        np.ascontiguousarray(north_up.map_rows[turned]),
        np.ascontiguousarray(north_up.map_cols[turned]),
    )


def _radar_axes(parameters: SimulationParameters) -> RadarAxes:
    heading = math.radians(parameters.heading_deg)
    return RadarAxes((-math.cos(heading), math.sin(heading)), (math.sin(heading), math.cos(heading)))


def _largest_inside(axes: RadarAxes, half_size: tuple[float, float]) -> tuple[float, float]:
    """Half extents along and across of a rectangle with the scene's proportions that fits when it is turned."""
    (down, right), (across_down, across_right) = axes
    # A pass near to east-west sees the scene's rows as its columns.
    upright = abs(down) >= abs(right)
    along, across = half_size if upright else half_size[::-1]
    scale = min(
        half_size[0] / (along * abs(down) + across * abs(across_down)),
        half_size[1] / (along * abs(right) + across * abs(across_right)),
    )
    return along * scale, across * scale


def _require_size(rows: int, cols: int, map_grid: Grid) -> None:
    if rows < FEWEST_ROWS_COLS or cols < FEWEST_ROWS_COLS:
        raise OptionError(
            "simulation parameters rows, cols",
            required=f"a scene in which {FEWEST_ROWS_COLS} x {FEWEST_ROWS_COLS} pixels of the stack fit",
            found=f"{rows} x {cols} of them in {map_grid.rows} x {map_grid.cols} pixels of the map",
            remedy="Ask for a larger scene",
        )


def _transformer(source: str | None, target: str | None) -> Any:
    import pyproj

    return pyproj.Transformer.from_crs(source, target, always_xy=True)
