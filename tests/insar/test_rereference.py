"""Another reference point for a finished result: the same as a run with it, all or nothing."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
from results import write_dem

from insar.cli.app import app, run_app
from insar.config import Settings, load_settings
from insar.errors import InputError, MissingInputError, OptionError
from insar.grid import LonLat, RowCol
from insar.layers import LayerDefinition, write_layer
from insar.moved_layers import OF_EARLIER_REFERENCE, REFITTED, WITH_EARLIER_NOISE
from insar.pipeline import run_chain
from insar.planning import plan_run
from insar.rereference_results import move_reference
from insar.result import ResultFolder
from insar.simulate import SimulationParameters, simulate_stack
from insar.slope_results import SLOPE_LAYERS, SlopeOptions, add_slope_layers
from insar.writers.manifest import checksum, replace_layers

FIRST = RowCol(3, 4)
NOISE = ("velocity_std", "acceleration_std", "seasonal_amplitude_std")
"""With uncertainty=covariance they hold the noise of the earlier reference, as residual_rms does."""

EVERYTHING = {"model": "linear+poly:2+annual", "uncertainty": "covariance", "recent_days": 90}


def series_of(folder):
    with h5py.File(folder / "timeseries.h5") as source:
        return source["timeseries"][()]


def layer_of(folder, name):
    with rasterio.open(folder / "layers" / f"{name}.tif") as source:
        return source.read(1)


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_text())


def content_of(folder):
    """Every file's bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def complete_of(folder):
    """Pixels that every interferogram has data at."""
    used = layer_of(folder, "pairs_used")
    return used == used.max()


def is_whole(folder):
    manifest = manifest_of(folder)
    return all(checksum(folder / entry["file"]) == entry["sha256"] for entry in manifest["layers"] + manifest["files"])


def assert_equal_results(one, two, where, *, tolerance=1e-6, but=()):
    np.testing.assert_allclose(series_of(one)[:, where], series_of(two)[:, where], atol=tolerance)
    names = {entry["name"] for entry in manifest_of(one)["layers"]}
    assert names == {entry["name"] for entry in manifest_of(two)["layers"]}
    for name in names - {*OF_EARLIER_REFERENCE, *WITH_EARLIER_NOISE, *but}:
        values = layer_of(two, name)
        # A parabola and a year's wave are hard to tell apart within a third of a year: rounding is blown up.
        loose = 100 if name in ("acceleration", "seasonal_amplitude") else 1
        np.testing.assert_allclose(layer_of(one, name)[where], values[where], atol=loose * tolerance, err_msg=name)


@pytest.fixture(scope="module")
def first(known_stack, tmp_path_factory):
    folder = tmp_path_factory.mktemp("moved") / "first"
    return run_chain(Settings(stack=known_stack.path, reference_rowcol=FIRST, **EVERYTHING), folder)


@pytest.fixture(scope="module")
def other(first):
    """A pixel with every interferogram, away from the first."""
    rows, cols = np.nonzero(complete_of(first))
    return RowCol(int(rows[-1]), int(cols[-1]))


@pytest.fixture(scope="module")
def bare(first, tmp_path_factory):
    """The first result without its report: drawing one takes longer than all the rest."""
    folder = Path(shutil.copytree(first, tmp_path_factory.mktemp("bare") / "out"))
    (folder / "report.html").unlink()
    shutil.rmtree(folder / "figures")
    return folder


@pytest.fixture
def copy(bare, tmp_path):
    return Path(shutil.copytree(bare, tmp_path / "copy"))


@pytest.fixture(scope="module")
def run_other(known_stack, other, tmp_path_factory):
    """A run with the other reference."""
    folder = tmp_path_factory.mktemp("other") / "out"
    return run_chain(Settings(stack=known_stack.path, reference_rowcol=other, **EVERYTHING), folder)


def test_moved_result_is_that_of_a_run_with_the_reference(first, other, copy, run_other):
    moved = move_reference(copy, rowcol=other)
    complete = complete_of(first)
    assert 0.1 < complete.mean() < 1
    assert_equal_results(copy, run_other, complete, but=NOISE)
    assert {"velocity", "cumulative_displacement", "acceleration", "seasonal_amplitude", "velocity_recent"} <= {
        entry["name"] for entry in manifest_of(copy)["layers"]
    }
    np.testing.assert_array_equal(series_of(copy)[:, other.row, other.col], 0.0)
    assert layer_of(copy, "velocity")[other] == 0.0
    # Where there are gaps the two differ by the closure of the reference, and that is said.
    np.testing.assert_array_equal(np.isnan(series_of(copy)), np.isnan(series_of(run_other)))
    assert any("lack interferograms" in note for note in moved.notes)
    np.testing.assert_allclose(
        series_of(copy), series_of(first) - series_of(first)[:, other.row, other.col][:, None, None], atol=1e-7
    )


def test_moved_back_is_the_first_result_again(first, other, copy):
    move_reference(copy, rowcol=other)
    move_reference(copy, rowcol=FIRST)
    assert_equal_results(copy, first, np.ones_like(complete_of(first)), tolerance=3e-7, but=NOISE)
    earlier = manifest_of(copy)["summary"]["earlier_references"]
    assert [(told["row"], told["col"], told["how"]) for told in earlier] == [(*FIRST, "given"), (*other, "moved")]


def test_everything_in_the_folder_tells_of_the_new_reference(first, other, tmp_path):
    copy = Path(shutil.copytree(first, tmp_path / "copy"))
    place = ResultFolder(first).grid.lonlat(other)
    moved = move_reference(copy, lonlat=place)
    assert moved.pixel == other
    assert is_whole(copy)
    assert not list(copy.glob(".*"))
    with h5py.File(copy / "timeseries.h5") as source:
        told = dict(source.attrs)
    with h5py.File(first / "timeseries.h5") as source:
        before = dict(source.attrs)
    assert (told["REF_Y"], told["REF_X"]) == (str(other.row), str(other.col))
    assert float(told["REF_LAT"]) == 4000000 - 30 * (other.row + 0.5)
    assert float(told["REF_LON"]) == 500000 + 30 * (other.col + 0.5)
    assert {name for name in told if told[name] != before[name]} == {"REF_Y", "REF_X", "REF_LAT", "REF_LON"}
    manifest = manifest_of(copy)
    assert manifest["summary"]["reference"]["row"] == other.row
    assert manifest["summary"]["reference"]["lon"] == pytest.approx(place.lon)
    assert manifest["summary"]["reference"]["of_earlier_reference"] == [
        name for name in OF_EARLIER_REFERENCE if (copy / "layers" / f"{name}.tif").exists()
    ]
    assert manifest["summary"]["layers"]["velocity"]["median"] == pytest.approx(
        np.nanmedian(layer_of(copy, "velocity"))
    )
    assert manifest["configuration"]["reference_rowcol"] is None
    report = (copy / "report.html").read_text()
    assert f"row {other.row}, column {other.col}" in report
    assert f"row {FIRST.row}, column {FIRST.col}" not in report
    # The configuration asks a run for the same.
    assert load_settings(copy / "insar.toml", {}) == Settings.model_validate(manifest["configuration"])
    plan = plan_run(load_settings(copy / "insar.toml", {}))
    assert plan.reference.pixel == other


def test_a_run_does_not_take_a_moved_result_for_its_own(known_stack, other, copy):
    move_reference(copy, rowcol=other)
    with pytest.raises(OptionError, match="overwrite"):
        run_chain(Settings(stack=known_stack.path, reference_rowcol=FIRST, **EVERYTHING), copy)


def test_an_area_is_averaged_as_a_run_averages_it(known_stack, first, other, copy, tmp_path):
    move_reference(copy, rowcol=other, size=5)
    settings = Settings(stack=known_stack.path, reference_rowcol=other, reference_size=5, **EVERYTHING)
    assert_equal_results(copy, run_chain(settings, tmp_path / "run"), complete_of(first), but=NOISE)
    manifest = manifest_of(copy)
    around = slice(max(0, other.row - 2), other.row + 3), slice(max(0, other.col - 2), other.col + 3)
    assert manifest["summary"]["reference"]["pixels_averaged"] == complete_of(first)[around].sum() > 1
    assert manifest["configuration"]["reference_size"] == 5
    # The size stays unless another is asked for.
    assert move_reference(copy, rowcol=FIRST).size == 5


def test_same_bytes_whatever_the_blocks_and_threads(known_stack, other, copy, tmp_path):
    settings = Settings(stack=known_stack.path, reference_rowcol=FIRST, workers=3, memory_limit="200kB", **EVERYTHING)
    cut = run_chain(settings, tmp_path / "cut")
    steps = []
    move_reference(copy, rowcol=other)
    move_reference(cut, rowcol=other, progress=lambda step, done, _: steps.append((step, done)))
    assert len([step for step, _ in steps if step == "move the reference"]) > 4
    for name in {path.stem for path in (copy / "layers").glob("*.tif")} - {"residual_rms", "temporal_coherence"}:
        assert (copy / "layers" / f"{name}.tif").read_bytes() == (cut / "layers" / f"{name}.tif").read_bytes(), name
    assert (copy / "timeseries.h5").read_bytes() == (cut / "timeseries.h5").read_bytes()


def test_real_data(shared_data, tmp_path):
    stack = shared_data / "mexico_sentinel1" / "snap"
    moved = run_chain(Settings(stack=stack), tmp_path / "moved")
    first = Path(shutil.copytree(moved, tmp_path / "first"))
    before = manifest_of(moved)["summary"]["reference"]
    place = LonLat(-99.13620867, 19.39504262)
    move_reference(moved, lonlat=place)
    run = run_chain(Settings(stack=stack, reference_lonlat=tuple(place)), tmp_path / "run")
    complete = complete_of(moved)
    assert complete.mean() > 0.9
    assert_equal_results(moved, run, complete)
    move_reference(moved, rowcol=RowCol(before["row"], before["col"]))
    assert_equal_results(moved, first, np.ones_like(complete), tolerance=3e-7)


def test_geocoded_simulated_stack(tmp_path):
    parameters = SimulationParameters(
        seed=5, rows=40, cols=36, acquisitions=10, creeping_slopes=1, accelerating_slopes=0
    )
    stack = simulate_stack(parameters, tmp_path / "stack", "isce-tops")
    moved = run_chain(Settings(stack=stack), tmp_path / "moved")
    grid = ResultFolder(moved).grid
    assert grid.crs is not None
    rows, cols = np.nonzero(complete_of(moved))
    chosen = RowCol(int(rows[len(rows) // 5]), int(cols[len(rows) // 5]))
    place = grid.lonlat(chosen)
    move_reference(moved, lonlat=place)
    run = run_chain(Settings(stack=stack, reference_lonlat=tuple(place)), tmp_path / "run")
    assert_equal_results(moved, run, complete_of(moved))


def test_inversion_alone_has_no_rate_to_compute(known_stack, tmp_path):
    folder = run_chain(Settings(stack=known_stack.path, reference_rowcol=FIRST), tmp_path / "out", with_rate=False)
    before = series_of(folder)
    move_reference(folder, rowcol=RowCol(10, 10))
    np.testing.assert_allclose(series_of(folder), before - before[:, 10, 10][:, None, None], atol=1e-7)
    assert not (folder / "report.html").exists()
    assert not (folder / "layers" / "velocity.tif").exists()
    assert is_whole(folder)


def test_height_errors_are_relative_to_the_reference_too(copy, other):
    before = series_of(copy)
    grid = ResultFolder(copy).grid
    heights = np.linspace(-20, 30, grid.rows * grid.cols, dtype=np.float32).reshape(grid.shape)
    path = copy / "layers" / "dem_error.tif"
    definition = LayerDefinition("dem_error", "m", "Height error")
    write_layer(path, heights, grid, definition)
    replace_layers(copy, product="test", names=["dem_error"], layers=[(definition, path)])
    move_reference(copy, rowcol=other)
    np.testing.assert_allclose(layer_of(copy, "dem_error"), heights - heights[other], atol=1e-5)
    # Its term is in the fit, as in that of the run, but takes nothing out of a series that is corrected already.
    np.testing.assert_allclose(series_of(copy), before - before[:, other.row, other.col][:, None, None], atol=1e-7)
    assert np.isfinite(layer_of(copy, "velocity_std")).sum() == np.isfinite(layer_of(copy, "velocity")).sum()


def test_slope_layers_of_the_earlier_reference_go(copy, other, tmp_path, caplog):
    grid = ResultFolder(copy).grid
    manifest = manifest_of(copy)
    manifest["inputs"]["acquisition"] |= {"heading_deg": -12.0, "antenna_side": "right"}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    dem = write_dem(tmp_path / "dem.tif", 30.0 * np.add.outer(np.arange(40.0), np.arange(30.0)), grid)
    add_slope_layers(copy, dem, SlopeOptions(incidence_deg=39.0))
    assert (copy / "layers" / "slope_velocity.tif").exists()
    moved = move_reference(copy, rowcol=other)
    assert not any((copy / "layers" / f"{name}.tif").exists() for name in SLOPE_LAYERS)
    manifest = manifest_of(copy)
    assert not {entry["name"] for entry in manifest["layers"]} & set(SLOPE_LAYERS)
    assert manifest["products"] == {}
    assert any("slope_velocity" in note for note in moved.notes)
    assert "slope_velocity" in caplog.text
    assert is_whole(copy)


def kill_at_rename(monkeypatch, count):
    """Stop the process's work at its `count`-th renaming within the result."""
    real = Path.replace
    calls = []

    def replace(self, target):
        # Only those between the scratch folder and the result; layers are renamed while they are made, too.
        if (".rereference" in self.parts) != (".rereference" in Path(target).parts):
            calls.append(self)
            if len(calls) == count:
                raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    return calls


def test_a_kill_never_leaves_a_mixed_result(bare, other, tmp_path, monkeypatch):
    counted = Path(shutil.copytree(bare, tmp_path / "counted"))
    with monkeypatch.context() as patch:
        calls = kill_at_rename(patch, 0)
        move_reference(counted, rowcol=other)
    # The old manifest, the layers, the time series, the configuration, the new manifest.
    assert len(calls) == 1 + len({entry["name"] for entry in manifest_of(bare)["layers"]} & set(REFITTED)) + 3
    for count in range(1, len(calls) + 1):
        folder = Path(shutil.copytree(bare, tmp_path / f"kill{count}"))
        with monkeypatch.context() as patch:
            kill_at_rename(patch, count)
            with pytest.raises(KeyboardInterrupt):
                move_reference(folder, rowcol=other)
        if count == 1:
            assert content_of(folder) == content_of(bare)
        else:
            with pytest.raises(MissingInputError):
                ResultFolder(folder)
        # The next attempt finishes what was begun before it does anything of its own.
        with pytest.raises(InputError, match="outside"):
            move_reference(folder, rowcol=RowCol(999, 0))
        assert is_whole(folder)
        assert manifest_of(folder)["summary"]["reference"]["row"] == (FIRST.row if count == 1 else other.row)
        assert not (folder / ".rereference").exists()
        if count > 1:
            np.testing.assert_array_equal(series_of(folder), series_of(counted))


def test_what_was_cut_short_is_not_finished_with_other_files(first, other, copy, monkeypatch):
    with monkeypatch.context() as patch:
        kill_at_rename(patch, 4)
        with pytest.raises(KeyboardInterrupt):
            move_reference(copy, rowcol=other)
    shutil.copy(first / "layers" / "velocity.tif", copy / "layers" / "velocity.tif")
    (copy / ".rereference" / "layers" / "velocity.tif").unlink(missing_ok=True)
    with pytest.raises(InputError, match="cut short"):
        move_reference(copy, rowcol=other)
    assert not (copy / "manifest.json").exists()


def test_a_failure_while_files_are_made_changes_nothing(bare, other, copy, monkeypatch):
    def fail(*arguments, **options):
        raise OSError("disk full")

    monkeypatch.setattr("insar.moved_layers.layer_statistics", fail)
    with pytest.raises(OSError, match="disk full"):
        move_reference(copy, rowcol=other)
    assert content_of(copy) == content_of(bare)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--rowcol", 99, 4), "rows 0 to 39"),
        (("--rowcol", -1, 4), "rows 0 to 39"),
        (("--rowcol", 0, 0), "no data"),
        (("--lonlat", 12.0, 45.0), "inside the grid"),
        (("--lonlat", 36.0, -117.0), "inside the grid"),
        (("--rowcol", 5, 5, "--size", 4), "odd number"),
        (("--rowcol", 5, 5, "--lonlat", -117.0, 36.1), "found two"),
        ((), "found none"),
    ],
)
def test_wrong_options_change_nothing(bare, copy, options, words, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["insar", "re-reference", str(copy), *map(str, options)])
    with pytest.raises(SystemExit) as stop:
        run_app(app)
    assert stop.value.code == 2
    printed = capsys.readouterr().err
    assert words in printed
    assert "Traceback" not in printed
    assert content_of(copy) == content_of(bare)


def test_command_moves_and_says_where(other, copy, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["insar", "re-reference", str(copy), "--rowcol", *map(str, other)])
    with pytest.raises(SystemExit) as stop:
        run_app(app)
    assert not stop.value.code
    printed = capsys.readouterr()
    assert f"Reference: row {other.row}, column {other.col} of the map, longitude" in printed.out
    assert "temporal_coherence" in printed.err


def test_result_without_a_time_series_is_refused(copy, other):
    (copy / "timeseries.h5").unlink()
    with pytest.raises(MissingInputError, match="time series"):
        move_reference(copy, rowcol=other)


def test_a_pixel_whose_network_is_split_cannot_be_the_reference(known_stack, first, copy):
    # The layer says that one more pixel is split; its series would carry the jumps into every other.
    path = copy / "layers" / "subsets.tif"
    values = layer_of(copy, "subsets")
    values[7, 7] = 2
    with rasterio.open(path) as source:
        profile = source.profile
    path.unlink()
    with rasterio.open(path, "w", **profile | {"driver": "GTiff"}) as sink:
        sink.write(values, 1)
    with pytest.raises(InputError, match="2 subsets"):
        move_reference(copy, rowcol=RowCol(7, 7))
