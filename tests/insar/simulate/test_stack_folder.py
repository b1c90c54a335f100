from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from insar.errors import OptionError
from insar.layers import read_layer
from insar.simulate import LAYOUTS, SimulatedScene, SimulationParameters, simulate_scene, simulate_stack, write_layout
from insar.simulate.layouts import Progress


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_same_parameters_give_the_same_bytes(small: SimulationParameters, layout: str, tmp_path: Path) -> None:
    brief = replace(small, acquisitions=4)
    first, second = (simulate_stack(brief, tmp_path / name, layout) for name in ("first", "second"))
    assert content(first) == content(second)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "second"]


def test_progress_counts_interferograms(full_scene: SimulatedScene, tmp_path: Path) -> None:
    for layout in LAYOUTS:
        calls: list[tuple[int, int]] = []
        write_layout(full_scene, tmp_path / layout, layout, progress=lambda *call, kept=calls: kept.append(call))
        total = len(full_scene.pairs)
        assert calls == [(done, total) for done in range(1, total + 1)]


@pytest.mark.parametrize("occupant", ["file in it", "is a file"])
def test_occupied_target_is_refused(small: SimulationParameters, occupant: str, tmp_path: Path) -> None:
    target = tmp_path / "target"
    if occupant == "is a file":
        target.write_text("mine")
    else:
        target.mkdir()
        (target / "mine.txt").write_text("mine")
    with pytest.raises(OptionError, match="empty or does not exist"):
        simulate_stack(small, target, "snap")
    assert (target if target.is_file() else target / "mine.txt").read_text() == "mine"
    assert list(tmp_path.iterdir()) == [target]


def test_empty_and_nested_targets_are_fine(small: SimulationParameters, tmp_path: Path) -> None:
    brief = replace(small, acquisitions=3, connections=1)
    (tmp_path / "empty").mkdir()
    for target in (tmp_path / "empty", tmp_path / "some" / "where"):
        assert simulate_stack(brief, target, "snap") == target
        assert (target / "dem_tc.dim").exists()


def test_unknown_layout_is_refused_before_work(small: SimulationParameters, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="isce-tops"):
        simulate_stack(small, tmp_path / "new", "envisat")
    assert not (tmp_path / "new").exists()


@dataclass(frozen=True)
class Failing:
    name: str = "failing"

    def place(self, scene: SimulatedScene) -> SimulatedScene:
        return scene

    def write(self, stack: SimulatedScene, folder: Path, progress: Progress) -> None:
        (folder / "half.bin").write_bytes(b"half")
        raise RuntimeError("disk full")


def test_nothing_is_left_of_a_failure(full_scene: SimulatedScene, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="disk full"):
        write_layout(full_scene, tmp_path / "target", Failing())
    assert list(tmp_path.iterdir()) == []


def test_remains_of_a_killed_run_are_replaced(full_scene: SimulatedScene, tmp_path: Path) -> None:
    (tmp_path / ".target.partial").mkdir()
    (tmp_path / ".target.partial" / "half.bin").write_bytes(b"half")
    write_layout(full_scene, tmp_path / "target", "snap")
    assert list(tmp_path.iterdir()) == [tmp_path / "target"]
    assert not list((tmp_path / "target").rglob("half.bin"))


def test_truth_on_the_map(full_scene: SimulatedScene, tmp_path: Path) -> None:
    folder = write_layout(full_scene, tmp_path / "stack", "isce-tops") / "truth"
    fields = full_scene.fields
    expected = {
        "velocity": fields.velocity_m_per_year,
        "linear_rate": full_scene.linear_rate_m_per_year(),
        "last_rate": full_scene.last_rate_m_per_year(),
        "cumulative_displacement": full_scene.displacement_m(len(full_scene.dates) - 1),
        "seasonal_amplitude": fields.seasonal_amplitude_m,
        "dem": fields.height_m,
        "dem_error": fields.dem_error_m,
        "vegetation": fields.vegetation,
        "incidence_angle": fields.incidence_deg,
        "class": fields.kind,
    }
    assert {path.stem for path in folder.glob("*.tif")} == set(expected)
    for name, values in expected.items():
        found, grid, definition = read_layer(folder / f"{name}.tif")
        np.testing.assert_array_equal(found, values)
        assert grid == full_scene.pixels.grid
        assert definition.unit
    assert read_layer(folder / "velocity.tif")[2].sign == "positive toward the satellite"


def test_truth_on_the_stacks_pixels(full_scene: SimulatedScene, tmp_path: Path) -> None:
    folder = write_layout(full_scene, tmp_path / "stack", "isce-stripmap") / "truth"
    stack = full_scene.on_radar_grid()
    with np.load(folder / "stack.npz", allow_pickle=False) as truth:
        np.testing.assert_array_equal(truth["displacement"], stack.displacements_m())
        assert not truth["displacement"][0].any()
        np.testing.assert_array_equal(truth["velocity"], stack.fields.velocity_m_per_year)
        np.testing.assert_array_equal(truth["class"], stack.fields.kind)


def test_truth_in_words(full_scene: SimulatedScene, tmp_path: Path) -> None:
    folder = write_layout(full_scene, tmp_path / "stack", "snap") / "truth"
    truth = json.loads((folder / "truth.json").read_text())
    parameters = dict(truth["parameters"])
    parameters["first_date"] = date.fromisoformat(parameters["first_date"])
    assert SimulationParameters(**parameters) == full_scene.parameters
    assert truth["pairs"] == [pair.name for pair in full_scene.pairs]
    assert truth["perpendicular_baselines_m"] == full_scene.perpendicular_baselines_m.tolist()
    assert [slope["kind"] for slope in truth["slopes"]] == ["accelerating", "creeping", "creeping"]
    assert [jump["pair"] for jump in truth["jumps"]] == [
        full_scene.pairs[jump.pair_index].name for jump in full_scene.jumps
    ]


def test_infinity_is_a_word_in_json(small: SimulationParameters, tmp_path: Path) -> None:
    scene = simulate_scene(replace(small, critical_baseline_m=float("inf"), acquisitions=3, connections=1))
    text = (write_layout(scene, tmp_path / "stack", "snap") / "truth" / "truth.json").read_text()
    assert json.loads(text)["parameters"]["critical_baseline_m"] == "infinity"
