"""ISCE2: the folders of topsStack and stripmapStack, in radar coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.simulate.layouts.base import Progress, no_data_as_zero
from insar.simulate.layouts.isce_xml import Axis, component_xml, document_xml, property_xml, write_image_header
from insar.simulate.orbit import ScenePass
from insar.simulate.scene import Interferogram, SimulatedScene
from insar.simulate.view import EARTH_RADIUS_M, PLATFORM_HEIGHT_M

DATA_TYPES = {"<f4": "FLOAT", "<f8": "DOUBLE", "|u1": "BYTE"}


@dataclass(frozen=True, slots=True)
class Swath:
    """What headers state of the images besides the pass.

    Attributes
    ----------
    lines, samples
        Of single-look images.
    azimuth_looks, range_looks
        Of the rasters.
    wavelength_m
        Of the radar.
    orbit_direction
        ``ascending`` or ``descending``.
    polarisation
        Sent and received, such as ``VV``.
    """

    lines: int
    samples: int
    azimuth_looks: int
    range_looks: int
    wavelength_m: float
    orbit_direction: str
    polarisation: str = "VV"

    @classmethod
    def of(cls, stack: SimulatedScene) -> Swath:
        """Of a scene in radar coordinates."""
        parameters = stack.parameters
        looks = parameters.azimuth_looks, parameters.range_looks
        lines, samples = (size * count for size, count in zip(stack.shape, looks, strict=True))
        return cls(lines, samples, *looks, parameters.wavelength_m, parameters.orbit_direction)


@dataclass(frozen=True, slots=True)
class IsceTops:
    """Sentinel-1 stack as topsStack leaves it."""

    name: str = "isce-tops"

    def place(self, scene: SimulatedScene) -> SimulatedScene:
        """A scene on a radar grid."""
        return scene.on_radar_grid()

    def write(self, stack: SimulatedScene, folder: Path, progress: Progress) -> None:
        """Write ``reference``, ``secondarys``, ``baselines`` and ``merged``."""
        over = ScenePass.over(stack)
        first, *others = stack.dates
        swath = Swath.of(stack)
        write_swath_header(folder / "reference", swath, over, first)
        for day in others:
            write_swath_header(folder / "secondarys" / f"{day:%Y%m%d}", swath, over, day)
        for day, baseline in zip(others, stack.perpendicular_baselines_m[1:], strict=True):
            name = f"{first:%Y%m%d}_{day:%Y%m%d}"
            target = folder / "baselines" / name / f"{name}.txt"
            target.parent.mkdir(parents=True)
            # topsStack's sign: positive where the secondary has the larger look angle.
            target.write_text(f"swath: IW1\nBperp (average): {-baseline:.6f}\nBpar (average): 0.000000\n", "utf-8")
        geometry = folder / "merged" / "geom_reference"
        _write_geometry(stack, geometry, Axis(stack.shape[0]), Axis(stack.shape[1]))
        # MintPy and others learn the looks from the size that the geometry had before multilooking.
        write_image_header(
            geometry / "hgt.rdr.full",
            "DOUBLE",
            1,
            Axis(stack.shape[0] * stack.parameters.azimuth_looks),
            Axis(stack.shape[1] * stack.parameters.range_looks),
        )
        amplitude = _amplitude(stack)
        for index, pair in enumerate(stack.pairs):
            target = folder / "merged" / "interferograms" / pair.name
            target.mkdir(parents=True)
            _write_pair(stack.interferogram(index), amplitude, target / "filt_fine.unw", target / "filt_fine.cor")
            progress(index + 1, len(stack.pairs))


@dataclass(frozen=True, slots=True)
class IsceStripmap:
    """Stack as stripmapStack leaves it."""

    name: str = "isce-stripmap"

    def place(self, scene: SimulatedScene) -> SimulatedScene:
        """A scene on a radar grid."""
        return scene.on_radar_grid()

    def write(self, stack: SimulatedScene, folder: Path, progress: Progress) -> None:
        """Write ``data.rsc``, ``baselines``, ``geom_reference`` and ``Igrams``."""
        write_data_rsc(folder / "data.rsc", Swath.of(stack), ScenePass.over(stack))
        first, *others = stack.dates
        (folder / "baselines").mkdir()
        for day, baseline in zip(others, stack.perpendicular_baselines_m[1:], strict=True):
            # The two ends of the pass differ a little; their mean is the baseline.
            text = f"PERP_BASELINE_BOTTOM {baseline - 0.2:.6f}\nPERP_BASELINE_TOP {baseline + 0.2:.6f}\n"
            (folder / "baselines" / f"{first:%Y%m%d}_{day:%Y%m%d}.txt").write_text(text, "utf-8")
        looks = stack.parameters.azimuth_looks, stack.parameters.range_looks
        lines, samples = (
            Axis(size, delta=float(count), start=count // 2) for size, count in zip(stack.shape, looks, strict=True)
        )
        _write_geometry(stack, folder / "geom_reference", lines, samples)
        amplitude = _amplitude(stack)
        for index, pair in enumerate(stack.pairs):
            target = folder / "Igrams" / pair.name
            target.mkdir(parents=True)
            _write_pair(
                stack.interferogram(index),
                amplitude,
                target / f"filt_{pair.name}_snaphu.unw",
                target / f"filt_{pair.name}.cor",
            )
            progress(index + 1, len(stack.pairs))


def _write_pair(interferogram: Interferogram, amplitude: NDArray[np.float32], unwrapped: Path, coherence: Path) -> None:
    phase = no_data_as_zero(interferogram.phase_rad)
    shown = np.where(np.isnan(interferogram.coherence), np.float32(0.0), amplitude)
    _write_raster(unwrapped, [shown, phase])
    _write_raster(unwrapped.with_name(f"{unwrapped.name}.conncomp"), [interferogram.components])
    _write_raster(coherence, [no_data_as_zero(interferogram.coherence)])


def _write_geometry(stack: SimulatedScene, folder: Path, lines: Axis, samples: Axis) -> None:
    folder.mkdir(parents=True)
    lon, lat = stack.pixels.lonlat()
    incidence = stack.fields.incidence_deg
    # Anticlockwise from north, where the scene's own angle is clockwise.
    azimuth = np.full(stack.shape, -stack.azimuth_angle_deg, np.float32)
    rasters: dict[str, list[NDArray[Any]]] = {
        "lat": [lat],
        "lon": [lon],
        "hgt": [stack.stack_height_m.astype(np.float64)],
        "los": [incidence, azimuth],
        "shadowMask": [stack.fields.visibility],
    }
    for name, bands in rasters.items():
        _write_raster(folder / f"{name}.rdr", bands, lines, samples)


def _write_raster(
    path: Path, bands: list[NDArray[Any]], lines: Axis | None = None, samples: Axis | None = None
) -> None:
    rows, cols = bands[0].shape
    by_line = np.stack(bands, axis=1)
    little_endian = by_line.astype(by_line.dtype.newbyteorder("<"), copy=False)
    little_endian.tofile(path)
    data_type = DATA_TYPES[little_endian.dtype.str]
    write_image_header(path, data_type, len(bands), lines or Axis(rows), samples or Axis(cols))


def _amplitude(stack: SimulatedScene) -> NDArray[np.float32]:
    """Bright where a slope faces the sensor, that is, rises along the row."""
    rise = np.gradient(stack.fields.height_m, stack.parameters.pixel_size_m, axis=1)
    brightness: NDArray[np.float32] = (100.0 * (1.0 + np.clip(1.5 * rise, -0.9, 3.0))).astype(np.float32)
    return brightness


def write_swath_header(folder: Path, swath: Swath, over: ScenePass, day: date) -> None:
    """Write ``IW1.xml`` of a date, as topsApp's products have it; the folder is made."""
    vectors = [
        component_xml(
            f"statevector{number}",
            [
                property_xml("position", list(vector.position_m)),
                property_xml("time", f"{vector.time:%Y-%m-%d %H:%M:%S}"),
                property_xml("velocity", list(vector.velocity_m_per_s)),
            ],
        )
        for number, vector in enumerate(over.state_vectors(day, 5, 10.0), start=1)
    ]
    orbit = component_xml(
        "orbit",
        [
            property_xml("orbit_source", f"{over.start(day):S1A_OPER_AUX_POEORB_OPOD_%Y%m%dT120000.EOF}"),
            component_xml("state_vectors", vectors),
        ],
    )
    burst = component_xml(
        "burst1",
        [
            property_xml("azimuthtimeinterval", over.line_interval_s),
            property_xml("burstnumber", 1),
            property_xml("burststartutc", _utc(over, day, 0.0)),
            property_xml("burststoputc", _utc(over, day, over.duration_s)),
            property_xml("numberoflines", swath.lines),
            property_xml("numberofsamples", swath.samples),
            orbit,
            property_xml("orbitnumber", 27915),
            property_xml("passdirection", swath.orbit_direction.upper()),
            property_xml("polarization", swath.polarisation),
            property_xml("pulserepetitionfrequency", 1717.128973878037),
            property_xml("radarwavelength", swath.wavelength_m),
            property_xml("rangepixelsize", over.range_pixel_size_m),
            property_xml("sensingstart", _utc(over, day, 0.0)),
            property_xml("sensingstop", _utc(over, day, over.duration_s)),
            property_xml("startingrange", over.starting_range_m),
            property_xml("swathnumber", 1),
            property_xml("terrainheight", over.height_m),
            property_xml("tracknumber", 64),
        ],
    )
    instance = component_xml(
        "instance",
        [
            property_xml("ascendingnodetime", _utc(over, day, -600.0)),
            component_xml("bursts", [burst, property_xml("name", ["burst1"])]),
            property_xml("imagingmode", "TOPS"),
            property_xml("mission", "S1A"),
            property_xml("numberofbursts", 1),
            property_xml("processingsystem", "Sentinel-1 IPF"),
            property_xml("spacecraftname", "Sentinel-1"),
        ],
    )
    folder.mkdir(parents=True)
    document = document_xml(
        "productmanager_name",
        [property_xml("family", "productmanager"), instance, property_xml("name", "productmanager_name")],
    )
    (folder / "IW1.xml").write_text(document, "utf-8")


def write_data_rsc(path: Path, swath: Swath, over: ScenePass) -> None:
    """Write the text file that states the sensor of a stack of stripmapStack."""
    values: dict[str, object] = {
        "WAVELENGTH": swath.wavelength_m,
        "HEADING": round(over.heading_deg if over.heading_deg <= 180.0 else over.heading_deg - 360.0, 6),
        "ORBIT_DIRECTION": swath.orbit_direction,
        "ANTENNA_SIDE": -1,
        "PLATFORM": "Sen",
        "PROCESSOR": "isce",
        "CENTER_LINE_UTC": over.center_line_utc_s,
        "STARTING_RANGE": over.starting_range_m,
        "RANGE_PIXEL_SIZE": over.range_pixel_size_m * swath.range_looks,
        "AZIMUTH_PIXEL_SIZE": over.azimuth_pixel_size_m * swath.azimuth_looks,
        "RLOOKS": swath.range_looks,
        "ALOOKS": swath.azimuth_looks,
        "EARTH_RADIUS": EARTH_RADIUS_M,
        "HEIGHT": PLATFORM_HEIGHT_M,
    }
    path.write_text("".join(f"{key:<20}{value}\n" for key, value in values.items()), "utf-8")


def _utc(over: ScenePass, day: date, seconds: float) -> str:
    return f"{over.start(day) + timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S.%f}"
