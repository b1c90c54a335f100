"""What a study compares: feature sets, models and how they are fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from susceptibility.errors import OptionError
from susceptibility.explain import ablation_sets
from susceptibility.models import MODELS, ModelOptions
from susceptibility.models.calibration import CalibrationOptions
from susceptibility.models.learner import SusceptibilityModel, check_setting
from susceptibility.models.preprocessing import PreprocessingOptions
from susceptibility.models.search import SearchOptions
from susceptibility.schema import FeatureSchema, Task

if TYPE_CHECKING:
    from susceptibility.dataset import Dataset
    from susceptibility.recipe import Recipe


_SCORES: dict[Task, tuple[str, ...]] = {
    Task.CLASSIFICATION: ("auc_roc", "auc_pr", "brier"),
    Task.REGRESSION: ("r2", "mse", "mae"),
}
"""Scores that importance can be told by; the first is used where none is named."""

_OWN_ENCODING = ("min_share", "unseen")


class Candidate(NamedTuple):
    """A model on a feature set, both by name."""

    feature_set: str
    model: str


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """How one kind of model is fitted.

    Attributes
    ----------
    options
        Its hyperparameters; of a search those that are not searched.
    preprocessing, calibration, search
        See `SusceptibilityModel`.
    """

    options: ModelOptions
    preprocessing: PreprocessingOptions
    calibration: CalibrationOptions
    search: SearchOptions | None = None


@dataclass(frozen=True, slots=True)
class Design:
    """What is compared.

    Attributes
    ----------
    feature_sets
        Features of each set; the first is what the others are compared with.
    plans
        How each model is fitted, by its name.
    candidates
        Every model on every feature set that suits it.
    task
        Whether a probability or a density is predicted.
    upper
        Largest value of a density that can be; None for no bound.
    seed
        Of all models.
    permutations
        Shuffles of each feature for its importance.
    score
        Name of the metric whose drop is the importance.
    positive_above
        A unit whose density is larger counts as a landslide in metrics of two classes.
    weighted
        Whether rows count as many rows of the area as they stand for, in fitting and in scores.
    notes
        What a reader must know of the comparison.
    """

    feature_sets: Mapping[str, tuple[FeatureSchema, ...]]
    plans: Mapping[str, ModelPlan]
    candidates: tuple[Candidate, ...]
    task: Task
    upper: float | None
    seed: int
    permutations: int
    score: str
    positive_above: float
    weighted: bool = False
    notes: tuple[str, ...] = ()

    def names(self, feature_set: str) -> tuple[str, ...]:
        """Names of the features of a set."""
        return tuple(feature.name for feature in self.feature_sets[feature_set])

    def builder(self, candidate: Candidate) -> Callable[[int], SusceptibilityModel]:
        """Makes an unfitted model from a seed."""
        plan = self.plans[candidate.model]
        return partial(
            _build, candidate.model, plan, self.feature_sets[candidate.feature_set], self.task, self.upper
        )  # fmt: skip


def _build(
    name: str, plan: ModelPlan, schema: tuple[FeatureSchema, ...], task: Task, upper: float | None, seed: int
) -> SusceptibilityModel:
    return SusceptibilityModel(
        MODELS[name],
        plan.options,
        schema,
        task,
        seed,
        preprocessing=plan.preprocessing,
        calibration=plan.calibration,
        search=plan.search,
        upper=upper,
    )


def make_design(recipe: Recipe, data: Dataset) -> Design:
    """What a recipe compares on its data.

    Raises
    ------
    OptionError
        A feature set has no feature, a model suits none of them, or an ablation has no groups to leave out.
    """
    task = recipe.task
    if recipe.study.target == "number_density" and "usgs_2018" in recipe.model_names:
        raise OptionError(
            "[models] names",
            required="models that can learn a number density",
            found="usgs_2018, which tells the share of the ground that landslides cover",
            remedy="Leave it out, or choose another [study] target",
        )
    sets = {name: data.features(columns) for name, columns in recipe.resolved_sets(data).items()}
    plans = {name: _plan(recipe, name, task) for name in recipe.model_names}
    candidates, notes = [], []
    for name, plan in plans.items():
        suited = []
        refused: OptionError | None = None
        for title, schema in sets.items():
            try:
                check_setting(MODELS[name], plan.options, schema, task)
            except OptionError as error:
                refused = error
                continue
            suited.append(title)
        if not suited and refused is not None:
            raise refused
        if refused is not None:
            unsuited = ", ".join(title for title in sets if title not in suited)
            notes.append(
                f"{MODELS[name].title} needs features that these sets lack, and is left out there: {unsuited}."
            )
        candidates += [Candidate(title, name) for title in suited]
        if MODELS[name].note:
            notes.append(MODELS[name].note)
    score = recipe.explain.score or _SCORES[task][0]
    if score not in _SCORES[task]:
        raise OptionError(
            "[explain] score",
            required=f"one that suits the target {recipe.study.target!r}: {', '.join(_SCORES[task])}",
            found=repr(score),
            remedy="Choose one of them, or leave it out",
        )
    if recipe.explain.ablation:
        # Here rather than after hours of validation.
        ablation_sets(max(sets.values(), key=len))
    ignored = [
        name
        for name, source in recipe.factors.categories.items()
        if any(getattr(source, key) != type(source).model_fields[key].default for key in _OWN_ENCODING)
    ]
    if ignored:
        notes.append(
            f"'min_share' and 'unseen' of [factors.categories] ({', '.join(ignored)}) are of `susceptibility table`; "
            "models encode classes by those of [models]."
        )
    # In the order of feature sets, as tables and pictures have it.
    candidates.sort(key=lambda each: (list(sets).index(each.feature_set), list(plans).index(each.model)))
    return Design(
        feature_sets=sets,
        plans=plans,
        candidates=tuple(candidates),
        task=task,
        upper=1.0 if recipe.study.target == "areal_density" else None,
        seed=recipe.sampling.seed,
        permutations=recipe.explain.permutations,
        score=score,
        positive_above=0.0 if task is Task.CLASSIFICATION else recipe.validation.positive_above,
        weighted=recipe.sampling.weighted,
        notes=tuple(notes),
    )


def _plan(recipe: Recipe, name: str, task: Task) -> ModelPlan:
    asked = recipe.models
    search = asked.search.get(name)
    method = asked.calibration.get(name, "auto")
    if task is Task.REGRESSION and method not in {"auto", "none"}:
        raise OptionError(
            f"[models.calibration] {name}",
            required="no calibration of a density",
            found=repr(method),
            remedy="Leave it out: only probabilities are calibrated",
        )
    return ModelPlan(
        recipe.model_options(name),
        PreprocessingOptions(impute=asked.impute, scale=asked.scale, min_share=asked.min_share, unseen=asked.unseen),
        CalibrationOptions(method=method, folds=asked.inner_folds),
        None
        if search is None
        else SearchOptions(method=asked.search_method, parameters=search, folds=asked.inner_folds),
    )


def seed_of_draw(design: Design, draw: int) -> int:
    """Seed of the models that are fitted on a whole draw."""
    return int(np.random.default_rng([design.seed, draw]).integers(2**31))
