"""Parts that the pages of every kind of result have."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from insar.grid import Grid
from insar.preview import Preview
from insar.report_page import facts_table, files_table, folded, heading, nested_table, paragraph
from insar.result import ResultFolder

REPORT = "report.html"

_TOLD_ELSEWHERE = frozenset({"network", "timing", "timing_seconds", "block_seconds", "unwrapping", "corrections"})


def write_page(folder: Path, page: str) -> Path:
    """Write the page of a result, under a temporary name until it is whole."""
    target = folder / REPORT
    partial = folder / f".{REPORT}.partial"
    try:
        partial.write_text(page, encoding="utf-8")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target


def described_grid(grid: Grid) -> str:
    """Size, CRS and resolution in words."""
    width, height = grid.resolution
    where = "radar coordinates" if grid.crs is None else grid.crs if len(grid.crs) < 40 else "own CRS"
    unit = "" if grid.crs is None else "°" if grid.is_geographic else " m" if grid.is_metric else ""
    size = "" if grid.crs is None else f", pixels of {width:.4g}{unit} x {height:.4g}{unit}"
    return f"{grid.rows:,} rows x {grid.cols:,} columns, {where}{size}"


def described_spread(preview: Preview, factor: float, unit: str) -> str:
    """Median and the middle 96 % of the values, in a unit that is the layer's times `factor`."""
    finite = preview.values[np.isfinite(preview.values)] * factor
    if not finite.size:
        return "no valid pixel"
    low, middle, high = (float(edge) for edge in np.percentile(finite, [2, 50, 98]))
    largest = max(abs(low), abs(high))
    decimals = max(0, 2 - math.floor(math.log10(largest))) if largest > 0 else 0
    texts = [fixed_decimals(value, decimals) for value in (middle, low, high)]
    return f"median {texts[0]} {unit}".rstrip() + f"; 96 % of pixels between {texts[1]} and {texts[2]} {unit}".rstrip()


def fixed_decimals(value: float, decimals: int) -> str:
    """A number with a true minus sign; nothing where it is not finite."""
    return f"{value + 0.0:.{decimals}f}".replace("-", "\N{MINUS SIGN}") if math.isfinite(value) else ""


def list_files(result: ResultFolder) -> list[str]:
    """The layers and files of a result, and the layers that were not made, with the reason."""
    rows = [
        (
            name,
            str(layer.get("file", "")),
            str(layer.get("unit", "")),
            "; ".join(str(layer[key]) for key in ("description", "sign") if layer.get(key)),
            str(layer.get("sha256", "")),
        )
        for name, layer in result.layers.items()
    ]
    rows += [
        (str(file.get("file", "")), str(file.get("file", "")), "", "", str(file.get("sha256", "")))
        for file in result.manifest.get("files") or []
    ]
    body = [files_table(rows)] if rows else []
    left_out = result.manifest.get("left_out") or []
    if left_out:
        body.append(heading("Not made"))
        body.append(facts_table((str(entry.get("name")), str(entry.get("reason"))) for entry in left_out))
    return body


def describe_processing(result: ResultFolder, told: frozenset[str] = _TOLD_ELSEWHERE) -> list[str]:
    """Times, configuration, versions and all other figures of the run; `told` are entries told elsewhere."""
    body = []
    timing = result.summary.get("timing_seconds") or result.summary.get("timing")
    if isinstance(timing, Mapping) and timing:
        body.append(heading("Time taken"))
        if result.summary.get("slowest_step"):
            body.append(paragraph(_slowest(result.summary)))
        body.append(
            facts_table(
                (str(step), f"{seconds:.1f} s" if isinstance(seconds, (int, float)) else str(seconds))
                for step, seconds in timing.items()
            )
        )
    configuration = result.manifest.get("configuration")
    if isinstance(configuration, Mapping) and configuration:
        body.append(folded("Configuration", nested_table(configuration)))
    versions = result.manifest.get("versions")
    if isinstance(versions, Mapping) and versions:
        body.append(folded("Versions", nested_table(versions)))
    further: dict[str, Any] = {name: value for name, value in result.summary.items() if name not in told}
    if further:
        body.append(folded("All figures of the run", nested_table(further)))
    return body


def _slowest(summary: Mapping[str, Any]) -> str:
    text = f"The slowest step before this page was: {summary['slowest_step']}."
    parts = summary.get("block_seconds")
    if isinstance(parts, Mapping) and parts:
        listed = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in sorted(parts.items(), key=lambda at: -at[1]))
        text += f" Within blocks, summed over all threads: {listed}."
    return text


def report_footer(result: ResultFolder) -> str:
    """Version of the package and when the result was finished."""
    version = (result.manifest.get("versions") or {}).get("scarp", "")
    finished = str(result.manifest.get("finished") or "")[:19].replace("T", " ")
    return f"scarp {version}" + (f", finished {finished} UTC" if finished else "")
