"""A finished result folder, as reports and figures read it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.errors import InputError
from insar.figures import NetworkPair
from insar.grid import Grid, RowCol
from insar.preview import LONGEST_SIDE, Preview, read_preview, read_values
from insar.quality import Quality
from insar.writers.manifest import NAME, read_manifest
from insar.writers.timeseries import TimeSeriesFile, read_timeseries

logger = logging.getLogger(__name__)

SERIES = "timeseries.h5"


class ResultFolder:
    """What a result folder holds; layers are read at the size of a figure, and only when asked for.

    Parameters
    ----------
    folder
        Folder with a ``manifest.json``.

    Attributes
    ----------
    manifest
        Its content.
    absent
        Files that the manifest lists and that were asked for, but are not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = read_manifest(folder)
        self.absent: list[str] = []
        self._previews: dict[str, Preview | None] = {}

    @cached_property
    def grid(self) -> Grid:
        """Grid of the layers."""
        described = self.manifest.get("grid") or {}
        try:
            return Grid(described["rows"], described["cols"], Affine(*described["transform"]), described["crs"])
        except (KeyError, TypeError) as error:
            raise InputError(
                self.folder / NAME,
                required="a grid with rows, cols, transform and crs",
                found=f"{described!r}",
                remedy="Run the processing again",
            ) from error

    @property
    def summary(self) -> Mapping[str, Any]:
        """Figures of quality that the run left."""
        return _mapping(self.manifest.get("summary"))

    @property
    def inputs(self) -> Mapping[str, Any]:
        """What the run was given."""
        return _mapping(self.manifest.get("inputs"))

    @cached_property
    def layers(self) -> dict[str, Mapping[str, Any]]:
        """Layers that the manifest lists, by name."""
        return {layer["name"]: layer for layer in self.manifest.get("layers") or []}

    @cached_property
    def dates(self) -> tuple[date, ...]:
        """Dates of the time series, or of the interferograms where there is none."""
        if self.series is not None:
            return self.series.dates
        return tuple(date.fromisoformat(day) for day in self.inputs.get("dates") or [])

    @cached_property
    def series(self) -> TimeSeriesFile | None:
        """The displacement time series, memory-mapped."""
        path = self.folder / SERIES
        return read_timeseries(path) if path.is_file() else None

    def layer_path(self, name: str) -> Path | None:
        """File of a layer; None where the result does not have it."""
        if name not in self.layers:
            return None
        path = self.folder / str(self.layers[name].get("file", f"layers/{name}.tif"))
        if path.is_file():
            return path
        if path.name not in self.absent:
            logger.warning("%s is listed in the manifest but is not there", path)
            self.absent.append(path.name)
        return None

    def preview(self, name: str) -> Preview | None:
        """A layer at the size of a figure; None where the result does not have it."""
        if name not in self._previews:
            path = self.layer_path(name)
            is_class_layer = np.dtype(self.layers.get(name, {}).get("dtype", "float32")).kind != "f"
            self._previews[name] = None if path is None else read_preview(path, is_class_layer=is_class_layer)
        return self._previews[name]

    def cumulative_displacement(self) -> Preview | None:
        """Last minus first date in metres: the layer, or else picked from the time series."""
        layer = self.preview("cumulative_displacement")
        if layer is not None or self.series is None:
            return layer
        last = self.series.displacement_m[-1]
        step = max(1, -(-max(last.shape) // LONGEST_SIDE))
        return Preview(np.array(last[::step, ::step], dtype=np.float32), self.grid)

    def read_ranking(self, rows: slice, cols: slice) -> NDArray[np.floating]:
        """Window at full resolution of what example points are chosen by: the velocity, or the last displacement."""
        path = self.layer_path("velocity")
        if path is not None:
            return read_values(path, rows, cols)
        if self.series is None:
            return np.full((rows.stop - rows.start, cols.stop - cols.start), np.nan)
        return np.asarray(self.series.displacement_m[-1, rows, cols])

    def value(self, name: str, pixel: RowCol) -> float:
        """Value of a layer at one pixel; NaN where unknown."""
        path = self.layer_path(name)
        if path is None:
            return float("nan")
        return float(read_values(path, slice(pixel.row, pixel.row + 1), slice(pixel.col, pixel.col + 1))[0, 0])

    @cached_property
    def reference(self) -> RowCol | None:
        """Reference pixel on the grid of the layers; None where it is not known or not on it."""
        told = _mapping(self.summary.get("reference"))
        row, col = told.get("row"), told.get("col")
        if not isinstance(row, int) or not isinstance(col, int):
            return None
        inside = 0 <= row < self.grid.rows and 0 <= col < self.grid.cols
        return RowCol(row, col) if inside else None

    @cached_property
    def network(self) -> list[NetworkPair]:
        """Interferograms, dropped ones included; empty where the manifest does not list them."""
        told = _mapping(self.summary.get("network"))
        weak = {_pair_name(link) for link in told.get("weakest_links") or []}
        return [
            NetworkPair(
                date.fromisoformat(pair["reference"]),
                date.fromisoformat(pair["secondary"]),
                pair.get("perpendicular_baseline_m"),
                pair.get("mean_coherence"),
                kept=bool(pair.get("kept", True)),
                is_weak_link=pair.get("name") in weak,
            )
            for pair in told.get("pairs") or []
        ]

    @cached_property
    def date_baselines_m(self) -> dict[date, float] | None:
        """Perpendicular baseline of each date, where the run told; unknown ones left out."""
        told = _mapping(_mapping(self.summary.get("network")).get("date_baselines_m"))
        known = {date.fromisoformat(day): float(value) for day, value in told.items() if value is not None}
        return known or None

    @cached_property
    def census(self) -> dict[str, float]:
        """Share of pixels by quality flag, and ``valid``; of the valid pixels, but ``no_data`` and ``valid`` of all.

        Counted by the run, or else on the preview of `quality`; empty where there is neither.
        """
        counted = _mapping(self.summary.get("pixels"))
        names = [flag.name.lower() for flag in Quality if flag.name is not None]
        if isinstance(counted.get("all"), int) and counted["all"] > 0:
            total = counted["all"]
            counts = {name: int(counted.get(name, 0)) for name in names}
        else:
            quality = self.preview("quality")
            if quality is None:
                return {}
            flags = np.nan_to_num(quality.values, nan=float(Quality.NO_DATA)).astype(np.int64)
            total = flags.size
            counts = {name: int(np.count_nonzero(flags & Quality[name.upper()])) for name in names}
        valid = total - counts["no_data"]
        shares = {name: count / valid if valid else 0.0 for name, count in counts.items()}
        return {**shares, "no_data": counts["no_data"] / total, "valid": valid / total}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _pair_name(link: Any) -> str:
    return str(link.get("name") or link.get("pair")) if isinstance(link, Mapping) else str(link)
