"""Figures of event layers other than maps: the test on pairs before the event, pairs by coherence, images by date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from insar.figures import ACCENT, FAINT, INK, SMALL_TEXT, date_axis, new_figure, strip_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

QUIET = "#0072b2"
GROUP_COLOURS = {"pre": "#0072b2", "co": "#d55e00", "post": "#009e73", "history": "#b8c0c8", "season": "#009e73"}


def draw_null_test(facts: Mapping[str, Any]) -> Figure:
    """What losses of coherence look like where nothing happened, and how often the test flags them.

    Parameters
    ----------
    facts
        Of `insar.significance.NullRecord`.
    """
    figure = new_figure(3.4)
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1.0))
    _draw_scores(left, facts)
    _draw_rates(right, facts)
    return figure


def _draw_scores(axes: Axes, facts: Mapping[str, Any]) -> None:
    edges = np.array(facts["score_edges"])
    for shares, colour, label in (
        (facts["null_shares"], QUIET, "pairs before the event"),
        (facts["event_shares"], ACCENT, "pair across the event"),
    ):
        axes.stairs(np.maximum(shares, 1e-7), edges, color=colour, label=label, linewidth=1.4)
    axes.set_yscale("log")
    seen = np.flatnonzero((np.array(facts["null_shares"]) > 0) | (np.array(facts["event_shares"]) > 0))
    if seen.size:
        axes.set_xlim(edges[seen[0]], edges[seen[-1] + 1])
    axes.set_ylim(bottom=1e-6)
    axes.set_xlabel("Loss of coherence over what is usual (spreads)", color=INK)
    axes.set_ylabel("Share of pixels", color=INK)
    axes.tick_params(labelsize=SMALL_TEXT, colors=INK)
    axes.legend(frameon=False, fontsize=SMALL_TEXT, loc="upper right")


def _draw_rates(axes: Axes, facts: Mapping[str, Any]) -> None:
    pairs = list(facts["null_pairs"])
    names = [_short(str(pair["pair"])) for pair in pairs] + ["the event"]
    shares = [100 * float(pair["achieved"]) for pair in pairs] + [100 * float(facts["event_share"])]
    places = np.arange(len(names))[::-1]
    axes.barh(places, shares, color=[QUIET] * len(pairs) + [ACCENT], height=0.62)
    promised = 100 * float(facts["promised_rate"])
    axes.axvline(promised, color=INK, linewidth=1.0, linestyle="--")
    axes.annotate(
        f"promised {promised:g} %",
        (promised, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=SMALL_TEXT,
        color=INK,
    )
    axes.set_yticks(places, names)
    axes.set_xlim(0, 1.15 * max(*shares, promised))
    axes.set_xlabel("Pixels called a loss (%)", color=INK)
    strip_axes(axes)


def _short(pair: str) -> str:
    first, second = pair.split("_")
    return f"{first[2:4]}-{first[4:6]}-{first[6:]} to {second[4:6]}-{second[6:]}"


@dataclass(frozen=True, slots=True)
class PairBar:
    """A pair with its mean coherence, None where it is not known, and the group it belongs to."""

    reference: date
    secondary: date
    group: str
    mean_coherence: float | None = None


def draw_pairs(pairs: Sequence[PairBar], event: date | None = None) -> Figure:
    """Pairs as bars from date to date: at the height of their mean coherence, or one below the other.

    Parameters
    ----------
    pairs
        Their groups, ``pre``, ``co``, ``post``, ``history`` or ``season``, are coloured.
    event
        Marked by a line.
    """
    by_coherence = all(pair.mean_coherence is not None for pair in pairs)
    figure = new_figure(2.8 if by_coherence else 1.2 + 0.22 * len(pairs))
    axes = figure.add_subplot()
    for place, pair in enumerate(sorted(pairs, key=lambda pair: (pair.reference, pair.secondary))):
        height = -float(place) if pair.mean_coherence is None or not by_coherence else pair.mean_coherence
        days: Any = [pair.reference, pair.secondary]
        axes.plot(days, [height, height], color=GROUP_COLOURS.get(pair.group, FAINT), linewidth=2.2, marker="|")
    for group in dict.fromkeys(pair.group for pair in pairs):
        axes.plot([], [], color=GROUP_COLOURS.get(group, FAINT), linewidth=2.2, label=group)
    if event is not None:
        when: Any = event
        axes.axvline(when, color=INK, linewidth=1.0, linestyle="--", label="event")
    if by_coherence:
        axes.set_ylim(0, 1)
        axes.set_ylabel("Mean coherence", color=INK)
    else:
        axes.set_yticks([])
    _finish_dates(axes)
    return figure


@dataclass(frozen=True, slots=True)
class ImageRow:
    """Images of one pass and polarisation: their dates, and which are before and after the event."""

    name: str
    days: Sequence[date]
    pre: Sequence[date]
    post: Sequence[date]


def draw_images(rows: Sequence[ImageRow], event: date) -> Figure:
    """Images by date, one line for each pass and polarisation, those of the two windows in colour."""
    figure = new_figure(1.2 + 0.35 * len(rows))
    axes = figure.add_subplot()
    for place, row in enumerate(rows):
        for days, colour, label in (
            (row.days, FAINT, "not used"),
            (row.pre, GROUP_COLOURS["pre"], "before"),
            (row.post, GROUP_COLOURS["post"], "after"),
        ):
            at: Any = list(days)
            axes.plot(
                at,
                [-place] * len(at),
                linestyle="none",
                marker="o",
                markersize=5,
                color=colour,
                label=label if place == 0 else None,
            )
    when: Any = event
    axes.axvline(when, color=INK, linewidth=1.0, linestyle="--", label="event")
    axes.set_yticks([-place for place in range(len(rows))], [row.name for row in rows])
    axes.set_ylim(-len(rows) + 0.4, 0.6)
    _finish_dates(axes)
    return figure


def _finish_dates(axes: Axes) -> None:
    date_axis(axes)
    strip_axes(axes)
    axes.grid(axis="x", color="#eceff1", linewidth=0.8)
    axes.legend(frameon=False, fontsize=SMALL_TEXT, loc="upper left", bbox_to_anchor=(1.0, 1.0))
