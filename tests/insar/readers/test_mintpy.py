"""MintPy's ifgramStack.h5: what is read, in which sign and place, and what is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from insar.errors import InputError
from insar.grid import Grid
from insar.readers import open_stack
from insar.stack import Pair

from .builders import COLS, MAP_ATTRIBUTES, ROWS, as_read, plane, write_mintpy

PAIRS = [("20180106", "20180118"), ("20180118", "20180130"), ("20180106", "20180130")]
FIRST = Pair(date(2018, 1, 6), date(2018, 1, 18))
SECOND = Pair(date(2018, 1, 18), date(2018, 1, 30))
BOTH = Pair(date(2018, 1, 6), date(2018, 1, 30))


def _cube(first: int) -> np.ndarray:
    return np.stack([plane(first + index) for index in range(3)])


def _whole(path: Path, pairs: list[tuple[str, str]] = PAIRS, **changes: Any) -> Path:
    datasets = {
        "unwrapPhase": _cube(0),
        "coherence": np.abs(_cube(10)),
        "connectComponent": np.ones((3, ROWS, COLS), np.int16),
        "bperp": np.float32([1, 2, 3]),
        "dropIfgram": np.ones(3, bool),
        **changes,
    }
    return write_mintpy(path, pairs, {k: v for k, v in datasets.items() if v is not None}, **MAP_ATTRIBUTES)


def test_whole_stack(tmp_path: Path) -> None:
    stack = open_stack(_whole(tmp_path / "ifgramStack.h5"))
    order = [0, 2, 1]
    assert stack.pairs == (FIRST, BOTH, SECOND)
    assert stack.wavelength_m == 0.0554657646
    np.testing.assert_array_equal(np.asarray(stack.unwrapped_phase), as_read(_cube(0))[order])
    np.testing.assert_array_equal(np.asarray(stack.coherence), as_read(np.abs(_cube(10)))[order])
    np.testing.assert_array_equal(np.asarray(stack.connected_components), np.ones((3, ROWS, COLS)))
    np.testing.assert_array_equal(stack.perpendicular_baselines_m, [1, 3, 2])
    assert stack.grid.crs == "EPSG:4326"
    assert stack.grid.bounds == pytest.approx((-99.2, 19.495, -99.196, 19.5))
    assert stack.notes == ("no geometryGeo.h5 beside ifgramStack.h5: no height and no angles",)


def test_pair_stored_later_earlier_changes_sign(tmp_path: Path) -> None:
    pairs = [("20180118", "20180106"), *PAIRS[1:]]
    stack = open_stack(_whole(tmp_path / "ifgramStack.h5", pairs))
    assert stack.pairs == (FIRST, BOTH, SECOND)
    np.testing.assert_array_equal(stack.unwrapped_phase[0], -as_read(plane(0)))
    np.testing.assert_array_equal(stack.unwrapped_phase[2], as_read(plane(1)))
    np.testing.assert_array_equal(stack.perpendicular_baselines_m, [-1, 3, 2])
    assert np.nanmin(stack.coherence[0]) > 0


def test_dropped_pairs_are_left_out(tmp_path: Path) -> None:
    stack = open_stack(_whole(tmp_path / "ifgramStack.h5", dropIfgram=np.array([True, False, True])))
    assert stack.pairs == (FIRST, BOTH)
    np.testing.assert_array_equal(stack.unwrapped_phase[1], as_read(plane(2)))
    assert stack.notes[0] == "1 of 3 interferograms are left out: marked by dropIfgram"


def test_all_pairs_dropped(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found 0 kept of 3"):
        open_stack(_whole(tmp_path / "ifgramStack.h5", dropIfgram=np.zeros(3, bool)))


def test_pair_present_twice_is_kept_once(tmp_path: Path) -> None:
    pairs = [PAIRS[0], ("20180118", "20180106"), PAIRS[2]]
    stack = open_stack(_whole(tmp_path / "ifgramStack.h5", pairs))
    assert stack.pairs == (FIRST, BOTH)
    np.testing.assert_array_equal(stack.unwrapped_phase[0], as_read(plane(0)))
    assert stack.notes[0] == (
        "20180118_20180106 (interferogram 2) is left out: 20180106_20180118 (interferogram 1) is of the same dates"
    )


@pytest.mark.parametrize("name", ["coherence", "connectComponent", "bperp", "dropIfgram", "unwrapPhase"])
def test_datasets_that_may_be_absent(tmp_path: Path, name: str) -> None:
    stack = open_stack(_whole(tmp_path / "ifgramStack.h5", **{name: None}))
    assert stack.pairs == (FIRST, BOTH, SECOND)
    assert (stack.unwrapped_phase is None) == (name == "unwrapPhase")
    assert (stack.coherence is None) == (name == "coherence")
    assert (stack.connected_components is None) == (name == "connectComponent")
    assert np.isnan(stack.perpendicular_baselines_m).all() == (name == "bperp")


@pytest.mark.parametrize(
    ("attributes", "crs"),
    [
        ({"EPSG": "32614", "X_UNIT": "meters"}, "EPSG:32614"),
        ({"UTM_ZONE": "14N", "X_UNIT": "meters"}, "EPSG:32614"),
        ({"UTM_ZONE": "19S", "X_UNIT": "meters"}, "EPSG:32719"),
    ],
)
def test_grid_in_metres(tmp_path: Path, attributes: dict[str, str], crs: str) -> None:
    place = {"X_FIRST": "480000", "Y_FIRST": "2150000", "X_STEP": "20", "Y_STEP": "-20"}
    file = write_mintpy(tmp_path / "a.h5", PAIRS, {"unwrapPhase": _cube(0)}, **place, **attributes)
    grid = open_stack(file).grid
    assert grid.crs == crs
    assert grid.bounds == (480000.0, 2149900.0, 480080.0, 2150000.0)


def test_grid_in_metres_of_nowhere(tmp_path: Path) -> None:
    place = {"X_FIRST": "0", "Y_FIRST": "0", "X_STEP": "20", "Y_STEP": "-20", "X_UNIT": "meters"}
    file = write_mintpy(tmp_path / "a.h5", PAIRS, {"unwrapPhase": _cube(0)}, **place)
    with pytest.raises(InputError, match="required the attribute EPSG"):
        open_stack(file)


@pytest.mark.parametrize("changes", [{"Y_STEP": "0.001"}, {"X_FIRST": "west"}, {"Y_FIRST": "None"}])
def test_grid_that_is_not_stated_in_full(tmp_path: Path, changes: dict[str, str]) -> None:
    file = write_mintpy(tmp_path / "a.h5", PAIRS, {"unwrapPhase": _cube(0)}, **MAP_ATTRIBUTES | changes)
    with pytest.raises(InputError, match=r"a\.h5: required .*number"):
        open_stack(file)


def test_radar_coordinates_with_a_lookup_table(tmp_path: Path) -> None:
    file = write_mintpy(
        tmp_path / "ifgramStack.h5",
        PAIRS,
        {"unwrapPhase": _cube(0)},
        ORBIT_DIRECTION="ASCENDING",
        HEADING="348.0",
        ALOOKS="3",
        RLOOKS="9",
        ANTENNA_SIDE="-1",
        CENTER_LINE_UTC="1234.5",
        PLATFORM="Sen",
    )
    stack = open_stack(file)
    assert stack.grid == Grid.radar(ROWS, COLS)
    assert stack.geometry.latitude is None
    assert stack.acquisition.orbit_direction == "ascending"
    assert stack.acquisition.heading_deg == pytest.approx(-12.0)
    assert stack.acquisition.looks == 27
    assert stack.acquisition.antenna_side == "right"
    latitude = np.linspace(19, 20, ROWS * COLS).reshape(ROWS, COLS)
    with h5py.File(tmp_path / "geometryRadar.h5", "w") as geometry:
        geometry["latitude"] = latitude
        geometry["longitude"] = latitude.astype(np.float32) - 118
        geometry["height"] = plane(5)
        geometry["incidenceAngle"] = np.abs(plane(6))
        geometry.create_dataset("azimuthAngle", data=plane(7), chunks=(2, 3), compression="gzip")
        geometry["shadowMask"] = np.eye(ROWS, COLS, dtype=bool)
    geometry_read = open_stack(file).geometry
    np.testing.assert_array_equal(np.asarray(geometry_read.latitude), latitude)
    assert np.asarray(geometry_read.latitude).dtype == np.float64
    np.testing.assert_array_equal(np.asarray(geometry_read.height), plane(5))
    np.testing.assert_array_equal(np.asarray(geometry_read.incidence_angle), as_read(np.abs(plane(6))))
    np.testing.assert_array_equal(np.asarray(geometry_read.azimuth_angle), as_read(plane(7)))
    np.testing.assert_array_equal(np.asarray(geometry_read.shadow_mask), np.eye(ROWS, COLS))


def test_geometry_of_another_size(tmp_path: Path) -> None:
    file = _whole(tmp_path / "ifgramStack.h5")
    with h5py.File(tmp_path / "geometryGeo.h5", "w") as geometry:
        geometry["height"] = np.ones((ROWS, COLS + 1))
    with pytest.raises(InputError, match=r"geometryGeo\.h5: required the size of .*ifgramStack\.h5: 5 rows x 4"):
        open_stack(file)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"coherence": np.ones((3, ROWS, COLS + 1))}, r"required a dataset coherence of 3 .*found shape \(3, 5, 5\)"),
        ({"unwrapPhase": np.ones((2, ROWS, COLS))}, r"required a dataset unwrapPhase of 3 .*found shape \(2, 5, 4\)"),
        ({"bperp": np.ones(2)}, r"required a dataset bperp of 3 values; found shape \(2,\)"),
        ({"dropIfgram": np.ones(2, bool)}, "required interferograms that are not dropped"),
        ({"unwrapPhase": None, "coherence": None}, "required a dataset unwrapPhase or coherence"),
    ],
)
def test_datasets_that_do_not_fit(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_stack(_whole(tmp_path / "ifgramStack.h5", **changes))


@pytest.mark.parametrize("dates", [("20181345", "20180130"), ("2018", "20180130"), ("20180130", "20180130")])
def test_impossible_dates(tmp_path: Path, dates: tuple[str, str]) -> None:
    with pytest.raises(InputError, match=rf"interferogram 2 \({dates[0]}_{dates[1]}\) of .*a\.h5: required two"):
        open_stack(_whole(tmp_path / "a.h5", [PAIRS[0], dates, PAIRS[2]]))


def test_time_series_is_no_stack(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "timeseries.h5", "w") as file:
        file["date"] = np.array(["20180106", "20180118"], dtype="S8")
        file["timeseries"] = np.ones((2, ROWS, COLS))
    with pytest.raises(InputError, match=r"timeseries\.h5: .*found a dataset date of shape \(2,\)"):
        open_stack(tmp_path / "timeseries.h5")


def test_no_wavelength(tmp_path: Path) -> None:
    file = _whole(tmp_path / "a.h5")
    with h5py.File(file, "r+") as opened:
        del opened.attrs["WAVELENGTH"]
    with pytest.raises(InputError, match="required the attribute WAVELENGTH"):
        open_stack(file)


@pytest.mark.parametrize("content", [b"", b"not an HDF5 file at all", None])
def test_file_that_is_not_whole(tmp_path: Path, content: bytes | None) -> None:
    file = _whole(tmp_path / "a.h5")
    file.write_bytes(file.read_bytes()[:-600] if content is None else content)
    with pytest.raises(InputError, match=r"a\.h5: required an HDF5 file that is whole"):
        open_stack(file)


@pytest.mark.parametrize("options", [{}, {"chunks": (2, 2, 3)}, {"chunks": (2, 2, 3), "compression": "gzip"}])
def test_threads_read_the_same(tmp_path: Path, options: dict[str, Any]) -> None:
    file = write_mintpy(tmp_path / "a.h5", PAIRS, {"unwrapPhase": _cube(0)}, options=options)
    cube = open_stack(file).unwrapped_phase
    assert cube is not None
    with ThreadPoolExecutor(4) as pool:
        windows = list(pool.map(lambda row: cube.read(slice(row % ROWS, row % ROWS + 1), slice(0, COLS)), range(60)))
    for row, window in enumerate(windows):
        np.testing.assert_array_equal(window[:, 0], as_read(_cube(0))[[0, 2, 1], row % ROWS])
