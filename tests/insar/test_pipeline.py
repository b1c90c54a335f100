"""The chain: what it writes, that it is the same however it is cut, and that it goes on after a kill."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
import rasterio
import rasterio.warp
from plain import minimum_norm_series

from insar.config import Settings, load_settings
from insar.errors import InsarError, OptionError
from insar.grid import LonLat
from insar.layers import LAYERS, read_layer
from insar.pipeline import WORKSPACE, run_chain
from insar.velocity import fit_rate

REFERENCE = {"reference_rowcol": (3, 4)}


def _layer(folder, name):
    with rasterio.open(folder / "layers" / f"{name}.tif") as source:
        return source.read(1)


def _checksums(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    return {entry["name"]: entry["sha256"] for entry in manifest["layers"]} | {
        entry["file"]: entry["sha256"] for entry in manifest["files"] if entry["file"].endswith(".h5")
    }


@pytest.fixture(scope="module")
def result(known_stack, tmp_path_factory):
    return run_chain(Settings(stack=known_stack.path, **REFERENCE), tmp_path_factory.mktemp("run") / "out")


def test_displacement_and_rate_equal_plain_least_squares(known_stack, result):
    relative = known_stack.phase - known_stack.phase[:, 3:4, 4:5]
    shape = relative.shape[1:]
    series = minimum_norm_series(relative.reshape(len(relative), -1), known_stack.pairs).reshape(-1, *shape)
    expected = -0.0554657646 / (4 * np.pi) * series
    with h5py.File(result / "timeseries.h5") as source:
        displacement = source["timeseries"][()]
    np.testing.assert_allclose(displacement, expected, atol=1e-6)
    dates = tuple(sorted({day for pair in known_stack.pairs for day in pair}))
    rate = fit_rate(expected, dates)
    np.testing.assert_allclose(_layer(result, "velocity"), rate.velocity, atol=1e-5)
    np.testing.assert_allclose(_layer(result, "velocity_std"), rate.velocity_std, atol=1e-5)
    np.testing.assert_allclose(_layer(result, "cumulative_displacement"), expected[-1], atol=1e-6)
    np.testing.assert_array_equal(_layer(result, "pairs_used"), np.isfinite(known_stack.phase).sum(axis=0))
    np.testing.assert_allclose(_layer(result, "mean_coherence"), known_stack.coherence.mean(axis=0), rtol=1e-5)


def test_layers_carry_grid_units_and_signs(result):
    for path in (result / "layers").glob("*.tif"):
        definition = LAYERS[path.stem]
        with rasterio.open(path) as source:
            assert source.crs.to_epsg() == 32611
            assert tuple(source.transform)[:6] == (30, 0, 500000, 0, -30, 4000000)
            assert source.tags()["UNITS"] == definition.unit
            assert source.tags()["DESCRIPTION"] == definition.description
            assert source.tags().get("SIGN") == definition.sign
            assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert source.dtypes[0] == definition.dtype
    assert _layer(result, "quality")[0, 0] == 1
    assert np.isnan(_layer(result, "velocity")[0, 0])
    assert _layer(result, "subsets")[0, 0] == 0


def test_manifest_and_folder(result):
    manifest = json.loads((result / "manifest.json").read_text())
    assert {entry["name"] for entry in manifest["layers"]} == {path.stem for path in (result / "layers").glob("*.tif")}
    assert {entry["name"] for entry in manifest["left_out"]} == {
        "height",
        "incidence_angle",
        "azimuth_angle",
        "acceleration",
        "seasonal_amplitude",
        "dem_error",
    }
    assert manifest["summary"]["reference"]["how"] == "given"
    assert manifest["summary"]["pixels"]["no_data"] == 1
    assert (result / "report.html").exists()
    assert not (result / WORKSPACE).exists()
    assert not list(result.rglob(".*partial*"))


@pytest.mark.parametrize("options", [{"workers": 1}, {"workers": 3, "memory_limit": "1MB"}])
def test_same_bytes_whatever_the_blocks_and_threads(known_stack, result, tmp_path, options):
    other = run_chain(Settings(stack=known_stack.path, **REFERENCE, **options), tmp_path / "out")
    assert _checksums(other) == _checksums(result)


def test_the_written_configuration_reproduces_the_result(result, tmp_path):
    other = run_chain(load_settings(result / "insar.toml", {}), tmp_path / "out")
    assert _checksums(other) == _checksums(result)


def test_a_killed_run_goes_on(known_stack, result, tmp_path):
    settings = Settings(stack=known_stack.path, workers=1, memory_limit="500kB", **REFERENCE)
    output = tmp_path / "out"
    rows = []

    def kill(step, done, _total):
        rows.append(done)
        if step == "invert" and len(rows) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_chain(settings, output, progress=kill)
    assert [path.name for path in output.iterdir()] == [WORKSPACE]
    resumed = []
    run_chain(settings, output, progress=lambda step, done, _: resumed.append(done) if step == "invert" else None)
    assert resumed[0] > rows[-1]
    assert _checksums(output) == _checksums(result)


def test_a_result_inside_the_stack_folder_is_resumed(known_stack, tmp_path):
    folder = tmp_path / "stack"
    folder.mkdir()
    (folder / "ifgramStack.h5").write_bytes(known_stack.path.read_bytes())
    settings = Settings(stack=folder, workers=1, memory_limit="500kB", **REFERENCE)
    rows = []

    def kill(step, done, _total):
        rows.append(done)
        if len(rows) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_chain(settings, folder / "out", progress=kill)
    run_chain(settings, folder / "out", progress=lambda step, done, _: rows.append(done) if step == "invert" else None)
    assert rows[2] > rows[1]


def test_another_run_does_not_resume_what_was_killed(known_stack, result, tmp_path):
    output = tmp_path / "out"

    def kill(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_chain(Settings(stack=known_stack.path, connections=2, **REFERENCE), output, progress=kill)
    run_chain(Settings(stack=known_stack.path, **REFERENCE), output)
    assert _checksums(output) == _checksums(result)


def test_a_finished_run_is_not_done_again_and_another_does_not_overwrite(known_stack, tmp_path):
    output = tmp_path / "out"
    settings = Settings(stack=known_stack.path, **REFERENCE)
    run_chain(settings, output)
    before = (output / "manifest.json").stat().st_mtime_ns
    run_chain(settings, output)
    assert (output / "manifest.json").stat().st_mtime_ns == before
    other = Settings(stack=known_stack.path, connections=1, reference_rowcol=(3, 4))
    with pytest.raises(OptionError, match="overwrite"):
        run_chain(other, output)
    run_chain(other, output, overwrite=True)
    assert json.loads((output / "manifest.json").read_text())["configuration"]["connections"] == 1


def test_foreign_files_are_not_overwritten(known_stack, tmp_path):
    (tmp_path / "thesis.doc").write_text("important")
    with pytest.raises(OptionError, match="no result of insar"):
        run_chain(Settings(stack=known_stack.path, **REFERENCE), tmp_path)
    assert (tmp_path / "thesis.doc").read_text() == "important"


def test_an_error_leaves_nothing_behind(make_stack, tmp_path):
    stack = make_stack(coherence=False)
    for settings in (
        Settings(stack=stack.path, weights="coherence", **REFERENCE),
        Settings(stack=stack.path, resolution=-1, **REFERENCE),
        Settings(stack=stack.path, reference_rowcol=(0, 0)),
    ):
        with pytest.raises(InsarError):
            run_chain(settings, tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_part_of_the_map_in_another_crs(known_stack, result, tmp_path):
    with rasterio.open(result / "layers" / "velocity.tif") as source:
        west, south, east, north = rasterio.warp.transform_bounds(source.crs, "EPSG:4326", *source.bounds)
    bbox = (west, south, (west + east) / 2, north)
    output = run_chain(Settings(stack=known_stack.path, crs="EPSG:4326", bbox=bbox, **REFERENCE), tmp_path / "out")
    with rasterio.open(output / "layers" / "velocity.tif") as source:
        assert source.crs.to_epsg() == 4326
        assert source.bounds.right == pytest.approx(bbox[2], abs=0.001)
        values = source.read(1)
    # Nearest neighbours: no value is there that was not before.
    assert set(values[np.isfinite(values)]) <= set(_layer(result, "velocity").ravel())


def test_part_of_the_map_keeps_its_pixels(known_stack, result, tmp_path):
    with rasterio.open(result / "layers" / "velocity.tif") as source:
        window = (500000 + 5 * 30, 4000000 - 32 * 30, 500000 + 25 * 30, 4000000 - 2 * 30)
        box = rasterio.warp.transform_bounds(source.crs, "EPSG:4326", *window)
    # A little smaller, because a box in degrees is not one in metres.
    shrunk = (box[0] + 1e-4, box[1] + 1e-4, box[2] - 1e-4, box[3] - 1e-4)
    output = run_chain(Settings(stack=known_stack.path, bbox=shrunk, **REFERENCE), tmp_path / "out")
    part, grid, _ = read_layer(output / "layers" / "velocity.tif")
    row, col = round((4000000 - grid.bounds[3]) / 30), round((grid.bounds[0] - 500000) / 30)
    assert (row, col) == (2, 5)
    assert part.shape == (30, 20)
    np.testing.assert_array_equal(part, _layer(result, "velocity")[row : row + 30, col : col + 20])
    with h5py.File(output / "timeseries.h5") as one, h5py.File(result / "timeseries.h5") as two:
        np.testing.assert_array_equal(one["timeseries"][()], two["timeseries"][:, row : row + 30, col : col + 20])


def test_a_map_that_is_too_coarse_to_draw_the_reference_still_names_its_pixel(known_stack, tmp_path):
    output = run_chain(
        Settings(stack=known_stack.path, crs="EPSG:32611", resolution=200, **REFERENCE), tmp_path / "out"
    )
    reference = json.loads((output / "manifest.json").read_text())["summary"]["reference"]
    _, grid, _ = read_layer(output / "layers" / "velocity.tif")
    x, y = 500000 + 4.5 * 30, 4000000 - 3.5 * 30
    assert (reference["row"], reference["col"]) == tuple(int(value) for value in grid.pixel_coordinates(x, y))


def test_uncertainty_of_the_network_is_in_the_layer_when_asked(known_stack, result, tmp_path):
    output = run_chain(Settings(stack=known_stack.path, uncertainty="covariance", **REFERENCE), tmp_path / "out")
    with_network, residual = _layer(output, "velocity_std"), _layer(result, "velocity_std")
    # The stack has noise of interferograms alone, which the residuals of the fit understate.
    assert np.nanmedian(with_network) > 1.5 * np.nanmedian(residual)
    np.testing.assert_array_equal(_layer(output, "velocity"), _layer(result, "velocity"))


def test_variance_weights_need_looks(make_stack, tmp_path):
    stack = make_stack(ALOOKS=None, RLOOKS=None)
    with pytest.raises(OptionError, match="--looks"):
        run_chain(Settings(stack=stack.path, weights="variance", **REFERENCE), tmp_path / "out")
    run_chain(Settings(stack=stack.path, weights="variance", looks=27, **REFERENCE), tmp_path / "out")


def test_mexico_isce_and_snap_agree_with_each_other_and_with_least_squares(shared_data, tmp_path):
    """Two layouts of one real stack: within 1e-5 m and 1e-5 m/yr, on the same map pixels."""
    from insar.readers import open_stack

    folders = {}
    for layout in ("isce_tops", "snap"):
        settings = Settings(
            stack=shared_data / "mexico_sentinel1" / layout, reference_lonlat=(-99.16, 19.41), weights="none"
        )
        folders[layout] = run_chain(settings, tmp_path / layout)
    series, velocity = {}, {}
    for layout, folder in folders.items():
        with h5py.File(folder / "timeseries.h5") as source:
            series[layout] = source["timeseries"][()]
        velocity[layout] = _layer(folder, "velocity")
    np.testing.assert_allclose(series["isce_tops"], series["snap"], atol=1e-5)
    np.testing.assert_allclose(velocity["isce_tops"], velocity["snap"], atol=1e-5)
    stack = open_stack(shared_data / "mexico_sentinel1" / "snap")
    phase = np.asarray(stack.unwrapped_phase, dtype=np.float64)
    row, col = stack.grid.rowcol(LonLat(-99.16, 19.41))
    relative = phase - phase[:, row : row + 1, col : col + 1]
    pairs = [(pair.reference, pair.secondary) for pair in stack.pairs]
    plain = minimum_norm_series(relative.reshape(len(pairs), -1), pairs).reshape(-1, *stack.shape)
    plain *= -stack.wavelength_m / (4 * np.pi)
    np.testing.assert_allclose(series["snap"], plain, atol=1e-5)
    rate = fit_rate(plain, stack.dates)
    np.testing.assert_allclose(velocity["isce_tops"], rate.velocity, atol=1e-5)
    one, two = (read_layer(folders[layout] / "layers" / "velocity.tif")[1] for layout in ("isce_tops", "snap"))
    assert one.same_as(two, tolerance_pixels=1e-6)


def test_sydney_without_coherence(shared_data, tmp_path):
    folder = run_chain(Settings(stack=shared_data / "sydney_envisat" / "isce_stripmap"), tmp_path / "out")
    left_out = {entry["name"] for entry in json.loads((folder / "manifest.json").read_text())["left_out"]}
    assert "mean_coherence" in left_out
    assert np.isfinite(_layer(folder, "velocity")).mean() > 0.5
