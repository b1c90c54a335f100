"""Where the pixels of a simulated event's images lie on the ground: in radar coordinates, or on a map."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.grid import Grid
from insar.simulate.event_parameters import EventParameters
from insar.simulate.event_view import EventView
from insar.simulate.fields import Outline, smooth
from insar.simulate.parameters import SimulationParameters
from insar.simulate.pixels import Pixels, scene_pixels

MODEL_NODES = 400_000  # of the model grid at most, about: larger scenes have a coarser terrain
LEAST_MODEL_SIZE = 24  # rows and columns of the model grid
MARGIN_M = 1_000.0  # around images in radar coordinates, which heights displace
LEAST_STRETCH = 0.25  # of the spacing on flat ground, to which foreshortening may compress pixels
OUTLINE_REACH = 1.7  # half lengths beyond which an outline does not go


class Places(NamedTuple):
    """Fractional pixels of the model grid, counted from the centre of the first one; (row, col) each."""

    rows: NDArray[np.float64]
    cols: NDArray[np.float64]


class Extent(NamedTuple):
    """Size of the images on the ground in metres, and their turn against the map: down the rows, along the columns."""

    down_m: float
    right_m: float
    turn_rad: float


@dataclass(frozen=True, slots=True)
class EventFrame:
    """Pixels of images, placed on the model grid by bilinear interpolation from a coarser lattice of exact places.

    What a pixel gets does not depend on what else is asked for with it.

    Attributes
    ----------
    grid
        Of the images; without CRS in radar coordinates.
    row_step, col_step
        Pixels between nodes of the lattice.
    model_rows, model_cols
        Fractional pixel of the model grid at each node, (node row, node col).
    lon_deg, lat_deg
        At each node.
    """

    grid: Grid
    row_step: float
    col_step: float
    model_rows: NDArray[np.float64]
    model_cols: NDArray[np.float64]
    lon_deg: NDArray[np.float64]
    lat_deg: NDArray[np.float64]

    def places(self, rows: slice, cols: slice) -> Places:
        """Places of pixels, (row, col) each."""
        return Places(self.interpolated(self.model_rows, rows, cols), self.interpolated(self.model_cols, rows, cols))

    def lonlat(self, rows: slice, cols: slice) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Longitude and latitude of pixel centres in degrees, (row, col) each."""
        return self.interpolated(self.lon_deg, rows, cols), self.interpolated(self.lat_deg, rows, cols)

    def interpolated(self, nodes: NDArray[np.float64], rows: slice, cols: slice) -> NDArray[np.float64]:
        """Bilinear values at pixels, (row, col), of a quantity at the nodes of the lattice, (node row, node col)."""
        row_nodes, down = _positions(rows, self.row_step, nodes.shape[0])
        col_nodes, right = _positions(cols, self.col_step, nodes.shape[1])
        lines = nodes[row_nodes] * (1.0 - down)[:, None] + nodes[row_nodes + 1] * down[:, None]
        values: NDArray[np.float64] = lines[:, col_nodes] * (1.0 - right) + lines[:, col_nodes + 1] * right
        return values

    def window_of(self, outline: Outline) -> tuple[slice, slice] | None:
        """Rows and columns outside of which an outline has no pixel; None where it has none at all."""
        reach = OUTLINE_REACH * max(outline.half_length, outline.half_width) + self._largest_step()
        near = (np.abs(self.model_rows - outline.row) <= reach) & (np.abs(self.model_cols - outline.col) <= reach)
        if not near.any():
            return None
        down, right = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
        return (
            _window(down, self.row_step, self.grid.rows),
            _window(right, self.col_step, self.grid.cols),
        )

    def _largest_step(self) -> float:
        """Model pixels between neighbouring nodes, at most."""
        return sum(
            float(np.abs(np.diff(places, axis=axis)).max(initial=0.0))
            for places in (self.model_rows, self.model_cols)
            for axis in (0, 1)
        )


class ModelGrid(NamedTuple):
    """The map grid, in UTM, on which the ground of an event is made.

    Attributes
    ----------
    terrain
        Parameters of the landscape on it.
    pixels
        Its pixels.
    """

    terrain: SimulationParameters
    pixels: Pixels

    @property
    def pixel_m(self) -> float:
        """Size of its pixels."""
        return self.terrain.pixel_size_m

    @property
    def middle(self) -> tuple[float, float]:
        """Fractional row and column of its middle."""
        return (self.terrain.rows - 1) / 2.0, (self.terrain.cols - 1) / 2.0

    def across_m(self, view: EventView, places: Places) -> NDArray[np.float64]:
        """Distance across the pass from the middle, of the shape of places."""
        down, right = self.middle
        steps = (places.rows - down) * view.across.down + (places.cols - right) * view.across.right
        return steps * self.pixel_m


def radar_extent(parameters: EventParameters, view: EventView) -> Extent:
    """Ground under images in radar coordinates, foreshortening left out."""
    far = view.near_range_m + parameters.range_pixel_m * (parameters.cols - 1)
    width = float(view.distance_m(np.array(far)))
    return Extent(parameters.azimuth_pixel_m * (parameters.rows - 1), width, math.radians(parameters.heading_deg))


def map_extent(parameters: EventParameters) -> Extent:
    """Ground under images on a map."""
    size = parameters.map_pixel_m
    return Extent(size * (parameters.rows - 1), size * (parameters.cols - 1), 0.0)


def model_grid(parameters: EventParameters, extent: Extent) -> ModelGrid:
    """Map grid that holds an extent, of the pixels of the map or, in large scenes, coarser ones.

    Raises
    ------
    OptionError
        The scene lies on both sides of the 180th meridian.
    """
    cos, sin = abs(math.cos(extent.turn_rad)), abs(math.sin(extent.turn_rad))
    margin = 0.0 if extent.turn_rad == 0.0 else MARGIN_M
    height = extent.down_m * cos + extent.right_m * sin + 2.0 * margin
    width = extent.down_m * sin + extent.right_m * cos + 2.0 * margin
    coarsest = min(height, width) / LEAST_MODEL_SIZE
    pixel = max(1.0, min(max(parameters.map_pixel_m, math.sqrt(height * width / MODEL_NODES)), coarsest))
    terrain = SimulationParameters(
        seed=parameters.seed,
        rows=max(LEAST_MODEL_SIZE, math.ceil(height / pixel) + 3),
        cols=max(LEAST_MODEL_SIZE, math.ceil(width / pixel) + 3),
        pixel_size_m=pixel,
        center_lon_deg=parameters.center_lon_deg,
        center_lat_deg=parameters.center_lat_deg,
        lowest_height_m=parameters.lowest_height_m,
        median_slope_deg=parameters.median_slope_deg,
    )
    return ModelGrid(terrain, scene_pixels(terrain))


def map_frame(model: ModelGrid, rows: int, cols: int, pixel_m: float) -> EventFrame:
    """Frame of a north-up map of square pixels in the middle of a model grid."""
    transform = model.pixels.grid.transform
    middle_x = transform.c + transform.a * model.terrain.cols / 2.0
    middle_y = transform.f + transform.e * model.terrain.rows / 2.0
    left = round((middle_x - 0.5 * cols * pixel_m) / pixel_m) * pixel_m
    top = round((middle_y + 0.5 * rows * pixel_m) / pixel_m) * pixel_m
    grid = Grid(rows, cols, Affine(pixel_m, 0.0, left, 0.0, -pixel_m, top), model.pixels.grid.crs)
    step = max(1.0, model.pixel_m / pixel_m)
    down = np.arange(math.ceil((rows - 1) / step) + 2) * step
    right = np.arange(math.ceil((cols - 1) / step) + 2) * step
    model_rows = (top - pixel_m * (down + 0.5) - transform.f) / transform.e - 0.5
    model_cols = (left + pixel_m * (right + 0.5) - transform.c) / transform.a - 0.5
    return _frame(model, grid, (step, step), *np.meshgrid(model_rows, model_cols, indexing="ij"))


def map_frame_over(model: ModelGrid, pixel_m: float) -> EventFrame:
    """Frame of a north-up map of square pixels that covers a model grid."""
    rows, cols = (max(1, math.floor(size * model.pixel_m / pixel_m)) for size in model.pixels.grid.shape)
    return map_frame(model, rows, cols, pixel_m)


def radar_frame(
    parameters: EventParameters, model: ModelGrid, view: EventView, heights: NDArray[np.float64]
) -> EventFrame:
    """Frame of images in radar coordinates: lines in the order of time, samples from near to far range.

    Parameters
    ----------
    parameters
        Size and pixels of the images, and the share of the foreshortening.
    model, view
        The ground, and the pass over it.
    heights
        (row, col) in metres on the model grid, which displace pixels toward the sensor.
    """
    import scipy.ndimage

    extent = radar_extent(parameters, view)
    row_step = max(1.0, model.pixel_m / parameters.azimuth_pixel_m)
    col_step = max(1.0, model.pixel_m / (extent.right_m / max(parameters.cols - 1, 1)))
    lines = np.arange(math.ceil((parameters.rows - 1) / row_step) + 2) * row_step
    samples = np.arange(math.ceil((parameters.cols - 1) / col_step) + 2) * col_step
    along = ((lines - (parameters.rows - 1) / 2.0) * parameters.azimuth_pixel_m)[:, None]
    flat = view.distance_m((view.near_range_m + parameters.range_pixel_m * samples).astype(np.float64))
    fine = np.arange(-MARGIN_M, flat[-1] + MARGIN_M, 0.5 * model.pixel_m)

    def placed(across: NDArray[np.float64]) -> Places:
        down, right = model.middle
        from_middle = across - 0.5 * extent.right_m
        rows = down + (along * view.along.down + from_middle * view.across.down) / model.pixel_m
        cols = right + (along * view.along.right + from_middle * view.across.right) / model.pixel_m
        return Places(rows, cols)

    landform: NDArray[np.float64] = scipy.ndimage.map_coordinates(
        smooth(heights, 1.0) - heights.mean(), list(placed(fine[None, :])), order=1, mode="nearest"
    )
    toward = landform / np.tan(np.radians(view.incidence_deg(fine)))
    steepest = float((np.diff(toward, axis=1) / (0.5 * model.pixel_m)).max(initial=0.0))
    share = min(parameters.foreshortening, (1.0 - LEAST_STRETCH) / max(steepest, 1e-9))
    ground = np.stack([np.interp(flat, fine - share * line, fine) for line in toward])
    grid = Grid.radar(parameters.rows, parameters.cols)
    return _frame(model, grid, (row_step, col_step), *placed(ground))


def _frame(
    model: ModelGrid,
    grid: Grid,
    steps: tuple[float, float],
    model_rows: NDArray[np.float64],
    model_cols: NDArray[np.float64],
) -> EventFrame:
    lon, lat = Pixels(grid, model.pixels.grid, model_rows, model_cols).lonlat()
    return EventFrame(grid, *steps, model_rows, model_cols, lon, lat)


def _positions(pixels: slice, step: float, nodes: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Node at or before each pixel, and the part of the way to the next one."""
    position = np.arange(pixels.start, pixels.stop) / step
    before = np.minimum(np.floor(position).astype(np.intp), nodes - 2)
    return before, position - before


def _window(nodes: NDArray[np.intp], step: float, size: int) -> slice:
    return slice(max(0, math.floor((nodes[0] - 1) * step)), min(size, math.ceil((nodes[-1] + 1) * step) + 1))
