"""Everything that a result folder holds: maps, tables, pictures, the report."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from susceptibility import figures, figures_explain, figures_study, tables
from susceptibility.backdrop import UnitBackdrop
from susceptibility.class_bounds import classify
from susceptibility.comparison import decisive_metric
from susceptibility.design import Candidate
from susceptibility.explain import ShapValues
from susceptibility.leakage import find_leakage
from susceptibility.models import MODELS
from susceptibility.outcome import Outcome
from susceptibility.partitions import SCHEMES
from susceptibility.profiles import Profile, profile_across, profile_along, read_lines
from susceptibility.provenance import context_of, facts_on, known_share, notes_on
from susceptibility.publishing import write_text
from susceptibility.recipe import dump_recipe
from susceptibility.report import ReportContent, write_report
from susceptibility.sampling import NegativeSource
from susceptibility.storage import read_raster
from susceptibility.study import Study, is_density
from susceptibility.unit_map import UnitMap, painted, write_rasters, write_units_file

TARGETS = {"presence": "landslide", "areal_density": "lad", "number_density": "number_density"}
"""Name of the target in joined tables, by that of the recipe."""


_QUANTITIES = {
    "presence": "probability, relative to the sample",
    "areal_density": "predicted areal density, share of the unit",
    "number_density": "predicted number density, landslides per km2",
}


def write_result(folder: Path, study: Study, outcome: Outcome) -> None:
    """Write all files of a result but the models and the manifest."""
    for candidate in outcome.maps:
        _write_map(folder / "maps" / folder_of(candidate), study, outcome, candidate)
    profiles = _profiles(study, outcome)
    if profiles:
        tables.write_profiles(folder / "profiles.csv", profiles)
    tables.write_metrics(folder, outcome, context_of(study))
    tables.write_importance(folder / "importance.csv", outcome.importance)
    tables.write_table(folder / "table.parquet", study.data, study.samples, context_of(study))
    tables.write_folds(folder / "folds.gpkg", study.data, study.samples, study.partitions)
    write_text(folder / "recipe.toml", dump_recipe(study.recipe))
    pictures = _draw(study, outcome, folder / "figures", profiles)
    write_report(folder / "report.html", _report(study, outcome, pictures))


def folder_of(candidate: Candidate) -> str:
    """Folder of a candidate's map under ``maps``, and of its models under ``model``."""
    return f"{candidate.model}_{candidate.feature_set}"


def _write_map(folder: Path, study: Study, outcome: Outcome, candidate: Candidate) -> None:
    mapped, data = outcome.maps[candidate], study.data
    applicable = None
    if mapped.applicability is not None and mapped.dissimilarity is not None:
        applicable = mapped.applicability.is_applicable(mapped.dissimilarity)
    unit_map = UnitMap(mapped.predictions, mapped.bounds, TARGETS[study.recipe.study.target], applicable)
    tags = {
        "MODEL": candidate.model,
        "FEATURES": " ".join(study.design.names(candidate.feature_set)),
        "DRAWS": str(len(study.samples)),
        "SAMPLE_PREVALENCE": f"{study.samples[0].prevalence:.6g}",
    }
    folder.mkdir(parents=True, exist_ok=True)
    if data.units is not None:
        write_rasters(unit_map, data.units.labels, data.units.grid, folder, tags=tags)
    if data.kind != "cells" and data.geometry is not None:
        write_units_file(unit_map, folder / "units.gpkg", data.crs, number=data.number, geometry=data.geometry)


def _profiles(study: Study, outcome: Outcome) -> dict[str, Profile]:
    """Susceptibility along the line of the recipe, or by the distance to its lines, of each candidate."""
    asked, data = study.recipe.map, study.data
    if asked.profile is None or data.units is None:
        return {}
    grid = data.units.grid
    lines = read_lines(asked.profile, data.crs)
    found = {}
    for candidate, mapped in outcome.maps.items():
        values = painted(mapped.predictions.probability, data.units.labels, np.nan)(slice(0, grid.rows))
        if len(lines) == 1:
            profile = profile_along(
                lines[0], values, grid, half_width_m=asked.profile_half_width_m, step_m=asked.profile_step_m
            )
        else:
            profile = profile_across(
                lines, values, grid, reach_m=asked.profile_half_width_m, step_m=asked.profile_step_m
            )
        found[f"{MODELS[candidate.model].title}, {figures.title_of(candidate.feature_set)}"] = profile
    return found


class _Album:
    """Pictures that are drawn into a folder, with their captions."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.captions: dict[Path, str] = {}

    def add(self, name: str, caption: str, draw: Callable[[Path], None]) -> None:
        """Draw one."""
        path = self.folder / f"{name}.png"
        draw(path)
        self.captions[path] = caption


def _draw(study: Study, outcome: Outcome, folder: Path, profiles: dict[str, Profile]) -> dict[Path, str]:
    """Draw all pictures; caption by file."""
    album = _Album(folder)
    elevation = None if study.elevation is None else read_raster(study.elevation)[0]
    backdrop = UnitBackdrop(study.data, elevation)
    _draw_maps(album, study, outcome, backdrop)
    _draw_scores(album, study, outcome)
    _draw_explanations(album, study, outcome)
    if profiles:
        from susceptibility.figures_maps import draw_profiles

        album.add(
            "profiles",
            "Susceptibility along the line, or by the distance to the lines, that the recipe names.",
            lambda path: draw_profiles(
                path,
                profiles,
                title="Susceptibility along the line, or by distance",
                label=_QUANTITIES[study.recipe.study.target],
                highest=None if is_density(study) else 1.0,
            ),
        )
    album.add(
        "inventory",
        "Units with landslides, and where some feature is unknown.",
        lambda path: figures_study.draw_inventory(path, backdrop, study.data.targets.labels, study.usable),
    )
    album.add(
        "folds",
        "Folds of the first split by each scheme: units of one colour are predicted by models that have not seen any "
        "of them.",
        lambda path: figures_study.draw_folds(path, study.partitions, study.samples[0].cells, backdrop),
    )
    return album.captions


def _draw_maps(album: _Album, study: Study, outcome: Outcome, backdrop: UnitBackdrop) -> None:
    maps = {candidate: mapped.predictions.probability for candidate, mapped in outcome.maps.items()}
    quantity = _QUANTITIES[study.recipe.study.target]
    every = len(study.design.feature_sets)
    shown = "" if every <= 2 else " Of the feature sets the first and the last are shown."
    album.add(
        "maps",
        "Susceptibility by model and feature set. Units where a needed feature is unknown have no value." + shown,
        lambda path: figures_study.draw_maps(path, maps, backdrop, _landslide_units(study), quantity),
    )
    album.add(
        "classes",
        "Share of the area and of all landslides in each class; marks: of landslides that the models had not seen.",
        lambda path: figures_study.draw_classes(path, outcome.maps),
    )
    if backdrop.relief is not None and study.data.units is not None:
        from susceptibility.figures_maps import draw_class_map

        best = best_candidate(study, outcome)
        mapped = outcome.maps[best]
        painted_classes = study.data.paint(classify(mapped.predictions.probability, mapped.bounds), np.uint8(0))
        classes = painted_classes(slice(0, study.data.units.grid.rows))
        relief, title = backdrop.relief, f"{MODELS[best.model].title}, {figures.title_of(best.feature_set)}"
        album.add(
            "class_map",
            "Classes of the map that does best under spatial validation, with their bounds and shares.",
            lambda path: draw_class_map(path, classes, mapped.classes, relief, title=title),
        )
    unlike = {
        candidate: (mapped.dissimilarity, mapped.applicability.threshold_)
        for candidate, mapped in outcome.maps.items()
        if mapped.applicability is not None and mapped.dissimilarity is not None
    }
    if unlike:
        album.add(
            "applicability",
            "Outside the area of applicability, in colour: units unlike any that the model was trained on, of which "
            "its validation says nothing; with their share.",
            lambda path: figures_study.draw_applicability(path, unlike, backdrop),
        )


def _draw_scores(album: _Album, study: Study, outcome: Outcome) -> None:
    evaluation = outcome.evaluation
    scheme = evaluation.spatial_schemes[0]
    # Places that an inventory calls free were not drawn from the area: what share of it they stand for is unknown.
    of_what = "sample" if study.recipe.sampling.negatives is NegativeSource.INVENTORY else "area"
    album.add(
        "curves",
        "Curves on held-out folds, averaged over folds, repeats and draws; the numbers are mean areas under them.",
        lambda path: figures.draw_curves(path, evaluation, outcome.metrics),
    )
    album.add(
        "rates",
        f"Share of landslides in the most susceptible part of the {of_what}. Dashed: of the rows a model was fitted on "
        f"(success rate); full: of held-out {SCHEMES[scheme].title} folds (prediction rate).",
        lambda path: figures.draw_rates(path, evaluation, scheme, of_what),
    )
    if outcome.comparisons:
        album.add(
            "comparison",
            "Differences between feature sets on the same folds.",
            lambda path: figures.draw_comparison(path, outcome.comparisons),
        )
    if is_density(study):
        album.add(
            "densities",
            f"Predicted against observed density of units in held-out {SCHEMES[scheme].title} folds.",
            lambda path: figures.draw_densities(path, evaluation, scheme),
        )
    else:
        album.add(
            "reliability",
            "Predicted probability against the share of landslides in the held-out sample.",
            lambda path: figures.draw_reliability(path, evaluation, scheme),
        )


def _draw_explanations(album: _Album, study: Study, outcome: Outcome) -> None:
    scheme = outcome.evaluation.spatial_schemes[0]
    if study.design.permutations:
        album.add(
            "importance",
            f"Permutation importance on held-out {SCHEMES[scheme].title} folds; bars span 5 to 95 % over folds, draws "
            "and shuffles. Features that tell the same share their importance; below, all features of a source are "
            "shuffled together.",
            lambda path: figures.draw_importance(path, outcome.importance),
        )
    last = list(study.design.feature_sets)[-1]
    explained = {
        MODELS[candidate.model].title: each
        for candidate, each in outcome.explanations.items()
        if candidate.feature_set == last
    }
    for title, each in explained.items():
        if isinstance(each.shap, ShapValues):
            album.add(
                f"shap_{title.lower().replace(' ', '_')}",
                f"{title}: what each feature adds to the {each.shap.scale} of each sampled unit (Shapley values).",
                partial(
                    figures_explain.draw_shap_summary,
                    found=each.shap,
                    features=each.features,
                    schema=each.schema,
                    title=title,
                ),
            )
    curves = {title: each.curves for title, each in explained.items() if each.curves}
    if curves:
        album.add(
            "dependence",
            "Mean prediction as one feature is changed and the others stay (partial dependence); the band is the range "
            "over draws. Where features go together this asks of units that do not exist.",
            lambda path: figures_explain.draw_dependence(path, curves, "mean prediction"),
        )
    if outcome.ablation:
        rows = {MODELS[candidate.model].title: each for candidate, each in outcome.ablation.items()}
        metric = next(iter(rows.values()))[0].metric
        album.add(
            "ablation",
            "What models lose when they are fitted anew without a source of features, on the same spatial folds.",
            lambda path: figures_explain.draw_ablation(path, rows, figures.title_of_metric(metric)),
        )


def _landslide_units(study: Study) -> NDArray[np.intp]:
    target = study.target
    return np.flatnonzero(target > study.recipe.sampling.landslide_above)


def best_candidate(study: Study, outcome: Outcome) -> Candidate:
    """The candidate that does best under the first spatial scheme."""
    scheme = outcome.evaluation.spatial_schemes[0]
    decisive = decisive_metric(study.design.task)
    scores = {
        Candidate(row.feature_set, row.model): row.mean
        for row in outcome.metrics
        if row.scheme == scheme and row.metric == decisive and np.isfinite(row.mean)
    }
    return max(scores, key=lambda candidate: scores[candidate], default=study.design.candidates[0])


def _warnings(study: Study, outcome: Outcome) -> list[str]:
    """Of scores that fall from random folds to spatial ones as those of a model that knows places do."""
    evaluation = outcome.evaluation
    sentences = []
    for candidate in study.design.candidates:
        folds = {scheme: evaluation.folds[candidate, scheme] for scheme in evaluation.schemes}
        title = f"{MODELS[candidate.model].title}, {figures.title_of(candidate.feature_set)}"
        sentences += [
            f"{title}: {found.sentence}"
            for found in find_leakage(folds, metric=decisive_metric(study.design.task))
            if found.is_suspected
        ]
    return sentences


def _report(study: Study, outcome: Outcome, pictures: dict[Path, str]) -> ReportContent:
    shares = known_share(study)
    features = [
        (
            feature.name,
            feature.unit,
            feature.group,
            feature.description + (f" ({feature.sign})" if feature.sign else ""),
            shares[feature.name],
        )
        for feature in study.data.schema
    ]
    return ReportContent(
        title=study.recipe.study.name,
        facts=facts_on(study),
        features=features,
        census=study.census,
        metrics=outcome.metrics,
        comparisons=outcome.comparisons,
        maps=outcome.maps,
        searches=tables.search_rows(outcome.fitted),
        confusions=tables.confusion_rows(outcome.evaluation),
        warnings=_warnings(study, outcome),
        figures=pictures,
        notes=notes_on(study),
        task=study.design.task,
    )
