"""Frozen dataclasses of arrays and plain values in one file each, for results that are kept until a run is finished."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

Record = TypeVar("Record")

_PLAIN = "plain"


def write_record(path: Path, record: Any) -> None:
    """Write a dataclass of arrays, and of values that JSON can hold, under a temporary name until it is whole."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    plain = json.dumps({name: value for name, value in values.items() if name not in arrays})
    partial = path.with_name(f".{path.name}")
    with partial.open("wb") as sink:
        np.savez(sink, allow_pickle=False, **{_PLAIN: np.array(plain)}, **arrays)
    partial.replace(path)


def read_record(path: Path, kind: type[Record]) -> Record:
    """Read what `write_record` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        plain = json.loads(str(stored[_PLAIN]))
        arrays = {name: stored[name] for name in stored.files if name != _PLAIN}
    return kind(**plain, **arrays)
