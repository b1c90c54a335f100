"""Pictures of one map: its values, their spread, its classes with their shares, and profiles through it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from susceptibility.backdrop import Backdrop
from susceptibility.classes import ClassTable, LandslideMeasure
from susceptibility.errors import InputError
from susceptibility.figure_parts import panels, save_figure
from susceptibility.profiles import Profile

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GREEN_TO_RED = ("#2c7b4f", "#a6d07a", "#fdf3a7", "#f39a4e", "#b2182b")
_LINE_COLORS = ("#c1440e", "#1f6f8b", "#5d8a3a", "#7b5ea7", "#b08900", "#6b7785")
_AREA_COLOR, _LANDSLIDE_COLOR, _HELD_OUT_COLOR = "#b9b2a3", "#c1440e", "#1f6f8b"
_UNKNOWN = "unknown"


def draw_value_map(
    path: Path,
    values: NDArray[np.float32],
    backdrop: Backdrop,
    *,
    title: str,
    label: str,
    highest: float | None = 1.0,
    lines: NDArray[np.object_] | None = None,
) -> None:
    """Draw a probability or a density.

    Parameters
    ----------
    path
        PNG to write.
    values
        (row, col) on the grid of the backdrop, NaN where unknown.
    backdrop
        Shaded relief.
    title, label
        Of the map and of its scale.
    highest
        Upper end of the scale, whose lower end is 0; None for the largest value that is shown.
    lines
        (line,) shapely lines in the grid's system, such as those of a profile.
    """
    _draw_continuous(path, values, backdrop, title, label, highest, "YlOrRd", lines)


def draw_spread_map(
    path: Path, std: NDArray[np.float32], backdrop: Backdrop, *, title: str, label: str, highest: float | None = None
) -> None:
    """Draw a standard deviation; parameters as `draw_value_map`."""
    _draw_continuous(path, std, backdrop, title, label, highest, "BuPu", None)


def draw_class_map(
    path: Path,
    classes: NDArray[np.uint8],
    table: ClassTable,
    backdrop: Backdrop,
    *,
    title: str,
    lines: NDArray[np.object_] | None = None,
) -> None:
    """Draw classes (row, col), 0 where unknown, with bounds and shares of area and landslides of each beside them."""
    from matplotlib.colors import BoundaryNorm, ListedColormap
    from matplotlib.patches import Patch

    _check(classes, backdrop)
    count = len(table.rows)
    colors = class_colors(count)
    figure, grid = panels(1, 1, *_size(backdrop, legend=True))
    axes = grid[0][0]
    backdrop.draw(axes)
    shown = np.ma.masked_equal(classes[:: backdrop.step, :: backdrop.step], 0)
    axes.imshow(
        shown, extent=backdrop.extent_km, interpolation="nearest", cmap=ListedColormap(colors),
        norm=BoundaryNorm(np.arange(0.5, count + 1.0), count), alpha=0.85,
    )  # fmt: skip
    _draw_lines(axes, lines, backdrop)
    handles = [
        Patch(
            facecolor=color,
            label=f"{row.label}, {row.lower:.3g} to {row.upper:.3g}\n"
            f"area {_percent(row.area_share)}, landslides {_percent(row.landslide_share)}",
        )
        for row, color in zip(reversed(table.rows), reversed(colors), strict=True)
    ]
    if table.unknown_area_km2 > 0.0:
        handles.append(Patch(facecolor="#d5d2cc", label=f"{_UNKNOWN}, {table.unknown_area_km2:.3g} km2"))
    axes.legend(handles=handles, fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)
    _finish(axes, title)
    save_figure(figure, path)


def draw_class_table(path: Path, table: ClassTable, *, title: str, held_out: ClassTable | None = None) -> None:
    """Draw shares of area and landslides of each class, and its landslide density.

    Parameters
    ----------
    path
        PNG to write.
    table
        Of the map.
    title
        Of the picture.
    held_out
        The same classes with landslides that the model had not seen.
    """
    shares = [(_AREA_COLOR, "area", [row.area_share for row in table.rows])]
    shares.append((_LANDSLIDE_COLOR, "landslides", [row.landslide_share for row in table.rows]))
    if held_out is not None:
        shares.append((_HELD_OUT_COLOR, "held-out landslides", [row.landslide_share for row in held_out.rows]))
    figure, grid = panels(1, 2, 4.6, 3.4)
    left, right = grid[0]
    places = np.arange(len(table.rows))
    width = 0.8 / len(shares)
    for index, (color, name, values) in enumerate(shares):
        offset = (index - (len(shares) - 1) / 2.0) * width
        left.bar(places + offset, [100.0 * value for value in values], width, color=color, label=name)
    left.set_ylabel("share, %", fontsize=8)
    left.legend(fontsize=7, frameon=False)
    density = [row.density for row in table.rows]
    right.bar(places, density, 0.7, color=class_colors(len(table.rows)))
    for place, row in zip(places, table.rows, strict=True):
        ratio = "no area" if math.isnan(row.frequency_ratio) else f"{row.frequency_ratio:.2g}"
        height = 0.0 if math.isnan(row.density) else row.density
        right.annotate(ratio, (place, height), (0, 3), textcoords="offset points", ha="center", fontsize=7)
    is_count = table.measure is LandslideMeasure.COUNT
    right.set_ylabel("landslides per km2" if is_count else "landslide area over area", fontsize=8)
    right.set_title("landslide density; numbers: frequency ratio", fontsize=9)
    right.margins(y=0.12)
    for axes in (left, right):
        ticks = [f"{row.label}\n{row.lower:.3g}-{row.upper:.3g}" for row in table.rows]
        axes.set_xticks(places, ticks, fontsize=6.5 if len(ticks) <= 6 else 5)
        axes.tick_params(axis="y", labelsize=7)
    left.set_title(title, fontsize=9)
    save_figure(figure, path)


def draw_profiles(
    path: Path,
    profiles: Mapping[str, Profile],
    *,
    title: str,
    label: str,
    marks_m: Mapping[str, Sequence[float]] | None = None,
    highest: float | None = 1.0,
) -> None:
    """Draw profiles of several maps, with the landslides of the first below them.

    Parameters
    ----------
    path
        PNG to write.
    profiles
        By the name of the map; each with the mean as a line, from the 5 % to the 95 % quantile as a band, and the
        median dotted.
    title, label
        Of the picture and of the values.
    marks_m
        Distances along the profile by a name, such as where faults cross it.
    highest
        Upper end of the scale, whose lower end is 0; None to let it follow the values.
    """
    from matplotlib.ticker import MaxNLocator

    first = next(iter(profiles.values()))
    has_landslides = first.landslides is not None
    figure, grid = panels(1 + has_landslides, 1, 7.6, 2.7 if has_landslides else 3.2)
    axes = grid[0][0]
    for index, (name, profile) in enumerate(profiles.items()):
        color = _LINE_COLORS[index % len(_LINE_COLORS)]
        distance = profile.distance_m / 1000.0
        axes.fill_between(distance, profile.q05, profile.q95, color=color, alpha=0.15, linewidth=0.0)
        # Marked, because a step between two unknown ones has no line.
        axes.plot(distance, profile.mean, color=color, linewidth=1.6, marker="o", markersize=2.2, label=name)
        axes.plot(distance, profile.median, color=color, linewidth=0.9, linestyle=":")
    axes.set_ylabel(label, fontsize=8)
    axes.set_ylim(0.0, highest)
    axes.set_title(title, fontsize=9, pad=14 if marks_m else 6)
    if first.landslides is not None:
        below = grid[1][0]
        widths = (first.end_m - first.start_m) / 1000.0
        below.bar(first.start_m / 1000.0, first.landslides, widths, align="edge", color=_AREA_COLOR, edgecolor="white")
        below.set_ylabel("landslides", fontsize=8)
        below.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    ends = (first.start_m[0] / 1000.0, first.end_m[-1] / 1000.0)
    for row in grid:
        row[0].set_xlim(*ends)
        row[0].tick_params(labelsize=7)
        _draw_marks(row[0], marks_m or {}, named=row is grid[0])
    axes.plot([], [], color="#555555", linewidth=0.9, linestyle=":", label="median")
    axes.fill_between([], [], [], color="#555555", alpha=0.2, linewidth=0.0, label="5 to 95 % of the cells")
    axes.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    grid[-1][0].set_xlabel("distance, km", fontsize=8)
    save_figure(figure, path)


def class_colors(count: int) -> list[str]:
    """Colours of classes, from green to red, the same for the same number of classes."""
    from matplotlib.colors import LinearSegmentedColormap, to_hex

    if count == len(_GREEN_TO_RED):
        return list(_GREEN_TO_RED)
    scale = LinearSegmentedColormap.from_list("classes", _GREEN_TO_RED)
    return [to_hex(scale(index / max(count - 1, 1))) for index in range(count)]


def _draw_continuous(
    path: Path,
    values: NDArray[np.float32],
    backdrop: Backdrop,
    title: str,
    label: str,
    highest: float | None,
    cmap: str,
    lines: NDArray[np.object_] | None,
) -> None:
    _check(values, backdrop)
    figure, grid = panels(1, 1, *_size(backdrop, legend=False))
    axes = grid[0][0]
    backdrop.draw(axes)
    shown = backdrop.thin(values)
    if highest is None:
        known = shown[np.isfinite(shown)]
        highest = float(known.max()) if known.size and known.max() > 0.0 else 1.0
    image = axes.imshow(
        shown, extent=backdrop.extent_km, interpolation="nearest", cmap=cmap, vmin=0.0, vmax=highest, alpha=0.8
    )
    _draw_lines(axes, lines, backdrop)
    bar = figure.colorbar(image, ax=axes, location="bottom", shrink=0.9, aspect=28)
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=7)
    _finish(axes, title)
    save_figure(figure, path)


def _draw_lines(axes: Axes, lines: NDArray[np.object_] | None, backdrop: Backdrop) -> None:
    if lines is None:
        return
    import shapely

    west, south, _, _ = backdrop.grid.bounds
    for line in shapely.get_parts(np.asarray(lines, object)):
        places = (shapely.get_coordinates(line) - (west, south)) / 1000.0
        axes.plot(places[:, 0], places[:, 1], color="black", linewidth=1.2)
    axes.set_xlim(*backdrop.extent_km[:2])
    axes.set_ylim(*backdrop.extent_km[2:])


def _draw_marks(axes: Axes, marks_m: Mapping[str, Sequence[float]], *, named: bool) -> None:
    for name, distances in marks_m.items():
        for index, distance in enumerate(distances):
            axes.axvline(distance / 1000.0, color="#333333", linewidth=0.8, linestyle="--")
            if named and index == 0:
                axes.annotate(
                    name, (distance / 1000.0, 1.0), (0, 2), xycoords=("data", "axes fraction"),
                    textcoords="offset points", ha="center", fontsize=7,
                )  # fmt: skip


def _finish(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=9)
    axes.set_xlabel("km", fontsize=8)
    axes.set_ylabel("km", fontsize=8)


def _size(backdrop: Backdrop, *, legend: bool) -> tuple[float, float]:
    """Width and height of a picture in inches."""
    _, east, _, north = backdrop.extent_km
    width = 5.4
    height = min(max(width * north / east, 2.0), 8.0)
    return width + (1.9 if legend else 0.0), height + (0.4 if legend else 1.0)


def _percent(share: float) -> str:
    return "none" if math.isnan(share) else f"{100.0 * share:.1f} %"


def _check(plane: NDArray[Any], backdrop: Backdrop) -> None:
    if plane.shape != backdrop.grid.shape:
        raise InputError(
            "map to draw",
            required=f"{backdrop.grid.rows} rows x {backdrop.grid.cols} columns, as the relief",
            found=" x ".join(map(str, plane.shape)),
            remedy="Take both from the same grid",
        )
