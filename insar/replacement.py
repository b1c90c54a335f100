"""Replace files of a finished result, all or nothing.

New files are made in a scratch folder inside the result, in the places they are to have. Only when they are all there
does the manifest step aside; from then on nothing is made any more, files are only renamed, and the new manifest comes
last. A folder with a manifest is therefore whole, and one whose renaming was cut short has none until it is finished.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from insar.errors import InputError
from insar.writers.manifest import NAME as MANIFEST
from insar.writers.manifest import checksum, read_manifest

logger = logging.getLogger(__name__)

_ASIDE = "earlier_manifest.json"
_OBSOLETE = "obsolete.json"


@contextmanager
def replacement(folder: Path, name: str) -> Iterator[Path]:
    """A scratch folder `name` inside a result; what is in it is thrown away at the end, unless renaming has begun.

    A renaming that was cut short earlier is finished first.
    """
    scratch = folder / name
    finish_replacement(folder, name)
    scratch.mkdir()
    try:
        yield scratch
    finally:
        if (folder / MANIFEST).is_file():
            shutil.rmtree(scratch, ignore_errors=True)


def publish_replacement(folder: Path, scratch: Path, obsolete: Iterable[Path] = ()) -> None:
    """Put the files of the scratch folder in their places, those of the same name away.

    Parameters
    ----------
    folder
        Result folder.
    scratch
        What `replacement` gave: the new manifest, and new files as the manifest names them. Links are left alone.
    obsolete
        Files of the result, relative to it, to be removed.
    """
    (scratch / _OBSOLETE).write_text(json.dumps([path.as_posix() for path in obsolete]), encoding="utf-8")
    (folder / MANIFEST).replace(scratch / _ASIDE)
    _rename(folder, scratch)


def finish_replacement(folder: Path, name: str) -> None:
    """Finish a renaming that was cut short; otherwise clear away what an earlier try has left.

    Raises
    ------
    InputError
        If the files are not those that the new manifest lists.
    """
    scratch = folder / name
    if (scratch / _ASIDE).is_file() and (scratch / MANIFEST).is_file() and not (folder / MANIFEST).exists():
        logger.warning("%s: an earlier change of this result was cut short; it is finished now", folder)
        _check(folder, scratch)
        _rename(folder, scratch)
    shutil.rmtree(scratch, ignore_errors=True)


def _rename(folder: Path, scratch: Path) -> None:
    for path in json.loads((scratch / _OBSOLETE).read_text(encoding="utf-8")):
        (folder / path).unlink(missing_ok=True)
    for path in sorted(scratch.rglob("*")):
        place = path.relative_to(scratch)
        if path.is_symlink() or path.is_dir() or place.as_posix() in (MANIFEST, _ASIDE, _OBSOLETE):
            continue
        (folder / place).parent.mkdir(exist_ok=True)
        path.replace(folder / place)
    (scratch / MANIFEST).replace(folder / MANIFEST)


def _check(folder: Path, scratch: Path) -> None:
    content = read_manifest(scratch)
    for entry in (*content["layers"], *content["files"]):
        waiting, placed = scratch / entry["file"], folder / entry["file"]
        path = placed if waiting.is_symlink() or not waiting.exists() else waiting
        if not path.is_file() or checksum(path) != entry["sha256"]:
            raise InputError(
                path,
                required="the file that the change of the result, which was cut short, had made",
                found="another one" if path.is_file() else "no such file",
                remedy="Run the processing again, with --overwrite",
            )
