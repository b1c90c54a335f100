"""Blocks on worker processes give what threads give, whatever dies, and stop when they should."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from chains import whole_chain
from events import PARAMETERS

import insar
from insar import cluster, shipment
from insar.blocks import ThreadRunner
from insar.cluster import ClusterError, ClusterRunner, open_runner, parse_cluster
from insar.coherence_results import ImageOptions
from insar.damage_results import EventOptions, map_damage
from insar.errors import InputError, OptionError
from insar.grid import RowCol
from insar.kernels.average import average_samples
from insar.layer_run import Machine
from insar.windows import Looks

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed", reason="needs the extra cluster")


def _cluster_of(workers, *, processes=True):
    # Port 0, since two clusters at a time must not want the same one.
    return distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=processes,
        protocol="tcp://",
        dashboard_address=":0",
        scheduler_kwargs={"dashboard": False},
        silence_logs=logging.CRITICAL,
    )


@pytest.fixture(scope="module")
def local_cluster():
    """Two worker processes of one thread; a task that kills one is not tried again."""
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        _cluster_of(2) as processes,
    ):
        yield processes


@pytest.fixture
def runner(local_cluster):
    with open_runner(local_cluster.scheduler_address) as opened:
        yield opened


def _single_rows(count):
    return [slice(row, row + 1) for row in range(count)]


def _collect(runner, blocks, compute):
    results = {}
    runner.map(blocks, compute, lambda block, result: results.setdefault(block.start, result))
    assert list(results) == [block.start for block in blocks]
    return results


def _bytes_of(results):
    return [
        (result.displacement_m.tobytes(), {name: values.tobytes() for name, values in result.layers.items()})
        for result in results.values()
    ]


def _eventually(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def test_workers_make_the_bytes_of_threads_from_complex_images(local_cluster, event_images, tmp_path):
    options = EventOptions(PARAMETERS.event_date)
    looks = ImageOptions(looks=Looks(1, 4))
    here = map_damage([event_images], tmp_path / "here", options, images=looks)
    machine = Machine(memory_limit="60MB", cluster=local_cluster.scheduler_address)
    there = map_damage([event_images], tmp_path / "there", options, images=looks, machine=machine)
    names = sorted(path.name for path in (here / "layers").iterdir())
    assert "boxcar_sibling.tif" in names
    for name in names:
        assert (here / "layers" / name).read_bytes() == (there / "layers" / name).read_bytes(), name


def test_a_killed_worker_changes_no_byte(local_cluster, known_stack):
    stack = insar.open_stack(known_stack.path)
    chain = whole_chain(stack, RowCol(3, 4))
    blocks = _single_rows(stack.shape[0])

    def slowly(rows):
        time.sleep(0.1)  # so that the worker is killed in the middle of a block
        return chain(rows)

    expected = _collect(ThreadRunner(2), blocks, chain)
    results = {}
    killed = []

    def consume(block, result):
        results[block.start] = result
        if not killed:
            killed.append(next(iter(processes.values())))
            os.kill(killed[0], signal.SIGKILL)

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 3}),
        _cluster_of(2) as fragile,
        distributed.Client(fragile, set_as_default=False) as client,
        open_runner(fragile.scheduler_address, files=[stack.path]) as runner,
    ):
        assert runner.workers == 2
        processes = client.run(os.getpid)
        runner.map(blocks, slowly, consume)
        assert killed[0] not in client.run(os.getpid).values()
    assert list(results) == list(expected)
    assert _bytes_of(results) == _bytes_of(expected)
    np.testing.assert_array_equal(
        np.sum([result.sums["coherence_count"] for result in results.values()], axis=0),
        np.sum([result.sums["coherence_count"] for result in expected.values()], axis=0),
    )


def test_the_number_of_blocks_under_way_is_bounded(runner, tmp_path):
    def touch(rows):
        (tmp_path / str(rows.start)).touch()
        return rows.start

    most = 0

    def consume(block, _):
        nonlocal most
        time.sleep(0.02)
        most = max(most, len(list(tmp_path.iterdir())) - block.start)

    runner.map(_single_rows(40), touch, consume)
    assert 1 < most <= 2 * cluster.UNDER_WAY_PER_THREAD + cluster.FETCHED_AHEAD
    assert len(list(tmp_path.iterdir())) == 40


def test_an_error_in_the_input_arrives_whole_and_at_once(runner, tmp_path):
    def compute(rows):
        if rows.start == 3:
            with (tmp_path / "tries").open("a") as tries:
                tries.write("x")
            raise InputError("phase.unw", required="1 byte", found="0 bytes", remedy="Copy it")
        return rows.start

    consumed = []
    with pytest.raises(InputError, match=r"phase\.unw: required 1 byte; found 0 bytes\. Copy it\.") as caught:
        runner.map(_single_rows(30), compute, lambda block, _: consumed.append(block.start))
    assert caught.value.remedy == "Copy it"
    assert consumed == [0, 1, 2]
    assert (tmp_path / "tries").read_text() == "x"


def test_a_passing_error_is_tried_again(runner, tmp_path):
    def compute(rows):
        flag = tmp_path / f"failed{rows.start}"
        if not flag.exists():
            flag.touch()
            raise OSError("stale file handle")
        return rows.start

    assert list(_collect(runner, _single_rows(4), compute).values()) == [0, 1, 2, 3]


def test_a_lasting_error_is_raised(runner):
    def compute(rows):
        raise ZeroDivisionError("always")

    with pytest.raises(ZeroDivisionError, match="always"):
        runner.map(_single_rows(4), compute, lambda *_: None)


def test_a_block_that_kills_its_worker_is_named(local_cluster, runner):
    def compute(rows):
        if rows.start == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return rows.start

    with pytest.raises(ClusterError, match=r"rows 1 to 2: .* 1 workers that died.*--memory-limit"):
        runner.map(_single_rows(3), compute, lambda *_: None)
    assert _eventually(lambda: len(local_cluster.scheduler.workers) == 2)  # the nanny starts it again


def test_an_interrupt_leaves_nothing_running(local_cluster, runner):
    def compute(rows):
        time.sleep(0.3)

    def interrupt(*_):
        # Not from another thread: an interrupt that falls into a finalizer of dask's is not seen by anyone.
        signal.raise_signal(signal.SIGINT)

    # Whoever starts the tests in the background may have them ignore interrupts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            runner.map(_single_rows(200), compute, interrupt)
    finally:
        signal.signal(signal.SIGINT, before)
    assert _eventually(lambda: not local_cluster.scheduler.tasks)
    assert _eventually(lambda: not any(worker.processing for worker in local_cluster.scheduler.workers.values()))


def test_workers_that_are_gone_for_good(monkeypatch):
    monkeypatch.setattr(cluster, "LOST_WORKERS_S", 1.5)
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 9}),
        _cluster_of(1, processes=False) as leaving,
        open_runner(leaving.scheduler_address) as runner,
        pytest.raises(ClusterError, match="all have gone"),
    ):
        runner.map(_single_rows(50), lambda rows: time.sleep(0.05), lambda *_: leaving.scale(0))


@pytest.fixture
def commands(tmp_path):
    """A scheduler and a worker started as users start them: the address, and the two processes."""
    dask_command = [sys.executable, "-m", "dask"]
    log = tmp_path / "scheduler.log"
    with log.open("w") as sink:
        scheduler = subprocess.Popen(
            [*dask_command, "scheduler", "--host", "127.0.0.1", "--port", "0", "--dashboard-address", ":0"], stderr=sink
        )
    found = _eventually(lambda: re.search(r"Scheduler at:\s+(tcp://\S+)", log.read_text()), 30.0)
    worker = subprocess.Popen(
        [*dask_command, "worker", found[1], "--nthreads", "2", "--no-dashboard", "--local-directory", str(tmp_path)],
        stderr=subprocess.DEVNULL,
    )
    yield found[1], scheduler, worker
    worker.terminate()
    worker.wait()
    scheduler.kill()
    scheduler.wait()


def test_a_scheduler_that_is_gone(commands, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_S", 2)  # how long dask tries to connect again
    address, scheduler, _ = commands
    with pytest.raises(ClusterError, match="a connection that is lost"), open_runner(address) as runner:
        runner.map(_single_rows(50), lambda rows: time.sleep(0.05), lambda *_: scheduler.kill())


def test_blocks_suit_the_cluster(runner):
    blocks = runner.row_blocks(100, 1000)
    assert len(blocks) >= cluster.BLOCKS_PER_THREAD * 2
    assert len(runner.row_blocks(100, 1000, rows_per_chunk=50)) == 2
    assert [row for block in blocks for row in range(block.start, block.stop)] == list(range(100))


def test_blocks_fit_the_smallest_worker():
    class Client:
        status = "running"

        def scheduler_info(self, n_workers):
            facts = {"a": (4, 32_000_000), "b": (2, 12_000_000), "c": (1, 0)}
            return {"workers": {name: {"nthreads": n, "memory_limit": size} for name, (n, size) in facts.items()}}

        def nthreads(self):
            return {"a": 4, "b": 2, "c": 1}

    runner = ClusterRunner(Client())
    assert runner.workers == 7
    # Half of 12 MB for two copies of five blocks.
    assert max(block.stop - block.start for block in runner.row_blocks(9000, 10_000)) == 6_000_000 // 10 // 10_000
    assert ClusterRunner(Client(), workers=3).workers == 3
    assert ClusterRunner(Client(), expected_jobs=10).workers == 40
    with pytest.raises(OptionError, match="--memory-limit"):
        ClusterRunner(Client(), memory_limit=90_000).row_blocks(1000, 10_000)


def test_one_thread_of_linear_algebra(runner):
    def compute(rows):
        from threadpoolctl import threadpool_info

        return [each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"]

    for found in _collect(runner, _single_rows(2), compute).values():
        assert set(found) == {1}


def test_the_worker_lets_go_of_what_it_was_sent(local_cluster, runner):
    def kept():
        return list(shipment._objects)

    held = []

    def consume(*_):
        held.extend(client.run(kept).values())

    with distributed.Client(local_cluster, set_as_default=False) as client:
        before = client.run(kept)
        runner.map(_single_rows(2), lambda rows: rows.start, consume)
        assert any(held)
        assert client.run(kept) == before


def test_a_straggler_is_not_kept():
    parcel = shipment.pack(lambda rows: rows.start)
    assert shipment.compute_block(parcel, slice(3, 4)) == 3
    assert parcel.token in shipment._objects
    shipment.forget(parcel.token)
    assert shipment.compute_block(parcel, slice(4, 5)) == 4
    assert parcel.token not in shipment._objects


@pytest.mark.parametrize("text", ["local", "slurm", "tcp://host:8786", "tls://10.0.0.1:8786", "tcp://[::1]:8786"])
def test_names_of_clusters(text):
    assert parse_cluster(f" {text}") == text


@pytest.mark.parametrize("text", ["", "dask", "http://host:8787", "tcp://host", "tcp://:8786", "tcp://host:port"])
def test_no_names_of_clusters(text):
    with pytest.raises(OptionError, match="--cluster"):
        parse_cluster(text)


def test_no_scheduler_there(monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with (
            pytest.raises(OptionError, match=f"a dask scheduler at tcp://127.0.0.1:{port}; found none"),
            open_runner(f"tcp://127.0.0.1:{port}"),
        ):
            pass


def test_something_else_listens_there():
    def answer(server):
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, args=(server,))
        thread.start()
        with (
            pytest.raises(OptionError, match="found something else"),
            open_runner(f"tcp://127.0.0.1:{server.getsockname()[1]}"),
        ):
            pass
        thread.join()


def test_a_worker_is_no_scheduler(local_cluster):
    address = local_cluster.scheduler.workers.keys()[0]
    with pytest.raises(OptionError, match="found a worker"), open_runner(address):
        pass


def test_a_scheduler_without_workers(monkeypatch):
    monkeypatch.setattr(cluster, "WORKERS_S", 0.3)
    with (
        _cluster_of(0, processes=False) as empty,
        pytest.raises(OptionError, match="a scheduler with workers"),
        open_runner(empty.scheduler_address),
    ):
        pass


def test_tls_needs_certificates():
    with pytest.raises(OptionError, match=r"distributed\.comm\.tls"), open_runner("tls://127.0.0.1:8786"):
        pass


def test_workers_must_see_the_stack(local_cluster, tmp_path):
    with (
        pytest.raises(OptionError, match=r"absent\.h5, under the same path"),
        open_runner(local_cluster.scheduler_address, files=[tmp_path / "absent.h5"]),
    ):
        pass


def test_workers_must_have_the_same_versions(local_cluster, monkeypatch):
    monkeypatch.setattr(cluster, "versions", lambda: {**shipment.versions(), "numba": "0.1"})
    with (
        pytest.raises(OptionError, match=r"required numba 0\.1, as here"),
        open_runner(local_cluster.scheduler_address),
    ):
        pass


def test_a_worker_that_joins_later_is_checked_too():
    parcel = shipment.pack(abs)
    other = shipment.Parcel(parcel.token, {**parcel.versions, "Python": "2.7"}, parcel.content)
    verdict = shipment.compute_block(other, slice(0, 1))
    assert isinstance(verdict, shipment.Refusal)
    assert "Python 2.7" in str(verdict.error)


def test_relative_paths_and_kernels_travel_by_name(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    carried = (Path("stack") / "a.unw", average_samples)
    parcel = shipment.pack(lambda rows: carried)
    assert len(parcel.content) < 2000
    path, kernel = shipment._unpacked(parcel)(slice(0, 1))
    shipment.forget(parcel.token)
    assert path == tmp_path / "stack" / "a.unw"
    assert kernel is average_samples


def test_nothing_of_dask_is_loaded_for_threads():
    code = (
        "import sys; from insar.cluster import open_runner\n"
        "with open_runner('local', workers=2) as runner:\n"
        "    runner.map([slice(0, 1)], lambda rows: 1, lambda *_: None)\n"
        "print([name for name in ('distributed', 'dask', 'cloudpickle') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(OptionError, match=r"pip install 'scarp\[cluster\]'"), open_runner("tcp://127.0.0.1:1"):
        pass


@pytest.fixture
def slurm(monkeypatch, tmp_path):
    """A Slurm of this machine alone: a job is a process; its configuration is where users write it."""
    pytest.importorskip("dask_jobqueue")  # brings defaults, before they are set
    commands = {
        "sbatch": """#!/bin/sh
            cp "$1" "$SLURM_JOBS.$$"  # the caller deletes its own as soon as this ends
            setsid sh "$SLURM_JOBS.$$" > /dev/null 2>&1 &
            echo $! >> "$SLURM_JOBS"
            echo Submitted batch job $!""",
        "scancel": '#!/bin/sh\nkill -- -"$1"\n',
    }
    for name, script in commands.items():
        command = tmp_path / "bin" / name
        command.parent.mkdir(exist_ok=True)
        command.write_text(script)
        command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOBS", str(tmp_path / "jobs"))
    settings = {
        "cores": 1,
        "memory": "1GB",
        "processes": 1,
        "interface": "lo",
        "local-directory": str(tmp_path),
        "death-timeout": "20",
        "worker-extra-args": ["--no-dashboard"],
        "scheduler-options": {"dashboard_address": ":0", "dashboard": False},
    }
    with dask.config.set({f"jobqueue.slurm.{name}": value for name, value in settings.items()}):
        yield tmp_path / "jobs"
    for job in (tmp_path / "jobs").read_text().split() if (tmp_path / "jobs").exists() else []:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(int(job), signal.SIGKILL)


def test_slurm_jobs_compute_and_end(slurm):
    with open_runner("slurm", workers=2) as runner:
        assert runner.workers == 2
        assert list(_collect(runner, _single_rows(8), lambda rows: rows.start).values()) == list(range(8))
    jobs = [int(job) for job in slurm.read_text().split()]
    assert len(jobs) == 2
    assert _eventually(lambda: not any(Path(f"/proc/{job}").exists() for job in jobs))


def test_slurm_needs_a_number_of_jobs(slurm):
    with pytest.raises(OptionError, match="--workers"), open_runner("slurm"):
        pass


def test_slurm_needs_a_configuration(slurm):
    with (
        dask.config.set({"jobqueue.slurm.cores": None}),
        pytest.raises(OptionError, match=r"jobqueue\.slurm.*jobqueue\.yaml"),
        open_runner("slurm", workers=1),
    ):
        pass


def test_no_slurm_here(monkeypatch):
    pytest.importorskip("dask_jobqueue")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(OptionError, match="sbatch"), open_runner("slurm", workers=1):
        pass
