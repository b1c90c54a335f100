"""What maps are drawn on: shaded relief of the study area, or nothing where a table was given."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from susceptibility.dataset import Dataset

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LARGEST_IMAGE = 900  # cells along a side; larger maps are thinned
_POINTS_AREA = 8000.0  # of all points together that stand for units, in square points
_UNIT_COLOR = "#c9c5bc"
_MARGIN = 0.03  # around points, of the longer side


class Backdrop:
    """Shaded relief of the study area, thinned for pictures.

    Parameters
    ----------
    elevation
        (row, col) metres, NaN where unknown.
    grid
        Its grid.
    """

    def __init__(self, elevation: NDArray[np.float32], grid: Grid) -> None:
        self.grid = grid
        self.step = max(1, math.ceil(max(grid.shape) / _LARGEST_IMAGE))
        west, south, east, north = grid.bounds
        self.extent_km = (0.0, (east - west) / 1000.0, 0.0, (north - south) / 1000.0)
        width, height = (size * self.step for size in grid.resolution)
        thinned = np.asarray(elevation[:: self.step, :: self.step], np.float64)
        self.shade = _shade(thinned, width, height)

    def thin(self, plane: NDArray[Any]) -> NDArray[Any]:
        """A layer of the study at the resolution of pictures."""
        return np.asarray(plane[:: self.step, :: self.step])

    def draw(self, axes: Axes) -> None:
        """Draw the relief and label the axes."""
        axes.set_facecolor("#f2f0ec")
        axes.imshow(self.shade, cmap="gray", vmin=0.0, vmax=1.0, extent=self.extent_km, interpolation="nearest")
        axes.set_aspect("equal")
        axes.tick_params(labelsize=7)

    def overlay(self, axes: Axes, plane: NDArray[Any], **options: Any) -> Any:
        """Draw a layer over the relief."""
        return axes.imshow(self.thin(plane), extent=self.extent_km, interpolation="nearest", **options)

    def points_km(self, cells: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Places of cells, by flat index, in kilometres from the south-west corner."""
        rows, cols = np.divmod(cells, self.grid.cols)
        width, height = self.grid.resolution
        return (cols + 0.5) * width / 1000.0, (self.grid.rows - rows - 0.5) * height / 1000.0


class UnitBackdrop:
    """Draws values of mapping units where they lie: over shaded relief, or as points where there is no grid.

    Parameters
    ----------
    data
        Whose units are drawn.
    elevation
        (row, col) metres on the study grid; None for a table that was given.
    """

    def __init__(self, data: Dataset, elevation: NDArray[np.float32] | None) -> None:
        self.data = data
        self.relief = None
        places = data.places(slice(0, data.count)) if data.units is None or data.kind != "cells" else None
        if elevation is not None and data.units is not None:
            self.relief = Backdrop(elevation, data.units.grid)
            west, south, *_ = data.units.grid.bounds
            self._origin = np.array([west, south])
            self.extent_km = self.relief.extent_km
            self.labels = self.relief.thin(data.units.labels)
        else:
            if places is None:
                raise ValueError("cells need the relief of their grid")
            self._origin = places.min(axis=0)
            east, north = np.maximum(np.ptp(places, axis=0), 1.0) / 1000.0
            self.extent_km = (0.0, float(east), 0.0, float(north))

    def draw(self, axes: Axes) -> None:
        """Draw what is behind the values, and label the axes."""
        if self.relief is not None:
            self.relief.draw(axes)
            return
        axes.set_facecolor("#f2f0ec")
        west, east, south, north = self.extent_km
        margin = _MARGIN * max(east, north)
        axes.set(xlim=(west - margin, east + margin), ylim=(south - margin, north + margin))
        axes.set_aspect("equal")
        axes.tick_params(labelsize=7)

    @property
    def point_area(self) -> float:
        """Size of the points that stand for units, in square points: large where they are few."""
        return float(np.clip(_POINTS_AREA / max(self.data.count, 1), 1.5, 14.0))

    def draw_units(self, axes: Axes) -> None:
        """Draw all units in grey, where no relief shows the area that they cover."""
        if self.relief is None:
            x, y = self.points_km(np.arange(self.data.count))
            axes.scatter(x, y, c=_UNIT_COLOR, s=self.point_area, linewidths=0.0)

    def overlay(self, axes: Axes, values: NDArray[Any], **options: Any) -> Any:
        """Draw values (row,) of all units, NaN where there is nothing to draw."""
        if self.relief is not None:
            looked_up = np.concatenate([np.array([np.nan], np.float32), np.asarray(values, np.float32)])
            return axes.imshow(
                looked_up[self.labels], extent=self.relief.extent_km, interpolation="nearest", **options
            )  # fmt: skip
        known = np.flatnonzero(np.isfinite(values))
        x, y = self.points_km(known)
        return axes.scatter(x, y, c=np.asarray(values)[known], s=self.point_area, linewidths=0.0, **options)

    def points_km(self, rows: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Places of units, in kilometres from the south-west corner."""
        x, y = ((self.data.places(rows) - self._origin) / 1000.0).T
        return x, y

    def panel_size(self, columns: int) -> tuple[float, float]:
        """Width and height of one map in inches."""
        width = min(4.6, 14.0 / columns)
        _, east, _, north = self.extent_km
        return width, min(max(width * north / east, 1.6), 7.0) + 0.7


def _shade(elevation: NDArray[np.float64], width: float, height: float) -> NDArray[np.float64]:
    """Brightness of a surface lit from the north-west at 45 degrees, 0 to 1."""
    if min(elevation.shape) < 2:
        return np.where(np.isfinite(elevation), 0.7, np.nan)
    southward, eastward = np.gradient(elevation, height, width)
    normal = np.sqrt(1.0 + eastward**2 + southward**2)
    light = (eastward + southward) / math.sqrt(2.0) * math.sqrt(0.5) + math.sqrt(0.5)
    return np.asarray(0.35 + 0.65 * np.clip(light / normal, 0.0, 1.0))
