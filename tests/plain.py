"""Independent solutions in plain NumPy and float64, to compare kernels with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray


def sequential_network(date_count: int, connections: int, *, step_days: int = 12) -> list[tuple[date, date]]:
    """Each date paired with its next ones; steps are uneven so that velocities and phases differ in norm."""
    first = date(2018, 1, 1)
    dates = [first + timedelta(days=step_days * index + (index * index) % 5) for index in range(date_count)]
    return [
        (dates[one], dates[two])
        for one in range(date_count)
        for two in range(one + 1, min(date_count, one + connections + 1))
    ]


def minimum_norm_series(
    phase: NDArray[np.floating], pairs: Sequence[tuple[date, date]], weights: NDArray[np.floating] | None = None
) -> NDArray[np.float64]:
    """``pinv`` of ``B v = dphi`` for each pixel by itself: phase (pair, pixel) to (date, pixel)."""
    dates = sorted({day for pair in pairs for day in pair})
    place = {day: index for index, day in enumerate(dates)}
    steps = np.diff([day.toordinal() for day in dates]).astype(np.float64)
    design = np.zeros((len(pairs), len(steps)))
    for row, (first, second) in enumerate(pairs):
        low, high = sorted((place[first], place[second]))
        design[row, low:high] = steps[low:high] if place[first] < place[second] else -steps[low:high]
    series = np.full((len(dates), phase.shape[1]), np.nan)
    for pixel in range(phase.shape[1]):
        usable = np.isfinite(phase[:, pixel])
        if weights is not None:
            usable &= weights[:, pixel] > 0
        if not usable.any():
            continue
        root = np.ones(usable.sum()) if weights is None else np.sqrt(weights[usable, pixel])
        velocity = np.linalg.pinv(design[usable] * root[:, None]) @ (phase[usable, pixel].astype(np.float64) * root)
        series[:, pixel] = np.concatenate([[0.0], np.cumsum(velocity * steps)])
    return series


def temporal_coherence(
    phase: NDArray[np.floating], pairs: Sequence[tuple[date, date]], series: NDArray[np.floating]
) -> NDArray[np.float64]:
    """``|mean(exp(1j residual))|`` over the valid pairs: (pixel,)."""
    dates = sorted({day for pair in pairs for day in pair})
    place = {day: index for index, day in enumerate(dates)}
    modelled = np.array([series[place[second]] - series[place[first]] for first, second in pairs])
    return np.abs(np.nanmean(np.exp(1j * (phase - modelled)), axis=0))
