"""A whole Sentinel-1 burst at full resolution: the time and the memory of `insar coherence` and `insar damage`.

    python benchmarks/burst.py --folder SCRATCH [--rows 1500] [--cols 25000] [--memory-limit 400MB] [--repeats 1]

Simulates ten images of a burst, eight of them before an event, as topsStack leaves them (3 GB; the simulation is
measured, too), and runs whole processes: coherence of the nine pairs of neighbours, damage from the images at full
resolution, and damage with siblings in cells of 3 x 9 looks, where topsStack's interferograms are. Layers are geocoded
and written. Needs 12 GB of disk. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from processes import measure

from insar.simulate.event_parameters import EventParameters

BEFORE, AFTER = 8, 2


def run(folder: Path, rows: int, cols: int, memory_limit: str, repeats: int) -> dict[str, object]:
    parameters = EventParameters(rows=rows, cols=cols, acquisitions_before=BEFORE, acquisitions_after=AFTER)
    insar = [sys.executable, "-m", "insar"]
    images = folder / "event"
    simulate = [*insar, "simulate-event", "-o", str(images), "--rows", str(rows), "--cols", str(cols), "--quiet"]
    simulate += ["--acquisitions-before", str(BEFORE), "--acquisitions-after", str(AFTER)]
    figures: dict[str, object] = {
        "pixels": rows * cols,
        "images": BEFORE + AFTER,
        "memory_limit": memory_limit,
        "machine": {"processors": os.cpu_count(), "python": platform.python_version()},
        "simulate": measure(simulate, folder),
    }
    slc, result = images / "merged" / "SLC", folder / "result"
    event = ["--event", f"{parameters.event_date:%Y%m%d}"]
    common = ["-o", str(result), "--quiet", "--overwrite", "--memory-limit", memory_limit]
    cases = {
        "coherence, full resolution": ["coherence", str(slc), "--no-sibling"],
        "damage, full resolution": ["damage", str(slc), *event, "--no-sibling"],
        "damage with siblings, 3 x 9 looks": ["damage", str(slc), *event, "--looks", "3", "9"],
    }
    for name, arguments in cases.items():
        measured = []
        for _ in range(repeats):
            shutil.rmtree(result, ignore_errors=True)
            measured.append(measure([*insar, *arguments, *common], folder))
        figures[name] = {
            key: statistics.median(each[key] for each in measured)
            for key in ("seconds", "processor_seconds", "peak_mb")
        }
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="scratch space")
    parser.add_argument("--rows", type=int, default=1500)
    parser.add_argument("--cols", type=int, default=25_000)
    parser.add_argument("--memory-limit", default="400MB")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        figures = run(Path(folder), given.rows, given.cols, given.memory_limit, given.repeats)
    text = json.dumps(figures, indent=2)
    print(text)
    if given.json is not None:
        given.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
