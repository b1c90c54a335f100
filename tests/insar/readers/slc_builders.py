"""Small stacks of complex images, written as each processor writes them, for the tests to spoil."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

ROWS, COLS = 7, 6
DAYS = ("20180106", "20180118", "20180130")
SNAP_DAYS = ("06Jan2018", "18Jan2018", "30Jan2018")


def speckle(seed: int, rows: int = ROWS, cols: int = COLS) -> np.ndarray:
    """(row, col) complex64 with a pixel of no data, and one that is zero in its real part alone."""
    parts = np.random.default_rng(seed).normal(size=(2, rows, cols)).astype(np.float32)
    values = (parts[0] + 1j * parts[1]).astype(np.complex64)
    values[1, 2] = 0.0
    values[2, 2] = 0.5j
    return values


def write_isce(path: Path, bands: np.ndarray, *, flat: bool = True, order: str = "l", **changes: str) -> Path:
    """Write one raster, or (band, row, col) by line, and its sidecar; only the sidecar where not `flat`."""
    bands = bands[None] if bands.ndim == 2 else bands
    path.parent.mkdir(parents=True, exist_ok=True)
    names = {"complex64": "CFLOAT", "complex128": "CDOUBLE", "float32": "FLOAT", "float64": "DOUBLE", "uint8": "BYTE"}
    if flat:
        stored = bands.astype(bands.dtype.newbyteorder("<" if order == "l" else ">"))
        np.ascontiguousarray(stored.transpose(1, 0, 2)).tofile(path)
    values = {
        "byte_order": order,
        "data_type": names[bands.dtype.name],
        "file_name": f"/scratch/old/{path.name}",
        "length": str(bands.shape[1]),
        "number_bands": str(bands.shape[0]),
        "scheme": "BIL",
        "width": str(bands.shape[2]),
        **changes,
    }
    body = "".join(f"<property name='{key}'><value>{value}</value></property>" for key, value in values.items())
    path.with_name(path.name + ".xml").write_text(f"<imageFile>{body}</imageFile>")
    return path


def write_raw_vrt(path: Path, rows: int, cols: int, *, dtype: str = "CFloat32") -> Path:
    """Describe a flat raster as ISCE2 does for each burst."""
    item = {"CFloat32": 8, "Float64": 8}[dtype]
    path.with_name(path.name + ".vrt").write_text(
        f'<VRTDataset rasterXSize="{cols}" rasterYSize="{rows}">'
        f'<VRTRasterBand band="1" dataType="{dtype}" subClass="VRTRawRasterBand">'
        f'<SourceFilename relativeToVRT="1">{path.name}</SourceFilename><ByteOrder>LSB</ByteOrder>'
        f"<ImageOffset>0</ImageOffset><PixelOffset>{item}</PixelOffset><LineOffset>{item * cols}</LineOffset>"
        "</VRTRasterBand></VRTDataset>"
    )
    return path.with_name(path.name + ".vrt")


def write_joined(
    path: Path, bursts: list[Path], values: np.ndarray, *, relative: bool, dtype: str = "CFloat32"
) -> None:
    """Write a virtual image of two bursts, one above the other, cut at row 3."""
    cut, (rows, cols) = 3, values.shape
    sources = ""
    for burst, part, first in zip(bursts, (values[:cut], values[cut:]), (0, cut), strict=True):
        burst.parent.mkdir(parents=True, exist_ok=True)
        part.tofile(burst)
        vrt = write_raw_vrt(burst, len(part), cols, dtype=dtype)
        name = Path("../" * (len(path.parent.parts) - len(path.parents[3].parts))) / vrt.relative_to(path.parents[3])
        rect = f'xOff="0" xSize="{cols}" ySize="{len(part)}"'
        sources += (
            f'<SimpleSource><SourceFilename relativeToVRT="{int(relative)}">{name if relative else vrt}'
            f'</SourceFilename><SourceBand>1</SourceBand><SrcRect yOff="0" {rect}/><DstRect yOff="{first}" {rect}/>'
            "</SimpleSource>"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_name(path.name + ".vrt").write_text(
        f'<VRTDataset rasterXSize="{cols}" rasterYSize="{rows}"><VRTRasterBand dataType="{dtype}" band="1">{sources}'
        "</VRTRasterBand></VRTDataset>"
    )


def write_complex(
    path: Path,
    values: np.ndarray,
    *,
    driver: str = "GTiff",
    placed: bool = False,
    descriptions: tuple[str, ...] = (),
    **options: object,
) -> Path:
    """Write one complex raster, or several as bands, with GDAL, on a map where `placed`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    place = {"crs": "EPSG:32648", "transform": Affine(10.0, 0.0, 4e5, 0.0, -10.0, 3.4e6)} if placed else {}
    bands = values[None] if values.ndim == 2 else values
    profile = {
        "driver": driver,
        "height": bands.shape[1],
        "width": bands.shape[2],
        "count": len(bands),
        "dtype": values.dtype.name,
        **place,
        **options,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of no georeference
        with rasterio.open(path, "w", **profile) as sink:
            sink.write(bands)
            sink.descriptions = descriptions or sink.descriptions
    return path
