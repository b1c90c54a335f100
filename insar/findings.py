"""What a reader must know of a result before trusting its numbers."""

from __future__ import annotations

import numpy as np

from insar.figures import format_percent
from insar.quality import LOW_TEMPORAL_COHERENCE
from insar.report_page import Finding, Level
from insar.result import ResultFolder

_MUCH_LOW_COHERENCE = 0.3
_MUCH_GAP_FILLED = 0.01
_MUCH_NO_DATA = 0.5
_LEAST_DATES = 5


def find_concerns(result: ResultFolder) -> list[Finding]:
    """Warnings and notes, in the order a reader should see them."""
    return [
        *_missing(result),
        *_coverage(result),
        *_network(result),
        *_fit(result),
        *_time(result),
        *_reference(result),
        *_inputs(result),
    ]


def _missing(result: ResultFolder) -> list[Finding]:
    return [
        Finding(Level.WARNING, f"{name} is listed in the manifest but is not in the folder: the result is incomplete.")
        for name in result.absent
    ]


def _coverage(result: ResultFolder) -> list[Finding]:
    census = result.census
    if not census:
        return []
    if census["valid"] == 0:
        return [Finding(Level.WARNING, "No pixel has a result.")]
    if census["no_data"] >= _MUCH_NO_DATA:
        return [Finding(Level.NOTE, f"{format_percent(census['no_data'])} of the pixels have no data.")]
    return []


def _network(result: ResultFolder) -> list[Finding]:
    findings = []
    told = result.summary.get("network")
    subsets = told.get("subsets") if isinstance(told, dict) else None
    if isinstance(subsets, int) and subsets > 1:
        findings.append(
            Finding(
                Level.WARNING,
                f"The network falls apart into {subsets} subsets that no interferogram joins. What moved between them "
                "was not measured: it is filled in by minimum norm (the smoothest motion that fits), and the rate and "
                "the displacement are biased towards zero.",
            )
        )
    filled = result.census.get("gap_filled", 0.0)
    if filled > 0 and not (isinstance(subsets, int) and subsets > 1):
        findings.append(
            Finding(
                Level.WARNING if filled >= _MUCH_GAP_FILLED else Level.NOTE,
                f"{format_percent(filled)} of the valid pixels lack interferograms that tie some of their dates to the "
                "others; the gap is filled by minimum norm. Their temporal coherence may still be high: use the flag "
                "2 of the layer quality, or the layer subsets, to leave them out.",
            )
        )
    weak = sum(pair.kept and pair.is_weak_link for pair in result.network)
    if weak:
        findings.append(
            Finding(
                Level.NOTE,
                f"{weak} interferogram{'s' * (weak != 1)} hold{'s' * (weak == 1)} the network together alone: an "
                "unwrapping error there passes into the dates beyond it unseen. See the network below.",
            )
        )
    return findings


def _fit(result: ResultFolder) -> list[Finding]:
    low = result.census.get("low_temporal_coherence", 0.0)
    if low < 0.05:
        return []
    return [
        Finding(
            Level.WARNING if low >= _MUCH_LOW_COHERENCE else Level.NOTE,
            f"{format_percent(low)} of the valid pixels have a temporal coherence below {LOW_TEMPORAL_COHERENCE:g}: "
            "their interferograms contradict one another (noise or unwrapping errors). Leave them out by the flag 4 of "
            "the layer quality.",
        )
    ]


def _time(result: ResultFolder) -> list[Finding]:
    findings = []
    dates = result.dates
    if dates and len(dates) < _LEAST_DATES:
        findings.append(
            Finding(Level.WARNING, f"Only {len(dates)} dates: rates and their standard deviations mean little.")
        )
    if dates and (span := (dates[-1] - dates[0]).days) < 365:
        findings.append(
            Finding(
                Level.NOTE,
                f"The series spans {span} days, less than a year: seasonal motion and atmosphere cannot be told from "
                "a steady rate.",
            )
        )
    return findings


def _reference(result: ResultFolder) -> list[Finding]:
    told = result.summary.get("reference")
    moved = told.get("moved") if isinstance(told, dict) else None
    findings = [Finding(Level.NOTE, _sentence(str(note))) for note in (moved or {}).get("notes") or []]
    if result.reference is None and result.summary.get("reference"):
        findings.append(
            Finding(Level.NOTE, "The reference point lies outside the map or is not shown by any of its pixels.")
        )
    velocity, spread = result.preview("velocity"), result.preview("velocity_std")
    if velocity is None or not np.isfinite(velocity.values).any():
        return findings
    middle = float(np.nanmedian(velocity.values)) * 1e3
    usual = float(np.nanmedian(spread.values)) * 1e3 if spread is not None and np.isfinite(spread.values).any() else 0
    if abs(middle) > max(5.0, 3.0 * usual):
        way = "toward" if middle > 0 else "away from"
        findings.append(
            Finding(
                Level.NOTE,
                f"Half of the map moves by {abs(middle):.0f} mm/yr or more {way} the satellite, relative to the "
                "reference point. Make sure that the reference, and not the map, is the stable ground.",
            )
        )
    return findings


def _inputs(result: ResultFolder) -> list[Finding]:
    findings = []
    if result.inputs.get("has_coherence") is False:
        findings.append(
            Finding(Level.NOTE, "The stack has no coherence: no interferogram was weighted or judged by it.")
        )
    if result.grid.crs is None:
        findings.append(
            Finding(
                Level.NOTE,
                "The result is in radar coordinates, as the stack has no look-up table: maps are neither north-up nor "
                "to scale.",
            )
        )
    findings += [Finding(Level.NOTE, _sentence(str(note))) for note in result.inputs.get("notes") or []]
    return findings


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
