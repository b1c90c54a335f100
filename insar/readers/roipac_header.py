"""ROI_PAC's headers: a ``.rsc`` text file beside each raster, names in any letter case."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from affine import Affine

from insar.errors import InputError
from insar.grid import Grid
from insar.readers.attributes import number_of, read_rsc
from insar.readers.crs import WGS84, utm_crs
from insar.readers.named_pairs import find_two_dates

_BASELINE_NAMES = ("P_BASELINE_TOP_HDR", "P_BASELINE_BOTTOM_HDR")


@dataclass(frozen=True, slots=True)
class RoipacHeader:
    """Entries of one header, their names in capitals."""

    path: Path
    entries: Mapping[str, str]

    @property
    def raster(self) -> Path:
        """The raster that it describes."""
        return self.path.with_suffix("")

    @property
    def is_on_map(self) -> bool:
        """Whether the raster is geocoded."""
        return "X_FIRST" in self.entries

    def dates(self) -> tuple[str, str] | None:
        """The two dates of ``DATE12``, else of the name, as YYYYMMDD in the order stored; None where there are none.

        Raises
        ------
        InputError
            ``DATE12`` and the name are of different dates.
        """
        stated, named = find_two_dates(self.entries.get("DATE12", "")), find_two_dates(self.path.name)
        if stated is not None and named is not None and stated != named:
            raise InputError(
                self.path,
                required=f"the dates of the file's name as DATE12: {named[0]}-{named[1]}",
                found=self.entries["DATE12"],
                remedy="The header belongs to another interferogram, or the file was renamed: correct one of both",
            )
        return stated or named

    def number(self, *names: str) -> float | None:
        """First of the named entries as a number, None where there is none; raises `InputError` for anything else."""
        return number_of(self.path, self.entries, *names)

    def map_grid(self) -> Grid:
        """Grid of a geocoded raster.

        Raises
        ------
        InputError
            Its size, place or projection is missing or cannot be.
        """
        rows, cols = self._required("FILE_LENGTH"), self._required("WIDTH")
        x_first, y_first, x_step, y_step = map(self._required, ("X_FIRST", "Y_FIRST", "X_STEP", "Y_STEP"))
        if x_step <= 0 or y_step >= 0:
            raise InputError(
                self.path,
                required="a positive X_STEP and a negative Y_STEP",
                found=f"{x_step} and {y_step}",
                remedy="Geocode the interferograms north up",
            )
        return Grid(round(rows), round(cols), Affine(x_step, 0.0, x_first, 0.0, y_step, y_first), self._crs())

    def baseline_m(self) -> float:
        """Perpendicular baseline, mean of the top and the bottom of the scene; NaN where it is not stated."""
        known = [value for name in _BASELINE_NAMES if (value := self.number(name)) is not None]
        return sum(known) / len(known) if known else math.nan

    def _required(self, name: str) -> float:
        value = self.number(name)
        if value is None:
            raise InputError(
                self.path,
                required=f"a number as {name}",
                found=self.entries.get(name, "no such entry"),
                remedy="Copy the .rsc again from where the raster was made",
            )
        return value

    def _crs(self) -> str:
        zone = self.entries.get("UTM_ZONE", "").strip().upper()
        in_metres = self.entries.get("X_UNIT", "degrees").lower().startswith("m")
        if in_metres and zone[:-1].isdigit() and 1 <= int(zone[:-1]) <= 60 and zone[-1] in "NS":
            return utm_crs(int(zone[:-1]), north=zone[-1] == "N")
        outside = abs(self._required("X_FIRST")) > 360 or abs(self._required("Y_FIRST")) > 90
        datum = self.entries.get("DATUM", "WGS84").upper().replace("-", "").replace(" ", "")
        if in_metres or outside or datum not in ("WGS84", "WGS1984", "NONE"):
            raise InputError(
                self.path,
                required="a map in degrees on WGS 84, or X_UNIT meters with a UTM_ZONE such as 14N",
                found=f"X_UNIT {self.entries.get('X_UNIT', 'absent')}, UTM_ZONE {zone or 'absent'}, DATUM {datum}, "
                f"X_FIRST {self.entries['X_FIRST']}",
                remedy="Correct these entries",
            )
        return WGS84


def read_header(path: Path) -> RoipacHeader:
    """Read a ``.rsc`` file."""
    return RoipacHeader(path, read_rsc(path))
