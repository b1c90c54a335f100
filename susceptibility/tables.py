"""Tables of a result: metrics, comparisons, importance, classes, and the cells models were trained on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from susceptibility.csv_files import is_nan, write_csv
from susceptibility.dataset import Dataset
from susceptibility.design import Candidate
from susceptibility.evaluation import ComparisonRow, Evaluation
from susceptibility.explanations import ImportanceRow
from susceptibility.geopackage import write_geopackage
from susceptibility.map_work import MappedCandidate
from susceptibility.models.learner import SusceptibilityModel
from susceptibility.outcome import Outcome
from susceptibility.partitions import Partition
from susceptibility.profiles import Profile
from susceptibility.publishing import write_text
from susceptibility.sampling import Sample
from susceptibility.table import Column, UnitRows, build_table
from susceptibility.table_files import write_table as write_unit_table


def write_metrics(folder: Path, outcome: Outcome, context: Mapping[str, Any]) -> None:
    """Write ``metrics.json``, ``metrics.csv``, ``comparisons.csv``, ``classes.csv`` and ``confusion.csv``.

    Of a search also ``search.csv``, of an ablation ``ablation.csv``. `context` is what the numbers must be read with:
    prevalence, counts of units, schemes.
    """
    compared = [flat_comparison(row) for row in outcome.comparisons]
    classed = [row for candidate, mapped in outcome.maps.items() for row in _class_rows(candidate, mapped)]
    measured = [asdict(row) for row in outcome.metrics]
    confusions = confusion_rows(outcome.evaluation)
    searched = search_rows(outcome.fitted)
    without = [
        {**candidate._asdict(), **asdict(row), "features": " ".join(row.features)}
        for candidate, rows in outcome.ablation.items()
        for row in rows
    ]
    found = {
        "plausibility": [
            {**candidate._asdict(), **asdict(finding)}
            for candidate, mapped in outcome.maps.items()
            for finding in mapped.findings
        ],
        "insar_errors": [
            {**candidate._asdict(), "std_of_map_mean": float(np.std(means, ddof=1))}
            for candidate, mapped in outcome.maps.items()
            if (means := mapped.predictions.insar_means) is not None
        ],
        "outside_area_of_applicability": [
            {**candidate._asdict(), "share": mapped.unlike_share} for candidate, mapped in outcome.maps.items()
        ],
    }
    content = {**context, "metrics": measured, "comparisons": compared, "classes": classed, **found}
    write_text(folder / "metrics.json", json.dumps(_without_nan(content), indent=2, allow_nan=False) + "\n")
    for name, rows in (
        ("metrics", measured), ("comparisons", compared), ("classes", classed), ("confusion", confusions),
        ("search", searched), ("ablation", without),
    ):  # fmt: skip
        if rows:
            write_csv(folder / f"{name}.csv", rows)


def _class_rows(candidate: Candidate, mapped: MappedCandidate) -> list[dict[str, Any]]:
    return [
        {**candidate._asdict(), **asdict(row), "held_out_share": held_out.landslide_share}
        for row, held_out in zip(mapped.classes.rows, mapped.held_out.rows, strict=True)
    ]


def confusion_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Held-out rows by what they are and what they are called, added up over folds, repeats and draws.

    At the fixed threshold, and at that which was chosen on the training rows of each fold, whose mean is stated.
    """
    found = []
    for (candidate, scheme), results in evaluation.folds.items():
        for place, name in enumerate(("fixed", "chosen")):
            each = [result.confusions[place] for result in results if np.isfinite(result.confusion[place, 0])]
            if each:
                counts = {
                    field: sum(getattr(confusion, field) for confusion in each)
                    for field in ("true_positives", "false_positives", "false_negatives", "true_negatives")
                }
                threshold = sum(confusion.threshold for confusion in each) / len(each)
                found.append(
                    {**candidate._asdict(), "scheme": scheme, "at": name, "threshold": threshold, **counts}
                )  # fmt: skip
    return found


def search_rows(fitted: Mapping[Candidate, Sequence[SusceptibilityModel]]) -> list[dict[str, Any]]:
    """Every combination of hyperparameters that was tried for each model, and which was chosen."""
    found = []
    for candidate, models in fitted.items():
        for draw, model in enumerate(models):
            for result in model.search_results_:
                row = result.as_dict()
                values = " ".join(f"{name}={value}" for name, value in result.values.items())
                kept = {name: row[name] for name in ("round", "rows", "metric", "mean", "std", "is_chosen")}
                found.append({**candidate._asdict(), "draw": draw, "values": values, **kept})
    return found


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
            Column(
                feature.name,
                feature.unit,
                feature.description,
                values[:, index],
                group=feature.group,
                sign=feature.sign,
                classes=feature.classes,
            )
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
    write_geopackage(path, "units", shapely.points(data.places(rows)), columns, kind="Point", crs=data.crs)


def write_profiles(path: Path, profiles: Mapping[str, Profile]) -> None:
    """Write profiles, by the name of the map: one row for each step."""
    write_csv(path, [{"map": name, **row} for name, profile in profiles.items() for row in profile.rows()])


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(entry) for entry in value]
    return None if is_nan(value) else value
