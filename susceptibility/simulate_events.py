"""Several simulated earthquakes, each in an area of its own, and one table of all, for models that predict the next."""

from __future__ import annotations

import csv
import io
import tempfile
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from susceptibility.errors import OptionError
from susceptibility.publishing import staged_folder, write_manifest, write_text
from susceptibility.simulate import simulate_study
from susceptibility.simulated_area import make_area
from susceptibility.simulation_options import SimulationOptions
from susceptibility.storage import align_raster
from susceptibility.units import aggregate_units, block_size
from susceptibility.usgs import usgs_landslide_map, write_usgs_map

KIND = "susceptibility simulation of events"
TABLE = "events.csv"
RECIPE = "paper_b_global"
UNIT_M = 200.0
"""Side of the units of the table, rounded to whole cells."""

COHERENCE = (
    "coherence_co",
    "coherence_loss",
    "boxcar_sibling",
    "coherence_post",
    "coherence_recovery",
    "coherence_change_sum",
    "coherence_change_max",
)
"""Layers whose means are columns of the table."""

_GAP_M = 4000.0  # between areas in the table: their own coordinates are the same
_SEED_STEP = 1000


def simulate_events(output: Path, options: SimulationOptions, events: int, *, overwrite: bool = False) -> Path:
    """Simulate an earthquake in each of several areas, and write one table of all their aggregate units.

    Parameters
    ----------
    output
        Folder for ``event_1/``, ``event_2/`` and so on, each a study of its own, ``events.csv`` and a recipe.
    options
        Of each area; their seeds are ``seed``, ``seed + 1000`` and so on.
    events
        How many, 2 or more.
    overwrite
        Whether a former simulation there is replaced.

    Returns
    -------
    Path
        The recipe, which tests on one event after training on the others.

    Raises
    ------
    OptionError
        There are too few events, or the folder holds something else.

    Notes
    -----
    Columns of the table: ``event``, ``x`` and ``y`` (m; areas are set side by side, which is no place on a map),
    ``area_m2``, ``areal_density`` (share that slides cover), ``usgs_probability`` and means of coherence layers.
    """
    if events < 2:
        raise OptionError("events", required="2 or more", found=str(events), remedy="Leave the option out for one")
    with staged_folder(output, KIND, overwrite=overwrite) as folder:
        rows: list[dict[str, object]] = []
        for number in range(events):
            own = replace(options, seed=options.seed + _SEED_STEP * number)
            study = folder / f"event_{number + 1}"
            simulate_study(study, own)
            rows += _rows_of(study, own, f"event_{number + 1}", number)
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(folder / TABLE, text.getvalue())
        recipe = resources.files("susceptibility") / "recipes" / f"{RECIPE}.toml"
        write_text(folder / f"{RECIPE}.toml", recipe.read_text(encoding="utf-8"))
        write_manifest(folder, KIND, {"events": events, "seed": options.seed})
    return output / f"{RECIPE}.toml"


def _rows_of(study: Path, options: SimulationOptions, event: str, number: int) -> list[dict[str, object]]:
    """Rows of the table for one area."""
    area = make_area(options)
    grid = area.landscape.grid
    units = aggregate_units(np.ones(grid.shape, np.bool_), grid, block_size(UNIT_M, grid))
    inside = units.labels.ravel() > 0  # blocks cut by the edge are in no unit
    unit = units.labels.ravel()[inside].astype(np.intp) - 1
    cells = np.bincount(unit, minlength=units.count)

    def means(values: NDArray[np.floating] | NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.bincount(unit, values.ravel()[inside].astype(np.float64), minlength=units.count) / cells

    columns = {"areal_density": means(area.slides.covered), "usgs_probability": means(_usgs_on(study, grid))}
    columns |= {name: means(area.layers[name]) for name in COHERENCE}
    centroid, area_m2 = units.centroids_m, units.area_m2
    west, _, east, _ = grid.bounds
    shift_m = number * (east - west + _GAP_M)
    return [
        {
            "event": event,
            "x": round(float(centroid[row, 0]) + shift_m, 2),
            "y": round(float(centroid[row, 1]), 2),
            "area_m2": round(float(area_m2[row]), 2),
            **{name: round(float(values[row]), 8) for name, values in columns.items()},
        }
        for row in range(units.count)
    ]


def _usgs_on(study: Path, grid: Grid) -> NDArray[np.float32]:
    """Probability of the USGS model on a grid (row, col)."""
    result = usgs_landslide_map(study / "ground_failure")
    with tempfile.TemporaryDirectory(prefix="usgs-") as folder:
        return align_raster(write_usgs_map(result, Path(folder))["usgs_probability"], grid)
