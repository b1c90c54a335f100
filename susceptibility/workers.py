"""Many independent tasks on all cores, with the same result whatever their number.

Each task works on one thread: libraries that would start more are held back, because sums in another order are other
numbers, and because threads of threads slow each other down.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager
from typing import TypeVar

Result = TypeVar("Result")
Progress = Callable[[str, int, int], None]
"""Told what is being done, how many steps of it are finished, and how many there are."""


def available_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_in_threads(
    tasks: Sequence[Callable[[], Result]],
    *,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Result]:
    """Results of tasks that spend their time outside Python, in their order; the first error ends all.

    `progress` is told after each how many are finished.
    """
    count = min(workers or available_cores(), max(len(tasks), 1))
    with single_threads(), ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(task) for task in tasks]
        try:
            for finished, future in enumerate(as_completed(futures), start=1):
                future.result()
                if progress is not None:
                    progress(finished)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        return [future.result() for future in futures]


def run_in_processes(
    tasks: Sequence[Callable[[], Result]],
    *,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
    keep: Callable[[int, Result], None] | None = None,
) -> list[Result]:
    """Results of many small tasks, in their order, as `run_in_threads`.

    Small models spend their time in Python itself, where threads would only wait for each other. Tasks are module-level
    functions or partials of them, because they are sent to other processes. `keep` is given the number and the result
    of each as soon as it is there.
    """
    from joblib import Parallel, delayed, parallel_config

    count = min(workers or available_cores(), max(len(tasks), 1))
    results: list[Result] = []
    with single_threads(), parallel_config(backend="loky", inner_max_num_threads=1):
        for result in Parallel(n_jobs=count, return_as="generator")(delayed(_call)(task) for task in tasks):
            results.append(result)
            if keep is not None:
                keep(len(results) - 1, result)
            if progress is not None:
                progress(len(results))
    return results


def _call(task: Callable[[], Result]) -> Result:
    return task()


def single_threads() -> AbstractContextManager[object]:
    """Hold libraries back from starting threads of their own."""
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(limits=1)
    return limits
