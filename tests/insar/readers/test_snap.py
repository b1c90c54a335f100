"""SNAP stacks: what is read, in which sign and place, and what is refused."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from insar.errors import InputError
from insar.grid import LonLat, RowCol
from insar.readers import open_stack
from insar.readers.files import OpenFile
from insar.stack import Pair

from .builders import COLS, ROWS, SnapBuilder, as_read, plane
from .test_crs import GEOGRAPHIC, utm

FIRST = Pair(date(2018, 1, 6), date(2018, 1, 18))
SECOND = Pair(date(2018, 1, 18), date(2018, 1, 30))
NO_ANGLE = "no incidence angle: no product has a band incidenceAngleFromEllipsoid"
NO_HEIGHT = "no height: no product has a band elevation"


def test_whole_stack(whole_snap: SnapBuilder) -> None:
    stack = open_stack(whole_snap.root)
    assert stack.pairs == (FIRST, SECOND)
    assert stack.wavelength_m == pytest.approx(0.0554657595, abs=1e-10)
    assert stack.notes == (NO_ANGLE,)
    np.testing.assert_array_equal(np.asarray(stack.unwrapped_phase), [as_read(plane(0)), as_read(plane(1))])
    np.testing.assert_array_equal(np.asarray(stack.coherence), [as_read(np.abs(plane(10))), as_read(np.abs(plane(11)))])
    np.testing.assert_array_equal(np.asarray(stack.geometry.height), plane(99, zeros=False) * 100)
    np.testing.assert_array_equal(stack.perpendicular_baselines_m, [7.0, 7.0])
    acquisition = stack.acquisition
    assert acquisition.platform == "SENTINEL-1A"
    assert acquisition.orbit_direction == "ascending"
    assert acquisition.antenna_side == "right"
    assert acquisition.heading_deg == pytest.approx(-12.274)
    assert acquisition.center_line_utc_s == 11.5
    assert acquisition.looks == 4
    assert acquisition.azimuth_pixel_size_m is None, "99999.0 stands for unknown"


def test_place_is_the_corner_of_the_corner_pixel(whole_snap: SnapBuilder) -> None:
    grid = open_stack(whole_snap.root).grid
    assert grid.crs == "EPSG:4326"
    assert grid.bounds == pytest.approx((-99.2, 19.495, -99.196, 19.5))
    assert grid.lonlat(RowCol(0, 0)) == pytest.approx((-99.1995, 19.4995))
    assert grid.rowcol(LonLat(-99.1965, 19.4955)) == (4, 3)


def test_opening_reads_no_pixels(whole_snap: SnapBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a raster was read")

    monkeypatch.setattr(OpenFile, "read_into", refuse)
    stack = open_stack(whole_snap.root)
    with pytest.raises(AssertionError, match="a raster was read"):
        np.asarray(stack.unwrapped_phase)


@given(
    rows=st.tuples(st.integers(0, ROWS), st.integers(0, ROWS)).map(sorted),
    cols=st.tuples(st.integers(0, COLS), st.integers(0, COLS)).map(sorted),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20)
def test_blocks_are_slices_of_the_whole(whole_snap: SnapBuilder, rows: list[int], cols: list[int]) -> None:
    cube = open_stack(whole_snap.root).unwrapped_phase
    assert cube is not None
    np.testing.assert_array_equal(cube.read(slice(*rows), slice(*cols)), cube.compute()[:, slice(*rows), slice(*cols)])


@pytest.mark.parametrize("folder", ["", "all/", "a/b/c/"])
def test_phase_and_coherence_in_one_product(snap: SnapBuilder, folder: str) -> None:
    names = ("Phase_ifg_06Jan2018_18Jan2018_VV", "Intensity_ifg_06Jan2018_18Jan2018_VV")
    snap.add_product(
        f"{folder}product",
        {
            "coh_IW1_VV_06Jan2018_18Jan2018": np.abs(plane(10)),
            "q_ifg_VV_06Jan2018_18Jan2018": plane(50),
            "Unw_Phase_ifg_06Jan2018_18Jan2018_VV": plane(0),
            "elevation": plane(3),
            "incidenceAngleFromEllipsoid": 39 + plane(4, zeros=False),
            "localIncidenceAngle": plane(5),
        },
        virtual=names,
    )
    stack = open_stack(snap.root, "snap")
    np.testing.assert_array_equal(stack.unwrapped_phase[0], as_read(plane(0)))
    np.testing.assert_array_equal(stack.coherence[0], as_read(np.abs(plane(10))))
    np.testing.assert_array_equal(np.asarray(stack.geometry.height), as_read(plane(3)))
    np.testing.assert_array_equal(np.asarray(stack.geometry.incidence_angle), 39 + plane(4, zeros=False))


def test_local_incidence_angle_is_not_the_incidence_angle(snap: SnapBuilder) -> None:
    snap.add_product("a", {"Unw_Phase_ifg_06Jan2018_18Jan2018": plane(0), "localIncidenceAngle": plane(5)})
    assert open_stack(snap.root).geometry.incidence_angle is None


def test_dates_in_the_name_of_the_product(snap: SnapBuilder) -> None:
    snap.add_product("20180118_20180106/filt_unw_tc", {"filt_unw": -plane(0)}, units={"filt_unw": "abs_phase"})
    snap.add_product("20180106_20180118_coh_tc", {"band_1": np.abs(plane(10))}, units={"band_1": "coherence"})
    stack = open_stack(snap.root)
    assert stack.pairs == (FIRST,)
    np.testing.assert_array_equal(stack.unwrapped_phase[0], as_read(plane(0)))
    np.testing.assert_array_equal(stack.coherence[0], as_read(np.abs(plane(10))))


def test_no_dates_anywhere(snap: SnapBuilder) -> None:
    snap.add_product("product", {"unw": plane(0)})
    with pytest.raises(InputError, match=r"band unw of .*: required two dates in its name"):
        open_stack(snap.root)


@pytest.mark.parametrize("band", ["Unw_Phase_ifg_31Feb2018_18Jan2018", "Unw_Phase_ifg_06Mai2018_18Jan2018"])
def test_impossible_dates(snap: SnapBuilder, band: str) -> None:
    snap.add_product("product", {band: plane(0)})
    with pytest.raises(InputError, match=f"band {band} of .*: required two dates that exist"):
        open_stack(snap.root)


@pytest.mark.parametrize("words", [("Master: ", "Slave: "), ("Ref_", "Secondary_")])
def test_baseline_is_that_of_the_earlier_date_as_master(snap: SnapBuilder, words: tuple[str, str]) -> None:
    # coregistered to a third date, which comes first among the masters
    baselines = snap.baselines({"12Jan2018": 0.0, "18Jan2018": 10.0, "06Jan2018": 3.0}, words=words)
    snap.add_product("a", {"Unw_Phase_ifg_06Jan2018_18Jan2018": plane(0)}, baselines=baselines)
    assert open_stack(snap.root).perpendicular_baselines_m.tolist() == [7.0]


def test_pair_stored_later_earlier_changes_sign(snap: SnapBuilder) -> None:
    baselines = snap.baselines({"18Jan2018": 10.0, "06Jan2018": 3.0})
    snap.add_product("a", {"Unw_Phase_ifg_18Jan2018_06Jan2018": -plane(0)}, baselines=baselines)
    stack = open_stack(snap.root)
    assert stack.pairs == (FIRST,)
    np.testing.assert_array_equal(stack.unwrapped_phase[0], as_read(plane(0)))
    assert stack.perpendicular_baselines_m.tolist() == [7.0]


@pytest.mark.parametrize(("master", "sign"), [("06Jan2018", 1.0), ("18Jan2018", -1.0)])
def test_baseline_stated_in_one_direction_only(snap: SnapBuilder, master: str, sign: float) -> None:
    slave = {"06Jan2018": "18Jan2018", "18Jan2018": "06Jan2018"}[master]
    baselines = (
        f"<MDElem name='Master: {master}'><MDElem name='Slave: {slave}'>"
        "<MDATTR name='Perp Baseline'>7.0</MDATTR></MDElem></MDElem>"
    )
    snap.add_product("a", {"Unw_Phase_ifg_06Jan2018_18Jan2018": plane(0)}, baselines=baselines)
    assert open_stack(snap.root).perpendicular_baselines_m.tolist() == [7.0 * sign]


def test_baseline_through_a_common_master(snap: SnapBuilder) -> None:
    baselines = "<MDElem name='Master: 12Jan2018'>" + "".join(
        f"<MDElem name='Slave: {day}'><MDATTR name='Perp Baseline'>{value}</MDATTR></MDElem>"
        for day, value in (("06Jan2018", 3.0), ("18Jan2018", 10.0))
    )
    snap.add_product("a", {"Unw_Phase_ifg_06Jan2018_18Jan2018": plane(0)}, baselines=baselines + "</MDElem>")
    assert open_stack(snap.root).perpendicular_baselines_m.tolist() == [7.0]


def test_missing_baseline_is_unknown_not_a_number(snap: SnapBuilder) -> None:
    baselines = snap.baselines({"06Jan2018": 0.0, "18Jan2018": 99999.0})
    snap.add_product(
        "a", {"Unw_Phase_ifg_06Jan2018_18Jan2018": plane(0)}, baselines=baselines.replace("-99999", "99999")
    )
    stack = open_stack(snap.root)
    assert np.isnan(stack.perpendicular_baselines_m).all()
    assert "perpendicular baseline unknown for 1 of 1 pairs" in stack.notes


def test_byte_order_follows_the_header(snap: SnapBuilder) -> None:
    snap.add_product("a", {"Unw_Phase_ifg_06Jan2018_18Jan2018": plane(0)}, order="<")
    np.testing.assert_array_equal(open_stack(snap.root).unwrapped_phase[0], as_read(plane(0)))


def test_declared_no_data_is_honoured_and_zero_too(snap: SnapBuilder) -> None:
    values = plane(0)
    values[3, 3] = -9999.0
    snap.add_product("a", {"Unw_Phase_ifg_06Jan2018_18Jan2018": values, "elevation": values}, no_data="-9999.0")
    stack = open_stack(snap.root)
    phase, height = stack.unwrapped_phase[0], np.asarray(stack.geometry.height)
    assert np.argwhere(np.isnan(phase)).tolist() == [[1, 2], [3, 3]]
    assert np.argwhere(np.isnan(height)).tolist() == [[3, 3]], "a height of zero is a height"


def test_undeclared_no_data(snap: SnapBuilder) -> None:
    bands = {"Unw_Phase_ifg_06Jan2018_18Jan2018": plane(0), "elevation": plane(0)}
    snap.add_product("a", bands, no_data=None)
    stack = open_stack(snap.root)
    assert np.argwhere(np.isnan(stack.unwrapped_phase[0])).tolist() == [[1, 2]]
    assert not np.isnan(np.asarray(stack.geometry.height)).any()


def test_projection_of_the_header(snap: SnapBuilder) -> None:
    snap.system = f"<WKT>\n  {utm(-99.0, 0.0)}\n</WKT>"
    snap.transform = "20.0,0.0,0.0,-20.0,480000.0,2150000.0"
    snap.add_product("a", {"Unw_Phase_ifg_06Jan2018_18Jan2018": plane(0)})
    grid = open_stack(snap.root).grid
    assert grid.crs == "EPSG:32614"
    assert grid.bounds == (480000.0, 2149900.0, 480080.0, 2150000.0)


def test_projection_of_the_raster_where_the_header_has_none(snap: SnapBuilder) -> None:
    snap.system = ""
    bands = {"Unw_Phase_ifg_06Jan2018_18Jan2018": plane(0)}
    snap.add_product("a", bands, header_extra=f"coordinate system string = {{{GEOGRAPHIC}}}\n")
    assert open_stack(snap.root).grid.crs == "EPSG:4326"


def test_no_projection(snap: SnapBuilder) -> None:
    snap.system = ""
    snap.add_product("a", {"Unw_Phase_ifg_06Jan2018_18Jan2018": plane(0)})
    with pytest.raises(InputError, match=r"a\.dim: required a coordinate reference system"):
        open_stack(snap.root)


def test_radar_geometry_asks_for_terrain_correction(snap: SnapBuilder) -> None:
    tie_points = "<Geoposition_Points><TIE_POINT_GRID_NAME_LAT>latitude</TIE_POINT_GRID_NAME_LAT></Geoposition_Points>"
    snap.add_product("a", {"Unw_Phase_ifg_06Jan2018_18Jan2018": plane(0)}, geoposition=tie_points)
    with pytest.raises(InputError, match="Run Range-Doppler Terrain Correction"):
        open_stack(snap.root)
    snap.add_product("b", {"Unw_Phase_ifg_18Jan2018_30Jan2018": plane(1)})
    stack = open_stack(snap.root)
    assert stack.pairs == (SECOND,)
    assert "left out, not terrain corrected: a.dim" in stack.notes


def test_pair_present_twice_is_kept_once(whole_snap: SnapBuilder) -> None:
    whole_snap.add_product("zzz", {"Unw_Phase_ifg_18Jan2018_06Jan2018_VV": plane(50)})
    stack = open_stack(whole_snap.root)
    assert stack.pairs == (FIRST, SECOND)
    np.testing.assert_array_equal(stack.unwrapped_phase[0], as_read(plane(0)))
    assert stack.notes[0] == (
        "zzz.dim:Unw_Phase_ifg_18Jan2018_06Jan2018_VV is left out: "
        "interferograms/pair0/unw_tc.dim:Unw_Phase_ifg_06Jan2018_18Jan2018_VV is of the same dates"
    )


def test_coherence_of_the_same_polarisation(snap: SnapBuilder) -> None:
    snap.add_product("a", {"coh_VH_06Jan2018_18Jan2018": np.full((ROWS, COLS), 0.1)})
    snap.add_product("b", {"coh_VV_06Jan2018_18Jan2018": np.full((ROWS, COLS), 0.9)})
    snap.add_product("c", {"Unw_Phase_ifg_06Jan2018_18Jan2018_VV": plane(0)})
    stack = open_stack(snap.root)
    np.testing.assert_array_equal(stack.coherence[0], np.float32(0.9))
    assert any("coh_VH" in note for note in stack.notes)


def test_coherence_of_some_pairs(whole_snap: SnapBuilder) -> None:
    (whole_snap.root / "interferograms/pair0/coh_tc.dim").unlink()
    stack = open_stack(whole_snap.root)
    coherence = np.asarray(stack.coherence)
    assert np.isnan(coherence[0]).all()
    np.testing.assert_array_equal(coherence[1], as_read(np.abs(plane(11))))
    assert "no coherence for unw_tc.dim: unknown (NaN) there" in stack.notes


def test_coherence_without_phase_is_noted(whole_snap: SnapBuilder) -> None:
    (whole_snap.root / "interferograms/pair0/unw_tc.dim").unlink()
    stack = open_stack(whole_snap.root)
    assert stack.pairs == (SECOND,)
    assert any("no unwrapped phase of the same dates" in note for note in stack.notes)


def test_coherence_alone(snap: SnapBuilder) -> None:
    snap.add_product("a", {"coh_IW1_VV_06Jan2018_18Jan2018": np.abs(plane(10))})
    stack = open_stack(snap.root)
    assert stack.unwrapped_phase is None
    np.testing.assert_array_equal(stack.coherence[0], as_read(np.abs(plane(10))))


def test_nothing_interferometric(snap: SnapBuilder) -> None:
    snap.add_product("dem_tc", {"elevation": plane(0)})
    with pytest.raises(InputError, match=r"required bands Unw_Phase_ifg_.*; found none in 1 products"):
        open_stack(snap.root)


def test_two_sizes_name_both_files(whole_snap: SnapBuilder) -> None:
    bands = {"Unw_Phase_ifg_30Jan2018_11Feb2018": np.ones((ROWS + 1, COLS))}
    whole_snap.add_product("z", bands, size=(ROWS + 1, COLS))
    with pytest.raises(InputError) as caught:
        open_stack(whole_snap.root)
    for part in ("z.dim", "pair0/unw_tc.dim", "5 rows x 4", "6 rows x 4"):
        assert part in str(caught.value)


def test_two_places_name_both_files(whole_snap: SnapBuilder) -> None:
    whole_snap.transform = "0.001,0.0,0.0,-0.001,-99.2005,19.5"
    whole_snap.add_product("z", {"Unw_Phase_ifg_30Jan2018_11Feb2018": plane(0)})
    with pytest.raises(InputError, match=r"z\.dim: required the grid of .*unw_tc\.dim.*found .* west -99\.2005"):
        open_stack(whole_snap.root)


def test_terrain_model_on_another_grid(snap: SnapBuilder) -> None:
    snap.add_product("a", {"Unw_Phase_ifg_06Jan2018_18Jan2018": plane(0)})
    snap.add_product("dem_tc", {"elevation": np.ones((ROWS, COLS + 3))}, size=(ROWS, COLS + 3))
    with pytest.raises(InputError, match=r"dem_tc\.dim: required the grid of .*a\.dim"):
        open_stack(snap.root)


def test_short_raster(whole_snap: SnapBuilder) -> None:
    image = next(whole_snap.root.glob("**/pair1/unw_tc.data/*.img"))
    image.write_bytes(image.read_bytes()[:-4])
    with pytest.raises(InputError, match=r"Unw_Phase.*\.img: required 80 bytes .* found 76 bytes"):
        open_stack(whole_snap.root)


def test_absent_raster_header(whole_snap: SnapBuilder) -> None:
    next(whole_snap.root.glob("**/pair1/unw_tc.data/*.hdr")).unlink()
    with pytest.raises(InputError, match=r"Unw_Phase.*\.hdr: required the ENVI header"):
        open_stack(whole_snap.root)


@pytest.mark.parametrize("keep", [0, 100, 900, -5, -25])
def test_product_header_cut_short(whole_snap: SnapBuilder, keep: int) -> None:
    header = whole_snap.root / "interferograms/pair1/unw_tc.dim"
    header.write_bytes(header.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"pair1/unw_tc\.dim: "):
        open_stack(whole_snap.root)


def test_entities_are_not_expanded(whole_snap: SnapBuilder) -> None:
    header = whole_snap.root / "interferograms/pair1/unw_tc.dim"
    header.write_text(header.read_text().replace("<Dimap", '<!DOCTYPE x [<!ENTITY a "b">]><Dimap', 1))
    with pytest.raises(InputError, match="a declaration that is not allowed"):
        open_stack(whole_snap.root)


def test_metadata_of_the_original_products_is_not_parsed(snap: SnapBuilder) -> None:
    snap.add_product(
        "a", {"Unw_Phase_ifg_06Jan2018_18Jan2018": plane(0)}, tail="<MDElem name='Original'>" + "<x>" * 200_000
    )
    assert open_stack(snap.root).pairs == (FIRST,)


def test_products_of_two_sensors(whole_snap: SnapBuilder) -> None:
    whole_snap.metadata["radar_frequency"] = "1270.0"
    whole_snap.add_product("z", {"Unw_Phase_ifg_30Jan2018_11Feb2018": plane(0)})
    with pytest.raises(InputError, match=r"z\.dim: required the radar frequency of .*5405"):
        open_stack(whole_snap.root)


def test_unknown_frequency(snap: SnapBuilder) -> None:
    snap.metadata["radar_frequency"] = "99999.0"
    snap.add_product("a", {"Unw_Phase_ifg_06Jan2018_18Jan2018": plane(0)})
    stack = open_stack(snap.root)
    assert stack.wavelength_m == 0.0554657646
    assert any("assumed" in note for note in stack.notes)
    snap.metadata["MISSION"] = "ALOS2"
    snap.add_product("b", {"Unw_Phase_ifg_06Jan2018_18Jan2018": plane(0)})
    (snap.root / "a.dim").unlink()
    with pytest.raises(InputError, match="required radar_frequency"):
        open_stack(snap.root)


def test_scale_and_offset_of_a_band(snap: SnapBuilder) -> None:
    path = snap.add_product("a", {"Unw_Phase_ifg_06Jan2018_18Jan2018": plane(0)})
    text = path.read_text()
    path.write_text(
        text.replace(
            "<NO_DATA_VALUE_USED>",
            "<SCALING_FACTOR>2.0</SCALING_FACTOR><SCALING_OFFSET>1.0</SCALING_OFFSET><NO_DATA_VALUE_USED>",
        )
    )
    np.testing.assert_array_equal(open_stack(snap.root).unwrapped_phase[0], as_read(plane(0)) * 2 + 1)
    path.write_text(text.replace("<NO_DATA_VALUE_USED>", "<LOG10_SCALED>true</LOG10_SCALED><NO_DATA_VALUE_USED>"))
    with pytest.raises(InputError, match="a logarithmic band"):
        open_stack(snap.root)


def test_links_in_a_circle(whole_snap: SnapBuilder, tmp_path: Path) -> None:
    (whole_snap.root / "interferograms/again").symlink_to(whole_snap.root)
    assert open_stack(whole_snap.root).pairs == (FIRST, SECOND)
