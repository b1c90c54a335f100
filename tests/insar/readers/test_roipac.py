"""ROI_PAC stacks: values, places and dates against closed forms, and what is refused."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from insar.errors import InputError, MissingInputError
from insar.grid import RowCol
from insar.readers import open_stack
from insar.stack import Pair, Stack

from .builders import COLS, ROWS, as_read, interleave, plane

HEADER = {
    "WIDTH": str(COLS),
    "FILE_LENGTH": str(ROWS),
    "X_FIRST": "10.0",
    "X_STEP": "0.002",
    "Y_FIRST": "45.0",
    "Y_STEP": "-0.001",
    "WAVELENGTH": "0.0562356424",
}


def write_pair(path: Path, phase: np.ndarray, *, dtype: str = "<f4", **changes: str | None) -> Path:
    """A raster of two bands and its header; None removes an entry."""
    path.parent.mkdir(parents=True, exist_ok=True)
    interleave(np.stack([np.full(phase.shape, 50.0), phase]), "BIL").astype(dtype).tofile(path)
    write_header(path, **changes)
    return path


def write_header(raster: Path, **changes: str | None) -> None:
    entries = {key: value for key, value in {**HEADER, **changes}.items() if value is not None}
    raster.with_name(raster.name + ".rsc").write_text("".join(f"{key:22}{value}\n" for key, value in entries.items()))


def write_dem(path: Path, heights: np.ndarray, **changes: str | None) -> None:
    heights.astype("<i2").tofile(path)
    write_header(path, WAVELENGTH=None, Z_OFFSET="0", Z_SCALE="1", PROJECTION="LATLON", **changes)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A flat stack of two pairs, to be spoilt."""
    folder = tmp_path / "roipac"
    write_pair(folder / "geo_180106-180118.unw", plane(0), DATE12="180106-180118")
    write_pair(folder / "geo_180118-180130.unw", plane(1), DATE12="180118-180130")
    return folder


def opened(folder: Path) -> Stack:
    return open_stack(folder, "roipac")


def test_phase_is_the_second_band_and_zero_is_no_data(root: Path) -> None:
    stack = open_stack(root)
    assert stack.processor == "roipac"
    assert [pair.name for pair in stack.pairs] == ["20180106_20180118", "20180118_20180130"]
    np.testing.assert_array_equal(np.asarray(stack.unwrapped_phase), np.stack([as_read(plane(0)), as_read(plane(1))]))
    assert stack.wavelength_m == 0.0562356424
    assert stack.coherence is None


def test_pair_stored_later_first_is_negated(root: Path) -> None:
    write_pair(root / "geo_180130-180106.unw", plane(7), DATE12="180130-180106")
    stack = opened(root)
    index = stack.pairs.index(Pair(date(2018, 1, 6), date(2018, 1, 30)))
    np.testing.assert_array_equal(stack.unwrapped_phase[index], -as_read(plane(7)))


def test_first_is_the_corner_of_the_first_pixel(root: Path) -> None:
    grid = opened(root).grid
    assert grid.crs == "EPSG:4326"
    assert grid.bounds == pytest.approx((10.0, 44.995, 10.008, 45.0), abs=1e-12)
    assert grid.lonlat(RowCol(0, 0)) == pytest.approx((10.001, 44.9995), abs=1e-12)


def test_map_in_utm(root: Path) -> None:
    utm = {"X_FIRST": "600000", "X_STEP": "20", "Y_FIRST": "5000000", "Y_STEP": "-40"}
    utm |= {"X_UNIT": "meters", "UTM_ZONE": "32N"}
    for raster in root.glob("*.unw"):
        write_header(raster, **utm)
    grid = opened(root).grid
    assert grid.crs == "EPSG:32632"
    assert grid.bounds == pytest.approx((600_000.0, 4_999_800.0, 600_080.0, 5_000_000.0))


def test_names_of_entries_in_any_case(root: Path) -> None:
    for header in root.glob("*.rsc"):
        header.write_text(header.read_text().lower())
    assert opened(root).shape == (ROWS, COLS)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("920610", "930701", Pair(date(1992, 6, 10), date(1993, 7, 1))),
        ("991230", "000103", Pair(date(1999, 12, 30), date(2000, 1, 3))),
        ("20060619", "20061002", Pair(date(2006, 6, 19), date(2006, 10, 2))),
    ],
)
def test_years(tmp_path: Path, first: str, second: str, expected: Pair) -> None:
    write_pair(tmp_path / "geo.unw", plane(0), DATE12=f"{first}-{second}")
    write_pair(tmp_path / f"geo_{first}-{second}_4rlks.unw", plane(0), DATE12=None)
    stack = opened(tmp_path)
    assert stack.pairs == (expected,)
    assert any("is of the same dates" in note for note in stack.notes)


def test_dates_of_the_name_and_of_the_header_must_agree(root: Path) -> None:
    write_header(root / "geo_180106-180118.unw", DATE12="180118-180106")
    with pytest.raises(InputError, match=r"\.unw\.rsc: required .* as DATE12: 20180106-20180118; found 180118-"):
        opened(root)


def test_raster_without_dates_is_noted(root: Path) -> None:
    write_pair(root / "geo_incidence.unw", plane(3))
    assert any("geo_incidence.unw is left out: neither its name" in note for note in opened(root).notes)


def test_raster_without_header_is_noted(root: Path) -> None:
    (root / "geo_180118-180130.unw.rsc").unlink()
    assert "geo_180118-180130.unw is left out: it has no .rsc" in opened(root).notes


def test_header_without_raster_is_refused(root: Path) -> None:
    (root / "geo_180118-180130.unw").unlink()
    with pytest.raises(MissingInputError, match=r"geo_180118-180130\.unw: required the raster"):
        opened(root)


def test_raster_in_radar_coordinates_is_left_out(root: Path) -> None:
    radar = {"X_FIRST": None, "Y_FIRST": None, "X_STEP": None, "Y_STEP": None}
    write_pair(root / "180106-180118.unw", np.ones((9, 9)), WIDTH="9", FILE_LENGTH="9", **radar)
    stack = opened(root)
    np.testing.assert_array_equal(stack.unwrapped_phase[0], as_read(plane(0)))
    assert "left out, not geocoded: 180106-180118.unw" in stack.notes
    for raster in root.glob("geo_*.unw"):
        write_header(raster, **radar)
    with pytest.raises(InputError, match=r"required geocoded interferograms.*Geocode them"):
        opened(root)


def test_coherence_and_one_folder_for_each_pair(tmp_path: Path) -> None:
    for seed, name in enumerate(("180106-180118", "180118-180130")):
        write_pair(tmp_path / f"int_{name}" / f"geo_{name}.unw", plane(seed), DATE12=name)
    write_pair(tmp_path / "int_180118-180130/geo_180118-180130.cor", np.abs(plane(11)), DATE12="180118-180130")
    stack = open_stack(tmp_path)
    assert stack.processor == "roipac"
    assert np.isnan(stack.coherence[0]).all()
    np.testing.assert_array_equal(stack.coherence[1], as_read(np.abs(plane(11))))
    assert any("no coherence for int_180106-180118/" in note for note in stack.notes)


def test_coherence_alone_makes_a_stack(tmp_path: Path) -> None:
    write_pair(tmp_path / "geo_180106-180118.cor", np.abs(plane(11)), DATE12="180106-180118")
    stack = opened(tmp_path)
    assert stack.unwrapped_phase is None
    np.testing.assert_array_equal(stack.coherence[0], as_read(np.abs(plane(11))))


def test_coherence_from_the_phase_gradient_is_not_taken(root: Path) -> None:
    write_pair(root / "geo_180106-180118_phsig.cor", np.abs(plane(10)), DATE12="180106-180118")
    assert opened(root).coherence is None


def test_short_raster_is_refused(root: Path) -> None:
    raster = root / "geo_180118-180130.unw"
    raster.write_bytes(raster.read_bytes()[:-4])
    with pytest.raises(InputError, match=r"geo_180118-180130\.unw: required 160 bytes .*found 156 bytes"):
        opened(root)


def test_big_endian_raster_is_refused(root: Path) -> None:
    write_pair(root / "geo_180118-180130.unw", plane(1), dtype=">f4", DATE12="180118-180130")
    with pytest.raises(InputError, match="required little-endian float32; found big-endian numbers"):
        opened(root)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"WIDTH": None}, "required a number as WIDTH; found no such entry"),
        ({"X_STEP": "wide"}, "required a number as X_STEP"),
        ({"Y_STEP": "0.001"}, "a negative Y_STEP"),
        ({"WAVELENGTH": None}, "the radar wavelength in metres as WAVELENGTH; found no such entry"),
        ({"WAVELENGTH": "0.0310"}, r"required the wavelength of .*0\.0562356424 m; found 0\.031 m"),
        ({"X_FIRST": "600000"}, "required a map in degrees on WGS 84"),
        ({"DATUM": "NAD27"}, "required a map in degrees on WGS 84"),
        ({"X_UNIT": "meters"}, "UTM_ZONE absent"),
        ({"X_FIRST": "11.0"}, "required the grid of"),
        ({"DATE12": "180231-180301", "name": "geo_x.unw"}, "required two dates that exist"),
    ],
)
def test_header_that_cannot_be_used_is_refused(root: Path, changes: dict[str, str | None], message: str) -> None:
    name = changes.get("name") or "geo_180118-180130.unw"
    write_pair(root / name, plane(1), **{key: value for key, value in changes.items() if key != "name"})
    with pytest.raises(InputError, match=message):
        opened(root)


def test_heights(root: Path) -> None:
    heights = np.arange(ROWS * COLS).reshape(ROWS, COLS)
    heights[2, 2] = -32768
    write_dem(root / "dem.dem", heights)
    expected = np.where(heights == -32768, np.nan, heights).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(opened(root).geometry.height), expected)


def test_heights_of_a_larger_area_are_noted(root: Path) -> None:
    write_dem(root / "dem.dem", np.zeros((9, 9)), WIDTH="9", FILE_LENGTH="9")
    stack = opened(root)
    assert stack.geometry.height is None
    assert any("dem.dem.rsc: on another grid" in note for note in stack.notes)


def test_baselines_are_the_mean_of_top_and_bottom(root: Path) -> None:
    stated = {"P_BASELINE_TOP_HDR": "100.0", "P_BASELINE_BOTTOM_HDR": "120.0"}
    write_header(root / "geo_180106-180118.unw", DATE12="180106-180118", **stated)
    (root / "180130-180118_baseline.rsc").write_text("P_BASELINE_TOP_HDR 30.0\nP_BASELINE_BOTTOM_HDR 50.0\n")
    np.testing.assert_allclose(opened(root).perpendicular_baselines_m, [110.0, -40.0])


def test_baselines_that_are_absent_are_unknown(root: Path) -> None:
    stack = opened(root)
    assert np.isnan(stack.perpendicular_baselines_m).all()
    assert "perpendicular baseline unknown for 2 of 2 pairs" in stack.notes


def test_sensor_and_pass(root: Path) -> None:
    stated = {"PLATFORM": "Envisat", "ORBIT_DIRECTION": "descending", "HEADING": "193.2", "ANTENNA_SIDE": "-1"}
    write_header(root / "geo_180106-180118.unw", DATE12="180106-180118", RLOOKS="4", ALOOKS="20", **stated)
    acquisition = opened(root).acquisition
    assert (acquisition.platform, acquisition.orbit_direction) == ("Envisat", "descending")
    assert acquisition.heading_deg == pytest.approx(-166.8)
    assert acquisition.antenna_side == "right"
    assert acquisition.looks == 80


def test_headers_that_mintpy_put_beside_other_processors_are_not_taken_for_roipac(root: Path) -> None:
    for raster in root.glob("*.unw"):
        raster.with_name(raster.name + ".xml").write_text("<imageFile/>")
    with pytest.raises(InputError, match="required a stack of interferograms"):
        open_stack(root)
    for sidecar in root.glob("*.xml"):
        sidecar.unlink()
    assert open_stack(root).processor == "roipac"
    (root / "EQA.dem_par").write_text("")
    with pytest.raises(InputError, match=r"EQA\.dem_par: required a number as nlines"):
        open_stack(root)


def test_file_instead_of_a_folder(root: Path) -> None:
    with pytest.raises(InputError, match="required a folder with ROI_PAC interferograms; found a file"):
        opened(root / "geo_180106-180118.unw")


def test_sydney(shared_data: Path) -> None:
    stack = open_stack(shared_data / "sydney_envisat" / "roipac")
    assert stack.shape == (72, 47)
    assert len(stack.pairs) == 17
    assert stack.dates[0] == date(2006, 6, 19)
    assert stack.dates[-1] == date(2007, 9, 17)
    assert stack.wavelength_m == 0.0562356424
    stored = np.fromfile(stack.path / "geo_060619-061002.unw", "<f4").reshape(72, 2, 47)[:, 1]
    np.testing.assert_array_equal(stack.unwrapped_phase[0], np.where(stored == 0, np.float32(np.nan), stored))
    heights = np.asarray(stack.geometry.height)
    assert (heights.min(), heights.max()) == (193.0, 371.0)
