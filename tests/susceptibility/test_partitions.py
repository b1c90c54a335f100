"""Folds: disjoint, of both classes, the same again."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_rows import scattered
from numpy.typing import NDArray

from susceptibility.errors import InputError, OptionError
from susceptibility.schema import Task
from susceptibility.validation import (
    SCHEMES,
    Places,
    assign_blocks,
    default_block_size,
    partition_cells,
)

Array = NDArray[Any]
DRAWN = [name for name, scheme in SCHEMES.items() if scheme.is_drawn]


@pytest.mark.parametrize("scheme", DRAWN)
@settings(max_examples=15, deadline=None)
@given(folds=st.integers(2, 6), seed=st.integers(0, 1000))
def test_every_fold_tests_both_classes_and_every_cell_once(scheme: str, folds: int, seed: int) -> None:
    coordinates_m, target = scattered(seed=seed)
    partition = partition_cells(scheme, coordinates_m, target, folds=folds, block_size_m=1000.0, seed=seed)
    assert partition.fold.shape == target.shape
    assert set(partition.fold) == set(range(folds)) == set(range(partition.folds))
    for fold in range(folds):
        assert set(target[partition.test_rows(fold)]) == {0, 1}
        assert set(target[partition.train_rows(fold)]) == {0, 1}
        assert not set(partition.test_rows(fold)) & set(partition.train_rows(fold))


@pytest.mark.parametrize("scheme", DRAWN)
def test_partitions_repeat_and_repeats_differ(scheme: str) -> None:
    coordinates_m, target = scattered()
    make = partial(partition_cells, scheme, coordinates_m, target, block_size_m=1000.0, seed=4)
    np.testing.assert_array_equal(make(repeat=1).fold, make(repeat=1).fold)
    assert (make(repeat=0).fold != make(repeat=1).fold).any()
    assert (make(draw=0).fold != make(draw=1).fold).any()


def test_random_folds_hold_each_class_evenly() -> None:
    coordinates_m, target = scattered(403)
    fold = partition_cells("random", coordinates_m, target, folds=5).fold
    assert np.ptp(np.bincount(fold)) <= 1
    assert np.ptp(np.bincount(fold, target)) <= 1


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), size_m=st.floats(300.0, 3000.0))
def test_blocks_are_squares_of_their_size(seed: int, size_m: float) -> None:
    coordinates_m, target = scattered(200, seed)
    block = assign_blocks(Places(coordinates_m, target, size_m), np.random.default_rng(seed))
    for number in np.unique(block):
        assert np.ptp(coordinates_m[block == number], axis=0).max() <= size_m + 1e-6
    # Not more blocks than squares that touch the area: no square is cut in two.
    assert len(np.unique(block)) <= (math.ceil(10_000 / size_m) + 1) ** 2


def test_spatial_block_folds_share_no_block() -> None:
    # On a lattice with blocks of whole cells, folds of neighbours can only differ across a block's edge.
    rows, cols = np.mgrid[0:40, 0:40]
    coordinates_m = np.stack([cols.ravel() * 100.0, rows.ravel() * 100.0], axis=1)
    target = (np.random.default_rng(0).uniform(size=1600) < 0.5).astype(np.uint8)
    fold = partition_cells("spatial-blocks", coordinates_m, target, folds=4, block_size_m=1000.0).fold.reshape(40, 40)
    edges = np.flatnonzero((fold[:, 1:] != fold[:, :-1]).any(axis=0))
    assert len(edges) <= 5
    assert (np.diff(edges) == 10).all()
    nearest_other = 1.0 - (fold[:, 1:] == fold[:, :-1]).mean()
    assert nearest_other < 0.12  # a random split has 0.75


def test_kmeans_folds_are_compact() -> None:
    coordinates_m, target = scattered(600)
    fold = partition_cells("kmeans", coordinates_m, target, folds=5).fold
    centres = np.stack([coordinates_m[fold == number].mean(axis=0) for number in range(5)])
    distance = np.linalg.norm(coordinates_m[:, None] - centres[None], axis=2)
    assert (distance.argmin(axis=1) == fold).mean() > 0.97


def test_no_training_row_is_within_the_buffer_of_a_tested_one() -> None:
    coordinates_m, target = scattered(800)
    partition = partition_cells("buffered", coordinates_m, target, folds=4, block_size_m=2500.0, buffer_m=600.0)
    left_out = 0
    for fold in range(4):
        train, test = partition.train_rows(fold), partition.test_rows(fold)
        distance = np.linalg.norm(coordinates_m[train][:, None] - coordinates_m[test][None], axis=2).min(axis=1)
        assert distance.min() >= 600.0
        # Rows farther away than the buffer are all trained on.
        others = np.setdiff1d(np.arange(800), test)
        away = np.linalg.norm(coordinates_m[others][:, None] - coordinates_m[test][None], axis=2).min(axis=1)
        np.testing.assert_array_equal(train, others[away >= 600.0])
        left_out += others.size - train.size
    assert left_out > 0
    share = np.mean([1.0 - partition.train_rows(fold).size / (partition.fold != fold).sum() for fold in range(4)])
    assert partition.notes == (
        f"a dead zone of 600 m leaves out {100.0 * share:.0f} % of the training rows on average",
    )
    with pytest.raises(InputError, match=r"\(\d+, 0\) among the training rows|\(0, \d+\) among the training rows"):
        partition_cells("buffered", coordinates_m, target, folds=4, block_size_m=2500.0, buffer_m=50_000.0)


def test_each_event_is_left_out_in_turn() -> None:
    coordinates_m, target = scattered(400)
    event = np.array(["gorkha", "lombok", "palu", None] * 100, object)
    partition = partition_cells("events", coordinates_m, target, event=event)
    assert partition.names == ("event gorkha", "event lombok", "event palu")
    for fold, name in enumerate(["gorkha", "lombok", "palu"]):
        assert set(event[partition.test_rows(fold)]) == {name}
        assert set(event[partition.train_rows(fold)]) == {"gorkha", "lombok", "palu"} - {name}
    assert partition.notes == ("100 of 400 rows belong to no known event and take no part",)
    target[event == "palu"] = 0
    with pytest.raises(InputError, match=r"\(0, 100\) among the tested rows of event palu.*Leave the event out"):
        partition_cells("events", coordinates_m, target, event=event)
    with pytest.raises(OptionError, match="the event that each row belongs to"):
        partition_cells("events", coordinates_m, target)
    with pytest.raises(InputError, match="at least two events"):
        partition_cells("events", coordinates_m, target, event=np.full(400, 7))


def test_each_area_is_left_out_in_turn_and_what_lies_outside_is_trained_on() -> None:
    coordinates_m, target = scattered(400)
    area = np.tile([0, 4, 9, 9], 100)
    partition = partition_cells("areas", coordinates_m, target, area=area)
    assert partition.names == ("area 4", "area 9")
    assert set(area[partition.test_rows(0)]) == {4}
    assert set(area[partition.train_rows(0)]) == {0, 9}
    assert set(area[partition.train_rows(1)]) == {0, 4}
    assert partition.notes == ("100 of 400 rows lie outside all areas: they are trained on and never tested",)
    with pytest.raises(InputError, match="at least two areas"):
        partition_cells("areas", coordinates_m, target, area=np.ones(400))
    single = partition_cells("areas", coordinates_m, target, area=np.tile([0, 1], 200))  # one against the rest
    assert single.folds == 1


@pytest.mark.parametrize(
    ("direction", "axis", "sign"), [("south", 1, -1), ("north", 1, 1), ("east", 0, 1), ("west", 0, -1)]
)
def test_one_side_is_held_out(direction: str, axis: int, sign: int) -> None:
    coordinates_m, target = scattered(500)
    partition = partition_cells("north-south", coordinates_m, target, direction=direction, share=0.2)
    assert partition.folds == 1
    train, test = partition.train_rows(0), partition.test_rows(0)
    assert (test.size, train.size) == (100, 400)
    toward = sign * coordinates_m[:, axis]
    assert toward[test].min() > toward[train].max()


def test_sides_that_cannot_be() -> None:
    coordinates_m, target = scattered(300)
    target[coordinates_m[:, 1] < np.quantile(coordinates_m[:, 1], 0.3)] = 0
    with pytest.raises(InputError, match=r"\(0, 60\) among the tested rows of the south.*another direction"):
        partition_cells("north-south", coordinates_m, target)
    with pytest.raises(OptionError, match="north or south or east or west"):
        partition_cells("north-south", coordinates_m, target, direction="up")
    with pytest.raises(OptionError, match="share"):
        partition_cells("north-south", coordinates_m, target, share=1.0)


def test_folds_of_a_density_are_balanced_in_rows_above_the_bound() -> None:
    coordinates_m, target = scattered(500)
    density = np.where(target, 0.02 + 0.3 * np.random.default_rng(0).uniform(size=500), 0.005)
    make = partial(partition_cells, task=Task.REGRESSION, positive_above=0.01)
    fold = make("random", coordinates_m, density).fold
    assert np.ptp(np.bincount(fold, density > 0.01)) <= 1
    # Folds without any row above the bound are told of; folds of one density cannot be scored at all.
    density[density > 0.01] = 0.009
    partition = make("random", coordinates_m, density)
    assert "scores of landslide or none are unknown" in partition.notes[0]
    with pytest.raises(InputError, match=r"rows of different density.*all of one density|of one density"):
        make("random", coordinates_m, np.zeros(500))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_places_are_the_same_squares_in_every_draw(seed: int) -> None:
    rng = np.random.default_rng(seed)
    landslides = rng.uniform(0.0, 10_000.0, (60, 2))
    seen: dict[bytes, int] = {}
    sizes = set()
    for draw in range(3):
        others = rng.uniform(-2000.0, 12_000.0, (60, 2))
        coordinates_m = np.concatenate([landslides, others])
        target = np.repeat([1, 0], 60)
        partition = partition_cells("random", coordinates_m, target, block_size_m=400.0, draw=draw)
        assert partition.place is not None
        sizes.add(partition.place_size_m)
        for row, place in zip(landslides, partition.place[:60], strict=True):
            assert seen.setdefault(row.tobytes(), int(place)) == place
        for place in np.unique(partition.place):
            assert np.ptp(coordinates_m[partition.place == place], axis=0).max() <= partition.place_size_m
    assert len(sizes) == 1
    assert len(set(seen.values())) <= 40


def test_folds_of_one_class_are_refused_with_their_counts() -> None:
    coordinates_m, _ = scattered(300)
    target = (coordinates_m[:, 0] > coordinates_m[:, 0].max() - 600.0).astype(np.uint8)  # a strip in the far east
    with pytest.raises(InputError, match=r"\(landslides, others\) = .*\(0, .*Choose fewer folds"):
        partition_cells("kmeans", coordinates_m, target, folds=5)
    few = np.zeros(300, np.uint8)
    few[:3] = 1
    with pytest.raises(InputError, match=r"in each of 5 folds"):
        partition_cells("random", coordinates_m, few, folds=5)


def test_fewer_blocks_than_folds_are_refused() -> None:
    coordinates_m, target = scattered()
    with pytest.raises(OptionError, match=r"block_size_m: required at least 5 blocks"):
        partition_cells("spatial-blocks", coordinates_m, target, folds=5, block_size_m=100_000.0)


def test_an_unknown_scheme_names_those_there_are() -> None:
    with pytest.raises(OptionError, match="random or spatial-blocks or kmeans or buffered"):
        partition_cells("spatial", *scattered())


def test_the_default_block_is_a_fifth_of_the_extent() -> None:
    assert default_block_size(np.array([[0.0, 0.0], [5000.0, 800.0]])) == 1000.0
