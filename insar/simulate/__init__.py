"""Stacks of interferograms with known truth, in the layouts that processors leave."""

from insar.simulate.layouts import LAYOUTS, Layout, write_mintpy_stack
from insar.simulate.parameters import SimulationParameters
from insar.simulate.scene import Interferogram, SimulatedScene, simulate_scene
from insar.simulate.stack_folder import simulate_stack, write_layout

__all__ = [
    "LAYOUTS",
    "Interferogram",
    "Layout",
    "SimulatedScene",
    "SimulationParameters",
    "simulate_scene",
    "simulate_stack",
    "write_layout",
    "write_mintpy_stack",
]
