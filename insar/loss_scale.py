"""The middle and the spread that drops of coherence have, by the coherence before and by the place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

UPPER_QUANTILE = 0.9
"""Of the drops; its distance from their median is their spread. Damage of less than a tenth of the pixels of a class
or of a tile hardly moves it, and it is far enough out to say how heavy the tail is."""

CLASS_WIDTH = 0.05
"""Coherence before the event that a class spans at least."""

TILE = 64
"""Least side in pixels of the tiles whose own change of coherence is taken out."""

LEAST_TILE = 200
"""Pixels of the sample that tell the change of a tile."""

LOCAL_SPREADS = 0.5, 1.1
"""Least and largest spread of a tile over that of the scene: dense damage must not become the measure of itself.

Without a limit three landslide pixels in ten of a tile hide one another; without spreads of tiles the rate of false
alarms differs by a quarter more from one null pair to the next.
"""

_LEAST_SPREAD = 1e-3


@dataclass(frozen=True, slots=True)
class LossScale:
    """Middle and spread of the drops of coherence, by coherence before and by place; see `standardise_drops`.

    Attributes
    ----------
    edges
        (class - 1,) coherence between classes.
    classes, last
        (2, class) middle and spread, before and after those of the tiles are taken out.
    tile
        Side of the tiles, pixels.
    tiles
        (2, tile row, tile col) middle and spread.
    """

    edges: NDArray[np.float64]
    classes: NDArray[np.float64]
    tile: int
    tiles: NDArray[np.float64]
    last: NDArray[np.float64]

    def score(
        self,
        before: NDArray[np.float64],
        across: NDArray[np.float32],
        rows: NDArray[np.int64],
        cols: NDArray[np.int64],
    ) -> tuple[NDArray[np.float64], NDArray[np.int16]]:
        """(row, col) drops in spreads, NaN where unknown; and (row, col) classes, -1 where unknown."""
        from insar.kernels.damage import standardise_drops

        score = np.empty(before.shape, np.float64)
        classes = np.empty(before.shape, np.int16)
        standardise_drops(
            before, across, rows, cols, self.edges, self.classes, self.tile, self.tiles, self.last, score, classes
        )
        return score, classes


def neutral_scale(before: NDArray[np.float64], shape: tuple[int, int], tile: int, least: int) -> LossScale:
    """Classes and tiles whose middles are 0 and whose spreads are 1.

    Parameters
    ----------
    before
        (pixel,) coherence of a sample.
    shape
        (rows, cols) of the scene.
    tile
        Side of the tiles, pixels.
    least
        Pixels of the sample in each class.
    """
    edges = class_edges(before, least)
    tiles = -(-shape[0] // tile), -(-shape[1] // tile)
    return LossScale(edges, _neutral(edges.size + 1), tile, _neutral(*tiles), _neutral(edges.size + 1))


def fit_scale(
    before: NDArray[np.float64],
    across: NDArray[np.float32],
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    neutral: LossScale,
) -> LossScale:
    """Middles and spreads of the drops of a pair.

    Parameters
    ----------
    before, across
        (row, col) coherence before the pair and of it, NaN where there is none.
    rows, cols
        (row,), (col,) where the pixels lie in the scene.
    neutral
        Classes and tiles.
    """
    count = neutral.edges.size + 1
    score, classes = neutral.score(before, across, rows, cols)
    known = classes >= 0
    scale = replace(neutral, classes=_filled(_scales(score[known], classes[known], count)))

    height, width = neutral.tiles.shape[1:]
    tiles = (rows[:, None] // neutral.tile) * width + cols[None, :] // neutral.tile
    score, _ = scale.score(before, across, rows, cols)
    local = _tile_scales(score[known], tiles[known], height * width).reshape(2, height, width)
    scale = replace(scale, tiles=_filled(local))

    score, _ = scale.score(before, across, rows, cols)
    return replace(scale, last=_filled(_scales(score[known], classes[known], count)))


def _scales(values: NDArray[np.float64], groups: NDArray[np.integer], count: int) -> NDArray[np.float64]:
    """(2, group) median, and distance of the upper quantile from it; NaN where a group has no value."""
    middle, upper = group_quantiles(values, groups, count, (0.5, UPPER_QUANTILE), 1)
    return np.array([middle, np.where(np.isnan(middle), np.nan, np.maximum(upper - middle, _LEAST_SPREAD))])


def _tile_scales(values: NDArray[np.float64], tiles: NDArray[np.integer], count: int) -> NDArray[np.float64]:
    """(2, tile) middle of the shortest half, and distance of the upper quantile from it, within limits.

    The shortest half stays with the undamaged part of a tile where the median has begun to follow the damaged one.
    """
    ordered = values[np.lexsort((values, tiles))]
    ends = np.cumsum(np.bincount(tiles, minlength=count))
    found = np.full((2, count), np.nan)
    for tile, (start, end) in enumerate(pairwise([0, *ends.tolist()])):
        if end - start < LEAST_TILE:
            continue
        inside = ordered[start:end]
        half = inside.size // 2
        first = int(np.argmin(inside[half:] - inside[:-half]))
        middle = inside[first + half // 2]
        found[:, tile] = middle, np.clip(np.quantile(inside, UPPER_QUANTILE) - middle, *LOCAL_SPREADS)
    return found


def group_quantiles(
    values: NDArray[np.float64], groups: NDArray[np.integer], count: int, shares: Sequence[float], least: int
) -> NDArray[np.float64]:
    """(share, group) quantiles, linear between the values; NaN where a group has fewer than `least` of them."""
    ordered = values[np.lexsort((values, groups))]
    sizes = np.bincount(groups, minlength=count)
    starts = np.cumsum(sizes) - sizes
    enough = sizes >= max(least, 1)
    found = np.full((len(shares), count), np.nan)
    for quantile, share in zip(found, shares, strict=True):
        place = (sizes[enough] - 1) * share
        below = np.floor(place).astype(np.intp)
        above = np.minimum(below + 1, sizes[enough] - 1)
        low, high = ordered[starts[enough] + below], ordered[starts[enough] + above]
        quantile[enough] = low + (high - low) * (place - below)
    return found


def class_edges(before: NDArray[np.float64], least: int) -> NDArray[np.float64]:
    """Coherence between classes of `CLASS_WIDTH`, neighbours taken together until each has enough pixels."""
    fine = np.linspace(0.0, 1.0, round(1.0 / CLASS_WIDTH) + 1)[1:-1]
    counts = np.bincount(np.searchsorted(fine, before, side="right"), minlength=fine.size + 1)
    edges: list[float] = []
    held = 0
    for edge, size, rest in zip(fine, counts, counts.sum() - np.cumsum(counts), strict=False):
        held += int(size)
        if held >= least and rest >= least:
            edges.append(float(edge))
            held = 0
    return np.array(edges, np.float64)


def _filled(scales: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, ...) middles and spreads, those that are unknown taken from the nearest that are known."""
    from scipy.ndimage import distance_transform_edt

    unknown = np.isnan(scales[0])
    if unknown.all():
        return _neutral(*scales.shape[1:])
    if not unknown.any():
        return scales
    nearest = distance_transform_edt(unknown, return_distances=False, return_indices=True)
    return np.ascontiguousarray(scales[(slice(None), *nearest)])


def _neutral(*shape: int) -> NDArray[np.float64]:
    return np.stack([np.zeros(shape), np.ones(shape)])
