"""A stack larger than the memory it may use: is the inversion slower than reading the stack and writing the result?

    python benchmarks/large_stack.py --folder SCRATCH [--gigabytes 10] [--memory-limit 2GB] [--repeats 3]

Writes an `ifgramStack.h5` of 200 interferograms (6.3 million pixels for 10 GB), in chunks of all pairs and 64 x 64
pixels. `insar invert --weights variance` runs as a whole process, in turn with a process that reads the same blocks
through the same reader, computes nothing, and writes a series and layers of the same size. Both with the stack not in
memory (cold) and in memory as far as it fits (warm). Prints JSON; `ratio` is that of the medians.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
from inversion import DATES, REFERENCE, network, stack_attributes
from numpy.typing import NDArray
from processes import forget, measure

PAIRS = 200
CHUNK = 64
"""Rows and columns of a chunk."""

COLS = 39 * CHUNK
GAPS = 0.1
PATTERNS = 8
"""Different chunks that are drawn; the others are turned and shifted copies, which are written as fast as the disk."""


def draw_chunk(
    random: np.random.Generator, pairs: list[tuple[int, int]]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Phase and coherence (pair, row, col) of one chunk; 0 is no data."""
    series = np.cumsum(random.normal(0, 0.7, (DATES, CHUNK, CHUNK)).astype(np.float32), axis=0)
    phase = np.stack([series[two] - series[one] for one, two in pairs])
    phase += random.normal(0, 0.3, phase.shape).astype(np.float32)
    phase[random.random(phase.shape, dtype=np.float32) < GAPS] = 0.0
    return phase, random.uniform(0.2, 0.95, phase.shape).astype(np.float32)


def write_stack(path: Path, rows: int) -> None:
    dates, pairs = network(PAIRS)
    random = np.random.default_rng(0)
    patterns = [draw_chunk(random, pairs) for _ in range(PATTERNS)]
    with h5py.File(path, "w") as sink:
        sink.attrs.update(stack_attributes(rows, COLS, dates))
        sink["date"] = np.array(
            [[f"{dates[one]:%Y%m%d}".encode(), f"{dates[two]:%Y%m%d}".encode()] for one, two in pairs], dtype="S8"
        )
        sink["bperp"] = np.zeros(len(pairs), dtype=np.float32)
        shape, chunk = (len(pairs), rows, COLS), (len(pairs), CHUNK, CHUNK)
        cubes = [sink.create_dataset(name, shape, np.float32, chunks=chunk) for name in ("unwrapPhase", "coherence")]
        for number, (row, col) in enumerate(np.ndindex(rows // CHUNK, COLS // CHUNK)):
            shift = int(random.integers(CHUNK))
            for cube, values in zip(cubes, patterns[number % PATTERNS], strict=True):
                moved = np.roll(values, (shift, number % CHUNK), axis=(1, 2))
                if number == 0:
                    # The reference point has every interferogram.
                    at = moved[:, REFERENCE[0], REFERENCE[1]]
                    at[at == 0.0] = 0.1
                cube.id.write_direct_chunk((0, row * CHUNK, col * CHUNK), np.ascontiguousarray(moved).tobytes())


def read_and_write(stack_path: Path, output: Path, model: Path, memory_limit: str) -> None:
    """Read every block of the stack and write what the result in `model` has: as many bytes, of no meaning."""
    from insar.blocks import ThreadRunner, parse_bytes
    from insar.readers import open_stack
    from insar.workspace import FlatArray

    stack = open_stack(stack_path)
    phase, coherence = stack.require_phase(), stack.coherence
    if coherence is None:
        raise ValueError("the stack of this benchmark has coherence")
    rows, cols = stack.shape
    dates = len(stack.dates)
    output.mkdir()
    series = FlatArray(output / "timeseries.h5", (dates, rows, cols), np.float32)
    runner = ThreadRunner(memory_limit=parse_bytes(memory_limit))
    bytes_per_row = 4 * cols * (2 * len(stack.pairs) + dates)
    blocks = runner.row_blocks(rows, bytes_per_row, rows_per_chunk=int(getattr(phase.source, "rows_per_chunk", 1)))

    def read(block: slice) -> NDArray[np.float32]:
        samples = phase.read(block, slice(None))
        coherence.read(block, slice(None))
        return samples[:dates]

    runner.map(blocks, read, series.write_rows)
    series.close()
    for layer in (model / "layers").iterdir():
        (output / layer.name).write_bytes(os.urandom(layer.stat().st_size))


def run(folder: Path, gigabytes: float, memory_limit: str, repeats: int) -> dict[str, object]:
    stack, result, copy = folder / "ifgramStack.h5", folder / "result", folder / "copy"
    rows = max(1, round(gigabytes * 1e9 / (PAIRS * 8 * COLS * CHUNK))) * CHUNK
    write_stack(stack, rows)
    forget([stack])
    invert = [sys.executable, "-m", "insar", "invert", str(stack), "-o", str(result), "--weights", "variance"]
    invert += ["--memory-limit", memory_limit, "--quiet", "--reference-rowcol", *map(str, REFERENCE)]
    plain = [sys.executable, __file__, "--copy", str(stack), str(copy), str(result), "--memory-limit", memory_limit]
    figures: dict[str, object] = {
        "pixels": rows * COLS,
        "pairs": PAIRS,
        "stack_bytes": stack.stat().st_size,
        "memory_limit": memory_limit,
    }
    measure(invert, folder)  # compiles kernels, and says how large the result is
    figures["result_bytes"] = sum(path.stat().st_size for path in result.rglob("*") if path.is_file())
    for cache in ("cold", "warm"):
        runs: dict[str, list[dict[str, float]]] = {"invert": [], "copy": []}
        for name in ["invert", "copy"] * repeats:
            # What the run before wrote must not go to the disk while this one reads.
            shutil.rmtree(copy, ignore_errors=True)
            if name == "invert":
                shutil.rmtree(result)
            os.sync()
            if cache == "cold":
                forget([stack])
            runs[name].append(measure(invert if name == "invert" else plain, folder))
        for name, measured in runs.items():
            figures[f"{cache}_{name}_seconds"] = [round(each["seconds"], 2) for each in measured]
            figures[f"{cache}_{name}_peak_mb"] = round(max(each["peak_mb"] for each in measured))
        medians = {name: statistics.median(each["seconds"] for each in measured) for name, measured in runs.items()}
        figures[f"{cache}_ratio"] = round(medians["invert"] / medians["copy"], 2)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="scratch space, 1.4 times the size of the stack")
    parser.add_argument("--gigabytes", type=float, default=10.0)
    parser.add_argument("--memory-limit", default="2GB")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--copy", nargs=3, type=Path, metavar=("STACK", "OUTPUT", "MODEL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.copy:
        read_and_write(*options.copy, options.memory_limit)
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        figures = run(Path(scratch), options.gigabytes, options.memory_limit, options.repeats)
    text = json.dumps({"processors": os.cpu_count(), **figures}, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
