"""Real products of ISCE2 and SNAP, and real sidecars of older versions."""

from __future__ import annotations

import math
import shutil
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from insar.errors import InputError
from insar.grid import RowCol
from insar.readers import open_stack
from insar.readers.dimap import read_dimap
from insar.readers.envi import read_envi_header
from insar.readers.files import OpenFiles
from insar.readers.isce_image import read_isce_image
from insar.readers.isce_metadata import read_sensor
from insar.readers.sources import INCIDENCE_LIMITS_DEG, ZERO_IS_NO_DATA, FlatPlane, Layer
from insar.stack import Pair, Plane


@pytest.fixture(scope="module")
def mexico(shared_data: Path) -> Path:
    return shared_data / "mexico_sentinel1"


def test_mexico_is_the_same_from_both_processors(mexico: Path) -> None:
    isce, snap = open_stack(mexico / "isce_tops"), open_stack(mexico / "snap")
    assert (isce.processor, snap.processor) == ("isce", "snap")
    assert isce.shape == snap.shape == (60, 50)
    assert len(isce.pairs) == 30
    assert len(isce.dates) == 13
    assert isce.pairs == snap.pairs
    assert isce.wavelength_m == pytest.approx(snap.wavelength_m, abs=1e-8)
    np.testing.assert_allclose(isce.perpendicular_baselines_m, snap.perpendicular_baselines_m, atol=1e-9)
    # the pass is ascending, so that the rows of radar coordinates run from south to north
    assert isce.acquisition.orbit_direction == snap.acquisition.orbit_direction == "ascending"
    for quantity in ("unwrapped_phase", "coherence"):
        radar, on_map = np.asarray(getattr(isce, quantity)), np.asarray(getattr(snap, quantity))
        assert np.isfinite(radar).mean() > 0.9
        np.testing.assert_array_equal(radar[:, ::-1], on_map)
    np.testing.assert_array_equal(np.asarray(isce.geometry.height)[::-1], np.asarray(snap.geometry.height))
    assert isce.notes == ()


def test_mexico_lies_where_the_lookup_table_says(mexico: Path) -> None:
    isce, snap = open_stack(mexico / "isce_tops" / "merged"), open_stack(mexico / "snap")
    latitude, longitude = np.asarray(isce.geometry.latitude), np.asarray(isce.geometry.longitude)
    assert latitude.dtype == longitude.dtype == np.float64
    for row, col in ((0, 0), (59, 49), (30, 20)):
        lon, lat = snap.grid.lonlat(RowCol(59 - row, col))
        assert longitude[row, col] == pytest.approx(lon, abs=1e-6)
        assert latitude[row, col] == pytest.approx(lat, abs=1e-6)


def test_mexico_subsides(mexico: Path) -> None:
    # 24 days in the middle of the city: positive phase is away from the satellite
    stack = open_stack(mexico / "isce_tops")
    pair = stack.pairs.index(Pair(date(2018, 1, 6), date(2018, 5, 18)))
    phase = stack.unwrapped_phase[pair]
    assert np.nanmax(phase) - np.nanmedian(phase) > np.nanmedian(phase) - np.nanmin(phase)


def test_sydney_has_no_coherence(shared_data: Path) -> None:
    stack = open_stack(shared_data / "sydney_envisat" / "isce_stripmap")
    assert stack.processor == "isce"
    assert stack.shape == (72, 47)
    assert len(stack.pairs) == 17
    assert len(stack.dates) == 13
    assert stack.coherence is None
    assert stack.connected_components is not None
    assert stack.wavelength_m == 0.0562356424
    assert stack.acquisition.orbit_direction == "descending"
    assert stack.acquisition.heading_deg == -167.0
    np.testing.assert_allclose(stack.perpendicular_baselines_m, 0.0, atol=1e-12)
    assert np.isfinite(np.asarray(stack.unwrapped_phase)).mean() > 0.5


def test_swath_of_sentinel1(shared_data: Path, tmp_path: Path) -> None:
    (tmp_path / "reference").mkdir()
    shutil.copy(shared_data / "format_samples/isce2/IW1.xml", tmp_path / "reference/IW1.xml")
    wavelength_m, acquisition = read_sensor([tmp_path], None)
    assert wavelength_m == 0.05546576
    assert acquisition.platform == "S1B"
    assert acquisition.orbit_direction == "ascending"
    assert acquisition.starting_range_m == 799778.7366485388
    assert acquisition.heading_deg == pytest.approx(-13.0, abs=0.5)
    assert acquisition.platform_height_m == pytest.approx(7.0e5, rel=0.02)
    assert acquisition.azimuth_pixel_size_m == pytest.approx(14.0, abs=0.2)
    assert 1 * 3600 + 49 * 60 < (acquisition.center_line_utc_s or 0) < 1 * 3600 + 51 * 60


def test_rasters_beside_a_broken_vrt(shared_data: Path) -> None:
    folder = shared_data / "format_samples/isce2/unzen_simulated"
    unwrapped = read_isce_image(folder / "sim.unw", bands=(1, 2))
    stored = np.fromfile(folder / "sim.unw", "<f4").reshape(300, 2, 300)
    read = FlatPlane(Layer(unwrapped.band(-1), ZERO_IS_NO_DATA), OpenFiles()).read_window(slice(0, 300), slice(0, 300))
    expected = np.where(stored[:, 1] == 0, np.float32(np.nan), stored[:, 1])
    np.testing.assert_array_equal(read, expected)
    assert read_isce_image(folder / "sim.cor", bands=(1, 2)).bands == 1
    assert read_isce_image(folder / "snf.unw.conncomp", bands=(1,)).dtype == "<u1"


def test_line_of_sight_whose_sidecar_is_wrong_is_refused(shared_data: Path) -> None:
    # the sidecar says BIP, but all incidences come before all azimuths: as BIP, half of it would be -259 degrees
    image = read_isce_image(shared_data / "format_samples/isce2/bip_los/los.rdr", bands=(2,))
    assert image.interleave == "BIP"
    incidence = FlatPlane(Layer(image.band(0)), OpenFiles(), INCIDENCE_LIMITS_DEG)
    with pytest.raises(InputError, match=r"los\.rdr: required values from 0 to 90; found -25.*scheme"):
        np.asarray(Plane(incidence, image.rows, image.cols))


def test_line_of_sight_of_alos(shared_data: Path) -> None:
    image = read_isce_image(shared_data / "format_samples/isce2/alos_geometry/los.rdr", bands=(2,))
    assert image.interleave == "BIL"
    stored = np.fromfile(image.path, "<f4").reshape(460, 2, 237)
    window = (slice(0, 460), slice(0, 237))
    incidence = FlatPlane(Layer(image.band(0)), OpenFiles(), INCIDENCE_LIMITS_DEG).read_window(*window)
    azimuth = FlatPlane(Layer(image.band(1)), OpenFiles()).read_window(*window)
    np.testing.assert_array_equal(incidence, np.where(stored[:, 0] == 0, np.float32(np.nan), stored[:, 0]))
    assert 30 < np.nanmin(incidence) < np.nanmax(incidence) < 45
    # ascending and looking right: the satellite is in the west, some 100 degrees anticlockwise from north
    assert np.nanmedian(np.mod(azimuth, 360)) == pytest.approx(100, abs=10)


def test_radar_sidecar_that_counts_pixels_is_not_geocoded(shared_data: Path) -> None:
    image = read_isce_image(shared_data / "format_samples/isce2/alos_geometry/los.rdr", bands=(2,))
    assert image.grid.crs is None
    assert image.looks == (40, 100)
    assert (image.rows, image.cols) == (460, 237)


def test_raster_of_snap_is_big_endian(shared_data: Path) -> None:
    image = shared_data / "format_samples/snap/coh_IW2_VV_17Mar2017_10Apr2017.img"
    band = read_envi_header(image).band(image)
    band.check_file()
    coherence = FlatPlane(Layer(band), OpenFiles()).read_window(slice(0, 470), slice(0, 769))
    assert 0 < np.nanmin(coherence) < np.nanmax(coherence) <= 1
    assert math.isclose(
        np.nanmean(coherence), np.fromfile(image, ">f4")[np.fromfile(image, ">f4") > 0].mean(), rel_tol=1e-5
    )


def test_product_of_snap_in_radar_geometry(shared_data: Path, tmp_path: Path) -> None:
    header = tmp_path / "IW1_VV_07Apr2024_19Apr2024.dim"
    shutil.copy(shared_data / "format_samples/snap/IW1_VV_07Apr2024_19Apr2024.trimmed.dim", header)
    product = read_dimap(header)
    assert set(product.bands) == {f"{kind}_IW1_VV_07Apr2024_19Apr2024" for kind in ("i_ifg", "q_ifg", "coh")}
    first, second = date(2024, 4, 7), date(2024, 4, 19)
    assert product.baselines_m[first, second] == -29.346946716308594
    assert product.baselines_m[second, first] == 29.346914291381836
    assert product.baselines_m[first, first] == 0.0
    assert product.number("calibration_factor") is None
    assert product.number("radar_frequency") == pytest.approx(5405.0, abs=0.01)
    with pytest.raises(InputError, match="Run Range-Doppler Terrain Correction"):
        open_stack(tmp_path)
