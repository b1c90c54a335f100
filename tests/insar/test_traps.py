"""The traps that peers fall into, each by its name."""

from __future__ import annotations

import shutil
import sys
from datetime import date

import h5py
import numpy as np
import pytest
import rasterio
from plain import minimum_norm_series, sequential_network, temporal_coherence

import insar
from insar.config import Settings
from insar.errors import InputError
from insar.pipeline import run_chain
from insar.quality import Quality
from insar.stack import Pair
from insar.unwrapping import ClosureCorrector

from .readers.builders import COLS, MAP_ATTRIBUTES, ROWS, IsceBuilder, SnapBuilder, as_read, plane, write_mintpy

FIRST, SECOND, THIRD = date(2018, 1, 6), date(2018, 1, 18), date(2018, 1, 30)


def isce_stack(root, phases):
    """A topsStack of constant or given planes by the name of the pair."""
    builder = IsceBuilder(root)
    for name, (phase, coherence) in phases.items():
        builder.add_pair(name, np.broadcast_to(np.float32(phase), (ROWS, COLS)).copy(), coherence)
    builder.add_geometry()
    builder.add_wavelength()
    return builder


def add_places(builder, rows, cols):
    """Latitude and longitude alone."""
    row, col = np.mgrid[0:rows, 0:cols]
    builder.raster(builder.geometry / "lat.rdr", 32.0 + 1e-3 * row)
    builder.raster(builder.geometry / "lon.rdr", 130.0 + 1e-3 * col)


def test_three_cycle_errors_pass_temporal_coherence_and_are_caught_by_closure():
    pairs = sequential_network(30, 3)
    assert len(pairs) == 84
    random = np.random.default_rng(0)
    truth = np.concatenate([[0.0], np.cumsum(random.normal(0, 0.5, 29))])
    dates = sorted({day for pair in pairs for day in pair})
    place = {day: index for index, day in enumerate(dates)}
    clean = np.array([truth[place[two]] - truth[place[one]] for one, two in pairs]) + random.normal(0, 0.1, 84)
    phase = clean.copy()
    phase[[26, 36, 73]] += 2 * np.pi * np.array([1, 1, -1])
    series = insar.invert_network(phase, pairs)
    wrong_by = np.sqrt(np.mean((series - truth) ** 2))
    agrees = temporal_coherence(phase[:, None], pairs, series[:, None])[0]
    assert wrong_by > 1.3
    assert agrees == pytest.approx(0.8, abs=0.02)
    assert agrees > 0.7
    corrected = ClosureCorrector(pairs).correct(phase[:, None, None].copy(), reference_phase=np.zeros(84))
    assert corrected.open_loops_before[0, 0] > 0
    assert corrected.open_loops_after[0, 0] == 0
    assert corrected.corrected[0, 0] == 3
    np.testing.assert_allclose(corrected.phase[:, 0, 0], clean, atol=1e-9)
    assert np.sqrt(np.mean((insar.invert_network(corrected.phase[:, 0, 0], pairs) - truth) ** 2)) < 0.3


def test_split_network_is_biased_with_perfect_temporal_coherence_and_flagged(make_stack, tmp_path):
    known = make_stack()
    dates = sorted({day for pair in known.pairs for day in pair})
    pixel = 39, 29
    crossing = [index for index, (one, two) in enumerate(known.pairs) if one <= dates[5] < two]
    with h5py.File(known.path, "r+") as sink:
        for index in crossing:
            sink["unwrapPhase"][(index, *pixel)] = 0.0
    folder = run_chain(Settings(stack=known.path, reference_rowcol=(3, 4)), tmp_path / "out")
    layers = {}
    for name in ("temporal_coherence", "subsets", "quality"):
        with rasterio.open(folder / "layers" / f"{name}.tif") as source:
            layers[name] = source.read(1)
    with h5py.File(folder / "timeseries.h5") as source:
        series = source["timeseries"][(slice(None), *pixel)]
    error = series - known.displacement_m[(slice(None), *pixel)]
    # The pixel moves by 0.18 m/yr; what it moved over the gap is missing at every date beyond. The rest is noise.
    missing = known.displacement_m[(6, *pixel)] - known.displacement_m[(5, *pixel)]
    assert missing > 5e-3
    np.testing.assert_allclose(error[6:] - error[5], -missing, atol=0.3 * missing)
    assert np.abs(error[:6]).max() < 0.3 * missing
    assert layers["temporal_coherence"][pixel] > 0.99
    assert layers["subsets"][pixel] == 2
    assert Quality.GAP_FILLED in Quality(int(layers["quality"][pixel]))
    whole = (layers["subsets"] == 1) & (layers["temporal_coherence"] > 0.7)
    assert not np.any(layers["quality"][whole] & Quality.GAP_FILLED)


@pytest.mark.parametrize("words", [("Master: ", "Slave: "), ("Ref_", "Secondary_")])
@pytest.mark.parametrize("order", [("06Jan2018", "18Jan2018"), ("18Jan2018", "06Jan2018")])
def test_snap_baseline_of_both_directions_is_that_of_the_earlier_date_as_master(tmp_path, words, order):
    # As in a real product: both directions, zero for a date against itself, in either order in the file.
    values = {"06Jan2018": 0.0, "18Jan2018": -29.346946716308594}
    snap = SnapBuilder(tmp_path / "snap")
    baselines = snap.baselines({day: values[day] for day in order}, words=words)
    snap.add_product("a", {"Unw_Phase_ifg_06Jan2018_18Jan2018_VV": plane(0)}, baselines=baselines)
    stack = insar.open_stack(snap.root)
    assert stack.perpendicular_baselines_m.tolist() == [pytest.approx(-29.346946716308594)]


def test_snap_baseline_of_a_pair_stored_later_earlier_keeps_its_sign(tmp_path):
    snap = SnapBuilder(tmp_path / "snap")
    baselines = snap.baselines({"18Jan2018": -29.3, "06Jan2018": 0.0})
    snap.add_product("a", {"Unw_Phase_ifg_18Jan2018_06Jan2018_VV": -plane(0)}, baselines=baselines)
    stack = insar.open_stack(snap.root)
    assert stack.perpendicular_baselines_m.tolist() == [pytest.approx(-29.3)]
    np.testing.assert_array_equal(stack.unwrapped_phase[0], as_read(plane(0)))


def test_snap_incidence_near_and_far_of_the_whole_swath_are_not_taken_for_the_map(tmp_path):
    snap = SnapBuilder(tmp_path / "snap")
    snap.metadata |= {"incidence_near": "30.18587689693985", "incidence_far": "36.6874679953394"}
    snap.add_product("a", {"Unw_Phase_ifg_06Jan2018_18Jan2018_VV": plane(0)})
    stack = insar.open_stack(snap.root)
    assert stack.geometry.incidence_angle is None
    assert any("no incidence angle" in note for note in stack.notes)
    # The band of the map is, where there is one; it need not lie between the two.
    angles = 39 + plane(4, zeros=False)
    snap.add_product("b", {"incidenceAngleFromEllipsoid": angles})
    np.testing.assert_array_equal(np.asarray(insar.open_stack(snap.root).geometry.incidence_angle), angles)


def test_snap_rasters_are_big_endian(tmp_path):
    snap = SnapBuilder(tmp_path / "snap")
    snap.add_product("a", {"Unw_Phase_ifg_06Jan2018_18Jan2018_VV": plane(0)})
    (raster,) = snap.root.rglob("*.img")
    np.testing.assert_array_equal(np.fromfile(raster, ">f4"), plane(0).ravel())
    np.testing.assert_array_equal(insar.open_stack(snap.root).unwrapped_phase[0], as_read(plane(0)))


def test_snap_header_anchored_at_the_scene_centre_does_not_move_the_map(tmp_path):
    snap = SnapBuilder(tmp_path / "snap")
    snap.add_product("a", {"Unw_Phase_ifg_06Jan2018_18Jan2018_VV": plane(0)})
    (header,) = snap.root.rglob("*.hdr")
    # As SNAP writes it: the tie is the pixel in the middle, counted from 1, not the first.
    anchored = header.read_text().replace("26.0,31.0,1.0,2.0,0.5,0.5", "3.0,3.5,-99.198,19.4975,0.001,0.001")
    header.write_text(anchored)
    assert insar.open_stack(snap.root).grid.bounds == pytest.approx((-99.2, 19.495, -99.196, 19.5))


def test_isce_broken_vrt_and_stale_file_name_are_ignored(tmp_path, shared_data):
    sample = shared_data / "format_samples" / "isce2" / "unzen_simulated"
    folder = tmp_path / "merged" / "interferograms" / "20180106_20180118"
    folder.mkdir(parents=True)
    for ending in ("", ".xml", ".vrt"):
        shutil.copy(sample / f"sim.unw{ending}", folder / f"filt_fine.unw{ending}")
        if ending != ".vrt":
            shutil.copy(sample / f"sim.cor{ending}", folder / f"filt_fine.cor{ending}")
    assert "\u201c300\u201d" in (folder / "filt_fine.unw.vrt").read_text(encoding="utf-8"), "smart quotes"
    assert "filt_fine.unw" not in (folder / "filt_fine.unw.xml").read_text(), "the name of another file"
    add_places(IsceBuilder(tmp_path), 300, 300)
    (tmp_path / "data.rsc").write_text("wavelength 0.2360571\n")
    stack = insar.open_stack(tmp_path)
    stored = np.fromfile(sample / "sim.unw", "<f4").reshape(300, 2, 300)[:, 1]
    np.testing.assert_array_equal(stack.unwrapped_phase[0], as_read(stored))
    np.testing.assert_array_equal(stack.coherence[0], as_read(np.fromfile(sample / "sim.cor", "<f4").reshape(300, 300)))


def test_isce_line_of_sight_by_pixel_or_by_line_is_the_same(tmp_path):
    angles = []
    for scheme in ("BIP", "BIL", "BSQ"):
        builder = IsceBuilder(tmp_path / scheme)
        builder.add_pair("20180106_20180118", plane(0))
        builder.add_geometry(scheme=scheme)
        builder.add_wavelength()
        geometry = insar.open_stack(builder.root).geometry
        angles.append((np.asarray(geometry.incidence_angle), np.asarray(geometry.azimuth_angle)))
    for incidence, azimuth in angles:
        np.testing.assert_array_equal(incidence, angles[0][0])
        np.testing.assert_array_equal(azimuth, angles[0][1])
        assert np.nanmedian(incidence) == 39.5
        assert np.nanmedian(azimuth) == -99.5


def test_isce_line_of_sight_whose_sidecar_lies_is_refused_not_believed(tmp_path, shared_data):
    sample = shared_data / "format_samples" / "isce2" / "bip_los"
    builder = IsceBuilder(tmp_path)
    builder.add_pair("20180106_20180118", np.ones((45, 226), np.float32))
    builder.add_wavelength()
    add_places(builder, 45, 226)
    for name in ("los.rdr", "los.rdr.xml"):
        shutil.copy(sample / name, builder.geometry / name)
    with pytest.raises(InputError, match="scheme"):
        np.asarray(insar.open_stack(builder.root).geometry.incidence_angle)


@pytest.mark.parametrize("bands", [1, 2])
def test_isce_coherence_of_one_or_two_bands(tmp_path, bands):
    builder = IsceBuilder(tmp_path)
    coherence = np.abs(plane(10)) / 4
    amplitude = np.full_like(coherence, 7.0)
    builder.add_pair("20180106_20180118", plane(0), np.stack([amplitude, coherence][-bands:]))
    builder.add_geometry()
    builder.add_wavelength()
    np.testing.assert_array_equal(insar.open_stack(builder.root).coherence[0], as_read(coherence))


def test_isce_swath_is_read_without_isce(tmp_path, shared_data, monkeypatch):
    for name in ("isce", "isceobj", "iscesys"):
        monkeypatch.setitem(sys.modules, name, None)  # an import of it raises
    builder = IsceBuilder(tmp_path)
    builder.add_pair("20180106_20180118", plane(0))
    builder.add_geometry()
    (tmp_path / "reference").mkdir()
    shutil.copy(shared_data / "format_samples" / "isce2" / "IW1.xml", tmp_path / "reference" / "IW1.xml")
    stack = insar.open_stack(builder.root)
    assert stack.wavelength_m == 0.05546576
    assert stack.acquisition.orbit_direction == "ascending"


def test_variance_weighs_by_its_inverse(tmp_path):
    # A triangle that fails to close by 3 rad; its long side has next to no coherence.
    good, bad = np.full((ROWS, COLS), 0.9, np.float32), np.full((ROWS, COLS), 0.05, np.float32)
    phases = {}
    for name, value, coherence in (
        ("20180106_20180118", 1.0, good),
        ("20180118_20180130", 1.0, good),
        ("20180106_20180130", 5.0, bad),
    ):
        phase = np.full((ROWS, COLS), value, np.float32)
        phase[0, 0] = 1e-6  # the reference
        phases[name] = phase, coherence
    stack = insar.open_stack(isce_stack(tmp_path, phases).root)
    metres = -stack.wavelength_m / (4 * np.pi)
    equal = insar.invert(stack, reference=(0, 0)).displacement_m[:, 2, 2] / metres
    weighted = insar.invert(stack, reference=(0, 0), weights="variance", looks=10).displacement_m[:, 2, 2] / metres
    np.testing.assert_allclose(equal, [0.0, 2.0, 4.0], atol=1e-5)
    variances = insar.phase_variance(np.array([0.9, 0.9, 0.05]), 10)
    # The misclosure is shared out in proportion to the variances.
    share = 3.0 * variances / variances.sum()
    np.testing.assert_allclose(weighted, [0.0, 1.0 + share[0], 2.0 + share[0] + share[1]], atol=1e-3)
    assert weighted[2] < 2.1


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_masked_samples_have_no_say_in_any_norm(norm):
    pairs = sequential_network(9, 3)
    random = np.random.default_rng(4)
    phase = random.normal(0, 1, (len(pairs), 3))
    phase[5] += 40.0
    kept = [index for index in range(len(pairs)) if index not in (5, 8)]
    expected = insar.invert_network(phase[kept], [pairs[index] for index in kept], norm=norm)
    masked = phase.copy()
    masked[[5, 8]] = np.nan
    np.testing.assert_allclose(insar.invert_network(masked, pairs, norm=norm), expected, atol=1e-6)
    weights = np.ones(len(pairs))
    weights[[5, 8]] = 0.0
    np.testing.assert_allclose(insar.invert_network(phase, pairs, weights, norm=norm), expected, atol=1e-6)


@pytest.mark.parametrize("layout", ["isce", "snap", "mintpy"])
def test_pair_stored_later_earlier_is_turned(tmp_path, layout):
    if layout == "isce":
        builder = IsceBuilder(tmp_path)
        builder.add_pair("20180118_20180106", -plane(0))
        builder.add_geometry()
        builder.add_wavelength()
        stack = insar.open_stack(tmp_path)
    elif layout == "snap":
        SnapBuilder(tmp_path).add_product("a", {"Unw_Phase_ifg_18Jan2018_06Jan2018_VV": -plane(0)})
        stack = insar.open_stack(tmp_path)
    else:
        path = tmp_path / "ifgramStack.h5"
        shape = {"LENGTH": str(ROWS), "WIDTH": str(COLS)}
        write_mintpy(path, [("20180118", "20180106")], {"unwrapPhase": -plane(0)[None]}, **MAP_ATTRIBUTES, **shape)
        stack = insar.open_stack(path)
    assert stack.pairs == (Pair(FIRST, SECOND),)
    np.testing.assert_array_equal(stack.unwrapped_phase[0], as_read(plane(0)))


def test_pair_given_later_earlier_to_the_inversion_counts_the_other_way():
    pairs = sequential_network(8, 3)
    phase = np.random.default_rng(6).normal(size=(len(pairs), 4))
    expected = insar.invert_network(phase, pairs)
    turned, signs = list(pairs), np.ones(len(pairs))
    for index in (0, 3, 7):
        turned[index], signs[index] = pairs[index][::-1], -1.0
    np.testing.assert_allclose(insar.invert_network(phase * signs[:, None], turned), expected, atol=1e-12)


def test_pair_listed_twice_is_used_once_and_said(tmp_path):
    builder = IsceBuilder(tmp_path)
    builder.add_pair("20180106_20180118", plane(0))
    builder.add_pair("20180118_20180106", plane(1))
    builder.add_geometry()
    builder.add_wavelength()
    stack = insar.open_stack(tmp_path)
    assert stack.pairs == (Pair(FIRST, SECOND),)
    np.testing.assert_array_equal(stack.unwrapped_phase[0], as_read(plane(0)))
    assert any("20180118_20180106 is left out" in note for note in stack.notes)


def test_pair_given_twice_to_the_inversion_counts_twice():
    pairs = sequential_network(6, 2)
    phase = np.random.default_rng(7).normal(size=(len(pairs), 3))
    twice = insar.invert_network(np.concatenate([phase, phase[2:3]]), [*pairs, pairs[2]])
    weights = np.ones(phase.shape)
    weights[2] = 2.0
    np.testing.assert_allclose(twice, minimum_norm_series(phase, pairs, weights), atol=1e-9)


def test_dates_out_of_order_give_the_same_series():
    pairs = sequential_network(8, 3)
    phase = np.random.default_rng(8).normal(size=(len(pairs), 4))
    order = np.random.default_rng(9).permutation(len(pairs))
    shuffled = insar.invert_network(phase[order], [pairs[index] for index in order])
    np.testing.assert_allclose(shuffled, insar.invert_network(phase, pairs), atol=1e-12)


def test_file_with_dates_out_of_order_is_sorted_with_its_samples(tmp_path):
    path = tmp_path / "ifgramStack.h5"
    names = [("20180118", "20180130"), ("20180106", "20180130"), ("20180106", "20180118")]
    planes = np.stack([plane(seed) for seed in range(3)])
    shape = {"LENGTH": str(ROWS), "WIDTH": str(COLS)}
    write_mintpy(path, names, {"unwrapPhase": planes, "bperp": np.array([1.0, 2.0, 3.0])}, **MAP_ATTRIBUTES, **shape)
    stack = insar.open_stack(path)
    assert stack.pairs == (Pair(FIRST, SECOND), Pair(FIRST, THIRD), Pair(SECOND, THIRD))
    assert stack.perpendicular_baselines_m.tolist() == [3.0, 2.0, 1.0]
    np.testing.assert_array_equal(np.asarray(stack.unwrapped_phase), [as_read(plane(seed)) for seed in (2, 1, 0)])
