"""Downslope rate, sensitivity and visibility of a finished result, added to its folder."""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.blocks import Progress, no_progress
from insar.errors import InputError, MissingInputError, OptionError
from insar.grid import Grid
from insar.ground import ground_steps, shortest_side_m
from insar.layers import LAYERS, LayerDefinition, grid_of, row_slices, write_layer
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
from insar.writers.manifest import checksum, replace_layers

logger = logging.getLogger(__name__)

SLOPE_LAYERS = ("slope_velocity", "slope_velocity_std", "slope_sensitivity", "visibility")
PRODUCT = "slope"

_SCRATCH = ".slope"
_ROWS_PER_BLOCK = 256
_LONGEST_REACH_M = 20_000.0
_PLAUSIBLE_HEIGHTS_M = -1_000.0, 9_000.0
"""Land lies between them; beyond are no data values that the file does not declare."""


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
        terrain = _Terrain.prepare(dem, result.grid, view, scratch)
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


class _Terrain:
    """Heights on the grid of a result and a margin around it."""

    def __init__(self, height: NDArray[np.float32], margin: int, reach_m: float, notes: tuple[str, ...]) -> None:
        self.height = height
        self.margin = margin
        self.reach_m = reach_m
        self.notes = notes

    @classmethod
    def prepare(cls, dem: Path, grid: Grid, view: ResultView, scratch: Path) -> _Terrain:
        """Bring a DEM onto the grid, with as much terrain around it as can cast layover or shadow into it."""
        close = _warp(dem, grid, 1, scratch / "close.dat")
        lowest, highest = _extremes(close)
        if not np.isfinite(highest):
            raise InputError(
                dem,
                required="heights where the result is",
                found=f"none within west, south, east, north = {' '.join(f'{edge:.6g}' for edge in grid.bounds)} of "
                f"{grid.crs}",
                remedy="Give a DEM of the same area, and check its CRS and its no data value",
            )
        if lowest < _PLAUSIBLE_HEIGHTS_M[0] or highest > _PLAUSIBLE_HEIGHTS_M[1]:
            raise InputError(
                dem,
                required="heights in metres, and its no data value declared",
                found=f"heights from {lowest:.6g} to {highest:.6g}",
                remedy="Declare the no data value (gdal_edit.py -a_nodata VALUE), or convert the heights to metres",
            )
        steepest, flattest = _incidence_range(view, grid)
        farthest = max(math.tan(flattest), 1.0 / math.tan(steepest))
        shortest = shortest_side_m(grid)
        reach_m = min((highest - lowest) * farthest, _LONGEST_REACH_M)
        margin = max(1, math.ceil(reach_m / shortest) + 1)
        height = close if margin == 1 else _warp(dem, grid, margin, scratch / "height.dat")
        return cls(height, margin, reach_m, _notes_on(dem, shortest, reach_m, close, height))

    def window(self, rows: slice) -> NDArray[np.float32]:
        """Heights of some rows of the grid, with the margin on every side."""
        return np.array(self.height[rows.start : rows.stop + 2 * self.margin])


class _SlopeLayers:
    """The layers on the grid of the result, computed block by block into files."""

    def __init__(
        self, result: ResultFolder, view: ResultView, terrain: _Terrain, options: SlopeOptions, scratch: Path
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


def _warp(dem: Path, grid: Grid, margin: int, path: Path) -> NDArray[np.float32]:
    """A DEM on a grid that is wider by `margin` pixels on every side: (row, col) metres in a file, NaN is no data."""
    import rasterio
    import rasterio.warp

    wide = np.memmap(path, np.float32, "w+", shape=(grid.rows + 2 * margin, grid.cols + 2 * margin))
    with _opened(dem) as source:
        nodata = source.nodata if source.nodata is not None or np.dtype(source.dtypes[0]).kind != "f" else math.nan
        for rows in row_slices(wide.shape[0], 2 * _ROWS_PER_BLOCK):
            x, y = grid.map_coordinates(float(rows.start - margin), float(-margin))
            steps = grid.transform
            block = np.full((rows.stop - rows.start, wide.shape[1]), np.nan, np.float32)
            try:
                rasterio.warp.reproject(
                    rasterio.band(source, 1),
                    block,
                    src_nodata=nodata,
                    dst_transform=Affine(steps.a, steps.b, x, steps.d, steps.e, y),
                    dst_crs=grid.crs,
                    dst_nodata=math.nan,
                    # Bilinear heights have derivatives that jump at every pixel of a coarse DEM.
                    resampling=rasterio.enums.Resampling.cubic,
                )
            except rasterio.errors.RasterioError as error:
                raise InputError(
                    dem,
                    required=f"a DEM that GDAL can bring onto {grid.crs}",
                    found=str(error),
                    remedy="Check the DEM's CRS and that the file is whole",
                ) from error
            wide[rows] = block
    return wide


@contextmanager
def _opened(dem: Path) -> Iterator[Any]:
    import rasterio

    if not dem.is_file():
        raise MissingInputError(
            f"--dem {dem}", required="a raster of heights in metres", found="no such file", remedy="Check the path"
        )
    try:
        source = rasterio.open(dem)
    except rasterio.errors.RasterioError as error:
        raise InputError(
            f"--dem {dem}",
            required="a raster GDAL can read",
            found=str(error),
            remedy="Give a DEM, for instance a GeoTIFF",
        ) from error
    with source:
        if source.crs is None or source.count != 1:
            raise InputError(
                f"--dem {dem}",
                required="one band of heights, with a CRS",
                found=f"{source.count} bands" if source.count != 1 else "no CRS",
                remedy="Give a DEM that says where it lies, with a single band",
            )
        yield source


def _extremes(height: NDArray[np.float32]) -> tuple[float, float]:
    lowest, highest = math.inf, -math.inf
    for rows in row_slices(len(height), 2 * _ROWS_PER_BLOCK):
        known = height[rows][np.isfinite(height[rows])]
        if known.size:
            lowest, highest = min(lowest, float(known.min())), max(highest, float(known.max()))
    return lowest, highest


def _incidence_range(view: ResultView, grid: Grid) -> tuple[float, float]:
    """Least and greatest incidence angle in radians."""
    lowest, highest = math.inf, -math.inf
    for rows in row_slices(grid.rows, 2 * _ROWS_PER_BLOCK):
        angles = view.read_incidence(rows, slice(0, grid.cols))
        known = angles[(angles > 0.0) & (angles < 90.0)]
        if known.size:
            lowest, highest = min(lowest, float(known.min())), max(highest, float(known.max()))
    if not np.isfinite(lowest):
        raise InputError(
            str(view.incidence),
            required="incidence angles between 0 and 90 degrees",
            found="not one",
            remedy="Check the geometry files of the stack",
        )
    return math.radians(lowest), math.radians(highest)


def _notes_on(
    dem: Path, shortest_m: float, reach_m: float, close: NDArray[np.float32], height: NDArray[np.float32]
) -> tuple[str, ...]:
    notes = []
    with _opened(dem) as source:
        dem_grid = grid_of(source)
    coarsest = max(
        float(np.hypot(steps.east_per_col, steps.north_per_col).max())
        for steps in (ground_steps(dem_grid, slice(row, row + 1)) for row in (0, dem_grid.rows - 1))
    )
    if coarsest > 2.0 * shortest_m:
        notes.append(
            f"The DEM has pixels of {coarsest:.0f} m, the result of {shortest_m:.0f} m: slopes are those of the DEM."
        )
    known, known_with_margin = _known_count(close), _known_count(height)
    missing = 1.0 - known / close.size
    if missing > 0.01:
        notes.append(f"The DEM has no heights on {100 * missing:.0f} % of the result: nothing is told of it there.")
    around = height.size - close.size
    if around and (known_with_margin - known) / around < 0.99:
        notes.append(
            f"The DEM does not reach {reach_m / 1000:.1f} km beyond the result on all sides: layover and shadow that "
            "terrain beyond it casts are not seen."
        )
    for note in notes:
        logger.warning("%s", note)
    return tuple(notes)


def _known_count(height: NDArray[np.float32]) -> int:
    return sum(int(np.isfinite(height[rows]).sum()) for rows in row_slices(len(height), 2 * _ROWS_PER_BLOCK))


def _dates_of(path: Path) -> dict[str, str]:
    import rasterio

    with rasterio.open(path) as source:
        tags = source.tags()
    return {name: tags[name] for name in ("FIRST_DATE", "LAST_DATE") if name in tags}
