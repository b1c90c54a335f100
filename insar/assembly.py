"""Results on the pixels of the stack, and their way to the map."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.blocks import BlockRunner, Progress
from insar.chain import Block, BlockChain
from insar.errors import InputError
from insar.grid import RowCol
from insar.layer_statistics import layer_statistics
from insar.layers import LayerDefinition, layer_definition, row_slices, write_layer
from insar.network_report import summarise_network
from insar.placement import Placement, SamePixels
from insar.planning import Plan
from insar.quality import Quality
from insar.reference import place_of
from insar.stack import Pair
from insar.stopwatch import Stopwatch
from insar.unwrapping import summarise_unwrapping
from insar.workspace import FlatArray, Workspace
from insar.writers.timeseries import create_timeseries_file, timeseries_memmap

logger = logging.getLogger(__name__)

ROWS_PER_PASS = 512
"""Rows of one layer in memory while pixels are counted."""

BYTES_PER_PASS = 64 * 2**20
"""Bytes of the time series in memory while it is placed."""


class Results:
    """Results on the pixels of the stack, and their way to the map."""

    def __init__(self, plan: Plan, chain: BlockChain, placement: Placement, workspace: Workspace) -> None:
        self.plan = plan
        self.chain = chain
        self.placement = placement
        self.workspace = workspace
        self.work = Stopwatch()
        shape = plan.stack.shape
        self._layers = {name: workspace.array(name, shape, layer_definition(name).dtype) for name in chain.layers}
        self._series_path = workspace.folder / "timeseries.h5"
        self._series = self._open_series()

    @property
    def _in_place(self) -> bool:
        """Whether the map's pixels are the stack's, so that the series is written where it stays."""
        return isinstance(self.placement, SamePixels) and self.placement.grid == self.plan.stack.grid

    def _open_series(self) -> FlatArray:
        shape = (len(self.chain.dates), *self.plan.stack.shape)
        if not self._in_place:
            return self.workspace.array("displacement", shape, np.float32)
        if self.workspace.rows_done == 0:
            self._create_series_file(self._series_path, self.plan.reference.pixel)
        offset = int(timeseries_memmap(self._series_path, "r").offset)
        return self.workspace.adopt(FlatArray(self._series_path, shape, np.float32, offset))

    def _create_series_file(self, path: Path, reference: RowCol | None) -> None:
        create_timeseries_file(
            path,
            grid=self.placement.grid,
            dates=self.chain.dates,
            stack=self.plan.stack,
            reference=reference,
            perpendicular_baselines_m=self.plan.perpendicular_baselines_m,
        )

    def fill(self, runner: BlockRunner, progress: Progress) -> None:
        """Work on the blocks that an earlier try has not finished."""
        rows = self.plan.stack.shape[0]
        begin = self.workspace.rows_done
        if begin:
            logger.info("going on at row %d of %d", begin, rows)
        sums = self.workspace.sums
        blocks = runner.row_blocks(rows, self.chain.bytes_per_row, rows_per_chunk=self.chain.rows_per_chunk)

        def keep(block: slice, result: Block) -> None:
            self._series.write_rows(block, result.displacement_m)
            for name, array in self._layers.items():
                array.write_rows(block, result.layers[name])
            for name, values in result.sums.items():
                sums[name] = sums.get(name, 0) + values
            self.work.add(result.seconds)
            self.workspace.mark(block.stop, sums)
            progress("invert", block.stop, rows)

        remaining = [slice(max(block.start, begin), block.stop) for block in blocks if block.stop > begin]
        runner.map(remaining, self.chain, keep)

    def write_series(self, path: Path, progress: Progress) -> None:
        """Bring the time series onto the map."""
        if self._in_place:
            self._series_path.replace(path)
            return
        self._create_series_file(path, self._reference_on_map)
        source = self._series.map()
        target = FlatArray(
            path,
            (len(source), *self.placement.grid.shape),
            np.float32,
            int(timeseries_memmap(path, "r").offset),
        )
        try:
            step = max(1, BYTES_PER_PASS // (len(source) * self.placement.grid.cols * source.itemsize))
            for rows in row_slices(self.placement.grid.rows, step):
                target.write_rows(rows, self.placement.gather(source, rows))
                progress("place the time series", rows.stop, self.placement.grid.rows)
        finally:
            target.close()

    def write_layers(self, folder: Path, progress: Progress) -> list[tuple[LayerDefinition, Path]]:
        """Bring every layer onto the map; each is compressed on a thread of its own."""
        written = []
        with ThreadPoolExecutor(self.plan.workers) as pool:
            for count, path in enumerate(pool.map(partial(self._write_layer, folder), self._layers), start=1):
                written.append((layer_definition(path.stem), path))
                progress("write layers", count, len(self._layers))
        return written

    def _write_layer(self, folder: Path, name: str) -> Path:
        path = folder / f"{name}.tif"
        source, fill = self._layers[name].map(), _fill_value(name)

        def rows_of(rows: slice) -> NDArray[Any]:
            return self.placement.gather(source, rows, fill)

        write_layer(path, rows_of, self.placement.grid, layer_definition(name), tags=self._tags)
        return path

    @property
    def _tags(self) -> dict[str, str]:
        dates = self.chain.dates
        return {"FIRST_DATE": f"{dates[0]:%Y-%m-%d}", "LAST_DATE": f"{dates[-1]:%Y-%m-%d}"}

    @cached_property
    def _reference_on_map(self) -> RowCol | None:
        """Map pixel that shows the reference point, or where it is not drawn the one it lies in; None outside."""
        pixel = self.plan.reference.pixel
        shown = self.placement.map_pixel(pixel)
        if shown is not None:
            return shown
        try:
            return self.placement.grid.rowcol(place_of(self.plan.stack, pixel))
        except InputError:
            logger.warning(
                "The reference point, row %d, column %d of the stack, is outside the map.", pixel.row, pixel.col
            )
            return None

    def summary(self, seconds: dict[str, float]) -> dict[str, Any]:
        """What the manifest and the report say of the run."""
        plan = self.plan
        sums = self.workspace.sums
        coherence: dict[Pair, float] = {}
        if "coherence_sum" in sums:
            coherence = {
                pair: float(total / count)
                for pair, total, count in zip(
                    plan.stack.pairs, sums["coherence_sum"], sums["coherence_count"], strict=True
                )
                if count
            }
        reference = self._reference_on_map
        place = None if reference is None else self.placement.grid.lonlat(reference)
        return {
            "network": {
                **summarise_network(plan.network, coherence),
                "date_baselines_m": {
                    f"{day:%Y-%m-%d}": _or_none(baseline)
                    for day, baseline in zip(self.chain.dates, plan.perpendicular_baselines_m, strict=True)
                },
            },
            "reference": {
                "stack_row": plan.reference.pixel.row,
                "stack_col": plan.reference.pixel.col,
                "row": None if reference is None else reference.row,
                "col": None if reference is None else reference.col,
                "lon": None if place is None else _or_none(place.lon),
                "lat": None if place is None else _or_none(place.lat),
                "how": plan.reference.how,
                "size": plan.settings.reference_size,
                "score": plan.reference.score,
                "terms": plan.reference.terms,
            },
            "layers": {
                name: layer_statistics(array.map())
                for name, array in self._layers.items()
                if layer_definition(name).dtype == "float32"
            },
            "pixels": self._pixel_census(),
            **self._done_to_the_series(sums),
            "timing_seconds": {name: round(taken, 3) for name, taken in seconds.items()},
            "slowest_step": max(seconds, key=seconds.__getitem__),
            "block_seconds": self.work.rounded,
            "slowest_part_of_blocks": self.work.slowest,
        }

    def _done_to_the_series(self, sums: dict[str, NDArray[Any]]) -> dict[str, Any]:
        """Reports of the corrections that were asked for."""
        reports: dict[str, Any] = {}
        unwrapping = self.chain.inverter.unwrapping
        if unwrapping is not None:
            counted = summarise_unwrapping(self.plan.stack.pair_dates, sums)
            reports["unwrapping"] = {"correction": unwrapping.correction.value, **unwrapping.report, **counted}
        if self.chain.corrections is not None:
            reports["corrections"] = self.chain.corrections.facts
        if self.chain.rates is not None:
            reports["rate"] = dict(self.chain.rates.facts)
            if self.chain.view is not None and sums.get("series_count"):
                with_error, without = sums["squares_with_dem_error"], sums["squares_without_dem_error"]
                reports["dem_error"] = {
                    **self.chain.view.facts,
                    "rms_before_m": float(np.sqrt(with_error / sums["series_count"])),
                    "rms_after_m": float(np.sqrt(without / sums["series_count"])),
                }
        return reports

    def _pixel_census(self) -> dict[str, int]:
        flags = self._layers["quality"].map()
        counts = {flag.name.lower(): 0 for flag in Quality if flag.name is not None}
        for rows in row_slices(flags.shape[0], ROWS_PER_PASS):
            block = flags[rows]
            for flag in Quality:
                if flag.name is not None:
                    counts[flag.name.lower()] += int(np.count_nonzero(block & int(flag)))
        return {"all": int(flags.size), **counts}


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _fill_value(name: str) -> float:
    """What a layer holds on the map where the stack does not reach."""
    definition = layer_definition(name)
    if definition.dtype == "float32":
        return float("nan")
    return int(Quality.NO_DATA) if name == "quality" else definition.nodata or 0
