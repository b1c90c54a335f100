"""Reading bytes at a place in a file, from several threads at once, with a bounded number of files open."""

from __future__ import annotations

import itertools
import os
import resource
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.errors import InputError, MissingInputError


@dataclass(slots=True)
class OpenFile:
    """A file open for reading; obtained from `OpenFiles.borrow`."""

    path: Path
    descriptor: int
    users: int = 0

    def read_into(self, offset: int, target: NDArray[np.uint8]) -> None:
        """Fill a contiguous byte array from `offset` on.

        Raises
        ------
        InputError
            The file ends before the array is full: it was whole when the stack was opened.
        """
        view = memoryview(target.data)
        done = 0
        while done < len(view):
            count = os.preadv(self.descriptor, [view[done:]], offset + done)
            if count == 0:
                raise InputError(
                    self.path,
                    required=f"{offset + len(view)} bytes",
                    found=f"the end of the file at {offset + done}, though it was whole when opened",
                    remedy="Do not change a stack while it is read; copy it again",
                )
            done += count


class OpenFiles:
    """Read-only files of one stack, opened when first read and kept open, at most `limit` while idle.

    Opening 400 files for each block of a stack costs little on a local disk, but a round trip each on a network disk.

    Parameters
    ----------
    limit
        Files kept open; by default half of what the operating system allows this process, at most 4096.
    """

    def __init__(self, limit: int | None = None) -> None:
        if limit is None:
            soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            limit = max(8, min(4096, soft // 2)) if soft != resource.RLIM_INFINITY else 4096
        self._limit = limit
        self._lock = threading.Lock()
        self._open: OrderedDict[Path, OpenFile] = OrderedDict()
        weakref.finalize(self, _close_all, self._open)

    def __reduce__(self) -> tuple[Any, ...]:  # descriptors mean nothing in another process
        return OpenFiles, (self._limit,)

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def borrow(self, path: Path) -> Iterator[OpenFile]:
        """A file that stays open for the length of a ``with`` block."""
        with self._lock:
            entry = self._open.get(path)
            if entry is None:
                entry = self._open[path] = OpenFile(path, _open(path))
            entry.users += 1
            self._open.move_to_end(path)
            self._close_idle()
        try:
            yield entry
        finally:
            with self._lock:
                entry.users -= 1
                self._close_idle()

    def _close_idle(self) -> None:
        excess = len(self._open) - self._limit
        if excess <= 0:
            return
        # Those not used for longest come first: hardly any more than these are looked at.
        idle = (path for path, entry in self._open.items() if entry.users == 0)
        for path in list(itertools.islice(idle, excess)):
            os.close(self._open.pop(path).descriptor)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise MissingInputError(
            path,
            required="a file that was there when the stack was opened",
            found="no such file",
            remedy="Do not move a stack while it is read",
        ) from error
    except OSError as error:
        raise InputError(
            path,
            required="a file that can be read",
            found=error.strerror or str(error),
            remedy="Check its permissions",
        ) from error


def _close_all(descriptors: OrderedDict[Path, OpenFile]) -> None:
    while descriptors:
        os.close(descriptors.popitem()[1].descriptor)
