"""Where the Sun and the Moon are, as seen from the rotating Earth."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.extras import import_extra

_J2000 = datetime(2000, 1, 1, 12)  # noqa: DTZ001  (UTC throughout)
_J2000_JD = 2_451_545.0
_DAY_S = 86_400.0

TT_MINUS_UTC_S = 69.184
"""Terrestrial time minus UTC since 2017. In 1992 it was 10 s less: the Moon moves 5 arc seconds in that time, which
changes its tide by less than 0.02 mm, so no table of leap seconds has to be kept up to date."""


def require_ephemeris() -> Any:
    """The module `erfa`; raises `OptionError` where it is not installed."""
    return import_extra("erfa", "weather", "solid earth tides")


def days_since_2000(moments: Sequence[datetime]) -> NDArray[np.float64]:
    """(moment,) days from 2000-01-01 12:00, in the time scale of the moments."""
    return np.array([(moment - _J2000).total_seconds() / _DAY_S for moment in moments])


def sun_and_moon(moments: Sequence[datetime]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions of the Sun and of the Moon, (moment, 3) metres each, in the Earth-fixed frame.

    Parameters
    ----------
    moments
        UTC, without a time zone.

    Raises
    ------
    OptionError
        If ERFA is not installed.

    Notes
    -----
    ERFA's analytical series: VSOP2000 for the Earth (to 11 km) and Meeus' shortened ELP2000 for the Moon (to some 10
    arc seconds), precession and nutation IAU 2006/2000B. UT1 is taken as UTC (0.9 s, or 14 arc seconds of the Earth's
    rotation) and polar motion as zero; together less than 0.1 mm of the tide.
    """
    erfa = require_ephemeris()
    days = days_since_2000(moments)
    terrestrial = days + TT_MINUS_UTC_S / _DAY_S
    earth, _ = erfa.epv00(_J2000_JD, terrestrial)
    moon = erfa.moon98(_J2000_JD, terrestrial)
    rotation = erfa.c2t00b(_J2000_JD, terrestrial, _J2000_JD, days, 0.0, 0.0)
    sun_m = np.einsum("tij,tj->ti", rotation, -earth["p"]) * erfa.DAU
    moon_m = np.einsum("tij,tj->ti", rotation, moon["p"]) * erfa.DAU
    return sun_m, moon_m
