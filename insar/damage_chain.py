"""Layers of an event from the coherence of a stack: what the scene must tell first, and what each block then gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.blocks import Progress, ThreadRunner, no_progress
from insar.damage import (
    LEAST_HISTORY,
    boxcar_sibling,
    checked_pairs,
    coherence_change_max,
    coherence_change_sum,
    coherence_loss,
    coherence_recovery,
    damage_proxy,
    damage_zscore,
    history_moments,
    mean_of_pairs,
)
from insar.errors import InputError, OptionError
from insar.event_pairs import EventPairs
from insar.histogram_matching import HistogramMatch, match_histogram
from insar.layer_run import LayerBlock
from insar.significance import Loss, LossTest, PairSample, bytes_per_sample_pixel, check_rate, fit_loss_test
from insar.stack import Cube, Pair, Stack

DAMAGE_LAYERS = (
    "coherence_pre",
    "coherence_co",
    "coherence_post",
    "damage_proxy",
    "coherence_loss",
    "coherence_recovery",
    "coherence_change_sum",
    "coherence_change_max",
    "boxcar_sibling",
    "damage_zscore",
    "damage_significant",
)

POST_LAYERS = ("coherence_post", "coherence_recovery", "coherence_change_sum", "coherence_change_max")

SAMPLE_PIXELS = 2_000_000
SAMPLE_BYTES = 256 * 2**20
"""Limits of the lattice that the scene as a whole is judged by, and of the memory for what is done with it; of a scene
that keeps within them every pixel is looked at."""


@dataclass(frozen=True, slots=True)
class DamageOptions:
    """What decides how damage is told.

    Attributes
    ----------
    histogram_matching
        Whether `damage_proxy` is of a co-event coherence whose histogram was matched to the one before.
    false_alarm_rate
        Share of the pixels where nothing happened that `damage_significant` may flag.
    least_history
        Pairs before the event that `damage_zscore` needs, in the stack and at each pixel.
    """

    histogram_matching: bool = False
    false_alarm_rate: float = 0.01
    least_history: int = LEAST_HISTORY

    def __post_init__(self) -> None:
        check_rate(self.false_alarm_rate)
        if self.least_history < 2:
            raise OptionError(
                "--least-history",
                required="at least 2 pairs",
                found=str(self.least_history),
                remedy="A standard deviation needs two values; from three on it begins to mean something",
            )


@dataclass(frozen=True)
class DamageChain:
    """Makes the layers of an event of full rows of a scene; can be pickled.

    Attributes
    ----------
    coherence
        Of the pairs in `names`.
    names
        Pairs that are read, each once.
    pre, co, post, history
        Indices into `names`.
    options
        What was asked for.
    sibling
        Sibling coherence of the co pairs; None where there is none.
    match
        Histogram matching of the co pairs; None for none.
    test
        Significance of a loss; None where it cannot be told.
    left_out
        Layers that are not made, and why.
    facts
        What the scene as a whole told, for the report and the manifest.
    """

    coherence: Cube
    names: tuple[str, ...]
    pre: tuple[int, ...]
    co: tuple[int, ...]
    post: tuple[int, ...]
    history: tuple[int, ...]
    options: DamageOptions
    sibling: Cube | None = None
    match: HistogramMatch | None = None
    test: LossTest | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that blocks have."""
        return tuple(name for name in DAMAGE_LAYERS if name not in self.left_out)

    @property
    def bytes_per_row(self) -> int:
        """Bytes of one row: the coherence and what it is made of, what is computed between, and the layers."""
        planes = len(self.history) + len(self.layers)
        read = self.coherence.bytes_per_row + (0 if self.sibling is None else self.sibling.bytes_per_row)
        return read + self.coherence.cols * (4 * planes + _BYTES_BETWEEN)

    @property
    def rows_per_chunk(self) -> int:
        """Rows the storage keeps together."""
        return self.coherence.rows_per_chunk

    def __call__(self, rows: slice) -> LayerBlock:
        """The layers of some rows, and how many pixels were tested and flagged."""
        coherence = checked_pairs(self.coherence.read(rows, slice(None)), self.names)
        pre, co = mean_of_pairs(coherence[list(self.pre)]), mean_of_pairs(coherence[list(self.co)])
        loss = coherence_loss(pre, co)
        layers: dict[str, NDArray[Any]] = {"coherence_pre": pre, "coherence_co": co, "coherence_loss": loss}
        layers["damage_proxy"] = loss if self.match is None else damage_proxy(pre, self.match.apply(co))
        if self.post:
            post = mean_of_pairs(coherence[list(self.post)])
            recovery = coherence_recovery(post, co)
            layers["coherence_post"], layers["coherence_recovery"] = post, recovery
            layers["coherence_change_sum"] = coherence_change_sum(loss, recovery)
            layers["coherence_change_max"] = coherence_change_max(loss, recovery)
        if self.sibling is not None:
            layers["boxcar_sibling"] = boxcar_sibling(co, mean_of_pairs(self.sibling.read(rows, slice(None))))
        history = coherence[list(self.history)]
        if "damage_zscore" not in self.left_out:
            layers["damage_zscore"] = damage_zscore(co, *history_moments(history, self.options.least_history))
        sums: dict[str, NDArray[Any]] = {}
        if self.test is not None:
            classes = self.test.classify(history, co, np.arange(rows.start, rows.stop), np.arange(self.coherence.cols))
            layers["damage_significant"] = classes
            sums["tested_pixels"] = np.array((classes != Loss.UNKNOWN).sum())
            sums["significant_pixels"] = np.array((classes == Loss.SIGNIFICANT).sum())
        return LayerBlock({name: layers[name] for name in self.layers}, sums)


_BYTES_BETWEEN = 8 * 5 + 4 * 2
"""Bytes of a pixel between coherence and layers: moments, scores and classes, and what NumPy keeps on its way."""


def prepare_damage(
    stack: Stack,
    event_pairs: EventPairs,
    options: DamageOptions | None = None,
    *,
    sibling: Cube | None = None,
    workers: int | None = None,
    memory_limit: int | None = None,
    progress: Progress = no_progress,
) -> DamageChain:
    """Learn from the scene as a whole what its blocks need.

    Parameters
    ----------
    stack
        With coherence.
    event_pairs
        Pairs of the stack before, across and after the event.
    options
        What decides how damage is told.
    sibling
        (pair, row, col) sibling coherence of the co pairs, in their order.
    workers
        Threads that read the scene; all processors where None.
    memory_limit
        Bytes that its blocks may take.
    progress
        Called as the work goes on.

    Raises
    ------
    InputError
        The stack has no coherence, or values outside 0 to 1, or no pixel with coherence before and across the event.
    """
    options = options or DamageOptions()
    if stack.coherence is None:
        raise InputError(
            stack.path,
            required="coherence of the interferograms",
            found="none",
            remedy="Compute it from the images with `insar coherence`",
        )
    used = _in_order(event_pairs.history, event_pairs.pre, event_pairs.co, event_pairs.post)
    names = tuple(pair.name for pair in used)
    pre, co, post, history = (
        tuple(used.index(pair) for pair in pairs)
        for pairs in (event_pairs.pre, event_pairs.co, event_pairs.post, event_pairs.history)
    )
    coherence = stack.coherence.select([stack.pairs.index(pair) for pair in used])
    left_out = _left_out(event_pairs, options, sibling)
    rows, cols, samples = _read_sample(coherence, names, len(history), ThreadRunner(workers, memory_limit), progress)
    before, across = mean_of_pairs(samples[list(pre)]), mean_of_pairs(samples[list(co)])
    if not np.isfinite(before - across).any():
        raise InputError(
            stack.path,
            required="pixels with coherence both before and across the event",
            found=f"none in {', '.join(names[index] for index in (*pre, *co))}",
            remedy="Check these pairs, or give others",
        )
    facts: dict[str, Any] = {"pairs": _pair_facts(event_pairs), "notes": list(event_pairs.notes)}
    match = None
    if options.histogram_matching:
        match = match_histogram(across, before)
        facts["histogram_matching"] = {"mean_shift": 0.0 if match is None else match.shift}
    fitted = fit_loss_test(
        PairSample(rows, cols, samples[list(history)], across, [names[index] for index in history]),
        coherence.shape[1:],
        options.false_alarm_rate,
    )
    if isinstance(fitted, str):
        left_out["damage_significant"] = fitted
        return DamageChain(coherence, names, pre, co, post, history, options, sibling, match, None, left_out, facts)
    test, record = fitted
    facts["false_alarms"] = record.facts()
    return DamageChain(coherence, names, pre, co, post, history, options, sibling, match, test, left_out, facts)


def _left_out(pairs: EventPairs, options: DamageOptions, sibling: Cube | None) -> dict[str, str]:
    reasons: dict[str, str] = {}
    if not pairs.post:
        reasons |= dict.fromkeys(POST_LAYERS, pairs.post_missing or "no pair after the event")
    if sibling is None:
        reasons["boxcar_sibling"] = "there is no sibling coherence: it needs coregistered images, six before the event"
    if len(pairs.history) < options.least_history:
        reasons["damage_zscore"] = (
            f"it needs {options.least_history} pairs before the event of a temporal baseline like that of the pair "
            f"across it; found {len(pairs.history)}"
        )
    return reasons


def _in_order(*groups: Sequence[Pair]) -> list[Pair]:
    return sorted({pair for group in groups for pair in group})


def _pair_facts(pairs: EventPairs) -> dict[str, list[str]]:
    return {kind: [pair.name for pair in getattr(pairs, kind)] for kind in ("pre", "co", "post", "history")}


def _read_sample(
    coherence: Cube, names: Sequence[str], history: int, runner: ThreadRunner, progress: Progress
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Rows and columns of a square lattice, and (pair, row, col) coherence there."""
    count, height, width = coherence.shape
    largest = min(SAMPLE_PIXELS, SAMPLE_BYTES // (4 * count + bytes_per_sample_pixel(history)))
    step = max(1, int(np.ceil(np.sqrt(height * width / largest))))
    rows, cols = np.arange(0, height, step), np.arange(0, width, step)
    samples = np.empty((count, rows.size, cols.size), np.float32)

    def read(block: slice) -> NDArray[np.float32]:
        first = -block.start % step
        block_values = checked_pairs(coherence.read(block, slice(None)), names)
        return np.ascontiguousarray(block_values[:, first::step, ::step])

    def keep(block: slice, found: NDArray[np.float32]) -> None:
        first = -(-block.start // step)
        samples[:, first : first + found.shape[1]] = found
        progress("look at the scene", block.stop, height)

    blocks = runner.row_blocks(height, coherence.bytes_per_row, rows_per_chunk=coherence.rows_per_chunk)
    runner.map(blocks, read, keep)
    return rows, cols, samples
