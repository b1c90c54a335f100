"""Sibling coherence: the rate of the test, edges of fields, gaps, and independence of blocks."""

from __future__ import annotations

import numpy as np
import pytest
from speckle import speckle_history

from insar.siblings import SiblingEstimator


def inner(estimator, image):
    """Cells whose window does not meet the edge."""
    rows, cols = image.shape[0] // estimator.looks.rows, image.shape[1] // estimator.looks.cols
    down, right = estimator.reach
    return slice(down, rows - down), slice(right, cols - right)


def rejected_share(estimator, history):
    """Share of the pixels of a uniform field that are taken for different."""
    count = estimator.estimate(history, [], [], *inner(estimator, history[0])).siblings
    others = estimator.window.rows * estimator.window.cols - 1
    return 1.0 - (float(count.mean(dtype=np.float64)) - 1.0) / others


@pytest.mark.parametrize("coherence", [0.0, 0.5, 0.8])
@pytest.mark.parametrize("images", [6, 10, 20])
def test_the_stated_rate_is_kept_whatever_the_temporal_coherence(images, coherence):
    history = speckle_history(np.random.default_rng(11), images, (220, 220), coherence)
    estimator = SiblingEstimator()
    assert rejected_share(estimator, history) == pytest.approx(estimator.false_rejection_rate, rel=0.1)
