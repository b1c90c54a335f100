"""Tables of rows as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from susceptibility.publishing import write_text


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows of the same keys; NaN as an empty field."""
    text = io.StringIO(newline="")
    writer: csv.DictWriter[str] | None = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(text, list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow({key: "" if is_nan(value) else value for key, value in row.items()})
    write_text(path, text.getvalue())


def is_nan(value: Any) -> bool:
    """Whether a value is a number that is unknown."""
    return isinstance(value, float) and math.isnan(value)
