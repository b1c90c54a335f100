"""The ground of a simulated event: terrain, what covers it, where it slides, and how wet it is at each date."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from insar.errors import OptionError
from insar.simulate.event_frame import OUTLINE_REACH, EventFrame, ModelGrid, Places
from insar.simulate.event_parameters import Cover, EventParameters
from insar.simulate.fields import Outline, correlated_field, smooth, smoothstep
from insar.simulate.streams import Effect, random_stream
from insar.simulate.terrain import slope_components

WEATHER_NODES = 20_000  # of the grid of the weather at most, about
LANDFORM_M = 120.0  # over which the slope under a landslide is averaged
STEEP_QUANTILE = 0.5  # of the scene's slopes, above which landslides lie
MOST_TRIES = 200  # places looked at for each landslide, on average
WIDTH_OF_LENGTH = (0.25, 0.5)
LANDSLIDE_COVERS = (Cover.BARE, Cover.GRASS, Cover.FOREST)


@dataclass(frozen=True, slots=True)
class EventGround:
    """What is known of the ground, on the model grid; (row, col) each if nothing else is said.

    Attributes
    ----------
    height_m
        Of the terrain.
    east_slope, north_slope
        Rise per metre toward the east and toward the north.
    cover_rank
        0 to 1, evenly over the pixels seen: the lowest are bare, then grass, then forest.
    water_rank
        0 to 1, evenly, from the lowest ground to the highest.
    texture
        Standard normal.
    event_loss
        0 to 1: share of the coherence loss of the event.
    weather
        (date, row, col) of a coarser grid: 0 to 1, share of the coherence loss of the weather of a date.
    weather_step
        Pixels of the model grid between those of the weather.
    landslides
        Outlines on the model grid.
    """

    height_m: NDArray[np.float32]
    east_slope: NDArray[np.float32]
    north_slope: NDArray[np.float32]
    cover_rank: NDArray[np.float32]
    water_rank: NDArray[np.float32]
    texture: NDArray[np.float32]
    event_loss: NDArray[np.float32]
    weather: NDArray[np.float32]
    weather_step: float
    landslides: tuple[Outline, ...]

    def cover(self, parameters: EventParameters, places: Places) -> NDArray[np.uint8]:
        """Class of the cover at places, (row, col): the values of `Cover`."""
        rank, water = interpolated(self.cover_rank, places), interpolated(self.water_rank, places)
        return _cover(parameters, rank, water)


def simulate_ground(
    parameters: EventParameters, model: ModelGrid, heights: NDArray[np.float64], frame: EventFrame
) -> EventGround:
    """Make the ground of an event.

    Parameters
    ----------
    parameters, model
        What it is made of, and on which grid.
    heights
        (row, col) of the terrain in metres.
    frame
        Of the images, inside of which landslides are placed.

    Raises
    ------
    OptionError
        There is no room for as many landslides as asked for.
    """
    east, north = slope_components(heights, model.pixel_m)
    is_seen = _is_seen(frame, heights.shape)
    cover_rank, water_rank = _cover_ranks(parameters, model, heights, np.hypot(east, north), is_seen)
    texture_length = parameters.cover_patch_m / model.pixel_m / 12.0
    texture = correlated_field(random_stream(parameters.seed, Effect.EVENT_TEXTURE), heights.shape, texture_length, 3.0)
    weather_step = max(1.0, math.sqrt(heights.size / WEATHER_NODES))
    return EventGround(
        height_m=heights.astype(np.float32),
        east_slope=east.astype(np.float32),
        north_slope=north.astype(np.float32),
        cover_rank=cover_rank,
        water_rank=water_rank,
        texture=texture.astype(np.float32),
        event_loss=_event_loss(parameters, model),
        weather=_weather(parameters, model, weather_step),
        weather_step=weather_step,
        landslides=_draw_landslides(parameters, model, heights, _cover(parameters, cover_rank, water_rank), is_seen),
    )


def interpolated(field: NDArray[np.float32], places: Places) -> NDArray[np.float32]:
    """Bilinear values at places, of their shape; the edge is continued outward."""
    import scipy.ndimage

    values: NDArray[np.float32] = scipy.ndimage.map_coordinates(
        field, places, output=np.float32, order=1, mode="nearest"
    )
    return values


def _cover(
    parameters: EventParameters, rank: NDArray[np.float32], water_rank: NDArray[np.float32]
) -> NDArray[np.uint8]:
    grass_from, forest_from = parameters.bare_share, parameters.bare_share + parameters.grass_share
    cover = np.where(rank < grass_from, Cover.BARE, np.where(rank < forest_from, Cover.GRASS, Cover.FOREST))
    return np.where(water_rank < parameters.water_share, Cover.WATER, cover).astype(np.uint8)


def _cover_ranks(
    parameters: EventParameters,
    model: ModelGrid,
    heights: NDArray[np.float64],
    slope: NDArray[np.float64],
    is_seen: NDArray[np.bool_],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Hillsides are mostly wooded, the highest ground is mostly bare, and water stands on the lowest."""
    rng = random_stream(parameters.seed, Effect.EVENT_COVER)
    length = parameters.cover_patch_m / model.pixel_m / 3.0
    relative_height = (heights - heights.min()) / max(float(np.ptp(heights)), 1e-9)
    density = 0.8 * correlated_field(rng, heights.shape, length, 3.5)
    density += 0.8 * smoothstep(slope / math.tan(math.radians(25.0)))
    density -= 1.4 * smoothstep((relative_height - 0.6) / 0.4)
    return _evenly(density, is_seen), _evenly(smooth(heights, 2.0), is_seen)


def _event_loss(parameters: EventParameters, model: ModelGrid) -> NDArray[np.float32]:
    shape = (model.terrain.rows, model.terrain.cols)
    if parameters.event_loss_length_m == 0.0:
        return np.ones(shape, np.float32)
    rng = random_stream(parameters.seed, Effect.EVENT_LOSS)
    return _normal_share(correlated_field(rng, shape, parameters.event_loss_length_m / model.pixel_m, 4.0))


def _weather(parameters: EventParameters, model: ModelGrid, step: float) -> NDArray[np.float32]:
    shape = (math.ceil(model.terrain.rows / step) + 1, math.ceil(model.terrain.cols / step) + 1)
    weather = np.zeros((parameters.acquisitions, *shape), np.float32)
    if parameters.weather_coherence_loss > 0.0:
        length = parameters.weather_length_m / model.pixel_m / step
        for index in range(parameters.acquisitions):
            rng = random_stream(parameters.seed, Effect.EVENT_WEATHER, index)
            weather[index] = _normal_share(correlated_field(rng, shape, length, 4.0))
    return weather


def _normal_share(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Share of the standard normal distribution below values: not ranks, or no date would be wetter than another."""
    import scipy.special

    share: NDArray[np.float32] = scipy.special.ndtr(values).astype(np.float32)
    return share


def _evenly(values: NDArray[np.float64], is_seen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Share of the pixels seen that have lower values, from 0 to 1: shares of covers are those of the images."""
    seen = np.sort(values[is_seen])
    return (np.searchsorted(seen, values) / seen.size).astype(np.float32)


def _draw_landslides(
    parameters: EventParameters,
    model: ModelGrid,
    heights: NDArray[np.float64],
    cover: NDArray[np.uint8],
    is_seen: NDArray[np.bool_],
) -> tuple[Outline, ...]:
    """Outlines on slopes, apart from each other, their length downslope."""
    if parameters.landslides == 0:
        return ()
    rng = random_stream(parameters.seed, Effect.EVENT_LANDSLIDES)
    east, north = slope_components(smooth(heights, LANDFORM_M / model.pixel_m), model.pixel_m)
    slope = np.hypot(east, north)
    is_open = (slope >= np.quantile(slope, STEEP_QUANTILE)) & np.isin(cover, LANDSLIDE_COVERS) & is_seen
    nodes = rng.permutation(np.flatnonzero(is_open))[: MOST_TRIES * parameters.landslides]
    shortest, longest = parameters.landslide_length_min_m, parameters.landslide_length_max_m
    # The longest first: they find less room.
    lengths = np.sort(np.exp(rng.uniform(math.log(shortest), math.log(longest), parameters.landslides)))[::-1]
    found: list[Outline] = []
    places = np.empty((parameters.landslides, 3))
    for node in nodes.tolist():
        row, col = divmod(node, heights.shape[1])
        half_length = float(lengths[len(found)]) / 2.0 / model.pixel_m
        others = places[: len(found)]
        apart = np.hypot(others[:, 0] - row, others[:, 1] - col)
        if (apart < OUTLINE_REACH * (others[:, 2] + half_length)).any():
            continue
        downslope = math.degrees(math.atan2(-east[row, col], -north[row, col]))
        half_width = half_length * float(rng.uniform(*WIDTH_OF_LENGTH))
        places[len(found)] = row, col, half_length
        found.append(Outline.draw(rng, float(row), float(col), half_length, half_width, downslope))
        if len(found) == parameters.landslides:
            return tuple(found)
    raise OptionError(
        "simulation parameter landslides",
        required=f"as many as have room on the slopes, {len(found)} here",
        found=str(parameters.landslides),
        remedy="Ask for fewer or shorter ones, or for a larger scene",
    )


def _is_seen(frame: EventFrame, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels of the model grid that hold a node of the frame's lattice, or lie beside one that does."""
    import scipy.ndimage

    seen = np.zeros(shape, bool)
    rows, cols = np.rint(frame.model_rows).astype(np.intp), np.rint(frame.model_cols).astype(np.intp)
    inside = (rows >= 0) & (rows < shape[0]) & (cols >= 0) & (cols < shape[1])
    seen[rows[inside], cols[inside]] = True
    closed: NDArray[np.bool_] = scipy.ndimage.binary_closing(seen, np.ones((3, 3), bool), iterations=2)
    return closed
