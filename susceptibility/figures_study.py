"""Pictures of where things are: maps, folds, the inventory, and where a model may be trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from susceptibility.backdrop import UnitBackdrop
from susceptibility.design import Candidate
from susceptibility.figure_parts import panels, save_figure
from susceptibility.figures import title_of
from susceptibility.inventory import ABSENCE, LANDSLIDE
from susceptibility.models import MODELS
from susceptibility.partitions import SCHEMES, Partition

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from susceptibility.map_work import MappedCandidate

_MOST_POINTS = 3000  # landslides marked on a map
_FOLD_COLORS = (
    "#1f6f8b", "#c1440e", "#b08900", "#5d8a3a", "#7b5ea7", "#6b7785", "#d98c9f", "#2b3a42", "#8fb8c9", "#a5672e",
)  # fmt: skip
_MISSING_COLOR = "#cbbfe0"


def draw_maps(
    path: Path,
    maps: Mapping[Candidate, NDArray[np.float32]],
    backdrop: UnitBackdrop,
    landslides: NDArray[np.intp],
    quantity: str,
) -> None:
    """Draw what is predicted, one row for each model, of the first and the last feature set, and what changed.

    Parameters
    ----------
    path
        Of the picture.
    maps
        (row,) predictions of every unit.
    backdrop
        To draw them on.
    landslides
        Units with a landslide.
    quantity
        What is predicted, for the scale.
    """
    every = list(dict.fromkeys(candidate.feature_set for candidate in maps))
    sets = [every[0], every[-1]] if len(every) > 1 else every
    models = list(dict.fromkeys(candidate.model for candidate in maps))
    # Of one set alone models lie side by side.
    columns = 3 if len(sets) == 2 else min(3, len(models))
    rows = len(models) if len(sets) == 2 else math.ceil(len(models) / columns)
    figure, grid = panels(rows, columns, *backdrop.panel_size(columns))
    shown = some_of(landslides)
    highest = _largest(maps, sets)
    image = change = None
    for row, model in enumerate(models):
        for column, feature_set in enumerate(sets):
            axes = grid[row][column] if len(sets) == 2 else grid[row // columns][row % columns]
            backdrop.draw(axes)
            axes.set_title(f"{MODELS[model].title}, {title_of(feature_set)}", fontsize=9)
            if Candidate(feature_set, model) not in maps:
                axes.set_title(f"{MODELS[model].title}: not of {title_of(feature_set)}", fontsize=9)
                continue
            image = backdrop.overlay(
                axes, maps[Candidate(feature_set, model)], cmap="YlOrRd", vmin=0.0, vmax=highest, alpha=0.8
            )
            _mark_landslides(axes, backdrop, shown)
        if len(sets) == 2:
            axes = grid[row][2]
            backdrop.draw(axes)
            pair = [maps.get(Candidate(feature_set, model)) for feature_set in sets]
            if pair[0] is None or pair[1] is None:
                continue
            change = backdrop.overlay(
                axes, pair[1] - pair[0], cmap="RdBu_r", vmin=-0.6 * highest, vmax=0.6 * highest, alpha=0.85
            )
            axes.set_title(f"{title_of(sets[1])} minus {title_of(sets[0])}", fontsize=9)
    if len(sets) == 1:
        for axes in grid[-1][(len(models) - 1) % columns + 1 :]:
            axes.set_visible(False)
    for row_axes in grid:
        row_axes[0].set_ylabel("km", fontsize=8)
    for axes in grid[-1]:
        axes.set_xlabel("km", fontsize=8)
    if image is not None:
        marks = "dots" if backdrop.relief is not None else "rings"
        _scale(
            figure,
            image,
            grid[-1][: len(sets) if change is not None else columns],
            f"{quantity}; {marks}: units with landslides",
        )
    if change is not None:
        _scale(figure, change, grid[-1][2:], "change")
    save_figure(figure, path)


def _mark_landslides(axes: Axes, backdrop: UnitBackdrop, rows: NDArray[np.intp]) -> None:
    x, y = backdrop.points_km(rows)
    if backdrop.relief is not None:
        axes.plot(x, y, "o", color="black", markersize=1.3, markeredgewidth=0.0, zorder=3)
        return
    # Where units are points themselves a dot would hide what is predicted for it.
    axes.scatter(x, y, s=2.5 * backdrop.point_area, facecolors="none", edgecolors="black", linewidths=0.5, zorder=3)


def _scale(figure: Figure, image: Any, below: Sequence[Axes], label: str) -> None:
    bar = figure.colorbar(image, ax=list(below), location="bottom", shrink=0.9, aspect=12 * len(below) + 12)
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=7)


def draw_folds(
    path: Path,
    partitions: Sequence[Partition],
    rows: NDArray[np.intp],
    backdrop: UnitBackdrop,
) -> None:
    """Draw the folds of the first split by each scheme."""
    first = {partition.scheme: partition for partition in reversed(partitions) if partition.draw == 0}
    schemes = [scheme for scheme in SCHEMES if scheme in first]
    figure, grid = panels(1, len(schemes), *backdrop.panel_size(len(schemes)))
    x, y = backdrop.points_km(rows)
    for axes, scheme in zip(grid[0], schemes, strict=True):
        backdrop.draw(axes)
        partition = first[scheme]
        for fold in range(partition.folds):
            inside = some_of(np.flatnonzero(partition.fold == fold))
            color = _FOLD_COLORS[fold % len(_FOLD_COLORS)]
            name = partition.names[fold] if partition.names else f"{fold + 1}"
            axes.plot(x[inside], y[inside], ".", color=color, markersize=3, label=name)
        axes.set_title(f"{SCHEMES[scheme].title} folds", fontsize=9)
        axes.set_xlabel("km", fontsize=8)
        if 0 < len(partition.names) <= len(_FOLD_COLORS):
            axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3, frameon=False)
    numbered = [axes for axes, scheme in zip(grid[0], schemes, strict=True) if not first[scheme].names]
    grid[0][0].set_ylabel("km", fontsize=8)
    if numbered:
        numbered[-1].legend(title="fold", title_fontsize=7, fontsize=7, loc="center left", bbox_to_anchor=(1.01, 0.5))
    save_figure(figure, path)


def draw_inventory(path: Path, backdrop: UnitBackdrop, labels: NDArray[np.uint8], usable: NDArray[np.bool_]) -> None:
    """Draw units with landslides, those known to be free of them, and where some feature is unknown."""
    from matplotlib.colors import ListedColormap

    figure, grid = panels(1, 1, *backdrop.panel_size(1))
    axes = grid[0][0]
    backdrop.draw(axes)
    missing = np.where(usable, np.nan, 1.0)
    backdrop.overlay(axes, missing, cmap=ListedColormap([_MISSING_COLOR]))
    for value, color, name in ((ABSENCE, "#1f6f8b", "free of landslides"), (LANDSLIDE, "#c1440e", "landslides")):
        x, y = backdrop.points_km(some_of(np.flatnonzero(labels == value)))
        if x.size:
            axes.plot(x, y, ".", color=color, markersize=3, label=name)
    axes.plot([], [], "s", color=_MISSING_COLOR, label="some feature unknown")
    axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3, frameon=False)
    axes.set_xlabel("km", fontsize=8)
    axes.set_ylabel("km", fontsize=8)
    save_figure(figure, path)


def draw_classes(path: Path, maps: Mapping[Candidate, MappedCandidate]) -> None:
    """Draw, for each class of each map, its share of the area and of the landslides, seen and held out."""
    sets = list(dict.fromkeys(candidate.feature_set for candidate in maps))
    models = list(dict.fromkeys(candidate.model for candidate in maps))
    figure, grid = panels(len(models), len(sets), 4.2, 2.4)
    for row, model in enumerate(models):
        for column, feature_set in enumerate(sets):
            axes = grid[row][column]
            mapped = maps.get(Candidate(feature_set, model))
            if mapped is None:
                axes.set_visible(False)
                continue
            classes, held_out = mapped.classes.rows, mapped.held_out.rows
            places = np.arange(len(classes))
            axes.bar(places - 0.2, [100.0 * each.area_share for each in classes], 0.4, color="#b9b2a3", label="area")
            shares = [100.0 * each.landslide_share for each in classes]
            axes.bar(places + 0.2, shares, 0.4, color="#c1440e", label="landslides")
            unseen = [100.0 * each.landslide_share for each in held_out]
            axes.plot(places + 0.2, unseen, "D", color="black", markersize=3.5, label="held-out landslides")
            axes.set_xticks(places, [f"{each.lower:.2g}-{each.upper:.2g}" for each in classes], fontsize=7)
            axes.set_ylim(0.0, 100.0)
            axes.tick_params(axis="y", labelsize=7)
            axes.set_title(f"{MODELS[model].title}, {title_of(feature_set)}", fontsize=9)
        grid[row][0].set_ylabel("share, %", fontsize=8)
    grid[0][0].legend(fontsize=7, frameon=False, loc="upper center")
    for axes in grid[-1]:
        axes.set_xlabel("class", fontsize=8)
    save_figure(figure, path)


def draw_applicability(
    path: Path, dissimilarity: Mapping[Candidate, tuple[Any, float]], backdrop: UnitBackdrop
) -> None:
    """Draw the dissimilarity of each candidate, (row,) and its threshold: what lies beyond it in colour."""
    from matplotlib.colors import ListedColormap

    columns = min(3, len(dissimilarity))
    figure, grid = panels(math.ceil(len(dissimilarity) / columns), columns, *backdrop.panel_size(columns))
    flat = [axes for row in grid for axes in row]
    for axes, (candidate, (values, threshold)) in zip(flat, dissimilarity.items(), strict=False):
        backdrop.draw(axes)
        backdrop.draw_units(axes)
        beyond = np.where(np.asarray(values) > threshold, 1.0, np.nan)
        backdrop.overlay(axes, beyond, cmap=ListedColormap(["#7b3fa0"]), alpha=0.85)
        known = np.isfinite(values)
        share = 100.0 * float(np.nansum(beyond)) / max(int(known.sum()), 1)
        axes.set_title(f"{MODELS[candidate.model].title}, {title_of(candidate.feature_set)}: {share:.1f} %", fontsize=9)
        axes.set_xlabel("km", fontsize=8)
    for row in grid:
        row[0].set_ylabel("km", fontsize=8)
    for axes in flat[len(dissimilarity) :]:
        axes.set_visible(False)
    save_figure(figure, path)


def _largest(maps: Mapping[Candidate, NDArray[np.float32]], sets: Sequence[str]) -> float:
    """Upper end of the scale: 1 for probabilities, for densities what nearly all are below."""
    tops = [np.nanquantile(values, 0.995) for each, values in maps.items() if each.feature_set in sets]
    top = float(max(tops, default=1.0))
    return 1.0 if not 0.0 < top < 0.5 else top


def some_of(rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Every so many of them, as many as a picture can show."""
    return rows[:: max(1, math.ceil(rows.size / _MOST_POINTS))]
