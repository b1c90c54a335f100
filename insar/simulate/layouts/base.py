"""What every layout offers, and what several of them need."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from insar.simulate.scene import SimulatedScene

Progress = Callable[[int, int], None]
"""Called with the number of interferograms written and their total."""

ALMOST_ZERO = np.float32(1e-9)


class Layout(Protocol):
    """Writes a scene the way one processor leaves its results. One file of this package per processor."""

    @property
    def name(self) -> str:
        """What users call it."""
        ...

    def place(self, scene: SimulatedScene) -> SimulatedScene:
        """A scene on its map grid moved to the pixels that this layout's rasters have."""
        ...

    def write(self, stack: SimulatedScene, folder: Path, progress: Progress) -> None:
        """Write the files of a scene that has been placed, into an existing empty folder."""
        ...


def no_data_as_zero(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """NaN becomes 0, as processors leave it; a true 0 becomes 1e-9, or it would be read as missing."""
    return np.where(np.isnan(values), np.float32(0.0), np.where(values == 0.0, ALMOST_ZERO, values))
