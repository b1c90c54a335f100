"""Results of this package, and plain folders of GeoTIFFs, as stacks of coherence."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from insar.errors import InputError, MissingInputError
from insar.grid import Grid
from insar.readers import open_stack
from insar.readers.scarp import sibling_cube

from .geotiffs import write_tif

PAIRS = ("20240106_20240118", "20240118_20240130")


def coherence(seed: int) -> np.ndarray:
    """(row, col) float32 with no data and a coherence of exactly 0."""
    values = np.random.default_rng(seed).random((6, 5), np.float32)
    values[0, 0], values[1, 1] = np.nan, 0.0
    return values


def write_result(folder: Path, *, radar: bool = False) -> Path:
    place = {"crs": None, "transform": Affine(1.0, 0.0, 0.0, 0.0, -1.0, 6.0)} if radar else {}
    for seed, name in enumerate(PAIRS):
        write_tif(folder / f"coherence/{name}.tif", coherence(seed), nodata=np.nan, **place)
    write_tif(folder / "layers/height.tif", np.full((6, 5), 0.0, np.float32), nodata=np.nan, **place)
    write_tif(folder / "layers/incidence_angle.tif", np.full((6, 5), 39.0, np.float32), nodata=np.nan, **place)
    inputs = {
        "wavelength_m": 0.0555,
        "pairs": list(PAIRS),
        "acquisition": {"platform": "S1A", "orbit_direction": "ascending", "something_newer": 1},
    }
    (folder / "manifest.json").write_text(json.dumps({"inputs": inputs, "summary": {"product": "coherence"}}))
    return folder


@pytest.mark.parametrize("radar", [False, True])
def test_result_is_a_stack_of_coherence(tmp_path: Path, radar: bool) -> None:
    stack = open_stack(write_result(tmp_path, radar=radar))
    assert stack.processor == "scarp"
    assert tuple(pair.name for pair in stack.pairs) == PAIRS
    assert stack.in_radar_coordinates == radar
    assert not radar or stack.grid == Grid.radar(6, 5)
    assert stack.wavelength_m == 0.0555
    assert (stack.acquisition.platform, stack.acquisition.orbit_direction) == ("S1A", "ascending")
    assert np.isnan(stack.perpendicular_baselines_m).all()
    np.testing.assert_array_equal(np.asarray(stack.coherence), np.stack([coherence(0), coherence(1)]))
    np.testing.assert_array_equal(np.asarray(stack.geometry.height), 0.0)
    np.testing.assert_array_equal(np.asarray(stack.geometry.incidence_angle), 39.0)
    again = pickle.loads(pickle.dumps(stack))
    np.testing.assert_array_equal(np.asarray(again.coherence), np.asarray(stack.coherence))


def test_sibling_coherence(tmp_path: Path) -> None:
    write_result(tmp_path)
    assert sibling_cube(tmp_path) is None
    write_tif(tmp_path / f"sibling/{PAIRS[1]}.tif", coherence(7), nodata=np.nan)
    found = sibling_cube(tmp_path)
    assert found is not None
    pairs, cube = found
    assert [pair.name for pair in pairs] == [PAIRS[1]]
    np.testing.assert_array_equal(cube[0], coherence(7))
    write_tif(tmp_path / f"sibling/{PAIRS[1]}.tif", coherence(7), col=1, nodata=np.nan)
    with pytest.raises(InputError, match=r"sibling/.*\.tif: required the grid of"):
        sibling_cube(tmp_path)
    assert sibling_cube(tmp_path / "sibling") is None


def test_what_a_result_lacks_is_noted(tmp_path: Path) -> None:
    write_result(tmp_path)
    (tmp_path / f"coherence/{PAIRS[0]}.tif").unlink()
    (tmp_path / "layers/height.tif").unlink()
    manifest = tmp_path / "manifest.json"
    manifest.write_text(manifest.read_text().replace("0.0555", "null"))
    stack = open_stack(tmp_path)
    assert np.isnan(stack.wavelength_m)
    assert f"no coherence for {PAIRS[0]}, which manifest.json lists" in stack.notes
    assert any("no height" in note for note in stack.notes)


def test_damaged_manifest_and_no_result(tmp_path: Path) -> None:
    write_result(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(InputError, match=r"manifest\.json: required JSON"):
        open_stack(tmp_path)
    with pytest.raises(MissingInputError, match="required a result of insar coherence"):
        open_stack(tmp_path / "layers", "scarp")


@pytest.mark.parametrize(
    "form", ["{0}_{1}.tif", "coh_{0}-{1}_VV.tif", "S1_{0}T053012_{1}T053013_coherence.tiff", "{0}_{1}.geo.cc.tif"]
)
def test_plain_folder(tmp_path: Path, form: str) -> None:
    for seed, name in enumerate(PAIRS):
        write_tif(tmp_path / form.format(name[:8], name[9:]), coherence(seed), nodata=np.nan)
    stack = open_stack(tmp_path)
    assert stack.processor == "rasters"
    assert tuple(pair.name for pair in stack.pairs) == PAIRS
    assert np.isnan(stack.wavelength_m)
    expected = np.stack([coherence(0), coherence(1)])
    expected[expected == 0.0] = np.nan
    np.testing.assert_array_equal(np.asarray(stack.coherence), expected)


def test_bytes(tmp_path: Path) -> None:
    steps = np.arange(30, dtype=np.uint8).reshape(6, 5) * 8
    for name in PAIRS:
        write_tif(tmp_path / f"{name}.tif", steps)
    found = np.asarray(open_stack(tmp_path).coherence)[0]
    assert np.isnan(found[0, 0])
    np.testing.assert_array_equal(found.ravel()[1:], steps.ravel()[1:].astype(np.float32) * np.float32(1 / 255))


def test_bytes_with_a_declared_scale(tmp_path: Path) -> None:
    import rasterio

    for name in PAIRS:
        write_tif(tmp_path / f"{name}.tif", np.full((6, 5), 40, np.uint8))
        with rasterio.open(tmp_path / f"{name}.tif", "r+") as sink:
            sink.scales = (0.01,)
    np.testing.assert_allclose(np.asarray(open_stack(tmp_path).coherence), 0.4, rtol=1e-6)
    with rasterio.open(tmp_path / f"{PAIRS[0]}.tif", "r+") as sink:
        sink.offsets = (1.0,)
    with pytest.raises(InputError, match="required coherence without an offset; found an offset of 1"):
        open_stack(tmp_path)


def test_what_is_no_coherence(tmp_path: Path) -> None:
    write_tif(tmp_path / f"{PAIRS[0]}_unw.tif", coherence(0))
    with pytest.raises(InputError, match="required a stack of interferograms"):
        open_stack(tmp_path)
    write_tif(tmp_path / f"{PAIRS[0]}_coh.tif", coherence(0))
    assert any(f"left out, not coherence by their names: {PAIRS[0]}_unw.tif" in n for n in open_stack(tmp_path).notes)
    write_tif(tmp_path / f"{PAIRS[1]}_coh.tif", coherence(0) * 7)
    with pytest.raises(InputError, match=r"_coh\.tif: required values from 0 to 1"):
        np.asarray(open_stack(tmp_path).coherence)
    write_tif(tmp_path / f"{PAIRS[1]}_coh.tif", np.ones((6, 5), np.int16))
    with pytest.raises(InputError, match=r"required coherence as float32 from 0 to 1, or as bytes.*found int16"):
        open_stack(tmp_path)


def test_grids_that_differ_and_pairs_listed_twice(tmp_path: Path) -> None:
    write_tif(tmp_path / f"coh_{PAIRS[0]}.tif", coherence(0))
    write_tif(tmp_path / f"coh_{PAIRS[0]}_b.tif", coherence(1))
    assert f"coh_{PAIRS[0]}_b.tif is left out: coh_{PAIRS[0]}.tif is of the same dates" in open_stack(tmp_path).notes
    write_tif(tmp_path / f"coh_{PAIRS[1]}.tif", coherence(1), col=2)
    with pytest.raises(InputError, match=rf"coh_{PAIRS[1]}\.tif: required the grid of .*coh_{PAIRS[0]}\.tif"):
        open_stack(tmp_path)


def test_other_processors_go_before(tmp_path: Path) -> None:
    for number, name in enumerate(PAIRS):
        stem = f"S1_372326_IW3_{name}_VV_INT80_{number}044"
        write_tif(tmp_path / f"{stem}_corr.tif", coherence(number))
    assert open_stack(tmp_path).processor == "hyp3"
    assert open_stack(tmp_path, "rasters").processor == "rasters"


def test_real_coherence_in_a_plain_folder(shared_data: Path, tmp_path: Path) -> None:
    frame = shared_data / "galapagos_coherence"
    for file in frame.glob("interferograms/*/*.geo.cc.tif"):
        (tmp_path / file.name).symlink_to(file)
    licsar, plain = open_stack(frame), open_stack(tmp_path)
    assert plain.processor == "rasters"
    assert plain.pairs == licsar.pairs
    rows, cols = slice(100, 200), slice(100, 300)
    assert licsar.coherence is not None
    assert plain.coherence is not None
    expected = licsar.coherence.read(rows, cols)
    assert np.isfinite(expected).any()
    np.testing.assert_array_equal(plain.coherence.read(rows, cols), expected)
