"""Steepness of channels whose uplift is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from affine import Affine
from numpy.typing import NDArray

from insar.grid import Grid
from susceptibility.errors import OptionError
from susceptibility.factors.flow import route_flow
from susceptibility.factors.steepness import (
    chi_m,
    node_steepness,
    segment_steepness_by_gradient,
    segment_steepness_by_integral,
    smoothed_steepness,
)
from susceptibility.factors.streams import Streams, extract_streams
from susceptibility.kernels import streams as kernels

Array = NDArray[Any]
STEP_M = 30.0


def metric_grid(rows: int, cols: int) -> Grid:
    return Grid(rows, cols, Affine(STEP_M, 0.0, 400_000.0, 0.0, -STEP_M, 3_800_000.0), "EPSG:32611")


def steady_valley(steepness: Array | float, concavity: float, cols: int = 700, half_rows: int = 20) -> Array:
    """A straight river to the east in steady state, in closed form, between slopes that drain straight into it.

    With ``w`` the width of the valley the area is ``w s`` at ``s`` from the divide; elevation is the integral of
    ``ksn (w s)^-theta`` from the mouth.
    """
    distance_m = (np.arange(cols) + 1.0) * STEP_M  # the lower edge of a cell, to where its own area counts
    width_m = (2 * half_rows + 1) * STEP_M
    power = 1.0 - concavity
    level_m = np.asarray(steepness) * width_m**-concavity * (distance_m[-1] ** power - distance_m**power) / power
    row = np.abs(np.arange(2 * half_rows + 1) - half_rows)
    return np.asarray(100.0 + level_m[None, :] + 2.0 * STEP_M * row[:, None])


@pytest.fixture(scope="module")
def landscape() -> tuple[Streams, float]:
    """A whole landscape in steady state: every cell eroded to ``S = ksn A^-theta`` along the flow that results."""
    steepness, concavity = 120.0, 0.45
    grid = metric_grid(60, 80)
    elevation = np.random.default_rng(3).uniform(0.0, 1.0, grid.shape)
    former = np.empty(0)
    for _ in range(200):
        flow = route_flow(elevation, grid)
        if np.array_equal(flow.direction, former):
            break
        former = flow.direction
        every = extract_streams(flow, least_cells=1)
        elevation = every.integrate(every.length_m * steepness * every.area_m2**-concavity).reshape(grid.shape)
    return extract_streams(flow, least_cells=30), steepness


@pytest.mark.parametrize(("steepness", "concavity"), [(35.0, 0.45), (250.0, 0.45), (12.0, 0.35), (900.0, 0.55)])
def test_a_river_in_steady_state_has_the_steepness_of_its_uplift(steepness: float, concavity: float) -> None:
    """Uplift U over erodibility K: ksn = (U / K)^(1 / n). The closed form, put on cells, comes back within 0.3 %."""
    elevation = steady_valley(steepness, concavity)
    streams = extract_streams(route_flow(elevation, metric_grid(*elevation.shape)), least_cells=41 * 40)
    assert set(streams.cell // 700) == {20}
    assert streams.segments == 1
    assert segment_steepness_by_integral(streams, concavity)[0] == pytest.approx(steepness, rel=3e-3)
    assert segment_steepness_by_gradient(streams, concavity)[0] == pytest.approx(steepness, rel=3e-3)
    nodes = node_steepness(streams, concavity)
    np.testing.assert_allclose(nodes[streams.receiver >= 0], steepness, rtol=0.01)
    assert np.isnan(nodes[streams.receiver < 0]).all()
    np.testing.assert_allclose(smoothed_steepness(streams, concavity), steepness, rtol=0.01)


def test_faster_uplift_upstream_shows_where_it_begins() -> None:
    slow, fast = steady_valley(50.0, 0.45), steady_valley(150.0, 0.45)
    break_col = 350
    elevation = np.where(np.arange(700) < break_col, fast + (slow - fast)[:, [break_col]], slow)
    streams = extract_streams(route_flow(elevation, metric_grid(*elevation.shape)), least_cells=41 * 40)
    col = streams.cell % 700
    steepness = smoothed_steepness(streams, reach_m=300.0)
    np.testing.assert_allclose(steepness[col < break_col - 11], 150.0, rtol=0.01)
    np.testing.assert_allclose(steepness[col > break_col + 11], 50.0, rtol=0.01)


def test_every_channel_of_a_steady_landscape_has_the_same_steepness(landscape: tuple[Streams, float]) -> None:
    streams, steepness = landscape
    assert streams.segments > 30
    for values in (
        node_steepness(streams),
        smoothed_steepness(streams),
        segment_steepness_by_gradient(streams),
        segment_steepness_by_integral(streams),
    ):
        assert np.isfinite(values).sum() > 0.5 * values.size
        np.testing.assert_allclose(values[np.isfinite(values)], steepness, rtol=1e-9)


def test_chi_is_a_straight_line_of_elevation(landscape: tuple[Streams, float]) -> None:
    streams, steepness = landscape
    chi = chi_m(streams)
    np.testing.assert_allclose(streams.elevation_m, steepness * chi, atol=1e-9)
    assert np.all(chi[streams.receiver < 0] == 0.0)


def test_noise_is_taken_out_by_the_integral_and_not_by_the_gradient() -> None:
    elevation = steady_valley(60.0, 0.45) + np.random.default_rng(5).normal(0.0, 0.3, (1, 700))
    streams = extract_streams(route_flow(elevation, metric_grid(*elevation.shape)), least_cells=41 * 40)
    of_nodes, smoothed = node_steepness(streams), smoothed_steepness(streams, reach_m=1000.0)
    assert np.nanstd(smoothed) < 0.15 * np.nanstd(of_nodes)
    assert segment_steepness_by_integral(streams)[0] == pytest.approx(60.0, rel=0.02)


def test_pieces_that_are_too_short_have_none(landscape: tuple[Streams, float]) -> None:
    streams, _ = landscape
    nodes = np.array([path.size for path in streams.paths()])
    for least in (2, 5, 12):
        steepness = segment_steepness_by_integral(streams, least_nodes=least)
        np.testing.assert_array_equal(np.isnan(steepness), nodes < least)
    assert np.isnan(smoothed_steepness(streams, reach_m=1.0)).all()
    assert np.isnan(segment_steepness_by_gradient(streams)).sum() == np.sum(nodes == 1)


def test_regressions_equal_those_of_numpy(landscape: tuple[Streams, float]) -> None:
    streams, _ = landscape
    random = np.random.default_rng(6)
    chi, height = chi_m(streams), streams.elevation_m + random.normal(0.0, 3.0, streams.cell.size)
    found = np.empty(streams.segments)
    kernels.slopes_of_segments(streams.segment, streams.receiver, chi, height, 3, found)
    for segment, nodes in enumerate(streams.paths()):
        if nodes.size >= 3:
            assert found[segment] == pytest.approx(np.polyfit(chi[nodes], height[nodes], 1)[0], rel=1e-9)
    reach_m, distance_m = 200.0, streams.distance_m
    around = np.empty(streams.cell.size)
    inputs = (streams.receiver, streams.order, streams.area_m2, distance_m, chi, height, reach_m, 4)
    kernels.slopes_along_streams(*inputs, around)
    for node in range(streams.cell.size):
        nodes = [node]
        while (below := streams.receiver[nodes[-1]]) >= 0 and distance_m[node] - distance_m[below] <= reach_m:
            nodes.append(below)
        point = node
        while (above := np.flatnonzero(streams.receiver == point)).size:
            point = min(above, key=lambda one: (-streams.area_m2[one], height[one]))
            if distance_m[point] - distance_m[node] > reach_m:
                break
            nodes.append(point)
        if len(nodes) < 4:
            assert np.isnan(around[node])
        else:
            assert around[node] == pytest.approx(np.polyfit(chi[nodes], height[nodes], 1)[0], rel=1e-9)
    plain = np.empty_like(around)
    kernels.slopes_along_streams.py_func(*inputs, plain)  # type: ignore[attr-defined]
    np.testing.assert_allclose(plain, around, rtol=1e-12)
    of_segments = np.empty_like(found)
    kernels.slopes_of_segments.py_func(  # type: ignore[attr-defined]
        streams.segment, streams.receiver, chi, height, 3, of_segments
    )
    np.testing.assert_allclose(of_segments, found, rtol=1e-12)


def test_what_is_refused(landscape: tuple[Streams, float]) -> None:
    streams, _ = landscape
    for concavity in (0.0, 1.0, -0.4, np.nan):
        with pytest.raises(OptionError, match="concavity"):
            chi_m(streams, concavity)
        with pytest.raises(OptionError, match="concavity"):
            node_steepness(streams, concavity)
    with pytest.raises(OptionError, match="reach"):
        smoothed_steepness(streams, reach_m=0.0)
