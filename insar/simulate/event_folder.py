"""From the parameters of an event to a folder that a processor might have left, with the truth beside it."""

from __future__ import annotations

from pathlib import Path

from insar.errors import OptionError
from insar.simulate.event_parameters import EventParameters
from insar.simulate.event_truth import write_event_truth
from insar.simulate.layouts.base import Progress
from insar.simulate.layouts.event_base import EventLayout
from insar.simulate.layouts.event_dimap import SnapBackscatter, SnapSlc
from insar.simulate.layouts.event_rtc import Hyp3Backscatter
from insar.simulate.layouts.slc_isce import IsceStripmapSlc, IsceTopsSlc
from insar.simulate.stack_folder import new_folder, say_nothing

EVENT_LAYOUTS: dict[str, EventLayout] = {
    layout.name: layout
    for layout in (
        IsceTopsSlc(),
        IsceStripmapSlc(),
        SnapSlc(),
        SnapSlc(one_per_date=True),
        Hyp3Backscatter(),
        SnapBackscatter(),
    )
}
"""Layouts of complex images and of backscatter by name."""


def simulate_event(
    parameters: EventParameters, folder: Path, layout: str | EventLayout, progress: Progress | None = None
) -> Path:
    """Simulate an event and write its images as a processor would have left them, and its truth in ``truth``.

    Memory is bounded by `insar.simulate.event_scene.STRIP_ROWS` rows of an image, not by the images or their number.

    Parameters
    ----------
    parameters
        What the event is made of.
    folder
        To be made; it gets its name when all of it is written.
    layout
        One of `EVENT_LAYOUTS` by name, or another.
    progress
        Called after each strip of rows, or each image of backscatter.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    OptionError
        The layout is unknown, the folder holds something, or the scene has no room for its landslides.
    """
    chosen = _layout_of(layout)
    with new_folder(folder) as partial:
        scene = chosen.make(parameters)
        chosen.write(scene, partial, progress or say_nothing)
        write_event_truth(scene, partial / "truth")
    return folder


def _layout_of(layout: str | EventLayout) -> EventLayout:
    if not isinstance(layout, str):
        return layout
    if layout not in EVENT_LAYOUTS:
        raise OptionError(
            "--layout", required=f"one of {', '.join(EVENT_LAYOUTS)}", found=layout, remedy="Choose one of them"
        )
    return EVENT_LAYOUTS[layout]
