"""Exact Shapley values of ensembles of trees, in time proportional to their nodes.

What a tree says of a sample of which only the columns S are known is its conditional expectation along the paths: at a
node that asks for a column of S the sample takes its own way, at any other it goes both ways in proportion to the
training samples that went there ("path-dependent" TreeSHAP). The Shapley values of that game are shared out among the
columns of the sample and sum to its prediction less the mean over the training samples.

Notes
-----
For a leaf of value v, let ``o_i`` be 1 where the sample passes all edges of column i on the path to it, else 0, and
``z_i`` the share of the training samples that does. The leaf's part of the game is ``v prod_S o_i prod_not-S z_i``.
With the Shapley weight of a set written as an integral, ``s! (d - s - 1)! / d! = int_0^1 t^s (1 - t)^(d - s - 1) dt``,
the value of column j is::

    v (o_j - z_j) int_0^1 prod over i other than j of [t o_i + (1 - t) z_i] dt

a polynomial in t of a degree below d, the number of columns on the path, so that a Gauss-Legendre quadrature of d / 2
points is exact. The products of all leaves below an edge are summed before they are divided by its own factor: one
step down and one up through the nodes of a tree, where the original algorithm takes ``leaves depth^2`` steps. All
terms of the quadrature are positive and cancel nothing.

References
----------
Lundberg, S. M. et al. (2020). From local explanations to global understanding with explainable AI for trees. Nature
Machine Intelligence 2, 56-67.

Yu, P., Bifet, A., Read, J., Xu, C. (2022). Linear TreeShap. Advances in Neural Information Processing Systems 35.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from susceptibility.kernels.treeshap import explain_trees, link_edges
from susceptibility.workers import run_in_threads

_ROWS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class TreeEnsemble:
    """Trees whose values are summed, node after node.

    Attributes
    ----------
    roots : (tree + 1,) int64
        Nodes of tree k are ``roots[k]:roots[k + 1]``, its root the first of them.
    left, right : (node,) int32
        Children, counted from the root; -1 in a leaf.
    column : (node,) int32
        What an inner node asks for.
    threshold : (node,) float64
        Samples with at most this go to the left.
    cover : (node,) float64
        Training samples that came here, by weight.
    value : (node,) float64
        Of a leaf.
    """

    roots: NDArray[np.int64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    column: NDArray[np.int32]
    threshold: NDArray[np.float64]
    cover: NDArray[np.float64]
    value: NDArray[np.float64]


def trees_of_forest(forest: Any) -> TreeEnsemble:
    """Trees of a fitted random forest of scikit-learn, each divided by their number.

    Values are the predicted probability of the last class, or what a regression predicts.
    """
    trees = [estimator.tree_ for estimator in forest.estimators_]
    values = []
    for tree in trees:
        value = np.asarray(tree.value[:, 0, :], np.float64)
        if hasattr(forest, "classes_"):
            value = value[:, -1:] / value.sum(axis=1, keepdims=True)
        values.append(value[:, 0] / len(trees))
    return TreeEnsemble(
        roots=np.cumsum([0, *(tree.node_count for tree in trees)], dtype=np.int64),
        left=_joined([tree.children_left for tree in trees], np.int32),
        right=_joined([tree.children_right for tree in trees], np.int32),
        column=_joined([tree.feature for tree in trees], np.int32),
        threshold=_joined([tree.threshold for tree in trees], np.float64),
        cover=_joined([tree.weighted_n_node_samples for tree in trees], np.float64),
        value=_joined(values, np.float64),
    )


def trees_of_booster(booster: Any) -> TreeEnsemble:
    """Trees of a fitted booster of XGBoost, whose values sum to its margin less `origin_of_booster`.

    Raises
    ------
    ValueError
        It is not of plain trees.
    """
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    if learner["gradient_booster"]["name"] != "gbtree" or int(learner["learner_model_param"]["num_target"]) != 1:
        raise ValueError("a booster of plain trees")
    trees = learner["gradient_booster"]["model"]["trees"]
    if any(any(tree["split_type"]) for tree in trees):
        raise ValueError("trees that split classes apart")
    left = _joined([tree["left_children"] for tree in trees], np.int32)
    condition = _joined([tree["split_conditions"] for tree in trees], np.float32)
    is_leaf = left < 0
    return TreeEnsemble(
        roots=np.cumsum([0, *(len(tree["left_children"]) for tree in trees)], dtype=np.int64),
        left=left,
        right=_joined([tree["right_children"] for tree in trees], np.int32),
        column=_joined([tree["split_indices"] for tree in trees], np.int32),
        # What is below goes to the left there, what equals it to the right.
        threshold=np.nextafter(condition, np.float32(-np.inf)).astype(np.float64),
        cover=_joined([tree["sum_hessian"] for tree in trees], np.float64),
        value=np.where(is_leaf, condition, np.float32(0.0)).astype(np.float64),
    )


def origin_of_booster(booster: Any, trees: TreeEnsemble) -> float:
    """What a booster of XGBoost adds its trees to: any row's margin of the first tree less the value of its leaf."""
    from xgboost import DMatrix

    row = DMatrix(np.zeros((1, booster.num_features()), np.float32), nthread=1)
    first = {"iteration_range": (0, 1), "validate_features": False}
    leaf = int(np.ravel(booster.predict(row, pred_leaf=True, **first))[0])
    return float(booster.predict(row, output_margin=True, **first)[0]) - float(trees.value[leaf])


def tree_shap(
    trees: TreeEnsemble, features: NDArray[np.float32], *, workers: int | None = None
) -> tuple[NDArray[np.float64], float]:
    """Shapley values (row, column) of features (row, column), without NaN, and the mean over the training samples.

    Raises
    ------
    ValueError
        Nodes are not in the order that `TreeEnsemble` says.
    """
    prior, share = np.empty(len(trees.left), np.int32), np.empty(len(trees.left))
    most, deepest = link_edges(trees.roots, trees.left, trees.right, trees.column, trees.cover, prior, share)
    if most < 0:
        raise ValueError("nodes of a tree come after their parents")
    points, weights = np.polynomial.legendre.leggauss(max(1, (most + 1) // 2))
    rows = np.ascontiguousarray(features, np.float32)
    values = np.zeros(rows.shape)

    def explain(start: int) -> None:
        block = slice(start, start + _ROWS_AT_ONCE)
        explain_trees(
            rows[block], trees.roots, trees.left, trees.right, trees.column, trees.threshold, trees.value,
            prior, share, deepest, 0.5 * (points + 1.0), 0.5 * weights, values[block],
        )  # fmt: skip

    run_in_threads([partial(explain, start) for start in range(0, len(rows), _ROWS_AT_ONCE)], workers=workers)
    is_leaf = trees.left < 0
    root = np.repeat(trees.roots[:-1], np.diff(trees.roots))
    base = float(np.sum((trees.value * trees.cover / trees.cover[root])[is_leaf]))
    return values, base


def _joined(parts: Sequence[Any], dtype: type[np.generic]) -> NDArray[Any]:
    return np.concatenate(parts).astype(dtype)
