"""What ISCE2 says of the sensor and the orbits: ``IW*.xml``, ``data.rsc`` and the baseline files.

The shelves beside the SLCs hold more, but they are pickles, which run code when opened: they are never read.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from insar.errors import InputError, MissingInputError
from insar.readers.attributes import (
    Sensor,
    merge_acquisitions,
    orbit_direction,
    read_rsc,
    seconds_of_day,
    sensor_of,
)
from insar.readers.isce_image import component, properties
from insar.readers.orbit import PlatformState, platform_state
from insar.readers.pairs import parse_date, split_pair_name
from insar.readers.xml_files import parse_xml
from insar.stack import Acquisition

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_REFERENCE_FOLDERS = ("reference", "master")
_SECONDARY_FOLDERS = ("secondarys", "secondaries", "slaves")
_BASELINE_LINE = re.compile(
    r"^\s*(?:Bperp \(average\)\s*:|PERP_BASELINE_(?:TOP|BOTTOM)[\s:=])\s*(\S+)", re.IGNORECASE | re.MULTILINE
)


def read_sensor(homes: Sequence[Path], looks: tuple[int, int] | None) -> tuple[float, Acquisition]:
    """Wavelength (m) and acquisition from ``IW*.xml`` and, for what these leave open, ``data.rsc``.

    Parameters
    ----------
    homes
        Folders that may hold ``reference/``, ``secondarys/`` or ``data.rsc``, the likeliest first.
    looks
        Looks in range and azimuth as found from the rasters.

    Raises
    ------
    MissingInputError
        No file states the wavelength.
    InputError
        One of the files cannot be used.
    """
    sensors = []
    swaths = _swath_files(homes)
    if swaths:
        sensors.append(_read_swaths(swaths, looks))
    rsc_places = [home / name for home in homes for name in ("data.rsc", "reference/data.rsc", "master/data.rsc")]
    sensors += [sensor_of(place, read_rsc(place)) for place in rsc_places if place.is_file()]
    wavelength_m = next((sensor.wavelength_m for sensor in sensors if sensor.wavelength_m is not None), None)
    if wavelength_m is None:
        searched = [f"{home / 'reference'}/IW*.xml" for home in homes] + [str(home / "data.rsc") for home in homes]
        raise MissingInputError(
            homes[-1] / "data.rsc",
            required="the radar wavelength",
            found="none in " + ", ".join(searched),
            remedy="Put a text file data.rsc there with a line such as: WAVELENGTH 0.0554657646 (in metres)",
        )
    acquisition = merge_acquisitions([sensor.acquisition for sensor in sensors])
    if looks is not None:
        acquisition = merge_acquisitions([Acquisition(range_looks=looks[0], azimuth_looks=looks[1]), acquisition])
    return wavelength_m, acquisition


def read_polarisation(homes: Sequence[Path]) -> str | None:
    """Polarisation that the bursts in ``IW*.xml`` state, such as ``VV``; None where no such file states one.

    Raises
    ------
    InputError
        A file cannot be used.
    """
    stated = {swath.polarisation for swath in map(_read_swath, _swath_files(homes))}
    return stated.pop() if len(stated) == 1 else None


def read_baselines(homes: Sequence[Path]) -> dict[date, float]:
    """Perpendicular baseline (m) of each date against a common one, from the files under ``baselines/``.

    Each file is named after two dates and holds B(second) - B(first), one figure per swath or for top and bottom, which
    are averaged. Dates that no chain of files connects with the first one are absent.

    Raises
    ------
    InputError
        A file has something else than a number in the place of a baseline.
    """
    differences: dict[date, dict[date, float]] = defaultdict(dict)
    for path in _baseline_files(homes):
        names = split_pair_name(path.stem)
        value = None if names is None else _read_baseline(path)
        if names is None or value is None:
            continue
        try:
            first, second = parse_date(names[0]), parse_date(names[1])
        except ValueError:
            continue  # not named after dates, so not a baseline file
        differences[first].setdefault(second, value)
        differences[second].setdefault(first, -value)
    if not differences:
        return {}
    origin = max(sorted(differences), key=lambda day: len(differences[day]))
    baselines = {origin: 0.0}
    queue = deque([origin])
    while queue:
        day = queue.popleft()
        for other, value in sorted(differences[day].items()):
            if other not in baselines:
                baselines[other] = baselines[day] + value
                queue.append(other)
    return baselines


def baseline_sense(homes: Sequence[Path]) -> int | None:
    """`Acquisition.baseline_sense` of the files under ``baselines/``; None without any.

    topsStack takes the sign of ``cross(target - reference, secondary - reference) . velocity``, which is positive at
    the larger look angle of a sensor that looks to the right; stripmapStack the component to the right times the cosine
    of the look angle plus the upward one times its sine, which is positive at the smaller.
    """
    for path in _baseline_files(homes):
        if _BASELINE_LINE.search(text := path.read_text(encoding="utf-8", errors="replace")):
            return 1 if "PERP_BASELINE" in text.upper() else -1
    return None


def _baseline_files(homes: Sequence[Path]) -> list[Path]:
    for home in homes:
        folder = home / "baselines"
        if folder.is_dir():
            return sorted(folder.glob("*.txt")) + sorted(folder.glob("*/*.txt"))
    return []


def _read_baseline(path: Path) -> float | None:
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        values = [float(match) for match in _BASELINE_LINE.findall(text)]
    except ValueError as error:
        raise InputError(
            path,
            required="numbers after 'Bperp (average):' or PERP_BASELINE_TOP and _BOTTOM",
            found=str(error),
            remedy="Correct or remove this file",
        ) from error
    finite = [value for value in values if math.isfinite(value)]  # a swath without common bursts says nan
    return sum(finite) / len(finite) if finite else None


def _swath_files(homes: Sequence[Path]) -> list[Path]:
    folders = [home / name for home in homes for name in _REFERENCE_FOLDERS]
    for home in homes:
        for name in _SECONDARY_FOLDERS:
            folders += sorted((home / name).glob("*"))
    for folder in folders:
        swaths = sorted(folder.glob("IW*.xml"))
        if swaths:
            return swaths
    return []


def _read_swaths(paths: Sequence[Path], looks: tuple[int, int] | None) -> Sensor:
    swaths = [_read_swath(path) for path in paths]
    middle = (
        min(swath.start for swath in swaths)
        + (max(swath.stop for swath in swaths) - min(swath.start for swath in swaths)) / 2
    )
    first = swaths[0]
    state = _state_near(first.states, middle)
    range_looks, azimuth_looks = looks or (1, 1)
    ground_step_m = None if state is None else state.ground_speed_m_per_s * first.azimuth_interval_s
    acquisition = Acquisition(
        platform=first.mission,
        orbit_direction=orbit_direction(first.pass_direction),
        heading_deg=None if state is None else state.heading_deg,
        antenna_side="right" if (first.mission or "").upper().startswith("S1") else None,
        center_line_utc_s=seconds_of_day(middle),
        starting_range_m=min(swath.starting_range_m for swath in swaths),
        range_pixel_size_m=first.range_pixel_size_m * range_looks,
        azimuth_pixel_size_m=None if ground_step_m is None else ground_step_m * azimuth_looks,
        earth_radius_m=None if state is None else state.earth_radius_m,
        platform_height_m=None if state is None else state.height_m,
    )
    return Sensor(first.wavelength_m, acquisition)


@dataclass(frozen=True, slots=True)
class _Swath:
    wavelength_m: float
    mission: str | None
    pass_direction: str
    polarisation: str | None
    starting_range_m: float
    range_pixel_size_m: float
    azimuth_interval_s: float
    start: datetime
    stop: datetime
    states: dict[datetime, PlatformState]


def _read_swath(path: Path) -> _Swath:
    root = parse_xml(path)
    instance = component(root, "instance")
    bursts_element = None if instance is None else component(instance, "bursts")
    bursts = (
        []
        if bursts_element is None
        else [
            item
            for item in bursts_element
            if item.tag == "component" and re.fullmatch(r"burst\d+", str(item.get("name")))
        ]
    )
    if instance is None or not bursts:
        raise InputError(
            path,
            required="the components instance / bursts / burst1 of a Sentinel-1 swath",
            found="none",
            remedy="Copy it again from the reference folder of the ISCE2 stack",
        )
    bursts.sort(key=lambda burst: int(str(burst.get("name"))[5:]))
    first, last = properties(bursts[0]), properties(bursts[-1])
    try:
        return _Swath(
            wavelength_m=float(first["radarwavelength"]),
            mission=properties(instance).get("mission"),
            pass_direction=first["passdirection"],
            polarisation=first.get("polarization", "").upper() or None,
            starting_range_m=float(first["startingrange"]),
            range_pixel_size_m=float(first["rangepixelsize"]),
            azimuth_interval_s=float(first["azimuthtimeinterval"]),
            start=datetime.fromisoformat(first["sensingstart"]),
            stop=datetime.fromisoformat(last["sensingstop"]),
            states=_states(bursts[len(bursts) // 2]),
        )
    except (KeyError, ValueError) as error:
        raise InputError(
            path,
            required="radarwavelength, passdirection, startingrange, rangepixelsize, azimuthtimeinterval, sensingstart "
            "and sensingstop of the bursts",
            found=f"no such property: {error}" if isinstance(error, KeyError) else str(error),
            remedy="Copy it again from the reference folder of the ISCE2 stack",
        ) from error


def _states(burst: Element) -> dict[datetime, PlatformState]:
    orbit = component(burst, "orbit")
    vectors = None if orbit is None else component(orbit, "state_vectors")
    states = {}
    for vector in [] if vectors is None else vectors:
        texts = properties(vector)
        if {"time", "position", "velocity"} <= texts.keys():
            states[datetime.fromisoformat(texts["time"])] = platform_state(
                json.loads(texts["position"]), json.loads(texts["velocity"])
            )
    return states


def _state_near(states: Mapping[datetime, PlatformState], moment: datetime) -> PlatformState | None:
    if not states:
        return None
    return states[min(states, key=lambda time: abs(time - moment))]
