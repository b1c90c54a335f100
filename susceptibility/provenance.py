"""What a study was made from, in facts for people and in JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from susceptibility.bundle import Bundle
from susceptibility.design import Candidate
from susceptibility.inventory import LANDSLIDE
from susceptibility.models import MODELS
from susceptibility.models.learner import SusceptibilityModel
from susceptibility.outcome import Outcome
from susceptibility.publishing import checksum
from susceptibility.sampling import NegativeSource
from susceptibility.study import Study, is_density, negatives_of

_PACKAGES = (
    "scarp", "numpy", "scikit-learn", "xgboost-cpu", "xgboost", "lightgbm", "rasterio", "pyproj", "shapely",
)  # fmt: skip


DENSITIES = {
    "areal_density": "the share of each unit's area that landslides cover",
    "number_density": "the number of landslides per km2 of each unit",
}
"""What a predicted density is of, by the target of a recipe."""


def notes_on(study: Study) -> list[str]:
    """What a reader must know of a study to read its numbers rightly."""
    prevalence = study.samples[0].prevalence
    area_prevalence = prevalence_of_area(study)
    first = study.data.known(next(iter(study.feature_sets.values())))
    lost = 1.0 - float(study.usable.sum()) / max(float(first.sum()), 1.0)
    notes = [*study.data.notes]
    if is_density(study):
        notes.append(
            f"A density is predicted: {DENSITIES[study.recipe.study.target]}. Scores of two classes (AUC and the like) "
            f"call a unit a landslide where its density is above {study.design.positive_above:g}."
        )
    elif study.design.weighted:
        notes.append(
            "Rows are weighted by how many rows of the area they stand for, in fitting and in scores: probabilities "
            f"are of the area, where {100 * area_prevalence:.2f} % of the usable units are landslides, as far as the "
            "inventory is complete."
        )
    elif negatives_of(study.recipe) is NegativeSource.ALL and study.recipe.sampling.most_landslides is None:
        notes.append(
            f"Models learned from all usable units, of which {100 * area_prevalence:.2f} % are landslides. Their "
            "probabilities are of these units, as far as the inventory is complete, and of no other area or time."
        )
    else:
        notes.append(
            f"Probabilities are relative: models learned from a sample in which {100 * prevalence:.1f} % of units are "
            f"landslides, while {100 * area_prevalence:.2f} % of the usable ones are. They are not corrected for it: "
            "they order places by susceptibility and are no rates of occurrence."
        )
    if study.recipe.models.impute == "none":
        notes.append(
            "Units with any unknown feature take no part in training and validation, and nothing is imputed, so that "
            "all feature sets are compared on the same units. "
            f"That leaves out {100 * lost:.1f} % of the units where the first feature set is known"
            + (f", and {study.census.on_missing_data} labelled ones." if study.census is not None else ".")
        )
    else:
        notes.append(
            "Unknown features are filled with the median of the training rows, within each fold; a map says nothing of "
            "units of which no feature is known."
        )
    notes.append(
        "Units near each other are alike, and random folds test a model on neighbours of what it learned. The spatial "
        "folds tell what to expect where no landslide was mapped nearby."
    )
    if len(study.samples) > 1:
        notes.append(
            f"Maps are medians over models of {len(study.samples)} draws; the layer that ends in _std is their spread, "
            "which does not say how wrong all of them are together."
        )
    if any(feature.name == "aspect" for feature in study.data.schema):
        notes.append(
            "Aspect in degrees jumps from 360 to 0 at north, and flat cells have none; aspect_sin and aspect_cos do "
            "neither."
        )
    notes += [f"Sample: {note}." for note in study.samples[0].notes]
    return [*notes, *study.notes, *study.design.notes]


def prevalence_of_area(study: Study) -> float:
    """Share of usable units with a landslide."""
    usable = study.data.targets.labels[study.usable]
    return float((usable == LANDSLIDE).sum()) / max(usable.size, 1)


def facts_on(study: Study) -> dict[str, str]:
    """Short statements of units, sample and folds, by what they are about."""
    recipe, data = study.recipe, study.data
    sample = study.samples[0]
    landslides = int(sample.positive.sum())
    grid = data.grid
    facts: dict[str, Any] = {
        "target": recipe.study.target.replace("_", " "),
        "units": f"{data.count:,} of kind {data.kind}, {data.crs}",
    }
    if grid is not None:
        facts["grid"] = f"{grid.rows} x {grid.cols} cells of {grid.resolution[0]:g} x {grid.resolution[1]:g} m"
    if recipe.table is not None:
        facts["table"] = recipe.table.path
    else:
        facts["terrain model"] = recipe.factors.dem
        facts["inventory"] = recipe.inventory.path
        facts["InSAR result"] = "none" if recipe.factors.insar is None else recipe.factors.insar.path
    how = {
        NegativeSource.DRAWN: "drawn",
        NegativeSource.ALL: "all there are",
        NegativeSource.INVENTORY: "those of the inventory",
    }
    facts["sample"] = (
        f"{landslides:,} units with landslides, {sample.cells.size - landslides:,} without "
        f"({how[negatives_of(recipe)]}); {len(study.samples)} draw(s), seed {recipe.sampling.seed}"
    )
    facts["validation"] = (
        f"{recipe.validation.folds} folds, {recipe.validation.repeats} repeat(s) of each draw; "
        f"spatial blocks of {study.block_size_m:,.0f} m"
    )
    facts["feature sets"] = "; ".join(f"{name}: {', '.join(members)}" for name, members in study.feature_sets.items())
    return {name: str(value) for name, value in facts.items()}


def context_of(study: Study) -> dict[str, Any]:
    """What the numbers of a study must be read with."""
    data, grid = study.data, study.data.grid
    return {
        "study": study.recipe.study.name,
        "target": study.recipe.study.target,
        "units": {"kind": data.kind, "count": data.count, "crs": data.crs},
        "grid": None
        if grid is None
        else {"rows": grid.rows, "cols": grid.cols, "resolution_m": list(grid.resolution), "crs": grid.crs},
        "inventory": None if study.census is None else study.census.as_dict(),
        "usable_units": int(study.usable.sum()),
        "sample": {
            "draws": len(study.samples),
            "units": int(study.samples[0].cells.size),
            "prevalence": study.samples[0].prevalence,
            "prevalence_of_area": prevalence_of_area(study),
        },
        "validation": {
            "schemes": list(study.recipe.validation.schemes),
            "folds": study.recipe.validation.folds,
            "repeats": study.recipe.validation.repeats,
            "block_size_m": study.block_size_m,
        },
        "feature_sets": {name: list(members) for name, members in study.feature_sets.items()},
    }


def provenance_of(study: Study) -> dict[str, Any]:
    """All that a manifest says of how a result was made."""
    inputs = {key: path for key, path in study.recipe.files().items() if path.is_file()}
    insar = study.recipe.factors.insar
    if insar is not None:
        # Layers of a result, whose folder is all that the recipe names.
        for name in dict.fromkeys((*insar.layers, *insar.absolute)):
            inputs[f"factors.insar.{name}"] = insar.path / "layers" / f"{name}.tif"
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "inputs": {
            name: {"path": str(path), "sha256": checksum(path)} for name, path in inputs.items() if path.is_file()
        },
        "features": {feature.name: feature.as_dict() for feature in study.data.schema},
        "recipe": study.recipe.model_dump(mode="json", exclude_none=True),
        **context_of(study),
        "notes": notes_on(study),
    }


def bundle_of(study: Study, outcome: Outcome, candidate: Candidate, models: Sequence[SusceptibilityModel]) -> Bundle:
    """The models of a candidate with all that prediction elsewhere needs."""
    names = study.design.names(candidate.feature_set)
    sample = study.samples[0]
    applicability = outcome.maps[candidate].applicability
    return Bundle.of(
        tuple(models),
        title=MODELS[candidate.model].title,
        feature_set=candidate.feature_set,
        training=study.data.matrix(sample.cells, names),
        applicability=applicability,
        context={
            **context_of(study),
            "versions": versions(),
            "classes": list(outcome.maps[candidate].bounds.inner),
        },
    )


def versions() -> dict[str, str]:
    """Versions of the packages that numbers depend on."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # xgboost comes under one of two names
            continue
    return found


def known_share(study: Study) -> dict[str, float]:
    """Share of units where each feature is known."""
    return {name: float(np.mean(study.data.known([name]))) for name in study.data.names}
