"""The solver of a small-baseline network: a block of interferograms to the phase of every date.

The interval velocities ``v`` of ``B v = dphi`` (Berardino et al. 2002) are never formed. Their minimum-norm solution is
found through the phases themselves: weighted least squares on the graph of interferograms, then, where a pixel's graph
falls into subsets, the offsets between subsets that give the velocities the least norm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.elimination import EliminationPlan, plan_elimination
from insar.errors import OptionError
from insar.weights import Weighting, weight_table


@dataclass(frozen=True, slots=True)
class Inversion:
    """What the inversion of a block gives.

    Attributes
    ----------
    series
        (date, ...) relative to the first date, in the unit asked for; NaN where a pixel has no valid interferogram.
    temporal_coherence
        (...) ``|sum(exp(1j residual))| / n`` over the valid interferograms (Pepe & Lanari 2006).
    residual_rms
        (...) root mean square of interferogram minus reconstructed interferogram, in the unit of `series`.
    pairs_used
        (...) number of valid interferograms.
    subsets
        (...) number of subsets the dates fall into: 1 where all are connected, 0 where there is no data. A date
        without any valid interferogram is a subset of its own.
    """

    series: NDArray[Any]
    temporal_coherence: NDArray[np.float32]
    residual_rms: NDArray[np.float32]
    pairs_used: NDArray[np.uint16]
    subsets: NDArray[np.uint16]


class Norm(StrEnum):
    """Norm of the residuals that the inversion minimises."""

    L2 = "l2"
    L1 = "l1"


class NetworkSolver:
    """Inverts blocks of pixels of one network; safe to use from several threads.

    Parameters
    ----------
    pairs
        Dates of each interferogram; its phase is that of the second minus that of the first.
    weighting
        What weighs the samples.
    looks
        Number of looks, where the weighting needs it.
    norm
        What is minimised: the weighted sum of squared residuals, or of absolute ones, which a few unwrapping errors
        do not pull away. L1 is reached by re-weighting, in 50 rounds.
    """

    def __init__(
        self,
        pairs: Sequence[tuple[date, date]],
        *,
        weighting: Weighting = Weighting.NONE,
        looks: float | None = None,
        norm: Norm = Norm.L2,
    ) -> None:
        self.dates = tuple(sorted({day for pair in pairs for day in pair}))
        if len(self.dates) < 2:
            raise OptionError(
                "pairs",
                required="interferograms of at least two dates",
                found=f"{len(self.dates)} dates",
                remedy="Check the network options; they may have dropped every pair",
            )
        index = {day: place for place, day in enumerate(self.dates)}
        days = np.array([(day - self.dates[0]).days for day in self.dates], dtype=np.float64)
        ends = np.array([(index[first], index[second]) for first, second in pairs], dtype=np.int64)
        if np.any(ends[:, 0] == ends[:, 1]):
            raise OptionError(
                "pairs",
                required="two different dates in every pair",
                found=f"{self.dates[ends[ends[:, 0] == ends[:, 1]][0, 0]]} with itself",
                remedy="Remove that pair",
            )
        self.plan: EliminationPlan = plan_elimination(ends, days)
        self.weighting = weighting
        self.norm = norm
        self._lookup = weight_table(weighting, looks)

    def solve(
        self,
        phase: NDArray[np.floating],
        *,
        reference_phase: NDArray[np.floating] | None = None,
        coherence: NDArray[np.floating] | None = None,
        weights: NDArray[np.floating] | None = None,
        scale: float = 1.0,
        dtype: type[np.floating] = np.float32,
    ) -> Inversion:
        """Invert a block.

        Parameters
        ----------
        phase
            (pair, ...) rad; NaN is a missing sample.
        reference_phase
            (pair,) rad at the reference point, subtracted from every pixel.
        coherence
            (pair, ...) for a weighting that needs it; a sample without coherence is left out.
        weights
            (pair, ...) used instead of the weighting; a weight that is not positive removes the sample.
        scale
            Factor from radians to the unit of the result.
        dtype
            Type of the series.
        """
        from insar.kernels import inversion as kernels

        pair_count, *shape = phase.shape
        samples = np.ascontiguousarray(phase).reshape(pair_count, -1)
        pixels = samples.shape[1]
        mode, tables = kernels.WEIGHT_NONE, samples[:, :0]
        if weights is not None:
            mode, tables = kernels.WEIGHT_GIVEN, weights
        elif self.weighting.needs_coherence:
            if coherence is None:
                raise OptionError(
                    f"weights={self.weighting.value!r}",
                    required="the coherence of every interferogram",
                    found="a stack without coherence",
                    remedy="Invert unweighted, or add the coherence files",
                )
            # Coherence weighs by itself, so that no table is needed.
            linear = self.weighting is Weighting.COHERENCE
            mode, tables = (kernels.WEIGHT_GIVEN if linear else kernels.WEIGHT_TABLE), coherence
        reference = np.zeros(pair_count) if reference_phase is None else np.asarray(reference_phase, dtype=np.float64)
        result = Inversion(
            series=np.empty((len(self.dates), pixels), dtype=dtype),
            temporal_coherence=np.empty(pixels, dtype=np.float32),
            residual_rms=np.empty(pixels, dtype=np.float32),
            pairs_used=np.empty(pixels, dtype=np.uint16),
            subsets=np.empty(pixels, dtype=np.uint16),
        )
        kernels.invert_pixels(
            samples,
            reference,
            mode,
            np.ascontiguousarray(tables).reshape(pair_count, -1),
            self._lookup,
            self.plan,
            kernels.NORM_L1 if self.norm is Norm.L1 else kernels.NORM_L2,
            float(scale),
            result.series,
            result.temporal_coherence,
            result.residual_rms,
            result.pairs_used,
            result.subsets,
        )
        return Inversion(
            series=result.series.reshape(len(self.dates), *shape),
            temporal_coherence=result.temporal_coherence.reshape(shape),
            residual_rms=result.residual_rms.reshape(shape),
            pairs_used=result.pairs_used.reshape(shape),
            subsets=result.subsets.reshape(shape),
        )
