"""What a prediction elsewhere needs of a bundle, and which bundle of a result is meant."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from susceptibility.bundle import INDEX, Bundle
from susceptibility.comparison import decisive_metric
from susceptibility.ensemble import Predictor
from susceptibility.errors import InputError, MissingInputError, OptionError
from susceptibility.metrics import metrics_of
from susceptibility.schema import FeatureSchema, Task
from susceptibility.schemes import SCHEMES
from susceptibility.training_range import TrainingRange


class Applicability(Protocol):
    """Tells how unlike the training rows a row is."""

    @property
    def threshold_(self) -> float:
        """Largest dissimilarity that is still in the area of applicability."""

    def dissimilarity(self, X: NDArray[np.floating[Any]], /) -> NDArray[np.float64]:
        """(row,) of the columns that the first model was fitted on; NaN where unknown."""

    def is_applicable(self, dissimilarity: NDArray[np.floating[Any]], /) -> NDArray[np.bool_]:
        """(row,) whether each is like the training rows."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a prediction needs of a bundle.

    Attributes
    ----------
    name
        Of the bundle's folder, ``<model>_<feature set>``.
    models
        Fitted on the same features; the map is the median of what they say.
    schema
        Of the features.
    task
        What is predicted.
    training
        Range of the training rows.
    applicability
        Area of applicability, and how features become the columns that it was made for; None to do without.
    resolution_m, unit_kind
        Of the training rows; None where the bundle does not say.
    target
        What is predicted, one of `susceptibility.unit_map.PREDICTED`.
    origin
        Provenance of the bundle, as JSON can hold it.
    """

    name: str
    models: Sequence[Predictor]
    schema: tuple[FeatureSchema, ...]
    task: Task
    training: TrainingRange
    applicability: Applicability | None = None
    transform: Any = None
    resolution_m: float | None = None
    unit_kind: str | None = None
    target: str = "landslide"
    origin: Mapping[str, Any] | None = None


class Choice(NamedTuple):
    """Folder of a bundle, and why it was taken; `reason` is empty where it was named or is the only one."""

    folder: Path
    reason: str = ""


def find_bundle(result: Path, model: str | None = None, *, group: str | None = None) -> Choice:
    """Find the bundle that is meant: the one that is named, or else the best under spatial validation.

    Parameters
    ----------
    result
        A result folder of `susceptibility run`, or a bundle itself.
    model
        Name of the bundle, ``<model>_<feature set>``; None for the best one.
    group
        Of features, at least one of which the best one must have.

    Raises
    ------
    MissingInputError
        There is none.
    OptionError
        The named one is not among them; or none is named, and nothing tells which is best.
    """
    if (result / INDEX).is_file():
        if model not in {None, result.name}:
            raise OptionError("--model", required=f"{result.name!r}, or none", found=repr(model), remedy="Leave it out")
        return Choice(result)
    folders = sorted(path.parent for path in (result / "model").glob(f"*/{INDEX}"))
    if not folders:
        raise MissingInputError(
            result,
            required="a result of `susceptibility run`, with bundles in model/",
            found="none there",
            remedy="Give the folder that `susceptibility run -o` wrote",
        )
    names = {folder.name: folder for folder in folders}
    if model in names:
        return Choice(names[model])
    if model is None and len(names) == 1:
        return Choice(folders[0])
    suited = [name for name in names if group is None or _has(names[name], group)]
    if model is None and len(suited) == 1:
        return Choice(names[suited[0]], f"{suited[0]}: the only one with features of {group}")
    best = _best(result, suited or list(names)) if model is None else None
    if best is None:
        raise OptionError(
            "--model",
            required="one of " + ", ".join(names),
            found="none named" if model is None else repr(model),
            remedy="Name the model and feature set to predict with",
        )
    name, reason = best
    return Choice(names[name], reason)


def _best(result: Path, names: Sequence[str]) -> tuple[str, str] | None:
    """Which bundle predicts best under spatial validation, and why; None where the result does not tell."""
    try:
        content = json.loads((result / "metrics.json").read_text(encoding="utf-8"))
        task = Task.CLASSIFICATION if content["target"] == "presence" else Task.REGRESSION
        metric = decisive_metric(task)
        rows = [row for row in content["metrics"] if row["metric"] == metric and row["scheme"] in SCHEMES]
        scheme = next(row["scheme"] for row in rows if SCHEMES[row["scheme"]].is_spatial)
        scores = {f"{row['model']}_{row['feature_set']}": row["mean"] for row in rows if row["scheme"] == scheme}
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        return None
    known = {name: scores[name] for name in names if scores.get(name) is not None}
    if not known:
        return None
    name = max(known, key=known.__getitem__)
    return name, (
        f"{name}: the best of {len(names)} under {SCHEMES[scheme].title} validation, "
        f"{metrics_of(task)[metric].title} {known[name]:.3f}"
    )


def _has(folder: Path, group: str) -> bool:
    try:
        schema = json.loads((folder / INDEX).read_text(encoding="utf-8"))["schema"]
        return any(feature["group"] == group for feature in schema)
    except (OSError, ValueError, KeyError, TypeError):
        return False  # told when it is read


def trained_from(bundle: Bundle, name: str) -> Trained:
    """Make what a prediction needs of a bundle.

    Parameters
    ----------
    bundle
        From `susceptibility.bundle.read_bundle`, with the context that a run gives it: ``grid``, ``units``, ``target``.
    name
        Of its folder.

    Raises
    ------
    InputError
        The context does not tell which density a regression predicts.
    """
    grid, units = bundle.context.get("grid"), bundle.context.get("units")
    return Trained(
        name,
        bundle.models,
        bundle.schema,
        bundle.task,
        bundle.ranges,
        bundle.applicability,
        bundle.models[0].preprocessor_.transform,
        math.sqrt(math.prod(grid["resolution_m"])) if isinstance(grid, Mapping) else None,
        str(units["kind"]) if isinstance(units, Mapping) else None,
        _target(bundle),
        {"title": bundle.title, "feature_set": bundle.feature_set, **bundle.context},
    )


def _target(bundle: Bundle) -> str:
    if bundle.task is Task.CLASSIFICATION:
        return "landslide"
    told = str(bundle.context.get("target"))
    targets = {"areal_density": "lad", "lad": "lad", "number_density": "number_density"}
    if told not in targets:
        raise InputError(
            f"bundle {bundle.title}",
            required="'target' in its context, areal_density or number_density, whose units differ",
            found=repr(told),
            remedy="Train it again with `susceptibility run`",
        )
    return targets[told]
