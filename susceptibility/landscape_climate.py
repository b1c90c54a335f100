"""Climate of a simulated landscape: winter rain, soil moisture, greenness, and how coherence sees wet soil.

Rain and soil moisture are given to a study as coarse products, the truth being as fine as the terrain: what a satellite
radiometer or a reanalysis cannot tell, the coherence of a season can.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.grid import Grid
from susceptibility.landscape import CELL_M, Landscape, correlated_noise

RAIN_CELLS, MOISTURE_CELLS = 20, 10
"""Cells of the terrain along the side of one pixel of the coarse products."""

_STREAM_CHILD = 3  # of the seed; 0 to 2 are those of terrain, inventory and dates
_GREENNESS = {10: 0.78, 20: 0.55, 30: 0.45, 40: 0.52, 60: 0.14}
_MEAN_RAIN_MM, _RAIN_PER_SD = 620.0, 0.22
_MEAN_MOISTURE, _MOISTURE_PER_SD, _MOISTURE_RANGE = 0.24, 0.06, (0.05, 0.5)
_MEAN_AMPLITUDE_DB = 46.0


@dataclass(frozen=True, slots=True)
class Climate:
    """What `make_climate` makes; (row, col) float32 on the grid of the landscape, known everywhere.

    Attributes
    ----------
    precipitation_mm
        Rain of a winter: more where the ground is higher over some kilometres, and on the windward side.
    soil_moisture
        Mean volume of water per volume of soil in that winter, 0.05 to 0.5.
    ndvi
        Greenness in summer, -1 to 1.
    seasonal_coherence, amplitude_mean
        Layers of `insar` for that winter.
    """

    precipitation_mm: NDArray[np.float32]
    soil_moisture: NDArray[np.float32]
    ndvi: NDArray[np.float32]
    seasonal_coherence: NDArray[np.float32]
    amplitude_mean: NDArray[np.float32]


def make_climate(landscape: Landscape, seed: int, coherence_per_moisture: float) -> Climate:
    """Simulate the climate of a landscape; the same seed gives the same one.

    Parameters
    ----------
    landscape
        From `susceptibility.landscape.make_landscape`.
    seed
        That of the landscape.
    coherence_per_moisture
        Seasonal coherence lost for each standard deviation of soil moisture; 0 leaves no trace of it in any layer.

    Notes
    -----
    With standardised values z: ``rain = 620 mm exp(0.22 z(0.8 z(height) + 0.5 windward + 0.4 noise))``, the height
    smoothed over 600 m; ``moisture = 0.24 + 0.06 z(0.7 z(rain) + 0.5 z(ln(area / gradient)) + 0.7 noise)``; and
    ``coherence = mean coherence - coherence_per_moisture z(moisture) + noise``, the noise being drawn from the seed.
    """
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng([seed, _STREAM_CHILD])
    size = landscape.grid.rows
    height = gaussian_filter(landscape.elevation.astype(np.float64), min(20.0, size / 4.0), mode="nearest")
    down, right = np.gradient(height, CELL_M)
    wind = rng.uniform(0.0, 2.0 * np.pi)
    windward = standardised(np.sin(wind) * right + np.cos(wind) * down)
    noise = correlated_noise(rng, size, roughness=4.0)
    rain = standardised(0.8 * standardised(height) + 0.5 * windward + 0.4 * noise)
    precipitation = _MEAN_RAIN_MM * np.exp(_RAIN_PER_SD * rain)

    gradient = np.hypot(*np.gradient(landscape.elevation.astype(np.float64), CELL_M))
    wetness = gaussian_filter(np.log(landscape.area_m2 / CELL_M / np.maximum(gradient, 0.01)), 1.0, mode="nearest")
    patches = correlated_noise(rng, size, roughness=2.8)
    wet = standardised(0.7 * standardised(np.log(precipitation)) + 0.5 * standardised(wetness) + 0.7 * patches)
    moisture = np.clip(_MEAN_MOISTURE + _MOISTURE_PER_SD * wet, *_MOISTURE_RANGE)

    greenness = np.vectorize(_GREENNESS.__getitem__, otypes=[np.float64])(landscape.land_cover)
    ndvi = np.clip(greenness + 0.05 * correlated_noise(rng, size, roughness=2.0), -0.2, 0.95)
    coherence = landscape.mean_coherence - coherence_per_moisture * standardised(moisture)
    coherence = np.clip(coherence + 0.03 * rng.normal(size=height.shape), 0.02, 0.99)
    brighter = 6.0 * coherence_per_moisture * standardised(moisture)  # wet soil reflects more
    amplitude = _MEAN_AMPLITUDE_DB + brighter + 1.5 * correlated_noise(rng, size, roughness=2.0)
    return Climate(
        *(layer.astype(np.float32) for layer in (precipitation, moisture, ndvi, coherence, amplitude)),
    )


def standardised(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Values minus their mean, over their standard deviation; 0 where they are all the same."""
    values = np.asarray(values, np.float64)
    spread = float(values.std())
    return (values - values.mean()) / spread if spread > 0.0 else np.zeros_like(values)


def coarse_product(values: NDArray[np.float32], grid: Grid, cells: int) -> tuple[NDArray[np.float32], Grid]:
    """Means over blocks of so many cells a side, and the grid of the blocks; those at the edges may be cut.

    Parameters
    ----------
    values
        (row, col), known everywhere.
    grid
        Of the values; the blocks begin at its upper left corner.
    cells
        Side of a block.
    """
    rows, cols = -(-grid.rows // cells), -(-grid.cols // cells)
    block = (np.arange(grid.rows) // cells)[:, None] * cols + np.arange(grid.cols) // cells
    counts = np.bincount(block.ravel(), minlength=rows * cols)
    sums = np.bincount(block.ravel(), values.ravel().astype(np.float64), minlength=rows * cols)
    a, b, c, d, e, f = grid.transform[:6]
    transform = Affine(a * cells, b * cells, c, d * cells, e * cells, f)
    return (sums / counts).reshape(rows, cols).astype(np.float32), Grid(rows, cols, transform, grid.crs)
