"""``insar backscatter``: from calibrated images to the layers of what an event changed, with layover and shadow."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.backscatter import Scale
from insar.backscatter_chain import (
    BackscatterOptions,
    BackscatterPlan,
    plan_backscatter,
    suffix_of,
)
from insar.backscatter_stack import BackscatterStack, Orbit
from insar.backscatter_view import BackscatterView, FlatClasses, ViewOptions, fill_visibility, view_of_images
from insar.backscatter_work import BackscatterWork, VisibilityLayer
from insar.blocks import Progress, no_progress
from insar.errors import InputError, OptionError
from insar.event_report import write_event_report
from insar.grid import Grid, RowCol
from insar.layer_run import Machine, fill_layers
from insar.new_result import new_result
from insar.placement import SamePixels
from insar.readers.backscatter import open_backscatter, open_incidence
from insar.slope import FORESHORTENED, Visibility
from insar.stopwatch import Stopwatch
from insar.terrain_mask import Terrain
from insar.writers.manifest import checksum, write_derived_manifest

logger = logging.getLogger(__name__)

PRODUCT = "backscatter"


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """What the user says of the images where they do not say it themselves.

    Attributes
    ----------
    orbit
        Direction of the pass of all images.
    scale
        Unit of all images.
    """

    orbit: Orbit | None = None
    scale: Scale | None = None


@dataclass(frozen=True, slots=True)
class MaskOptions:
    """How layover and shadow are told.

    Attributes
    ----------
    dem
        Raster of heights in metres, in any CRS; None to take the masks that products bring.
    incidence_deg
        One incidence angle for all images.
    incidence_file
        Raster of incidence angles from the ellipsoid, degrees, on the lattice of the images.
    heading_deg
        Of the platform, clockwise from north.
    """

    dem: Path | None = None
    incidence_deg: float | None = None
    incidence_file: Path | None = None
    heading_deg: float | None = None

    def __post_init__(self) -> None:
        if self.incidence_deg is not None and self.incidence_file is not None:
            raise OptionError(
                "--incidence-file",
                required="either one incidence angle or a raster of them",
                found="both",
                remedy="Leave out --incidence or --incidence-file",
            )
        if self.dem is None and (self.incidence_deg, self.incidence_file, self.heading_deg) != (None, None, None):
            raise OptionError(
                "--dem",
                required="a DEM, which --incidence, --incidence-file and --heading are for",
                found="none",
                remedy="Give --dem DEM, or leave the others out",
            )


def map_backscatter(
    files: Sequence[Path],
    output: Path,
    options: BackscatterOptions,
    *,
    reading: ReadingOptions | None = None,
    mask: MaskOptions | None = None,
    machine: Machine | None = None,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> Path:
    """Write a result folder with the medians after an event, their difference from those before, and terrain masks.

    Parameters
    ----------
    files
        Images, and folders of them, see `insar.readers.backscatter.open_backscatter`.
    output
        Folder to make.
    options, reading, mask, machine
        The event and what is made, what the images are, how layover and shadow are told, and who computes.
    overwrite
        Replace an earlier backscatter result in the folder.
    progress
        Called as the work goes on.

    Returns
    -------
    Path
        The folder. Layers that could not be made are listed in its manifest with the reason.

    Raises
    ------
    InsarError
        The input or the options are wrong; nothing is left behind.
    """
    reading, mask, machine = reading or ReadingOptions(), mask or MaskOptions(), machine or Machine()
    started = datetime.now(UTC)
    watch = Stopwatch(logger.info)
    with watch.step("open"):
        stack = open_backscatter(files, orbit=reading.orbit, scale=reading.scale)
        plan = plan_backscatter(stack, options)
    for note in (*stack.notes, *plan.notes):
        logger.warning("%s", note)
    with new_result(output, PRODUCT, overwrite=overwrite) as products:
        with watch.step("find layover and shadow"):
            visible = _find_visibility(stack, mask, products.parent.resolve(), machine, progress)
        work = BackscatterWork(
            plan, visible.layers, visible.terrain, stack.grid.cols, options.min_images, stack.rows_per_chunk
        )
        with watch.step("compute the layers"):
            filled = fill_layers(
                work,
                stack.grid.shape,
                SamePixels(stack.grid, RowCol(0, 0)),
                products,
                machine=machine,
                files=list(files),
                tags=lambda name: _tags(options.windows.event, plan.available.get(name)),
                step="compute the layers",
                progress=progress,
            )
        _require_change(plan, filled.sums)
        write_derived_manifest(
            products,
            layers=filled.written,
            grid=stack.grid,
            inputs=_described_inputs(stack),
            configuration={
                "product": PRODUCT,
                **asdict(options.windows),
                "min_images": options.min_images,
                "season": None if options.season is None else list(options.season),
                **asdict(reading),
                **asdict(mask),
                **asdict(machine),
            },
            summary={
                "product": PRODUCT,
                "event": options.windows.event,
                "windows": {"pre": list(options.windows.pre), "post": list(options.windows.post)},
                "images": _described_images(stack, plan),
                "notes": list(dict.fromkeys((*plan.notes, *visible.notes))),
                "available": plan.available,
                "visibility": {
                    name: {**facts, "pixels": _class_counts(filled.sums, name)} for name, facts in visible.facts.items()
                },
                "layers": filled.statistics,
                "sums": filled.sums,
                "timing_seconds": watch.rounded,
            },
            left_out={**plan.left_out, **visible.left_out},
            started=started,
            finished=datetime.now(UTC),
        )
        write_event_report(products)
    return output


@dataclass(frozen=True, slots=True)
class _FoundVisibility:
    layers: tuple[VisibilityLayer, ...]
    terrain: Terrain | None
    facts: dict[str, dict[str, Any]]
    left_out: dict[str, str]

    @property
    def notes(self) -> list[str]:
        """What was taken for want of something better, of every pass."""
        return [note for told in self.facts.values() for note in told.get("notes", ())]


def _find_visibility(
    stack: BackscatterStack, mask: MaskOptions, scratch: Path, machine: Machine, progress: Progress
) -> _FoundVisibility:
    layers: list[VisibilityLayer] = []
    facts: dict[str, dict[str, Any]] = {}
    left_out: dict[str, str] = {}
    terrain = None
    options = _view_options(stack, mask)
    for orbit in stack.orbits:
        images, suffix = stack.of_orbit(orbit), suffix_of(stack, orbit)
        name = f"visibility{suffix}"
        if mask.dem is not None:
            view = view_of_images(images, orbit, options)
            folder = scratch / f"terrain{suffix}"
            folder.mkdir()
            terrain = Terrain.prepare(mask.dem, stack.grid, view, folder)
            layers.append(_classify(terrain, stack.grid, view, suffix, folder, machine, progress))
            facts[name] = _described_view(mask.dem, terrain, view)
        elif images.masks:
            layers.append(VisibilityLayer(suffix, masks=images.masks))
            facts[name] = {"from": "masks of the products", "masks": [each.name for each in images.masks]}
        else:
            left_out[name] = "no DEM is given (--dem), and no product brings a mask of layover and shadow"
    return _FoundVisibility(tuple(layers), terrain, facts, left_out)


def _view_options(stack: BackscatterStack, mask: MaskOptions) -> ViewOptions:
    both = len(stack.orbits) > 1
    if both and (mask.incidence_file is not None or mask.heading_deg is not None):
        option = "--heading" if mask.incidence_file is None else "--incidence-file"
        raise OptionError(
            option,
            required="images of one pass, which it holds for",
            found="images of both",
            remedy="Process ascending and descending images into two results",
        )
    source = None if mask.incidence_file is None else open_incidence(mask.incidence_file, stack.grid)
    return ViewOptions(mask.incidence_deg, source, mask.heading_deg)


def _classify(
    terrain: Terrain,
    grid: Grid,
    view: BackscatterView,
    suffix: str,
    folder: Path,
    machine: Machine,
    progress: Progress,
) -> VisibilityLayer:
    classes = FlatClasses(folder / "classes.dat", grid.cols)
    with classes.path.open("wb") as sink:

        def keep(rows: slice, values: NDArray[np.uint8]) -> None:
            sink.write(np.ascontiguousarray(values).tobytes())
            progress("find layover and shadow", rows.stop, grid.rows)

        fill_visibility(terrain, grid, view, keep, machine.threads)
    return VisibilityLayer(suffix, classes)


def _described_view(dem: Path, terrain: Terrain, view: BackscatterView) -> dict[str, Any]:
    for note in view.notes:  # the terrain has told its own
        logger.warning("%s", note)
    return {
        "from": "DEM",
        "dem": dem.resolve(),
        "dem_sha256": checksum(dem),
        "incidence": view.incidence_name,
        "azimuth_angle": round(view.azimuth_deg, 4),
        "cast_reach_m": round(terrain.reach_m, 1),
        "foreshortening_below": FORESHORTENED,
        "notes": [*view.notes, *terrain.notes],
    }


def _class_counts(sums: Mapping[str, NDArray[Any]], name: str) -> dict[str, int]:
    counts = sums[f"{name}_pixels"]
    return {kind.name.lower(): int(counts[kind]) for kind in Visibility}


def _require_change(plan: BackscatterPlan, sums: Mapping[str, NDArray[Any]]) -> None:
    names = [change.name("difference") for change in plan.changes]
    if any(sums[f"{name}_histogram"].any() for name in names):
        return
    raise InputError(
        ", ".join(names),
        required="at least one pixel with images both before and after the event",
        found="none",
        remedy="Check that the images have data, that they overlap, and --min-images",
    )


def _described_inputs(stack: BackscatterStack) -> dict[str, Any]:
    return {
        "path": ", ".join(map(str, stack.paths)),
        "processor": PRODUCT,
        "rows": stack.grid.rows,
        "cols": stack.grid.cols,
        "dates": stack.dates(),
        "orbits": [str(orbit) if orbit is not None else None for orbit in stack.orbits],
        "images": [
            {
                "name": image.name,
                "date": image.day,
                "polarisation": image.polarisation,
                "orbit": image.orbit,
                "scale": image.scale,
            }
            for image in stack.images
        ],
        "notes": stack.notes,
    }


def _described_images(stack: BackscatterStack, plan: BackscatterPlan) -> list[dict[str, Any]]:
    """For each polarisation and pass the dates there are, and those behind its medians and its mean."""
    described = []
    for orbit in stack.orbits:
        images, suffix = stack.of_orbit(orbit), suffix_of(stack, orbit)
        for polarisation in sorted({image.polarisation for image in images.images}, reverse=True):
            chosen = {
                "pre": [change.pre for change in plan.changes if change.belongs_to(polarisation, suffix)],
                "post": [change.post for change in plan.changes if change.belongs_to(polarisation, suffix)],
                "season": [season.series for season in plan.seasons if season.belongs_to(polarisation, suffix)],
            }
            described.append(
                {
                    "name": polarisation if orbit is None else f"{polarisation} {orbit}",
                    "dates": images.dates(polarisation),
                    **{kind: [day for each in series for day in each.days] for kind, series in chosen.items()},
                }
            )
    return described


def _tags(event: date, available: date | None) -> dict[str, str]:
    told = {"EVENT_DATE": event.isoformat()}
    return told if available is None else {**told, "AVAILABLE_DATE": available.isoformat()}
