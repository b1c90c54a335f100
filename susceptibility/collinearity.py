"""How far the features of a table say the same: correlations, variance inflation and principal components.

Rows where any of the features is unknown are left out and counted. Sums over rows are float64 and taken block by block,
so that a table of any length is used whole. Only ranks need a column at once: Spearman's correlation takes at most
`SPEARMAN_ROWS` evenly spaced rows.

Notes
-----
With R the correlation matrix of p features, its eigenvalues l_k and unit eigenvectors v_k:

    variance inflation of feature j     (R^-1)_jj = sum_k v_jk^2 / l_k = 1 / (1 - r2_j)
    variance explained by component k   l_k / p
    loading of feature j on it          v_jk sqrt(l_k), their correlation

r2_j is that of a linear regression of the feature on all others. Numbers that came as float32 fulfil an exact linear
relation to some 1e-7 of their spread, so that a component with an eigenvalue below 1e-10 counts as one: features that
take part in it, with at least 1e-4 of its weight, have an infinite inflation and are named together. It is left out of
the sum of the others, which would else be regressed on rounding errors.

References
----------
Belsley, D. A., Kuh, E., Welsch, R. E. (1980). Regression Diagnostics. Wiley.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from susceptibility.errors import InputError, OptionError
from susceptibility.table import Table

SPEARMAN_ROWS = 200_000
"""Rows, at most, whose ranks are compared."""

HIGH_VIF = 10.0
"""Inflation from which a feature is commonly called redundant."""

_SMALLEST_EIGENVALUE = 1e-10
_TAKES_PART = 1e-4  # smallest weight, in standard deviations, of a feature in a relation


@dataclass(frozen=True, slots=True)
class Collinearity:
    """What `assess_collinearity` finds; p features.

    Attributes
    ----------
    names, units
        Of the features.
    rows, dropped
        Rows where all features are known, and the others.
    missing
        Rows where a feature is unknown, by its name.
    constant
        Features that do not vary over the rows; their correlations and inflation are NaN, their loadings 0.
    pearson : (feature, feature) float64
        Correlation coefficients.
    spearman : (feature, feature) float64
        The same of ranks, over `spearman_rows` rows.
    vif : (feature,) float64
        Variance inflation factor; infinite where the others determine the feature.
    relations
        Names of the features of each exact linear relation.
    explained : (component,) float64
        Share of the variance of standardised features, falling.
    components : (component, feature) float64
        Unit eigenvectors; of each the entry of largest magnitude is positive.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    rows: int
    dropped: int
    missing: dict[str, int]
    constant: tuple[str, ...]
    pearson: NDArray[np.float64]
    spearman: NDArray[np.float64]
    spearman_rows: int
    vif: NDArray[np.float64]
    relations: tuple[tuple[str, ...], ...]
    explained: NDArray[np.float64]
    components: NDArray[np.float64]

    @property
    def loadings(self) -> NDArray[np.float64]:
        """Correlation (component, feature) of components with features."""
        varying = len(self.names) - len(self.constant)
        return self.components * np.sqrt(self.explained * varying)[:, None]

    def strongest(self, at_least: float) -> list[tuple[str, str, float]]:
        """Pairs of features whose Pearson correlation has at least a magnitude, the strongest first."""
        first, second = np.triu_indices(len(self.names), 1)
        value = self.pearson[first, second]
        order = np.argsort(-np.abs(value), kind="stable")
        return [
            (self.names[first[index]], self.names[second[index]], float(value[index]))
            for index in order
            if abs(value[index]) >= at_least
        ]


def assess_collinearity(table: Table, names: Sequence[str] | None = None) -> Collinearity:
    """Correlate the features of a table.

    Parameters
    ----------
    table
        From `build_table` or `read_table`.
    names
        Columns to compare; None for all features that are quantities.

    Raises
    ------
    OptionError
        There are fewer than two features, or a column has no such name or is a class or a direction.
    InputError
        Fewer than three rows have all features known.
    """
    names = _chosen_names(table, names)
    rows, missing, mean, spread = _moments(table, names)
    if rows < 3:
        raise InputError(
            "table",
            required="at least 3 rows where every feature is known",
            found=f"{rows} of {table.rows}; unknown in: {_worst(missing)}",
            remedy="Leave out the features that are mostly unknown",
        )
    varies = spread > 0.0
    pearson = _pearson(table, names, mean, np.where(varies, spread, np.nan), rows)
    ranked, spearman = _spearman(table, names, rows)
    spearman[~varies] = spearman[:, ~varies] = np.nan

    present = np.flatnonzero(varies)
    values, vectors = _eigen(pearson[np.ix_(present, present)])
    vif = np.full(len(names), np.nan)
    vif[present] = _variance_inflation(values, vectors)
    components = np.zeros((present.size, len(names)))
    components[:, present] = vectors.T
    return Collinearity(
        names=names,
        units=tuple(table.column(name).unit for name in names),
        rows=rows,
        dropped=table.rows - rows,
        missing=missing,
        constant=tuple(name for name, does in zip(names, varies, strict=True) if not does),
        pearson=pearson,
        spearman=spearman,
        spearman_rows=ranked,
        vif=vif,
        relations=tuple(tuple(names[present[index]] for index in members) for members in _relations(values, vectors)),
        explained=np.clip(values, 0.0, None) / max(present.size, 1),
        components=components,
    )


def write_collinearity(folder: Path, found: Collinearity) -> None:
    """Write ``correlation.csv``, ``vif.csv`` and ``loadings.csv``; NaN is an empty field."""
    from susceptibility.csv_files import write_csv

    loadings = found.loadings
    pairs = [(row, column) for row in range(len(found.names)) for column in range(row)]
    write_csv(
        folder / "correlation.csv",
        (
            {
                "first": found.names[column],
                "second": found.names[row],
                "pearson": float(found.pearson[row, column]),
                "spearman": float(found.spearman[row, column]),
                "rows": found.rows,
                "spearman_rows": found.spearman_rows,
            }
            for row, column in pairs
        ),
    )
    write_csv(
        folder / "vif.csv",
        (
            {"feature": name, "unit": unit, "vif": float(vif), "missing": found.missing[name]}
            for name, unit, vif in zip(found.names, found.units, found.vif, strict=True)
        ),
    )
    write_csv(
        folder / "loadings.csv",
        (
            {"component": number + 1, "explained": float(share)}
            | {name: float(value) for name, value in zip(found.names, loadings[number], strict=True)}
            for number, share in enumerate(found.explained)
        ),
    )


def _chosen_names(table: Table, names: Sequence[str] | None) -> tuple[str, ...]:
    if names is None:
        chosen = tuple(column.name for column in table.features if column.is_quantity)
    else:
        chosen = tuple(dict.fromkeys(names))
        unsuited = [name for name in chosen if not table.column(name).is_quantity]
        if unsuited:
            raise OptionError(
                "features to correlate",
                required="quantities",
                found=f"{unsuited[0]!r}, a class or a direction",
                remedy="Use its one-hot columns, or its sine and cosine",
            )
    if len(chosen) < 2:
        raise OptionError(
            "features to correlate",
            required="at least two quantities",
            found=", ".join(chosen) or "none",
            remedy="Add features to the table",
        )
    return chosen


def _complete_blocks(table: Table, names: Sequence[str]) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.float64]]]:
    """Give, of each block, which (row, column) are known, and the values (complete row, column).

    Values are less those of the first complete row: a mean much larger than the spread would cost digits.
    """
    origin: NDArray[np.float64] | None = None
    for _, block in table.blocks(names):
        known = np.isfinite(block)
        complete = block[known.all(axis=1)]
        if origin is None and len(complete):
            origin = complete[0].copy()
        yield known, complete if origin is None else complete - origin


def _moments(
    table: Table, names: Sequence[str]
) -> tuple[int, dict[str, int], NDArray[np.float64], NDArray[np.float64]]:
    """Complete rows, unknown values by name, and mean and standard deviation of `_complete_blocks`."""
    rows, missing = 0, np.zeros(len(names), np.intp)
    mean, squares = np.zeros(len(names)), np.zeros(len(names))
    for known, block in _complete_blocks(table, names):
        missing += (~known).sum(axis=0)
        if not block.size:
            continue
        # Blocks are joined by their means (Chan et al. 1983): sums of squares would cancel.
        own = block.mean(axis=0)
        together = rows + len(block)
        shift = own - mean
        squares += ((block - own) ** 2).sum(axis=0) + shift**2 * (rows * len(block) / together)
        mean += shift * (len(block) / together)
        rows = together
    spread = np.sqrt(squares / max(rows, 1))
    return rows, dict(zip(names, map(int, missing), strict=True)), mean, spread


def _pearson(
    table: Table, names: Sequence[str], mean: NDArray[np.float64], spread: NDArray[np.float64], rows: int
) -> NDArray[np.float64]:
    products = np.zeros((len(names), len(names)))
    for _, block in _complete_blocks(table, names):
        standardised = (block - mean) / spread
        products += standardised.T @ standardised
    correlation = np.clip((products + products.T) / (2.0 * rows), -1.0, 1.0)
    np.fill_diagonal(correlation, np.where(np.isfinite(spread), 1.0, np.nan))
    return correlation


def _spearman(table: Table, names: Sequence[str], rows: int) -> tuple[int, NDArray[np.float64]]:
    """Rows whose ranks were compared, and the correlation of average ranks."""
    from scipy.stats import rankdata

    step = max(1, -(-rows // SPEARMAN_ROWS))
    thinned, passed = [], 0
    for _, block in _complete_blocks(table, names):
        thinned.append(block[-passed % step :: step].copy())  # a view would keep the whole block
        passed += len(block)
    ranks = rankdata(np.concatenate(thinned), axis=0)
    ranks -= ranks.mean(axis=0)
    spread = np.sqrt((ranks**2).sum(axis=0))
    spread[spread == 0.0] = np.nan
    ranks /= spread
    return len(ranks), np.asarray(np.clip(ranks.T @ ranks, -1.0, 1.0))


def _eigen(correlation: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Eigenvalues, falling, and unit eigenvectors (feature, component), each with a positive largest entry."""
    values, vectors = np.linalg.eigh(correlation)
    values, vectors = values[::-1], vectors[:, ::-1]
    if vectors.size:
        # Rounded, so that of two entries of the same magnitude it is always the first that is made positive.
        leading = np.argmax(np.round(np.abs(vectors), 9), axis=0)
        vectors = vectors * np.where(vectors[leading, np.arange(len(values))] < 0.0, -1.0, 1.0)
    return values, vectors


def _variance_inflation(values: NDArray[np.float64], vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    is_relation = values < _SMALLEST_EIGENVALUE
    inflation = (vectors[:, ~is_relation] ** 2 / values[~is_relation]).sum(axis=1)
    weight = (vectors[:, is_relation] ** 2).sum(axis=1)
    return np.where(weight > _TAKES_PART**2, np.inf, np.maximum(inflation, 1.0))


def _relations(values: NDArray[np.float64], vectors: NDArray[np.float64]) -> list[NDArray[np.intp]]:
    """Features of each exact linear relation.

    Several eigenvectors of eigenvalue 0 mix their relations; in reduced echelon form each of these has few features.
    """
    null = vectors[:, values < _SMALLEST_EIGENVALUE].T.copy()
    row = 0
    for column in range(null.shape[1]):
        if row == len(null):
            break
        pivot = row + int(np.argmax(np.abs(null[row:, column])))
        if abs(null[pivot, column]) < _TAKES_PART:
            continue
        null[[row, pivot]] = null[[pivot, row]]
        null[row] /= null[row, column]
        others = np.arange(len(null)) != row
        null[others] -= np.outer(null[others, column], null[row])
        row += 1
    return [np.flatnonzero(np.abs(relation) > _TAKES_PART) for relation in null]


def _worst(missing: dict[str, Any]) -> str:
    worst = sorted(missing.items(), key=lambda item: -item[1])[:3]
    return ", ".join(f"{name} ({count})" for name, count in worst if count) or "none"
