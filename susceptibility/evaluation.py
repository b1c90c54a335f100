"""Every model on every feature set by every validation scheme, all on the same cells and folds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from susceptibility.metrics import METRICS, score, summarize
from susceptibility.models import MODELS, Classifier, ModelOptions
from susceptibility.sampling import Sample
from susceptibility.validation import (
    SCHEMES,
    Difference,
    FoldResult,
    Partition,
    Verdict,
    landslide_probability,
    paired_difference,
    validate_fold,
)
from susceptibility.workers import run_in_processes, run_in_threads

TRAINING = "training"
"""In tables, the scheme of scores on the very cells a model was fitted on: no validation, but it shows overfitting."""

COMPARED = ("auc_roc", "auc_pr", "csi", "brier")
"""Metrics in which feature sets are compared; the first decides whether there is a gain."""


class Candidate(NamedTuple):
    """A model on a feature set, both by name."""

    feature_set: str
    model: str


@dataclass(frozen=True, slots=True)
class Design:
    """What is compared.

    Attributes
    ----------
    feature_sets
        Feature names of each set.
    models
        Options of each model, by the model's name.
    seed
        Of all models.
    permutations
        Shuffles of each feature for its importance.
    """

    feature_sets: Mapping[str, tuple[str, ...]]
    models: Mapping[str, ModelOptions]
    seed: int
    permutations: int

    @property
    def candidates(self) -> list[Candidate]:
        """Every model on every feature set."""
        return [Candidate(feature_set, model) for feature_set in self.feature_sets for model in self.models]

    def builder(self, model: str) -> Callable[[int], Classifier]:
        """Makes an unfitted estimator of a model from a seed."""
        return partial(MODELS[model].build, self.models[model])


@dataclass(frozen=True, slots=True)
class DrawnTable:
    """Features of one sample, (cell, feature) in the order of `names`."""

    sample: Sample
    names: tuple[str, ...]
    features: NDArray[np.float32]

    def columns(self, names: Sequence[str]) -> NDArray[np.float32]:
        """Some of the features: (cell, feature)."""
        return np.ascontiguousarray(self.features[:, [self.names.index(name) for name in names]])


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
class ImportanceRow:
    """What a feature is to a model: drop of AUC-ROC on held-out spatial folds, and the model's own measure.

    `permutation_mean` and `permutation_std` are over folds, draws and shuffles, NaN where none were made; `native` is
    the mean over draws of what `native_name` says.
    """

    feature_set: str
    model: str
    feature: str
    permutation_mean: float
    permutation_std: float
    native: float
    native_name: str


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
            for name in METRICS
        ]

    def comparison_rows(self) -> list[ComparisonRow]:
        """Each feature set against the first, for every model and scheme."""
        baseline, *others = self.design.feature_sets
        rows = []
        for other in others:
            for model in self.design.models:
                for scheme in self.schemes:
                    for metric in COMPARED:
                        difference = paired_difference(
                            self.folds[Candidate(baseline, model), scheme],
                            self.folds[Candidate(other, model), scheme],
                            metric,
                        )
                        better = METRICS[metric].higher_is_better is not False
                        verdict = difference.verdict(higher_is_better=better)
                        rows.append(ComparisonRow(model, scheme, baseline, other, difference, verdict))
        return rows

    def importance_rows(self, fitted: Mapping[Candidate, Sequence[Classifier]]) -> list[ImportanceRow]:
        """Importance of every feature to every candidate, from the first spatial scheme and from the fitted models."""
        rows = []
        for candidate in self.design.candidates:
            names = self.design.feature_sets[candidate.feature_set]
            definition = MODELS[candidate.model]
            native = np.mean([definition.native_importance(model) for model in fitted[candidate]], axis=0)
            drops = np.concatenate([result.importance for result in self.folds[candidate, self.spatial_schemes[0]]])
            for column, name in enumerate(names):
                values = drops[:, column]
                rows.append(
                    ImportanceRow(
                        candidate.feature_set,
                        candidate.model,
                        name,
                        float(values.mean()) if values.size else math.nan,
                        float(values.std(ddof=1)) if values.size > 1 else math.nan,
                        float(native[column]),
                        definition.native_importance_name,
                    )
                )
        return rows


def evaluate(
    design: Design,
    tables: Sequence[DrawnTable],
    partitions: Sequence[Partition],
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Validate every candidate on every fold of every partition.

    Parameters
    ----------
    design
        What is compared.
    tables
        One for each draw, in their order.
    partitions
        Each of one draw.
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
        build = design.builder(candidate.model)
        columns = [table.columns(design.feature_sets[candidate.feature_set]) for table in tables]
        for partition in partitions:
            # Importance from one split of each draw: further ones cost much and tell little.
            with_importance = partition.scheme == explained and partition.repeat == 0
            for fold in range(partition.folds):
                keys.append((candidate, partition.scheme))
                tasks.append(
                    partial(
                        validate_fold,
                        build,
                        columns[partition.draw],
                        tables[partition.draw].sample.target,
                        partition,
                        fold,
                        seed=design.seed,
                        permutations=design.permutations if with_importance else 0,
                    )
                )
    told = None if progress is None else partial(_tell, progress, len(tasks))
    folds: dict[tuple[Candidate, str], list[FoldResult]] = {}
    for key, result in zip(keys, run_in_processes(tasks, workers=workers, progress=told), strict=True):
        folds.setdefault(key, []).append(result)
    return Evaluation(design, folds)


def fit_models(
    design: Design,
    tables: Sequence[DrawnTable],
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[dict[Candidate, list[Classifier]], list[MetricRow]]:
    """Fit every candidate on each whole draw, as needed for maps.

    Returns
    -------
    fitted
        Estimators of each candidate, one for each draw.
    rows
        Their metrics on the cells they were fitted on, under the scheme `TRAINING`.
    """

    def fit(candidate: Candidate, table: DrawnTable) -> tuple[Classifier, dict[str, float]]:
        features = table.columns(design.feature_sets[candidate.feature_set])
        seed = int(np.random.default_rng([design.seed, table.sample.draw]).integers(2**31))
        estimator = design.builder(candidate.model)(seed)
        estimator.fit(features, table.sample.target)
        return estimator, score(table.sample.target, landslide_probability(estimator, features))

    keys = [(candidate, table) for candidate in design.candidates for table in tables]
    told = None if progress is None else partial(_tell, progress, len(keys))
    results = run_in_threads(
        [partial(fit, candidate, table) for candidate, table in keys], workers=workers, progress=told
    )
    fitted: dict[Candidate, list[Classifier]] = {}
    scores: dict[Candidate, list[dict[str, float]]] = {}
    for (candidate, _), (estimator, metrics) in zip(keys, results, strict=True):
        fitted.setdefault(candidate, []).append(estimator)
        scores.setdefault(candidate, []).append(metrics)
    rows = [
        metric_row(candidate, TRAINING, name, [each[name] for each in values])
        for candidate, values in scores.items()
        for name in METRICS
    ]
    return fitted, rows


def metric_row(candidate: Candidate, scheme: str, name: str, values: Sequence[float]) -> MetricRow:
    """Summarise one metric of a candidate."""
    return MetricRow(
        candidate.feature_set, candidate.model, scheme, name, **summarize(np.asarray(values)), values=len(values)
    )


def _tell(progress: Callable[[int, int], None], total: int, done: int) -> None:
    progress(done, total)
