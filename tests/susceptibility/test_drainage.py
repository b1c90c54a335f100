"""Factors of drainage on terrain where they are known."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from affine import Affine
from numpy.typing import NDArray

from insar.grid import Grid
from susceptibility.errors import InputError, OptionError
from susceptibility.factors.drainage import (
    DRAINAGE_FACTORS,
    DrainageOptions,
    channel_steepness,
    drainage_density,
    drainage_factors,
    mean_around,
    segment_steepness,
)
from susceptibility.factors.flow import divide_flow, route_flow
from susceptibility.factors.streams import drain_to_streams, extract_streams
from susceptibility.factors.terrain import terrain_factors

Array = NDArray[Any]


def metric_grid(rows: int, cols: int, width_m: float = 10.0, height_m: float = 10.0) -> Grid:
    return Grid(rows, cols, Affine(width_m, 0.0, 400_000.0, 0.0, -height_m, 3_800_000.0), "EPSG:32611")


def valley(rows: int, cols: int, step_m: float = 10.0) -> Array:
    """A straight valley to the east in the middle row."""
    row, col = np.mgrid[:rows, :cols]
    return np.asarray(1000.0 - 0.1 * step_m * col + 0.6 * step_m * np.abs(row - rows // 2), np.float64)


def rough_terrain(rows: int, cols: int, seed: int, holes: int = 0) -> Array:
    random = np.random.default_rng(seed)
    row, col = np.mgrid[:rows, :cols]
    elevation = 500.0 + 0.9 * row + 0.5 * np.abs(col - cols // 2) + random.normal(0.0, 1.0, (rows, cols))
    elevation.ravel()[random.choice(elevation.size, holes, replace=False)] = np.nan
    return elevation


@pytest.mark.parametrize("routing", ["d8", "multiple"])
def test_wetness_and_power_of_a_rough_terrain(routing: Literal["d8", "multiple"]) -> None:
    elevation, grid = rough_terrain(30, 34, 1, holes=5), metric_grid(30, 34, 10.0, 12.0)
    options = DrainageOptions(routing=routing, least_tangent=0.05)
    factors, _ = drainage_factors(elevation, grid, options)
    flow = route_flow(elevation, grid)
    cells = flow.cells if routing == "d8" else divide_flow(flow)
    specific_m = cells * 120.0 / np.sqrt(120.0)
    slope_deg = terrain_factors(elevation, grid, ["slope"])["slope"]
    tangent = np.maximum(np.tan(np.radians(slope_deg.astype(np.float64))), 0.05)
    assert (tangent == 0.05).sum() > 5
    np.testing.assert_allclose(factors["twi"], np.log(specific_m / tangent), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(factors["log_spi"], np.log(specific_m * tangent), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(np.isnan(factors["twi"]), np.isnan(slope_deg))


def test_wetness_of_a_plane_is_that_of_its_formula() -> None:
    _, col = np.mgrid[:12, :20]
    factors, _ = drainage_factors(1000.0 - 2.5 * col, metric_grid(12, 20), DrainageOptions(routing="d8"))
    expected = np.log((col + 1) * 10.0 / 0.25)
    np.testing.assert_allclose(factors["twi"][1:-1, 1:-1], expected[1:-1, 1:-1], rtol=1e-6)


def test_density_of_a_straight_river_is_its_chord_over_the_circle() -> None:
    """At the distance d from it: 2 sqrt(R2 - d2) / (pi R2)."""
    elevation, grid = valley(201, 201), metric_grid(201, 201)
    options = DrainageOptions(stream_area_m2=20_000.0, radius_m=400.0)
    factors, streams = drainage_factors(elevation, grid, options)
    assert set(streams.cell // 201) == {100}
    density = factors["drainage_density"]
    for off in (0, 10, 20, 30):
        expected = 2.0 * np.sqrt(400.0**2 - (10.0 * off) ** 2) / (np.pi * 400.0**2)
        assert density[100 + off, 130] == pytest.approx(expected, rel=0.03)
    assert density[100 + 41, 130] == 0.0
    # At the end of the raster half of the circle is unknown, and as much of the river: the density stays.
    assert density[100, 200] == pytest.approx(density[100, 130], rel=0.05)


def test_distance_to_the_river() -> None:
    elevation = valley(61, 90)
    elevation[3, 5] = np.nan
    factors, streams = drainage_factors(
        elevation, metric_grid(61, 90, 10.0, 15.0), DrainageOptions(stream_area_m2=60_000.0)
    )
    row, col = np.mgrid[:61, :90]
    rows, cols = np.divmod(streams.cell, 90)
    expected = np.min(np.hypot((row[..., None] - rows) * 15.0, (col[..., None] - cols) * 10.0), axis=-1)
    expected[3, 5] = np.nan
    np.testing.assert_allclose(factors["distance_to_river"], expected, rtol=1e-6)


@pytest.mark.parametrize("method", ["smoothed", "segment-integral", "segment-gradient", "node-gradient"])
def test_steepness_is_spread_to_hillslopes_and_around(method: Any) -> None:
    elevation, grid = rough_terrain(40, 44, 2, holes=3), metric_grid(40, 44)
    options = DrainageOptions(stream_cells=20, steepness=method, reach_m=60.0, radius_m=52.0)
    factors, streams = drainage_factors(elevation, grid, options)
    steepness = channel_steepness(streams, options)
    assert np.isnan(steepness).any() == (method != "segment-gradient")
    channel = drain_to_streams(route_flow(elevation, grid), streams)
    expected = np.where(channel < 0, np.nan, steepness[channel])
    np.testing.assert_allclose(factors["ksn"], expected, rtol=1e-6)
    rows, cols = np.divmod(streams.cell, 44)
    row, col = np.mgrid[:40, :44]
    near = np.hypot(row[..., None] - rows, col[..., None] - cols) * 10.0 <= 52.0
    weight = near * np.where(np.isfinite(steepness), streams.length_m, 0.0)
    with np.errstate(invalid="ignore"):
        mean = np.sum(weight * np.nan_to_num(steepness), axis=-1) / np.sum(weight, axis=-1)
    mean[np.isnan(elevation)] = np.nan
    np.testing.assert_allclose(factors["ksn_density"], mean, rtol=1e-4)
    inside = np.array(
        [
            [np.sum(np.isfinite(elevation) & (np.hypot(row - i, col - j) * 10.0 <= 52.0)) for j in range(44)]
            for i in range(40)
        ]
    )
    density = np.sum(near * streams.length_m, axis=-1) / (inside * 100.0)
    density[np.isnan(elevation)] = np.nan
    np.testing.assert_allclose(factors["drainage_density"], density, rtol=1e-5)


def test_every_factor_is_unknown_where_the_elevation_is_and_has_the_type_it_says() -> None:
    elevation = rough_terrain(40, 44, 3, holes=9).astype(np.float32)
    factors, _ = drainage_factors(elevation, metric_grid(40, 44), DrainageOptions(stream_cells=30))
    assert list(factors) == list(DRAINAGE_FACTORS)
    for name, values in factors.items():
        definition = DRAINAGE_FACTORS[name]
        assert values.dtype == definition.dtype
        nothing = np.isnan(values) if definition.nodata is None else values == definition.nodata
        assert nothing[np.isnan(elevation)].all(), name
        assert not nothing.all(), name
    assert set(np.unique(factors["catchment_cut"])) == {0, 1, 255}


def test_without_any_stream_nothing_is_made_up() -> None:
    factors, streams = drainage_factors(valley(9, 9), metric_grid(9, 9))
    assert streams.cell.size == 0
    for name in ("ksn", "ksn_density", "distance_to_river"):
        assert np.isnan(factors[name]).all()
    assert np.all(factors["drainage_density"] == 0.0)


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_turning_the_terrain_turns_every_factor(quarter_turns: int) -> None:
    """Where no two elevations are equal: of equally steep ways between such the first direction counts."""
    elevation = rough_terrain(36, 44, 7, holes=4)
    turned = np.ascontiguousarray(np.rot90(elevation, quarter_turns))
    options = DrainageOptions(stream_cells=20, reach_m=60.0, radius_m=80.0)
    factors, streams = drainage_factors(elevation, metric_grid(*elevation.shape), options)
    others, other_streams = drainage_factors(turned, metric_grid(*turned.shape), options)
    for name, values in factors.items():
        expected = np.rot90(values, quarter_turns)
        np.testing.assert_allclose(others[name], expected, rtol=2e-5, atol=1e-9, err_msg=name)
    np.testing.assert_array_equal(other_streams.mask(), np.rot90(streams.mask(), quarter_turns))
    assert sorted(np.bincount(other_streams.segment)) == sorted(np.bincount(streams.segment))
    assert sorted(other_streams.strahler) == sorted(streams.strahler)


def test_names_choose_and_their_order_does_not_matter() -> None:
    elevation, grid = rough_terrain(20, 20, 4), metric_grid(20, 20)
    every, _ = drainage_factors(elevation, grid)
    some, _ = drainage_factors(elevation, grid, names=["log_spi", "flow_accumulation"])
    assert list(some) == ["flow_accumulation", "log_spi"]
    for name, values in some.items():
        np.testing.assert_array_equal(values, every[name])


def test_segments_have_the_steepness_of_the_options_and_that_of_both_methods() -> None:
    streams = extract_streams(route_flow(rough_terrain(40, 44, 5), metric_grid(40, 44)), least_cells=20)
    options = DrainageOptions(reach_m=60.0)
    fields = segment_steepness(streams, options)
    assert {values.size for values in fields.values()} == {streams.segments}
    smoothed = channel_steepness(streams, options)
    for segment in range(streams.segments):
        own = smoothed[streams.segment == segment]
        expected = own[np.isfinite(own)].mean() if np.isfinite(own).any() else np.nan
        assert fields["ksn"][segment] == pytest.approx(expected, nan_ok=True)
    by_method = channel_steepness(streams, DrainageOptions(steepness="segment-integral"))
    np.testing.assert_array_equal(by_method, fields["ksn_integral"][streams.segment])


def test_densities_take_a_radius_smaller_than_a_cell() -> None:
    elevation, grid = rough_terrain(20, 20, 6), metric_grid(20, 20)
    flow = route_flow(elevation, grid)
    streams = extract_streams(flow, least_cells=10)
    density = drainage_density(streams, flow, 1.0)
    assert np.array_equal(density > 0.0, (streams.mask() & (density > 0.0)))
    values = np.arange(streams.cell.size, dtype=float)
    mean = mean_around(streams, values, flow, 1.0)
    inner = streams.receiver >= 0
    np.testing.assert_allclose(mean.ravel()[streams.cell[inner]], values[inner], rtol=1e-6)


def test_what_is_refused() -> None:
    with pytest.raises(OptionError, match="ksm"):
        drainage_factors(valley(9, 9), metric_grid(9, 9), names=["ksm"])
    for name in ("radius_m", "least_tangent", "reach_m", "exponent"):
        with pytest.raises(OptionError, match=name):
            DrainageOptions(**{name: 0.0})
    with pytest.raises(OptionError, match="threshold"):
        drainage_factors(valley(9, 9), metric_grid(9, 9), DrainageOptions(stream_area_m2=-1.0))
    with pytest.raises(OptionError, match="concavity"):
        drainage_factors(valley(9, 9), metric_grid(9, 9), DrainageOptions(concavity=2.0))
    with pytest.raises(InputError, match="9 rows x 8 columns"):
        drainage_factors(valley(9, 9), metric_grid(9, 8))
