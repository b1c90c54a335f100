"""Shapley values of regression trees.

The nodes of all trees lie in one array after the other, those of tree ``k`` at ``roots[k]:roots[k + 1]``, of which
``left`` and ``right`` count, -1 being none. Children come after their parent. To every node but a root belongs the edge
that leads to it: ``prior`` is the level of the next edge above it that asks for the same column, -1 for none, and
``share`` the part of the samples that all edges of that column, down to this one, let pass. The root is at level 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from susceptibility.kernels.jit import kernel

_Nodes = NDArray[np.int32]
_NodeValues = NDArray[np.float64]

_LANES = 32  # rows side by side: enough that loops over them are compiled to instructions for several numbers at once


@kernel
def link_edges(
    roots: NDArray[np.int64],
    left: _Nodes,
    right: _Nodes,
    column: _Nodes,
    cover: _NodeValues,
    prior: _Nodes,
    share: _NodeValues,
) -> tuple[int, int]:
    """Fill ``prior`` and ``share``, both (node,); return the most columns that a path asks for, and the deepest level.

    Returns -1 for the former where a child comes before its parent.
    """
    most, deepest = 0, 0
    for tree in range(roots.size - 1):
        root = roots[tree]
        count = roots[tree + 1] - root
        parent, level, asked = np.full(count, -1), np.zeros(count, np.int32), np.zeros(count, np.int64)
        prior[root] = -1
        share[root] = 1.0
        for node in range(count):
            if left[root + node] < 0:
                continue
            for child in (left[root + node], right[root + node]):
                if child <= node:
                    return -1, -1
                parent[child] = node
                level[child] = level[node] + 1
                share[root + child] = cover[root + child] / cover[root + node]
                asked[child] = asked[node] + 1
                prior[root + child] = -1
                above = node
                while parent[above] >= 0:
                    if column[root + parent[above]] == column[root + node]:
                        prior[root + child] = level[above]
                        share[root + child] *= share[root + above]
                        asked[child] = asked[node]
                        break
                    above = parent[above]
                most, deepest = max(most, asked[child]), max(deepest, level[child])
    return most, deepest


@kernel
def explain_trees(
    features: NDArray[np.float32],
    roots: NDArray[np.int64],
    left: _Nodes,
    right: _Nodes,
    column: _Nodes,
    threshold: _NodeValues,
    value: _NodeValues,
    prior: _Nodes,
    share: _NodeValues,
    deepest: int,
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    result: NDArray[np.float64],
) -> None:
    """Add to ``result (row, column)`` the Shapley values of ``features (row, column)``, summed over the trees.

    A sample goes to the left where its feature is at most the threshold. ``points`` and ``weights`` are of a quadrature
    on 0 to 1 that is exact for polynomials of a degree one less than the most columns of a path.
    """
    orders = points.size
    rows = features.shape[0]
    # One entry for each level of the path from the root to where the walk is, so that large trees need little memory.
    path, visited = np.zeros(deepest + 1, np.int64), np.zeros(deepest + 1, np.int64)
    passes = np.empty((deepest + 1, _LANES))
    product = np.empty((deepest + 1, orders, _LANES))
    below = np.empty((deepest + 1, orders, _LANES))
    total = np.empty(_LANES)
    for first in range(0, rows, _LANES):
        for tree in range(roots.size - 1):
            root = roots[tree]
            passes[0, :] = 1.0
            product[0, :, :] = 1.0
            path[0] = visited[0] = level = 0
            while level >= 0:
                node = root + path[level]
                if left[node] >= 0 and visited[level] < 2:
                    asked, bound, is_left = column[node], threshold[node], visited[level] == 0
                    child = left[node] if is_left else right[node]
                    visited[level] += 1
                    level += 1
                    path[level], visited[level] = child, 0
                    node = root + child
                    before = prior[node]
                    for lane in range(_LANES):
                        goes_left = features[min(first + lane, rows - 1), asked] <= bound
                        passes[level, lane] = 1.0 if goes_left == is_left else 0.0
                    if before >= 0:
                        passes[level, :] *= passes[before, :]
                    leaf = value[node] if left[node] < 0 else 0.0
                    for order in range(orders):
                        far = (1.0 - points[order]) * share[node]
                        if before < 0:
                            for lane in range(_LANES):
                                factor = passes[level, lane] * points[order] + far
                                product[level, order, lane] = product[level - 1, order, lane] * factor
                        else:
                            before_far = (1.0 - points[order]) * share[root + path[before]]
                            for lane in range(_LANES):
                                factor = passes[level, lane] * points[order] + far
                                factor /= passes[before, lane] * points[order] + before_far
                                product[level, order, lane] = product[level - 1, order, lane] * factor
                        for lane in range(_LANES):
                            below[level, order, lane] = leaf * product[level, order, lane]
                    continue
                if level > 0:
                    total[:] = 0.0
                    rest = share[node]
                    for order in range(orders):
                        far = (1.0 - points[order]) * rest
                        for lane in range(_LANES):
                            factor = (passes[level, lane] - rest) / (passes[level, lane] * points[order] + far)
                            total[lane] += weights[order] * factor * below[level, order, lane]
                    # What lies below an edge was also counted with the edge before it of the same column: not so.
                    before = prior[node]
                    if before >= 0:
                        rest = share[root + path[before]]
                        for order in range(orders):
                            far = (1.0 - points[order]) * rest
                            for lane in range(_LANES):
                                factor = (passes[before, lane] - rest) / (passes[before, lane] * points[order] + far)
                                total[lane] -= weights[order] * factor * below[level, order, lane]
                    asked = column[root + path[level - 1]]
                    for lane in range(min(_LANES, rows - first)):
                        result[first + lane, asked] += total[lane]
                    for order in range(orders):
                        for lane in range(_LANES):
                            below[level - 1, order, lane] += below[level, order, lane]
                level -= 1
