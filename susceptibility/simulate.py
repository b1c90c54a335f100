"""A study whose answer is known: inventories drawn from known models of terrain, rocks, climate, shaking and InSAR.

The landscape is simulated too, or real terrain and a real rate are given. The truth is written beside the study: the
coefficients, the probability of every cell, and the AUC that a model can reach at best.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from insar.layers import LayerDefinition, write_layer
from susceptibility.errors import InputError, OptionError
from susceptibility.factors import FACTORS
from susceptibility.landscape import LAND_COVERS, ROCKS, Landscape, Lines, correlated_noise
from susceptibility.landscape_climate import MOISTURE_CELLS, RAIN_CELLS, coarse_product
from susceptibility.landscape_shaking import EARTHQUAKE_DAY
from susceptibility.landscape_slides import slide_outlines
from susceptibility.publishing import staged_folder, write_manifest, write_text
from susceptibility.simulate_files import outlines, write_classes, write_insar, write_inventory, write_shapes
from susceptibility.simulate_ground_failure import write_ground_failure
from susceptibility.simulated_area import SimulatedArea, make_area, rock_planes, terrain_of
from susceptibility.simulation_options import ROCK_FEATURES, SimulationOptions
from susceptibility.truth import LogisticTruth, best_reachable_auc, draw_inventory, drawn_auc, logistic_truth

__all__ = [
    "LogisticTruth",
    "SimulationOptions",
    "best_reachable_auc",
    "correlated_noise",
    "draw_inventory",
    "logistic_truth",
    "simulate_study",
    "write_inventory",
]

KIND = "susceptibility simulation"

PAPER_RECIPES = ("paper_a", "paper_b", "paper_c", "paper_d")
"""Recipes of the package that run on a simulated study as they are; copied into it."""

_TRUE_PROBABILITY = LayerDefinition("probability", "1", "Probability with which the cell was made a landslide")
_TRUE_STEEPNESS = LayerDefinition(
    "ksn", "m^0.9", "Normalised channel steepness that the channels were made with, theta 0.45; no data on hillslopes"
)
_RASTERS = {
    f"distance_to_{kind}": LayerDefinition(f"distance_to_{kind}", "m", f"Distance to the nearest {kind}")
    for kind in ("river", "road", "fault")
}
_PRECIPITATION = LayerDefinition("precipitation", "mm", "Rain of the winter")
_SOIL_MOISTURE = LayerDefinition("soil_moisture", "m3/m3", "Mean soil moisture of the winter")
_NDVI = LayerDefinition("ndvi", "1", "Normalised difference vegetation index of the summer")
_FIRST_DAY, _LAST_DAY = np.datetime64("2019-01-01"), np.datetime64("2024-12-31")
_FIRST_WINTER_DAY, _LAST_WINTER_DAY = np.datetime64("2022-12-01"), np.datetime64("2023-02-28")
_RAINFALL_STREAM, _WINTER_STREAM = 8, 9

_RECIPE = """\
# A simulated study; truth/model.json has the coefficients that its inventory was drawn with.

[study]
name = "Simulated study"

[factors]
dem = "dem.tif"
terrain = ["slope", "aspect_sin", "aspect_cos", "profile_curvature", "plan_curvature"]
{rasters}
[factors.insar]
path = "insar"
{layers}absolute = ["velocity"]

[inventory]
path = "inventory.gpkg"

[sampling]
seed = {seed}

[validation]
schemes = ["random", "spatial-blocks"]
"""


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
        Folder for ``dem.tif``, ``insar/``, ``inventory.gpkg`` (points), ``inventory_polygons.gpkg``, ``recipe.toml``
        and ``truth/``. Of a simulated landscape also ``rivers.gpkg``, ``roads.gpkg``, ``faults.gpkg``,
        ``profile.gpkg`` (a line across the faults), ``lithology.gpkg``, ``lithology.tif``, ``land_cover.tif``,
        ``ndvi.tif``, ``precipitation.tif``, ``soil_moisture.tif``, ``rainfall_landslides.gpkg`` (points),
        ``earthquake_landslides.gpkg`` (polygons), ``ground_failure/`` with the ShakeMap ``grid.xml``, the recipes of
        the papers, and the distances and rocks that the model of the main inventory has, as ``factors/``.
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
        (folder / "truth").mkdir()
        if dem is None or velocity is None:
            area = make_area(options)
            elevation, grid, layers = area.landscape.elevation, area.landscape.grid, area.layers
            effects = options.effects | options.landscape_effects
            rasters = _write_landscape(folder, area.landscape, effects)
            _write_climate(folder, area)
            _write_rainfall(folder, area, options)
            _write_earthquake(folder, area, options)
            write_insar(folder / "insar", layers, grid, area.series)
            for name in PAPER_RECIPES:
                recipe = resources.files("susceptibility") / "recipes" / f"{name}.toml"
                write_text(folder / f"{name}.toml", recipe.read_text(encoding="utf-8"))
        else:
            elevation, rate, grid = _given_landscape(dem, velocity)
            layers, effects, rasters = {"velocity": rate}, options.effects, {}
            write_insar(folder / "insar", layers, grid)
        features = terrain_of(elevation, grid) | rasters
        features |= {"velocity_absolute": np.abs(layers["velocity"])}
        features |= {name: layers[name] for name in ("damage_proxy",) if name in effects}
        classes = [name for name in ROCK_FEATURES if name in effects]
        truth = logistic_truth(features, effects, options.landslides, classes=classes)
        write_layer(folder / "dem.tif", elevation, grid, FACTORS["elevation"])
        cells = draw_inventory(truth.probability, options.seed)
        if cells.size == 0:
            raise InputError(
                "landslides", required="at least one landslide", found="none drawn", remedy="Ask for more landslides"
            )
        _write_landslides(folder, cells, grid, options.seed)
        _write_truth(folder / "truth", truth, cells, grid)
        write_text(folder / "recipe.toml", _recipe(options, rasters, with_damage="damage_proxy" in effects))
        write_manifest(folder, KIND, {"options": asdict(options), "landslide_cells": int(cells.size)})
    return output / "recipe.toml"


def _given_landscape(dem: Path, velocity: Path) -> tuple[NDArray[np.float32], NDArray[np.float32], Grid]:
    from susceptibility.storage import align_raster, metric_grid_of

    grid = metric_grid_of(dem)
    return align_raster(dem, grid, resampling="cubic"), align_raster(velocity, grid), grid


def _recipe(options: SimulationOptions, rasters: Mapping[str, Any], *, with_damage: bool) -> str:
    lines = [f'{name} = "factors/{name}.tif"' for name in rasters]
    if lines:
        lines = ["", "[factors.rasters]", *lines]
    layers = 'layers = ["damage_proxy"]\n' if with_damage else ""
    return _RECIPE.format(seed=options.seed, rasters="".join(f"{line}\n" for line in lines), layers=layers)


def _write_landscape(
    folder: Path, landscape: Landscape, effects: Mapping[str, float]
) -> dict[str, NDArray[np.float32]]:
    """Write what a landscape has besides terrain and InSAR; return those features that the main model has."""
    from susceptibility.distances import distance_to

    grid = landscape.grid
    for name, lines in (("rivers", landscape.rivers), ("roads", landscape.roads), ("faults", landscape.faults)):
        write_shapes(folder / f"{name}.gpkg", name, lines, "LineString", grid)
    write_shapes(folder / "profile.gpkg", "profile", _line_across(landscape.faults, grid), "LineString", grid)
    names = {rock.number: rock.name for rock in ROCKS}
    rocks = outlines(landscape.lithology, grid, "lithology", names)
    write_shapes(folder / "lithology.gpkg", "lithology", rocks, "Polygon", grid)
    write_classes(folder / "lithology.tif", landscape.lithology, grid, names)
    write_classes(folder / "land_cover.tif", landscape.land_cover, grid, LAND_COVERS)
    features, definitions = {}, dict(_RASTERS)
    for name in _RASTERS:
        if name in effects:
            features[name] = distance_to(folder / f"{name.removeprefix('distance_to_')}s.gpkg", grid)
    for name, plane in rock_planes(landscape).items():
        if name in effects:
            features[name] = plane
            definitions[name] = LayerDefinition(
                name, "1", f"Whether the rock is {name.removeprefix('lithology_')}, 0 or 1"
            )
    (folder / "factors").mkdir()
    for name, values in features.items():
        write_layer(folder / "factors" / f"{name}.tif", values, grid, definitions[name])
    steepness = np.where(landscape.is_channel, landscape.steepness, np.nan)
    write_layer(folder / "truth" / "ksn.tif", steepness, grid, _TRUE_STEEPNESS)
    return features


def _line_across(faults: Lines, grid: Grid) -> Lines:
    """Draw a line through the area at a right angle to the first fault, from its middle both ways to the edges."""
    import shapely

    fault = faults.geometries[0]
    ends = shapely.get_coordinates(fault)[[0, -1]]
    along = (ends[1] - ends[0]) / np.hypot(*(ends[1] - ends[0]))
    across = np.array([along[1], -along[0]])
    middle = shapely.get_coordinates(shapely.line_interpolate_point(fault, 0.5, normalized=True))[0]
    west, south, east, north = grid.bounds
    reach = np.hypot(east - west, north - south)
    line = shapely.linestrings([middle - reach * across, middle + reach * across])
    inside = shapely.intersection(line, shapely.box(west, south, east, north))
    shapes = np.empty(1, object)
    shapes[0] = inside
    return Lines(shapes, {"profile": np.array([1], np.int32)})


def _write_climate(folder: Path, area: SimulatedArea) -> None:
    """Write greenness, and coarse products of rain and soil moisture with what is fine among the truth."""
    grid, climate = area.landscape.grid, area.climate
    write_layer(folder / "ndvi.tif", climate.ndvi, grid, _NDVI)
    for definition, values, cells in (
        (_PRECIPITATION, climate.precipitation_mm, RAIN_CELLS),
        (_SOIL_MOISTURE, climate.soil_moisture, MOISTURE_CELLS),
    ):
        write_layer(folder / f"{definition.name}.tif", *coarse_product(values, grid, cells), definition)
        write_layer(folder / "truth" / f"{definition.name}.tif", values, grid, definition)


def _write_rainfall(folder: Path, area: SimulatedArea, options: SimulationOptions) -> None:
    """Draw and write the inventory of the winter's landslides, and its truth."""
    from susceptibility.distances import distance_to

    grid = area.landscape.grid
    effects = options.rainfall_effects
    features = {"slope": area.terrain["slope"], **rock_planes(area.landscape)}
    features |= {"precipitation": area.climate.precipitation_mm, "soil_moisture": area.climate.soil_moisture}
    for kind in ("river", "fault"):
        if f"distance_to_{kind}" in effects:
            features[f"distance_to_{kind}"] = distance_to(folder / f"{kind}s.gpkg", grid)
    classes = [name for name in ROCK_FEATURES if name in effects]
    known = int(np.isfinite(features["slope"]).sum())
    truth = logistic_truth(features, effects, max(options.rainfall_share * known, 1e-6), classes=classes)
    cells = draw_inventory(truth.probability, options.seed, stream=_RAINFALL_STREAM)
    days = np.random.default_rng([options.seed, _WINTER_STREAM]).integers(
        0, (_LAST_WINTER_DAY - _FIRST_WINTER_DAY).astype(int) + 1, cells.size
    )
    dates = _FIRST_WINTER_DAY + days.astype("timedelta64[D]")
    write_inventory(folder / "rainfall_landslides.gpkg", cells, grid, dates)
    _write_truth(folder / "truth", truth, cells, grid, "rainfall_")


def _write_earthquake(folder: Path, area: SimulatedArea, options: SimulationOptions) -> None:
    """Write the earthquake's landslides, the inputs of the USGS model for it, and what is true of it and the series."""
    import shapely

    landscape, slides = area.landscape, area.slides
    grid = landscape.grid
    row, col = np.mgrid[: grid.rows + 1, : grid.cols + 1]
    corners = np.stack(grid.map_coordinates(row.astype(float), col.astype(float)), axis=-1)
    shapes = slide_outlines(slides, corners, grid.cols)
    fields: dict[str, NDArray[Any]] = {
        "landslide": np.arange(1, len(shapes) + 1, dtype=np.int32),
        "area_m2": shapely.area(shapes),
        "date": np.full(len(shapes), np.datetime64(EARTHQUAKE_DAY), "datetime64[D]"),
    }
    write_shapes(folder / "earthquake_landslides.gpkg", "landslides", Lines(shapes, fields), "Polygon", grid)
    write_ground_failure(folder / "ground_failure", landscape, area.earthquake)
    truth = folder / "truth"
    for name, values, unit, meaning in (
        ("slide_mean", area.slide_mean, "count", "Mean number of the earthquake's landslides that begin in the cell"),
        ("slide_probability", area.slide_probability, "1", "Probability that one of them covers the cell"),
        ("rate_change", area.series.rate_change, "m/yr", "Growth of the line-of-sight rate before the last date"),
    ):
        write_layer(truth / f"{name}.tif", values, grid, LayerDefinition(name, unit, meaning))
    covered = np.flatnonzero(slides.covered)
    known = {
        **asdict(area.earthquake),
        "coefficients": {"slope": options.slope_effect, "ln_pgv": options.shaking_effect, **options.rock_effects},
        "landslides": len(shapes),
        "expected_landslides": float(area.slide_mean.sum()),
        "covered_cells": int(covered.size),
        "expected_covered_cells": float(area.slide_probability.sum()),
        "drawn_auc": _number(drawn_auc(area.slide_probability, covered)),
    }
    write_text(truth / "earthquake.json", json.dumps(known, indent=2) + "\n")
    series = {
        "dates": [f"{day:%Y-%m-%d}" for day in area.series.dates],
        "change_day": f"{area.series.change_day:%Y-%m-%d}",
        "rate_change_m_per_year": options.rate_change_m_per_year,
    }
    write_text(truth / "timeseries.json", json.dumps(series, indent=2) + "\n")


def _write_landslides(folder: Path, cells: NDArray[np.intp], grid: Grid, seed: int) -> None:
    """Write landslides as points, one in each cell, and as polygons of cells that touch, which share a date."""
    from scipy.ndimage import label

    is_landslide = np.zeros(grid.shape, np.bool_)
    is_landslide.flat[cells] = True
    number, count = label(is_landslide)
    days = np.random.default_rng([seed, 2]).integers(0, (_LAST_DAY - _FIRST_DAY).astype(int) + 1, count)
    dates = _FIRST_DAY + days.astype("timedelta64[D]")
    write_inventory(folder / "inventory.gpkg", cells, grid, dates[number.flat[cells] - 1])
    polygons = outlines(number, grid, "landslide")
    polygons.fields["date"] = dates[polygons.fields["landslide"] - 1]
    write_shapes(folder / "inventory_polygons.gpkg", "landslides", polygons, "Polygon", grid)


def _write_truth(folder: Path, truth: LogisticTruth, cells: NDArray[np.intp], grid: Grid, prefix: str = "") -> None:
    write_layer(folder / f"{prefix}probability.tif", truth.probability, grid, _TRUE_PROBABILITY)
    auc = _number(drawn_auc(truth.probability, cells))
    content = truth.as_dict() | {"drawn_auc": auc, "landslide_cells": int(cells.size)}
    write_text(folder / f"{prefix}model.json", json.dumps(content, indent=2) + "\n")


def _number(value: float) -> float | None:
    """As JSON can hold it: None for NaN, which is that of an inventory without landslides."""
    return value if np.isfinite(value) else None
