"""From options to the corrections of a stack, in the order in which they are fitted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from pathlib import Path

from insar.corrections.base import Correction
from insar.corrections.gacos import GacosCorrection
from insar.corrections.height import HeightCorrection
from insar.corrections.ramp import Deramp, RampCorrection
from insar.errors import OptionError
from insar.stack import Stack


class Troposphere(StrEnum):
    """Where the delay in the troposphere is taken from."""

    NONE = "none"
    HEIGHT = "height"
    """From the series: what is in proportion to height."""
    GACOS = "gacos"
    ERA5 = "era5"


def plan_corrections(
    stack: Stack,
    dates: Sequence[date],
    *,
    deramp: Deramp = Deramp.NONE,
    troposphere: Troposphere = Troposphere.NONE,
    gacos: Path | None = None,
    era5: Path | None = None,
    tides: bool = False,
    incidence_deg: float | None = None,
    time_of_day_s: float | None = None,
) -> list[Correction]:
    """Corrections to fit, what is known from outside first: tides, troposphere, ramp.

    Files are opened and checked for all dates, so that what is absent is said before anything is computed.

    Parameters
    ----------
    stack
        What they are for.
    dates
        Of the series.
    deramp
        Surface subtracted from every date.
    troposphere
        Where its delay is taken from.
    gacos, era5
        Folder of the files, where they are asked for.
    tides
        Whether the tides of the solid earth are subtracted.
    incidence_deg
        Of all pixels, where the stack does not know that of each.
    time_of_day_s
        Of the acquisitions, seconds since midnight UTC, where the stack does not know it.

    Raises
    ------
    OptionError
        A folder that is needed is not given.
    InsarError
        The stack or the files lack what a correction needs.
    """
    chosen: list[Correction] = []
    if tides:
        from insar.corrections.tides import TideCorrection

        tide = TideCorrection(stack, time_of_day_s, incidence_deg)
        tide.check(dates)
        chosen.append(tide)
    if troposphere is Troposphere.GACOS:
        from insar.readers.gacos import read_gacos

        folder = _required(gacos, "--gacos", "the folder with <date>.ztd and <date>.ztd.rsc")
        chosen.append(GacosCorrection(stack, read_gacos(folder, dates), incidence_deg))
    elif troposphere is Troposphere.ERA5:
        from insar.corrections.weather import Era5Correction

        weather = Era5Correction(
            stack, _required(era5, "--era5", "the folder with the files of ERA5"), time_of_day_s, incidence_deg
        )
        weather.check(dates)
        chosen.append(weather)
    elif troposphere is Troposphere.HEIGHT:
        surface = Deramp.LINEAR if deramp is Deramp.NONE else deramp
        chosen.append(HeightCorrection(stack, surface))
    if deramp is not Deramp.NONE:
        chosen.append(RampCorrection(stack.shape, deramp))
    return chosen


def _required(folder: Path | None, option: str, meaning: str) -> Path:
    if folder is None:
        raise OptionError(option, required=meaning, found="nothing", remedy=f"Give {option}, or another --troposphere")
    return folder
