"""Which rows without landslides are set against those with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from susceptibility.errors import InputError, OptionError
from susceptibility.events import event_labels, listed
from susceptibility.inventory import ABSENCE, LANDSLIDE, UNLABELLED


class NegativeSource(StrEnum):
    """Where the rows without landslides come from."""

    DRAWN = "drawn"
    INVENTORY = "inventory"
    ALL = "all"


class Allocation(StrEnum):
    """How drawn rows are spread over the classes of a categorical feature."""

    NONE = "none"
    EQUAL = "equal"
    PROPORTIONAL = "proportional"


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows that models are trained and tested on.

    Attributes
    ----------
    draw
        Number of the draw, from 0.
    cells
        (row,) flat index into the mapping units, ascending; of cells, into the (row, col) grid.
    target
        (row,) uint8, 1 where there is a landslide; or float64, the density.
    weight
        (row,) float64, rows of the pool that one stands for: the inverse of its chance to be drawn. Weighted sums over
        the sample estimate sums over all rows that could be drawn.
    notes
        What a reader of the scores must know of this draw.
    positive_above
        A row has a landslide where the target is larger.
    """

    draw: int
    cells: NDArray[np.intp]
    target: NDArray[Any]
    weight: NDArray[np.float64]
    notes: tuple[str, ...] = ()
    positive_above: float = 0.0

    @property
    def positive(self) -> NDArray[np.bool_]:
        """(row,) whether there is a landslide."""
        return np.asarray(self.target > self.positive_above)

    @property
    def prevalence(self) -> float:
        """Share of landslide rows."""
        return float(self.positive.mean())


def draw_sample(
    labels: NDArray[np.uint8] | None,
    usable: NDArray[np.bool_],
    *,
    negatives: NegativeSource,
    ratio: float,
    seed: int,
    draw: int,
    density: NDArray[np.floating] | None = None,
    positive_above: float = 0.0,
    most_positives: int | None = None,
    strata: ArrayLike | None = None,
    allocation: Allocation = Allocation.NONE,
    strata_names: Sequence[str] = (),
    event: ArrayLike | None = None,
    distance_m: NDArray[np.floating] | None = None,
    inner_m: float = 0.0,
    outer_m: float = np.inf,
) -> Sample:
    """Every usable landslide row, and rows without landslide: all, those the inventory names, or drawn at random.

    Parameters
    ----------
    labels
        (row, col) or (row,) from `rasterize_inventory`; None where `density` says what is a landslide.
    usable
        The same shape, True where every factor is known.
    negatives
        `DRAWN` draws without replacement from usable rows that the inventory says nothing of or calls free;
        `INVENTORY` takes all those that it calls free; `ALL` takes all that it does not call a landslide.
    ratio
        Rows without landslide for each with, where they are drawn.
    seed, draw
        The same two numbers give the same sample.
    density
        Areal or number density of landslides, which becomes the target; NaN where unknown, and not drawn.
    positive_above
        With `density`: a row has a landslide where it is larger.
    most_positives
        Draw so many landslide rows (of each event, with `event`) instead of all; fewer where there are fewer.
    strata, allocation, strata_names
        Number of each row's class, from 1, 0 or NaN where unknown; whether drawn rows are spread over the classes
        equally, or in proportion to their rows; and what the classes are called in notes. A class with too few rows
        gives all it has, and the others share the rest.
    event
        Label of each row's event; None, NaN or empty where unknown. Rows without landslide are drawn from those of
        each event, `ratio` for each of its landslide rows; events without landslides give none.
    distance_m, inner_m, outer_m
        Distance of each row to the nearest landslide, and the ring within which rows without landslide lie (the
        two-buffer method of Zhu et al., 2017). Rows of unknown distance are not drawn.

    Raises
    ------
    InputError
        There are too few rows of either class.
    OptionError
        The ring is empty, or an array that an option needs is missing.

    References
    ----------
    Zhu, J., Baise, L. G., Thompson, E. M. (2017). An updated geospatial liquefaction model for global application.
    Bulletin of the Seismological Society of America 107, 1365-1385.
    """
    _check_options(labels, density, allocation, strata, distance_m, inner_m, outer_m)
    flat_usable = np.asarray(usable, np.bool_).ravel()
    is_landslide, is_free = _classes(labels, flat_usable, negatives, density, positive_above)
    if distance_m is not None:
        away = np.asarray(distance_m, np.float64).ravel()
        is_free &= (away >= inner_m) & (away <= outer_m)
    notes: list[str] = []
    numbers = None
    if allocation is not Allocation.NONE and strata is not None:
        numbers = np.nan_to_num(np.asarray(strata, np.float64).ravel()).astype(np.intp)
    rng = np.random.default_rng([seed, draw])
    rows, weights = [], []
    for name, members in _events(event, flat_usable.size, is_landslide, notes):
        positive = np.flatnonzero(is_landslide & members)
        pool = np.flatnonzero(is_free & members)
        found = positive.size
        if most_positives is not None and most_positives < found:
            positive = rng.choice(positive, most_positives, replace=False)
        rows.append(positive)
        weights.append(np.full(positive.size, found / positive.size))
        if negatives is not NegativeSource.DRAWN:
            rows.append(pool)
            weights.append(np.ones(pool.size))
            continue
        wanted = round(ratio * positive.size)
        parts = [("", pool)] if numbers is None else _strata_of(pool, numbers, strata_names, notes)
        _require(wanted, sum(part.size for _, part in parts), positive.size, ratio, name)
        quotas = _quotas(parts, wanted, allocation, rng, notes)
        for (_, part), quota in zip(parts, quotas, strict=True):
            rows.append(rng.choice(part, quota, replace=False))
            weights.append(np.full(quota, part.size / max(quota, 1)))
    if distance_m is not None:
        notes.append(
            f"rows without landslide lie {inner_m:g} to {outer_m:g} m from the nearest landslide: scores tell "
            "of such places, not of the whole area"
        )
    cells = np.concatenate(rows)
    order = np.argsort(cells)
    cells = cells[order]
    target = is_landslide[cells].astype(np.uint8) if density is None else np.asarray(density, np.float64).ravel()[cells]
    return Sample(draw, cells, target, np.concatenate(weights)[order], tuple(dict.fromkeys(notes)), positive_above)


def landslide_distance_m(coordinates_m: NDArray[np.float64], positive: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Distance of each row's centre to the centre of the nearest landslide row.

    Parameters
    ----------
    coordinates_m
        (row, 2) easting and northing on a metric grid.
    positive
        (row,) whether there is a landslide.

    Returns
    -------
    (row,) float64
        Metres, 0 at landslide rows; NaN everywhere if there is none.
    """
    from scipy.spatial import cKDTree

    if not positive.any():
        return np.full(len(coordinates_m), np.nan)
    distance, _ = cKDTree(coordinates_m[positive]).query(coordinates_m)
    return np.asarray(distance, np.float64)


def _check_options(
    labels: object,
    density: object,
    allocation: Allocation,
    strata: object,
    distance_m: object,
    inner_m: float,
    outer_m: float,
) -> None:
    if (labels is None) == (density is None):
        raise ValueError("a sample needs either labels or a density, and not both")
    if allocation is not Allocation.NONE and strata is None:
        raise OptionError(
            f"[sampling] allocation = '{allocation}'",
            required="a categorical feature whose classes the rows are spread over",
            found="none",
            remedy="Name one, or set allocation = 'none'",
        )
    if distance_m is None and (inner_m > 0.0 or outer_m < np.inf):
        raise ValueError("a ring around landslides needs the distances to them")
    if not 0.0 <= inner_m < outer_m:
        raise OptionError(
            "[sampling] inner_m and outer_m",
            required="0 <= inner_m < outer_m",
            found=f"{inner_m:g} and {outer_m:g}",
            remedy="Choose a wider ring around landslides",
        )


def _classes(
    labels: NDArray[np.uint8] | None,
    usable: NDArray[np.bool_],
    negatives: NegativeSource,
    density: NDArray[np.floating] | None,
    positive_above: float,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(row,) whether a row is a usable landslide, and whether it may stand for none."""
    if density is not None:
        value = np.asarray(density, np.float64).ravel()
        labelled, free = value > positive_above, value <= positive_above
        if negatives is NegativeSource.INVENTORY:
            raise ValueError("the inventory names no free places where the target is a density")
    else:
        flat = np.asarray(labels).ravel()
        labelled = flat == LANDSLIDE
        free = flat == ABSENCE
        if negatives is not NegativeSource.INVENTORY:
            free |= flat == UNLABELLED
    positive = labelled & usable
    if not positive.any():
        raise InputError(
            "inventory",
            required="landslides on rows where every factor is known",
            found=f"{int(labelled.sum())} landslide rows, all where some factor has no data",
            remedy="Check the coverage of the factors, in the log, and leave out one that misses the landslides",
        )
    if negatives is not NegativeSource.DRAWN and not (free & usable).any():
        raise InputError(
            "inventory",
            required="places known to be free of landslides, on rows where every factor is known",
            found=f"{int(free.sum())} rows called free, none of them usable",
            remedy="Set [sampling] negatives = 'drawn', or check [inventory] presence_field",
        )
    return positive, free & usable


def _events(
    event: ArrayLike | None, rows: int, is_landslide: NDArray[np.bool_], notes: list[str]
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Name and (row,) members of each event with landslides, by name; of all rows where there are no events."""
    if event is None:
        yield "", np.ones(rows, np.bool_)
        return
    labels = event_labels(event)
    names = sorted(set(labels.tolist()) - {""})
    with_landslides = [name for name in names if (is_landslide & (labels == name)).any()]
    without = [name for name in names if name not in with_landslides]
    lost = int((is_landslide & (labels == "")).sum())
    if without:
        notes.append(f"no rows are taken of events without landslides: {listed(without)}")
    if lost:
        notes.append(f"{lost} landslide rows belong to no known event and are left out")
    if not with_landslides:
        raise InputError(
            "inventory",
            required="landslide rows that belong to a known event",
            found=f"{lost} landslide rows of no known event",
            remedy="Check the field of events, or sample without events",
        )
    for name in with_landslides:
        yield name, labels == name


def _strata_of(
    pool: NDArray[np.intp], numbers: NDArray[np.intp], names: Sequence[str], notes: list[str]
) -> list[tuple[str, NDArray[np.intp]]]:
    """Name of each class, and its rows in the pool."""
    of_pool = numbers[pool]
    unknown = int((of_pool <= 0).sum())
    if unknown:
        notes.append(f"{unknown} rows of unknown class are not drawn")
    return [
        (names[number - 1] if number <= len(names) else f"class {number}", pool[of_pool == number])
        for number in np.unique(of_pool[of_pool > 0]).tolist()
    ]


def _require(wanted: int, there_are: int, positives: int, ratio: float, event: str) -> None:
    if not 1 <= wanted <= there_are:
        of_event = f" of event {event}" if event else ""
        raise InputError(
            "sampling",
            required=f"{wanted} rows without landslide{of_event} (ratio {ratio:g} for {positives} landslide rows)",
            found=f"{there_are} such rows where every factor is known",
            remedy="Choose another [sampling] ratio",
        )


def _quotas(
    parts: Sequence[tuple[str, NDArray[np.intp]]],
    wanted: int,
    allocation: Allocation,
    rng: np.random.Generator,
    notes: list[str],
) -> list[int]:
    """How many rows are drawn of each class; they add up to what is wanted."""
    sizes = np.array([part.size for _, part in parts], np.intp)
    if allocation is Allocation.EQUAL:
        quotas = share_equally(sizes, wanted, rng)
        short = [
            name
            for (name, part), quota in zip(parts, quotas, strict=True)
            if quota == part.size and quota < quotas.max() - 1
        ]
        if short:
            notes.append(
                f"too few rows of {listed(short)} for an equal share: all of them are taken, and the other "
                "classes share the rest"
            )
        return [int(quota) for quota in quotas]
    return [int(quota) for quota in share_proportionally(sizes, wanted)]


def share_equally(sizes: NDArray[np.intp], wanted: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Quotas of classes of the given sizes, as equal as can be; chance says which take one more.

    Parameters
    ----------
    sizes
        (class,) rows there are.
    wanted
        Sum of the quotas, at most that of the sizes.
    rng
        Deals out what is left when equal quotas do not add up.
    """
    quotas = np.zeros(len(sizes), np.intp)
    left = wanted
    while left > 0:
        open_ = np.flatnonzero(quotas < sizes)
        each = left // open_.size
        if each == 0:
            quotas[rng.permutation(open_)[:left]] += 1
            break
        more = np.minimum(each, (sizes - quotas)[open_])
        quotas[open_] += more
        left -= int(more.sum())
    return quotas


def share_proportionally(sizes: NDArray[np.intp], wanted: int) -> NDArray[np.intp]:
    """Quotas in proportion to the sizes, those of the largest remainders rounded up (Hamilton's method)."""
    exact = wanted * sizes / sizes.sum()
    quotas: NDArray[np.intp] = np.floor(exact).astype(np.intp)
    order = np.argsort(-(exact - quotas), kind="stable")
    quotas[order[: wanted - int(quotas.sum())]] += 1
    return quotas
