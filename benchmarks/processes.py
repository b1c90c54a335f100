"""Commands as whole processes: their time and memory, and files that the disk must read again."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path


def measure(command: list[str], folder: Path) -> dict[str, float]:
    """Wall and processor seconds and peak resident memory of one process, which works in `folder`.

    Modules keep their byte code, as they do once pip has installed them, whatever the environment says.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    log = folder / "log.txt"
    os.sync()  # what an earlier process has written must not reach the disk while this one is timed
    begun = time.perf_counter()
    with log.open("w") as sink:
        process = subprocess.Popen(command, cwd=folder, stdout=sink, stderr=subprocess.STDOUT, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    if os.waitstatus_to_exitcode(status) != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{log.read_text()[-2000:]}")
    return {
        "seconds": wall,
        "processor_seconds": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss / 1000,
    }


def forget(paths: Iterable[Path]) -> None:
    """Let go of what the system keeps of files in memory, so that they are read from the disk."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # only what has reached the disk can be forgotten
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
