"""Fitted models as a folder that others can predict with: no pickles, a checksum for every file.

``bundle.json`` says what the models predict, of which features, where they come from and what each file holds; the
estimators lie beside it in the formats of their libraries. Reading looks at everything before anything is made of it.

A checksum finds damage and careless changes. It does not tell who wrote a bundle: one from a stranger is as
trustworthy as the stranger, although none can run code of its own.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from susceptibility.applicability import ApplicabilityModel
from susceptibility.errors import InputError, MissingInputError, OptionError
from susceptibility.models import SusceptibilityModel
from susceptibility.models.model_state import model_from_state, model_state, versions
from susceptibility.models.preprocessing import checked_features, class_codes
from susceptibility.models.storage import SUFFIXES, dump_estimator, load_estimator
from susceptibility.publishing import checksum
from susceptibility.schema import FeatureSchema, Task
from susceptibility.training_range import TrainingRange

logger = logging.getLogger(__name__)

FORMAT = "susceptibility bundle"
VERSION = 1
INDEX = "bundle.json"

_APPLICABILITY = "applicability_"
_RANGE_PARTS = ("lowest", "low", "high", "highest")
_FILE_NAME = re.compile(r"bundle\.json|model_\d{3,}\.(json|txt|skops)|applicability_[a-z_]+\.npy")
_PICKLE_SUFFIXES = frozenset({".pkl", ".pickle", ".joblib", ".p", ".pck"})


@dataclass(frozen=True, slots=True)
class Bundle:
    """Models that predict the same from the same features; the prediction is their mean or median.

    Attributes
    ----------
    models
        Fitted, each on `schema` for `task`.
    schema
        The features, in the order of the columns.
    task
        What is predicted.
    title, feature_set
        What the model is called, and the set of features.
    context
        Whatever else belongs to it (provenance, units, target, prevalence), as JSON can hold it.
    ranges
        Values that the training rows have of each feature.
    applicability
        Of the columns that the first model was fitted on; None where it was not asked for.
    """

    models: tuple[SusceptibilityModel, ...]
    schema: tuple[FeatureSchema, ...]
    task: Task
    title: str
    feature_set: str
    context: dict[str, Any]
    ranges: TrainingRange
    applicability: ApplicabilityModel | None = None

    @classmethod
    def of(
        cls,
        models: Sequence[SusceptibilityModel],
        *,
        title: str,
        feature_set: str,
        training: NDArray[np.float32],
        applicability: ApplicabilityModel | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> Bundle:
        """Bundle of fitted models and of the rows (row, feature) that they were trained on.

        Raises
        ------
        OptionError
            There is no model.
        """
        if not models:
            raise OptionError("bundle", required="at least one model", found="none", remedy="Fit one first")
        schema = models[0].schema
        ranges = range_of(training, schema)
        task = models[0].task
        return cls(tuple(models), schema, task, title, feature_set, dict(context or {}), ranges, applicability)


def range_of(X: NDArray[np.float32], schema: Sequence[FeatureSchema]) -> TrainingRange:
    """Range of each feature over rows (row, feature), NaN where unknown; that of a feature without any value is NaN."""
    X = checked_features(X, tuple(schema))
    values = np.full((4, len(schema)), np.nan)
    classes = {}
    for number, feature in enumerate(schema):
        known = X[:, number][np.isfinite(X[:, number])].astype(np.float64)
        if feature.is_class:
            rows = np.bincount(class_codes(known, feature), minlength=len(feature.classes) + 1)
            classes[number] = rows[1 : len(feature.classes) + 1] > 0
        elif known.size:
            values[:, number] = known.min(), *np.quantile(known, (0.01, 0.99)), known.max()
    lowest, low, high, highest = values
    return TrainingRange(tuple(schema), lowest, low, high, highest, classes)


def write_bundle(folder: Path, bundle: Bundle) -> None:
    """Write a bundle; the folder is there when all of it is. The same bundle gives the same bytes.

    Raises
    ------
    OptionError
        The folder is there and not empty, or the parts of the bundle do not belong together, or its context is more
        than JSON can hold.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OptionError(
            folder, required="a new or an empty folder", found="something that is there", remedy="Name another folder"
        )
    _require_one_kind(bundle)
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(staging, ignore_errors=True)  # of a run that was killed
    staging.mkdir()
    try:
        _write_files(staging, bundle)
        if folder.exists():
            folder.rmdir()
        staging.replace(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle that `write_bundle` wrote; its models predict the same to the last bit.

    Raises
    ------
    MissingInputError
        There is no folder, or no bundle in it.
    InputError
        A file is missing, changed, unknown or a pickle; the format is a later one; or the parts do not fit together.
    """
    index = folder / INDEX
    if not index.is_file():
        raise MissingInputError(
            index, required="a bundle of models", found="no such file", remedy="Name the folder that holds it"
        )
    names = _safe_names(folder)
    content = _read_index(index)
    _require_files(folder, content, names)
    try:
        return _bundle_of(folder, content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise _unreadable(index, f"something else ({error})") from error


def _require_one_kind(bundle: Bundle) -> None:
    """Refuse parts that do not belong together."""
    found = ""
    if not bundle.models:
        found = "none"
    elif any(model.schema != bundle.schema or model.task is not bundle.task for model in bundle.models):
        found = "one of other features, or of another task"
    elif bundle.ranges.schema != bundle.schema:
        found = "ranges of other features"
    elif bundle.applicability is not None and bundle.applicability.columns_ != len(
        bundle.models[0].preprocessor_.columns_
    ):
        found = "an area of applicability of other columns"
    if found:
        raise OptionError(
            "bundle",
            required="models, ranges and an area of applicability of the same features and task",
            found=found,
            remedy="Put together what was fitted together",
        )


def _write_files(folder: Path, bundle: Bundle) -> None:
    models = []
    for number, model in enumerate(bundle.models):
        name = f"model_{number:03d}{SUFFIXES[model.definition.storage]}"
        (folder / name).write_bytes(dump_estimator(model.definition, model.estimator_))
        models.append({"file": name, **model_state(model)})
    applicability = None
    if bundle.applicability is not None:
        applicability, arrays = bundle.applicability.as_state()
        for name, values in arrays.items():
            np.save(folder / f"{_APPLICABILITY}{name}.npy", np.ascontiguousarray(values), allow_pickle=False)
    content = {
        "format": FORMAT,
        "version": VERSION,
        "title": bundle.title,
        "feature_set": bundle.feature_set,
        "task": str(bundle.task),
        "schema": [feature.as_dict() for feature in bundle.schema],
        "ranges": _range_state(bundle.ranges),
        "applicability": applicability,
        "context": bundle.context,
        "models": models,
        "versions": versions(bundle.models),
        "files": {
            path.name: {"bytes": path.stat().st_size, "sha256": checksum(path)} for path in sorted(folder.iterdir())
        },
    }
    try:
        text = json.dumps({**content, "sha256": _own_checksum(content)}, indent=1, allow_nan=False)
        if json.loads(text)["context"] != bundle.context:
            raise ValueError("what does not come back as it was, such as tuples or keys that are no text")
    except (TypeError, ValueError) as error:
        raise OptionError(
            "context of the bundle",
            required="what JSON can hold: text, finite numbers, lists, and tables by text",
            found=str(error),
            remedy="Convert it",
        ) from error
    (folder / INDEX).write_text(text + "\n", encoding="utf-8")


def _safe_names(folder: Path) -> set[str]:
    """Names of the files in a folder; refuses pickles, links, folders and files that no bundle has."""
    names = set()
    for path in sorted(folder.iterdir()):
        found = ""
        if path.suffix.lower() in _PICKLE_SUFFIXES:
            found = "a pickle, which could run any code"
        elif path.is_symlink() or not path.is_file():
            found = "a link or a folder"
        elif _is_pickle(path):
            found = "a pickle under another name, which could run any code"
        elif not _FILE_NAME.fullmatch(path.name):
            found = "a file that no bundle has"
        if found:
            raise InputError(
                path,
                required="nothing but the files of the bundle",
                found=found,
                remedy="Get the bundle again, and do not open what you do not know",
            )
        names.add(path.name)
    return names


def _is_pickle(path: Path) -> bool:
    with path.open("rb") as source:
        start = source.read(2)
    return len(start) == 2 and start[0] == 0x80 and start[1] <= 5


def _read_index(index: Path) -> dict[str, Any]:
    try:
        content = json.loads(index.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError("of another format")
        version = content["version"]
        if not isinstance(version, int) or isinstance(version, bool):
            raise TypeError("a version that is no number")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _unreadable(index, f"something else ({error})") from error
    if version > VERSION:
        raise InputError(
            index,
            required=f"a bundle of format version {VERSION} or earlier",
            found=f"version {version}",
            remedy="Update this package",
        )
    given = content.pop("sha256", None)
    if given != _own_checksum(content):
        raise _unreadable(index, "content that was changed after it was written: its checksum does not match")
    return content


def _require_files(folder: Path, content: dict[str, Any], names: set[str]) -> None:
    """Refuse a folder whose files are not those that the index lists."""
    listed = content.get("files")
    if not isinstance(listed, dict):
        raise _unreadable(folder / INDEX, "no list of files")
    for name in sorted((names - {INDEX}) ^ listed.keys()):
        raise InputError(
            folder / name,
            required=f"the files that {INDEX} lists, and no others",
            found="no such file" if name in listed else "a file that it does not list",
            remedy="Get the bundle again",
        )
    for name, expected in listed.items():
        if not isinstance(expected, dict) or checksum(folder / name) != expected.get("sha256"):
            raise InputError(
                folder / name,
                required=f"the file that {INDEX} lists",
                found="one that was changed after it was written: its checksum does not match",
                remedy="Get the bundle again",
            )


def _bundle_of(folder: Path, content: dict[str, Any]) -> Bundle:
    schema = tuple(FeatureSchema.from_dict(each) for each in content["schema"])
    task = Task(content["task"])
    files = set(content["files"])
    used = {name for name in files if name.startswith(_APPLICABILITY)}
    _tell_of_versions(folder, content["versions"])
    models = []
    for state in content["models"]:
        model = model_from_state(state, schema, task)
        name = state["file"]
        used.add(name)
        model.estimator_ = _estimator_of(folder, name, model)
        models.append(model)
    if used != files:
        raise ValueError("files that belong to no model")
    bundle = Bundle(
        models=tuple(models),
        schema=schema,
        task=task,
        title=str(content["title"]),
        feature_set=str(content["feature_set"]),
        context=dict(content["context"]),
        ranges=_range_from(schema, content["ranges"]),
        applicability=_applicability_of(folder, content["applicability"], used),
    )
    try:
        _require_one_kind(bundle)
    except OptionError as error:
        raise _unreadable(folder / INDEX, error.found) from error
    return bundle


def _estimator_of(folder: Path, name: str, model: SusceptibilityModel) -> Any:
    if name == INDEX or not _FILE_NAME.fullmatch(name):
        raise _unreadable(folder / INDEX, f"an estimator in {name!r}")
    try:
        content = (folder / name).read_bytes()
        return load_estimator(model.definition, content, model.preprocessor_.columns_, model.task)
    except (OSError, ValueError) as error:
        raise _unreadable(folder / name, str(error)) from error


def _applicability_of(folder: Path, numbers: Any, files: set[str]) -> ApplicabilityModel | None:
    names = [name for name in sorted(files) if name.startswith(_APPLICABILITY)]
    if numbers is None:
        if names:
            raise ValueError("arrays of an area of applicability that is none")
        return None
    arrays = {}
    for name in names:
        try:
            array = np.load(folder / name, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise _unreadable(folder / name, f"no plain array ({error})") from error
        if not isinstance(array, np.ndarray) or array.dtype != np.float64:
            raise _unreadable(folder / name, "an array of another kind")
        arrays[name.removeprefix(_APPLICABILITY).removesuffix(".npy")] = array
    try:
        return ApplicabilityModel.from_state(numbers, arrays)
    except InputError as error:
        raise _unreadable(folder / INDEX, f"no area of applicability ({error.found})") from error


def _tell_of_versions(folder: Path, written: Mapping[str, Any]) -> None:
    here = versions(())
    for library, version in written.items():
        own = here.get(library)
        if own != version:
            logger.warning("%s: written with %s %s, read with %s", folder, library, version, own or "none")


def _own_checksum(content: dict[str, Any]) -> str:
    """SHA-256 of the content, whatever its order and its white space."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _range_state(ranges: TrainingRange) -> dict[str, Any]:
    return {
        **{
            name: [None if math.isnan(value) else value for value in getattr(ranges, name).tolist()]
            for name in _RANGE_PARTS
        },
        "classes": {str(number): seen.tolist() for number, seen in ranges.classes.items()},
    }


def _range_from(schema: tuple[FeatureSchema, ...], state: Mapping[str, Any]) -> TrainingRange:
    parts = [np.array([math.nan if value is None else value for value in state[name]], float) for name in _RANGE_PARTS]
    classes = {int(number): np.array(seen, bool) for number, seen in state["classes"].items()}
    expected = {number: len(feature.classes) for number, feature in enumerate(schema) if feature.is_class}
    if {len(part) for part in parts} != {len(schema)} or {key: len(seen) for key, seen in classes.items()} != expected:
        raise ValueError("ranges of other features")
    lowest, low, high, highest = parts
    return TrainingRange(schema, lowest, low, high, highest, classes)


def _unreadable(path: Path, found: str) -> InputError:
    return InputError(
        path, required="a bundle of models", found=found, remedy="Get the bundle again, or fit the models"
    )
