"""The displacement time series as an HDF5 file that MintPy's tools open.

One uncompressed, contiguous dataset ``timeseries`` (date, row, col) float32 in metres, with the dates, the
perpendicular baselines and MintPy's attributes, all strings, at the root. Contiguous storage is what lets several
threads write rows straight into the file through a memory map, and a killed run go on where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.errors import InputError, MissingInputError
from insar.grid import Grid, LonLat, RowCol
from insar.stack import Acquisition, Stack

_DATASET = "timeseries"
_PAGE = 4096
_CRS = "CRS"
"""Attribute of our own beside MintPy's: the CRS in full, where MintPy can only say degrees or a UTM zone."""


class TimeSeriesFile(NamedTuple):
    """Content of a ``timeseries.h5``.

    Attributes
    ----------
    displacement_m
        (date, row, col) line-of-sight displacement since the first date, metres, positive toward the satellite; NaN
        is no data. Memory-mapped where the file allows.
    dates
        Acquisition dates.
    grid
        Map grid, or a grid without CRS in radar coordinates.
    attributes
        MintPy's attributes as they are in the file.
    """

    displacement_m: NDArray[np.float32]
    dates: tuple[date, ...]
    grid: Grid
    attributes: dict[str, str]


def create_timeseries_file(
    path: Path,
    *,
    grid: Grid,
    dates: Sequence[date],
    stack: Stack,
    reference: RowCol | None,
    perpendicular_baselines_m: NDArray[np.floating],
) -> None:
    """Create the file with everything but the displacements, which `timeseries_memmap` then writes in place.

    Disk space is claimed as rows are written; what is not yet written reads as 0, which MintPy takes for no data.

    Parameters
    ----------
    path
        File to create, under a temporary name until it is whole; one that is there is replaced.
    grid
        Grid of the result; without CRS for one in radar coordinates.
    dates
        Acquisition dates in order.
    stack
        Where the metadata of sensor and pass come from; what it does not know is left out of the file.
    reference
        Reference pixel on `grid`, if there is one.
    perpendicular_baselines_m
        (date,) relative to the first date; NaN where unknown.
    """
    _create(path, _attributes(grid, dates, stack, reference), grid, dates, perpendicular_baselines_m)


def create_component_file(path: Path, *, grid: Grid, dates: Sequence[date], component: str) -> None:
    """Create a file for one component of the motion, east or vertical, of no single sensor or pass.

    Parameters
    ----------
    path
        File to create, under a temporary name until it is whole; one that is there is replaced.
    grid
        Map grid of the result.
    dates
        Dates in order.
    component
        What the displacements are, for the attribute ``COMPONENT``.
    """
    known: dict[str, object | None] = {
        **_series_attributes(grid, dates),
        "PROCESSOR": "insar",
        "COMPONENT": component,
        **_map_attributes(grid),
    }
    attributes = {name: str(value) for name, value in known.items() if value is not None}
    _create(path, attributes, grid, dates, None)


def _create(
    path: Path,
    attributes: dict[str, str],
    grid: Grid,
    dates: Sequence[date],
    perpendicular_baselines_m: NDArray[np.floating] | None,
) -> None:
    import h5py

    partial = path.with_name(f".{path.name}.partial")
    try:
        # Aligned, so that the map of one row block never shares a page with the metadata.
        with h5py.File(partial, "w", alignment_threshold=_PAGE, alignment_interval=_PAGE) as sink:
            sink.attrs.update(attributes)
            sink["date"] = np.array([f"{day:%Y%m%d}" for day in dates], dtype="S8")
            if perpendicular_baselines_m is not None:
                sink["bperp"] = np.asarray(perpendicular_baselines_m, dtype="<f4")
            creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            creation.set_layout(h5py.h5d.CONTIGUOUS)
            creation.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            creation.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
            creation.set_obj_track_times(False)  # the same result has the same bytes whenever it is made
            space = h5py.h5s.create_simple((len(dates), *grid.shape))
            h5py.h5d.create(sink.id, _DATASET.encode(), h5py.h5t.IEEE_F32LE, space, creation)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def timeseries_memmap(path: Path, mode: Literal["r", "r+"] = "r+") -> np.memmap[Any, np.dtype[np.float32]]:
    """Map the displacements of a file: (date, row, col) float32 metres, written through to the file in mode ``r+``.

    The file must not be open in HDF5 for writing meanwhile.

    Raises
    ------
    InputError
        The dataset is chunked or compressed, as in files of other programs: `read_timeseries` reads those.
    """
    import h5py

    with _opened(path) as source:
        dataset = source[_DATASET]
        offset, shape, dtype = dataset.id.get_offset(), dataset.shape, dataset.dtype
        layout = dataset.id.get_create_plist().get_layout()
    if layout != h5py.h5d.CONTIGUOUS or offset is None or dtype != np.dtype("<f4"):
        raise InputError(
            path,
            required="an uncompressed, contiguous float32 dataset `timeseries`",
            found=f"{dtype}, {'chunked' if layout == h5py.h5d.CHUNKED else 'not allocated'}",
            remedy="Give a file that insar wrote, or read it with `read_timeseries`",
        )
    expected = offset + int(np.prod(shape)) * 4
    if path.stat().st_size < expected:
        raise InputError(
            path,
            required=f"{expected} bytes",
            found=f"{path.stat().st_size} bytes",
            remedy="The file was cut short; run the inversion again",
        )
    return np.memmap(path, dtype="<f4", mode=mode, offset=offset, shape=shape)


def read_timeseries(path: Path) -> TimeSeriesFile:
    """Read a ``timeseries.h5`` of this package or of MintPy.

    Raises
    ------
    MissingInputError
        No such file.
    InputError
        No HDF5 file, or without the datasets ``timeseries`` and ``date``.
    """
    import h5py

    with _opened(path) as source:
        attributes = {name: _text(value) for name, value in source.attrs.items()}
        dates = tuple(_parsed(_text(day), path) for day in source["date"][()])
        dataset = source[_DATASET]
        is_mappable = dataset.id.get_offset() is not None and dataset.dtype == np.dtype("<f4")
        if dataset.ndim != 3 or len(dates) != dataset.shape[0]:
            raise InputError(
                path,
                required="a dataset `timeseries` (date, row, col) with one `date` for each",
                found=f"shape {dataset.shape} and {len(dates)} dates",
                remedy="Check which program wrote the file",
            )
        shape = dataset.shape
        is_mappable = is_mappable and dataset.id.get_create_plist().get_layout() == h5py.h5d.CONTIGUOUS
        values = None if is_mappable else np.asarray(dataset[()], dtype=np.float32)
    displacement = timeseries_memmap(path, "r") if values is None else values
    return TimeSeriesFile(displacement, dates, _grid(attributes, shape[1:], path), attributes)


def _opened(path: Path) -> Any:
    import h5py

    if not path.exists():
        raise MissingInputError(
            path, required="a time series file", found="no such file", remedy="Check the path, or run the inversion"
        )
    try:
        source = h5py.File(path, "r")
    except OSError as error:
        raise InputError(
            path, required="an HDF5 file", found=str(error), remedy="Check that the file is whole"
        ) from error
    absent = [name for name in (_DATASET, "date") if name not in source]
    if absent:
        found = ", ".join(sorted(source)) or "none"
        source.close()
        raise InputError(
            path,
            required="the datasets `timeseries` and `date`",
            found=f"datasets: {found}",
            remedy="Give a timeseries.h5",
        )
    return source


def _attributes(grid: Grid, dates: Sequence[date], stack: Stack, reference: RowCol | None) -> dict[str, str]:
    """MintPy's attributes, in its names and units; what is unknown is left out rather than invented."""
    acquisition = stack.acquisition
    known: dict[str, object | None] = {
        **_series_attributes(grid, dates),
        "WAVELENGTH": stack.wavelength_m,
        "PROCESSOR": stack.processor,
        "PLATFORM": acquisition.platform,
        "ORBIT_DIRECTION": acquisition.orbit_direction and acquisition.orbit_direction.upper(),
        "HEADING": acquisition.heading_deg,
        "ALOOKS": acquisition.azimuth_looks,
        "RLOOKS": acquisition.range_looks,
        "CENTER_LINE_UTC": acquisition.center_line_utc_s,
        "STARTING_RANGE": acquisition.starting_range_m,
        "RANGE_PIXEL_SIZE": acquisition.range_pixel_size_m,
        "AZIMUTH_PIXEL_SIZE": acquisition.azimuth_pixel_size_m,
        "EARTH_RADIUS": acquisition.earth_radius_m,
        "HEIGHT": acquisition.platform_height_m,
        "ANTENNA_SIDE": {"right": -1, "left": 1}.get(acquisition.antenna_side or ""),
        **_map_attributes(grid),
        **_corner_attributes(grid, stack),
    }
    if reference is not None:
        known |= {"REF_Y": reference.row, "REF_X": reference.col}
        if grid.crs is not None:
            # MintPy's REF_LAT and REF_LON are northing and easting in a projected file.
            width, height = grid.resolution
            known["REF_LAT"] = grid.bounds[3] - (reference.row + 0.5) * height
            known["REF_LON"] = grid.bounds[0] + (reference.col + 0.5) * width
    return {name: str(value) for name, value in known.items() if value is not None}


def _series_attributes(grid: Grid, dates: Sequence[date]) -> dict[str, object]:
    return {
        "FILE_TYPE": "timeseries",
        "DATA_TYPE": "float32",
        "UNIT": "m",
        "LENGTH": grid.rows,
        "WIDTH": grid.cols,
        "START_DATE": f"{dates[0]:%Y%m%d}",
        "END_DATE": f"{dates[-1]:%Y%m%d}",
        "REF_DATE": f"{dates[0]:%Y%m%d}",
    }


def _map_attributes(grid: Grid) -> dict[str, object | None]:
    if grid.crs is None:
        return {}
    import pyproj

    crs = pyproj.CRS.from_user_input(grid.crs)
    unit = "degrees" if grid.is_geographic else "meters"
    return {
        "X_FIRST": grid.transform.c,
        "Y_FIRST": grid.transform.f,
        "X_STEP": grid.transform.a,
        "Y_STEP": grid.transform.e,
        "X_UNIT": unit,
        "Y_UNIT": unit,
        "EPSG": crs.to_epsg(),
        "UTM_ZONE": crs.utm_zone,
        _CRS: grid.crs,
    }


def _corner_attributes(grid: Grid, stack: Stack) -> dict[str, object]:
    """Corners of the scene: first line near and far range, last line near and far range."""
    places = _radar_corners(stack) or _map_corners(grid, stack.acquisition)
    if places is None:
        return {}
    return {
        f"{axis}_REF{number}": value
        for number, place in enumerate(places, start=1)
        for axis, value in (("LAT", place.lat), ("LON", place.lon))
    }


def _radar_corners(stack: Stack) -> list[LonLat] | None:
    latitude, longitude = stack.geometry.latitude, stack.geometry.longitude
    if not stack.in_radar_coordinates or latitude is None or longitude is None:
        return None
    rows, cols = stack.shape
    places = []
    for row, col in ((0, 0), (0, cols - 1), (rows - 1, 0), (rows - 1, cols - 1)):
        window = slice(row, row + 1), slice(col, col + 1)
        place = LonLat(float(longitude.read(*window)[0, 0]), float(latitude.read(*window)[0, 0]))
        if not np.isfinite(place).all() or place == (0.0, 0.0):
            return None
        places.append(place)
    return places


def _map_corners(grid: Grid, acquisition: Acquisition) -> list[LonLat] | None:
    """Corners of a map: a right-looking ascending pass starts in the south and is nearest in the west."""
    if grid.crs is None or acquisition.orbit_direction not in ("ascending", "descending"):
        return None
    if acquisition.antenna_side not in (None, "right"):
        return None
    first, last = (grid.rows - 1, 0) if acquisition.orbit_direction == "ascending" else (0, grid.rows - 1)
    near, far = (0, grid.cols - 1) if acquisition.orbit_direction == "ascending" else (grid.cols - 1, 0)
    return [grid.lonlat(RowCol(row, col)) for row, col in ((first, near), (first, far), (last, near), (last, far))]


def _grid(attributes: dict[str, str], shape: tuple[int, int], path: Path) -> Grid:
    if "X_FIRST" not in attributes:
        return Grid.radar(*shape)
    try:
        x, y, width, height = (float(attributes[name]) for name in ("X_FIRST", "Y_FIRST", "X_STEP", "Y_STEP"))
    except (KeyError, ValueError) as error:
        raise InputError(
            path,
            required="the attributes X_FIRST, Y_FIRST, X_STEP and Y_STEP as numbers",
            found=f"{error}",
            remedy="Check which program wrote the file",
        ) from error
    return Grid(*shape, Affine(width, 0.0, x, 0.0, height, y), _crs(attributes))


def _crs(attributes: dict[str, str]) -> str:
    if _CRS in attributes:
        return attributes[_CRS]
    zone = attributes.get("UTM_ZONE", "")
    if attributes.get("EPSG", "").isdigit():
        return f"EPSG:{attributes['EPSG']}"
    if zone[:-1].isdigit():
        return f"EPSG:{326 if zone[-1].upper() == 'N' else 327}{int(zone[:-1]):02d}"
    return "EPSG:4326"


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _parsed(text: str, path: Path) -> date:
    try:
        return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise InputError(
            path, required="dates as YYYYMMDD", found=f"{text!r}", remedy="Check which program wrote the file"
        ) from error
