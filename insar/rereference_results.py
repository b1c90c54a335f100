"""Another reference point for a finished result, from its time series alone."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from insar.blocks import Progress, no_progress
from insar.config import Settings, render_settings
from insar.errors import InputError, MissingInputError, OptionError
from insar.figures import FIGURES, format_percent
from insar.grid import LonLat, RowCol
from insar.moved_layers import MovedLayers
from insar.reference_area import ReferenceArea
from insar.replacement import finish_replacement, publish_replacement, replacement
from insar.report import write_report
from insar.report_parts import REPORT
from insar.result import SERIES, ResultFolder
from insar.slope_results import PRODUCT as SLOPE
from insar.slope_results import SLOPE_LAYERS
from insar.solver import Norm
from insar.uncertainty import Uncertainty
from insar.weights import Weighting
from insar.writers.manifest import NAME as MANIFEST
from insar.writers.manifest import checksum, versions

logger = logging.getLogger(__name__)

CONFIGURATION = "insar.toml"

DERIVED = {SLOPE: SLOPE_LAYERS}
"""Layers of products that were made of the rate."""

_SCRATCH = ".rereference"


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
    move = _Move(result, settings, area, MovedLayers(result, series, settings, area))
    with replacement(folder, _SCRATCH) as scratch:
        move.write(scratch, progress)
        if (folder / REPORT).exists():
            write_report(scratch)
        publish_replacement(folder, scratch, move.obsolete(scratch))
    notes = move.notes
    for note in notes:
        logger.warning("%s", note)
    return MovedReference(pixel, move.place, reach, area.count, notes)


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


@dataclass(frozen=True)
class _Move:
    """The new files of a result, and what is said of them."""

    result: ResultFolder
    settings: Settings
    area: ReferenceArea
    layers: MovedLayers

    @property
    def place(self) -> LonLat:
        return self.result.grid.lonlat(self.area.pixel)

    @property
    def is_on_map(self) -> bool:
        return self.result.grid.crs is not None

    @cached_property
    def derived(self) -> list[str]:
        """Layers that go, since they show the earlier reference."""
        return [name for names in DERIVED.values() for name in names if name in self.result.layers]

    @property
    def moved_settings(self) -> Settings:
        """The settings of a run with the new reference."""
        return self.settings.model_copy(
            update={
                "reference_lonlat": tuple(self.place) if self.is_on_map else None,
                # Without a map the rows and columns of the result are those of the stack.
                "reference_rowcol": None if self.is_on_map else tuple(self.area.pixel),
                "reference_size": self.area.size,
            }
        )

    @cached_property
    def notes(self) -> tuple[str, ...]:
        notes = []
        if self.derived:
            notes.append(
                f"Removed, since made of the rate at the earlier reference: {', '.join(self.derived)}. Run "
                "`insar slope` again."
            )
        if self.layers.kept:
            notes.append(
                f"{', '.join(self.layers.kept)}: as at the earlier reference, whose noise they hold; only the "
                "interferograms can tell them anew."
            )
        if self.settings.uncertainty is Uncertainty.COVARIANCE and self.layers.refitted:
            notes.append("Deviations hold the noise of interferograms by residual_rms, that of the earlier reference.")
        inexact = self._inexact()
        if inexact:
            notes.append(
                f"{inexact}: there the result departs from that of a run with this reference by what the "
                "interferograms of the reference fail to close among themselves."
            )
        if self.area.gaps:
            notes.append(
                f"The reference point lacks {self.area.gaps} of {len(self.layers.pairs)} interferograms: a run with "
                "this reference would refuse it."
            )
        return tuple(notes)

    def _inexact(self) -> str:
        """Where the pixels were not all inverted by the same linear system, in words; empty where they were."""
        settings = self.settings
        if settings.norm is not Norm.L2 or settings.weights is not Weighting.NONE:
            return f"The pixels were inverted with weights={settings.weights} and norm={settings.norm}"
        share = self.layers.share_with_gaps()
        return f"{format_percent(share)} of the pixels with data lack interferograms" if share else ""

    def write(self, scratch: Path, progress: Progress) -> None:
        """Write time series, layers, configuration and manifest."""
        statistics = self.layers.write(scratch, progress)
        (scratch / CONFIGURATION).write_text(render_settings(self.moved_settings), encoding="utf-8")
        # The other layers, for the report to see.
        for name in self.result.layers:
            path = self.result.layer_path(name)
            if path is not None and name not in (*self.layers.names, *self.derived):
                (scratch / "layers" / path.name).symlink_to(path.resolve())
        content = self._manifest(scratch, statistics)
        (scratch / MANIFEST).write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")

    def _manifest(self, scratch: Path, statistics: dict[str, dict[str, float | None]]) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat()
        content, summary = dict(self.result.manifest), self.result.summary
        content["layers"] = [
            {**entry, **_facts(scratch / entry["file"])} if entry["name"] in self.layers.names else entry
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
        told = {**(summary.get("layers") or {}), **statistics}
        content["summary"] = {
            **summary,
            # No run has made this: one with the settings of before must not take it for its own.
            "fingerprint": None,
            "reference": {**self._described(), "moved": {"at": now, "versions": versions(), "notes": self.notes}},
            "earlier_references": [
                *(summary.get("earlier_references") or []),
                {**(summary.get("reference") or {}), "until": now},
            ],
            "layers": {name: figures for name, figures in told.items() if name not in self.derived},
        }
        return content

    def _described(self) -> dict[str, Any]:
        pixel, place = self.area.pixel, self.place
        return {
            "stack_row": None if self.is_on_map else pixel.row,
            "stack_col": None if self.is_on_map else pixel.col,
            "row": pixel.row,
            "col": pixel.col,
            "lon": place.lon if self.is_on_map else None,
            "lat": place.lat if self.is_on_map else None,
            "how": "moved",
            "size": self.area.size,
            "pixels_averaged": self.area.count,
            "score": None,
            "terms": None,
            "recomputed": [SERIES, *self.layers.names],
            "of_earlier_reference": self.layers.kept,
        }

    def obsolete(self, scratch: Path) -> list[Path]:
        """Files of the result that show the earlier reference and are not replaced."""
        folder = self.result.folder
        listed = {entry["file"] for entry in self.result.manifest["files"]}
        layers = [Path(str(self.result.layers[name]["file"])) for name in self.derived]
        figures = [path.relative_to(folder) for path in (folder / FIGURES).glob("*.png")]
        return layers + [path for path in figures if not (scratch / path).exists() and path.as_posix() not in listed]


def _facts(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": checksum(path)}
