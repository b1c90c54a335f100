"""Results of `insar` with a given time series, its layers fitted by `insar` itself."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from insar.grid import Grid
from insar.layers import layer_definition, write_layer
from insar.rates import RateFitter
from insar.timefunctions import parse_model

FOLLOWED = ("cumulative_displacement", "velocity", "velocity_std", "velocity_recent", "acceleration")


def write_result(folder: Path, series: np.ndarray, dates: tuple[date, ...], grid: Grid, **configuration: Any) -> Path:
    """A result as `insar run` leaves it: layers by its own fit, the series in its own format."""
    (folder / "layers").mkdir(parents=True)
    with h5py.File(folder / "timeseries.h5", "w") as sink:
        sink["timeseries"] = series
        sink["date"] = np.array([f"{day:%Y%m%d}" for day in dates], dtype="S8")
        sink.attrs.update(
            UNIT="m",
            X_FIRST=str(grid.transform.c),
            Y_FIRST=str(grid.transform.f),
            X_STEP=str(grid.transform.a),
            Y_STEP=str(grid.transform.e),
            CRS=grid.crs,
        )
    fitter = RateFitter(dates, model=parse_model(configuration.get("model", "linear")))
    layers = fitter.fit(series).layers | {"cumulative_displacement": series[-1]}
    for name, values in layers.items():
        if name in FOLLOWED:
            write_layer(folder / "layers" / f"{name}.tif", values, grid, layer_definition(name))
    settings = {"model": "linear", "recent_days": 60.0, "uncertainty": "residual"} | configuration
    (folder / "manifest.json").write_text(json.dumps({"layers": [], "configuration": settings}))
    return folder
