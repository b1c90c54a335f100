"""Fitted scikit-learn estimators as skops archives: the same bytes for the same estimator, and nothing but known types.

An archive is a zip of arrays and of one JSON file that names the class of every object in it. Before anything is made
of it each of these classes is looked up in a short list; skops itself would take any class of scikit-learn and NumPy.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

_SCHEMA = "schema.json"
_DATE = (1980, 1, 1, 0, 0, 0)

_PLAIN = frozenset(
    {
        ("builtins", "dict", "DictNode"),
        ("builtins", "list", "ListNode"),
        ("builtins", "tuple", "TupleNode"),
        ("builtins", "str", "JsonNode"),
        ("builtins", "str", "TypeNode"),
        ("numpy", "ndarray", "NdArrayNode"),
        ("numpy", "float64", "NdArrayNode"),
        ("numpy", "float32", "NdArrayNode"),
        ("numpy", "int64", "NdArrayNode"),
        ("numpy", "int32", "NdArrayNode"),
    }
)
_TREE = ("sklearn.tree._tree", "Tree", "TreeNode")

TRUSTED: dict[str, frozenset[tuple[str, str, str]]] = {
    "LogisticRegression": _PLAIN | {("sklearn.linear_model._logistic", "LogisticRegression", "ObjectNode")},
    "LinearSVC": _PLAIN | {("sklearn.svm._classes", "LinearSVC", "ObjectNode")},
    "SVC": _PLAIN | {("sklearn.svm._classes", "SVC", "ObjectNode")},
    "RandomForestClassifier": _PLAIN
    | {
        ("sklearn.ensemble._forest", "RandomForestClassifier", "ObjectNode"),
        ("sklearn.tree._classes", "DecisionTreeClassifier", "ObjectNode"),
        _TREE,
    },
    "RandomForestRegressor": _PLAIN
    | {
        ("sklearn.ensemble._forest", "RandomForestRegressor", "ObjectNode"),
        ("sklearn.tree._classes", "DecisionTreeRegressor", "ObjectNode"),
        _TREE,
    },
}
"""What an archive of each class may hold: module, class, and how skops reads it."""


def pack(estimator: Any) -> bytes:
    """Archive of a fitted estimator of a class in `TRUSTED`; the same bytes each time."""
    from skops.io import dumps

    with zipfile.ZipFile(io.BytesIO(dumps(estimator))) as archive:
        schema = json.loads(archive.read(_SCHEMA))
        arrays = {name: _without_padding(archive.read(name)) for name in archive.namelist() if name != _SCHEMA}
    # skops names objects and arrays by their addresses in memory, and its zip holds the time of day.
    names = {name: f"{hashlib.sha256(content).hexdigest()}.npy" for name, content in arrays.items()}
    for number, node in enumerate(_nodes(schema)):
        if "__id__" in node:
            node["__id__"] = number + 1
        if "file" in node:
            node["file"] = names[node["file"]]
    _require_trusted(schema, type(estimator).__name__)
    files = {names[name]: content for name, content in arrays.items()}
    files[_SCHEMA] = json.dumps(schema, separators=(",", ":")).encode()
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[name], compresslevel=6)
    return target.getvalue()


def unpack(content: bytes, kind: str, columns: int) -> Any:
    """Estimator of an archive.

    Parameters
    ----------
    content
        From `pack`.
    kind
        Class that it must be, a key of `TRUSTED`.
    columns
        Number of columns that it must have been fitted on.

    Raises
    ------
    ValueError
        It is no such archive, or holds something else as well.
    """
    from skops.io import loads

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            damaged = archive.testzip()
            schema = json.loads(archive.read(_SCHEMA))
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, OSError, RuntimeError) as error:
        raise ValueError(
            "no skops archive"
        ) from error  # RuntimeError: encrypted, of a later version, nested without end
    if damaged is not None:
        raise ValueError(f"{damaged} is damaged")
    if not isinstance(schema, dict) or schema.get("__class__") != kind:
        raise ValueError(f"no {kind}")
    _require_trusted(schema, kind)
    trusted = sorted({f"{module}.{name}" for module, name, _ in TRUSTED[kind]})
    estimator = loads(content, trusted=trusted)
    if estimator.n_features_in_ != columns:
        raise ValueError(f"{estimator.n_features_in_} columns where the schema has {columns}")
    _require_whole(estimator, kind, columns)
    return estimator


def _without_padding(content: bytes) -> bytes:
    """Return the file of an array with zeros between the fields of a record, where memory has left anything."""
    array = np.load(io.BytesIO(content), allow_pickle=False)
    if array.dtype.names is None:
        return content
    clean = np.zeros(array.shape, array.dtype)
    for name in array.dtype.names:
        clean[name] = array[name]
    target = io.BytesIO()
    np.save(target, clean, allow_pickle=False)
    return target.getvalue()


def _nodes(part: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of the JSON in the order of the file."""
    waiting = [part]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield found
            waiting += reversed(found.values())
        elif isinstance(found, list):
            waiting += reversed(found)


def _require_trusted(schema: dict[str, Any], kind: str) -> None:
    for node in _nodes(schema):
        named = tuple(node.get(key) for key in ("__module__", "__class__", "__loader__"))
        if "__loader__" in node and named not in TRUSTED[kind]:
            raise ValueError(f"type {named[0]}.{named[1]} ({named[2]}), which no {kind} has")


def _require_whole(estimator: Any, kind: str, columns: int) -> None:
    """Refuse arrays that do not fit together: compiled code follows their indices without looking."""
    if kind in {"LogisticRegression", "LinearSVC"}:
        fits = estimator.coef_.shape == (1, columns) and estimator.intercept_.shape == (1,)
    elif kind == "SVC":
        vectors = len(estimator.support_vectors_)
        of_class = estimator._n_support  # noqa: SLF001  (this is what the compiled code reads, not n_support_)
        fits = (
            estimator.support_vectors_.shape == (vectors, columns)
            and estimator.support_.shape == (vectors,)
            and estimator.dual_coef_.shape == (1, vectors)
            and estimator._dual_coef_.shape == (1, vectors)  # what its prediction reads
            and estimator._intercept_.shape == (1,)
            and of_class.shape == (2,)
            and int(of_class.sum()) == vectors
            and int(of_class.min()) >= 0
        )
    else:
        fits = bool(estimator.estimators_) and all(_is_tree(tree.tree_, columns) for tree in estimator.estimators_)
    if not fits:
        raise ValueError(f"a {kind} whose parts do not fit together")


def _is_tree(tree: Any, columns: int) -> bool:
    nodes = np.arange(tree.node_count)
    inner = tree.children_left != -1
    children = np.concatenate([tree.children_left[inner], tree.children_right[inner]])
    parents = np.concatenate([nodes[inner], nodes[inner]])
    return bool(
        tree.n_features == columns
        and tree.node_count > 0
        and len(tree.value) == tree.node_count
        # Children come after their parents, so that every path ends.
        and (children > parents).all()
        and (children < tree.node_count).all()
        and (tree.feature[inner] >= 0).all()
        and (tree.feature[inner] < columns).all()
    )
