"""A stack of interferograms as the rest of the package sees it, whatever processor made it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from insar.errors import InputError
from insar.grid import Grid


@dataclass(frozen=True, slots=True, order=True)
class Pair:
    """Two acquisition dates of one interferogram, the earlier one first."""

    reference: date
    secondary: date

    def __post_init__(self) -> None:
        if not self.reference < self.secondary:
            raise InputError(
                f"pair {self.reference:%Y%m%d}_{self.secondary:%Y%m%d}",
                required="two different dates, the earlier first",
                found="the later date first" if self.secondary < self.reference else "the same date twice",
                remedy="Readers must order the dates and flip the phase",
            )

    @property
    def name(self) -> str:
        """``YYYYMMDD_YYYYMMDD``."""
        return f"{self.reference:%Y%m%d}_{self.secondary:%Y%m%d}"

    @property
    def temporal_baseline_days(self) -> int:
        """Days from the earlier to the later date."""
        return (self.secondary - self.reference).days


class CubeSource(Protocol):
    """What a reader implements for one quantity of all pairs: nothing is read before `read_block`."""

    def read_block(self, pairs: NDArray[np.intp], rows: slice, cols: slice) -> NDArray[np.float32]:
        """One window of the named pairs: float32 (pair, row, col), NaN where there is no data.

        Must be safe to call from several threads at once. `rows` and `cols` have a start, a stop and no step.
        """
        ...


class PlaneSource(Protocol):
    """What a reader implements for one quantity that all pairs share, such as height."""

    def read_window(self, rows: slice, cols: slice) -> NDArray[np.float32] | NDArray[np.float64]:
        """One window: (row, col), NaN where there is no data."""
        ...


@dataclass(frozen=True, slots=True)
class Cube:
    """Lazy (pair, row, col) float32 array; NaN is no data.

    Indexing with basic slices reads just that window; `numpy.asarray(cube)` reads everything; `to_dask` gives a dask
    array of the same content.
    """

    source: CubeSource
    pairs: NDArray[np.intp]
    rows: int
    cols: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(pair, row, col)."""
        return len(self.pairs), self.rows, self.cols

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """Always float32."""
        return np.dtype(np.float32)

    @property
    def ndim(self) -> int:
        """Always 3."""
        return 3

    @property
    def rows_per_chunk(self) -> int:
        """Rows that the storage keeps together: blocks of whole chunks read none of them twice."""
        return int(getattr(self.source, "rows_per_chunk", 1))

    @property
    def bytes_per_row(self) -> int:
        """Bytes that one row of all pairs takes while it is read, what it is made from included."""
        count = len(self.pairs)
        if hasattr(self.source, "bytes_per_row"):
            return int(self.source.bytes_per_row(count))
        return count * self.cols * self.dtype.itemsize

    def read(self, rows: slice, cols: slice) -> NDArray[np.float32]:
        """Window of all pairs: (pair, row, col)."""
        return self.source.read_block(self.pairs, _bounded(rows, self.rows), _bounded(cols, self.cols))

    def select(self, indices: Sequence[int] | NDArray[np.intp]) -> Cube:
        """The same quantity of some pairs only, in the order given."""
        return replace(self, pairs=self.pairs[np.asarray(indices, dtype=np.intp)])

    def __getitem__(self, key: Any) -> Any:
        parts = list(key) if isinstance(key, tuple) else [key]
        if Ellipsis in parts:
            at = parts.index(Ellipsis)
            parts[at : at + 1] = [slice(None)] * (3 - (len(parts) - 1))
        parts += [slice(None)] * (3 - len(parts))
        windows = [slice(part, part + 1 or None) if isinstance(part, int) else part for part in parts[1:]]
        if any(not isinstance(window, slice) or window.step not in (None, 1) for window in windows):
            return np.asarray(self)[tuple(parts)]
        chosen = self.pairs[parts[0]] if not isinstance(parts[0], int) else self.pairs[[parts[0]]]
        block = self.source.read_block(chosen, _bounded(windows[0], self.rows), _bounded(windows[1], self.cols))
        squeezed: Any = tuple(0 if isinstance(part, int) else slice(None) for part in parts)
        return block[squeezed]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        block = self.read(slice(0, self.rows), slice(0, self.cols))
        return block if dtype is None else block.astype(dtype)

    def compute(self) -> NDArray[np.float32]:
        """The whole cube in memory."""
        return self.read(slice(0, self.rows), slice(0, self.cols))

    def to_dask(self, rows_per_chunk: int = 256) -> Any:
        """A `dask.array.Array` with all pairs and `rows_per_chunk` full rows in a chunk."""
        import dask.array

        chunks = (len(self.pairs), rows_per_chunk, self.cols)
        return dask.array.from_array(self, chunks=chunks, asarray=False, name=False)  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Plane:
    """Lazy (row, col) array; NaN is no data."""

    source: PlaneSource
    rows: int
    cols: int

    @property
    def shape(self) -> tuple[int, int]:
        """(row, col)."""
        return self.rows, self.cols

    def read(self, rows: slice, cols: slice) -> NDArray[np.float32] | NDArray[np.float64]:
        """One window: (row, col)."""
        return self.source.read_window(_bounded(rows, self.rows), _bounded(cols, self.cols))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        plane = self.read(slice(0, self.rows), slice(0, self.cols))
        return plane if dtype is None else plane.astype(dtype)


@dataclass(frozen=True, slots=True)
class Geometry:
    """What is known of each pixel's place and view; None where the stack does not say.

    `latitude` and `longitude` (degrees, WGS 84, pixel centres) are the look-up table of a stack in radar coordinates.
    `height` in metres; `incidence_angle` in degrees from the vertical; `azimuth_angle` of the direction from the
    target to the satellite in degrees from north, anticlockwise; `shadow_mask` nonzero where layover or shadow.
    """

    latitude: Plane | None = None
    longitude: Plane | None = None
    height: Plane | None = None
    incidence_angle: Plane | None = None
    azimuth_angle: Plane | None = None
    shadow_mask: Plane | None = None


@dataclass(frozen=True, slots=True)
class Acquisition:
    """What is known of the sensor and its pass; None where the stack does not say."""

    platform: str | None = None
    orbit_direction: str | None = None
    """``ascending`` or ``descending``."""
    heading_deg: float | None = None
    antenna_side: str | None = None
    """``right`` or ``left``."""
    center_line_utc_s: float | None = None
    starting_range_m: float | None = None
    range_pixel_size_m: float | None = None
    azimuth_pixel_size_m: float | None = None
    earth_radius_m: float | None = None
    platform_height_m: float | None = None
    range_looks: int | None = None
    azimuth_looks: int | None = None
    incidence_angle_deg: float | None = None
    """From the vertical, of the middle of the scene; `Geometry.incidence_angle` has that of each pixel."""
    baseline_sense: int | None = None
    """1 where a positive perpendicular baseline puts the secondary at the smaller look angle, -1 at the larger."""

    @property
    def looks(self) -> int | None:
        """Number of looks in range times azimuth."""
        if self.range_looks is None or self.azimuth_looks is None:
            return None
        return self.range_looks * self.azimuth_looks


@dataclass(frozen=True, slots=True)
class Stack:
    """Interferograms on one grid; reading any of them is lazy.

    Attributes
    ----------
    path
        Folder or file the stack was opened from.
    processor
        Which reader opened it: ``isce``, ``snap``, ``mintpy``, ...
    pairs
        Interferograms, sorted by dates, each once.
    wavelength_m
        Radar wavelength; NaN where a stack of coherence alone does not state it.
    perpendicular_baselines_m
        (pair,) secondary minus reference, positive as `acquisition.baseline_sense` says; NaN where unknown.
    unwrapped_phase
        (pair, row, col) rad, positive where the range grew from the earlier to the later date; None for a stack of
        coherence alone.
    coherence
        (pair, row, col) in 0..1, or None.
    connected_components
        (pair, row, col) label of the unwrapped region, NaN where none, or None.
    grid
        Map grid, or a grid without CRS for radar coordinates, whose pixels `geometry` places.
    notes
        What a user should know of what was found: duplicates left out, files that are absent, values assumed.
    """

    path: Path
    processor: str
    pairs: tuple[Pair, ...]
    wavelength_m: float
    perpendicular_baselines_m: NDArray[np.float64]
    grid: Grid
    unwrapped_phase: Cube | None = None
    coherence: Cube | None = None
    connected_components: Cube | None = None
    geometry: Geometry = field(default_factory=Geometry)
    acquisition: Acquisition = field(default_factory=Acquisition)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.pairs:
            raise InputError(
                self.path, required="at least one interferogram", found="none", remedy="Check the path and --processor"
            )
        if list(self.pairs) != sorted(set(self.pairs)):
            raise InputError(
                self.path,
                required="pairs sorted by date, each once",
                found="pairs out of order or listed twice",
                remedy="The reader must sort them; this is a defect of the reader",
            )
        coherence_alone = self.unwrapped_phase is None
        if not 0.001 < self.wavelength_m < 2.0 and not (coherence_alone and math.isnan(self.wavelength_m)):
            raise InputError(
                self.path,
                required="a radar wavelength between 1 mm and 2 m",
                found=f"{self.wavelength_m} m",
                remedy="Check the wavelength in the stack's metadata",
            )

    @property
    def dates(self) -> tuple[date, ...]:
        """Acquisition dates of the pairs, sorted."""
        return tuple(sorted({day for pair in self.pairs for day in (pair.reference, pair.secondary)}))

    @property
    def pair_dates(self) -> tuple[tuple[date, date], ...]:
        """The two dates of each interferogram."""
        return tuple((pair.reference, pair.secondary) for pair in self.pairs)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols)."""
        return self.grid.shape

    @property
    def in_radar_coordinates(self) -> bool:
        """Whether rows and columns are azimuth and range, not a map."""
        return self.grid.crs is None

    def require_phase(self) -> Cube:
        """The unwrapped phase; raises `InputError` for a stack of coherence alone."""
        if self.unwrapped_phase is None:
            raise InputError(
                self.path,
                required="unwrapped interferograms",
                found="coherence alone",
                remedy="Only the coherence layers can be made of this stack",
            )
        return self.unwrapped_phase

    def require_coherence(self) -> Cube:
        """The coherence; raises `InputError` for a stack without."""
        if self.coherence is None:
            raise InputError(
                self.path,
                required="the coherence of the pairs",
                found="a stack without coherence",
                remedy="Add the coherence rasters beside the interferograms, or give the coregistered images (SLC)",
            )
        return self.coherence

    def select(self, indices: Sequence[int]) -> Stack:
        """The stack reduced to some of its pairs."""
        chosen = np.asarray(sorted(indices), dtype=np.intp)
        return replace(
            self,
            pairs=tuple(self.pairs[index] for index in chosen),
            perpendicular_baselines_m=self.perpendicular_baselines_m[chosen],
            unwrapped_phase=self.unwrapped_phase and self.unwrapped_phase.select(chosen),
            coherence=self.coherence and self.coherence.select(chosen),
            connected_components=self.connected_components and self.connected_components.select(chosen),
        )


def _bounded(window: slice, size: int) -> slice:
    start, stop, _ = window.indices(size)
    return slice(start, max(start, stop))
