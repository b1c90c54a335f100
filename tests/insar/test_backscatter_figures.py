"""The figure of differences shows what the histograms hold."""

from __future__ import annotations

import numpy as np
import pytest

from insar.figures_backscatter import draw_differences


def test_lines_are_shares_of_pixels():
    counts = np.zeros(120, np.int64)
    counts[[58, 59, 60, 61]] = 10, 20, 40, 30
    figure = draw_differences({"vv_difference_ascending": counts, "vh_difference_descending": counts}, (-15.0, 15.0))
    (axes,) = figure.axes
    line = axes.lines[0]
    assert line.get_ydata().sum() == pytest.approx(100.0)
    assert line.get_xdata()[60] == pytest.approx(0.125)
    assert axes.get_xlim() == pytest.approx((-0.5, 0.5))  # whole bins
    assert axes.lines[1].get_linestyle() == "--"


def test_nothing_known():
    figure = draw_differences({"vv_difference": np.zeros(120, np.int64)}, (-15.0, 15.0))
    assert not figure.axes[0].get_legend_handles_labels()[0]
