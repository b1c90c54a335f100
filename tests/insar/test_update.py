"""New interferograms for a finished result: the answer is that of a run on all of them."""

from __future__ import annotations

import json
import shutil

import h5py
import numpy as np
import pytest

from insar.config import Settings
from insar.errors import InsarError, MissingInputError
from insar.pipeline import run_chain
from insar.readers import open_stack
from insar.simulate import SimulationParameters, simulate_stack
from insar.update_results import update_result

LAST_DATES = 2

BARE = {"creeping_slopes": 0, "accelerating_slopes": 0, "missing_fraction": 0.0, "missing_blobs_per_pair": 0.0}
"""Nothing that needs room, and data everywhere."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Folders of the whole stack, of what there was before the last dates, and of what is new."""
    folder = tmp_path_factory.mktemp("scene")
    parameters = SimulationParameters(rows=24, cols=20, acquisitions=9, connections=3, **BARE)
    simulate_stack(parameters, folder / "whole", "isce-tops")
    late = set(parameters.dates[-LAST_DATES:])
    for name, keeps_new in (("early", False), ("late", True)):
        shutil.copytree(folder / "whole", folder / name)
        for pair in parameters.pairs:
            if bool(late & {pair.reference, pair.secondary}) is not keeps_new:
                shutil.rmtree(folder / name / "merged" / "interferograms" / pair.name)
    return folder


def _checksums(folder):
    return {layer["name"]: layer["sha256"] for layer in json.loads((folder / "manifest.json").read_text())["layers"]}


@pytest.mark.parametrize("new", ["whole", "late"])
def test_an_updated_result_equals_a_run_on_everything(scene, tmp_path, new):
    settings = {"weights": "coherence", "model": "linear+poly:2", "reference_rowcol": (12, 9)}
    updated = run_chain(Settings(stack=scene / "early", **settings), tmp_path / "updated")
    folder, added = update_result(updated, scene / new)
    assert folder == updated
    known = {pair.name for pair in open_stack(scene / "early").pairs}
    assert added == [pair.name for pair in open_stack(scene / "whole").pairs if pair.name not in known]
    full = run_chain(Settings(stack=scene / "whole", **settings), tmp_path / "full")
    assert _checksums(updated) == _checksums(full)
    with h5py.File(updated / "timeseries.h5") as one, h5py.File(full / "timeseries.h5") as two:
        np.testing.assert_array_equal(one["date"], two["date"])
        np.testing.assert_allclose(one["timeseries"], two["timeseries"], atol=1e-6)
    manifest = json.loads((updated / "manifest.json").read_text())
    assert manifest["summary"]["updates"][0]["added"] == added
    again = run_chain_from(updated / "insar.toml", tmp_path / "again")
    assert _checksums(again) == _checksums(full)


def run_chain_from(configuration, output):
    from insar.config import load_settings

    return run_chain(load_settings(configuration, {}), output)


def test_the_reference_that_was_chosen_stays(scene, tmp_path):
    result = run_chain(Settings(stack=scene / "early"), tmp_path / "out")
    before = json.loads((result / "manifest.json").read_text())["summary"]["reference"]
    update_result(result, scene / "late")
    after = json.loads((result / "manifest.json").read_text())["summary"]["reference"]
    assert (after["stack_row"], after["stack_col"]) == (before["stack_row"], before["stack_col"])


def test_nothing_new_changes_nothing(scene, tmp_path):
    result = run_chain(Settings(stack=scene / "early"), tmp_path / "out")
    before = (result / "manifest.json").read_bytes()
    assert update_result(result, scene / "early") == (result, [])
    assert (result / "manifest.json").read_bytes() == before


def test_a_folder_that_is_no_result_and_a_stack_of_another_scene_are_refused(scene, tmp_path):
    with pytest.raises(MissingInputError, match="manifest"):
        update_result(scene / "early", scene / "late")
    result = run_chain(Settings(stack=scene / "early"), tmp_path / "out")
    before = (result / "manifest.json").read_bytes()
    simulate_stack(SimulationParameters(rows=34, cols=20, acquisitions=12, **BARE), tmp_path / "other", "isce-tops")
    with pytest.raises(InsarError, match="the grid of"):
        update_result(result, tmp_path / "other")
    assert (result / "manifest.json").read_bytes() == before
    assert not (result / ".work").exists()
