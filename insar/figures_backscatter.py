"""Figure of backscatter results: how often each difference in dB occurs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from insar.figures import INK, SMALL_TEXT, new_figure, strip_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = {"vv": "#0072b2", "hh": "#0072b2", "vh": "#d55e00", "hv": "#d55e00"}
_LEAST_SHARE = 1e-3
"""Share of the highest bin below which the ends of the axis are cut."""


def draw_differences(counts: Mapping[str, Sequence[int]], limits_db: tuple[float, float]) -> Figure:
    """Share of pixels by their difference, a line for each layer.

    Parameters
    ----------
    counts
        For each layer its pixels in bins of one width.
    limits_db
        Outer edges of the first and the last bin, which hold what is beyond them, too.
    """
    figure = new_figure(3.3)
    axes = figure.add_subplot()
    shown = []
    for name, pixels in counts.items():
        values = np.asarray(pixels, np.float64)
        if not values.sum():
            continue
        edges = np.linspace(*limits_db, len(values) + 1)
        centres = 0.5 * (edges[1:] + edges[:-1])
        share = values / values.sum()
        shown.append(centres[share > _LEAST_SHARE * share.max()])
        axes.plot(
            centres,
            100.0 * share,
            color=_COLOURS.get(name[:2], INK),
            linestyle="--" if name.endswith("_descending") else "-",
            linewidth=1.4,
            label=name,
        )
    axes.axvline(0.0, color=INK, linewidth=0.8)
    if shown:
        # Half a bin beyond: all pixels may be in one.
        half = 0.5 * (limits_db[1] - limits_db[0]) / max(len(pixels) for pixels in counts.values())
        axes.set_xlim(min(each[0] for each in shown) - half, max(each[-1] for each in shown) + half)
        axes.legend(fontsize=SMALL_TEXT, frameon=False, loc="upper right")
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("After the event minus before (dB)", color=INK)
    axes.set_ylabel("Pixels (%)", color=INK)
    strip_axes(axes)
    return figure
