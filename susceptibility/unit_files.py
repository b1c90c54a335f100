"""From a terrain model on disk to a file of mapping units."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from susceptibility.errors import OptionError
from susceptibility.factors.rasters import write_factors
from susceptibility.storage import read_raster
from susceptibility.units import SlopeUnitOptions, aggregate_units, block_size, slope_units, write_units


@dataclass(frozen=True, slots=True)
class UnitRequest:
    """Which units: ``slope`` or ``aggregate``; see `susceptibility.units.SlopeUnitOptions` and `block_size`."""

    kind: str = "slope"
    size_m: float = 200.0
    channel_area_m2: float = 1_000_000.0
    least_area_m2: float = 100_000.0
    largest_variance: float = 0.2

    def __post_init__(self) -> None:
        if self.kind not in {"slope", "aggregate"}:
            raise OptionError("--kind", required="slope or aggregate", found=repr(self.kind), remedy="Choose one")


def write_units_of(
    dem: Path, output: Path, request: UnitRequest, *, crs: str | None = None, resolution_m: float | None = None
) -> int:
    """Write the units of a terrain model as a GeoPackage, and return their number.

    Parameters
    ----------
    dem
        Raster of elevations in metres.
    output
        ``.gpkg``.
    request
        Which units.
    crs, resolution_m
        As of `susceptibility.factors.rasters.write_factors`.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".units-", dir=output.parent) as work:
        path = write_factors(dem, Path(work), ["elevation"], crs=crs, resolution_m=resolution_m)["elevation"]
        elevation, grid = read_raster(path)
    if request.kind == "aggregate":
        units = aggregate_units(np.isfinite(elevation), grid, block_size(request.size_m, grid))
    else:
        options = SlopeUnitOptions(
            channel_area_m2=request.channel_area_m2,
            least_area_m2=request.least_area_m2,
            largest_variance=request.largest_variance,
        )
        units = slope_units(elevation, grid, options)
    write_units(output, units)
    return units.count
