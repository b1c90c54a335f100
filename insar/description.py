"""What a stack holds, in words."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

import numpy as np

from insar.network import connected_subsets
from insar.stack import Stack


def describe_stack(stack: Stack) -> dict[str, Any]:
    """Facts of a stack as plain values, from its headers alone."""
    baselines = stack.perpendicular_baselines_m
    known = np.isfinite(baselines)
    geometry = [entry.name for entry in fields(stack.geometry) if getattr(stack.geometry, entry.name) is not None]
    needless = () if stack.in_radar_coordinates else ("latitude", "longitude")
    missing = [entry.name for entry in fields(stack.geometry) if entry.name not in (*geometry, *needless)]
    optional = {
        "unwrapped phase": stack.unwrapped_phase,
        "coherence": stack.coherence,
        "connected components": stack.connected_components,
    }
    return {
        "path": str(stack.path),
        "processor": stack.processor,
        "dates": [f"{day:%Y-%m-%d}" for day in stack.dates],
        "pairs": [
            {
                "name": pair.name,
                "temporal_baseline_days": pair.temporal_baseline_days,
                "perpendicular_baseline_m": None if not is_known else round(float(baseline), 2),
            }
            for pair, baseline, is_known in zip(stack.pairs, baselines, known, strict=True)
        ],
        "subsets": len(connected_subsets(stack.pairs)),
        "grid": {
            "rows": stack.grid.rows,
            "cols": stack.grid.cols,
            "crs": stack.grid.crs,
            "coordinates": "radar (azimuth, range)" if stack.in_radar_coordinates else "map",
            "bounds": None if stack.in_radar_coordinates else list(stack.grid.bounds),
            "resolution": None if stack.in_radar_coordinates else list(stack.grid.resolution),
        },
        "wavelength_m": stack.wavelength_m,
        "units": {"unwrapped phase": "rad, positive away from the satellite", "coherence": "1", "baselines": "m"},
        "acquisition": {name: value for name, value in asdict(stack.acquisition).items() if value is not None},
        "holds": [name for name, cube in optional.items() if cube is not None] + geometry,
        "missing": [name for name, cube in optional.items() if cube is None]
        + missing
        + [name for name, value in asdict(stack.acquisition).items() if value is None]
        + ([] if known.all() else [f"perpendicular baseline of {int((~known).sum())} pairs"]),
        "notes": list(stack.notes),
    }


def render_description(description: dict[str, Any]) -> str:
    """The same as text."""
    dates, pairs, grid = description["dates"], description["pairs"], description["grid"]
    spans = [pair["temporal_baseline_days"] for pair in pairs]
    perps = [pair["perpendicular_baseline_m"] for pair in pairs if pair["perpendicular_baseline_m"] is not None]
    lines = [
        f"Stack            {description['path']}",
        f"Processor        {description['processor']}",
        f"Dates            {len(dates)}: {dates[0]} to {dates[-1]}",
        f"Interferograms   {len(pairs)}: {min(spans)} to {max(spans)} days"
        + (f", perpendicular baselines {min(perps):.0f} to {max(perps):.0f} m" if perps else ""),
        f"Network          {_count(description['subsets'], 'connected subset')}",
        f"Grid             {grid['rows']} rows x {grid['cols']} columns, {grid['coordinates']} coordinates",
    ]
    if grid["crs"] is not None:
        bounds = " ".join(f"{edge:.6g}" for edge in grid["bounds"])
        lines += [
            f"                 {grid['crs']}, west south east north = {bounds}",
            f"                 pixel {grid['resolution'][0]:.6g} x {grid['resolution'][1]:.6g}",
        ]
    lines += [
        f"Wavelength       {description['wavelength_m'] * 100:.4f} cm",
        "Sensor and pass  "
        + (", ".join(f"{name} {_short(value)}" for name, value in description["acquisition"].items()) or "unknown"),
        f"Holds            {', '.join(description['holds'])}",
        f"Missing          {', '.join(description['missing']) or 'nothing'}",
        "Units            " + "; ".join(f"{name} in {unit}" for name, unit in description["units"].items()),
    ]
    lines += [f"Note             {note}" for note in description["notes"]]
    return "\n".join(lines)


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
