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

from susceptibility.evaluation import Candidate, ComparisonRow, ImportanceRow, MetricRow
from susceptibility.features import FeatureStore
from susceptibility.mapping import ClassRow
from susceptibility.publishing import write_text
from susceptibility.sampling import Sample
from susceptibility.validation import Partition


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


def write_importance(path: Path, rows: Sequence[ImportanceRow], store: FeatureStore) -> None:
    """Write ``importance.csv``: each feature with its unit and the group it comes from."""
    features = {feature.name: feature for feature in store.features}
    write_csv(
        path,
        [asdict(row) | {"unit": features[row.feature].unit, "group": features[row.feature].group} for row in rows],
    )


def write_table(path: Path, store: FeatureStore, samples: Sequence[Sample]) -> None:
    """Write ``table.csv``: every cell that is in a sample once, with the numbers of the draws it is in."""
    cells = np.unique(np.concatenate([sample.cells for sample in samples]))
    target = np.zeros(cells.size, np.uint8)
    draws: list[list[str]] = [[] for _ in cells]
    for sample in samples:
        positions = np.searchsorted(cells, sample.cells)
        target[positions] = sample.target
        for position in positions:
            draws[position].append(str(sample.draw))
    rows, cols = np.divmod(cells, store.grid.cols)
    places = store.coordinates_m(cells)
    values = store.read_cells(cells, store.names)
    write_csv(
        path,
        (
            {
                "cell": int(cell),
                "row": int(rows[index]),
                "col": int(cols[index]),
                "x": float(places[index, 0]),
                "y": float(places[index, 1]),
                "landslide": int(target[index]),
                "draws": " ".join(draws[index]),
            }
            | dict(zip(store.names, (f"{value:.9g}" for value in values[index]), strict=True))
            for index, cell in enumerate(cells)
        ),
    )


def write_folds(path: Path, store: FeatureStore, samples: Sequence[Sample], partitions: Sequence[Partition]) -> None:
    """Write ``folds.gpkg``: centres of the sampled cells of each draw, with the fold that tests each, from 1.

    Fields are ``draw``, ``cell``, ``landslide`` and one for each split, named after scheme and repeat.
    """
    import pyogrio
    import pyogrio.raw
    import shapely

    cells = np.concatenate([sample.cells for sample in samples])
    columns: dict[str, NDArray[Any]] = {
        "draw": np.concatenate([np.full(sample.cells.size, sample.draw, np.int32) for sample in samples]),
        "cell": cells.astype(np.int64),
        "landslide": np.concatenate([sample.target for sample in samples]).astype(np.int32),
    }
    of_draw: dict[str, dict[int, NDArray[np.intp]]] = {}
    for partition in partitions:
        name = f"{partition.scheme.replace('-', '_')}_{partition.repeat + 1}"
        of_draw.setdefault(name, {})[partition.draw] = partition.fold
    for name, folds in of_draw.items():
        columns[name] = np.concatenate([folds[sample.draw] for sample in samples]).astype(np.int32) + 1
    partial = path.with_name(f".{path.name}")  # GDAL tells the format by the suffix
    # Without it the file holds the time of its making, and is another one each time.
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "1970-01-01T00:00:00.000Z"})
    try:
        pyogrio.raw.write(
            partial,
            shapely.to_wkb(shapely.points(store.coordinates_m(cells))),
            list(columns.values()),
            list(columns),
            geometry_type="Point",
            crs=store.grid.crs,
            driver="GPKG",
            layer="cells",
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
