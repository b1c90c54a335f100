"""Any window of any kind of image is that window of the whole image."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insar.readers.files import OpenFiles
from insar.readers.flat import FlatBand
from insar.readers.slc_images import ComplexImage, FlatImage, ImageSource, find_day
from insar.readers.slc_raster import OpenImages, gdal_image
from insar.readers.slc_snap import PartsImage
from insar.readers.sources import Layer
from insar.simulate.layouts.dimap import snap_date

from .slc_builders import COLS, ROWS, speckle, write_complex

KINDS = ("flat", "double", "parts", "gdal")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ComplexImage]:
    folder: Path = tmp_path_factory.mktemp("images")
    files = OpenFiles()
    values = speckle(0)
    values.tofile(folder / "flat")
    values.astype(">c16").tofile(folder / "double")
    values.real.astype(">f4").tofile(folder / "i.img")
    values.imag.astype(">f4").tofile(folder / "q.img")
    tif = write_complex(folder / "tiled.tif", values, tiled=True, blockxsize=16, blockysize=16, compress="deflate")
    parts = [Layer(FlatBand(folder / f"{name}.img", ">f4", ROWS, COLS)) for name in ("i", "q")]
    return {
        "flat": FlatImage(FlatBand(folder / "flat", "<c8", ROWS, COLS), files),
        "double": FlatImage(FlatBand(folder / "double", ">c16", ROWS, COLS), files),
        "parts": PartsImage(parts[0], parts[1], files),
        "gdal": gdal_image(tif, OpenImages())[1],
    }


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30)
@given(rows=st.tuples(*[st.integers(0, ROWS)] * 2), cols=st.tuples(*[st.integers(0, COLS)] * 2))
def test_windows(images: dict[str, ComplexImage], kind: str, rows: tuple[int, int], cols: tuple[int, int]) -> None:
    window = slice(*sorted(rows)), slice(*sorted(cols))
    block = ImageSource((images[kind],)).read_block(np.zeros(2, dtype=np.intp), *window)
    np.testing.assert_array_equal(block, np.stack([speckle(0)[window]] * 2))


@given(
    st.dates(date(1978, 1, 1), date(2069, 12, 31)), st.sampled_from(["{}.slc", "S1_{}_VV.tif", "i_VV_{}", "{}T053012"])
)
def test_dates_survive_names(day: date, form: str) -> None:
    assert find_day(form.format(f"{day:%Y%m%d}")) == day
    assert find_day(form.format(snap_date(day)).replace("T053012", "")) == day
