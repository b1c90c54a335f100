"""The layouts in which a simulated scene can be written, one module per processor."""

from insar.simulate.layouts.base import Layout, Progress
from insar.simulate.layouts.hyp3 import Hyp3
from insar.simulate.layouts.isce import IsceStripmap, IsceTops
from insar.simulate.layouts.licsar import Licsar
from insar.simulate.layouts.mintpy import Mintpy, write_mintpy_stack
from insar.simulate.layouts.snap import Snap

LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (IsceTops(), IsceStripmap(), Snap(), Snap(common_product=True), Hyp3(), Licsar(), Mintpy())
}
"""Layouts by name."""

__all__ = [
    "LAYOUTS",
    "Hyp3",
    "IsceStripmap",
    "IsceTops",
    "Layout",
    "Licsar",
    "Mintpy",
    "Progress",
    "Snap",
    "write_mintpy_stack",
]
