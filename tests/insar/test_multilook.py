"""Cells of several pixels: their grid and their geometry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from numpy.typing import NDArray

from insar import multilook
from insar.errors import OptionError
from insar.grid import Grid
from insar.multilook import multilook_geometry, multilook_grid
from insar.slc import SlcStack
from insar.stack import Geometry, Plane
from insar.windows import ONE_LOOK, Looks


@dataclass(frozen=True)
class Values:
    """A plane in memory."""

    values: NDArray[np.float64]

    def read_window(self, rows: slice, cols: slice) -> NDArray[np.float64]:
        return self.values[rows, cols]


@dataclass(frozen=True)
class NoImages:
    """Images that nobody reads."""

    def read_block(self, images: NDArray[np.intp], rows: slice, cols: slice) -> NDArray[np.complex64]:
        raise AssertionError


def _slc(geometry: Geometry, looks: Looks = ONE_LOOK) -> SlcStack:
    days = (date(2024, 1, 1), date(2024, 1, 13))
    return SlcStack(Path("slc"), "isce", days, Grid.radar(7, 11), NoImages(), geometry=geometry, geometry_looks=looks)


def _plane(values: NDArray[np.float64]) -> Plane:
    return Plane(Values(values), *values.shape)


def test_cells_keep_the_corner_of_the_grid_and_drop_what_is_left_over() -> None:
    grid = Grid(7, 11, Affine(10.0, 0.0, 500_000.0, 0.0, -20.0, 4_000_000.0), "EPSG:32633")
    cells = multilook_grid(grid, Looks(2, 5))
    assert cells.shape == (3, 2)
    assert cells.transform == Affine(50.0, 0.0, 500_000.0, 0.0, -40.0, 4_000_000.0)
    assert multilook_grid(Grid.radar(7, 11), Looks(2, 5)) == Grid.radar(3, 2)


def test_heights_are_averaged_over_what_a_cell_knows() -> None:
    height = np.arange(77, dtype=np.float64).reshape(7, 11)
    height[0, 0] = np.nan
    height[2:4, 5:10] = np.nan
    plane = multilook_geometry(_slc(Geometry(height=_plane(height))), Looks(2, 5)).height
    assert plane is not None
    with np.errstate(invalid="ignore"):
        cells = [[height[2 * r : 2 * r + 2, 5 * c : 5 * c + 5] for c in range(2)] for r in range(3)]
    expected = [[np.nanmean(cell) if np.isfinite(cell).any() else np.nan for cell in row] for row in cells]
    np.testing.assert_allclose(np.asarray(plane), expected)
    np.testing.assert_array_equal(plane.read(slice(1, 2), slice(0, 2)), np.asarray(plane)[1:2])


def test_strips_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    height = np.random.default_rng(3).normal(size=(7, 11))
    plane = multilook_geometry(_slc(Geometry(height=_plane(height))), Looks(2, 3)).height
    assert plane is not None
    whole = np.asarray(plane)
    monkeypatch.setattr(multilook, "_PIXELS_AT_ONCE", 1)
    np.testing.assert_array_equal(np.asarray(plane), whole)


def test_longitudes_on_both_sides_of_the_date_line_have_their_mean_there() -> None:
    longitude = np.tile(np.array([179.9, 180.0, -179.9, -179.8, -179.7, 0, 0, 0, 0, 0, 0]), (7, 1))
    latitude = np.zeros_like(longitude)
    slc = _slc(Geometry(latitude=_plane(latitude), longitude=_plane(longitude)))
    plane = multilook_geometry(slc, Looks(1, 5)).longitude
    assert plane is not None
    assert np.asarray(plane)[0, 0] % 360 == pytest.approx(180.1)


def test_geometry_that_is_multilooked_already_is_taken_as_it_is() -> None:
    height = np.arange(6, dtype=np.float64).reshape(3, 2)
    slc = _slc(Geometry(height=_plane(height)), Looks(2, 5))
    plane = multilook_geometry(slc, Looks(2, 5)).height
    assert plane is not None
    np.testing.assert_array_equal(np.asarray(plane), height)
    with pytest.raises(OptionError, match="multiples of the looks"):
        multilook_geometry(slc, Looks(3, 5))


def test_more_looks_than_pixels_are_refused() -> None:
    with pytest.raises(OptionError, match="--looks"):
        multilook_grid(Grid.radar(7, 11), Looks(8, 1))
