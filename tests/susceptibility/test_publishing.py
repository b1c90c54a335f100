"""Result folders: whole or not there, and nobody else's files touched."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from susceptibility.errors import OptionError
from susceptibility.publishing import MANIFEST, staged_folder, write_manifest


def publish(output: Path, files: dict[str, str], *, overwrite: bool = False, kind: str = "test") -> None:
    with staged_folder(output, kind, overwrite=overwrite) as folder:
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content, encoding="utf-8")
        write_manifest(folder, kind, {"note": "x"})


def fail_halfway(output: Path) -> None:
    with staged_folder(output, "test", overwrite=True) as folder:
        (folder / "half.txt").write_text("half", encoding="utf-8")
        raise RuntimeError


def everything(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_a_result_appears_whole_with_checksums(tmp_path: Path) -> None:
    publish(tmp_path / "new" / "out", {"a.txt": "one", "maps/b.txt": "two"})
    assert everything(tmp_path) == {
        "new", "new/out", "new/out/a.txt", "new/out/maps", "new/out/maps/b.txt", "new/out/manifest.json",
    }  # fmt: skip
    content = json.loads((tmp_path / "new" / "out" / MANIFEST).read_text())
    assert content["kind"] == "test"
    assert content["files"]["maps/b.txt"] == {"bytes": 3, "sha256": hashlib.sha256(b"two").hexdigest()}


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        fail_halfway(tmp_path / "out")
    assert everything(tmp_path) == set()


def test_a_failure_leaves_a_former_result_as_it_was(tmp_path: Path) -> None:
    publish(tmp_path / "out", {"a.txt": "one"})
    with pytest.raises(RuntimeError):
        fail_halfway(tmp_path / "out")
    assert (tmp_path / "out" / "a.txt").read_text() == "one"
    assert everything(tmp_path) == {"out", "out/a.txt", "out/manifest.json"}


def test_a_former_result_is_replaced_and_other_files_stay(tmp_path: Path) -> None:
    publish(tmp_path / "out", {"maps/old/a.txt": "one", "b.txt": "b"})
    (tmp_path / "out" / "notes.md").write_text("mine", encoding="utf-8")
    publish(tmp_path / "out", {"maps/new/a.txt": "two"}, overwrite=True)
    assert everything(tmp_path / "out") == {"maps", "maps/new", "maps/new/a.txt", "manifest.json", "notes.md"}


def test_a_former_result_is_not_replaced_unasked(tmp_path: Path) -> None:
    publish(tmp_path / "out", {"a.txt": "one"})
    with pytest.raises(OptionError, match="--overwrite"):
        publish(tmp_path / "out", {"a.txt": "two"})


@pytest.mark.parametrize("overwrite", [False, True])
def test_other_folders_and_files_are_refused(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("x", encoding="utf-8")
    (tmp_path / "file").write_text("x", encoding="utf-8")
    publish(tmp_path / "other", {"a.txt": "one"}, kind="another kind")
    for name in ("home", "file", "other"):
        before = everything(tmp_path)
        with pytest.raises(OptionError, match="Name another folder"):
            publish(tmp_path / name, {"a.txt": "two"}, overwrite=overwrite)
        assert everything(tmp_path) == before


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    publish(tmp_path / "out", {"a.txt": "one"})
    assert everything(tmp_path / "out") == {"a.txt", "manifest.json"}


def test_a_manifest_cannot_name_files_elsewhere(tmp_path: Path) -> None:
    publish(tmp_path / "out", {"a.txt": "one"})
    (tmp_path / "precious.txt").write_text("x", encoding="utf-8")
    manifest = tmp_path / "out" / MANIFEST
    content = json.loads(manifest.read_text())
    content["files"]["../precious.txt"] = {}
    manifest.write_text(json.dumps(content), encoding="utf-8")
    publish(tmp_path / "out", {"a.txt": "two"}, overwrite=True)
    assert (tmp_path / "precious.txt").exists()


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".out.partial").mkdir()
    (tmp_path / ".out.partial" / "half.txt").write_text("half", encoding="utf-8")
    publish(tmp_path / "out", {"a.txt": "one"})
    assert everything(tmp_path) == {"out", "out/a.txt", "out/manifest.json"}
