"""The map layers of a result: what each means, and how one lies on disk.

Part of the published seam: `susceptibility` may import this module. Layers are Cloud-Optimized GeoTIFFs with the tags
``UNITS``, ``DESCRIPTION`` and, where the sign matters, ``SIGN``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.errors import InputError, MissingInputError
from insar.grid import Grid

TOWARD_SATELLITE = "positive toward the satellite"
DOWNSLOPE = "positive down the slope"
EASTWARD = "positive to the east"
UPWARD = "positive up"
COHERENCE_LOST = "positive where coherence was lost at the event"
COHERENCE_REGAINED = "positive where coherence came back after the event"
CHANGED_AT_EVENT = "positive where the surface changed at the event"
BRIGHTER_AFTER = "positive where brighter after the event"


@dataclass(frozen=True, slots=True)
class LayerDefinition:
    """What a layer holds.

    `dtype` is float32 (no data is NaN) or an integer type, whose `nodata` is None where every value means something.
    """

    name: str
    unit: str
    description: str
    sign: str | None = None
    dtype: str = "float32"
    nodata: int | None = None
    is_angle: bool = False
    """A direction, whose values must not be averaged, 359 and 1 degrees to 180."""


def _by_name(*layers: LayerDefinition) -> dict[str, LayerDefinition]:
    named = {layer.name: layer for layer in layers}
    if len(named) < len(layers):
        # The later one would stand for both, in silence.
        raise ValueError("two layers of one name")
    return named


LAYERS: dict[str, LayerDefinition] = _by_name(
    LayerDefinition("velocity", "m/yr", "Line-of-sight displacement rate", TOWARD_SATELLITE),
    LayerDefinition("velocity_std", "m/yr", "Standard deviation of the line-of-sight rate"),
    LayerDefinition(
        "cumulative_displacement",
        "m",
        "Line-of-sight displacement of the last date relative to the first",
        TOWARD_SATELLITE,
    ),
    LayerDefinition("acceleration", "m/yr2", "Acceleration along the line of sight", TOWARD_SATELLITE),
    LayerDefinition("acceleration_std", "m/yr2", "Standard deviation of the acceleration"),
    LayerDefinition("velocity_recent", "m/yr", "Line-of-sight rate over the trailing window", TOWARD_SATELLITE),
    LayerDefinition("seasonal_amplitude", "m", "Amplitude of the annual term"),
    LayerDefinition("seasonal_amplitude_std", "m", "Standard deviation of the amplitude of the annual term"),
    LayerDefinition("dem_error", "m", "Height in the DEM minus height of the terrain"),
    LayerDefinition("dem_error_std", "m", "Standard deviation of the height error of the DEM"),
    LayerDefinition(
        "rate_change",
        "m/yr",
        "Line-of-sight rate in the trailing window minus the rate before it",
        TOWARD_SATELLITE,
    ),
    LayerDefinition("rate_change_std", "m/yr", "Standard deviation of the change of rate"),
    LayerDefinition(
        "acceleration_p", "1", "Probability of at least such a change of rate where the motion is steady, two-sided"
    ),
    LayerDefinition(
        "accelerating",
        "class",
        "1 no change of rate; 2 the rate has grown, at the false-alarm rate asked for; 0 unknown",
        dtype="uint8",
        nodata=0,
    ),
    LayerDefinition(
        "open_loops",
        "count",
        "Loops of interferograms that do not close",
        dtype="uint16",
        nodata=65535,
    ),
    LayerDefinition("temporal_coherence", "1", "Agreement of interferograms with the inverted time series, 0 to 1"),
    LayerDefinition("mean_coherence", "1", "Average spatial coherence over the interferograms used"),
    LayerDefinition(
        "residual_rms", "m", "Root mean square of interferogram minus interferogram of the inverted time series"
    ),
    LayerDefinition("pairs_used", "count", "Valid interferograms at the pixel", dtype="uint16", nodata=0),
    LayerDefinition("subsets", "count", "Disconnected subsets of the network at the pixel", dtype="uint16", nodata=0),
    LayerDefinition(
        "quality",
        "bit flags",
        "1 no data; 2 gap filled by minimum norm; 4 low temporal coherence; 8 unwrapping corrected; "
        "16 layover; 32 shadow; 64 layover or shadow, not told apart; 128 loops of interferograms do not close",
        dtype="uint8",
    ),
    LayerDefinition("height", "m", "Height of the terrain"),
    LayerDefinition("incidence_angle", "deg", "Incidence angle from the vertical"),
    LayerDefinition(
        "azimuth_angle",
        "deg",
        "Direction from the target to the satellite, from north, anticlockwise",
        is_angle=True,
    ),
    LayerDefinition("slope_velocity", "m/yr", "Rate along the steepest descent of the terrain", DOWNSLOPE),
    LayerDefinition("slope_velocity_std", "m/yr", "Standard deviation of the rate along the steepest descent"),
    LayerDefinition(
        "slope_sensitivity",
        "1",
        "Cosine between the steepest descent and the direction to the satellite, -1 to 1",
        "positive where motion down the slope is toward the satellite",
    ),
    LayerDefinition(
        "visibility",
        "class",
        "1 good; 2 foreshortening; 3 layover; 4 shadow; 0 unknown",
        dtype="uint8",
        nodata=0,
    ),
    LayerDefinition("east_velocity", "m/yr", "Rate to the east, motion to the north taken as none", EASTWARD),
    LayerDefinition("east_velocity_std", "m/yr", "Standard deviation of the rate to the east"),
    LayerDefinition("vertical_velocity", "m/yr", "Vertical rate, motion to the north taken as none", UPWARD),
    LayerDefinition("vertical_velocity_std", "m/yr", "Standard deviation of the vertical rate"),
    LayerDefinition("coherence_pre", "1", "Mean coherence of the pairs before the event, 0 to 1"),
    LayerDefinition("coherence_co", "1", "Mean coherence of the pairs across the event, 0 to 1"),
    LayerDefinition("coherence_post", "1", "Mean coherence of the pairs after the event, 0 to 1"),
    LayerDefinition(
        "damage_proxy",
        "1",
        "Coherence before the event minus coherence across it, matched in its histogram where asked for",
        COHERENCE_LOST,
    ),
    LayerDefinition(
        "coherence_loss", "1", "CECL: coherence before the event minus coherence across it", COHERENCE_LOST
    ),
    LayerDefinition(
        "coherence_recovery", "1", "PECI: coherence after the event minus coherence across it", COHERENCE_REGAINED
    ),
    LayerDefinition("coherence_change_sum", "1", "Sum of coherence loss and recovery", CHANGED_AT_EVENT),
    LayerDefinition("coherence_change_max", "1", "The larger of coherence loss and recovery", CHANGED_AT_EVENT),
    LayerDefinition(
        "boxcar_sibling",
        "1",
        "Bx-S: boxcar minus sibling coherence of the pair across the event",
        "negative where a pixel lost more coherence than those like it around it",
    ),
    LayerDefinition(
        "damage_zscore",
        "1",
        "Coherence lost at the event, in standard deviations of the pairs before it",
        COHERENCE_LOST,
    ),
    LayerDefinition(
        "damage_significant",
        "class",
        "1 no loss of coherence against the mean of the pairs before the event; 2 loss at the false-alarm rate "
        "asked for; 0 unknown",
        dtype="uint8",
        nodata=0,
    ),
    LayerDefinition(
        "siblings", "count", "Pixels alike in amplitude behind the sibling coherence", dtype="uint16", nodata=0
    ),
    LayerDefinition("seasonal_coherence", "1", "Median coherence of the pairs within the season, 0 to 1"),
    LayerDefinition("amplitude_mean", "dB", "Mean amplitude of the images within the season, 20 log10, as stored"),
    LayerDefinition("images_pre", "count", "Images behind the median before the event", dtype="uint16", nodata=0),
    LayerDefinition("images_post", "count", "Images behind the median after the event", dtype="uint16", nodata=0),
)
"""Layers of an `insar` result, by name."""


_GDAL_CACHE_MB = 64

_STRIP_ROWS = 32
_PIXELS_AT_ONCE = 2_000_000
"""Of a layer, however wide it is, while it is written; in whole strips of the file that it is written to first."""

_STEP = re.compile(r"step_(\d{8})(_std)?")
_BACKSCATTER = re.compile(r"(vv|vh|hh|hv)_(pre|post|difference|amplitude_mean)")
_PAIR = re.compile(r"(coherence|sibling)/\d{8}_\d{8}")
_ORBIT = re.compile(r"(.+)_(ascending|descending)")

_PAIR_MEANINGS = {
    "coherence": "Coherence of the pair, 0 to 1",
    "sibling": "Coherence of the pair over the pixels that are alike in amplitude, 0 to 1",
}
_BACKSCATTER_MEANINGS = {
    "pre": "Median backscatter before the event",
    "post": "Median backscatter after the event",
    "difference": "Median backscatter after the event minus that before it",
    "amplitude_mean": "Mean amplitude of the backscatter within the season, 20 log10",
}


def layer_definition(name: str) -> LayerDefinition:
    """What a layer holds.

    Parameters
    ----------
    name
        One of `LAYERS`; ``step_YYYYMMDD`` of a model of time; backscatter such as ``vv_post``; the coherence of one
        pair, ``coherence/YYYYMMDD_YYYYMMDD``; any of them with ``_ascending`` or ``_descending`` where a result has
        both passes.

    Raises
    ------
    KeyError
        No layer has this name.
    """
    if (orbit := _ORBIT.fullmatch(name)) is not None:
        plain = layer_definition(orbit[1])
        return replace(plain, name=name, description=f"{plain.description}; {orbit[2]} pass")
    if (backscatter := _BACKSCATTER.fullmatch(name)) is not None:
        meaning = f"{_BACKSCATTER_MEANINGS[backscatter[2]]}, {backscatter[1].upper()}"
        return LayerDefinition(name, "dB", meaning, BRIGHTER_AFTER if backscatter[2] == "difference" else None)
    if (pair := _PAIR.fullmatch(name)) is not None:
        return LayerDefinition(name, "1", _PAIR_MEANINGS[pair[1]])
    step = _STEP.fullmatch(name)
    if step is None:
        return LAYERS[name]
    day = f"{step[1][:4]}-{step[1][4:6]}-{step[1][6:]}"
    if step[2]:
        return LayerDefinition(name, "m", f"Standard deviation of the step at {day}")
    return LayerDefinition(name, "m", f"Line-of-sight displacement of the step at {day}", TOWARD_SATELLITE)


class BadLayerError(InputError):
    """A raster file cannot be read as a layer."""


@contextmanager
def bounded_gdal_cache(**options: str) -> Iterator[None]:
    """GDAL with a small cache of blocks inside a ``with`` block, unless the environment sets one, and more options.

    Every block is read or written once; GDAL would keep 5 % of the machine's memory for reading them again.
    """
    import rasterio

    settings: dict[str, Any] = dict(options)
    if "GDAL_CACHEMAX" not in os.environ:
        settings["GDAL_CACHEMAX"] = _GDAL_CACHE_MB
    with rasterio.Env(**settings):
        yield


def write_layer(
    path: Path,
    values: NDArray[Any] | Callable[[slice], NDArray[Any]],
    grid: Grid,
    definition: LayerDefinition,
    *,
    tags: dict[str, str] | None = None,
) -> None:
    """Write one layer as a Cloud-Optimized GeoTIFF, under a temporary name until it is whole.

    Parameters
    ----------
    path
        Final name, ``.tif``.
    values
        (row, col) array, or a function from a slice of full rows to the (row, col) array of those rows, for layers
        that should not be in memory at once.
    grid
        Where the pixels lie; the CRS is left unset where it has none.
    definition
        Name, unit, sign and type.
    tags
        Further tags of the file.
    """
    import rasterio
    import rasterio.shutil

    partial = path.with_name(f".{path.name}.partial")
    tiled = path.with_name(f".{path.name}.tiled")
    dtype = np.dtype(definition.dtype)
    nodata: float | None = float("nan") if dtype.kind == "f" else definition.nodata
    all_tags = {"UNITS": definition.unit, "DESCRIPTION": definition.description}
    if definition.sign is not None:
        all_tags["SIGN"] = definition.sign
    all_tags.update(tags or {})
    try:
        with (
            bounded_gdal_cache(),
            rasterio.open(
                tiled,
                "w",
                driver="GTiff",
                height=grid.rows,
                width=grid.cols,
                count=1,
                dtype=dtype.name,
                crs=grid.crs,
                transform=grid.transform,
                nodata=nodata,
                blockysize=_STRIP_ROWS,
                BIGTIFF="IF_SAFER",
            ) as sink,
        ):
            for rows in row_slices(grid.rows, max(1, _PIXELS_AT_ONCE // (grid.cols * _STRIP_ROWS)) * _STRIP_ROWS):
                block = values(rows) if callable(values) else values[rows]
                window = rasterio.windows.Window(0, rows.start, grid.cols, rows.stop - rows.start)
                sink.write(np.ascontiguousarray(block, dtype=dtype), 1, window=window)
            sink.update_tags(**all_tags)
            sink.set_band_description(1, definition.name)
        with bounded_gdal_cache():
            rasterio.shutil.copy(
                tiled,
                partial,
                driver="COG",
                compress="DEFLATE",
                predictor="YES",
                level=6,
                overview_resampling="average" if dtype.kind == "f" and not definition.is_angle else "nearest",
                bigtiff="IF_SAFER",
            )
        partial.replace(path)
    finally:
        for leftover in (partial, tiled):
            leftover.unlink(missing_ok=True)
            leftover.with_name(leftover.name + ".aux.xml").unlink(missing_ok=True)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import rasterio

    if not path.exists():
        raise MissingInputError(
            path, required="a raster layer", found="no such file", remedy="Check the path to the layer"
        )
    try:
        with rasterio.open(path) as source:
            yield source
    except rasterio.errors.RasterioIOError as error:
        raise BadLayerError(
            path, required="a raster GDAL can read", found=str(error), remedy="Check that the file is whole"
        ) from error


def read_layer(path: Path) -> tuple[NDArray[np.float32], Grid, LayerDefinition]:
    """Read a single-band raster as float32 with NaN for no data, with its grid and what its tags say of it."""
    with _opened(path) as source:
        values = source.read(1, masked=True).astype(np.float32).filled(np.nan)
        grid = grid_of(source)
        tags = source.tags()
    definition = LayerDefinition(
        path.stem, tags.get("UNITS", ""), tags.get("DESCRIPTION", ""), tags.get("SIGN"), dtype="float32"
    )
    return values, grid, definition


def read_layer_grid(path: Path) -> Grid:
    """Grid of a raster, without reading its pixels."""
    with _opened(path) as source:
        return grid_of(source)


def grid_of(source: Any) -> Grid:
    """Grid of an open rasterio dataset."""
    crs = None
    if source.crs is not None:
        epsg = source.crs.to_epsg()
        crs = f"EPSG:{epsg}" if epsg is not None else source.crs.to_wkt()
    return Grid(source.height, source.width, Affine(*source.transform[:6]), crs)


def row_slices(rows: int, step: int) -> Iterator[slice]:
    """Consecutive slices of at most `step` rows that cover 0..`rows`."""
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))
