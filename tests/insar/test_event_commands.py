"""Coherence, damage, backscatter and timeline as a user types them: results, layers left out, messages."""

from __future__ import annotations

import csv
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from events import CO, DAYS, EVENT, LOOKS, PARAMETERS

from insar import open_stack
from insar.grid import Grid
from insar.layers import layer_definition, read_layer, write_layer
from insar.readers.scarp import sibling_cube
from insar.simulate.event_folder import simulate_event
from insar.simulate.event_parameters import EventParameters

BACKSCATTER = EventParameters(
    rows=96, cols=96, landslides=4, landslide_length_max_m=400.0, acquisitions_before=4, acquisitions_after=3
)


@pytest.fixture
def images(event_images) -> Path:
    """Folder of simulated images, seven before the event and two after it."""
    return event_images


@pytest.fixture(scope="session")
def backscatter(tmp_path_factory) -> Path:
    """Folder of simulated backscatter."""
    return (
        simulate_event(BACKSCATTER, tmp_path_factory.mktemp("backscatter") / "images", "hyp3-rtc")
        / "backscatter"
        / "ascending"
    )


@pytest.fixture
def few(images, tmp_path):
    """A copy of the images that a test may spoil."""
    return Path(shutil.copytree(images.parents[1], tmp_path / "few")) / "merged" / "SLC"


def manifest(folder):
    return json.loads((folder / "manifest.json").read_text())


def left_out(folder):
    return {entry["name"]: entry["reason"] for entry in manifest(folder)["left_out"]}


def layers(folder):
    return {entry["name"]: entry for entry in manifest(folder)["layers"]}


def test_coherence_of_images_is_a_stack_that_damage_opens(insar, images, tmp_path):
    out = tmp_path / "coherence"
    code, printed, _ = insar("coherence", images, *LOOKS, "--season", DAYS[0], DAYS[3], "-o", out, "--event", EVENT)
    assert code == 0
    assert printed.strip() == str(out / "report.html")
    assert {"mean_coherence", "seasonal_coherence", "amplitude_mean", "siblings"} <= set(layers(out))
    assert layers(out)["amplitude_mean"]["unit"] == "dB"
    stack = open_stack(out)
    assert stack.processor == "scarp"
    assert [pair.name for pair in stack.pairs] == [f"{a}_{b}" for a, b in itertools.pairwise(DAYS)]
    pairs, siblings = sibling_cube(out)
    assert pairs == stack.pairs
    assert siblings.shape == stack.coherence.shape
    summary = manifest(out)["summary"]
    assert summary["season_pairs"] == [pair.name for pair in stack.pairs[:3]]
    season = np.median(stack.coherence[:3], axis=0)
    np.testing.assert_allclose(read_layer(out / "layers" / "seasonal_coherence.tif")[0], season, atol=1e-6)

    from_images, from_result = tmp_path / "one", tmp_path / "two"
    assert insar("damage", images, "--event", EVENT, *LOOKS, "-o", from_images, "-q")[0] == 0
    assert insar("damage", out, "--event", EVENT, "-o", from_result, "-q")[0] == 0
    assert set(layers(from_images)) == set(layers(from_result))
    for name in ("coherence_co", "boxcar_sibling", "coherence_recovery"):
        one, two = (read_layer(folder / "layers" / f"{name}.tif")[0] for folder in (from_images, from_result))
        np.testing.assert_array_equal(one, two)


def test_info_tells_of_images_and_of_coherence_alone(insar, images, tmp_path):
    code, printed, _ = insar("info", images)
    assert code == 0
    assert "complex images" in printed
    assert "Polarisation     VV" in printed
    facts = json.loads(insar("info", images, "--json")[1])
    assert facts["dates"] == [day.isoformat() for day in PARAMETERS.dates]
    assert facts["geometry_looks"] == [1, 1]


def test_damage_tells_its_pairs_and_when_layers_became_available(insar, images, tmp_path):
    out = tmp_path / "damage"
    assert insar("damage", images, "--event", EVENT, *LOOKS, "-o", out)[0] == 0
    summary = manifest(out)["summary"]
    assert summary["chosen"]["co"] == [CO]
    assert summary["chosen"]["pre"] == [f"{DAYS[5]}_{DAYS[6]}"]
    assert summary["chosen"]["post"] == [f"{DAYS[7]}_{DAYS[8]}"]
    assert summary["available"]["damage_proxy"] == PARAMETERS.dates[7].isoformat()
    assert summary["available"]["coherence_recovery"] == PARAMETERS.dates[8].isoformat()
    assert left_out(out) == {}
    assert (out / "report.html").is_file()
    layer = layers(out)["damage_proxy"]
    assert (layer["unit"], layer["sign"]) == ("1", "positive where coherence was lost at the event")
    values = {name: read_layer(out / "layers" / f"{name}.tif")[0] for name in layers(out)}
    np.testing.assert_array_equal(values["damage_proxy"], values["coherence_pre"] - values["coherence_co"])
    np.testing.assert_array_equal(values["coherence_recovery"], values["coherence_post"] - values["coherence_co"])
    assert set(np.unique(values["damage_significant"][np.isfinite(values["damage_significant"])])) <= {1.0, 2.0}
    csv_file = tmp_path / "timeline.csv"
    assert insar("timeline", out, "--event", EVENT, "-o", csv_file)[0] == 0
    rows = list(csv.DictReader(csv_file.read_text().splitlines()))
    assert rows[0]["step"] == "0"
    assert rows[0]["layer"] == "coherence_pre"
    assert [row["step"] for row in rows if row["layer"] in ("damage_proxy", "coherence_recovery")] == ["1", "2"]


def test_until_a_day_the_layers_that_later_images_make_are_left_out(insar, images, tmp_path):
    out = tmp_path / "damage"
    assert insar("damage", images, "--event", EVENT, *LOOKS, "--until", DAYS[7], "-o", out)[0] == 0
    reasons = left_out(out)
    assert set(reasons) == {
        "coherence_post",
        "coherence_recovery",
        "coherence_change_sum",
        "coherence_change_max",
    }
    assert all(EVENT[:4] in reason or "after" in reason for reason in reasons.values())


def test_blocks_and_threads_do_not_change_a_byte(insar, images, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    insar("damage", images, "--event", EVENT, *LOOKS, "-o", one, "--workers", 1)
    insar("damage", images, "--event", EVENT, *LOOKS, "-o", two, "--workers", 2, "--memory-limit", "40MB")
    for path in (one / "layers").iterdir():
        assert path.read_bytes() == (two / "layers" / path.name).read_bytes(), path.name


def test_layers_lie_on_the_grid_of_another_result(insar, images, tmp_path):
    model, out = tmp_path / "model", tmp_path / "out"
    utm = ("--crs", "EPSG:32654", "--resolution", 25)
    assert insar("coherence", images, *LOOKS, "--no-sibling", *utm, "-o", model)[0] == 0
    assert insar("damage", images, "--event", EVENT, "--looks", 2, 8, "--like", model, "-o", out)[0] == 0
    grid = read_layer(model / "layers" / "mean_coherence.tif")[1]
    values, found, _ = read_layer(out / "layers" / "coherence_co.tif")
    assert found == grid
    assert np.isfinite(values).mean() > 0.3
    raster = tmp_path / "again"
    like = ("--like", model / "layers" / "mean_coherence.tif")
    assert insar("damage", model, "--event", EVENT, *like, "-o", raster)[0] == 0
    np.testing.assert_array_equal(
        read_layer(raster / "layers" / "coherence_co.tif")[0], read_layer(model / "coherence" / f"{CO}.tif")[0]
    )
    elsewhere = tmp_path / "elsewhere.tif"
    far = Grid(9, 9, Affine(10.0, 0.0, 500_000.0, 0.0, -10.0, 5_000_000.0), "EPSG:32633")
    write_layer(elsewhere, np.zeros(far.shape, np.float32), far, layer_definition("height"))
    code, _, error = insar("damage", images, "--event", EVENT, "--like", elsewhere, "-o", tmp_path / "no")
    assert code == 2
    assert "of the same area" in error
    assert not (tmp_path / "no").exists()
    code, _, error = insar("damage", images, "--event", EVENT, *utm, *like, "-o", tmp_path / "no")
    assert code == 2
    assert "--like" in error


def test_an_image_without_data_is_named(insar, few, tmp_path):
    path = few / DAYS[2] / f"{DAYS[2]}.slc.full"
    path.write_bytes(bytes(path.stat().st_size))
    code, _, error = insar("damage", few, "--event", EVENT, *LOOKS, "-o", tmp_path / "out")
    assert code == 2
    assert DAYS[2] in error
    assert "only zeros" in error
    assert not (tmp_path / "out").exists()


def test_images_of_different_size_are_named(insar, few, tmp_path):
    path = few / DAYS[2] / f"{DAYS[2]}.slc.full.xml"
    path.write_text(path.read_text().replace(">320<", ">310<"))
    raster = path.with_suffix("")
    raster.write_bytes(raster.read_bytes()[: 96 * 310 * 8])
    code, _, error = insar("coherence", few, "-o", tmp_path / "out")
    assert code == 2
    assert DAYS[2] in error
    assert "310" in error
    assert "320" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("event", ["20100101", "20300101"])
def test_an_event_outside_the_images_is_refused(insar, images, tmp_path, event):
    code, _, error = insar("damage", images, "--event", event, *LOOKS, "-o", tmp_path / "out")
    assert code == 2
    assert PARAMETERS.dates[0].isoformat() in error or DAYS[0] in error
    assert not (tmp_path / "out").exists()


def test_too_few_images_for_siblings_leave_bx_s_out(insar, images, tmp_path):
    paths = [images / day for day in DAYS[3:]]
    out = tmp_path / "out"
    assert insar("damage", *paths, "--event", EVENT, *LOOKS, "-o", out)[0] == 0
    assert "at least 6 images" in left_out(out)["boxcar_sibling"]
    assert "boxcar_sibling" not in layers(out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--window", 4, 5), "--window"),
        (("--looks", 0, 5), "--looks"),
        (("--looks", 97, 1), "--looks"),
        (("--false-alarm-rate", 0.7), "--false-alarm-rate"),
        (("--co-pairs", f"{DAYS[0]}_{DAYS[1]}"), "--co-pairs"),
        (("--co-pairs", "20180101"), "YYYYMMDD_YYYYMMDD"),
        (("--event", "soon"), "--event"),
    ],
)
def test_options_that_cannot_be_are_refused(insar, images, tmp_path, arguments, message):
    out = tmp_path / "out"
    code, _, error = insar("damage", images, "--event", EVENT, *arguments, "-o", out)
    assert code == 2
    assert message in error
    assert not out.exists()


def test_backscatter_and_damage_share_a_timeline(insar, images, backscatter, tmp_path):
    event = BACKSCATTER.event_date.isoformat()
    out = tmp_path / "backscatter"
    code, printed, error = insar(
        "backscatter", backscatter, "--event", event, "--pre-days", 60, 1, "--post-days", 1, 60, "-o", out
    )
    assert code == 0, error
    assert printed.strip() == str(out / "report.html")
    assert {"vv_post", "vh_post", "vv_difference", "vh_difference"} <= set(layers(out))
    assert (out / "report.html").is_file()
    assert insar("timeline", out, "--event", event, "-o", tmp_path / "t.json")[0] == 0
    steps = json.loads((tmp_path / "t.json").read_text())
    assert any("vv_difference" in step["layers"] for step in steps)
    code, _, error = insar("timeline", out, "--event", "20100101", "-o", tmp_path / "u.json")
    assert code == 2
    assert "event" in error


def test_one_polarisation_missing_is_left_out_with_the_reason(insar, backscatter, tmp_path):
    event = BACKSCATTER.event_date.isoformat()
    files = sorted(backscatter.rglob("*_VV.tif"))
    out = tmp_path / "out"
    windows = ("--pre-days", 60, 1, "--post-days", 1, 60)
    assert insar("backscatter", *files, "--event", event, *windows, "-o", out)[0] == 0
    assert {"vh_post", "vh_difference"} <= set(left_out(out))


def test_a_stack_of_coherence_alone_gives_its_mean_and_season(insar, shared_data, tmp_path):
    out = tmp_path / "out"
    stack = shared_data / "galapagos_coherence"
    assert insar("coherence", stack, "--season", 20240106, 20240130, "-o", out)[0] == 0
    assert set(layers(out)) == {"mean_coherence", "seasonal_coherence"}
    assert "complex images" in left_out(out)["amplitude_mean"]
    opened = open_stack(stack)
    window = opened.coherence[:, 500:520, 300:340]
    count = np.isfinite(window).sum(axis=0)
    expected = np.where(count > 0, np.nansum(window.astype(np.float64), axis=0) / np.maximum(count, 1), np.nan)
    found = read_layer(out / "layers" / "mean_coherence.tif")[0][500:520, 300:340]
    np.testing.assert_allclose(found, expected, atol=1e-6)
