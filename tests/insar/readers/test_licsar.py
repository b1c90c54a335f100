from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
import rasterio

from insar.constants import SENTINEL1_WAVELENGTH_M
from insar.errors import InputError
from insar.readers import open_stack
from insar.readers.licsar import READER
from insar.stack import Pair

from .geotiffs import as_read, phases, write_tif

FRAME = "106A_09048_000909"
FIRST, SECOND = Pair(date(2018, 1, 6), date(2018, 1, 18)), Pair(date(2018, 1, 18), date(2018, 1, 30))
METADATA = """master=20180118
center_time=0:26:14.884940
heading=-12.019061
avg_incidence_angle=41.6437
azimuth_resolution=14.034330
range_resolution=2.329562
centre_range_m=901242.4791
applied_DEM=TanDEMX_90m
"""
BASELINES = """20180118 20180106 -98 -12
20180118 20180118 0 0
20180118 20180130 -166.4295 12
"""


class LicsarBuilder:
    """A LiCSAR frame below a folder."""

    def __init__(self, root: Path, *, pairs: str = "interferograms", metadata: str = "metadata") -> None:
        self.root = root
        self.pairs, self.metadata = root / pairs, root / metadata
        self.pairs.mkdir(parents=True)
        self.metadata.mkdir(parents=True, exist_ok=True)

    def write(self, path: Path, values: np.ndarray, **options: object) -> Path:
        place = {"crs": "EPSG:4326", "pixel": 0.001, "origin": (-91.7505, 0.2502)}
        return write_tif(path, values, **(place | options))

    def add(self, name: str, unw: np.ndarray | None, cc: np.ndarray | None, **options: object) -> Path:
        folder = self.pairs / name
        for ending, values in (("unw", unw), ("cc", cc)):
            if values is not None:
                self.write(folder / f"{name}.geo.{ending}.tif", values, **options)
        return folder

    def add_metadata(self) -> None:
        (self.metadata / "baselines").write_text(BASELINES)
        (self.metadata / "metadata.txt").write_text(METADATA)

    def add_vectors(self, incidence_deg: float, azimuth_deg: float) -> None:
        """Unit vectors to a satellite at an azimuth clockwise from north."""
        incidence, azimuth = np.radians(incidence_deg), np.radians(azimuth_deg)
        for name, value in (
            ("E", np.sin(incidence) * np.sin(azimuth)),
            ("N", np.sin(incidence) * np.cos(azimuth)),
            ("U", np.cos(incidence)),
        ):
            values = np.full((6, 5), value, np.float32)
            values[0, 0] = 0.0
            self.write(self.metadata / f"{FRAME}.geo.{name}.tif", values)


def coherence_bytes(seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).integers(1, 256, (6, 5)).astype(np.uint8)
    values[1, 2] = 0
    return values


@pytest.fixture
def licsar(tmp_path: Path) -> LicsarBuilder:
    """A whole frame of two pairs, to be spoilt."""
    builder = LicsarBuilder(tmp_path / FRAME)
    builder.add("20180106_20180118", phases(0), coherence_bytes(10))
    builder.add("20180118_20180130", phases(1), coherence_bytes(11))
    builder.add_metadata()
    builder.add_vectors(40.0, 258.0)
    builder.write(builder.metadata / f"{FRAME}.geo.hgt.tif", phases(3, 6, 5) * 100)
    return builder


def test_a_whole_frame(licsar: LicsarBuilder) -> None:
    stack = open_stack(licsar.root)
    assert stack.processor == "licsar"
    assert stack.pairs == (FIRST, SECOND)
    assert stack.wavelength_m == SENTINEL1_WAVELENGTH_M
    assert stack.grid.crs == "EPSG:4326"
    np.testing.assert_allclose(stack.grid.bounds, (-91.7505, 0.2442, -91.7455, 0.2502), rtol=1e-12)
    np.testing.assert_array_equal(np.asarray(stack.unwrapped_phase), [as_read(phases(0)), as_read(phases(1))])
    expected = np.array([as_read(coherence_bytes(10)), as_read(coherence_bytes(11))]) / 255
    np.testing.assert_allclose(np.asarray(stack.coherence), expected, rtol=1e-6)
    np.testing.assert_allclose(stack.perpendicular_baselines_m, [98.0, -166.4295])
    np.testing.assert_array_equal(np.asarray(stack.geometry.height), phases(3, 6, 5) * 100)
    assert stack.connected_components is None
    assert stack.notes == ("wavelength of Sentinel-1 assumed: the products do not state it",)


def test_acquisition(licsar: LicsarBuilder) -> None:
    found = open_stack(licsar.root).acquisition
    assert (found.orbit_direction, found.antenna_side, found.platform) == ("ascending", "right", "Sentinel-1")
    assert found.heading_deg == pytest.approx(-12.019061)
    assert found.center_line_utc_s == pytest.approx(26 * 60 + 14.884940)
    assert (found.range_pixel_size_m, found.azimuth_pixel_size_m) == (2.329562, 14.03433)
    (licsar.metadata / "metadata.txt").write_text("center_time=23:59:59\nheading=-168.0\n")
    found = open_stack(licsar.root).acquisition
    assert (found.orbit_direction, found.center_line_utc_s) == ("descending", 86399.0)
    (licsar.metadata / "metadata.txt").write_text("center_time=noon\n")
    with pytest.raises(InputError, match=r"metadata\.txt: required a time of the day"):
        open_stack(licsar.root)


@pytest.mark.parametrize(
    ("azimuth_deg", "expected"),
    [(258.0, 102.0), (102.0, -102.0), (282.0, 78.0), (0.0, 0.0), (90.0, -90.0)],
)
def test_angles(licsar: LicsarBuilder, azimuth_deg: float, expected: float) -> None:
    licsar.add_vectors(33.0, azimuth_deg)
    geometry = open_stack(licsar.root).geometry
    incidence, azimuth = np.asarray(geometry.incidence_angle), np.asarray(geometry.azimuth_angle)
    assert np.isnan(incidence[0, 0])
    assert np.isnan(azimuth[0, 0])
    np.testing.assert_allclose(incidence[1:], 33.0, atol=1e-4)
    np.testing.assert_allclose(azimuth[1:], expected, atol=1e-4)


def test_vectors_that_cannot_be_are_refused(licsar: LicsarBuilder) -> None:
    # the vector from the satellite to the ground
    licsar.write(licsar.metadata / f"{FRAME}.geo.U.tif", np.full((6, 5), -0.7, np.float32))
    with pytest.raises(InputError, match=r"geo\.U\.tif: required values from 0 to 1; found -0.7"):
        np.asarray(open_stack(licsar.root).geometry.incidence_angle)


@pytest.mark.parametrize("metadata", ["GEOC", "GEOC/metadata", "metadata", "."])
@pytest.mark.parametrize("below", [False, True])
def test_licsbas(tmp_path: Path, metadata: str, below: bool) -> None:
    builder = LicsarBuilder(tmp_path / "frame", pairs="GEOC", metadata=metadata)
    builder.add("20180106_20180118", phases(0), coherence_bytes(10))
    builder.add_metadata()
    builder.add_vectors(40.0, 258.0)
    stack = open_stack(builder.pairs if below else builder.root)
    assert stack.processor == "licsar"
    assert stack.pairs == (FIRST,)
    np.testing.assert_allclose(stack.perpendicular_baselines_m, [98.0])
    assert stack.geometry.incidence_angle is not None


def test_later_date_first_is_turned(tmp_path: Path) -> None:
    builder = LicsarBuilder(tmp_path / FRAME)
    builder.add("20180118_20180106", phases(0), coherence_bytes(10))
    builder.add_metadata()
    stack = open_stack(builder.root)
    assert stack.pairs == (FIRST,)
    np.testing.assert_array_equal(np.asarray(stack.unwrapped_phase)[0], -as_read(phases(0)))
    np.testing.assert_allclose(np.asarray(stack.coherence)[0], as_read(coherence_bytes(10)) / 255, rtol=1e-6)
    np.testing.assert_allclose(stack.perpendicular_baselines_m, [98.0])  # by dates, whatever the order of the name


def test_the_same_dates_twice(licsar: LicsarBuilder) -> None:
    licsar.add("20180118_20180106", phases(7), coherence_bytes(17))
    stack = open_stack(licsar.root)
    assert stack.pairs == (FIRST, SECOND)
    np.testing.assert_array_equal(np.asarray(stack.unwrapped_phase)[0], as_read(phases(0)))
    assert any("20180118_20180106 is left out" in note for note in stack.notes)


def test_what_is_absent_is_said(licsar: LicsarBuilder) -> None:
    (licsar.pairs / "20180106_20180118" / "20180106_20180118.geo.cc.tif").unlink()
    licsar.add("20180106_20180130", None, coherence_bytes(3))
    (licsar.pairs / "20180130_20180211").mkdir()
    (licsar.pairs / "logs").mkdir()
    for name in ("U", "hgt"):
        (licsar.metadata / f"{FRAME}.geo.{name}.tif").unlink()
    (licsar.metadata / "metadata.txt").unlink()
    stack = open_stack(licsar.root)
    assert stack.pairs == (FIRST, SECOND)
    assert np.isnan(stack.coherence[0]).all()
    assert np.isfinite(stack.coherence[1]).sum() == 29
    assert "no coherence for interferograms/20180106_20180118: unknown (NaN) there" in stack.notes
    for name in ("20180106_20180130", "20180130_20180211"):
        assert f"interferograms/{name} is left out: it has no unwrapped interferogram" in stack.notes
    assert "no *.geo.U.tif, *.geo.hgt.tif: height or angles of view are unknown" in stack.notes
    assert stack.geometry.incidence_angle is None
    assert stack.geometry.azimuth_angle is not None
    assert stack.acquisition.heading_deg is None


def test_coherence_in_floats(tmp_path: Path) -> None:
    builder = LicsarBuilder(tmp_path / FRAME)
    values = np.abs(np.tanh(phases(0)))
    builder.add("20180106_20180118", phases(0), values)
    builder.add("20180118_20180130", phases(1), coherence_bytes(1))
    coherence = np.asarray(open_stack(builder.root).coherence)
    np.testing.assert_array_equal(coherence[0], as_read(values))
    np.testing.assert_allclose(coherence[1], as_read(coherence_bytes(1)) / 255, rtol=1e-6)


def test_coherence_of_bytes_saved_as_floats_is_refused(tmp_path: Path) -> None:
    builder = LicsarBuilder(tmp_path / FRAME)
    builder.add("20180106_20180118", phases(0), coherence_bytes(1).astype(np.float32))
    stack = open_stack(builder.root)
    with pytest.raises(InputError, match=r"geo\.cc\.tif: required values from 0 to 1.001"):
        np.asarray(stack.coherence)


def test_other_types_are_refused(tmp_path: Path) -> None:
    builder = LicsarBuilder(tmp_path / FRAME)
    builder.add("20180106_20180118", phases(0).astype(np.int16), None)
    with pytest.raises(InputError, match=r"geo\.unw\.tif: required float32 pixels; found int16"):
        open_stack(builder.root)


def test_heights_in_whole_metres(licsar: LicsarBuilder) -> None:
    values = np.arange(30, dtype=np.int16).reshape(6, 5)
    licsar.write(licsar.metadata / f"{FRAME}.geo.hgt.tif", values, nodata=7)
    expected = np.where(values == 7, np.nan, values)
    np.testing.assert_array_equal(np.asarray(open_stack(licsar.root).geometry.height), expected)


def test_phase_in_bytes_is_refused(tmp_path: Path) -> None:
    builder = LicsarBuilder(tmp_path / FRAME)
    builder.add("20180106_20180118", coherence_bytes(1), None)
    with pytest.raises(InputError, match=r"geo\.unw\.tif: required float32 pixels"):
        open_stack(builder.root)


def test_declared_no_data_as_well_as_zero(tmp_path: Path) -> None:
    builder = LicsarBuilder(tmp_path / FRAME)
    values = phases(0)
    values[3, 3] = -9999.0
    builder.add("20180106_20180118", values, None, nodata=-9999.0)
    found = np.asarray(open_stack(builder.root).unwrapped_phase)[0]
    values[3, 3] = 0.0
    np.testing.assert_array_equal(found, as_read(values))


def test_baselines_of_several_primes_and_broken_lines(licsar: LicsarBuilder) -> None:
    lines = [
        "20180118 20180106 -98 -12",
        "20180106 20180118 50 12",
        "20180106 20180130 70.5 24",
        "",
        "20180118 x",
        "ab",
    ]
    (licsar.metadata / "baselines").write_text("\n".join([*lines, "20180106 20180106 0 0"]))
    stack = open_stack(licsar.root)
    np.testing.assert_allclose(stack.perpendicular_baselines_m, [50.0, 20.5])
    assert "2 lines of baselines are not understood and left out" in stack.notes
    (licsar.metadata / "baselines").write_text("\n".join(lines[:1]))
    stack = open_stack(licsar.root)
    assert np.isnan(stack.perpendicular_baselines_m).all()
    assert "perpendicular baseline unknown for 2 of 2 pairs" in stack.notes


def test_grids_that_differ_by_a_pixel_are_cropped(licsar: LicsarBuilder) -> None:
    values = phases(5, 7, 5)
    licsar.add("20180130_20180211", values, None, row=-1, col=1)
    stack = open_stack(licsar.root)
    assert stack.shape == (6, 4)
    np.testing.assert_array_equal(stack.unwrapped_phase[2], as_read(values)[1:, :4])
    np.testing.assert_array_equal(stack.unwrapped_phase[0], as_read(phases(0))[:, 1:])
    np.testing.assert_array_equal(np.asarray(stack.geometry.height), (phases(3, 6, 5) * 100)[:, 1:])
    assert stack.grid.bounds[0] == pytest.approx(-91.7495)
    assert any("cropped to the 6 rows x 4 columns" in note for note in stack.notes)


@pytest.mark.parametrize(
    ("options", "required"),
    [({"pixel": 0.002}, "the pixel size of"), ({"origin": (-91.7501, 0.2502)}, "the lattice of")],
)
def test_other_pixels_are_refused(licsar: LicsarBuilder, options: dict, required: str) -> None:
    licsar.add("20180130_20180211", phases(5), None, **options)
    with pytest.raises(InputError, match=rf"20180130_20180211\.geo\.unw\.tif: required {required}"):
        open_stack(licsar.root)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("20180106_20180132", "required two dates that exist"),
        ("20180106_20180106", "required two different dates"),
        ("january", "required a folder of an interferogram named YYYYMMDD_YYYYMMDD"),
    ],
)
def test_names_that_are_no_pairs_are_refused(licsar: LicsarBuilder, name: str, message: str) -> None:
    licsar.add(name, phases(0), None)
    with pytest.raises(InputError, match=message):
        open_stack(licsar.root)


def test_a_file_cut_short_is_named(licsar: LicsarBuilder) -> None:
    path = licsar.pairs / "20180118_20180130" / "20180118_20180130.geo.unw.tif"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"20180118_20180130\.geo\.unw\.tif: required at least"):
        open_stack(licsar.root)


def test_nothing_there(tmp_path: Path) -> None:
    (tmp_path / "interferograms" / "20180106_20180118").mkdir(parents=True)
    assert not READER.recognises(tmp_path)
    with pytest.raises(InputError, match="required a LiCSAR frame"):
        open_stack(tmp_path, "licsar")


def test_galapagos_is_coherence_alone(shared_data: Path) -> None:
    folder = shared_data / "galapagos_coherence"
    stack = open_stack(folder)
    assert stack.processor == "licsar"
    assert stack.unwrapped_phase is None
    assert stack.coherence is not None
    assert stack.coherence.shape == (8, 1400, 1000)
    assert (stack.dates[0], stack.dates[-1]) == (date(2024, 1, 6), date(2024, 2, 23))
    # 20240106 is at -61 m and 20240118 at 37 m of the prime date
    assert stack.perpendicular_baselines_m[0] == 98.0
    pair = stack.pairs[3]
    with rasterio.open(folder / "interferograms" / pair.name / f"{pair.name}.geo.cc.tif") as source:
        stored = source.read(1)[300:340]
    block = stack.coherence[3, 300:340]
    np.testing.assert_allclose(block, as_read(stored) / 255, rtol=1e-6)
    assert 0.2 < np.nanmean(block) < 0.9
    assert getattr(stack.coherence.source, "rows_per_chunk", None) == 8
    assert any("landmask is not applied" in note for note in stack.notes)
