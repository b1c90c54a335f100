"""HyP3: interferograms as the Alaska Satellite Facility delivers them, one folder of GeoTIFFs each."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.grid import Grid
from insar.simulate.layouts.base import Progress, no_data_as_zero
from insar.simulate.layouts.geotiff import require_sentinel1, write_geotiff
from insar.simulate.orbit import PASS_TIME, ScenePass
from insar.simulate.scene import SimulatedScene
from insar.simulate.view import EARTH_RADIUS_M, PLATFORM_HEIGHT_M, slant_range_m
from insar.stack import Pair

MARGINS = ((0, 2, 3, 1), (1, 0, 2, 0), (3, 1, 0, 2), (2, 3, 1, 0))
"""Pixels of no data beyond the scene at the top, left, bottom and right, by turns: extents of products differ."""

TILE = 256
START = f"{int(PASS_TIME.total_seconds()) // 3600:02d}{int(PASS_TIME.total_seconds()) % 3600 // 60:02d}"
SECONDS = f"{int(PASS_TIME.total_seconds()) % 60:02d}"


@dataclass(frozen=True, slots=True)
class Hyp3:
    """One folder per interferogram with all its layers, on a UTM grid."""

    name: str = "hyp3"

    def place(self, scene: SimulatedScene) -> SimulatedScene:
        """A scene on its map grid: HyP3 delivers UTM alone."""
        require_sentinel1(scene, self.name)
        return scene

    def write(self, stack: SimulatedScene, folder: Path, progress: Progress) -> None:
        """Write a folder of GeoTIFFs and a text file for each pair."""
        shared = _shared_layers(stack)
        for index, pair in enumerate(stack.pairs):
            interferogram = stack.interferogram(index)
            stem = product_name(pair, stack.parameters.pixel_size_m)
            target = folder / stem
            target.mkdir()
            layers: dict[str, NDArray[Any]] = {
                "unw_phase": no_data_as_zero(interferogram.phase_rad),
                "corr": no_data_as_zero(interferogram.coherence),
                "conncomp": interferogram.components,
                **shared,
            }
            margins = MARGINS[index % len(MARGINS)]
            grid = _widened(stack.pixels.grid, margins)
            top, left, bottom, right = margins
            for layer, values in layers.items():
                padded = np.pad(values, ((top, bottom), (left, right)))
                write_geotiff(
                    target / f"{stem}_{layer}.tif",
                    padded,
                    grid,
                    no_data=0,
                    tiled=True,
                    blockxsize=TILE,
                    blockysize=TILE,
                )
            (target / f"{stem}.txt").write_text(_description(stack, index), "utf-8")
            progress(index + 1, len(stack.pairs))


def product_name(pair: Pair, pixel_size_m: float) -> str:
    """Name of a product: both acquisitions, the days between them, the pixel size, and four digits of its own."""

    def moment(day: date) -> str:
        return f"{day:%Y%m%d}T{START}{SECONDS}"

    days = pair.temporal_baseline_days
    name = f"S1AA_{moment(pair.reference)}_{moment(pair.secondary)}_VVP{days:03d}_INT{pixel_size_m:.0f}_G_ueF"
    return f"{name}_{zlib.crc32(name.encode()) & 0xFFFF:04X}"


def _shared_layers(stack: SimulatedScene) -> dict[str, NDArray[Any]]:
    elevation = np.radians(90.0 - stack.fields.incidence_deg.astype(np.float64))
    # from east and anticlockwise, where the azimuth is from north and clockwise; between -pi and pi
    orientation = math.remainder(math.radians(90.0 - stack.azimuth_angle_deg), 2.0 * math.pi)
    return {
        "dem": no_data_as_zero(stack.stack_height_m),
        "lv_theta": elevation.astype(np.float32),
        "lv_phi": np.full(stack.shape, orientation, np.float32),
        "water_mask": np.ones(stack.shape, np.uint8),
    }


def _widened(grid: Grid, margins: tuple[int, int, int, int]) -> Grid:
    top, left, bottom, right = margins
    x, y = grid.map_coordinates(-float(top), -float(left))
    step = grid.transform
    return Grid(grid.rows + top + bottom, grid.cols + left + right, Affine(step.a, 0.0, x, 0.0, step.e, y), grid.crs)


def _description(stack: SimulatedScene, index: int) -> str:
    parameters, over, pair = stack.parameters, ScenePass.over(stack), stack.pairs[index]
    incidence = stack.fields.incidence_deg
    near, center, far = (float(slant_range_m(float(f(incidence)))) for f in (np.min, np.mean, np.max))
    heading = math.remainder(stack.heading_deg, 360.0)
    granule = "S1A_IW_SLC__1SDV_{0:%Y%m%d}T" + f"{START}{SECONDS}" + "_{0:%Y%m%d}T103319_053324_067706_255E"
    entries = {
        "Reference Granule": granule.format(pair.reference),
        "Secondary Granule": granule.format(pair.secondary),
        "Reference Pass Direction": parameters.orbit_direction.upper(),
        "Reference Orbit Number": 53324,
        "Secondary Pass Direction": parameters.orbit_direction.upper(),
        "Secondary Orbit Number": 53324 + round(pair.temporal_baseline_days * 175 / 12),
        "Baseline": f"{stack.pair_baseline_m(index):.4f}",
        "UTC time": f"{over.center_line_utc_s:.6f}",
        "Heading": f"{heading:.7f}",
        "Spacecraft height": f"{PLATFORM_HEIGHT_M:.4f}",
        "Earth radius at nadir": f"{EARTH_RADIUS_M:.4f}",
        "Slant range near": f"{near:.4f}",
        "Slant range center": f"{center:.4f}",
        "Slant range far": f"{far:.4f}",
        "Range looks": parameters.range_looks,
        "Azimuth looks": parameters.azimuth_looks,
        "INSAR phase filter": "none",
        "Phase filter parameter": "0.0",
        "Resolution of output (m)": f"{parameters.pixel_size_m:.0f}",
        "Range bandpass filter": "no",
        "Azimuth bandpass filter": "no",
        "DEM source": "GLO-30",
        "Unwrapping type": "mcf",
        "Unwrapping threshold": "none",
        "Speckle filter": "no",
    }
    return "".join(f"{key}: {value}\n" for key, value in entries.items())
