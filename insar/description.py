"""What a stack holds, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import date
from typing import Any

import numpy as np

from insar.grid import Grid
from insar.network import connected_subsets
from insar.slc import SlcStack
from insar.stack import Acquisition, Geometry, Stack


def describe_stack(stack: Stack) -> dict[str, Any]:
    """Facts of a stack as plain values, from its headers alone."""
    baselines = stack.perpendicular_baselines_m
    known = np.isfinite(baselines)
    optional = {
        "unwrapped phase": stack.unwrapped_phase,
        "coherence": stack.coherence,
        "connected components": stack.connected_components,
    }
    holds, missing = _geometry_facts(stack.geometry, in_radar_coordinates=stack.in_radar_coordinates)
    return {
        "path": str(stack.path),
        "processor": stack.processor,
        "dates": _day_names(stack.dates),
        "pairs": [
            {
                "name": pair.name,
                "temporal_baseline_days": pair.temporal_baseline_days,
                "perpendicular_baseline_m": None if not is_known else round(float(baseline), 2),
            }
            for pair, baseline, is_known in zip(stack.pairs, baselines, known, strict=True)
        ],
        "subsets": len(connected_subsets(stack.pairs)),
        "grid": _grid_facts(stack.grid),
        "wavelength_m": _known_number(stack.wavelength_m),
        "units": {"unwrapped phase": "rad, positive away from the satellite", "coherence": "1", "baselines": "m"},
        "acquisition": _known_facts(stack.acquisition),
        "holds": [name for name, cube in optional.items() if cube is not None] + holds,
        "missing": [name for name, cube in optional.items() if cube is None]
        + missing
        + _unknown_names(stack.acquisition, stack.wavelength_m)
        + ([] if known.all() else [f"perpendicular baseline of {int((~known).sum())} pairs"]),
        "notes": list(stack.notes),
    }


def describe_images(slc: SlcStack) -> dict[str, Any]:
    """Facts of coregistered complex images as plain values, from their headers alone."""
    holds, missing = _geometry_facts(slc.geometry, in_radar_coordinates=slc.in_radar_coordinates)
    return {
        "path": str(slc.path),
        "processor": slc.processor,
        "dates": _day_names(slc.dates),
        "polarisation": slc.polarisation,
        "grid": _grid_facts(slc.grid),
        "geometry_looks": list(slc.geometry_looks),
        "wavelength_m": _known_number(slc.wavelength_m),
        "units": {"images": "complex, as stored"},
        "acquisition": _known_facts(slc.acquisition),
        "holds": ["complex images", *holds],
        "missing": [*missing, *_unknown_names(slc.acquisition, slc.wavelength_m)],
        "notes": list(slc.notes),
    }


def render_description(description: dict[str, Any]) -> str:
    """The same as text."""
    dates, grid = description["dates"], description["grid"]
    of_pairs = "pairs" in description
    lines = [
        f"{'Stack' if of_pairs else 'Images':<16} {description['path']}",
        f"Processor        {description['processor']}",
        f"Dates            {len(dates)}: {dates[0]} to {dates[-1]}",
        *(_pair_lines(description) if of_pairs else _image_lines(description)),
        f"Grid             {grid['rows']} rows x {grid['cols']} columns, {grid['coordinates']} coordinates",
    ]
    if grid["crs"] is not None:
        bounds = " ".join(f"{edge:.6g}" for edge in grid["bounds"])
        lines += [
            f"                 {grid['crs']}, west south east north = {bounds}",
            f"                 pixel {grid['resolution'][0]:.6g} x {grid['resolution'][1]:.6g}",
        ]
    wavelength = description["wavelength_m"]
    lines += [
        "Wavelength       " + ("unknown" if wavelength is None else f"{wavelength * 100:.4f} cm"),
        "Sensor and pass  "
        + (", ".join(f"{name} {_short(value)}" for name, value in description["acquisition"].items()) or "unknown"),
        f"Holds            {', '.join(description['holds'])}",
        f"Missing          {', '.join(description['missing']) or 'nothing'}",
        "Units            " + "; ".join(f"{name} in {unit}" for name, unit in description["units"].items()),
    ]
    lines += [f"Note             {note}" for note in description["notes"]]
    return "\n".join(lines)


def _pair_lines(description: dict[str, Any]) -> list[str]:
    pairs = description["pairs"]
    spans = [pair["temporal_baseline_days"] for pair in pairs]
    perps = [pair["perpendicular_baseline_m"] for pair in pairs if pair["perpendicular_baseline_m"] is not None]
    return [
        f"Interferograms   {len(pairs)}: {min(spans)} to {max(spans)} days"
        + (f", perpendicular baselines {min(perps):.0f} to {max(perps):.0f} m" if perps else ""),
        f"Network          {_count(description['subsets'], 'connected subset')}",
    ]


def _image_lines(description: dict[str, Any]) -> list[str]:
    rows, cols = description["geometry_looks"]
    looks = "full resolution" if (rows, cols) == (1, 1) else f"{rows} x {cols} looks (rows, columns)"
    return [
        f"Polarisation     {description['polarisation'] or 'unknown'}",
        f"Geometry at      {looks}",
    ]


def _day_names(days: Sequence[date]) -> list[str]:
    return [f"{day:%Y-%m-%d}" for day in days]


def _known_number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _known_facts(acquisition: Acquisition) -> dict[str, Any]:
    return {name: value for name, value in asdict(acquisition).items() if value is not None}


def _unknown_names(acquisition: Acquisition, wavelength_m: float) -> list[str]:
    unknown = [name for name, value in asdict(acquisition).items() if value is None]
    return unknown if math.isfinite(wavelength_m) else ["wavelength", *unknown]


def _geometry_facts(geometry: Geometry, *, in_radar_coordinates: bool) -> tuple[list[str], list[str]]:
    """What of the geometry is there, and what is not though it would be of use."""
    names = [entry.name for entry in fields(geometry)]
    holds = [name for name in names if getattr(geometry, name) is not None]
    needless = () if in_radar_coordinates else ("latitude", "longitude")
    return holds, [name for name in names if name not in (*holds, *needless)]


def _grid_facts(grid: Grid) -> dict[str, Any]:
    in_radar_coordinates = grid.crs is None
    return {
        "rows": grid.rows,
        "cols": grid.cols,
        "crs": grid.crs,
        "coordinates": "radar (azimuth, range)" if in_radar_coordinates else "map",
        "bounds": None if in_radar_coordinates else list(grid.bounds),
        "resolution": None if in_radar_coordinates else list(grid.resolution),
    }


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
