"""Calibrated backscatter images of one area as the rest of the package sees them, whatever wrote them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from pathlib import Path

from insar.backscatter import Scale
from insar.errors import InputError
from insar.grid import Grid
from insar.stack import PlaneSource

POLARISATIONS = ("VV", "VH", "HH", "HV")


class Orbit(StrEnum):
    """Direction of a pass."""

    ASCENDING = "ascending"
    DESCENDING = "descending"


class MaskCoding(StrEnum):
    """How numbers of a layover and shadow mask are to be read."""

    HYP3 = "hyp3"
    SNAP = "snap"


@dataclass(frozen=True, slots=True)
class ViewFacts:
    """What a product says of the direction it was seen from; None where it does not.

    Attributes
    ----------
    heading_deg
        Of the platform, clockwise from north.
    looks_left
        Whether the antenna looks to the left of the track.
    incidence_deg
        From the vertical, in the middle of the product.
    is_sentinel1
        Whether it is of Sentinel-1.
    """

    heading_deg: float | None = None
    looks_left: bool | None = None
    incidence_deg: float | None = None
    is_sentinel1: bool = False


@dataclass(frozen=True, slots=True)
class BackscatterImage:
    """One polarisation of one product.

    Attributes
    ----------
    name
        File, and band where it has several.
    path
        The file.
    day
        Of acquisition, UTC.
    polarisation
        One of `POLARISATIONS`.
    orbit
        Direction of the pass; None where it is not stated.
    scale
        Unit of the pixels.
    source
        Reads pixels on the grid of the stack; NaN is no data.
    view
        What is known of the line of sight.
    """

    name: str
    path: Path
    day: date
    polarisation: str
    orbit: Orbit | None
    scale: Scale
    source: PlaneSource = field(repr=False)
    view: ViewFacts = ViewFacts()


@dataclass(frozen=True, slots=True)
class TerrainMask:
    """Layover and shadow as a product states them; pixels of `source` are the codes, NaN outside the product."""

    name: str
    day: date
    orbit: Orbit | None
    coding: MaskCoding
    source: PlaneSource = field(repr=False)


@dataclass(frozen=True, slots=True)
class IncidencePlane:
    """Incidence angle from the ellipsoid, degrees, as a product states it; NaN outside the product."""

    name: str
    day: date
    orbit: Orbit | None
    source: PlaneSource = field(repr=False)


@dataclass(frozen=True, slots=True)
class BackscatterStack:
    """Images on one lattice of pixels; reading pixels is lazy.

    Attributes
    ----------
    paths
        Files and folders that the user named.
    grid
        Smallest that holds all images. Outside an image its pixels are NaN: nothing is resampled or cut off.
    images
        Sorted by date, then by name.
    masks
        Layover and shadow of some of the products.
    incidences
        Incidence angle of some of the products.
    rows_per_chunk
        Rows that storage keeps together.
    notes
        What a user should know of what was found.
    """

    paths: tuple[Path, ...]
    grid: Grid
    images: tuple[BackscatterImage, ...]
    masks: tuple[TerrainMask, ...] = ()
    incidences: tuple[IncidencePlane, ...] = ()
    rows_per_chunk: int = 1
    notes: tuple[str, ...] = ()

    @property
    def orbits(self) -> tuple[Orbit | None, ...]:
        """Directions that there are images of: one, or both; None where no image states one."""
        return tuple(sorted({image.orbit for image in self.images}, key=str))

    def of_orbit(self, orbit: Orbit | None) -> BackscatterStack:
        """The same with the images of one direction only."""
        return replace(
            self,
            images=tuple(image for image in self.images if image.orbit is orbit),
            masks=tuple(mask for mask in self.masks if mask.orbit is orbit),
            incidences=tuple(plane for plane in self.incidences if plane.orbit is orbit),
        )

    def dates(self, polarisation: str | None = None) -> tuple[date, ...]:
        """Days of the images, each once, sorted."""
        return tuple(sorted({each.day for each in self.images if polarisation in (None, each.polarisation)}))


def require_one_kind(paths: Sequence[Path], orbits: Sequence[tuple[str, Orbit | None]]) -> None:
    """Refuse images that state their orbit direction beside others that do not.

    Raises
    ------
    InputError
        Names one of each.
    """
    stated = next((name for name, orbit in orbits if orbit is not None), None)
    silent = next((name for name, orbit in orbits if orbit is None), None)
    if stated is None or silent is None:
        return
    raise InputError(
        silent,
        required=f"an orbit direction, as {stated} has one: in its metadata, or asc or desc in its name",
        found="none",
        remedy="Rename the file, or give --orbit ascending or --orbit descending where all files are of one direction "
        f"(of {len(paths)} files or folders given)",
    )
