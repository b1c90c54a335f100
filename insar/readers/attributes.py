"""Sensor and pass from the keyword attributes that ROI_PAC introduced: ISCE2's ``data.rsc``, MintPy's HDF5 files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path

from insar.errors import InputError
from insar.readers.orbit import wrapped_heading
from insar.stack import Acquisition


@dataclass(frozen=True, slots=True)
class Sensor:
    """Radar wavelength, and what else is known of the acquisition."""

    wavelength_m: float | None
    acquisition: Acquisition


def read_rsc(path: Path) -> dict[str, str]:
    """Attributes of a ``.rsc`` text file, names in capitals."""
    entries = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        parts = line.replace("=", " ").split(maxsplit=1)
        if len(parts) == 2 and not parts[0].startswith("#"):
            entries[parts[0].upper()] = parts[1].strip()
    return entries


def sensor_of(path: Path, entries: Mapping[str, str]) -> Sensor:
    """Sensor from attributes whose names are in capitals.

    Raises
    ------
    InputError
        An attribute that should be a number is none; names `path`.
    """
    side = number_of(path, entries, "ANTENNA_SIDE")
    heading = number_of(path, entries, "HEADING")
    range_looks, azimuth_looks = number_of(path, entries, "RLOOKS"), number_of(path, entries, "ALOOKS")
    acquisition = Acquisition(
        platform=entries.get("PLATFORM"),
        orbit_direction=orbit_direction(entries.get("ORBIT_DIRECTION", entries.get("PASSDIRECTION"))),
        heading_deg=None if heading is None else wrapped_heading(heading),
        antenna_side=None if side is None else "right" if side < 0 else "left",
        center_line_utc_s=number_of(path, entries, "CENTER_LINE_UTC"),
        starting_range_m=number_of(path, entries, "STARTING_RANGE", "STARTINGRANGE"),
        range_pixel_size_m=number_of(path, entries, "RANGE_PIXEL_SIZE", "RANGEPIXELSIZE"),
        azimuth_pixel_size_m=number_of(path, entries, "AZIMUTH_PIXEL_SIZE", "AZIMUTHPIXELSIZE"),
        earth_radius_m=number_of(path, entries, "EARTH_RADIUS", "EARTHRADIUS"),
        platform_height_m=number_of(path, entries, "HEIGHT", "ALTITUDE"),
        range_looks=None if range_looks is None else round(range_looks),
        azimuth_looks=None if azimuth_looks is None else round(azimuth_looks),
    )
    return Sensor(number_of(path, entries, "WAVELENGTH", "RADARWAVELENGTH", "RADAR_WAVELENGTH"), acquisition)


def number_of(path: Path, entries: Mapping[str, str], *names: str) -> float | None:
    """First of the named attributes as a number; None where there is none or it says none or nan.

    Raises
    ------
    InputError
        It is something else than a number.
    """
    text = next((entries[name] for name in names if name in entries), None)
    if text is None or text.lower() in ("none", "nan", "no"):
        return None
    try:
        return float(text)
    except ValueError as error:
        raise InputError(
            path, required=f"a number as {names[0]}", found=text, remedy="Correct this attribute"
        ) from error


def orbit_direction(text: str | None) -> str | None:
    """``ascending`` or ``descending`` from a processor's word for it, None where it has none."""
    word = (text or "").strip().lower()
    return "ascending" if word.startswith("asc") else "descending" if word.startswith("desc") else None


def seconds_of_day(moment: datetime) -> float:
    """Seconds since midnight."""
    return (moment - moment.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()


def merge_acquisitions(acquisitions: Sequence[Acquisition]) -> Acquisition:
    """Combine them: of each field the first value that is known."""
    return Acquisition(
        **{
            item.name: next((value for each in acquisitions if (value := getattr(each, item.name)) is not None), None)
            for item in fields(Acquisition)
        }
    )
