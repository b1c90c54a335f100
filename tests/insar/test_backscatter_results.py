"""``insar backscatter`` from files to a result folder."""

from __future__ import annotations

import hashlib
import json
import pickle
import warnings
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from insar.backscatter import EventWindows, Scale, Span
from insar.backscatter_chain import BackscatterOptions, plan_backscatter
from insar.backscatter_results import MaskOptions, ReadingOptions, map_backscatter
from insar.backscatter_stack import Orbit
from insar.backscatter_work import BackscatterWork
from insar.errors import InputError, OptionError
from insar.layer_run import Machine
from insar.readers.backscatter import open_backscatter

EVENT = date(2023, 5, 16)
OFFSETS = (-200, -60, -36, -24, -12, -5, 0, 7, 12, 24, 36)
ROWS, COLS = 30, 24
WINDOWS = EventWindows(EVENT)
OPTIONS = BackscatterOptions(WINDOWS)
ONE = Machine(workers=1)


def write_image(path, values, *, row=0, nodata=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "GTiff", "height": values.shape[0], "width": values.shape[1], "count": 1}
    transform = Affine(10, 0, 700_000, 0, -10, 4_900_000 - 10 * row)
    with rasterio.open(
        path, "w", **profile, dtype=values.dtype.name, crs="EPSG:32632", transform=transform, nodata=nodata
    ) as sink:
        sink.write(values, 1)
    return path


def write_stack(folder, *, orbit="asc", polarisations=("VV", "VH"), offsets=OFFSETS, seed=0):
    """Power images; after the event the middle is 3 dB brighter."""
    random = np.random.default_rng(seed)
    written = {}
    for offset in offsets:
        day = EVENT + timedelta(offset)
        for polarisation in polarisations:
            values = random.gamma(5.0, 0.02, (ROWS, COLS))
            if offset > 0:
                values[10:20, 8:16] *= 10**0.3
            values = values.astype(np.float32)
            values[random.random(values.shape) < 0.1] = 0.0
            write_image(folder / f"{day:%Y%m%d}_{orbit}_{polarisation}_power.tif", values)
            written[offset, polarisation] = values
    return written


def plain_median(written, polarisation, offsets):
    values = np.stack([written[offset, polarisation] for offset in offsets]).astype(np.float64)
    with np.errstate(divide="ignore"):
        decibels = 10 * np.log10(values)
    decibels[values == 0] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pixels without data
        median = np.nanmedian(decibels, axis=0)
    return median, np.isfinite(decibels).sum(axis=0)


def layer(folder, name):
    with rasterio.open(folder / "layers" / f"{name}.tif") as source:
        return source.read(1), source.tags()


def names_in(folder):
    return sorted(path.stem for path in (folder / "layers").iterdir())


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_text())


PRE, POST = (-200, -60, -36, -24, -12), (12, 24, 36)


def test_layers_are_medians_of_the_windows(tmp_path):
    written = write_stack(tmp_path / "in")
    folder = map_backscatter([tmp_path / "in"], tmp_path / "out", OPTIONS, machine=ONE)
    assert names_in(folder) == [
        "images_post",
        "images_pre",
        "vh_difference",
        "vh_post",
        "vv_difference",
        "vv_post",
    ]
    fewest = {}
    for polarisation in ("VV", "VH"):
        (pre, before), (post, after) = (plain_median(written, polarisation, each) for each in (PRE, POST))
        stem = polarisation.lower()
        np.testing.assert_allclose(layer(folder, f"{stem}_post")[0], post, rtol=0, atol=1e-5)
        np.testing.assert_allclose(layer(folder, f"{stem}_difference")[0], post - pre, rtol=0, atol=1e-5)
        for word, counts in (("pre", before), ("post", after)):
            fewest[word] = np.minimum(fewest.get(word, counts), counts)
    for word, counts in fewest.items():
        np.testing.assert_array_equal(layer(folder, f"images_{word}")[0], counts)
    inside = layer(folder, "vv_difference")[0][10:20, 8:16]
    assert np.median(inside) == pytest.approx(3.0, abs=0.7)


def test_manifest_tells_images_windows_and_when_each_layer_could_be_had(tmp_path):
    write_stack(tmp_path / "in")
    folder = map_backscatter([tmp_path / "in"], tmp_path / "out", OPTIONS, machine=ONE)
    manifest = manifest_of(folder)
    summary = manifest["summary"]
    days = {
        kind: [(EVENT + timedelta(offset)).isoformat() for offset in offsets]
        for kind, offsets in (("dates", OFFSETS), ("pre", PRE), ("post", POST), ("season", ()))
    }
    assert summary["images"] == [{"name": f"{each} ascending", **days} for each in ("VV", "VH")]
    assert summary["event"] == "2023-05-16"
    assert summary["windows"] == {"pre": ["2022-05-16", "2023-05-04"], "post": ["2023-05-28", "2023-07-15"]}
    assert summary["available"]["vv_difference"] == days["post"][-1]
    assert summary["available"]["images_pre"] == days["pre"][-1]
    assert {entry["name"]: entry["reason"] for entry in manifest["left_out"]}["visibility"].startswith("no DEM")
    assert any("event's own day" in note for note in summary["notes"])
    assert sum(summary["sums"]["vv_difference_histogram"]) == ROWS * COLS
    assert layer(folder, "vv_post")[1]["AVAILABLE_DATE"] == days["post"][-1]
    assert layer(folder, "vv_difference")[1]["UNITS"] == "dB"
    assert manifest["inputs"]["orbits"] == ["ascending"]


def test_passes_are_kept_apart(tmp_path):
    both = {
        orbit: write_stack(tmp_path / "in" / orbit, orbit=orbit, seed=seed) for seed, orbit in enumerate(("asc", "dsc"))
    }
    folder = map_backscatter([tmp_path / "in"], tmp_path / "out", OPTIONS, machine=ONE)
    for orbit, suffix in (("asc", "ascending"), ("dsc", "descending")):
        alone = map_backscatter([tmp_path / "in" / orbit], tmp_path / orbit, OPTIONS, machine=ONE)
        expected, _ = plain_median(both[orbit], "VV", POST)
        together = layer(folder, f"vv_post_{suffix}")[0]
        np.testing.assert_allclose(together, expected, rtol=0, atol=1e-5)
        np.testing.assert_array_equal(together, layer(alone, "vv_post")[0])
    assert not [name for name in names_in(folder) if not name.endswith("ending")]


@pytest.mark.parametrize("machine", [Machine(workers=2), Machine(workers=1, memory_limit="150kB")])
def test_same_bytes_whatever_the_blocks(tmp_path, machine):
    write_stack(tmp_path / "in")
    digests = []
    for name, each in (("one", ONE), ("other", machine)):
        folder = map_backscatter([tmp_path / "in"], tmp_path / name, OPTIONS, machine=each)
        digests.append(
            [hashlib.sha256((folder / "layers" / f"{n}.tif").read_bytes()).hexdigest() for n in names_in(folder)]
        )
    assert digests[0] == digests[1]


def test_work_goes_to_other_processes(tmp_path):
    write_stack(tmp_path / "in")
    stack = open_backscatter([tmp_path / "in"])
    work = BackscatterWork(plan_backscatter(stack, OPTIONS), (), None, COLS, 1, 1)
    whole, copied = work(slice(0, ROWS)), pickle.loads(pickle.dumps(work))(slice(5, 9))
    for name in work.layers:
        np.testing.assert_array_equal(copied.layers[name], whole.layers[name][5:9])


def test_one_polarisation_is_missing(tmp_path):
    write_stack(tmp_path / "in", polarisations=("VV",))
    folder = map_backscatter([tmp_path / "in"], tmp_path / "out", OPTIONS, machine=ONE)
    left_out = {entry["name"]: entry["reason"] for entry in manifest_of(folder)["left_out"]}
    assert left_out["vh_post"] == left_out["vh_difference"] == "no image of VH"
    assert "vh_post" not in names_in(folder)


def test_one_polarisation_is_missing_after_the_event(tmp_path):
    write_stack(tmp_path / "in", polarisations=("VV",))
    write_stack(tmp_path / "in", polarisations=("VH",), offsets=(-36, -24))
    folder = map_backscatter([tmp_path / "in"], tmp_path / "out", OPTIONS, machine=ONE)
    left_out = {entry["name"]: entry["reason"] for entry in manifest_of(folder)["left_out"]}
    assert "after the event" in left_out["vh_difference"]


def test_one_polarisation_of_fewer_dates_is_told(tmp_path):
    written = write_stack(tmp_path / "in", polarisations=("VV",))
    written |= write_stack(tmp_path / "in", polarisations=("VH",), offsets=(-36, -24, 24), seed=5)
    folder = map_backscatter([tmp_path / "in"], tmp_path / "out", OPTIONS, machine=ONE)
    assert any("VH has fewer images before" in note for note in manifest_of(folder)["summary"]["notes"])
    post, _ = plain_median(written, "VH", (24,))
    assert layer(folder, "images_post")[0].max() == 1
    np.testing.assert_allclose(layer(folder, "vh_post")[0], post, rtol=0, atol=1e-5)


def test_horizontal_polarisations(tmp_path):
    write_stack(tmp_path / "in", polarisations=("HH", "HV"))
    folder = map_backscatter([tmp_path / "in"], tmp_path / "out", OPTIONS, machine=ONE)
    assert {"hh_post", "hv_difference"} <= set(names_in(folder))


def test_adjacent_frames_of_one_date_are_one_image(tmp_path):
    written = write_stack(tmp_path / "in", polarisations=("VV",))
    day = EVENT + timedelta(24)
    values = written[24, "VV"].copy()
    (tmp_path / "in" / f"{day:%Y%m%d}_asc_VV_power.tif").unlink()
    write_image(tmp_path / "in" / f"{day:%Y%m%d}_asc_north_VV_power.tif", values[:18])
    write_image(tmp_path / "in" / f"{day:%Y%m%d}_asc_south_VV_power.tif", values[12:], row=12)
    folder = map_backscatter([tmp_path / "in"], tmp_path / "out", OPTIONS, machine=ONE)
    expected, counts = plain_median(written, "VV", POST)
    np.testing.assert_allclose(layer(folder, "vv_post")[0], expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(layer(folder, "images_post")[0], counts)


def test_images_of_different_units(tmp_path):
    written = write_stack(tmp_path / "in", polarisations=("VV",))
    day = EVENT + timedelta(24)
    (tmp_path / "in" / f"{day:%Y%m%d}_asc_VV_power.tif").unlink()
    write_image(tmp_path / "in" / f"{day:%Y%m%d}_asc_VV_amplitude.tif", np.sqrt(written[24, "VV"]))
    folder = map_backscatter([tmp_path / "in"], tmp_path / "out", OPTIONS, machine=ONE)
    expected, _ = plain_median(written, "VV", POST)
    np.testing.assert_allclose(layer(folder, "vv_post")[0], expected, rtol=0, atol=1e-5)


def test_fewest_images_at_a_pixel(tmp_path):
    written = write_stack(tmp_path / "in", polarisations=("VV",))
    options = BackscatterOptions(WINDOWS, min_images=3)
    folder = map_backscatter([tmp_path / "in"], tmp_path / "out", options, machine=ONE)
    _, after = plain_median(written, "VV", POST)
    np.testing.assert_array_equal(np.isfinite(layer(folder, "vv_post")[0]), after >= 3)


def test_mean_amplitude_of_a_season(tmp_path):
    written = write_stack(tmp_path / "in")
    season = Span(EVENT - timedelta(60), EVENT - timedelta(24))
    folder = map_backscatter(
        [tmp_path / "in"], tmp_path / "out", BackscatterOptions(WINDOWS, season=season), machine=ONE
    )
    values = np.stack([written[offset, "VV"] for offset in (-60, -36, -24)]).astype(np.float64)
    amplitude = np.where(values > 0, np.sqrt(values), np.nan)
    with np.errstate(all="ignore"):
        count = np.isfinite(amplitude).sum(axis=0)
        expected = np.where(count > 0, 20 * np.log10(np.nansum(amplitude, axis=0) / count), np.nan)
    found, tags = layer(folder, "vv_amplitude_mean")
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert tags["AVAILABLE_DATE"] == season.last.isoformat()


@pytest.mark.parametrize(
    ("event", "windows"),
    [
        (date(2019, 1, 1), {}),
        (date(2026, 1, 1), {}),
        (EVENT, {"post_days": (100, 200)}),
        (EVENT, {"pre_days": (11, 6)}),
    ],
)
def test_no_image_in_a_window(tmp_path, event, windows):
    write_stack(tmp_path / "in")
    options = BackscatterOptions(EventWindows(event, **windows))
    with pytest.raises(InputError) as caught:
        map_backscatter([tmp_path / "in"], tmp_path / "out", options, machine=ONE)
    assert caught.value.subject == f"--event {event.isoformat()}"
    assert str(options.windows.post) in caught.value.required
    assert "ascending VV of 2022-10-28" in caught.value.found
    assert not (tmp_path / "out").exists()


def test_pass_without_an_image_after_the_event_is_left_out(tmp_path):
    write_stack(tmp_path / "in")
    write_stack(tmp_path / "in", orbit="dsc", offsets=(-36, -24, 3))
    folder = map_backscatter([tmp_path / "in"], tmp_path / "out", OPTIONS, machine=ONE)
    left_out = {entry["name"] for entry in manifest_of(folder)["left_out"]}
    assert {"vv_post_descending", "vh_difference_descending", "images_post_descending"} <= left_out
    assert "vv_post_ascending" in names_in(folder)


@pytest.mark.parametrize("season", [(date(2020, 1, 1), date(2020, 2, 1)), (date(2023, 2, 1), date(2023, 1, 1))])
def test_season_that_means_nothing(tmp_path, season):
    write_stack(tmp_path / "in")
    with pytest.raises(OptionError, match="--season"):
        map_backscatter(
            [tmp_path / "in"], tmp_path / "out", BackscatterOptions(WINDOWS, season=Span(*season)), machine=ONE
        )


def test_layover_and_shadow_from_a_dem(tmp_path):
    write_stack(tmp_path / "in")
    col = np.arange(COLS)
    height = np.maximum(0.0, 100.0 - 10.0 * np.abs(col - COLS / 2 + 0.5) * 1.3) * np.ones((ROWS, 1))
    dem = write_image(tmp_path / "dem.tif", height.astype(np.float32))
    mask = MaskOptions(dem, incidence_deg=40.0)
    folder = map_backscatter([tmp_path / "in"], tmp_path / "out", OPTIONS, mask=mask, machine=ONE)
    classes, _ = layer(folder, "visibility")
    np.testing.assert_allclose(layer(folder, "height")[0], height, atol=1e-3)
    assert set(np.unique(classes[5:25, 6:11])) == {3}  # toward an ascending pass, which is in the west
    assert set(np.unique(classes[5:25, 14:18])) == {4}
    told = manifest_of(folder)["summary"]["visibility"]["visibility"]
    assert sum(told["pixels"].values()) == ROWS * COLS
    assert any("Sentinel-1, ascending" in note for note in told["notes"])
    write_stack(tmp_path / "other", orbit="dsc")
    folder = map_backscatter([tmp_path / "other"], tmp_path / "mirrored", OPTIONS, mask=mask, machine=ONE)
    mirrored, _ = layer(folder, "visibility")
    assert set(np.unique(mirrored[5:25, 14:18])) == {3}


def test_options_of_the_mask_that_contradict_each_other(tmp_path):
    with pytest.raises(OptionError, match="--incidence-file"):
        MaskOptions(Path("dem.tif"), 39.0, Path("angles.tif"))
    with pytest.raises(OptionError, match="--dem"):
        MaskOptions(heading_deg=-13.0)
    write_stack(tmp_path / "in")
    write_stack(tmp_path / "in", orbit="dsc")
    dem = write_image(tmp_path / "dem.tif", np.zeros((ROWS, COLS), np.float32))
    with pytest.raises(OptionError, match="images of both"):
        map_backscatter(
            [tmp_path / "in"], tmp_path / "out", OPTIONS, mask=MaskOptions(dem, 39.0, heading_deg=-13.0), machine=ONE
        )
    assert not (tmp_path / "out").exists()


def test_what_the_user_says_of_the_images(tmp_path):
    for offset in (-36, -24, 24):
        values = np.full((ROWS, COLS), 0.1, np.float32)
        write_image(tmp_path / "in" / f"{EVENT + timedelta(offset):%Y%m%d}_VV.tif", values)
    for scale, expected in ((Scale.POWER, -10.0), (Scale.AMPLITUDE, -20.0)):
        folder = map_backscatter(
            [tmp_path / "in"],
            tmp_path / scale,
            OPTIONS,
            reading=ReadingOptions(Orbit.DESCENDING, scale),
            machine=ONE,
        )
        np.testing.assert_allclose(layer(folder, "vv_post")[0], expected, atol=1e-5)
        assert manifest_of(folder)["inputs"]["orbits"] == ["descending"]


def test_images_without_data_are_refused(tmp_path):
    for offset in (-36, -24, 24):
        values = np.zeros((ROWS, COLS), np.float32)
        write_image(tmp_path / "in" / f"{EVENT + timedelta(offset):%Y%m%d}_asc_VV_power.tif", values)
    with pytest.raises(InputError, match="at least one pixel"):
        map_backscatter([tmp_path / "in"], tmp_path / "out", OPTIONS, machine=ONE)
    assert not (tmp_path / "out").exists()


def test_one_image_without_data_is_told(tmp_path):
    written = write_stack(tmp_path / "in", polarisations=("VV",))
    day = EVENT + timedelta(24)
    write_image(tmp_path / "in" / f"{day:%Y%m%d}_asc_VV_power.tif", np.zeros((ROWS, COLS), np.float32))
    folder = map_backscatter([tmp_path / "in"], tmp_path / "out", OPTIONS, machine=ONE)
    expected, _ = plain_median(written, "VV", (12, 36))
    np.testing.assert_allclose(layer(folder, "vv_post")[0], expected, rtol=0, atol=1e-5)
    assert any("no data in any" in note for note in manifest_of(folder)["inputs"]["notes"])


@pytest.mark.parametrize(("offset", "told"), [(24, False), (29, True)])
def test_several_tracks_of_sentinel1_are_told(tmp_path, offset, told):
    for each in (-36, -24, 12, offset):
        values = np.full((ROWS, COLS), 0.1, np.float32)
        write_image(tmp_path / "in" / f"S1A_{EVENT + timedelta(each):%Y%m%d}_asc_VV_power.tif", values)
    folder = map_backscatter([tmp_path / "in"], tmp_path / "out", OPTIONS, machine=ONE)
    notes = manifest_of(folder)["summary"]["notes"]
    assert any("2 tracks" in note for note in notes) is told
