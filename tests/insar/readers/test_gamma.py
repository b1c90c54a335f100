"""GAMMA stacks: values, places and angles against closed forms, and what is refused."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from insar.errors import InputError, MissingInputError
from insar.grid import RowCol
from insar.readers import open_stack
from insar.readers.gamma_parameters import perpendicular_baseline_m, read_parameters
from insar.stack import Pair, Stack

from .builders import COLS, ROWS, as_read, plane

EQA = {
    "DEM_projection": "EQA",
    "data_format": "REAL*4",
    "DEM_hgt_offset": "0.0",
    "DEM_scale": "1.0",
    "width": str(COLS),
    "nlines": str(ROWS),
    "corner_lat": "45.0 decimal degrees",
    "corner_lon": "10.0 decimal degrees",
    "post_lat": "-1.0e-03 decimal degrees",
    "post_lon": "2.0e-03 decimal degrees",
    "ellipsoid_ra": "6378137.000 m",
    "ellipsoid_reciprocal_flattening": "298.2572236",
    "datum_name": "WGS 1984",
    "datum_shift_dx": "0.000 m",
}
UTM = {
    **{key: value for key, value in EQA.items() if not key.startswith(("corner", "post"))},
    "DEM_projection": "UTM",
    "corner_north": "5000000.0 m",
    "corner_east": "600000.0 m",
    "post_north": "-40.0 m",
    "post_east": "20.0 m",
    "projection_zone": "32",
    "false_northing": "0.000 m",
}
SLC = {
    "sensor": "S1A IW IW1 VV",
    "center_time": "20303.5 s",
    "radar_frequency": "5.4050005e+09 Hz",
    "incidence_angle": "39.0 degrees",
    "heading": "-12.5 degrees",
    "azimuth_angle": "90.0 degrees",
    "range_looks": "1",
    "azimuth_looks": "1",
    "range_pixel_spacing": "2.33 m",
    "near_range_slc": "800000.0 m",
    "sar_to_earth_center": "7070000.0 m",
    "earth_radius_below_sensor": "6370000.0 m",
}


def write_parameters(path: Path, entries: dict[str, str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("title of the file\n\n" + "".join(f"{key}:   {value}\n" for key, value in entries.items()))
    return path


def write_raster(path: Path, values: np.ndarray, dtype: str = ">f4") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values.astype(dtype).tofile(path)
    return path


def write_baseline(path: Path, across: float, down: float, precise: tuple[float, float] = (0.0, 0.0)) -> Path:
    return write_parameters(
        path,
        {
            "initial_baseline(TCN)": f"0.1 {across} {down} m m m",
            "precision_baseline(TCN)": f"0.0 {precise[0]} {precise[1]} m m m",
        },
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A flat stack of two pairs with a map in degrees, to be spoilt."""
    folder = tmp_path / "gamma"
    write_parameters(folder / "EQA.dem_par", EQA)
    write_parameters(folder / "20180106_slc.par", SLC)
    for seed, name in enumerate(("20180106-20180118", "20180118-20180130")):
        write_raster(folder / f"{name}_eqa.unw", plane(seed))
    return folder


def opened(folder: Path) -> Stack:
    return open_stack(folder, "gamma")


def test_phases_are_big_endian_and_zero_is_no_data(root: Path) -> None:
    stack = open_stack(root)
    assert stack.processor == "gamma"
    assert [pair.name for pair in stack.pairs] == ["20180106_20180118", "20180118_20180130"]
    np.testing.assert_array_equal(np.asarray(stack.unwrapped_phase), np.stack([as_read(plane(0)), as_read(plane(1))]))
    assert stack.wavelength_m == pytest.approx(0.0554657595, abs=1e-9)
    assert stack.coherence is None


def test_window_is_the_same_as_in_the_whole(root: Path) -> None:
    phase = opened(root).unwrapped_phase
    assert phase is not None
    np.testing.assert_array_equal(phase[:, 1:4, 1:3], np.asarray(phase)[:, 1:4, 1:3])


def test_pair_stored_later_first_is_negated(root: Path) -> None:
    write_raster(root / "20180130-20180106_eqa.unw", plane(7))
    stack = opened(root)
    index = stack.pairs.index(Pair(date(2018, 1, 6), date(2018, 1, 30)))
    np.testing.assert_array_equal(stack.unwrapped_phase[index], -as_read(plane(7)))


def test_corner_of_the_parameters_is_the_centre_of_the_first_pixel(root: Path) -> None:
    grid = opened(root).grid
    assert grid.crs == "EPSG:4326"
    assert grid.lonlat(RowCol(0, 0)) == pytest.approx((10.0, 45.0), abs=1e-12)
    assert grid.lonlat(RowCol(4, 3)) == pytest.approx((10.006, 44.996), abs=1e-12)
    assert grid.bounds == pytest.approx((9.999, 44.9955, 10.007, 45.0005), abs=1e-12)


@pytest.mark.parametrize(("northing", "crs"), [("0.000 m", "EPSG:32632"), ("10000000.000 m", "EPSG:32732")])
def test_map_in_utm(root: Path, northing: str, crs: str) -> None:
    write_parameters(root / "EQA.dem_par", {**UTM, "false_northing": northing})
    grid = opened(root).grid
    assert grid.crs == crs
    assert grid.bounds == pytest.approx((599_990.0, 4_999_820.0, 600_070.0, 5_000_020.0))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({**EQA, "DEM_projection": "LCC"}, "required DEM_projection EQA .* or UTM; found LCC"),
        ({**EQA, "ellipsoid_ra": "6378388.0 m", "datum_name": "ED50"}, "required the datum WGS 84; found ED50"),
        ({**EQA, "datum_shift_dx": "-87.0 m"}, "required the datum WGS 84"),
        ({**EQA, "post_lat": "1.0e-3"}, "negative post_lat"),
        ({**EQA, "corner_lat": "north"}, "required a number as corner_lat; found north"),
        ({key: value for key, value in EQA.items() if key != "width"}, "required a number as width; found no such"),
        ({**UTM, "projection_zone": "99"}, "projection_zone from 1 to 60"),
        ({**EQA, "width": "nan"}, "required a number as width; found nan"),
    ],
)
def test_map_that_cannot_be_used_is_refused(root: Path, entries: dict[str, str], message: str) -> None:
    write_parameters(root / "EQA.dem_par", entries)
    with pytest.raises(InputError, match=rf"EQA\.dem_par: .*{message}"):
        opened(root)


def test_folder_of_each_pair_gives_the_dates(tmp_path: Path) -> None:
    for seed, name in enumerate(("20180106_20180118", "20180118_20180130")):
        write_raster(tmp_path / name / "diff_filt_eqa.unw", plane(seed))
        write_raster(tmp_path / name / "filt_eqa.cc", np.abs(plane(seed + 10)))
    write_parameters(tmp_path / "geometry/EQA.dem_par", EQA)
    write_parameters(tmp_path / "geometry/20180106.mli.par", {**SLC, "range_looks": "20", "azimuth_looks": "4"})
    stack = open_stack(tmp_path)
    assert stack.processor == "gamma"
    assert [pair.name for pair in stack.pairs] == ["20180106_20180118", "20180118_20180130"]
    np.testing.assert_array_equal(stack.coherence[1], as_read(np.abs(plane(11))))
    assert stack.acquisition.looks == 80


def test_names_with_years_of_two_digits(root: Path) -> None:
    write_raster(root / "diff_filt_991230-180106_4rlks.unw", plane(5))
    stack = opened(root)
    assert stack.pairs[0] == Pair(date(1999, 12, 30), date(2018, 1, 6))


def test_coherence_that_is_absent_is_unknown(root: Path) -> None:
    write_raster(root / "20180118-20180130_eqa.cc", np.abs(plane(11)))
    stack = opened(root)
    assert np.isnan(stack.coherence[0]).all()
    np.testing.assert_array_equal(stack.coherence[1], as_read(np.abs(plane(11))))
    assert "no coherence for 20180106-20180118_eqa.unw: unknown (NaN) there" in stack.notes


def test_coherence_is_the_one_whose_name_is_most_like_the_phases(root: Path) -> None:
    write_raster(root / "20180106-20180118_a_unfiltered.cc", np.abs(plane(12)))
    write_raster(root / "20180106-20180118_eqa.cc", np.abs(plane(10)))
    stack = opened(root)
    np.testing.assert_array_equal(stack.coherence[0], as_read(np.abs(plane(10))))
    assert any("20180106-20180118_a_unfiltered.cc is left out" in note for note in stack.notes)


def test_raster_in_radar_coordinates_beside_the_geocoded_one_is_left_out(root: Path) -> None:
    write_raster(root / "20180106-20180118.unw", np.ones((9, 9)))
    stack = opened(root)
    np.testing.assert_array_equal(stack.unwrapped_phase[0], as_read(plane(0)))
    assert "20180106-20180118.unw is left out: it is not on the map of EQA.dem_par" in stack.notes


def test_short_raster_is_refused(root: Path) -> None:
    raster = root / "20180118-20180130_eqa.unw"
    raster.write_bytes(raster.read_bytes()[:-4])
    with pytest.raises(
        InputError, match=r"20180118-20180130_eqa\.unw: required 80 bytes .*found 76 bytes.*geocode_back"
    ):
        opened(root)


def test_stack_in_radar_coordinates_is_refused(root: Path) -> None:
    for raster in root.glob("*.unw"):
        write_raster(raster, np.ones((9, 9)))
    with pytest.raises(InputError, match=r"required 80 bytes .*found 324 bytes.*radar coordinates"):
        opened(root)


def test_map_of_the_whole_dem_beside_it_is_not_taken(root: Path) -> None:
    write_parameters(root / "AAA.dem_par", {**EQA, "width": "400", "nlines": "500"})
    assert opened(root).shape == (ROWS, COLS)


def test_two_maps_of_one_size_are_refused(root: Path) -> None:
    write_parameters(root / "other_dem.par", {**EQA, "corner_lat": "46.0"})
    with pytest.raises(InputError, match="required the grid of"):
        opened(root)


def test_little_endian_raster_is_refused(root: Path) -> None:
    write_raster(root / "20180118-20180130_eqa.unw", plane(1), "<f4")
    with pytest.raises(InputError, match="required big-endian float32; found little-endian numbers"):
        opened(root)


def test_raster_without_any_data_is_not_refused(root: Path) -> None:
    write_raster(root / "20180118-20180130_eqa.unw", np.zeros((ROWS, COLS)))
    assert np.isnan(opened(root).unwrapped_phase[1]).all()


def test_folder_of_licsbas_is_refused_by_itself_and_passed_over_beside_licsar(root: Path, tmp_path: Path) -> None:
    folder = root.rename(tmp_path / "GEOCml1")
    assert open_stack(folder).processor == "gamma"
    with pytest.raises(InputError, match="required a stack of interferograms"):
        open_stack(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"), [("EQA.dem_par", "the parameters of the map"), ("20180106_slc.par", "radar_frequency")]
)
def test_parameters_that_are_absent_are_named(root: Path, name: str, message: str) -> None:
    (root / name).unlink()
    with pytest.raises(MissingInputError, match=message):
        opened(root)


def test_two_sensors_are_refused(root: Path) -> None:
    write_parameters(root / "20180118_slc.par", {**SLC, "radar_frequency": "1.27e9"})
    with pytest.raises(InputError, match=r"20180118_slc\.par: required the wavelength of .*0\.055466 m; found 0\.236"):
        opened(root)


def test_folder_without_dated_interferograms(root: Path) -> None:
    for index, raster in enumerate(sorted(root.glob("*.unw"))):
        raster.rename(root / f"scene{index}.unw")
    with pytest.raises(InputError, match="named after two dates"):
        opened(root)


def test_undated_raster_is_noted(root: Path) -> None:
    write_raster(root / "rate.unw", plane(4))
    assert "rate.unw is left out: neither its name nor that of its folder states two dates" in opened(root).notes


@pytest.mark.parametrize("unit", ["radians", "degrees"])
def test_incidence_from_the_elevation_of_the_look_vector(root: Path, unit: str) -> None:
    elevation = np.linspace(46.0, 61.0, ROWS * COLS).reshape(ROWS, COLS)
    elevation[2, 2] = 0.0
    write_raster(root / "20180106_eqa.lv_theta", np.radians(elevation) if unit == "radians" else elevation)
    incidence = np.asarray(opened(root).geometry.incidence_angle)
    expected = np.where(elevation == 0.0, np.nan, 90.0 - elevation)
    np.testing.assert_allclose(incidence, expected, atol=1e-5)


def test_angle_to_the_satellite(root: Path) -> None:
    # a satellite in the west-south-west, 190 degrees anticlockwise from east, is 100 degrees anticlockwise from north
    write_raster(root / "20180106_eqa.lv_phi", np.full((ROWS, COLS), math.radians(190.0)))
    np.testing.assert_allclose(np.asarray(opened(root).geometry.azimuth_angle), 100.0, atol=1e-4)
    write_raster(root / "20180106_eqa.lv_phi", np.full((ROWS, COLS), 190.0))
    with pytest.raises(InputError, match="lv_phi: required values from -450 to 270"):
        np.asarray(opened(root).geometry.azimuth_angle)


def test_incidence_beyond_the_horizon_is_refused(root: Path) -> None:
    write_raster(root / "20180106_eqa.lv_theta", np.full((ROWS, COLS), 120.0))
    with pytest.raises(InputError, match="lv_theta: required values from 0 to 90; found -30"):
        np.asarray(opened(root).geometry.incidence_angle)


def test_angle_against_the_slope_is_not_taken_for_the_incidence(root: Path) -> None:
    write_raster(root / "20180106_eqa.inc", np.full((ROWS, COLS), 0.6))
    stack = opened(root)
    assert stack.geometry.incidence_angle is None
    assert any("20180106_eqa.inc is not used" in note for note in stack.notes)


@pytest.mark.parametrize(("parameters", "image"), [("EQA.dem_par", "EQA.dem"), ("dem_seg.par", "dem_seg")])
def test_heights(root: Path, parameters: str, image: str) -> None:
    heights = np.arange(ROWS * COLS, dtype=float).reshape(ROWS, COLS)
    (root / "EQA.dem_par").rename(root / parameters)
    write_raster(root / image, heights)
    np.testing.assert_array_equal(
        np.asarray(opened(root).geometry.height), np.where(heights == 0, np.nan, heights).astype(np.float32)
    )


def test_heights_as_scaled_integers(root: Path) -> None:
    heights = np.arange(1, ROWS * COLS + 1).reshape(ROWS, COLS)
    scaled = {**EQA, "data_format": "INTEGER*2", "DEM_scale": "0.5", "DEM_hgt_offset": "100.0"}
    write_parameters(root / "EQA.dem_par", scaled)
    write_raster(root / "EQA.dem", heights, ">i2")
    np.testing.assert_array_equal(np.asarray(opened(root).geometry.height), heights * 0.5 + 100.0)
    write_parameters(root / "EQA.dem_par", {**scaled, "data_format": "FCOMPLEX"})
    with pytest.raises(InputError, match=r"required a data_format of REAL\*4 or INTEGER\*2; found FCOMPLEX"):
        opened(root)


def test_perpendicular_baseline_in_closed_form(tmp_path: Path) -> None:
    # sin(look) = 6/7 of sin(incidence) = 0.35 / 6 * 7: look angle asin(0.35)
    image = {
        "incidence_angle": str(math.degrees(math.asin(0.35 * 7.0 / 6.0))),
        "azimuth_angle": "90.0",
        "sar_to_earth_center": "7.0e6 m",
        "earth_radius_below_sensor": "6.0e6 m",
    }
    image_parameters = read_parameters(write_parameters(tmp_path / "slc.par", image))
    cosine = math.sqrt(1.0 - 0.35**2)
    rough = read_parameters(write_baseline(tmp_path / "a_base.par", 100.0, 20.0))
    assert perpendicular_baseline_m(rough, image_parameters) == pytest.approx(100.0 * cosine - 20.0 * 0.35)
    precise = read_parameters(write_baseline(tmp_path / "b_base.par", 100.0, 20.0, (90.0, 30.0)))
    assert perpendicular_baseline_m(precise, image_parameters) == pytest.approx(90.0 * cosine - 30.0 * 0.35)
    left = read_parameters(write_parameters(tmp_path / "left_slc.par", {**image, "azimuth_angle": "-90.0"}))
    assert math.isnan(perpendicular_baseline_m(rough, left))


def test_baselines_follow_the_order_of_the_dates(root: Path) -> None:
    write_baseline(root / "20180106-20180118_base.par", 100.0, 0.0)
    write_baseline(root / "20180130-20180118_base.par", 100.0, 0.0)
    cosine = math.sqrt(1.0 - (math.sin(math.radians(39.0)) * 6.37 / 7.07) ** 2)
    np.testing.assert_allclose(opened(root).perpendicular_baselines_m, [100.0 * cosine, -100.0 * cosine])


def test_baselines_that_are_all_the_same_are_not_believed(root: Path) -> None:
    write_raster(root / "20180106-20180130_eqa.unw", plane(7))
    for name in ("20180106-20180118", "20180106-20180130", "20180118-20180130"):
        write_baseline(root / f"{name}_base.par", 100.0, 10.0)
    stack = opened(root)
    assert np.isnan(stack.perpendicular_baselines_m).all()
    assert any("perpendicular baselines are not used" in note for note in stack.notes)


def test_sensor_and_pass(root: Path) -> None:
    acquisition = opened(root).acquisition
    assert acquisition.platform == "S1A"
    assert acquisition.orbit_direction == "ascending"
    assert acquisition.heading_deg == pytest.approx(-12.5)
    assert acquisition.antenna_side == "right"
    assert acquisition.center_line_utc_s == 20303.5
    assert acquisition.starting_range_m == 800_000.0
    assert acquisition.platform_height_m == 700_000.0
    # one look is that of the image, not of the interferograms
    assert acquisition.looks is None


@pytest.mark.parametrize("empty", [{}, {"azimuth_angle": "ninety degrees"}])
def test_image_parameters_without_what_they_should_have(root: Path, empty: dict[str, str]) -> None:
    frequency = {"radar_frequency": SLC["radar_frequency"]} if empty else {}
    write_parameters(root / "20180106_slc.par", {**frequency, **empty})
    with pytest.raises(InputError, match=r"20180106_slc\.par: required a number as"):
        opened(root)


def test_file_instead_of_a_folder(root: Path) -> None:
    with pytest.raises(InputError, match="required a folder with GAMMA products; found a file"):
        opened(root / "EQA.dem_par")


def test_link_to_nothing_is_named(root: Path) -> None:
    (root / "20180130-20180211_eqa.unw").symlink_to(root / "nowhere")
    with pytest.raises(MissingInputError, match="a link to a file that is not there"):
        opened(root)


def test_sydney_is_the_same_in_its_three_layouts(shared_data: Path) -> None:
    sydney = shared_data / "sydney_envisat"
    gamma, roipac, isce = (open_stack(sydney / name) for name in ("gamma", "roipac", "isce_stripmap"))
    assert (gamma.processor, roipac.processor) == ("gamma", "roipac")
    assert gamma.pairs == roipac.pairs == isce.pairs
    phase = np.asarray(gamma.unwrapped_phase)
    np.testing.assert_array_equal(phase, np.asarray(roipac.unwrapped_phase))
    # the pass is descending, so that the columns of radar coordinates run from east to west
    np.testing.assert_array_equal(phase, np.asarray(isce.unwrapped_phase)[:, :, ::-1])
    np.testing.assert_array_equal(np.asarray(gamma.geometry.height), np.asarray(roipac.geometry.height))
    np.testing.assert_array_equal(np.asarray(gamma.geometry.height), np.asarray(isce.geometry.height)[:, ::-1])
    incidence = np.asarray(gamma.geometry.incidence_angle)
    np.testing.assert_allclose(incidence, np.asarray(isce.geometry.incidence_angle)[:, ::-1], atol=2e-4)
    assert gamma.acquisition.orbit_direction == isce.acquisition.orbit_direction == "descending"


def test_sydney_lies_half_a_pixel_apart(shared_data: Path) -> None:
    # GAMMA's header was made from ROI_PAC's with the same figures, which mean a centre in one and a corner in the other
    gamma, roipac = (open_stack(shared_data / "sydney_envisat" / name).grid for name in ("gamma", "roipac"))
    assert gamma.lonlat(RowCol(0, 0)) == pytest.approx((150.91, -34.17), abs=1e-9)
    assert roipac.bounds[0] == pytest.approx(150.91, abs=1e-9)
    assert roipac.bounds[3] == pytest.approx(-34.17, abs=1e-9)


def test_baselines_of_sydney_are_not_believed(shared_data: Path) -> None:
    stack = open_stack(shared_data / "sydney_envisat" / "gamma")
    assert np.isnan(stack.perpendicular_baselines_m).all()
    assert stack.acquisition.looks == 16
