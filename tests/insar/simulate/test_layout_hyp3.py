from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

import insar
from insar.errors import OptionError
from insar.simulate import SimulatedScene, SimulationParameters, simulate_scene, write_layout
from insar.simulate.layouts.hyp3 import product_name


@pytest.fixture(scope="module")
def folder(full_scene: SimulatedScene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_layout(full_scene, tmp_path_factory.mktemp("hyp3") / "stack", "hyp3")


def product(folder: Path, scene: SimulatedScene, index: int) -> tuple[Path, str]:
    stem = product_name(scene.pairs[index], scene.parameters.pixel_size_m)
    return folder / stem, stem


def test_rasters(folder: Path, full_scene: SimulatedScene) -> None:
    """Read with nothing but rasterio: values, and no data beyond the scene."""
    grid = full_scene.pixels.grid
    extents = set()
    for index in range(len(full_scene.pairs)):
        made = full_scene.interferogram(index)
        place, stem = product(folder, full_scene, index)
        for layer, values in (
            ("unw_phase", made.phase_rad),
            ("corr", made.coherence),
            ("conncomp", made.components),
            ("dem", full_scene.stack_height_m),
        ):
            with rasterio.open(place / f"{stem}_{layer}.tif") as source:
                assert source.nodata == 0.0
                assert source.crs.to_string() == grid.crs
                assert source.transform.a == -source.transform.e == full_scene.parameters.pixel_size_m
                row = round((source.transform.f - grid.transform.f) / 80.0)
                col = round((grid.transform.c - source.transform.c) / 80.0)
                extents.add((row, col, *source.shape))
                stored = source.read(1)
                inside = stored[row : row + grid.rows, col : col + grid.cols]
                np.testing.assert_array_equal(inside, np.nan_to_num(values))
                assert np.count_nonzero(stored) == np.count_nonzero(inside)
    assert len(extents) == 4


def test_look_vector(folder: Path, full_scene: SimulatedScene) -> None:
    place, stem = product(folder, full_scene, 1)  # without a margin at the left
    shape = full_scene.shape
    with rasterio.open(place / f"{stem}_lv_theta.tif") as theta, rasterio.open(place / f"{stem}_lv_phi.tif") as phi:
        elevation, orientation = (source.read(1)[1 : 1 + shape[0], : shape[1]] for source in (theta, phi))
    np.testing.assert_allclose(90.0 - np.degrees(elevation), full_scene.fields.incidence_deg, atol=1e-5)
    # heading 348 and looking to the right: the satellite stands at 258, west-southwest
    east, north = np.cos(orientation), np.sin(orientation)
    np.testing.assert_allclose(east, np.sin(np.radians(258.0)), atol=1e-6)
    np.testing.assert_allclose(north, np.cos(np.radians(258.0)), atol=1e-6)


def test_description_has_the_keys_of_the_real_one(folder: Path, full_scene: SimulatedScene, shared_data: Path) -> None:
    real = shared_data / "format_samples/hyp3/S1AC_20251001T204513_20251007T204359_HHR006_INT40_G_ueF_1DBE.txt"
    place, stem = product(folder, full_scene, 2)

    def entries(path: Path) -> dict[str, str]:
        return dict(line.split(": ", 1) for line in path.read_text().splitlines())

    ours = entries(place / f"{stem}.txt")
    assert set(ours) <= set(entries(real))
    assert float(ours["Baseline"]) == pytest.approx(full_scene.pair_baseline_m(2), abs=1e-4)
    assert float(ours["Heading"]) == -12.0


def test_reader_gives_back_the_scene(folder: Path, full_scene: SimulatedScene) -> None:
    stack = insar.open_stack(folder)
    assert stack.processor == "hyp3"
    assert stack.grid == full_scene.pixels.grid
    assert stack.pairs == full_scene.pairs
    for index in range(len(full_scene.pairs)):
        made = full_scene.interferogram(index)
        np.testing.assert_array_equal(stack.unwrapped_phase[index], made.phase_rad)
        np.testing.assert_array_equal(stack.coherence[index], made.coherence)
        np.testing.assert_array_equal(np.nan_to_num(stack.connected_components[index]), made.components)
    np.testing.assert_allclose(
        stack.perpendicular_baselines_m,
        [full_scene.pair_baseline_m(index) for index in range(len(stack.pairs))],
        atol=1e-4,
    )
    geometry, fields = stack.geometry, full_scene.fields
    np.testing.assert_allclose(np.asarray(geometry.incidence_angle), fields.incidence_deg, atol=2e-5)
    np.testing.assert_allclose(np.asarray(geometry.azimuth_angle), -258.0 + 360.0, atol=1e-4)
    np.testing.assert_array_equal(np.asarray(geometry.height), full_scene.stack_height_m)
    found = stack.acquisition
    assert (found.orbit_direction, found.heading_deg, found.looks) == ("ascending", -12.0, 100)
    assert any("cropped to the 52 rows x 56 columns" in note for note in stack.notes)


def test_descending(small: SimulationParameters, tmp_path: Path) -> None:
    scene = simulate_scene(replace(small.without_disturbances(), heading_deg=192.0))
    stack = insar.open_stack(write_layout(scene, tmp_path / "stack", "hyp3"))
    assert stack.acquisition.orbit_direction == "descending"
    assert stack.acquisition.heading_deg == -168.0
    # the satellite stands at 102 clockwise, east-southeast
    np.testing.assert_allclose(np.asarray(stack.geometry.azimuth_angle), -102.0, atol=1e-4)


def test_displacement(clean_scene: SimulatedScene, tmp_path: Path) -> None:
    folder = write_layout(clean_scene, tmp_path / "stack", "hyp3")
    truth = np.load(folder / "truth" / "stack.npz")["displacement"]
    series = insar.invert(insar.open_stack(folder))
    expected = truth - truth[:, *series.reference][:, None, None]
    known = np.isfinite(series.displacement_m)
    assert known.all(axis=0).mean() > 0.9
    assert np.abs(expected).max() > 0.005
    np.testing.assert_allclose(series.displacement_m[known], expected[known], atol=2e-6)


@pytest.mark.parametrize("layout", ["hyp3", "licsar"])
def test_other_wavelengths_cannot_be_told(small: SimulationParameters, layout: str, tmp_path: Path) -> None:
    scene = simulate_scene(replace(small, wavelength_m=0.24))
    with pytest.raises(OptionError, match=r"wavelength_m: required 0\.0554657646 with the layout"):
        write_layout(scene, tmp_path / "stack", layout)
    assert list(tmp_path.iterdir()) == []
