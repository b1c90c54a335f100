"""Stream networks: segments, orders, lines, and what is summed around them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import shapely
from affine import Affine
from numpy.typing import NDArray

from insar.grid import Grid
from susceptibility.errors import OptionError
from susceptibility.factors.flow import Flow, route_flow
from susceptibility.factors.streams import Streams, drain_to_streams, extract_streams, write_streams
from susceptibility.kernels import flow as flow_kernels
from susceptibility.kernels import streams as kernels

Array = NDArray[Any]


def metric_grid(rows: int, cols: int, width_m: float = 10.0, height_m: float = 10.0) -> Grid:
    return Grid(rows, cols, Affine(width_m, 0.0, 400_000.0, 0.0, -height_m, 3_800_000.0), "EPSG:32611")


@pytest.fixture(scope="module")
def flow() -> Flow:
    random = np.random.default_rng(11)
    row, col = np.mgrid[:40, :50]
    elevation = 500.0 + 0.9 * row + 0.5 * np.abs(col - 25) + random.normal(0.0, 1.0, row.shape)
    elevation[5:8, 40:42] = np.nan
    return route_flow(elevation, metric_grid(40, 50, 10.0, 12.0))


@pytest.fixture(scope="module")
def streams(flow: Flow) -> Streams:
    return extract_streams(flow, least_cells=20)


def below(flow: Flow, cell: int) -> int | None:
    way = flow.direction.ravel()[cell]
    if way >= flow_kernels.OUTLET:
        return None
    return int(cell + flow_kernels.ROW_STEPS[way] * flow.grid.cols + flow_kernels.COL_STEPS[way])


def test_nodes_are_the_cells_that_drain_enough_and_flow_as_the_terrain_does(flow: Flow, streams: Streams) -> None:
    np.testing.assert_array_equal(streams.mask(), flow.cells >= 20)
    np.testing.assert_allclose(streams.area_m2, flow.cells.ravel()[streams.cell] * 120.0)
    for node, cell in enumerate(streams.cell):
        receiver = below(flow, int(cell))
        assert streams.receiver[node] == (-1 if receiver is None else np.flatnonzero(streams.cell == receiver)[0])
    place = np.empty(streams.cell.size, int)
    place[streams.order] = np.arange(streams.cell.size)
    inner = streams.receiver >= 0
    assert np.all(place[inner] < place[streams.receiver[inner]])
    assert set(np.round(streams.length_m, 6)) == {0.0, 10.0, 12.0, np.round(np.hypot(10, 12), 6)}
    assert streams.segments > 15


def test_segments_run_from_confluence_to_confluence(streams: Streams) -> None:
    inflows = [np.flatnonzero(streams.receiver == node) for node in range(streams.cell.size)]
    for node, above in enumerate(inflows):
        if above.size == 1:
            assert streams.segment[node] == streams.segment[above[0]]
        else:  # a source, or two that meet
            assert np.sum(streams.segment == streams.segment[node]) >= 1
            assert all(streams.segment[other] != streams.segment[node] for other in above)
    starts = sum(above.size != 1 for above in inflows)
    assert streams.segments == starts
    assert set(streams.segment) == set(range(streams.segments))


def test_orders_are_those_of_strahler(streams: Streams) -> None:
    def order_of(node: int) -> int:
        above = sorted((order_of(int(other)) for other in np.flatnonzero(streams.receiver == node)), reverse=True)
        if not above:
            return 1
        return above[0] + 1 if above[1:2] == above[:1] else above[0]

    assert [order_of(node) for node in range(streams.cell.size)] == streams.strahler.tolist()
    assert streams.strahler.max() >= 3


def test_paths_share_their_confluences_only(streams: Streams) -> None:
    paths = streams.paths()
    assert len(paths) == streams.segments
    for segment, nodes in enumerate(paths):
        np.testing.assert_array_equal(streams.receiver[nodes[:-1]], nodes[1:])
        assert set(np.flatnonzero(streams.segment == segment)) <= set(nodes)
        own = streams.segment[nodes] == segment
        assert own[:-1].all()
        if not own[-1]:
            assert np.sum(streams.receiver == nodes[-1]) >= 2
    length = sum(streams.length_m[nodes[:-1]].sum() for nodes in paths)
    assert length == pytest.approx(streams.length_m.sum())


def test_distance_is_counted_from_the_outlet(streams: Streams) -> None:
    for node in range(streams.cell.size):
        total, point = 0.0, node
        while streams.receiver[point] >= 0:
            total += streams.length_m[point]
            point = streams.receiver[point]
        assert streams.distance_m[node] == pytest.approx(total)


def test_hillslopes_drain_to_the_first_channel_on_their_way(flow: Flow, streams: Streams) -> None:
    channel = drain_to_streams(flow, streams)
    for cell in range(channel.size):
        point: int | None = cell
        while point is not None and not streams.mask().ravel()[point]:
            point = below(flow, point)
        expected = -1 if point is None else np.flatnonzero(streams.cell == point)[0]
        assert channel.ravel()[cell] == expected
    assert (channel == -1).sum() > 10
    value = np.arange(streams.cell.size, dtype=float)
    out = np.empty(channel.shape, np.float32)
    kernels.value_of_channel(channel, value, out)
    np.testing.assert_array_equal(out, np.where(channel < 0, np.nan, channel))


def test_the_threshold_is_an_area_or_a_number_of_cells(flow: Flow) -> None:
    by_area, by_cells = extract_streams(flow, 20 * 120.0), extract_streams(flow, least_cells=20)
    np.testing.assert_array_equal(by_area.cell, by_cells.cell)
    assert extract_streams(flow, 20 * 120.0 + 1.0).cell.size < by_cells.cell.size
    assert extract_streams(flow).cell.size == 0  # nothing here drains 1 km2
    assert extract_streams(flow).segments == 0
    for wrong in (0.0, -1.0, np.nan):
        with pytest.raises(OptionError, match="threshold of streams"):
            extract_streams(flow, wrong)
    with pytest.raises(OptionError, match="threshold of streams"):
        extract_streams(flow, least_cells=0)


def test_lines_on_disk(tmp_path: Path, flow: Flow, streams: Streams) -> None:
    path = tmp_path / "streams.gpkg"
    steepness = np.arange(streams.segments, dtype=float)
    steepness[3] = np.nan
    write_streams(path, streams, {"ksn": steepness})
    first = path.read_bytes()
    write_streams(path, streams, {"ksn": steepness})
    assert path.read_bytes() == first
    meta, _, geometry, values = pyogrio.raw.read(path, layer="streams")
    fields = dict(zip(meta["fields"], values, strict=True))
    assert meta["crs"] == "EPSG:32611"
    lines = shapely.from_wkb(geometry)
    np.testing.assert_allclose(shapely.length(lines), fields["length_m"])
    assert fields["length_m"].sum() == pytest.approx(streams.length_m.sum())
    paths = streams.paths()
    for line, number, drop_m, following in zip(
        lines, fields["segment"], fields["drop_m"], fields["below"], strict=True
    ):
        nodes = paths[number - 1]
        x, y = shapely.get_coordinates(line).T
        rows, cols = flow.grid.pixel_coordinates(x, y)
        np.testing.assert_allclose(np.floor(rows) * 50 + np.floor(cols), streams.cell[nodes])
        assert drop_m == pytest.approx(streams.elevation_m[nodes[0]] - streams.elevation_m[nodes[-1]])
        assert following == (0 if streams.receiver[nodes[-2]] != nodes[-1] else following)
        if following:
            assert streams.segment[nodes[-1]] + 1 == following
            assert following != number
        else:
            assert streams.receiver[nodes[-1]] == -1
    assert np.isnan(fields["ksn"][fields["segment"] == 4]).all()


def test_an_empty_network_can_be_written(tmp_path: Path, flow: Flow) -> None:
    streams = extract_streams(flow)
    write_streams(tmp_path / "none.gpkg", streams, {"ksn": np.empty(0)})
    assert pyogrio.read_info(tmp_path / "none.gpkg", layer="streams")["features"] == 0


def test_sums_in_circles_equal_plain_sums() -> None:
    random = np.random.default_rng(12)
    rows, cols = random.integers(0, 15, 40), random.integers(0, 21, 40)
    amount = random.integers(0, 1000, 40)
    half_widths = np.array([0, 2, 3, 5, 3, 2, 0])
    known = random.uniform(size=(15, 21)) > 0.3
    total, count = np.empty((15, 21), np.int64), np.empty((15, 21), np.int64)
    kernels.sum_in_circles(rows, cols, amount, half_widths, total)
    kernels.count_in_circles(known, half_widths, count)
    for row, col in np.ndindex(15, 21):
        inside = (np.abs(rows - row) <= 3) & (np.abs(cols - col) <= half_widths[np.clip(rows - row + 3, 0, 6)])
        assert total[row, col] == amount[inside].sum()
        expected = sum(
            known[row + part - 3, max(col - half, 0) : col + half + 1].sum()
            for part, half in enumerate(half_widths)
            if 0 <= row + part - 3 < 15
        )
        assert count[row, col] == expected


def test_kernels_do_the_same_uncompiled(flow: Flow, streams: Streams) -> None:
    """Python indexing raises where compiled code would read beyond the array."""
    segment, strahler = np.empty_like(streams.segment), np.empty_like(streams.strahler)
    split = kernels.split_segments.py_func(streams.receiver, streams.order, segment, strahler)  # type: ignore[attr-defined]
    assert split == streams.segments
    np.testing.assert_array_equal(segment, streams.segment)
    np.testing.assert_array_equal(strahler, streams.strahler)
    channel = np.full(flow.grid.shape, -1, np.int32)
    channel.ravel()[streams.cell] = np.arange(streams.cell.size)
    kernels.first_channel.py_func(flow.direction, channel)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(channel, drain_to_streams(flow, streams))
    half_widths = np.array([1, 4, 9, 4, 1])
    rows, cols = np.divmod(streams.cell, flow.grid.cols)
    for kernel, inputs in (
        (kernels.sum_in_circles, (rows, cols, streams.segment)),
        (kernels.count_in_circles, (flow.cells > 0,)),
    ):
        compiled, plain = np.empty(flow.grid.shape, np.int64), np.empty(flow.grid.shape, np.int64)
        kernel(*inputs, half_widths, compiled)  # type: ignore[operator]
        kernel.py_func(*inputs, half_widths, plain)  # type: ignore[attr-defined]
        np.testing.assert_array_equal(compiled, plain)
