"""Coregistered single-look complex images as the rest of the package sees them, whatever processor made them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from insar.errors import InputError
from insar.grid import Grid
from insar.stack import Acquisition, Geometry
from insar.windows import ONE_LOOK, Looks


class SlcSource(Protocol):
    """What a reader implements for the images of all dates: nothing is read before `read_block`."""

    def read_block(self, images: NDArray[np.intp], rows: slice, cols: slice) -> NDArray[np.complex64]:
        """One window of the named images: complex64 (image, row, col); 0 or not finite where there is no data.

        Must be safe to call from several threads at once, and picklable. `rows` and `cols` have a start, a stop and
        no step, and lie inside the image.
        """
        ...


@dataclass(frozen=True, slots=True)
class SlcStack:
    """Coregistered images of one polarisation on one grid; reading pixels is lazy.

    Attributes
    ----------
    path
        Folder or first file the images were opened from.
    processor
        Which reader opened it: ``isce``, ``snap`` or ``gdal``.
    dates
        One for each image, sorted, each once.
    grid
        Of the images at full resolution: a map grid, or one without CRS for radar coordinates.
    source
        Reads the images, by their index in `dates`.
    polarisation
        ``VV``, ``VH``, ``HH``, ``HV``; None where it is not stated.
    wavelength_m
        Radar wavelength; NaN where it is not stated: coherence does not need it.
    geometry
        Of pixels that hold `geometry_looks` pixels of the images each.
    geometry_looks
        1 by 1 where the geometry has the images' own pixels.
    notes
        What a user should know of what was found.
    """

    path: Path
    processor: str
    dates: tuple[date, ...]
    grid: Grid
    source: SlcSource = field(repr=False)
    polarisation: str | None = None
    wavelength_m: float = float("nan")
    geometry: Geometry = field(default_factory=Geometry)
    geometry_looks: Looks = ONE_LOOK
    acquisition: Acquisition = field(default_factory=Acquisition)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if list(self.dates) != sorted(set(self.dates)) or len(self.dates) < 2:
            raise InputError(
                self.path,
                required="images of at least two dates, each date once",
                found=", ".join(f"{day:%Y%m%d}" for day in self.dates) or "none",
                remedy="Give the folder of the coregistered images, or several files of different dates",
            )

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols) at full resolution."""
        return self.grid.shape

    @property
    def in_radar_coordinates(self) -> bool:
        """Whether rows and columns are azimuth and range, not a map."""
        return self.grid.crs is None

    def index(self, days: Sequence[date]) -> NDArray[np.intp]:
        """Positions of dates in `dates`; raises `ValueError` for a date without an image."""
        return np.array([self.dates.index(day) for day in days], dtype=np.intp)

    def read(self, images: NDArray[np.intp], rows: slice, cols: slice) -> NDArray[np.complex64]:
        """One window of some images: (image, row, col), 0 or not finite where there is no data."""
        return self.source.read_block(images, rows, cols)

    def without_geometry(self) -> SlcStack:
        """The same images, of unknown place."""
        return replace(self, geometry=Geometry(), geometry_looks=ONE_LOOK)
