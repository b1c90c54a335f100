"""Folders of each processor that hold coherence and no phase: stacks like any other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from insar.errors import InputError
from insar.readers import open_stack
from insar.stack import Stack

from .builders import COLS, MAP_ATTRIBUTES, ROWS, IsceBuilder, SnapBuilder, as_read, plane, write_mintpy
from .geotiffs import write_tif

PAIRS = ("20180106_20180118", "20180118_20180130")


def coherence(seed: int) -> np.ndarray:
    """Coherences with a pixel of no data."""
    return np.abs(np.tanh(plane(seed)))


def require_coherence(stack: Stack, processor: str) -> None:
    assert stack.processor == processor
    assert stack.unwrapped_phase is None
    assert tuple(pair.name for pair in stack.pairs) == PAIRS
    assert stack.coherence is not None
    for number in range(2):
        np.testing.assert_array_equal(stack.coherence[number], as_read(coherence(number)))
    with pytest.raises(InputError, match="required unwrapped interferograms; found coherence alone"):
        stack.require_phase()


@pytest.mark.parametrize("states_wavelength", [True, False])
@pytest.mark.parametrize("layout", ["tops", "stripmap"])
def test_isce(tmp_path: Path, layout: str, states_wavelength: bool) -> None:
    builder = IsceBuilder(tmp_path, layout=layout)
    for number, name in enumerate(PAIRS):
        builder.add_pair(name, None, coherence(number))
    builder.add_geometry()
    if states_wavelength:
        builder.add_wavelength()
    stack = open_stack(tmp_path)
    require_coherence(stack, "isce")
    assert np.isnan(stack.wavelength_m) != states_wavelength


@pytest.mark.parametrize("states_wavelength", [True, False])
def test_snap(tmp_path: Path, states_wavelength: bool) -> None:
    builder = SnapBuilder(tmp_path)
    if not states_wavelength:
        builder.metadata = {"MISSION": "ALOS"}
    for number, (first, second) in enumerate((("06Jan2018", "18Jan2018"), ("18Jan2018", "30Jan2018"))):
        builder.add_product(f"pair{number}", {f"coh_IW1_VV_{first}_{second}": coherence(number)})
    stack = open_stack(tmp_path)
    require_coherence(stack, "snap")
    assert np.isnan(stack.wavelength_m) != states_wavelength


def test_hyp3(tmp_path: Path) -> None:
    for number, name in enumerate(PAIRS):
        stem = f"S1_372326_IW3_{name}_VV_INT80_{number}044"
        write_tif(tmp_path / stem / f"{stem}_corr.tif", coherence(number), nodata=0.0)
    require_coherence(open_stack(tmp_path), "hyp3")


@pytest.mark.parametrize("folder", ["interferograms", "GEOC"])
def test_licsar(tmp_path: Path, folder: str) -> None:
    for number, name in enumerate(PAIRS):
        write_tif(tmp_path / folder / name / f"{name}.geo.cc.tif", coherence(number))
    require_coherence(open_stack(tmp_path), "licsar")


@pytest.mark.parametrize("states_wavelength", [True, False])
def test_gamma(tmp_path: Path, states_wavelength: bool) -> None:
    for number, name in enumerate(PAIRS):
        coherence(number).astype(">f4").tofile(tmp_path / f"{name}.cc")
    (tmp_path / "area.dem_par").write_text(
        f"DEM_projection: EQA\nwidth: {COLS}\nnlines: {ROWS}\ncorner_lat: 19.0 decimal degrees\n"
        "corner_lon: -99.0 decimal degrees\npost_lat: -0.001 decimal degrees\npost_lon: 0.001 decimal degrees\n"
        "ellipsoid_name: WGS 84\n"
    )
    if states_wavelength:
        (tmp_path / "20180106.slc.par").write_text("radar_frequency: 5.405e+09 Hz\n")
    stack = open_stack(tmp_path)
    require_coherence(stack, "gamma")
    assert np.isnan(stack.wavelength_m) != states_wavelength


@pytest.mark.parametrize("states_wavelength", [True, False])
def test_roipac(tmp_path: Path, states_wavelength: bool) -> None:
    for number, name in enumerate(PAIRS):
        raster = tmp_path / f"geo_{name}.cor"
        np.stack([np.ones((ROWS, COLS), "<f4"), coherence(number)], axis=1).tofile(raster)
        header = {"WIDTH": COLS, "FILE_LENGTH": ROWS, "X_FIRST": -99.0, "Y_FIRST": 19.0, "X_STEP": 0.001}
        header |= {"Y_STEP": -0.001, "DATE12": f"{name[2:8]}-{name[11:]}"}
        header |= {"WAVELENGTH": 0.0562} if states_wavelength else {}
        raster.with_name(raster.name + ".rsc").write_text("".join(f"{k} {v}\n" for k, v in header.items()))
    stack = open_stack(tmp_path)
    require_coherence(stack, "roipac")
    assert np.isnan(stack.wavelength_m) != states_wavelength


def test_mintpy_without_wavelength(tmp_path: Path) -> None:
    data = {"coherence": np.stack([coherence(0), coherence(1)])}
    pairs = [(name[:8], name[9:]) for name in PAIRS]
    file = write_mintpy(tmp_path / "ifgramStack.h5", pairs, data, **MAP_ATTRIBUTES, WAVELENGTH="none")
    stack = open_stack(file)
    require_coherence(stack, "mintpy")
    assert np.isnan(stack.wavelength_m)


def test_phase_needs_a_wavelength(isce: IsceBuilder) -> None:
    stack = open_stack(isce.root)
    with pytest.raises(InputError, match="required a radar wavelength between 1 mm and 2 m; found nan m"):
        replace(stack, wavelength_m=float("nan"))
    assert np.isnan(replace(stack, wavelength_m=float("nan"), unwrapped_phase=None).wavelength_m)
    with pytest.raises(InputError, match=r"found 5\.5 m"):
        replace(stack, wavelength_m=5.5, unwrapped_phase=None)
