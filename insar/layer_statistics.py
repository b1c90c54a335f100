"""The range of a layer in a few numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SAMPLES = 1e6


def layer_statistics(values: NDArray[np.floating]) -> dict[str, float | None]:
    """Extremes, median, 2nd and 98th percentile of (row, col) values, NaN left out, from about a million of them."""
    step = max(1, round((values.size / _SAMPLES) ** 0.5))
    sample = np.asarray(values[::step, ::step])
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return {"minimum": None, "median": None, "maximum": None}
    low, middle, high = np.percentile(sample, [2, 50, 98])
    return {
        "minimum": float(sample.min()),
        "percentile_2": float(low),
        "median": float(middle),
        "percentile_98": float(high),
        "maximum": float(sample.max()),
    }
