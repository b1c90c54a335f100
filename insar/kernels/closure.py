"""Loop closure of every pixel of a block, and the fewest whole cycles that explain what does not close.

All of it is one file: the cache of compiled kernels looks at a kernel's own file alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from insar.closure import LoopPlan
from insar.kernels.jit import kernel

TILE = 256
"""Pixels whose loops are summed side by side."""

LARGEST_FRACTION = 1.0 / 3.0
"""Cycles that the loops through a changed sample may miss closure by, on average: noise of its own near to half a
cycle is not taken for a whole one."""

_INVERSE_TWO_PI = 0.5 / np.pi
_HALF = np.float32(0.5)


FILLING_ROUNDS = 2
"""How often missing samples are replaced by the way around them, which may use one that was replaced before."""


@kernel
def _sum_loop(
    loop: int, left_out: int, turns: NDArray[np.float32], size: int, plan: LoopPlan, total: NDArray[np.float32]
) -> None:
    """Sum of a loop at the pixels of a tile, one pair left out (-1 for none)."""
    total[:size] = np.float32(0.0)
    for member in range(plan.loop_start[loop], plan.loop_start[loop + 1]):
        if plan.loop_pair[member] == left_out:
            continue
        values = turns[plan.loop_pair[member]]
        if plan.loop_sign[member] > 0:
            for pixel in range(size):
                total[pixel] += values[pixel]
        else:
            for pixel in range(size):
                total[pixel] -= values[pixel]


@kernel
def _fill_gaps(
    turns: NDArray[np.float32], has_gaps: NDArray[np.bool_], size: int, plan: LoopPlan, total: NDArray[np.float32]
) -> None:
    """Replace a missing sample by what closes the first of its loops that is complete otherwise.

    Of two loops through a missing pair there is one left that goes around it, and this is how it is summed.
    """
    for _ in range(FILLING_ROUNDS):
        for pair in range(len(has_gaps)):
            if not has_gaps[pair]:
                continue
            values = turns[pair]
            for place in range(plan.pair_start[pair], plan.pair_start[pair + 1]):
                _sum_loop(plan.pair_loop[place], pair, turns, size, plan, total)
                sign = np.float32(-plan.pair_sign[place])
                for pixel in range(size):
                    values[pixel] = sign * total[pixel] if np.isnan(values[pixel]) else values[pixel]


@kernel
def count_open_loops(
    phase: NDArray[np.floating],
    reference_phase: NDArray[np.float64],
    plan: LoopPlan,
    open_loops: NDArray[np.uint16],
    is_checked: NDArray[np.bool_],
    samples: NDArray[np.int64],
) -> None:
    """Number of loops of each pixel whose sum is nearer to a whole cycle than to none.

    Parameters
    ----------
    phase
        (pair, pixel) rad; a loop through a sample that is not finite goes around it where it can, or does not count.
    reference_phase
        (pair,) rad, subtracted from every pixel.
    plan
        Loops.
    open_loops
        (pixel,) out.
    is_checked
        (pixel,) out: whether there is a loop at all.
    samples
        (pair,) out: finite samples.
    """
    pairs, pixels = phase.shape
    loops = len(plan.loop_start) - 1
    turns = np.empty((pairs, TILE), np.float32)
    has_gaps = np.empty(pairs, np.bool_)
    total = np.empty(TILE, np.float32)
    count = np.empty(TILE, np.int32)
    samples[:] = 0
    for start in range(0, pixels, TILE):
        stop = min(start + TILE, pixels)
        size = stop - start
        complete = True
        for pair in range(pairs):
            values, into = phase[pair, start:stop], turns[pair]
            reference = reference_phase[pair]
            known = 0
            for pixel in range(size):
                is_known = np.isfinite(values[pixel])
                known += is_known
                into[pixel] = np.float32((values[pixel] - reference) * _INVERSE_TWO_PI) if is_known else np.nan
            samples[pair] += known
            has_gaps[pair] = known < size
            complete = complete and known == size
        if complete:
            is_checked[start:stop] = loops > 0
        else:
            unchecked = size
            is_checked[start:stop] = False
            for loop in range(loops):
                if unchecked == 0:
                    break
                _sum_loop(loop, -1, turns, size, plan, total)
                for pixel in range(size):
                    if not is_checked[start + pixel] and not np.isnan(total[pixel]):
                        is_checked[start + pixel] = True
                        unchecked -= 1
            _fill_gaps(turns, has_gaps, size, plan, total)
        count[:] = 0
        for loop in range(loops):
            _sum_loop(loop, -1, turns, size, plan, total)
            # Comparisons are false for NaN: a loop with a missing sample is not open.
            for pixel in range(size):
                count[pixel] += np.int32(abs(total[pixel]) > _HALF)
        for pixel in range(size):
            open_loops[start + pixel] = min(count[pixel], np.int32(65535))
            is_checked[start + pixel] |= count[pixel] > 0


class _Scratch(NamedTuple):
    """Working memory of one pixel."""

    turns: NDArray[np.float32]
    fraction: NDArray[np.float64]
    closure: NDArray[np.int64]
    present: NDArray[np.bool_]
    cycles: NDArray[np.int64]
    gain: NDArray[np.int64]
    flow: NDArray[np.int64]
    excess: NDArray[np.int64]
    arrived_by: NDArray[np.int64]
    queue: NDArray[np.int64]


@kernel
def _scratch(plan: LoopPlan) -> _Scratch:
    loops, pairs, dates = len(plan.loop_start) - 1, len(plan.pair_first), len(plan.date_start) - 1
    return _Scratch(
        turns=np.zeros(pairs, np.float32),
        fraction=np.zeros(loops, np.float64),
        closure=np.zeros(loops, np.int64),
        present=np.zeros(loops, np.bool_),
        cycles=np.zeros(pairs, np.int64),
        gain=np.zeros((pairs, 2), np.int64),
        flow=np.zeros(pairs, np.int64),
        excess=np.zeros(dates, np.int64),
        arrived_by=np.zeros(dates, np.int64),
        queue=np.zeros(dates, np.int64),
    )


@kernel
def _close_loops(
    samples: NDArray[np.floating],
    reference_phase: NDArray[np.float64],
    cycles: NDArray[np.integer],
    plan: LoopPlan,
    scratch: _Scratch,
) -> None:
    """Whole cycles of the loops of one pixel once some are taken off, summed as `count_open_loops` does."""
    complete = True
    for pair in range(len(plan.pair_first)):
        is_known = np.isfinite(samples[pair])
        complete = complete and is_known
        turns = (samples[pair] - reference_phase[pair]) * _INVERSE_TWO_PI - cycles[pair]
        scratch.turns[pair] = np.float32(turns) if is_known else np.float32(np.nan)
    if not complete:
        for _ in range(FILLING_ROUNDS):
            for pair in range(len(plan.pair_first)):
                for place in range(plan.pair_start[pair], plan.pair_start[pair + 1]):
                    if not np.isnan(scratch.turns[pair]):
                        break
                    total = np.float32(0.0)
                    loop = plan.pair_loop[place]
                    for member in range(plan.loop_start[loop], plan.loop_start[loop + 1]):
                        if plan.loop_pair[member] != pair:
                            other = scratch.turns[plan.loop_pair[member]]
                            total += other if plan.loop_sign[member] > 0 else -other
                    scratch.turns[pair] = np.float32(-plan.pair_sign[place]) * total
    for loop in range(len(plan.loop_start) - 1):
        total = np.float32(0.0)
        for member in range(plan.loop_start[loop], plan.loop_start[loop + 1]):
            value = scratch.turns[plan.loop_pair[member]]
            total += value if plan.loop_sign[member] > 0 else -value
        present = np.isfinite(total)
        whole = np.rint(total) if present else np.float32(0.0)
        scratch.present[loop] = present
        scratch.closure[loop] = np.int64(whole)
        scratch.fraction[loop] = total - whole


@kernel
def _add_gains(loop: int, factor: int, plan: LoopPlan, scratch: _Scratch) -> None:
    """Add `factor` times by how much a loop's cycles fall when one is taken off a pair, or put on it."""
    held = scratch.closure[loop]
    less, more = abs(held) - abs(held - 1), abs(held) - abs(held + 1)
    for member in range(plan.loop_start[loop], plan.loop_start[loop + 1]):
        pair, forward = plan.loop_pair[member], plan.loop_sign[member] > 0
        scratch.gain[pair, 0] += factor * (less if forward else more)
        scratch.gain[pair, 1] += factor * (more if forward else less)


@kernel
def _turn_pairs(plan: LoopPlan, scratch: _Scratch) -> bool:
    """Take cycles off the pair that closes most, until nothing closes more; whether all loops are closed then."""
    # Turning a pair opens each of its loops that is closed.
    for pair in range(len(scratch.gain)):
        scratch.gain[pair, :] = plan.pair_start[pair] - plan.pair_start[pair + 1]
    remaining = 0
    for loop in range(len(scratch.closure)):
        if not scratch.present[loop] or scratch.closure[loop] != 0:
            for member in range(plan.loop_start[loop], plan.loop_start[loop + 1]):
                scratch.gain[plan.loop_pair[member], :] += 1
        if scratch.closure[loop] != 0:
            _add_gains(loop, 1, plan, scratch)
            remaining += abs(scratch.closure[loop])
    while remaining > 0:
        best, chosen, direction = 0, -1, 0
        for pair in range(len(scratch.gain)):
            for side in range(2):
                if scratch.gain[pair, side] > best:
                    best, chosen, direction = scratch.gain[pair, side], pair, 1 - 2 * side
        if chosen < 0:
            return False
        scratch.cycles[chosen] += direction
        remaining -= best
        for place in range(plan.pair_start[chosen], plan.pair_start[chosen + 1]):
            loop = plan.pair_loop[place]
            if scratch.present[loop]:
                _add_gains(loop, -1, plan, scratch)
                scratch.closure[loop] -= direction * plan.pair_sign[place]
                _add_gains(loop, 1, plan, scratch)
    return True


@kernel
def _search(goal: int, sources: int, samples: NDArray[np.floating], plan: LoopPlan, scratch: _Scratch) -> int:
    """Search breadth first through pairs that carry no cycles and have room for flow.

    `queue` holds the `sources` to start from, and `arrived_by` is -2 for them and -1 elsewhere. Returns the date with
    demand (or `goal`, where that is a date) that is met first, -1 where there is none: what was reached is then the
    cut that holds the flow back.
    """
    head, tail = 0, sources
    while head < tail:
        day = scratch.queue[head]
        head += 1
        if (goal < 0 and scratch.excess[day] < 0) or day == goal:
            return int(day)
        for place in range(plan.date_start[day], plan.date_start[day + 1]):
            pair = plan.date_pair[place]
            forward = plan.pair_first[pair] == day
            other = plan.pair_second[pair] if forward else plan.pair_first[pair]
            if scratch.arrived_by[other] != -1 or scratch.cycles[pair] != 0 or not np.isfinite(samples[pair]):
                continue
            if (scratch.flow[pair] if forward else -scratch.flow[pair]) < 1:
                scratch.arrived_by[other] = pair
                scratch.queue[tail] = other
                tail += 1
    return -1


@kernel
def _reaches(start: int, goal: int, samples: NDArray[np.floating], plan: LoopPlan, scratch: _Scratch) -> bool:
    scratch.arrived_by[:] = -1
    scratch.arrived_by[start] = -2
    scratch.queue[0] = start
    return _search(goal, 1, samples, plan, scratch) >= 0


@kernel
def _minimise(samples: NDArray[np.floating], plan: LoopPlan, scratch: _Scratch) -> None:
    """Turn `cycles` into the fewest ones that leave all loops as they are.

    Adding a whole number to a date leaves every loop as it is, so the sum of ``|cycles|`` is minimised over whole
    numbers of the dates. It is a convex function whose minimum is reached by steps that add 1 to some of the dates,
    and no step lowers it exactly where each pair with cycles can send one unit of flow from one of its dates to the
    other through pairs without cycles, one unit through each: the dual, a maximum flow. Where the flow is held back,
    the cut that holds it is the step.
    """
    while True:
        scratch.flow[:] = 0
        scratch.excess[:] = 0
        for pair in range(len(plan.pair_first)):
            sense = np.sign(scratch.cycles[pair])
            scratch.excess[plan.pair_first[pair]] += sense
            scratch.excess[plan.pair_second[pair]] -= sense
        while True:
            sources = 0
            scratch.arrived_by[:] = -1
            for day in range(len(scratch.excess)):
                if scratch.excess[day] > 0:
                    scratch.arrived_by[day] = -2
                    scratch.queue[sources] = day
                    sources += 1
            if sources == 0:
                return
            day = _search(-1, sources, samples, plan, scratch)
            if day < 0:
                break
            scratch.excess[day] += 1
            while scratch.arrived_by[day] >= 0:
                pair = scratch.arrived_by[day]
                if plan.pair_second[pair] == day:
                    scratch.flow[pair] += 1
                    day = plan.pair_first[pair]
                else:
                    scratch.flow[pair] -= 1
                    day = plan.pair_second[pair]
            scratch.excess[day] -= 1
        for pair in range(len(plan.pair_first)):
            if np.isfinite(samples[pair]):
                if scratch.arrived_by[plan.pair_first[pair]] != -1:
                    scratch.cycles[pair] -= 1
                if scratch.arrived_by[plan.pair_second[pair]] != -1:
                    scratch.cycles[pair] += 1


@kernel
def _keep_unambiguous(
    samples: NDArray[np.floating], plan: LoopPlan, scratch: _Scratch, kept: NDArray[np.int16]
) -> None:
    """Cycles that are the same in all solutions with the fewest ones.

    Another one differs by whole numbers of the dates across cuts that the flow fills. No such cut divides two dates
    that can still send flow to each other both ways.
    """
    for pair in range(len(plan.pair_first)):
        kept[pair] = 0
        cycles = scratch.cycles[pair]
        if cycles == 0:
            continue
        first, second = plan.pair_first[pair], plan.pair_second[pair]
        if _reaches(first, second, samples, plan, scratch) and _reaches(second, first, samples, plan, scratch):
            kept[pair] = min(max(cycles, -32768), 32767)


@kernel
def decide_cycles(
    samples: NDArray[np.floating],
    reference_phase: NDArray[np.float64],
    plan: LoopPlan,
    cycles: NDArray[np.int16],
    is_decided: NDArray[np.bool_],
) -> None:
    """Fewest cycles to take off so that all loops of a pixel close.

    Parameters
    ----------
    samples
        (pixel, pair) rad, NaN where missing.
    reference_phase
        (pair,) rad.
    plan
        Loops and network.
    cycles
        (pixel, pair) out: those that are the same in all solutions with the fewest ones.
    is_decided
        (pixel,) out: False where turning one pair after the other did not close all loops.
    """
    scratch = _scratch(plan)
    for pixel in range(len(samples)):
        scratch.cycles[:] = 0
        _close_loops(samples[pixel], reference_phase, scratch.cycles, plan, scratch)
        is_decided[pixel] = _turn_pairs(plan, scratch)
        for pair in range(len(plan.pair_first)):
            if not np.isfinite(samples[pixel, pair]):
                scratch.cycles[pair] = 0
        if is_decided[pixel]:
            _minimise(samples[pixel], plan, scratch)
            _keep_unambiguous(samples[pixel], plan, scratch, cycles[pixel])
        else:
            cycles[pixel, :] = 0


@kernel
def decide_cycles_by_series(
    samples: NDArray[np.floating],
    reference_phase: NDArray[np.float64],
    series: NDArray[np.float64],
    plan: LoopPlan,
    cycles: NDArray[np.int16],
) -> None:
    """As `decide_cycles`, starting from what separates the samples from a time series, rounded.

    Parameters
    ----------
    samples, reference_phase, plan, cycles
        As there.
    series
        (date, pixel) rad.
    """
    scratch = _scratch(plan)
    for pixel in range(len(samples)):
        for pair in range(len(plan.pair_first)):
            modelled = series[plan.pair_second[pair], pixel] - series[plan.pair_first[pair], pixel]
            turns = (samples[pixel, pair] - reference_phase[pair] - modelled) * _INVERSE_TWO_PI
            scratch.cycles[pair] = np.int64(np.rint(turns)) if np.isfinite(turns) else 0
        _minimise(samples[pixel], plan, scratch)
        _keep_unambiguous(samples[pixel], plan, scratch, cycles[pixel])


@kernel
def _doubt(pair: int, plan: LoopPlan, scratch: _Scratch) -> float:
    """Cycles by which the loops through a pair miss closure, on average."""
    total, count = 0.0, 0
    for place in range(plan.pair_start[pair], plan.pair_start[pair + 1]):
        loop = plan.pair_loop[place]
        if scratch.present[loop]:
            total += plan.pair_sign[place] * (scratch.closure[loop] + scratch.fraction[loop])
            count += 1
    return abs(total) / max(count, 1)


@kernel
def _mark_open(samples: NDArray[np.floating], plan: LoopPlan, scratch: _Scratch, marked: NDArray[np.bool_]) -> int:
    """Mark the samples on a loop that does not close; number of such loops."""
    marked[:] = False
    count = 0
    for loop in range(len(scratch.closure)):
        if scratch.closure[loop] != 0:
            count += 1
            for member in range(plan.loop_start[loop], plan.loop_start[loop + 1]):
                pair = plan.loop_pair[member]
                marked[pair] = np.isfinite(samples[pair])
    return count


@kernel
def accept_cycles(
    samples: NDArray[np.floating],
    reference_phase: NDArray[np.float64],
    plan: LoopPlan,
    cycles: NDArray[np.int16],
    open_after: NDArray[np.uint16],
    was_open: NDArray[np.bool_],
    is_open: NDArray[np.bool_],
) -> None:
    """Drop the cycles of pixels where they do not close more loops than they open.

    Parameters
    ----------
    samples, reference_phase, plan
        As for `decide_cycles`.
    cycles
        (pixel, pair) in and out.
    open_after
        (pixel,) out: loops that do not close.
    was_open, is_open
        (pixel, pair) out: whether a loop through the sample does not close, before and after.
    """
    scratch = _scratch(plan)
    for pixel in range(len(samples)):
        chosen = cycles[pixel]
        scratch.cycles[:] = 0
        _close_loops(samples[pixel], reference_phase, scratch.cycles, plan, scratch)
        before = _mark_open(samples[pixel], plan, scratch, was_open[pixel])
        while True:
            _close_loops(samples[pixel], reference_phase, chosen, plan, scratch)
            worst, doubtful = LARGEST_FRACTION, -1
            for pair in range(len(chosen)):
                if chosen[pair] != 0:
                    doubt = _doubt(pair, plan, scratch)
                    if doubt > worst:
                        worst, doubtful = doubt, pair
            if doubtful < 0:
                break
            chosen[doubtful] = 0
        after = _mark_open(samples[pixel], plan, scratch, is_open[pixel])
        if after >= before:
            chosen[:] = 0
            after = before
            is_open[pixel, :] = was_open[pixel]
        # Around a gap a loop is seen through other samples than the one that is wrong.
        for pair in range(len(chosen)):
            was_open[pixel, pair] |= chosen[pair] != 0
        open_after[pixel] = min(after, 65535)
