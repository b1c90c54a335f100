"""One split of a sample into rows to train on and rows to test, checked so that every fold can be scored.

Every model and every feature set sees the same folds.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from susceptibility.errors import InputError, OptionError
from susceptibility.events import listed
from susceptibility.schema import Task
from susceptibility.schemes import LEFT_OUT, NEVER_TESTED, RANDOM, SCHEMES, Direction, Folds, Places, Scheme

__all__ = [
    "LEFT_OUT",
    "NEVER_TESTED",
    "RANDOM",
    "SCHEMES",
    "Direction",
    "Partition",
    "Places",
    "Scheme",
    "default_block_size",
    "partition_cells",
    "partition_rows",
]

logger = logging.getLogger(__name__)

_MOST_PLACES = 40  # squares with landslides: enough for an interval
_TRIES = 10  # partitions drawn until one has both classes in every fold


@dataclass(frozen=True, slots=True)
class Partition:
    """One split of a sample.

    Attributes
    ----------
    scheme
        Name in `SCHEMES`.
    draw, repeat
        Of which sample, and which split of it.
    fold
        (row,) fold in which each row is tested, from 0; `NEVER_TESTED` or `LEFT_OUT` where there is none.
    names
        Of the folds, where they have any: events, areas.
    groups
        (row,) number of the block that holds each row, which a split within the training rows should keep together as
        well; None where rows stand alone.
    place
        (row,) number of the place that holds each row, the same in all draws: what is sampled anew where the chance of
        a score is asked for. An event, an area, or a square of `place_size_m`.
    place_size_m
        Side of those squares; 0 for events and areas.
    excluded
        (fold, row) True where a row is not trained on although another fold tests it; None for nowhere.
    notes
        What a reader of the scores must know of this split.
    """

    scheme: str
    draw: int
    repeat: int
    fold: NDArray[np.intp]
    names: tuple[str, ...] = ()
    groups: NDArray[np.intp] | None = field(default=None, repr=False)
    excluded: NDArray[np.bool_] | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()
    place: NDArray[np.int64] | None = field(default=None, repr=False)
    place_size_m: float = 0.0

    @property
    def folds(self) -> int:
        """Number of folds."""
        return int(self.fold.max()) + 1

    def test_rows(self, fold: int) -> NDArray[np.intp]:
        """Positions of the rows that a fold tests, ascending."""
        return np.flatnonzero(self.fold == fold)

    def train_rows(self, fold: int) -> NDArray[np.intp]:
        """Positions of the rows that a model tested by this fold is fitted on, ascending."""
        trained = (self.fold != fold) & (self.fold != LEFT_OUT)
        if self.excluded is not None:
            trained &= ~self.excluded[fold]
        return np.flatnonzero(trained)

    def name_of(self, fold: int) -> str:
        """How messages and tables call a fold."""
        return self.names[fold] if self.names else f"fold {fold + 1}"


def partition_rows(
    scheme: str,
    coordinates_m: NDArray[np.float64],
    target: NDArray[Any],
    *,
    folds: int = 5,
    block_size_m: float | None = None,
    seed: int = 0,
    draw: int = 0,
    repeat: int = 0,
    task: Task = Task.CLASSIFICATION,
    positive_above: float = 0.0,
    buffer_m: float | None = None,
    event: ArrayLike | None = None,
    area: ArrayLike | None = None,
    direction: Direction | str = Direction.SOUTH,
    share: float = 0.2,
) -> Partition:
    """Split rows into folds that can each be tested, after training on the others.

    Parameters
    ----------
    scheme
        ``random`` (stratified by landslide or none), ``spatial-blocks``, ``kmeans``, ``buffered`` (blocks with a dead
        zone), ``events`` and ``areas`` (each left out in turn), ``north-south`` (one side is tested, once).
    coordinates_m
        (row, 2) easting and northing on a metric grid.
    target
        (row,) 1 where there is a landslide, else 0; or the density.
    folds
        Their number; events, areas and sides have their own.
    block_size_m
        Side of the blocks; None for `default_block_size`.
    seed, draw, repeat
        The same three numbers give the same partition.
    task
        Of what the target is.
    positive_above
        Folds are balanced in rows whose target is larger and those whose is not.
    buffer_m
        ``buffered``: rows nearer than this to any tested row are not trained on; None for the side of a block.
    event
        ``events``: (row,) label; None, NaN or empty where unknown: those rows take no part.
    area
        ``areas``: (row,) number from 1; 0 or NaN outside all areas: those rows are trained on and never tested.
    direction, share
        ``north-south``: the side that is tested, and the share of all rows there.

    Raises
    ------
    OptionError
        There is no such scheme, an option of it is missing, or there are fewer blocks than folds.
    InputError
        A fold has no landslides, or nothing else, among its tested or its training rows; of a density, all are alike.
        Where chance decides, ten partitions in a row have such a fold.

    References
    ----------
    Roberts, D. R. et al. (2017). Cross-validation strategies for data with temporal, spatial, hierarchical, or
    phylogenetic structure. Ecography 40, 913-929.
    """
    if scheme not in SCHEMES:
        raise OptionError(
            "validation scheme", required=" or ".join(SCHEMES), found=repr(scheme), remedy="Choose one of them"
        )
    chosen = SCHEMES[scheme]
    size_m = default_block_size(coordinates_m) if block_size_m is None else block_size_m
    places = Places(
        np.asarray(coordinates_m, np.float64),
        np.asarray(target),
        size_m,
        positive_above,
        size_m if buffer_m is None else buffer_m,
        None if event is None else np.asarray(event),
        None if area is None else np.asarray(area),
        _direction(direction),
        share,
    )
    squares = _squares(places)
    fallback: Partition | None = None
    wrong: list[str] = []
    count = 0
    for attempt in range(_TRIES if chosen.is_drawn else 1):
        rng = np.random.default_rng([seed, draw, repeat, attempt, list(SCHEMES).index(scheme)])
        assigned = chosen.assign(places, folds, rng)
        place, place_size_m = (assigned.fold.astype(np.int64), 0.0) if assigned.names[1:] else squares
        partition = Partition(
            scheme,
            draw,
            repeat,
            assigned.fold,
            names=assigned.names,
            groups=assigned.groups,
            excluded=assigned.excluded,
            notes=_notes(chosen, places, assigned),
            place=place,
            place_size_m=place_size_m,
        )
        count = max(partition.folds, 1)
        one_class = _one_class_folds(partition, places.positive)
        if not one_class:
            if attempt:
                logger.info("%s, draw %d, repeat %d: split %d times", scheme, draw, repeat, attempt + 1)
            return partition
        wrong = one_class if task is Task.CLASSIFICATION else _constant_folds(partition, places.target)
        if not wrong and fallback is None:
            unknown = f"scores of landslide or none are unknown where (landslides, others) = {listed(one_class)}"
            fallback = replace(partition, notes=(*partition.notes, unknown))
    if fallback is not None:
        return fallback
    is_class = task is Task.CLASSIFICATION
    required = "landslides and other rows" if is_class else "rows of different density"
    raise InputError(
        f"validation by {chosen.title}",
        required=f"{required}, to train on and to test, in each of {count} folds",
        found=("(landslides, others) = " if is_class else "") + listed(wrong),
        remedy=_remedy(scheme),
    )


partition_cells = partition_rows
"""The same, where every row is a cell."""


def default_block_size(coordinates_m: NDArray[np.float64]) -> float:
    """Side of spatial blocks where none is given: a fifth of the longer side of the sample's extent, in metres."""
    extent = np.ptp(np.asarray(coordinates_m), axis=0).max()
    return float(extent / 5.0) or 1.0


def _squares(places: Places) -> tuple[NDArray[np.int64], float]:
    """(row,) number of the square that holds each row, and the side: a block, doubled until they are few.

    They are counted by landslides alone, which are the same in all draws, and lie on multiples of their side, so that
    they are the same squares in all draws.
    """
    size_m = places.block_size_m
    while True:
        steps = np.floor(places.coordinates_m / size_m).astype(np.int64)
        number = steps[:, 0] * 2**32 + steps[:, 1]
        if np.unique(number[places.positive]).size <= _MOST_PLACES:
            return number, float(size_m)
        size_m *= 2.0


def _direction(direction: Direction | str) -> Direction:
    try:
        return Direction(direction)
    except ValueError:
        raise OptionError(
            "[validation] direction", required=" or ".join(Direction), found=repr(direction), remedy="Choose one"
        ) from None


def _one_class_folds(partition: Partition, positive: NDArray[np.bool_]) -> list[str]:
    """Folds whose tested or training rows are of one class: (landslides, others), in words."""
    found = []
    for fold in range(max(partition.folds, 1)):
        for use, rows in (("tested", partition.test_rows(fold)), ("training", partition.train_rows(fold))):
            landslides = int(positive[rows].sum())
            if not 0 < landslides < rows.size:
                found.append(
                    f"({landslides}, {rows.size - landslides}) among the {use} rows of {partition.name_of(fold)}"
                )
    return found


def _constant_folds(partition: Partition, target: NDArray[Any]) -> list[str]:
    """Folds whose tested or training rows all have one value, in words."""
    found = []
    for fold in range(max(partition.folds, 1)):
        for use, rows in (("tested", partition.test_rows(fold)), ("training", partition.train_rows(fold))):
            if rows.size < 2 or np.ptp(target[rows]) == 0.0:
                found.append(f"{partition.name_of(fold)}: {rows.size} {use} rows, of one density")
    return found


def _remedy(scheme: str) -> str:
    return {
        "events": "Leave the event out of the inventory, or join it with another",
        "areas": "Join the area with another, or leave it out",
        "north-south": "Choose another direction or share",
        "buffered": "Choose a narrower buffer, fewer folds or smaller blocks",
    }.get(scheme, "Choose fewer folds, smaller blocks or another spatial scheme")


def _notes(scheme: Scheme, places: Places, assigned: Folds) -> tuple[str, ...]:
    """Say which rows are not used as a reader would expect."""
    notes = []
    rows = len(assigned.fold)
    for code, what in (
        (LEFT_OUT, "belong to no known event and take no part"),
        (NEVER_TESTED, "lie outside all areas: they are trained on and never tested"),
    ):
        count = int((assigned.fold == code).sum())
        if count and scheme.name != "north-south":
            notes.append(f"{count} of {rows} rows {what}")
    if assigned.excluded is not None:
        of_others = [
            excluded.sum() / max((assigned.fold != fold).sum(), 1) for fold, excluded in enumerate(assigned.excluded)
        ]
        notes.append(
            f"a dead zone of {places.buffer_m:g} m leaves out {100.0 * float(np.mean(of_others)):.0f} % of the "
            "training rows on average"
        )
    return tuple(notes)
