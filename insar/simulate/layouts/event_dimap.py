"""SNAP: products of a simulated event as BEAM-DIMAP on a map grid, complex images and calibrated backscatter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from insar.constants import SPEED_OF_LIGHT_M_PER_S
from insar.simulate.event_parameters import EventParameters
from insar.simulate.event_scene import EventScene, simulate_map_event
from insar.simulate.event_speckle import POLARISATIONS, draw_backscatter, draw_images
from insar.simulate.layouts.base import Progress, no_data_as_zero
from insar.simulate.layouts.dimap import (
    BandDescription,
    attribute,
    orbit_state_vectors,
    snap_date,
    snap_time,
    utm_zone,
    write_headers,
)
from insar.simulate.layouts.event_base import IMAGES, both_passes, event_pass

PARTS = {"i": "real", "q": "imaginary"}
"""Units of the two bands of an image by their first letter."""

GEOMETRY = (BandDescription("elevation", "meters"), BandDescription("incidenceAngleFromEllipsoid", "deg"))
"""Bands that go with images as Terrain Correction was asked for them."""


@dataclass(frozen=True, slots=True)
class SnapSlc:
    """Terrain-corrected complex bands ``i_*`` and ``q_*``, heights and incidence in the first product.

    Attributes
    ----------
    one_per_date
        A product for each date instead of one coregistered stack of all.
    """

    one_per_date: bool = False

    @property
    def name(self) -> str:
        """``snap-slc``, or ``snap-slc-dates`` with a product for each date."""
        return "snap-slc-dates" if self.one_per_date else "snap-slc"

    def make(self, parameters: EventParameters) -> EventScene:
        """A scene on a map."""
        return simulate_map_event(parameters)

    def write(self, scene: EventScene, folder: Path, progress: Progress) -> None:
        """Write ``stack_tc.dim``, or ``<date>_tc.dim`` for each date."""
        names = self._image_names(scene.parameters)
        with ExitStack() as opened:
            files = []
            for data, name in zip(self._write_headers(scene, folder, names), names, strict=True):
                files.append([opened.enter_context((data / f"{part}_{name}.img").open("wb")) for part in PARTS])
            geometry_folder = (folder / self._product_name(scene.parameters.dates[0])).with_suffix(".data")
            geometry = {
                band.name: opened.enter_context((geometry_folder / f"{band.name}.img").open("wb")) for band in GEOMETRY
            }
            for strip, rows in enumerate(scene.strips):
                fields = scene.fields(rows)
                _append(geometry["elevation"], no_data_as_zero(fields.height_m))
                _append(geometry["incidenceAngleFromEllipsoid"], fields.incidence_deg)
                for (real, imaginary), image in zip(files, draw_images(scene, strip), strict=True):
                    _append(real, image.real)
                    _append(imaginary, image.imag)
                progress(strip + 1, len(scene.strips))

    def _image_names(self, parameters: EventParameters) -> list[str]:
        """Names of the bands of each date without their first letter."""
        # The first image is the master of a stack, the others are its slaves by number.
        count = parameters.acquisitions
        roles = [""] * count if self.one_per_date else ["mst_", *(f"slv{number}_" for number in range(1, count))]
        return [
            f"IW1_{parameters.polarisation}_{role}{snap_date(day)}"
            for role, day in zip(roles, parameters.dates, strict=True)
        ]

    def _product_name(self, day: date) -> str:
        return f"{day:%Y%m%d}_tc.dim" if self.one_per_date else "stack_tc.dim"

    def _write_headers(self, scene: EventScene, folder: Path, names: list[str]) -> list[Path]:
        """Folder of the bands of each date."""
        dates = scene.parameters.dates
        products = [[name] for name in names] if self.one_per_date else [names]
        folders: list[Path] = []
        for day, held in zip(dates, products, strict=False):
            bands = [BandDescription(f"{part}_{name}", unit) for name in held for part, unit in PARTS.items()]
            if not folders:
                bands += GEOMETRY
            path = folder / self._product_name(day)
            folders.append(write_headers(path, bands, scene.frame.grid, _metadata(scene, day, "SLC")))
        return folders if self.one_per_date else folders * len(names)


@dataclass(frozen=True, slots=True)
class SnapBackscatter:
    """Terrain-corrected ``Sigma0`` of both polarisations with heights and incidence, from `both_passes`."""

    name: str = "snap-backscatter"

    def make(self, parameters: EventParameters) -> EventScene:
        """A scene on a map."""
        return simulate_map_event(parameters)

    def write(self, scene: EventScene, folder: Path, progress: Progress) -> None:
        """Write a product for each date into ``backscatter/ascending`` and ``backscatter/descending``."""
        passes = both_passes(scene)
        total = len(passes) * len(scene.parameters.dates)
        done = 0
        for one in passes:
            target = folder / IMAGES / one.parameters.orbit_direction
            target.mkdir(parents=True)
            for index, day in enumerate(one.parameters.dates):
                _write_backscatter(one, index, target / f"S1A_IW_GRDH_{day:%Y%m%d}_Cal_TC.dim")
                done += 1
                progress(done, total)


def _write_backscatter(scene: EventScene, date_index: int, path: Path) -> None:
    bands = [BandDescription(f"Sigma0_{polarisation}", "intensity") for polarisation in POLARISATIONS]
    bands += [*GEOMETRY, BandDescription("localIncidenceAngle", "deg")]
    day = scene.parameters.dates[date_index]
    data = write_headers(path, bands, scene.frame.grid, _metadata(scene, day, "GRD"))
    with ExitStack() as opened:
        files = {band.name: opened.enter_context((data / f"{band.name}.img").open("wb")) for band in bands}
        for strip, rows in enumerate(scene.strips):
            for polarisation in POLARISATIONS:
                values = draw_backscatter(scene, strip, date_index, polarisation)
                _append(files[f"Sigma0_{polarisation}"], no_data_as_zero(values))
            fields = scene.fields(rows)
            _append(files["elevation"], no_data_as_zero(fields.height_m))
            _append(files["localIncidenceAngle"], no_data_as_zero(scene.local_incidence_deg(fields)))
            _append(files["incidenceAngleFromEllipsoid"], fields.incidence_deg)


def _append(file: IO[bytes], values: NDArray[np.float32]) -> None:
    file.write(values.astype(">f4").tobytes())


def _metadata(scene: EventScene, day: date, kind: str) -> Sequence[str]:
    parameters, over, grid = scene.parameters, event_pass(scene), scene.frame.grid
    is_slc = kind == "SLC"
    width = grid.cols * parameters.map_pixel_m * math.sin(math.radians(over.incidence_deg))
    far = scene.view.incidence_deg(scene.view.distance_m(np.array(over.starting_range_m + width)))
    product = "S1A_IW_SLC__1SDV" if is_slc else "S1A_IW_GRDH_1SDV"
    values: dict[str, object] = {
        "PRODUCT": f"{product}_{day:%Y%m%d}T103252_{day:%Y%m%d}T103319_053324_067706_255E",
        "PRODUCT_TYPE": kind,
        "MISSION": "SENTINEL-1A",
        "ACQUISITION_MODE": "IW",
        "antenna_pointing": "right",
        "SWATH": "IW1" if is_slc else "",
        "incidence_near": parameters.incidence_near_deg,
        "incidence_far": float(far),
        "first_line_time": snap_time(over.start(day)),
        "last_line_time": snap_time(over.stop(day)),
        "PASS": parameters.orbit_direction.upper(),
        "SAMPLE_TYPE": "COMPLEX" if is_slc else "DETECTED",
        "mds1_tx_rx_polar": parameters.polarisation if is_slc else "VV",
        "mds2_tx_rx_polar": "" if is_slc else "VH",
        "azimuth_looks": 1.0,
        "range_looks": 1.0 if is_slc else 5.0,
        "range_spacing": over.range_pixel_size_m,
        "azimuth_spacing": over.azimuth_pixel_size_m,
        "radar_frequency": SPEED_OF_LIGHT_M_PER_S / parameters.wavelength_m / 1e6,
        "line_time_interval": over.line_interval_s,
        "num_output_lines": grid.rows,
        "num_samples_per_line": grid.cols,
        "avg_scene_height": over.height_m,
        "map_projection": f"UTM zone {utm_zone(grid)[0]}",
        "is_terrain_corrected": 1,
        "abs_calibration_flag": 0 if is_slc else 1,
        "slant_range_to_first_pixel": over.starting_range_m,
        "calibration_factor": 99999.0,
        "coregistered_stack": int(is_slc),
        "centre_lat": parameters.center_lat_deg,
        "centre_lon": parameters.center_lon_deg,
        "centre_heading": over.heading_deg,
    }
    return [*(attribute(name, value, "ascii") for name, value in values.items()), *orbit_state_vectors(over, day)]
