"""GACOS: headers and maps against the files themselves, and what is refused."""

import pickle
import shutil
from datetime import date

import numpy as np
import pytest

from insar.errors import InputError, MissingInputError
from insar.readers.gacos import read_gacos

from .geotiffs import write_tif

DAYS = (date(2017, 3, 17), date(2017, 4, 10))
HEADER = """WIDTH 4
FILE_LENGTH 3
X_FIRST 86.0
Y_FIRST 24.0
X_STEP 0.5
Y_STEP -0.25
TIME_OF_DAY 12.35UTC
"""
VALUES = 2.0 + 0.01 * np.arange(12, dtype="<f4").reshape(3, 4)


@pytest.fixture
def folder(tmp_path):
    for day in DAYS:
        (tmp_path / f"{day:%Y%m%d}.ztd").write_bytes(VALUES.tobytes())
        (tmp_path / f"{day:%Y%m%d}.ztd.rsc").write_text(HEADER)
    (tmp_path / "20170317.ztd.png").write_bytes(b"")
    (tmp_path / "99999999.ztd").write_bytes(b"no date")
    return tmp_path


def test_first_is_the_centre_of_the_first_pixel(folder):
    first, second = read_gacos(folder, DAYS)
    assert (first.day, second.day) == DAYS
    assert first.grid == second.grid
    assert first.grid.crs == "EPSG:4326"
    assert first.grid.map_coordinates(0.5, 0.5) == (86.0, 24.0)
    assert first.grid.map_coordinates(2.5, 3.5) == (87.5, 23.5)
    assert first.utc_s == pytest.approx(12.35 * 3600)
    assert np.array_equal(np.asarray(first.delay_m), VALUES)
    assert np.array_equal(first.delay_m.read(slice(1, 2), slice(2, 4)), VALUES[1:2, 2:4])


def test_zero_is_no_data(folder):
    values = VALUES.copy()
    values[2, 1] = 0.0
    (folder / "20170317.ztd").write_bytes(values.tobytes())
    delay, _ = read_gacos(folder, DAYS)
    expected = np.where(values == 0, np.nan, values)
    assert np.array_equal(np.asarray(delay.delay_m), expected, equal_nan=True)


def test_pickled_maps_read_the_same(folder):
    delays = pickle.loads(pickle.dumps(read_gacos(folder, DAYS)))
    assert np.array_equal(np.asarray(delays[1].delay_m), VALUES)


def test_missing_dates_are_listed_in_one_message(folder):
    dates = (*DAYS, date(2017, 5, 4), date(2017, 5, 28))
    with pytest.raises(MissingInputError, match=r"each of the 4 dates; found none for 2: 20170504, 20170528"):
        read_gacos(folder, dates)


def test_missing_folder(tmp_path):
    with pytest.raises(MissingInputError, match="a folder of GACOS files"):
        read_gacos(tmp_path / "none", DAYS)


def test_missing_header(folder):
    (folder / "20170410.ztd.rsc").unlink()
    with pytest.raises(MissingInputError, match=r"the header of 20170410\.ztd"):
        read_gacos(folder, DAYS)


def test_file_of_another_size(folder):
    (folder / "20170410.ztd").write_bytes(VALUES.tobytes()[:-4])
    with pytest.raises(InputError, match=r"20170410\.ztd: required 48 bytes \(3 rows x 4 columns"):
        read_gacos(folder, DAYS)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("WIDTH 4\n", "", "found no WIDTH"),
        ("X_STEP 0.5", "X_STEP wide", "a number as X_STEP"),
        ("Y_STEP -0.25", "Y_STEP 0.25", "north up"),
        ("X_FIRST 86.0", "X_FIRST 500000", "a map in degrees"),
        ("WIDTH 4", "WIDTH 0", "0 columns"),
    ],
)
def test_headers_that_cannot_be(folder, old, new, message):
    (folder / "20170317.ztd.rsc").write_text(HEADER.replace(old, new))
    with pytest.raises(InputError, match=message):
        read_gacos(folder, DAYS)


@pytest.mark.parametrize(
    "values", [VALUES.astype(">f4"), 100.0 * VALUES, VALUES - np.float32(2.06)], ids=["big-endian", "cm", "differences"]
)
def test_what_are_no_delays_in_metres(folder, values):
    (folder / "20170410.ztd").write_bytes(values.tobytes())
    with pytest.raises(InputError, match=r"20170410\.ztd: required zenith total delays in metres"):
        read_gacos(folder, DAYS)


def test_time_of_day_that_is_none(folder):
    (folder / "20170317.ztd.rsc").write_text(HEADER.replace("12.35UTC", "noon"))
    assert read_gacos(folder, DAYS)[0].utc_s is None


def test_geotiffs_where_there_is_no_flat_file(folder):
    (folder / "20170410.ztd").unlink()
    values = VALUES.astype(np.float32)
    write_tif(folder / "20170410.ztd.tif", values, origin=(86.0, 24.0), pixel=0.5, crs="EPSG:4326")
    write_tif(folder / "20170317.ztd.tif", values + 1, origin=(86.0, 24.0), pixel=0.5, crs="EPSG:4326")
    flat, tif = read_gacos(folder, DAYS)
    assert np.array_equal(np.asarray(flat.delay_m), VALUES)
    assert tif.grid.map_coordinates(0.0, 0.0) == (86.0, 24.0)
    assert np.array_equal(np.asarray(tif.delay_m), values)
    assert tif.utc_s is None


def test_projected_geotiffs_are_refused(folder):
    (folder / "20170410.ztd").unlink()
    write_tif(folder / "20170410.ztd.tif", VALUES.astype(np.float32), origin=(5e5, 4e6), pixel=90.0, crs="EPSG:32645")
    with pytest.raises(InputError, match="degrees of longitude and latitude"):
        read_gacos(folder, DAYS)


def test_sample(shared_data, tmp_path):
    source = shared_data / "format_samples" / "gacos"
    for path in source.iterdir():
        shutil.copy(path, tmp_path)
    first, second = read_gacos(tmp_path, DAYS)
    assert first.grid.shape == (80, 140)
    assert first.grid == second.grid
    np.testing.assert_allclose(first.grid.map_coordinates(0.5, 0.5), (86.26667, 23.83333), atol=1e-9)
    stored = np.fromfile(source / "20170410.ztd", "<f4").reshape(80, 140)
    assert np.array_equal(np.asarray(second.delay_m), stored)
