"""Cubes of HDF5 files against the arrays that were written, in every way of storing them."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from insar.errors import InputError
from insar.readers import hdf5
from insar.readers.files import OpenFiles
from insar.readers.hdf5 import ChunkedCube, LibraryCube, open_cube, open_hdf5
from insar.readers.sources import ZERO_IS_NO_DATA, Decoding, FlatCube
from insar.stack import CubeSource

SHAPE = (7, 11, 9)
STORED = {
    "contiguous": ({}, FlatCube),
    "chunked": ({"chunks": (3, 4, 5)}, ChunkedCube),
    "a chunk for each pair": ({"chunks": (1, 11, 9)}, ChunkedCube),
    "a chunk for all pairs": ({"chunks": (7, 4, 4)}, ChunkedCube),
    "compressed": ({"chunks": (3, 4, 5), "compression": "gzip"}, LibraryCube),
    "shuffled": ({"chunks": (3, 4, 5), "shuffle": True}, LibraryCube),
    "with checksums": ({"chunks": (3, 4, 5), "fletcher32": True}, LibraryCube),
}


def _values() -> np.ndarray:
    values = np.random.default_rng(3).normal(size=SHAPE).astype(np.float32)
    values[2, 5, 4] = 0.0
    values[3, 5, 4] = np.inf
    return values


def _expected(values: np.ndarray) -> np.ndarray:
    values = values.astype(np.float32)
    values[(values == 0) | ~np.isfinite(values)] = np.nan
    values[1::2] *= -1
    return values


def _open(path: Path, name: str = "cube") -> CubeSource:
    decodings = [ZERO_IS_NO_DATA.negated() if index % 2 else ZERO_IS_NO_DATA for index in range(SHAPE[0])]
    with open_hdf5(path) as file:
        return open_cube(path, file[name], decodings, OpenFiles())


@pytest.mark.parametrize("gap_bytes", [0, 1 << 20])
@pytest.mark.parametrize("storage", STORED)
@given(data=st.data())
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    deadline=None,
    max_examples=25,
)
def test_window_equals_slice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, storage: str, gap_bytes: int, data: st.DataObject
) -> None:
    monkeypatch.setattr(hdf5, "WORTH_SKIPPING_BYTES", gap_bytes)
    options, kind = STORED[storage]
    path = tmp_path / "a.h5"
    if not path.exists():
        with h5py.File(path, "w") as file:
            file.create_dataset("cube", data=_values(), **options)
    source = _open(path)
    assert type(source) is kind
    pairs = np.array(data.draw(st.lists(st.integers(0, SHAPE[0] - 1), max_size=9)), dtype=np.intp)
    rows = slice(*sorted(data.draw(st.tuples(st.integers(0, SHAPE[1]), st.integers(0, SHAPE[1])))))
    cols = slice(*sorted(data.draw(st.tuples(st.integers(0, SHAPE[2]), st.integers(0, SHAPE[2])))))
    block = source.read_block(pairs, rows, cols)
    assert block.dtype == np.float32
    np.testing.assert_array_equal(block, _expected(_values())[pairs, rows, cols])


@pytest.mark.parametrize("dtype", [">f4", "<f8", "i2", "u1"])
@pytest.mark.parametrize("options", [{}, {"chunks": (3, 4, 5)}, {"chunks": (3, 4, 5), "compression": "gzip"}])
def test_other_types(tmp_path: Path, dtype: str, options: dict[str, Any]) -> None:
    values = np.random.default_rng(3).integers(0, 100, SHAPE).astype(dtype)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("cube", data=values, **options)
    block = _open(tmp_path / "a.h5").read_block(np.arange(SHAPE[0]), slice(1, 10), slice(2, 9))
    np.testing.assert_array_equal(block, _expected(values)[:, 1:10, 2:9])


@pytest.mark.parametrize(
    ("decoding", "kind"),
    [
        (Decoding((), 1 / 255, 0.5), ChunkedCube),
        (Decoding((0.0,), -2.5), ChunkedCube),
        (Decoding((0.0, 7.0), 2.0), LibraryCube),
    ],
)
def test_values_are_decoded_as_everywhere(tmp_path: Path, decoding: Decoding, kind: type) -> None:
    values = np.random.default_rng(3).integers(0, 9, SHAPE).astype(np.float32)
    values[0, 0, :2] = np.inf, np.nan
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("cube", data=values, chunks=(3, 4, 5))
    with open_hdf5(tmp_path / "a.h5") as file:
        source = open_cube(tmp_path / "a.h5", file["cube"], [decoding] * SHAPE[0], OpenFiles())
    assert type(source) is kind
    decoding.apply(values)
    np.testing.assert_array_equal(source.read_block(np.arange(SHAPE[0]), slice(0, 11), slice(0, 9)), values)


def test_chunks_never_written_hold_the_fill_value(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        cube = file.create_dataset("cube", SHAPE, "f4", chunks=(3, 4, 5), fillvalue=2.5)
        cube[0:3, 0:4, 0:5] = 1.0
    block = _open(tmp_path / "a.h5").read_block(np.arange(SHAPE[0]), slice(0, 11), slice(0, 9))
    expected = np.full(SHAPE, 2.5, np.float32)
    expected[0:3, 0:4, 0:5] = 1.0
    np.testing.assert_array_equal(block, _expected(expected))


def test_dataset_never_written_is_no_data(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("cube", SHAPE, "f4")
    block = _open(tmp_path / "a.h5").read_block(np.arange(2), slice(0, 11), slice(0, 9))
    assert np.isnan(block).all()


def test_file_with_a_user_block_goes_through_the_library(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w", userblock_size=512) as file:
        file.create_dataset("cube", data=_values())
    source = _open(tmp_path / "a.h5")
    assert isinstance(source, LibraryCube)
    block = source.read_block(np.arange(SHAPE[0]), slice(0, 11), slice(0, 9))
    np.testing.assert_array_equal(block, _expected(_values()))


def test_virtual_dataset_goes_through_the_library(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "source.h5", "w") as file:
        file.create_dataset("cube", data=_values())
    layout = h5py.VirtualLayout(SHAPE, "f4")
    layout[:] = h5py.VirtualSource(tmp_path / "source.h5", "cube", SHAPE)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_virtual_dataset("cube", layout)
    source = _open(tmp_path / "a.h5")
    assert isinstance(source, LibraryCube)
    block = source.read_block(np.arange(SHAPE[0]), slice(0, 11), slice(0, 9))
    np.testing.assert_array_equal(block, _expected(_values()))


@pytest.mark.parametrize("storage", STORED)
def test_a_source_travels_to_another_process(tmp_path: Path, storage: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("cube", data=_values(), **STORED[storage][0])
    source = _open(tmp_path / "a.h5")
    window = (np.arange(3), slice(0, 2), slice(0, 2))
    first = source.read_block(*window)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(source)).read_block(*window), first)


def test_chunked_source_says_how_many_rows_lie_together(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("raw", data=_values(), chunks=(3, 4, 5))
        file.create_dataset("packed", data=_values(), chunks=(3, 6, 5), compression="gzip")
    assert getattr(_open(tmp_path / "a.h5", "raw"), "rows_per_chunk", None) == 4
    assert getattr(_open(tmp_path / "a.h5", "packed"), "rows_per_chunk", None) == 6


def test_file_being_written_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    script = f"import h5py; file = h5py.File({str(path)!r}, 'w', locking=True); print('open', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "open\n"
        with pytest.raises(InputError, match=r"a\.h5: required an HDF5 file .* not being written"), open_hdf5(path):
            pass
        writer.communicate("\n")
