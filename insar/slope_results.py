"""Downslope rate, sensitivity and visibility of a finished result, added to its folder."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.blocks import Progress, no_progress
from insar.errors import InputError, MissingInputError, OptionError
from insar.ground import ground_steps
from insar.layers import LAYERS, LayerDefinition, row_slices, write_layer
from insar.preview import read_values
from insar.result import ResultFolder
from insar.result_view import ResultView, view_of_result
from insar.slope import (
    DEFAULT_MIN_SENSITIVITY,
    DEFAULT_MIN_SLOPE_DEG,
    FORESHORTENED,
    Visibility,
    classify_visibility,
    height_gradient,
    project_on_slope,
    slope_sensitivity,
)
from insar.terrain_mask import Terrain
from insar.writers.manifest import checksum, replace_layers

logger = logging.getLogger(__name__)

SLOPE_LAYERS = ("slope_velocity", "slope_velocity_std", "slope_sensitivity", "visibility")
PRODUCT = "slope"

_SCRATCH = ".slope"
_ROWS_PER_BLOCK = 256


@dataclass(frozen=True, slots=True)
class SlopeOptions:
    """What decides where a downslope rate is given.

    Attributes
    ----------
    min_sensitivity
        Least absolute cosine between the steepest descent and the line of sight.
    min_slope_deg
        Least slope, degrees.
    incidence_deg
        One incidence angle for a result without the layer; None for none.
    """

    min_sensitivity: float = DEFAULT_MIN_SENSITIVITY
    min_slope_deg: float = DEFAULT_MIN_SLOPE_DEG
    incidence_deg: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.min_sensitivity <= 1.0:
            raise OptionError(
                "--min-sensitivity",
                required="a cosine above 0 and up to 1",
                found=f"{self.min_sensitivity:g}",
                remedy="Give for instance 0.2: the rate and its sigma are divided by it",
            )
        if not 0.0 <= self.min_slope_deg < 90.0:
            raise OptionError(
                "--min-slope",
                required="a slope from 0 to less than 90 degrees",
                found=f"{self.min_slope_deg:g}",
                remedy="Correct the slope",
            )


def add_slope_layers(
    folder: Path, dem: Path, options: SlopeOptions | None = None, *, progress: Progress = no_progress
) -> list[Path]:
    """Add the layers of `SLOPE_LAYERS` to a finished result, in place of those that are there.

    Parameters
    ----------
    folder
        Result folder with a manifest.
    dem
        Raster of heights in metres, in any CRS.
    options
        Thresholds.
    progress
        Called as the work goes on.

    Returns
    -------
    list of Path
        The layers. The manifest lists them, and under ``products`` how they were made.

    Raises
    ------
    MissingInputError
        The manifest, the velocity, the line of sight or the DEM is not there.
    InputError
        The result is in radar coordinates, or the DEM is not usable or lies elsewhere.
    OptionError
        A threshold has no meaning.
    """
    options = options or SlopeOptions()
    result = ResultFolder(folder)
    velocity = _velocity_of(result)
    view = view_of_result(result, incidence_deg=options.incidence_deg)
    for note in view.notes:
        logger.warning("%s", note)
    with _scratch(folder) as scratch:
        terrain = Terrain.prepare(dem, result.grid, view, scratch)
        layers = _SlopeLayers(result, view, terrain, options, scratch)
        layers.fill(progress)
        tags = {**_dates_of(velocity), "MIN_SENSITIVITY": f"{options.min_sensitivity:g}"}
        for name, values in layers.arrays.items():
            write_layer(scratch / f"{name}.tif", values, result.grid, LAYERS[name], tags=tags)
        return _publish(folder, scratch, list(layers.arrays), layers.facts(dem))


def _velocity_of(result: ResultFolder) -> Path:
    if result.grid.crs is None:
        raise InputError(
            result.folder,
            required="a result on a map",
            found="one in radar coordinates, which a DEM cannot be laid on",
            remedy="Run the processing with a stack that has a look-up table, so that it is geocoded",
        )
    path = result.layer_path("velocity")
    if path is None:
        raise MissingInputError(
            result.folder / "layers" / "velocity.tif",
            required="the rate along the line of sight",
            found="a result without it",
            remedy="Run the whole chain, `insar run`; `insar invert` makes no rate",
        )
    return path


class _SlopeLayers:
    """The layers on the grid of the result, computed block by block into files."""

    def __init__(
        self, result: ResultFolder, view: ResultView, terrain: Terrain, options: SlopeOptions, scratch: Path
    ) -> None:
        self.result = result
        self.view = view
        self.terrain = terrain
        self.options = options
        self.deviation = result.layer_path("velocity_std")
        names = [name for name in SLOPE_LAYERS if name != "slope_velocity_std" or self.deviation is not None]
        self.arrays: dict[str, np.memmap[Any, Any]] = {
            name: np.memmap(scratch / f"{name}.dat", LAYERS[name].dtype, "w+", shape=result.grid.shape)
            for name in names
        }
        self.counts: dict[str, int] = {kind.name.lower(): 0 for kind in Visibility}
        self.measured, self.projected = 0, 0

    def fill(self, progress: Progress) -> None:
        """Compute every row."""
        rows_of_all = self.result.grid.rows
        for rows in row_slices(rows_of_all, _ROWS_PER_BLOCK):
            self._fill_rows(rows)
            progress("project on the slope", rows.stop, rows_of_all)

    def _fill_rows(self, rows: slice) -> None:
        grid, terrain, options = self.result.grid, self.terrain, self.options
        cols = slice(0, grid.cols)
        steps = ground_steps(grid, rows)
        incidence, sight = self.view.read_incidence(rows, cols), self.view.read_sight(rows, cols)
        height = terrain.window(rows)
        visibility = classify_visibility(height, terrain.margin, steps, incidence, sight, reach_m=terrain.reach_m)
        beyond = terrain.margin - 1
        near = height[beyond : height.shape[0] - beyond, beyond : height.shape[1] - beyond]
        gradient = height_gradient(near, steps)
        sensitivity = slope_sensitivity(gradient, sight)
        velocity = self._read("velocity", rows, cols)
        deviation = np.full_like(velocity, np.nan) if self.deviation is None else self._read("velocity_std", rows, cols)
        motion = project_on_slope(
            velocity,
            deviation,
            sensitivity,
            gradient.slope_deg,
            visibility,
            min_sensitivity=options.min_sensitivity,
            min_slope_deg=options.min_slope_deg,
        )
        computed = {
            "slope_velocity": motion.velocity,
            "slope_velocity_std": motion.velocity_std,
            "slope_sensitivity": sensitivity,
            "visibility": visibility,
        }
        for name, array in self.arrays.items():
            array[rows] = computed[name]
        for kind in Visibility:
            self.counts[kind.name.lower()] += int(np.count_nonzero(visibility == kind))
        self.measured += int(np.count_nonzero(np.isfinite(velocity)))
        self.projected += int(np.count_nonzero(np.isfinite(motion.velocity)))

    def _read(self, name: str, rows: slice, cols: slice) -> NDArray[np.float32]:
        path = self.result.layer_path(name)
        if path is None:
            raise MissingInputError(
                self.result.folder / "layers" / f"{name}.tif",
                required="a layer that was there when the work began",
                found="no such file",
                remedy="Do not change a result while it is worked on",
            )
        return read_values(path, rows, cols)

    def facts(self, dem: Path) -> Mapping[str, Any]:
        """What the manifest keeps of the product."""
        notes = [*self.view.notes, *self.terrain.notes]
        if self.deviation is None:
            notes.append("slope_velocity_std is left out: the result has no velocity_std.")
        return {
            "dem": dem.resolve(),
            "dem_sha256": checksum(dem),
            # What the layers were made of: another velocity in the manifest means that they are out of date.
            "velocity_sha256": self.result.layers["velocity"].get("sha256"),
            "resampling": "cubic",
            "min_sensitivity": self.options.min_sensitivity,
            "min_slope_deg": self.options.min_slope_deg,
            "foreshortening_below": FORESHORTENED,
            "cast_reach_m": round(self.terrain.reach_m, 1),
            "line_of_sight": self.view.described(),
            "pixels": {**self.counts, "with_velocity": self.measured, "with_slope_velocity": self.projected},
            "notes": notes,
        }


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder for unfinished files inside the result, so that they can be renamed into place."""
    scratch = folder / _SCRATCH
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _publish(folder: Path, scratch: Path, names: list[str], facts: Mapping[str, Any]) -> list[Path]:
    replace_layers(folder, product=PRODUCT, names=SLOPE_LAYERS)
    written: list[tuple[LayerDefinition, Path]] = []
    for name in SLOPE_LAYERS:
        target = folder / "layers" / f"{name}.tif"
        if name in names:
            (scratch / target.name).replace(target)
            written.append((LAYERS[name], target))
        else:
            target.unlink(missing_ok=True)
    replace_layers(folder, product=PRODUCT, names=SLOPE_LAYERS, layers=written, facts=facts)
    return [path for _, path in written]


def _dates_of(path: Path) -> dict[str, str]:
    import rasterio

    with rasterio.open(path) as source:
        tags = source.tags()
    return {name: tags[name] for name in ("FIRST_DATE", "LAST_DATE") if name in tags}
