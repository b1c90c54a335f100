"""Solve the network of every pixel of a block: weighted, with gaps, whatever its rank.

Notation of the comments: nodes are dates, ``c`` conductances between dates not yet eliminated, ``g`` conductances to
the ground (the first date, whose phase is 0), ``y`` currents into the dates, ``phi`` phases.

All of it is one file: the cache of compiled kernels looks at a kernel's own file alone, and would keep code that was
compiled with an older version of what it calls from another.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from insar.elimination import EliminationPlan
from insar.kernels.jit import kernel
from insar.weights import MAX_COHERENCE

TILE = 128
"""Pixels solved side by side: long enough to fill the vector units, short enough for the second-level cache."""

NORM_L2 = 2
NORM_L1 = 1

L1_ROUNDS = 50
"""Rounds of re-weighting: the sum of absolute residuals comes within 0.3 % of the linear programme's."""

L1_SHRINKING = 0.8
"""Factor by which that residual shrinks from round to round, from 1 rad: fast shrinking settles on wrong corners."""

L1_LEAST_RESIDUAL = 1e-4
"""Residual (rad) below which weights no longer grow."""

WEIGHT_NONE = 0
WEIGHT_TABLE = 1
WEIGHT_GIVEN = 2

_LEAST_REST = 1.0 - MAX_COHERENCE**2

_TWO_PI = np.float32(2.0 * np.pi)
_INVERSE_TWO_PI = np.float32(0.5 / np.pi)


@kernel
def _weigh_samples(
    mode: int,
    samples: NDArray[np.floating],
    tables: NDArray[np.floating],
    lookup: NDArray[np.float64],
    cells: NDArray[np.int32],
    weights: NDArray[np.float64],
    there: NDArray[np.bool_],
) -> None:
    """Weight of one pair at the pixels of a tile, 0 where the sample or its weight is missing; and where it is not."""
    count = len(samples)
    if mode == WEIGHT_NONE:
        for pixel in range(count):
            weights[pixel] = 1.0 if np.isfinite(samples[pixel]) else 0.0
    elif mode == WEIGHT_GIVEN:
        for pixel in range(count):
            given = tables[pixel]
            usable = np.isfinite(samples[pixel]) and np.isfinite(given) and given > 0.0
            weights[pixel] = given if usable else 0.0
    else:
        scale = np.float32(len(lookup) - 2)
        for pixel in range(count):
            # Comparisons are false for NaN, which therefore falls in cell 0, whose weight is 0.
            coherence = tables[pixel]
            usable = np.isfinite(samples[pixel]) and coherence > 0.0
            at = np.float32(min(coherence, MAX_COHERENCE)) * scale + np.float32(1.0) if usable else np.float32(0.0)
            cells[pixel] = np.int32(at)
            weights[pixel] = at - np.float32(cells[pixel])
        for pixel in range(count):
            # Unsigned, so that no check for negative indices keeps the loop from being vectorised.
            cell = np.uint32(cells[pixel])
            rest = 1.0 - np.float64(tables[pixel]) * np.float64(tables[pixel])
            # False for NaN, too, whose weight is 0.
            divisor = rest if rest > _LEAST_REST else _LEAST_REST
            weights[pixel] = (lookup[cell, 0] + weights[pixel] * lookup[cell, 1]) / divisor
    for pixel in range(count):
        there[pixel] = weights[pixel] > 0.0


@kernel
def _eliminate(
    count: int,
    plan: EliminationPlan,
    c: NDArray[np.float64],
    g: NDArray[np.float64],
    inverse: NDArray[np.float64],
    roots: NDArray[np.int64],
) -> None:
    """Star-mesh elimination; leaves multipliers in `c` and reciprocal pivots in `inverse`.

    The pivot is the sum of a date's remaining conductances, never a difference. Nothing cancels: every quantity is
    exact to a few units in the last place however unequal the weights are, and a pivot is 0 exactly when the date has
    no path to the ground or to a date that is still there, which is how a new subset of the network shows.
    (Grassmann, Taksar & Heyman 1985 eliminate Markov chains in the same way.)
    """
    for node in range(len(plan.link_start) - 1):
        first, last = plan.link_start[node], plan.link_start[node + 1]
        pivot = inverse[node]
        ground = g[node]
        for pixel in range(count):
            pivot[pixel] = ground[pixel]
        for link in range(first, last):
            conductance = c[link]
            for pixel in range(count):
                pivot[pixel] += conductance[pixel]
        for pixel in range(count):
            roots[pixel] += pivot[pixel] == 0.0
        for pixel in range(count):
            pivot[pixel] = 1.0 / pivot[pixel] if pivot[pixel] > 0.0 else 0.0
        for update in range(plan.mesh_start[node], plan.mesh_start[node + 1]):
            one, two, into = c[plan.mesh_first[update]], c[plan.mesh_second[update]], c[plan.mesh_into[update]]
            for pixel in range(count):
                into[pixel] += one[pixel] * pivot[pixel] * two[pixel]
        for link in range(first, last):
            multiplier, target = c[link], g[plan.link_to[link]]
            for pixel in range(count):
                multiplier[pixel] *= pivot[pixel]
                target[pixel] += multiplier[pixel] * ground[pixel]


@kernel
def _substitute(
    count: int,
    plan: EliminationPlan,
    c: NDArray[np.float64],
    inverse: NDArray[np.float64],
    y: NDArray[np.float64],
) -> None:
    """Forward and backward substitution with factors of each pixel; `y` becomes `phi`."""
    nodes = len(plan.link_start) - 1
    for node in range(nodes):
        current = y[node]
        for link in range(plan.link_start[node], plan.link_start[node + 1]):
            multiplier, target = c[link], y[plan.link_to[link]]
            for pixel in range(count):
                target[pixel] += multiplier[pixel] * current[pixel]
    for node in range(nodes - 1, -1, -1):
        current = y[node]
        pivot = inverse[node]
        for pixel in range(count):
            current[pixel] *= pivot[pixel]
        for link in range(plan.link_start[node], plan.link_start[node + 1]):
            multiplier, source = c[link], y[plan.link_to[link]]
            for pixel in range(count):
                current[pixel] += multiplier[pixel] * source[pixel]


@kernel
def _substitute_shared(
    count: int,
    plan: EliminationPlan,
    c: NDArray[np.float64],
    inverse: NDArray[np.float64],
    y: NDArray[np.float64],
) -> None:
    """As `_substitute`, with the same factors for all pixels: the same operations, hence the same bits."""
    nodes = len(plan.link_start) - 1
    for node in range(nodes):
        current = y[node]
        for link in range(plan.link_start[node], plan.link_start[node + 1]):
            multiplier = c[link, 0]
            target = y[plan.link_to[link]]
            for pixel in range(count):
                target[pixel] += multiplier * current[pixel]
    for node in range(nodes - 1, -1, -1):
        current = y[node]
        pivot = inverse[node, 0]
        for pixel in range(count):
            current[pixel] *= pivot
        for link in range(plan.link_start[node], plan.link_start[node + 1]):
            multiplier = c[link, 0]
            source = y[plan.link_to[link]]
            for pixel in range(count):
                current[pixel] += multiplier * source[pixel]


@kernel
def _join_subsets(
    pixel: int,
    column: int,
    plan: EliminationPlan,
    factors: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    y: NDArray[np.float64],
    subset: NDArray[np.int64],
    phase: NDArray[np.float64],
    normal: NDArray[np.float64],
    offset: NDArray[np.float64],
) -> None:
    """Shift the subsets of one pixel's network so that the interval velocities have the least norm.

    Each subset is solved up to a constant. The constants that minimise ``sum(((phi_k - phi_(k-1)) / dt_k)^2)`` over
    consecutive dates give the minimum-norm solution of ``B v = dphi``. `factors` are `c`, `g` and `inverse` after the
    elimination, `column` where in them this pixel's are.
    """
    c, g, inverse = factors
    nodes = len(plan.order)
    subsets = 1
    subset[0] = 0
    phase[0] = 0.0
    for node in range(nodes - 1, -1, -1):
        date = plan.order[node]
        phase[date] = y[node, pixel]
        if inverse[node, column] == 0.0:
            subset[date] = subsets
            subsets += 1
            continue
        subset[date] = 0
        if g[node, column] == 0.0:
            for link in range(plan.link_start[node], plan.link_start[node + 1]):
                if c[link, column] > 0.0:
                    subset[date] = subset[plan.order[plan.link_to[link]]]
                    break
    for row in range(subsets):
        offset[row] = 0.0
        for col in range(subsets):
            normal[row, col] = 0.0
    for date in range(1, nodes + 1):
        one, two = subset[date - 1], subset[date]
        if one == two:
            continue
        weight = 1.0 / (plan.days[date] - plan.days[date - 1]) ** 2
        step = weight * (phase[date] - phase[date - 1])
        normal[one, one] += weight
        normal[two, two] += weight
        normal[one, two] -= weight
        normal[two, one] -= weight
        offset[one] += step
        offset[two] -= step
    # Subset 0 holds the first date and stays; the others are solved by Cholesky in place.
    for row in range(1, subsets):
        for col in range(1, row + 1):
            total = normal[row, col]
            for inner in range(1, col):
                total -= normal[row, inner] * normal[col, inner]
            normal[row, col] = np.sqrt(total) if row == col else total / normal[col, col]
    for row in range(1, subsets):
        total = offset[row]
        for inner in range(1, row):
            total -= normal[row, inner] * offset[inner]
        offset[row] = total / normal[row, row]
    for row in range(subsets - 1, 0, -1):
        total = offset[row]
        for inner in range(row + 1, subsets):
            total -= normal[inner, row] * offset[inner]
        offset[row] = total / normal[row, row]
    for node in range(nodes):
        label = subset[plan.order[node]]
        if label > 0:
            y[node, pixel] += offset[label]


@kernel
def _sum_phasors(
    count: int,
    residual: NDArray[np.float32],
    real: NDArray[np.float32],
    imaginary: NDArray[np.float32],
) -> None:
    """Add ``exp(1j residual)``; polynomials in single precision (error below 3e-7), because libm does not vectorise."""
    half_pi = np.float32(0.5 * np.pi)
    for pixel in range(count):
        turns = residual[pixel] * _INVERSE_TWO_PI
        x = (turns - np.rint(turns)) * _TWO_PI
        # Fold onto [-pi/2, pi/2], where the series converge fast: sin(pi - x) = sin x, cos(pi - x) = -cos x.
        magnitude = abs(x)
        folded = magnitude > half_pi
        reduced = np.float32(np.pi) - magnitude if folded else magnitude
        square = reduced * reduced
        cosine = np.float32(1.0) + square * (
            np.float32(-0.5)
            + square
            * (
                np.float32(4.16666667e-2)
                + square
                * (
                    np.float32(-1.38888889e-3)
                    + square
                    * (
                        np.float32(2.48015873e-5)
                        + square * (np.float32(-2.75573192e-7) + square * np.float32(2.0876757e-9))
                    )
                )
            )
        )
        sine = reduced * (
            np.float32(1.0)
            + square
            * (
                np.float32(-1.66666667e-1)
                + square
                * (
                    np.float32(8.33333333e-3)
                    + square
                    * (
                        np.float32(-1.98412698e-4)
                        + square * (np.float32(2.75573192e-6) + square * np.float32(-2.5052108e-8))
                    )
                )
            )
        )
        real[pixel] += -cosine if folded else cosine
        imaginary[pixel] += sine if x >= np.float32(0.0) else -sine


class _Tile(NamedTuple):
    """Working arrays of the pixels that are solved side by side: (link or node or pair, pixel), or (pixel,)."""

    c: NDArray[np.float64]
    g: NDArray[np.float64]
    inverse: NDArray[np.float64]
    y: NDArray[np.float64]
    base: NDArray[np.float64]
    there: NDArray[np.bool_]
    weights: NDArray[np.float64]
    used: NDArray[np.float64]
    squares: NDArray[np.float64]
    roots: NDArray[np.int64]
    cells: NDArray[np.int32]
    residual: NDArray[np.float32]
    real: NDArray[np.float32]
    imaginary: NDArray[np.float32]


@kernel
def _is_complete(phase: NDArray[np.floating], start: int, stop: int) -> bool:
    for pair in range(phase.shape[0]):
        samples = phase[pair, start:stop]
        finite = 0
        for pixel in range(len(samples)):
            finite += np.isfinite(samples[pixel])
        if finite < len(samples):
            return False
    return True


@kernel
def _solve_complete(
    phase: NDArray[np.floating],
    start: int,
    stop: int,
    reference_phase: NDArray[np.float64],
    plan: EliminationPlan,
    factors: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    tile: _Tile,
) -> None:
    """Solve pixels that have every pair, unweighted, with the factors they share."""
    pairs, count = len(phase), stop - start
    nodes = len(plan.order)
    tile.y[:] = 0.0
    for pair in range(pairs):
        first, second = plan.pair_first[pair], plan.pair_second[pair]
        # The row after the last date takes what belongs to the ground, so that no branch is needed.
        into = tile.y[second if second >= 0 else nodes]
        out_of = tile.y[first if first >= 0 else nodes]
        samples = phase[pair, start:stop]
        reference = reference_phase[pair]
        for pixel in range(count):
            flow = np.float64(samples[pixel]) - reference
            into[pixel] += flow
            out_of[pixel] -= flow
    _substitute_shared(count, plan, factors[0], factors[2], tile.y)
    tile.y[nodes, :] = 0.0


@kernel
def _solve_weighted(
    phase: NDArray[np.floating],
    start: int,
    stop: int,
    reference_phase: NDArray[np.float64],
    mode: int,
    tables: NDArray[np.floating],
    lookup: NDArray[np.float64],
    plan: EliminationPlan,
    rounds: int,
    tile: _Tile,
) -> None:
    """Solve pixels with factors of their own; `rounds` of re-weighting by the residuals turn L2 into L1."""
    pairs, count = len(phase), stop - start
    nodes = len(plan.order)
    # In the first round the residuals are not known: `tile.y` is not looked at.
    for round_ in range(rounds + 1):
        least = max(L1_LEAST_RESIDUAL, L1_SHRINKING**round_)
        tile.c[:] = 0.0
        tile.g[:] = 0.0
        tile.roots[:] = 0
        if round_ > 0:
            for pair in range(pairs):
                first, second = plan.pair_first[pair], plan.pair_second[pair]
                later = tile.y[second if second >= 0 else nodes]
                earlier = tile.y[first if first >= 0 else nodes]
                samples = phase[pair, start:stop]
                reference = reference_phase[pair]
                base, present = tile.base[pair], tile.there[pair]
                reweighted = tile.base[pairs + pair]
                for pixel in range(count):
                    misfit = (np.float64(samples[pixel]) - reference) - (later[pixel] - earlier[pixel])
                    reweighted[pixel] = base[pixel] / max(abs(misfit), least) if present[pixel] else 0.0
        tile.y[:] = 0.0
        for pair in range(pairs):
            first, second = plan.pair_first[pair], plan.pair_second[pair]
            into = tile.y[second if second >= 0 else nodes]
            out_of = tile.y[first if first >= 0 else nodes]
            link = plan.pair_link[pair]
            conductance = tile.c[link] if link >= 0 else tile.g[max(first, second)]
            samples = phase[pair, start:stop]
            reference = reference_phase[pair]
            weights = tile.weights
            if round_ > 0:
                weights = tile.base[pairs + pair]
            else:
                present, used = tile.there[pair], tile.used
                _weigh_samples(mode, samples, tables[pair, start:stop], lookup, tile.cells, weights, present)
                for pixel in range(count):
                    used[pixel] += present[pixel]
                if rounds > 0:
                    tile.base[pair, :count] = weights[:count]
            for pixel in range(count):
                weight = weights[pixel]
                flow = weight * (np.float64(samples[pixel]) - reference) if weight > 0.0 else 0.0
                conductance[pixel] += weight
                into[pixel] += flow
                out_of[pixel] -= flow
        _eliminate(count, plan, tile.c, tile.g, tile.inverse, tile.roots)
        _substitute(count, plan, tile.c, tile.inverse, tile.y)
        tile.y[nodes, :] = 0.0


@kernel
def _measure_fit(
    phase: NDArray[np.floating],
    start: int,
    stop: int,
    reference_phase: NDArray[np.float64],
    plan: EliminationPlan,
    complete: bool,
    tile: _Tile,
) -> None:
    """Sums over the pairs of squared residuals and of their phasors; a missing sample counts as residual 0."""
    pairs, count = len(phase), stop - start
    nodes = len(plan.order)
    tile.squares[:] = 0.0
    tile.real[:] = 0.0
    tile.imaginary[:] = 0.0
    squares, residual = tile.squares, tile.residual
    for pair in range(pairs):
        first, second = plan.pair_first[pair], plan.pair_second[pair]
        later = tile.y[second if second >= 0 else nodes]
        earlier = tile.y[first if first >= 0 else nodes]
        samples = phase[pair, start:stop]
        reference = reference_phase[pair]
        if complete:
            for pixel in range(count):
                misfit = (np.float64(samples[pixel]) - reference) - (later[pixel] - earlier[pixel])
                squares[pixel] += misfit * misfit
                residual[pixel] = np.float32(misfit)
        else:
            present = tile.there[pair]
            for pixel in range(count):
                misfit = (np.float64(samples[pixel]) - reference) - (later[pixel] - earlier[pixel])
                misfit = misfit if present[pixel] else 0.0
                squares[pixel] += misfit * misfit
                residual[pixel] = np.float32(misfit)
        _sum_phasors(count, residual, tile.real, tile.imaginary)


@kernel
def invert_pixels(
    phase: NDArray[np.floating],
    reference_phase: NDArray[np.float64],
    mode: int,
    tables: NDArray[np.floating],
    lookup: NDArray[np.float64],
    plan: EliminationPlan,
    norm: int,
    scale: float,
    series: NDArray[np.floating],
    temporal_coherence: NDArray[np.float32],
    residual_rms: NDArray[np.float32],
    pairs_used: NDArray[np.uint16],
    subsets: NDArray[np.uint16],
) -> None:
    """Invert all pixels of a block.

    Parameters
    ----------
    phase
        (pair, pixel) rad; a sample that is not finite is missing.
    reference_phase
        (pair,) rad, subtracted from every pixel.
    mode, tables, lookup
        `WEIGHT_NONE`; `WEIGHT_TABLE` with coherence (pair, pixel) and the table of `insar.weights.weight_table`;
        `WEIGHT_GIVEN` with weights (pair, pixel). A weight that is not positive removes the sample.
    plan
        What `insar.elimination.plan_elimination` gives.
    norm
        `NORM_L2` or `NORM_L1`.
    scale
        Factor from radians to the unit of `series` and `residual_rms`.
    series
        (date, pixel) out: the first date is 0; NaN where a pixel has no sample at all.
    temporal_coherence, residual_rms, pairs_used, subsets
        (pixel,) out.
    """
    pair_count, pixel_count = phase.shape
    nodes = len(plan.order)
    links = max(len(plan.link_to), 1)
    rounds = L1_ROUNDS if norm == NORM_L1 else 0
    tile = _Tile(
        c=np.empty((links, TILE), np.float64),
        g=np.empty((nodes, TILE), np.float64),
        inverse=np.empty((nodes, TILE), np.float64),
        y=np.empty((nodes + 1, TILE), np.float64),
        base=np.empty((2 * pair_count if rounds else 1, TILE), np.float64),
        there=np.empty((pair_count, TILE), np.bool_),
        weights=np.empty(TILE, np.float64),
        used=np.empty(TILE, np.float64),
        squares=np.empty(TILE, np.float64),
        roots=np.zeros(TILE, np.int64),
        cells=np.empty(TILE, np.int32),
        residual=np.empty(TILE, np.float32),
        real=np.empty(TILE, np.float32),
        imaginary=np.empty(TILE, np.float32),
    )
    subset = np.empty(nodes + 1, np.int64)
    one_phase = np.empty(nodes + 1, np.float64)
    normal = np.empty((nodes + 1, nodes + 1), np.float64)
    offset = np.empty(nodes + 1, np.float64)

    # Factors of the complete, unweighted network, for tiles where every pixel has every pair.
    shared = (
        np.zeros((links, 1), np.float64),
        np.zeros((nodes, 1), np.float64),
        np.empty((nodes, 1), np.float64),
    )
    shared_roots = np.zeros(1, np.int64)
    for pair in range(pair_count):
        if plan.pair_link[pair] >= 0:
            shared[0][plan.pair_link[pair], 0] += 1.0
        else:
            shared[1][max(plan.pair_first[pair], plan.pair_second[pair]), 0] += 1.0
    _eliminate(1, plan, shared[0], shared[1], shared[2], shared_roots)

    for start in range(0, pixel_count, TILE):
        stop = min(start + TILE, pixel_count)
        count = stop - start
        complete = mode == WEIGHT_NONE and rounds == 0 and _is_complete(phase, start, stop)
        if complete:
            _solve_complete(phase, start, stop, reference_phase, plan, shared, tile)
            tile.used[:] = pair_count
            tile.roots[:] = shared_roots[0]
        else:
            tile.used[:] = 0.0
            _solve_weighted(phase, start, stop, reference_phase, mode, tables, lookup, plan, rounds, tile)
        for pixel in range(count):
            if tile.roots[pixel] > 0 and tile.used[pixel] > 0:
                if complete:
                    factors, column = shared, 0
                else:
                    factors, column = (tile.c, tile.g, tile.inverse), pixel
                _join_subsets(pixel, column, plan, factors, tile.y, subset, one_phase, normal, offset)
        _measure_fit(phase, start, stop, reference_phase, plan, complete, tile)
        for pixel in range(count):
            used = tile.used[pixel]
            # A missing sample has entered the sums with residual 0, that is with a phasor of 1.
            along = tile.real[pixel] - np.float32(pair_count - used)
            across = tile.imaginary[pixel]
            at = start + pixel
            pairs_used[at] = used
            if used > 0:
                temporal_coherence[at] = min(
                    np.sqrt(along * along + across * across) / np.float32(used), np.float32(1.0)
                )
                residual_rms[at] = np.float32(abs(scale) * np.sqrt(tile.squares[pixel] / used))
                subsets[at] = tile.roots[pixel] + 1
                series[0, at] = 0.0
            else:
                temporal_coherence[at] = np.nan
                residual_rms[at] = np.nan
                subsets[at] = 0
                series[0, at] = np.nan
        for node in range(nodes):
            target = series[plan.order[node], start:stop]
            values, used_by = tile.y[node], tile.used
            for pixel in range(count):
                target[pixel] = scale * values[pixel] if used_by[pixel] > 0 else np.nan
