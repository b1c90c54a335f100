"""Windows of flat rasters against slices of the arrays that were written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from insar.errors import InputError, MissingInputError
from insar.readers import flat
from insar.readers.files import OpenFile, OpenFiles
from insar.readers.flat import FlatBand, Interleave
from insar.readers.sources import ALL_IS_DATA, Decoding, FlatCube, FlatPlane, Layer

from .builders import interleave


@given(
    scheme=st.sampled_from(["BIL", "BIP", "BSQ"]),
    dtype=st.sampled_from(["<f4", ">f4", "<f8", ">f8", "u1", ">i2"]),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 7)),
    header=st.sampled_from([0, 5, 128]),
    data=st.data(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_window_equals_slice(
    tmp_path: Path, scheme: str, dtype: str, shape: tuple[int, int, int], header: int, data: st.DataObject
) -> None:
    bands = np.random.default_rng(1).integers(1, 100, shape).astype(dtype)
    path = tmp_path / "raster"
    path.write_bytes(b"h" * header + interleave(bands, scheme).tobytes())
    index = data.draw(st.integers(0, shape[0] - 1))
    start, stop = sorted(data.draw(st.tuples(st.integers(0, shape[1]), st.integers(0, shape[1]))))
    left, right = sorted(data.draw(st.tuples(st.integers(0, shape[2]), st.integers(0, shape[2]))))
    band = FlatBand(path, dtype, shape[1], shape[2], shape[0], index, Interleave(scheme), header)
    band.check_file()
    source = FlatPlane(Layer(band, ALL_IS_DATA), OpenFiles())
    window = source.read_window(slice(start, stop), slice(left, right))
    assert window.dtype == (np.float64 if dtype.endswith("f8") else np.float32)
    np.testing.assert_array_equal(window, bands[index, start:stop, left:right])


@pytest.mark.parametrize("piece_bytes", [1, 100, 1 << 20])
def test_pieces_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece_bytes: int) -> None:
    monkeypatch.setattr(flat, "PIECE_BYTES", piece_bytes)
    values = np.arange(1, 2 * 50 * 8 + 1, dtype=np.float32).reshape(2, 50, 8)
    path = tmp_path / "raster"
    interleave(values, "BIL").tofile(path)
    band = FlatBand(path, "<f4", 50, 8, 2, 1, Interleave.BIL)
    source = FlatPlane(Layer(band, ALL_IS_DATA), OpenFiles())
    np.testing.assert_array_equal(source.read_window(slice(3, 47), slice(1, 8)), values[1, 3:47, 1:8])


def test_only_the_window_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.arange(1, 101, dtype=np.float32).reshape(10, 10)
    path = tmp_path / "raster"
    values.tofile(path)
    reads: list[tuple[int, int]] = []
    original = OpenFile.read_into

    def record(self: OpenFile, offset: int, target: np.ndarray) -> None:
        reads.append((offset, target.nbytes))
        original(self, offset, target)

    monkeypatch.setattr(OpenFile, "read_into", record)
    source = FlatPlane(Layer(FlatBand(path, "<f4", 10, 10), ALL_IS_DATA), OpenFiles())
    window = source.read_window(slice(4, 6), slice(2, 5))
    np.testing.assert_array_equal(window, values[4:6, 2:5])
    assert reads == [((4 * 10 + 2) * 4, (10 + 3) * 4)]


@pytest.mark.parametrize("scheme", ["BIL", "BIP", "BSQ"])
def test_narrow_windows_of_long_rows_are_read_row_by_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setattr(flat, "SKIPPED_BYTES", 8)
    values = np.arange(1, 2 * 10 * 30 + 1, dtype=np.float32).reshape(2, 10, 30)
    path = tmp_path / "raster"
    interleave(values, scheme).tofile(path)
    source = FlatPlane(Layer(FlatBand(path, "<f4", 10, 30, 2, 1, Interleave(scheme)), ALL_IS_DATA), OpenFiles())
    np.testing.assert_array_equal(source.read_window(slice(2, 9), slice(11, 14)), values[1, 2:9, 11:14])


@pytest.mark.parametrize("found", [0, 399, 401])
def test_file_of_another_size_is_refused(tmp_path: Path, found: int) -> None:
    path = tmp_path / "short.unw"
    path.write_bytes(bytes(found))
    with pytest.raises(InputError, match=rf"short\.unw: required 400 bytes .*; found {found} bytes"):
        FlatBand(path, "<f4", 10, 10).check_file()


def test_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"gone\.unw"):
        FlatBand(tmp_path / "gone.unw", "<f4", 10, 10).check_file()


def test_file_cut_after_opening_is_an_error_not_zeros(tmp_path: Path) -> None:
    path = tmp_path / "raster"
    np.ones((10, 10), np.float32).tofile(path)
    source = FlatPlane(Layer(FlatBand(path, "<f4", 10, 10)), OpenFiles())
    with path.open("r+b") as stream:
        stream.truncate(200)
    np.testing.assert_array_equal(source.read_window(slice(0, 5), slice(0, 10)), 1.0)
    with pytest.raises(InputError, match="end of the file at 200"):
        source.read_window(slice(0, 6), slice(0, 10))


def test_no_data_becomes_nan_before_scale_and_offset(tmp_path: Path) -> None:
    path = tmp_path / "raster"
    np.array([[0, 1, -9999, np.inf, np.nan, -2]], np.float32).tofile(path)
    layer = Layer(FlatBand(path, "<f4", 1, 6), Decoding((0.0, -9999.0), factor=2.0, offset=0.5))
    read = FlatPlane(layer, OpenFiles()).read_window(slice(0, 1), slice(0, 6))
    np.testing.assert_array_equal(read[0], np.float32([np.nan, 2.5, np.nan, np.nan, np.nan, -3.5]))


def test_negated_layer_changes_the_sign_of_values_and_offset() -> None:
    block = np.float32([0, 1, 2])
    Decoding((0.0,), factor=2.0, offset=0.5).negated().apply(block)
    np.testing.assert_array_equal(block, np.float32([np.nan, -2.5, -4.5]))


def test_cube_has_nan_for_a_pair_without_a_file(tmp_path: Path) -> None:
    path = tmp_path / "raster"
    np.full((2, 3), 4.0, np.float32).tofile(path)
    cube = FlatCube((Layer(FlatBand(path, "<f4", 2, 3)), None), OpenFiles())
    block = cube.read_block(np.array([1, 0, 1]), slice(0, 2), slice(0, 3))
    assert np.isnan(block[[0, 2]]).all()
    assert (block[1] == 4.0).all()
