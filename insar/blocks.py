"""Work on a scene block by block: how large a block is, and who computes and who writes."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from insar.errors import OptionError
from insar.layers import row_slices

Result = TypeVar("Result")

Progress = Callable[[str, int, int], None]
"""Called with the name of a step, how much of it is done and how much there is."""

DEFAULT_BLOCK_BYTES = 48 * 2**20
"""Size of a block's samples: small enough to stay cheap, large enough that reads are long."""

WORKING_COPIES = 3
"""Blocks' worth of memory one worker needs: what is read, what interleaved files are read through, what is computed."""

_UNITS = {
    "": 1,
    "B": 1,
    "K": 10**3,
    "KB": 10**3,
    "M": 10**6,
    "MB": 10**6,
    "G": 10**9,
    "GB": 10**9,
    "T": 10**12,
    "TB": 10**12,
}


def no_progress(step: str, done: int, total: int) -> None:
    """Ignore progress."""


def available_workers() -> int:
    """Processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def parse_bytes(text: str) -> int:
    """Bytes of a size such as ``4GB`` or ``500 MB`` (powers of ten)."""
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([KMGT]?B?)\s*", text.upper())
    if match is None or float(match[1]) <= 0:
        raise OptionError(
            "--memory-limit", required="a size such as 4GB or 500MB", found=repr(text), remedy="Correct the size"
        )
    return int(float(match[1]) * _UNITS[match[2]])


def row_blocks(
    rows: int, bytes_per_row: int, *, rows_per_chunk: int = 1, workers: int = 1, memory_limit: int | None = None
) -> list[slice]:
    """Blocks of full rows that fit in memory and follow the storage.

    Parameters
    ----------
    rows
        Rows of the scene.
    bytes_per_row
        Bytes of all samples of one row.
    rows_per_chunk
        Rows that the storage keeps together; blocks are multiples of it where memory allows.
    workers
        Blocks that are worked on at the same time.
    memory_limit
        Bytes that all of them may take; None for no limit.

    Raises
    ------
    OptionError
        If not even one row fits.
    """
    budget = DEFAULT_BLOCK_BYTES
    if memory_limit is not None:
        # One more than the workers: finished blocks wait for the writer.
        allowed = memory_limit // (WORKING_COPIES * (workers + 1))
        if bytes_per_row > allowed:
            raise OptionError(
                "--memory-limit",
                required=f"{bytes_per_row * WORKING_COPIES * (workers + 1) / 1e6:.0f} MB or more for one row",
                found=f"{memory_limit / 1e6:.0f} MB",
                remedy="Raise the limit, use fewer workers or fewer pairs",
            )
        budget = min(budget, allowed)
    fitting = budget // bytes_per_row
    height = max(1, fitting)
    if memory_limit is None:
        height = max(height, rows_per_chunk)
    if height >= rows_per_chunk:
        height -= height % rows_per_chunk
    # At least two blocks a worker, so that none of them idles.
    if rows_per_chunk == 1:
        height = max(1, min(height, -(-rows // (2 * workers))))
    return list(row_slices(rows, height))


def map_blocks(
    blocks: Iterable[slice],
    compute: Callable[[slice], Result],
    consume: Callable[[slice, Result], None],
    *,
    workers: int,
) -> None:
    """Compute blocks on threads and consume their results in order on the calling thread, which alone writes.

    At most ``workers + 1`` blocks are in memory. The first error stops the work and is raised.
    """
    pending: deque[tuple[slice, Future[Result]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="block") as pool:
        try:
            for block in blocks:
                pending.append((block, pool.submit(compute, block)))
                if len(pending) > workers:
                    finished, future = pending.popleft()
                    consume(finished, future.result())
            while pending:
                finished, future = pending.popleft()
                consume(finished, future.result())
        finally:
            for _, future in pending:
                future.cancel()
