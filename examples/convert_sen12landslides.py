"""Convert a Sentinel-1 patch of Sen12Landslides (NetCDF) to GeoTIFFs that `insar backscatter` reads.

    python examples/convert_sen12landslides.py italy_s1asc_4120.nc italy/asc
    insar backscatter italy/asc --event 2023-05-16 --dem italy/asc/dem.tif --incidence 39 -o italy_backscatter

A patch holds ``VV`` and ``VH`` (dB, cut at -50 and 0), ``DEM`` (m) and ``MASK`` (1 = landslide), each (time, x, y): the
first index of an image runs east, the second south, so that it must be transposed to lie as a map. The coordinates are
those of the upper left corners of pixels: the outlines named in ``ann_bbox`` hold every pixel of the mask only then.

The DEM has cells of one arc second, repeated on pixels of 10 m and rounded to metres. Its steps would be walls that
throw layover: it is smoothed over about one of its cells.

The folder gets ``YYYYMMDD_<asc|dsc>_<VV|VH>_db.tif`` for each date, ``dem.tif`` and ``landslides.tif``. Values of 0 dB
are data, bright reflectors; no data is NaN, and declared as such.
"""

from __future__ import annotations

import argparse
import re
from datetime import timedelta
from pathlib import Path

import netCDF4
import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from insar.days import parse_day

_DEM_CELL_PIXELS = 3.0


def convert(source: Path, folder: Path) -> list[Path]:
    """Write the images, the DEM and the mask of a patch.

    Parameters
    ----------
    source
        NetCDF file of ``s1-asc`` or ``s1-dsc``.
    folder
        Made if it is not there.

    Returns
    -------
    list of Path
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with netCDF4.Dataset(source) as patch:
        patch.set_auto_mask(False)  # 0 dB is no data to nobody but the library
        orbit = patch.satellite.removeprefix("s1-")
        transform = _transform(np.asarray(patch["x"][:]), np.asarray(patch["y"][:]))
        place = {"crs": str(patch.crs), "transform": transform}
        start = parse_day(re.sub(r".*since\s+(\S+).*", r"\1", patch["time"].units))
        written = []
        for index, days in enumerate(patch["time"][:]):
            day = start + timedelta(days=int(days))
            for band in ("VV", "VH"):
                path = folder / f"{day:%Y%m%d}_{orbit}_{band}_db.tif"
                written.append(_write(path, patch[band][index].T, nodata=float("nan"), **place))
        written.append(_write(folder / "dem.tif", _smoothed(patch["DEM"][0].T), nodata=None, **place))
        written.append(_write(folder / "landslides.tif", patch["MASK"][0].T, nodata=None, **place))
    return written


def _smoothed(height: NDArray[np.int16]) -> NDArray[np.float32]:
    return gaussian_filter(height.astype(np.float32), _DEM_CELL_PIXELS / 2.0, mode="nearest")


def _transform(x: NDArray[np.float64], y: NDArray[np.float64]) -> Affine:
    step_x, step_y = np.diff(x), np.diff(y)
    if not (np.allclose(step_x, step_x[0]) and np.allclose(step_y, step_y[0]) and step_x[0] > 0 > step_y[0]):
        raise ValueError("x must grow and y must fall, both evenly")
    return Affine(step_x[0], 0.0, x[0], 0.0, step_y[0], y[0])


def _write(path: Path, values: NDArray[np.generic], *, crs: str, transform: Affine, nodata: float | None) -> Path:
    rows, cols = values.shape
    profile = {"driver": "GTiff", "height": rows, "width": cols, "count": 1, "dtype": values.dtype.name}
    with rasterio.open(path, "w", **profile, crs=crs, transform=transform, nodata=nodata, compress="deflate") as sink:
        sink.write(np.ascontiguousarray(values), 1)
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", type=Path, help="NetCDF file, such as italy_s1asc_4120.nc")
    parser.add_argument("folder", type=Path, help="where the GeoTIFFs go")
    arguments = parser.parse_args()
    convert(arguments.source, arguments.folder)
