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

_INVERSE_TWO_PI = 0.5 / np.pi
_HALF = np.float32(0.5)


@kernel
def count_open_loops(
    phase: NDArray[np.floating],
    reference_phase: NDArray[np.float64],
    plan: LoopPlan,
    open_loops: NDArray[np.uint16],
    loops_there: NDArray[np.uint16],
    samples: NDArray[np.int64],
) -> None:
    """Number of loops of each pixel whose sum is nearer to a whole cycle than to none.

    Parameters
    ----------
    phase
        (pair, pixel) rad; a loop through a sample that is not finite does not count.
    reference_phase
        (pair,) rad, subtracted from every pixel.
    plan
        Loops.
    open_loops, loops_there
        (pixel,) out: loops that do not close, and all loops without a missing sample.
    samples
        (pair,) out: finite samples.
    """
    pairs, pixels = phase.shape
    loops = len(plan.loop_start) - 1
    turns = np.empty((pairs, TILE), np.float32)
    total = np.empty(TILE, np.float32)
    count = np.empty(TILE, np.int32)
    there = np.empty(TILE, np.int32)
    most = np.int32(65535)
    samples[:] = 0
    for start in range(0, pixels, TILE):
        stop = min(start + TILE, pixels)
        size = stop - start
        for pair in range(pairs):
            values, into = phase[pair, start:stop], turns[pair]
            reference = reference_phase[pair]
            known = 0
            for pixel in range(size):
                into[pixel] = np.float32((values[pixel] - reference) * _INVERSE_TWO_PI)
                known += np.isfinite(values[pixel])
            samples[pair] += known
        count[:] = 0
        there[:] = 0
        for loop in range(loops):
            first, last = plan.loop_start[loop], plan.loop_start[loop + 1]
            total[:] = np.float32(0.0)
            for member in range(first, last):
                values = turns[plan.loop_pair[member]]
                if plan.loop_sign[member] > 0:
                    for pixel in range(size):
                        total[pixel] += values[pixel]
                else:
                    for pixel in range(size):
                        total[pixel] -= values[pixel]
            # Comparisons are false for NaN: a loop with a missing sample is not open. Infinity is no sample either.
            for pixel in range(size):
                distance = abs(total[pixel])
                is_there = distance < np.float32(np.inf)
                there[pixel] += np.int32(is_there)
                count[pixel] += np.int32(is_there & (distance > _HALF))
        for pixel in range(size):
            open_loops[start + pixel] = min(count[pixel], most)
            loops_there[start + pixel] = min(there[pixel], most)


class _Scratch(NamedTuple):
    """Working memory of one pixel."""

    closure: NDArray[np.int64]
    present: NDArray[np.bool_]
    cycles: NDArray[np.int64]
    listed: NDArray[np.int64]
    flow: NDArray[np.int64]
    excess: NDArray[np.int64]
    arrived_by: NDArray[np.int64]
    queue: NDArray[np.int64]


@kernel
def _scratch(plan: LoopPlan) -> _Scratch:
    loops, pairs, dates = len(plan.loop_start) - 1, len(plan.pair_first), len(plan.date_start) - 1
    return _Scratch(
        closure=np.zeros(loops, np.int64),
        present=np.zeros(loops, np.bool_),
        cycles=np.zeros(pairs, np.int64),
        listed=np.zeros(loops, np.int64),
        flow=np.zeros(pairs, np.int64),
        excess=np.zeros(dates, np.int64),
        arrived_by=np.zeros(dates, np.int64),
        queue=np.zeros(dates, np.int64),
    )


@kernel
def _close_loops(
    samples: NDArray[np.floating], reference_phase: NDArray[np.float64], plan: LoopPlan, scratch: _Scratch
) -> None:
    """Whole cycles of the loops of one pixel, summed as `count_open_loops` does."""
    for loop in range(len(plan.loop_start) - 1):
        total = np.float32(0.0)
        for member in range(plan.loop_start[loop], plan.loop_start[loop + 1]):
            pair = plan.loop_pair[member]
            turns = np.float32((samples[pair] - reference_phase[pair]) * _INVERSE_TWO_PI)
            total += turns if plan.loop_sign[member] > 0 else -turns
        scratch.present[loop] = np.isfinite(total)
        scratch.closure[loop] = np.int64(np.rint(total)) if scratch.present[loop] else 0


@kernel
def _gain(pair: int, step: int, plan: LoopPlan, scratch: _Scratch) -> int:
    """By how much the sum of the loops' cycles falls when `step` cycles are taken off a pair."""
    gain = 0
    for place in range(plan.pair_start[pair], plan.pair_start[pair + 1]):
        loop = plan.pair_loop[place]
        if scratch.present[loop]:
            held = scratch.closure[loop]
            gain += abs(held) - abs(held - step * plan.pair_sign[place])
    return int(gain)


@kernel
def _turn_pairs(plan: LoopPlan, scratch: _Scratch) -> bool:
    """Take cycles off the pair that closes most, until nothing closes more; whether all loops are closed then."""
    while True:
        count = 0
        for loop in range(len(scratch.closure)):
            if scratch.closure[loop] != 0:
                scratch.listed[count] = loop
                count += 1
        if count == 0:
            return True
        best, chosen, direction = 0, -1, 0
        for place in range(count):
            loop = scratch.listed[place]
            sense = 1 if scratch.closure[loop] > 0 else -1
            for member in range(plan.loop_start[loop], plan.loop_start[loop + 1]):
                pair, step = plan.loop_pair[member], sense * plan.loop_sign[member]
                gain = _gain(pair, step, plan, scratch)
                if gain > best or (gain == best and gain > 0 and pair < chosen):
                    best, chosen, direction = gain, pair, step
        if chosen < 0:
            return False
        scratch.cycles[chosen] += direction
        for place in range(plan.pair_start[chosen], plan.pair_start[chosen + 1]):
            loop = plan.pair_loop[place]
            if scratch.present[loop]:
                scratch.closure[loop] -= direction * plan.pair_sign[place]


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
            return day
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
        _close_loops(samples[pixel], reference_phase, plan, scratch)
        scratch.cycles[:] = 0
        is_decided[pixel] = _turn_pairs(plan, scratch)
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
    loops = len(plan.loop_start) - 1
    for pixel in range(len(samples)):
        _close_loops(samples[pixel], reference_phase, plan, scratch)
        before, after = 0, 0
        for loop in range(loops):
            rest = scratch.closure[loop]
            if scratch.present[loop]:
                for member in range(plan.loop_start[loop], plan.loop_start[loop + 1]):
                    rest -= plan.loop_sign[member] * cycles[pixel, plan.loop_pair[member]]
            before += scratch.closure[loop] != 0
            after += rest != 0
            scratch.listed[loop] = rest
        if after >= before:
            cycles[pixel, :] = 0
            after = before
            scratch.listed[:] = scratch.closure
        open_after[pixel] = min(after, 65535)
        was_open[pixel, :] = False
        is_open[pixel, :] = False
        for loop in range(loops):
            for member in range(plan.loop_start[loop], plan.loop_start[loop + 1]):
                pair = plan.loop_pair[member]
                was_open[pixel, pair] |= scratch.closure[loop] != 0
                is_open[pixel, pair] |= scratch.listed[loop] != 0
