"""Slope units of terrain whose slopes are known, and the loops behind them against plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from insar.grid import Grid
from susceptibility.errors import InputError, OptionError
from susceptibility.factors.terrain import terrain_factors
from susceptibility.kernels import units as kernels
from susceptibility.units import SlopeUnitOptions, Units, Zones, aggregate_units, slope_units, zonal_statistics

NO_PLAINS = SlopeUnitOptions(channel_area_m2=400_000.0, least_area_m2=40_000.0, plain_slope_deg=0.0)


def grid_of(rows: int, cols: int, size_m: float = 20.0) -> Grid:
    return Grid(rows, cols, Affine(size_m, 0.0, 500_000.0, 0.0, -size_m, 4_000_000.0), "EPSG:32633")


def places(grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Metres to the east and to the north of the middle of a grid."""
    width, height = grid.resolution
    east = (np.arange(grid.cols) + 0.5 - grid.cols / 2.0) * width
    north = -(np.arange(grid.rows) + 0.5 - grid.rows / 2.0) * height
    return np.broadcast_to(east, grid.shape), np.broadcast_to(north[:, np.newaxis], grid.shape)


def rough(grid: Grid, seed: int, height_m: float = 600.0) -> NDArray[np.float64]:
    """Hills as smooth noise of several wavelengths."""
    random = np.random.default_rng(seed)
    surface = np.zeros(grid.shape)
    for scale in (24.0, 12.0, 6.0, 3.0):
        noise = ndimage.gaussian_filter(random.normal(size=grid.shape), scale)
        surface += noise / noise.std() * scale
    return 1000.0 + height_m * (surface - surface.min()) / np.ptp(surface)


def assert_well_formed(units: Units, known: NDArray[np.bool_], least_m2: float) -> None:
    """Every known cell in one unit, every unit in one piece, not too small, and numbered by its first cell."""
    assert ((units.labels > 0) == known).all()
    first = [np.flatnonzero(units.labels.ravel() == unit)[0] for unit in range(1, units.count + 1)]
    assert first == sorted(first)
    for unit in range(1, units.count + 1):
        assert ndimage.label(units.labels == unit)[1] == 1
    assert units.area_m2.min() >= least_m2


def test_valley_has_two_sides() -> None:
    grid = grid_of(80, 100)
    east, north = places(grid)
    units = slope_units(500.0 + 0.5 * np.abs(east) + 0.02 * north, grid, NO_PLAINS)
    assert units.count == 2
    # The channel lies in one of the two middle columns.
    assert (units.labels[:, :49] == units.labels[0, 0]).all()
    assert (units.labels[:, 51:] == units.labels[0, -1]).all()
    assert units.attributes["aspect_deg"] == pytest.approx([92.3, 267.7], abs=2.0)
    assert units.attributes["slope_deg"] == pytest.approx([26.6, 26.6], abs=0.5)
    assert (units.attributes["circular_variance"] < 0.05).all()


def test_ridge_has_two_sides() -> None:
    grid = grid_of(80, 100)
    east, north = places(grid)
    units = slope_units(900.0 - 0.5 * np.abs(north) + 0.001 * east, grid, NO_PLAINS)
    assert units.count == 2
    assert (units.labels[:39] == 1).all()
    assert (units.labels[41:] == 2).all()


def test_pyramid_has_four_faces() -> None:
    grid = grid_of(100, 100)
    east, north = places(grid)
    units = slope_units(900.0 - 0.4 * np.maximum(np.abs(east), np.abs(north)), grid, NO_PLAINS)
    assert units.count == 4
    assert sorted((units.attributes["aspect_deg"] + 45.0) % 360.0) == pytest.approx(
        [45.0, 135.0, 225.0, 315.0], abs=3.0
    )
    faces = np.where(np.abs(east) > np.abs(north), np.where(east > 0, 1, 3), np.where(north > 0, 0, 2))
    for face in range(4):
        _, sizes = np.unique(units.labels[faces == face], return_counts=True)
        assert sizes.max() / sizes.sum() > 0.95


def test_slope_of_one_aspect_is_one_unit() -> None:
    grid = grid_of(90, 90)
    east, north = places(grid)
    units = slope_units(500.0 + 0.3 * east + 0.11 * north, grid, NO_PLAINS)
    assert units.count == 1
    assert units.attributes["circular_variance"][0] == pytest.approx(0.0, abs=1e-6)
    assert units.attributes["aspect_deg"][0] == pytest.approx(np.degrees(np.arctan2(-0.3, -0.11)) % 360.0, abs=1e-3)


def test_valley_floor_is_a_plain_of_its_own() -> None:
    grid = grid_of(100, 120)
    east, north = places(grid)
    surface = 500.0 + 0.6 * np.maximum(np.abs(east) - 400.0, 0.0) + 0.005 * north
    units = slope_units(surface, grid, SlopeUnitOptions(channel_area_m2=1e6, least_area_m2=40_000.0))
    plain = units.attributes["plain"][units.labels - 1] == 1
    assert plain[:, 42:78].all()
    assert not plain[:, :38].any()
    assert not plain[:, 82:].any()
    # The two sides and the floor; the floor is not split along its channel.
    assert units.attributes["plain"].sum() == 1
    assert_well_formed(units, np.ones(grid.shape, np.bool_), 40_000.0)


@settings(max_examples=8)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.1, 0.2, 0.4]), st.sampled_from([10_000.0, 40_000.0]))
def test_units_of_rough_terrain_are_well_formed(seed: int, variance: float, least_m2: float) -> None:
    grid = grid_of(90, 110)
    surface = rough(grid, seed)
    random = np.random.default_rng(seed)
    for _ in range(3):
        row, col = random.integers(0, 80, 2)
        surface[row : row + 9, col : col + 7] = np.nan
    options = SlopeUnitOptions(channel_area_m2=200_000.0, least_area_m2=least_m2, largest_variance=variance)
    units = slope_units(surface, grid, options)
    known = np.isfinite(surface)
    pieces, count = ndimage.label(known)
    islands = np.bincount(pieces[known], minlength=count + 1)[1:]
    assert_well_formed(units, known, min(least_m2, islands.min() * 400.0))
    again = slope_units(surface, grid, options)
    np.testing.assert_array_equal(again.labels, units.labels)


def test_cells_need_not_be_square() -> None:
    grid = Grid(120, 90, Affine(30.0, 0.0, 500_000.0, 0.0, -15.0, 4_000_000.0), "EPSG:32633")
    surface = rough(grid, 11)
    units = slope_units(surface, grid, SlopeUnitOptions(channel_area_m2=200_000.0, least_area_m2=30_000.0))
    assert_well_formed(units, np.ones(grid.shape, np.bool_), 30_000.0)
    east, north = places(grid)
    assert slope_units(900.0 - 0.5 * np.abs(north), grid, NO_PLAINS).count == 2
    assert slope_units(900.0 - 0.5 * np.abs(east), grid, NO_PLAINS).count == 2


def test_units_face_one_way_more_than_squares_do() -> None:
    grid = grid_of(200, 220)
    surface = rough(grid, 7)
    units = slope_units(surface, grid, SlopeUnitOptions(channel_area_m2=200_000.0, least_area_m2=20_000.0))
    variance = units.attributes["circular_variance"]
    assert np.nanmedian(variance) < 0.2
    side = round(float(np.sqrt(units.cells.mean())))
    squares = aggregate_units(np.ones(grid.shape, np.bool_), grid, side, least_known=0.0)
    aspect = terrain_factors(surface, grid, ["aspect"])["aspect"]
    of_squares = zonal_statistics(Zones.of_units(squares), aspect, grid, ["circular_variance"])["circular_variance"]
    assert np.nanmean(variance) < 0.6 * np.nanmean(of_squares)


def test_smaller_variance_gives_more_units() -> None:
    grid = grid_of(150, 150)
    surface = rough(grid, 3)
    counts = [
        slope_units(surface, grid, SlopeUnitOptions(4e5, 2e4, largest_variance=variance)).count
        for variance in (0.05, 0.2, 0.5, 0.9)
    ]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 2 * counts[-1]


def test_island_of_data_smaller_than_a_unit_is_a_unit() -> None:
    grid = grid_of(80, 100)
    east, _ = places(grid)
    surface = 500.0 + 0.5 * np.abs(east)
    surface[:, 80:85] = np.nan
    surface[:60, 85:] = np.nan
    surface[65:, 85:] = np.nan
    units = slope_units(surface, grid, NO_PLAINS)
    assert ((units.labels > 0) == np.isfinite(surface)).all()
    assert units.area_m2.min() == 75 * 400.0


def test_units_too_large_to_face_one_way_are_told_of(caplog: pytest.LogCaptureFixture) -> None:
    grid = grid_of(120, 120)
    with caplog.at_level("WARNING"):
        slope_units(rough(grid, 5), grid, SlopeUnitOptions(1e6, 2e5, largest_variance=0.01, plain_slope_deg=0.0))
    assert "do not face one way" in caplog.text


def test_bad_input_is_refused() -> None:
    grid = grid_of(20, 20)
    level = np.full(grid.shape, 100.0)
    with pytest.raises(InputError, match="20 rows x 20 columns"):
        slope_units(level[:5], grid)
    with pytest.raises(InputError, match="no data in every cell"):
        slope_units(np.full(grid.shape, np.nan), grid)
    with pytest.raises(OptionError, match="at least 4 cells"):
        slope_units(level, grid, SlopeUnitOptions(least_area_m2=1000.0))
    with pytest.raises(InputError, match="north up"):
        slope_units(level, Grid(20, 20, Affine(20.0, 0.0, 500_000.0, 0.0, 20.0, 4_000_000.0), "EPSG:32633"))
    with pytest.raises(InputError, match="degrees"):
        slope_units(level, Grid(20, 20, Affine(0.1, 0.0, 10.0, 0.0, -0.1, 50.0), "EPSG:4326"))


@pytest.mark.parametrize(
    "options",
    [
        {"least_area_m2": 0.0},
        {"least_area_m2": 2e6},
        {"channel_area_m2": float("inf")},
        {"largest_variance": 0.0},
        {"largest_variance": float("nan")},
        {"plain_slope_deg": -1.0},
        {"smoothings": -1},
    ],
)
def test_bad_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(OptionError, match="slope units"):
        SlopeUnitOptions(**options)  # type: ignore[arg-type]


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_parts_that_hang_together_are_those_of_scipy(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels = random.integers(-1, 3, (12, 14)).astype(np.int32)
    parts = random.integers(0, 2, (12, 14)).astype(np.int32)
    divided = np.array([True, False, True])
    numbers = np.empty_like(labels)
    count = kernels.connected_parts(labels, parts, divided, numbers)
    ours = labels * 10 + np.where(divided[labels], parts, 0)
    ours[labels < 0] = -1
    assert ((numbers >= 0) == (labels >= 0)).all()
    total = 0
    for value in np.unique(ours[ours >= 0]):
        pieces, found = ndimage.label(ours == value)
        total += found
        for piece in range(1, found + 1):
            assert len(np.unique(numbers[pieces == piece])) == 1
    assert count == total == len(np.unique(numbers[numbers >= 0]))


def test_banks_are_left_and_right_seen_downstream() -> None:
    """Water runs south down the middle column, joined from both sides and by a tributary from the east in row 4."""
    rows, cols = 9, 7
    downstream = np.empty((rows, cols), np.int32)
    cell = np.arange(rows * cols).reshape(rows, cols)
    downstream[:, :3] = cell[:, 1:4]
    downstream[:, 4:] = cell[:, 3:6]
    downstream[:-1, 3] = cell[1:, 3]
    downstream[-1, 3] = kernels.OUTLET
    downstream[3, 4:] = cell[4, 4:]  # the tributary drains the row above it too
    flat = downstream.ravel()
    order = kernels.upstream_first(flat)
    upstream, main = kernels.accumulate(flat, order)
    assert upstream[cell[-1, 3]] == rows * cols
    basins = np.empty(flat.size, np.int32)
    kernels.half_basins(flat, order, upstream, main, 100, True, cols, basins)
    assert (basins == 2 * flat.size).all()  # no channel drains so much
    kernels.half_basins(flat, order, upstream, main, 20, False, cols, basins)
    banks = basins.reshape(rows, cols)
    # East is left of water that runs south; the reach is with its left bank, and goes on to the divide in row 0.
    assert (banks[:, 3:] % 2 == 0).all()
    assert (banks[1:, :3] % 2 == 1).all()
    assert len(np.unique(banks)) == 2
    kernels.half_basins(flat, order, upstream, main, 6, False, cols, basins)
    banks = basins.reshape(rows, cols)
    # The tributary drains 6 cells: it divides the main channel in two reaches and has two banks itself, water from
    # the north being on its right.
    assert len(np.unique(banks)) == 6
    assert (banks[3, 4:6] % 2 == 1).all()
    assert banks[4, 4] == 2 * cell[4, 4]
    assert banks[0, 0] != banks[8, 0]


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_each_cell_comes_after_all_that_drain_to_it(seed: int) -> None:
    random = np.random.default_rng(seed)
    size = 60
    downstream = np.full(size, kernels.OUTLET, np.int32)
    for number in range(1, size):
        downstream[number] = random.integers(-1, number)
    downstream[random.random(size) < 0.1] = kernels.NO_DATA
    for number in range(size):
        if downstream[number] >= 0 and downstream[downstream[number]] == kernels.NO_DATA:
            downstream[number] = kernels.OUTLET
    order = kernels.upstream_first(downstream)
    assert sorted(order) == [number for number in range(size) if downstream[number] != kernels.NO_DATA]
    place = {int(number): index for index, number in enumerate(order)}
    for number in order:
        assert downstream[number] < 0 or place[int(number)] < place[int(downstream[number])]
    cells, main = kernels.accumulate(downstream, order)
    for number in order:
        donors = [other for other in order if downstream[other] == number]
        assert cells[number] == 1 + sum(cells[donor] for donor in donors)
        assert main[number] == (min(donors, key=lambda donor: (-cells[donor], donor)) if donors else -1)
