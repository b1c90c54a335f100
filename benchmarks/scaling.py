"""Does a second worker halve the time? Blocks of one stack on 1 and 2 dask worker processes, and on 1 and 2 threads.

    python benchmarks/scaling.py [--pixels 200000] [--weights variance] [--repeats 5] [--folder SCRATCH]

The stack is that of `benchmarks/inversion.py` (60 dates, 202 interferograms, 10 % of the samples missing). Each block
goes through the whole chain, loops and ramps corrected; the one writer writes every result to a file. Workers are
processes of one thread on this machine, with compiled kernels and warm files: start-up is not measured. Figures are
medians; on a machine that others use, the ratio of the fastest runs says more. Scheduler and writer need a share of a
processor of their own, which `writer_share` states: with two processors in all, the ratio cannot be more than
2 / (1 + writer_share). Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import distributed
import numpy as np
from inversion import REFERENCE, write_stack

from insar.blocks import BlockRunner, ThreadRunner
from insar.chain import Block, BlockChain
from insar.cluster import open_runner
from insar.config import Settings
from insar.planning import plan_run
from insar.preparation import prepare_chain
from insar.weights import Weighting
from insar.workspace import FlatArray

COLS = 1000
GAPS = 0.1


class Results:
    """Files of the series and of the layers, written by rows."""

    def __init__(self, folder: Path, chain: BlockChain) -> None:
        self._folder = folder
        self._shape = chain.inverter.stack.shape
        self._arrays = {"displacement": FlatArray(folder / "displacement", (len(chain.dates), *self._shape), "f4")}

    def write(self, rows: slice, result: Block) -> None:
        self._arrays["displacement"].write_rows(rows, result.displacement_m)
        for name, values in result.layers.items():
            if name not in self._arrays:
                self._arrays[name] = FlatArray(self._folder / name, self._shape, values.dtype)
            self._arrays[name].write_rows(rows, values)

    def close(self) -> None:
        for array in self._arrays.values():
            array.close()


def seconds_of(runner: BlockRunner, blocks: list[slice], chain: BlockChain, folder: Path) -> float:
    results = Results(folder, chain)
    begun = time.perf_counter()
    runner.map(blocks, chain, results.write)
    elapsed = time.perf_counter() - begun
    results.close()
    return elapsed


def transfer_bytes(chain: BlockChain) -> int:
    """Bytes of the results of one row."""
    result = chain(slice(0, 1))
    return int(result.displacement_m.nbytes + sum(values.nbytes for values in result.layers.values()))


@contextmanager
def dask_workers(count: int, path: Path) -> Iterator[BlockRunner]:
    with (
        distributed.LocalCluster(
            n_workers=count, threads_per_worker=1, dashboard_address=":0", scheduler_kwargs={"dashboard": False}
        ) as cluster,
        open_runner(cluster.scheduler_address, files=[path]) as runner,
    ):
        yield runner


def processor_seconds() -> float:
    """Of this process: scheduler, writer, and threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def digest(folder: Path) -> dict[str, int]:
    return {path.name: hash(path.read_bytes()) for path in sorted(folder.iterdir())}


def run(pixels: int, weights: Weighting, repeats: int, scratch: Path) -> dict[str, object]:
    path = scratch / "ifgramStack.h5"
    write_stack(path, pixels // COLS, COLS, GAPS)
    os.sync()  # writing the stack out must not go on while it is read
    chain = prepare_chain(
        plan_run(
            Settings(
                stack=path,
                reference_rowcol=REFERENCE,
                weights=weights,
                unwrap_correction="closure",
                deramp="linear",
            )
        ),
        with_rate=True,
    )
    folder = scratch / "results"
    folder.mkdir()
    with dask_workers(2, path) as runner:
        blocks = runner.row_blocks(
            chain.inverter.stack.shape[0], chain.bytes_per_row, rows_per_chunk=chain.rows_per_chunk
        )
    ways: dict[str, AbstractContextManager[BlockRunner]] = {
        "1 thread": nullcontext(ThreadRunner(1)),
        "2 threads": nullcontext(ThreadRunner(2)),
        "1 worker": dask_workers(1, path),
        "2 workers": dask_workers(2, path),
    }
    times: dict[str, list[float]] = {}
    own: dict[str, float] = {}
    digests = {}
    for name, way in ways.items():
        with way as runner:
            seconds_of(runner, blocks, chain, folder)  # loads kernels, warms files
            digests[name] = digest(folder)
            before = processor_seconds()
            times[name] = [seconds_of(runner, blocks, chain, folder) for _ in range(repeats)]
            own[name] = (processor_seconds() - before) / repeats
    if any(each != digests["1 thread"] for each in digests.values()):
        raise RuntimeError(f"results depend on who computed them: {digests}")
    median = {name: statistics.median(each) for name, each in times.items()}
    fastest = {name: min(each) for name, each in times.items()}
    return {
        "pixels": pixels,
        "weights": weights.value,
        "blocks": len(blocks),
        "result_mb": round(transfer_bytes(chain) * chain.inverter.stack.shape[0] / 1e6, 1),
        "seconds": {name: round(value, 3) for name, value in median.items()},
        "runs": {name: [round(value, 3) for value in each] for name, each in times.items()},
        "workers_ratio": round(median["1 worker"] / median["2 workers"], 2),
        "threads_ratio": round(median["1 thread"] / median["2 threads"], 2),
        "workers_ratio_of_fastest": round(fastest["1 worker"] / fastest["2 workers"], 2),
        "threads_ratio_of_fastest": round(fastest["1 thread"] / fastest["2 threads"], 2),
        "writer_share": round(own["2 workers"] / own["1 thread"], 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pixels", type=int, default=200_000)
    parser.add_argument("--weights", type=Weighting, choices=list(Weighting), default=Weighting.VARIANCE)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="scratch space: 1.7 GB for each million pixels, and 0.3 of results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        result = run(options.pixels, options.weights, options.repeats, Path(scratch))
    facts = {"processors": os.cpu_count(), "python": platform.python_version(), "numpy": np.__version__}
    print(json.dumps({**facts, **result}, indent=2))


if __name__ == "__main__":
    main()
