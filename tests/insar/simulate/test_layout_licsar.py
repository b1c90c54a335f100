from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

import insar
from insar.simulate import SimulatedScene, SimulationParameters, simulate_scene, write_layout
from insar.simulate.layouts import Licsar
from insar.simulate.layouts.licsar import coherence_as_bytes, frame_name


@pytest.fixture(scope="module")
def placed(full_scene: SimulatedScene) -> SimulatedScene:
    return Licsar().place(full_scene)


@pytest.fixture(scope="module")
def folder(full_scene: SimulatedScene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_layout(full_scene, tmp_path_factory.mktemp("licsar") / "stack", "licsar")


def test_rasters(folder: Path, placed: SimulatedScene) -> None:
    """Read with nothing but rasterio."""
    for index, pair in enumerate(placed.pairs):
        made = placed.interferogram(index)
        place = folder / "interferograms" / pair.name
        with (
            rasterio.open(place / f"{pair.name}.geo.unw.tif") as phase,
            rasterio.open(place / f"{pair.name}.geo.cc.tif") as coherence,
        ):
            assert phase.nodata is coherence.nodata is None
            assert (phase.dtypes[0], coherence.dtypes[0]) == ("float32", "uint8")
            assert phase.crs.to_epsg() == 4326
            assert phase.transform.almost_equals(placed.pixels.grid.transform, 1e-12)
            np.testing.assert_array_equal(phase.read(1), np.nan_to_num(made.phase_rad))
            stored = coherence.read(1)
        known = np.isfinite(made.coherence)
        np.testing.assert_array_equal(stored == 0, ~known)
        np.testing.assert_allclose(stored[known] / 255, made.coherence[known], atol=1 / 255)


def test_coherence_in_bytes() -> None:
    values = np.array([np.nan, 0.0, 0.001, 0.5, 1.0], np.float32)
    np.testing.assert_array_equal(coherence_as_bytes(values), [0, 1, 1, 128, 255])


def test_unit_vector(folder: Path, placed: SimulatedScene) -> None:
    parts = []
    for name in ("E", "N", "U"):
        with rasterio.open(folder / "metadata" / f"{frame_name(placed)}.geo.{name}.tif") as source:
            parts.append(source.read(1).astype(np.float64))
    east, north, up = parts
    np.testing.assert_allclose(east**2 + north**2 + up**2, 1.0, atol=1e-6)
    np.testing.assert_allclose(np.degrees(np.arccos(up)), placed.fields.incidence_deg, atol=1e-4)
    # heading 348 and looking to the right: the satellite stands at 258, west-southwest
    np.testing.assert_allclose(np.degrees(np.arctan2(east, north)) % 360.0, 258.0, atol=1e-4)


def test_metadata_has_the_keys_of_the_real_one(folder: Path, shared_data: Path) -> None:
    def keys(path: Path) -> set[str]:
        return {line.split("=")[0] for line in path.read_text().splitlines()}

    real = keys(shared_data / "galapagos_coherence" / "metadata" / "metadata.txt")
    assert keys(folder / "metadata" / "metadata.txt") <= real


def test_reader_gives_back_the_scene(folder: Path, placed: SimulatedScene) -> None:
    stack = insar.open_stack(folder)
    assert stack.processor == "licsar"
    assert stack.grid.same_as(placed.pixels.grid)
    assert stack.pairs == placed.pairs
    for index in range(len(placed.pairs)):
        made = placed.interferogram(index)
        np.testing.assert_array_equal(stack.unwrapped_phase[index], made.phase_rad)
        np.testing.assert_allclose(stack.coherence[index], made.coherence, atol=1 / 255)
    np.testing.assert_allclose(
        stack.perpendicular_baselines_m,
        [placed.pair_baseline_m(index) for index in range(len(stack.pairs))],
        atol=2e-4,
    )
    np.testing.assert_allclose(np.asarray(stack.geometry.incidence_angle), placed.fields.incidence_deg, atol=1e-4)
    np.testing.assert_allclose(np.asarray(stack.geometry.azimuth_angle), 102.0, atol=1e-4)
    np.testing.assert_array_equal(np.asarray(stack.geometry.height), placed.stack_height_m)
    assert (stack.acquisition.orbit_direction, stack.acquisition.heading_deg) == ("ascending", -12.0)
    assert stack.notes == ("wavelength of Sentinel-1 assumed: the products do not state it",)


def test_descending(small: SimulationParameters, tmp_path: Path) -> None:
    scene = simulate_scene(replace(small.without_disturbances(), heading_deg=192.0))
    stack = insar.open_stack(write_layout(scene, tmp_path / "stack", "licsar"))
    assert stack.acquisition.orbit_direction == "descending"
    np.testing.assert_allclose(np.asarray(stack.geometry.azimuth_angle), -102.0, atol=1e-4)


def test_displacement(clean_scene: SimulatedScene, tmp_path: Path) -> None:
    folder = write_layout(clean_scene, tmp_path / "stack", "licsar")
    truth = np.load(folder / "truth" / "stack.npz")["displacement"]
    series = insar.invert(insar.open_stack(folder))
    expected = truth - truth[:, *series.reference][:, None, None]
    known = np.isfinite(series.displacement_m)
    assert known.all(axis=0).mean() > 0.9
    assert np.abs(expected).max() > 0.005
    np.testing.assert_allclose(series.displacement_m[known], expected[known], atol=2e-6)
