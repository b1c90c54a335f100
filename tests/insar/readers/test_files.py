"""Open files: how many, for how long, and shared by threads."""

from __future__ import annotations

import gc
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from insar.errors import InputError, MissingInputError
from insar.readers.files import OpenFiles


def _write(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"{index:03}" for index in range(count)]
    for index, path in enumerate(paths):
        np.full(64, index, np.uint8).tofile(path)
    return paths


def _read(files: OpenFiles, path: Path) -> np.ndarray:
    target = np.empty(60, np.uint8)
    with files.borrow(path) as file:
        file.read_into(4, target)
    return target


def test_files_kept_open_are_bounded(tmp_path: Path) -> None:
    files = OpenFiles(limit=3)
    for index, path in enumerate(_write(tmp_path, 20)):
        assert (_read(files, path) == index).all()
        assert len(files) <= 3


def test_a_file_in_use_is_not_closed(tmp_path: Path) -> None:
    files = OpenFiles(limit=1)
    first, *others = _write(tmp_path, 4)
    with files.borrow(first) as file:
        for path in others:
            _read(files, path)
        target = np.empty(64, np.uint8)
        file.read_into(0, target)
        assert (target == 0).all()
    assert len(files) == 1


def test_threads_share_few_files(tmp_path: Path) -> None:
    files = OpenFiles(limit=2)
    paths = _write(tmp_path, 8)
    jobs = [index % 8 for index in range(400)]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda index: _read(files, paths[index]), jobs))
    for index, read in zip(jobs, results, strict=True):
        assert (read == index).all()
    assert len(files) <= 2


@pytest.mark.skipif(sys.platform != "linux", reason="counts open files in /proc")
def test_files_are_closed_with_their_owner(tmp_path: Path) -> None:
    gc.collect()
    before = len(list(Path("/proc/self/fd").iterdir()))
    files = OpenFiles()
    for path in _write(tmp_path, 10):
        _read(files, path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before + 10
    del files
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_copy_in_another_process_opens_its_own(tmp_path: Path) -> None:
    files = OpenFiles(limit=5)
    path = _write(tmp_path, 1)[0]
    _read(files, path)
    copy = pickle.loads(pickle.dumps(files))
    assert len(copy) == 0
    assert (_read(copy, path) == 0).all()


def test_a_file_that_has_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="gone"):
        _read(OpenFiles(), tmp_path / "gone")


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "looping"
    folder.symlink_to(folder)
    with pytest.raises(InputError, match="looping: required a file that can be read"):
        _read(OpenFiles(), folder)
