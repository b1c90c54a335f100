"""ISCE2 stacks: what is read, in which sign and shape, and what is refused."""

from __future__ import annotations

import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from insar.errors import InputError, MissingInputError
from insar.grid import Grid
from insar.readers import open_stack
from insar.readers.files import OpenFile
from insar.stack import Pair

from .builders import COLS, ROWS, IsceBuilder, as_read, plane

FIRST = Pair(date(2018, 1, 6), date(2018, 1, 18))
SECOND = Pair(date(2018, 1, 18), date(2018, 1, 30))


def test_whole_stack(isce: IsceBuilder) -> None:
    stack = open_stack(isce.root)
    assert stack.pairs == (FIRST, SECOND)
    assert stack.wavelength_m == 0.05546576
    assert stack.grid == Grid.radar(ROWS, COLS)
    assert stack.in_radar_coordinates
    assert stack.notes == ()
    np.testing.assert_array_equal(np.asarray(stack.unwrapped_phase), [as_read(plane(0)), as_read(plane(1))])
    np.testing.assert_array_equal(np.asarray(stack.coherence), [as_read(np.abs(plane(10))), as_read(np.abs(plane(11)))])
    np.testing.assert_array_equal(np.asarray(stack.connected_components), np.ones((2, ROWS, COLS)))


def test_opening_reads_no_pixels(isce: IsceBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a raster was read")

    monkeypatch.setattr(OpenFile, "read_into", refuse)
    stack = open_stack(isce.root)
    with pytest.raises(AssertionError, match="a raster was read"):
        np.asarray(stack.unwrapped_phase)


@given(
    rows=st.tuples(st.integers(0, ROWS), st.integers(0, ROWS)).map(sorted),
    cols=st.tuples(st.integers(0, COLS), st.integers(0, COLS)).map(sorted),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
def test_blocks_are_slices_of_the_whole(isce: IsceBuilder, rows: list[int], cols: list[int]) -> None:
    stack = open_stack(isce.root)
    for cube in (stack.unwrapped_phase, stack.coherence, stack.connected_components):
        assert cube is not None
        np.testing.assert_array_equal(
            cube.read(slice(*rows), slice(*cols)), cube.compute()[:, slice(*rows), slice(*cols)]
        )
    latitude = stack.geometry.latitude
    assert latitude is not None
    np.testing.assert_array_equal(
        latitude.read(slice(*rows), slice(*cols)), np.asarray(latitude)[slice(*rows), slice(*cols)]
    )


def test_threads_read_the_same(isce: IsceBuilder) -> None:
    cube = open_stack(isce.root).unwrapped_phase
    assert cube is not None
    whole = cube.compute()
    with ThreadPoolExecutor(4) as pool:
        windows = list(pool.map(lambda row: cube.read(slice(row % ROWS, row % ROWS + 1), slice(0, COLS)), range(100)))
    for row, window in enumerate(windows):
        np.testing.assert_array_equal(window[:, 0], whole[:, row % ROWS])


def test_a_stack_travels_to_another_process(isce: IsceBuilder) -> None:
    stack = open_stack(isce.root)
    copy = pickle.loads(pickle.dumps(stack))
    np.testing.assert_array_equal(np.asarray(copy.unwrapped_phase), np.asarray(stack.unwrapped_phase))


def test_pair_stored_later_earlier_changes_sign(isce: IsceBuilder) -> None:
    expected = np.asarray(open_stack(isce.root).unwrapped_phase)
    shutil.rmtree(isce.pairs / "20180106_20180118")
    isce.add_pair("20180118_20180106", -plane(0), np.abs(plane(10)), np.ones((ROWS, COLS)))
    stack = open_stack(isce.root)
    assert stack.pairs == (FIRST, SECOND)
    np.testing.assert_array_equal(np.asarray(stack.unwrapped_phase), expected)
    np.testing.assert_array_equal(stack.perpendicular_baselines_m, [11.0, -16.0])
    assert np.nanmin(np.asarray(stack.coherence)) > 0


def test_pair_present_twice_is_kept_once(isce: IsceBuilder) -> None:
    isce.add_pair("20180118_20180106", plane(50))
    stack = open_stack(isce.root)
    assert stack.pairs == (FIRST, SECOND)
    np.testing.assert_array_equal(stack.unwrapped_phase[0], as_read(plane(0)))
    assert stack.notes == (
        "interferograms/20180118_20180106 is left out: interferograms/20180106_20180118 is of the same dates",
    )


def test_pair_without_phase_is_left_out(isce: IsceBuilder) -> None:
    isce.add_pair("20180106_20180130", None, np.abs(plane(12)))
    isce.add_pair("20180201_20180213", None)
    stack = open_stack(isce.root)
    assert stack.pairs == (FIRST, SECOND)
    assert stack.notes == (
        "interferograms/20180106_20180130 is left out: it has no unwrapped interferogram",
        "interferograms/20180201_20180213 is left out: it has no unwrapped interferogram",
    )


def test_pair_without_coherence_is_unknown_there(isce: IsceBuilder) -> None:
    (isce.pairs / "20180106_20180118/filt_fine.cor").unlink()
    stack = open_stack(isce.root)
    coherence = np.asarray(stack.coherence)
    assert np.isnan(coherence[0]).all()
    np.testing.assert_array_equal(coherence[1], as_read(np.abs(plane(11))))
    assert stack.notes == ("no coherence for interferograms/20180106_20180118: unknown (NaN) there",)


def test_no_coherence_at_all(stripmap: IsceBuilder) -> None:
    stack = open_stack(stripmap.root)
    assert stack.coherence is None
    assert stack.connected_components is None
    assert np.isnan(stack.perpendicular_baselines_m).all()
    assert stack.notes == ("perpendicular baseline unknown for 1 of 1 pairs",)


def test_coherence_alone(isce: IsceBuilder) -> None:
    for path in isce.pairs.glob("*/filt_fine.unw"):
        path.unlink()
    stack = open_stack(isce.root)
    assert stack.unwrapped_phase is None
    assert stack.coherence is not None
    assert stack.coherence.shape == (2, ROWS, COLS)


def test_stripmap_names_and_baselines(stripmap: IsceBuilder) -> None:
    stripmap.add_baseline("20180106_20180118", -4.0, 6.0)
    stack = open_stack(stripmap.root)
    np.testing.assert_array_equal(stack.unwrapped_phase[0], as_read(plane(0)))
    np.testing.assert_array_equal(stack.perpendicular_baselines_m, [1.0])


def test_older_folder_names(isce: IsceBuilder) -> None:
    isce.geometry.rename(isce.geometry.with_name("geom_master"))
    stack = open_stack(isce.root)
    assert stack.geometry.latitude is not None
    assert stack.geometry.height is not None


@pytest.mark.parametrize("scheme", ["BIL", "BIP", "BSQ"])
@pytest.mark.parametrize("order", ["l", "b"])
def test_order_of_bands_and_bytes_is_honoured(isce: IsceBuilder, scheme: str, order: str) -> None:
    shutil.rmtree(isce.geometry)
    isce.add_geometry(scheme=scheme, order=order)
    isce.add_pair("20180106_20180118", plane(0), np.abs(plane(10)), scheme=scheme, order=order)
    stack = open_stack(isce.root)
    np.testing.assert_array_equal(stack.unwrapped_phase[0], as_read(plane(0)))
    incidence, azimuth = np.asarray(stack.geometry.incidence_angle), np.asarray(stack.geometry.azimuth_angle)
    assert np.isnan(incidence[0, 0])
    np.testing.assert_allclose(incidence.ravel()[1:], 39.5)
    np.testing.assert_allclose(azimuth.ravel()[1:], -99.5)


def test_coherence_of_two_bands_is_the_last(isce: IsceBuilder) -> None:
    bands = np.stack([np.full((ROWS, COLS), 50.0, np.float32), np.abs(plane(20))])
    isce.raster(isce.pairs / "20180106_20180118/filt_fine.cor", bands)
    np.testing.assert_array_equal(open_stack(isce.root).coherence[0], as_read(np.abs(plane(20))))


def test_broken_vrt_and_envi_header_are_ignored(isce: IsceBuilder) -> None:
    raster = isce.pairs / "20180106_20180118/filt_fine.unw"
    raster.with_name("filt_fine.unw.vrt").write_text("<VRTDataset rasterXSize=“300” rasterYSize=“300”>")
    raster.with_name("filt_fine.unw.hdr").write_text("ENVI\nsamples = 3\nlines = 1\n")
    raster.with_name("filt_fine.hdr").write_text("ENVI\nsamples = 3\nlines = 1\n")
    np.testing.assert_array_equal(open_stack(isce.root).unwrapped_phase[0], as_read(plane(0)))


def test_lookup_table_keeps_double_precision(isce: IsceBuilder) -> None:
    latitude = np.asarray(open_stack(isce.root).geometry.latitude)
    assert latitude.dtype == np.float64
    assert latitude[1, 0] - latitude[0, 0] == pytest.approx(1e-9, rel=1e-5)


def test_impossible_angles_and_places_are_refused(isce: IsceBuilder) -> None:
    swapped = np.stack([np.full((ROWS, COLS), -99.5, np.float32), np.full((ROWS, COLS), 39.5, np.float32)])
    isce.raster(isce.geometry / "los.rdr", swapped)
    isce.raster(isce.geometry / "lat.rdr", np.full((ROWS, COLS), 91.0))
    geometry = open_stack(isce.root).geometry
    with pytest.raises(InputError, match=r"los\.rdr: required values from 0 to 90; found -99\.5"):
        np.asarray(geometry.incidence_angle)
    with pytest.raises(InputError, match=r"lat\.rdr: required values from -90 to 90; found 91"):
        np.asarray(geometry.latitude)


def test_shadow_mask_and_height_keep_their_zeros(isce: IsceBuilder) -> None:
    geometry = open_stack(isce.root).geometry
    assert np.asarray(geometry.height)[0, 0] == 0.0
    mask = np.asarray(geometry.shadow_mask)
    assert np.flatnonzero(mask).tolist() == [ROWS * COLS - 1]
    assert not np.isnan(mask).any()


def test_looks_from_the_size_at_full_resolution(isce: IsceBuilder) -> None:
    full = isce.geometry / "hgt.rdr.full.xml"
    full.write_text(
        f"<imageFile><property name='width'><value>{19 * COLS + 3}</value></property>"
        f"<property name='length'><value>{7 * ROWS + 4}</value></property></imageFile>"
    )
    acquisition = open_stack(isce.root).acquisition
    assert (acquisition.range_looks, acquisition.azimuth_looks, acquisition.looks) == (19, 7, 133)


def test_looks_from_pixels_counted_at_full_resolution(isce: IsceBuilder) -> None:
    shutil.rmtree(isce.geometry)
    isce.add_geometry(lon=(20.0, 40.0), lat=(50.0, 100.0))
    stack = open_stack(isce.root)
    assert stack.in_radar_coordinates, "a step of 40 counts pixels, it is not degrees"
    assert (stack.acquisition.range_looks, stack.acquisition.azimuth_looks) == (40, 100)


@pytest.mark.parametrize("suffix", [".geo", ""])
def test_geocoded_stack_is_on_a_map(tmp_path: Path, suffix: str) -> None:
    builder = IsceBuilder(tmp_path)
    place = {"lon": (-99.0, 0.002), "lat": (19.5, -0.001)}
    builder.add_pair("20180106_20180118", plane(0), suffix=suffix, **place)
    builder.raster(builder.geometry / f"hgt.rdr{suffix}", plane(3), **place)
    builder.raster(builder.geometry / "lat.rdr", plane(3))
    builder.add_wavelength()
    stack = open_stack(tmp_path)
    assert stack.grid.crs == "EPSG:4326"
    assert stack.grid.bounds == pytest.approx((-99.001, 19.5005 - 0.005, -99.001 + 0.008, 19.5005))
    assert stack.geometry.latitude is None
    np.testing.assert_array_equal(np.asarray(stack.geometry.height), plane(3))


def test_radar_rasters_go_before_geocoded_ones(isce: IsceBuilder) -> None:
    isce.add_pair(
        "20180106_20180118", np.ones((9, 9), np.float32), suffix=".geo", lon=(-99.0, 0.002), lat=(19.5, -0.001)
    )
    assert open_stack(isce.root).grid == Grid.radar(ROWS, COLS)


def test_no_lookup_table(isce: IsceBuilder) -> None:
    (isce.geometry / "lat.rdr").unlink()
    with pytest.raises(MissingInputError, match=r"geom_reference/lat\.rdr: required the latitude and longitude"):
        open_stack(isce.root)
    shutil.rmtree(isce.geometry)
    with pytest.raises(MissingInputError, match=r"lat\.rdr"):
        open_stack(isce.root)


def test_absent_height_is_noted(isce: IsceBuilder) -> None:
    (isce.geometry / "hgt.rdr").unlink()
    stack = open_stack(isce.root)
    assert stack.geometry.height is None
    assert stack.notes == ("geom_reference has no hgt.rdr",)


@pytest.mark.parametrize("name", ["20181345_20180130", "20180106_20180106"])
def test_impossible_dates(isce: IsceBuilder, name: str) -> None:
    isce.add_pair(name, plane(3))
    with pytest.raises(InputError, match=rf"{name}: required two"):
        open_stack(isce.root)


def test_folder_with_a_phase_but_without_dates(isce: IsceBuilder) -> None:
    isce.add_pair("summer", plane(3))
    with pytest.raises(InputError, match=r"summer: required .* named YYYYMMDD_YYYYMMDD; found summer"):
        open_stack(isce.root)


def test_other_folders_beside_the_pairs_are_ignored(isce: IsceBuilder) -> None:
    (isce.pairs / "logs").mkdir()
    assert open_stack(isce.root).notes == ()


def test_two_sizes_name_both_files(isce: IsceBuilder) -> None:
    isce.add_pair("20180118_20180130", np.ones((ROWS, COLS + 1), np.float32))
    with pytest.raises(InputError) as caught:
        open_stack(isce.root)
    message = str(caught.value)
    for part in ("20180106_20180118/filt_fine.unw", "20180118_20180130/filt_fine.unw", "5 rows x 4", "5 rows x 5"):
        assert part in message


def test_two_places_name_both_files(tmp_path: Path) -> None:
    builder = IsceBuilder(tmp_path)
    builder.add_pair("20180106_20180118", plane(0), lon=(-99.0, 0.002), lat=(19.5, -0.001))
    builder.add_pair("20180118_20180130", plane(0), lon=(-99.001, 0.002), lat=(19.5, -0.001))
    builder.add_wavelength()
    with pytest.raises(InputError, match=r"west -99\.001, .*; found .* west -99\.002"):
        open_stack(tmp_path)


def test_geometry_of_another_size(isce: IsceBuilder) -> None:
    isce.raster(isce.geometry / "hgt.rdr", np.ones((ROWS + 2, COLS)))
    with pytest.raises(InputError, match=r"hgt\.rdr: required the grid of .*filt_fine\.unw: 5 rows"):
        open_stack(isce.root)


def test_short_file_says_how_short(isce: IsceBuilder) -> None:
    raster = isce.pairs / "20180118_20180130/filt_fine.unw"
    raster.write_bytes(raster.read_bytes()[:100])
    with pytest.raises(InputError, match=r"20180118_20180130/filt_fine\.unw: required 160 bytes .* found 100 bytes"):
        open_stack(isce.root)


def test_absent_sidecar(isce: IsceBuilder) -> None:
    (isce.pairs / "20180118_20180130/filt_fine.cor.xml").unlink()
    with pytest.raises(InputError, match=r"20180118_20180130/filt_fine\.cor\.xml: .* found no such file"):
        open_stack(isce.root)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("<imageFile><property", "a syntax error"),
        ("", "a syntax error"),
        ("<imageFile/>", "none"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><imageFile>&a;</imageFile>', "a declaration that is not allowed"),
    ],
)
def test_sidecar_that_cannot_be_used(isce: IsceBuilder, text: str, found: str) -> None:
    (isce.pairs / "20180106_20180118/filt_fine.unw.xml").write_text(text)
    with pytest.raises(InputError, match=rf"20180106_20180118/filt_fine\.unw\.xml: .* found {found}"):
        open_stack(isce.root)


@pytest.mark.parametrize(
    "changes", [{"data_type": "CFLOAT"}, {"scheme": "XYZ"}, {"number_bands": "3"}, {"width": "wide"}, {"length": "0"}]
)
def test_sidecar_with_impossible_values(isce: IsceBuilder, changes: dict[str, str]) -> None:
    isce.raster(isce.pairs / "20180106_20180118/filt_fine.unw", plane(0), changes=changes)
    with pytest.raises(InputError, match=rf"filt_fine\.unw\.xml: .*found .*{next(iter(changes.values()))}"):
        open_stack(isce.root)


def test_no_interferogram_at_all(tmp_path: Path) -> None:
    (tmp_path / "merged/interferograms/20180106_20180118").mkdir(parents=True)
    with pytest.raises(InputError, match="required an ISCE2 stack"):
        open_stack(tmp_path, "isce")


def test_more_than_one_phase_in_a_folder(isce: IsceBuilder) -> None:
    isce.raster(isce.pairs / "20180106_20180118/a_corrected.unw", np.stack([plane(7), plane(8)]))
    stack = open_stack(isce.root)
    np.testing.assert_array_equal(stack.unwrapped_phase[0], as_read(plane(0)))
    assert stack.notes == (
        "1 folders have more than one unwrapped interferogram; "
        "taken is interferograms/20180106_20180118/filt_fine.unw and the like",
    )


def test_phase_gradient_coherence_is_not_taken_for_coherence(isce: IsceBuilder) -> None:
    for path in isce.pairs.glob("*/filt_fine.cor"):
        path.rename(path.with_name("phsig.cor"))
        path.with_name("filt_fine.cor.xml").rename(path.with_name("phsig.cor.xml"))
    assert open_stack(isce.root).coherence is None
