"""Figures of a result other than its maps: network, time series, histogram; and what all figures share.

Each function draws plain values on a `matplotlib.figure.Figure` of its own and keeps no global state. Colours are safe
for colour-blind readers: red to blue through white for signed values, viridis for others, Okabe and Ito's for classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIGURES = "figures"
"""Folder of the figures in a result."""

DIVERGING = "RdBu"
RED_IS_POSITIVE = "RdBu_r"
SEQUENTIAL = "viridis"
INK = "#1f2933"
FAINT = "#b8c0c8"
ACCENT = "#d55e00"
POINT_NAMES = "ABCDEFGH"

_DPI = 150
FULL_WIDTH_IN = 9.0
HALF_WIDTH_IN = 4.6
"""Widths at which the text of a figure comes out alike across a page and side by side on it."""

SMALL_TEXT = 8


@dataclass(frozen=True, slots=True)
class NetworkPair:
    """One interferogram as the network figure shows it; None is unknown."""

    reference: date
    secondary: date
    perpendicular_baseline_m: float | None = None
    mean_coherence: float | None = None
    kept: bool = True
    is_weak_link: bool = False


@dataclass(frozen=True, slots=True)
class SeriesPanel:
    """One time series with its rate.

    `displacement_m` (date,) metres, NaN where unknown; rates in m/yr, None where unknown.
    """

    title: str
    displacement_m: NDArray[np.floating]
    rate_m_per_year: float | None = None
    rate_std_m_per_year: float | None = None


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, under a temporary name until it is whole."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    partial = path.with_name(f".{path.name}.partial")
    try:
        FigureCanvasAgg(figure)
        figure.savefig(partial, format="png", dpi=_DPI, metadata={"Software": None})
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def draw_network(pairs: Sequence[NetworkPair], date_baselines_m: Mapping[date, float] | None = None) -> Figure:
    """Dates by perpendicular baseline, joined by interferograms coloured by their mean coherence.

    Where no perpendicular baseline is known, or all are zero, interferograms are arcs over the time axis instead, as
    high as they are long. Dropped interferograms are dashed.

    Parameters
    ----------
    pairs
        Interferograms; dropped ones included.
    date_baselines_m
        Perpendicular baseline of each date relative to one of them; by default the least-squares fit to the pairs'.
    """
    figure = new_figure(4.4)
    axes = figure.add_subplot()
    days = sorted({day for pair in pairs for day in (pair.reference, pair.secondary)})
    baselines = _date_baselines(pairs, days) if date_baselines_m is None else dict(date_baselines_m)
    known = [baselines[day] for day in days if math.isfinite(baselines.get(day, math.nan))]
    as_arcs = not known or max(known) - min(known) < 1e-3
    height = dict.fromkeys(days, 0.0) if as_arcs else {day: baselines.get(day, math.nan) for day in days}
    for pair in sorted(pairs, key=lambda pair: (pair.kept, pair.mean_coherence or 0.0)):
        _draw_pair(axes, pair, height, as_arcs=as_arcs)
    _draw_dates(axes, pairs, days, height)
    axes.set_ylabel("Temporal baseline (days)" if as_arcs else "Perpendicular baseline (m)", color=INK)
    if as_arcs:
        axes.set_ylim(bottom=-0.06 * max((pair.secondary - pair.reference).days for pair in pairs))
    date_axis(axes)
    axes.grid(color="#eceff1", linewidth=0.8)
    if any(_is_known(pair.mean_coherence) for pair in pairs if pair.kept):
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        scale = ScalarMappable(Normalize(0, 1), SEQUENTIAL)
        add_colour_bar(axes, scale, "Mean coherence")
    _network_legend(axes, pairs)
    return figure


def draw_series(dates: Sequence[date], panels: Sequence[SeriesPanel]) -> Figure:
    """Displacement over time of a few pixels, one panel each with a scale of its own, and the line of their rate."""
    columns = 1 if len(panels) == 1 else 2
    rows = max(1, math.ceil(len(panels) / columns))
    figure = new_figure(0.5 + 2.5 * rows)
    shared: Axes | None = None
    years = np.array([(day - dates[0]).days / 365.25 for day in dates])
    for number, panel in enumerate(panels):
        axes = figure.add_subplot(rows, columns, number + 1, sharex=shared)
        shared = shared or axes
        _draw_panel(axes, dates, years, panel)
        if number % columns == 0:
            axes.set_ylabel("LOS displacement (mm)", color=INK, fontsize=9)
        axes.tick_params(labelbottom=number + columns >= len(panels))
    return figure


def draw_histogram(values: NDArray[np.floating], label: str, *, reliable: NDArray[np.bool_] | None = None) -> Figure:
    """How often each value occurs, between robust limits.

    Parameters
    ----------
    values
        Any shape, in the unit of `label`; NaN is no data.
    label
        Quantity and unit.
    reliable
        Same shape: pixels without a flag, shown in front of all.
    """
    figure = new_figure(3.3, HALF_WIDTH_IN)
    axes = figure.add_subplot()
    finite = np.isfinite(values)
    if finite.any():
        low, high = robust_limits(values[finite], share=0.5)
        bins = np.linspace(low, high, 61).tolist()
        axes.hist(values[finite], bins=bins, color=FAINT, label=f"all pixels: {finite.sum():,}")
        if reliable is not None and (finite & reliable).any():
            chosen = values[finite & reliable]
            axes.hist(chosen, bins=bins, color="#0072b2", label=f"without a quality flag: {chosen.size:,}")
        middle = float(np.median(values[finite]))
        axes.axvline(middle, color=ACCENT, linewidth=1.4, label=f"median of all: {format_number(middle)}")
        axes.legend(fontsize=SMALL_TEXT, frameon=False, loc="upper right")
        axes.set_xlim(low, high)
    else:
        axes.text(0.5, 0.5, "no valid pixel", transform=axes.transAxes, ha="center", va="center", color=INK)
    axes.set_xlabel(label, color=INK)
    axes.set_ylabel("Pixels", color=INK)
    strip_axes(axes)
    return figure


def robust_limits(values: NDArray[np.floating], *, share: float = 2.0) -> tuple[float, float]:
    """Limits that leave out `share` percent at either end; a little apart where all values are the same."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = (float(edge) for edge in np.percentile(finite, [share, 100.0 - share]))
    if high - low < 1e-12 * max(1.0, abs(high)):
        return low - 0.5, high + 0.5
    return low, high


def symmetric_limit(values: NDArray[np.floating], *, least: float) -> float:
    """Limit of a scale that is symmetric about zero and shows 98 % of the values, to two digits; at least `least`."""
    finite = np.abs(values[np.isfinite(values)])
    limit = float(np.percentile(finite, 98.0)) if finite.size else least
    return max(least, float(f"{limit:.1e}"))


def new_figure(
    height_in: float, width_in: float = FULL_WIDTH_IN, *, layout: Literal["constrained"] | None = "constrained"
) -> Figure:
    """Start a figure that lays itself out, unless `layout` is None."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width_in, height_in), layout=layout)


def add_colour_bar(axes: Axes, image: Any, label: str, *, extend: str = "neither", thickness: float = 0.035) -> None:
    """Add a colour bar as tall as the axes, whatever their proportions; `thickness` is a share of their width."""
    bar_axes = axes.inset_axes((1.0 + 0.8 * thickness, 0.0, thickness, 1.0))
    bar = axes.figure.colorbar(image, cax=bar_axes, extend=extend)
    bar.set_label(label, color=INK, fontsize=9)
    bar.ax.tick_params(labelsize=SMALL_TEXT, colors=INK)
    bar.outline.set_edgecolor(FAINT)


def _draw_pair(axes: Axes, pair: NetworkPair, height: Mapping[date, float], *, as_arcs: bool) -> None:
    import matplotlib

    colour: Any = "#5b7083"
    style: Any = "-"
    width, order = 1.6, 2.0
    if not pair.kept:
        colour, style, width, order = FAINT, (0, (3, 3)), 0.9, 1.0
    elif _is_known(pair.mean_coherence):
        colour = matplotlib.colormaps[SEQUENTIAL](float(pair.mean_coherence or 0.0))
    days: Any = [pair.reference, pair.secondary]
    values = [height[pair.reference], height[pair.secondary]]
    if as_arcs:
        span = (pair.secondary - pair.reference).days
        turn = np.linspace(0.0, math.pi, 40)
        days = np.datetime64(pair.reference) + np.rint((1 - np.cos(turn)) / 2 * span * 86_400).astype("timedelta64[s]")
        values = list(span * np.sin(turn))
    if pair.kept and pair.is_weak_link:
        axes.plot(days, values, color=ACCENT, linewidth=width + 3.2, alpha=0.55, zorder=order - 0.5)
    axes.plot(days, values, color=colour, linestyle=style, linewidth=width, zorder=order)


def _draw_dates(axes: Axes, pairs: Sequence[NetworkPair], days: Sequence[date], height: Mapping[date, float]) -> None:
    used = {day for pair in pairs if pair.kept for day in (pair.reference, pair.secondary)}
    for members, face in ((used, INK), (set(days) - used, "white")):
        chosen: Any = [day for day in days if day in members]
        axes.plot(
            chosen,
            [height[day] for day in chosen],
            linestyle="none",
            marker="o",
            markersize=5.5,
            color=face,
            markeredgecolor=INK,
            zorder=4,
        )


def _network_legend(axes: Axes, pairs: Sequence[NetworkPair]) -> None:
    from matplotlib.lines import Line2D

    kept = sum(pair.kept for pair in pairs)
    weak = sum(pair.kept and pair.is_weak_link for pair in pairs)
    handles = [Line2D([], [], color="#5b7083", linewidth=1.6, label=f"{kept} interferograms used")]
    if kept < len(pairs):
        dropped = f"{len(pairs) - kept} dropped"
        handles.append(Line2D([], [], color=FAINT, linestyle=(0, (3, 3)), linewidth=0.9, label=dropped))
    if weak:
        handles.append(
            Line2D([], [], color=ACCENT, linewidth=4.8, alpha=0.55, label=f"{weak} without which it falls apart")
        )
    axes.figure.legend(handles=handles, loc="outside upper left", ncols=3, fontsize=SMALL_TEXT, frameon=False)


def _draw_panel(axes: Axes, dates: Sequence[date], years: NDArray[np.float64], panel: SeriesPanel) -> None:
    days: Any = list(dates)
    millimetres = np.asarray(panel.displacement_m, dtype=np.float64) * 1e3
    known = np.isfinite(millimetres)
    axes.axhline(0.0, color=FAINT, linewidth=0.8, zorder=1)
    rate = panel.rate_m_per_year
    if rate is not None and math.isfinite(rate) and known.any():
        line = rate * 1e3 * years
        offset = float(np.mean(millimetres[known] - line[known]))
        text = format_with_spread(rate * 1e3, (panel.rate_std_m_per_year or 0.0) * 1e3)
        axes.plot(days, line + offset, color=ACCENT, linewidth=1.4, label=f"{text} mm/yr", zorder=2)
        axes.legend(fontsize=SMALL_TEXT, frameon=False, loc="best", handlelength=1.2)
    axes.plot(days, millimetres, "o", markersize=3.6, color="#0072b2", zorder=3)
    if not known.any():
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", va="center", color=INK)
    elif np.ptp(millimetres[known]) < 0.2:
        axes.set_ylim(-1.0, 1.0)
    axes.set_title(panel.title, fontsize=9, color=INK, loc="left")
    date_axis(axes)
    strip_axes(axes)
    axes.grid(color="#eceff1", linewidth=0.8)


def date_axis(axes: Axes) -> None:
    """Dates along the horizontal axis, as short as they can be told."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]  # matplotlib has no types here
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.tick_params(labelsize=SMALL_TEXT, colors=INK)
    axes.set_axisbelow(True)


def strip_axes(axes: Axes) -> None:
    """Leave only the axes that carry numbers."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=SMALL_TEXT, colors=INK)


def _date_baselines(pairs: Sequence[NetworkPair], days: Sequence[date]) -> dict[date, float]:
    """Baselines of dates whose differences fit those of the pairs; each subset about zero, the first date at zero."""
    position = {day: number for number, day in enumerate(days)}
    known = [pair for pair in pairs if _is_known(pair.perpendicular_baseline_m)]
    if not known:
        return {}
    design = np.zeros((len(known), len(days)))
    for row, pair in enumerate(known):
        design[row, position[pair.secondary]], design[row, position[pair.reference]] = 1.0, -1.0
    observed = np.array([pair.perpendicular_baseline_m for pair in known], dtype=np.float64)
    fitted = np.linalg.lstsq(design, observed, rcond=None)[0]
    return {day: float(value - fitted[0]) for day, value in zip(days, fitted, strict=True)}


def _is_known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def format_number(value: float) -> str:
    """Format with three digits and a typographic minus."""
    text = f"{value + 0.0:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return text.replace("-", "\N{MINUS SIGN}")


def format_with_spread(value: float, spread: float) -> str:
    """Format with as many decimals as two digits of the standard deviation have; unknown or zero is left out."""
    if not (math.isfinite(spread) and spread > 0):
        return format_number(value)
    decimals = max(0, 1 - math.floor(math.log10(spread)))
    return f"{value + 0.0:.{decimals}f} ± {spread:.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def format_percent(share: float) -> str:
    """Format a share of 0..1 in percent, small ones with the digits they need."""
    percent = 100.0 * share
    if percent >= 9.5 or percent <= 0:
        return f"{percent:.0f} %"
    return "below 0.001 %" if percent < 1e-3 else f"{percent:.{max(1, -math.floor(math.log10(percent)))}f} %"
