"""Samples: what is in them, that they repeat, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from susceptibility.errors import InputError, OptionError
from susceptibility.events import event_labels
from susceptibility.inventory import ABSENCE, LANDSLIDE
from susceptibility.sampling import (
    Allocation,
    NegativeSource,
    Sample,
    draw_sample,
    landslide_distance_m,
    share_equally,
    share_proportionally,
)


def labels_with(landslides: int, absences: int = 0) -> np.ndarray:
    labels = np.zeros((20, 30), np.uint8)
    labels.flat[:landslides] = LANDSLIDE
    labels.flat[100 : 100 + absences] = ABSENCE
    return labels


@given(landslides=st.integers(1, 90), ratio=st.sampled_from([0.5, 1.0, 3.0, 5.0]), seed=st.integers(0, 2**32))
def test_a_sample_has_every_landslide_and_the_ratio(landslides: int, ratio: float, seed: int) -> None:
    labels = labels_with(landslides)
    usable = np.ones(labels.shape, bool)
    if round(ratio * landslides) == 0:
        return
    sample = draw_sample(labels, usable, negatives=NegativeSource.DRAWN, ratio=ratio, seed=seed, draw=0)
    assert np.unique(sample.cells).size == sample.cells.size
    assert (np.diff(sample.cells) > 0).all()
    assert sample.cells[sample.target == 1].tolist() == list(range(landslides))
    assert (sample.target == 0).sum() == round(ratio * landslides)
    np.testing.assert_array_equal(labels.flat[sample.cells] == LANDSLIDE, sample.target == 1)


def test_unusable_cells_are_in_no_sample() -> None:
    labels = labels_with(50)
    usable = np.random.default_rng(1).uniform(size=labels.shape) < 0.5
    sample = draw_sample(labels, usable, negatives=NegativeSource.DRAWN, ratio=2.0, seed=0, draw=0)
    assert usable.flat[sample.cells].all()
    assert (sample.target == 1).sum() == usable.flat[:50].sum()


def test_the_same_seed_and_draw_repeat_and_others_differ() -> None:
    labels, usable = labels_with(40), np.ones((20, 30), bool)

    def cells(seed: int, draw: int) -> list[int]:
        return draw_sample(
            labels, usable, negatives=NegativeSource.DRAWN, ratio=1.0, seed=seed, draw=draw
        ).cells.tolist()

    assert cells(5, 1) == cells(5, 1)
    assert cells(5, 1) != cells(5, 2)
    assert cells(5, 1) != cells(6, 1)


def test_negatives_of_the_inventory_are_taken_whole() -> None:
    labels, usable = labels_with(10, absences=25), np.ones((20, 30), bool)
    sample = draw_sample(labels, usable, negatives=NegativeSource.INVENTORY, ratio=1.0, seed=0, draw=0)
    assert sample.cells[sample.target == 0].tolist() == list(range(100, 125))
    assert sample.prevalence == pytest.approx(10 / 35)


def test_negatives_are_drawn_evenly() -> None:
    labels, usable = labels_with(60), np.ones((20, 30), bool)
    times = np.zeros(600)
    for draw in range(400):
        sample = draw_sample(labels, usable, negatives=NegativeSource.DRAWN, ratio=1.0, seed=9, draw=draw)
        times[sample.cells[sample.target == 0]] += 1
    expected = 400 * 60 / 540
    assert times[:60].sum() == 0
    assert abs(times[60:] - expected).max() < 5 * np.sqrt(expected)


def test_too_few_cells_of_a_class_are_refused() -> None:
    labels = labels_with(30)
    nowhere = np.zeros(labels.shape, bool)
    with pytest.raises(InputError, match="30 landslide rows, all where some factor has no data"):
        draw_sample(labels, nowhere, negatives=NegativeSource.DRAWN, ratio=1.0, seed=0, draw=0)
    everywhere = np.ones(labels.shape, bool)
    with pytest.raises(InputError, match=r"found 570 such rows.*Choose another"):
        draw_sample(labels, everywhere, negatives=NegativeSource.DRAWN, ratio=20.0, seed=0, draw=0)
    with pytest.raises(InputError, match="known to be free"):
        draw_sample(labels, everywhere, negatives=NegativeSource.INVENTORY, ratio=1.0, seed=0, draw=0)


def drawn(labels: np.ndarray | None, ratio: float = 1.0, **options: Any) -> Sample:
    usable = options.pop("usable", np.ones(600, bool))
    settings = {"negatives": NegativeSource.DRAWN, "seed": 3, "draw": 0} | options
    return draw_sample(labels, usable, ratio=ratio, **settings)


def test_all_other_rows() -> None:
    sample = drawn(labels_with(40, absences=5).ravel(), negatives=NegativeSource.ALL)
    assert sample.cells.tolist() == list(range(600))
    assert sample.target.sum() == 40
    assert (sample.weight == 1.0).all()


@given(
    sizes=st.lists(st.integers(0, 50), min_size=1, max_size=8),
    share=st.floats(0.0, 1.0),
    seed=st.integers(0, 1000),
)
def test_equal_quotas_are_as_equal_as_can_be(sizes: list[int], share: float, seed: int) -> None:
    wanted = round(share * sum(sizes))
    there = np.array(sizes)
    quotas = share_equally(there, wanted, np.random.default_rng(seed))
    assert quotas.sum() == wanted
    assert (quotas <= there).all()
    # A class that could give more has no less than any other, but for the one that is left over.
    open_ = quotas < there
    if open_.any():
        assert quotas.max() <= quotas[open_].min() + 1


@given(sizes=st.lists(st.integers(1, 80), min_size=1, max_size=8), share=st.floats(0.0, 1.0))
def test_proportional_quotas_are_within_one_of_the_share(sizes: list[int], share: float) -> None:
    wanted = round(share * sum(sizes))
    there = np.array(sizes)
    quotas = share_proportionally(there, wanted)
    assert quotas.sum() == wanted
    assert (quotas <= there).all()
    assert (np.abs(quotas - wanted * there / there.sum()) < 1.0).all()


def land_cover() -> np.ndarray:
    """Classes 1 to 4 of 300, 200, 90 and 10 rows; landslides are among the first."""
    return np.repeat([1.0, 2.0, 3.0, 4.0], [300, 200, 90, 10])


def test_equal_shares_of_classes_and_a_class_that_has_too_few() -> None:
    names = ("forest", "grass", "crops", "rock")
    sample = drawn(labels_with(100).ravel(), strata=land_cover(), allocation=Allocation.EQUAL, strata_names=names)
    of_class = np.bincount(land_cover()[sample.cells[sample.target == 0]].astype(int), minlength=5)[1:]
    assert of_class.tolist() == [30, 30, 30, 10]
    assert sample.notes == (
        "too few rows of rock for an equal share: all of them are taken, and the other classes share the rest",
    )


def test_equal_shares_without_a_short_class_need_no_note() -> None:
    sample = drawn(labels_with(40).ravel(), strata=land_cover(), allocation=Allocation.EQUAL)
    of_class = np.bincount(land_cover()[sample.cells[sample.target == 0]].astype(int), minlength=5)[1:]
    assert of_class.tolist() == [10, 10, 10, 10]
    assert sample.notes == ()


def test_shares_in_proportion_to_the_rows_of_each_class() -> None:
    sample = drawn(labels_with(100).ravel(), strata=land_cover(), allocation=Allocation.PROPORTIONAL)
    of_class = np.bincount(land_cover()[sample.cells[sample.target == 0]].astype(int), minlength=5)[1:]
    assert of_class.tolist() == [40, 40, 18, 2]  # of 200, 200, 90 and 10 that are no landslides


def test_rows_of_unknown_class_are_not_drawn() -> None:
    classes = land_cover()
    classes[500:] = np.nan
    sample = drawn(labels_with(100).ravel(), strata=classes, allocation=Allocation.EQUAL)
    assert sample.cells.max() < 500
    assert sample.notes == ("100 rows of unknown class are not drawn",)


@pytest.mark.parametrize("allocation", Allocation)
def test_weights_undo_the_sampling(allocation: Allocation) -> None:
    # Sums over the sample, weighted, are sums over the pool: of its rows exactly, of any quantity on average.
    labels, classes = labels_with(100).ravel(), land_cover()
    quantity = np.random.default_rng(0).normal(classes, 0.3)
    pool = labels == 0
    sums = []
    for draw in range(300):
        sample = drawn(labels, strata=classes, allocation=allocation, draw=draw)
        free = sample.target == 0
        assert sample.weight[~free].sum() == 100
        assert sample.weight[free].sum() == pytest.approx(500)
        sums.append(np.sum(sample.weight[free] * quantity[sample.cells[free]]))
    error = np.std(sums) / np.sqrt(300)
    assert abs(np.mean(sums) - quantity[pool].sum()) < 4 * error


def test_the_ring_around_landslides() -> None:
    rows, cols = np.mgrid[0:20, 0:30]
    places = np.stack([cols.ravel() * 100.0, rows.ravel() * 100.0], axis=1)
    labels = np.zeros(600, np.uint8)
    labels[[65, 400]] = LANDSLIDE
    distance_m = landslide_distance_m(places, labels == LANDSLIDE)
    by_hand = np.sqrt(((places[:, None] - places[[65, 400]][None]) ** 2).sum(axis=2)).min(axis=1)
    np.testing.assert_allclose(distance_m, by_hand)
    distance_m[0] = np.nan
    sample = drawn(labels, 20.0, distance_m=distance_m, inner_m=300.0, outer_m=800.0)
    away = by_hand[sample.cells[sample.target == 0]]
    assert away.size == 40
    assert away.min() >= 300.0
    assert away.max() <= 800.0
    assert "300 to 800 m" in sample.notes[0]
    with pytest.raises(OptionError, match="inner_m < outer_m"):
        drawn(labels, distance_m=distance_m, inner_m=800.0, outer_m=300.0)
    assert np.isnan(landslide_distance_m(places, np.zeros(600, bool))).all()


def test_each_event_gives_its_own_ratio() -> None:
    event = np.repeat(["gorkha", "lombok", "palu", ""], [200, 200, 100, 100])
    labels = np.zeros(600, np.uint8)
    labels[[*range(30), *range(200, 210), 590]] = LANDSLIDE
    sample = drawn(labels, 2.0, event=event)
    free = sample.cells[sample.target == 0]
    assert np.count_nonzero(free < 200) == 60
    assert np.count_nonzero((free >= 200) & (free < 400)) == 20
    assert free.max() < 400
    assert sample.notes == (
        "no rows are taken of events without landslides: palu",
        "1 landslide rows belong to no known event and are left out",
    )
    with pytest.raises(InputError, match="200 rows without landslide of event lombok"):
        drawn(labels, 20.0, event=np.where(event == "gorkha", "", event))


def test_a_density_and_as_many_rows_as_are_wanted() -> None:
    rng = np.random.default_rng(1)
    density = np.where(rng.uniform(size=600) < 0.5, 0.0, rng.uniform(0.0, 0.3, 600))
    density[:20] = np.nan
    sample = drawn(None, density=density, positive_above=0.01, most_positives=50)
    assert sample.target.dtype == np.float64
    np.testing.assert_array_equal(sample.target, density[sample.cells])
    assert sample.positive.sum() == 50
    assert sample.cells.size == 100
    assert sample.prevalence == 0.5
    assert sample.cells.min() >= 20
    there_are = np.count_nonzero(density > 0.01)
    np.testing.assert_allclose(sample.weight[sample.positive], there_are / 50)
    other = drawn(None, density=density, positive_above=0.01, most_positives=50, draw=1)
    assert set(other.cells[other.positive]) != set(sample.cells[sample.positive])
    everything = drawn(None, density=density, positive_above=0.01, most_positives=10_000, negatives=NegativeSource.ALL)
    assert everything.cells.size == 580


def test_what_an_option_needs() -> None:
    labels = labels_with(30).ravel()
    with pytest.raises(OptionError, match="allocation = 'equal'"):
        drawn(labels, allocation=Allocation.EQUAL)
    with pytest.raises(ValueError, match="either labels or a density"):
        drawn(labels, density=np.zeros(600))
    with pytest.raises(ValueError, match="distances"):
        drawn(labels, inner_m=10.0)
    with pytest.raises(InputError, match="known event"):
        drawn(labels, event=np.full(600, ""))


def test_labels_of_events() -> None:
    assert event_labels([2008.0, np.nan, 1.5]).tolist() == ["2008", "", "1.5"]
    assert event_labels(np.array(["a ", None, ""], object)).tolist() == ["a", "", ""]
    assert event_labels(np.array([3, 1])).tolist() == ["3", "1"]
    assert event_labels(np.array(["2015-04-25", "NaT"], "datetime64[D]")).tolist() == ["2015-04-25", ""]
