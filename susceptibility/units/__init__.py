"""Mapping units: cells, squares of cells, slope units and polygons, and statistics of layers over them."""

from __future__ import annotations

from susceptibility.units.aggregate import BlockSize, aggregate_units, block_size
from susceptibility.units.definition import OUTSIDE, UnitKind, Units, cell_units
from susceptibility.units.delineation import SlopeUnitOptions, slope_units
from susceptibility.units.files import read_units, write_units
from susceptibility.units.polygons import PolygonCensus, read_polygons
from susceptibility.units.zonal import STATISTICS, Zones, zonal_statistics

__all__ = [
    "OUTSIDE",
    "STATISTICS",
    "BlockSize",
    "PolygonCensus",
    "SlopeUnitOptions",
    "UnitKind",
    "Units",
    "Zones",
    "aggregate_units",
    "block_size",
    "cell_units",
    "read_polygons",
    "read_units",
    "slope_units",
    "write_units",
    "zonal_statistics",
]
