"""The stream network of a terrain model: cells through which a large enough area drains, in segments.

A segment runs from a source or a confluence down to the next confluence or outlet; the cell where streams meet belongs
to the segment below, and the line of a segment above ends in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from susceptibility.errors import OptionError
from susceptibility.factors.flow import Flow
from susceptibility.geopackage import write_geopackage
from susceptibility.kernels import streams as kernels
from susceptibility.kernels.flow import COL_STEPS, OUTLET, ROW_STEPS

STREAM_AREA_M2 = 1e6
"""Area that must drain through a cell for it to be a stream, unless another is asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Streams:
    """Nodes of a stream network, one for each of its cells, row by row from the upper left.

    Attributes
    ----------
    grid
        Where the cells lie.
    cell : (node,) int64
        Number of the cell, counted along rows.
    receiver : (node,) int64
        Node below; -1 where the stream leaves the raster.
    order : (node,) int64
        All nodes, none before one that flows into it.
    length_m : (node,) float64
        Distance to the node below; 0 at an outlet.
    elevation_m : (node,) float64
        Of the filled terrain, which never rises downstream.
    area_m2 : (node,) float64
        That drains through the node.
    is_cut : (node,) bool
        The catchment may go on beyond the raster: areas, and steepness with them, are lower bounds.
    segment : (node,) int64
        Number of its segment, from 0.
    strahler : (node,) int32
        Order of Strahler: 1 from a source, one more where two of the highest order meet.
    segments
        How many there are.
    """

    grid: Grid
    cell: NDArray[np.int64]
    receiver: NDArray[np.int64]
    order: NDArray[np.int64]
    length_m: NDArray[np.float64]
    elevation_m: NDArray[np.float64]
    area_m2: NDArray[np.float64]
    is_cut: NDArray[np.bool_]
    segment: NDArray[np.int64]
    strahler: NDArray[np.int32]
    segments: int

    @property
    def distance_m(self) -> NDArray[np.float64]:
        """Distance of each node from its outlet along the stream."""
        return self.integrate(self.length_m)

    def integrate(self, step: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum of a quantity of nodes from each down to its outlet, where it is 0."""
        total = np.empty(self.cell.size, np.float64)
        kernels.integrate_upstream(self.receiver, self.order, step, total)
        return total

    def mask(self) -> NDArray[np.bool_]:
        """Cells of the network, (row, col)."""
        mask = np.zeros(self.grid.shape, np.bool_)
        mask.ravel()[self.cell] = True
        return mask

    def paths(self) -> list[NDArray[np.int64]]:
        """Nodes of each segment downstream, with the one in which it ends below."""
        inside = self.order[np.argsort(self.segment[self.order], kind="stable")]
        starts = np.searchsorted(self.segment[inside], np.arange(1, self.segments))
        below = (self.receiver[nodes[-1:]] for nodes in np.split(inside, starts) if nodes.size)
        return [
            np.concatenate([nodes, end[end >= 0]])
            for nodes, end in zip(np.split(inside, starts), below, strict=False)
            if nodes.size
        ]


def extract_streams(flow: Flow, least_area_m2: float = STREAM_AREA_M2, *, least_cells: int | None = None) -> Streams:
    """Return the streams of a terrain model.

    Parameters
    ----------
    flow
        Of `route_flow`.
    least_area_m2
        Cells through which at least this area drains are streams.
    least_cells
        That threshold as a number of cells, instead of an area.

    Returns
    -------
    Streams
        Without any node where nothing drains so much.

    Raises
    ------
    OptionError
        The threshold is not positive.
    """
    threshold: float = least_area_m2 if least_cells is None else least_cells
    if not (math.isfinite(threshold) and threshold > 0):
        raise OptionError(
            "threshold of streams",
            required="an area in square metres or a number of cells, above 0",
            found=str(threshold),
            remedy=f"Leave it out for {STREAM_AREA_M2:g} m2",
        )
    # Half a millionth of a cell off: an area that is a whole number of cells must not fail by rounding.
    least = least_cells if least_cells is not None else max(math.ceil(least_area_m2 / flow.cell_area_m2 - 5e-7), 1)
    cell = np.flatnonzero(flow.cells >= least)
    count = flow.cells.ravel()[cell]
    way = flow.direction.ravel()[cell]
    inner = way < OUTLET
    towards = np.where(inner, way, 0)
    below = cell + ROW_STEPS[towards] * flow.grid.cols + COL_STEPS[towards]
    receiver = np.where(inner, np.searchsorted(cell, below), -1)
    width_m, height_m = flow.grid.resolution
    steps_m = np.array([width_m, height_m, width_m, height_m, *[math.hypot(width_m, height_m)] * 4])
    order = np.argsort(count, kind="stable")  # what flows into a node drains less than it
    segment = np.empty(cell.size, np.int64)
    strahler = np.empty(cell.size, np.int32)
    segments = kernels.split_segments(receiver, order, segment, strahler)
    return Streams(
        grid=flow.grid,
        cell=cell,
        receiver=receiver,
        order=order,
        length_m=np.where(inner, steps_m[towards], 0.0),
        elevation_m=flow.filled.ravel()[cell].astype(np.float64),
        area_m2=count.astype(np.float64) * flow.cell_area_m2,
        is_cut=flow.is_cut.ravel()[cell],
        segment=segment,
        strahler=strahler,
        segments=segments,
    )


def drain_to_streams(flow: Flow, streams: Streams) -> NDArray[np.int32]:
    """Node of the stream that each cell's water reaches first, (row, col); -1 where it leaves before it reaches one."""
    channel = np.full(flow.grid.shape, -1, np.int32)
    channel.ravel()[streams.cell] = np.arange(streams.cell.size, dtype=np.int32)
    kernels.first_channel(flow.direction, channel)
    return channel


def write_streams(path: Path, streams: Streams, fields: Mapping[str, NDArray[Any]]) -> None:
    """Write the segments as lines of a GeoPackage, layer ``streams``, each from its upper end down.

    Fields are ``segment`` from 1, ``below`` (segment it flows into, 0 for none), ``strahler``, ``length_m``,
    ``area_m2`` (drained at its lower end, above the confluence), ``drop_m``, ``is_cut`` (1 where the area is a lower
    bound), and what is given. A segment of a single cell at an outlet has no line and is left out.

    Parameters
    ----------
    path
        GeoPackage to write; replaced if it is there.
    streams
        Of `extract_streams`.
    fields
        More fields by name, (segment,), such as the steepness; NaN becomes no value.
    """
    import shapely

    paths = streams.paths()
    drawn = np.array([nodes.size > 1 for nodes in paths], np.bool_)
    rows, cols = np.divmod(streams.cell, streams.grid.cols)
    x, y = streams.grid.map_coordinates(rows + 0.5, cols + 0.5)
    lines = [nodes for nodes in paths if nodes.size > 1]
    points = np.concatenate([np.empty(0, np.int64), *lines])
    number = np.repeat(np.arange(len(lines)), [nodes.size for nodes in lines])
    geometry = shapely.linestrings(np.column_stack([x[points], y[points]]), indices=number)
    columns = {**_segment_fields(streams, paths), **fields}
    chosen = {name: np.asarray(values)[drawn] for name, values in columns.items()}
    write_geopackage(path, "streams", geometry, chosen, kind="LineString", crs=streams.grid.crs)


def _segment_fields(streams: Streams, paths: list[NDArray[np.int64]]) -> dict[str, NDArray[Any]]:
    upper = np.array([nodes[0] for nodes in paths], np.int64)
    end = np.array([nodes[-1] for nodes in paths], np.int64)
    # The last node of its own: a path that leaves its segment ends one further down.
    inside = np.empty(streams.segments, np.int64)
    inside[streams.segment[streams.order]] = streams.order
    ends_below = streams.receiver[inside] >= 0
    return {
        "segment": np.arange(1, streams.segments + 1, dtype=np.int32),
        "below": np.where(ends_below, streams.segment[end] + 1, 0).astype(np.int32),
        "strahler": streams.strahler[upper],
        "length_m": np.bincount(streams.segment, streams.length_m, minlength=streams.segments),
        "area_m2": streams.area_m2[inside],
        "drop_m": streams.elevation_m[upper] - streams.elevation_m[end],
        "is_cut": streams.is_cut[inside].astype(np.int32),
    }
