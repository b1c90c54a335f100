"""Complex rasters of any format that GDAL reads."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import h5py
import numpy as np
import pytest

from insar.errors import InputError, MissingInputError, OptionError
from insar.readers.slc import looks_like_slcs, open_slcs
from insar.readers.slc_images import find_day, polarisation_of

from .geotiffs import write_tif
from .slc_builders import COLS, DAYS, ROWS, speckle, write_complex

WHOLE = (slice(0, ROWS), slice(0, COLS))


def write_all(folder: Path, *, suffix: str = ".tif", **options: object) -> Path:
    for seed, day in enumerate(DAYS):
        write_complex(folder / f"slc_{day}{suffix}", speckle(seed), **options)
    return folder


def require_pixels(paths: list[Path], **options: str) -> None:
    slc = open_slcs(paths, **options)
    block = slc.read(np.arange(3), *WHOLE)
    assert block.dtype == np.complex64
    np.testing.assert_array_equal(block, np.stack([speckle(seed) for seed in range(3)]))
    np.testing.assert_array_equal(slc.read(np.array([1]), slice(2, 5), slice(3, 6))[0], speckle(1)[2:5, 3:6])


@pytest.mark.parametrize(("driver", "suffix"), [("GTiff", ".tif"), ("ENVI", ".img"), ("ENVI", ".slc")])
def test_formats(tmp_path: Path, driver: str, suffix: str) -> None:
    folder = write_all(tmp_path / "slc", driver=driver, suffix=suffix)
    assert looks_like_slcs([folder])
    require_pixels([folder])
    require_pixels(sorted(folder.glob(f"*{suffix}")))
    slc = open_slcs([folder])
    assert (slc.processor, slc.grid.crs, slc.polarisation) == ("gdal", None, None)
    assert slc.dates == (date(2018, 1, 6), date(2018, 1, 18), date(2018, 1, 30))
    assert any("no place" in note for note in slc.notes)


def test_roipac(tmp_path: Path) -> None:
    for seed, day in enumerate(DAYS):
        speckle(seed).tofile(tmp_path / f"{day[2:]}.slc")
        (tmp_path / f"{day[2:]}.slc.rsc").write_text(f"WIDTH {COLS}\nFILE_LENGTH {ROWS}\n")
    require_pixels([tmp_path])


def test_integers_and_tiles(tmp_path: Path) -> None:
    values = np.round(speckle(0, 70, 90) * 1000)
    for day in DAYS[:2]:
        path = tmp_path / f"{day}.tif"
        write_complex(path, values, dtype="complex_int16", tiled=True, blockxsize=32, blockysize=32)
    slc = open_slcs([tmp_path])
    np.testing.assert_array_equal(slc.read(np.array([0]), slice(0, 70), slice(0, 90))[0], values)
    assert slc.source.rows_per_chunk == 32


def test_folders_of_dates(tmp_path: Path) -> None:
    for seed, day in enumerate(DAYS):
        write_complex(tmp_path / day / "image.tif", speckle(seed))
    require_pixels([tmp_path])


def test_map_grid(tmp_path: Path) -> None:
    slc = open_slcs([write_all(tmp_path, placed=True)])
    assert slc.grid.crs == "EPSG:32648"
    assert slc.grid.transform.c == 4e5
    assert not slc.in_radar_coordinates


def test_georeference_that_differs(tmp_path: Path) -> None:
    write_all(tmp_path, placed=True)
    write_complex(tmp_path / "slc_20180118.tif", speckle(1))
    with pytest.raises(InputError, match=r"slc_20180118\.tif: .*EPSG:32648; found .*in radar coordinates"):
        open_slcs([tmp_path])


def test_several_threads_and_another_process_read_the_same(tmp_path: Path) -> None:
    slc = open_slcs([write_all(tmp_path)])
    rows = [slice(start, start + 1) for start in range(ROWS)] * 20
    with ThreadPoolExecutor(8) as pool:
        blocks = list(pool.map(lambda each: slc.read(np.arange(3), each, slice(0, COLS)), rows))
    expected = np.stack([speckle(seed) for seed in range(3)])
    for window, block in zip(rows, blocks, strict=True):
        np.testing.assert_array_equal(block, expected[:, window])
    sent = pickle.dumps(slc)
    assert len(sent) < 4000
    np.testing.assert_array_equal(pickle.loads(sent).read(np.arange(3), *WHOLE), expected)


def test_variables_of_hdf5(tmp_path: Path) -> None:
    paths = []
    for seed, day in enumerate(DAYS):
        with h5py.File(tmp_path / f"t064_{day}.h5", "w") as file:
            file["data/VV"] = speckle(seed)
        paths.append(Path(f'HDF5:"{tmp_path}/t064_{day}.h5"://data/VV'))
    assert looks_like_slcs(paths)
    require_pixels(paths)
    assert open_slcs(paths).polarisation == "VV"


def test_polarisation_in_names(tmp_path: Path) -> None:
    for seed, day in enumerate(DAYS):
        write_complex(tmp_path / f"S1_{day}_VV.tif", speckle(seed))
        write_complex(tmp_path / f"S1_{day}_VH.tif", speckle(seed + 10))
    slc = open_slcs([tmp_path])
    assert slc.polarisation == "VV"
    assert any("VV is taken, and VH left out" in note for note in slc.notes)
    crossed = open_slcs([tmp_path], polarisation="VH")
    np.testing.assert_array_equal(crossed.read(np.array([1]), *WHOLE)[0], speckle(11))
    with pytest.raises(OptionError, match="--polarisation: required one of VH, VV; found HH"):
        open_slcs([tmp_path], polarisation="HH")


def test_polarisation_absent_on_one_date(tmp_path: Path) -> None:
    for seed, day in enumerate(DAYS):
        write_complex(tmp_path / f"S1_{day}_VV.tif", speckle(seed))
        if seed != 1:
            write_complex(tmp_path / f"S1_{day}_VH.tif", speckle(seed))
    slc = open_slcs([tmp_path], polarisation="VH")
    assert len(slc.dates) == 2
    assert "left out, without VH: 20180118" in slc.notes


def test_two_co_polarisations_have_to_be_chosen_from(tmp_path: Path) -> None:
    for day in DAYS:
        for name in ("HH", "VV"):
            write_complex(tmp_path / f"S1_{day}_{name}.tif", speckle(0))
    with pytest.raises(OptionError, match="--polarisation: required one of HH, VV"):
        open_slcs([tmp_path])


def test_bands_by_description(tmp_path: Path) -> None:
    def write(day: str, seed: int, *descriptions: str) -> None:
        bands = np.stack([speckle(seed + 10), speckle(seed)])
        write_complex(tmp_path / f"{day}.tif", bands, descriptions=descriptions)

    for seed, day in enumerate(DAYS):
        write(day, seed, "i_VH complex", "VV")
    require_pixels([tmp_path], polarisation="VV")
    write(DAYS[0], 0, "first", "second")
    with pytest.raises(InputError, match=r"20180106\.tif: required one complex band.*'first', 'second'"):
        open_slcs([tmp_path])


def test_real_rasters(tmp_path: Path) -> None:
    paths = [write_tif(tmp_path / f"{day}.tif", np.ones((4, 5), np.float32)) for day in DAYS]
    assert not looks_like_slcs([tmp_path])
    with pytest.raises(InputError, match=r"required complex pixels .*found float32 pixels"):
        open_slcs(paths, processor="gdal")
    with pytest.raises(InputError, match="coregistered complex images"):
        open_slcs(paths)


def test_files_that_are_no_images_are_left_out_of_a_folder(tmp_path: Path) -> None:
    write_all(tmp_path)
    write_tif(tmp_path / "dem.tif", np.ones((4, 5), np.float32))
    write_tif(tmp_path / "amplitude_20180106.tif", np.ones((4, 5), np.float32))
    assert looks_like_slcs([tmp_path])
    assert any("amplitude_20180106.tif, dem.tif" in note for note in open_slcs([tmp_path]).notes)


@pytest.mark.parametrize(("driver", "suffix"), [("GTiff", ".tif"), ("ENVI", ".img")])
def test_truncated(tmp_path: Path, driver: str, suffix: str) -> None:
    write_all(tmp_path, driver=driver, suffix=suffix)
    image = tmp_path / f"slc_20180118{suffix}"
    image.write_bytes(image.read_bytes()[:-16])
    with pytest.raises(InputError, match=rf"slc_20180118{suffix}: required at least \d+ bytes.*cut short"):
        open_slcs([tmp_path])


def test_no_date_and_several_dates(tmp_path: Path) -> None:
    for name in ("image.tif", "20180106_20180118.tif"):
        path = write_complex(tmp_path / name, speckle(0))
        with pytest.raises(InputError, match=rf"{name}: required one date in its name"):
            open_slcs([path, path.with_name(name)], processor="gdal")


def test_date_twice(tmp_path: Path) -> None:
    paths = [write_complex(tmp_path / f"{name}_20180106.tif", speckle(0)) for name in ("a", "b")]
    with pytest.raises(InputError, match=r"b_20180106\.tif: required one image for each date; .*a_20180106\.tif"):
        open_slcs(paths)


def test_absent_path(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"gone\.tif: required a coregistered complex image"):
        open_slcs([tmp_path / "gone.tif"])
    with pytest.raises(OptionError, match="--processor: required auto, isce, snap, gdal; found gamma"):
        open_slcs([tmp_path], processor="gamma")
    with pytest.raises(OptionError, match="SLC: required coregistered complex images; found no path"):
        open_slcs([])
    assert not looks_like_slcs([tmp_path / "gone.tif"])
    assert not looks_like_slcs([tmp_path])


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("20180106.slc.full", date(2018, 1, 6)),
        ("S1A_IW_SLC__1SDV_20180106T005312_20180106T005340_019.tif", date(2018, 1, 6)),
        ("S1A_IW_SLC__1SDV_20180106T235950_20180107T000018_019.tif", date(2018, 1, 6)),
        ("i_VV_06Jan2018.img", date(2018, 1, 6)),
        ("930110.slc", date(1993, 1, 10)),
        ("20180106_20180118.tif", None),
        ("20180106_20180107.tif", None),
        ("slc_20181306.tif", None),
        ("reference.slc", None),
        ("burst_123456.tif", None),
    ],
)
def test_dates_of_names(name: str, day: date | None) -> None:
    assert find_day(name) == day


def test_polarisations_of_names() -> None:
    assert polarisation_of("i_IW1_VV_mst_06Jan2018") == "VV"
    assert polarisation_of("s1a-iw1-slc-vh-20180106t") == "VH"
    assert polarisation_of("S1A_1SDV_VVVH") is None
    assert polarisation_of("VV_VH.tif") is None


def test_the_same_raster_named_twice(tmp_path: Path) -> None:
    folder = write_all(tmp_path)
    require_pixels([folder, folder / "slc_20180118.tif"])
