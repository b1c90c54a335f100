"""A study whose answer is known: an inventory drawn from a logistic model of slope, curvature and rate.

The terrain and the rate are simulated too, or real ones are given. The truth is written beside the study: the
coefficients, the probability of every cell, and the AUC that a model can reach at best.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.grid import Grid
from insar.layers import LAYERS, LayerDefinition, write_layer
from susceptibility.errors import InputError, OptionError
from susceptibility.factors import FACTORS
from susceptibility.publishing import staged_folder, write_manifest, write_text

KIND = "susceptibility simulation"

_CRS = "EPSG:32645"  # the eastern Himalaya: steep, and in the range of UTM
_CELL_M = 30.0
_TRUE_PROBABILITY = LayerDefinition("probability", "1", "Probability with which the cell was made a landslide")

_RECIPE = """\
# A simulated study; truth/model.json has the coefficients that its inventory was drawn with.

[study]
name = "Simulated study"

[factors]
dem = "dem.tif"
terrain = ["slope", "aspect_sin", "aspect_cos", "profile_curvature", "plan_curvature"]

[factors.insar]
path = "insar"
absolute = ["velocity"]

[inventory]
path = "inventory.gpkg"

[sampling]
seed = {seed}

[validation]
schemes = ["random", "spatial-blocks"]
"""


@dataclass(frozen=True, slots=True)
class SimulationOptions:
    """What to simulate.

    Attributes
    ----------
    seed
        The same seed gives the same study.
    size
        Rows and columns of a simulated terrain, with cells of 30 m.
    landslides
        Expected number of landslide cells.
    slope_effect, curvature_effect, velocity_effect
        Log-odds of a landslide for each standard deviation of slope, profile curvature and absolute rate.
    """

    seed: int = 1
    size: int = 200
    landslides: int = 400
    slope_effect: float = 1.2
    curvature_effect: float = -0.5
    velocity_effect: float = 0.7

    @property
    def effects(self) -> dict[str, float]:
        """Coefficient of each feature."""
        return {
            "slope": self.slope_effect,
            "profile_curvature": self.curvature_effect,
            "velocity_absolute": self.velocity_effect,
        }


@dataclass(frozen=True, slots=True)
class LogisticTruth:
    """The model an inventory was drawn from.

    The log-odds of a landslide in a cell are ``intercept + sum(coefficient * (feature - mean) / std)``, and cells are
    independent of each other.

    Attributes
    ----------
    intercept, coefficients
        Log-odds, and log-odds per standard deviation, by feature.
    means, stds
        By which features are standardised, in their units.
    probability
        (row, col) of each cell; NaN where a feature is unknown.
    best_auc
        See `best_reachable_auc`.
    """

    intercept: float
    coefficients: dict[str, float]
    means: dict[str, float]
    stds: dict[str, float]
    probability: NDArray[np.float64]
    best_auc: float

    def as_dict(self) -> dict[str, object]:
        """All but the probabilities."""
        return {name: value for name, value in asdict(self).items() if name != "probability"}


def logistic_truth(
    features: Mapping[str, NDArray[np.float32]], effects: Mapping[str, float], expected_landslides: float
) -> LogisticTruth:
    """Set up a logistic model whose probabilities add up to a number of landslides.

    Parameters
    ----------
    features
        (row, col) by name; NaN where unknown.
    effects
        Log-odds for each standard deviation, by name.
    expected_landslides
        Sum of the probabilities.

    Raises
    ------
    OptionError
        More landslides are asked for than there are cells where all features are known.
    """
    from scipy.optimize import brentq
    from scipy.special import expit

    known = np.logical_and.reduce([np.isfinite(features[name]) for name in effects])
    cells = int(known.sum())
    if not 0.0 < expected_landslides < cells:
        raise OptionError(
            "landslides",
            required=f"fewer than the {cells} cells where slope, curvature and rate are known, and at least one",
            found=f"{expected_landslides:g}",
            remedy="Choose another number, or a larger area",
        )
    means = {name: float(np.mean(features[name][known], dtype=np.float64)) for name in effects}
    stds = {name: float(np.std(features[name][known], dtype=np.float64)) or 1.0 for name in effects}
    score = np.zeros(cells)
    for name, effect in effects.items():
        score += effect * (features[name][known].astype(np.float64) - means[name]) / stds[name]
    intercept = float(brentq(lambda shift: float(expit(shift + score).sum()) - expected_landslides, -80.0, 80.0))
    probability = np.full(known.shape, np.nan)
    probability[known] = expit(intercept + score)
    return LogisticTruth(intercept, dict(effects), means, stds, probability, best_reachable_auc(probability))


def best_reachable_auc(probability: NDArray[np.floating]) -> float:
    """Expected AUC-ROC of the true probabilities themselves, which no model can be expected to exceed.

    Parameters
    ----------
    probability
        Of a landslide in each cell, any shape, cells independent; NaN where unknown.

    Notes
    -----
    Over all pairs of cells, ``sum p_i (1 - p_j) [p_i > p_j] / sum p_i (1 - p_j)``, ties counted half: the chance that a
    landslide cell has a higher probability than another.
    """
    p = np.sort(np.asarray(probability, np.float64)[np.isfinite(probability)])
    values, start = np.unique(p, return_index=True)
    count = np.diff(np.append(start, p.size))
    negatives = count * (1.0 - values)
    below = np.cumsum(negatives) - negatives
    # A cell is not compared with itself.
    won = np.sum(count * values * (below + 0.5 * (count - 1) * (1.0 - values)))
    pairs = p.sum() * (1.0 - p).sum() - np.sum(p * (1.0 - p))
    return float(won / pairs)


def draw_inventory(probability: NDArray[np.floating], seed: int) -> NDArray[np.intp]:
    """Flat indices of landslide cells, each drawn with its own probability; none where that is NaN."""
    drawn = np.random.default_rng([seed, 1]).uniform(size=probability.shape) < probability
    return np.flatnonzero(drawn)


def write_inventory(path: Path, cells: NDArray[np.intp], grid: Grid) -> None:
    """Write landslide cells as points at their centres, in a GeoPackage."""
    import pyogrio
    import pyogrio.raw
    import shapely

    rows, cols = np.divmod(cells, grid.cols)
    transform = grid.transform
    points = shapely.points(transform.c + transform.a * (cols + 0.5), transform.f + transform.e * (rows + 0.5))
    partial = path.with_name(f".{path.name}")  # GDAL tells the format by the suffix
    partial.unlink(missing_ok=True)
    # Without it the file holds the time of its making, and is another one each time.
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "1970-01-01T00:00:00.000Z"})
    try:
        pyogrio.raw.write(
            partial,
            shapely.to_wkb(points),
            [np.arange(cells.size, dtype=np.int32) + 1],
            ["landslide"],
            geometry_type="Point",
            crs=grid.crs,
            driver="GPKG",
            layer="landslides",
        )
        partial.replace(path)
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
        partial.unlink(missing_ok=True)


def simulate_study(
    output: Path,
    options: SimulationOptions,
    *,
    dem: Path | None = None,
    velocity: Path | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a study that `susceptibility run` takes as it is, and the truth beside it.

    Parameters
    ----------
    output
        Folder for ``dem.tif``, ``insar/``, ``inventory.gpkg``, ``recipe.toml`` and ``truth/``.
    options
        What to simulate.
    dem, velocity
        Terrain and rate (m/yr) to take instead of simulated ones, both or neither; any grid and CRS. The study is on
        the terrain's, or its UTM zone.
    overwrite
        Whether a former simulation there is replaced.

    Returns
    -------
    Path
        The recipe.

    Raises
    ------
    OptionError
        One of `dem` and `velocity` is missing, or the folder holds something else.
    InputError
        They do not overlap.
    """
    if (dem is None) != (velocity is None):
        raise OptionError(
            "--dem and --velocity", required="both or neither", found="one of them", remedy="Give the other one too"
        )
    with staged_folder(output, KIND, overwrite=overwrite) as folder:
        if dem is None or velocity is None:
            elevation, rate, grid = simulate_landscape(options.size, options.seed)
        else:
            elevation, rate, grid = _given_landscape(dem, velocity)
        truth = _truth_of(elevation, rate, grid, options)
        write_layer(folder / "dem.tif", elevation, grid, FACTORS["elevation"])
        _write_rate(folder / "insar", rate, grid)
        cells = draw_inventory(truth.probability, options.seed)
        if cells.size == 0:
            raise InputError(
                "landslides", required="at least one landslide", found="none drawn", remedy="Ask for more landslides"
            )
        write_inventory(folder / "inventory.gpkg", cells, grid)
        (folder / "truth").mkdir()
        write_layer(folder / "truth" / "probability.tif", truth.probability, grid, _TRUE_PROBABILITY)
        write_text(folder / "truth" / "model.json", json.dumps(truth.as_dict(), indent=2) + "\n")
        write_text(folder / "recipe.toml", _RECIPE.format(seed=options.seed))
        write_manifest(folder, KIND, {"options": asdict(options), "landslide_cells": int(cells.size)})
    return output / "recipe.toml"


def _truth_of(
    elevation: NDArray[np.float32], rate: NDArray[np.float32], grid: Grid, options: SimulationOptions
) -> LogisticTruth:
    from susceptibility.factors.terrain import terrain_factors

    # Not the plan curvature: where the terrain is all but flat that is without bound, and would decide alone.
    features = terrain_factors(elevation, grid, ["slope", "profile_curvature"])
    features["velocity_absolute"] = np.abs(rate)
    return logistic_truth(features, options.effects, options.landslides)


def _given_landscape(dem: Path, velocity: Path) -> tuple[NDArray[np.float32], NDArray[np.float32], Grid]:
    from susceptibility.storage import align_raster, metric_grid_of

    grid = metric_grid_of(dem)
    return align_raster(dem, grid, resampling="cubic"), align_raster(velocity, grid), grid


def simulate_landscape(size: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32], Grid]:
    """Simulate ridges and valleys with slopes that creep.

    Returns
    -------
    elevation, rate : (row, col) float32
        Metres; line-of-sight m/yr, positive toward the satellite.
    grid
        Square, cells of 30 m, in UTM.
    """
    from susceptibility.factors.terrain import terrain_factors

    rng = np.random.default_rng([seed, 0])
    grid = Grid(size, size, Affine(_CELL_M, 0.0, 400_000.0, 0.0, -_CELL_M, 3_100_000.0), _CRS)
    relief = correlated_noise(rng, size, roughness=4.4)
    ridges = 1.0 - np.abs(correlated_noise(rng, size, roughness=4.0))
    elevation = (1500.0 + 200.0 * relief + 110.0 * ridges).astype(np.float32)

    slope = terrain_factors(elevation, grid, ["slope"])["slope"]
    steepness = np.clip(np.nan_to_num(slope) / 25.0, 0.0, 1.5)
    patches = np.clip(correlated_noise(rng, size, roughness=2.6) - 0.4, 0.0, None)
    facing = np.sign(correlated_noise(rng, size, roughness=4.0))  # slopes that face the satellite, or not
    rate = facing * 0.03 * patches * steepness + rng.normal(0.0, 0.0015, grid.shape)
    return elevation, rate.astype(np.float32), grid


def correlated_noise(rng: np.random.Generator, size: int, roughness: float) -> NDArray[np.float64]:
    """Gaussian noise (row, col) of mean 0 and variance 1, whose power falls with wave number to ``-roughness``."""
    wide = 2 * size  # half is thrown away, so that opposite edges are not alike
    frequency = np.hypot(np.fft.fftfreq(wide)[:, None], np.fft.rfftfreq(wide)[None, :])
    amplitude = np.zeros_like(frequency)
    amplitude[frequency > 0] = frequency[frequency > 0] ** (-roughness / 2.0)
    phase = np.exp(2j * math.pi * rng.uniform(size=frequency.shape))
    field = np.fft.irfft2(amplitude * phase * rng.normal(size=frequency.shape), s=(wide, wide))[:size, :size]
    return np.asarray((field - field.mean()) / field.std())


def _write_rate(folder: Path, rate: NDArray[np.float32], grid: Grid) -> None:
    """Write the rate as a result of `insar` has it."""
    definition = LAYERS["velocity"]
    (folder / "layers").mkdir(parents=True)
    write_layer(folder / "layers" / "velocity.tif", rate, grid, definition)
    layer = {
        "name": definition.name,
        "unit": definition.unit,
        "sign": definition.sign,
        "description": definition.description,
        "file": "layers/velocity.tif",
    }
    write_text(folder / "manifest.json", json.dumps({"layers": [layer]}, indent=2) + "\n")
