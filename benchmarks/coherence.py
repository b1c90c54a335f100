"""Boxcar coherence against SciPy's `uniform_filter`, and sibling coherence, on one core.

    python benchmarks/coherence.py [--rows 3000] [--cols 4000] [--repeats 5] [--json FILE]

A simulated pair of complex64 images. SciPy's way is the obvious one, written as well as it can be with that function:
products in single precision, each filtered once, real arrays throughout, results in place. It takes every sample for
valid, keeps running sums in the rounding of single precision, and works on whole images; ours leaves out samples
without data, adds up in double precision, and needs a few rows of scratch. Both run in one thread, in turn, in one
process with compiled kernels; figures are medians, and the ratio is that of neighbouring runs. Prints JSON.
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

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from insar.coherence import CoherenceEstimator, estimate_coherence
from insar.siblings import SiblingEstimator
from insar.windows import Looks, Window

WINDOW = (5, 5)
OTHER_CASES = {
    "3 x 3": CoherenceEstimator(Window(3, 3)),
    "3 x 15": CoherenceEstimator(Window(3, 15)),
    "21 x 21": CoherenceEstimator(Window(21, 21)),
    "5 x 5 of 2 x 5 looks": CoherenceEstimator(Window(5, 5), Looks(2, 5)),
    "5 x 5, fringe removed": CoherenceEstimator(Window(5, 5), remove_fringe=True),
}
SIBLING_SIZE = 1000, 1000
SIBLING_IMAGES = 6, 20


def speckle(random: np.random.Generator, *shape: int) -> NDArray[np.complex64]:
    parts = random.standard_normal((*shape, 2), np.float32)
    return parts.view(np.complex64)[..., 0]


def uniform_coherence(first: NDArray[np.complex64], second: NDArray[np.complex64]) -> NDArray[np.float32]:
    product = first * np.conj(second)
    real = uniform_filter(product.real, WINDOW, mode="constant")
    imaginary = uniform_filter(product.imag, WINDOW, mode="constant")
    power = uniform_filter(first.real**2 + first.imag**2, WINDOW, mode="constant")
    power *= uniform_filter(second.real**2 + second.imag**2, WINDOW, mode="constant")
    real *= real
    imaginary *= imaginary
    real += imaginary
    real /= power
    return np.sqrt(real, out=real)


def seconds_of(function: Callable[[], object]) -> float:
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def megapixels_per_second(pixels: int, seconds: float) -> float:
    return round(pixels / seconds / 1e6, 1)


def boxcar(rows: int, cols: int, repeats: int) -> dict[str, object]:
    random = np.random.default_rng(1)
    first = speckle(random, rows, cols)
    second = np.float32(0.6) * first + np.float32(0.8) * speckle(random, rows, cols)
    difference = np.abs(estimate_coherence(first, second, WINDOW) - uniform_coherence(first, second))[5:-5, 5:-5].max()
    ours, theirs = [], []
    for _ in range(repeats):
        ours.append(seconds_of(lambda: estimate_coherence(first, second, WINDOW)))
        theirs.append(seconds_of(lambda: uniform_coherence(first, second)))
    others = {}
    for name, estimator in OTHER_CASES.items():
        height, width = estimator.cells(first.shape)
        cells = slice(0, height), slice(0, width)
        estimator.estimate(first[:100], second[:100], slice(0, 50 // estimator.looks.rows), cells[1])
        runs = [seconds_of(lambda e=estimator, c=cells: e.estimate(first, second, *c)) for _ in range(3)]
        others[name] = megapixels_per_second(rows * cols, statistics.median(runs))
    return {
        "rows": rows,
        "cols": cols,
        "window": list(WINDOW),
        "ours_mpx_per_s": megapixels_per_second(rows * cols, statistics.median(ours)),
        "scipy_mpx_per_s": megapixels_per_second(rows * cols, statistics.median(theirs)),
        "ours_fastest_mpx_per_s": megapixels_per_second(rows * cols, min(ours)),
        "scipy_fastest_mpx_per_s": megapixels_per_second(rows * cols, min(theirs)),
        "ratio": round(statistics.median(other / own for own, other in zip(ours, theirs, strict=True)), 2),
        "largest_difference": float(f"{difference:.1e}"),
        "runs_s": {"ours": [round(each, 3) for each in ours], "scipy": [round(each, 3) for each in theirs]},
        "other_cases_mpx_per_s": others,
    }


def siblings(repeats: int) -> dict[str, object]:
    random = np.random.default_rng(2)
    estimator = SiblingEstimator()
    cells = tuple(slice(0, size) for size in SIBLING_SIZE)
    first, second = speckle(random, *SIBLING_SIZE), speckle(random, *SIBLING_SIZE)
    speed = {}
    for images in SIBLING_IMAGES:
        history = speckle(random, images, *SIBLING_SIZE)
        estimator.estimate(history[:, :60, :60], [first[:60, :60]], [second[:60, :60]], slice(0, 60), slice(0, 60))
        runs = [
            seconds_of(lambda past=history: estimator.estimate(past, [first], [second], *cells)) for _ in range(repeats)
        ]
        speed[str(images)] = megapixels_per_second(first.size, statistics.median(runs))
    return {
        "window": list(estimator.window),
        "mpx_per_s_by_images": speed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--cols", type=int, default=4000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    result = {
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "boxcar": boxcar(options.rows, options.cols, options.repeats),
        "siblings": siblings(3),
    }
    text = json.dumps(result, indent=2) + "\n"
    if options.json is not None:
        options.json.write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
