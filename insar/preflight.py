"""What can be known of a run before it starts: whether the input is sound, and what the work will take."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.blocks import WORKING_COPIES, ThreadRunner
from insar.config import Settings, render_settings
from insar.description import describe_stack, render_description
from insar.errors import OptionError
from insar.network import connected_subsets
from insar.planning import Plan, plan_run
from insar.preparation import prepare_chain
from insar.stack import Pair
from insar.survey import survey_stack

SUSPECT_GAIN = 3.0
"""A pair's sign is suspect where turning it makes its loops close so many times better."""

REST_OF_PROCESS_BYTES = 250_000_000
"""Resident memory of the interpreter and the libraries, measured."""


def check_stack(settings: Settings) -> dict[str, Any]:
    """Open, plan, look at a lattice of pixels and time one block; nothing is written.

    Raises
    ------
    InsarError
        If the input or the options are wrong.
    """
    plan = plan_run(settings)
    survey = survey_stack(plan.stack)
    phase = survey.required_phase(plan.stack)
    valid = np.isfinite(phase)
    share = valid.mean(axis=(1, 2))
    return {
        "description": describe_stack(plan.full_stack),
        "network": {
            "used": len(plan.stack.pairs),
            "dropped": [
                {"name": decision.pair.name, "reason": decision.reason}
                for decision in plan.network.decisions
                if not decision.kept
            ],
            "subsets": [[f"{day:%Y-%m-%d}" for day in subset] for subset in plan.network.subsets],
            "weakest_links": [pair.name for pair in plan.network.weakest_links],
        },
        "reference": {
            "row": plan.reference.pixel.row,
            "col": plan.reference.pixel.col,
            "how": plan.reference.how,
            "score": plan.reference.score,
        },
        "no_data": {
            "pixels_looked_at": int(valid[0].size),
            "pixels_with_every_pair": float(valid.all(axis=0).mean()),
            "pixels_without_any_pair": float((~valid.any(axis=0)).mean()),
            "emptiest_pairs": [
                {"name": plan.stack.pairs[index].name, "valid": float(share[index])}
                for index in np.argsort(share, kind="stable")[:3]
            ],
        },
        "signs": _suspect_signs(plan.stack.pairs, phase),
        "estimate": _estimate(plan),
    }


def _suspect_signs(pairs: tuple[Pair, ...], phase: NDArray[np.float32]) -> dict[str, Any]:
    """Pairs whose loops would close much better with their sign turned."""
    index = {pair: place for place, pair in enumerate(pairs)}
    as_is: dict[int, list[float]] = {}
    turned: dict[int, list[float]] = {}
    for first, second in itertools.combinations(range(len(pairs)), 2):
        one, two = pairs[first], pairs[second]
        if one.secondary != two.reference:
            continue
        third = index.get(Pair(one.reference, two.secondary))
        if third is None:
            continue
        sides = (phase[first], phase[second], -phase[third])
        for place, side in zip((first, second, third), sides, strict=True):
            as_is.setdefault(place, []).append(_spread(sum(sides)))
            turned.setdefault(place, []).append(_spread(sum(sides) - 2 * side))
    suspects = [
        pairs[place].name
        for place in sorted(as_is)
        if np.nanmedian(as_is[place]) > SUSPECT_GAIN * np.nanmedian(turned[place])
    ]
    closures = [value for values in as_is.values() for value in values if np.isfinite(value)]
    return {
        "loops": sum(map(len, as_is.values())) // 3,
        "median_closure_rad": float(np.median(closures)) if closures else None,
        "suspect_pairs": suspects,
    }


def _spread(loop: NDArray[np.float32]) -> float:
    """Median absolute departure of a loop from its median, which whole cycles of the scene do not change."""
    known = loop[np.isfinite(loop)]
    return float(np.median(np.abs(known - np.median(known)))) if known.size else float("nan")


def _estimate(plan: Plan) -> dict[str, float | int]:
    """Memory from the block plan, time from one block inverted twice: the first compiles or loads the kernels."""
    chain = prepare_chain(plan, with_rate=True)
    rows = plan.stack.shape[0]
    runner = ThreadRunner(plan.workers, plan.settings.memory_bytes)
    blocks = runner.row_blocks(rows, chain.bytes_per_row, rows_per_chunk=chain.rows_per_chunk)
    sample = blocks[len(blocks) // 2]
    chain(slice(sample.start, sample.start + 1))
    begun = time.perf_counter()
    chain(sample)
    per_row = (time.perf_counter() - begun) / (sample.stop - sample.start)
    height = max(block.stop - block.start for block in blocks)
    return {
        "blocks": len(blocks),
        "rows_per_block": height,
        "workers": plan.workers,
        "memory_bytes": height * chain.bytes_per_row * WORKING_COPIES * (plan.workers + 1) + REST_OF_PROCESS_BYTES,
        "inversion_seconds": per_row * rows / plan.workers,
        "bytes_to_read": rows * chain.bytes_per_row,
    }


def render_check(report: dict[str, Any]) -> str:
    """The report as text, its warnings last."""
    network, no_data, signs, estimate = (report[name] for name in ("network", "no_data", "signs", "estimate"))
    reference = report["reference"]
    score = "" if reference["score"] is None else f", score {reference['score']:.2f}"
    lines = [
        render_description(report["description"]),
        "",
        f"Network          {network['used']} interferograms used, {len(network['dropped'])} dropped",
        *(f"                 {entry['name']}: {entry['reason']}" for entry in network["dropped"]),
        f"Weakest links    {', '.join(network['weakest_links']) or 'none: every pair is on a loop'}",
        f"Reference        row {reference['row']}, column {reference['col']} ({reference['how']}{score})",
        f"Data             {no_data['pixels_with_every_pair']:.1%} of the pixels have every pair, "
        f"{no_data['pixels_without_any_pair']:.1%} have none",
        "                 fewest data: "
        + ", ".join(f"{entry['name']} {entry['valid']:.1%}" for entry in no_data["emptiest_pairs"]),
        f"Loops            {signs['loops']}"
        + (
            ""
            if signs["median_closure_rad"] is None
            else f", median departure from closure {signs['median_closure_rad']:.3f} rad"
        ),
        f"Estimate         {estimate['inversion_seconds']:.1f} s to invert with {estimate['workers']} workers, "
        f"{estimate['memory_bytes'] / 1e9:.2f} GB of memory, {estimate['bytes_to_read'] / 1e9:.2f} GB to read, "
        f"{estimate['blocks']} blocks of {estimate['rows_per_block']} rows",
    ]
    if len(network["subsets"]) > 1:
        lines.append(
            f"Warning          the network falls into {len(network['subsets'])} subsets, which minimum norm alone "
            "ties together: " + "; ".join(f"{subset[0]} to {subset[-1]}" for subset in network["subsets"])
        )
    if signs["suspect_pairs"]:
        lines.append(f"Warning          the sign of these pairs looks turned: {', '.join(signs['suspect_pairs'])}")
    return "\n".join(lines)


def write_configuration(settings: Settings, path: Path, *, overwrite: bool = False) -> Path:
    """Write a commented configuration with what was detected in the stack.

    Raises
    ------
    OptionError
        If the file exists and is not to be replaced.
    """
    if path.exists() and not overwrite:
        raise OptionError(
            f"--output {path}",
            required="a new file",
            found="an existing one",
            remedy="Add --overwrite or choose another",
        )
    plan = plan_run(settings)
    stack, pixel = plan.full_stack, plan.reference.pixel
    spans = [pair.temporal_baseline_days for pair in stack.pairs]
    perps = np.abs(stack.perpendicular_baselines_m[np.isfinite(stack.perpendicular_baselines_m)])
    looks = stack.acquisition.looks
    comments = {
        "processor": f"Detected {stack.processor}: {len(stack.pairs)} interferograms of {len(stack.dates)} dates, "
        f"{stack.dates[0]} to {stack.dates[-1]}, {stack.shape[0]} x {stack.shape[1]} pixels, "
        f"wavelength {stack.wavelength_m} m.",
        "max_temporal_days": f"The stack has {min(spans)} to {max(spans)} days.",
        "max_perp_m": f"The stack has up to {perps.max():.0f} m." if perps.size else "The stack does not say.",
        "network": f"All pairs form {len(connected_subsets(stack.pairs))} connected subset(s).",
        "reference": f"auto chooses row {pixel.row}, column {pixel.col} of the stack."
        if plan.reference.how == "auto"
        else "",
        "weights": "The stack has no coherence: none alone is possible."
        if stack.coherence is None
        else "The stack has coherence.",
        "looks": "The stack does not say." if looks is None else f"The stack says {looks}.",
        "crs": "The stack is in radar coordinates."
        if stack.in_radar_coordinates
        else f"The stack is in {stack.grid.crs}.",
    }
    resolved = settings.with_absolute_paths.model_copy(update={"processor": stack.processor})
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(render_settings(resolved, comments), encoding="utf-8")
    partial.replace(path)
    return path
