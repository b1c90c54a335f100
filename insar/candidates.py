"""Candidate pairs of a network that follow from the dates alone: neighbours in a plane, the same season of other years.

References
----------
Pepe, A., Lanari, R. (2006), On the extension of the minimum cost flow algorithm for phase unwrapping of multitemporal
differential SAR interferograms, IEEE Trans. Geosci. Remote Sens. 44(9): the triangulation of the acquisitions in the
plane of temporal and perpendicular baselines.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from insar.constants import DAYS_PER_YEAR
from insar.errors import OptionError
from insar.graph import connected_subsets, date_baselines
from insar.stack import Pair

_FLAT = 1e-9
"""Extent across a line, relative to that along it, below which dates lie on the line."""


def delaunay_pairs(
    pairs: Sequence[Pair], perpendicular_baselines_m: NDArray[np.float64], dates: Collection[date]
) -> set[Pair]:
    """Edges of the Delaunay triangulation of the dates in the plane of time and perpendicular baseline.

    Time and baseline are each divided by their extent over the dates, so that both run from 0 to 1: in days and metres
    the triangulation would depend on the units. Dates on one line, such as those of a stack whose baselines are all
    zero, are each joined with the next one. Dates of subsets that no pair connects, whose baselines nothing relates to
    each other, are triangulated subset by subset.

    Parameters
    ----------
    pairs
        All interferograms of the stack: from them the baselines of the dates.
    perpendicular_baselines_m
        (pair,) secondary minus reference, NaN where unknown.
    dates
        Dates to triangulate, of those of the pairs.

    Raises
    ------
    OptionError
        If the known baselines do not say where each date lies relative to those it is connected with.
    """
    known = np.isfinite(perpendicular_baselines_m)
    placed = connected_subsets([pair for pair, is_known in zip(pairs, known, strict=True) if is_known])
    baselines = date_baselines(pairs, perpendicular_baselines_m)
    edges: set[Pair] = set()
    for subset in connected_subsets(pairs):
        days = [day for day in subset if day in dates]
        if len(days) < 2:
            continue
        if not any(set(days) <= set(together) for together in placed):
            raise OptionError(
                "--network delaunay",
                required="perpendicular baselines that tell where every date lies",
                found=f"unknown ones in {int((~known).sum())} of {len(pairs)} interferograms",
                remedy="Add the baseline files to the stack, or choose --network sequential or seasonal",
            )
        edges |= _triangulate(days, np.array([baselines[day] for day in days]))
    return edges


def _triangulate(days: Sequence[date], baselines_m: NDArray[np.float64]) -> set[Pair]:
    time = np.array([(day - days[0]).days for day in days], dtype=np.float64)
    extent = np.ptp(baselines_m)
    points = np.stack([time / time[-1], (baselines_m - baselines_m.min()) / (extent if extent > 0 else 1.0)], axis=1)
    lengths = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    if len(days) == 2 or lengths[1] <= _FLAT * lengths[0]:
        return {Pair(one, two) for one, two in pairwise(days)}
    from scipy.spatial import Delaunay

    found = Delaunay(points)
    edges = {tuple(sorted((int(face[one]), int(face[two])))) for face in found.simplices for one, two in _SIDES}
    # A point too close to others for the triangulation's rounding is none of its corners: it joins its nearest.
    edges |= {tuple(sorted((int(point), int(nearest)))) for point, _, nearest in found.coplanar}
    return {Pair(days[one], days[two]) for one, two in edges}


_SIDES = ((0, 1), (1, 2), (0, 2))


def days_from_whole_years(pair: Pair) -> float:
    """How far the temporal baseline is from a multiple of a year, one at least; days."""
    days = pair.temporal_baseline_days
    years = max(1, round(days / DAYS_PER_YEAR))
    return abs(days - years * DAYS_PER_YEAR)
