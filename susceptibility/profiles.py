"""Susceptibility along a line, and by distance from lines such as faults.

A cell counts by its centre. Along a line it belongs to the place of the line that is nearest to it; what lies beyond
the ends of the line belongs to none, so that a straight line has a rectangle around it, divided across.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from insar.layers import row_slices
from susceptibility.errors import InputError, OptionError
from susceptibility.projection import require_metric
from susceptibility.vectors import read_vectors

if TYPE_CHECKING:
    import shapely

_CELLS_AT_ONCE = 500_000
_ROUNDING = 1e-9
_MOST_STEPS = 100_000


@dataclass(frozen=True, slots=True)
class Profile:
    """Values of a map by distance: along a line, or from the nearest of some lines.

    Attributes
    ----------
    start_m, end_m
        (step,) metres, of each step; the last ends where the line does. A distance between two steps is in the later.
    mean, median, q05, q95
        (step,) of the known cells; NaN where there is none.
    count
        (step,) number of known cells.
    unknown
        (step,) number of cells where the map says nothing.
    landslides
        (step,) number of places that were given; None where none were.
    """

    start_m: NDArray[np.float64]
    end_m: NDArray[np.float64]
    mean: NDArray[np.float64]
    median: NDArray[np.float64]
    q05: NDArray[np.float64]
    q95: NDArray[np.float64]
    count: NDArray[np.int64]
    unknown: NDArray[np.int64]
    landslides: NDArray[np.int64] | None = None

    @property
    def distance_m(self) -> NDArray[np.float64]:
        """(step,) middle of each step."""
        return (self.start_m + self.end_m) / 2.0

    def rows(self) -> Iterator[dict[str, Any]]:
        """One mapping for each step, as tables are written."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        known = {name: column.tolist() for name, column in columns.items() if column is not None}
        distance = self.distance_m.tolist()
        for step, middle in enumerate(distance):
            yield {"distance_m": middle} | {name: column[step] for name, column in known.items()}


def read_lines(path: Path, crs: str, *, layer: str | None = None, own_crs: str | None = None) -> NDArray[np.object_]:
    """Read lines (line,) in a coordinate reference system, those that meet end to end joined.

    Raises
    ------
    InputError
        There is something else than lines in the file; and as `susceptibility.vectors.read_vectors`.
    """
    import shapely

    shapes = shapely.get_parts(read_vectors(path, crs, layer=layer, own_crs=own_crs).geometries)
    types = {shape.geom_type for shape in shapes}
    if types - {"LineString", "LinearRing"}:
        raise InputError(
            path, required="lines alone", found=", ".join(sorted(types)), remedy="Give the layer that has the lines"
        )
    return np.asarray(shapely.get_parts(shapely.line_merge(shapely.multilinestrings(shapes))), object)


def profile_along(
    line: shapely.LineString,
    values: NDArray[np.floating],
    grid: Grid,
    *,
    half_width_m: float,
    step_m: float,
    landslides: NDArray[np.object_] | None = None,
) -> Profile:
    """Values within a distance of a line, by the way along it.

    Parameters
    ----------
    line
        In the grid's system, its first point where the way begins.
    values
        (row, col) of the map, NaN where unknown.
    grid
        Of the map, in metres.
    half_width_m
        Largest distance from the line, m.
    step_m
        Length of a step along it, m; the last may be shorter.
    landslides
        (landslide,) shapely points to be counted as cells are.

    Raises
    ------
    OptionError
        The width or the step cannot be used.
    InputError
        The line has no length, the grid is not in metres, or the map has another shape than the grid.
    """
    import shapely

    _check(values, grid, half_width_m, step_m)
    if not isinstance(line, shapely.LineString) or not line.length > 0.0:
        raise InputError(
            "line of the profile", required="a line with a length", found=str(line)[:80], remedy="Give one line"
        )
    starts = _steps(0.0, line.length, step_m)

    def place(points: NDArray[np.object_]) -> NDArray[np.float64]:
        return _along(line, points, half_width_m)

    area = shapely.buffer(line, half_width_m, cap_style="square")
    return _profile(values, grid, area.bounds, starts, np.append(starts[1:], line.length), place, landslides)


def profile_across(
    lines: NDArray[np.object_],
    values: NDArray[np.floating],
    grid: Grid,
    *,
    reach_m: float,
    step_m: float,
    signed: bool = False,
    landslides: NDArray[np.object_] | None = None,
) -> Profile:
    """Values by the distance to the nearest of some lines.

    Parameters
    ----------
    lines
        (line,) shapely lines in the grid's system.
    values, grid, step_m, landslides
        As in `profile_along`.
    reach_m
        Largest distance, m.
    signed
        Whether distances are negative on the left of the line, as it runs from its first point to its last. Beyond an
        end the side is that of the last segment, made longer.

    Raises
    ------
    OptionError, InputError
        As `profile_along`.
    """
    import shapely

    _check(values, grid, reach_m, step_m)
    parts = shapely.get_parts(np.asarray(lines, object))
    if not len(parts) or any(part.geom_type not in {"LineString", "LinearRing"} for part in parts):
        raise InputError(
            "lines of the profile",
            required="at least one line, and lines alone",
            found=", ".join(sorted({part.geom_type for part in parts})) or "none",
            remedy="Read them with read_lines",
        )
    starts = _steps(-reach_m if signed else 0.0, reach_m, step_m)
    corners = _segments(parts)
    tree = shapely.STRtree(shapely.linestrings(corners))

    def place(points: NDArray[np.object_]) -> NDArray[np.float64]:
        return _distance(tree, corners, points, reach_m, signed=signed)

    west, south, east, north = shapely.total_bounds(parts)
    bounds = (west - reach_m, south - reach_m, east + reach_m, north + reach_m)
    return _profile(values, grid, bounds, starts, np.append(starts[1:], reach_m), place, landslides)


def crossings_m(line: shapely.LineString, lines: NDArray[np.object_]) -> NDArray[np.float64]:
    """Distances (crossing,) along a line where others cross it, m, rising; of a shared stretch its ends."""
    import shapely

    met = shapely.get_parts(shapely.get_parts(shapely.intersection(line, np.asarray(lines, object))))
    points = shapely.points(shapely.get_coordinates(met))
    return np.unique(np.round(shapely.line_locate_point(line, points), 6)) if len(points) else np.empty(0)


def _along(line: shapely.LineString, points: NDArray[np.object_], half_width_m: float) -> NDArray[np.float64]:
    """Way along the line of each point, NaN where it is too far or beyond an end."""
    import shapely

    way = shapely.line_locate_point(line, points)
    is_in = shapely.distance(line, points) <= half_width_m * (1.0 + _ROUNDING)
    corners = shapely.get_coordinates(line)
    places = shapely.get_coordinates(points)
    if not np.array_equal(corners[0], corners[-1]):
        rounding = _ROUNDING * max(line.length, 1.0)
        ends = ((way <= 0.0, corners[0], corners), (way >= line.length, corners[-1], corners[::-1]))
        for is_end, end, inward in ends:
            # The first corner that is another place: a line may repeat one.
            toward = next(corner for corner in inward if not np.array_equal(corner, end)) - end
            is_in &= ~(is_end & ((places - end) @ toward < -rounding * np.hypot(*toward)))
    return np.where(is_in, way, np.nan)


def _distance(
    tree: shapely.STRtree, corners: NDArray[np.float64], points: NDArray[np.object_], reach_m: float, *, signed: bool
) -> NDArray[np.float64]:
    """Distance of each point to the nearest segment (segment, end, xy), NaN beyond the reach."""
    import shapely

    reach = reach_m * (1.0 + _ROUNDING)
    found = np.full(len(points), np.nan)
    (point, segment), distance = tree.query_nearest(points, max_distance=reach, return_distance=True)
    if not signed:
        found[point] = distance
        return found
    first, last = corners[segment, 0], corners[segment, 1]
    along = last - first
    offset = shapely.get_coordinates(points)[point] - first
    right = (along[:, 1] * offset[:, 0] - along[:, 0] * offset[:, 1]) / np.hypot(along[:, 0], along[:, 1])
    # At a corner two segments are equally near. The one whose own line is farther knows the side: the point may lie on
    # the other side of the longer line of the other. The last value of a point is kept.
    order = np.lexsort((np.abs(right), point))
    found[point[order]] = np.copysign(distance[order], right[order])
    return found


def _segments(lines: NDArray[np.object_]) -> NDArray[np.float64]:
    """Ends (segment, end, xy) of all pieces with a length."""
    import shapely

    places, of_line = shapely.get_coordinates(lines, return_index=True)
    follows = of_line[:-1] == of_line[1:]
    corners = np.stack([places[:-1][follows], places[1:][follows]], axis=1)
    return np.asarray(corners[(corners[:, 0] != corners[:, 1]).any(axis=1)])


def _profile(
    values: NDArray[np.floating],
    grid: Grid,
    bounds: tuple[float, float, float, float],
    starts: NDArray[np.float64],
    ends: NDArray[np.float64],
    place: Callable[[NDArray[np.object_]], NDArray[np.float64]],
    landslides: NDArray[np.object_] | None,
) -> Profile:
    import shapely

    def steps(points: NDArray[np.object_]) -> NDArray[np.intp]:
        """Step of each point, -1 for none."""
        distance = place(points)
        step = np.searchsorted(starts, distance + _ROUNDING * (ends[-1] - starts[0]), side="right") - 1
        return np.where(np.isfinite(distance), np.clip(step, 0, starts.size - 1), -1)

    all_steps, all_values = [np.empty(0, np.intp)], [np.empty(0, np.float64)]
    for rows, cols in _windows(grid, bounds):
        row, col = np.mgrid[rows, cols].astype(np.float64)
        x, y = grid.map_coordinates(row.ravel() + 0.5, col.ravel() + 0.5)
        step = steps(shapely.points(x, y))
        inside = step >= 0
        all_steps.append(step[inside])
        all_values.append(np.asarray(values[rows, cols], np.float64).ravel()[inside])
    step, cells = np.concatenate(all_steps), np.concatenate(all_values)
    known = np.isfinite(cells)
    slides = None
    if landslides is not None:
        of_slides = steps(np.asarray(landslides, object)) if len(landslides) else np.empty(0, np.intp)
        slides = np.bincount(of_slides[of_slides >= 0], minlength=starts.size)
    mean, median, q05, q95 = _statistics(step[known], cells[known], starts.size)
    return Profile(
        start_m=starts,
        end_m=ends,
        mean=mean,
        median=median,
        q05=q05,
        q95=q95,
        count=np.bincount(step[known], minlength=starts.size),
        unknown=np.bincount(step[~known], minlength=starts.size),
        landslides=slides,
    )


def _statistics(step: NDArray[np.intp], cells: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
    """Mean, median and the quantiles 0.05 and 0.95 (statistic, step) of the cells of each step."""
    found = np.full((4, steps), np.nan)
    order = np.argsort(step, kind="stable")
    borders = np.searchsorted(step[order], np.arange(steps + 1))
    for index in range(steps):
        own = cells[order[borders[index] : borders[index + 1]]]
        if own.size:
            found[0, index] = own.mean()
            found[1:, index] = np.quantile(own, [0.5, 0.05, 0.95])
    return found


def _windows(grid: Grid, bounds: tuple[float, float, float, float]) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of the grid within bounds, a strip at a time."""
    west, south, east, north = bounds
    x, y = np.array([west, west, east, east]), np.array([south, north, south, north])
    row, col = grid.pixel_coordinates(x, y)
    top, bottom = (int(np.clip(edge, 0, grid.rows)) for edge in (math.floor(row.min()), math.ceil(row.max())))
    left, right = (int(np.clip(edge, 0, grid.cols)) for edge in (math.floor(col.min()), math.ceil(col.max())))
    if right > left:
        for rows in row_slices(bottom - top, max(1, _CELLS_AT_ONCE // (right - left))):
            yield slice(rows.start + top, rows.stop + top), slice(left, right)


def _steps(start: float, end: float, step_m: float) -> NDArray[np.float64]:
    """Where each step begins; one of them at 0 where `start` is negative."""
    behind = math.ceil(-start / step_m - _ROUNDING) if start < 0.0 else 0
    count = behind + max(1, math.ceil(end / step_m - _ROUNDING))
    if count > _MOST_STEPS:
        raise OptionError(
            "step of the profile",
            required=f"at most {_MOST_STEPS} steps",
            found=f"{count} of {step_m:g} m",
            remedy="Take a longer step",
        )
    return np.asarray(np.maximum((np.arange(count) - behind) * step_m, start))


def _check(values: NDArray[np.floating], grid: Grid, width_m: float, step_m: float) -> None:
    require_metric(grid, "grid of the profile")
    if values.shape != grid.shape:
        raise InputError(
            "map of the profile",
            required=f"{grid.rows} rows x {grid.cols} columns, as the grid",
            found=" x ".join(map(str, values.shape)),
            remedy="Take both from the same raster",
        )
    for name, given in (("width", width_m), ("step", step_m)):
        if not (math.isfinite(given) and given > 0.0):
            raise OptionError(
                f"{name} of the profile", required="metres above 0", found=f"{given:g}", remedy="Correct it"
            )
