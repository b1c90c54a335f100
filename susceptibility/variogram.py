"""How far apart rows must be to be independent: the variogram of residuals, its range, and blocks of that size."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from susceptibility.errors import InputError
from susceptibility.partitions import default_block_size
from susceptibility.schema import FeatureSchema, Task

_PAIRS = 100_000  # near ones and far ones that are compared, at most
_CENTRES = 1500  # rows whose neighbours are looked for, at most
_BLOCK = 100  # of them at once
_LAGS = 24
_FEWEST_LAGS = 5
_FEWEST_PAIRS = 30  # of a lag that counts
_RANGES = 80  # trial ranges of the fit
_SHUFFLES = 99
_LARGEST_P = 0.02  # of values whose likeness in space is believed


class Estimator(StrEnum):
    """How the semivariance of a lag is estimated.

    `MATHERON` is half the mean squared difference; `CRESSIE_HAWKINS` forgives outliers of a distribution that is else
    normal (Cressie and Hawkins, 1980).
    """

    MATHERON = "matheron"
    CRESSIE_HAWKINS = "cressie-hawkins"


class Shape(StrEnum):
    """Model of a variogram; its range is where it reaches the sill, that of the exponential one 95 % of it."""

    EXPONENTIAL = "exponential"
    SPHERICAL = "spherical"


_SHAPES: dict[Shape, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    Shape.EXPONENTIAL: lambda h: -np.expm1(-3.0 * h),
    Shape.SPHERICAL: lambda h: np.where(h < 1.0, 1.5 * h - 0.5 * h**3, 1.0),
}


@dataclass(frozen=True, slots=True)
class Variogram:
    """Empirical semivariogram and the model that fits it best.

    Attributes
    ----------
    lag_m, semivariance, pairs
        (lag,) mean distance of the pairs, half their mean squared difference (or its robust counterpart), their number.
    shape
        Of the model.
    nugget, partial_sill
        Semivariance of rows side by side, and how much is added with distance.
    range_m
        Distance beyond which rows are no longer alike; NaN where no likeness was found.
    p_value
        Chance that shuffled values fit a model with a range as well.
    reaches_end
        Whether the range is at the longest lag, and so may be longer in truth.
    """

    lag_m: NDArray[np.float64]
    semivariance: NDArray[np.float64]
    pairs: NDArray[np.intp]
    shape: Shape
    nugget: float
    partial_sill: float
    range_m: float
    p_value: float
    reaches_end: bool

    def model(self, distance_m: NDArray[np.floating]) -> NDArray[np.float64]:
        """Semivariance of the model at some distances."""
        if math.isnan(self.range_m):
            return np.full(np.shape(distance_m), self.nugget)
        return self.nugget + self.partial_sill * _SHAPES[self.shape](np.asarray(distance_m, np.float64) / self.range_m)


@dataclass(frozen=True, slots=True)
class ResidualBlocks:
    """Side of spatial blocks from the range of residuals, and how it came about."""

    block_size_m: float
    note: str
    variogram: Variogram


def block_size_from_residuals(
    features: NDArray[np.float32],
    target: NDArray[Any],
    coordinates_m: NDArray[np.float64],
    *,
    task: Task = Task.CLASSIFICATION,
    schema: Sequence[FeatureSchema] | None = None,
    seed: int = 0,
    folds: int = 5,
) -> ResidualBlocks:
    """Choose the side of spatial blocks as the range within which residuals of a quick model are alike.

    Parameters
    ----------
    features
        (row, feature) of a sample; NaN where unknown.
    target
        (row,) 1 or 0, or the density.
    coordinates_m
        (row, 2) easting and northing on a metric grid.
    task
        Which of the two.
    schema
        What the features are; without it all are quantities.
    seed
        Of the pairs that are compared.
    folds
        There must be four blocks for each in the box around the sample.

    Returns
    -------
    ResidualBlocks
        Its note says what was found and whether the size was bounded: from above so that there are enough blocks, from
        below so that blocks hold more than single rows. Where residuals are not alike in space it is
        `default_block_size`, at most four blocks for each fold as well.

    References
    ----------
    Roberts, D. R. et al. (2017). Cross-validation strategies for data with temporal, spatial, hierarchical, or
    phylogenetic structure. Ecography 40, 913-929.
    """
    places = np.asarray(coordinates_m, np.float64)
    residuals = quick_residuals(features, target, task=task, schema=schema)
    estimator = Estimator.MATHERON if task is Task.CLASSIFICATION else Estimator.CRESSIE_HAWKINS
    found = fit_variogram(residuals, places, estimator=estimator, seed=seed)
    width, height = np.ptp(places, axis=0)
    longest = max(width, height)
    largest = math.sqrt(max(width, longest / 10.0) * max(height, longest / 10.0) / (4.0 * folds)) or 1.0
    smallest = min(largest, 3.0 * math.sqrt(width * height / len(places)))
    if math.isnan(found.range_m):
        size = min(default_block_size(places), largest)
        return ResidualBlocks(
            size,
            f"residuals of a quick model are not alike in space (p = {found.p_value:.2f}): blocks of {size:,.0f} m, "
            "by the extent of the sample",
            found,
        )
    size = min(max(found.range_m, smallest), largest)
    note = f"residuals of a quick model are alike up to {found.range_m:,.0f} m ({found.shape} variogram)"
    if found.reaches_end:
        note += ", the longest distance looked at"
    note += f": blocks of {size:,.0f} m"
    if size < found.range_m:
        note += (
            f", the largest that leave four for each of {folds} folds. Rows of neighbouring blocks are still alike, "
            "and spatial scores somewhat too good"
        )
    elif size > found.range_m:
        note += ", the smallest that hold several rows each"
    return ResidualBlocks(size, note, found)


def quick_residuals(
    features: NDArray[np.float32],
    target: NDArray[Any],
    *,
    task: Task = Task.CLASSIFICATION,
    schema: Sequence[FeatureSchema] | None = None,
) -> NDArray[np.float64]:
    """Residuals of a linear model, logistic for a probability: what the features do not tell.

    Unknown values count as the mean of the known ones. A model that fits rows closely would leave nothing alike.

    Returns
    -------
    (row,) float64
        Target minus prediction, -1 to 1 for a probability.
    """
    from sklearn.linear_model import LogisticRegression, Ridge

    columns = _standard_columns(np.asarray(features, np.float64), schema)
    truth = np.asarray(target, np.float64)
    if columns.shape[1] == 0:
        return np.asarray(truth - truth.mean())
    if task is Task.CLASSIFICATION:
        model = LogisticRegression(max_iter=1000).fit(columns, truth > 0.0)
        predicted = np.asarray(model.predict_proba(columns)[:, 1], np.float64)
        return (truth > 0.0).astype(np.float64) - predicted
    return truth - np.asarray(Ridge(alpha=1.0).fit(columns, truth).predict(columns), np.float64)


def fit_variogram(
    values: NDArray[np.float64],
    coordinates_m: NDArray[np.float64],
    *,
    estimator: Estimator = Estimator.MATHERON,
    shapes: Sequence[Shape] = tuple(Shape),
    longest_m: float | None = None,
    seed: int = 0,
) -> Variogram:
    """Empirical semivariogram of values and the model that fits it best.

    Parameters
    ----------
    values
        (row,) all known.
    coordinates_m
        (row, 2) easting and northing on a metric grid.
    estimator
        Of the semivariance.
    shapes
        Models that are tried.
    longest_m
        Longest lag; None for half the diagonal of the extent.
    seed
        Of the pairs: about 100,000 near and 100,000 far ones are drawn if there are more.

    Raises
    ------
    InputError
        There are too few rows, or they all lie in one place or have one value.

    Notes
    -----
    Lags widen with distance, as ranges may be of any size. Models are fitted by least squares, lags weighted by
    ``N / model^2`` (Cressie, 1985) with ``1/N = 1/pairs + 1/rows``: pairs share rows, and tell no more than their
    number can. Nugget and partial sill are not negative; the range is searched for. There is a range where the model
    improves on a constant more than for all but one of 99 shuffles of the values; else it is NaN.

    References
    ----------
    Cressie, N., Hawkins, D. M. (1980). Robust estimation of the variogram I. Mathematical Geology 12, 115-125.
    Cressie, N. (1985). Fitting variogram models by weighted least squares. Mathematical Geology 17, 563-586.
    """
    z = np.asarray(values, np.float64)
    places = np.asarray(coordinates_m, np.float64)
    diagonal = float(np.hypot(*np.ptp(places, axis=0))) if len(places) else 0.0
    if z.size < _FEWEST_PAIRS or not np.isfinite(z).all() or np.ptp(z) == 0.0 or diagonal == 0.0:
        raise InputError(
            "variogram",
            required=f"at least {_FEWEST_PAIRS} rows in different places, with known values that differ",
            found=f"{z.size} rows" + ("" if np.isfinite(z).all() else ", some unknown"),
            remedy="Give the size of blocks instead",
        )
    longest = 0.5 * diagonal if longest_m is None else longest_m
    rng = np.random.default_rng(seed)
    first, second, distance = _pairs(places, longest, rng)
    lag, pairs = _lags(distance, longest)
    lag_m = np.bincount(lag, distance) / pairs
    evidence = 1.0 / (1.0 / pairs + 1.0 / z.size)
    ranges = np.geomspace(lag_m[0], longest, _RANGES)
    trials = {shape: _SHAPES[shape](lag_m[None, :] / ranges[:, None]) for shape in shapes}

    def semivariances(of: NDArray[np.float64]) -> NDArray[np.float64]:
        return _semivariances(of[first] - of[second], lag, pairs, estimator)

    semivariance = semivariances(z)
    fits = {shape: _fit(semivariance, evidence, basis) for shape, basis in trials.items()}
    shape = max(fits, key=lambda each: fits[each].improvement)
    best = fits[shape]
    as_good = sum(
        max(_fit(shuffled, evidence, basis).improvement for basis in trials.values()) >= best.improvement
        for shuffled in (semivariances(rng.permutation(z)) for _ in range(_SHUFFLES))
    )
    p_value = (1 + as_good) / (1 + _SHUFFLES)
    is_alike = p_value <= _LARGEST_P and best.partial_sill > 0.0
    return Variogram(
        lag_m,
        semivariance,
        pairs,
        shape,
        best.nugget if is_alike else float(np.average(semivariance, weights=evidence)),
        best.partial_sill if is_alike else 0.0,
        float(ranges[best.trial]) if is_alike else math.nan,
        p_value,
        is_alike and best.trial == ranges.size - 1,
    )


def _lags(distance: NDArray[np.float64], longest_m: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Number of the lag of each pair, and pairs of each lag; the nearest lags are joined until each has enough."""
    edges = np.geomspace(longest_m / 200.0, longest_m, _LAGS)[:-1]
    lag = np.searchsorted(edges, distance, side="right")
    counts = np.bincount(lag, minlength=_LAGS)
    joined, number, held = np.empty(_LAGS, np.intp), 0, 0
    for each in range(_LAGS):
        joined[each] = number
        held += int(counts[each])
        if held >= _FEWEST_PAIRS:
            number, held = number + 1, 0
    if held:
        joined[joined == number] = max(number - 1, 0)
    lag = joined[lag]
    pairs = np.bincount(lag)
    if pairs.size < _FEWEST_LAGS or pairs.min() == 0:
        raise InputError(
            "variogram",
            required=f"{_FEWEST_LAGS} lags with {_FEWEST_PAIRS} pairs of rows each",
            found=f"{distance.size} pairs within {longest_m:g} m",
            remedy="Give the size of blocks instead",
        )
    return lag, pairs


def _pairs(
    places: NDArray[np.float64], longest_m: float, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Positions of two rows and their distance: near pairs and far ones, about `_PAIRS` of each if there are more."""
    order = rng.permutation(len(places))
    nearer_m = longest_m / 8.0
    near = _some_pairs(places, order, nearer_m, rng)
    far = _some_pairs(places, order, longest_m, rng)
    kept = far[2] > nearer_m
    first, second, distance = (
        np.concatenate([of_near, of_far[kept]]) for of_near, of_far in zip(near, far, strict=True)
    )
    return first, second, distance


def _some_pairs(
    places: NDArray[np.float64], order: NDArray[np.intp], longest_m: float, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    from scipy.spatial import cKDTree

    centres = order[:_CENTRES]
    # As many partners as give the wanted number of pairs, judged by a first block of centres.
    near = cKDTree(places).query_ball_point(places[centres[:_BLOCK]], longest_m, return_length=True)
    share = min(1.0, 2.0 * _PAIRS / (float(np.mean(near)) * centres.size))
    partners = order if share == 1.0 else order[: max(_BLOCK, math.ceil(share * len(places)))]
    tree = cKDTree(places[partners])
    parts = list(_pairs_of_blocks(places, centres, partners, tree, longest_m))
    first, second, distance = (np.concatenate(column) for column in zip(*parts, strict=True))
    if first.size > _PAIRS:
        kept = np.sort(rng.choice(first.size, _PAIRS, replace=False))
        first, second, distance = first[kept], second[kept], distance[kept]
    return first, second, distance


def _pairs_of_blocks(
    places: NDArray[np.float64], centres: NDArray[np.intp], partners: NDArray[np.intp], tree: Any, longest_m: float
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]]:
    from scipy.spatial import cKDTree

    rank = np.full(len(places), -1, np.intp)
    rank[centres] = np.arange(centres.size)
    for start in range(0, centres.size, _BLOCK):
        block = centres[start : start + _BLOCK]
        near = cKDTree(places[block]).sparse_distance_matrix(tree, longest_m, output_type="ndarray")
        first, second = block[near["i"]], partners[near["j"]]
        # Each pair once, and no row with itself: partners that are centres too are met from both sides.
        once = (rank[second] < 0) | (rank[second] > rank[first])
        yield first[once], second[once], near["v"][once]


def _semivariances(
    difference: NDArray[np.float64], lag: NDArray[np.intp], pairs: NDArray[np.intp], estimator: Estimator
) -> NDArray[np.float64]:
    counts = np.maximum(pairs, 1)
    if estimator is Estimator.MATHERON:
        return np.asarray(0.5 * np.bincount(lag, difference**2, minlength=pairs.size) / counts)
    roots = np.bincount(lag, np.sqrt(np.abs(difference)), minlength=pairs.size) / counts
    return np.asarray(0.5 * roots**4 / (0.457 + 0.494 / counts))


@dataclass(frozen=True, slots=True)
class _Fit:
    """Best of the trial ranges; `improvement` is how much smaller its misfit is than that of a constant."""

    trial: int
    nugget: float
    partial_sill: float
    improvement: float


def _fit(semivariance: NDArray[np.float64], evidence: NDArray[np.float64], basis: NDArray[np.float64]) -> _Fit:
    """Nugget and partial sill of every trial range, and the best of them; basis is (range, lag)."""
    constant = float(np.average(semivariance, weights=evidence))
    without = float(np.sum(evidence * (semivariance / constant - 1.0) ** 2))
    weight = evidence / constant**2
    for _ in range(3):  # the weights depend on the model that they fit
        nugget, sill = _non_negative(semivariance, weight, basis)
        misfit = np.sum(weight * (semivariance - nugget[:, None] - sill[:, None] * basis) ** 2, axis=1)
        trial = int(np.argmin(misfit))
        model = nugget[trial] + sill[trial] * basis[trial]
        weight = evidence / np.maximum(model, 0.01 * constant) ** 2
    misfit_relative = float(np.sum(evidence * ((semivariance - model) / constant) ** 2))
    return _Fit(trial, float(nugget[trial]), float(sill[trial]), without - misfit_relative)


def _non_negative(
    semivariance: NDArray[np.float64], weight: NDArray[np.float64], basis: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted least squares of nugget and partial sill, for each row of the basis; neither is negative."""
    w = weight / weight.sum()
    mean_g, mean_b = float(w @ semivariance), basis @ w
    spread = (basis**2) @ w - mean_b**2
    shared = (basis * semivariance) @ w - mean_b * mean_g
    sill = np.divide(shared, spread, out=np.zeros_like(shared), where=spread > 1e-14)
    sill = np.maximum(sill, 0.0)
    nugget = mean_g - sill * mean_b
    through_zero = nugget < 0.0
    sill = np.where(through_zero, (basis * semivariance) @ w / ((basis**2) @ w), sill)
    return np.where(through_zero, 0.0, nugget), sill


def _standard_columns(values: NDArray[np.float64], schema: Sequence[FeatureSchema] | None) -> NDArray[np.float64]:
    """(row, column) of mean 0 and spread 1, 0 where unknown; one column for each class of a class feature."""
    columns = []
    for number in range(values.shape[1]):
        given = values[:, number]
        if schema is not None and schema[number].is_class:
            columns += [np.where(np.isnan(given), np.nan, given == value) for value in np.unique(given[given > 0])]
        else:
            columns.append(given)
    kept = []
    for column in columns:
        known = np.isfinite(column)
        if known.any() and np.ptp(column[known]) > 0.0:
            standard = (column - column[known].mean()) / column[known].std()
            kept.append(np.where(known, standard, 0.0))
    return np.stack(kept, axis=1) if kept else np.empty((len(values), 0))
