from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
import pytest
import rasterio
from defusedxml import ElementTree

from insar.constants import SPEED_OF_LIGHT_M_PER_S
from insar.simulate import SimulatedScene, SimulationParameters, simulate_scene, write_layout
from insar.simulate.layouts import Snap
from insar.simulate.layouts.dimap import snap_date


@pytest.fixture(scope="module")
def folder(full_scene: SimulatedScene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_layout(full_scene, tmp_path_factory.mktemp("snap") / "stack", "snap")


def header(path: Path) -> Element:
    root = ElementTree.parse(path).getroot()
    assert root is not None
    return root


def bands(path: Path) -> dict[str, np.ndarray]:
    """Rasters of a product by nothing but its header."""
    root = header(path)
    shape = int(str(root.findtext(".//NROWS"))), int(str(root.findtext(".//NCOLS")))
    files = {
        item.findtext("BAND_INDEX"): str(item.find("DATA_FILE_PATH").get("href"))  # type: ignore[union-attr]
        for item in root.iter("Data_File")
    }
    found = {}
    for item in root.iter("Spectral_Band_Info"):
        assert item.findtext("DATA_TYPE") == "float32"
        assert item.findtext("NO_DATA_VALUE_USED") == "true"
        assert float(str(item.findtext("NO_DATA_VALUE"))) == 0.0
        raster = (path.parent / files[item.findtext("BAND_INDEX")]).with_suffix(".img")
        assert raster.stat().st_size == 4 * shape[0] * shape[1]
        found[str(item.findtext("BAND_NAME"))] = np.fromfile(raster, ">f4").reshape(shape)
    return found


def metadata(path: Path) -> Element:
    found = header(path).find("Dataset_Sources/MDElem[@name='metadata']/MDElem[@name='Abstracted_Metadata']")
    assert found is not None
    return found


def attribute(element: Element, name: str) -> str:
    return str(element.findtext(f"MDATTR[@name='{name}']"))


def test_rasters(folder: Path, full_scene: SimulatedScene) -> None:
    stack = Snap().place(full_scene)
    for index, pair in enumerate(stack.pairs):
        made = stack.interferogram(index)
        dates = f"{snap_date(pair.reference)}_{snap_date(pair.secondary)}"
        place = folder / "interferograms" / pair.name
        phase = bands(place / f"{pair.name}_unw_tc.dim")
        coherence = bands(place / f"{pair.name}_coh_tc.dim")
        assert list(phase) == [f"Unw_Phase_ifg_{dates}_VV"]
        assert list(coherence) == [f"coh_IW1_VV_{dates}"]
        np.testing.assert_array_equal(phase.popitem()[1], np.nan_to_num(made.phase_rad))
        np.testing.assert_array_equal(coherence.popitem()[1], np.nan_to_num(made.coherence))
    geometry = bands(folder / "dem_tc.dim")
    np.testing.assert_array_equal(geometry["elevation"], stack.stack_height_m)
    np.testing.assert_array_equal(geometry["incidenceAngleFromEllipsoid"], stack.fields.incidence_deg)


def test_common_product_holds_both(full_scene: SimulatedScene, tmp_path: Path) -> None:
    folder = write_layout(full_scene, tmp_path / "common", "snap-common")
    pair = full_scene.pairs[3]
    found = bands(folder / "interferograms" / pair.name / f"{pair.name}_ifg_tc.dim")
    made = Snap().place(full_scene).interferogram(3)
    dates = f"{snap_date(pair.reference)}_{snap_date(pair.secondary)}"
    np.testing.assert_array_equal(found[f"Unw_Phase_ifg_{dates}_VV"], np.nan_to_num(made.phase_rad))
    np.testing.assert_array_equal(found[f"coh_IW1_VV_{dates}"], np.nan_to_num(made.coherence))


@pytest.mark.parametrize("projection", ["geographic", "utm"])
def test_both_headers_give_one_place(small: SimulationParameters, projection: str, tmp_path: Path) -> None:
    """The DIMAP header states the corner, the ENVI header the middle; GDAL's reading of the latter agrees."""
    scene = simulate_scene(replace(small, map_projection=projection, rows=51, cols=57))
    folder = write_layout(scene, tmp_path / "stack", "snap")
    grid = Snap().place(scene).pixels.grid
    if projection == "utm":
        assert grid == scene.pixels.grid
    text = str(header(folder / "dem_tc.dim").findtext("Geoposition/IMAGE_TO_MODEL_TRANSFORM"))
    a, d, b, e, c, f = (float(part) for part in text.split(","))
    assert (a, b, c, d, e, f) == pytest.approx(tuple(grid.transform)[:6])
    info = (folder / "dem_tc.data" / "elevation.hdr").read_text().split("map info = {")[1].split(",")
    anchor = [float(part) for part in info[1:3]]
    assert anchor == [np.floor(grid.cols / 2 + 0.5) + 1, np.floor(grid.rows / 2 + 0.5) + 1]
    wkt = str(header(folder / "dem_tc.dim").findtext("Coordinate_Reference_System/WKT"))
    crs = rasterio.CRS.from_wkt(wkt)
    assert crs.is_geographic == (projection == "geographic")
    with rasterio.open(folder / "dem_tc.data" / "elevation.img", driver="ENVI") as source:
        assert tuple(source.transform)[:6] == pytest.approx((a, b, c, d, e, f), abs=1e-9 * abs(c))
        assert source.dtypes == ("float32",)
        if projection == "utm":
            assert source.crs.to_epsg() == crs.to_epsg() == 32648
        np.testing.assert_array_equal(source.read(1), Snap().place(scene).stack_height_m)


def test_north_is_up(folder: Path, full_scene: SimulatedScene) -> None:
    stack = Snap().place(full_scene)
    _, lat = stack.pixels.lonlat()
    assert (np.diff(lat, axis=0) < 0).all()
    assert stack.pixels.grid.transform.e < 0


def test_baselines_in_both_directions_and_with_themselves(folder: Path, full_scene: SimulatedScene) -> None:
    dates = list(full_scene.dates)
    for pair in full_scene.pairs:
        expected = (
            full_scene.perpendicular_baselines_m[dates.index(pair.secondary)]
            - full_scene.perpendicular_baselines_m[dates.index(pair.reference)]
        )
        path = folder / "interferograms" / pair.name / f"{pair.name}_unw_tc.dim"
        section = metadata(path).find("MDElem[@name='Baselines']")
        assert section is not None
        stated = {}
        for master in section:
            for slave in master:
                key = str(master.get("name")).split()[-1], str(slave.get("name")).split()[-1]
                stated[key] = slave
        first, second = snap_date(pair.reference), snap_date(pair.secondary)
        assert len(stated) == 4
        assert float(attribute(stated[first, second], "Perp Baseline")) == pytest.approx(expected)
        assert float(attribute(stated[second, first], "Perp Baseline")) == pytest.approx(-expected)
        days = float(attribute(stated[first, second], "Temp Baseline"))
        assert days == pytest.approx(-pair.temporal_baseline_days, abs=1e-3)  # master minus slave
        assert days != -pair.temporal_baseline_days
        for day in (first, second):
            assert float(attribute(stated[day, day], "Perp Baseline")) == 0.0
            assert attribute(stated[day, day], "Height of Ambiguity") == "Infinity"


def test_height_of_ambiguity_is_one_cycle_of_dem_error(folder: Path, full_scene: SimulatedScene) -> None:
    """A height in the stack that is too low by it adds one cycle: the sign is opposite to the DEM error's."""
    pair = full_scene.pairs[0]
    path = folder / "interferograms" / pair.name / f"{pair.name}_unw_tc.dim"
    slave = metadata(path).find(
        f"MDElem[@name='Baselines']/MDElem[@name='Master: {snap_date(pair.reference)}']"
        f"/MDElem[@name='Slave: {snap_date(pair.secondary)}']"
    )
    assert slave is not None
    ambiguity = float(attribute(slave, "Height of Ambiguity"))
    only_error = simulate_scene(
        full_scene.parameters.without_disturbances(
            dem_error_rms_m=10.0, creeping_slopes=0, accelerating_slopes=0, seasonal_amplitude_m=0.0
        )
    )
    cycles_per_metre = np.polyfit(
        only_error.fields.dem_error_m.ravel(), only_error.interferogram(0).phase_rad.ravel() / (2 * np.pi), 1
    )[0]
    assert cycles_per_metre * -ambiguity == pytest.approx(1.0, rel=0.01)


def test_metadata(folder: Path, full_scene: SimulatedScene) -> None:
    parameters = full_scene.parameters
    pair = full_scene.pairs[-1]
    found = metadata(folder / "interferograms" / pair.name / f"{pair.name}_coh_tc.dim")
    frequency_hz = 1e6 * float(attribute(found, "radar_frequency"))
    assert SPEED_OF_LIGHT_M_PER_S / frequency_hz == pytest.approx(parameters.wavelength_m, rel=1e-12)
    assert attribute(found, "PASS") == "ASCENDING"
    assert attribute(found, "antenna_pointing") == "right"
    assert float(attribute(found, "centre_heading")) == 348.0
    assert (float(attribute(found, "range_looks")), float(attribute(found, "azimuth_looks"))) == (20.0, 5.0)
    assert float(attribute(found, "incidence_near")) < float(attribute(found, "incidence_far"))
    start = f"{pair.reference.day:02d}-{pair.reference:%b}-{pair.reference.year}".upper()
    assert attribute(found, "first_line_time").startswith(start)


@pytest.mark.parametrize(
    ("day", "text"),
    [(date(2024, 4, 7), "07Apr2024"), (date(2019, 12, 31), "31Dec2019"), (date(2018, 1, 6), "06Jan2018")],
)
def test_dates_are_english(day: date, text: str) -> None:
    assert snap_date(day) == text


def test_headers_match_the_real_ones(folder: Path, shared_data: Path) -> None:
    """Every key of a real ENVI header is there, with the same constants."""

    def read(path: Path) -> dict[str, str]:
        lines = path.read_text().splitlines()
        assert lines[0] == "ENVI"
        return {key.strip(): text.strip() for key, text in (line.split("=", 1) for line in lines[1:] if "=" in line)}

    real = read(shared_data / "format_samples" / "snap" / "Unw_Phase_ifg_17Mar2017_10Apr2017_VV.hdr")
    ours = read(next(folder.rglob("Unw_Phase_ifg_*.hdr")))
    assert set(ours) == set(real)
    for key in ("bands", "header offset", "data type", "interleave", "byte order", "coordinate system string"):
        assert ours[key] == real[key]
    assert ours["map info"].split(",")[0] == real["map info"].split(",")[0]
    sizes = {key: int(real[key]) for key in ("samples", "lines")}
    anchor = real["map info"].strip("{}").split(",")[1:3]
    assert [float(part) for part in anchor] == [
        np.floor(sizes["samples"] / 2 + 0.5) + 1,
        np.floor(sizes["lines"] / 2 + 0.5) + 1,
    ]
