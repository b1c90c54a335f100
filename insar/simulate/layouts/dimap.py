"""Headers and rasters of BEAM-DIMAP, the format of SNAP."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from insar.constants import SPEED_OF_LIGHT_M_PER_S
from insar.grid import Grid
from insar.simulate.layouts.base import no_data_as_zero
from insar.simulate.orbit import ScenePass
from insar.simulate.scene import SimulatedScene
from insar.simulate.view import slant_range_m

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
GEOGRAPHIC_WKT = (
    'GEOGCS["WGS84(DD)", DATUM["WGS84", SPHEROID["WGS84", 6378137.0, 298.257223563]], PRIMEM["Greenwich", 0.0], '
    'UNIT["degree", 0.017453292519943295], AXIS["Geodetic longitude", EAST], AXIS["Geodetic latitude", NORTH]]'
)


class BandDescription(NamedTuple):
    """What headers say of a raster of a product."""

    name: str
    unit: str


@dataclass(frozen=True, slots=True)
class Band:
    """One raster of a product; NaN becomes 0, which the header declares as no data."""

    name: str
    unit: str
    values: NDArray[np.float32]


def snap_date(day: date) -> str:
    """A date as SNAP writes it in names, such as 07Apr2024, whatever the locale."""
    return f"{day.day:02d}{MONTHS[day.month - 1]}{day.year}"


def write_product(path: Path, bands: Sequence[Band], stack: SimulatedScene, first: date, second: date) -> None:
    """Write ``X.dim`` and ``X.data``.

    Parameters
    ----------
    path
        Of the header, ``X.dim``; its folder exists.
    bands
        What the product holds.
    stack
        Placed on a map grid.
    first, second
        The two dates of the product.
    """
    metadata = [
        *_abstracted_metadata(stack, first),
        *orbit_state_vectors(ScenePass.over(stack), first),
        *_baselines(stack, first, second),
    ]
    described = [BandDescription(band.name, band.unit) for band in bands]
    data = write_headers(path, described, stack.pixels.grid, metadata)
    for band in bands:
        no_data_as_zero(band.values).astype(">f4").tofile(data / f"{band.name}.img")


def write_headers(path: Path, bands: Sequence[BandDescription], grid: Grid, metadata: Sequence[str]) -> Path:
    """Write ``X.dim`` and the ``.hdr`` of its bands, whose ``.img`` are to follow.

    Parameters
    ----------
    path
        Of the header, ``X.dim``; its folder exists.
    bands
        What the product holds.
    grid
        Map grid of all bands.
    metadata
        Elements of the abstracted metadata.

    Returns
    -------
    Path
        The folder ``X.data``.
    """
    data = path.with_suffix(".data")
    data.mkdir()
    for band in bands:
        (data / f"{band.name}.hdr").write_text(_envi_header(band, grid), "ascii")
    path.write_text(_header(path, bands, grid, metadata), "iso-8859-1")
    return data


def _envi_header(band: BandDescription, grid: Grid) -> str:
    # SNAP anchors the grid at the pixel in the middle, where other writers use the first one.
    col, row = math.floor(grid.cols / 2 + 0.5), math.floor(grid.rows / 2 + 0.5)
    transform = grid.transform
    anchor = f"{col + 1.0},{row + 1.0},{transform.c + col * transform.a!r},{transform.f + row * transform.e!r}"
    size = f"{transform.a!r},{-transform.e!r}"
    if grid.is_geographic:
        map_info = f"Geographic Lat/Lon,{anchor},{size},WGS84,units=Degrees"
    else:
        zone, hemisphere = utm_zone(grid)
        map_info = f"UTM,{anchor},{size},{zone},{hemisphere},WGS84,units=Meters"
    return "\n".join(
        [
            "ENVI",
            f"description = {{null - Unit: {band.unit}}}",
            f"samples = {grid.cols}",
            f"lines = {grid.rows}",
            "bands = 1",
            "header offset = 0",
            "file type = ENVI Standard",
            "data type = 4",
            "interleave = bsq",
            "byte order = 1",
            f"band names = {{ {band.name} }}",
            f"map info = {{{map_info}}}",
            f"coordinate system string = {{{_wkt(grid)}}}",
            "data gain values = {1.0}",
            "data offset values = {0.0}",
            "",
        ]
    )


def _header(path: Path, bands: Sequence[BandDescription], grid: Grid, metadata: Sequence[str]) -> str:
    transform = grid.transform
    name = escape(path.stem)
    files = [
        f'<Data_File><DATA_FILE_PATH href="{name}.data/{escape(band.name)}.hdr" /><BAND_INDEX>{index}</BAND_INDEX>'
        "</Data_File>"
        for index, band in enumerate(bands)
    ]
    place = ",".join(repr(float(part)) for part in (transform.a, 0.0, 0.0, transform.e, transform.c, transform.f))
    return "\n".join(
        [
            '<?xml version="1.0" encoding="ISO-8859-1"?>',
            f'<Dimap_Document name="{name}.dim">',
            '<Metadata_Id><METADATA_FORMAT version="2.13.0">DIMAP</METADATA_FORMAT>'
            "<METADATA_PROFILE>BEAM-DATAMODEL-V1</METADATA_PROFILE></Metadata_Id>",
            f"<Dataset_Id><DATASET_SERIES>BEAM-PRODUCT</DATASET_SERIES><DATASET_NAME>{name}</DATASET_NAME></Dataset_Id>",
            f"<Coordinate_Reference_System><WKT>{escape(_wkt(grid))}</WKT></Coordinate_Reference_System>",
            f"<Geoposition><IMAGE_TO_MODEL_TRANSFORM>{place}</IMAGE_TO_MODEL_TRANSFORM></Geoposition>",
            f"<Raster_Dimensions><NCOLS>{grid.cols}</NCOLS><NROWS>{grid.rows}</NROWS><NBANDS>{len(bands)}</NBANDS>"
            "</Raster_Dimensions>",
            "<Data_Access><DATA_FILE_FORMAT>ENVI</DATA_FILE_FORMAT>"
            "<DATA_FILE_ORGANISATION>BAND_SEPARATE</DATA_FILE_ORGANISATION>",
            *files,
            "</Data_Access>",
            "<Image_Interpretation>",
            *(_band_info(index, band, grid) for index, band in enumerate(bands)),
            "</Image_Interpretation>",
            '<Dataset_Sources><MDElem name="metadata"><MDElem name="Abstracted_Metadata">',
            *metadata,
            "</MDElem></MDElem></Dataset_Sources>",
            "</Dimap_Document>",
            "",
        ]
    )


def _band_info(index: int, band: BandDescription, grid: Grid) -> str:
    return (
        f"<Spectral_Band_Info><BAND_INDEX>{index}</BAND_INDEX><BAND_DESCRIPTION />"
        f"<BAND_NAME>{escape(band.name)}</BAND_NAME><BAND_RASTER_WIDTH>{grid.cols}</BAND_RASTER_WIDTH>"
        f"<BAND_RASTER_HEIGHT>{grid.rows}</BAND_RASTER_HEIGHT><DATA_TYPE>float32</DATA_TYPE>"
        f"<PHYSICAL_UNIT>{escape(band.unit)}</PHYSICAL_UNIT><SCALING_FACTOR>1.0</SCALING_FACTOR>"
        "<SCALING_OFFSET>0.0</SCALING_OFFSET><LOG10_SCALED>false</LOG10_SCALED>"
        "<NO_DATA_VALUE_USED>true</NO_DATA_VALUE_USED><NO_DATA_VALUE>0.0</NO_DATA_VALUE></Spectral_Band_Info>"
    )


def _abstracted_metadata(stack: SimulatedScene, first: date) -> list[str]:
    parameters, over, grid = stack.parameters, ScenePass.over(stack), stack.pixels.grid
    values: dict[str, object] = {
        "PRODUCT": f"S1A_IW_SLC__1SDV_{first:%Y%m%d}T103252_{first:%Y%m%d}T103319_053324_067706_255E",
        "PRODUCT_TYPE": "SLC",
        "MISSION": "SENTINEL-1A",
        "ACQUISITION_MODE": "IW",
        "antenna_pointing": "right",
        "SWATH": "IW1",
        "incidence_near": parameters.incidence_near_deg,
        "incidence_far": parameters.incidence_far_deg,
        "first_line_time": snap_time(over.start(first)),
        "last_line_time": snap_time(over.stop(first)),
        "PASS": parameters.orbit_direction.upper(),
        "SAMPLE_TYPE": "COMPLEX",
        "mds1_tx_rx_polar": "VV",
        "azimuth_looks": float(parameters.azimuth_looks),
        "range_looks": float(parameters.range_looks),
        "range_spacing": over.range_pixel_size_m,
        "azimuth_spacing": over.azimuth_pixel_size_m,
        "radar_frequency": SPEED_OF_LIGHT_M_PER_S / parameters.wavelength_m / 1e6,
        "line_time_interval": over.line_interval_s,
        "num_output_lines": grid.rows,
        "num_samples_per_line": grid.cols,
        "avg_scene_height": stack.mean_height_m,
        "map_projection": "WGS84(DD)" if grid.is_geographic else f"UTM zone {utm_zone(grid)[0]}",
        "is_terrain_corrected": 1,
        "lat_pixel_res": -grid.transform.e,
        "lon_pixel_res": grid.transform.a,
        "slant_range_to_first_pixel": over.starting_range_m,
        "calibration_factor": 99999.0,
        "coregistered_stack": 1,
        "centre_lat": parameters.center_lat_deg,
        "centre_lon": parameters.center_lon_deg,
        "centre_heading": stack.heading_deg,
    }
    return [attribute(name, value, "ascii") for name, value in values.items()]


def orbit_state_vectors(over: ScenePass, day: date) -> list[str]:
    """Element of the abstracted metadata with the orbit of a day."""
    lines = ['<MDElem name="Orbit_State_Vectors">']
    for number, vector in enumerate(over.state_vectors(day, 3, 10.0), start=1):
        lines.append(f'<MDElem name="orbit_vector{number}">')
        lines.append(attribute("time", snap_time(vector.time), "utc"))
        named = zip(("x", "y", "z"), vector.position_m, vector.velocity_m_per_s, strict=True)
        for axis, position, velocity in named:
            lines.append(attribute(f"{axis}_pos", position, "float64"))
            lines.append(attribute(f"{axis}_vel", velocity, "float64"))
        lines.append("</MDElem>")
    return [*lines, "</MDElem>"]


def _baselines(stack: SimulatedScene, first: date, second: date) -> list[str]:
    """Every date against every date of the product, itself included, as SNAP states them."""
    days = (first, second)
    baseline = {day: float(stack.perpendicular_baselines_m[stack.dates.index(day)]) for day in days}
    incidence = stack.fields.incidence_deg.mean(dtype=np.float64)
    height_times_baseline = (
        stack.parameters.wavelength_m / 2 * float(slant_range_m(incidence)) * math.sin(math.radians(incidence))
    )
    lines = ['<MDElem name="Baselines">']
    for master in days:
        lines.append(f'<MDElem name="Master: {snap_date(master)}">')
        for slave in days:
            perpendicular = baseline[slave] - baseline[master]
            ambiguity = -height_times_baseline / perpendicular if perpendicular else math.inf
            # Master minus slave, and not quite whole days, because passes are some hundred milliseconds off.
            temporal = (master - slave).days * (1.0 + 3e-7)
            lines += [
                f'<MDElem name="Slave: {snap_date(slave)}">',
                attribute("Perp Baseline", perpendicular, "float64"),
                attribute("Temp Baseline", temporal, "float64"),
                attribute("Modelled Coherence", 1.0 if master == slave else 0.9, "float64"),
                attribute("Height of Ambiguity", "Infinity" if math.isinf(ambiguity) else ambiguity, "float64"),
                attribute("Doppler Difference", 0.0, "float64"),
                "</MDElem>",
            ]
        lines.append("</MDElem>")
    return [*lines, "</MDElem>"]


def attribute(name: str, value: object, kind: str) -> str:
    """Element of one value of the metadata."""
    return f'<MDATTR name="{escape(name)}" type="{kind}" mode="rw">{escape(str(value))}</MDATTR>'


def snap_time(moment: datetime) -> str:
    """A moment as SNAP writes it."""
    return f"{moment.day:02d}-{MONTHS[moment.month - 1].upper()}-{moment.year} {moment:%H:%M:%S.%f}"


def _wkt(grid: Grid) -> str:
    if grid.is_geographic:
        return GEOGRAPHIC_WKT
    import pyproj

    return str(pyproj.CRS.from_user_input(grid.crs).to_wkt("WKT1_GDAL"))


def utm_zone(grid: Grid) -> tuple[int, str]:
    """Zone and hemisphere of a grid in UTM."""
    code = int(str(grid.crs).removeprefix("EPSG:"))
    return code % 100, "North" if code < 32700 else "South"
