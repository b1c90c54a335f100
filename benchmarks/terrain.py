"""Terrain and drainage factors of a large terrain model in memory, and flow accumulation against pyflwdir's.

    python benchmarks/terrain.py [--rows 3467] [--cols 5573] [--repeats 3] [--json FILE]

The model is a fractal surface (spectrum of power -2 in amplitude, median slope 18 deg) on a regional tilt, with cells
of 30 m; real valleys have fewer depressions. Each stage runs in a process of its own, once on a small model, so that
its kernels are compiled or loaded, and once on the large one; peak memory is that of the process, libraries and the
model included. pyflwdir gets our flow directions and is timed from its ready `FlwdirRaster` to the upstream area, the
order of cells that it needs included; building that object is stated beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numba
import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.grid import Grid
from susceptibility.factors.drainage import drainage_factors
from susceptibility.factors.flow import Flow, route_flow
from susceptibility.factors.terrain import terrain_factors
from susceptibility.kernels import flow as kernels

STEP_M = 30.0
STAGES = ("terrain", "drainage", "accumulation")
D8_CODES = np.zeros(256, np.uint8)  # pyflwdir's, of our directions
D8_CODES[[0, 1, 2, 3, 4, 5, 6, 7, kernels.OUTLET, kernels.NO_DATA]] = [1, 4, 16, 64, 2, 8, 32, 128, 0, 247]


def fractal_surface(rows: int, cols: int) -> NDArray[np.float32]:
    random = np.random.default_rng(1)
    spectrum = np.fft.rfft2(random.standard_normal((rows, cols), np.float32))
    frequency = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(cols)[None, :])
    frequency[0, 0] = np.inf
    surface = np.fft.irfft2(spectrum / frequency**2, s=(rows, cols))
    tilt_m = np.linspace(-1000.0, 1000.0, rows)[:, None]
    return np.asarray(3000.0 + tilt_m + 700.0 * surface / surface.std(), np.float32).clip(0.0, 8000.0)


def grid_of(elevation: NDArray[np.float32]) -> Grid:
    return Grid(*elevation.shape, Affine(STEP_M, 0.0, 300_000.0, 0.0, -STEP_M, 3_900_000.0), "EPSG:32611")


def seconds_of(function: Any, *arguments: Any) -> float:
    begun = time.perf_counter()
    function(*arguments)
    return round(time.perf_counter() - begun, 3)


def run_terrain(elevation: NDArray[np.float32], _repeats: int) -> dict[str, Any]:
    return wall_and_cpu(terrain_factors, elevation)


def run_drainage(elevation: NDArray[np.float32], _repeats: int) -> dict[str, Any]:
    return wall_and_cpu(drainage_factors, elevation)


def wall_and_cpu(function: Any, elevation: NDArray[np.float32]) -> dict[str, Any]:
    """Seconds by the clock, and those that processors worked: others may share them."""
    worked = time.process_time()
    seconds = seconds_of(function, elevation, grid_of(elevation))
    return {"seconds": seconds, "cpu_seconds": round(time.process_time() - worked, 3)}


def run_accumulation(elevation: NDArray[np.float32], repeats: int) -> dict[str, Any]:
    import pyflwdir

    begun = time.perf_counter()
    flow = route_flow(elevation, grid_of(elevation))
    routed = time.perf_counter() - begun
    codes = D8_CODES[flow.direction]
    ours, theirs, built = [], [], []
    area: NDArray[Any] = np.empty(0)
    for _ in range(repeats):
        ours.append(seconds_of(count, flow))
        begun = time.perf_counter()
        raster = pyflwdir.from_array(codes, ftype="d8", check_ftype=False)
        built.append(round(time.perf_counter() - begun, 3))
        begun = time.perf_counter()
        area = raster.upstream_area(unit="cell")
        theirs.append(round(time.perf_counter() - begun, 3))
    return {
        "route_flow_s": round(routed, 3),
        "ours_s": ours,
        "pyflwdir_s": theirs,
        "pyflwdir_object_s": built,
        "ratio": round(statistics.median(theirs) / statistics.median(ours), 2),
        "same_cells": bool(np.array_equal(area, flow.cells)),
    }


def count(flow: Flow) -> None:
    cells = np.empty(flow.grid.shape, np.int32)
    kernels.count_cells(flow.direction, cells, flow.is_cut.copy())


def run_stage(stage: str, path: Path, repeats: int) -> dict[str, Any]:
    run = {"terrain": run_terrain, "drainage": run_drainage, "accumulation": run_accumulation}[stage]
    run(fractal_surface(200, 300), 1)
    result = run(np.load(path), repeats)
    return {**result, "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=3467)
    parser.add_argument("--cols", type=int, default=5573)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage is not None:
        print(json.dumps(run_stage(options.stage, options.model, options.repeats)))
        return
    result: dict[str, Any] = {
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "rows": options.rows,
        "cols": options.cols,
    }
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "elevation.npy"
        np.save(model, fractal_surface(options.rows, options.cols))
        for stage in STAGES:
            command = [sys.executable, __file__, "--stage", stage, "--model", model, "--repeats", str(options.repeats)]
            result[stage] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    text = json.dumps(result, indent=2) + "\n"
    if options.json is not None:
        options.json.write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
