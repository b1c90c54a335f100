"""ISCE2: coregistered single-look complex images of topsStack and stripmapStack, in radar coordinates."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.simulate.event_parameters import EventParameters
from insar.simulate.event_scene import EventScene, simulate_radar_event
from insar.simulate.event_speckle import draw_images
from insar.simulate.layouts.base import Progress
from insar.simulate.layouts.event_base import event_pass
from insar.simulate.layouts.isce import Swath, write_data_rsc, write_swath_header
from insar.simulate.layouts.isce_xml import Axis, write_image_header

GEOMETRY = {"lat": ("<f8", 1), "lon": ("<f8", 1), "hgt": ("<f8", 1), "los": ("<f4", 2), "shadowMask": ("|u1", 1)}
"""Type and bands of the rasters of the geometry; bands are interleaved by line."""

DATA_TYPES = {"<f4": "FLOAT", "<f8": "DOUBLE", "|u1": "BYTE", "<c8": "CFLOAT"}


@dataclass(frozen=True, slots=True)
class IsceTopsSlc:
    """Sentinel-1 images as topsStack merges them, with the geometry at full resolution."""

    name: str = "isce-slc"

    def make(self, parameters: EventParameters) -> EventScene:
        """A scene in radar coordinates."""
        return simulate_radar_event(parameters)

    def write(self, scene: EventScene, folder: Path, progress: Progress) -> None:
        """Write ``reference``, ``secondarys``, ``baselines`` and ``merged``."""
        over, swath = event_pass(scene), _swath(scene)
        first, *others = scene.parameters.dates
        write_swath_header(folder / "reference", swath, over, first)
        for day in others:
            write_swath_header(folder / "secondarys" / f"{day:%Y%m%d}", swath, over, day)
        for day, baseline in zip(others, scene.baselines_m[1:], strict=True):
            name = f"{first:%Y%m%d}_{day:%Y%m%d}"
            target = folder / "baselines" / name / f"{name}.txt"
            target.parent.mkdir(parents=True)
            # topsStack's sign: positive where the secondary has the larger look angle.
            target.write_text(f"swath: IW1\nBperp (average): {-baseline:.6f}\nBpar (average): 0.000000\n", "utf-8")
        merged = folder / "merged"
        _write_rasters(scene, merged / "SLC", "slc.full", merged / "geom_reference", ".rdr.full", progress)


@dataclass(frozen=True, slots=True)
class IsceStripmapSlc:
    """Images as stripmapStack coregisters them, with the geometry at full resolution."""

    name: str = "isce-stripmap-slc"

    def make(self, parameters: EventParameters) -> EventScene:
        """A scene in radar coordinates."""
        return simulate_radar_event(parameters)

    def write(self, scene: EventScene, folder: Path, progress: Progress) -> None:
        """Write ``data.rsc``, ``baselines``, ``geom_reference`` and ``merged/SLC``."""
        write_data_rsc(folder / "data.rsc", _swath(scene), event_pass(scene))
        first, *others = scene.parameters.dates
        (folder / "baselines").mkdir()
        for day, baseline in zip(others, scene.baselines_m[1:], strict=True):
            # The two ends of the pass differ a little; their mean is the baseline.
            text = f"PERP_BASELINE_BOTTOM {baseline - 0.2:.6f}\nPERP_BASELINE_TOP {baseline + 0.2:.6f}\n"
            (folder / "baselines" / f"{first:%Y%m%d}_{day:%Y%m%d}.txt").write_text(text, "utf-8")
        _write_rasters(scene, folder / "merged" / "SLC", "slc", folder / "geom_reference", ".rdr", progress)


def _swath(scene: EventScene) -> Swath:
    parameters = scene.parameters
    return Swath(*scene.shape, 1, 1, parameters.wavelength_m, parameters.orbit_direction, parameters.polarisation)


def _write_rasters(
    scene: EventScene, images: Path, extension: str, geometry: Path, geometry_suffix: str, progress: Progress
) -> None:
    """Images of all dates and their geometry, each file grown strip by strip."""
    geometry.mkdir(parents=True)
    lines, samples = (Axis(size) for size in scene.shape)
    with ExitStack() as opened:
        image_files = []
        for day in scene.parameters.dates:
            path = images / f"{day:%Y%m%d}" / f"{day:%Y%m%d}.{extension}"
            path.parent.mkdir(parents=True)
            write_image_header(path, DATA_TYPES["<c8"], 1, lines, samples)
            path.with_name(f"{path.name}.vrt").write_text(_virtual_raster(path.name, scene.shape), "utf-8")
            image_files.append(opened.enter_context(path.open("wb")))
        geometry_files = {}
        for name, (kind, bands) in GEOMETRY.items():
            path = geometry / f"{name}{geometry_suffix}"
            write_image_header(path, DATA_TYPES[kind], bands, lines, samples)
            geometry_files[name] = opened.enter_context(path.open("wb"))
        for strip, rows in enumerate(scene.strips):
            for name, planes in _geometry(scene, rows).items():
                by_line = np.stack(planes, axis=1)
                geometry_files[name].write(np.ascontiguousarray(by_line, GEOMETRY[name][0]).data)
            for file, image in zip(image_files, draw_images(scene, strip), strict=True):
                file.write(np.ascontiguousarray(image, "<c8").data)
            progress(strip + 1, len(scene.strips))


def _geometry(scene: EventScene, rows: slice) -> dict[str, list[NDArray[Any]]]:
    lon, lat = scene.frame.lonlat(rows, slice(0, scene.shape[1]))
    fields = scene.fields(rows)
    # Anticlockwise from north, where the view's own angle is clockwise.
    azimuth = np.full(lon.shape, -scene.view.azimuth_deg, np.float32)
    return {
        "lat": [lat],
        "lon": [lon],
        "hgt": [fields.height_m],
        "los": [fields.incidence_deg, azimuth],
        "shadowMask": [np.zeros(lon.shape, np.uint8)],
    }


def _virtual_raster(name: str, shape: tuple[int, int]) -> str:
    rows, cols = shape
    return (
        f'<VRTDataset rasterXSize="{cols}" rasterYSize="{rows}">\n'
        '    <VRTRasterBand band="1" dataType="CFloat32" subClass="VRTRawRasterBand">\n'
        f'        <SourceFilename relativeToVRT="1">{name}</SourceFilename>\n'
        "        <ByteOrder>LSB</ByteOrder>\n"
        "        <ImageOffset>0</ImageOffset>\n"
        "        <PixelOffset>8</PixelOffset>\n"
        f"        <LineOffset>{8 * cols}</LineOffset>\n"
        "    </VRTRasterBand>\n"
        "</VRTDataset>\n"
    )
