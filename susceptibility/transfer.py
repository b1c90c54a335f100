"""A trained bundle applied to another area or date: the map, and how far it can be believed there.

Nothing is learned here: scaling, classes and calibration are those of the bundle, so that a row has the same answer
whatever else lies in the area.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from insar.layers import LayerDefinition, write_layer
from susceptibility.dataset import Dataset
from susceptibility.ensemble import RowPredictions, predict_rows
from susceptibility.errors import InputError, OptionError
from susceptibility.factor_rasters import FactorRaster, align_factors, find_factors, map_grid
from susceptibility.publishing import checksum, write_text
from susceptibility.trained import Trained
from susceptibility.training_range import (
    APPLICABLE,
    APPLICABLE_MEANING,
    OUT_OF_RANGE,
    UNLIKE,
    RangeCounts,
    RangeSummary,
    add_counts,
)
from susceptibility.unit_map import PREDICTED
from susceptibility.workers import Progress, run_in_threads

logger = logging.getLogger(__name__)

KIND = "susceptibility prediction"
"""What the file beside a map says it is."""

LARGEST_RESOLUTION_RATIO = 1.5
"""Pixels larger or smaller than those of the training by more than that are warned about."""

_WARNED_SHARE = 0.05  # of rows out of the range of a factor
_WINDOWED = {"relief", "roughness", "tpi"}
_DRAINAGE = {"flow_accumulation", "twi", "log_spi", "ksn", "ksn_density", "drainage_density", "distance_to_river"}


@dataclass(frozen=True, slots=True)
class TransferSummary:
    """What came of a prediction.

    Attributes
    ----------
    model
        Name of the bundle, and why it was taken where it was not named.
    files
        Written, the map first.
    rows, predicted
        Rows of the area, and those with a prediction.
    out_of_range, unlike
        Predicted rows with any factor out of the training range, and outside the area of applicability (None without).
    ranges
        Counts by factor.
    warnings
        What a reader must know.
    """

    model: str
    files: tuple[Path, ...]
    rows: int
    predicted: int
    out_of_range: int
    unlike: int | None
    ranges: RangeSummary
    warnings: tuple[str, ...]

    def lines(self) -> list[str]:
        """Text for the terminal, to which warnings have been logged."""
        share = 100.0 / max(self.predicted, 1)
        text = [
            self.model,
            f"{self.predicted} of {self.rows} rows predicted ({100.0 * self.predicted / self.rows:.1f} %)",
        ]
        text.append(f"{self.out_of_range} of them ({share * self.out_of_range:.1f} %) beyond the training range")
        if self.unlike is not None:
            text.append(f"{self.unlike} of them ({share * self.unlike:.1f} %) outside the area of applicability")
        for entry in self.ranges.as_rows():
            outside = entry["share_out_of_range"]
            if outside:
                text.append(
                    f"  {entry['feature']}: {entry['below_training']} below, {entry['above_training']} above, "
                    f"{entry['unseen_class'] or 0} of unseen classes ({100.0 * outside:.1f} % of known rows)"
                )
        return [*text, *map(str, self.files)]


def predict_from_factors(
    trained: Trained,
    factors: Path,
    output: Path,
    *,
    insar: Path | None = None,
    like: Path | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> TransferSummary:
    """Predict the cells of another area from a folder of rasters.

    Parameters
    ----------
    trained
        From a bundle.
    factors, insar
        Where the rasters are, see `susceptibility.factor_rasters.find_factors`.
    output
        Map to write, ``.tif``; see `predict_dataset`.
    like
        Raster whose grid the map is made on; None for that of the slope, else of the first feature.
    overwrite, workers, progress
        As in `predict_dataset`.
    """
    _check_output(output, overwrite=overwrite)
    found, warnings = find_factors(trained.schema, factors, insar=insar)
    grid = map_grid(found, like)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.stem}-", dir=output.parent) as work:
        data, unseen = align_factors(found, grid, Path(work) / "factors", progress)
        return predict_dataset(
            trained,
            data,
            output,
            unseen=unseen,
            warnings=warnings,
            inputs={raster.feature.name: _described(raster) for raster in found},
            overwrite=overwrite,
            workers=workers,
            progress=progress,
        )


def predict_dataset(
    trained: Trained,
    data: Dataset,
    output: Path,
    *,
    unseen: Mapping[str, Mapping[str, int]] | None = None,
    warnings: Sequence[str] = (),
    inputs: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> TransferSummary:
    """Predict every unit of an area.

    Parameters
    ----------
    trained
        From a bundle.
    data
        With the features of the bundle, in its order, from `align_factors` or `match_dataset`.
    output
        Map to write, ``.tif``. Beside it are written ``<name>_std.tif`` with several models,
        ``<name>_applicable.tif``, and ``<name>.json`` with counts, provenance, checksums and warnings. All appear when
        all are whole, the last one at the end.
    unseen
        Rows of each class that the bundle does not know, by feature and label.
    warnings, inputs
        Of what came before, for the file of counts.
    overwrite
        Whether a map that is there is replaced.
    workers, progress
        As in `predict_rows`; the map does not depend on `workers`.

    Raises
    ------
    OptionError
        The map is there, or is not to be a ``.tif``.
    InputError
        No row can be predicted.
    """
    _check_output(output, overwrite=overwrite)
    grid = data.grid
    if grid is None:
        raise OptionError(
            "map", required="units on a grid", found="a table that was given", remedy="Give rasters or a recipe of them"
        )
    names = [feature.name for feature in trained.schema]
    tell = progress or _ignore
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.stem}-", dir=output.parent) as work:
        staging = Path(work)
        predicted = predict_rows(
            trained.models,
            lambda rows: data.matrix(rows, names),
            data.count,
            staging / "rows",
            workers=workers,
            progress=lambda done, total: tell("predicting", done, total),
        )
        known = int(np.count_nonzero(np.isfinite(predicted.probability)))
        if known == 0:
            raise InputError(
                "features of the area",
                required="at least one unit where every feature is known",
                found="none" + _emptiest(data, names),
                remedy="Check that all rasters cover the same area",
            )
        classes, ranges = _judge(trained, data, names, predicted, workers)
        told = list(dict.fromkeys([*warnings, *_warnings(trained, data, ranges, unseen or {}, known)]))
        files = _write(trained, data, grid, predicted, classes, staging, output)
        unlike = None if trained.applicability is None else int(np.count_nonzero(classes == UNLIKE))
        content = _content(trained, data, grid, predicted, ranges, unseen or {}, told, inputs or {}, files, classes)
        write_text(staging / f"{output.stem}.json", json.dumps(content, indent=2, allow_nan=False) + "\n")
        published = _publish([*files, staging / f"{output.stem}.json"], output)
    for warning in told:
        logger.warning("%s", warning)
    model = str((trained.origin or {}).get("chosen") or trained.name)
    return TransferSummary(model, published, data.count, known, ranges.outside, unlike, ranges, tuple(told))


def _judge(
    trained: Trained, data: Dataset, names: Sequence[str], predicted: RowPredictions, workers: int | None
) -> tuple[NDArray[np.uint8], RangeSummary]:
    """Class of applicability of each row (row,), and counts by factor."""
    classes = np.zeros(data.count, np.uint8)

    def judge(rows: slice) -> RangeCounts:
        X = data.matrix(rows, names)
        counts = trained.training.count(X)
        found = np.where(counts.outside, OUT_OF_RANGE, APPLICABLE).astype(np.uint8)
        if trained.applicability is not None:
            columns = X if trained.transform is None else trained.transform(X)
            found[~trained.applicability.is_applicable(trained.applicability.dissimilarity(columns))] = UNLIKE
        is_known = np.isfinite(predicted.probability[rows])
        found[~is_known] = 0
        classes[rows] = found
        return replace(counts, outside=counts.outside & is_known)

    blocks = list(data.blocks())
    counted = run_in_threads([partial(judge, rows) for rows in blocks], workers=workers)
    return classes, add_counts(trained.schema, counted)


def _warnings(
    trained: Trained, data: Dataset, ranges: RangeSummary, unseen: Mapping[str, Mapping[str, int]], known: int
) -> list[str]:
    warnings = []
    quantities = [number for number, feature in enumerate(trained.schema) if not feature.is_class]
    if quantities and np.isnan(trained.training.lowest[quantities]).all():
        warnings.append("the bundle does not say what values it was trained on; none is counted as out of range")
    if trained.unit_kind is not None and trained.unit_kind != data.kind:
        warnings.append(
            f"trained on units of kind {trained.unit_kind}, predicted for {data.kind}: factors of larger units are "
            "smoother, and the map may be biased"
        )
    grid = data.grid
    if grid is not None and trained.resolution_m is None:
        warnings.append("the bundle does not say at what resolution it was trained; slopes depend on it")
    elif grid is not None and trained.resolution_m is not None:
        here = math.sqrt(grid.resolution[0] * grid.resolution[1])
        ratio = max(here / trained.resolution_m, trained.resolution_m / here)
        if ratio > LARGEST_RESOLUTION_RATIO:
            warnings.append(
                f"cells of {here:g} m where the model was trained on {trained.resolution_m:g} m: slope, curvature and "
                "relief depend on the resolution, and are other numbers here for the same ground"
            )
    for number, feature in enumerate(trained.schema):
        share = ranges.share(number, ranges.below + ranges.above)
        if share is not None and share > _WARNED_SHARE:
            warnings.append(
                f"{feature.name}: {100.0 * share:.1f} % of rows are beyond what the model was trained on "
                f"({trained.training.lowest[number]:g} to {trained.training.highest[number]:g} {feature.unit})"
            )
    for name, labels in unseen.items():
        listed = ", ".join(f"{label} ({count})" for label, count in labels.items())
        warnings.append(f"{name}: classes that the model does not know, with their rows: {listed}")
    windowed = sorted({feature.name for feature in trained.schema} & (_WINDOWED | _DRAINAGE))
    if windowed:
        warnings.append(
            f"{', '.join(windowed)}: must be made with the windows and drainage options of the training, which rasters "
            "do not tell"
        )
    if known < 0.5 * data.count:
        warnings.append(f"{100.0 * known / data.count:.1f} % of rows alone have a prediction; the others lack a factor")
    return warnings


def map_definitions(trained: Trained) -> tuple[LayerDefinition, LayerDefinition]:
    """What the map and its spread are, named and described as the maps of a run."""
    main = PREDICTED[trained.target]
    several = "over models trained on different draws"
    if len(trained.models) == 1:
        return main, main
    middle = replace(main, description=f"Median {several}, of: {main.description}")
    described = f"Standard deviation {several}, of: {main.description}"
    return middle, replace(main, name=f"{main.name}_std", description=described)


def _write(
    trained: Trained,
    data: Dataset,
    grid: Grid,
    predicted: RowPredictions,
    classes: NDArray[np.uint8],
    staging: Path,
    output: Path,
) -> list[Path]:
    middle, spread = map_definitions(trained)
    tags = {"MODEL": trained.name, "FEATURES": " ".join(feature.name for feature in trained.schema)}
    applicable = LayerDefinition("applicable", "class", APPLICABLE_MEANING, dtype="uint8", nodata=0)
    written = [staging / output.name]
    write_layer(written[0], data.paint(np.asarray(predicted.probability)), grid, middle, tags=tags)
    if predicted.std is not None:
        written.append(staging / f"{output.stem}_std.tif")
        write_layer(written[-1], data.paint(np.asarray(predicted.std)), grid, spread, tags=tags)
    written.append(staging / f"{output.stem}_applicable.tif")
    write_layer(written[-1], data.paint(classes, np.uint8(0)), grid, applicable, tags=tags)
    return written


def _content(
    trained: Trained,
    data: Dataset,
    grid: Grid,
    predicted: RowPredictions,
    ranges: RangeSummary,
    unseen: Mapping[str, Mapping[str, int]],
    warnings: Sequence[str],
    inputs: Mapping[str, Any],
    files: Sequence[Path],
    classes: NDArray[np.uint8],
) -> dict[str, Any]:
    values = predicted.probability[np.isfinite(predicted.probability)].astype(np.float64)
    return {
        "kind": KIND,
        "bundle": {"name": trained.name, "models": len(trained.models), **(trained.origin or {})},
        "task": trained.task.value,
        "target": trained.target,
        "units": data.kind,
        "grid": {"rows": grid.rows, "cols": grid.cols, "transform": list(grid.transform)[:6], "crs": grid.crs},
        "rows": data.count,
        "predicted": int(values.size),
        "mean": math.fsum(values) / values.size,
        "applicability": {
            "applicable": int(np.count_nonzero(classes == APPLICABLE)),
            "out_of_range": ranges.outside,
            "outside_area_of_applicability": None
            if trained.applicability is None
            else int(np.count_nonzero(classes == UNLIKE)),
            "threshold": None if trained.applicability is None else float(trained.applicability.threshold_),
        },
        "factors": ranges.as_rows(),
        "unseen_classes": {name: dict(labels) for name, labels in unseen.items()},
        "inputs": dict(inputs),
        "warnings": list(warnings),
        "files": {path.name: {"bytes": path.stat().st_size, "sha256": checksum(path)} for path in files},
    }


def _publish(staged: Sequence[Path], output: Path) -> tuple[Path, ...]:
    """Move whole files to their places, the one that lists them last; what an earlier map had besides goes."""
    listing = output.with_suffix(".json")
    listing.unlink(missing_ok=True)
    names = {path.name for path in staged}
    for name in (f"{output.stem}_std.tif", f"{output.stem}_applicable.tif"):
        if name not in names:
            output.with_name(name).unlink(missing_ok=True)
    targets = []
    for path in staged:
        target = output.with_name(path.name)
        shutil.move(path, target)
        targets.append(target)
    return tuple(targets)


def _check_output(output: Path, *, overwrite: bool) -> None:
    if output.suffix.lower() not in {".tif", ".tiff"}:
        raise OptionError("--output", required="a name that ends in .tif", found=str(output), remedy="Correct it")
    if output.exists() and not overwrite:
        raise OptionError(
            output, required="a file that is not there yet", found="one that is", remedy="Add --overwrite to replace it"
        )


def _described(raster: FactorRaster) -> dict[str, Any]:
    return {
        "file": raster.path.name,
        "sha256": checksum(raster.path),
        "unit": raster.unit,
        "absolute": raster.absolute,
    }


def _emptiest(data: Dataset, names: Sequence[str]) -> str:
    known = {name: sum(int(np.isfinite(data.columns[name](rows)).sum()) for rows in data.blocks()) for name in names}
    least = min(known, key=known.__getitem__)
    return f"; '{least}' is known in {known[least]} of {data.count}"


def _ignore(_what: str, _done: int, _total: int) -> None:
    """Stand in for a progress callback."""
