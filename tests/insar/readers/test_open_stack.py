"""Which reader opens a folder, and what is said where none does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from insar.errors import InputError, MissingInputError, OptionError
from insar.readers import PROCESSORS, open_stack

from .builders import MAP_ATTRIBUTES, IsceBuilder, SnapBuilder, plane, write_mintpy


def test_processors_are_recognised(isce: IsceBuilder, stripmap: IsceBuilder, whole_snap: SnapBuilder) -> None:
    for root, processor in ((isce.root, "isce"), (stripmap.root, "isce"), (whole_snap.root, "snap")):
        assert open_stack(root).processor == processor
        assert open_stack(str(root), processor).pairs == open_stack(root).pairs


@pytest.mark.parametrize("place", ["ifgramStack.h5", "inputs/ifgramStack.h5", "other_name.h5"])
def test_mintpy_is_recognised_by_folder_or_file(tmp_path: Path, place: str) -> None:
    data = {"unwrapPhase": plane(0)[None]}
    file = write_mintpy(tmp_path / place, [("20180106", "20180118")], data, **MAP_ATTRIBUTES)
    assert open_stack(file).processor == "mintpy"
    if place != "other_name.h5":
        assert open_stack(tmp_path).processor == "mintpy"


def test_merged_folder_opens_the_same_stack(isce: IsceBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = open_stack(isce.root)
    for path in (isce.root / "merged", isce.pairs):
        merged = open_stack(path)
        assert merged.pairs == whole.pairs
        assert merged.wavelength_m == whole.wavelength_m
        np.testing.assert_array_equal(merged.perpendicular_baselines_m, whole.perpendicular_baselines_m)
    monkeypatch.chdir(isce.root / "merged")
    assert open_stack(".").wavelength_m == whole.wavelength_m


def test_unknown_processor_lists_the_known_ones() -> None:
    with pytest.raises(OptionError, match=f"required auto, {', '.join(PROCESSORS)}; found gamma2"):
        open_stack("anywhere", "gamma2")
    assert {"isce", "snap", "mintpy", "gamma", "roipac"} <= set(PROCESSORS)


@pytest.mark.parametrize("processor", ["auto", *PROCESSORS])
def test_path_that_does_not_exist(tmp_path: Path, processor: str) -> None:
    with pytest.raises(MissingInputError, match=r"nowhere: .* found no such file or folder"):
        open_stack(tmp_path / "nowhere", processor)


def test_empty_folder_is_called_empty(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found an empty folder"):
        open_stack(tmp_path)


@pytest.mark.parametrize("processor", PROCESSORS)
def test_empty_folder_of_a_named_processor(tmp_path: Path, processor: str) -> None:
    with pytest.raises((InputError, MissingInputError), match="found no "):
        open_stack(tmp_path, processor)


def test_a_folder_of_something_else_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(InputError) as caught:
        open_stack(tmp_path)
    message = str(caught.value)
    for part in ("isce (merged/interferograms", "snap (*.dim", "mintpy (ifgramStack.h5", "holiday.jpg"):
        assert part in message


def test_a_file_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match=r"found the file notes\.txt"):
        open_stack(tmp_path / "notes.txt")


def test_two_processors_in_one_folder_must_be_told_apart(isce: IsceBuilder) -> None:
    write_mintpy(isce.root / "inputs/ifgramStack.h5", [("20180106", "20180118")], {"unwrapPhase": plane(0)[None]})
    with pytest.raises(InputError, match="found those of isce and mintpy"):
        open_stack(isce.root)
    assert open_stack(isce.root, "isce").processor == "isce"
    assert open_stack(isce.root, "mintpy").processor == "mintpy"


def test_importing_the_readers_is_light() -> None:
    script = (
        "import sys; from insar.readers import open_stack; "
        "print(sorted({'h5py','rasterio','pyproj','numba','dask','defusedxml','scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
