"""Time series and layers of a finished result, relative to another reference."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.blocks import Progress, ThreadRunner
from insar.config import Settings
from insar.days import parse_day
from insar.errors import MissingInputError
from insar.layer_statistics import layer_statistics
from insar.layers import LayerDefinition, row_slices, write_layer
from insar.preview import read_values
from insar.rates import RateFitter
from insar.reference_area import ReferenceArea
from insar.result import SERIES, ResultFolder
from insar.timefunctions import parse_model
from insar.uncertainty import NetworkNoise, Uncertainty, network_covariance, network_noise
from insar.workspace import FlatArray
from insar.writers.timeseries import TimeSeriesFile, timeseries_memmap

REFITTED = (
    "velocity",
    "velocity_std",
    "cumulative_displacement",
    "acceleration",
    "acceleration_std",
    "seasonal_amplitude",
    "seasonal_amplitude_std",
    "velocity_recent",
    "rate_change",
    "rate_change_std",
    "acceleration_p",
    "accelerating",
)
"""Layers that follow from the time series; those of steps do, too."""

SHIFTED = ("dem_error",)
"""Layers that are relative to the reference as the time series is: its value is subtracted."""

OF_EARLIER_REFERENCE = ("temporal_coherence", "residual_rms", "open_loops", "quality", "dem_error_std")
"""Layers that hold the noise of the reference at which the interferograms were inverted."""

WITH_EARLIER_NOISE = ("rate_change_std", "acceleration_p", "accelerating")
"""Layers that are made anew, with what the interferograms left unexplained at the earlier reference."""

_ROWS_PER_PASS = 512

_OF_NOISE = ("residual_rms", "pairs_used", "subsets")


def rate_fitter(settings: Settings, dates: tuple[date, ...], baselines_m: NDArray[np.float64] | None) -> RateFitter:
    """The fit that the run made of the series.

    With `baselines_m` (date,) it is that of a series which height errors were taken out of: their term finds nothing
    any more, but counts where deviations are told.
    """
    return RateFitter(
        dates,
        model=parse_model(settings.model),
        uncertainty=settings.uncertainty,
        baselines_m=baselines_m,
        recent_days=settings.recent_days,
        false_alarm_rate=settings.false_alarm_rate,
    )


class MovedLayers:
    """Computes what changes with the reference, block by block.

    Parameters
    ----------
    result
        As it is.
    series
        Its time series.
    settings
        Of the run that made it.
    area
        The new reference.
    """

    def __init__(self, result: ResultFolder, series: TimeSeriesFile, settings: Settings, area: ReferenceArea) -> None:
        self.result = result
        self.series = series
        self.settings = settings
        self.area = area
        self.refitted = [name for name in result.layers if name in REFITTED or name.startswith("step_")]
        self.shifted = [name for name in SHIFTED if name in result.layers]
        self.kept = [name for name in OF_EARLIER_REFERENCE if name in result.layers]
        self.pairs = [_days_of(name) for name in result.inputs.get("pairs") or []]
        self._covariance = network_covariance(self.pairs)
        self._fitter = None
        if self.refitted:
            baselines = _baselines_of(result.folder / SERIES) if "dem_error" in result.layers else None
            self._fitter = rate_fitter(settings, series.dates, baselines)
        self._offsets = {name: self._mean_of(name) for name in self.shifted}

    @property
    def names(self) -> list[str]:
        """Layers that are made anew."""
        return [*self.refitted, *self.shifted]

    def share_with_gaps(self) -> float:
        """Share of the pixels with data that were not inverted from every interferogram; 0 where that is not told."""
        if "pairs_used" not in self.result.layers or not self.pairs:
            return 0.0
        valid = complete = 0
        for rows in row_slices(self.result.grid.rows, _ROWS_PER_PASS):
            used = np.nan_to_num(self._read("pairs_used", rows))
            valid += int(np.count_nonzero(used))
            complete += int(np.count_nonzero(used == len(self.pairs)))
        return 1.0 - complete / valid if valid else 0.0

    def write(self, folder: Path, progress: Progress) -> dict[str, dict[str, float | None]]:
        """Write the time series and the layers that change into a folder; gives the statistics of the layers."""
        layers = folder / "layers"
        layers.mkdir()
        made = {name: _definition_of(self.result.layers[name]) for name in self.names}
        shape, grid = self.series.displacement_m.shape, self.result.grid
        shutil.copyfile(self.result.folder / SERIES, folder / SERIES)
        self._write_attributes(folder / SERIES)
        offset = int(timeseries_memmap(folder / SERIES, "r").offset)
        with closing(FlatArray(folder / SERIES, shape, np.float32, offset)) as target:
            arrays = {name: FlatArray(folder / f"{name}.raw", grid.shape, made[name].dtype) for name in made}
            self._fill(target, arrays, progress)
        tags = {"FIRST_DATE": f"{self.series.dates[0]:%Y-%m-%d}", "LAST_DATE": f"{self.series.dates[-1]:%Y-%m-%d}"}
        statistics = {}
        for count, (name, array) in enumerate(arrays.items(), start=1):
            values = array.map()
            write_layer(layers / f"{name}.tif", values, grid, made[name], tags=tags)
            if made[name].dtype == "float32":
                statistics[name] = layer_statistics(values)
            array.close()
            array.path.unlink()
            progress("write layers", count, len(arrays))
        return statistics

    def _fill(self, target: FlatArray, arrays: Mapping[str, FlatArray], progress: Progress) -> None:
        dates, rows, cols = self.series.displacement_m.shape
        runner = ThreadRunner(self.settings.workers, self.settings.memory_bytes)
        blocks = runner.row_blocks(rows, 8 * dates * cols)

        def keep(block: slice, computed: tuple[NDArray[np.float32], dict[str, NDArray[Any]]]) -> None:
            target.write_rows(block, computed[0])
            for name, values in computed[1].items():
                arrays[name].write_rows(block, values)
            progress("move the reference", block.stop, rows)

        runner.map(blocks, self._compute, keep)

    def _compute(self, rows: slice) -> tuple[NDArray[np.float32], dict[str, NDArray[Any]]]:
        before = self.series.displacement_m[:, rows]
        moved = (before - self.area.series_m[:, None, None]).astype(np.float32)
        layers: dict[str, NDArray[Any]] = {}
        if self._fitter is not None:
            # A fit of height errors takes them out of what it is given.
            given = moved.copy() if self._fitter.corrects_dem else moved
            fitted = self._fitter.fit(given, noise=self._noise(rows)).layers
            fitted["cumulative_displacement"] = moved[-1]
            layers = {name: fitted[name] for name in self.refitted}
        for name, offset in self._offsets.items():
            layers[name] = self._read(name, rows) - np.float32(offset)
        return moved, layers

    def _noise(self, rows: slice) -> NetworkNoise | None:
        is_needed = self.settings.uncertainty is Uncertainty.COVARIANCE
        if not is_needed and not all(name in self.result.layers for name in _OF_NOISE):
            return None
        used, subsets = (np.nan_to_num(self._read(name, rows)).astype(np.int64) for name in ("pairs_used", "subsets"))
        return network_noise(self._read("residual_rms", rows), used, subsets, self._covariance, len(self.pairs))

    def _read(self, name: str, rows: slice) -> NDArray[np.float32]:
        path = self.result.layer_path(name)
        if path is None:
            raise MissingInputError(
                self.result.folder / "layers" / f"{name}.tif",
                required="a layer that those relative to the reference are made of",
                found="no such file",
                remedy="Run the processing again",
            )
        return read_values(path, rows, slice(0, self.result.grid.cols))

    def _mean_of(self, name: str) -> float:
        values = self._read(name, self.area.rows)[:, self.area.cols][self.area.used]
        return float(np.nanmean(values, dtype=np.float64))

    def _write_attributes(self, path: Path) -> None:
        import h5py

        grid, pixel = self.result.grid, self.area.pixel
        known: dict[str, object] = {"REF_Y": pixel.row, "REF_X": pixel.col}
        if grid.crs is not None:
            # MintPy's REF_LAT and REF_LON are northing and easting in a projected file.
            known["REF_LON"], known["REF_LAT"] = grid.map_coordinates(pixel.row + 0.5, pixel.col + 0.5)
        with h5py.File(path, "r+") as sink:
            sink.attrs.update({name: str(value) for name, value in known.items()})


def _definition_of(entry: Mapping[str, Any]) -> LayerDefinition:
    """What a layer of the manifest is: those of steps are in no list."""
    nodata = entry["nodata"]
    return LayerDefinition(
        entry["name"],
        entry["unit"],
        entry["description"],
        entry["sign"],
        entry["dtype"],
        nodata if isinstance(nodata, int) else None,
    )


def _baselines_of(path: Path) -> NDArray[np.float64]:
    import h5py

    with h5py.File(path) as source:
        return np.asarray(source["bperp"][()], dtype=np.float64)


def _days_of(pair_name: str) -> tuple[date, date]:
    first, second = pair_name.split("_")
    return parse_day(first), parse_day(second)
