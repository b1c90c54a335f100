"""Normalised steepness of channels, ksn: their slope with the effect of the drained area taken out.

Notes
-----
Where uplift and erosion balance, a channel's slope goes with the area ``A`` (m2) that drains through it as

    S = ksn A^-theta

with a reference concavity ``theta`` for all channels, so that what is left, ``ksn`` in m^(2 theta), can be compared
(Wobus et al. 2006). Two ways to it, both on the filled terrain:

- by gradient: ``S A^theta`` at each node, ``S`` the drop to the cell below over the distance, and its mean along each
  segment;
- by integral (Perron & Royden 2013): elevation is ``ksn`` times chi plus a constant, with

      chi = integral from the outlet upstream of (A0 / A)^theta dx,    A0 = 1 m2

  so that ``ksn`` is the slope of the regression line of elevation on chi, which needs no slopes of single cells. Along
  a step between two cells the area is that of the upper one: at a confluence the tributary's, not the main stream's.

References
----------
Wobus, C., et al. (2006). Tectonics from topography: procedures, promise, and pitfalls. Geological Society of America
Special Paper 398, 55-74.

Perron, J. T., Royden, L. (2013). An integral approach to bedrock river profile analysis. Earth Surface Processes and
Landforms 38, 570-576.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from susceptibility.errors import OptionError
from susceptibility.factors.streams import Streams
from susceptibility.kernels import streams as kernels

CONCAVITY = 0.45
"""Reference concavity unless another is asked for."""

LEAST_NODES = 5
"""Nodes that a regression needs; fewer are too short a piece of a channel to have a steepness."""

_Values = NDArray[np.float64]


def chi_m(streams: Streams, concavity: float = CONCAVITY) -> _Values:
    """Integral of ``A^-concavity`` from the outlet upstream, (node,), in m^(1 - 2 concavity); 0 at outlets."""
    _check_concavity(concavity)
    return streams.integrate(streams.length_m * streams.area_m2**-concavity)


def node_steepness(streams: Streams, concavity: float = CONCAVITY) -> _Values:
    """Return ``S A^concavity`` of each node, (node,); NaN at outlets, below which nothing is known."""
    _check_concavity(concavity)
    below = streams.receiver
    inner = below >= 0
    gradient = np.full(below.size, np.nan)
    drop_m = streams.elevation_m[inner] - streams.elevation_m[below[inner]]
    gradient[inner] = drop_m / streams.length_m[inner]
    return np.asarray(gradient * streams.area_m2**concavity)


def segment_steepness_by_gradient(streams: Streams, concavity: float = CONCAVITY) -> _Values:
    """Mean of `node_steepness` along each segment, (segment,); NaN where no node has any."""
    return mean_of_segments(streams, node_steepness(streams, concavity))


def mean_of_segments(streams: Streams, values: _Values) -> _Values:
    """Mean over the nodes of each segment whose value is known, (segment,); NaN where there are none."""
    known = np.isfinite(values)
    total = np.bincount(streams.segment[known], values[known], minlength=streams.segments)
    count = np.bincount(streams.segment[known], minlength=streams.segments)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def segment_steepness_by_integral(
    streams: Streams, concavity: float = CONCAVITY, *, least_nodes: int = LEAST_NODES
) -> _Values:
    """Slope of elevation against chi of each segment, (segment,), with the node in which it ends.

    NaN for a segment of fewer than `least_nodes` nodes.
    """
    steepness = np.empty(streams.segments, np.float64)
    chi = chi_m(streams, concavity)
    kernels.slopes_of_segments(streams.segment, streams.receiver, chi, streams.elevation_m, least_nodes, steepness)
    return steepness


def smoothed_steepness(
    streams: Streams, concavity: float = CONCAVITY, *, reach_m: float = 500.0, least_nodes: int = LEAST_NODES
) -> _Values:
    """Slope of elevation against chi around each node, (node,).

    Parameters
    ----------
    streams
        Of `extract_streams`.
    concavity
        Reference concavity.
    reach_m
        How far up and down the channel, along it, the regression reaches; upward it follows the larger catchment.
    least_nodes
        NaN where there are fewer within reach.
    """
    chi = chi_m(streams, concavity)
    if not reach_m > 0.0:
        raise OptionError("reach", required="metres above 0", found=str(reach_m), remedy="Try 500")
    steepness = np.empty(streams.cell.size, np.float64)
    kernels.slopes_along_streams(
        streams.receiver,
        streams.order,
        streams.area_m2,
        streams.distance_m,
        chi,
        streams.elevation_m,
        reach_m,
        least_nodes,
        steepness,
    )
    return steepness


def _check_concavity(concavity: float) -> None:
    if not 0.0 < concavity < 1.0:
        raise OptionError(
            "concavity",
            required="a reference concavity between 0 and 1",
            found=str(concavity),
            remedy=f"Rivers in bedrock have 0.4 to 0.6; {CONCAVITY} is usual",
        )
