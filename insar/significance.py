"""Which losses of coherence are more than those that pairs before the event show among themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.damage import history_moments
from insar.errors import OptionError
from insar.loss_scale import TILE, LossScale, fit_scale, group_quantiles, neutral_scale

LEAST_NULL_PAIRS = 2
"""Pairs before the event without which nothing is known of losses where nothing happened."""

LEAST_TAIL = 20
"""Pixels of the sample beyond the threshold in each class: their number is then known to a quarter."""

MOST_NULLS = 12
"""Pairs before the event that are put in place of the co pair, evenly spread over those there are."""

_BYTES_AT_WORK = 64
"""Of a pixel whose scores are made and sorted: measured 56."""

_HISTOGRAM = np.linspace(-6.0, 18.0, 97)


class Loss(IntEnum):
    """Classes of the layer `damage_significant`."""

    UNKNOWN = 0
    NOT_SIGNIFICANT = 1
    SIGNIFICANT = 2


@dataclass(frozen=True, slots=True)
class PairSample:
    """Coherence on a lattice of the scene.

    Attributes
    ----------
    rows, cols
        (row,), (col,) pixels of the lattice.
    history
        (pair, row, col) of the pairs before the event, NaN where there is none.
    across
        (row, col) across the event.
    names
        (pair,) of the pairs before the event.
    """

    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    history: NDArray[np.float32]
    across: NDArray[np.float32]
    names: Sequence[str]


@dataclass(frozen=True, slots=True)
class LossTest:
    """A test of each pixel's loss of coherence, at a rate of false alarms that pairs before the event have set.

    Attributes
    ----------
    scale
        Of the drops at the event.
    thresholds
        (class,) scores above which a loss is significant.
    least
        Pairs before the event that a pixel needs.
    """

    scale: LossScale
    thresholds: NDArray[np.float64]
    least: int

    def classify(
        self,
        history: NDArray[np.float32],
        across: NDArray[np.float32],
        rows: NDArray[np.int64],
        cols: NDArray[np.int64],
    ) -> NDArray[np.uint8]:
        """Classes of `Loss`, (row, col) uint8, of pixels at these rows and columns of the scene.

        Parameters
        ----------
        history
            (pair, row, col) coherence of the pairs before the event, NaN where there is none.
        across
            (row, col) coherence across it.
        rows, cols
            (row,), (col,) of the scene.
        """
        before = history_moments(history, self.least).mean
        score, classes = self.scale.score(before, across, rows, cols)
        with np.errstate(invalid="ignore"):
            lost = score > self.thresholds[classes]
        found = np.where(lost, Loss.SIGNIFICANT, Loss.NOT_SIGNIFICANT)
        return np.where(classes < 0, Loss.UNKNOWN, found).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class NullPair:
    """A pair before the event in place of the co pair, judged by thresholds that the others have set.

    Attributes
    ----------
    name
        Of the pair.
    achieved
        Share of its pixels that the test calls significant; the promise is the rate asked for.
    pixels
        Of the sample that were tested.
    """

    name: str
    achieved: float
    pixels: int


@dataclass(frozen=True, slots=True)
class NullRecord:
    """How well the test keeps its promise, and what it found at the event on the same sample.

    Attributes
    ----------
    promised
        Rate of false alarms asked for.
    pairs
        Each pair before the event that stood in place of the co pair.
    event_share
        Share of the sample that is significant at the event.
    edges, null_shares, event_shares
        Edges of histograms of the scores, and the share of the pixels between them: of all null pairs, and of the
        event. The first and the last hold what lies beyond.
    coherence_edges, thresholds
        Coherence between the classes, and the drop of coherence in each that is significant where the neighbourhood
        changed as the scene did.
    """

    promised: float
    pairs: tuple[NullPair, ...]
    event_share: float
    edges: tuple[float, ...]
    null_shares: tuple[float, ...]
    event_shares: tuple[float, ...]
    coherence_edges: tuple[float, ...]
    thresholds: tuple[float, ...]

    @property
    def achieved(self) -> float:
        """Mean share of false alarms over the null pairs."""
        return float(np.mean([pair.achieved for pair in self.pairs]))

    def facts(self) -> dict[str, Any]:
        """The record as JSON takes it."""
        return {
            "promised_rate": self.promised,
            "achieved_rate": self.achieved,
            "null_pairs": [
                {"pair": pair.name, "promised": self.promised, "achieved": pair.achieved, "pixels": pair.pixels}
                for pair in self.pairs
            ],
            "event_share": self.event_share,
            "score_edges": list(self.edges),
            "null_shares": list(self.null_shares),
            "event_shares": list(self.event_shares),
            "coherence_edges": list(self.coherence_edges),
            "drop_thresholds": list(self.thresholds),
        }


def check_rate(false_alarm_rate: float) -> float:
    """The rate itself; raises `OptionError` where it is none that a test can have."""
    if not 0.0 < false_alarm_rate < 0.5:
        raise OptionError(
            "--false-alarm-rate",
            required="a share above 0 and below 0.5",
            found=f"{false_alarm_rate:g}",
            remedy="Give for instance 0.01",
        )
    return false_alarm_rate


def bytes_per_sample_pixel(history: int) -> int:
    """Memory that `fit_loss_test` takes for a pixel of a sample of so many pairs before the event."""
    return 4 * (2 * history + 1) + 10 * min(history, MOST_NULLS) + _BYTES_AT_WORK


def fit_loss_test(
    sample: PairSample, shape: tuple[int, int], false_alarm_rate: float
) -> tuple[LossTest, NullRecord] | str:
    """Set the thresholds of the test by the pairs before the event, and see whether they hold.

    Parameters
    ----------
    sample
        Coherence on a lattice.
    shape
        (rows, cols) of the scene.
    false_alarm_rate
        Share of the pixels where nothing happened that the test may call significant.

    Returns
    -------
    (LossTest, NullRecord) or str
        The reason where there are too few pairs or pixels.

    Notes
    -----
    The loss is that against the mean of the pairs before the event. It is judged among pixels of the same coherence
    before, since its spread depends on that above all, and less its middle in the surroundings, since rain, wind and
    snow change whole regions. Middles and spreads are those of the co pair itself, which most of the scene, undamaged,
    tells; what pairs before the event tell is how many spreads from the median a share of `false_alarm_rate` lies
    where nothing happened: each of them takes the place of the co pair, against the mean of the others. The threshold
    of a class is the mean over these null pairs.

    The promise is of pixels where nothing happened, in a scene that is mostly undamaged, and of a co pair that differs
    from those before it no more than they differ from one another. Two pairs before the event err on the safe side.
    Where damage covers a third of a tile or more, a part of it passes for a change of the region.

    Each null pair is also judged by the thresholds of the others alone, which is what the promise is worth: no null
    pair has seen its own threshold.
    """
    count = len(sample.history)
    if count < LEAST_NULL_PAIRS:
        return (
            f"the false-alarm rate needs {LEAST_NULL_PAIRS} pairs before the event of a temporal baseline like that "
            f"of the pair across it; there {'is' if count == 1 else 'are'} {count}"
        )
    least = max(1, -(-count // 2))
    before = history_moments(sample.history, least).mean
    tested = np.isfinite(before) & np.isfinite(sample.across)
    needed = int(np.ceil(LEAST_TAIL / false_alarm_rate))
    if tested.sum() < needed:
        return (
            f"a false-alarm rate of {false_alarm_rate:g} needs {needed} pixels with coherence before and across the "
            f"event; the sample has {tested.sum()}"
        )
    # The tiles of a sparse sample are larger, so that each has a thousand pixels of it.
    tile = max(TILE, TILE // 2 * int(np.max(np.diff(sample.rows), initial=1)))
    neutral = neutral_scale(before[tested], shape, tile, needed)
    edges = neutral.edges

    chosen = np.unique(np.linspace(0, count - 1, min(count, MOST_NULLS)).round().astype(np.intp))
    nulls = [_null_scores(sample, int(index), neutral) for index in chosen]
    null_thresholds = np.array([_upper(scores, edges.size + 1, 1.0 - false_alarm_rate) for scores in nulls])
    thresholds = _mean_known(null_thresholds)
    if thresholds is None:
        return "no pair before the event has coherence where the others have"
    pairs = []
    for number, (index, (score, classes)) in enumerate(zip(chosen, nulls, strict=True)):
        others = _mean_known(np.delete(null_thresholds, number, axis=0))
        if score.size and others is not None:
            pairs.append(NullPair(sample.names[index], float(np.mean(score > others[classes])), score.size))

    scale = fit_scale(before, sample.across, sample.rows, sample.cols, neutral)
    score, classes = _known(*scale.score(before, sample.across, sample.rows, sample.cols))
    record = NullRecord(
        promised=false_alarm_rate,
        pairs=tuple(pairs),
        event_share=float(np.mean(score > thresholds[classes])),
        edges=tuple(_HISTOGRAM.tolist()),
        null_shares=_shares(*(scores for scores, _ in nulls)),
        event_shares=_shares(score),
        coherence_edges=tuple(edges.tolist()),
        thresholds=tuple((scale.classes[0] + scale.classes[1] * (scale.last[0] + scale.last[1] * thresholds)).tolist()),
    )
    return LossTest(scale, thresholds, least), record


def _null_scores(sample: PairSample, index: int, neutral: LossScale) -> tuple[NDArray[np.float64], NDArray[np.int16]]:
    """(pixel,) scores and classes of a pair before the event, against the mean of the others."""
    others = np.delete(sample.history, index, axis=0)
    before = history_moments(others, max(1, -(-len(others) // 2))).mean
    scale = fit_scale(before, sample.history[index], sample.rows, sample.cols, neutral)
    return _known(*scale.score(before, sample.history[index], sample.rows, sample.cols))


def _upper(scores: tuple[NDArray[np.float64], NDArray[np.int16]], count: int, share: float) -> NDArray[np.float64]:
    quantiles: NDArray[np.float64] = group_quantiles(*scores, count, (share,), LEAST_TAIL)[0]
    return quantiles


def _known(score: NDArray[np.float64], classes: NDArray[np.int16]) -> tuple[NDArray[np.float64], NDArray[np.int16]]:
    known = classes >= 0
    return score[known], classes[known]


def _mean_known(thresholds: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """(class,) mean over the null pairs that know a class; of a class that none knows, the highest of the others."""
    known = np.isfinite(thresholds)
    if not known.any():
        return None
    mean = np.where(known, thresholds, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    somewhere = known.any(axis=0)
    filled: NDArray[np.float64] = np.where(somewhere, mean, np.max(mean[somewhere]))
    return filled


def _shares(*scores: NDArray[np.float64]) -> tuple[float, ...]:
    """Share of all scores between the edges of the histogram; what lies beyond counts at its ends."""
    last = np.nextafter(_HISTOGRAM[-1], 0.0)
    counts = np.array([np.histogram(np.clip(part, _HISTOGRAM[0], last), _HISTOGRAM)[0] for part in scores])
    return tuple((counts.sum(axis=0) / max(counts.sum(), 1)).round(7).tolist())
