"""The sample stacks that lie in the repository."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SAMPLES = Path(__file__).resolve().parents[3] / "data_samples"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_samples", SAMPLES / "make_samples.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_samples_are_small(script: ModuleType) -> None:
    files = [path for name in script.FOLDERS for path in (SAMPLES / name).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 15_000_000


def test_samples_are_those_of_the_script(script: ModuleType) -> None:
    for name in script.FOLDERS:
        truth = json.loads((SAMPLES / name / "truth" / "truth.json").read_text())
        expected = asdict(script.PARAMETERS)
        expected["first_date"] = expected["first_date"].isoformat()
        assert truth["parameters"] == expected


def test_all_layouts_hold_one_scene(script: ModuleType) -> None:
    first, *others = (SAMPLES / name / "truth" for name in script.FOLDERS)
    for layer in sorted(first.glob("*.tif")):
        for other in others:
            assert (other / layer.name).read_bytes() == layer.read_bytes()


def test_slopes_move_in_every_layout(script: ModuleType) -> None:
    for name in script.FOLDERS:
        with np.load(SAMPLES / name / "truth" / "stack.npz", allow_pickle=False) as truth:
            kinds = np.bincount(truth["class"].ravel(), minlength=4)
            assert truth["velocity"].min() < -0.055
            assert truth["velocity"].max() > 0.035
        assert kinds[1] > 0.85 * kinds.sum()
        assert kinds[2] > 200
        assert kinds[3] > 15


def test_script_makes_them_in_place(script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    brief = replace(script.PARAMETERS, acquisitions=3, connections=1)
    monkeypatch.setattr(script, "PARAMETERS", brief)
    for _ in range(2):
        made = script.make_samples(tmp_path)
    assert [path.name for path in made] == list(script.FOLDERS)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(script.FOLDERS)
