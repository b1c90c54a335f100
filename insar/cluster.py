"""Blocks of rows on the workers of a dask cluster, or on threads of this process: who computes is chosen here."""

from __future__ import annotations

import logging
import re
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from insar.blocks import BlockRunner, Result, ThreadRunner, row_blocks
from insar.errors import InsarError, OptionError
from insar.extras import import_extra
from insar.shipment import Refusal, compute_block, forget, pack, require_versions, versions, worker_facts

if TYPE_CHECKING:
    import distributed

logger = logging.getLogger(__name__)

CONNECT_S = 8
"""How long to wait for a scheduler to answer."""

WORKERS_S = 30
"""How long to wait for the first worker of a scheduler that answers."""

LOST_WORKERS_S = 120
"""How long to wait for another worker when the last one is gone."""

UNDER_WAY_PER_THREAD = 2
"""Blocks sent out for each thread: one being computed, and one that it can begin with at once."""

FETCHED_AHEAD = 2
"""Results that arrive while an earlier one is being written."""

BLOCK_BYTES = 96 * 2**20
"""Size of a block's samples: sending a block out and its results back takes some 5 ms beside the transfer."""

BLOCKS_PER_THREAD = 4
"""Least number of blocks for each thread of a cluster, so that all end at about the same time."""

RETRIES = 2
"""How often a block is tried again after an error that is not in the input, such as a network disk's."""

WORKER_MEMORY_SHARE = 0.5
"""Part of a worker's memory that blocks may take: at 0.6 dask begins to spill, at 0.95 it kills the worker."""

_POLL_S = 1.0
_ADDRESS = re.compile(r"(tcp|tls)://(\[[0-9a-fA-F:.]+\]|[^\s:/]+):(\d{1,5})")


class ClusterError(InsarError, RuntimeError):
    """The cluster was lost while it worked; a run that is started again goes on where it stopped."""


def parse_cluster(text: str) -> str:
    """Where blocks are computed, checked: ``local``, ``slurm`` or the address of a dask scheduler.

    Raises
    ------
    OptionError
        It is none of these.
    """
    name = text.strip()
    if name in ("local", "slurm") or _ADDRESS.fullmatch(name):
        return name
    raise OptionError(
        "--cluster",
        required="local, slurm, or the address of a dask scheduler such as tcp://host:8786",
        found=repr(text),
        remedy="Correct it; `dask scheduler` prints its address when it starts",
    )


@contextmanager
def open_runner(
    cluster: str = "local",
    *,
    workers: int | None = None,
    memory_limit: int | None = None,
    files: Sequence[Path | str] = (),
) -> Iterator[BlockRunner]:
    """What computes blocks, for the length of a ``with`` block.

    Parameters
    ----------
    cluster
        ``local`` for threads of this process, the address of a running dask scheduler, or ``slurm`` for jobs with the
        settings that dask-jobqueue finds in dask's own configuration.
    workers
        Threads of this process; blocks computed at the same time on a running cluster, all its threads where None;
        number of Slurm jobs.
    memory_limit
        Bytes that blocks may take in any one process.
    files
        What every worker must see: the stack.

    Raises
    ------
    OptionError
        There is no such cluster, or it cannot do the work.
    """
    name = parse_cluster(cluster)
    if name == "local":
        yield ThreadRunner(workers, memory_limit)
        return
    import_extra("distributed", "cluster", f"--cluster {name}")
    connection = _submit_jobs(workers) if name == "slurm" else _connect(name)
    with _without_chatter(), connection as (client, expected_jobs):
        _check_workers(client, files)
        # Slurm's number of jobs is no bound of the blocks under way: a job has several threads.
        yield ClusterRunner(client, None if name == "slurm" else workers, memory_limit, expected_jobs)


class ClusterRunner:
    """Computes blocks on the workers of a cluster.

    A block whose worker died is computed again by another; workers that join are used.

    Parameters
    ----------
    client
        Connection to the scheduler; it has a worker already.
    workers
        Blocks computed at the same time, all threads of the cluster where None.
    memory_limit
        Bytes that blocks may take in any one process.
    expected_jobs
        Workers that there will be, as far as known.
    """

    def __init__(
        self,
        client: distributed.Client,
        workers: int | None = None,
        memory_limit: int | None = None,
        expected_jobs: int = 0,
    ) -> None:
        self._client = client
        self._bound = workers
        facts = client.scheduler_info(n_workers=-1)["workers"].values()
        self._threads_per_worker = max((int(each["nthreads"]) for each in facts), default=1)
        self._expected_threads = expected_jobs * self._threads_per_worker
        limits = [int(WORKER_MEMORY_SHARE * each["memory_limit"]) for each in facts if each["memory_limit"]]
        if memory_limit is not None:
            limits.append(memory_limit)
        self._memory_limit = min(limits, default=None)
        self._threads, self._threads_known_at = 0, -_POLL_S
        self._last_worker_seen_at = time.monotonic()

    @property
    def workers(self) -> int:
        """Blocks that are computed at the same time, once all workers are there."""
        threads = max(self._count_threads(), self._expected_threads, 1)
        return threads if self._bound is None else min(self._bound, threads)

    def row_blocks(self, rows: int, bytes_per_row: int, *, rows_per_chunk: int = 1) -> list[slice]:
        """Blocks that suit the threads' number and the workers' memory, see `insar.blocks.row_blocks`."""
        return row_blocks(
            rows,
            bytes_per_row,
            rows_per_chunk=rows_per_chunk,
            workers=self._threads_per_worker,
            memory_limit=self._memory_limit,
            share=BLOCKS_PER_THREAD * self.workers,
            block_bytes=BLOCK_BYTES,
        )

    def map(
        self, blocks: Iterable[slice], compute: Callable[[slice], Result], consume: Callable[[slice, Result], None]
    ) -> None:
        """Compute blocks, and consume their results in order on the calling thread, which alone writes.

        Raises
        ------
        ClusterError
            The scheduler or all workers are gone, or a block killed every worker that tried it.
        InsarError
            A block found an error in the input.
        """
        parcel = pack(compute)
        remaining = iter(blocks)
        sent: deque[tuple[slice, Any]] = deque()
        arriving: deque[tuple[slice, Any, Future[Any]]] = deque()
        with ThreadPoolExecutor(1, thread_name_prefix="fetch") as fetcher:
            try:
                while True:
                    while len(sent) + len(arriving) < self._window:
                        block = next(remaining, None)
                        if block is None:
                            break
                        # Not in the graph as a dependency, which would be lost with the workers that hold it.
                        task = self._client.submit(
                            compute_block,
                            parcel,
                            block,
                            key=f"insar-block-{parcel.token}-{block.start}-{block.stop}",
                            pure=False,
                            retries=RETRIES,
                        )
                        sent.append((block, task))
                    while sent and len(arriving) < FETCHED_AHEAD:
                        block, task = sent.popleft()
                        arriving.append((block, task, fetcher.submit(self._client.gather, task, direct=True)))
                    if not arriving:
                        break
                    block, task, fetched = arriving[0]
                    result = self._await(block, fetched)
                    task.release()
                    arriving.popleft()
                    del fetched
                    consume(block, result)
                    del result
            finally:
                unfinished = [task for _, task in sent] + [task for _, task, _ in arriving]
                self._stop(unfinished, parcel.token)

    @property
    def _window(self) -> int:
        """Blocks that may be under way, arriving ones included."""
        threads = max(self._count_threads(), 1)
        if self._bound is not None and self._bound < threads:
            return self._bound + FETCHED_AHEAD
        return UNDER_WAY_PER_THREAD * threads + FETCHED_AHEAD

    def _count_threads(self) -> int:
        """Threads of all workers, asked for once a second at most: workers come and go."""
        now = time.monotonic()
        if self._client.status != "running":
            raise _lost_scheduler()
        if now - self._threads_known_at >= _POLL_S:
            try:
                self._threads = sum(self._client.nthreads().values())
            except OSError as error:
                raise _lost_scheduler() from error
            self._threads_known_at = now
            if self._threads:
                self._last_worker_seen_at = now
        return self._threads

    def _await(self, block: slice, fetched: Future[Any]) -> Any:
        from distributed import CancelledError, KilledWorker
        from distributed.comm import CommClosedError

        while not wait([fetched], timeout=_POLL_S).done:
            self._require_alive()
        try:
            result = fetched.result()
        except KilledWorker as error:
            raise ClusterError(
                f"rows {block.start} to {block.stop}",
                required="a worker that survives computing them",
                found=f"{error.allowed_failures + 1} workers that died of it, the last at {error.last_worker.address}",
                remedy="They most likely ran out of memory: give them more, fewer threads, or set --memory-limit",
            ) from error
        except (CancelledError, CommClosedError) as error:
            raise _lost_scheduler() from error
        if isinstance(result, Refusal):
            raise result.error
        return result

    def _require_alive(self) -> None:
        if not self._count_threads() and time.monotonic() - self._last_worker_seen_at > LOST_WORKERS_S:
            raise ClusterError(
                "--cluster",
                required="at least one worker",
                found=f"none for {LOST_WORKERS_S} s: all have gone",
                remedy="See the workers' logs; the same command goes on where it stopped",
            )

    def _stop(self, unfinished: list[Any], token: str) -> None:
        """Take back what is under way, and have the workers close the files; nothing here may hide an error."""
        with suppress(Exception):
            if unfinished:
                self._client.cancel(unfinished, force=True)
            self._client.run(forget, token, on_error="ignore")


def _lost_scheduler() -> ClusterError:
    return ClusterError(
        "--cluster",
        required="a scheduler that stays up while the work goes on",
        found="a connection that is lost",
        remedy="See the scheduler's log, start it again; the same command goes on where it stopped",
    )


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Keep dask's remarks of no consequence, some with a traceback, off the terminal."""
    chatter = logging.getLogger("distributed")
    level = chatter.level
    chatter.setLevel(logging.WARNING)
    try:
        yield
    finally:
        chatter.setLevel(level)


@contextmanager
def _connect(address: str) -> Iterator[tuple[distributed.Client, int]]:
    from distributed import Client

    _require_scheduler(address)
    with Client(address, timeout=CONNECT_S, set_as_default=False) as client:
        _wait_for_worker(client, WORKERS_S)
        yield client, 0


def _require_scheduler(address: str) -> None:
    """Ask who listens at an address: a client that cannot connect leaves threads and messages of its own behind."""
    import asyncio

    from distributed import Security
    from distributed.core import rpc

    arguments = Security().get_connection_args("client")
    if address.startswith("tls:") and arguments.get("ssl_context") is None:
        raise OptionError(
            f"--cluster {address}",
            required="certificates: distributed.comm.tls in dask's configuration (ca-file, client.cert, client.key)",
            found="none",
            remedy="Write them to ~/.config/dask/distributed.yaml",
        )

    async def ask() -> Any:
        async with rpc(address, timeout=CONNECT_S, connection_args=arguments) as listener:
            return await asyncio.wait_for(listener.identity(), CONNECT_S)

    def refused(found: str) -> OptionError:
        return OptionError(
            "--cluster",
            required=f"a dask scheduler at {address}",
            found=found,
            remedy="Start `dask scheduler` there, and check host, port and firewall",
        )

    with ThreadPoolExecutor(1) as pool:  # in a notebook this thread has an event loop already
        try:
            kind = pool.submit(asyncio.run, ask()).result().get("type")
        except (OSError, ValueError, TimeoutError) as error:
            raise refused(f"none that answers within {CONNECT_S} s") from error
        except (MemoryError, AttributeError, TypeError) as error:
            # The first bytes of another protocol, read as the length of a message.
            raise refused("something else that listens there") from error
    if kind != "Scheduler":
        raise refused(f"a {str(kind).lower()}")


@contextmanager
def _submit_jobs(jobs: int | None) -> Iterator[tuple[distributed.Client, int]]:
    SLURMCluster = import_extra("dask_jobqueue", "cluster", "--cluster slurm").SLURMCluster
    import dask.config
    from distributed import Client

    if jobs is None:
        raise OptionError(
            "--cluster slurm", required="the number of jobs", found="no --workers", remedy="Add --workers N"
        )
    if shutil.which("sbatch") is None:
        raise OptionError(
            "--cluster slurm",
            required="Slurm's command sbatch",
            found="none on this machine",
            remedy="Run this on a machine that can submit jobs, or start workers and give tcp://host:port",
        )
    absent = [name for name in ("cores", "memory") if dask.config.get(f"jobqueue.slurm.{name}", None) is None]
    if absent:
        raise OptionError(
            "--cluster slurm",
            required="the section jobqueue.slurm in dask's configuration, with cores and memory of a job",
            found="no " + " and no ".join(absent),
            remedy="Write them to ~/.config/dask/jobqueue.yaml, see docs/scale.md",
        )
    with SLURMCluster() as cluster, Client(cluster, set_as_default=False) as client:
        cluster.scale(jobs=jobs)
        logger.warning("%d jobs are submitted; the work begins when the first one runs", jobs)
        _wait_for_worker(client, None)
        yield client, len(cluster.plan)


def _wait_for_worker(client: distributed.Client, patience_s: float | None) -> None:
    begun = time.monotonic()
    while not client.nthreads():
        if patience_s is not None and time.monotonic() - begun > patience_s:
            raise OptionError(
                "--cluster",
                required="a scheduler with workers",
                found=f"one that has had none for {patience_s:.0f} s",
                remedy="Start workers: dask worker ADDRESS",
            )
        time.sleep(0.2)


def _check_workers(client: distributed.Client, files: Sequence[Path | str]) -> None:
    """Refuse workers that cannot do the work, before any of it starts."""
    names = [str(Path(name).absolute()) for name in files]
    for address, facts in client.run(worker_facts, names, on_error="return").items():
        if isinstance(facts, Exception):
            raise OptionError(
                f"--cluster: the worker at {address}",
                required=f"scarp {versions()['scarp']}",
                found=f"{type(facts).__name__}: {facts}",
                remedy="Install it there: start the workers in the same environment as this command",
            )
        require_versions(facts["versions"], versions(), facts["machine"])
        if facts["missing"]:
            raise OptionError(
                f"--cluster: the worker on {facts['machine']}",
                required=f"{facts['missing'][0]}, under the same path as here",
                found="no such file or folder",
                remedy="Put the stack on a disk that all workers see",
            )
