"""What the names of backscatter files and bands say: date, polarisation, unit, pass, and what is no backscatter."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from insar.backscatter import Scale
from insar.backscatter_stack import Orbit
from insar.readers.pairs import parse_date

_DATES = (
    re.compile(r"(?<!\d)(\d{8})(?=T\d{6}|(?!\d))"),
    re.compile(r"(?<!\d)(\d{4})[-_.](\d{2})[-_.](\d{2})(?!\d)"),
    re.compile(r"(?<![0-9A-Za-z])(\d{2}[A-Za-z]{3}\d{4})(?![0-9A-Za-z])"),
)
_TIME = re.compile(r"(?<!\d)\d{8}T(\d{2})(\d{2})(\d{2})")
_POLARISATION = re.compile(r"(?:^|[^A-Za-z0-9])(VV|VH|HH|HV)(?=[^A-Za-z0-9]|$)", re.IGNORECASE)
_ORBIT = re.compile(r"(?:^|[^a-z])(?:(asc|ascending)|(dsc|desc|descending))(?=[^a-z]|$)", re.IGNORECASE)
_SENTINEL1 = re.compile(r"^S1[A-D]_", re.IGNORECASE)

# S1A_IW_20180128T161201_DVP_RTC30_G_gpuned_FD6A: g or s, then p, a or d for power, amplitude or decibel
_HYP3 = re.compile(r"_RTC\d+_[A-Z]_([gs])([pad])[uw][nf][ec][dm]_[0-9A-F]{4}(?=_|$)")
_HYP3_QUANTITIES = {"g": "gamma0", "s": "sigma0"}
_HYP3_SCALES = {"p": Scale.POWER, "a": Scale.AMPLITUDE, "d": Scale.DECIBEL}
HYP3_MASK = "ls_map"
_HYP3_OTHERS = re.compile(r"_(ls_map|inc_map|dem|area|rgb|water_mask)$", re.IGNORECASE)

# Sigma0_VV, Gamma0_VH_db of SNAP
_CALIBRATED = re.compile(r"(?:^|[^a-z0-9])(sigma|gamma)(?:0|_?nought)?(?=[^a-z0-9]|$)", re.IGNORECASE)
_DECIBEL = re.compile(r"(?:^|[^a-z])db(?=[^a-z]|$)", re.IGNORECASE)
_AMPLITUDE = re.compile(r"(?:^|[^a-z])(amplitude|amp)(?=[^a-z]|$)", re.IGNORECASE)
_POWER = re.compile(r"(?:^|[^a-z])(power|pwr|linear)(?=[^a-z]|$)", re.IGNORECASE)

_EARLIEST = date(1978, 1, 1)


@dataclass(frozen=True, slots=True)
class NamedFacts:
    """What the name of a file says; None where it does not."""

    day: date | None
    utc_hours: float | None
    polarisation: str | None
    orbit: Orbit | None
    scale: Scale | None
    quantity: str | None
    """``sigma0`` or ``gamma0``."""
    hyp3_part: str | None
    """``ls_map``, ``inc_map``, ``dem``, ... of a HyP3 product, None for backscatter."""
    is_hyp3: bool
    is_sentinel1: bool


def facts_of_name(path: Path) -> NamedFacts:
    """What a file's name says, and for the pass that of its folder."""
    stem = path.stem
    hyp3 = _HYP3.search(stem)
    other = _HYP3_OTHERS.search(stem)
    clock = _TIME.search(stem)
    return NamedFacts(
        day=date_in(stem),
        utc_hours=None if clock is None else int(clock[1]) + int(clock[2]) / 60.0 + int(clock[3]) / 3600.0,
        polarisation=polarisation_in(stem),
        orbit=orbit_in(stem) or orbit_in(path.parent.name),
        scale=_HYP3_SCALES[hyp3[2]] if hyp3 is not None else scale_in(stem),
        quantity=_HYP3_QUANTITIES[hyp3[1]] if hyp3 is not None else quantity_in(stem),
        hyp3_part=None if other is None else other[1].lower(),
        is_hyp3=hyp3 is not None,
        is_sentinel1=_SENTINEL1.match(stem) is not None,
    )


def date_in(text: str) -> date | None:
    """First day that a text names as YYYYMMDD, YYYY-MM-DD or 07Apr2024."""
    found = []
    for form in _DATES:
        for match in form.finditer(text):
            try:
                day = parse_date("".join(match.groups()))
            except ValueError:
                continue
            if day >= _EARLIEST:
                found.append((match.start(), day))
    return min(found)[1] if found else None


def polarisation_in(text: str) -> str | None:
    """VV, VH, HH or HV where a text names it as a word of its own; the last one."""
    found = _POLARISATION.findall(text)
    return found[-1].upper() if found else None


def orbit_in(text: str) -> Orbit | None:
    """Pass that a text names as a word such as asc, dsc, desc, ascending."""
    match = _ORBIT.search(text)
    if match is None:
        return None
    return Orbit.ASCENDING if match[1] else Orbit.DESCENDING


def scale_in(text: str) -> Scale | None:
    """Unit that the name of a file or a band states: a word such as db or amplitude, or SNAP's Sigma0 and Gamma0."""
    if _DECIBEL.search(text):
        return Scale.DECIBEL
    if _AMPLITUDE.search(text):
        return Scale.AMPLITUDE
    return Scale.POWER if quantity_in(text) or _POWER.search(text) else None


def quantity_in(text: str) -> str | None:
    """``sigma0`` or ``gamma0`` where a name states it."""
    match = _CALIBRATED.search(text)
    return None if match is None else f"{match[1].lower()}0"
