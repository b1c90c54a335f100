"""The landslide model of the USGS ground-failure product, for one earthquake.

Notes
-----
Nowicki Jessee et al. (2018) fitted, over 23 inventories of landslides that earthquakes had triggered,

    X = -6.30 + 1.65 ln(PGV) + 0.06 s + L + C + 0.03 CTI + 0.01 ln(PGV) s
    P = 1 / (1 + exp(-X))

with the peak ground velocity PGV in cm/s (0 to 211), the slope s in degrees, coefficients L of the lithology and C of
the land cover, and the compound topographic index CTI (0 to 19). Unconsolidated sediment, whose fitted coefficient of
-3.21 or less calls it strong, gets -1.36. P was fitted on as many landslide as other places; what share of the ground
landslides cover is

    coverage = exp(-7.592 + 5.237 P - 3.042 P2 + 4.035 P3)

which reaches from 0.0005 at P = 0 to 0.256 at P = 1. Ground of at most 2 degrees is given none: there P stays as it
comes out of the equation, and the coverage is 0.

References
----------
Nowicki Jessee, M. A., Hamburger, M. W., Allstadt, K., Wald, D. J., Robeson, S. M., Tanyas, H., Hearne, M., Thompson,
E. M. (2018). A global empirical model for near-real-time assessment of seismically induced landslides. Journal of
Geophysical Research: Earth Surface 123, 1835-1859.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.grid import Grid
from insar.layers import LayerDefinition, grid_of, write_layer
from susceptibility.errors import InputError, MissingInputError
from susceptibility.shakemap import ShakeMap, read_shakemap
from susceptibility.storage import Resampling, align_raster, grid_in, open_raster

Numbers = NDArray[np.floating[Any]] | float

LARGEST_PGV_CM_S = 211.0
LARGEST_CTI = 19.0
STEEPEST_WITHOUT_DEG = 2.0
"""Ground up to this slope is given no landslides."""

UNCONSOLIDATED, UNCONSOLIDATED_AMENDED = -3.21, -1.36
"""Lithology coefficients at or below the first are replaced by the second."""

DEFINITIONS: dict[str, LayerDefinition] = {
    layer.name: layer
    for layer in (
        LayerDefinition(
            "usgs_probability", "1", "Probability of a landslide, Nowicki Jessee et al. (2018), of a balanced sample"
        ),
        LayerDefinition(
            "usgs_areal_coverage", "1", "Share of the ground that landslides cover, Nowicki Jessee et al. (2018)"
        ),
    )
}
"""What the model gives, by name."""


def usgs_probability(
    pgv_cm_s: Numbers,
    slope_deg: Numbers,
    cti: Numbers,
    lithology_coefficient: Numbers,
    landcover_coefficient: Numbers,
) -> NDArray[np.float64]:
    """Return the probability of a landslide.

    Parameters
    ----------
    pgv_cm_s
        Peak ground velocity, cm/s. Above `LARGEST_PGV_CM_S` it counts as that; at 0 the probability is 0.
    slope_deg
        Angle of the ground, degrees.
    cti
        Compound topographic index, ln(m) of specific catchment area over slope; counts as at least 0, at most
        `LARGEST_CTI`.
    lithology_coefficient, landcover_coefficient
        From the tables of the paper, or the rasters made of them; unconsolidated sediment is amended here.

    Returns
    -------
    float64, of the shape that the arguments broadcast to
        0 to 1; NaN where one of them is.
    """
    shaking = np.clip(np.asarray(pgv_cm_s, np.float64), 0.0, LARGEST_PGV_CM_S)
    slope = np.asarray(slope_deg, np.float64)
    wetness = np.clip(np.asarray(cti, np.float64), 0.0, LARGEST_CTI)
    fitted = np.asarray(lithology_coefficient, np.float64)
    # Rasters hold -3.21 as float32, which is a little less; a hair above it must count as well.
    lithology = np.where(fitted <= UNCONSOLIDATED + 1e-6, UNCONSOLIDATED_AMENDED, fitted)
    landcover = np.asarray(landcover_coefficient, np.float64)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        log_shaking = np.log(shaking)
        rest = -6.30 + 0.06 * slope + lithology + landcover + 0.03 * wetness
        logit = rest + (1.65 + 0.01 * slope) * log_shaking
        probability = 1.0 / (1.0 + np.exp(-logit))
    return np.asarray(probability, np.float64)


def usgs_areal_coverage(probability: Numbers, slope_deg: Numbers) -> NDArray[np.float64]:
    """Return the share of the ground that landslides cover, 0 where the slope is at most 2 degrees.

    Parameters
    ----------
    probability
        From `usgs_probability`.
    slope_deg
        Angle of the ground, degrees.

    Returns
    -------
    float64, of the shape that the arguments broadcast to
        0 to 0.256; NaN where one of them is.
    """
    p = np.asarray(probability, np.float64)
    slope = np.asarray(slope_deg, np.float64)
    coverage = np.exp(-7.592 + 5.237 * p - 3.042 * p**2 + 4.035 * p**3)
    # Multiplied, so that what is unknown stays so on flat ground.
    return np.asarray(coverage * np.where(np.isnan(slope), np.nan, slope > STEEPEST_WITHOUT_DEG), np.float64)


@dataclass(frozen=True, slots=True)
class UsgsInputs:
    """Files that the model needs for one earthquake.

    Attributes
    ----------
    shakemap
        ``grid.xml`` with PGV.
    gradient
        Slope as rise over run (1, not degrees); its pixels are those of the result.
    cti
        Compound topographic index.
    lithology, landcover
        Coefficients of the paper, pixel by pixel.
    crs
        Of the rasters that do not say, such as ``EPSG:4326``; None to refuse these. Never overrides one that does.
    """

    shakemap: Path
    gradient: Path
    cti: Path
    lithology: Path
    landcover: Path
    crs: str | None = None

    @classmethod
    def from_folder(cls, folder: Path, crs: str | None = None) -> UsgsInputs:
        """Find the files by the names that the USGS gives them, ``model_inputs`` being searched as well.

        Raises
        ------
        MissingInputError
            One of them is not there; the message names it.
        """
        paths = {name: _found(folder, file) for name, file in _USGS_NAMES.items()}
        return cls(**paths, crs=crs)


_USGS_NAMES = {
    "shakemap": "grid.xml",
    "gradient": "global_grad.tif",
    "cti": "global_cti_fil.grd",
    "lithology": "GLIM_replace.tif",
    "landcover": "globcover_replace.tif",
}


@dataclass(frozen=True, slots=True)
class UsgsLandslideMap:
    """What the model says of one earthquake.

    Attributes
    ----------
    grid
        That of the gradient, cut to the ShakeMap.
    inputs
        (row, col) float32 on the grid by name: ``pgv`` cm/s, ``slope`` deg, ``cti``, ``lithology``, ``landcover``
        (as in the file).
    probability, areal_coverage
        (row, col) float32; NaN where an input is unknown.
    event
        The earthquake.
    """

    grid: Grid
    inputs: dict[str, NDArray[np.float32]]
    probability: NDArray[np.float32]
    areal_coverage: NDArray[np.float32]
    event: str

    def statistics(self) -> dict[str, float]:
        """Summary of the map, by name.

        ``pixels`` and the ``known`` share of them; smallest, median, mean and largest of ``probability`` and of
        ``coverage``, over what is known; and ``expected_area_km2`` of landslides, the coverage times the area of
        pixels.
        """
        known = np.isfinite(self.areal_coverage)
        summary = {"pixels": float(known.size), "known": float(known.mean())}
        for name, values in (("probability", self.probability), ("coverage", self.areal_coverage)):
            numbers = values[known].astype(np.float64)
            for statistic, of in (("min", np.min), ("median", np.median), ("mean", np.mean), ("max", np.max)):
                summary[f"{name}_{statistic}"] = float(of(numbers)) if numbers.size else math.nan
        areas = np.where(known, self.areal_coverage, 0.0).sum(axis=1, dtype=np.float64) * _pixel_areas_m2(self.grid)
        summary["expected_area_km2"] = float(areas.sum()) / 1e6
        return summary


def usgs_landslide_map(inputs: UsgsInputs | Path, *, crs: str | None = None) -> UsgsLandslideMap:
    """Compute the model for one earthquake.

    The pixels are those of the gradient whose centres lie within the outermost nodes of the ShakeMap. CTI and PGV are
    interpolated linearly to their centres; lithology and land cover are those of the pixel that holds the centre.

    Parameters
    ----------
    inputs
        The files, or the folder that has them under the names that the USGS gives them.
    crs
        As `UsgsInputs`, where `inputs` is a folder.

    Raises
    ------
    MissingInputError
        A file is not there.
    InputError
        A file cannot be read, has no coordinate reference system, does not reach the ShakeMap, or holds numbers that
        cannot be what it should hold.
    OptionError
        `crs` is none, or not that of a file that says; or the ShakeMap has no PGV.
    """
    if isinstance(inputs, Path):
        inputs = UsgsInputs.from_folder(inputs, crs)
    shakemap = read_shakemap(inputs.shakemap)
    grid = _grid_over(shakemap, inputs)
    gradient = align_raster(inputs.gradient, grid, resampling="bilinear", own_crs=inputs.crs)
    _require_range(gradient, inputs.gradient, "gradients, rise over run", 0.0, 10.0)
    layers = {"pgv": _shaking(shakemap, grid), "slope": np.degrees(np.arctan(gradient))}
    sources: tuple[tuple[str, Path, Resampling, str, float, float], ...] = (
        ("cti", inputs.cti, "bilinear", "compound topographic indices", -10.0, 40.0),
        ("lithology", inputs.lithology, "nearest", "coefficients of lithology", -5.0, 5.0),
        ("landcover", inputs.landcover, "nearest", "coefficients of land cover", -5.0, 5.0),
    )
    for name, path, resampling, meaning, lowest, highest in sources:
        layers[name] = align_raster(path, grid, resampling=resampling, own_crs=inputs.crs)
        _require_range(layers[name], path, meaning, lowest, highest)
    probability = usgs_probability(
        layers["pgv"], layers["slope"], layers["cti"], layers["lithology"], layers["landcover"]
    )
    coverage = usgs_areal_coverage(probability, layers["slope"])
    return UsgsLandslideMap(grid, layers, probability.astype(np.float32), coverage.astype(np.float32), shakemap.event)


def write_usgs_map(result: UsgsLandslideMap, folder: Path) -> dict[str, Path]:
    """Write probability and coverage as Cloud-Optimized GeoTIFFs into a folder, made if it is not there.

    Returns
    -------
    dict
        Path of each raster by its name in `DEFINITIONS`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / f"{name}.tif" for name in DEFINITIONS}
    for name, values in zip(DEFINITIONS, (result.probability, result.areal_coverage), strict=True):
        write_layer(paths[name], values, result.grid, DEFINITIONS[name], tags={"EVENT": result.event})
    return paths


def _found(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / "model_inputs" / name):
        if path.is_file():
            return path
    raise MissingInputError(
        folder,
        required=f"{name}, in the folder or in its model_inputs",
        found="no such file",
        remedy="Name the files one by one with UsgsInputs",
    )


def _grid_over(shakemap: ShakeMap, inputs: UsgsInputs) -> Grid:
    """Return the part of the gradient's grid that lies within the nodes of the ShakeMap."""
    with open_raster(inputs.gradient) as source:
        whole = grid_in(grid_of(source), inputs.gradient, inputs.crs)
    if not whole.is_geographic:
        raise InputError(
            inputs.gradient,
            required="a grid of longitudes and latitudes, as that of the ShakeMap",
            found=str(whole.crs),
            remedy="Project it to EPSG:4326",
        )
    width, height = shakemap.grid.resolution
    west, south, east, north = shakemap.grid.bounds
    rows, cols = whole.pixel_coordinates(
        np.array([west + width / 2.0, east - width / 2.0]), np.array([north - height / 2.0, south + height / 2.0])
    )
    # A centre on the outermost nodes is within them; the 1e-6 takes up the rounding of their coordinates.
    first_row, first_col = (max(0, math.ceil(places[0] - 0.5 - 1e-6)) for places in (rows, cols))
    last_row = min(whole.rows, math.floor(rows[1] - 0.5 + 1e-6) + 1)
    last_col = min(whole.cols, math.floor(cols[1] - 0.5 + 1e-6) + 1)
    if first_row >= last_row or first_col >= last_col:
        raise InputError(
            inputs.gradient,
            required=f"a raster that reaches the ShakeMap (west, south, east, north = {_spaced(shakemap.grid.bounds)})",
            found=f"one of {_spaced(whole.bounds)}",
            remedy="Check that both are of the same area",
        )
    x, y = whole.map_coordinates(float(first_row), float(first_col))
    step_x, step_y = whole.transform.a, whole.transform.e
    return Grid(last_row - first_row, last_col - first_col, Affine(step_x, 0.0, x, 0.0, step_y, y), whole.crs)


def _shaking(shakemap: ShakeMap, grid: Grid) -> NDArray[np.float32]:
    """Return the peak ground velocity at the pixels' centres, cm/s."""
    definition = shakemap.definition("PGV")
    if definition.unit != "cm/s":
        raise InputError(
            shakemap.path, required="PGV in cm/s", found=definition.unit, remedy="Convert the field, or remove its unit"
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pgv.tif"
        write_layer(path, shakemap.values("PGV"), shakemap.grid, definition)
        return align_raster(path, grid, resampling="bilinear")


def _require_range(values: NDArray[np.float32], path: Path, meaning: str, lowest: float, highest: float) -> None:
    """Refuse numbers that cannot be what they are said to be, such as degrees or an undeclared value for no data."""
    known = values[np.isfinite(values)]
    if known.size and not (known.min() >= lowest and known.max() <= highest):
        raise InputError(
            path,
            required=f"{meaning}, from {lowest:g} to {highest:g}",
            found=f"{known.min():g} to {known.max():g}",
            remedy="Check which file this is, its unit, and the value that means no data",
        )


def _pixel_areas_m2(grid: Grid) -> NDArray[np.float64]:
    """Area of one pixel of each row on the ellipsoid, m2."""
    import pyproj

    geod = pyproj.CRS.from_user_input(grid.crs).get_geod() or pyproj.Geod(ellps="WGS84")
    areas = np.empty(grid.rows)
    for row in range(grid.rows):
        west, north = grid.map_coordinates(float(row), 0.0)
        east, south = grid.map_coordinates(row + 1.0, 1.0)
        area, _ = geod.polygon_area_perimeter([west, east, east, west], [north, north, south, south])
        areas[row] = abs(area)
    return areas


def _spaced(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.6g}" for value in values)
