"""Coregistered images of ISCE2, flat and virtual, and their geometry."""

from __future__ import annotations

import pickle
import zipfile
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from insar.errors import InputError, MissingInputError, OptionError
from insar.readers import open_stack
from insar.readers.slc import empty_images, looks_like_slcs, open_slcs
from insar.windows import Looks

from .builders import IsceBuilder
from .slc_builders import COLS, DAYS, ROWS, speckle, write_isce, write_joined

ALL = np.arange(3)
WHOLE = (slice(0, ROWS), slice(0, COLS))


def tops(root: Path, *, days: tuple[str, ...] = DAYS) -> Path:
    """A topsStack of flat images with geometry at full resolution and multilooked."""
    for seed, day in enumerate(days):
        write_isce(root / f"merged/SLC/{day}/{day}.slc.full", speckle(seed))
    geometry = root / "merged/geom_reference"
    row, col = np.mgrid[0:ROWS, 0:COLS].astype(np.float64)
    incidence = np.full((2, ROWS, COLS), 39.5, np.float32)
    incidence[1] = -100.0
    for name, bands in {
        "lat": 19.0 + 1e-9 * row + 0.01 * col,
        "lon": -99.0 + 0.01 * row,
        "hgt": 100.0 * row + col,
        "los": incidence,
        "shadowMask": np.zeros((ROWS, COLS), np.uint8),
    }.items():
        write_isce(geometry / f"{name}.rdr.full", bands)
        write_isce(geometry / f"{name}.rdr", bands[..., :6:2, :6:3])
    (root / "data.rsc").write_text("WAVELENGTH 0.05546576\nRLOOKS 3\nALOOKS 2\nRANGE_PIXEL_SIZE 6.9\n")
    return root


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    return tops(tmp_path / "stack")


def test_images_dates_and_geometry_of_tops(stack: Path) -> None:
    slc = open_slcs([stack])
    assert (slc.processor, slc.shape, slc.grid.crs) == ("isce", (ROWS, COLS), None)
    assert slc.dates == (date(2018, 1, 6), date(2018, 1, 18), date(2018, 1, 30))
    assert slc.wavelength_m == 0.05546576
    assert slc.acquisition.range_looks == slc.acquisition.azimuth_looks == 1
    assert slc.acquisition.range_pixel_size_m == pytest.approx(2.3)
    block = slc.read(ALL, *WHOLE)
    assert block.dtype == np.complex64
    np.testing.assert_array_equal(block, np.stack([speckle(seed) for seed in range(3)]))
    np.testing.assert_array_equal(slc.read(np.array([2, 0]), slice(2, 5), slice(1, 4))[1], speckle(0)[2:5, 1:4])
    assert slc.geometry_looks == Looks(1, 1)
    latitude = np.asarray(slc.geometry.latitude)
    assert latitude.dtype == np.float64
    assert latitude[3, 2] == 19.0 + 3e-9 + 0.02
    assert np.asarray(slc.geometry.height)[6, 5] == 605.0
    np.testing.assert_array_equal(np.asarray(slc.geometry.incidence_angle), np.float32(39.5))
    np.testing.assert_array_equal(np.asarray(slc.geometry.azimuth_angle), np.float32(-100.0))
    assert slc.geometry.shadow_mask is not None


@pytest.mark.parametrize("place", ["merged", "merged/SLC", "."])
def test_places_from_which_the_same_images_open(stack: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(stack)
    whole, slc = open_slcs([stack]), open_slcs([place])
    assert slc.dates == whole.dates
    assert slc.wavelength_m == whole.wavelength_m
    assert slc.geometry.latitude is not None


def test_folders_of_dates_and_single_files(stack: Path) -> None:
    folder = stack / "merged/SLC"
    slc = open_slcs([folder / DAYS[2], folder / f"{DAYS[0]}/{DAYS[0]}.slc.full"])
    assert slc.dates == (date(2018, 1, 6), date(2018, 1, 30))
    np.testing.assert_array_equal(slc.read(np.array([1]), *WHOLE)[0], speckle(2))
    assert slc.geometry.latitude is not None
    assert slc.wavelength_m == 0.05546576


def test_multilooked_geometry_where_the_full_one_was_removed(stack: Path) -> None:
    (stack / "merged/geom_reference/lat.rdr.full").unlink()
    slc = open_slcs([stack])
    assert slc.geometry_looks == Looks(2, 3)
    assert slc.geometry.latitude is not None
    assert slc.geometry.latitude.shape == (3, 2)


def test_geometry_of_other_images(stack: Path) -> None:
    for name in ("lat", "lon", "hgt", "los", "shadowMask"):
        bands = np.ones((2, 9, 9), np.float32) if name == "los" else np.ones((9, 9))
        write_isce(stack / f"merged/geom_reference/{name}.rdr.full", bands)
    with pytest.raises(InputError, match=r"lat\.rdr\.full.*images \(7 rows x 6 columns\).*found 9 rows x 9 columns"):
        open_slcs([stack])


def test_no_geometry_and_no_wavelength_are_notes(stack: Path) -> None:
    (stack / "merged/geom_reference").rename(stack / "gone")
    (stack / "data.rsc").unlink()
    slc = open_slcs([stack])
    assert slc.geometry.latitude is None
    assert np.isnan(slc.wavelength_m)
    assert any("no place" in note for note in slc.notes)
    assert any("wavelength unknown" in note for note in slc.notes)


@pytest.mark.parametrize("relative", [True, False])
def test_virtual_images_are_joined_by_gdal(stack: Path, relative: bool) -> None:
    for seed, day in enumerate(DAYS):
        image = stack / f"merged/SLC/{day}/{day}.slc.full"
        image.unlink()
        bursts = [stack / f"secondarys/{day}/IW1/burst_0{number}.slc" for number in (1, 2)]
        write_joined(image, bursts, speckle(seed), relative=relative)
    slc = open_slcs([stack])
    expected = np.stack([speckle(seed) for seed in range(3)])
    np.testing.assert_array_equal(slc.read(ALL, *WHOLE), expected)
    np.testing.assert_array_equal(slc.read(ALL, slice(2, 4), slice(0, 3)), expected[:, 2:4, :3])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(slc)).read(ALL, *WHOLE), expected)


def test_flat_raster_goes_before_the_virtual_one(stack: Path) -> None:
    image = stack / f"merged/SLC/{DAYS[0]}/{DAYS[0]}.slc.full.vrt"
    image.write_text("stale")
    np.testing.assert_array_equal(open_slcs([stack]).read(np.array([0]), *WHOLE)[0], speckle(0))


def test_virtual_image_whose_bursts_are_gone(stack: Path) -> None:
    image = stack / f"merged/SLC/{DAYS[1]}/{DAYS[1]}.slc.full"
    image.unlink()
    bursts = [stack / f"secondarys/{DAYS[1]}/IW1/burst_0{number}.slc" for number in (1, 2)]
    write_joined(image, bursts, speckle(1), relative=True)
    bursts[1].unlink()
    with pytest.raises(MissingInputError, match=r"burst_02\.slc: required what .*gdal_translate"):
        open_slcs([stack])


def test_virtual_geometry(stack: Path) -> None:
    geometry = stack / "merged/geom_reference"
    expected = np.asarray(open_slcs([stack]).geometry.latitude)
    for name in ("lat", "lon"):
        path = geometry / f"{name}.rdr.full"
        values = np.fromfile(path).reshape(ROWS, COLS)
        path.unlink()
        bursts = [stack / f"geom/IW1/{name}_0{number}.rdr" for number in (1, 2)]
        write_joined(path, bursts, values, relative=False, dtype="Float64")
    slc = open_slcs([stack])
    assert slc.geometry_looks == Looks(1, 1)
    latitude = np.asarray(slc.geometry.latitude)
    assert latitude.dtype == np.float64
    np.testing.assert_array_equal(latitude, expected)


@pytest.mark.parametrize("place", ["merged/SLC", "SLC", "coregSLC/Fine"])
def test_stripmap(tmp_path: Path, place: str) -> None:
    for seed, day in enumerate(DAYS):
        write_isce(tmp_path / f"{place}/{day}/{day}.slc", speckle(seed), order="b" if seed else "l")
    write_isce(tmp_path / "geom_reference/lat.rdr", np.full((3, 2), 19.0))
    write_isce(tmp_path / "geom_reference/lon.rdr", np.full((3, 2), -99.0))
    slc = open_slcs([tmp_path])
    assert slc.geometry_looks == Looks(2, 3)
    np.testing.assert_array_equal(slc.read(ALL, *WHOLE), np.stack([speckle(seed) for seed in range(3)]))


def test_looks_that_the_sidecar_states_decide_between_two(stack: Path) -> None:
    geometry = stack / "merged/geom_reference"
    for name in ("lat", "lon"):
        (geometry / f"{name}.rdr.full").unlink()
        path = write_isce(geometry / f"{name}.rdr", np.full((1, 2), 19.0))  # 7 // 4 and 7 // 5 are both 1
        text = path.with_name(path.name + ".xml").read_text()
        steps = "".join(
            f"<component name='coordinate{n}'><property name='delta'><value>{delta}</value></property>"
            "<property name='startingvalue'><value>1</value></property></component>"
            for n, delta in ((1, 3), (2, 4))
        )
        path.with_name(path.name + ".xml").write_text(text.replace("<imageFile>", f"<imageFile>{steps}"))
    for name in ("hgt", "los", "shadowMask"):
        (geometry / f"{name}.rdr").unlink()
    assert open_slcs([stack]).geometry_looks == Looks(4, 3)


def test_double_precision_is_read_as_single(stack: Path) -> None:
    image = stack / f"merged/SLC/{DAYS[0]}/{DAYS[0]}.slc.full"
    write_isce(image, speckle(0).astype(np.complex128))
    np.testing.assert_array_equal(open_slcs([stack]).read(np.array([0]), *WHOLE)[0], speckle(0))


def test_sizes_that_differ(stack: Path) -> None:
    write_isce(stack / f"merged/SLC/{DAYS[1]}/{DAYS[1]}.slc.full", speckle(1, rows=9))
    with pytest.raises(
        InputError,
        match=rf"{DAYS[1]}\.slc\.full: required the grid of .*{DAYS[0]}\.slc\.full: 7 rows x 6 columns; "
        r"found 9 rows x 6 columns\. Coregister",
    ):
        open_slcs([stack])


def test_truncated_image(stack: Path) -> None:
    image = stack / f"merged/SLC/{DAYS[1]}/{DAYS[1]}.slc.full"
    image.write_bytes(image.read_bytes()[:-8])
    with pytest.raises(InputError, match=r"20180118\.slc\.full: required 336 bytes .*found 328 bytes"):
        open_slcs([stack])


def test_real_image(stack: Path) -> None:
    write_isce(stack / f"merged/SLC/{DAYS[1]}/{DAYS[1]}.slc.full", speckle(1).real)
    with pytest.raises(InputError, match=r"required data_type CFLOAT, CDOUBLE.*found data_type FLOAT"):
        open_slcs([stack])


def test_two_images_of_one_date(stack: Path) -> None:
    write_isce(stack / f"merged/SLC/{DAYS[0]}/{DAYS[0]}_again.slc.full", speckle(9))
    with pytest.raises(InputError, match=r"one image for each date; found one of 20180106, as is .*20180106\.slc"):
        open_slcs([stack])


def test_one_image_alone(stack: Path) -> None:
    with pytest.raises(InputError, match=r"at least two dates; found .*of 20180106"):
        open_slcs([stack / f"merged/SLC/{DAYS[0]}"])


def test_no_date(tmp_path: Path) -> None:
    write_isce(tmp_path / "merged/reference.slc.full", speckle(0))
    with pytest.raises(InputError, match=r"reference\.slc\.full: required one date in its name"):
        open_slcs([tmp_path / "merged"])


def test_empty_images_are_found(stack: Path) -> None:
    assert empty_images(open_slcs([stack])) == ()
    write_isce(stack / f"merged/SLC/{DAYS[1]}/{DAYS[1]}.slc.full", np.zeros((ROWS, COLS), np.complex64))
    write_isce(stack / f"merged/SLC/{DAYS[2]}/{DAYS[2]}.slc.full", np.full((ROWS, COLS), np.nan, np.complex64))
    assert empty_images(open_slcs([stack])) == (date(2018, 1, 18), date(2018, 1, 30))


def test_interferograms_go_before_images_in_a_folder_that_holds_both(isce: IsceBuilder) -> None:
    tops(isce.root)
    assert not looks_like_slcs([isce.root])
    assert not looks_like_slcs([isce.root / "merged"])
    assert looks_like_slcs([isce.root / "merged/SLC"])
    assert looks_like_slcs([isce.root / f"merged/SLC/{DAYS[0]}", isce.root / f"merged/SLC/{DAYS[1]}"])
    assert open_slcs([isce.root / "merged/SLC"]).dates[0] == date(2018, 1, 6)


def test_polarisation_that_is_not_stated(stack: Path) -> None:
    slc = open_slcs([stack], polarisation="vv")
    assert slc.polarisation == "VV"
    assert any("taken for granted" in note for note in slc.notes)


def test_polarisation_that_the_bursts_state(stack: Path) -> None:
    burst = (
        "radarwavelength 0.0555|passdirection ASCENDING|startingrange 8e5|rangepixelsize 2.3|azimuthtimeinterval 0.002|"
        "sensingstart 2018-01-06 00:00:10|sensingstop 2018-01-06 00:00:13|polarization vh"
    )
    body = "".join(
        f"<property name='{name}'><value>{value}</value></property>"
        for name, _, value in (entry.partition(" ") for entry in burst.split("|"))
    )
    (stack / "reference").mkdir()
    (stack / "reference/IW1.xml").write_text(
        "<x><component name='instance'><component name='bursts'><component name='burst1'>"
        f"{body}</component></component></component></x>"
    )
    assert open_slcs([stack]).polarisation == "VH"
    assert open_slcs([stack], polarisation="VH").notes == ()
    with pytest.raises(OptionError, match="--polarisation: required one of VH; found VV"):
        open_slcs([stack], polarisation="VV")


def test_bursts_inside_archives_are_left_to_gdal(stack: Path) -> None:
    image = stack / f"merged/SLC/{DAYS[1]}/{DAYS[1]}.slc.full"
    values = np.fromfile(image, np.complex64).reshape(ROWS, COLS)
    image.unlink()
    with zipfile.ZipFile(stack / "product.zip", "w") as archive:
        archive.writestr("burst.raw", values.tobytes())
        archive.writestr("burst.hdr", f"ENVI\nsamples={COLS}\nlines={ROWS}\nbands=1\ndata type=6\ninterleave=bsq\n")
    image.with_name(image.name + ".vrt").write_text(
        f'<VRTDataset rasterXSize="{COLS}" rasterYSize="{ROWS}"><VRTRasterBand dataType="CFloat32" band="1">'
        f'<SimpleSource><SourceFilename relativeToVRT="0">/vsizip/{stack}/product.zip/burst.raw</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    np.testing.assert_array_equal(open_slcs([stack]).read(np.array([1]), *WHOLE)[0], speckle(1))


def test_virtual_image_by_the_name_of_its_raster(stack: Path) -> None:
    images = [stack / f"merged/SLC/{day}/{day}.slc.full" for day in DAYS]
    images[1].unlink()
    bursts = [stack / f"secondarys/{DAYS[1]}/IW1/burst_0{number}.slc" for number in (1, 2)]
    write_joined(images[1], bursts, speckle(1), relative=True)
    slc = open_slcs(images)
    np.testing.assert_array_equal(slc.read(ALL, *WHOLE)[1], speckle(1))


def test_the_same_image_named_twice(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(stack)
    slc = open_slcs(["merged", f"merged/SLC/{DAYS[0]}/{DAYS[0]}.slc.full", stack / "merged/SLC"])
    assert len(slc.dates) == 3


def test_stack_of_interferograms_is_asked_of_images(stack: Path) -> None:
    with pytest.raises(InputError, match="These are complex images: insar coherence makes a stack"):
        open_stack(stack)


def test_virtual_geometry_whose_bursts_are_gone(stack: Path) -> None:
    path = stack / "merged/geom_reference/lat.rdr.full"
    values = np.fromfile(path).reshape(ROWS, COLS)
    path.unlink()
    bursts = [stack / f"geom/IW1/lat_0{number}.rdr" for number in (1, 2)]
    write_joined(path, bursts, values, relative=True, dtype="Float64")
    assert open_slcs([stack]).geometry_looks == Looks(1, 1)
    bursts[0].unlink()
    slc = open_slcs([stack])
    assert slc.geometry_looks == Looks(2, 3)
    assert slc.geometry.latitude is not None
    assert any("lat.rdr.full.vrt is not used" in note and "lat_01.rdr, which it joins" in note for note in slc.notes)
