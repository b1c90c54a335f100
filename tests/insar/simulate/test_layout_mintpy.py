from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from insar.grid import RowCol
from insar.simulate import SimulatedScene, SimulationParameters, simulate_scene, write_layout, write_mintpy_stack
from insar.simulate.layouts import Mintpy


@pytest.mark.parametrize("chunks", [True, False, (4, 16, 16)])
def test_stack(full_scene: SimulatedScene, tmp_path: Path, chunks: bool | tuple[int, int, int]) -> None:
    path = tmp_path / "ifgramStack.h5"
    write_mintpy_stack(full_scene, path, chunks=chunks, reference=RowCol(3, 4))
    with h5py.File(path) as file:
        assert set(file) == {"date", "bperp", "dropIfgram", "unwrapPhase", "coherence", "connectComponent"}
        types = {name: file[name].dtype.str for name in file}
        assert types["date"] == "|S8"
        assert (types["bperp"], types["unwrapPhase"], types["coherence"]) == ("<f4", "<f4", "<f4")
        assert types["connectComponent"] == "<i2"
        assert file["dropIfgram"].dtype == bool
        assert file["dropIfgram"][()].all()
        assert (file["unwrapPhase"].chunks is None) == (chunks is False)
        names = [f"{first.decode()}_{second.decode()}" for first, second in file["date"][()]]
        assert names == [pair.name for pair in full_scene.pairs]
        for index in range(len(full_scene.pairs)):
            made = full_scene.interferogram(index)
            np.testing.assert_array_equal(file["unwrapPhase"][index], np.nan_to_num(made.phase_rad))
            np.testing.assert_array_equal(file["coherence"][index], np.nan_to_num(made.coherence))
            np.testing.assert_array_equal(file["connectComponent"][index], made.components)
            assert file["bperp"][index] == pytest.approx(-full_scene.pair_baseline_m(index), rel=1e-6)
        assert all(isinstance(value, str) for value in file.attrs.values())
        assert file.attrs["FILE_TYPE"] == "ifgramStack"
        assert (file.attrs["REF_Y"], file.attrs["REF_X"]) == ("3", "4")


@pytest.mark.parametrize("projection", ["geographic", "utm"])
def test_place_and_geometry(small: SimulationParameters, projection: str, tmp_path: Path) -> None:
    scene = simulate_scene(replace(small, map_projection=projection))
    folder = write_layout(scene, tmp_path / "mintpy", "mintpy") / "inputs"
    grid = Mintpy().place(scene).pixels.grid
    with h5py.File(folder / "ifgramStack.h5") as stack, h5py.File(folder / "geometryGeo.h5") as geometry:
        for attributes in (stack.attrs, geometry.attrs):
            assert (int(attributes["LENGTH"]), int(attributes["WIDTH"])) == grid.shape
            assert float(attributes["X_FIRST"]) == grid.transform.c
            assert float(attributes["Y_FIRST"]) == grid.transform.f
            assert float(attributes["X_STEP"]) == grid.transform.a
            assert float(attributes["Y_STEP"]) == grid.transform.e
            assert attributes["X_UNIT"] == ("meters" if projection == "utm" else "degrees")
            assert attributes["EPSG"] == ("32648" if projection == "utm" else "4326")
            assert ("UTM_ZONE" in attributes) == (projection == "utm")
            assert float(attributes["WAVELENGTH"]) == scene.parameters.wavelength_m
        assert geometry["height"].shape == grid.shape
        assert set(geometry) == {"height", "incidenceAngle", "azimuthAngle", "slantRangeDistance", "shadowMask"}


def test_same_scene_gives_the_same_bytes(full_scene: SimulatedScene, tmp_path: Path) -> None:
    for name in ("a.h5", "b.h5"):
        write_mintpy_stack(full_scene, tmp_path / name)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
