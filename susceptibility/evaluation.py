"""Every model on every feature set by every validation scheme, all on the same rows and folds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from susceptibility.comparison import Difference, Verdict, paired_difference
from susceptibility.dataset import Dataset
from susceptibility.design import Candidate, Design, seed_of_draw
from susceptibility.metrics import metrics_of, score, summarize
from susceptibility.models.learner import SusceptibilityModel
from susceptibility.partitions import SCHEMES, Partition
from susceptibility.records import read_record, write_record
from susceptibility.sampling import Sample
from susceptibility.schema import Task
from susceptibility.validation import FoldResult, validate_fold
from susceptibility.workers import run_in_processes, run_in_threads

TRAINING = "training"
"""In tables, the scheme of scores on the very rows a model was fitted on: no validation, but it shows overfitting."""

COMPARED: dict[Task, tuple[str, ...]] = {
    Task.CLASSIFICATION: ("auc_roc", "auc_pr", "csi", "brier"),
    Task.REGRESSION: ("r2", "spearman", "rmse", "auc_roc"),
}
"""Metrics in which feature sets are compared; the first decides whether there is a gain."""

Tell = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class SampledRows:
    """Features of all rows that are in a sample, in a file that processes share.

    Attributes
    ----------
    path
        Array (row, feature) float32, its bytes alone.
    names
        Of the features.
    samples
        One for each draw.
    positions
        Of each draw's rows in the array.
    areas
        Of each draw's rows, the ground that each stands for, m2: its own, times the rows that could have been drawn
        for each that was.
    """

    path: Path
    names: tuple[str, ...]
    samples: tuple[Sample, ...]
    positions: tuple[NDArray[np.intp], ...]
    areas: tuple[NDArray[np.float64], ...]

    @classmethod
    def of(cls, data: Dataset, names: Sequence[str], samples: tuple[Sample, ...], path: Path) -> SampledRows:
        """Read them from a dataset into a file."""
        rows = np.unique(np.concatenate([sample.cells for sample in samples]))
        path.parent.mkdir(parents=True, exist_ok=True)
        data.matrix(rows, names).astype(np.float32, copy=False).tofile(path)
        areas = []
        for sample in samples:
            own = np.asarray(data.area_m2(sample.cells), np.float64)
            # Unknown areas are those of a table without them: its units count as alike.
            areas.append(np.where(np.isfinite(own), own, 1.0) * sample.weight)
        positions = tuple(np.searchsorted(rows, sample.cells) for sample in samples)
        return cls(path, tuple(names), samples, positions, tuple(areas))

    def features(self, draw: int, names: Sequence[str]) -> NDArray[np.float32]:
        """Some of the features of one draw: (row, feature)."""
        columns = np.array([self.names.index(name) for name in names], np.intp)
        # Bare numbers: the header of a .npy file is parsed by `ast`, which threads disturb each other in.
        stored = np.memmap(self.path, np.float32, "r").reshape(-1, len(self.names))
        return np.ascontiguousarray(stored[np.ix_(self.positions[draw], columns)])


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric of a candidate under a scheme, over folds, repeats and draws; see `summarize`."""

    feature_set: str
    model: str
    scheme: str
    metric: str
    mean: float
    std: float
    q05: float
    q95: float
    values: int


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """A model with one feature set against the same with the first one, see `Difference`."""

    model: str
    scheme: str
    baseline: str
    candidate: str
    difference: Difference
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Outcome of `evaluate`: results of every fold by candidate and scheme, in the same order for all candidates."""

    design: Design
    folds: dict[tuple[Candidate, str], list[FoldResult]]

    @property
    def schemes(self) -> list[str]:
        """Schemes that were used."""
        return list(dict.fromkeys(scheme for _, scheme in self.folds))

    @property
    def spatial_schemes(self) -> list[str]:
        """Those of them that keep folds apart in space."""
        return [scheme for scheme in self.schemes if SCHEMES[scheme].is_spatial]

    def metric_rows(self) -> list[MetricRow]:
        """Mean and spread of every metric of every candidate."""
        return [
            metric_row(candidate, scheme, name, [result.metrics[name] for result in results])
            for (candidate, scheme), results in self.folds.items()
            for name in metrics_of(self.design.task)
        ]

    def comparison_rows(self, baseline: str | None = None, others: Sequence[str] | None = None) -> list[ComparisonRow]:
        """Each feature set against the first, for every model that can use both, and every scheme."""
        first, *rest = self.design.feature_sets
        against = first if baseline is None else baseline
        rows = []
        for other in rest if others is None else others:
            for model in self.design.plans:
                for scheme in self.schemes:
                    pair = [self.folds.get((Candidate(each, model), scheme)) for each in (against, other)]
                    if pair[0] is None or pair[1] is None:
                        continue
                    for metric in COMPARED[self.design.task]:
                        difference = paired_difference(pair[0], pair[1], metric)
                        better = metrics_of(self.design.task)[metric].higher_is_better is not False
                        verdict = difference.verdict(higher_is_better=better)
                        rows.append(ComparisonRow(model, scheme, against, other, difference, verdict))
        return rows


def evaluate(
    design: Design,
    rows: SampledRows,
    partitions: Sequence[Partition],
    *,
    folder: Path | None = None,
    groups: Mapping[str, str] | None = None,
    workers: int | None = None,
    progress: Tell | None = None,
) -> Evaluation:
    """Validate every candidate on every fold of every partition.

    Parameters
    ----------
    design
        What is compared.
    rows
        Features of all draws.
    partitions
        Each of one draw.
    folder
        Where the result of each fold is kept as soon as it is there; those that are in it are not computed again.
    groups
        Group of each feature, which are permuted together, too.
    workers
        Fits at the same time; the result does not depend on it.
    progress
        Told how many fits are done, of how many.
    """
    schemes = list(dict.fromkeys(partition.scheme for partition in partitions))
    explained = next(scheme for scheme in schemes if SCHEMES[scheme].is_spatial)
    keys: list[tuple[Candidate, str]] = []
    tasks: list[Callable[[], FoldResult]] = []
    for candidate in design.candidates:
        names = design.names(candidate.feature_set)
        members = _members(names, groups or {})
        for partition in partitions:
            # Importance from one split of each draw: further ones cost much and tell little.
            with_importance = partition.scheme == explained and partition.repeat == 0
            for fold in range(partition.folds):
                keys.append((candidate, partition.scheme))
                tasks.append(
                    partial(
                        _validate,
                        rows,
                        names,
                        partial(
                            validate_fold,
                            design.builder(candidate),
                            partition=partition,
                            fold=fold,
                            seed=design.seed,
                            permutations=design.permutations if with_importance else 0,
                            task=design.task,
                            positive_above=design.positive_above,
                            scorer=design.score,
                            groups=members,
                        ),
                        partition.draw,
                        design.weighted,
                    )
                )
    results = _run(tasks, folder, workers, progress)
    folds: dict[tuple[Candidate, str], list[FoldResult]] = {}
    for key, result in zip(keys, results, strict=True):
        folds.setdefault(key, []).append(result)
    return Evaluation(design, folds)


def _validate(
    rows: SampledRows, names: Sequence[str], validate: Callable[..., FoldResult], draw: int, weighted: bool
) -> FoldResult:
    sample = rows.samples[draw]
    weight = sample.weight if weighted else None
    return validate(
        features=rows.features(draw, names),
        target=sample.target,
        sample_weight=weight,
        score_weight=weight,
        area=rows.areas[draw],
    )


def _members(names: Sequence[str], groups: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    """Columns of each group of features that are permuted together."""
    members: dict[str, tuple[int, ...]] = {}
    for column, name in enumerate(names):
        if name in groups:
            members[groups[name]] = (*members.get(groups[name], ()), column)
    return members if len(members) > 1 else {}


def _run(
    tasks: Sequence[Callable[[], FoldResult]], folder: Path | None, workers: int | None, progress: Tell | None
) -> list[FoldResult]:
    """Results of all tasks; with a folder each is kept there, and those that are there are read."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    paths = [None if folder is None else folder / f"{number:06d}.npz" for number in range(len(tasks))]
    waiting = [number for number, path in enumerate(paths) if path is None or not path.is_file()]
    done = len(tasks) - len(waiting)

    def tell(finished: int) -> None:
        if progress is not None:
            progress(done + finished, len(tasks))

    def keep(number: int, result: FoldResult) -> None:
        path = paths[waiting[number]]
        if path is not None:
            write_record(path, result)

    if done:
        tell(0)
    computed = run_in_processes([tasks[number] for number in waiting], workers=workers, progress=tell, keep=keep)
    found = dict(zip(waiting, computed, strict=True))
    return [
        found[number] if number in found or path is None else read_record(path, FoldResult)
        for number, path in enumerate(paths)
    ]


def fit_models(
    design: Design,
    rows: SampledRows,
    partitions: Sequence[Partition],
    *,
    workers: int | None = None,
    progress: Tell | None = None,
) -> tuple[dict[Candidate, list[SusceptibilityModel]], list[MetricRow]]:
    """Fit every candidate on each whole draw, as needed for maps.

    Parameters
    ----------
    design, rows
        As of `evaluate`.
    partitions
        Splits of the draws: blocks of the first spatial one stay together where rows are split for calibration.
    workers, progress
        As of `evaluate`.

    Returns
    -------
    fitted
        Models of each candidate, one for each draw.
    rows
        Their metrics on the rows they were fitted on, under the scheme `TRAINING`.
    """
    blocks = {
        partition.draw: partition.groups
        for partition in reversed(partitions)
        if SCHEMES[partition.scheme].is_spatial and partition.groups is not None
    }

    def fit(candidate: Candidate, sample: Sample) -> tuple[SusceptibilityModel, dict[str, float]]:
        features = rows.features(sample.draw, design.names(candidate.feature_set))
        model = design.builder(candidate)(seed_of_draw(design, sample.draw))
        weight = sample.weight if design.weighted else None
        groups = usable_groups(blocks.get(sample.draw), design)
        model.fit(features, sample.target, sample_weight=weight, groups=groups)
        metrics = score(
            sample.target,
            model.predict(features),
            task=design.task,
            positive_above=design.positive_above,
            weight=weight,
            area=rows.areas[sample.draw],
        )
        return model, metrics

    keys = [(candidate, sample) for candidate in design.candidates for sample in rows.samples]
    told = None if progress is None else partial(_tell, progress, len(keys))
    results = run_in_threads(
        [partial(fit, candidate, sample) for candidate, sample in keys], workers=workers, progress=told
    )
    fitted: dict[Candidate, list[SusceptibilityModel]] = {}
    scores: dict[Candidate, list[dict[str, float]]] = {}
    for (candidate, _), (model, metrics) in zip(keys, results, strict=True):
        fitted.setdefault(candidate, []).append(model)
        scores.setdefault(candidate, []).append(metrics)
    found = [
        metric_row(candidate, TRAINING, name, [each[name] for each in values])
        for candidate, values in scores.items()
        for name in metrics_of(design.task)
    ]
    return fitted, found


def usable_groups(groups: NDArray[np.intp] | None, design: Design) -> NDArray[np.intp] | None:
    """Groups for splits within the training rows; None where there are too few to split."""
    if groups is None:
        return None
    folds = max(
        [plan.calibration.folds for plan in design.plans.values()]
        + [plan.search.folds for plan in design.plans.values() if plan.search is not None]
    )
    return groups if np.unique(groups).size >= 2 * folds else None


def metric_row(candidate: Candidate, scheme: str, name: str, values: Sequence[float]) -> MetricRow:
    """Summarise one metric of a candidate; values that are unknown count for nothing."""
    known = np.asarray([value for value in values if not math.isnan(value)])
    return MetricRow(candidate.feature_set, candidate.model, scheme, name, **summarize(known), values=known.size)


def _tell(progress: Tell, total: int, done: int) -> None:
    progress(done, total)
