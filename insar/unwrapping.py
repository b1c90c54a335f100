"""Correction of unwrapping errors: whole cycles that loops of interferograms give away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.bridging import REGIONS, RegionCycles, region_labels
from insar.closure import LoopPlan, find_loops
from insar.quality import LOOPS_UNKNOWN
from insar.solver import NetworkSolver, Norm

MOST_CYCLES = 3
"""Cycles told apart in the report, on either side; larger ones count as these."""

HISTOGRAM_LOOPS = 32
"""Open loops told apart in the histogram; more count as these."""

LEAST_VOTES = 20
"""Pixels of a region that must have been looked at before it is turned as a whole."""

LEAST_MAJORITY = 0.8
"""Share of a region's pixels that must agree on its cycles."""

_PIXELS_AT_ONCE = 4096


class UnwrapCorrection(StrEnum):
    """How unwrapping errors are corrected."""

    NONE = "none"
    CLOSURE = "closure"
    BRIDGING = "bridging"
    BRIDGING_CLOSURE = "bridging+closure"

    @property
    def bridges(self) -> bool:
        """Whether regions are bridged."""
        return self in (UnwrapCorrection.BRIDGING, UnwrapCorrection.BRIDGING_CLOSURE)

    @property
    def closes(self) -> bool:
        """Whether loops are closed."""
        return self in (UnwrapCorrection.CLOSURE, UnwrapCorrection.BRIDGING_CLOSURE)


@dataclass(frozen=True, slots=True)
class CorrectedPhase:
    """A block after the correction.

    Attributes
    ----------
    phase
        (pair, row, col) rad.
    corrected
        (row, col) number of samples that were changed.
    open_loops_before, open_loops_after
        (row, col) number of loops that do not close; `LOOPS_UNKNOWN` where no loop is complete.
    sums
        Counts that add up over blocks, for `summarise_unwrapping`.
    """

    phase: NDArray[np.floating]
    corrected: NDArray[np.uint16]
    open_loops_before: NDArray[np.uint16]
    open_loops_after: NDArray[np.uint16]
    sums: dict[str, NDArray[np.int64]]


class ClosureCorrector:
    """Corrects blocks of pixels of one network; safe to use from several threads.

    Each pixel by itself, so that nothing depends on the blocks. Of all whole cycles that could be taken off the
    interferograms so that every loop closes, those with the least sum are taken; a sample for which several such
    solutions disagree is left as it is, and so is a pixel where no fewer loops would stay open.

    Parameters
    ----------
    pairs
        Dates of each interferogram; its phase is that of the second minus that of the first.
    """

    def __init__(self, pairs: Sequence[tuple[date, date]]) -> None:
        self.pairs = tuple(pairs)
        self.plan: LoopPlan = find_loops(pairs)
        self._solver = NetworkSolver(pairs, norm=Norm.L1)

    def correct(
        self,
        phase: NDArray[np.floating],
        *,
        reference_phase: NDArray[np.floating],
        components: NDArray[np.floating] | None = None,
        is_correcting: bool = True,
    ) -> CorrectedPhase:
        """Correct a block.

        Parameters
        ----------
        phase
            (pair, row, col) rad, NaN where missing; changed in place where it is contiguous and may be written.
        reference_phase
            (pair,) rad at the reference point: cycles of a whole interferogram are no errors.
        components
            (pair, row, col) label of the unwrapped region, NaN where none, for the report.
        is_correcting
            Whether to correct, or just to count.
        """
        from insar.kernels import closure as kernels

        phase = np.require(phase, requirements=["C", "W"])
        pairs, *shape = phase.shape
        samples = phase.reshape(pairs, -1)
        reference = np.ascontiguousarray(reference_phase, dtype=np.float64)
        pixels = samples.shape[1]
        before, known = np.empty(pixels, dtype=np.uint16), np.empty(pixels, dtype=np.bool_)
        sums = {"samples": np.empty(pairs, dtype=np.int64)}
        kernels.count_open_loops(samples, reference, self.plan, before, known, sums["samples"])
        sums |= {name: np.zeros(pairs, dtype=np.int64) for name in ("corrected", "open_before", "open_after")}
        labels = None
        if components is not None:
            labels = region_labels(components.reshape(pairs, -1))
            sums |= _count_regions(samples, labels)
        after, corrected = before.copy(), np.zeros(pixels, dtype=np.uint16)
        affected = np.flatnonzero(before)
        for start in range(0, len(affected), _PIXELS_AT_ONCE):
            chosen = affected[start : start + _PIXELS_AT_ONCE]
            subset = np.ascontiguousarray(samples[:, chosen].T)
            cycles = np.zeros(subset.shape, dtype=np.int16)
            if is_correcting:
                self._decide(subset, reference, cycles)
            still_open = np.empty(len(chosen), dtype=np.uint16)
            was_open, is_open = np.empty(subset.shape, dtype=np.bool_), np.empty(subset.shape, dtype=np.bool_)
            kernels.accept_cycles(subset, reference, self.plan, cycles, still_open, was_open, is_open)
            after[chosen] = still_open
            changed = cycles != 0
            corrected[chosen] = changed.sum(axis=1)
            pixel, pair = np.nonzero(changed)
            samples[pair, chosen[pixel]] -= 2.0 * np.pi * cycles[pixel, pair]
            for name, flags in (("corrected", changed), ("open_before", was_open), ("open_after", is_open)):
                sums[name] += flags.sum(axis=0)
            if labels is not None:
                _add_regions(sums, labels[:, chosen].T, cycles, was_open, is_open)
        sums["histogram_before"] = _histogram(before[known])
        sums["histogram_after"] = _histogram(after[known])
        sums["pixels_corrected"] = np.array([np.count_nonzero(corrected)], dtype=np.int64)
        before[~known] = after[~known] = LOOPS_UNKNOWN
        return CorrectedPhase(
            phase=samples.reshape(pairs, *shape),
            corrected=corrected.reshape(shape),
            open_loops_before=before.reshape(shape),
            open_loops_after=after.reshape(shape),
            sums=sums,
        )

    def _decide(self, samples: NDArray[np.floating], reference: NDArray[np.float64], cycles: NDArray[np.int16]) -> None:
        """Fill in the cycles to take off (pixel, pair) samples."""
        from insar.kernels import closure as kernels

        is_decided = np.empty(len(samples), dtype=np.bool_)
        kernels.decide_cycles(samples, reference, self.plan, cycles, is_decided)
        left = np.flatnonzero(~is_decided)
        if len(left):
            rest = samples[left]
            phase = np.ascontiguousarray(rest.T)
            series = self._solver.solve(phase, reference_phase=reference, dtype=np.float64).series
            decided = np.empty(rest.shape, dtype=np.int16)
            kernels.decide_cycles_by_series(rest, reference, series, self.plan, decided)
            cycles[left] = decided


def vote_on_regions(sums: Mapping[str, NDArray[np.int64]], unmoved: NDArray[np.integer] | None = None) -> RegionCycles:
    """Cycles to take off whole regions, where nearly all pixels looked at have decided on the same.

    An unwrapper is right or wrong for a region as a whole. What a pixel cannot tell by itself, because its loops are
    incomplete or ambiguous, its region may.

    Parameters
    ----------
    sums
        Counts of `ClosureCorrector.correct` with components.
    unmoved
        (pair,) label of the region that holds the reference point and so stays as it is, 0 for none.
    """
    votes, looked_at = sums["region_cycles"].copy(), sums["region_samples"]
    votes[:, :, MOST_CYCLES] = 0
    # Ends of the scale hold larger cycles, too, of which it is not known how many.
    votes[:, :, [0, -1]] = 0
    winner = votes.argmax(axis=2)
    wins = np.take_along_axis(votes, winner[:, :, None], axis=2)[:, :, 0]
    accepted = (looked_at >= LEAST_VOTES) & (wins >= LEAST_MAJORITY * looked_at)
    accepted[:, 0] = False
    if unmoved is not None:
        accepted[np.arange(len(accepted)), unmoved] = False
    return RegionCycles(np.where(accepted, winner - MOST_CYCLES, 0).astype(np.int16))


def summarise_unwrapping(pairs: Sequence[tuple[date, date]], sums: Mapping[str, NDArray[np.int64]]) -> dict[str, Any]:
    """What was found and corrected, as plain values.

    Parameters
    ----------
    pairs
        Dates of each interferogram.
    sums
        Counts of all blocks, added up.

    Returns
    -------
    ``pixels`` on a loop, ``pixels_open_before`` and ``_after`` on one that does not close, ``pixels_corrected``;
    ``samples`` and how many of them were ``samples_corrected`` one by one and ``samples_turned_with_region``;
    ``open_loops``, histograms ``before`` and ``after`` of the open loops per pixel, the last bin with those beyond;
    ``pairs`` and (with components) ``regions`` that have a sample on an open loop, each with its ``samples``, those
    ``open_before`` and ``open_after``, and what was changed: ``corrected`` and ``turned_with_region`` of a pair, and
    of a region the number of its open samples by the ``cycles`` taken off each; region None takes samples in none.
    """
    before, after = sums["histogram_before"], sums["histogram_after"]
    turned = sums.get("turned_with_region", np.zeros(len(pairs), dtype=np.int64))
    summary: dict[str, Any] = {
        "pixels": int(before.sum()),
        "pixels_open_before": int(before[1:].sum()),
        "pixels_open_after": int(after[1:].sum()),
        "pixels_corrected": int(sums["pixels_corrected"][0]),
        "samples": int(sums["samples"].sum()),
        "samples_corrected": int(sums["corrected"].sum()),
        "samples_turned_with_region": int(turned.sum()),
        "open_loops": {"before": before.tolist(), "after": after.tolist()},
        "pairs": [
            {
                "pair": f"{first:%Y%m%d}_{second:%Y%m%d}",
                **{name: int(sums[name][index]) for name in ("samples", "open_before", "open_after", "corrected")},
                "turned_with_region": int(turned[index]),
            }
            for index, (first, second) in enumerate(pairs)
            if sums["open_before"][index] or turned[index]
        ],
    }
    if "region_samples" in sums:
        summary["regions"] = [
            {
                "pair": f"{pairs[index][0]:%Y%m%d}_{pairs[index][1]:%Y%m%d}",
                "region": int(label) or None,
                **{
                    name: int(sums[f"region_{name}"][index, label]) for name in ("samples", "open_before", "open_after")
                },
                "cycles": {
                    str(step - MOST_CYCLES): int(count)
                    for step, count in enumerate(sums["region_cycles"][index, label])
                    if count
                },
            }
            for index, label in np.argwhere(sums["region_open_before"] > 0).tolist()
        ]
    return summary


def _count_regions(samples: NDArray[np.floating], labels: NDArray[np.uint8]) -> dict[str, NDArray[np.int64]]:
    pairs = len(samples)
    sums = {
        f"region_{name}": np.zeros((pairs, REGIONS), dtype=np.int64)
        for name in ("samples", "open_before", "open_after")
    }
    for pair in range(pairs):
        sums["region_samples"][pair] = np.bincount(labels[pair][np.isfinite(samples[pair])], minlength=REGIONS)
    sums["region_cycles"] = np.zeros((pairs, REGIONS, 2 * MOST_CYCLES + 1), dtype=np.int64)
    return sums


def _add_regions(
    sums: dict[str, NDArray[np.int64]],
    labels: NDArray[np.uint8],
    cycles: NDArray[np.int16],
    was_open: NDArray[np.bool_],
    is_open: NDArray[np.bool_],
) -> None:
    """Add (pixel, pair) decisions to the counts of their regions."""
    for name, flags in (("region_open_before", was_open), ("region_open_after", is_open)):
        pixel, pair = np.nonzero(flags)
        np.add.at(sums[name], (pair, labels[pixel, pair]), 1)
    pixel, pair = np.nonzero(was_open)
    step = np.clip(cycles[pixel, pair], -MOST_CYCLES, MOST_CYCLES) + MOST_CYCLES
    np.add.at(sums["region_cycles"], (pair, labels[pixel, pair], step), 1)


def _histogram(open_loops: NDArray[np.uint16]) -> NDArray[np.int64]:
    """(open loops,) number of pixels; the last one takes those with more."""
    return np.bincount(np.minimum(open_loops, HISTOGRAM_LOOPS), minlength=HISTOGRAM_LOOPS + 1).astype(np.int64)
