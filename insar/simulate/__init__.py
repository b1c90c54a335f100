"""Stacks of interferograms, and images of events, with known truth, in the layouts that processors leave."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from insar.simulate.event_folder import EVENT_LAYOUTS, simulate_event
    from insar.simulate.event_parameters import EventParameters
    from insar.simulate.layouts import LAYOUTS, Layout, write_mintpy_stack
    from insar.simulate.parameters import SimulationParameters
    from insar.simulate.scene import Interferogram, SimulatedScene, simulate_scene
    from insar.simulate.stack_folder import simulate_stack, write_layout

_HOMES = {
    "EVENT_LAYOUTS": "event_folder",
    "EventParameters": "event_parameters",
    "simulate_event": "event_folder",
    "LAYOUTS": "layouts",
    "Interferogram": "scene",
    "Layout": "layouts",
    "SimulatedScene": "scene",
    "SimulationParameters": "parameters",
    "simulate_scene": "scene",
    "simulate_stack": "stack_folder",
    "write_layout": "stack_folder",
    "write_mintpy_stack": "layouts",
}

__all__ = [
    "EVENT_LAYOUTS",
    "LAYOUTS",
    "EventParameters",
    "Interferogram",
    "Layout",
    "SimulatedScene",
    "SimulationParameters",
    "simulate_event",
    "simulate_scene",
    "simulate_stack",
    "write_layout",
    "write_mintpy_stack",
]


def __getattr__(name: str) -> Any:
    # The command line asks for the parameters alone, whatever command is run.
    if name not in _HOMES:
        raise AttributeError(f"module 'insar.simulate' has no attribute {name!r}")
    return getattr(importlib.import_module(f"insar.simulate.{_HOMES[name]}"), name)
