"""A map's predictions in blocks against one call of the bare estimator on all rows in memory.

    python benchmarks/prediction.py [--rows 19321591] [--features 14] [--trees 200] [--models xgboost random_forest]
        [--workers 2] [--blocks 65536] [--repeats 3] [--folder SCRATCH]

One model of each kind is fitted on simulated rows. Then, each in a process of its own: its estimator's `predict_proba`
on all rows, with as many threads as workers; and `SusceptibilityModel.predict` on blocks of a file, side by side in
threads, as a map does it. Seconds are those of the predictions alone; memory is that of the process. Both have to give
the same numbers to the last bit. Prints JSON: medians, and the ratio of ours to the bare estimator's.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from processes import measure

from susceptibility.bundle import Bundle, read_bundle, write_bundle
from susceptibility.models import MODELS, SusceptibilityModel
from susceptibility.schema import FeatureSchema
from susceptibility.workers import run_in_threads

ROWS = 3467 * 5573
"""Of the Gorkha study: 30 m pixels."""

TRAINING_ROWS = 20_000


class Clock:
    """Wall and processor seconds since it was made."""

    def __init__(self) -> None:
        self.wall, self.processor = time.perf_counter(), time.process_time()

    def used(self) -> dict[str, float]:
        return {
            "seconds": time.perf_counter() - self.wall,
            "processor_seconds": time.process_time() - self.processor,
        }


def simulate(rows: int, features: int, seed: int) -> np.ndarray:
    """Features of rows; every other one is skewed."""
    X = np.random.default_rng(seed).normal(size=(rows, features)).astype(np.float32)
    X[:, ::2] = np.exp(X[:, ::2])
    return X


def write_rows(path: Path, rows: int, features: int) -> None:
    """Write features of rows, some at a time, as an array that can be read in parts."""
    target = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, features))
    for start in range(0, rows, 1_000_000):
        part = target[start : start + 1_000_000]
        part[:] = simulate(len(part), features, start + 1)
    target.flush()


def write_model(folder: Path, name: str, features: int, trees: int) -> None:
    """Fit a model on simulated rows and keep it."""
    X = simulate(TRAINING_ROWS, features, 0)
    slide = X[:, 1] + 0.5 * X[:, 3] * X[:, 5] + np.random.default_rng(1).normal(size=TRAINING_ROWS) > 0.5
    definition = MODELS[name]
    schema = tuple(FeatureSchema(f"feature_{number}") for number in range(features))
    model = SusceptibilityModel(definition, definition.options(trees=trees), schema).fit(X, slide.astype(np.uint8))
    write_bundle(folder, Bundle.of([model], title=name, feature_set="simulated", training=X))


def predict_bare(model: SusceptibilityModel, rows: Path, output: Path, workers: int) -> dict[str, float]:
    """One call on all rows; what it took."""
    X = np.load(rows)
    model.estimator_.set_params(n_jobs=workers)
    if hasattr(model.estimator_, "get_booster"):
        model.estimator_.get_booster().set_param({"nthread": workers})
    clock = Clock()
    probability = model.estimator_.predict_proba(X)[:, 1]
    used = clock.used()
    np.save(output, probability.astype(np.float32))
    return used


def predict_blocks(model: SusceptibilityModel, rows: Path, output: Path, workers: int, block: int) -> dict[str, float]:
    """Block after block of a file into a file; what it took."""
    X = np.load(rows, mmap_mode="r")
    clock = Clock()
    target = np.lib.format.open_memmap(output, mode="w+", dtype=np.float32, shape=(len(X),))

    def predict(first: int) -> None:
        target[first : first + block] = model.predict(np.array(X[first : first + block]))

    run_in_threads([partial(predict, first) for first in range(0, len(X), block)], workers=workers)
    return clock.used()


def run(folder: Path, given: argparse.Namespace) -> dict[str, object]:
    write_rows(folder / "rows.npy", given.rows, given.features)
    figures: dict[str, object] = {
        "rows": given.rows,
        "features": given.features,
        "trees": given.trees,
        "workers": given.workers,
        "machine": {"processors": os.cpu_count(), "python": platform.python_version()},
    }
    for name in given.models:
        write_model(folder / name, name, given.features, given.trees)
        bare = repeat(folder, name, given, 0)
        found: dict[str, object] = {"bare": bare}
        for block in given.blocks:
            ours = repeat(folder, name, given, block)
            same = np.array_equal(
                np.load(folder / "ours.npy", mmap_mode="r"), np.load(folder / "bare.npy", mmap_mode="r")
            )
            found[f"blocks of {block}"] = {
                **ours,
                "ratio": ours["seconds"] / bare["seconds"],
                "processor_ratio": ours["processor_seconds"] / bare["processor_seconds"],
                "memory_ratio": ours["peak_mb"] / bare["peak_mb"],
                "same_numbers": same,
            }
        figures[name] = found
    return figures


def repeat(folder: Path, name: str, given: argparse.Namespace, block: int) -> dict[str, float]:
    """Medians over processes of predicting with a model; block 0 is the bare estimator."""
    command = [sys.executable, __file__, "--child", str(folder), name, str(given.workers), str(block)]
    runs = []
    for _ in range(given.repeats):
        used = measure(command, folder)
        runs.append({**json.loads((folder / "used.json").read_text()), "peak_mb": used["peak_mb"]})
    return {key: statistics.median(each[key] for each in runs) for key in runs[0]}


def child(folder: Path, name: str, workers: int, block: int) -> None:
    (model,) = read_bundle(folder / name).models
    if block:
        used = predict_blocks(model, folder / "rows.npy", folder / "ours.npy", workers, block)
    else:
        used = predict_bare(model, folder / "rows.npy", folder / "bare.npy", workers)
    (folder / "used.json").write_text(json.dumps(used))


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        folder, name, workers, block = sys.argv[2:]
        child(Path(folder), name, int(workers), int(block))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--features", type=int, default=14)
    parser.add_argument("--trees", type=int, default=200)
    parser.add_argument(
        "--models", nargs="+", default=["xgboost", "random_forest"], choices=["xgboost", "random_forest"]
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--blocks", type=int, nargs="+", default=[65_536])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="scratch space")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        figures = run(Path(folder), given)
    text = json.dumps(figures, indent=2)
    print(text)
    if given.json is not None:
        given.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
