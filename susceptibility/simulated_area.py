"""A whole simulated study area in memory: landscape, climate, earthquake, landslides, and what InSAR sees of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from susceptibility.factors.terrain import terrain_factors
from susceptibility.landscape import CELL_M, ROCKS, Landscape, make_landscape
from susceptibility.landscape_climate import Climate, make_climate, standardised
from susceptibility.landscape_insar import (
    SeriesPlan,
    event_displacement,
    event_layers,
    layers_of_series,
    plan_series,
)
from susceptibility.landscape_shaking import Earthquake, place_earthquake, shaking_on
from susceptibility.landscape_slides import Slides, coverage_probability, draw_slides
from susceptibility.simulation_options import ROCK_FEATURES, SimulationOptions


@dataclass(frozen=True, slots=True)
class SimulatedArea:
    """What `make_area` makes; rasters are (row, col) on the grid of the landscape.

    Attributes
    ----------
    landscape, climate, earthquake
        See there.
    terrain
        ``slope`` (deg) and ``profile_curvature`` (1/m), NaN at the rim.
    pgv_cm_s
        Peak ground velocity of the earthquake.
    slide_mean
        Mean number of the earthquake's landslides that begin in each cell; 0 at the rim.
    slide_probability
        With which each cell is covered by one of them.
    slides
        Those that were drawn.
    layers
        Of the result of `insar`, by name.
    series
        Its time series.
    """

    landscape: Landscape
    climate: Climate
    earthquake: Earthquake
    terrain: dict[str, NDArray[np.float32]]
    pgv_cm_s: NDArray[np.float64]
    slide_mean: NDArray[np.float64]
    slide_probability: NDArray[np.float64]
    slides: Slides
    layers: dict[str, NDArray[np.float32]]
    series: SeriesPlan


def make_area(options: SimulationOptions) -> SimulatedArea:
    """Simulate a study area; the same options give the same one."""
    seed = options.seed
    landscape = make_landscape(options.size, seed)
    climate = make_climate(landscape, seed, options.moisture_coherence)
    earthquake = place_earthquake(landscape.grid, seed)
    _, pgv = shaking_on(earthquake, landscape.grid)
    terrain = terrain_of(landscape.elevation, landscape.grid)
    slide_mean = _slide_mean(landscape, terrain["slope"], pgv, options)
    slides = draw_slides(landscape.elevation, slide_mean, CELL_M**2, seed)
    series = plan_series(landscape, options.rate_change_m_per_year, seed)
    fitted = layers_of_series(series)
    layers = {
        "velocity": landscape.velocity,
        "velocity_std": fitted.velocity_std,
        "cumulative_displacement": fitted.cumulative_displacement,
        "velocity_recent": fitted.velocity_recent,
        "mean_coherence": landscape.mean_coherence,
        "seasonal_coherence": climate.seasonal_coherence,
        "amplitude_mean": climate.amplitude_mean,
        **event_layers(landscape, slides.covered, options.coherence_loss, seed),
        **event_displacement(landscape, earthquake, slide_mean, options.slope_motion_m, seed),
    }
    return SimulatedArea(
        landscape,
        climate,
        earthquake,
        terrain,
        pgv,
        slide_mean,
        coverage_probability(landscape.elevation, slide_mean, CELL_M**2),
        slides,
        layers,
        series,
    )


def terrain_of(elevation: NDArray[np.float32], grid: Grid) -> dict[str, NDArray[np.float32]]:
    """Factors of the terrain that landslides follow."""
    # Not the plan curvature: where the terrain is all but flat that is without bound, and would decide alone.
    return terrain_factors(elevation, grid, ["slope", "profile_curvature"])


def rock_planes(landscape: Landscape) -> dict[str, NDArray[np.float32]]:
    """Whether the rock is each of those but the strongest, 0 or 1, (row, col) by name of the feature."""
    return {
        name: (landscape.lithology == rock.number).astype(np.float32)
        for name, rock in zip(ROCK_FEATURES, ROCKS[1:], strict=True)
    }


def _slide_mean(
    landscape: Landscape, slope: NDArray[np.float32], pgv_cm_s: NDArray[np.float64], options: SimulationOptions
) -> NDArray[np.float64]:
    """Mean number of the earthquake's landslides that begin in each cell (row, col).

    Its logarithm is ``c + slope_effect z(slope) + shaking_effect z(ln PGV) + rock``, the sum over all cells the
    expected number.
    """
    known = np.isfinite(slope)
    log_mean = np.full(slope.shape, -np.inf)
    log_mean[known] = options.slope_effect * standardised(slope[known])
    log_mean[known] += options.shaking_effect * standardised(np.log(pgv_cm_s[known]))
    effects = options.rock_effects
    for name, plane in rock_planes(landscape).items():
        log_mean += effects[name] * plane
    mean = np.exp(log_mean)
    area_km2 = known.sum() * CELL_M**2 / 1e6
    return np.asarray(mean * (options.slides_per_km2 * area_km2 / mean.sum()), np.float64)
