"""The reference point: where it is put, and why."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from insar.errors import InputError, OptionError
from insar.grid import Grid, LonLat, RowCol
from insar.inversion import BlockInverter
from insar.reference import find_reference, locate
from insar.stack import Cube, Geometry, Pair, Plane, Stack

ROWS, COLS = 60, 80


class Samples:
    """A cube or a plane in memory."""

    def __init__(self, values):
        self.values = values

    def read_block(self, pairs, rows, cols):
        return self.values[pairs][:, rows, cols]

    def read_window(self, rows, cols):
        return self.values[rows, cols]


def _stack(phase, coherence=None, *, radar=None):
    dates = [date(2020, 1, 1) + timedelta(days=12 * index) for index in range(len(phase) + 1)]
    every = np.arange(len(phase))
    geometry = Geometry()
    grid = Grid(ROWS, COLS, Affine(0.001, 0, 10.0, 0, -0.001, 45.0), "EPSG:4326")
    if radar is not None:
        geometry = Geometry(*(Plane(Samples(values), ROWS, COLS) for values in radar))
        grid = Grid.radar(ROWS, COLS)
    return Stack(
        Path("stack"),
        "test",
        tuple(Pair(one, two) for one, two in pairwise(dates)),
        0.0555,
        np.zeros(len(phase)),
        grid,
        Cube(Samples(phase.astype(np.float32)), every, ROWS, COLS),
        None if coherence is None else Cube(Samples(coherence.astype(np.float32)), every, ROWS, COLS),
        geometry=geometry,
    )


def _quiet(pairs=6):
    return np.random.default_rng(0).normal(0, 0.1, (pairs, ROWS, COLS)) + 5.0


def test_auto_prefers_coherent_ground():
    coherence = np.full((6, ROWS, COLS), 0.4)
    coherence[:, 30:40, 50:60] = 0.9
    point = find_reference(_stack(_quiet(), coherence))
    assert 31 <= point.pixel.row <= 38
    assert 51 <= point.pixel.col <= 58
    assert point.how == "auto"
    assert point.score == pytest.approx(np.prod(list(point.terms.values())))


def test_auto_does_not_fall_for_one_bright_pixel_or_one_bad_pair():
    coherence = np.full((6, ROWS, COLS), 0.5)
    coherence[:, 10, 10] = 1.0
    coherence[:, 40:50, 20:30] = 0.8
    coherence[2, 40:50, 20:25] = 0.05
    pixel = find_reference(_stack(_quiet(), coherence)).pixel
    assert 40 <= pixel.row < 50
    assert 25 <= pixel.col < 30


def test_auto_stays_away_from_motion_and_edges():
    phase = _quiet()
    phase[:, :, :45] += np.linspace(8.0, 0.5, 45)
    phase[:, :, :20] = np.nan
    pixel = find_reference(_stack(phase)).pixel
    assert pixel.col >= 45
    assert 2 <= pixel.row < ROWS - 2
    assert pixel.col < COLS - 2


def test_auto_takes_a_pixel_with_every_pair():
    phase = _quiet()
    phase[3] = np.nan
    phase[3, 17, 23] = 5.0
    point = find_reference(_stack(phase))
    assert point.pixel == RowCol(17, 23)
    assert point.unusable_pairs == ()


def test_auto_names_the_pairs_it_cannot_use():
    phase = _quiet()
    phase[3] = np.nan
    assert find_reference(_stack(phase)).unusable_pairs == (3,)


def test_auto_is_deterministic_on_ties():
    flat = np.ones((4, ROWS, COLS))
    first, second = find_reference(_stack(flat)), find_reference(_stack(flat))
    assert first == second


def test_no_data_at_all():
    with pytest.raises(InputError, match="at least one pixel"):
        find_reference(_stack(np.full((3, ROWS, COLS), np.nan)))


@pytest.mark.parametrize("choice", ["auto", RowCol(4, 7)])
def test_a_stack_of_coherence_alone_has_no_reference(choice):
    stack = replace(_stack(_quiet(), np.full((6, ROWS, COLS), 0.5)), unwrapped_phase=None)
    with pytest.raises(InputError, match="coherence alone"):
        find_reference(stack, choice)


def test_given_pixel_and_place():
    stack = _stack(_quiet())
    assert find_reference(stack, RowCol(4, 7)).pixel == RowCol(4, 7)
    assert find_reference(stack, (4, 7)).pixel == RowCol(4, 7)
    assert find_reference(stack, LonLat(10.0075, 44.9955)).pixel == RowCol(4, 7)


@pytest.mark.parametrize(
    ("choice", "error", "word"),
    [
        (RowCol(60, 0), InputError, "rows 0 to 59"),
        (LonLat(44.9955, 10.0075), InputError, "inside"),
        ("somewhere", OptionError, "auto"),
    ],
)
def test_impossible_places(choice, error, word):
    with pytest.raises(error, match=word):
        find_reference(_stack(_quiet()), choice)


def test_given_pixel_without_data_is_refused():
    phase = _quiet()
    phase[2, 4, 7] = np.nan
    with pytest.raises(InputError, match="no data in 1 of 6"):
        find_reference(_stack(phase), RowCol(4, 7))


def test_an_area_is_averaged_over_its_complete_pixels():
    phase = _quiet()
    phase[1, 4, 7] = np.nan
    stack = _stack(phase)
    window = phase.astype(np.float32)[:, 3:6, 7:10].reshape(6, -1)
    complete = np.isfinite(window).all(axis=0)
    assert complete.sum() == 8
    np.testing.assert_allclose(
        BlockInverter(stack, RowCol(4, 8), reference_size=3).reference_phase,
        window[:, complete].mean(axis=1),
        rtol=1e-6,
    )
    corner = phase.astype(np.float32)[:, :3, :3].reshape(6, -1).mean(axis=1)
    np.testing.assert_allclose(BlockInverter(stack, RowCol(0, 0), reference_size=5).reference_phase, corner, rtol=1e-6)
    np.testing.assert_array_equal(BlockInverter(stack, RowCol(2, 1)).reference_phase, phase[:, 2, 1].astype(np.float32))


def test_a_place_in_radar_coordinates_is_the_nearest_of_the_table():
    row, col = np.mgrid[:ROWS, :COLS]
    latitude = 45.0 + 0.001 * row + 0.0002 * col
    longitude = 10.0 + 0.0015 * col - 0.0003 * row
    stack = _stack(_quiet(), radar=(latitude, longitude))
    for pixel in (RowCol(0, 0), RowCol(31, 44), RowCol(59, 79)):
        assert locate(stack, LonLat(longitude[pixel] + 0.0002, latitude[pixel] - 0.0002)) == pixel
    with pytest.raises(InputError, match="km away"):
        locate(stack, LonLat(12.0, 45.0))
