"""Ways to keep rows apart that a model is tested on: at random, in space, by event, by area.

Rows close together are alike, so that a random split tests a model on near copies of what it has learned. Both views
stand side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from susceptibility.errors import InputError, OptionError
from susceptibility.events import event_labels
from susceptibility.workers import single_threads

RANDOM = "random"
NEVER_TESTED = -1
"""In `Partition.fold`: a row that may be trained on, and is never tested."""
LEFT_OUT = -2
"""In `Partition.fold`: a row that is neither trained on nor tested."""


class Direction(StrEnum):
    """The side of the study area that is held out."""

    NORTH = "north"
    SOUTH = "south"
    EAST = "east"
    WEST = "west"


_TOWARD = {Direction.NORTH: (0.0, 1.0), Direction.SOUTH: (0.0, -1.0), Direction.EAST: (1.0, 0.0)}
_TOWARD[Direction.WEST] = (-1.0, 0.0)


@dataclass(frozen=True, slots=True)
class Places:
    """What folds may depend on.

    Attributes
    ----------
    coordinates_m
        (row, easting and northing) in metres.
    target
        (row,) what a model learns.
    block_size_m
        Side of blocks.
    positive_above
        A row has a landslide where the target is larger.
    buffer_m
        Width of the dead zone around tested rows.
    event, area
        (row,) label of the event, None or empty where unknown; (row,) number of the area from 1, 0 outside all.
    direction, share
        Which side of the study area is held out, and the share of all rows there.
    """

    coordinates_m: NDArray[np.float64]
    target: NDArray[Any]
    block_size_m: float
    positive_above: float = 0.0
    buffer_m: float = 0.0
    event: NDArray[Any] | None = None
    area: NDArray[Any] | None = None
    direction: Direction = Direction.SOUTH
    share: float = 0.2

    @property
    def positive(self) -> NDArray[np.bool_]:
        """(row,) whether there is a landslide."""
        return np.asarray(self.target > self.positive_above)


class Folds(NamedTuple):
    """Outcome of a scheme, see `Partition` for what the parts mean."""

    fold: NDArray[np.intp]
    groups: NDArray[np.intp] | None = None
    names: tuple[str, ...] = ()
    excluded: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True)
class Scheme:
    """A way to split rows into folds.

    Attributes
    ----------
    name, title
        As recipes and as people write it.
    is_spatial
        Whether tested rows lie apart from those trained on: in another block, area or event.
    is_drawn
        Whether chance decides, so that another repeat is another split, and so that trying again can help.
    assign
        Splits rows into about so many folds.
    """

    name: str
    title: str
    is_spatial: bool
    is_drawn: bool
    assign: Callable[[Places, int, np.random.Generator], Folds]


def assign_blocks(places: Places, rng: np.random.Generator) -> NDArray[np.intp]:
    """Number of the square block that holds each row, (row,); the origin of the blocks is drawn."""
    origin = places.coordinates_m.min(axis=0) - rng.uniform(0.0, places.block_size_m, 2)
    steps = np.floor((places.coordinates_m - origin) / places.block_size_m).astype(np.intp)
    _, block = np.unique(steps, axis=0, return_inverse=True)
    return np.asarray(block.ravel(), np.intp)


def _random_folds(places: Places, folds: int, rng: np.random.Generator) -> Folds:
    """Each class dealt out evenly."""
    fold = np.empty(len(places.target), np.intp)
    dealt = 0
    for value in (False, True):
        members = rng.permutation(np.flatnonzero(places.positive == value))
        fold[members] = (np.arange(members.size) + dealt) % folds  # goes on where the other class ended
        dealt += members.size
    return Folds(fold)


def _block_folds(places: Places, folds: int, rng: np.random.Generator) -> Folds:
    """Whole blocks, the largest first, each to the fold that has least of what the block holds most of."""
    block = assign_blocks(places, rng)
    counts = np.stack([np.bincount(block, places.positive == value) for value in (False, True)], axis=1)
    if len(counts) < folds:
        raise OptionError(
            "[validation] block_size_m",
            required=f"at least {folds} blocks with rows of the sample, one for each fold",
            found=f"{len(counts)} blocks of {places.block_size_m:g} m",
            remedy="Choose smaller blocks or fewer folds",
        )
    shares = counts / np.maximum(counts.sum(axis=0), 1.0)
    order = rng.permutation(len(shares))
    order = order[np.argsort(-shares[order].max(axis=1), kind="stable")]
    filled = np.zeros((folds, 2))
    fold_of_block = np.empty(len(shares), np.intp)
    for number in order:
        fold_of_block[number] = np.argmin(filled @ shares[number])
        filled[fold_of_block[number]] += shares[number]
    return Folds(fold_of_block[block], block)


def _kmeans_folds(places: Places, folds: int, rng: np.random.Generator) -> Folds:
    """Clusters of the coordinates by k-means from random rows (Ruß and Brenning, 2010).

    Each partition is one local optimum, so that repeats differ.
    """
    from sklearn.cluster import KMeans

    clusters = KMeans(folds, n_init=1, init="random", random_state=int(rng.integers(2**31)))
    with single_threads():  # else the sums behind the centres, and with them the clusters, depend on the machine
        fold = np.asarray(clusters.fit_predict(places.coordinates_m), np.intp)
    return Folds(fold, assign_blocks(places, rng))


def _buffered_folds(places: Places, folds: int, rng: np.random.Generator) -> Folds:
    """Blocks, with training rows left out that lie nearer than the buffer to any tested row (Roberts et al., 2017)."""
    from scipy.spatial import cKDTree

    if not places.buffer_m > 0.0:
        raise OptionError(
            "[validation] buffer_m",
            required="the width of the dead zone around tested rows, in metres, above 0",
            found=f"{places.buffer_m:g}",
            remedy="Set it, for instance to the range of the variogram of residuals",
        )
    fold, block, *_ = _block_folds(places, folds, rng)
    excluded = np.zeros((folds, len(fold)), np.bool_)
    for number in range(folds):
        others = np.flatnonzero(fold != number)
        tested = cKDTree(places.coordinates_m[fold == number])
        distance, _ = tested.query(places.coordinates_m[others], distance_upper_bound=places.buffer_m)
        excluded[number, others] = distance < places.buffer_m
    return Folds(fold, block, (), excluded)


def _event_folds(places: Places, _folds: int, rng: np.random.Generator) -> Folds:
    """Each event in turn; rows of no known event are left out, as they may belong to the event that is tested."""
    if places.event is None:
        raise OptionError(
            "validation scheme 'events'",
            required="the event that each row belongs to",
            found="none",
            remedy="Name the field of events, or choose another scheme",
        )
    labels = event_labels(places.event)
    names = sorted(set(labels.tolist()) - {""})
    code = np.searchsorted(names, labels) if names else np.zeros(len(labels), np.intp)
    fold = np.where(labels == "", LEFT_OUT, code).astype(np.intp)
    _require_several("events", names)
    return Folds(fold, assign_blocks(places, rng), tuple(f"event {name}" for name in names))


def _area_folds(places: Places, _folds: int, rng: np.random.Generator) -> Folds:
    """Each area of the user's in turn; rows outside all of them are trained on and never tested."""
    if places.area is None:
        raise OptionError(
            "validation scheme 'areas'",
            required="the area that each row lies in",
            found="none",
            remedy="Name the file of areas, or choose another scheme",
        )
    numbers = np.nan_to_num(np.asarray(places.area, np.float64)).astype(np.intp)
    inside = np.unique(numbers[numbers > 0])
    fold = np.where(numbers > 0, np.searchsorted(inside, numbers), NEVER_TESTED).astype(np.intp)
    _require_several("areas", inside.tolist(), outside=bool((numbers <= 0).any()))
    return Folds(fold, assign_blocks(places, rng), tuple(f"area {number}" for number in inside))


def _side_fold(places: Places, _folds: int, rng: np.random.Generator) -> Folds:
    """Hold out one side: the rows farthest toward it, a share of all."""
    if not 0.0 < places.share < 1.0:
        raise OptionError(
            "[validation] share",
            required="the share of rows that is held out, between 0 and 1",
            found=f"{places.share:g}",
            remedy="Choose 0.2 to train on four fifths",
        )
    toward = places.coordinates_m @ np.array(_TOWARD[places.direction])
    # Rows on one line stay together: the edge lies between lines.
    edge = np.quantile(toward, 1.0 - places.share, method="inverted_cdf")
    fold = np.where(toward > edge, 0, NEVER_TESTED).astype(np.intp)
    return Folds(fold, assign_blocks(places, rng), (f"the {places.direction}",))


def _require_several(kind: str, found: Sequence[object], *, outside: bool = False) -> None:
    if len(found) + outside < 2:
        raise InputError(
            f"validation by {kind}",
            required=f"at least two {kind}: one to test, the rest to train on",
            found=f"{len(found)} with rows of the sample",
            remedy="Choose another scheme",
        )


SCHEMES: dict[str, Scheme] = {
    scheme.name: scheme
    for scheme in (
        Scheme(RANDOM, "random", False, True, _random_folds),
        Scheme("spatial-blocks", "spatial block", True, True, _block_folds),
        Scheme("kmeans", "k-means", True, True, _kmeans_folds),
        Scheme("buffered", "buffered block", True, True, _buffered_folds),
        Scheme("events", "leave-one-event-out", True, False, _event_folds),
        Scheme("north-south", "one-sided", True, False, _side_fold),
        Scheme("areas", "leave-one-area-out", True, False, _area_folds),
    )
}
"""Ways to split, by name."""
