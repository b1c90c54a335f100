"""Drained area of the Reserva Biologica San Francisco, Ecuador, against that which SAGA computed of the same model.

`log10_carea` of `ta.tif` is SAGA's catchment area by multiple flow directions with exponent 1.1 (Freeman 1991), through
RSAGA. Two differences remain: SAGA left depressions as they are, where this package fills them, and it lets water run
off the rim by continuing the terrain beyond it in a straight line, where here it leaves only where nothing inside is
lower.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from insar.grid import Grid
from susceptibility.factors.flow import Flow, divide_flow, route_flow
from susceptibility.kernels import flow as kernels
from susceptibility.storage import read_raster

Array = NDArray[Any]


@pytest.fixture(scope="module")
def theirs(shared_data: Path) -> Array:
    with rasterio.open(shared_data / "ecuador" / "ta.tif") as source:
        return np.asarray(source.read(source.descriptions.index("log10_carea") + 1), np.float64)


@pytest.fixture(scope="module")
def terrain(shared_data: Path) -> tuple[Array, Grid]:
    return read_raster(shared_data / "ecuador" / "rsaga_dem.tif")


@pytest.fixture(scope="module")
def flow(terrain: tuple[Array, Grid]) -> Flow:
    return route_flow(*terrain)


def rank_correlation(first: Array, second: Array) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(first, second).statistic)


def below_any(flow: Flow, marked: Array) -> Array:
    """Cells to which any water comes from marked ones, these included."""
    rows, cols = flow.grid.shape
    level = np.pad(flow.filled, 1, constant_values=np.nan)
    ways = [slice(1 + down, 1 + down + rows) for down in kernels.ROW_STEPS]
    across = [slice(1 + along, 1 + along + cols) for along in kernels.COL_STEPS]
    while True:
        around = np.pad(marked, 1)
        grown = marked.copy()
        for window in zip(ways, across, strict=True):
            grown |= around[window] & (level[window] >= flow.filled)
        if np.array_equal(grown, marked):
            return grown
        marked = grown


def test_divided_flow_is_that_of_saga(flow: Flow, theirs: Array) -> None:
    ours = np.log10(divide_flow(flow) * flow.cell_area_m2)
    known = np.isfinite(theirs)
    np.testing.assert_array_equal(known, np.isfinite(ours))
    difference = np.abs(ours - theirs)[known]
    assert rank_correlation(ours[known], theirs[known]) > 0.98
    assert np.median(difference) < 1e-6
    assert np.mean(difference < 1e-5) > 0.80


def test_it_is_the_same_above_what_is_filled_and_away_from_the_rim(
    terrain: tuple[Array, Grid], flow: Flow, theirs: Array
) -> None:
    """Cells whose water, all of it, neither touched the rim nor was handed on out of a depression."""
    ours = np.log10(divide_flow(flow) * flow.cell_area_m2)
    rim = np.empty(flow.grid.shape, np.bool_)
    kernels.mark_rim(terrain[0], rim)
    apart = np.isfinite(theirs) & ~below_any(flow, rim | (flow.filled > terrain[0]))
    assert apart.sum() > 80_000
    assert np.abs(ours - theirs)[apart].max() < 1e-5


def test_one_way_down_is_another_measure(flow: Flow, theirs: Array) -> None:
    """On hillslopes D8 draws parallel lines, which divided flow does not: ranks agree by 0.70 only."""
    known = np.isfinite(theirs)
    assert 0.6 < rank_correlation(flow.cells[known].astype(np.float64), theirs[known]) < 0.8
