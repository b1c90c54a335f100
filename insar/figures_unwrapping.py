"""Figures of unwrapping errors: how many loops stay open, and in which interferograms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from insar.figures import ACCENT, FAINT, HALF_WIDTH_IN, INK, SMALL_TEXT, format_percent, new_figure, strip_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PAIRS = 25
"""Interferograms that the figure has room for."""

_AFTER = "#0072b2"


def draw_open_loops(summary: Mapping[str, Any]) -> Figure:
    """Pixels by the number of their loops that do not close, before and after the correction.

    Parameters
    ----------
    summary
        What `insar.unwrapping.summarise_unwrapping` gives.
    """
    figure = new_figure(3.3, HALF_WIDTH_IN)
    axes = figure.add_subplot()
    before = np.array(summary["open_loops"]["before"])
    after = np.array(summary["open_loops"]["after"])
    largest = max(1, int(np.flatnonzero(before + after).max(initial=0)))
    bins = np.arange(largest + 1)
    if before.sum():
        axes.bar(bins, before[: largest + 1], 0.9, color=FAINT, label=_caption("before", before))
        if summary["samples_corrected"] + summary["samples_turned_with_region"]:
            axes.bar(bins, after[: largest + 1], 0.45, color=_AFTER, label=_caption("after", after))
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.7)
        axes.legend(fontsize=SMALL_TEXT, frameon=False, loc="upper right")
        if largest == len(before) - 1:
            axes.set_xticks([*range(0, largest, 8), largest], [*map(str, range(0, largest, 8)), f"{largest}+"])
        else:
            axes.locator_params(axis="x", integer=True)
    else:
        axes.text(0.5, 0.5, "no pixel has a complete loop", transform=axes.transAxes, ha="center", color=INK)
    axes.set_xlabel("Loops of a pixel that do not close", color=INK)
    axes.set_ylabel("Pixels", color=INK)
    strip_axes(axes)
    return figure


def draw_open_pairs(summary: Mapping[str, Any]) -> Figure:
    """Share of the samples on a loop that does not close, of the interferograms most changed or still open.

    An error opens the loops of its neighbours, too; what was changed says which one was wrong.

    Parameters
    ----------
    summary
        What `insar.unwrapping.summarise_unwrapping` gives.
    """
    pairs = sorted(
        (pair for pair in summary["pairs"] if pair["samples"]),
        key=lambda pair: (-max(pair["open_after"], _changed(pair)) / pair["samples"], pair["pair"]),
    )[:MOST_PAIRS]
    figure = new_figure(1.0 + 0.19 * max(len(pairs), 3), HALF_WIDTH_IN)
    axes = figure.add_subplot()
    if pairs:
        _draw_shares(axes, pairs)
    else:
        axes.text(0.5, 0.5, "every loop closes", transform=axes.transAxes, ha="center", color=INK)
        axes.set_yticks([])
    axes.set_xlabel("Samples on a loop that does not close (%)", color=INK)
    strip_axes(axes)
    return figure


def _draw_shares(axes: Axes, pairs: list[Mapping[str, Any]]) -> None:
    places = np.arange(len(pairs))
    samples = np.array([pair["samples"] for pair in pairs], dtype=np.float64)
    before, after, changed = (
        100.0 * np.array(counts, dtype=np.float64) / samples
        for counts in (
            [pair["open_before"] for pair in pairs],
            [pair["open_after"] for pair in pairs],
            [_changed(pair) for pair in pairs],
        )
    )
    axes.barh(places, before, 0.8, color=FAINT, label="before")
    if changed.any():
        axes.barh(places, after, 0.4, color=_AFTER, label="after")
        there = changed > 0
        axes.plot(changed[there], places[there], "|", color=ACCENT, markersize=9, markeredgewidth=2, label="changed")
        axes.legend(fontsize=SMALL_TEXT, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    axes.set_yticks(places, [pair["pair"] for pair in pairs])
    axes.set_ylim(len(pairs) - 0.4, -0.6)
    axes.set_xlim(left=0)


def _changed(pair: Mapping[str, Any]) -> int:
    return int(pair["corrected"] + pair["turned_with_region"])


def _caption(name: str, histogram: np.ndarray[Any, Any]) -> str:
    return f"{name}: {format_percent(float(histogram[1:].sum() / histogram.sum()))} of the pixels"
