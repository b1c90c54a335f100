"""A recipe with its data: features and targets of the mapping units, samples of them, and how these are split."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from susceptibility.dataset import Dataset
from susceptibility.design import Design, make_design
from susceptibility.errors import InputError, OptionError
from susceptibility.inventory import LANDSLIDE, UNLABELLED, InventoryCensus
from susceptibility.join import join_dataset
from susceptibility.partitions import Partition, default_block_size, partition_rows
from susceptibility.recipe import Recipe
from susceptibility.recipe_methods import SamplingSection
from susceptibility.sampling import Allocation, NegativeSource, Sample, draw_sample, landslide_distance_m
from susceptibility.schema import Task
from susceptibility.workers import Progress

logger = logging.getLogger(__name__)

_DRAWN_RATIO = SamplingSection.model_fields["ratio"].default


@dataclass(frozen=True, slots=True)
class Study:
    """A recipe with its data.

    Attributes
    ----------
    recipe
        Read and checked, with the source of rows without landslides that it leaves open.
    data
        Features and targets of all units.
    census
        What became of the inventory; None for a table that was given.
    usable
        (row,) True where every feature of every set is known: rows that are drawn from.
    design
        What is compared.
    samples
        One for each draw.
    partitions
        Splits of all samples.
    block_size_m
        Side of spatial blocks.
    elevation
        Raster of elevations on the study grid, for pictures; None for a table that was given.
    notes
        What a reader must know of samples and splits.
    """

    recipe: Recipe
    data: Dataset
    census: InventoryCensus | None
    usable: NDArray[np.bool_]
    design: Design
    samples: tuple[Sample, ...]
    partitions: tuple[Partition, ...]
    block_size_m: float
    elevation: Path | None
    notes: tuple[str, ...] = ()

    @property
    def feature_sets(self) -> dict[str, tuple[str, ...]]:
        """Names of the features of each set."""
        return {name: self.design.names(name) for name in self.design.feature_sets}

    @property
    def target(self) -> NDArray[np.float64]:
        """(row,) what is predicted, of every unit; NaN where it is unknown. A unit that nothing is said of has none."""
        targets = self.data.targets
        if self.recipe.study.target == "presence":
            return np.asarray(targets.labels == LANDSLIDE, np.float64)
        return density_of(self.recipe, self.data)


def prepare_study(recipe: Recipe, work: Path, progress: Progress | None = None) -> Study:
    """Join features and inventory on the mapping units, draw the samples and split them.

    `work` is a folder for aligned features, needed as long as the study is.

    Raises
    ------
    SusceptibilityError
        The input or the options are wrong.
    """
    # Written out as it is, a recipe says all that is left open, so that it runs the same again.
    recipe = recipe.model_copy(
        update={
            "sampling": recipe.sampling.model_copy(update={"negatives": negatives_of(recipe)}),
            "models": recipe.models.model_copy(update={"names": recipe.model_names}),
        }
    )
    joined = join_dataset(recipe, work, progress)
    data = joined.data
    design = make_design(recipe, data)
    wanted = {name for title in design.feature_sets for name in design.names(title)}
    imputes = recipe.models.impute != "none"
    usable = joined.observed.copy()
    if not imputes:
        usable &= data.known([name for name in data.names if name in wanted])
    census = joined.census
    if census is not None:
        census = replace(census, on_missing_data=int(((data.targets.labels != UNLABELLED) & ~usable).sum()))
        logger.info("inventory: %s", ", ".join(f"{name} {count}" for name, count in census.as_dict().items()))
    samples = draw_samples(recipe, data, usable)
    partitions, block_size_m, notes = _split(recipe, data, design, samples)
    notes = [*_in_vain(recipe), *notes]
    return Study(
        recipe, data, census, usable, design, samples, partitions, block_size_m, joined.elevation, tuple(notes)
    )  # fmt: skip


def negatives_of(recipe: Recipe) -> NegativeSource:
    """Where rows without landslides come from, as a recipe says or as suits its inventory."""
    asked = recipe.sampling.negatives
    if asked is NegativeSource.INVENTORY and recipe.study.target != "presence":
        raise OptionError(
            "[sampling] negatives",
            required="'drawn' or 'all' where a density is predicted",
            found="'inventory', whose free places have no density",
            remedy="Choose another, or target = 'presence'",
        )
    if asked is not None:
        return asked
    is_drawn = {"ratio", "strata", "ring", "most_landslides"} & recipe.sampling.model_fields_set
    if not is_drawn and (recipe.study.target != "presence" or recipe.table is not None):
        return NegativeSource.ALL
    has_absences = recipe.inventory.presence_field is not None and recipe.study.target == "presence"
    return NegativeSource.INVENTORY if has_absences and not is_drawn else NegativeSource.DRAWN


def _in_vain(recipe: Recipe) -> list[str]:
    """Tell of what a recipe says of rows that are drawn where none are."""
    asked = recipe.sampling
    if asked.negatives is NegativeSource.DRAWN:
        return []
    keys = {"ratio": asked.ratio != _DRAWN_RATIO, "strata": asked.strata is not None}
    ignored = [f"'{key}'" for key, is_asked in keys.items() if is_asked]
    if not ignored:
        return []
    return [f"{' and '.join(ignored)} of [sampling] tell how rows without landslides are drawn, and none are drawn."]


def density_of(recipe: Recipe, data: Dataset) -> NDArray[np.float64]:
    """Areal or number density of each unit, as a recipe asks.

    Raises
    ------
    InputError
        The inventory has none: points have no area.
    """
    asked = recipe.study.target
    found = data.targets.areal_density if asked == "areal_density" else data.targets.number_density
    if found is None or not np.isfinite(found).any():
        raise InputError(
            "[study] target",
            required="an inventory of polygons for 'areal_density', or of landslides that can be counted",
            found=f"none to tell the {asked.replace('_', ' ')} by",
            remedy="Choose target = 'presence', or give polygons",
        )
    return found


def draw_samples(recipe: Recipe, data: Dataset, usable: NDArray[np.bool_]) -> tuple[Sample, ...]:
    """Draw all samples of a recipe."""
    asked = recipe.sampling
    negatives = negatives_of(recipe)
    options: dict[str, Any] = {"positive_above": asked.landslide_above, "most_positives": asked.most_landslides}
    if recipe.study.target == "presence":
        labels = data.targets.labels
        options["positive_above"] = 0.0
        is_landslide = labels == LANDSLIDE
    else:
        labels = None
        options["density"] = density_of(recipe, data)
        is_landslide = options["density"] > asked.landslide_above
    if asked.strata is not None:
        feature = data.feature(_strata_column(asked.strata, data))
        if not feature.is_class:
            raise OptionError(
                "[sampling] strata",
                required="a factor of classes",
                found=f"{asked.strata!r}, a quantity",
                remedy="Name one of [factors.categories]",
            )
        options["strata"] = data.columns[feature.name](slice(0, data.count))
        options["strata_names"] = feature.classes
        options["allocation"] = Allocation.EQUAL if asked.equal_strata else Allocation.PROPORTIONAL
    if asked.by_event:
        if data.targets.events is None:
            raise OptionError(
                "[sampling] by_event", required="a table with events", found="none", remedy="Name [table] event"
            )
        options["event"] = data.targets.events
    if asked.ring is not None:
        options["distance_m"] = landslide_distance_m(data.places(slice(0, data.count)), is_landslide)
        options["inner_m"] = asked.ring.inner_m
        options["outer_m"] = asked.ring.outer_m or np.inf
    # What is taken whole is the same in each draw.
    draws = asked.repeats if negatives is NegativeSource.DRAWN or asked.most_landslides is not None else 1
    return tuple(
        draw_sample(labels, usable, negatives=negatives, ratio=asked.ratio, seed=asked.seed, draw=draw, **options)
        for draw in range(draws)
    )


def _strata_column(name: str, data: Dataset) -> str:
    """Column of a factor of classes, which on units of many cells is that of their dominant class."""
    columns = data.members.get(name, ())
    return columns[0] if len(columns) == 1 else name


def _split(
    recipe: Recipe, data: Dataset, design: Design, samples: tuple[Sample, ...]
) -> tuple[tuple[Partition, ...], float, list[str]]:
    settings = recipe.validation
    places = [data.places(sample.cells) for sample in samples]
    notes: list[str] = []
    block_size_m = _block_size(recipe, data, design, samples[0], places[0], notes)
    areas = _areas(recipe, data, samples)
    partitions = []
    for scheme in settings.schemes:
        for sample, coordinates_m in zip(samples, places, strict=True):
            for repeat in range(settings.repeats):
                events = data.targets.events
                partition = partition_rows(
                    scheme,
                    coordinates_m,
                    sample.target,
                    folds=settings.folds,
                    block_size_m=block_size_m,
                    seed=recipe.sampling.seed,
                    draw=sample.draw,
                    repeat=repeat,
                    task=design.task,
                    positive_above=sample.positive_above,
                    buffer_m=settings.buffer_m,
                    event=None if events is None else events[sample.cells],
                    area=None if areas is None else areas[sample.draw],
                    direction=settings.direction,
                    share=settings.share,
                )
                notes += [f"{scheme}: {note}" for note in partition.notes]
                partitions.append(partition)
                if scheme in {"events", "areas", "north-south"}:
                    break  # nothing is drawn: another repeat would be the same
    return tuple(partitions), block_size_m, list(dict.fromkeys(notes))


def _block_size(
    recipe: Recipe,
    data: Dataset,
    design: Design,
    sample: Sample,
    places: NDArray[np.float64],
    notes: list[str],
) -> float:
    asked = recipe.validation.block_size_m
    if isinstance(asked, float | int):
        return float(asked)
    if asked is None:
        return default_block_size(places)
    from susceptibility.variogram import block_size_from_residuals

    names = design.names(next(iter(design.feature_sets)))
    found = block_size_from_residuals(
        data.matrix(sample.cells, names),
        sample.target,
        places,
        task=design.task,
        schema=data.features(names),
        seed=recipe.sampling.seed,
        folds=recipe.validation.folds,
    )
    notes.append(found.note)
    return found.block_size_m


def _areas(recipe: Recipe, data: Dataset, samples: tuple[Sample, ...]) -> list[NDArray[np.intp]] | None:
    """Number of the area that each sampled row lies in, from 1; 0 outside of all."""
    source = recipe.validation.areas
    if source is None:
        return None
    import shapely

    from susceptibility.vectors import read_vectors

    layer = read_vectors(source.path, data.crs, layer=source.layer, own_crs=source.crs)
    polygons = layer.geometries
    tree = shapely.STRtree(polygons)
    found = []
    for sample in samples:
        points = shapely.points(data.places(sample.cells))
        point, polygon = tree.query(points, predicate="intersects")
        number = np.zeros(len(points), np.intp)
        number[point[::-1]] = polygon[::-1] + 1  # of areas that overlap, the first
        found.append(number)
    return found


def is_density(study: Study) -> bool:
    """Whether a density is predicted rather than a probability."""
    return study.recipe.task is Task.REGRESSION
