"""Interpolation between coarse nodes, against SciPy and by hand, compiled and not."""

import numpy as np
import pytest

from insar.kernels.interpolation import TILE, interpolate_columns, project_nodes


@pytest.mark.parametrize("compiled", [True, False])
def test_columns_are_interpolated_trilinearly(compiled):
    from scipy.interpolate import RegularGridInterpolator

    random = np.random.default_rng(3)
    pixels = TILE + 37 if compiled else 20
    table = random.normal(size=(4, 3, 5, 6)).astype(np.float32)
    row, col, level = random.uniform(0, 2, pixels), random.uniform(0, 4, pixels), random.uniform(0, 5, pixels)
    row[:3], col[:3], level[:3] = (0, 2, 1), (4, 0, 2), (5, 5, 0)  # on nodes, the outermost among them
    factor = random.uniform(-2, -1, pixels)
    values = np.empty((4, pixels), np.float32)
    function = interpolate_columns if compiled else interpolate_columns.py_func
    function(table, row, col, level, factor, values)
    places = np.stack([row, col, level], axis=1)
    for day in range(4):
        plain = RegularGridInterpolator([np.arange(size) for size in table.shape[1:]], table[day].astype(np.float64))
        np.testing.assert_allclose(values[day], factor * plain(places), rtol=3e-7, atol=1e-7)


@pytest.mark.parametrize("compiled", [True, False])
def test_vectors_are_interpolated_bilinearly_and_projected(compiled):
    from scipy.interpolate import RegularGridInterpolator

    random = np.random.default_rng(4)
    pixels = TILE + 5 if compiled else 20
    nodes = random.normal(size=(2, 3, 4, 5))
    row, col = random.uniform(0, 3, pixels), random.uniform(0, 4, pixels)
    row[:2], col[:2] = (0, 3), (0, 4)
    direction = random.normal(size=(3, pixels))
    projected = np.empty((2, pixels), np.float32)
    function = project_nodes if compiled else project_nodes.py_func
    function(nodes, row, col, direction, projected)
    for day in range(2):
        plain = RegularGridInterpolator([np.arange(4), np.arange(5)], np.moveaxis(nodes[day], 0, 2))
        expected = np.sum(plain(np.stack([row, col], axis=1)).T * direction, axis=0)
        np.testing.assert_allclose(projected[day], expected, rtol=3e-7, atol=1e-6)


@pytest.mark.parametrize("compiled", [True, False])
def test_beyond_the_nodes_and_beside_unknown_ones_nothing_is_known(compiled):
    table = np.ones((1, 2, 3, 2), np.float32)
    table[0, 0, 2, :] = np.nan
    nan = np.nan
    #        node   edge  beyond   rounding  unknown  half   ...of weight 0, place, height and factor
    row = np.array([0.0, 1.0, 1.01, 1.0 + 1e-6, nan, 0.5, 0.5, 0.5, 0.5, 0.5])
    col = np.array([0.0, 0.5, 0.50, 0.5, 0.5, 1.5, 1.0, nan, 0.5, 0.5])
    level = np.array([0.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 1.1, 0.5])
    factor = np.array([2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, nan])
    values = np.zeros((1, 10), np.float32)
    (interpolate_columns if compiled else interpolate_columns.py_func)(table, row, col, level, factor, values)
    np.testing.assert_allclose(values[0], [2.0, 2.0, nan, 2.0, nan, nan, 2.0, nan, nan, nan])
    nodes = np.ones((1, 3, 2, 3))
    direction = np.ones((3, 10))
    direction[0, 0] = nan
    (project_nodes if compiled else project_nodes.py_func)(nodes, row, col, direction, values)
    np.testing.assert_allclose(values[0], [nan, 3.0, nan, 3.0, nan, 3.0, 3.0, nan, 3.0, 3.0])
