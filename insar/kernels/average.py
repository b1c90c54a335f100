"""Averages over the interferograms of a block."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from insar.kernels.jit import kernel

TILE = 512


@kernel
def average_samples(
    coherence: NDArray[np.float32],
    mean: NDArray[np.float32],
    pair_sum: NDArray[np.float64],
    pair_count: NDArray[np.int64],
) -> None:
    """Average coherence of every pixel over the pairs, and sums of every pair over the pixels.

    Parameters
    ----------
    coherence
        (pair, pixel), NaN where there is none.
    mean
        (pixel,) out: NaN where no pair has coherence.
    pair_sum, pair_count
        (pair,) out: sum and number of the pixels that have coherence.
    """
    pairs, pixels = coherence.shape
    total = np.empty(TILE, np.float64)
    count = np.empty(TILE, np.float64)
    pair_sum[:] = 0.0
    pair_count[:] = 0
    for start in range(0, pixels, TILE):
        length = min(TILE, pixels - start)
        total[:] = 0.0
        count[:] = 0.0
        for pair in range(pairs):
            samples = coherence[pair, start : start + length]
            summed = 0.0
            seen = 0
            for pixel in range(length):
                there = np.isfinite(samples[pixel])
                value = np.float64(samples[pixel]) if there else 0.0
                total[pixel] += value
                count[pixel] += there
                summed += value
                seen += there
            pair_sum[pair] += summed
            pair_count[pair] += seen
        for pixel in range(length):
            mean[start + pixel] = total[pixel] / count[pixel] if count[pixel] > 0 else np.nan
