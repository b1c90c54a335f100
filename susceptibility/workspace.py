"""A folder for work in progress beside a result, kept when a run is killed so that the next one goes on from it."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from insar.errors import InsarError
from susceptibility.publishing import checksum, write_text

logger = logging.getLogger(__name__)

_KEY = "key"


@contextmanager
def kept_workspace(output: Path, key: str) -> Iterator[Path]:
    """Give a folder to work in, with what a former run of the same key left there when it was killed.

    It is removed when all went well, and when input or options are wrong; it stays when the run is stopped.

    Parameters
    ----------
    output
        The result; the folder is beside it, of its name with a dot before and ``.work`` behind.
    key
        What the work depends on, see `key_of`. Work of another key is removed.
    """
    folder = output.parent / f".{output.name}.work"
    if not (folder / _KEY).is_file() or (folder / _KEY).read_text(encoding="utf-8") != key:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_text(folder / _KEY, key)
    else:
        logger.info("going on from what a former run left in %s", folder)
    try:
        yield folder
    except InsarError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def key_of(settings: str, paths: Iterable[Path]) -> str:
    """Checksum of settings and of all files; of folders, of the names, sizes and times of what is in them."""
    digest = hashlib.sha256(settings.encode())
    for path in paths:
        digest.update(str(path).encode())
        if path.is_file():
            digest.update(checksum(path).encode())
            continue
        for member in sorted(path.rglob("*")):
            if member.is_file():
                status = member.stat()
                digest.update(f"{member}:{status.st_size}:{status.st_mtime_ns}".encode())
    return digest.hexdigest()
