"""From a recipe to a result folder: join, sample, validate, fit, explain, map, report."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from susceptibility.bundle import write_bundle
from susceptibility.comparison import paired_difference
from susceptibility.design import Candidate, Design
from susceptibility.evaluation import (
    Evaluation,
    SampledRows,
    evaluate,
    fit_models,
)
from susceptibility.explain import AblationRow, ablation_sets, summarize_ablation
from susceptibility.explanations import FEATURE, ImportanceRow, explain_candidates, importance_rows
from susceptibility.map_work import map_candidate
from susceptibility.metrics import metrics_of
from susceptibility.outcome import Outcome
from susceptibility.provenance import bundle_of, provenance_of, versions
from susceptibility.publishing import staged_folder, write_manifest
from susceptibility.recipe import Recipe, dump_recipe
from susceptibility.result_files import folder_of, write_result
from susceptibility.study import Study, prepare_study
from susceptibility.workers import Progress
from susceptibility.workspace import kept_workspace, key_of

logger = logging.getLogger(__name__)

KIND = "susceptibility"
"""What the manifest of a result says it is."""


def run_study(
    recipe: Recipe,
    output: Path,
    *,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Run a recipe and write its result folder.

    A run that is killed leaves its work in a hidden folder beside the result, and the next run of the same recipe on
    the same files goes on from there.

    Parameters
    ----------
    recipe
        From `read_recipe`.
    output
        Result folder, new or empty. It is untouched unless all goes well.
    overwrite
        Whether a former result there is replaced.
    workers
        Fits and predictions at the same time; None for one on each core. The result does not depend on it.
    progress
        Told what is being done.

    Returns
    -------
    Path
        The report.

    Raises
    ------
    SusceptibilityError
        The input or the options are wrong.
    """
    tell = progress or _ignore
    with staged_folder(output, KIND, overwrite=overwrite) as folder, work_of(recipe, output) as work:
        study = prepare_study(recipe, work, tell)
        outcome = compute(study, work, workers, tell)
        tell("writing", 0, 1)
        write_result(folder, study, outcome)
        for candidate, models in outcome.fitted.items():
            bundle = bundle_of(study, outcome, candidate, models)
            write_bundle(folder / "model" / folder_of(candidate), bundle)
        write_manifest(folder, KIND, provenance_of(study))
        tell("writing", 1, 1)
    return output / "report.html"


def work_of(recipe: Recipe, output: Path) -> AbstractContextManager[Path]:
    """Folder for work in progress on a recipe."""
    # Of other versions, work that is kept may hold other numbers.
    settings = "\n".join([dump_recipe(recipe), *(f"{name} {version}" for name, version in versions().items())])
    return kept_workspace(output, key_of(settings, recipe.files().values()))


def compute(study: Study, work: Path, workers: int | None, tell: Progress) -> Outcome:
    """Validate, fit, explain and map a study."""
    recipe, data, design = study.recipe, study.data, study.design
    wanted = {name for title in design.feature_sets for name in design.names(title)}
    rows = SampledRows.of(
        data, [name for name in data.names if name in wanted], study.samples, work / "sampled.bin"
    )  # fmt: skip
    groups = {feature.name: feature.group for feature in data.schema}
    evaluation = evaluate(
        design, rows, study.partitions, folder=work / "folds", groups=groups, workers=workers,
        progress=_named(tell, "validating"),
    )  # fmt: skip
    ablation = _ablation(study, rows, evaluation, work, workers, tell) if recipe.explain.ablation else {}
    fitted, training = fit_models(
        design, rows, study.partitions, workers=workers, progress=_named(tell, "fitting")
    )  # fmt: skip
    explanations = explain_candidates(
        design,
        rows,
        fitted,
        most_rows=recipe.explain.shap_rows,
        with_shap=recipe.explain.shap,
        with_dependence=recipe.explain.dependence,
        workers=workers,
        progress=_named(tell, "explaining"),
    )
    importance = tuple(importance_rows(evaluation, fitted, explanations))
    maps = {}
    for candidate, models in fitted.items():
        maps[candidate] = map_candidate(
            study,
            rows,
            candidate,
            models,
            evaluation,
            _weights(importance, candidate, design),
            work / "maps" / folder_of(candidate),
            workers=workers,
            progress=_named(tell, f"mapping {folder_of(candidate)}"),
        )
    return Outcome(
        evaluation,
        (*evaluation.metric_rows(), *training),
        tuple(evaluation.comparison_rows()),
        importance,
        ablation,
        fitted,
        explanations,
        maps,
    )


def _weights(importance: tuple[ImportanceRow, ...], candidate: Candidate, design: Design) -> NDArray[np.float64]:
    """Weight of each feature where rows are compared: its permutation importance, all alike where there is none."""
    found = {
        row.name: row.permutation_mean
        for row in importance
        if (row.feature_set, row.model) == candidate and row.kind == FEATURE
    }
    weights = np.array([max(found.get(name, 0.0), 0.0) for name in design.names(candidate.feature_set)])
    return weights if np.isfinite(weights).all() and weights.any() else np.ones(weights.size)


def _ablation(
    study: Study, rows: SampledRows, evaluation: Evaluation, work: Path, workers: int | None, tell: Progress
) -> dict[Candidate, list[AblationRow]]:
    """What every model loses without each group of the features of the largest set, on the same folds."""
    design = study.design
    whole = max(design.feature_sets, key=lambda title: len(design.feature_sets[title]))
    schema = design.feature_sets[whole]
    sets = ablation_sets(schema)
    scheme = evaluation.spatial_schemes[0]
    models = [candidate.model for candidate in design.candidates if candidate.feature_set == whole]
    reduced = Design(
        feature_sets={title: study.data.features(names) for title, names in sets.items()},
        plans={name: design.plans[name] for name in models},
        candidates=tuple(Candidate(title, name) for title in sets for name in models if _suits(design, name)),
        task=design.task,
        upper=design.upper,
        seed=design.seed,
        permutations=0,
        score=design.score,
        positive_above=design.positive_above,
        weighted=design.weighted,
    )
    partitions = [partition for partition in study.partitions if partition.scheme == scheme]
    found = evaluate(
        reduced, rows, partitions, folder=work / "ablation", workers=workers,
        progress=_named(tell, "leaving groups out"),
    )  # fmt: skip
    metric = "rmse" if design.score == "mse" else design.score
    better = metrics_of(design.task)[metric].higher_is_better is not False
    result = {}
    for name in dict.fromkeys(candidate.model for candidate in reduced.candidates):
        baseline = evaluation.folds[Candidate(whole, name), scheme]
        differences = {
            title: paired_difference(baseline, found.folds[Candidate(title, name), scheme], metric) for title in sets
        }
        result[Candidate(whole, name)] = summarize_ablation(schema, differences, higher_is_better=better)
    return result


def _suits(design: Design, model: str) -> bool:
    """Whether a model can do without any of its features."""
    from susceptibility.models import MODELS

    return not MODELS[model].required_features(design.plans[model].options)


def _named(tell: Progress, what: str) -> Callable[[int, int], None]:
    return partial(tell, what)


def _ignore(_what: str, _done: int, _total: int) -> None:
    """Stand in for a progress callback."""
