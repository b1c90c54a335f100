"""What a prediction elsewhere needs of a bundle, and which bundle of a result is meant."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from susceptibility.ensemble import Predictor
from susceptibility.errors import InputError, MissingInputError, OptionError
from susceptibility.schema import FeatureSchema, Task
from susceptibility.training_range import TrainingRange

if TYPE_CHECKING:
    from susceptibility.bundle import Bundle


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


def find_bundle(result: Path, model: str | None = None) -> Path:
    """Folder of the bundle that is meant.

    Parameters
    ----------
    result
        A result folder of `susceptibility run`, or a bundle itself.
    model
        Name of the bundle, ``<model>_<feature set>``; None where there is one alone.

    Raises
    ------
    MissingInputError
        There is none.
    OptionError
        There are several and none is named, or the named one is not among them.
    """
    if (result / "bundle.json").is_file():
        if model not in {None, result.name}:
            raise OptionError("--model", required=f"{result.name!r}, or none", found=repr(model), remedy="Leave it out")
        return result
    folders = sorted(path.parent for path in (result / "model").glob("*/bundle.json"))
    if not folders:
        raise MissingInputError(
            result,
            required="a result of `susceptibility run`, with bundles in model/",
            found="none there",
            remedy="Give the folder that `susceptibility run -o` wrote",
        )
    names = {folder.name: folder for folder in folders}
    if model is None and len(names) == 1:
        return folders[0]
    if model not in names:
        raise OptionError(
            "--model",
            required="one of " + ", ".join(names),
            found="none named" if model is None else repr(model),
            remedy="Name the model and feature set to predict with",
        )
    return names[model]


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
