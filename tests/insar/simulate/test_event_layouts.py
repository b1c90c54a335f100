from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pyproj
import pytest
import rasterio
from defusedxml import ElementTree

from insar.errors import OptionError
from insar.layers import read_layer
from insar.readers.dimap import read_dimap
from insar.readers.isce_metadata import read_sensor
from insar.simulate import EVENT_LAYOUTS, EventParameters, simulate_event
from insar.simulate.event_scene import LANDSLIDE, EventScene
from insar.simulate.event_speckle import draw_backscatter, draw_images
from insar.simulate.view import slant_range_m

ROWS, COLS = 100, 150


@pytest.fixture(scope="module")
def parameters() -> EventParameters:
    """More than a strip of rows, and pixels without data."""
    return EventParameters(
        seed=2,
        rows=ROWS,
        cols=COLS,
        range_pixel_m=8.0,
        acquisitions_before=2,
        acquisitions_after=2,
        landslides=4,
        landslide_length_max_m=300.0,
        empty_margin=2,
        baseline_rms_m=40.0,
    )


@pytest.fixture(scope="module")
def written(parameters: EventParameters, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folder of each layout."""
    folder = tmp_path_factory.mktemp("events")
    return {name: simulate_event(parameters, folder / name, name) for name in EVENT_LAYOUTS}


def images_of(scene: EventScene) -> np.ndarray:
    """All dates: (date, row, col)."""
    parts = [np.stack(list(draw_images(scene, strip))) for strip in range(len(scene.strips))]
    return np.concatenate(parts, axis=1)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")  # radar coordinates
@pytest.mark.parametrize(
    ("layout", "image", "geometry", "suffix"),
    [
        ("isce-slc", "merged/SLC/{0}/{0}.slc.full", "merged/geom_reference", ".rdr.full"),
        ("isce-stripmap-slc", "merged/SLC/{0}/{0}.slc", "geom_reference", ".rdr"),
    ],
)
def test_isce_images_and_geometry(
    written: dict[str, Path], parameters: EventParameters, layout: str, image: str, geometry: str, suffix: str
) -> None:
    folder = written[layout]
    scene = EVENT_LAYOUTS[layout].make(parameters)
    for day, expected in zip(parameters.dates, images_of(scene), strict=True):
        path = folder / image.format(f"{day:%Y%m%d}")
        np.testing.assert_array_equal(np.fromfile(path, "<c8").reshape(ROWS, COLS), expected)
        header = properties(path.with_name(f"{path.name}.xml"))
        assert (header["data_type"], header["number_bands"]) == ("CFLOAT", "1")
        assert (header["length"], header["width"]) == (str(ROWS), str(COLS))
        with rasterio.open(path.with_name(f"{path.name}.vrt")) as virtual:
            np.testing.assert_array_equal(virtual.read(1), expected)
    lon, lat = scene.frame.lonlat(slice(0, ROWS), slice(0, COLS))
    fields = scene.fields(slice(0, ROWS))
    for name, values in (("lon", lon), ("lat", lat), ("hgt", fields.height_m)):
        np.testing.assert_array_equal(
            np.fromfile(folder / geometry / f"{name}{suffix}", "<f8").reshape(ROWS, COLS), values
        )
    los = np.fromfile(folder / geometry / f"los{suffix}", "<f4").reshape(ROWS, 2, COLS)
    np.testing.assert_array_equal(los[:, 0], fields.incidence_deg)
    # Anticlockwise from north to the satellite, which is to the west of an ascending pass.
    np.testing.assert_allclose(los[:, 1] % 360.0, 360.0 - (348.0 - 90.0))


def properties(path: Path) -> dict[str, str]:
    root = ElementTree.parse(path).getroot()
    assert root is not None
    return {str(item.get("name")): str(item.findtext("value")) for item in root.iter("property")}


def test_isce_sensor(written: dict[str, Path], parameters: EventParameters) -> None:
    for layout in ("isce-slc", "isce-stripmap-slc"):
        wavelength, acquisition = read_sensor([written[layout]], (1, 1))
        assert wavelength == parameters.wavelength_m
        assert acquisition.orbit_direction == "ascending"
        assert acquisition.range_pixel_size_m == pytest.approx(parameters.range_pixel_m)
        assert acquisition.azimuth_pixel_size_m == pytest.approx(parameters.azimuth_pixel_m, rel=2e-3)
        assert acquisition.starting_range_m == pytest.approx(slant_range_m(parameters.incidence_near_deg))
        assert acquisition.heading_deg == pytest.approx(-12.0, abs=0.01)


def test_isce_headers_state_the_polarisation(tmp_path: Path, parameters: EventParameters) -> None:
    folder = simulate_event(replace(parameters, polarisation="VH", landslides=0), tmp_path / "crossed", "isce-slc")
    text = (folder / "reference" / "IW1.xml").read_text("utf-8")
    assert '<property name="polarization"><value>VH</value></property>' in text


@pytest.mark.parametrize("layout", ["snap-slc", "snap-slc-dates"])
def test_snap_images(written: dict[str, Path], parameters: EventParameters, layout: str) -> None:
    scene = EVENT_LAYOUTS[layout].make(parameters)
    expected = images_of(scene)
    products = sorted(written[layout].glob("*.dim"))
    assert len(products) == (1 if layout == "snap-slc" else 4)
    names = {"snap-slc": ("mst_14Jun2018", "slv1_26Jun2018", "slv2_08Jul2018", "slv3_20Jul2018")}.get(
        layout, ("14Jun2018", "26Jun2018", "08Jul2018", "20Jul2018")
    )
    for index, name in enumerate(names):
        path = products[index if len(products) > 1 else 0]
        product = read_dimap(path)
        assert product.grid() == scene.frame.grid
        assert product.bands[f"i_IW1_VV_{name}"].unit == "real"
        parts = [
            np.fromfile(path.with_suffix(".data") / f"{part}_IW1_VV_{name}.img", ">f4").reshape(ROWS, COLS)
            for part in "iq"
        ]
        np.testing.assert_array_equal(parts[0], expected[index].real)
        np.testing.assert_array_equal(parts[1], expected[index].imag)
    assert "elevation" in read_dimap(products[0]).bands


def test_hyp3_backscatter(written: dict[str, Path], parameters: EventParameters) -> None:
    scene = EVENT_LAYOUTS["hyp3-rtc"].make(parameters)
    folder = written["hyp3-rtc"] / "backscatter"
    ascending, descending = (sorted((folder / way).iterdir()) for way in ("ascending", "descending"))
    assert [path.name[7:15] for path in ascending] == [f"{day:%Y%m%d}" for day in parameters.dates]
    days = [date.fromisoformat(path.name[7:15]) for path in descending]
    assert days[1] < parameters.event_date < days[2]
    (path,) = ascending[1].glob("*_VH.tif")
    with rasterio.open(path) as source:
        assert source.transform == scene.frame.grid.transform
        power = source.read(1)
    drawn = np.concatenate([draw_backscatter(scene, strip, 1, "VH") for strip in range(2)])
    np.testing.assert_array_equal(power, np.nan_to_num(drawn, nan=0.0))
    assert (power[:2] == 0.0).all()
    assert (power[2:-2, 2:-2] > 0.0).all()
    kinds = {path.name[len(ascending[1].name) :] for path in ascending[1].iterdir()}
    assert kinds == {"_VV.tif", "_VH.tif", "_dem.tif", "_inc_map.tif", "_ls_map.tif", ".README.md.txt"}
    local = {}
    for way, products in (("ascending", ascending), ("descending", descending)):
        (path,) = products[0].glob("*_inc_map.tif")
        with rasterio.open(path) as source:
            local[way] = np.degrees(source.read(1))
        assert np.median(local[way]) == pytest.approx(36.5, abs=2.0)
    # Slopes that face one pass turn away from the other.
    assert np.corrcoef(local["ascending"].ravel(), local["descending"].ravel())[0, 1] < -0.5


def test_snap_backscatter(written: dict[str, Path], parameters: EventParameters) -> None:
    scene = EVENT_LAYOUTS["snap-backscatter"].make(parameters)
    folder = written["snap-backscatter"] / "backscatter"
    for way in ("ascending", "descending"):
        products = sorted((folder / way).glob("*.dim"))
        assert len(products) == 4
        product = read_dimap(products[0])
        assert product.text("pass") == way.upper()
        assert {"Sigma0_VV", "Sigma0_VH", "elevation", "localIncidenceAngle"} <= set(product.bands)
    path = folder / "ascending" / "S1A_IW_GRDH_20180614_Cal_TC.data" / "Sigma0_VV.img"
    drawn = np.concatenate([draw_backscatter(scene, strip, 0, "VV") for strip in range(2)])
    np.testing.assert_array_equal(np.fromfile(path, ">f4").reshape(ROWS, COLS), np.nan_to_num(drawn, nan=0.0))


def test_truth_on_the_images_and_on_the_map(written: dict[str, Path], parameters: EventParameters) -> None:
    folder = written["isce-slc"] / "truth"
    scene = EVENT_LAYOUTS["isce-slc"].make(parameters)
    fields = scene.fields(slice(0, ROWS))
    np.testing.assert_array_equal(np.load(folder / "landslides.npy") == LANDSLIDE, fields.is_landslide)
    np.testing.assert_array_equal(np.load(folder / "land_cover.npy"), fields.cover)
    for name, first in (("coherence_pre", 0), ("coherence_co", 1), ("coherence_post", 2)):
        np.testing.assert_array_equal(np.load(folder / f"{name}.npy"), scene.coherence(fields, first, first + 1))
    on_map, grid, _ = read_layer(folder / "landslides.tif")
    # What the two say of one place agrees, but at outlines.
    lon, lat = scene.frame.lonlat(slice(0, ROWS), slice(0, COLS))
    to_map = pyproj.Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True)
    row, col = grid.pixel_coordinates(*to_map.transform(lon, lat))
    mapped = on_map[row.astype(int), col.astype(int)] == LANDSLIDE
    assert fields.is_landslide.mean() > 0.01
    assert (mapped & fields.is_landslide).sum() > 0.75 * (mapped | fields.is_landslide).sum()
    truth = json.loads((folder / "truth.json").read_text("utf-8"))
    assert truth["event_date"] == parameters.event_date.isoformat()
    assert truth["pairs"] == {"pre": "20180614_20180626", "co": "20180626_20180708", "post": "20180708_20180720"}
    assert len(truth["landslides"]) == 4
    assert not list(folder.glob(".*"))


def test_truth_without_a_post_pair(tmp_path: Path, parameters: EventParameters) -> None:
    folder = simulate_event(replace(parameters, acquisitions_after=1), tmp_path / "short", "snap-slc")
    names = {path.name for path in (folder / "truth").iterdir()}
    assert "coherence_co.tif" in names
    assert "coherence_post.tif" not in names
    assert not any(name.endswith(".npy") for name in names)
    assert json.loads((folder / "truth" / "truth.json").read_text("utf-8"))["pairs"]["post"] is None


def test_wrong_layout_and_full_folder_are_refused(tmp_path: Path, parameters: EventParameters) -> None:
    with pytest.raises(OptionError, match="--layout: required one of isce-slc"):
        simulate_event(parameters, tmp_path / "new", "roipac")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(OptionError, match="a folder that holds file"):
        simulate_event(parameters, tmp_path / "full", "isce-slc")


def test_what_is_not_finished_is_not_left_behind(tmp_path: Path, parameters: EventParameters) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate_event(parameters, tmp_path / "event", "isce-slc", interrupt)
    assert not list(tmp_path.iterdir())
