"""Pictures of a table: how its features correlate, how far others determine each, and its principal components."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from susceptibility.collinearity import HIGH_VIF, Collinearity
from susceptibility.figure_parts import panels, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_NUMBERS = 24  # features or components beyond which numbers in squares cannot be read
_MOST_COMPONENTS = 12
_MODERATE_VIF = 5.0
_LOW_COLOR, _MODERATE_COLOR, _HIGH_COLOR = "#1f6f8b", "#b08900", "#c1440e"
_MISSING_COLOR = "#e4e1db"
_SQUARE_INCHES = 0.34


def draw_correlation(path: Path, found: Collinearity) -> None:
    """Draw Pearson's correlations below the diagonal and Spearman's above it."""
    count = len(found.names)
    lower = np.tri(count, count, -1, dtype=np.bool_)
    shown = np.where(lower, found.pearson, found.spearman)
    np.fill_diagonal(shown, np.nan)
    side = _side(count)
    figure, grid = panels(1, 1, side + 2.4, side + 1.8)
    axes = grid[0][0]
    image = _squares(axes, shown, found.names, found.names)
    axes.plot([-0.5, count - 0.5], [-0.5, count - 0.5], color="#8d8d8d", linewidth=0.8)
    title = f"below the diagonal Pearson ({found.rows} units), above Spearman"
    if found.spearman_rows < found.rows:
        title += f" ({found.spearman_rows})"
    axes.set_title(title, fontsize=9)
    bar = figure.colorbar(image, ax=axes, shrink=0.7, aspect=25)
    bar.set_label("correlation; grey: undefined", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    save_figure(figure, path)


def draw_vif(path: Path, found: Collinearity) -> None:
    """Draw the variance inflation of each feature, largest first, on a logarithmic scale."""
    known = np.flatnonzero(~np.isnan(found.vif))
    order = known[np.argsort(-found.vif[known], kind="stable")][::-1]
    vif = found.vif[order]
    finite = vif[np.isfinite(vif)]
    right = 3.0 * max(HIGH_VIF, float(finite.max()) if finite.size else HIGH_VIF)
    figure, grid = panels(1, 1, 6.4, 1.1 + 0.25 * len(order))
    axes = grid[0][0]
    colors = np.select([vif >= HIGH_VIF, vif >= _MODERATE_VIF], [_HIGH_COLOR, _MODERATE_COLOR], _LOW_COLOR)
    places = np.arange(len(order))
    bars = axes.barh(places, np.minimum(vif, right) - 1.0, left=1.0, color=list(colors), height=0.72)
    for place, value, bar in zip(places, vif, bars, strict=True):
        if np.isinf(value):
            bar.set_hatch("////")
            bar.set_edgecolor("white")
        label = "infinite" if np.isinf(value) else f"{value:.3g}"
        axes.annotate(
            label, (min(value, right), place), (3, 0), textcoords="offset points", va="center", fontsize=7
        )  # fmt: skip
    for limit in (_MODERATE_VIF, HIGH_VIF):
        axes.axvline(limit, color="#8d8d8d", linewidth=0.8, linestyle="--")
    axes.set_xscale("log")
    axes.set_xlim(1.0, 1.6 * right)
    axes.set_ylim(-0.6, len(order) - 0.4)
    axes.set_yticks(places, [found.names[index] for index in order], fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlabel(f"variance inflation factor; dashed: {_MODERATE_VIF:g} and {HIGH_VIF:g}", fontsize=8)
    save_figure(figure, path)


def draw_loadings(path: Path, found: Collinearity) -> None:
    """Draw the loadings of the first principal components, with the share of variance that each explains."""
    shown = found.explained[:_MOST_COMPONENTS]
    shares = [f"PC{number + 1}\n{100.0 * share:.1f} %" for number, share in enumerate(shown)]
    figure, grid = panels(1, 1, _side(len(shares)) + 2.6, _side(len(found.names)) + 1.6)
    axes = grid[0][0]
    image = _squares(axes, found.loadings[: len(shown)].T, found.names, shares, column_rotation=0.0)
    axes.xaxis.tick_top()
    axes.tick_params(axis="x", length=0, labelsize=6.5)
    axes.set_title("loadings of principal components, with their share of the variance", fontsize=9)
    bar = figure.colorbar(image, ax=axes, shrink=0.7, aspect=25)
    bar.set_label("correlation of component and feature", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    save_figure(figure, path)


def _squares(
    axes: Axes,
    values: NDArray[np.float64],
    row_names: tuple[str, ...],
    column_names: tuple[str, ...] | list[str],
    *,
    column_rotation: float = 90.0,
) -> Any:
    """Draw a matrix of numbers between -1 and 1 as coloured squares with the numbers in them."""
    axes.set_facecolor(_MISSING_COLOR)
    image = axes.imshow(values, cmap="RdBu_r", vmin=-1.0, vmax=1.0, aspect="auto", interpolation="nearest")
    axes.set_xticks(range(len(column_names)), list(column_names), fontsize=7.5, rotation=column_rotation)
    axes.set_yticks(range(len(row_names)), row_names, fontsize=7.5)
    axes.spines[:].set_visible(False)
    if max(values.shape) <= _MOST_NUMBERS:
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                color = "white" if abs(value) > 0.65 else "#333333"
                text = f"{value + 0.0:.2f}".replace("0.", ".").replace("-.00", ".00")
                axes.text(column, row, text, ha="center", va="center", fontsize=5.8, color=color)
    return image


def _side(count: int) -> float:
    """Inches for so many squares beside each other."""
    return min(max(_SQUARE_INCHES * count, 1.6), 14.0)
