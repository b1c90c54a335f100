"""What is known of the unwrapping errors of a whole scene before its blocks are corrected one by one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.blocks import Progress, available_workers, no_progress
from insar.bridging import RegionCycles, plan_bridging, region_labels, require_components
from insar.grid import RowCol
from insar.stack import Cube, Stack
from insar.survey import Survey, survey_stack
from insar.unwrapping import ClosureCorrector, CorrectedPhase, UnwrapCorrection, vote_on_regions


@dataclass(frozen=True, slots=True)
class UnwrapPlan:
    """Corrects blocks of one stack; small, picklable and safe to use from several threads.

    Attributes
    ----------
    correction
        What is done.
    corrector
        Closes the loops, or counts the open ones.
    regions
        Cycles that are taken off whole regions first; None for none.
    report
        What was decided for the scene as a whole: ``bridged``, see `insar.bridging.Bridges`, and ``voted``, regions
        that nearly all their pixels turned.
    """

    correction: UnwrapCorrection
    corrector: ClosureCorrector
    regions: RegionCycles | None
    report: dict[str, Any]

    def correct(
        self,
        phase: NDArray[np.floating],
        *,
        reference_phase: NDArray[np.floating],
        components: NDArray[np.floating] | None = None,
    ) -> CorrectedPhase:
        """Correct a block; as `ClosureCorrector.correct`, with the components where regions are turned.

        `corrected` counts what was done to whole regions, too, which ``sums["turned_with_region"]`` (pair,) counts.
        """
        phase = np.require(phase, requirements=["C", "W"])
        correct = partial(self.corrector.correct, reference_phase=reference_phase, components=components)
        if self.regions is None:
            return correct(phase, is_correcting=self.correction.closes)
        if components is None:
            raise ValueError("regions are turned by their components, which were not given")
        untouched = correct(phase, is_correcting=False)
        turned = self.regions.apply(phase, components)
        result = correct(phase, is_correcting=self.correction.closes)
        corrected = result.corrected + turned.in_pixels
        before = {name: values for name, values in untouched.sums.items() if name.endswith("_before")}
        sums = (
            result.sums
            | before
            | {
                "turned_with_region": turned.in_pairs,
                "pixels_corrected": np.array([np.count_nonzero(corrected)], dtype=np.int64),
            }
        )
        return CorrectedPhase(result.phase, corrected, untouched.open_loops_before, result.open_loops_after, sums)


def plan_unwrapping(
    stack: Stack,
    correction: UnwrapCorrection,
    reference: RowCol,
    reference_phase: NDArray[np.float64],
    *,
    survey: Survey | None = None,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> UnwrapPlan:
    """Look at the scene as a whole: bridge regions, and let the pixels of a lattice vote on their regions.

    Parameters
    ----------
    stack
        Reduced to the interferograms to use.
    correction
        What is asked for. With ``none`` open loops are counted and nothing is changed.
    reference, reference_phase
        Reference point, and (pair,) rad there.
    survey
        Of the same interferograms, where it was made already.
    workers
        Threads; all processors where None.
    progress
        Called after every interferogram that is bridged.

    Raises
    ------
    InputError
        If regions are to be bridged and the stack has no connected components.
    """
    corrector = ClosureCorrector([(pair.reference, pair.secondary) for pair in stack.pairs])
    report: dict[str, Any] = {}
    regions = None
    if correction.bridges:
        bridges = plan_bridging(stack, reference, workers=workers, progress=progress)
        regions = bridges.regions
        report["bridged"] = list(bridges.report)
    if correction.closes and stack.connected_components is not None and corrector.plan.loop_count:
        survey = survey or survey_stack(stack, workers)
        phase = survey.required_phase(stack).copy()
        components = _read_lattice(require_components(stack), survey, workers)
        if regions is not None:
            regions.apply(phase, components)
        sums = corrector.correct(phase, reference_phase=reference_phase, components=components).sums
        window = slice(reference.row, reference.row + 1), slice(reference.col, reference.col + 1)
        voted = vote_on_regions(sums, region_labels(require_components(stack).read(*window)[:, 0, 0]))
        report["voted"] = [
            {"pair": stack.pairs[pair].name, "region": label, "cycles": int(voted.cycles[pair, label])}
            for pair, label in np.argwhere(voted.cycles).tolist()
        ]
        regions = voted if regions is None else regions + voted
    if regions is not None and not regions.cycles.any():
        regions = None
    return UnwrapPlan(correction, corrector, regions, report)


def _read_lattice(cube: Cube, survey: Survey, workers: int | None) -> NDArray[np.float32]:
    """(pair, lattice row, lattice col)."""

    def read(row: int) -> NDArray[np.float32]:
        return cube.read(slice(row, row + 1), slice(None))[:, :, survey.cols]

    with ThreadPoolExecutor(workers or available_workers()) as pool:
        return np.concatenate(list(pool.map(read, survey.rows.tolist())), axis=1)
