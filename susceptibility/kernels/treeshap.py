"""Shapley values of regression trees.

The nodes of all trees lie in one array after the other, those of tree ``k`` at ``roots[k]:roots[k + 1]``; ``left``,
``right``, ``parent`` and ``prior`` count from the root of the tree, and -1 is none. Children come after their parent.
To every node but a root belongs the edge that leads to it: ``prior`` is the next edge above it that asks for the same
column, and ``share`` the part of the samples that all edges of that column, down to this one, let pass.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from susceptibility.kernels.jit import kernel

_Nodes = NDArray[np.int32]
_NodeValues = NDArray[np.float64]


@kernel
def link_edges(
    roots: NDArray[np.int64],
    left: _Nodes,
    right: _Nodes,
    column: _Nodes,
    cover: _NodeValues,
    parent: _Nodes,
    prior: _Nodes,
    share: _NodeValues,
) -> int:
    """Fill ``parent``, ``prior`` and ``share``, all (node,), and return the most columns that one path asks for.

    Returns -1 where a child comes before its parent.
    """
    most = 0
    for tree in range(roots.size - 1):
        root = roots[tree]
        count = roots[tree + 1] - root
        asked = np.zeros(count, np.int64)
        parent[root] = prior[root] = -1
        share[root] = 1.0
        for node in range(count):
            if left[root + node] < 0:
                continue
            for child in (left[root + node], right[root + node]):
                if child <= node:
                    return -1
                parent[root + child] = node
                share[root + child] = cover[root + child] / cover[root + node]
                asked[child] = asked[node] + 1
                prior[root + child] = -1
                above = node
                while parent[root + above] >= 0:
                    if column[root + parent[root + above]] == column[root + node]:
                        prior[root + child] = above
                        share[root + child] *= share[root + above]
                        asked[child] = asked[node]
                        break
                    above = parent[root + above]
                most = max(most, asked[child])
    return most


@kernel
def explain_trees(
    features: NDArray[np.float32],
    roots: NDArray[np.int64],
    left: _Nodes,
    column: _Nodes,
    threshold: _NodeValues,
    value: _NodeValues,
    parent: _Nodes,
    prior: _Nodes,
    share: _NodeValues,
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    result: NDArray[np.float64],
) -> None:
    """Add to ``result (row, column)`` the Shapley values of ``features (row, column)``, summed over the trees.

    A sample goes to the left where its feature is at most the threshold. ``points`` and ``weights`` are of a quadrature
    on 0 to 1 that is exact for polynomials of a degree one less than the most columns of a path.
    """
    orders = points.size
    for tree in range(roots.size - 1):
        root = roots[tree]
        count = roots[tree + 1] - root
        passes = np.empty(count, np.bool_)
        product = np.empty((count, orders))
        below = np.empty((count, orders))
        for row in range(features.shape[0]):
            passes[0] = True
            product[0, :] = 1.0
            for node in range(1, count):
                at = root + node
                above = parent[at]
                goes_left = features[row, column[root + above]] <= threshold[root + above]
                here = goes_left == (left[root + above] == node)
                before = prior[at]
                rest = share[at]
                if before < 0:
                    for order in range(orders):
                        factor = (1.0 - points[order]) * rest
                        if here:
                            factor += points[order]
                        product[node, order] = product[above, order] * factor
                else:
                    here = here and passes[before]
                    before_rest = share[root + before]
                    for order in range(orders):
                        factor = (1.0 - points[order]) * rest
                        before_factor = (1.0 - points[order]) * before_rest
                        if here:
                            factor += points[order]
                        if passes[before]:
                            before_factor += points[order]
                        product[node, order] = product[above, order] * (factor / before_factor)
                passes[node] = here
                below[node, :] = 0.0
            for node in range(count - 1, 0, -1):
                at = root + node
                above = parent[at]
                if left[at] < 0:
                    for order in range(orders):
                        below[node, order] = value[at] * product[node, order]
                before = prior[at]
                rest = share[at]
                one = 1.0 if passes[node] else 0.0
                gain = 0.0
                for order in range(orders):
                    factor = one * points[order] + (1.0 - points[order]) * rest
                    gain += weights[order] * below[node, order] * ((one - rest) / factor)
                # What lies below an edge was also counted with the edge before it of the same column: not so.
                if before >= 0:
                    before_rest = share[root + before]
                    before_one = 1.0 if passes[before] else 0.0
                    for order in range(orders):
                        factor = before_one * points[order] + (1.0 - points[order]) * before_rest
                        gain -= weights[order] * below[node, order] * ((before_one - before_rest) / factor)
                result[row, column[root + above]] += gain
                if above > 0:
                    for order in range(orders):
                        below[above, order] += below[node, order]
