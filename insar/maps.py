"""Maps of layers: values over relief, quality flags, with what a reader needs to place them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from insar.figures import FAINT, FULL_WIDTH_IN, INK, POINT_NAMES, SMALL_TEXT, add_colour_bar, format_percent, new_figure
from insar.grid import Grid, RowCol
from insar.quality import Quality

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NO_DATA_COLOUR = "#dcdcdc"

QUALITY_CLASSES: tuple[tuple[str, int, str], ...] = (
    ("no data", Quality.NO_DATA, NO_DATA_COLOUR),
    ("layover or shadow", Quality.LAYOVER | Quality.SHADOW | Quality.LAYOVER_OR_SHADOW, "#555555"),
    ("gap filled by minimum norm", Quality.GAP_FILLED, "#d55e00"),
    ("low temporal coherence", Quality.LOW_TEMPORAL_COHERENCE, "#e69f00"),
    ("loops do not close", Quality.OPEN_LOOPS, "#cc79a7"),
    ("unwrapping corrected", Quality.UNWRAPPING_CORRECTED, "#56b4e9"),
    ("nothing flagged", 0, "#f4f9f4"),
)
"""What a pixel of several flags is shown as: the first that applies. Name, bits, colour."""


_TICKS_IN, _LABEL_IN, _RIGHT_IN, _TOP_IN = 0.4, 0.25, 0.95, 0.22
"""Room for tick labels, an axis label, the colour bar with its label, and above the map."""

_BAR_IN = 0.17
_TICK_EVERY_IN = 0.75
_LEAST_IN = 0.9
"""Least width and height of the axes: maps longer than that allows are not to scale."""

_TALLEST = 0.8
"""Height of the axes over the width of the figure."""


@dataclass(frozen=True, slots=True)
class MapStyle:
    """How the values of a layer are shown."""

    label: str
    colours: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class _Layout:
    """A figure, its axes with their size, and what they span: left, right, bottom, top."""

    figure: Figure
    axes: Axes
    extent: tuple[float, float, float, float]
    width_in: float
    height_in: float


def draw_map(
    values: NDArray[np.floating],
    grid: Grid,
    style: MapStyle,
    *,
    relief: NDArray[np.floating] | None = None,
    points: Sequence[RowCol] = (),
    reference: RowCol | None = None,
    width_in: float = FULL_WIDTH_IN,
) -> Figure:
    """A layer on its grid.

    Parameters
    ----------
    values
        (row, col) in the unit of the style's label, NaN where there is no data; may be decimated.
    grid
        Grid of the layer at full resolution.
    style
        Label, colours and limits.
    relief
        (row, col) hillshade 0..1 of the same area, drawn beneath.
    points, reference
        Pixels of the layer to mark: examples A, B, ... and the reference.
    width_in
        Width of the figure in inches.
    """
    layout = _lay_out(grid, width_in)
    axes, extent = layout.axes, layout.extent
    if relief is not None:
        axes.imshow(relief, cmap="gray", vmin=0.0, vmax=1.0, extent=extent, aspect="auto", interpolation="nearest")
    image = axes.imshow(
        np.ma.masked_invalid(values),
        cmap=style.colours,
        vmin=style.low,
        vmax=style.high,
        extent=extent,
        aspect="auto",
        interpolation="nearest",
        alpha=1.0 if relief is None else 0.75,
    )
    _mark_points(axes, grid, points, reference)
    _finish_map(layout, grid)
    finite = values[np.isfinite(values)]
    below = bool(finite.size and finite.min() < style.low)
    above = bool(finite.size and finite.max() > style.high)
    extend = "both" if below and above else "min" if below else "max" if above else "neither"
    label = style.label if layout.height_in > 3 else style.label.split(",")[0]
    add_colour_bar(axes, image, label, extend=extend, thickness=_BAR_IN / layout.width_in)
    if not finite.size:
        axes.text(0.5, 0.5, "no valid pixel", transform=axes.transAxes, ha="center", va="center", color=INK)
    return layout.figure


def draw_quality(flags: NDArray[np.integer], grid: Grid) -> Figure:
    """The layer `quality`: of each pixel its most serious flag, with the share of pixels that each flag has.

    Parameters
    ----------
    flags
        (row, col) bit flags; may be decimated.
    grid
        Grid of the layer at full resolution.
    """
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    layout = _lay_out(grid, FULL_WIDTH_IN, legend_in=0.75)
    shown = np.full(flags.shape, len(QUALITY_CLASSES) - 1)
    for number, (_, bits, _) in reversed(list(enumerate(QUALITY_CLASSES[:-1]))):
        shown[(flags & bits) != 0] = number
    layout.axes.imshow(
        shown,
        cmap=ListedColormap([colour for _, _, colour in QUALITY_CLASSES]),
        vmin=-0.5,
        vmax=len(QUALITY_CLASSES) - 0.5,
        extent=layout.extent,
        aspect="auto",
        interpolation="nearest",
    )
    shares = [float(np.mean((flags & bits) != 0 if bits else flags == 0)) for _, bits, _ in QUALITY_CLASSES]
    handles = [
        Patch(facecolor=colour, edgecolor=FAINT, label=f"{name}: {format_percent(share)}")
        for (name, _, colour), share in zip(QUALITY_CLASSES, shares, strict=True)
        if share > 0
    ]
    layout.figure.legend(handles=handles, loc="lower center", ncols=2, fontsize=SMALL_TEXT, frameon=False)
    _finish_map(layout, grid)
    return layout.figure


@dataclass(frozen=True, slots=True)
class MapClass:
    """A class of a map: its value in the layer, what it is called, its colour; of no colour where it is no data."""

    value: int
    name: str
    colour: str | None


def draw_classes(
    values: NDArray[np.floating],
    grid: Grid,
    classes: Sequence[MapClass],
    *,
    relief: NDArray[np.floating] | None = None,
    width_in: float = FULL_WIDTH_IN,
) -> Figure:
    """A layer of classes, with the share that each has of the pixels that belong to one.

    Parameters
    ----------
    values
        (row, col) classes, NaN where there is no data; may be decimated.
    grid
        Grid of the layer at full resolution.
    classes
        What there may be.
    relief
        (row, col) hillshade 0..1 of the same area, drawn beneath.
    width_in
        Width of the figure in inches.
    """
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    layout = _lay_out(grid, width_in, legend_in=0.5)
    if relief is not None:
        layout.axes.imshow(
            relief, cmap="gray", vmin=0.0, vmax=1.0, extent=layout.extent, aspect="auto", interpolation="nearest"
        )
    coloured = [each for each in classes if each.colour is not None]
    known = np.isin(values, [each.value for each in classes])
    shown = np.full(values.shape, np.nan)
    for number, each in enumerate(coloured):
        shown[values == each.value] = number
    layout.axes.imshow(
        np.ma.masked_invalid(shown),
        cmap=ListedColormap([str(each.colour) for each in coloured]),
        vmin=-0.5,
        vmax=len(coloured) - 0.5,
        extent=layout.extent,
        aspect="auto",
        interpolation="nearest",
        alpha=1.0 if relief is None else 0.6,
    )
    total = max(int(known.sum()), 1)
    handles = [
        Patch(
            facecolor=str(each.colour),
            edgecolor=FAINT,
            label=f"{each.name}: {format_percent(float(np.sum(values == each.value)) / total)}",
        )
        for each in coloured
    ]
    layout.figure.legend(handles=handles, loc="lower center", ncols=len(handles), fontsize=SMALL_TEXT, frameon=False)
    _finish_map(layout, grid)
    return layout.figure


def shade_relief(height: NDArray[np.floating], grid: Grid) -> NDArray[np.float64] | None:
    """Light a terrain from the north-west: (row, col) 0..1, NaN where unknown; None where there is nothing to see.

    Parameters
    ----------
    height
        (row, col) metres; may be decimated.
    grid
        Its grid at full resolution. In radar coordinates, where the size of pixels is not known, the relief is
        stretched to be legible.
    """
    finite = np.isfinite(height)
    if min(height.shape) < 3 or finite.sum() < 9 or np.ptp(height[finite]) == 0:
        return None
    width_m, height_m = _pixel_size_m(grid)
    rows, cols = height.shape
    south, east = np.gradient(
        np.asarray(height, dtype=np.float64), height_m * grid.rows / rows, width_m * grid.cols / cols
    )
    steepness = np.hypot(south, east)
    usual = float(np.nanpercentile(steepness, 90)) if np.isfinite(steepness).any() else 0.0
    if usual == 0:
        return None
    # Gentle terrain is exaggerated, up to fivefold; where metres are unknown there is no true scale to keep to.
    factor = 0.6 / usual if grid.crs is None else float(np.clip(0.6 / usual, 1.0, 5.0))
    east, south, up = -east * factor, -south * factor, 1.0
    light = (-0.5 * east - 0.5 * south + math.sqrt(0.5) * up) / np.sqrt(east**2 + south**2 + up)
    shaded: NDArray[np.float64] = 0.35 + 0.65 * np.clip(light, 0.0, 1.0)
    return shaded


def _lay_out(grid: Grid, width_in: float, *, legend_in: float = 0.0) -> _Layout:
    """A figure whose axes have the proportions of the map, so that nothing is left to stretch or to clip."""
    if grid.crs is None:
        extent = (0.0, float(grid.cols), float(grid.rows), 0.0)
        tall = min(max(grid.rows / grid.cols, 0.4), 2.5)
    else:
        west, south, east, north = grid.bounds
        extent = (west, east, south, north)
        width_m, height_m = _pixel_size_m(grid)
        tall = grid.rows * height_m / (grid.cols * width_m)
    # Degrees carry their letter and need no axis label.
    margin = _TICKS_IN + (0.0 if grid.is_geographic else _LABEL_IN)
    width = width_in - margin - _RIGHT_IN
    height = width * tall
    if height > _TALLEST * width_in:
        height = _TALLEST * width_in
        width = max(height / tall, _LEAST_IN)
    height = max(height, _LEAST_IN)
    bottom = margin + legend_in
    figure = new_figure(bottom + height + _TOP_IN, width_in, layout=None)
    left = margin + (width_in - margin - _RIGHT_IN - width) / 2
    whole_in = bottom + height + _TOP_IN
    axes = figure.add_axes((left / width_in, bottom / whole_in, width / width_in, height / whole_in))
    axes.set_facecolor(NO_DATA_COLOUR)
    return _Layout(figure, axes, extent, width, height)


def _finish_map(layout: _Layout, grid: Grid) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

    axes = layout.axes
    for axis, length_in in ((axes.xaxis, layout.width_in), (axes.yaxis, layout.height_in)):
        intervals = min(round(length_in / _TICK_EVERY_IN), 6)
        if intervals >= 2:
            locator = MaxNLocator(intervals, steps=[1, 2, 2.5, 5, 10], prune="both", integer=grid.crs is None)
            axis.set_major_locator(locator)
        else:
            low, high = axis.get_view_interval()
            candidates = MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(low, high)
            axis.set_major_locator(FixedLocator([min(candidates, key=lambda tick: abs(tick - (low + high) / 2))]))
    if grid.crs is None:
        axes.set_xlabel("Column (range)", color=INK)
        axes.set_ylabel("Row (azimuth)", color=INK)
    elif grid.is_geographic:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _degrees(value, "E", "W")))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _degrees(value, "N", "S")))
    else:
        unit, per_unit = ("km", 1e3) if grid.is_metric else ("map units", 1.0)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / per_unit:,.7g}"))
        named = f", {grid.crs}" if len(str(grid.crs)) < 20 and layout.width_in > 2 else ""
        axes.set_xlabel(f"Easting ({unit}{named})", color=INK)
        axes.set_ylabel(f"Northing ({unit})", color=INK)
    axes.tick_params(labelsize=SMALL_TEXT, colors=INK)
    for label in axes.get_yticklabels():
        label.set(rotation=90, va="center")
    if grid.crs is not None:
        _scale_bar(layout, grid)


def _scale_bar(layout: _Layout, grid: Grid) -> None:
    from matplotlib import patheffects
    from matplotlib.patches import Rectangle

    axes = layout.axes
    per_unit = _pixel_size_m(grid)[0] / grid.resolution[0]
    west, south, east, north = grid.bounds
    length_m = _nice_below(0.3 * (east - west) * per_unit)
    length = length_m / per_unit
    inch = (north - south) / layout.height_in
    left, bottom = west + 0.04 * (east - west), south + 0.15 * inch
    axes.add_patch(
        Rectangle((left, bottom), length, 0.05 * inch, facecolor=INK, edgecolor="white", linewidth=0.8, zorder=6)
    )
    text = f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m"
    label = axes.text(
        left + length / 2,
        bottom + 0.08 * inch,
        text,
        ha="center",
        va="bottom",
        fontsize=SMALL_TEXT,
        color=INK,
        zorder=6,
    )
    label.set_path_effects([patheffects.withStroke(linewidth=2.5, foreground="white")])


def _mark_points(axes: Axes, grid: Grid, points: Sequence[RowCol], reference: RowCol | None) -> None:
    for name, pixel in zip(POINT_NAMES, points, strict=False):
        if pixel == reference:
            continue
        x, y = _centre(grid, pixel)
        axes.plot(x, y, marker="o", markersize=6, color="white", markeredgecolor="black", linestyle="none", zorder=7)
        _name_point(axes, name, x, y)
    if reference is not None:
        x, y = _centre(grid, reference)
        axes.plot(
            *(x, y, "^"),
            markersize=9,
            color="black",
            markeredgecolor="white",
            markeredgewidth=1.2,
            zorder=7,
        )
        _name_point(axes, "ref.", x, y)


def _name_point(axes: Axes, name: str, x: float, y: float) -> None:
    from matplotlib import patheffects

    text = axes.annotate(
        name, (x, y), xytext=(6, 4), textcoords="offset points", fontsize=9, weight="bold", color="black", zorder=8
    )
    text.set_path_effects([patheffects.withStroke(linewidth=2.5, foreground="white")])


def _centre(grid: Grid, pixel: RowCol) -> tuple[float, float]:
    """Where the axes of a map have the centre of a pixel."""
    if grid.crs is None:
        return pixel.col + 0.5, pixel.row + 0.5
    return (
        grid.transform.c + (pixel.col + 0.5) * grid.transform.a,
        grid.transform.f + (pixel.row + 0.5) * grid.transform.e,
    )


def _pixel_size_m(grid: Grid) -> tuple[float, float]:
    """Width and height of a pixel on the ground, in metres; 1 where nothing is known."""
    width, height = grid.resolution
    if grid.crs is None:
        return 1.0, 1.0
    if grid.is_geographic:
        middle = math.radians((grid.bounds[1] + grid.bounds[3]) / 2)
        return width * 111_320.0 * max(0.01, math.cos(middle)), height * 110_574.0
    return width, height


def _nice_below(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (5.0, 2.0, 1.0) if step * power <= value)


def _degrees(value: float, positive: str, negative: str) -> str:
    beyond = math.remainder(value, 360.0) if abs(value) > 180 else value
    return f"{abs(beyond):.7g}° {positive if beyond >= 0 else negative}"
