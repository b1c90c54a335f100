"""Tables of a result: metrics, comparisons, importance, classes, and the cells models were trained on."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from susceptibility.classes import ClassRow
from susceptibility.dataset import Dataset
from susceptibility.design import Candidate
from susceptibility.evaluation import ComparisonRow, MetricRow
from susceptibility.explanations import ImportanceRow
from susceptibility.partitions import Partition
from susceptibility.publishing import write_text
from susceptibility.sampling import Sample
from susceptibility.table import Column, UnitRows, build_table
from susceptibility.table_files import write_table as write_unit_table


def write_metrics(
    folder: Path,
    metrics: Sequence[MetricRow],
    comparisons: Sequence[ComparisonRow],
    classes: Mapping[Candidate, Sequence[ClassRow]],
    context: Mapping[str, Any],
) -> None:
    """Write ``metrics.json``, ``metrics.csv``, ``comparisons.csv`` and ``classes.csv``.

    `context` is what the numbers must be read with: prevalence, counts of cells, schemes.
    """
    compared = [flat_comparison(row) for row in comparisons]
    classed = [candidate._asdict() | asdict(row) for candidate, rows in classes.items() for row in rows]
    measured = [asdict(row) for row in metrics]
    content = {**context, "metrics": measured, "comparisons": compared, "classes": classed}
    write_text(folder / "metrics.json", json.dumps(_without_nan(content), indent=2, allow_nan=False) + "\n")
    write_csv(folder / "metrics.csv", measured)
    if compared:
        write_csv(folder / "comparisons.csv", compared)
    write_csv(folder / "classes.csv", classed)


def flat_comparison(row: ComparisonRow) -> dict[str, Any]:
    """One row of ``comparisons.csv``."""
    return {
        "model": row.model,
        "scheme": row.scheme,
        "baseline": row.baseline,
        "candidate": row.candidate,
        **asdict(row.difference),
        "verdict": row.verdict,
    }


def write_importance(path: Path, rows: Sequence[ImportanceRow]) -> None:
    """Write ``importance.csv``: what each feature, and each group of features, is to each model."""
    write_csv(path, [asdict(row) for row in rows])


def write_table(path: Path, data: Dataset, samples: Sequence[Sample], provenance: Mapping[str, Any]) -> None:
    """Write every row that is in a sample once, with its place, target, features and the number of draws it is in.

    `path` ends in ``.parquet``; see `susceptibility.table_files` for the format.
    """
    rows = np.unique(np.concatenate([sample.cells for sample in samples]))
    target = np.zeros(rows.size)
    draws = np.zeros(rows.size, np.int32)
    for sample in samples:
        positions = np.searchsorted(rows, sample.cells)
        target[positions] = sample.target
        draws[positions] += 1
    places = data.places(rows)
    units = UnitRows(
        data.kind, data.crs, rows.size, data.number(rows), places[:, 0], places[:, 1], data.area_m2(rows)
    )  # fmt: skip
    values = data.matrix(rows, data.names)
    columns = [
        Column("target", "", "What models were fitted to", target, "target", "float64"),
        Column("draws", "count", "Samples that the unit is in", draws, "target", "int32"),
        *(
            Column(feature.name, feature.unit, feature.description, values[:, index], group=feature.group, sign=feature.sign)
            for index, feature in enumerate(data.schema)
        ),
    ]
    write_unit_table(build_table(units, columns, provenance), path)


def write_folds(path: Path, data: Dataset, samples: Sequence[Sample], partitions: Sequence[Partition]) -> None:
    """Write ``folds.gpkg``: centroids of the sampled units of each draw, with the fold that tests each, from 1.

    Fields are ``draw``, ``unit``, ``target`` and one for each split, named after scheme and repeat; 0 where a unit is
    never tested, -1 where it takes no part.
    """
    import shapely

    rows = np.concatenate([sample.cells for sample in samples])
    columns: dict[str, NDArray[Any]] = {
        "draw": np.concatenate([np.full(sample.cells.size, sample.draw, np.int32) for sample in samples]),
        "unit": np.asarray(data.number(rows), np.int64),
        "target": np.concatenate([sample.target for sample in samples]).astype(np.float64),
    }
    of_draw: dict[str, dict[int, NDArray[np.intp]]] = {}
    for partition in partitions:
        name = f"{partition.scheme.replace('-', '_')}_{partition.repeat + 1}"
        of_draw.setdefault(name, {})[partition.draw] = partition.fold
    for name, folds in of_draw.items():
        columns[name] = np.concatenate([folds[sample.draw] for sample in samples]).astype(np.int32) + 1
    write_points(path, "units", shapely.points(data.places(rows)), columns, data.crs)


def write_points(path: Path, layer: str, points: NDArray[np.object_], columns: Mapping[str, Any], crs: str) -> None:
    """Write points as a GeoPackage that is the same, to the byte, each time."""
    import pyogrio
    import pyogrio.raw
    import shapely

    partial = path.with_name(f".{path.name}")  # GDAL tells the format by the suffix
    # Without it the file holds the time of its making, and is another one each time.
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "1970-01-01T00:00:00.000Z"})
    try:
        pyogrio.raw.write(
            partial,
            shapely.to_wkb(points),
            list(columns.values()),
            list(columns),
            geometry_type="Point",
            crs=crs,
            driver="GPKG",
            layer=layer,
        )
        partial.replace(path)
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
        partial.unlink(missing_ok=True)


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows of the same keys; NaN as an empty field."""
    text = io.StringIO(newline="")
    writer: csv.DictWriter[str] | None = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(text, list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow({key: "" if _is_nan(value) else value for key, value in row.items()})
    write_text(path, text.getvalue())


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(entry) for entry in value]
    return None if _is_nan(value) else value
