"""A simulated landscape: terrain in balance with its rivers, rocks, land cover, roads, faults, and how InSAR sees it.

The terrain is that of a mountain front whose uplift is balanced by erosion, so that the steepness of every channel is
known: along each the gradient is ``steepness * area^-0.45``, the steepness being that of the rock. Hillslopes have the
gradient at which their rock fails, and are rounded off.

Notes
-----
A stream erodes ``K A^m S^n`` (Whipple & Tucker 1999). In balance with the uplift U, ``S = (U/K)^(1/n) A^(-m/n)``, and
``(U/K)^(1/n)`` is its normalised steepness. Elevations follow from the outlets upstream, ways of the water from the
elevations by steepest descent, and both are repeated until they agree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.grid import Grid
from susceptibility.landscape_lines import grid_graph, lay_faults, lay_roads, trace_rivers

CELL_M = 30.0
CONCAVITY = 0.45
RIVER_AREA_M2 = 500_000.0
"""Area from which a channel is a river; less in landscapes that are small."""

_CRS = "EPSG:32645"  # the eastern Himalaya: steep, and in the range of UTM
_BASE_M = 420.0
_STEEPNESS_M09 = 100.0
_FAILURE_GRADIENT = 0.65
_LARGEST_SHARE_OF_AREA = 0.04  # of the whole, from which a channel is a river however small the landscape
_MOST_ROUNDS = 300
_ROUNDING_PASSES = 4
_FIXED_AREA_M2 = 60_000.0  # channels from this area on, and the cells beside them, are not rounded off


class Rock(NamedTuple):
    """One class of the lithology: its number, name, and steepness relative to the mean."""

    number: int
    name: str
    steepness: float


ROCKS = (
    Rock(1, "gneiss", 1.35),
    Rock(2, "quartzite", 1.1),
    Rock(3, "sandstone", 0.9),
    Rock(4, "schist", 0.65),
)
"""Lithology, the strongest rock first."""

LAND_COVERS = {10: "tree cover", 20: "shrubland", 30: "grassland", 40: "cropland", 60: "bare"}
"""Land cover by its number, as in ESA WorldCover."""


class Lines(NamedTuple):
    """Lines of one kind and their attributes: shapely geometries (line,), and values (line,) by name of field."""

    geometries: NDArray[np.object_]
    fields: dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Landscape:
    """What `make_landscape` makes; rasters are (row, col) on `grid`, known everywhere.

    Attributes
    ----------
    grid
        Square cells of 30 m, in UTM.
    elevation : float32
        Metres.
    area_m2 : float64
        Area that drains through each cell along the steepest descent, its own included.
    steepness : float32
        Normalised channel steepness, m^0.9, of the rock at each cell: of rivers the true one, within some 1 %, by which
        the rounding off of hillslopes changes the areas.
    is_channel : bool
        Where the gradient is that of a channel: the hillslope would be steeper.
    rivers, roads, faults
        Lines in the CRS of the grid. Fields of rivers: ``river``, ``area_m2`` at the lower end, ``ksn``, ``length_m``.
    lithology, land_cover : uint8
        Numbers of `ROCKS` and `LAND_COVERS`.
    velocity, velocity_std : float32
        Line-of-sight m/yr, positive toward the satellite, its errors drawn with `velocity_std`.
    mean_coherence, coherence_pre, coherence_co, damage_proxy : float32
        As layers of `insar`.
    """

    grid: Grid
    elevation: NDArray[np.float32]
    area_m2: NDArray[np.float64]
    steepness: NDArray[np.float32]
    is_channel: NDArray[np.bool_]
    rivers: Lines
    roads: Lines
    faults: Lines
    lithology: NDArray[np.uint8]
    land_cover: NDArray[np.uint8]
    velocity: NDArray[np.float32]
    velocity_std: NDArray[np.float32]
    mean_coherence: NDArray[np.float32]
    coherence_pre: NDArray[np.float32]
    coherence_co: NDArray[np.float32]
    damage_proxy: NDArray[np.float32]


def make_landscape(size: int, seed: int) -> Landscape:
    """Simulate a landscape of so many rows and columns; the same seed gives the same one."""
    rng = np.random.default_rng([seed, 0])
    grid = Grid(size, size, Affine(CELL_M, 0.0, 400_000.0, 0.0, -CELL_M, 3_100_000.0), _CRS)
    lithology = _lay_rocks(rng, size)
    strength = np.array([rock.steepness for rock in ROCKS])[lithology - 1]
    steepness = _STEEPNESS_M09 * strength
    failure = _FAILURE_GRADIENT * np.sqrt(strength) * np.exp(0.2 * correlated_noise(rng, size, roughness=2.6))
    terrain = _balance(rng, steepness, failure)

    elevation = terrain.elevation.astype(np.float64)
    gradient = np.hypot(*np.gradient(elevation, CELL_M))
    river_area = min(RIVER_AREA_M2, _LARGEST_SHARE_OF_AREA * size**2 * CELL_M**2)
    rivers = trace_rivers(terrain.receiver, terrain.area_m2, steepness, grid, river_area)
    roads = lay_roads(rng, elevation, gradient, terrain.area_m2 >= river_area, grid)
    faults = lay_faults(rng, grid)
    cover = _grow_cover(rng, elevation, gradient)
    seen = _observe(rng, gradient, cover)
    return Landscape(
        grid=grid,
        elevation=terrain.elevation,
        area_m2=terrain.area_m2,
        steepness=steepness.astype(np.float32),
        is_channel=terrain.is_channel,
        rivers=Lines(*rivers),
        roads=Lines(*roads),
        faults=Lines(*faults),
        lithology=lithology,
        land_cover=cover,
        **{name: layer.astype(np.float32) for name, layer in seen.items()},
    )


def correlated_noise(rng: np.random.Generator, size: int, roughness: float) -> NDArray[np.float64]:
    """Gaussian noise (row, col) of mean 0 and variance 1, whose power falls with wave number to ``-roughness``."""
    wide = 2 * size  # half is thrown away, so that opposite edges are not alike
    frequency = np.hypot(np.fft.fftfreq(wide)[:, None], np.fft.rfftfreq(wide)[None, :])
    amplitude = np.zeros_like(frequency)
    amplitude[frequency > 0] = frequency[frequency > 0] ** (-roughness / 2.0)
    phase = np.exp(2j * math.pi * rng.uniform(size=frequency.shape))
    field = np.fft.irfft2(amplitude * phase * rng.normal(size=frequency.shape), s=(wide, wide))[:size, :size]
    return np.asarray((field - field.mean()) / field.std())


class _Terrain(NamedTuple):
    elevation: NDArray[np.float32]
    receiver: NDArray[np.int64]  # (cell,), by flat index
    area_m2: NDArray[np.float64]
    is_channel: NDArray[np.bool_]


def _lay_rocks(rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
    """Bands of rock along a strike, folded and uneven."""
    row, col = np.mgrid[:size, :size] / size
    strike = rng.uniform(0.0, math.pi)
    across = row * math.cos(strike) + col * math.sin(strike)
    bands = np.sin(2.0 * math.pi * (1.5 * across + rng.uniform())) + 0.9 * correlated_noise(rng, size, roughness=4.4)
    limits = np.quantile(bands, [0.3, 0.55, 0.8])
    return np.asarray(np.searchsorted(limits, bands) + 1, np.uint8)


def _balance(rng: np.random.Generator, steepness: NDArray[np.float64], failure: NDArray[np.float64]) -> _Terrain:
    """Terrain that drains to the middle of its lower edge, with the gradients asked for."""
    from susceptibility.kernels import landscape as kernels

    shape = steepness.shape
    receiver = _first_rivers(rng, shape[0])
    order = np.empty_like(receiver)
    area_m2 = np.empty(receiver.size)
    elevation = np.full(receiver.size, _BASE_M)
    for _ in range(_MOST_ROUNDS):
        kernels.order_downstream(receiver, order)
        kernels.drained_area(receiver, order, CELL_M**2, area_m2)
        kernels.raise_upstream(
            receiver, order, area_m2, steepness.ravel(), failure.ravel(), CONCAVITY, CELL_M, shape[1], elevation
        )
        if kernels.find_receivers(elevation.reshape(shape), receiver) == 0:
            break
    is_channel = steepness * area_m2.reshape(shape) ** -CONCAVITY < failure
    is_fixed = _beside(is_channel & (area_m2.reshape(shape) > _FIXED_AREA_M2))
    surface = elevation.reshape(shape)
    kernels.creep(surface, is_fixed, 0.5, _ROUNDING_PASSES)
    surface = surface.astype(np.float32)
    # Water takes other ways down the rounded slopes; it is in the same channels, of areas that differ a little.
    kernels.find_receivers(surface, receiver)
    kernels.order_downstream(receiver, order)
    kernels.drained_area(receiver, order, CELL_M**2, area_m2)
    return _Terrain(surface, receiver, area_m2.reshape(shape), is_channel)


def _first_rivers(rng: np.random.Generator, size: int) -> NDArray[np.int64]:
    """Receiver of each cell: the way of least resistance, which is random, to the middle half of the lower edge."""
    from scipy.sparse.csgraph import dijkstra

    resistance = np.exp(0.8 * correlated_noise(rng, size, roughness=3.0))
    outlets = size * (size - 1) + np.arange(size // 4, size - size // 4)
    _, ahead, _ = dijkstra(
        grid_graph(resistance), directed=False, indices=outlets, min_only=True, return_predecessors=True
    )
    return np.where(ahead < 0, np.arange(size * size), ahead).astype(np.int64)


def _beside(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Cells of a mask, those around them, and the lower edge."""
    from scipy.ndimage import binary_dilation

    beside = np.asarray(binary_dilation(mask, np.ones((3, 3), np.bool_)))
    beside[-1] = True
    return beside


def _grow_cover(
    rng: np.random.Generator, elevation: NDArray[np.float64], gradient: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Fields in the valleys, forest on slopes, shrubs and grass higher up, bare ground where it is steepest."""
    height = (elevation - elevation.min()) / max(float(np.ptp(elevation)), 1.0)
    height = height + 0.12 * correlated_noise(rng, len(elevation), roughness=3.0)
    cover = np.select([height < 0.6, height < 0.75], [10, 20], 30).astype(np.uint8)
    cover[(height < 0.35) & (gradient < 0.45)] = 40
    cover[gradient > np.quantile(gradient, 0.97)] = 60
    return cover


def _observe(
    rng: np.random.Generator, gradient: NDArray[np.float64], cover: NDArray[np.uint8]
) -> dict[str, NDArray[np.float64]]:
    """Layers of `insar`: steep slopes creep in patches, some lost coherence at an event, forest has little of it."""
    size = len(gradient)
    mean_coherence = np.clip(0.75 - 0.3 * (cover == 10) + 0.06 * correlated_noise(rng, size, roughness=2.0), 0.1, 0.98)
    velocity_std = 0.001 + 0.0025 * (1.0 - mean_coherence)

    steepness = np.clip(np.degrees(np.arctan(gradient)) / 25.0, 0.0, 1.5)
    patches = np.clip(correlated_noise(rng, size, roughness=2.6) - 0.4, 0.0, None)
    facing = np.sign(correlated_noise(rng, size, roughness=4.0))  # slopes that face the satellite, or not
    velocity = facing * 0.03 * patches * steepness + velocity_std * rng.normal(size=gradient.shape)

    hit = np.clip(correlated_noise(rng, size, roughness=2.4) - 0.8, 0.0, None) * steepness
    before = np.clip(mean_coherence + 0.03 * rng.normal(size=gradient.shape), 0.0, 1.0)
    across = np.clip(before - 0.2 * hit + 0.04 * rng.normal(size=gradient.shape), 0.0, 1.0)
    return {
        "velocity": velocity,
        "velocity_std": velocity_std,
        "mean_coherence": mean_coherence,
        "coherence_pre": before,
        "coherence_co": across,
        "damage_proxy": before - across,
    }
