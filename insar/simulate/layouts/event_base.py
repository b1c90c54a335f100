"""What every layout of a simulated event offers, and what several of them need."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import numpy as np

from insar.simulate.event_parameters import EventParameters
from insar.simulate.event_scene import EventScene
from insar.simulate.event_view import EventView
from insar.simulate.layouts.base import Progress
from insar.simulate.orbit import GROUND_SPEED_M_PER_S, ScenePass
from insar.simulate.view import slant_range_m

IMAGES = "backscatter"
"""Folder of the images of backscatter, so that it can be given as a whole, without the truth beside it."""


class EventLayout(Protocol):
    """Writes the images of an event the way one processor leaves them, strip by strip."""

    @property
    def name(self) -> str:
        """What users call it."""
        ...

    def make(self, parameters: EventParameters) -> EventScene:
        """The scene on the pixels that this layout's rasters have."""
        ...

    def write(self, scene: EventScene, folder: Path, progress: Progress) -> None:
        """Write the files of a scene into an existing empty folder."""
        ...


def event_pass(scene: EventScene) -> ScenePass:
    """Timing and ranges of the passes over the images of an event."""
    parameters, view = scene.parameters, scene.view
    rows, cols = scene.shape
    middle = scene.fields(slice(rows // 2, rows // 2 + 1))
    incidence = float(middle.incidence_deg[0, cols // 2])
    line_m, sample_m = parameters.azimuth_pixel_m, parameters.range_pixel_m
    if not scene.in_radar_coordinates:
        line_m, sample_m = parameters.map_pixel_m, parameters.map_pixel_m * math.sin(math.radians(incidence))
    interval = line_m / GROUND_SPEED_M_PER_S
    return ScenePass(
        starting_range_m=float(slant_range_m(parameters.incidence_near_deg)),
        range_pixel_size_m=sample_m,
        azimuth_pixel_size_m=line_m,
        line_interval_s=interval,
        duration_s=interval * rows,
        center_lon_deg=parameters.center_lon_deg,
        center_lat_deg=parameters.center_lat_deg,
        heading_deg=view.heading_deg,
        azimuth_deg=view.azimuth_deg,
        incidence_deg=incidence,
        height_m=float(scene.ground.height_m.mean(dtype=np.float64)),
    )


def both_passes(scene: EventScene) -> tuple[EventScene, EventScene]:
    """The event as the pass that the parameters ask for sees it, and the opposite pass some days later.

    The heading is mirrored: 348 degrees, ascending, becomes 192 degrees, descending. The ground is the same, and the
    event falls between the same two images of both.
    """
    parameters = scene.parameters
    # The event comes half an interval after the last image before it.
    later = timedelta(days=max(0, parameters.interval_days // 2 - 1))
    other = replace(
        parameters, heading_deg=(540.0 - parameters.heading_deg) % 360.0, first_date=parameters.first_date + later
    )
    return scene, replace(scene, parameters=other, view=EventView.of(other))
