"""Another reference point for a finished result, from its time series alone."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from insar.blocks import Progress, available_workers, map_blocks, no_progress, row_blocks
from insar.config import Settings, render_settings
from insar.errors import InputError, MissingInputError, OptionError
from insar.figures import format_percent
from insar.grid import LonLat, RowCol
from insar.layer_statistics import layer_statistics
from insar.layers import LAYERS, row_slices, write_layer
from insar.preview import read_values
from insar.reference_area import ReferenceArea
from insar.replacement import finish_replacement, publish_replacement, replacement
from insar.report import FIGURES, write_report
from insar.report import NAME as REPORT
from insar.result import SERIES, ResultFolder
from insar.slope_results import PRODUCT as SLOPE
from insar.slope_results import SLOPE_LAYERS
from insar.solver import Norm
from insar.timefunctions import parse_model
from insar.uncertainty import NetworkNoise, Uncertainty, network_covariance, network_noise
from insar.velocity import fit_rate, fit_recent_rate
from insar.weights import Weighting
from insar.workspace import FlatArray
from insar.writers.manifest import NAME as MANIFEST
from insar.writers.manifest import checksum, versions
from insar.writers.timeseries import TimeSeriesFile, timeseries_memmap

logger = logging.getLogger(__name__)

CONFIGURATION = "insar.toml"

REFITTED = (
    "velocity",
    "velocity_std",
    "cumulative_displacement",
    "acceleration",
    "seasonal_amplitude",
    "velocity_recent",
)
"""Layers that follow from the time series."""

SHIFTED = ("dem_error",)
"""Layers that are relative to the reference as the time series is: its value is subtracted."""

OF_EARLIER_REFERENCE = ("temporal_coherence", "residual_rms", "quality")
"""Layers that hold the noise of the reference at which the interferograms were inverted."""

DERIVED = {SLOPE: SLOPE_LAYERS}
"""Layers of products that were made of the rate."""

_SCRATCH = ".rereference"
_ROWS_PER_PASS = 512


@dataclass(frozen=True, slots=True)
class MovedReference:
    """The new reference of a result.

    Attributes
    ----------
    pixel
        Of the map.
    place
        Its centre; NaN without a map.
    size
        Pixels on a side of the area that is averaged.
    pixels
        How many pixels of the area have data and so were averaged.
    notes
        What a user should know of the result now.
    """

    pixel: RowCol
    place: LonLat
    size: int
    pixels: int
    notes: tuple[str, ...]


def move_reference(
    folder: Path,
    *,
    lonlat: LonLat | None = None,
    rowcol: RowCol | None = None,
    size: int | None = None,
    progress: Progress = no_progress,
) -> MovedReference:
    """Make a finished result relative to another point, without the interferograms.

    The time series of the point, or the average of those around it, is subtracted from every pixel's, and what follows
    from the series is computed again. The inversion is linear, so that where a pixel was inverted from every
    interferogram with equal weights the result is that of a run with this reference. Elsewhere (gaps, weights, the l1
    norm) it departs from it by what the interferograms of the reference fail to close among themselves.

    Parameters
    ----------
    folder
        Result folder with a manifest and a time series. It is changed as a whole or not at all.
    lonlat, rowcol
        The point: longitude and latitude, or row and column of the map; one of them.
    size
        Pixels on a side, an odd number, of the area around the point that is averaged; as before where None.
    progress
        Called as the work goes on.

    Raises
    ------
    OptionError
        Not one point, or an even size.
    MissingInputError
        The manifest or the time series is not there.
    InputError
        The point is outside the map or has no data, or the result is damaged.
    """
    if (lonlat is None) == (rowcol is None):
        raise OptionError(
            "--lonlat, --rowcol",
            required="one point",
            found="none" if lonlat is None else "two",
            remedy="Give either --lonlat LON LAT or --rowcol ROW COL",
        )
    finish_replacement(folder, _SCRATCH)
    result = ResultFolder(folder)
    series = result.series
    if series is None:
        raise MissingInputError(
            folder / SERIES,
            required="the displacement time series of the result",
            found="no such file",
            remedy="Give a result of `insar run` or `insar invert`",
        )
    settings = _settings_of(result)
    reach = settings.reference_size if size is None else size
    if reach < 1 or reach % 2 == 0:
        raise OptionError(
            "--size",
            required="an odd number of pixels, so that the point is in the middle",
            found=str(reach),
            remedy="1 is the point alone",
        )
    pixel = result.grid.rowcol(lonlat) if lonlat is not None else _inside(result, rowcol or RowCol(0, 0))
    area = ReferenceArea.around(result, series, pixel, reach)
    mover = _Mover(result, series, settings, area)
    with replacement(folder, _SCRATCH) as scratch:
        mover.write(scratch, progress)
        moved = mover.describe(scratch)
        if (folder / REPORT).exists():
            write_report(scratch)
        publish_replacement(folder, scratch, mover.obsolete(scratch))
    for note in moved.notes:
        logger.warning("%s", note)
    return moved


def refit(
    displacement_m: NDArray[np.float32], dates: tuple[date, ...], settings: Settings, noise: NetworkNoise | None
) -> dict[str, NDArray[np.floating] | None]:
    """Every layer of `REFITTED` of a block of the series (date, row, col); None where the settings give none."""
    rate = fit_rate(displacement_m, dates, parse_model(settings.model), noise)
    return {
        "velocity": rate.velocity,
        "velocity_std": rate.velocity_std,
        "cumulative_displacement": displacement_m[-1],
        "acceleration": rate.acceleration,
        "seasonal_amplitude": rate.seasonal_amplitude,
        "velocity_recent": fit_recent_rate(displacement_m, dates, settings.recent_days),
    }


def _settings_of(result: ResultFolder) -> Settings:
    try:
        return Settings.model_validate(result.manifest.get("configuration") or {})
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            result.folder / MANIFEST,
            required="the configuration of the run",
            found=f"{'.'.join(map(str, first['loc']))}: {first['msg']}",
            remedy="Run the processing again with this version",
        ) from error


def _inside(result: ResultFolder, pixel: RowCol) -> RowCol:
    rows, cols = result.grid.shape
    if not (0 <= pixel.row < rows and 0 <= pixel.col < cols):
        raise InputError(
            f"--rowcol {pixel.row} {pixel.col}",
            required=f"a pixel of the map: rows 0 to {rows - 1}, columns 0 to {cols - 1}",
            found="a pixel outside",
            remedy="Correct it; rows and columns are those of the layers",
        )
    return pixel


@dataclass
class _Mover:
    """Makes the new files of a result in a scratch folder."""

    result: ResultFolder
    series: TimeSeriesFile
    settings: Settings
    area: ReferenceArea
    statistics: dict[str, dict[str, float | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        listed = self.result.layers
        self.derived = [name for names in DERIVED.values() for name in names if name in listed]
        self.refitted = [name for name in REFITTED if name in listed]
        self.shifted = [name for name in SHIFTED if name in listed]
        self.kept = [name for name in OF_EARLIER_REFERENCE if name in listed]
        self.covariance = None
        if self.settings.uncertainty is Uncertainty.COVARIANCE and "velocity_std" in listed:
            self.covariance = network_covariance([_days_of(name) for name in self.result.inputs.get("pairs") or []])
        self.offsets = {name: self._mean_of(name) for name in self.shifted}

    @property
    def place(self) -> LonLat:
        return self.result.grid.lonlat(self.area.pixel)

    @property
    def moved_settings(self) -> Settings:
        """The settings of a run with the new reference."""
        on_map = self.result.grid.crs is not None
        return self.settings.model_copy(
            update={
                "reference_lonlat": tuple(self.place) if on_map else None,
                # Without a map the rows and columns of the result are those of the stack.
                "reference_rowcol": None if on_map else tuple(self.area.pixel),
                "reference_size": self.area.size,
            }
        )

    @property
    def notes(self) -> tuple[str, ...]:
        notes = []
        if self.derived:
            notes.append(
                f"Removed, since made of the rate at the earlier reference: {', '.join(self.derived)}. Run "
                "`insar slope` again."
            )
        if self.kept:
            notes.append(
                f"{', '.join(self.kept)}: as at the earlier reference, whose noise they hold; only the interferograms "
                "can tell them anew."
            )
        if self.covariance is not None:
            notes.append(
                "velocity_std takes the noise of interferograms from residual_rms, that of the earlier reference."
            )
        if self.covariance is not None:
            notes.append(
                "velocity_std takes the noise of interferograms from residual_rms, that of the earlier reference."
            )
        inexact = self._inexact()
        if inexact:
            notes.append(
                f"{inexact}: there the result departs from that of a run with this reference by what the "
                "interferograms of the reference fail to close among themselves."
            )
        if self.area.gaps:
            notes.append(
                f"The reference point lacks {self.area.gaps} of {len(self.result.inputs['pairs'])} interferograms: a "
                "run with this reference would refuse it."
            )
        return tuple(notes)

    def _inexact(self) -> str:
        """Where the pixels were not all inverted by the same linear system, in words; empty where they were."""
        settings, pairs = self.settings, len(self.result.inputs.get("pairs") or [])
        if settings.norm is not Norm.L2 or settings.weights is not Weighting.NONE:
            return f"The pixels were inverted with weights={settings.weights} and norm={settings.norm}"
        if "pairs_used" not in self.result.layers or not pairs:
            return ""
        valid = complete = 0
        for rows in row_slices(self.result.grid.rows, _ROWS_PER_PASS):
            used = np.nan_to_num(self._read("pairs_used", rows))
            valid += int(np.count_nonzero(used))
            complete += int(np.count_nonzero(used == pairs))
        if complete == valid:
            return ""
        return f"{format_percent(1 - complete / valid)} of the pixels with data lack interferograms"

    def write(self, scratch: Path, progress: Progress) -> None:
        """Write time series, layers, configuration and manifest."""
        (scratch / "layers").mkdir()
        series_file = scratch / SERIES
        shutil.copyfile(self.result.folder / SERIES, series_file)
        self._write_attributes(series_file)
        shape, grid = self.series.displacement_m.shape, self.result.grid
        offset = int(timeseries_memmap(series_file, "r").offset)
        with closing(FlatArray(series_file, shape, np.float32, offset)) as target:
            arrays = {
                name: FlatArray(scratch / f"{name}.raw", grid.shape, LAYERS[name].dtype)
                for name in (*self.refitted, *self.shifted)
            }
            self._fill(target, arrays, progress)
        tags = {"FIRST_DATE": f"{self.series.dates[0]:%Y-%m-%d}", "LAST_DATE": f"{self.series.dates[-1]:%Y-%m-%d}"}
        for count, (name, array) in enumerate(arrays.items(), start=1):
            values = array.map()
            write_layer(scratch / "layers" / f"{name}.tif", values, grid, LAYERS[name], tags=tags)
            self.statistics[name] = layer_statistics(values)
            array.close()
            array.path.unlink()
            progress("write layers", count, len(arrays))
        (scratch / CONFIGURATION).write_text(render_settings(self.moved_settings), encoding="utf-8")
        # The other layers, for the report to see.
        for name in self.result.layers:
            path = self.result.layer_path(name)
            if path is not None and name not in (*arrays, *self.derived):
                (scratch / "layers" / path.name).symlink_to(path.resolve())

    def _fill(self, target: FlatArray, arrays: Mapping[str, FlatArray], progress: Progress) -> None:
        dates, rows, cols = self.series.displacement_m.shape
        workers = self.settings.workers or available_workers()
        blocks = row_blocks(rows, 8 * dates * cols, workers=workers, memory_limit=self.settings.memory_bytes)

        def keep(block: slice, computed: tuple[NDArray[np.float32], dict[str, NDArray[np.floating]]]) -> None:
            target.write_rows(block, computed[0])
            for name, values in computed[1].items():
                arrays[name].write_rows(block, values)
            progress("move the reference", block.stop, rows)

        map_blocks(blocks, self._compute, keep, workers=workers)

    def _compute(self, rows: slice) -> tuple[NDArray[np.float32], dict[str, NDArray[np.floating]]]:
        before = self.series.displacement_m[:, rows]
        moved = (before - self.area.series_m[:, None, None]).astype(np.float32)
        layers: dict[str, NDArray[np.floating]] = {}
        if self.refitted:
            fitted = refit(moved, self.series.dates, self.settings, self._noise(rows))
            layers = {name: values for name, values in fitted.items() if name in self.refitted and values is not None}
        for name, offset in self.offsets.items():
            layers[name] = self._read(name, rows) - np.float32(offset)
        return moved, layers

    def _noise(self, rows: slice) -> NetworkNoise | None:
        if self.covariance is None:
            return None
        used, subsets = (np.nan_to_num(self._read(name, rows)).astype(np.int64) for name in ("pairs_used", "subsets"))
        return network_noise(self._read("residual_rms", rows), used, subsets, self.covariance)

    def _read(self, name: str, rows: slice) -> NDArray[np.float32]:
        path = self.result.layer_path(name)
        if path is None:
            raise MissingInputError(
                self.result.folder / "layers" / f"{name}.tif",
                required="a layer that the rate and its deviation are made of",
                found="no such file",
                remedy="Run the processing again",
            )
        return read_values(path, rows, slice(0, self.result.grid.cols))

    def _mean_of(self, name: str) -> float:
        path = self.result.layer_path(name)
        if path is None:
            return 0.0
        return float(np.nanmean(read_values(path, self.area.rows, self.area.cols)[self.area.used], dtype=np.float64))

    def _write_attributes(self, path: Path) -> None:
        import h5py

        grid, pixel = self.result.grid, self.area.pixel
        known: dict[str, object] = {"REF_Y": pixel.row, "REF_X": pixel.col}
        if grid.crs is not None:
            # MintPy's REF_LAT and REF_LON are northing and easting in a projected file.
            known["REF_LON"], known["REF_LAT"] = grid.map_coordinates(pixel.row + 0.5, pixel.col + 0.5)
        with h5py.File(path, "r+") as sink:
            sink.attrs.update({name: str(value) for name, value in known.items()})

    def describe(self, scratch: Path) -> MovedReference:
        """Write the manifest of the new files, and say what was done."""
        notes = self.notes
        new = {name: scratch / "layers" / f"{name}.tif" for name in (*self.refitted, *self.shifted)}
        content = dict(self.result.manifest)
        content["layers"] = [
            {**entry, **_facts(new[entry["name"]])} if entry["name"] in new else entry
            for entry in content["layers"]
            if entry["name"] not in self.derived
        ]
        content["files"] = [
            {**entry, **_facts(scratch / entry["file"])} if entry["file"] in (SERIES, CONFIGURATION) else entry
            for entry in content["files"]
        ]
        if "products" in content:
            content["products"] = {name: told for name, told in content["products"].items() if name not in DERIVED}
        content["configuration"] = self.moved_settings.model_dump(mode="json")
        now = datetime.now(UTC).isoformat()
        earlier = {**(self.result.summary.get("reference") or {}), "until": now}
        statistics = {**(self.result.summary.get("layers") or {}), **self.statistics}
        content["summary"] = {
            **self.result.summary,
            # No run has made this: one with the settings of before must not take it for its own.
            "fingerprint": None,
            "reference": {**self._described_reference(), "moved": {"at": now, "versions": versions(), "notes": notes}},
            "earlier_references": [*(self.result.summary.get("earlier_references") or []), earlier],
            "layers": {name: told for name, told in statistics.items() if name not in self.derived},
        }
        (scratch / MANIFEST).write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        return MovedReference(self.area.pixel, self.place, self.area.size, int(self.area.used.sum()), notes)

    def _described_reference(self) -> dict[str, Any]:
        on_map = self.result.grid.crs is not None
        pixel = self.area.pixel
        return {
            "stack_row": None if on_map else pixel.row,
            "stack_col": None if on_map else pixel.col,
            "row": pixel.row,
            "col": pixel.col,
            "lon": self.place.lon if on_map else None,
            "lat": self.place.lat if on_map else None,
            "how": "moved",
            "size": self.area.size,
            "pixels_averaged": int(self.area.used.sum()),
            "score": None,
            "terms": None,
            "recomputed": [SERIES, *self.refitted, *self.shifted],
            "of_earlier_reference": self.kept,
        }

    def obsolete(self, scratch: Path) -> list[Path]:
        """Files of the result that show the earlier reference and are not replaced."""
        folder = self.result.folder
        layers = [Path(str(self.result.layers[name]["file"])) for name in self.derived]
        figures = [path.relative_to(folder) for path in (folder / FIGURES).glob("*.png")]
        return layers + [path for path in figures if not (scratch / path).exists()]


def _facts(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": checksum(path)}


def _days_of(pair_name: str) -> tuple[date, date]:
    first, second = (datetime.strptime(day, "%Y%m%d").date() for day in pair_name.split("_"))  # noqa: DTZ007
    return first, second
