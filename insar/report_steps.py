"""Sections of the report on what was done to the interferograms and to the series before the rate was fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from insar.acceleration import ACCELERATING
from insar.figures import DIVERGING, FIGURES, format_percent, save_figure, symmetric_limit
from insar.figures_corrections import CAPTION, TABLE_HEADER, correction_remarks, correction_rows, draw_corrections
from insar.figures_unwrapping import draw_open_loops, draw_open_pairs
from insar.maps import MapStyle
from insar.report_layers import draw_layer
from insar.report_page import (
    Finding,
    Level,
    Picture,
    facts_table,
    folded,
    heading,
    list_table,
    nested_table,
    picture,
    pictures,
)
from insar.result import ResultFolder

LONGEST_TABLE = 40
"""Rows of a table on the page; the manifest has all."""

MUCH_OPEN = 0.05
"""Share of pixels with loops that do not close above which it is a warning."""


def describe_corrections(result: ResultFolder) -> list[str]:
    """HTML of the corrections of the series; empty where there were none."""
    steps = _corrections(result)
    if not steps:
        return []
    save_figure(draw_corrections(result.dates, steps), result.folder / FIGURES / "corrections.png")
    return [
        list_table(TABLE_HEADER, correction_rows(steps), numbers=range(1, len(TABLE_HEADER))),
        picture(Picture(f"{FIGURES}/corrections.png", "What the corrections do", CAPTION)),
        *(folded(f"Figures of the fit: {step['name']}", nested_table(step["facts"])) for step in steps),
    ]


def describe_unwrapping(result: ResultFolder) -> list[str]:
    """HTML of loops that do not close and of their correction; empty where nobody looked."""
    told = result.summary.get("unwrapping")
    if not isinstance(told, Mapping) or not told.get("pixels"):
        return []
    pixels = told["pixels"]
    facts = [
        ("Correction", str(told.get("correction", "none"))),
        ("Pixels with an open loop, before", f"{told['pixels_open_before']:,} of {pixels:,}"),
        ("Pixels with an open loop, after", f"{told['pixels_open_after']:,}"),
        ("Samples corrected", f"{told['samples_corrected']:,} of {told['samples']:,}"),
    ]
    if told.get("samples_turned_with_region"):
        facts.append(("Samples turned with their region", f"{told['samples_turned_with_region']:,}"))
    for name, draw in (("open_loops", draw_open_loops), ("open_pairs", draw_open_pairs)):
        save_figure(draw(told), result.folder / FIGURES / f"{name}.png")
    shown = [
        Picture(f"{FIGURES}/open_loops.png", "Open loops", "Loops of a pixel whose phases do not add up to nothing."),
        Picture(
            f"{FIGURES}/open_pairs.png",
            "Interferograms on open loops",
            "An error opens the loops of its neighbours, too; what was corrected says which one was wrong.",
        ),
    ]
    body = [facts_table(facts), pictures(shown)]
    pairs = sorted(told["pairs"], key=lambda pair: -(pair["open_before"] + pair["turned_with_region"]))
    if pairs:
        header = ("Interferogram", "Samples", "On an open loop", "after", "Corrected", "Turned with region")
        names = ("samples", "open_before", "open_after", "corrected", "turned_with_region")
        rows = [(pair["pair"], *(f"{pair[name]:,}" for name in names)) for pair in pairs[:LONGEST_TABLE]]
        more = len(pairs) - len(rows)
        title = f"{len(pairs)} interferograms on loops that do not close" + (f", the first {len(rows)}" if more else "")
        body.append(folded(title, list_table(header, rows, numbers=range(1, len(header)))))
    regions = sorted(told.get("regions") or [], key=lambda region: -region["open_before"])
    if regions:
        header = ("Interferogram", "Region", "Samples", "On an open loop", "after", "Cycles found")
        rows = [
            (
                region["pair"],
                "none" if region["region"] is None else str(region["region"]),
                f"{region['samples']:,}",
                f"{region['open_before']:,}",
                f"{region['open_after']:,}",
                ", ".join(f"{cycles}: {count:,}" for cycles, count in region["cycles"].items() if cycles != "0"),
            )
            for region in regions[:LONGEST_TABLE]
        ]
        body.append(folded("Regions of interferograms on loops that do not close", list_table(header, rows)))
    return body


def describe_dem_error(result: ResultFolder) -> list[str]:
    """HTML of the height errors of the DEM; empty where they were not estimated."""
    error, deviation = result.preview("dem_error"), result.preview("dem_error_std")
    if error is None or not np.isfinite(error.values).any():
        return []
    limit = symmetric_limit(error.values, least=1.0)
    file = draw_layer(result, "dem_error", error.values, MapStyle("DEM error (m)", DIVERGING, -limit, limit))
    told = "Height in the DEM minus height of the terrain, which was taken out of the series."
    if deviation is not None and np.isfinite(deviation.values).any():
        told += f" Its standard deviation is {np.nanmedian(deviation.values):.2g} m at half of the pixels or more."
    facts = result.summary.get("dem_error")
    if isinstance(facts, Mapping) and "rms_before_m" in facts:
        before, after = 1e3 * facts["rms_before_m"], 1e3 * facts["rms_after_m"]
        told += (
            f" The root mean square of the series, motion included, was {before:.2f} mm before and {after:.2f} after."
        )
    return [heading("Height errors of the DEM"), pictures([Picture(file, "DEM error", told)])]


def describe_accelerations(result: ResultFolder) -> list[str]:
    """HTML of the test for a change of rate; empty where it was not made."""
    test = (result.summary.get("rate") or {}).get("acceleration_test")
    change, classes = result.preview("rate_change"), result.preview("accelerating")
    if not test or change is None or classes is None:
        return []
    tested = int(np.count_nonzero(np.nan_to_num(classes.values) > 0))
    found = int(np.count_nonzero(classes.values == ACCELERATING))
    share = found / tested if tested else 0.0
    facts = [
        ("Window", f"the last {test['recent_days']:g} days: {test['dates_in_window']} dates"),
        ("False alarms to expect", f"at most {format_percent(test['false_alarm_rate'])} of stable pixels"),
        ("Pixels whose rate has grown", f"{format_percent(share)}" + (" (of a sample)" if tested else "")),
    ]
    limit = symmetric_limit(change.values * 1e3, least=1.0)
    style = MapStyle("Change of rate (mm/yr)", DIVERGING, -limit, limit)
    marked = np.where(classes.values == ACCELERATING, change.values * 1e3, np.nan)
    shown = [
        Picture(
            draw_layer(result, "rate_change", change.values * 1e3, style), "Change of rate", "Window minus before."
        ),
        Picture(
            draw_layer(result, "accelerating", marked, style),
            "Where the rate has grown",
            "Of the pixels that the test calls accelerating. Single ones are as likely false alarms; look for groups.",
        ),
    ]
    return [facts_table(facts), pictures(shown)]


def find_step_concerns(result: ResultFolder) -> list[Finding]:
    """What a reader must know of the steps before trusting the numbers."""
    findings = [Finding(Level.WARNING, remark) for remark in correction_remarks(_corrections(result))]
    told = result.summary.get("unwrapping")
    if isinstance(told, Mapping) and told.get("pixels"):
        share = told["pixels_open_after"] / told["pixels"]
        if share > 0:
            remedy = "" if told.get("correction") != "none" else " --unwrap-correction closure may mend them."
            findings.append(
                Finding(
                    Level.WARNING if share >= MUCH_OPEN else Level.NOTE,
                    f"{format_percent(share)} of the pixels have loops of interferograms that do not close: unwrapping "
                    "errors, which temporal coherence need not show. They have the flag 128 of the layer quality."
                    + remedy,
                )
            )
    return findings


def _corrections(result: ResultFolder) -> Sequence[Mapping[str, Any]]:
    told = result.summary.get("corrections")
    return told if isinstance(told, list) else []
