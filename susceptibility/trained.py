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
        From `susceptibility.bundle.read_bundle`. Of its context are used, where they are there: ``resolution_m`` of
        the training grid, ``unit_kind`` as in `Dataset.kind`, ``target`` as in a recipe (``areal_density`` or
        ``number_density`` of a regression), and ``importance``, a number for each feature by its name.
    name
        Of its folder.

    Returns
    -------
    Trained
        With an area of applicability where the bundle has its training rows. Features count in it by ``importance``,
        else by the mean importance that the models themselves give them, else all the same.
    """
    ranges = {each.name: each for each in bundle.ranges}

    def limits(attribute: str) -> NDArray[np.float64]:
        found = [getattr(ranges.get(feature.name), attribute, math.nan) for feature in bundle.schema]
        return np.array(found, np.float64)

    classes = {
        number: np.array(ranges[feature.name].class_rows) > 0
        for number, feature in enumerate(bundle.schema)
        if feature.is_class and feature.name in ranges
    }
    training = TrainingRange(
        bundle.schema, limits("minimum"), limits("q01"), limits("q99"), limits("maximum"), classes
    )  # fmt: skip
    context = bundle.context
    resolution = context.get("resolution_m")
    first = bundle.models[0].preprocessor_
    return Trained(
        name,
        bundle.models,
        bundle.schema,
        bundle.task,
        training,
        _applicability(bundle),
        first.transform,
        None if resolution is None else float(resolution),
        context.get("unit_kind"),
        _target(bundle),
        {"title": bundle.title, "feature_set": bundle.feature_set, **context},
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


def _applicability(bundle: Bundle) -> Applicability | None:
    from susceptibility.applicability import ApplicabilityModel

    rows = bundle.training
    if rows is None:
        return None
    preprocessor = bundle.models[0].preprocessor_
    weights = _weights(bundle)[preprocessor.source_]
    return ApplicabilityModel().fit(preprocessor.transform(rows.features), weights, rows.folds.astype(np.intp))


def _weights(bundle: Bundle) -> NDArray[np.float64]:
    """Weight of each feature, (feature,)."""
    told = bundle.context.get("importance")
    if isinstance(told, Mapping):
        weights = np.array([float(told.get(feature.name, 0.0)) for feature in bundle.schema])
    else:
        weights = np.mean([np.abs(model.native_importance()) for model in bundle.models], axis=0)
    usable = np.isfinite(weights).all() and (weights > 0.0).any()
    return np.maximum(weights, 0.0) if usable else np.ones(len(bundle.schema))
