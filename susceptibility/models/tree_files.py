"""Checks of boosted trees in files, before their libraries follow the indices without looking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
    settings = dict(line.split("=", 1) for line in header.splitlines() if "=" in line)
    if settings["num_class"] != "1" or settings["num_tree_per_iteration"] != "1":
        raise ValueError("trees of several targets")
    for block in blocks:
        fields = dict(line.split("=", 1) for line in block.split("\n\n", 1)[0].splitlines() if "=" in line)
        leaves = int(fields["num_leaves"])
        if fields["num_cat"] != "0" or fields.get("is_linear", "0") != "0":
            raise ValueError("a split by categories, or a leaf that is no number")
        if leaves < 1 or len(fields["leaf_value"].split()) != leaves:
            raise ValueError("a tree whose parts do not fit together")
        if leaves == 1:
            continue
        left, right, feature, kind = (
            np.array(fields[name].split(), np.int64)
            for name in ("left_child", "right_child", "split_feature", "decision_type")
        )
        if {len(left), len(right), len(feature), len(kind), len(fields["threshold"].split())} != {leaves - 1}:
            raise ValueError("a tree whose parts do not fit together")
        if (kind & 1).any():
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
