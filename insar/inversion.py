"""Inversion of a stack: interferograms to a displacement time series and its quality.

The interval velocities ``v`` of ``B v = dphi`` (Berardino et al. 2002) are never formed; `insar.solver` finds their
minimum-norm solution through the phases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from insar.blocks import Progress, ThreadRunner, available_workers, no_progress
from insar.errors import InputError, OptionError, parse_choice
from insar.grid import RowCol
from insar.phase import los_per_radian
from insar.reference import ReferenceChoice, find_reference, reference_phase, reference_window
from insar.series import TimeSeries
from insar.solver import NetworkSolver, Norm
from insar.stack import Cube, Stack
from insar.stopwatch import Stopwatch
from insar.unwrapping import UnwrapCorrection
from insar.unwrapping_plan import UnwrapPlan, plan_unwrapping
from insar.weights import Weighting


def invert_network(
    phase: ArrayLike,
    pairs: Sequence[tuple[date, date]],
    weights: ArrayLike | None = None,
    *,
    norm: Norm | str = Norm.L2,
) -> NDArray[np.float64]:
    """Phase of every date from the phases of pairs of dates.

    Parameters
    ----------
    phase
        (pair, ...) rad, unwrapped, of the second date minus the first; NaN is a missing sample.
    pairs
        The two dates of each interferogram, in either order.
    weights
        (pair, ...) or (pair,) weights of the squared residuals, the inverse of the phase variance at best; a sample
        whose weight is not positive or not finite is missing. All weigh the same where None.
    norm
        ``l2`` for least squares, ``l1`` for least absolute residuals, which outliers do not pull away.

    Returns
    -------
    (date, ...) rad float64, the dates sorted and the first 0; NaN where a pixel has no valid sample. Where the valid
    interferograms of a pixel do not connect all dates, the solution is that of minimum norm of the interval
    velocities.

    Raises
    ------
    OptionError
        If the number of pairs and the first axis differ, or a pair holds the same date twice.

    References
    ----------
    Berardino, P., Fornaro, G., Lanari, R., Sansosti, E. (2002), A new algorithm for surface deformation monitoring
    based on small baseline differential SAR interferograms, IEEE Trans. Geosci. Remote Sens. 40(11).
    """
    samples = np.asarray(phase)
    if samples.dtype not in (np.float32, np.float64):
        samples = samples.astype(np.float64)
    if samples.ndim == 0 or len(samples) != len(pairs):
        raise OptionError(
            "phase",
            required=f"a first axis as long as the list of pairs, {len(pairs)}",
            found=f"shape {samples.shape}",
            remedy="Put the pairs on the first axis",
        )
    given = None
    if weights is not None:
        given = np.asarray(weights, dtype=np.float64)
        try:
            given = np.broadcast_to(given.reshape(given.shape + (1,) * (samples.ndim - given.ndim)), samples.shape)
        except ValueError as error:
            raise OptionError(
                "weights",
                required=f"the shape of the phase, {samples.shape}, or one weight per pair",
                found=f"shape {given.shape}",
                remedy="Put the pairs on the first axis",
            ) from error
        given = np.ascontiguousarray(given)
    return (
        NetworkSolver(pairs, norm=parse_choice(Norm, norm, "norm"))
        .solve(samples, weights=given, dtype=np.float64)
        .series
    )


@dataclass(frozen=True, slots=True)
class InvertedBlock:
    """Results of one block of rows.

    Attributes
    ----------
    displacement_m
        (date, row, col) m.
    layers
        (row, col) by name.
    corrected
        (row, col) number of samples whose unwrapping was corrected; None where it was not looked at.
    sums
        Sums over the block's pixels by name, (pair,) or of what else they are kept by; they add up over blocks.
    seconds
        Time of each part of the work by name.
    """

    displacement_m: NDArray[np.float32]
    layers: dict[str, NDArray[Any]]
    corrected: NDArray[np.uint16] | None
    sums: dict[str, NDArray[Any]]
    seconds: dict[str, float]


class BlockInverter:
    """Reads blocks of rows of one stack, corrects their unwrapping, and inverts them.

    Safe to call from several threads; can be pickled.

    Parameters
    ----------
    stack
        Reduced to the interferograms to use.
    reference
        Pixel whose phase is subtracted.
    weighting, looks
        What weighs the samples; the stack's own number of looks where `looks` is None.
    norm
        Norm of the residuals that is minimised.
    reference_size
        Pixels on a side of the area around the reference that is averaged.
    unwrapping
        Corrects unwrapping errors and counts the loops that do not close; None for neither.
    with_mean_coherence
        Whether coherence is averaged, where the stack has it.

    Raises
    ------
    InputError
        If the weights need coherence and the stack has none, or the stack has no phase.
    """

    def __init__(
        self,
        stack: Stack,
        reference: RowCol,
        *,
        weighting: Weighting = Weighting.NONE,
        looks: float | None = None,
        norm: Norm = Norm.L2,
        reference_size: int = 1,
        unwrapping: UnwrapPlan | None = None,
        with_mean_coherence: bool = False,
    ) -> None:
        if weighting.needs_coherence and stack.coherence is None:
            raise InputError(
                f"{stack.path} with weights={weighting.value}",
                required="the coherence of the interferograms",
                found="a stack without coherence",
                remedy="Invert with weights=none, or add the coherence files",
            )
        self.stack = stack
        self.solver = NetworkSolver(
            stack.pair_dates,
            weighting=weighting,
            looks=looks if looks is not None else stack.acquisition.looks,
            norm=norm,
        )
        self._phase: Cube = stack.require_phase()
        self.unwrapping = unwrapping
        self._with_mean_coherence = with_mean_coherence
        self._coherence = stack.coherence if weighting.needs_coherence or with_mean_coherence else None
        self._components = None
        if unwrapping is not None and unwrapping.correction is not UnwrapCorrection.NONE:
            self._components = stack.connected_components
        self._scale = los_per_radian(stack.wavelength_m)
        window, rows, cols = self._reference_area(reference, reference_size)
        self.reference_phase: NDArray[np.float64] = window.mean(axis=1, dtype=np.float64)
        """(pair,) rad, NaN where there is no data."""
        self.reference_rows, self.reference_cols = rows, cols
        """(pixel,) the pixels whose average the reference is."""

    @property
    def dates(self) -> tuple[date, ...]:
        """Dates of the series."""
        return self.solver.dates

    @property
    def bytes_per_row(self) -> int:
        """Bytes of the samples and of the series of one row."""
        cubes = 1 + sum(cube is not None for cube in (self._coherence, self._components))
        return 4 * self.stack.shape[1] * (len(self.stack.pairs) * cubes + len(self.dates))

    @property
    def rows_per_chunk(self) -> int:
        """Rows the storage keeps together."""
        return self._phase.rows_per_chunk

    def _reference_area(
        self, reference: RowCol, size: int
    ) -> tuple[NDArray[np.floating], NDArray[np.intp], NDArray[np.intp]]:
        """(pair, pixel) rad and (pixel,) rows and columns of what is averaged, corrected as the rest of the scene is.

        These are the pixels with data in every pair, or the reference point alone where none has.
        """
        rows, cols = reference_window(reference, size)
        row, col = reference.row - rows.start, reference.col - cols.start
        phase: NDArray[np.floating] = self._phase.read(rows, cols)
        if phase[0].size > 1 and self.unwrapping is not None:
            components = None if self._components is None else self._components.read(rows, cols)
            centre = phase[:, row, col].astype(np.float64)
            phase = self.unwrapping.correct(phase, reference_phase=centre, components=components).phase
        complete = np.asarray(np.isfinite(phase).all(axis=0))
        if not complete.any():
            complete[row, col] = True
        used_rows, used_cols = np.nonzero(complete)
        return phase[:, complete], used_rows + rows.start, used_cols + cols.start

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that blocks have."""
        names = ["temporal_coherence", "residual_rms", "pairs_used", "subsets"]
        if self.unwrapping is not None:
            names.append("open_loops")
        if self._with_mean_coherence and self._coherence is not None:
            names.append("mean_coherence")
        return tuple(names)

    def __call__(self, rows: slice) -> InvertedBlock:
        """Invert some rows."""
        watch = Stopwatch()
        with watch.step("read"):
            phase: NDArray[np.floating] = self._phase.read(rows, slice(None))
            coherence, components = (
                None if cube is None else cube.read(rows, slice(None)) for cube in (self._coherence, self._components)
            )
        sums: dict[str, NDArray[Any]] = {}
        layers: dict[str, NDArray[Any]] = {}
        corrected = None
        if self.unwrapping is not None:
            with watch.step("close loops"):
                closed = self.unwrapping.correct(phase, reference_phase=self.reference_phase, components=components)
            phase, corrected, layers["open_loops"] = closed.phase, closed.corrected, closed.open_loops_after
            sums |= closed.sums
        with watch.step("invert"):
            inverted = self.solver.solve(
                phase,
                reference_phase=self.reference_phase,
                coherence=coherence if self.solver.weighting.needs_coherence else None,
                scale=self._scale,
            )
        layers |= {
            "temporal_coherence": inverted.temporal_coherence,
            "residual_rms": inverted.residual_rms,
            "pairs_used": inverted.pairs_used,
            "subsets": inverted.subsets,
        }
        if self._with_mean_coherence and coherence is not None:
            with watch.step("average coherence"):
                layers["mean_coherence"], sums["coherence_sum"], sums["coherence_count"] = _average_coherence(coherence)
        return InvertedBlock(inverted.series, layers, corrected, sums, watch.seconds)


def invert(
    stack: Stack,
    *,
    weights: Weighting | str = Weighting.NONE,
    norm: Norm | str = Norm.L2,
    reference: ReferenceChoice = "auto",
    reference_size: int = 1,
    looks: float | None = None,
    unwrap_correction: UnwrapCorrection | str = UnwrapCorrection.NONE,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> TimeSeries:
    """Displacement time series of a stack, in memory.

    Parameters
    ----------
    stack
        What `insar.open_stack` returns.
    weights
        ``none``, ``coherence``, ``variance`` (inverse phase variance of a distributed scatterer) or ``fisher``.
    norm
        ``l2``, or ``l1``, which a few unwrapping errors do not pull away.
    reference
        ``auto``, a (row, col), or a `LonLat`.
    reference_size
        Pixels on a side, an odd number, of the area around the reference point whose average is the reference.
    looks
        Number of looks, where the weights need it and the stack does not say.
    unwrap_correction
        ``none``; ``closure``, whole cycles that loops give away; ``bridging``, of the unwrapper's regions; or
        ``bridging+closure``.
    workers
        Threads; all processors where None.
    progress
        Called after every block.

    Returns
    -------
    Series on the pixels of the stack, with the layers of its quality.

    Raises
    ------
    InputError, OptionError
        If the stack or the options cannot be used; the message says why.
    """
    weighting = parse_choice(Weighting, weights, "weights")
    if reference_size < 1 or reference_size % 2 == 0:
        raise OptionError(
            "reference_size", required="an odd number of pixels", found=str(reference_size), remedy="1 is a point"
        )
    point = find_reference(stack, reference)
    if point.unusable_pairs:
        stack = stack.select([index for index in range(len(stack.pairs)) if index not in point.unusable_pairs])
    threads = workers or available_workers()
    correction = parse_choice(UnwrapCorrection, unwrap_correction, "unwrap_correction")
    unwrapping = None
    if correction is not UnwrapCorrection.NONE:
        at_point = reference_phase(stack, point.pixel)
        unwrapping = plan_unwrapping(stack, correction, point.pixel, at_point, workers=threads, progress=progress)
    inverter = BlockInverter(
        stack,
        point.pixel,
        weighting=weighting,
        unwrapping=unwrapping,
        looks=looks,
        norm=parse_choice(Norm, norm, "norm"),
        reference_size=reference_size,
    )
    rows, cols = stack.shape
    displacement = np.empty((len(inverter.dates), rows, cols), dtype=np.float32)
    layers: dict[str, NDArray[Any]] = {}

    def keep(block: slice, result: InvertedBlock) -> None:
        displacement[:, block] = result.displacement_m
        for name, values in result.layers.items():
            layers.setdefault(name, np.empty((rows, cols), dtype=values.dtype))[block] = values
        progress("invert", block.stop, rows)

    runner = ThreadRunner(threads)
    blocks = runner.row_blocks(rows, inverter.bytes_per_row, rows_per_chunk=inverter.rows_per_chunk)
    runner.map(blocks, inverter, keep)
    return TimeSeries(stack, inverter.dates, displacement, point.pixel, layers)


def _average_coherence(
    coherence: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.int64]]:
    from insar.kernels.average import average_samples

    pairs, rows, cols = coherence.shape
    mean = np.empty(rows * cols, dtype=np.float32)
    sums, counts = np.empty(pairs), np.empty(pairs, dtype=np.int64)
    average_samples(np.ascontiguousarray(coherence).reshape(pairs, -1), mean, sums, counts)
    return mean.reshape(rows, cols), sums, counts
