"""Factors of drainage: area, wetness and power of running water, streams, and the steepness of their channels.

Notes
-----
With ``a`` the drained area per width of contour (m), that width the side of a square as large as a cell, and the slope
that of `susceptibility.factors.terrain`:

    twi      ln(a / tan slope)
    log_spi  ln(a tan slope)

Where it is flatter than `DrainageOptions.least_tangent`, that takes the place of ``tan slope``. Like the slope they are
NaN on the outermost ring and beside cells without data.

Densities are those within a circle around each cell: length of streams over the area inside of which the terrain is
known. `catchment_cut` marks cells whose catchment, by the steepest way down, may go on beyond the raster: there areas,
``a`` and steepness are lower bounds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from susceptibility.distances import distance_to_cells
from susceptibility.errors import OptionError
from susceptibility.factors.definitions import DRAINAGE_FACTORS
from susceptibility.factors.flow import FREEMAN_EXPONENT, Flow, divide_flow, route_flow
from susceptibility.factors.steepness import (
    CONCAVITY,
    mean_of_segments,
    node_steepness,
    segment_steepness_by_gradient,
    segment_steepness_by_integral,
    smoothed_steepness,
)
from susceptibility.factors.streams import STREAM_AREA_M2, Streams, drain_to_streams, extract_streams
from susceptibility.factors.terrain import terrain_factors
from susceptibility.kernels import flow as flow_kernels
from susceptibility.kernels import streams as stream_kernels

SteepnessMethod = Literal["smoothed", "segment-integral", "segment-gradient", "node-gradient"]
"""Steepness of a channel that hillslopes and densities take; see `susceptibility.factors.steepness`."""

_FIXED_POINT = 1e6  # parts of a unit: sums of whole numbers are exact, and 0 where there is nothing


@dataclass(frozen=True, slots=True)
class DrainageOptions:
    """What streams are, and how what follows from them is measured.

    Attributes
    ----------
    stream_area_m2, stream_cells
        Area, or instead of it number of cells, that drains through a stream.
    routing
        Of the area in `twi` and `log_spi`: ``d8`` the steepest way down, ``multiple`` all lower neighbours with shares
        by the descent to the power of `exponent`. `flow_accumulation` and streams are always ``d8``.
    exponent
        See `divide_flow`.
    least_tangent
        Slope that flatter ground counts as, in `twi` and `log_spi`.
    concavity
        Reference concavity of the steepness.
    steepness
        Which steepness of channels `ksn` and `ksn_density` spread.
    reach_m
        How far up and down the channel the steepness ``smoothed`` reaches.
    radius_m
        Of the circle of `drainage_density` and `ksn_density`.
    """

    stream_area_m2: float = STREAM_AREA_M2
    stream_cells: int | None = None
    routing: Literal["d8", "multiple"] = "multiple"
    exponent: float = FREEMAN_EXPONENT
    least_tangent: float = 0.001
    concavity: float = CONCAVITY
    steepness: SteepnessMethod = "smoothed"
    reach_m: float = 500.0
    radius_m: float = 2000.0

    def __post_init__(self) -> None:
        for name in ("exponent", "least_tangent", "reach_m", "radius_m"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0.0):
                raise OptionError(name, required="a number above 0", found=str(value), remedy="Leave it out")


def drainage_factors(
    elevation: NDArray[np.floating[Any]],
    grid: Grid,
    options: DrainageOptions | None = None,
    names: Sequence[str] | None = None,
) -> tuple[dict[str, NDArray[Any]], Streams]:
    """Compute the factors of drainage of a whole terrain model, and its streams.

    Parameters
    ----------
    elevation : (row, col) float32 or float64
        Metres, NaN where unknown.
    grid
        Where the cells lie: projected, in metres. Cells need not be square.
    options
        None for the defaults.
    names
        Of `DRAINAGE_FACTORS`; None for all of them.

    Returns
    -------
    factors : dict of (row, col)
        By name, in the unit and type of their definition; NaN where the elevation is unknown. `ksn` is also NaN where
        water leaves the raster before it reaches a stream or the channel is too short, `ksn_density` where no channel
        lies within the radius, `distance_to_river` where there is no stream at all.
    streams
        The network; `susceptibility.factors.streams.write_streams` writes it.

    Raises
    ------
    OptionError
        A name or an option cannot be used.
    InputError
        As `route_flow`.
    """
    options = options or DrainageOptions()
    wanted = _check_names(names)
    flow = route_flow(elevation, grid)
    streams = extract_streams(flow, options.stream_area_m2, least_cells=options.stream_cells)
    factors: dict[str, NDArray[Any]] = {}
    if "flow_accumulation" in wanted:
        factors["flow_accumulation"] = flow.area_m2()
    if "catchment_cut" in wanted:
        factors["catchment_cut"] = np.where(flow.cells == 0, np.uint8(255), flow.is_cut.astype(np.uint8))
    if not wanted.isdisjoint(("twi", "log_spi")):
        factors |= _wetness_and_power(elevation, flow, options, wanted)
    if not wanted.isdisjoint(("ksn", "ksn_density")):
        steepness = channel_steepness(streams, options)
        if "ksn" in wanted:
            factors["ksn"] = _spread_to_hillslopes(flow, streams, steepness)
        if "ksn_density" in wanted:
            factors["ksn_density"] = mean_around(streams, steepness, flow, options.radius_m)
    if "drainage_density" in wanted:
        factors["drainage_density"] = drainage_density(streams, flow, options.radius_m)
    if "distance_to_river" in wanted:
        factors["distance_to_river"] = _distance_to_river(flow, streams)
    return {name: factors[name] for name in DRAINAGE_FACTORS if name in wanted}, streams


def channel_steepness(streams: Streams, options: DrainageOptions) -> NDArray[np.float64]:
    """Steepness of each node by the method of the options, (node,); NaN where a channel is too short to have one."""
    match options.steepness:
        case "smoothed":
            return smoothed_steepness(streams, options.concavity, reach_m=options.reach_m)
        case "segment-integral":
            return segment_steepness_by_integral(streams, options.concavity)[streams.segment]
        case "segment-gradient":
            return segment_steepness_by_gradient(streams, options.concavity)[streams.segment]
        case "node-gradient":
            return node_steepness(streams, options.concavity)


def segment_steepness(streams: Streams, options: DrainageOptions) -> dict[str, NDArray[np.float64]]:
    """Steepness of each segment, (segment,), by the names of the fields of its line.

    ``ksn`` is the mean of its nodes by the method of the options, ``ksn_gradient`` and ``ksn_integral`` are those of
    the segment by either method.
    """
    return {
        "ksn": mean_of_segments(streams, channel_steepness(streams, options)),
        "ksn_gradient": segment_steepness_by_gradient(streams, options.concavity),
        "ksn_integral": segment_steepness_by_integral(streams, options.concavity),
    }


def drainage_density(streams: Streams, flow: Flow, radius_m: float) -> NDArray[np.float32]:
    """Length of streams over the area of known terrain within a radius, 1/m, (row, col); NaN without data.

    The step from a node to the one below counts where the node lies, with its length.
    """
    half_widths = _circle(flow.grid, radius_m)
    length = _sum_around(streams, streams.length_m, half_widths)
    known = flow.cells > 0
    count = np.empty(flow.grid.shape, np.int64)
    stream_kernels.count_in_circles(known, half_widths, count)
    density = np.full(flow.grid.shape, np.nan, np.float32)
    np.divide(length, count * (flow.cell_area_m2 * _FIXED_POINT), out=density, where=known, casting="unsafe")
    return density


def mean_around(streams: Streams, values: NDArray[np.float64], flow: Flow, radius_m: float) -> NDArray[np.float32]:
    """Mean of a quantity of nodes within a radius, weighted by length, (row, col); NaN where there is none."""
    half_widths = _circle(flow.grid, radius_m)
    known = np.isfinite(values)
    weight = np.where(known, streams.length_m, 0.0)
    length = _sum_around(streams, weight, half_widths)
    total = _sum_around(streams, weight * np.where(known, values, 0.0), half_widths)
    mean = np.full(flow.grid.shape, np.nan, np.float32)
    np.divide(total, length, out=mean, where=(length > 0) & (flow.cells > 0), casting="unsafe")
    return mean


def _check_names(names: Sequence[str] | None) -> set[str]:
    for name in names or ():
        if name not in DRAINAGE_FACTORS:
            raise OptionError(
                "factors",
                required=f"names out of {', '.join(DRAINAGE_FACTORS)}",
                found=repr(name),
                remedy="Check the spelling",
            )
    return set(DRAINAGE_FACTORS) if names is None else set(names)


def _wetness_and_power(
    elevation: NDArray[np.floating[Any]], flow: Flow, options: DrainageOptions, wanted: set[str]
) -> dict[str, NDArray[Any]]:
    slope_deg = terrain_factors(elevation, flow.grid, ["slope"])["slope"]
    cells = divide_flow(flow, options.exponent) if options.routing == "multiple" else flow.cells
    length_m = math.sqrt(flow.cell_area_m2)  # area over width
    factors: dict[str, NDArray[Any]] = {}
    for name, exponent in (("twi", -1.0), ("log_spi", 1.0)):
        if name in wanted:
            factors[name] = np.empty(flow.grid.shape, np.float32)
            flow_kernels.log_of_flow(cells, slope_deg, length_m, exponent, options.least_tangent, factors[name])
    return factors


def _spread_to_hillslopes(flow: Flow, streams: Streams, values: NDArray[np.float64]) -> NDArray[np.float32]:
    spread = np.empty(flow.grid.shape, np.float32)
    stream_kernels.value_of_channel(drain_to_streams(flow, streams), values, spread)
    return spread


def _distance_to_river(flow: Flow, streams: Streams) -> NDArray[np.float32]:
    if streams.cell.size == 0:
        return np.full(flow.grid.shape, np.nan, np.float32)
    distance = distance_to_cells(streams.mask(), flow.grid)
    distance[flow.cells == 0] = np.nan
    return distance


def _circle(grid: Grid, radius_m: float) -> NDArray[np.int64]:
    """Columns to either side of the middle that lie within the radius, for each row of a circle from its uppermost."""
    width_m, height_m = grid.resolution
    reach = int(radius_m / height_m + 1e-9)
    down_m = np.arange(-reach, reach + 1) * height_m
    across_m = np.sqrt(np.maximum(radius_m**2 - down_m**2, 0.0))
    return np.asarray(np.floor(across_m / width_m + 1e-9), np.int64)


def _sum_around(streams: Streams, amount: NDArray[np.float64], half_widths: NDArray[np.int64]) -> NDArray[np.int64]:
    rows, cols = np.divmod(streams.cell, streams.grid.cols)
    total = np.empty(streams.grid.shape, np.int64)
    stream_kernels.sum_in_circles(rows, cols, np.rint(amount * _FIXED_POINT).astype(np.int64), half_widths, total)
    return total
