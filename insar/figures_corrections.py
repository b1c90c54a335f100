"""What corrections do to a series: a table and a figure of its scatter before and after each step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from insar.figures import FAINT, FULL_WIDTH_IN, INK, SMALL_TEXT, format_number, format_percent, new_figure, strip_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEADY_RAMPS = 0.5
"""Share of a steady trend in ramps above which it is remarked; by chance it is one over the number of dates or so."""

MUCH_MOTION = 0.3
"""Share of moving pixels above which it is remarked."""

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00")
"""Of the steps, Okabe and Ito's; the series without corrections is grey."""

STEP_WORDS = {
    "solid_earth_tides": "solid earth tides",
    "era5": "troposphere (ERA5)",
    "gacos": "troposphere (GACOS)",
    "height": "delay by height",
    "ramp": "ramp",
}

TABLE_HEADER = ("Correction", "RMS before (mm)", "RMS after (mm)", "Change", "Dates made worse", "Pixels lost")
"""Of the rows of `correction_rows`."""

CAPTION = (
    "Standard deviation over the coherent pixels of the lattice that do not move, at each date: what a correction is "
    "worth on ground that should stay where it is. The first date is zero by definition, and its noise is in all."
)


def correction_rows(steps: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Cells of a table with `TABLE_HEADER`, one row for each step.

    Parameters
    ----------
    steps
        The facts of a `insar.corrections.chain.CorrectionChain`.
    """
    rows: list[tuple[str, ...]] = []
    for step in steps:
        before, after = _number(step["rms_before_m"]), _number(step["rms_after_m"])
        change = after / before - 1.0 if before > 0 else math.nan
        pairs = list(zip(step["rms_before_per_date_m"], step["rms_after_per_date_m"], strict=True))[1:]
        worse = sum(_number(later) > _number(earlier) for earlier, later in pairs)
        rows.append(
            (
                step_words(step["name"]),
                _millimetres(before),
                _millimetres(after),
                f"{100.0 * change:+.0f} %".replace("-", "\N{MINUS SIGN}") if math.isfinite(change) else "unknown",
                f"{worse} of {len(pairs)}",
                format_percent(step["unknown_share"]),
            )
        )
    return rows


def correction_remarks(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a user should know of the corrections, a sentence each; none where all is well.

    Parameters
    ----------
    steps
        The facts of a `insar.corrections.chain.CorrectionChain`.
    """
    remarks = []
    for step in steps:
        facts, words = step["facts"], step_words(step["name"])
        if facts.get("trend_share", 0.0) > STEADY_RAMPS:
            remarks.append(
                f"{format_percent(facts['trend_share'])} of the ramps that were subtracted is a steady trend "
                f"({_millimetres(facts['trend_rms_m_per_year'])} mm/yr over the scene), which errors of orbits do not "
                "have: it may be motion of the ground. Compare with --deramp none."
            )
        if facts.get("moving_share", 0.0) > MUCH_MOTION:
            remarks.append(
                f"{format_percent(facts['moving_share'])} of the coherent pixels seem to move and were left out of the "
                f"fit of the {words}: what most of the scene does was taken for stable ground."
            )
        if facts.get("dates_of_another_time"):
            remarks.append(
                f"Delays of {len(facts['dates_of_another_time'])} dates are of a time of day more than half an hour "
                f"from the acquisition's: {', '.join(facts['dates_of_another_time'])}."
            )
        if step["unknown_share"] > 0.0:
            remarks.append(
                f"{format_percent(step['unknown_share'])} of the pixels have no data any more, because the {words} is "
                "unknown there."
            )
    if steps:
        before, after = _number(steps[0]["rms_before_m"]), _number(steps[-1]["rms_after_m"])
        if after > before:
            remarks.append(
                f"The corrections make stable ground noisier: RMS {_millimetres(before)} mm before, "
                f"{_millimetres(after)} mm after all of them."
            )
    return remarks


def draw_corrections(dates: Sequence[date], steps: Sequence[Mapping[str, Any]]) -> Figure:
    """Scatter of the series at each date, without corrections and after each of them.

    Parameters
    ----------
    dates
        Of the series.
    steps
        The facts of a `insar.corrections.chain.CorrectionChain`, at least one.
    """
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    figure = new_figure(3.6, FULL_WIDTH_IN)
    axes = figure.add_subplot()
    days: Any = list(dates)[1:]
    stages = [("no correction", steps[0]["rms_before_per_date_m"], steps[0]["rms_before_m"])]
    stages += [
        (f"after {step_words(step['name'])}", step["rms_after_per_date_m"], step["rms_after_m"]) for step in steps
    ]
    for index, (label, per_date, total) in enumerate(stages):
        colour = FAINT if index == 0 else COLOURS[(index - 1) % len(COLOURS)]
        is_last = index == len(stages) - 1
        axes.plot(
            days,
            [1e3 * _number(value) for value in per_date[1:]],
            color=colour,
            marker="o",
            markersize=4.5 if is_last else 3.5,
            linewidth=1.8 if is_last else 1.2,
            label=f"{label}: {_millimetres(_number(total))} mm",
            zorder=2 + index,
        )
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel("RMS on stable ground (mm)", color=INK, fontsize=9)
    locator = AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.grid(color="#eceff1", linewidth=0.8)
    axes.set_axisbelow(True)
    strip_axes(axes)
    figure.legend(loc="outside upper left", ncols=min(3, len(stages)), fontsize=SMALL_TEXT, frameon=False)
    return figure


def step_words(name: str) -> str:
    """Name of a step for a reader."""
    return STEP_WORDS.get(name, name)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _millimetres(metres: float) -> str:
    return format_number(1e3 * metres) if math.isfinite(metres) else "unknown"
