"""The chain from a stack to a result folder."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.blocks import Progress, map_blocks, no_progress, row_blocks
from insar.config import Settings, render_settings
from insar.errors import InputError, InsarError, OptionError
from insar.grid import RowCol
from insar.inversion import BlockInverter, InvertedBlock
from insar.layers import LAYERS, LayerDefinition, row_slices, write_layer
from insar.network_report import summarise_network
from insar.placement import Placement, SamePixels, place_stack
from insar.planning import Plan, plan_run
from insar.quality import Quality, quality_flags
from insar.reference import place_of
from insar.report import write_report
from insar.stack import Pair, Plane
from insar.workspace import FlatArray, Workspace
from insar.writers.manifest import NAME as MANIFEST
from insar.writers.manifest import checksum, read_manifest, write_manifest
from insar.writers.timeseries import create_timeseries_file, timeseries_memmap

logger = logging.getLogger(__name__)

WORKSPACE = ".work"
INVERSION_LAYERS = ("temporal_coherence", "residual_rms", "pairs_used", "subsets", "quality")
RATE_LAYERS = (
    "velocity",
    "velocity_std",
    "cumulative_displacement",
    "acceleration",
    "velocity_recent",
    "seasonal_amplitude",
    "mean_coherence",
)
GEOMETRY_LAYERS = ("height", "incidence_angle", "azimuth_angle")

ROWS_PER_PASS = 512
"""Rows of one layer in memory while pixels are counted."""

BYTES_PER_PASS = 64 * 2**20
"""Bytes of the time series in memory while it is placed."""


@dataclass
class _Stopwatch:
    """How long each step took."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        begun = time.perf_counter()
        logger.info("%s ...", name)
        yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - begun, 3)
        logger.info("%s: %.1f s", name, self.seconds[name])


def run_chain(
    settings: Settings,
    output: Path,
    *,
    with_rate: bool = True,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> Path:
    """Run the chain and return the result folder.

    A run that was killed goes on where it stopped; one that is finished is not done again.

    Parameters
    ----------
    settings
        What to do.
    output
        Result folder.
    with_rate
        The whole chain; otherwise the inversion and the layers of its quality alone.
    overwrite
        Replace another result in the folder.
    progress
        Called as the work goes on.

    Raises
    ------
    InsarError
        If the input or the options are wrong; nothing is left under a final name.
    """
    started = datetime.now(UTC)
    watch = _Stopwatch()
    with watch.step("open and plan"):
        plan = plan_run(settings)
        inverter = plan.inverter(with_rate=with_rate)
    fingerprint = plan.fingerprint(
        output, network=[pair.name for pair in plan.stack.pairs], reference=plan.reference.pixel, with_rate=with_rate
    )
    if _is_finished(output, fingerprint, overwrite=overwrite):
        logger.warning("%s is finished already; nothing to do", output)
        return output
    for note in plan.full_stack.notes:
        logger.warning("%s", note)
    is_new = not output.exists()
    workspace = Workspace(output / WORKSPACE, fingerprint)
    try:
        with watch.step("prepare the map"):
            placement = place_stack(
                plan.stack,
                crs=settings.crs,
                resolution=settings.resolution,
                bounds=settings.bbox,
                scratch=workspace.folder,
            )
        results = _Results(plan, placement, workspace, inverter, with_rate=with_rate)
        with watch.step("invert"):
            results.fill(progress)
        products = workspace.folder / "products"
        shutil.rmtree(products, ignore_errors=True)
        (products / "layers").mkdir(parents=True)
        with watch.step("place the time series"):
            results.write_series(products / "timeseries.h5", progress)
        series_path = products / "timeseries.h5"
        with watch.step("write layers"), ThreadPoolExecutor(1) as hashing:
            series_checksum = hashing.submit(checksum, series_path)
            written = results.write_layers(products / "layers", progress)
        (products / "insar.toml").write_text(render_settings(_resolved(plan), _comments(plan)), encoding="utf-8")
        write_manifest(
            products,
            layers=written,
            stack=plan.stack,
            configuration=_resolved(plan).model_dump(mode="json"),
            summary={"fingerprint": fingerprint, **results.summary(watch.seconds)},
            left_out=results.left_out,
            grid=placement.grid,
            files=[series_path, products / "insar.toml"],
            checksums={series_path: series_checksum.result()},
            started=started,
            finished=datetime.now(UTC),
        )
        if with_rate:
            with watch.step("write the report"):
                write_report(products)
        workspace.close()
        _publish(products, output)
    except InsarError:
        workspace.remove()
        if is_new:
            output.rmdir()
        raise
    finally:
        workspace.close()
    workspace.remove()
    return output


class _Results:
    """Results on the pixels of the stack, and their way to the map."""

    def __init__(
        self, plan: Plan, placement: Placement, workspace: Workspace, inverter: BlockInverter, *, with_rate: bool
    ) -> None:
        self.plan = plan
        self.placement = placement
        self.workspace = workspace
        self.inverter = inverter
        self.with_rate = with_rate
        self.left_out: dict[str, str] = {}
        geometry = plan.stack.geometry
        self._planes: dict[str, Plane] = {}
        names = [*INVERSION_LAYERS]
        if with_rate:
            self.left_out |= inverter.left_out
            names = [*(name for name in RATE_LAYERS if name not in self.left_out), *INVERSION_LAYERS]
            for name in GEOMETRY_LAYERS:
                plane = getattr(geometry, name)
                if plane is None:
                    self.left_out[name] = "the stack does not hold it"
                else:
                    self._planes[name] = plane
                    names.append(name)
        self._shadow = geometry.shadow_mask
        self._layers = {name: workspace.array(name, plan.stack.shape, LAYERS[name].dtype) for name in names}
        self._series_path = workspace.folder / "timeseries.h5"
        self._series = self._open_series()

    @property
    def _in_place(self) -> bool:
        """Whether the map's pixels are the stack's, so that the series is written where it stays."""
        return isinstance(self.placement, SamePixels) and self.placement.grid == self.plan.stack.grid

    def _open_series(self) -> FlatArray:
        shape = (len(self.inverter.dates), *self.plan.stack.shape)
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
            dates=self.inverter.dates,
            stack=self.plan.stack,
            reference=reference,
            perpendicular_baselines_m=self.plan.perpendicular_baselines_m,
        )

    def fill(self, progress: Progress) -> None:
        """Invert what an earlier try has not."""
        rows = self.plan.stack.shape[0]
        begin = self.workspace.rows_done
        if begin:
            logger.info("going on at row %d of %d", begin, rows)
        sums = {name: np.asarray(values) for name, values in self.workspace.sums.items()}
        blocks = row_blocks(
            rows,
            self.inverter.bytes_per_row,
            rows_per_chunk=self.inverter.rows_per_chunk,
            workers=self.plan.workers,
            memory_limit=self.plan.settings.memory_bytes,
        )

        def keep(block: slice, result: InvertedBlock) -> None:
            self._series.write_rows(block, result.displacement_m)
            for name, array in self._layers.items():
                array.write_rows(block, result.layers[name])
            if result.coherence_sum is not None and result.coherence_count is not None:
                for name, values in (("sum", result.coherence_sum), ("count", result.coherence_count)):
                    sums[name] = sums.get(name, 0.0) + values
            self.workspace.mark(block.stop, {name: values.tolist() for name, values in sums.items()})
            progress("invert", block.stop, rows)

        remaining = [slice(max(block.start, begin), block.stop) for block in blocks if block.stop > begin]
        map_blocks(remaining, self._compute, keep, workers=self.plan.workers)

    def _compute(self, rows: slice) -> InvertedBlock:
        block = self.inverter(rows)
        shadow = None if self._shadow is None else self._shadow.read(rows, slice(None))
        block.layers["quality"] = quality_flags(block.layers["subsets"], block.layers["temporal_coherence"], shadow)
        for name, plane in self._planes.items():
            block.layers[name] = np.asarray(plane.read(rows, slice(None)))
        return block

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
                written.append((LAYERS[path.stem], path))
                progress("write layers", count, len(self._layers))
        return written

    def _write_layer(self, folder: Path, name: str) -> Path:
        path = folder / f"{name}.tif"
        source, fill = self._layers[name].map(), _fill_value(name)

        def rows_of(rows: slice) -> NDArray[Any]:
            return self.placement.gather(source, rows, fill)

        write_layer(path, rows_of, self.placement.grid, LAYERS[name], tags=self._tags)
        return path

    @property
    def _tags(self) -> dict[str, str]:
        dates = self.inverter.dates
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
        if sums:
            coherence = {
                pair: total / count
                for pair, total, count in zip(plan.stack.pairs, sums["sum"], sums["count"], strict=True)
                if count
            }
        reference = self._reference_on_map
        place = None if reference is None else self.placement.grid.lonlat(reference)
        return {
            "network": {
                **summarise_network(plan.network, coherence),
                "date_baselines_m": {
                    f"{day:%Y-%m-%d}": _or_none(baseline)
                    for day, baseline in zip(self.inverter.dates, plan.perpendicular_baselines_m, strict=True)
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
                name: _statistics(array.map())
                for name, array in self._layers.items()
                if LAYERS[name].dtype == "float32"
            },
            "pixels": self._pixel_census(),
            "timing_seconds": seconds,
            "slowest_step": max(seconds, key=seconds.__getitem__),
        }

    def _pixel_census(self) -> dict[str, int]:
        flags = self._layers["quality"].map()
        counts = {flag.name.lower(): 0 for flag in Quality if flag.name is not None}
        for rows in row_slices(flags.shape[0], ROWS_PER_PASS):
            block = flags[rows]
            for flag in Quality:
                if flag.name is not None:
                    counts[flag.name.lower()] += int(np.count_nonzero(block & int(flag)))
        return {"all": int(flags.size), **counts}


def _statistics(values: NDArray[np.floating]) -> dict[str, float | None]:
    """Robust range of a layer, from at most about a million of its pixels."""
    step = max(1, round((values.size / 1e6) ** 0.5))
    sample = np.asarray(values[::step, ::step])
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return {"minimum": None, "median": None, "maximum": None}
    low, middle, high = np.percentile(sample, [2, 50, 98])
    return {
        "minimum": float(sample.min()),
        "percentile_2": float(low),
        "median": float(middle),
        "percentile_98": float(high),
        "maximum": float(sample.max()),
    }


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _fill_value(name: str) -> float:
    """What a layer holds on the map where the stack does not reach."""
    if LAYERS[name].dtype == "float32":
        return float("nan")
    return int(Quality.NO_DATA) if name == "quality" else 0


def _resolved(plan: Plan) -> Settings:
    """The settings, complete: they reproduce the result from wherever they lie."""
    return plan.settings.model_copy(
        update={"stack": plan.settings.stack.resolve(), "processor": plan.full_stack.processor}
    )


def _comments(plan: Plan) -> dict[str, str]:
    pixel = plan.reference.pixel
    if plan.reference.how != "auto":
        return {}
    return {"reference": f"auto chose row {pixel.row}, column {pixel.col} of the stack."}


def _is_finished(output: Path, fingerprint: str, *, overwrite: bool) -> bool:
    """Whether the folder holds this very result; raises where it holds something else."""
    if not output.exists():
        return False
    if not output.is_dir():
        raise OptionError("--output", required="a folder", found=f"the file {output}", remedy="Choose another name")
    content = {entry.name for entry in output.iterdir()} - {WORKSPACE}
    if not content or overwrite:
        return False
    if (output / MANIFEST).exists():
        if read_manifest(output)["summary"].get("fingerprint") == fingerprint:
            return True
        found = "a result of other inputs or settings"
    else:
        found = "files that are no result of insar"
    raise OptionError(
        f"--output {output}",
        required="a new or empty folder, or the same run's",
        found=found,
        remedy="Choose another folder, or add --overwrite",
    )


def _publish(products: Path, output: Path) -> None:
    """Give the products their final names, the manifest last: a folder with a manifest is whole."""
    (output / MANIFEST).unlink(missing_ok=True)
    for entry in sorted(products.iterdir(), key=lambda entry: (entry.name == MANIFEST, entry.name)):
        target = output / entry.name
        if target.is_dir():
            shutil.rmtree(target)
        entry.replace(target)
