"""Slope and curvatures of a large terrain model against whole-array NumPy; windows and distances beside them.

    python benchmarks/slope.py [--rows 3467] [--cols 5573] [--repeats 5] [--json FILE]

Runs of ours and of the others take turns, so that what else the machine does touches both; ratios are medians of
neighbouring runs. The kernels work in one thread as NumPy does, in float64 from float32 elevations to float32 values.
xarray-spatial, whose slope is compiled too but by Horn's eight neighbours, takes part where it is installed. Windows
and distances are whole steps, on all threads; distances are to lines of segments of about 40 m.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from insar.grid import Grid
from susceptibility.distances import distance_to_cells, distance_to_shapes
from susceptibility.factors.relief import Windows, relief_factors
from susceptibility.kernels import terrain as kernels
from susceptibility.vectors import VectorLayer

STEP_M = 30.0


def seconds_of(function: Callable[[], object]) -> float:
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def compare(ours: Callable[[], object], theirs: Callable[[], object], repeats: int) -> dict[str, Any]:
    ours(), theirs()
    pairs = [(seconds_of(ours), seconds_of(theirs)) for _ in range(repeats)]
    return {
        "ours_s": [round(pair[0], 3) for pair in pairs],
        "theirs_s": [round(pair[1], 3) for pair in pairs],
        "ratio": round(statistics.median(pair[1] / pair[0] for pair in pairs), 2),
    }


def numpy_slope(z: NDArray[np.float32]) -> NDArray[np.float32]:
    a = z.astype(np.float64)
    p, q = (a[1:-1, 2:] - a[1:-1, :-2]) / (2 * STEP_M), (a[:-2, 1:-1] - a[2:, 1:-1]) / (2 * STEP_M)
    return np.degrees(np.arctan(np.sqrt(p * p + q * q))).astype(np.float32)


def numpy_curvatures(z: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    a = z.astype(np.float64)
    west, east, north, south = a[1:-1, :-2], a[1:-1, 2:], a[:-2, 1:-1], a[2:, 1:-1]
    centre = a[1:-1, 1:-1]
    p, q = (east - west) / (2 * STEP_M), (north - south) / (2 * STEP_M)
    r, t = (east - 2 * centre + west) / STEP_M**2, (north - 2 * centre + south) / STEP_M**2
    s = (a[:-2, 2:] - a[:-2, :-2] - a[2:, 2:] + a[2:, :-2]) / (4 * STEP_M**2)
    g = p * p + q * q
    profile = -(r * p * p + 2 * s * p * q + t * q * q) / (g * (1 + g) * np.sqrt(1 + g))
    plan = -(r * q * q - 2 * s * p * q + t * p * p) / (g * np.sqrt(g))
    return profile.astype(np.float32), plan.astype(np.float32)


def against_others(z: NDArray[np.float32], repeats: int) -> dict[str, Any]:
    surrounded = np.pad(z, ((1, 1), (0, 0)), constant_values=np.nan)
    profile, plan = np.empty_like(z), np.empty_like(z)

    def slope() -> None:
        kernels.slope_deg(surrounded, STEP_M, -STEP_M, profile)

    def curvatures() -> None:
        kernels.profile_curvature_per_m(surrounded, STEP_M, -STEP_M, profile)
        kernels.plan_curvature_per_m(surrounded, STEP_M, -STEP_M, plan)

    results = {
        "slope against NumPy": compare(slope, lambda: numpy_slope(z), repeats),
        "profile and plan curvature against NumPy": compare(curvatures, lambda: numpy_curvatures(z), repeats),
    }
    try:
        import xarray
        import xrspatial
    except ImportError:
        return results
    labelled = xarray.DataArray(z, dims=("y", "x"), attrs={"res": (STEP_M, STEP_M)})
    results["slope against xarray-spatial"] = compare(slope, lambda: xrspatial.slope(labelled), repeats)
    return results


def windows(z: NDArray[np.float32], grid: Grid) -> dict[str, float]:
    relief_factors(z[:100, :100], Grid(100, 100, grid.transform, grid.crs))
    return {
        f"{name}, {size_m:.0f} m": round(
            seconds_of(lambda name=name, size_m=size_m: relief_factors(z, grid, [name], Windows(*[size_m] * 3))), 2
        )
        for name in ("relief", "tpi", "roughness")
        for size_m in (500.0, 3000.0)
    }


def distances(grid: Grid) -> dict[str, float]:
    random = np.random.default_rng(2)
    west, south, east, north = grid.bounds
    place = VectorLayer(Path("place"), shapely.points([[west, north]]), None, str(grid.crs), 0, 0)
    distance_to_shapes(place, Grid(2, 2, grid.transform, grid.crs))
    results = {}
    for lines in (20, 2000):
        turns = random.normal(0.0, 0.15, (lines, 300)).cumsum(axis=1) + random.uniform(0.0, 2 * np.pi, (lines, 1))
        steps = 40.0 * np.stack([np.cos(turns), np.sin(turns)], axis=2)
        corners = steps.cumsum(axis=1) + random.uniform([west, south], [east, north], (lines, 2))[:, None]
        layer = VectorLayer(Path("lines"), shapely.linestrings(corners), None, str(grid.crs), 0, 0)
        results[f"to {lines * 299} segments"] = round(
            seconds_of(lambda layer=layer: distance_to_shapes(layer, grid)), 2
        )
    marked = random.random(grid.shape) < 1e-4
    distance_to_cells(marked[:9, :9] | True, Grid(9, 9, grid.transform, grid.crs))
    results["to marked cells"] = round(seconds_of(lambda: distance_to_cells(marked, grid)), 2)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=3467)
    parser.add_argument("--cols", type=int, default=5573)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    rough = np.random.default_rng(1).standard_normal((options.rows, options.cols), np.float32)
    z = np.asarray(1000.0 + 4.0 * rough.cumsum(axis=0), np.float32).clip(-400.0, 8000.0)
    grid = Grid(*z.shape, Affine(STEP_M, 0.0, 300_000.0, 0.0, -STEP_M, 3_900_000.0), "EPSG:32611")
    result: dict[str, Any] = {
        "processors": os.cpu_count(),
        "load": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "rows": options.rows,
        "cols": options.cols,
        **against_others(z, options.repeats),
        "windows_s": windows(z, grid),
        "distances_s": distances(grid),
    }
    text = json.dumps(result, indent=2) + "\n"
    if options.json is not None:
        options.json.write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
