"""Susceptibility through time on disk: a map for each epoch, what changed, tables, places, pictures and the page."""

from __future__ import annotations

import csv
import io
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from insar.layers import LayerDefinition, write_layer
from susceptibility.backdrop import UnitBackdrop
from susceptibility.class_bounds import ClassBounds
from susceptibility.dataset import Dataset
from susceptibility.ensemble import Predictor
from susceptibility.errors import OptionError
from susceptibility.figures_track import draw_change, draw_epochs, draw_places
from susceptibility.motion import MotionOptions
from susceptibility.publishing import staged_folder, write_manifest, write_text
from susceptibility.rising import write_rising
from susceptibility.storage import read_raster
from susceptibility.track_report import findings, write_track_report
from susceptibility.tracking import Track, TrackOptions, track_susceptibility
from susceptibility.unit_map import PREDICTED
from susceptibility.workers import Progress

KIND = "susceptibility track"
"""What the manifest of a result says it is."""


@dataclass(frozen=True, slots=True)
class TrackedModel:
    """What is asked of every epoch.

    Attributes
    ----------
    name
        Of the model with its feature set, ``<model>_<feature set>``.
    models
        Fitted on the features `names`.
    names
        Features, in order.
    bounds
        Of the classes.
    target
        What is predicted, one of `susceptibility.unit_map.PREDICTED`.
    """

    name: str
    models: Sequence[Predictor]
    names: tuple[str, ...]
    bounds: ClassBounds
    target: str = "landslide"


def write_track(
    tracked: TrackedModel,
    data: Dataset,
    result: Path,
    output: Path,
    *,
    title: str = "study",
    elevation: Path | None = None,
    options: TrackOptions | None = None,
    motion: MotionOptions | None = None,
    provenance: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> list[str]:
    """Track a model through the epochs of a result of `insar`, and write the result folder.

    Parameters
    ----------
    tracked
        The model.
    data
        Of the recipe, joined from `result`; units on a grid.
    result
        Folder of `insar` with a time series.
    output
        Result folder, new or empty; untouched unless all goes well.
    title
        Of the study.
    elevation
        Raster of elevations on the study grid, for pictures.
    options, motion, workers, progress
        As in `track_susceptibility`.
    provenance
        Of the manifest, as JSON can hold it.
    overwrite
        Whether a former track there is replaced.

    Returns
    -------
    list of str
        What changed, in words. What a reader must know is logged, and in the report.

    Raises
    ------
    SusceptibilityError
        The input or the options are wrong.
    """
    chosen = options or TrackOptions()
    grid = data.grid
    if grid is None:
        raise OptionError(
            "map at every epoch", required="units on a grid", found="a table that was given", remedy="Give rasters"
        )
    with staged_folder(output, KIND, overwrite=overwrite) as folder:
        work = folder / ".work"
        work.mkdir()
        track = track_susceptibility(
            tracked.models, data, tracked.names, result, work, tracked.bounds,
            options=chosen, motion=motion, workers=workers, progress=progress,
        )  # fmt: skip
        _write_maps(folder, track, tracked, data, grid)
        write_text(folder / "track.csv", _csv(track, tracked.bounds))
        write_rising(folder / "rising.gpkg", track.rising, data)
        captions = _draw(folder / "figures", track, tracked, data, elevation)
        write_track_report(
            folder / "report.html",
            track,
            title=title,
            name=tracked.name,
            threshold=chosen.threshold,
            class_labels=tracked.bounds.labels,
            figures=captions,
        )
        content = _content(track, tracked, chosen, provenance or {})
        told = findings(track, chosen.threshold)
        del track
        shutil.rmtree(work)
        write_manifest(folder, KIND, content)
    return told


def _write_maps(folder: Path, track: Track, tracked: TrackedModel, data: Dataset, grid: Grid) -> None:
    main = PREDICTED[tracked.target]
    for number, day in enumerate(track.epochs):
        place = folder / "maps" / f"{day:%Y%m%d}"
        place.mkdir(parents=True)
        tags = {"MODEL": tracked.name, "EPOCH": f"{day:%Y-%m-%d}"}

        def write(name: str, description: str, values: NDArray[np.float32], at: Path, tags: dict[str, str]) -> None:
            definition = replace(main, name=name, description=description)
            write_layer(at / f"{name}.tif", data.paint(values), grid, definition, tags=tags)

        write(main.name, f"At {day:%Y-%m-%d}: {main.description}", np.asarray(track.probability[number]), place, tags)
        if track.std is not None:
            said = f"At {day:%Y-%m-%d}: standard deviation over models trained on different draws"
            write(f"{main.name}_std", said, np.asarray(track.std[number]), place, tags)
    span = f"from {track.epochs[0]:%Y-%m-%d} to {track.epochs[-1]:%Y-%m-%d}"
    tags = {"MODEL": tracked.name, "EPOCHS": f"{track.epochs[0]:%Y-%m-%d} {track.epochs[-1]:%Y-%m-%d}"}
    change = LayerDefinition("change", main.unit, f"Change {span} of: {main.description}", "positive where it rose")
    write_layer(folder / "change.tif", data.paint(track.change), grid, change, tags=tags)
    for number, layer in enumerate(track.layers):
        name = f"change_by_{layer}"
        definition = LayerDefinition(
            name, main.unit, f"Part of the change {span} that {layer} made; unknown where it changed too little",
            "positive where it raised the prediction",
        )  # fmt: skip
        write_layer(
            folder / f"{name}.tif", data.paint(np.asarray(track.contributions[number])), grid, definition, tags=tags
        )
    classes = np.where(track.driver >= 0, track.driver + 2, 1).astype(np.uint8)
    classes[~np.isfinite(track.change)] = 0
    meaning = "; ".join(f"{number} {layer}" for number, layer in enumerate(track.layers, start=2))
    driver = LayerDefinition(
        "driver", "class", f"Layer that moved it most {span}: 1 none, it changed too little; {meaning}; 0 unknown",
        dtype="uint8", nodata=0,
    )  # fmt: skip
    write_layer(folder / "driver.tif", data.paint(classes, np.uint8(0)), grid, driver, tags=tags)


def _csv(track: Track, bounds: ClassBounds) -> str:
    labels = [label.replace(" ", "_") for label in bounds.labels]
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(
        ["date", "dates_used", "predicted", "area_km2", "mean"]
        + [f"{label}_km2" for label in labels]
        + ["landslides", "landslide_mean", "landslides_in_highest_class"]
        + ["rose", "rose_km2", "fell", "fell_km2", "rose_since_previous", "fell_since_previous"]
        + [f"moved_by_{layer}" for layer in track.layers]
    )
    for row in track.table:
        values = [row.area_km2, row.mean, *row.class_km2]
        writer.writerow(
            [f"{row.date:%Y-%m-%d}", row.dates_used, row.predicted]
            + [_number(value) for value in values]
            + [row.landslides, _number(row.landslide_mean), _number(row.landslides_in_highest)]
            + [row.rose, _number(row.rose_km2), row.fell, _number(row.fell_km2)]
            + [row.rose_since_previous, row.fell_since_previous]
            + [row.drivers[layer] for layer in track.layers]
        )
    return sink.getvalue()


def _draw(folder: Path, track: Track, tracked: TrackedModel, data: Dataset, elevation: Path | None) -> dict[Path, str]:
    folder.mkdir()
    relief = np.full((data.grid or Grid.radar(1, 1)).shape, np.nan, np.float32)
    if elevation is not None:
        relief, _ = read_raster(elevation)
    backdrop = UnitBackdrop(data, relief)
    label = PREDICTED[tracked.target].name.replace("_", " ")
    highest = None if tracked.target == "number_density" else 1.0
    captions = {
        folder / "epochs.png": "The same model with what InSAR knew at each date.",
        folder / "change.png": "Left: change between the first and the last epoch; numbers are the places below. "
        "Right: the layer that did most of it, where the change reached the threshold, with the number of units.",
    }
    draw_epochs(folder / "epochs.png", track, backdrop, label=label, highest=highest)
    draw_change(folder / "change.png", track, backdrop, label=f"change of {label}")
    if track.rising.places:
        captions[folder / "places.png"] = "Means over the places that rose most, at every epoch."
        draw_places(folder / "places.png", track, label=label)
    return captions


def _content(
    track: Track, tracked: TrackedModel, options: TrackOptions, provenance: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "model": tracked.name,
        "target": tracked.target,
        "epochs": [f"{day:%Y-%m-%d}" for day in track.epochs],
        "skipped": {f"{day:%Y-%m-%d}": reason for day, reason in track.skipped.items()},
        "layers": list(track.layers),
        "constant_features": list(track.constant),
        "threshold": options.threshold,
        "least_dates": options.least_dates,
        "every": options.every,
        "places": track.rising.count,
        "difference_from_layers": {
            name: {"largest": largest, "rows_known_in_one": alone}
            for name, (largest, alone) in track.differences.items()
        },
        "warnings": list(track.warnings),
        **provenance,
    }


def _number(value: float) -> str:
    return "" if math.isnan(value) else repr(float(f"{value:.10g}"))
