"""East and vertical motion from the result folders of two passes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.alignment import BilinearSamples, common_part, sample_between
from insar.blocks import Progress, no_progress
from insar.decomposition import (
    DEFAULT_MAX_CONDITION,
    TimeWeights,
    common_dates,
    decompose,
    north_leakage,
    propagate_std,
    solve_geometry,
)
from insar.errors import InputError, MissingInputError, OptionError
from insar.grid import Grid
from insar.ground import shortest_side_m
from insar.layers import LAYERS, row_slices, write_layer
from insar.line_of_sight import LineOfSight
from insar.new_result import new_result, require_free
from insar.preview import read_values
from insar.result import ResultFolder
from insar.result_view import view_of_result
from insar.workspace import FlatArray
from insar.writers.manifest import NAME as MANIFEST
from insar.writers.manifest import checksum, write_derived_manifest
from insar.writers.timeseries import create_component_file, timeseries_memmap

logger = logging.getLogger(__name__)

COMPONENTS = ("east", "vertical")
RATE_LAYERS = tuple(f"{component}_velocity{suffix}" for component in COMPONENTS for suffix in ("", "_std"))

PRODUCT = "decompose"
_ROWS_PER_BLOCK = 256
_BYTES_PER_BLOCK = 64 * 2**20
_ROWS_LOOKED_AT = 17
"""Rows on which the two lines of sight are compared before any work is done."""

_SAME_PLACE_M = 200.0
"""Distance between two reference points above which the result warns of it."""


@dataclass(frozen=True, slots=True)
class DecomposeOptions:
    """How far apart both lines of sight must be, and what stands in for a missing incidence angle.

    Attributes
    ----------
    max_condition
        Largest condition number of the two equations.
    incidence_first_deg, incidence_second_deg
        One incidence angle for a result without the layer; None for none.
    """

    max_condition: float = DEFAULT_MAX_CONDITION
    incidence_first_deg: float | None = None
    incidence_second_deg: float | None = None

    def __post_init__(self) -> None:
        if not self.max_condition > 1.0:
            raise OptionError(
                "--max-condition",
                required="a number above 1",
                found=f"{self.max_condition:g}",
                remedy="Passes from opposite sides have 1.1 to 2; give for instance 5",
            )


def decompose_results(
    first: Path,
    second: Path,
    output: Path,
    options: DecomposeOptions | None = None,
    *,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> Path:
    """Write a result folder with east and vertical rates, and time series where both results have one.

    Parameters
    ----------
    first, second
        Result folders of two passes that look from opposite sides. The grid is that of the first, cut to what the
        second reaches; the second is interpolated bilinearly onto it.
    output
        Folder to make.
    options
        How close to each other the lines of sight may be.
    overwrite
        Replace an earlier decomposition in the folder.
    progress
        Called as the work goes on.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    MissingInputError
        A manifest, a rate or a line of sight is not there.
    InputError
        A result is in radar coordinates, they do not overlap, or both look from the same side.
    OptionError
        The folder holds something else, or an option has no meaning.
    """
    options = options or DecomposeOptions()
    started = datetime.now(UTC)
    require_free(output, PRODUCT, overwrite=overwrite)
    passes = (
        _Pass(first, options.incidence_first_deg, "--incidence-first"),
        _Pass(second, options.incidence_second_deg, "--incidence-second"),
    )
    work = _Decomposition(*passes, options)
    for note in work.notes:
        logger.warning("%s", note)
    with new_result(output, PRODUCT, overwrite=overwrite) as products:
        (products / "layers").mkdir()
        work.fill_rates(products.parent, progress)
        files = work.write_series(products, progress)
        written = []
        for name, values in work.rates.items():
            path = products / "layers" / f"{name}.tif"
            write_layer(path, values, work.grid, LAYERS[name], tags=work.tags)
            written.append((LAYERS[name], path))
        write_derived_manifest(
            products,
            layers=written,
            grid=work.grid,
            inputs=work.inputs(),
            configuration={"product": PRODUCT, "max_condition": options.max_condition},
            summary=work.summary(),
            left_out=work.left_out,
            files=files,
            started=started,
            finished=datetime.now(UTC),
        )
    return output


class _Pass:
    """One of the two results."""

    def __init__(self, folder: Path, incidence_deg: float | None, option: str) -> None:
        self.result = ResultFolder(folder)
        self.folder = folder
        if self.result.grid.crs is None:
            raise InputError(
                folder,
                required="a result on a map",
                found="one in radar coordinates",
                remedy="Run the processing with a stack that has a look-up table, so that it is geocoded",
            )
        self.rate = self._required("velocity")
        self.deviation = self._required("velocity_std")
        self.view = view_of_result(self.result, incidence_deg=incidence_deg, option=option)
        series = self.result.series
        if series is not None and series.displacement_m.shape[1:] != self.result.grid.shape:
            raise InputError(
                folder / "timeseries.h5",
                required=f"the pixels of the layers, {self.result.grid.rows} x {self.result.grid.cols}",
                found=" x ".join(str(size) for size in series.displacement_m.shape[1:]),
                remedy="Run the processing again",
            )
        self.series = series

    def _required(self, name: str) -> Path:
        path = self.result.layer_path(name)
        if path is None:
            raise MissingInputError(
                self.folder / "layers" / f"{name}.tif",
                required=f"the layer {name}",
                found="a result without it",
                remedy="Run the whole chain, `insar run`; `insar invert` makes no rate",
            )
        return path

    def described(self) -> dict[str, Any]:
        """For the manifest."""
        acquisition = self.result.inputs.get("acquisition") or {}
        return {
            "path": self.folder.resolve(),
            "manifest_sha256": checksum(self.folder / MANIFEST),
            "orbit_direction": acquisition.get("orbit_direction"),
            "line_of_sight": self.view.described(),
            "dates": self.result.dates,
            "reference": self.result.summary.get("reference"),
        }


class _Decomposition:
    """The work on the grid that both results share."""

    def __init__(self, first: _Pass, second: _Pass, options: DecomposeOptions) -> None:
        self.first, self.second = first, second
        self.options = options
        part = common_part(first.result.grid, second.result.grid)
        if part is None:
            raise InputError(
                second.folder,
                required=f"a result that overlaps {first.folder}, {_extent(first.result.grid)}",
                found=_extent(second.result.grid),
                remedy="Give two results of the same area",
            )
        self.rows, self.cols = part
        self.grid = _cut(first.result.grid, *part)
        self.left_out: dict[str, str] = {}
        self.rates: dict[str, np.memmap[Any, Any]] = {}
        self.pixels = 0
        self.condition, self.leakage = self._compare_views()
        self.notes = self._collect_notes()

    @cached_property
    def tags(self) -> dict[str, str]:
        """Dates for the layers: the time that both results span."""
        spans = self.first.result.dates, self.second.result.dates
        if not all(spans):
            return {}
        begin, end = max(dates[0] for dates in spans), min(dates[-1] for dates in spans)
        return {"FIRST_DATE": begin.isoformat(), "LAST_DATE": end.isoformat()} if begin < end else {}

    def fill_rates(self, scratch: Path, progress: Progress) -> None:
        """Compute the rates and their standard deviations into files."""
        self.rates = {
            name: np.memmap(scratch / f"{name}.dat", np.float32, "w+", shape=self.grid.shape) for name in RATE_LAYERS
        }
        for rows in row_slices(self.grid.rows, _ROWS_PER_BLOCK):
            samples = self._samples(rows)
            geometry = solve_geometry(*self._sights(rows, samples), max_condition=self.options.max_condition)
            rate = decompose(geometry, self._first(self.first.rate, rows), self._second(self.second.rate, samples))
            deviation = propagate_std(
                geometry, self._first(self.first.deviation, rows), self._second(self.second.deviation, samples)
            )
            for component in COMPONENTS:
                values = getattr(rate, component)
                self.rates[f"{component}_velocity"][rows] = values
                known = np.where(np.isfinite(values), getattr(deviation, component), np.nan)
                self.rates[f"{component}_velocity_std"][rows] = known
            self.pixels += int(np.count_nonzero(np.isfinite(rate.east)))
            progress("decompose rates", rows.stop, self.grid.rows)
        if self.pixels == 0:
            raise InputError(
                self.second.folder,
                required=f"pixels with a rate where {self.first.folder} has one",
                found="none",
                remedy="Check that both results have data in their common area",
            )

    def write_series(self, scratch: Path, progress: Progress) -> list[Path]:
        """Write one file for each component; none where there are no common dates."""
        dates = self.series_dates
        if not dates or self.first.series is None or self.second.series is None:
            return []
        paths = {component: scratch / f"timeseries_{component}.h5" for component in COMPONENTS}
        for component, path in paths.items():
            create_component_file(path, grid=self.grid, dates=dates, component=component)
        shape = (len(dates), *self.grid.shape)
        # Written by rows: pages of a map would count as memory of the process.
        targets = {
            component: FlatArray(path, shape, np.float32, int(timeseries_memmap(path, "r").offset))
            for component, path in paths.items()
        }
        weights = (
            TimeWeights.between(self.first.series.dates, dates),
            TimeWeights.between(self.second.series.dates, dates),
        )
        series = self.first.series.displacement_m, self.second.series.displacement_m
        values_at_once = 2 * (len(self.first.series.dates) + len(self.second.series.dates) + len(dates))
        height = max(1, _BYTES_PER_BLOCK // (8 * values_at_once * self.grid.cols))
        try:
            for rows in row_slices(self.grid.rows, height):
                moved = self._series_of(rows, series, weights, len(dates))
                for component, target in targets.items():
                    target.write_rows(rows, moved[component])
                progress("decompose time series", rows.stop, self.grid.rows)
        finally:
            for target in targets.values():
                target.close()
        return list(paths.values())

    def _series_of(
        self,
        rows: slice,
        series: tuple[NDArray[np.float32], NDArray[np.float32]],
        weights: tuple[TimeWeights, TimeWeights],
        count: int,
    ) -> dict[str, NDArray[np.float32]]:
        """(date, row, col) metres of either component since the first of `count` dates."""
        first, second = series
        samples = self._samples(rows)
        geometry = solve_geometry(*self._sights(rows, samples), max_condition=self.options.max_condition)
        one = first[:, self._rows_of_first(rows), self.cols]
        two = samples.gather(np.asarray(second[:, samples.rows]))
        begin = weights[0].apply(one, 0), weights[1].apply(two, 0)
        moved = {name: np.empty((count, *geometry.condition.shape), np.float32) for name in COMPONENTS}
        for target in range(count):
            at = decompose(geometry, weights[0].apply(one, target) - begin[0], weights[1].apply(two, target) - begin[1])
            for name, values in moved.items():
                values[target] = getattr(at, name)
        return moved

    @cached_property
    def series_dates(self) -> tuple[date, ...]:
        """Dates of the time series; empty, with the reason in `left_out`, where there is none."""
        reason = None
        dates: tuple[date, ...] = ()
        if self.first.series is None or self.second.series is None:
            absent = self.first if self.first.series is None else self.second
            reason = f"{absent.folder} has no timeseries.h5"
        else:
            dates = common_dates(self.first.series.dates, self.second.series.dates)
            if len(dates) < 2:
                reason, dates = "the two time series do not overlap in time", ()
        if reason is not None:
            self.left_out |= {f"timeseries_{component}.h5": reason for component in COMPONENTS}
        return dates

    def inputs(self) -> Mapping[str, Any]:
        """What was decomposed, for the manifest."""
        return {
            "first": self.first.described(),
            "second": self.second.described(),
            "dates": self.series_dates,
            "notes": self.notes,
        }

    def summary(self) -> Mapping[str, Any]:
        """How well both lines of sight tell the components apart."""
        return {
            "pixels_with_both": self.pixels,
            "condition_number": self.condition,
            "per_metre_of_motion_to_the_north": self.leakage,
            "alignment": "grid of the first result; the second bilinear, pixels of its grid taken as they are",
            "time_axis": "dates of both results where both have begun and none has ended, linear in between",
        }

    def _compare_views(self) -> tuple[float, dict[str, float]]:
        """Median condition number, and what motion to the north adds; raises where both look from one side."""
        conditions, leakages = [], []
        for row in np.unique(np.linspace(0, self.grid.rows - 1, _ROWS_LOOKED_AT).astype(int)):
            rows = slice(int(row), int(row) + 1)
            sights = self._sights(rows, self._samples(rows))
            geometry = solve_geometry(*sights, max_condition=self.options.max_condition)
            conditions.append(geometry.condition[~np.isnan(geometry.condition)])
            leakage = np.stack(north_leakage(geometry, *sights))
            leakages.append(leakage[:, np.isfinite(leakage[0])])
        condition = np.concatenate(conditions)
        if not condition.size:
            raise InputError(
                self.second.folder,
                required=f"known lines of sight where {self.first.folder} has them",
                found="no pixel with both",
                remedy="Check that both results have incidence angles in their common area",
            )
        middle = float(np.median(condition))
        if middle > self.options.max_condition:
            raise InputError(
                f"{self.first.folder} and {self.second.folder}",
                required=f"lines of sight with a condition number of at most {self.options.max_condition:g}",
                found=f"{middle:.3g}: both look from nearly the same side",
                remedy="Give one ascending and one descending result",
            )
        east, vertical = (float(value) for value in np.median(np.concatenate(leakages, axis=1), axis=1))
        return round(middle, 4), {"east": round(east, 4), "vertical": round(vertical, 4)}

    def _collect_notes(self) -> list[str]:
        notes = [*self.first.view.notes, *self.second.view.notes]
        places = [passed.result.summary.get("reference") or {} for passed in (self.first, self.second)]
        known = [(place.get("lon"), place.get("lat")) for place in places]
        if any(value is None for place in known for value in place):
            notes.append(
                "The reference point of a result is not known: both must be relative to the same stable place."
            )
        else:
            apart = _distance_m(known[0], known[1])
            if apart > _SAME_PLACE_M:
                notes.append(
                    f"The reference points are {apart / 1000:.2f} km apart: if one moves against the other, every "
                    "pixel is off by much the same amount. Process both with the same --reference-lonlat."
                )
        spans = [passed.result.dates for passed in (self.first, self.second)]
        if all(spans):
            overlap = (min(dates[-1] for dates in spans) - max(dates[0] for dates in spans)).days
            longest = max((dates[-1] - dates[0]).days for dates in spans)
            if overlap < 0.5 * longest:
                notes.append(
                    f"The results share {max(overlap, 0)} of {longest} days: rates are taken as constant over both."
                )
        steps = [shortest_side_m(passed.result.grid) for passed in (self.first, self.second)]
        if not 0.5 < steps[0] / steps[1] < 2.0:
            notes.append(
                f"Pixels of {steps[0]:.0f} m and {steps[1]:.0f} m are combined; the finer ones are not averaged."
            )
        return notes

    def _rows_of_first(self, rows: slice) -> slice:
        return slice(rows.start + self.rows.start, rows.stop + self.rows.start)

    def _samples(self, rows: slice) -> BilinearSamples:
        return sample_between(self.grid, self.second.result.grid, rows)

    def _first(self, path: Path, rows: slice) -> NDArray[np.float32]:
        return read_values(path, self._rows_of_first(rows), self.cols)

    def _second(self, path: Path, samples: BilinearSamples) -> NDArray[np.float64]:
        return samples.gather(read_values(path, samples.rows, slice(0, self.second.result.grid.cols)))

    def _sights(self, rows: slice, samples: BilinearSamples) -> tuple[LineOfSight, LineOfSight]:
        own = self.first.view.read_sight(self._rows_of_first(rows), self.cols)
        other = self.second.view.read_sight(samples.rows, slice(0, self.second.result.grid.cols))
        # Components are smooth where an azimuth jumps by a full turn.
        sampled = [samples.gather(component) for component in other]
        length = np.sqrt(sum(component**2 for component in sampled))
        return own, LineOfSight(*(component / length for component in sampled))


def _cut(grid: Grid, rows: slice, cols: slice) -> Grid:
    x, y = grid.map_coordinates(float(rows.start), float(cols.start))
    steps = grid.transform
    return Grid(
        rows.stop - rows.start, cols.stop - cols.start, Affine(steps.a, steps.b, x, steps.d, steps.e, y), grid.crs
    )


def _distance_m(first: tuple[Any, Any], second: tuple[Any, Any]) -> float:
    import pyproj

    return float(pyproj.Geod(ellps="WGS84").inv(*first, *second)[2])


def _extent(grid: Grid) -> str:
    return f"west, south, east, north = {' '.join(f'{edge:.6g}' for edge in grid.bounds)} of {grid.crs}"
