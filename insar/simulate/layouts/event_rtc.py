"""HyP3: radiometrically terrain-corrected backscatter of a simulated event, one folder of GeoTIFFs for each date."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from insar.simulate.event_parameters import EventParameters
from insar.simulate.event_scene import STRIP_ROWS, EventScene, simulate_map_event
from insar.simulate.event_speckle import POLARISATIONS, draw_backscatter
from insar.simulate.layouts.base import Progress, no_data_as_zero
from insar.simulate.layouts.event_base import IMAGES, both_passes

NOT_AFFECTED, IN_LAYOVER, IN_SHADOW = 1, 5, 17
"""Sums of the bits of the mask: 1 not tested or visible, 2 and 4 true and all layover, 8 and 16 shadow."""


@dataclass(frozen=True, slots=True)
class Hyp3Backscatter:
    """Gamma-nought power of both polarisations with heights, incidence and mask, from `both_passes`."""

    name: str = "hyp3-rtc"

    def make(self, parameters: EventParameters) -> EventScene:
        """A scene on a map."""
        return simulate_map_event(parameters)

    def write(self, scene: EventScene, folder: Path, progress: Progress) -> None:
        """Write a folder for each date into ``backscatter/ascending`` and ``backscatter/descending``."""
        passes = both_passes(scene)
        total = len(passes) * len(scene.parameters.dates)
        done = 0
        for one in passes:
            for index, day in enumerate(one.parameters.dates):
                stem = product_name(day, one.parameters)
                target = folder / IMAGES / one.parameters.orbit_direction / stem
                target.mkdir(parents=True)
                _write_product(one, index, target / stem)
                done += 1
                progress(done, total)


def product_name(day: date, parameters: EventParameters) -> str:
    """Name of a product: acquisition, orbit, pixel size, gamma-nought power, and four digits of its own.

    Ascending passes of Sentinel-1 come at six in the evening of the scene's own time, descending ones in the morning.
    """
    local_hour = 18 if parameters.orbit_direction == "ascending" else 6
    hour = round(local_hour - parameters.center_lon_deg / 15.0) % 24
    stem = f"S1A_IW_{day:%Y%m%d}T{hour:02d}0312_DVP_RTC{parameters.map_pixel_m:.0f}_G_gpuned"
    return f"{stem}_{zlib.crc32(stem.encode()) & 0xFFFF:04X}"


def _write_product(scene: EventScene, date_index: int, stem: Path) -> None:
    def heights(strip: int) -> NDArray[np.float32]:
        return no_data_as_zero(scene.fields(scene.strips[strip]).height_m)

    def local_incidence(strip: int) -> NDArray[np.float32]:
        return np.radians(scene.local_incidence_deg(scene.fields(scene.strips[strip])))

    for polarisation in POLARISATIONS:

        def backscatter(strip: int, polarisation: Any = polarisation) -> NDArray[np.float32]:
            return no_data_as_zero(draw_backscatter(scene, strip, date_index, polarisation))

        _write(stem.with_name(f"{stem.name}_{polarisation}.tif"), scene, backscatter, "float32")
    _write(stem.with_name(f"{stem.name}_dem.tif"), scene, heights, "float32")
    _write(stem.with_name(f"{stem.name}_inc_map.tif"), scene, local_incidence, "float32")
    _write(stem.with_name(f"{stem.name}_ls_map.tif"), scene, lambda strip: _mask(scene, strip), "uint8")
    stem.with_name(f"{stem.name}.README.md.txt").write_text(_description(scene, date_index, stem.name), "utf-8")


def _mask(scene: EventScene, strip: int) -> NDArray[np.uint8]:
    """From the slope of each pixel itself, not cast over others."""
    fields = scene.fields(scene.strips[strip])
    facing = scene.facing_slope_deg(fields)
    mask = np.where(-facing > 90.0 - fields.incidence_deg, IN_SHADOW, NOT_AFFECTED)
    return np.where(facing > fields.incidence_deg, IN_LAYOVER, mask).astype(np.uint8)


def _write(path: Path, scene: EventScene, values: Callable[[int], NDArray[Any]], dtype: str) -> None:
    import rasterio

    grid: Grid = scene.frame.grid
    profile: dict[str, object] = {
        "driver": "GTiff",
        "width": grid.cols,
        "height": grid.rows,
        "count": 1,
        "dtype": dtype,
        "crs": grid.crs,
        "transform": grid.transform,
        "nodata": 0,
        "compress": "deflate",
        "blockysize": STRIP_ROWS,
        "bigtiff": "if_safer",
    }
    with rasterio.open(path, "w", **profile) as sink:
        for strip, rows in enumerate(scene.strips):
            window = rasterio.windows.Window(0, rows.start, grid.cols, rows.stop - rows.start)
            sink.write(values(strip), 1, window=window)


def _description(scene: EventScene, date_index: int, stem: str) -> str:
    parameters = scene.parameters
    day = parameters.dates[date_index]
    return (
        f"# ASF RTC Data Package ({day.year})\n\n"
        f"The source granule of {stem} was acquired on {day.isoformat()}.\n\n"
        f"* Orbit direction: {parameters.orbit_direction}\n"
        "* Radiometry: gamma-0\n* Scale: power\n* Filtering: none\n"
        f"* Pixel spacing: {parameters.map_pixel_m:.0f} m\n"
    )
