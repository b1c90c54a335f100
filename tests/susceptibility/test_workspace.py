"""Work in progress: kept of a killed run, used by the next, and never that of another recipe, file or version."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from susceptibility import pipeline
from susceptibility.errors import OptionError
from susceptibility.evaluation import SampledRows, evaluate
from susceptibility.pipeline import work_of
from susceptibility.recipe import parse_recipe
from susceptibility.study import prepare_study
from susceptibility.workspace import kept_workspace, key_of


def leave(output: Path, key: str, error: type[BaseException] | BaseException | None = KeyboardInterrupt) -> Path:
    """Work until a file is written, and end by an error."""
    with kept_workspace(output, key) as folder:
        (folder / "done.txt").write_text("half")
        if error is not None:
            raise error
    return folder


def test_a_killed_run_leaves_its_work_and_the_next_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    output = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        leave(output, "k")
    caplog.set_level(logging.INFO)
    with kept_workspace(output, "k") as folder:
        assert folder == tmp_path / ".out.work"
        assert (folder / "done.txt").read_text() == "half"
    assert "going on from" in caplog.text
    assert not folder.exists()


@pytest.mark.parametrize("error", [MemoryError, OSError, RuntimeError])
def test_work_stays_where_input_is_not_at_fault(tmp_path: Path, error: type[Exception]) -> None:
    with pytest.raises(error):
        leave(tmp_path / "out", "k", error)
    assert (tmp_path / ".out.work" / "done.txt").is_file()


def test_work_on_wrong_input_is_removed(tmp_path: Path) -> None:
    error = OptionError("a", required="b", found="c", remedy="d")
    with pytest.raises(OptionError):
        leave(tmp_path / "out", "k", error)
    assert not list(tmp_path.iterdir())


def test_finished_work_is_removed(tmp_path: Path) -> None:
    leave(tmp_path / "out", "k", None)
    assert not list(tmp_path.iterdir())


def test_work_of_another_key_is_removed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(KeyboardInterrupt):
        leave(tmp_path / "out", "k")
    caplog.set_level(logging.INFO)
    with kept_workspace(tmp_path / "out", "other") as folder:
        assert [path.name for path in folder.iterdir()] == ["key"]
    assert "going on" not in caplog.text


def test_a_folder_without_a_key_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / ".out.work").mkdir()
    (tmp_path / ".out.work" / "done.txt").write_text("of whom?")
    with kept_workspace(tmp_path / "out", "k") as folder:
        assert not (folder / "done.txt").exists()


def test_keys_go_by_settings_and_by_what_is_in_the_files(tmp_path: Path) -> None:
    one, folder = tmp_path / "a.tif", tmp_path / "layers"
    one.write_bytes(b"abc")
    folder.mkdir()
    (folder / "rate.tif").write_bytes(b"123")
    first = key_of("x", [one, folder])
    assert key_of("x", [one, folder]) == first
    os.utime(one, ns=(1, 1))
    assert key_of("x", [one, folder]) == first  # its content is the same
    seen = {first, key_of("y", [one, folder]), key_of("x", [one])}
    one.write_bytes(b"abd")
    seen.add(key_of("x", [one, folder]))
    os.utime(folder / "rate.tif", ns=(1, 1))
    seen.add(key_of("x", [one, folder]))
    (folder / "new.tif").write_bytes(b"")
    seen.add(key_of("x", [one, folder]))
    assert len(seen) == 6


def test_the_work_of_a_study_is_of_its_recipe_its_files_and_the_versions(
    quick_recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, simulated: Path
) -> None:
    dem = tmp_path / "dem.tif"
    dem.write_bytes((simulated / "dem.tif").read_bytes())
    quick_recipe["factors"]["dem"] = str(dem)

    def is_kept(content: dict[str, Any]) -> bool:
        """Whether work that is left is there in another run; it is left anew."""
        found = []
        with contextlib.suppress(KeyboardInterrupt), work_of(parse_recipe(content), tmp_path / "out") as folder:
            found.append((folder / "done.txt").is_file())
            (folder / "done.txt").write_text("")
            raise KeyboardInterrupt
        return found[0]

    assert not is_kept(quick_recipe)
    assert is_kept(quick_recipe)
    changed = quick_recipe | {"sampling": {"repeats": 2, "seed": 7}}
    assert not is_kept(changed)
    assert is_kept(changed)
    dem.write_bytes(dem.read_bytes() + b"\n")
    assert not is_kept(changed)
    assert is_kept(changed)
    monkeypatch.setattr(pipeline, "versions", lambda: {"scarp": "another"})
    assert not is_kept(changed)


@pytest.fixture
def evaluated(quick_recipe: dict[str, Any], tmp_path: Path) -> Callable[..., Any]:
    """Validate the quick recipe with one model, its folds kept in a folder."""
    quick_recipe["models"] = {"names": ["logistic_regression"]}
    quick_recipe["sampling"] = {"repeats": 1}
    study = prepare_study(parse_recipe(quick_recipe), tmp_path / "work")
    names = [name for name in study.data.names if name in study.design.names("static_insar")]
    rows = SampledRows.of(study.data, names, study.samples, tmp_path / "work" / "sampled.bin")

    def call(folder: Path | None, **options: Any) -> Any:
        return evaluate(study.design, rows, study.partitions, folder=folder, workers=1, **options)

    return call


def test_folds_that_are_kept_are_not_computed_again(evaluated: Callable[..., Any], tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    whole = evaluated(tmp_path / "folds", progress=lambda done, total: told.append((done, total)))
    paths = sorted((tmp_path / "folds").iterdir())
    assert [path.name for path in paths] == [f"{number:06d}.npz" for number in range(12)]
    assert told[-1] == (12, 12)
    for path in paths[7:]:
        path.unlink()
    before = [path.stat().st_mtime_ns for path in paths[:7]]
    told.clear()
    again = evaluated(tmp_path / "folds", progress=lambda done, total: told.append((done, total)))
    assert told[0] == (7, 12)
    assert told[-1] == (12, 12)
    assert [path.stat().st_mtime_ns for path in paths[:7]] == before
    alone = evaluated(None)
    for key, results in whole.folds.items():
        for others in (again.folds[key], alone.folds[key]):
            for one, other in zip(results, others, strict=True):
                np.testing.assert_array_equal(one.probability, other.probability)
                np.testing.assert_equal(one.metrics, other.metrics)


def test_what_is_kept_is_what_is_used(evaluated: Callable[..., Any], tmp_path: Path) -> None:
    """A fold that says something else shows: it was read, not computed."""
    whole = evaluated(tmp_path / "folds")
    first, second = (tmp_path / "folds" / f"{number:06d}.npz" for number in range(2))
    first.write_bytes(second.read_bytes())
    changed = evaluated(tmp_path / "folds")
    key = next(iter(whole.folds))
    assert [result.fold for result in changed.folds[key]] == [1, 1, 2]
    assert changed.folds[key][0].metrics == whole.folds[key][1].metrics
