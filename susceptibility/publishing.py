"""A result folder that is whole or not there: it is built beside its place and moved in when finished."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from susceptibility.errors import OptionError

MANIFEST = "manifest.json"


@contextmanager
def staged_folder(output: Path, kind: str, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a folder to write a result into; it takes its final name only when all went well.

    Parameters
    ----------
    output
        Final name: a folder that is not there, or an empty one.
    kind
        What the manifest says the result is.
    overwrite
        Whether `output` may be a former result of the same kind, whose files are replaced; files that others put
        there stay.

    Raises
    ------
    OptionError
        `output` is a file, a folder of something else, or a former result that may not be replaced.
    """
    former = _former_files(output, kind, overwrite=overwrite)
    output.parent.mkdir(parents=True, exist_ok=True)
    staging = output.parent / f".{output.name}.partial"
    shutil.rmtree(staging, ignore_errors=True)  # of a run that was killed
    staging.mkdir()
    try:
        yield staging
        _publish(staging, output, former)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def write_manifest(folder: Path, kind: str, content: dict[str, Any]) -> None:
    """Write ``manifest.json`` of a finished folder, with the checksum of every file in it."""
    outputs = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": checksum(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    write_text(folder / MANIFEST, json.dumps({"kind": kind, **content, "files": outputs}, indent=2) + "\n")


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def write_text(path: Path, content: str) -> None:
    """Write a text file under a temporary name, then give it its own."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(content, encoding="utf-8")
    partial.replace(path)


def _former_files(output: Path, kind: str, *, overwrite: bool) -> list[Path]:
    """Files of a former result in a folder that may be replaced, the manifest first."""
    if not output.exists():
        return []
    required = "a new or an empty folder, or with --overwrite a former result of the same command"
    remedy = "Name another folder"
    if not output.is_dir():
        raise OptionError(output, required=required, found="a file", remedy=remedy)
    if not any(output.iterdir()):
        return []
    manifest = output / MANIFEST
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        content = None
    if not isinstance(content, dict) or content.get("kind") != kind or not isinstance(content.get("files"), dict):
        raise OptionError(output, required=required, found="a folder of other files", remedy=remedy)
    if not overwrite:
        raise OptionError(output, required=required, found="a former result", remedy="Add --overwrite to replace it")
    root = output.resolve()
    named = [root / str(name) for name in content["files"]]
    return [manifest, *(path for path in named if root in path.resolve().parents)]


def _publish(staging: Path, output: Path, former: list[Path]) -> None:
    if not output.exists():
        staging.replace(output)
        return
    # The manifest goes first and comes last: a folder with a manifest is whole.
    for path in former:
        path.unlink(missing_ok=True)
    for path in sorted({path.parent for path in former}, key=lambda path: len(path.parts), reverse=True):
        if path not in {output, output.resolve()} and path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    files = [path for path in staging.rglob("*") if path.is_file()]
    for path in sorted(files, key=lambda path: path.name == MANIFEST):
        target = output / path.relative_to(staging)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
