"""Susceptibility maps: a probability for every cell whose features are known, and classes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from insar.layers import LayerDefinition, row_slices, write_layer
from susceptibility.class_bounds import classify as classify_by
from susceptibility.class_bounds import equal_bounds
from susceptibility.features import FeatureStore
from susceptibility.inventory import LANDSLIDE
from susceptibility.models import Classifier
from susceptibility.workers import available_cores, run_in_threads

PROBABILITY = LayerDefinition(
    "probability",
    "1",
    "Landslide susceptibility: probability relative to the share of landslides in the training sample, 0 to 1",
)
PROBABILITY_STD = LayerDefinition(
    "probability_std", "1", "Standard deviation of the probability over models trained on different draws of cells"
)

_CELLS_AT_ONCE = 65_536


@dataclass(frozen=True, slots=True)
class SusceptibilityMap:
    """Predictions for a whole grid, in files.

    Attributes
    ----------
    probability
        (row, col) mean over the estimators, 0 to 1; NaN where a feature is unknown.
    std
        (row, col) their standard deviation; None for a single estimator.
    """

    probability: NDArray[np.float32]
    std: NDArray[np.float32] | None


def predict_map(
    estimators: Sequence[Classifier],
    store: FeatureStore,
    names: Sequence[str],
    folder: Path,
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SusceptibilityMap:
    """Predict every cell of a grid, a block of rows at a time.

    Parameters
    ----------
    estimators
        Fitted on the features `names`, in that order; their probabilities are averaged.
    store
        The features.
    names
        Which of them.
    folder
        Where the arrays are kept, as long as the map is used.
    workers
        Blocks predicted at the same time; the result does not depend on it.
    progress
        Told how many rows are done, of how many.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shape = store.grid.shape
    probability = np.lib.format.open_memmap(folder / "probability.npy", mode="w+", dtype=np.float32, shape=shape)
    std = None
    if len(estimators) > 1:
        std = np.lib.format.open_memmap(folder / "probability_std.npy", mode="w+", dtype=np.float32, shape=shape)
    step = max(1, _CELLS_AT_ONCE // store.grid.cols)
    slices = list(row_slices(store.grid.rows, step))
    batch = 4 * (workers or available_cores())  # few enough tasks at a time to tell of progress and to be stopped

    def predict(rows: slice) -> None:
        mean, spread = _predict_block(estimators, store.read_rows(rows, names))
        probability[rows] = mean
        if std is not None:
            std[rows] = spread

    for start in range(0, len(slices), batch):
        run_in_threads([partial(predict, rows) for rows in slices[start : start + batch]], workers=workers)
        if progress is not None:
            progress(slices[min(start + batch, len(slices)) - 1].stop, store.grid.rows)
    return SusceptibilityMap(probability, std)


def _predict_block(
    estimators: Sequence[Classifier], block: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    cells = block.reshape(-1, block.shape[-1])
    known = np.isfinite(cells).all(axis=1)
    mean = np.full(len(cells), np.nan, np.float32)
    spread = np.full(len(cells), np.nan, np.float32)
    if known.any():
        wanted = cells[known]
        each = np.stack([np.asarray(estimator.predict_proba(wanted)[:, 1], np.float64) for estimator in estimators])
        mean[known] = each.mean(axis=0)
        spread[known] = each.std(axis=0, ddof=1) if len(each) > 1 else np.nan
    return mean.reshape(block.shape[:2]), spread.reshape(block.shape[:2])


def class_edges(classes: int) -> NDArray[np.float64]:
    """Upper bounds of all classes but the last, which are equal steps of probability."""
    return np.array(equal_bounds(classes).inner)


def classify(probability: NDArray[np.float32], classes: int) -> NDArray[np.uint8]:
    """Class of each cell, 1 for the lowest; 0 where the probability is unknown. A bound belongs to the class above."""
    return classify_by(probability, equal_bounds(classes))


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One class of a map.

    `lower` and `upper` bound its probabilities. `density_per_km2` is of landslide cells in the class;
    `frequency_ratio` is its share of the landslide cells over its share of the area, NaN for an empty class.
    """

    number: int
    lower: float
    upper: float
    cells: int
    area_km2: float
    area_share: float
    landslide_cells: int
    landslide_share: float
    density_per_km2: float
    frequency_ratio: float


def tabulate_classes(
    probability: NDArray[np.float32], labels: NDArray[np.uint8], grid: Grid, classes: int
) -> list[ClassRow]:
    """Area and landslide density of each class of a map.

    Parameters
    ----------
    probability
        (row, col), NaN where unknown.
    labels
        (row, col) from `rasterize_inventory`. All landslide cells count, those that the model was trained on too.
    grid
        Their grid, in metres.
    classes
        Number of equal steps.
    """
    cells = np.zeros(classes + 1, np.int64)
    landslides = np.zeros(classes + 1, np.int64)
    for rows in row_slices(grid.rows, 256):
        numbers = classify(probability[rows], classes)
        cells += np.bincount(numbers.ravel(), minlength=classes + 1)
        landslides += np.bincount(numbers[labels[rows] == LANDSLIDE], minlength=classes + 1)
    width, height = grid.resolution
    cell_km2 = width * height / 1e6
    total, total_landslides = int(cells[1:].sum()), int(landslides[1:].sum())
    bounds = [0.0, *class_edges(classes).tolist(), 1.0]
    table = []
    for number in range(1, classes + 1):
        area_share = _ratio(float(cells[number]), total)
        landslide_share = _ratio(float(landslides[number]), total_landslides)
        table.append(
            ClassRow(
                number=number,
                lower=bounds[number - 1],
                upper=bounds[number],
                cells=int(cells[number]),
                area_km2=float(cells[number] * cell_km2),
                area_share=area_share,
                landslide_cells=int(landslides[number]),
                landslide_share=landslide_share,
                density_per_km2=_ratio(float(landslides[number]), float(cells[number] * cell_km2)),
                frequency_ratio=_ratio(landslide_share, area_share),
            )
        )
    return table


def write_map(predicted: SusceptibilityMap, grid: Grid, classes: int, folder: Path, tags: dict[str, str]) -> list[Path]:
    """Write ``probability.tif``, ``class.tif`` and, over several draws, ``probability_std.tif``."""
    folder.mkdir(parents=True, exist_ok=True)
    steps = ", ".join(f"{number + 1} from {edge:g}" for number, edge in enumerate([0.0, *class_edges(classes)]))
    class_layer = LayerDefinition("class", "class", f"Equal steps of probability: {steps}", dtype="uint8", nodata=0)
    written = [folder / "probability.tif", folder / "class.tif"]
    write_layer(written[0], predicted.probability, grid, PROBABILITY, tags=tags)
    write_layer(written[1], lambda rows: classify(predicted.probability[rows], classes), grid, class_layer, tags=tags)
    if predicted.std is not None:
        written.append(folder / "probability_std.tif")
        write_layer(written[-1], predicted.std, grid, PROBABILITY_STD, tags=tags)
    return written


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")
