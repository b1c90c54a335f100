"""Pictures of explanations: importance with its range, Shapley values, dependence curves, what a group is worth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from susceptibility.explain import AblationRow, CurveSummary, ShapValues
from susceptibility.explain.groups import Range, feature_groups
from susceptibility.figure_parts import panels, save_figure
from susceptibility.schema import FeatureSchema

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS = ("#c1440e", "#1f6f8b", "#5d8a3a", "#b08900", "#7b5ea7", "#6b7785", "#d98c9f", "#2b3a42", "#8fb8c9", "#a5672e")
_STYLES = ("-", "--", ":", "-.")
_NEED_COLORS = {"needed": "#2e7d4f", "not shown": "#6b7785", "better without": "#b3261e"}
_LOW_TO_HIGH = ("#2b6cb0", "#d9d4cc", "#c1440e")
_MOST_POINTS = 600  # rows of a swarm or a scatter, beyond which its points cover each other
_ROW_INCHES = 0.32
_TICKS = 4


def group_colors(schema: Sequence[FeatureSchema]) -> dict[str, str]:
    """Colour of each group of features, the same in all pictures of a result."""
    return {group: _COLORS[place % len(_COLORS)] for place, group in enumerate(feature_groups(schema))}


def draw_importance_ranges(
    path: Path,
    ranges: Mapping[str, Mapping[str, Range]],
    label: str,
    colors: Mapping[str, str] | None = None,
    most: int = 20,
) -> None:
    """Draw importance as bars of the median with the range from 5 to 95 % over repeats, one panel for each model.

    Parameters
    ----------
    path
        PNG to write.
    ranges
        By title of the model, and by name of the feature or the group.
    label
        What importance is measured in, such as "drop of AUC-PR".
    colors
        Of bars, by their name.
    most
        Bars to show, those with the largest share of the importance of all models; all panels show the same.
    """
    names = list(dict.fromkeys(name for model in ranges.values() for name in model))
    share = dict.fromkeys(names, 0.0)
    for model in ranges.values():
        total = sum(abs(each.median) for each in model.values()) or 1.0
        for name, each in model.items():
            share[name] += each.median / total
    shown = sorted(names, key=lambda name: -share[name])[:most][::-1]
    figure, grid = panels(1, len(ranges), 4.2, 1.2 + 0.27 * len(shown))
    for axes, (title, model) in zip(grid[0], ranges.items(), strict=True):
        own = [(place, name, model[name]) for place, name in enumerate(shown) if name in model]
        places = [place for place, _, _ in own]
        medians = np.array([each.median for _, _, each in own])
        spread = [
            np.maximum(medians - [each.q05 for _, _, each in own], 0.0),
            np.maximum([each.q95 for _, _, each in own] - medians, 0.0),
        ]
        axes.barh(
            places,
            medians,
            xerr=spread,
            color=[(colors or {}).get(name, _COLORS[1]) for _, name, _ in own],
            height=0.72,
            error_kw={"elinewidth": 0.9, "ecolor": "#333333", "capsize": 2.0},
        )
        axes.axvline(0.0, color="#555555", linewidth=0.8)
        axes.set_ylim(-0.6, len(shown) - 0.4)
        axes.set_yticks(range(len(shown)), shown if axes is grid[0][0] else [""] * len(shown), fontsize=8)
        axes.tick_params(axis="x", labelsize=7.5)
        repeats = max((each.repeats for _, _, each in own), default=1)
        axes.set_title(title, fontsize=9)
        spread_of = f"\nmedian, and 5 to 95 % of {repeats} repeats" if repeats > 1 else ""
        axes.set_xlabel(label + spread_of, fontsize=8)
    save_figure(figure, path)


def draw_shap_summary(
    path: Path,
    found: ShapValues,
    features: NDArray[np.float32],
    schema: Sequence[FeatureSchema],
    title: str,
    most: int = 15,
) -> None:
    """Draw the Shapley values of each row as a swarm for each feature, coloured by the feature's value.

    Parameters
    ----------
    path
        PNG to write.
    found, features
        Values, and the (row, feature) that they explain.
    schema
        Of the features; classes are grey, since their numbers have no order.
    title
        Above the picture.
    most
        Features to show, by mean magnitude.
    """
    rows = _some(np.flatnonzero(np.isfinite(found.values).all(axis=1)))
    magnitudes = found.magnitudes()
    order = np.argsort(-magnitudes, kind="stable")[:most][::-1]
    figure, grid = panels(1, 1, 6.8, 1.3 + _ROW_INCHES * len(order))
    axes = grid[0][0]
    axes.axvline(0.0, color="#8d8d8d", linewidth=0.8)
    for place, column in enumerate(order):
        values = found.values[rows, column]
        colors = None if schema[column].is_class else _ranks(features[rows, column])
        _scatter(axes, values, place + _swarm(values), colors)
    axes.set_yticks(range(len(order)), [found.names[column] for column in order], fontsize=8)
    axes.set_ylim(-0.6, len(order) - 0.4)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlabel(f"what the feature adds, in {found.scale}" + _of_calibrated(found), fontsize=8)
    axes.set_title(title, fontsize=9)
    _rank_bar(figure, axes)
    save_figure(figure, path)


def draw_shap_dependence(
    path: Path,
    found: ShapValues,
    features: NDArray[np.float32],
    schema: Sequence[FeatureSchema],
    title: str,
    most: int = 6,
) -> None:
    """Draw what the most important features add, against their values; parameters as `draw_shap_summary`."""
    rows = _some(np.flatnonzero(np.isfinite(found.values).all(axis=1)))
    order = np.argsort(-found.magnitudes(), kind="stable")[:most]
    columns = min(3, len(order))
    figure, grid = panels(math.ceil(len(order) / columns), columns, 3.6, 2.7)
    flat = [axes for line in grid for axes in line]
    for axes, column in zip(flat, order, strict=False):
        feature = schema[column]
        value = features[rows, column].astype(np.float64)
        if feature.is_class:
            value = value + 0.6 * (_fractions(len(rows)) - 0.5)
            _class_ticks(axes, feature)
        axes.axhline(0.0, color="#8d8d8d", linewidth=0.8)
        axes.plot(
            value, found.values[rows, column], "o", color=_COLORS[1], markersize=2.2, alpha=0.5, markeredgewidth=0
        )
        axes.set_xlabel(_label(feature), fontsize=8)
        axes.tick_params(labelsize=7)
    for axes in flat[len(order) :]:
        axes.set_visible(False)
    for line in grid:
        line[0].set_ylabel(f"adds, in {found.scale}", fontsize=8)
    figure.suptitle(title + _of_calibrated(found), fontsize=9)
    save_figure(figure, path)


def draw_dependence(path: Path, curves: Mapping[str, Sequence[CurveSummary]], label: str) -> None:
    """Draw how predictions go with features: the median over repeats and the range from 5 to 95 %.

    Parameters
    ----------
    path
        PNG to write.
    curves
        By title of the model, one for each feature; the same kind for all.
    label
        What is predicted, such as "probability".
    """
    features = list(dict.fromkeys(curve.feature.name for model in curves.values() for curve in model))
    columns = min(4, len(features))
    figure, grid = panels(math.ceil(len(features) / columns), columns, 3.1, 2.6)
    flat = [axes for line in grid for axes in line]
    kinds = sorted({curve.kind for model in curves.values() for curve in model})
    for axes, name in zip(flat, features, strict=False):
        for number, (title, model) in enumerate(curves.items()):
            for curve in model:
                if curve.feature.name == name:
                    _draw_curve(axes, curve, number, len(curves), title)
        axes.tick_params(labelsize=7)
    for axes in flat[len(features) :]:
        axes.set_visible(False)
    # One scale for all panels, or the flattest curve would look as steep as the steepest.
    low = min(float(np.nanmin(curve.q05)) for model in curves.values() for curve in model)
    high = max(float(np.nanmax(curve.q95)) for model in curves.values() for curve in model)
    margin = 0.05 * (high - low) or 0.05
    for axes in flat:
        axes.set_ylim(low - margin, high + margin)
    for line in grid:
        line[0].set_ylabel(label, fontsize=8)
    if len(curves) > 1:
        flat[0].legend(fontsize=6.5, frameon=False)
    repeats = max(curve.repeats for model in curves.values() for curve in model)
    shade = f"; shaded: 5 to 95 % of {repeats} models" if repeats > 1 else ""
    figure.suptitle(f"{' and '.join(kinds)}{shade}", fontsize=9)
    save_figure(figure, path)


def draw_ablation(path: Path, rows: Mapping[str, Sequence[AblationRow]], metric: str) -> None:
    """Draw what models lose without each group of features, with 95 % intervals, one panel for each model.

    Parameters
    ----------
    path
        PNG to write.
    rows
        By title of the model.
    metric
        Title of the metric.
    """
    first = next(iter(rows.values()))
    groups = [row.group for row in first][::-1]
    figure, grid = panels(1, len(rows), 4.0, 1.2 + 0.34 * len(groups))
    for axes, (title, own) in zip(grid[0], rows.items(), strict=True):
        axes.axvline(0.0, color="#555555", linewidth=0.9)
        for row in own:
            place, color = groups.index(row.group), _NEED_COLORS[row.need]
            if math.isfinite(row.lower):
                axes.plot([row.lower, row.upper], [place, place], color=color, linewidth=2.0)
            axes.plot(row.loss, place, "o", color=color, markersize=5)
        names = [group.replace("insar", "InSAR").replace("_", " ") for group in groups]
        axes.set_yticks(range(len(groups)), names if axes is grid[0][0] else [""] * len(groups), fontsize=8)
        axes.set_ylim(-0.6, len(groups) - 0.4)
        axes.locator_params(axis="x", nbins=6)
        axes.tick_params(axis="x", labelsize=7.5)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel(f"loss of {metric} without the group", fontsize=8)
    save_figure(figure, path)


def _draw_curve(axes: Axes, curve: CurveSummary, number: int, models: int, title: str) -> None:
    color = _COLORS[number % len(_COLORS)]
    axes.set_xlabel(_label(curve.feature), fontsize=8)
    if curve.feature.is_class:
        place = curve.points + 0.7 * ((number + 0.5) / models - 0.5)
        spread = [np.maximum(curve.median - curve.q05, 0.0), np.maximum(curve.q95 - curve.median, 0.0)]
        axes.errorbar(place, curve.median, spread, fmt="o", color=color, markersize=4, elinewidth=1.2, label=title)
        _class_ticks(axes, curve.feature)
        return
    axes.locator_params(axis="x", nbins=5)
    axes.fill_between(curve.points, curve.q05, curve.q95, color=color, alpha=0.18, linewidth=0.0)
    axes.plot(curve.points, curve.median, _STYLES[number % len(_STYLES)], color=color, linewidth=1.5, label=title)
    # Where along the axis the rows are: the points are evenly spaced quantiles of them.
    floor, across = np.zeros(len(curve.points)), axes.get_xaxis_transform()
    axes.plot(curve.points, floor, "|", color="#555555", markersize=5, transform=across)


def _scatter(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], shade: NDArray[np.float64] | None) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    if shade is None:
        axes.plot(x, y, "o", color="#8d8d8d", markersize=2.6, markeredgewidth=0.0)
        return
    colors = LinearSegmentedColormap.from_list("value", _LOW_TO_HIGH)
    axes.scatter(x, y, c=shade, cmap=colors, vmin=0.0, vmax=1.0, s=6.0, linewidths=0.0)


def _rank_bar(figure: Figure, axes: Axes) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap

    scale = ScalarMappable(cmap=LinearSegmentedColormap.from_list("value", _LOW_TO_HIGH))
    bar = figure.colorbar(scale, ax=axes, shrink=0.6, aspect=25)
    bar.set_ticks([0.0, 1.0], labels=["low", "high"], fontsize=7)
    bar.set_label("value of the feature,\nby rank; classes grey", fontsize=7.5)


def _swarm(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Offsets between -0.4 and 0.4 that set points with like values apart, wider where there are more of them."""
    if values.size == 0:
        return np.zeros(0)
    low, high = float(values.min()), float(values.max())
    bins = np.minimum((60.0 * (values - low) / ((high - low) or 1.0)).astype(np.intp), 59)
    count = np.bincount(bins, minlength=60)
    order = np.argsort(bins, kind="stable")
    within = np.empty(len(values))
    within[order] = np.arange(len(values)) - np.repeat(np.cumsum(count) - count, count)
    # 0, 1, -1, 2, -2, ... about the middle, so that a lone point is on the line.
    side = np.where(within % 2 == 1, 1.0, -1.0) * np.ceil(within / 2.0)
    return np.asarray(0.8 * side / max(float(count.max()), 12.0))


def _ranks(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Rank of each value, 0 to 1, the same for equal values."""
    _, position, count = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - 0.5 * (count + 1.0)
    return np.asarray((middle / max(len(values) - 1.0, 1.0))[position])


def _fractions(count: int) -> NDArray[np.float64]:
    """Numbers spread over 0 to 1 without clusters, the same each time."""
    return np.asarray((np.arange(count) * 0.6180339887498949) % 1.0)


def _class_ticks(axes: Axes, feature: FeatureSchema) -> None:
    count = len(feature.classes)
    shown = [label if len(label) <= 14 else f"{label[:13]}…" for label in feature.classes]
    axes.set_xticks(range(1, count + 1), shown, rotation=90 if count > _TICKS else 0, fontsize=6.5)
    axes.set_xlim(0.5, count + 0.5)


def _label(feature: FeatureSchema) -> str:
    return f"{feature.name} ({feature.unit})" if feature.unit not in {"", "1", "class"} else feature.name


def _of_calibrated(found: ShapValues) -> str:
    return ", before calibration" if found.calibrated else ""


def _some(rows: NDArray[np.intp]) -> NDArray[np.intp]:
    return rows[:: max(1, math.ceil(rows.size / _MOST_POINTS))]
