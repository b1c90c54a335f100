"""Ground shaking of an earthquake from a ShakeMap ``grid.xml``, as rasters.

A ShakeMap gives values at the nodes of a regular grid of longitudes and latitudes. Here each node is the centre of a
pixel, so that the raster reaches half a spacing beyond the outermost nodes.

References
----------
Worden, C. B., Thompson, E. M., Hearne, M., Wald, D. J. (2020). ShakeMap Manual Online: technical manual, user's guide,
and software guide. U.S. Geological Survey. https://doi.org/10.5066/F7D21VPQ
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.grid import Grid
from insar.layers import LayerDefinition, write_layer
from susceptibility.errors import InputError, MissingInputError, OptionError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

CRS = "EPSG:4326"
"""Of every ShakeMap."""

_HEAD_BYTES = 4096  # the root element of a ShakeMap begins well within so many
_OFF_NODE = 0.02  # of a spacing: files round their coordinates to four decimals

_MEANINGS = {
    "PGA": ("%g", "Peak ground acceleration"),
    "PGV": ("cm/s", "Peak ground velocity"),
    "MMI": ("intensity", "Modified Mercalli intensity"),
    "SVEL": ("m/s", "Shear-wave velocity of the uppermost 30 m"),
    "URAT": ("1", "Uncertainty of the acceleration, relative to that of the ground-motion model alone"),
}
_SPECTRAL = ("%g", "Spectral acceleration at a period of")
_UNITS = {"pctg": "%g", "cms": "cm/s", "ms": "m/s", "dd": "deg", "intensity": "intensity"}
"""Units as files write them, where they write any."""


@dataclass(frozen=True, slots=True)
class ShakeMap:
    """Ground shaking of one earthquake.

    Attributes
    ----------
    path
        The file.
    event
        Identifier and description of the earthquake.
    grid
        In degrees of longitude and latitude, north up.
    fields
        (row, col) float32 by name, such as ``PGV``; NaN where the file says so.
    units
        Of each field: PGA and spectral accelerations in %g, PGV in cm/s, standard deviations (``STD...``) of the
        natural logarithm, MMI and its deviation in units of intensity. Where the file states another, that one.
    """

    path: Path
    event: str
    grid: Grid
    fields: dict[str, NDArray[np.float32]]
    units: dict[str, str]

    def definition(self, field: str) -> LayerDefinition:
        """Return what a field is; raises `OptionError` where the file has none of that name."""
        self.values(field)
        return LayerDefinition(field.lower(), self.units[field.upper()], f"{_meaning(field.upper())[1]}: {self.event}")

    def values(self, field: str) -> NDArray[np.float32]:
        """Return (row, col) values of a field, by its name in capitals or not; raises `OptionError` as above."""
        if field.upper() not in self.fields:
            raise OptionError(
                f"field {field!r}",
                required=f"a field of {self.path}: {', '.join(self.fields)}",
                found="no such field",
                remedy="Correct the name",
            )
        return self.fields[field.upper()]


def is_shakemap(path: Path) -> bool:
    """Whether a file looks like the grid of a ShakeMap; false where there is no file."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return b"<shakemap_grid" in file.read(_HEAD_BYTES)


def read_shakemap(path: Path) -> ShakeMap:
    """Read ``grid.xml``, or ``uncertainty.xml``, which is written alike.

    Raises
    ------
    MissingInputError
        There is no such file.
    InputError
        It is no ShakeMap, is cut short, or its values do not lie on the regular grid that it announces.
    """
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException, ElementTree

    if not path.is_file():
        raise MissingInputError(path, required="a ShakeMap grid.xml", found="no such file", remedy="Check the path")
    try:
        root = ElementTree.parse(path).getroot()
    except (ParseError, DefusedXmlException, UnicodeDecodeError) as error:
        raise _unreadable(path, str(error)) from error
    if root is None:
        raise _unreadable(path, "no element")
    elements = {element.tag.rpartition("}")[2]: element for element in root}
    names = [str(element.get("name", "")).upper() for element in root if element.tag.rpartition("}")[2] == "grid_field"]
    if not {"grid_specification", "grid_data"} <= elements.keys() or not {"LON", "LAT"} < set(names):
        raise _unreadable(path, "no grid_specification, grid_data or fields beside LON and LAT in it")
    table = _table(path, elements["grid_data"].text or "", len(names))
    grid, places = _places(path, elements["grid_specification"], table[:, names.index("LON")], _lat(table, names))
    fields = {}
    for column, name in enumerate(names):
        if name not in {"LON", "LAT"}:
            field = np.full(grid.shape, np.nan, np.float32)
            field.flat[places] = table[:, column]
            fields[name] = field
    units = {
        str(element.get("name", "")).upper(): str(element.get("units") or "").strip()
        for element in root
        if element.tag.rpartition("}")[2] == "grid_field"
    }
    return ShakeMap(
        path,
        _event(root, elements.get("event")),
        grid,
        fields,
        {name: _UNITS.get(units[name].lower(), units[name]) or _meaning(name)[0] for name in fields},
    )


def write_shakemap(path: Path, folder: Path, fields: Sequence[str] | None = None) -> dict[str, Path]:
    """Write fields of a ShakeMap as Cloud-Optimized GeoTIFFs, to be used as any other raster.

    Parameters
    ----------
    path
        The ``grid.xml``.
    folder
        Where ``<field in small letters>.tif`` are written; made if it is not there.
    fields
        Names of fields; None for all of them.

    Returns
    -------
    dict
        Path of each raster by the name of its field in small letters.

    Raises
    ------
    MissingInputError, InputError, OptionError
        As `read_shakemap`; and a field is not in the file.
    """
    shakemap = read_shakemap(path)
    definitions = [shakemap.definition(field) for field in (fields or shakemap.fields)]
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for definition in definitions:
        paths[definition.name] = folder / f"{definition.name}.tif"
        write_layer(paths[definition.name], shakemap.values(definition.name), shakemap.grid, definition)
    return paths


def _lat(table: NDArray[np.float64], names: list[str]) -> NDArray[np.float64]:
    return table[:, names.index("LAT")]


def _table(path: Path, text: str, columns: int) -> NDArray[np.float64]:
    """Return the numbers of the file (node, field)."""
    try:
        with warnings.catch_warnings():
            # A word that is no number ends the reading with no more than a warning.
            warnings.simplefilter("error")
            numbers = np.fromstring(text, np.float64, sep=" ")
    except (DeprecationWarning, ValueError) as error:
        raise _unreadable(path, "words among the numbers of grid_data") from error
    if numbers.size == 0 or numbers.size % columns:
        raise _unreadable(path, f"{numbers.size} numbers for {columns} fields")
    return numbers.reshape(-1, columns)


def _places(
    path: Path, specification: Element, lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> tuple[Grid, NDArray[np.intp]]:
    """Return the grid and the flat index of each node on it."""
    try:
        west, east, south, north = (
            float(specification.get(key, "")) for key in ("lon_min", "lon_max", "lat_min", "lat_max")
        )
        cols, rows = int(specification.get("nlon", "")), int(specification.get("nlat", ""))
    except ValueError as error:
        raise _unreadable(path, "a grid_specification without its bounds or its size") from error
    if east < west:  # across the date line
        east += 360.0
    if rows < 2 or cols < 2 or not (east > west and north > south) or lon.size != rows * cols:
        raise _unreadable(path, f"{lon.size} nodes for {rows} rows x {cols} columns from {west} to {east}")
    # The spacing that the file states is rounded; over hundreds of nodes that adds up to whole ones.
    width, height = (east - west) / (cols - 1), (north - south) / (rows - 1)
    col = (lon + np.where(lon < west - width / 2.0, 360.0, 0.0) - west) / width
    row = (north - lat) / height
    nearest_row, nearest_col = np.round(row), np.round(col)
    off = max(float(np.abs(row - nearest_row).max()), float(np.abs(col - nearest_col).max()))
    inside = (nearest_row >= 0) & (nearest_row < rows) & (nearest_col >= 0) & (nearest_col < cols)
    # Four decimals of a degree are a large part of the spacing where that is 0.0083.
    if not math.isfinite(off) or off > _OFF_NODE + 5e-5 / min(width, height) or not inside.all():
        raise _unreadable(path, "nodes off the regular grid that it announces")
    places = (nearest_row * cols + nearest_col).astype(np.intp)
    if np.unique(places).size != places.size:
        raise _unreadable(path, "two values for one node")
    return Grid(rows, cols, Affine(width, 0.0, west - width / 2.0, 0.0, -height, north + height / 2.0), CRS), places


def _meaning(name: str) -> tuple[str, str]:
    """Return unit and description of a field."""
    if name in _MEANINGS:
        return _MEANINGS[name]
    if name.startswith("PSA") and name[3:].isdigit():
        return _SPECTRAL[0], f"{_SPECTRAL[1]} {int(name[3:]) / 10.0:g} s"
    _, deviation, measure = name.rpartition("STD")
    if deviation:
        unit = "intensity" if measure == "MMI" else f"ln({_meaning(measure)[0]})"
        return unit, f"Standard deviation of {_meaning(measure)[1][:1].lower() + _meaning(measure)[1][1:]}"
    return "", name


def _event(root: Element, event: Element | None) -> str:
    identifier = str(root.get("event_id") or root.get("shakemap_id") or "ShakeMap")
    if event is None:
        return identifier
    return f"{event.get('event_description', '')}, magnitude {event.get('magnitude', '?')} ({identifier})"


def _unreadable(path: Path, found: str) -> InputError:
    return InputError(
        path,
        required="a whole ShakeMap grid.xml",
        found=found,
        remedy="Download it again from the earthquake's page of the USGS",
    )
