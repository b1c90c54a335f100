"""Pictures of a result: maps, curves, comparisons, importance, reliability, folds, classes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from susceptibility.evaluation import COMPARED, Candidate, ComparisonRow, Evaluation, ImportanceRow, MetricRow
from susceptibility.figure_parts import panels, save_figure
from susceptibility.inventory import ABSENCE, LANDSLIDE
from susceptibility.mapping import ClassRow
from susceptibility.metrics import Curve, precision_recall_curve, roc_curve
from susceptibility.models import MODELS
from susceptibility.validation import SCHEMES, FoldResult, Partition

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LARGEST_IMAGE = 900  # cells along a side; larger maps are thinned
_MOST_POINTS = 3000  # landslide cells marked on a map
_SET_COLORS = ("#6b7785", "#c1440e", "#1f6f8b", "#5d8a3a", "#7b5ea7", "#b08900")
_GROUP_COLORS = {"terrain": "#8a7f6a", "rasters": "#5d8a3a", "insar": "#c1440e"}
_MODEL_STYLES = ("-", "--", ":", "-.")
_FOLD_COLORS = (
    "#1f6f8b",
    "#c1440e",
    "#b08900",
    "#5d8a3a",
    "#7b5ea7",
    "#6b7785",
    "#d98c9f",
    "#2b3a42",
    "#8fb8c9",
    "#a5672e",
)
_MISSING_COLOR = "#cbbfe0"
_BINS = 10
_RATES: NDArray[np.float64] = np.linspace(0.0, 1.0, 201)


def title_of(feature_set: str) -> str:
    """How a feature set is called in pictures and pages."""
    return feature_set.replace("_insar", " + InSAR").replace("_", " ")


class Backdrop:
    """Shaded relief of the study area, thinned for pictures.

    Parameters
    ----------
    elevation
        (row, col) metres, NaN where unknown.
    grid
        Its grid.
    """

    def __init__(self, elevation: NDArray[np.float32], grid: Grid) -> None:
        self.grid = grid
        self.step = max(1, math.ceil(max(grid.shape) / _LARGEST_IMAGE))
        west, south, east, north = grid.bounds
        self.extent_km = (0.0, (east - west) / 1000.0, 0.0, (north - south) / 1000.0)
        width, height = (size * self.step for size in grid.resolution)
        thinned = np.asarray(elevation[:: self.step, :: self.step], np.float64)
        self.shade = _shade(thinned, width, height)

    def thin(self, plane: NDArray[Any]) -> NDArray[Any]:
        """A layer of the study at the resolution of pictures."""
        return np.asarray(plane[:: self.step, :: self.step])

    def draw(self, axes: Axes) -> None:
        """Draw the relief and label the axes."""
        axes.set_facecolor("#f2f0ec")
        axes.imshow(self.shade, cmap="gray", vmin=0.0, vmax=1.0, extent=self.extent_km, interpolation="nearest")
        axes.set_aspect("equal")
        axes.tick_params(labelsize=7)

    def overlay(self, axes: Axes, plane: NDArray[Any], **options: Any) -> Any:
        """Draw a layer over the relief."""
        return axes.imshow(self.thin(plane), extent=self.extent_km, interpolation="nearest", **options)

    def points_km(self, cells: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Places of cells, by flat index, in kilometres from the south-west corner."""
        rows, cols = np.divmod(cells, self.grid.cols)
        width, height = self.grid.resolution
        return (cols + 0.5) * width / 1000.0, (self.grid.rows - rows - 0.5) * height / 1000.0


def draw_maps(
    path: Path,
    maps: Mapping[Candidate, NDArray[np.float32]],
    backdrop: Backdrop,
    labels: NDArray[np.uint8],
) -> None:
    """Draw probability, one row for each model and one column for each feature set; with two sets, what changed."""
    sets = list(dict.fromkeys(candidate.feature_set for candidate in maps))
    models = list(dict.fromkeys(candidate.model for candidate in maps))
    columns = len(sets) + (len(sets) == 2)
    figure, grid = panels(len(models), columns, *_map_size(backdrop, columns))
    landslides = _some(np.flatnonzero(labels == LANDSLIDE))
    image = change = None
    for row, model in enumerate(models):
        for column, feature_set in enumerate(sets):
            axes = grid[row][column]
            backdrop.draw(axes)
            image = backdrop.overlay(
                axes, maps[Candidate(feature_set, model)], cmap="YlOrRd", vmin=0.0, vmax=1.0, alpha=0.8
            )
            x, y = backdrop.points_km(landslides)
            axes.plot(x, y, "o", color="black", markersize=1.3, markeredgewidth=0.0, zorder=3)
            axes.set_title(f"{MODELS[model].title}, {title_of(feature_set)}", fontsize=9)
        if len(sets) == 2:
            axes = grid[row][2]
            backdrop.draw(axes)
            first, second = (maps[Candidate(feature_set, model)] for feature_set in sets)
            change = backdrop.overlay(axes, second - first, cmap="RdBu_r", vmin=-0.6, vmax=0.6, alpha=0.85)
            axes.set_title(f"{title_of(sets[1])} minus {title_of(sets[0])}", fontsize=9)
    for row_axes in grid:
        row_axes[0].set_ylabel("km", fontsize=8)
    for axes in grid[-1]:
        axes.set_xlabel("km", fontsize=8)
    if image is not None:
        _scale(figure, image, grid[-1][: len(sets)], "probability, relative to the sample; dots: landslide cells")
    if change is not None:
        _scale(figure, change, grid[-1][2:], "change of probability")
    save_figure(figure, path)


def _scale(figure: Figure, image: Any, below: Sequence[Axes], label: str) -> None:
    bar = figure.colorbar(image, ax=list(below), location="bottom", shrink=0.9, aspect=12 * len(below) + 12)
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=7)


def draw_curves(path: Path, evaluation: Evaluation, metrics: Sequence[MetricRow]) -> None:
    """Draw ROC and precision-recall curves, one column for each scheme, each the mean over all folds."""
    schemes = evaluation.schemes
    figure, grid = panels(2, len(schemes), 4.6, 4.2)
    mean = {(row.feature_set, row.model, row.scheme, row.metric): row.mean for row in metrics}
    sets = list(evaluation.design.feature_sets)
    models = list(evaluation.design.models)
    kinds: list[tuple[str, Curve, str, str]] = [
        ("auc_roc", roc_curve, "false positive rate", "true positive rate"),
        ("auc_pr", precision_recall_curve, "recall", "precision"),
    ]
    for row, (metric, curve, x_label, y_label) in enumerate(kinds):
        for column, scheme in enumerate(schemes):
            axes = grid[row][column]
            for candidate in evaluation.design.candidates:
                results = evaluation.folds[candidate, scheme]
                axes.plot(
                    _RATES,
                    mean_curve(results, curve),
                    color=_SET_COLORS[sets.index(candidate.feature_set) % len(_SET_COLORS)],
                    linestyle=_MODEL_STYLES[models.index(candidate.model) % len(_MODEL_STYLES)],
                    linewidth=1.5,
                    label=f"{MODELS[candidate.model].title}, {title_of(candidate.feature_set)}: "
                    f"{mean[*candidate, scheme, metric]:.3f}",
                )
            prevalence = mean[*evaluation.design.candidates[0], scheme, "prevalence"]
            chance = _RATES if metric == "auc_roc" else np.full_like(_RATES, prevalence)
            axes.plot(_RATES, chance, color="#b9b9b9", linewidth=0.8)
            axes.set(xlim=(0.0, 1.0), ylim=(0.0, 1.02), xlabel=x_label, ylabel=y_label)
            axes.set_title(f"{'ROC' if row == 0 else 'precision-recall'}, {SCHEMES[scheme].title} folds", fontsize=10)
            axes.legend(fontsize=7, loc="lower right" if row == 0 else "lower left", frameon=False)
    save_figure(figure, path)


def mean_curve(results: Sequence[FoldResult], curve: Curve) -> NDArray[np.float64]:
    """Average of the curves of all folds at the rates 0, 0.005, ..., 1."""
    each = [np.interp(_RATES, *_without_steps(*curve(result.target, result.probability))) for result in results]
    return np.asarray(np.mean(each, axis=0))


def draw_comparison(path: Path, rows: Sequence[ComparisonRow]) -> None:
    """Draw the paired differences of AUC-ROC with their 95 % intervals."""
    shown = [row for row in rows if row.difference.metric == COMPARED[0]]
    figure, grid = panels(1, 1, 7.2, 0.9 + 0.38 * len(shown))
    axes = grid[0][0]
    axes.axvline(0.0, color="#555555", linewidth=0.9)
    for place, row in enumerate(reversed(shown)):
        difference = row.difference
        color = {"gain": "#2e7d4f", "loss": "#b3261e", "no gain": "#6b7785"}[row.verdict]
        if math.isfinite(difference.lower):
            axes.plot([difference.lower, difference.upper], [place, place], color=color, linewidth=2.0)
        axes.plot(difference.mean, place, "o", color=color, markersize=5)
    axes.set_yticks(
        range(len(shown)),
        [
            f"{MODELS[row.model].title}, {SCHEMES[row.scheme].title}: {title_of(row.candidate)} ({row.verdict})"
            for row in reversed(shown)
        ],
        fontsize=8,
    )
    axes.set_ylim(-0.6, len(shown) - 0.4)
    axes.set_xlabel(f"AUC-ROC minus that of {title_of(shown[0].baseline)}, with 95 % interval", fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    save_figure(figure, path)


def draw_importance(path: Path, rows: Sequence[ImportanceRow], groups: Mapping[str, str]) -> None:
    """Draw permutation importance of the last feature set, the fullest, one panel for each model."""
    from matplotlib.patches import Patch

    last = rows[-1].feature_set
    shown = [row for row in rows if row.feature_set == last]
    models = list(dict.fromkeys(row.model for row in shown))
    features = list(dict.fromkeys(row.feature for row in shown))
    figure, grid = panels(1, len(models), 3.9, 1.3 + 0.27 * len(features))
    for axes, model in zip(grid[0], models, strict=True):
        own = sorted((row for row in shown if row.model == model), key=lambda row: row.permutation_mean)
        axes.barh(
            [row.feature for row in own],
            [row.permutation_mean for row in own],
            xerr=[row.permutation_std for row in own],
            color=[_GROUP_COLORS.get(groups[row.feature], "#6b7785") for row in own],
            error_kw={"elinewidth": 0.8, "ecolor": "#333333"},
        )
        axes.axvline(0.0, color="#555555", linewidth=0.8)
        axes.set_title(f"{MODELS[model].title}, {title_of(last)}", fontsize=9)
        axes.set_xlabel("drop of AUC-ROC", fontsize=8)
        axes.tick_params(labelsize=7.5)
    present = [name for name in _GROUP_COLORS if name in {groups[feature] for feature in features}]
    handles = [Patch(color=_GROUP_COLORS[name], label=name.replace("insar", "InSAR")) for name in present]
    grid[0][-1].legend(handles=handles, fontsize=7, loc="lower right", frameon=False)
    save_figure(figure, path)


def draw_reliability(path: Path, evaluation: Evaluation, scheme: str) -> None:
    """Draw the observed share of landslides against the predicted probability, on held-out folds."""
    sets = list(evaluation.design.feature_sets)
    figure, grid = panels(1, len(sets), 4.2, 4.0)
    for axes, feature_set in zip(grid[0], sets, strict=True):
        axes.plot([0.0, 1.0], [0.0, 1.0], color="#b9b9b9", linewidth=0.8)
        for number, model in enumerate(evaluation.design.models):
            results = evaluation.folds[Candidate(feature_set, model), scheme]
            predicted, observed = reliability(
                np.concatenate([result.target for result in results]),
                np.concatenate([result.probability for result in results]),
            )
            style = _MODEL_STYLES[number % len(_MODEL_STYLES)]
            color = _SET_COLORS[sets.index(feature_set) % len(_SET_COLORS)]
            axes.plot(predicted, observed, style, color=color, marker="o", markersize=3.5, label=MODELS[model].title)
        axes.set(xlim=(0.0, 1.0), ylim=(0.0, 1.0), xlabel="predicted probability", ylabel="share of landslides")
        axes.set_title(f"{title_of(feature_set)}, {SCHEMES[scheme].title} folds", fontsize=10)
        axes.legend(fontsize=7, loc="upper left", frameon=False)
    save_figure(figure, path)


def reliability(target: NDArray[Any], probability: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean predicted probability and share of landslides in tenths of probability that hold at least 5 cells."""
    tenth = np.minimum((np.asarray(probability) * _BINS).astype(np.intp), _BINS - 1)
    count = np.bincount(tenth, minlength=_BINS)
    enough = count >= 5
    predicted = np.bincount(tenth, probability, minlength=_BINS)[enough] / count[enough]
    observed = np.bincount(tenth, target, minlength=_BINS)[enough] / count[enough]
    return predicted, observed


def draw_folds(
    path: Path,
    partitions: Sequence[Partition],
    cells: NDArray[np.intp],
    backdrop: Backdrop,
) -> None:
    """Draw the folds of the first split by each scheme."""
    first = {partition.scheme: partition for partition in reversed(partitions) if partition.draw == 0}
    schemes = [scheme for scheme in SCHEMES if scheme in first]
    figure, grid = panels(1, len(schemes), *_map_size(backdrop, len(schemes)))
    x, y = backdrop.points_km(cells)
    for axes, scheme in zip(grid[0], schemes, strict=True):
        backdrop.draw(axes)
        partition = first[scheme]
        for fold in range(partition.folds):
            inside = _some(np.flatnonzero(partition.fold == fold))
            color = _FOLD_COLORS[fold % len(_FOLD_COLORS)]
            axes.plot(x[inside], y[inside], ".", color=color, markersize=3, label=f"{fold + 1}")
        axes.set_title(f"{SCHEMES[scheme].title} folds", fontsize=9)
        axes.set_xlabel("km", fontsize=8)
    grid[0][0].set_ylabel("km", fontsize=8)
    grid[0][-1].legend(title="fold", title_fontsize=7, fontsize=7, loc="center left", bbox_to_anchor=(1.01, 0.5))
    save_figure(figure, path)


def draw_classes(path: Path, classes: Mapping[Candidate, Sequence[ClassRow]]) -> None:
    """Draw, for each class of each map, its share of the area and of the landslide cells."""
    sets = list(dict.fromkeys(candidate.feature_set for candidate in classes))
    models = list(dict.fromkeys(candidate.model for candidate in classes))
    figure, grid = panels(len(models), len(sets), 4.2, 2.4)
    for row, model in enumerate(models):
        for column, feature_set in enumerate(sets):
            axes = grid[row][column]
            rows = classes[Candidate(feature_set, model)]
            places = np.arange(len(rows))
            axes.bar(places - 0.2, [100.0 * each.area_share for each in rows], 0.4, color="#b9b2a3", label="area")
            shares = [100.0 * each.landslide_share for each in rows]
            axes.bar(places + 0.2, shares, 0.4, color="#c1440e", label="landslide cells")
            axes.set_xticks(places, [f"{each.lower:g}-{each.upper:g}" for each in rows], fontsize=7)
            axes.set_ylim(0.0, 100.0)
            axes.tick_params(axis="y", labelsize=7)
            axes.set_title(f"{MODELS[model].title}, {title_of(feature_set)}", fontsize=9)
        grid[row][0].set_ylabel("share, %", fontsize=8)
    grid[0][0].legend(fontsize=7, frameon=False, loc="upper center")
    for axes in grid[-1]:
        axes.set_xlabel("class of probability", fontsize=8)
    save_figure(figure, path)


def draw_inventory(path: Path, backdrop: Backdrop, labels: NDArray[np.uint8], usable: NDArray[np.bool_]) -> None:
    """Draw landslide cells, cells known to be free of them, and where some feature is unknown."""
    from matplotlib.colors import ListedColormap

    figure, grid = panels(1, 1, *_map_size(backdrop, 1))
    axes = grid[0][0]
    backdrop.draw(axes)
    missing = np.where(usable, np.nan, 1.0)
    backdrop.overlay(axes, missing, cmap=ListedColormap([_MISSING_COLOR]))
    for value, color, name in ((ABSENCE, "#1f6f8b", "free of landslides"), (LANDSLIDE, "#c1440e", "landslide cells")):
        x, y = backdrop.points_km(_some(np.flatnonzero(labels == value)))
        if x.size:
            axes.plot(x, y, ".", color=color, markersize=3, label=name)
    axes.plot([], [], "s", color=_MISSING_COLOR, label="some feature unknown")
    axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3, frameon=False)
    axes.set_ylabel("km", fontsize=8)
    save_figure(figure, path)


def _without_steps(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Highest value at each place, so that the curve can be interpolated."""
    places, start = np.unique(x, return_index=True)
    return places, np.maximum.reduceat(y, start)


def _some(cells: NDArray[np.intp]) -> NDArray[np.intp]:
    return cells[:: max(1, math.ceil(cells.size / _MOST_POINTS))]


def _shade(elevation: NDArray[np.float64], width: float, height: float) -> NDArray[np.float64]:
    """Brightness of a surface lit from the north-west at 45 degrees, 0 to 1."""
    if min(elevation.shape) < 2:
        return np.where(np.isfinite(elevation), 0.7, np.nan)
    southward, eastward = np.gradient(elevation, height, width)
    normal = np.sqrt(1.0 + eastward**2 + southward**2)
    light = (eastward + southward) / math.sqrt(2.0) * math.sqrt(0.5) + math.sqrt(0.5)
    return np.asarray(0.35 + 0.65 * np.clip(light / normal, 0.0, 1.0))


def _map_size(backdrop: Backdrop, columns: int) -> tuple[float, float]:
    """Width and height of one map in inches."""
    width = min(4.6, 14.0 / columns)
    _, east, _, north = backdrop.extent_km
    return width, min(max(width * north / east, 1.6), 7.0) + 0.7
