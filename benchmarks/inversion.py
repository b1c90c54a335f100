"""Network inversion as a whole process: `insar invert` against MintPy's `ifgram_inversion.py` on the same file.

    python benchmarks/inversion.py [--pixels 200000 1000000] [--mintpy DIR_OF_MINTPY_COMMANDS] [--folder SCRATCH]

The stack has 60 dates and 202 interferograms. One case is weighted by variance with 10 % of the samples missing, the
other unweighted and complete. Commands run in turn, ours several times around each of the peer's (whose run can take
ten minutes), on warm files; the figures are medians, the ratio is that of the medians. Without a peer it says so and
prints our figures.
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
from datetime import date, timedelta
from pathlib import Path

import h5py
import numpy as np
from processes import measure

DATES = 60
PAIRS = 202
LOOKS = (20, 4)
"""Looks in range and azimuth."""

REFERENCE = (5, 7)
CASES = {
    "variance weights, 10 % gaps": ("variance", "var", 0.1),
    "unweighted, no gaps": ("none", "no", 0.0),
}


def network(count: int = PAIRS) -> tuple[list[date], list[tuple[int, int]]]:
    """Dates every 12 days, each paired with its next three, and some with a fourth, so many in all."""
    dates = [date(2018, 1, 1) + timedelta(days=12 * index) for index in range(DATES)]
    pairs = [(one, one + step) for step in (1, 2, 3, 4) for one in range(DATES - step)][:count]
    return dates, sorted(pairs)


def stack_attributes(rows: int, cols: int, dates: list[date]) -> dict[str, str]:
    """What MintPy and this package need to know of the stack."""
    attributes: dict[str, object] = {
        "FILE_TYPE": "ifgramStack",
        "LENGTH": rows,
        "WIDTH": cols,
        "X_FIRST": 10.0,
        "Y_FIRST": 45.0,
        "X_STEP": 0.001,
        "Y_STEP": -0.001,
        "X_UNIT": "degrees",
        "Y_UNIT": "degrees",
        "WAVELENGTH": 0.0554657646,
        "ORBIT_DIRECTION": "ASCENDING",
        "PROCESSOR": "isce",
        "PLATFORM": "Sen",
        "RLOOKS": LOOKS[0],
        "ALOOKS": LOOKS[1],
        "REF_Y": REFERENCE[0],
        "REF_X": REFERENCE[1],
        "START_DATE": f"{dates[0]:%Y%m%d}",
        "END_DATE": f"{dates[-1]:%Y%m%d}",
        "UNIT": "radian",
    }
    return {name: str(value) for name, value in attributes.items()}


def write_stack(path: Path, rows: int, cols: int, gaps: float) -> None:
    """Write an `ifgramStack.h5` as MintPy does: chunked by h5py's own guess, uncompressed, 0 for no data."""
    dates, pairs = network()
    random = np.random.default_rng(0)
    with h5py.File(path, "w") as sink:
        sink.attrs.update(stack_attributes(rows, cols, dates))
        sink["date"] = np.array(
            [[f"{dates[one]:%Y%m%d}".encode(), f"{dates[two]:%Y%m%d}".encode()] for one, two in pairs], dtype="S8"
        )
        sink["bperp"] = np.zeros(len(pairs), dtype=np.float32)
        sink["dropIfgram"] = np.ones(len(pairs), dtype=bool)
        shape = (len(pairs), rows, cols)
        phase = sink.create_dataset("unwrapPhase", shape, np.float32, chunks=True)
        coherence = sink.create_dataset("coherence", shape, np.float32, chunks=True)
        height = 64 * phase.chunks[1]
        for start in range(0, rows, height):
            stop = min(start + height, rows)
            for first in range(start, stop, phase.chunks[1]):
                window = slice(first, min(first + phase.chunks[1], stop))
                size = (window.stop - window.start, cols)
                series = np.cumsum(random.normal(0, 0.7, (DATES, *size)).astype(np.float32), axis=0)
                block = np.empty((len(pairs), *size), np.float32)
                for index, (one, two) in enumerate(pairs):
                    block[index] = series[two] - series[one]
                block += random.normal(0, 0.3, block.shape).astype(np.float32)
                if gaps:
                    missing = random.random(block.shape, dtype=np.float32) < gaps
                    missing[:, np.arange(window.start, window.stop) <= REFERENCE[0]] = False
                    block[missing] = 0.0
                phase[:, window] = block
                coherence[:, window] = random.uniform(0.2, 0.95, block.shape).astype(np.float32)


def ours(stack: Path, folder: Path, weights: str) -> dict[str, float]:
    output = folder / "ours"
    shutil.rmtree(output, ignore_errors=True)
    command = [sys.executable, "-m", "insar", "invert", str(stack), "-o", str(output), "--weights", weights, "--quiet"]
    return measure([*command, "--reference-rowcol", *map(str, REFERENCE)], folder)


def mintpy(stack: Path, folder: Path, weights: str, commands: Path) -> dict[str, float]:
    work = folder / "mintpy"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    # Not in place: MintPy writes attributes into its input.
    command = [str(commands / "ifgram_inversion.py"), str(stack), "-w", weights, "-t", "none.txt", "--ram", "4"]
    (work / "none.txt").touch()
    return measure(command, work)


def typical_difference(folder: Path, cols: int) -> float:
    """99.9th percentile of the difference of the two time series in metres, over the first rows.

    Not the largest: MintPy takes a phase that equals the reference's for no data. With variance weights it tabulates
    the variance in steps of 0.005 and holds coherence below 0.95, so that the weights differ a little.
    """
    with h5py.File(folder / "ours" / "timeseries.h5") as one, h5py.File(folder / "mintpy" / "timeseries.h5") as two:
        first, second = one["timeseries"][:, :64, :cols], two["timeseries"][:, :64, :cols]
    return float(np.nanpercentile(np.abs(first - np.where(second == 0, first, second)), 99.9))


def run_case(name: str, pixels: int, folder: Path, commands: Path | None, repeats: int) -> dict[str, object]:
    ours_weights, peer_weights, gaps = CASES[name]
    cols = 1000
    stack = folder / "ifgramStack.h5"
    write_stack(stack, pixels // cols, cols, gaps)
    os.sync()  # writing the stack out must not go on while it is read
    ours(stack, folder, ours_weights)  # compiles kernels, warms the file
    mine = [ours(stack, folder, ours_weights) for _ in range(repeats)]
    theirs = []
    difference = None
    if commands is not None:
        theirs.append(mintpy(stack, folder, peer_weights, commands))
        difference = typical_difference(folder, cols)
        mine += [ours(stack, folder, ours_weights) for _ in range(repeats)]
    result: dict[str, object] = {
        "case": name,
        "pixels": pixels,
        "ours_seconds": round(statistics.median(run["seconds"] for run in mine), 2),
        "ours_runs": [round(run["seconds"], 2) for run in mine],
        "ours_peak_mb": round(max(run["peak_mb"] for run in mine)),
    }
    if theirs:
        seconds = statistics.median(run["seconds"] for run in theirs)
        result |= {
            "mintpy_seconds": round(seconds, 1),
            "mintpy_peak_mb": round(max(run["peak_mb"] for run in theirs)),
            "ratio": round(seconds / statistics.median(run["seconds"] for run in mine), 1),
            "difference_percentile_99.9_m": difference,
        }
    stack.unlink()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pixels", type=int, nargs="+", default=[200_000, 1_000_000])
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--mintpy", type=Path, default=os.environ.get("MINTPY_BIN"))
    parser.add_argument("--folder", type=Path, help="scratch space, 2 GB")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    commands = None if options.mintpy is None else Path(options.mintpy)
    if commands is None or not (commands / "ifgram_inversion.py").exists():
        commands = None
        print("MintPy is not here (pip install mintpy in its own environment, then --mintpy): our figures alone.")
    results = []
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        for name in options.cases:
            for pixels in options.pixels:
                results.append(run_case(name, pixels, Path(scratch), commands, options.repeats))
                print(json.dumps(results[-1]), flush=True)
    if options.json:
        facts = {"processors": os.cpu_count(), "python": platform.python_version(), "results": results}
        options.json.write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
