"""A study whose answer is known: an inventory drawn from a logistic model of terrain, rocks, distances and InSAR.

The landscape is simulated too, or real terrain and a real rate are given. The truth is written beside the study: the
coefficients, the probability of every cell, and the AUC that a model can reach at best.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from insar.layers import LAYERS, LayerDefinition, write_layer
from susceptibility.errors import InputError, OptionError
from susceptibility.factors import FACTORS
from susceptibility.landscape import LAND_COVERS, ROCKS, Landscape, Lines, correlated_noise, make_landscape
from susceptibility.publishing import staged_folder, write_manifest, write_text
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

INSAR_LAYERS = ("velocity", "velocity_std", "mean_coherence", "coherence_pre", "coherence_co", "damage_proxy")
"""Layers of the simulated result of `insar`."""

_TRUE_PROBABILITY = LayerDefinition("probability", "1", "Probability with which the cell was made a landslide")
_TRUE_STEEPNESS = LayerDefinition(
    "ksn", "m^0.9", "Normalised channel steepness that the channels were made with, theta 0.45; no data on hillslopes"
)
_RASTERS = {
    f"distance_to_{kind}": LayerDefinition(f"distance_to_{kind}", "m", f"Distance to the nearest {kind}")
    for kind in ("river", "road", "fault")
}
_FIRST_DAY, _LAST_DAY = np.datetime64("2019-01-01"), np.datetime64("2024-12-31")

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
    river_effect, road_effect, fault_effect
        The same of the distance to the nearest river, road and fault; of a simulated landscape.
    rock_effect
        Log-odds of a landslide in the weakest rock against the strongest; those between lie between. Of a simulated
        landscape.
    damage_effect
        The same as the first of the damage proxy; of a simulated landscape. With `velocity_effect` and `damage_effect`
        0, InSAR tells nothing that the other factors do not.
    """

    seed: int = 1
    size: int = 200
    landslides: int = 400
    slope_effect: float = 1.2
    curvature_effect: float = -0.5
    velocity_effect: float = 0.7
    river_effect: float = -0.4
    road_effect: float = 0.0
    fault_effect: float = -0.3
    rock_effect: float = 0.8
    damage_effect: float = 0.0

    @property
    def effects(self) -> dict[str, float]:
        """Coefficient of each feature that real terrain and a real rate have."""
        return {
            "slope": self.slope_effect,
            "profile_curvature": self.curvature_effect,
            "velocity_absolute": self.velocity_effect,
        }

    @property
    def landscape_effects(self) -> dict[str, float]:
        """Coefficients of the features that only a simulated landscape has; none where they are all 0."""
        effects = {
            "distance_to_river": self.river_effect,
            "distance_to_road": self.road_effect,
            "distance_to_fault": self.fault_effect,
            "damage_proxy": self.damage_effect,
        } | dict(zip(_rock_features(), self._rock_effects(), strict=True))
        return {name: effect for name, effect in effects.items() if effect != 0.0}

    def _rock_effects(self) -> list[float]:
        """Log-odds of each rock but the strongest, in equal steps."""
        return [self.rock_effect * step / (len(ROCKS) - 1) for step in range(1, len(ROCKS))]


def write_inventory(
    path: Path, cells: NDArray[np.intp], grid: Grid, dates: NDArray[np.datetime64] | None = None
) -> None:
    """Write landslide cells as points at their centres, in a GeoPackage, with the date of each where there are any."""
    import shapely

    rows, cols = np.divmod(cells, grid.cols)
    x, y = grid.map_coordinates(rows + 0.5, cols + 0.5)
    fields: dict[str, NDArray[Any]] = {"landslide": np.arange(cells.size, dtype=np.int32) + 1}
    if dates is not None:
        fields["date"] = dates
    _write_shapes(path, "landslides", Lines(shapely.points(x, y), fields), "Point", grid)


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
        and ``truth/``; of a simulated landscape also ``rivers.gpkg``, ``roads.gpkg``, ``faults.gpkg``,
        ``lithology.gpkg``, ``lithology.tif``, ``land_cover.tif``, and the distances and rocks that the model has, as
        ``factors/``.
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
            landscape = make_landscape(options.size, options.seed)
            elevation, grid = landscape.elevation, landscape.grid
            layers = {name: getattr(landscape, name) for name in INSAR_LAYERS}
            effects = options.effects | options.landscape_effects
            rasters = _write_landscape(folder, landscape, effects)
        else:
            elevation, rate, grid = _given_landscape(dem, velocity)
            layers, effects, rasters = {"velocity": rate}, options.effects, {}
        features = _terrain_of(elevation, grid) | rasters
        features |= {"velocity_absolute": np.abs(layers["velocity"])}
        features |= {name: layers[name] for name in ("damage_proxy",) if name in effects}
        classes = [name for name in _rock_features() if name in effects]
        truth = logistic_truth(features, effects, options.landslides, classes=classes)
        write_layer(folder / "dem.tif", elevation, grid, FACTORS["elevation"])
        _write_insar(folder / "insar", layers, grid)
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


def _rock_features() -> tuple[str, ...]:
    """Names of the features of each rock but the strongest, which the others are compared with."""
    return tuple(f"lithology_{rock.name}" for rock in ROCKS[1:])


def _terrain_of(elevation: NDArray[np.float32], grid: Grid) -> dict[str, NDArray[np.float32]]:
    from susceptibility.factors.terrain import terrain_factors

    # Not the plan curvature: where the terrain is all but flat that is without bound, and would decide alone.
    return terrain_factors(elevation, grid, ["slope", "profile_curvature"])


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
    """Write what a landscape has besides terrain and InSAR; return those features that the model has."""
    from susceptibility.distances import distance_to

    grid = landscape.grid
    for name, lines in (("rivers", landscape.rivers), ("roads", landscape.roads), ("faults", landscape.faults)):
        _write_shapes(folder / f"{name}.gpkg", name, lines, "LineString", grid)
    names = {rock.number: rock.name for rock in ROCKS}
    _write_shapes(
        folder / "lithology.gpkg",
        "lithology",
        _outlines(landscape.lithology, grid, "lithology", names),
        "Polygon",
        grid,
    )
    for name, classes, known in (
        ("lithology", landscape.lithology, names),
        ("land_cover", landscape.land_cover, LAND_COVERS),
    ):
        meaning = "; ".join(f"{number} {title}" for number, title in known.items())
        definition = LayerDefinition(name, "class", f"{meaning}; 0 unknown", dtype="uint8", nodata=0)
        write_layer(folder / f"{name}.tif", classes, grid, definition)
    features, definitions = {}, dict(_RASTERS)
    for name in _RASTERS:
        if name in effects:
            features[name] = distance_to(folder / f"{name.removeprefix('distance_to_')}s.gpkg", grid)
    for name, rock in zip(_rock_features(), ROCKS[1:], strict=True):
        if name in effects:
            features[name] = (landscape.lithology == rock.number).astype(np.float32)
            definitions[name] = LayerDefinition(name, "1", f"Whether the rock is {rock.name}, 0 or 1")
    (folder / "factors").mkdir()
    for name, values in features.items():
        write_layer(folder / "factors" / f"{name}.tif", values, grid, definitions[name])
    (folder / "truth").mkdir()
    steepness = np.where(landscape.is_channel, landscape.steepness, np.nan)
    write_layer(folder / "truth" / "ksn.tif", steepness, grid, _TRUE_STEEPNESS)
    return features


def _write_insar(folder: Path, layers: Mapping[str, NDArray[np.float32]], grid: Grid) -> None:
    """Write layers as a result of `insar` has them."""
    (folder / "layers").mkdir(parents=True)
    listed = []
    for name, values in layers.items():
        definition = LAYERS[name]
        write_layer(folder / "layers" / f"{name}.tif", values, grid, definition)
        layer = {
            "name": name,
            "unit": definition.unit,
            "sign": definition.sign,
            "description": definition.description,
            "file": f"layers/{name}.tif",
        }
        listed.append(layer)
    write_text(folder / "manifest.json", json.dumps({"layers": listed}, indent=2) + "\n")


def _write_landslides(folder: Path, cells: NDArray[np.intp], grid: Grid, seed: int) -> None:
    """Write landslides as points, one in each cell, and as polygons of cells that touch, which share a date."""
    from scipy.ndimage import label

    is_landslide = np.zeros(grid.shape, np.bool_)
    is_landslide.flat[cells] = True
    number, count = label(is_landslide)
    days = np.random.default_rng([seed, 2]).integers(0, (_LAST_DAY - _FIRST_DAY).astype(int) + 1, count)
    dates = _FIRST_DAY + days.astype("timedelta64[D]")
    write_inventory(folder / "inventory.gpkg", cells, grid, dates[number.flat[cells] - 1])
    polygons = _outlines(number, grid, "landslide")
    polygons.fields["date"] = dates[polygons.fields["landslide"] - 1]
    _write_shapes(folder / "inventory_polygons.gpkg", "landslides", polygons, "Polygon", grid)


def _write_truth(folder: Path, truth: LogisticTruth, cells: NDArray[np.intp], grid: Grid) -> None:
    folder.mkdir(exist_ok=True)
    write_layer(folder / "probability.tif", truth.probability, grid, _TRUE_PROBABILITY)
    content = truth.as_dict() | {"drawn_auc": drawn_auc(truth.probability, cells), "landslide_cells": int(cells.size)}
    write_text(folder / "model.json", json.dumps(content, indent=2) + "\n")


def _outlines(classes: NDArray[Any], grid: Grid, field: str, names: Mapping[int, str] | None = None) -> Lines:
    """Polygons of cells of one class other than 0 that share edges, along the edges of cells."""
    import rasterio.features
    import shapely

    classes = classes.astype(np.int32)
    found = list(rasterio.features.shapes(classes, mask=classes > 0, transform=grid.transform))
    found.sort(key=lambda item: (item[1], item[0]["coordinates"][0][0]))
    number = np.array([value for _, value in found], np.int32)
    fields: dict[str, NDArray[Any]] = {field: number}
    if names is not None:
        fields["name"] = np.array([names[value] for value in number.tolist()], object)
    shapes = np.array([shapely.geometry.shape(outline) for outline, _ in found], object)
    return Lines(shapes, fields | {"area_m2": shapely.area(shapes)})


def _write_shapes(path: Path, layer: str, shapes: Lines, kind: str, grid: Grid) -> None:
    import pyogrio
    import pyogrio.raw
    import shapely

    partial = path.with_name(f".{path.name}")  # GDAL tells the format by the suffix
    partial.unlink(missing_ok=True)
    # Without it the file holds the time of its making, and is another one each time.
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "1970-01-01T00:00:00.000Z"})
    try:
        pyogrio.raw.write(
            partial,
            shapely.to_wkb(shapes.geometries),
            list(shapes.fields.values()),
            list(shapes.fields),
            geometry_type=kind,
            crs=grid.crs,
            driver="GPKG",
            layer=layer,
        )
        partial.replace(path)
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
        partial.unlink(missing_ok=True)
