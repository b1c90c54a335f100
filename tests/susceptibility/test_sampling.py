"""Samples: what is in them, that they repeat, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from susceptibility.errors import InputError
from susceptibility.inventory import ABSENCE, LANDSLIDE
from susceptibility.sampling import NegativeSource, draw_sample


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
    with pytest.raises(InputError, match="30 landslide cells, all where some factor has no data"):
        draw_sample(labels, nowhere, negatives=NegativeSource.DRAWN, ratio=1.0, seed=0, draw=0)
    everywhere = np.ones(labels.shape, bool)
    with pytest.raises(InputError, match=r"found 570 such cells.*Choose another"):
        draw_sample(labels, everywhere, negatives=NegativeSource.DRAWN, ratio=20.0, seed=0, draw=0)
    with pytest.raises(InputError, match="known to be free"):
        draw_sample(labels, everywhere, negatives=NegativeSource.INVENTORY, ratio=1.0, seed=0, draw=0)
