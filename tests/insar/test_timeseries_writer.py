"""The time series file: what goes in comes out, in place, and under the names MintPy reads."""

from __future__ import annotations

import itertools
import threading
from datetime import date, timedelta
from pathlib import Path

import h5py
import numpy as np
import pytest
from affine import Affine

from insar.errors import InputError, MissingInputError
from insar.grid import Grid, RowCol
from insar.stack import Acquisition, Geometry, Pair, Plane, Stack
from insar.writers.timeseries import create_timeseries_file, read_timeseries, timeseries_memmap

DATES = tuple(date(2020, 1, 1) + timedelta(days=12 * index) for index in range(5))
GEOGRAPHIC = Grid(7, 9, Affine(0.002, 0, -70.1, 0, -0.001, -33.2), "EPSG:4326")
UTM = Grid(7, 9, Affine(30.0, 0, 350_000.0, 0, -40.0, 6_320_000.0), "EPSG:32719")
REFERENCE = RowCol(2, 3)
BASELINES = np.array([0.0, 31.5, -20.25, np.nan, 7.0])


class ArraySource:
    def __init__(self, values):
        self.values = values

    def read_window(self, rows, cols):
        return self.values[rows, cols]


def stack_on(grid: Grid, **acquisition) -> Stack:
    pairs = tuple(Pair(*two) for two in itertools.pairwise(DATES))
    return Stack(
        path=Path("stack"),
        processor="isce",
        pairs=pairs,
        wavelength_m=0.0554657646,
        perpendicular_baselines_m=np.zeros(4),
        grid=grid,
        acquisition=Acquisition(**acquisition),
    )


def create(path: Path, grid: Grid, *, stack: Stack | None = None, reference: RowCol | None = REFERENCE) -> None:
    create_timeseries_file(
        path,
        grid=grid,
        dates=DATES,
        stack=stack or stack_on(grid),
        reference=reference,
        perpendicular_baselines_m=BASELINES,
    )


def attributes_of(path: Path) -> dict[str, str]:
    with h5py.File(path) as file:
        assert all(isinstance(value, str) for value in file.attrs.values())
        return dict(file.attrs)


def write_in_threads(path: Path, values: np.ndarray) -> None:
    target = timeseries_memmap(path)

    def write(rows: slice) -> None:
        target[:, rows] = values[:, rows]

    threads = [threading.Thread(target=write, args=(rows,)) for rows in (slice(0, 3), slice(3, 5), slice(5, 7))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    target.flush()


@pytest.mark.parametrize("grid", [GEOGRAPHIC, UTM, Grid.radar(7, 9)], ids=["degrees", "utm", "radar"])
def test_what_is_written_in_place_is_read_back(tmp_path, grid):
    path = tmp_path / "timeseries.h5"
    create(path, grid)
    assert [file.name for file in tmp_path.iterdir()] == ["timeseries.h5"]
    truth = np.random.default_rng(3).normal(size=(5, 7, 9)).astype(np.float32)
    truth[:, 5, 5] = np.nan
    write_in_threads(path, truth)
    with h5py.File(path) as file:
        assert set(file) == {"bperp", "date", "timeseries"}
        np.testing.assert_array_equal(file["timeseries"][()], truth)
        assert file["timeseries"].dtype == np.dtype("<f4")
        assert file["date"][()].tolist() == [b"20200101", b"20200113", b"20200125", b"20200206", b"20200218"]
        np.testing.assert_array_equal(file["bperp"][()], BASELINES.astype(np.float32))
    displacement, dates, read_grid, _ = read_timeseries(path)
    assert isinstance(displacement, np.memmap)
    np.testing.assert_array_equal(displacement, truth)
    assert dates == DATES
    assert read_grid == grid


def test_unwritten_rows_read_as_zero_and_take_no_space(tmp_path):
    path = tmp_path / "timeseries.h5"
    large = Grid(3000, 2000, GEOGRAPHIC.transform, "EPSG:4326")
    create(path, large)
    assert path.stat().st_size >= 5 * 3000 * 2000 * 4
    assert path.stat().st_blocks * 512 < 1_000_000
    assert not timeseries_memmap(path, "r")[:, ::500].any()


def test_same_content_gives_the_same_bytes(tmp_path):
    create(tmp_path / "first.h5", UTM)
    create(tmp_path / "second.h5", UTM)
    assert (tmp_path / "first.h5").read_bytes() == (tmp_path / "second.h5").read_bytes()


def test_geographic_attributes(tmp_path):
    create(tmp_path / "t.h5", GEOGRAPHIC)
    attributes = attributes_of(tmp_path / "t.h5")
    expected = {
        "FILE_TYPE": "timeseries",
        "UNIT": "m",
        "LENGTH": "7",
        "WIDTH": "9",
        "X_FIRST": "-70.1",
        "Y_FIRST": "-33.2",
        "X_STEP": "0.002",
        "Y_STEP": "-0.001",
        "X_UNIT": "degrees",
        "Y_UNIT": "degrees",
        "START_DATE": "20200101",
        "END_DATE": "20200218",
        "REF_DATE": "20200101",
        "REF_Y": "2",
        "REF_X": "3",
        "WAVELENGTH": "0.0554657646",
        "PROCESSOR": "isce",
    }
    assert {name: attributes.get(name) for name in expected} == expected
    assert float(attributes["REF_LAT"]) == pytest.approx(-33.2 - 2.5 * 0.001, abs=1e-12)
    assert float(attributes["REF_LON"]) == pytest.approx(-70.1 + 3.5 * 0.002, abs=1e-12)
    assert "UTM_ZONE" not in attributes


def test_utm_attributes_name_zone_and_northing(tmp_path):
    create(tmp_path / "t.h5", UTM)
    attributes = attributes_of(tmp_path / "t.h5")
    assert attributes["UTM_ZONE"] == "19S"
    assert attributes["EPSG"] == "32719"
    assert attributes["X_UNIT"] == attributes["Y_UNIT"] == "meters"
    assert float(attributes["REF_LAT"]) == 6_320_000.0 - 2.5 * 40.0
    assert float(attributes["REF_LON"]) == 350_000.0 + 3.5 * 30.0


def test_unknown_is_left_out(tmp_path):
    create(tmp_path / "t.h5", Grid.radar(7, 9), reference=None)
    attributes = attributes_of(tmp_path / "t.h5")
    assert set(attributes) == {
        *("FILE_TYPE", "DATA_TYPE", "UNIT", "LENGTH", "WIDTH", "START_DATE", "END_DATE", "REF_DATE"),
        *("WAVELENGTH", "PROCESSOR"),
    }


def test_sensor_and_pass(tmp_path):
    stack = stack_on(
        GEOGRAPHIC,
        platform="Sentinel-1",
        orbit_direction="ascending",
        heading_deg=-12.5,
        antenna_side="right",
        center_line_utc_s=4000.5,
        starting_range_m=800_000.0,
        range_pixel_size_m=2.33,
        azimuth_pixel_size_m=14.1,
        earth_radius_m=6_371_000.0,
        platform_height_m=693_000.0,
        range_looks=9,
        azimuth_looks=3,
    )
    create(tmp_path / "t.h5", GEOGRAPHIC, stack=stack)
    attributes = attributes_of(tmp_path / "t.h5")
    expected = {
        "PLATFORM": "Sentinel-1",
        "ORBIT_DIRECTION": "ASCENDING",
        "HEADING": "-12.5",
        "ANTENNA_SIDE": "-1",
        "CENTER_LINE_UTC": "4000.5",
        "STARTING_RANGE": "800000.0",
        "RANGE_PIXEL_SIZE": "2.33",
        "AZIMUTH_PIXEL_SIZE": "14.1",
        "EARTH_RADIUS": "6371000.0",
        "HEIGHT": "693000.0",
        "RLOOKS": "9",
        "ALOOKS": "3",
    }
    assert {name: attributes.get(name) for name in expected} == expected
    # Ascending, looking right: the first line is in the south, near range in the west.
    corners = [(float(attributes[f"LAT_REF{n}"]), float(attributes[f"LON_REF{n}"])) for n in (1, 2, 3, 4)]
    assert corners[0][0] == corners[1][0] < corners[2][0] == corners[3][0]
    assert corners[0][1] == corners[2][1] < corners[1][1] == corners[3][1]


def test_corners_of_a_radar_stack_are_those_of_its_table(tmp_path):
    lat = -33.0 + 0.01 * np.arange(7)[:, None] + 0.001 * np.arange(9)[None, :]
    lon = -70.0 + 0.01 * np.arange(9)[None, :] - 0.001 * np.arange(7)[:, None]
    radar = stack_on(Grid.radar(7, 9), orbit_direction="ascending")
    geometry = Geometry(latitude=Plane(ArraySource(lat), 7, 9), longitude=Plane(ArraySource(lon), 7, 9))
    stack = Stack(
        radar.path,
        radar.processor,
        radar.pairs,
        radar.wavelength_m,
        radar.perpendicular_baselines_m,
        radar.grid,
        geometry=geometry,
        acquisition=radar.acquisition,
    )
    create(tmp_path / "t.h5", GEOGRAPHIC, stack=stack)
    attributes = attributes_of(tmp_path / "t.h5")
    for number, (row, col) in enumerate(((0, 0), (0, 8), (6, 0), (6, 8)), start=1):
        assert float(attributes[f"LAT_REF{number}"]) == lat[row, col]
        assert float(attributes[f"LON_REF{number}"]) == lon[row, col]


def test_chunked_files_of_other_programs_are_read_but_not_mapped(tmp_path):
    path = tmp_path / "mintpy.h5"
    truth = np.arange(5 * 7 * 9, dtype=np.float32).reshape(5, 7, 9)
    with h5py.File(path, "w") as file:
        file["date"] = np.array([f"{day:%Y%m%d}" for day in DATES], dtype="S8")
        file.create_dataset("timeseries", data=truth, chunks=(1, 7, 9), compression="lzf")
        file.attrs.update(
            {"X_FIRST": "350000", "Y_FIRST": "6320000", "X_STEP": "30", "Y_STEP": "-40", "UTM_ZONE": "19S"}
        )
    result = read_timeseries(path)
    np.testing.assert_array_equal(result.displacement_m, truth)
    assert result.grid == UTM
    with pytest.raises(InputError, match="chunked"):
        timeseries_memmap(path)


def test_unusable_files_are_named(tmp_path):
    with pytest.raises(MissingInputError, match=r"absent\.h5"):
        read_timeseries(tmp_path / "absent.h5")
    (tmp_path / "text.h5").write_text("not HDF5")
    with pytest.raises(InputError, match=r"text\.h5: required an HDF5 file"):
        read_timeseries(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["velocity"] = np.zeros(3)
    with pytest.raises(InputError, match="datasets: velocity"):
        read_timeseries(tmp_path / "other.h5")
    with h5py.File(tmp_path / "dates.h5", "w") as file:
        file["date"] = np.array(["2020-01-"], dtype="S8")
        file["timeseries"] = np.zeros((1, 2, 2), np.float32)
    with pytest.raises(InputError, match="YYYYMMDD"):
        read_timeseries(tmp_path / "dates.h5")
    create(tmp_path / "short.h5", GEOGRAPHIC)
    whole = (tmp_path / "short.h5").read_bytes()
    (tmp_path / "short.h5").write_bytes(whole[:-100])
    with pytest.raises(InputError, match=r"short\.h5"):
        timeseries_memmap(tmp_path / "short.h5")
