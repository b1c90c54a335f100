from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
import pytest
from defusedxml import ElementTree

from insar.simulate import SimulatedScene, SimulationParameters, simulate_scene, write_layout
from insar.simulate.layouts import IsceStripmap, IsceTops


def properties(path: Path) -> dict[str, str]:
    root = ElementTree.parse(path).getroot()
    assert root is not None
    return {str(item.get("name")): str(item.findtext("value")) for item in root.iter("property")}


def read(path: Path) -> np.ndarray:
    """Raster by nothing but its header: (band, row, col)."""
    header = properties(path.with_name(path.name + ".xml"))
    dtype = {"FLOAT": "<f4", "DOUBLE": "<f8", "BYTE": "u1"}[header["data_type"]]
    assert header["byte_order"] == "l"
    assert header["scheme"] == "BIL"
    shape = int(header["length"]), int(header["number_bands"]), int(header["width"])
    assert path.stat().st_size == np.prod(shape) * np.dtype(dtype).itemsize
    return np.fromfile(path, dtype).reshape(shape).transpose(1, 0, 2)


@pytest.fixture(scope="module")
def tops(full_scene: SimulatedScene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_layout(full_scene, tmp_path_factory.mktemp("isce") / "tops", "isce-tops")


@pytest.fixture(scope="module")
def stripmap(full_scene: SimulatedScene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_layout(full_scene, tmp_path_factory.mktemp("isce") / "stripmap", "isce-stripmap")


def test_tops_pairs(tops: Path, full_scene: SimulatedScene) -> None:
    stack = IsceTops().place(full_scene)
    folder = tops / "merged" / "interferograms"
    assert sorted(path.name for path in folder.iterdir()) == [pair.name for pair in stack.pairs]
    for index, pair in enumerate(stack.pairs):
        made = stack.interferogram(index)
        amplitude, phase = read(folder / pair.name / "filt_fine.unw")
        assert ((phase == 0.0) == np.isnan(made.phase_rad)).all()
        np.testing.assert_array_equal(phase[phase != 0.0], made.phase_rad[phase != 0.0])
        assert (amplitude[phase != 0.0] > 0.0).all()
        (coherence,) = read(folder / pair.name / "filt_fine.cor")
        np.testing.assert_array_equal(coherence, np.nan_to_num(made.coherence))
        (components,) = read(folder / pair.name / "filt_fine.unw.conncomp")
        np.testing.assert_array_equal(components, made.components)


def test_stripmap_pairs(stripmap: Path, full_scene: SimulatedScene) -> None:
    stack = IsceStripmap().place(full_scene)
    for index, pair in enumerate(stack.pairs):
        made = stack.interferogram(index)
        folder = stripmap / "Igrams" / pair.name
        _, phase = read(folder / f"filt_{pair.name}_snaphu.unw")
        np.testing.assert_array_equal(phase, np.nan_to_num(made.phase_rad))
        (coherence,) = read(folder / f"filt_{pair.name}.cor")
        np.testing.assert_array_equal(coherence, np.nan_to_num(made.coherence))
        (components,) = read(folder / f"filt_{pair.name}_snaphu.unw.conncomp")
        np.testing.assert_array_equal(components, made.components)


@pytest.mark.parametrize("layout", ["tops", "stripmap"])
def test_geometry(layout: str, full_scene: SimulatedScene, request: pytest.FixtureRequest) -> None:
    stack = IsceTops().place(full_scene)
    folder = request.getfixturevalue(layout) / ("merged/geom_reference" if layout == "tops" else "geom_reference")
    lon, lat = stack.pixels.lonlat()
    np.testing.assert_array_equal(read(folder / "lat.rdr")[0], lat)
    np.testing.assert_array_equal(read(folder / "lon.rdr")[0], lon)
    assert (np.diff(read(folder / "lat.rdr")[0], axis=0) > 0).all()  # ascending: from south to north
    height = read(folder / "hgt.rdr")[0]
    np.testing.assert_allclose(height, stack.fields.height_m + stack.fields.dem_error_m, atol=1e-3)
    incidence, azimuth = read(folder / "los.rdr")
    np.testing.assert_array_equal(incidence, stack.fields.incidence_deg)
    # Anticlockwise from north: 258 degrees clockwise, in the west, as in real ascending products.
    np.testing.assert_allclose(azimuth, -258.0)
    np.testing.assert_array_equal(read(folder / "shadowMask.rdr")[0], stack.fields.visibility)


def test_tops_baselines_are_against_the_first_date(tops: Path, full_scene: SimulatedScene) -> None:
    first, *others = full_scene.dates
    for day, expected in zip(others, full_scene.perpendicular_baselines_m[1:], strict=True):
        name = f"{first:%Y%m%d}_{day:%Y%m%d}"
        lines = (tops / "baselines" / name / f"{name}.txt").read_text().splitlines()
        assert lines[0] == "swath: IW1"
        label, value = lines[1].split(":")
        assert label == "Bperp (average)"
        assert float(value) == -expected  # topsStack's sign


def test_stripmap_baselines_are_the_mean_of_both_ends(stripmap: Path, full_scene: SimulatedScene) -> None:
    first, *others = full_scene.dates
    assert len(list((stripmap / "baselines").iterdir())) == len(others)
    for day, expected in zip(others, full_scene.perpendicular_baselines_m[1:], strict=True):
        lines = (stripmap / "baselines" / f"{first:%Y%m%d}_{day:%Y%m%d}.txt").read_text().splitlines()
        values = dict(line.split() for line in lines)
        ends = float(values["PERP_BASELINE_BOTTOM"]), float(values["PERP_BASELINE_TOP"])
        assert ends[0] != ends[1]
        assert np.mean(ends) == pytest.approx(expected, abs=1e-6)


def child(element: Element, name: str) -> Element:
    found = element.find(f"component[@name='{name}']")
    assert found is not None
    return found


def value(element: Element, name: str) -> str:
    return str(element.findtext(f"property[@name='{name}']/value"))


def test_swath_headers(tops: Path, full_scene: SimulatedScene) -> None:
    parameters = full_scene.parameters
    days = [f"{day:%Y%m%d}" for day in full_scene.dates]
    assert sorted(path.name for path in (tops / "secondarys").iterdir()) == days[1:]
    places = [tops / "reference", *(tops / "secondarys" / day for day in days[1:])]
    for place, day in zip(places, full_scene.dates, strict=True):
        root = ElementTree.parse(place / "IW1.xml").getroot()
        assert root is not None
        assert root.tag == "productmanager_name"
        burst = child(child(child(root, "instance"), "bursts"), "burst1")
        assert float(value(burst, "radarwavelength")) == parameters.wavelength_m
        assert value(burst, "passdirection") == "ASCENDING"
        assert value(burst, "sensingstart").startswith(f"{day:%Y-%m-%d} ")
        assert float(value(burst, "startingrange")) == pytest.approx(862_000, abs=5_000)
        ground = float(value(burst, "rangepixelsize")) * parameters.range_looks
        ground /= np.sin(np.radians(full_scene.fields.incidence_deg.mean()))
        assert ground == pytest.approx(parameters.pixel_size_m, rel=1e-3)
        vectors = child(child(burst, "orbit"), "state_vectors").findall("component")
        assert len(vectors) == 5
        for vector in vectors:
            position = np.array([float(part) for part in value(vector, "position").strip("[]").split(",")])
            velocity = np.array([float(part) for part in value(vector, "velocity").strip("[]").split(",")])
            assert np.linalg.norm(position) == pytest.approx(7.066e6, rel=1e-3)
            assert np.linalg.norm(velocity) == pytest.approx(7_510, rel=1e-3)
            assert position @ velocity == pytest.approx(0.0, abs=1e6)
            assert velocity[2] > 0.0  # northward


def test_looks_are_told_by_the_full_size(tops: Path, stripmap: Path, full_scene: SimulatedScene) -> None:
    folder = tops / "merged" / "geom_reference"
    full, own = properties(folder / "hgt.rdr.full.xml"), properties(folder / "hgt.rdr.xml")
    assert int(full["width"]) == int(own["width"]) * full_scene.parameters.range_looks
    assert int(full["length"]) == int(own["length"]) * full_scene.parameters.azimuth_looks
    assert not (folder / "hgt.rdr.full").exists()
    values = dict(line.split() for line in (stripmap / "data.rsc").read_text().splitlines())
    assert (int(values["RLOOKS"]), int(values["ALOOKS"])) == (20, 5)
    assert float(values["WAVELENGTH"]) == full_scene.parameters.wavelength_m
    assert values["ORBIT_DIRECTION"] == "ascending"
    assert float(values["HEADING"]) == -12.0


def test_paths_in_headers_are_stale(tops: Path) -> None:
    header = properties(next(tops.rglob("filt_fine.unw.xml")))
    assert not Path(header["file_name"]).exists()


def test_motion_alone_is_in_the_files(clean_scene: SimulatedScene, tmp_path: Path) -> None:
    """From files to rates with nothing but NumPy, in radar coordinates."""
    folder = write_layout(clean_scene, tmp_path / "clean", "isce-tops")
    with np.load(folder / "truth" / "stack.npz", allow_pickle=False) as truth:
        displacement, kind = truth["displacement"].astype(np.float64), truth["class"]
    dates = list(clean_scene.dates)
    factor = -clean_scene.parameters.wavelength_m / (4 * np.pi)
    for pair in clean_scene.pairs:
        _, phase = read(folder / "merged" / "interferograms" / pair.name / "filt_fine.unw")
        moved = displacement[dates.index(pair.secondary)] - displacement[dates.index(pair.reference)]
        np.testing.assert_allclose(factor * phase, moved, atol=2e-8)
        # Stable ground has no phase at all, which must not look like missing data.
        assert (phase != 0.0).all()
        assert (phase[kind == 1] != 0.0).all()


def test_regular_look_up_table_is_regular_in_files(small: SimulationParameters, tmp_path: Path) -> None:
    scene = simulate_scene(replace(small, regular_lookup=True))
    folder = write_layout(scene, tmp_path / "regular", "isce-stripmap") / "geom_reference"
    lon, lat = read(folder / "lon.rdr")[0], read(folder / "lat.rdr")[0]
    assert np.ptp(lon, axis=0).max() < 1e-9
    assert np.ptp(lat, axis=1).max() < 1e-9
    assert np.ptp(np.diff(lon[0])) < 1e-9
    assert np.ptp(np.diff(lat[:, 0])) < 1e-9
