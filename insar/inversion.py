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

from insar.blocks import Progress, available_workers, map_blocks, no_progress, row_blocks
from insar.errors import InputError, OptionError, parse_choice
from insar.grid import RowCol
from insar.phase import los_per_radian
from insar.reference import ReferenceChoice, find_reference, reference_phase
from insar.series import TimeSeries
from insar.solver import NetworkSolver, Norm
from insar.stack import Cube, Stack
from insar.timefunctions import DEFAULT_MODEL, parse_model
from insar.uncertainty import Uncertainty, network_covariance, network_noise
from insar.velocity import LEAST_RECENT_DATES, RECENT_DAYS, fit_rate, fit_recent_rate, recent_dates
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
    coherence_sum, coherence_count
        (pair,) sum and number of the block's samples of coherence; None where it was not read.
    """

    displacement_m: NDArray[np.float32]
    layers: dict[str, NDArray[Any]]
    coherence_sum: NDArray[np.float64] | None
    coherence_count: NDArray[np.int64] | None


class BlockInverter:
    """Reads and inverts blocks of rows of one stack; safe to call from several threads.

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
        Pixels on a side of the reference area.
    with_rate
        Whether to fit the rate, and to average the coherence where there is any.
    model
        Model of time of the rate, see `insar.fit_velocity`.
    uncertainty
        What the standard deviation of the rate is made of.
    recent_days
        Trailing window of the recent rate.
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
        with_rate: bool = False,
        model: str = DEFAULT_MODEL,
        uncertainty: Uncertainty = Uncertainty.RESIDUAL,
        recent_days: float = RECENT_DAYS,
    ) -> None:
        if weighting.needs_coherence and stack.coherence is None:
            raise InputError(
                f"{stack.path} with weights={weighting.value}",
                required="the coherence of the interferograms",
                found="a stack without coherence",
                remedy="Invert with weights=none, or add the coherence files",
            )
        self.reference_phase = reference_phase(stack, reference, reference_size)
        self.stack = stack
        self.with_rate = with_rate
        self._model = parse_model(model)
        self._recent_days = recent_days
        self._covariance = None
        if uncertainty is Uncertainty.COVARIANCE:
            self._covariance = network_covariance([(pair.reference, pair.secondary) for pair in stack.pairs])
        self.solver = NetworkSolver(
            [(pair.reference, pair.secondary) for pair in stack.pairs],
            weighting=weighting,
            looks=looks if looks is not None else stack.acquisition.looks,
            norm=norm,
        )
        self._scale = los_per_radian(stack.wavelength_m)
        self._phase: Cube = stack.require_phase()
        self._coherence = stack.coherence if weighting.needs_coherence or with_rate else None

        if with_rate:
            # Refused before the work starts, not in its first block.
            self._model.design(self.dates)

    @property
    def dates(self) -> tuple[date, ...]:
        """Dates of the series."""
        return self.solver.dates

    @property
    def left_out(self) -> dict[str, str]:
        """Layers that blocks will not have, and why."""
        reasons = {}
        if self.stack.coherence is None:
            reasons["mean_coherence"] = "the stack has no coherence"
        if self._model.degree < 2:
            reasons["acceleration"] = "the model of time has no quadratic term: --model linear+poly:2"
        if 1 not in self._model.periods_per_year:
            reasons["seasonal_amplitude"] = "the model of time has no annual term: --model linear+annual"
        count = recent_dates(self.dates, self._recent_days)
        if count < LEAST_RECENT_DATES:
            reasons["velocity_recent"] = (
                f"{count} dates in the last {self._recent_days:g} days, {LEAST_RECENT_DATES} are needed: --recent-days"
            )
        return reasons

    @property
    def bytes_per_row(self) -> int:
        """Bytes of the samples and of the series of one row."""
        cubes = 1 if self._coherence is None else 2
        return 4 * self.stack.shape[1] * (len(self.stack.pairs) * cubes + len(self.dates))

    @property
    def rows_per_chunk(self) -> int:
        """Rows the storage keeps together."""
        return int(getattr(self._phase.source, "rows_per_chunk", 1))

    def __call__(self, rows: slice) -> InvertedBlock:
        """Invert some rows."""
        phase = self._phase.read(rows, slice(None))
        coherence = None if self._coherence is None else self._coherence.read(rows, slice(None))
        weighted = self.solver.weighting.needs_coherence
        inverted = self.solver.solve(
            phase,
            reference_phase=self.reference_phase,
            coherence=coherence if weighted else None,
            scale=self._scale,
        )
        layers: dict[str, NDArray[Any]] = {
            "temporal_coherence": inverted.temporal_coherence,
            "residual_rms": inverted.residual_rms,
            "pairs_used": inverted.pairs_used,
            "subsets": inverted.subsets,
        }
        sums = counts = None
        if self.with_rate:
            noise = None
            if self._covariance is not None:
                noise = network_noise(inverted.residual_rms, inverted.pairs_used, inverted.subsets, self._covariance)
            rate = fit_rate(inverted.series, self.dates, self._model, noise)
            layers["velocity"] = rate.velocity
            layers["velocity_std"] = rate.velocity_std
            optional = {
                "acceleration": rate.acceleration,
                "seasonal_amplitude": rate.seasonal_amplitude,
                "velocity_recent": fit_recent_rate(inverted.series, self.dates, self._recent_days),
            }
            layers |= {name: values for name, values in optional.items() if values is not None}
            layers["cumulative_displacement"] = inverted.series[-1]
            if coherence is not None:
                layers["mean_coherence"], sums, counts = _average_coherence(coherence)
        return InvertedBlock(inverted.series, layers, sums, counts)


def invert(
    stack: Stack,
    *,
    weights: Weighting | str = Weighting.NONE,
    norm: Norm | str = Norm.L2,
    reference: ReferenceChoice = "auto",
    reference_size: int = 1,
    looks: float | None = None,
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
    inverter = BlockInverter(
        stack,
        point.pixel,
        weighting=weighting,
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

    blocks = row_blocks(rows, inverter.bytes_per_row, rows_per_chunk=inverter.rows_per_chunk, workers=threads)
    map_blocks(blocks, inverter, keep, workers=threads)
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
