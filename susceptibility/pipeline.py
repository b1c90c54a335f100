"""From a recipe to a result folder: join, sample, validate, fit, map, report."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from susceptibility import figures, tables
from susceptibility.coverage import mapped_cells
from susceptibility.evaluation import (
    Candidate,
    ComparisonRow,
    Design,
    DrawnTable,
    Evaluation,
    ImportanceRow,
    MetricRow,
    evaluate,
    fit_models,
)
from susceptibility.features import FeatureStore, elevation_of, inventory_of, join_features, study_grid
from susceptibility.inventory import UNLABELLED, InventoryCensus, rasterize_inventory
from susceptibility.mapping import ClassRow, SusceptibilityMap, predict_map, tabulate_classes, write_map
from susceptibility.models import Classifier
from susceptibility.publishing import checksum, staged_folder, write_manifest, write_text
from susceptibility.recipe import Recipe, dump_recipe
from susceptibility.report import ReportContent, as_facts, write_report
from susceptibility.sampling import NegativeSource, Sample, draw_sample
from susceptibility.storage import read_raster
from susceptibility.validation import SCHEMES, Partition, default_block_size, partition_cells
from susceptibility.workers import Progress

logger = logging.getLogger(__name__)

KIND = "susceptibility"
"""What the manifest of a result says it is."""

_PACKAGES = ("scarp", "numpy", "scikit-learn", "xgboost-cpu", "xgboost", "rasterio", "pyproj", "shapely")


@dataclass(frozen=True, slots=True)
class Study:
    """A recipe with its data: one grid, the features on it, and what the inventory says of each cell.

    Attributes
    ----------
    recipe
        Read and checked.
    store
        Features on the study grid.
    labels
        (row, col) from `rasterize_inventory`.
    census
        What became of the inventory.
    usable
        (row, col) True where every feature of every set is known: cells that are drawn from.
    samples
        One for each draw.
    partitions
        Splits of all samples.
    block_size_m
        Side of spatial blocks.
    """

    recipe: Recipe
    store: FeatureStore
    labels: NDArray[np.uint8]
    census: InventoryCensus
    usable: NDArray[np.bool_]
    samples: tuple[Sample, ...]
    partitions: tuple[Partition, ...]
    block_size_m: float

    @property
    def grid(self) -> Grid:
        """The study grid."""
        return self.store.grid

    @property
    def feature_sets(self) -> dict[str, tuple[str, ...]]:
        """Names of the features of each set."""
        return self.recipe.resolved_sets(self.store.columns)


@dataclass(frozen=True, slots=True)
class Outcome:
    """All numbers of a finished study."""

    evaluation: Evaluation
    metrics: tuple[MetricRow, ...]
    comparisons: tuple[ComparisonRow, ...]
    importance: tuple[ImportanceRow, ...]
    maps: Mapping[Candidate, SusceptibilityMap]
    classes: Mapping[Candidate, list[ClassRow]]


def run_study(
    recipe: Recipe,
    output: Path,
    *,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Run a recipe and write its result folder.

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
    with staged_folder(output, KIND, overwrite=overwrite) as folder:
        work = folder / ".work"
        study = prepare_study(recipe, work, tell)
        outcome = _compute(study, work, workers, tell)
        tell("writing", 0, 1)
        _write(study, outcome, folder, work)
        _discard(work)
        write_manifest(folder, KIND, _provenance(study))
        tell("writing", 1, 1)
    return output / "report.html"


def prepare_study(recipe: Recipe, work: Path, progress: Progress | None = None) -> Study:
    """Join features and inventory on one grid, draw the samples and split them.

    `work` is a folder for aligned features, needed as long as the study is.
    """
    grid = study_grid(recipe)
    logger.info("study grid: %d x %d cells of %g x %g m, %s", *grid.shape, *grid.resolution, grid.crs)
    inventory = inventory_of(recipe, grid)
    labels, census = rasterize_inventory(inventory, grid)
    store = join_features(recipe, grid, work / "features", progress)
    wanted = {name for names in recipe.resolved_sets(store.columns).values() for name in names}
    usable = store.known([name for name in store.names if name in wanted])
    if inventory.mapped is not None:
        # Beyond it nobody looked: a cell there is not one without landslides.
        usable &= mapped_cells(inventory.mapped, grid)
    census = replace(census, on_missing_data=int(((labels != UNLABELLED) & ~usable).sum()))
    logger.info("inventory: %s", ", ".join(f"{name} {count}" for name, count in census.as_dict().items()))
    samples = _draw_samples(recipe, labels, usable)
    partitions, block_size_m = _split(recipe, store, samples)
    return Study(recipe, store, labels, census, usable, samples, partitions, block_size_m)


def _negatives(recipe: Recipe) -> NegativeSource:
    if recipe.sampling.negatives is not None:
        return recipe.sampling.negatives
    return NegativeSource.INVENTORY if recipe.inventory.presence_field is not None else NegativeSource.DRAWN


def _draw_samples(recipe: Recipe, labels: NDArray[np.uint8], usable: NDArray[np.bool_]) -> tuple[Sample, ...]:
    negatives = _negatives(recipe)
    # The inventory's own absences are taken whole: one draw is all there is.
    draws = recipe.sampling.repeats if negatives is NegativeSource.DRAWN else 1
    return tuple(
        draw_sample(
            labels,
            usable,
            negatives=negatives,
            ratio=recipe.sampling.ratio,
            seed=recipe.sampling.seed,
            draw=draw,
        )
        for draw in range(draws)
    )


def _split(recipe: Recipe, store: FeatureStore, samples: tuple[Sample, ...]) -> tuple[tuple[Partition, ...], float]:
    settings = recipe.validation
    places = [store.coordinates_m(sample.cells) for sample in samples]
    block_size_m = settings.block_size_m or default_block_size(places[0])
    partitions = tuple(
        partition_cells(
            scheme,
            coordinates_m,
            sample.target,
            folds=settings.folds,
            block_size_m=block_size_m,
            seed=recipe.sampling.seed,
            draw=sample.draw,
            repeat=repeat,
        )
        for scheme in settings.schemes
        for sample, coordinates_m in zip(samples, places, strict=True)
        for repeat in range(settings.repeats)
    )
    return partitions, block_size_m


def _compute(study: Study, work: Path, workers: int | None, tell: Progress) -> Outcome:
    recipe, store = study.recipe, study.store
    design = Design(
        study.feature_sets,
        {name: recipe.model_options(name) for name in recipe.model_names},
        recipe.sampling.seed,
        recipe.explain.permutations,
    )
    drawn = [DrawnTable(sample, store.names, store.read_cells(sample.cells, store.names)) for sample in study.samples]
    evaluation = evaluate(design, drawn, study.partitions, workers=workers, progress=_named(tell, "validating"))
    fitted, training = fit_models(design, drawn, workers=workers, progress=_named(tell, "fitting"))
    maps, classes = _predict(study, design, fitted, work, workers, tell)
    return Outcome(
        evaluation,
        (*evaluation.metric_rows(), *training),
        tuple(evaluation.comparison_rows()),
        tuple(evaluation.importance_rows(fitted)),
        maps,
        classes,
    )


def _predict(
    study: Study,
    design: Design,
    fitted: Mapping[Candidate, list[Classifier]],
    work: Path,
    workers: int | None,
    tell: Progress,
) -> tuple[dict[Candidate, SusceptibilityMap], dict[Candidate, list[ClassRow]]]:
    maps, classes = {}, {}
    for candidate, estimators in fitted.items():
        maps[candidate] = predict_map(
            estimators,
            study.store,
            design.feature_sets[candidate.feature_set],
            work / folder_of(candidate),
            workers=workers,
            progress=_named(tell, f"mapping {folder_of(candidate)}"),
        )
        classes[candidate] = tabulate_classes(
            maps[candidate].probability, study.labels, study.grid, study.recipe.map.classes
        )
    return maps, classes


def folder_of(candidate: Candidate) -> str:
    """Folder of a candidate's map under ``maps``."""
    return f"{candidate.model}_{candidate.feature_set}"


def _write(study: Study, outcome: Outcome, folder: Path, work: Path) -> None:
    recipe, store = study.recipe, study.store
    for candidate, predicted in outcome.maps.items():
        tags = {
            "MODEL": candidate.model,
            "FEATURES": " ".join(study.feature_sets[candidate.feature_set]),
            "DRAWS": str(len(study.samples)),
            "SAMPLE_PREVALENCE": f"{study.samples[0].prevalence:.6g}",
        }
        write_map(predicted, study.grid, recipe.map.classes, folder / "maps" / folder_of(candidate), tags)
    tables.write_metrics(folder, outcome.metrics, outcome.comparisons, outcome.classes, _context(study))
    tables.write_importance(folder / "importance.csv", outcome.importance, store)
    tables.write_table(folder / "table.csv", store, study.samples)
    tables.write_folds(folder / "folds.gpkg", store, study.samples, study.partitions)
    write_text(folder / "recipe.toml", dump_recipe(recipe))
    pictures = _draw(study, outcome, folder / "figures", work)
    write_report(folder / "report.html", _report(study, outcome, pictures))


def _draw(study: Study, outcome: Outcome, folder: Path, work: Path) -> dict[Path, str]:
    """Draw all figures; caption by file."""
    folder.mkdir()
    elevation, _ = read_raster(elevation_of(work / "features"))
    backdrop = figures.Backdrop(elevation, study.grid)
    groups = {feature.name: feature.group for feature in study.store.features}
    maps = {candidate: predicted.probability for candidate, predicted in outcome.maps.items()}
    scheme = outcome.evaluation.spatial_schemes[0]
    captions: dict[Path, str] = {}

    def add(name: str, caption: str, draw: Callable[[Path], None]) -> None:
        draw(folder / f"{name}.png")
        captions[folder / f"{name}.png"] = caption

    add(
        "maps",
        "Susceptibility by model and feature set over shaded relief. Cells where a needed feature is unknown have no "
        "value.",
        lambda path: figures.draw_maps(path, maps, backdrop, study.labels),
    )
    add(
        "curves",
        "Curves on held-out folds, averaged over folds, repeats and draws; the numbers are mean areas under them.",
        lambda path: figures.draw_curves(path, outcome.evaluation, outcome.metrics),
    )
    if outcome.comparisons:
        add(
            "comparison",
            "Differences between feature sets on the same folds.",
            lambda path: figures.draw_comparison(path, outcome.comparisons),
        )
    add(
        "importance",
        f"Permutation importance on held-out {SCHEMES[scheme].title} folds; bars span one standard deviation over "
        "folds, draws and shuffles. Features that tell the same share their importance.",
        lambda path: figures.draw_importance(path, outcome.importance, groups),
    )
    add(
        "reliability",
        "Predicted probability against the share of landslides in the held-out sample.",
        lambda path: figures.draw_reliability(path, outcome.evaluation, scheme),
    )
    add(
        "classes",
        "Share of the area and of all landslide cells in each class.",
        lambda path: figures.draw_classes(path, outcome.classes),
    )
    add(
        "inventory",
        "Landslide cells, and where some feature is unknown.",
        lambda path: figures.draw_inventory(path, backdrop, study.labels, study.usable),
    )
    add(
        "folds",
        "Folds of the first split by each scheme: cells of one colour are predicted by models that have not seen any "
        "of them.",
        lambda path: figures.draw_folds(path, study.partitions, study.samples[0].cells, backdrop),
    )
    return captions


def _report(study: Study, outcome: Outcome, pictures: Mapping[Path, str]) -> ReportContent:
    cells = study.grid.rows * study.grid.cols
    features = [
        (
            feature.name,
            feature.unit,
            feature.group,
            feature.description + (f" ({feature.sign})" if feature.sign else ""),
            float(study.store.known([feature.name]).sum()) / cells,
        )
        for feature in study.store.features
    ]
    return ReportContent(
        title=study.recipe.study.name,
        facts=_facts(study),
        features=features,
        census=study.census,
        metrics=outcome.metrics,
        comparisons=outcome.comparisons,
        classes=outcome.classes,
        figures=pictures,
        notes=notes_on(study),
    )


def notes_on(study: Study) -> list[str]:
    """What a reader must know of a study to read its numbers rightly."""
    prevalence = study.samples[0].prevalence
    area_prevalence = _area_prevalence(study)
    static = study.store.known(next(iter(study.feature_sets.values())))
    lost = 1.0 - float(study.usable.sum()) / max(float(static.sum()), 1.0)
    notes = [
        f"Probabilities are relative: models learned from a sample in which {100 * prevalence:.1f} % of cells are "
        f"landslides, while {100 * area_prevalence:.2f} % of the usable area is. They are not corrected for it: they "
        "order places by susceptibility and are no rates of occurrence.",
        "Cells with any unknown feature take no part in training and validation, and nothing is imputed, so that all "
        "feature sets are compared on the same cells. "
        f"That leaves out {100 * lost:.1f} % of the cells where the first feature set is known, and "
        f"{study.census.on_missing_data} labelled cells.",
        "Cells near each other are alike, and random folds test a model on neighbours of what it learned. The spatial "
        "folds tell what to expect where no landslide was mapped nearby.",
    ]
    if len(study.samples) > 1:
        notes.append(
            f"Maps are means over models of {len(study.samples)} draws of cells without landslides; "
            "probability_std.tif is their spread."
        )
    if any(feature.name == "aspect" for feature in study.store.features):
        notes.append(
            "Aspect in degrees jumps from 360 to 0 at north, and flat cells have none; aspect_sin and aspect_cos do "
            "neither."
        )
    return notes


def _area_prevalence(study: Study) -> float:
    usable = study.labels[study.usable]
    return float((usable == 1).sum()) / max(usable.size, 1)


def _facts(study: Study) -> dict[str, str]:
    recipe, grid = study.recipe, study.grid
    counts = [(int(sample.target.sum()), sample.cells.size) for sample in study.samples]
    landslides, size = counts[0]
    return as_facts(
        {
            "grid": f"{grid.rows} x {grid.cols} cells of {grid.resolution[0]:g} x {grid.resolution[1]:g} m, {grid.crs}",
            "terrain model": recipe.factors.dem,
            "inventory": recipe.inventory.path,
            "InSAR result": "none" if recipe.factors.insar is None else recipe.factors.insar.path,
            "sample": f"{landslides} landslide cells, {size - landslides} others ({_negatives(recipe)}); "
            f"{len(counts)} draw(s), seed {recipe.sampling.seed}",
            "validation": f"{recipe.validation.folds} folds, {recipe.validation.repeats} repeat(s) of each draw; "
            f"spatial blocks of {study.block_size_m:g} m",
            "feature sets": "; ".join(f"{name}: {', '.join(members)}" for name, members in study.feature_sets.items()),
        }
    )


def _context(study: Study) -> dict[str, Any]:
    return {
        "study": study.recipe.study.name,
        "grid": {
            "rows": study.grid.rows,
            "cols": study.grid.cols,
            "resolution_m": list(study.grid.resolution),
            "crs": study.grid.crs,
        },
        "inventory": study.census.as_dict(),
        "usable_cells": int(study.usable.sum()),
        "sample": {
            "draws": len(study.samples),
            "cells": int(study.samples[0].cells.size),
            "prevalence": study.samples[0].prevalence,
            "prevalence_of_area": _area_prevalence(study),
        },
        "validation": {
            "schemes": list(study.recipe.validation.schemes),
            "folds": study.recipe.validation.folds,
            "repeats": study.recipe.validation.repeats,
            "block_size_m": study.block_size_m,
        },
        "feature_sets": {name: list(members) for name, members in study.feature_sets.items()},
    }


def _provenance(study: Study) -> dict[str, Any]:
    inputs = {"dem": study.recipe.factors.dem, "inventory": study.recipe.inventory.path}
    inputs |= {
        key: path for key, path in study.recipe.files().items() if path.is_file() and path not in inputs.values()
    }
    # Layers of a result, whose folder is all that the recipe names.
    inputs |= {f"feature {each.name}": each.path for each in study.store.features if each.group == "insar"}
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": _versions(),
        "inputs": {name: {"path": str(path), "sha256": checksum(path)} for name, path in inputs.items()},
        "features": {
            feature.name: {
                key: value
                for key, value in asdict(feature).items()
                if key in {"unit", "description", "sign", "group", "absolute"}
            }
            for feature in study.store.features
        },
        "recipe": study.recipe.model_dump(mode="json", exclude_none=True),
        **_context(study),
        "notes": notes_on(study),
    }


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError

    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # xgboost comes under one of two names
            continue
    return found


def _discard(work: Path) -> None:
    import shutil

    shutil.rmtree(work)


def _named(tell: Progress, what: str) -> Callable[[int, int], None]:
    return lambda done, total: tell(what, done, total)


def _ignore(_what: str, _done: int, _total: int) -> None:
    """Stand in for a progress callback."""
