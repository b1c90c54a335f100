"""Checks of boosted trees in files, before their libraries follow the indices without looking."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LIGHTGBM_END = re.compile(
    r"end of trees\n\nfeature_importances:\n(?:\w+=\d+\n)*\n"
    r"parameters:\n(?:\[\w+: [^\[\]\n]*\]\n)*\nend of parameters\n\npandas_categorical:null\n"
)


def require_whole_xgboost(content: Any, columns: int) -> None:
    """Refuse a model of XGBoost, as its JSON says, some of whose nodes lead nowhere or read what is not there.

    Raises
    ------
    ValueError
        A tree's parts do not fit together; or it is of a kind that this package never makes.
    """
    learner = content["learner"]
    booster = learner["gradient_booster"]
    if booster["name"] != "gbtree":
        raise ValueError(f"booster {booster['name']}")
    trees = booster["model"]["trees"]
    if len(booster["model"]["tree_info"]) != len(trees) or any(booster["model"]["tree_info"]):
        raise ValueError("trees of several targets")
    for tree in trees:
        left, right, parents, feature = (
            np.array(tree[name], np.int64) for name in ("left_children", "right_children", "parents", "split_indices")
        )
        count = len(left)
        sizes = {len(tree[name]) for name in ("split_conditions", "default_left", "base_weights", "split_type")}
        if {len(right), len(parents), len(feature), *sizes} != {count} or count == 0:
            raise ValueError("a tree whose parts do not fit together")
        if any(tree["split_type"]) or tree["categories"]:
            raise ValueError("a split by categories")
        inner = left != -1
        nodes = np.flatnonzero(inner)
        _require_children(nodes, left[inner], right[inner], count)
        # Each child names its one parent and the root has none: no path comes back to where it was.
        is_own = (parents[left[inner]] == nodes) & (parents[right[inner]] == nodes)
        if not is_own.all() or (left[inner] == 0).any() or (right[inner] == 0).any():
            raise ValueError("a tree that goes round in circles")
        _require_columns(feature[inner], columns)


def require_whole_lightgbm(text: str, columns: int) -> None:
    """Refuse a model of LightGBM, as its text says; see `require_whole_xgboost`.

    Raises
    ------
    ValueError
        As there.
    """
    header, *blocks = text.split("\nTree=")
    settings = _settings(header)
    if (settings["num_class"], settings["num_tree_per_iteration"], settings["label_index"]) != ("1", "1", "0"):
        raise ValueError("trees of several targets")
    sizes = [len(settings[name].split()) for name in ("feature_names", "feature_infos")]
    if {int(settings["max_feature_idx"]) + 1, *sizes} != {columns}:
        raise ValueError(f"other columns than the {columns} of the schema")
    # LightGBM reads each tree at the place that these sizes tell, wherever that is.
    start = len(header) + 1
    for number, size in enumerate(settings["tree_sizes"].split()):
        if not text.startswith(f"Tree={number}\n", start) or int(size) <= 0:
            raise ValueError("a tree that is not at its place")
        start += int(size)
    if len(settings["tree_sizes"].split()) != len(blocks) or not _LIGHTGBM_END.fullmatch(text[start:]):
        raise ValueError("a text that is not whole")
    for block in blocks:
        _require_whole_tree(_settings(block.split("\n\n", 1)[0]), columns)


def _settings(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _require_whole_tree(fields: dict[str, str], columns: int) -> None:
    leaves = int(fields["num_leaves"])
    if fields["num_cat"] != "0" or fields["is_linear"] != "0":
        raise ValueError("a split by categories, or a leaf that is no number")
    values = {
        name: np.array(text.split(), np.float64)
        for name, text in fields.items()
        if name.startswith(("leaf_", "internal_", "split_")) or name in {"threshold", "shrinkage", "decision_type"}
    }
    if leaves < 1 or len(values["leaf_value"]) != leaves or len(values["shrinkage"]) != 1:
        raise ValueError("a tree whose parts do not fit together")
    if not np.isfinite(values["leaf_value"]).all():
        raise ValueError("a leaf that is no number")
    if leaves == 1:
        return
    left, right, feature, kind = (
        np.array(fields[name].split(), np.int64)
        for name in ("left_child", "right_child", "split_feature", "decision_type")
    )
    of_leaves = {len(own) for name, own in values.items() if name.startswith("leaf_")}
    of_nodes = {len(own) for name, own in values.items() if not name.startswith(("leaf_", "shrinkage"))}
    if of_leaves != {leaves} or {len(left), len(right), *of_nodes} != {leaves - 1} or "threshold" not in values:
        raise ValueError("a tree whose parts do not fit together")
    if ((kind & 1) != 0).any():
        raise ValueError("a split by categories")
    nodes = np.arange(leaves - 1)
    for child in (left, right):
        # A leaf is -1 minus its number; inner nodes come after their parents.
        if not np.where(child < 0, -1 - child < leaves, (child > nodes) & (child < leaves - 1)).all():
            raise ValueError("a tree whose nodes lead nowhere")
    _require_columns(feature, columns)


def _require_children(nodes: NDArray[np.intp], left: NDArray[np.int64], right: NDArray[np.int64], count: int) -> None:
    children: Sequence[NDArray[np.int64]] = (left, right)
    if any(((child < 0) | (child >= count) | (child == nodes)).any() for child in children) or (left == right).any():
        raise ValueError("a tree whose nodes lead nowhere")


def _require_columns(feature: NDArray[np.int64], columns: int) -> None:
    if ((feature < 0) | (feature >= columns)).any():
        raise ValueError("a split by a column that is not there")
