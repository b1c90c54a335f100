"""A small simulated event that several tests look at."""

from __future__ import annotations

from insar.simulate.event_parameters import EventParameters

PARAMETERS = EventParameters(
    rows=96, cols=320, landslides=6, landslide_length_max_m=250.0, acquisitions_before=7, acquisitions_after=2, seed=3
)
EVENT = f"{PARAMETERS.event_date:%Y%m%d}"
DAYS = [f"{day:%Y%m%d}" for day in PARAMETERS.dates]
CO = f"{DAYS[6]}_{DAYS[7]}"
LOOKS = ("--looks", 1, 4)
