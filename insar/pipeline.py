"""The chain from a stack to a result folder."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from insar.assembly import Results
from insar.blocks import Progress, no_progress
from insar.cluster import open_runner
from insar.config import Settings, render_settings
from insar.errors import InsarError, OptionError
from insar.placement import place_stack
from insar.planning import Plan, plan_run
from insar.preparation import prepare_chain
from insar.stopwatch import Stopwatch
from insar.workspace import Workspace
from insar.writers.manifest import NAME as MANIFEST
from insar.writers.manifest import add_to_summary, checksum, read_manifest, write_manifest

logger = logging.getLogger(__name__)

WORKSPACE = ".work"


def run_chain(
    settings: Settings,
    output: Path,
    *,
    with_rate: bool = True,
    overwrite: bool = False,
    progress: Progress = no_progress,
    more_summary: Mapping[str, Any] | None = None,
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
    more_summary
        Further entries of the manifest's summary.

    Raises
    ------
    InsarError
        If the input or the options are wrong; nothing is left under a final name.
    """
    started = datetime.now(UTC)
    watch = Stopwatch(logger.info)
    with watch.step("open and plan"):
        plan = plan_run(settings)
    fingerprint = plan.fingerprint(
        output, network=[pair.name for pair in plan.stack.pairs], reference=plan.reference.pixel, with_rate=with_rate
    )
    if _is_finished(output, fingerprint, overwrite=overwrite):
        logger.warning("%s is finished already; nothing to do", output)
        return output
    for note in (*plan.full_stack.notes, *plan.network.notes):
        logger.warning("%s", note)
    with watch.step("prepare corrections"):
        chain = prepare_chain(plan, with_rate=with_rate, progress=progress)
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
        results = Results(plan, chain, placement, workspace)
        with (
            watch.step("invert"),
            open_runner(
                settings.cluster,
                workers=settings.workers,
                memory_limit=settings.memory_bytes,
                files=[settings.stack, *settings.more_stacks],
            ) as runner,
        ):
            results.fill(runner, progress)
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
            summary={"fingerprint": fingerprint, **results.summary(watch.seconds), **(more_summary or {})},
            left_out=chain.left_out,
            grid=placement.grid,
            files=[series_path, products / "insar.toml"],
            checksums={series_path: series_checksum.result()},
            started=started,
            finished=datetime.now(UTC),
        )
        if with_rate:
            from insar.report import write_report  # with the libraries that draw

            with watch.step("write the report"):
                write_report(products)
            add_to_summary(products, {"timing_seconds": watch.rounded, "slowest_step": watch.slowest})
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


def _resolved(plan: Plan) -> Settings:
    """The settings, complete: they reproduce the result from wherever they lie."""
    return plan.settings.with_absolute_paths.model_copy(update={"processor": plan.full_stack.processor})


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
