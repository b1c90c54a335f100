"""Files mapped into memory: pages that were looked at need not stay."""

from __future__ import annotations

import mmap
from typing import Any

from numpy.typing import NDArray


def release_pages(array: NDArray[Any]) -> None:
    """Let the pages of a mapped file go from this process's memory; its content stays, in the file.

    A mapping grows with every page that is touched, until it counts for the whole file. Arrays in plain memory are left
    alone.
    """
    owner: Any = array
    while owner is not None and not isinstance(owner, mmap.mmap):
        owner = getattr(owner, "base", None)
    # Of a shared mapping nothing is lost: what was written is the file's. A private one would forget it.
    if owner is not None and hasattr(mmap, "MADV_DONTNEED"):
        owner.madvise(mmap.MADV_DONTNEED)
