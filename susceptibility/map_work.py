"""The map of one candidate: prediction of every unit, its classes, whether it can be right and where to trust it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from susceptibility.applicability import ApplicabilityModel
from susceptibility.class_bounds import BoundsMethod, ClassBounds, classify, find_bounds
from susceptibility.classes import ClassTable, LandslideMeasure, tabulate_classes, tabulate_held_out
from susceptibility.dataset import Dataset
from susceptibility.design import Candidate
from susceptibility.ensemble import RowPredictions, predict_rows
from susceptibility.errors import InputError
from susceptibility.evaluation import Evaluation, SampledRows
from susceptibility.models.learner import SusceptibilityModel
from susceptibility.partitions import SCHEMES
from susceptibility.perturbation import FeatureErrors
from susceptibility.plausibility import Finding, check_plausibility, measure_smoothness
from susceptibility.study import Study, is_density
from susceptibility.workers import run_in_threads

M2_PER_UNKNOWN_AREA = 1e6
"""Area that a unit of unknown area counts with where shares of the area are stated."""

_BREAKS = {
    "equal": BoundsMethod.EQUAL,
    "natural": BoundsMethod.NATURAL_BREAKS,
    "quantiles": BoundsMethod.QUANTILES,
}


@dataclass(frozen=True, slots=True)
class MappedCandidate:
    """Of one candidate.

    Attributes
    ----------
    predictions
        For every unit.
    bounds, classes, held_out
        Bounds of classes; area and landslides of each; the same with landslides that models had not seen.
    findings
        Whether the map can be right.
    applicability
        What tells how unlike the training rows a unit is; None where it was not asked for.
    dissimilarity
        (row,) float32 in a file; None likewise.
    """

    predictions: RowPredictions
    bounds: ClassBounds
    classes: ClassTable
    held_out: ClassTable
    findings: tuple[Finding, ...]
    applicability: ApplicabilityModel | None
    dissimilarity: NDArray[np.float32] | None

    @property
    def unlike_share(self) -> float:
        """Share of the units with a prediction that lie outside the area of applicability; NaN if not asked for."""
        if self.applicability is None or self.dissimilarity is None:
            return float("nan")
        known = np.isfinite(self.predictions.probability)
        return float((~self.applicability.is_applicable(self.dissimilarity[known])).mean()) if known.any() else np.nan


def map_candidate(
    study: Study,
    rows: SampledRows,
    candidate: Candidate,
    models: Sequence[SusceptibilityModel],
    evaluation: Evaluation,
    weights: NDArray[np.float64],
    folder: Path,
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> MappedCandidate:
    """Predict every unit of a study with the models of a candidate.

    Parameters
    ----------
    study, rows
        What is predicted, and the rows that were trained on.
    candidate, models
        Which models, one for each draw.
    evaluation
        Whose held-out predictions of spatial folds the classes are judged by.
    weights
        (feature,) importance, by which units are compared with training rows.
    folder
        Where arrays are kept, as long as they are used.
    workers, progress
        As of `susceptibility.evaluation.evaluate`.
    """
    data, asked = study.data, study.recipe.map
    names = study.design.names(candidate.feature_set)
    predictions = predict_rows(
        models,
        partial(data.matrix, names=names),
        data.count,
        folder,
        errors=errors_of(data, names, asked.perturbations, asked.error_correlation),
        key="1",  # the folder is of one recipe on the same files
        workers=workers,
        progress=progress,
        seed=study.design.seed,
    )
    values = predictions.probability
    bounds, trouble = usable_bounds(_BREAKS[asked.breaks], asked.classes, values, _highest(study, values))
    area = data.area_m2(slice(0, data.count))
    area = np.where(np.isfinite(area), area, M2_PER_UNKNOWN_AREA)
    landslides, measure = _landslides(study, area)
    table = tabulate_classes(values, area, landslides, bounds, measure)
    held_out = _held_out(study, table, evaluation, candidate, bounds)
    smoothness = None
    if data.units is not None:
        painted = data.paint(classify(values, bounds), np.uint8(0))
        smoothness = measure_smoothness(painted(slice(0, data.units.grid.rows)))
    findings = (*trouble, *check_plausibility(table, held_out=held_out, smoothness=smoothness))
    applicability, dissimilarity = None, None
    if asked.applicability:
        applicability = _applicability(study, rows, names, models[0], weights)
        dissimilarity = _dissimilarities(applicability, models[0], data, names, folder, workers)
    return MappedCandidate(predictions, bounds, table, held_out, findings, applicability, dissimilarity)


def _highest(study: Study, values: NDArray[np.float32]) -> float:
    """Upper end of the classes: 1 for a probability, for a density the largest that is predicted.

    Densities are far below 1 nearly everywhere, so that one class would hold the whole map.
    """
    if not is_density(study):
        return 1.0
    largest = max(float(np.fmax.reduce(np.asarray(values[rows]), initial=0.0)) for rows in study.data.blocks())
    return largest or 1.0


def usable_bounds(
    method: BoundsMethod, classes: int, values: NDArray[np.float32], highest: float
) -> tuple[ClassBounds, tuple[Finding, ...]]:
    """Bounds of classes as asked for; equal ones, which is told, where predictions are too alike for that."""
    try:
        return find_bounds(method, classes, values, lowest=0.0, highest=highest), ()
    except InputError as error:
        # All but the map is done by now: it is not thrown away for its classes.
        found = Finding(
            "classes are those asked for",
            False,
            f"Predictions are too alike for {classes} classes by {method.value.replace('_', ' ')} ({error.found}): "
            "classes are of equal width instead.",
        )
        return find_bounds(BoundsMethod.EQUAL, classes, values, lowest=0.0, highest=highest), (found,)


def errors_of(data: Dataset, names: Sequence[str], perturbations: int, correlation: float) -> FeatureErrors | None:
    """Errors of those features that have a standard deviation; None where there are none or they are not asked for."""
    columns = tuple(index for index, name in enumerate(names) if name in data.sigma)
    if not columns or perturbations == 0:
        return None
    having = [names[column] for column in columns]
    is_absolute = tuple(name in data.is_absolute for name in having)
    bases = [name.replace("_absolute", "", 1) if name in data.is_absolute else name for name in having]
    # Of larger units the mean magnitude is not the magnitude of the mean, so that signs do not help.
    knows_signs = data.kind == "cells" and all(base in data.columns for base in bases)
    return FeatureErrors(
        columns,
        partial(data.errors, names=having),
        perturbations=perturbations,
        correlation=correlation,
        is_absolute=is_absolute,
        sources=tuple(sorted(set(bases)).index(base) for base in bases) if knows_signs else (),
        signed=partial(data.matrix, names=bases) if knows_signs else None,
    )


def _landslides(study: Study, area: NDArray[np.float64]) -> tuple[NDArray[np.float64], LandslideMeasure]:
    """Landslides of each unit, and what they are counted by."""
    target = study.target
    if study.recipe.study.target == "areal_density":
        return target * area, LandslideMeasure.AREA_M2
    if study.recipe.study.target == "number_density":
        return target * area / 1e6, LandslideMeasure.COUNT
    return target, LandslideMeasure.COUNT


def _held_out(
    study: Study, table: ClassTable, evaluation: Evaluation, candidate: Candidate, bounds: ClassBounds
) -> ClassTable:
    folds = evaluation.folds[candidate, evaluation.spatial_schemes[0]]
    predicted = np.concatenate([result.probability for result in folds])
    target = np.concatenate([result.target for result in folds])
    is_landslide = target > study.design.positive_above
    cells = np.concatenate([study.samples[result.draw].cells[result.test] for result in folds])
    times = np.count_nonzero(is_landslide) / max(np.unique(cells[is_landslide]).size, 1)
    return tabulate_held_out(table, predicted, is_landslide, bounds, times=times or 1.0)


def _applicability(
    study: Study,
    rows: SampledRows,
    names: Sequence[str],
    model: SusceptibilityModel,
    weights: NDArray[np.float64],
) -> ApplicabilityModel:
    first = next(
        partition for partition in study.partitions if SCHEMES[partition.scheme].is_spatial and partition.draw == 0
    )
    columns = model.preprocessor_.transform(rows.features(0, names))
    # Some models read numbers of classes, which have no distance.
    is_class = [column.is_class for column in model.preprocessor_.columns_]
    return ApplicabilityModel(seed=study.design.seed).fit(
        columns, column_weights(model, weights), np.asarray(first.fold), is_class=is_class
    )


def column_weights(model: SusceptibilityModel, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weight of each column that a model is fitted on, from those of its features; ones where none of them counts."""
    found = weights[model.preprocessor_.source_]
    return found if (found > 0.0).any() else np.ones(found.size)


def _dissimilarities(
    applicability: ApplicabilityModel,
    model: SusceptibilityModel,
    data: Dataset,
    names: Sequence[str],
    folder: Path,
    workers: int | None,
) -> NDArray[np.float32]:
    path = folder / "dissimilarity.npy"
    found = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(data.count,))

    def compute(rows: slice) -> None:
        found[rows] = applicability.dissimilarity(model.preprocessor_.transform(data.matrix(rows, names)))

    run_in_threads([partial(compute, rows) for rows in data.blocks()], workers=workers)
    return found
