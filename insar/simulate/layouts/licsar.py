"""LiCSAR: a frame of geocoded interferograms as COMET delivers it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from insar.simulate.layouts.base import Progress, no_data_as_zero
from insar.simulate.layouts.geotiff import require_sentinel1, unit_vector, write_geotiff
from insar.simulate.orbit import ScenePass
from insar.simulate.scene import SimulatedScene
from insar.simulate.view import slant_range_m

COHERENCE_STEPS = 255
SINGLE_LOOK_RANGE_M = 2.329562
SINGLE_LOOK_AZIMUTH_M = 14.03433


@dataclass(frozen=True, slots=True)
class Licsar:
    """``interferograms`` and ``metadata`` of one frame, on a grid of longitude and latitude."""

    name: str = "licsar"

    def place(self, scene: SimulatedScene) -> SimulatedScene:
        """A scene on a geographic grid: LiCSAR delivers no other."""
        require_sentinel1(scene, self.name)
        return scene.on_geographic_grid()

    def write(self, stack: SimulatedScene, folder: Path, progress: Progress) -> None:
        """Write both folders; no data is 0 and not declared, and coherence is stored in bytes."""
        grid = stack.pixels.grid
        metadata = folder / "metadata"
        metadata.mkdir()
        frame = frame_name(stack)
        east, north, up = unit_vector(stack)
        for layer, values in (("E", east), ("N", north), ("U", up), ("hgt", stack.stack_height_m)):
            write_geotiff(metadata / f"{frame}.geo.{layer}.tif", values, grid)
        (metadata / "baselines").write_text(_baselines(stack), "ascii")
        (metadata / "metadata.txt").write_text(_description(stack), "ascii")
        for index, pair in enumerate(stack.pairs):
            interferogram = stack.interferogram(index)
            target = folder / "interferograms" / pair.name
            target.mkdir(parents=True)
            write_geotiff(target / f"{pair.name}.geo.unw.tif", no_data_as_zero(interferogram.phase_rad), grid)
            write_geotiff(target / f"{pair.name}.geo.cc.tif", coherence_as_bytes(interferogram.coherence), grid)
            progress(index + 1, len(stack.pairs))


def frame_name(stack: SimulatedScene) -> str:
    """Track with its direction, colatitude in hundredths of a degree, and bursts of each swath."""
    parameters = stack.parameters
    colatitude = round((90.0 - parameters.center_lat_deg) * 100.0)
    return f"055{parameters.orbit_direction[0].upper()}_{colatitude:05d}_131313"


def coherence_as_bytes(coherence: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Coherence in steps of 1/255, 0 where there is none: what is there is at least one step, lest it be missing."""
    steps = np.maximum(np.rint(coherence * np.float32(COHERENCE_STEPS)), 1.0)
    return np.where(np.isnan(coherence), 0.0, steps).astype(np.uint8)


def _baselines(stack: SimulatedScene) -> str:
    """Each date against one of them, which is not the first."""
    middle = len(stack.dates) // 2
    prime, baseline = stack.dates[middle], stack.perpendicular_baselines_m[middle]
    return "".join(
        f"{prime:%Y%m%d} {day:%Y%m%d} {value - baseline:.4f} {(day - prime).days}\n"
        for day, value in zip(stack.dates, stack.perpendicular_baselines_m, strict=True)
    )


def _description(stack: SimulatedScene) -> str:
    over = ScenePass.over(stack)
    seconds = over.center_line_utc_s
    hours, minutes = int(seconds // 3600), int(seconds % 3600 // 60)
    heading = (stack.heading_deg + 180.0) % 360.0 - 180.0
    incidence = float(stack.fields.incidence_deg.mean(dtype=np.float64))
    entries = {
        "master": f"{stack.dates[len(stack.dates) // 2]:%Y%m%d}",
        "center_time": f"{hours}:{minutes:02d}:{seconds % 60:09.6f}",
        "heading": f"{heading:.6f}",
        "avg_incidence_angle": f"{incidence:.4f}",
        "azimuth_resolution": f"{SINGLE_LOOK_AZIMUTH_M:.6f}",
        "range_resolution": f"{SINGLE_LOOK_RANGE_M:.6f}",
        "centre_range_m": f"{float(slant_range_m(incidence)):.4f}",
        "avg_height": f"{stack.mean_height_m:.6f}",
        "applied_DEM": "TanDEMX_90m",
    }
    return "".join(f"{key}={value}\n" for key, value in entries.items())
