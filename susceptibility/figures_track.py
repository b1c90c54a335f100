"""Pictures of susceptibility through time: maps of epochs, what changed and what moved it, places that rose."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from susceptibility.backdrop import UnitBackdrop
from susceptibility.figure_parts import panels, save_figure
from susceptibility.tracking import Track

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_MAPS = 8
_MAPS_IN_A_ROW = 4
_MOST_LINES = 6
_MARKED = 8  # places with their number on the map of change
_LAYER_COLORS = ("#c1440e", "#1f6f8b", "#5d8a3a", "#7b5ea7", "#b08900")
_LINE_COLORS = ("#c1440e", "#1f6f8b", "#5d8a3a", "#7b5ea7", "#b08900", "#6b7785")


def draw_epochs(path: Path, track: Track, backdrop: UnitBackdrop, *, label: str, highest: float | None = 1.0) -> None:
    """Draw the map at up to eight epochs, evenly over all of them, the first and the last among them.

    Parameters
    ----------
    path
        PNG to write.
    track
        From `track_susceptibility`.
    backdrop
        Of its units.
    label
        Of the scale.
    highest
        Upper end of the scale, whose lower end is 0; None for the largest value.
    """
    shown = evenly(len(track.epochs), _MOST_MAPS)
    columns = min(_MAPS_IN_A_ROW, len(shown))
    rows = math.ceil(len(shown) / columns)
    figure, grid = panels(rows, columns, *backdrop.panel_size(columns))
    top = highest
    if top is None:
        top = max((float(np.nanmax(track.probability[epoch])) for epoch in shown), default=1.0)
    image = None
    flat = [axes for line in grid for axes in line]
    for axes, epoch in zip(flat, shown, strict=False):
        backdrop.draw(axes)
        image = backdrop.overlay(axes, track.probability[epoch], cmap="YlOrRd", vmin=0.0, vmax=top, alpha=0.8)
        axes.set_title(f"{track.epochs[epoch]:%Y-%m-%d}", fontsize=9)
    for axes in flat[len(shown) :]:
        axes.set_visible(False)
    _label_kilometres(grid)
    if image is not None:
        bar = figure.colorbar(image, ax=flat, location="bottom", shrink=0.6, aspect=40)
        bar.set_label(label, fontsize=8)
        bar.ax.tick_params(labelsize=7)
    save_figure(figure, path)


def draw_change(path: Path, track: Track, backdrop: UnitBackdrop, *, label: str) -> None:
    """Draw the change from the first to the last epoch, and beside it which layer moved each place."""
    from matplotlib.colors import BoundaryNorm, ListedColormap

    figure, grid = panels(1, 2, *_larger(backdrop.panel_size(2)))
    left, right = grid[0]
    largest = float(np.nanmax(np.abs(track.change))) if np.isfinite(track.change).any() else 0.0
    limit = max(largest, 1e-6)
    backdrop.draw(left)
    image = backdrop.overlay(left, track.change, cmap="RdBu_r", vmin=-limit, vmax=limit, alpha=0.85)
    for place, rows in zip(track.rising.places[:_MARKED], track.rising.members, strict=False):
        x, y = backdrop.points_km(rows)
        left.annotate(
            str(place.number), (float(x.mean()), float(y.max())), xytext=(0, 3), textcoords="offset points",
            ha="center", fontsize=8, fontweight="bold",
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.75},
        )  # fmt: skip
    left.set_title(f"{track.epochs[0]:%Y-%m-%d} to {track.epochs[-1]:%Y-%m-%d}", fontsize=9)
    bar = figure.colorbar(image, ax=left, location="bottom", shrink=0.8, aspect=30)
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=7)
    backdrop.draw(right)
    count = len(track.layers)
    colors = [_LAYER_COLORS[number % len(_LAYER_COLORS)] for number in range(count)]
    driver = np.where(track.driver >= 0, track.driver, np.nan).astype(np.float32)
    norm = BoundaryNorm(np.arange(-0.5, count), count)
    image = backdrop.overlay(right, driver, cmap=ListedColormap(colors), norm=norm, alpha=0.9)
    rows_of = [int(np.count_nonzero(track.driver == number)) for number in range(count)]
    bar = figure.colorbar(image, ax=right, location="bottom", shrink=0.8, aspect=30, ticks=range(count))
    bar.ax.set_xticklabels(
        [f"{layer.replace('_', ' ')} ({rows})" for layer, rows in zip(track.layers, rows_of, strict=True)], fontsize=7
    )
    bar.set_label("layer, with the number of units that it moved", fontsize=8)
    right.set_title("what moved it most, where it changed", fontsize=9)
    _label_kilometres(grid)
    save_figure(figure, path)


def draw_places(path: Path, track: Track, *, label: str) -> None:
    """Draw how the places that rose most came to that: the prediction, and each layer that changes, by epoch."""
    shown = list(zip(track.rising.places, track.rising.members, strict=True))[:_MOST_LINES]
    layers = track.layers
    figure, grid = panels(1 + len(layers), 1, 8.6, 2.3)
    dates: list[Any] = list(track.epochs)
    for (place, rows), color in zip(shown, _LINE_COLORS, strict=False):
        area = _weights(track, rows)
        series = [_average(track.probability[epoch, rows], area) for epoch in range(len(dates))]
        grid[0][0].plot(dates, series, color=color, marker="o", markersize=2.5, label=f"place {place.number}")
        for axes, layer in zip((line[0] for line in grid[1:]), layers, strict=True):
            number = _column_of(track, layer)
            values = [_average(track.columns.column(epoch, number, rows), area) for epoch in range(len(dates))]
            axes.plot(dates, np.array(values) * 1e3, color=color, marker="o", markersize=2.5)
    grid[0][0].set_ylabel(label, fontsize=8)
    for axes, layer in zip((line[0] for line in grid[1:]), layers, strict=True):
        column = track.columns.columns[_column_of(track, layer)]
        unit = track.columns.data.feature(column.name).unit
        axes.set_ylabel(f"{column.name.replace('_', ' ')}\n({_thousandth(unit)})", fontsize=8)
        axes.axhline(0.0, color="#9aa3a8", linewidth=0.6)
    for line in grid:
        line[0].tick_params(labelsize=7)
        line[0].grid(color="#e4dfd5", linewidth=0.6)
    if shown:
        grid[0][0].legend(fontsize=7, frameon=False, ncols=min(6, len(shown)), loc="upper left")
    save_figure(figure, path)


def evenly(count: int, most: int) -> list[int]:
    """Up to `most` numbers below `count`, evenly spaced, 0 and the last among them."""
    return sorted({round(number) for number in np.linspace(0, count - 1, min(count, most)).tolist()})


def _column_of(track: Track, layer: str) -> int:
    """Followed column of a layer that is drawn: the signed one where there is one, a mean before other statistics."""
    numbers = [number for number, column in enumerate(track.columns.columns) if column.layer == layer]
    return min(
        numbers,
        key=lambda number: (
            track.columns.columns[number].statistic not in {None, "mean"},
            track.columns.columns[number].is_absolute,
        ),
    )


def _weights(track: Track, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    area = np.asarray(track.columns.data.area_m2(rows), np.float64)
    return np.where(np.isfinite(area), area, 1.0)


def _average(values: NDArray[np.float32], weights: NDArray[np.float64]) -> float:
    known = np.isfinite(values)
    return float(np.average(values[known].astype(np.float64), weights=weights[known])) if known.any() else math.nan


def _thousandth(unit: str) -> str:
    """Name of a thousandth of a unit of metres, in which motion is drawn."""
    return f"m{unit}" if unit.startswith("m") else f"1e-3 {unit}"


def _larger(size: tuple[float, float]) -> tuple[float, float]:
    return size[0] * 1.15, size[1] * 1.15 + 0.5


def _label_kilometres(grid: Sequence[Sequence[Axes]]) -> None:
    for line in grid:
        line[0].set_ylabel("km", fontsize=8)
    for axes in grid[-1]:
        axes.set_xlabel("km", fontsize=8)
