"""Parts of the training rows: folds for calibration and for the choice of hyperparameters, and random shares."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from susceptibility.errors import InputError
from susceptibility.schema import Task


def inner_folds(
    y: NDArray[Any], folds: int, *, task: Task, seed: int, groups: NDArray[Any] | None = None
) -> NDArray[np.intp]:
    """Fold of each row, (row,), from 0.

    For classification each class is dealt out evenly; with groups whole groups are, the largest first, each to the
    fold that has least of what the group holds most of.

    Parameters
    ----------
    y
        (row,) target.
    folds
        Their number.
    task
        Whether there are classes to be dealt out.
    seed
        Of the dealing.
    groups
        (row,) of any values; rows of one group stay together.

    Raises
    ------
    InputError
        There are fewer groups or rows than folds, or without one of the folds a class would be missing.
    """
    rng = np.random.default_rng([seed, folds])
    stratum = (np.asarray(y) == 1).astype(np.intp) if task is Task.CLASSIFICATION else np.zeros(len(y), np.intp)
    fold = _dealt(stratum, folds, rng) if groups is None else _dealt_groups(stratum, np.asarray(groups), folds, rng)
    counts = np.zeros((folds, 2), np.intp)
    np.add.at(counts, (fold, stratum), 1)
    left = counts.sum(axis=0) - counts
    needed = (0, 1) if task is Task.CLASSIFICATION else (0,)
    if counts.sum(axis=1).min() == 0 or any(left[:, each].min() == 0 for each in needed):
        raise InputError(
            "folds within the training rows",
            required=f"{folds} folds with rows in each, and rows of every class without any one of them",
            found="folds of " + ", ".join(" + ".join(str(row[each]) for each in needed) for row in counts) + " rows",
            remedy="Use fewer folds, smaller groups or more training rows",
        )
    return fold


def random_share(y: NDArray[Any], rows: int, *, task: Task, seed: int, fewest: int = 1) -> NDArray[np.intp]:
    """Positions of a random part of the rows, rising; for classification each class by its share.

    Parameters
    ----------
    y
        (row,) target.
    rows
        How many, about; all where there are no more.
    task
        Whether there are classes.
    seed
        The same one draws for fewer rows a part of what it draws for more.
    fewest
        Of each class, if it has so many.
    """
    if rows >= len(y):
        return np.arange(len(y))
    order = np.random.default_rng([seed, 1]).permutation(len(y))
    if task is Task.REGRESSION:
        return np.sort(order[: max(rows, fewest)])
    share = rows / len(y)
    kept = []
    for value in (0, 1):
        members = order[y[order] == value]
        kept.append(members[: max(round(share * members.size), fewest)])
    return np.sort(np.concatenate(kept))


def _dealt(stratum: NDArray[np.intp], folds: int, rng: np.random.Generator) -> NDArray[np.intp]:
    fold = np.empty(len(stratum), np.intp)
    dealt = 0
    for value in np.unique(stratum):
        members = rng.permutation(np.flatnonzero(stratum == value))
        fold[members] = (np.arange(members.size) + dealt) % folds  # goes on where the other class ended
        dealt += members.size
    return fold


def _dealt_groups(
    stratum: NDArray[np.intp], groups: NDArray[Any], folds: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    names, group = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), int(stratum.max()) + 1))
    np.add.at(counts, (group, stratum), 1.0)
    shares = counts / np.maximum(counts.sum(axis=0), 1.0)
    order = rng.permutation(len(shares))
    order = order[np.argsort(-shares[order].max(axis=1), kind="stable")]
    filled = np.zeros((folds, counts.shape[1]))
    of_group = np.empty(len(names), np.intp)
    for number in order:
        of_group[number] = np.argmin(filled @ shares[number])
        filled[of_group[number]] += shares[number]
    return of_group[group]
