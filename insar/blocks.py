"""Work on a scene block by block: how large a block is, and who computes and who writes."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

from insar.errors import OptionError
from insar.layers import row_slices

Result = TypeVar("Result")

Progress = Callable[[str, int, int], None]
"""Called with the name of a step, how much of it is done and how much there is."""

DEFAULT_BLOCK_BYTES = 48 * 2**20
"""Size of a block's samples: small enough to stay cheap, large enough that reads are long."""

WORKING_COPIES = 2
"""Blocks' worth of memory kept free for one worker: what is read, what it is read through, and what is computed.

Measured for each worker and the one block that waits for the writer: 0.5 to 0.9 with uncompressed stacks, up to 1.3
with compressed ones; corrections and norms make no difference.
"""

BLOCKS_PER_WORKER = 2
"""Least number of blocks for each worker, so that none of them idles."""

_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))

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


def available_memory() -> int | None:
    """Bytes of memory this process may have: those free on the machine, or fewer by a container's limit; or None."""
    sizes = []
    try:
        facts = Path("/proc/meminfo").read_text(encoding="ascii")
        sizes += [int(match[1]) * 1024 for match in re.finditer(r"^MemAvailable:\s+(\d+) kB", facts, re.MULTILINE)]
    except OSError:  # not Linux
        if "SC_PHYS_PAGES" in os.sysconf_names:
            sizes.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in _CGROUP_LIMITS:
        try:
            text = path.read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit():  # else "max"
            sizes.append(int(text))
    return min(sizes, default=None)


def row_blocks(
    rows: int,
    bytes_per_row: int,
    *,
    rows_per_chunk: int = 1,
    workers: int = 1,
    memory_limit: int | None = None,
    share: int | None = None,
    block_bytes: int = DEFAULT_BLOCK_BYTES,
) -> list[slice]:
    """Blocks of full rows that fit in memory, follow the storage, and are enough for all workers.

    Parameters
    ----------
    rows
        Rows of the scene.
    bytes_per_row
        Bytes of all samples of one row.
    rows_per_chunk
        Rows that the storage keeps together; blocks are multiples of it where memory allows.
    workers
        Blocks that are worked on at the same time in one process.
    memory_limit
        Bytes that all of them may take; None for no limit.
    share
        About how many blocks to make at least; by default `BLOCKS_PER_WORKER` for each worker.
    block_bytes
        Bytes of the samples of a block, unless storage keeps more together.

    Raises
    ------
    OptionError
        If not even one row fits.
    """
    height = max(1, block_bytes // bytes_per_row, rows_per_chunk)
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
        height = min(height, allowed // bytes_per_row)
    fair = -(-rows // (share or BLOCKS_PER_WORKER * workers))
    # Whole chunks: none is read twice for the sake of balance.
    height = min(height, fair + -fair % rows_per_chunk)
    return list(row_slices(rows, _aligned(height, rows_per_chunk)))


def _aligned(height: int, rows_per_chunk: int) -> int:
    """The height, or a smaller one whose blocks together read fewer chunks."""
    if height >= rows_per_chunk:
        return height - height % rows_per_chunk
    divisor = next(count for count in range(height, 0, -1) if rows_per_chunk % count == 0)
    # A chunk is cut by `divisor` blocks into whole parts, by others into one part more on average.
    return divisor if rows_per_chunk / divisor <= rows_per_chunk / height + 1 else height


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


class BlockRunner(Protocol):
    """Who computes blocks: threads of this process, or the workers of a cluster; see `insar.cluster.open_runner`."""

    @property
    def workers(self) -> int:
        """Blocks that are computed at the same time."""
        ...

    def row_blocks(self, rows: int, bytes_per_row: int, *, rows_per_chunk: int = 1) -> list[slice]:
        """Blocks that suit the workers' number and memory, see `row_blocks`."""
        ...

    def map(
        self, blocks: Iterable[slice], compute: Callable[[slice], Result], consume: Callable[[slice, Result], None]
    ) -> None:
        """Compute blocks, and consume their results in order on the calling thread, which alone writes.

        `compute` is called from several threads at once. The number of blocks under way is bounded. The first error
        stops the work and is raised.
        """
        ...


class ThreadRunner:
    """Computes blocks on threads of this process.

    Parameters
    ----------
    workers
        Threads; all processors where None.
    memory_limit
        Bytes that blocks may take; half of what is available where None.
    """

    def __init__(self, workers: int | None = None, memory_limit: int | None = None) -> None:
        self.workers = workers or available_workers()
        self._memory_limit = memory_limit

    def row_blocks(self, rows: int, bytes_per_row: int, *, rows_per_chunk: int = 1) -> list[slice]:
        """Blocks that suit the threads' number and memory, see `row_blocks`."""
        limit = self._memory_limit
        if limit is None:
            # Tall chunks of a wide scene may be larger than the memory there is.
            available = available_memory()
            limit = None if available is None else available // 2
        return row_blocks(rows, bytes_per_row, rows_per_chunk=rows_per_chunk, workers=self.workers, memory_limit=limit)

    def map(
        self, blocks: Iterable[slice], compute: Callable[[slice], Result], consume: Callable[[slice, Result], None]
    ) -> None:
        """Compute blocks on threads, see `map_blocks`; libraries of linear algebra keep to one thread each."""
        from threadpoolctl import threadpool_limits

        # Their threads beside ours would fight for the processors, and round differently.
        with threadpool_limits(limits=1, user_api="blas"):
            map_blocks(blocks, compute, consume, workers=self.workers)
