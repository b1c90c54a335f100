from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from insar.constants import SENTINEL1_WAVELENGTH_M
from insar.errors import InputError
from insar.readers import open_stack
from insar.readers.hyp3 import READER
from insar.stack import Pair

from .geotiffs import NORTH, PIXEL_M, WEST, as_read, phases, write_tif

GAMMA = "S1AA_20180106T103254_20180118T103254_VVP012_INT80_G_ueF_48FE"
GAMMA_2 = "S1AB_20180118T103254_20180130T103254_VVR012_INT80_G_weF_1A2B"
BURST = "S1_372326_IW3_20180106_20180118_VV_INT80_7044"
BURST_2 = "S1_372326_IW3_20180118_20180130_VV_INT80_1111"
SET = "S1_064_000000s1n00-136231s2n02-000000s3n00_IW_20180106_20180118_VV_INT80_77F1"
SET_2 = "S1_064_000000s1n00-136231s2n02-000000s3n00_IW_20180118_20180130_VV_INT80_77F2"

FIRST, SECOND = Pair(date(2018, 1, 6), date(2018, 1, 18)), Pair(date(2018, 1, 18), date(2018, 1, 30))

TEXT = """Reference Granule: S1A_IW_SLC__1SDV_20180106T103254
Reference Pass Direction: {direction}
Baseline: {baseline}
UTC time: {time}
Heading: -18.1505111
Spacecraft height: 705239.4
Earth radius at nadir: 6362008.3766
Slant range near: 803591.1723
Range looks: 20
Azimuth looks: 4
Unwrapping threshold: none
"""


class Hyp3Builder:
    """HyP3 products below a folder, each in a folder of its own or all together."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(
        self,
        stem: str,
        layers: dict[str, np.ndarray] | None = None,
        *,
        seed: int = 0,
        ending: str = "",
        flat: bool = False,
        baseline: str = "10.5",
        direction: str = "ASCENDING",
        time: str = "37974.8",
        text: bool = True,
        **options: object,
    ) -> Path:
        folder = self.root if flat else self.root / stem
        values = {"unw_phase": phases(seed), "corr": np.abs(np.tanh(phases(seed + 100)))} if layers is None else layers
        for layer, pixels in values.items():
            write_tif(folder / f"{stem}_{layer}{ending}.tif", pixels, nodata=0, **options)
        if text:
            content = TEXT.format(baseline=baseline, direction=direction, time=time)
            (folder / f"{stem}.txt").write_text(content)
        return folder


@pytest.fixture
def hyp3(tmp_path: Path) -> Hyp3Builder:
    return Hyp3Builder(tmp_path / "stack")


@pytest.mark.parametrize("stems", [(GAMMA, GAMMA_2), (BURST, BURST_2), (SET, SET_2)])
@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("ending", ["", "_clip", "_clipped"])
def test_every_name_in_every_place(hyp3: Hyp3Builder, stems: tuple[str, str], flat: bool, ending: str) -> None:
    hyp3.add(stems[1], seed=1, flat=flat, ending=ending, baseline="-70.25")
    hyp3.add(stems[0], seed=0, flat=flat, ending=ending)
    stack = open_stack(hyp3.root)
    assert stack.processor == "hyp3"
    assert stack.pairs == (FIRST, SECOND)
    np.testing.assert_array_equal(stack.perpendicular_baselines_m, [10.5, -70.25])
    np.testing.assert_array_equal(np.asarray(stack.unwrapped_phase), [as_read(phases(0)), as_read(phases(1))])
    expected = [as_read(np.abs(np.tanh(phases(seed)))) for seed in (100, 101)]
    np.testing.assert_array_equal(np.asarray(stack.coherence), expected)
    assert stack.connected_components is None
    assert stack.grid.crs == "EPSG:32648"
    assert stack.grid.bounds == (WEST, NORTH - 6 * PIXEL_M, WEST + 5 * PIXEL_M, NORTH)
    assert stack.wavelength_m == SENTINEL1_WAVELENGTH_M
    assert "wavelength of Sentinel-1 assumed: the products do not state it" in stack.notes


def test_acquisition(hyp3: Hyp3Builder) -> None:
    hyp3.add(GAMMA)
    found = open_stack(hyp3.root).acquisition
    assert (found.orbit_direction, found.antenna_side, found.platform) == ("ascending", "right", "Sentinel-1")
    assert found.heading_deg == pytest.approx(-18.1505111)
    assert found.center_line_utc_s == 37974.8
    assert (found.range_looks, found.azimuth_looks, found.looks) == (20, 4, 80)
    assert found.starting_range_m == 803591.1723
    assert found.platform_height_m == 705239.4
    assert found.earth_radius_m == 6362008.3766


@pytest.mark.parametrize("name", ["S1AA_20180118T103254_20180106T103254_VVP012_INT80_G_ueF_48FE", BURST])
def test_later_date_first_is_turned(hyp3: Hyp3Builder, name: str) -> None:
    is_turned = name != BURST
    hyp3.add(name)
    stack = open_stack(hyp3.root)
    sign = -1.0 if is_turned else 1.0
    assert stack.pairs == (FIRST,)
    np.testing.assert_array_equal(np.asarray(stack.unwrapped_phase)[0], sign * as_read(phases(0)))
    np.testing.assert_array_equal(stack.perpendicular_baselines_m, [sign * 10.5])


def test_angles_and_heights(hyp3: Hyp3Builder) -> None:
    """A satellite 40 degrees off the vertical in the west-southwest, and one in the east-southeast."""
    shape = (6, 5)
    theta = np.full(shape, np.radians(50.0), np.float32)
    phi = np.full(shape, np.radians(-168.0), np.float32)
    phi[0, 0] = np.radians(-12.0)
    theta[1, 1] = phi[1, 1] = 0.0
    height = np.arange(30.0, dtype=np.float32).reshape(shape)
    hyp3.add(
        BURST,
        {"unw_phase": phases(0), "lv_theta": theta, "lv_phi": phi, "conncomp": np.eye(6, 5, dtype=np.uint8)},
    )
    write_tif(hyp3.root / BURST / f"{BURST}_dem.tif", height)
    stack = open_stack(hyp3.root)
    incidence, azimuth = np.asarray(stack.geometry.incidence_angle), np.asarray(stack.geometry.azimuth_angle)
    assert np.isnan(incidence[1, 1])
    assert np.isnan(azimuth[1, 1])
    assert np.isnan(incidence).sum() == np.isnan(azimuth).sum() == 1
    assert incidence[2, 2] == pytest.approx(40.0, abs=1e-4)
    # anticlockwise from north: west-southwest is 90 + 12, east-southeast is -(90 + 12)
    assert azimuth[2, 2] == pytest.approx(102.0, abs=1e-4)
    assert azimuth[0, 0] == pytest.approx(-102.0, abs=1e-4)
    # the same unit vector by both conventions
    angle, elevation = np.radians(azimuth[0, 0]), np.radians(50.0)
    east = -np.sin(angle) * np.sin(np.radians(incidence[0, 0]))
    assert east == pytest.approx(np.cos(np.radians(-12.0)) * np.cos(elevation), abs=1e-6)
    np.testing.assert_array_equal(np.asarray(stack.geometry.height), height)  # none declared: 0 is at sea level
    np.testing.assert_array_equal(np.asarray(stack.connected_components)[0], as_read(np.eye(6, 5)))
    assert not any("no height" in note or "angle" in note for note in stack.notes)


def test_incidence_on_the_ellipsoid_where_there_is_no_look_vector(hyp3: Hyp3Builder) -> None:
    layers = {"unw_phase": phases(0), "inc_map_ell": np.full((6, 5), np.radians(38.0), np.float32)}
    layers["inc_map"] = np.full((6, 5), 0.2, np.float32)  # against the slope: another angle
    hyp3.add(BURST, layers)
    stack = open_stack(hyp3.root)
    np.testing.assert_allclose(np.asarray(stack.geometry.incidence_angle), 38.0, atol=1e-4)
    assert "no azimuth angle: no product has lv_phi.tif" in stack.notes
    assert "no height: no product has dem.tif" in stack.notes


def test_extents_that_differ(hyp3: Hyp3Builder) -> None:
    field = np.arange(1.0, 101.0, dtype=np.float32).reshape(10, 10)
    theta = np.radians(40.0 + field / 10).astype(np.float32)
    hyp3.add(
        BURST, {"unw_phase": field[0:8, 1:10], "corr": field[0:8, 1:10] / 200, "lv_theta": theta[0:8, 1:10]}, col=1
    )
    hyp3.add(BURST_2, {"unw_phase": -field[2:10, 0:9], "corr": field[2:10, 0:9] / 100}, row=2)
    stack = open_stack(hyp3.root)
    assert stack.shape == (6, 8)
    assert stack.grid.bounds == (WEST + PIXEL_M, NORTH - 8 * PIXEL_M, WEST + 9 * PIXEL_M, NORTH - 2 * PIXEL_M)
    common = field[2:8, 1:9]
    np.testing.assert_array_equal(np.asarray(stack.unwrapped_phase), [common, -common])
    np.testing.assert_array_equal(np.asarray(stack.coherence), [common / 200, common / 100])
    np.testing.assert_allclose(np.asarray(stack.geometry.incidence_angle), 50.0 - common / 10, atol=1e-4)
    np.testing.assert_array_equal(stack.unwrapped_phase[1, 2:4, 3:], -common[2:4, 3:])
    assert any("cropped to the 6 rows x 8 columns" in note for note in stack.notes)


def test_clipped_files_are_taken_before_whole_ones(hyp3: Hyp3Builder) -> None:
    whole = phases(0, 9, 9)
    hyp3.add(BURST, {"unw_phase": whole, "corr": np.abs(np.tanh(whole))})
    hyp3.add(BURST, {"unw_phase": whole[2:7, 3:8]}, ending="_clipped", row=2, col=3)
    stack = open_stack(hyp3.root)
    np.testing.assert_array_equal(np.asarray(stack.unwrapped_phase)[0], as_read(whole[2:7, 3:8]))
    np.testing.assert_array_equal(np.asarray(stack.coherence)[0], as_read(np.abs(np.tanh(whole[2:7, 3:8]))))


def test_water_mask_is_not_applied_and_said_so(hyp3: Hyp3Builder) -> None:
    hyp3.add(BURST, {"unw_phase": phases(0), "water_mask": np.zeros((6, 5), np.uint8)})
    stack = open_stack(hyp3.root)
    np.testing.assert_array_equal(np.asarray(stack.unwrapped_phase)[0], as_read(phases(0)))
    assert any(note.startswith("the water_mask of 1 products is not applied") for note in stack.notes)


def test_what_is_absent_is_said(hyp3: Hyp3Builder) -> None:
    hyp3.add(BURST, {"unw_phase": phases(0)}, text=False)
    hyp3.add(BURST_2, {"unw_phase": phases(1), "corr": np.abs(np.tanh(phases(2)))})
    hyp3.add(BURST.replace("20180118", "20180211"), {"corr": np.abs(np.tanh(phases(2)))})
    stack = open_stack(hyp3.root)
    assert stack.pairs == (FIRST, SECOND)
    assert np.isnan(stack.perpendicular_baselines_m[0])
    assert stack.perpendicular_baselines_m[1] == 10.5
    assert np.isnan(stack.coherence[0]).all()
    assert np.isfinite(stack.coherence[1]).sum() == 29
    assert any(note.startswith("perpendicular baseline unknown for 1 of 2 pairs") for note in stack.notes)
    assert any(note.startswith(f"no corr for {BURST}/{BURST}") for note in stack.notes)
    assert any("is left out: it has no unw_phase" in note and "20180211" in note for note in stack.notes)


def test_coherence_alone(hyp3: Hyp3Builder) -> None:
    hyp3.add(BURST, {"corr": np.abs(np.tanh(phases(0)))})
    stack = open_stack(hyp3.root)
    assert stack.unwrapped_phase is None
    assert stack.coherence is not None
    assert stack.coherence.shape == (1, 6, 5)


def test_the_same_dates_twice(hyp3: Hyp3Builder) -> None:
    hyp3.add(BURST, seed=0)
    hyp3.add(BURST.replace("7044", "9999"), seed=5)
    stack = open_stack(hyp3.root)
    assert len(stack.pairs) == 1
    np.testing.assert_array_equal(np.asarray(stack.unwrapped_phase)[0], as_read(phases(0)))
    assert any("9999 is left out" in note and "7044 is of the same dates" in note for note in stack.notes)


def spoil_track(builder: Hyp3Builder) -> None:
    builder.add(SET, seed=0)
    builder.add(SET_2.replace("S1_064", "S1_106"))


def spoil_burst(builder: Hyp3Builder) -> None:
    builder.add(BURST, seed=0)
    builder.add(BURST_2.replace("IW3", "IW2"))


def spoil_direction(builder: Hyp3Builder) -> None:
    builder.add(GAMMA, seed=0)
    builder.add(GAMMA_2, direction="DESCENDING")


def spoil_time(builder: Hyp3Builder) -> None:
    builder.add(GAMMA, seed=0)
    builder.add(GAMMA_2, time="38470.1")


@pytest.mark.parametrize(
    ("spoil", "required", "found"),
    [
        (spoil_track, "the burst or track of", "track 106"),
        (spoil_burst, "the burst or track of", "372326_IW2"),
        (spoil_direction, "the pass direction of", "descending"),
        (spoil_time, "a pass within 300 s", "38470 s UTC"),
    ],
)
def test_mixed_tracks_are_refused(
    hyp3: Hyp3Builder, spoil: Callable[[Hyp3Builder], None], required: str, found: str
) -> None:
    spoil(hyp3)
    with pytest.raises(InputError) as error:
        open_stack(hyp3.root)
    assert required in error.value.required
    assert error.value.found == found


def test_passes_around_midnight_are_of_one_track(hyp3: Hyp3Builder) -> None:
    hyp3.add(GAMMA, time="86395.0")
    hyp3.add(GAMMA_2, time="20.0")
    assert len(open_stack(hyp3.root).pairs) == 2


def test_other_pixel_sizes_are_refused(hyp3: Hyp3Builder) -> None:
    hyp3.add(BURST)
    hyp3.add(BURST_2, pixel=40.0)
    with pytest.raises(InputError, match=r"required the pixel size of .*: 80 x 80; found 40 x 40"):
        open_stack(hyp3.root)


def test_names_without_dates_are_refused(hyp3: Hyp3Builder) -> None:
    hyp3.add(BURST)
    hyp3.add("volcano")
    with pytest.raises(InputError, match=r"volcano_\w+\.tif: required a name of HyP3 with its two dates"):
        open_stack(hyp3.root)


@pytest.mark.parametrize(
    ("stem", "message"),
    [
        (BURST.replace("20180118", "20180132"), "required two dates that exist"),
        (BURST.replace("20180118", "20180106"), "required two different dates"),
    ],
)
def test_dates_that_cannot_be_are_refused(hyp3: Hyp3Builder, stem: str, message: str) -> None:
    hyp3.add(stem)
    with pytest.raises(InputError, match=message):
        open_stack(hyp3.root)


def test_complex_phase_is_refused(hyp3: Hyp3Builder) -> None:
    hyp3.add(BURST, {"unw_phase": np.ones((6, 5), np.complex64)})
    with pytest.raises(InputError, match=r"unw_phase\.tif: required pixels that are real numbers"):
        open_stack(hyp3.root)


def test_coherence_above_one_is_refused_when_read(hyp3: Hyp3Builder) -> None:
    hyp3.add(BURST, {"corr": np.full((6, 5), 200.0, np.float32)})
    stack = open_stack(hyp3.root)
    with pytest.raises(InputError, match=r"corr\.tif: required values from 0 to 1.001; found 200"):
        np.asarray(stack.coherence)


def test_text_that_is_no_number_is_named(hyp3: Hyp3Builder) -> None:
    hyp3.add(BURST, baseline="ten metres")
    with pytest.raises(InputError, match=rf"{BURST}\.txt: required a number as Baseline; found ten metres"):
        open_stack(hyp3.root)


def test_a_file_cut_short_is_named(hyp3: Hyp3Builder) -> None:
    path = hyp3.add(BURST) / f"{BURST}_unw_phase.tif"
    write_tif(path, phases(0, 100, 100))
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(InputError, match=r"unw_phase\.tif: required at least"):
        open_stack(hyp3.root)


def test_nothing_there(tmp_path: Path) -> None:
    write_tif(tmp_path / "some_dem.tif", phases(0))
    write_tif(tmp_path / "some_corr.tif", phases(0))
    assert not READER.recognises(tmp_path)
    with pytest.raises(InputError, match="required HyP3 products"):
        open_stack(tmp_path, "hyp3")


@pytest.mark.parametrize(
    ("name", "pair", "baseline", "direction", "looks"),
    [
        (
            "S1AC_20251001T204513_20251007T204359_HHR006_INT40_G_ueF_1DBE",
            Pair(date(2025, 10, 1), date(2025, 10, 7)),
            48.0195,
            "ascending",
            20,
        ),
        (
            "S1_056072_IW2_20220814_20220907_VV_INT80_E09B",
            Pair(date(2022, 8, 14), date(2022, 9, 7)),
            158.57439820410497,
            "ascending",
            80,
        ),
        (
            "S1_044_000000s1n00-093117s2n01-093118s3n01_IW_20250718_20250730_VV_INT80_B4FA",
            Pair(date(2025, 7, 18), date(2025, 7, 30)),
            33.88969537726557,
            "descending",
            80,
        ),
    ],
)
def test_real_descriptions(
    shared_data: Path, hyp3: Hyp3Builder, name: str, pair: Pair, baseline: float, direction: str, looks: int
) -> None:
    folder = hyp3.add(name, text=False)
    shutil.copy(shared_data / "format_samples" / "hyp3" / f"{name}.txt", folder)
    stack = open_stack(hyp3.root)
    assert stack.pairs == (pair,)
    np.testing.assert_array_equal(stack.perpendicular_baselines_m, [baseline])
    assert stack.acquisition.orbit_direction == direction
    assert stack.acquisition.looks == looks
    assert stack.acquisition.heading_deg is not None
    assert (abs(stack.acquisition.heading_deg) < 90.0) == (direction == "ascending")
