"""The whole chain as one process: radar coordinates to a report, one million pixels, 202 interferograms.

    python benchmarks/chain.py [--folder SCRATCH] [--stack FOLDER] [--options "..."] [--repeats 3]

`insar simulate` writes the stack as ISCE2's topsStack leaves it: terrain, moving slopes, troposphere, ramps, height
errors, decorrelation, gaps and unwrapping errors. `insar run` corrects unwrapping by loop closure, inverts, subtracts
ramps, fits height errors and rates, places everything on a UTM map and writes layers, series and report. Warm files,
compiled kernels. Prints JSON: seconds of the process and of its steps as its manifest states them, the slowest step,
and the most memory. `--stack` names a folder that keeps the stack for the next time.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from processes import measure

SCENE = {
    "acquisitions": 53,
    "connections": 4,
    "ramp-rms-m": 0.005,
    "unwrapping-error-fraction": 0.1,
    "creeping-slopes": 40,
}
"""Of the simulator; 53 dates with 4 connections are 202 interferograms."""

OPTIONS = (
    "--weights variance --unwrap-correction closure --dem-error --deramp linear --troposphere height "
    "--crs EPSG:32648 --resolution 80"
)


def write_stack(stack: Path, side: int, folder: Path) -> float:
    """Simulate the stack, unless it is there; the seconds it took."""
    if stack.exists():
        return 0.0
    partial = stack.with_name(f"{stack.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    scene = {"rows": side, "cols": side, **SCENE}
    command = [sys.executable, "-m", "insar", "simulate", "-o", str(partial), "--layout", "isce-tops", "--quiet"]
    command += [word for name, value in scene.items() for word in (f"--{name}", str(value))]
    seconds = measure(command, folder)["seconds"]
    partial.rename(stack)
    return seconds


def run(stack: Path, folder: Path, options: str, repeats: int) -> dict[str, object]:
    result = folder / "result"
    command = [sys.executable, "-m", "insar", "run", str(stack), "-o", str(result), "--quiet", *shlex.split(options)]
    runs = []
    for _ in range(repeats + 1):
        shutil.rmtree(result, ignore_errors=True)
        os.sync()
        measured = measure(command, folder)
        manifest = json.loads((result / "manifest.json").read_text())
        summary = manifest["summary"]
        runs.append({**measured, "steps": summary["timing_seconds"], "slowest": summary["slowest_step"]})
    first, *counted = runs  # the first compiles kernels and reads the files from the disk
    middle = sorted(counted, key=lambda each: each["seconds"])[len(counted) // 2]
    return {
        "pixels": manifest["inputs"]["rows"] * manifest["inputs"]["cols"],
        "pairs": len(manifest["inputs"]["pairs"]),
        "map_pixels": manifest["grid"]["rows"] * manifest["grid"]["cols"],
        "command": " ".join(["insar run STACK -o RESULT", options]),
        "first_seconds": round(first["seconds"], 1),
        "seconds": round(statistics.median(each["seconds"] for each in counted), 2),
        "all_seconds": [round(each["seconds"], 2) for each in counted],
        "processor_seconds": round(middle["processor_seconds"], 1),
        "step_seconds": middle["steps"],
        "slowest_step": middle["slowest"],
        "peak_mb": round(max(each["peak_mb"] for each in counted)),
        "result_bytes": sum(path.stat().st_size for path in result.rglob("*") if path.is_file()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="scratch space, 4 GB")
    parser.add_argument("--stack", type=Path, help="where the stack is, or is to be kept")
    parser.add_argument("--side", type=int, default=1200, help="rows and columns of the map; the radar grid has fewer")
    parser.add_argument("--options", default=OPTIONS, help=f"of `insar run`, by default {OPTIONS}")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        folder = Path(scratch)
        stack = folder / "stack" if options.stack is None else options.stack.resolve()
        facts = {"processors": os.cpu_count(), "simulate_seconds": round(write_stack(stack, options.side, folder), 1)}
        facts |= {
            "stack_bytes": sum(path.stat().st_size for path in stack.rglob("*") if path.is_file()),
            **run(stack, folder, options.options, options.repeats),
        }
    text = json.dumps(facts, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
