"""Statistics over units against plain NumPy, and coverage of cells against shapely."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from insar.grid import Grid
from susceptibility.errors import InputError, OptionError
from susceptibility.units import STATISTICS, Zones, cell_units, zonal_statistics

GRID = Grid(10, 12, Affine(100.0, 0.0, 500_000.0, 0.0, -50.0, 4_000_000.0), "EPSG:32633")
WEST, SOUTH, EAST, NORTH = GRID.bounds


def covered(polygon: shapely.Polygon, grid: Grid) -> NDArray[np.float64]:
    """(row, col) part of each cell that a polygon covers, one intersection after the other."""
    part = np.zeros(grid.shape)
    for row in range(grid.rows):
        for col in range(grid.cols):
            corners = [
                grid.map_coordinates(float(row + down), float(col + across)) for down in (0, 1) for across in (0, 1)
            ]
            xs, ys = zip(*corners, strict=True)
            cell = shapely.box(min(xs), min(ys), max(xs), max(ys))
            part[row, col] = shapely.area(shapely.intersection(polygon, cell)) / shapely.area(cell)
    return part


@st.composite
def polygons(draw: st.DrawFn) -> shapely.Polygon:
    """A star-shaped polygon around a place on or near the grid, so that it does not cross itself."""
    x = draw(st.floats(WEST - 100.0, EAST + 100.0))
    y = draw(st.floats(SOUTH - 100.0, NORTH + 100.0))
    reaches = draw(st.lists(st.floats(5.0, 400.0), min_size=3, max_size=12))
    turns = 2.0 * np.pi * np.arange(len(reaches)) / len(reaches)
    return shapely.Polygon([(x + r * np.cos(t), y + r * np.sin(t)) for r, t in zip(reaches, turns, strict=True)])


@settings(max_examples=40)
@given(st.lists(polygons(), min_size=1, max_size=3))
def test_parts_of_cells_are_those_of_the_polygons(shapes: list[shapely.Polygon]) -> None:
    zones = Zones.of_polygons(np.array(shapes, object), GRID)
    for unit, shape in enumerate(shapes):
        part = np.zeros(GRID.shape)
        mine = slice(zones.starts[unit], zones.starts[unit + 1])
        part.flat[zones.cells[mine]] = zones.parts[mine]
        # Parts are worked out in single precision.
        np.testing.assert_allclose(part, covered(shape, GRID), atol=2e-7)


@settings(max_examples=25)
@given(polygons(), st.integers(0, 2**32 - 1))
def test_statistics_of_polygons_are_those_of_their_parts(shape: shapely.Polygon, seed: int) -> None:
    random = np.random.default_rng(seed)
    values = random.normal(50.0, 20.0, GRID.shape).astype(np.float32)
    values[random.random(GRID.shape) < 0.2] = np.nan
    wanted = ["mean", "sd", "min", "max", "range", "sum", "count", "known_share", "share_above:55"]
    zones = Zones.of_polygons(np.array([shape], object), GRID)
    found = {name: column[0] for name, column in zonal_statistics(zones, values, GRID, wanted).items()}
    weight = np.zeros(GRID.shape)
    weight.flat[zones.cells] = zones.parts
    known = (weight > 0.0) & np.isfinite(values)
    whole_cells = shapely.area(shape) / 5000.0
    assert found["count"] == known.sum()
    assert found["known_share"] == pytest.approx(min(1.0, weight[known].sum() / whole_cells), abs=1e-12)
    if not known.any():
        assert all(np.isnan(found[name]) for name in wanted if name not in {"count", "known_share"})
        return
    w, v = weight[known], values[known].astype(np.float64)
    mean = (w * v).sum() / w.sum()
    assert found["mean"] == pytest.approx(mean, rel=1e-12)
    assert found["sd"] == pytest.approx(np.sqrt((w * (v - mean) ** 2).sum() / w.sum()), rel=1e-9, abs=1e-9)
    assert (found["min"], found["max"], found["range"]) == (v.min(), v.max(), v.max() - v.min())
    assert found["sum"] == pytest.approx((w * v).sum(), rel=1e-12)
    assert found["share_above:55"] == pytest.approx(w[v > 55.0].sum() / w.sum(), rel=1e-12)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_statistics_of_labels_are_those_of_numpy(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    labels = random.integers(0, count + 1, GRID.shape).astype(np.int32)
    values = random.uniform(0.0, 360.0, GRID.shape).astype(np.float32)
    values[random.random(GRID.shape) < 0.3] = np.nan
    wanted = [*STATISTICS, "share_above:90", "quantile:0.9"]
    found = zonal_statistics(Zones.of_labels(labels, count, GRID), values, GRID, wanted)
    for unit in range(count):
        cells = values[labels == unit + 1].astype(np.float64)
        known = cells[np.isfinite(cells)]
        got = {name: column[unit] for name, column in found.items()}
        assert got["count"] == known.size
        assert got["known_share"] == (pytest.approx(known.size / cells.size) if cells.size else 0.0)
        if not known.size:
            assert np.isnan([got[name] for name in wanted if name not in {"count", "known_share"}]).all()
            continue
        vector = np.exp(1j * np.radians(known)).mean()
        assert got["mean"] == pytest.approx(known.mean())
        assert got["sd"] == pytest.approx(known.std(), abs=1e-9)
        assert got["median"] == pytest.approx(np.median(known))
        assert got["quantile:0.9"] == pytest.approx(np.quantile(known, 0.9))
        assert got["share_above:90"] == pytest.approx((known > 90.0).mean())
        assert got["circular_variance"] == pytest.approx(1.0 - abs(vector), abs=1e-12)
        assert np.exp(1j * np.radians(got["circular_mean"])) == pytest.approx(vector / abs(vector), abs=1e-6)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_dominant_class_has_the_largest_area_and_is_the_lowest_in_a_tie(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels = random.integers(1, 6, GRID.shape).astype(np.int32)
    values = random.integers(-2, 4, GRID.shape).astype(np.float32)
    values[random.random(GRID.shape) < 0.3] = np.nan
    found = zonal_statistics(Zones.of_labels(labels, 5, GRID), values, GRID, ["dominant", "dominant_share"])
    for unit in range(5):
        known = values[(labels == unit + 1) & np.isfinite(values)]
        classes, sizes = np.unique(known, return_counts=True)
        assert found["dominant"][unit] == classes[np.argmax(sizes)]
        assert found["dominant_share"][unit] == pytest.approx(sizes.max() / known.size)


@settings(max_examples=25)
@given(polygons(), st.integers(0, 2**32 - 1))
def test_classes_and_directions_of_polygons_are_those_of_their_parts(shape: shapely.Polygon, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 5, GRID.shape).astype(np.float32) * 72.0
    zones = Zones.of_polygons(np.array([shape], object), GRID)
    wanted = ["dominant", "dominant_share", "circular_mean", "circular_variance"]
    found = {name: column[0] for name, column in zonal_statistics(zones, values, GRID, wanted).items()}
    if not zones.cells.size:
        assert np.isnan(list(found.values())).all()
        return
    inside = values.ravel()[zones.cells].astype(np.float64)
    areas = np.array([zones.parts[inside == number].sum() for number in 72.0 * np.arange(5)])
    assert areas[round(found["dominant"] / 72.0)] == pytest.approx(areas.max(), rel=1e-9)
    assert found["dominant_share"] == pytest.approx(areas.max() / areas.sum())
    vector = (zones.parts * np.exp(1j * np.radians(inside))).sum() / zones.parts.sum()
    assert found["circular_variance"] == pytest.approx(1.0 - abs(vector), abs=1e-9)
    if abs(vector) > 1e-3:
        assert np.exp(1j * np.radians(found["circular_mean"])) == pytest.approx(vector / abs(vector), abs=1e-6)


@settings(max_examples=25)
@given(polygons(), st.integers(0, 2**32 - 1), st.floats(0.0, 1.0))
def test_quantiles_of_parts_rise_and_stay_within_the_values(shape: shapely.Polygon, seed: int, level: float) -> None:
    values = np.random.default_rng(seed).normal(size=GRID.shape)
    zones = Zones.of_polygons(np.array([shape], object), GRID)
    wanted = ["min", "quantile:0", f"quantile:{level:.6f}", "quantile:1", "max"]
    found = [column[0] for column in zonal_statistics(zones, values, GRID, wanted).values()]
    if zones.cells.size:
        assert found == sorted(found)
        assert (found[0], found[-1]) == (found[1], found[-2])


def test_quantiles_weigh_cells_by_their_parts() -> None:
    """Two cells of value 0 and 1 and a third of value 2 by a tenth: places 0, 1 and 1.55 of 1.55."""
    box = shapely.box(WEST, NORTH - 50.0, WEST + 210.0, NORTH)
    values = np.broadcast_to(np.arange(12.0), GRID.shape)
    found = zonal_statistics(Zones.of_polygons(np.array([box], object), GRID), values, GRID, ["median"])
    assert found["median"][0] == pytest.approx(0.775, rel=1e-6)


def test_mean_direction_passes_north() -> None:
    labels = np.ones(GRID.shape, np.int32)
    values = np.where(np.arange(120).reshape(GRID.shape) % 2, 350.0, 10.0)
    found = zonal_statistics(Zones.of_labels(labels, 1, GRID), values, GRID, ["circular_mean", "circular_variance"])
    assert found["circular_mean"][0] % 360.0 == pytest.approx(0.0, abs=1e-6) or found["circular_mean"][0] > 359.999
    assert found["circular_variance"][0] == pytest.approx(1.0 - np.cos(np.radians(10.0)))


def test_directions_that_cancel_have_no_mean() -> None:
    values = np.where(np.arange(120).reshape(GRID.shape) % 2, 90.0, 270.0)
    zones = Zones.of_labels(np.ones(GRID.shape, np.int32), 1, GRID)
    found = zonal_statistics(zones, values, GRID, ["circular_mean", "circular_variance"])
    assert np.isnan(found["circular_mean"][0])
    assert found["circular_variance"][0] == pytest.approx(1.0)


def test_rows_may_come_from_a_function() -> None:
    values = np.random.default_rng(0).normal(size=GRID.shape)
    zones = Zones.of_units(cell_units(np.ones(GRID.shape, np.bool_), GRID))
    found = zonal_statistics(zones, lambda rows: values[rows], GRID, ["mean", "count"])
    np.testing.assert_array_equal(found["mean"], values.astype(np.float32).ravel())
    assert (found["count"] == 1).all()


def test_whole_and_parts_of_cells_agree_on_cell_edges() -> None:
    """A polygon along cell edges gives what labels give, to the last bits of single precision."""
    labels = np.zeros(GRID.shape, np.int32)
    labels[2:7, 3:9] = 1
    values = np.random.default_rng(1).normal(size=GRID.shape)
    wanted = [*STATISTICS, "quantile:0.3"]
    box = shapely.box(WEST + 300.0, NORTH - 350.0, WEST + 900.0, NORTH - 100.0)
    by_labels = zonal_statistics(Zones.of_labels(labels, 1, GRID), values, GRID, wanted)
    by_polygon = zonal_statistics(Zones.of_polygons(np.array([box], object), GRID), values, GRID, wanted)
    for name in wanted:
        assert by_polygon[name][0] == pytest.approx(by_labels[name][0], rel=1e-6), name


def test_polygons_in_another_system_are_refused() -> None:
    with pytest.raises(InputError, match="EPSG:32633"):
        Zones.of_polygons(np.array([shapely.box(10.0, 50.0, 11.0, 51.0)], object), GRID, "EPSG:4326")


def test_layers_on_another_grid_are_refused() -> None:
    zones = Zones.of_labels(np.ones(GRID.shape, np.int32), 1, GRID)
    moved = Grid(10, 12, Affine(100.0, 0.0, 500_050.0, 0.0, -50.0, 4_000_000.0), GRID.crs)
    with pytest.raises(InputError, match="another grid"):
        zonal_statistics(zones, np.zeros(GRID.shape), moved, ["mean"])
    with pytest.raises(InputError, match="10 rows x 12 columns"):
        zonal_statistics(zones, np.zeros((3, 4)), GRID, ["mean"])
    with pytest.raises(InputError, match="10 rows x 12 columns"):
        Zones.of_labels(np.ones((3, 4), np.int32), 1, GRID)
    with pytest.raises(InputError, match="coordinate reference system"):
        zonal_statistics(zones, np.zeros(GRID.shape), Grid(10, 12, GRID.transform, None), ["mean"])


@pytest.mark.parametrize("name", ["average", "quantile", "quantile:1.2", "share_above:", "mean:3", "share_above:nan"])
def test_unknown_statistics_are_refused(name: str) -> None:
    zones = Zones.of_labels(np.ones(GRID.shape, np.int32), 1, GRID)
    with pytest.raises(OptionError, match="statistic"):
        zonal_statistics(zones, np.zeros(GRID.shape), GRID, [name])
