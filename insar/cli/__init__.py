"""The command ``insar``."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import resource
import sys
from typing import NoReturn

MOST_FILES = 8192
"""Files that may be open at the same time, if the system lets us: a stack has some hundred to a few thousand."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Of ``malloc.h``."""

FEW_COLLECTIONS = 50_000
"""New objects between two searches for garbage, by default 700."""


def main() -> None:
    """Entry point of the console script."""
    # Importing makes many objects and no garbage: looking for it took a twentieth of a short run.
    gc.set_threshold(FEW_COLLECTIONS)
    # Blocks are what runs in parallel. A threaded BLAS beside them slows both, and adds in an order that depends on
    # how many threads there are; it must know before NumPy is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _allow_many_files()
    _keep_memory()
    from insar.cli.app import app, run_app

    try:
        run_app(app)
    except SystemExit as ending:
        _leave(ending.code)


def _leave(code: str | int | None) -> NoReturn:
    """End the process at once: every file is closed, and taking apart what was imported takes 0.4 s."""
    if isinstance(code, str):
        sys.stderr.write(f"{code}\n")
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # nobody reads any more
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def _allow_many_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):  # fewer files are only slower
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _keep_memory() -> None:
    """Have the C library keep what blocks give back, for the next blocks.

    By default it hands large arrays back to the system, which then clears every page anew for each block: up to a
    third of the time of a fast inversion. One arena, because those of threads cannot hold arrays as large as these.
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    with contextlib.suppress(AttributeError, OSError):  # a C library that is not GNU's is only slower
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in ((_ARENA_MAX, 1), (_MMAP_THRESHOLD, 2**30), (_TRIM_THRESHOLD, 2**30)):
            mallopt(parameter, value)
