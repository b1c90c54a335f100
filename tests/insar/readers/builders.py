"""Small stacks of each processor, written as the processor writes them, for the tests to spoil."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROWS, COLS = 5, 4
DATES = ("20180106", "20180118", "20180130")


def plane(seed: int, *, zeros: bool = True) -> np.ndarray:
    """Phases (rad) of an interferogram, with a pixel of no data."""
    values = np.random.default_rng(seed).normal(size=(ROWS, COLS)).astype(np.float32)
    if zeros:
        values[1, 2] = 0.0
    return values


def as_read(values: np.ndarray) -> np.ndarray:
    """What a reader must give for stored phases or coherences: zero and infinite become NaN."""
    values = values.astype(np.float32)
    return np.where((values == 0) | ~np.isfinite(values), np.float32(np.nan), values)


def interleave(bands: np.ndarray, scheme: str) -> np.ndarray:
    """(band, row, col) in the order of a file."""
    return np.ascontiguousarray(
        {"BSQ": bands, "BIL": bands.transpose(1, 0, 2), "BIP": bands.transpose(1, 2, 0)}[scheme]
    )


class IsceBuilder:
    """An ISCE2 stack below a folder."""

    def __init__(self, root: Path, *, layout: str = "tops") -> None:
        self.root = root
        self.is_tops = layout == "tops"
        self.pairs = root / ("merged/interferograms" if self.is_tops else "Igrams")
        self.geometry = root / ("merged/geom_reference" if self.is_tops else "geom_reference")

    def raster(
        self,
        path: Path,
        bands: np.ndarray,
        *,
        scheme: str = "BIL",
        order: str = "l",
        lon: tuple[float, float] = (0.0, 1.0),
        lat: tuple[float, float] = (0.0, 1.0),
        changes: dict[str, str] | None = None,
    ) -> Path:
        """Write bands (band, row, col) and the sidecar; `changes` replace properties of it."""
        if bands.ndim == 2:
            bands = bands[None]
        path.parent.mkdir(parents=True, exist_ok=True)
        interleave(bands, scheme).astype(bands.dtype.newbyteorder("<" if order == "l" else ">")).tofile(path)
        names = {"uint8": "BYTE", "float32": "FLOAT", "float64": "DOUBLE"}
        properties = {
            "byte_order": order,
            "data_type": names[bands.dtype.name],
            "extra_file_name": f"/scratch/old/{path.name}.vrt",
            "file_name": f"/scratch/old/{path.name}",
            "length": str(bands.shape[1]),
            "number_bands": str(bands.shape[0]),
            "scheme": scheme,
            "width": str(bands.shape[2]),
            **(changes or {}),
        }
        coordinates = "".join(
            f"<component name='{name}'><property name='delta'><value>{delta}</value></property>"
            f"<property name='startingvalue'><value>{start}</value></property></component>"
            for name, (start, delta) in (("coordinate1", lon), ("coordinate2", lat))
        )
        body = "".join(f"<property name='{k}'><value>{v}</value></property>" for k, v in properties.items())
        path.with_name(path.name + ".xml").write_text(f"<imageFile>{coordinates}{body}</imageFile>")
        return path

    def add_pair(
        self,
        name: str,
        phase: np.ndarray | None,
        coherence: np.ndarray | None = None,
        components: np.ndarray | None = None,
        *,
        suffix: str = "",
        **options: Any,
    ) -> Path:
        folder = self.pairs / name
        folder.mkdir(parents=True, exist_ok=True)
        stem = "filt_fine" if self.is_tops else f"filt_{name}_snaphu"
        if phase is not None:
            amplitude = np.full_like(phase, 7.0)
            self.raster(folder / f"{stem}.unw{suffix}", np.stack([amplitude, phase]), **options)
        if coherence is not None:
            self.raster(folder / f"{stem.removesuffix('_snaphu')}.cor{suffix}", coherence, **options)
        if components is not None:
            self.raster(folder / f"{stem}.unw.conncomp{suffix}", components.astype(np.uint8), **options)
        return folder

    def add_geometry(self, *, suffix: str = "", **options: Any) -> None:
        row, col = np.mgrid[0:ROWS, 0:COLS].astype(np.float64)
        incidence = np.full((ROWS, COLS), 39.5, np.float32)
        incidence[0, 0] = 0.0
        self.raster(self.geometry / f"lat.rdr{suffix}", 19.0 + 1e-9 * row + 0.1 * col, **options)
        self.raster(self.geometry / f"lon.rdr{suffix}", -99.0 + 0.1 * row - 1e-9 * col, **options)
        self.raster(self.geometry / f"hgt.rdr{suffix}", 100.0 * row + col, **options)
        self.raster(self.geometry / f"los.rdr{suffix}", np.stack([incidence, incidence - 139.0]), **options)
        mask = np.zeros((ROWS, COLS), np.uint8)
        mask[4, 3] = 2
        self.raster(self.geometry / f"shadowMask.rdr{suffix}", mask, **options)

    def add_wavelength(self, text: str = "wavelength 0.05546576\n") -> None:
        (self.root / "data.rsc").write_text(text)

    def add_baseline(self, name: str, *values_m: float) -> None:
        folder = self.root / "baselines" / (name if self.is_tops else "")
        folder.mkdir(parents=True, exist_ok=True)
        if self.is_tops:
            lines = [f"swath: IW{n}\nBperp (average): {v}\nBpar (average): 3.0\n" for n, v in enumerate(values_m, 1)]
        else:
            lines = [f"PERP_BASELINE_BOTTOM {values_m[0]}\nPERP_BASELINE_TOP {values_m[-1]}\n"]
        (folder / f"{name}.txt").write_text("".join(lines))


@dataclass
class SnapBuilder:
    """A SNAP stack below a folder."""

    root: Path
    transform: str = "0.001,0.0,0.0,-0.001,-99.2,19.5"
    system: str = (
        "<Horizontal_CS><HORIZONTAL_CS_TYPE>GEOGRAPHIC</HORIZONTAL_CS_TYPE><Geographic_CS><Horizontal_Datum>"
        "<HORIZONTAL_DATUM_NAME>WGS-84</HORIZONTAL_DATUM_NAME></Horizontal_Datum></Geographic_CS></Horizontal_CS>"
    )
    metadata: dict[str, str] = field(
        default_factory=lambda: {
            "MISSION": "SENTINEL-1A",
            "PASS": "ASCENDING",
            "antenna_pointing": "right",
            "centre_heading": "347.726",
            "radar_frequency": "5405.0005",
            "range_looks": "4.0",
            "azimuth_looks": "1.0",
            "range_spacing": "2.329562",
            "azimuth_spacing": "99999.0",
            "slant_range_to_first_pixel": "798980.0",
            "first_line_time": "06-JAN-2018 00:00:10.5",
            "last_line_time": "06-JAN-2018 00:00:12.5",
        }
    )

    def add_product(
        self,
        name: str,
        bands: dict[str, np.ndarray],
        *,
        virtual: tuple[str, ...] = (),
        units: dict[str, str] | None = None,
        no_data: str | None = "0.0",
        baselines: str = "",
        geoposition: str | None = None,
        size: tuple[int, int] = (ROWS, COLS),
        order: str = ">",
        header_extra: str = "",
        tail: str = "",
    ) -> Path:
        """Write a product of float32 bands; virtual bands are declared before the others and have no file."""
        path = self.root / f"{name}.dim"
        folder = path.with_suffix(".data")
        folder.mkdir(parents=True)
        for band, values in bands.items():
            values.astype(f"{order}f4").tofile(folder / f"{band}.img")
            (folder / f"{band}.hdr").write_text(
                f"ENVI\nsamples = {values.shape[1]}\nlines = {values.shape[0]}\nbands = 1\nheader offset = 0\n"
                f"data type = 4\ninterleave = bsq\nbyte order = {int(order == '>')}\nband names = {{ {band} }}\n"
                "map info = {Geographic Lat/Lon,26.0,31.0,1.0,2.0,0.5,0.5,WGS84,units=Degrees}\n" + header_extra
            )
        names = [*virtual, *bands]
        info = "".join(
            f"<Spectral_Band_Info><BAND_INDEX>{index}</BAND_INDEX><BAND_NAME>{band}</BAND_NAME>"
            f"<PHYSICAL_UNIT>{(units or {}).get(band, '')}</PHYSICAL_UNIT>"
            f"<NO_DATA_VALUE_USED>{str(no_data is not None).lower()}</NO_DATA_VALUE_USED>"
            f"<NO_DATA_VALUE>{no_data or 0}</NO_DATA_VALUE>"
            + ("<VIRTUAL_BAND>true</VIRTUAL_BAND><EXPRESSION>0</EXPRESSION>" if band in virtual else "")
            + "</Spectral_Band_Info>"
            for index, band in enumerate(names)
        )
        files = "".join(
            f"<Data_File><DATA_FILE_PATH href='old_name.data/{band}.hdr'/><BAND_INDEX>{names.index(band)}</BAND_INDEX>"
            "</Data_File>"
            for band in bands
        )
        attributes = "".join(f"<MDATTR name='{k}'>{v}</MDATTR>" for k, v in self.metadata.items())
        place = (
            f"<IMAGE_TO_MODEL_TRANSFORM>{self.transform}</IMAGE_TO_MODEL_TRANSFORM>"
            if geoposition is None
            else geoposition
        )
        path.write_text(
            "<?xml version='1.0' encoding='ISO-8859-1'?>\n<Dimap_Document name='x'>"
            f"<Coordinate_Reference_System>{self.system}</Coordinate_Reference_System>"
            f"<Geoposition>{place}</Geoposition>"
            f"<Raster_Dimensions><NCOLS>{size[1]}</NCOLS><NROWS>{size[0]}</NROWS></Raster_Dimensions>"
            f"<Data_Access>{files}</Data_Access><Image_Interpretation>{info}</Image_Interpretation>"
            "<Dataset_Sources><MDElem name='metadata'><MDElem name='Abstracted_Metadata'>"
            f"{attributes}<MDElem name='Baselines'>{baselines}</MDElem></MDElem>{tail}</MDElem></Dataset_Sources>"
            "</Dimap_Document>\n",
            encoding="latin-1",
        )
        return path

    @staticmethod
    def baselines(values_m: dict[str, float], *, words: tuple[str, str] = ("Master: ", "Slave: ")) -> str:
        """Every date against every other, as SNAP states it, from the baseline of each date."""
        return "".join(
            f"<MDElem name='{words[0]}{master}'>"
            + "".join(
                f"<MDElem name='{words[1]}{slave}'><MDATTR name='Perp Baseline'>{values_m[slave] - values_m[master]}"
                "</MDATTR><MDATTR name='Height of Ambiguity'>Infinity</MDATTR></MDElem>"
                for slave in values_m
            )
            + "</MDElem>"
            for master in values_m
        )


def write_mintpy(
    path: Path,
    pairs: list[tuple[str, str]],
    datasets: dict[str, np.ndarray],
    *,
    options: dict[str, Any] | None = None,
    **attributes: str,
) -> Path:
    """Write an ifgramStack.h5 as MintPy does; `options` are those of the three-dimensional datasets."""
    import h5py

    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["date"] = np.array(pairs, dtype="S8")
        for name, values in datasets.items():
            file.create_dataset(name, data=values, **((options or {}) if values.ndim == 3 else {}))
        for name, value in {"FILE_TYPE": "ifgramStack", "WAVELENGTH": "0.0554657646", **attributes}.items():
            file.attrs[name] = value
    return path


MAP_ATTRIBUTES = {
    "X_FIRST": "-99.2",
    "Y_FIRST": "19.5",
    "X_STEP": "0.001",
    "Y_STEP": "-0.001",
    "X_UNIT": "degrees",
    "Y_UNIT": "degrees",
}
